//! What tests send: right in every field that they do not change.

use std::net::Ipv4Addr;
use std::ops::Range;

use super::seen::Seen;
use crate::craft::layers::{Arp, Checksum, Ethernet, Icmp, Ipv4, Tcp, Udp};
use crate::proto::{MacAddr, arp, icmp};

/// An echo request with all its layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Echo {
    /// Ethernet.
    pub eth: Ethernet,
    /// IPv4.
    pub ip: Ipv4,
    /// ICMP; `rest` holds identifier and sequence number.
    pub icmp: Icmp,
    /// Bytes behind the IPv4 packet.
    pub padding: Vec<u8>,
}

/// Bytes of the headers in front of an echo request's data.
pub const ECHO_HEADERS: usize = 42;

impl Echo {
    /// The frame.
    pub fn frame(&self) -> Vec<u8> {
        let mut frame = self.eth.frame(&self.ip.packet(&self.icmp.message()));
        frame.extend_from_slice(&self.padding);
        frame
    }

    /// Those bytes of its ICMP message alone, as a fragment of its packet; they begin at a multiple of 8.
    pub fn fragment(&self, part: Range<usize>) -> Vec<u8> {
        self.part(part, &self.icmp.message())
    }

    /// The same with the bytes of another message in the place of its own.
    pub fn part(&self, part: Range<usize>, message: &[u8]) -> Vec<u8> {
        let more = part.end < message.len();
        let ip = Ipv4 { flags: u8::from(more), offset: (part.start / 8) as u16, ..self.ip.clone() };
        self.eth.frame(&ip.packet(message.get(part).unwrap_or_default()))
    }

    /// Its ICMP message in two parts, of which the first has about two thirds.
    pub fn halves(&self) -> [Range<usize>; 2] {
        let length = self.icmp.message().len();
        let cut = (length * 2 / 3 / 8 * 8).max(8);
        [0..cut, cut..length]
    }

    /// Whether `seen` is a reply to it, right or not: identifier and sequence number decide, also
    /// with the identifier's bytes swapped.
    pub fn is_answered_by(&self, seen: &Seen) -> bool {
        let [a, b, c, d] = self.icmp.rest;
        seen.icmp().is_some_and(|reply| {
            reply.kind == icmp::ECHO_REPLY && [[a, b, c, d], [b, a, c, d]].contains(&reply.rest)
        })
    }

    /// The same with other Ethernet addresses or type.
    #[must_use]
    pub fn eth(mut self, change: impl FnOnce(&mut Ethernet)) -> Self {
        change(&mut self.eth);
        self
    }

    /// The same with another IPv4 header.
    #[must_use]
    pub fn ip(mut self, change: impl FnOnce(&mut Ipv4)) -> Self {
        change(&mut self.ip);
        self
    }

    /// The same with another ICMP message.
    #[must_use]
    pub fn icmp(mut self, change: impl FnOnce(&mut Icmp)) -> Self {
        change(&mut self.icmp);
        self
    }

    /// The same with this data.
    #[must_use]
    pub fn data(mut self, data: Vec<u8>) -> Self {
        self.icmp.data = data;
        self
    }
}

/// A UDP datagram with all its layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Ethernet.
    pub eth: Ethernet,
    /// IPv4.
    pub ip: Ipv4,
    /// UDP.
    pub udp: Udp,
    /// The data.
    pub data: Vec<u8>,
}

impl Datagram {
    /// The IPv4 packet.
    pub fn packet(&self) -> Vec<u8> {
        self.ip.packet(&self.udp.datagram(self.ip.source, self.ip.destination, &self.data))
    }

    /// The frame.
    pub fn frame(&self) -> Vec<u8> {
        self.eth.frame(&self.packet())
    }
}

impl Datagram {
    /// Whether `seen` goes the other way between the same ports.
    pub fn is_answered_by(&self, seen: &Seen) -> bool {
        seen.udp().is_some_and(|udp| {
            (udp.source, udp.destination) == (self.udp.destination, self.udp.source)
        })
    }

    /// Whether `seen` does, with the same data.
    pub fn is_sent_back_by(&self, seen: &Seen) -> bool {
        self.is_answered_by(seen) && seen.udp().is_some_and(|udp| udp.data == self.data)
    }
}

/// A TCP segment with all its layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Ethernet.
    pub eth: Ethernet,
    /// IPv4.
    pub ip: Ipv4,
    /// TCP.
    pub tcp: Tcp,
    /// The data.
    pub data: Vec<u8>,
}

impl Segment {
    /// The IPv4 packet.
    pub fn packet(&self) -> Vec<u8> {
        self.ip.packet(&self.tcp.segment(self.ip.source, self.ip.destination, &self.data))
    }

    /// The frame.
    pub fn frame(&self) -> Vec<u8> {
        self.eth.frame(&self.packet())
    }

    /// The same with another TCP header.
    #[must_use]
    pub fn tcp(mut self, change: impl FnOnce(&mut Tcp)) -> Self {
        change(&mut self.tcp);
        self
    }

    /// The same with another IPv4 header.
    #[must_use]
    pub fn ip(mut self, change: impl FnOnce(&mut Ipv4)) -> Self {
        change(&mut self.ip);
        self
    }

    /// The same with this data.
    #[must_use]
    pub fn data(mut self, data: &[u8]) -> Self {
        self.data = data.to_vec();
        self
    }

    /// Whether `seen` goes the other way between the same ports.
    pub fn is_answered_by(&self, seen: &Seen) -> bool {
        seen.tcp().is_some_and(|tcp| {
            (tcp.source, tcp.destination) == (self.tcp.destination, self.tcp.source)
        })
    }
}

/// An ARP message in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArpFrame {
    /// Ethernet.
    pub eth: Ethernet,
    /// The message.
    pub arp: Arp,
}

impl ArpFrame {
    /// A question from `sha` and `spa` for `tpa`, to everybody.
    pub fn request(sha: MacAddr, spa: Ipv4Addr, tpa: Ipv4Addr) -> Self {
        ArpFrame {
            eth: Ethernet { destination: MacAddr::broadcast(), source: sha, kind: 0x0806 },
            arp: Arp {
                hardware: 1,
                protocol: 0x0800,
                hardware_length: 6,
                protocol_length: 4,
                op: arp::REQUEST,
                sha,
                spa,
                tha: MacAddr::zero(),
                tpa,
            },
        }
    }

    /// An answer from `sha` and `spa` to `tha` and `tpa`.
    pub fn reply(sha: MacAddr, spa: Ipv4Addr, tha: MacAddr, tpa: Ipv4Addr) -> Self {
        let mut frame = ArpFrame::request(sha, spa, tpa);
        frame.eth.destination = tha;
        frame.arp.op = arp::REPLY;
        frame.arp.tha = tha;
        frame
    }

    /// The same with something changed in the message.
    #[must_use]
    pub fn arp(mut self, change: impl FnOnce(&mut Arp)) -> Self {
        change(&mut self.arp);
        self
    }

    /// The same to another station.
    #[must_use]
    pub fn to(mut self, destination: MacAddr) -> Self {
        self.eth.destination = destination;
        self
    }

    /// The frame.
    pub fn frame(&self) -> Vec<u8> {
        self.eth.frame(&self.arp.message())
    }
}

/// An ICMP message with all its layers.
pub fn icmp_frame(
    eth: Ethernet,
    ip: &Ipv4,
    kind: u8,
    code: u8,
    rest: [u8; 4],
    data: &[u8],
) -> Vec<u8> {
    let message = Icmp { kind, code, checksum: Checksum::Right, rest, data: data.to_vec() };
    eth.frame(&ip.packet(&message.message()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn fragments_are_parts_of_one_message() {
        let (mac, ip) = (MacAddr::zero(), Ipv4Addr::LOCALHOST);
        let eth = Ethernet { destination: mac, source: mac, kind: 0x0800 };
        let data = (0..64).collect();
        let icmp = Icmp { kind: 8, code: 0, checksum: Checksum::Right, rest: [0; 4], data };
        let echo = Echo { eth, ip: Ipv4 { id: 7, ..Ipv4::new(ip, ip, 1) }, icmp, padding: vec![] };
        let message = echo.icmp.message();
        assert_eq!(echo.halves(), [0..48, 48..72]);
        for (part, flags) in echo.halves().into_iter().zip([1, 0]) {
            let bytes = echo.fragment(part.clone()).into();
            let seen = Seen { time: Timestamp(0), bytes };
            let ip = seen.ip().expect("IPv4");
            assert_eq!((ip.id, ip.flags, ip.offset), (7, flags, part.start));
            assert_eq!(ip.payload, &message[part]);
        }
    }
}
