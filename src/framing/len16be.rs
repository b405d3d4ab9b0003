//! `len16be`: each frame behind its length, 2 bytes, big endian, which does not count itself.
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

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use super::plausible::{Verdict, be16, is_confirmed, is_damaged, judge};
use super::{Decoder, Framing};
use crate::clock::Timestamp;
use crate::record::{Body, FramingError, Origin, Problem, Record, Recovery, Span};

/// The framing of the ESP32 tunnel; VDE streams are byte-identical.
pub(super) static LEN16BE: Framing = Framing {
    name: "len16be",
    help: "2-byte big-endian length (ESP32 tunnel, VDE)",
    longest: 65535,
    decoder: |origin, max| Box::new(Len16be::new(origin, max)),
    append: |frame, out| {
        out.extend_from_slice(&(frame.len() as u16).to_be_bytes());
        out.extend_from_slice(frame);
    },
};

/// The bytes of a length header.
const HEADER: usize = 2;
/// Silence in mid-frame after which the known receivers discard what they have.
const STALL: Duration = Duration::from_secs(1);
/// Passed-over bytes are handed out in records of at most this size.
const CHUNK: usize = 64 * 1024;

struct Len16be {
    origin: Origin,
    max: usize,
    state: State,
    /// Bytes that are in no record yet; the first is at `offset` in the stream.
    pending: BytesMut,
    offset: u64,
    /// Which stream offsets had arrived by when, for the bytes in `pending`.
    arrivals: VecDeque<(u64, Timestamp)>,
    last_arrival: Timestamp,
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

/// What there is inside a supposed frame.
enum Inside {
    Nothing,
    /// A frame begins behind so many bytes.
    Begins(usize),
    /// More bytes are needed to tell.
    Unclear,
}

/// What a place in the stream is.
enum Candidate {
    /// No frame begins there.
    No,
    /// More bytes are needed to tell.
    Unclear,
    /// A frame begins there.
    Frame(Recovery),
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

impl Len16be {
    fn new(origin: Origin, max: usize) -> Self {
        Len16be {
            origin,
            max,
            state: State::InStep,
            pending: BytesMut::new(),
            offset: 0,
            arrivals: VecDeque::new(),
            last_arrival: Timestamp::default(),
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
        let length = be16(bytes, 0);
        if let Some(stalled) = self.stalled {
            // The start of the other frame can reach beyond the end of this one: wait for it.
            match judge(bytes.get(stalled..).unwrap_or_default(), self.max) {
                Verdict::Strong(_) => {
                    let length = if stalled < HEADER { None } else { length.map(|n| n as u32) };
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
        let whole = bytes.len() >= HEADER + length;
        if !whole && !self.hurry {
            return false;
        }
        match self.frame_inside(bytes, HEADER + length) {
            Inside::Begins(at) => {
                let problem = Problem::OutOfStep { length: length as u32 };
                self.pass_over(front, at, problem, Recovery::Likely, out);
                return true;
            }
            Inside::Unclear => return false,
            Inside::Nothing if !whole => return false,
            Inside::Nothing => {}
        }
        let frame = front.take(HEADER + length).slice(HEADER..);
        self.emit(HEADER + length, Body::Frame(frame), out);
        true
    }

    /// Whether a frame begins inside what a header announced, which ends at `end`, when that is
    /// itself no plausible frame or a damaged one. Looks beyond `end` only to be sure of a start
    /// in front of it.
    fn frame_inside(&self, bytes: &[u8], end: usize) -> Inside {
        let claimed = &bytes[..end.min(bytes.len())];
        let is_good = judge(claimed, self.max) != Verdict::No
            && !(claimed.len() == end && is_damaged(&claimed[HEADER..]));
        if is_good {
            return Inside::Nothing;
        }
        for at in 1..claimed.len().saturating_sub(1) {
            match judge(&bytes[at..], self.max) {
                Verdict::Strong(_) => return Inside::Begins(at),
                Verdict::Short if !self.hurry => return Inside::Unclear,
                _ => {}
            }
        }
        Inside::Nothing
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
            match self.candidate(&bytes[at..]) {
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

    /// Whether a frame begins at the start of `bytes`, and how sure that is.
    fn candidate(&self, bytes: &[u8]) -> Candidate {
        let verdict = judge(bytes, self.max);
        let length = match verdict {
            Verdict::No => return Candidate::No,
            Verdict::Short => return Candidate::Unclear,
            Verdict::Weak(length) | Verdict::Strong(length) => length,
        };
        let Some(frame) = bytes.get(HEADER..HEADER + length) else { return Candidate::Unclear };
        let is_strong = verdict == Verdict::Strong(length);
        if is_strong && is_confirmed(frame) {
            return Candidate::Frame(Recovery::Sure);
        }
        match judge(&bytes[HEADER + length..], self.max) {
            Verdict::Short => Candidate::Unclear,
            Verdict::Weak(_) | Verdict::Strong(_) => Candidate::Frame(Recovery::Sure),
            Verdict::No if is_strong => Candidate::Frame(Recovery::Likely),
            Verdict::No => Candidate::No,
        }
    }

    /// Where the search ends if no more bytes come: the first whole frame that is confirmed by
    /// what follows, by itself, or by ending exactly where the bytes end.
    fn settle(&self, bytes: &[u8], scanned: usize) -> Option<(usize, Recovery)> {
        (scanned..bytes.len()).find_map(|at| {
            let verdict = judge(&bytes[at..], self.max);
            let (Verdict::Weak(length) | Verdict::Strong(length)) = verdict else { return None };
            let behind = bytes.get(at + HEADER + length..)?;
            match judge(behind, self.max) {
                Verdict::Weak(_) | Verdict::Strong(_) => Some((at, Recovery::Sure)),
                _ if behind.is_empty() || verdict == Verdict::Strong(length) => {
                    Some((at, Recovery::Likely))
                }
                _ => None,
            }
        })
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
        let time = Span { first: self.arrival(start), last: self.arrival(self.offset - 1) };
        while self.arrivals.front().is_some_and(|&(end, _)| end <= self.offset) {
            self.arrivals.pop_front();
        }
        out.push(Record { time: Some(time), origin: self.origin, offset: Some(start), body });
    }

    /// When the byte at `offset` arrived.
    fn arrival(&self, offset: u64) -> Timestamp {
        self.arrivals
            .iter()
            .find(|&&(end, _)| end > offset)
            .map_or(self.last_arrival, |&(_, time)| time)
    }

    /// How many more bytes the record in `pending` can use, at most; more may follow it.
    fn wanted(&self) -> usize {
        match (self.state, be16(&self.pending, 0)) {
            (State::Searching { .. }, _) => usize::MAX,
            (State::InStep, None) => HEADER - self.pending.len(),
            (State::InStep, Some(length)) => (HEADER + length).saturating_sub(self.pending.len()),
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
                Problem::Cut { length: be16(&self.pending, 0).map(|length| length as u32) }
            }
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
            let Some((at, recovery)) = self.settle(&pending, scanned) else { break };
            self.back_in_step(&mut pending, at, problem, recovery, out);
            self.advance(&mut pending, out);
        }
        if let (State::InStep, Some(at)) = (self.state, self.frames_at_end(&pending)) {
            let length = be16(&pending, 0).map(|length| length as u32);
            self.pass_over(&mut pending, at, Problem::Cut { length }, Recovery::Sure, out);
            self.advance(&mut pending, out);
        }
        self.hurry = false;
        self.pending = pending;
    }

    /// Where whole and confirmed frames begin that lead to the very end of `bytes`, the incomplete
    /// rest of a stream: what is in front of them was cut.
    fn frames_at_end(&self, bytes: &[u8]) -> Option<usize> {
        let next = |at: usize| match judge(&bytes[at..], self.max) {
            Verdict::Strong(length) => bytes
                .get(at + HEADER..at + HEADER + length)
                .filter(|frame| is_confirmed(frame))
                .map(|_| at + HEADER + length),
            _ => None,
        };
        let leads_to_end = |mut at: usize| loop {
            match next(at) {
                Some(end) if end == bytes.len() => return true,
                Some(end) => at = end,
                None => return false,
            }
        };
        (1..bytes.len()).find(|&at| leads_to_end(at))
    }
}

impl Decoder for Len16be {
    fn push(&mut self, now: Timestamp, bytes: &Bytes, out: &mut Vec<Record>) {
        if bytes.is_empty() {
            return;
        }
        let end = self.offset + (self.pending.len() + bytes.len()) as u64;
        self.last_arrival = now;
        match self.arrivals.back_mut() {
            Some(last) if last.1 == now => last.0 = end,
            _ => self.arrivals.push_back((end, now)),
        }
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
        let silent = now.since(self.last_arrival) >= STALL;
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
            (State::InStep, 2..) => Some(self.wanted()).filter(|missing| *missing > 0),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
