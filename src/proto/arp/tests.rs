//! Messages of every kind, byte by byte.

use super::*;
use crate::proto::examined::{self, fields_of};
use crate::proto::samples;
use crate::record::LinkType;
use proptest::prelude::*;

const HOST: [u8; 4] = [192, 168, 100, 1];
const DEVICE: [u8; 4] = [192, 168, 100, 2];
const HOST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const DEVICE_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// A message with these kinds and sizes and that opcode, about four addresses.
fn frame(head: [u8; 6], op: u8, addresses: [&[u8]; 4]) -> Vec<u8> {
    samples::ethernet(0x0806, &[&head[..], &[0, op], &addresses.concat()].concat())
}

/// The same for Ethernet and IPv4.
fn ordinary(op: u8, sha: [u8; 6], spa: [u8; 4], tha: [u8; 6], tpa: [u8; 4]) -> Vec<u8> {
    frame([0, 1, 8, 0, 6, 4], op, [&sha, &spa, &tha, &tpa])
}

/// IEEE 1394 and IPv4: hardware addresses of eight bytes.
fn firewire() -> Vec<u8> {
    let sha = [1, 2, 3, 4, 5, 6, 7, 8];
    frame([0, 24, 8, 0, 8, 4], 2, [&sha, &HOST, &[9; 8], &DEVICE])
}

/// Ethernet and IPv6: protocol addresses of sixteen bytes.
fn long_protocol() -> Vec<u8> {
    frame([0, 1, 0x86, 0xdd, 6, 16], 1, [&HOST_MAC, &[0xfe; 16], &[0; 6], &[0xfd; 16]])
}

#[test]
fn messages_are_said_as_tcpdump_says_them() {
    let frames = [
        samples::arp_request(),
        ordinary(1, HOST_MAC, HOST, DEVICE_MAC, DEVICE),
        ordinary(1, HOST_MAC, HOST, [0; 6], HOST),
        ordinary(1, HOST_MAC, [0; 4], [0; 6], HOST),
        ordinary(2, HOST_MAC, HOST, DEVICE_MAC, DEVICE),
        ordinary(2, HOST_MAC, HOST, HOST_MAC, HOST),
        ordinary(3, HOST_MAC, [0; 4], HOST_MAC, [0; 4]),
        ordinary(4, HOST_MAC, HOST, DEVICE_MAC, DEVICE),
        ordinary(8, HOST_MAC, HOST, DEVICE_MAC, [0; 4]),
        ordinary(9, HOST_MAC, HOST, DEVICE_MAC, DEVICE),
        ordinary(10, HOST_MAC, HOST, DEVICE_MAC, DEVICE),
        ordinary(77, HOST_MAC, HOST, DEVICE_MAC, DEVICE),
    ];
    insta::assert_snapshot!(examined::lines(&frames), @r"
    ARP, Request who-has 192.168.100.1 tell 192.168.100.2, length 28
    ARP, Request who-has 192.168.100.2 (02:00:00:00:00:02) tell 192.168.100.1, length 28
    ARP, Announcement 192.168.100.1, length 28
    ARP, Probe 192.168.100.1, length 28
    ARP, Reply 192.168.100.1 is-at 02:00:00:00:00:01, length 28
    ARP, Reply 192.168.100.1 is-at 02:00:00:00:00:01 (gratuitous), length 28
    ARP, Reverse Request who-is 02:00:00:00:00:01 tell 02:00:00:00:00:01, length 28
    ARP, Reverse Reply 02:00:00:00:00:02 at 192.168.100.2, length 28
    ARP, Inverse Request who-is 02:00:00:00:00:02 tell 02:00:00:00:00:01, length 28
    ARP, Inverse Reply 02:00:00:00:00:01 at 192.168.100.1, length 28
    ARP, NAK, length 28
    ARP, opcode 77, length 28
    ");
}

#[test]
fn other_sizes_and_broken_messages_say_what_is_wrong() {
    let whole = samples::arp_request();
    let frames = [
        firewire(),
        long_protocol(),
        frame([0, 1, 8, 0, 0, 4], 1, [&[], &HOST, &[], &DEVICE]),
        frame([0, 1, 8, 0, 0, 4], 2, [&[], &HOST, &[], &DEVICE]),
        frame([0, 99, 0x12, 0x34, 1, 1], 1, [&[1], &[2], &[3], &[4]]),
        whole[..30].to_vec(),
        whole[..20].to_vec(),
        [&whole[..], &[0; 18]].concat(),
        [&whole[..], &[0; 30]].concat(),
    ];
    insta::assert_snapshot!(examined::lines(&frames), @r"
    ARP, Reply 192.168.100.1 is-at 01:02:03:04:05:06:07:08, length 32 [14: bad arp hrd 24] [18: bad arp hln 8]
    ARP, Ethernet (len 6), IPv6 (len 16), request, length 52 [16: bad arp pro 34525] [19: bad arp pln 16]
    ARP, Request who-has 192.168.100.2 tell 192.168.100.1, length 16 [18: bad arp hln 0]
    ARP, Reply 192.168.100.1 is-at <no address>, length 16 [18: bad arp hln 0]
    ARP, hardware 99 (len 1), protocol 0x1234 (len 1), request, length 12 [14: bad arp hrd 99] [16: bad arp pro 4660] [18: bad arp hln 1] [19: bad arp pln 1]
    ARP, request, length 16 [14: truncated: arp needs 28 bytes, had 16]
    02:00:00:00:00:02 > ff:ff:ff:ff:ff:ff, ethertype ARP (0x0806), length 6 [14: truncated: arp needs 8 bytes, had 6]
    ARP, Request who-has 192.168.100.1 tell 192.168.100.2, length 28 [42: 18 bytes of padding follow the packet]
    ARP, Request who-has 192.168.100.1 tell 192.168.100.2, length 28 [42: 30 bytes follow the packet]
    ");
}

#[test]
fn fields_are_where_the_sizes_put_them() {
    insta::assert_snapshot!(fields_of(&ARP, &samples::arp_request()), @r"
    hrd = 1 (Ethernet) @0+2
    pro = 0x800 (IPv4) @2+2
    hln = 6 @4+1
    pln = 4 @5+1
    op = 1 (request) @6+2
    sha = 02:00:00:00:00:02 @8+6
    spa = 192.168.100.2 @14+4
    tha = 00:00:00:00:00:00 @18+6
    tpa = 192.168.100.1 @24+4
    ");
    insta::assert_snapshot!(fields_of(&ARP, &firewire()), @r"
    hrd = 24 (IEEE 1394) @0+2
    pro = 0x800 (IPv4) @2+2
    hln = 8 @4+1
    pln = 4 @5+1
    op = 2 (reply) @6+2
    sha_bytes = bytes 0102030405060708 @8+8
    spa_bytes = bytes c0a86401 @16+4
    tha_bytes = bytes 0909090909090909 @20+8
    tpa_bytes = bytes c0a86402 @28+4
    ");
    insta::assert_snapshot!(fields_of(&ARP, &long_protocol()), @r"
    hrd = 1 (Ethernet) @0+2
    pro = 0x86dd (IPv6) @2+2
    hln = 6 @4+1
    pln = 16 @5+1
    op = 1 (request) @6+2
    sha = 02:00:00:00:00:01 @8+6
    spa_bytes = bytes fefefefefefefefefefefefefefefefe @14+16
    tha_bytes = bytes 000000000000 @30+6
    tpa_bytes = bytes fdfdfdfdfdfdfdfdfdfdfdfdfdfdfdfd @36+16
    ");
}

#[test]
fn only_ordinary_messages_ask_and_answer() {
    let exchange = |frame: &[u8]| examined::exchange_of(frame, 1);
    let asked = ordinary(1, HOST_MAC, HOST, [0; 6], DEVICE);
    examined::assert_answers_of(1, &asked, &ordinary(2, DEVICE_MAC, DEVICE, HOST_MAC, HOST));
    assert_eq!(exchange(&ordinary(1, HOST_MAC, HOST, [0; 6], HOST)), None, "an announcement");
    assert_eq!(exchange(&firewire()), None);
}

#[test]
fn no_damage_breaks_a_promise() {
    let frames = [samples::arp_request(), firewire(), long_protocol()];
    examined::check_damaged(LinkType::ETHERNET, &frames);
}

proptest! {
    #[test]
    fn no_bytes_break_a_promise(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        examined::check(LinkType::ETHERNET, &samples::ethernet(0x0806, &bytes));
        examined::check(LinkType::ETHERNET, &samples::ethernet(0x8035, &bytes));
    }
}
