//! One file per protocol: which key selects it, what its fields are, how it is checked and said.
//!
//! Dissecting allocates nothing per frame: a [`Layer`] is a protocol and a span of the frame, and
//! its fields are read from the bytes when somebody asks. Every protocol has the same parts:
//!
//! - `dissect` looks at the bytes in front of it, pushes a layer, notes what is wrong and says
//!   what comes [`Next`]. It never fails: what it cannot decode ends the walk with a [`Note`].
//! - `fields` are read by name by every renderer and filter.
//! - `summary` says the layer on one line.
//!
//! To add a protocol, write its file and name it in [`ALL`].

pub mod arp;
pub mod ethernet;
pub mod icmp;
pub mod ipv4;
pub mod line;
pub mod tcp;
pub mod udp;

use std::net::{Ipv4Addr, Ipv6Addr};

use line::Line;
pub use pnet::util::MacAddr;

/// Every protocol there is.
pub static ALL: &[&Protocol] =
    &[&ethernet::ETHERNET, &arp::ARP, &ipv4::IPV4, &icmp::ICMP, &udp::UDP, &tcp::TCP];

/// One protocol.
pub struct Protocol {
    /// The name in filters and structured output, lower case.
    pub name: &'static str,
    /// What selects it.
    pub keys: &'static [Next],
    /// Its fields, in the order of the header.
    pub fields: &'static [Field],
    /// Looks at the bytes, pushes a layer and says what follows.
    pub dissect: fn(&mut Walk<'_>) -> Next,
    /// Says layer number `n` of the stack, and what is above it, on one line.
    pub summary: fn(&Stack<'_>, usize, &mut Line),
}

impl std::fmt::Debug for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Protocol({})", self.name)
    }
}

impl PartialEq for Protocol {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// One field of a header.
#[derive(Clone, Copy)]
pub struct Field {
    /// The RFC's name in lower case, words joined by `_`.
    pub name: &'static str,
    /// Where it is, in bytes from the start of the layer, and how many bytes it touches.
    pub at: (usize, usize),
    /// Reads it from the layer's header; `None` when the header is too short for it.
    pub get: fn(&[u8]) -> Option<Value<'_>>,
}

impl std::fmt::Debug for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Field({})", self.name)
    }
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A number that people read in decimal.
    Number(u64),
    /// A number that people read in hex.
    Hex(u64),
    /// A flag.
    Flag(bool),
    /// An Ethernet address.
    Mac([u8; 6]),
    /// An IPv4 address.
    Ipv4(Ipv4Addr),
    /// An IPv6 address.
    Ipv6(Ipv6Addr),
    /// Anything else.
    Bytes(&'a [u8]),
}

/// What selects the protocol of the next layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The frame begins here.
    Link,
    /// An EtherType (IEEE 802.3 clause 3.2.6).
    EtherType(u16),
    /// An IP protocol number (RFC 790 and its IANA registry).
    IpProtocol(u8),
    /// Nothing that is dissected; the rest is payload.
    Payload,
}

/// One layer of a frame: a protocol and where it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layer {
    /// The protocol.
    pub protocol: &'static Protocol,
    /// Where its header begins in the frame.
    pub start: usize,
    /// Where its header ends and its payload begins.
    pub payload: usize,
    /// Where its payload ends; bytes behind that are padding of the layer below.
    pub end: usize,
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
    /// So many bytes follow the packet, more than padding to 60 bytes explains.
    Trailing(usize),
    /// So many bytes of padding follow the packet.
    Padding(usize),
}

impl Note {
    /// Whether the frame is malformed because of this.
    pub fn is_malformed(&self) -> bool {
        !matches!(self.kind, NoteKind::Padding(_) | NoteKind::Trailing(_))
    }
}

/// The layers of one frame, ready to be said, shown or filtered.
#[derive(Clone, Copy, Debug)]
pub struct Stack<'a> {
    /// The whole frame.
    pub frame: &'a [u8],
    /// Its layers, outermost first.
    pub layers: &'a [Layer],
    /// What is to be noted about them.
    pub notes: &'a [Note],
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

    /// Says layer `n`, or its absence in terms of `payload`.
    pub fn summarise(&self, n: usize, line: &mut Line) -> bool {
        match self.layers.get(n) {
            Some(layer) => {
                (layer.protocol.summary)(self, n, line);
                true
            }
            None => false,
        }
    }

    /// The value of the field `name` of the first layer of `protocol`.
    pub fn field(&self, protocol: &Protocol, name: &str) -> Option<Value<'a>> {
        let n = self.layers.iter().position(|layer| layer.protocol == protocol)?;
        let field = protocol.fields.iter().find(|field| field.name == name)?;
        (field.get)(self.header(n))
    }
}

/// The state of one walk through a frame, from layer to layer.
#[derive(Debug)]
pub struct Walk<'a> {
    frame: &'a [u8],
    at: usize,
    end: usize,
    layers: &'a mut Vec<Layer>,
    notes: &'a mut Vec<Note>,
}

impl<'a> Walk<'a> {
    /// A walk through `frame`; layers and notes are appended to the given lists.
    pub fn new(frame: &'a [u8], layers: &'a mut Vec<Layer>, notes: &'a mut Vec<Note>) -> Self {
        Walk { frame, at: 0, end: frame.len(), layers, notes }
    }

    /// The bytes that are left for this layer and what is above it.
    pub fn rest(&self) -> &'a [u8] {
        self.frame.get(self.at..self.end).unwrap_or_default()
    }

    /// The layer below, with its header, when it is of `protocol`.
    pub fn below(&self, protocol: &Protocol) -> Option<&'a [u8]> {
        let layer = self.layers.iter().rev().find(|layer| layer.protocol == protocol)?;
        self.frame.get(layer.start..layer.payload)
    }

    /// Whether `needed` bytes are there; if not, notes it.
    pub fn has(&mut self, protocol: &'static Protocol, needed: usize) -> bool {
        let had = self.rest().len();
        if had < needed {
            self.note(protocol, 0, NoteKind::Truncated { needed, had });
        }
        had >= needed
    }

    /// Notes something `offset` bytes into the rest.
    pub fn note(&mut self, protocol: &'static Protocol, offset: usize, kind: NoteKind) {
        self.notes.push(Note { protocol: protocol.name, offset: self.at + offset, kind });
    }

    /// Pushes a layer whose header is `header` bytes long and whose header and payload together
    /// are `total` bytes long, both capped by what is there, and goes on behind the header.
    pub fn push(&mut self, protocol: &'static Protocol, header: usize, total: usize) {
        let end = self.end.min(self.at.saturating_add(total));
        let payload = end.min(self.at + header);
        self.layers.push(Layer { protocol, start: self.at, payload, end });
        self.at = payload;
        self.end = end;
    }
}

/// The big-endian 16-bit number at `at`.
pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}

/// The big-endian 32-bit number at `at`.
pub(crate) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

/// The IPv4 address at `at`.
pub(crate) fn ipv4_at(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    be32(bytes, at).map(Ipv4Addr::from)
}

/// The Ethernet address at `at`.
pub(crate) fn mac_at(bytes: &[u8], at: usize) -> Option<[u8; 6]> {
    bytes.get(at..at + 6)?.try_into().ok()
}

/// Declares a [`Field`]: its name, where it is, and how it is read from the header.
macro_rules! field {
    ($name:literal, $at:literal, 1) => {
        field!($name, $at, 1, |h| h.get($at).map(|b| Value::Number(u64::from(*b))))
    };
    ($name:literal, $at:literal, 2) => {
        field!($name, $at, 2, |h| $crate::proto::be16(h, $at).map(|n| Value::Number(n.into())))
    };
    ($name:literal, $at:literal, 4) => {
        field!($name, $at, 4, |h| $crate::proto::be32(h, $at).map(|n| Value::Number(n.into())))
    };
    ($name:literal, $at:literal, mac) => {
        field!($name, $at, 6, |h| $crate::proto::mac_at(h, $at).map(Value::Mac))
    };
    ($name:literal, $at:literal, ipv4) => {
        field!($name, $at, 4, |h| $crate::proto::ipv4_at(h, $at).map(Value::Ipv4))
    };
    ($name:literal, $at:literal, hex16) => {
        field!($name, $at, 2, |h| $crate::proto::be16(h, $at).map(|n| Value::Hex(n.into())))
    };
    ($name:literal, $at:literal, bit $mask:literal) => {
        field!($name, $at, 1, |h| h.get($at).map(|b| Value::Flag(b & $mask != 0)))
    };
    ($name:literal, $at:literal, $len:literal, $get:expr) => {
        $crate::proto::Field { name: $name, at: ($at, $len), get: $get }
    };
}
pub(crate) use field;

#[cfg(test)]
pub(crate) mod samples {
    //! Frames that several tests use, byte by byte.

    /// The documented 98-byte echo request from 192.168.100.1 to 192.168.100.2.
    pub fn echo_request() -> Vec<u8> {
        let mut frame = vec![
            2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00, // Ethernet
            0x45, 0, 0, 84, 0, 1, 0x40, 0, 64, 1, 0xf1, 0x53, // IPv4
            192, 168, 100, 1, 192, 168, 100, 2, //
            8, 0, 0x00, 0xe5, 0, 7, 0, 1, // ICMP
        ];
        frame.extend((0..56).map(|n| n as u8));
        frame
    }

    /// A SYN to port 80 with an MSS of 1460.
    pub fn syn() -> Vec<u8> {
        vec![
            2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00, // Ethernet
            0x45, 0, 0, 44, 0, 2, 0, 0, 64, 6, 0x31, 0x76, // IPv4
            192, 168, 100, 1, 192, 168, 100, 2, //
            0x9c, 0x40, 0, 80, 0, 0, 3, 0xe8, 0, 0, 0, 0, 0x60, 0x02, 0x10, 0, 0x9e, 0x59, 0, 0, 2,
            4, 5, 0xb4,
        ]
    }

    /// A datagram of five bytes from port 7 to port 40000.
    pub fn datagram() -> Vec<u8> {
        vec![
            2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00, // Ethernet
            0x45, 0, 0, 33, 0, 3, 0, 0, 255, 17, 0x72, 0x74, // IPv4
            192, 168, 100, 2, 192, 168, 100, 1, //
            0, 7, 0x9c, 0x40, 0, 13, 0xd6, 0x65, b'h', b'e', b'l', b'l', b'o',
        ]
    }

    /// The device asks who has 192.168.100.1.
    pub fn arp_request() -> Vec<u8> {
        vec![
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 2, 0x08, 0x06, // Ethernet
            0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 2, 192, 168, 100, 2, //
            0, 0, 0, 0, 0, 0, 192, 168, 100, 1,
        ]
    }
}
