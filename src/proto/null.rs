//! BSD's loopback captures (LINKTYPE_NULL and LINKTYPE_LOOP): four bytes of address family in front of
//! the packet, for the first in the byte order of the machine that captured, for the second in
//! network order. Families are small numbers, so that the bytes themselves tell their order. Systems
//! agree on the number of IPv4 alone; IPv6 has one number on each.

use super::line::Line;
use super::{Key, Next, Protocol, Stack, Value, Walk, be32, field};
use crate::record::LinkType;

/// The bytes of the family.
pub const HEADER: usize = 4;

/// A BSD loopback header.
pub static NULL: Protocol = Protocol {
    name: "null",
    title: "BSD loopback",
    keys: &[Key::Link(LinkType::NULL), Key::Link(LinkType::LOOP)],
    fields: &[
        field!("family", 0, 4, Number, |h| family(h).map(|f| Value::Number(f.into())), names family_name),
    ],
    dissect,
    summary,
    ..Protocol::BASE
};

/// The address family, whichever way it was written.
fn family(header: &[u8]) -> Option<u32> {
    be32(header, 0).map(|family| if family > 0xffff { family.swap_bytes() } else { family })
}

fn dissect(walk: &mut Walk<'_>) -> Next {
    if !walk.has(&NULL, HEADER) {
        return Next::Payload;
    }
    let family = family(walk.rest()).unwrap_or_default();
    walk.push(&NULL, HEADER, usize::MAX);
    match family_name(family.into()) {
        Some("IPv4") => Next::EtherType(0x0800),
        Some("IPv6") => Next::EtherType(0x86dd),
        _ => Next::Payload,
    }
}

fn summary(stack: &Stack<'_>, n: usize, line: &mut Line) {
    if stack.summarise(n + 1, line) {
        return;
    }
    let family = family(stack.header(n)).unwrap_or_default();
    line.text("AF ").text(family_name(family.into()).unwrap_or("unknown"));
    line.text(" (").dec(family).text("), length ").dec(stack.payload_length(n) as u64);
}

/// The name of an address family: IPv6 is 24 on NetBSD and OpenBSD, 28 on FreeBSD, 30 on macOS, 10 on
/// Linux, 23 on Windows.
fn family_name(family: u64) -> Option<&'static str> {
    Some(match family {
        2 => "IPv4",
        7 => "ISO",
        10 | 23 | 24 | 28 | 30 => "IPv6",
        16 => "AppleTalk",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::examined::{self, fields_as, line_as};
    use crate::proto::samples;
    use proptest::prelude::*;

    fn framed(family: [u8; 4]) -> Vec<u8> {
        [&family, &samples::datagram()[14..]].concat()
    }

    #[test]
    fn the_family_is_read_in_either_byte_order() {
        let expected = "IP 192.168.100.2.7 > 192.168.100.1.40000: UDP, length 5";
        for link in [LinkType::NULL, LinkType::LOOP] {
            for family in [[2, 0, 0, 0], [0, 0, 0, 2]] {
                assert_eq!(line_as(link, &framed(family), false), expected);
                let fields = fields_as(link, &NULL, &framed(family));
                assert_eq!(fields, "family = 2 (IPv4) @0+4\n");
            }
        }
        let ping = samples::ipv6(17, &[0, 1, 0, 2, 0, 8, 0, 0]);
        for family in [10, 23, 24, 28, 30] {
            let frame = [&[0, 0, 0, family], &ping[..]].concat();
            let line = line_as(LinkType::LOOP, &frame, false);
            assert!(line.starts_with("IP6 fe80::2.1 > fe80::1.2: UDP"), "{line}");
        }
    }

    #[test]
    fn what_is_unknown_or_cut_is_said() {
        assert_eq!(line_as(LinkType::NULL, &[7, 0, 0, 0, 1], false), "AF ISO (7), length 1");
        assert_eq!(line_as(LinkType::NULL, &[99, 0, 0, 0], false), "AF unknown (99), length 0");
        let cut = line_as(LinkType::NULL, &[2, 0, 0], false);
        assert_eq!(cut, "payload [0: truncated: null needs 4 bytes, had 3]");
    }

    proptest! {
        #[test]
        fn no_bytes_break_a_promise(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            examined::check(LinkType::NULL, &bytes);
            examined::check(LinkType::LOOP, &framed([0, 0, 0, 2])[..bytes.len().min(30)]);
        }
    }
}
