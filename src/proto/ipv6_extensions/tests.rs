//! Chains of headers around one datagram whose checksum was made for known addresses.

use super::*;
use crate::checksum::Sum;
use crate::proto::examined::{self, fields_of};
use crate::proto::samples::{ethernet, ipv4, ipv6};
use crate::record::LinkType;
use proptest::prelude::*;

/// The address that ends in `last`: the packets go from fe80::2 to fe80::1.
fn address(last: u8) -> [u8; 16] {
    [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]
}

/// A datagram with the right checksum for these ends.
fn datagram(source: u8, destination: u8) -> Vec<u8> {
    let mut datagram = vec![3, 232, 7, 208, 0, 13, 0, 0, b'h', b'e', b'l', b'l', b'o'];
    let (source, destination) = (address(source).into(), address(destination).into());
    let sum = Sum::pseudo_v6(source, destination, 17, datagram.len());
    let checksum = sum.plus(&datagram).finish().to_be_bytes();
    datagram[6..8].copy_from_slice(&checksum);
    datagram
}

/// A frame that carries `parts`, the first of which is `next_header`.
fn frame(next_header: u8, parts: &[&[u8]]) -> Vec<u8> {
    ethernet(0x86dd, &ipv6(next_header, &parts.concat()))
}

fn hop_by_hop() -> Vec<u8> {
    frame(0, &[&[17, 1, 5, 2, 0, 0, 0x30, 4, 0, 1, 0, 0, 1, 0, 0, 0], &datagram(2, 1)])
}

fn segments() -> Vec<u8> {
    let list = [address(9), address(8)].concat();
    frame(43, &[&[17, 4, 4, 1, 1, 0, 0, 7], &list, &datagram(2, 9)])
}

fn fragments() -> [Vec<u8>; 3] {
    let whole = datagram(2, 1);
    [
        frame(44, &[&[17, 0, 0, 1, 0, 0, 0, 9], &whole[..8]]),
        frame(44, &[&[17, 0, 0, 8, 0, 0, 0, 9], &whole[8..]]),
        frame(44, &[&[17, 0, 0, 0, 0, 0, 0, 9], &whole]),
    ]
}

fn authenticated() -> Vec<u8> {
    let header = [17, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0x1f, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    frame(51, &[&header, &datagram(2, 1)])
}

#[test]
fn chains_are_said_as_tcpdump_says_them() {
    let whole = datagram(2, 1);
    let [first, second, atomic] = fragments();
    let frames = [
        hop_by_hop(),
        frame(60, &[&[17, 0, 1, 4, 0, 0, 0, 0], &whole]),
        frame(0, &[&[60, 0, 1, 4, 0, 0, 0, 0], &[17, 0, 1, 4, 0, 0, 0, 0], &whole]),
        segments(),
        first,
        second,
        atomic,
        authenticated(),
        ethernet(0x0800, &ipv4(51, &[&[59, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2][..]].concat())),
        frame(60, &[&[59, 0, 1, 4, 0, 0, 0, 0]]),
        frame(60, &[&[132, 0, 1, 4, 0, 0, 0, 0], &[0; 12]]),
        ethernet(0x0800, &ipv4(0, &[17, 0, 1, 4, 0, 0, 0, 0])),
    ];
    insta::assert_snapshot!(examined::lines(&frames), @r"
    IP6 fe80::2.1000 > fe80::1.2000: HBH UDP, length 5
    IP6 fe80::2.1000 > fe80::1.2000: DSTOPT UDP, length 5
    IP6 fe80::2.1000 > fe80::1.2000: HBH DSTOPT UDP, length 5
    IP6 fe80::2.1000 > fe80::1.2000: RT6 (len=4, type=4, segleft=1, last-entry=1, tag=0007, [0]fe80::9, [1]fe80::8) UDP, length 5
    IP6 fe80::2.1000 > fe80::1.2000: frag (0|8) UDP, length 0
    IP6 fe80::2 > fe80::1: frag (8|5)
    IP6 fe80::2.1000 > fe80::1.2000: frag (0|13) UDP, length 5
    IP6 fe80::2.1000 > fe80::1.2000: AH(spi=0x00000001,seq=0x1f): UDP, length 5
    IP 192.168.100.2 > 192.168.100.1: AH(spi=0x00000001,seq=0x2): no next header
    IP6 fe80::2 > fe80::1: DSTOPT no next header
    IP6 fe80::2 > fe80::1: DSTOPT SCTP, length 12
    IP 192.168.100.2 > 192.168.100.1: hop-by-hop options, length 8
    ");
    let brief = |frame: &Vec<u8>| examined::line_as(LinkType::ETHERNET, frame, true);
    insta::assert_snapshot!(brief(&segments()), @"IP6 fe80::2.1000 > fe80::1.2000: UDP, length 5");
}

/// Whether the line of such a packet complains about the datagram's checksum.
fn is_doubted(next_header: u8, header: &[u8], source: u8, destination: u8) -> bool {
    examined::lines(&[frame(next_header, &[header, &datagram(source, destination)])])
        .contains("cksum")
}

#[test]
fn a_checksum_is_verified_against_the_final_ends() {
    let (eight, nine) = (address(8), address(9));
    let source_route = |left| [&[17, 4, 0, left, 0, 0, 0, 0], &eight[..], &nine].concat();
    assert!(!is_doubted(43, &source_route(2), 2, 9));
    assert!(is_doubted(43, &source_route(2), 2, 1));
    assert!(!is_doubted(43, &source_route(0), 2, 1), "used up: the destination is the final one");
    assert!(is_doubted(43, &source_route(0), 2, 9));
    let segments = |left| [&[17, 4, 4, left, 1, 0, 0, 0], &nine[..], &eight].concat();
    assert!(!is_doubted(43, &segments(1), 2, 9), "the list is in reverse order");
    assert!(is_doubted(43, &segments(1), 2, 8));
    let mobile = [&[17, 2, 2, 1, 0, 0, 0, 0], &nine[..]].concat();
    assert!(!is_doubted(43, &mobile, 2, 9));
    let rpl = [&[17, 2, 3, 1, 0, 0, 0, 0], &nine[..]].concat();
    assert!(!is_doubted(43, &rpl, 2, 7), "compressed addresses: not verified");
    let home = [&[17, 2, 1, 2, 0, 0, 0xc9, 16], &nine[..]].concat();
    assert!(!is_doubted(60, &home, 9, 1));
    assert!(is_doubted(60, &home, 2, 1));
}

#[test]
fn a_jumbo_payload_has_its_length_in_an_option() {
    let mut frame = frame(0, &[&[17, 0, 0xc2, 4, 0, 0, 0, 21], &datagram(2, 1)]);
    frame[18..20].fill(0);
    let expected = "IP6 fe80::2.1000 > fe80::1.2000: HBH UDP, length 5";
    assert_eq!(examined::lines(&[frame]), expected);
}

#[test]
fn broken_chains_say_what_is_wrong() {
    let whole = datagram(2, 1);
    let mut loops = Vec::new();
    for _ in 0..40 {
        loops.extend([60, 0, 1, 4, 0, 0, 0, 0]);
    }
    let frames = [
        frame(60, &[&[17, 0, 1, 9, 0, 0, 0, 0], &whole]),
        frame(60, &[&[17, 9, 1, 4, 0, 0, 0, 0], &whole]),
        frame(60, &[&[17, 0, 1]]),
        frame(60, &[&[0, 0, 1, 4, 0, 0, 0, 0], &[17, 0, 1, 4, 0, 0, 0, 0], &whole]),
        frame(43, &[&[17, 2, 0, 9, 0, 0, 0, 0], &address(9), &whole]),
        frame(43, &[&[17, 2, 4, 1, 7, 0, 0, 0], &address(9), &whole]),
        frame(44, &[&[17, 0, 0, 1, 0, 0, 0, 9], &whole]),
        frame(44, &[&[17, 0, 0xff, 0xf8, 0, 0, 0, 9], &whole]),
        frame(44, &[&[17, 0, 0, 1]]),
        frame(51, &[&[17, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2], &whole]),
        frame(51, &[&[17, 40, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2], &whole]),
        frame(60, &[&loops]),
    ];
    insta::assert_snapshot!(examined::lines(&frames), @r"
    IP6 fe80::2.1000 > fe80::1.2000: DSTOPT UDP, length 5 [56: ipv6_destination: an option runs over the end of the header]
    IP6 fe80::2 > fe80::1: DSTOPT UDP, length 0 [54: truncated: ipv6_destination needs 80 bytes, had 21]
    IP6 fe80::2 > fe80::1: destination options, length 3 [54: truncated: ipv6_destination needs 8 bytes, had 3]
    IP6 fe80::2.1000 > fe80::1.2000: DSTOPT HBH UDP, length 5 [62: ipv6_hop_by_hop: does not follow the fixed header]
    IP6 fe80::2.1000 > fe80::1.2000: RT6 (len=2, type=0 [Deprecated], segleft=9, [0]fe80::9) UDP, length 5 [57: ipv6_routing: more segments than the header has room for]
    IP6 fe80::2.1000 > fe80::1.2000: RT6 (len=2, type=4, segleft=1, last-entry=7, tag=0000, [0]fe80::9) UDP, length 5 [57: ipv6_routing: more segments than the header has room for]
    IP6 fe80::2.1000 > fe80::1.2000: frag (0|13) UDP, length 5 [57: ipv6_fragment: length not a multiple of 8, but more follow]
    IP6 fe80::2 > fe80::1: frag (65528|13) [56: ipv6_fragment: ends beyond 65535 bytes]
    IP6 fe80::2 > fe80::1: fragment header, length 4 [54: truncated: ipv6_fragment needs 8 bytes, had 4]
    IP6 fe80::2 > fe80::1: AH, length 25 [55: bad ah payload_len 0]
    IP6 fe80::2 > fe80::1: AH(spi=0x00000001,seq=0x2): UDP, length 0 [54: truncated: ah needs 168 bytes, had 25]
    IP6 fe80::2 > fe80::1: DSTOPT DSTOPT DSTOPT DSTOPT DSTOPT DSTOPT DSTOPT DSTOPT DSTOPT DSTOPT DSTOPT DSTOPT DSTOPT DSTOPT DSTOPT DSTOPT DSTOPT DSTOPT DSTOPT DSTOPT DSTOPT DSTOPT destination options, length 144
    ");
}

#[test]
fn fields_of_every_header() {
    insta::assert_snapshot!(fields_of(&HOP_BY_HOP, &hop_by_hop()), @r"
    next_header = 17 (UDP) @0+1
    hdr_ext_len = 1 @1+1
    option.type = 5 (router alert) @2+4
    option.router_alert = 0 (MLD) @4+2
    option.type = 48 (minimum path MTU) @6+6
    option.data = bytes 00010000 @8+4
    option.type = 1 (PadN) @12+2
    option.type = 0 (Pad1) @14+1
    option.type = 0 (Pad1) @15+1
    ");
    let home = [&[17, 2, 1, 2, 0, 0, 0xc9, 16], &address(9)[..]].concat();
    let frame = frame(60, &[&home, &datagram(9, 1)]);
    insta::assert_snapshot!(fields_of(&DESTINATION, &frame), @r"
    next_header = 17 (UDP) @0+1
    hdr_ext_len = 2 @1+1
    option.type = 1 (PadN) @2+4
    option.type = 201 (home address) @6+18
    option.home_address = fe80::9 @8+16
    ");
    insta::assert_snapshot!(fields_of(&ROUTING, &segments()), @r"
    next_header = 17 (UDP) @0+1
    hdr_ext_len = 4 @1+1
    routing_type = 4 (segment routing) @2+1
    segments_left = 1 @3+1
    last_entry = 1 @4+1
    flags = 0 @5+1
    tag = 7 @6+2
    address = fe80::9 @8+16
    address = fe80::8 @24+16
    ");
    insta::assert_snapshot!(fields_of(&FRAGMENT, &fragments()[1]), @r"
    next_header = 17 (UDP) @0+1
    fragment_offset = 8 @2+2
    flags.m = false @3+1
    identification = 9 @4+4
    ");
    insta::assert_snapshot!(fields_of(&AH, &authenticated()), @r"
    next_header = 17 (UDP) @0+1
    payload_len = 4 @1+1
    spi = 0x1 @4+4
    sequence_number = 31 @8+4
    icv = bytes 0102030405060708090a0b0c @12+12
    ");
}

#[test]
fn no_damage_breaks_a_promise() {
    let [first, ..] = fragments();
    let frames = [hop_by_hop(), segments(), first, authenticated()];
    examined::check_damaged(LinkType::ETHERNET, &frames);
}

proptest! {
    #[test]
    fn no_bytes_break_a_promise(
        which in 0usize..5,
        kind in 0u8..5,
        bytes in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        let first = [0, 43, 44, 51, 60][which];
        examined::check(LinkType::ETHERNET, &frame(first, &[&bytes]));
        examined::check(LinkType::ETHERNET, &frame(first, &[&[first, 1, kind], &bytes]));
        examined::check(LinkType::ETHERNET, &ethernet(0x0800, &ipv4(first, &bytes)));
    }
}
