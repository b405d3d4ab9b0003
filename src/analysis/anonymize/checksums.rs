//! Checksums after the bytes under them have changed: one that was right is right again, one that was
//! wrong is wrong by as much, and one that cannot be verified (of a fragment, of a frame that the
//! capture cut) becomes zero.

use crate::checksum::{Sum, correction};
use crate::proto::ip::{Addresses, Carrier};
use crate::proto::{Layer, Stack, be16, ipv4, ipv6};

/// Mends the checksums in `new`, the frame of `stack` with other bytes. Outer ones come last, since the
/// inner ones are under them.
pub(super) fn mend(stack: &Stack<'_>, new: &mut [u8]) {
    for (n, layer) in stack.layers.iter().enumerate().rev() {
        let (at, protocol) = match layer.protocol.name {
            "ipv4" => (10, None),
            "icmp" | "igmp" => (2, None),
            "icmpv6" => (2, Some(58)),
            "tcp" => (16, Some(6)),
            "udp" => (6, Some(17)),
            _ => continue,
        };
        let is_header = layer.protocol.name == "ipv4";
        let end = if is_header { layer.payload } else { layer.end };
        let place = layer.start + at;
        let Some(found) = be16(stack.frame, place) else { continue };
        if place + 2 > end || (found == 0 && protocol == Some(17)) {
            continue; // cut away, or a datagram without a checksum
        }
        let carriers = carrier(stack, n, new);
        let is_verifiable =
            is_header || (!layer.is_quoted && carriers.is_some_and(|(old, _)| old.is_whole));
        let field = is_verifiable.then(|| {
            let span = layer.start..end;
            let sums = protocol.zip(carriers).map(|(protocol, (old, new))| {
                let length = span.len();
                (old.pseudo_header(protocol, length), new.pseudo_header(protocol, length))
            });
            let (before, after) = sums.unwrap_or_default();
            let right = right(before, &stack.frame[span.clone()], found);
            new[place..place + 2].copy_from_slice(&found.to_be_bytes());
            let error = ones_add(found, !right);
            let mended = self::right(after, &new[span], found);
            if found == right { mended } else { ones_add(mended, error) }
        });
        new[place..place + 2].copy_from_slice(&field.unwrap_or(0).to_be_bytes());
    }
}

/// What the field that holds `found` in `bytes` should hold.
fn right(sum: Sum, bytes: &[u8], found: u16) -> u16 {
    correction(sum.plus(bytes).finish(), found).unwrap_or(found)
}

/// The one's complement sum of two words (RFC 1071 section 1).
fn ones_add(a: u16, b: u16) -> u16 {
    let (sum, carry) = a.overflowing_add(b);
    sum + u16::from(carry)
}

/// The datagram that carries layer `n`, before and after.
fn carrier(stack: &Stack<'_>, n: usize, new: &[u8]) -> Option<(Carrier, Carrier)> {
    let (below, layer) = stack.layers[..n]
        .iter()
        .enumerate()
        .rfind(|(_, layer)| layer.protocol == &ipv4::IPV4 || layer.protocol == &ipv6::IPV6)?;
    let is_v4 = layer.protocol == &ipv4::IPV4;
    let addresses = |frame: &[u8]| -> Option<Addresses> {
        let header = frame.get(layer.start..layer.payload)?;
        if is_v4 { ipv4::addresses(header) } else { ipv6::addresses(header) }
    };
    let is_whole = is_whole(stack, layer, is_v4)
        && !stack.layers[below..n].iter().any(|layer| layer.protocol.name == "ipv6_fragment");
    let of = |addresses| Carrier { addresses, is_whole };
    Some((of(addresses(stack.frame)?), of(addresses(new)?)))
}

/// Whether a datagram is no fragment, and all of it is there.
fn is_whole(stack: &Stack<'_>, layer: &Layer, is_v4: bool) -> bool {
    let Some(header) = stack.frame.get(layer.start..layer.payload) else { return false };
    let had = layer.end - layer.start;
    let word = |at| be16(header, at).map(usize::from);
    if !is_v4 {
        return word(4).is_some_and(|length| length + ipv6::HEADER == had);
    }
    let part = ipv4::fragment(header);
    word(2) == Some(had) && part.is_some_and(|part| !part.more && part.offset == 0)
}
