//! Answers that are no TCP, until their other halves come: the recorded one and today's.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use crate::replay::conversation::Conversation;

/// Answers of each that wait for their other half.
pub(super) const WAITING: usize = 16 * 1024;
/// And their bytes.
pub(super) const WAITING_BYTES: usize = 4 * 1024 * 1024;

/// What a pair of answers has in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) conversation: Conversation,
    /// What is answered, where that can be told.
    pub(super) question: Option<u64>,
}

/// Which half of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    Recorded,
    Heard,
}

/// One half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Half {
    /// The frame of the capture; of today's, how many there were with it.
    pub(super) number: u64,
    pub(super) frame: Bytes,
    /// It is only the beginning of a frame.
    pub(super) is_part: bool,
}

/// All that wait. Of one key, only halves of one kind do at a time.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    waiting: HashMap<Key, [VecDeque<Half>; 2]>,
    frames: [usize; 2],
    bytes: [usize; 2],
}

impl Pairs {
    /// The pair, recorded half first, if the other one waits already.
    pub(super) fn take(&mut self, key: Key, whose: Whose, half: Half) -> Option<(Half, Half)> {
        let (own, other) = (whose as usize, 1 - whose as usize);
        let waiting = self.waiting.entry(key).or_default();
        let Some(found) = waiting[other].pop_front() else {
            self.frames[own] += 1;
            self.bytes[own] += half.frame.len();
            waiting[own].push_back(half);
            return None;
        };
        if waiting[other].is_empty() {
            self.waiting.remove(&key);
        }
        self.frames[other] -= 1;
        self.bytes[other] -= found.frame.len();
        Some(match whose {
            Whose::Recorded => (half, found),
            Whose::Heard => (found, half),
        })
    }

    /// When too many wait, the oldest quarter of them does not find its other half.
    pub(super) fn forget(&mut self, whose: Whose) -> Vec<Half> {
        let own = whose as usize;
        if self.frames[own] <= WAITING && self.bytes[own] <= WAITING_BYTES {
            return Vec::new();
        }
        let numbers = self.waiting.values().flat_map(|halves| &halves[own]).map(|half| half.number);
        let mut numbers: Vec<u64> = numbers.collect();
        numbers.sort_unstable();
        let last = numbers.get(numbers.len() / 4).copied().unwrap_or_default();
        let mut forgotten = Vec::new();
        self.waiting.retain(|_, halves| {
            while halves[own].front().is_some_and(|half| half.number <= last) {
                forgotten.extend(halves[own].pop_front());
            }
            halves.iter().any(|halves| !halves.is_empty())
        });
        self.frames[own] -= forgotten.len();
        self.bytes[own] -= forgotten.iter().map(|half| half.frame.len()).sum::<usize>();
        forgotten.sort_by_key(|half| half.number);
        forgotten
    }

    /// Of recorded answers that were cut it may not be known what they answer: those get the answers of the same
    /// conversation that are left.
    pub(super) fn reconcile(&mut self) -> Vec<(Conversation, Half, Half)> {
        let mut pairs = Vec::new();
        let parts = self.waiting.iter().filter(|(key, halves)| {
            key.question.is_none() && halves[0].front().is_some_and(|half| half.is_part)
        });
        let parts: Vec<Key> = parts.map(|(key, _)| *key).collect();
        for key in parts {
            let others = self.waiting.iter().filter(|(other, halves)| {
                other.conversation == key.conversation && !halves[1].is_empty()
            });
            let mut others: Vec<Key> = others.map(|(other, _)| *other).collect();
            others.sort_by_key(|other| self.number(other));
            for other in others {
                let recorded = self.take_first(&key, Whose::Recorded);
                let heard = recorded.as_ref().and_then(|_| self.take_first(&other, Whose::Heard));
                pairs.extend(recorded.zip(heard).map(|(one, two)| (key.conversation, one, two)));
            }
        }
        pairs
    }

    fn number(&self, key: &Key) -> Option<u64> {
        self.waiting.get(key)?[1].front().map(|half| half.number)
    }

    fn take_first(&mut self, key: &Key, whose: Whose) -> Option<Half> {
        let half = self.waiting.get_mut(key)?[whose as usize].pop_front()?;
        self.frames[whose as usize] -= 1;
        self.bytes[whose as usize] -= half.frame.len();
        Some(half)
    }

    /// Everything that waits, in its order.
    pub(super) fn finish(&mut self) -> [(Whose, Vec<Half>); 2] {
        let mut all = [(Whose::Recorded, Vec::new()), (Whose::Heard, Vec::new())];
        for halves in std::mem::take(self).waiting.into_values() {
            all.iter_mut().zip(halves).for_each(|((_, all), halves)| all.extend(halves));
        }
        all.iter_mut().for_each(|(_, halves)| halves.sort_by_key(|half| half.number));
        all
    }

    /// Whether recorded answers wait.
    pub(super) fn is_waiting(&self) -> bool {
        self.frames[Whose::Recorded as usize] > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::conversation::Kind;

    fn key(question: Option<u64>) -> Key {
        let conversation = Conversation { kind: Kind::Other, ours: (None, 0), theirs: (None, 0) };
        Key { conversation, question }
    }

    fn half(number: u64, length: usize) -> Half {
        Half { number, frame: Bytes::from(vec![0; length]), is_part: false }
    }

    #[test]
    fn of_too_many_the_oldest_are_forgotten_whatever_they_answer() {
        for (length, most) in [(60, WAITING), (1500, WAITING_BYTES / 1500)] {
            let mut pairs = Pairs::default();
            let mut forgotten = Vec::new();
            for n in 0..3 * WAITING as u64 {
                let question = Some(n).filter(|n| n % 3 > 0);
                assert_eq!(pairs.take(key(question), Whose::Recorded, half(n, length)), None);
                forgotten.extend(pairs.forget(Whose::Recorded).into_iter().map(|half| half.number));
                assert!(pairs.frames[0] <= most, "{}", pairs.frames[0]);
            }
            assert!((0..forgotten.len() as u64).eq(forgotten.iter().copied()));
            let last = 3 * WAITING as u64 - 1;
            let pair = pairs.take(key(Some(last)), Whose::Heard, half(1, length));
            assert_eq!(
                pair.map(|(recorded, _)| recorded.number),
                Some(last),
                "the newest is there"
            );
            let [(_, recorded), (_, heard)] = pairs.finish();
            assert_eq!(recorded.len() + forgotten.len() + 1, 3 * WAITING);
            assert!(heard.is_empty() && pairs.bytes == [0; 2] && !pairs.is_waiting());
        }
    }
}
