//! UDP, and TCP with options.

use super::Maker;

/// Ports on which neither side looks for a protocol.
fn port(maker: &mut Maker) -> u16 {
    40_100 + maker.below(200) as u16
}

/// Datagrams, some without a checksum.
pub fn udp(maker: &mut Maker) -> Vec<u8> {
    let (from, to) = (port(maker), port(maker));
    let payload = maker.some(0, 60);
    let mut frame = maker.udp(from, to, &payload);
    if maker.chance(6) && frame[12] == 8 {
        frame[40..42].fill(0);
    }
    frame
}

/// Segments with every flag and option.
pub fn tcp(maker: &mut Maker) -> Vec<u8> {
    let mut segment: Vec<u8> =
        [port(maker), port(maker)].iter().flat_map(|w| w.to_be_bytes()).collect();
    segment.extend(maker.bytes(8));
    let options = options(maker);
    segment.push(
        (((20 + options.len()) / 4) << 4) as u8
            | if maker.chance(4) { maker.byte() & 15 } else { 0 },
    );
    segment.push(maker.byte());
    segment.extend(maker.word().to_be_bytes());
    segment.extend([0, 0]);
    segment.extend(maker.word().to_be_bytes());
    segment.extend(options);
    segment.extend(maker.some(0, 60));
    let ends = maker.ends();
    maker.carry(ends, 6, segment, 16)
}

fn options(maker: &mut Maker) -> Vec<u8> {
    let mut options = Vec::new();
    for _ in 0..maker.below(4) {
        match maker.below(9) {
            0 => options.push(1),
            1 => options.extend([2, 4, maker.byte(), maker.byte()]),
            2 => options.extend([3, 3, maker.byte() % 15]),
            3 => options.extend([4, 2]),
            4 => {
                let blocks = 1 + maker.below(2) as usize;
                options.extend([5, 2 + 8 * blocks as u8]);
                options.extend(maker.bytes(8 * blocks));
            }
            5 | 6 => {
                options.extend([8, 10]);
                options.extend(maker.bytes(8));
            }
            7 => options.extend([28, 4, maker.byte(), maker.byte()]),
            _ => {
                let cookie = maker.pick(&[4, 8]);
                options.extend([34, 2 + cookie as u8]);
                options.extend(maker.bytes(cookie));
            }
        }
    }
    while options.len() % 4 != 0 {
        options.push(1);
    }
    if options.len() > 40 { vec![4, 2, 1, 1] } else { options }
}
