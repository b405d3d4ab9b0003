//! Messages of every kind, byte by byte.

use super::*;
use crate::checksum::Sum;
use crate::proto::examined::{self, fields_of};
use crate::proto::samples::{ethernet, ipv6};
use crate::record::LinkType;
use proptest::prelude::*;

/// The address that ends in `last`, with a prefix of two bytes.
fn address(prefix: u16, last: u8) -> [u8; 16] {
    let [high, low] = prefix.to_be_bytes();
    [high, low, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]
}

/// A frame with that message from fe80::2 to fe80::1, its checksum right.
fn frame(message: &[u8]) -> Vec<u8> {
    let mut message = message.to_vec();
    let sum =
        Sum::pseudo_v6(address(0xfe80, 2).into(), address(0xfe80, 1).into(), 58, message.len());
    let checksum = sum.plus(&message).finish().to_be_bytes();
    message[2..4].copy_from_slice(&checksum);
    ethernet(0x86dd, &ipv6(58, &message))
}

/// The same about a packet whose payload begins with `first`.
fn about(head: [u8; 8], next_header: u8, first: &[u8]) -> Vec<u8> {
    frame(&[&head[..], &ipv6(next_header, first)].concat())
}

const UDP: [u8; 8] = [0x9c, 0x40, 0, 7, 0, 8, 0, 0];

/// A router's advertisement with every kind of option that is read.
fn advertisement() -> Vec<u8> {
    let prefix = address(0x2001, 0);
    frame(
        &[
            &[134, 0, 0, 0, 64, 0x48, 7, 8, 0, 0, 0, 0, 0, 0, 3, 0xe8][..],
            &[1, 1, 2, 0, 0, 0, 0, 1, 5, 1, 0, 0, 0, 0, 5, 0xdc],
            &[3, 4, 64, 0xc0, 0, 1, 0x51, 0x80, 0, 0, 0x38, 0x40, 0, 0, 0, 0],
            &prefix,
            &[24, 2, 32, 8, 0, 0, 2, 0x58, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0],
            &[25, 3, 0, 0, 0, 0, 4, 0xb0],
            &address(0x2001, 0x53),
            &[
                31, 3, 0, 0, 0, 0, 4, 0xb0, 3, b'l', b'a', b'n', 0, 4, b'h', b'o', b'm', b'e', 0,
                0, 0, 0, 0, 0,
            ],
            &[37, 2, b'h', b't', b't', b'p', b':', b'/', b'/', b'1', 0, 0, 0, 0, 0, 0],
            &[14, 1, 1, 2, 3, 4, 5, 6, 200, 1, 9, 9, 9, 9, 9, 9],
        ]
        .concat(),
    )
}

fn solicitation() -> Vec<u8> {
    let target = address(0xfe80, 1);
    frame(&[&[135, 0, 0, 0, 0, 0, 0, 0][..], &target, &[1, 1, 2, 0, 0, 0, 0, 2]].concat())
}

fn neighbour() -> Vec<u8> {
    let target = address(0xfe80, 1);
    frame(&[&[136, 0, 0, 0, 0x60, 0, 0, 0][..], &target, &[2, 1, 2, 0, 0, 0, 0, 1]].concat())
}

fn redirect() -> Vec<u8> {
    let (target, destination) = (address(0xfe80, 9), address(0x2001, 2));
    let header = [4, 2, 0, 0, 0, 0, 0, 0, 0x60, 0, 0, 0, 0, 0, 59, 64];
    frame(&[&[137, 0, 0, 0, 0, 0, 0, 0][..], &target, &destination, &header].concat())
}

fn listener_query() -> Vec<u8> {
    let source = [&[2, 125, 0, 1], &address(0xfe80, 5)[..]].concat();
    frame(&[&[130, 0, 0, 0, 3, 0xe8, 0, 0], &address(0xff05, 7)[..], &source].concat())
}

fn listener_report() -> Vec<u8> {
    let (first, second) = (address(0xff02, 0xfb), address(0xff05, 7));
    let source = address(0xfe80, 5);
    let head = [143, 0, 0, 0, 0, 0, 0, 2, 4, 0, 0, 0];
    frame(&[&head[..], &first, &[1, 0, 0, 1], &second, &source].concat())
}

#[test]
fn errors_tell_whose_packet_they_are_about() {
    let mut frames: Vec<_> = (0..10).map(|c| about([1, c, 0, 0, 0, 0, 0, 0], 17, &UDP)).collect();
    frames.push(about(
        [1, 4, 0, 0, 0, 0, 0, 0],
        60,
        &[&[6, 0, 1, 4, 0, 0, 0, 0], &UDP[..]].concat(),
    ));
    frames.push(about(
        [1, 4, 0, 0, 0, 0, 0, 0],
        44,
        &[&[17, 0, 1, 0, 0, 0, 0, 0], &UDP[..]].concat(),
    ));
    frames.push(about([1, 4, 0, 0, 0, 0, 0, 0], 47, &UDP));
    frames.push(about([2, 0, 0, 0, 0, 0, 5, 0], 17, &UDP));
    frames.extend((0..3).map(|c| about([3, c, 0, 0, 0, 0, 0, 0], 17, &UDP)));
    frames.extend((0..5).map(|c| about([4, c, 0, 0, 0, 0, 0, 40], 17, &UDP)));
    frames.push(frame(&[1, 4, 0, 0, 0, 0, 0, 0, 0x60, 0]));
    insta::assert_snapshot!(examined::lines(&frames), @r"
    IP6 fe80::2 > fe80::1: ICMP6, destination unreachable, unreachable route fe80::1, length 56
    IP6 fe80::2 > fe80::1: ICMP6, destination unreachable, unreachable prohibited fe80::1, length 56
    IP6 fe80::2 > fe80::1: ICMP6, destination unreachable, beyond scope fe80::1, source address fe80::2, length 56
    IP6 fe80::2 > fe80::1: ICMP6, destination unreachable, unreachable address fe80::1, length 56
    IP6 fe80::2 > fe80::1: ICMP6, destination unreachable, unreachable port, fe80::1 udp port 7, length 56
    IP6 fe80::2 > fe80::1: ICMP6, destination unreachable, source address failed ingress/egress policy, fe80::1, length 56
    IP6 fe80::2 > fe80::1: ICMP6, destination unreachable, reject route to destination, fe80::1, length 56
    IP6 fe80::2 > fe80::1: ICMP6, destination unreachable, error in source routing header, fe80::1, length 56
    IP6 fe80::2 > fe80::1: ICMP6, destination unreachable, headers too long, fe80::1, length 56
    IP6 fe80::2 > fe80::1: ICMP6, destination unreachable, code 9, fe80::1, length 56
    IP6 fe80::2 > fe80::1: ICMP6, destination unreachable, unreachable port, fe80::1 tcp port 7, length 64
    IP6 fe80::2 > fe80::1: ICMP6, destination unreachable, unreachable port, fe80::1 udp port, length 64
    IP6 fe80::2 > fe80::1: ICMP6, destination unreachable, unreachable port, fe80::1 protocol 47 port, length 56
    IP6 fe80::2 > fe80::1: ICMP6, packet too big, mtu 1280, length 56
    IP6 fe80::2 > fe80::1: ICMP6, time exceeded in-transit for fe80::1, length 56
    IP6 fe80::2 > fe80::1: ICMP6, time exceeded in-transit (reassembly), length 56
    IP6 fe80::2 > fe80::1: ICMP6, time exceeded in-transit, code 2, length 56
    IP6 fe80::2 > fe80::1: ICMP6, parameter problem, erroneous - octet 40, length 56
    IP6 fe80::2 > fe80::1: ICMP6, parameter problem, next header - octet 40, length 56
    IP6 fe80::2 > fe80::1: ICMP6, parameter problem, option - octet 40, length 56
    IP6 fe80::2 > fe80::1: ICMP6, parameter problem, incomplete header chain - octet 40, length 56
    IP6 fe80::2 > fe80::1: ICMP6, parameter problem, error in SR upper-layer header - octet 40, length 56
    IP6 fe80::2 > fe80::1: ICMP6, destination unreachable, unreachable port, length 10
    ");
}

#[test]
fn messages_are_said_as_tcpdump_says_them() {
    let v1 = |kind| frame(&[&[kind, 0, 0, 0, 3, 0xe8, 0, 0], &address(0xff05, 7)[..]].concat());
    let frames = [
        frame(&[128, 0, 0, 0, 0, 7, 0, 1, 1, 2]),
        frame(&[129, 0, 0, 0, 0, 7, 0, 1, 1, 2]),
        frame(&[133, 0, 0, 0, 0, 0, 0, 0]),
        advertisement(),
        solicitation(),
        neighbour(),
        redirect(),
        v1(130),
        v1(131),
        v1(132),
        listener_query(),
        listener_report(),
        frame(&[138, 255, 0, 0, 0, 0, 0, 0]),
        frame(&[155, 3, 0, 0, 0, 0, 0, 0]),
        frame(&[99, 0, 0, 0]),
    ];
    insta::assert_snapshot!(examined::lines(&frames), @r"
    IP6 fe80::2 > fe80::1: ICMP6, echo request, id 7, seq 1, length 10
    IP6 fe80::2 > fe80::1: ICMP6, echo reply, id 7, seq 1, length 10
    IP6 fe80::2 > fe80::1: ICMP6, router solicitation, length 8
    IP6 fe80::2 > fe80::1: ICMP6, router advertisement, length 160
    IP6 fe80::2 > fe80::1: ICMP6, neighbor solicitation, who has fe80::1, length 32
    IP6 fe80::2 > fe80::1: ICMP6, neighbor advertisement, tgt is fe80::1, length 32
    IP6 fe80::2 > fe80::1: ICMP6, redirect, 2001::2 to fe80::9, length 56
    IP6 fe80::2 > fe80::1: ICMP6, multicast listener query max resp delay: 1000 addr: ff05::7, length 24
    IP6 fe80::2 > fe80::1: ICMP6, multicast listener report addr: ff05::7, length 24
    IP6 fe80::2 > fe80::1: ICMP6, multicast listener done addr: ff05::7, length 24
    IP6 fe80::2 > fe80::1: ICMP6, multicast listener query v2 [gaddr ff05::7, 1 source(s)], length 44
    IP6 fe80::2 > fe80::1: ICMP6, multicast listener report v2, 2 group record(s) [gaddr ff02::fb to_ex { }] [gaddr ff05::7 is_in { fe80::5 }], length 64
    IP6 fe80::2 > fe80::1: ICMP6, router renumbering, sequence number reset, length 8
    IP6 fe80::2 > fe80::1: ICMP6, RPL control, code 3, length 8
    IP6 fe80::2 > fe80::1: ICMP6, unknown icmp6 type (99), length 4
    ");
    insta::assert_snapshot!(examined::line_as(LinkType::ETHERNET, &listener_report(), true), @"IP6 fe80::2 > fe80::1: ICMP6, multicast listener report v2, 2 group record(s), length 64");
}

#[test]
fn broken_messages_say_what_is_wrong() {
    let target = address(0xfe80, 1);
    let mut checksum = solicitation();
    checksum[56] ^= 1;
    let mut hop_limit = solicitation();
    hop_limit[21] = 64;
    let mut records = listener_report();
    records.truncate(records.len() - 16);
    records[18..20].copy_from_slice(&48u16.to_be_bytes());
    let frames = [
        checksum,
        hop_limit,
        records,
        frame(&[&[135, 0, 0, 0, 0, 0, 0, 0][..], &target, &[1, 0, 2, 0, 0, 0, 0, 2]].concat()),
        frame(&[&[135, 0, 0, 0, 0, 0, 0, 0][..], &target, &[1, 2, 2, 0, 0, 0, 0, 2]].concat()),
        frame(&[&[135, 0, 0, 0, 0, 0, 0, 0][..], &target[..9]].concat()),
        ethernet(0x86dd, &ipv6(58, &[128, 0, 0])),
        frame(&[128, 0, 0, 0, 0, 7]),
    ];
    insta::assert_snapshot!(examined::lines(&frames), @r"
    IP6 fe80::2 > fe80::1: ICMP6, neighbor solicitation, who has fe80::1, length 32 [56: bad icmpv6 cksum 7b1b, should be 7a1b]
    IP6 fe80::2 > fe80::1: ICMP6, neighbor solicitation, who has fe80::1, length 32 [54: icmpv6: hop limit is not 255]
    IP6 fe80::2 > fe80::1: ICMP6, multicast listener report v2, 2 group record(s) [gaddr ff02::fb to_ex { }], length 48 [56: bad icmpv6 cksum 70ec, should be 6f82] [62: icmpv6: a group record is not all there]
    IP6 fe80::2 > fe80::1: ICMP6, neighbor solicitation, who has fe80::1, length 32 [78: icmpv6: an option of length 0]
    IP6 fe80::2 > fe80::1: ICMP6, neighbor solicitation, who has fe80::1, length 32 [78: icmpv6: an option runs over the end of the message]
    IP6 fe80::2 > fe80::1: ICMP6, neighbor solicitation, length 17 [54: truncated: icmpv6 needs 24 bytes, had 17]
    IP6 fe80::2 > fe80::1: ICMPv6, length 3 [54: truncated: icmpv6 needs 4 bytes, had 3]
    IP6 fe80::2 > fe80::1: ICMP6, echo request, id 7, seq 0, length 6 [54: truncated: icmpv6 needs 8 bytes, had 6]
    ");
}

#[test]
fn fields_of_errors_and_echoes() {
    insta::assert_snapshot!(fields_of(&ICMPV6, &frame(&[128, 0, 0, 0, 0, 7, 0, 1])), @r"
    type = 128 (echo request) @0+1
    code = 0 @1+1
    checksum = 0x82b0 @2+2
    identifier = 7 @4+2
    sequence_number = 1 @6+2
    ");
    insta::assert_snapshot!(fields_of(&ICMPV6, &about([2, 0, 0, 0, 0, 0, 5, 0], 17, &UDP)), @r"
    type = 2 (packet too big) @0+1
    code = 0 @1+1
    checksum = 0xf02c @2+2
    mtu = 1280 @4+4
    ");
    insta::assert_snapshot!(fields_of(&ICMPV6, &about([4, 1, 0, 0, 0, 0, 0, 6], 17, &UDP)), @r"
    type = 4 (parameter problem) @0+1
    code = 1 (unrecognized next header) @1+1
    checksum = 0xf325 @2+2
    pointer = 6 @4+4
    ");
    insta::assert_snapshot!(fields_of(&ICMPV6, &about([1, 4, 0, 0, 0, 0, 0, 0], 17, &UDP)), @r"
    type = 1 (destination unreachable) @0+1
    code = 4 (port unreachable) @1+1
    checksum = 0xf628 @2+2
    length = 0 @4+1
    ");
}

#[test]
fn fields_of_neighbour_discovery() {
    insta::assert_snapshot!(fields_of(&ICMPV6, &advertisement()), @r#"
    type = 134 (router advertisement) @0+1
    code = 0 @1+1
    checksum = 0xcb87 @2+2
    cur_hop_limit = 64 @4+1
    flags.managed = false @5+1
    flags.other = true @5+1
    flags.home_agent = false @5+1
    preference = 1 (high) @5+1
    router_lifetime = 1800 @6+2
    reachable_time = 0 @8+4
    retrans_timer = 1000 @12+4
    option.type = 1 (source link-layer address) @16+8
    option.link_layer_address = 02:00:00:00:00:01 @18+6
    option.type = 5 (MTU) @24+8
    option.mtu = 1500 @28+4
    option.type = 3 (prefix information) @32+32
    option.prefix_length = 64 @34+1
    option.flags.on_link = true @35+1
    option.flags.autonomous = true @35+1
    option.flags.router = false @35+1
    option.valid_lifetime = 86400 @36+4
    option.preferred_lifetime = 14400 @40+4
    option.prefix = 2001:: @48+16
    option.type = 24 (route information) @64+16
    option.prefix_length = 32 @66+1
    option.preference = 1 (high) @67+1
    option.route_lifetime = 600 @68+4
    option.prefix = 2001:db8:: @72+8
    option.type = 25 (recursive DNS server) @80+24
    option.lifetime = 1200 @84+4
    option.dns_server = 2001::53 @88+16
    option.type = 31 (DNS search list) @104+24
    option.lifetime = 1200 @108+4
    option.domain = lan @112+5
    option.domain = home @117+6
    option.type = 37 (captive portal) @128+16
    option.uri = "http://1" @130+8
    option.type = 14 (nonce) @144+8
    option.nonce = bytes 010203040506 @146+6
    option.type = 200 @152+8
    option.data = bytes 090909090909 @154+6
    "#);
    insta::assert_snapshot!(fields_of(&ICMPV6, &solicitation()), @r"
    type = 135 (neighbor solicitation) @0+1
    code = 0 @1+1
    checksum = 0x7a1b @2+2
    target_address = fe80::1 @8+16
    option.type = 1 (source link-layer address) @24+8
    option.link_layer_address = 02:00:00:00:00:02 @26+6
    ");
    insta::assert_snapshot!(fields_of(&ICMPV6, &neighbour()), @r"
    type = 136 (neighbor advertisement) @0+1
    code = 0 @1+1
    checksum = 0x181c @2+2
    flags.router = false @4+1
    flags.solicited = true @4+1
    flags.override = true @4+1
    target_address = fe80::1 @8+16
    option.type = 2 (target link-layer address) @24+8
    option.link_layer_address = 02:00:00:00:00:01 @26+6
    ");
    insta::assert_snapshot!(fields_of(&ICMPV6, &redirect()), @r"
    type = 137 (redirect) @0+1
    code = 0 @1+1
    checksum = 0xbbb8 @2+2
    target_address = fe80::9 @8+16
    destination_address = 2001::2 @24+16
    option.type = 4 (redirected header) @40+16
    option.redirected_header = bytes 6000000000003b40 @48+8
    ");
}

#[test]
fn fields_of_multicast_listeners() {
    insta::assert_snapshot!(fields_of(&ICMPV6, &listener_query()), @r"
    type = 130 (multicast listener query) @0+1
    code = 0 @1+1
    checksum = 0x7c9b @2+2
    maximum_response_code = 1000 @4+2
    multicast_address = ff05::7 @8+16
    s = false @24+1
    qrv = 2 @24+1
    qqic = 125 @25+1
    number_of_sources = 1 @26+2
    source_address = fe80::5 @28+16
    ");
    insta::assert_snapshot!(fields_of(&ICMPV6, &listener_report()), @r"
    type = 143 (multicast listener report v2) @0+1
    code = 0 @1+1
    checksum = 0x70ec @2+2
    number_of_records = 2 @6+2
    record.type = 4 (change to exclude mode) @8+1
    record.aux_data_len = 0 @9+1
    record.multicast_address = ff02::fb @12+16
    record.type = 1 (mode is include) @28+1
    record.aux_data_len = 0 @29+1
    record.multicast_address = ff05::7 @32+16
    record.source_address = fe80::5 @48+16
    ");
}

#[test]
fn answers_belong_to_their_questions() {
    let exchange = |frame: &[u8]| examined::exchange_of(frame, 2);
    let mut reply = frame(&[129, 0, 0, 0, 0, 7, 0, 1]);
    reply[22..54].rotate_left(16);
    examined::assert_answers_of(2, &frame(&[128, 0, 0, 0, 0, 7, 0, 1]), &reply);
    examined::assert_answers_of(2, &solicitation(), &neighbour());
    let asked = exchange(&solicitation()).expect("a question");
    let mut other = neighbour();
    other[14 + 40 + 23] = 9;
    assert_ne!(exchange(&other).map(|answer| answer.key), Some(asked.key));
    assert_eq!(exchange(&advertisement()), None);
}

#[test]
fn no_damage_breaks_a_promise() {
    let quoting = about([1, 4, 0, 0, 0, 0, 0, 0], 17, &UDP);
    let frames = [advertisement(), redirect(), listener_query(), listener_report(), quoting];
    examined::check_damaged(LinkType::ETHERNET, &frames);
}

proptest! {
    #[test]
    fn no_bytes_break_a_promise(
        kind: u8, code: u8, bytes in prop::collection::vec(any::<u8>(), 0..150),
    ) {
        let message = [&[kind, code, 0, 0][..], &bytes].concat();
        examined::check(LinkType::ETHERNET, &frame(&message));
        let listed = [&[130 + kind % 14, code, 0, 0][..], &bytes].concat();
        examined::check(LinkType::ETHERNET, &frame(&listed));
        examined::check(LinkType::ETHERNET, &about([kind % 5, code, 0, 0, 0, 0, 0, 0], 58, &message));
    }
}
