//! What lies in front of the IP packet: where it begins and how its EtherType is known.
//!
//! A filter is compiled once for every kind of link that has a different answer. On everything
//! but Ethernet, statements about Ethernet are false; hosts, networks, ports and protocols work
//! wherever an IP packet can be found.

use super::program::{Size, Test, Tree};
use super::words::{ARP, IPV4, IPV6, RARP};
use crate::record::LinkType;

/// A kind of link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Ethernet,
    /// An IPv4 or IPv6 packet, by its first four bits.
    Raw,
    Ipv4,
    Ipv6,
    /// Four bytes of address family, in either byte order.
    Null,
    /// Linux cooked capture: 16 bytes that end with the EtherType.
    Cooked,
    /// Linux cooked capture: 20 bytes that begin with the EtherType.
    Cooked2,
    /// Anything else: no packet can be found in it.
    Opaque,
}

/// Longest payload of an IEEE 802.3 frame: the largest number that is a length and no EtherType.
const LONGEST_PAYLOAD: u32 = 1500;

impl Link {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Link; 8] = [
        Link::Ethernet,
        Link::Raw,
        Link::Ipv4,
        Link::Ipv6,
        Link::Null,
        Link::Cooked,
        Link::Cooked2,
        Link::Opaque,
    ];

    /// The kind of a link type.
    pub fn of(link: LinkType) -> Link {
        match link {
            LinkType::ETHERNET => Link::Ethernet,
            LinkType::RAW => Link::Raw,
            LinkType::IPV4 => Link::Ipv4,
            LinkType::IPV6 => Link::Ipv6,
            LinkType::NULL | LinkType::LOOP => Link::Null,
            LinkType::LINUX_SLL => Link::Cooked,
            LinkType::LINUX_SLL2 => Link::Cooked2,
            _ => Link::Opaque,
        }
    }

    /// Where the packet begins, in bytes from the start of the frame.
    pub fn payload(self) -> u32 {
        match self {
            Link::Ethernet => 14,
            Link::Raw | Link::Ipv4 | Link::Ipv6 | Link::Opaque => 0,
            Link::Null => 4,
            Link::Cooked => 16,
            Link::Cooked2 => 20,
        }
    }

    /// Whether the packet is of EtherType `number`, behind `shift` bytes of VLAN tags.
    pub fn is_type(self, number: u32, shift: u32) -> Tree {
        let at = match self {
            Link::Ethernet => return ethernet_type(number, shift),
            Link::Cooked => 14 + shift,
            Link::Cooked2 => shift.checked_sub(4).map_or(0, |shift| 22 + shift),
            Link::Raw | Link::Ipv4 | Link::Ipv6 | Link::Null | Link::Opaque => {
                return if shift > 0 { Tree::FALSE } else { self.is_packet(number) };
            }
        };
        match number {
            0..=LONGEST_PAYLOAD => Tree::FALSE,
            _ => Tree::from(Test::equal(at, Size::Two, number)),
        }
    }

    /// The same where there are but IP packets.
    fn is_packet(self, number: u32) -> Tree {
        let version = match number {
            IPV4 => 4,
            IPV6 => 6,
            _ => return Tree::FALSE,
        };
        let families: &[u32] = if version == 4 { &[2] } else { &[10, 24, 28, 30] };
        match self {
            Link::Raw => Tree::from(Test::masked(0, Size::One, 0xf0, version << 4)),
            Link::Ipv4 => Tree::constant(version == 4),
            Link::Ipv6 => Tree::constant(version == 6),
            Link::Null => {
                let either = families.iter().flat_map(|family| [*family, family.swap_bytes()]);
                Tree::Any(
                    either.map(|family| Tree::from(Test::equal(0, Size::Four, family))).collect(),
                )
            }
            Link::Ethernet | Link::Cooked | Link::Cooked2 | Link::Opaque => Tree::FALSE,
        }
    }
}

/// EtherTypes are compared; lesser numbers are service access points of 802.2 (IEEE 802.2 section
/// 3.3), and a few protocols come in both worlds and in SNAP (RFC 1042) besides.
fn ethernet_type(number: u32, shift: u32) -> Tree {
    let (kind, header) = (12 + shift, 14 + shift);
    let is = |at, size, value| Tree::from(Test::equal(at, size, value));
    let is_length = || Tree::not(Tree::from(Test::above(kind, Size::Two, LONGEST_PAYLOAD)));
    let snap = |organisation: u32, number: u32| {
        let low = (organisation & 0xff) << 16 | number;
        let high = 0xaaaa_0300 | organisation >> 16;
        let parts =
            [is(header + 4, Size::Four, low | organisation << 16), is(header, Size::Four, high)];
        Tree::All(parts.into())
    };
    match number {
        0x06 | 0xf0 | 0xfe => {
            Tree::All(vec![is_length(), is(header, Size::Two, number << 8 | number)])
        }
        0xe0 => {
            let access = [is(header, Size::One, 0xe0), is(header, Size::Two, 0xffff)];
            let rest = [vec![snap(0, 0x8137)], access.into()].concat();
            let inside = Tree::All(vec![is_length(), Tree::Any(rest)]);
            Tree::Any(vec![is(kind, Size::Two, 0x8137), inside])
        }
        0x809b | 0x80f3 => {
            let organisation = if number == 0x809b { 0x08_0007 } else { 0 };
            let inside = Tree::All(vec![is_length(), snap(organisation, number)]);
            Tree::Any(vec![is(kind, Size::Two, number), inside])
        }
        0..=LONGEST_PAYLOAD => Tree::All(vec![is_length(), is(header, Size::One, number)]),
        _ => is(kind, Size::Two, number),
    }
}

/// The EtherTypes whose packets carry IPv4 addresses, and where source and destination are.
pub(super) static CARRIERS: [(&str, u32, u32, u32); 3] =
    [("ip", IPV4, 12, 16), ("arp", ARP, 14, 24), ("rarp", RARP, 14, 24)];
