//! Captures for other people's eyes: addresses and payloads replaced, everything else as it was.
//!
//! - Addresses are replaced by others, the same one always by the same, and networks stay networks
//!   (`names`) under a random key that is forgotten. Groups, broadcast, loopback and unspecified
//!   addresses stay what they are, since they name nobody.
//! - Each layer begins as zeros, and what says how the network works is written into it again: types, counts,
//!   lengths, ids, timings. Names and text become [`TEXT`]; payload, secrets and whatever is not understood stay
//!   zero. What was well-formed is so afterwards, and what was malformed is malformed in the same place.
//! - Lengths stay, so that sequence numbers and fragments still fit.
//! - Checksums that were right are right again, those that reach over several fragments too
//!   (`checksums`); one that was wrong stays wrong by as much.
//! - Console lines lose their text, and framing errors their bytes.
//!
//! To add a protocol to [`crate::proto::ALL`] is to say in `layers.rs` what of it is kept.

mod checksums;
mod control;
mod dhcp;
mod dns;
mod http;
mod layers;
mod mqtt;
mod names;
mod neighbours;
mod sheet;
mod small;
#[cfg(test)]
mod tests;
mod tls;

use std::hash::{BuildHasher, RandomState};

use bytes::{Bytes, BytesMut};

use self::names::Names;
use self::sheet::Sheet;
use crate::dissect::Dissector;
use crate::proto::{Layer, NoteKind, Stack};
use crate::record::{Body, FramingError, Impaired, LinkChange, LinkType, Packet, Record};

/// What names and text are replaced by.
pub const TEXT: u8 = b'x';
/// Frames are written in pieces of memory of this size, in bytes, which are used again.
const PIECE: usize = 64 * 1024;

/// Replaces what must not be told to others.
#[derive(Debug)]
pub struct Anonymizer {
    names: Names,
    dissector: Dissector,
    piece: BytesMut,
}

impl Default for Anonymizer {
    fn default() -> Self {
        Anonymizer::new()
    }
}

impl Anonymizer {
    /// One with a random key.
    pub fn new() -> Self {
        let mut key = [0; 32];
        for part in key.chunks_mut(8) {
            // Each RandomState is keyed by the system's random numbers.
            let random = RandomState::new().hash_one(std::process::id()).to_be_bytes();
            part.copy_from_slice(&random);
        }
        Anonymizer::with_key(key)
    }

    /// One whose replacements depend on `key` alone.
    pub fn with_key(key: [u8; 32]) -> Self {
        Anonymizer {
            names: Names::new(key),
            dissector: Dissector::default(),
            piece: BytesMut::with_capacity(PIECE),
        }
    }

    /// The record as others may see it.
    pub fn record(&mut self, record: &Record) -> Record {
        let text = |length| Bytes::from(vec![TEXT; length]);
        let hidden = || "anonymized".to_owned();
        let body = match &record.body {
            Body::Frame(bytes) => Body::Frame(self.frame(LinkType::ETHERNET, bytes, bytes.len())),
            Body::Packet(Packet { link, bytes, length }) => Body::Packet(Packet {
                link: *link,
                bytes: self.frame(*link, bytes, *length as usize),
                length: *length,
            }),
            Body::FramingError(FramingError { problem, bytes, recovery }) => {
                Body::FramingError(FramingError {
                    problem: *problem,
                    bytes: text(bytes.len()),
                    recovery: *recovery,
                })
            }
            Body::Console(line) => Body::Console(text(line.len())),
            Body::Link(LinkChange::Connected(_)) => Body::Link(LinkChange::Connected(hidden())),
            Body::Link(LinkChange::Lost(_)) => Body::Link(LinkChange::Lost(hidden())),
            Body::Impaired(Impaired { what, lost }) => {
                let frame = |lost: &Bytes| self.frame(LinkType::ETHERNET, lost, lost.len());
                Body::Impaired(Impaired { what: what.clone(), lost: lost.as_ref().map(frame) })
            }
            Body::Link(LinkChange::Reset) | Body::Gap { .. } => record.body.clone(),
        };
        let Record { time, origin, offset, .. } = *record;
        Record { time, origin, offset, body }
    }

    fn frame(&mut self, link: LinkType, bytes: &[u8], length: usize) -> Bytes {
        let stack = self.dissector.dissect_as(link, bytes, length);
        self.piece.resize(bytes.len(), 0);
        for (n, layer) in stack.layers.iter().enumerate() {
            let span = layer.start..layer.end;
            let (Some(old), Some(new)) = (bytes.get(span.clone()), self.piece.get_mut(span)) else {
                continue;
            };
            let header = layer.payload - layer.start;
            let sheet = Sheet { old, new, header, names: &mut self.names };
            layers::rewrite(&stack, n, sheet);
        }
        keep_faults(&stack, &mut self.piece);
        checksums::mend(&stack, &mut self.piece);
        self.piece.split().freeze()
    }
}

/// A header that cannot be one has no layer: the bytes that tell so are kept, since zeros might be one.
fn keep_faults(stack: &Stack<'_>, new: &mut [u8]) {
    for note in stack.notes {
        let is_in_itself = |layer: &Layer| {
            matches!(note.protocol, "ipv4" | "ipv6") && note.offset == layer.payload
        };
        let is_bare = stack.layers.iter().all(|layer| layer.protocol.name != note.protocol)
            || stack.layers.last().is_some_and(is_in_itself);
        let kept = match note.kind {
            NoteKind::Invalid { .. } | NoteKind::Wrong(_) if is_bare => 3,
            NoteKind::Truncated { .. } | NoteKind::CutByCapture { .. } if is_bare => 1,
            _ => continue,
        };
        let span = note.offset..note.offset.saturating_add(kept).min(new.len());
        if let (Some(old), Some(new)) = (stack.frame.get(span.clone()), new.get_mut(span)) {
            new.copy_from_slice(old);
        }
    }
}
