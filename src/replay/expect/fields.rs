//! One frame as a list of names and values, and how two of them differ.

use std::collections::HashMap;

use super::ignore::Ignored;
use crate::dissect::Dissector;
use crate::dissect::render::{line, value};
use crate::proto::line::Line;
use crate::proto::{Note, NoteKind, Stack};

/// Characters of a value that are shown.
const SHOWN: usize = 60;

/// A field and its value.
pub(super) type Entry = (String, String);

/// What differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) name: String,
    pub(super) expected: String,
    pub(super) actual: String,
}

/// The fields of a frame that are compared.
pub(super) fn of(dissector: &mut Dissector, frame: &[u8], ignored: &Ignored) -> Vec<Entry> {
    let stack = dissector.dissect(frame);
    entries(&stack, ignored)
}

/// The same of a frame that is dissected.
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
    entries.extend(wrong.map(|note| ("malformed".to_owned(), explained(note))));
    entries
}

/// What is wrong, without the numbers that differ anyway.
fn explained(note: &Note) -> String {
    if let NoteKind::Checksum { .. } = note.kind {
        return format!("bad {} checksum", note.protocol);
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
        let mut dissector = Dissector::default();
        let expected = of(&mut dissector, expected, &ignored);
        let actual = of(&mut dissector, actual, &ignored);
        let changes = diff(&expected, &actual);
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
