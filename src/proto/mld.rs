//! Multicast listener discovery: the messages of ICMPv6 by which routers learn who listens to what (version 1:
//! RFC 2710, 2: RFC 3810). They are built as IGMP's, with longer addresses.

use super::igmp::MOST_SAID;
use super::line::Line;
use super::read::ipv6_at;
use super::{Field, Item, Value, be16, field, igmp, listed};

/// The type of a query.
pub const QUERY: u8 = 130;
/// The type of a report of version 1.
pub const REPORT: u8 = 131;
/// The type that ends listening, of version 1.
pub const DONE: u8 = 132;
/// The type of a report of version 2.
pub const REPORT_V2: u8 = 143;

/// The bytes of a message of version 1.
pub const HEADER: usize = 24;
/// The bytes of a query of version 2 without its sources.
const QUERY_V2: usize = 28;
/// The bytes of a report of version 2 without its records.
const RECORDS: usize = 8;

/// The fields of these messages.
pub(super) const FIELDS: &[Field] = &[
    field!("maximum_response_delay", 4, 2, Number, |h| {
        be16(h, 4).filter(|_| is_query(h) && h.len() < QUERY_V2).map(|n| Value::Number(n.into()))
    }),
    field!("maximum_response_code", 4, 2, Number, |h| {
        be16(h, 4).filter(|_| is_query_v2(h)).map(|n| Value::Number(n.into()))
    }),
    field!("multicast_address", 8, 16, Ipv6, |h| {
        ipv6_at(h, 8).filter(|_| matches!(h[0], QUERY | REPORT | DONE)).map(Value::Ipv6)
    }),
    field!("s", 24, 1, Flag, |h| {
        h.get(24).filter(|_| is_query_v2(h)).map(|byte| Value::Flag(byte & 8 != 0))
    }),
    field!("qrv", 24, 1, Number, |h| {
        h.get(24).filter(|_| is_query_v2(h)).map(|byte| Value::Number(u64::from(byte & 7)))
    }),
    field!("qqic", 25, 1, Number, |h| {
        h.get(25).filter(|_| is_query_v2(h)).map(|byte| Value::Number(u64::from(*byte)))
    }),
    field!("number_of_sources", 26, 2, Number, |h| {
        be16(h, 26).filter(|_| is_query_v2(h)).map(|n| Value::Number(n.into()))
    }),
    field!("number_of_records", 6, 2, Number, |h| {
        be16(h, 6).filter(|_| h[0] == REPORT_V2).map(|n| Value::Number(n.into()))
    }),
    listed!("source_address", Ipv6, many),
    listed!("record.type", Number, many),
    listed!("record.aux_data_len", Number, many),
    listed!("record.multicast_address", Ipv6, many),
    listed!("record.source_address", Ipv6, many),
];

fn is_query(header: &[u8]) -> bool {
    header.first() == Some(&QUERY)
}

fn is_query_v2(header: &[u8]) -> bool {
    is_query(header) && header.len() >= QUERY_V2
}

/// The bytes that a message needs, sources or records included, as far as they can be found.
pub(super) fn needed(message: &[u8]) -> usize {
    match message.first() {
        Some(&QUERY) if is_query_v2(message) => {
            QUERY_V2 + 16 * usize::from(be16(message, 26).unwrap_or_default())
        }
        Some(&REPORT_V2) => {
            records(message).last().map_or(RECORDS, |(at, record)| at + record.len())
        }
        _ => HEADER,
    }
}

/// Whether a report announces more records than are there.
pub(super) fn lacks_records(message: &[u8]) -> bool {
    let announced = be16(message, 6).unwrap_or_default();
    message.first() == Some(&REPORT_V2) && records(message).count() < usize::from(announced)
}

/// The records of a report, as many as it announces and as are there: place and bytes of each.
fn records(message: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let announced = match message.first() {
        Some(&REPORT_V2) => be16(message, 6).unwrap_or_default(),
        _ => 0,
    };
    let mut at = RECORDS;
    let next = move || {
        let sources = usize::from(be16(message, at + 2)?);
        let length = 20 + 16 * sources + 4 * usize::from(*message.get(at + 1)?);
        let record = (at, message.get(at..at + length)?);
        at += length;
        Some(record)
    };
    std::iter::from_fn(next).take(announced.into())
}

/// Visits sources and records.
pub(super) fn list(header: &[u8], visit: &mut dyn FnMut(Item<'_>)) {
    let mut address = |name, at| {
        if let Some(address) = ipv6_at(header, at) {
            visit(Item::new(name, Value::Ipv6(address), at, 16));
        }
    };
    if is_query_v2(header) {
        let count = usize::from(be16(header, 26).unwrap_or_default());
        let places = (QUERY_V2..header.len()).step_by(16).take(count);
        places.for_each(|at| address("source_address", at));
    }
    for (at, record) in records(header) {
        let kind = Value::Number(record[0].into());
        visit(Item::new("record.type", kind, at, 1).meaning(igmp::record_name(record[0])));
        let words = Value::Number(record[1].into());
        visit(Item::new("record.aux_data_len", words, at + 1, 1));
        let mut address = |name, offset| {
            if let Some(address) = ipv6_at(record, offset) {
                visit(Item::new(name, Value::Ipv6(address), at + offset, 16));
            }
        };
        address("record.multicast_address", 4);
        for n in 0..usize::from(be16(record, 2).unwrap_or_default()) {
            address("record.source_address", 20 + 16 * n);
        }
    }
}

/// Says a message.
pub(super) fn say(header: &[u8], line: &mut Line) {
    let (Some(&kind), Some(delay)) = (header.first(), be16(header, 4)) else { return };
    line.text(match kind {
        QUERY if is_query_v2(header) => "multicast listener query v2",
        QUERY => "multicast listener query",
        REPORT => "multicast listener report",
        DONE => "multicast listener done",
        _ => "multicast listener report v2",
    });
    match (kind, ipv6_at(header, 8)) {
        (REPORT_V2, _) => {
            line.text(", ").dec(be16(header, 6).unwrap_or_default()).text(" group record(s)");
            if !line.is_brief() {
                say_records(header, line);
            }
        }
        (QUERY, Some(group)) if is_query_v2(header) => {
            let sources = be16(header, 26).unwrap_or_default();
            if !group.is_unspecified() {
                line.text(" [gaddr ").ipv6(group);
                if sources > 0 {
                    line.text(", ").dec(sources).text(" source(s)");
                }
                line.text("]");
            }
        }
        (_, Some(group)) => {
            if kind == QUERY {
                line.text(" max resp delay: ").dec(delay);
            }
            line.text(" addr: ").ipv6(group);
        }
        (_, None) => {}
    }
}

fn say_records(header: &[u8], line: &mut Line) {
    for (n, (_, record)) in records(header).enumerate() {
        let Some(group) = ipv6_at(record, 4).filter(|_| n < MOST_SAID) else {
            line.text(" ...");
            return;
        };
        line.text(" [gaddr ").ipv6(group).text(" ");
        line.text(igmp::record_short(record[0])).text(" { ");
        let count = usize::from(be16(record, 2).unwrap_or_default());
        for source in record[20..].chunks_exact(16).take(count.min(MOST_SAID)) {
            line.ipv6(ipv6_at(source, 0).unwrap_or(group)).text(" ");
        }
        line.text(if count > MOST_SAID { "... }]" } else { "}]" });
    }
}
