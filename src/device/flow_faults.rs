//! Faults of connections whose data flows and ends: in front of a good stack, on single frames, with what
//! has to be remembered of each connection.

use std::collections::HashMap;

use super::answers::{WINDOW, put32};
use super::faults::{Fault, Faults};
use super::packet::{self, Flow, IP, Parts, Segment, flag};
use crate::proto::{be16, ipv4_at};

/// Connections that are followed at most.
const MEMORY: usize = 256;
/// A window that is taken for a mistake.
const SMALL_WINDOW: u16 = 1000;
/// Bytes of an ICMP error in front of what it quotes.
const ERROR_HEADER: usize = 8;

/// What is known of a connection.
#[derive(Clone, Copy, Debug, Default)]
struct Track {
    /// The peer's initial sequence number.
    isn: u32,
    /// What the device has acknowledged last.
    acknowledged: Option<u32>,
    /// The window that the peer has announced last.
    window: u16,
    /// The sequence number behind the peer's FIN.
    fin: Option<u32>,
}

/// The state of these faults.
#[derive(Debug)]
pub struct FlowFaults {
    faults: Faults,
    flows: HashMap<Flow, Track>,
}

impl FlowFaults {
    /// These faults, as far as `faults` has them.
    pub fn new(faults: Faults) -> Self {
        FlowFaults { faults, flows: HashMap::new() }
    }

    fn has(&self, fault: Fault) -> bool {
        self.faults.has(fault)
    }

    /// A frame from the line: whether the device takes it, as it is now.
    pub fn received(&mut self, frame: &mut Vec<u8>) -> bool {
        let Some(parts) = packet::parts(frame) else { return true };
        if parts.protocol == 1 && self.has(Fault::IcmpAborts) {
            self.error_to_reset(frame, &parts);
        }
        let Some(segment) = Segment::of(frame) else { return true };
        if self.has(Fault::LargeDefaultMss) {
            name_mss(frame, &segment);
        }
        let window_at = segment.ip.transport + 14;
        let window = be16(frame, window_at).unwrap_or_default();
        if self.has(Fault::WindowIgnored) && window < SMALL_WINDOW {
            frame[window_at..window_at + 2].copy_from_slice(&(WINDOW as u16).to_be_bytes());
            packet::mend_transport(frame);
        }
        let flow = Flow::of_received(&segment);
        if self.flows.len() >= MEMORY && !self.flows.contains_key(&flow) {
            self.flows.clear();
        }
        let track = self.flows.entry(flow).or_default();
        if segment.has(flag::SYN) {
            *track = Track { isn: segment.seq, ..Track::default() };
        }
        track.window = window;
        if segment.has(flag::FIN) {
            track.fin = Some(segment.seq.wrapping_add(segment.length() as u32 + 1));
        }
        let has_wrapped = segment.seq < track.isn;
        !(has_wrapped && self.has(Fault::SequenceUnwrapped))
    }

    /// A frame from the stack: whether it goes to the line, as it is now.
    pub fn sent(&mut self, frame: &mut [u8]) -> bool {
        let Some(segment) = Segment::of(frame) else { return true };
        let Some(track) = self.flows.get_mut(&Flow::of_sent(&segment)) else { return true };
        if segment.has(flag::ACK) {
            track.acknowledged = Some(segment.ack);
        }
        let (fin, window) = (track.fin, track.window);
        if self.has(Fault::FinUnacknowledged) && fin == Some(segment.ack) {
            put32(frame, segment.ip.transport + 8, segment.ack.wrapping_sub(1));
            packet::mend_transport(frame);
        }
        let is_probe = window == 0 && segment.length() > 0;
        !(is_probe && self.has(Fault::NeverProbes))
    }

    /// Makes a reset of the connection out of an ICMP error that quotes one.
    fn error_to_reset(&self, frame: &mut Vec<u8>, parts: &Parts) {
        let is_error = matches!(frame.get(parts.transport), Some(3 | 4 | 11 | 12));
        let quoted = parts.transport + ERROR_HEADER;
        let ports = quoted + 20;
        let is_segment = is_error && frame.get(quoted + 9) == Some(&6);
        let (Some(peer), Some(port), Some(peer_port)) =
            (ipv4_at(frame, quoted + 16), be16(frame, ports), be16(frame, ports + 2))
        else {
            return;
        };
        let track = self.flows.get(&Flow { peer, peer_port, port });
        let Some(seq) = track.and_then(|track| track.acknowledged) else { return };
        if !is_segment || parts.transport != IP + 20 {
            return;
        }
        let mut reset = [peer_port.to_be_bytes(), port.to_be_bytes()].concat();
        reset.extend(seq.to_be_bytes());
        reset.extend([0, 0, 0, 0, 0x50, flag::RST, 0, 0, 0, 0, 0, 0]);
        frame.truncate(parts.transport);
        frame.extend_from_slice(&reset);
        frame[IP + 9] = 6;
        frame[IP + 2..IP + 4].copy_from_slice(&(20 + reset.len() as u16).to_be_bytes());
        packet::mend(frame);
    }
}

/// Gives a SYN without options an MSS of 1460.
fn name_mss(frame: &mut Vec<u8>, segment: &Segment) {
    let options = segment.ip.transport + 20;
    if !segment.has(flag::SYN) || segment.data != options {
        return;
    }
    frame.splice(options..options, [2, 4, 5, 180]);
    frame[segment.ip.transport + 12] = 0x60;
    let length = be16(frame, IP + 2).unwrap_or_default().saturating_add(4);
    frame[IP + 2..IP + 4].copy_from_slice(&length.to_be_bytes());
    packet::mend(frame);
}
