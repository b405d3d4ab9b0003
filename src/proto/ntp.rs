//! NTP (RFC 5905 section 7.3; SNTP has the same header).
//!
//! Intervals and times are shown as people read them: delays in seconds, timestamps as UTC with
//! nanoseconds. A timestamp counts the seconds since 1900 and overflows in 2036: those with the
//! uppermost bit clear are taken to be of the second era (RFC 4330 section 3). What is not set is `0`.

use std::fmt;
use std::net::Ipv4Addr;

use super::line::Line;
use super::short_text::ShortText;
use super::{Exchange, Item, Key, Next, NoteKind, Protocol, Stack, Value, Walk};
use super::{be32, ends, field, listed};
use crate::escape;

/// The bytes of a header without extensions and without a code that authenticates it.
pub const HEADER: usize = 48;
/// The mode of a client's request.
pub const CLIENT: u8 = 3;
/// The mode of a server's answer.
pub const SERVER: u8 = 4;

/// NTP.
pub static NTP: Protocol = Protocol {
    name: "ntp",
    title: "NTP",
    keys: &[Key::UdpPort(123)],
    fields: &[
        field!("leap", 0, 1, Number, |h| h.first().map(|b| Value::Number(u64::from(b >> 6))), names leap_name),
        field!("version", 0, 1, Number, |h| {
            h.first().map(|b| Value::Number(u64::from(b >> 3 & 7)))
        }),
        field!("mode", 0, 1, Number, |h| h.first().map(|b| Value::Number(u64::from(b & 7))), names mode_name),
        listed!("stratum", Number),
        listed!("poll", Text),
        listed!("precision", Text),
        listed!("root_delay", Text),
        listed!("root_dispersion", Text),
        listed!("reference_id", Text),
        listed!("reference_timestamp", Text),
        listed!("origin_timestamp", Text),
        listed!("receive_timestamp", Text),
        listed!("transmit_timestamp", Text),
        listed!("key_id", Hex),
        listed!("digest", Bytes),
    ],
    dissect,
    summary,
    list,
    exchange,
};

fn dissect(walk: &mut Walk<'_>) -> Next {
    if !walk.has(&NTP, 1) {
        return Next::Payload;
    }
    let (version, mode) = version_and_mode(walk.rest());
    let needed = match mode {
        6 => 12,
        7 => 8,
        _ => HEADER,
    };
    if !walk.has(&NTP, needed) {
        return Next::Payload;
    }
    if !(1..=4).contains(&version) {
        walk.note(&NTP, 0, NoteKind::Invalid { field: "version", value: version.into() });
    }
    if mode == 0 {
        walk.note(&NTP, 0, NoteKind::Invalid { field: "mode", value: 0 });
    }
    let header = match walk.rest().len() {
        // A key and a digest of MD5 or SHA-1 (RFC 5905 section 7.3).
        length @ (68 | 72) if needed == HEADER => length,
        _ => needed,
    };
    walk.push(&NTP, header, usize::MAX);
    Next::Payload
}

fn version_and_mode(header: &[u8]) -> (u8, u8) {
    let first = header.first().copied().unwrap_or_default();
    (first >> 3 & 7, first & 7)
}

fn list(stack: &Stack<'_>, n: usize, visit: &mut dyn FnMut(Item<'_>)) {
    let header = stack.header(n);
    let Some(&[_, stratum, poll, precision]) = header.first_chunk() else { return };
    if header.len() < HEADER {
        return; // a control message
    }
    let number = |at| be32(header, at).unwrap_or_default();
    visit(Item::new("stratum", Value::Number(stratum.into()), 1, 1).meaning(stratum_name(stratum)));
    let mut text = |name, value: ShortText, at, length| {
        visit(Item::new(name, Value::Text(value.as_bytes()), at, length));
    };
    text("poll", ShortText::of(poll as i8), 2, 1);
    text("precision", ShortText::of(precision as i8), 3, 1);
    text("root_delay", ShortText::of(Seconds(number(4))), 4, 4);
    text("root_dispersion", ShortText::of(Seconds(number(8))), 8, 4);
    text("reference_id", ShortText::of(Reference { stratum, id: number(12) }), 12, 4);
    for (name, at) in [
        ("reference_timestamp", 16),
        ("origin_timestamp", 24),
        ("receive_timestamp", 32),
        ("transmit_timestamp", 40),
    ] {
        text(name, ShortText::of(Time(number(at), number(at + 4))), at, 8);
    }
    if let Some(digest) = header.get(HEADER + 4..) {
        visit(Item::new("key_id", Value::Hex(number(HEADER).into()), HEADER, 4));
        visit(Item::new("digest", Value::Bytes(digest), HEADER + 4, digest.len()));
    }
}

fn summary(stack: &Stack<'_>, n: usize, line: &mut Line) {
    let header = stack.header(n);
    let (version, mode) = version_and_mode(header);
    line.text("NTP ").text(mode_name(mode.into()).unwrap_or("reserved mode"));
    line.text(" v").dec(version);
    let answers = matches!(mode, 1 | 2 | SERVER | 5) && header.len() >= HEADER;
    let (Some(&stratum), Some(id), true) = (header.get(1), be32(header, 12), answers) else {
        return;
    };
    match stratum {
        0 => line.text(", kiss of death "),
        _ => line.text(", stratum ").dec(stratum).text(", ref "),
    };
    line.display(Reference { stratum, id });
}

/// The transmit timestamp that a server repeats as the origin's.
fn exchange(stack: &Stack<'_>, n: usize) -> Option<Exchange> {
    let header = stack.header(n);
    let (at, is_answer) = match version_and_mode(header).1 {
        CLIENT => (40, false),
        SERVER => (24, true),
        _ => return None,
    };
    let stamp = (be32(header, at)?, be32(header, at + 4)?);
    ends::exchange(&NTP, (stack, n), is_answer, stamp)
}

/// Seconds in the short format: 16 bits of them, 16 bits of a fraction.
struct Seconds(u32);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = (u64::from(self.0 & 0xffff) * 1_000_000) >> 16;
        write!(f, "{}.{micros:06}", self.0 >> 16)
    }
}

/// Seconds since 1900 and a fraction.
struct Time(u32, u32);

/// Seconds from 1900 to 1970.
const EPOCH: i64 = 2_208_988_800;

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Time(seconds, fraction) = *self;
        if (seconds, fraction) == (0, 0) {
            return f.write_str("0");
        }
        let era = if seconds >> 31 == 1 { 0 } else { 1i64 << 32 };
        let nanos = (u64::from(fraction) * 1_000_000_000) >> 32;
        match jiff::Timestamp::new(i64::from(seconds) + era - EPOCH, nanos as i32) {
            Ok(time) => write!(f, "{time:.9}"),
            Err(_) => write!(f, "{seconds}.{nanos:09}"),
        }
    }
}

/// What a clock is set by: a word for a primary server or a refusal, else an address.
struct Reference {
    stratum: u8,
    id: u32,
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.id.to_be_bytes();
        match self.stratum {
            0 | 1 => {
                let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
                escape::terminal(&bytes[..end]).fmt(f)
            }
            _ => Ipv4Addr::from(self.id).fmt(f),
        }
    }
}

fn leap_name(leap: u64) -> Option<&'static str> {
    Some(match leap {
        0 => "no warning",
        1 => "last minute has 61 seconds",
        2 => "last minute has 59 seconds",
        3 => "not synchronized",
        _ => return None,
    })
}

fn mode_name(mode: u64) -> Option<&'static str> {
    Some(match mode {
        1 => "symmetric active",
        2 => "symmetric passive",
        3 => "client",
        4 => "server",
        5 => "broadcast",
        6 => "control",
        7 => "private",
        _ => return None,
    })
}

fn stratum_name(stratum: u8) -> Option<&'static str> {
    Some(match stratum {
        0 => "unspecified",
        1 => "primary server",
        2..=15 => "secondary server",
        16 => "not synchronized",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::examined::{Over, assert_answers, examine_hostile, fields, hex, said};

    const ASKED: Over = Over::Udp(40000, 123);
    const ANSWERED: Over = Over::Udp(123, 40000);

    fn request() -> Vec<u8> {
        let mut message = vec![0x23];
        message.resize(40, 0);
        message.extend(hex("ea3f2b1c 80000000"));
        message
    }

    fn reply() -> Vec<u8> {
        hex("24 02 06 e9 00000a00 00000200 c0a80a01
             ea3f2a00 00000000 ea3f2b1c 80000000 ea3f2b1c 90000000 ea3f2b1c 90010000")
    }

    #[test]
    fn messages_read_as_sentences() {
        let mut primary = reply();
        primary[1] = 1;
        primary[12..16].copy_from_slice(b"GPS\0");
        let mut refusal = primary.clone();
        refusal[1] = 0;
        refusal[12..16].copy_from_slice(b"RATE");
        let mut odd = request();
        odd[0] = 0x38;
        let lines = [
            said(ASKED, &request()),
            said(ANSWERED, &reply()),
            said(ANSWERED, &primary),
            said(ANSWERED, &refusal),
            said(ASKED, &hex("16 02 00 01 00000000 00000000")),
            said(ASKED, &odd),
            said(ASKED, &request()[..40]),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r"
        NTP client v4
        NTP server v4, stratum 2, ref 192.168.10.1
        NTP server v4, stratum 1, ref GPS
        NTP server v4, kiss of death RATE
        NTP control v2
        NTP reserved mode v7 [0: bad ntp version 7] [0: bad ntp mode 0]
        payload [0: truncated: ntp needs 48 bytes, had 40]
        ");
    }

    #[test]
    fn every_field_has_its_place() {
        let mut signed = reply();
        signed.extend([0, 0, 0, 10]);
        signed.extend([0xab; 16]);
        insta::assert_snapshot!(fields(ANSWERED, &signed), @r#"
        leap = 0 (no warning) @0+1
        version = 4 @0+1
        mode = 4 (server) @0+1
        stratum = 2 (secondary server) @1+1
        poll = "6" @2+1
        precision = "-23" @3+1
        root_delay = "0.039062" @4+4
        root_dispersion = "0.007812" @8+4
        reference_id = "192.168.10.1" @12+4
        reference_timestamp = "2024-07-15T04:54:24.000000000Z" @16+8
        origin_timestamp = "2024-07-15T04:59:08.500000000Z" @24+8
        receive_timestamp = "2024-07-15T04:59:08.562500000Z" @32+8
        transmit_timestamp = "2024-07-15T04:59:08.562515258Z" @40+8
        key_id = 0xa @48+4
        digest = bytes abababababababababababababababab @52+16
        "#);
    }

    #[test]
    fn times_behind_the_overflow_are_of_the_next_era() {
        let lines = [Time(0, 1), Time(u32::MAX, u32::MAX), Time(1 << 31, 0), Time(0, 0)];
        let lines = lines.map(|time| ShortText::of(time).as_bytes().to_vec());
        let expected = [
            "2036-02-07T06:28:16.000000000Z",
            "2036-02-07T06:28:15.999999999Z",
            "1968-01-20T03:14:08.000000000Z",
            "0",
        ];
        assert_eq!(lines, expected.map(|time| time.as_bytes().to_vec()));
    }

    #[test]
    fn a_reply_belongs_to_the_request_whose_time_it_repeats() {
        assert_answers((ASKED, &request()), (ANSWERED, &reply()));
    }

    #[test]
    fn hostile_bytes_are_harmless() {
        examine_hostile(ANSWERED, &[&request(), &reply()]);
    }
}
