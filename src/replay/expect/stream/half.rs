//! One side of a connection that is compared: its segments, put in order, become bytes.
//!
//! The recording may lack some of them, because the capture cut frames or lost them. When they will not come any more
//! (they were acknowledged, or nothing more comes), they leave a hole, which is passed over in the other side, too.
//! Where it is not known what stands behind a hole, as within a head of HTTP, the rest is not compared, and counted.

use std::collections::VecDeque;

use bytes::Bytes;

use super::super::ignore::Ignored;
use super::super::mask::Mask;
use super::segment::{Header, Kind, Segment};
use crate::clock::Timestamp;
use crate::dissect::Dissector;
use crate::proto::tcp;
use crate::replay::expect::fields::Entry;
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
            *first = First::Here(segment.header.copied());
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
