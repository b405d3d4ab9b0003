//! Frames by chance, out of small pools of addresses and ports, so that filters find some.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uarttool::record::LinkType;

/// A frame, whole or cut.
pub struct Frame {
    pub bytes: Vec<u8>,
    /// Its length on the line.
    pub length: usize,
}

const MACS: [[u8; 6]; 6] = [
    [2, 0, 0, 0, 0, 1],
    [2, 0, 0, 0, 0, 2],
    [0xff; 6],
    [1, 0, 0x5e, 0, 0, 0xfb],
    [0x33, 0x33, 0, 0, 0, 1],
    [2, 0, 0, 0, 0xff, 0xff],
];

const HOSTS: [[u8; 4]; 10] = [
    [192, 168, 100, 1],
    [192, 168, 100, 2],
    [192, 168, 7, 9],
    [10, 0, 0, 1],
    [10, 200, 3, 4],
    [172, 16, 5, 4],
    [224, 0, 0, 251],
    [255, 255, 255, 255],
    [0, 0, 0, 0],
    [1, 2, 3, 4],
];

const HOSTS6: [&str; 6] =
    ["fe80::1", "2001:db8::1", "2001:db8:0:1::2", "ff02::fb", "::1", "2001:db8::2"];

const PORTS: [u16; 16] =
    [80, 443, 53, 123, 22, 21, 20, 69, 1883, 5683, 67, 68, 8080, 5353, 1000, 40000];

fn pick<T: Copy>(random: &mut ChaCha8Rng, from: &[T]) -> T {
    from[random.random_range(0..from.len())]
}

fn chance(random: &mut ChaCha8Rng, one_in: u32) -> bool {
    random.random_range(0..one_in) == 0
}

fn bytes(random: &mut ChaCha8Rng, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    random.fill_bytes(&mut bytes);
    bytes
}

fn some_bytes(random: &mut ChaCha8Rng, most: usize) -> Vec<u8> {
    let count = random.random_range(0..=most);
    bytes(random, count)
}

fn ports(random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut port = || if chance(random, 4) { random.random() } else { pick(random, &PORTS) };
    [port(), port()].map(u16::to_be_bytes).concat()
}

/// A transport's protocol number and bytes.
fn transport(random: &mut ChaCha8Rng, six: bool) -> (u8, Vec<u8>) {
    let number = pick(random, &[6u8, 6, 6, 17, 17, 17, 132, 1, 1, 58, 58, 2, 50, 51, 47, 103, 112]);
    let body = match number {
        6 => {
            let mut segment = [ports(random), bytes(random, 16)].concat();
            segment[12] = random.random_range(5..=15) << 4;
            segment[13] = pick(random, &[0x02, 0x12, 0x10, 0x18, 0x11, 0x04, 0x14, 0xc2]);
            segment
        }
        17 => [ports(random), bytes(random, 4)].concat(),
        132 => [ports(random), bytes(random, 8)].concat(),
        1 if !six || chance(random, 2) => {
            [vec![pick(random, &[0, 8, 3, 11, 5, 17]), random.random_range(0..5)], bytes(random, 6)]
                .concat()
        }
        58 => [
            vec![pick(random, &[128, 129, 135, 136, 133, 1]), random.random_range(0..3)],
            bytes(random, 6),
        ]
        .concat(),
        _ => bytes(random, 8),
    };
    (number, [body, some_bytes(random, 24)].concat())
}

fn ipv4(random: &mut ChaCha8Rng) -> Vec<u8> {
    let (number, body) = transport(random, false);
    let options = if chance(random, 4) { random.random_range(0..=10) } else { 0 };
    let total = (20 + 4 * options + body.len()) as u16;
    let mut header = vec![0x45 + options as u8, random.random()];
    header.extend(total.to_be_bytes());
    header.extend(bytes(random, 2));
    let fragment: u16 = match random.random_range(0..8) {
        0 => 0x2000,
        1 => random.random_range(1..0x2000),
        2 => 0x2000 | random.random_range(1..0x2000),
        3 | 4 => 0x4000,
        _ => 0,
    };
    header.extend(fragment.to_be_bytes());
    header.extend([pick(random, &[1, 4, 64, 128, 255]), number]);
    header.extend(bytes(random, 2));
    header.extend(pick(random, &HOSTS));
    header.extend(pick(random, &HOSTS));
    header.extend(bytes(random, 4 * options));
    if chance(random, 20) {
        header[0] = random.random(); // any version, any length
    }
    [header, body].concat()
}

fn ipv6(random: &mut ChaCha8Rng) -> Vec<u8> {
    let (mut next, mut body) = transport(random, true);
    for _ in 0..random.random_range(0..3u32) {
        if chance(random, 2) {
            continue;
        }
        let kind = pick(random, &[0u8, 43, 44, 60]);
        let mut extension = vec![next, 0];
        extension.extend(bytes(random, 6));
        if kind == 44 && chance(random, 2) {
            extension[2..4].fill(0); // the first fragment
        }
        body = [extension, body].concat();
        next = kind;
    }
    let mut packet = vec![0x60 | random.random_range(0..16), random.random(), 0, 0];
    packet.extend((body.len() as u16).to_be_bytes());
    packet.extend([next, pick(random, &[1, 64, 255])]);
    for _ in 0..2 {
        let host: std::net::Ipv6Addr = pick(random, &HOSTS6).parse().expect("an address");
        packet.extend(host.octets());
    }
    [packet, body].concat()
}

fn arp(random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut message = vec![0, 1, 8, 0, 6, 4, 0, random.random_range(1..5)];
    for _ in 0..2 {
        message.extend(pick(random, &MACS));
        message.extend(pick(random, &HOSTS));
    }
    [message, some_bytes(random, 18)].concat()
}

/// A packet behind its EtherType.
fn packet(random: &mut ChaCha8Rng) -> Vec<u8> {
    let (kind, body): (u16, Vec<u8>) = match random.random_range(0..16) {
        0..=6 => (0x0800, ipv4(random)),
        7..=10 => (0x86dd, ipv6(random)),
        11 => (0x0806, arp(random)),
        12 => (0x8035, arp(random)),
        13 => {
            let known = [0x6003, 0x8137, 0x809b, 0x80f3, 0x88cc, 0x8847, 0x6001, 0x6004];
            (pick(random, &known), some_bytes(random, 40))
        }
        14 => {
            let heads: [&[u8]; 8] = [
                &[0x42, 0x42, 3],
                &[0xe0, 0xe0, 3],
                &[0xff, 0xff],
                &[0xf0, 0xf0],
                &[0xfe, 0xfe, 3],
                &[0xaa, 0xaa, 3, 0, 0, 0, 0x81, 0x37],
                &[0xaa, 0xaa, 3, 8, 0, 7, 0x80, 0x9b],
                &[0xaa, 0xaa, 3, 0, 0, 0, 0x80, 0xf3],
            ];
            let body = [pick(random, &heads).to_vec(), some_bytes(random, 20)].concat();
            (body.len() as u16, body)
        }
        _ => (random.random(), some_bytes(random, 60)),
    };
    [kind.to_be_bytes().to_vec(), body].concat()
}

fn whole(random: &mut ChaCha8Rng) -> Vec<u8> {
    if chance(random, 30) {
        return some_bytes(random, 80);
    }
    let mut frame = [pick(random, &MACS), pick(random, &MACS)].concat();
    let tags = if chance(random, 6) { random.random_range(1..=2) } else { 0 };
    for _ in 0..tags {
        frame.extend(u16::to_be_bytes(pick(random, &[0x8100, 0x8100, 0x88a8, 0x9100])));
        let id: u16 = pick(random, &[0, 1, 5, 100, 4095]);
        frame.extend(u16::to_be_bytes(id | random.random_range(0..8u16) << 13));
    }
    frame.extend(packet(random));
    if frame.len() < 60 && chance(random, 3) {
        frame.resize(60, 0);
    }
    if chance(random, 200) {
        frame.extend(some_bytes(random, 1400));
    }
    frame
}

/// `count` frames of a seed.
pub fn frames(seed: u64, count: usize) -> Vec<Frame> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut frames = Vec::with_capacity(count);
    while frames.len() < count {
        let bytes = whole(&mut random);
        let length = bytes.len();
        if chance(&mut random, 300) {
            // One frame, cut after every byte; at times it was as short on the line.
            let as_short = chance(&mut random, 2);
            let cuts = (0..length).map(|n| Frame {
                bytes: bytes[..n].to_vec(),
                length: if as_short { n } else { length },
            });
            frames.extend(cuts);
        } else {
            frames.push(Frame { bytes, length });
        }
    }
    frames.truncate(count);
    frames
}

/// The packets of `frames` as another kind of link carries them.
pub fn relinked(frames: Vec<Frame>, link: LinkType) -> Vec<Frame> {
    let moved = frames.into_iter().filter_map(|frame| {
        let kind: [u8; 2] = frame.bytes.get(12..14)?.try_into().ok()?;
        let family: u32 = match kind {
            [0x08, 0x00] => 2,
            [0x86, 0xdd] => 30,
            _ => 7,
        };
        let head = match link {
            LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 => Vec::new(),
            LinkType::NULL => family.to_le_bytes().to_vec(),
            LinkType::LOOP => family.to_be_bytes().to_vec(),
            LinkType::LINUX_SLL => [&[0; 14][..], &kind].concat(),
            _ => [&kind[..], &[0; 18]].concat(),
        };
        let length = frame.length - 14 + head.len();
        Some(Frame { bytes: [&head, &frame.bytes[14..]].concat(), length })
    });
    moved.collect()
}

/// The same frames as a capture file, numbered by their timestamps in microseconds.
pub fn pcap(frames: &[Frame], link: LinkType) -> Vec<u8> {
    let mut file = Vec::new();
    let word = |file: &mut Vec<u8>, number: usize| {
        file.extend((number as u32).to_le_bytes());
    };
    for number in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, usize::from(link.0)] {
        word(&mut file, number);
    }
    for (n, frame) in frames.iter().enumerate() {
        for number in [n / 1_000_000, n % 1_000_000, frame.bytes.len(), frame.length] {
            word(&mut file, number);
        }
        file.extend(&frame.bytes);
    }
    file
}
