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
pub(crate) mod coap_options;
pub mod dhcp;
pub(crate) mod dhcp_options;
pub mod dns;
pub mod dns_data;
pub mod dns_message;
mod dns_names;
mod domain;
pub mod dump;
mod ends;
pub mod ethernet;
#[cfg(test)]
pub(crate) mod examined;
mod expected;
pub mod http;
pub(crate) mod http_head;
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
mod mqtt_bodies;
mod mqtt_names;
pub(crate) mod mqtt_packet;
pub mod ndp;
pub mod ntp;
pub mod null;
pub(crate) mod read;
#[cfg(test)]
pub(crate) mod samples;
mod select;
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
pub(crate) mod tls_record;
pub mod udp;
pub mod vlan;
pub mod walk;

use std::net::{Ipv4Addr, Ipv6Addr};

pub use domain::Domain;
pub use expected::Expected;
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
