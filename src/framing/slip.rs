//! SLIP (RFC 1055): frames that end with END; inside them ESC stands in front of what stands for the two.
//!
//! END is a mark that nothing else on the line has, so there is no search: whatever is wrong is over with
//! the next END. ENDs with nothing between them are fill, as silence is: they are in no record, and the
//! offsets of the others count them. (A good sender puts one in front of each frame, which ends what
//! noise there was.) Between two ENDs there may be
//!
//! - a frame, or what is short enough to be one, has the right escapes and is no text: it comes out with
//!   its END. The line's bytes of it follow from it, since there is one way only to escape it;
//! - a wrong escape: RFC 1055 leaves it open what that means, so the bytes are kept as they were;
//! - more than fits: it comes out in pieces, and nothing is held that could not be a frame;
//! - noise: a log line, a scrap of a packet; or nothing that ends, when the stream does.
//!
//! A frame that a silence of a second has cut, and behind it one without an END in front, are told apart
//! when the second is whole by what it says of its length.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

use super::arrivals::Arrivals;
use super::plausible::{ETHERNET, Verdict, judge_frame};
use super::{Carries, Decoder, Framing, STALL, ip};
use crate::clock::Timestamp;
use crate::record::{Body, FramingError, Origin, Problem, Record, Recovery};
use escape::{END, append, unescape};

pub(super) mod escape;

/// Ethernet frames in SLIP.
pub static SLIP_ETH: Framing = Framing {
    name: "slip-eth",
    help: "RFC 1055 with Ethernet frames (Zephyr in QEMU)",
    longest: super::LONGEST_MAX_FRAME,
    header: None,
    carries: Carries::Ethernet,
    decoder: |origin, max| Box::new(Slip::new(origin, max, Inside::Ethernet)),
    append,
};

/// IP packets in SLIP.
pub static SLIP_IP: Framing = Framing {
    name: "slip-ip",
    help: "RFC 1055 with IP packets (Contiki's tunslip, Linux)",
    longest: super::LONGEST_MAX_FRAME,
    header: None,
    carries: Carries::Ip,
    decoder: |origin, max| Box::new(Slip::new(origin, max, Inside::Ip)),
    append,
};

/// One of the two, whichever it is. Who sends has to be told which, and whoever opens such a line finds
/// it out from what comes.
pub(super) static SLIP: Framing = Framing {
    name: "slip",
    help: "slip-eth or slip-ip, whichever comes",
    longest: super::LONGEST_MAX_FRAME,
    header: None,
    carries: Carries::Ethernet,
    decoder: |origin, max| Box::new(Slip::new(origin, max, Inside::Either)),
    append,
};

/// Bytes that end nowhere are handed out in records of this size, or of what the longest frame may take.
const CHUNK: usize = 64 * 1024;

/// What is between two ENDs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Ethernet,
    Ip,
    Either,
}

struct Slip {
    origin: Origin,
    max: usize,
    inside: Inside,
    /// Bytes that are in no record yet, without an END; the first is at `offset` in the stream.
    pending: BytesMut,
    offset: u64,
    arrivals: Arrivals,
    /// The line was silent in front of this byte of `pending`.
    stalled: Option<usize>,
    /// What is pending goes on with an error that was handed out.
    goes_on: bool,
}

impl Inside {
    /// The frame that `data` is, for which `body` stands.
    fn frame(self, data: Cow<'_, [u8]>, body: Bytes, origin: Origin) -> Option<Bytes> {
        let is_ip = match self {
            Inside::Ethernet => false,
            Inside::Ip => true,
            Inside::Either => self.is_ip(&data),
        };
        match data {
            data if is_ip => ip::frame(&data, origin.direction),
            data if data.len() < ETHERNET || ip::is_text(&data) => None,
            Cow::Borrowed(_) => Some(body),
            Cow::Owned(data) => Some(Bytes::from(data)),
        }
    }

    /// Whether `data`, which may be either, is an IP packet rather than a frame.
    fn is_ip(self, data: &[u8]) -> bool {
        ip::is_exact(data)
            || (!is_exact_ethernet(data) && matches!(data.first(), Some(0x45..=0x4f | 0x60..=0x6f)))
    }

    /// Whether `body` is a whole one beyond doubt: its length is the one that it says.
    fn is_exact(self, body: &[u8]) -> bool {
        unescape(body).is_ok_and(|data| match self {
            Inside::Ethernet => is_exact_ethernet(&data),
            Inside::Ip => ip::is_exact(&data),
            Inside::Either => is_exact_ethernet(&data) || ip::is_exact(&data),
        })
    }
}

/// Whether the network header in a frame agrees with its length.
fn is_exact_ethernet(frame: &[u8]) -> bool {
    matches!(judge_frame(frame, frame.len()), Verdict::Strong(_))
}

/// Which of the two the first frames of a line are, as far as `bytes` tell: whole bodies that are one
/// and not the other.
pub(super) fn which(bytes: &[u8]) -> Option<&'static Framing> {
    bytes.split(|byte| *byte == END).rev().skip(1).collect::<Vec<_>>().into_iter().rev().find_map(
        |body| match (Inside::Ethernet.is_exact(body), Inside::Ip.is_exact(body)) {
            (true, false) => Some(&SLIP_ETH),
            (false, true) => Some(&SLIP_IP),
            _ => None,
        },
    )
}

impl Slip {
    fn new(origin: Origin, max: usize, inside: Inside) -> Self {
        Slip {
            origin,
            max,
            inside,
            pending: BytesMut::new(),
            offset: 0,
            arrivals: Arrivals::default(),
            stalled: None,
            goes_on: false,
        }
    }

    /// The most bytes that are held.
    fn bound(&self) -> usize {
        CHUNK.max(2 * self.max)
    }

    /// Takes `line`, the bytes from the last END to this one, which is their last.
    fn close(&mut self, mut line: Bytes, out: &mut Vec<Record>) {
        while line.len() > self.bound() + 1 {
            let piece = line.split_to(self.bound());
            self.too_much(piece, out);
        }
        let body = &line[..line.len() - 1];
        if std::mem::take(&mut self.goes_on) {
            self.error(line, Problem::Continued, Recovery::Sure, out);
        } else if body.is_empty() {
            self.offset += 1;
            self.arrivals.forget(self.offset);
        } else {
            if let Some(at) = self.stalled.filter(|at| self.is_cut(body, *at)) {
                self.error(line.split_to(at), Problem::NoEnd, Recovery::Likely, out);
            }
            self.judge(line, out);
        }
        self.stalled = None;
    }

    /// Whether one frame ended without its END at byte `at` of `body`, and another began.
    fn is_cut(&self, body: &[u8], at: usize) -> bool {
        !self.inside.is_exact(body)
            && body.get(at..).is_some_and(|behind| self.inside.is_exact(behind))
    }

    /// Makes a record of `line`.
    fn judge(&mut self, line: Bytes, out: &mut Vec<Record>) {
        let body = line.slice(..line.len() - 1);
        let data = match unescape(&body) {
            Ok(data) => data,
            Err(byte) => {
                return self.error(line, Problem::WrongEscape { byte }, Recovery::Sure, out);
            }
        };
        let length = self.framed(data.len());
        if length > self.max {
            let problem = Problem::TooLong { length: length as u32, limit: self.max as u32 };
            return self.error(line, problem, Recovery::Sure, out);
        }
        match self.inside.frame(data, body.clone(), self.origin) {
            Some(frame) => self.emit(line.len(), Body::Frame(frame), out),
            None => self.error(line, Problem::NoFrame, Recovery::Sure, out),
        }
    }

    /// How long a frame with so much data is, as limits count.
    fn framed(&self, data: usize) -> usize {
        data + if self.inside == Inside::Ip { ETHERNET } else { 0 }
    }

    /// Hands out the beginning of what is too long to be held.
    fn too_much(&mut self, piece: Bytes, out: &mut Vec<Record>) {
        let problem = match std::mem::replace(&mut self.goes_on, true) {
            true => Problem::Continued,
            false => Problem::TooLong {
                length: self.framed(escape::length(&piece)) as u32,
                limit: self.max as u32,
            },
        };
        self.error(piece, problem, Recovery::Searching, out);
    }

    fn error(&mut self, bytes: Bytes, problem: Problem, recovery: Recovery, out: &mut Vec<Record>) {
        let n = bytes.len();
        self.emit(n, Body::FramingError(FramingError { problem, bytes, recovery }), out);
    }

    /// Appends a record of the next `n` bytes of the stream.
    fn emit(&mut self, n: usize, body: Body, out: &mut Vec<Record>) {
        let start = self.offset;
        self.offset += n as u64;
        let time = self.arrivals.take(start, self.offset);
        out.push(Record { time: Some(time), origin: self.origin, offset: Some(start), body });
    }

    /// Hands out what is left.
    fn end(&mut self, recovery: Recovery, out: &mut Vec<Record>) {
        let left = self.pending.split().freeze();
        let goes_on = std::mem::take(&mut self.goes_on);
        self.stalled = None;
        if !left.is_empty() {
            let problem = if goes_on { Problem::Continued } else { Problem::NoEnd };
            self.error(left, problem, recovery, out);
        }
    }
}

impl Decoder for Slip {
    fn push(&mut self, now: Timestamp, bytes: &Bytes, out: &mut Vec<Record>) {
        if bytes.is_empty() {
            return;
        }
        self.arrivals.came(now, self.offset + (self.pending.len() + bytes.len()) as u64);
        let mut rest = bytes.clone();
        while let Some(at) = rest.iter().position(|byte| *byte == END) {
            let mut line = rest.split_to(at + 1);
            if !self.pending.is_empty() {
                self.pending.extend_from_slice(&line);
                line = self.pending.split().freeze();
            }
            self.close(line, out);
        }
        self.pending.extend_from_slice(&rest);
        while self.pending.len() > self.bound() {
            let piece = self.pending.split_to(self.bound()).freeze();
            self.too_much(piece, out);
        }
    }

    fn idle(&mut self, now: Timestamp, _: &mut Vec<Record>) {
        let is_silent = now.since(self.arrivals.last()) >= STALL;
        if is_silent && !self.pending.is_empty() {
            self.stalled = Some(self.pending.len());
        }
    }

    fn finish(&mut self, _: Timestamp, out: &mut Vec<Record>) {
        self.end(Recovery::Ended, out);
    }

    fn stop(&mut self, _: Timestamp, out: &mut Vec<Record>) {
        self.end(Recovery::Stopped, out);
    }

    fn is_empty(&self) -> bool {
        self.pending.is_empty() && !self.goes_on
    }

    fn until_boundary(&self) -> Option<usize> {
        self.is_empty().then_some(0)
    }
}

#[cfg(test)]
mod tests;
