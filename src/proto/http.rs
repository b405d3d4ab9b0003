//! HTTP/1 (RFC 9112): the heads of messages, wherever a segment begins with one.
//!
//! A TCP segment begins with a head if its first line is a start line, on any port; on the usual ports a
//! start line may also go on in the next segment. Other segments continue a body or a head and are
//! declined. A head that is cut is shown as far as it is there, and is not malformed. Of a chunked body
//! (section 7.1) the sizes are shown that are in the same segment.

use super::http_head::{Chunks, Head, Header, Start, is_token, line_at, number, start_line};
use super::line::Line;
use super::{Exchange, Item, Key, Next, NoteKind, Protocol, Stack, Value, Walk, ends, listed};
use crate::escape;

/// HTTP/1.
pub static HTTP: Protocol = Protocol {
    name: "http",
    title: "HTTP",
    keys: &[
        Key::TcpPort(80),
        Key::TcpPort(8000),
        Key::TcpPort(8080),
        Key::TcpPort(8888),
        Key::TcpContent(begins_with_whole_line),
    ],
    fields: &[
        listed!("method", Text),
        listed!("target", Text),
        listed!("version", Text),
        listed!("status", Number),
        listed!("reason", Text),
        listed!("header", Text, many),
        listed!("host", Text, many),
        listed!("user_agent", Text, many),
        listed!("server", Text, many),
        listed!("content_type", Text, many),
        listed!("content_length", Number, many),
        listed!("transfer_encoding", Text, many),
        listed!("chunk_size", Number, many),
    ],
    dissect,
    summary,
    list,
    exchange,
};

/// Methods that begin a start line even where the rest of the line is not there.
const METHODS: [&[u8]; 9] =
    [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH"];

/// Whether `bytes` begin with a whole start line that names its version.
fn begins_with_whole_line(bytes: &[u8]) -> bool {
    // Most of what is asked is no HTTP at all: its first word tells, long before there is a line end.
    let word = bytes.iter().position(|byte| !is_token(*byte) && *byte != b'/');
    if word.is_none_or(|end| end == 0 || bytes[end] != b' ') {
        return false;
    }
    let line = line_at(bytes, 0).map(|(line, _)| line);
    matches!(line.and_then(start_line), Some(Start::Status(..) | Start::Request(_, _, Some(_))))
}

/// Whether they begin with what can become one, or with one of an old client that names no version.
fn begins_with_method(bytes: &[u8]) -> bool {
    METHODS.iter().any(|method| {
        bytes
            .strip_prefix(*method)
            .is_some_and(|rest| matches!(rest, [b' ', b'/' | b'*' | b'h', ..]))
    })
}

fn dissect(walk: &mut Walk<'_>) -> Next {
    let bytes = walk.rest();
    if !begins_with_whole_line(bytes) && !begins_with_method(bytes) {
        return Next::Payload;
    }
    let mut head = Head::new(bytes);
    let (mut is_chunked, mut fault) = (false, None);
    if let Some((line, _)) = line_at(bytes, 0)
        && let Some(Start::Request(_, _, None)) = start_line(line)
    {
        fault = Some((0, "request line without a version"));
    }
    for line in head.by_ref() {
        fault = fault.or(line.fault().map(|what| (line.at, what)));
        is_chunked |= line.is_chunked();
    }
    if let Some((at, what)) = fault {
        walk.note(&HTTP, at, NoteKind::Wrong(what));
    }
    if is_chunked && head.is_whole() {
        let mut chunks = Chunks { bytes, at: head.at, broken_at: None };
        chunks.by_ref().for_each(drop);
        if let Some(at) = chunks.broken_at {
            walk.note(&HTTP, at, NoteKind::Wrong("chunk size cannot be read"));
        }
    }
    walk.push(&HTTP, head.at, usize::MAX);
    Next::Payload
}

fn list(stack: &Stack<'_>, n: usize, visit: &mut dyn FnMut(Item<'_>)) {
    let head = stack.header(n);
    let line = line_at(head, 0).map_or(head, |(line, _)| line);
    if let Some(start) = start_line(line) {
        list_start(start, visit);
    }
    let mut lines = Head::new(head);
    let mut is_chunked = false;
    for header in lines.by_ref() {
        visit(Item::new("header", Value::Text(header.line), header.at, header.line.len()));
        list_header(&header, visit);
        is_chunked |= header.is_chunked();
    }
    if is_chunked && lines.is_whole() {
        let body = stack.payload(n);
        for (at, digits, size) in (Chunks { bytes: body, at: 0, broken_at: None }) {
            visit(Item::new("chunk_size", Value::Number(size), head.len() + at, digits));
        }
    }
}

fn list_start(start: Start<'_>, visit: &mut dyn FnMut(Item<'_>)) {
    let text = |name, text, at| Item::new(name, Value::Text(text), at, text.len());
    match start {
        Start::Request(method, target, version) => {
            visit(text("method", method, 0));
            visit(text("target", target, method.len() + 1));
            if let Some(version) = version {
                visit(text("version", version, method.len() + target.len() + 2));
            }
        }
        Start::Status(version, status, reason) => {
            visit(text("version", version, 0));
            let at = version.len() + 1;
            let item = Item::new("status", Value::Number(status.into()), at, 3);
            visit(item.meaning(status_name(status)));
            if !reason.is_empty() {
                visit(text("reason", reason, at + 4));
            }
        }
    }
}

/// Headers that have fields of their own.
const OWN: [(&[u8], &str); 5] = [
    (b"host", "host"),
    (b"user-agent", "user_agent"),
    (b"server", "server"),
    (b"content-type", "content_type"),
    (b"transfer-encoding", "transfer_encoding"),
];

fn list_header(header: &Header<'_>, visit: &mut dyn FnMut(Item<'_>)) {
    let Some((name, value)) = header.parts() else { return };
    let blank = header.line.len() - header.line.trim_ascii_end().len();
    let at = header.at + header.line.len() - blank.min(header.line.len()) - value.len();
    if let Some((_, field)) = OWN.iter().find(|own| name.eq_ignore_ascii_case(own.0)) {
        visit(Item::new(field, Value::Text(value), at, value.len()));
    }
    let is_length = name.eq_ignore_ascii_case(b"content-length");
    if let Some(length) = number(value).filter(|_| is_length) {
        visit(Item::new("content_length", Value::Number(length), at, value.len()));
    }
}

/// Bytes of a start line that a summary says.
const MAX_START: usize = 120;
/// Bytes of a content type that a summary says.
const MAX_TYPE: usize = 60;

fn summary(stack: &Stack<'_>, n: usize, line: &mut Line) {
    let head = stack.header(n);
    let start = line_at(head, 0).map_or(head, |(line, _)| line).trim_ascii_end();
    // Bytes beyond what is said need not be made safe; one more tells that they were there.
    let start = start.get(..MAX_START + 1).unwrap_or(start);
    line.text("HTTP: ").shortened(escape::terminal(start), MAX_START);
    if line.is_brief() {
        return;
    }
    let of = |wanted: &[u8]| {
        let mut values = Head::new(head).filter_map(|header| header.parts());
        values.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
    };
    if let Some(kind) = of(b"content-type") {
        let end = kind.iter().position(|byte| *byte == b';').unwrap_or(kind.len());
        let kind = kind[..end.min(MAX_TYPE + 1)].trim_ascii();
        line.text(", ").shortened(escape::terminal(kind), MAX_TYPE);
    }
    if let Some(length) = of(b"content-length").and_then(number) {
        line.text(", ").dec(length).text(" bytes");
    }
    if Head::new(head).any(|header| header.is_chunked()) {
        line.text(", chunked");
    }
}

/// A response belongs to the last request of its connection; an interim one answers nothing yet.
fn exchange(stack: &Stack<'_>, n: usize) -> Option<Exchange> {
    let head = stack.header(n);
    let line = line_at(head, 0).map_or(head, |(line, _)| line);
    let is_answer = match start_line(line)? {
        Start::Request(..) => false,
        Start::Status(_, 100..=199, _) => return None,
        Start::Status(..) => true,
    };
    ends::exchange(&HTTP, (stack, n), is_answer, ())
}

/// The class of a status (RFC 9110 section 15).
fn status_name(status: u16) -> Option<&'static str> {
    Some(match status {
        100..=199 => "informational",
        200..=299 => "successful",
        300..=399 => "redirection",
        400..=499 => "client error",
        500..=599 => "server error",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
