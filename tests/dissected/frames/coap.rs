//! CoAP: every type and method, options of every shape.

use super::Maker;

/// Requests and answers.
pub fn coap(maker: &mut Maker) -> Vec<u8> {
    let token = maker.below(9) as usize;
    let is_answer = maker.chance(2);
    let code = match is_answer {
        false => 1 + maker.below(4) as u8,
        true => maker.pick(&[0x41, 0x42, 0x43, 0x44, 0x45, 0x80, 0x81, 0x84, 0xa0, 0xa3]),
    };
    let mut message = vec![0x40 | maker.pick(&[0, 1, 2]) << 4 | token as u8, code];
    message.extend(maker.word().to_be_bytes());
    message.extend(maker.bytes(token));
    message.extend(options(maker));
    if maker.chance(2) {
        message.push(0xff);
        message.extend(maker.letters(1, 30));
    }
    maker.udp_with(5683, is_answer, &message)
}

fn options(maker: &mut Maker) -> Vec<u8> {
    let mut options: Vec<(u16, Vec<u8>)> = Vec::new();
    for _ in 0..maker.below(6) {
        options.push(match maker.below(10) {
            0 => (1, maker.some(1, 8)),
            1 => (3, maker.letters(1, 20)),
            2 => (4, maker.some(1, 8)),
            3 => (6, maker.some(1, 3)),
            4 => (7, maker.some(1, 2)),
            5 | 6 => (11, maker.letters(1, 300)),
            7 => (14, maker.some(1, 4)),
            8 => (15, maker.letters(1, 20)),
            _ => (maker.pick(&[8, 20]), maker.letters(1, 20)),
        });
    }
    options.sort_by_key(|option| option.0);
    // What may occur once only.
    options.dedup_by(|b, a| a.0 == b.0 && matches!(a.0, 3 | 6 | 7 | 14));
    let (mut bytes, mut last) = (Vec::new(), 0);
    for (number, value) in options {
        let (delta, more) = extended(usize::from(number - last));
        let (length, behind) = extended(value.len());
        bytes.push(delta << 4 | length);
        bytes.extend([more, behind, value].concat());
        last = number;
    }
    bytes
}

/// The four bits of a number, and the bytes that extend them.
fn extended(number: usize) -> (u8, Vec<u8>) {
    match number {
        0..=12 => (number as u8, Vec::new()),
        13..=268 => (13, vec![(number - 13) as u8]),
        _ => (14, ((number - 269) as u16).to_be_bytes().to_vec()),
    }
}
