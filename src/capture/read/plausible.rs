//! What bytes look like when nobody says what they are.

use bytes::Bytes;

use crate::checksum;
use crate::clock::Timestamp;
use crate::framing::Framing;
use crate::proto::{arp, be16, ethernet};
use crate::record::{Body, Direction, Origin};

/// EtherTypes that frames of real networks have: IPv4, ARP, VLAN tags, IPv6, PPPoE, LLDP.
const ETHERTYPES: [u16; 8] = [0x0800, 0x0806, 0x8100, 0x86dd, 0x88a8, 0x8863, 0x8864, 0x88cc];

/// Whether `bytes` look like an Ethernet frame: the source is one station, and the EtherType is known and
/// agrees with what follows.
pub(super) fn is_ethernet(bytes: &[u8]) -> bool {
    let Some(source) = ethernet::source(bytes) else { return false };
    let Some(kind) = be16(bytes, 12).filter(|kind| ETHERTYPES.contains(kind)) else { return false };
    let version = bytes.get(ethernet::HEADER).map(|byte| byte >> 4);
    source[0] & 1 == 0
        && match kind {
            0x0800 => version.is_none_or(|version| version == 4),
            0x86dd => version.is_none_or(|version| version == 6),
            _ => true,
        }
}

/// How long the packet is that `bytes` begin with, if they look like an IP packet: at least as long as they
/// are, unless they end with padding.
pub(super) fn ip_length(bytes: &[u8]) -> Option<usize> {
    let first = *bytes.first()?;
    match first >> 4 {
        4 => {
            let header = usize::from(first & 15) * 4;
            let total = usize::from(be16(bytes, 2)?);
            let is_right = header >= 20
                && total >= header
                && bytes.get(..header).is_some_and(|header| checksum::internet(header) == 0);
            is_right.then_some(total)
        }
        6 => {
            let total = 40 + usize::from(be16(bytes, 4)?);
            let is_right = bytes.len() >= 40 && total >= bytes.len();
            is_right.then_some(total)
        }
        _ => None,
    }
}

/// Whether `bytes` look like ARP without an Ethernet header.
pub(super) fn is_arp(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0, 1, 8, 0, 6, 4, 0]) && bytes.len() >= arp::LENGTH
}

/// Whether `bytes`, the beginning of something or all of it, are a stream of this framing: frames in step
/// from the start or from soon after, and hardly anything else.
pub(super) fn is_stream(framing: &Framing, max_frame: usize, bytes: &Bytes, is_all: bool) -> bool {
    let mut decoder = (framing.decoder)(Origin::new(Direction::Unknown), max_frame);
    let mut records = Vec::new();
    decoder.push(Timestamp::default(), bytes, &mut records);
    match is_all {
        true => decoder.finish(Timestamp::default(), &mut records),
        false => decoder.idle(Timestamp::default(), &mut records),
    }
    let mut tally = Tally::default();
    records.iter().for_each(|record| tally.add(&record.body));
    tally.is_stream()
}

/// What came of a stream: adds up what speaks for it and what against.
#[derive(Default)]
pub(super) struct Tally {
    frames: usize,
    /// Bytes in frames that look like Ethernet, and elsewhere.
    good: usize,
    bad: usize,
    /// Its first bytes make no frame: it may have been joined in the middle of one.
    starts_out_of_step: bool,
    has_begun: bool,
}

impl Tally {
    /// Counts a record.
    pub(super) fn add(&mut self, body: &Body) {
        match body {
            Body::Frame(frame) if is_ethernet(frame) => {
                self.frames += 1;
                self.good += frame.len();
            }
            Body::Frame(frame) => self.bad += frame.len(),
            Body::FramingError(_) if !self.has_begun => self.starts_out_of_step = true,
            Body::FramingError(error) => self.bad += error.bytes.len(),
            Body::Packet(_)
            | Body::Gap { .. }
            | Body::Link(_)
            | Body::Console(_)
            | Body::Impaired(_) => return,
        }
        self.has_begun |= matches!(body, Body::Frame(_));
    }

    /// Whether it looks like a stream of frames.
    pub(super) fn is_stream(&self) -> bool {
        let enough = if self.starts_out_of_step { 2 } else { 1 };
        self.frames >= enough && self.good > self.bad
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::samples;

    #[test]
    fn frames_packets_and_neither_are_told_apart() {
        let (ping, arp) = (samples::echo_request(), samples::arp_request());
        assert!(is_ethernet(&ping) && is_ethernet(&arp));
        assert!(!is_ethernet(&ping[14..]) && !is_ethernet(&arp[14..]));
        assert_eq!(ip_length(&ping[14..]), Some(84));
        assert_eq!(ip_length(&ping[14..60]), Some(84));
        assert_eq!(ip_length(&ping), None);
        assert!(is_arp(&arp[14..]) && !is_arp(&arp));
    }

    #[test]
    fn a_stream_is_known_by_its_frames() {
        let framing = crate::framing::ALL[0];
        let mut stream = Vec::new();
        framing.encode(&samples::echo_request(), &mut stream).expect("it fits");
        framing.encode(&samples::arp_request(), &mut stream).expect("it fits");
        let is_stream = |bytes: &[u8]| {
            let bytes = Bytes::copy_from_slice(bytes);
            super::is_stream(framing, 1514, &bytes, true)
        };
        assert!(is_stream(&stream));
        assert!(is_stream(&[&[0xff, 0xff, 1], &stream[..], &stream].concat()));
        assert!(!is_stream(&samples::echo_request()));
        assert!(!is_stream(b"This is a text, and none of its words begins a frame.\n"));
        assert!(!is_stream(&[0; 500]));
        assert!(!is_stream(&[]));
    }
}
