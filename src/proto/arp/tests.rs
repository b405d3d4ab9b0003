//! Messages of every kind, byte by byte.

use super::*;
use crate::dissect::Dissector;
use crate::proto::samples;
use crate::proto::stack::shown::{self, fields};
use crate::record::LinkType;
use proptest::prelude::*;

const HOST: [u8; 4] = [192, 168, 100, 1];
const DEVICE: [u8; 4] = [192, 168, 100, 2];
const HOST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const DEVICE_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// A message with these kinds and sizes and that opcode, about four addresses.
fn frame(head: [u8; 6], op: u8, addresses: [&[u8]; 4]) -> Vec<u8> {
    shown::ethernet(0x0806, &[&head[..], &[0, op], &addresses.concat()].concat())
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
    insta::assert_snapshot!(shown::lines(&frames), @r"
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
    insta::assert_snapshot!(shown::lines(&frames), @r"
    ARP, Reply 192.168.100.1 is-at 01:02:03:04:05:06:07:08, length 32 [bad arp hrd 24] [bad arp hln 8]
    ARP, Ethernet (len 6), IPv6 (len 16), request, length 52 [bad arp pro 34525] [bad arp pln 16]
    ARP, Request who-has 192.168.100.2 tell 192.168.100.1, length 16 [bad arp hln 0]
    ARP, Reply 192.168.100.1 is-at <no address>, length 16 [bad arp hln 0]
    ARP, hardware 99 (len 1), protocol 0x1234 (len 1), request, length 12 [bad arp hrd 99] [bad arp pro 4660] [bad arp hln 1] [bad arp pln 1]
    ARP, request, length 16 [truncated: arp needs 28 bytes, had 16]
    02:00:00:00:00:02 > ff:ff:ff:ff:ff:ff, ethertype ARP (0x0806), length 6 [truncated: arp needs 8 bytes, had 6]
    ARP, Request who-has 192.168.100.1 tell 192.168.100.2, length 28
    ARP, Request who-has 192.168.100.1 tell 192.168.100.2, length 28 [30 bytes follow the packet]
    ");
}

#[test]
fn fields_are_where_the_sizes_put_them() {
    insta::assert_snapshot!(fields(&ARP, &samples::arp_request()), @r"
    hrd: 1 (Ethernet)
    pro: 0x800 (IPv4)
    hln: 6
    pln: 4
    op: 1 (request)
    sha: 02:00:00:00:00:02
    spa: 192.168.100.2
    tha: 00:00:00:00:00:00
    tpa: 192.168.100.1
    ");
    insta::assert_snapshot!(fields(&ARP, &firewire()), @r"
    hrd: 24 (IEEE 1394)
    pro: 0x800 (IPv4)
    hln: 8
    pln: 4
    op: 2 (reply)
    sha_bytes: 0102030405060708
    spa_bytes: c0a86401
    tha_bytes: 0909090909090909
    tpa_bytes: c0a86402
    ");
    insta::assert_snapshot!(fields(&ARP, &long_protocol()), @r"
    hrd: 1 (Ethernet)
    pro: 0x86dd (IPv6)
    hln: 6
    pln: 16
    op: 1 (request)
    sha: 02:00:00:00:00:01
    spa_bytes: fefefefefefefefefefefefefefefefe
    tha_bytes: 000000000000
    tpa_bytes: fdfdfdfdfdfdfdfdfdfdfdfdfdfdfdfd
    ");
}

#[test]
fn only_ordinary_messages_ask_and_answer() {
    let exchange = |frame: &[u8]| {
        let mut dissector = Dissector::default();
        super::exchange(&dissector.dissect(frame), 1)
    };
    let asked = exchange(&ordinary(1, HOST_MAC, HOST, [0; 6], DEVICE)).expect("a question");
    let answered = exchange(&ordinary(2, DEVICE_MAC, DEVICE, HOST_MAC, HOST)).expect("an answer");
    assert_eq!((asked.key, asked.is_answer, answered.is_answer), (answered.key, false, true));
    assert_eq!(exchange(&ordinary(1, HOST_MAC, HOST, [0; 6], HOST)), None, "an announcement");
    assert_eq!(exchange(&firewire()), None);
}

proptest! {
    #[test]
    fn no_bytes_break_a_promise(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        shown::check(LinkType::ETHERNET, &shown::ethernet(0x0806, &bytes));
        shown::check(LinkType::ETHERNET, &shown::ethernet(0x8035, &bytes));
    }

    #[test]
    fn no_damage_breaks_a_promise(
        which in 0usize..3,
        damage in prop::collection::vec(any::<(prop::sample::Index, u8)>(), 0..6),
        cut: prop::sample::Index,
    ) {
        let frames = [samples::arp_request(), firewire(), long_protocol()];
        shown::check(LinkType::ETHERNET, &shown::damaged(&frames[which], &damage, cut));
    }
}
