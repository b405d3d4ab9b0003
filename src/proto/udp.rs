//! UDP (RFC 768).

use super::ip::Addresses;
use super::line::Line;
use super::{Key, Next, NoteKind, Protocol, Stack, Walk, be16, field};
use crate::checksum;

/// The bytes of a UDP header.
pub const HEADER: usize = 8;

/// UDP.
pub static UDP: Protocol = Protocol {
    name: "udp",
    title: "UDP",
    keys: &[Key::IpProtocol(17)],
    fields: &[
        field!("src_port", 0, 2),
        field!("dst_port", 2, 2),
        field!("length", 4, 2),
        field!("checksum", 6, hex16),
    ],
    dissect,
    summary,
    ..Protocol::BASE
};

fn dissect(walk: &mut Walk<'_>) -> Next {
    if !walk.has(&UDP, HEADER) {
        return Next::Payload;
    }
    let bytes = walk.rest();
    let length = usize::from(be16(bytes, 4).unwrap_or_default());
    if length < HEADER {
        walk.note(&UDP, 4, NoteKind::Invalid { field: "length", value: length as u64 });
        walk.push(&UDP, HEADER, HEADER);
        return Next::Payload;
    }
    let is_whole = walk.is_whole();
    if is_whole && walk.has_all(&UDP, length) {
        verify(walk, &bytes[..length]);
    }
    walk.push(&UDP, HEADER, length);
    match (be16(bytes, 0), be16(bytes, 2)) {
        (Some(source), Some(destination)) => Next::Udp { source, destination },
        _ => Next::Payload,
    }
}

/// A checksum of 0 means that there is none; IPv6 does not allow that (RFC 8200 section 8.1).
fn verify(walk: &mut Walk<'_>, datagram: &[u8]) {
    let found = be16(datagram, 6).unwrap_or_default();
    let Some(sum) = walk.pseudo_header(17, datagram.len()) else { return };
    if found == 0 {
        let is_v6 = matches!(walk.carrier().map(|by| by.addresses), Some(Addresses::V6(..)));
        if is_v6 {
            walk.note(&UDP, 6, NoteKind::Invalid { field: "checksum", value: 0 });
        }
        return;
    }
    if let Some(expected) = checksum::correction(sum.plus(datagram).finish(), found) {
        walk.note(&UDP, 6, NoteKind::Checksum { found, expected });
    }
}

fn summary(stack: &Stack<'_>, n: usize, line: &mut Line) {
    if !stack.summarise(n + 1, line) {
        line.text("UDP");
    }
    line.text(", length ").dec(stack.payload_length(n) as u64);
}
