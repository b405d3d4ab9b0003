//! Lines that carry IP packets alone, for a tool that thinks in Ethernet frames.
//!
//! A packet that comes from such a line gets an Ethernet header, and one that goes there loses it, so that
//! filters, captures and stacks need not know. The addresses in it are always the same two, whatever
//! process looks: [`HOST`] and [`DEVICE`], by the direction; groups are mapped to their Ethernet groups as
//! on any Ethernet (RFC 1112 section 6.4, RFC 2464 section 7). There is no ARP on such a line and nobody
//! to answer it: the neighbour's address is known without asking, and what is no IP never goes there.

use bytes::{BufMut, Bytes, BytesMut};

use super::plausible::{ETHERNET, be16};
use crate::checksum;
use crate::record::Direction;

/// The Ethernet address that stands for the host.
pub const HOST: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// The Ethernet address that stands for the device.
pub const DEVICE: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// The shortest packet, in bytes: an IPv4 header.
const SHORTEST: usize = 20;

/// The IP packet in a frame; `None` when it carries something else.
pub fn packet(frame: &[u8]) -> Option<&[u8]> {
    matches!(be16(frame, 12)?, 0x0800 | 0x86dd).then_some(())?;
    frame.get(ETHERNET..)
}

/// A frame around `packet`, by its version; `None` when it is no IP packet. It may be a bad one.
pub(super) fn frame(packet: &[u8], direction: Direction) -> Option<Bytes> {
    let ethertype = match packet.first()? >> 4 {
        _ if packet.len() < SHORTEST || is_text(packet) => return None,
        4 => 0x0800,
        6 => 0x86dd,
        _ => return None,
    };
    let (to, from) = match direction {
        Direction::ToDevice => (DEVICE, HOST),
        Direction::FromDevice | Direction::Unknown => (HOST, DEVICE),
    };
    let mut frame = BytesMut::with_capacity(ETHERNET + packet.len());
    frame.put_slice(&group(packet).unwrap_or(to));
    frame.put_slice(&from);
    frame.put_u16(ethertype);
    frame.put_slice(packet);
    Some(frame.freeze())
}

/// The Ethernet group of a packet to many.
fn group(packet: &[u8]) -> Option<[u8; 6]> {
    match packet {
        [first, ..] if first >> 4 == 6 => match packet.get(24..40)? {
            [0xff, .., a, b, c, d] => Some([0x33, 0x33, *a, *b, *c, *d]),
            _ => None,
        },
        _ => match packet.get(16..20)? {
            [0xff, 0xff, 0xff, 0xff] => Some([0xff; 6]),
            [0xe0..=0xef, b, c, d] => Some([1, 0, 0x5e, b & 0x7f, *c, *d]),
            _ => None,
        },
    }
}

/// Whether `packet` is an IP packet to the last byte: its length is the one that it says.
pub(super) fn is_exact(packet: &[u8]) -> bool {
    match packet.first().map(|first| (first >> 4, usize::from(first & 15) * 4)) {
        Some((4, header)) => {
            be16(packet, 2) == Some(packet.len())
                && header >= SHORTEST
                && packet.get(..header).is_some_and(|header| checksum::internet(header) == 0)
        }
        Some((6, _)) => be16(packet, 4).is_some_and(|payload| 40 + payload == packet.len()),
        _ => false,
    }
}

/// Whether bytes are a text: log lines stray onto lines, and the first letter of some is 4 or 6 in its
/// upper half.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n' | 0x1b))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECHO: [u8; 28] = [
        0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0x31, 0x8c, 192, 168, 100, 1, 192, 168, 100, 2, 8, 0,
        0xf7, 0xfd, 0, 1, 0, 1,
    ];

    #[test]
    fn a_packet_gets_the_header_of_its_direction_and_loses_it_again() {
        assert!(is_exact(&ECHO) && !is_exact(&ECHO[..27]));
        for (direction, head) in [
            (Direction::ToDevice, [DEVICE, HOST].concat()),
            (Direction::FromDevice, [HOST, DEVICE].concat()),
        ] {
            let frame = frame(&ECHO, direction).expect("it is IPv4");
            assert_eq!(frame[..14], [&head[..], &[8, 0]].concat());
            assert_eq!(packet(&frame), Some(&ECHO[..]));
        }
        let mut six = vec![0x60, 0, 0, 0, 0, 0, 58, 255];
        six.resize(40, 7);
        assert!(is_exact(&six));
        assert_eq!(frame(&six, Direction::ToDevice).expect("it is IPv6")[12..14], [0x86, 0xdd]);
    }

    #[test]
    fn groups_are_groups_on_ethernet_too() {
        let to = |address: [u8; 4]| {
            let mut echo = ECHO;
            echo[16..20].copy_from_slice(&address);
            frame(&echo, Direction::FromDevice).expect("it is IPv4")[..6].to_vec()
        };
        assert_eq!(to([255; 4]), [255; 6]);
        assert_eq!(to([224, 129, 2, 3]), [1, 0, 0x5e, 1, 2, 3]);
        assert_eq!(to([10, 1, 2, 3]), HOST);
        let mut six = vec![0x60; 40];
        six[24..].copy_from_slice(&[0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 9]);
        let six = frame(&six, Direction::FromDevice).expect("it is IPv6");
        assert_eq!(six[..6], [0x33, 0x33, 0xff, 0, 0, 9]);
    }

    #[test]
    fn texts_other_protocols_and_scraps_are_no_packets() {
        let none = |bytes: &[u8]| frame(bytes, Direction::ToDevice).is_none();
        assert!(none(b"") && none(&ECHO[..19]) && none(&[0x55; 40]));
        assert!(none(b"firmware started, all is well\r\n"));
        let mut arp = [0; 42];
        arp[12..14].copy_from_slice(&[8, 6]);
        assert_eq!(packet(&arp), None);
        assert_eq!(packet(&arp[..13]), None);
    }
}
