//! TLS (RFC 8446; 1.2: RFC 5246): records, and those handshake messages that are not encrypted.
//!
//! A TCP segment that does not begin with a record continues one and is declined. Nothing marks a
//! handshake record as encrypted, but a plain one is filled by its messages to the byte, which chance does
//! not do; messages that go on in the next record are believed only if more of them is as it must be.

use super::line::Line;
use super::tls_hello::Hello;
use super::tls_names::{
    alert_name, cipher_suite_name, handshake_name, level_name, record_name, version_name,
};
use super::{Exchange, Item, Key, Next, Protocol, Stack, Value, Walk, be16, ends, listed};
use crate::escape;

/// The bytes in front of what a record holds.
pub const HEADER: usize = 5;
/// What a record may hold at most, encryption included (RFC 5246 section 6.2.3).
const MAX_RECORD: usize = (1 << 14) + 2048;

/// TLS.
pub static TLS: Protocol = Protocol {
    name: "tls",
    title: "TLS",
    keys: &[
        Key::TcpPort(443),
        Key::TcpPort(8443),
        Key::TcpPort(8883),
        Key::TcpContent(begins_record),
    ],
    fields: &[
        listed!("record.type", Number, many),
        listed!("record.version", Hex, many),
        listed!("record.length", Number, many),
        listed!("handshake.type", Number, many),
        listed!("handshake.length", Number, many),
        listed!("handshake.version", Hex, many),
        listed!("handshake.random", Bytes, many),
        listed!("handshake.session_id", Bytes, many),
        listed!("offered_cipher_suite", Hex, many),
        listed!("cipher_suite", Hex, many),
        listed!("extension.type", Number, many),
        listed!("server_name", Text, many),
        listed!("alpn", Text, many),
        listed!("supported_version", Hex, many),
        listed!("alert.level", Number, many),
        listed!("alert.description", Number, many),
    ],
    dissect,
    summary,
    list,
    exchange,
};

pub(crate) const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
pub(crate) const CLIENT_HELLO: u8 = 1;
pub(crate) const SERVER_HELLO: u8 = 2;
pub(crate) const CERTIFICATE: u8 = 11;

/// A record, or the part of it that is in a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) at: usize,
    pub(crate) kind: u8,
    version: u16,
    length: usize,
    /// What is there of what it holds.
    pub(crate) body: &'a [u8],
}

/// The record at `at`; `None` if none can begin there or not all of its header is there.
fn record_at(bytes: &[u8], at: usize) -> Option<Record<'_>> {
    let rest = bytes.get(at..)?;
    let (kind, version) = (*rest.first()?, be16(rest, 1)?);
    let length = usize::from(be16(rest, 3)?);
    let rest = rest.get(HEADER..)?;
    let is_record = record_name(kind).is_some() && (0x0300..=0x0304).contains(&version);
    let is_length = match kind {
        CHANGE_CIPHER_SPEC => length == 1,
        APPLICATION_DATA => length <= MAX_RECORD,
        _ => (1..=MAX_RECORD).contains(&length),
    };
    (is_record && is_length).then_some(Record {
        at,
        kind,
        version,
        length,
        body: rest.get(..length).unwrap_or(rest),
    })
}

/// The records of a segment, as far as they look like some.
pub(crate) fn records(bytes: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let record = record_at(bytes, at)?;
        at = record.at + HEADER + record.length;
        Some(record)
    })
}

/// Whether a TCP segment begins with a record: of text no record is made.
fn begins_record(bytes: &[u8]) -> bool {
    record_at(bytes, 0).is_some()
}

fn dissect(walk: &mut Walk<'_>) -> Next {
    let bytes = walk.rest();
    let end = records(bytes).last().map_or(0, |last| last.at + HEADER + last.body.len());
    if end == 0 {
        return Next::Payload;
    }
    // What follows is the beginning of a record's header, or belongs to another that was lost.
    walk.push(&TLS, end, usize::MAX);
    Next::Payload
}

/// A handshake message that is not encrypted, or the part of it that is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    /// Where it begins in the record's body.
    pub(crate) at: usize,
    pub(crate) kind: u8,
    length: usize,
    pub(crate) body: &'a [u8],
}

fn message_at(body: &[u8], at: usize) -> Option<Message<'_>> {
    let &[kind, a, b, c] = body.get(at..at.checked_add(4)?)?.first_chunk()?;
    let length = u32::from_be_bytes([0, a, b, c]) as usize;
    let rest = body.get(at + 4..)?;
    Some(Message { at, kind, length, body: rest.get(..length).unwrap_or(rest) })
}

/// The messages of a record; none if it is encrypted.
pub(crate) fn messages<'a>(record: &Record<'a>) -> impl Iterator<Item = Message<'a>> + use<'a> {
    let body = if is_plain(record) { record.body } else { &[] };
    let mut at = 0;
    std::iter::from_fn(move || {
        let message = message_at(body, at)?;
        at = message.at + 4 + message.length;
        Some(message)
    })
}

/// Whether a handshake record holds messages that can be read.
fn is_plain(record: &Record<'_>) -> bool {
    let mut at = 0;
    while record.kind == HANDSHAKE && at < record.length {
        let Some(message) = message_at(record.body, at) else {
            // The segment ends in front of it, or in it.
            return at > 0 && record.body.len() < record.length;
        };
        if handshake_name(message.kind).is_none() || (message.kind == 0 && message.length > 0) {
            return false;
        }
        at += 4 + message.length;
        if at > record.length {
            return goes_on(&message);
        }
        if message.kind == 0 && record.length > 4 {
            return false; // zeros in front of a cipher text are no HelloRequest
        }
    }
    at == record.length
}

/// Whether a message that is longer than its record begins as it must.
fn goes_on(message: &Message<'_>) -> bool {
    match (message.kind, message.body) {
        (CLIENT_HELLO | SERVER_HELLO, [3, 0..=3, ..]) => message.length < 1 << 17,
        (CERTIFICATE, [a, b, c, ..]) => {
            u32::from_be_bytes([0, *a, *b, *c]) as usize + 3 == message.length
        }
        _ => false,
    }
}

/// An alert that is not encrypted: level and description.
pub(crate) fn alert(record: &Record<'_>) -> Option<(u8, u8)> {
    let &[level, description] = record.body else { return None };
    let is_plain = record.kind == ALERT && record.length == 2 && level_name(level).is_some();
    is_plain.then_some((level, description))
}

fn list(stack: &Stack<'_>, n: usize, visit: &mut dyn FnMut(Item<'_>)) {
    for record in records(stack.header(n)) {
        let (at, kind) = (record.at, Value::Number(record.kind.into()));
        visit(Item::new("record.type", kind, at, 1).meaning(record_name(record.kind)));
        let version = Item::new("record.version", Value::Hex(record.version.into()), at + 1, 2);
        visit(version.meaning(version_name(record.version)));
        visit(Item::new("record.length", Value::Number(record.length as u64), at + 3, 2));
        let start = at + HEADER;
        for message in messages(&record) {
            let kind = Value::Number(message.kind.into());
            let place = start + message.at;
            visit(
                Item::new("handshake.type", kind, place, 1).meaning(handshake_name(message.kind)),
            );
            let length = Value::Number(message.length as u64);
            visit(Item::new("handshake.length", length, place + 1, 3));
            if let CLIENT_HELLO | SERVER_HELLO = message.kind {
                Hello::new(message.body, message.kind == CLIENT_HELLO).list(place + 4, visit);
            }
        }
        if let Some((level, description)) = alert(&record) {
            let item = Item::new("alert.level", Value::Number(level.into()), start, 1);
            visit(item.meaning(level_name(level)));
            let number = Value::Number(description.into());
            let item = Item::new("alert.description", number, start + 1, 1);
            visit(item.meaning(alert_name(description)));
        }
    }
}

/// Messages that a summary says.
const MAX_SAID: usize = 6;

/// What a summary says of a record, or of one of its messages.
#[derive(Clone, Copy)]
enum Said<'a> {
    Message(Message<'a>),
    Encrypted,
    Alert(Option<(u8, u8)>),
    Data,
    Other(u8),
}

/// What there is to say of a segment, in its order.
fn all_said(header: &[u8]) -> impl Iterator<Item = Said<'_>> {
    records(header).flat_map(|record| {
        let other = match record.kind {
            HANDSHAKE if is_plain(&record) => None,
            HANDSHAKE => Some(Said::Encrypted),
            ALERT => Some(Said::Alert(alert(&record))),
            APPLICATION_DATA => Some(Said::Data),
            kind => Some(Said::Other(kind)),
        };
        messages(&record).map(Said::Message).chain(other)
    })
}

fn summary(stack: &Stack<'_>, n: usize, line: &mut Line) {
    let mut all = all_said(stack.header(n)).peekable();
    let (mut count, mut more) = (0, 0u64);
    line.text("TLS ");
    while let Some(said) = all.next() {
        if count == MAX_SAID {
            more += 1;
            continue;
        }
        line.text(if count == 0 { "" } else { "; " });
        count += 1;
        match said {
            Said::Message(message) => say_message(&message, line),
            Said::Encrypted => {
                line.text("encrypted handshake message");
            }
            Said::Alert(alert) => say_alert(alert, line),
            Said::Data => {
                let mut records = 1u64;
                while all.next_if(|next| matches!(next, Said::Data)).is_some() {
                    records += 1;
                }
                line.text("application data, ").dec(records);
                line.text(if records == 1 { " record" } else { " records" });
            }
            Said::Other(kind) => {
                line.text(record_name(kind).unwrap_or_default());
            }
        }
    }
    if more > 0 {
        line.text("; ").dec(more).text(" more");
    }
}

fn say_alert(alert: Option<(u8, u8)>, line: &mut Line) {
    let Some((level, description)) = alert else {
        line.text("encrypted alert");
        return;
    };
    line.text("alert ").text(level_name(level).unwrap_or_default()).text(": ");
    match alert_name(description) {
        Some(name) => line.text(name),
        None => line.dec(description),
    };
}

/// Bytes of a name that a summary says.
const MAX_TEXT: usize = 80;

fn say_message(message: &Message<'_>, line: &mut Line) {
    let hello = Hello::new(message.body, message.kind == CLIENT_HELLO);
    if message.kind == SERVER_HELLO && hello.is_retry() {
        line.text("HelloRetryRequest");
    } else {
        line.text(handshake_name(message.kind).unwrap_or_default());
    }
    if !matches!(message.kind, CLIENT_HELLO | SERVER_HELLO) {
        return;
    }
    if let Some(name) = hello.server_name() {
        let name = name.get(..MAX_TEXT + 1).unwrap_or(name);
        line.text(", SNI ").shortened(escape::terminal(name), MAX_TEXT);
    }
    if message.kind == SERVER_HELLO {
        say_choice(&hello, line);
    }
    for (n, name) in hello.protocols().take(4).enumerate() {
        line.text(if n == 0 { ", ALPN " } else { " " });
        line.shortened(escape::terminal(name), MAX_TEXT);
    }
}

/// Says the version and the cipher suite that a server chose.
fn say_choice(hello: &Hello<'_>, line: &mut Line) {
    if let Some(version) = hello.chosen_version() {
        match version_name(version) {
            Some(name) => line.text(", ").text(name),
            None => line.text(", version 0x").hex(version, 4),
        };
    }
    if let Some(suite) = hello.chosen_suite() {
        line.text(", 0x").hex(suite, 4);
        if let Some(name) = cipher_suite_name(suite).filter(|_| !line.is_brief()) {
            line.text(" ").text(name);
        }
    }
}

/// The hello of a server answers that of a client.
fn exchange(stack: &Stack<'_>, n: usize) -> Option<Exchange> {
    let record = records(stack.header(n)).next()?;
    let is_answer = match messages(&record).next()?.kind {
        CLIENT_HELLO => false,
        SERVER_HELLO => true,
        _ => return None,
    };
    ends::exchange(&TLS, (stack, n), is_answer, ())
}

#[cfg(test)]
mod tests {
    use crate::dissect::examined::{Over, assert_answers, examine_hostile, examine_large};
    use crate::dissect::examined::{fields, hex, protocol, said, said_briefly};

    const TO_SERVER: Over = Over::Tcp(40000, 443);
    const TO_CLIENT: Over = Over::Tcp(443, 40000);

    fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = (body.len() as u32).to_be_bytes();
        [&[kind], &length[1..], body].concat()
    }

    fn record(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind, 3, 3], &(body.len() as u16).to_be_bytes()[..], body].concat()
    }

    fn hello(suites: &[u8], compression: &[u8], extensions: &[u8]) -> Vec<u8> {
        let length = (extensions.len() as u16).to_be_bytes();
        let random = [0xaa; 32];
        [&[3, 3][..], &random, &[0], suites, compression, &length, extensions].concat()
    }

    fn client_hello() -> Vec<u8> {
        let extensions = [
            b"\0\0\0\x10\0\x0e\0\0\x0bexample.com".as_slice(),
            b"\0\x10\0\x0e\0\x0c\x02h2\x08http/1.1\0\x2b\0\x05\x04\x03\x04\x03\x03",
        ];
        let hello = hello(&[0, 4, 0x13, 1, 0xc0, 0x2f], &[1, 0], &extensions.concat());
        record(22, &handshake(1, &hello))
    }

    fn server_hello() -> Vec<u8> {
        let hello = hello(&[0x13, 1], &[0], &[0, 43, 0, 2, 3, 4]);
        [record(22, &handshake(2, &hello)), record(20, &[1]), record(23, &[0x5a; 40])].concat()
    }

    /// Of TLS 1.2: messages in one record and in several, then what is encrypted.
    fn second_flight() -> Vec<u8> {
        let key = handshake(16, &[32; 33]);
        [record(22, &key), record(20, &[1]), record(22, &[&[0; 8][..], &[0x77; 32]].concat())]
            .concat()
    }

    fn server_flight() -> Vec<u8> {
        let hello = handshake(2, &hello(&[0xc0, 0x2f], &[0], &[]));
        let certificate = handshake(11, &[&[0, 0, 7, 0, 0, 4][..], &[0x30; 4]].concat());
        record(22, &[hello, certificate, handshake(14, &[])].concat())
    }

    #[test]
    fn records_read_as_sentences() {
        let retry = hello(&[0x13, 2], &[0], &[0, 43, 0, 2, 3, 4]);
        let mut retry = record(22, &handshake(2, &retry));
        retry[11..19].copy_from_slice(&hex("cf21ad74e59a6111"));
        let data = [record(23, &[1; 30]), record(23, &[2; 300])].concat();
        let mut cut = server_flight();
        cut.truncate(60);
        let lines = [
            said(TO_SERVER, &client_hello()),
            said(TO_CLIENT, &server_hello()),
            said(TO_CLIENT, &server_flight()),
            said(TO_CLIENT, &cut),
            said(TO_SERVER, &second_flight()),
            said(TO_CLIENT, &retry),
            said(TO_SERVER, &data),
            said(TO_SERVER, &data[..100]),
            said(TO_CLIENT, &record(21, &[2, 42])),
            said(TO_CLIENT, &record(21, &[2, 250])),
            said(TO_CLIENT, &record(21, &[0x9d; 26])),
            said(TO_CLIENT, &record(20, &[1]).repeat(9)),
            said(TO_SERVER, &client_hello()[..50]),
            said(TO_SERVER, b"the middle of a record"),
            said(Over::Tcp(40000, 4433), &client_hello()),
            said_briefly(TO_CLIENT, &server_hello()),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r"
        TLS ClientHello, SNI example.com, ALPN h2 http/1.1
        TLS ServerHello, TLS 1.3, 0x1301 TLS_AES_128_GCM_SHA256; change cipher spec; application data, 1 record
        TLS ServerHello, TLS 1.2, 0xc02f TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256; Certificate; ServerHelloDone
        TLS ServerHello, TLS 1.2, 0xc02f TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256; Certificate
        TLS ClientKeyExchange; change cipher spec; encrypted handshake message
        TLS HelloRetryRequest, TLS 1.3, 0x1302 TLS_AES_256_GCM_SHA384
        TLS application data, 2 records
        TLS application data, 2 records
        TLS alert fatal: bad certificate
        TLS alert fatal: 250
        TLS encrypted alert
        TLS change cipher spec; change cipher spec; change cipher spec; change cipher spec; change cipher spec; change cipher spec; 3 more
        TLS ClientHello
        payload
        TLS ClientHello, SNI example.com, ALPN h2 http/1.1
        TLS ServerHello, TLS 1.3, 0x1301; change cipher spec; application data, 1 record
        ");
    }

    #[test]
    fn every_field_has_its_place() {
        insta::assert_snapshot!(fields(TO_SERVER, &client_hello()), @r#"
        record.type = 22 (handshake) @0+1
        record.version = 0x303 (TLS 1.2) @1+2
        record.length = 96 @3+2
        handshake.type = 1 (ClientHello) @5+1
        handshake.length = 92 @6+3
        handshake.version = 0x303 (TLS 1.2) @9+2
        handshake.random = bytes aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa @11+32
        offered_cipher_suite = 0x1301 (TLS_AES_128_GCM_SHA256) @46+2
        offered_cipher_suite = 0xc02f (TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256) @48+2
        extension.type = 0 (server_name) @54+20
        server_name = "example.com" @63+11
        extension.type = 16 (application_layer_protocol_negotiation) @74+18
        alpn = "h2" @81+2
        alpn = "http/1.1" @84+8
        extension.type = 43 (supported_versions) @92+9
        supported_version = 0x304 (TLS 1.3) @97+2
        supported_version = 0x303 (TLS 1.2) @99+2
        "#);
        insta::assert_snapshot!(fields(TO_CLIENT, &server_hello()), @r"
        record.type = 22 (handshake) @0+1
        record.version = 0x303 (TLS 1.2) @1+2
        record.length = 50 @3+2
        handshake.type = 2 (ServerHello) @5+1
        handshake.length = 46 @6+3
        handshake.version = 0x303 (TLS 1.2) @9+2
        handshake.random = bytes aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa @11+32
        cipher_suite = 0x1301 (TLS_AES_128_GCM_SHA256) @44+2
        extension.type = 43 (supported_versions) @49+6
        supported_version = 0x304 (TLS 1.3) @53+2
        record.type = 20 (change cipher spec) @55+1
        record.version = 0x303 (TLS 1.2) @56+2
        record.length = 1 @58+2
        record.type = 23 (application data) @61+1
        record.version = 0x303 (TLS 1.2) @62+2
        record.length = 40 @64+2
        ");
        insta::assert_snapshot!(fields(TO_CLIENT, &record(21, &[2, 42])), @r"
        record.type = 21 (alert) @0+1
        record.version = 0x303 (TLS 1.2) @1+2
        record.length = 2 @3+2
        alert.level = 2 (fatal) @5+1
        alert.description = 42 (bad certificate) @6+1
        ");
    }

    #[test]
    fn what_is_encrypted_is_not_read_as_plain() {
        for body in [&[0x14; 40][..], &[0; 40], &[&[1, 0, 1, 0][..], &[9; 36]].concat()] {
            let frame = record(22, body);
            assert_eq!(said(TO_CLIENT, &frame), "TLS encrypted handshake message");
            assert!(!fields(TO_CLIENT, &frame).contains("handshake.type"));
        }
    }

    #[test]
    fn what_is_no_record_is_declined() {
        for bytes in
            [&[22, 3, 3, 0xff, 0xff, 1][..], &[25, 3, 3, 0, 5], &[22, 2, 0, 0, 5], &[22, 3]]
        {
            assert_eq!(protocol(TO_SERVER, bytes), None);
        }
    }

    #[test]
    fn a_server_hello_answers_a_client_hello() {
        assert_answers((TO_SERVER, &client_hello()), (TO_CLIENT, &server_hello()));
    }

    #[test]
    fn hostile_bytes_are_harmless() {
        let samples = [client_hello(), server_hello(), server_flight(), second_flight()];
        let samples: Vec<&[u8]> = samples.iter().map(Vec::as_slice).collect();
        examine_hostile(TO_SERVER, &samples);
        examine_large(TO_SERVER, &record(20, &[1]).repeat(10_000));
        examine_large(TO_SERVER, &record(23, &[]).repeat(13_000));
        examine_large(TO_SERVER, &record(22, &handshake(14, &[]).repeat(4000)).repeat(4));
    }
}
