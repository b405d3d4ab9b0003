//! One file per protocol: which key selects it, what its fields are, how it is checked and said.
//!
//! Dissecting allocates nothing per frame: a [`Layer`] is a protocol and a span of the frame, and
//! its fields are read from the bytes when somebody asks. Every protocol has the same parts:
//!
//! - `dissect` looks at the bytes in front of it, pushes a layer, notes what is wrong and says
//!   what comes [`Next`]. It never fails: what it cannot decode ends the walk with a [`Note`]. Where
//!   it was only guessed, by a port, it may decline by pushing nothing.
//! - `fields` are read by name by every renderer and filter; `list` visits those whose place is not
//!   fixed or that occur several times.
//! - `summary` says the layer on one line.
//! - `exchange` tells which messages ask and which answer them.
//!
//! To add a protocol, write its file and name it in [`ALL`].

pub mod arp;
pub mod coap;
mod coap_names;
pub mod dhcp;
pub(crate) mod dhcp_options;
pub mod dns;
pub mod dns_data;
pub mod dns_message;
pub mod dump;
mod ends;
pub mod ethernet;
pub mod http;
pub mod icmp;
pub mod icmp_names;
pub mod icmpv6;
pub mod icmpv6_names;
pub mod igmp;
pub mod ip;
pub mod ipv4;
pub mod ipv6;
pub mod ipv6_extensions;
pub mod ipv6_options;
pub mod line;
pub mod llc;
pub mod mld;
pub mod mqtt;
mod mqtt_names;
pub(crate) mod mqtt_packet;
pub mod ndp;
pub mod ntp;
pub mod null;
pub(crate) mod read;
mod short_text;
pub mod sll;
pub mod stack;
pub mod stp;
pub mod tcp;
pub mod tcp_options;
pub mod tftp;
pub mod tls;
mod tls_hello;
mod tls_names;
pub mod udp;
pub mod vlan;
pub mod walk;

use std::net::{Ipv4Addr, Ipv6Addr};

use line::Line;
pub use pnet::util::MacAddr;
pub(crate) use read::{be16, be32, field, ipv4_at, listed, mac_at};
pub use stack::{Layer, Note, NoteKind, Stack};
pub use walk::Walk;

use crate::record::LinkType;

/// Every protocol there is. Where several are selected by the same key, the first that does not
/// decline is taken.
pub static ALL: &[&Protocol] = &[
    &ethernet::ETHERNET,
    &vlan::VLAN,
    &llc::LLC,
    &stp::STP,
    &sll::SLL,
    &sll::SLL2,
    &null::NULL,
    &arp::ARP,
    &ipv4::IPV4,
    &ipv6::IPV6,
    &ipv6_extensions::HOP_BY_HOP,
    &ipv6_extensions::ROUTING,
    &ipv6_extensions::FRAGMENT,
    &ipv6_extensions::DESTINATION,
    &ipv6_extensions::AH,
    &icmp::ICMP,
    &icmpv6::ICMPV6,
    &igmp::IGMP,
    &udp::UDP,
    &tcp::TCP,
    &coap::COAP,
    &dhcp::DHCP,
    &dns::DNS,
    &dns::LLMNR,
    &dns::MDNS,
    &http::HTTP,
    &mqtt::MQTT,
    &ntp::NTP,
    &tftp::TFTP,
    &tls::TLS,
];

/// Visits fields of one layer of a stack.
pub type List = fn(&Stack<'_>, usize, &mut dyn FnMut(Item<'_>));

/// Reads a field from a header.
pub type Get = fn(&[u8]) -> Option<Value<'_>>;

/// One protocol. A new one is written as `Protocol { name: .., ..Protocol::BASE }`.
pub struct Protocol {
    /// The name in filters and structured output, lower case.
    pub name: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// What selects it.
    pub keys: &'static [Key],
    /// Its fields: those of the fixed header in its order, then those that `list` visits.
    pub fields: &'static [Field],
    /// Looks at the bytes, pushes a layer and says what follows.
    pub dissect: fn(&mut Walk<'_>) -> Next,
    /// Says layer number `n` of the stack, and what is above it, on one line.
    pub summary: fn(&Stack<'_>, usize, &mut Line),
    /// Visits the fields of layer number `n` that have no fixed place, in the order of the bytes.
    pub list: List,
    /// Whether layer number `n` asks something or answers it.
    pub exchange: fn(&Stack<'_>, usize) -> Option<Exchange>,
}

impl Protocol {
    /// Nothing selects it, it has no fields and asks nothing.
    pub const BASE: Protocol = Protocol {
        name: "",
        title: "",
        keys: &[],
        fields: &[],
        dissect: |_| Next::Payload,
        summary: |_, _, _| {},
        list: |_, _, _| {},
        exchange: |_, _| None,
    };

    /// The field of that name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

impl std::fmt::Debug for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Protocol({})", self.name)
    }
}

impl PartialEq for Protocol {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

/// One field of a protocol.
#[derive(Clone, Copy)]
pub struct Field {
    /// The RFC's name in lower case, words joined by `_`, groups by `.`.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// Whether a layer may have several of it.
    pub is_many: bool,
    /// Where it is, in bytes from the start of the layer, and how many bytes it touches.
    pub at: (usize, usize),
    /// Reads it from the layer's header, which may be too short for it; `None` for a field that has no
    /// fixed place and is visited by [`Protocol::list`].
    pub get: Option<Get>,
    /// What a number means, given the header that it stands in.
    pub meaning: fn(&[u8], u64) -> Option<&'static str>,
}

impl std::fmt::Debug for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Field({})", self.name)
    }
}

/// A field that [`Protocol::list`] found.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// The name of one of the protocol's fields.
    pub name: &'static str,
    /// What it holds.
    pub value: Value<'a>,
    /// Where it is, in bytes from the start of the layer, and how many bytes it has.
    pub at: (usize, usize),
    /// What it means, where that is not said by the value.
    pub meaning: Option<&'static str>,
}

impl<'a> Item<'a> {
    /// `value` of the field `name`, `length` bytes at `at`.
    pub fn new(name: &'static str, value: Value<'a>, at: usize, length: usize) -> Self {
        Item { name, value, at: (at, length), meaning: None }
    }

    /// The same, with what it means.
    pub fn meaning(self, meaning: impl Into<Option<&'static str>>) -> Self {
        Item { meaning: meaning.into(), ..self }
    }
}

/// What the values of a field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Numbers that people read in decimal.
    Number,
    /// Numbers that people read in hex.
    Hex,
    /// Flags.
    Flag,
    /// Ethernet addresses.
    Mac,
    /// IPv4 addresses.
    Ipv4,
    /// IPv6 addresses.
    Ipv6,
    /// Text, from the line: not to be trusted.
    Text,
    /// Anything else.
    Bytes,
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
    /// Text, as it came from the line.
    Text(&'a [u8]),
    /// A domain name in a DNS message.
    Domain(Domain<'a>),
    /// What a DNS record holds, shown as text and escaped; its fields are of [`Kind::Text`], like names.
    Record(dns_data::RecordData<'a>),
    /// Anything else.
    Bytes(&'a [u8]),
}

impl Value<'_> {
    /// What it is.
    pub const fn kind(&self) -> Kind {
        match self {
            Value::Number(_) => Kind::Number,
            Value::Hex(_) => Kind::Hex,
            Value::Flag(_) => Kind::Flag,
            Value::Mac(_) => Kind::Mac,
            Value::Ipv4(_) => Kind::Ipv4,
            Value::Ipv6(_) => Kind::Ipv6,
            Value::Text(_) | Value::Domain(_) | Value::Record(_) => Kind::Text,
            Value::Bytes(_) => Kind::Bytes,
        }
    }
}

/// What selects a protocol.
#[derive(Clone, Copy)]
pub enum Key {
    /// The first layer of a capture with this link type.
    Link(LinkType),
    /// An EtherType (IEEE 802.3 clause 3.2.6).
    EtherType(u16),
    /// The length field of an 802.3 frame in place of an EtherType.
    Length,
    /// An IP protocol number (RFC 790 and its IANA registry), which is IPv6's next header, too.
    IpProtocol(u8),
    /// A UDP port, on either side.
    UdpPort(u16),
    /// A TCP port, on either side.
    TcpPort(u16),
    /// TCP payload on any port that this accepts.
    TcpContent(fn(&[u8]) -> bool),
}

/// What comes after a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The frame begins here.
    Link(LinkType),
    /// An EtherType.
    EtherType(u16),
    /// The payload of an 802.3 frame with a length field.
    Length,
    /// An IP protocol number.
    IpProtocol(u8),
    /// The payload of a UDP datagram with these ports.
    Udp {
        /// The source port.
        source: u16,
        /// The destination port.
        destination: u16,
    },
    /// The payload of a TCP segment with these ports.
    Tcp {
        /// The source port.
        source: u16,
        /// The destination port.
        destination: u16,
    },
    /// Nothing that is dissected; the rest is payload.
    Payload,
}

/// One side of a question and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The same for a question and its answers, and for as little else as possible.
    pub key: u64,
    /// Whether this is an answer.
    pub is_answer: bool,
}

impl Exchange {
    /// A question, or an answer to it, of `protocol`, told apart from others by `parts`.
    pub fn new(protocol: &Protocol, is_answer: bool, parts: impl std::hash::Hash) -> Self {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        (protocol.name, parts).hash(&mut hasher);
        Exchange { key: hasher.finish(), is_answer }
    }
}

/// A domain name in a DNS message (RFC 1035 section 3.1), shown with its dots and escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Domain<'a> {
    /// The message, to which compressed names refer.
    pub message: &'a [u8],
    /// Where in it the name begins.
    pub at: usize,
}

/// No name has more bytes (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 255;
/// No name has more labels.
const MAX_LABELS: usize = 128;

impl<'a> Domain<'a> {
    /// The labels, as far as they can be read. A pointer must point back (RFC 1035 section 4.1.4).
    pub fn labels(self) -> impl Iterator<Item = &'a [u8]> {
        let (mut at, mut jumps, mut left) = (self.at, 0, MAX_NAME);
        let next = move || {
            loop {
                let length = usize::from(*self.message.get(at)?);
                match length {
                    0 => return None,
                    1..=63 => {
                        let label = self.message.get(at + 1..at + 1 + length)?;
                        left = left.checked_sub(1 + length)?;
                        at += 1 + length;
                        return Some(label);
                    }
                    192.. if jumps < MAX_LABELS => {
                        let to = usize::from(be16(self.message, at)? & 0x3fff);
                        (jumps, at) = (jumps + 1, Some(to).filter(|to| *to < at)?);
                    }
                    _ => return None,
                }
            }
        };
        std::iter::from_fn(next).take(MAX_LABELS)
    }

    /// Where the bytes of the name end; `None` when they are not all there.
    pub fn end(self) -> Option<usize> {
        let mut at = self.at;
        for _ in 0..MAX_LABELS {
            match usize::from(*self.message.get(at)?) {
                0 => return Some(at + 1),
                length @ 1..=63 => at += 1 + length,
                192.. => return Some(at + 2).filter(|end| *end <= self.message.len()),
                _ => return None,
            }
        }
        None
    }
}

impl std::fmt::Display for Domain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut is_first = true;
        for label in self.labels() {
            if !std::mem::take(&mut is_first) {
                f.write_str(".")?;
            }
            crate::escape::terminal(label).fmt(f)?;
        }
        if is_first { f.write_str(".") } else { Ok(()) }
    }
}

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
