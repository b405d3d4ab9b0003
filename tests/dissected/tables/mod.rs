//! Which of our fields is which of tshark's, and how the two are compared.

#![allow(clippy::ptr_arg, reason = "what levels both sides has one type")]

mod application;
mod link;
mod messages;
mod network;
mod transport;

/// The fields of one protocol.
pub struct Table {
    /// What we call it.
    pub protocol: &'static str,
    /// What tshark calls it in its list of layers.
    pub theirs: &'static str,
    /// Its fields.
    pub rows: &'static [Row],
}

/// Some of our fields, some of theirs, separated by spaces; all values of all of them are compared.
pub struct Row {
    /// Names without the protocol; where it is another one than the table's, it stands in front, with a colon.
    pub ours: &'static str,
    /// Names as tshark's filters have them.
    pub theirs: &'static str,
    /// How to compare.
    pub how: How,
    /// Why only whole frames are compared, if that is so.
    pub whole_only: Option<&'static str>,
}

impl Row {
    /// The same, compared in whole frames only, for this reason.
    const fn whole(self, why: &'static str) -> Row {
        Row { whole_only: Some(why), ..self }
    }

    /// Protocol and name of our fields, in a table of `protocol`.
    pub fn names(
        &self,
        protocol: &'static str,
    ) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.ours.split(' ').map(move |own| own.split_once(':').unwrap_or((protocol, own)))
    }
}

/// How values are compared.
pub enum How {
    /// Numbers and flags, however they are written.
    Number,
    /// Our number times this is theirs.
    Times(u64),
    /// Addresses and bytes in hex, with or without colons between them.
    Hex,
    /// As it stands.
    Text,
    /// The same, but the fields come in another order.
    Unordered,
    /// Numbers that come in another order.
    Numbers,
    /// As it stands, after this was done to theirs.
    After(fn(&str) -> String),
    /// Numbers, after this was done to both, for the reason that stands beside it.
    Levelled(fn(&mut Vec<String>, &mut Vec<String>)),
    /// The same for text.
    Reworded(fn(&mut Vec<String>, &mut Vec<String>)),
    /// Not at all, for this reason.
    Left(#[allow(dead_code, reason = "it is there to be read")] &'static str),
}

impl How {
    /// Whether values lose their order.
    pub fn is_sorted(&self) -> bool {
        matches!(self, How::Unordered | How::Numbers)
    }

    /// Brings both sides into the same form.
    pub fn level(&self, ours: &mut Vec<String>, theirs: &mut Vec<String>) {
        let each = |values: &mut Vec<String>, change: &dyn Fn(&str) -> String| {
            values.iter_mut().for_each(|value| *value = change(value));
        };
        match self {
            How::Number => each(theirs, &number),
            How::Times(factor) => {
                each(theirs, &number);
                each(ours, &|value| value.parse::<u64>().map_or(0, |n| n * factor).to_string());
            }
            How::Hex => each(theirs, &|value| value.replace(':', "").to_lowercase()),
            How::Text => {}
            How::Unordered => {
                ours.sort();
                theirs.sort();
            }
            How::Numbers => {
                each(theirs, &number);
                ours.sort();
                theirs.sort();
            }
            How::After(change) => each(theirs, change),
            How::Levelled(level) => {
                each(theirs, &number);
                level(ours, theirs);
            }
            How::Reworded(level) => level(ours, theirs),
            How::Left(_) => {}
        }
    }
}

/// A number as tshark writes it, in decimal.
fn number(text: &str) -> String {
    let number = match text {
        "True" => Ok(1),
        "False" => Ok(0),
        _ => match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => text.parse(),
        },
    };
    number.map_or_else(|_| text.to_owned(), |number| number.to_string())
}

const fn row(ours: &'static str, theirs: &'static str, how: How) -> Row {
    Row { ours, theirs, how, whole_only: None }
}

const fn same(ours: &'static str, theirs: &'static str) -> Row {
    row(ours, theirs, How::Number)
}

const fn hex(ours: &'static str, theirs: &'static str) -> Row {
    row(ours, theirs, How::Hex)
}

const fn text(ours: &'static str, theirs: &'static str) -> Row {
    row(ours, theirs, How::Text)
}

const fn left(ours: &'static str, why: &'static str) -> Row {
    row(ours, "", How::Left(why))
}

/// Checksums whose verdict both sides give: our protocol, their field.
pub static CHECKSUMS: &[(&str, &str)] = &[
    ("ipv4", "ip.checksum.status"),
    ("icmp", "icmp.checksum.status"),
    ("icmpv6", "icmpv6.checksum.status"),
    ("igmp", "igmp.checksum.status"),
    ("udp", "udp.checksum.status"),
    ("tcp", "tcp.checksum.status"),
];

macro_rules! tables {
    ($($protocol:literal $theirs:literal $rows:expr;)*) => {
        &[$(Table { protocol: $protocol, theirs: $theirs, rows: $rows }),*]
    };
}

/// All tables.
pub static BY_PROTOCOL: &[Table] = tables! {
    "ethernet" "eth" link::ETHERNET;
    "vlan" "vlan ieee8021ad" link::VLAN;
    "llc" "llc" link::LLC;
    "stp" "stp" link::STP;
    "sll" "sll" link::SLL;
    "sll2" "sll" link::SLL2;
    "null" "null" link::NULL;
    "arp" "arp" network::ARP;
    "ipv4" "ip" network::IPV4;
    "ipv6" "ipv6" network::IPV6;
    "ipv6_hop_by_hop" "ipv6.hopopts" network::HOP_BY_HOP;
    "ipv6_destination" "ipv6.dstopts" network::DESTINATION;
    "ipv6_routing" "ipv6.routing" network::ROUTING;
    "ipv6_fragment" "ipv6.fraghdr" network::FRAGMENT;
    "ah" "ah" network::AH;
    "icmp" "icmp" messages::ICMP;
    "icmpv6" "icmpv6" messages::ICMPV6;
    "igmp" "igmp" messages::IGMP;
    "udp" "udp" transport::UDP;
    "tcp" "tcp" transport::TCP;
    "coap" "coap" application::COAP;
    "dhcp" "dhcp" application::DHCP;
    "dns" "dns" messages::DNS;
    "llmnr" "llmnr" messages::LLMNR;
    "mdns" "mdns" messages::MDNS;
    "http" "http" application::HTTP;
    "mqtt" "mqtt" application::MQTT;
    "ntp" "ntp" application::NTP;
    "tftp" "tftp" application::TFTP;
    "tls" "tls" application::TLS;
};
