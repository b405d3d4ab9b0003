//! Checksums after the bytes under them have changed: one that was right is right again, one that was
//! wrong is wrong by as much, and one that nobody can verify (what the capture cut, what an error quotes in
//! part) becomes zero, where zero does not mean that there must be one.
//!
//! The checksum of a fragmented message is in the first fragment and reaches over all of them, of which only
//! one is at hand. But what the later ones become is known: zeros, which add nothing. Missing is
//! the length of the whole, which the pseudo header has, and which of TCP and over IPv6 only the last fragment
//! tells. So the first one is summed up as if the length were 0, and the last one holds, in the first two
//! bytes of its filler, what takes the length back: its one's complement.

use crate::checksum::{Sum, correction};
use crate::proto::ip::{Addresses, Carrier};
use crate::proto::{Layer, NoteKind, Stack, be16, ipv4, ipv6, ipv6_extensions, ipv6_options};

/// Mends the checksums in `new`, the frame of `stack` with other bytes. Outer ones come last, since the
/// inner ones are under them.
pub(super) fn mend(stack: &Stack<'_>, new: &mut [u8]) {
    for (n, layer) in stack.layers.iter().enumerate().rev() {
        match layer.protocol.name {
            "ipv4" => {
                balance_v4(stack, n, new);
                mend_header(stack, layer, new);
            }
            "ipv6_fragment" => balance_v6(stack, n, new),
            "icmp" | "igmp" => mend_message(stack, n, 2, None, new),
            "icmpv6" => mend_message(stack, n, 2, Some(58), new),
            "tcp" => mend_message(stack, n, 16, Some(6), new),
            "udp" => mend_message(stack, n, 6, Some(17), new),
            _ => {}
        }
    }
}

/// The checksum of an IPv4 header.
fn mend_header(stack: &Stack<'_>, layer: &Layer, new: &mut [u8]) {
    let place = layer.start + 10;
    let span = layer.start..layer.payload;
    let Some(found) = be16(stack.frame, place) else { return };
    let (Some(old), Some(header)) = (stack.frame.get(span.clone()), new.get_mut(span)) else {
        return;
    };
    let right = correction(Sum::default().plus(old).finish(), found).unwrap_or(found);
    header[10..12].fill(0);
    let mended = Sum::default().plus(header).finish();
    header[10..12].copy_from_slice(&off_by(mended, found, right).to_be_bytes());
}

/// The checksum `at` bytes into layer `n`, with a pseudo header of `protocol` if there is one.
fn mend_message(stack: &Stack<'_>, n: usize, at: usize, protocol: Option<u8>, new: &mut [u8]) {
    let Some(layer) = stack.layers.get(n) else { return };
    let place = layer.start + at;
    let Some(found) = be16(stack.frame, place).filter(|_| place + 2 <= layer.end) else { return };
    let is_udp = protocol == Some(17);
    if found == 0 && is_udp {
        return; // a datagram without a checksum
    }
    let Some(field) = new.get_mut(place..place + 2) else { return };
    field.fill(0);
    let Some(reach) = reach(stack, n, new) else {
        if is_udp && carrying(stack, n).is_some_and(|(_, below)| below.protocol == &ipv6::IPV6) {
            new[place..place + 2].fill(0xff); // over IPv6, zero is against the protocol
        }
        return;
    };
    let sum = match protocol {
        Some(protocol) => reach.carrier.pseudo_header(protocol, 0).plus(&reach.length),
        None => Sum::default(),
    };
    let sum = sum.plus(new.get(layer.start..layer.end).unwrap_or_default()).finish();
    let right = stack.notes.iter().find_map(|note| match note.kind {
        NoteKind::Checksum { expected, .. } if note.offset == place => Some(expected),
        _ => None,
    });
    let mended = match off_by(sum, found, right.unwrap_or(found)) {
        0 if is_udp => 0xffff, // 0 would be none
        mended => mended,
    };
    if let Some(field) = new.get_mut(place..place + 2) {
        field.copy_from_slice(&mended.to_be_bytes());
    }
}

/// `mended`, as far off as `found` was from `right`.
fn off_by(mended: u16, found: u16, right: u16) -> u16 {
    if found == right { mended } else { ones_add(mended, ones_add(found, !right)) }
}

/// The one's complement sum of two words (RFC 1071 section 1).
fn ones_add(a: u16, b: u16) -> u16 {
    let (sum, carry) = a.overflowing_add(b);
    sum + u16::from(carry)
}

/// A number of any size as a word of a one's complement sum.
fn folded(mut number: usize) -> u16 {
    while number > 0xffff {
        number = (number >> 16) + (number & 0xffff);
    }
    number as u16
}

/// What a checksum in a layer reaches over, besides the bytes that are there.
struct Reach {
    /// The datagram that carries the layer, with its new addresses.
    carrier: Carrier,
    /// What stands for the length in the pseudo header.
    length: [u8; 2],
}

/// `None` when the checksum of layer `n` cannot be known.
fn reach(stack: &Stack<'_>, n: usize, new: &[u8]) -> Option<Reach> {
    let layer = stack.layers.get(n)?;
    let (b, below) = carrying(stack, n)?;
    let is_cut = stack.length > stack.frame.len() && layer.end == stack.frame.len();
    let announced = announced(stack, b)?;
    let had = below.end - below.start;
    if had < announced && (is_cut || !is_in_fragment(stack, b)) {
        return None;
    }
    if layer.is_quoted
        && (had < announced || is_in_fragment(stack, b) || fragment_of(stack, b, n).is_some())
    {
        return None;
    }
    let carrier = Carrier { addresses: addresses(stack, b, n, new)?, is_whole: true };
    let length = match fragment_of(stack, b, n) {
        Some(start) if below.protocol == &ipv6::IPV6 => !folded(layer.start - start),
        Some(_) if layer.protocol.name == "udp" => be16(stack.frame, layer.start + 4)?,
        Some(_) => 0,
        None if had >= announced || layer.protocol.name == "udp" => match layer.protocol.name {
            "udp" => be16(stack.frame, layer.start + 4)?,
            _ => folded(layer.end - layer.start),
        },
        None => folded((below.start + announced).checked_sub(layer.start)?),
    };
    Some(Reach { carrier, length: length.to_be_bytes() })
}

/// The nearest datagram that carries layer `n`, and its number.
fn carrying<'a>(stack: &Stack<'a>, n: usize) -> Option<(usize, &'a Layer)> {
    let is_datagram =
        |layer: &Layer| layer.protocol == &ipv4::IPV4 || layer.protocol == &ipv6::IPV6;
    stack.layers.get(..n)?.iter().enumerate().rfind(|(_, layer)| is_datagram(layer))
}

/// How long datagram `b` says that it is.
fn announced(stack: &Stack<'_>, b: usize) -> Option<usize> {
    let header = stack.header(b);
    if stack.layers.get(b)?.protocol == &ipv4::IPV4 {
        return be16(header, 2).map(usize::from);
    }
    match (usize::from(be16(header, 4)?), header.get(6)) {
        (0, Some(0)) => {
            Some(ipv6::HEADER + ipv6_options::jumbo_length(stack.payload(b)).unwrap_or(0))
        }
        (length, _) => Some(ipv6::HEADER + length),
    }
}

/// Whether datagram `b` is in a fragment of another, so that the rest of it is in other frames.
fn is_in_fragment(stack: &Stack<'_>, b: usize) -> bool {
    let mut n = b;
    while let Some((outer, _)) = carrying(stack, n) {
        if fragment_of(stack, outer, n).is_some() {
            return true;
        }
        n = outer;
    }
    false
}

/// Where what was fragmented begins, if layer `n` is in a fragment of datagram `b`.
fn fragment_of(stack: &Stack<'_>, b: usize, n: usize) -> Option<usize> {
    let below = stack.layers.get(b)?;
    if below.protocol == &ipv4::IPV4 {
        let part = ipv4::fragment(stack.header(b))?;
        return (part.more || part.offset > 0).then_some(below.payload);
    }
    let fragment = (b..n).find(|n| part_v6(stack, *n).is_some_and(|(at, more)| more || at > 0))?;
    stack.layers.get(fragment).map(|layer| layer.payload)
}

/// Offset and whether more follow, if layer `n` is a fragment header of IPv6.
fn part_v6(stack: &Stack<'_>, n: usize) -> Option<(usize, bool)> {
    stack.layers.get(n).filter(|layer| layer.protocol == &ipv6_extensions::FRAGMENT)?;
    let word = be16(stack.header(n), 2)?;
    Some((usize::from(word & 0xfff8), word & 1 != 0))
}

/// The addresses in the pseudo header of layer `n`, which datagram `b` carries: a routing header that is not used
/// up has another destination, a home address is another source.
fn addresses(stack: &Stack<'_>, b: usize, n: usize, new: &[u8]) -> Option<Addresses> {
    let header = |n: usize| {
        let layer = stack.layers.get(n)?;
        new.get(layer.start..layer.payload)
    };
    if stack.layers.get(b)?.protocol == &ipv4::IPV4 {
        return ipv4::addresses(header(b)?);
    }
    let mut found = ipv6::addresses(header(b)?)?;
    for n in b + 1..n {
        let Addresses::V6(source, destination) = found else { continue };
        let (layer, header) = (stack.layers.get(n)?, header(n)?);
        if layer.protocol == &ipv6_extensions::ROUTING {
            let last = ipv6_extensions::last_segment(header).filter(|_| header.get(3) > Some(&0));
            found = Addresses::V6(source, last.unwrap_or(destination));
        } else if let Some(home) = ipv6_extensions::home_address(layer.protocol, header) {
            found = Addresses::V6(home, destination);
        }
    }
    Some(found)
}

/// If datagram `n` is the last fragment of a TCP segment, takes back its length.
fn balance_v4(stack: &Stack<'_>, n: usize, new: &mut [u8]) {
    let Some(layer) = stack.layers.get(n) else { return };
    let header = stack.header(n);
    let (Some(part), Some(total)) = (ipv4::fragment(header), announced(stack, n)) else { return };
    if part.more || part.offset == 0 || header.get(9) != Some(&6) {
        return;
    }
    let Some(length) = total.checked_sub(header.len()) else { return };
    balance(layer, part.offset + length, new);
}

/// The same of the last fragment of anything over IPv6 that has a pseudo header.
fn balance_v6(stack: &Stack<'_>, n: usize, new: &mut [u8]) {
    let (Some(layer), Some((at, false))) = (stack.layers.get(n), part_v6(stack, n)) else { return };
    let is_datagram = matches!(stack.header(n).first(), Some(4 | 41));
    let Some((b, below)) = carrying(stack, n).filter(|_| at > 0 && !is_datagram) else { return };
    let end = announced(stack, b).map(|length| below.start + length);
    let Some(length) = end.and_then(|end| end.checked_sub(layer.payload)) else { return };
    balance(layer, at + length, new);
}

fn balance(layer: &Layer, length: usize, new: &mut [u8]) {
    let Some(filler) = new.get_mut(layer.payload..layer.end) else { return };
    if let Some(word) = filler.first_chunk_mut::<2>() {
        *word = (!folded(length)).to_be_bytes();
    }
}
