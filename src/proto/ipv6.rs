//! IPv6 (RFC 8200). Extension headers are layers of their own; here is the fixed header, and what
//! makes one line of it and them.

use super::ip::{self, Addresses, Carrier};
use super::line::Line;
use super::read::ipv6_at;
use super::{
    Key, Next, NoteKind, Protocol, Stack, Value, Walk, be16, be32, field, ipv6_extensions,
    ipv6_options,
};
use crate::record::LinkType;

/// The bytes of the fixed header.
pub const HEADER: usize = 40;

/// IPv6.
pub static IPV6: Protocol = Protocol {
    name: "ipv6",
    title: "IPv6",
    keys: &[Key::EtherType(0x86dd), Key::IpProtocol(41), Key::Link(LinkType::IPV6)],
    fields: &[
        field!("version", 0, 1, Number, |h| h.first().map(|b| Value::Number(u64::from(b >> 4)))),
        field!("traffic_class", 0, 2, Hex, |h| {
            be16(h, 0).map(|word| Value::Hex(u64::from(word >> 4 & 0xff)))
        }),
        field!("traffic_class.dscp", 0, 2, Number, |h| {
            be16(h, 0).map(|word| Value::Number(u64::from(word >> 6 & 0x3f)))
        }),
        field!("traffic_class.ecn", 1, 1, Number, |h| {
            h.get(1).map(|byte| Value::Number(u64::from(byte >> 4 & 3)))
        }, names ecn_name),
        field!("flow_label", 0, 4, Hex, |h| {
            be32(h, 0).map(|word| Value::Hex(u64::from(word & 0xf_ffff)))
        }),
        field!("payload_length", 4, 2),
        field!("next_header", 6, 1, names ip::protocol_meaning),
        field!("hop_limit", 7, 1),
        field!("src", 8, ipv6),
        field!("dst", 24, ipv6),
    ],
    dissect,
    summary,
    ..Protocol::BASE
};

fn dissect(walk: &mut Walk<'_>) -> Next {
    if !walk.has(&IPV6, HEADER) {
        return Next::Payload;
    }
    let bytes = walk.rest();
    let version = bytes[0] >> 4;
    if version != 6 {
        walk.note(&IPV6, 0, NoteKind::Invalid { field: "version", value: version.into() });
        return Next::Payload;
    }
    let (length, next) = (be16(bytes, 4).unwrap_or_default(), bytes[6]);
    let jumbo = match (length, next) {
        (0, 0) => ipv6_options::jumbo_length(&bytes[HEADER..]),
        _ => None,
    };
    let total = jumbo.unwrap_or(length.into()).saturating_add(HEADER);
    if ip::has_datagram(walk, &IPV6, total) {
        ip::note_what_follows(walk, &IPV6, bytes.len(), total);
    }
    walk.push(&IPV6, HEADER, total);
    if let Some(addresses) = addresses(bytes) {
        walk.carried_by(Carrier { addresses, is_whole: bytes.len() >= total });
    }
    Next::IpProtocol(next)
}

/// Source and destination in a header.
pub fn addresses(header: &[u8]) -> Option<Addresses> {
    Some(Addresses::V6(ipv6_at(header, 8)?, ipv6_at(header, 24)?))
}

fn summary(stack: &Stack<'_>, n: usize, line: &mut Line) {
    let header = stack.header(n);
    let (Some(addresses), Some(&next)) = (addresses(header), header.get(6)) else { return };
    ip::say_ends(addresses, stack, ipv6_extensions::first_above(stack, n + 1), line);
    ipv6_extensions::say_next(stack, n, next, line);
}

/// The meaning of the two bits of explicit congestion notification (RFC 3168 section 5).
fn ecn_name(bits: u64) -> Option<&'static str> {
    ["not ECN-capable", "ECT(1)", "ECT(0)", "congestion experienced"]
        .get(usize::try_from(bits).ok()?)
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::examined::{self, fields_of};
    use crate::proto::samples::{self, ethernet};
    use proptest::prelude::*;

    /// A datagram to port 2000 whose checksum is right.
    fn datagram() -> Vec<u8> {
        samples::ipv6(17, &[3, 232, 7, 208, 0, 13, 0xb3, 0x45, b'h', b'e', b'l', b'l', b'o'])
    }

    #[test]
    fn packets_are_said_as_tcpdump_says_them() {
        let inner = [&[0x45, 0, 0, 20, 0, 1, 0, 0, 64, 59, 0, 0][..], &[10, 0, 0, 1, 10, 0, 0, 2]];
        let mut tunnelled = inner.concat();
        let checksum = crate::checksum::internet(&tunnelled).to_be_bytes();
        tunnelled[10..12].copy_from_slice(&checksum);
        let packets = [
            datagram(),
            samples::ipv6(59, &[]),
            samples::ipv6(59, &[1, 2]),
            samples::ipv6(132, &[0; 12]),
            samples::ipv6(200, &[0; 12]),
            samples::ipv6(41, &datagram()),
            samples::ipv6(4, &tunnelled),
        ];
        let frames = packets.map(|packet| ethernet(0x86dd, &packet));
        insta::assert_snapshot!(examined::lines(&frames), @r"
        IP6 fe80::2.1000 > fe80::1.2000: UDP, length 5
        IP6 fe80::2 > fe80::1: no next header
        IP6 fe80::2 > fe80::1: no next header, length 2
        IP6 fe80::2 > fe80::1: SCTP, length 12
        IP6 fe80::2 > fe80::1: protocol 200, length 12
        IP6 fe80::2 > fe80::1: IP6 fe80::2.1000 > fe80::1.2000: UDP, length 5
        IP6 fe80::2 > fe80::1: IP 10.0.0.1 > 10.0.0.2: no next header, length 0
        ");
    }

    #[test]
    fn broken_packets_say_what_is_wrong() {
        let whole = datagram();
        let mut version = whole.clone();
        version[0] = 0x50;
        let mut checksum = whole.clone();
        checksum[46] ^= 1;
        let packets = [
            version,
            checksum,
            whole[..39].to_vec(),
            whole[..50].to_vec(),
            [&whole[..], &[0; 30]].concat(),
        ];
        let frames = packets.map(|packet| ethernet(0x86dd, &packet));
        insta::assert_snapshot!(examined::lines(&frames), @r"
        02:00:00:00:00:02 > 02:00:00:00:00:01, ethertype IPv6 (0x86dd), length 53 [14: bad ipv6 version 5]
        IP6 fe80::2.1000 > fe80::1.2000: UDP, length 5 [60: bad udp cksum b245, should be b345]
        02:00:00:00:00:02 > 02:00:00:00:00:01, ethertype IPv6 (0x86dd), length 39 [14: truncated: ipv6 needs 40 bytes, had 39]
        IP6 fe80::2.1000 > fe80::1.2000: UDP, length 2 [14: truncated: ipv6 needs 53 bytes, had 50]
        IP6 fe80::2.1000 > fe80::1.2000: UDP, length 5 [67: 30 bytes follow the packet]
        ");
    }

    #[test]
    fn fields_of_the_fixed_header() {
        let mut packet = datagram();
        packet[..4].copy_from_slice(&[0x6b, 0xa1, 0x23, 0x45]);
        insta::assert_snapshot!(fields_of(&IPV6, &ethernet(0x86dd, &packet)), @r"
        version = 6 @0+1
        traffic_class = 0xba @0+2
        traffic_class.dscp = 46 @0+2
        traffic_class.ecn = 2 (ECT(0)) @1+1
        flow_label = 0x12345 @0+4
        payload_length = 13 @4+2
        next_header = 17 (UDP) @6+1
        hop_limit = 255 @7+1
        src = fe80::2 @8+16
        dst = fe80::1 @24+16
        ");
    }

    #[test]
    fn no_damage_breaks_a_promise() {
        let frames = [datagram()];
        examined::check_damaged(LinkType::IPV6, &frames);
    }

    proptest! {
        #[test]
        fn no_bytes_break_a_promise(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            examined::check(LinkType::IPV6, &bytes);
            examined::check(LinkType::IPV6, &[&[0x60], &bytes[..]].concat());
        }
    }
}
