//! The records of TLS (RFC 8446 section 5.1) and the handshake messages in them (section 4).
//!
//! A segment is taken for records as long as each header is one that can be. Nothing marks a
//! handshake record as encrypted, but a plain one is filled by its messages to the byte, which chance
//! does not do; a message that goes on in the next record is believed only if more of it is as it must
//! be.

use super::be16;
use super::tls_names::{handshake_name, level_name, record_name};

/// The bytes in front of what a record holds.
pub(crate) const HEADER: usize = 5;
/// What a record may hold at most, encryption included (RFC 5246 section 6.2.3).
const MAX_RECORD: usize = (1 << 14) + 2048;

pub(crate) const CHANGE_CIPHER_SPEC: u8 = 20;
pub(crate) const ALERT: u8 = 21;
pub(crate) const HANDSHAKE: u8 = 22;
pub(crate) const APPLICATION_DATA: u8 = 23;
pub(crate) const CLIENT_HELLO: u8 = 1;
pub(crate) const SERVER_HELLO: u8 = 2;
pub(crate) const CERTIFICATE: u8 = 11;

/// A record, or the part of it that is in a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) at: usize,
    pub(crate) kind: u8,
    pub(crate) version: u16,
    pub(crate) length: usize,
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
pub(crate) fn begins_record(bytes: &[u8]) -> bool {
    record_at(bytes, 0).is_some()
}

/// A handshake message that is not encrypted, or the part of it that is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    /// Where it begins in the record's body.
    pub(crate) at: usize,
    pub(crate) kind: u8,
    pub(crate) length: usize,
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
pub(crate) fn is_plain(record: &Record<'_>) -> bool {
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
