//! DNS (RFC 1035; AAAA: RFC 3596, SRV: RFC 2782, EDNS: RFC 6891), and what speaks its language:
//! multicast DNS (RFC 6762) and LLMNR (RFC 4795).
//!
//! Three protocols of one dissector. Over TCP two bytes of length stand in front of the message (RFC
//! 1035 section 4.2.2), so that no field has a fixed place and all are visited. A TCP segment that
//! does not look like the beginning of a message continues one and is declined.

use super::dns_data::type_name;
use super::dns_message::{Entries, Entry, Fault, HEADER, OPT, Section};
use super::dns_names::{class_name, opcode_name, rcode_name};
use super::line::Line;
use super::{Domain, Exchange, Field, Item, Key, Next, NoteKind, Protocol, Stack, Value, Walk};
use super::{be16, ends, listed, tcp};

/// DNS.
pub static DNS: Protocol = Protocol {
    name: "dns",
    title: "DNS",
    keys: &[Key::UdpPort(53), Key::TcpPort(53)],
    dissect: |walk| dissect(&DNS, walk),
    ..SHARED
};

/// Multicast DNS.
pub static MDNS: Protocol = Protocol {
    name: "mdns",
    title: "mDNS",
    keys: &[Key::UdpPort(5353)],
    dissect: |walk| dissect(&MDNS, walk),
    exchange: |_, _| None, // answers repeat no question
    ..SHARED
};

/// Link-local multicast name resolution.
pub static LLMNR: Protocol = Protocol {
    name: "llmnr",
    title: "LLMNR",
    keys: &[Key::UdpPort(5355), Key::TcpPort(5355)],
    dissect: |walk| dissect(&LLMNR, walk),
    ..SHARED
};

/// What the three have in common.
const SHARED: Protocol = Protocol { fields: FIELDS, summary, list, exchange, ..Protocol::BASE };

static FIELDS: &[Field] = &[
    listed!("length", Number),
    listed!("id", Number),
    listed!("qr", Flag),
    listed!("opcode", Number),
    listed!("aa", Flag),
    listed!("tc", Flag),
    listed!("rd", Flag),
    listed!("ra", Flag),
    listed!("ad", Flag),
    listed!("cd", Flag),
    listed!("rcode", Number),
    listed!("qdcount", Number),
    listed!("ancount", Number),
    listed!("nscount", Number),
    listed!("arcount", Number),
    listed!("question.name", Text, many),
    listed!("question.type", Number, many),
    listed!("question.class", Number, many),
    listed!("question.unicast_response", Flag, many),
    listed!("answer.name", Text, many),
    listed!("answer.type", Number, many),
    listed!("answer.class", Number, many),
    listed!("answer.cache_flush", Flag, many),
    listed!("answer.ttl", Number, many),
    listed!("answer.data", Text, many),
    listed!("authority.name", Text, many),
    listed!("authority.type", Number, many),
    listed!("authority.class", Number, many),
    listed!("authority.cache_flush", Flag, many),
    listed!("authority.ttl", Number, many),
    listed!("authority.data", Text, many),
    listed!("additional.name", Text, many),
    listed!("additional.type", Number, many),
    listed!("additional.class", Number, many),
    listed!("additional.cache_flush", Flag, many),
    listed!("additional.ttl", Number, many),
    listed!("additional.data", Text, many),
    listed!("edns.udp_payload_size", Number, many),
    listed!("edns.version", Number, many),
    listed!("edns.do", Flag, many),
];

/// The names of an entry's fields: name, type, class, flag, ttl, data.
type Names = [&'static str; 6];

/// By section.
const fn names_of(section: Section) -> Names {
    match section {
        Section::Question => [
            "question.name",
            "question.type",
            "question.class",
            "question.unicast_response",
            "",
            "",
        ],
        Section::Answer => [
            "answer.name",
            "answer.type",
            "answer.class",
            "answer.cache_flush",
            "answer.ttl",
            "answer.data",
        ],
        Section::Authority => [
            "authority.name",
            "authority.type",
            "authority.class",
            "authority.cache_flush",
            "authority.ttl",
            "authority.data",
        ],
        Section::Additional => [
            "additional.name",
            "additional.type",
            "additional.class",
            "additional.cache_flush",
            "additional.ttl",
            "additional.data",
        ],
    }
}

/// A message is an answer.
const QR: u16 = 0x8000;
/// It is cut to what a datagram can carry.
const TC: u16 = 0x200;

fn dissect(protocol: &'static Protocol, walk: &mut Walk<'_>) -> Next {
    let bytes = walk.rest();
    let is_tcp = walk.last() == Some(&tcp::TCP);
    if is_tcp && !begins_message(bytes) {
        return Next::Payload;
    }
    let start = if is_tcp { 2 } else { 0 };
    if !is_tcp && !walk.has(protocol, HEADER) {
        return Next::Payload;
    }
    let announced = be16(bytes, 0).filter(|_| is_tcp).map_or(bytes.len(), |n| 2 + usize::from(n));
    let message = bytes.get(start..announced.min(bytes.len())).unwrap_or_default();
    let mut entries = Entries::new(message);
    entries.by_ref().for_each(drop);
    match entries.fault() {
        Some(Fault::Wrong(at, what)) => walk.note(protocol, start + at, NoteKind::Wrong(what)),
        Some(Fault::Needs(needed)) if !is_tcp => {
            walk.has(protocol, needed);
        }
        Some(Fault::Needs(_)) if announced <= bytes.len() => {
            let what = "message is longer than its length says";
            walk.note(protocol, 0, NoteKind::Wrong(what));
        }
        Some(Fault::Needs(_)) => {} // the next segment goes on
        None => match message.len() - entries.at().min(message.len()) {
            0 => {}
            behind => walk.note(protocol, start + entries.at(), NoteKind::Trailing(behind)),
        },
    }
    walk.push(protocol, announced, usize::MAX);
    Next::Payload
}

/// Whether a TCP segment begins with the length of a message and a header that can be one.
fn begins_message(bytes: &[u8]) -> bool {
    let number = |at| be16(bytes, at).map(usize::from);
    let (Some(length), Some(flags)) = (number(0), number(4)) else { return false };
    let counts = [6, 8, 10, 12].map(number);
    let [Some(questions), Some(answers), Some(authorities), Some(additionals)] = counts else {
        return false;
    };
    let is_opcode = matches!(flags >> 11 & 15, 0..=2 | 4..=6);
    let least = HEADER + 5 * questions + 11 * (answers + authorities + additionals);
    is_opcode && flags & 0x40 == 0 && length >= least
}

/// The message of layer `n`, and where in the layer it begins.
fn message<'a>(stack: &Stack<'a>, n: usize) -> (&'a [u8], usize) {
    let below = n.checked_sub(1).and_then(|n| stack.layers.get(n));
    let start = if below.is_some_and(|layer| layer.protocol == &tcp::TCP) { 2 } else { 0 };
    (stack.header(n).get(start..).unwrap_or_default(), start)
}

fn list(stack: &Stack<'_>, n: usize, visit: &mut dyn FnMut(Item<'_>)) {
    let (message, start) = message(stack, n);
    if let Some(length) = be16(stack.header(n), 0).filter(|_| start > 0) {
        visit(Item::new("length", Value::Number(length.into()), 0, 2));
    }
    list_header(message, start, visit);
    let is_multicast = stack.layers.get(n).is_some_and(|layer| layer.protocol == &MDNS);
    for entry in Entries::new(message) {
        list_entry(&entry, start, is_multicast, visit);
    }
}

fn list_header(message: &[u8], start: usize, visit: &mut dyn FnMut(Item<'_>)) {
    let number = |at| be16(message, at).map(u64::from);
    let (Some(id), Some(flags)) = (number(0), number(2)) else { return };
    let flag = |name, bit: u64| {
        let at = if bit > 0xff { 2 } else { 3 };
        Item::new(name, Value::Flag(flags & bit != 0), start + at, 1)
    };
    let (opcode, rcode) = (flags >> 11 & 15, flags & 15);
    visit(Item::new("id", Value::Number(id), start, 2));
    visit(flag("qr", QR.into()));
    let item = Item::new("opcode", Value::Number(opcode), start + 2, 1);
    visit(item.meaning(opcode_name(opcode)));
    for (name, bit) in
        [("aa", 0x400), ("tc", 0x200), ("rd", 0x100), ("ra", 0x80), ("ad", 0x20), ("cd", 0x10)]
    {
        visit(flag(name, bit));
    }
    visit(Item::new("rcode", Value::Number(rcode), start + 3, 1).meaning(rcode_name(rcode)));
    for (name, at) in [("qdcount", 4), ("ancount", 6), ("nscount", 8), ("arcount", 10)] {
        if let Some(count) = number(at) {
            visit(Item::new(name, Value::Number(count), start + at, 2));
        }
    }
}

fn list_entry(
    entry: &Entry<'_>,
    start: usize,
    is_multicast: bool,
    visit: &mut dyn FnMut(Item<'_>),
) {
    let [name, kind, class, flag, ttl, data] = names_of(entry.section);
    let fixed = start + entry.fixed;
    let named = entry.fixed - entry.name.at;
    visit(Item::new(name, Value::Domain(entry.name), start + entry.name.at, named));
    let number = Value::Number(entry.kind.into());
    visit(Item::new(kind, number, fixed, 2).meaning(type_name(entry.kind.into())));
    let (mask, is_set) = match is_multicast && entry.kind != OPT {
        true => (0x7fff, Some(entry.class & 0x8000 != 0)),
        false => (0xffff, None),
    };
    let number = entry.class & mask;
    let meaning = class_name(number).filter(|_| entry.kind != OPT);
    visit(Item::new(class, Value::Number(number.into()), fixed + 2, 2).meaning(meaning));
    if let Some(is_set) = is_set {
        visit(Item::new(flag, Value::Flag(is_set), fixed + 2, 1));
    }
    if entry.section == Section::Question {
        return;
    }
    visit(Item::new(ttl, Value::Number(entry.ttl.into()), fixed + 4, 4));
    if entry.kind == OPT {
        let (version, flags) = (entry.ttl >> 16 & 0xff, entry.ttl & 0xffff);
        let size = Value::Number(entry.class.into());
        visit(Item::new("edns.udp_payload_size", size, fixed + 2, 2));
        visit(Item::new("edns.version", Value::Number(version.into()), fixed + 5, 1));
        visit(Item::new("edns.do", Value::Flag(flags & 0x8000 != 0), fixed + 6, 1));
    }
    visit(Item::new(data, Value::Record(entry.data), start + entry.data.at, entry.data.length));
}

/// Records that a summary says; the rest is counted.
const MAX_SAID: usize = 4;
/// Bytes of a name or of data that a summary says.
const MAX_TEXT: usize = 80;

fn summary(stack: &Stack<'_>, n: usize, line: &mut Line) {
    let (message, _) = message(stack, n);
    let Some(layer) = stack.layers.get(n) else { return };
    let (Some(id), Some(flags)) = (be16(message, 0), be16(message, 2)) else { return };
    line.text(layer.protocol.title).text(" ");
    let opcode = u64::from(flags >> 11 & 15);
    match opcode_name(opcode) {
        Some("query") if flags & QR == 0 => line.text("query"),
        Some("query") => line.text("reply"),
        Some(name) => line.text(name).text(if flags & QR == 0 { "" } else { " reply" }),
        None => line.text("opcode ").dec(opcode),
    };
    if layer.protocol != &MDNS || id != 0 {
        line.text(" ").dec(id);
    }
    say_entries(message, layer.protocol == &MDNS, flags, line);
}

/// Says what is asked, what is answered, what went wrong, and how much else there is.
fn say_entries(message: &[u8], is_multicast: bool, flags: u16, line: &mut Line) {
    let of = |section| Entries::new(message).filter(move |entry| entry.section == section);
    let count = |section| of(section).count() as u64;
    let (questions, answers) = (count(Section::Question), count(Section::Answer));
    for (n, question) in of(Section::Question).take(MAX_SAID).enumerate() {
        line.text(if n == 0 { " " } else { ", " });
        say_type(question.kind, line);
        line.text(" ").shortened(question.name, MAX_TEXT);
        if is_multicast && question.class & 0x8000 != 0 {
            line.text(" (QU)");
        }
    }
    let is_reply = flags & QR != 0;
    let said = if is_reply { answers.min(MAX_SAID as u64) } else { 0 };
    for (n, answer) in of(Section::Answer).take(said as usize).enumerate() {
        line.text(if n == 0 { ": " } else { ", " });
        say_type(answer.kind, line);
        if questions == 0 {
            line.text(" ").shortened(answer.name, MAX_TEXT);
        }
        line.text(" ").shortened(answer.data, MAX_TEXT);
    }
    let rcode = u64::from(flags & 15);
    if is_reply && rcode != 0 {
        line.text(if said > 0 { ", " } else { ": " });
        match rcode_name(rcode) {
            Some(name) => line.text(name),
            None => line.text("code ").dec(rcode),
        };
    }
    if flags & TC != 0 {
        line.text(", truncated");
    }
    if line.is_brief() {
        return;
    }
    let more = [
        (questions.saturating_sub(MAX_SAID as u64), " more questions"),
        (answers - said, if said > 0 { " more answers" } else { " known answers" }),
        (count(Section::Authority), " authority"),
        (count(Section::Additional), " additional"),
    ];
    for (count, what) in more.into_iter().filter(|more| more.0 > 0) {
        line.text(", ").dec(count).text(what);
    }
}

fn say_type(kind: u16, line: &mut Line) {
    match type_name(kind.into()) {
        Some(name) => line.text(name),
        None => line.text("TYPE").dec(kind),
    };
}

/// The id and the first question; an LLMNR question goes to a group, so who answers does not count.
fn exchange(stack: &Stack<'_>, n: usize) -> Option<Exchange> {
    let (message, _) = message(stack, n);
    let (id, is_answer) = (be16(message, 0)?, be16(message, 2)? & QR != 0);
    let question = Entries::new(message).next().filter(|e| e.section == Section::Question)?;
    let parts = (id, question.kind, hash_of_name(question.name));
    let protocol = stack.layers.get(n)?.protocol;
    if protocol == &LLMNR {
        let (source, destination) = ends::of(stack, n)?;
        let asker = if is_answer { destination } else { source };
        return Some(Exchange::new(protocol, is_answer, (asker, parts)));
    }
    ends::exchange(protocol, (stack, n), is_answer, parts)
}

/// The same for names that differ in nothing but case (RFC 1035 section 2.3.3).
fn hash_of_name(name: Domain<'_>) -> u64 {
    use std::hash::{DefaultHasher, Hasher};
    let mut hasher = DefaultHasher::new();
    for label in name.labels() {
        label.iter().for_each(|byte| hasher.write_u8(byte.to_ascii_lowercase()));
        hasher.write_u8(b'.');
    }
    hasher.finish()
}

#[cfg(test)]
mod tests;
