//! The addresses in what stands behind an IPv6 header: routes, neighbour discovery, and the groups of listeners.

use super::Sheet;
use crate::proto::{be16, mld, ndp};

/// The addresses of a routing header between two places (RFC 8200 section 4.4).
pub(super) fn route(sheet: &mut Sheet<'_>, start: usize, end: usize) {
    // Of type 3 addresses are compressed, and of others nobody knows what they hold.
    if matches!(sheet.byte(start + 2), Some(0 | 2 | 4)) {
        (start + 8..end).step_by(16).filter(|at| at + 16 <= end).for_each(|at| sheet.v6(at));
    }
}

/// The addresses in a message of ICMPv6 between two places.
pub(super) fn message(sheet: &mut Sheet<'_>, start: usize, end: usize) {
    match sheet.byte(start) {
        Some(mld::QUERY | mld::REPORT | mld::DONE) => sheet.v6(start + 8),
        Some(mld::REPORT_V2) => reports(sheet, start, end),
        _ => neighbours(sheet, start, end),
    }
}

/// The groups of a report, and who is heard in each (RFC 3810 section 5.2).
fn reports(sheet: &mut Sheet<'_>, start: usize, end: usize) {
    let mut at = start + 8;
    while at + 20 <= end {
        let more = usize::from(sheet.byte(at + 1).unwrap_or_default()) * 4;
        let sources = usize::from(be16(sheet.old, at + 2).unwrap_or_default());
        let behind = at + 20 + sources * 16;
        (at + 4..behind.min(end)).step_by(16).for_each(|at| sheet.v6(at));
        at = behind + more;
    }
}

/// The addresses in a message of neighbour discovery (RFC 4861 sections 4.1 to 4.6).
fn neighbours(sheet: &mut Sheet<'_>, start: usize, end: usize) {
    let old = sheet.old;
    match sheet.byte(start) {
        Some(ndp::SOLICITATION | ndp::ADVERTISEMENT) => sheet.v6(start + 8),
        Some(ndp::REDIRECT) => [start + 8, start + 24].into_iter().for_each(|at| sheet.v6(at)),
        _ => {}
    }
    for (at, option) in ndp::options(old.get(start..end).unwrap_or_default()) {
        if matches!(option[0], 1 | 2) && option.len() == 8 {
            sheet.mac(start + at + 2);
        }
    }
}
