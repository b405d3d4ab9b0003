//! When the bytes of a stream came: what a decoder has to remember until they are in a record.

use std::collections::VecDeque;

use crate::clock::Timestamp;
use crate::record::Span;

/// Which offsets of a stream had arrived by when, for the bytes that are in no record yet.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    marks: VecDeque<(u64, Timestamp)>,
    last: Timestamp,
}

impl Arrivals {
    /// The bytes up to `end` have come by `now`.
    pub(super) fn came(&mut self, now: Timestamp, end: u64) {
        self.last = now;
        match self.marks.back_mut() {
            Some(last) if last.1 == now => last.0 = end,
            _ => self.marks.push_back((end, now)),
        }
    }

    /// When the last byte came.
    pub(super) fn last(&self) -> Timestamp {
        self.last
    }

    /// When the bytes from `start` to in front of `end` came, which are not asked for again.
    pub(super) fn take(&mut self, start: u64, end: u64) -> Span {
        let span = Span { first: self.at(start), last: self.at(end.saturating_sub(1)) };
        self.forget(end);
        span
    }

    /// Nothing in front of `end` is asked for again.
    pub(super) fn forget(&mut self, end: u64) {
        while self.marks.front().is_some_and(|&(mark, _)| mark <= end) {
            self.marks.pop_front();
        }
    }

    /// When the byte at `offset` came.
    fn at(&self, offset: u64) -> Timestamp {
        self.marks.iter().find(|&&(end, _)| end > offset).map_or(self.last, |&(_, time)| time)
    }
}
