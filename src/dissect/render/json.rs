//! Frames as flat JSON: one object, `PROTOCOL.FIELD` as keys.
//!
//! Fields that a layer may have several of are arrays, also when there is one. The layers of a quoted
//! packet have `quoted.` in front of their names; the second layer of the same protocol (a stacked
//! tag, a tunnel) is `vlan_2`. Numbers are numbers, addresses and text are strings, bytes are hex.
//! The schema is `docs/records.schema.json`.

use crate::proto::line::Line;
use crate::proto::{Field, Item, Layer, Stack, Value};

/// Numbers beyond this do not survive where numbers are floating-point (RFC 8259 section 6): they are
/// written as strings.
const MOST_EXACT: u64 = 1 << 53;

/// Appends the members for a frame: `length`, `link_type` if nothing is known of it, `protocols`, the fields, `payload_length`, `malformed`
/// and `notes`, each with a comma in front.
pub fn members(stack: &Stack<'_>, line: &mut Line) {
    line.text(",\"length\":").dec(stack.length as u64);
    if stack.length != stack.frame.len() {
        line.text(",\"captured\":").dec(stack.frame.len() as u64);
    }
    if let Some(link) = stack.unknown_link() {
        line.text(",\"link_type\":").dec(link.0);
        if let Some(name) = link.name() {
            line.text(",\"link_type_name\":\"").text(name).text("\"");
        }
    }
    line.text(",\"protocols\":[");
    for (n, layer) in stack.layers.iter().enumerate() {
        line.text(if n > 0 { ",\"" } else { "\"" });
        say_name(stack, n, layer, line);
        line.text("\"");
    }
    line.text("]");
    for (n, layer) in stack.layers.iter().enumerate() {
        fields(stack, n, layer, line);
    }
    let payload = match stack.layers.len() {
        0 => stack.frame.len(),
        n => stack.payload(n - 1).len(),
    };
    line.text(",\"payload_length\":").dec(payload as u64);
    line.text(",\"malformed\":").text(if stack.is_malformed() { "true" } else { "false" });
    if !stack.notes.is_empty() {
        line.text(",\"notes\":[");
        for (n, note) in stack.notes.iter().enumerate() {
            line.text(if n > 0 { ",\"" } else { "\"" });
            note.explain(line); // our own words: nothing to escape
            line.text("\"");
        }
        line.text("]");
    }
}

/// The name of layer `n`, unlike that of any other layer of the frame.
fn say_name(stack: &Stack<'_>, n: usize, layer: &Layer, line: &mut Line) {
    let is_alike =
        |other: &&Layer| other.protocol == layer.protocol && other.is_quoted == layer.is_quoted;
    let before = stack.layers[..n].iter().filter(is_alike).count();
    line.text(if layer.is_quoted { "quoted." } else { "" }).text(layer.protocol.name);
    if before > 0 {
        line.text("_").dec(before as u64 + 1);
    }
}

/// The fields of layer `n`: those of fixed place, single ones as they come, then those of which there
/// may be several.
fn fields(stack: &Stack<'_>, n: usize, layer: &Layer, line: &mut Line) {
    let (all, header) = (layer.protocol.fields, stack.header(n));
    for field in all {
        if let Some(value) = field.get.and_then(|get| get(header)) {
            key(stack, n, layer, field, line);
            say(&Item::new(field.name, value, 0, 0), line);
        }
    }
    let mut several = 0u128;
    (layer.protocol.list)(stack, n, &mut |item| {
        let Some(at) = all.iter().position(|field| field.name == item.name) else { return };
        if all[at].is_many {
            several |= 1 << (at % 128);
        } else {
            key(stack, n, layer, &all[at], line);
            say(&item, line);
        }
    });
    for (at, field) in all.iter().enumerate().filter(|(at, _)| several >> (at % 128) & 1 == 1) {
        if !all[at].is_many {
            continue;
        }
        key(stack, n, layer, field, line);
        line.text("[");
        let mut is_first = true;
        (layer.protocol.list)(stack, n, &mut |item| {
            if item.name == field.name {
                line.text(if std::mem::take(&mut is_first) { "" } else { "," });
                say(&item, line);
            }
        });
        line.text("]");
    }
}

fn key(stack: &Stack<'_>, n: usize, layer: &Layer, field: &Field, line: &mut Line) {
    line.text(",\"");
    say_name(stack, n, layer, line);
    line.text(".").text(field.name).text("\":");
}

fn say(item: &Item<'_>, line: &mut Line) {
    match item.value {
        Value::Number(number) | Value::Hex(number) if number < MOST_EXACT => {
            line.dec(number);
        }
        Value::Number(number) | Value::Hex(number) => {
            line.text("\"").dec(number).text("\"");
        }
        Value::Flag(flag) => {
            line.text(if flag { "true" } else { "false" });
        }
        Value::Mac(mac) => {
            line.text("\"").mac(mac).text("\"");
        }
        Value::Ipv4(address) => {
            line.text("\"").ipv4(address).text("\"");
        }
        Value::Ipv6(address) => {
            line.text("\"").ipv6(address).text("\"");
        }
        Value::Text(text) => string(text, line),
        Value::Domain(name) => string(name.to_string().as_bytes(), line),
        Value::Record(data) => string(data.to_string().as_bytes(), line),
        Value::Bytes(bytes) => hex(bytes, line),
    }
}

/// Bytes as a string of hex digits.
pub fn hex(bytes: &[u8], line: &mut Line) {
    line.text("\"");
    bytes.iter().for_each(|byte| {
        line.hex(*byte, 2);
    });
    line.text("\"");
}

/// Text as a string (RFC 8259 section 7); what is not UTF-8 becomes U+FFFD, and what could harm a
/// terminal is escaped.
pub fn string(text: &[u8], line: &mut Line) {
    line.text("\"");
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => line.text("\\\""),
                '\\' => line.text("\\\\"),
                '\n' => line.text("\\n"),
                '\r' => line.text("\\r"),
                '\t' => line.text("\\t"),
                ' '..='~' => line.character(c),
                c if crate::escape::is_harmless(c) => line.character(c),
                c => escaped(c, line),
            };
        }
        if !chunk.invalid().is_empty() {
            line.text("\\ufffd");
        }
    }
    line.text("\"");
}

fn escaped(c: char, line: &mut Line) -> &mut Line {
    let mut units = [0; 2];
    for unit in c.encode_utf16(&mut units) {
        line.text("\\u").hex(*unit, 4);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::Dissector;
    use crate::proto::samples;
    use proptest::prelude::*;

    fn object(frame: &[u8]) -> serde_json::Value {
        let mut line = Line::new(false);
        line.text("{\"v\":1");
        members(&Dissector::default().dissect(frame), &mut line);
        line.text("}");
        serde_json::from_slice(line.as_bytes()).expect("JSON")
    }

    #[test]
    fn a_frame_is_one_flat_object() {
        let object = object(&samples::syn());
        for (key, value) in [
            ("length", serde_json::json!(58)),
            ("protocols", serde_json::json!(["ethernet", "ipv4", "tcp"])),
            ("ethernet.src", serde_json::json!("02:00:00:00:00:01")),
            ("ipv4.src", serde_json::json!("192.168.100.1")),
            ("tcp.flags.syn", serde_json::json!(true)),
            ("tcp.option.mss", serde_json::json!([1460])),
            ("malformed", serde_json::json!(false)),
        ] {
            assert_eq!(object[key], value, "{key}");
        }
        assert_eq!(object.get("notes"), None);
    }

    #[test]
    fn a_link_type_is_said_where_nothing_dissects_it() {
        let members = |link| {
            let mut line = Line::new(false);
            let mut dissector = Dissector::default();
            members(&dissector.dissect_as(crate::record::LinkType(link), &[0; 4], 4), &mut line);
            String::from_utf8_lossy(line.as_bytes()).into_owned()
        };
        let named = ",\"length\":4,\"link_type\":127,\"link_type_name\":\"IEEE802_11_RADIO\",\"protocols\":[]";
        assert!(members(127).starts_with(named), "{}", members(127));
        let unnamed = ",\"length\":4,\"link_type\":9999,\"protocols\":[]";
        assert!(members(9999).starts_with(unnamed), "{}", members(9999));
        assert!(!members(1).contains("link_type"));
    }

    #[test]
    fn what_is_quoted_has_names_of_its_own() {
        let mut frame = samples::echo_request();
        frame.truncate(42);
        frame[34] = 3;
        frame.extend(&samples::datagram()[14..42]);
        let object = object(&frame);
        assert_eq!(object["quoted.udp.src_port"], 7);
        assert_eq!(object["malformed"], true, "{object}");
    }

    #[test]
    fn text_is_escaped_as_the_rfc_wants_it() {
        let mut line = Line::new(false);
        string("a\"\\\n\u{1b}\u{202e}\u{e0001}ü".as_bytes(), &mut line);
        string(b"\xff", &mut line);
        let text = String::from_utf8_lossy(line.as_bytes()).into_owned();
        assert_eq!(text, r#""a\"\\\n\u001b\u202e\udb40\udc01ü""\ufffd""#);
    }

    proptest! {
        #[test]
        fn any_text_is_read_back(text: String) {
            let mut line = Line::new(false);
            string(text.as_bytes(), &mut line);
            prop_assert_eq!(serde_json::from_slice::<String>(line.as_bytes()).ok(), Some(text));
        }
    }
}
