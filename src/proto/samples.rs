//! Frames that several tests use, byte by byte, and what puts frames around a payload.

use std::net::Ipv4Addr;

use crate::checksum::{self, Sum};

const HOST: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 1);
const DEVICE: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 2);

/// The documented 98-byte echo request from 192.168.100.1 to 192.168.100.2.
pub fn echo_request() -> Vec<u8> {
    let mut frame = vec![
        2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00, // Ethernet
        0x45, 0, 0, 84, 0, 1, 0x40, 0, 64, 1, 0xf1, 0x53, // IPv4
        192, 168, 100, 1, 192, 168, 100, 2, //
        8, 0, 0x00, 0xe5, 0, 7, 0, 1, // ICMP
    ];
    frame.extend((0..56).map(|n| n as u8));
    frame
}

/// A SYN to port 80 with an MSS of 1460.
pub fn syn() -> Vec<u8> {
    vec![
        2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00, // Ethernet
        0x45, 0, 0, 44, 0, 2, 0, 0, 64, 6, 0x31, 0x76, // IPv4
        192, 168, 100, 1, 192, 168, 100, 2, //
        0x9c, 0x40, 0, 80, 0, 0, 3, 0xe8, 0, 0, 0, 0, 0x60, 0x02, 0x10, 0, 0x9e, 0x59, 0, 0, 2, 4,
        5, 0xb4,
    ]
}

/// A datagram of five bytes from port 7 to port 40000.
pub fn datagram() -> Vec<u8> {
    vec![
        2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00, // Ethernet
        0x45, 0, 0, 33, 0, 3, 0, 0, 255, 17, 0x72, 0x74, // IPv4
        192, 168, 100, 2, 192, 168, 100, 1, //
        0, 7, 0x9c, 0x40, 0, 13, 0xd6, 0x65, b'h', b'e', b'l', b'l', b'o',
    ]
}

/// The device asks who has 192.168.100.1.
pub fn arp_request() -> Vec<u8> {
    vec![
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 2, 0x08, 0x06, // Ethernet
        0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 2, 192, 168, 100, 2, //
        0, 0, 0, 0, 0, 0, 192, 168, 100, 1,
    ]
}

/// An Ethernet frame of that type.
pub fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    let addresses = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    [&addresses[..], &kind.to_be_bytes(), payload].concat()
}

/// An 802.3 frame with the right length field.
pub fn ieee_802_3(payload: &[u8]) -> Vec<u8> {
    ethernet(payload.len() as u16, payload)
}

/// A datagram from 192.168.100.2 to 192.168.100.1.
pub fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_between(DEVICE, HOST, protocol, payload)
}

/// A datagram between any two addresses.
pub fn ipv4_between(
    source: Ipv4Addr,
    destination: Ipv4Addr,
    protocol: u8,
    payload: &[u8],
) -> Vec<u8> {
    let total = (20 + payload.len() as u16).to_be_bytes();
    let mut header = [0x45, 0, total[0], total[1], 0, 1, 0, 0, 64, protocol, 0, 0].to_vec();
    header.extend(source.octets());
    header.extend(destination.octets());
    let checksum = checksum::internet(&header).to_be_bytes();
    header[10..12].copy_from_slice(&checksum);
    [&header[..], payload].concat()
}

/// A packet from fe80::2 to fe80::1 with hop limit 255.
pub fn ipv6(next_header: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u16).to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, length[0], length[1], next_header, 255];
    for last in [2, 1] {
        packet.extend([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    packet.extend(payload);
    packet
}

/// `message` with the right Internet checksum at byte 2.
pub fn summed(message: &[u8]) -> Vec<u8> {
    let mut message = message.to_vec();
    message[2..4].fill(0);
    let checksum = checksum::internet(&message).to_be_bytes();
    message[2..4].copy_from_slice(&checksum);
    message
}

/// What carries a payload.
#[derive(Clone, Copy, Debug)]
pub enum Over {
    /// UDP from the first port to the second.
    Udp(u16, u16),
    /// TCP from the first port to the second.
    Tcp(u16, u16),
}

/// A frame with `payload`, from the device if the source port is the lower one.
pub fn frame(over: Over, payload: &[u8]) -> Vec<u8> {
    let (number, (from, to)) = match over {
        Over::Udp(from, to) => (17, (from, to)),
        Over::Tcp(from, to) => (6, (from, to)),
    };
    let (source, destination) = if from < to { (DEVICE, HOST) } else { (HOST, DEVICE) };
    let mut segment = [from.to_be_bytes(), to.to_be_bytes()].concat();
    let sum_at = match over {
        Over::Udp(..) => {
            segment.extend(((8 + payload.len()) as u16).to_be_bytes());
            segment.extend([0, 0]);
            6
        }
        Over::Tcp(..) => {
            segment.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 0x10, 0, 0, 0, 0, 0]);
            16
        }
    };
    segment.extend(payload);
    let sum = Sum::pseudo(source, destination, number, segment.len()).plus(&segment).finish();
    segment[sum_at..sum_at + 2].copy_from_slice(&sum.to_be_bytes());
    ethernet(0x0800, &ipv4_between(source, destination, number, &segment))
}

/// The bytes that hex text stands for.
pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let number = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks(2).map(|pair| number(pair).expect("hex")).collect()
}
