//! ARP, IPv4, IPv6 and its extension headers.

use super::How::{After, Levelled, Times, Unordered};
use super::{Row, hex, left, row, same, text};

pub static ARP: &[Row] = &[
    same("hrd", "arp.hw.type"),
    same("pro", "arp.proto.type"),
    same("hln", "arp.hw.size"),
    same("pln", "arp.proto.size"),
    same("op", "arp.opcode"),
    hex("sha", "arp.src.hw_mac"),
    text("spa", "arp.src.proto_ipv4"),
    hex("tha", "arp.dst.hw_mac"),
    text("tpa", "arp.dst.proto_ipv4"),
    hex("sha_bytes", "arp.src.hw"),
    hex("spa_bytes", "arp.src.proto"),
    hex("tha_bytes", "arp.dst.hw"),
    hex("tpa_bytes", "arp.dst.proto"),
];

pub static IPV4: &[Row] = &[
    // For IPv6 tshark fills in the same field once more.
    row("version", "ip.version", Levelled(|ours, theirs| theirs.truncate(ours.len())))
        .whole("damaged versions"),
    row("ihl", "ip.hdr_len", Times(4)),
    same("tos", "ip.dsfield"),
    same("total_length", "ip.len"),
    same("identification", "ip.id"),
    same("flags.reserved", "ip.flags.rb"),
    same("flags.df", "ip.flags.df"),
    same("flags.mf", "ip.flags.mf"),
    row("fragment_offset", "ip.frag_offset", After(eightfold)),
    same("ttl", "ip.ttl"),
    same("protocol", "ip.proto"),
    same("header_checksum", "ip.checksum"),
    text("src", "ip.src"),
    // With a source route, tshark calls its end the destination.
    row("dst option.router", "ip.dst ip.rec_rt ip.cur_rt ip.src_rt ip.empty_rt", Unordered),
    same("option.type", "ip.opt.type").whole("tshark leaves out options of the wrong length"),
];

pub static IPV6: &[Row] = &[
    same("version", "ipv6.version"),
    same("traffic_class", "ipv6.tclass"),
    same("traffic_class.dscp", "ipv6.tclass.dscp"),
    same("traffic_class.ecn", "ipv6.tclass.ecn"),
    same("flow_label", "ipv6.flow"),
    same("payload_length", "ipv6.plen"),
    same("next_header", "ipv6.nxt"),
    same("hop_limit", "ipv6.hlim"),
    text("src", "ipv6.src"),
    text("dst", "ipv6.dst"),
    // tshark does not say in which header an option is.
    row(
        "ipv6_hop_by_hop:option.type ipv6_destination:option.type",
        "ipv6.opt.type",
        // tshark leaves out a byte of padding at the end.
        Levelled(|ours, theirs| {
            ours.retain(|kind| kind != "0");
            theirs.retain(|kind| kind != "0");
        }),
    )
    .whole("tshark reads on behind broken options"),
    same(
        "ipv6_hop_by_hop:option.router_alert ipv6_destination:option.router_alert",
        "ipv6.opt.router_alert",
    ),
    left(
        "ipv6_hop_by_hop:option.jumbo_payload_length ipv6_destination:option.jumbo_payload_length",
        "tshark stops at one that is shorter than 65536 bytes, which is longer than a frame may be",
    ),
    same(
        "ipv6_hop_by_hop:option.tunnel_encapsulation_limit \
         ipv6_destination:option.tunnel_encapsulation_limit",
        "ipv6.opt.tel",
    ),
    text(
        "ipv6_hop_by_hop:option.home_address ipv6_destination:option.home_address",
        "ipv6.opt.mipv6.home_address",
    ),
    hex(
        "ipv6_hop_by_hop:option.data ipv6_destination:option.data",
        "ipv6.opt.unknown ipv6.opt.experimental",
    )
    .whole("tshark shows known options of the wrong length elsewhere"),
];

pub static HOP_BY_HOP: &[Row] =
    &[same("next_header", "ipv6.hopopts.nxt"), same("hdr_ext_len", "ipv6.hopopts.len")];

pub static DESTINATION: &[Row] =
    &[same("next_header", "ipv6.dstopts.nxt"), same("hdr_ext_len", "ipv6.dstopts.len")];

pub static ROUTING: &[Row] = &[
    same("next_header", "ipv6.routing.nxt"),
    same("hdr_ext_len", "ipv6.routing.len"),
    same("routing_type", "ipv6.routing.type"),
    same("segments_left", "ipv6.routing.segleft"),
    same("last_entry", "ipv6.routing.srh.last_entry"),
    same("flags", "ipv6.routing.srh.flags"),
    row(
        "tag",
        "ipv6.routing.srh.tag",
        After(|tag| u64::from_str_radix(tag.trim_start_matches("0x"), 16).unwrap_or(0).to_string()),
    ),
    row("address", "ipv6.routing.src.addr ipv6.routing.srh.addr", Unordered),
];

pub static FRAGMENT: &[Row] = &[
    same("next_header", "ipv6.fraghdr.nxt"),
    row("fragment_offset", "ipv6.fraghdr.offset", After(eightfold)),
    same("flags.m", "ipv6.fraghdr.more"),
    same("identification", "ipv6.fraghdr.ident"),
];

pub static AH: &[Row] = &[
    same("next_header", "ah.next_header"),
    same("payload_len", "ah.length"),
    same("spi", "ah.spi"),
    same("sequence_number", "ah.sequence"),
    hex("icv", "ah.icv"),
];

/// Ours counts bytes, theirs units of eight of them.
fn eightfold(units: &str) -> String {
    units.parse::<u64>().map_or(0, |units| units * 8).to_string()
}
