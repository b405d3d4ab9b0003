//! No address is left: frames with one in each place where it can stand.

use super::*;
use crate::proto::samples;

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
