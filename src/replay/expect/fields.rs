//! One frame as a list of names and values, and how two of them differ.
//!
//! Bytes that belong to no field (reserved ones, what follows a message that was understood) are compared as bytes,
//! where the fields show no difference. Padding is not.

use std::collections::HashMap;

use super::ignore::Ignored;
use crate::dissect::Dissector;
use crate::dissect::render::{line, value};
use crate::proto::line::Line;
use crate::proto::{Note, NoteKind, Stack, be16, ethernet, ipv6};
use crate::record::LinkType;

/// Characters of a value that are shown.
const SHOWN: usize = 60;
/// The name of what is wrong with a frame.
const MALFORMED: &str = "malformed";
/// What a wrong checksum is called, behind its protocol.
const CHECKSUM: &str = " checksum";

/// A field and its value.
pub(super) type Entry = (String, String);

/// What differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) name: String,
    pub(super) expected: String,
    pub(super) actual: String,
}

/// How an answer differs from the recorded one. Of a recorded one that was cut, what is there is compared; its
/// wrong checksums are those of a capture that was taken before they were filled in, or belong to a device that
/// does that today, too.
pub(super) fn differences(
    dissector: &mut Dissector,
    ignored: &Ignored,
    expected: &[u8],
    actual: &[u8],
    is_part: bool,
) -> Vec<Change> {
    let mut seen = |frame: &[u8]| {
        let kept = if is_part { frame.len().min(expected.len()) } else { frame.len() };
        let length = if is_part { length_on_line(frame) } else { frame.len() };
        let kept = frame.get(..kept).unwrap_or(frame);
        let stack = dissector.dissect_as(LinkType::ETHERNET, kept, length);
        (entries(&stack, ignored), unnamed(&stack, ignored))
    };
    let (mut expected, wanted) = seen(expected);
    let (mut actual, found) = seen(actual);
    let is_sum = |entry: &Entry| entry.0 == MALFORMED && entry.1.ends_with(CHECKSUM);
    actual.retain(|entry| !is_sum(entry) || !expected.contains(entry));
    expected.retain(|entry| !is_sum(entry));
    let mut changes = diff(&expected, &actual);
    if changes.is_empty() {
        changes.extend(diff_bytes(&wanted, &found));
    }
    changes
}

/// How long a frame was on the line of which there may be only the beginning: what its IP header says.
pub(super) fn length_on_line(frame: &[u8]) -> usize {
    let (mut kind, mut at) = (be16(frame, 12).unwrap_or_default(), ethernet::HEADER);
    while matches!(kind, 0x8100 | 0x88a8) {
        (kind, at) = (be16(frame, at + 2).unwrap_or_default(), at + 4);
    }
    let length = match kind {
        0x0800 => be16(frame, at + 2).map(usize::from),
        0x86dd => be16(frame, at + 4).map(|length| ipv6::HEADER + usize::from(length)),
        _ => None,
    };
    length.map_or(frame.len(), |length| (at + length).max(frame.len()))
}

/// The bytes of a frame in front of its padding, each with its place, but for those of ignored fields.
fn unnamed(stack: &Stack<'_>, ignored: &Ignored) -> Vec<(usize, u8)> {
    let network =
        stack.layers.iter().find(|layer| !matches!(layer.protocol.name, "ethernet" | "vlan"));
    let end = match network {
        Some(layer) if layer.protocol.name == "arp" => layer.payload,
        Some(layer) => layer.end,
        None => stack.frame.len(),
    };
    let mut is_hidden = vec![false; stack.frame.len()];
    for (n, layer) in stack.layers.iter().enumerate() {
        stack.visit(n, &mut |item| {
            if ignored.has(&format!("{}.{}", layer.protocol.name, item.name)) {
                let at = layer.start.saturating_add(item.at.0);
                let hidden = is_hidden.iter_mut().skip(at).take(item.at.1);
                hidden.for_each(|is_hidden| *is_hidden = true);
            }
        });
    }
    let bytes = stack.frame.iter().copied().enumerate().zip(is_hidden).take(end);
    bytes.filter(|(_, is_hidden)| !is_hidden).map(|(byte, _)| byte).collect()
}

/// Where two frames differ whose fields do not.
fn diff_bytes(expected: &[(usize, u8)], actual: &[(usize, u8)]) -> Option<Change> {
    let same = expected.iter().zip(actual).take_while(|(a, b)| a.1 == b.1).count();
    if same == expected.len() && same == actual.len() {
        return None;
    }
    let place = expected.get(same).or(actual.get(same)).map_or(0, |(at, _)| *at);
    let shown = |bytes: &[(usize, u8)]| {
        let rest = bytes.get(same..).unwrap_or_default().iter().take(SHOWN / 4);
        let hex: String = rest.map(|(_, byte)| format!("{byte:02x}")).collect();
        if hex.is_empty() { "none".to_owned() } else { hex }
    };
    let name = format!("bytes from {place}");
    Some(Change { name, expected: shown(expected), actual: shown(actual) })
}

/// The fields of a frame that are compared.
pub(super) fn entries(stack: &Stack<'_>, ignored: &Ignored) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut text = Line::new(false);
    for (n, layer) in stack.layers.iter().enumerate() {
        let quoted = if layer.is_quoted { "quoted " } else { "" };
        entries.push(("layers".to_owned(), layer.protocol.name.to_owned()));
        stack.visit(n, &mut |item| {
            let name = format!("{}.{}", layer.protocol.name, item.name);
            if ignored.has(&name) {
                return;
            }
            text.clear();
            value::say(&item, &mut text);
            let said = String::from_utf8_lossy(text.as_bytes()).into_owned();
            entries.push((format!("{quoted}{name}"), said));
        });
    }
    let payload = stack.layers.len().checked_sub(1).map(|last| stack.payload(last));
    let payload = payload.unwrap_or(stack.frame);
    if !payload.is_empty() {
        entries.push(("payload".to_owned(), printable(payload)));
    }
    let wrong = stack.notes.iter().filter(|note| note.is_malformed());
    entries.extend(wrong.map(|note| (MALFORMED.to_owned(), explained(note))));
    entries
}

/// What is wrong, without the numbers that differ anyway.
fn explained(note: &Note) -> String {
    if let NoteKind::Checksum { .. } = note.kind {
        return format!("bad {}{CHECKSUM}", note.protocol);
    }
    let mut text = Line::new(false);
    note.explain(&mut text);
    String::from_utf8_lossy(text.as_bytes()).into_owned()
}

/// Bytes as text where they are text, and in hex otherwise.
pub(super) fn printable(bytes: &[u8]) -> String {
    let is_text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n');
    match bytes.iter().all(is_text) {
        true => bytes.escape_ascii().to_string(),
        false => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

/// Where two lists differ, name by name, in the order of the first.
pub(super) fn diff(expected: &[Entry], actual: &[Entry]) -> Vec<Change> {
    let mut names: Vec<&str> = Vec::new();
    let mut values: HashMap<&str, [Vec<&str>; 2]> = HashMap::new();
    for (side, entries) in [expected, actual].into_iter().enumerate() {
        for (name, value) in entries {
            let both = values.entry(name).or_insert_with(|| {
                names.push(name);
                Default::default()
            });
            both[side].push(value);
        }
    }
    let mut changes = Vec::new();
    for name in names {
        let Some([expected, actual]) = values.get(name) else { continue };
        if expected != actual {
            let said = |values: &[&str]| match values {
                [] => "none".to_owned(),
                values => values.join(", "),
            };
            let (expected, actual) = around(&said(expected), &said(actual));
            changes.push(Change { name: name.to_owned(), expected, actual });
        }
    }
    changes
}

/// Two long texts as they are around the first difference.
pub(super) fn around(one: &str, other: &str) -> (String, String) {
    let same = one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    let from = if same > SHOWN / 2 { same - SHOWN / 3 } else { 0 };
    let cut = |text: &str| {
        let part: String = text.chars().skip(from).take(SHOWN).collect();
        let before = if from > 0 { "..." } else { "" };
        let after = if text.chars().count() > from + SHOWN { "..." } else { "" };
        format!("{before}{part}{after}")
    };
    (cut(one), cut(other))
}

/// A frame on one line.
pub(super) fn summary(dissector: &mut Dissector, frame: &[u8]) -> String {
    let stack = dissector.dissect(frame);
    let mut text = Line::new(true);
    line::summary(&stack, &mut text);
    String::from_utf8_lossy(text.as_bytes()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::samples;

    fn changes(expected: &[u8], actual: &[u8]) -> String {
        let ignored = Ignored::new(&[], &[]).expect("the table");
        let changes = differences(&mut Dissector::default(), &ignored, expected, actual, false);
        let lines = changes.iter().map(|c| format!("{}: {} | {}", c.name, c.expected, c.actual));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_may_differ_does_not_show_and_the_rest_does() {
        let frame = samples::datagram();
        let mut other = frame.clone();
        other[18] = 9; // the identification, and the checksum that belongs to it
        other[24..26].fill(0);
        let sum = crate::checksum::internet(&other[14..34]).to_be_bytes();
        other[24..26].copy_from_slice(&sum);
        assert_eq!(changes(&frame, &other), "");
        other[46] = b'X';
        insta::assert_snapshot!(changes(&frame, &other), @r"
        payload: hello | hellX
        malformed: none | bad udp checksum
        ");
        assert_eq!(changes(&frame, &samples::datagram()[..46]).lines().count(), 2);
    }

    #[test]
    fn of_long_values_the_place_is_shown() {
        let (one, other) = around(&"a".repeat(500), &format!("{}b", "a".repeat(400)));
        assert_eq!(one, format!("...{}...", "a".repeat(60)));
        assert_eq!(other, format!("...{}b", "a".repeat(20)));
        assert_eq!(around("x", "y"), ("x".to_owned(), "y".to_owned()));
        assert_eq!(printable(b"a\r\n"), "a\\r\\n");
        assert_eq!(printable(&[0, 255]), "00ff");
    }
}
