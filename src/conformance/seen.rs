//! A frame from the device as the judge reads it: views that never fail, on whatever it holds.

use std::net::Ipv4Addr;

use bytes::Bytes;

use crate::checksum::{self, Sum};
use crate::clock::Timestamp;
use crate::proto::{MacAddr, arp, be16, be32, ipv4_at, mac_at, tcp, tcp_options};

/// Where the IPv4 header begins in a frame.
const IP: usize = 14;

/// A frame that came from the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// When its last byte had come.
    pub time: Timestamp,
    /// The frame.
    pub bytes: Bytes,
}

/// The IPv4 packet in a frame, as far as its header makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpView<'a> {
    /// The header, options included.
    pub header: &'a [u8],
    /// What the packet carries.
    pub payload: &'a [u8],
    /// Type of service.
    pub tos: u8,
    /// Identification.
    pub id: u16,
    /// The three flags: 4 reserved, 2 don't fragment, 1 more fragments.
    pub flags: u8,
    /// Fragment offset in bytes.
    pub offset: usize,
    /// Time to live.
    pub ttl: u8,
    /// Protocol number.
    pub protocol: u8,
    /// Source address.
    pub source: Ipv4Addr,
    /// Destination address.
    pub destination: Ipv4Addr,
}

/// An ICMP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpView<'a> {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// The four bytes behind the checksum.
    pub rest: [u8; 4],
    /// What follows.
    pub data: &'a [u8],
}

/// A TCP segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpView<'a> {
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment number.
    pub ack: u32,
    /// The four reserved bits.
    pub reserved: u8,
    /// The flags.
    pub flags: u8,
    /// Window, as it stands there.
    pub window: u16,
    /// Urgent pointer.
    pub urgent: u16,
    /// The options.
    pub options: &'a [u8],
    /// The data.
    pub data: &'a [u8],
}

impl TcpView<'_> {
    /// Whether all of these flags are set.
    pub fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// The sequence number behind it: SYN and FIN count (RFC 9293 section 3.4).
    pub fn end(&self) -> u32 {
        let signs = u32::from(self.has(tcp::SYN)) + u32::from(self.has(tcp::FIN));
        self.seq.wrapping_add(self.data.len() as u32).wrapping_add(signs)
    }

    /// The bytes of the option of that kind, without kind and length.
    pub fn option(&self, kind: u8) -> Option<&[u8]> {
        let found = tcp_options::each(self.options).map(|(_, option)| option);
        let mut found = found.filter(|option| option.first() == Some(&kind));
        found.next().map(|option| option.get(2..).unwrap_or_default())
    }

    /// The maximum segment size, if it says one.
    pub fn mss(&self) -> Option<u16> {
        self.option(2).and_then(|value| be16(value, 0))
    }
}

/// A UDP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpView<'a> {
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
    /// Checksum, as it stands there.
    pub checksum: u16,
    /// The data, as far as the header says.
    pub data: &'a [u8],
}

impl Seen {
    /// Destination address.
    pub fn destination(&self) -> Option<MacAddr> {
        mac_at(&self.bytes, 0).map(MacAddr::from)
    }

    /// Source address.
    pub fn source(&self) -> Option<MacAddr> {
        mac_at(&self.bytes, 6).map(MacAddr::from)
    }

    /// EtherType.
    pub fn kind(&self) -> Option<u16> {
        be16(&self.bytes, 12)
    }

    /// The ARP message, if it holds one for IPv4 over Ethernet.
    pub fn arp(&self) -> Option<arp::Message> {
        arp::Message::in_frame(&self.bytes)
    }

    /// The IPv4 packet.
    pub fn ip(&self) -> Option<IpView<'_>> {
        if self.kind() != Some(0x0800) {
            return None;
        }
        let packet = self.bytes.get(IP..)?;
        let header = usize::from(packet.first()? & 15) * 4;
        let total = usize::from(be16(packet, 2)?);
        if header < 20 || header > total || total > packet.len() {
            return None;
        }
        let fragment = be16(packet, 6)?;
        Some(IpView {
            header: &packet[..header],
            payload: &packet[header..total],
            tos: packet[1],
            id: be16(packet, 4)?,
            flags: (fragment >> 13) as u8,
            offset: usize::from(fragment & 0x1fff) * 8,
            ttl: packet[8],
            protocol: packet[9],
            source: ipv4_at(packet, 12)?,
            destination: ipv4_at(packet, 16)?,
        })
    }

    /// The ICMP message, if it is whole or the first part of one.
    pub fn icmp(&self) -> Option<IcmpView<'_>> {
        let ip = self.ip().filter(|ip| ip.protocol == 1 && ip.offset == 0)?;
        let head = ip.payload.get(..8)?;
        Some(IcmpView {
            kind: head[0],
            code: head[1],
            rest: [head[4], head[5], head[6], head[7]],
            data: &ip.payload[8..],
        })
    }

    /// Whether it is an ICMP message of that type.
    pub fn is_icmp(&self, kind: u8) -> bool {
        self.icmp().is_some_and(|icmp| icmp.kind == kind)
    }

    /// The identification of the datagram that the device has given up, since fragments of it did not
    /// come (RFC 792, Time Exceeded).
    pub fn given_up(&self) -> Option<u16> {
        let message = self.icmp().filter(|icmp| (icmp.kind, icmp.code) == (11, 1))?;
        be16(message.data, 4)
    }

    /// Whether it is a part of a packet.
    pub fn is_fragment(&self) -> bool {
        self.ip().is_some_and(|ip| ip.flags & 1 != 0 || ip.offset > 0)
    }

    /// The TCP segment, if it is whole.
    pub fn tcp(&self) -> Option<TcpView<'_>> {
        let ip = self.ip().filter(|ip| ip.protocol == 6 && ip.offset == 0 && ip.flags & 1 == 0)?;
        let data = usize::from(ip.payload.get(12)? >> 4) * 4;
        Some(TcpView {
            source: be16(ip.payload, 0)?,
            destination: be16(ip.payload, 2)?,
            seq: be32(ip.payload, 4)?,
            ack: be32(ip.payload, 8)?,
            reserved: ip.payload.get(12)? & 15,
            flags: *ip.payload.get(13)?,
            window: be16(ip.payload, 14)?,
            urgent: be16(ip.payload, 18)?,
            options: ip.payload.get(20..data).unwrap_or_default(),
            data: ip.payload.get(data..).filter(|_| data >= 20)?,
        })
    }

    /// The UDP datagram, if it is whole.
    pub fn udp(&self) -> Option<UdpView<'_>> {
        let ip = self.ip().filter(|ip| ip.protocol == 17 && ip.offset == 0 && ip.flags & 1 == 0)?;
        let length = usize::from(be16(ip.payload, 4)?);
        Some(UdpView {
            source: be16(ip.payload, 0)?,
            destination: be16(ip.payload, 2)?,
            checksum: be16(ip.payload, 6)?,
            data: ip.payload.get(8..length)?,
        })
    }

    /// What its transport checksum came to, if it has one that can be checked: `true` is right.
    pub fn transport_checksum(&self) -> Option<bool> {
        let ip = self.ip().filter(|ip| ip.offset == 0 && ip.flags & 1 == 0)?;
        match ip.protocol {
            1 => Some(checksum::internet(ip.payload) == 0),
            17 if be16(ip.payload, 6)? == 0 => None,
            protocol @ (6 | 17) => {
                let sum = Sum::pseudo(ip.source, ip.destination, protocol, ip.payload.len());
                Some(sum.plus(ip.payload).finish() == 0)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::samples;
    use proptest::prelude::*;

    fn seen(bytes: Vec<u8>) -> Seen {
        Seen { time: Timestamp(0), bytes: bytes.into() }
    }

    #[test]
    fn an_echo_request_and_a_segment() {
        let echo = seen(samples::echo_request());
        let ip = echo.ip().expect("IPv4");
        assert_eq!((ip.ttl, ip.protocol, ip.flags, ip.payload.len()), (64, 1, 2, 64));
        assert!(echo.is_icmp(8));
        assert_eq!(echo.transport_checksum(), Some(true));
        let syn = seen(samples::syn());
        let segment = syn.tcp().expect("TCP");
        assert_eq!((segment.flags, segment.mss()), (2, Some(1460)));
        assert_eq!(segment.end(), segment.seq + 1);
        assert_eq!(syn.transport_checksum(), Some(true));
        assert!(seen(samples::arp_request()).arp().is_some());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let mut bytes = bytes;
            for marked in [false, true] {
                if marked && bytes.len() > 34 {
                    bytes[12..15].copy_from_slice(&[8, 0, 0x45]);
                    bytes[16] = 0;
                }
                let seen = seen(bytes.clone());
                let _ = (seen.destination(), seen.source(), seen.arp(), seen.ip());
                let _ = (seen.icmp(), seen.udp(), seen.transport_checksum());
                let _ = seen.tcp().map(|tcp| (tcp.mss(), tcp.end()));
            }
        }
    }
}
