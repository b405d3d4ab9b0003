//! ICMP, ICMPv6, IGMP and the family of DNS.

use super::How::{After, Levelled, Reworded, Text, Unordered};
use super::{Row, hex, left, row, same, text};

pub static ICMP: &[Row] = &[
    same("type", "icmp.type"),
    same("code", "icmp.code"),
    same("checksum", "icmp.checksum"),
    same("identifier", "icmp.ident"),
    same("sequence_number", "icmp.seq"),
    text("gateway", "icmp.redir_gw"),
    same("pointer", "icmp.pointer"),
    row("length", "icmp.length", Levelled(without_zero)),
    same("mtu", "icmp.mtu"),
    same("originate_timestamp", "icmp.originate_timestamp"),
    same("receive_timestamp", "icmp.receive_timestamp"),
    same("transmit_timestamp", "icmp.transmit_timestamp"),
    text("address_mask", "icmp.address_mask"),
    same("num_addrs", "icmp.num_addrs"),
    same("addr_entry_size", "icmp.addr_entry_size"),
    same("lifetime", "icmp.lifetime"),
    text("router_address", "icmp.router_address"),
    row("preference_level", "icmp.pref_level", After(unsigned)),
];

pub static ICMPV6: &[Row] = &[
    same("type", "icmpv6.type"),
    same("code", "icmpv6.code"),
    same("checksum", "icmpv6.checksum"),
    same("identifier", "icmpv6.echo.identifier"),
    same("sequence_number", "icmpv6.echo.sequence_number"),
    same("mtu", "icmpv6.mtu"),
    same("pointer", "icmpv6.pointer"),
    row("length", "icmpv6.length", Levelled(without_zero)),
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
    text("option.domain", "icmpv6.opt.dnssl").whole("broken names are shown in many ways"),
    text("option.uri", "icmpv6.opt.captive_portal"),
    hex("option.nonce", "icmpv6.opt.nonce"),
    left("option.data", "tshark has a field for each kind of option that has no field with us"),
    // In reports the field is reserved: tshark shows it all the same.
    row(
        "maximum_response_delay",
        "icmpv6.mld.maximum_response_delay",
        Levelled(|ours, theirs| {
            theirs.truncate(ours.len());
        }),
    ),
    // tshark shows what the codes mean.
    row(
        "maximum_response_code",
        "icmpv6.mld.maximum_response_code",
        Levelled(|ours, _| {
            decode(ours, 12);
        }),
    ),
    text("multicast_address", "icmpv6.mld.multicast_address"),
    same("s", "icmpv6.mld.flag.s"),
    same("qrv", "icmpv6.mld.flag.qrv"),
    row("qqic", "icmpv6.mld.qqi", Levelled(|ours, _| decode(ours, 4))),
    same("number_of_sources", "icmpv6.mld.nb_sources"),
    same("number_of_records", "icmpv6.mldr.nb_mcast_records"),
    text("source_address", "icmpv6.mld.source_address"),
    same("record.type", "icmpv6.mldr.mar.record_type"),
    same("record.aux_data_len", "icmpv6.mldr.mar.aux_data_len"),
    text("record.multicast_address", "icmpv6.mldr.mar.multicast_address"),
    text("record.source_address", "icmpv6.mldr.mar.source_address"),
];

/// tshark leaves out what is zero here.
fn without_zero(ours: &mut Vec<String>, _: &mut Vec<String>) {
    ours.retain(|number| number != "0");
}

/// Ours has no numbers below zero.
fn unsigned(text: &str) -> String {
    text.parse::<i64>().map_or_else(|_| text.to_owned(), |number| (number as u32).to_string())
}

/// Codes with a mantissa of so many bits (RFC 3810 section 5.1.3) as what they mean.
fn decode(codes: &mut [String], bits: u32) {
    for code in codes {
        let number: u64 = code.parse().expect("a number");
        if number >> (bits + 3) != 0 {
            let (exponent, mantissa) = (number >> bits & 7, number & ((1 << bits) - 1));
            *code = ((mantissa | 1 << bits) << (exponent + 3)).to_string();
        }
    }
}

pub static IGMP: &[Row] = &[
    same("type", "igmp.type"),
    // tshark shows what the codes mean.
    row(
        "max_resp_code",
        "igmp.max_resp",
        Levelled(|ours, theirs| {
            theirs.truncate(ours.len());
            decode(ours, 4);
        }),
    )
    .whole("other types have it with tshark"),
    same("checksum", "igmp.checksum"),
    text("group_address record.multicast_address", "igmp.maddr")
        .whole("of unknown types tshark shows no group"),
    same("s", "igmp.s"),
    same("qrv", "igmp.qrv"),
    same("qqic", "igmp.qqic"),
    // Those of records are counted in the same field of theirs.
    row("number_of_sources", "igmp.num_src", Levelled(|ours, theirs| theirs.truncate(ours.len()))),
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

/// tshark shows these flags in answers only.
fn of_answers(ours: &mut Vec<String>, theirs: &mut Vec<String>) {
    ours.truncate(theirs.len());
}

/// tshark leaves them out of EDNS' pseudo record, where they mean something else. It is the last record.
fn without_edns(ours: &mut Vec<String>, theirs: &mut Vec<String>) {
    if ours.len() == theirs.len() + 1 {
        ours.pop();
    }
}

/// Options of EDNS are summed up with us.
fn data(ours: &mut Vec<String>, theirs: &mut Vec<String>) {
    ours.retain(|data| data != "no options" && !data.ends_with(" bytes"));
    for side in [ours, theirs] {
        let mut words: Vec<String> = side
            .iter()
            .flat_map(|value| value.split_whitespace())
            .map(|word| name(word.trim_matches('"')))
            .collect();
        words.sort();
        *side = words;
    }
}

/// Of a service tshark takes the name apart: all are compared label by label.
fn labels(ours: &mut Vec<String>, theirs: &mut Vec<String>) {
    for side in [ours, theirs] {
        let labels = side.iter().filter(|name| *name != "<Root>").flat_map(|name| name.split('.'));
        let mut labels: Vec<String> = labels.filter(|l| !l.is_empty()).map(str::to_owned).collect();
        labels.sort();
        *side = labels;
    }
}

/// What all three protocols of the family have in common, and what they have not.
macro_rules! dns {
    ($($more:expr),*) => {
        &[
            same("id", "dns.id"),
            same("qr", "dns.flags.response"),
            same("opcode", "dns.flags.opcode"),
            same("tc", "dns.flags.truncated"),
            row("rcode", "dns.flags.rcode", Levelled(of_answers)),
            same("qdcount", "dns.count.queries dns.count.zones"),
            same("ancount", "dns.count.answers dns.count.prerequisites"),
            same("nscount", "dns.count.auth_rr dns.count.updates"),
            same("arcount", "dns.count.add_rr"),
            row("question.name", "dns.qry.name", After(name)),
            same("question.type", "dns.qry.type"),
            same("question.class", "dns.qry.class").whole(ODD),
            row(
                "answer.name authority.name additional.name",
                "dns.resp.name dns.srv.service dns.srv.proto dns.srv.name",
                Reworded(labels)
            )
            .whole("names that are broken are shown in many ways"),
            same("answer.type authority.type additional.type", "dns.resp.type"),
            row(
                "answer.class authority.class additional.class",
                "dns.resp.class",
                Levelled(without_edns)
            ),
            row("answer.ttl authority.ttl additional.ttl", "dns.resp.ttl", Levelled(without_edns)),
            row("answer.data authority.data additional.data", DATA, Reworded(data))
                .whole("data that are broken are shown in many ways"),
            same("edns.udp_payload_size", "dns.rr.udp_payload_size")
                .whole("tshark takes a bit of it for another flag in mDNS"),
            same("edns.version", "dns.resp.edns0_version"),
            same("edns.do", "dns.resp.z.do"),
            $($more),*
        ]
    };
}

const MDNS_ONLY: &str = "mDNS alone has it";

pub static DNS: &[Row] = dns![
    same("length", "dns.length"),
    row("aa", "dns.flags.authoritative", Levelled(of_answers)),
    same("rd", "dns.flags.recdesired"),
    row("ra", "dns.flags.recavail", Levelled(of_answers)),
    row("ad", "dns.flags.authenticated", Levelled(of_answers)),
    same("cd", "dns.flags.checkdisable"),
    left("question.unicast_response", MDNS_ONLY),
    left("answer.cache_flush", MDNS_ONLY),
    left("authority.cache_flush", MDNS_ONLY),
    left("additional.cache_flush", MDNS_ONLY)
];

const ODD: &str = "in questions for odd types that bit is part of the class with us";

pub static MDNS: &[Row] = dns![
    left("length", "is in front of messages in TCP only"),
    row("aa", "dns.flags.authoritative", Levelled(of_answers)),
    same("rd", "dns.flags.recdesired"),
    row("ra", "dns.flags.recavail", Levelled(of_answers)),
    row("ad", "dns.flags.authenticated", Levelled(of_answers)),
    same("cd", "dns.flags.checkdisable"),
    same("question.unicast_response", "dns.qry.qu").whole(ODD),
    // tshark shows one of EDNS' pseudo record, too.
    row(
        "answer.cache_flush authority.cache_flush additional.cache_flush",
        "dns.resp.cache_flush",
        Levelled(|ours, theirs| theirs.truncate(ours.len()))
    )
];

const RESERVED: &str = "reserved in LLMNR (RFC 4795 section 2.1.1): tshark does not show it";

pub static LLMNR: &[Row] = dns![
    left("length", "is in front of messages in TCP, where tshark does not look for LLMNR"),
    same("aa", "dns.flags.conflict"),
    same("rd", "dns.flags.tentative"),
    left("ra", RESERVED),
    left("ad", RESERVED),
    left("cd", RESERVED),
    left("question.unicast_response", MDNS_ONLY),
    left("answer.cache_flush", MDNS_ONLY),
    left("authority.cache_flush", MDNS_ONLY),
    left("additional.cache_flush", MDNS_ONLY)
];
