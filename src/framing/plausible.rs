//! Does a length-prefixed Ethernet frame begin here?
//!
//! A line without sync marks can only be joined, or joined again, by judging content. The verdict
//! for a position depends on the bytes from there on and on nothing else, and once it is other
//! than [`Verdict::Short`] more bytes never change it: that is what makes decoding independent
//! of how the stream was cut.

use std::net::Ipv4Addr;

use super::prefix::Prefix;
use crate::checksum;

/// The size of an Ethernet header in bytes.
pub(super) const ETHERNET: usize = 14;

/// How much the bytes look like a length header and a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// They cannot be.
    No,
    /// Too few bytes to tell.
    Short,
    /// Length, source address and EtherType fit: a random position does so once in a million.
    Weak(usize),
    /// The network header agrees with the length as well, IPv4 by its checksum.
    Strong(usize),
}

/// Judges `bytes`, which begin with a length, against a limit of `max` bytes.
pub(super) fn judge<P: Prefix>(bytes: &[u8], max: usize) -> Verdict {
    let Some(length) = P::read(bytes) else { return Verdict::Short };
    if length < ETHERNET || length > max {
        return Verdict::No;
    }
    judge_frame(&bytes[P::SIZE..], length)
}

/// Judges the beginning of a frame of `length` bytes, at least an Ethernet header.
pub(super) fn judge_frame(frame: &[u8], length: usize) -> Verdict {
    if frame.get(6).is_some_and(|byte| byte & 1 == 1) {
        return Verdict::No; // a group address never sends (IEEE 802)
    }
    let Some(ethertype) = be16(frame, 12) else { return Verdict::Short };
    if frame[6..12] == [0; 6] {
        return Verdict::No;
    }
    let network = &frame[ETHERNET..];
    match ethertype {
        0x0800 => ipv4(network, length),
        0x0806 => arp(network, length),
        0x86dd => ipv6(network, length),
        0x8100 | 0x88a8 | 0x8863 | 0x8864 | 0x88cc => Verdict::Weak(length),
        _ => Verdict::No,
    }
}

/// Two bytes, the higher one first.
pub(super) fn be16(bytes: &[u8], at: usize) -> Option<usize> {
    let pair = bytes.get(at..at + 2)?;
    Some(usize::from(u16::from_be_bytes([pair[0], pair[1]])))
}

/// Whether a packet of `packet` bytes fills a frame of `length`, or the frame is so short that
/// the rest can be padding (60 bytes, 64 with a checksum).
fn fills(packet: usize, length: usize) -> bool {
    ETHERNET + packet == length || (ETHERNET + packet < length && length <= 64)
}

/// RFC 791 section 3.1.
fn ipv4(packet: &[u8], length: usize) -> Verdict {
    if length < ETHERNET + 20 {
        return Verdict::Weak(length);
    }
    let Some(&first) = packet.first() else { return Verdict::Short };
    let header = usize::from(first & 0x0f) * 4;
    if first >> 4 != 4 || header < 20 || ETHERNET + header > length {
        return Verdict::Weak(length);
    }
    let Some(total) = be16(packet, 2) else { return Verdict::Short };
    if total < header || !fills(total, length) {
        return Verdict::Weak(length);
    }
    match packet.get(..header).map(checksum::internet) {
        None => Verdict::Short,
        Some(0) => Verdict::Strong(length),
        Some(_) => Verdict::Weak(length),
    }
}

/// Whether `frame`, whole and without its length header, carries an IPv4 packet whose transport
/// checksum is wrong: then it may have been put together from pieces of several.
pub(super) fn is_damaged(frame: &[u8]) -> bool {
    transport(frame) == Some(false)
}

/// Whether `frame`, which was judged strong, is confirmed by itself: its transport checksum is right
/// too, or it is ARP, whose fixed fields leave no room for chance.
pub(super) fn is_confirmed(frame: &[u8]) -> bool {
    transport(frame) == Some(true) || be16(frame, 12) == Some(0x0806)
}

/// Whether the checksum of ICMP, UDP or TCP over IPv4 is right; `None` where there is none.
fn transport(frame: &[u8]) -> Option<bool> {
    if be16(frame, 12)? != 0x0800 {
        return None;
    }
    let packet = frame.get(ETHERNET..)?;
    let header = usize::from(packet.first()? & 0x0f) * 4;
    let segment = packet.get(header..be16(packet, 2)?)?;
    let is_fragment = be16(packet, 6)? & 0x3fff != 0;
    let address = |at: usize| -> Option<Ipv4Addr> {
        <[u8; 4]>::try_from(packet.get(at..at + 4)?).ok().map(Ipv4Addr::from)
    };
    let protocol = *packet.get(9)?;
    let sum = match protocol {
        _ if is_fragment => return None,
        1 => checksum::Sum::default(),
        17 if be16(segment, 6)? == 0 => return None,
        6 | 17 => checksum::Sum::pseudo(address(12)?, address(16)?, protocol, segment.len()),
        _ => return None,
    };
    Some(sum.plus(segment).finish() == 0)
}

/// RFC 826: Ethernet and IPv4 addresses.
fn arp(packet: &[u8], length: usize) -> Verdict {
    const FIXED: [u8; 6] = [0, 1, 8, 0, 6, 4];
    if length < ETHERNET + 28 {
        return Verdict::Weak(length);
    }
    match packet.get(..FIXED.len()) {
        None => Verdict::Short,
        Some(fixed) if fixed == FIXED => Verdict::Strong(length),
        Some(_) => Verdict::Weak(length),
    }
}

/// RFC 8200 section 3.
fn ipv6(packet: &[u8], length: usize) -> Verdict {
    let Some(&first) = packet.first() else {
        return if length == ETHERNET { Verdict::Weak(length) } else { Verdict::Short };
    };
    if first >> 4 != 6 || length < ETHERNET + 40 {
        return Verdict::Weak(length);
    }
    match be16(packet, 4) {
        None => Verdict::Short,
        Some(payload) if fills(40 + payload, length) => Verdict::Strong(length),
        Some(_) => Verdict::Weak(length),
    }
}

#[cfg(test)]
mod tests {
    use super::super::prefix::Be16;
    use super::*;

    /// The header, and the first 34 bytes of the frame, of the documented 98-byte echo request.
    const PING: [u8; 36] = [
        0x00, 0x62, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 84, 0, 1, 0, 0, 64, 1,
        0x31, 0x54, 192, 168, 100, 1, 192, 168, 100, 2,
    ];

    #[test]
    fn an_echo_request_is_strong_and_every_prefix_is_undecided() {
        assert_eq!(judge::<Be16>(&PING, 1514), Verdict::Strong(98));
        for n in 0..PING.len() {
            assert_eq!(judge::<Be16>(&PING[..n], 1514), Verdict::Short, "after {n} bytes");
        }
    }

    #[test]
    fn a_wrong_checksum_or_length_makes_it_weak() {
        let mut bad = PING;
        bad[26] ^= 1;
        assert_eq!(judge::<Be16>(&bad, 1514), Verdict::Weak(98));
        let mut short = PING;
        short[1] = 0x61;
        assert_eq!(judge::<Be16>(&short, 1514), Verdict::Weak(97));
    }

    #[test]
    fn lengths_addresses_and_types_that_cannot_be_are_no() {
        assert_eq!(judge::<Be16>(&[0, 0], 1514), Verdict::No);
        assert_eq!(judge::<Be16>(&[0, 13], 1514), Verdict::No);
        assert_eq!(judge::<Be16>(&[0xff, 0xff], 1514), Verdict::No);
        assert_eq!(judge::<Be16>(&PING, 97), Verdict::No);
        let mut group = PING;
        group[8] |= 1;
        assert_eq!(judge::<Be16>(&group, 1514), Verdict::No);
        let mut zero = PING;
        zero[8..14].fill(0);
        assert_eq!(judge::<Be16>(&zero, 1514), Verdict::No);
        let mut unknown = PING;
        unknown[14] = 0x77;
        assert_eq!(judge::<Be16>(&unknown, 1514), Verdict::No);
    }

    #[test]
    fn arp_padded_to_60_bytes_is_strong() {
        let mut arp = vec![0, 60];
        arp.extend([0xff; 6]);
        arp.extend([2, 0, 0, 0, 0, 2, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        assert_eq!(judge::<Be16>(&arp, 1514), Verdict::Strong(60));
    }

    #[test]
    fn a_verdict_never_changes_when_more_bytes_come() {
        let mut state = 7u64;
        for _ in 0..20_000 {
            let mut bytes = PING.to_vec();
            for _ in 0..3 {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let at = (state >> 33) as usize % bytes.len();
                bytes[at] = (state >> 50) as u8;
            }
            let last = judge::<Be16>(&bytes, 1514);
            for n in 0..bytes.len() {
                let early = judge::<Be16>(&bytes[..n], 1514);
                assert!(early == Verdict::Short || early == last, "{bytes:x?} at {n}");
            }
        }
    }
}
