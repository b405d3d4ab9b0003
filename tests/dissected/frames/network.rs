//! ARP, IPv4 with options and fragments, IPv6 with extension headers.

use uarttool::checksum;

use super::{Ends, Maker};

/// Messages of ARP, of Ethernet and of other sizes.
pub fn arp(maker: &mut Maker) -> Vec<u8> {
    let op = maker.pick(&[1, 1, 2, 2, 3, 4, 8, 9]);
    let mut message = vec![0, 1, 8, 0, 6, 4, 0, op];
    for _ in 0..2 {
        message.extend(maker.mac());
        message.extend(maker.host().octets());
    }
    if maker.chance(3) {
        message[14..18].fill(0);
    }
    let kind = if op == 3 || op == 4 { 0x8035 } else { 0x0806 };
    maker.ethernet(kind, &message)
}

/// Packets of IPv4, some tagged.
pub fn ipv4(maker: &mut Maker) -> Vec<u8> {
    let packet = packet4(maker, 0);
    if maker.chance(6) {
        let tag = (maker.below(4095) as u16).to_be_bytes();
        return maker.ethernet(0x8100, &[&tag, &[8, 0][..], &packet].concat());
    }
    maker.ethernet(0x0800, &packet)
}

fn packet4(maker: &mut Maker, depth: u32) -> Vec<u8> {
    let ends = loop {
        if let Ends::V4(source, destination) = maker.ends() {
            break (source, destination);
        }
    };
    let (protocol, payload) = match maker.below(8) {
        0 if depth < 2 => (4, packet4(maker, depth + 1)),
        1 if depth < 2 => (41, packet6(maker)),
        2 => (253, maker.some(0, 40)),
        3 => {
            let mut message = [vec![8, 0, 0, 0], maker.some(4, 40)].concat();
            let sum = checksum::internet(&message).to_be_bytes();
            message[2..4].copy_from_slice(&sum);
            (1, message)
        }
        _ => (17, datagram(maker, Ends::V4(ends.0, ends.1))),
    };
    let options = if maker.chance(2) { options(maker) } else { Vec::new() };
    let total = ((20 + options.len() + payload.len()) as u16).to_be_bytes();
    let mut header = vec![0x45 + (options.len() / 4) as u8, maker.byte(), total[0], total[1]];
    header.extend(maker.word().to_be_bytes());
    let fragment: u16 = match maker.below(8) {
        // What is in fragments of packets is not whole: the units beside `ipv4` see to that.
        0..=3 if matches!(protocol, 1 | 4 | 41) => 0x4000,
        0 => 0x2000,
        1 => 1 + maker.below(0xfff) as u16,
        2 => 0x2001 + maker.below(0xfff) as u16,
        3 => 0x8000,
        4 => 0x4000,
        _ => 0,
    };
    header.extend(fragment.to_be_bytes());
    header.extend([maker.byte().max(1), protocol, 0, 0]);
    header.extend(ends.0.octets());
    header.extend(ends.1.octets());
    header.extend(options);
    let mut sum = checksum::internet(&header);
    if maker.chance(20) {
        sum = sum.wrapping_add(1 + (maker.word() & 0xff));
    }
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    if payload.len() % 8 != 0 && fragment & 0x2000 != 0 {
        // All fragments but the last are multiples of eight bytes.
        let whole = payload.len() / 8 * 8;
        let total = ((header.len() + whole) as u16).to_be_bytes();
        header[2..4].copy_from_slice(&total);
        header[10..12].fill(0);
        let sum = checksum::internet(&header).to_be_bytes();
        header[10..12].copy_from_slice(&sum);
        return [&header[..], &payload[..whole]].concat();
    }
    [header, payload].concat()
}

fn datagram(maker: &mut Maker, ends: Ends) -> Vec<u8> {
    let payload = maker.some(0, 40);
    let length = (8 + payload.len()) as u16;
    let head: Vec<u8> =
        [40_001, 40_002, length, 0].iter().flat_map(|w: &u16| w.to_be_bytes()).collect();
    let mut segment = [head, payload].concat();
    maker.sum(ends, 17, &mut segment, 6);
    segment
}

/// Options of IPv4, filled up to words.
fn options(maker: &mut Maker) -> Vec<u8> {
    let mut options = Vec::new();
    for _ in 0..=maker.below(2) {
        match maker.below(5) {
            0 => options.push(1),
            1 => {
                let places = 1 + maker.below(3) as usize;
                // Only one of a packet is a source route.
                let kind = if options.is_empty() { maker.pick(&[7, 131, 137]) } else { 7 };
                let pointer = 4 + 4 * maker.below(places as u64 + 1) as u8;
                options.extend([kind, 3 + 4 * places as u8, pointer]);
                options.extend(maker.bytes(4 * places));
            }
            2 => options.extend([148, 4, 0, 0]),
            3 => {
                options.extend([68, 12, maker.pick(&[5, 9, 13]), 0x10]);
                options.extend(maker.bytes(8));
            }
            _ => options.extend([136, 4, maker.byte(), maker.byte()]),
        }
    }
    options.resize(options.len().next_multiple_of(4), 0);
    if options.len() > 40 { vec![1, 1, 1, 0] } else { options }
}

/// Packets of IPv6 with extension headers.
pub fn ipv6(maker: &mut Maker) -> Vec<u8> {
    let packet = packet6(maker);
    maker.ethernet(0x86dd, &packet)
}

fn packet6(maker: &mut Maker) -> Vec<u8> {
    let ends = loop {
        if let Ends::V6(source, destination) = maker.ends() {
            break (source, destination);
        }
    };
    let mut next = 17;
    let mut body = match maker.below(6) {
        0 => {
            next = 59;
            Vec::new()
        }
        1 => {
            next = 253;
            maker.some(8, 30)
        }
        _ => datagram(maker, Ends::V6(ends.0, ends.1)),
    };
    // From the innermost to the outermost, in the order that RFC 8200 recommends.
    if maker.chance(4) {
        let data = extension_options(maker, false);
        (body, next) = ([&[next][..], &data, &body].concat(), 60);
    }
    if maker.chance(4) {
        let icv = maker.pick(&[12, 16, 20]);
        let mut header = vec![next, (12 + icv) as u8 / 4 - 2, 0, 0];
        header.extend(maker.bytes(8 + icv));
        if header.len() % 8 == 0 {
            (body, next) = ([header, body].concat(), 51);
        }
    }
    if maker.chance(4) {
        let mut header = vec![next, 0];
        let offset: u16 = maker.pick(&[0, 0, 8, 1480]);
        let more = u16::from(maker.chance(2));
        if more == 1 {
            body.truncate(body.len() / 8 * 8);
        }
        header.extend((offset | more).to_be_bytes());
        header.extend(maker.bytes(4));
        if offset > 0 || body.len() >= 8 {
            (body, next) = ([header, body].concat(), 44);
        }
    }
    if maker.chance(4) {
        let header = routing(maker, next);
        (body, next) = ([header, body].concat(), 43);
    }
    if maker.chance(4) {
        let data = extension_options(maker, true);
        (body, next) = ([&[next][..], &data, &body].concat(), 0);
    }
    let limit = maker.byte();
    maker.ipv6(ends.0, ends.1, next, limit, &body)
}

/// Length and options of a header, filled up to eight bytes.
fn extension_options(maker: &mut Maker, is_hop_by_hop: bool) -> Vec<u8> {
    let mut options = Vec::new();
    for _ in 0..=maker.below(2) {
        match (maker.below(4), is_hop_by_hop) {
            (0, _) => options.push(0),
            (1, true) => options.extend([5, 2, 0, maker.pick(&[0, 1, 2, 69])]),
            (1, false) => options.extend([4, 1, maker.byte()]),
            (2, _) => {
                let data = maker.some(1, 8);
                options.extend([0x1e, data.len() as u8]);
                options.extend(data);
            }
            (_, false) => {
                options.extend([0xc9, 16]);
                options.extend(maker.host6().octets());
            }
            _ => {}
        }
    }
    let missing = (2 + options.len()).next_multiple_of(8) - 2 - options.len();
    match missing {
        0 => {}
        1 => options.push(0),
        _ => {
            options.extend([1, missing as u8 - 2]);
            options.resize(options.len() + missing - 2, 0);
        }
    }
    let length = ((options.len() + 2) / 8 - 1) as u8;
    [vec![length], options].concat()
}

/// A routing header of the old kind or of segments.
fn routing(maker: &mut Maker, next: u8) -> Vec<u8> {
    let count = 1 + maker.below(3) as u8;
    let addresses = maker.bytes(16 * usize::from(count));
    let left = 0;
    let mut header = match maker.below(2) {
        0 => vec![next, 2 * count, 0, left, 0, 0, 0, 0],
        _ => vec![next, 2 * count, 4, left, count - 1, maker.byte(), maker.byte(), maker.byte()],
    };
    header.extend(addresses);
    header
}
