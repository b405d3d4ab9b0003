//! Which resets of the device count.
//!
//! The stack takes any reset inside its window, so that one left over from an earlier connection, or one that
//! somebody guessed, would end a healthy one. RFC 5961 section 3.2 wants the exact sequence number, and an
//! acknowledgement in answer to one that is merely near: a device that means it repeats its reset
//! with the number that stands there. For this we follow what the device sends in order, and what we have
//! acknowledged and sent.

use std::time::Duration;

use crate::checksum::Sum;
use crate::clock::Timestamp;
use crate::craft::layers::{Ipv4, Tcp};
use crate::proto::tcp::{ACK, FIN, HEADER, RST, SYN};
use crate::proto::{be16, be32, ipv4_at};

/// Answers are at least so far apart (RFC 5961 section 7).
const PAUSE: Duration = Duration::from_millis(100);

/// What to do with a packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is for the stack.
    Take,
    /// It is not.
    Drop,
    /// It is not, and this packet is the answer.
    Challenge(Vec<u8>),
}

/// What is known of a connection.
#[derive(Debug, Default)]
pub(super) struct Resets {
    /// What the device sends next, once it has sent anything.
    expected: Option<u32>,
    /// What we send next.
    next: u32,
    /// The window that we announced last.
    window: u32,
    /// The most data of the device in one segment, in bytes.
    longest: u32,
    challenged: Option<Timestamp>,
}

/// The parts of a TCP segment in a packet.
struct Segment<'a> {
    ip: &'a [u8],
    bytes: &'a [u8],
    seq: u32,
    flags: u8,
    /// How far it moves the sequence number.
    length: u32,
}

impl<'a> Segment<'a> {
    fn of(packet: &'a [u8]) -> Option<Segment<'a>> {
        let (ip, bytes) = packet.split_at_checked(usize::from(packet.first()? & 15) * 4)?;
        let header = usize::from(bytes.get(12)? >> 4) * 4;
        let data = bytes.len().checked_sub(header.max(HEADER))?;
        let flags = *bytes.get(13)?;
        let length = data as u32 + u32::from(flags & (SYN | FIN) != 0);
        Some(Segment { ip, bytes, seq: be32(bytes, 4)?, flags, length })
    }

    fn is_sound(&self) -> Option<bool> {
        let (source, destination) = (ipv4_at(self.ip, 12)?, ipv4_at(self.ip, 16)?);
        let sum = Sum::pseudo(source, destination, 6, self.bytes.len());
        Some(sum.plus(self.bytes).finish() == 0)
    }
}

impl Resets {
    /// What the device sends next, as far as it is known.
    pub(super) fn expected(&self) -> Option<u32> {
        self.expected
    }

    /// The most data that the device has sent in one segment, in bytes.
    pub(super) fn longest(&self) -> usize {
        self.longest as usize
    }

    /// We send this packet.
    pub(super) fn sent(&mut self, packet: &[u8]) -> Option<()> {
        let segment = Segment::of(packet)?;
        self.next = segment.seq.wrapping_add(segment.length);
        self.window = be16(segment.bytes, 14)?.into();
        if segment.flags & ACK != 0 {
            self.expected = be32(segment.bytes, 8);
        }
        Some(())
    }

    /// This packet came.
    pub(super) fn judge(&mut self, packet: &[u8], now: Timestamp) -> Verdict {
        let (Some(segment), Some(expected)) = (Segment::of(packet), self.expected) else {
            return Verdict::Take; // it answers our first segment
        };
        if segment.flags & RST == 0 {
            self.longest = self.longest.max(segment.length);
            let is_next = segment.seq == expected && segment.length > 0;
            if is_next && segment.is_sound() == Some(true) {
                self.expected = Some(expected.wrapping_add(segment.length));
            }
            return Verdict::Take;
        }
        if segment.seq == expected {
            return Verdict::Take;
        }
        let is_near = segment.seq.wrapping_sub(expected) < self.window;
        let is_due = self.challenged.is_none_or(|at| now.since(at) >= PAUSE);
        if !is_near || !is_due || segment.is_sound() != Some(true) {
            return Verdict::Drop;
        }
        self.challenged = Some(now);
        self.challenge(&segment, expected).map_or(Verdict::Drop, Verdict::Challenge)
    }

    fn challenge(&self, segment: &Segment<'_>, expected: u32) -> Option<Vec<u8>> {
        let (device, ours) = (ipv4_at(segment.ip, 12)?, ipv4_at(segment.ip, 16)?);
        let mut answer = Tcp::new(be16(segment.bytes, 2)?, be16(segment.bytes, 0)?);
        (answer.seq, answer.ack, answer.flags) = (self.next, expected, ACK);
        answer.window = self.window.try_into().ok()?;
        Some(Ipv4::new(ours, device, 6).packet(&answer.segment(ours, device, &[])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    const OURS: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 1);
    const DEVICE: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 2);

    fn from_device(seq: u32, flags: u8, data: &[u8]) -> Vec<u8> {
        let tcp = Tcp { seq, ack: 501, flags, window: 5744, ..Tcp::new(80, 49152) };
        Ipv4::new(DEVICE, OURS, 6).packet(&tcp.segment(DEVICE, OURS, data))
    }

    /// A connection in which we have acknowledged up to 1001.
    fn standing() -> Resets {
        let mut resets = Resets::default();
        let tcp = Tcp { seq: 500, flags: SYN, window: 1446, ..Tcp::new(49152, 80) };
        let syn = Ipv4::new(OURS, DEVICE, 6).packet(&tcp.segment(OURS, DEVICE, &[]));
        resets.sent(&syn).expect("a segment");
        assert_eq!(resets.judge(&from_device(9, RST | ACK, &[]), Timestamp(0)), Verdict::Take);
        let tcp = Tcp { seq: 501, ack: 1001, flags: ACK, ..tcp };
        let ack = Ipv4::new(OURS, DEVICE, 6).packet(&tcp.segment(OURS, DEVICE, &[]));
        resets.sent(&ack).expect("a segment");
        resets
    }

    fn judged(resets: &mut Resets, seq: u32, millis: u64) -> Verdict {
        resets.judge(&from_device(seq, RST, &[]), Timestamp(millis * 1_000_000))
    }

    #[test]
    fn only_the_exact_one_counts_and_one_that_is_near_is_asked_about() {
        let mut resets = standing();
        let Verdict::Challenge(answer) = judged(&mut resets, 1002, 0) else { panic!("no answer") };
        assert_eq!(answer[20..32], [0xc0, 0, 0, 80, 0, 0, 1, 0xf5, 0, 0, 3, 0xe9]);
        assert_eq!(answer[33], ACK);
        assert_eq!(judged(&mut resets, 1002, 50), Verdict::Drop);
        assert!(matches!(judged(&mut resets, 2446, 100), Verdict::Challenge(_)));
        for far in [1000, 2447, 0x8000_0000] {
            assert_eq!(judged(&mut resets, far, 1000), Verdict::Drop);
        }
        let mut damaged = from_device(1002, RST, &[]);
        damaged[37] ^= 1;
        assert_eq!(resets.judge(&damaged, Timestamp(u64::MAX)), Verdict::Drop);
        assert_eq!(judged(&mut resets, 1001, 2000), Verdict::Take);
    }

    #[test]
    fn what_came_in_order_counts_although_it_is_not_acknowledged_yet() {
        let mut resets = standing();
        let late = from_device(1004, ACK, b"late");
        let mut damaged = from_device(1001, ACK, b"abc");
        damaged[40] ^= 1;
        for packet in [late, damaged] {
            assert_eq!(resets.judge(&packet, Timestamp(0)), Verdict::Take);
        }
        assert_eq!(resets.expected, Some(1001));
        let packet = from_device(1001, ACK, b"abc");
        assert_eq!(resets.judge(&packet, Timestamp(0)), Verdict::Take);
        assert!(matches!(judged(&mut resets, 1001, 0), Verdict::Drop));
        assert_eq!(judged(&mut resets, 1004, 0), Verdict::Take);
    }

    proptest! {
        #[test]
        fn nothing_panics(ours: Vec<u8>, theirs: Vec<Vec<u8>>) {
            let mut resets = standing();
            let _ = resets.sent(&ours);
            for packet in theirs {
                let _ = resets.judge(&packet, Timestamp(0));
            }
        }
    }
}
