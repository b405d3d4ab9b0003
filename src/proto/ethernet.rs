//! Ethernet II (IEEE 802.3 clause 3): destination, source, EtherType. Frames of this line carry
//! no check sequence and need not be padded to 60 bytes.

use super::line::Line;
use super::{Next, Protocol, Stack, Value, Walk, be16, field, mac_at};

/// The bytes of an Ethernet header.
pub const HEADER: usize = 14;
/// EtherTypes below this are the length field of an 802.3 frame.
const FIRST_ETHERTYPE: u16 = 0x600;

/// Ethernet II.
pub static ETHERNET: Protocol = Protocol {
    name: "ethernet",
    keys: &[Next::Link],
    fields: &[field!("dst", 0, mac), field!("src", 6, mac), field!("type", 12, hex16)],
    dissect,
    summary,
};

fn dissect(walk: &mut Walk<'_>) -> Next {
    if !walk.has(&ETHERNET, HEADER) {
        return Next::Payload;
    }
    let kind = be16(walk.rest(), 12).unwrap_or_default();
    walk.push(&ETHERNET, HEADER, usize::MAX);
    if kind < FIRST_ETHERTYPE { Next::Payload } else { Next::EtherType(kind) }
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

/// The source address of a frame.
pub fn source(frame: &[u8]) -> Option<[u8; 6]> {
    mac_at(frame, 6)
}
