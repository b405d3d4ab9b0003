//! The faults that sit on frames, around a good device, and what is mended in front of the stack.
//!
//! smoltcp resets a connection for any RST in the window, and is silent on a SYN for one that is
//! there; RFC 9293 section 3.10.7.4 (from RFC 5961) wants an RST's sequence number to be exact, and a
//! challenge ACK otherwise: those RSTs and SYNs stop here.
//!
//! What comes from the line passes [`FrameFaults::received`], what goes there
//! [`FrameFaults::sent`]. Between the two it follows each TCP connection as far as the faults need.

use std::collections::{HashMap, VecDeque};
use std::net::Ipv4Addr;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::answers::{
    TTL, WINDOW, checksum_is_right, error_for_error, put32, raise_mss, reply_segment, rst_for,
};
use super::counters::Counters;
use super::faults::{Fault, Faults};
use super::packet::{self, Flow, IP, Parts, Segment, flag, is_after};
use crate::clock::Timestamp;
use crate::proto::icmp;

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
    /// It was answered by a challenge ACK.
    is_challenged: bool,
}

impl Received {
    /// Answers a sound segment by a challenge ACK (RFC 5961 sections 3.2 and 4.2).
    fn challenge(&mut self, frame: &[u8], segment: &Segment, expected: u32, sent: Option<u32>) {
        if let (true, Some(sent)) = (checksum_is_right(frame, segment), sent) {
            self.answer.push(reply_segment(frame, segment, sent, expected, flag::ACK));
            self.is_challenged = true;
        }
    }
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
    /// When the peer was last heard.
    heard: Timestamp,
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

    /// A frame has come from the line; `life` tells which connections the stack has.
    pub fn received(
        &mut self,
        now: Timestamp,
        mut frame: Vec<u8>,
        life: &dyn Fn(&Flow) -> bool,
        counters: &mut Counters,
    ) -> Received {
        let mut out = Received::default();
        self.overwrite_aliased(&frame, &mut out);
        if let Some(parts) = packet::parts(&frame) {
            self.forgive(&mut frame, &parts);
            match parts.protocol {
                1 if self.has(Fault::ErrorForError) => {
                    out.answer.extend(error_for_error(&frame, &parts));
                }
                6 => self.received_segment(now, &mut frame, life, counters, &mut out),
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

    fn received_segment(
        &mut self,
        now: Timestamp,
        frame: &mut [u8],
        life: &dyn Fn(&Flow) -> bool,
        counters: &mut Counters,
        out: &mut Received,
    ) {
        let Some(segment) = Segment::of(frame) else { return };
        let flow = Flow::of_received(&segment);
        counters.tcp_received += 1;
        counters.tcp_resets_received += u64::from(segment.has(flag::RST));
        if !life(&flow) {
            self.flows.remove(&flow);
        }
        if let Some(track) = self.flows.get_mut(&flow) {
            track.heard = now;
        }
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
        let is_syn = segment.flags & (flag::SYN | flag::RST | flag::ACK) == flag::SYN;
        if let (true, Some(expected)) = (is_syn, track.expected) {
            out.is_stopped = true;
            out.challenge(frame, &segment, expected, track.sent);
        }
        counters.tcp_challenge_acks += u64::from(out.is_challenged);
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
        if segment.seq.wrapping_sub(expected) < WINDOW {
            out.challenge(frame, segment, expected, sent);
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
    pub fn sent(
        &mut self,
        now: Timestamp,
        mut frame: Vec<u8>,
        counters: &mut Counters,
    ) -> Vec<(Vec<u8>, Duration)> {
        if let Some(parts) = packet::parts(&frame) {
            self.dress(&mut frame, &parts);
            let goes = match parts.protocol {
                1 => self.sent_icmp(&mut frame, &parts),
                6 => self.sent_segment(now, &mut frame, counters),
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
    fn sent_segment(&mut self, now: Timestamp, frame: &mut [u8], counters: &mut Counters) -> bool {
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
        let is_same_syn = segment.has(flag::SYN) && track.syn_ack == Some(segment.seq);
        counters.tcp_sent += 1;
        counters.tcp_retransmitted += u64::from(is_old || is_same_syn);
        counters.tcp_resets_sent += u64::from(segment.has(flag::RST));
        if segment.has(flag::RST) {
            self.flows.remove(&flow);
            return self.sent_rst(frame, &segment);
        }
        let is_repeated = |fault, is: bool| self.has(fault) && is;
        let hidden = is_repeated(Fault::DataOnce, is_old)
            || is_repeated(Fault::NoBackoff, is_old)
            || is_repeated(Fault::NoDuplicateAck, is_pure && track.last_ack == Some(segment.ack))
            || is_repeated(Fault::SynAckOnce, is_same_syn);
        self.follow(now, flow, track, &segment, end);
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

    /// When the peer of a connection was last heard.
    pub fn heard(&self, flow: &Flow) -> Option<Timestamp> {
        self.flows.get(flow).map(|track| track.heard)
    }

    fn follow(
        &mut self,
        now: Timestamp,
        flow: Flow,
        mut track: Track,
        segment: &Segment,
        end: u32,
    ) {
        let takes = u32::from(segment.has(flag::SYN)) + u32::from(segment.has(flag::FIN));
        let end = end.wrapping_add(takes);
        if segment.has(flag::SYN) {
            track = Track { syn_ack: Some(segment.seq), heard: now, ..Track::default() };
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
