//! HTTP/1 (RFC 9112): the heads of messages, wherever a segment begins with one.
//!
//! A TCP segment begins with a head if its first line is a start line, on any port; on the usual ports a
//! start line may also go on in the next segment. Other segments continue a body or a head and are
//! declined. A head that is cut is shown as far as it is there, and is not malformed. Of a chunked body
//! (section 7.1) the sizes are shown that are in the same segment.

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

/// The parts of a start line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start<'a> {
    /// Method, target and, unless it is cut or left out, version.
    Request(&'a [u8], &'a [u8], Option<&'a [u8]>),
    /// Version, status and reason.
    Status(&'a [u8], u16, &'a [u8]),
}

/// The line that begins at `at` without its end, and where the next one begins; `None` if it has no end.
pub(crate) fn line_at(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let rest = bytes.get(at..)?;
    let length = rest.iter().position(|byte| *byte == b'\n')?;
    let line = rest.get(..length)?;
    Some((line.strip_suffix(b"\r").unwrap_or(line), at + length + 1))
}

/// A start line, whole or cut.
fn start_line(line: &[u8]) -> Option<Start<'_>> {
    let space = line.iter().position(|byte| *byte == b' ')?;
    let (first, rest) = (&line[..space], &line[space + 1..]);
    if is_version(first) {
        let digits = rest.get(..3).filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
        let status = digits.iter().fold(0, |n, digit| n * 10 + u16::from(digit - b'0'));
        return match rest.get(3) {
            None => Some(Start::Status(first, status, &[])),
            Some(b' ') => Some(Start::Status(first, status, &rest[4..])),
            Some(_) => None,
        };
    }
    if first.is_empty() || !first.iter().all(|byte| is_token(*byte)) {
        return None;
    }
    let last = rest.iter().rposition(|byte| *byte == b' ');
    let split = last.map(|last| (&rest[..last], &rest[last + 1..]));
    match split.filter(|(_, version)| is_version(version)) {
        Some((target, version)) => Some(Start::Request(first, target, Some(version))),
        None => Some(Start::Request(first, rest, None)),
    }
}

pub(crate) fn is_version(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"HTTP/").unwrap_or_default();
    matches!(digits, [major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit())
}

/// A character of a method or of a header's name (RFC 9110 section 5.6.2).
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

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

/// A line of a head behind the start line.
#[derive(Clone, Copy, Debug)]
struct Header<'a> {
    /// Where it begins.
    at: usize,
    /// Without its end.
    line: &'a [u8],
}

impl<'a> Header<'a> {
    /// Name and value; `None` if there is no colon.
    fn parts(&self) -> Option<(&'a [u8], &'a [u8])> {
        let colon = self.line.iter().position(|byte| *byte == b':')?;
        Some((&self.line[..colon], self.line[colon + 1..].trim_ascii()))
    }

    /// What is against the protocol (RFC 9112 sections 5.1, 5.2 and 6.2).
    fn fault(&self) -> Option<&'static str> {
        if matches!(self.line, [b' ' | b'\t', ..]) {
            return Some("header is folded");
        }
        let Some((name, value)) = self.parts() else { return Some("header without a colon") };
        if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
            return Some("header's name is not a word");
        }
        let is_length = name.eq_ignore_ascii_case(b"content-length");
        (is_length && number(value).is_none()).then_some("content length is not a number")
    }

    fn is_chunked(&self) -> bool {
        self.parts().is_some_and(|(name, value)| {
            name.eq_ignore_ascii_case(b"transfer-encoding")
                && value.rsplit(|byte| *byte == b',').next().is_some_and(is_chunked)
        })
    }
}

fn is_chunked(coding: &[u8]) -> bool {
    coding.trim_ascii().eq_ignore_ascii_case(b"chunked")
}

/// A decimal number.
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}

/// Reads the lines of a head behind its start line.
#[derive(Clone, Debug)]
struct Head<'a> {
    bytes: &'a [u8],
    /// Where the next line begins; in the end, where the body begins or the bytes end.
    at: usize,
    is_started: bool,
    is_ended: bool,
    is_whole: bool,
}

impl<'a> Head<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Head { bytes, at: 0, is_started: false, is_ended: false, is_whole: false }
    }

    /// Whether the blank line was there.
    fn is_whole(&self) -> bool {
        self.is_whole
    }
}

impl<'a> Iterator for Head<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        loop {
            if self.is_ended {
                return None;
            }
            let Some((line, next)) = line_at(self.bytes, self.at) else {
                (self.is_ended, self.at) = (true, self.bytes.len());
                return None;
            };
            let at = std::mem::replace(&mut self.at, next);
            if !std::mem::replace(&mut self.is_started, true) {
                continue;
            }
            if line.is_empty() {
                (self.is_ended, self.is_whole) = (true, true);
                return None;
            }
            return Some(Header { at, line });
        }
    }
}

/// Reads the sizes of chunks (RFC 9112 section 7.1): place, number of digits, and size.
#[derive(Clone, Debug)]
struct Chunks<'a> {
    bytes: &'a [u8],
    at: usize,
    broken_at: Option<usize>,
}

impl Iterator for Chunks<'_> {
    type Item = (usize, usize, u64);

    fn next(&mut self) -> Option<(usize, usize, u64)> {
        let (line, next) = line_at(self.bytes, self.at)?;
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let text = std::str::from_utf8(&line[..digits]).ok()?;
        let at = self.at;
        let is_size = matches!(line.get(digits), None | Some(b';' | b' ' | b'\t'));
        let Some(size) = u64::from_str_radix(text, 16).ok().filter(|_| is_size) else {
            (self.broken_at, self.at) = (Some(at), self.bytes.len());
            return None;
        };
        // The last chunk is followed by trailers; any other by its data and the end of a line.
        let skip = usize::try_from(size).ok().filter(|size| *size > 0);
        let behind = skip.and_then(|size| next.checked_add(size)?.checked_add(2));
        self.at = behind.map_or(self.bytes.len(), |at| at.min(self.bytes.len()));
        Some((at, digits, size))
    }
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
mod tests {
    use crate::dissect::examined::{Over, assert_answers, examine_hostile, examine_large};
    use crate::dissect::examined::{exchange as told, fields, said, said_briefly};

    const ASKED: Over = Over::Tcp(40000, 80);
    const ANSWERED: Over = Over::Tcp(80, 40000);
    const ELSEWHERE: Over = Over::Tcp(40000, 5000);

    const GET: &[u8] =
        b"GET /index.html HTTP/1.1\r\nHost: 192.168.100.2\r\nUser-Agent: uarttool\r\n\r\n";
    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\
        Content-Length: 1234\r\nServer: esp32\r\n\r\n<html>";
    const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n\
        5\r\nhello\r\n1a;x=y\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n";

    #[test]
    fn heads_read_as_their_start_lines() {
        let long = [b"GET /".as_slice(), &[b'a'; 1000]].concat();
        let lines = [
            said(ASKED, GET),
            said(ANSWERED, OK),
            said(ANSWERED, CHUNKED),
            said(ELSEWHERE, GET),
            said(ELSEWHERE, b"GET / HTT"),
            said(ASKED, b"GET / HTT"),
            said(ASKED, b"PATCHWORK / of"),
            said(ANSWERED, b"<html>HTTP/1.1 200 OK\r\n\r\n"),
            said(ASKED, b"GET /\x1b[2J\xe2\x80\xae HTTP/1.1\n\n"),
            said(ASKED, &long),
            said(ASKED, b"GET /old\r\n"),
            said(ASKED, b"POST /x HTTP/1.1\r\nContent-Length: 1x\r\n\r\n"),
            said(ASKED, b"GET / HTTP/1.1\r\nno colon\r\n\r\n"),
            said(ASKED, b"GET / HTTP/1.1\r\nA : b\r\n c\r\n\r\n"),
            said(ANSWERED, b"HTTP/1.1 404 \r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
            said_briefly(ANSWERED, OK),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r"
        HTTP: GET /index.html HTTP/1.1
        HTTP: HTTP/1.1 200 OK, text/html, 1234 bytes
        HTTP: HTTP/1.1 200 OK, chunked
        HTTP: GET /index.html HTTP/1.1
        payload
        HTTP: GET / HTT
        payload
        payload
        HTTP: GET /\x1b[2J\u{202e} HTTP/1.1
        HTTP: GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...
        HTTP: GET /old [0: request line without a version]
        HTTP: POST /x HTTP/1.1 [18: content length is not a number]
        HTTP: GET / HTTP/1.1 [16: header without a colon]
        HTTP: GET / HTTP/1.1 [16: header's name is not a word]
        HTTP: HTTP/1.1 404, chunked [45: chunk size cannot be read]
        HTTP: HTTP/1.1 200 OK
        ");
    }

    #[test]
    fn every_field_has_its_place() {
        insta::assert_snapshot!(fields(ASKED, GET), @r#"
        method = "GET" @0+3
        target = "/index.html" @4+11
        version = "HTTP/1.1" @16+8
        header = "Host: 192.168.100.2" @26+19
        host = "192.168.100.2" @32+13
        header = "User-Agent: uarttool" @47+20
        user_agent = "uarttool" @59+8
        "#);
        insta::assert_snapshot!(fields(ANSWERED, OK), @r#"
        version = "HTTP/1.1" @0+8
        status = 200 (successful) @9+3
        reason = "OK" @13+2
        header = "Content-Type: text/html; charset=utf-8" @17+38
        content_type = "text/html; charset=utf-8" @31+24
        header = "Content-Length: 1234" @57+20
        content_length = 1234 @73+4
        header = "Server: esp32" @79+13
        server = "esp32" @87+5
        "#);
        insta::assert_snapshot!(fields(ANSWERED, CHUNKED), @r#"
        version = "HTTP/1.1" @0+8
        status = 200 (successful) @9+3
        reason = "OK" @13+2
        header = "Transfer-Encoding: gzip, Chunked" @17+32
        transfer_encoding = "gzip, Chunked" @36+13
        chunk_size = 5 @53+1
        chunk_size = 26 @63+2
        chunk_size = 0 @99+1
        "#);
        insta::assert_snapshot!(fields(ASKED, b"POST /x HTTP/1.0\r\nContent-Length:7\t \r\nHos"), @r#"
        method = "POST" @0+4
        target = "/x" @5+2
        version = "HTTP/1.0" @8+8
        header = "Content-Length:7\\t " @18+18
        content_length = 7 @33+1
        "#);
    }

    #[test]
    fn a_response_belongs_to_the_request_of_its_connection() {
        assert_answers((ASKED, GET), (ANSWERED, OK));
        assert_eq!(told(ANSWERED, b"HTTP/1.1 100 Continue\r\n\r\n"), None);
    }

    #[test]
    fn hostile_bytes_are_harmless() {
        examine_hostile(ASKED, &[GET, OK, CHUNKED]);
        examine_large(ASKED, &[b"GET / HTTP/1.1\r\n".as_slice(), &b":\n".repeat(32_000)].concat());
        examine_large(ASKED, &[b"GET /".as_slice(), &[0x1b; 65_000]].concat());
        let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".as_slice();
        examine_large(ANSWERED, &[chunks, &b"1\na\r\n".repeat(12_000)].concat());
        examine_large(ANSWERED, &[chunks, &b"ffffffffffffffff\r\n".repeat(12_000)].concat());
    }
}
