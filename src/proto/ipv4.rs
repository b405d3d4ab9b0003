//! IPv4 (RFC 791).

use super::line::Line;
use super::{Next, NoteKind, Protocol, Stack, Value, Walk, be16, field, ipv4_at};
use crate::checksum;

/// The bytes of a header without options.
pub const HEADER: usize = 20;

/// IPv4.
pub static IPV4: Protocol = Protocol {
    name: "ipv4",
    keys: &[Next::EtherType(0x0800)],
    fields: &[
        field!("version", 0, 1, |h| h.first().map(|b| Value::Number(u64::from(b >> 4)))),
        field!("ihl", 0, 1, |h| h.first().map(|b| Value::Number(u64::from(b & 15)))),
        field!("tos", 1, 1),
        field!("total_length", 2, 2),
        field!("identification", 4, 2),
        field!("reserved", 6, bit 0x80),
        field!("df", 6, bit 0x40),
        field!("mf", 6, bit 0x20),
        field!("fragment_offset", 6, 2, |h| fragment(h).map(|f| Value::Number(f.offset as u64))),
        field!("ttl", 8, 1),
        field!("protocol", 9, 1),
        field!("header_checksum", 10, hex16),
        field!("src", 12, ipv4),
        field!("dst", 16, ipv4),
    ],
    dissect,
    summary,
};

/// Where a datagram is a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Bytes of the original datagram's payload in front of this one.
    pub offset: usize,
    /// Whether more fragments follow.
    pub more: bool,
}

/// The fragment fields of a header.
pub fn fragment(header: &[u8]) -> Option<Fragment> {
    let word = be16(header, 6)?;
    Some(Fragment { offset: usize::from(word & 0x1fff) * 8, more: word & 0x2000 != 0 })
}

fn dissect(walk: &mut Walk<'_>) -> Next {
    if !walk.has(&IPV4, HEADER) {
        return Next::Payload;
    }
    let bytes = walk.rest();
    let (version, header) = (bytes[0] >> 4, usize::from(bytes[0] & 15) * 4);
    if version != 4 {
        let kind = NoteKind::Invalid { field: "version", value: version.into() };
        walk.note(&IPV4, 0, kind);
        return Next::Payload;
    }
    if header < HEADER {
        let kind = NoteKind::Invalid { field: "ihl", value: (header / 4) as u64 };
        walk.note(&IPV4, 0, kind);
        return Next::Payload;
    }
    if !walk.has(&IPV4, header) {
        return Next::Payload;
    }
    let found = be16(bytes, 10).unwrap_or_default();
    if let Some(expected) = checksum::correction(checksum::internet(&bytes[..header]), found) {
        walk.note(&IPV4, 10, NoteKind::Checksum { found, expected });
    }
    let total = usize::from(be16(bytes, 2).unwrap_or_default());
    if total < header {
        let kind = NoteKind::Invalid { field: "total_length", value: total as u64 };
        walk.note(&IPV4, 2, kind);
        walk.push(&IPV4, header, header);
        return Next::Payload;
    }
    if walk.has(&IPV4, total) {
        note_what_follows(walk, bytes.len(), total);
    }
    walk.push(&IPV4, header, total);
    match fragment(bytes) {
        Some(Fragment { offset: 0, .. }) => Next::IpProtocol(bytes[9]),
        _ => Next::Payload,
    }
}

/// Notes the bytes behind the datagram: padding to 60 bytes is ordinary, more is not.
fn note_what_follows(walk: &mut Walk<'_>, had: usize, total: usize) {
    match had - total {
        0 => {}
        n if had + super::ethernet::HEADER <= 60 => walk.note(&IPV4, total, NoteKind::Padding(n)),
        n => walk.note(&IPV4, total, NoteKind::Trailing(n)),
    }
}

fn summary(stack: &Stack<'_>, n: usize, line: &mut Line) {
    let header = stack.header(n);
    let (Some(src), Some(dst)) = (ipv4_at(header, 12), ipv4_at(header, 16)) else { return };
    let ports = stack.layers.get(n + 1).and_then(|above| ports(above.protocol, stack, n + 1));
    line.text("IP ").ipv4(src);
    if let Some((src, dst_port)) = ports {
        line.text(".").dec(src).text(" > ").ipv4(dst).text(".").dec(dst_port);
    } else {
        line.text(" > ").ipv4(dst);
    }
    line.text(": ");
    let part = fragment(header).filter(|part| part.more || part.offset > 0);
    if !stack.summarise(n + 1, line) {
        line.text(protocol_name(header[9]));
        if protocol_name(header[9]) == "protocol" {
            line.text(" ").dec(header[9]);
        }
        line.text(", length ").dec(stack.payload(n).len() as u64);
    }
    if let Some(Fragment { offset, more }) = part {
        line.text(", fragment of id ").dec(be16(header, 4).unwrap_or_default());
        line.text(" at ").dec(offset as u64).text(if more { ", more follow" } else { ", last" });
    }
}

fn ports(above: &'static Protocol, stack: &Stack<'_>, n: usize) -> Option<(u16, u16)> {
    let has_ports = [&super::udp::UDP, &super::tcp::TCP].contains(&above);
    let header = stack.header(n);
    has_ports.then(|| Some((be16(header, 0)?, be16(header, 2)?))).flatten()
}

/// The name of an IP protocol that is not dissected further, or "protocol".
fn protocol_name(number: u8) -> &'static str {
    match number {
        1 => "ICMP",
        2 => "IGMP",
        4 => "IP-in-IP",
        6 => "TCP",
        17 => "UDP",
        41 => "IPv6-in-IP",
        47 => "GRE",
        50 => "ESP",
        51 => "AH",
        58 => "ICMPv6",
        89 => "OSPF",
        132 => "SCTP",
        _ => "protocol",
    }
}
