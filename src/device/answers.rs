//! Frames that are made without the stack: answers and changes.

use super::packet::{self, IP, Parts, Segment, flag};
use crate::checksum::{self, Sum};
use crate::proto::icmp;

/// The TTL of packets from the device, as lwIP sends them; the stack's own is 64.
pub const TTL: u8 = 255;

/// Writes a number of 32 bits at `at`.
pub fn put32(frame: &mut [u8], at: usize, value: u32) {
    frame[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

/// Makes every MSS option of a SYN say 1460.
pub fn raise_mss(frame: &mut [u8], segment: &Segment) {
    let found: Vec<_> = segment.options(frame).filter(|(kind, ..)| *kind == 2).collect();
    for (_, at, length) in found {
        if length == 4 && at + 4 <= segment.data {
            frame[at + 2..at + 4].copy_from_slice(&1460u16.to_be_bytes());
        }
    }
    packet::mend_transport(frame);
}

/// An IPv4 frame back to the sender of `frame`, with this protocol and payload.
pub fn back(frame: &[u8], protocol: u8, payload: &[u8]) -> Vec<u8> {
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
pub const WINDOW: u32 = 5840;

/// Whether a segment's checksum is right.
pub fn checksum_is_right(frame: &[u8], segment: &Segment) -> bool {
    let ip = &segment.ip;
    let start = Sum::pseudo(ip.source, ip.destination, 6, ip.end - ip.transport);
    start.plus(&frame[ip.transport..ip.end]).finish() == 0
}

/// The RST that a segment without ACK would get if it were not for a listener.
pub fn rst_for(frame: &[u8], segment: &Segment) -> Vec<u8> {
    let takes = segment.length() as u32 + u32::from(segment.has(flag::FIN));
    let ack = segment.seq.wrapping_add(takes);
    reply_segment(frame, segment, 0, ack, flag::RST | flag::ACK)
}

/// A segment without data back to the sender of `frame`.
pub fn reply_segment(frame: &[u8], segment: &Segment, seq: u32, ack: u32, flags: u8) -> Vec<u8> {
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
pub fn error_for_error(frame: &[u8], parts: &Parts) -> Option<Vec<u8>> {
    let is_error = matches!(frame.get(parts.transport), Some(3 | 4 | 5 | 11 | 12));
    if !is_error || checksum::internet(&frame[parts.transport..parts.end]) != 0 {
        return None;
    }
    let mut message = vec![icmp::UNREACHABLE, 3, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(&frame[IP..parts.end.min(parts.transport + 8)]);
    Some(back(frame, 1, &message))
}
