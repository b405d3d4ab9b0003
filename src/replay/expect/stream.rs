//! One TCP connection, recorded and of today, as streams: how it opened, what the other side said, how it ended.
//!
//! Both streams are put in order and compared from the front as far as both are there; what is equal is forgotten.
//! At the first difference the rest of the line is awaited on both sides, so that it can be shown whole.

use std::collections::VecDeque;

use bytes::Bytes;

use super::fields::{self, Change, Entry};
use super::hidden;
use super::ignore::Ignored;
use super::mask::Mask;
use crate::clock::Timestamp;
use crate::stream::{Assembly, Piece};

/// Bytes of a line that are shown, at most.
const SHOWN: usize = 120;
/// Frames of the capture whose place in the stream is remembered.
const FRAMES: usize = 4096;
/// Bytes that one side may be ahead.
const AHEAD: usize = 16 * 1024 * 1024;

/// How a side has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Closed,
    Reset,
}

impl End {
    fn name(self) -> &'static str {
        match self {
            End::Closed => "closed",
            End::Reset => "reset",
        }
    }
}

/// What a segment brings.
pub(super) struct Segment {
    pub(super) seq: u32,
    pub(super) is_syn: bool,
    pub(super) is_fin: bool,
    pub(super) is_rst: bool,
    pub(super) data: Bytes,
    /// The fields with which it opens the connection.
    pub(super) fields: Vec<Entry>,
}

/// What one side has sent.
#[derive(Debug, Default)]
struct Half {
    first: Option<u32>,
    opened: Option<Vec<Entry>>,
    assembly: Assembly,
    mask: Mask,
    buffer: Vec<u8>,
    total: u64,
    end: Option<End>,
}

impl Half {
    fn push(&mut self, segment: Segment, ignored: &Ignored) {
        if segment.is_rst {
            self.end = self.end.or(Some(End::Reset));
            return self.mask.finish(&mut self.buffer);
        }
        let mut seq = segment.seq;
        if segment.is_syn {
            self.first = self.first.or(Some(seq));
            self.assembly.open(seq);
            self.opened = self.opened.take().or(Some(segment.fields));
            seq = seq.wrapping_add(1);
        }
        let mut pieces = Vec::new();
        self.assembly.push(Timestamp(0), seq, &segment.data, segment.is_fin, &mut pieces);
        for piece in pieces {
            match piece {
                Piece::Data(_, bytes) => {
                    self.total += bytes.len() as u64;
                    self.mask.push(&bytes, ignored, &mut self.buffer);
                }
                Piece::Lost(n) => self.total += n,
                Piece::End => {
                    self.mask.finish(&mut self.buffer);
                    self.end = self.end.or(Some(End::Closed));
                }
            }
        }
    }
}

/// What is wrong with a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The frame of the capture.
    pub(super) number: Option<u64>,
    pub(super) what: String,
    pub(super) changes: Vec<Change>,
}

/// Both sides of the comparison.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    expected: Half,
    actual: Half,
    /// Where in the expected stream frames end.
    frames: VecDeque<(u64, u64)>,
    /// The first and the last frame of the capture.
    begin: Option<u64>,
    last: Option<u64>,
    is_heard: bool,
    /// The recording lacks some of it.
    is_partial: bool,
    /// How much was equal, and the beginning of the line that comes next.
    equal: u64,
    line: Vec<u8>,
    has_compared_opening: bool,
    opens_differently: bool,
    /// Its streams differ, and that was told.
    is_different: bool,
    is_anonymized: bool,
}

impl Comparison {
    /// Whether a SYN with this number begins another connection than this one: for the recording, or for today.
    pub(super) fn is_another(&self, seq: u32, is_expected: bool) -> bool {
        let half = if is_expected { &self.expected } else { &self.actual };
        half.first.is_some_and(|first| first != seq)
    }

    /// Whether anything came of the recording, or of today.
    pub(super) fn has(&self, is_expected: bool) -> bool {
        if is_expected { self.last.is_some() } else { self.is_heard }
    }

    /// Takes a segment of the recording.
    pub(super) fn expect(&mut self, number: u64, segment: Segment, ignored: &Ignored) {
        self.begin = self.begin.or(Some(number));
        self.last = Some(number);
        self.is_anonymized = ignored.is_anonymized();
        self.expected.push(segment, ignored);
        let end = self.equal + self.expected.buffer.len() as u64;
        if self.frames.back().is_none_or(|(last, _)| *last < end) && self.frames.len() < FRAMES {
            self.frames.push_back((end, number));
        }
    }

    /// The recording has only the beginning of a segment: what was said cannot be compared.
    pub(super) fn expect_part(&mut self, number: u64) {
        self.begin = self.begin.or(Some(number));
        self.last = Some(number);
        self.is_partial = true;
    }

    /// Takes a segment of today.
    pub(super) fn hear(&mut self, segment: Segment, ignored: &Ignored) {
        self.is_heard = true;
        self.actual.push(segment, ignored);
    }

    /// Whether everything came as it was recorded, and nothing more is to come.
    pub(super) fn is_done(&self) -> bool {
        let is_empty = self.expected.buffer.is_empty() && self.actual.buffer.is_empty();
        is_empty && self.expected.end.is_some() && self.actual.end.is_some()
    }

    /// What is found to be different; with `is_over`, nothing more comes.
    pub(super) fn judge(&mut self, is_over: bool) -> Vec<Fault> {
        let mut faults = Vec::new();
        self.judge_opening(&mut faults);
        if self.is_different || self.is_partial {
            self.expected.buffer.clear();
            self.actual.buffer.clear();
            return faults;
        }
        if is_over {
            self.expected.mask.finish(&mut self.expected.buffer);
            self.actual.mask.finish(&mut self.actual.buffer);
        }
        let (expected, actual) = (&self.expected.buffer, &self.actual.buffer);
        let is_same = |(a, b): &(&u8, &u8)| hidden::is_same(**a, **b, self.is_anonymized);
        let same = expected.iter().zip(actual).take_while(is_same).count();
        if same < expected.len().min(actual.len()) {
            let is_whole = |half: &Half| {
                let rest = half.buffer.get(same..).unwrap_or_default();
                half.end.is_some() || rest.len() >= SHOWN || rest.contains(&b'\n')
            };
            if is_over || is_whole(&self.expected) && is_whole(&self.actual) {
                faults.push(self.difference(same));
            }
            return faults;
        }
        self.forget(same);
        let is_too_far = |half: &Half| half.buffer.len() > AHEAD;
        if is_over || is_too_far(&self.expected) || is_too_far(&self.actual) {
            faults.extend(self.ending());
        }
        faults
    }

    fn judge_opening(&mut self, faults: &mut Vec<Fault>) {
        if self.has_compared_opening {
            return;
        }
        if let (Some(expected), Some(actual)) = (&self.expected.opened, &self.actual.opened) {
            let changes = fields::diff(expected, actual);
            self.has_compared_opening = true;
            self.opens_differently = !changes.is_empty();
            if self.opens_differently {
                let what = "opens in another way".to_owned();
                faults.push(Fault { number: self.begin, what, changes });
            }
        } else if self.expected.opened.is_some() && self.actual.end == Some(End::Reset) {
            self.has_compared_opening = true;
            self.is_different = true;
            let what = "is refused today".to_owned();
            faults.push(Fault { number: self.begin, what, changes: Vec::new() });
        }
    }

    /// So many bytes are equal.
    fn forget(&mut self, n: usize) {
        let Some(bytes) = self.expected.buffer.get(..n) else { return };
        let begin = bytes.iter().rposition(|byte| *byte == b'\n');
        let begin = begin.map_or(0, |at| {
            self.line.clear();
            at + 1
        });
        self.line.extend(&bytes[begin..]);
        let long = self.line.len().saturating_sub(SHOWN / 2);
        self.line.drain(..long);
        self.expected.buffer.drain(..n);
        self.actual.buffer.drain(..n);
        self.equal += n as u64;
        while self.frames.front().is_some_and(|(end, _)| *end <= self.equal)
            && self.frames.len() > 1
        {
            self.frames.pop_front();
        }
    }

    /// The streams differ behind `same` more bytes.
    fn difference(&mut self, same: usize) -> Fault {
        self.forget(same);
        let line = |half: &Half| {
            let end =
                half.buffer.iter().position(|byte| *byte == b'\n').unwrap_or(half.buffer.len());
            let rest = half.buffer.get(..end.min(SHOWN)).unwrap_or_default();
            fields::printable([&self.line, rest].concat().trim_ascii_end())
        };
        let (expected, actual) = fields::around(&line(&self.expected), &line(&self.actual));
        let number = self.frames.front().map(|(_, number)| *number);
        self.is_different = true;
        let changes = vec![Change { name: String::new(), expected, actual }];
        Fault { number, what: format!("differs behind {} equal bytes", self.equal), changes }
    }

    /// What is left when nothing more comes.
    fn ending(&mut self) -> Option<Fault> {
        let (expected, actual) = (self.expected.buffer.len(), self.actual.buffer.len());
        let named = |end: Option<End>| end.map_or("open", End::name).to_owned();
        let is_opened = self.expected.opened.is_some() && self.actual.opened.is_none();
        let what = if is_opened && self.actual.total == 0 {
            "is not answered today".to_owned()
        } else if expected > 0 {
            let all = self.equal + expected as u64;
            format!("ends after {} of {all} bytes", self.equal)
        } else if actual > 0 && self.expected.end.is_some() {
            format!("has {actual} bytes more than the {} recorded ones", self.equal)
        } else {
            let (expected, actual) = (self.expected.end?, self.actual.end);
            if Some(expected) == actual {
                return None;
            }
            let name = "the end".to_owned();
            let change =
                Change { name, expected: expected.name().to_owned(), actual: named(actual) };
            self.is_different = true;
            let what = "ends in another way".to_owned();
            return Some(Fault { number: self.last, what, changes: vec![change] });
        };
        self.is_different = true;
        let number = match self.actual.total {
            0 if is_opened => self.begin,
            _ => self.frames.front().map(|(_, number)| *number).or(self.last),
        };
        Some(Fault { number, what, changes: Vec::new() })
    }

    /// How many bytes wait for their other half.
    pub(super) fn waiting(&self) -> usize {
        let held = |half: &Half| half.buffer.len() + half.assembly.held();
        held(&self.expected) + held(&self.actual)
    }

    /// The first frame of the capture.
    pub(super) fn begin(&self) -> Option<u64> {
        self.begin
    }

    /// Whether the recording lacks some of it.
    pub(super) fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// How many bytes were equal.
    pub(super) fn equal(&self) -> u64 {
        self.equal
    }

    /// Whether anything was told.
    pub(super) fn is_different(&self) -> bool {
        self.is_different || self.opens_differently
    }

    /// Whether it was recorded at all.
    pub(super) fn is_recorded(&self) -> bool {
        self.last.is_some()
    }
}
