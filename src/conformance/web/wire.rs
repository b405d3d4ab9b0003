//! What a connection did, read from its segments as they pass.

use std::collections::BTreeMap;
use std::time::Duration;

use super::PORTS;
use crate::clock::Timestamp;
use crate::conformance::seen::{Seen, TcpView};
use crate::proto::tcp;

/// What one side of a connection sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Side {
    /// Segments with data.
    pub segments: u64,
    /// Bytes of data, each counted once.
    pub bytes: u64,
    /// Bytes of data that were sent again.
    pub again: u64,
    /// The most data in one segment.
    pub largest: usize,
    /// When the first and the last new data passed.
    pub span: Option<(Timestamp, Timestamp)>,
    /// The longest time between new data and new data.
    pub longest_pause: Duration,
    /// It has said all: there was a FIN.
    pub has_ended: bool,
    /// The sequence number behind the highest byte.
    next: Option<u32>,
}

impl Side {
    /// The sequence number behind everything that it has said, its FIN included.
    pub fn end(&self) -> Option<u32> {
        Some(self.next?.wrapping_add(u32::from(self.has_ended)))
    }

    fn passed(&mut self, time: Timestamp, segment: &TcpView<'_>) {
        self.has_ended |= segment.has(tcp::FIN);
        let start = segment.seq.wrapping_add(u32::from(segment.has(tcp::SYN)));
        let length = segment.data.len() as u32;
        let next = *self.next.get_or_insert(start);
        if length == 0 {
            return;
        }
        let end = start.wrapping_add(length);
        let ahead = end.wrapping_sub(next);
        let new = if ahead <= u32::MAX / 2 { ahead.min(length) } else { 0 };
        self.segments += 1;
        self.largest = self.largest.max(segment.data.len());
        self.again += u64::from(length - new);
        if new > 0 {
            self.bytes += u64::from(new);
            self.next = Some(end);
            let (first, last) = self.span.unwrap_or((time, time));
            self.longest_pause = self.longest_pause.max(time.since(last));
            self.span = Some((first, time));
        }
    }
}

/// What a connection did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wire {
    /// When the first SYN went.
    pub opened: Timestamp,
    /// When the device accepted it.
    pub accepted: Option<Timestamp>,
    /// What we sent.
    pub ours: Side,
    /// What the device sent.
    pub theirs: Side,
    /// The device has reset it.
    pub is_reset: bool,
    /// The device's port.
    pub port: u16,
    /// We have reset it.
    pub is_cut: bool,
    /// The largest window that we have announced.
    pub window: u16,
    /// What the device has acknowledged last.
    pub acknowledged: Option<u32>,
}

/// The connections of a test, by our port.
#[derive(Debug, Default)]
pub(in crate::conformance) struct Wires(BTreeMap<u16, Wire>);

impl Wires {
    /// A frame of ours goes.
    pub(in crate::conformance) fn sent(&mut self, time: Timestamp, frame: &Seen) {
        let Some(segment) = frame.tcp().filter(|tcp| PORTS.contains(&tcp.source)) else { return };
        if segment.has(tcp::SYN) {
            let is_known = self.0.get(&segment.source).is_some_and(|wire| wire.accepted.is_none());
            if !is_known {
                let port = segment.destination;
                self.0.insert(segment.source, Wire { opened: time, port, ..Wire::default() });
            }
        }
        if let Some(wire) = self.0.get_mut(&segment.source) {
            wire.is_cut |= segment.has(tcp::RST);
            wire.window = wire.window.max(segment.window);
            wire.ours.passed(time, &segment);
        }
    }

    /// A frame of the device's came.
    pub(in crate::conformance) fn received(&mut self, frame: &Seen) {
        let Some(segment) = frame.tcp() else { return };
        let Some(wire) = self.0.get_mut(&segment.destination) else { return };
        if wire.port != segment.source {
            return;
        }
        wire.is_reset |= segment.has(tcp::RST);
        if segment.has(tcp::SYN | tcp::ACK) && wire.accepted.is_none() {
            wire.accepted = Some(frame.time);
        }
        if segment.has(tcp::ACK) {
            wire.acknowledged = Some(segment.ack);
        }
        wire.theirs.passed(frame.time, &segment);
    }

    /// Our ports of connections that the device may take for open: neither has reset it, nor have both
    /// ended it.
    pub(in crate::conformance) fn open(&self) -> Vec<u16> {
        let is_open = |wire: &Wire| {
            let has_ended = wire.ours.has_ended && wire.theirs.has_ended;
            wire.accepted.is_some() && !wire.is_reset && !wire.is_cut && !has_ended
        };
        let open = self.0.iter().filter(|(_, wire)| is_open(wire));
        open.map(|(port, _)| *port).collect()
    }

    /// The connection at that port of ours.
    pub(in crate::conformance) fn at(&self, port: u16) -> Option<&Wire> {
        self.0.get(&port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::craft::layers::{Ethernet, Ipv4, Tcp};
    use crate::probe::Identity;

    fn segment(ms: u64, from_device: bool, (seq, flags): (u32, u8), data: &[u8]) -> Seen {
        let id = Identity::default();
        let (ours, theirs) = ((id.host_ip, 60_001), (id.device_ip, 80));
        let (from, to) = if from_device { (theirs, ours) } else { (ours, theirs) };
        let header = Tcp { seq, ack: 5, flags, window: 1000, ..Tcp::new(from.1, to.1) };
        let segment = header.segment(from.0, to.0, data);
        let eth = Ethernet { destination: id.host_mac, source: id.device_mac, kind: 0x0800 };
        let bytes = eth.frame(&Ipv4::new(from.0, to.0, 6).packet(&segment)).into();
        Seen { time: Timestamp(ms * 1_000_000), bytes }
    }

    #[test]
    fn what_is_new_what_comes_again_and_the_pause_between() {
        let mut wires = Wires::default();
        let syn = segment(0, false, (u32::MAX, tcp::SYN), b"");
        wires.sent(syn.time, &syn);
        wires.sent(Timestamp(1), &syn); // the same again is the same connection
        let isn = u32::MAX - 2;
        for frame in [
            segment(3, true, (isn, tcp::SYN | tcp::ACK), b""),
            segment(4, true, (isn.wrapping_add(1), tcp::ACK), b"abcd"),
            segment(9, true, (isn.wrapping_add(3), tcp::ACK), b"cdef"),
            segment(30, true, (isn.wrapping_add(1), tcp::ACK), b"ab"),
            segment(31, true, (isn.wrapping_add(7), tcp::ACK | tcp::FIN), b"g"),
        ] {
            wires.received(&frame);
        }
        let wire = *wires.at(60_001).expect("a connection");
        assert_eq!((wire.opened, wire.accepted), (Timestamp(0), Some(Timestamp(3_000_000))));
        let theirs = wire.theirs;
        assert_eq!((theirs.segments, theirs.bytes, theirs.again), (4, 7, 4));
        assert_eq!((theirs.largest, theirs.has_ended, wire.is_reset), (4, true, false));
        assert_eq!(theirs.longest_pause, Duration::from_millis(22));
        assert_eq!(wire.acknowledged, Some(5));
        wires.received(&segment(40, true, (isn, tcp::RST), b""));
        assert!(wires.at(60_001).expect("a connection").is_reset);
    }

    #[test]
    fn a_connection_is_open_until_both_have_ended_it_or_one_has_cut_it() {
        for (ends, expected) in [
            (vec![], vec![60_001]),
            (vec![(false, tcp::FIN)], vec![60_001]),
            (vec![(false, tcp::FIN), (true, tcp::FIN)], vec![]),
            (vec![(false, tcp::RST)], vec![]),
            (vec![(true, tcp::RST)], vec![]),
        ] {
            let mut wires = Wires::default();
            let syn = segment(0, false, (9, tcp::SYN), b"");
            wires.sent(syn.time, &syn);
            assert!(wires.open().is_empty(), "not accepted yet");
            wires.received(&segment(1, true, (5, tcp::SYN | tcp::ACK), b""));
            for (from_device, flag) in ends {
                let end = segment(2, from_device, (10, flag | tcp::ACK), b"");
                match from_device {
                    true => wires.received(&end),
                    false => wires.sent(end.time, &end),
                }
            }
            assert_eq!(wires.open(), expected);
            let ours = wires.at(60_001).expect("a connection").ours;
            assert_eq!(ours.end(), Some(10 + u32::from(ours.has_ended)));
        }
    }
}
