//! ICMP, ICMPv6 with neighbour discovery, IGMP.

use super::super::kind::{
    Kind, Style, What, bits, called, field, flag, number, open, option, part, part_flag,
};
use crate::proto::{icmp, icmpv6, igmp};

/// Types of ICMP messages that have names.
const TYPES: What = What::Named(&[
    ("echo_reply", 0),
    ("unreachable", 3),
    ("redirect", 5),
    ("echo_request", 8),
    ("time_exceeded", 11),
    ("parameter_problem", 12),
    ("timestamp", 13),
]);

/// The same of ICMPv6.
const TYPES_V6: What = What::Named(&[
    ("unreachable", 1),
    ("packet_too_big", 2),
    ("time_exceeded", 3),
    ("parameter_problem", 4),
    ("echo_request", 128),
    ("echo_reply", 129),
    ("router_solicitation", 133),
    ("router_advertisement", 134),
    ("neighbor_solicitation", 135),
    ("neighbor_advertisement", 136),
]);

pub(in super::super) static ICMP: Kind = Kind {
    protocol: &icmp::ICMP,
    below: Some("ipv4"),
    template: &[8, 0, 0, 0, 0, 0, 0, 0],
    slots: &[
        field("type", 0, 1, TYPES),
        number("code", 1, 1),
        field("checksum", 2, 2, What::Checksum),
        called(&["id"], number("identifier", 4, 2)),
        called(&["seq", "sequence"], number("sequence_number", 6, 2)),
        field("gateway", 4, 4, What::Ipv4),
        number("pointer", 4, 1),
        number("length", 5, 1),
        number("mtu", 6, 2),
        number("originate_timestamp", 8, 4),
        number("receive_timestamp", 12, 4),
        number("transmit_timestamp", 16, 4),
        field("address_mask", 8, 4, What::Ipv4),
        number("num_addrs", 4, 1),
        number("addr_entry_size", 5, 1),
        number("lifetime", 6, 2),
    ],
    ..Kind::BASE
};

pub(in super::super) static ICMPV6: Kind = Kind {
    protocol: &icmpv6::ICMPV6,
    aliases: &["icmp6"],
    below: Some("ipv6"),
    template: &[128, 0, 0, 0, 0, 0, 0, 0],
    slots: &[
        field("type", 0, 1, TYPES_V6),
        number("code", 1, 1),
        field("checksum", 2, 2, What::Checksum),
        called(&["id"], number("identifier", 4, 2)),
        called(&["seq", "sequence"], number("sequence_number", 6, 2)),
        number("mtu", 4, 4),
        number("pointer", 4, 4),
        number("length", 4, 1),
        number("cur_hop_limit", 4, 1),
        flag("flags.managed", 40),
        flag("flags.other", 41),
        flag("flags.home_agent", 42),
        bits("preference", 43, 2),
        number("router_lifetime", 6, 2),
        number("reachable_time", 8, 4),
        number("retrans_timer", 12, 4),
        flag("flags.router", 32),
        flag("flags.solicited", 33),
        flag("flags.override", 34),
        called(&["target"], field("target_address", 8, 16, What::Ipv6)),
        field("destination_address", 24, 16, What::Ipv6),
        number("maximum_response_delay", 4, 2),
        field("multicast_address", 8, 16, What::Ipv6),
    ],
    options: &[
        // What kind of address it is, the type of the message tells; see `automatic`.
        option("option.link_layer_address", 1, 6, What::Mac),
        option("option.source_link_layer_address", 1, 6, What::Mac),
        option("option.target_link_layer_address", 2, 6, What::Mac),
        part("option.prefix_length", 3, 30, 0, 1, What::Number),
        part_flag("option.flags.on_link", 3, 30, 8),
        part_flag("option.flags.autonomous", 3, 30, 9),
        part_flag("option.flags.router", 3, 30, 10),
        part("option.valid_lifetime", 3, 30, 2, 4, What::Number),
        part("option.preferred_lifetime", 3, 30, 6, 4, What::Number),
        part("option.prefix", 3, 30, 14, 16, What::Ipv6),
        part("option.mtu", 5, 6, 2, 4, What::Number),
        open("option.nonce", 14, What::Bytes),
        part("option.lifetime", 25, 22, 2, 4, What::Number),
        part("option.dns_server", 25, 22, 6, 16, What::Ipv6),
    ],
    style: Style::Discovery,
    ..Kind::BASE
};

pub(in super::super) static IGMP: Kind = Kind {
    protocol: &igmp::IGMP,
    below: Some("ipv4"),
    template: &[0x11, 100, 0, 0, 0, 0, 0, 0],
    slots: &[
        field(
            "type",
            0,
            1,
            What::Named(&[("query", 0x11), ("report", 0x16), ("leave", 0x17), ("report_v3", 0x22)]),
        ),
        number("max_resp_code", 1, 1),
        field("checksum", 2, 2, What::Checksum),
        called(&["group"], field("group_address", 4, 4, What::Ipv4)),
        number("number_of_group_records", 6, 2),
    ],
    ..Kind::BASE
};
