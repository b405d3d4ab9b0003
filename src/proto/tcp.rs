//! TCP (RFC 9293 section 3.1; options: RFC 7323, RFC 2018).

use super::line::Line;
use super::{Next, NoteKind, Protocol, Stack, Value, Walk, be16, be32, field, ipv4, ipv4_at};
use crate::checksum;

/// The bytes of a header without options.
pub const HEADER: usize = 20;

/// TCP.
pub static TCP: Protocol = Protocol {
    name: "tcp",
    keys: &[Next::IpProtocol(6)],
    fields: &[
        field!("src_port", 0, 2),
        field!("dst_port", 2, 2),
        field!("seq", 4, 4),
        field!("ack", 8, 4),
        field!("data_offset", 12, 1, |h| h.get(12).map(|b| Value::Number(u64::from(b >> 4)))),
        field!("reserved", 12, 1, |h| h.get(12).map(|b| Value::Number(u64::from(b & 15)))),
        field!("cwr", 13, bit 0x80),
        field!("ece", 13, bit 0x40),
        field!("urg", 13, bit 0x20),
        field!("ack_flag", 13, bit 0x10),
        field!("psh", 13, bit 0x08),
        field!("rst", 13, bit 0x04),
        field!("syn", 13, bit 0x02),
        field!("fin", 13, bit 0x01),
        field!("window", 14, 2),
        field!("checksum", 16, hex16),
        field!("urgent_pointer", 18, 2),
    ],
    dissect,
    summary,
};

fn dissect(walk: &mut Walk<'_>) -> Next {
    if !walk.has(&TCP, HEADER) {
        return Next::Payload;
    }
    let bytes = walk.rest();
    let header = usize::from(bytes[12] >> 4) * 4;
    if header < HEADER {
        let kind = NoteKind::Invalid { field: "data_offset", value: (header / 4) as u64 };
        walk.note(&TCP, 12, kind);
        walk.push(&TCP, HEADER, HEADER);
        return Next::Payload;
    }
    walk.has(&TCP, header);
    verify(walk, bytes);
    walk.push(&TCP, header, usize::MAX);
    Next::Payload
}

fn verify(walk: &mut Walk<'_>, segment: &[u8]) {
    let Some(ip) = walk.below(&ipv4::IPV4) else { return };
    let (Some(src), Some(dst)) = (ipv4_at(ip, 12), ipv4_at(ip, 16)) else { return };
    let total = usize::from(be16(ip, 2).unwrap_or_default());
    let part = ipv4::fragment(ip).is_some_and(|part| part.more);
    if part || total != ip.len() + segment.len() {
        return;
    }
    let found = be16(segment, 16).unwrap_or_default();
    let computed = checksum::Sum::pseudo(src, dst, 6, segment.len()).plus(segment).finish();
    if let Some(expected) = checksum::correction(computed, found) {
        walk.note(&TCP, 16, NoteKind::Checksum { found, expected });
    }
}

fn summary(stack: &Stack<'_>, n: usize, line: &mut Line) {
    let (header, length) = (stack.header(n), stack.payload(n).len());
    let (Some(seq), Some(ack), Some(&flags)) = (be32(header, 4), be32(header, 8), header.get(13))
    else {
        return;
    };
    if line.is_brief() {
        line.text("tcp ").dec(length as u64);
        return;
    }
    line.text("Flags [").text(&flag_letters(flags)).text("]");
    if length > 0 || flags & 0x07 != 0 {
        line.text(", seq ").dec(seq);
    }
    if length > 0 {
        line.text(":").dec(seq.wrapping_add(length as u32));
    }
    if flags & 0x10 != 0 {
        line.text(", ack ").dec(ack);
    }
    line.text(", win ").dec(be16(header, 14).unwrap_or_default());
    if flags & 0x20 != 0 {
        line.text(", urg ").dec(be16(header, 18).unwrap_or_default());
    }
    if header.len() > HEADER {
        options(&header[HEADER..], line);
    }
    line.text(", length ").dec(length as u64);
}

/// The letters that tcpdump uses: `S.` is SYN and ACK.
fn flag_letters(flags: u8) -> String {
    const LETTERS: [(u8, char); 8] = [
        (0x01, 'F'),
        (0x02, 'S'),
        (0x04, 'R'),
        (0x08, 'P'),
        (0x10, '.'),
        (0x20, 'U'),
        (0x40, 'E'),
        (0x80, 'W'),
    ];
    let letters: String =
        LETTERS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, letter)| letter).collect();
    if letters.is_empty() { "none".to_owned() } else { letters }
}

/// Says the options; one that cannot be read ends the list.
fn options(mut bytes: &[u8], line: &mut Line) {
    line.text(", options [");
    let mut first = true;
    while let Some(&kind) = bytes.first() {
        if !std::mem::take(&mut first) {
            line.text(",");
        }
        let length = match kind {
            0 | 1 => 1,
            _ => bytes.get(1).map_or(0, |n| usize::from(*n)),
        };
        let Some(option) = bytes.get(..length).filter(|_| length >= 2 || kind <= 1) else {
            line.text("bad option ").dec(kind);
            break;
        };
        option_text(option, line);
        if kind == 0 {
            break;
        }
        bytes = &bytes[length..];
    }
    line.text("]");
}

fn option_text(option: &[u8], line: &mut Line) {
    match (option[0], option.len()) {
        (0, _) => line.text("eol"),
        (1, _) => line.text("nop"),
        (2, 4) => line.text("mss ").dec(be16(option, 2).unwrap_or_default()),
        (3, 3) => line.text("wscale ").dec(option[2]),
        (4, 2) => line.text("sackOK"),
        (5, length) if length % 8 == 2 => {
            line.text("sack ").dec((length / 8) as u64);
            for pair in option[2..].chunks_exact(8) {
                let (left, right) = (be32(pair, 0), be32(pair, 4));
                line.text(" {").dec(left.unwrap_or_default());
                line.text(":").dec(right.unwrap_or_default()).text("}");
            }
            line
        }
        (8, 10) => {
            line.text("TS val ").dec(be32(option, 2).unwrap_or_default());
            line.text(" ecr ").dec(be32(option, 6).unwrap_or_default())
        }
        (kind, length) => line.text("kind ").dec(kind).text(" len ").dec(length as u64),
    };
}
