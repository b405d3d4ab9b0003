//! Frames by chance, well-formed as far as they are not damaged on purpose.

pub mod coap;
pub mod control;
pub mod crafted;
pub mod dhcp;
pub mod dns;
pub mod http;
pub mod link;
pub mod mqtt;
pub mod network;
pub mod small;
pub mod tls;
pub mod transport;

use std::net::{Ipv4Addr, Ipv6Addr};

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uarttool::checksum::{self, Sum};
use uarttool::record::LinkType;

/// A frame, whole or damaged.
pub struct Frame {
    /// What the capture has of it.
    pub bytes: Vec<u8>,
    /// Its length on the line.
    pub length: usize,
    /// Nothing is wrong with it, but perhaps a checksum.
    pub is_whole: bool,
}

/// Makes one whole frame.
pub type Make = fn(&mut Maker) -> Vec<u8>;

/// `count` frames by `make`, every fifth of them damaged.
pub fn made(make: Make, count: usize) -> Vec<Frame> {
    let mut maker = Maker { random: ChaCha8Rng::seed_from_u64(1), n: 0 };
    let mut frames = Vec::with_capacity(count);
    for _ in 0..count {
        maker.n += 1;
        let bytes = make(&mut maker);
        let frame = Frame { length: bytes.len(), bytes, is_whole: true };
        frames.push(if maker.chance(5) { damaged(frame, &mut maker) } else { frame });
    }
    frames
}

/// `frame` with some bytes changed, or without its end.
fn damaged(mut frame: Frame, maker: &mut Maker) -> Frame {
    frame.is_whole = false;
    match maker.below(4) {
        0 => {
            let left = maker.below(frame.bytes.len() as u64 + 1) as usize;
            frame.bytes.truncate(left);
        }
        1 => {
            let left = maker.below(frame.bytes.len() as u64 + 1) as usize;
            frame.bytes.truncate(left);
            frame.length = left;
        }
        _ => {
            for _ in 0..=maker.below(4) {
                let at = maker.below(frame.bytes.len() as u64) as usize;
                frame.bytes[at] = maker.byte();
            }
        }
    }
    frame
}

/// Frames as a capture file, a millisecond apart.
pub fn pcap(frames: &[Frame], link: LinkType) -> Vec<u8> {
    let mut file = Vec::new();
    let word = |file: &mut Vec<u8>, number: usize| file.extend((number as u32).to_le_bytes());
    for number in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, usize::from(link.0)] {
        word(&mut file, number);
    }
    for (n, frame) in frames.iter().enumerate() {
        for number in [n / 1000, n % 1000 * 1000, frame.bytes.len(), frame.length] {
            word(&mut file, number);
        }
        file.extend(&frame.bytes);
    }
    file
}

/// Who a packet is from and to.
#[derive(Clone, Copy)]
pub enum Ends {
    /// By IPv4.
    V4(Ipv4Addr, Ipv4Addr),
    /// By IPv6.
    V6(Ipv6Addr, Ipv6Addr),
}

/// Makes frames, each of its own connection.
pub struct Maker {
    random: ChaCha8Rng,
    n: u32,
}

impl Maker {
    pub fn byte(&mut self) -> u8 {
        self.random.random()
    }

    pub fn word(&mut self) -> u16 {
        self.random.random()
    }

    pub fn long(&mut self) -> u32 {
        self.random.random()
    }

    /// Less than `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.random.random_range(0..limit)
    }

    pub fn chance(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.random.fill_bytes(&mut bytes);
        bytes
    }

    /// At least `least` and at most `most` bytes.
    pub fn some(&mut self, least: usize, most: usize) -> Vec<u8> {
        let count = least + self.below((most - least + 1) as u64) as usize;
        self.bytes(count)
    }

    /// At least `least` and at most `most` letters and digits.
    pub fn letters(&mut self, least: usize, most: usize) -> Vec<u8> {
        const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789-";
        let count = least + self.below((most - least + 1) as u64) as usize;
        (0..count).map(|_| self.pick(LETTERS)).collect()
    }

    pub fn mac(&mut self) -> [u8; 6] {
        let last = self.byte();
        self.pick(&[
            [2, 0, 0, 0, 0, last],
            [0xff; 6],
            [1, 0, 0x5e, 0, 0, last],
            [0x33, 0x33, 0, 0, 0, 1],
        ])
    }

    pub fn host(&mut self) -> Ipv4Addr {
        Ipv4Addr::from(0xc0a8_6400 | self.long() & 0xff)
    }

    pub fn host6(&mut self) -> Ipv6Addr {
        let last = u128::from(self.long());
        let network =
            self.pick(&[0xfe80_0000_0000_0000u128, 0x2001_0db8_0000_0000, 0xff02_0000_0000_0000]);
        Ipv6Addr::from(network << 64 | last)
    }

    /// Ends that no other frame has.
    pub fn ends(&mut self) -> Ends {
        if self.chance(3) {
            let from = Ipv6Addr::from(0x2001_0db8u128 << 96 | u128::from(self.n));
            Ends::V6(from, Ipv6Addr::from(0x2001_0db8u128 << 96 | 1 << 64))
        } else {
            Ends::V4(Ipv4Addr::from(0x0a00_0000 + self.n), Ipv4Addr::new(192, 168, 100, 2))
        }
    }

    /// A frame of that type around `payload`; sometimes padded as the standard wants it.
    pub fn ethernet(&mut self, kind: u16, payload: &[u8]) -> Vec<u8> {
        let frame = [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], &kind.to_be_bytes()[..], payload];
        let mut frame = frame.concat();
        if frame.len() < 60 && self.chance(2) {
            frame.resize(60, 0);
        }
        frame
    }

    /// An IPv4 packet without options.
    pub fn ipv4(
        &mut self,
        source: Ipv4Addr,
        destination: Ipv4Addr,
        protocol: u8,
        payload: &[u8],
    ) -> Vec<u8> {
        let total = ((20 + payload.len()) as u16).to_be_bytes();
        let id = self.word().to_be_bytes();
        let ttl = self.pick(&[1, 64, 128, 255]);
        let mut header =
            vec![0x45, 0, total[0], total[1], id[0], id[1], 0x40, 0, ttl, protocol, 0, 0];
        header.extend(source.octets());
        header.extend(destination.octets());
        let sum = checksum::internet(&header).to_be_bytes();
        header[10..12].copy_from_slice(&sum);
        [&header[..], payload].concat()
    }

    /// An IPv6 packet.
    pub fn ipv6(
        &mut self,
        source: Ipv6Addr,
        destination: Ipv6Addr,
        next: u8,
        limit: u8,
        payload: &[u8],
    ) -> Vec<u8> {
        let mut packet = (0x6000_0000 | self.long() & 0x0fff_ffff).to_be_bytes().to_vec();
        packet.extend((payload.len() as u16).to_be_bytes());
        packet.extend([next, limit]);
        packet.extend(source.octets());
        packet.extend(destination.octets());
        packet.extend(payload);
        packet
    }

    /// A frame with `segment` between `ends`, whose checksum at `sum_at` is made right, and now and
    /// then wrong.
    pub fn carry(
        &mut self,
        ends: Ends,
        protocol: u8,
        mut segment: Vec<u8>,
        sum_at: usize,
    ) -> Vec<u8> {
        self.sum(ends, protocol, &mut segment, sum_at);
        match ends {
            Ends::V4(source, destination) => {
                let packet = self.ipv4(source, destination, protocol, &segment);
                self.ethernet(0x0800, &packet)
            }
            Ends::V6(source, destination) => {
                let packet = self.ipv6(source, destination, protocol, 64, &segment);
                self.ethernet(0x86dd, &packet)
            }
        }
    }

    /// Writes the checksum of `segment`, and now and then a wrong one.
    pub fn sum(&mut self, ends: Ends, protocol: u8, segment: &mut [u8], sum_at: usize) {
        segment[sum_at..sum_at + 2].fill(0);
        let sum = match ends {
            Ends::V4(source, destination) => {
                Sum::pseudo(source, destination, protocol, segment.len())
            }
            Ends::V6(source, destination) => {
                Sum::pseudo_v6(source, destination, protocol, segment.len())
            }
        };
        let mut sum = sum.plus(segment).finish();
        if protocol == 17 && sum == 0 {
            sum = 0xffff;
        }
        if self.chance(20) {
            sum = sum.wrapping_add(1 + (self.word() & 0xff));
        }
        segment[sum_at..sum_at + 2].copy_from_slice(&sum.to_be_bytes());
    }

    /// `payload` in a datagram between these ports.
    pub fn udp(&mut self, from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
        let length = (8 + payload.len()) as u16;
        let head: Vec<u8> =
            [from, to, length, 0].iter().flat_map(|word| word.to_be_bytes()).collect();
        let ends = self.ends();
        self.carry(ends, 17, [&head, payload].concat(), 6)
    }

    /// `payload` in a segment between these ports.
    pub fn tcp(&mut self, from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
        let mut head: Vec<u8> = [from, to].iter().flat_map(|word| word.to_be_bytes()).collect();
        head.extend(self.bytes(8));
        head.extend([0x50, 0x18, 0x10, 0, 0, 0, 0, 0]);
        let ends = self.ends();
        self.carry(ends, 6, [&head, payload].concat(), 16)
    }

    /// A message between a client and the server at `port`, in either direction, by UDP.
    pub fn udp_with(&mut self, port: u16, is_answer: bool, payload: &[u8]) -> Vec<u8> {
        if is_answer { self.udp(port, 40_000, payload) } else { self.udp(40_000, port, payload) }
    }

    /// The same by TCP.
    pub fn tcp_with(&mut self, port: u16, is_answer: bool, payload: &[u8]) -> Vec<u8> {
        if is_answer { self.tcp(port, 40_000, payload) } else { self.tcp(40_000, port, payload) }
    }
}

/// `text` behind its length in so many bytes.
pub fn counted(width: usize, text: &[u8]) -> Vec<u8> {
    let length = (text.len() as u32).to_be_bytes();
    [&length[4 - width..], text].concat()
}
