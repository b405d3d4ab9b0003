//! DNS messages, those of multicast DNS and LLMNR too: the header, types, classes, times and the numbers in
//! records are kept, addresses replaced, the letters of names and texts filled.
//!
//! Names are compressed: one may end with a pointer to what, for another, is text, or to no name at all. So
//! all text is filled first, then values are written over it, then the lengths and pointers that lead
//! through each name.

mod broken;

use super::sheet::Sheet;
use crate::proto::dns_message::{Entries, Entry, HEADER, OPT, Section, end_of_name};

/// Types of records (IANA's registry).
mod kind {
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const PTR: u16 = 12;
    pub const HINFO: u16 = 13;
    pub const MX: u16 = 15;
    pub const TXT: u16 = 16;
    pub const AAAA: u16 = 28;
    pub const SRV: u16 = 33;
    pub const DNAME: u16 = 39;
    pub const NSEC: u16 = 47;
}

/// What is written when.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    Text,
    Values,
    Names,
}

/// Over TCP, the length is in front of the message, and a segment that continues one may look like the
/// beginning of another: what does not fill its length to the byte is none.
pub(super) fn rewrite(sheet: &mut Sheet<'_>, is_tcp: bool) {
    let start = if is_tcp { 2 } else { 0 };
    let header = sheet.header;
    if is_tcp && !is_whole(sheet.old.get(..header).unwrap_or_default()) {
        return;
    }
    sheet.keep(0..start);
    let mut sheet = sheet.part(start..header);
    let message = sheet.old;
    for pass in [Pass::Text, Pass::Values, Pass::Names] {
        if pass == Pass::Values {
            sheet.keep(0..HEADER);
        }
        let mut entries = Entries::new(message);
        for entry in entries.by_ref() {
            rewrite_entry(&mut sheet, &entry, pass);
        }
        if let Some(fault) = entries.fault() {
            broken::rewrite(&mut sheet, entries.at(), fault, pass == Pass::Names);
        }
    }
}

/// Whether a message fills the length in front of it.
fn is_whole(bytes: &[u8]) -> bool {
    let Some((length, message)) = bytes.split_first_chunk::<2>() else { return false };
    let mut entries = Entries::new(message);
    entries.by_ref().for_each(drop);
    let is_read = entries.fault().is_none() && entries.at() == message.len();
    is_read && usize::from(u16::from_be_bytes(*length)) == message.len()
}

fn rewrite_entry(sheet: &mut Sheet<'_>, entry: &Entry<'_>, pass: Pass) {
    name(sheet, entry.name.at, pass);
    let is_question = entry.section == Section::Question;
    let is_class = is_class(entry.kind, entry.class, entry.fixed == entry.name.at + 1);
    if pass == Pass::Values {
        // A class that is none tells that no record begins here: where the data ends is all that is kept.
        let head = if is_question { 4 } else { 8 };
        if is_class {
            sheet.keep(entry.fixed..entry.fixed + head);
        }
        if !is_question {
            sheet.keep(entry.fixed + 8..entry.fixed + 10);
        }
    }
    if !is_question && is_class {
        data(sheet, entry, pass);
    }
}

/// Internet, chaos, Hesiod, none and any, with the bit of multicast DNS; OPT has a size instead, and the root's
/// name.
fn is_class(kind: u16, class: u16, is_root: bool) -> bool {
    matches!(class & 0x7fff, 1 | 3 | 4 | 254 | 255) || (kind == OPT && is_root)
}

/// The name at `at`, which can be read: its text, or the lengths and pointers on the way through it.
fn name(sheet: &mut Sheet<'_>, at: usize, pass: Pass) {
    let (mut at, mut part, mut left) = (at, at, 255usize);
    while let Some(length) = sheet.byte(at) {
        if pass == Pass::Names {
            sheet.keep(at..at + 1);
        }
        match length {
            1..=63 => {
                let end = at + 1 + usize::from(length);
                if pass == Pass::Text {
                    sheet.text(at + 1..end);
                }
                let Some(rest) = left.checked_sub(end - at) else { return };
                (at, left) = (end, rest);
            }
            192.. => {
                if pass == Pass::Names {
                    sheet.keep(at..at + 2);
                }
                let to = sheet.word(at).map(|word| usize::from(word & 0x3fff));
                let Some(to) = to.filter(|to| *to < part) else { return };
                let Some(rest) = left.checked_sub(1) else { return };
                (at, part, left) = (to, to, rest);
            }
            _ => return, // the end, or a label of an unknown kind
        }
    }
}

/// Names, numbers, strings and addresses in the data of a record, by its type; of others nothing.
fn data(sheet: &mut Sheet<'_>, entry: &Entry<'_>, pass: Pass) {
    let (at, end) = (entry.data.at, entry.data.at + entry.data.length);
    let message = sheet.old;
    let behind = |at| end_of_name(message, at).ok().filter(|next| *next <= end);
    let names = |sheet: &mut Sheet<'_>, numbers: usize, at: usize| {
        if pass == Pass::Values {
            sheet.keep(at..(at + numbers).min(end));
        }
        let at = at + numbers;
        let next = behind(at);
        if next.is_some() {
            name(sheet, at, pass);
        }
        next
    };
    match (entry.kind, pass) {
        (kind::NS | kind::CNAME | kind::PTR | kind::DNAME, _) => {
            names(sheet, 0, at);
        }
        (kind::MX, _) => {
            names(sheet, 2, at);
        }
        (kind::SRV, _) => {
            names(sheet, 6, at);
        }
        (kind::SOA, _) => {
            let numbers = names(sheet, 0, at).and_then(|at| names(sheet, 0, at));
            if let (Some(at), Pass::Values) = (numbers, pass) {
                sheet.keep(at..(at + 20).min(end));
            }
        }
        (kind::NSEC, _) => {
            let types = names(sheet, 0, at);
            if let (Some(at), Pass::Values) = (types, pass) {
                maps(sheet, at, end);
            }
        }
        (kind::A, Pass::Values) if entry.data.length == 4 => sheet.v4(at),
        (kind::AAAA, Pass::Values) if entry.data.length == 16 => sheet.v6(at),
        (kind::TXT | kind::HINFO, _) => strings(sheet, at, end, pass),
        (OPT, Pass::Values) => options(sheet, at, end),
        _ => {}
    }
}

/// Strings with a byte of length each.
fn strings(sheet: &mut Sheet<'_>, mut at: usize, end: usize, pass: Pass) {
    while let Some(length) = sheet.byte(at).filter(|_| at < end) {
        let next = at + 1 + usize::from(length);
        match pass {
            Pass::Text => sheet.text(at + 1..next.min(end)),
            Pass::Values => sheet.keep(at..at + 1),
            Pass::Names => {}
        }
        at = next;
    }
}

/// The maps of types in NSEC (RFC 4034 section 4.1.2), as long as they are such.
fn maps(sheet: &mut Sheet<'_>, mut at: usize, end: usize) {
    while let Some(length @ 1..=32) = sheet.byte(at + 1) {
        let next = at + 2 + usize::from(length);
        if next > end {
            return;
        }
        sheet.keep(at..next);
        at = next;
    }
}

/// Which options of EDNS there are, and how long they are.
fn options(sheet: &mut Sheet<'_>, mut at: usize, end: usize) {
    while let Some(length) = sheet.word(at + 2).filter(|_| at + 4 <= end) {
        sheet.keep(at..at + 4);
        at += 4 + usize::from(length);
    }
}
