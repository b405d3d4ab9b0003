//! What IPv4 and IPv6 have in common for the layers above: addresses, ports in front of the
//! summary, names of protocol numbers.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::line::Line;
use super::{NoteKind, Protocol, Stack, Walk, be16, ethernet, tcp, udp};
use crate::checksum::Sum;

/// Source and destination of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Addresses {
    /// Of an IPv4 datagram.
    V4(Ipv4Addr, Ipv4Addr),
    /// Of an IPv6 packet.
    V6(Ipv6Addr, Ipv6Addr),
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
        17 => "UDP",
        41 => "IPv6-in-IP",
        43 => "routing header",
        44 => "fragment header",
        47 => "GRE",
        50 => "ESP",
        51 => "AH",
        58 => "ICMPv6",
        59 => "no next header",
        60 => "destination options",
        89 => "OSPF",
        103 => "PIM",
        112 => "VRRP",
        132 => "SCTP",
        136 => "UDP-Lite",
        _ => return None,
    })
}

/// The same for a field's meaning.
pub(super) fn protocol_meaning(number: u64) -> Option<&'static str> {
    protocol_name(u8::try_from(number).ok()?)
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
