//! Mixed Ethernet frames from a seed: what a busy line carries, for benchmarks.
//!
//! 57 % TCP with HTTP in it, 18 % ICMP, 16 % UDP, 8 % ARP, 1 % other; 44 % under 80 bytes, 29 % of full
//! size, 530 bytes on average. Checksums are right, sequence numbers go on, and requests have replies.

use rand::RngExt;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use uarttool::checksum::{Sum, internet};

/// Connections at the same time.
const FLOWS: usize = 64;
const HTTP_REQUEST: &[u8] = b"GET /sensors/temperature?unit=C HTTP/1.1\r\nHost: 192.168.100.2\r\n\
    User-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n";
const HTTP_REPLY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
    Content-Length: 27\r\n\r\n{\"temperature\": 21.5, \"n\": 1}";

/// Makes frames, the same ones for the same seed.
pub struct Traffic {
    rng: ChaCha8Rng,
    /// Next sequence numbers of both ends of each connection.
    flows: [[u32; 2]; FLOWS],
    echo: u16,
}

impl Traffic {
    pub fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let flows = std::array::from_fn(|_| [rng.random(), rng.random()]);
        Traffic { rng, flows, echo: 0 }
    }

    /// Replaces `frame` by the next one.
    pub fn next(&mut self, frame: &mut Vec<u8>) {
        frame.clear();
        match self.rng.random_range(0..100) {
            0..28 => self.tcp(frame, Size::Empty),
            28..50 => self.tcp(frame, Size::Full),
            50..57 => self.tcp(frame, Size::Middle),
            57..62 => self.icmp(frame, 28),
            62..72 => self.icmp(frame, 56),
            72..75 => self.icmp(frame, 1472),
            75..78 => self.udp(frame, 24),
            78..87 => self.udp(frame, 400),
            87..91 => self.udp(frame, 1472),
            91..99 => self.arp(frame),
            _ => self.other(frame),
        }
    }

    fn ethernet(&mut self, frame: &mut Vec<u8>, from_device: bool, kind: u16) {
        let (host, device) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let (source, destination) = if from_device { (device, host) } else { (host, device) };
        frame.extend(destination);
        frame.extend(source);
        frame.extend(kind.to_be_bytes());
    }

    fn ipv4(&mut self, frame: &mut Vec<u8>, from_device: bool, protocol: u8, payload: &[u8]) {
        self.ethernet(frame, from_device, 0x0800);
        let (a, b) = addresses(from_device);
        let mut header = [0; 20];
        header[0] = 0x45;
        header[2..4].copy_from_slice(&(20 + payload.len() as u16).to_be_bytes());
        header[4..6].copy_from_slice(&self.rng.random::<u16>().to_be_bytes());
        (header[6], header[8], header[9]) = (0x40, 64, protocol);
        header[12..16].copy_from_slice(&a);
        header[16..20].copy_from_slice(&b);
        let sum = internet(&header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        frame.extend(header);
        frame.extend(payload);
    }

    fn tcp(&mut self, frame: &mut Vec<u8>, size: Size) {
        let flow = self.rng.random_range(0..FLOWS);
        let from_device: bool = self.rng.random();
        let (own, other) = (usize::from(from_device), usize::from(!from_device));
        let mut segment = vec![0; 32];
        let (client, server) = (40000 + flow as u16, 80u16);
        let (source, destination) = if from_device { (server, client) } else { (client, server) };
        segment[..2].copy_from_slice(&source.to_be_bytes());
        segment[2..4].copy_from_slice(&destination.to_be_bytes());
        segment[4..8].copy_from_slice(&self.flows[flow][own].to_be_bytes());
        segment[8..12].copy_from_slice(&self.flows[flow][other].to_be_bytes());
        segment[12] = 0x80;
        segment[13] = if size == Size::Empty { 0x10 } else { 0x18 };
        segment[14..16].copy_from_slice(&5744u16.to_be_bytes());
        segment[20..24].copy_from_slice(&[1, 1, 8, 10]);
        let time: u64 = self.rng.random();
        segment[24..32].copy_from_slice(&time.to_be_bytes());
        match size {
            Size::Empty => {}
            Size::Middle if from_device => segment.extend(HTTP_REPLY),
            Size::Middle => segment.extend(HTTP_REQUEST),
            Size::Full => self.fill(&mut segment, 1448),
        }
        let data = segment.len() as u32 - 32;
        self.flows[flow][own] = self.flows[flow][own].wrapping_add(data);
        let (a, b) = addresses(from_device);
        let sum = Sum::pseudo(a.into(), b.into(), 6, segment.len()).plus(&segment).finish();
        segment[16..18].copy_from_slice(&sum.to_be_bytes());
        self.ipv4(frame, from_device, 6, &segment);
    }

    fn icmp(&mut self, frame: &mut Vec<u8>, size: usize) {
        let is_reply = self.echo % 2 == 1;
        let mut message = vec![if is_reply { 0 } else { 8 }, 0, 0, 0, 0, 7];
        message.extend((self.echo / 2).to_be_bytes());
        message.extend((0..size).map(|n| n as u8));
        self.echo = self.echo.wrapping_add(1);
        let sum = internet(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        self.ipv4(frame, is_reply, 1, &message);
    }

    fn udp(&mut self, frame: &mut Vec<u8>, size: usize) {
        let from_device = self.rng.random();
        let mut datagram = vec![0; 8];
        let (source, destination) = (self.rng.random_range(49152..=65535u16), 5000u16);
        datagram[..2].copy_from_slice(&source.to_be_bytes());
        datagram[2..4].copy_from_slice(&destination.to_be_bytes());
        datagram[4..6].copy_from_slice(&(8 + size as u16).to_be_bytes());
        self.fill(&mut datagram, size);
        let (a, b) = addresses(from_device);
        let sum = Sum::pseudo(a.into(), b.into(), 17, datagram.len()).plus(&datagram).finish();
        datagram[6..8].copy_from_slice(&sum.to_be_bytes());
        self.ipv4(frame, from_device, 17, &datagram);
    }

    fn arp(&mut self, frame: &mut Vec<u8>) {
        let is_reply = self.rng.random();
        self.ethernet(frame, is_reply, 0x0806);
        frame.extend([0, 1, 8, 0, 6, 4, 0, if is_reply { 2 } else { 1 }]);
        let (a, b) = addresses(is_reply);
        frame.extend([2, 0, 0, 0, 0, if is_reply { 2 } else { 1 }]);
        frame.extend(a);
        frame.extend([0; 6]);
        frame.extend(b);
        frame.resize(60, 0);
    }

    fn other(&mut self, frame: &mut Vec<u8>) {
        self.ethernet(frame, true, 0x88b5);
        self.fill(frame, 200);
    }

    fn fill(&mut self, bytes: &mut Vec<u8>, n: usize) {
        let start = bytes.len();
        bytes.resize(start + n, 0);
        self.rng.fill(&mut bytes[start..]);
    }
}

/// How much data a segment carries.
#[derive(Clone, Copy, PartialEq)]
enum Size {
    Empty,
    Middle,
    Full,
}

fn addresses(from_device: bool) -> ([u8; 4], [u8; 4]) {
    let (host, device) = ([192, 168, 100, 1], [192, 168, 100, 2]);
    if from_device { (device, host) } else { (host, device) }
}
