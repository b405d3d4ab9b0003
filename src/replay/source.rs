//! The frames of a capture, read ahead on a thread of its own.
//!
//! What is read waits in a queue of bounded length: a capture of any size needs the same memory, and a slow disk
//! delays nobody until the queue is empty. Frames come as Ethernet frames, rewritten, with the side that had sent
//! them; what cannot be sent comes as what it is, so that it is counted in its place.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::thread;

use bytes::Bytes;
use pnet::util::MacAddr;
use tokio::sync::mpsc;

use super::conversation::Side;
use super::link;
use super::rewrite::{Rewriter, Rules};
use crate::capture::read::{Damage, Reader, Reading};
use crate::clock::Timestamp;
use crate::dissect::Dissector;
use crate::dissect::filter::{Filter, Seen};
use crate::error::Result;
use crate::record::{Body, Direction, LinkType, Packet, Record};

/// Frames that go through the queue together, at most.
const TOGETHER: usize = 256;
/// Bytes that do.
const TOGETHER_BYTES: usize = 256 * 1024;
/// So many such parcels wait.
const QUEUE: usize = 4;

/// Who has an address pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// The IPv4 address.
    pub ip: Ipv4Addr,
    /// The Ethernet address.
    pub mac: MacAddr,
}

/// Both ends of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The host.
    pub host: End,
    /// The device.
    pub device: End,
}

impl Default for Ends {
    /// The addresses of the ESP32 tunnel.
    fn default() -> Self {
        let end = |n| End { ip: Ipv4Addr::new(192, 168, 100, n), mac: MacAddr(2, 0, 0, 0, 0, n) };
        Ends { host: end(1), device: end(2) }
    }
}

/// What is to be read, and what of it is wanted.
#[derive(Debug)]
pub struct Job {
    /// The file; `-` is stdin.
    pub path: PathBuf,
    /// How.
    pub reading: Reading,
    /// Only these frames.
    pub filter: Option<Filter>,
    /// The direction of the frames that are sent.
    pub sent: Direction,
    /// Whether the other side's frames are wanted, too.
    pub with_answers: bool,
    /// The first frame that is wanted, counted from 1.
    pub from_frame: u64,
    /// How often the file is read.
    pub rounds: u64,
    /// Who is who.
    pub ends: Ends,
    /// What is rewritten.
    pub rules: Rules,
    /// The longest frame that can be sent, in bytes.
    pub max_frame: usize,
}

/// Why something cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// It is longer than the line carries.
    TooLong,
    /// The capture kept only its beginning.
    Cut,
    /// It begins with something of which no Ethernet frame can be made.
    Link(LinkType),
    /// Behind its header there is no packet.
    NoPacket,
    /// It has no bytes.
    Empty,
    /// Bytes of the line that make no frame.
    FramingError,
    /// Frames that the capture lacks.
    Gap,
}

/// Something of the capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Which frame of the capture it is, counted from 1; what is no frame has the number of the one in front.
    pub number: u64,
    /// When it was seen.
    pub at: Option<Timestamp>,
    /// What.
    pub what: What,
}

/// What there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A frame of one of the sides.
    Frame(Side, Bytes),
    /// So much of it cannot be sent.
    Unfit(Why, u64),
    /// The capture begins again.
    Again,
}

/// What comes through the queue.
#[derive(Debug)]
enum Parcel {
    Items { items: Vec<Item>, share: f64 },
    Damage(Vec<Damage>),
    Failed(crate::error::Error),
}

/// The end of the queue from which frames are taken.
#[derive(Debug)]
pub struct Source {
    queue: mpsc::Receiver<Parcel>,
    items: VecDeque<Item>,
    share: f64,
    damage: Vec<Damage>,
    /// Whether anything was wrong with the file.
    pub is_damaged: bool,
}

/// Begins to read. An error is that the file cannot be opened, or is nothing that is known.
pub fn start(job: Job) -> Result<(Source, String)> {
    let reader = Reader::open(&job.path, &job.reading)?;
    let what = format!("{}, {}", reader.name(), reader.describe());
    let (sender, queue) = mpsc::channel(QUEUE);
    let length = std::fs::metadata(&job.path).ok().filter(|file| file.is_file());
    let worker = Worker {
        length: length.map(|file| file.len()),
        rewriter: Rewriter::new(job.rules.clone()),
        dissector: Dissector::default(),
        items: Vec::new(),
        bytes: 0,
        number: 0,
        round: 0,
        read: 0,
        sender,
        job,
    };
    thread::spawn(move || worker.run(reader));
    Ok((Source::new(queue), what))
}

impl Source {
    fn new(queue: mpsc::Receiver<Parcel>) -> Source {
        Source { queue, items: VecDeque::new(), share: 0.0, damage: Vec::new(), is_damaged: false }
    }

    /// One that has everything already.
    pub fn of(items: Vec<Item>) -> Source {
        let (_, queue) = mpsc::channel(1);
        Source { items: items.into(), ..Source::new(queue) }
    }

    /// The next item, waiting for it; `None` at the end. Cancelling it loses nothing.
    pub async fn next(&mut self) -> Result<Option<Item>> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return Ok(Some(item));
            }
            match self.queue.recv().await {
                None => return Ok(None),
                Some(parcel) => self.open(parcel)?,
            }
        }
    }

    /// The next item, if it is here already.
    pub fn poll(&mut self) -> Option<Item> {
        self.items.pop_front()
    }

    /// Puts an item back in front of the others.
    pub fn put_back(&mut self, item: Item) {
        self.items.push_front(item);
    }

    fn open(&mut self, parcel: Parcel) -> Result<()> {
        match parcel {
            Parcel::Items { items, share } => {
                self.items.extend(items);
                self.share = share;
            }
            Parcel::Damage(damage) => {
                self.is_damaged = true;
                self.damage.extend(damage);
            }
            Parcel::Failed(error) => return Err(error),
        }
        Ok(())
    }

    /// What was found to be wrong with the file since this was asked last.
    pub fn damage(&mut self) -> Vec<Damage> {
        std::mem::take(&mut self.damage)
    }

    /// About how much of everything was read, from 0 to 1; 0 where that cannot be told.
    pub fn share(&self) -> f64 {
        self.share
    }
}

/// Nobody takes what is read any more.
struct Deserted;

struct Worker {
    job: Job,
    length: Option<u64>,
    rewriter: Rewriter,
    dissector: Dissector,
    items: Vec<Item>,
    bytes: usize,
    number: u64,
    round: u64,
    /// Bytes of the file, about.
    read: u64,
    sender: mpsc::Sender<Parcel>,
}

impl Worker {
    fn run(mut self, mut reader: Reader) {
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
            self.round += 1;
            if self.round >= self.job.rounds {
                return;
            }
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
            _ => None,
        };
        if let Some(what) = what.filter(|_| self.number >= self.job.from_frame) {
            if let What::Frame(_, frame) = &what {
                self.bytes += frame.len();
            }
            self.items.push(Item { number: self.number, at, what });
        }
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
        if self.number < self.job.from_frame {
            return None;
        }
        let bytes = self.rewriter.frame(link, &bytes, length);
        let direction = match known {
            Direction::Unknown => link::direction(link, &bytes, &self.job.ends),
            known => known,
        };
        let is_ours = direction == self.job.sent || direction == Direction::Unknown;
        if !(is_ours || self.job.with_answers) || !self.is_wanted(link, &bytes, length, direction) {
            return None;
        }
        let fit = match bytes.len() {
            0 => Err(Why::Empty),
            kept if kept < length => Err(Why::Cut),
            _ => link::frame(link, &bytes, &self.job.ends, direction),
        };
        match fit {
            Ok(frame) if is_ours && frame.len() > self.job.max_frame => {
                Some(What::Unfit(Why::TooLong, 1))
            }
            Ok(frame) if is_ours => Some(What::Frame(Side::Ours, frame)),
            Ok(frame) => Some(What::Frame(Side::Theirs, frame)),
            Err(why) => is_ours.then_some(What::Unfit(why, 1)),
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
