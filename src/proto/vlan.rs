//! VLAN tags (IEEE 802.1Q clause 9.3; stacked: 802.1ad). A tag stands between the addresses of a frame and
//! its EtherType; the EtherType in front of it tells a customer's tag from a provider's. Tags may be
//! stacked, each is a layer. As in the frame itself, what ends the tag may be the length of an 802.3 frame.

use super::ethernet::{self, FIRST_ETHERTYPE};
use super::line::Line;
use super::{Key, Next, NoteKind, Protocol, Stack, Value, Walk, be16, field};

/// The bytes of a tag, with the EtherType that ends it.
pub const HEADER: usize = 4;

/// A VLAN tag.
pub static VLAN: Protocol = Protocol {
    name: "vlan",
    title: "802.1Q VLAN",
    keys: &[Key::EtherType(0x8100), Key::EtherType(0x88a8), Key::EtherType(0x9100)],
    fields: &[
        field!("pcp", 0, 1, Number, |h| h.first().map(|b| Value::Number(u64::from(b >> 5))), names priority_name),
        field!("dei", 0, bit 0x10),
        field!("vid", 0, 2, Number, |h| vid(h).map(|vid| Value::Number(vid.into())), names vid_name),
        field!("type", 2, hex16, names ethernet::ethertype_meaning),
    ],
    dissect,
    summary,
    ..Protocol::BASE
};

/// The VLAN that a tag names.
fn vid(header: &[u8]) -> Option<u16> {
    be16(header, 0).map(|control| control & 0xfff)
}

fn dissect(walk: &mut Walk<'_>) -> Next {
    if !walk.has(&VLAN, HEADER) {
        return Next::Payload;
    }
    let bytes = walk.rest();
    if vid(bytes) == Some(0xfff) {
        walk.note(&VLAN, 0, NoteKind::Invalid { field: "vid", value: 0xfff });
    }
    let kind = be16(bytes, 2).unwrap_or_default();
    walk.push(&VLAN, HEADER, usize::MAX);
    if kind < FIRST_ETHERTYPE { Next::Length } else { Next::EtherType(kind) }
}

fn summary(stack: &Stack<'_>, n: usize, line: &mut Line) {
    let header = stack.header(n);
    let &[control, _, _, _] = header else { return };
    line.text("vlan ").dec(vid(header).unwrap_or_default());
    if !line.is_brief() {
        line.text(", p ").dec(control >> 5);
        if control & 0x10 != 0 {
            line.text(", DEI");
        }
    }
    line.text(", ");
    if !stack.summarise(n + 1, line) {
        ethernet::say_type(be16(header, 2).unwrap_or_default(), stack.payload_length(n), line);
    }
}

/// The traffic that a priority is meant for (802.1Q table I-2).
fn priority_name(priority: u64) -> Option<&'static str> {
    const NAMES: [&str; 8] = [
        "best effort",
        "background",
        "excellent effort",
        "critical applications",
        "video",
        "voice",
        "internetwork control",
        "network control",
    ];
    NAMES.get(usize::try_from(priority).ok()?).copied()
}

fn vid_name(vid: u64) -> Option<&'static str> {
    match vid {
        0 => Some("priority only"),
        1 => Some("default"),
        0xfff => Some("reserved"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::examined::{self, fields_of};
    use crate::proto::samples::{self, ethernet};
    use crate::record::LinkType;
    use proptest::prelude::*;

    /// Two tags around a datagram: a provider's, which may be dropped, and a customer's.
    fn stacked() -> Vec<u8> {
        let packet = &samples::datagram()[14..];
        ethernet(0x88a8, &[&[0xf0, 5, 0x81, 0, 0, 7, 8, 0], packet].concat())
    }

    #[test]
    fn tags_stand_in_front_of_what_they_carry() {
        let packet = &samples::datagram()[14..];
        let frames = [
            ethernet(0x8100, &[&[0x20, 5, 8, 0], packet].concat()),
            stacked(),
            ethernet(0x9100, &[&[0, 0, 0x88, 0x8e], &[0; 46][..]].concat()),
            ethernet(0x8100, &[0, 5, 0x88, 0xbb, 1, 2, 3]),
            ethernet(0x8100, &[0, 5, 0, 7, 0x42, 0x42, 3, 0, 0, 0, 0x80]),
            ethernet(0x8100, &[0xff, 0xff, 8, 0]),
            ethernet(0x8100, &[0, 5, 8]),
        ];
        insta::assert_snapshot!(examined::lines(&frames), @r"
        vlan 5, p 1, IP 192.168.100.2.7 > 192.168.100.1.40000: UDP, length 5
        vlan 5, p 7, DEI, vlan 7, p 0, IP 192.168.100.2.7 > 192.168.100.1.40000: UDP, length 5
        02:00:00:00:00:02 > 02:00:00:00:00:01, vlan 0, p 0, ethertype EAPOL (0x888e), length 46
        02:00:00:00:00:02 > 02:00:00:00:00:01, vlan 5, p 0, ethertype 0x88bb, length 3
        vlan 5, p 0, STP 802.1d, Topology Change
        02:00:00:00:00:02 > 02:00:00:00:00:01, vlan 4095, p 7, DEI, ethertype IPv4 (0x0800), length 0 [14: bad vlan vid 4095] [18: truncated: ipv4 needs 20 bytes, had 0]
        02:00:00:00:00:02 > 02:00:00:00:00:01, ethertype 802.1Q (0x8100), length 3 [14: truncated: vlan needs 4 bytes, had 3]
        ");
        insta::assert_snapshot!(examined::line_as(LinkType::ETHERNET, &stacked(), true), @"vlan 5, vlan 7, IP 192.168.100.2.7 > 192.168.100.1.40000: UDP, length 5");
    }

    #[test]
    fn fields_of_both_tags() {
        insta::assert_snapshot!(fields_of(&VLAN, &stacked()), @r"
        pcp = 7 (network control) @0+1
        dei = true @0+1
        vid = 5 @0+2
        type = 0x8100 (802.1Q) @2+2
        pcp = 0 (best effort) @0+1
        dei = false @0+1
        vid = 7 @0+2
        type = 0x800 (IPv4) @2+2
        ");
    }

    #[test]
    fn no_damage_breaks_a_promise() {
        let frames = [stacked()];
        examined::check_damaged(LinkType::ETHERNET, &frames);
    }

    proptest! {
        #[test]
        fn no_bytes_break_a_promise(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            for kind in [0x8100, 0x88a8, 0x9100] {
                examined::check(LinkType::ETHERNET, &ethernet(kind, &bytes));
            }
        }
    }
}
