//! Expressions: every construct by hand, and combinations of them by chance.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Expressions that cover the language, construct by construct.
pub fn written() -> &'static [&'static str] {
    &[
        "",
        // protocols
        "ip", "ip6", "arp", "rarp", "tcp", "udp", "sctp", "icmp", "icmp6", "igmp", "igrp", "pim",
        "vrrp", "carp", "ah", "esp", "decnet", "lat", "sca", "mopdl", "moprc", "atalk", "aarp",
        "iso", "stp", "ipx", "netbeui", "not ip", "not arp", "not tcp", "! udp",
        // hosts and networks
        "host 192.168.100.1", "src host 192.168.100.1", "dst host 192.168.100.2",
        "src or dst host 10.0.0.1", "dst or src host 10.0.0.1", "src and dst host 192.168.100.1",
        "dst and src host 1.2.3.4", "src 10.0.0.1", "dst 10.200.3.4", "ip host 1.2.3.4",
        "ip src 192.168.100.2", "arp host 192.168.100.1", "rarp src host 10.0.0.1", "arp net 10",
        "host 192.168", "host 10.0.0", "host 0", "host 0x01020304", "net 10", "net 192.168",
        "net 192.168.100", "net 192.168.100.1", "net 192.168.0.0/16", "net 10.0.0.0/8",
        "net 0.0.0.0/0", "src net 172.16/12", "dst net 224.0.0.0/4",
        "net 192.168.100.0 mask 255.255.255.0", "net 10.0 mask 255.0.255", "ip net 128.0/1 or arp",
        "host 2001:db8::1", "ip6 host 2001:db8::1", "src host fe80::1", "dst ff02::fb",
        "src and dst host ::1", "net 2001:db8::/32", "net 2001:db8::/64", "dst net ff00::/8",
        "net ::/0", "net 2001:db8::2", "ip6 net 2001:db8:0:1::/64", "net 2001:db8::/127",
        // ports
        "port 80", "src port 80", "dst port 53", "src or dst port 443", "src and dst port 80",
        "tcp port 80", "udp port 53", "sctp port 80", "tcp src port 443", "udp dst port 123",
        "tcp src and dst port 80", "port http", "port https", "port domain", "udp port ntp",
        "port tftp", "tcp port ftp", "tcp dst port ftp-data", "port bootps or port bootpc",
        "udp port mdns", "port 0x50", "port 0120", "port 65535", "portrange 20-80",
        "portrange 80-20", "tcp portrange 20-443", "udp portrange 53-69", "portrange 80",
        "src portrange 0-1024", "sctp dst portrange 1000-65535", "src and dst portrange 50-90",
        "portrange domain-80",
        // Ethernet
        "ether host 02:00:00:00:00:01", "ether src 2:0:0:0:0:2", "ether dst 02-00-00-00-00-01",
        "ether src host 0200.0000.0001", "ether dst host 020000000002",
        "ether src and dst 02:00:00:00:00:01", "ether broadcast", "ether multicast", "broadcast",
        "multicast", "ip multicast", "ip6 multicast", "ip broadcast", "not broadcast",
        "ether host 01.00.5e.00.00.fb", "link dst ff:ff:ff:ff:ff:ff",
        "ether proto 0x800", "ether proto \\ip", "ether proto \\arp", "ether proto 0x88cc",
        "ether proto 0x42", "ether proto 6", "ether proto 0xe0", "ether proto 0xf0",
        "ether proto 0xfe", "ether proto 0x809b", "ether proto 0x80f3", "ether proto 1500",
        "ether proto 1501", "ether proto 70000", "not ether proto 0x42",
        // protocol numbers
        "ip proto 6", "ip proto \\tcp", "ip6 proto 6", "ip6 proto 44", "ip6 proto \\udp",
        "proto 17", "proto 47", "proto gre", "proto \\icmp", "ip proto 300", "ip6 proto ipv6-icmp",
        "ip proto 6 or 17", "proto 6 or 17 or 132",
        // VLAN
        "vlan", "vlan 5", "vlan 0", "vlan 4095", "vlan and ip", "vlan 5 and tcp", "vlan or ip",
        "not vlan", "not vlan and ip", "vlan and vlan", "vlan 5 and vlan 100",
        "vlan and vlan and host 192.168.100.1", "ip or vlan and ip6", "vlan and port 80",
        "vlan and ether proto 0x42", "vlan and ip[8] < 5", "vlan and ether[0] & 1 = 1",
        "vlan and tcp[13] & 2 != 0", "vlan and icmp6[0] = 128", "vlan and arp[6:2] = 1",
        "(vlan 1 or vlan 2) and ip", "vlan and broadcast", "ip and vlan and vlan and vlan",
        "vlan and net 2001:db8::/32", "vlan and ether host 02:00:00:00:00:01",
        // length
        "less 60", "greater 100", "len = 60", "len == 42", "len != 60", "len > 64", "len >= 64",
        "len < 64", "len <= 64", "length > 100", "not less 60", "len - 14 > 46", "64 > len",
        // arithmetic
        "ip[0] & 0xf != 5", "ip[0] = 0x45", "ip[8] < 64", "ip[8] <= 64", "ip[8] > 64",
        "ip[8] >= 64", "ip[2:2] > 40", "ip[6:2] & 0x1fff = 0", "ip[12:4] = 0xc0a86401",
        "ip[16] >= 224", "ether[0] & 1 = 0 and ip[16] >= 224", "ether[12:2] = 0x800",
        "ether[6:4] = ether[0:4]", "arp[6:2] = 1", "arp[7] = 2", "rarp[7] > 2", "ip6[6] = 6",
        "ip6[40] = 17", "ip6[0] & 0xf0 = 0x60", "ip6[4:2] + 40 > 80", "tcp[13] = 2",
        "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", "tcp[tcpflags] == tcp-syn|tcp-ack",
        "tcp[tcpflags] & (tcp-rst|tcp-ack) == (tcp-rst|tcp-ack)", "tcp[0:2] = 80",
        "tcp[2:2] = tcp[0:2]", "tcp[(tcp[12] & 0xf0) >> 2] = 0x47", "tcp[4:4] > 0x80000000",
        "udp[4:2] > 100", "udp[0:2] + udp[2:2] = 133", "sctp[0:2] = 80", "icmp[0] = 8",
        "icmp[icmptype] = icmp-echo", "icmp[icmptype] != icmp-echoreply and icmp[icmpcode] < 3",
        "icmp6[icmp6type] = icmp6-echo", "icmp6[0] = icmp6-neighborsolicit", "icmp6[icmp6code] = 0",
        "igmp[0] > 100", "pim[0] < 99", "vrrp[1] & 1 = 0", "carp[2:2] > 9", "link[5] = 1",
        "tcp port 80 and (((ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2)) != 0)",
        "tcp[-4:4] = 0xc0a86401", "ip[-2:2] = 3", "ip[0xffffffff] = 1", "ether[len - 1] = 0",
        "ip[ip[8]] = 0", "ether[ether[20] & 31 : 2] > 999", "len / 2 * 2 = len", "len % 7 = 3",
        "len % 7 % 3 = 2", "len + 3 % 5 = 64", "len % 5 + 2 = 4", "len ^ 60 = 0", "len ^ 60 | 1 = 1",
        "len * 3 - 2 * 8 > 200", "len << 1 > 120", "len >> 2 << 2 = len", "len & 3 | 4 = 5",
        "-len = -60", "- len % 7 = 3", "len - -4 = 64", "ip[8] / ip[9] = 10", "ip[8] % ip[9] = 4",
        "ip[8] / (ip[9] - 6) > 3", "ip[8] << ip[9] = 0", "ip[8] >> ip[1] = 0", "1 = 1", "1 = 2",
        "ip[0] + tcp[0] = 0x45", "tcp[13] + ip6[0] = 2", "ip[9] = 6 and ip[8] * 2 = 128",
        "ip[9] * 0 = 0", "0x10 = 020", "ip[6] & 0x40 != 0", "(ip[8] + 1) / 65 = 1",
        "icmp[0] = 8 or icmp6[0] = 128", "atalk[0] = 1", "decnet[1] > 9", "sca[0] = 1 or lat[0] < 9",
        "(len) > 60", "((len)) > (60)", "(tcp[13] & 2) = 2", "ip[(8)] = (64)",
        // connectives and what may be left out
        "ip and tcp or udp", "ip or tcp and udp", "icmp or arp and not ip", "arp || icmp && host 1.2.3.4",
        "not ip and not arp", "not (ip or arp)", "not not ip", "!(tcp port 80)", "not tcp port 80 or 443",
        "port 80 or 443", "port 80 and not 443", "tcp dst port ftp or 21 or domain",
        "host 10.0.0.1 and 192.168.100.1", "not host 192.168.100.1 and 10.0.0.1",
        "host (192.168.100.1 or 10.0.0.1)", "host 192.168.100.1 and (10.0.0.1 or 1.2.3.4)",
        "host 192.168.100.1 and not (10.0.0.1 or 1.2.3.4)", "port (80 or 443)", "port (80)",
        "port not 80", "tcp port not (80 or 443)", "src port 80 or 443 and dst port 53 or 123",
        "net 10 or 192.168", "net 10.0.0.0/8 or 172.16.0.0/12", "net 2001:db8::/64 or fe80::1",
        "host 1.2.3.4 and (port 80 or 443)", "host 1.2.3.4 and (port 80) or 10.0.0.1",
        "ether host 2:0:0:0:0:1 and 2:0:0:0:0:2", "portrange 20-25 or 50-90", "ip6 or port 80 or 53",
        "(ip or ip6) and (tcp or udp) and not port 80", "port 80 or 3 = 3", "port 80 and len > 60",
        "udp and (port 67 or port 68)", "not broadcast and not multicast", "arp and ether broadcast",
        // what rejects a frame that is too short, and what does not
        "not ip or len < 20", "len < 20 or not ip", "ip[1000] = 0", "not ip[1000] = 0",
        "ip[1000] = 0 or ip", "ip or ip[1000] = 0", "not host 1.2.3.4", "not port 80",
        "not ether[100] = 0", "ip and not tcp[20] = 1", "ether[0] = 2 or ether[60] = 1",
        "not net ::/0", "not ip6 host fe80::1", "not multicast", "not ether proto 0x42 and ip",
    ]
}

const PRIMITIVES: &[&str] = &[
    "ip", "ip6", "arp", "tcp", "udp", "icmp", "icmp6", "sctp", "igmp", "host 192.168.100.1",
    "src host 10.0.0.1", "dst net 192.168.0.0/16", "net 10", "host 2001:db8::1", "dst net ff00::/8",
    "port 80", "tcp port 443", "udp src port 53", "portrange 20-100", "tcp dst portrange 400-500",
    "ether src 02:00:00:00:00:01", "broadcast", "multicast", "ip multicast", "less 70",
    "greater 50", "vlan", "vlan 5", "ether proto 0x42", "ip proto 17", "proto 6", "ip6 proto 44",
    "ether host 02:00:00:00:00:02", "tcp[13] & 2 != 0", "icmp[0] = 8", "arp[7] = 1", "ip[8] > 60",
    "not tcp", "not host 10.0.0.1", "ah", "rarp",
];

const NUMBERS: &[&str] = &[
    "len", "1", "2", "7", "40", "0xff", "ip[0]", "ip[8]", "ip[9]", "ip[2:2]", "ip[16:4]", "tcp[13]",
    "tcp[0:2]", "udp[2:2]", "icmp[0]", "ip6[6]", "ip6[40]", "ether[0]", "ether[12:2]", "arp[7]",
    "icmp6[0]", "ether[60]", "tcpflags", "tcp-syn",
];

fn pick<'a>(random: &mut ChaCha8Rng, from: &[&'a str]) -> &'a str {
    from[random.random_range(0..from.len())]
}

fn number(random: &mut ChaCha8Rng, depth: u32) -> String {
    if depth == 0 || random.random_range(0..3) == 0 {
        return pick(random, NUMBERS).to_owned();
    }
    let (left, right) = (number(random, depth - 1), number(random, depth - 1));
    match random.random_range(0..8) {
        0 => format!("({left})"),
        1 => format!("- {left}"),
        2 => format!("ether[({left}) & 31]"),
        _ => {
            let sign = pick(random, &["+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>"]);
            // A constant to the right of these may be refused, and tcpdump takes the index of
            // bytes that begin there for one.
            let right = if matches!(sign, "/" | "%" | "<<" | ">>") {
                format!("ip[{}]", random.random_range(1..20))
            } else {
                right
            };
            format!("{left} {sign} {right}")
        }
    }
}

fn expression(random: &mut ChaCha8Rng, depth: u32) -> String {
    if depth == 0 || random.random_range(0..5) == 0 {
        return match random.random_range(0..4) {
            0 => {
                let sign = pick(random, &["=", "!=", "<", "<=", ">", ">="]);
                format!("{} {sign} {}", number(random, 3), number(random, 2))
            }
            _ => pick(random, PRIMITIVES).to_owned(),
        };
    }
    match random.random_range(0..8) {
        0 => format!("not {}", expression(random, depth - 1)),
        1 => format!("({})", expression(random, depth - 1)),
        2 => format!("not ({})", expression(random, depth - 1)),
        n => {
            let connective = if n % 2 == 0 { "and" } else { "or" };
            let (left, right) = (expression(random, depth - 1), expression(random, depth - 1));
            format!("{left} {connective} {right}")
        }
    }
}

/// Whether an expression means the same on links that are not Ethernet.
pub fn is_about_packets(expression: &str) -> bool {
    const ETHERNET: [&str; 14] = [
        "ether", "link", "vlan", "cast", "stp", "iso", "ipx", "netbeui", "atalk", "aarp", "decnet",
        "lat", "sca", "mop",
    ];
    !ETHERNET.iter().any(|word| expression.contains(word))
}

/// `count` expressions by chance.
pub fn composed(seed: u64, count: usize) -> Vec<String> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|n| expression(&mut random, 1 + n as u32 % 4)).collect()
}
