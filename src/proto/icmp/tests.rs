//! Messages of every kind, byte by byte.

use super::*;
use crate::proto::examined::{self, fields_of};
use crate::proto::samples::{ethernet, ipv4, summed};
use crate::record::LinkType;
use proptest::prelude::*;

/// A frame with that message, its checksum right.
fn frame(message: &[u8]) -> Vec<u8> {
    ethernet(0x0800, &ipv4(1, &summed(message)))
}

/// The same about a packet of that protocol whose payload begins with `first`.
fn about(head: [u8; 8], protocol: u8, first: &[u8]) -> Vec<u8> {
    frame(&[&head[..], &ipv4(protocol, first)].concat())
}

const UDP: [u8; 8] = [0x9c, 0x40, 0, 7, 0, 8, 0, 0];
const TCP: [u8; 8] = [0x9c, 0x40, 0, 80, 0, 0, 0, 1];

fn advertisement() -> Vec<u8> {
    let routers = [10, 0, 0, 1, 0, 0, 0, 0, 10, 0, 0, 2, 0x80, 0, 0, 0];
    frame(&[&[9, 0, 0, 0, 2, 2, 7, 8][..], &routers].concat())
}

fn timestamp_reply() -> Vec<u8> {
    frame(&[14, 0, 0, 0, 0, 7, 0, 1, 0x02, 0x25, 0x51, 0x7b, 0x02, 0x25, 0x54, 0xe7, 0x80, 0, 0, 1])
}

#[test]
fn errors_tell_whose_packet_they_are_about() {
    let mut frames: Vec<_> = (0..17).map(|c| about([3, c, 0, 0, 0, 0, 5, 120], 17, &UDP)).collect();
    frames.push(about([3, 3, 0, 0, 0, 0, 0, 0], 6, &TCP));
    frames.push(about([3, 3, 0, 0, 0, 0, 0, 0], 132, &TCP));
    frames.push(about([3, 3, 0, 0, 0, 0, 0, 0], 47, &TCP));
    frames.push(about([3, 3, 0, 0, 0, 0, 0, 0], 17, &UDP[..3]));
    frames.push(about([3, 4, 0, 0, 0, 0, 0, 0], 17, &UDP));
    frames.extend((0..4).map(|c| about([5, c, 0, 0, 10, 0, 0, 1], 17, &UDP)));
    frames.extend((0..3).map(|c| about([11, c, 0, 0, 0, 0, 0, 0], 17, &UDP)));
    frames.extend((0..3).map(|c| about([12, c, 0, 0, 20, 0, 0, 0], 17, &UDP)));
    frames.push(about([4, 0, 0, 0, 0, 0, 0, 0], 17, &UDP));
    insta::assert_snapshot!(examined::lines(&frames), @r"
    IP 192.168.100.2 > 192.168.100.1: ICMP net 192.168.100.1 unreachable, length 36
    IP 192.168.100.2 > 192.168.100.1: ICMP host 192.168.100.1 unreachable, length 36
    IP 192.168.100.2 > 192.168.100.1: ICMP 192.168.100.1 protocol 17 unreachable, length 36
    IP 192.168.100.2 > 192.168.100.1: ICMP 192.168.100.1 udp port 7 unreachable, length 36
    IP 192.168.100.2 > 192.168.100.1: ICMP 192.168.100.1 unreachable - need to frag (mtu 1400), length 36
    IP 192.168.100.2 > 192.168.100.1: ICMP 192.168.100.1 unreachable - source route failed, length 36
    IP 192.168.100.2 > 192.168.100.1: ICMP net 192.168.100.1 unreachable - unknown, length 36
    IP 192.168.100.2 > 192.168.100.1: ICMP host 192.168.100.1 unreachable - unknown, length 36
    IP 192.168.100.2 > 192.168.100.1: ICMP 192.168.100.1 unreachable - source host isolated, length 36
    IP 192.168.100.2 > 192.168.100.1: ICMP net 192.168.100.1 unreachable - admin prohibited, length 36
    IP 192.168.100.2 > 192.168.100.1: ICMP host 192.168.100.1 unreachable - admin prohibited, length 36
    IP 192.168.100.2 > 192.168.100.1: ICMP net 192.168.100.1 unreachable - tos prohibited, length 36
    IP 192.168.100.2 > 192.168.100.1: ICMP host 192.168.100.1 unreachable - tos prohibited, length 36
    IP 192.168.100.2 > 192.168.100.1: ICMP host 192.168.100.1 unreachable - admin prohibited filter, length 36
    IP 192.168.100.2 > 192.168.100.1: ICMP host 192.168.100.1 unreachable - host precedence violation, length 36
    IP 192.168.100.2 > 192.168.100.1: ICMP host 192.168.100.1 unreachable - precedence cutoff, length 36
    IP 192.168.100.2 > 192.168.100.1: ICMP 192.168.100.1 unreachable - code 16, length 36
    IP 192.168.100.2 > 192.168.100.1: ICMP 192.168.100.1 tcp port 80 unreachable, length 36
    IP 192.168.100.2 > 192.168.100.1: ICMP 192.168.100.1 sctp port 80 unreachable, length 36
    IP 192.168.100.2 > 192.168.100.1: ICMP 192.168.100.1 protocol 47 port unreachable, length 36
    IP 192.168.100.2 > 192.168.100.1: ICMP 192.168.100.1 udp port unreachable, length 31
    IP 192.168.100.2 > 192.168.100.1: ICMP 192.168.100.1 unreachable - need to frag, length 36
    IP 192.168.100.2 > 192.168.100.1: ICMP redirect 192.168.100.1 to net 10.0.0.1, length 36
    IP 192.168.100.2 > 192.168.100.1: ICMP redirect 192.168.100.1 to host 10.0.0.1, length 36
    IP 192.168.100.2 > 192.168.100.1: ICMP redirect-tos 192.168.100.1 to net 10.0.0.1, length 36
    IP 192.168.100.2 > 192.168.100.1: ICMP redirect-tos 192.168.100.1 to host 10.0.0.1, length 36
    IP 192.168.100.2 > 192.168.100.1: ICMP time exceeded in-transit, length 36
    IP 192.168.100.2 > 192.168.100.1: ICMP ip reassembly time exceeded, length 36
    IP 192.168.100.2 > 192.168.100.1: ICMP time exceeded code 2, length 36
    IP 192.168.100.2 > 192.168.100.1: ICMP parameter problem - octet 20, length 36
    IP 192.168.100.2 > 192.168.100.1: ICMP parameter problem - missing a required option, length 36
    IP 192.168.100.2 > 192.168.100.1: ICMP parameter problem - bad length, length 36
    IP 192.168.100.2 > 192.168.100.1: ICMP source quench, length 36
    ");
}

#[test]
fn errors_that_quote_too_little_are_said_without() {
    let frames: Vec<_> = [[3, 0], [3, 2], [3, 3], [3, 4], [5, 1], [11, 0]]
        .map(|[kind, code]| frame(&[kind, code, 0, 0, 10, 0, 0, 1, 0x45, 0, 0]))
        .to_vec();
    insta::assert_snapshot!(examined::lines(&frames), @r"
    IP 192.168.100.2 > 192.168.100.1: ICMP net unreachable, length 11
    IP 192.168.100.2 > 192.168.100.1: ICMP protocol unreachable, length 11
    IP 192.168.100.2 > 192.168.100.1: ICMP port unreachable, length 11
    IP 192.168.100.2 > 192.168.100.1: ICMP unreachable - need to frag (mtu 1), length 11
    IP 192.168.100.2 > 192.168.100.1: ICMP redirect to host 10.0.0.1, length 11
    IP 192.168.100.2 > 192.168.100.1: ICMP time exceeded in-transit, length 11
    ");
}

#[test]
fn questions_answers_and_oddities() {
    let mut cut = timestamp_reply();
    cut.truncate(14 + 20 + 12);
    let mut wrong = timestamp_reply();
    wrong[50] ^= 1;
    let frames = [
        frame(&[8, 0, 0, 0, 0, 7, 0, 1, 1, 2]),
        frame(&[0, 0, 0, 0, 0, 7, 0, 1, 1, 2]),
        frame(&[10, 0, 0, 0, 0, 0, 0, 0]),
        advertisement(),
        frame(&[9, 16, 0, 0, 0, 2, 0x0e, 0x10]),
        frame(&[9, 0, 0, 0, 1, 1, 0, 30, 10, 0, 0, 1]),
        frame(&[13, 0, 0, 0, 0, 7, 0, 1, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0]),
        timestamp_reply(),
        cut,
        wrong,
        frame(&[15, 0, 0, 0, 0, 7, 0, 1]),
        frame(&[17, 0, 0, 0, 0, 7, 0, 1, 0, 0, 0, 0]),
        frame(&[18, 0, 0, 0, 0, 7, 0, 1, 255, 255, 255, 0]),
        frame(&[40, 2, 0, 0, 0, 0, 0, 0]),
        frame(&[43, 9, 0, 0, 0, 0, 0, 0]),
        frame(&[200, 3, 0, 0, 0, 0, 0, 0]),
        frame(&[8, 0, 0, 0, 0, 7, 0]),
    ];
    insta::assert_snapshot!(examined::lines(&frames), @r"
    IP 192.168.100.2 > 192.168.100.1: ICMP echo request, id 7, seq 1, length 10
    IP 192.168.100.2 > 192.168.100.1: ICMP echo reply, id 7, seq 1, length 10
    IP 192.168.100.2 > 192.168.100.1: ICMP router solicitation, length 8
    IP 192.168.100.2 > 192.168.100.1: ICMP router advertisement lifetime 30:00 2: {10.0.0.1 0} {10.0.0.2 2147483648}, length 24
    IP 192.168.100.2 > 192.168.100.1: ICMP router advertisement lifetime 1:00:00 0:, length 8
    IP 192.168.100.2 > 192.168.100.1: ICMP router advertisement lifetime 30 1:, length 12 [39: bad icmp addr_entry_size 1]
    IP 192.168.100.2 > 192.168.100.1: ICMP time stamp query id 7 seq 1, length 20
    IP 192.168.100.2 > 192.168.100.1: ICMP time stamp reply id 7 seq 1: org 10:00:00.123, recv 10:00:00.999, xmit 0x80000001, length 20
    IP 192.168.100.2 > 192.168.100.1: ICMP time stamp reply id 7 seq 1: org 10:00:00.123, length 12 [14: truncated: ipv4 needs 40 bytes, had 32] [34: truncated: icmp needs 20 bytes, had 12]
    IP 192.168.100.2 > 192.168.100.1: ICMP time stamp reply id 7 seq 1: org 10:00:00.123, recv 10:00:00.999, xmit 0x81000001, length 20 [36: bad icmp cksum c749, should be c649]
    IP 192.168.100.2 > 192.168.100.1: ICMP information request, length 8
    IP 192.168.100.2 > 192.168.100.1: ICMP address mask request, length 12
    IP 192.168.100.2 > 192.168.100.1: ICMP address mask is 0xffffff00, length 12
    IP 192.168.100.2 > 192.168.100.1: ICMP Photuris - decompression failed, length 8
    IP 192.168.100.2 > 192.168.100.1: ICMP extended echo reply, code 9, length 8
    IP 192.168.100.2 > 192.168.100.1: ICMP type 200, code 3, length 8
    IP 192.168.100.2 > 192.168.100.1: ICMP, length 7 [34: truncated: icmp needs 8 bytes, had 7]
    ");
    let brief = |frame: &Vec<u8>| examined::line_as(LinkType::ETHERNET, frame, true);
    let brief = [advertisement(), timestamp_reply()].iter().map(brief).collect::<Vec<_>>();
    insta::assert_snapshot!(brief.join("\n"), @r"
    IP 192.168.100.2 > 192.168.100.1: ICMP router advertisement lifetime 30:00 2:, length 24
    IP 192.168.100.2 > 192.168.100.1: ICMP time stamp reply id 7 seq 1, length 20
    ");
}

#[test]
fn fields_are_there_where_the_type_has_them() {
    insta::assert_snapshot!(fields_of(&ICMP, &frame(&[8, 0, 0, 0, 0, 7, 0, 1])), @r"
    type = 8 (echo request) @0+1
    code = 0 @1+1
    checksum = 0xf7f7 @2+2
    identifier = 7 @4+2
    sequence_number = 1 @6+2
    ");
    insta::assert_snapshot!(fields_of(&ICMP, &about([3, 4, 0, 0, 0, 0, 5, 120], 17, &UDP)), @r"
    type = 3 (destination unreachable) @0+1
    code = 4 (fragmentation needed and DF set) @1+1
    checksum = 0x5b34 @2+2
    length = 0 @5+1
    mtu = 1400 @6+2
    ");
    insta::assert_snapshot!(fields_of(&ICMP, &about([5, 1, 0, 0, 10, 0, 0, 1], 17, &UDP)), @r"
    type = 5 (redirect) @0+1
    code = 1 (for the host) @1+1
    checksum = 0x54ae @2+2
    gateway = 10.0.0.1 @4+4
    ");
    insta::assert_snapshot!(fields_of(&ICMP, &about([12, 0, 0, 0, 20, 0, 0, 0], 17, &UDP)), @r"
    type = 12 (parameter problem) @0+1
    code = 0 (pointer indicates the error) @1+1
    checksum = 0x43b0 @2+2
    pointer = 20 @4+1
    length = 0 @5+1
    ");
    insta::assert_snapshot!(fields_of(&ICMP, &timestamp_reply()), @r"
    type = 14 (timestamp reply) @0+1
    code = 0 @1+1
    checksum = 0xc749 @2+2
    identifier = 7 @4+2
    sequence_number = 1 @6+2
    originate_timestamp = 36000123 @8+4
    receive_timestamp = 36000999 @12+4
    transmit_timestamp = 2147483649 @16+4
    ");
    let mask = frame(&[18, 0, 0, 0, 0, 7, 0, 1, 255, 255, 255, 0]);
    insta::assert_snapshot!(fields_of(&ICMP, &mask), @r"
    type = 18 (address mask reply) @0+1
    code = 0 @1+1
    checksum = 0xeef6 @2+2
    identifier = 7 @4+2
    sequence_number = 1 @6+2
    address_mask = 255.255.255.0 @8+4
    ");
    insta::assert_snapshot!(fields_of(&ICMP, &advertisement()), @r"
    type = 9 (router advertisement) @0+1
    code = 0 (normal router) @1+1
    checksum = 0x59f2 @2+2
    num_addrs = 2 @4+1
    addr_entry_size = 2 @5+1
    lifetime = 1800 @6+2
    router_address = 10.0.0.1 @8+4
    preference_level = 0 @12+4
    router_address = 10.0.0.2 @16+4
    preference_level = 2147483648 (never the default) @20+4
    ");
}

#[test]
fn answers_belong_to_their_questions() {
    let exchange = |kind: u8, sequence: u8, is_back: bool| {
        let mut frame = frame(&[&[kind, 0, 0, 0, 0, 7, 0, sequence][..], &[0; 12]].concat());
        if is_back {
            frame[26..34].rotate_left(4);
        }
        examined::exchange_of(&frame, 2)
    };
    for (question, answer) in [(8, 0), (13, 14), (15, 16), (17, 18)] {
        let asked = exchange(question, 1, false).expect("a question");
        let answered = exchange(answer, 1, true).expect("an answer");
        assert!(!asked.is_answer && answered.is_answer);
        assert_eq!(asked.key, answered.key);
        assert_ne!(asked.key, exchange(answer, 2, true).expect("an answer").key);
        assert_ne!(asked.key, exchange(answer, 1, false).expect("an answer").key);
    }
    assert_ne!(exchange(8, 1, false).map(|e| e.key), exchange(13, 1, false).map(|e| e.key));
    assert_eq!(exchange(3, 1, false), None);
}

#[test]
fn no_damage_breaks_a_promise() {
    let quoting = about([3, 3, 0, 0, 0, 0, 0, 0], 6, &TCP);
    let frames = [quoting, advertisement(), timestamp_reply()];
    examined::check_damaged(LinkType::ETHERNET, &frames);
}

proptest! {
    #[test]
    fn no_bytes_break_a_promise(
        kind in 0u8..44, code: u8, bytes in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        let message = [&[kind, code, 0, 0][..], &bytes].concat();
        examined::check(LinkType::ETHERNET, &frame(&message));
        examined::check(LinkType::ETHERNET, &about([kind, code, 0, 0, 0, 0, 0, 0], 1, &message));
    }
}
