//! How much of a connection may be on its way: little on a slow line, so that whoever else is on it waits
//! for little; more where the line is fast.
//!
//! The rule: as much as went in the last [`DELAY`], but a least part always, two halves of which are on their way by
//! turns. A bulk transfer then keeps the line busy, and the queue that it builds in front of others stays
//! that short. Towards the device we send no more before it is acknowledged; from the device we get no more,
//! since the window that our segments announce is lowered to that, but never below what was announced
//! before (RFC 9293 section 3.8.6).
//!
//! Where others are on a slow line as well (`company`) it is [`BESIDE`]. A device then has one segment on its
//! way, since senders cut them after half of the largest window that they have seen, and others wait for the rest
//! of that one. What a device cuts in another way it may still send whole, or it would have to wait for its
//! persist timer. We have two short ones on their way: for a single one many a device delays its acknowledgement.

use std::time::Duration;

use crate::checksum::Sum;
use crate::clock::Timestamp;
use crate::proto::{be16, be32};

/// How long others may have to wait behind what is on its way.
const DELAY: Duration = Duration::from_millis(5);
/// The rate is measured over at least so long.
const MEASURE: Duration = Duration::from_millis(2);
/// The least window for the device, in bytes: segments of 361, an eighth of which is headers. Longer ones bring
/// little more, and make others wait.
pub(super) const FROM_DEVICE: usize = 723;
/// The least that is on its way to the device, in bytes: a quarter of a small device's window, which it
/// acknowledges at once.
pub(super) const TO_DEVICE: usize = 1446;
/// What is on its way beside others, in bytes: about as long on the line as their own frames.
const BESIDE: usize = 241;
/// A line on which less than so many times the least goes in [`DELAY`] is slow.
const FAST: usize = 4;
/// No segment on an Ethernet line has more data, in bytes.
const LONGEST: usize = 1460;

/// The bound for one direction of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    least: usize,
    most: usize,
    bound: usize,
    bytes: usize,
    since: Option<Timestamp>,
}

impl Pace {
    /// From `least` bytes, as long as nothing is known, to `most`.
    pub(super) fn new(least: usize, most: usize) -> Pace {
        Pace { least, most: most.max(least), bound: least, bytes: 0, since: None }
    }

    /// So many bytes may be on their way; `segment` is the longest segment that was seen: one of them, if there is
    /// `company`, and otherwise two, as far as the longest one goes.
    pub(super) fn bound(&self, company: bool, segment: usize) -> usize {
        let segment = segment.min(LONGEST);
        match (self.bound == self.least, company) {
            (false, _) => self.bound,
            (true, true) => segment.max(BESIDE),
            (true, false) => (2 * segment).min(LONGEST).max(self.least),
        }
    }

    /// `n` bytes have gone all the way.
    pub(super) fn count(&mut self, n: usize, now: Timestamp) {
        let Some(since) = self.since else {
            (self.since, self.bytes) = (Some(now), 0);
            return;
        };
        self.bytes += n;
        let elapsed = now.since(since);
        if elapsed < MEASURE {
            return;
        }
        let gone = self.bytes as f64 * DELAY.as_secs_f64() / elapsed.as_secs_f64();
        // A pause says nothing about the line: it takes several to be sure.
        let bound = (gone as usize).max(self.bound / 2);
        // A sender cuts its segments after the largest window that it has seen: on a slow line that stays
        // the least one, or it would have one long segment on its way and nothing behind it.
        self.bound = if bound < FAST * self.least { self.least } else { bound.min(self.most) };
        (self.since, self.bytes) = (Some(now), 0);
    }
}

/// The end of the window that the device was told last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window(Option<u32>);

impl Window {
    /// What the device may still send when it has sent everything before `seq`.
    pub(super) fn left(&self, seq: u32) -> usize {
        let left = self.0.map_or(u32::MAX, |end| end.wrapping_sub(seq));
        if left > u32::from(u16::MAX) { 0 } else { left as usize }
    }

    /// Lowers the window that the IPv4 packet of a segment announces to `bound` bytes. The segment has no
    /// window scale.
    pub(super) fn lower(&mut self, packet: &mut [u8], bound: usize) -> Option<()> {
        let header = usize::from(packet.first()? & 15) * 4;
        let segment = packet.get(header..)?;
        let (ack, window) = (be32(segment, 8)?, be16(segment, 14)?);
        let promised = self.0.map_or(0, |end| end.wrapping_sub(ack));
        let promised = if promised > u32::from(u16::MAX) { 0 } else { promised as usize };
        let lower = usize::from(window).min(bound.max(promised)) as u16;
        if *segment.get(13)? & 16 != 0 {
            self.0 = Some(ack.wrapping_add(lower.into()));
        }
        if lower != window {
            let before = be16(segment, 16)?;
            let after = mended(before, window, lower);
            packet.get_mut(header + 14..header + 16)?.copy_from_slice(&lower.to_be_bytes());
            packet.get_mut(header + 16..header + 18)?.copy_from_slice(&after.to_be_bytes());
        }
        Some(())
    }
}

/// The checksum when one word of what it covers has changed (RFC 1624 section 3).
fn mended(checksum: u16, before: u16, after: u16) -> u16 {
    let words = [!checksum, !before, after];
    let bytes: Vec<u8> = words.into_iter().flat_map(u16::to_be_bytes).collect();
    Sum::default().plus(&bytes).finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum;
    use proptest::prelude::*;

    fn at(micros: u64) -> Timestamp {
        Timestamp(micros * 1000)
    }

    #[test]
    fn a_slow_line_gets_one_segment_and_a_fast_one_all() {
        let mut slow = Pace::new(1446, 32_768);
        assert_eq!(slow.bound(false, 0), 1446);
        (0..100).for_each(|n| slow.count(723, at(n * 7_800))); // 92 kB a second
        assert_eq!((slow.bound(false, 0), slow.bound(false, 1460)), (1446, 1460));
        let beside = [0, 723, 1000, 9000].map(|segment| slow.bound(true, segment));
        assert_eq!(beside, [241, 723, 1000, 1460]);
        let alone = [0, 723, 725, 9000].map(|segment| slow.bound(false, segment));
        assert_eq!(alone, [1446, 1446, 1450, 1460]);
        let mut fast = Pace::new(1446, 32_768);
        (0..100).for_each(|n| fast.count(2892, at(n * 100))); // 29 MB a second
        assert_eq!((fast.bound(false, 0), fast.bound(true, 723)), (32_768, 32_768));
        let mut between = Pace::new(1446, 32_768);
        (0..100).for_each(|n| between.count(1000, at(n * 1000))); // 1 MB a second
        assert_eq!(between.bound(false, 0), 1446);
        (100..200).for_each(|n| between.count(3000, at(n * 1000))); // 3 MB a second
        assert_eq!(between.bound(false, 0), 15_000);
        between.count(1, at(1_000_000)); // one pause
        assert_eq!(between.bound(false, 0), 7500);
    }

    /// A segment of 20 + 20 bytes in a packet, with a right checksum.
    fn packet(ack: u32, window: u16) -> Vec<u8> {
        let mut segment = vec![0; 20];
        segment[8..12].copy_from_slice(&ack.to_be_bytes());
        segment[12..14].copy_from_slice(&[5 << 4, 16]);
        segment[14..16].copy_from_slice(&window.to_be_bytes());
        let sum = checksum::internet(&segment);
        segment[16..18].copy_from_slice(&sum.to_be_bytes());
        let mut packet = vec![0; 20];
        packet[0] = 0x45;
        packet.extend(segment);
        packet
    }

    fn announced(window: &mut Window, ack: u32, real: u16, bound: usize) -> u16 {
        let mut packet = packet(ack, real);
        window.lower(&mut packet, bound).expect("a segment");
        assert_eq!(checksum::internet(&packet[20..]), 0);
        be16(&packet, 34).expect("a window")
    }

    #[test]
    fn a_window_never_shrinks_from_the_right() {
        let mut window = Window::default();
        let first = u32::MAX - 100;
        assert_eq!(announced(&mut window, first, 30_000, 5000), 5000);
        assert_eq!(announced(&mut window, first.wrapping_add(1000), 30_000, 2000), 4000);
        assert_eq!(announced(&mut window, first.wrapping_add(5000), 30_000, 2000), 2000);
        // What there is no room for is not promised, whatever was.
        assert_eq!(announced(&mut window, first.wrapping_add(5000), 300, 2000), 300);
    }

    proptest! {
        #[test]
        fn the_checksum_stays_right_and_nothing_panics(
            ack: u32, real: u16, bound in 0usize..70_000, junk: Vec<u8>,
        ) {
            announced(&mut Window::default(), ack, real, bound);
            let mut junk = junk;
            let _ = Window::default().lower(&mut junk, bound);
        }
    }
}
