//! Whether what comes back is what had come back.
//!
//! Answers of the recording and answers of today are told to a [`Judge`], each when it is met. TCP connections are
//! compared as streams (`stream`), so that another segmentation or a repeated segment is no difference. Of
//! everything else, answers of one conversation are paired: by what they answer where the protocol tells that, and
//! otherwise in their order; a pair is compared field by field (`fields`). What may differ is a table
//! ([`ignore`]).
//!
//! What the other side sends of its own accord (to groups, and questions such as ARP's) depends on its memory and
//! moods, and is not compared.

mod connections;
mod fields;
pub mod ignore;
mod mask;
mod pairs;
mod stream;
#[cfg(test)]
mod tests;
mod verdict;

use bytes::Bytes;

use self::connections::Connections;
use self::fields::Entry;
use self::ignore::Ignored;
use self::pairs::{Half, Key, Pairs, Whose};
use self::stream::Segment;
use self::verdict::Verdict;
use super::conversation::{Conversation, Side};
use crate::dissect::Dissector;
use crate::proto::{Stack, be32, igmp, tcp};

/// Compares.
#[derive(Debug)]
pub struct Judge {
    ignored: Ignored,
    dissector: Dissector,
    connections: Connections,
    pairs: Pairs,
    verdict: Verdict,
    /// Answers of today so far.
    heard: u64,
}

impl Judge {
    /// One that does not compare what is `ignored`.
    pub fn new(ignored: Ignored) -> Judge {
        Judge {
            ignored,
            dissector: Dissector::default(),
            connections: Connections::default(),
            pairs: Pairs::default(),
            verdict: Verdict::default(),
            heard: 0,
        }
    }

    /// Frame `number` of the capture, which the other side had sent.
    pub fn recorded(&mut self, number: u64, frame: &Bytes) {
        self.take(Whose::Recorded, Half { number, frame: frame.clone(), is_part: false });
    }

    /// The same of one of which the capture has only the beginning: it is paired, and not compared.
    pub fn recorded_in_part(&mut self, number: u64, frame: &Bytes) {
        self.take(Whose::Recorded, Half { number, frame: frame.clone(), is_part: true });
    }

    /// What the other side sends today, with the recorded ports.
    pub fn heard(&mut self, frame: &Bytes) {
        self.heard += 1;
        self.take(Whose::Heard, Half { number: self.heard, frame: frame.clone(), is_part: false });
    }

    fn take(&mut self, whose: Whose, half: Half) {
        let frame = half.frame.clone();
        let mut dissector = std::mem::take(&mut self.dissector);
        let stack = dissector.dissect(&frame);
        let conversation = Conversation::of(&stack, Side::Theirs);
        let number = (whose == Whose::Recorded).then_some(half.number);
        let segment = segment(&stack, &frame, &self.ignored).filter(|_| !half.is_part);
        if let Some(segment) = segment {
            let Judge { connections, verdict, ignored, .. } = self;
            connections.take(conversation, number, segment, ignored, verdict);
        } else if half.is_part && stack.find(&tcp::TCP).is_some() {
            self.connections.take_part(conversation, half.number);
        } else if !is_of_own_accord(&stack) {
            let key = Key { conversation, question: question(&stack) };
            self.dissector = dissector;
            return self.pair(key, whose, half);
        }
        self.dissector = dissector;
    }

    /// An answer that is no TCP: paired with its other half, or kept until that comes.
    fn pair(&mut self, key: Key, whose: Whose, half: Half) {
        let Judge { pairs, verdict, dissector, ignored, .. } = self;
        match pairs.take(key, whose, half) {
            Some((recorded, _)) if recorded.is_part => verdict.cannot_tell(),
            Some((recorded, heard)) => {
                let (expected, actual) = (&recorded.frame, &heard.frame);
                verdict.compare(
                    dissector,
                    ignored,
                    &key.conversation,
                    recorded.number,
                    [expected, actual],
                );
            }
            None => {
                let forgotten = pairs.forget(whose);
                forgotten.iter().for_each(|half| verdict.alone(dissector, whose, half));
            }
        }
    }

    /// The capture begins again: what has not come until now does not come.
    pub fn begin_again(&mut self) {
        self.finish();
    }

    /// Nothing more comes.
    pub fn finish(&mut self) {
        let Judge { connections, pairs, verdict, dissector, .. } = self;
        connections.finish(verdict);
        for (whose, halves) in pairs.finish() {
            halves.iter().for_each(|half| verdict.alone(dissector, whose, half));
        }
        verdict.sort();
    }

    /// Whether recorded answers have not come.
    pub fn is_waiting(&self) -> bool {
        self.pairs.is_waiting()
    }

    /// Whether everything came as it was recorded.
    pub fn is_content(&self) -> bool {
        self.verdict.is_content()
    }

    /// The differences, each with its fields.
    pub fn differences(&self) -> String {
        self.verdict.differences()
    }

    /// How many answers there were, of each kind.
    pub fn sum(&self) -> String {
        self.verdict.sum()
    }
}

/// The segment of a TCP connection in a frame. One whose checksum is wrong is none: nobody takes it.
fn segment(stack: &Stack<'_>, frame: &Bytes, ignored: &Ignored) -> Option<Segment> {
    let n = stack.find(&tcp::TCP)?;
    let (layer, header) = (stack.layers.get(n)?, stack.header(n));
    let flags = *header.get(13)?;
    let is_syn = flags & tcp::SYN != 0;
    let fields = match is_syn {
        true => opening(stack, ignored),
        false => Vec::new(),
    };
    if stack.is_malformed() {
        return None;
    }
    Some(Segment {
        seq: be32(header, 4)?,
        is_syn,
        is_fin: flags & tcp::FIN != 0,
        is_rst: flags & tcp::RST != 0,
        data: frame.get(layer.payload..layer.end).map(|_| frame.slice(layer.payload..layer.end))?,
        fields,
    })
}

/// What an opening segment says, apart from the addresses.
fn opening(stack: &Stack<'_>, ignored: &Ignored) -> Vec<Entry> {
    let mut entries = fields::entries(stack, ignored);
    entries.retain(|(name, _)| name.starts_with("tcp.") && name != "tcp.src_port");
    entries
}

/// What an answer answers, where its protocol tells that.
fn question(stack: &Stack<'_>) -> Option<u64> {
    exchange(stack).filter(|exchange| exchange.is_answer).map(|exchange| exchange.key)
}

fn exchange(stack: &Stack<'_>) -> Option<crate::proto::Exchange> {
    let own = stack.layers.iter().enumerate().rev().filter(|(_, layer)| !layer.is_quoted);
    own.into_iter().find_map(|(n, layer)| (layer.protocol.exchange)(stack, n))
}

/// Whether a frame of the other side answers nobody: it goes to a group, or it asks something.
fn is_of_own_accord(stack: &Stack<'_>) -> bool {
    let to_group = stack.frame.first().is_some_and(|octet| octet & 1 == 1);
    let asks = exchange(stack).is_some_and(|exchange| !exchange.is_answer);
    to_group || asks || stack.find(&igmp::IGMP).is_some()
}
