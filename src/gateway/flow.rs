//! One connection: a stream of this machine at one end, the device at the other, a small stack in
//! between.
//!
//! The stack's buffers are the only ones, so that each side feels what the other does: who does not read
//! is sent no more, an end of one side becomes an end at the other while the way back stays open, and
//! a reset goes through as a reset.

use std::future::poll_fn;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use smoltcp::socket::tcp::State;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::PollSender;

use super::pace::{Pace, Window};
use super::stack::Stack;
use super::{Gateway, Key, count};
use crate::clock::Timestamp;
use crate::craft::layers::Ethernet;

/// Acknowledgements wait so long for data that goes the same way, and for a second segment; on a slow line
/// others come in between meanwhile.
const ACK_DELAY: Duration = Duration::from_millis(2);
/// A device that acknowledges nothing for so long has lost the connection.
const PATIENCE: Duration = Duration::from_secs(60);
/// Rounds until others have their turn.
const ROUNDS: usize = 32;

/// What a connection leads to on this machine.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {
    /// Makes its end a reset, as far as it has such a thing.
    fn reset(&self) {}
}

impl Stream for tokio::net::TcpStream {
    fn reset(&self) {
        // Without lingering the kernel resets; if that cannot be set, it is an end like any other.
        let _ = rustix::net::sockopt::set_socket_linger(self, Some(Duration::ZERO));
    }
}

impl Stream for tokio::net::UnixStream {}
impl Stream for tokio::io::DuplexStream {}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Both sides had said all.
    Done,
    /// One side broke it off.
    Reset,
    /// The device refused it.
    Refused,
    /// The device did not answer.
    NoAnswer,
    /// There are too many already.
    TooMany,
}

/// Connects `stream` with the device's `port`, at `guest` or its usual address, until both are done.
pub(super) async fn run(
    gateway: &Gateway,
    stream: impl Stream,
    guest: Option<Ipv4Addr>,
    port: u16,
) -> Outcome {
    run_within(gateway, stream, guest, port, gateway.0.settings.hold).await
}

/// The same, where a device that is not there yet has so long to come.
pub(super) async fn run_within(
    gateway: &Gateway,
    stream: impl Stream,
    guest: Option<Ipv4Addr>,
    port: u16,
    hold: Duration,
) -> Outcome {
    let deadline = Instant::now() + hold;
    if tokio::time::timeout_at(deadline, gateway.resolve()).await.is_err() {
        stream.reset();
        return Outcome::NoAnswer;
    }
    let device = guest.unwrap_or_else(|| gateway.device_ip());
    let Some((key, packets)) = gateway.enter(device, port) else {
        stream.reset();
        return Outcome::TooMany;
    };
    let patience = deadline.duration_since(Instant::now()).max(Duration::from_secs(1));
    carry(gateway, stream, (key, packets), patience, gateway.0.settings.mtu).await
}

/// Moves bytes between `stream` and a connection that was entered, until both are done.
pub(super) async fn carry(
    gateway: &Gateway,
    mut stream: impl Stream,
    (key, packets): (Key, mpsc::Receiver<Bytes>),
    patience: Duration,
    mtu: usize,
) -> Outcome {
    let mut flow = Flow::new(gateway, key, packets, patience, mtu);
    let outcome = poll_fn(|cx| flow.poll(cx, &mut stream)).await;
    if outcome != Outcome::Done {
        stream.reset();
    }
    outcome
}

struct Flow<'a> {
    gateway: &'a Gateway,
    key: Key,
    stack: Stack,
    packets: mpsc::Receiver<Bytes>,
    lane: PollSender<Bytes>,
    timer: Pin<Box<Sleep>>,
    /// How much may be on its way, to the device and from it.
    to_device: Pace,
    from_device: Pace,
    window: Window,
    /// Bytes that were not acknowledged when we looked last.
    unacknowledged: usize,
    /// The device has accepted.
    is_connected: bool,
    /// Our side has said all, and the device its.
    has_ended: (bool, bool),
    /// The stream was told that the device has said all.
    is_shut: bool,
    /// The device has answered something.
    has_heard: bool,
    /// The stream broke.
    is_broken: bool,
}

impl<'a> Flow<'a> {
    fn new(
        gateway: &'a Gateway,
        key: Key,
        packets: mpsc::Receiver<Bytes>,
        patience: Duration,
        mtu: usize,
    ) -> Flow<'a> {
        let settings = &gateway.0.settings;
        let now = gateway.0.clock.now();
        let seed = now.0 ^ u64::from(key.port) << 32;
        let (ip, _) = gateway.host();
        let mut stack = Stack::new(now, ip, mtu, settings.window, seed);
        let is_broken = stack.connect((key.device, key.device_port), key.port).is_err();
        let socket = stack.socket();
        socket.set_ack_delay(Some(ACK_DELAY.into()));
        socket.set_timeout(Some(patience.into()));
        Flow {
            gateway,
            key,
            stack,
            packets,
            lane: PollSender::new(gateway.0.lane.clone()),
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            to_device: Pace::new(settings.window),
            from_device: Pace::new(settings.window),
            window: Window::default(),
            unacknowledged: 0,
            is_connected: false,
            has_ended: (false, false),
            is_shut: false,
            has_heard: false,
            is_broken,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, stream: &mut impl Stream) -> Poll<Outcome> {
        for _ in 0..ROUNDS {
            let now = self.gateway.0.clock.now();
            let mut has_moved = self.take_packets(cx);
            has_moved |= self.stack.poll(now);
            has_moved |= self.exchange(cx, stream);
            has_moved |= self.stack.poll(now);
            has_moved |= match self.send_packets(cx) {
                Some(has_moved) => has_moved,
                None => return Poll::Ready(Outcome::Reset), // there is no gateway any more
            };
            if let Some(outcome) = self.outcome() {
                return Poll::Ready(outcome);
            }
            if !has_moved && self.waits(cx, now) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether there is nothing to do before something happens, or before the time that is set here.
    fn waits(&mut self, cx: &mut Context<'_>, now: Timestamp) -> bool {
        if !self.stack.queues.outgoing.is_empty() {
            return true; // room in the lane comes first
        }
        let Some(delay) = self.stack.poll_delay(now) else { return true };
        self.timer.as_mut().reset(Instant::now() + delay);
        self.timer.as_mut().poll(cx).is_pending()
    }

    fn take_packets(&mut self, cx: &mut Context<'_>) -> bool {
        let mut has_moved = false;
        while self.stack.queues.incoming.len() < super::PACKETS
            && let Poll::Ready(Some(packet)) = self.packets.poll_recv(cx)
        {
            self.stack.queues.incoming.push_back(packet);
            has_moved = true;
        }
        self.has_heard |= has_moved;
        has_moved
    }

    /// Puts packets into the lane; `None` when there is none.
    fn send_packets(&mut self, cx: &mut Context<'_>) -> Option<bool> {
        let mut has_moved = false;
        while !self.stack.queues.outgoing.is_empty() {
            match self.lane.poll_reserve(cx) {
                Poll::Pending => break,
                Poll::Ready(Err(_)) => return None,
                Poll::Ready(Ok(())) => {}
            }
            let mut packet = self.stack.queues.outgoing.pop_front().unwrap_or_default();
            self.window.lower(&mut packet, self.from_device.bound());
            let (_, source) = self.gateway.host();
            // A device that is away gets it under its last address, or not at all.
            let destination = self.gateway.device_mac().unwrap_or_default();
            let frame = Ethernet { destination, source, kind: 0x0800 }.frame(&packet);
            self.lane.send_item(frame.into()).ok()?;
            has_moved = true;
        }
        Some(has_moved)
    }

    /// Moves bytes between the stream and the stack; whether any moved.
    fn exchange(&mut self, cx: &mut Context<'_>, stream: &mut impl Stream) -> bool {
        let state = self.stack.socket().state();
        if state == State::SynSent {
            return false;
        }
        if state == State::Established && !std::mem::replace(&mut self.is_connected, true) {
            count(&self.gateway.0.counters.connections, 1);
            self.stack.socket().set_timeout(Some(PATIENCE.into()));
        }
        self.has_ended.1 |=
            matches!(state, State::CloseWait | State::LastAck | State::Closing | State::TimeWait);
        let has_moved = self.fill_stream(cx, stream);
        self.drain_stream(cx, stream) || has_moved
    }

    fn fill_stream(&mut self, cx: &mut Context<'_>, stream: &mut impl Stream) -> bool {
        let mut has_moved = false;
        while self.stack.socket().can_recv() {
            let written = self.stack.socket().recv(|data| {
                match Pin::new(&mut *stream).poll_write(cx, data) {
                    Poll::Ready(Ok(n)) => (n, Poll::Ready(Ok(n))),
                    other => (0, other),
                }
            });
            match written {
                Ok(Poll::Ready(Ok(n))) => {
                    count(&self.gateway.0.counters.from_device, n);
                    self.from_device.count(n, self.gateway.0.clock.now());
                    has_moved = true;
                }
                Ok(Poll::Ready(Err(_))) => {
                    self.break_off();
                    return true;
                }
                Ok(Poll::Pending) | Err(_) => break,
            }
        }
        let is_all = self.has_ended.1 && !self.stack.socket().can_recv();
        if is_all && !self.is_shut {
            // A stream that cannot be shut has gone, which reading shows.
            self.is_shut = Pin::new(stream).poll_shutdown(cx).is_ready();
            has_moved |= self.is_shut;
        }
        has_moved
    }

    fn drain_stream(&mut self, cx: &mut Context<'_>, stream: &mut impl Stream) -> bool {
        let mut has_moved = false;
        let now = self.gateway.0.clock.now();
        let waiting = self.stack.socket().send_queue();
        self.to_device.count(self.unacknowledged.saturating_sub(waiting), now);
        self.unacknowledged = waiting;
        while !self.has_ended.0 && self.stack.socket().can_send() {
            let bound = self.to_device.bound();
            let free = bound.saturating_sub(self.unacknowledged);
            if free == 0 {
                break; // acknowledgements make room
            }
            let read = self.stack.socket().send(|room| {
                // Two segments are on their way by turns, and a receiver acknowledges every second one.
                let most = room.len().min(free).min(bound / 2);
                let mut room = ReadBuf::new(room.get_mut(..most).unwrap_or_default());
                let read = Pin::new(&mut *stream).poll_read(cx, &mut room);
                let n = room.filled().len();
                (n, read.map_ok(|()| n))
            });
            match read {
                Ok(Poll::Ready(Ok(0))) => {
                    self.has_ended.0 = true;
                    self.stack.socket().close();
                    return true;
                }
                Ok(Poll::Ready(Ok(n))) => {
                    count(&self.gateway.0.counters.to_device, n);
                    self.unacknowledged += n;
                    has_moved = true;
                }
                Ok(Poll::Ready(Err(_))) => {
                    self.break_off();
                    return true;
                }
                Ok(Poll::Pending) | Err(_) => break,
            }
        }
        has_moved
    }

    /// The stream is gone: the device is told by a reset.
    fn break_off(&mut self) {
        self.is_broken = true;
        self.stack.socket().abort();
    }

    /// How it ended, if it has, and everything has gone that was to go.
    fn outcome(&mut self) -> Option<Outcome> {
        let has_data = self.stack.socket().can_recv() && !self.is_broken;
        let is_whole = self.has_ended == (true, true);
        let is_over = match self.stack.socket().state() {
            // A reset of ours has to go first; then the socket knows no peer any more.
            State::Closed => self.stack.socket().remote_endpoint().is_none(),
            State::TimeWait => is_whole && self.is_shut,
            _ => false,
        };
        if !is_over || has_data || !self.stack.queues.outgoing.is_empty() {
            return None;
        }
        Some(match (is_whole && !self.is_broken, self.is_connected) {
            (true, _) => Outcome::Done,
            (false, true) => Outcome::Reset,
            (false, false) if self.has_heard => Outcome::Refused,
            (false, false) => Outcome::NoAnswer,
        })
    }
}

impl Drop for Flow<'_> {
    fn drop(&mut self) {
        let waits = self.stack.socket().state() == State::TimeWait;
        self.gateway.leave(&self.key, waits);
    }
}
