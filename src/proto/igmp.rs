//! IGMP (version 1: RFC 1112 appendix I, 2: RFC 2236, 3: RFC 3376).
//!
//! The version of a query shows in its length and in whether it gives a time to answer; those of
//! the other messages in their type. Version 3 writes long times as floating point.

use super::line::Line;
use super::{
    Item, Key, Next, NoteKind, Protocol, Stack, Value, Walk, be16, field, ipv4_at, listed,
};
use crate::checksum;

/// The bytes of a message of version 1 or 2, and of the part that all have.
pub const HEADER: usize = 8;
/// The type of a membership query.
pub const QUERY: u8 = 0x11;

const REPORT_V1: u8 = 0x12;
const REPORT_V2: u8 = 0x16;
const LEAVE: u8 = 0x17;
const REPORT_V3: u8 = 0x22;

/// IGMP.
pub static IGMP: Protocol = Protocol {
    name: "igmp",
    title: "IGMP",
    keys: &[Key::IpProtocol(2)],
    fields: &[
        field!("type", 0, hex8, names type_name),
        field!("max_resp_code", 1, 1, Number, |h| {
            h.get(1).filter(|_| h[0] == QUERY).map(|code| Value::Number(u64::from(*code)))
        }),
        field!("checksum", 2, hex16),
        field!("group_address", 4, 4, Ipv4, |h| {
            ipv4_at(h, 4).filter(|_| h[0] != REPORT_V3).map(Value::Ipv4)
        }),
        field!("s", 8, 1, Flag, |h| query_v3(h, 8).map(|byte| Value::Flag(byte & 8 != 0))),
        field!("qrv", 8, 1, Number, |h| query_v3(h, 8)
            .map(|byte| Value::Number((byte & 7).into()))),
        field!("qqic", 9, 1, Number, |h| query_v3(h, 9).map(|byte| Value::Number(byte.into()))),
        field!("number_of_sources", 10, 2, Number, |h| {
            query_v3(h, 10).and(be16(h, 10)).map(|count| Value::Number(count.into()))
        }),
        field!("number_of_group_records", 6, 2, Number, |h| {
            be16(h, 6).filter(|_| h[0] == REPORT_V3).map(|count| Value::Number(count.into()))
        }),
        listed!("source_address", Ipv4, many),
        listed!("record.type", Number, many),
        listed!("record.aux_data_len", Number, many),
        listed!("record.multicast_address", Ipv4, many),
        listed!("record.source_address", Ipv4, many),
    ],
    dissect,
    summary,
    list,
    ..Protocol::BASE
};

/// A byte of a query of version 3.
fn query_v3(header: &[u8], at: usize) -> Option<u8> {
    (version(header)? == 3).then_some(())?;
    header.get(at).copied()
}

/// The version of a query (RFC 3376 section 7.1).
fn version(header: &[u8]) -> Option<u8> {
    let &[QUERY, code, ..] = header else { return None };
    Some(match (header.len(), code) {
        (12.., _) => 3,
        (_, 0) => 1,
        _ => 2,
    })
}

/// The number that a byte stands for, in tenths of a second or in seconds (RFC 3376 section 4.1.1).
pub(super) fn decoded(code: u8) -> u32 {
    match code {
        0..128 => code.into(),
        _ => (u32::from(code & 15) | 16) << (u32::from(code >> 4 & 7) + 3),
    }
}

fn dissect(walk: &mut Walk<'_>) -> Next {
    if !walk.has(&IGMP, HEADER) {
        return Next::Payload;
    }
    let message = walk.rest();
    if walk.is_whole() {
        let found = be16(message, 2).unwrap_or_default();
        if let Some(expected) = checksum::correction(checksum::internet(message), found) {
            walk.note(&IGMP, 2, NoteKind::Checksum { found, expected });
        }
    }
    let needed = match (message[0], version(message)) {
        (_, Some(3)) => 12 + 4 * usize::from(be16(message, 10).unwrap_or_default()),
        (REPORT_V3, _) => {
            let announced = be16(message, 6).unwrap_or_default();
            let last = records(message).last().map_or(HEADER, |(at, record)| at + record.len());
            if records(message).count() < usize::from(announced) {
                walk.note(&IGMP, last, NoteKind::Wrong("a group record is not all there"));
            }
            last
        }
        _ => HEADER,
    };
    if message[0] == QUERY && (9..12).contains(&message.len()) {
        walk.note(&IGMP, HEADER, NoteKind::Wrong("a query of no known version"));
    }
    walk.has(&IGMP, needed);
    walk.push(&IGMP, needed, usize::MAX);
    Next::Payload
}

/// The group records of a report of version 3, as many as it announces and as are there: place and
/// bytes of each.
fn records(message: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let announced = match message.first() {
        Some(&REPORT_V3) => be16(message, 6).unwrap_or_default(),
        _ => 0,
    };
    let mut at = HEADER;
    let next = move || {
        let sources = usize::from(be16(message, at + 2)?);
        let length = 8 + 4 * sources + 4 * usize::from(*message.get(at + 1)?);
        let record = (at, message.get(at..at + length)?);
        at += length;
        Some(record)
    };
    std::iter::from_fn(next).take(announced.into())
}

fn list(stack: &Stack<'_>, n: usize, visit: &mut dyn FnMut(Item<'_>)) {
    let header = stack.header(n);
    let mut address = |name, at| {
        if let Some(address) = ipv4_at(header, at) {
            visit(Item::new(name, Value::Ipv4(address), at, 4));
        }
    };
    if let Some(3) = version(header) {
        let count = usize::from(be16(header, 10).unwrap_or_default());
        (12..header.len()).step_by(4).take(count).for_each(|at| address("source_address", at));
    }
    for (at, record) in records(header) {
        let kind = Value::Number(record[0].into());
        visit(Item::new("record.type", kind, at, 1).meaning(record_name(record[0])));
        let words = Value::Number(record[1].into());
        visit(Item::new("record.aux_data_len", words, at + 1, 1));
        let mut address = |name, offset| {
            if let Some(address) = ipv4_at(record, offset) {
                visit(Item::new(name, Value::Ipv4(address), at + offset, 4));
            }
        };
        address("record.multicast_address", 4);
        let sources = usize::from(be16(record, 2).unwrap_or_default());
        for n in 0..sources {
            address("record.source_address", 8 + 4 * n);
        }
    }
}

fn summary(stack: &Stack<'_>, n: usize, line: &mut Line) {
    let header = stack.header(n);
    let (Some(&kind), Some(group)) = (header.first(), ipv4_at(header, 4)) else { return };
    match kind {
        QUERY => say_query(header, line),
        REPORT_V1 => {
            line.text("igmp v1 report ").ipv4(group);
        }
        REPORT_V2 => {
            line.text("igmp v2 report ").ipv4(group);
        }
        LEAVE => {
            line.text("igmp leave ").ipv4(group);
        }
        REPORT_V3 => {
            let count = be16(header, 6).unwrap_or_default();
            line.text("igmp v3 report, ").dec(count).text(" group record(s)");
            if !line.is_brief() {
                say_records(header, line);
            }
        }
        _ => {
            match type_name(kind.into()) {
                Some(name) => line.text("igmp ").text(name),
                None => line.text("igmp-").dec(kind),
            };
            let length = header.len() + stack.payload_length(n);
            line.text(", length ").dec(length as u64);
        }
    }
}

fn say_query(header: &[u8], line: &mut Line) {
    let (version, code) = (version(header).unwrap_or_default(), header[1]);
    let group = ipv4_at(header, 4).filter(|group| !group.is_unspecified());
    line.text("igmp query v").dec(version);
    let time = if version == 3 { decoded(code) } else { code.into() };
    let is_default = version == 1 || code == 100;
    if !is_default && !line.is_brief() {
        line.text(" [max resp time ").dec(time / 10);
        if !time.is_multiple_of(10) {
            line.text(".").dec(time % 10);
        }
        line.text("s]");
    }
    let sources = be16(header, 10).unwrap_or_default();
    if let Some(group) = group {
        line.text(" [gaddr ").ipv4(group);
        if sources > 0 {
            line.text(", ").dec(sources).text(" source(s)");
        }
        line.text("]");
    }
}

/// Groups, and sources of each, that a line says at most.
pub(super) const MOST_SAID: usize = 4;

/// Says the first records as tcpdump does when it is verbose: groups are what people look for in them.
fn say_records(header: &[u8], line: &mut Line) {
    for (n, (_, record)) in records(header).enumerate() {
        let Some(group) = ipv4_at(record, 4).filter(|_| n < MOST_SAID) else {
            line.text(" ...");
            return;
        };
        line.text(" [gaddr ").ipv4(group).text(" ");
        line.text(record_short(record[0])).text(" { ");
        let count = usize::from(be16(record, 2).unwrap_or_default());
        for source in record[8..].chunks_exact(4).take(count.min(MOST_SAID)) {
            line.ipv4(ipv4_at(source, 0).unwrap_or(group)).text(" ");
        }
        line.text(if count > MOST_SAID { "... }]" } else { "}]" });
    }
}

fn type_name(kind: u64) -> Option<&'static str> {
    Some(match kind {
        0x11 => "membership query",
        0x12 => "v1 membership report",
        0x13 => "DVMRP",
        0x14 => "PIMv1",
        0x16 => "v2 membership report",
        0x17 => "leave group",
        0x1e => "multicast traceroute response",
        0x1f => "multicast traceroute",
        0x22 => "v3 membership report",
        0x30 => "multicast router advertisement",
        0x31 => "multicast router solicitation",
        0x32 => "multicast router termination",
        _ => return None,
    })
}

/// The name of a record type (RFC 3376 section 4.2.12); MLD has the same.
pub(super) fn record_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        1 => "mode is include",
        2 => "mode is exclude",
        3 => "change to include mode",
        4 => "change to exclude mode",
        5 => "allow new sources",
        6 => "block old sources",
        _ => return None,
    })
}

/// tcpdump's short form of it.
pub(super) fn record_short(kind: u8) -> &'static str {
    ["?", "is_in", "is_ex", "to_in", "to_ex", "allow", "block"]
        .get(usize::from(kind))
        .copied()
        .unwrap_or("?")
}

#[cfg(test)]
mod tests;
