//! TFTP (RFC 1350; options: RFC 2347, RFC 2348, RFC 2349).
//!
//! Only the request is sure to use port 69: most servers answer from a port of their own (RFC 1350
//! section 4). A request has its sender's end remembered, and what that end exchanges with other ports
//! is taken for the transfer, if it is well formed: elsewhere than at port 69 nothing else tells.

use super::line::Line;
use super::{Exchange, Item, Key, Next, NoteKind, Protocol, Stack, Value, Walk};
use super::{be16, ends, field, listed, udp};
use crate::escape;

/// The opcode of a read request.
pub const RRQ: u16 = 1;
/// The opcode of a write request.
pub const WRQ: u16 = 2;
/// The opcode of a block of data.
pub const DATA: u16 = 3;
/// The opcode of an acknowledgment.
pub const ACK: u16 = 4;
/// The opcode of an error.
pub const ERROR: u16 = 5;
/// The opcode of an acknowledgment of options.
pub const OACK: u16 = 6;

/// TFTP.
pub static TFTP: Protocol = Protocol {
    name: "tftp",
    title: "TFTP",
    keys: &[Key::UdpPort(PORT)],
    fields: &[
        field!("opcode", 0, 2, names opcode_name),
        listed!("filename", Text),
        listed!("mode", Text),
        listed!("option.name", Text, many),
        listed!("option.value", Text, many),
        listed!("block", Number),
        listed!("error_code", Number),
        listed!("error_message", Text),
    ],
    dissect,
    summary,
    list,
    exchange,
};

/// Where requests go.
const PORT: u16 = 69;

fn dissect(walk: &mut Walk<'_>) -> Next {
    let bytes = walk.rest();
    let below = walk.below(&udp::UDP).unwrap_or_default();
    let (source, destination) = (be16(below, 0), be16(below, 2));
    if ![source, destination].contains(&Some(PORT)) && !is_of_transfer(bytes) {
        return Next::Payload;
    }
    if !walk.has(&TFTP, 4) {
        return Next::Payload;
    }
    let opcode = be16(bytes, 0).unwrap_or_default();
    let (first, least) = match opcode {
        RRQ | WRQ => (2, 2),
        OACK => (2, 0),
        ERROR => (4, 1),
        DATA | ACK => {
            walk.push(&TFTP, 4, usize::MAX);
            return Next::Payload;
        }
        _ => {
            walk.note(&TFTP, 0, NoteKind::Invalid { field: "opcode", value: opcode.into() });
            walk.push(&TFTP, 2, usize::MAX);
            return Next::Payload;
        }
    };
    let strings = || strings(bytes, first);
    let end = strings().last().map_or(first, |(at, string)| at + string.len() + 1);
    let count = strings().count();
    if end < bytes.len() && opcode != ERROR {
        walk.note(&TFTP, end, NoteKind::Wrong("string has no end"));
    } else if count < least {
        walk.note(&TFTP, end, NoteKind::Wrong("string is missing"));
    } else if opcode != ERROR && count % 2 == 1 {
        walk.note(&TFTP, end, NoteKind::Wrong("option has no value"));
    } else if let (RRQ | WRQ, Some(source), Some(PORT)) = (opcode, source, destination) {
        walk.expect(&TFTP, source);
    }
    walk.push(&TFTP, end, usize::MAX);
    Next::Payload
}

/// Whether a datagram is a whole message of a transfer that goes on, and nothing else.
fn is_of_transfer(bytes: &[u8]) -> bool {
    let ends_with = |first| strings(bytes, first).last().map(|(at, s)| at + s.len() + 1);
    match be16(bytes, 0) {
        Some(DATA) => bytes.len() >= 4,
        Some(ACK) => bytes.len() == 4,
        Some(ERROR) => strings(bytes, 4).count() == 1 && ends_with(4) == Some(bytes.len()),
        Some(OACK) => {
            strings(bytes, 2).count().is_multiple_of(2) && ends_with(2) == Some(bytes.len())
        }
        _ => false,
    }
}

/// The strings from `at` on that end with a zero byte: place and bytes of each.
fn strings(message: &[u8], mut at: usize) -> impl Iterator<Item = (usize, &[u8])> {
    std::iter::from_fn(move || {
        let rest = message.get(at..)?;
        let length = rest.iter().position(|byte| *byte == 0)?;
        let string = (at, rest.get(..length)?);
        at += length + 1;
        Some(string)
    })
}

fn list(stack: &Stack<'_>, n: usize, visit: &mut dyn FnMut(Item<'_>)) {
    let header = stack.header(n);
    let names: &[&'static str] = match be16(header, 0) {
        Some(RRQ | WRQ) => &["filename", "mode"],
        Some(OACK) => &[],
        Some(DATA | ACK) => {
            if let Some(block) = be16(header, 2) {
                visit(Item::new("block", Value::Number(block.into()), 2, 2));
            }
            return;
        }
        Some(ERROR) => {
            if let Some(code) = be16(header, 2) {
                let item = Item::new("error_code", Value::Number(code.into()), 2, 2);
                visit(item.meaning(error_name(code)));
            }
            if let Some((at, text)) = strings(header, 4).next() {
                visit(Item::new("error_message", Value::Text(text), at, text.len()));
            }
            return;
        }
        _ => return,
    };
    for (n, (at, string)) in strings(header, 2).enumerate() {
        let option = ["option.name", "option.value"][(n - names.len().min(n)) % 2];
        let name = names.get(n).copied().unwrap_or(option);
        visit(Item::new(name, Value::Text(string), at, string.len()));
    }
}

/// Options that a summary says.
const MAX_OPTIONS: usize = 8;

fn summary(stack: &Stack<'_>, n: usize, line: &mut Line) {
    let header = stack.header(n);
    let opcode = be16(header, 0).unwrap_or_default();
    line.text("TFTP ");
    match opcode_name(opcode.into()) {
        Some(name) => line.text(name),
        None => line.text("opcode ").dec(opcode),
    };
    match opcode {
        RRQ | WRQ => {
            for (n, (_, string)) in strings(header, 2).take(2 + 2 * MAX_OPTIONS).enumerate() {
                line.text(if n == 0 { " \"" } else { " " });
                line.shortened(escape::terminal(string), 80).text(if n == 0 { "\"" } else { "" });
            }
        }
        OACK => {
            for (_, string) in strings(header, 2).take(2 * MAX_OPTIONS) {
                line.text(" ").shortened(escape::terminal(string), 80);
            }
        }
        DATA | ACK => {
            line.text(" block ").dec(be16(header, 2).unwrap_or_default());
            if opcode == DATA {
                line.text(", ").dec(stack.payload_length(n) as u64).text(" bytes");
            }
        }
        ERROR => {
            line.text(" ").dec(be16(header, 2).unwrap_or_default());
            if let Some((_, text)) = strings(header, 4).next() {
                line.text(" \"").shortened(escape::terminal(text), 80).text("\"");
            }
        }
        _ => {}
    }
}

/// Which block.
fn exchange(stack: &Stack<'_>, n: usize) -> Option<Exchange> {
    let header = stack.header(n);
    let is_answer = match be16(header, 0)? {
        DATA => false,
        ACK => true,
        _ => return None,
    };
    ends::exchange(&TFTP, (stack, n), is_answer, be16(header, 2)?)
}

fn opcode_name(opcode: u64) -> Option<&'static str> {
    Some(match u16::try_from(opcode).ok()? {
        RRQ => "read",
        WRQ => "write",
        DATA => "data",
        ACK => "ack",
        ERROR => "error",
        OACK => "option ack",
        _ => return None,
    })
}

/// The meaning of an error code (RFC 1350 appendix, RFC 2347).
fn error_name(code: u16) -> Option<&'static str> {
    Some(match code {
        0 => "not defined",
        1 => "file not found",
        2 => "access violation",
        3 => "disk full",
        4 => "illegal operation",
        5 => "unknown transfer",
        6 => "file exists",
        7 => "no such user",
        8 => "options refused",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use crate::proto::examined::{Over, assert_answers, examine_hostile, examine_large};
    use crate::proto::examined::{fields, said};

    const ASKED: Over = Over::Udp(40000, 69);
    const ANSWERED: Over = Over::Udp(69, 40000);
    const READ: &[u8] = b"\0\x01firmware.bin\0octet\0blksize\x00512\0";
    const FAILED: &[u8] = b"\0\x05\0\x01no such file\0";

    #[test]
    fn messages_read_as_sentences() {
        let lines = [
            said(ASKED, READ),
            said(ASKED, b"\0\x02log\x1b[2J\0netascii\0"),
            said(ANSWERED, b"\0\x03\0\x01abc"),
            said(ASKED, b"\0\x04\0\x01"),
            said(ANSWERED, FAILED),
            said(ANSWERED, b"\0\x06tsize\x001234\0"),
            said(ASKED, b"\0\x09\0\0"),
            said(ASKED, b"\0\x01file"),
            said(ASKED, b"\0\x01file\0"),
            said(ASKED, b"\0\x01file\0octet\0tsize\0"),
            said(ASKED, b"\0\x01\0"),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r#"
        TFTP read "firmware.bin" octet blksize 512
        TFTP write "log\x1b[2J" netascii
        TFTP data block 1, 3 bytes
        TFTP ack block 1
        TFTP error 1 "no such file"
        TFTP option ack tsize 1234
        TFTP opcode 9 [0: bad tftp opcode 9]
        TFTP read [2: tftp: string has no end]
        TFTP read "file" [7: tftp: string is missing]
        TFTP read "file" octet tsize [19: tftp: option has no value]
        payload [0: truncated: tftp needs 4 bytes, had 3]
        "#);
    }

    #[test]
    fn every_field_has_its_place() {
        insta::assert_snapshot!(fields(ASKED, READ), @r#"
        opcode = 1 (read) @0+2
        filename = "firmware.bin" @2+12
        mode = "octet" @15+5
        option.name = "blksize" @21+7
        option.value = "512" @29+3
        "#);
        insta::assert_snapshot!(fields(ANSWERED, FAILED), @r#"
        opcode = 5 (error) @0+2
        error_code = 1 (file not found) @2+2
        error_message = "no such file" @4+12
        "#);
        insta::assert_snapshot!(fields(ANSWERED, b"\0\x03\0\x01abc"), @r"
        opcode = 3 (data) @0+2
        block = 1 @2+2
        ");
    }

    #[test]
    fn an_acknowledgment_belongs_to_its_block() {
        assert_answers((ANSWERED, b"\0\x03\0\x01abc"), (ASKED, b"\0\x04\0\x01"));
    }

    #[test]
    fn hostile_bytes_are_harmless() {
        examine_hostile(ASKED, &[READ, FAILED, b"\0\x03\0\x01abc", b"\0\x06tsize\x001234\0"]);
        examine_large(ASKED, &[b"\0\x01".as_slice(), &[0; 65_000]].concat());
        examine_large(ASKED, &[b"\0\x01".as_slice(), &[b'a'; 65_000]].concat());
    }
}
