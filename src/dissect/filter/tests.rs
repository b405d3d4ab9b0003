//! Filters on frames and on what is no frame; what is said about filters that are none.

use proptest::prelude::*;

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

#[test]
fn hostile_texts_are_refused_in_time() {
    let deep = ["(".repeat(30_000) + "ip" + &")".repeat(30_000), "not ".repeat(16_000) + "ip"];
    let wide = [
        "len ".to_owned() + &"+ 1".repeat(20_000) + " = 3",
        "ip[".repeat(20_000) + "0" + &"]".repeat(20_000) + " = 3",
        "port 1".to_owned() + &" or 1".repeat(13_000),
        "1 % ".repeat(100) + "1 = 1",
        "x".repeat(70_000),
    ];
    for text in deep.iter().chain(&wide) {
        let error = Filter::parse(text).expect_err("it is refused").to_string();
        assert!(error.len() < 400, "{error}");
    }
    assert!(Filter::parse(&("ip".to_owned() + &" or ip".repeat(9_000))).is_ok());
    assert!(Filter::parse(&("((((".repeat(20) + "ip" + &"))))".repeat(20))).is_ok());
}

#[test]
fn what_was_understood_is_shown_without_omissions() {
    let shown = [
        "tcp dst port ftp or 21 and not https",
        "host 10.1 and not (192.168.0.1 or fe80::1)",
        "net 10 or 172.16/12 or 2001:db8::/32",
        "ether host 020000000001 or vlan 5 and ip proto \\tcp or 17",
        "tcp[tcpflags] & (tcp-syn|tcp-ack) != 0 || -len + 3 % 2 * 4 < ip[2:2]",
        "from-device and ip.src == 10.0.0.0/8 and tcp.flags.syn or greater 100",
        "(ip or arp) and portrange 20-ssh and multicast or ip6 multicast",
    ]
    .map(|text| filter(text).to_string());
    insta::assert_snapshot!(shown.join("\n"), @r"
    tcp dst port 21 or tcp dst port 21 and not tcp dst port 443
    net 10.1.0.0 mask 255.255.0.0 and not (host 192.168.0.1 or host fe80::1)
    net 10.0.0.0 mask 255.0.0.0 or net 172.16.0.0 mask 255.240.0.0 or net 2001:db8::/32
    ether host 02:00:00:00:00:01 or vlan 5 and ip proto 6 or ip proto 17
    tcp[13] & (2 | 16) != 0 or (-len) + (3 % (2 * 4)) < ip[2 : 2]
    from device and ip.src == 10.0.0.0/8 and tcp.flags.syn or len >= 100
    (ip or arp) and portrange 20-22 and multicast or ip6 multicast
    ");
}

#[test]
fn errors_say_what_is_wrong_where_and_what_was_meant() {
    let texts = [
        "ports 80",
        "tcp prot 80",
        "tcp.flag.syn",
        "ip.tll < 5",
        "tpc.flags.syn",
        "icpm",
        "host example.com",
        "host 192.168.1.300",
        "host 10.0.0.0/8",
        "net 10.1.0.0/8",
        "net 10.0.0.0/33",
        "(icmp or arp",
        "icmp or arp)",
        "icmp and",
        "icmp arp",
        "icmp adn arp",
        "",
        "port 70000",
        "port htpp",
        "port 80-90",
        "udp port http",
        "icmp port 80",
        "portrange 1-99999",
        "80",
        "icmp or 80",
        "host 02:00:00:00:00:01",
        "ether host 10.0.0.1",
        "ip6 host 10.0.0.1",
        "ether",
        "from house",
        "tcp[13 & 2 != 0",
        "tcp[13:3] = 0",
        "tcp[13] & tcp-sin != 0",
        "ip[2-1] = 0",
        "ah[0] = 1",
        "len / 0 = 1",
        "len",
        "vlan 5000",
        "ip.ttl == fast",
        "ip.src < 10.0.0.1",
        "ip.ttl contains 5",
        "tcp.flags.syn == 2",
        "inbound and tcp",
        "ip proto tpc",
        "host 09",
        "\"icmp",
        "icmp ; arp",
    ];
    let errors = texts.iter().filter_map(|text| Filter::parse(text).err());
    let shown: Vec<String> = errors.map(|error| error.to_string()).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    unknown word 'ports'; did you mean 'port'?
      ports 80
      ^
    unknown word 'prot'; did you mean 'port'?
      tcp prot 80
          ^
    'tcp' has no field 'flag.syn'; did you mean 'tcp.flags.syn'?
      tcp.flag.syn
      ^
    'ip' has no field 'tll'; did you mean 'ip.ttl'?
      ip.tll < 5
      ^
    unknown protocol 'tpc'; did you mean 'tcp.flags.syn'?
      tpc.flags.syn
      ^
    unknown word 'icpm'; did you mean 'icmp'?
      icpm
      ^
    'example.com' is no address, and names are not resolved
      host example.com
           ^
    '192.168.1.300' is no IPv4 address
      host 192.168.1.300
           ^
    'host' takes a single address; say 'net'
      host 10.0.0.0/8
                   ^
    bits behind the network's are set; did you mean 10.0.0.0?
      net 10.1.0.0/8
          ^
    a prefix has at most 32 bits, not 33
      net 10.0.0.0/33
                   ^
    this parenthesis is not closed
      (icmp or arp
      ^
    this parenthesis closes none that is open
      icmp or arp)
                 ^
    the filter ends where a statement about the frame should follow
      icmp and
              ^
    'arp' does not belong here; statements are connected by 'and' or 'or'
      icmp arp
           ^
    'adn' does not belong here; did you mean 'and'?
      icmp adn arp
           ^
    port 70000 is out of range (0 to 65535)
      port 70000
           ^
    unknown service 'htpp'; did you mean 'http'?
      port htpp
           ^
    '80-90' is a range; say 'portrange 80-90'
      port 80-90
           ^
    'http' is over TCP, not UDP
      udp port http
               ^
    'icmp' has no ports; 'tcp', 'udp' and 'sctp' have
      icmp port 80
                ^
    port 99999 is out of range (0 to 65535)
      portrange 1-99999
                ^
    '80' stands by itself; say what it is: 'host', 'net', 'port', ...
      80
      ^
    '80' stands by itself; say what it is: 'host', 'net', 'port', ...
      icmp or 80
              ^
    '02:00:00:00:00:01' is an Ethernet address; say 'ether host 02:00:00:00:00:01'
      host 02:00:00:00:00:01
           ^
    '10.0.0.1' is no Ethernet address
      ether host 10.0.0.1
                 ^
    '10.0.0.1' is no IPv6 address
      ip6 host 10.0.0.1
               ^
    the filter ends where 'host', 'src', 'dst', 'proto', 'broadcast' or 'multicast' behind 'ether' should follow
      ether
           ^
    'house' where 'device' behind 'from' should be
      from house
           ^
    '!=' where ':', an operator or ']' should be
      tcp[13 & 2 != 0
                 ^
    1, 2 or 4 bytes can be looked at
      tcp[13:3] = 0
             ^
    unknown number 'tcp-sin'; did you mean 'tcp-fin'?
      tcp[13] & tcp-sin != 0
                ^
    '2-1' is no number: it is one word; put spaces around '-'
      ip[2-1] = 0
         ^
    the bytes of 'ah' cannot be looked at
      ah[0] = 1
      ^
    this divides by 0
      len / 0 = 1
            ^
    the filter ends where a comparison ('=', '!=', '<', '<=', '>' or '>=') should follow
      len
         ^
    VLAN 5000 is out of range (0 to 4095)
      vlan 5000
           ^
    'fast' where a number ('ip.ttl' is one) should be
      ip.ttl == fast
                ^
    'ip.src' has no order; '==' and '!=' compare it
      ip.src < 10.0.0.1
             ^
    'ip.ttl' is no text that could contain another
      ip.ttl contains 5
             ^
    '2' where 0 or 1 ('tcp.flags.syn' is a flag) should be
      tcp.flags.syn == 2
                       ^
    'inbound' is not supported: say 'from device' or 'to device'
      inbound and tcp
      ^
    'tpc' is not an IP protocol known here; did you mean 'tcp'?
      ip proto tpc
               ^
    '09' begins with 0 but is not octal
      host 09
           ^
    this quotation mark (") is not closed
      "icmp
      ^
    ';' where 'and' or 'or' should be
      icmp ; arp
           ^
    "#);
}

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
    let good = prop::sample::select(vec![
        samples::echo_request(),
        samples::syn(),
        samples::datagram(),
        samples::arp_request(),
    ]);
    let damage = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..5);
    (good, damage, any::<prop::sample::Index>()).prop_map(|(mut frame, damage, cut)| {
        for (at, byte) in damage {
            let at = at.index(frame.len());
            frame[at] = byte;
        }
        frame.truncate(cut.index(frame.len() + 1));
        frame
    })
}
