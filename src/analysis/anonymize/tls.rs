//! TLS: records, alerts and which handshake messages there are; of the hellos versions, cipher suites and
//! extensions. Names are filled; keys, certificates and everything encrypted is gone.

use super::sheet::Sheet;
use crate::proto::tls_record::{
    CERTIFICATE, CHANGE_CIPHER_SPEC, CLIENT_HELLO, HEADER, SERVER_HELLO, alert, messages, records,
};

/// Protocols inside that many speak (IANA's registry of ALPN).
const PROTOCOLS: [&[u8]; 8] =
    [b"h2", b"http/1.0", b"http/1.1", b"h3", b"mqtt", b"coap", b"dot", b"acme-tls/1"];
/// What the random number of a server begins with that asks for another hello (RFC 8446 section 4.1.3).
const RETRY: [u8; 8] = [0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11];

pub(super) fn rewrite(sheet: &mut Sheet<'_>) {
    let header = sheet.header;
    let old = &sheet.old[..header];
    for record in records(old) {
        let start = record.at + HEADER;
        sheet.keep(record.at..start);
        if record.kind == CHANGE_CIPHER_SPEC {
            sheet.keep(start..start + usize::from(record.body == [1]));
        }
        if alert(&record).is_some() {
            sheet.keep(start..start + 2);
        }
        for message in messages(&record) {
            let at = start + message.at;
            sheet.keep(at..at + 4);
            let mut body = sheet.part(at + 4..at + 4 + message.body.len());
            match message.kind {
                CLIENT_HELLO | SERVER_HELLO => {
                    let _ = hello(&mut body, message.kind == CLIENT_HELLO); // as far as it is there
                }
                CERTIFICATE => body.keep(0..3), // the length of the list
                _ => {}
            }
        }
    }
}

fn hello(sheet: &mut Sheet<'_>, is_client: bool) -> Option<()> {
    sheet.keep(0..2);
    if sheet.old.get(2..10) == Some(&RETRY) {
        sheet.keep(2..10);
    }
    sheet.keep(34..35); // the length of the session's id
    let mut at = 35 + usize::from(sheet.byte(34).filter(|length| *length <= 32)?);
    if is_client {
        let suites = at + 2 + usize::from(sheet.word(at).filter(|length| length % 2 == 0)?);
        let methods = suites + 1 + usize::from(sheet.byte(suites)?);
        sheet.keep(at..methods);
        at = methods;
    } else {
        sheet.keep(at..at + 3);
        at += 3;
    }
    sheet.keep(at..at + 2);
    at += 2;
    while let (Some(kind), Some(length)) = (sheet.word(at), sheet.word(at + 2)) {
        sheet.keep(at..at + 4);
        let end = at + 4 + usize::from(length);
        extension(kind, is_client, &mut sheet.part(at + 4..end));
        at = end;
    }
    Some(())
}

fn extension(kind: u16, is_client: bool, sheet: &mut Sheet<'_>) {
    match kind {
        0 if is_client => {
            sheet.keep(0..5);
            let end = sheet.old.len();
            sheet.text(5..end);
        }
        16 => {
            sheet.keep(0..2);
            let old = sheet.old;
            let mut at = 2;
            while let Some(length) = sheet.byte(at) {
                let name = at + 1..at + 1 + usize::from(length);
                sheet.keep(at..at + 1);
                match old.get(name.clone()).is_some_and(|name| PROTOCOLS.contains(&name)) {
                    true => sheet.keep(name.clone()),
                    false => sheet.text(name.clone()),
                }
                at = name.end;
            }
        }
        // Groups, forms of points, signatures, modes: lists of numbers of a few bytes.
        10 | 11 | 13 | 45 | 50 => {
            let width = if matches!(kind, 11 | 45) { 1 } else { 2 };
            let first = if width == 1 { sheet.byte(0).map(u16::from) } else { sheet.word(0) };
            let is_list = first.map(usize::from) == sheet.old.len().checked_sub(width);
            sheet.keep(0..if is_list { width + 64 } else { 0 });
        }
        51 => shares(sheet, is_client),
        43 => {
            let end = sheet.old.len();
            let is_list = sheet.byte(0).map(usize::from) == end.checked_sub(1);
            match is_client {
                true if is_list => sheet.keep(0..65),
                true => {}
                false => sheet.keep(0..2),
            }
        }
        _ => {}
    }
}

/// Which keys are shared and how long they are (RFC 8446 section 4.2.8).
fn shares(sheet: &mut Sheet<'_>, is_client: bool) {
    let mut at = if is_client { 2 } else { 0 };
    sheet.keep(0..at);
    while let Some(length) = sheet.word(at + 2) {
        sheet.keep(at..at + 4);
        at += 4 + usize::from(length);
    }
    if at == 0 {
        sheet.keep(0..2); // the group of another attempt
    }
}
