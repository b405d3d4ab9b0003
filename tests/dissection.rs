//! Every field of every protocol beside tshark: the same values in the same frames.
//!
//! For each protocol ten thousand frames are made from a seed, of every type of message with varied
//! options and flags; a fifth of them is damaged or cut. tshark reads them once and prints the fields
//! that the tables under `dissected/tables` name; they have to be ours. In whole frames everything is
//! equal, the layers and the verdicts on checksums included; in damaged ones whatever both sides found.
//!
//! Where the two differ by design, the tables say why.

mod dissected;

use std::fs;
use std::path::Path;

use dissected::compare::{compare_capture, compare_made};
use dissected::frames::{self, Make};
use dissected::tables::BY_PROTOCOL;
use uarttool::proto;
use uarttool::record::LinkType;

/// Makes a test for each line: its name, its link type, what makes its frames, the protocols whose
/// fields are compared.
macro_rules! same_as_tshark {
    ($($name:ident: $link:ident, $make:expr, [$($protocol:literal),*];)*) => {
        $(
            #[test]
            #[ignore = "needs tshark: scripts/test"]
            fn $name() {
                let make: Make = $make;
                compare_made(LinkType::$link, make, &[$($protocol),*]);
            }
        )*
    };
}

same_as_tshark! {
    tags_and_llc: ETHERNET, frames::link::ethernet, ["vlan", "ethernet", "llc", "stp"];
    spanning_tree: ETHERNET, frames::link::spanning_tree, ["stp", "ethernet", "llc"];
    cooked: LINUX_SLL, frames::link::cooked, ["sll", "ipv4", "ipv6", "arp", "udp"];
    cooked_v2: LINUX_SLL2, frames::link::cooked_v2, ["sll2", "ipv4", "ipv6", "arp", "udp"];
    bsd_loopback: NULL, frames::link::loopback, ["null", "ipv4", "ipv6", "udp"];
    arp: ETHERNET, frames::network::arp, ["arp", "ethernet"];
    ipv4: ETHERNET, frames::network::ipv4, ["ipv4", "ethernet", "vlan", "ipv6", "udp", "icmp"];
    ipv6: ETHERNET, frames::network::ipv6, [
        "ipv6", "ethernet", "ipv6_hop_by_hop", "ipv6_routing", "ipv6_fragment",
        "ipv6_destination", "ah", "udp"
    ];
    icmp: ETHERNET, frames::control::icmp, ["icmp", "ipv4", "udp", "tcp"];
    icmpv6: ETHERNET, frames::control::icmpv6, ["icmpv6", "ipv6", "ipv6_hop_by_hop", "udp", "tcp"];
    igmp: ETHERNET, frames::control::igmp, ["igmp", "ipv4"];
    udp: ETHERNET, frames::transport::udp, ["udp", "ipv4", "ipv6"];
    tcp: ETHERNET, frames::transport::tcp, ["tcp", "ipv4", "ipv6"];
    coap: ETHERNET, frames::coap::coap, ["coap", "udp"];
    dhcp: ETHERNET, frames::dhcp::dhcp, ["dhcp", "udp"];
    dns: ETHERNET, frames::dns::dns, ["dns", "udp", "tcp"];
    mdns: ETHERNET, frames::dns::mdns, ["mdns", "udp"];
    llmnr: ETHERNET, frames::dns::llmnr, ["llmnr", "udp"];
    http: ETHERNET, frames::http::http, ["http", "tcp"];
    mqtt: ETHERNET, frames::mqtt::mqtt, ["mqtt", "tcp"];
    ntp: ETHERNET, frames::small::ntp, ["ntp", "udp"];
    tftp: ETHERNET, frames::small::tftp, ["tftp", "udp"];
    tls: ETHERNET, frames::tls::tls, ["tls", "tcp"];
    crafted: ETHERNET, frames::crafted::crafted, [
        "udp", "ethernet", "vlan", "llc", "arp", "ipv4", "ipv6", "ipv6_hop_by_hop", "ipv6_fragment",
        "ipv6_destination", "icmp", "icmpv6", "igmp", "tcp", "dhcp", "dns", "ntp"
    ];
}

#[test]
#[ignore = "needs tshark: scripts/test"]
fn the_corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut differences = String::new();
    for entry in fs::read_dir(folder).expect("there is a corpus") {
        let path = entry.expect("it can be read").path();
        if path.extension().is_some_and(|extension| extension == "pcap" || extension == "pcapng") {
            let found = compare_capture(&path);
            if !found.is_empty() {
                differences += &format!("{}:{found}\n", path.display());
            }
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

#[test]
fn every_field_is_compared_or_has_a_reason_not_to_be() {
    let named: Vec<(&str, &str)> = BY_PROTOCOL
        .iter()
        .flat_map(|table| table.rows.iter().flat_map(|row| row.names(table.protocol)))
        .collect();
    let fields = proto::ALL
        .iter()
        .flat_map(|protocol| protocol.fields.iter().map(|field| (protocol.name, field.name)));
    let fields: Vec<(&str, &str)> = fields.collect();
    let missing: Vec<_> = fields.iter().filter(|field| !named.contains(field)).collect();
    assert!(missing.is_empty(), "without a row: {missing:?}");
    let unknown: Vec<_> = named.iter().filter(|name| !fields.contains(name)).collect();
    assert!(unknown.is_empty(), "no fields: {unknown:?}");
    assert!(BY_PROTOCOL.iter().all(|table| proto::ALL.iter().any(|p| p.name == table.protocol)));
}
