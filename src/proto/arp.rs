//! ARP for IPv4 over Ethernet (RFC 826).

use super::line::Line;
use super::{Exchange, Key, Next, NoteKind, Protocol, Stack, Walk, be16, field, ipv4_at, mac_at};

/// The bytes of an ARP message with Ethernet and IPv4 addresses.
pub const LENGTH: usize = 28;
/// The opcode of a request.
pub const REQUEST: u16 = 1;
/// The opcode of a reply.
pub const REPLY: u16 = 2;

/// ARP.
pub static ARP: Protocol = Protocol {
    name: "arp",
    title: "ARP",
    keys: &[Key::EtherType(0x0806)],
    fields: &[
        field!("hrd", 0, 2),
        field!("pro", 2, hex16),
        field!("hln", 4, 1),
        field!("pln", 5, 1),
        field!("op", 6, 2, names opcode_name),
        field!("sha", 8, mac),
        field!("spa", 14, ipv4),
        field!("tha", 18, mac),
        field!("tpa", 24, ipv4),
    ],
    dissect,
    summary,
    exchange,
    ..Protocol::BASE
};

fn dissect(walk: &mut Walk<'_>) -> Next {
    if !walk.has(&ARP, 8) {
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
    let length = 8 + 2 * (usize::from(head[4]) + usize::from(head[5]));
    walk.has(&ARP, length);
    walk.push(&ARP, length, length);
    Next::Payload
}

fn summary(stack: &Stack<'_>, n: usize, line: &mut Line) {
    let header = stack.header(n);
    let ordinary = header.get(..6) == Some(&[0, 1, 8, 0, 6, 4]);
    let op = be16(header, 6).unwrap_or_default();
    line.text("ARP, ");
    let addresses = (mac_at(header, 8), ipv4_at(header, 14), ipv4_at(header, 24));
    match (ordinary, op, addresses) {
        (true, REQUEST, (_, Some(sender), Some(target))) if sender == target => {
            line.text("Announcement ").ipv4(target);
        }
        (true, REQUEST, (_, Some(sender), Some(target))) if sender.is_unspecified() => {
            line.text("Probe ").ipv4(target);
        }
        (true, REQUEST, (_, Some(sender), Some(target))) => {
            line.text("Request who-has ").ipv4(target).text(" tell ").ipv4(sender);
        }
        (true, REPLY, (Some(mac), Some(sender), _)) => {
            line.text("Reply ").ipv4(sender).text(" is-at ").mac(mac);
        }
        _ => {
            line.text("opcode ").dec(op);
        }
    }
    line.text(", length ").dec(header.len() as u64);
}

/// The name of an opcode (RFC 826, RFC 903, RFC 5227).
fn opcode_name(op: u64) -> Option<&'static str> {
    Some(match op {
        1 => "request",
        2 => "reply",
        3 => "reverse request",
        4 => "reverse reply",
        8 => "InARP request",
        9 => "InARP reply",
        _ => return None,
    })
}

/// Who asks for whom; an announcement asks nothing.
fn exchange(stack: &Stack<'_>, n: usize) -> Option<Exchange> {
    let header = stack.header(n);
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
