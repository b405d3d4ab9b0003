//! DNS, mDNS and LLMNR: questions and answers with compressed names and records of many types.

use super::{Maker, counted};

/// By UDP and TCP.
pub fn dns(maker: &mut Maker) -> Vec<u8> {
    over_both(maker, 53)
}

/// Over multicast.
pub fn mdns(maker: &mut Maker) -> Vec<u8> {
    let (message, _) = message(maker, true, 0x0400);
    maker.udp(5353, 5353, &message)
}

/// Among neighbours.
pub fn llmnr(maker: &mut Maker) -> Vec<u8> {
    // tshark does not look for it in TCP.
    let flags = maker.word() & 0x0700 | maker.pick(&[0, 0, 2, 3, 5]);
    let (message, is_answer) = message(maker, false, flags);
    maker.udp_with(5355, is_answer, &message)
}

fn over_both(maker: &mut Maker, port: u16) -> Vec<u8> {
    let flags = maker.word() & 0x07b0 | maker.pick(&[0, 0, 2, 3, 5]);
    let (message, is_answer) = message(maker, false, flags);
    match maker.below(4) {
        0 => {
            let message = counted(2, &message);
            maker.tcp_with(port, is_answer, &message)
        }
        _ => maker.udp_with(port, is_answer, &message),
    }
}

fn message(maker: &mut Maker, is_multicast: bool, flags: u16) -> (Vec<u8>, bool) {
    let is_answer = maker.chance(2);
    let flags = if is_answer { flags | 0x8000 } else { flags & 0x7fff };
    let questions = if is_answer && maker.chance(4) { 0 } else { 1 + u16::from(maker.chance(5)) };
    let count = |maker: &mut Maker| if is_answer { maker.below(4) as u16 } else { 0 };
    let (answers, authorities) = (count(maker), count(maker));
    let mut additional = count(maker);
    let has_edns = maker.chance(3);
    additional += u16::from(has_edns);
    let id = if is_multicast { 0 } else { maker.word() };
    let mut bytes: Vec<u8> = [id, flags, questions, answers, authorities, additional]
        .iter()
        .flat_map(|word| word.to_be_bytes())
        .collect();
    for _ in 0..questions {
        name(maker, &mut bytes);
        let kind: u16 = maker.pick(&[1, 28, 15, 16, 33, 255, 12, 65, 6, 2]);
        let class = 1 | if is_multicast && maker.chance(2) { 0x8000 } else { 0 };
        bytes.extend([kind.to_be_bytes(), u16::to_be_bytes(class)].concat());
    }
    for _ in 0..answers + authorities + additional - u16::from(has_edns) {
        record(maker, is_multicast, &mut bytes);
    }
    if has_edns {
        bytes.extend([0, 0, 41]);
        bytes.extend((maker.word() >> 1).to_be_bytes());
        bytes.extend([0, 0, maker.pick(&[0, 0x80]), 0]);
        let cookie = maker.bytes(8);
        let options =
            if maker.chance(2) { [&[0, 10, 0, 8][..], &cookie].concat() } else { Vec::new() };
        bytes.extend(counted(2, &options));
    }
    (bytes, is_answer)
}

/// Some labels, ending in the root or in a name that stands in front.
fn name(maker: &mut Maker, bytes: &mut Vec<u8>) {
    let is_first = bytes.len() == 12;
    for _ in 0..maker.below(4) {
        bytes.extend(counted(1, &maker.letters(1, 15)));
    }
    // The first name of the message begins behind the header.
    match !is_first && maker.chance(2) {
        true => bytes.extend([0xc0, 12]),
        false => {
            bytes.extend(counted(1, b"local"));
            bytes.push(0);
        }
    }
}

fn record(maker: &mut Maker, is_multicast: bool, bytes: &mut Vec<u8>) {
    name(maker, bytes);
    let kind: u16 = maker.pick(&[1, 28, 5, 2, 12, 15, 16, 33, 6, 13, 39]);
    let class: u16 = 1 | if is_multicast && maker.chance(2) { 0x8000 } else { 0 };
    bytes.extend([kind.to_be_bytes(), class.to_be_bytes()].concat());
    bytes.extend((maker.long() >> 1).to_be_bytes());
    let length_at = bytes.len();
    bytes.extend([0, 0]);
    match kind {
        1 => bytes.extend(maker.host().octets()),
        28 => bytes.extend(maker.host6().octets()),
        2 | 5 | 12 | 39 => name(maker, bytes),
        15 => {
            bytes.extend(maker.word().to_be_bytes());
            name(maker, bytes);
        }
        16 => {
            for _ in 0..=maker.below(3) {
                bytes.extend(counted(1, &maker.letters(1, 20)));
            }
        }
        13 => {
            bytes.extend(counted(1, &maker.letters(1, 20)));
            bytes.extend(counted(1, &maker.letters(1, 20)));
        }
        33 => {
            bytes.extend(maker.bytes(6));
            name(maker, bytes);
        }
        _ => {
            name(maker, bytes);
            name(maker, bytes);
            bytes.extend(maker.bytes(20));
        }
    }
    let length = ((bytes.len() - length_at - 2) as u16).to_be_bytes();
    bytes[length_at..length_at + 2].copy_from_slice(&length);
}
