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

mod fields;
pub mod ignore;
mod mask;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::Write;

use bytes::Bytes;

use self::fields::{Change, Entry};
use self::ignore::Ignored;
use self::stream::{Comparison, Segment};
use super::conversation::{Conversation, Side};
use crate::dissect::Dissector;
use crate::proto::{Stack, be32, igmp, tcp};

/// Differences that are told one by one.
const TOLD: usize = 50;
/// Answers that wait for their other half.
const WAITING: usize = 64 * 1024;

/// What a pair of answers has in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    conversation: Conversation,
    /// What is answered, where that can be told.
    question: Option<u64>,
}

/// Answers that wait for their other half: of one kind at a time.
#[derive(Debug, Default)]
struct Waiting {
    recorded: VecDeque<(u64, Bytes)>,
    heard: VecDeque<(u64, Bytes)>,
}

/// Something that is not as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Difference {
    /// The frame of the capture, if it is about one.
    number: Option<u64>,
    what: String,
    changes: Vec<Change>,
}

/// Compares.
#[derive(Debug)]
pub struct Judge {
    ignored: Ignored,
    dissector: Dissector,
    connections: HashMap<Conversation, VecDeque<Comparison>>,
    /// Connections that have come to their end.
    over: HashSet<Conversation>,
    waiting: HashMap<Key, Waiting>,
    /// Recorded answers, and answers of today, that wait.
    open: [usize; 2],
    differences: Vec<Difference>,
    counts: Counts,
}

/// How many of each.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    same: u64,
    different: u64,
    missing: u64,
    extra: u64,
    connections: u64,
    bytes: u64,
    faulty: u64,
    /// Answers of today so far.
    heard: u64,
    own: u64,
}

impl Judge {
    /// One that does not compare what is `ignored`.
    pub fn new(ignored: Ignored) -> Judge {
        Judge {
            ignored,
            dissector: Dissector::default(),
            connections: HashMap::new(),
            over: HashSet::new(),
            waiting: HashMap::new(),
            open: [0; 2],
            differences: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Frame `number` of the capture, which the other side had sent.
    pub fn recorded(&mut self, number: u64, frame: &Bytes) {
        self.take(Some(number), frame);
    }

    /// What the other side sends today, with the recorded ports.
    pub fn heard(&mut self, frame: &Bytes) {
        self.counts.heard += 1;
        self.take(None, frame);
    }

    fn take(&mut self, number: Option<u64>, frame: &Bytes) {
        let mut dissector = std::mem::take(&mut self.dissector);
        let stack = dissector.dissect(frame);
        let conversation = Conversation::of(&stack, Side::Theirs);
        match segment(&stack, frame, &self.ignored) {
            Some(segment) => self.segment(conversation, number, segment),
            None if is_of_own_accord(&stack) => self.counts.own += u64::from(number.is_none()),
            None => {
                let key = Key { conversation, question: question(&stack) };
                self.dissector = dissector;
                return self.packet(key, number, frame.clone());
            }
        }
        self.dissector = dissector;
    }

    /// An answer that is no TCP: paired with its other half, or kept until that comes.
    fn packet(&mut self, key: Key, number: Option<u64>, frame: Bytes) {
        let waiting = self.waiting.entry(key).or_default();
        let (own, other, side) = match number {
            Some(_) => (&mut waiting.recorded, &mut waiting.heard, 0),
            None => (&mut waiting.heard, &mut waiting.recorded, 1),
        };
        let own_number = number.unwrap_or(self.counts.heard);
        let Some((other_number, half)) = other.pop_front() else {
            own.push_back((own_number, frame));
            self.open[side] += 1;
            if self.open[side] > WAITING {
                self.forget(key, side);
            }
            return;
        };
        if waiting.recorded.is_empty() && waiting.heard.is_empty() {
            self.waiting.remove(&key);
        }
        self.open[1 - side] -= 1;
        match number {
            Some(number) => self.compare(key, number, &frame, &half),
            None => self.compare(key, other_number, &half, &frame),
        }
    }

    /// So many wait that the oldest of this conversation never finds its other half.
    fn forget(&mut self, key: Key, side: usize) {
        let Some(waiting) = self.waiting.get_mut(&key) else { return };
        let queue = if side == 0 { &mut waiting.recorded } else { &mut waiting.heard };
        if let Some((number, frame)) = queue.pop_front() {
            self.open[side] -= 1;
            self.alone(side, number, &frame);
        }
    }

    fn compare(&mut self, key: Key, number: u64, expected: &Bytes, actual: &Bytes) {
        if expected == actual {
            self.counts.same += 1;
            return;
        }
        let expected = fields::of(&mut self.dissector, expected, &self.ignored);
        let actual = fields::of(&mut self.dissector, actual, &self.ignored);
        let changes = fields::diff(&expected, &actual);
        if changes.is_empty() {
            self.counts.same += 1;
            return;
        }
        self.counts.different += 1;
        let what = format!("the answer differs, {}", key.conversation);
        self.tell(Difference { number: Some(number), what, changes });
    }

    /// An answer without its other half.
    fn alone(&mut self, side: usize, number: u64, frame: &Bytes) {
        let said = fields::summary(&mut self.dissector, frame);
        let difference = match side {
            0 => {
                self.counts.missing += 1;
                let what = format!("this answer did not come: {said}");
                Difference { number: Some(number), what, changes: Vec::new() }
            }
            _ => {
                self.counts.extra += 1;
                let what = format!("an answer came that was not recorded: {said}");
                Difference { number: None, what, changes: Vec::new() }
            }
        };
        self.tell(difference);
    }

    fn tell(&mut self, difference: Difference) {
        if self.differences.len() < TOLD {
            self.differences.push(difference);
        }
    }

    /// A segment of a connection; ports that are used again have one connection behind the other.
    fn segment(&mut self, conversation: Conversation, number: Option<u64>, segment: Segment) {
        let is_expected = number.is_some();
        let brings = segment.is_syn || segment.is_fin || segment.is_rst || !segment.data.is_empty();
        // What is repeated behind the end, because an acknowledgment was late, is no connection.
        if !brings || !segment.is_syn && self.over.contains(&conversation) {
            return;
        }
        self.over.remove(&conversation);
        let known = self.connections.entry(conversation).or_default();
        let used = known.iter().filter(|comparison| comparison.has(is_expected)).count();
        let is_next = used == 0
            || segment.is_syn
                && known
                    .get(used - 1)
                    .is_some_and(|last| last.is_another(segment.seq, is_expected));
        let place = if is_next { used } else { used - 1 };
        if place == known.len() {
            known.push_back(Comparison::default());
        }
        let Some(comparison) = known.get_mut(place) else { return };
        match number {
            Some(number) => comparison.expect(number, segment, &self.ignored),
            None => comparison.hear(segment, &self.ignored),
        }
        let faults = comparison.judge(false);
        let is_done = comparison.is_done() && place == 0;
        if is_done && let Some(done) = known.pop_front() {
            let is_last = known.is_empty();
            self.close(conversation, done, faults);
            if is_last {
                self.connections.remove(&conversation);
                if self.over.len() > WAITING {
                    self.over.clear();
                }
                self.over.insert(conversation);
            }
            return;
        }
        self.blame(conversation, faults);
    }

    fn blame(&mut self, conversation: Conversation, faults: Vec<stream::Fault>) {
        for fault in faults {
            let stream::Fault { number, what, changes } = fault;
            self.tell(Difference { number, what: format!("{conversation} {what}"), changes });
            self.counts.faulty += 1;
        }
    }

    /// Nothing more is compared of this connection.
    fn close(
        &mut self,
        conversation: Conversation,
        mut comparison: Comparison,
        mut faults: Vec<stream::Fault>,
    ) {
        faults.extend(comparison.judge(true));
        if !comparison.is_recorded() {
            self.counts.extra += 1;
            let what = format!("an answer came that was not recorded: {conversation}");
            return self.tell(Difference { number: None, what, changes: Vec::new() });
        }
        self.blame(conversation, faults);
        self.counts.connections += u64::from(!comparison.is_different());
        self.counts.bytes += comparison.equal();
    }

    /// The capture begins again: what has not come until now does not come.
    pub fn begin_again(&mut self) {
        self.finish();
    }

    /// Nothing more comes.
    pub fn finish(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        let mut alone: [Vec<(u64, Bytes)>; 2] = Default::default();
        for waiting in waiting.into_values() {
            alone[0].extend(waiting.recorded);
            alone[1].extend(waiting.heard);
        }
        self.open = [0; 2];
        self.over.clear();
        let connections = std::mem::take(&mut self.connections);
        let mut connections: Vec<_> = connections.into_iter().collect();
        connections.sort_by_key(|(conversation, _)| conversation.to_string());
        for (conversation, comparisons) in connections {
            for comparison in comparisons {
                self.close(conversation, comparison, Vec::new());
            }
        }
        for (side, mut frames) in alone.into_iter().enumerate() {
            frames.sort_by_key(|(number, _)| *number);
            frames.iter().for_each(|(number, frame)| self.alone(side, *number, frame));
        }
        // In the order of the capture; what it does not have comes last.
        self.differences.sort_by_key(|difference| difference.number.unwrap_or(u64::MAX));
    }

    /// Whether recorded answers have not come.
    pub fn is_waiting(&self) -> bool {
        self.open[0] > 0
    }

    /// Whether everything came as it was recorded.
    pub fn is_content(&self) -> bool {
        let Counts { different, missing, extra, faulty, .. } = self.counts;
        different + missing + extra + faulty == 0
    }

    /// The differences, each with its fields.
    pub fn differences(&self) -> String {
        let mut text = String::new();
        for Difference { number, what, changes } in &self.differences {
            match number {
                Some(number) => writeln!(text, "frame {number}: {what}"),
                None => writeln!(text, "{what}"),
            }
            .unwrap_or_default();
            for Change { name, expected, actual } in changes {
                let name = if name.is_empty() { String::new() } else { format!("{name}  ") };
                let _ = writeln!(text, "    expected  {name}{expected}");
                let _ = writeln!(text, "    actual    {name}{actual}");
            }
        }
        let Counts { different, missing, extra, faulty, .. } = self.counts;
        let more =
            (different + missing + extra + faulty).saturating_sub(self.differences.len() as u64);
        if more > 0 {
            let _ = writeln!(text, "... and {more} more");
        }
        text
    }

    /// How many answers there were, of each kind.
    pub fn sum(&self) -> String {
        let Counts { same, different, missing, extra, connections, bytes, faulty, .. } =
            self.counts;
        let mut parts = Vec::new();
        if same > 0 || connections == 0 {
            parts.push(format!("{same} as recorded"));
        }
        if connections > 0 {
            let s = if connections == 1 { "" } else { "s" };
            parts.push(format!("{connections} connection{s} as recorded, {bytes} bytes"));
        }
        for (n, what) in [
            (different, "different"),
            (faulty, "different in TCP"),
            (missing, "missing"),
            (extra, "not recorded"),
        ] {
            if n > 0 {
                parts.push(format!("{n} {what}"));
            }
        }
        format!("answers: {}", parts.join(", "))
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
