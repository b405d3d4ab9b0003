//! A capture of the tunnel's own TCP connection, read as what went through the tunnel.
//!
//! Each connection from or to the device's port is followed in both directions: segments are put in
//! order ([`crate::stream`]) and framed, as a tap would have done, with the times of the outer packets. The side
//! that has the port is the device. Connections are counted from 1 by their first appearance; how one begins
//! and ends is told in its place. Records come in the order of their times (`order.rs`). Of packets that are not
//! the tunnel's only the number is kept.

mod leg;
mod order;
mod outer;
mod trial;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::SocketAddr;

use self::leg::{Ending, Frames, Leg};
use self::order::Order;
pub(super) use self::outer::packet;
use self::outer::{Segment, flag};
pub(super) use self::trial::Trial;
use crate::clock::Timestamp;
use crate::framing::Framing;
use crate::record::{Body, Direction, LinkChange, Origin, Record, Span};

/// So many connections are followed at once; the oldest is given up for a new one.
const MAX_CONNECTIONS: usize = 1024;
/// All connections together hold no more bytes behind holes.
const MAX_HELD: usize = 64 * 1024 * 1024;

/// The connections of a capture.
pub(super) struct Tunnel {
    port: u16,
    frames: Frames,
    /// By the device's address and its peer's.
    connections: HashMap<(SocketAddr, SocketAddr), Connection, BuildHasherDefault<Mixer>>,
    /// How many there were so far.
    count: u32,
    held: usize,
    /// How many connections have a direction that is behind.
    behind: usize,
    order: Order,
    /// How many frames came out so far.
    framed: u64,
    passed_over: u64,
    /// The outer packets have no times.
    has_no_times: bool,
}

/// Hashes addresses in a few steps. Somebody might choose addresses that collide, and would gain nothing: there are
/// no more than [`MAX_CONNECTIONS`] to be compared.
#[derive(Default)]
struct Mixer(u64);

impl Mixer {
    fn mix(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(23) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }

    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.mix(u64::from_le_bytes(word));
        }
    }

    fn write_u16(&mut self, number: u16) {
        self.mix(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.mix(number.into());
    }

    fn write_usize(&mut self, number: usize) {
        self.mix(number as u64);
    }
}

struct Connection {
    number: u32,
    /// The names of its ends, for people: `tcp PEER -> DEVICE`.
    name: String,
    to_device: Leg,
    from_device: Leg,
    /// The sequence numbers of the SYNs: to the device, from it.
    opened: [Option<u32>; 2],
    /// Which directions are over: to the device, from it.
    over: [bool; 2],
    has_told_loss: bool,
    is_closed: bool,
    /// It was behind when that was asked last.
    is_behind: bool,
    last: Timestamp,
}

impl Tunnel {
    pub(super) fn new(port: u16, framing: &'static Framing, max_frame: usize) -> Self {
        Tunnel {
            port,
            frames: Frames { framing, max_frame },
            connections: HashMap::default(),
            count: 0,
            held: 0,
            behind: 0,
            order: Order::default(),
            framed: 0,
            passed_over: 0,
            has_no_times: false,
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn passed_over(&self) -> u64 {
        self.passed_over
    }

    /// How many frames came out of it so far.
    pub(super) fn frames(&self) -> u64 {
        self.framed
    }

    /// Takes a packet; appends what it completes.
    pub(super) fn take(&mut self, record: &Record, out: &mut Vec<Record>) {
        let start = out.len();
        let segment = packet(record).and_then(|(link, bytes)| outer::segment(link, bytes));
        let key = segment.as_ref().and_then(|segment| self.key(segment));
        let (Some(segment), Some((key, direction))) = (segment, key) else {
            self.passed_over += 1;
            return;
        };
        self.has_no_times |= record.time.is_none();
        let time = record.time.map_or(Timestamp::default(), |span| span.last);
        let may_begin = segment.flags & flag::SYN != 0 || !segment.data.is_empty();
        let mut known = self.connections.get_mut(&key);
        if segment.flags & flag::SYN != 0
            && known.as_ref().is_some_and(|known| known.is_another(&segment, direction))
        {
            self.forget(key, Ending::Over, "another connection began in its place", out);
            known = None;
        }
        if known.is_none() && may_begin {
            self.begin(key, out);
            known = self.connections.get_mut(&key);
        }
        if let Some(connection) = known {
            let before = connection.held();
            connection.take(time, &segment, direction, out);
            self.held = (self.held + connection.held()).saturating_sub(before);
            if self.held > MAX_HELD {
                self.held = self.held.saturating_sub(connection.held());
                connection.give_up(out);
            }
            self.behind = self.behind.saturating_sub(usize::from(connection.is_behind));
            connection.is_behind = connection.is_behind();
            self.behind += usize::from(connection.is_behind);
        }
        self.put_in_order(time, start, out);
    }

    /// The records from `start` on came at `time`: those that another may have to stand in front of wait.
    fn put_in_order(&mut self, time: Timestamp, start: usize, out: &mut Vec<Record>) {
        if self.behind > 0 && self.order.is_over(time) {
            self.hurry(time, out);
            self.clean(start, out);
            self.order.release(start, out);
        } else {
            self.clean(start, out);
            match self.behind {
                0 => self.order.release(start, out),
                _ => self.order.wait(time, start, out),
            }
        }
    }

    /// Others have waited too long: what is behind for want of more bytes is decided.
    fn hurry(&mut self, time: Timestamp, out: &mut Vec<Record>) {
        self.behind = 0;
        for connection in self.connections.values_mut() {
            if connection.is_behind {
                connection.to_device.idle(time, out);
                connection.from_device.idle(time, out);
                connection.is_behind = connection.is_behind();
            }
            self.behind += usize::from(connection.is_behind);
        }
    }

    /// The capture ends. Whether that is all of it, so that no stream goes on behind its end.
    pub(super) fn finish(&mut self, is_all: bool, out: &mut Vec<Record>) {
        let ending = if is_all { Ending::Over } else { Ending::Unknown };
        let start = out.len();
        let mut rest: Vec<Connection> = self.connections.drain().map(|(_, rest)| rest).collect();
        rest.sort_by_key(|connection| connection.number);
        for mut connection in rest {
            connection.end(ending, out);
        }
        self.behind = 0;
        self.clean(start, out);
        self.order.release(start, out);
    }

    /// Which connection a segment is of, and which way it went.
    fn key(&self, segment: &Segment) -> Option<((SocketAddr, SocketAddr), Direction)> {
        let to = ((segment.destination, segment.source), Direction::ToDevice);
        let from = ((segment.source, segment.destination), Direction::FromDevice);
        let is = |address: SocketAddr| address.port() == self.port;
        match (is(segment.destination), is(segment.source)) {
            (true, false) => Some(to),
            (false, true) => Some(from),
            // Both ends have the port: the one that was spoken to first is the device.
            (true, true) if self.connections.contains_key(&from.0) => Some(from),
            (true, true) => Some(to),
            (false, false) => None,
        }
    }

    fn begin(&mut self, key: (SocketAddr, SocketAddr), out: &mut Vec<Record>) {
        if self.connections.len() >= MAX_CONNECTIONS {
            let oldest = self.connections.iter().min_by_key(|(_, c)| (!c.is_closed, c.number));
            if let Some(oldest) = oldest.map(|(key, _)| *key) {
                let why = "too many connections at once to follow it further";
                self.forget(oldest, Ending::Unknown, why, out);
            }
        }
        self.count = self.count.saturating_add(1);
        let (device, peer) = key;
        let name = format!("tcp {peer} -> {device}");
        self.connections.insert(key, Connection::new(self.count, name, self.frames));
    }

    fn forget(
        &mut self,
        key: (SocketAddr, SocketAddr),
        ending: Ending,
        why: &str,
        out: &mut Vec<Record>,
    ) {
        let Some(mut connection) = self.connections.remove(&key) else { return };
        self.behind = self.behind.saturating_sub(usize::from(connection.is_behind));
        self.held = self.held.saturating_sub(connection.held());
        if !connection.is_closed {
            connection.end(ending, out);
            connection.lost(connection.last, Direction::Unknown, why, out);
        }
    }

    /// Counts what came out. Times that nobody knows are left out.
    fn clean(&mut self, start: usize, out: &mut [Record]) {
        let is_frame = |record: &&Record| matches!(record.body, Body::Frame(_));
        self.framed += out.iter().skip(start).filter(is_frame).count() as u64;
        if self.has_no_times {
            out.iter_mut().skip(start).for_each(|record| record.time = None);
        }
    }
}

impl Connection {
    fn new(number: u32, name: String, frames: Frames) -> Self {
        let leg = |direction| Leg::new(frames, Origin { tap: 0, connection: number, direction });
        Connection {
            number,
            name,
            to_device: leg(Direction::ToDevice),
            from_device: leg(Direction::FromDevice),
            opened: [None; 2],
            over: [false; 2],
            has_told_loss: false,
            is_closed: false,
            is_behind: false,
            last: Timestamp::default(),
        }
    }

    fn held(&self) -> usize {
        self.to_device.assembly.held() + self.from_device.assembly.held()
    }

    /// Whether bytes have come that are in no record yet, although no byte of it may be missing.
    fn is_behind(&self) -> bool {
        !self.is_closed && (self.to_device.is_behind() || self.from_device.is_behind())
    }

    /// The leg of a direction, the other one, and the number of the direction.
    fn legs(&mut self, direction: Direction) -> (&mut Leg, &mut Leg, usize) {
        match direction {
            Direction::FromDevice => (&mut self.from_device, &mut self.to_device, 1),
            Direction::ToDevice | Direction::Unknown => {
                (&mut self.to_device, &mut self.from_device, 0)
            }
        }
    }

    /// Whether a segment begins another connection between the same ends.
    fn is_another(&self, segment: &Segment, direction: Direction) -> bool {
        let is_first = segment.flags & (flag::SYN | flag::ACK) == flag::SYN;
        let [to_device, from_device] = self.opened;
        let (known, other) = match direction {
            Direction::FromDevice => (from_device, to_device),
            Direction::ToDevice | Direction::Unknown => (to_device, from_device),
        };
        // The answer to the SYN may be captured in front of it.
        is_first && known.map_or(other.is_none(), |sequence| sequence != segment.sequence)
    }

    fn take(
        &mut self,
        time: Timestamp,
        segment: &Segment,
        direction: Direction,
        out: &mut Vec<Record>,
    ) {
        self.last = time;
        if self.is_closed {
            return;
        }
        if segment.flags & flag::RST != 0 {
            self.end(Ending::Over, out);
            self.lost(time, direction, &format!("reset by {}", side(direction)), out);
            self.close();
            return;
        }
        if segment.flags & flag::SYN != 0 {
            self.open(time, segment, direction, out);
        }
        let has_syn = u32::from(segment.flags & flag::SYN != 0);
        let sequence = segment.sequence.wrapping_add(has_syn);
        let is_last = segment.flags & flag::FIN != 0 && !segment.is_cut;
        let (leg, other, number) = self.legs(direction);
        let is_over = leg.advance(
            |assembly, pieces| assembly.push(time, sequence, &segment.data, is_last, pieces),
            out,
        );
        let mut ended = [(direction, number, is_over), (opposite(direction), 1 - number, false)];
        if segment.flags & flag::ACK != 0 {
            let acknowledgment = segment.acknowledgment;
            let step = |assembly: &mut crate::stream::Assembly, pieces: &mut Vec<_>| {
                assembly.acknowledge(acknowledgment, pieces);
            };
            ended[1].2 = other.advance(step, out);
        }
        for (direction, number, is_over) in ended {
            if is_over {
                self.over[number] = true;
                self.lost(time, direction, &format!("closed by {}", side(direction)), out);
            }
        }
        if self.over == [true; 2] {
            self.close();
        }
    }

    fn open(
        &mut self,
        time: Timestamp,
        segment: &Segment,
        direction: Direction,
        out: &mut Vec<Record>,
    ) {
        let is_answer = segment.flags & flag::ACK != 0;
        let (leg, _, number) = self.legs(direction);
        leg.assembly.open(segment.sequence);
        let is_first = self.opened[number].replace(segment.sequence).is_none();
        if is_first && !is_answer {
            let change = LinkChange::Connected(self.name.clone());
            out.push(self.link_record(time, Direction::Unknown, change));
        }
    }

    /// The other side is gone; told once.
    fn lost(&mut self, time: Timestamp, direction: Direction, how: &str, out: &mut Vec<Record>) {
        if !std::mem::replace(&mut self.has_told_loss, true) {
            let change = LinkChange::Lost(format!("{}: {how}", self.name));
            out.push(self.link_record(time, direction, change));
        }
    }

    fn link_record(&self, time: Timestamp, direction: Direction, change: LinkChange) -> Record {
        Record {
            time: Some(Span::at(time)),
            origin: Origin { tap: 0, connection: self.number, direction },
            offset: None,
            body: Body::Link(change),
        }
    }

    /// What is held behind holes comes out, and the holes are told.
    fn give_up(&mut self, out: &mut Vec<Record>) {
        self.to_device.advance(|assembly, pieces| assembly.give_up(pieces), out);
        self.from_device.advance(|assembly, pieces| assembly.give_up(pieces), out);
    }

    /// Nothing more comes: everything that is left comes out.
    fn end(&mut self, ending: Ending, out: &mut Vec<Record>) {
        if self.is_closed {
            return;
        }
        self.give_up(out);
        self.to_device.finish(ending, out);
        self.from_device.finish(ending, out);
    }

    /// Keeps no more of it than that it was: late segments may still come.
    fn close(&mut self) {
        self.is_closed = true;
        self.to_device.assembly = Default::default();
        self.from_device.assembly = Default::default();
    }
}

fn opposite(direction: Direction) -> Direction {
    match direction {
        Direction::ToDevice => Direction::FromDevice,
        Direction::FromDevice => Direction::ToDevice,
        Direction::Unknown => Direction::Unknown,
    }
}

fn side(direction: Direction) -> &'static str {
    match direction {
        Direction::ToDevice => "the host",
        Direction::FromDevice => "the device",
        Direction::Unknown => "one side",
    }
}

#[cfg(test)]
mod tests;
