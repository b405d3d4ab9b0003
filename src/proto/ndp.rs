//! Neighbour discovery: the messages of ICMPv6 in which routers and neighbours find each other (RFC 4861;
//! preferences and routes: RFC 4191, DNS: RFC 8106, nonce: RFC 3971, captive portal: RFC 8910, translation
//! prefix: RFC 8781).
//!
//! Every message ends with options, which count themselves in units of eight bytes; a length of 0
//! would never end and makes the message invalid.

use super::read::{ipv6_at, mac_at};
use super::{Domain, Field, Item, NoteKind, Value, be16, be32, field, listed};

/// The type of a router solicitation.
pub const ROUTER_SOLICITATION: u8 = 133;
/// The type of a router advertisement.
pub const ROUTER_ADVERTISEMENT: u8 = 134;
/// The type of a neighbour solicitation.
pub const SOLICITATION: u8 = 135;
/// The type of a neighbour advertisement.
pub const ADVERTISEMENT: u8 = 136;
/// The type of a redirect.
pub const REDIRECT: u8 = 137;

/// The fields of these messages.
pub(super) const FIELDS: &[Field] = &[
    field!("cur_hop_limit", 4, 1, Number, |h| {
        h.get(4).filter(|_| is_router(h)).map(|limit| Value::Number(u64::from(*limit)))
    }),
    field!("flags.managed", 5, 1, Flag, |h| router_flag(h, 0x80)),
    field!("flags.other", 5, 1, Flag, |h| router_flag(h, 0x40)),
    field!("flags.home_agent", 5, 1, Flag, |h| router_flag(h, 0x20)),
    field!("preference", 5, 1, Number, |h| {
        h.get(5).filter(|_| is_router(h)).map(|byte| Value::Number(u64::from(byte >> 3 & 3)))
    }, names preference_name),
    field!("router_lifetime", 6, 2, Number, |h| {
        be16(h, 6).filter(|_| is_router(h)).map(|time| Value::Number(time.into()))
    }),
    field!("reachable_time", 8, 4, Number, |h| {
        be32(h, 8).filter(|_| is_router(h)).map(|time| Value::Number(time.into()))
    }),
    field!("retrans_timer", 12, 4, Number, |h| {
        be32(h, 12).filter(|_| is_router(h)).map(|time| Value::Number(time.into()))
    }),
    field!("flags.router", 4, 1, Flag, |h| neighbour_flag(h, 0x80)),
    field!("flags.solicited", 4, 1, Flag, |h| neighbour_flag(h, 0x40)),
    field!("flags.override", 4, 1, Flag, |h| neighbour_flag(h, 0x20)),
    field!("target_address", 8, 16, Ipv6, |h| target(h).map(Value::Ipv6)),
    field!("destination_address", 24, 16, Ipv6, |h| {
        ipv6_at(h, 24).filter(|_| h[0] == REDIRECT).map(Value::Ipv6)
    }),
    listed!("option.type", Number, many),
];

/// The fields of the options' contents.
pub(super) const OPTION_FIELDS: &[Field] = &[
    listed!("option.link_layer_address", Mac, many),
    listed!("option.prefix_length", Number, many),
    listed!("option.flags.on_link", Flag, many),
    listed!("option.flags.autonomous", Flag, many),
    listed!("option.flags.router", Flag, many),
    listed!("option.valid_lifetime", Number, many),
    listed!("option.preferred_lifetime", Number, many),
    listed!("option.prefix", Ipv6, many),
    listed!("option.redirected_header", Bytes, many),
    listed!("option.mtu", Number, many),
    listed!("option.preference", Number, many),
    listed!("option.route_lifetime", Number, many),
    listed!("option.lifetime", Number, many),
    listed!("option.dns_server", Ipv6, many),
    listed!("option.domain", Text, many),
    listed!("option.uri", Text, many),
    listed!("option.nonce", Bytes, many),
    listed!("option.data", Bytes, many),
];

fn is_router(header: &[u8]) -> bool {
    header.first() == Some(&ROUTER_ADVERTISEMENT)
}

fn router_flag(header: &[u8], mask: u8) -> Option<Value<'_>> {
    header.get(5).filter(|_| is_router(header)).map(|byte| Value::Flag(byte & mask != 0))
}

fn neighbour_flag(header: &[u8], mask: u8) -> Option<Value<'_>> {
    let flags = header.get(4).filter(|_| header[0] == ADVERTISEMENT);
    flags.map(|byte| Value::Flag(byte & mask != 0))
}

/// The target of a solicitation, an advertisement or a redirect.
pub(super) fn target(header: &[u8]) -> Option<std::net::Ipv6Addr> {
    ipv6_at(header, 8).filter(|_| matches!(header[0], SOLICITATION | ADVERTISEMENT | REDIRECT))
}

/// The bytes in front of the options, if messages of that type have options.
pub(crate) fn options_at(kind: u8) -> Option<usize> {
    match kind {
        ROUTER_SOLICITATION => Some(8),
        ROUTER_ADVERTISEMENT => Some(16),
        SOLICITATION | ADVERTISEMENT => Some(24),
        REDIRECT => Some(40),
        _ => None,
    }
}

/// The options of a message: place and bytes of each, as far as they can be read.
pub fn options(message: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let start = message.first().and_then(|kind| options_at(*kind));
    let mut at = start.unwrap_or(message.len());
    std::iter::from_fn(move || {
        let length = 8 * usize::from(*message.get(at + 1)?);
        let option = (at, message.get(at..at + length).filter(|option| !option.is_empty())?);
        at += length;
        Some(option)
    })
}

/// What is wrong with the options of a message, and where.
pub(super) fn broken_option(message: &[u8]) -> Option<(usize, NoteKind)> {
    let start = options_at(*message.first()?)?;
    let end = options(message).last().map_or(start, |(at, option)| at + option.len());
    match message.get(end..)? {
        [] => None,
        [_, 0, ..] => Some((end, NoteKind::Wrong("an option of length 0"))),
        _ => Some((end, NoteKind::Wrong("an option runs over the end of the message"))),
    }
}

/// Visits the options.
pub(super) fn list(message: &[u8], visit: &mut dyn FnMut(Item<'_>)) {
    for (at, option) in options(message) {
        let kind = Value::Number(option[0].into());
        let item = Item::new("option.type", kind, at, option.len());
        visit(item.meaning(option_name(option[0])));
        let mut contents = Contents { option, at, visit };
        match (option[0], option.len()) {
            (1 | 2, 8) => {
                if let Some(mac) = mac_at(option, 2) {
                    contents.tell("option.link_layer_address", Value::Mac(mac), 2, 6);
                }
            }
            (3, 32) => contents.prefix(),
            (4, 8..) => {
                let quoted = Value::Bytes(&option[8..]);
                contents.tell("option.redirected_header", quoted, 8, option.len() - 8);
            }
            (5, 8) => contents.number("option.mtu", be32(option, 4), 4, 4),
            (14, _) => {
                contents.tell("option.nonce", Value::Bytes(&option[2..]), 2, option.len() - 2)
            }
            (24, 8 | 16 | 24) => contents.route(),
            (25, 24..) => contents.servers(),
            (31, 16..) => contents.domains(),
            (37, _) => {
                let end = option.iter().rposition(|byte| *byte != 0).map_or(2, |n| (n + 1).max(2));
                contents.tell("option.uri", Value::Text(&option[2..end]), 2, end - 2);
            }
            (_, length) => contents.tell("option.data", Value::Bytes(&option[2..]), 2, length - 2),
        }
    }
}

/// One option, whose contents are being visited.
struct Contents<'a, 'v> {
    option: &'a [u8],
    at: usize,
    visit: &'v mut dyn FnMut(Item<'_>),
}

impl Contents<'_, '_> {
    /// Visits `length` bytes at `offset` into the option.
    fn tell(&mut self, name: &'static str, value: Value<'_>, offset: usize, length: usize) {
        (self.visit)(Item::new(name, value, self.at + offset, length));
    }

    fn number(
        &mut self,
        name: &'static str,
        value: Option<impl Into<u64>>,
        offset: usize,
        length: usize,
    ) {
        if let Some(value) = value {
            self.tell(name, Value::Number(value.into()), offset, length);
        }
    }

    /// RFC 4861 section 4.6.2, RFC 6275 section 7.2.
    fn prefix(&mut self) {
        let option = self.option;
        self.number("option.prefix_length", Some(option[2]), 2, 1);
        for (name, mask) in [
            ("option.flags.on_link", 0x80),
            ("option.flags.autonomous", 0x40),
            ("option.flags.router", 0x20),
        ] {
            self.tell(name, Value::Flag(option[3] & mask != 0), 3, 1);
        }
        self.number("option.valid_lifetime", be32(option, 4), 4, 4);
        self.number("option.preferred_lifetime", be32(option, 8), 8, 4);
        if let Some(prefix) = ipv6_at(option, 16) {
            self.tell("option.prefix", Value::Ipv6(prefix), 16, 16);
        }
    }

    /// RFC 4191 section 2.3: of the prefix, only as much is there as is needed.
    fn route(&mut self) {
        let (option, kept) = (self.option, self.option.len() - 8);
        self.number("option.prefix_length", Some(option[2]), 2, 1);
        let preference = u64::from(option[3] >> 3 & 3);
        let item = Item::new("option.preference", Value::Number(preference), self.at + 3, 1);
        (self.visit)(item.meaning(preference_name(preference)));
        self.number("option.route_lifetime", be32(option, 4), 4, 4);
        let mut prefix = [0; 16];
        prefix[..kept].copy_from_slice(&option[8..]);
        self.tell("option.prefix", Value::Ipv6(prefix.into()), 8, kept);
    }

    /// RFC 8106 section 5.1.
    fn servers(&mut self) {
        self.number("option.lifetime", be32(self.option, 4), 4, 4);
        for offset in (8..self.option.len()).step_by(16) {
            if let Some(server) = ipv6_at(self.option, offset) {
                self.tell("option.dns_server", Value::Ipv6(server), offset, 16);
            }
        }
    }

    /// RFC 8106 section 5.2: names one after the other, padded with zeros.
    fn domains(&mut self) {
        self.number("option.lifetime", be32(self.option, 4), 4, 4);
        let mut offset = 8;
        while self.option.get(offset).is_some_and(|length| (1..64).contains(length)) {
            let name = Domain { message: self.option, at: offset };
            let Some(end) = name.end() else { break };
            self.tell("option.domain", Value::Domain(name), offset, end - offset);
            offset = end;
        }
    }
}

/// The name of a router preference (RFC 4191 section 2.1).
fn preference_name(preference: u64) -> Option<&'static str> {
    ["medium", "high", "reserved", "low"].get(usize::try_from(preference).ok()?).copied()
}

/// The name of an option (IANA's registry of neighbour discovery option formats).
fn option_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        1 => "source link-layer address",
        2 => "target link-layer address",
        3 => "prefix information",
        4 => "redirected header",
        5 => "MTU",
        7 => "advertisement interval",
        8 => "home agent information",
        9 => "source address list",
        10 => "target address list",
        11 => "CGA",
        12 => "RSA signature",
        13 => "timestamp",
        14 => "nonce",
        24 => "route information",
        25 => "recursive DNS server",
        26 => "RA flags extension",
        31 => "DNS search list",
        33 => "address registration",
        34 => "6LoWPAN context",
        37 => "captive portal",
        38 => "PREF64",
        _ => return None,
    })
}
