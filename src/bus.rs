//! From a tap to those who watch, without ever waiting for them.
//!
//! Each watcher has a queue of its own, bounded in records and in bytes. When it is full, whole
//! records are dropped for that watcher and counted; when there is room again, a [`Body::Gap`]
//! says how much is missing. For every watcher: received + dropped = seen. A bus may hang behind
//! another: the gaps that arrive count as what they stand for.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::{TryRecvError, TrySendError};

use crate::record::{Body, Direction, Origin, Record};

/// Records that wait for one watcher at most.
pub const MAX_RECORDS: usize = 16 * 1024;
/// How often a watcher looks that does not wait for good: a person does not notice.
const GLANCE: Duration = Duration::from_millis(2);
/// Pauses of a source that waits for a watcher with too many bytes.
const PATIENCE: Duration = Duration::from_millis(1);
/// Bytes that wait for one watcher at most, unless it is a single record.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;

/// Hands records to every watcher.
#[derive(Debug, Default)]
pub struct Bus {
    watchers: Vec<Watcher>,
    door: Door,
}

/// Lets watchers in from other threads, however busy the one is that hands out. They see everything
/// from the next record on.
#[derive(Clone, Debug, Default)]
pub struct Door(Arc<Lobby>);

#[derive(Debug, Default)]
struct Lobby {
    waiting: Mutex<Vec<Watcher>>,
    is_empty: AtomicBool,
}

impl Door {
    /// A new watcher.
    pub fn watch(&self) -> Inbox {
        let (watcher, inbox) = Watcher::new();
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(watcher);
        self.0.is_empty.store(false, Ordering::Release);
        inbox
    }

    fn let_in(&self, watchers: &mut Vec<Watcher>) {
        if !self.0.is_empty.swap(true, Ordering::Acquire) {
            watchers.append(&mut self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

#[derive(Debug)]
struct Watcher {
    queue: mpsc::Sender<Record>,
    meter: Arc<Meter>,
    missing: Option<Missing>,
}

/// What was dropped since the last gap was reported.
#[derive(Clone, Copy, Debug)]
struct Missing {
    records: u64,
    bytes: u64,
    origin: Origin,
}

/// Counts what one watcher was given.
#[derive(Debug, Default)]
pub struct Meter {
    seen: AtomicU64,
    dropped: AtomicU64,
    dropped_bytes: AtomicU64,
    waiting: AtomicUsize,
}

impl Meter {
    /// Records that the tap saw.
    pub fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    /// Records that were dropped because the queue was full.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Nothing came in the time that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence;

/// The watcher's end of its queue.
#[derive(Debug)]
pub struct Inbox {
    queue: mpsc::Receiver<Record>,
    meter: Arc<Meter>,
    /// Records and bytes that gaps have told of.
    told: (u64, u64),
}

impl Inbox {
    /// The next record, waiting for it on this thread; `None` when the tap has ended.
    pub fn wait(&mut self) -> Option<Record> {
        loop {
            let record = self.queue.blocking_recv()?;
            if let Some(record) = self.taken(record) {
                return Some(record);
            }
        }
    }

    /// The same, for so long at most; an error when nothing has come.
    pub fn wait_for(&mut self, patience: Duration) -> Result<Option<Record>, Silence> {
        let deadline = Instant::now() + patience;
        loop {
            match self.queue.try_recv() {
                Ok(record) => {
                    if let Some(record) = self.taken(record) {
                        return Ok(Some(record));
                    }
                }
                Err(TryRecvError::Disconnected) => return Ok(None),
                Err(TryRecvError::Empty) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(Silence);
                    }
                    std::thread::sleep(left.min(GLANCE));
                }
            }
        }
    }

    /// The next record; `None` when the tap has ended. Cancelling it loses nothing.
    pub async fn next(&mut self) -> Option<Record> {
        loop {
            let record = self.queue.recv().await?;
            if let Some(record) = self.taken(record) {
                return Some(record);
            }
        }
    }

    /// The next record, if there is one already.
    pub fn poll(&mut self) -> Option<Record> {
        loop {
            let record = self.queue.try_recv().ok()?;
            if let Some(record) = self.taken(record) {
                return Some(record);
            }
        }
    }

    /// What was dropped and not told of yet, since nothing came behind it that fitted: to be asked
    /// for when the queue is empty.
    pub fn untold(&mut self) -> Option<Record> {
        let bytes = self.meter.dropped_bytes.load(Ordering::Relaxed);
        let gap = Body::Gap { records: self.meter.dropped(), bytes };
        let origin = Origin::new(Direction::Unknown);
        self.taken(Record { time: None, origin, offset: None, body: gap })
    }

    /// The counters.
    pub fn meter(&self) -> Arc<Meter> {
        self.meter.clone()
    }

    /// Accounts for a record that leaves the queue. A gap of which all was told before is no news.
    fn taken(&mut self, mut record: Record) -> Option<Record> {
        self.meter.waiting.fetch_sub(size(&record), Ordering::Relaxed);
        if let Body::Gap { records, bytes } = &mut record.body {
            let dropped_bytes = self.meter.dropped_bytes.load(Ordering::Relaxed);
            *records = (*records).min(self.meter.dropped() - self.told.0);
            *bytes = (*bytes).min(dropped_bytes.saturating_sub(self.told.1));
            self.told = (self.told.0 + *records, self.told.1 + *bytes);
            if *records == 0 {
                return None;
            }
        }
        Some(record)
    }
}

/// The bytes that a record carries.
fn size(record: &Record) -> usize {
    match &record.body {
        Body::Frame(bytes) | Body::Console(bytes) => bytes.len(),
        Body::Packet(packet) => packet.bytes.len(),
        Body::FramingError(error) => error.bytes.len(),
        Body::Impaired(impaired) => impaired.lost.as_ref().map_or(0, Bytes::len),
        Body::Gap { .. } | Body::Link(_) => 0,
    }
}

impl Bus {
    /// A new watcher, which sees everything from now on.
    pub fn watch(&mut self) -> Inbox {
        let (watcher, inbox) = Watcher::new();
        self.watchers.push(watcher);
        inbox
    }

    /// For letting watchers in from other threads.
    pub fn door(&self) -> Door {
        self.door.clone()
    }

    /// Whether nobody watches any more.
    pub fn is_unwatched(&self) -> bool {
        self.watchers.iter().all(|watcher| watcher.queue.is_closed())
    }

    /// Hands out `records` and empties the list, without waiting.
    pub fn publish(&mut self, records: &mut Vec<Record>) {
        self.door.let_in(&mut self.watchers);
        self.watchers.retain(|watcher| !watcher.queue.is_closed());
        for record in records.drain(..) {
            for watcher in &mut self.watchers {
                watcher.offer(&record);
            }
        }
    }

    /// Hands out `record`, waiting for every watcher: for sources that do not mind, such as files.
    /// Cancelled, it has been handed to some watchers and not counted for the others.
    pub async fn publish_patiently(&mut self, record: &Record) {
        for watcher in &self.watchers {
            while watcher.is_full(size(record)) && !watcher.queue.is_closed() {
                tokio::time::sleep(PATIENCE).await;
            }
            let Ok(place) = watcher.queue.reserve().await else { continue };
            watcher.meter.seen.fetch_add(1, Ordering::Relaxed);
            watcher.meter.waiting.fetch_add(size(record), Ordering::Relaxed);
            place.send(record.clone());
        }
        self.watchers.retain(|watcher| !watcher.queue.is_closed());
    }
}

impl Watcher {
    fn new() -> (Watcher, Inbox) {
        let (sender, queue) = mpsc::channel(MAX_RECORDS);
        let meter = Arc::new(Meter::default());
        let watcher = Watcher { queue: sender, meter: meter.clone(), missing: None };
        (watcher, Inbox { queue, meter, told: (0, 0) })
    }

    fn offer(&mut self, record: &Record) {
        let lost = match record.body {
            Body::Gap { records, bytes } => Some((records, bytes)),
            _ => None,
        };
        let (records, bytes) = lost.unwrap_or((1, size(record) as u64));
        self.meter.seen.fetch_add(records, Ordering::Relaxed);
        let is_taken = self.make_good(record) && self.try_send(record.clone());
        if !is_taken || lost.is_some() {
            self.meter.dropped.fetch_add(records, Ordering::Relaxed);
            self.meter.dropped_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        if !is_taken {
            let origin = record.origin;
            let missing = self.missing.get_or_insert(Missing { records: 0, bytes: 0, origin });
            missing.records += records;
            missing.bytes += bytes;
        }
    }

    /// Reports what was dropped before, in front of `next`, when there is room for both.
    fn make_good(&mut self, next: &Record) -> bool {
        let Some(Missing { records, bytes, origin }) = self.missing else { return true };
        if self.is_full(size(next)) || self.queue.capacity() < 2 {
            return false;
        }
        let gap =
            Record { time: next.time, origin, offset: None, body: Body::Gap { records, bytes } };
        self.missing = None;
        self.try_send(gap)
    }

    /// Whether `more` bytes are too many.
    fn is_full(&self, more: usize) -> bool {
        let waiting = self.meter.waiting.load(Ordering::Relaxed);
        waiting > 0 && waiting + more > MAX_BYTES
    }

    fn try_send(&self, record: Record) -> bool {
        let bytes = size(&record);
        if self.is_full(bytes) {
            return false;
        }
        self.meter.waiting.fetch_add(bytes, Ordering::Relaxed);
        match self.queue.try_send(record) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => {
                self.meter.waiting.fetch_sub(bytes, Ordering::Relaxed);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Direction;

    fn frame(n: u64, length: usize) -> Record {
        Record {
            time: None,
            origin: Origin::new(Direction::FromDevice),
            offset: Some(n),
            body: Body::Frame(Bytes::from(vec![0; length])),
        }
    }

    /// Publishes `n` frames while nobody reads, then reads everything; returns (frames, gaps).
    fn overrun(n: usize, length: usize) -> (Vec<Record>, Arc<Meter>) {
        let mut bus = Bus::default();
        let mut inbox = bus.watch();
        for i in 0..n {
            bus.publish(&mut vec![frame(i as u64, length)]);
        }
        let mut got = Vec::new();
        while let Some(record) = inbox.poll() {
            got.push(record);
        }
        bus.publish(&mut vec![frame(n as u64, length)]);
        got.extend(std::iter::from_fn(|| inbox.poll()));
        (got, inbox.meter())
    }

    #[test]
    fn received_and_dropped_are_what_was_seen_and_the_gap_says_what_is_missing() {
        for (n, length) in [(MAX_RECORDS + 1000, 100), (MAX_BYTES / 1500 + 77, 1500)] {
            let (got, meter) = overrun(n, length);
            let frames = got.iter().filter(|r| matches!(r.body, Body::Frame(_))).count() as u64;
            assert_eq!(meter.seen(), n as u64 + 1);
            assert!(meter.dropped() > 0);
            assert_eq!(frames + meter.dropped(), meter.seen());
            let gap = got.iter().find_map(|record| match record.body {
                Body::Gap { records, bytes } => Some((records, bytes)),
                _ => None,
            });
            assert_eq!(gap, Some((meter.dropped(), meter.dropped() * length as u64)));
            assert_eq!(got.last().and_then(|record| record.offset), Some(n as u64));
        }
    }

    #[test]
    fn a_stuck_watcher_costs_another_nothing() {
        let mut bus = Bus::default();
        let stuck = bus.watch();
        let mut keen = bus.watch();
        for i in 0..2 * MAX_RECORDS {
            bus.publish(&mut vec![frame(i as u64, 10)]);
            assert_eq!(keen.poll().and_then(|record| record.offset), Some(i as u64));
        }
        assert_eq!(keen.meter().dropped(), 0);
        assert_eq!(stuck.meter().dropped(), MAX_RECORDS as u64);
    }

    #[test]
    fn behind_another_bus_what_that_one_dropped_counts_as_dropped() {
        let mut bus = Bus::default();
        let mut inbox = bus.watch();
        let gap = Body::Gap { records: 40, bytes: 4000 };
        bus.publish(&mut vec![frame(0, 10), Record { body: gap, ..frame(1, 0) }, frame(2, 10)]);
        assert_eq!(std::iter::from_fn(|| inbox.poll()).count(), 3);
        assert_eq!((inbox.meter().seen(), inbox.meter().dropped()), (42, 40));
        assert_eq!(inbox.untold(), None, "the gap has told it");
    }

    #[test]
    fn what_is_dropped_at_the_very_end_can_be_asked_for() {
        let mut bus = Bus::default();
        let mut inbox = bus.watch();
        for i in 0..MAX_RECORDS + 3 {
            bus.publish(&mut vec![frame(i as u64, 10)]);
        }
        assert_eq!(std::iter::from_fn(|| inbox.poll()).count(), MAX_RECORDS);
        let gap = inbox.untold().map(|record| record.body);
        assert_eq!(gap, Some(Body::Gap { records: 3, bytes: 30 }));
        assert_eq!(inbox.untold(), None);
        bus.publish(&mut vec![frame(0, 10)]);
        assert_eq!(inbox.poll(), Some(frame(0, 10)), "what was told is not told again");
    }

    #[test]
    fn a_watcher_from_another_thread_sees_everything_from_the_next_record_on() {
        let mut bus = Bus::default();
        let door = bus.door();
        bus.publish(&mut vec![frame(0, 10)]);
        let inbox = std::thread::spawn(move || door.watch()).join();
        let mut inbox = inbox.expect("no panic");
        bus.publish(&mut vec![frame(1, 10), frame(2, 10)]);
        let seen: Vec<_> = std::iter::from_fn(|| inbox.poll()).filter_map(|r| r.offset).collect();
        assert_eq!(seen, [1, 2]);
    }

    #[test]
    fn a_watcher_that_left_is_forgotten() {
        let mut bus = Bus::default();
        drop(bus.watch());
        bus.publish(&mut vec![frame(0, 10)]);
        assert!(bus.watchers.is_empty());
    }
}
