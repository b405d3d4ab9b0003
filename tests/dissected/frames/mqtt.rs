//! MQTT 3.1.1: every type of packet, several in a segment.

use super::{Maker, counted};

/// A segment of packets.
pub fn mqtt(maker: &mut Maker) -> Vec<u8> {
    let is_answer = maker.chance(2);
    let mut bytes = Vec::new();
    for _ in 0..=maker.below(3) {
        let (first, body) = packet(maker);
        let is_old = body.starts_with(b"\0\x06");
        if is_old && !bytes.is_empty() {
            continue; // tshark takes what follows it for the old protocol
        }
        bytes.push(first);
        let mut left = body.len();
        while left > 127 {
            bytes.push(left as u8 | 0x80);
            left >>= 7;
        }
        bytes.push(left as u8);
        bytes.extend(body);
        if is_old {
            break;
        }
    }
    maker.tcp_with(1883, is_answer, &bytes)
}

/// The first byte of a packet, and what follows its length.
fn packet(maker: &mut Maker) -> (u8, Vec<u8>) {
    let id = (1 + maker.below(65_000) as u16).to_be_bytes().to_vec();
    match maker.below(11) {
        0 => (0x10, connect(maker)),
        1 => (0x20, vec![maker.below(2) as u8, maker.below(6) as u8]),
        2 | 3 => {
            let (qos, retain) = (maker.below(3) as u8, maker.below(2) as u8);
            let dup = if qos > 0 { maker.below(2) as u8 } else { 0 };
            let topic = counted(2, &maker.letters(1, 40));
            let id = if qos > 0 { id } else { Vec::new() };
            (0x30 | dup << 3 | qos << 1 | retain, [topic, id, maker.some(1, 200)].concat())
        }
        4 => (maker.pick(&[0x40, 0x50, 0x62, 0x70]), id),
        5 => {
            let mut body = id;
            for _ in 0..=maker.below(3) {
                body.extend(counted(2, &maker.letters(1, 30)));
                body.push(maker.below(3) as u8);
            }
            (0x82, body)
        }
        6 => (0x90, [id, vec![maker.pick(&[0, 1, 2, 0x80])]].concat()),
        7 => {
            let mut body = id;
            for _ in 0..=maker.below(3) {
                body.extend(counted(2, &maker.letters(1, 30)));
            }
            (0xa2, body)
        }
        8 => (0xb0, id),
        9 => (maker.pick(&[0xc0, 0xd0]), Vec::new()),
        _ => (0xe0, Vec::new()),
    }
}

fn connect(maker: &mut Maker) -> Vec<u8> {
    let (will, user) = (maker.chance(2), maker.chance(2));
    let mut flags = maker.pick(&[0, 2]);
    let mut payload = counted(2, &maker.letters(1, 23));
    if will {
        flags |= 4 | maker.pick(&[0, 8, 0x20]);
        payload.extend(counted(2, &maker.letters(1, 20)));
        payload.extend(counted(2, &maker.some(1, 20)));
    }
    if user {
        flags |= 0x80;
        payload.extend(counted(2, &maker.letters(1, 20)));
    }
    let (name, level): (&[u8], u8) = maker.pick(&[(b"MQTT", 4), (b"MQIsdp", 3)]);
    let mut body = [counted(2, name), vec![level, flags]].concat();
    body.extend(maker.word().to_be_bytes());
    [body, payload].concat()
}
