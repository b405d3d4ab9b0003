//! Records in the order in which their last bytes came.
//!
//! What stands behind a hole in one direction, or is no frame at first sight, comes out late, while the other
//! direction goes on: answers would stand in front of their questions. So, as long as any direction is behind,
//! records wait, and come out by their times. There are limits to that: a hole may never be filled.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::record::{Body, Record};

/// Records wait no longer than this, in the time of the capture.
const WAIT: Duration = Duration::from_secs(10);
/// And no more of them.
const MAX_WAITING: usize = 64 * 1024;
/// Nor more bytes in them.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The records that wait.
#[derive(Default)]
pub(super) struct Order {
    waiting: Vec<Record>,
    bytes: usize,
    /// When the first of them began to wait, or those before it had waited too long.
    since: Option<Timestamp>,
}

impl Order {
    /// Whether what waits has waited too long by now.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.waiting.len() > MAX_WAITING
            || self.bytes > MAX_BYTES
            || self.since.is_some_and(|since| now.since(since) >= WAIT)
    }

    /// Keeps what came at `now`: the records from `start` on.
    pub(super) fn wait(&mut self, now: Timestamp, start: usize, out: &mut Vec<Record>) {
        self.since.get_or_insert(now);
        self.bytes = out.iter().skip(start).map(size).fold(self.bytes, usize::saturating_add);
        self.waiting.extend(out.drain(start..));
    }

    /// Hands out everything, with the records from `start` on among it.
    pub(super) fn release(&mut self, start: usize, out: &mut Vec<Record>) {
        self.since = None;
        self.bytes = 0;
        if !self.waiting.is_empty() {
            self.waiting.extend(out.drain(start..));
            out.append(&mut self.waiting);
        }
        if let Some(new) = out.get_mut(start..).filter(|new| new.len() > 1) {
            new.sort_by_key(|record| record.time.map(|span| span.last)); // is stable
        }
    }
}

fn size(record: &Record) -> usize {
    match &record.body {
        Body::Frame(bytes) | Body::Console(bytes) => bytes.len(),
        Body::Packet(packet) => packet.bytes.len(),
        Body::FramingError(error) => error.bytes.len(),
        Body::Impaired(impaired) => impaired.lost.as_ref().map_or(0, |frame| frame.len()),
        Body::Gap { .. } | Body::Link(_) => 0,
    }
}
