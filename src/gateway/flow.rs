//! One connection: a stream of this machine at one end, the device at the other, a small stack in
//! between.
//!
//! The stack's buffers are the only ones, so that each side feels what the other does: who does not read
//! is sent no more, an end of one side becomes an end at the other while the way back stays open, and
//! a reset goes through as a reset.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use smoltcp::socket::tcp::State;
use tokio::io::ReadBuf;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::PollSender;

use super::client::Stream;
use super::door::{Door, Turn};
use super::pace::{FROM_DEVICE, Pace, TO_DEVICE, Window};
use super::patience::Patience;
use super::resets::{Resets, Verdict};
use super::stack::Stack;
use super::{Gateway, Key, count};
use crate::clock::Timestamp;
use crate::craft::layers::Ethernet;

/// Acknowledgements wait so long for data that goes the same way, and for a second segment; on a slow line
/// others come in between meanwhile.
const ACK_DELAY: Duration = Duration::from_millis(2);
/// When the line was away, the device is asked so often whether it still knows the connection.
const PROBE: Duration = Duration::from_secs(2);
/// Rounds until others have their turn.
const ROUNDS: usize = 32;

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
    /// The device has stopped to answer.
    Lost,
    /// There are too many already.
    TooMany,
}

/// Moves bytes between `stream` and the device, in packets of at most `mtu` bytes, until both are done.
pub(super) async fn run(
    gateway: &Gateway,
    stream: &mut impl Stream,
    key: Key,
    packets: mpsc::Receiver<Bytes>,
    turn: Turn,
    mtu: usize,
) -> Outcome {
    let mut flow = Flow::new(gateway, key, packets, turn, mtu);
    poll_fn(|cx| flow.poll(cx, stream)).await
}

struct Flow<'a> {
    gateway: &'a Gateway,
    key: Key,
    seed: u64,
    mtu: usize,
    stack: Stack,
    door: Arc<Door>,
    packets: mpsc::Receiver<Bytes>,
    lane: PollSender<Bytes>,
    timer: Pin<Box<Sleep>>,
    /// How much may be on its way, to the device and from it.
    to_device: Pace,
    from_device: Pace,
    window: Window,
    resets: Resets,
    /// Until the device has accepted or refused.
    turn: Option<Turn>,
    /// Bytes that were not acknowledged when we looked last.
    unacknowledged: usize,
    /// The device has accepted.
    is_connected: bool,
    /// Our side has said all, and the device its.
    has_ended: (bool, bool),
    /// The stream was told that the device has said all.
    is_shut: bool,
    patience: Patience,
    /// Whether the stream was asked for more, so that it wakes us when it breaks.
    is_reading: bool,
    /// Why we broke it off, if we did.
    broken: Option<Outcome>,
}

impl<'a> Flow<'a> {
    fn new(
        gateway: &'a Gateway,
        key: Key,
        packets: mpsc::Receiver<Bytes>,
        turn: Turn,
        mtu: usize,
    ) -> Flow<'a> {
        let settings = &gateway.0.settings;
        let now = gateway.0.clock.now();
        let seed = now.0 ^ u64::from(key.port) << 32;
        let (stack, is_broken) = Flow::begin(gateway, &key, seed, mtu);
        Flow {
            gateway,
            key,
            seed,
            mtu,
            stack,
            door: turn.door(),
            packets,
            lane: PollSender::new(gateway.0.lane.clone()),
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            to_device: Pace::new(TO_DEVICE, settings.window),
            from_device: Pace::new(FROM_DEVICE, settings.window),
            window: Window::default(),
            resets: Resets::default(),
            turn: Some(turn),
            unacknowledged: 0,
            is_connected: false,
            has_ended: (false, false),
            is_shut: false,
            patience: Patience::new(now),
            is_reading: false,
            broken: is_broken.then_some(Outcome::Reset),
        }
    }

    /// A stack that is about to send its SYN; whether it cannot. The same seed makes the same SYN.
    fn begin(gateway: &Gateway, key: &Key, seed: u64, mtu: usize) -> (Stack, bool) {
        let settings = &gateway.0.settings;
        let (now, (ip, _)) = (gateway.0.clock.now(), gateway.host());
        let mut stack = Stack::new(now, ip, mtu, settings.window, seed);
        stack.socket().set_ack_delay(Some(ACK_DELAY.into()));
        let is_broken = stack.connect((key.device, key.device_port), key.port).is_err();
        (stack, is_broken)
    }

    fn poll(&mut self, cx: &mut Context<'_>, stream: &mut impl Stream) -> Poll<Outcome> {
        for _ in 0..ROUNDS {
            let now = self.gateway.0.clock.now();
            let mut has_moved = self.take_packets(cx, now);
            has_moved |= self.stack.poll(now);
            has_moved |= self.knock(cx, now);
            has_moved |= self.exchange(cx, stream);
            has_moved |= self.mind(stream, now);
            has_moved |= self.stack.poll(now);
            has_moved |= match self.send_packets(cx, now) {
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
        let can_send = self.stack.queues.outgoing.is_empty(); // or room in the lane comes first
        let delay = self.stack.poll_delay(now).filter(|_| can_send);
        let knock = self.turn.as_ref().map(Turn::due);
        let times = [knock, self.patience.due(!self.is_reading)].into_iter().flatten();
        let Some(delay) = times.map(|time| time.since(now)).chain(delay).min() else { return true };
        self.timer.as_mut().reset(Instant::now() + delay);
        self.timer.as_mut().poll(cx).is_pending()
    }

    fn take_packets(&mut self, cx: &mut Context<'_>, now: Timestamp) -> bool {
        let mut has_moved = false;
        while self.stack.queues.incoming.len() < super::PACKETS
            && let Poll::Ready(Some(packet)) = self.packets.poll_recv(cx)
        {
            has_moved = true;
            if packet.is_empty() {
                self.stack.socket().set_keep_alive(Some(PROBE.into())); // another device may be there
                continue;
            }
            self.patience.hear(now);
            self.door.answer(now);
            self.stack.socket().set_keep_alive(None);
            match self.resets.judge(&packet, now) {
                Verdict::Take => self.stack.queues.incoming.push_back(packet),
                Verdict::Challenge(answer) => self.stack.queues.outgoing.push_back(answer),
                Verdict::Drop => {}
            }
        }
        if has_moved {
            // A device that may send no more waits for us.
            let left = self.resets.expected().map_or(usize::MAX, |seq| self.window.left(seq));
            let delay = if left < FROM_DEVICE { Duration::ZERO } else { ACK_DELAY };
            self.stack.socket().set_ack_delay(Some(delay.into()));
        }
        has_moved
    }

    /// Knocks again while the device says nothing; whether it did.
    fn knock(&mut self, cx: &mut Context<'_>, now: Timestamp) -> bool {
        let Some(turn) = &mut self.turn else { return false };
        if self.stack.socket().state() != State::SynSent {
            self.turn = None;
            return true;
        }
        if now >= turn.deadline() {
            self.break_off(Outcome::NoAnswer);
            return true;
        }
        let is_due = turn.poll(cx, now);
        if is_due {
            // Its own timers would wait for longer and longer, and for the first data after that.
            (self.stack, _) = Flow::begin(self.gateway, &self.key, self.seed, self.mtu);
        }
        is_due
    }

    /// Breaks the connection off if one of both ends is not there any more; whether it did.
    fn mind(&mut self, stream: &impl Stream, now: Timestamp) -> bool {
        if self.broken.is_some() {
            return false;
        }
        let socket = self.stack.socket();
        let owes = socket.send_queue() > 0
            || matches!(socket.state(), State::FinWait1 | State::Closing | State::LastAck);
        let mut outcome = self.patience.with_device(owes, now);
        if outcome.is_none() && !self.is_reading {
            let waits = self.turn.is_none();
            outcome = self.patience.with_client(|| stream.presence(), waits, now);
        }
        outcome.map(|outcome| self.break_off(outcome)).is_some()
    }

    /// Puts packets into the lane; `None` when there is none.
    fn send_packets(&mut self, cx: &mut Context<'_>, now: Timestamp) -> Option<bool> {
        let company = self.gateway.0.company.is_here(now);
        let bound = self.from_device.bound(company, self.resets.longest());
        let mut has_moved = false;
        while !self.stack.queues.outgoing.is_empty() {
            match self.lane.poll_reserve(cx) {
                Poll::Pending => break,
                Poll::Ready(Err(_)) => return None,
                Poll::Ready(Ok(())) => {}
            }
            let mut packet = self.stack.queues.outgoing.pop_front().unwrap_or_default();
            self.window.lower(&mut packet, bound);
            self.resets.sent(&packet);
            has_moved = true;
            // What a device would have got that is away is sent again when it is back.
            let Some(destination) = self.gateway.mac_of(self.key.device) else {
                self.lane.abort_send();
                continue;
            };
            let (_, source) = self.gateway.host();
            let frame = Ethernet { destination, source, kind: 0x0800 }.frame(&packet);
            self.lane.send_item(frame.into()).ok()?;
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
                    self.break_off(Outcome::Reset);
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
        let now = self.gateway.0.clock.now();
        let waiting = self.stack.socket().send_queue();
        self.to_device.count(self.unacknowledged.saturating_sub(waiting), now);
        self.unacknowledged = waiting;
        self.is_reading = false;
        let bound = self.to_device.bound(self.gateway.0.company.is_here(now), 0);
        let free = bound.saturating_sub(self.unacknowledged); // acknowledgements make room
        if free < (bound / 2).min(TO_DEVICE / 2)
            || self.has_ended.0
            || !self.stack.socket().can_send()
        {
            return false;
        }
        let read = self.stack.socket().send(|room| {
            // Two segments are on their way by turns, and a receiver acknowledges every second one: what is
            // read now is sent before more is read, or both would go as one.
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
            }
            Ok(Poll::Ready(Ok(n))) => {
                count(&self.gateway.0.counters.to_device, n);
                self.unacknowledged += n;
                self.patience.moved();
            }
            Ok(Poll::Ready(Err(_))) => self.break_off(Outcome::Reset),
            Ok(Poll::Pending) => {
                self.is_reading = true;
                return false;
            }
            Err(_) => return false,
        }
        true
    }

    /// Nothing more is to be said: the device is told by a reset.
    fn break_off(&mut self, why: Outcome) {
        self.broken = Some(why);
        self.stack.socket().abort();
    }

    /// How it ended, if it has, and everything has gone that was to go.
    fn outcome(&mut self) -> Option<Outcome> {
        let has_data = self.stack.socket().can_recv() && self.broken.is_none();
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
        Some(match (self.broken, is_whole) {
            (Some(why), _) => why,
            (None, true) => Outcome::Done,
            (None, false) if self.is_connected => Outcome::Reset,
            (None, false) => Outcome::Refused,
        })
    }
}

impl Drop for Flow<'_> {
    fn drop(&mut self) {
        let waits = self.stack.socket().state() == State::TimeWait;
        self.gateway.leave(&self.key, waits);
        self.door.make_room();
    }
}
