//! Frames behind their length, which does not count itself: `len16be`, `len16le`, `len32be`.
//!
//! The line has no checksum, no escape and no sync mark. While the decoder is *in step* a header
//! in range is believed, as the device believes it.
//! It loses step in four ways, and each yields one record that owns the bytes concerned:
//!
//! - a length of 0 or beyond the limit: it searches for the next place where a frame plausibly
//!   begins, confirmed by its own checksums or by another header behind it (`sure`), or at least
//!   by headers that agree with its length (`likely`);
//! - the line fell silent for a second in mid-frame, and what comes then is a frame of its own:
//!   the first one was cut (receivers discard it after the same second);
//! - what a header in range announced is no frame, or one with a wrong checksum, and contains the
//!   start of another: bytes were lost, the sender was reset, or we joined in mid-frame;
//! - the stream ends in mid-frame.
//!
//! While in step a good frame comes out with its last byte. One that looks odd or damaged may have
//! to wait for what follows, to tell it from the pieces of two.
//!
//! The search wants to look ahead, and so does the judgement of a frame that looks damaged; [`Decoder::idle`] and [`Decoder::finish`] decide with what is
//! there, so that the last frame before a silence is never withheld.

use std::marker::PhantomData;

use bytes::{Buf, Bytes, BytesMut};

use super::arrivals::Arrivals;
use super::plausible::{Verdict, judge};
use super::prefix::Prefix;
use super::{Decoder, STALL};
use crate::clock::Timestamp;
use crate::record::{Body, FramingError, Origin, Problem, Record, Recovery};
use search::{Candidate, Inside, candidate, frame_inside, frames_at_end, settle};

mod search;

/// Passed-over bytes are handed out in records of at most this size.
const CHUNK: usize = 64 * 1024;

/// A decoder of frames behind lengths of that kind.
pub(super) struct Prefixed<P> {
    prefix: PhantomData<fn() -> P>,
    origin: Origin,
    max: usize,
    state: State,
    /// Bytes that are in no record yet; the first is at `offset` in the stream.
    pending: BytesMut,
    offset: u64,
    arrivals: Arrivals,
    /// In mid-frame: the line was silent in front of this byte of `pending`.
    stalled: Option<usize>,
    /// No more bytes come for now: what is unclear counts as a no.
    hurry: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// At a header, or inside the frame that it announced.
    InStep,
    /// `pending` begins with bytes that are no frame; in front of `scanned` none begins.
    Searching { problem: Problem, scanned: usize },
}

/// Bytes in arrival order from whose front records are cut: a chunk itself, or the collected
/// pieces of several.
trait Front {
    fn view(&self) -> &[u8];
    fn take(&mut self, n: usize) -> Bytes;
}

impl Front for Bytes {
    fn view(&self) -> &[u8] {
        self
    }
    fn take(&mut self, n: usize) -> Bytes {
        self.split_to(n)
    }
}

impl Front for BytesMut {
    fn view(&self) -> &[u8] {
        self
    }
    fn take(&mut self, n: usize) -> Bytes {
        self.split_to(n).freeze()
    }
}

impl<P: Prefix> Prefixed<P> {
    pub(super) fn new(origin: Origin, max: usize) -> Self {
        Prefixed {
            prefix: PhantomData,
            origin,
            max,
            state: State::InStep,
            pending: BytesMut::new(),
            offset: 0,
            arrivals: Arrivals::default(),
            stalled: None,
            hurry: false,
        }
    }

    /// Cuts every record that is complete off the front.
    fn advance(&mut self, front: &mut impl Front, out: &mut Vec<Record>) {
        while match self.state {
            State::InStep => self.step(front, out),
            State::Searching { problem, scanned } => self.search(front, problem, scanned, out),
        } {}
    }

    /// One frame in step; `false` when it needs more bytes.
    fn step(&mut self, front: &mut impl Front, out: &mut Vec<Record>) -> bool {
        let bytes = front.view();
        let length = P::read(bytes);
        if let Some(stalled) = self.stalled {
            // The start of the other frame can reach beyond the end of this one: wait for it.
            match judge::<P>(bytes.get(stalled..).unwrap_or_default(), self.max) {
                Verdict::Strong(_) => {
                    let length = if stalled < P::SIZE { None } else { length.map(|n| n as u32) };
                    let problem = Problem::Cut { length };
                    self.pass_over(front, stalled, problem, Recovery::Likely, out);
                    return true;
                }
                Verdict::Short if !self.hurry => return false,
                _ => self.stalled = None,
            }
        }
        let Some(length) = length else { return false };
        if length == 0 || length > self.max {
            let problem = match length {
                0 => Problem::ZeroLength,
                _ => Problem::TooLong { length: length as u32, limit: self.max as u32 },
            };
            self.state = State::Searching { problem, scanned: 1 };
            return true;
        }
        let whole = bytes.len() >= P::SIZE + length;
        if !whole && !self.hurry {
            return false;
        }
        match frame_inside::<P>(bytes, P::SIZE + length, self.max, self.hurry) {
            Inside::Begins(at) => {
                let problem = Problem::OutOfStep { length: length as u32 };
                self.pass_over(front, at, problem, Recovery::Likely, out);
                return true;
            }
            Inside::Unclear => return false,
            Inside::Nothing if !whole => return false,
            Inside::Nothing => {}
        }
        let frame = front.take(P::SIZE + length).slice(P::SIZE..);
        self.emit(P::SIZE + length, Body::Frame(frame), out);
        true
    }

    /// Looks for the next frame; `false` when it needs more bytes.
    fn search(
        &mut self,
        front: &mut impl Front,
        problem: Problem,
        mut at: usize,
        out: &mut Vec<Record>,
    ) -> bool {
        let bytes = front.view();
        while at < bytes.len() {
            if at >= CHUNK {
                self.pass_over(front, at, problem, Recovery::Searching, out);
                self.state = State::Searching { problem: Problem::Continued, scanned: 0 };
                return true;
            }
            match candidate::<P>(&bytes[at..], self.max) {
                Candidate::No => at += 1,
                Candidate::Unclear => break,
                Candidate::Frame(recovery) => {
                    self.back_in_step(front, at, problem, recovery, out);
                    return true;
                }
            }
        }
        self.state = State::Searching { problem, scanned: at };
        false
    }

    /// A frame begins behind the first `n` bytes.
    fn back_in_step(
        &mut self,
        front: &mut impl Front,
        n: usize,
        problem: Problem,
        recovery: Recovery,
        out: &mut Vec<Record>,
    ) {
        if n > 0 {
            self.pass_over(front, n, problem, recovery, out);
        }
        self.state = State::InStep;
    }

    /// Hands out the first `n` bytes, at least one, as a framing error.
    fn pass_over(
        &mut self,
        front: &mut impl Front,
        n: usize,
        problem: Problem,
        recovery: Recovery,
        out: &mut Vec<Record>,
    ) {
        let bytes = front.take(n);
        self.emit(n, Body::FramingError(FramingError { problem, bytes, recovery }), out);
    }

    /// Appends a record of the next `n` bytes of the stream.
    fn emit(&mut self, n: usize, body: Body, out: &mut Vec<Record>) {
        let start = self.offset;
        self.offset += n as u64;
        self.stalled = None;
        let time = self.arrivals.take(start, self.offset);
        out.push(Record { time: Some(time), origin: self.origin, offset: Some(start), body });
    }

    /// How many more bytes the record in `pending` can use, at most; more may follow it.
    fn wanted(&self) -> usize {
        match (self.state, P::read(&self.pending)) {
            (State::Searching { .. }, _) => usize::MAX,
            (State::InStep, None) => P::SIZE - self.pending.len(),
            (State::InStep, Some(length)) => {
                P::SIZE.saturating_add(length).saturating_sub(self.pending.len())
            }
        }
    }

    /// Hands out everything that is left.
    fn end(&mut self, recovery: Recovery, out: &mut Vec<Record>) {
        if !self.pending.is_empty() {
            self.decide(out);
        }
        let n = self.pending.len();
        if n == 0 {
            return;
        }
        let problem = match self.state {
            State::Searching { problem, .. } => problem,
            State::InStep => {
                Problem::Cut { length: P::read(&self.pending).map(|length| length as u32) }
            }
        };
        // That it is no frame was known before: an error, and not the piece of a frame in which we stop.
        let recovery = match (self.state, recovery) {
            (State::Searching { .. }, Recovery::Stopped) => Recovery::Searching,
            _ => recovery,
        };
        let mut pending = std::mem::take(&mut self.pending);
        self.pass_over(&mut pending, n, problem, recovery, out);
        self.state = State::InStep;
    }

    /// Decides with what is there, as far as it can be decided.
    fn decide(&mut self, out: &mut Vec<Record>) {
        let mut pending = std::mem::take(&mut self.pending);
        self.hurry = true;
        self.advance(&mut pending, out);
        while let State::Searching { problem, scanned } = self.state {
            let Some((at, recovery)) = settle::<P>(&pending, scanned, self.max) else { break };
            self.back_in_step(&mut pending, at, problem, recovery, out);
            self.advance(&mut pending, out);
        }
        if let (State::InStep, Some(at)) = (self.state, frames_at_end::<P>(&pending, self.max)) {
            let length = P::read(&pending).map(|length| length as u32);
            self.pass_over(&mut pending, at, Problem::Cut { length }, Recovery::Sure, out);
            self.advance(&mut pending, out);
        }
        self.hurry = false;
        self.pending = pending;
    }
}

impl<P: Prefix> Decoder for Prefixed<P> {
    fn push(&mut self, now: Timestamp, bytes: &Bytes, out: &mut Vec<Record>) {
        if bytes.is_empty() {
            return;
        }
        let end = self.offset + (self.pending.len() + bytes.len()) as u64;
        self.arrivals.came(now, end);
        let mut chunk = bytes.clone();
        while !chunk.is_empty() {
            if self.pending.is_empty() {
                self.advance(&mut chunk, out);
                self.pending.extend_from_slice(&chunk);
                return;
            }
            let n = self.wanted().max(1).min(chunk.len());
            self.pending.extend_from_slice(&chunk[..n]);
            chunk.advance(n);
            let mut pending = std::mem::take(&mut self.pending);
            self.advance(&mut pending, out);
            self.pending = pending;
        }
    }

    fn idle(&mut self, now: Timestamp, out: &mut Vec<Record>) {
        if self.pending.is_empty() {
            return;
        }
        self.decide(out);
        let silent = now.since(self.arrivals.last()) >= STALL;
        if silent && self.state == State::InStep && !self.pending.is_empty() {
            self.stalled = Some(self.pending.len());
        }
    }

    fn finish(&mut self, _now: Timestamp, out: &mut Vec<Record>) {
        self.end(Recovery::Ended, out);
    }

    fn stop(&mut self, _now: Timestamp, out: &mut Vec<Record>) {
        self.end(Recovery::Stopped, out);
    }

    fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    fn until_boundary(&self) -> Option<usize> {
        match (self.state, self.pending.len()) {
            (_, 0) => Some(0),
            (State::InStep, n) if n >= P::SIZE => {
                Some(self.wanted()).filter(|missing| *missing > 0)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod others;
#[cfg(test)]
mod tests;
