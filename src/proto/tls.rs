//! TLS (RFC 8446; 1.2: RFC 5246): records, and those handshake messages that are not encrypted.
//!
//! A TCP segment that does not begin with a record continues one and is declined. How records and
//! messages are told from other bytes is in `tls_record`.

use super::line::Line;
use super::tls_hello::Hello;
use super::tls_names::{
    alert_name, cipher_suite_name, handshake_name, level_name, record_name, version_name,
};
use super::tls_record::{
    ALERT, APPLICATION_DATA, CLIENT_HELLO, HANDSHAKE, HEADER, Message, SERVER_HELLO, alert,
    begins_record, is_plain, messages, records,
};
use super::{Exchange, Item, Key, Next, Protocol, Stack, Value, Walk, ends, listed};
use crate::escape;

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
mod tests;
