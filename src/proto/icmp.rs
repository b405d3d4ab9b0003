//! ICMP for IPv4 (RFC 792; further codes of destination unreachable: RFC 1122 section 3.2.2.1).

use super::ip::{self, Addresses};
use super::line::Line;
use super::{Exchange, Key, Next, NoteKind, Protocol, Stack, Walk, be16, be32, field, ipv4_at};
use crate::checksum;

/// The bytes of an ICMP header.
pub const HEADER: usize = 8;
/// The type of an echo reply.
pub const ECHO_REPLY: u8 = 0;
/// The type of destination unreachable.
pub const UNREACHABLE: u8 = 3;
/// The type of an echo request.
pub const ECHO_REQUEST: u8 = 8;

/// ICMP.
pub static ICMP: Protocol = Protocol {
    name: "icmp",
    title: "ICMP",
    keys: &[Key::IpProtocol(1)],
    fields: &[
        field!("type", 0, 1, names type_meaning),
        field!("code", 1, 1),
        field!("checksum", 2, hex16),
        field!("identifier", 4, 2),
        field!("sequence_number", 6, 2),
    ],
    dissect,
    summary,
    exchange,
    ..Protocol::BASE
};

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
    walk.push(&ICMP, HEADER, usize::MAX);
    if matches!(kind, UNREACHABLE | 4 | 5 | 11 | 12) {
        walk.quote();
        return Next::EtherType(0x0800);
    }
    Next::Payload
}

/// Which echo, and whose.
fn exchange(stack: &Stack<'_>, n: usize) -> Option<Exchange> {
    let header = stack.header(n);
    let (asker, answerer) = match ip::addresses(stack, n)? {
        Addresses::V4(source, destination) => (source, destination),
        Addresses::V6(..) => return None,
    };
    match *header.first()? {
        ECHO_REQUEST => Some(Exchange::new(&ICMP, false, (asker, answerer, be32(header, 4)?))),
        ECHO_REPLY => Some(Exchange::new(&ICMP, true, (answerer, asker, be32(header, 4)?))),
        _ => None,
    }
}

fn type_meaning(kind: u64) -> Option<&'static str> {
    match u8::try_from(kind) {
        Ok(ECHO_REQUEST) => Some("echo request"),
        Ok(ECHO_REPLY) => Some("echo reply"),
        Ok(UNREACHABLE) => Some("destination unreachable"),
        Ok(kind) => name(kind),
        Err(_) => None,
    }
}

fn summary(stack: &Stack<'_>, n: usize, line: &mut Line) {
    let (header, payload) = (stack.header(n), stack.payload(n));
    let &[kind, code, _, _, a, b, c, d] = header else { return };
    let (id, seq) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    line.text("ICMP ");
    match kind {
        ECHO_REQUEST | ECHO_REPLY => {
            line.text(if kind == ECHO_REQUEST { "echo request" } else { "echo reply" });
            line.text(", id ").dec(id).text(", seq ").dec(seq);
        }
        UNREACHABLE => unreachable(code, seq, payload, line),
        _ => match name(kind) {
            Some(name) => {
                line.text(name);
                if code != 0 {
                    line.text(", code ").dec(code);
                }
            }
            None => {
                line.text("type ").dec(kind).text(", code ").dec(code);
            }
        },
    }
    line.text(", length ").dec((header.len() + payload.len()) as u64);
}

/// Says what could not be reached, as far as the quoted packet tells.
fn unreachable(code: u8, mtu: u16, quoted: &[u8], line: &mut Line) {
    let ihl = quoted.first().map_or(0, |b| usize::from(b & 15) * 4);
    if let Some(dst) = ipv4_at(quoted, 16) {
        line.ipv4(dst).text(" ");
    }
    match code {
        0 => line.text("net unreachable"),
        1 => line.text("host unreachable"),
        2 => {
            line.text("protocol ");
            if let Some(protocol) = quoted.get(9) {
                line.dec(*protocol).text(" ");
            }
            line.text("unreachable")
        }
        3 => {
            match quoted.get(9) {
                Some(6) => line.text("tcp "),
                Some(17) => line.text("udp "),
                _ => line,
            };
            line.text("port ");
            if let Some(port) = be16(quoted, ihl + 2) {
                line.dec(port).text(" ");
            }
            line.text("unreachable")
        }
        4 => line.text("unreachable, need to fragment, mtu ").dec(mtu),
        5 => line.text("unreachable, source route failed"),
        9 | 10 | 13 => line.text("unreachable, administratively prohibited"),
        _ => line.text("unreachable, code ").dec(code),
    };
}

fn name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        4 => "source quench",
        5 => "redirect",
        9 => "router advertisement",
        10 => "router solicitation",
        11 => "time exceeded",
        12 => "parameter problem",
        13 => "timestamp request",
        14 => "timestamp reply",
        15 => "information request",
        16 => "information reply",
        17 => "address mask request",
        18 => "address mask reply",
        _ => return None,
    })
}
