//! ICMPv6 (RFC 4443): errors and echoes here, neighbour discovery in [`super::ndp`], multicast listeners in
//! [`super::mld`].
//!
//! As in ICMP, what follows type, code and checksum depends on the type, and an error quotes the packet
//! that it is about. Unlike there, the checksum covers the addresses (RFC 8200 section 8.1). Messages of
//! neighbour discovery that have crossed a router are forged or astray (RFC 4861 section 6.1).

use super::ip::{self, Addresses, Carrier, Quoted};
use super::line::Line;
use super::{
    Exchange, Field, Item, Key, Next, NoteKind, Protocol, Stack, Value, Walk, be16, be32, field,
    icmpv6_names, ipv6, mld, ndp,
};
use crate::checksum;

/// The bytes of the header of an error or an echo.
pub const HEADER: usize = 8;
/// The type of an echo request.
pub const ECHO_REQUEST: u8 = 128;
/// The type of an echo reply.
pub const ECHO_REPLY: u8 = 129;
/// The type of destination unreachable.
pub const UNREACHABLE: u8 = 1;

const TOO_BIG: u8 = 2;
const TIME_EXCEEDED: u8 = 3;
const PARAMETER_PROBLEM: u8 = 4;

/// The bytes that every message has.
const LEAST: usize = 4;

/// ICMPv6.
pub static ICMPV6: Protocol = Protocol {
    name: "icmpv6",
    title: "ICMPv6",
    keys: &[Key::IpProtocol(58)],
    fields: &joined::<
        { OWN.len() + ndp::FIELDS.len() + ndp::OPTION_FIELDS.len() + mld::FIELDS.len() },
    >(&[OWN, ndp::FIELDS, ndp::OPTION_FIELDS, mld::FIELDS]),
    dissect,
    summary,
    list: |stack, n, visit: &mut dyn FnMut(Item<'_>)| {
        ndp::list(stack.header(n), visit);
        mld::list(stack.header(n), visit);
    },
    exchange,
};

const OWN: &[Field] = &[
    field!("type", 0, 1, names icmpv6_names::type_meaning),
    field!("code", 1, 1, meaning icmpv6_names::code_meaning),
    field!("checksum", 2, hex16),
    field!("identifier", 4, 2, Number, |h| {
        be16(h, 4).filter(|_| is_echo(h[0])).map(|id| Value::Number(id.into()))
    }),
    field!("sequence_number", 6, 2, Number, |h| {
        be16(h, 6).filter(|_| is_echo(h[0])).map(|n| Value::Number(n.into()))
    }),
    field!("mtu", 4, 4, Number, |h| {
        be32(h, 4).filter(|_| h[0] == TOO_BIG).map(|mtu| Value::Number(mtu.into()))
    }),
    field!("pointer", 4, 4, Number, |h| {
        be32(h, 4).filter(|_| h[0] == PARAMETER_PROBLEM).map(|at| Value::Number(at.into()))
    }),
    field!("length", 4, 1, Number, |h| {
        let length = h.get(4).filter(|_| matches!(h[0], UNREACHABLE | TIME_EXCEEDED));
        length.map(|words| Value::Number(u64::from(*words)))
    }),
];

/// The parts of the table of fields in one.
const fn joined<const N: usize>(parts: &[&[Field]]) -> [Field; N] {
    let mut all = [OWN[0]; N];
    let (mut part, mut at, mut n) = (0, 0, 0);
    while part < parts.len() {
        if at == parts[part].len() {
            (part, at) = (part + 1, 0);
        } else {
            all[n] = parts[part][at];
            (at, n) = (at + 1, n + 1);
        }
    }
    all
}

fn is_echo(kind: u8) -> bool {
    matches!(kind, ECHO_REQUEST | ECHO_REPLY)
}

fn dissect(walk: &mut Walk<'_>) -> Next {
    let Some(Carrier { addresses: Addresses::V6(..), .. }) = walk.carrier() else {
        return Next::Payload;
    };
    if !walk.has(&ICMPV6, LEAST) {
        return Next::Payload;
    }
    let message = walk.rest();
    verify(walk, message);
    let kind = message[0];
    let header = match kind {
        UNREACHABLE..=PARAMETER_PROBLEM | ECHO_REQUEST | ECHO_REPLY => HEADER,
        mld::QUERY..=mld::DONE | mld::REPORT_V2 => mld::needed(message),
        _ => ndp::options_at(kind).map_or(LEAST, |start| start.max(message.len())),
    };
    let is_whole = walk.has(&ICMPV6, header);
    if is_whole {
        check(walk, message);
    }
    walk.push(&ICMPV6, header, usize::MAX);
    if is_whole && matches!(kind, UNREACHABLE..=PARAMETER_PROBLEM) {
        walk.quote();
        return Next::EtherType(0x86dd);
    }
    Next::Payload
}

fn verify(walk: &mut Walk<'_>, message: &[u8]) {
    let Some(sum) = walk.pseudo_header(58, message.len()) else { return };
    let found = be16(message, 2).unwrap_or_default();
    if let Some(expected) = checksum::correction(sum.plus(message).finish(), found) {
        walk.note(&ICMPV6, 2, NoteKind::Checksum { found, expected });
    }
}

/// Notes what makes a message invalid that is all there.
fn check(walk: &mut Walk<'_>, message: &[u8]) {
    if mld::lacks_records(message) {
        walk.note(&ICMPV6, HEADER, NoteKind::Wrong("a group record is not all there"));
    }
    if ndp::options_at(message[0]).is_none() {
        return;
    }
    if let Some((at, what)) = ndp::broken_option(message) {
        walk.note(&ICMPV6, at, what);
    }
    let hop_limit = walk.below(&ipv6::IPV6).and_then(|header| header.get(7).copied());
    if hop_limit.is_some_and(|limit| limit != 255) {
        walk.note(&ICMPV6, 0, NoteKind::Wrong("hop limit is not 255"));
    }
}

/// Which echo, and whose; which neighbour.
fn exchange(stack: &Stack<'_>, n: usize) -> Option<Exchange> {
    let header = stack.header(n);
    let Addresses::V6(source, destination) = ip::addresses(stack, n)? else { return None };
    match *header.first()? {
        ECHO_REQUEST => {
            Some(Exchange::new(&ICMPV6, false, (source, destination, be32(header, 4)?)))
        }
        ECHO_REPLY => Some(Exchange::new(&ICMPV6, true, (destination, source, be32(header, 4)?))),
        kind @ (ndp::SOLICITATION | ndp::ADVERTISEMENT) => {
            let is_answer = kind == ndp::ADVERTISEMENT;
            Some(Exchange::new(&ICMPV6, is_answer, ndp::target(header)?))
        }
        _ => None,
    }
}

fn summary(stack: &Stack<'_>, n: usize, line: &mut Line) {
    let header = stack.header(n);
    let &[kind, code, ..] = header else { return };
    line.text("ICMP6, ");
    let quoted = ip::quoted(stack, n + 1);
    match kind {
        UNREACHABLE => unreachable(code, quoted, line),
        TIME_EXCEEDED => {
            line.text("time exceeded in-transit");
            match code {
                0 => say_destination(" for ", quoted, line),
                1 => drop(line.text(" (reassembly)")),
                _ => drop(line.text(", code ").dec(code)),
            }
        }
        PARAMETER_PROBLEM => {
            line.text("parameter problem, ").text(match code {
                0 => "erroneous",
                1 => "next header",
                2 => "option",
                3 => "incomplete header chain",
                _ => icmpv6_names::code_name(kind, code.into()).unwrap_or("unknown code"),
            });
            line.text(" - octet ").dec(be32(header, 4).unwrap_or_default());
        }
        mld::QUERY..=mld::DONE | mld::REPORT_V2 => mld::say(header, line),
        _ => say_plain(kind, code, header, line),
    }
    line.text(", length ").dec((header.len() + stack.payload_length(n)) as u64);
}

/// Says a message by its name and its one remarkable field.
fn say_plain(kind: u8, code: u8, header: &[u8], line: &mut Line) {
    match icmpv6_names::type_name(kind) {
        Some(name) => line.text(name),
        None => line.text("unknown icmp6 type (").dec(kind).text(")"),
    };
    match kind {
        TOO_BIG => {
            line.text(", mtu ").dec(be32(header, 4).unwrap_or_default());
        }
        ECHO_REQUEST | ECHO_REPLY => {
            line.text(", id ").dec(be16(header, 4).unwrap_or_default());
            line.text(", seq ").dec(be16(header, 6).unwrap_or_default());
        }
        ndp::SOLICITATION | ndp::ADVERTISEMENT => {
            let is_question = kind == ndp::SOLICITATION;
            if let Some(target) = ndp::target(header) {
                line.text(if is_question { ", who has " } else { ", tgt is " }).ipv6(target);
            }
        }
        ndp::REDIRECT => {
            let destination = super::read::ipv6_at(header, 24);
            if let (Some(target), Some(destination)) = (ndp::target(header), destination) {
                line.text(", ").ipv6(destination).text(" to ").ipv6(target);
            }
        }
        _ if code > 0 => match icmpv6_names::code_name(kind, code.into()) {
            Some(name) => drop(line.text(", ").text(name)),
            None => drop(line.text(", code ").dec(code)),
        },
        _ => {}
    }
}

fn unreachable(code: u8, quoted: Option<Quoted>, line: &mut Line) {
    line.text("destination unreachable, ");
    match code {
        0 => line.text("unreachable route"),
        1 => line.text("unreachable prohibited"),
        2 => line.text("beyond scope"),
        3 => line.text("unreachable address"),
        4 => line.text("unreachable port"),
        _ => match icmpv6_names::code_name(UNREACHABLE, code.into()) {
            Some(name) => line.text(name),
            None => line.text("code ").dec(code),
        },
    };
    say_destination(if code >= 4 { ", " } else { " " }, quoted, line);
    match (code, quoted) {
        (2, Some(Quoted { addresses: Addresses::V6(source, _), .. })) => {
            line.text(", source address ").ipv6(source);
        }
        (4, Some(quoted)) => {
            line.text(" ");
            ip::say_refused_port(&quoted, line);
        }
        _ => {}
    }
}

/// Says where the quoted packet wanted to go, if it can be read.
fn say_destination(before: &str, quoted: Option<Quoted>, line: &mut Line) {
    if let Some(Quoted { addresses: Addresses::V6(_, destination), .. }) = quoted {
        line.text(before).ipv6(destination);
    }
}

#[cfg(test)]
mod tests;
