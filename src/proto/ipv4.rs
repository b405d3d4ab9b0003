//! IPv4 (RFC 791).

use super::ip::{self, Addresses, Carrier};
use super::line::Line;
use super::{
    Item, Key, Next, NoteKind, Protocol, Stack, Value, Walk, be16, field, ipv4_at, listed,
};
use crate::checksum;
use crate::record::LinkType;

/// The bytes of a header without options.
pub const HEADER: usize = 20;

/// IPv4.
pub static IPV4: Protocol = Protocol {
    name: "ipv4",
    title: "IPv4",
    keys: &[
        Key::EtherType(0x0800),
        Key::IpProtocol(4),
        Key::Link(LinkType::IPV4),
        Key::Link(LinkType::RAW),
    ],
    fields: &[
        field!("version", 0, 1, Number, |h| h.first().map(|b| Value::Number(u64::from(b >> 4)))),
        field!("ihl", 0, 1, Number, |h| h.first().map(|b| Value::Number(u64::from(b & 15)))),
        field!("tos", 1, hex8),
        field!("total_length", 2, 2),
        field!("identification", 4, 2),
        field!("flags.reserved", 6, bit 0x80),
        field!("flags.df", 6, bit 0x40),
        field!("flags.mf", 6, bit 0x20),
        field!("fragment_offset", 6, 2, Number, |h| {
            fragment(h).map(|f| Value::Number(f.offset as u64))
        }),
        field!("ttl", 8, 1),
        field!("protocol", 9, 1, names ip::protocol_meaning),
        field!("header_checksum", 10, hex16),
        field!("src", 12, ipv4),
        field!("dst", 16, ipv4),
        listed!("option.type", Number, many),
        listed!("option.router", Ipv4, many),
    ],
    dissect,
    summary,
    list,
    ..Protocol::BASE
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
    if version == 6 && walk.depth() == 0 {
        return Next::EtherType(0x86dd); // a capture of either
    }
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
    if ip::has_datagram(walk, &IPV4, total) {
        ip::note_what_follows(walk, &IPV4, bytes.len(), total);
    }
    let part = fragment(bytes);
    walk.push(&IPV4, header, total);
    if let Some(addresses) = end_addresses(&bytes[..header]) {
        let is_fragment = part.is_some_and(|part| part.more || part.offset > 0);
        let is_whole = !is_fragment && bytes.len() >= total;
        walk.carried_by(Carrier { addresses, is_whole });
    }
    match part {
        Some(Fragment { offset: 0, .. }) => Next::IpProtocol(bytes[9]),
        _ => Next::Payload,
    }
}

/// Source and destination in a header.
pub fn addresses(header: &[u8]) -> Option<Addresses> {
    Some(Addresses::V4(ipv4_at(header, 12)?, ipv4_at(header, 16)?))
}

/// Source and final destination: the header names the next router of a source route that has not come to
/// its end (RFC 791 section 3.1), but checksums are about the last one.
fn end_addresses(header: &[u8]) -> Option<Addresses> {
    let route = options(header).find_map(|(_, option)| match option {
        [131 | 137, _, pointer, ..] if usize::from(*pointer) < option.len() => Some(option),
        _ => None,
    });
    let last = route.and_then(|route| ipv4_at(route, route.len().checked_sub(4)?));
    let destination = last.or(ipv4_at(header, 16))?;
    Some(Addresses::V4(ipv4_at(header, 12)?, destination))
}

/// The options of a header: place and bytes of each, as far as they can be read.
pub fn options(header: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = HEADER;
    std::iter::from_fn(move || {
        let kind = *header.get(at)?;
        let length = match kind {
            0 | 1 => 1,
            _ => usize::from(*header.get(at + 1)?).max(2),
        };
        let option = (at, header.get(at..at + length)?);
        at = if kind == 0 { header.len() } else { at + length };
        Some(option)
    })
}

fn list(stack: &Stack<'_>, n: usize, visit: &mut dyn FnMut(Item<'_>)) {
    for (at, option) in options(stack.header(n)) {
        let kind = option[0];
        let value = Value::Number(kind.into());
        visit(Item::new("option.type", value, at, option.len()).meaning(option_name(kind)));
        if matches!(kind, 7 | 131 | 137) {
            for place in (3..option.len().saturating_sub(3)).step_by(4) {
                if let Some(router) = ipv4_at(option, place) {
                    visit(Item::new("option.router", Value::Ipv4(router), at + place, 4));
                }
            }
        }
    }
}

/// The name of an option (IANA's registry of IP option numbers).
fn option_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        0 => "EOL",
        1 => "NOP",
        7 => "RR",
        68 => "timestamp",
        130 => "security",
        131 => "LSRR",
        137 => "SSRR",
        136 => "stream id",
        148 => "RA",
        _ => return None,
    })
}

fn summary(stack: &Stack<'_>, n: usize, line: &mut Line) {
    let header = stack.header(n);
    let (Some(addresses), Some(&protocol)) = (addresses(header), header.get(9)) else { return };
    ip::say_ends(addresses, stack, n + 1, line);
    let part = fragment(header).filter(|part| part.more || part.offset > 0);
    if !stack.summarise(n + 1, line) {
        ip::say_protocol(protocol, line);
        line.text(", length ").dec(stack.payload_length(n) as u64);
    }
    if let Some(Fragment { offset, more }) = part {
        line.text(", fragment of id ").dec(be16(header, 4).unwrap_or_default());
        line.text(" at ").dec(offset as u64).text(if more { ", more follow" } else { ", last" });
    }
    if header.len() > HEADER && !line.is_brief() {
        say_options(header, line);
    }
}

fn say_options(header: &[u8], line: &mut Line) {
    line.text(", options (");
    for (n, (_, option)) in options(header).enumerate() {
        if n > 0 {
            line.text(",");
        }
        match option_name(option[0]) {
            Some(name) => line.text(name),
            None => line.text("unknown ").dec(option[0]),
        };
    }
    line.text(")");
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use crate::checksum::{self, Sum};
    use crate::proto::examined;
    use crate::proto::samples;

    /// A datagram that goes to 10.0.0.9 by way of 192.168.100.1, the pointer of its source route being this.
    fn routed(pointer: u8) -> Vec<u8> {
        let (source, last) = (Ipv4Addr::new(192, 168, 100, 2), Ipv4Addr::new(10, 0, 0, 9));
        let mut datagram = vec![0, 7, 0, 9, 0, 9, 0, 0, b'x'];
        let sum = Sum::pseudo(source, last, 17, 9).plus(&datagram).finish().to_be_bytes();
        datagram[6..8].copy_from_slice(&sum);
        let mut header = vec![0x47, 0, 0, 37, 0, 1, 0, 0, 64, 17, 0, 0];
        header.extend([192, 168, 100, 2, 192, 168, 100, 1, 131, 7, pointer, 10, 0, 0, 9, 0]);
        let sum = checksum::internet(&header).to_be_bytes();
        header[10..12].copy_from_slice(&sum);
        samples::ethernet(0x0800, &[header, datagram].concat())
    }

    #[test]
    fn checksums_are_about_the_end_of_a_source_route() {
        insta::assert_snapshot!(examined::lines(&[routed(4), routed(8)]), @r"
        IP 192.168.100.2.7 > 192.168.100.1.9: UDP, length 1, options (LSRR,EOL)
        IP 192.168.100.2.7 > 192.168.100.1.9: UDP, length 1, options (LSRR,EOL) [48: bad udp cksum 5918, should be 3e77]
        ");
    }

    #[test]
    fn a_packet_in_a_fragment_of_another_is_not_blamed_for_its_end() {
        let inner = samples::ipv4(253, &[7; 40]);
        let mut whole = samples::ipv4(4, &inner[..40]);
        let broken = samples::ethernet(0x0800, &whole);
        whole[6] = 0x20; // more fragments follow
        whole[10..12].fill(0);
        let sum = checksum::internet(&whole[..20]).to_be_bytes();
        whole[10..12].copy_from_slice(&sum);
        let part = samples::ethernet(0x0800, &whole);
        insta::assert_snapshot!(examined::lines(&[broken, part]), @r"
        IP 192.168.100.2 > 192.168.100.1: IP 192.168.100.2 > 192.168.100.1: experimental, length 20 [34: truncated: ipv4 needs 60 bytes, had 40]
        IP 192.168.100.2 > 192.168.100.1: IP 192.168.100.2 > 192.168.100.1: experimental, length 20, fragment of id 1 at 0, more follow
        ");
    }
}
