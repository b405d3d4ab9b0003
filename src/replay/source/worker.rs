//! The reading end of the queue.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{Item, Job, Parcel, QUEUE, What, Why};
use crate::capture::read::Reader;
use crate::dissect::Dissector;
use crate::dissect::filter::Seen;
use crate::error::Result;
use crate::framing::{Carries, ip};
use crate::record::{Body, Direction, LinkType, Packet, Record};
use crate::replay::conversation::Side;
use crate::replay::limits::Limits;
use crate::replay::link;
use crate::replay::offload::{self, Fault};
use crate::replay::rewrite::Rewriter;
use crate::stop::Stop;

/// Frames that go through the queue together, at most.
const TOGETHER: usize = 256;
/// Bytes that do.
const TOGETHER_BYTES: usize = 256 * 1024;

/// Frames in front of the first one that are asked whose answers come behind it.
const LOOKED_BACK: u64 = 100_000;

/// Nobody takes what is read any more.
struct Deserted;

/// Reads, rewrites and sorts.
pub(super) struct Worker {
    job: Job,
    length: Option<u64>,
    rewriter: Rewriter,
    found: Rewriter,
    /// What was the matter with the checksum of the frame at hand.
    fault: Option<Fault>,
    /// What stands in front of the first frame.
    limits: Limits,
    dissector: Dissector,
    items: Vec<Item>,
    bytes: usize,
    number: u64,
    round: u64,
    /// This round had something to send.
    has_ours: bool,
    /// Bytes of the file, about.
    read: u64,
    sender: mpsc::Sender<Parcel>,
}

impl Worker {
    /// One that sends what it reads to `sender`.
    pub(super) fn new(job: Job, sender: mpsc::Sender<Parcel>) -> Worker {
        let length = std::fs::metadata(&job.path).ok().filter(|file| file.is_file());
        Worker {
            length: length.map(|file| file.len()),
            rewriter: Rewriter::new(job.rules.clone()),
            found: Rewriter::new(job.found.clone()),
            fault: None,
            limits: Limits::default(),
            dissector: Dissector::default(),
            items: Vec::new(),
            bytes: 0,
            number: 0,
            round: 0,
            has_ours: false,
            read: 0,
            sender,
            job,
        }
    }

    /// Reads everything, as often as it is wanted.
    pub(super) fn run(mut self, mut reader: Reader) {
        loop {
            match self.read(&mut reader) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    let _ = self.flush();
                    let _ = self.sender.blocking_send(Parcel::Failed(error)); // or nobody asks
                    return;
                }
                Err(Deserted) => return,
            }
            let is_whole = self.round > 0 || self.job.from_frame <= 1;
            self.round += 1;
            if self.round >= self.job.rounds || is_whole && !self.has_ours {
                // What has nothing to send will not have it later.
                let stop = self.job.reading.stop.as_ref();
                if !stop.is_some_and(Stop::is_stopped) {
                    let _ = self.sender.blocking_send(Parcel::End); // or nobody asks
                }
                return;
            }
            self.has_ours = false;
            self.number = 0;
            self.read = 0;
            match Reader::open(&self.job.path, &self.job.reading) {
                Ok(again) => reader = again,
                Err(error) => {
                    let _ = self.sender.blocking_send(Parcel::Failed(error));
                    return;
                }
            }
            self.items.push(Item { number: 0, at: None, what: What::Again });
        }
    }

    /// Reads the file to its end.
    fn read(&mut self, reader: &mut Reader) -> Result<Result<()>, Deserted> {
        loop {
            match reader.read() {
                Ok(Some(record)) => {
                    self.take(record);
                    // A pipe may have nothing more for a long time.
                    let is_hungry = self.length.is_none() && self.sender.capacity() == QUEUE;
                    if self.items.len() >= TOGETHER || self.bytes >= TOGETHER_BYTES || is_hungry {
                        self.flush()?;
                    }
                }
                end => {
                    self.flush()?;
                    let damage = reader.damage();
                    if !damage.is_empty() && self.round == 0 {
                        self.sender.blocking_send(Parcel::Damage(damage)).map_err(|_| Deserted)?;
                    }
                    return Ok(end.map(|_| ()));
                }
            }
        }
    }

    fn flush(&mut self) -> Result<(), Deserted> {
        let share = self.length.map_or(0.0, |length| {
            let share = (self.read as f64 / length.max(1) as f64).min(1.0);
            (self.round as f64 + share) / self.job.rounds as f64
        });
        let room = if self.items.len() < TOGETHER { 0 } else { TOGETHER };
        let items = std::mem::replace(&mut self.items, Vec::with_capacity(room));
        self.bytes = 0;
        match items.is_empty() {
            true => Ok(()),
            false => {
                self.sender.blocking_send(Parcel::Items { items, share }).map_err(|_| Deserted)
            }
        }
    }

    fn take(&mut self, record: Record) {
        if self.job.connection.is_some_and(|number| number != record.origin.connection) {
            self.number += u64::from(matches!(record.body, Body::Frame(_) | Body::Packet(_)));
            return;
        }
        let at = record.time.map(|span| span.last);
        let direction = record.origin.direction;
        let what = match record.body {
            Body::Frame(bytes) => {
                let length = bytes.len();
                self.frame(LinkType::ETHERNET, bytes, length, direction)
            }
            Body::Packet(Packet { link, bytes, length }) => {
                self.frame(link, bytes, length as usize, direction)
            }
            Body::FramingError(error) if error.is_new() && direction == self.job.sent => {
                Some(What::Unfit(Why::FramingError, 1))
            }
            Body::Gap { records, .. } if direction != other(self.job.sent) => {
                Some(What::Unfit(Why::Gap, records.max(1)))
            }
            Body::Gap { records, .. } if self.job.with_answers => {
                Some(What::Lacking(records.max(1)))
            }
            _ => None,
        };
        let what = what.filter(|what| !self.is_passed_over(what));
        if let Some(what) = what {
            if let What::Frame(side, frame) = &what {
                self.bytes += frame.len();
                let is_ours = *side == Side::Ours;
                self.has_ours |= is_ours;
                if let Some(fault) = self.fault.filter(|_| is_ours) {
                    let Worker { number, .. } = *self;
                    self.items.push(Item { number, at, what: What::Checksum(fault) });
                }
            }
            self.items.push(Item { number: self.number, at, what });
        }
    }

    /// Whether something is in front of what is wanted, or answers what is.
    fn is_passed_over(&mut self, what: &What) -> bool {
        let is_skipped = self.is_skipped();
        // Only a first round that does not begin with the first frame has something in front.
        if !self.job.with_answers || self.round > 0 || self.job.from_frame <= 1 {
            return is_skipped;
        }
        match what {
            What::Frame(side, frame) if is_skipped => self.limits.pass(*side, frame),
            What::Frame(Side::Ours, frame) if self.limits.has_passed() => self.limits.sent(frame),
            What::Frame(Side::Theirs, frame) | What::Part(frame) => {
                return is_skipped || self.limits.answers_passed(frame);
            }
            _ => {}
        }
        is_skipped
    }

    /// Whether the frame stands in front of the one with which to begin.
    fn is_skipped(&self) -> bool {
        self.round == 0 && self.number < self.job.from_frame
    }

    fn frame(
        &mut self,
        link: LinkType,
        bytes: Bytes,
        length: usize,
        known: Direction,
    ) -> Option<What> {
        self.number += 1;
        self.read += bytes.len() as u64 + 16; // with the header that a pcap file has for each
        let is_far = !self.job.with_answers || self.number + LOOKED_BACK < self.job.from_frame;
        if self.is_skipped() && is_far && self.job.filter.is_none() {
            return None;
        }
        let (bytes, fault) = match bytes.len() < length {
            true => (bytes, None),
            false => offload::filled(link, &bytes),
        };
        self.fault = fault;
        let filtered = self.rewriter.frame(link, &bytes, length);
        let bytes = self.found.frame(link, &filtered, length);
        let direction = match known {
            Direction::Unknown => link::direction(link, &bytes, &self.job.ends),
            known => known,
        };
        let is_ours = direction == self.job.sent || direction == Direction::Unknown;
        // The filter sees every frame: what it finds may depend on earlier ones.
        let is_wanted = self.is_wanted(link, &filtered, length, direction);
        if !is_wanted || !(is_ours || self.job.with_answers) {
            return None;
        }
        let is_cut = bytes.len() < length;
        let fit = match bytes.len() {
            0 => Err(Why::Empty),
            _ if is_cut && is_ours => Err(Why::Cut),
            _ => link::frame(link, &bytes, &self.job.ends, direction),
        };
        match fit {
            Ok(frame) if is_ours => Some(match self.refusal(&frame) {
                Some(why) => What::Unfit(why, 1),
                None => What::Frame(Side::Ours, frame),
            }),
            Ok(frame) if is_cut => Some(What::Part(frame)),
            Ok(frame) => Some(What::Frame(Side::Theirs, frame)),
            Err(why) if is_ours => Some(What::Unfit(why, 1)),
            Err(_) => Some(What::Lacking(1)),
        }
    }

    /// Why the line cannot carry a frame.
    fn refusal(&self, frame: &[u8]) -> Option<Why> {
        let has_none = || ip::packet(frame).is_none_or(<[u8]>::is_empty);
        match self.job.carries {
            _ if frame.len() > self.job.max_frame => Some(Why::TooLong),
            Carries::Ip if has_none() => Some(Why::NoIp),
            Carries::Ip | Carries::Ethernet => None,
        }
    }

    fn is_wanted(
        &mut self,
        link: LinkType,
        frame: &Bytes,
        length: usize,
        direction: Direction,
    ) -> bool {
        let Some(filter) = &self.job.filter else { return true };
        let seen = Seen { frame, length, direction, link };
        let dissector = &mut self.dissector;
        // What a filter finds must not depend on which frames it looked into: each is dissected or none.
        if filter.needs_layers() {
            let stack = dissector.dissect_as(link, frame, length);
            return filter.matches(&seen, || stack);
        }
        filter.matches(&seen, || dissector.dissect_as(link, frame, length))
    }
}

fn other(direction: Direction) -> Direction {
    match direction {
        Direction::ToDevice => Direction::FromDevice,
        Direction::FromDevice => Direction::ToDevice,
        Direction::Unknown => Direction::Unknown,
    }
}
