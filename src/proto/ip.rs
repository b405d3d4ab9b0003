//! What IPv4 and IPv6 have in common for the layers above: addresses, ports in front of the
//! summary, names of protocol numbers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::line::Line;
use super::{NoteKind, Protocol, Stack, Walk, be16, ethernet, ipv4, ipv6_extensions, tcp, udp};
use crate::checksum::Sum;

/// Source and destination of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Addresses {
    /// Of an IPv4 datagram.
    V4(Ipv4Addr, Ipv4Addr),
    /// Of an IPv6 packet.
    V6(Ipv6Addr, Ipv6Addr),
}

impl Addresses {
    /// Source and destination, of whichever version.
    pub fn both(self) -> (IpAddr, IpAddr) {
        match self {
            Addresses::V4(source, destination) => (source.into(), destination.into()),
            Addresses::V6(source, destination) => (source.into(), destination.into()),
        }
    }
}

/// A datagram, as far as its payload has to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carrier {
    /// From whom to whom.
    pub addresses: Addresses,
    /// All of the payload is there: it is no fragment and nothing is cut off.
    pub is_whole: bool,
}

impl Carrier {
    /// The pseudo header's part of a checksum over `length` bytes of `protocol`.
    pub fn pseudo_header(&self, protocol: u8, length: usize) -> Sum {
        match self.addresses {
            Addresses::V4(source, destination) => {
                Sum::pseudo(source, destination, protocol, length)
            }
            Addresses::V6(source, destination) => {
                Sum::pseudo_v6(source, destination, protocol, length)
            }
        }
    }
}

/// Says ` > ` between two addresses, with the ports of layer `n` if it has any.
pub(super) fn say_ends(addresses: Addresses, stack: &Stack<'_>, n: usize, line: &mut Line) {
    let ports = ports(stack, n);
    let port = |port: Option<u16>, line: &mut Line| {
        if let Some(port) = port {
            line.text(".").dec(port);
        }
    };
    match addresses {
        Addresses::V4(source, destination) => {
            line.text("IP ").ipv4(source);
            port(ports.map(|ports| ports.0), line);
            line.text(" > ").ipv4(destination);
        }
        Addresses::V6(source, destination) => {
            line.text("IP6 ").ipv6(source);
            port(ports.map(|ports| ports.0), line);
            line.text(" > ").ipv6(destination);
        }
    }
    port(ports.map(|ports| ports.1), line);
    line.text(": ");
}

/// Source and destination port of layer `n`, if it is one that has ports.
pub fn ports(stack: &Stack<'_>, n: usize) -> Option<(u16, u16)> {
    let layer = stack.layers.get(n)?;
    let has_ports = layer.protocol == &udp::UDP || layer.protocol == &tcp::TCP;
    let header = stack.header(n);
    has_ports.then(|| Some((be16(header, 0)?, be16(header, 2)?))).flatten()
}

/// Source and destination of the nearest datagram that carries layer `n`.
pub fn addresses(stack: &Stack<'_>, n: usize) -> Option<Addresses> {
    let below = (0..n.min(stack.layers.len())).rev();
    below.into_iter().find_map(|n| {
        let (protocol, header) = (stack.layers[n].protocol, stack.header(n));
        if protocol == &super::ipv4::IPV4 {
            super::ipv4::addresses(header)
        } else if protocol == &super::ipv6::IPV6 {
            super::ipv6::addresses(header)
        } else {
            None
        }
    })
}

/// What an error message tells of the packet that it quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// From whom to whom.
    pub addresses: Addresses,
    /// The protocol that it carries, behind all extension headers.
    pub protocol: u8,
    /// Source and destination port, where the protocol has ports and they are quoted.
    pub ports: Option<(u16, u16)>,
}

/// The quoted packet that begins with layer `n`. Errors quote as little as eight bytes of what the packet
/// carries, less than a TCP header: the ports are read all the same.
pub fn quoted(stack: &Stack<'_>, n: usize) -> Option<Quoted> {
    stack.layers.get(n).filter(|layer| layer.is_quoted)?;
    let addresses = addresses(stack, n + 1)?;
    let top = match addresses {
        Addresses::V4(..) => n,
        Addresses::V6(..) => ipv6_extensions::first_above(stack, n + 1) - 1,
    };
    let header = stack.header(top);
    let protocol = match (addresses, top == n) {
        (Addresses::V4(..), _) => *header.get(9)?,
        (Addresses::V6(..), true) => *header.get(6)?,
        (Addresses::V6(..), false) => *header.first()?,
    };
    let is_first = match addresses {
        Addresses::V4(..) => ipv4::fragment(header)?.offset == 0,
        Addresses::V6(..) => !ipv6_extensions::is_later_fragment(stack, top),
    };
    let has_ports = matches!(protocol, 6 | 17 | 33 | 132 | 136) && is_first;
    let payload = stack.payload(top);
    let ports = be16(payload, 0).zip(be16(payload, 2)).filter(|_| has_ports);
    Some(Quoted { addresses, protocol, ports })
}

/// Says the port to which a quoted packet was sent, or its protocol where that has no ports.
pub(super) fn say_refused_port(quoted: &Quoted, line: &mut Line) {
    match quoted.protocol {
        6 => line.text("tcp"),
        17 => line.text("udp"),
        132 => line.text("sctp"),
        number => line.text("protocol ").dec(number),
    };
    line.text(" port");
    if let Some((_, port)) = quoted.ports {
        line.text(" ").dec(port);
    }
}

/// Says what a protocol number means that is not dissected further.
pub(super) fn say_protocol(number: u8, line: &mut Line) {
    match protocol_name(number) {
        Some(name) => line.text(name),
        None => line.text("protocol ").dec(number),
    };
}

/// The name of an IP protocol (IANA's registry of assigned Internet protocol numbers).
pub fn protocol_name(number: u8) -> Option<&'static str> {
    Some(match number {
        0 => "hop-by-hop options",
        1 => "ICMP",
        2 => "IGMP",
        4 => "IP-in-IP",
        6 => "TCP",
        8 => "EGP",
        9 => "IGP",
        17 => "UDP",
        27 => "RDP",
        33 => "DCCP",
        41 => "IPv6-in-IP",
        43 => "routing header",
        44 => "fragment header",
        46 => "RSVP",
        47 => "GRE",
        50 => "ESP",
        51 => "AH",
        58 => "ICMPv6",
        59 => "no next header",
        60 => "destination options",
        88 => "EIGRP",
        89 => "OSPF",
        94 => "IPIP",
        97 => "Ethernet-in-IP",
        98 => "encapsulation header",
        103 => "PIM",
        108 => "IPComp",
        112 => "VRRP",
        115 => "L2TP",
        132 => "SCTP",
        133 => "Fibre Channel",
        135 => "mobility header",
        136 => "UDP-Lite",
        137 => "MPLS-in-IP",
        139 => "HIP",
        140 => "Shim6",
        143 => "Ethernet",
        253 | 254 => "experimental",
        _ => return None,
    })
}

/// The same for a field's meaning.
pub(super) fn protocol_meaning(number: u64) -> Option<&'static str> {
    protocol_name(u8::try_from(number).ok()?)
}

/// Whether the `total` bytes of a datagram are there; if not, notes it, unless the datagram is in a
/// fragment of another one, where its end is elsewhere.
pub(super) fn has_datagram(walk: &mut Walk<'_>, protocol: &'static Protocol, total: usize) -> bool {
    let is_in_part = walk.carrier().is_some_and(|carrier| !carrier.is_whole);
    if is_in_part { walk.rest().len() >= total } else { walk.has_all(protocol, total) }
}

/// Notes the bytes behind a datagram of `total` bytes when `had` are there: padding of the frame to 60
/// bytes is ordinary, more is not.
pub(super) fn note_what_follows(
    walk: &mut Walk<'_>,
    protocol: &'static Protocol,
    had: usize,
    total: usize,
) {
    match had.saturating_sub(total) {
        0 => {}
        n if had + ethernet::HEADER <= 60 => walk.note(protocol, total, NoteKind::Padding(n)),
        n => walk.note(protocol, total, NoteKind::Trailing(n)),
    }
}
