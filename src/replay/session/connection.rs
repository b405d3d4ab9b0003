//! One TCP connection, recorded and of today (RFC 9293 section 3.4).
//!
//! Our numbers are the recorded ones. Theirs begin elsewhere today: what we acknowledge is moved by the difference,
//! the blocks of selective acknowledgments too (RFC 2018), and their timestamps are echoed as they are today
//! (RFC 7323 section 3). An acknowledgment never speaks of bytes that have not come, and where the recording had
//! acknowledged everything, everything is.

use crate::proto::{Stack, be32, tcp, tcp_options};

/// Pieces of a stream that came early and are remembered.
const EARLY: usize = 64;
/// Numbers this far ahead are behind.
const HALF: u32 = 1 << 31;

/// What matters of a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) seq: u32,
    ack: u32,
    flags: u8,
    length: u32,
    /// Their clock, if they show it.
    timestamp: Option<u32>,
}

impl Segment {
    /// The TCP segment in a frame.
    pub(super) fn of(stack: &Stack<'_>) -> Option<Segment> {
        let n = stack.find(&tcp::TCP)?;
        let header = stack.header(n);
        let options = header.get(tcp::HEADER..).unwrap_or_default();
        let timestamp = tcp_options::each(options)
            .find(|(_, option)| option[0] == 8 && option.len() == 10)
            .and_then(|(_, option)| be32(option, 2));
        Some(Segment {
            seq: be32(header, 4)?,
            ack: be32(header, 8)?,
            flags: *header.get(13)?,
            length: stack.payload_length(n) as u32,
            timestamp,
        })
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether it asks for a connection.
    pub(super) fn opens(&self) -> bool {
        self.has(tcp::SYN) && !self.has(tcp::ACK)
    }

    /// How many numbers it takes.
    fn span(&self) -> u32 {
        let flags = u32::from(self.has(tcp::SYN)) + u32::from(self.has(tcp::FIN));
        self.length.wrapping_add(flags)
    }
}

/// What one side has sent: numbers are counted from its first one.
#[derive(Clone, Debug)]
struct Stream {
    first: u32,
    /// Everything in front of this is there.
    next: u32,
    /// What is there behind a hole.
    early: Vec<(u32, u32)>,
}

impl Stream {
    fn new(first: u32) -> Stream {
        Stream { first, next: 0, early: Vec::new() }
    }

    /// Takes a segment's numbers; with `holes`, what comes early counts only when the rest is there.
    fn push(&mut self, segment: &Segment, holes: bool) {
        let start = segment.seq.wrapping_sub(self.first);
        if start >= HALF {
            return;
        }
        let end = start.saturating_add(segment.span());
        if holes && start > self.next {
            if self.early.len() < EARLY && end > start {
                self.early.push((start, end));
            }
            return;
        }
        self.next = self.next.max(end);
        while let Some(n) = self.early.iter().position(|(start, _)| *start <= self.next) {
            let (_, end) = self.early.swap_remove(n);
            self.next = self.next.max(end);
        }
    }
}

/// One connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Connection {
    /// The recorded number with which we have opened it.
    our_first: Option<u32>,
    /// Our port of today, where it is another.
    pub(super) our_port: Option<u16>,
    /// Their port of today.
    pub(super) their_port: Option<u16>,
    recorded: Option<Stream>,
    today: Option<Stream>,
    is_refused: bool,
    timestamp: Option<u32>,
    /// Behind what we have sent.
    our_next: Option<u32>,
    /// We have ended it, our way or both.
    our_end: Option<End>,
    /// Behind the last of theirs, once they have ended it; counted as in a stream.
    their_end: Option<u32>,
    /// Up to where we have acknowledged theirs.
    acknowledged: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Finished,
    Reset,
}

/// The numbers of the segment with which we would leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaving {
    pub(super) seq: u32,
    pub(super) ack: u32,
}

impl Connection {
    /// We open it; whether it is a new one, and no SYN that is repeated.
    pub(super) fn open_ours(&mut self, segment: &Segment) -> bool {
        if self.our_first == Some(segment.seq) {
            return false;
        }
        *self = Connection { our_first: Some(segment.seq), ..Connection::default() };
        true
    }

    /// They open it today, or accept it, with this number.
    pub(super) fn open_today(&mut self, first: u32) {
        if self.today.as_ref().is_none_or(|today| today.first != first) {
            self.today = Some(Stream::new(first));
        }
    }

    /// What they had sent; whether it opens the connection.
    pub(super) fn recorded(&mut self, segment: &Segment) -> bool {
        if segment.has(tcp::RST) {
            return false;
        }
        let is_known = self.recorded.as_ref().is_some_and(|known| known.first == segment.seq);
        let is_new = segment.has(tcp::SYN) && !is_known;
        if is_new && segment.opens() && self.recorded.is_some() {
            *self = Connection::default(); // another one between the same ports
        }
        if is_new {
            self.recorded = Some(Stream::new(segment.seq));
        }
        if let Some(recorded) = &mut self.recorded {
            recorded.push(segment, false);
        }
        is_new
    }

    /// What was heard of it before it was known to be this one.
    pub(super) fn take_over(&mut self, heard: &Connection) {
        self.today.clone_from(&heard.today);
        self.timestamp = heard.timestamp;
        self.is_refused = heard.is_refused;
    }

    /// What they send today.
    pub(super) fn heard(&mut self, segment: &Segment) {
        if segment.has(tcp::SYN) {
            self.open_today(segment.seq);
        }
        self.is_refused |= segment.has(tcp::RST);
        self.timestamp = segment.timestamp.or(self.timestamp);
        if let Some(today) = self.today.as_mut().filter(|_| !segment.has(tcp::RST)) {
            today.push(segment, true);
            if segment.has(tcp::FIN) {
                let end = segment.seq.wrapping_sub(today.first).wrapping_add(segment.span());
                self.their_end = Some(end);
            }
        }
    }

    /// What we send of it today.
    pub(super) fn sent(&mut self, segment: &Segment) {
        let end = segment.seq.wrapping_add(segment.span());
        let is_behind = |next: &u32| end.wrapping_sub(*next) >= HALF;
        self.our_next = Some(self.our_next.filter(is_behind).unwrap_or(end));
        if segment.has(tcp::RST) {
            self.our_end = Some(End::Reset);
        } else if segment.has(tcp::FIN) && self.our_end.is_none() {
            self.our_end = Some(End::Finished);
        }
        if let (true, Some(recorded), Some(today)) =
            (segment.has(tcp::ACK), &self.recorded, &self.today)
        {
            let upto = acknowledged(segment.ack, recorded, today).wrapping_sub(today.first);
            if upto < HALF {
                self.acknowledged = self.acknowledged.max(upto);
            }
        }
    }

    /// We reset it.
    pub(super) fn reset(&mut self) {
        self.our_end = Some(End::Reset);
    }

    /// Whether it has begun, and has not come to its end.
    pub(super) fn is_open(&self) -> bool {
        let is_over = match self.our_end {
            Some(End::Reset) => true,
            Some(End::Finished) => self.their_end.is_some_and(|end| self.acknowledged >= end),
            None => false,
        };
        self.our_next.is_some() && !self.is_refused && !is_over
    }

    /// The numbers with which it would be left, if they know of it.
    pub(super) fn leaving(&self) -> Option<Leaving> {
        let today = self.today.as_ref().filter(|_| self.is_open())?;
        Some(Leaving { seq: self.our_next?, ack: today.first.wrapping_add(today.next) })
    }

    /// Whether they had opened it, and have not today.
    pub(super) fn waits_for_them(&self) -> bool {
        self.our_first.is_none() && self.recorded.is_some() && self.today.is_none()
    }

    /// Up to which byte of theirs a segment of ours needs to have been sent.
    pub(super) fn needs(&self, segment: &Segment) -> Option<u32> {
        let recorded = self.recorded.as_ref().filter(|_| segment.has(tcp::ACK))?;
        let upto = segment.ack.wrapping_sub(recorded.first);
        (upto < HALF && !segment.has(tcp::RST)).then_some(upto.min(recorded.next))
    }

    /// Whether everything in front of `upto` has come, or nothing more will.
    pub(super) fn has_come(&self, upto: u32) -> bool {
        self.is_refused || self.today.as_ref().is_some_and(|today| today.next >= upto)
    }

    /// Whether today's numbers of theirs are known.
    pub(super) fn is_known(&self) -> bool {
        self.recorded.is_some() && self.today.is_some()
    }

    /// Whether less has come than was recorded.
    pub(super) fn is_waiting(&self) -> bool {
        self.recorded.as_ref().is_some_and(|recorded| !self.has_come(recorded.next))
    }

    /// Writes into `new`, where the segment begins at `at`, what is to be different today; whether anything is.
    pub(super) fn translate(
        &self,
        segment: &Segment,
        at: usize,
        header: &[u8],
        new: &mut [u8],
    ) -> bool {
        let mut is_changed = false;
        let mut write = |offset: usize, bytes: &[u8]| {
            if let Some(place) = new.get_mut(at + offset..at + offset + bytes.len()) {
                is_changed |= place != bytes;
                place.copy_from_slice(bytes);
            }
        };
        if let Some(port) = self.our_port {
            write(0, &port.to_be_bytes());
        }
        if let Some(port) = self.their_port {
            write(2, &port.to_be_bytes());
        }
        if let (Some(recorded), Some(today)) = (&self.recorded, &self.today) {
            if segment.has(tcp::ACK) {
                write(8, &acknowledged(segment.ack, recorded, today).to_be_bytes());
            }
            let moved = today.first.wrapping_sub(recorded.first);
            let options = header.get(tcp::HEADER..).unwrap_or_default();
            for (place, option) in tcp_options::each(options) {
                let place = tcp::HEADER + place;
                match (option[0], option.len()) {
                    (5, 10..) => {
                        for edge in (2..option.len().saturating_sub(3)).step_by(4) {
                            let number = be32(option, edge).unwrap_or_default();
                            write(place + edge, &number.wrapping_add(moved).to_be_bytes());
                        }
                    }
                    (8, 10) if be32(option, 6) != Some(0) => {
                        if let Some(timestamp) = self.timestamp {
                            write(place + 6, &timestamp.to_be_bytes());
                        }
                    }
                    _ => {}
                }
            }
        }
        is_changed
    }
}

/// What is to be acknowledged today, where `ack` was in the recording.
fn acknowledged(ack: u32, recorded: &Stream, today: &Stream) -> u32 {
    let upto = ack.wrapping_sub(recorded.first);
    let upto = match upto {
        HALF.. => upto, // nonsense stays nonsense
        _ if upto >= recorded.next => today.next,
        _ => upto.min(today.next),
    };
    today.first.wrapping_add(upto)
}
