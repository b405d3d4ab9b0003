//! What the frames of a capture begin with.
//!
//! Capture files say it by a number of a registry that the tcpdump group keeps
//! (<https://www.tcpdump.org/linktypes.html>). Few of them are dissected here; of the others, those that
//! people are likely to meet have at least a name.

use std::fmt;

/// What a captured frame begins with: a LINKTYPE_ number of the tcpdump group's registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: four bytes of address family in the writer's byte order.
    pub const NULL: LinkType = LinkType(0);
    /// Ethernet.
    pub const ETHERNET: LinkType = LinkType(1);
    /// An IPv4 or IPv6 packet.
    pub const RAW: LinkType = LinkType(101);
    /// OpenBSD loopback: four bytes of address family in network byte order.
    pub const LOOP: LinkType = LinkType(108);
    /// Linux cooked capture: a 16-byte header that ends with an EtherType.
    pub const LINUX_SLL: LinkType = LinkType(113);
    /// Whatever its user wants it to be; in our captures, bytes of the line that make no frame.
    pub const USER0: LinkType = LinkType(147);
    /// The same; in our captures, lines of the device's console.
    pub const USER1: LinkType = LinkType(148);
    /// An IPv4 packet.
    pub const IPV4: LinkType = LinkType(228);
    /// An IPv6 packet.
    pub const IPV6: LinkType = LinkType(229);
    /// Linux cooked capture, second version: a 20-byte header that begins with an EtherType.
    pub const LINUX_SLL2: LinkType = LinkType(276);

    /// Its name in the registry, without `LINKTYPE_`; `None` for the rarer ones.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "NULL",
            1 => "ETHERNET",
            3 => "AX25",
            6 => "IEEE802_5",
            8 => "SLIP",
            9 => "PPP",
            10 => "FDDI",
            50 => "PPP_HDLC",
            51 => "PPP_ETHER",
            100 => "ATM_RFC1483",
            101 => "RAW",
            104 => "C_HDLC",
            105 => "IEEE802_11",
            107 => "FRELAY",
            108 => "LOOP",
            113 => "LINUX_SLL",
            117 => "PFLOG",
            119 => "IEEE802_11_PRISM",
            127 => "IEEE802_11_RADIO",
            147..=162 => USERS[self.0 as usize - 147],
            163 => "IEEE802_11_AVS",
            165 => "BACNET_MS_TP",
            187 => "BLUETOOTH_HCI_H4",
            189 => "USB_LINUX",
            192 => "PPI",
            195 => "IEEE802_15_4_WITHFCS",
            197 => "ERF",
            201 => "BLUETOOTH_HCI_H4_WITH_PHDR",
            202 => "AX25_KISS",
            220 => "USB_LINUX_MMAPPED",
            227 => "CAN_SOCKETCAN",
            228 => "IPV4",
            229 => "IPV6",
            230 => "IEEE802_15_4_NOFCS",
            239 => "NFLOG",
            240 => "NETANALYZER",
            249 => "USBPCAP",
            251 => "BLUETOOTH_LE_LL",
            252 => "WIRESHARK_UPPER_PDU",
            253 => "NETLINK",
            254 => "BLUETOOTH_LINUX_MONITOR",
            256 => "BLUETOOTH_LE_LL_WITH_PHDR",
            258 => "PKTAP",
            270 => "LORATAP",
            272 => "NORDIC_BLE",
            276 => "LINUX_SLL2",
            283 => "IEEE802_15_4_TAP",
            _ => return None,
        })
    }
}

/// The types that are everybody's own.
const USERS: [&str; 16] = [
    "USER0", "USER1", "USER2", "USER3", "USER4", "USER5", "USER6", "USER7", "USER8", "USER9",
    "USER10", "USER11", "USER12", "USER13", "USER14", "USER15",
];

impl fmt::Display for LinkType {
    /// `127 (IEEE802_11_RADIO)`; only the number where there is no name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{} ({name})", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_registry() {
        for (link, text) in [
            (LinkType(127), "127 (IEEE802_11_RADIO)"),
            (LinkType::ETHERNET, "1 (ETHERNET)"),
            (LinkType::USER0, "147 (USER0)"),
            (LinkType(162), "162 (USER15)"),
            (LinkType::LINUX_SLL2, "276 (LINUX_SLL2)"),
            (LinkType(163), "163 (IEEE802_11_AVS)"),
            (LinkType(9999), "9999"),
        ] {
            assert_eq!(link.to_string(), text);
        }
    }
}
