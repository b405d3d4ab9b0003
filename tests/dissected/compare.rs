//! Our values beside theirs, frame by frame.

use std::collections::HashMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use uarttool::capture::read::{Reader, Reading};
use uarttool::dissect::Dissector;
use uarttool::proto::{NoteKind, Stack, Value};
use uarttool::record::{Body, LinkType};

use super::frames::{Frame, Make, made, pcap};
use super::tables::{BY_PROTOCOL, CHECKSUMS, How, Row, Table};
use super::theirs::Theirs;

/// How many frames there are.
const FRAMES: usize = 10_000;
/// How many differences are shown of each field.
const SHOWN: usize = 2;

/// Compares frames that `make` makes, by the tables of `protocols`; of the first of them, all fields must occur.
pub fn compare_made(link: LinkType, make: Make, protocols: &[&str]) {
    let frames = made(make, FRAMES);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("frames.pcap");
    fs::write(&path, pcap(&frames, link)).expect("it is written");
    let chosen = |table: &&Table| protocols.contains(&table.protocol);
    let tables: Vec<&Table> = BY_PROTOCOL.iter().filter(chosen).collect();
    assert_eq!(tables.len(), protocols.len(), "every protocol has its table");
    let comparison = compare(&path, link, &frames, &tables);
    assert!(comparison.differences.is_empty(), "{}", comparison.shown());
    for table in tables {
        let is_compared = |row: &&Row| !matches!(row.how, How::Left(_));
        for row in table.rows.iter().filter(is_compared) {
            let name = format!("{}.{}", table.protocol, row.ours);
            let seen = comparison.seen.get(&name).copied().unwrap_or_default();
            assert!(seen > 0 || table.protocol != protocols[0], "{name}: {seen}");
        }
    }
}

/// Compares the frames of a capture, by all tables.
pub fn compare_capture(path: &Path) -> String {
    let mut reader = Reader::open(path, &Reading::default()).expect("it is a capture");
    let (mut frames, mut link) = (Vec::new(), LinkType::ETHERNET);
    while let Some(record) = reader.read().expect("it can be read") {
        let (bytes, length) = match record.body {
            Body::Frame(frame) => (frame.to_vec(), frame.len()),
            Body::Packet(packet) => {
                link = packet.link;
                (packet.bytes.to_vec(), packet.length as usize)
            }
            other => panic!("{other:?}"),
        };
        frames.push(Frame { bytes, length, is_whole: true });
    }
    let fits = |table: &&Table| {
        let is_link = |name| table.protocol != name || link == LinkType::LINUX_SLL2;
        is_link("sll2") && (table.protocol != "sll" || link == LinkType::LINUX_SLL)
    };
    let tables: Vec<&Table> = BY_PROTOCOL.iter().filter(fits).collect();
    compare(path, link, &frames, &tables).shown()
}

/// What a comparison found.
#[derive(Default)]
pub struct Comparison {
    /// By field, how many differ and the first of them.
    pub differences: HashMap<String, (usize, Vec<String>)>,
    /// By field, in how many frames both had values.
    pub seen: HashMap<String, usize>,
}

impl Comparison {
    fn differ(&mut self, field: &str, n: usize, frame: &Frame, ours: &[String], theirs: &[String]) {
        let (count, shown) = self.differences.entry(field.to_owned()).or_default();
        *count += 1;
        if shown.len() < SHOWN {
            let hex: String = frame.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let kind = if frame.is_whole { "whole" } else { "damaged" };
            shown.push(format!(
                "  frame {} ({kind}, {} bytes on the line): {hex}\n    ours   {ours:?}\n    theirs {theirs:?}",
                n + 1,
                frame.length
            ));
        }
    }

    /// All of it as text.
    pub fn shown(&self) -> String {
        let mut fields: Vec<_> = self.differences.iter().collect();
        fields.sort();
        let mut text = String::new();
        for (field, (count, shown)) in fields {
            let _ = write!(text, "\n{field}: {count} frames differ\n{}", shown.join("\n"));
        }
        text
    }
}

/// Compares `frames`, which `path` holds, by `tables`.
pub fn compare(path: &Path, link: LinkType, frames: &[Frame], tables: &[&Table]) -> Comparison {
    let mut fields = vec!["frame.protocols"];
    fields.extend(CHECKSUMS.iter().map(|(_, status)| *status));
    for row in tables.iter().flat_map(|table| table.rows) {
        if !matches!(row.how, How::Left(_)) {
            fields.extend(row.theirs.split(' '));
        }
    }
    let theirs = Theirs::read(path, &fields);
    assert_eq!(theirs.frames(), frames.len());
    let mut comparison = Comparison::default();
    let mut dissector = Dissector::default();
    for (n, frame) in frames.iter().enumerate() {
        let stack = dissector.dissect_as(link, &frame.bytes, frame.length);
        let one = One { n, frame, stack, theirs: &theirs };
        one.compare(tables, &mut comparison);
    }
    comparison
}

/// One frame on both sides.
struct One<'a> {
    n: usize,
    frame: &'a Frame,
    stack: Stack<'a>,
    theirs: &'a Theirs,
}

impl One<'_> {
    fn compare(&self, tables: &[&Table], comparison: &mut Comparison) {
        for table in tables {
            let count =
                self.stack.layers.iter().filter(|l| l.protocol.name == table.protocol).count();
            let their_count = self.their_layers(table);
            if count != their_count {
                if self.frame.is_whole && !self.goes_on(table) {
                    let layers =
                        self.stack.layers.iter().map(|layer| layer.protocol.name.to_owned());
                    let theirs = self.theirs.values(self.n, "frame.protocols").map(str::to_owned);
                    let (ours, theirs) = (layers.collect::<Vec<_>>(), theirs.collect::<Vec<_>>());
                    comparison.differ(table.protocol, self.n, self.frame, &ours, &theirs);
                }
                continue;
            }
            if count > 0 {
                self.compare_fields(table, comparison);
            }
        }
        if self.frame.is_whole {
            self.compare_verdicts(comparison);
        }
    }

    /// Whether this is the middle of a message: tshark remembers the connection.
    fn goes_on(&self, table: &Table) -> bool {
        let text = self.stack.layers.last().map_or(0, |layer| layer.payload);
        let text = self.frame.bytes.get(text..).unwrap_or_default();
        table.protocol == "http" && !text.windows(7).take(300).any(|part| part == b"HTTP/1.")
    }

    /// How many layers of a protocol they have.
    fn their_layers(&self, table: &Table) -> usize {
        let all = self.theirs.values(self.n, "frame.protocols").next().unwrap_or_default();
        let is_it = |name: &&&str| table.theirs.split(' ').any(|own| own == **name);
        let mut all: Vec<&str> = all.split(':').collect();
        if table.protocol == "igmp" {
            all.dedup(); // they have a layer for each version
        }
        all.iter().filter(is_it).count()
    }

    fn compare_fields(&self, table: &Table, comparison: &mut Comparison) {
        let mut in_order: Vec<(&str, &str, String)> = Vec::new();
        for (n, layer) in self.stack.layers.iter().enumerate() {
            let name = layer.protocol.name;
            self.stack.visit(n, &mut |item| in_order.push((name, item.name, said(item.value))));
        }
        for row in table.rows {
            let is_mine = |(protocol, name, text): &(&str, &str, String)| {
                row.names(table.protocol).any(|own| own == (*protocol, *name)).then(|| text.clone())
            };
            let mut ours: Vec<String> = in_order.iter().filter_map(is_mine).collect();
            let mut theirs: Vec<String> = Vec::new();
            if matches!(row.how, How::Left(_)) {
                continue;
            }
            for field in row.theirs.split(' ') {
                theirs.extend(self.theirs.values(self.n, field).map(str::to_owned));
            }
            ours.retain(|value| !value.is_empty()); // as theirs
            row.how.level(&mut ours, &mut theirs);
            let name = format!("{}.{}", table.protocol, row.ours);
            if !ours.is_empty() && !theirs.is_empty() {
                *comparison.seen.entry(name.clone()).or_default() += 1;
            }
            let is_same = match self.frame.is_whole {
                true => ours == theirs,
                false if row.whole_only.is_some() => true,
                // Sorted, a missing one would shift the others.
                false if row.how.is_sorted() && ours.len() != theirs.len() => true,
                // What is behind the damage one side may see and the other not.
                false => ours.iter().zip(&theirs).all(|(ours, theirs)| is_near(ours, theirs)),
            };
            if !is_same {
                comparison.differ(&name, self.n, self.frame, &ours, &theirs);
            }
        }
    }

    /// What both think of the checksums of a whole frame, and that ours finds nothing else wrong.
    fn compare_verdicts(&self, comparison: &mut Comparison) {
        for (protocol, field) in CHECKSUMS {
            let is_bad = |kind| matches!(kind, NoteKind::Checksum { .. });
            let mut notes = self.stack.notes.iter().filter(|note| note.protocol == *protocol);
            let ours = notes.any(|note| is_bad(note.kind));
            // What an error message quotes is not judged by us: it has been changed on its way.
            let layers = self.stack.layers.iter();
            let judged = layers.filter(|l| l.protocol.name == *protocol && !l.is_quoted).count();
            let mut statuses = self.theirs.values(self.n, field).take(judged);
            let theirs = statuses.any(|status| status == "0" || status == "Bad");
            if ours != theirs {
                let theirs =
                    self.theirs.values(self.n, field).map(str::to_owned).collect::<Vec<_>>();
                let ours = [if ours { "bad" } else { "not bad" }.to_owned()];
                comparison.differ(
                    &format!("{protocol} checksum"),
                    self.n,
                    self.frame,
                    &ours,
                    &theirs,
                );
            }
        }
        let others =
            self.stack.notes.iter().filter(|note| {
                note.is_malformed() && !matches!(note.kind, NoteKind::Checksum { .. })
            });
        let others: Vec<String> = others.map(|note| format!("{note:?}")).collect();
        if !others.is_empty() {
            comparison.differ("malformed", self.n, self.frame, &others, &[]);
        }
    }
}

/// Whether two values of a damaged frame agree: text that is none is shown in too many ways.
fn is_near(ours: &str, theirs: &str) -> bool {
    let is_plain =
        |text: &str| text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'\\');
    ours == theirs || !is_plain(ours) || !is_plain(theirs)
}

/// A value in the form in which both sides are compared.
fn said(value: Value<'_>) -> String {
    match value {
        Value::Number(number) | Value::Hex(number) => number.to_string(),
        Value::Flag(flag) => u8::from(flag).to_string(),
        Value::Mac(mac) => hex(&mac),
        Value::Ipv4(address) => address.to_string(),
        Value::Ipv6(address) => address.to_string(),
        Value::Text(text) => String::from_utf8_lossy(text).into_owned(),
        Value::Domain(name) => name.to_string(),
        Value::Record(data) => data.to_string(),
        Value::Bytes(bytes) => hex(bytes),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
