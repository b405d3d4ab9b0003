//! The frames of a capture, read ahead on a thread of its own.
//!
//! What is read waits in a queue of bounded length: a capture of any size needs the same memory, and a slow disk
//! delays nobody until the queue is empty. Frames come as Ethernet frames, rewritten, with the side that had sent
//! them; what cannot be sent comes as what it is, so that it is counted in its place.

#[cfg(test)]
mod tests;
mod worker;

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::thread;

use bytes::Bytes;
use pnet::util::MacAddr;
use tokio::sync::mpsc;

use self::worker::Worker;
use super::conversation::Side;
use super::offload::Fault;
use super::rewrite::Rules;
use crate::capture::read::{Damage, Reader, Reading};
use crate::clock::Timestamp;
use crate::craft::text::link_local;
use crate::dissect::filter::Filter;
use crate::error::Result;
use crate::framing::Carries;
use crate::record::{Direction, LinkType};

/// So many parcels of frames wait.
const QUEUE: usize = 4;

/// Who has an address pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// The IPv4 address.
    pub ip: Ipv4Addr,
    /// IPv6 addresses that are known.
    pub ip6: [Option<Ipv6Addr>; 2],
    /// The Ethernet address.
    pub mac: MacAddr,
}

impl End {
    /// One without known IPv6 addresses.
    pub fn new(ip: Ipv4Addr, mac: MacAddr) -> End {
        End { ip, ip6: [None; 2], mac }
    }

    /// Whether that is the IPv4 address of this end.
    pub fn is(&self, party: super::cast::Party) -> bool {
        party.ip == IpAddr::from(self.ip)
    }

    /// Whether that is an address of this end; IPv6 ones may be made of the Ethernet address (RFC 4291 appendix A).
    pub(super) fn has(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(ip) => ip == self.ip,
            IpAddr::V6(ip) => {
                let made = link_local(self.mac);
                self.ip6.contains(&Some(ip)) || ip.octets()[8..] == made.octets()[8..]
            }
        }
    }
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
        let end = |n| End::new(Ipv4Addr::new(192, 168, 100, n), MacAddr(2, 0, 0, 0, 0, n));
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
    /// The first frame that is wanted, counted from 1; later rounds begin at the beginning.
    pub from_frame: u64,
    /// How often the file is read.
    pub rounds: u64,
    /// Who is who.
    pub ends: Ends,
    /// Only this connection of a capture of the tunnel.
    pub connection: Option<u32>,
    /// What is rewritten.
    pub rules: Rules,
    /// The same, of what the filter has let through.
    pub found: Rules,
    /// The longest frame that can be sent, in bytes.
    pub max_frame: usize,
    /// What the line carries.
    pub carries: Carries,
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
    /// The line carries IP packets alone, and it has none.
    NoIp,
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
    /// The beginning of a frame of the other side: the capture has no more of it.
    Part(Bytes),
    /// The next frame of ours has a checksum with which something is the matter.
    Checksum(Fault),
    /// So many frames of the other side are not there.
    Lacking(u64),
    /// So much of it cannot be sent.
    Unfit(Why, u64),
    /// The capture begins again.
    Again,
}

/// What comes through the queue.
#[derive(Debug)]
enum Parcel {
    Items {
        items: Vec<Item>,
        share: f64,
    },
    Damage(Vec<Damage>),
    /// Everything was read, as often as it was wanted.
    End,
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
    /// Whether its end was read, and not only the word to stop heard.
    has_ended: bool,
}

/// Begins to read. An error is that the file cannot be opened, or is nothing that is known.
pub fn start(job: Job) -> Result<(Source, String)> {
    let reader = Reader::open(&job.path, &job.reading)?;
    let what = format!("{}, {}", reader.name(), reader.describe());
    let (sender, queue) = mpsc::channel(QUEUE);
    let worker = Worker::new(job, sender);
    thread::spawn(move || worker.run(reader));
    Ok((Source::new(queue), what))
}

impl Source {
    fn new(queue: mpsc::Receiver<Parcel>) -> Source {
        Source {
            queue,
            items: VecDeque::new(),
            share: 0.0,
            damage: Vec::new(),
            is_damaged: false,
            has_ended: false,
        }
    }

    /// One that has everything already.
    pub fn of(items: Vec<Item>) -> Source {
        let (_, queue) = mpsc::channel(1);
        Source { items: items.into(), has_ended: true, ..Source::new(queue) }
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
            Parcel::End => self.has_ended = true,
            Parcel::Failed(error) => return Err(error),
        }
        Ok(())
    }

    /// Whether there is nothing more to send, as far as that is known now. What is left is gone then.
    pub fn is_at_end(&mut self) -> bool {
        while let Ok(parcel) = self.queue.try_recv() {
            if self.open(parcel).is_err() {
                return false;
            }
        }
        let is_left = |item: &Item| matches!(item.what, What::Frame(Side::Ours, _) | What::Again);
        self.has_ended && !self.items.iter().any(is_left)
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
