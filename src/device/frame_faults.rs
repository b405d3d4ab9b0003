//! The faults that sit on frames, around a good device, and what is mended in front of the stack.
//!
//! smoltcp resets a connection for any RST in the window; RFC 9293 section 3.5.3 (from RFC 5961) wants
//! an exact sequence number, and a challenge ACK otherwise: those RSTs stop here.
//!
//! What comes from the line passes [`FrameFaults::received`], what goes there
//! [`FrameFaults::sent`]. Between the two it follows each TCP connection as far as the faults need.

use std::collections::{HashMap, VecDeque};
use std::net::Ipv4Addr;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::faults::{Fault, Faults};
use super::packet::{self, Flow, IP, Parts, Segment, flag, is_after};
use crate::checksum::{self, Sum};
use crate::clock::Timestamp;
use crate::proto::icmp;

/// The TTL of packets from the device, as lwIP sends them; the stack's own is 64.
const TTL: u8 = 255;
/// Connections that are followed at most.
const MEMORY: usize = 256;
/// A frame padded to what Ethernet hardware sends.
const PADDED: usize = 60;

/// What comes of a frame from the line.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Frames for the device, in order.
    pub deliver: Vec<Vec<u8>>,
    /// Frames to send at once.
    pub answer: Vec<Vec<u8>>,
    /// The device has died of it.
    pub death: bool,
    /// The frame itself is not for the device.
    is_stopped: bool,
}

/// The state of the frame layer.
#[derive(Debug)]
pub struct FrameFaults {
    faults: Faults,
    random: ChaCha8Rng,
    next_id: u16,
    flows: HashMap<Flow, Track>,
    /// Protocols of first fragments, by source and identification.
    fragments: VecDeque<((Ipv4Addr, u16), u8)>,
    /// Segments out of order that lie in the one receive buffer.
    aliased: Vec<Vec<u8>>,
    /// Data that is sent again after a fixed time.
    unacknowledged: Option<(Flow, u32, Vec<u8>, Timestamp)>,
}

/// What is known of a connection, from the device's side.
#[derive(Clone, Copy, Debug, Default)]
struct Track {
    /// What the device expects next.
    expected: Option<u32>,
    /// The highest sequence number that it has sent, plus one.
    sent: Option<u32>,
    /// The acknowledgement number of its last segment without data.
    last_ack: Option<u32>,
    /// The initial sequence number of its SYN+ACK.
    syn_ack: Option<u32>,
}

impl FrameFaults {
    /// A frame layer with these faults; `seed` decides what chance decides.
    pub fn new(faults: Faults, seed: u64) -> Self {
        FrameFaults {
            faults,
            random: ChaCha8Rng::seed_from_u64(seed),
            next_id: 1,
            flows: HashMap::new(),
            fragments: VecDeque::new(),
            aliased: Vec::new(),
            unacknowledged: None,
        }
    }

    fn has(&self, fault: Fault) -> bool {
        self.faults.has(fault)
    }

    /// A frame has come from the line.
    pub fn received(&mut self, mut frame: Vec<u8>) -> Received {
        let mut out = Received::default();
        self.overwrite_aliased(&frame, &mut out);
        if let Some(parts) = packet::parts(&frame) {
            self.forgive(&mut frame, &parts);
            match parts.protocol {
                1 if self.has(Fault::ErrorForError) => answer_error(&frame, &parts, &mut out),
                6 => self.received_segment(&mut frame, &mut out),
                _ => {}
            }
        }
        if !out.is_stopped {
            out.deliver.push(frame);
        }
        out
    }

    /// Makes good what a faulty device does not look at.
    fn forgive(&mut self, frame: &mut [u8], parts: &Parts) {
        let unchecked = match parts.protocol {
            1 => self.has(Fault::IcmpChecksumUnchecked),
            6 => self.has(Fault::TcpChecksumUnchecked),
            17 => self.has(Fault::UdpChecksumUnchecked),
            _ => false,
        };
        if self.has(Fault::IpChecksumUnchecked) {
            packet::mend_ip(frame);
        }
        if unchecked && !parts.more && parts.offset == 0 {
            packet::mend_transport(frame);
        }
        if self.has(Fault::FirstFragmentWhole) && parts.more && parts.offset == 0 {
            frame[IP + 6] &= !0x20;
            packet::mend_ip(frame);
        }
        if self.has(Fault::FragmentKeyless) {
            self.unify_protocol(frame, parts);
        }
    }

    /// Gives later fragments the protocol of the first.
    fn unify_protocol(&mut self, frame: &mut [u8], parts: &Parts) {
        let key = (parts.source, parts.id);
        if parts.more && parts.offset == 0 {
            self.fragments.push_back((key, parts.protocol));
            self.fragments.truncate(64);
        }
        let first = self.fragments.iter().find(|(other, _)| *other == key);
        if let (Some((_, protocol)), true) = (first, parts.offset > 0) {
            frame[IP + 9] = *protocol;
            packet::mend_ip(frame);
        }
    }

    fn received_segment(&mut self, frame: &mut [u8], out: &mut Received) {
        let Some(segment) = Segment::of(frame) else { return };
        let flow = Flow::of_received(&segment);
        let track = self.flows.get(&flow).copied().unwrap_or_default();
        if segment.has(flag::ACK)
            && self
                .unacknowledged
                .as_ref()
                .is_some_and(|(other, end, ..)| *other == flow && !is_after(*end, segment.ack))
        {
            self.unacknowledged = None;
        }
        if self.has(Fault::ZeroOptionKills) {
            out.death |= segment.options(frame).any(|(kind, _, length)| kind > 1 && length == 0);
        }
        if self.has(Fault::MssIgnored) && segment.has(flag::SYN) {
            raise_mss(frame, &segment);
        }
        if let (true, Some(expected)) = (segment.has(flag::RST), track.expected)
            && segment.seq != expected
        {
            self.inexact_rst(frame, &segment, expected, track.sent, out);
        }
        let control = segment.flags & (flag::SYN | flag::RST | flag::ACK);
        if let (0, Some(sent)) = (control, track.sent)
            && self.has(Fault::NoAckTaken)
            && segment.length() > 0
        {
            frame[segment.ip.transport + 13] |= flag::ACK;
            put32(frame, segment.ip.transport + 8, sent);
            packet::mend_transport(frame);
        }
        if control == 0 && track.sent.is_none() && self.has(Fault::StrayRst) {
            out.answer.push(rst_for(frame, &segment));
        }
        let is_ahead = track.expected.is_some_and(|expected| is_after(segment.seq, expected));
        if self.has(Fault::RxAlias) && segment.length() > 0 && is_ahead {
            self.aliased.push(frame.to_vec());
        }
    }

    /// An RST for a connection whose sequence number is not exactly the expected one.
    fn inexact_rst(
        &self,
        frame: &mut [u8],
        segment: &Segment,
        expected: u32,
        sent: Option<u32>,
        out: &mut Received,
    ) {
        if self.has(Fault::AnyRstCloses) {
            put32(frame, segment.ip.transport + 4, expected);
            packet::mend_transport(frame);
            return;
        }
        out.is_stopped = true;
        let is_in_window = segment.seq.wrapping_sub(expected) < WINDOW;
        let is_sound = checksum_is_right(frame, segment);
        if let (true, true, Some(sent)) = (is_in_window, is_sound, sent) {
            out.answer.push(reply_segment(frame, segment, sent, expected, flag::ACK));
        }
    }

    /// The next frame lands in the buffer in which segments out of order still lie.
    fn overwrite_aliased(&mut self, next: &[u8], out: &mut Received) {
        for mut frame in std::mem::take(&mut self.aliased) {
            let Some(segment) = Segment::of(&frame) else { continue };
            let end = segment.ip.end.min(next.len()).max(segment.data);
            frame[segment.data..end].copy_from_slice(&next[segment.data..end]);
            packet::mend_transport(&mut frame);
            out.deliver.push(frame);
        }
    }

    /// A frame goes to the line: the frames that really go, and how long each is held back.
    pub fn sent(&mut self, now: Timestamp, mut frame: Vec<u8>) -> Vec<(Vec<u8>, Duration)> {
        if let Some(parts) = packet::parts(&frame) {
            self.dress(&mut frame, &parts);
            let goes = match parts.protocol {
                1 => self.sent_icmp(&mut frame, &parts),
                6 => self.sent_segment(now, &mut frame),
                _ => true,
            };
            if !goes {
                return Vec::new();
            }
        }
        if self.has(Fault::LosesFrames) && self.random.random_range(0..50) == 0 {
            return Vec::new();
        }
        if self.has(Fault::Padded) && frame.len() < PADDED {
            frame.resize(PADDED, 0);
        }
        let is_icmp = packet::parts(&frame).is_some_and(|parts| parts.protocol == 1);
        let copies = if is_icmp && self.has(Fault::IcmpTwice) { 2 } else { 1 };
        let delay = self.delay();
        std::iter::repeat_n((frame, delay), copies).collect()
    }

    fn delay(&mut self) -> Duration {
        let mut delay = Duration::ZERO;
        if self.has(Fault::Slow) {
            delay += Duration::from_millis(40);
        }
        if self.has(Fault::Jittered) {
            delay += Duration::from_micros(self.random.random_range(0..30_000));
        }
        delay
    }

    /// TTL, DF and identification as lwIP sends them.
    fn dress(&mut self, frame: &mut [u8], parts: &Parts) {
        if !self.has(Fault::Ttl64) {
            frame[IP + 8] = TTL;
        }
        if !parts.more && parts.offset == 0 {
            let id = self.next_id;
            self.next_id = self.next_id.wrapping_add(1);
            frame[IP + 4..IP + 6].copy_from_slice(&id.to_be_bytes());
            frame[IP + 6] &= !0x40;
        }
        if self.has(Fault::DontFragment) {
            frame[IP + 6] |= 0x40;
        }
        packet::mend_ip(frame);
    }

    /// Whether it goes.
    fn sent_icmp(&mut self, frame: &mut [u8], parts: &Parts) -> bool {
        let at = parts.transport;
        let kind = (frame.get(at).copied(), frame.get(at + 1).copied());
        if kind == (Some(icmp::UNREACHABLE), Some(3)) && self.has(Fault::NoPortUnreachable) {
            return false;
        }
        if kind.0 == Some(icmp::ECHO_REPLY) && self.has(Fault::EchoIdSwapped) {
            frame.swap(at + 4, at + 5);
            packet::mend_transport(frame);
        }
        true
    }

    /// Whether it goes.
    fn sent_segment(&mut self, now: Timestamp, frame: &mut [u8]) -> bool {
        let Some(segment) = Segment::of(frame) else { return true };
        let flow = Flow::of_sent(&segment);
        if self.flows.len() >= MEMORY && !self.flows.contains_key(&flow) {
            self.flows.clear();
        }
        let track = self.flows.get(&flow).copied().unwrap_or_default();
        let length = segment.length() as u32;
        let end = segment.seq.wrapping_add(length);
        let is_old = length > 0 && track.sent.is_some_and(|sent| !is_after(end, sent));
        let is_pure = length == 0 && segment.flags == flag::ACK;
        if segment.has(flag::RST) {
            self.flows.remove(&flow);
            return self.sent_rst(frame, &segment);
        }
        let is_repeated = |fault, is: bool| self.has(fault) && is;
        let hidden = is_repeated(Fault::DataOnce, is_old)
            || is_repeated(Fault::NoBackoff, is_old)
            || is_repeated(Fault::NoDuplicateAck, is_pure && track.last_ack == Some(segment.ack))
            || is_repeated(
                Fault::SynAckOnce,
                segment.has(flag::SYN | flag::ACK) && track.syn_ack == Some(segment.seq),
            );
        self.follow(flow, track, &segment, end);
        if self.has(Fault::NoBackoff) && length > 0 && !is_old {
            self.unacknowledged = Some((flow, end, frame.to_vec(), now + RESEND));
        }
        !hidden
    }

    /// Whether it goes.
    fn sent_rst(&self, frame: &mut [u8], segment: &Segment) -> bool {
        if self.has(Fault::RstAck) && segment.has(flag::ACK) && segment.seq == 0 {
            put32(frame, segment.ip.transport + 8, segment.ack.wrapping_sub(1));
            packet::mend_transport(frame);
        }
        !self.has(Fault::ClosedSilent)
    }

    fn follow(&mut self, flow: Flow, mut track: Track, segment: &Segment, end: u32) {
        let takes = u32::from(segment.has(flag::SYN)) + u32::from(segment.has(flag::FIN));
        let end = end.wrapping_add(takes);
        if segment.has(flag::SYN) {
            track = Track { syn_ack: Some(segment.seq), ..Track::default() };
        }
        if segment.has(flag::ACK) {
            track.expected = Some(segment.ack);
            track.last_ack = Some(segment.ack);
        }
        track.sent = match track.sent {
            Some(sent) if !is_after(end, sent) => Some(sent),
            _ => Some(end),
        };
        self.flows.insert(flow, track);
    }

    /// When something is to be sent without being asked.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.unacknowledged.as_ref().map(|(.., due)| *due)
    }

    /// What is to be sent again by `now`.
    pub fn resend(&mut self, now: Timestamp) -> Option<Vec<u8>> {
        let (_, _, frame, due) = self.unacknowledged.as_mut().filter(|(.., due)| *due <= now)?;
        *due = now + RESEND;
        Some(frame.clone())
    }
}

/// The fixed time of a device that does not back off.
const RESEND: Duration = Duration::from_secs(1);

fn put32(frame: &mut [u8], at: usize, value: u32) {
    frame[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

/// Makes every MSS option of a SYN say 1460.
fn raise_mss(frame: &mut [u8], segment: &Segment) {
    let found: Vec<_> = segment.options(frame).filter(|(kind, ..)| *kind == 2).collect();
    for (_, at, length) in found {
        if length == 4 && at + 4 <= segment.data {
            frame[at + 2..at + 4].copy_from_slice(&1460u16.to_be_bytes());
        }
    }
    packet::mend_transport(frame);
}

/// An IPv4 frame back to the sender of `frame`, with this protocol and payload.
fn back(frame: &[u8], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(IP + 20 + payload.len());
    out.extend_from_slice(&frame[6..12]);
    out.extend_from_slice(&frame[..6]);
    out.extend([0x08, 0x00, 0x45, 0]);
    out.extend((20 + payload.len() as u16).to_be_bytes());
    out.extend([0, 0, 0, 0, TTL, protocol, 0, 0]);
    out.extend_from_slice(&frame[IP + 16..IP + 20]);
    out.extend_from_slice(&frame[IP + 12..IP + 16]);
    out.extend_from_slice(payload);
    packet::mend(&mut out);
    out
}

/// The stack's receive window, in bytes.
const WINDOW: u32 = 5840;

fn checksum_is_right(frame: &[u8], segment: &Segment) -> bool {
    let ip = &segment.ip;
    let start = Sum::pseudo(ip.source, ip.destination, 6, ip.end - ip.transport);
    start.plus(&frame[ip.transport..ip.end]).finish() == 0
}

/// The RST that a segment without ACK would get if it were not for a listener.
fn rst_for(frame: &[u8], segment: &Segment) -> Vec<u8> {
    let takes = segment.length() as u32 + u32::from(segment.has(flag::FIN));
    let ack = segment.seq.wrapping_add(takes);
    reply_segment(frame, segment, 0, ack, flag::RST | flag::ACK)
}

/// A segment without data back to the sender of `frame`.
fn reply_segment(frame: &[u8], segment: &Segment, seq: u32, ack: u32, flags: u8) -> Vec<u8> {
    let mut tcp = Vec::with_capacity(20);
    tcp.extend(segment.destination_port.to_be_bytes());
    tcp.extend(segment.source_port.to_be_bytes());
    tcp.extend(seq.to_be_bytes());
    tcp.extend(ack.to_be_bytes());
    tcp.extend([0x50, flags]);
    tcp.extend((WINDOW as u16).to_be_bytes());
    tcp.extend([0, 0, 0, 0]);
    back(frame, 6, &tcp)
}

/// Answers an ICMP error by another, which RFC 1122 section 3.2.2 forbids.
fn answer_error(frame: &[u8], parts: &Parts, out: &mut Received) {
    let is_error = matches!(frame.get(parts.transport), Some(3 | 4 | 5 | 11 | 12));
    if is_error && checksum::internet(&frame[parts.transport..parts.end]) == 0 {
        let mut message = vec![icmp::UNREACHABLE, 3, 0, 0, 0, 0, 0, 0];
        message.extend_from_slice(&frame[IP..parts.end.min(parts.transport + 8)]);
        out.answer.push(back(frame, 1, &message));
    }
}
