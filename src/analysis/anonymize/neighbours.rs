//! Neighbour discovery: addresses in fixed places and in options (RFC 4861 section 4; RFC 4191, RFC 8106, RFC
//! 8781). Of options that are not about addresses or times only which they are and how long is kept.

use super::sheet::Sheet;
use crate::proto::ndp;
use crate::proto::read::ipv6_at;

pub(super) fn rewrite(sheet: &mut Sheet<'_>) {
    sheet.keep(4..8);
    match sheet.byte(0) {
        Some(ndp::ROUTER_ADVERTISEMENT) => sheet.keep(8..16),
        Some(ndp::SOLICITATION | ndp::ADVERTISEMENT) => sheet.v6(8),
        Some(ndp::REDIRECT) => {
            sheet.v6(8);
            sheet.v6(24);
        }
        _ => {}
    }
    let old = sheet.old;
    let start = old.first().and_then(|kind| ndp::options_at(*kind));
    let mut end = start.unwrap_or(old.len());
    for (at, bytes) in ndp::options(old) {
        end = at + bytes.len();
        option(&mut sheet.part(at..end));
    }
    sheet.keep(end..end + 2); // one of length 0, or longer than the message
}

fn option(sheet: &mut Sheet<'_>) {
    sheet.keep(0..2);
    match (sheet.byte(0), sheet.old.len()) {
        (Some(1 | 2), 8) => sheet.mac(2),
        (Some(3), 32) => {
            sheet.keep(2..12);
            prefix(sheet, 16);
        }
        (Some(5), 8) => sheet.keep(4..8),
        (Some(24), 8 | 16 | 24) => {
            sheet.keep(2..8);
            prefix(sheet, 8);
        }
        (Some(25), length) => {
            sheet.keep(4..8);
            (8..length).step_by(16).for_each(|at| sheet.v6(at));
        }
        (Some(31), _) => {
            sheet.keep(4..8);
            domains(sheet);
        }
        (Some(38), 16) => {
            sheet.keep(2..4);
            prefix(sheet, 4);
        }
        _ => {}
    }
}

/// The beginning of an address, as much as there is from `at` on. Behind so many bits as the option says
/// zeros stay.
fn prefix(sheet: &mut Sheet<'_>, at: usize) {
    let kept = sheet.old.get(at..).unwrap_or_default();
    let kept = kept.get(..16).unwrap_or(kept);
    let mut whole = [0; 16];
    whole[..kept.len()].copy_from_slice(kept);
    if let Some(address) = ipv6_at(&whole, 0) {
        // NAT64's option tells the bits otherwise (RFC 8781 section 4), and has whole prefixes of 96 at most.
        let bits = if sheet.byte(0) == Some(38) { 128 } else { sheet.byte(2).unwrap_or_default() };
        let behind = u128::MAX.checked_shr(bits.into()).unwrap_or(0);
        let is_bare = u128::from(address) & behind == 0;
        let new = u128::from(sheet.names.v6(address)) & !(if is_bare { behind } else { 0 });
        let new = new.to_be_bytes();
        sheet.new[at..at + kept.len()].copy_from_slice(&new[..kept.len()]);
    }
}

/// Names one after the other, padded with zeros.
fn domains(sheet: &mut Sheet<'_>) {
    let mut at = 8;
    while let Some(length) = sheet.byte(at) {
        if length > 63 {
            return;
        }
        sheet.keep(at..at + 1);
        let end = at + 1 + usize::from(length);
        sheet.text(at + 1..end);
        at = end;
    }
}
