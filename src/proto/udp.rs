//! UDP (RFC 768).

use super::line::Line;
use super::{Next, NoteKind, Protocol, Stack, Value, Walk, be16, field, ipv4, ipv4_at};
use crate::checksum;

/// The bytes of a UDP header.
pub const HEADER: usize = 8;

/// UDP.
pub static UDP: Protocol = Protocol {
    name: "udp",
    keys: &[Next::IpProtocol(17)],
    fields: &[
        field!("src_port", 0, 2),
        field!("dst_port", 2, 2),
        field!("length", 4, 2),
        field!("checksum", 6, hex16),
    ],
    dissect,
    summary,
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
    let part = walk.below(&ipv4::IPV4).and_then(ipv4::fragment);
    let whole = part.is_none_or(|part| !part.more);
    if whole && walk.has(&UDP, length) {
        verify(walk, &bytes[..length]);
    }
    walk.push(&UDP, HEADER, length);
    Next::Payload
}

/// A checksum of 0 means that there is none.
fn verify(walk: &mut Walk<'_>, datagram: &[u8]) {
    let found = be16(datagram, 6).unwrap_or_default();
    let Some(ip) = walk.below(&ipv4::IPV4) else { return };
    let (Some(src), Some(dst)) = (ipv4_at(ip, 12), ipv4_at(ip, 16)) else { return };
    if found == 0 {
        return;
    }
    let computed = checksum::Sum::pseudo(src, dst, 17, datagram.len()).plus(datagram).finish();
    if let Some(expected) = checksum::correction(computed, found) {
        walk.note(&UDP, 6, NoteKind::Checksum { found, expected });
    }
}

fn summary(stack: &Stack<'_>, n: usize, line: &mut Line) {
    line.text("UDP, length ").dec(stack.payload(n).len() as u64);
}
