//! Ethernet, tags, LLC, spanning tree, cooked captures and BSD's loopback.

use super::Maker;

/// Frames of all types and lengths, tagged and not.
pub fn ethernet(maker: &mut Maker) -> Vec<u8> {
    let mut frame = [maker.mac(), maker.mac()].concat();
    frame[6] &= 0xfe;
    let tags = maker.pick(&[0, 0, 1, 2, 3]);
    for n in 0..tags {
        // tshark expects a type behind a provider's tag, no length.
        let kinds =
            if n == 0 && tags > 1 { [0x8100, 0x88a8, 0x9100] } else { [0x8100, 0x8100, 0x9100] };
        frame.extend(u16::to_be_bytes(maker.pick(&kinds)));
        let id = maker.below(4095) as u16;
        frame.extend((id | maker.word() & 0xf000).to_be_bytes());
    }
    if maker.chance(4) {
        let body = maker.some(46, 80);
        frame.extend(u16::to_be_bytes(maker.pick(&[0x88b5, 0x88b6, 0x0842 ^ 0x1000, 0xbeef])));
        frame.extend(body);
        return frame;
    }
    let body = llc(maker);
    frame.extend((body.len() as u16).to_be_bytes());
    frame.extend(body);
    frame
}

/// What follows a length: information, supervision, unnumbered, SNAP, spanning tree.
fn llc(maker: &mut Maker) -> Vec<u8> {
    let saps = [maker.pick(&[0x80, 0x7c, 0x0c]), maker.pick(&[0x80, 0x7d, 0x0c])];
    let mut body = match maker.below(5) {
        0 => {
            let control = [maker.byte() & 0xfe, maker.byte()];
            [saps, control].concat()
        }
        1 => {
            let control = [maker.byte() & 0x0c | 1, maker.byte()];
            [saps, control].concat()
        }
        2 => [&saps[..], &[maker.pick(&[0x03, 0x13, 0xe3, 0xaf, 0xbf])]].concat(),
        3 => {
            let mut body = vec![0xaa, 0xaa, 3];
            body.extend(maker.pick(&[
                [0, 0, 0, 0x88, 0xb5],
                [0, 0x80, 0xc2, 0, 0x7f],
                [0, 0, 0x0c, 0x20, 0x99],
            ]));
            body
        }
        _ => [&[0x42, 0x42, 3], &bpdu(maker)[..]].concat(),
    };
    body.extend(maker.bytes(50));
    body
}

/// Bridges talking to each other.
pub fn spanning_tree(maker: &mut Maker) -> Vec<u8> {
    let body = [&[0x42, 0x42, 3], &bpdu(maker)[..]].concat();
    let mut frame = vec![1, 0x80, 0xc2, 0, 0, 0, 2, 0, 0, 0, 0, 1];
    frame.extend((body.len() as u16).to_be_bytes());
    frame.extend(body);
    if maker.chance(2) {
        frame.resize(frame.len().max(60), 0);
    }
    frame
}

fn bpdu(maker: &mut Maker) -> Vec<u8> {
    let kind: u8 = maker.pick(&[0, 0, 2, 2, 0x80]);
    let version = if kind == 2 { 2 } else { 0 };
    let mut message = vec![0, 0, version, kind];
    if kind != 0x80 {
        message.push(if kind == 2 { maker.byte() } else { maker.byte() & 0x81 });
        for _ in 0..2 {
            message.extend(maker.word().to_be_bytes());
            message.extend([2, 0, 0, 0, 0]);
            message.push(maker.byte());
            message.extend(maker.long().to_be_bytes());
        }
        message.truncate(25);
        message.extend(maker.word().to_be_bytes());
        for _ in 0..4 {
            message.extend([maker.byte() % 40, 0]);
        }
        message.extend(vec![0; usize::from(kind == 2)]);
    }
    message
}

/// A packet and its EtherType.
fn packet(maker: &mut Maker) -> (u16, Vec<u8>) {
    let payload = maker.some(0, 30);
    let frame = match maker.below(4) {
        0 => super::network::arp(maker),
        _ => maker.udp(40_001, 40_002, &payload),
    };
    (u16::from_be_bytes([frame[12], frame[13]]), frame[14..].to_vec())
}

/// Linux' cooked captures.
pub fn cooked(maker: &mut Maker) -> Vec<u8> {
    let (kind, packet) = packet(maker);
    let length = maker.pick(&[0u16, 6, 6, 6, 8, 3]);
    let mut frame = vec![0, maker.below(5) as u8];
    frame.extend(u16::to_be_bytes(if length == 6 { 1 } else { maker.pick(&[1, 772, 280]) }));
    frame.extend(length.to_be_bytes());
    let address = maker.bytes(usize::from(length));
    frame.extend(&address);
    frame.resize(14, 0);
    frame.extend(kind.to_be_bytes());
    [frame, packet].concat()
}

/// The same in its second version.
pub fn cooked_v2(maker: &mut Maker) -> Vec<u8> {
    let (kind, packet) = packet(maker);
    let length = maker.pick(&[0usize, 6, 6, 6, 8, 3]);
    let mut frame = [kind.to_be_bytes(), [0, 0]].concat();
    frame.extend((maker.long() & 0xff).to_be_bytes());
    frame.extend(u16::to_be_bytes(if length == 6 { 1 } else { maker.pick(&[1, 772, 280]) }));
    frame.extend([maker.below(5) as u8, length as u8]);
    let address = maker.bytes(length);
    frame.extend(&address);
    frame.resize(20, 0);
    [frame, packet].concat()
}

/// BSD's loopback, of either byte order.
pub fn loopback(maker: &mut Maker) -> Vec<u8> {
    let payload = maker.some(0, 30);
    let frame = maker.udp(40_001, 40_002, &payload);
    let family: u32 = if frame[12] == 8 { 2 } else { maker.pick(&[24, 28, 30]) };
    let family = if maker.chance(2) { family.to_be_bytes() } else { family.to_le_bytes() };
    let end = match frame[12] {
        8 => 14 + usize::from(u16::from_be_bytes([frame[16], frame[17]])),
        _ => frame.len(),
    };
    [&family, &frame[14..end]].concat()
}
