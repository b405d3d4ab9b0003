//! ICMP, ICMPv6 and IGMP: types, codes, counts and times are kept, addresses replaced. What an error
//! quotes is a packet, and rewritten as such.

use super::neighbours;
use super::sheet::Sheet;
use crate::proto::{icmpv6, mld, ndp};

pub(super) fn icmp(sheet: &mut Sheet<'_>) {
    sheet.keep(0..4);
    match sheet.byte(0) {
        Some(5) => sheet.v4(4), // a redirect's gateway
        Some(9) => routers(sheet),
        // Of errors the MTU and the pointer; the rest of that word is not used.
        Some(3) if sheet.byte(1) == Some(4) => sheet.keep(6..8),
        Some(12) => sheet.keep(4..5),
        // Timestamps and masks; echoes and what else has an id and a number.
        Some(13 | 14) => sheet.keep(4..20),
        Some(17 | 18) => sheet.keep(4..12),
        Some(0 | 8 | 15 | 16 | 37 | 38) => sheet.keep(4..8),
        Some(30) => sheet.keep(4..6),
        _ => {}
    }
}

/// A router advertisement (RFC 1256): entries of an address and a preference.
fn routers(sheet: &mut Sheet<'_>) {
    sheet.keep(4..8);
    let size = 4 * usize::from(sheet.byte(5).unwrap_or_default());
    if size < 8 {
        return;
    }
    for at in (8..sheet.header).step_by(size) {
        if at + 8 <= sheet.header {
            sheet.v4(at);
            sheet.keep(at + 4..at + 8);
        }
    }
}

pub(super) fn icmpv6(sheet: &mut Sheet<'_>) {
    sheet.keep(0..4);
    match sheet.byte(0) {
        Some(2 | 4 | icmpv6::ECHO_REQUEST | icmpv6::ECHO_REPLY) => sheet.keep(4..8),
        Some(mld::QUERY..=mld::DONE) => {
            sheet.keep(4..8);
            sheet.v6(8);
            if sheet.header >= 28 {
                sheet.keep(24..28);
                (28..sheet.header).step_by(16).for_each(|at| sheet.v6(at));
            }
        }
        Some(mld::REPORT_V2) => {
            sheet.keep(4..8);
            records(sheet, 16, |sheet, at| sheet.v6(at));
        }
        Some(ndp::ROUTER_SOLICITATION..=ndp::REDIRECT) => neighbours::rewrite(sheet),
        _ => {}
    }
}

pub(super) fn igmp(sheet: &mut Sheet<'_>) {
    sheet.keep(0..4);
    match sheet.byte(0) {
        Some(0x22) => {
            sheet.keep(4..8);
            records(sheet, 4, |sheet, at| sheet.v4(at));
        }
        Some(0x11) => {
            sheet.v4(4);
            if sheet.header >= 12 {
                sheet.keep(8..12);
                (12..sheet.header).step_by(4).for_each(|at| sheet.v4(at));
            }
        }
        _ => sheet.v4(4),
    }
}

/// The group records of a report of IGMPv3 (RFC 3376 section 4.2) or MLDv2 (RFC 3810 section 5.2), which differ
/// in the `width` of addresses. The head of one that is not all there stays, too.
fn records(sheet: &mut Sheet<'_>, width: usize, address: fn(&mut Sheet<'_>, usize)) {
    let mut at = 8;
    for _ in 0..sheet.word(6).unwrap_or_default() {
        let (Some(words), Some(sources)) = (sheet.byte(at + 1), sheet.word(at + 2)) else { return };
        sheet.keep(at..at + 4);
        let sources = at + 4 + width * (1 + usize::from(sources));
        let end = sources + 4 * usize::from(words);
        if end > sheet.old.len() {
            return;
        }
        (at + 4..sources).step_by(width).for_each(|at| address(sheet, at));
        at = end;
    }
}
