//! The addresses in the options of an IPv4 header: routes and timestamps (RFC 791 section 3.1).

use super::Sheet;
use crate::proto::ipv4;

const RECORD_ROUTE: u8 = 7;
const TIMESTAMP: u8 = 68;
const LOOSE_ROUTE: u8 = 131;
const STRICT_ROUTE: u8 = 137;

/// Rewrites those of the header between two places.
pub(super) fn rewrite(sheet: &mut Sheet<'_>, start: usize, end: usize) {
    let old = sheet.old;
    for (at, option) in ipv4::options(old.get(start..end).unwrap_or_default()) {
        let addresses = match (option[0], option.get(3)) {
            (RECORD_ROUTE | LOOSE_ROUTE | STRICT_ROUTE, _) => (3..option.len()).step_by(4),
            // With addresses in front of the times, or with those of whom it is wanted.
            (TIMESTAMP, Some(flags)) if matches!(flags & 15, 1 | 3) => (4..option.len()).step_by(8),
            _ => continue,
        };
        for place in addresses.filter(|place| place + 4 <= option.len()) {
            sheet.v4(start + at + place);
        }
    }
}
