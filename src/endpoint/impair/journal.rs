//! Records of what really goes to the device, for whoever reads the other direction.
//!
//! What an impaired line is sent goes later, changed, or not at all: only the line knows. It writes that
//! down here, as soon as somebody wants to read it, and the receiving half hands it out.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::lane::{Load, Passed};
use crate::clock::Clock;
use crate::endpoint::Options;
use crate::framing::Decoder;
use crate::record::{Body, Direction, Impaired, Origin, Record, Span};

/// Bytes in records that wait to be read.
const ROOM: usize = 8 * 1024 * 1024;
/// What a record costs beside its bytes.
const RECORD: usize = 64;
/// Raw bytes behind which nothing came for so long are shown as what they are.
const QUIET: Duration = Duration::from_millis(100);

/// What was written down and not read yet.
#[derive(Default)]
pub(super) struct Journal {
    pages: Mutex<Option<Pages>>,
    news: Notify,
}

struct Pages {
    clock: Clock,
    origin: Origin,
    /// For raw bytes: what they amount to.
    decoder: Box<dyn Decoder>,
    /// When raw bytes are to be decided.
    decide: Option<Instant>,
    records: VecDeque<Record>,
    bytes: usize,
    /// Records and bytes that nobody took in time.
    missing: (u64, u64),
}

/// The records of what came out of a lane, timed by a clock whose `now` is `late` after that.
pub(super) fn records(passed: Passed, origin: Origin, time: Span) -> impl Iterator<Item = Record> {
    let record = |body| Record { time: Some(time), origin, offset: passed.offset, body };
    let (lost, is_lost) = match (&passed.load, passed.is_lost) {
        (Load::Frame(frame), true) => (Some(frame.clone()), true),
        _ => (None, false),
    };
    let is_touched = !passed.what.is_empty();
    let note = is_touched.then(|| Body::Impaired(Impaired { what: passed.what, lost }));
    let body = match passed.load {
        _ if is_lost => None,
        Load::Frame(frame) => Some(Body::Frame(frame)),
        Load::Error(error) => Some(Body::FramingError(error)),
        Load::Raw(_) => None,
    };
    [note.map(record), body.map(record)].into_iter().flatten()
}

impl Journal {
    fn pages(&self) -> MutexGuard<'_, Option<Pages>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to write, in the times of `clock`, as of connection `connection`.
    pub fn open(&self, clock: &Clock, connection: u32, options: &Options) {
        let origin = Origin { tap: 0, connection, direction: Direction::ToDevice };
        *self.pages() = Some(Pages {
            clock: clock.clone(),
            origin,
            decoder: (options.framing.decoder)(origin, options.max_frame),
            decide: None,
            records: VecDeque::new(),
            bytes: 0,
            missing: (0, 0),
        });
    }

    /// Writes down what has gone to the device, or was lost on its way.
    pub fn write(&self, passed: impl IntoIterator<Item = Passed>) {
        let mut pages = self.pages();
        let Some(pages) = pages.as_mut() else { return };
        for passed in passed {
            pages.write(passed);
        }
        self.news.notify_one();
    }

    /// What was written since it was read last, if anything was.
    pub fn read(&self) -> Option<Vec<Record>> {
        let mut pages = self.pages();
        let pages = pages.as_mut()?;
        if pages.decide.is_some_and(|at| at <= Instant::now()) {
            pages.decide = None;
            let mut records = Vec::new();
            pages.decoder.idle(pages.clock.now(), &mut records);
            records.into_iter().for_each(|record| pages.add(record));
        }
        let mut records = Vec::from(std::mem::take(&mut pages.records));
        pages.bytes = 0;
        if let (lost @ 1.., bytes) = std::mem::take(&mut pages.missing) {
            let time = Some(Span::at(pages.clock.now()));
            let body = Body::Gap { records: lost, bytes };
            records.push(Record { time, origin: pages.origin, offset: None, body });
        }
        (!records.is_empty()).then_some(records)
    }

    /// Waits until something was written. Cancelling it loses nothing.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// When raw bytes are decided.
    pub fn due(&self) -> Option<Instant> {
        self.pages().as_ref()?.decide
    }
}

impl Pages {
    fn write(&mut self, passed: Passed) {
        let now = self.clock.now();
        let mut records = Vec::new();
        if let Load::Raw(bytes) = &passed.load {
            self.decoder.push(now, bytes, &mut records);
            self.decide = Some(Instant::now() + QUIET);
        } else {
            if !self.decoder.is_empty() && !passed.is_lost {
                self.decoder.stop(now, &mut records); // a frame behind unfinished bytes stands by itself
            }
            records.extend(self::records(passed, self.origin, Span::at(now)));
        }
        records.into_iter().for_each(|record| self.add(record));
    }

    fn add(&mut self, record: Record) {
        let n = size(&record);
        if self.bytes + n + RECORD > ROOM {
            self.missing.0 += 1;
            self.missing.1 += n as u64;
            return;
        }
        self.bytes += n + RECORD;
        self.records.push_back(record);
    }
}

fn size(record: &Record) -> usize {
    match &record.body {
        Body::Frame(bytes) => bytes.len(),
        Body::FramingError(error) => error.bytes.len(),
        Body::Impaired(impaired) => impaired.lost.as_ref().map_or(0, Bytes::len),
        _ => 0,
    }
}
