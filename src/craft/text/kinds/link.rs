//! Ethernet, tags, 802.2, ARP.

use super::super::kind::{Kind, Selector, What, bits, called, field, flag, number};
use crate::proto::{arp, ethernet, llc, vlan};

/// EtherTypes that have names.
const TYPES: What = What::Named(&[
    ("ipv4", 0x0800),
    ("ip", 0x0800),
    ("arp", 0x0806),
    ("vlan", 0x8100),
    ("qinq", 0x88a8),
    ("ipv6", 0x86dd),
]);

pub(in super::super) static ETHERNET: Kind = Kind {
    protocol: &ethernet::ETHERNET,
    aliases: &["eth"],
    template: &[0; 14],
    slots: &[
        field("dst", 0, 6, What::Mac),
        field("src", 6, 6, What::Mac),
        called(&["length"], field("type", 12, 2, TYPES)),
    ],
    next: Some(("type", Selector::EtherType)),
    ..Kind::BASE
};

pub(in super::super) static VLAN: Kind = Kind {
    protocol: &vlan::VLAN,
    below: Some("ethernet"),
    template: &[0, 1, 0, 0],
    slots: &[
        bits("pcp", 0, 3),
        flag("dei", 3),
        called(&["id"], bits("vid", 4, 12)),
        field("type", 2, 2, TYPES),
    ],
    next: Some(("type", Selector::EtherType)),
    ..Kind::BASE
};

pub(in super::super) static LLC: Kind = Kind {
    protocol: &llc::LLC,
    below: Some("ethernet"),
    template: &[0, 0, 3],
    slots: &[
        number("dsap", 0, 1),
        number("ssap", 1, 1),
        number("control", 2, 1),
        number("oui", 3, 3),
        field("pid", 6, 2, TYPES),
    ],
    next: Some(("pid", Selector::EtherType)),
    ..Kind::BASE
};

pub(in super::super) static ARP: Kind = Kind {
    protocol: &arp::ARP,
    below: Some("ethernet"),
    template: &[0, 1, 8, 0, 6, 4, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    slots: &[
        number("hrd", 0, 2),
        field("pro", 2, 2, TYPES),
        number("hln", 4, 1),
        number("pln", 5, 1),
        called(&["operation"], field("op", 6, 2, What::Named(&[("request", 1), ("reply", 2)]))),
        field("sha", 8, 6, What::Mac),
        field("spa", 14, 4, What::Ipv4),
        field("tha", 18, 6, What::Mac),
        field("tpa", 24, 4, What::Ipv4),
    ],
    ..Kind::BASE
};
