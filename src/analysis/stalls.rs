//! Why a request stands still, read from what is on the line.
//!
//! Theory of operation. A request begins ([`Stalls::begin`]); from then on every record is looked at. A
//! connection moves when the device accepts it, takes new bytes, sends new ones, or opens its window, and when
//! we acknowledge something new. When it has not moved for longer than the limit, what was known of it just
//! before says why: who owes what to whom. [`Stalls::judge`] tells the longest stall of a request, also one that
//! still lasts, and how the connection stands.
//!
//! Sequence numbers are relative as [`Flows`] says them: those of a request's first byte and of the
//! response's are 1. Nothing here knows sockets or time: both come in with the records.

mod connection;

use std::fmt;
use std::time::Duration;

use super::flows::Flows;
use crate::clock::Timestamp;
use crate::dissect::Dissector;
use crate::proto::{Note, NoteKind, arp};
use crate::record::{Body, Direction, LinkChange, Record};
use connection::Connection;

/// Connections that are remembered; the one that was silent the longest makes way.
const MEMORY: usize = 64;

/// Watches connections to the device, one request after the other.
#[derive(Debug)]
pub struct Stalls {
    limit: Duration,
    began: Timestamp,
    dissector: Dissector,
    flows: Flows,
    connections: Vec<Connection>,
    line: Line,
}

/// What is known of the line since the request began.
#[derive(Clone, Debug, Default)]
struct Line {
    /// How it was lost, if it was and is not back.
    lost: Option<String>,
    /// Our ARP questions that were not answered.
    questions: u32,
    errors: Errors,
}

/// What was wrong on the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Errors {
    /// Framing errors.
    pub framing: u32,
    /// Frames of the device with a bad checksum, which count as lost.
    pub checksum: u32,
}

/// A time in which nothing moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stall {
    /// How long.
    pub length: Duration,
    /// Why.
    pub reason: Reason,
    /// What was wrong on the line in the course of the request.
    pub errors: Errors,
}

/// Why nothing moved. Numbers are relative sequence numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The line was not there; the text says how that showed.
    LineLost(String),
    /// So many ARP requests for the device have no answer.
    NoArpReply(u32),
    /// Nobody has sent anything.
    NothingSeen,
    /// So many SYNs have no answer.
    NoSynAck(u32),
    /// The device's window is shut behind what it has acknowledged.
    WindowShut {
        /// Its acknowledgment.
        ack: u32,
    },
    /// Ours is: whoever reads the body is slow.
    OwnWindowShut,
    /// A segment of ours has no acknowledgment.
    Unacknowledged {
        /// Its first byte.
        from: u32,
        /// Behind its last.
        to: u32,
        /// How often it was sent.
        sent: u32,
    },
    /// Bytes are missing although later ones came.
    Missing {
        /// The first of them.
        from: u32,
        /// Behind the last.
        to: u32,
    },
    /// The device has acknowledged the request and sends no response.
    Unanswered {
        /// Its acknowledgment.
        ack: u32,
    },
    /// The device sends no more, and has our acknowledgment.
    Silent {
        /// Our acknowledgment.
        ack: u32,
    },
}

/// How a connection stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// It was not seen.
    #[default]
    Unknown,
    /// The device has not accepted it yet.
    Asked,
    /// The device answered our SYN with a reset.
    Refused,
    /// It is open.
    Open,
    /// The device has said all.
    Ended,
    /// The device broke it off.
    Reset,
}

/// What became of a request's connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// The longest time without progress, if any was too long.
    pub stall: Option<Stall>,
    /// How it stands.
    pub standing: Standing,
    /// Its last packets as people read them, with their times since the request began.
    pub packets: Vec<String>,
}

impl Stalls {
    /// Watches for times of at least `limit` without progress.
    pub fn new(limit: Duration) -> Stalls {
        Stalls {
            limit,
            began: Timestamp::default(),
            dissector: Dissector::default(),
            flows: Flows::default(),
            connections: Vec::new(),
            line: Line::default(),
        }
    }

    /// A request begins: what was before is no stall of it.
    pub fn begin(&mut self, now: Timestamp) {
        self.began = now;
        self.line = Line { lost: self.line.lost.take(), ..Line::default() };
        for connection in &mut self.connections {
            connection.begin(now);
        }
    }

    /// Looks at what was on the line. Records without a time or a direction tell nothing.
    pub fn observe(&mut self, record: &Record) {
        match &record.body {
            Body::Link(LinkChange::Lost(how)) => self.line.lost = Some(how.clone()),
            Body::Link(LinkChange::Connected(_)) => self.line.lost = None,
            Body::FramingError(error) if error.is_new() => {
                let framing = &mut self.line.errors.framing;
                *framing = framing.saturating_add(1);
            }
            Body::Frame(frame) => {
                if let Some(time) = record.time {
                    self.frame(frame, record.origin.direction, time.last);
                }
            }
            Body::Link(LinkChange::Reset)
            | Body::FramingError(_)
            | Body::Packet(_)
            | Body::Gap { .. }
            | Body::Console(_)
            | Body::Impaired(_) => {}
        }
    }

    fn frame(&mut self, frame: &bytes::Bytes, direction: Direction, now: Timestamp) {
        let is_ours = match direction {
            Direction::ToDevice => true,
            Direction::FromDevice => false,
            Direction::Unknown => return,
        };
        if let Some(message) = arp::Message::in_frame(frame) {
            match (message.op, is_ours) {
                (arp::REQUEST, true) => self.line.questions = self.line.questions.saturating_add(1),
                (arp::REPLY, false) => self.line.questions = 0,
                _ => {}
            }
            return;
        }
        let stack = self.dissector.dissect(frame);
        let is_bad = |note: &Note| matches!(note.kind, NoteKind::Checksum { .. });
        if !is_ours && stack.notes.iter().any(is_bad) {
            self.line.errors.checksum = self.line.errors.checksum.saturating_add(1);
            return;
        }
        let relation = self.flows.observe(&stack);
        let Some(seen) = connection::Seen::of(&stack, is_ours, relation, now) else { return };
        let at = match self.connections.iter().position(|c| c.ends == seen.ends) {
            Some(at) => at,
            None => {
                let stall = self.stall_without_connection(now);
                make_room(&mut self.connections);
                self.connections.push(Connection::new(seen.ends, now, stall));
                self.connections.len() - 1
            }
        };
        if let Some(connection) = self.connections.get_mut(at) {
            connection.observe(&seen, frame, &self.line, self.limit);
        }
    }

    /// When the connection from our `port` moved last; when the request began, if it did not.
    pub fn last_progress(&self, port: Option<u16>) -> Timestamp {
        self.find(port).map_or(self.began, |connection| connection.progress.max(self.began))
    }

    /// What became of the request that ended at `now`; its connection came from our `port`, if there was
    /// one.
    pub fn judge(&self, port: Option<u16>, now: Timestamp) -> Judgement {
        match self.find(port) {
            Some(connection) => connection.judge(&self.line, self.limit, self.began, now),
            None => Judgement { stall: self.stall_without_connection(now), ..Judgement::default() },
        }
    }

    /// The youngest connection from `port`.
    fn find(&self, port: Option<u16>) -> Option<&Connection> {
        let own = self.connections.iter().filter(|c| Some(c.ends.port) == port);
        own.max_by_key(|connection| connection.last)
    }

    fn stall_without_connection(&self, now: Timestamp) -> Option<Stall> {
        let length = now.since(self.began);
        let reason = match (&self.line.lost, self.line.questions) {
            (Some(how), _) => Reason::LineLost(how.clone()),
            (None, 0) => Reason::NothingSeen,
            (None, n) => Reason::NoArpReply(n),
        };
        let errors = self.line.errors;
        (length >= self.limit).then_some(Stall { length, reason, errors })
    }
}

fn make_room(connections: &mut Vec<Connection>) {
    while connections.len() >= MEMORY {
        let oldest = connections.iter().enumerate().min_by_key(|(_, connection)| connection.last);
        let Some((oldest, _)) = oldest else { return };
        connections.swap_remove(oldest);
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = |n: u32| if n == 1 { "once".to_owned() } else { format!("{n} times") };
        match self {
            Reason::LineLost(how) => write!(f, "nothing was on the line: it was lost ({how})"),
            Reason::NoArpReply(n) => {
                write!(f, "no answer to our ARP request, sent {}", times(*n))
            }
            Reason::NothingSeen => f.write_str("nothing was on the line"),
            Reason::NoSynAck(n) => write!(f, "no answer to our SYN, sent {}", times(*n)),
            Reason::WindowShut { ack } => {
                write!(f, "device closed its window (win 0) after its ACK {ack}")
            }
            Reason::OwnWindowShut => {
                f.write_str("our own window was closed: whoever reads the body is slow")
            }
            Reason::Unacknowledged { from, to, sent } => {
                write!(f, "our segment {from}:{to} was sent {} and not acknowledged", times(*sent))
            }
            Reason::Missing { from, to } => {
                write!(f, "device's bytes {from}:{to} were lost, and not sent again in this time")
            }
            Reason::Unanswered { ack } => {
                write!(f, "device took the request (ACK {ack}) and sent nothing")
            }
            Reason::Silent { ack } => write!(f, "device sent nothing after our ACK {ack}"),
        }
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stalled {:.2} s: {}", self.length.as_secs_f64(), self.reason)?;
        for (n, what) in [
            (self.errors.framing, ["framing error", "framing errors"]),
            (self.errors.checksum, ["frame with a bad checksum", "frames with a bad checksum"]),
        ] {
            if n > 0 {
                write!(f, "; {n} {}", what[usize::from(n > 1)])?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
