//! DHCP and BOOTP: the fixed header but for addresses and names, and which options there are. What options hold
//! is kept if it is numbers, replaced if it is addresses, filled if it is text, and otherwise gone.

use super::sheet::Sheet;
use crate::proto::be32;
use crate::proto::dhcp_options::{COOKIE, FILE, OPTIONS, SNAME, overload};

/// The number in front of the options.
const MAGIC: u32 = 0x6382_5363;

pub(super) fn rewrite(sheet: &mut Sheet<'_>) {
    sheet.keep(0..12);
    (12..28).step_by(4).for_each(|at| sheet.v4(at));
    if sheet.byte(2) == Some(6) {
        sheet.mac(28);
    }
    let has_options = be32(sheet.old, COOKIE) == Some(MAGIC);
    let overload = if has_options { overload(sheet.old) } else { 0 };
    for (start, end, bit) in [(SNAME, FILE, 2), (FILE, COOKIE, 1)] {
        match overload & bit {
            0 => name(&mut sheet.part(start..end)),
            _ => options(&mut sheet.part(start..end)),
        }
    }
    if has_options {
        sheet.keep(COOKIE..OPTIONS);
        let end = sheet.old.len();
        options(&mut sheet.part(OPTIONS..end));
    }
}

/// Text that a zero byte ends.
fn name(sheet: &mut Sheet<'_>) {
    let end = sheet.old.iter().position(|byte| *byte == 0).unwrap_or(sheet.old.len());
    sheet.text(0..end);
}

fn options(sheet: &mut Sheet<'_>) {
    let mut at = 0;
    while let Some(code) = sheet.byte(at) {
        match code {
            0 => at += 1,
            255 => return sheet.keep(at..at + 1),
            _ => {
                let end = at + 2 + usize::from(sheet.byte(at + 1).unwrap_or_default());
                sheet.keep(at..at + 2);
                if end <= sheet.old.len() {
                    option(code, &mut sheet.part(at + 2..end));
                }
                at = end;
            }
        }
    }
}

/// The data of an option (RFC 2132).
fn option(code: u8, sheet: &mut Sheet<'_>) {
    let length = sheet.old.len();
    match (code, length) {
        // Masks, times, sizes, flags, the type of the message, the list of wishes.
        (1, 4) | (2 | 24 | 35 | 38 | 51 | 58 | 59 | 108, 4) | (13 | 22 | 26 | 57, 2) => {
            sheet.keep(0..length);
        }
        (19 | 20 | 23 | 27 | 29..=31 | 34 | 36 | 37 | 39 | 46 | 52 | 53, 1) => sheet.keep(0..1),
        (55, _) => sheet.keep(0..length),
        (
            3..=11 | 16 | 21 | 28 | 32 | 33 | 41 | 42 | 44 | 45 | 48..=50 | 54 | 65 | 68..=76 | 150,
            _,
        ) => {
            (0..length).step_by(4).for_each(|at| sheet.v4(at));
        }
        (61, 7) if sheet.byte(0) == Some(1) => {
            sheet.keep(0..1);
            sheet.mac(1);
        }
        (
            12 | 14 | 15 | 17 | 18 | 40 | 47 | 56 | 60 | 62 | 64 | 66 | 67 | 100 | 101 | 114 | 252,
            _,
        ) => {
            sheet.text(0..length);
        }
        _ => {}
    }
}
