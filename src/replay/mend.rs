//! Checksums after bytes under them were changed (RFC 1624).
//!
//! Each is corrected by what the sum over its bytes has changed by. So one that was wrong stays wrong by as much,
//! and one that reaches over bytes that are not here (the rest of a fragmented message, or of a packet that an
//! error message quotes) is right all the same: those bytes have not changed.

use crate::checksum::Sum;
use crate::proto::{Layer, Stack, be16, ipv4, ipv6};

/// Mends the checksums in `new`: the frame of `stack` with other bytes in the same places. Outer ones come last,
/// since the inner ones are under them.
pub fn mend(stack: &Stack<'_>, new: &mut [u8]) {
    for (n, layer) in stack.layers.iter().enumerate().rev() {
        let header = layer.start..layer.payload;
        match layer.protocol.name {
            "ipv4" => correct(stack.frame, new, layer.start + 10, header, &[], false),
            "icmp" | "igmp" => {
                correct(stack.frame, new, layer.start + 2, layer.start..layer.end, &[], false);
            }
            "icmpv6" => over_ip(stack, n, 2, new),
            "tcp" => over_ip(stack, n, 16, new),
            "udp" => over_ip(stack, n, 6, new),
            _ => {}
        }
    }
    // Errors quote as little as eight bytes, less than a TCP header: there is no layer, but there are ports.
    // Their checksum is not quoted then, and the one around them was mended above.
}

/// A checksum that reaches over the addresses of the datagram below, too.
fn over_ip(stack: &Stack<'_>, n: usize, at: usize, new: &mut [u8]) {
    let Some(layer) = stack.layers.get(n) else { return };
    let addresses = addresses(stack, n);
    let is_udp = layer.protocol.name == "udp";
    let is_v4 = below(stack, n).is_some_and(|below| below.protocol == &ipv4::IPV4);
    if is_udp && is_v4 && be16(stack.frame, layer.start + at) == Some(0) {
        return; // a datagram without a checksum
    }
    let (place, reach) = (layer.start + at, layer.start..layer.end);
    correct(stack.frame, new, place, reach, &addresses, is_udp);
}

/// Where the addresses are of the pseudo header for layer `n`: a source route that has not come to its end names
/// the destination (RFC 791 section 3.1, RFC 8200 section 8.1).
fn addresses(stack: &Stack<'_>, n: usize) -> Vec<Range> {
    let Some(below) = below(stack, n) else { return Vec::new() };
    let ends = |at: usize, size: usize| vec![at..at + size, at + size..at + 2 * size];
    let header = stack.frame.get(below.start..below.payload).unwrap_or_default();
    let (mut ends, last) = match below.protocol == &ipv4::IPV4 {
        true => {
            let route = ipv4::options(header).find(|(_, option)| match option {
                [131 | 137, _, pointer, ..] => usize::from(*pointer) < option.len(),
                _ => false,
            });
            let last = route.map(|(at, option)| below.start + at + option.len().saturating_sub(4));
            (ends(below.start + 12, 4), last.map(|at| at..at + 4))
        }
        false => (ends(below.start + 8, 16), routed(stack, n)),
    };
    ends[1] = last.unwrap_or(ends[1].clone());
    ends
}

/// The last address of the routing header in front of layer `n`, if it was not there yet.
fn routed(stack: &Stack<'_>, n: usize) -> Option<Range> {
    let is_route = |layer: &&Layer| layer.protocol.name == "ipv6_routing";
    let layer = stack.layers.get(..n)?.iter().rev().find(is_route)?;
    let header = stack.frame.get(layer.start..layer.payload)?;
    let is_on_its_way = *header.get(3)? > 0 && header.len() >= 24;
    let at = match header.get(2)? {
        4 => layer.start + 8, // the last one comes first
        _ => layer.payload - 16,
    };
    is_on_its_way.then_some(at..at + 16)
}

/// The nearest datagram that carries layer `n`.
fn below<'a>(stack: &Stack<'a>, n: usize) -> Option<&'a Layer> {
    let is_datagram =
        |layer: &&Layer| layer.protocol == &ipv4::IPV4 || layer.protocol == &ipv6::IPV6;
    stack.layers.get(..n)?.iter().rev().find(is_datagram)
}

type Range = std::ops::Range<usize>;

/// Corrects the checksum at `place` by what has changed in `reach` and `also`.
fn correct(old: &[u8], new: &mut [u8], place: usize, reach: Range, also: &[Range], is_udp: bool) {
    if place + 2 > reach.end {
        return;
    }
    let sum = |bytes: &[u8]| {
        let part = |range: &Range| bytes.get(range.clone()).unwrap_or_default().to_owned();
        // The field itself is no part of it.
        let mut own = part(&reach);
        if let Some(field) = own.get_mut(place - reach.start..place - reach.start + 2) {
            field.fill(0);
        }
        let also = also.iter().fold(Sum::default(), |sum, range| sum.plus(&part(range)));
        also.plus(&own).finish()
    };
    let (before, after) = (sum(old), sum(new));
    if before == after {
        return;
    }
    let Some(found) = be16(old, place) else { return };
    let mended = match moved(found, before, after) {
        0 if is_udp => 0xffff, // 0 would be none
        0xffff if !is_udp => 0,
        mended => mended,
    };
    if let Some(field) = new.get_mut(place..place + 2) {
        field.copy_from_slice(&mended.to_be_bytes());
    }
}

/// The checksum `found` when a sum that it has in it, itself a complement, was `before` and is `after`.
pub(super) fn moved(found: u16, before: u16, after: u16) -> u16 {
    ones_add(ones_add(found, !before), after)
}

/// The one's complement sum of two words (RFC 1071 section 1).
fn ones_add(a: u16, b: u16) -> u16 {
    let (sum, carry) = a.overflowing_add(b);
    sum + u16::from(carry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::Dissector;
    use crate::proto::samples;
    use proptest::prelude::*;

    /// The frame with some bytes changed and mended, and what is noted about it.
    fn changed(frame: &[u8], changes: &[(usize, u8)]) -> Vec<u8> {
        let mut dissector = Dissector::default();
        let stack = dissector.dissect(frame);
        let mut new = frame.to_vec();
        for (at, byte) in changes {
            new[*at] = *byte;
        }
        mend(&stack, &mut new);
        new
    }

    proptest! {
        #[test]
        fn addresses_ports_and_data_may_become_anything(
            address in any::<[u8; 4]>(), port in any::<[u8; 2]>(), data in any::<u8>(),
        ) {
            for frame in [samples::syn(), samples::datagram()] {
                let mut changes = vec![(34, port[0]), (35, port[1]), (frame.len() - 1, data)];
                changes.extend((26..30).zip(address));
                if frame == samples::syn() {
                    changes.pop();
                    changes.push((29, address[3]));
                    changes.remove(2); // no data there
                }
                let new = changed(&frame, &changes);
                let mut dissector = Dissector::default();
                let stack = dissector.dissect(&new);
                let sums = stack.notes.iter().filter(|note| {
                    matches!(note.kind, crate::proto::NoteKind::Checksum { .. })
                });
                prop_assert_eq!(sums.count(), 0, "{:?}", stack.notes);
            }
        }
    }

    #[test]
    fn a_wrong_checksum_stays_wrong_by_as_much_and_none_stays_none() {
        let mut wrong = samples::datagram();
        wrong[40] ^= 0x10;
        let good = changed(&samples::datagram(), &[(29, 77)]);
        let bad = changed(&wrong, &[(29, 77)]);
        let difference = |a: u8, b: u8| a.wrapping_sub(b);
        assert_eq!(difference(bad[40], good[40]), difference(wrong[40], samples::datagram()[40]));
        let mut none = samples::datagram();
        none[40..42].fill(0);
        assert_eq!(changed(&none, &[(29, 77)])[40..42], [0, 0]);
    }

    #[test]
    fn what_is_not_here_does_not_matter() {
        // The first fragment of a datagram: its checksum reaches over bytes that are elsewhere.
        let mut first = samples::datagram();
        first[20] = 0x20;
        let mut dissector = Dissector::default();
        let stack = dissector.dissect(&first);
        let mut new = first.clone();
        new[29] = new[29].wrapping_add(5);
        mend(&stack, &mut new);
        let found = u16::from_be_bytes([first[40], first[41]]);
        assert_eq!(u16::from_be_bytes([new[40], new[41]]), found - 5);
    }
}
