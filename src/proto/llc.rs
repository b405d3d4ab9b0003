//! 802.3 frames with a length field: logical link control (IEEE 802.2) and SNAP (IEEE 802 clause 9).
//!
//! The length counts from the LLC header on; what follows it is padding. The control field has one
//! byte in unnumbered frames and two in others. A SNAP header names an organisation and what it
//! carries: for organisation 0 that is an EtherType, and the frame goes on as if it had stood in the
//! Ethernet header.

use super::ethernet::{self, FIRST_ETHERTYPE};
use super::line::Line;
use super::{
    Item, Key, Next, NoteKind, Protocol, Stack, Value, Walk, be16, be32, field, ip, listed, stp,
    vlan,
};

/// The bytes of a header that SNAP extends.
pub const SNAP_HEADER: usize = 8;
/// The longest length that 802.3 allows.
const LONGEST: usize = 1500;

/// LLC, with SNAP.
pub static LLC: Protocol = Protocol {
    name: "llc",
    title: "802.2 LLC",
    keys: &[Key::Length],
    fields: &[
        field!("dsap", 0, hex8, names sap_meaning),
        field!("ssap", 1, hex8, names sap_meaning),
        field!("oui", 3, 3, Hex, |h| snap(h).map(|snap| Value::Hex(snap.0.into())), names oui_name),
        field!("pid", 6, 2, Hex, |h| snap(h).map(|snap| Value::Hex(snap.1.into())), meaning pid_meaning),
        listed!("control", Hex),
    ],
    dissect,
    summary,
    list,
    ..Protocol::BASE
};

/// Visits the control field, whose length depends on its first byte.
fn list(stack: &Stack<'_>, n: usize, visit: &mut dyn FnMut(Item<'_>)) {
    if let Some(control) = control(stack.header(n)) {
        let item = Item::new("control", Value::Hex(control.value), 2, control.bytes);
        visit(item.meaning(control.name()));
    }
}

/// A control field: its value as one byte or two, the first of which is the lower one.
#[derive(Clone, Copy)]
struct Control {
    value: u64,
    bytes: usize,
    first: u8,
    second: u8,
}

/// The control field of a header.
fn control(header: &[u8]) -> Option<Control> {
    let first = *header.get(2)?;
    if first & 3 == 3 {
        return Some(Control { value: first.into(), bytes: 1, first, second: 0 });
    }
    let second = *header.get(3)?;
    let value = u16::from_le_bytes([first, second]).into();
    Some(Control { value, bytes: 2, first, second })
}

impl Control {
    /// What the frame does (IEEE 802.2 section 5.4).
    fn name(self) -> Option<&'static str> {
        if self.first & 1 == 0 {
            return Some("information");
        }
        Some(match (self.bytes, self.first) {
            (2, 0x01) => "receiver ready",
            (2, 0x05) => "receiver not ready",
            (2, 0x09) => "reject",
            (1, first) => match first & !0x10 {
                0x03 => "ui",
                0x0f => "dm",
                0x43 => "disc",
                0x63 => "ua",
                0x6f => "sabme",
                0x87 => "frmr",
                0xaf => "xid",
                0xe3 => "test",
                _ => return None,
            },
            _ => return None,
        })
    }
}

/// Organisation and protocol of a SNAP header.
fn snap(header: &[u8]) -> Option<(u32, u16)> {
    let is_snap = header.get(..3)? == [0xaa, 0xaa, 3];
    is_snap.then_some((be32(header, 2)? & 0xff_ffff, be16(header, 6)?))
}

fn dissect(walk: &mut Walk<'_>) -> Next {
    let (announced, bytes) = (announced(walk), walk.rest());
    let total = announced.unwrap_or(bytes.len());
    if announced.is_some_and(|length| length > LONGEST) {
        walk.note(&LLC, 0, NoteKind::Wrong("neither a length nor an EtherType"));
        return Next::Payload;
    }
    let (had, bytes) = (bytes.len(), bytes.get(..total).unwrap_or(bytes));
    if walk.has(&LLC, total) {
        ip::note_what_follows(walk, &LLC, had, total);
    }
    if bytes.starts_with(&[0xff, 0xff]) {
        walk.push(&LLC, 0, total); // IPX in 802.3 as it was before there was LLC
        return Next::Payload;
    }
    let is_snap = bytes.starts_with(&[0xaa, 0xaa, 3]);
    let header = match control(bytes) {
        _ if is_snap => SNAP_HEADER,
        Some(control) => 2 + control.bytes,
        None => 4 - usize::from(bytes.len() < 3),
    };
    if bytes.len() < header {
        if had >= total {
            walk.note(&LLC, 0, NoteKind::Wrong("the length leaves no room for the header"));
        }
        return Next::Payload;
    }
    walk.push(&LLC, header, total);
    match (snap(bytes), bytes) {
        (Some((0, kind)), _) if kind >= FIRST_ETHERTYPE => Next::EtherType(kind),
        (Some((0x00_000c, 0x010b)), _) | (None, [0x42, 0x42, 3, ..]) => (stp::STP.dissect)(walk),
        (None, [0x06, 0x06, 3, ..]) => Next::EtherType(0x0800),
        _ => Next::Payload,
    }
}

/// The length field in front of the header; cooked captures have none.
fn announced(walk: &Walk<'_>) -> Option<usize> {
    let ethernet = walk.below(&ethernet::ETHERNET).and_then(|header| be16(header, 12));
    let tag = walk.below(&vlan::VLAN).and_then(|header| be16(header, 2));
    tag.or(ethernet).map(usize::from)
}

fn summary(stack: &Stack<'_>, n: usize, line: &mut Line) {
    if stack.summarise(n + 1, line) {
        return;
    }
    let (header, length) = (stack.header(n), stack.payload_length(n));
    if let Some((oui, pid)) = snap(header) {
        line.text("SNAP, oui ").text(oui_name(oui.into()).unwrap_or("unknown"));
        line.text(" (0x").hex(oui, 6).text("), pid ");
        line.text(pid_name(oui, pid).unwrap_or("unknown")).text(" (0x").hex(pid, 4).text(")");
    } else if let (&[dsap, ssap, ..], Some(control)) = (header, control(header)) {
        say(dsap, ssap, control, line);
        // As tcpdump does, with the header.
        line.text(", length ").dec((header.len() + length) as u64);
        return;
    } else {
        line.text("IPX 802.3");
    }
    line.text(", length ").dec(length as u64);
}

/// Says who speaks to whom at a station, and what kind of frame it is.
fn say(dsap: u8, ssap: u8, control: Control, line: &mut Line) {
    line.text("LLC, dsap ");
    say_sap(dsap, line);
    line.text(if dsap & 1 == 0 { " Individual" } else { " Group" }).text(", ssap ");
    say_sap(ssap, line);
    let is_response = ssap & 1 != 0;
    line.text(if is_response { " Response" } else { " Command" });
    line.text(", ctrl 0x").hex(control.value, 2 * control.bytes as u32).text(": ");
    let name = control.name().unwrap_or("unknown");
    let poll = match (control.bytes, control.first & 1) {
        (1, _) => {
            line.text("Unnumbered, ").text(name);
            control.first & 0x10 != 0
        }
        (_, 0) => {
            line.text("Information, send seq ").dec(control.first >> 1);
            line.text(", rcv seq ").dec(control.second >> 1);
            control.second & 1 != 0
        }
        _ => {
            line.text("Supervisory, ").text(name).text(", rcv seq ").dec(control.second >> 1);
            control.second & 1 != 0
        }
    };
    line.text(match (poll, is_response) {
        (false, false) => ", Flags [Command]",
        (false, true) => ", Flags [Response]",
        (true, false) => ", Flags [Poll]",
        (true, true) => ", Flags [Final]",
    });
}

fn say_sap(sap: u8, line: &mut Line) {
    line.text(sap_name(sap).unwrap_or("unknown")).text(" (0x").hex(sap & !1, 2).text(")");
}

/// The name of a service access point (IEEE's registry), whether an individual's or a group's.
pub fn sap_name(sap: u8) -> Option<&'static str> {
    Some(match sap {
        0xff => "Global",
        _ => match sap & !1 {
            0x00 => "Null",
            0x02 => "802.1B",
            0x04 => "SNA",
            0x06 => "IP",
            0x0e => "ProWay",
            0x42 => "STP",
            0x4e => "MMS",
            0x7e => "X.25",
            0x80 => "3Com",
            0x8e => "ProWay stations",
            0x98 => "ARP",
            0xaa => "SNAP",
            0xbc => "VINES",
            0xe0 => "IPX",
            0xf0 => "NetBeui",
            0xf4 => "LAN management",
            0xfe => "OSI",
            _ => return None,
        },
    })
}

fn sap_meaning(sap: u64) -> Option<&'static str> {
    sap_name(u8::try_from(sap).ok()?)
}

/// The name of an organisation that defines protocols under SNAP.
fn oui_name(oui: u64) -> Option<&'static str> {
    Some(match oui {
        0x00_0000 => "Ethernet",
        0x00_000c => "Cisco",
        0x00_00f8 => "Cisco bridged",
        0x00_80c2 => "802.1 bridged",
        0x08_0007 => "AppleTalk",
        _ => return None,
    })
}

fn pid_meaning(header: &[u8], _: u64) -> Option<&'static str> {
    snap(header).and_then(|(oui, pid)| pid_name(oui, pid))
}

/// The name of a protocol of such an organisation.
fn pid_name(oui: u32, pid: u16) -> Option<&'static str> {
    Some(match (oui, pid) {
        (0, kind) => return ethernet::ethertype_name(kind),
        (0x00_000c, 0x0104) => "PAgP",
        (0x00_000c, 0x010b) => "PVST",
        (0x00_000c, 0x0111) => "UDLD",
        (0x00_000c, 0x2000) => "CDP",
        (0x00_000c, 0x2003) => "VTP",
        (0x00_000c, 0x2004) => "DTP",
        (0x00_80c2, 0x0001 | 0x0007) => "Ethernet",
        (0x08_0007, 0x809b) => "AppleTalk",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
