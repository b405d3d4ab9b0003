//! HTTP: what a message is (method, version, status, the names of well-known headers), how it is built
//! (lines, blanks, lengths), and how long its chunks are. All other text is filled, and bodies are gone.

use super::sheet::Sheet;
use crate::proto::http_head::{is_token, is_version, line_at, number};

/// Methods that say nothing about who asks.
const METHODS: [&[u8]; 16] = [
    b"GET",
    b"HEAD",
    b"POST",
    b"PUT",
    b"DELETE",
    b"CONNECT",
    b"OPTIONS",
    b"TRACE",
    b"PATCH",
    b"PROPFIND",
    b"SEARCH",
    b"NOTIFY",
    b"M-SEARCH",
    b"SUBSCRIBE",
    b"UNSUBSCRIBE",
    b"PRI",
];
/// The names of headers that everybody uses.
const NAMES: [&[u8]; 36] = [
    b"accept",
    b"accept-encoding",
    b"accept-language",
    b"accept-ranges",
    b"age",
    b"allow",
    b"authorization",
    b"cache-control",
    b"connection",
    b"content-disposition",
    b"content-encoding",
    b"content-language",
    b"content-length",
    b"content-range",
    b"content-type",
    b"cookie",
    b"date",
    b"etag",
    b"expect",
    b"expires",
    b"host",
    b"if-modified-since",
    b"if-none-match",
    b"keep-alive",
    b"last-modified",
    b"location",
    b"origin",
    b"pragma",
    b"range",
    b"referer",
    b"server",
    b"set-cookie",
    b"transfer-encoding",
    b"upgrade",
    b"user-agent",
    b"vary",
];
/// How a body can be coded for the way (RFC 9112 section 7).
const CODINGS: [&[u8]; 6] =
    [b"chunked", b"gzip", b"deflate", b"compress", b"identity", b"trailers"];

pub(super) fn rewrite(sheet: &mut Sheet<'_>) {
    let header = sheet.header;
    let old = &sheet.old[..header];
    let (mut at, mut is_first, mut is_chunked) = (0, true, false);
    while let Some((line, next)) = line_at(old, at) {
        let end = at + line.len();
        sheet.keep(end..next);
        match std::mem::take(&mut is_first) {
            true => start_line(&mut sheet.part(at..end)),
            false => is_chunked |= header_line(&mut sheet.part(at..end)),
        }
        at = next;
    }
    match is_first {
        true => start_line(&mut sheet.part(at..header)), // it goes on in the next segment
        false => {
            header_line(&mut sheet.part(at..header));
        }
    }
    if is_chunked {
        let end = sheet.old.len();
        chunks(&mut sheet.part(header..end));
    }
}

/// Filled, but for its blanks.
fn words(sheet: &mut Sheet<'_>, from: usize, to: usize) {
    sheet.text_but(from..to, |byte| matches!(byte, b' ' | b'\t'));
}

fn start_line(sheet: &mut Sheet<'_>) {
    let old = sheet.old;
    let length = old.len();
    let first = old.iter().position(|byte| *byte == b' ').unwrap_or(length);
    words(sheet, first, length);
    if is_version(&old[..first]) {
        sheet.keep(0..(first + 4).min(length)); // the status, too
        return;
    }
    match METHODS.contains(&&old[..first]) {
        true => sheet.keep(0..first),
        false => sheet.text(0..first),
    }
    if matches!(sheet.byte(first + 1), Some(b'/' | b'*' | b'h')) {
        sheet.keep(first + 1..first + 2);
    }
    let last = old.iter().rposition(|byte| *byte == b' ').map_or(length, |blank| blank + 1);
    if is_version(&old[last..]) {
        sheet.keep(last..length);
    }
}

/// A line behind the first; whether it says that the body comes in chunks.
fn header_line(sheet: &mut Sheet<'_>) -> bool {
    let old = sheet.old;
    let length = old.len();
    let Some(colon) = old.iter().position(|byte| *byte == b':') else {
        words(sheet, 0, length);
        return false;
    };
    let name = &old[..colon];
    sheet.keep(colon..colon + 1);
    words(sheet, colon + 1, length);
    match NAMES.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        true => sheet.keep(0..colon),
        // A name that is no word is none afterwards.
        false => {
            for (new, old) in sheet.new[..colon].iter_mut().zip(name) {
                *new = match old {
                    b' ' | b'\t' => *old,
                    _ if is_token(*old) => super::TEXT,
                    _ => b'"',
                };
            }
        }
    }
    let value = &old[colon + 1..];
    if name.eq_ignore_ascii_case(b"content-length") && number(value.trim_ascii()).is_some() {
        sheet.keep(colon + 1..length);
    }
    if !name.eq_ignore_ascii_case(b"transfer-encoding") {
        return false;
    }
    let mut at = colon + 1;
    let mut is_chunked = false;
    for coding in value.split(|byte| *byte == b',') {
        let word = coding.trim_ascii();
        is_chunked = word.eq_ignore_ascii_case(b"chunked");
        if CODINGS.iter().any(|known| known.eq_ignore_ascii_case(word)) {
            sheet.keep(at..at + coding.len());
        }
        at += coding.len() + 1;
        sheet.keep(at - 1..at);
    }
    is_chunked
}

/// A body in chunks (RFC 9112 section 7.1): the lines with their sizes.
fn chunks(sheet: &mut Sheet<'_>) {
    let old = sheet.old;
    let mut at = 0;
    while let Some((line, next)) = line_at(old, at) {
        let end = at + line.len();
        sheet.keep(end..next);
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let text = std::str::from_utf8(&line[..digits]).unwrap_or_default();
        let is_size = matches!(line.get(digits), None | Some(b';' | b' ' | b'\t'));
        let size = usize::from_str_radix(text, 16).ok().filter(|_| is_size);
        let Some(size) = size else { return words(sheet, at, end) };
        sheet.keep(at..at + digits);
        words(sheet, at + digits, end);
        sheet.keep(at + digits..(at + digits + 1).min(end));
        let Some(behind) = Some(size).filter(|size| *size > 0).and_then(|n| next.checked_add(n))
        else {
            return;
        };
        if !old.get(behind..).is_some_and(|rest| rest.starts_with(b"\r\n")) {
            return; // what follows is no size
        }
        sheet.keep(behind..behind + 2);
        at = behind + 2;
    }
}
