//! Ethernet frames from whatever a capture has: packets without a header of the link, Linux's cooked ones, BSD's
//! loopback. The header that is missing is made from who spoke: the host or the device.

use std::net::{IpAddr, Ipv6Addr};

use bytes::{BufMut, Bytes, BytesMut};
use pnet::util::MacAddr;

use super::source::{Ends, Why};
use crate::proto::{be16, be32, ipv4_at, ndp, null, sll};
use crate::record::{Direction, LinkType};

/// The smallest number that is an EtherType (IEEE 802.3 clause 3.2.6).
const FIRST_ETHERTYPE: u16 = 0x600;
/// The EtherType of IPv4.
pub const IPV4: u16 = 0x0800;
/// The EtherType of IPv6.
pub const IPV6: u16 = 0x86dd;
/// The EtherType of ARP.
pub const ARP: u16 = 0x0806;
/// What Linux's cooked header says of a packet that its machine has sent.
const FROM_US: u16 = 4;

/// The type and where its packet begins, of a packet with `link` in front; an Ethernet frame is as it is.
fn packet(link: LinkType, bytes: &[u8]) -> Result<Option<(u16, usize)>, Why> {
    let found = match link {
        LinkType::ETHERNET => return Ok(None),
        LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 => of_version(bytes, 0),
        LinkType::NULL | LinkType::LOOP => of_version(bytes, null::HEADER),
        LinkType::LINUX_SLL => be16(bytes, 14).map(|kind| (kind, sll::HEADER)),
        LinkType::LINUX_SLL2 => be16(bytes, 0).map(|kind| (kind, sll::HEADER2)),
        other => return Err(Why::Link(other)),
    };
    match found {
        Some((kind, at)) if kind >= FIRST_ETHERTYPE && at < bytes.len() => Ok(Some((kind, at))),
        _ => Err(Why::NoPacket),
    }
}

fn of_version(bytes: &[u8], at: usize) -> Option<(u16, usize)> {
    match bytes.get(at)? >> 4 {
        4 => Some((IPV4, at)),
        6 => Some((IPV6, at)),
        _ => None,
    }
}

/// Which way a packet went, by what a cooked header says.
fn cooked(link: LinkType, bytes: &[u8]) -> Option<Direction> {
    let kind = match link {
        LinkType::LINUX_SLL => be16(bytes, 0)?,
        LinkType::LINUX_SLL2 => u16::from(*bytes.get(10)?),
        _ => return None,
    };
    Some(if kind == FROM_US { Direction::ToDevice } else { Direction::FromDevice })
}

/// The type of the packet behind whatever is in front of it, tags included, and where it begins.
pub fn locate(link: LinkType, bytes: &[u8]) -> Result<(u16, usize), Why> {
    let (mut kind, mut at) =
        packet(link, bytes)?.unwrap_or((be16(bytes, 12).unwrap_or_default(), 14));
    while matches!(kind, 0x8100 | 0x88a8) {
        (kind, at) = (be16(bytes, at + 2).unwrap_or_default(), at + 4);
    }
    Ok((kind, at))
}

/// The IPv6 address `at` a place.
pub(super) fn ipv6_at(bytes: &[u8], at: usize) -> Option<Ipv6Addr> {
    let octets = bytes.get(at..at + 16)?.first_chunk::<16>()?;
    Some(Ipv6Addr::from(*octets))
}

/// Which way a frame went of which the capture does not say that: what the device's addresses have sent comes
/// from it, and everything else goes to it.
pub(super) fn direction(link: LinkType, bytes: &[u8], ends: &Ends) -> Direction {
    let is_from_device = bytes.get(6..12) == Some(&ends.device.mac.octets()[..]);
    if link == LinkType::ETHERNET && is_from_device {
        return Direction::FromDevice;
    }
    let Ok((kind, at)) = locate(link, bytes) else { return Direction::Unknown };
    let source: Option<IpAddr> = match kind {
        IPV4 => ipv4_at(bytes, at + 12).map(IpAddr::from),
        ARP => ipv4_at(bytes, at + 14).map(IpAddr::from),
        IPV6 => sender(bytes, at).map(IpAddr::from),
        _ => None,
    };
    match source {
        Some(source) if ends.device.has(source) => Direction::FromDevice,
        Some(source) if ends.host.has(source) => Direction::ToDevice,
        _ => cooked(link, bytes).unwrap_or(Direction::ToDevice),
    }
}

/// Who sends an IPv6 packet. Whoever asks whether an address is taken has none yet but that one (RFC 4862 section 5.4).
fn sender(bytes: &[u8], at: usize) -> Option<Ipv6Addr> {
    let source = ipv6_at(bytes, at + 8)?;
    let asks = bytes.get(at + 6) == Some(&58) && bytes.get(at + 40) == Some(&ndp::SOLICITATION);
    match source.is_unspecified() && asks {
        true => ipv6_at(bytes, at + 48),
        false => Some(source),
    }
}

/// The Ethernet frame that a packet would have been.
pub(super) fn frame(
    link: LinkType,
    bytes: &Bytes,
    ends: &Ends,
    direction: Direction,
) -> Result<Bytes, Why> {
    let Some((kind, at)) = packet(link, bytes)? else { return Ok(bytes.clone()) };
    let (from, to) = match direction {
        Direction::FromDevice => (ends.device.mac, ends.host.mac),
        Direction::ToDevice | Direction::Unknown => (ends.host.mac, ends.device.mac),
    };
    let payload = bytes.get(at..).unwrap_or_default();
    let mut frame = BytesMut::with_capacity(14 + payload.len());
    frame.put_slice(&group(kind, payload).unwrap_or(to).octets());
    frame.put_slice(&from.octets());
    frame.put_u16(kind);
    frame.put_slice(payload);
    Ok(frame.freeze())
}

/// The Ethernet address of a group to which a packet goes (RFC 1112 section 6.4, RFC 2464 section 7).
fn group(kind: u16, packet: &[u8]) -> Option<MacAddr> {
    match kind {
        IPV4 => {
            let address = be32(packet, 16)?;
            let [_, b, c, d] = address.to_be_bytes();
            match address >> 28 {
                0xe => Some(MacAddr(1, 0, 0x5e, b & 0x7f, c, d)),
                _ => (address == u32::MAX).then(MacAddr::broadcast),
            }
        }
        IPV6 => {
            let [a, b, c, d] = be32(packet, 36)?.to_be_bytes();
            (*packet.get(24)? == 0xff).then_some(MacAddr(0x33, 0x33, a, b, c, d))
        }
        ARP => (be16(packet, 6)? == 1).then(MacAddr::broadcast),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::samples;

    /// The same datagram, from the device to the host, behind each header that is understood.
    fn forms() -> Vec<(LinkType, Vec<u8>)> {
        let packet = &samples::datagram()[14..];
        let behind = |header: &[u8]| [header, packet].concat();
        vec![
            (LinkType::ETHERNET, samples::datagram()),
            (LinkType::RAW, behind(&[])),
            (LinkType::IPV4, behind(&[])),
            (LinkType::NULL, behind(&[2, 0, 0, 0])),
            (LinkType::LOOP, behind(&[0, 0, 0, 2])),
            (LinkType::LINUX_SLL, behind(&[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0])),
            (
                LinkType::LINUX_SLL2,
                behind(&[8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0]),
            ),
        ]
    }

    #[test]
    fn every_form_becomes_the_same_frame_that_went_the_same_way() {
        let ends = Ends::default();
        for (link, bytes) in forms() {
            let bytes = Bytes::from(bytes);
            assert_eq!(direction(link, &bytes, &ends), Direction::FromDevice, "{link}");
            let made = frame(link, &bytes, &ends, Direction::FromDevice).expect("a frame");
            assert_eq!(made[14..], samples::datagram()[14..], "{link}");
            assert_eq!(made[..14], [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0], "{link}");
        }
    }

    #[test]
    fn what_is_no_packet_is_refused_and_nothing_panics() {
        let ends = Ends::default();
        for (link, bytes) in forms().into_iter().skip(1) {
            for kept in 0..bytes.len() {
                let cut = Bytes::copy_from_slice(&bytes[..kept]);
                direction(link, &cut, &ends);
                let _ = frame(link, &cut, &ends, Direction::Unknown);
            }
            let none = frame(link, &Bytes::new(), &ends, Direction::ToDevice);
            assert_eq!(none, Err(Why::NoPacket), "{link}");
        }
        let radio = frame(LinkType(127), &Bytes::from_static(&[0; 60]), &ends, Direction::ToDevice);
        assert_eq!(radio, Err(Why::Link(LinkType(127))));
    }

    #[test]
    fn directions_are_known_by_ip_behind_other_ethernet_addresses_tags_and_arp() {
        let ends = Ends::default();
        let way = |link, bytes: &[u8]| direction(link, &Bytes::copy_from_slice(bytes), &ends);
        let mut routed = samples::datagram();
        routed[6..12].copy_from_slice(&[2, 9, 9, 9, 9, 9]);
        let mut tagged = routed.clone();
        tagged.splice(12..12, [0x81, 0, 0, 5, 0x88, 0xa8, 0, 6]);
        let mut asked = samples::arp_request();
        asked[6..12].copy_from_slice(&[2, 9, 9, 9, 9, 9]);
        for frame in [&routed, &tagged, &asked] {
            assert_eq!(way(LinkType::ETHERNET, frame), Direction::FromDevice);
        }
        // Of addresses that nobody knows, a cooked header tells who has sent them.
        for (kind, wanted) in [(4, Direction::ToDevice), (0, Direction::FromDevice)] {
            let header = [0, kind, 0, 1, 0, 6, 2, 0, 0, 0, 0, 9, 0, 0, 8, 0];
            let mut cooked = [&header, &samples::datagram()[14..]].concat();
            cooked[28..32].copy_from_slice(&[8, 8, 8, 8]);
            assert_eq!(way(LinkType::LINUX_SLL, &cooked), wanted);
            let header = [8, 0, 0, 0, 0, 0, 0, 2, 0, 1, kind, 6, 2, 0, 0, 0, 0, 9, 0, 0];
            let second = [&header, &cooked[16..]].concat();
            assert_eq!(way(LinkType::LINUX_SLL2, &second), wanted);
            // The host's own address is a better sign.
            cooked[28..32].copy_from_slice(&[192, 168, 100, 1]);
            assert_eq!(way(LinkType::LINUX_SLL, &cooked), Direction::ToDevice);
        }
    }

    #[test]
    fn packets_to_groups_become_frames_to_groups() {
        let mut packet = samples::datagram()[14..].to_vec();
        packet[16..20].copy_from_slice(&[239, 1, 2, 3]);
        let packet = Bytes::from(packet);
        let made = frame(LinkType::RAW, &packet, &Ends::default(), Direction::ToDevice);
        let made = made.expect("a frame");
        assert_eq!(made[..12], [1, 0, 0x5e, 1, 2, 3, 2, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn ipv6_is_known_by_its_addresses_and_by_those_made_of_an_ethernet_address() {
        let mut ends = Ends::default();
        ends.device.ip6[0] = "2001:db8::2".parse().ok();
        let way = |source: &str, more: &[u8]| {
            let source: Ipv6Addr = source.parse().expect("an address");
            let mut packet = vec![0x60, 0, 0, 0, 0, 24, 58, 255];
            packet.extend(source.octets());
            packet.extend([0xff; 16]);
            packet.extend(more);
            direction(LinkType::RAW, &packet, &ends)
        };
        assert_eq!(way("2001:db8::2", &[128]), Direction::FromDevice);
        assert_eq!(way("2001:db8::1", &[128]), Direction::ToDevice);
        assert_eq!(way("fe80::ff:fe00:2", &[128]), Direction::FromDevice);
        assert_eq!(way("2001:db8:7::ff:fe00:2", &[128]), Direction::FromDevice);
        assert_eq!(way("fe80::ff:fe00:1", &[128]), Direction::ToDevice);
        let target = "fe80::ff:fe00:2".parse::<Ipv6Addr>().expect("an address");
        let asked = [&[135, 0, 0, 0, 0, 0, 0, 0], &target.octets()[..]].concat();
        assert_eq!(way("::", &asked), Direction::FromDevice);
    }

    #[test]
    fn groups_have_addresses_of_their_own() {
        let mut packet = samples::datagram()[14..].to_vec();
        packet[16..20].copy_from_slice(&[239, 129, 2, 3]);
        assert_eq!(group(IPV4, &packet), Some(MacAddr(1, 0, 0x5e, 1, 2, 3)));
        packet[16..20].fill(255);
        assert_eq!(group(IPV4, &packet), Some(MacAddr::broadcast()));
        let mut six = vec![0; 40];
        (six[24], six[39]) = (0xff, 2);
        assert_eq!(group(IPV6, &six), Some(MacAddr(0x33, 0x33, 0, 0, 0, 2)));
    }
}
