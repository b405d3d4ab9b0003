//! Each place in which an address or a port can stand, rewritten and mended.

use std::net::Ipv4Addr;

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
    let advertisement = [&[136, 0, 0, 0, 0x60, 0, 0, 0][..], &v6(2), &[2, 1], &MACS[1]].concat();
    let redirect6 = [&[137, 0, 0, 0, 0, 0, 0, 0][..], &v6(1), &v6(2), &[2, 1], &MACS[0]].concat();
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
    let mac = |octets: [u8; 6], last| (MacAddr::from(octets), MacAddr(10, 11, 12, 13, 14, last));
    let ip = |octets: [u8; 4], last: u8| (IpAddr::from(octets), IpAddr::from([10, 77, 3, last]));
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
        let has =
            |bytes: &[u8], wanted: &[u8]| bytes.windows(wanted.len()).any(|part| part == wanted);
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

const OLD: &str = "2001:db8::5";

/// The frame with the rules of IPv4 and one of IPv6, and whether all its checksums are right.
fn rewritten(frame: Vec<u8>) -> (Bytes, bool) {
    let mut rules = rules();
    rules
        .ips
        .push((OLD.parse().expect("an address"), "fd00::12:3456".parse().expect("an address")));
    let frame = Rewriter::new(rules).frame(LinkType::ETHERNET, &Bytes::from(frame), 0);
    let is_right = is_right(&frame);
    (frame, is_right)
}

fn is_right(frame: &[u8]) -> bool {
    let mut dissector = Dissector::default();
    !dissector.dissect(frame).is_malformed()
}

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
const NEW_MAC: [u8; 6] = [10, 11, 12, 13, 14, 15];
const US: [u8; 4] = [192, 168, 100, 2];
const NEW: [u8; 4] = [10, 1, 2, 3];

/// A UDP datagram of 192.168.100.2 behind an IPv4 header with these options.
fn with_options(options: &[u8]) -> Vec<u8> {
    use crate::craft::layers::{Ipv4, Udp};
    let [from, to] = [US, [192, 168, 100, 1]].map(Ipv4Addr::from);
    // The checksum is about the last address of a route that has not come to its end.
    let end = match options {
        [131 | 137, length, pointer, route @ ..] if pointer < length => {
            *route.last_chunk::<4>().expect("an address")
        }
        _ => to.octets(),
    };
    let datagram = Udp::new(7, 9).datagram(from, end.into(), b"hello");
    let packet = Ipv4 { options: options.to_vec(), ..Ipv4::new(from, to, 17) };
    samples::ethernet(0x0800, &packet.packet(&datagram))
}

#[test]
fn the_options_of_ipv4_name_routers() {
    let plain = count(&rewritten(with_options(&[])).0, &NEW);
    assert_eq!(plain, 1);
    for (options, more) in [
        (vec![131, 11, 4, 192, 168, 100, 2, 1, 2, 3, 4, 0], 1),
        (vec![137, 7, 4, 192, 168, 100, 2, 0], 1),
        (vec![137, 7, 8, 192, 168, 100, 2, 0], 1), // it has come to its end
        (vec![7, 11, 12, 192, 168, 100, 2, 192, 168, 100, 2, 0], 2),
        (vec![68, 12, 13, 1, 192, 168, 100, 2, 192, 168, 100, 2], 1), // the second is a time
        (vec![68, 12, 13, 0, 192, 168, 100, 2, 192, 168, 100, 2], 0), // both are
        (vec![131, 6, 4, 192, 168, 100, 2, 0], 0),                    // it is too short for one
    ] {
        let frame = with_options(&options);
        let is_sound = is_right(&frame);
        let (new, is_right) = rewritten(frame);
        assert_eq!((count(&new, &NEW), is_right), (plain + more, is_sound), "{options:?}");
    }
}

#[test]
fn dhcp_names_addresses_in_its_header_and_in_its_options() {
    use crate::craft::layers::Udp;
    let mut message = vec![2, 1, 6, 0, 0, 0, 0, 7, 0, 0, 0, 0];
    message.extend([US; 4].concat());
    message.extend(MAC);
    message.resize(236, 0);
    message[108..116].copy_from_slice(&[54, 4, 192, 168, 100, 2, 255, 0]); // in the file's place
    message.extend([0x63, 0x82, 0x53, 0x63, 53, 1, 5, 52, 1, 1, 0]);
    message.extend([3, 8, 192, 168, 100, 2, 192, 168, 100, 2]);
    for code in [50, 54, 6] {
        message.extend([code, 4, 192, 168, 100, 2]);
    }
    message.extend([61, 7, 1, 2, 0, 0, 0, 0, 2]);
    message.extend([43, 4, 192, 168, 100, 2]); // nobody knows what that is
    message.extend([255, 3, 4, 192, 168, 100, 2]);
    let [from, to] = [[192, 168, 100, 1], [192, 168, 100, 1]].map(Ipv4Addr::from);
    let datagram = Udp::new(67, 68).datagram(from, to, &message);
    let frame = samples::ethernet(0x0800, &samples::ipv4_between(from, to, 17, &datagram));
    assert_eq!((count(&frame, &US), count(&frame, &MAC)), (12, 3));
    let (new, is_right) = rewritten(frame);
    assert!(is_right);
    assert_eq!((count(&new, &NEW), count(&new, &US)), (4 + 1 + 2 + 3, 2));
    assert_eq!((count(&new, &NEW_MAC), count(&new, &MAC)), (3, 0));
}

/// An ICMPv6 message from 2001:db8::5 to a group or an address, behind more headers.
fn six(to: &str, message: &[u8]) -> Vec<u8> {
    let [from, to] = [OLD, to].map(|ip| ip.parse::<std::net::Ipv6Addr>().expect("an address"));
    let mut message = message.to_vec();
    let sum = crate::checksum::Sum::pseudo_v6(from, to, 58, message.len()).plus(&message).finish();
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut packet = vec![0x60, 0, 0, 0, 0, message.len() as u8, 58, 255];
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend(message);
    let mut frame = vec![0x33, 0x33];
    frame.extend(&to.octets()[12..]);
    frame.extend([2, 0, 0, 0, 0, 7, 0x86, 0xdd]);
    frame.extend(packet);
    frame
}

#[test]
fn the_groups_of_a_rewritten_ipv6_address_are_its_own() {
    let octets = |ip: &str| ip.parse::<std::net::Ipv6Addr>().expect("an address").octets();
    let [old, new] = [OLD, "fd00::12:3456"].map(octets);
    let [old_group, new_group] = ["ff02::1:ff00:5", "ff02::1:ff12:3456"].map(octets);
    let solicitation = [&[135, 0, 0, 0, 0, 0, 0, 0], &old[..]].concat();
    let mut report = vec![143, 0, 0, 0, 0, 0, 0, 2, 4, 1, 0, 1];
    report.extend([&old_group[..], &old, &[9; 4], &[3, 0, 0, 0], &old_group].concat());
    let old_report = [&[131, 0, 0, 0, 0, 0, 0, 0], &old_group[..]].concat();
    for (to, message, addresses, groups) in [
        ("ff02::1:ff00:5", solicitation, 2, 1),
        ("ff02::16", report, 2, 2),
        ("ff02::1:ff00:5", old_report, 1, 2),
    ] {
        let frame = six(to, &message);
        assert!(is_right(&frame));
        let (frame, is_right) = rewritten(frame);
        assert!(is_right, "{to}");
        assert_eq!((count(&frame, &new), count(&frame, &old)), (addresses, 0), "{to}");
        assert_eq!((count(&frame, &new_group), count(&frame, &old_group)), (groups, 0), "{to}");
        let is_group = to.starts_with("ff02::1:ff");
        assert_eq!(frame[..6] == [0x33, 0x33, 0xff, 0x12, 0x34, 0x56], is_group);
    }
}

#[test]
fn a_route_over_ipv6_names_where_it_ends() {
    let end: std::net::Ipv6Addr = OLD.parse().expect("an address");
    let from: std::net::Ipv6Addr = "2001:db8::1".parse().expect("an address");
    let mut datagram = vec![0, 1, 0, 2, 0, 10, 0, 0, b'h', b'i'];
    let sum = crate::checksum::Sum::pseudo_v6(from, end, 17, 10).plus(&datagram).finish();
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    let mut packet = vec![0x60, 0, 0, 0, 0, 34, 43, 64];
    packet.extend(from.octets());
    packet.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
    packet.extend([17, 2, 2, 1, 0, 0, 0, 0]);
    packet.extend(end.octets());
    packet.extend(datagram);
    let (new, _) = rewritten(samples::ethernet(0x86dd, &packet));
    let end: std::net::Ipv6Addr = "fd00::12:3456".parse().expect("an address");
    assert_eq!(new[62..78], end.octets());
    let sum = crate::checksum::Sum::pseudo_v6(from, end, 17, 10).plus(&new[78..]).finish();
    assert_eq!(sum, 0);
}

#[test]
fn however_small_the_fragments_are_the_whole_is_right() {
    use crate::craft::layers::{Ipv4, Tcp};
    let [from, to] = [US, [192, 168, 100, 1]].map(Ipv4Addr::from);
    for size in [8, 16, 24] {
        let segment = Tcp::new(80, 40000).segment(from, to, b"what is said");
        let mut rewriter = Rewriter::new(rules());
        let mut whole = Vec::new();
        for (n, part) in segment.chunks(size).enumerate() {
            let (id, offset) = (7, (n * size / 8) as u16);
            let flags = u8::from((n + 1) * size < segment.len());
            let packet = Ipv4 { id, offset, flags, ..Ipv4::new(from, to, 6) }.packet(part);
            let frame = Bytes::from(samples::ethernet(0x0800, &packet));
            let new = rewriter.frame(LinkType::ETHERNET, &frame, frame.len());
            assert_eq!(new[26..30], NEW);
            whole.extend(&new[34..]);
        }
        assert_eq!(whole[..2], 8080u16.to_be_bytes());
        let sum = crate::checksum::Sum::pseudo(NEW.into(), to, 6, whole.len()).plus(&whole);
        assert_eq!(sum.finish(), 0, "{size}");
    }
}

fn count(frame: &[u8], part: &[u8]) -> usize {
    frame.windows(part.len()).filter(|window| *window == part).count()
}
