//! CoAP (RFC 7252; observing: RFC 7641; blocks: RFC 7959).
//!
//! Options are written as differences: number and length each have four bits, and up to two more bytes
//! (section 3.1). The path and the query of a request are one option for each part, and are joined.
//! A response belongs to the request with the same token, whether it comes with the acknowledgment or
//! on its own; an empty message, used as a ping, belongs to its reset by the message id.

use super::coap_names::{code_meaning, code_name, format_name, option_name, type_name};
use super::line::Line;
use super::{Exchange, Item, Key, Next, NoteKind, Protocol, Stack, Value, Walk};
use super::{be16, ends, field, listed};
use crate::escape;

/// The bytes of a header without token and options.
pub const HEADER: usize = 4;

/// CoAP.
pub static COAP: Protocol = Protocol {
    name: "coap",
    title: "CoAP",
    keys: &[Key::UdpPort(5683)],
    fields: &[
        field!("version", 0, 1, Number, |h| h.first().map(|b| Value::Number(u64::from(b >> 6)))),
        field!("type", 0, 1, Number, |h| h.first().map(|b| Value::Number(u64::from(b >> 4 & 3))), names type_name),
        field!("token_length", 0, 1, Number, |h| h
            .first()
            .map(|b| Value::Number(u64::from(b & 15)))),
        field!("code", 1, hex8, names code_meaning),
        field!("message_id", 2, 2),
        listed!("token", Bytes),
        listed!("uri_host", Text),
        listed!("uri_path", Text),
        listed!("uri_query", Text),
        listed!("option.number", Number, many),
        listed!("option.text", Text, many),
        listed!("option.value", Number, many),
        listed!("option.data", Bytes, many),
    ],
    dissect,
    summary,
    list,
    exchange,
};

/// The number of the option that names the host.
pub(super) const URI_HOST: u32 = 3;
/// The number of the option that holds a part of the path.
pub(super) const URI_PATH: u32 = 11;
/// The number of the option that holds a part of the query.
pub(super) const URI_QUERY: u32 = 15;

fn dissect(walk: &mut Walk<'_>) -> Next {
    let bytes = walk.rest();
    if bytes.first().is_some_and(|first| first >> 6 != 1) {
        return Next::Payload; // another version is to be ignored (RFC 7252 section 3)
    }
    if !walk.has(&COAP, HEADER) {
        return Next::Payload;
    }
    let token = usize::from(bytes[0] & 15);
    if token > 8 {
        walk.note(&COAP, 0, NoteKind::Invalid { field: "token_length", value: token as u64 });
        walk.push(&COAP, HEADER, usize::MAX);
        return Next::Payload;
    }
    if !walk.has(&COAP, HEADER + token) {
        walk.push(&COAP, HEADER, usize::MAX);
        return Next::Payload;
    }
    if bytes[1] == 0 && bytes.len() > HEADER {
        walk.note(&COAP, HEADER, NoteKind::Wrong("an empty message with more than a header"));
    }
    let mut options = Options::new(bytes);
    options.by_ref().for_each(drop);
    match options.end {
        End::Options => {}
        End::Payload if options.at == bytes.len() => {
            walk.note(&COAP, options.at, NoteKind::Wrong("payload marker without a payload"));
        }
        End::Payload => {}
        End::Cut(needed) => {
            walk.has(&COAP, needed);
        }
        End::Reserved => {
            walk.note(&COAP, options.at, NoteKind::Wrong("option cannot be read"));
        }
    }
    walk.push(&COAP, options.at, usize::MAX);
    Next::Payload
}

/// An option of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opt<'a> {
    pub(crate) number: u32,
    /// Where it begins in the message.
    pub(crate) at: usize,
    /// Where its value begins.
    pub(crate) start: usize,
    pub(crate) value: &'a [u8],
}

/// How the options of a message end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With the message.
    Options,
    /// With the marker in front of a payload.
    Payload,
    /// In the middle of one, which needs so many bytes of message.
    Cut(usize),
    /// With a length or difference of 15, which is reserved.
    Reserved,
}

/// Reads the options of a message.
#[derive(Clone, Debug)]
pub(crate) struct Options<'a> {
    message: &'a [u8],
    number: u32,
    /// Where the next one begins; behind the last, where the payload begins.
    pub(crate) at: usize,
    pub(crate) end: End,
}

impl<'a> Options<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        let token = message.first().map_or(0, |first| usize::from(first & 15));
        Options { message, number: 0, at: HEADER + token, end: End::Options }
    }

    /// A number of four bits, and what extends it at `at`; and where that ends.
    fn extended(&self, nibble: u8, at: usize) -> Result<(u32, usize), End> {
        match nibble {
            13 => {
                let more = self.message.get(at).ok_or(End::Cut(at + 1))?;
                Ok((13 + u32::from(*more), at + 1))
            }
            14 => {
                let more = be16(self.message, at).ok_or(End::Cut(at + 2))?;
                Ok((269 + u32::from(more), at + 2))
            }
            15 => Err(End::Reserved),
            _ => Ok((nibble.into(), at)),
        }
    }

    fn read(&mut self, first: u8) -> Result<Opt<'a>, End> {
        let at = self.at;
        let (difference, next) = self.extended(first >> 4, at + 1)?;
        let (length, start) = self.extended(first & 15, next)?;
        let end = start + length as usize;
        let value = self.message.get(start..end).ok_or(End::Cut(end))?;
        self.number = self.number.checked_add(difference).ok_or(End::Reserved)?;
        self.at = end;
        Ok(Opt { number: self.number, at, start, value })
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = Opt<'a>;

    fn next(&mut self) -> Option<Opt<'a>> {
        if self.end != End::Options {
            return None;
        }
        let first = *self.message.get(self.at)?;
        if first == 0xff {
            (self.end, self.at) = (End::Payload, self.at + 1);
            return None;
        }
        match self.read(first) {
            Ok(option) => Some(option),
            Err(end) => {
                self.end = end;
                None
            }
        }
    }
}

fn list(stack: &Stack<'_>, n: usize, visit: &mut dyn FnMut(Item<'_>)) {
    let header = stack.header(n);
    let token_length = header.first().map_or(0, |first| usize::from(first & 15));
    if let Some(token) = header.get(HEADER..HEADER + token_length).filter(|t| !t.is_empty()) {
        visit(Item::new("token", Value::Bytes(token), HEADER, token.len()));
    }
    let mut last = 0;
    for option in Options::new(header) {
        if option.number != last {
            list_joined(header, option.number, visit);
        }
        last = option.number;
        let length = option.start + option.value.len() - option.at;
        let number = Value::Number(option.number.into());
        visit(
            Item::new("option.number", number, option.at, length)
                .meaning(option_name(option.number)),
        );
        let (name, value, meaning) = value(&option);
        visit(Item::new(name, value, option.start, option.value.len()).meaning(meaning));
    }
}

/// Visits what several options make together. Numbers never fall, so that options of one follow each other.
fn list_joined(header: &[u8], number: u32, visit: &mut dyn FnMut(Item<'_>)) {
    let (name, separator) = match number {
        URI_HOST => ("uri_host", "."),
        URI_PATH => ("uri_path", "/"),
        URI_QUERY => ("uri_query", "&"),
        _ => return,
    };
    if let Some((text, at, length)) = joined(header, number, separator) {
        visit(Item::new(name, Value::Text(&text), at, length));
    }
}

/// The values of the options `number` of a header, and what they touch; `None` if there is none. They are
/// in one text only here, hence made when somebody asks.
fn joined(header: &[u8], number: u32, separator: &str) -> Option<(Vec<u8>, usize, usize)> {
    let mut parts = Options::new(header).filter(|option| option.number == number);
    let first = parts.next()?;
    let (mut text, mut end) = (first.value.to_vec(), first.start + first.value.len());
    for part in parts {
        text.extend(separator.bytes().chain(part.value.iter().copied()));
        end = part.start + part.value.len();
    }
    Some((text, first.at, end - first.at))
}

/// What an option holds: the name of its field, and what its number means (RFC 7252 section 5.10).
fn value<'a>(option: &Opt<'a>) -> (&'static str, Value<'a>, Option<&'static str>) {
    let text = ("option.text", Value::Text(option.value), None);
    match option.number {
        3 | 8 | 11 | 15 | 20 | 35 | 39 => text,
        6 | 7 | 12 | 14 | 17 | 23 | 27 | 28 | 60 | 258 if option.value.len() <= 4 => {
            let number = uint(option.value);
            let meaning = match option.number {
                12 | 17 => format_name(number),
                6 if number == 0 => Some("register"),
                6 if number == 1 => Some("deregister"),
                _ => None,
            };
            ("option.value", Value::Number(number), meaning)
        }
        _ => ("option.data", Value::Bytes(option.value), None),
    }
}

/// A number of no, one or more bytes.
fn uint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Bytes of each part of a path or of a query that a summary says.
const MAX_TEXT: usize = 60;
/// Parts of each that a summary says.
const MAX_PARTS: usize = 8;

fn summary(stack: &Stack<'_>, n: usize, line: &mut Line) {
    let (header, payload) = (stack.header(n), stack.payload(n));
    let &[first, code, ..] = header else { return };
    line.text("CoAP ").text(["CON ", "NON ", "ACK ", "RST "][usize::from(first >> 4 & 3)]);
    match code_name(code) {
        Some(name) if code < 32 => line.text(name.get(5..).unwrap_or_default()),
        Some(name) => line.text(name),
        None => line.dec(code >> 5).text(".").dec_padded(u32::from(code & 31), 2),
    };
    if is_request(code) {
        say_uri(header, line);
    }
    line.text(", MID ").dec(be16(header, 2).unwrap_or_default());
    let of = |number| Options::new(header).find(|option| option.number == number);
    if let Some(format) = of(12).filter(|option| option.value.len() <= 2 && !payload.is_empty()) {
        let number = uint(format.value);
        match format_name(number) {
            Some(name) => line.text(", ").text(name),
            None => line.text(", format ").dec(number),
        };
    }
    if let Some(observe) = of(6).filter(|option| option.value.len() <= 4 && !line.is_brief()) {
        line.text(", observe ").dec(uint(observe.value));
    }
    for (number, name) in [(23, ", block2 "), (27, ", block1 ")] {
        if let Some(block) = of(number).filter(|option| option.value.len() <= 3) {
            say_block(name, uint(block.value), line);
        }
    }
    if !payload.is_empty() {
        line.text(", ").dec(payload.len() as u64).text(" bytes");
    }
}

/// Says the URI that the options make (RFC 7252 section 6.5); without a host that is in the addresses.
fn say_uri(header: &[u8], line: &mut Line) {
    let of = |number| Options::new(header).filter(move |option| option.number == number);
    line.text(" ");
    for host in of(URI_HOST).take(1) {
        line.text("coap://");
        line.shortened(escape::terminal(host.value), MAX_TEXT);
    }
    for (number, first, between) in [(URI_PATH, "/", "/"), (URI_QUERY, "?", "&")] {
        let is_path = number == URI_PATH;
        if is_path && of(number).next().is_none() {
            line.text("/");
        }
        for (n, part) in of(number).take(MAX_PARTS).enumerate() {
            line.text(if n == 0 { first } else { between });
            line.shortened(escape::terminal(part.value), MAX_TEXT);
        }
        if of(number).nth(MAX_PARTS).is_some() {
            line.text("...");
        }
    }
}

/// Says a block: its number, whether more follow, and the size of each (RFC 7959 section 2.2).
fn say_block(name: &str, value: u64, line: &mut Line) {
    line.text(name).dec(value >> 4).text("/").text(if value & 8 == 0 { "last" } else { "more" });
    line.text("/").dec(16u64 << (value & 7));
}

fn is_request(code: u8) -> bool {
    (1..32).contains(&code)
}

fn exchange(stack: &Stack<'_>, n: usize) -> Option<Exchange> {
    let header = stack.header(n);
    let &[first, code, ..] = header else { return None };
    let token = header.get(HEADER..HEADER + usize::from(first & 15))?;
    let id = be16(header, 2)?;
    match (code, first >> 4 & 3) {
        (0, 0) => ends::exchange(&COAP, (stack, n), false, id),
        (0, 3) => ends::exchange(&COAP, (stack, n), true, id),
        (0, _) => None,
        _ => ends::exchange(&COAP, (stack, n), !is_request(code), token),
    }
}

#[cfg(test)]
mod tests {
    use crate::dissect::examined::{Over, assert_answers, examine_hostile, examine_large};
    use crate::dissect::examined::{exchange as told, fields, hex, said};

    const ASKED: Over = Over::Udp(40000, 5683);
    const ANSWERED: Over = Over::Udp(5683, 40000);

    /// GET coap://host/sensors/temp?x=1, observing, with a token of two bytes.
    fn request() -> Vec<u8> {
        let mut message = hex("42 01 04d2 abcd 34");
        message.extend(b"host\x30\x57sensors\x04temp\x43x=1");
        message
    }

    fn reply() -> Vec<u8> {
        let mut message = hex("62 45 04d2 abcd c0 22 2715 91 0a ff");
        message.extend(b"22.5 C");
        message
    }

    #[test]
    fn messages_read_as_sentences() {
        let separate = [&hex("42 45 7000 abcd ff")[..], b"later"].concat();
        let long = [&hex("40 01 0001 be 0001")[..], &[b'a'; 270]].concat();
        let lines = [
            said(ASKED, &request()),
            said(ANSWERED, &reply()),
            said(ANSWERED, &separate),
            said(ANSWERED, &hex("60 00 04d2")),
            said(ASKED, &hex("40 00 0007")),
            said(ANSWERED, &hex("70 00 0007")),
            said(ANSWERED, &hex("60 84 0001 ff")),
            said(ASKED, &hex("49 01 0001 00")),
            said(ASKED, &hex("44 01 0001 00")),
            said(ASKED, &hex("40 01 0001 f0")),
            said(ASKED, &hex("40 01 0001 b5 61")),
            said(ASKED, &hex("40 00 0001 b5 61")),
            said(ASKED, &hex("80 00 0001")),
            said(ASKED, &hex("40 e1 0001")),
            said(ASKED, &hex("40 01")),
            said(ASKED, &long),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r#"
        CoAP CON GET coap://host/sensors/temp?x=1, MID 1234, observe 0
        CoAP ACK 2.05 Content, MID 1234, text/plain, block2 0/more/64, 6 bytes
        CoAP CON 2.05 Content, MID 28672, 5 bytes
        CoAP ACK empty, MID 1234
        CoAP CON empty, MID 7
        CoAP RST empty, MID 7
        CoAP ACK 4.04 Not Found, MID 1 [5: payload marker without a payload]
        CoAP CON GET /, MID 1, 1 bytes [0: Invalid { field: "token_length", value: 9 }]
        CoAP CON GET /, MID 1, 1 bytes [0: Truncated { needed: 8, had: 5 }]
        CoAP CON GET /, MID 1, 1 bytes [4: option cannot be read]
        CoAP CON GET /, MID 1, 2 bytes [0: Truncated { needed: 10, had: 6 }]
        CoAP CON empty, MID 1, 2 bytes [4: an empty message with more than a header] [0: Truncated { needed: 10, had: 6 }]
        payload
        CoAP CON 7.01, MID 1
        payload [0: Truncated { needed: 4, had: 2 }]
        CoAP CON GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa..., MID 1
        "#);
    }

    #[test]
    fn every_field_has_its_place() {
        insta::assert_snapshot!(fields(ASKED, &request()), @r#"
        version = 1 @0+1
        type = 0 (confirmable) @0+1
        token_length = 2 @0+1
        code = 0x1 (0.01 GET) @1+1
        message_id = 1234 @2+2
        token = bytes abcd @4+2
        uri_host = "host" @6+5
        option.number = 3 (Uri-Host) @6+5
        option.text = "host" @7+4
        option.number = 6 (Observe) @11+1
        option.value = 0 (register) @12+0
        uri_path = "sensors/temp" @12+13
        option.number = 11 (Uri-Path) @12+8
        option.text = "sensors" @13+7
        option.number = 11 (Uri-Path) @20+5
        option.text = "temp" @21+4
        uri_query = "x=1" @25+4
        option.number = 15 (Uri-Query) @25+4
        option.text = "x=1" @26+3
        "#);
        insta::assert_snapshot!(fields(ANSWERED, &reply()), @r"
        version = 1 @0+1
        type = 2 (acknowledgement) @0+1
        token_length = 2 @0+1
        code = 0x45 (2.05 Content) @1+1
        message_id = 1234 @2+2
        token = bytes abcd @4+2
        option.number = 12 (Content-Format) @6+1
        option.value = 0 (text/plain) @7+0
        option.number = 14 (Max-Age) @7+3
        option.value = 10005 @8+2
        option.number = 23 (Block2) @10+2
        option.value = 10 @11+1
        ");
    }

    #[test]
    fn a_response_belongs_to_the_request_with_its_token() {
        assert_answers((ASKED, &request()), (ANSWERED, &reply()));
        assert_answers((ASKED, &request()), (ANSWERED, &hex("42 45 7000 abcd")));
        assert_answers((ASKED, &hex("40 00 0007")), (ANSWERED, &hex("70 00 0007")));
        assert_eq!(told(ANSWERED, &hex("60 00 04d2")), None);
    }

    #[test]
    fn hostile_bytes_are_harmless() {
        examine_hostile(ASKED, &[&request(), &reply()]);
        examine_large(ASKED, &[&hex("40 01 0001 b0")[..], &[0; 65_000]].concat());
        examine_large(ASKED, &[&hex("40 01 0001 b1")[..], &[1; 65_000]].concat());
        examine_large(
            ASKED,
            &[&hex("40 01 0001")[..], &[0xe0, 0xff, 0xff].repeat(21_000)].concat(),
        );
    }
}
