//! What holds of any text and of any frame.

use proptest::prelude::*;

use super::{Filter, Seen, filter, seen};
use crate::dissect::Dissector;
use crate::proto::examined::damaged;
use crate::proto::samples;
use crate::record::LinkType;

/// Filters that are sound, of every kind.
const SAMPLES: &[&str] = &[
    "",
    "icmp",
    "tcp port 80 or udp",
    "not host 192.168.100.1 and (port 53 or vlan 5 and ip6)",
    "net 2001:db8::/32 or ether proto 0xe0",
    "tcp[(tcp[12] & 0xf0) >> 2 : 4] = 0x47455420",
    "len % ip[8] / ip[9] - 3 < ether[len - 4 : 4]",
    "ip.ttl < 5 or tcp.flags.syn and malformed",
    "arp.op == 1 or eth.addr == ff:ff:ff:ff:ff:ff or not from device",
];

/// Texts that nearly are filters.
fn texts() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "ip",
        "ip6",
        "tcp",
        "udp",
        "arp",
        "ether",
        "vlan",
        "and",
        "or",
        "not",
        "(",
        ")",
        "[",
        "]",
        ":",
        "host",
        "net",
        "port",
        "portrange",
        "src",
        "dst",
        "proto",
        "10.0.0.1",
        "192.168",
        "10",
        "80",
        "0x1f",
        "80-90",
        "http",
        "fe80::1",
        "02:00:00:00:00:01",
        "/",
        "8",
        "mask",
        "255.0.0.0",
        "len",
        "=",
        "<",
        "!=",
        "+",
        "-",
        "%",
        "&",
        "<<",
        "tcp-syn",
        "less",
        "greater",
        "broadcast",
        "multicast",
        "from",
        "to",
        "device",
        "malformed",
        "ip.ttl",
        "tcp.flags.syn",
        "ip.src",
        "contains",
        "\"x\"",
        "ipv4",
        "\\tcp",
        "icmp",
    ]);
    prop::collection::vec(words, 0..12).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,80}") {
        if let Err(error) = Filter::parse(&text) {
            prop_assert!(error.position <= text.len());
            let _ = error.to_string();
        }
    }

    #[test]
    fn what_is_shown_means_the_same(text in texts(), frame in frames()) {
        if let Ok(first) = Filter::parse(&text) {
            let again = filter(&first.to_string());
            prop_assert_eq!(&first.expr, &again.expr, "{} -> {}", text, first);
            let mut dissector = Dissector::default();
            let verdict = first.matches(&seen(&frame), || dissector.dissect(&frame));
            prop_assert_eq!(verdict, again.matches(&seen(&frame), || dissector.dissect(&frame)));
        }
    }

    #[test]
    fn no_frame_makes_it_panic(frame in frames(), which in 0..SAMPLES.len(), link in 0u16..300) {
        let filter = filter(SAMPLES[which]);
        for link in [LinkType(link), LinkType::ETHERNET, LinkType::RAW, LinkType::LINUX_SLL] {
            let seen = Seen { link, ..seen(&frame) };
            let mut dissector = Dissector::default();
            filter.matches(&seen, || dissector.dissect(&frame));
        }
    }
}

/// Good frames, damaged and cut.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    damaged(&[samples::echo_request(), samples::syn(), samples::datagram(), samples::arp_request()])
}
