//! Faults in how TCP opens connections and takes segments, on the frames around a good stack.
//!
//! They sit between the line and everything else, so that the rest of the device never sees what they
//! have changed. Each connection that the device has accepted is followed from its SYN and ACK on: what
//! is expected next, what was sent, and whether the handshake is over. From that a segment is made to look
//! like one that a good stack takes, or its answer like one that a good stack would not give.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use super::answers::{put32, reply_segment};
use super::faults::{Fault, Faults};
use super::own_faults::Fate;
use super::packet::{self, Flow, IP, Parts, Segment, flag, is_after};

const OWN_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
const OWN: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 2);
/// Connections that are followed at most.
const MEMORY: usize = 256;
/// By how much initial sequence numbers grow.
const STEP: u32 = 64_000;
/// An ACK further behind than that is an old one.
const OLD: u32 = 2000;
/// Less than that is little data.
const LITTLE: u32 = 8;
const URG: u8 = 0x20;

/// The state of these faults.
#[derive(Debug)]
pub struct SegmentFaults {
    faults: Faults,
    flows: HashMap<Flow, Track>,
    /// Data that came on a SYN.
    on_syn: HashMap<Flow, Vec<u8>>,
    /// The last initial sequence number that was made up.
    made_up: u32,
}

/// A connection, from the device's side.
#[derive(Clone, Copy, Debug, Default)]
struct Track {
    /// What the device expects next.
    expected: u32,
    /// What it has sent, and one more.
    sent: u32,
    /// Its handshake is over.
    is_open: bool,
    /// Its initial sequence number, and by how much that is shifted on the line.
    isn: u32,
    shift: u32,
}

impl SegmentFaults {
    /// These faults, as far as `faults` has them.
    pub fn new(faults: Faults) -> Self {
        let (flows, on_syn) = (HashMap::new(), HashMap::new());
        SegmentFaults { faults, flows, on_syn, made_up: 0 }
    }

    fn has(&self, fault: Fault) -> bool {
        self.faults.has(fault)
    }

    /// A frame from the line.
    pub fn received(&mut self, frame: &mut Vec<u8>) -> Fate {
        let Some(parts) = packet::parts(frame).filter(|p| p.protocol == 6 && p.offset == 0) else {
            return Fate::Taken;
        };
        if self.faults == Faults::none() {
            return Fate::Taken;
        }
        if self.has(Fault::LandKills) && parts.source == parts.destination {
            return Fate::Death;
        }
        self.forgive(frame, &parts);
        let Some(segment) = Segment::of(frame) else { return Fate::Taken };
        if self.has(Fault::ReservedRefused) && frame[segment.ip.transport + 12] & 15 != 0 {
            return Fate::Dropped;
        }
        if self.has(Fault::UnknownOptionStops) {
            end_options(frame, &segment);
        }
        let flow = Flow::of_received(&segment);
        if segment.has(flag::SYN) && !segment.has(flag::ACK) && !self.flows.contains_key(&flow) {
            self.on_syn.clear();
            self.on_syn.insert(flow, frame[segment.data..segment.ip.end].to_vec());
            return Fate::Taken;
        }
        let Some(mut track) = self.flows.get(&flow).copied() else {
            let is_reset = self.has(Fault::ResetAnswered) && segment.has(flag::RST);
            return match is_reset {
                true => Fate::Answered(reply_segment(frame, &segment, segment.ack, 0, flag::RST)),
                false => Fate::Taken,
            };
        };
        if track.shift != 0 && segment.has(flag::ACK) {
            put32(frame, parts.transport + 8, segment.ack.wrapping_sub(track.shift));
            packet::mend_transport(frame);
        }
        let Some(segment) = Segment::of(frame) else { return Fate::Taken };
        let fate = self.on_connection(frame, &segment, &track);
        track.is_open |= segment.has(flag::ACK) && segment.ack == track.sent;
        self.flows.insert(flow, track);
        fate
    }

    /// Makes good what a device that does not look takes for good.
    fn forgive(&self, frame: &mut [u8], parts: &Parts) {
        let length = parts.end - parts.transport;
        let Some(offset) = frame.get(parts.transport + 12).map(|byte| usize::from(byte >> 4) * 4)
        else {
            return;
        };
        if self.has(Fault::OffsetIgnored) && length >= 20 && !(20..=length).contains(&offset) {
            frame[parts.transport + 12] &= 15;
            frame[parts.transport + 12] |= 0x50;
            packet::mend_transport(frame);
        }
        let to = parts.destination;
        if self.has(Fault::GroupSynTaken) && (to.is_multicast() || to.octets()[3] == 255) {
            frame[..6].copy_from_slice(&OWN_MAC);
            frame[IP + 16..IP + 20].copy_from_slice(&OWN.octets());
            packet::mend(frame);
        }
    }

    /// A segment on a connection.
    fn on_connection(&mut self, frame: &mut Vec<u8>, segment: &Segment, track: &Track) -> Fate {
        let length = segment.length() as u32;
        let is_reset = segment.has(flag::RST);
        let keeps = if track.is_open { Fault::ResetIgnored } else { Fault::HalfOpenStays };
        if is_reset && self.has(keeps) && !segment.has(flag::SYN) {
            return Fate::Dropped;
        }
        if self.has(Fault::ByteDropped) && length == 1 {
            return Fate::Dropped;
        }
        let is_probe = length <= 1 && segment.seq.wrapping_add(1) == track.expected;
        if self.has(Fault::KeepaliveIgnored) && track.is_open && is_probe {
            return Fate::Dropped;
        }
        let urgent = u32::from(frame[segment.ip.transport + 18]) << 8
            | u32::from(frame[segment.ip.transport + 19]);
        if self.has(Fault::UrgentKills) && segment.has(URG) && urgent > length {
            return Fate::Death;
        }
        if self.closes(segment, track) {
            frame[segment.ip.transport + 13] = flag::RST;
            self.place(frame, segment, track.expected);
        } else if length > 0 {
            self.misplace(frame, segment, track);
            self.double(frame, segment);
        }
        Fate::Taken
    }

    /// Whether a segment that should not closes a connection.
    fn closes(&self, segment: &Segment, track: &Track) -> bool {
        let has_ack = segment.has(flag::ACK) && track.is_open;
        let behind = track.sent.wrapping_sub(segment.ack);
        self.has(Fault::FutureAckCloses) && has_ack && is_after(segment.ack, track.sent)
            || self.has(Fault::OldAckCloses) && has_ack && (OLD..1 << 31).contains(&behind)
            || self.has(Fault::NonsenseCloses) && segment.has(flag::SYN | flag::FIN)
    }

    /// Gives data the place that is expected next, where a good stack looks at its own.
    fn misplace(&self, frame: &mut [u8], segment: &Segment, track: &Track) {
        let end = segment.seq.wrapping_add(segment.length() as u32);
        let fault = match () {
            () if is_after(segment.seq, track.expected) => Fault::EarlyTaken,
            () if segment.seq == track.expected => return,
            () if is_after(end, track.expected) => Fault::OverlapWhole,
            () => Fault::DuplicateTaken,
        };
        if self.has(fault) {
            self.place(frame, segment, track.expected);
        }
    }

    fn place(&self, frame: &mut [u8], segment: &Segment, seq: u32) {
        put32(frame, segment.ip.transport + 4, seq);
        packet::mend_transport(frame);
    }

    /// Puts the data of the SYN in front of the first data.
    fn double(&mut self, frame: &mut Vec<u8>, segment: &Segment) {
        let kept = self.on_syn.remove(&Flow::of_received(segment)).unwrap_or_default();
        if self.has(Fault::SynDataDoubled) && !kept.is_empty() {
            insert(frame, segment.data, &kept);
        }
    }

    /// A frame to the line: whether it goes.
    pub fn sent(&mut self, frame: &mut Vec<u8>) -> bool {
        if self.faults == Faults::none() {
            return true;
        }
        let Some(segment) = Segment::of(frame) else { return true };
        let flow = Flow::of_sent(&segment);
        let before = self.flows.get(&flow).copied();
        if segment.has(flag::SYN) && before.is_none_or(|track| track.isn != segment.seq) {
            if self.flows.len() >= MEMORY {
                self.flows.clear();
            }
            self.made_up = self.made_up.wrapping_add(STEP);
            let shift = match self.has(Fault::IsnSteps) {
                true => self.made_up.wrapping_sub(segment.seq),
                false => 0,
            };
            self.flows.insert(flow, Track { isn: segment.seq, shift, ..Track::default() });
        }
        let Some(track) = self.flows.get_mut(&flow) else { return true };
        let signs = u32::from(segment.has(flag::SYN)) + u32::from(segment.has(flag::FIN));
        let end = segment.seq.wrapping_add(segment.length() as u32).wrapping_add(signs);
        if segment.has(flag::SYN) || is_after(end, track.sent) {
            track.sent = end;
        }
        let advance = segment.ack.wrapping_sub(track.expected);
        let (is_open, shift) = (track.is_open, track.shift);
        if segment.has(flag::ACK) {
            track.expected = segment.ack;
        }
        if segment.has(flag::RST) {
            self.flows.remove(&flow);
        }
        if shift != 0 {
            put32(frame, segment.ip.transport + 4, segment.seq.wrapping_add(shift));
            packet::mend_transport(frame);
        }
        self.spoil(frame, &segment);
        let is_little = is_open && segment.length() == 0 && (1..LITTLE).contains(&advance);
        !(self.has(Fault::SmallAckWithheld) && is_little && segment.flags == flag::ACK)
    }

    /// Changes what a segment of the device says.
    fn spoil(&self, frame: &mut Vec<u8>, segment: &Segment) {
        const MSS: [u8; 4] = [2, 4, 5, 0xb4];
        const WINDOW_SCALE: [u8; 4] = [1, 3, 3, 2];
        let is_syn = segment.has(flag::SYN);
        if self.has(Fault::SynAckShort) && is_syn {
            put32(frame, segment.ip.transport + 8, segment.ack.wrapping_sub(1));
            packet::mend_transport(frame);
        }
        if self.has(Fault::MssHuge) && is_syn {
            let named: Vec<_> = segment.options(frame).filter(|(kind, ..)| *kind == 2).collect();
            for (_, at, _) in named {
                frame[at + 2..at + 4].copy_from_slice(&9000u16.to_be_bytes());
            }
            packet::mend_transport(frame);
        }
        let has_scale = segment.options(frame).any(|(kind, ..)| kind == 3);
        if self.has(Fault::OptionUnoffered) && is_syn && !has_scale {
            add_option(frame, segment, &WINDOW_SCALE);
        }
        if self.has(Fault::MssEverywhere) && !is_syn && segment.length() == 0 {
            add_option(frame, segment, &MSS);
        }
    }
}

/// Ends a list of options at the first that is unknown.
fn end_options(frame: &mut [u8], segment: &Segment) {
    let unknown = segment.options(frame).find(|(kind, ..)| *kind > 8).map(|(_, at, _)| at);
    if let Some(at) = unknown {
        frame[at..segment.data].fill(0);
        packet::mend_transport(frame);
    }
}

/// Puts an option of whole words behind the others, where there is room.
fn add_option(frame: &mut Vec<u8>, segment: &Segment, option: &[u8]) {
    let words = segment.data - segment.ip.transport + option.len();
    if words <= 60 {
        frame[segment.ip.transport + 12] = (words as u8 / 4) << 4;
        insert(frame, segment.data, option);
    }
}

/// Puts bytes into a packet, and makes its length and its checksums right.
fn insert(frame: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    frame.splice(at..at, bytes.iter().copied());
    let length = u16::from_be_bytes([frame[IP + 2], frame[IP + 3]]);
    let length = length.wrapping_add(bytes.len() as u16);
    frame[IP + 2..IP + 4].copy_from_slice(&length.to_be_bytes());
    packet::mend(frame);
}
