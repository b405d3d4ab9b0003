//! DHCP (RFC 2131; options: RFC 2132), and BOOTP (RFC 951), whose messages it uses.
//!
//! A fixed header of 236 bytes, a magic cookie, then options that say which message it is. Without the
//! cookie it is BOOTP.

use super::dhcp_options::{self as options, Area, COOKIE, FILE, OPTIONS, SNAME};
use super::line::Line;
use super::{Exchange, Item, Key, Next, NoteKind, Protocol, Stack, Value, Walk};
use super::{be32, field, ipv4_at, listed, mac_at};
use crate::escape;

/// The number in front of the options.
const MAGIC: u32 = 0x6382_5363;
/// The bytes that a BOOTP message has at least: vendor information is 64 bytes long.
const HEADER: usize = COOKIE;

/// DHCP and BOOTP.
pub static DHCP: Protocol = Protocol {
    name: "dhcp",
    title: "DHCP",
    keys: &[Key::UdpPort(67), Key::UdpPort(68)],
    fields: &[
        field!("op", 0, 1, names op_name),
        field!("htype", 1, 1),
        field!("hlen", 2, 1),
        field!("hops", 3, 1),
        field!("xid", 4, hex32),
        field!("secs", 8, 2),
        field!("flags.broadcast", 10, bit 0x80),
        field!("ciaddr", 12, ipv4),
        field!("yiaddr", 16, ipv4),
        field!("siaddr", 20, ipv4),
        field!("giaddr", 24, ipv4),
        field!("chaddr", 28, 6, Mac, |h| hardware(h).map(Value::Mac)),
        listed!("sname", Text),
        listed!("file", Text),
        listed!("cookie", Hex),
        listed!("option.code", Number, many),
        listed!("option.subnet_mask", Ipv4, many),
        listed!("option.router", Ipv4, many),
        listed!("option.domain_name_server", Ipv4, many),
        listed!("option.host_name", Text, many),
        listed!("option.domain_name", Text, many),
        listed!("option.broadcast_address", Ipv4, many),
        listed!("option.ntp_server", Ipv4, many),
        listed!("option.requested_address", Ipv4, many),
        listed!("option.lease_time", Number, many),
        listed!("option.overload", Number, many),
        listed!("option.message_type", Number, many),
        listed!("option.server_identifier", Ipv4, many),
        listed!("option.parameter_request", Number, many),
        listed!("option.message", Text, many),
        listed!("option.maximum_message_size", Number, many),
        listed!("option.renewal_time", Number, many),
        listed!("option.rebinding_time", Number, many),
        listed!("option.vendor_class", Text, many),
        listed!("option.client_identifier", Bytes, many),
        listed!("option.data", Bytes, many),
    ],
    dissect,
    summary,
    list,
    exchange,
};

fn dissect(walk: &mut Walk<'_>) -> Next {
    let message = walk.rest();
    if !walk.has(&DHCP, HEADER) {
        walk.push(&DHCP, usize::MAX, usize::MAX); // both ports are its own: it is asked only once
        return Next::Payload;
    }
    if !matches!(message[0], 1 | 2) {
        walk.note(&DHCP, 0, NoteKind::Invalid { field: "op", value: message[0].into() });
    }
    if message[2] > 16 {
        walk.note(&DHCP, 2, NoteKind::Invalid { field: "hlen", value: message[2].into() });
    }
    if be32(message, COOKIE) == Some(MAGIC) {
        let mut area = Area::new(message, OPTIONS, message.len());
        area.by_ref().for_each(drop);
        match area.broken_at() {
            Some(at) => {
                // The length that the option announces, or that one is announced at all.
                let needed = message.get(at + 1).map_or(at + 2, |n| at + 2 + usize::from(*n));
                walk.has(&DHCP, needed);
            }
            None if !area.is_ended() => {
                walk.has(&DHCP, message.len() + 1);
            }
            None if options::find(message, 53).is_none() => {
                walk.note(&DHCP, OPTIONS, NoteKind::Wrong("message type is missing"));
            }
            None => {}
        }
    }
    walk.push(&DHCP, usize::MAX, usize::MAX);
    Next::Payload
}

/// The client's hardware address, if it is one of Ethernet's.
fn hardware(message: &[u8]) -> Option<[u8; 6]> {
    let is_ethernet = message.get(2) == Some(&6);
    mac_at(message, 28).filter(|_| is_ethernet)
}

fn is_dhcp(message: &[u8]) -> bool {
    be32(message, COOKIE) == Some(MAGIC)
}

fn list(stack: &Stack<'_>, n: usize, visit: &mut dyn FnMut(Item<'_>)) {
    let message = stack.header(n);
    let overload = if is_dhcp(message) { options::overload(message) } else { 0 };
    for (name, start, end, bit) in [("sname", SNAME, FILE, 2), ("file", FILE, COOKIE, 1)] {
        let text = message.get(start..end).unwrap_or_default();
        let length = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
        if overload & bit == 0 && length > 0 {
            visit(Item::new(name, Value::Text(&text[..length]), start, length));
        }
    }
    if !is_dhcp(message) {
        return;
    }
    let mut is_before = true;
    for option in options::all(message) {
        if option.at >= OPTIONS && std::mem::take(&mut is_before) {
            visit(Item::new("cookie", Value::Hex(MAGIC.into()), COOKIE, 4));
        }
        options::visit_option(&option, visit);
    }
}

fn summary(stack: &Stack<'_>, n: usize, line: &mut Line) {
    let message = stack.header(n);
    if !is_dhcp(message) {
        line.text("BOOTP ");
        match message.first() {
            Some(1) => line.text("request"),
            Some(2) => line.text("reply"),
            op => line.text("op ").dec(op.copied().unwrap_or_default()),
        };
        say_client(message, line);
        return;
    }
    line.text("DHCP ");
    let kind = options::find(message, 53).and_then(|data| data.first().copied());
    match kind.map(|kind| (kind, options::message_name(kind))) {
        Some((_, Some(name))) => line.text(name),
        Some((kind, None)) => line.text("message type ").dec(kind),
        None => line.text("message"),
    };
    if let Some(2 | 5) = kind {
        say_lease(message, line);
    } else {
        say_client(message, line);
    }
    if !line.is_brief() {
        line.text(", xid 0x").hex(be32(message, 4).unwrap_or_default(), 8);
    }
    say_wishes(message, line);
}

fn say_client(message: &[u8], line: &mut Line) {
    let is_reply = message.first() == Some(&2);
    if let Some(mac) = hardware(message) {
        line.text(if is_reply { " to " } else { " from " }).mac(mac);
    }
}

/// Says which address is given to whom, and for how long.
fn say_lease(message: &[u8], line: &mut Line) {
    if let Some(address) = ipv4_at(message, 16).filter(|address| !address.is_unspecified()) {
        line.text(" ").ipv4(address);
    }
    say_client(message, line);
    match options::find(message, 51).and_then(|data| be32(data, 0)) {
        Some(u32::MAX) => line.text(", lease for ever"),
        Some(seconds) => line.text(", lease ").dec(seconds),
        None => line,
    };
}

/// Says what a client asks for, and what a server has to say.
fn say_wishes(message: &[u8], line: &mut Line) {
    if let Some(address) = options::find(message, 50).and_then(|data| ipv4_at(data, 0)) {
        line.text(", wants ").ipv4(address);
    }
    for (code, what) in [(12, ", hostname "), (56, ", message ")] {
        if let Some(text) = options::find(message, code) {
            line.text(what).shortened(escape::terminal(text), 80);
        }
    }
}

/// Transaction, client, and whether it is about an offer or about a lease.
fn exchange(stack: &Stack<'_>, n: usize) -> Option<Exchange> {
    let message = stack.header(n);
    let client = (be32(message, 4)?, message.get(28..44)?);
    let op = *message.first()?;
    let kind = options::find(message, 53).and_then(|data| data.first().copied());
    let (is_answer, step) = match kind.filter(|_| is_dhcp(message)) {
        Some(1) => (false, 1),
        Some(2) => (true, 1),
        Some(3 | 8) => (false, 2),
        Some(5 | 6) => (true, 2),
        Some(_) => return None,
        None => (op == 2, 0),
    };
    Some(Exchange::new(&DHCP, is_answer, (client, step)))
}

fn op_name(op: u64) -> Option<&'static str> {
    match op {
        1 => Some("request"),
        2 => Some("reply"),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
