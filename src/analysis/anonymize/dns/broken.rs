//! Where a DNS message cannot be read any more: which fault there is, and nothing else of what is there.
//!
//! Bytes that are no entry may be anything, lengths of labels and types included. So they are not kept but made
//! anew: labels as long as it takes to come to the place of the fault, and there the same fault. A pointer is
//! kept where the name before it could be read, since it leads to what is in front.

use super::is_class;
use crate::analysis::anonymize::sheet::Sheet;
use crate::proto::dns_message::{Fault, end_of_name};

/// The longest label.
const LABEL: usize = 63;
/// A label of a kind that there is not.
const UNKNOWN: u8 = 0x40;

/// The entry at `at`, which has this fault. Text is filled first; lengths and pointers are `last`.
pub(super) fn rewrite(sheet: &mut Sheet<'_>, at: usize, fault: Fault, last: bool) {
    match (end_of_name(sheet.old, at), fault) {
        (Ok(fixed), Fault::Needs(needed)) => {
            whole(sheet, at, fixed, last);
            if needed > fixed + 10 && !last {
                head(sheet, at, fixed);
            }
        }
        (_, Fault::Needs(needed)) => cut(sheet, at, needed, last),
        (_, Fault::Wrong(place, _)) => wrong(sheet, at, place, last),
    }
}

/// What is between the name of a record and its data, which is longer than the message. If it is no head of a
/// record, only that is kept.
fn head(sheet: &mut Sheet<'_>, at: usize, fixed: usize) {
    let (kind, class) = (sheet.word(fixed), sheet.word(fixed + 2));
    match kind.zip(class).is_some_and(|(kind, class)| is_class(kind, class, fixed == at + 1)) {
        true => sheet.keep(fixed..fixed + 10),
        false => put(sheet, fixed + 8, &[0xff, 0xff], true),
    }
}

/// A name for which so many bytes would be needed.
fn cut(sheet: &mut Sheet<'_>, at: usize, needed: usize, last: bool) {
    let length = sheet.old.len();
    match length.saturating_sub(at) {
        0 => {}
        1 if needed <= length + 1 => put(sheet, at, &[0xc0], last),
        _ if needed <= length + 1 => labels(sheet, at, length, last),
        _ => {
            // The last label reaches behind the message, as far as it did.
            let start = at.max(needed.saturating_sub(2 + LABEL));
            let start = if start == at + 1 { start + 1 } else { start };
            labels(sheet, at, start, last);
            match last {
                true => put(sheet, start, &[needed.saturating_sub(2 + start) as u8], true),
                false => sheet.text(start + 1..length),
            }
        }
    }
}

/// A name that can be read and has its end at `end`.
fn whole(sheet: &mut Sheet<'_>, at: usize, end: usize, last: bool) {
    let pointer = end.saturating_sub(2).max(at);
    let is_pointer = sheet.byte(pointer) >= Some(0xc0) && is_label(sheet.old, at, pointer);
    let body = if is_pointer { pointer } else { end.saturating_sub(1) };
    labels(sheet, at, body, last);
    if is_pointer && last {
        sheet.keep(pointer..end);
    }
}

/// Whether the labels from `at` on come to `place`.
fn is_label(old: &[u8], mut at: usize, place: usize) -> bool {
    while let Some(length @ 1..=63) = old.get(at).filter(|_| at < place) {
        at += 1 + usize::from(*length);
    }
    at == place
}

/// A name with the same fault in the same place.
fn wrong(sheet: &mut Sheet<'_>, at: usize, place: usize, last: bool) {
    if place > at {
        labels(sheet, at, place, last);
        let is_pointer = sheet.byte(place) >= Some(0xc0);
        let fault: &[u8] = if is_pointer { &[0xff, 0xff] } else { &[UNKNOWN] };
        return put(sheet, place, fault, last);
    }
    match sheet.byte(at) {
        Some(0xc0..) => put(sheet, at, &[0xff, 0xff], last),
        Some(0x40..) => put(sheet, at, &[UNKNOWN], last),
        // Longer than a name can be.
        _ => labels(sheet, at, sheet.old.len().min(at + 4 * (LABEL + 1)), last),
    }
}

/// Labels from `at` to `end`, of lengths that depend on nothing but how far it is.
fn labels(sheet: &mut Sheet<'_>, mut at: usize, end: usize, last: bool) {
    while let Some(left @ 1..) = end.checked_sub(at) {
        let length = match left - 1 {
            64 => 62, // none is of one byte alone
            length => length.min(LABEL),
        };
        if last {
            put(sheet, at, &[length as u8], true);
        } else {
            sheet.text(at + 1..at + 1 + length);
        }
        at += 1 + length;
    }
}

fn put(sheet: &mut Sheet<'_>, at: usize, bytes: &[u8], last: bool) {
    for (new, byte) in sheet.new.iter_mut().skip(at).zip(bytes).filter(|_| last) {
        *new = *byte;
    }
}
