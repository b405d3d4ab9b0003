//! The driver's receiving half: bytes and their times become frames.
//!
//! Theory of operation: two header bytes announce a frame; a length that cannot be is handled by the
//! model's [`Policy`]; a second header byte, or a body, that does not come in time is given up, and
//! the next byte is taken for a header. All times are those at which bytes arrived, so that the
//! outcome does not depend on when anybody looked.

use std::time::Duration;

use super::counters::Counters;
use super::faults::{Fault, Faults};
use super::model::{Model, Policy};
use crate::clock::Timestamp;

/// The receiver and where it is in the stream.
#[derive(Debug)]
pub struct Receiver {
    model: Model,
    faults: Faults,
    state: State,
}

/// What is thrown away together with what was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flush {
    /// Nothing.
    #[default]
    Nothing,
    /// What has arrived.
    Arrived,
    /// What is on its way as well.
    Everything,
}

#[derive(Debug)]
enum State {
    /// Waits for a header; has perhaps its first byte, since then.
    Header(Option<(u8, Timestamp)>),
    /// Reads a frame of `length` bytes since `since`.
    Body { length: usize, bytes: Vec<u8>, since: Timestamp },
    /// Throws away the body of a frame that is too long.
    Discard { left: usize, since: Timestamp },
    /// Hears nothing until then.
    Deaf(Timestamp),
    /// Hears nothing ever again.
    Dead,
}

impl Receiver {
    /// A receiver between frames.
    pub fn new(model: Model, faults: Faults) -> Self {
        Receiver { model, faults, state: State::Header(None) }
    }

    /// How many bytes it can use until something happens.
    pub fn wanted(&self) -> usize {
        match &self.state {
            State::Header(None) => 2,
            State::Header(Some(_)) => 1,
            State::Body { length, bytes, .. } => length - bytes.len(),
            State::Discard { left, .. } => *left,
            State::Deaf(_) | State::Dead => usize::MAX,
        }
    }

    /// When it gives up what it is waiting for.
    pub fn deadline(&self) -> Option<Timestamp> {
        let never_gives_up = self.faults.has(Fault::PartialKept);
        let after = |since: &Timestamp, timeout: Option<Duration>| {
            timeout.filter(|_| !never_gives_up).map(|timeout| *since + timeout)
        };
        match &self.state {
            State::Header(None) | State::Dead => None,
            State::Header(Some((_, since))) => after(since, self.header_timeout()),
            State::Body { since, length, .. } if *length > self.model.max_frame => {
                let _ = since; // waits for all of it, however long that takes
                None
            }
            State::Body { since, .. } | State::Discard { since, .. } => {
                after(since, self.body_timeout())
            }
            State::Deaf(until) => Some(*until),
        }
    }

    fn header_timeout(&self) -> Option<Duration> {
        self.model.header_timeout.map(|timeout| self.shortened(timeout))
    }

    fn body_timeout(&self) -> Option<Duration> {
        self.model.body_timeout.map(|timeout| self.shortened(timeout))
    }

    fn shortened(&self, timeout: Duration) -> Duration {
        match self.faults.has(Fault::ShortTimeout) {
            true => timeout.min(Duration::from_millis(100)),
            false => timeout,
        }
    }

    /// Its deadline has passed.
    pub fn give_up(&mut self, counters: &mut Counters) {
        match &self.state {
            State::Header(Some(_)) => counters.header_timeouts += 1,
            State::Body { .. } | State::Discard { .. } => counters.body_timeouts += 1,
            State::Header(None) | State::Deaf(_) | State::Dead => {}
        }
        self.state = State::Header(None);
    }

    /// Takes bytes, at most as many as are [`Receiver::wanted`], of which the last arrived at
    /// `now`; a frame, if they complete one. `flush` says what else is thrown away.
    pub fn push(
        &mut self,
        now: Timestamp,
        input: &[u8],
        counters: &mut Counters,
        flush: &mut Flush,
    ) -> Option<Vec<u8>> {
        match &mut self.state {
            State::Dead | State::Deaf(_) => {
                counters.flushed += input.len() as u64;
                None
            }
            State::Discard { left, .. } => {
                *left -= input.len().min(*left);
                counters.discarded += input.len() as u64;
                if *left == 0 {
                    self.state = State::Header(None);
                }
                None
            }
            State::Header(first) => {
                let mut header =
                    first.map(|(byte, _)| byte).into_iter().chain(input.iter().copied());
                match (header.next(), header.next()) {
                    (Some(a), Some(b)) => {
                        let length = usize::from(u16::from_be_bytes([a, b]));
                        self.announced(length, now, counters, flush);
                    }
                    (Some(a), None) => self.state = State::Header(Some((a, now))),
                    _ => {}
                }
                None
            }
            State::Body { length, bytes, .. } => {
                bytes.extend_from_slice(input);
                if bytes.len() < *length {
                    return None;
                }
                let (frame, too_long) = (std::mem::take(bytes), *length > self.model.max_frame);
                self.state = State::Header(None);
                if self.faults.has(Fault::OneFramePerRead) {
                    *flush = Flush::Everything;
                }
                (!too_long).then_some(frame)
            }
        }
    }

    fn announced(
        &mut self,
        length: usize,
        now: Timestamp,
        counters: &mut Counters,
        flush: &mut Flush,
    ) {
        if (1..=self.model.max_frame).contains(&length) {
            self.state = State::Body { length, bytes: Vec::with_capacity(length), since: now };
            return;
        }
        counters.bad_length += 1;
        self.state = match self.model.policy {
            _ if counters.bad_length >= 8 && self.faults.has(Fault::BadLengthsStop) => State::Dead,
            _ if length == 0 && self.faults.has(Fault::ZeroStops) => State::Dead,
            _ if length > 0 && self.faults.has(Fault::OversizeWaits) => {
                State::Body { length, bytes: Vec::new(), since: now }
            }
            Policy::Discard if length > 0 => State::Discard { left: length, since: now },
            Policy::Skip | Policy::Discard => State::Header(None),
            Policy::Flush => {
                *flush = Flush::Arrived;
                State::Deaf(now + self.model.resync)
            }
        };
    }

    /// The host has gone away. A UART does not notice; the state stays, and so does its timeout.
    pub fn disconnected(&mut self) {
        if self.faults.has(Fault::DeafAfterReconnect) {
            self.state = State::Dead;
        }
        if !self.faults.has(Fault::HalfFrameSurvives) {
            return;
        }
        // The fault: the timer is forgotten with the connection, the bytes are not.
        match &mut self.state {
            State::Body { since, .. } => *since = Timestamp(u64::MAX / 2),
            State::Header(Some((_, since))) => *since = Timestamp(u64::MAX / 2),
            _ => {}
        }
    }
}
