//! One connection: what each end owes the other.
//!
//! Of our segments those without an acknowledgment are kept, of the device's only how far they reach and
//! whether there is a hole. Numbers wrap around (RFC 9293 section 3.4).

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;

use super::{Judgement, Line, Reason, Stall, Standing};
use crate::clock::Timestamp;
use crate::dissect::Dissector;
use crate::dissect::render::line::summary;
use crate::proto::tcp::{self, Relation};
use crate::proto::{Stack, be16, be32, ip, line};

/// Segments of ours that wait for an acknowledgment and are remembered.
const SEGMENTS: usize = 64;
/// Packets that are kept to be shown.
const PACKETS: usize = 6;

/// The ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) host: IpAddr,
    pub(super) port: u16,
    pub(super) device: IpAddr,
    pub(super) device_port: u16,
}

/// What matters of a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) ends: Ends,
    is_ours: bool,
    relation: Relation,
    time: Timestamp,
    seq: u32,
    /// Behind its last byte; SYN and FIN count as one.
    end: u32,
    ack: Option<u32>,
    flags: u8,
    window: u16,
}

impl Seen {
    /// The segment in a frame, if there is one.
    pub(super) fn of(
        stack: &Stack<'_>,
        is_ours: bool,
        relation: Relation,
        time: Timestamp,
    ) -> Option<Seen> {
        let n = stack.find(&tcp::TCP)?;
        let header = stack.header(n);
        let (from, to) = ip::addresses(stack, n)?.both();
        let (source, destination) = ip::ports(stack, n)?;
        let ends = match is_ours {
            true => Ends { host: from, port: source, device: to, device_port: destination },
            false => Ends { host: to, port: destination, device: from, device_port: source },
        };
        let (seq, flags) = (be32(header, 4)?, *header.get(13)?);
        let counted = [tcp::SYN, tcp::FIN].map(|flag| u32::from(flags & flag != 0));
        let length = (stack.payload_length(n) as u32).wrapping_add(counted[0] + counted[1]);
        Some(Seen {
            ends,
            is_ours,
            relation,
            time,
            seq,
            end: seq.wrapping_add(length),
            ack: Some(be32(header, 8)?).filter(|_| flags & tcp::ACK != 0),
            flags,
            window: be16(header, 14)?,
        })
    }

    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// A segment of ours.
#[derive(Clone, Copy, Debug)]
struct Sent {
    from: u32,
    to: u32,
    times: u32,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) ends: Ends,
    /// When anything was seen of it.
    pub(super) last: Timestamp,
    /// When it moved.
    pub(super) progress: Timestamp,
    standing: Standing,
    longest: Option<Stall>,
    /// What our numbers and the device's are relative to.
    bases: (u32, u32),
    syns: u32,
    unacknowledged: VecDeque<Sent>,
    /// The device's acknowledgment and window.
    heard: Option<(u32, u16)>,
    /// Ours.
    told: Option<(u32, u16)>,
    /// Behind the furthest byte of the device.
    furthest: Option<u32>,
    /// Where a segment of the device begins that came before its turn.
    early: Option<u32>,
    /// The device has sent data since the request began.
    is_answered: bool,
    packets: VecDeque<(Timestamp, bool, Bytes, Relation)>,
}

/// Whether `a` comes before `b` in a space that wraps around.
fn is_before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

impl Connection {
    /// A connection seen for the first time; the request may have stood still before.
    pub(super) fn new(ends: Ends, now: Timestamp, stall: Option<Stall>) -> Connection {
        Connection {
            ends,
            last: now,
            progress: now,
            standing: Standing::Asked,
            longest: stall,
            bases: (0, 0),
            syns: 0,
            unacknowledged: VecDeque::new(),
            heard: None,
            told: None,
            furthest: None,
            early: None,
            is_answered: false,
            packets: VecDeque::new(),
        }
    }

    /// Another request begins on it.
    pub(super) fn begin(&mut self, now: Timestamp) {
        self.progress = now;
        self.longest = None;
        self.is_answered = false;
        self.packets.clear();
    }

    /// A segment; `line` and `limit` are for judging the time before it.
    pub(super) fn observe(&mut self, seen: &Seen, frame: &Bytes, line: &Line, limit: Duration) {
        let is_new = seen.is_ours
            && seen.has(tcp::SYN)
            && !matches!(self.standing, Standing::Asked | Standing::Unknown);
        if is_new {
            *self = Connection::new(self.ends, seen.time, None); // its port is used again
        }
        if self.moves(seen) {
            if let Some(stall) = self.stall(line, limit, seen.time) {
                self.keep(stall);
            }
            self.progress = seen.time;
        }
        self.last = seen.time;
        if let Some((own, other)) = seen.relation.bases {
            self.bases = if seen.is_ours { (own, other) } else { (other, own) };
        }
        if seen.is_ours {
            self.say(seen)
        } else {
            self.hear(seen)
        }
        if self.packets.len() >= PACKETS {
            self.packets.pop_front();
        }
        self.packets.push_back((seen.time, seen.is_ours, frame.clone(), seen.relation));
    }

    fn keep(&mut self, stall: Stall) {
        if self.longest.as_ref().is_none_or(|longest| longest.length < stall.length) {
            self.longest = Some(stall);
        }
    }

    /// Whether the connection gets further with this segment.
    fn moves(&self, seen: &Seen) -> bool {
        if seen.is_ours {
            let told = self.told.map(|(ack, _)| ack);
            return seen.ack.is_some_and(|ack| told.is_some_and(|told| is_before(told, ack)));
        }
        let Some((ack, window)) = self.heard else { return true };
        let acknowledges = seen.ack.is_some_and(|new| is_before(ack, new));
        let sends = self.furthest.is_none_or(|furthest| is_before(furthest, seen.end));
        acknowledges || sends || (window == 0 && seen.window > 0) || seen.has(tcp::RST)
    }

    /// A segment of ours.
    fn say(&mut self, seen: &Seen) {
        if seen.has(tcp::SYN) {
            self.syns = self.syns.saturating_add(1);
            self.bases.0 = seen.seq;
            return;
        }
        if let Some(ack) = seen.ack {
            self.told = Some((ack, seen.window));
            if self.early.is_some_and(|early| !is_before(ack, early)) {
                self.early = None;
            }
        }
        if seen.end == seen.seq || seen.has(tcp::RST) {
            return;
        }
        let has_room = self.unacknowledged.len() < SEGMENTS;
        match self.unacknowledged.iter_mut().find(|sent| sent.from == seen.seq) {
            Some(sent) => {
                sent.times = sent.times.saturating_add(1);
                if is_before(sent.to, seen.end) {
                    sent.to = seen.end;
                }
            }
            None if has_room => {
                let sent = Sent { from: seen.seq, to: seen.end, times: 1 };
                self.unacknowledged.push_back(sent);
            }
            None => {}
        }
    }

    /// A segment of the device.
    fn hear(&mut self, seen: &Seen) {
        if seen.has(tcp::RST) {
            let is_refusal = matches!(self.standing, Standing::Asked | Standing::Unknown);
            self.standing = if is_refusal { Standing::Refused } else { Standing::Reset };
            return;
        }
        if matches!(self.standing, Standing::Asked | Standing::Unknown) {
            self.standing = Standing::Open;
        }
        if let Some(ack) = seen.ack {
            let ack =
                self.heard.map_or(ack, |(old, _)| if is_before(old, ack) { ack } else { old });
            self.heard = Some((ack, seen.window));
            self.unacknowledged.retain(|sent| is_before(ack, sent.to));
        }
        if seen.has(tcp::SYN) {
            self.bases.1 = seen.seq;
        } else if seen.end != seen.seq {
            self.is_answered = true;
            if self.furthest.is_some_and(|furthest| is_before(furthest, seen.seq)) {
                self.early.get_or_insert(seen.seq);
            }
        }
        if self.furthest.is_none_or(|furthest| is_before(furthest, seen.end)) {
            self.furthest = Some(seen.end);
        }
        if seen.has(tcp::FIN) {
            self.standing = Standing::Ended;
        }
    }

    /// The time since it moved, if that is too long, and why.
    fn stall(&self, line: &Line, limit: Duration, now: Timestamp) -> Option<Stall> {
        let length = now.since(self.progress);
        (length >= limit).then(|| Stall { length, reason: self.reason(line), errors: line.errors })
    }

    fn reason(&self, line: &Line) -> Reason {
        let ours = |number: u32| number.wrapping_sub(self.bases.0);
        let theirs = |number: u32| number.wrapping_sub(self.bases.1);
        if let Some(how) = &line.lost {
            return Reason::LineLost(how.clone());
        }
        let Some((ack, window)) = self.heard else { return Reason::NoSynAck(self.syns) };
        if self.told.is_some_and(|(_, window)| window == 0) {
            return Reason::OwnWindowShut;
        }
        if window == 0 && !self.is_answered {
            return Reason::WindowShut { ack: ours(ack) };
        }
        if let Some(sent) = self.unacknowledged.front() {
            let (from, to) = (ours(sent.from), ours(sent.to));
            return Reason::Unacknowledged { from, to, sent: sent.times };
        }
        match (self.told, self.early) {
            (Some((told, _)), Some(early)) if is_before(told, early) => {
                Reason::Missing { from: theirs(told), to: theirs(early) }
            }
            (Some((told, _)), _) if self.is_answered => Reason::Silent { ack: theirs(told) },
            _ => Reason::Unanswered { ack: ours(ack) },
        }
    }

    /// What became of it up to `now`.
    pub(super) fn judge(
        &self,
        line: &Line,
        limit: Duration,
        began: Timestamp,
        now: Timestamp,
    ) -> Judgement {
        let is_over = matches!(self.standing, Standing::Refused | Standing::Reset);
        let current = self.stall(line, limit, now).filter(|_| !is_over);
        let stall = self.longest.iter().chain(&current).max_by_key(|stall| stall.length).cloned();
        Judgement { stall, standing: self.standing, packets: self.shown(began) }
    }

    fn shown(&self, began: Timestamp) -> Vec<String> {
        let mut dissector = Dissector::default();
        let mut line = line::Line::new(false);
        let shown = self.packets.iter().map(|(time, is_ours, frame, relation)| {
            let mut stack = dissector.dissect(frame);
            stack.relation = *relation;
            line.clear();
            summary(&stack, &mut line);
            let arrow = if *is_ours { "->" } else { "<-" };
            let seconds = time.since(began).as_secs_f64();
            format!("{seconds:9.6} {arrow} {}", String::from_utf8_lossy(line.as_bytes()))
        });
        shown.collect()
    }
}
