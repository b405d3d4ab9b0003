//! IPv6's extension headers (RFC 8200 section 4) and AH (RFC 4302), a layer each.
//!
//! They change what the layers above may trust: a fragment is not whole, so that no checksum
//! can be verified; a routing header that is not used up means that the checksum was made for another
//! destination than the one in the fixed header, and a home address (RFC 6275) for another source.

use std::net::Ipv6Addr;

use super::ip::{self, Addresses, Carrier};
use super::line::Line;
use super::read::ipv6_at;
use super::{
    Item, Key, Next, NoteKind, Protocol, Stack, Value, Walk, be16, be32, field, ipv6, ipv6_options,
    listed,
};

/// Hop-by-hop options (RFC 8200 section 4.3).
pub static HOP_BY_HOP: Protocol = Protocol {
    name: "ipv6_hop_by_hop",
    title: "IPv6 hop-by-hop options",
    keys: &[Key::IpProtocol(0)],
    fields: ipv6_options::FIELDS,
    dissect: |walk| {
        if is_in_ipv6(walk) && walk.last() != Some(&ipv6::IPV6) {
            walk.note(&HOP_BY_HOP, 0, NoteKind::Wrong("does not follow the fixed header"));
        }
        dissect_options(walk, &HOP_BY_HOP)
    },
    summary: |stack, n, line| say_options("HBH ", stack, n, line),
    list: ipv6_options::list,
    ..Protocol::BASE
};

/// Destination options (RFC 8200 section 4.6).
pub static DESTINATION: Protocol = Protocol {
    name: "ipv6_destination",
    title: "IPv6 destination options",
    keys: &[Key::IpProtocol(60)],
    fields: ipv6_options::FIELDS,
    dissect: |walk| dissect_options(walk, &DESTINATION),
    summary: |stack, n, line| say_options("DSTOPT ", stack, n, line),
    list: ipv6_options::list,
    ..Protocol::BASE
};

/// A routing header (RFC 8200 section 4.4; type 0: RFC 5095, type 2: RFC 6275, type 3: RFC 6554,
/// type 4: RFC 8754).
pub static ROUTING: Protocol = Protocol {
    name: "ipv6_routing",
    title: "IPv6 routing header",
    keys: &[Key::IpProtocol(43)],
    fields: &[
        field!("next_header", 0, 1, names ip::protocol_meaning),
        field!("hdr_ext_len", 1, 1),
        field!("routing_type", 2, 1, names routing_name),
        field!("segments_left", 3, 1),
        field!("last_entry", 4, 1, Number, |h| segment_routing(h, 4)),
        field!("flags", 5, 1, Number, |h| segment_routing(h, 5)),
        field!("tag", 6, 2, Number, |h| {
            be16(h, 6).filter(|_| h.get(2) == Some(&4)).map(|tag| Value::Number(tag.into()))
        }),
        listed!("address", Ipv6, many),
    ],
    dissect: dissect_routing,
    summary: say_routing,
    list: list_routing,
    ..Protocol::BASE
};

/// A fragment header (RFC 8200 section 4.5).
pub static FRAGMENT: Protocol = Protocol {
    name: "ipv6_fragment",
    title: "IPv6 fragment header",
    keys: &[Key::IpProtocol(44)],
    fields: &[
        field!("next_header", 0, 1, names ip::protocol_meaning),
        field!("fragment_offset", 2, 2, Number, |h| {
            be16(h, 2).map(|word| Value::Number((word & 0xfff8).into()))
        }),
        field!("flags.m", 3, bit 0x01),
        field!("identification", 4, 4),
    ],
    dissect: dissect_fragment,
    summary: say_fragment,
    ..Protocol::BASE
};

/// An authentication header (RFC 4302 section 2), in IPv4 as in IPv6.
pub static AH: Protocol = Protocol {
    name: "ah",
    title: "Authentication header",
    keys: &[Key::IpProtocol(51)],
    fields: &[
        field!("next_header", 0, 1, names ip::protocol_meaning),
        field!("payload_len", 1, 1),
        field!("spi", 4, hex32),
        field!("sequence_number", 8, 4),
        listed!("icv", Bytes),
    ],
    dissect: dissect_ah,
    summary: say_ah,
    list: |stack, n, visit| {
        if let Some(icv @ [_, ..]) = stack.header(n).get(12..) {
            visit(Item::new("icv", Value::Bytes(icv), 12, icv.len()));
        }
    },
    ..Protocol::BASE
};

/// Whether what comes now is carried by IPv6; its extension headers mean nothing elsewhere.
fn is_in_ipv6(walk: &Walk<'_>) -> bool {
    matches!(walk.carrier(), Some(Carrier { addresses: Addresses::V6(..), .. }))
}

/// The bytes of a header that counts itself in units of eight bytes, the first left out, if all of it is
/// there; what is not gets noted and pushed.
fn whole<'a>(walk: &mut Walk<'a>, protocol: &'static Protocol) -> Option<&'a [u8]> {
    if !is_in_ipv6(walk) || !walk.has(protocol, 8) {
        return None;
    }
    let bytes = walk.rest();
    let length = 8 + 8 * usize::from(bytes[1]);
    if !walk.has(protocol, length) {
        walk.push(protocol, length, length);
        return None;
    }
    Some(&bytes[..length])
}

fn dissect_options(walk: &mut Walk<'_>, protocol: &'static Protocol) -> Next {
    let Some(header) = whole(walk, protocol) else { return Next::Payload };
    let end = ipv6_options::each(header).last().map_or(2, |(at, option)| at + option.len());
    if end < header.len() {
        walk.note(protocol, end, NoteKind::Wrong("an option runs over the end of the header"));
    }
    if let Some(home) = home_address(protocol, header) {
        readdress(walk, |_, destination| Addresses::V6(home, destination));
    }
    walk.push(protocol, header.len(), usize::MAX);
    Next::IpProtocol(header[0])
}

/// The source that checksums are made of, if this is a header of options that has another one.
pub(crate) fn home_address(protocol: &Protocol, header: &[u8]) -> Option<Ipv6Addr> {
    let has_options = protocol == &HOP_BY_HOP || protocol == &DESTINATION;
    let mut options = ipv6_options::each(header).filter(|_| has_options);
    let home = options.find(|(_, option)| option.len() == 18 && option[0] == 201);
    home.and_then(|(_, option)| ipv6_at(option, 2))
}

/// Changes the addresses that checksums are made of.
fn readdress(walk: &mut Walk<'_>, change: impl Fn(Ipv6Addr, Ipv6Addr) -> Addresses) {
    if let Some(Carrier { addresses: Addresses::V6(source, destination), is_whole }) =
        walk.carrier()
    {
        walk.carried_by(Carrier { addresses: change(source, destination), is_whole });
    }
}

/// From now on nothing can be verified.
fn distrust(walk: &mut Walk<'_>) {
    if let Some(carrier) = walk.carrier() {
        walk.carried_by(Carrier { is_whole: false, ..carrier });
    }
}

fn dissect_routing(walk: &mut Walk<'_>) -> Next {
    let Some(header) = whole(walk, &ROUTING) else { return Next::Payload };
    let (kind, left) = (header[2], usize::from(header[3]));
    let count = addresses(header).count();
    let most = match kind {
        0 => header.len() / 16,
        2 => 1,
        4 => usize::from(header[4]) + 1,
        _ => usize::MAX,
    };
    if matches!(kind, 0 | 2 | 4) && (left > most || count < most) {
        let what = "more segments than the header has room for";
        walk.note(&ROUTING, 3, NoteKind::Wrong(what));
        distrust(walk);
    } else if left > 0 {
        match last_segment(header) {
            Some(last) => readdress(walk, |source, _| Addresses::V6(source, last)),
            None => distrust(walk),
        }
    }
    walk.push(&ROUTING, header.len(), usize::MAX);
    Next::IpProtocol(header[0])
}

/// Where a routing header leads in the end, if it says so.
pub(crate) fn last_segment(header: &[u8]) -> Option<Ipv6Addr> {
    let last = match header.get(2)? {
        0 | 2 => addresses(header).last(),
        4 => addresses(header).next(), // the list is in reverse order
        _ => None,
    };
    last.map(|(_, address)| address)
}

/// The addresses of a routing header, of those types that hold whole ones, and where they are.
pub(crate) fn addresses(header: &[u8]) -> impl Iterator<Item = (usize, Ipv6Addr)> {
    let count = match header.get(2) {
        Some(0) => usize::MAX,
        Some(2) => 1,
        Some(4) => header.get(4).map_or(0, |last| usize::from(*last) + 1),
        _ => 0,
    };
    (8..header.len()).step_by(16).take(count).map_while(|at| Some((at, ipv6_at(header, at)?)))
}

/// A byte that only segment routing headers have.
fn segment_routing(header: &[u8], at: usize) -> Option<Value<'_>> {
    let byte = header.get(at).filter(|_| header.get(2) == Some(&4))?;
    Some(Value::Number(u64::from(*byte)))
}

fn list_routing(stack: &Stack<'_>, n: usize, visit: &mut dyn FnMut(Item<'_>)) {
    for (at, address) in addresses(stack.header(n)) {
        visit(Item::new("address", Value::Ipv6(address), at, 16));
    }
}

/// The name of a routing type (IANA's registry).
fn routing_name(kind: u64) -> Option<&'static str> {
    Some(match kind {
        0 => "source route, deprecated",
        1 => "Nimrod, deprecated",
        2 => "mobile IPv6",
        3 => "RPL source route",
        4 => "segment routing",
        5 => "CRH-16",
        6 => "CRH-32",
        253 | 254 => "experimental",
        _ => return None,
    })
}

fn dissect_fragment(walk: &mut Walk<'_>) -> Next {
    if !is_in_ipv6(walk) || !walk.has(&FRAGMENT, 8) {
        return Next::Payload;
    }
    let bytes = walk.rest();
    let word = be16(bytes, 2).unwrap_or_default();
    let (offset, more, length) = (word & 0xfff8, word & 1 != 0, bytes.len() - 8);
    if walk.is_whole() && more && !length.is_multiple_of(8) {
        walk.note(&FRAGMENT, 3, NoteKind::Wrong("length not a multiple of 8, but more follow"));
    }
    if usize::from(offset) + length > 0xffff {
        walk.note(&FRAGMENT, 2, NoteKind::Wrong("ends beyond 65535 bytes"));
    }
    if more || offset > 0 {
        distrust(walk);
    }
    walk.push(&FRAGMENT, 8, usize::MAX);
    if offset > 0 { Next::Payload } else { Next::IpProtocol(bytes[0]) }
}

fn dissect_ah(walk: &mut Walk<'_>) -> Next {
    if walk.carrier().is_none() || !walk.has(&AH, 12) {
        return Next::Payload;
    }
    let bytes = walk.rest();
    let length = 4 * (usize::from(bytes[1]) + 2);
    if length < 12 {
        walk.note(&AH, 1, NoteKind::Invalid { field: "payload_len", value: bytes[1].into() });
        return Next::Payload;
    }
    let is_whole = walk.has(&AH, length);
    walk.push(&AH, length, usize::MAX);
    if is_whole { Next::IpProtocol(bytes[0]) } else { Next::Payload }
}

/// The number of the first layer from `n` on that is no extension header; there may be no such layer.
pub(super) fn first_above(stack: &Stack<'_>, n: usize) -> usize {
    let above = stack.layers.iter().skip(n);
    n + above.take_while(|layer| is_extension(layer.protocol)).count()
}

fn is_extension(protocol: &Protocol) -> bool {
    [&HOP_BY_HOP, &DESTINATION, &ROUTING, &FRAGMENT, &AH].contains(&protocol)
}

/// Whether layer `n` is a fragment header of a fragment that is not the first.
pub(super) fn is_later_fragment(stack: &Stack<'_>, n: usize) -> bool {
    let is_fragment = stack.layers.get(n).is_some_and(|layer| layer.protocol == &FRAGMENT);
    is_fragment && be16(stack.header(n), 2).is_some_and(|word| word & 0xfff8 != 0)
}

/// Says what follows layer `n`, the fixed header or an extension, which says that it is `next`.
pub(super) fn say_next(stack: &Stack<'_>, n: usize, next: u8, line: &mut Line) {
    if stack.summarise(n + 1, line) {
        return;
    }
    let length = stack.payload_length(n);
    ip::say_protocol(next, line);
    if next != 59 || length > 0 {
        line.text(", length ").dec(length as u64);
    }
}

fn say_options(name: &str, stack: &Stack<'_>, n: usize, line: &mut Line) {
    if !line.is_brief() {
        line.text(name);
    }
    say_next(stack, n, stack.header(n).first().copied().unwrap_or_default(), line);
}

fn say_routing(stack: &Stack<'_>, n: usize, line: &mut Line) {
    let header = stack.header(n);
    let &[next, length, kind, left, ..] = header else { return };
    if !line.is_brief() {
        line.text("RT6 (len=").dec(length).text(", type=").dec(kind);
        line.text(if kind == 0 { " [Deprecated]" } else { "" }).text(", segleft=").dec(left);
        if let (4, Some(last), Some(tag)) = (kind, header.get(4), be16(header, 6)) {
            line.text(", last-entry=").dec(*last).text(", tag=").hex(tag, 4);
        }
        for (n, (_, address)) in addresses(header).enumerate() {
            line.text(", [").dec(n as u64).text("]").ipv6(address);
        }
        line.text(") ");
    }
    say_next(stack, n, next, line);
}

fn say_fragment(stack: &Stack<'_>, n: usize, line: &mut Line) {
    let header = stack.header(n);
    let (Some(&next), Some(word)) = (header.first(), be16(header, 2)) else { return };
    line.text("frag (").dec(word & 0xfff8).text("|").dec(stack.payload_length(n) as u64).text(")");
    if word & 0xfff8 == 0 {
        line.text(" ");
        say_next(stack, n, next, line);
    }
}

fn say_ah(stack: &Stack<'_>, n: usize, line: &mut Line) {
    let header = stack.header(n);
    let (Some(&next), Some(spi), Some(sequence)) =
        (header.first(), be32(header, 4), be32(header, 8))
    else {
        return;
    };
    line.text("AH(spi=0x").hex(spi, 8).text(",seq=0x").display(format_args!("{sequence:x}"));
    line.text("): ");
    say_next(stack, n, next, line);
}

#[cfg(test)]
mod tests;
