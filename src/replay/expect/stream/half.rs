//! One side of a connection that is compared: its segments, put in order, become bytes.
//!
//! The recording may lack some of them, because the capture cut frames or lost them. When they will not come any more
//! (they were acknowledged, or nothing more comes), they leave a hole, which is passed over in the other side, too.
//! Where it is not known what stands behind a hole, as within a head of HTTP, the rest is not compared, and counted.

use std::collections::VecDeque;

use bytes::Bytes;

use super::super::ignore::Ignored;
use super::super::mask::Mask;
use super::super::pairs::Whose;
use crate::clock::Timestamp;
use crate::dissect::Dissector;
use crate::proto::{NoteKind, Stack, be32, tcp};
use crate::record::LinkType;
use crate::replay::expect::fields::{self, Entry};
use crate::stream::{Assembly, Piece};

/// Numbers this far ahead are behind.
const HALF: u32 = 1 << 31;

/// How a side has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Closed,
    Reset,
}

impl End {
    pub(super) fn name(end: Option<End>) -> String {
        let name = match end {
            None => "open",
            Some(End::Closed) => "closed",
            Some(End::Reset) => "reset",
        };
        name.to_owned()
    }
}

/// Segments that are alike but for their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Opening,
    Data,
    Acknowledgment,
    Closing,
    Reset,
}

impl Kind {
    pub(super) const ALL: [Kind; 5] =
        [Kind::Opening, Kind::Data, Kind::Acknowledgment, Kind::Closing, Kind::Reset];

    /// What the other side does in another way.
    pub(super) fn does(self) -> &'static str {
        match self {
            Kind::Opening => "opens",
            Kind::Data => "sends data",
            Kind::Acknowledgment => "acknowledges",
            Kind::Closing => "closes",
            Kind::Reset => "resets",
        }
    }

    /// Whether a field of such a segment is compared.
    fn has(self, name: &str) -> bool {
        match name {
            "ipv4.total_length" | "ipv6.payload_length" | "tcp.src_port" => false,
            "tcp.flags.urg" | "tcp.flags.ece" | "tcp.flags.cwr" | "tcp.urgent_pointer" => true,
            _ => self == Kind::Opening || !name.starts_with("tcp."),
        }
    }
}

/// A segment of the other side.
#[derive(Clone, Debug)]
pub(in super::super) struct Segment {
    seq: u32,
    ack: Option<u32>,
    flags: u8,
    data: Bytes,
    /// Bytes of data that it had: more than are there, where the capture cut it.
    length: u32,
    header: Header,
}

/// What stands in front of the data, and how long the frame was.
#[derive(Clone, Debug)]
struct Header {
    bytes: Bytes,
    length: usize,
}

impl Segment {
    /// The segment in a frame. What is wrong above TCP matters to nobody, but one of today with a wrong checksum is
    /// none, since nobody takes it; recorded ones may not have been filled in when they were captured.
    pub(in super::super) fn of(stack: &Stack<'_>, frame: &Bytes, whose: Whose) -> Option<Segment> {
        let n = stack.find(&tcp::TCP)?;
        let (layer, header) = (stack.layers.get(n)?, stack.header(n));
        let below = |name: &str| stack.layers.iter().take(n + 1).any(|l| l.protocol.name == name);
        let is_wrong = stack.notes.iter().any(|note| {
            let is_sum = matches!(note.kind, NoteKind::Checksum { .. });
            note.is_malformed() && below(note.protocol) && !(is_sum && whose == Whose::Recorded)
        });
        if is_wrong || layer.missing > 0 {
            return None;
        }
        let flags = *header.get(13)?;
        let has_ack = flags & tcp::ACK != 0;
        Some(Segment {
            seq: be32(header, 4)?,
            ack: be32(header, 8).filter(|_| has_ack),
            flags,
            data: frame
                .get(layer.payload..layer.end)
                .map(|_| frame.slice(layer.payload..layer.end))?,
            length: stack.payload_length(n) as u32,
            header: Header { bytes: frame.slice(..layer.payload), length: stack.length },
        })
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The first number of a connection, if it begins one.
    pub(in super::super) fn first(&self) -> Option<u32> {
        self.has(tcp::SYN).then_some(self.seq)
    }

    /// Whether it ends a connection at once.
    pub(in super::super) fn is_reset(&self) -> bool {
        self.has(tcp::RST)
    }

    /// Whether it brings anything but an acknowledgment.
    pub(in super::super) fn brings(&self) -> bool {
        self.has(tcp::SYN | tcp::FIN | tcp::RST) || !self.data.is_empty()
    }

    fn kind(&self) -> Kind {
        match self.flags {
            flags if flags & tcp::RST != 0 => Kind::Reset,
            flags if flags & tcp::SYN != 0 => Kind::Opening,
            _ if self.length > 0 => Kind::Data,
            flags if flags & tcp::FIN != 0 => Kind::Closing,
            _ => Kind::Acknowledgment,
        }
    }
}

impl Header {
    /// Its fields that are compared.
    fn entries(&self, kind: Kind, dissector: &mut Dissector, ignored: &Ignored) -> Vec<Entry> {
        let length = self.length.max(self.bytes.len());
        let stack = dissector.dissect_as(LinkType::ETHERNET, &self.bytes, length);
        let mut entries = fields::entries(&stack, ignored);
        entries.retain(|(name, _)| name.contains('.') && kind.has(name));
        // Our numbers are the recorded ones, and so is what of them is accepted.
        let accepted = stack.find(&tcp::TCP).and_then(|n| be32(stack.header(n), 8));
        if kind == Kind::Opening {
            entries.extend(accepted.map(|ack| ("tcp.ack".to_owned(), ack.to_string())));
        }
        entries
    }
}

/// The first segment of a kind.
#[derive(Debug, Default)]
enum First {
    #[default]
    None,
    Here(Header),
    Compared,
}

/// Bytes of the recording that are missing, or of which it is not known what they are.
#[derive(Clone, Copy, Debug)]
struct Hole {
    /// Behind so many bytes of the others.
    at: u64,
    /// How many; without a number up to the end.
    left: Option<u64>,
    /// Nothing in front of it was HTTP.
    is_plain: bool,
}

/// What one side has sent.
#[derive(Debug, Default)]
pub(super) struct Half {
    first: Option<u32>,
    firsts: [First; 5],
    assembly: Assembly,
    mask: Mask,
    /// What is to be compared.
    pub(super) buffer: Vec<u8>,
    /// What was compared.
    taken: u64,
    holes: VecDeque<Hole>,
    /// Bytes that are missing, and bytes behind them that cannot be compared.
    pub(super) missing: u64,
    pub(super) unread: u64,
    pub(super) total: u64,
    pub(super) end: Option<End>,
    pub(super) is_reset: bool,
    fin: Option<u32>,
    acked: Option<u32>,
}

impl Half {
    /// Takes a segment.
    pub(super) fn push(&mut self, segment: &Segment, ignored: &Ignored) {
        let first = &mut self.firsts[segment.kind() as usize];
        if matches!(first, First::None) {
            let Header { bytes, length } = &segment.header;
            *first = First::Here(Header { bytes: Bytes::copy_from_slice(bytes), length: *length });
        }
        if segment.is_reset() {
            self.is_reset = true;
            if self.end.is_none() {
                self.end = Some(End::Reset);
                self.mask.finish(&mut self.buffer);
            }
            return;
        }
        self.acked = match (self.acked, segment.ack) {
            (Some(known), Some(ack)) if ack.wrapping_sub(known) >= HALF => Some(known),
            (known, ack) => ack.or(known),
        };
        let mut seq = segment.seq;
        if segment.has(tcp::SYN) {
            self.first = self.first.or(Some(seq));
            self.assembly.open(seq);
            seq = seq.wrapping_add(1);
        }
        let mut pieces = Vec::new();
        self.assembly.push(Timestamp(0), seq, &segment.data, false, &mut pieces);
        if segment.has(tcp::FIN) {
            let end = seq.wrapping_add(segment.length);
            self.assembly.open(end.wrapping_sub(1)); // unless its number is known
            self.assembly.push(Timestamp(0), end, &Bytes::new(), true, &mut pieces);
            self.fin = self.fin.or(Some(end));
        }
        self.take(pieces, ignored);
    }

    /// We had acknowledged everything in front of this.
    pub(super) fn acknowledge(&mut self, ack: u32, ignored: &Ignored) {
        let mut pieces = Vec::new();
        self.assembly.acknowledge(ack, &mut pieces);
        self.take(pieces, ignored);
    }

    /// What is missing does not come any more.
    pub(super) fn give_up(&mut self, ignored: &Ignored) {
        let mut pieces = Vec::new();
        if let Some(fin) = self.fin {
            self.assembly.acknowledge(fin, &mut pieces);
        }
        self.assembly.give_up(&mut pieces);
        self.take(pieces, ignored);
    }

    /// Nothing more comes.
    pub(super) fn finish(&mut self) {
        self.mask.finish(&mut self.buffer);
    }

    fn take(&mut self, pieces: Vec<Piece>, ignored: &Ignored) {
        for piece in pieces {
            match piece {
                Piece::Data(_, bytes) if self.is_blind() => self.unread += bytes.len() as u64,
                Piece::Data(_, bytes) => {
                    self.total += bytes.len() as u64;
                    self.mask.push(&bytes, ignored, &mut self.buffer);
                }
                Piece::Lost(n) => {
                    self.missing += n;
                    if !self.is_blind() {
                        let is_plain = !self.mask.is_http();
                        let is_known = self.mask.skip(n, ignored, &mut self.buffer);
                        let at = self.taken + self.buffer.len() as u64;
                        self.holes.push_back(Hole { at, left: is_known.then_some(n), is_plain });
                    }
                }
                Piece::End => {
                    self.mask.finish(&mut self.buffer);
                    self.end = self.end.or(Some(End::Closed));
                }
            }
        }
    }

    /// Whether nothing more of it can be compared.
    fn is_blind(&self) -> bool {
        self.holes.back().is_some_and(|hole| hole.left.is_none())
    }

    /// Its bytes in front of the next hole.
    pub(super) fn known(&self) -> &[u8] {
        let hole = self.holes.front().map(|hole| hole.at.saturating_sub(self.taken));
        let end = hole.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
        self.buffer.get(..end).unwrap_or(&self.buffer)
    }

    /// Passes over the hole that comes next, as far as the `other` side has bytes; whether it is behind that.
    pub(super) fn pass_hole(&mut self, other: &mut Half) -> bool {
        let Some(hole) = self.holes.front_mut().filter(|hole| hole.at <= self.taken) else {
            return false;
        };
        if hole.is_plain && hole.left.is_some() && other.mask.is_http() {
            hole.left = None; // the hole has swallowed a head, which has no length to rely on
            self.unread += self.buffer.len() as u64;
            self.buffer.clear();
            self.holes.truncate(1);
        }
        let Some(hole) = self.holes.front_mut() else { return false };
        let there = other.buffer.len();
        let n =
            hole.left.and_then(|left| usize::try_from(left).ok()).map_or(there, |n| n.min(there));
        other.forget(n);
        if let Some(left) = &mut hole.left {
            *left -= n as u64;
        }
        let is_behind = hole.left == Some(0);
        if is_behind {
            self.holes.pop_front();
        }
        is_behind
    }

    /// The next bytes were compared.
    pub(super) fn forget(&mut self, n: usize) {
        let n = n.min(self.buffer.len());
        self.buffer.drain(..n);
        self.taken += n as u64;
    }

    /// It is not compared any more.
    pub(super) fn clear(&mut self) {
        self.forget(usize::MAX);
        self.holes.clear();
    }

    /// How many bytes were put in order so far, those that are missing aside.
    pub(super) fn produced(&self) -> u64 {
        self.taken + self.buffer.len() as u64
    }

    /// How many bytes were compared.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// How many bytes are still to be compared or passed over.
    pub(super) fn left(&self) -> u64 {
        let holes = self.holes.iter().filter_map(|hole| hole.left);
        holes.fold(self.buffer.len() as u64, u64::saturating_add)
    }

    /// Whether a SYN with this number begins another connection.
    pub(super) fn is_another(&self, first: u32) -> bool {
        self.first.is_some_and(|known| known != first)
    }

    pub(super) fn is_opened(&self) -> bool {
        self.first.is_some()
    }

    /// Whether it may end here: it is in the middle of nothing.
    pub(super) fn is_between(&self) -> bool {
        self.mask.is_between()
    }

    /// How many of our bytes the `other` has acknowledged and this one has not.
    pub(super) fn owes(&self, other: &Half) -> u32 {
        let owed = match (other.acked, self.acked) {
            (Some(other), Some(own)) => other.wrapping_sub(own),
            _ => 0,
        };
        if owed < HALF { owed } else { 0 }
    }

    /// Whether everything of ours in front of this is acknowledged.
    pub(super) fn has_acknowledged(&self, end: u32) -> bool {
        self.acked.is_some_and(|acked| acked.wrapping_sub(end) < HALF)
    }

    /// How many bytes it holds.
    pub(super) fn held(&self) -> usize {
        let holes = self.holes.len() * size_of::<Hole>();
        self.buffer.len() + self.assembly.held() + holes
    }
}

/// The fields of both sides' first segments of a kind, once both are there.
pub(super) fn first_of_both(
    kind: Kind,
    [expected, actual]: [&mut Half; 2],
    dissector: &mut Dissector,
    ignored: &Ignored,
) -> Option<[Vec<Entry>; 2]> {
    let [expected, actual] = [expected, actual].map(|half| &mut half.firsts[kind as usize]);
    let (First::Here(wanted), First::Here(found)) = (&expected, &actual) else { return None };
    let both = [wanted, found].map(|header| header.entries(kind, dissector, ignored));
    (*expected, *actual) = (First::Compared, First::Compared);
    Some(both)
}
