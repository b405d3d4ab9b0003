//! Whether what comes back is what had come back.
//!
//! Answers of the recording and answers of today are told to a [`Judge`], each when it is met. TCP connections are
//! compared as streams (`stream`), so that another segmentation or a repeated segment is no difference. Of
//! everything else, answers of one conversation are paired: by what they answer where the protocol tells that, and
//! otherwise in their order; a pair is compared field by field (`fields`). What may differ is a table
//! ([`ignore`]).
//!
//! What the other side sends of its own accord (to groups, unless we have asked for it, and questions such as ARP's)
//! depends on its memory and moods, and is not compared, but counted.

mod connections;
mod fields;
mod hidden;
pub mod ignore;
mod mask;
mod pairs;
mod questions;
mod stream;
#[cfg(test)]
mod tests;
mod verdict;

use bytes::Bytes;

use self::connections::{Connections, Means};
use self::ignore::Ignored;
use self::pairs::{Half, Key, Pairs, Whose};
use self::questions::Questions;
pub use self::questions::Speaker;
use self::stream::Segment;
use self::verdict::Verdict;
use super::conversation::{Conversation, Kind, Side};
use crate::dissect::Dissector;
use crate::proto::{Stack, be32, igmp, tcp, tftp};
use crate::record::LinkType;

/// Compares.
#[derive(Debug)]
pub struct Judge {
    ignored: Ignored,
    dissector: Dissector,
    connections: Connections,
    pairs: Pairs,
    questions: Questions,
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
            questions: Questions::default(),
            verdict: Verdict::default(),
            heard: 0,
        }
    }

    /// Frame `number` of the capture, which the other side had sent.
    pub fn recorded(&mut self, number: u64, frame: &Bytes) {
        self.take(Whose::Recorded, Half { number, frame: frame.clone(), is_part: false });
    }

    /// The same of one of which the capture has only the beginning: it is compared as far as it goes.
    pub fn recorded_in_part(&mut self, number: u64, frame: &Bytes) {
        self.take(Whose::Recorded, Half { number, frame: frame.clone(), is_part: true });
    }

    /// The capture lacks so many frames of the other side.
    pub fn lacks(&mut self, frames: u64) {
        self.verdict.lack(frames);
    }

    /// A frame of ours as it was recorded, before anything that answers it.
    pub fn asked(&mut self, frame: &Bytes) {
        let mut dissector = std::mem::take(&mut self.dissector);
        let stack = dissector.dissect(frame);
        let conversation = Conversation::of(&stack, Side::Ours);
        let question = exchange(&stack).filter(|exchange| !exchange.is_answer);
        let question = question.map(|exchange| exchange.key);
        self.questions.ask(&stack, conversation.ours.0, question);
        let said = (conversation.kind == Kind::Tcp).then(|| said(&stack)).flatten();
        self.dissector = dissector;
        if let Some(said) = said {
            let (connections, mut means) = self.means();
            connections.ours(conversation, said, &mut means);
        }
    }

    /// The recording goes on behind what is replayed: what comes of that is no difference.
    pub fn cut_short(&mut self) {
        self.connections.is_cut_short = true;
    }

    /// What the other side sends today, with the recorded ports.
    pub fn heard(&mut self, frame: &Bytes) {
        self.heard += 1;
        self.take(Whose::Heard, Half { number: self.heard, frame: frame.clone(), is_part: false });
    }

    fn take(&mut self, whose: Whose, half: Half) {
        let frame = half.frame.clone();
        let length = if half.is_part { fields::length_on_line(&frame) } else { frame.len() };
        let mut dissector = std::mem::take(&mut self.dissector);
        let stack = dissector.dissect_as(LinkType::ETHERNET, &frame, length);
        let conversation = Conversation::of(&stack, Side::Theirs);
        let segment = Segment::of(&stack, &frame, whose);
        let question = question(&stack);
        let is_own = segment.is_none() && self.is_of_own_accord(&stack, question, whose);
        let is_known = !half.is_part || is_enough(&stack, &conversation);
        self.dissector = dissector;
        if let Some(segment) = segment {
            let number = (whose == Whose::Recorded).then_some(half.number);
            let (connections, mut means) = self.means();
            connections.take(conversation, number, &segment, &mut means);
        } else if is_own {
            self.verdict.own();
        } else if is_known {
            self.pair(Key { conversation, question }, whose, half);
        } else {
            self.verdict.lack(1);
        }
    }

    /// The connections, and with what they are compared.
    fn means(&mut self) -> (&mut Connections, Means<'_>) {
        let Judge { connections, dissector, ignored, verdict, .. } = self;
        (connections, Means { dissector, ignored, verdict })
    }

    /// Whether a frame of the other side answers nobody: it asks something, or it goes to a group and we have not
    /// asked for it.
    fn is_of_own_accord(&mut self, stack: &Stack<'_>, question: Option<u64>, whose: Whose) -> bool {
        let to_group = stack.frame.first().is_some_and(|octet| octet & 1 == 1);
        let asks = exchange(stack).is_some_and(|exchange| !exchange.is_answer);
        // Blocks of TFTP are acknowledged, and yet they are what was asked for.
        asks && stack.find(&tftp::TFTP).is_none()
            || stack.find(&igmp::IGMP).is_some()
            || to_group && !self.questions.is_answered(stack, question, whose)
    }

    /// An answer that is no TCP: paired with its other half, or kept until that comes.
    fn pair(&mut self, key: Key, whose: Whose, half: Half) {
        match self.pairs.take(key, whose, half) {
            Some((recorded, heard)) => self.compare(&key.conversation, &recorded, &heard),
            None => {
                let Judge { pairs, verdict, dissector, .. } = self;
                let forgotten = pairs.forget(whose);
                forgotten.iter().for_each(|half| verdict.alone(dissector, whose, half));
            }
        }
    }

    fn compare(&mut self, conversation: &Conversation, recorded: &Half, heard: &Half) {
        let Judge { verdict, dissector, ignored, .. } = self;
        let which = (recorded.number, recorded.is_part);
        verdict.compare(dissector, ignored, conversation, which, [&recorded.frame, &heard.frame]);
    }

    /// The capture begins again: what has not come until now does not come.
    pub fn begin_again(&mut self) {
        self.finish();
    }

    /// Nothing more comes.
    pub fn finish(&mut self) {
        for (conversation, recorded, heard) in self.pairs.reconcile() {
            self.compare(&conversation, &recorded, &heard);
        }
        let (connections, mut means) = self.means();
        connections.finish(&mut means);
        let Judge { pairs, verdict, dissector, .. } = self;
        for (whose, halves) in pairs.finish() {
            halves.iter().for_each(|half| verdict.alone(dissector, whose, half));
        }
        verdict.sort();
    }

    /// Whether recorded answers have not come.
    pub fn is_waiting(&self) -> bool {
        self.pairs.is_waiting() || self.connections.is_waiting()
    }

    /// Whether there was anything to compare.
    pub fn has_compared(&self) -> bool {
        self.verdict.has_compared()
    }

    /// Who has sent what was sent again, in the order in which they began.
    pub fn speakers(&self) -> &[Speaker] {
        self.questions.speakers()
    }

    /// What was not compared or only in part, and what else is worth knowing, a line each.
    pub fn remarks(&self) -> String {
        self.verdict.remarks()
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

/// What a segment of ours says: what it acknowledges, where our bytes end, and whether it opens the connection.
fn said(stack: &Stack<'_>) -> Option<(Option<u32>, Option<u32>, bool)> {
    let n = stack.find(&tcp::TCP)?;
    let header = stack.header(n);
    let flags = *header.get(13)?;
    let has = |flag: u8| flags & flag != 0;
    let end = be32(header, 4)?.wrapping_add(stack.payload_length(n) as u32).wrapping_add(1);
    let ack = be32(header, 8).filter(|_| has(tcp::ACK) && !has(tcp::RST));
    Some((ack, has(tcp::FIN).then_some(end), has(tcp::SYN) && !has(tcp::ACK)))
}

/// Whether enough of a frame is there to tell what it answers.
fn is_enough(stack: &Stack<'_>, conversation: &Conversation) -> bool {
    let is_known = !matches!(conversation.kind, Kind::Other | Kind::Ip(_) | Kind::Tcp);
    is_known && stack.layers.iter().take(3).all(|layer| layer.missing == 0)
}

/// What an answer answers, where its protocol tells that.
fn question(stack: &Stack<'_>) -> Option<u64> {
    exchange(stack).filter(|exchange| exchange.is_answer).map(|exchange| exchange.key)
}

fn exchange(stack: &Stack<'_>) -> Option<crate::proto::Exchange> {
    let own = stack.layers.iter().enumerate().rev().filter(|(_, layer)| !layer.is_quoted);
    own.into_iter().find_map(|(n, layer)| (layer.protocol.exchange)(stack, n))
}
