//! Messages of every version, byte by byte.

use super::*;
use crate::proto::examined::{self, fields_of};
use crate::proto::samples::{ethernet, ipv4, summed};
use crate::record::LinkType;
use proptest::prelude::*;

fn frame(message: &[u8]) -> Vec<u8> {
    ethernet(0x0800, &ipv4(2, &summed(message)))
}

/// A report of two records, one with sources.
fn report() -> Vec<u8> {
    frame(&[
        0x22, 0, 0, 0, 0, 0, 0, 2, 4, 0, 0, 0, 224, 0, 0, 251, 1, 1, 0, 2, 239, 1, 2, 3, 10, 0, 0,
        1, 10, 0, 0, 2, 0xde, 0xad, 0xbe, 0xef,
    ])
}

/// A query of version 3 with a source, about a group; its time is 49.6 s.
fn query() -> Vec<u8> {
    frame(&[0x11, 0x9f, 0, 0, 239, 1, 2, 3, 10, 20, 0, 1, 10, 0, 0, 1])
}

#[test]
fn messages_are_said_as_tcpdump_says_them() {
    let frames = [
        frame(&[0x11, 0, 0, 0, 0, 0, 0, 0]),
        frame(&[0x11, 100, 0, 0, 0, 0, 0, 0]),
        frame(&[0x11, 10, 0, 0, 239, 1, 2, 3]),
        query(),
        frame(&[0x12, 0, 0, 0, 239, 1, 2, 3]),
        frame(&[0x16, 0, 0, 0, 239, 1, 2, 3]),
        frame(&[0x17, 0, 0, 0, 239, 1, 2, 3]),
        report(),
        frame(&[0x13, 0, 0, 0, 0, 0, 0, 0]),
        frame(&[0x77, 0, 0, 0, 0, 0, 0, 0]),
    ];
    insta::assert_snapshot!(examined::lines(&frames), @r"
    IP 192.168.100.2 > 192.168.100.1: igmp query v1
    IP 192.168.100.2 > 192.168.100.1: igmp query v2
    IP 192.168.100.2 > 192.168.100.1: igmp query v2 [max resp time 1s] [gaddr 239.1.2.3]
    IP 192.168.100.2 > 192.168.100.1: igmp query v3 [max resp time 49.6s] [gaddr 239.1.2.3, 1 source(s)]
    IP 192.168.100.2 > 192.168.100.1: igmp v1 report 239.1.2.3
    IP 192.168.100.2 > 192.168.100.1: igmp v2 report 239.1.2.3
    IP 192.168.100.2 > 192.168.100.1: igmp leave 239.1.2.3
    IP 192.168.100.2 > 192.168.100.1: igmp v3 report, 2 group record(s) [gaddr 224.0.0.251 to_ex { }] [gaddr 239.1.2.3 is_in { 10.0.0.1 10.0.0.2 }]
    IP 192.168.100.2 > 192.168.100.1: igmp DVMRP, length 8
    IP 192.168.100.2 > 192.168.100.1: igmp-119, length 8
    ");
    insta::assert_snapshot!(examined::line_as(LinkType::ETHERNET, &report(), true), @"IP 192.168.100.2 > 192.168.100.1: igmp v3 report, 2 group record(s)");
}

#[test]
fn a_line_says_few_of_many_records() {
    let mut message = vec![0x22, 0, 0, 0, 0, 0, 0, 5];
    for group in 1..=4 {
        message.extend([4, 0, 0, 0, 239, 0, 0, group]);
    }
    message.extend([1, 0, 0, 5, 239, 0, 0, 5]);
    message.extend([10; 20]);
    let many = examined::lines(&[frame(&message)]);
    assert!(many.ends_with("[gaddr 239.0.0.4 to_ex { }] ..."), "{many}");
    message.drain(8..40);
    message[7] = 1;
    let one = examined::lines(&[frame(&message)]);
    assert!(one.ends_with("10.10.10.10 ... }]"), "{one}");
}

#[test]
fn broken_messages_say_what_is_wrong() {
    let mut wrong = query();
    wrong[40] ^= 1;
    let frames = [
        wrong,
        frame(&[0x11, 0, 0, 0, 0, 0, 0]),
        frame(&[0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        frame(&[0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 10, 0, 0, 1]),
        frame(&[0x22, 0, 0, 0, 0, 0, 0, 9, 4, 0, 0, 0, 224, 0, 0, 251, 1, 0]),
    ];
    insta::assert_snapshot!(examined::lines(&frames), @r"
    IP 192.168.100.2 > 192.168.100.1: igmp query v3 [max resp time 49.6s] [gaddr 239.1.3.3, 1 source(s)] [36: bad igmp cksum e945, should be e845]
    IP 192.168.100.2 > 192.168.100.1: IGMP, length 7 [34: truncated: igmp needs 8 bytes, had 7]
    IP 192.168.100.2 > 192.168.100.1: igmp query v1 [42: igmp: a query of no known version]
    IP 192.168.100.2 > 192.168.100.1: igmp query v3 [max resp time 0s] [34: truncated: igmp needs 20 bytes, had 16]
    IP 192.168.100.2 > 192.168.100.1: igmp v3 report, 9 group record(s) [gaddr 224.0.0.251 to_ex { }] [50: igmp: a group record is not all there]
    ");
}

#[test]
fn fields_of_queries_and_reports() {
    insta::assert_snapshot!(fields_of(&IGMP, &query()), @r"
    type = 0x11 (membership query) @0+1
    max_resp_code = 159 @1+1
    checksum = 0xe945 @2+2
    group_address = 239.1.2.3 @4+4
    s = true @8+1
    qrv = 2 @8+1
    qqic = 20 @9+1
    number_of_sources = 1 @10+2
    source_address = 10.0.0.1 @12+4
    ");
    insta::assert_snapshot!(fields_of(&IGMP, &report()), @r"
    type = 0x22 (v3 membership report) @0+1
    checksum = 0x5559 @2+2
    number_of_group_records = 2 @6+2
    record.type = 4 (change to exclude mode) @8+1
    record.aux_data_len = 0 @9+1
    record.multicast_address = 224.0.0.251 @12+4
    record.type = 1 (mode is include) @16+1
    record.aux_data_len = 1 @17+1
    record.multicast_address = 239.1.2.3 @20+4
    record.source_address = 10.0.0.1 @24+4
    record.source_address = 10.0.0.2 @28+4
    ");
}

#[test]
fn no_damage_breaks_a_promise() {
    let frames = [query(), report()];
    examined::check_damaged(LinkType::ETHERNET, &frames);
}

proptest! {
    #[test]
    fn no_bytes_break_a_promise(
        which in 0usize..7, bytes in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let kind = [QUERY, REPORT_V1, REPORT_V2, LEAVE, REPORT_V3, REPORT_V3, 0x31][which];
        let message = [&[kind, 0, 0, 0][..], &bytes].concat();
        examined::check(LinkType::ETHERNET, &frame(&message));
    }
}
