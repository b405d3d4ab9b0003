//! ICMP for IPv4 (RFC 792; masks: RFC 950, mtu: RFC 1191, further codes: RFC 1122 section 3.2.2.1 and RFC 1812
//! section 5.2.7.1, routers: RFC 1256, length of the quotation: RFC 4884).
//!
//! All messages begin with type, code and checksum; what the next bytes are depends on the type, and
//! a field is only there where its type has it. An error quotes the beginning of the packet that it is
//! about: what follows the header is dissected, as quoted, and the summary tells whose packet it was.

use super::ip::{self, Addresses, Quoted};
use super::line::Line;
use super::{
    Exchange, Item, Key, Next, NoteKind, Protocol, Stack, Value, Walk, be16, be32, field,
    icmp_names, ipv4_at, listed,
};
use crate::checksum;

/// The bytes of an ICMP header.
pub const HEADER: usize = 8;
/// The type of an echo reply.
pub const ECHO_REPLY: u8 = 0;
/// The type of destination unreachable.
pub const UNREACHABLE: u8 = 3;
/// The type of an echo request.
pub const ECHO_REQUEST: u8 = 8;

const REDIRECT: u8 = 5;
const ROUTER_ADVERTISEMENT: u8 = 9;
const TIME_EXCEEDED: u8 = 11;
const PARAMETER_PROBLEM: u8 = 12;
const TIMESTAMP: u8 = 13;
const TIMESTAMP_REPLY: u8 = 14;
const MASK_REQUEST: u8 = 17;
const MASK_REPLY: u8 = 18;

/// ICMP.
pub static ICMP: Protocol = Protocol {
    name: "icmp",
    title: "ICMP",
    keys: &[Key::IpProtocol(1)],
    fields: &[
        field!("type", 0, 1, names icmp_names::type_meaning),
        field!("code", 1, 1, meaning icmp_names::code_meaning),
        field!("checksum", 2, hex16),
        field!("identifier", 4, 2, Number, |h| of(h, is_query, be16(h, 4))),
        field!("sequence_number", 6, 2, Number, |h| of(h, is_query, be16(h, 6))),
        field!("gateway", 4, 4, Ipv4, |h| {
            ipv4_at(h, 4).filter(|_| h[0] == REDIRECT).map(Value::Ipv4)
        }),
        field!("pointer", 4, 1, Number, |h| {
            of(h, |kind, _| kind == PARAMETER_PROBLEM, h.get(4).copied())
        }),
        field!("length", 5, 1, Number, |h| of(h, has_length, h.get(5).copied())),
        field!("mtu", 6, 2, Number, |h| of(h, is_too_big, be16(h, 6))),
        field!("originate_timestamp", 8, 4, Number, |h| of(h, is_timestamp, be32(h, 8))),
        field!("receive_timestamp", 12, 4, Number, |h| of(h, is_timestamp, be32(h, 12))),
        field!("transmit_timestamp", 16, 4, Number, |h| of(h, is_timestamp, be32(h, 16))),
        field!("address_mask", 8, 4, Ipv4, |h| {
            ipv4_at(h, 8).filter(|_| matches!(h[0], MASK_REQUEST | MASK_REPLY)).map(Value::Ipv4)
        }),
        field!("num_addrs", 4, 1, Number, |h| of(h, is_router, h.get(4).copied())),
        field!("addr_entry_size", 5, 1, Number, |h| of(h, is_router, h.get(5).copied())),
        field!("lifetime", 6, 2, Number, |h| of(h, is_router, be16(h, 6))),
        listed!("router_address", Ipv4, many),
        listed!("preference_level", Number, many),
    ],
    dissect,
    summary,
    list,
    exchange,
};

/// `value`, if a message of that type and code has it.
fn of(
    header: &[u8],
    has: fn(kind: u8, code: u8) -> bool,
    value: Option<impl Into<u64>>,
) -> Option<Value<'_>> {
    let &[kind, code, ..] = header else { return None };
    value.filter(|_| has(kind, code)).map(|value| Value::Number(value.into()))
}

fn is_query(kind: u8, _: u8) -> bool {
    matches!(kind, ECHO_REPLY | ECHO_REQUEST | TIMESTAMP..=MASK_REPLY | 37 | 38)
}

fn has_length(kind: u8, _: u8) -> bool {
    matches!(kind, UNREACHABLE | TIME_EXCEEDED | PARAMETER_PROBLEM)
}

fn is_too_big(kind: u8, code: u8) -> bool {
    (kind, code) == (UNREACHABLE, 4)
}

fn is_timestamp(kind: u8, _: u8) -> bool {
    matches!(kind, TIMESTAMP | TIMESTAMP_REPLY)
}

fn is_router(kind: u8, _: u8) -> bool {
    kind == ROUTER_ADVERTISEMENT
}

/// Whether a message of that type quotes the packet that it is about.
fn is_error(kind: u8) -> bool {
    matches!(kind, UNREACHABLE | 4 | REDIRECT | TIME_EXCEEDED | PARAMETER_PROBLEM)
}

fn dissect(walk: &mut Walk<'_>) -> Next {
    if !walk.has(&ICMP, HEADER) {
        return Next::Payload;
    }
    let message = walk.rest();
    if walk.is_whole() {
        let found = be16(message, 2).unwrap_or_default();
        if let Some(expected) = checksum::correction(checksum::internet(message), found) {
            walk.note(&ICMP, 2, NoteKind::Checksum { found, expected });
        }
    }
    let kind = message[0];
    let header = match kind {
        TIMESTAMP | TIMESTAMP_REPLY => 20,
        MASK_REQUEST | MASK_REPLY => 12,
        ROUTER_ADVERTISEMENT => HEADER + usize::from(message[4]) * 4 * usize::from(message[5]),
        _ => HEADER,
    };
    if kind == ROUTER_ADVERTISEMENT && message[5] < 2 {
        let value = message[5].into();
        walk.note(&ICMP, 5, NoteKind::Invalid { field: "addr_entry_size", value });
    }
    walk.has(&ICMP, header);
    walk.push(&ICMP, header, usize::MAX);
    if is_error(kind) {
        walk.quote();
        return Next::EtherType(0x0800);
    }
    Next::Payload
}

/// The routers of an advertisement: where each entry is, address and preference.
fn routers(header: &[u8]) -> impl Iterator<Item = (usize, std::net::Ipv4Addr, u32)> {
    let words = usize::from(header.get(5).copied().unwrap_or_default());
    let is_one = header.first() == Some(&ROUTER_ADVERTISEMENT) && words >= 2;
    let places = (HEADER..if is_one { header.len() } else { 0 }).step_by(4 * words.max(1));
    places.map_while(|at| Some((at, ipv4_at(header, at)?, be32(header, at + 4)?)))
}

fn list(stack: &Stack<'_>, n: usize, visit: &mut dyn FnMut(Item<'_>)) {
    for (at, address, preference) in routers(stack.header(n)) {
        visit(Item::new("router_address", Value::Ipv4(address), at, 4));
        let meaning = (preference == 0x8000_0000).then_some("never the default");
        let preference = Value::Number(preference.into());
        visit(Item::new("preference_level", preference, at + 4, 4).meaning(meaning));
    }
}

/// Which question, and whose.
fn exchange(stack: &Stack<'_>, n: usize) -> Option<Exchange> {
    let header = stack.header(n);
    let (source, destination) = match ip::addresses(stack, n)? {
        Addresses::V4(source, destination) => (source, destination),
        Addresses::V6(..) => return None,
    };
    let which = be32(header, 4)?;
    let question = match *header.first()? {
        ECHO_REPLY => ECHO_REQUEST,
        kind @ (TIMESTAMP_REPLY | 16 | MASK_REPLY) => kind - 1,
        kind @ (ECHO_REQUEST | TIMESTAMP | 15 | MASK_REQUEST) => {
            return Some(Exchange::new(&ICMP, false, (kind, source, destination, which)));
        }
        _ => return None,
    };
    Some(Exchange::new(&ICMP, true, (question, destination, source, which)))
}

fn summary(stack: &Stack<'_>, n: usize, line: &mut Line) {
    let header = stack.header(n);
    let &[kind, code, ..] = header else { return };
    let (id, seq) = (be16(header, 4).unwrap_or_default(), be16(header, 6).unwrap_or_default());
    let quoted = ip::quoted(stack, n + 1);
    line.text("ICMP ");
    match kind {
        ECHO_REQUEST | ECHO_REPLY => {
            line.text(if kind == ECHO_REQUEST { "echo request" } else { "echo reply" });
            line.text(", id ").dec(id).text(", seq ").dec(seq);
        }
        UNREACHABLE => unreachable(code, seq, quoted, line),
        REDIRECT => {
            line.text(if code < 2 { "redirect" } else { "redirect-tos" });
            say_destination(" ", quoted, line);
            line.text(if code & 1 == 0 { " to net " } else { " to host " });
            line.ipv4(ipv4_at(header, 4).unwrap_or(std::net::Ipv4Addr::UNSPECIFIED));
        }
        ROUTER_ADVERTISEMENT => say_routers(header, seq, line),
        TIME_EXCEEDED if code == 1 => {
            line.text("ip reassembly time exceeded");
        }
        TIME_EXCEEDED => {
            line.text("time exceeded ").text(if code == 0 { "in-transit" } else { "code " });
            if code > 0 {
                line.dec(code);
            }
        }
        PARAMETER_PROBLEM if code == 0 => {
            line.text("parameter problem - octet ").dec(id >> 8);
        }
        TIMESTAMP | TIMESTAMP_REPLY => say_times(header, id, seq, line),
        MASK_REPLY => {
            let mask = be32(header, 8).unwrap_or_default();
            line.text("address mask is 0x").hex(mask, 8);
        }
        _ => say_other(kind, code, line),
    }
    line.text(", length ").dec((header.len() + stack.payload_length(n)) as u64);
}

fn say_other(kind: u8, code: u8, line: &mut Line) {
    match icmp_names::type_name(kind) {
        Some(name) => line.text(name),
        None => line.text("type ").dec(kind),
    };
    match icmp_names::code_name(kind, code.into()) {
        Some(name) if code != 0 => {
            line.text(" - ").text(name);
        }
        None if code != 0 => {
            line.text(", code ").dec(code);
        }
        _ => {}
    }
}

/// Says where the quoted packet wanted to go, if it can be read.
fn say_destination(before: &str, quoted: Option<Quoted>, line: &mut Line) {
    if let Some(Quoted { addresses: Addresses::V4(_, destination), .. }) = quoted {
        line.text(before).ipv4(destination);
    }
}

/// Says what could not be reached, as far as the quoted packet tells.
fn unreachable(code: u8, mtu: u16, quoted: Option<Quoted>, line: &mut Line) {
    let (whose, what) = match code {
        0 => ("net", ""),
        1 => ("host", ""),
        2 | 3 => ("", ""),
        4 => ("", " - need to frag"),
        5 => ("", " - source route failed"),
        6 => ("net", " - unknown"),
        7 => ("host", " - unknown"),
        8 => ("", " - source host isolated"),
        9 => ("net", " - admin prohibited"),
        10 => ("host", " - admin prohibited"),
        11 => ("net", " - tos prohibited"),
        12 => ("host", " - tos prohibited"),
        13 => ("host", " - admin prohibited filter"),
        14 => ("host", " - host precedence violation"),
        15 => ("host", " - precedence cutoff"),
        _ => ("", " - code "),
    };
    line.text(whose);
    say_destination(if whose.is_empty() { "" } else { " " }, quoted, line);
    let has_subject = quoted.is_some() || !whose.is_empty();
    if matches!(code, 2 | 3) {
        line.text(if quoted.is_some() { " " } else { "" });
        say_refused(code, quoted, line);
    } else if has_subject {
        line.text(" ");
    }
    line.text("unreachable").text(what);
    match code {
        4 if mtu > 0 => {
            line.text(" (mtu ").dec(mtu).text(")");
        }
        16.. => {
            line.dec(code);
        }
        _ => {}
    }
}

/// Says which protocol or port is not served, with a blank behind it.
fn say_refused(code: u8, quoted: Option<Quoted>, line: &mut Line) {
    match (code, quoted) {
        (2, Some(quoted)) => line.text("protocol ").dec(quoted.protocol),
        (2, None) => line.text("protocol"),
        (_, Some(quoted)) => {
            ip::say_refused_port(&quoted, line);
            line
        }
        (_, None) => line.text("port"),
    }
    .text(" ");
}

fn say_routers(header: &[u8], lifetime: u16, line: &mut Line) {
    line.text("router advertisement lifetime ");
    match lifetime {
        0..60 => line.dec(lifetime),
        60..3600 => line.dec(lifetime / 60).text(":").dec_padded((lifetime % 60).into(), 2),
        _ => {
            line.dec(lifetime / 3600).text(":").dec_padded((lifetime / 60 % 60).into(), 2);
            line.text(":").dec_padded((lifetime % 60).into(), 2)
        }
    };
    line.text(" ").dec(header.get(4).copied().unwrap_or_default()).text(":");
    if !line.is_brief() {
        for (_, address, preference) in routers(header) {
            line.text(" {").ipv4(address).text(" ").dec(preference).text("}");
        }
    }
}

fn say_times(header: &[u8], id: u16, seq: u16, line: &mut Line) {
    let is_query = header.first() == Some(&TIMESTAMP);
    line.text(if is_query { "time stamp query id " } else { "time stamp reply id " });
    line.dec(id).text(" seq ").dec(seq);
    if is_query || line.is_brief() {
        return;
    }
    for (name, at) in [(": org ", 8), (", recv ", 12), (", xmit ", 16)] {
        if let Some(time) = be32(header, at) {
            line.text(name);
            say_time(time, line);
        }
    }
}

/// Says milliseconds since midnight; a time with the high bit set is of another kind (RFC 792).
fn say_time(time: u32, line: &mut Line) {
    if time >= 86_400_000 {
        line.text("0x").hex(time, 8);
        return;
    }
    let seconds = time / 1000;
    line.dec_padded(seconds / 3600, 2).text(":").dec_padded(seconds / 60 % 60, 2).text(":");
    line.dec_padded(seconds % 60, 2).text(".").dec_padded(time % 1000, 3);
}

#[cfg(test)]
mod tests;
