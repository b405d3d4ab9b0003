//! Records as JSON lines: the members that all have, and those of each kind.

use crate::analysis::console;
use crate::clock::Timestamp;
use crate::dissect::render::json::{hex, members, string};
use crate::proto::Stack;
use crate::proto::line::Line;
use crate::record::{Body, Direction, LinkChange, Problem, Record, Recovery};

/// The version of the schema.
const VERSION: u64 = 1;

/// Appends the members that every record has.
pub(super) fn start(record: &Record, number: u64, line: &mut Line) {
    line.text("{\"v\":").dec(VERSION).text(",\"type\":\"").text(kind(&record.body));
    line.text("\",\"number\":").dec(number);
    if let Some(span) = record.time {
        line.text(",\"time\":\"").display(span.last.rfc3339()).text("\",\"seconds\":");
        seconds(span.last, line);
        if span.first != span.last {
            line.text(",\"first_byte_seconds\":");
            seconds(span.first, line);
        }
    }
    line.text(",\"direction\":\"").text(match record.origin.direction {
        Direction::ToDevice => "to-device",
        Direction::FromDevice => "from-device",
        Direction::Unknown => "unknown",
    });
    line.text("\",\"tap\":").dec(record.origin.tap);
    line.text(",\"connection\":").dec(record.origin.connection);
    if let Some(offset) = record.offset {
        line.text(",\"offset\":").dec(offset);
    }
}

fn kind(body: &Body) -> &'static str {
    match body {
        Body::Frame(_) | Body::Packet(_) => "frame",
        Body::FramingError(_) => "framing_error",
        Body::Gap { .. } => "gap",
        Body::Link(_) => "link",
        Body::Console(_) => "console",
        Body::Impaired(_) => "impaired",
    }
}

/// Seconds since 1970, to the nanosecond.
fn seconds(time: Timestamp, line: &mut Line) {
    line.dec(time.0 / 1_000_000_000).text(".");
    line.dec_padded((time.0 % 1_000_000_000) as u32, 9);
}

/// Appends what a frame is; `summary` is its line.
pub(super) fn frame(stack: &Stack<'_>, summary: &[u8], line: &mut Line) {
    members(stack, line);
    line.text(",\"summary\":");
    string(summary, line);
}

/// Appends the bytes of a frame.
pub(super) fn bytes(bytes: &[u8], line: &mut Line) {
    line.text(",\"bytes\":");
    hex(bytes, line);
}

/// Appends what somebody has remarked.
pub(super) fn remark(remark: Option<&str>, line: &mut Line) {
    if let Some(remark) = remark {
        line.text(",\"comment\":");
        string(remark.as_bytes(), line);
    }
}

/// Appends what is no frame.
pub(super) fn other(record: &Record, line: &mut Line) {
    match &record.body {
        Body::Frame(_) | Body::Packet(_) => {}
        Body::FramingError(error) => {
            line.text(",\"problem\":\"").text(problem(error.problem)).text("\"");
            if let Problem::TooLong { length, .. }
            | Problem::Cut { length: Some(length) }
            | Problem::OutOfStep { length } = error.problem
            {
                line.text(",\"announced\":").dec(length);
            }
            line.text(",\"recovery\":\"").text(recovery(error.recovery)).text("\"");
            line.text(",\"length\":").dec(error.bytes.len() as u64);
            line.text(",\"summary\":");
            string(error.describe(record.offset).to_string().as_bytes(), line);
            bytes(&error.bytes, line);
        }
        Body::Gap { records, bytes } => {
            line.text(",\"records\":").dec(*records).text(",\"length\":").dec(*bytes);
        }
        Body::Link(change) => {
            line.text(",\"change\":\"").text(match change {
                LinkChange::Connected(_) => "connected",
                LinkChange::Lost(_) => "lost",
                LinkChange::Reset => "reset",
            });
            line.text("\",\"summary\":");
            string(change.to_string().as_bytes(), line);
        }
        Body::Impaired(impaired) => {
            line.text(",\"summary\":");
            string(impaired.to_string().as_bytes(), line);
            if let Some(frame) = &impaired.lost {
                line.text(",\"length\":").dec(frame.len() as u64);
                bytes(frame, line);
            }
        }
        Body::Console(text) => {
            line.text(",\"text\":");
            string(text, line);
            if let Some(finding) = console::judge(text) {
                line.text(",\"finding\":\"").text(finding.name()).text("\"");
            }
        }
    }
}

fn problem(problem: Problem) -> &'static str {
    match problem {
        Problem::ZeroLength => "zero_length",
        Problem::TooLong { .. } => "too_long",
        Problem::Cut { .. } => "cut",
        Problem::OutOfStep { .. } => "out_of_step",
        Problem::Continued => "continued",
        Problem::WrongEscape { .. } => "wrong_escape",
        Problem::NoFrame => "no_frame",
        Problem::NoEnd => "no_end",
    }
}

fn recovery(recovery: Recovery) -> &'static str {
    match recovery {
        Recovery::Sure => "sure",
        Recovery::Likely => "likely",
        Recovery::Searching => "searching",
        Recovery::Ended => "ended",
        Recovery::Stopped => "stopped",
    }
}
