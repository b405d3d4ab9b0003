//! What a layer is made of: a template, the places of its fields, what may be appended to it.
//!
//! A [`Kind`] stands beside the protocol that reads such layers back: its name is the protocol's, its
//! fields are named as the tree and the JSON output name them, and what selects it in the layer below
//! (EtherType, protocol number, port) is asked of the protocol, not written down again. The tests hold
//! every place against the one from which the protocol reads the field.

use crate::proto::{Key, Protocol};

/// One kind of layer.
pub(super) struct Kind {
    /// The protocol that reads it back.
    pub protocol: &'static Protocol,
    /// Short names.
    pub aliases: &'static [&'static str],
    /// The layer upon which it stands if the text does not say.
    pub below: Option<&'static str>,
    /// Its fixed part, with the values of fields that are neither given nor automatic.
    pub template: &'static [u8],
    /// Its fields of fixed place.
    pub slots: &'static [Slot],
    /// What can be appended: options and their like.
    pub options: &'static [Choice],
    /// How an option is put together.
    pub style: Style,
    /// The field that says what follows.
    pub next: Option<(&'static str, Selector)>,
}

impl Kind {
    /// Nothing in it.
    pub const BASE: Kind = Kind {
        protocol: &crate::proto::ethernet::ETHERNET,
        aliases: &[],
        below: None,
        template: &[],
        slots: &[],
        options: &[],
        style: Style::None,
        next: None,
    };

    /// The protocol's name.
    pub fn name(&self) -> &'static str {
        self.protocol.name
    }

    /// The field of that name, or of that short name.
    pub fn slot(&self, name: &str) -> Option<&'static Slot> {
        let full = self.slots.iter().find(|slot| slot.name == name);
        full.or_else(|| self.slots.iter().find(|slot| slot.is_called(name)))
    }

    /// What selects it, among the keys of its protocol.
    pub fn key(&self, selector: Selector) -> Option<u64> {
        self.protocol.keys.iter().find_map(|key| match (key, selector) {
            (Key::EtherType(value), Selector::EtherType) => Some(u64::from(*value)),
            (Key::IpProtocol(value), Selector::IpProtocol) => Some(u64::from(*value)),
            (Key::UdpPort(value), Selector::Port) => Some(u64::from(*value)),
            _ => None,
        })
    }
}

/// What a layer says about the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Selector {
    /// An EtherType.
    EtherType,
    /// A protocol number of IP.
    IpProtocol,
    /// A port.
    Port,
}

/// A field of fixed place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// The name, as the protocol has it.
    pub name: &'static str,
    /// Short names.
    pub aliases: &'static [&'static str],
    /// Its first bit, from the start of the layer.
    pub bit: usize,
    /// Its bits.
    pub width: usize,
    /// What its values are.
    pub what: What,
}

impl Slot {
    /// A short name: one of its own, or the part behind the last dot.
    fn is_called(&self, name: &str) -> bool {
        let last = self.name.rsplit('.').next();
        self.aliases.contains(&name) || last == Some(name)
    }

    /// The largest number that fits.
    pub fn max(&self) -> u128 {
        match self.width {
            0..=127 => (1 << self.width) - 1,
            _ => u128::MAX,
        }
    }
}

/// What values a field has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Numbers.
    Number,
    /// Numbers of which some have names.
    Named(&'static [(&'static str, u64)]),
    /// Numbers of which the frame holds only every so-manieth, divided by that.
    Units(u64),
    /// A bit.
    Flag,
    /// Bits with letters, the lowest first.
    Letters(&'static str),
    /// An Ethernet address.
    Mac,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// A checksum: a number, or `wrong`.
    Checksum,
    /// Text, filled up with zeros.
    Text,
    /// Bytes, filled up with zeros.
    Bytes,
}

/// Something that can be appended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    /// The name, as the protocol has it; or one of our own, where the protocol tells only its code.
    pub name: &'static str,
    /// The code in front of it.
    pub code: u8,
    /// The bytes of its data; `None` is as many as are given.
    pub size: Option<usize>,
    /// Where in the data the value is.
    pub slot: Slot,
}

/// How what is appended is put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Nothing can be appended.
    None,
    /// Code, length with both of these, data; filled up with zeros to whole words of 4 bytes.
    Words,
    /// Code, length of the data, data; ended by 255.
    Dhcp,
    /// Code, length of the data, data; filled up to units of 8 bytes.
    Ipv6,
    /// Code, length in units of 8 bytes, data filled up with zeros.
    Discovery,
    /// Nothing but data, one value after the other.
    Plain,
    /// Entries of a DNS message.
    Dns,
}

impl Style {
    /// Codes that stand alone, without length and data.
    pub fn is_single(self, code: u8) -> bool {
        match self {
            Style::Words => code <= 1,
            Style::Dhcp => matches!(code, 0 | 255),
            Style::Ipv6 => code == 0,
            Style::None | Style::Discovery | Style::Plain | Style::Dns => false,
        }
    }
}

/// A field of whole bytes.
pub(super) const fn field(name: &'static str, byte: usize, bytes: usize, what: What) -> Slot {
    Slot { name, aliases: &[], bit: byte * 8, width: bytes * 8, what }
}

/// A number of whole bytes.
pub(super) const fn number(name: &'static str, byte: usize, bytes: usize) -> Slot {
    field(name, byte, bytes, What::Number)
}

/// Some bits.
pub(super) const fn bits(name: &'static str, bit: usize, width: usize) -> Slot {
    Slot { name, aliases: &[], bit, width, what: What::Number }
}

/// One bit.
pub(super) const fn flag(name: &'static str, bit: usize) -> Slot {
    Slot { name, aliases: &[], bit, width: 1, what: What::Flag }
}

/// The same field, by other names too.
pub(super) const fn called(aliases: &'static [&'static str], slot: Slot) -> Slot {
    Slot { aliases, ..slot }
}

/// An option whose data is one value of so many bytes.
pub(super) const fn option(name: &'static str, code: u8, bytes: usize, what: What) -> Choice {
    part(name, code, bytes, 0, bytes, what)
}

/// An option without data.
pub(super) const fn empty(name: &'static str, code: u8) -> Choice {
    part(name, code, 0, 0, 0, What::Flag)
}

/// An option of data as long as it is given.
pub(super) const fn open(name: &'static str, code: u8, what: What) -> Choice {
    Choice { name, code, size: None, slot: field(name, 0, 0, what) }
}

/// A part of the data of an option that has `size` bytes.
pub(super) const fn part(
    name: &'static str,
    code: u8,
    size: usize,
    byte: usize,
    bytes: usize,
    what: What,
) -> Choice {
    Choice { name, code, size: Some(size), slot: field(name, byte, bytes, what) }
}

/// A bit in the data of an option that has `size` bytes.
pub(super) const fn part_flag(name: &'static str, code: u8, size: usize, bit: usize) -> Choice {
    Choice { name, code, size: Some(size), slot: flag(name, bit) }
}
