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
    let framed = framing.encode(frame, spool).is_ok();
    let header = if framed { spool.len() - frame.len() } else { 0 };
    place(offset, line);
    if header > 0 {
        line.tint(Tint::Remark).text(" [");
        hex(&spool[..header], line);
        line.text("]").plain();
    }
    rows(frame, offset.map(|offset| offset + header as u64), line);
}

/// Appends bytes that make no frame.
pub(super) fn passed_over(bytes: &[u8], offset: Option<u64>, line: &mut Line) {
    place(offset, line);
    rows(bytes, offset, line);
}

fn place(offset: Option<u64>, line: &mut Line) {
    match offset {
        Some(offset) => line.hex(offset, 8),
        None => line.text("--------"),
    };
}

/// Rows of hex and characters, each behind its place in the stream; the place of the first one is
/// there already.
fn rows(bytes: &[u8], offset: Option<u64>, line: &mut Line) {
    line.text("\n");
    for (n, row) in bytes.chunks(ROW).enumerate() {
        line.text("    ");
        place(offset.map(|offset| offset + (n * ROW) as u64), line);
        line.text("  ");
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
