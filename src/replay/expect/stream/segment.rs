//! A segment of the other side, and what of its headers is compared.

use bytes::Bytes;

use super::super::ignore::Ignored;
use super::super::pairs::Whose;
use crate::dissect::Dissector;
use crate::proto::{NoteKind, Stack, be32, tcp};
use crate::record::LinkType;
use crate::replay::expect::fields::{self, Entry};

/// Segments that are alike but for their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Opening,
    Data,
    Acknowledgment,
    Closing,
    Reset,
}

impl Kind {
    pub(super) const ALL: [Kind; 5] =
        [Kind::Opening, Kind::Data, Kind::Acknowledgment, Kind::Closing, Kind::Reset];

    /// What the other side does in another way.
    pub(super) fn does(self) -> &'static str {
        match self {
            Kind::Opening => "opens",
            Kind::Data => "sends data",
            Kind::Acknowledgment => "acknowledges",
            Kind::Closing => "closes",
            Kind::Reset => "resets",
        }
    }

    /// Whether a field of such a segment is compared.
    fn has(self, name: &str) -> bool {
        match name {
            "ipv4.total_length" | "ipv6.payload_length" | "tcp.src_port" => false,
            "tcp.flags.urg" | "tcp.flags.ece" | "tcp.flags.cwr" | "tcp.urgent_pointer" => true,
            _ => self == Kind::Opening || !name.starts_with("tcp."),
        }
    }
}

/// A segment of the other side.
#[derive(Clone, Debug)]
pub(in super::super) struct Segment {
    pub(super) seq: u32,
    pub(super) ack: Option<u32>,
    flags: u8,
    pub(super) data: Bytes,
    /// Bytes of data that it had: more than are there, where the capture cut it.
    pub(super) length: u32,
    pub(super) header: Header,
}

/// What stands in front of the data, and how long the frame was.
#[derive(Clone, Debug)]
pub(super) struct Header {
    bytes: Bytes,
    length: usize,
}

impl Segment {
    /// The segment in a frame. What is wrong above TCP matters to nobody, but one of today with a wrong checksum is
    /// none, since nobody takes it; recorded ones may not have been filled in when they were captured.
    pub(in super::super) fn of(stack: &Stack<'_>, frame: &Bytes, whose: Whose) -> Option<Segment> {
        let n = stack.find(&tcp::TCP)?;
        let (layer, header) = (stack.layers.get(n)?, stack.header(n));
        let below = |name: &str| stack.layers.iter().take(n + 1).any(|l| l.protocol.name == name);
        let is_wrong = stack.notes.iter().any(|note| {
            let is_sum = matches!(note.kind, NoteKind::Checksum { .. });
            note.is_malformed() && below(note.protocol) && !(is_sum && whose == Whose::Recorded)
        });
        if is_wrong || layer.missing > 0 {
            return None;
        }
        let flags = *header.get(13)?;
        let has_ack = flags & tcp::ACK != 0;
        Some(Segment {
            seq: be32(header, 4)?,
            ack: be32(header, 8).filter(|_| has_ack),
            flags,
            data: frame
                .get(layer.payload..layer.end)
                .map(|_| frame.slice(layer.payload..layer.end))?,
            length: stack.payload_length(n) as u32,
            header: Header { bytes: frame.slice(..layer.payload), length: stack.length },
        })
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The first number of a connection, if it begins one.
    pub(in super::super) fn first(&self) -> Option<u32> {
        self.has(tcp::SYN).then_some(self.seq)
    }

    /// Whether it ends a connection at once.
    pub(in super::super) fn is_reset(&self) -> bool {
        self.has(tcp::RST)
    }

    /// Whether it brings anything but an acknowledgment.
    pub(in super::super) fn brings(&self) -> bool {
        self.has(tcp::SYN | tcp::FIN | tcp::RST) || !self.data.is_empty()
    }

    /// What it does.
    pub(super) fn kind(&self) -> Kind {
        match self.flags {
            flags if flags & tcp::RST != 0 => Kind::Reset,
            flags if flags & tcp::SYN != 0 => Kind::Opening,
            _ if self.length > 0 => Kind::Data,
            flags if flags & tcp::FIN != 0 => Kind::Closing,
            _ => Kind::Acknowledgment,
        }
    }
}

impl Header {
    /// The same in memory of its own.
    pub(super) fn copied(&self) -> Header {
        Header { bytes: Bytes::copy_from_slice(&self.bytes), length: self.length }
    }

    /// Its fields that are compared.
    pub(super) fn entries(
        &self,
        kind: Kind,
        dissector: &mut Dissector,
        ignored: &Ignored,
    ) -> Vec<Entry> {
        let length = self.length.max(self.bytes.len());
        let stack = dissector.dissect_as(LinkType::ETHERNET, &self.bytes, length);
        let mut entries = fields::entries(&stack, ignored);
        entries.retain(|(name, _)| name.contains('.') && kind.has(name));
        // Our numbers are the recorded ones, and so is what of them is accepted.
        let accepted = stack.find(&tcp::TCP).and_then(|n| be32(stack.header(n), 8));
        if kind == Kind::Opening {
            entries.extend(accepted.map(|ack| ("tcp.ack".to_owned(), ack.to_string())));
        }
        entries
    }
}
