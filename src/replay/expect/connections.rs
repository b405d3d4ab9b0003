//! The TCP connections that are compared, each until its end.
//!
//! Ports that are used again have one connection behind the other. So that a capture of any size needs the same
//! memory, no more than so many are open, and no more bytes of them wait for their other half than so many: beyond
//! that, those that began first come to an end as they are.

use std::collections::{HashMap, HashSet, VecDeque};

use super::ignore::Ignored;
use super::stream::{Comparison, Fault, Segment};
use super::verdict::Verdict;
use crate::replay::conversation::Conversation;

/// Conversations that are compared at a time.
const OPEN: usize = 4096;
/// Bytes of all connections that wait for their other half.
const AHEAD: usize = 16 * 1024 * 1024;
/// Conversations that are known to be over.
const OVER: usize = 64 * 1024;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Connections {
    open: HashMap<Conversation, VecDeque<Comparison>>,
    /// Those that have come to their end.
    over: HashSet<Conversation>,
    /// Bytes that wait for their other half.
    waiting: usize,
}

impl Connections {
    /// A segment, recorded as frame `number` or heard today.
    pub(super) fn take(
        &mut self,
        conversation: Conversation,
        number: Option<u64>,
        segment: Segment,
        ignored: &Ignored,
        verdict: &mut Verdict,
    ) {
        let brings = segment.is_syn || segment.is_fin || segment.is_rst || !segment.data.is_empty();
        // What is repeated behind the end, because an acknowledgment was late, is no connection.
        if !brings || !segment.is_syn && self.over.contains(&conversation) {
            return;
        }
        self.over.remove(&conversation);
        let known = self.open.entry(conversation).or_default();
        let place = place(known, number.is_some(), &segment);
        let Some(comparison) = known.get_mut(place) else { return };
        let before = comparison.waiting();
        match number {
            Some(number) => comparison.expect(number, segment, ignored),
            None => comparison.hear(segment, ignored),
        }
        let faults = comparison.judge(false);
        self.waiting = (self.waiting + comparison.waiting()).saturating_sub(before);
        let is_done = comparison.is_done() && place == 0;
        if is_done && let Some(done) = known.pop_front() {
            self.waiting = self.waiting.saturating_sub(done.waiting());
            let is_last = known.is_empty();
            close(conversation, done, faults, verdict);
            if is_last {
                self.open.remove(&conversation);
                self.is_over(conversation);
            }
            return;
        }
        verdict.blame(conversation, faults);
        self.bound(verdict);
    }

    /// A segment of which the recording has only the beginning: the connection cannot be compared.
    pub(super) fn take_part(&mut self, conversation: Conversation, number: u64) {
        if self.over.contains(&conversation) {
            return;
        }
        let known = self.open.entry(conversation).or_default();
        if known.is_empty() {
            known.push_back(Comparison::default());
        }
        let recorded = known.iter_mut().rev().find(|comparison| comparison.has(true));
        match recorded {
            Some(comparison) => comparison.expect_part(number),
            None => known.iter_mut().take(1).for_each(|comparison| comparison.expect_part(number)),
        }
    }

    fn is_over(&mut self, conversation: Conversation) {
        if self.over.len() > OVER {
            self.over.clear();
        }
        self.over.insert(conversation);
    }

    /// When it is too much, the older half comes to its end.
    fn bound(&mut self, verdict: &mut Verdict) {
        if self.open.len() <= OPEN && self.waiting <= AHEAD {
            return;
        }
        let begin = |known: &VecDeque<Comparison>| known.front().and_then(Comparison::begin);
        let mut begins: Vec<_> = self.open.values().map(begin).collect();
        begins.sort_unstable();
        let last = begins.get(begins.len().saturating_sub(1) / 2).copied().flatten();
        let (old, young) = std::mem::take(&mut self.open)
            .into_iter()
            .partition::<HashMap<_, _>, _>(|(_, known)| begin(known) <= last);
        self.open = young;
        let waiting = self.open.values().flatten().map(Comparison::waiting);
        self.waiting = waiting.sum();
        old.keys().for_each(|conversation| self.is_over(*conversation));
        close_all(old, verdict);
    }

    /// Whether there are no more than there may be.
    #[cfg(test)]
    pub(super) fn is_bounded(&self) -> bool {
        let waiting: usize = self.open.values().flatten().map(Comparison::waiting).sum();
        waiting == self.waiting && waiting <= AHEAD && self.open.len() <= OPEN
    }

    /// Nothing more comes.
    pub(super) fn finish(&mut self, verdict: &mut Verdict) {
        close_all(std::mem::take(self).open, verdict);
    }
}

/// Which of the connections between the same ports a segment belongs to; a new one is added.
fn place(known: &mut VecDeque<Comparison>, is_expected: bool, segment: &Segment) -> usize {
    let used = known.iter().filter(|comparison| comparison.has(is_expected)).count();
    let last = used.checked_sub(1).and_then(|last| known.get(last));
    let is_next =
        last.is_none_or(|last| segment.is_syn && last.is_another(segment.seq, is_expected));
    let place = if is_next { used } else { used - 1 };
    if place == known.len() {
        known.push_back(Comparison::default());
    }
    place
}

fn close_all(connections: HashMap<Conversation, VecDeque<Comparison>>, verdict: &mut Verdict) {
    let mut connections: Vec<_> = connections.into_iter().collect();
    connections.sort_by_cached_key(|(conversation, _)| conversation.to_string());
    for (conversation, comparisons) in connections {
        for comparison in comparisons {
            close(conversation, comparison, Vec::new(), verdict);
        }
    }
}

/// Nothing more is compared of this connection.
fn close(
    conversation: Conversation,
    mut comparison: Comparison,
    mut faults: Vec<Fault>,
    verdict: &mut Verdict,
) {
    faults.extend(comparison.judge(true));
    if !comparison.is_recorded() {
        return verdict.extra(&conversation);
    }
    verdict.blame(conversation, faults);
    match comparison.is_partial() {
        true => verdict.cannot_tell(),
        false => verdict.close(!comparison.is_different(), comparison.equal()),
    }
}
