//! What dissecting a frame yields: its layers, and notes about what is wrong or worth knowing.

use super::line::Line;
use super::{Item, Protocol, Value, select, tcp};
use crate::record::LinkType;

/// One layer of a frame: a protocol and where it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layer {
    /// The protocol.
    pub protocol: &'static Protocol,
    /// Where its header begins in the frame.
    pub start: usize,
    /// Where its header ends and its payload begins.
    pub payload: usize,
    /// How many bytes of its header are not there.
    pub missing: usize,
    /// Where its payload ends; bytes behind that are padding of the layer below.
    pub end: usize,
    /// Whether it belongs to a packet that an error message quotes.
    pub is_quoted: bool,
}

/// Something about a layer that a reader should know; [`Note::is_malformed`] tells whether the frame
/// is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// The name of the protocol concerned.
    pub protocol: &'static str,
    /// Where in the frame, in bytes.
    pub offset: usize,
    /// What.
    pub kind: NoteKind,
}

/// What a [`Note`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// A header or what it announces is longer than what is there.
    Truncated {
        /// Bytes needed.
        needed: usize,
        /// Bytes there.
        had: usize,
    },
    /// The same, because the capture kept only the beginning of the frame.
    CutByCapture {
        /// Bytes needed.
        needed: usize,
        /// Bytes there.
        had: usize,
    },
    /// A checksum is wrong.
    Checksum {
        /// The checksum in the packet.
        found: u16,
        /// The checksum that it should carry.
        expected: u16,
    },
    /// A field has a value that it cannot have.
    Invalid {
        /// The field's name.
        field: &'static str,
        /// The value.
        value: u64,
    },
    /// Something else that is against the protocol, in a few words.
    Wrong(&'static str),
    /// So many bytes follow the packet, more than padding to 60 bytes explains.
    Trailing(usize),
    /// So many bytes of padding follow the packet.
    Padding(usize),
}

impl Note {
    /// Whether the frame is malformed because of this.
    pub fn is_malformed(&self) -> bool {
        !matches!(
            self.kind,
            NoteKind::Padding(_) | NoteKind::Trailing(_) | NoteKind::CutByCapture { .. }
        )
    }

    /// Says what it is about.
    pub fn explain(&self, line: &mut Line) {
        match self.kind {
            NoteKind::Padding(n) => line.dec(n as u64).text(" bytes of padding follow the packet"),
            NoteKind::Trailing(n) => line.dec(n as u64).text(" bytes follow the packet"),
            NoteKind::Truncated { needed, had } => {
                line.text("truncated: ").text(self.protocol).text(" needs ").dec(needed as u64);
                line.text(" bytes, had ").dec(had as u64)
            }
            NoteKind::CutByCapture { needed, had } => {
                line.text("cut by the capture: ").text(self.protocol).text(" has ");
                line.dec(needed as u64).text(" bytes, kept ").dec(had as u64)
            }
            NoteKind::Checksum { found, expected } => {
                line.text("bad ").text(self.protocol).text(" cksum ").hex(found, 4);
                line.text(", should be ").hex(expected, 4)
            }
            NoteKind::Invalid { field, value } => {
                line.text("bad ").text(self.protocol).text(" ").text(field).text(" ").dec(value)
            }
            NoteKind::Wrong(what) => line.text(self.protocol).text(": ").text(what),
        };
    }
}

/// The layers of one frame, ready to be said, shown or filtered.
#[derive(Clone, Copy, Debug)]
pub struct Stack<'a> {
    /// What the frame begins with.
    pub link: LinkType,
    /// The whole frame, or what the capture kept of it.
    pub frame: &'a [u8],
    /// Its length on the line, in bytes.
    pub length: usize,
    /// Its layers, outermost first.
    pub layers: &'a [Layer],
    /// What is to be noted about them.
    pub notes: &'a [Note],
    /// What is known of the TCP connection that the frame belongs to.
    pub relation: tcp::Relation,
}

impl<'a> Stack<'a> {
    /// The header bytes of layer `n`.
    pub fn header(&self, n: usize) -> &'a [u8] {
        let Some(layer) = self.layers.get(n) else { return &[] };
        self.frame.get(layer.start..layer.payload).unwrap_or_default()
    }

    /// The payload bytes of layer `n`.
    pub fn payload(&self, n: usize) -> &'a [u8] {
        let Some(layer) = self.layers.get(n) else { return &[] };
        self.frame.get(layer.payload..layer.end).unwrap_or_default()
    }

    /// How many bytes of payload layer `n` had on the line: more than are there, where the capture cut
    /// the frame.
    pub fn payload_length(&self, n: usize) -> usize {
        let missing = self.length.saturating_sub(self.frame.len());
        let is_cut = self.layers.get(n).is_some_and(|layer| layer.end == self.frame.len());
        let had = self.payload(n).len();
        match self.layers.get(n) {
            Some(layer) if is_cut => (had + missing).saturating_sub(layer.missing),
            _ => had,
        }
    }

    /// The link type, if no protocol is known that a frame of it begins with.
    pub fn unknown_link(&self) -> Option<LinkType> {
        let is_unknown = self.layers.is_empty() && !select::is_known(self.link);
        is_unknown.then_some(self.link)
    }

    /// Says layer `n`; false if there is none.
    pub fn summarise(&self, n: usize, line: &mut Line) -> bool {
        match self.layers.get(n) {
            Some(layer) => {
                (layer.protocol.summary)(self, n, line);
                true
            }
            None => false,
        }
    }

    /// The number of the first layer of `protocol` that is not part of a quoted packet.
    pub fn find(&self, protocol: &Protocol) -> Option<usize> {
        self.layers.iter().position(|layer| layer.protocol == protocol && !layer.is_quoted)
    }

    /// The value of the field `name`, which has a fixed place, in the first layer of `protocol`.
    pub fn field(&self, protocol: &Protocol, name: &str) -> Option<Value<'a>> {
        let n = self.find(protocol)?;
        (protocol.field(name)?.get?)(self.header(n))
    }

    /// Visits all fields of layer `n` in the order of [`Protocol::fields`], those of fixed place first.
    pub fn visit(&self, n: usize, visit: &mut dyn FnMut(Item<'_>)) {
        let Some(layer) = self.layers.get(n) else { return };
        let header = self.header(n);
        for field in layer.protocol.fields {
            let Some(value) = field.get.and_then(|get| get(header)) else { continue };
            let meaning = match value {
                Value::Number(number) | Value::Hex(number) => (field.meaning)(header, number),
                _ => None,
            };
            visit(Item { name: field.name, value, at: field.at, meaning });
        }
        (layer.protocol.list)(self, n, visit);
    }

    /// Whether anything is not as it should be.
    pub fn is_malformed(&self) -> bool {
        self.notes.iter().any(Note::is_malformed)
    }
}
