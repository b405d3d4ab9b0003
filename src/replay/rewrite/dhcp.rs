//! The addresses in a message of DHCP: those of its header, and those of its options (RFC 2132).

use super::Sheet;
use crate::proto::dhcp_options::{COOKIE, FILE, OPTIONS, SNAME, overload};

/// What stands in front of the options.
const MAGIC: [u8; 4] = [0x63, 0x82, 0x53, 0x63];

/// Rewrites the message between two places.
pub(super) fn rewrite(sheet: &mut Sheet<'_>, start: usize, end: usize) {
    (12..28).step_by(4).for_each(|at| sheet.v4(start + at));
    sheet.mac(start + 28);
    let message = sheet.old.get(start..end).unwrap_or_default();
    if message.get(COOKIE..OPTIONS) != Some(&MAGIC[..]) {
        return;
    }
    let overload = overload(message);
    options(sheet, start + OPTIONS, end);
    for (from, to, bit) in [(SNAME, FILE, 2), (FILE, COOKIE, 1)] {
        if overload & bit != 0 {
            options(sheet, start + from, start + to);
        }
    }
}

fn options(sheet: &mut Sheet<'_>, mut at: usize, end: usize) {
    while let Some(code) = sheet.byte(at).filter(|code| at < end && *code != 255) {
        if code == 0 {
            at += 1;
            continue;
        }
        let length = usize::from(sheet.byte(at + 1).unwrap_or_default());
        let (data, behind) = (at + 2, at + 2 + length);
        if behind > end {
            return;
        }
        match (code, length) {
            // Routers, servers of all kinds, the address that is wanted, the server that is meant.
            (
                3..=11 | 16 | 28 | 32 | 33 | 41 | 42 | 44 | 45 | 48..=50 | 54 | 65 | 68..=76 | 150,
                _,
            ) => {
                (data..behind).step_by(4).filter(|at| at + 4 <= behind).for_each(|at| sheet.v4(at));
            }
            (61, 7) if sheet.byte(data) == Some(1) => sheet.mac(data + 1), // who it is: by Ethernet
            _ => {}
        }
        at = behind;
    }
}
