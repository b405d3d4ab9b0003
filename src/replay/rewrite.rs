//! Other addresses and ports than recorded: in every layer that names them, ARP, neighbour discovery and the
//! packets that error messages quote included. Checksums are mended; lengths stay, since nothing grows.

use std::net::{IpAddr, Ipv4Addr};

use bytes::{Bytes, BytesMut};
use pnet::util::MacAddr;

use super::mend;
use crate::dissect::Dissector;
use crate::proto::{Stack, be16, ip, ndp, tcp, udp};
use crate::record::LinkType;

/// What becomes what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Ethernet addresses.
    pub macs: Vec<(MacAddr, MacAddr)>,
    /// IP addresses; both of a pair are of the same version.
    pub ips: Vec<(IpAddr, IpAddr)>,
    /// Ports of TCP and UDP.
    pub ports: Vec<(u16, u16)>,
}

impl Rules {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.macs.is_empty() && self.ips.is_empty() && self.ports.is_empty()
    }
}

/// Rewrites one frame after the other.
#[derive(Debug, Default)]
pub struct Rewriter {
    rules: Rules,
    dissector: Dissector,
}

impl Rewriter {
    /// One for these rules.
    pub fn new(rules: Rules) -> Rewriter {
        Rewriter { rules, dissector: Dissector::default() }
    }

    /// The frame, which begins as `link` says and was `length` bytes long, as it is to be.
    pub fn frame(&mut self, link: LinkType, frame: &Bytes, length: usize) -> Bytes {
        if self.rules.is_empty() {
            return frame.clone();
        }
        let stack = self.dissector.dissect_as(link, frame, length);
        let mut new = BytesMut::from(&frame[..]);
        let mut sheet = Sheet { rules: &self.rules, old: frame, new: &mut new };
        for n in 0..stack.layers.len() {
            sheet.layer(&stack, n);
        }
        mend::mend(&stack, &mut new);
        new.freeze()
    }
}

/// A frame and what becomes of it.
struct Sheet<'a> {
    rules: &'a Rules,
    old: &'a [u8],
    new: &'a mut [u8],
}

impl Sheet<'_> {
    fn layer(&mut self, stack: &Stack<'_>, n: usize) {
        let Some(layer) = stack.layers.get(n) else { return };
        let at = layer.start;
        match layer.protocol.name {
            "ethernet" => [at, at + 6].into_iter().for_each(|at| self.mac(at)),
            "sll" => self.mac(at + 6),
            "sll2" => self.mac(at + 12),
            "arp" if self.old.get(at + 4..at + 6) == Some(&[6, 4]) => {
                [at + 8, at + 18].into_iter().for_each(|at| self.mac(at));
                [at + 14, at + 24].into_iter().for_each(|at| self.v4(at));
            }
            "ipv4" => [at + 12, at + 16].into_iter().for_each(|at| self.v4(at)),
            "ipv6" => [at + 8, at + 24].into_iter().for_each(|at| self.v6(at)),
            "icmp" if self.old.get(at) == Some(&5) => self.v4(at + 4), // a redirect names a router
            "icmpv6" => self.neighbours(at, layer.end),
            "dhcp" => {
                (at + 12..at + 28).step_by(4).for_each(|at| self.v4(at));
                self.mac(at + 28);
            }
            "tcp" | "udp" => [at, at + 2].into_iter().for_each(|at| self.port(at)),
            _ => {}
        }
        let is_last = n + 1 == stack.layers.len();
        let has_ports = layer.protocol != &tcp::TCP && layer.protocol != &udp::UDP;
        if is_last && has_ports && ip::quoted(stack, n).is_some_and(|quoted| quoted.ports.is_some())
        {
            let at = layer.payload; // eight bytes of a TCP segment
            [at, at + 2].into_iter().for_each(|at| self.port(at));
        }
    }

    /// The addresses in a message of neighbour discovery (RFC 4861 sections 4.1 to 4.6).
    fn neighbours(&mut self, start: usize, end: usize) {
        let kind = self.old.get(start).copied().unwrap_or_default();
        let mut at = start
            + match kind {
                ndp::ROUTER_SOLICITATION => 8,
                ndp::ROUTER_ADVERTISEMENT => 16,
                ndp::SOLICITATION | ndp::ADVERTISEMENT => 24,
                ndp::REDIRECT => 40,
                _ => return,
            };
        match kind {
            ndp::SOLICITATION | ndp::ADVERTISEMENT => self.v6(start + 8),
            ndp::REDIRECT => [start + 8, start + 24].into_iter().for_each(|at| self.v6(at)),
            _ => {}
        }
        while let Some(&[option, units]) = self.old.get(at..at + 2).filter(|_| at < end) {
            if units == 0 {
                return;
            }
            if matches!(option, 1 | 2) && units == 1 {
                self.mac(at + 2);
            }
            at += usize::from(units) * 8;
        }
    }

    fn mac(&mut self, at: usize) {
        for (old, new) in &self.rules.macs {
            if self.old.get(at..at + 6) == Some(&old.octets()[..]) {
                return self.write(at, &new.octets());
            }
        }
    }

    fn v4(&mut self, at: usize) {
        let Some(octets) = self.old.get(at..at + 4).and_then(|octets| octets.first_chunk::<4>())
        else {
            return;
        };
        self.ip(at, Ipv4Addr::from(*octets).into());
    }

    fn v6(&mut self, at: usize) {
        let octets = self.old.get(at..at + 16).and_then(|octets| octets.first_chunk::<16>());
        if let Some(octets) = octets {
            self.ip(at, IpAddr::from(*octets));
        }
    }

    fn ip(&mut self, at: usize, found: IpAddr) {
        let rule = self.rules.ips.iter().find(|(old, _)| *old == found);
        match rule.map(|(_, new)| new) {
            Some(IpAddr::V4(new)) => self.write(at, &new.octets()),
            Some(IpAddr::V6(new)) => self.write(at, &new.octets()),
            None => {}
        }
    }

    fn port(&mut self, at: usize) {
        let found = be16(self.old, at);
        let rule = self.rules.ports.iter().find(|(old, _)| Some(*old) == found);
        if let Some((_, new)) = rule {
            self.write(at, &new.to_be_bytes());
        }
    }

    fn write(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.new.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::render::line::summary;
    use crate::proto::line::Line;
    use crate::proto::samples;

    fn rules() -> Rules {
        Rules {
            macs: vec![(MacAddr(2, 0, 0, 0, 0, 2), MacAddr(10, 11, 12, 13, 14, 15))],
            ips: vec![([192, 168, 100, 2].into(), [10, 1, 2, 3].into())],
            ports: vec![(80, 8080), (7, 9)],
        }
    }

    /// What is said of a frame after rewriting, malformed parts included.
    fn said(frame: Vec<u8>) -> String {
        let frame = Rewriter::new(rules()).frame(LinkType::ETHERNET, &Bytes::from(frame), 0);
        let mut dissector = Dissector::default();
        let stack = dissector.dissect(&frame);
        let mut line = Line::new(false);
        summary(&stack, &mut line);
        String::from_utf8_lossy(line.as_bytes()).into_owned()
    }

    /// `inner`, a frame, as an error message of the host's quotes `quoted` bytes of it.
    fn unreachable(inner: &[u8], quoted: usize) -> Vec<u8> {
        let mut message = vec![3, 3, 0, 0, 0, 0, 0, 0];
        message.extend(&inner[14..14 + quoted]);
        let sum = crate::checksum::internet(&message).to_be_bytes();
        message[2..4].copy_from_slice(&sum);
        samples::ethernet(0x0800, &samples::ipv4(1, &message))
    }

    #[test]
    fn every_layer_that_names_them_is_rewritten_and_mended() {
        let datagram = samples::datagram();
        let mut tagged = datagram.clone();
        tagged.splice(12..12, [0x81, 0, 0, 5]);
        let frames = [
            samples::syn(),
            datagram.clone(),
            tagged,
            samples::arp_request(),
            unreachable(&datagram, 28),
            unreachable(&datagram, datagram.len() - 14),
            unreachable(&samples::syn(), 28),
        ];
        insta::assert_snapshot!(frames.map(said).join("\n"), @r"
        IP 192.168.100.1.40000 > 10.1.2.3.8080: Flags [S], seq 1000, win 4096, options [mss 1460], length 0
        IP 10.1.2.3.9 > 192.168.100.1.40000: UDP, length 5
        vlan 5, p 0, IP 10.1.2.3.9 > 192.168.100.1.40000: UDP, length 5
        ARP, Request who-has 192.168.100.1 tell 10.1.2.3, length 28
        IP 10.1.2.3 > 192.168.100.1: ICMP 192.168.100.1 udp port 40000 unreachable, length 36
        IP 10.1.2.3 > 192.168.100.1: ICMP 192.168.100.1 udp port 40000 unreachable, length 41
        IP 10.1.2.3 > 192.168.100.1: ICMP 10.1.2.3 tcp port 8080 unreachable, length 36
        ");
    }

    const MACS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
    const V4: [[u8; 4]; 2] = [[192, 168, 100, 1], [192, 168, 100, 2]];

    /// fe80::1 and fe80::2.
    fn v6(last: u8) -> [u8; 16] {
        let mut octets = [0; 16];
        (octets[0], octets[1], octets[15]) = (0xfe, 0x80, last);
        octets
    }

    /// ICMPv6 from fe80::2 to fe80::1, in a frame.
    fn message6(message: &[u8]) -> Vec<u8> {
        let mut message = message.to_vec();
        let sum = crate::checksum::Sum::pseudo_v6(v6(2).into(), v6(1).into(), 58, message.len());
        let sum = sum.plus(&message).finish().to_be_bytes();
        message[2..4].copy_from_slice(&sum);
        samples::ethernet(0x86dd, &samples::ipv6(58, &message))
    }

    /// A frame for each place in which an address can stand.
    fn full_of_addresses() -> Vec<(LinkType, Vec<u8>)> {
        let packet = samples::datagram()[14..].to_vec();
        let sll = [&[0, 0, 0, 1, 0, 6][..], &MACS[1], &[0, 0, 8, 0], &packet].concat();
        let sll2 = [&[8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6][..], &MACS[1], &[0, 0], &packet].concat();
        let mut reply = samples::arp_request();
        reply[..6].copy_from_slice(&MACS[0]);
        reply[21] = 2;
        reply[32..38].copy_from_slice(&MACS[0]);
        let datagram = &packet[..28];
        let redirect = [&[5, 1, 0, 0][..], &V4[0], datagram].concat();
        let solicitation = [&[135, 0, 0, 0, 0, 0, 0, 0][..], &v6(1), &[1, 1], &MACS[1]].concat();
        let advertisement =
            [&[136, 0, 0, 0, 0x60, 0, 0, 0][..], &v6(2), &[2, 1], &MACS[1]].concat();
        let redirect6 =
            [&[137, 0, 0, 0, 0, 0, 0, 0][..], &v6(1), &v6(2), &[2, 1], &MACS[0]].concat();
        let router =
            [&[134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1][..], &MACS[1]].concat();
        let asks = [&[133, 0, 0, 0, 0, 0, 0, 0, 1, 1][..], &MACS[1]].concat();
        let mut dhcp = vec![0, 67, 0, 68, 0, 0, 0, 0, 2, 1, 6, 0, 1, 2, 3, 4, 0, 0, 0, 0];
        dhcp.extend([V4[0], V4[1], V4[0], V4[1]].concat());
        dhcp.extend(MACS[0]);
        dhcp.resize(8 + 236, 0);
        dhcp.extend([99, 130, 83, 99, 53, 1, 2, 255]);
        let length = (dhcp.len() as u16).to_be_bytes();
        dhcp[4..6].copy_from_slice(&length);
        let mut frames = vec![(LinkType::LINUX_SLL, sll), (LinkType::LINUX_SLL2, sll2)];
        let ethernet = [
            reply,
            samples::arp_request(),
            samples::syn(),
            samples::ethernet(0x0800, &samples::ipv4(1, &samples::summed(&redirect))),
            samples::ethernet(0x0800, &samples::ipv4(17, &dhcp)),
            message6(&solicitation),
            message6(&advertisement),
            message6(&redirect6),
            message6(&router),
            message6(&asks),
        ];
        frames.extend(ethernet.map(|frame| (LinkType::ETHERNET, frame)));
        frames
    }

    #[test]
    fn no_address_is_left_and_every_checksum_is_right() {
        let mac =
            |octets: [u8; 6], last| (MacAddr::from(octets), MacAddr(10, 11, 12, 13, 14, last));
        let ip =
            |octets: [u8; 4], last: u8| (IpAddr::from(octets), IpAddr::from([10, 77, 3, last]));
        let ip6 = |old: u8, last: u8| {
            let mut octets = [0x20; 16];
            octets[15] = last;
            (IpAddr::from(v6(old)), IpAddr::from(octets))
        };
        let rules = Rules {
            macs: vec![mac(MACS[0], 21), mac(MACS[1], 22)],
            ips: vec![ip(V4[0], 31), ip(V4[1], 32), ip6(1, 41), ip6(2, 42)],
            ports: Vec::new(),
        };
        let mut rewriter = Rewriter::new(rules);
        for (link, frame) in full_of_addresses() {
            let old: Vec<&[u8]> =
                MACS.iter().map(|mac| &mac[..]).chain(V4.iter().map(|ip| &ip[..])).collect();
            let new = rewriter.frame(link, &Bytes::from(frame.clone()), frame.len());
            let has = |bytes: &[u8], wanted: &[u8]| {
                bytes.windows(wanted.len()).any(|part| part == wanted)
            };
            let left: Vec<_> = old.iter().filter(|address| has(&new, address)).collect();
            assert!(left.is_empty(), "{left:?} in {new:02x?}");
            assert!(!has(&new, &v6(1)) && !has(&new, &v6(2)), "{new:02x?}");
            let mut dissector = Dissector::default();
            let stack = dissector.dissect_as(link, &new, new.len());
            let wrong = |note: &&crate::proto::Note| {
                matches!(note.kind, crate::proto::NoteKind::Checksum { .. })
            };
            assert_eq!(stack.notes.iter().find(wrong), None, "{new:02x?}");
        }
    }

    #[test]
    fn without_rules_nothing_is_copied() {
        let frame = Bytes::from(samples::syn());
        let same = Rewriter::default().frame(LinkType::ETHERNET, &frame, frame.len());
        assert_eq!(same.as_ptr(), frame.as_ptr());
    }

    #[test]
    fn no_bytes_make_it_panic() {
        for frame in [samples::syn(), samples::datagram(), samples::arp_request()] {
            for at in 0..frame.len() {
                let mut cut = frame.clone();
                cut.truncate(at);
                said(cut);
                let mut damaged = frame.clone();
                damaged[at] ^= 0xff;
                said(damaged);
            }
        }
    }
}
