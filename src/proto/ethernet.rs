//! Ethernet II (IEEE 802.3 clause 3): destination, source, EtherType. Frames of this line carry
//! no check sequence and need not be padded to 60 bytes.

use super::line::Line;
use super::{Key, Next, Protocol, Stack, Walk, be16, field, mac_at};
use crate::record::LinkType;

/// The bytes of an Ethernet header.
pub const HEADER: usize = 14;
/// EtherTypes below this are the length field of an 802.3 frame.
pub const FIRST_ETHERTYPE: u16 = 0x600;

/// Ethernet II.
pub static ETHERNET: Protocol = Protocol {
    name: "ethernet",
    title: "Ethernet II",
    keys: &[Key::Link(LinkType::ETHERNET)],
    fields: &[
        field!("dst", 0, mac),
        field!("src", 6, mac),
        field!("type", 12, hex16, names ethertype_meaning),
    ],
    dissect,
    summary,
    ..Protocol::BASE
};

fn dissect(walk: &mut Walk<'_>) -> Next {
    if !walk.has(&ETHERNET, HEADER) {
        return Next::Payload;
    }
    let kind = be16(walk.rest(), 12).unwrap_or_default();
    walk.push(&ETHERNET, HEADER, usize::MAX);
    if kind < FIRST_ETHERTYPE { Next::Length } else { Next::EtherType(kind) }
}

fn summary(stack: &Stack<'_>, n: usize, line: &mut Line) {
    if stack.summarise(n + 1, line) {
        return;
    }
    let header = stack.header(n);
    let (Some(dst), Some(src)) = (mac_at(header, 0), mac_at(header, 6)) else { return };
    let kind = be16(header, 12).unwrap_or_default();
    line.mac(src).text(" > ").mac(dst);
    if kind < FIRST_ETHERTYPE {
        line.text(", 802.3, length ").dec(kind);
    } else {
        line.text(", ethertype 0x").hex(kind, 4);
        line.text(", length ").dec(stack.payload(n).len() as u64);
    }
}

/// The name of an EtherType (IEEE's registry).
pub fn ethertype_name(kind: u16) -> Option<&'static str> {
    Some(match kind {
        0x0800 => "IPv4",
        0x0806 => "ARP",
        0x0842 => "Wake-on-LAN",
        0x8035 => "Reverse ARP",
        0x8100 => "802.1Q",
        0x86dd => "IPv6",
        0x8808 => "Ethernet flow control",
        0x8847 => "MPLS unicast",
        0x8863 => "PPPoE discovery",
        0x8864 => "PPPoE session",
        0x888e => "EAPOL",
        0x88a8 => "802.1ad",
        0x88cc => "LLDP",
        0x88f7 => "PTP",
        0x9000 => "Loopback",
        _ => return None,
    })
}

/// The same for a field's meaning.
pub(super) fn ethertype_meaning(kind: u64) -> Option<&'static str> {
    match u16::try_from(kind) {
        Ok(kind) if kind < FIRST_ETHERTYPE => Some("length"),
        Ok(kind) => ethertype_name(kind),
        Err(_) => None,
    }
}

/// The source address of a frame.
pub fn source(frame: &[u8]) -> Option<[u8; 6]> {
    mac_at(frame, 6)
}

/// Source, destination and EtherType of a frame, if it begins with an Ethernet header.
pub fn header(stack: &Stack<'_>) -> Option<([u8; 6], [u8; 6], u16)> {
    let first = stack.layers.first().filter(|layer| layer.protocol == &ETHERNET)?;
    let header = stack.frame.get(first.start..first.payload)?;
    Some((mac_at(header, 6)?, mac_at(header, 0)?, be16(header, 12)?))
}
