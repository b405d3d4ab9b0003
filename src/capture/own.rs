//! What pcapng has no words for: the rest of a [`Record`], in an option of its packet.
//!
//! A packet block has bytes, a time and a direction. A record has more: when its first byte came, which
//! tap and connection it came from, where in the stream it was, and whether it is a frame at all.
//! [`encode`] puts that into the value of a custom option (pcapng draft, section 3.5.1), which Wireshark's
//! programs keep when they copy, and [`decode`] makes the same record again. A frame of which the
//! packet block says everything has no such option, nor have the packets of other programs.
//!
//! The value: four bytes of [`MARK`], the kind of body, one byte that says which parts follow, those
//! parts, and what the kind needs. All numbers are big endian, whatever the order of the section.

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::record::{
    Body, Direction, FramingError, Impaired, LinkChange, LinkType, Origin, Packet, Problem, Record,
    Recovery, Span,
};

/// The enterprise number in front of the value: the one that RFC 5612 sets aside for examples, since
/// we have none; [`MARK`] tells ours from other people's.
pub(super) const ENTERPRISE: u32 = 32473;
/// The option's code: binary, to be copied along with the packet.
pub(super) const CODE: u16 = 2989;
/// What the value begins with; its last byte is the version of the layout.
const MARK: [u8; 4] = *b"uar\x01";
/// A text that is longer is cut: an option holds 64 KiB.
const MAX_TEXT: usize = 60_000;

/// Bits that say which parts follow, or which value a part has that does not follow.
mod part {
    /// There is no time, whatever the packet block says.
    pub const NO_TIME: u8 = 1;
    /// The first byte's time, 8 bytes; otherwise it is the last byte's.
    pub const FIRST: u8 = 2;
    /// The offset, 8 bytes.
    pub const OFFSET: u8 = 4;
    /// The tap, 2 bytes; otherwise 0.
    pub const TAP: u8 = 8;
    /// The connection, 4 bytes; otherwise 0.
    pub const CONNECTION: u8 = 16;
    /// The connection is 1.
    pub const CONNECTION_ONE: u8 = 32;
}

/// Bodies by their number in the value.
mod kind {
    pub const FRAME: u8 = 0;
    pub const FRAMING_ERROR: u8 = 1;
    pub const GAP: u8 = 2;
    pub const CONNECTED: u8 = 3;
    pub const LOST: u8 = 4;
    pub const RESET: u8 = 5;
    pub const CONSOLE: u8 = 6;
    pub const PACKET: u8 = 7;
    pub const IMPAIRED: u8 = 8;
    pub const LOST_ON_PURPOSE: u8 = 9;
}

/// What a packet block says by itself.
#[derive(Clone, Debug)]
pub(super) struct Plain {
    /// Its time; `None` when it has none or it is the zero that stands for none.
    pub time: Option<Timestamp>,
    /// The direction in its flags.
    pub direction: Direction,
    /// The link type of its interface.
    pub link: LinkType,
    /// Its bytes.
    pub bytes: Bytes,
    /// How long it was, in bytes.
    pub length: u32,
}

impl Plain {
    /// The record that says no more than this.
    pub(super) fn record(self) -> Record {
        Record {
            time: self.time.map(Span::at),
            origin: Origin { tap: 0, connection: 0, direction: self.direction },
            offset: None,
            body: self.body(),
        }
    }

    fn body(self) -> Body {
        let is_whole = u32::try_from(self.bytes.len()).is_ok_and(|n| n >= self.length);
        if self.link == LinkType::ETHERNET && is_whole {
            return Body::Frame(self.bytes);
        }
        let kept = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        let length = self.length.max(kept);
        Body::Packet(Packet { link: self.link, bytes: self.bytes, length })
    }
}

/// Appends the value of the option for `record`, enterprise number not included; nothing when it needs
/// none.
pub(super) fn encode(record: &Record, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend(MARK);
    out.push(kind_of(&record.body));
    let parts_at = out.len();
    out.push(0);
    let mut parts = 0;
    match record.time {
        None => parts |= part::NO_TIME,
        Some(span) if span.first != span.last => {
            parts |= part::FIRST;
            out.extend(span.first.0.to_be_bytes());
        }
        Some(_) => {}
    }
    if let Some(offset) = record.offset {
        parts |= part::OFFSET;
        out.extend(offset.to_be_bytes());
    }
    let Origin { tap, connection, direction: _ } = record.origin;
    if tap != 0 {
        parts |= part::TAP;
        out.extend(tap.to_be_bytes());
    }
    match connection {
        0 => {}
        1 => parts |= part::CONNECTION_ONE,
        _ => {
            parts |= part::CONNECTION;
            out.extend(connection.to_be_bytes());
        }
    }
    if let Some(byte) = out.get_mut(parts_at) {
        *byte = parts;
    }
    let is_said = parts == 0 && is_plain(record);
    if is_said {
        out.truncate(start);
    } else {
        encode_body(&record.body, out);
    }
}

/// Whether the packet block alone is read as this record, once origin and offset are the plain ones.
fn is_plain(record: &Record) -> bool {
    let has_time = record.time.is_some_and(|span| span.last != Timestamp::default());
    let is_what_it_seems = match &record.body {
        Body::Frame(_) => true,
        Body::Packet(packet) => {
            packet.link != LinkType::ETHERNET || packet.length as usize > packet.bytes.len()
        }
        _ => false,
    };
    has_time && is_what_it_seems
}

fn kind_of(body: &Body) -> u8 {
    match body {
        Body::Frame(_) => kind::FRAME,
        Body::Packet(_) => kind::PACKET,
        Body::FramingError(_) => kind::FRAMING_ERROR,
        Body::Gap { .. } => kind::GAP,
        Body::Link(LinkChange::Connected(_)) => kind::CONNECTED,
        Body::Link(LinkChange::Lost(_)) => kind::LOST,
        Body::Link(LinkChange::Reset) => kind::RESET,
        Body::Console(_) => kind::CONSOLE,
        Body::Impaired(Impaired { lost: None, .. }) => kind::IMPAIRED,
        Body::Impaired(Impaired { lost: Some(_), .. }) => kind::LOST_ON_PURPOSE,
    }
}

fn encode_body(body: &Body, out: &mut Vec<u8>) {
    match body {
        Body::Frame(_) | Body::Packet(_) | Body::Console(_) => {}
        Body::Link(LinkChange::Reset) => {}
        Body::Gap { records, bytes } => {
            out.extend(records.to_be_bytes());
            out.extend(bytes.to_be_bytes());
        }
        Body::Link(LinkChange::Connected(text) | LinkChange::Lost(text)) => {
            out.extend(cut(text, MAX_TEXT).as_bytes());
        }
        Body::Impaired(impaired) => out.extend(cut(&impaired.what, MAX_TEXT).as_bytes()),
        Body::FramingError(error) => {
            let (problem, [a, b]) = error.problem.to_numbers();
            out.push(problem);
            out.extend(a.to_be_bytes());
            out.extend(b.to_be_bytes());
            out.push(error.recovery.to_number());
        }
    }
}

/// The beginning of `text`, of at most `most` bytes.
pub(super) fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}

/// The record of a packet block with the option `value`, enterprise number not included; `Err` gives
/// the block back when the value is not ours or makes no sense.
pub(super) fn decode(value: &[u8], plain: Plain) -> Result<Record, Plain> {
    let mut rest = value;
    match parts(&mut rest).and_then(|parts| Some((parts, body(parts.kind, rest, &plain)?))) {
        None => Err(plain),
        Some((parts, body)) => Ok(Record {
            time: parts.time(plain.time),
            origin: Origin {
                tap: parts.tap,
                connection: parts.connection,
                direction: plain.direction,
            },
            offset: parts.offset,
            body,
        }),
    }
}

#[derive(Clone, Copy, Default)]
struct Parts {
    kind: u8,
    has_no_time: bool,
    first: Option<Timestamp>,
    offset: Option<u64>,
    tap: u16,
    connection: u32,
}

impl Parts {
    fn time(&self, last: Option<Timestamp>) -> Option<Span> {
        if self.has_no_time {
            return None;
        }
        let last = last?; // its interface is lost
        Some(Span { first: self.first.unwrap_or(last), last })
    }
}

fn parts(rest: &mut &[u8]) -> Option<Parts> {
    (take::<4>(rest)? == MARK).then_some(())?;
    let [kind, has] = take::<2>(rest)?;
    let mut parts = Parts { kind, has_no_time: has & part::NO_TIME != 0, ..Parts::default() };
    if has & part::FIRST != 0 {
        parts.first = Some(Timestamp(u64::from_be_bytes(take(rest)?)));
    }
    if has & part::OFFSET != 0 {
        parts.offset = Some(u64::from_be_bytes(take(rest)?));
    }
    if has & part::TAP != 0 {
        parts.tap = u16::from_be_bytes(take(rest)?);
    }
    if has & part::CONNECTION != 0 {
        parts.connection = u32::from_be_bytes(take(rest)?);
    } else if has & part::CONNECTION_ONE != 0 {
        parts.connection = 1;
    }
    Some(parts)
}

fn body(kind: u8, mut rest: &[u8], plain: &Plain) -> Option<Body> {
    let rest = &mut rest;
    Some(match kind {
        kind::FRAME => plain.clone().body(), // unless somebody has cut it since
        kind::PACKET => {
            let kept = u32::try_from(plain.bytes.len()).ok()?;
            let length = plain.length.max(kept);
            Body::Packet(Packet { link: plain.link, bytes: plain.bytes.clone(), length })
        }
        kind::FRAMING_ERROR => Body::FramingError(framing_error(rest, plain)?),
        kind::GAP => Body::Gap {
            records: u64::from_be_bytes(take(rest)?),
            bytes: u64::from_be_bytes(take(rest)?),
        },
        kind::CONNECTED => Body::Link(LinkChange::Connected(text(rest))),
        kind::LOST => Body::Link(LinkChange::Lost(text(rest))),
        kind::RESET => Body::Link(LinkChange::Reset),
        kind::CONSOLE => Body::Console(plain.bytes.clone()),
        kind::IMPAIRED => Body::Impaired(Impaired { what: text(rest), lost: None }),
        kind::LOST_ON_PURPOSE => {
            Body::Impaired(Impaired { what: text(rest), lost: Some(plain.bytes.clone()) })
        }
        _ => return None,
    })
}

fn text(rest: &[u8]) -> String {
    String::from_utf8_lossy(rest).into_owned()
}

fn framing_error(rest: &mut &[u8], plain: &Plain) -> Option<FramingError> {
    let [problem] = take(rest)?;
    let length = u32::from_be_bytes(take(rest)?);
    let limit = u32::from_be_bytes(take(rest)?);
    let problem = Problem::from_numbers(problem, [length, limit])?;
    let [recovery] = take(rest)?;
    let recovery = Recovery::from_number(recovery)?;
    Some(FramingError { problem, bytes: plain.bytes.clone(), recovery })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

/// What the comment of a record says before anybody's remark: the sentence for what is no frame.
pub(super) fn sentence(record: &Record) -> Option<String> {
    match &record.body {
        Body::Frame(_) | Body::Packet(_) => None,
        Body::FramingError(error) => Some(error.describe(record.offset).to_string()),
        Body::Gap { records: 0, bytes } => Some(format!("gap: {bytes} bytes are missing")),
        Body::Gap { bytes, .. } => Some(format!("gap: {bytes} bytes were seen but not kept")),
        Body::Link(change) => Some(format!("link: {change}")),
        Body::Console(line) => Some(format!("console: {}", crate::escape::terminal(line))),
        Body::Impaired(impaired) => Some(impaired.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain() -> Plain {
        Plain {
            time: Some(Timestamp(7)),
            direction: Direction::ToDevice,
            link: LinkType::ETHERNET,
            bytes: Bytes::from_static(&[1, 2, 3]),
            length: 3,
        }
    }

    #[test]
    fn what_the_packet_says_by_itself_needs_no_option() {
        let mut out = Vec::new();
        encode(&plain().record(), &mut out);
        assert!(out.is_empty());
        let mut record = plain().record();
        record.origin.connection = 1;
        record.offset = Some(0x0102);
        encode(&record, &mut out);
        assert_eq!(out, b"uar\x01\x00\x24\0\0\0\0\0\0\x01\x02");
        assert_eq!(decode(&out, plain()).expect("ours"), record);
    }

    #[test]
    fn a_frame_that_was_cut_since_is_a_packet() {
        let mut out = Vec::new();
        let record = Record { offset: Some(1), ..plain().record() };
        encode(&record, &mut out);
        let cut = Plain { bytes: Bytes::from_static(&[1]), ..plain() };
        let body = decode(&out, cut).expect("ours").body;
        let bytes = Bytes::from_static(&[1]);
        assert_eq!(body, Body::Packet(Packet { link: LinkType::ETHERNET, bytes, length: 3 }));
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("aäb", 2), "a");
        assert_eq!(cut("aäb", 3), "aä");
        assert_eq!(cut("aäb", 9), "aäb");
    }

    proptest! {
        #[test]
        fn nonsense_is_no_option_of_ours(value in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = decode(&value, plain());
            let marked = [&MARK[..], &value].concat();
            let _ = decode(&marked, plain());
            prop_assert!(value.starts_with(&MARK) || decode(&value, plain()).is_err());
        }
    }
}
