//! The state of one walk through a frame, from layer to layer.
//!
//! Each protocol looks at [`Walk::rest`], pushes its layer, which shortens the rest, and names what is
//! [`Next`]; the tables of keys say which protocols that may be, and the first that does not decline
//! goes on. Lists of layers and notes are lent, so that whoever keeps them allocates nothing once they
//! have grown.

use super::ip::Carrier;
use super::{Expected, Layer, Next, Note, NoteKind, Protocol, select};
use crate::checksum::Sum;
use crate::record::LinkType;

/// No real frame nests deeper; a hostile one ends here.
const MAX_LAYERS: usize = 24;

/// The state of one walk through a frame, from layer to layer.
#[derive(Debug)]
pub struct Walk<'a> {
    frame: &'a [u8],
    /// The capture kept only the beginning of the frame.
    is_cut: bool,
    at: usize,
    end: usize,
    is_quoted: bool,
    carrier: Option<Carrier>,
    layers: &'a mut Vec<Layer>,
    notes: &'a mut Vec<Note>,
    expected: &'a mut Expected,
}

impl<'a> Walk<'a> {
    /// A walk through `frame`, which was `length` bytes long on the line; layers and notes are
    /// appended to the given lists. What is `expected` comes from frames before this one.
    pub fn new(
        frame: &'a [u8],
        length: usize,
        layers: &'a mut Vec<Layer>,
        notes: &'a mut Vec<Note>,
        expected: &'a mut Expected,
    ) -> Self {
        let (is_cut, end) = (length > frame.len(), frame.len());
        let (is_quoted, carrier) = (false, None);
        Walk { frame, is_cut, at: 0, end, is_quoted, carrier, layers, notes, expected }
    }

    /// Goes through the whole frame, which begins as `link` says.
    pub fn through(mut self, link: LinkType) {
        let mut next = Next::Link(link);
        while next != Next::Payload && self.depth() < MAX_LAYERS {
            next = self.step(next);
        }
    }

    /// One layer: the protocol that does not decline what comes `next`.
    fn step(&mut self, next: Next) -> Next {
        let (depth, notes) = (self.depth(), self.noted());
        let mut after = Next::Payload;
        select::candidates(next, self.rest(), |protocol| {
            after = (protocol.dissect)(self);
            self.depth() > depth || after != Next::Payload || self.noted() > notes
        });
        if self.depth() == depth
            && let Next::Udp { source, destination } = next
            && let Some(protocol) = self.expected_of(source, destination)
        {
            after = (protocol.dissect)(self);
        }
        // What pushes nothing and names another protocol must not go in circles.
        if self.depth() == depth && after == next { Next::Payload } else { after }
    }

    /// The protocol that is expected at either end of a datagram with these ports.
    fn expected_of(&self, source: u16, destination: u16) -> Option<&'static Protocol> {
        if self.expected.is_empty() {
            return None;
        }
        let (from, to) = self.carrier?.addresses.both();
        self.expected.find(from, source).or_else(|| self.expected.find(to, destination))
    }

    /// Has it remembered that with `port` of the datagram's source `protocol` is spoken, whatever the
    /// other port is.
    pub fn expect(&mut self, protocol: &'static Protocol, port: u16) {
        if let Some(carrier) = self.carrier.filter(|_| !self.is_quoted) {
            self.expected.remember(carrier.addresses.both().0, port, protocol);
        }
    }

    /// The bytes that are left for this layer and what is above it.
    pub fn rest(&self) -> &'a [u8] {
        self.frame.get(self.at..self.end).unwrap_or_default()
    }

    /// The header of the nearest layer of `protocol` below.
    pub fn below(&self, protocol: &Protocol) -> Option<&'a [u8]> {
        let layer = self.layers.iter().rev().find(|layer| layer.protocol == protocol)?;
        self.frame.get(layer.start..layer.payload)
    }

    /// The protocol of the uppermost layer so far.
    pub fn last(&self) -> Option<&'static Protocol> {
        self.layers.last().map(|layer| layer.protocol)
    }

    /// How many notes there are.
    pub fn noted(&self) -> usize {
        self.notes.len()
    }

    /// How many layers there are.
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// Whether `needed` bytes are there; if not, notes it.
    pub fn has(&mut self, protocol: &'static Protocol, needed: usize) -> bool {
        let had = self.rest().len();
        if had < needed {
            let kind = match self.is_cut {
                true => NoteKind::CutByCapture { needed, had },
                false => NoteKind::Truncated { needed, had },
            };
            self.note(protocol, 0, kind);
        }
        had >= needed
    }

    /// Whether all of a packet of `total` bytes is there; if not, notes it, unless it is the capture that
    /// cut it behind its header, which the layers above will say.
    pub fn has_all(&mut self, protocol: &'static Protocol, total: usize) -> bool {
        if self.is_cut && self.rest().len() < total { false } else { self.has(protocol, total) }
    }

    /// Notes something `offset` bytes into the rest. What an error message quotes is not judged: it is
    /// rarely whole, and routers have changed it.
    pub fn note(&mut self, protocol: &'static Protocol, offset: usize, kind: NoteKind) {
        if !self.is_quoted {
            self.notes.push(Note { protocol: protocol.name, offset: self.at + offset, kind });
        }
    }

    /// Pushes a layer whose header is `header` bytes long and whose header and payload together
    /// are `total` bytes long, both capped by what is there, and goes on behind the header.
    pub fn push(&mut self, protocol: &'static Protocol, header: usize, total: usize) {
        let end = self.end.min(self.at.saturating_add(total));
        let payload = end.min(self.at.saturating_add(header));
        let is_quoted = self.is_quoted;
        let missing = self.at.saturating_add(header).saturating_sub(payload);
        self.layers.push(Layer { protocol, start: self.at, payload, missing, end, is_quoted });
        self.at = payload;
        self.end = end;
    }

    /// What comes now is part of a packet that is quoted.
    pub fn quote(&mut self) {
        self.is_quoted = true;
    }

    /// What comes now is carried by this IP datagram.
    pub fn carried_by(&mut self, carrier: Carrier) {
        self.carrier = Some(carrier);
    }

    /// The IP datagram that carries what comes now.
    pub fn carrier(&self) -> Option<Carrier> {
        self.carrier
    }

    /// Whether the rest is all that the IP datagram carries, so that a checksum over it can be
    /// verified: no fragment, not cut, not quoted.
    pub fn is_whole(&self) -> bool {
        !self.is_quoted && self.carrier.is_some_and(|carrier| carrier.is_whole)
    }

    /// The pseudo header's part of a checksum over `length` bytes of `protocol` (RFC 9293 section 3.1,
    /// RFC 8200 section 8.1); `None` when there is nothing to verify it with.
    pub fn pseudo_header(&self, protocol: u8, length: usize) -> Option<Sum> {
        let carrier = self.carrier.filter(|_| self.is_whole())?;
        Some(carrier.pseudo_header(protocol, length))
    }
}
