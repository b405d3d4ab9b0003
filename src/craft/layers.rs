//! Layers whose every field is automatic or exact, so that a frame may lie in any of them.
//!
//! What is not said is right: lengths and checksums are computed from what is there. A field that is
//! set to a value goes out as that value, whatever the rest says.

use std::net::Ipv4Addr;

use crate::checksum::{self, Sum};
use crate::proto::MacAddr;

/// A checksum field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// What it should be.
    #[default]
    Right,
    /// The right one with some bits turned over.
    Wrong,
    /// This value.
    Exact(u16),
}

impl Checksum {
    fn value(self, right: u16) -> u16 {
        match self {
            Checksum::Right => right,
            Checksum::Wrong => right ^ 0x5a5a,
            Checksum::Exact(value) => value,
        }
    }
}

/// An Ethernet II header (IEEE 802.3 clause 3.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ethernet {
    /// Destination address.
    pub destination: MacAddr,
    /// Source address.
    pub source: MacAddr,
    /// EtherType, or the length of an 802.3 frame.
    pub kind: u16,
}

impl Ethernet {
    /// The frame with `payload`, without any padding.
    pub fn frame(&self, payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::with_capacity(14 + payload.len());
        frame.extend(self.destination.octets());
        frame.extend(self.source.octets());
        frame.extend(self.kind.to_be_bytes());
        frame.extend_from_slice(payload);
        frame
    }
}

/// An IPv4 header (RFC 791 section 3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ipv4 {
    /// Version; 4.
    pub version: u8,
    /// Header length in words of 4 bytes; `None` is what the options make it.
    pub ihl: Option<u8>,
    /// Type of service.
    pub tos: u8,
    /// Total length in bytes; `None` is the real one.
    pub total_length: Option<u16>,
    /// Identification.
    pub id: u16,
    /// The three flags: 4 reserved, 2 don't fragment, 1 more fragments.
    pub flags: u8,
    /// Fragment offset in units of 8 bytes.
    pub offset: u16,
    /// Time to live.
    pub ttl: u8,
    /// Protocol number.
    pub protocol: u8,
    /// Header checksum.
    pub checksum: Checksum,
    /// Source address.
    pub source: Ipv4Addr,
    /// Destination address.
    pub destination: Ipv4Addr,
    /// Options; padded with zeros to whole words.
    pub options: Vec<u8>,
}

impl Ipv4 {
    /// A plain header between two addresses: TTL 64, no flags.
    pub fn new(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8) -> Self {
        Ipv4 {
            version: 4,
            ihl: None,
            tos: 0,
            total_length: None,
            id: 0,
            flags: 0,
            offset: 0,
            ttl: 64,
            protocol,
            checksum: Checksum::Right,
            source,
            destination,
            options: Vec::new(),
        }
    }

    /// The packet with `payload`.
    pub fn packet(&self, payload: &[u8]) -> Vec<u8> {
        let options = self.options.len().div_ceil(4) * 4;
        let header = 20 + options;
        let ihl = self.ihl.unwrap_or((header / 4) as u8);
        let total = self.total_length.unwrap_or((header + payload.len()) as u16);
        let fragment = u16::from(self.flags & 7) << 13 | self.offset & 0x1fff;
        let mut packet = Vec::with_capacity(header + payload.len());
        packet.extend([self.version << 4 | ihl & 15, self.tos]);
        packet.extend(total.to_be_bytes());
        packet.extend(self.id.to_be_bytes());
        packet.extend(fragment.to_be_bytes());
        packet.extend([self.ttl, self.protocol, 0, 0]);
        packet.extend(self.source.octets());
        packet.extend(self.destination.octets());
        packet.extend_from_slice(&self.options);
        packet.resize(header, 0);
        // What the receiver takes for the header is what the checksum is over, as far as it is there.
        packet.extend_from_slice(payload);
        let covered = (usize::from(ihl & 15) * 4).min(packet.len());
        let sum = self.checksum.value(checksum::internet(&packet[..covered]));
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet
    }
}

/// An ICMP message (RFC 792): type, code, checksum, four bytes whose meaning depends on the type, data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// Checksum.
    pub checksum: Checksum,
    /// Identifier and sequence number, a gateway, or unused.
    pub rest: [u8; 4],
    /// Everything behind that.
    pub data: Vec<u8>,
}

impl Icmp {
    /// The message.
    pub fn message(&self) -> Vec<u8> {
        let mut message = vec![self.kind, self.code, 0, 0];
        message.extend(self.rest);
        message.extend_from_slice(&self.data);
        let sum = self.checksum.value(checksum::internet(&message));
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        message
    }
}

/// A UDP header (RFC 768).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Udp {
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
    /// Length of header and data; `None` is the real one.
    pub length: Option<u16>,
    /// Checksum.
    pub checksum: Checksum,
}

impl Udp {
    /// A datagram from port to port.
    pub const fn new(source: u16, destination: u16) -> Self {
        Udp { source, destination, length: None, checksum: Checksum::Right }
    }

    /// The datagram with `data` between these addresses.
    pub fn datagram(&self, source: Ipv4Addr, destination: Ipv4Addr, data: &[u8]) -> Vec<u8> {
        let length = self.length.unwrap_or((8 + data.len()) as u16);
        let mut datagram = Vec::with_capacity(8 + data.len());
        datagram.extend(self.source.to_be_bytes());
        datagram.extend(self.destination.to_be_bytes());
        datagram.extend(length.to_be_bytes());
        datagram.extend([0, 0]);
        datagram.extend_from_slice(data);
        let sum = Sum::pseudo(source, destination, 17, usize::from(length));
        let right = match sum.plus(&datagram).finish() {
            0 => 0xffff, // 0 says that there is none
            sum => sum,
        };
        datagram[6..8].copy_from_slice(&self.checksum.value(right).to_be_bytes());
        datagram
    }
}

/// A TCP header (RFC 9293 section 3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment number.
    pub ack: u32,
    /// Header length in words of 4 bytes; `None` is what the options make it.
    pub data_offset: Option<u8>,
    /// The four reserved bits.
    pub reserved: u8,
    /// The eight flags, as in [`crate::proto::tcp`].
    pub flags: u8,
    /// Window.
    pub window: u16,
    /// Checksum.
    pub checksum: Checksum,
    /// Urgent pointer.
    pub urgent: u16,
    /// Options; padded with zeros to whole words.
    pub options: Vec<u8>,
}

impl Tcp {
    /// A plain header from port to port, without flags.
    pub const fn new(source: u16, destination: u16) -> Self {
        Tcp {
            source,
            destination,
            seq: 0,
            ack: 0,
            data_offset: None,
            reserved: 0,
            flags: 0,
            window: 0,
            checksum: Checksum::Right,
            urgent: 0,
            options: Vec::new(),
        }
    }

    /// The segment with `data` between these addresses.
    pub fn segment(&self, source: Ipv4Addr, destination: Ipv4Addr, data: &[u8]) -> Vec<u8> {
        let header = 20 + self.options.len().div_ceil(4) * 4;
        let offset = self.data_offset.unwrap_or((header / 4) as u8);
        let mut segment = Vec::with_capacity(header + data.len());
        segment.extend(self.source.to_be_bytes());
        segment.extend(self.destination.to_be_bytes());
        segment.extend(self.seq.to_be_bytes());
        segment.extend(self.ack.to_be_bytes());
        segment.extend([offset << 4 | self.reserved & 15, self.flags]);
        segment.extend(self.window.to_be_bytes());
        segment.extend([0, 0]);
        segment.extend(self.urgent.to_be_bytes());
        segment.extend_from_slice(&self.options);
        segment.resize(header, 0);
        segment.extend_from_slice(data);
        let sum = Sum::pseudo(source, destination, 6, segment.len()).plus(&segment).finish();
        segment[16..18].copy_from_slice(&self.checksum.value(sum).to_be_bytes());
        segment
    }
}

/// An ARP message with every field (RFC 826), for addresses of 6 and 4 bytes whatever it claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// Hardware type; 1 is Ethernet.
    pub hardware: u16,
    /// Protocol type; 0x0800 is IPv4.
    pub protocol: u16,
    /// Bytes of a hardware address.
    pub hardware_length: u8,
    /// Bytes of a protocol address.
    pub protocol_length: u8,
    /// 1 request, 2 reply.
    pub op: u16,
    /// Sender's Ethernet address.
    pub sha: MacAddr,
    /// Sender's IPv4 address.
    pub spa: Ipv4Addr,
    /// Target's Ethernet address.
    pub tha: MacAddr,
    /// Target's IPv4 address.
    pub tpa: Ipv4Addr,
}

impl Arp {
    /// The message.
    pub fn message(&self) -> Vec<u8> {
        let mut message = Vec::with_capacity(28);
        message.extend(self.hardware.to_be_bytes());
        message.extend(self.protocol.to_be_bytes());
        message.extend([self.hardware_length, self.protocol_length]);
        message.extend(self.op.to_be_bytes());
        message.extend(self.sha.octets());
        message.extend(self.spa.octets());
        message.extend(self.tha.octets());
        message.extend(self.tpa.octets());
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::craft::{EchoRequest, Route};

    const A: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 1);
    const B: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 2);

    #[test]
    fn what_is_not_said_is_right() {
        let route = Route {
            source_mac: MacAddr(2, 0, 0, 0, 0, 1),
            destination_mac: MacAddr(2, 0, 0, 0, 0, 2),
            source: A,
            destination: B,
        };
        let echo =
            EchoRequest { identifier: 7, sequence: 9, ttl: 64, tos: 4, ip_id: 5, data: b"hello" };
        let eth =
            Ethernet { destination: route.destination_mac, source: route.source_mac, kind: 0x0800 };
        let icmp = Icmp {
            kind: 8,
            code: 0,
            checksum: Checksum::Right,
            rest: [0, 7, 0, 9],
            data: b"hello".to_vec(),
        };
        let ip = Ipv4 { tos: 4, id: 5, flags: 2, ..Ipv4::new(A, B, 1) };
        assert_eq!(eth.frame(&ip.packet(&icmp.message())), echo.frame(&route));
    }

    #[test]
    fn every_field_can_lie() {
        let ip = Ipv4 {
            version: 6,
            ihl: Some(15),
            total_length: Some(19),
            flags: 4,
            offset: 8189,
            checksum: Checksum::Exact(0x1234),
            options: vec![1, 1, 1],
            ..Ipv4::new(A, B, 200)
        };
        let packet = ip.packet(b"x");
        assert_eq!(packet[..4], [0x6f, 0, 0, 19]);
        assert_eq!(packet[6..12], [0x9f, 0xfd, 64, 200, 0x12, 0x34]);
        assert_eq!(packet[20..], [1, 1, 1, 0, b'x']);
        let tcp = Tcp {
            data_offset: Some(3),
            reserved: 5,
            flags: 0xc2,
            checksum: Checksum::Exact(0xabcd),
            urgent: 0xffff,
            options: vec![2, 4, 5],
            ..Tcp::new(1, 2)
        };
        let segment = tcp.segment(A, B, b"x");
        assert_eq!(segment[12..], [0x35, 0xc2, 0, 0, 0xab, 0xcd, 255, 255, 2, 4, 5, 0, b'x']);
        let right = Tcp { checksum: Checksum::Right, ..tcp }.segment(A, B, b"x");
        assert_eq!(Sum::pseudo(A, B, 6, right.len()).plus(&right).finish(), 0);
        let udp = Udp { length: Some(200), checksum: Checksum::Exact(0), ..Udp::new(1, 2) };
        assert_eq!(udp.datagram(A, B, b"abc"), [0, 1, 0, 2, 0, 200, 0, 0, b'a', b'b', b'c']);
    }

    #[test]
    fn a_wrong_checksum_is_wrong() {
        let ip = Ipv4 { checksum: Checksum::Wrong, ..Ipv4::new(A, B, 1) };
        assert_ne!(checksum::internet(&ip.packet(&[])[..20]), 0);
        let right = Ipv4 { checksum: Checksum::Right, ..ip };
        assert_eq!(checksum::internet(&right.packet(&[])[..20]), 0);
    }
}
