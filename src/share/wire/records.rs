//! Records on the wire.

use super::{Fields, Malformed, put_bytes, put_text};
use crate::clock::Timestamp;
use crate::record::{
    Body, Direction, FramingError, Impaired, LinkChange, LinkType, Origin, Packet, Problem, Record,
    Recovery, Span,
};

/// Bits that say which optional parts of a record follow.
const HAS_TIME: u8 = 1;
const HAS_OFFSET: u8 = 2;

pub(super) fn put_record(record: &Record, out: &mut Vec<u8>) {
    let has = |bit, is: bool| if is { bit } else { 0 };
    out.push(has(HAS_TIME, record.time.is_some()) | has(HAS_OFFSET, record.offset.is_some()));
    if let Some(span) = record.time {
        out.extend(span.first.0.to_be_bytes());
        out.extend(span.last.0.to_be_bytes());
    }
    if let Some(offset) = record.offset {
        out.extend(offset.to_be_bytes());
    }
    out.extend(record.origin.tap.to_be_bytes());
    out.extend(record.origin.connection.to_be_bytes());
    out.push(match record.origin.direction {
        Direction::Unknown => 0,
        Direction::ToDevice => 1,
        Direction::FromDevice => 2,
    });
    match &record.body {
        Body::Frame(bytes) => {
            out.push(1);
            put_bytes(bytes, out);
        }
        Body::FramingError(error) => {
            out.push(2);
            put_error(error, out);
        }
        Body::Gap { records, bytes } => {
            out.push(3);
            out.extend(records.to_be_bytes());
            out.extend(bytes.to_be_bytes());
        }
        Body::Link(LinkChange::Connected(with)) => {
            out.push(4);
            put_text(with, out);
        }
        Body::Link(LinkChange::Lost(how)) => {
            out.push(5);
            put_text(how, out);
        }
        Body::Link(LinkChange::Reset) => out.push(6),
        Body::Console(line) => {
            out.push(7);
            put_bytes(line, out);
        }
        Body::Packet(packet) => {
            out.push(8);
            out.extend(packet.link.0.to_be_bytes());
            out.extend(packet.length.to_be_bytes());
            put_bytes(&packet.bytes, out);
        }
        Body::Impaired(Impaired { what, lost: None }) => {
            out.push(9);
            put_text(what, out);
        }
        Body::Impaired(Impaired { what, lost: Some(frame) }) => {
            out.push(10);
            put_text(what, out);
            put_bytes(frame, out);
        }
    }
}

fn put_error(error: &FramingError, out: &mut Vec<u8>) {
    let (problem, [a, b]) = error.problem.to_numbers();
    out.push(problem);
    out.extend(a.to_be_bytes());
    out.extend(b.to_be_bytes());
    out.push(error.recovery.to_number());
    put_bytes(&error.bytes, out);
}

pub(super) fn take_record(fields: &mut Fields) -> Result<Record, Malformed> {
    let has = fields.u8()?;
    let time = match has & HAS_TIME {
        0 => None,
        _ => Some(Span { first: Timestamp(fields.u64()?), last: Timestamp(fields.u64()?) }),
    };
    let offset = if has & HAS_OFFSET == 0 { None } else { Some(fields.u64()?) };
    let (tap, connection) = (fields.u16()?, fields.u32()?);
    let direction = match fields.u8()? {
        0 => Direction::Unknown,
        1 => Direction::ToDevice,
        2 => Direction::FromDevice,
        _ => return Err(Malformed::Nonsense),
    };
    let body = match fields.u8()? {
        1 => Body::Frame(fields.bytes()?),
        2 => Body::FramingError(take_error(fields)?),
        3 => Body::Gap { records: fields.u64()?, bytes: fields.u64()? },
        4 => Body::Link(LinkChange::Connected(fields.text()?)),
        5 => Body::Link(LinkChange::Lost(fields.text()?)),
        6 => Body::Link(LinkChange::Reset),
        7 => Body::Console(fields.bytes()?),
        8 => {
            let (link, length) = (LinkType(fields.u16()?), fields.u32()?);
            Body::Packet(Packet { link, bytes: fields.bytes()?, length })
        }
        9 => Body::Impaired(Impaired { what: fields.text()?, lost: None }),
        10 => Body::Impaired(Impaired { what: fields.text()?, lost: Some(fields.bytes()?) }),
        _ => return Err(Malformed::Nonsense),
    };
    Ok(Record { time, origin: Origin { tap, connection, direction }, offset, body })
}

fn take_error(fields: &mut Fields) -> Result<FramingError, Malformed> {
    let (problem, numbers) = (fields.u8()?, [fields.u32()?, fields.u32()?]);
    let problem = Problem::from_numbers(problem, numbers).ok_or(Malformed::Nonsense)?;
    let recovery = Recovery::from_number(fields.u8()?).ok_or(Malformed::Nonsense)?;
    Ok(FramingError { problem, bytes: fields.bytes()?, recovery })
}
