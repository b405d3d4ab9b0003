//! Filters on frames and on what is no frame.

mod properties;
mod texts;

use super::{Filter, Other, Seen};
use crate::dissect::Dissector;
use crate::proto::{Stack, samples};
use crate::record::{Direction, LinkType};

fn filter(text: &str) -> Filter {
    Filter::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

fn seen(frame: &[u8]) -> Seen<'_> {
    let (direction, link) = (Direction::ToDevice, LinkType::ETHERNET);
    Seen { frame, length: frame.len(), direction, link }
}

fn matches(text: &str, frame: &[u8]) -> bool {
    let mut dissector = Dissector::default();
    filter(text).matches(&seen(frame), || dissector.dissect(frame))
}

/// Panics unless the frame matches all of `yes` and none of `no`.
fn check(frame: &[u8], yes: &[&str], no: &[&str]) {
    for text in yes {
        assert!(matches(text, frame), "{text}");
        assert!(!matches(&format!("not ({text})"), frame), "not {text}");
    }
    for text in no {
        assert!(!matches(text, frame), "{text}");
        assert!(matches(&format!("not ({text})"), frame), "not {text}");
    }
}

#[test]
fn fields_are_compared() {
    check(
        &samples::echo_request(),
        &[
            "ip.ttl == 64",
            "ip.ttl=64",
            "ipv4.ttl > 0x3f",
            "ip.ttl <= 64",
            "ip.src == 192.168.100.1",
            "ip.src == 192.168.0.0/16",
            "ip.dst != 192.168.100.1",
            "ip.addr == 192.168.100.2",
            "ip.addr != 192.168.100.2",
            "eth.src == 02:00:00:00:00:01",
            "ethernet.dst = 02-00-00-00-00-02",
            "eth.addr == 2:0:0:0:0:2",
            "eth.type == 0x800",
            "ip.flags.df",
            "ip.flags.df == true",
            "ip.flags.mf == 0",
            "ip.total.length == 84",
            "ip.len == 84 and ip.id == 1 and ip.proto == 1",
            "icmp.type == 8 and icmp.seq == 1",
            "icmp.checksum",
            "ip.src == 0.0.0.0/0",
        ],
        &[
            "ip.ttl < 64",
            "ip.flags.mf",
            "ip.flags.df == false",
            "ip.src == 10.0.0.0/8",
            "ip.src != 192.168.0.0/16",
            "tcp.flags.syn",
            "tcp.seq == 0",
            "arp.op == 1",
            "eth.dst == ff:ff:ff:ff:ff:ff",
        ],
    );
    check(
        &samples::syn(),
        &[
            "tcp.flags.syn",
            "tcp.port == 80",
            "tcp.dstport == 80",
            "tcp.seq == 1000",
            "tcp.window > 4095",
        ],
        &[
            "tcp.flags.ack",
            "tcp.flags.fin or tcp.flags.reset",
            "tcp.srcport == 80",
            "udp.port == 80",
        ],
    );
    check(&samples::arp_request(), &["arp.op == 1", "arp.spa == 192.168.100.2"], &["arp.op == 2"]);
}

#[test]
fn layers_have_names() {
    check(
        &samples::echo_request(),
        &["ethernet", "ipv4", "icmp", "ipv4 and icmp"],
        &["arp or udp"],
    );
}

#[test]
fn what_is_malformed() {
    let good = samples::echo_request();
    check(&good, &["icmp"], &["malformed"]);
    let mut bad = good.clone();
    bad[40] ^= 1;
    check(&bad, &["malformed", "icmp and malformed"], &["not malformed"]);
}

#[test]
fn directions_are_two_words_or_one() {
    let frame = samples::syn();
    check(
        &frame,
        &["to device", "to-device", "tcp and to device"],
        &["from device", "from-device"],
    );
    for text in ["from device", "to device"] {
        let unknown = Seen { direction: Direction::Unknown, ..seen(&frame) };
        let mut dissector = Dissector::default();
        assert!(!filter(text).matches(&unknown, || dissector.dissect(&frame)), "{text}");
    }
}

#[test]
fn too_short_a_frame_is_rejected_as_by_tcpdump() {
    let frame = &samples::syn()[..20];
    for text in ["tcp", "not tcp", "not ip[100] = 0", "ip[100] = 0 or ip"] {
        assert!(!matches(text, frame), "{text}");
    }
    for text in ["ip", "ip or tcp", "not arp", "len = 20 or tcp"] {
        assert!(matches(text, frame), "{text}");
    }
}

#[test]
fn with_our_words_too_short_a_frame_is_undecided_in_one_statement() {
    let frame = &samples::syn()[..20];
    for text in [
        "tcp or malformed",
        "not tcp or malformed",
        "not (tcp and not malformed)",
        "ip[100] / 0x10 = 0 or to device",
    ] {
        assert!(matches(text, frame), "{text}");
    }
    for text in ["tcp and malformed", "not tcp and malformed", "not (tcp or not malformed)"] {
        assert!(!matches(text, frame), "{text}");
    }
}

#[test]
fn layers_are_asked_for_once_and_only_when_needed() {
    let frame = samples::echo_request();
    let asked = |text: &str| {
        let mut dissector = Dissector::default();
        let mut times = 0;
        filter(text).matches(&seen(&frame), || {
            times += 1;
            dissector.dissect(&frame)
        });
        (filter(text).needs_layers(), times)
    };
    assert_eq!(asked("icmp and host 192.168.100.1 and to device"), (false, 0));
    assert_eq!(asked("tcp and ip.ttl < 5"), (true, 0));
    assert_eq!(asked("malformed or ip.ttl < 5 or ip.ttl < 6"), (true, 1));
}

#[test]
fn the_length_is_that_on_the_line() {
    let frame = samples::syn();
    let cut = Seen { length: 1000, ..seen(&frame) };
    let mut dissector = Dissector::default();
    assert!(filter("greater 1000 and less 1000").matches(&cut, || dissector.dissect(&frame)));
}

#[test]
fn on_other_links_packets_are_found_and_ethernet_is_not() {
    let frame = samples::syn();
    let packet = &frame[14..];
    let cooked = [&[0; 14], &frame[12..14], packet].concat();
    let null = [&[2, 0, 0, 0], packet].concat();
    let verdict = |text: &str, bytes: &[u8], link| {
        let seen = Seen { link, ..seen(bytes) };
        filter(text).matches(&seen, || Stack {
            link,
            frame: &[],
            length: 0,
            layers: &[],
            notes: &[],
            relation: crate::proto::tcp::Relation::default(),
        })
    };
    for (bytes, link) in [
        (packet, LinkType::RAW),
        (packet, LinkType::IPV4),
        (&cooked, LinkType::LINUX_SLL),
        (&null, LinkType::NULL),
    ] {
        for text in
            ["tcp port 80", "host 192.168.100.1", "ip[8] = 64", "not ether[0] = 2", "not vlan"]
        {
            assert!(verdict(text, bytes, link), "{text} on {link:?}");
        }
        for text in ["ether host 2:0:0:0:0:1", "multicast", "ether[0] & 1 = 0", "ip6", "arp", "stp"]
        {
            assert!(!verdict(text, bytes, link), "{text} on {link:?}");
        }
    }
    assert!(!verdict("ip or ip6 or arp", packet, LinkType(147)));
}

#[test]
fn what_is_no_frame_passes_unless_it_is_excluded() {
    use Direction::{FromDevice, ToDevice, Unknown};
    let passes = |text: &str, what, direction| filter(text).passes_other(what, direction);
    for what in [Other::FramingError, Other::Gap, Other::Link, Other::Console] {
        let error = what == Other::FramingError;
        for direction in [FromDevice, ToDevice, Unknown] {
            assert!(passes("", what, direction));
            assert!(passes("icmp", what, direction));
            assert!(passes("not icmp and ip.ttl < 3", what, direction));
            assert_eq!(passes("malformed", what, direction), error);
            assert_eq!(passes("not malformed", what, direction), !error);
            assert_eq!(passes("malformed and icmp", what, direction), error);
            assert_eq!(passes("icmp and malformed", what, direction), error);
            assert!(passes("icmp or malformed", what, direction));
            assert_eq!(passes("not (icmp or malformed)", what, direction), !error);
            assert_eq!(passes("from device", what, direction), direction != ToDevice);
            assert_eq!(passes("not to device", what, direction), direction != ToDevice);
        }
    }
}
