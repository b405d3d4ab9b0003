//! DHCP: every type of message, every option that has a field, overloaded names.

use super::Maker;

/// Messages of clients and servers.
pub fn dhcp(maker: &mut Maker) -> Vec<u8> {
    let is_answer = maker.chance(2);
    let mut message = vec![if is_answer { 2 } else { 1 }, 1, 6, maker.byte()];
    message.extend(maker.bytes(4));
    message.extend((maker.word() & 0xff).to_be_bytes());
    message.extend([if maker.chance(2) { 0x80 } else { 0 }, 0]);
    for _ in 0..4 {
        message.extend(maker.host().octets());
    }
    message.extend([2, 0, 0, 0, 0]);
    message.push(maker.byte());
    message.extend([0; 10]);
    let overload = if maker.chance(5) { 1 + maker.below(3) as u8 } else { 0 };
    for (length, bit) in [(64, 2), (128, 1)] {
        let mut field = match overload & bit {
            0 if maker.chance(2) => Vec::new(),
            0 => maker.letters(1, 40),
            _ => {
                let options = one_of_each(maker, &[12, 3, 42]);
                [options, vec![255]].concat()
            }
        };
        field.resize(length, 0);
        message.extend(field);
    }
    message.extend([0x63, 0x82, 0x53, 0x63]);
    message.extend([53, 1, 1 + maker.below(8) as u8]);
    if overload > 0 {
        message.extend([52, 1, overload]);
    }
    let codes = [1, 3, 6, 12, 15, 28, 42, 50, 51, 54, 55, 56, 57, 58, 59, 60, 61, 0, 19];
    let chosen: Vec<u8> = codes.into_iter().filter(|_| maker.chance(3)).collect();
    message.extend(one_of_each(maker, &chosen));
    message.push(255);
    if maker.chance(2) {
        message.resize(message.len().max(300), 0);
    }
    let (from, to) = if is_answer { (67, 68) } else { (68, 67) };
    maker.udp(from, to, &message)
}

fn one_of_each(maker: &mut Maker, codes: &[u8]) -> Vec<u8> {
    let mut options = Vec::new();
    for code in codes {
        let data = match code {
            0 => {
                options.push(0);
                continue;
            }
            1 | 28 | 50 | 54 => maker.bytes(4),
            3 | 6 | 42 => {
                let count = 1 + maker.below(3) as usize;
                maker.bytes(4 * count)
            }
            12 | 15 | 56 | 60 => maker.letters(1, 20),
            51 | 58 | 59 => maker.bytes(4),
            55 => maker.some(1, 12),
            57 => maker.bytes(2),
            19 => vec![u8::from(maker.chance(2))],
            _ => [&[1, 2, 0, 0, 0, 0][..], &[maker.byte()]].concat(),
        };
        options.push(*code);
        options.extend(super::counted(1, &data));
    }
    options
}
