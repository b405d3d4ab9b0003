//! The outer packets: from any link type to the TCP segment inside.
//!
//! Only what leads to TCP is looked at. Checksums are not: packets captured on the machine that sends
//! them often have none yet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::Bytes;

use crate::proto::{be16, be32};
use crate::record::{Body, LinkType, Record};

/// The flags of a segment (RFC 9293 section 3.1).
pub(super) mod flag {
    pub const FIN: u8 = 1;
    pub const SYN: u8 = 2;
    pub const RST: u8 = 4;
    pub const ACK: u8 = 16;
}

/// VLAN tags and extension headers in front of what matters: no more than so many.
const MAX_NESTED: usize = 8;
/// IP protocol numbers.
const TCP: u8 = 6;

/// A TCP segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub sequence: u32,
    pub acknowledgment: u32,
    pub flags: u8,
    /// What was kept of its data.
    pub data: Bytes,
    /// The data was longer.
    pub is_cut: bool,
}

/// The link type and the bytes of a record, if it is a packet.
pub(in super::super) fn packet(record: &Record) -> Option<(LinkType, &Bytes)> {
    match &record.body {
        Body::Frame(bytes) => Some((LinkType::ETHERNET, bytes)),
        Body::Packet(packet) => Some((packet.link, &packet.bytes)),
        Body::FramingError(_)
        | Body::Gap { .. }
        | Body::Link(_)
        | Body::Console(_)
        | Body::Impaired(_) => None,
    }
}

/// The TCP segment in a packet; `None` when there is none, or only a fragment of one.
pub(super) fn segment(link: LinkType, bytes: &Bytes) -> Option<Segment> {
    let at = network(link, bytes)?;
    let rest = bytes.get(at..)?;
    let ip = match rest.first()? >> 4 {
        4 => ipv4(rest)?,
        6 => ipv6(rest)?,
        _ => return None,
    };
    tcp(&bytes.slice(at..), &ip)
}

/// Where the network header begins.
fn network(link: LinkType, bytes: &[u8]) -> Option<usize> {
    let (mut at, mut kind) = match link {
        LinkType::ETHERNET => (14, be16(bytes, 12)?),
        LinkType::LINUX_SLL => (16, be16(bytes, 14)?),
        LinkType::LINUX_SLL2 => (20, be16(bytes, 0)?),
        LinkType::NULL | LinkType::LOOP => return Some(4),
        LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 => return Some(0),
        _ => return None,
    };
    for _ in 0..MAX_NESTED {
        match kind {
            0x0800 | 0x86dd => return Some(at),
            0x8100 | 0x88a8 | 0x9100 => {
                kind = be16(bytes, at + 2)?;
                at += 4;
            }
            _ => return None,
        }
    }
    None
}

/// What an IP header says.
struct Ip {
    source: IpAddr,
    destination: IpAddr,
    /// Where its payload begins and ends, in bytes from the start of the header. Data that was cut off
    /// reaches beyond what there is.
    payload: std::ops::Range<usize>,
}

/// RFC 791 section 3.1.
fn ipv4(bytes: &[u8]) -> Option<Ip> {
    let header = usize::from(bytes.first()? & 15) * 4;
    let is_fragment = be16(bytes, 6)? & 0x3fff != 0;
    if header < 20 || is_fragment || *bytes.get(9)? != TCP {
        return None;
    }
    let end = match usize::from(be16(bytes, 2)?) {
        0 => bytes.len(), // segments that the network card was to cut
        total => total,
    };
    Some(Ip {
        source: Ipv4Addr::from(be32(bytes, 12)?).into(),
        destination: Ipv4Addr::from(be32(bytes, 16)?).into(),
        payload: header..end,
    })
}

/// RFC 8200 sections 3 and 4.
fn ipv6(bytes: &[u8]) -> Option<Ip> {
    let address = |at: usize| -> Option<IpAddr> {
        let octets: [u8; 16] = bytes.get(at..at + 16)?.try_into().ok()?;
        Some(Ipv6Addr::from(octets).into())
    };
    let end = match usize::from(be16(bytes, 4)?) {
        0 => bytes.len(),
        payload => 40 + payload,
    };
    let (mut next, mut at) = (*bytes.get(6)?, 40);
    for _ in 0..MAX_NESTED {
        match next {
            TCP => {
                let (source, destination) = (address(8)?, address(24)?);
                return Some(Ip { source, destination, payload: at..end });
            }
            // Hop-by-hop, routing, destination options, mobility: lengths in eight bytes, less one.
            0 | 43 | 60 | 135 => {
                next = *bytes.get(at)?;
                at += 8 + usize::from(*bytes.get(at + 1)?) * 8;
            }
            // Authentication: in four bytes, less two.
            51 => {
                next = *bytes.get(at)?;
                at += 8 + usize::from(*bytes.get(at + 1)?) * 4;
            }
            _ => return None, // a fragment (44) too
        }
    }
    None
}

/// RFC 9293 section 3.1; `bytes` begin with the IP header.
fn tcp(bytes: &Bytes, ip: &Ip) -> Option<Segment> {
    let header = bytes.get(ip.payload.start..)?;
    let length = usize::from(header.get(12)? >> 4) * 4;
    let data = ip.payload.start + length;
    if length < 20 || data > ip.payload.end {
        return None;
    }
    let port = |at| be16(header, at);
    let kept = ip.payload.end.min(bytes.len());
    Some(Segment {
        source: SocketAddr::new(ip.source, port(0)?),
        destination: SocketAddr::new(ip.destination, port(2)?),
        sequence: be32(header, 4)?,
        acknowledgment: be32(header, 8)?,
        flags: *header.get(13)?,
        data: bytes.slice(data.min(kept)..kept),
        is_cut: kept < ip.payload.end,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::samples;
    use proptest::prelude::*;

    #[test]
    fn every_link_type_leads_to_the_segment() {
        let frame = samples::syn();
        let ip = &frame[14..];
        let tagged = [&frame[..12], &[0x81, 0, 0, 5, 0x08, 0], ip].concat();
        let cooked = [&[0; 14][..], &[8, 0], ip].concat();
        let cooked2 = [&[8, 0][..], &[0; 18], ip].concat();
        let null = [&[2, 0, 0, 0][..], ip].concat();
        let wanted = segment(LinkType::ETHERNET, &frame.clone().into()).expect("a segment");
        assert_eq!(wanted.source, "192.168.100.1:40000".parse().expect("an address"));
        assert_eq!((wanted.sequence, wanted.flags), (1000, flag::SYN));
        for (link, bytes) in [
            (LinkType::ETHERNET, tagged),
            (LinkType::LINUX_SLL, cooked),
            (LinkType::LINUX_SLL2, cooked2),
            (LinkType::NULL, null),
            (LinkType::RAW, ip.to_vec()),
        ] {
            assert_eq!(segment(link, &bytes.into()), Some(wanted.clone()), "{link:?}");
        }
        assert_eq!(segment(LinkType::USER0, &frame.into()), None);
        assert_eq!(segment(LinkType::ETHERNET, &samples::datagram().into()), None);
    }

    #[test]
    fn padding_is_no_data_and_a_cut_segment_says_so() {
        let mut frame = samples::syn();
        frame.extend([0; 2]);
        let padded = segment(LinkType::ETHERNET, &frame.clone().into()).expect("a segment");
        assert_eq!((padded.data.len(), padded.is_cut), (0, false));
        frame[17] += 10;
        let cut = segment(LinkType::ETHERNET, &frame.into()).expect("a segment");
        assert_eq!((cut.data.len(), cut.is_cut), (2, true));
    }

    #[test]
    fn ipv6_with_extension_headers() {
        let mut packet = vec![0x60, 0, 0, 0, 0, 8 + 20 + 3, 0, 64];
        packet.extend([1; 16]);
        packet.extend([2; 16]);
        packet.extend([6, 0, 1, 4, 0, 0, 0, 0]);
        packet.extend(&samples::syn()[34..46]);
        packet.extend([0x50, 0x10, 0, 0, 0, 0, 0, 0, b'a', b'b', b'c']);
        let found = segment(LinkType::IPV6, &packet.into()).expect("a segment");
        assert_eq!(found.data, "abc");
        assert_eq!(found.destination.port(), 80);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(
            link in prop::sample::select(vec![0u16, 1, 101, 108, 113, 228, 229, 276]),
            kind in prop::sample::select(vec![0x45u8, 0x60, 0x4f, 0x08]),
            bytes in prop::collection::vec(any::<u8>(), 0..120),
        ) {
            segment(LinkType(link), &bytes.clone().into());
            let ip = [&[kind, 0, 0, 90, 0, 0, 6, 64, 6, 6][..], &bytes].concat();
            segment(LinkType::RAW, &ip.into());
        }
    }
}
