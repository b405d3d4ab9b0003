//! Protocols of which little has to be said: CoAP, NTP and TFTP.

use super::sheet::Sheet;
use crate::proto::coap::HEADER;
use crate::proto::coap_options::{End, Options};
use crate::proto::tftp;

/// Header, which options there are, and the numbers in them. The token is replaced by another, the same one
/// by the same, since it tells which answer belongs to which request.
pub(super) fn coap(sheet: &mut Sheet<'_>) {
    sheet.keep(0..HEADER);
    let old = sheet.old;
    let token = old.first().map_or(0, |first| usize::from(first & 15));
    if let Some(bytes) = old.get(HEADER..HEADER + token) {
        let new = sheet.names.token(bytes);
        sheet.new[HEADER..HEADER + token].copy_from_slice(&new[..token]);
    }
    let mut options = Options::new(old);
    for option in options.by_ref() {
        let value = option.start..option.start + option.value.len();
        sheet.keep(option.at..option.start);
        match option.number {
            // Observe, port, formats, ages, blocks, sizes.
            6 | 7 | 12 | 14 | 17 | 23 | 27 | 28 | 60 | 258 if value.len() <= 4 => sheet.keep(value),
            3 | 8 | 11 | 15 | 20 | 35 | 39 => sheet.text(value),
            _ => {}
        }
    }
    match options.end {
        End::Options => {}
        End::Payload => sheet.keep(options.at - 1..options.at),
        // The head of the option that cannot be read: difference and length, and what extends them.
        End::Cut(_) | End::Reserved => {
            let first = old.get(options.at).copied().unwrap_or_default();
            let more = [first >> 4, first & 15].map(|nibble| match nibble {
                13 => 1,
                14 => 2,
                _ => 0,
            });
            sheet.keep(options.at..options.at + 1 + more[0] + more[1]);
        }
    }
}

/// Words that name a kind of clock or a refusal (RFC 5905 figures 12 and 13).
const SOURCES: [&[u8; 4]; 22] = [
    b"GPS\0", b"PPS\0", b"LOCL", b"DCF\0", b"WWVB", b"MSF\0", b"ACTS", b"GAL\0", b"GOES", b"NIST",
    b"PTB\0", b"USNO", b"IRIG", b"INIT", b"STEP", b"DENY", b"RATE", b"RSTR", b"AUTH", b"CRYP",
    b"DROP", b"NKEY",
];

/// Times are what it is about: only the server's server and digests are not told.
pub(super) fn ntp(sheet: &mut Sheet<'_>) {
    match sheet.byte(0).unwrap_or_default() & 7 {
        6 => return sheet.keep(0..12),
        7 => return sheet.keep(0..8),
        _ => sheet.keep(0..12),
    }
    match (sheet.byte(1), sheet.old.get(12..16)) {
        (Some(2..), _) => sheet.v4(12),
        (_, Some(word)) if SOURCES.iter().any(|known| *known == word) => sheet.keep(12..16),
        _ => {}
    }
    sheet.keep(16..48);
    if sheet.header > 48 {
        sheet.keep(48..52);
    }
}

/// What stands in requests besides names (RFC 1350, RFC 2348, RFC 2349, RFC 7440).
const WORDS: [&[u8]; 7] =
    [b"octet", b"netascii", b"mail", b"blksize", b"timeout", b"tsize", b"windowsize"];

/// Opcode, block, code, the names of options and numbers; other strings are filled.
pub(super) fn tftp(sheet: &mut Sheet<'_>) {
    sheet.keep(0..2);
    let start = match sheet.word(0) {
        Some(tftp::RRQ | tftp::WRQ | tftp::OACK) => 2,
        Some(tftp::ERROR) => 4,
        Some(tftp::DATA | tftp::ACK) => return sheet.keep(2..4),
        _ => return,
    };
    sheet.keep(2..start);
    let old = sheet.old.get(start..).unwrap_or_default();
    let mut at = start;
    for (n, string) in old.split(|byte| *byte == 0).enumerate() {
        let span = at..at + string.len();
        let is_word = WORDS.iter().any(|word| word.eq_ignore_ascii_case(string));
        let is_number = string.len() <= 10 && string.iter().all(u8::is_ascii_digit);
        let is_name = start == 4 || (n == 0 && sheet.word(0) != Some(tftp::OACK));
        match (is_word || is_number) && !is_name {
            true => sheet.keep(span),
            false => sheet.text(span),
        }
        at += string.len() + 1;
    }
}
