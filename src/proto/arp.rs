//! ARP (RFC 826; reverse: RFC 903, inverse: RFC 2390, probes and announcements: RFC 5227).
//!
//! A message says itself how long its addresses are. Those of Ethernet and IPv4 are what this line has;
//! others are found where they really are and shown as bytes.

use super::line::Line;
use super::{
    Exchange, Item, Key, Next, NoteKind, Protocol, Stack, Value, Walk, be16, ethernet, field, ip,
    ipv4_at, listed, mac_at,
};

/// The bytes of an ARP message with Ethernet and IPv4 addresses.
pub const LENGTH: usize = 28;
/// The opcode of a request.
pub const REQUEST: u16 = 1;
/// The opcode of a reply.
pub const REPLY: u16 = 2;

/// The bytes in front of the addresses.
const HEADER: usize = 8;

/// ARP.
pub static ARP: Protocol = Protocol {
    name: "arp",
    title: "ARP",
    keys: &[Key::EtherType(0x0806), Key::EtherType(0x8035)],
    fields: &[
        field!("hrd", 0, 2, names hardware_name),
        field!("pro", 2, hex16, names ethernet::ethertype_meaning),
        field!("hln", 4, 1),
        field!("pln", 5, 1),
        field!("op", 6, 2, names opcode_name),
        field!("sha", 8, 6, Mac, |h| mac_at(h, 8).filter(|_| h[4] == 6).map(Value::Mac)),
        field!("spa", 14, 4, Ipv4, |h| {
            ipv4_at(h, 14).filter(|_| is_ordinary(h)).map(Value::Ipv4)
        }),
        field!("tha", 18, 6, Mac, |h| mac_at(h, 18).filter(|_| is_ordinary(h)).map(Value::Mac)),
        field!("tpa", 24, 4, Ipv4, |h| {
            ipv4_at(h, 24).filter(|_| is_ordinary(h)).map(Value::Ipv4)
        }),
        listed!("sha_bytes", Bytes),
        listed!("spa_bytes", Bytes),
        listed!("tha_bytes", Bytes),
        listed!("tpa_bytes", Bytes),
    ],
    dissect,
    summary,
    list,
    exchange,
};

/// Whether the addresses have the sizes of Ethernet and IPv4.
fn is_ordinary(header: &[u8]) -> bool {
    header.get(2..6) == Some(&[8, 0, 6, 4])
}

/// Where the addresses are and how long: sender's hardware and protocol address, target's.
fn places(header: &[u8]) -> Option<[(usize, usize); 4]> {
    let (hln, pln) = (usize::from(*header.get(4)?), usize::from(*header.get(5)?));
    let spa = HEADER + hln;
    Some([(HEADER, hln), (spa, pln), (spa + pln, hln), (spa + pln + hln, pln)])
}

fn dissect(walk: &mut Walk<'_>) -> Next {
    if !walk.has(&ARP, HEADER) {
        return Next::Payload;
    }
    let head = walk.rest();
    let expected = [("hrd", 0, 1), ("pro", 2, 0x0800)];
    for (field, at, right) in expected {
        let value = be16(head, at).unwrap_or_default();
        if value != right {
            walk.note(&ARP, at, NoteKind::Invalid { field, value: value.into() });
        }
    }
    for (field, at, right) in [("hln", 4, 6), ("pln", 5, 4)] {
        if head[at] != right {
            walk.note(&ARP, at, NoteKind::Invalid { field, value: head[at].into() });
        }
    }
    let length = HEADER + 2 * (usize::from(head[4]) + usize::from(head[5]));
    if walk.has(&ARP, length) {
        ip::note_what_follows(walk, &ARP, head.len(), length);
    }
    walk.push(&ARP, length, length);
    Next::Payload
}

/// Visits what is not as long as Ethernet's and IPv4's addresses.
fn list(stack: &Stack<'_>, n: usize, visit: &mut dyn FnMut(Item<'_>)) {
    let header = stack.header(n);
    let Some(places) = places(header).filter(|_| !is_ordinary(header)) else { return };
    let names = ["sha_bytes", "spa_bytes", "tha_bytes", "tpa_bytes"];
    for (name, (at, length)) in names.into_iter().zip(places) {
        if name == "sha_bytes" && length == 6 {
            continue;
        }
        if let Some(bytes @ [_, ..]) = header.get(at..at + length) {
            visit(Item::new(name, Value::Bytes(bytes), at, length));
        }
    }
}

fn summary(stack: &Stack<'_>, n: usize, line: &mut Line) {
    let header = stack.header(n);
    line.text("ARP, ");
    match (be16(header, 2), header.get(5)) {
        (Some(0x0800), Some(4)) => say(header, line),
        _ => say_kinds(header, line),
    }
    line.text(", length ").dec(header.len() as u64);
}

/// Says a message about IPv4 addresses.
fn say(header: &[u8], line: &mut Line) {
    let Some([sha, spa, tha, tpa]) = places(header) else { return };
    let op = be16(header, 6).unwrap_or_default();
    let hardware = |(at, length): (usize, usize)| header.get(at..at + length).unwrap_or_default();
    match (op, ipv4_at(header, spa.0), ipv4_at(header, tpa.0)) {
        (REQUEST, Some(sender), Some(target)) if sender == target => {
            line.text("Announcement ").ipv4(target);
        }
        (REQUEST, Some(sender), Some(target)) if sender.is_unspecified() => {
            line.text("Probe ").ipv4(target);
        }
        (REQUEST, Some(sender), Some(target)) => {
            line.text("Request who-has ").ipv4(target);
            if hardware(tha).iter().any(|byte| *byte != 0) {
                line.text(" (");
                say_hardware(hardware(tha), line);
                line.text(")");
            }
            line.text(" tell ").ipv4(sender);
        }
        (REPLY, Some(sender), target) => {
            line.text("Reply ").ipv4(sender).text(" is-at ");
            say_hardware(hardware(sha), line);
            if Some(sender) == target {
                line.text(" (gratuitous)");
            }
        }
        (3 | 8, ..) => {
            line.text(if op == 3 { "Reverse" } else { "Inverse" }).text(" Request who-is ");
            say_hardware(hardware(tha), line);
            line.text(" tell ");
            say_hardware(hardware(sha), line);
        }
        (4, _, Some(target)) => {
            line.text("Reverse Reply ");
            say_hardware(hardware(tha), line);
            line.text(" at ").ipv4(target);
        }
        (9, Some(sender), _) => {
            line.text("Inverse Reply ");
            say_hardware(hardware(sha), line);
            line.text(" at ").ipv4(sender);
        }
        _ => say_opcode(op, line),
    }
}

/// Says a message about addresses of another kind as tcpdump does, and its opcode.
fn say_kinds(header: &[u8], line: &mut Line) {
    let (hrd, pro) = (be16(header, 0).unwrap_or_default(), be16(header, 2).unwrap_or_default());
    match hardware_name(hrd.into()) {
        Some(name) => line.text(name),
        None => line.text("hardware ").dec(hrd),
    };
    line.text(" (len ").dec(header.get(4).copied().unwrap_or_default()).text("), ");
    match ethernet::ethertype_name(pro) {
        Some(name) => line.text(name),
        None => line.text("protocol 0x").hex(pro, 4),
    };
    line.text(" (len ").dec(header.get(5).copied().unwrap_or_default()).text("), ");
    say_opcode(be16(header, 6).unwrap_or_default(), line);
}

fn say_opcode(op: u16, line: &mut Line) {
    match opcode_name(op.into()) {
        Some(name) => line.text(name),
        None => line.text("opcode ").dec(op),
    };
}

fn say_hardware(address: &[u8], line: &mut Line) {
    if address.is_empty() {
        line.text("<no address>");
    }
    for (n, byte) in address.iter().enumerate() {
        line.text(if n > 0 { ":" } else { "" }).hex(*byte, 2);
    }
}

/// The name of an opcode (IANA's registry of ARP parameters).
fn opcode_name(op: u64) -> Option<&'static str> {
    Some(match op {
        1 => "request",
        2 => "reply",
        3 => "reverse request",
        4 => "reverse reply",
        5 => "DRARP request",
        6 => "DRARP reply",
        7 => "DRARP error",
        8 => "InARP request",
        9 => "InARP reply",
        10 => "NAK",
        19 => "MAPOS UNARP",
        24 | 25 => "experiment",
        _ => return None,
    })
}

/// The name of a kind of hardware (the same registry).
fn hardware_name(hrd: u64) -> Option<&'static str> {
    Some(match hrd {
        1 => "Ethernet",
        3 => "AX.25",
        6 => "IEEE 802",
        7 => "ARCNET",
        15 => "Frame Relay",
        16 | 19 | 21 => "ATM",
        18 => "Fibre Channel",
        20 => "serial line",
        24 => "IEEE 1394",
        27 => "EUI-64",
        32 => "InfiniBand",
        _ => return None,
    })
}

/// Who asks for whom; an announcement asks nothing.
fn exchange(stack: &Stack<'_>, n: usize) -> Option<Exchange> {
    let header = stack.header(n);
    is_ordinary(header).then_some(())?;
    let (spa, tpa) = (ipv4_at(header, 14)?, ipv4_at(header, 24)?);
    match be16(header, 6)? {
        REQUEST if spa != tpa => Some(Exchange::new(&ARP, false, (spa, tpa))),
        REPLY => Some(Exchange::new(&ARP, true, (tpa, spa))),
        _ => None,
    }
}

/// The fields of an ARP message for IPv4 over Ethernet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// [`REQUEST`] or [`REPLY`].
    pub op: u16,
    /// Sender hardware address.
    pub sha: [u8; 6],
    /// Sender protocol address.
    pub spa: std::net::Ipv4Addr,
    /// Target hardware address.
    pub tha: [u8; 6],
    /// Target protocol address.
    pub tpa: std::net::Ipv4Addr,
}

impl Message {
    /// The message in an Ethernet frame, if it holds a well-formed one.
    pub fn in_frame(frame: &[u8]) -> Option<Message> {
        let arp = frame.get(super::ethernet::HEADER..)?;
        let right = be16(frame, 12)? == 0x0806 && arp.get(..6)? == [0, 1, 8, 0, 6, 4];
        right.then_some(())?;
        Some(Message {
            op: be16(arp, 6)?,
            sha: mac_at(arp, 8)?,
            spa: ipv4_at(arp, 14)?,
            tha: mac_at(arp, 18)?,
            tpa: ipv4_at(arp, 24)?,
        })
    }
}

#[cfg(test)]
mod tests;
