//! NTP and TFTP.

use super::Maker;

/// Messages of clients, servers and peers, some with a key.
pub fn ntp(maker: &mut Maker) -> Vec<u8> {
    let (version, mode) = (maker.pick(&[3, 4]), 1 + maker.below(5) as u8);
    let mut message = vec![maker.pick(&[0, 1, 2, 3]) << 6 | version << 3 | mode];
    message.push(maker.below(17) as u8);
    message.extend([maker.below(17) as u8, maker.byte()]);
    message.extend((maker.long() & 0x00ff_ffff).to_be_bytes());
    message.extend((maker.long() & 0x00ff_ffff).to_be_bytes());
    match message[1] {
        0 | 1 => message.extend(maker.pick(&[b"GPS\0", b"RATE", b"PPS\0", b"DENY"])),
        _ => message.extend(maker.host().octets()),
    }
    for _ in 0..4 {
        let zero = maker.chance(6);
        let stamp = if zero { [0; 4] } else { (0xe000_0000 | maker.long() >> 4).to_be_bytes() };
        message.extend(stamp);
        message.extend(if zero { [0; 4] } else { maker.long().to_be_bytes() });
    }
    if maker.chance(4) {
        let digest = maker.pick(&[16, 20]);
        message.extend(maker.bytes(4 + digest));
    }
    maker.udp_with(123, mode == 4, &message)
}

/// Requests, data, acknowledgements, errors and options.
pub fn tftp(maker: &mut Maker) -> Vec<u8> {
    let strings = |maker: &mut Maker, bytes: &mut Vec<u8>| {
        for _ in 0..maker.below(3) {
            let number = maker.below(1000) + 8;
            bytes.extend(maker.pick(&[&b"blksize"[..], b"timeout", b"tsize"]));
            bytes.extend(format!("\0{number}\0").bytes());
        }
    };
    let kind = 1 + maker.below(6) as u8;
    let mut message = vec![0, kind];
    match kind {
        1 | 2 => {
            message.extend(maker.letters(1, 40));
            message.push(0);
            message.extend(maker.pick(&[&b"octet"[..], b"netascii"]));
            message.push(0);
            strings(maker, &mut message);
        }
        3 => {
            message.extend(maker.word().to_be_bytes());
            message.extend(maker.some(0, 100));
        }
        4 => message.extend(maker.word().to_be_bytes()),
        5 => {
            message.extend([0, maker.below(9) as u8]);
            message.extend(maker.letters(1, 30));
            message.push(0);
        }
        _ => {
            message.extend(b"blksize\x001024\x00");
            strings(maker, &mut message);
        }
    }
    maker.udp_with(69, !matches!(kind, 1 | 2), &message)
}
