//! IPv6 (RFC 8200).

use super::ip::{self, Addresses, Carrier};
use super::line::Line;
use super::read::ipv6_at;
use super::{Key, Next, NoteKind, Protocol, Stack, Value, Walk, be16, be32, field};
use crate::record::LinkType;

/// The bytes of the fixed header.
pub const HEADER: usize = 40;

/// IPv6.
pub static IPV6: Protocol = Protocol {
    name: "ipv6",
    title: "IPv6",
    keys: &[Key::EtherType(0x86dd), Key::IpProtocol(41), Key::Link(LinkType::IPV6)],
    fields: &[
        field!("version", 0, 1, Number, |h| h.first().map(|b| Value::Number(u64::from(b >> 4)))),
        field!("traffic_class", 0, 2, Hex, |h| {
            be16(h, 0).map(|word| Value::Hex(u64::from(word >> 4 & 0xff)))
        }),
        field!("flow_label", 0, 4, Hex, |h| {
            be32(h, 0).map(|word| Value::Hex(u64::from(word & 0xf_ffff)))
        }),
        field!("payload_length", 4, 2),
        field!("next_header", 6, 1, names ip::protocol_meaning),
        field!("hop_limit", 7, 1),
        field!("src", 8, ipv6),
        field!("dst", 24, ipv6),
    ],
    dissect,
    summary,
    ..Protocol::BASE
};

fn dissect(walk: &mut Walk<'_>) -> Next {
    if !walk.has(&IPV6, HEADER) {
        return Next::Payload;
    }
    let bytes = walk.rest();
    let version = bytes[0] >> 4;
    if version != 6 {
        walk.note(&IPV6, 0, NoteKind::Invalid { field: "version", value: version.into() });
        return Next::Payload;
    }
    let total = HEADER + usize::from(be16(bytes, 4).unwrap_or_default());
    if walk.has(&IPV6, total) {
        ip::note_what_follows(walk, &IPV6, bytes.len(), total);
    }
    let next = bytes[6];
    walk.push(&IPV6, HEADER, total);
    if let Some(addresses) = addresses(bytes) {
        walk.carried_by(Carrier { addresses, is_whole: bytes.len() >= total });
    }
    Next::IpProtocol(next)
}

/// Source and destination in a header.
pub fn addresses(header: &[u8]) -> Option<Addresses> {
    Some(Addresses::V6(ipv6_at(header, 8)?, ipv6_at(header, 24)?))
}

fn summary(stack: &Stack<'_>, n: usize, line: &mut Line) {
    let header = stack.header(n);
    let (Some(addresses), Some(&next)) = (addresses(header), header.get(6)) else { return };
    ip::say_ends(addresses, stack, n + 1, line);
    if !stack.summarise(n + 1, line) {
        ip::say_protocol(next, line);
        line.text(", length ").dec(stack.payload(n).len() as u64);
    }
}
