//! The words of the filter language, as tables.
//!
//! What tcpdump knows keeps tcpdump's meaning and its numbers; names of services are those of the
//! usual `/etc/services`, a dozen of the embedded world's added. A name stands for the transports
//! that the registry gives it: `port tftp` looks at UDP alone. Nothing is looked up on the machine
//! at hand, so that a filter means the same everywhere.

use super::expr::Transports;

/// A protocol that tcpdump knows by name.
#[derive(Debug)]
pub(super) struct Known {
    /// The word.
    pub name: &'static str,
    /// What in a frame says that it is there.
    pub key: Key,
}

impl PartialEq for Known {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// What says that a protocol is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// The frame itself.
    Link,
    /// An EtherType, or below 1501 what an 802.2 header says.
    EtherType(u32),
    /// An IP protocol number.
    Ip(u8, Versions),
}

/// The versions of IP that something applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Versions {
    /// IPv4 and IPv6.
    Both,
    /// IPv4.
    Four,
    /// IPv6.
    Six,
}

const fn link(name: &'static str) -> Known {
    Known { name, key: Key::Link }
}

const fn ether(name: &'static str, number: u32) -> Known {
    Known { name, key: Key::EtherType(number) }
}

const fn ip(name: &'static str, number: u8, versions: Versions) -> Known {
    Known { name, key: Key::Ip(number, versions) }
}

/// The EtherType of IPv4.
pub(super) const IPV4: u32 = 0x0800;
/// The EtherType of IPv6.
pub(super) const IPV6: u32 = 0x86dd;
/// The EtherType of ARP.
pub(super) const ARP: u32 = 0x0806;
/// The EtherType of RARP.
pub(super) const RARP: u32 = 0x8035;

/// The protocols that tcpdump knows.
pub(super) static KNOWN: &[Known] = &[
    link("ether"),
    link("link"),
    ether("ip", IPV4),
    ether("ip6", IPV6),
    ether("arp", ARP),
    ether("rarp", RARP),
    ether("decnet", 0x6003),
    ether("lat", 0x6004),
    ether("sca", 0x6007),
    ether("mopdl", 0x6001),
    ether("moprc", 0x6002),
    ether("atalk", 0x809b),
    ether("aarp", 0x80f3),
    ether("iso", 0xfe),
    ether("stp", 0x42),
    ether("ipx", 0xe0),
    ether("netbeui", 0xf0),
    ip("tcp", 6, Versions::Both),
    ip("udp", 17, Versions::Both),
    ip("sctp", 132, Versions::Both),
    ip("icmp", 1, Versions::Four),
    ip("icmp6", 58, Versions::Six),
    ip("igmp", 2, Versions::Four),
    ip("igrp", 9, Versions::Four),
    ip("pim", 103, Versions::Both),
    ip("vrrp", 112, Versions::Four),
    ip("carp", 112, Versions::Four),
    ip("ah", 51, Versions::Both),
    ip("esp", 50, Versions::Both),
];

/// The protocol of a word.
pub(super) fn known(word: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.name == word)
}

/// Words with a meaning of their own besides the protocols; for suggestions.
pub(super) static KEYWORDS: &[&str] = &[
    "and",
    "or",
    "not",
    "src",
    "dst",
    "host",
    "net",
    "mask",
    "port",
    "portrange",
    "proto",
    "less",
    "greater",
    "len",
    "length",
    "broadcast",
    "multicast",
    "vlan",
    "from",
    "to",
    "from-device",
    "to-device",
    "malformed",
    "console",
    "contains",
];

/// Words that tcpdump understands and this language does not, with what to do about it.
pub(super) static ABSENT: &[(&str, &str)] = &[
    ("protochain", "header chains are not followed; say 'proto' or name the protocol"),
    ("gateway", "names are not resolved; say 'ether host MAC and not host ADDRESS'"),
    ("inbound", "say 'from device' or 'to device'"),
    ("outbound", "say 'from device' or 'to device'"),
    ("mpls", "there is no MPLS here; compare bytes instead: 'ether[12:2] = 0x8847'"),
    ("pppoes", "there is no PPPoE here; compare bytes instead: 'ether[12:2] = 0x8864'"),
    ("pppoed", "there is no PPPoE here; compare bytes instead: 'ether[12:2] = 0x8863'"),
    ("geneve", "there is no Geneve here; say 'udp port 6081'"),
    ("wlan", "there is no wireless LAN here; say 'ether'"),
];

/// Names of numbers in arithmetic: offsets, types, flags.
pub(super) static CONSTANTS: &[(&str, u32)] = &[
    ("icmptype", 0),
    ("icmpcode", 1),
    ("icmp-echoreply", 0),
    ("icmp-unreach", 3),
    ("icmp-sourcequench", 4),
    ("icmp-redirect", 5),
    ("icmp-echo", 8),
    ("icmp-routeradvert", 9),
    ("icmp-routersolicit", 10),
    ("icmp-timxceed", 11),
    ("icmp-paramprob", 12),
    ("icmp-tstamp", 13),
    ("icmp-tstampreply", 14),
    ("icmp-ireq", 15),
    ("icmp-ireqreply", 16),
    ("icmp-maskreq", 17),
    ("icmp-maskreply", 18),
    ("icmp6type", 0),
    ("icmp6code", 1),
    ("icmp6-destinationunreach", 1),
    ("icmp6-packettoobig", 2),
    ("icmp6-timeexceeded", 3),
    ("icmp6-parameterproblem", 4),
    ("icmp6-echo", 128),
    ("icmp6-echoreply", 129),
    ("icmp6-multicastlistenerquery", 130),
    ("icmp6-multicastlistenerreportv1", 131),
    ("icmp6-multicastlistenerdone", 132),
    ("icmp6-routersolicit", 133),
    ("icmp6-routeradvert", 134),
    ("icmp6-neighborsolicit", 135),
    ("icmp6-neighboradvert", 136),
    ("icmp6-redirect", 137),
    ("icmp6-routerrenum", 138),
    ("icmp6-nodeinformationquery", 139),
    ("icmp6-nodeinformationresponse", 140),
    ("icmp6-ineighbordiscoverysolicit", 141),
    ("icmp6-ineighbordiscoveryadvert", 142),
    ("icmp6-multicastlistenerreportv2", 143),
    ("icmp6-homeagentdiscoveryrequest", 144),
    ("icmp6-homeagentdiscoveryreply", 145),
    ("icmp6-mobileprefixsolicit", 146),
    ("icmp6-mobileprefixadvert", 147),
    ("icmp6-certpathsolicit", 148),
    ("icmp6-certpathadvert", 149),
    ("icmp6-multicastrouteradvert", 151),
    ("icmp6-multicastroutersolicit", 152),
    ("icmp6-multicastrouterterm", 153),
    ("tcpflags", 13),
    ("tcp-fin", 0x01),
    ("tcp-syn", 0x02),
    ("tcp-rst", 0x04),
    ("tcp-push", 0x08),
    ("tcp-ack", 0x10),
    ("tcp-urg", 0x20),
    ("tcp-ece", 0x40),
    ("tcp-cwr", 0x80),
];

/// The number that a name stands for in arithmetic.
pub(super) fn constant(word: &str) -> Option<u32> {
    CONSTANTS.iter().find(|(name, _)| *name == word).map(|(_, number)| *number)
}

use Transports::{All, Tcp, Udp};

/// Services: name, port, and the transports that the name stands for.
pub(super) static SERVICES: &[(&str, u16, Transports)] = &[
    ("echo", 7, All),
    ("discard", 9, All),
    ("daytime", 13, All),
    ("qotd", 17, Tcp),
    ("chargen", 19, All),
    ("ftp-data", 20, Tcp),
    ("ftp", 21, Tcp),
    ("ssh", 22, Tcp),
    ("telnet", 23, Tcp),
    ("smtp", 25, Tcp),
    ("time", 37, All),
    ("domain", 53, All),
    ("bootps", 67, Udp),
    ("bootpc", 68, Udp),
    ("tftp", 69, Udp),
    ("finger", 79, Tcp),
    ("http", 80, Tcp),
    ("www", 80, Tcp),
    ("kerberos", 88, All),
    ("pop3", 110, Tcp),
    ("sunrpc", 111, All),
    ("ntp", 123, Udp),
    ("netbios-ns", 137, Udp),
    ("imap", 143, Tcp),
    ("imap2", 143, Tcp),
    ("snmp", 161, All),
    ("snmp-trap", 162, All),
    ("ptp-event", 319, Udp),
    ("ptp-general", 320, Udp),
    ("ldap", 389, All),
    ("https", 443, All),
    ("microsoft-ds", 445, Tcp),
    ("isakmp", 500, Udp),
    ("syslog", 514, Udp),
    ("modbus", 502, Tcp),
    ("dhcpv6-client", 546, Udp),
    ("dhcpv6-server", 547, Udp),
    ("rtsp", 554, All),
    ("submission", 587, Tcp),
    ("ipp", 631, Tcp),
    ("ldaps", 636, All),
    ("rsync", 873, Tcp),
    ("imaps", 993, Tcp),
    ("pop3s", 995, Tcp),
    ("socks", 1080, Tcp),
    ("openvpn", 1194, All),
    ("radius", 1812, All),
    ("mqtt", 1883, All),
    ("ssdp", 1900, Udp),
    ("nfs", 2049, All),
    ("mysql", 3306, Tcp),
    ("ipsec-nat-t", 4500, Udp),
    ("opcua", 4840, Tcp),
    ("sip", 5060, All),
    ("sip-tls", 5061, All),
    ("xmpp-client", 5222, Tcp),
    ("mdns", 5353, Udp),
    ("llmnr", 5355, All),
    ("postgresql", 5432, Tcp),
    ("coap", 5683, All),
    ("coaps", 5684, All),
    ("redis", 6379, Tcp),
    ("http-alt", 8080, Tcp),
    ("secure-mqtt", 8883, All),
    ("mqtts", 8883, All),
    ("git", 9418, Tcp),
];

/// The port and the transports of a service.
pub(super) fn service(word: &str) -> Option<(u16, Transports)> {
    SERVICES.iter().find(|(name, ..)| *name == word).map(|(_, port, over)| (*port, *over))
}

/// IP protocols that have a number's name but are no words of their own.
static IP_PROTOCOLS: &[(&str, u8)] = &[
    ("hopopt", 0),
    ("ipencap", 4),
    ("egp", 8),
    ("ipv6", 41),
    ("ipv6-route", 43),
    ("ipv6-frag", 44),
    ("rsvp", 46),
    ("gre", 47),
    ("ipv6-icmp", 58),
    ("ipv6-nonxt", 59),
    ("ipv6-opts", 60),
    ("eigrp", 88),
    ("ospf", 89),
    ("ipcomp", 108),
    ("l2tp", 115),
    ("udplite", 136),
];

/// The number of an IP protocol by name.
pub(super) fn ip_protocol(word: &str) -> Option<u32> {
    let known = known(word).and_then(|known| match known.key {
        Key::Ip(number, _) => Some(number),
        Key::Link | Key::EtherType(_) => None,
    });
    let other = || IP_PROTOCOLS.iter().find(|(name, _)| *name == word).map(|(_, n)| *n);
    known.or_else(other).map(u32::from)
}

/// The number of an EtherType by name.
pub(super) fn ether_type(word: &str) -> Option<u32> {
    match known(word)?.key {
        Key::EtherType(number) => Some(number),
        Key::Link | Key::Ip(..) => None,
    }
}

/// Short names of protocols in front of a field.
pub(super) static PROTOCOL_ALIASES: &[(&str, &str)] = &[
    ("eth", "ethernet"),
    ("ether", "ethernet"),
    ("ip", "ipv4"),
    ("ip6", "ipv6"),
    ("icmp6", "icmpv6"),
];

/// Wireshark's names of fields, with ours: a filter looks at each of them.
pub(super) static FIELD_ALIASES: &[(&str, &[&str])] = &[
    ("eth.addr", &["ethernet.src", "ethernet.dst"]),
    ("arp.opcode", &["arp.op"]),
    ("arp.hw.type", &["arp.hrd"]),
    ("arp.proto.type", &["arp.pro"]),
    ("arp.src.hw_mac", &["arp.sha"]),
    ("arp.src.proto_ipv4", &["arp.spa"]),
    ("arp.dst.hw_mac", &["arp.tha"]),
    ("arp.dst.proto_ipv4", &["arp.tpa"]),
    ("ip.addr", &["ipv4.src", "ipv4.dst"]),
    ("ip.len", &["ipv4.total_length"]),
    ("ip.id", &["ipv4.identification"]),
    ("ip.proto", &["ipv4.protocol"]),
    ("ip.checksum", &["ipv4.header_checksum"]),
    ("ip.frag_offset", &["ipv4.fragment_offset"]),
    ("ip.hdr_len", &["ipv4.ihl"]),
    ("ip.flags.rb", &["ipv4.flags.reserved"]),
    ("ipv6.addr", &["ipv6.src", "ipv6.dst"]),
    ("ipv6.hlim", &["ipv6.hop_limit"]),
    ("ipv6.nxt", &["ipv6.next_header"]),
    ("ipv6.plen", &["ipv6.payload_length"]),
    ("ipv6.flow", &["ipv6.flow_label"]),
    ("ipv6.tclass", &["ipv6.traffic_class"]),
    ("icmp.ident", &["icmp.identifier"]),
    ("icmp.seq", &["icmp.sequence_number"]),
    ("tcp.srcport", &["tcp.src_port"]),
    ("tcp.dstport", &["tcp.dst_port"]),
    ("tcp.port", &["tcp.src_port", "tcp.dst_port"]),
    ("tcp.window_size_value", &["tcp.window"]),
    ("tcp.window_size", &["tcp.window"]),
    ("tcp.hdr_len", &["tcp.data_offset"]),
    ("tcp.flags.push", &["tcp.flags.psh"]),
    ("tcp.flags.reset", &["tcp.flags.rst"]),
    ("udp.srcport", &["udp.src_port"]),
    ("udp.dstport", &["udp.dst_port"]),
    ("udp.port", &["udp.src_port", "udp.dst_port"]),
    ("vlan.id", &["vlan.vid"]),
    ("dns.qry.name", &["dns.question.name"]),
    ("dns.qry.type", &["dns.question.type"]),
    ("dns.resp.name", &["dns.answer.name"]),
    ("dns.resp.type", &["dns.answer.type"]),
    ("http.request.method", &["http.method"]),
    ("http.request.uri", &["http.target"]),
    ("http.request", &["http.method"]),
    ("http.response.code", &["http.status"]),
    ("http.response", &["http.status"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_for_one_thing_each() {
        let mut names: Vec<&str> = KNOWN.iter().map(|known| known.name).collect();
        names.extend(KEYWORDS);
        names.extend(ABSENT.iter().map(|(name, _)| *name));
        names.extend(CONSTANTS.iter().map(|(name, _)| *name));
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        let mut services: Vec<&str> = SERVICES.iter().map(|(name, ..)| *name).collect();
        services.sort_unstable();
        services.dedup();
        assert_eq!(services.len(), SERVICES.len());
    }

    #[test]
    fn numbers_of_protocols() {
        assert_eq!(ip_protocol("tcp"), Some(6));
        assert_eq!(ip_protocol("gre"), Some(47));
        assert_eq!(ip_protocol("arp"), None);
        assert_eq!(ether_type("arp"), Some(0x806));
        assert_eq!(ether_type("tcp"), None);
    }
}
