//! One TCP connection, recorded and of today, as streams: how it opened, what the other side said, how it ended.
//!
//! Both streams are put in order and compared from the front as far as both are there; what is equal is forgotten.
//! At the first difference the rest of the line is awaited on both sides, so that it can be shown whole. Of the
//! segments' headers, those of the first segment of each kind are compared. In the end everything of ours must be
//! acknowledged that was in the recording.

mod half;
mod segment;

use std::collections::VecDeque;

use self::half::{End, Half};
use self::segment::Kind;
pub(super) use self::segment::Segment;
use super::fields::{self, Change};
use super::hidden;
use super::ignore::Ignored;
use crate::dissect::Dissector;

/// Bytes of a line that are shown, at most.
const SHOWN: usize = 120;
/// Frames of the capture whose place in the stream is remembered.
const FRAMES: usize = 4096;
/// Bytes that one side may be ahead.
const AHEAD: usize = 16 * 1024 * 1024;

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
    /// The number behind our last byte, when we have ended it.
    our_end: Option<u32>,
    /// How much was equal, and the beginning of the line that comes next.
    equal: u64,
    line: Vec<u8>,
    has_compared: bool,
    /// What differs in headers.
    told: Vec<Change>,
    /// Its streams differ, and that was told.
    is_different: bool,
    /// What is worth knowing, and no difference.
    remark: Option<String>,
    is_anonymized: bool,
}

impl Comparison {
    /// Whether a SYN with this number begins another connection than this one: for the recording, or for today.
    pub(super) fn is_another(&self, first: u32, is_expected: bool) -> bool {
        let half = if is_expected { &self.expected } else { &self.actual };
        half.is_another(first)
    }

    /// Whether anything came of the recording, or of today.
    pub(super) fn has(&self, is_expected: bool) -> bool {
        if is_expected { self.last.is_some() } else { self.is_heard }
    }

    /// Takes a segment of the recording.
    pub(super) fn expect(&mut self, number: u64, segment: &Segment, ignored: &Ignored) {
        self.begin = self.begin.or(Some(number));
        self.last = Some(number);
        self.is_anonymized = ignored.is_anonymized();
        self.expected.push(segment, ignored);
        self.mark(number);
    }

    /// The stream has come so far with this frame of the capture.
    fn mark(&mut self, number: u64) {
        let end = self.expected.produced();
        if self.frames.back().is_none_or(|(last, _)| *last < end) && self.frames.len() < FRAMES {
            self.frames.push_back((end, number));
        }
    }

    /// We had acknowledged everything in front of `ack`, and ended the connection at `end` if that is known.
    pub(super) fn acknowledge(&mut self, ack: Option<u32>, end: Option<u32>, ignored: &Ignored) {
        self.our_end = self.our_end.or(end);
        if let Some(ack) = ack {
            self.expected.acknowledge(ack, ignored);
            self.last.into_iter().for_each(|last| self.mark(last));
        }
    }

    /// Takes a segment of today.
    pub(super) fn hear(&mut self, segment: &Segment, ignored: &Ignored) {
        self.is_heard = true;
        self.actual.push(segment, ignored);
    }

    /// Whether both sides have come to their end, as they were recorded.
    pub(super) fn is_over(&self) -> bool {
        let is_empty = self.expected.left() == 0 && self.actual.left() == 0;
        is_empty && self.expected.end.is_some() && self.actual.end.is_some()
    }

    /// Whether nothing more is to come, not even an acknowledgment.
    pub(super) fn is_done(&self) -> bool {
        let Comparison { expected, actual, our_end, .. } = self;
        let is_acknowledged = our_end
            .is_some_and(|end| expected.has_acknowledged(end) && actual.has_acknowledged(end));
        self.is_over() && (is_acknowledged || expected.is_reset && actual.is_reset)
    }

    /// Whether something was recorded that has not come yet.
    pub(super) fn is_waiting(&self) -> bool {
        let Comparison { expected, actual, .. } = self;
        !self.is_different && !actual.is_reset && actual.owes(expected) > 0
    }

    /// What is found to be different so far.
    pub(super) fn judge(&mut self, dissector: &mut Dissector, ignored: &Ignored) -> Vec<Fault> {
        let mut faults = self.judge_headers(dissector, ignored);
        faults.extend(self.judge_bytes(false));
        let is_too_far = |half: &Half| half.buffer.len() > AHEAD;
        if is_too_far(&self.expected) || is_too_far(&self.actual) {
            faults.extend(self.ending(false));
            self.actual.clear();
        }
        faults
    }

    /// What is found to be different when nothing more comes. When the recording was left behind in the middle
    /// (`is_cut_short`), more than that may have come.
    pub(super) fn conclude(
        &mut self,
        is_cut_short: bool,
        dissector: &mut Dissector,
        ignored: &Ignored,
    ) -> Vec<Fault> {
        self.expected.give_up(ignored);
        let mut faults = self.judge_headers(dissector, ignored);
        let is_between = self.expected.is_between();
        self.expected.finish();
        self.actual.finish();
        faults.extend(self.judge_bytes(true));
        if !self.is_different {
            let ending = self.ending(is_cut_short || !is_between);
            self.is_different |= ending.is_some();
            faults.extend(ending);
        }
        faults
    }

    fn judge_headers(&mut self, dissector: &mut Dissector, ignored: &Ignored) -> Vec<Fault> {
        let mut faults = Vec::new();
        let number = self.begin;
        for kind in Kind::ALL {
            let both = [&mut self.expected, &mut self.actual];
            let both = half::first_of_both(kind, both, dissector, ignored);
            let Some([expected, actual]) = both else { continue };
            self.has_compared = true;
            let mut changes = fields::diff(&expected, &actual);
            changes.retain(|change| !self.told.contains(change)); // once is enough
            if !changes.is_empty() {
                self.told.extend(changes.iter().cloned());
                let what = format!("{} in another way", kind.does());
                faults.push(Fault { number, what, changes });
            }
        }
        let is_refused = self.actual.end == Some(End::Reset) && !self.actual.is_opened();
        if is_refused && self.expected.is_opened() && !self.is_different {
            self.is_different = true;
            let what = "is refused today".to_owned();
            faults.push(Fault { number, what, changes: Vec::new() });
        }
        faults
    }

    /// Compares as far as both sides are there.
    fn judge_bytes(&mut self, is_over: bool) -> Option<Fault> {
        while !self.is_different {
            let (expected, actual) = (self.expected.known(), &self.actual.buffer);
            let is_same = |(a, b): &(&u8, &u8)| hidden::is_same(**a, **b, self.is_anonymized);
            let same = expected.iter().zip(actual).take_while(is_same).count();
            if same < expected.len().min(actual.len()) {
                let has_line = |bytes: &[u8]| {
                    let rest = bytes.get(same..).unwrap_or_default();
                    rest.len() >= SHOWN || rest.contains(&b'\n')
                };
                let is_cut = expected.len() < self.expected.buffer.len();
                let is_whole = (is_cut || self.expected.end.is_some() || has_line(expected))
                    && (self.actual.end.is_some() || has_line(actual));
                return (is_over || is_whole).then(|| self.difference(same));
            }
            self.forget(same);
            if !self.expected.pass_hole(&mut self.actual) {
                return None;
            }
            self.line.clear();
        }
        self.expected.clear();
        self.actual.clear();
        None
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
        self.expected.forget(n);
        self.actual.forget(n);
        self.equal += n as u64;
        while self.frames.front().is_some_and(|(end, _)| *end <= self.expected.taken())
            && self.frames.len() > 1
        {
            self.frames.pop_front();
        }
    }

    /// The streams differ behind `same` more bytes.
    fn difference(&mut self, same: usize) -> Fault {
        self.forget(same);
        let line = |bytes: &[u8]| {
            let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
            let rest = bytes.get(..end.min(SHOWN)).unwrap_or_default();
            fields::printable([&self.line, rest].concat().trim_ascii_end())
        };
        let (expected, actual) =
            fields::around(&line(self.expected.known()), &line(&self.actual.buffer));
        let number = self.frames.front().map(|(_, number)| *number);
        self.is_different = true;
        let changes = vec![Change { name: String::new(), expected, actual }];
        Fault { number, what: format!("differs behind {} equal bytes", self.equal), changes }
    }

    /// What is left when nothing more comes. Where the recording ends in the middle of something, more of it may
    /// have come.
    fn ending(&mut self, is_in_the_middle: bool) -> Option<Fault> {
        let (expected, actual) = (self.expected.left(), self.actual.buffer.len());
        let is_opened = self.expected.is_opened() && !self.actual.is_opened();
        let what = if is_opened && self.actual.total == 0 && self.actual.end.is_none() {
            "is not answered today".to_owned()
        } else if expected > 0 {
            let all = self.equal + expected;
            format!("ends after {} of {all} bytes", self.equal)
        } else if actual > 0 && (self.expected.end.is_some() || !is_in_the_middle) {
            format!("has {actual} bytes more than the {} recorded ones", self.equal)
        } else {
            return self.end_of_both(is_in_the_middle);
        };
        self.is_different = true;
        let number = match self.actual.total {
            0 if is_opened => self.begin,
            _ => self.frames.front().map(|(_, number)| *number).or(self.last),
        };
        Some(Fault { number, what, changes: Vec::new() })
    }

    /// How both have ended, when their bytes are the same.
    fn end_of_both(&mut self, is_in_the_middle: bool) -> Option<Fault> {
        let Comparison { expected, actual, last: number, .. } = self;
        let fault = |what: String, changes| Some(Fault { number: *number, what, changes });
        let owed = actual.owes(expected);
        match (expected.end, actual.end) {
            (None, Some(End::Reset)) if is_in_the_middle => {}
            (None, Some(End::Closed)) => {
                self.remark =
                    Some("was closed today, and the recording ends before that".to_owned());
            }
            (wanted, found) if wanted != found => {
                let (expected, actual) = (End::name(wanted), End::name(found));
                let change = Change { name: "the end".to_owned(), expected, actual };
                return fault("ends in another way".to_owned(), vec![change]);
            }
            _ if actual.is_reset && !expected.is_reset => {
                return fault(BEHIND.to_owned(), Vec::new());
            }
            _ => {}
        }
        if owed > 0 && !actual.is_reset {
            let what = format!("has not acknowledged all of ours today: {owed} bytes less");
            return fault(what, Vec::new());
        }
        let more = actual.buffer.len();
        if more > 0 {
            let what = format!("has {more} bytes more today: the recording ends in the middle");
            self.remark = Some(what);
        }
        None
    }

    /// How many bytes wait for their other half.
    pub(super) fn waiting(&self) -> usize {
        self.expected.held() + self.actual.held()
    }

    /// The first frame of the capture.
    pub(super) fn begin(&self) -> Option<u64> {
        self.begin
    }

    /// How many bytes the recording lacks, and how many behind them could not be compared.
    pub(super) fn lacks(&self) -> (u64, u64) {
        (self.expected.missing, self.expected.unread)
    }

    /// What is worth knowing, and no difference.
    pub(super) fn remark(&mut self) -> Option<String> {
        self.remark.take()
    }

    /// How many bytes were equal.
    pub(super) fn equal(&self) -> u64 {
        self.equal
    }

    /// Whether anything was compared.
    pub(super) fn has_compared(&self) -> bool {
        self.has_compared || self.equal > 0
    }

    /// Whether anything was told.
    pub(super) fn is_different(&self) -> bool {
        self.is_different || !self.told.is_empty()
    }

    /// Whether it was recorded at all.
    pub(super) fn is_recorded(&self) -> bool {
        self.last.is_some()
    }
}

/// What is wrong when a reset comes where everything was over.
pub(super) const BEHIND: &str = "is reset behind its end today";
