//! ICMP, ICMPv6, IGMP and the family of DNS.

use super::How::{After, Number, Text, Unordered, Words};
use super::{Row, hex, left, row, same, text};

pub static ICMP: &[Row] = &[
    same("type", "icmp.type"),
    same("code", "icmp.code"),
    same("checksum", "icmp.checksum"),
    same("identifier", "icmp.ident"),
    same("sequence_number", "icmp.seq"),
    text("gateway", "icmp.redir_gw"),
    same("pointer", "icmp.pointer"),
    same("length", "icmp.length"),
    same("mtu", "icmp.mtu"),
    same("originate_timestamp", "icmp.originate_timestamp"),
    same("receive_timestamp", "icmp.receive_timestamp"),
    same("transmit_timestamp", "icmp.transmit_timestamp"),
    text("address_mask", "icmp.address_mask"),
    same("num_addrs", "icmp.num_addrs"),
    same("addr_entry_size", "icmp.addr_entry_size"),
    same("lifetime", "icmp.lifetime"),
    text("router_address", "icmp.router_address"),
    same("preference_level", "icmp.pref_level"),
];

pub static ICMPV6: &[Row] = &[
    same("type", "icmpv6.type"),
    same("code", "icmpv6.code"),
    same("checksum", "icmpv6.checksum"),
    same("identifier", "icmpv6.echo.identifier"),
    same("sequence_number", "icmpv6.echo.sequence_number"),
    same("mtu", "icmpv6.mtu"),
    same("pointer", "icmpv6.pointer"),
    same("length", "icmpv6.length"),
    same("cur_hop_limit", "icmpv6.nd.ra.cur_hop_limit"),
    same("flags.managed", "icmpv6.nd.ra.flag.m"),
    same("flags.other", "icmpv6.nd.ra.flag.o"),
    same("flags.home_agent", "icmpv6.nd.ra.flag.h"),
    same("preference", "icmpv6.nd.ra.flag.prf"),
    same("router_lifetime", "icmpv6.nd.ra.router_lifetime"),
    same("reachable_time", "icmpv6.nd.ra.reachable_time"),
    same("retrans_timer", "icmpv6.nd.ra.retrans_timer"),
    same("flags.router", "icmpv6.nd.na.flag.r"),
    same("flags.solicited", "icmpv6.nd.na.flag.s"),
    same("flags.override", "icmpv6.nd.na.flag.o"),
    text(
        "target_address",
        "icmpv6.nd.ns.target_address icmpv6.nd.na.target_address icmpv6.nd.rd.target_address",
    ),
    text("destination_address", "icmpv6.rd.na.destination_address"),
    same("option.type", "icmpv6.opt.type"),
    hex("option.link_layer_address", "icmpv6.opt.linkaddr"),
    same("option.prefix_length", "icmpv6.opt.prefix.length"),
    same("option.flags.on_link", "icmpv6.opt.prefix.flag.l"),
    same("option.flags.autonomous", "icmpv6.opt.prefix.flag.a"),
    same("option.flags.router", "icmpv6.opt.prefix.flag.r"),
    same("option.valid_lifetime", "icmpv6.opt.prefix.valid_lifetime"),
    same("option.preferred_lifetime", "icmpv6.opt.prefix.preferred_lifetime"),
    text("option.prefix", "icmpv6.opt.prefix"),
    left("option.redirected_header", "tshark dissects the packet instead of showing its bytes"),
    same("option.mtu", "icmpv6.opt.mtu"),
    same("option.preference", "icmpv6.opt.route_info.flag.route_preference"),
    same("option.route_lifetime", "icmpv6.opt.route_lifetime"),
    row("option.lifetime", "icmpv6.opt.rdnss.lifetime icmpv6.opt.dnssl.lifetime", Unordered),
    text("option.dns_server", "icmpv6.opt.rdnss"),
    text("option.domain", "icmpv6.opt.dnssl"),
    text("option.uri", "icmpv6.opt.captive_portal"),
    hex("option.nonce", "icmpv6.opt.nonce"),
    left("option.data", "tshark has a field for each kind of option that has no field with us"),
    same("maximum_response_delay", "icmpv6.mld.maximum_response_delay"),
    same("maximum_response_code", "icmpv6.mld.maximum_response_code"),
    text("multicast_address", "icmpv6.mld.multicast_address"),
    same("s", "icmpv6.mld.flag.s"),
    same("qrv", "icmpv6.mld.flag.qrv"),
    same("qqic", "icmpv6.mld.qqi"),
    same("number_of_sources", "icmpv6.mld.nb_sources"),
    same("number_of_records", "icmpv6.mldr.nb_mcast_records"),
    text("source_address", "icmpv6.mld.source_address"),
    same("record.type", "icmpv6.mldr.mar.record_type"),
    same("record.aux_data_len", "icmpv6.mldr.mar.aux_data_len"),
    text("record.multicast_address", "icmpv6.mldr.mar.multicast_address"),
    text("record.source_address", "icmpv6.mldr.mar.source_address"),
];

pub static IGMP: &[Row] = &[
    same("type", "igmp.type"),
    row("max_resp_code", "igmp.max_resp", Number),
    same("checksum", "igmp.checksum"),
    row("group_address record.multicast_address", "igmp.maddr", Text),
    same("s", "igmp.s"),
    same("qrv", "igmp.qrv"),
    same("qqic", "igmp.qqic"),
    left("number_of_sources", "tshark counts those of records in the same field: compared below"),
    same("number_of_group_records", "igmp.num_grp_recs"),
    row("source_address record.source_address", "igmp.saddr", Text),
    same("record.type", "igmp.record_type"),
    same("record.aux_data_len", "igmp.aux_data_len"),
];

/// What tshark calls the fields of the records' data.
const DATA: &str = "dns.a dns.aaaa dns.cname dns.ns dns.ptr.domain_name dns.dname \
    dns.mx.preference dns.mx.mail_exchange dns.srv.priority dns.srv.weight dns.srv.port dns.srv.target \
    dns.soa.mname dns.soa.rname dns.soa.serial_number dns.soa.refresh_interval dns.soa.retry_interval \
    dns.soa.expire_limit dns.soa.minimum_ttl dns.txt dns.hinfo.cpu dns.hinfo.os";

/// The root is a dot with us.
fn name(theirs: &str) -> String {
    if theirs == "<Root>" { ".".to_owned() } else { theirs.to_owned() }
}

/// Number and class of those records only that are no options of EDNS, as tshark has it.
macro_rules! dns {
    ($($more:expr),*) => {
        &[
            same("length", "dns.length"),
            same("id", "dns.id"),
            same("qr", "dns.flags.response"),
            same("opcode", "dns.flags.opcode"),
            same("tc", "dns.flags.truncated"),
            same("rcode", "dns.flags.rcode"),
            same("qdcount", "dns.count.queries dns.count.zones"),
            same("ancount", "dns.count.answers dns.count.prerequisites"),
            same("nscount", "dns.count.auth_rr dns.count.updates"),
            same("arcount", "dns.count.add_rr"),
            row("question.name", "dns.qry.name", After(name)),
            same("question.type", "dns.qry.type"),
            same("question.class", "dns.qry.class"),
            row("answer.name authority.name additional.name", "dns.resp.name", After(name)),
            same("answer.type authority.type additional.type", "dns.resp.type"),
            row("answer.data authority.data additional.data", DATA, Words),
            same("edns.udp_payload_size", "dns.rr.udp_payload_size"),
            same("edns.version", "dns.resp.edns0_version"),
            same("edns.do", "dns.resp.z.do"),
            $($more),*
        ]
    };
}

const OPT: &str = "tshark leaves it out of EDNS' pseudo record, where it means something else";

pub static DNS: &[Row] = dns![
    same("aa", "dns.flags.authoritative"),
    same("rd", "dns.flags.recdesired"),
    same("ra", "dns.flags.recavail"),
    same("ad", "dns.flags.authenticated"),
    same("cd", "dns.flags.checkdisable"),
    same("answer.class authority.class", "dns.resp.class"),
    same("answer.ttl authority.ttl", "dns.resp.ttl"),
    left("additional.class", OPT),
    left("additional.ttl", OPT),
    left("question.unicast_response", "is mDNS' only"),
    left("answer.cache_flush", "is mDNS' only"),
    left("authority.cache_flush", "is mDNS' only"),
    left("additional.cache_flush", "is mDNS' only")
];

pub static MDNS: &[Row] = dns![
    same("aa", "dns.flags.authoritative"),
    same("rd", "dns.flags.recdesired"),
    same("ra", "dns.flags.recavail"),
    same("ad", "dns.flags.authenticated"),
    same("cd", "dns.flags.checkdisable"),
    same("answer.class authority.class", "dns.resp.class"),
    same("answer.ttl authority.ttl", "dns.resp.ttl"),
    left("additional.class", OPT),
    left("additional.ttl", OPT),
    same("question.unicast_response", "dns.qry.qu"),
    same("answer.cache_flush authority.cache_flush", "dns.resp.cache_flush"),
    left("additional.cache_flush", OPT)
];
