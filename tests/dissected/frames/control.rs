//! ICMP, ICMPv6 with neighbour and listener discovery, IGMP.

use std::net::{Ipv4Addr, Ipv6Addr};

use uarttool::checksum;

use super::{Ends, Maker};

/// Messages of ICMP of every type that has fields.
pub fn icmp(maker: &mut Maker) -> Vec<u8> {
    let mut message = match maker.below(9) {
        0 | 1 => [vec![maker.pick(&[0, 8]), 0, 0, 0], maker.some(4, 60)].concat(),
        2 => [vec![maker.pick(&[13, 14]), 0, 0, 0], maker.bytes(16)].concat(),
        3 => [vec![maker.pick(&[17, 18]), 0, 0, 0], maker.bytes(8)].concat(),
        4 => {
            let count = 1 + maker.below(3) as u8;
            let mut message = vec![9, 0, 0, 0, count, 2];
            message.extend(maker.word().to_be_bytes());
            for _ in 0..count {
                message.extend(maker.host().octets());
                message.extend((maker.word() as u32 & 0x7fff).to_be_bytes());
            }
            message
        }
        5 => vec![10, 0, 0, 0, 0, 0, 0, 0],
        _ => error(maker),
    };
    message[2..4].fill(0);
    let mut sum = checksum::internet(&message);
    if maker.chance(20) {
        sum = sum.wrapping_add(1 + (maker.word() & 0xff));
    }
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let source = Ipv4Addr::from(0x0a00_0000 + maker.n);
    let packet = maker.ipv4(source, Ipv4Addr::new(192, 168, 100, 2), 1, &message);
    maker.ethernet(0x0800, &packet)
}

/// An error message with what it quotes.
fn error(maker: &mut Maker) -> Vec<u8> {
    let kind = maker.pick(&[3, 3, 4, 5, 11, 12]);
    let code = match kind {
        3 => maker.below(16) as u8,
        5 => maker.below(4) as u8,
        11 => maker.below(2) as u8,
        _ => 0,
    };
    let head: [u8; 4] = match (kind, code) {
        (3, 4) => [0, 0, maker.byte(), maker.byte()],
        (5, _) => maker.host().octets(),
        (12, _) => [maker.byte(), 0, 0, 0],
        _ => [0; 4],
    };
    let (source, destination) = (maker.host(), maker.host());
    // Of what redirects quote, tshark looks at eight bytes only.
    let carried = match maker.below(2) {
        n if n == 0 || kind == 5 => {
            (17, [vec![0x9c, 0x41, 0x9c, 0x42, 0, 28], maker.bytes(22)].concat())
        }
        _ => {
            (6, [vec![0x9c, 0x41, 0x9c, 0x42], maker.bytes(8), vec![0x50], maker.bytes(7)].concat())
        }
    };
    let mut quoted = maker.ipv4(source, destination, carried.0, &carried.1);
    let mut head = head;
    if matches!(kind, 3 | 11 | 12) && maker.chance(4) {
        head[1] = 32; // words of four bytes (RFC 4884 section 4.1)
        quoted.resize(128, 0);
    }
    [&[kind, code, 0, 0][..], &head, &quoted].concat()
}

/// A frame with this message of ICMPv6.
fn carry6(maker: &mut Maker, limit: u8, mut message: Vec<u8>) -> Vec<u8> {
    let ends = (Ipv6Addr::from(0xfe80u128 << 112 | u128::from(maker.n)), maker.host6());
    maker.sum(Ends::V6(ends.0, ends.1), 58, &mut message, 2);
    let packet = maker.ipv6(ends.0, ends.1, 58, limit, &message);
    maker.ethernet(0x86dd, &packet)
}

/// Errors, echoes, neighbour discovery.
pub fn icmpv6(maker: &mut Maker) -> Vec<u8> {
    if maker.chance(3) {
        return mld(maker);
    }
    let (limit, message) = match maker.below(9) {
        0 => (64, [vec![maker.pick(&[128, 129]), 0, 0, 0], maker.some(4, 60)].concat()),
        1 | 2 => (64, error6(maker)),
        3 => (255, [vec![133, 0, 0, 0, 0, 0, 0, 0], options(maker)].concat()),
        4 | 5 => {
            let mut message = [vec![134, 0, 0, 0], maker.bytes(12)].concat();
            if message[5] & 0x18 == 0x10 {
                message[5] &= 0xef; // this preference is reserved
            }
            message.extend(options(maker));
            (255, message)
        }
        6 => {
            let message =
                [vec![135, 0, 0, 0, 0, 0, 0, 0], maker.host6().octets().to_vec(), options(maker)];
            (255, message.concat())
        }
        7 => {
            let flags = maker.byte() & 0xe0;
            let message = [
                vec![136, 0, 0, 0, flags, 0, 0, 0],
                maker.host6().octets().to_vec(),
                options(maker),
            ];
            (255, message.concat())
        }
        _ => {
            let mut message = vec![137, 0, 0, 0, 0, 0, 0, 0];
            message.extend(maker.host6().octets());
            message.extend(maker.host6().octets());
            message.extend(options(maker));
            (255, message)
        }
    };
    carry6(maker, limit, message)
}

fn error6(maker: &mut Maker) -> Vec<u8> {
    let kind = 1 + maker.below(4) as u8;
    let code = match kind {
        1 => maker.below(8) as u8,
        3 => maker.below(2) as u8,
        4 => maker.below(4) as u8,
        _ => 0,
    };
    let head = match kind {
        2 | 4 => maker.long().to_be_bytes(),
        _ => [0; 4],
    };
    let (source, destination) = (maker.host6(), maker.host6());
    let carried = match maker.below(2) {
        0 => (17, [vec![0x9c, 0x41, 0x9c, 0x42, 0, 28], maker.bytes(22)].concat()),
        _ => {
            (6, [vec![0x9c, 0x41, 0x9c, 0x42], maker.bytes(8), vec![0x50], maker.bytes(7)].concat())
        }
    };
    let mut quoted = maker.ipv6(source, destination, carried.0, 63, &carried.1);
    let mut head = head;
    if matches!(kind, 1 | 3) && maker.chance(4) {
        head[0] = 16; // words of eight bytes (RFC 4884 section 4.2)
        quoted.resize(128, 0);
    }
    [&[kind, code, 0, 0][..], &head, &quoted].concat()
}

/// Options of neighbour discovery.
fn options(maker: &mut Maker) -> Vec<u8> {
    let mut options = Vec::new();
    for _ in 0..maker.below(4) {
        match maker.below(9) {
            0 | 1 => {
                options.extend([maker.pick(&[1, 2]), 1]);
                options.extend(maker.mac());
            }
            2 => {
                options.extend([3, 4, maker.pick(&[64, 48]), maker.byte()]);
                options.extend(maker.bytes(8));
                options.extend([0; 4]);
                options.extend(maker.host6().octets());
            }
            3 => {
                options.extend([5, 1, 0, 0]);
                options.extend(maker.long().to_be_bytes());
            }
            8 => {
                let mut uri = [&b"https://"[..], &maker.letters(1, 20)].concat();
                uri.resize((uri.len() + 2).next_multiple_of(8) - 2, 0);
                options.extend([37, (uri.len() + 2) as u8 / 8]);
                options.extend(uri);
            }
            4 => {
                options.extend([14, 1]);
                options.extend(maker.bytes(6));
            }
            5 => {
                let servers = 1 + maker.below(2) as u8;
                options.extend([25, 1 + 2 * servers, 0, 0]);
                options.extend(maker.long().to_be_bytes());
                for _ in 0..servers {
                    options.extend(maker.host6().octets());
                }
            }
            6 => {
                let mut names = Vec::new();
                for _ in 0..=maker.below(2) {
                    names.extend(super::counted(1, &maker.letters(1, 12)));
                    names.extend(super::counted(1, &maker.letters(1, 12)));
                    names.push(0);
                }
                names.resize(names.len().next_multiple_of(8), 0);
                options.extend([31, 1 + names.len() as u8 / 8, 0, 0]);
                options.extend(maker.long().to_be_bytes());
                options.extend(names);
            }
            _ => {
                options.extend([24, 3, 64, maker.pick(&[0, 0x08, 0x18])]);
                options.extend(maker.long().to_be_bytes());
                options.extend(maker.host6().octets());
            }
        }
    }
    options
}

/// Listener discovery.
fn mld(maker: &mut Maker) -> Vec<u8> {
    let message = match maker.below(4) {
        0 => {
            let mut message = vec![maker.pick(&[130, 131, 132]), 0, 0, 0];
            message.extend(maker.word().to_be_bytes());
            message.extend([0, 0]);
            message.extend(maker.host6().octets());
            message
        }
        1 => {
            let sources = maker.below(4) as u8;
            let mut message = vec![130, 0, 0, 0];
            message.extend(maker.word().to_be_bytes());
            message.extend([0, 0]);
            message.extend(maker.host6().octets());
            message.extend([maker.byte() & 15, maker.byte(), 0, sources]);
            (0..sources).for_each(|_| message.extend(maker.host6().octets()));
            message
        }
        _ => {
            let records = maker.below(4) as u8;
            let mut message = vec![143, 0, 0, 0, 0, 0, 0, records];
            for _ in 0..records {
                let sources = maker.below(3) as u8;
                let more = maker.pick(&[0, 0, 0, 1, 2]);
                message.extend([1 + maker.below(6) as u8, more, 0, sources]);
                message.extend(maker.host6().octets());
                (0..sources).for_each(|_| message.extend(maker.host6().octets()));
                message.extend(maker.bytes(4 * usize::from(more)));
            }
            message
        }
    };
    if maker.chance(2) {
        return carry6(maker, 1, message);
    }
    let ends = (Ipv6Addr::from(0xfe80u128 << 112 | u128::from(maker.n)), maker.host6());
    let mut message = message;
    maker.sum(Ends::V6(ends.0, ends.1), 58, &mut message, 2);
    let body = [&[58, 0, 5, 2, 0, 0, 1, 0][..], &message].concat();
    let packet = maker.ipv6(ends.0, ends.1, 0, 1, &body);
    maker.ethernet(0x86dd, &packet)
}

/// The same for IPv4.
pub fn igmp(maker: &mut Maker) -> Vec<u8> {
    let mut message = match maker.below(4) {
        0 => {
            let kind = maker.pick(&[0x11, 0x12, 0x16, 0x17]);
            let code = if kind == 0x11 { 1 + maker.byte() % 127 } else { 0 };
            let mut message = vec![kind, code, 0, 0];
            message.extend(maker.host().octets());
            message
        }
        1 => {
            let sources = maker.below(4) as u8;
            let mut message = vec![0x11, maker.byte(), 0, 0];
            message.extend(maker.host().octets());
            message.extend([maker.byte() & 15, maker.byte(), 0, sources]);
            (0..sources).for_each(|_| message.extend(maker.host().octets()));
            message
        }
        _ => {
            let records = maker.below(4) as u8;
            let mut message = vec![0x22, 0, 0, 0, 0, 0, 0, records];
            for _ in 0..records {
                let sources = maker.below(3) as u8;
                let more = maker.pick(&[0, 0, 0, 1, 2]);
                message.extend([1 + maker.below(6) as u8, more, 0, sources]);
                message.extend(maker.host().octets());
                (0..sources).for_each(|_| message.extend(maker.host().octets()));
                message.extend(maker.bytes(4 * usize::from(more)));
            }
            message
        }
    };
    let mut sum = checksum::internet(&message);
    if maker.chance(20) {
        sum = sum.wrapping_add(1 + (maker.word() & 0xff));
    }
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let source = Ipv4Addr::from(0x0a00_0000 + maker.n);
    let packet = maker.ipv4(source, Ipv4Addr::new(224, 0, 0, 22), 2, &message);
    maker.ethernet(0x0800, &packet)
}
