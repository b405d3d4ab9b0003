//! Headers as others may see them: what says how the network works is kept, who takes part is replaced,
//! and what is not known to be either stays filled.

use super::Anonymizer;
use crate::proto::read::ipv6_at;
use crate::proto::{ipv4_at, mac_at};

/// Writes the header `old` of a protocol into `new`, which is as long and filled. Of protocols that are
/// not named here nothing is kept.
pub(super) fn rewrite(protocol: &str, old: &[u8], new: &mut [u8], by: &mut Anonymizer) {
    match protocol {
        "ethernet" => {
            keep(old, new, 12..14);
            mac(old, new, 0, by);
            mac(old, new, 6, by);
        }
        "vlan" | "llc" | "snap" | "null" => new.copy_from_slice(old),
        "igmp" => keep(old, new, 0..8), // version 3 has addresses behind that
        "sll" => cooked(old, new, (4, 6), by),
        "sll2" => cooked(old, new, (11, 12), by),
        "arp" => arp(old, new, by),
        "ipv4" => ipv4(old, new, by),
        "ipv6" => {
            keep(old, new, 0..8);
            v6(old, new, 8, by);
            v6(old, new, 24, by);
        }
        "icmp" => {
            keep(old, new, 0..8);
            if old.first() == Some(&5) {
                v4(old, new, 4, by); // a redirect's gateway
            }
        }
        "icmpv6" => icmpv6(old, new, by),
        "udp" => new.copy_from_slice(old),
        "tcp" => tcp(old, new),
        "ipv6_fragment" => new.copy_from_slice(old),
        "ipv6_hop_by_hop" | "ipv6_destination" => {
            keep(old, new, 0..2);
            pad_options(new);
        }
        "ipv6_routing" => {
            keep(old, new, 0..8);
            for at in (8..old.len()).step_by(16) {
                v6(old, new, at, by);
            }
        }
        "ah" => keep(old, new, 0..12),
        _ => {}
    }
}

fn keep(old: &[u8], new: &mut [u8], range: std::ops::Range<usize>) {
    let range = range.start.min(old.len())..range.end.min(old.len());
    new[range.clone()].copy_from_slice(&old[range]);
}

fn mac(old: &[u8], new: &mut [u8], at: usize, by: &mut Anonymizer) {
    if let Some(mac) = mac_at(old, at) {
        new[at..at + 6].copy_from_slice(&by.mac(mac));
    }
}

fn v4(old: &[u8], new: &mut [u8], at: usize, by: &mut Anonymizer) {
    if let Some(address) = ipv4_at(old, at) {
        new[at..at + 4].copy_from_slice(&by.v4(address).octets());
    }
}

fn v6(old: &[u8], new: &mut [u8], at: usize, by: &mut Anonymizer) {
    if let Some(address) = ipv6_at(old, at) {
        new[at..at + 16].copy_from_slice(&by.v6(address).octets());
    }
}

/// A cooked header, but for the address in it; `places` are those of its length and of itself.
fn cooked(old: &[u8], new: &mut [u8], places: (usize, usize), by: &mut Anonymizer) {
    new.copy_from_slice(old);
    let (length, at) = places;
    if let Some(address) = new.get_mut(at..at + 8) {
        address.fill(0);
    }
    if old.get(length) == Some(&6) {
        mac(old, new, at, by);
    }
}

fn arp(old: &[u8], new: &mut [u8], by: &mut Anonymizer) {
    keep(old, new, 0..8);
    if old.get(..6) != Some(&[0, 1, 8, 0, 6, 4]) {
        return;
    }
    mac(old, new, 8, by);
    v4(old, new, 14, by);
    mac(old, new, 18, by);
    v4(old, new, 24, by);
}

/// Of the options those that say nothing (end, no operation, router alert) are kept.
fn ipv4(old: &[u8], new: &mut [u8], by: &mut Anonymizer) {
    keep(old, new, 0..12);
    v4(old, new, 12, by);
    v4(old, new, 16, by);
    let start = crate::proto::ipv4::HEADER.min(new.len());
    new[start..].fill(1);
    for (at, option) in crate::proto::ipv4::options(old) {
        if matches!(option[0], 0 | 1 | 148) {
            keep(old, new, at..at + option.len());
        }
    }
}

/// Of the options those about the connection are kept (MSS, window scale, SACK, timestamps).
fn tcp(old: &[u8], new: &mut [u8]) {
    let start = crate::proto::tcp::HEADER.min(new.len());
    keep(old, new, 0..start);
    new[start..].fill(1);
    let options = old.get(start..).unwrap_or_default();
    for (at, option) in crate::proto::tcp_options::each(options) {
        if matches!(option[0], 0..=5 | 8 | 28) {
            keep(old, new, start + at..start + at + option.len());
        }
    }
}

/// Fills an options header with PadN (RFC 8200 section 4.2); its first two bytes stay.
fn pad_options(header: &mut [u8]) {
    let mut rest = header.get_mut(2..).unwrap_or_default();
    while !rest.is_empty() {
        let length = rest.len().min(257);
        let (padding, behind) = rest.split_at_mut(length);
        padding.fill(0);
        if let [kind, size, ..] = padding {
            (*kind, *size) = (1, (length - 2) as u8);
        }
        rest = behind;
    }
}

/// Messages of neighbour discovery (RFC 4861 section 4) have addresses in fixed places and in options;
/// of others the first eight bytes are kept.
fn icmpv6(old: &[u8], new: &mut [u8], by: &mut Anonymizer) {
    keep(old, new, 0..8);
    let options = match old.first() {
        Some(133) => 8,
        Some(134) => {
            keep(old, new, 8..16);
            16
        }
        Some(135 | 136) => {
            v6(old, new, 8, by);
            24
        }
        Some(137) => {
            v6(old, new, 8, by);
            v6(old, new, 24, by);
            40
        }
        _ => return,
    };
    let mut at = options;
    while let (Some(kind), Some(length)) = (old.get(at), old.get(at + 1)) {
        let end = at + usize::from(*length) * 8;
        if end == at || end > old.len() {
            return;
        }
        keep(old, new, at..at + 2);
        new[at + 2..end].fill(0);
        match kind {
            1 | 2 => mac(old, new, at + 2, by),
            3 => {
                keep(old, new, at + 2..at + 16);
                v6(old, new, at + 16, by);
            }
            5 => keep(old, new, at..end),
            _ => {}
        }
        at = end;
    }
}
