//! The TCP connections that are compared, each until its end.
//!
//! Ports that are used again have one connection behind the other. A connection stays until the last acknowledgment
//! that was recorded has come, or until it has to make room: so that a capture of any size needs the same memory, no
//! more than so many are kept, and no more bytes of them wait for their other half than so many. Beyond that, those
//! that are over go first, and then those that began first come to an end as they are, which is told.

use std::collections::{HashMap, VecDeque};

use super::ignore::Ignored;
use super::stream::{BEHIND, Comparison, Fault, Segment};
use super::verdict::Verdict;
use crate::dissect::Dissector;
use crate::replay::conversation::Conversation;

/// Conversations that are compared at a time.
const OPEN: usize = 4096;
/// Bytes of all connections that wait for their other half.
const AHEAD: usize = 16 * 1024 * 1024;
/// Conversations that are known to be over.
const OVER: usize = 64 * 1024;

/// With what is compared.
pub(super) struct Means<'a> {
    pub(super) dissector: &'a mut Dissector,
    pub(super) ignored: &'a Ignored,
    pub(super) verdict: &'a mut Verdict,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Connections {
    open: HashMap<Conversation, VecDeque<Comparison>>,
    /// Those that have come to their end, and whether resets came behind that: in the recording, and today.
    over: HashMap<Conversation, [bool; 2]>,
    /// Bytes that wait for their other half.
    waiting: usize,
    /// The recording goes on behind what is replayed.
    pub(super) is_cut_short: bool,
}

impl Connections {
    /// A segment, recorded as frame `number` or heard today.
    pub(super) fn take(
        &mut self,
        conversation: Conversation,
        number: Option<u64>,
        segment: &Segment,
        means: &mut Means<'_>,
    ) {
        let Connections { open, over, .. } = self;
        let is_expected = number.is_some();
        if !segment.brings() && !open.contains_key(&conversation) {
            return;
        }
        if let Some(resets) = over.get_mut(&conversation).filter(|_| segment.first().is_none()) {
            // What is repeated behind the end, because an acknowledgment was late, is no connection.
            resets[usize::from(!is_expected)] |= segment.is_reset();
            return;
        }
        over.remove(&conversation);
        let known = open.entry(conversation).or_default();
        let place = place(known, is_expected, segment);
        let Some(comparison) = known.get_mut(place) else { return };
        let before = comparison.waiting();
        match number {
            Some(number) => comparison.expect(number, segment, means.ignored),
            None => comparison.hear(segment, means.ignored),
        }
        self.look(conversation, place, before, means);
    }

    /// What we have said in a connection, as it was recorded: a SYN begins another one, an acknowledgment says that
    /// what is in front of it was sent, and behind a FIN there is nothing of ours.
    pub(super) fn ours(
        &mut self,
        conversation: Conversation,
        (ack, end, is_first): (Option<u32>, Option<u32>, bool),
        means: &mut Means<'_>,
    ) {
        if is_first {
            self.close_over(conversation, means.verdict);
        }
        let Some(known) = self.open.get_mut(&conversation) else { return };
        let place = known.iter().rposition(|comparison| comparison.has(true));
        let Some(comparison) = place.and_then(|place| known.get_mut(place)) else { return };
        let before = comparison.waiting();
        comparison.acknowledge(ack, end, means.ignored);
        self.look(conversation, place.unwrap_or_default(), before, means);
    }

    /// Something is new in a connection that held so much `before`.
    fn look(
        &mut self,
        conversation: Conversation,
        place: usize,
        before: usize,
        means: &mut Means<'_>,
    ) {
        let Some(known) = self.open.get_mut(&conversation) else { return };
        let Some(comparison) = known.get_mut(place) else { return };
        let faults = comparison.judge(means.dissector, means.ignored);
        self.waiting = (self.waiting + comparison.waiting()).saturating_sub(before);
        means.verdict.blame(conversation, faults);
        while known.front().is_some_and(Comparison::is_done) || is_followed(known) {
            let Some(done) = known.pop_front() else { break };
            self.waiting = self.waiting.saturating_sub(done.waiting());
            close(conversation, done, self.is_cut_short, means);
        }
        if known.is_empty() {
            self.open.remove(&conversation);
            self.is_over(conversation, means.verdict);
        }
        self.bound(means);
    }

    fn is_over(&mut self, conversation: Conversation, verdict: &mut Verdict) {
        if self.over.len() > OVER {
            let mut all: Vec<_> = self.over.keys().copied().collect();
            all.drain(..).for_each(|conversation| self.close_over(conversation, verdict));
        }
        self.over.insert(conversation, [false; 2]);
    }

    /// Nothing more comes behind the end of a connection.
    fn close_over(&mut self, conversation: Conversation, verdict: &mut Verdict) {
        if self.over.remove(&conversation) == Some([false, true]) {
            let fault = Fault { number: None, what: BEHIND.to_owned(), changes: Vec::new() };
            verdict.blame(conversation, vec![fault]);
        }
    }

    /// When it is too much, what is over goes, or else the older half comes to its end.
    fn bound(&mut self, means: &mut Means<'_>) {
        if self.open.len() <= OPEN && self.waiting <= AHEAD {
            return;
        }
        let all = std::mem::take(&mut self.open);
        let is_over = |known: &VecDeque<Comparison>| known.iter().all(Comparison::is_over);
        let (over, open): (HashMap<_, _>, HashMap<_, _>) =
            all.into_iter().partition(|(_, known)| is_over(known));
        self.open = open;
        over.keys().for_each(|conversation| self.is_over(*conversation, means.verdict));
        close_all(over, self.is_cut_short, means);
        if self.open.len() > OPEN / 2 || self.waiting > AHEAD {
            self.give_up(means);
        }
        let waiting = self.open.values().flatten().map(Comparison::waiting);
        self.waiting = waiting.sum();
    }

    fn give_up(&mut self, means: &mut Means<'_>) {
        let begin = |known: &VecDeque<Comparison>| known.front().and_then(Comparison::begin);
        let mut begins: Vec<_> = self.open.values().map(begin).collect();
        begins.sort_unstable();
        let last = begins.get(begins.len().saturating_sub(1) / 2).copied().flatten();
        let (old, young) = std::mem::take(&mut self.open)
            .into_iter()
            .partition::<HashMap<_, _>, _>(|(_, known)| begin(known) <= last);
        self.open = young;
        old.keys().for_each(|conversation| self.is_over(*conversation, means.verdict));
        means.verdict.give_up(old.len() as u64);
        close_all(old, self.is_cut_short, means);
    }

    /// Whether there are no more than there may be.
    #[cfg(test)]
    pub(super) fn is_bounded(&self) -> bool {
        let waiting: usize = self.open.values().flatten().map(Comparison::waiting).sum();
        waiting == self.waiting && waiting <= AHEAD && self.open.len() <= OPEN
    }

    /// Whether something was recorded that has not come.
    pub(super) fn is_waiting(&self) -> bool {
        self.open.values().flatten().any(Comparison::is_waiting)
    }

    /// Nothing more comes.
    pub(super) fn finish(&mut self, means: &mut Means<'_>) {
        let is_cut_short = self.is_cut_short;
        close_all(std::mem::take(&mut self.open), is_cut_short, means);
        let mut over: Vec<_> = self.over.keys().copied().collect();
        over.sort_by_cached_key(Conversation::to_string);
        over.drain(..).for_each(|conversation| self.close_over(conversation, means.verdict));
        *self = Connections { is_cut_short, ..Connections::default() };
    }
}

/// Whether the first of the connections between two ports is over, and another one has begun on both sides.
fn is_followed(known: &VecDeque<Comparison>) -> bool {
    let next = known.get(1).is_some_and(|next| next.has(true) && next.has(false));
    next && known.front().is_some_and(Comparison::is_over)
}

/// Which of the connections between the same ports a segment belongs to; a new one is added.
fn place(known: &mut VecDeque<Comparison>, is_expected: bool, segment: &Segment) -> usize {
    let used = known.iter().filter(|comparison| comparison.has(is_expected)).count();
    let last = used.checked_sub(1).and_then(|last| known.get(last));
    let is_next = last.is_none_or(|last| {
        segment.first().is_some_and(|first| last.is_another(first, is_expected))
    });
    let place = if is_next { used } else { used - 1 };
    if place == known.len() {
        known.push_back(Comparison::default());
    }
    place
}

fn close_all(
    connections: HashMap<Conversation, VecDeque<Comparison>>,
    is_cut_short: bool,
    means: &mut Means<'_>,
) {
    let mut connections: Vec<_> = connections.into_iter().collect();
    connections.sort_by_cached_key(|(conversation, _)| conversation.to_string());
    for (conversation, comparisons) in connections {
        for comparison in comparisons {
            close(conversation, comparison, is_cut_short, means);
        }
    }
}

/// Nothing more is compared of this connection.
fn close(
    conversation: Conversation,
    mut comparison: Comparison,
    is_cut_short: bool,
    means: &mut Means<'_>,
) {
    let Means { dissector, ignored, verdict } = means;
    if !comparison.is_recorded() {
        return verdict.extra(&conversation);
    }
    let faults = comparison.conclude(is_cut_short, dissector, ignored);
    verdict.blame(conversation, faults);
    verdict.close(&conversation, &mut comparison);
}
