//! Frames of every kind, byte by byte.

use super::*;
use crate::proto::examined::{self, fields_of};
use crate::proto::samples::{self, ethernet, ieee_802_3};
use crate::record::LinkType;
use proptest::prelude::*;

fn snap_frame() -> Vec<u8> {
    ieee_802_3(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &samples::datagram()[14..]].concat())
}

#[test]
fn frames_are_said_as_tcpdump_says_them() {
    let frames = [
        snap_frame(),
        ieee_802_3(&[0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0, 1, 2, 3, 4]),
        ieee_802_3(&[0xaa, 0xaa, 3, 0, 0, 0, 0x88, 0xb5, 1, 2]),
        ieee_802_3(&[0xf0, 0xf0, 3, 1, 2, 3]),
        ieee_802_3(&[0xf0, 0xf1, 0xaf, 1, 2, 3]),
        ieee_802_3(&[4, 4, 0, 2]),
        ieee_802_3(&[4, 5, 1, 2]),
        ieee_802_3(&[4, 4, 0x7f]),
        ieee_802_3(&[0xff, 0xff, 0, 30, 1, 2]),
        ieee_802_3(&[&[6, 6, 3], &samples::datagram()[14..]].concat()),
    ];
    insta::assert_snapshot!(examined::lines(&frames), @r"
    IP 192.168.100.2.7 > 192.168.100.1.40000: UDP, length 5
    02:00:00:00:00:02 > 02:00:00:00:00:01, SNAP, oui Cisco (0x00000c), pid CDP (0x2000), length 4
    02:00:00:00:00:02 > 02:00:00:00:00:01, SNAP, oui Ethernet (0x000000), pid local experimental (0x88b5), length 2
    02:00:00:00:00:02 > 02:00:00:00:00:01, LLC, dsap NetBeui (0xf0) Individual, ssap NetBeui (0xf0) Command, ctrl 0x03: Unnumbered, ui, Flags [Command], length 6
    02:00:00:00:00:02 > 02:00:00:00:00:01, LLC, dsap NetBeui (0xf0) Individual, ssap NetBeui (0xf0) Response, ctrl 0xaf: Unnumbered, xid, Flags [Response], length 6
    02:00:00:00:00:02 > 02:00:00:00:00:01, LLC, dsap SNA (0x04) Individual, ssap SNA (0x04) Command, ctrl 0x0200: Information, send seq 0, rcv seq 1, Flags [Command], length 4
    02:00:00:00:00:02 > 02:00:00:00:00:01, LLC, dsap SNA (0x04) Individual, ssap SNA (0x04) Response, ctrl 0x0201: Supervisory, receiver ready, rcv seq 1, Flags [Response], length 4
    02:00:00:00:00:02 > 02:00:00:00:00:01, LLC, dsap SNA (0x04) Individual, ssap SNA (0x04) Command, ctrl 0x7f: Unnumbered, sabme, Flags [Poll], length 3
    02:00:00:00:00:02 > 02:00:00:00:00:01, IPX 802.3, length 6
    IP 192.168.100.2.7 > 192.168.100.1.40000: UDP, length 5
    ");
}

#[test]
fn the_length_is_held_against_the_frame() {
    let netbeui = [0xf0, 0xf0, 3, 1, 2, 3];
    let frames = [
        ethernet(6, &[&netbeui[..], &[0; 40]].concat()),
        ethernet(6, &[&netbeui[..], &[0; 50]].concat()),
        ethernet(100, &netbeui),
        ethernet(2, &netbeui),
        ethernet(0, &[0; 46]),
        ethernet(3, &[0xf0, 0xf0]),
        ethernet(7, &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0]),
        ethernet(1501, &netbeui),
    ];
    insta::assert_snapshot!(examined::lines(&frames), @r"
    02:00:00:00:00:02 > 02:00:00:00:00:01, LLC, dsap NetBeui (0xf0) Individual, ssap NetBeui (0xf0) Command, ctrl 0x03: Unnumbered, ui, Flags [Command], length 6 [20: 40 bytes of padding follow the packet]
    02:00:00:00:00:02 > 02:00:00:00:00:01, LLC, dsap NetBeui (0xf0) Individual, ssap NetBeui (0xf0) Command, ctrl 0x03: Unnumbered, ui, Flags [Command], length 6 [20: 50 bytes follow the packet]
    02:00:00:00:00:02 > 02:00:00:00:00:01, LLC, dsap NetBeui (0xf0) Individual, ssap NetBeui (0xf0) Command, ctrl 0x03: Unnumbered, ui, Flags [Command], length 6 [14: truncated: llc needs 100 bytes, had 6]
    02:00:00:00:00:02 > 02:00:00:00:00:01, 802.3, length 2 [16: 4 bytes of padding follow the packet] [14: llc: the length leaves no room for the header]
    02:00:00:00:00:02 > 02:00:00:00:00:01, 802.3, length 0 [14: 46 bytes of padding follow the packet] [14: llc: the length leaves no room for the header]
    02:00:00:00:00:02 > 02:00:00:00:00:01, 802.3, length 3 [14: truncated: llc needs 3 bytes, had 2]
    02:00:00:00:00:02 > 02:00:00:00:00:01, 802.3, length 7 [21: 1 bytes of padding follow the packet] [14: llc: the length leaves no room for the header]
    02:00:00:00:00:02 > 02:00:00:00:00:01, 802.3, length 1501 [14: llc: neither a length nor an EtherType]
    ");
}

#[test]
fn fields_of_both_forms() {
    insta::assert_snapshot!(fields_of(&LLC, &snap_frame()), @r"
    dsap = 0xaa (SNAP) @0+1
    ssap = 0xaa (SNAP) @1+1
    oui = 0x0 (Ethernet) @3+3
    pid = 0x800 (IPv4) @6+2
    control = 0x3 (ui) @2+1
    ");
    insta::assert_snapshot!(fields_of(&LLC, &ieee_802_3(&[4, 5, 1, 2])), @r"
    dsap = 0x4 (SNA) @0+1
    ssap = 0x5 (SNA) @1+1
    control = 0x201 (receiver ready) @2+2
    ");
}

#[test]
fn no_damage_breaks_a_promise() {
    let frames = [snap_frame()];
    examined::check_damaged(LinkType::ETHERNET, &frames);
}

proptest! {
    #[test]
    fn no_bytes_break_a_promise(
        length in 0u16..0x600, bytes in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        examined::check(LinkType::ETHERNET, &ethernet(length, &bytes));
        examined::check(LinkType::ETHERNET, &ieee_802_3(&bytes));
    }
}
