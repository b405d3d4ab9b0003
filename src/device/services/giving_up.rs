//! Connections that are given up: half-open ones, and those whose peer is silent where it has to speak.

use std::time::Duration;

use smoltcp::socket::tcp::{self, State};

use super::{Services, Socket};
use crate::clock::Timestamp;
use crate::device::faults::Fault;
use crate::device::packet::{Flow, Segment, flag};
use crate::device::stack::Stack;

/// How long a half-open connection lasts, as lwIP has it.
const HALF_OPEN: Duration = Duration::from_secs(20);
/// How long a peer may be silent that has to speak (RFC 9293 section 3.8.3: at least 100 s).
const SILENCE: Duration = Duration::from_secs(120);

impl Services {
    /// A frame is about to be taken. Where it wants a connection and half-open ones have taken every
    /// socket of its port, the oldest of those makes way (RFC 4987 section 3.3), without a word.
    pub fn make_way(&mut self, frame: &[u8], stack: &mut Stack) {
        let Some(segment) = Segment::of(frame) else { return };
        let is_syn = segment.flags & (flag::SYN | flag::RST | flag::ACK) == flag::SYN;
        let is_known = stack.has_connection(&Flow::of_received(&segment));
        if !is_syn || is_known || self.faults.has(Fault::HalfOpenForever) {
            return;
        }
        let state = |socket: &Socket| stack.sockets.get::<tcp::Socket>(socket.handle).state();
        let of_port = |socket: &&Socket| socket.port == segment.destination_port;
        if self.sockets.iter().filter(of_port).any(|socket| state(socket) == State::Listen) {
            return;
        }
        let is_half_open = |socket: &Socket| state(socket) == State::SynReceived;
        let half_open = self.sockets.iter().filter(of_port).filter(|socket| is_half_open(socket));
        let since = |socket: &Socket| socket.waits.map_or(Timestamp(u64::MAX), |(_, at)| at);
        let oldest = half_open.min_by_key(|socket| since(socket)).map(|socket| socket.handle);
        if let Some(oldest) = oldest {
            self.sockets.retain(|socket| socket.handle != oldest);
            stack.sockets.remove(oldest);
            self.listen(stack);
        }
    }

    /// Gives up connections whose peer is silent where it has to speak: half-open ones after
    /// [`HALF_OPEN`], others after [`SILENCE`]; how many. smoltcp would wait, and send, for ever.
    pub fn expire(
        &mut self,
        now: Timestamp,
        stack: &mut Stack,
        heard: &dyn Fn(&Flow) -> Option<Timestamp>,
    ) -> u64 {
        let mut expired = 0;
        for socket in &mut self.sockets {
            let tcp = stack.sockets.get_mut::<tcp::Socket>(socket.handle);
            let state = tcp.state();
            let waits = match state {
                State::SynReceived => !self.faults.has(Fault::HalfOpenForever),
                State::FinWait1 | State::FinWait2 => true,
                State::Closing | State::LastAck => true,
                State::Established | State::CloseWait => tcp.send_queue() > 0,
                State::Closed | State::Listen | State::SynSent | State::TimeWait => false,
            };
            let before = socket.waits.filter(|(before, _)| *before == state);
            socket.waits = waits.then(|| before.unwrap_or((state, now)));
            let Some((_, since)) = socket.waits else { continue };
            let heard = Stack::flow(tcp).and_then(|flow| heard(&flow)).unwrap_or_default();
            let due = match state {
                State::SynReceived => since + HALF_OPEN,
                _ => since.max(heard) + SILENCE,
            };
            if due <= now {
                tcp.abort();
                expired += 1;
            }
        }
        expired
    }

    /// When a connection is to be looked at again.
    pub(super) fn expiry(&self) -> Option<Timestamp> {
        let waits = self.sockets.iter().filter_map(|socket| socket.waits);
        waits
            .map(|(state, since)| match state {
                State::SynReceived => since + HALF_OPEN,
                _ => since + SILENCE,
            })
            .min()
    }
}
