//! What is no packet at all, link changes, gaps and lines of the console, as journal entries of pcapng.
//!
//! A systemd Journal Export Block (pcapng draft, section 4.7) holds one log entry: names and values, line by
//! line. Wireshark shows its `MESSAGE` in the list of packets; tcpdump, which takes files of one link
//! type only, passes it over. A value with control characters is written in the entry's second form: the
//! name, a line end, its length (8 bytes, little endian) and the bytes.
//!
//! Fields of our own say the rest of the [`Record`], so that reading gives the same one again.

use std::io::Write;

use bytes::Bytes;

use super::own::{self, Plain};
use crate::clock::Timestamp;
use crate::record::{Body, Direction, LinkType, Record};

/// The rest of the record, as [`own::encode`] says it, in hex digits.
const RECORD: &str = "UARTTOOL_RECORD";
/// Its time in nanoseconds; absent when it has none.
const TIME: &str = "UARTTOOL_TIME";
/// Its direction, [`Direction::ToDevice`] or [`Direction::FromDevice`].
const DIRECTION: &str = "UARTTOOL_DIRECTION";
/// Its bytes in hex digits.
const BYTES: &str = "UARTTOOL_BYTES";
/// What somebody has remarked on it.
const REMARK: &str = "UARTTOOL_REMARK";

const TO_DEVICE: &str = "to-device";
const FROM_DEVICE: &str = "from-device";

/// Appends the entry for `record`; `name` says where it comes from.
pub(super) fn encode(record: &Record, name: &str, remark: Option<&str>, out: &mut Vec<u8>) {
    let nanoseconds = record.time.map(|span| span.last.0);
    let microseconds = nanoseconds.unwrap_or_default() / 1000;
    field(out, "__REALTIME_TIMESTAMP", microseconds.to_string().as_bytes());
    field(out, "SYSLOG_IDENTIFIER", name.as_bytes());
    match &record.body {
        Body::Console(line) => {
            field(out, "MESSAGE", crate::escape::terminal(line).to_string().as_bytes())
        }
        _ => field(out, "MESSAGE", own::sentence(record).unwrap_or_default().as_bytes()),
    }
    if let Some(nanoseconds) = nanoseconds {
        field(out, TIME, nanoseconds.to_string().as_bytes());
    }
    match record.origin.direction {
        Direction::ToDevice => field(out, DIRECTION, TO_DEVICE.as_bytes()),
        Direction::FromDevice => field(out, DIRECTION, FROM_DEVICE.as_bytes()),
        Direction::Unknown => {}
    }
    let bytes = match &record.body {
        Body::Console(line) => Some(line),
        Body::Impaired(impaired) => impaired.lost.as_ref(),
        _ => None,
    };
    if let Some(bytes) = bytes {
        field(out, BYTES, hex(bytes).as_bytes());
    }
    if let Some(remark) = remark {
        field(out, REMARK, remark.as_bytes());
    }
    let mut value = Vec::new();
    own::encode(record, &mut value);
    field(out, RECORD, hex(&value).as_bytes());
}

fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend(name.as_bytes());
    if value.iter().any(|byte| *byte < b' ' && *byte != b'\t') {
        out.push(b'\n');
        out.extend((value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend(value);
    out.push(b'\n');
}

fn hex(bytes: &[u8]) -> String {
    let mut text = Vec::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}"); // a Vec takes everything
    }
    String::from_utf8(text).unwrap_or_default()
}

fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |digit: &u8| (*digit as char).to_digit(16).map(|digit| digit as u8);
    let (pairs, rest) = text.as_chunks::<2>();
    rest.is_empty().then_some(())?;
    pairs.iter().map(|[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}

/// The record of an entry that [`encode`] made, and the remark on it; `None` of other programs' entries.
pub(super) fn decode(entry: &[u8]) -> Option<(Record, Option<String>)> {
    let mut plain = Plain {
        time: None,
        direction: Direction::Unknown,
        link: LinkType::ETHERNET,
        bytes: Bytes::new(),
        length: 0,
    };
    let (mut value, mut remark) = (None, None);
    let mut rest = entry;
    while let Some((name, content)) = next_field(&mut rest) {
        let text = || std::str::from_utf8(content).ok();
        match std::str::from_utf8(name).ok()? {
            RECORD => value = from_hex(content),
            TIME => plain.time = Some(Timestamp(text()?.parse().ok()?)),
            DIRECTION if text() == Some(TO_DEVICE) => plain.direction = Direction::ToDevice,
            DIRECTION if text() == Some(FROM_DEVICE) => plain.direction = Direction::FromDevice,
            BYTES => plain.bytes = from_hex(content)?.into(),
            REMARK => remark = Some(String::from_utf8_lossy(content).into_owned()),
            _ => {}
        }
    }
    let record = own::decode(&value?, plain).ok()?;
    Some((record, remark))
}

/// The name and the value of the field that comes next. An entry ends with an empty line, or with the
/// zeros behind it.
fn next_field<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let (line, behind) = (rest.get(..end)?, rest.get(end + 1..)?);
    if let Some(at) = line.iter().position(|byte| *byte == b'=') {
        *rest = behind;
        return Some((line.get(..at)?, line.get(at + 1..)?));
    }
    let (length, behind) = behind.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let value = behind.get(..length)?;
    *rest = behind.get(length.checked_add(1)?..)?;
    (!line.is_empty()).then_some((line, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{LinkChange, Origin, Span};
    use proptest::prelude::*;

    fn record(body: Body) -> Record {
        let time = Some(Span::at(Timestamp(1_700_000_000_123_456_789)));
        Record { time, origin: Origin::new(Direction::FromDevice), offset: None, body }
    }

    #[test]
    fn an_entry_reads_well() {
        let mut out = Vec::new();
        let connected = record(Body::Link(LinkChange::Connected("127.0.0.1:5556".to_owned())));
        encode(&connected, "tcp:h:1", Some("two\nlines"), &mut out);
        let text = out.escape_ascii().to_string().replace("\\n", "\n");
        insta::assert_snapshot!(text, @r"
        __REALTIME_TIMESTAMP=1700000000123456
        SYSLOG_IDENTIFIER=tcp:h:1
        MESSAGE=link: connected: 127.0.0.1:5556
        UARTTOOL_TIME=1700000000123456789
        UARTTOOL_DIRECTION=from-device
        UARTTOOL_REMARK
        \t\x00\x00\x00\x00\x00\x00\x00two
        lines
        UARTTOOL_RECORD=7561720103203132372e302e302e313a35353536
        ");
        assert_eq!(decode(&out), Some((connected, Some("two\nlines".to_owned()))));
    }

    #[test]
    fn entries_of_others_are_none_of_ours() {
        assert_eq!(decode(b"__REALTIME_TIMESTAMP=1700000000000000\nMESSAGE=hello\n\0\0"), None);
        assert_eq!(decode(b"UARTTOOL_RECORD=7\n"), None);
        assert_eq!(decode(b"UARTTOOL_RECORD=00ff\n"), None);
        assert_eq!(decode(b"MESSAGE\n\xff\xff\xff\xff\xff\xff\xff\xffx"), None);
    }

    proptest! {
        #[test]
        fn nothing_panics(entry: Vec<u8>) {
            let _ = decode(&entry);
        }
    }
}
