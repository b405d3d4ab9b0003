//! MQTT (OASIS MQTT 3.1.1 and 5.0).
//!
//! A segment may hold several control packets, and the last may go on in the next. A segment that does not
//! begin with a packet continues one and is declined. Which version is spoken only CONNECT says: where the
//! versions differ, the lengths must tell, and what they do not tell is not shown. Passwords never are.

use super::line::Line;
use super::mqtt_bodies::{Connect, filters, publish};
use super::mqtt_names::{connack_name, level_name, qos_name, reason_name, suback_name, type_name};
use super::mqtt_packet::{Packet, Packets, kind};
use super::{Exchange, Item, Key, Next, NoteKind, Protocol, Stack, Value, Walk};
use super::{be16, ends, listed};
use crate::escape;

/// MQTT.
pub static MQTT: Protocol = Protocol {
    name: "mqtt",
    title: "MQTT",
    keys: &[Key::TcpPort(1883)],
    fields: &[
        listed!("type", Number, many),
        listed!("remaining_length", Number, many),
        listed!("dup", Flag, many),
        listed!("qos", Number, many),
        listed!("retain", Flag, many),
        listed!("protocol_name", Text, many),
        listed!("protocol_level", Number, many),
        listed!("connect_flags", Hex, many),
        listed!("keep_alive", Number, many),
        listed!("client_id", Text, many),
        listed!("will_topic", Text, many),
        listed!("will_message", Bytes, many),
        listed!("user_name", Text, many),
        listed!("session_present", Flag, many),
        listed!("return_code", Number, many),
        listed!("packet_id", Number, many),
        listed!("topic", Text, many),
        listed!("topic_filter", Text, many),
        listed!("requested_qos", Number, many),
        listed!("payload_length", Number, many),
    ],
    dissect,
    summary,
    list,
    exchange,
};

fn dissect(walk: &mut Walk<'_>) -> Next {
    let mut packets = Packets::new(walk.rest());
    if packets.by_ref().count() == 0 {
        return Next::Payload;
    }
    if let Some(at) = packets.broken_at() {
        walk.note(&MQTT, at, NoteKind::Wrong("packet cannot be read"));
    }
    walk.push(&MQTT, usize::MAX, usize::MAX);
    Next::Payload
}

fn list(stack: &Stack<'_>, n: usize, visit: &mut dyn FnMut(Item<'_>)) {
    for packet in Packets::new(stack.header(n)) {
        let number = Value::Number(packet.kind.into());
        visit(Item::new("type", number, packet.at, 1).meaning(type_name(packet.kind)));
        if packet.kind == kind::PUBLISH {
            visit(Item::new("dup", Value::Flag(packet.flags & 8 != 0), packet.at, 1));
            let qos = packet.flags >> 1 & 3;
            visit(Item::new("qos", Value::Number(qos.into()), packet.at, 1).meaning(qos_name(qos)));
            visit(Item::new("retain", Value::Flag(packet.flags & 1 != 0), packet.at, 1));
        }
        let remaining = Value::Number(packet.remaining as u64);
        let length = packet.start - packet.at - 1;
        visit(Item::new("remaining_length", remaining, packet.at + 1, length));
        match packet.kind {
            kind::CONNECT => list_connect(&packet, visit),
            kind::CONNACK => list_connack(&packet, visit),
            kind::PUBLISH => list_publish(&packet, visit),
            kind::DISCONNECT | kind::AUTH => list_code(&packet, 0, visit),
            kind::PUBACK..=kind::UNSUBACK => {
                list_id(&packet, visit);
                list_rest(&packet, visit);
            }
            _ => {}
        }
    }
}

fn list_connect(packet: &Packet<'_>, visit: &mut dyn FnMut(Item<'_>)) {
    let (connect, start) = (Connect::new(packet.body), packet.start);
    let text = |name, part: Option<(_, usize)>, visit: &mut dyn FnMut(Item<'_>)| {
        let Some((text, at)) = part else { return };
        let text: &[u8] = text;
        visit(Item::new(name, Value::Text(text), start + at, text.len()));
    };
    text("protocol_name", connect.name, visit);
    if let Some((level, at)) = connect.level {
        let item = Item::new("protocol_level", Value::Number(level.into()), start + at, 1);
        visit(item.meaning(level_name(level)));
    }
    if let Some((flags, at)) = connect.flags {
        visit(Item::new("connect_flags", Value::Hex(flags.into()), start + at, 1));
    }
    if let Some((seconds, at)) = connect.keep_alive {
        visit(Item::new("keep_alive", Value::Number(seconds.into()), start + at, 2));
    }
    text("client_id", connect.client_id, visit);
    text("will_topic", connect.will_topic, visit);
    if let Some((message, at)) = connect.will_message {
        visit(Item::new("will_message", Value::Bytes(message), start + at, message.len()));
    }
    text("user_name", connect.user_name, visit);
}

fn list_connack(packet: &Packet<'_>, visit: &mut dyn FnMut(Item<'_>)) {
    if let Some(flags) = packet.body.first() {
        visit(Item::new("session_present", Value::Flag(flags & 1 != 0), packet.start, 1));
    }
    if let Some(code) = packet.body.get(1) {
        let item = Item::new("return_code", Value::Number((*code).into()), packet.start + 1, 1);
        visit(item.meaning(connack_name(*code, packet.remaining)));
    }
}

fn list_publish(packet: &Packet<'_>, visit: &mut dyn FnMut(Item<'_>)) {
    let Some(parts) = publish(packet) else { return };
    let (start, length) = (packet.start + 2, parts.topic.len());
    visit(Item::new("topic", Value::Text(parts.topic), start, length));
    if let Some(id) = parts.id {
        visit(Item::new("packet_id", Value::Number(id.into()), start + length, 2));
    }
    let at = packet.start + packet.remaining - parts.length;
    let there = (packet.start + packet.body.len()).saturating_sub(at);
    let at = at.min(packet.start + packet.body.len());
    visit(Item::new("payload_length", Value::Number(parts.length as u64), at, there));
}

fn list_id(packet: &Packet<'_>, visit: &mut dyn FnMut(Item<'_>)) {
    if let Some(id) = be16(packet.body, 0) {
        visit(Item::new("packet_id", Value::Number(id.into()), packet.start, 2));
    }
}

/// What follows the id: filters, or how it went.
fn list_rest(packet: &Packet<'_>, visit: &mut dyn FnMut(Item<'_>)) {
    match packet.kind {
        kind::SUBSCRIBE | kind::UNSUBSCRIBE => {
            for (filter, at, qos) in filters(packet) {
                let at = packet.start + at;
                visit(Item::new("topic_filter", Value::Text(filter), at, filter.len()));
                if let Some(qos) = qos {
                    let item =
                        Item::new("requested_qos", Value::Number(qos.into()), at + filter.len(), 1);
                    visit(item.meaning(qos_name(qos)));
                }
            }
        }
        // One code, and surely no properties in front of it; with more bytes it might be either.
        kind::SUBACK if packet.remaining == 3 => list_code(packet, 2, visit),
        kind::PUBACK..=kind::PUBCOMP => list_code(packet, 2, visit),
        _ => {}
    }
}

fn list_code(packet: &Packet<'_>, at: usize, visit: &mut dyn FnMut(Item<'_>)) {
    let Some(code) = packet.body.get(at) else { return };
    let item = Item::new("return_code", Value::Number((*code).into()), packet.start + at, 1);
    visit(item.meaning(if packet.kind == kind::SUBACK {
        suback_name(*code)
    } else {
        reason_name(*code)
    }));
}

/// Packets that a summary says; the rest is counted.
const MAX_SAID: usize = 4;
/// Filters that a summary says.
const MAX_FILTERS: usize = 4;
/// Bytes of each text that a summary says.
const MAX_TEXT: usize = 80;

fn summary(stack: &Stack<'_>, n: usize, line: &mut Line) {
    let packets = || Packets::new(stack.header(n));
    line.text("MQTT ");
    for (n, packet) in packets().take(MAX_SAID).enumerate() {
        line.text(if n == 0 { "" } else { "; " });
        line.text(type_name(packet.kind).unwrap_or("reserved type"));
        match packet.kind {
            kind::CONNECT => say_connect(&Connect::new(packet.body), line),
            kind::CONNACK => say_connack(&packet, line),
            kind::PUBLISH => say_publish(&packet, line),
            kind::DISCONNECT | kind::AUTH => say_reason(&packet, 0, line),
            kind::PUBACK..=kind::UNSUBACK => say_other(&packet, line),
            _ => {}
        }
    }
    let count = packets().count();
    if count > MAX_SAID {
        line.text("; ").dec((count - MAX_SAID) as u64).text(" more");
    }
}

fn say_quoted(text: &[u8], line: &mut Line) {
    let text = text.get(..MAX_TEXT + 1).unwrap_or(text);
    line.text("\"").shortened(escape::terminal(text), MAX_TEXT).text("\"");
}

fn say_connect(connect: &Connect<'_>, line: &mut Line) {
    if let Some((client, _)) = connect.client_id {
        line.text(" ");
        say_quoted(client, line);
    }
    if let Some((user, _)) = connect.user_name {
        line.text(", user ");
        say_quoted(user, line);
    }
    if line.is_brief() {
        return;
    }
    if let Some((level, _)) = connect.level {
        match level_name(level) {
            Some(name) => line.text(", v").text(name),
            None => line.text(", level ").dec(level),
        };
    }
    if let Some((seconds, _)) = connect.keep_alive {
        line.text(", keep alive ").dec(seconds).text(" s");
    }
}

fn say_connack(packet: &Packet<'_>, line: &mut Line) {
    let Some(&code) = packet.body.get(1) else { return };
    match connack_name(code, packet.remaining) {
        Some(name) => line.text(" ").text(name),
        None => line.text(" code ").dec(code),
    };
}

fn say_publish(packet: &Packet<'_>, line: &mut Line) {
    let Some(parts) = publish(packet) else { return };
    line.text(" ");
    say_quoted(parts.topic, line);
    line.text(" QoS ").dec(packet.flags >> 1 & 3);
    if let Some(id) = parts.id {
        line.text(" id ").dec(id);
    }
    line.text(", ").dec(parts.length as u64).text(" bytes");
    for (bit, what) in [(1, ", retain"), (8, ", duplicate")] {
        line.text(if packet.flags & bit != 0 { what } else { "" });
    }
}

/// Says the id, and what was subscribed or how it went.
fn say_other(packet: &Packet<'_>, line: &mut Line) {
    if let Some(id) = be16(packet.body, 0) {
        line.text(" id ").dec(id);
    }
    for (n, (filter, _, qos)) in filters_of(packet).take(MAX_FILTERS).enumerate() {
        line.text(if n == 0 { " " } else { ", " });
        say_quoted(filter, line);
        if let Some(qos) = qos {
            line.text(" QoS ").dec(qos);
        }
    }
    let count = filters_of(packet).count();
    if count > MAX_FILTERS {
        line.text(", ").dec((count - MAX_FILTERS) as u64).text(" more");
    }
    match packet.kind {
        kind::PUBACK..=kind::PUBCOMP => say_reason(packet, 2, line),
        kind::SUBACK if packet.remaining == 3 => {
            if let Some(name) = packet.body.get(2).and_then(|code| suback_name(*code)) {
                line.text(", ").text(name);
            }
        }
        _ => {}
    }
}

/// The filters of a packet that has some.
fn filters_of<'a>(
    packet: &Packet<'a>,
) -> impl Iterator<Item = (&'a [u8], usize, Option<u8>)> + use<'a> {
    let has_filters = matches!(packet.kind, kind::SUBSCRIBE | kind::UNSUBSCRIBE);
    has_filters.then(|| filters(packet)).into_iter().flatten()
}

/// Says a reason that is worth saying.
fn say_reason(packet: &Packet<'_>, at: usize, line: &mut Line) {
    let Some(&code) = packet.body.get(at).filter(|code| **code != 0) else { return };
    match reason_name(code) {
        Some(name) => line.text(", ").text(name),
        None => line.text(", reason ").dec(code),
    };
}

/// What the first packet of the segment asks or answers.
fn exchange(stack: &Stack<'_>, n: usize) -> Option<Exchange> {
    let packet = Packets::new(stack.header(n)).next()?;
    let id = be16(packet.body, 0);
    let (is_answer, parts) = match packet.kind {
        kind::CONNECT => (false, (kind::CONNECT, 0)),
        kind::CONNACK => (true, (kind::CONNECT, 0)),
        kind::PINGREQ => (false, (kind::PINGREQ, 0)),
        kind::PINGRESP => (true, (kind::PINGREQ, 0)),
        kind::SUBSCRIBE => (false, (kind::SUBSCRIBE, id?)),
        kind::SUBACK => (true, (kind::SUBSCRIBE, id?)),
        kind::UNSUBSCRIBE => (false, (kind::UNSUBSCRIBE, id?)),
        kind::UNSUBACK => (true, (kind::UNSUBSCRIBE, id?)),
        kind::PUBLISH => (false, (kind::PUBLISH, publish(&packet)?.id?)),
        kind::PUBACK | kind::PUBREC => (true, (kind::PUBLISH, id?)),
        _ => return None,
    };
    ends::exchange(&MQTT, (stack, n), is_answer, parts)
}

#[cfg(test)]
mod tests;
