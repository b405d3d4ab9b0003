//! Frames out of a stream whose writer is trusted to frame well: no guessing, no records.
//!
//! For places that must hand on whole frames at once and have nobody to report to. A length that
//! cannot be is passed over by its two bytes, and a frame that is not complete in time may be
//! dropped, as the drivers of devices do: what comes next begins a frame. Taps, which show a stream, use a [`super::Decoder`].

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use crate::clock::Timestamp;

/// Collects bytes until they are frames.
#[derive(Debug)]
pub struct Strict {
    max_frame: usize,
    in_time: Option<Duration>,
    partial: BytesMut,
    whole: VecDeque<Bytes>,
    /// When the first byte of the partial frame came.
    since: Timestamp,
}

impl Strict {
    /// Takes frames of 1 to `max_frame` bytes behind two bytes of length, the higher one first.
    /// `in_time` is how long a frame may take from its first byte to its last; whoever does not
    /// always read at once cannot tell, and gives none.
    pub fn new(max_frame: usize, in_time: Option<Duration>) -> Self {
        Strict {
            max_frame,
            in_time,
            partial: BytesMut::new(),
            whole: VecDeque::new(),
            since: Timestamp::default(),
        }
    }

    /// Takes bytes that arrived at `now`.
    pub fn push(&mut self, now: Timestamp, bytes: &[u8]) {
        if self.in_time.is_some_and(|in_time| now.since(self.since) > in_time) {
            self.partial.clear();
        }
        if self.partial.is_empty() {
            self.since = now;
        }
        self.partial.extend_from_slice(bytes);
        while let [high, low, body @ ..] = &self.partial[..] {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            if !(1..=self.max_frame).contains(&length) {
                self.partial.advance(2);
                self.since = now;
            } else if body.len() < length {
                break;
            } else {
                self.partial.advance(2);
                self.whole.push_back(self.partial.split_to(length).freeze());
                self.since = now;
            }
        }
    }
}

/// The next whole frame, if there is one.
impl Iterator for Strict {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        self.whole.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn frames(pieces: &[(Duration, &[u8])]) -> Vec<Bytes> {
        let mut strict = Strict::new(1514, Some(1000 * MS));
        let mut now = Timestamp(1_000_000_000_000);
        for (later, bytes) in pieces {
            now = now + *later;
            strict.push(now, bytes);
        }
        strict.collect()
    }

    #[test]
    fn frames_come_out_whole_and_impossible_lengths_are_passed_over() {
        assert_eq!(frames(&[(MS, &[0, 2, 7, 8, 0]), (MS, &[1, 9])]), [&[7, 8][..], &[9]]);
        assert_eq!(frames(&[(MS, &[0, 0, 0xff, 0xff, 5, 235, 0, 1, 9])]), [&[9][..]]);
        assert!(frames(&[(MS, &[0]), (MS, &[3, 1]), (MS, &[2])]).is_empty());
    }

    #[test]
    fn a_frame_that_takes_longer_than_a_second_is_dropped_and_whole_ones_are_not() {
        let (whole, half) = ([0, 1, 5], [0, 9, 1, 2]);
        let later = [(MS, &whole[..]), (MS, &half), (1001 * MS, &whole)];
        assert_eq!(frames(&later), [&[5][..], &[5]]);
        let in_pieces = [(MS, &half[..]), (600 * MS, &[3; 5]), (600 * MS, &whole)];
        assert_eq!(frames(&in_pieces), [&[5][..]]);
        let in_time = [(MS, &half[..]), (500 * MS, &[3; 5]), (500 * MS, &[4; 2])];
        assert_eq!(frames(&in_time), [&[1, 2, 3, 3, 3, 3, 3, 4, 4][..]]);
        let behind_another = [(MS, &whole[..1]), (900 * MS, &[1, 5, 0, 2]), (900 * MS, &[7; 2])];
        assert_eq!(frames(&behind_another), [&[5][..], &[7, 7]]);
    }

    proptest! {
        #[test]
        fn any_split_of_any_bytes_gives_the_same_frames(
            bytes in prop::collection::vec(prop_oneof![3 => 0u8..6, 1 => any::<u8>()], 0..400),
            cut in 1usize..50,
        ) {
            let pieces: Vec<_> = bytes.chunks(cut).map(|piece| (MS, piece)).collect();
            prop_assert_eq!(frames(&pieces), frames(&[(MS, &bytes)]));
        }
    }
}
