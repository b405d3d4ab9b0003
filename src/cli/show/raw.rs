//! The bytes of the line itself: what the framing puts in front of each frame in brackets, what makes
//! no frame behind an exclamation mark.

use crate::framing::Framing;
use crate::proto::line::{Line, Tint};

/// Bytes in a row.
const ROW: usize = 16;

/// Appends a frame as it stands on the line, in rows; `offset` is its place in the stream.
pub(super) fn frame(
    frame: &[u8],
    offset: Option<u64>,
    framing: &Framing,
    spool: &mut Vec<u8>,
    line: &mut Line,
) {
    spool.clear();
    let is_framed = framing.encode(frame, spool).is_ok();
    if framing.header.is_none() && is_framed {
        return escaped(spool, offset, framing, line);
    }
    let header = framing.header.filter(|_| is_framed).unwrap_or(0);
    if header > 0 {
        line.tint(Tint::Remark).text("[");
        hex(&spool[..header], line);
        line.text("]").plain().text(" ");
    }
    line.dec(frame.len() as u64).text(" bytes");
    if let Some(offset) = offset {
        line.text(" at ").dec(offset);
    }
    line.text("\n");
    rows(frame, offset.map_or(0, |offset| offset + header as u64), line);
}

/// Appends a frame between two marks, of which the first is there for certain only where we know no
/// better: a frame with an offset begins behind it.
fn escaped(bytes: &[u8], offset: Option<u64>, framing: &Framing, line: &mut Line) {
    let bytes = bytes.get(usize::from(offset.is_some())..).unwrap_or_default();
    line.tint(Tint::Remark).text("[").text(framing.name).text("]").plain();
    line.text(" ").dec(bytes.len() as u64).text(" bytes");
    if let Some(offset) = offset {
        line.text(" at ").dec(offset);
    }
    line.text("\n");
    rows(bytes, offset.unwrap_or(0), line);
}

/// Appends bytes that make no frame.
pub(super) fn passed_over(bytes: &[u8], offset: Option<u64>, line: &mut Line) {
    rows(bytes, offset.unwrap_or(0), line);
}

/// Rows of hex and characters, each behind its place in the stream, or in the frame where that is not
/// known.
fn rows(bytes: &[u8], offset: u64, line: &mut Line) {
    for (n, row) in bytes.chunks(ROW).enumerate() {
        line.text("    ").hex(offset + (n * ROW) as u64, 8).text("  ");
        hex(row, line);
        line.spaces((ROW - row.len()) * 3 + 2);
        row.iter().for_each(|byte| {
            line.character(hexdump::sanitize_byte(*byte));
        });
        line.text("\n");
    }
}

fn hex(bytes: &[u8], line: &mut Line) {
    for (n, byte) in bytes.iter().enumerate() {
        if n > 0 {
            line.text(" ");
        }
        line.hex(*byte, 2);
    }
}
