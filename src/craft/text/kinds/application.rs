//! DHCP, DNS and NTP.

use super::super::kind::{Kind, Style, What, bits, empty, field, flag, number, open, option};
use crate::proto::{dhcp, dns, ntp};

/// Types of DHCP messages.
const MESSAGES: What = What::Named(&[
    ("discover", 1),
    ("offer", 2),
    ("request", 3),
    ("decline", 4),
    ("ack", 5),
    ("nak", 6),
    ("release", 7),
    ("inform", 8),
]);

/// An empty BOOTP message with DHCP's cookie.
static BOOTP: [u8; 240] = {
    let mut message = [0; 240];
    (message[0], message[1], message[2]) = (1, 1, 6);
    (message[236], message[237], message[238], message[239]) = (99, 130, 83, 99);
    message
};

pub(in super::super) static DHCP: Kind = Kind {
    protocol: &dhcp::DHCP,
    below: Some("udp"),
    template: &BOOTP,
    slots: &[
        field("op", 0, 1, What::Named(&[("request", 1), ("reply", 2)])),
        number("htype", 1, 1),
        number("hlen", 2, 1),
        number("hops", 3, 1),
        number("xid", 4, 4),
        number("secs", 8, 2),
        flag("flags.broadcast", 80),
        field("ciaddr", 12, 4, What::Ipv4),
        field("yiaddr", 16, 4, What::Ipv4),
        field("siaddr", 20, 4, What::Ipv4),
        field("giaddr", 24, 4, What::Ipv4),
        field("chaddr", 28, 6, What::Mac),
        field("sname", 44, 64, What::Text),
        field("file", 108, 128, What::Text),
        number("cookie", 236, 4),
    ],
    options: &[
        empty("option.pad", 0),
        option("option.subnet_mask", 1, 4, What::Ipv4),
        option("option.router", 3, 4, What::Ipv4),
        option("option.domain_name_server", 6, 4, What::Ipv4),
        open("option.host_name", 12, What::Text),
        open("option.domain_name", 15, What::Text),
        option("option.broadcast_address", 28, 4, What::Ipv4),
        option("option.ntp_server", 42, 4, What::Ipv4),
        option("option.requested_address", 50, 4, What::Ipv4),
        option("option.lease_time", 51, 4, What::Number),
        option("option.overload", 52, 1, What::Number),
        option("option.message_type", 53, 1, MESSAGES),
        option("option.server_identifier", 54, 4, What::Ipv4),
        open("option.parameter_request", 55, What::Bytes),
        open("option.message", 56, What::Text),
        option("option.maximum_message_size", 57, 2, What::Number),
        option("option.renewal_time", 58, 4, What::Number),
        option("option.rebinding_time", 59, 4, What::Number),
        open("option.vendor_class", 60, What::Text),
        open("option.client_identifier", 61, What::Bytes),
        empty("option.end", 255),
    ],
    style: Style::Dhcp,
    ..Kind::BASE
};

pub(in super::super) static DNS: Kind = Kind {
    protocol: &dns::DNS,
    below: Some("udp"),
    template: &[0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    slots: &[
        number("id", 0, 2),
        flag("qr", 16),
        bits("opcode", 17, 4),
        flag("aa", 21),
        flag("tc", 22),
        flag("rd", 23),
        flag("ra", 24),
        flag("ad", 26),
        flag("cd", 27),
        bits("rcode", 28, 4),
        number("qdcount", 4, 2),
        number("ancount", 6, 2),
        number("nscount", 8, 2),
        number("arcount", 10, 2),
    ],
    style: Style::Dns,
    ..Kind::BASE
};

pub(in super::super) static NTP: Kind = Kind {
    protocol: &ntp::NTP,
    below: Some("udp"),
    template: &[
        0x23, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ],
    slots: &[
        bits("leap", 0, 2),
        bits("version", 2, 3),
        bits("mode", 5, 3),
        number("stratum", 1, 1),
    ],
    ..Kind::BASE
};
