//! What comes on a connection: the stream in order, and every segment as it came.
//!
//! Offsets count from the first byte behind the SYN; the SYN itself stands at -1. What lies beyond the
//! window that was announced is noted and not kept, as any receiver would have it. Segments that
//! repeat what was there before stay in the list: when they came is what tests of timers ask.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::conformance::seen::{Seen, TcpView};
use crate::proto::tcp;

/// Bytes that are kept of a stream at most.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// Segments that are kept at most.
const MOST_ARRIVALS: usize = 20_000;
/// Pieces that wait for what comes before them at most.
const MOST_AHEAD: usize = 256;

/// A segment that came on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When.
    pub time: Timestamp,
    /// Where its data begins in the stream.
    pub at: i64,
    /// Bytes of data.
    pub length: usize,
    /// How many of them had not come before, and lie within the window.
    pub fresh: usize,
    /// How many of them lie beyond the window that was announced.
    pub beyond: usize,
    /// Its flags.
    pub flags: u8,
    /// Its acknowledgment number.
    pub ack: u32,
    /// The window that it announces.
    pub window: u16,
    /// The frame.
    pub frame: Seen,
}

impl Arrival {
    /// Where its data ends in the stream.
    pub fn end(&self) -> i64 {
        self.at + self.length as i64
    }

    /// Whether all of these flags are set.
    pub fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// Whether it has data, and none that is new.
    pub fn is_again(&self) -> bool {
        self.length > 0 && self.fresh == 0 && self.beyond == 0
    }
}

/// The receiving half of a connection.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The sequence number of the first byte.
    start: u32,
    /// Where the window ends that was announced.
    edge: usize,
    stream: Vec<u8>,
    ahead: BTreeMap<usize, Bytes>,
    fin: Option<usize>,
    /// Every segment, in the order in which they came.
    pub arrivals: Vec<Arrival>,
    /// Where a byte came again as another, if one did.
    pub changed_at: Option<usize>,
}

impl Incoming {
    /// Nothing has come yet but the SYN with this sequence number.
    pub fn new(isn: u32) -> Self {
        Incoming {
            start: isn.wrapping_add(1),
            edge: 0,
            stream: Vec::new(),
            ahead: BTreeMap::new(),
            fin: None,
            arrivals: Vec::new(),
            changed_at: None,
        }
    }

    /// The bytes in order.
    pub fn stream(&self) -> &[u8] {
        &self.stream
    }

    /// Whether everything up to the FIN has come.
    pub fn is_finished(&self) -> bool {
        self.fin == Some(self.stream.len())
    }

    /// What is to be acknowledged: everything in order, the FIN too.
    pub fn expected(&self) -> u32 {
        let signs = u32::from(self.is_finished());
        self.start.wrapping_add(self.stream.len() as u32).wrapping_add(signs)
    }

    /// The window was announced to end there. It never shrinks.
    pub fn announce(&mut self, acknowledged: u32, window: u16) {
        let at = self.offset(acknowledged).max(0) as usize;
        self.edge = self.edge.max(at + usize::from(window));
    }

    /// Where a sequence number stands in the stream.
    pub fn offset(&self, seq: u32) -> i64 {
        let here = self.start.wrapping_add(self.stream.len() as u32);
        self.stream.len() as i64 + i64::from(seq.wrapping_sub(here) as i32)
    }

    /// A segment has come.
    pub fn take(&mut self, seen: &Seen, segment: &TcpView<'_>) {
        let at = self.offset(segment.seq) + i64::from(segment.has(tcp::SYN));
        let length = segment.data.len();
        let beyond = (at + length as i64 - self.edge as i64).clamp(0, length as i64) as usize;
        let inside = &segment.data[..length - beyond];
        let before = usize::try_from(-at.min(0)).unwrap_or(usize::MAX);
        let fresh = match inside.get(before..) {
            Some(data) if !data.is_empty() => self.keep(at.max(0) as usize, data),
            _ => 0,
        };
        if segment.has(tcp::FIN) && beyond == 0 && at + length as i64 >= 0 {
            self.fin = self.fin.or(usize::try_from(at + length as i64).ok());
        }
        if self.arrivals.len() < MOST_ARRIVALS {
            self.arrivals.push(Arrival {
                time: seen.time,
                at,
                length,
                fresh,
                beyond,
                flags: segment.flags,
                ack: segment.ack,
                window: segment.window,
                frame: seen.clone(),
            });
        }
    }

    /// Keeps data that belongs at `at`; how much of it is new.
    fn keep(&mut self, at: usize, data: &[u8]) -> usize {
        let has_room = at <= self.stream.len() || self.ahead.len() < MOST_AHEAD;
        if !has_room || at.saturating_add(data.len()) > MOST_BYTES {
            return 0;
        }
        let mut fresh = 0;
        for (n, byte) in data.iter().enumerate() {
            match self.byte(at + n) {
                None => fresh += 1,
                Some(before) if before != *byte => {
                    self.changed_at = self.changed_at.or(Some(at + n));
                }
                Some(_) => {}
            }
        }
        let known = self.stream.len().saturating_sub(at).min(data.len());
        let rest = &data[known..];
        if at + known == self.stream.len() {
            self.stream.extend_from_slice(rest);
        } else if !rest.is_empty() && fresh > 0 {
            self.ahead.insert(at + known, Bytes::copy_from_slice(rest));
        }
        self.join();
        fresh
    }

    /// The byte that came first at `at`.
    fn byte(&self, at: usize) -> Option<u8> {
        if let Some(byte) = self.stream.get(at) {
            return Some(*byte);
        }
        let pieces = self.ahead.range(..=at).rev();
        pieces.filter_map(|(start, bytes)| bytes.get(at - start)).next().copied()
    }

    /// Appends what has come ahead of its turn.
    fn join(&mut self) {
        while let Some(first) = self.ahead.first_entry() {
            let here = self.stream.len();
            if *first.key() > here {
                return;
            }
            let (at, bytes) = first.remove_entry();
            self.stream.extend_from_slice(bytes.get(here - at..).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ISN: u32 = 0xffff_fff8;

    fn seen() -> Seen {
        Seen { time: Timestamp(0), bytes: Bytes::new() }
    }

    fn segment(at: i64, data: &[u8], flags: u8) -> TcpView<'_> {
        TcpView {
            source: 80,
            destination: 40_000,
            seq: ISN.wrapping_add(1).wrapping_add(at as u32),
            ack: 0,
            reserved: 0,
            flags: flags | tcp::ACK,
            window: 100,
            urgent: 0,
            options: &[],
            data,
        }
    }

    fn incoming(window: u16) -> Incoming {
        let mut incoming = Incoming::new(ISN);
        incoming.announce(ISN.wrapping_add(1), window);
        incoming
    }

    #[test]
    fn what_comes_out_of_order_is_put_in_order_across_the_wrap() {
        let mut incoming = incoming(4096);
        incoming.take(&seen(), &segment(4, b"efgh", 0));
        assert_eq!(incoming.stream(), b"");
        incoming.take(&seen(), &segment(0, b"abcdef", 0));
        incoming.take(&seen(), &segment(8, b"ij", tcp::FIN));
        assert_eq!(incoming.stream(), b"abcdefghij");
        let fresh: Vec<_> = incoming.arrivals.iter().map(|arrival| arrival.fresh).collect();
        assert_eq!(fresh, [4, 4, 2]);
        assert!(incoming.is_finished());
        assert_eq!(incoming.expected(), ISN.wrapping_add(12));
        assert_eq!(incoming.changed_at, None);
    }

    #[test]
    fn what_comes_again_is_told_apart_and_compared() {
        let mut incoming = incoming(4096);
        incoming.take(&seen(), &segment(0, b"abcd", 0));
        incoming.take(&seen(), &segment(0, b"abcd", 0));
        assert!(!incoming.arrivals[0].is_again() && incoming.arrivals[1].is_again());
        incoming.take(&seen(), &segment(2, b"cXe", 0));
        assert_eq!((incoming.stream(), incoming.changed_at), (&b"abcde"[..], Some(3)));
        incoming.take(&seen(), &segment(-1, b"", tcp::SYN));
        assert_eq!(incoming.arrivals[3].at, 0);
        incoming.take(&seen(), &segment(-1, b"?", 0)); // as a keep-alive has it
        assert_eq!(incoming.stream(), b"abcde");
    }

    #[test]
    fn what_lies_beyond_the_window_is_noted_and_not_kept() {
        let mut incoming = incoming(3);
        incoming.take(&seen(), &segment(0, b"abcde", tcp::FIN));
        assert_eq!((incoming.stream(), incoming.arrivals[0].beyond), (&b"abc"[..], 2));
        assert!(!incoming.is_finished());
        incoming.announce(incoming.expected(), 0);
        incoming.announce(incoming.expected(), 10);
        incoming.take(&seen(), &segment(3, b"de", tcp::FIN));
        assert!(incoming.is_finished());
    }

    proptest! {
        #[test]
        fn any_segments_in_any_order_give_the_stream_or_its_beginning(
            cuts in proptest::collection::vec((0usize..300, 0usize..60), 0..60),
        ) {
            let text: Vec<u8> = (0..=255).cycle().take(300).collect();
            let mut incoming = incoming(200);
            for (at, length) in cuts {
                let data = &text[at..(at + length).min(300)];
                incoming.take(&seen(), &segment(at as i64, data, 0));
            }
            prop_assert!(text[..200].starts_with(incoming.stream()));
            prop_assert_eq!(incoming.changed_at, None);
            let fresh: usize = incoming.arrivals.iter().map(|arrival| arrival.fresh).sum();
            prop_assert!(fresh >= incoming.stream().len() && fresh <= 200);
        }

        #[test]
        fn no_segment_makes_it_panic(
            segments in proptest::collection::vec((any::<u32>(), 0usize..40, any::<u8>()), 0..40),
        ) {
            let mut incoming = incoming(5000);
            for (seq, length, flags) in segments {
                let data = vec![7; length];
                let view = TcpView { seq, flags, ..segment(0, &data, 0) };
                incoming.take(&seen(), &view);
                incoming.announce(seq, 5000);
            }
            let _ = (incoming.expected(), incoming.is_finished());
        }
    }
}
