//! Ethernet II (IEEE 802.3 clause 3): destination, source, EtherType. Frames of this line carry
//! no check sequence and need not be padded to 60 bytes.

use super::line::Line;
use super::{Key, Next, Protocol, Stack, Walk, be16, field, llc, mac_at, vlan};
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
    let header = stack.header(n);
    let kind = be16(header, 12).unwrap_or_default();
    let mut above = stack.layers.iter().skip(n + 1);
    let is_known = above.any(|layer| layer.protocol != &vlan::VLAN && layer.protocol != &llc::LLC);
    if !is_known && let (Some(dst), Some(src)) = (mac_at(header, 0), mac_at(header, 6)) {
        line.mac(src).text(" > ").mac(dst).text(", ");
    }
    if !stack.summarise(n + 1, line) {
        say_type(kind, stack.payload_length(n), line);
    }
}

/// Says an EtherType that is not dissected further, or a length in its place, and how many bytes
/// follow it.
pub(super) fn say_type(kind: u16, length: usize, line: &mut Line) {
    if kind < FIRST_ETHERTYPE {
        line.text("802.3, length ").dec(kind);
        return;
    }
    line.text("ethertype ");
    match ethertype_name(kind) {
        Some(name) => line.text(name).text(" (0x").hex(kind, 4).text(")"),
        None => line.text("0x").hex(kind, 4),
    };
    line.text(", length ").dec(length as u64);
}

/// The name of an EtherType (IEEE's registry).
pub fn ethertype_name(kind: u16) -> Option<&'static str> {
    Some(match kind {
        0x0800 => "IPv4",
        0x0806 => "ARP",
        0x0842 => "Wake-on-LAN",
        0x22f0 => "AVTP",
        0x22f3 => "TRILL",
        0x6003 => "DECnet",
        0x8035 => "Reverse ARP",
        0x809b => "AppleTalk",
        0x80f3 => "AppleTalk ARP",
        0x8100 => "802.1Q",
        0x8137 => "IPX",
        0x86dd => "IPv6",
        0x8808 => "Ethernet flow control",
        0x8809 => "slow protocols",
        0x8847 => "MPLS unicast",
        0x8848 => "MPLS multicast",
        0x8863 => "PPPoE discovery",
        0x8864 => "PPPoE session",
        0x886d => "Intel teaming",
        0x887b => "HomePlug",
        0x888e => "EAPOL",
        0x8892 => "PROFINET",
        0x88a2 => "ATA over Ethernet",
        0x88a4 => "EtherCAT",
        0x88a8 => "802.1ad",
        0x88b5 | 0x88b6 => "local experimental",
        0x88cc => "LLDP",
        0x88e1 => "HomePlug AV",
        0x88e5 => "MACsec",
        0x88e7 => "802.1ah",
        0x88f5 => "MVRP",
        0x88f7 => "PTP",
        0x8902 => "CFM",
        0x8906 => "FCoE",
        0x892f => "HSR",
        0x9000 => "Loopback",
        0x9100 => "802.1Q QinQ",
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
