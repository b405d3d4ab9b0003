//! Faults of pace: what goes late, twice or never, while every single frame is good.

use std::time::Duration;

use super::faults::{Fault, Faults};
use super::packet::{self, Segment, flag};
use crate::clock::Timestamp;
use crate::proto::icmp;

/// Every so many echo replies one is late, and by how much.
const HICCUP_EVERY: u32 = 20;
const HICCUP: Duration = Duration::from_millis(400);
/// From one segment of the web server to the next, where it trickles.
const TRICKLE: Duration = Duration::from_millis(250);
/// Every so many segments with data one goes twice.
const TWICE_EVERY: u32 = 20;
/// How late acknowledgments without data are.
const LATE_ACK: Duration = Duration::from_millis(300);
/// How long the web server says nothing behind an echo reply.
const HUSH: Duration = Duration::from_millis(45);
/// How late echo replies are while the web server speaks, and for how long it counts as speaking.
const STARVED: Duration = Duration::from_millis(300);
const SPEAKS: Duration = Duration::from_millis(100);
/// How long the web server keeps its pace, and from one segment to the next behind that.
const FRESH: Duration = Duration::from_secs(30);
const TIRED: Duration = Duration::from_millis(60);
/// Every so many connections to the web server one is refused.
const REFUSED_EVERY: u32 = 25;
/// The web server's port.
const WEB: u16 = 80;

/// How a frame goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Going {
    /// So late.
    pub(super) delay: Duration,
    /// And once more.
    pub(super) twice: bool,
}

/// The state of these faults.
#[derive(Debug)]
pub(super) struct PaceFaults {
    faults: Faults,
    replies: u32,
    segments: u32,
    connections: u32,
    /// When the web server sent its first data, and its last.
    spoke: Option<(Timestamp, Timestamp)>,
    /// Before this it sends nothing.
    free: Timestamp,
}

impl PaceFaults {
    /// These faults, as far as `faults` has them.
    pub(super) fn new(faults: Faults) -> Self {
        let (replies, segments, connections) = (0, 0, 0);
        PaceFaults {
            faults,
            replies,
            segments,
            connections,
            spoke: None,
            free: Timestamp::default(),
        }
    }

    fn has(&self, fault: Fault) -> bool {
        self.faults.has(fault)
    }

    /// A frame goes to the line.
    pub(super) fn sent(&mut self, now: Timestamp, frame: &mut [u8]) -> Going {
        if let Some(segment) = Segment::of(frame) {
            return self.sent_segment(now, frame, &segment);
        }
        let parts = packet::parts(frame).filter(|parts| parts.protocol == 1);
        let kind = parts.and_then(|parts| frame.get(parts.transport).copied());
        match kind {
            Some(icmp::ECHO_REPLY) => Going { delay: self.sent_reply(now), twice: false },
            _ => Going::default(),
        }
    }

    fn sent_reply(&mut self, now: Timestamp) -> Duration {
        self.replies = self.replies.wrapping_add(1);
        if self.has(Fault::PingsHushWeb) {
            self.free = self.free.max(now + HUSH);
        }
        let speaks = self.spoke.is_some_and(|(_, last)| now.since(last) < SPEAKS);
        match () {
            () if self.has(Fault::Hiccups) && self.replies.is_multiple_of(HICCUP_EVERY) => HICCUP,
            () if self.has(Fault::WebStarvesPings) && speaks => STARVED,
            () => Duration::ZERO,
        }
    }

    fn sent_segment(&mut self, now: Timestamp, frame: &mut [u8], segment: &Segment) -> Going {
        if segment.source_port != WEB {
            return Going::default();
        }
        let mut going = Going::default();
        if segment.length() > 0 {
            let (first, _) = self.spoke.unwrap_or((now, now));
            self.spoke = Some((first, now));
            self.segments = self.segments.wrapping_add(1);
            going.twice = self.has(Fault::SendsAgain) && self.segments.is_multiple_of(TWICE_EVERY);
            going.delay = self.turn(now, first);
        } else if segment.flags == flag::ACK && self.has(Fault::AcksLate) {
            going.delay = LATE_ACK;
        } else if segment.has(flag::SYN) {
            self.connections = self.connections.wrapping_add(1);
            let is_refused = self.connections.is_multiple_of(REFUSED_EVERY);
            if is_refused && self.has(Fault::RefusesNowAndThen) {
                frame[segment.ip.transport + 13] = flag::RST | flag::ACK;
                packet::mend_transport(frame);
            }
        }
        going
    }

    /// How long a segment of the web server waits for its turn.
    fn turn(&mut self, now: Timestamp, first: Timestamp) -> Duration {
        let tired = self.has(Fault::WebTires) && now.since(first) > FRESH;
        let pause = match () {
            () if self.has(Fault::WebTrickles) => TRICKLE,
            () if tired => TIRED,
            () => Duration::ZERO,
        };
        let wait = self.free.since(now);
        self.free = self.free.max(now) + pause;
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::samples;

    fn faults(fault: Fault) -> PaceFaults {
        PaceFaults::new(Faults::only(fault))
    }

    /// A segment of the web server.
    fn segment(flags: u8) -> Vec<u8> {
        let mut frame = samples::syn();
        let at = packet::parts(&frame).expect("IPv4").transport;
        frame[at..at + 2].copy_from_slice(&WEB.to_be_bytes());
        frame[at + 13] = flags;
        packet::mend(&mut frame);
        frame
    }

    #[test]
    fn a_good_device_sends_everything_once_and_at_once() {
        let mut pace = PaceFaults::new(Faults::none());
        for mut frame in [samples::echo_request(), segment(flag::ACK), segment(flag::SYN)] {
            let before = frame.clone();
            assert_eq!(pace.sent(Timestamp(5), &mut frame), Going::default());
            assert_eq!(frame, before);
        }
    }

    #[test]
    fn one_connection_of_many_is_refused() {
        let mut pace = faults(Fault::RefusesNowAndThen);
        let refused = (1..=REFUSED_EVERY).filter(|_| {
            let mut frame = segment(flag::SYN | flag::ACK);
            pace.sent(Timestamp(0), &mut frame);
            Segment::of(&frame).is_some_and(|segment| segment.has(flag::RST))
        });
        assert_eq!(refused.collect::<Vec<_>>(), [REFUSED_EVERY]);
    }

    #[test]
    fn acknowledgments_are_late_and_syns_are_not() {
        let mut pace = faults(Fault::AcksLate);
        assert_eq!(pace.sent(Timestamp(0), &mut segment(flag::ACK)).delay, LATE_ACK);
        assert_eq!(pace.sent(Timestamp(0), &mut segment(flag::SYN)).delay, Duration::ZERO);
    }
}
