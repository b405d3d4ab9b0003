//! MQTT (OASIS MQTT 3.1.1 and 5.0).
//!
//! A segment may hold several control packets, and the last may go on in the next. A segment that does not
//! begin with a packet continues one and is declined. Which version is spoken only CONNECT says: where the
//! versions differ, the lengths must tell, and what they do not tell is not shown. Passwords never are.

use super::line::Line;
use super::mqtt_names::{connack_name, level_name, qos_name, reason_name, suback_name, type_name};
use super::mqtt_packet::{Packet, Packets, behind_properties, filters_at, kind, string_at};
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

/// The parts of CONNECT (section 3.1), as far as they are there; places are in the body.
#[derive(Clone, Copy, Debug, Default)]
struct Connect<'a> {
    name: Option<(&'a [u8], usize)>,
    level: Option<(u8, usize)>,
    flags: Option<(u8, usize)>,
    keep_alive: Option<(u16, usize)>,
    client_id: Option<(&'a [u8], usize)>,
    will_topic: Option<(&'a [u8], usize)>,
    will_message: Option<(&'a [u8], usize)>,
    user_name: Option<(&'a [u8], usize)>,
}

impl<'a> Connect<'a> {
    fn new(body: &'a [u8]) -> Self {
        let mut connect = Connect::default();
        let _ = connect.read(body); // what is cut is as far as it is there
        connect
    }

    fn read(&mut self, body: &'a [u8]) -> Option<()> {
        let (name, at) = string_at(body, 0)?;
        self.name = Some((name, 2));
        let level = *body.get(at)?;
        self.level = Some((level, at));
        let flags = *body.get(at + 1)?;
        self.flags = Some((flags, at + 1));
        self.keep_alive = Some((be16(body, at + 2)?, at + 2));
        let behind = |at| if level >= 5 { behind_properties(body, at) } else { Some(at) };
        let (client, mut at) = string_at(body, behind(at + 4)?)?;
        self.client_id = Some((client, at - client.len()));
        if flags & 4 != 0 {
            let (topic, end) = string_at(body, behind(at)?)?;
            self.will_topic = Some((topic, end - topic.len()));
            let (message, end) = string_at(body, end)?;
            self.will_message = Some((message, end - message.len()));
            at = end;
        }
        if flags & 0x80 != 0 {
            let (user, end) = string_at(body, at)?;
            self.user_name = Some((user, end - user.len()));
        }
        Some(())
    }
}

/// The parts of PUBLISH (section 3.3); places are in the body.
#[derive(Clone, Copy, Debug)]
struct Publish<'a> {
    topic: &'a [u8],
    /// The packet's id, which only QoS 1 and 2 have.
    id: Option<u16>,
    /// What follows; in 5.0 that begins with properties.
    length: usize,
}

fn publish<'a>(packet: &Packet<'a>) -> Option<Publish<'a>> {
    let (topic, end) = string_at(packet.body, 0)?;
    let has_id = packet.flags & 6 != 0;
    let id = if has_id { be16(packet.body, end) } else { None };
    let length = packet.remaining.checked_sub(end + if has_id { 2 } else { 0 })?;
    Some(Publish { topic, id, length })
}

/// The filters of a whole SUBSCRIBE or UNSUBSCRIBE: text, place in the body, and requested QoS.
fn filters<'a>(
    packet: &Packet<'a>,
) -> impl Iterator<Item = (&'a [u8], usize, Option<u8>)> + use<'a> {
    let (body, has_options) = (packet.body, packet.kind == kind::SUBSCRIBE);
    let is_whole = body.len() == packet.remaining;
    let mut next = if is_whole { filters_at(packet) } else { None };
    std::iter::from_fn(move || {
        let (filter, end) = string_at(body, next?)?;
        let options = body.get(end).filter(|_| has_options).map(|options| options & 3);
        next = Some(end + usize::from(has_options));
        Some((filter, end - filter.len(), options))
    })
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
mod tests {
    use crate::proto::examined::{Over, assert_answers, examine_hostile, examine_large};
    use crate::proto::examined::{exchange as told, fields, protocol, said, said_briefly};

    const TO_BROKER: Over = Over::Tcp(40000, 1883);
    const TO_CLIENT: Over = Over::Tcp(1883, 40000);

    /// A client with a will, a user name and a password.
    fn connect() -> Vec<u8> {
        let body = b"\0\x04MQTT\x04\xc6\0\x3c\0\x05esp32\0\x04gone\0\x01x\0\x03bob\0\x06secret";
        [&[0x10, body.len() as u8], body.as_slice()].concat()
    }

    /// The same of 5.0, with properties, without the rest.
    fn connect_5() -> Vec<u8> {
        let body = b"\0\x04MQTT\x05\x02\0\x3c\x05\x11\0\0\0\x0a\0\x05esp32";
        [&[0x10, body.len() as u8], body.as_slice()].concat()
    }

    const PUBLISH: &[u8] = b"\x30\x13\0\x0csensors/temp22.5C\xc0\x00";
    const SUBSCRIBE: &[u8] = b"\x82\x0e\0\x07\0\x03a/#\x01\0\x03b/+\x00";
    const SUBSCRIBE_5: &[u8] = b"\x82\x09\0\x07\0\0\x03a/#\x01";

    #[test]
    fn packets_read_as_sentences() {
        let lines = [
            said(TO_BROKER, &connect()),
            said(TO_BROKER, &connect_5()),
            said(TO_CLIENT, b"\x20\x02\0\0"),
            said(TO_CLIENT, b"\x20\x02\0\x05"),
            said(TO_CLIENT, b"\x20\x03\0\x87\0"),
            said(TO_BROKER, PUBLISH),
            said(TO_BROKER, b"\x3d\x87\x68\0\x03a/b\x12\x34the beginning of much"),
            said(TO_BROKER, SUBSCRIBE),
            said(TO_BROKER, SUBSCRIBE_5),
            said(TO_CLIENT, b"\x90\x03\0\x07\x80"),
            said(TO_CLIENT, b"\x40\x02\0\x09\xd0\0"),
            said(TO_CLIENT, b"\x40\x04\0\x09\x97\0"),
            said(TO_BROKER, b"\x62\x02\0\x09"),
            said(TO_BROKER, b"\xe0\x00"),
            said(TO_CLIENT, b"\xe0\x02\x8b\0"),
            said(TO_BROKER, &b"\xc0\0".repeat(6)),
            said(TO_BROKER, b"\xc0\0\xff\0"),
            said(TO_BROKER, b"rest of a message"),
            said_briefly(TO_BROKER, &connect()),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r#"
        MQTT Connect "esp32", user "bob", v3.1.1, keep alive 60 s
        MQTT Connect "esp32", v5.0, keep alive 60 s
        MQTT ConnAck accepted
        MQTT ConnAck not authorized
        MQTT ConnAck not authorized
        MQTT Publish "sensors/temp" QoS 0, 5 bytes; PingReq
        MQTT Publish "a/b" QoS 2 id 4660, 13312 bytes, retain, duplicate
        MQTT Subscribe id 7 "a/#" QoS 1, "b/+" QoS 0
        MQTT Subscribe id 7 "a/#" QoS 1
        MQTT SubAck id 7, failure
        MQTT PubAck id 9; PingResp
        MQTT PubAck id 9, quota exceeded
        MQTT PubRel id 9
        MQTT Disconnect
        MQTT Disconnect, server shutting down
        MQTT PingReq; PingReq; PingReq; PingReq; 2 more
        MQTT PingReq [2: mqtt: packet cannot be read]
        payload
        MQTT Connect "esp32", user "bob"
        "#);
    }

    #[test]
    fn every_field_has_its_place_and_no_password_is_shown() {
        let shown = fields(TO_BROKER, &connect());
        assert!(!shown.contains("secret"));
        insta::assert_snapshot!(shown, @r#"
        type = 1 (Connect) @0+1
        remaining_length = 39 @1+1
        protocol_name = "MQTT" @4+4
        protocol_level = 4 (3.1.1) @8+1
        connect_flags = 0xc6 @9+1
        keep_alive = 60 @10+2
        client_id = "esp32" @14+5
        will_topic = "gone" @21+4
        will_message = bytes 78 @27+1
        user_name = "bob" @30+3
        "#);
        insta::assert_snapshot!(fields(TO_BROKER, PUBLISH), @r#"
        type = 3 (Publish) @0+1
        dup = false @0+1
        qos = 0 (at most once) @0+1
        retain = false @0+1
        remaining_length = 19 @1+1
        topic = "sensors/temp" @4+12
        payload_length = 5 @16+5
        type = 12 (PingReq) @21+1
        remaining_length = 0 @22+1
        "#);
        insta::assert_snapshot!(fields(TO_BROKER, SUBSCRIBE), @r#"
        type = 8 (Subscribe) @0+1
        remaining_length = 14 @1+1
        packet_id = 7 @2+2
        topic_filter = "a/#" @6+3
        requested_qos = 1 (at least once) @9+1
        topic_filter = "b/+" @12+3
        requested_qos = 0 (at most once) @15+1
        "#);
        insta::assert_snapshot!(fields(TO_CLIENT, b"\x20\x02\x01\0\x90\x03\0\x07\x01"), @r"
        type = 2 (ConnAck) @0+1
        remaining_length = 2 @1+1
        session_present = true @2+1
        return_code = 0 (accepted) @3+1
        type = 9 (SubAck) @4+1
        remaining_length = 3 @5+1
        packet_id = 7 @6+2
        return_code = 1 (granted QoS 1) @8+1
        ");
    }

    #[test]
    fn answers_belong_to_their_questions() {
        assert_answers((TO_BROKER, &connect()), (TO_CLIENT, b"\x20\x02\0\0"));
        assert_answers((TO_BROKER, b"\xc0\0"), (TO_CLIENT, b"\xd0\0"));
        assert_answers((TO_BROKER, SUBSCRIBE), (TO_CLIENT, b"\x90\x04\0\x07\x01\x00"));
        assert_answers((TO_BROKER, b"\x32\x06\0\x01a\0\x09x"), (TO_CLIENT, b"\x40\x02\0\x09"));
        assert_eq!(told(TO_BROKER, PUBLISH), None, "QoS 0 is not acknowledged");
    }

    #[test]
    fn what_is_no_packet_is_declined() {
        assert_eq!(protocol(TO_BROKER, b"\x30\x02\0\x09"), None, "a topic longer than its packet");
        assert_eq!(protocol(TO_BROKER, b"\x36\x04\0\x01ab"), None, "a QoS that is not there");
        assert_eq!(protocol(TO_BROKER, b"\x80\x06\0\x01\0\x01a\0"), None, "reserved flags");
        assert_eq!(protocol(TO_BROKER, b"\xc0\x01a"), None, "a ping with something in it");
    }

    #[test]
    fn hostile_bytes_are_harmless() {
        let samples: [&[u8]; 5] = [&connect(), &connect_5(), PUBLISH, SUBSCRIBE, SUBSCRIBE_5];
        examine_hostile(TO_BROKER, &samples);
        examine_large(TO_BROKER, &b"\xc0\0".repeat(32_000));
        examine_large(TO_BROKER, &b"\x30\x04\0\x01ab".repeat(10_000));
        let filters = b"\0\x01a\0".repeat(16_000);
        let head = [0x82, 0x80 | 2, 0x80 | 116, 3, 0, 7];
        examine_large(TO_BROKER, &[head.as_slice(), &filters].concat());
    }
}
