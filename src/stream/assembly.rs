//! One direction of a TCP connection (RFC 9293 sections 3.4 and 3.10.7.4).
//!
//! Sequence numbers wrap around after 4 GiB; inside, a position is the number of bytes since the first
//! one that was seen, and does not. What comes in order is handed on at once and shares the memory of its
//! packet. What comes early is copied and held, and of bytes that come twice the first copy counts.
//!
//! A hole in front of held bytes is given up, and told as [`Piece::Lost`], when it cannot be
//! filled any more: the receiver has acknowledged what was in it, so that it was sent and it is the
//! capture that lacks it, and [`PATIENCE`] more segments have come without it (captures on several
//! processors mix neighbours up); or more is held than [`MAX_HELD`] bytes or [`MAX_SEGMENTS`] pieces; or
//! the one who asks knows that nothing more will come.
//!
//! Keep-alives and window probes (RFC 9293 section 3.8.4, 3.8.6.1) repeat a byte in front of the next one, or
//! bring none: they fall to "comes twice". Where the start of a connection was not seen, its stream
//! begins with the first byte of data.

use std::collections::BTreeMap;

use bytes::{Buf, Bytes};

use crate::clock::Timestamp;

/// So many bytes are held behind a hole, at most.
const MAX_HELD: usize = 4 * 1024 * 1024;
/// In so many pieces, at most.
const MAX_SEGMENTS: usize = 4096;
/// So many segments come before a hole that was acknowledged is given up.
const PATIENCE: u32 = 16;
/// A segment that begins less than this in front of the next byte is an old one, and otherwise one
/// from beyond a hole: no window is larger (RFC 7323 section 2.3).
const OLD: u32 = 1 << 30;

/// The next part of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes, and when the segment came that brought them.
    Data(Timestamp, Bytes),
    /// So many bytes are missing here.
    Lost(u64),
    /// The sender has said that this is the end.
    End,
}

/// Puts the segments of one direction in order.
#[derive(Debug, Default)]
pub struct Assembly {
    /// The sequence number of the next byte, once it is known.
    next: Option<u32>,
    /// Its position.
    at: u64,
    /// What came early, by position; pieces do not overlap and none begins in front of `at`.
    held: BTreeMap<u64, (Timestamp, Bytes)>,
    held_bytes: usize,
    /// The position behind the last byte, when the end was announced.
    end: Option<u64>,
    is_over: bool,
    /// The receiver has said that it has everything in front of this position.
    acknowledged: u64,
    /// Segments that came since the hole at `at` was acknowledged.
    waited: u32,
}

impl Assembly {
    /// The sender has opened the connection with this sequence number: its first byte has the next.
    pub fn open(&mut self, sequence: u32) {
        if self.next.is_none() {
            self.next = Some(sequence.wrapping_add(1));
        }
    }

    /// Takes a segment: its sequence number, its bytes, and whether the sender says that they are its
    /// last. Appends what is complete now.
    pub fn push(
        &mut self,
        time: Timestamp,
        sequence: u32,
        bytes: &Bytes,
        is_last: bool,
        out: &mut Vec<Piece>,
    ) {
        if self.is_over {
            return;
        }
        if self.next.is_none() && !bytes.is_empty() {
            self.next = Some(sequence);
        }
        let Some(next) = self.next else { return };
        let (position, bytes) = match next.wrapping_sub(sequence) {
            behind @ 1..OLD => {
                let known = bytes.len().min(behind as usize);
                if known < behind as usize {
                    return; // all of it is old, its end too
                }
                (self.at, bytes.slice(known..))
            }
            _ => {
                let ahead = u64::from(sequence.wrapping_sub(next));
                (self.at.saturating_add(ahead), bytes.clone())
            }
        };
        if is_last && self.end.is_none() {
            self.end = Some(position.saturating_add(bytes.len() as u64));
        }
        if position == self.at && self.held.is_empty() {
            self.hand_on(time, bytes, out);
        } else {
            self.hold(time, position, bytes);
        }
        self.drain(out);
        self.check(out);
    }

    /// The receiver says that it has everything in front of this sequence number.
    pub fn acknowledge(&mut self, sequence: u32, out: &mut Vec<Piece>) {
        let Some(next) = self.next else { return };
        let ahead = sequence.wrapping_sub(next);
        if ahead < OLD {
            self.acknowledged = self.acknowledged.max(self.at.saturating_add(ahead.into()));
        }
        self.check(out);
    }

    /// Nothing more comes to fill holes: everything that is held is handed out, and what was
    /// acknowledged behind it is told as lost.
    pub fn give_up(&mut self, out: &mut Vec<Piece>) {
        while let Some(&position) = self.held.keys().next() {
            self.skip_to(position, out);
        }
        let seen = self.acknowledged.min(self.end.unwrap_or(u64::MAX));
        self.skip_to(seen, out);
    }

    /// The bytes that are held behind holes.
    pub fn held(&self) -> usize {
        self.held_bytes
    }

    /// Whether bytes are missing that were sent: some behind them are here, or they were acknowledged.
    pub fn has_hole(&self) -> bool {
        let end = self.end.unwrap_or(u64::MAX);
        !self.held.is_empty() || self.acknowledged.min(end) > self.at
    }

    /// Whether the sender's last byte was handed out.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Gives up the hole at `at` if it is time.
    fn check(&mut self, out: &mut Vec<Piece>) {
        while self.held_bytes > MAX_HELD || self.held.len() > MAX_SEGMENTS {
            let Some(&position) = self.held.keys().next() else { return };
            self.skip_to(position, out);
        }
        if self.acknowledged <= self.at || self.end.is_some_and(|end| self.at >= end) {
            self.waited = 0;
            return;
        }
        self.waited += 1;
        if self.waited > PATIENCE {
            let first = self.held.keys().next().copied().unwrap_or(u64::MAX);
            let end = self.end.unwrap_or(u64::MAX);
            self.skip_to(first.min(self.acknowledged).min(end), out);
            self.waited = 0;
        }
    }

    /// Tells that the bytes in front of `position` are lost, and goes on there.
    fn skip_to(&mut self, position: u64, out: &mut Vec<Piece>) {
        let missing = position.saturating_sub(self.at);
        if missing > 0 && !self.is_over {
            out.push(Piece::Lost(missing));
            self.advance(missing);
        }
        self.drain(out);
    }

    /// Copies bytes that came early: only what nobody brought before.
    fn hold(&mut self, time: Timestamp, mut position: u64, mut bytes: Bytes) {
        if position < self.at {
            let known = usize::try_from(self.at - position).unwrap_or(usize::MAX);
            bytes.advance(known.min(bytes.len()));
            position = self.at;
        }
        while !bytes.is_empty() {
            let before = self.held.range(..=position).next_back();
            let covered = before.map_or(0, |(at, (_, held))| at + held.len() as u64);
            if covered > position {
                let known = usize::try_from(covered - position).unwrap_or(usize::MAX);
                bytes.advance(known.min(bytes.len()));
                position = covered;
                continue;
            }
            let behind = self.held.range(position..).next().map(|(at, _)| at - position);
            let free = behind.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
            let n = free.min(bytes.len());
            let new = bytes.split_to(n);
            self.held_bytes += n;
            self.held.insert(position, (time, Bytes::copy_from_slice(&new)));
            position = position.saturating_add(n as u64);
        }
    }

    /// Hands out what is held and next.
    fn drain(&mut self, out: &mut Vec<Piece>) {
        while let Some(first) = self.held.first_entry() {
            if *first.key() > self.at {
                break;
            }
            let (time, bytes) = first.remove();
            self.held_bytes -= bytes.len();
            self.hand_on(time, bytes, out);
        }
        if self.end.is_some_and(|end| self.at >= end) && !self.is_over {
            self.is_over = true;
            self.held.clear();
            self.held_bytes = 0;
            out.push(Piece::End);
        }
    }

    fn hand_on(&mut self, time: Timestamp, mut bytes: Bytes, out: &mut Vec<Piece>) {
        if let Some(end) = self.end {
            let room = usize::try_from(end.saturating_sub(self.at)).unwrap_or(usize::MAX);
            bytes.truncate(room);
        }
        if !bytes.is_empty() && !self.is_over {
            self.advance(bytes.len() as u64);
            out.push(Piece::Data(time, bytes));
        }
    }

    fn advance(&mut self, n: u64) {
        self.at = self.at.saturating_add(n);
        self.next = self.next.map(|next| next.wrapping_add(n as u32)); // modulo 2^32, as it counts
        self.waited = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    /// What comes of segments: a sequence number and bytes, `$` at the end for the last.
    fn assemble(assembly: &mut Assembly, segments: &[(u32, &'static str)]) -> Vec<Piece> {
        let mut out = Vec::new();
        for (sequence, text) in segments {
            let is_last = text.ends_with('$');
            let text = bytes(text.trim_end_matches('$'));
            assembly.push(Timestamp(u64::from(*sequence)), *sequence, &text, is_last, &mut out);
        }
        out
    }

    fn text(pieces: &[Piece]) -> String {
        pieces
            .iter()
            .map(|piece| match piece {
                Piece::Data(_, bytes) => String::from_utf8_lossy(bytes).into_owned(),
                Piece::Lost(n) => format!("<{n}>"),
                Piece::End => "$".to_owned(),
            })
            .collect()
    }

    #[test]
    fn segments_out_of_order_twice_and_overlapping_are_one_stream() {
        let mut assembly = Assembly::default();
        assembly.open(99);
        let out = assemble(
            &mut assembly,
            &[(103, "def"), (100, "a"), (103, "XX"), (101, "bcX"), (100, "YYYYYYg"), (107, "h$")],
        );
        assert_eq!(text(&out), "abcdefgh$");
        assert_eq!(
            out[2],
            Piece::Data(Timestamp(103), bytes("def")),
            "the first copy and its time"
        );
        assert_eq!(assembly.held(), 0);
        assert!(assembly.is_over());
        assert!(assemble(&mut assembly, &[(107, "h$"), (108, "more")]).is_empty());
    }

    #[test]
    fn the_sequence_numbers_wrap_around() {
        let mut assembly = Assembly::default();
        assembly.open(u32::MAX - 3);
        let segments = [(0, "cd"), (u32::MAX - 2, "xyz"), (2, "e"), (0, "cd"), (3, "f")];
        assert_eq!(text(&assemble(&mut assembly, &segments)), "xyzcdef");
    }

    #[test]
    fn keep_alives_and_window_probes_change_nothing() {
        let mut assembly = Assembly::default();
        let segments = [(50, ""), (51, "ab"), (52, "?"), (52, ""), (53, ""), (53, "c"), (53, "c")];
        assert_eq!(text(&assemble(&mut assembly, &segments)), "abc");
    }

    #[test]
    fn a_hole_that_was_acknowledged_is_given_up_with_some_patience() {
        let mut assembly = Assembly::default();
        let mut out = assemble(&mut assembly, &[(0, "ab"), (5, "fg")]);
        assembly.acknowledge(7, &mut out);
        assert_eq!(text(&out), "ab");
        for n in 0..PATIENCE {
            assert_eq!(text(&out), "ab", "after {n}");
            assembly.acknowledge(7, &mut out);
        }
        assert_eq!(text(&out), "ab<3>fg");
        assert_eq!(text(&assemble(&mut assembly, &[(2, "cde"), (7, "h")])), "h");
    }

    #[test]
    fn a_hole_that_is_filled_late_is_no_hole() {
        let mut assembly = Assembly::default();
        let mut out = assemble(&mut assembly, &[(0, "ab"), (5, "fg")]);
        assembly.acknowledge(7, &mut out);
        out.extend(assemble(&mut assembly, &[(2, "cde")]));
        (0..100).for_each(|_| assembly.acknowledge(7, &mut out));
        assert_eq!(text(&out), "abcdefg");
    }

    #[test]
    fn more_than_the_bound_gives_the_hole_up() {
        let mut assembly = Assembly::default();
        let mut out = assemble(&mut assembly, &[(0, "a")]);
        let mebibyte = Bytes::from(vec![b'x'; 1 << 20]);
        for n in 0..5u32 {
            assembly.push(Timestamp(0), 11 + (n << 20), &mebibyte, false, &mut out);
            assert!(assembly.held() <= MAX_HELD);
        }
        assert_eq!(out[1], Piece::Lost(10));
        let mut assembly = Assembly::default();
        let mut out = assemble(&mut assembly, &[(0, "a")]);
        for n in 0..=MAX_SEGMENTS as u32 {
            assembly.push(Timestamp(0), 11 + 2 * n, &bytes("y"), false, &mut out);
        }
        assert_eq!(out[1], Piece::Lost(10));
    }

    #[test]
    fn giving_up_hands_out_what_is_held() {
        let mut assembly = Assembly::default();
        let mut out = assemble(&mut assembly, &[(0, "a"), (3, "d"), (6, "g$")]);
        assembly.give_up(&mut out);
        assert_eq!(text(&out), "a<2>d<2>g$");
    }

    proptest! {
        /// A stream is sent in pieces that overlap, come in any order, and some of them again.
        #[test]
        fn any_segmentation_gives_the_stream(
            stream in prop::collection::vec(any::<u8>(), 1..300),
            start: u32,
            cuts in prop::collection::vec((any::<prop::sample::Index>(), 1usize..40), 0..60),
            order in Just((0..80usize).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let stream = Bytes::from(stream);
            let mut segments: Vec<(usize, usize)> = stream
                .chunks(17)
                .scan(0, |at, chunk| { *at += chunk.len(); Some((*at - chunk.len(), *at)) })
                .collect();
            segments.extend(cuts.iter().map(|(at, n)| {
                let from = at.index(stream.len());
                (from, stream.len().min(from + n))
            }));
            let mut assembly = Assembly::default();
            assembly.open(start.wrapping_sub(1));
            let mut out = Vec::new();
            for n in order.iter().filter(|n| **n < segments.len()) {
                let (from, to) = segments[*n];
                let sequence = start.wrapping_add(from as u32);
                let is_last = to == stream.len();
                assembly.push(Timestamp(0), sequence, &stream.slice(from..to), is_last, &mut out);
            }
            for (from, to) in &segments { // whatever was not in the order
                let sequence = start.wrapping_add(*from as u32);
                let is_last = *to == stream.len();
                assembly.push(Timestamp(0), sequence, &stream.slice(*from..*to), is_last, &mut out);
            }
            prop_assert_eq!(out.pop(), Some(Piece::End));
            let mut got = Vec::new();
            for piece in out {
                let Piece::Data(_, bytes) = piece else { panic!("{piece:?}") };
                got.extend_from_slice(&bytes);
            }
            prop_assert_eq!(&got, &stream);
            prop_assert_eq!(assembly.held(), 0);
        }

        /// Whatever is sent, nothing panics and nothing is held for ever.
        #[test]
        fn any_segments_are_survived(
            segments in prop::collection::vec(
                (any::<u32>(), 0usize..50, any::<bool>(), any::<u32>()), 0..100,
            ),
        ) {
            let mut assembly = Assembly::default();
            let mut out = Vec::new();
            for (sequence, n, is_last, acknowledged) in segments {
                let bytes = Bytes::from(vec![1; n]);
                assembly.push(Timestamp(0), sequence, &bytes, is_last, &mut out);
                assembly.acknowledge(acknowledged, &mut out);
            }
            assembly.give_up(&mut out);
            prop_assert_eq!(assembly.held(), 0);
        }
    }
}
