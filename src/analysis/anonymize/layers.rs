//! What is kept of each protocol: links, IP and transports here, what is longer in files of its own.

use std::ops::Range;

use super::sheet::Sheet;
use super::{control, dhcp, dns, http, mqtt, small, tls};
use crate::proto::{Stack, ipv4, ipv6_extensions, ipv6_options, tcp, tcp_options};

/// Writes what may be seen of layer `n` into its sheet. Of protocols that are not named here nothing is kept.
pub(super) fn rewrite(stack: &Stack<'_>, n: usize, mut sheet: Sheet<'_>) {
    let header = sheet.header;
    let Some(layer) = stack.layers.get(n) else { return };
    match layer.protocol.name {
        "ethernet" => {
            sheet.keep(12..14);
            sheet.mac(0);
            sheet.mac(6);
        }
        "vlan" | "null" | "udp" | "ipv6_fragment" => sheet.keep(0..header),
        "llc" => sheet.keep(0..header.max(2)), // without a header it is IPX, by its first bytes
        "stp" => spanning_tree(&mut sheet.part(0..header)),
        "sll" => cooked(&mut sheet, 4, 6),
        "sll2" => cooked(&mut sheet, 11, 12),
        "arp" => arp(&mut sheet),
        "ipv4" => ipv4(&mut sheet),
        "ipv6" => {
            sheet.keep(0..8);
            sheet.v6(8);
            sheet.v6(24);
        }
        "ipv6_hop_by_hop" | "ipv6_destination" => options(&mut sheet),
        "ipv6_routing" => routing(&mut sheet),
        "ah" => sheet.keep(0..12),
        "icmp" => control::icmp(&mut sheet),
        "icmpv6" => control::icmpv6(&mut sheet),
        "igmp" => control::igmp(&mut sheet),
        "tcp" => tcp(&mut sheet),
        "coap" => small::coap(&mut sheet),
        "ntp" => small::ntp(&mut sheet),
        "tftp" => small::tftp(&mut sheet),
        "dhcp" => dhcp::rewrite(&mut sheet),
        "dns" | "llmnr" | "mdns" => {
            let below = n.checked_sub(1).and_then(|n| stack.layers.get(n));
            let is_tcp = below.is_some_and(|layer| layer.protocol == &tcp::TCP);
            dns::rewrite(&mut sheet, is_tcp);
        }
        "http" => http::rewrite(&mut sheet),
        "mqtt" => mqtt::rewrite(&mut sheet),
        "tls" => tls::rewrite(&mut sheet),
        _ => {}
    }
}

fn spanning_tree(sheet: &mut Sheet<'_>) {
    sheet.keep(0..7);
    sheet.mac(7);
    sheet.keep(13..19);
    sheet.mac(19);
    sheet.keep(25..36);
}

/// A cooked header, but for the address in it: its length is at `length`, itself at `at`.
fn cooked(sheet: &mut Sheet<'_>, length: usize, at: usize) {
    sheet.keep(0..at);
    sheet.keep(at + 8..sheet.header);
    if sheet.byte(length) == Some(6) {
        sheet.mac(at);
    }
}

/// IPv4 addresses stand behind hardware addresses of any length, of which only those of Ethernet are replaced.
fn arp(sheet: &mut Sheet<'_>) {
    sheet.keep(0..8);
    let (Some(&[8, 0, hardware, 4]), old) = (sheet.old.get(2..6), sheet.old) else { return };
    let hardware = usize::from(hardware);
    if hardware != 6 && old.len() < 16 + 2 * hardware {
        return; // it may be no ARP at all
    }
    for at in [8, 12 + hardware] {
        if hardware == 6 {
            sheet.mac(at);
        }
        sheet.v4(at + hardware);
    }
}

/// Of the options those that say nothing (end, no operation, router alert) are kept, and in those about the way
/// the addresses are replaced; others become no operations.
fn ipv4(sheet: &mut Sheet<'_>) {
    sheet.keep(0..12);
    sheet.v4(12);
    sheet.v4(16);
    if sheet.header <= ipv4::HEADER {
        return;
    }
    let end = sheet.header;
    sheet.new[ipv4::HEADER..end].fill(1);
    let old = sheet.old;
    for (at, option) in ipv4::options(&old[..end]) {
        if matches!((option[0], option.len()), (0 | 1, 1) | (148, 4)) {
            sheet.keep(at..at + option.len());
        }
        match *option {
            // Record route, loose and strict source route (RFC 791 section 3.1).
            [7 | 131 | 137, length, pointer, ..] if length % 4 == 3 && pointer % 4 == 0 => {
                sheet.keep(at..at + 3);
                (3..option.len()).step_by(4).for_each(|n| sheet.v4(at + n));
            }
            [68, length, pointer, flags, ..] if length % 4 == 0 && pointer % 4 == 1 => {
                timestamps(sheet, at..at + option.len(), usize::from(pointer), flags & 15);
            }
            _ => {}
        }
    }
}

/// The timestamps in `range`, of which those in front of the pointer are there, alone or each behind an address.
fn timestamps(sheet: &mut Sheet<'_>, range: Range<usize>, pointer: usize, flag: u8) {
    let width = match flag {
        0 => 4,
        1 | 3 => 8,
        _ => return,
    };
    let Range { start, end } = range;
    sheet.new[start..end].fill(0);
    sheet.keep(start..start + 4);
    let filled = end.min(start + pointer.saturating_sub(1));
    for at in (start + 4..end).step_by(width).filter(|at| at + width <= end) {
        if width == 8 {
            sheet.v4(at);
        }
        if at + width <= filled {
            sheet.keep(at + width - 4..at + width);
        }
    }
}

/// IPv6's options: of those about the packet itself what they hold, a home address replaced, of others only
/// which they are.
fn options(sheet: &mut Sheet<'_>) {
    sheet.keep(0..2);
    let (old, mut end) = (sheet.old, 2);
    for (at, option) in ipv6_options::each(&old[..sheet.header]) {
        sheet.keep(at..at + option.len().min(2));
        match (option[0], option.len()) {
            (0, _) => {}
            // Tunnel encapsulation limit, router alert, jumbo payload.
            (4, 3) | (5, 4) | (0xc2, 6) => sheet.keep(at..at + option.len()),
            (201, 18) => sheet.v6(at + 2),
            _ => {}
        }
        end = at + option.len();
    }
    sheet.keep(end..(end + 2).min(sheet.header)); // one that is longer than the header
}

fn routing(sheet: &mut Sheet<'_>) {
    sheet.keep(0..8);
    let old = sheet.old;
    for (at, _) in ipv6_extensions::addresses(&old[..sheet.header]) {
        sheet.v6(at);
    }
}

/// Of the options those about the connection are kept (MSS, window scale, SACK, timestamps, user timeout),
/// of others which they are and how long.
fn tcp(sheet: &mut Sheet<'_>) {
    let start = tcp::HEADER.min(sheet.header);
    sheet.keep(0..start);
    let old = sheet.old;
    let options = old.get(start..sheet.header).unwrap_or_default();
    let mut end = start;
    for (at, option) in tcp_options::each(options) {
        let at = start + at;
        let kept = match (option[0], option.len()) {
            (2, 4) | (3, 3) | (4, 2) | (5, 10 | 18 | 26 | 34) | (8, 10) | (28, 4) => option.len(),
            (_, length) => length.min(2),
        };
        sheet.keep(at..at + kept);
        end = if option[0] == 0 { sheet.header } else { at + option.len() };
    }
    sheet.keep(end..(end + 2).min(sheet.header)); // one that cannot be read
}
