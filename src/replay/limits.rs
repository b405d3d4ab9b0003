//! Answers at the edges of what is sent: to whom they belong, when `--from-frame` and `-c` cut questions off.
//!
//! Questions and answers overlap: behind the last frame that is sent come answers to others, and behind the first one
//! answers to what stood in front of it. An answer belongs to the question that its protocol names; where it names
//! none, to the oldest one of the conversation. Of a TCP connection of which something is not sent, nothing is expected
//! from there on.

use std::collections::{HashMap, HashSet};

use super::conversation::{Conversation, Kind, Side};
use crate::dissect::Dissector;
use crate::proto::{Stack, tcp};

/// Questions that are remembered.
const MEMORY: usize = 64 * 1024;

type Key = (Conversation, Option<u64>);

/// Which questions were sent, and which were passed over.
#[derive(Debug, Default)]
pub struct Limits {
    dissector: Dissector,
    sent: HashMap<Key, u64>,
    passed: HashMap<Key, u64>,
    /// Connections of which something was sent, and of which something was not.
    connections: HashSet<Conversation>,
    broken: HashSet<Conversation>,
}

/// What a frame is about.
struct About {
    key: Key,
    is_tcp: bool,
    opens: bool,
}

impl Limits {
    /// A frame that goes.
    pub fn sent(&mut self, frame: &[u8]) {
        let About { key, is_tcp, opens } = self.about(frame, Side::Ours);
        match is_tcp {
            true => {
                self.connections.insert(key.0);
                if opens {
                    self.broken.remove(&key.0);
                }
            }
            false => *self.sent.entry(key).or_default() += 1,
        }
        self.bound();
    }

    /// A frame that does not go, or the answer to one, of `side`.
    pub fn pass(&mut self, side: Side, frame: &[u8]) {
        let About { key, is_tcp, .. } = self.about(frame, side);
        match (is_tcp, side) {
            (true, _) => drop(self.broken.insert(key.0)),
            (false, Side::Ours) => *self.passed.entry(key).or_default() += 1,
            (false, Side::Theirs) => drop(take(&mut self.passed, &key)),
        }
        self.bound();
    }

    /// Whether anything was passed over that has no answer yet.
    pub fn has_passed(&self) -> bool {
        !self.passed.is_empty() || !self.broken.is_empty()
    }

    /// Whether a frame of the other side answers one that was passed over, so far as those are older than all
    /// that were sent. It answers it once.
    pub fn answers_passed(&mut self, frame: &[u8]) -> bool {
        if !self.has_passed() {
            return false;
        }
        let About { key, is_tcp, opens } = self.about(frame, Side::Theirs);
        match is_tcp {
            true if opens => {
                self.broken.remove(&key.0);
                false
            }
            true => self.broken.contains(&key.0),
            false => take(&mut self.passed, &key),
        }
    }

    /// Whether it answers one that was sent, when others were passed over since. It answers it once.
    pub fn answers_sent(&mut self, frame: &[u8]) -> bool {
        let About { key, is_tcp, .. } = self.about(frame, Side::Theirs);
        match is_tcp {
            true => self.connections.contains(&key.0) && !self.broken.contains(&key.0),
            false => take(&mut self.sent, &key),
        }
    }

    fn about(&mut self, frame: &[u8], side: Side) -> About {
        let stack = self.dissector.dissect(frame);
        let conversation = Conversation::of(&stack, side);
        let is_tcp = conversation.kind == Kind::Tcp;
        let flags = stack.find(&tcp::TCP).and_then(|n| stack.header(n).get(13)).copied();
        let opens = flags.is_some_and(|flags| flags & (tcp::SYN | tcp::ACK) == tcp::SYN);
        let question = if is_tcp { None } else { question(&stack) };
        About { key: (conversation, question), is_tcp, opens }
    }

    fn bound(&mut self) {
        let Limits { sent, passed, connections, broken, .. } = self;
        [sent, passed].into_iter().filter(|known| known.len() > MEMORY).for_each(HashMap::clear);
        [connections, broken]
            .into_iter()
            .filter(|known| known.len() > MEMORY)
            .for_each(HashSet::clear);
    }
}

/// Takes one of those questions away, if there is one.
fn take(known: &mut HashMap<Key, u64>, key: &Key) -> bool {
    let Some(count) = known.get_mut(key) else { return false };
    *count -= 1;
    if *count == 0 {
        known.remove(key);
    }
    true
}

/// What is asked, or answered, where the protocol tells that.
fn question(stack: &Stack<'_>) -> Option<u64> {
    let own = stack.layers.iter().enumerate().rev().filter(|(_, layer)| !layer.is_quoted);
    let exchange = own.into_iter().find_map(|(n, layer)| (layer.protocol.exchange)(stack, n));
    exchange.map(|exchange| exchange.key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::craft::{EchoRequest, Route};
    use crate::proto::samples;

    /// A ping, or its answer.
    fn echo(sequence: u16, is_reply: bool) -> Vec<u8> {
        let mac = pnet::util::MacAddr(2, 0, 0, 0, 0, 1);
        let ends = [1, 2].map(|n| std::net::Ipv4Addr::new(192, 168, 100, n));
        let (source, destination) = if is_reply { (ends[1], ends[0]) } else { (ends[0], ends[1]) };
        let route = Route { source_mac: mac, destination_mac: mac, source, destination };
        let echo = EchoRequest { identifier: 7, sequence, ttl: 64, tos: 0, ip_id: 0, data: b"abc" };
        let mut frame = echo.frame(&route);
        if is_reply {
            frame[34] = 0;
        }
        frame
    }

    fn asked() -> Vec<u8> {
        let mut frame = samples::datagram();
        frame[26..34].copy_from_slice(&[192, 168, 100, 1, 192, 168, 100, 2]);
        frame[34..38].copy_from_slice(&[0x9c, 0x40, 0, 7]);
        frame
    }

    #[test]
    fn an_answer_belongs_to_the_question_that_it_names() {
        let mut limits = Limits::default();
        limits.sent(&echo(1, false));
        limits.pass(Side::Ours, &echo(2, false));
        assert!(!limits.answers_sent(&echo(2, true)));
        assert!(limits.answers_sent(&echo(1, true)) && !limits.answers_sent(&echo(1, true)));
        let mut limits = Limits::default();
        limits.pass(Side::Ours, &echo(1, false));
        assert!(!limits.answers_passed(&echo(2, true)));
        assert!(limits.answers_passed(&echo(1, true)) && !limits.answers_passed(&echo(1, true)));
    }

    #[test]
    fn where_none_is_named_it_belongs_to_the_oldest() {
        let mut limits = Limits::default();
        (0..2).for_each(|_| limits.sent(&asked()));
        limits.pass(Side::Ours, &asked());
        let answers = [0; 3].map(|_| limits.answers_sent(&samples::datagram()));
        assert_eq!(answers, [true, true, false]);
        let mut limits = Limits::default();
        (0..2).for_each(|_| limits.pass(Side::Ours, &asked()));
        limits.pass(Side::Theirs, &samples::datagram());
        let answers = [0; 2].map(|_| limits.answers_passed(&samples::datagram()));
        assert_eq!(answers, [true, false]);
    }

    #[test]
    fn a_connection_of_which_something_is_missing_answers_no_more_until_it_begins_again() {
        let syn = samples::syn();
        let mut accepted = syn.clone();
        accepted[26..34].copy_from_slice(&[192, 168, 100, 2, 192, 168, 100, 1]);
        accepted[34..38].copy_from_slice(&[0, 80, 0x9c, 0x40]);
        accepted[47] |= tcp::ACK;
        let mut limits = Limits::default();
        limits.pass(Side::Ours, &syn);
        assert!(limits.answers_passed(&accepted));
        limits.sent(&syn);
        assert!(!limits.answers_passed(&accepted) && limits.answers_sent(&accepted));
        limits.pass(Side::Ours, &syn);
        assert!(!limits.answers_sent(&accepted));
    }

    #[test]
    fn memory_is_bounded() {
        let mut limits = Limits::default();
        for n in 0..=u16::MAX {
            limits.pass(Side::Ours, &echo(n, false));
        }
        limits.pass(Side::Ours, &asked());
        assert!(limits.passed.len() <= MEMORY);
    }
}
