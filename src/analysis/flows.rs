//! TCP connections as a watcher in the middle sees them: what sequence numbers are relative to, and
//! which segments are remarkable.
//!
//! Each direction of a connection is remembered by what it sent last: where its stream has come to,
//! what it acknowledged, its window, one hole in what was seen. That is enough to tell
//! retransmissions, reordering, repeated acknowledgments, keep-alives and shut windows, and it is the
//! same small amount for every connection, however long it lasts. Connections are forgotten when
//! there are too many of them, the oldest half at a time.
//!
//! Sequence numbers are shown as tcpdump shows them: as they are in the first segment of a connection
//! that carries an acknowledgment (and in the SYN before it), relative to that one afterwards.

use std::collections::HashMap;
use std::net::Ipv6Addr;

use crate::proto::ip::{self, Addresses};
use crate::proto::tcp::{self, Mark, Relation};
use crate::proto::{Stack, be16, be32, tcp_options};

/// Connections that are remembered in each of two generations.
const MEMORY: usize = 16 * 1024;

/// Remembers connections.
#[derive(Debug, Default)]
pub struct Flows {
    young: HashMap<Ends, Flow>,
    old: HashMap<Ends, Flow>,
}

/// The two ends of a connection, the smaller first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Ends([([u64; 2], u16); 2]);

#[derive(Clone, Debug, Default)]
struct Flow {
    /// What the two ends' sequence numbers are relative to, in the order of [`Ends`].
    bases: Option<[u32; 2]>,
    sides: [Side; 2],
}

/// What one end has sent.
#[derive(Clone, Debug, Default)]
struct Side {
    /// The sequence number behind the furthest byte seen.
    next: Option<u32>,
    /// Bytes that were not seen although later ones were: from, up to.
    hole: Option<(u32, u32)>,
    /// The first sequence number, from a SYN.
    initial: Option<u32>,
    ack: Option<u32>,
    window: u32,
    /// The shift of later windows; known when both SYNs were seen (RFC 7323 section 2.2).
    shift: Option<u8>,
    repeated: u32,
    was_keep_alive: bool,
}

/// What matters of a segment.
#[derive(Clone, Copy, Debug)]
struct Segment {
    seq: u32,
    ack: u32,
    flags: u8,
    window: u32,
    /// Bytes of data.
    length: u32,
}

impl Segment {
    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The sequence number behind it; SYN and FIN count as one (RFC 9293 section 3.4).
    fn end(&self) -> u32 {
        let flags = u32::from(self.has(tcp::SYN)) + u32::from(self.has(tcp::FIN));
        self.seq.wrapping_add(self.length).wrapping_add(flags)
    }
}

/// Whether `a` comes before `b` in a space that wraps around (RFC 9293 section 3.4).
fn is_before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

impl Flows {
    /// Looks at a frame. What is known of its connection goes into [`Stack::relation`].
    pub fn observe(&mut self, stack: &Stack<'_>) -> Relation {
        let Some(n) = stack.find(&tcp::TCP) else { return Relation::default() };
        self.segment(stack, n).unwrap_or_default()
    }

    fn segment(&mut self, stack: &Stack<'_>, n: usize) -> Option<Relation> {
        let header = stack.header(n);
        let (source, destination) = (be16(header, 0)?, be16(header, 2)?);
        let (from, to) = match ip::addresses(stack, n)? {
            Addresses::V4(from, to) => (from.to_ipv6_mapped(), to.to_ipv6_mapped()),
            Addresses::V6(from, to) => (from, to),
        };
        let end = |address: Ipv6Addr, port| {
            let bits = u128::from(address);
            ([(bits >> 64) as u64, bits as u64], port)
        };
        let (us, them) = (end(from, source), end(to, destination));
        let (ends, from) = if us <= them { ([us, them], 0) } else { ([them, us], 1) };
        let segment = Segment {
            seq: be32(header, 4)?,
            ack: be32(header, 8)?,
            flags: *header.get(13)?,
            window: be16(header, 14)?.into(),
            length: stack.payload_length(n) as u32,
        };
        let observe = |flow: &mut Flow| flow.observe(from, &segment, header);
        Some(self.with_flow(Ends(ends), observe))
    }

    fn with_flow<R>(&mut self, ends: Ends, then: impl FnOnce(&mut Flow) -> R) -> R {
        if let Some(flow) = self.young.get_mut(&ends) {
            return then(flow);
        }
        if self.young.len() >= MEMORY {
            self.old = std::mem::take(&mut self.young);
        }
        let flow = self.old.remove(&ends).unwrap_or_default();
        then(self.young.entry(ends).or_insert(flow))
    }
}

impl Flow {
    /// A segment from one of the two ends.
    fn observe(&mut self, from: usize, segment: &Segment, header: &[u8]) -> Relation {
        let reused = segment.has(tcp::SYN)
            && !segment.has(tcp::ACK)
            && self.sides[from].initial.or(self.sides[from].next).is_some()
            && self.sides[from].initial != Some(segment.seq);
        if reused {
            *self = Flow::default();
        }
        let bases = self.relate(from, segment);
        let mark = self.judge(from, segment);
        self.sides[from].advance(segment, header);
        Relation { bases, mark: reused.then_some(Mark::PortsReused).or(mark) }
    }

    /// What the numbers of a segment are shown relative to.
    fn relate(&mut self, from: usize, segment: &Segment) -> Option<(u32, u32)> {
        if !segment.has(tcp::ACK) && self.bases.is_none() {
            return None;
        }
        match self.bases {
            Some(bases) if !segment.has(tcp::SYN) => Some((bases[from], bases[1 - from])),
            _ => {
                let mut bases = [segment.ack.wrapping_sub(1); 2];
                bases[from] = segment.seq;
                self.bases = segment.has(tcp::ACK).then_some(bases);
                None
            }
        }
    }

    fn judge(&self, from: usize, segment: &Segment) -> Option<Mark> {
        let (own, other) = (&self.sides[from], &self.sides[1 - from]);
        if segment.has(tcp::RST) {
            return None;
        }
        let is_plain = !segment.has(tcp::SYN) && !segment.has(tcp::FIN);
        if let Some(next) = own.next {
            let is_shut = other.ack.is_some() && other.window == 0;
            if is_plain && segment.length <= 1 && segment.seq == next.wrapping_sub(1) && !is_shut {
                return Some(Mark::KeepAlive);
            }
            if is_plain && segment.length == 1 && segment.seq == next && is_shut {
                return Some(Mark::ZeroWindowProbe);
            }
            if segment.end() != segment.seq {
                if is_before(next, segment.seq) {
                    return Some(Mark::PreviousNotSeen);
                }
                if is_before(segment.seq, next) {
                    let in_hole = own.hole.is_some_and(|(start, end)| {
                        !is_before(segment.seq, start) && is_before(segment.seq, end)
                    });
                    return Some(if in_hole { Mark::OutOfOrder } else { Mark::Retransmission });
                }
            }
        }
        own.judge_window(other, segment, is_plain)
    }
}

impl Side {
    fn judge_window(&self, other: &Side, segment: &Segment, is_plain: bool) -> Option<Mark> {
        if segment.window == 0 && is_plain && segment.has(tcp::ACK) {
            return Some(Mark::ZeroWindow);
        }
        if segment.length > 0 {
            let shift = other.shift.filter(|_| self.shift.is_some())?;
            let edge = other.ack?.wrapping_add(other.window << shift);
            return (segment.end() == edge).then_some(Mark::WindowFull);
        }
        if !is_plain || !segment.has(tcp::ACK) || self.ack != Some(segment.ack) {
            return None;
        }
        if self.window != segment.window {
            return (self.window == 0).then_some(Mark::WindowUpdate);
        }
        if other.was_keep_alive {
            return Some(Mark::KeepAliveAck);
        }
        let is_missing = other.next.is_some_and(|next| is_before(segment.ack, next));
        is_missing.then_some(Mark::DuplicateAck(self.repeated + 1))
    }

    /// What is known after the segment.
    fn advance(&mut self, segment: &Segment, header: &[u8]) {
        let (seq, end) = (segment.seq, segment.end());
        self.was_keep_alive = self.next.is_some_and(|next| next.wrapping_sub(1) == seq)
            && segment.length <= 1
            && segment.flags & (tcp::SYN | tcp::FIN | tcp::RST) == 0;
        match self.next {
            Some(next) if is_before(next, seq) && end != seq => self.hole = Some((next, seq)),
            _ => {}
        }
        if self.next.is_none_or(|next| is_before(next, end)) && !segment.has(tcp::RST) {
            self.next = Some(end);
        }
        if let Some((start, stop)) = self.hole
            && !is_before(start, seq)
            && is_before(start, end)
        {
            self.hole = Some((end, stop)).filter(|_| is_before(end, stop));
        }
        if segment.has(tcp::SYN) {
            self.initial = Some(seq);
            let options = header.get(tcp::HEADER..).unwrap_or_default();
            let scale = tcp_options::each(options).find(|(_, o)| o[0] == 3 && o.len() == 3);
            self.shift = Some(scale.map_or(0, |(_, option)| option[2].min(14)));
        }
        if segment.has(tcp::ACK) {
            let is_same = self.ack == Some(segment.ack)
                && self.window == segment.window
                && segment.length == 0
                && segment.end() == seq;
            self.repeated = if is_same { self.repeated.saturating_add(1) } else { 0 };
            (self.ack, self.window) = (Some(segment.ack), segment.window);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::Dissector;
    use crate::dissect::render::line::summary;
    use crate::proto::line::Line;
    use crate::proto::samples;

    const OPEN: u8 = tcp::ACK;

    /// A segment between 192.168.100.1:40000 (side 0) and 192.168.100.2:80 (side 1).
    fn frame(side: u8, seq: u32, ack: u32, flags: u8, window: u16, data: &[u8]) -> Vec<u8> {
        let (a, b) = ([192, 168, 100, 1], [192, 168, 100, 2]);
        let (from, to) = if side == 0 { (a, b) } else { (b, a) };
        let (source, destination) = if side == 0 { (40000u16, 80u16) } else { (80, 40000) };
        let mut segment = Vec::new();
        segment.extend(source.to_be_bytes());
        segment.extend(destination.to_be_bytes());
        segment.extend(seq.to_be_bytes());
        segment.extend(ack.to_be_bytes());
        segment.extend([0x50, flags]);
        segment.extend(window.to_be_bytes());
        segment.extend([0; 4]);
        segment.extend(data);
        let sum = crate::checksum::Sum::pseudo(from.into(), to.into(), 6, segment.len());
        let sum = sum.plus(&segment).finish();
        segment[16..18].copy_from_slice(&sum.to_be_bytes());
        samples::ethernet(0x0800, &samples::ipv4_between(from.into(), to.into(), 6, &segment))
    }

    /// What is said of each, without the addresses.
    fn said(frames: &[Vec<u8>]) -> String {
        let (mut flows, mut dissector) = (Flows::default(), Dissector::default());
        let lines = frames.iter().map(|frame| {
            let mut stack = dissector.dissect(frame);
            stack.relation = flows.observe(&stack);
            let mut line = Line::new(false);
            summary(&stack, &mut line);
            let text = String::from_utf8_lossy(line.as_bytes()).into_owned();
            let text = text.replace("192.168.100.1.40000 > 192.168.100.2.80", "->");
            text.replace("192.168.100.2.80 > 192.168.100.1.40000", "<-")
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn numbers_are_relative_from_the_second_acknowledgment_on() {
        let handshake = [
            frame(0, 1000, 0, tcp::SYN, 512, b""),
            frame(1, u32::MAX, 1001, tcp::SYN | OPEN, 512, b""),
            frame(0, 1001, 0, OPEN, 512, b""),
            frame(0, 1001, 0, OPEN | tcp::PSH, 512, b"abc"),
            frame(1, 0, 1004, OPEN, 512, b"de"),
            frame(1, 2, 1004, OPEN | tcp::FIN, 512, b""),
        ];
        insta::assert_snapshot!(said(&handshake), @r"
        IP ->: Flags [S], seq 1000, win 512, length 0
        IP <-: Flags [S.], seq 4294967295, ack 1001, win 512, length 0
        IP ->: Flags [.], ack 1, win 512, length 0
        IP ->: Flags [P.], seq 1:4, ack 1, win 512, length 3
        IP <-: Flags [.], seq 1:3, ack 4, win 512, length 2
        IP <-: Flags [F.], seq 3, ack 4, win 512, length 0
        ");
    }

    #[test]
    fn what_is_remarkable_is_said() {
        let frames = [
            frame(0, 1000, 500, OPEN, 512, b"abcd"),
            frame(1, 500, 1004, OPEN, 512, b"x"),
            frame(0, 1000, 501, OPEN, 512, b"abcd"), // again
            frame(0, 1008, 501, OPEN, 512, b"ijkl"), // 1004..1008 is missing
            frame(1, 501, 1004, OPEN, 512, b""),
            frame(1, 501, 1004, OPEN, 512, b""),
            frame(0, 1004, 501, OPEN, 512, b"efgh"), // there it is
            frame(0, 1004, 501, OPEN, 512, b"efgh"), // and again
            frame(1, 501, 1012, OPEN, 0, b""),
            frame(0, 1012, 501, OPEN, 512, b"m"),
            frame(1, 501, 1012, OPEN, 100, b""),
            frame(0, 1012, 501, OPEN, 512, b""), // keep-alive: one before the next
            frame(1, 501, 1013, OPEN, 100, b""),
            frame(0, 1012, 501, OPEN, 512, b""),
            frame(1, 501, 1013, OPEN, 100, b""),
            frame(0, 9000, 0, tcp::SYN, 512, b""),
        ];
        insta::assert_snapshot!(said(&frames), @r"
        IP ->: Flags [.], seq 1000:1004, ack 500, win 512, length 4
        IP <-: Flags [.], seq 1:2, ack 4, win 512, length 1
        IP ->: Flags [.], seq 0:4, ack 2, win 512, length 4 [retransmission]
        IP ->: Flags [.], seq 8:12, ack 2, win 512, length 4 [previous segment not seen]
        IP <-: Flags [.], ack 4, win 512, length 0 [dup ack 1]
        IP <-: Flags [.], ack 4, win 512, length 0 [dup ack 2]
        IP ->: Flags [.], seq 4:8, ack 2, win 512, length 4 [out of order]
        IP ->: Flags [.], seq 4:8, ack 2, win 512, length 4 [retransmission]
        IP <-: Flags [.], ack 12, win 0, length 0 [zero window]
        IP ->: Flags [.], seq 12:13, ack 2, win 512, length 1 [zero window probe]
        IP <-: Flags [.], ack 12, win 100, length 0 [window update]
        IP ->: Flags [.], ack 2, win 512, length 0 [keep-alive]
        IP <-: Flags [.], ack 13, win 100, length 0
        IP ->: Flags [.], ack 2, win 512, length 0 [keep-alive]
        IP <-: Flags [.], ack 13, win 100, length 0 [keep-alive ack]
        IP ->: Flags [S], seq 9000, win 512, length 0 [ports reused]
        ");
    }

    #[test]
    fn memory_is_bounded_and_the_youngest_are_kept() {
        let mut flows = Flows::default();
        let mut dissector = Dissector::default();
        for n in 0..3 * MEMORY as u32 {
            let mut bytes = frame(0, 1000, 500, OPEN, 512, b"abcd");
            bytes[26..30].copy_from_slice(&n.to_be_bytes());
            let stack = dissector.dissect(&bytes);
            assert_eq!(flows.observe(&stack).bases, None);
            assert_eq!(flows.observe(&stack).bases, Some((1000, 499)));
        }
        assert!(flows.young.len() <= MEMORY && flows.old.len() <= MEMORY);
    }
}
