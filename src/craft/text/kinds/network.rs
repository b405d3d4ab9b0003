//! IPv4, IPv6 and its extension headers.

use super::super::kind::{
    Kind, Selector, Slot, Style, What, bits, called, empty, field, flag, number, open, option,
};
use crate::proto::{ipv4, ipv6, ipv6_extensions};

/// Protocol numbers that have names.
const PROTOCOLS: What = What::Named(&[
    ("icmp", 1),
    ("igmp", 2),
    ("ipip", 4),
    ("tcp", 6),
    ("udp", 17),
    ("ipv6", 41),
    ("icmpv6", 58),
    ("none", 59),
]);

pub(in super::super) static IPV4: Kind = Kind {
    protocol: &ipv4::IPV4,
    aliases: &["ip", "ip4"],
    below: Some("ethernet"),
    template: &[0x45, 0, 0, 0, 0, 1, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    slots: &[
        bits("version", 0, 4),
        bits("ihl", 4, 4),
        number("tos", 1, 1),
        called(&["length"], number("total_length", 2, 2)),
        called(&["id"], number("identification", 4, 2)),
        flag("flags.reserved", 48),
        flag("flags.df", 49),
        flag("flags.mf", 50),
        Slot {
            name: "fragment_offset",
            aliases: &["offset"],
            bit: 51,
            width: 13,
            what: What::Units(8),
        },
        number("ttl", 8, 1),
        called(&["proto"], field("protocol", 9, 1, PROTOCOLS)),
        called(&["checksum"], field("header_checksum", 10, 2, What::Checksum)),
        field("src", 12, 4, What::Ipv4),
        field("dst", 16, 4, What::Ipv4),
    ],
    options: &[
        empty("option.eol", 0),
        empty("option.nop", 1),
        open("option.rr", 7, What::Bytes),
        open("option.timestamp", 68, What::Bytes),
        open("option.lsrr", 131, What::Bytes),
        open("option.ssrr", 137, What::Bytes),
        option("option.ra", 148, 2, What::Number),
    ],
    style: Style::Words,
    next: Some(("protocol", Selector::IpProtocol)),
};

pub(in super::super) static IPV6: Kind = Kind {
    protocol: &ipv6::IPV6,
    aliases: &["ip6"],
    below: Some("ethernet"),
    template: &[
        0x60, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ],
    slots: &[
        bits("version", 0, 4),
        called(&["class"], bits("traffic_class", 4, 8)),
        bits("traffic_class.dscp", 4, 6),
        bits("traffic_class.ecn", 10, 2),
        called(&["flow"], bits("flow_label", 12, 20)),
        called(&["length"], number("payload_length", 4, 2)),
        called(&["next"], field("next_header", 6, 1, PROTOCOLS)),
        called(&["ttl"], number("hop_limit", 7, 1)),
        field("src", 8, 16, What::Ipv6),
        field("dst", 24, 16, What::Ipv6),
    ],
    next: Some(("next_header", Selector::IpProtocol)),
    ..Kind::BASE
};

/// Hop-by-hop and destination options.
const OPTIONS: Kind = Kind {
    below: Some("ipv6"),
    template: &[0, 0],
    slots: &[called(&["next"], field("next_header", 0, 1, PROTOCOLS)), number("hdr_ext_len", 1, 1)],
    options: &[
        empty("option.pad1", 0),
        open("option.padn", 1, What::Bytes),
        option("option.tunnel_encapsulation_limit", 4, 1, What::Number),
        option("option.router_alert", 5, 2, What::Number),
        option("option.jumbo_payload_length", 0xc2, 4, What::Number),
        option("option.home_address", 0xc9, 16, What::Ipv6),
    ],
    style: Style::Ipv6,
    next: Some(("next_header", Selector::IpProtocol)),
    ..Kind::BASE
};

pub(in super::super) static HOP_BY_HOP: Kind =
    Kind { protocol: &ipv6_extensions::HOP_BY_HOP, aliases: &["hop_by_hop", "hbh"], ..OPTIONS };

pub(in super::super) static DESTINATION: Kind = Kind {
    protocol: &ipv6_extensions::DESTINATION,
    aliases: &["destination", "dstopt"],
    ..OPTIONS
};

pub(in super::super) static ROUTING: Kind = Kind {
    protocol: &ipv6_extensions::ROUTING,
    aliases: &["routing"],
    below: Some("ipv6"),
    template: &[0; 8],
    slots: &[
        called(&["next"], field("next_header", 0, 1, PROTOCOLS)),
        number("hdr_ext_len", 1, 1),
        called(&["type"], number("routing_type", 2, 1)),
        number("segments_left", 3, 1),
        number("last_entry", 4, 1),
        number("flags", 5, 1),
        number("tag", 6, 2),
    ],
    options: &[option("address", 0, 16, What::Ipv6)],
    style: Style::Plain,
    next: Some(("next_header", Selector::IpProtocol)),
};

pub(in super::super) static FRAGMENT: Kind = Kind {
    protocol: &ipv6_extensions::FRAGMENT,
    aliases: &["fragment"],
    below: Some("ipv6"),
    template: &[0, 0, 0, 0, 0, 0, 0, 1],
    slots: &[
        called(&["next"], field("next_header", 0, 1, PROTOCOLS)),
        Slot {
            name: "fragment_offset",
            aliases: &["offset"],
            bit: 16,
            width: 13,
            what: What::Units(8),
        },
        flag("flags.m", 31),
        called(&["id"], number("identification", 4, 4)),
    ],
    next: Some(("next_header", Selector::IpProtocol)),
    ..Kind::BASE
};

pub(in super::super) static AH: Kind = Kind {
    protocol: &ipv6_extensions::AH,
    below: Some("ipv4"),
    template: &[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1],
    slots: &[
        called(&["next"], field("next_header", 0, 1, PROTOCOLS)),
        number("payload_len", 1, 1),
        number("spi", 4, 4),
        called(&["seq"], number("sequence_number", 8, 4)),
    ],
    options: &[open("icv", 0, What::Bytes)],
    style: Style::Plain,
    next: Some(("next_header", Selector::IpProtocol)),
    ..Kind::BASE
};
