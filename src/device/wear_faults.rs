//! Faults that show under chance, storms and time.

use std::time::Duration;

use super::faults::{Fault, Faults};
use super::packet::{IP, Segment, flag};
use crate::clock::Timestamp;
use crate::proto::{be16, ethernet};

/// Frames closer to each other than this are one storm.
const CLOSE: Duration = Duration::from_millis(20);
/// A storm of so many frames is too much.
const STORM: u32 = 150;
/// The length of the frame at which the device starts anew, once, and how long it is away then.
const REBOOT_AT: usize = 617;
const AWAY: Duration = Duration::from_secs(2);
/// How long the device lasts.
const LIFE: Duration = Duration::from_secs(300);
/// Bytes of an IPv6 header.
const IPV6: usize = 40;

/// What becomes of the device with a frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wear {
    /// Nothing.
    None,
    /// It is away, and hears nothing.
    Away,
    /// It is back from having started anew, and has this frame.
    Back,
    /// It dies.
    Death,
}

/// The state of these faults.
#[derive(Debug)]
pub(super) struct WearFaults {
    faults: Faults,
    born: Timestamp,
    has_rebooted: bool,
    /// Frames of the storm that goes on, and when the last one came.
    storm: (u32, Timestamp),
    away_until: Option<Timestamp>,
}

impl WearFaults {
    /// These faults, as far as `faults` has them, of a device that is switched on now.
    pub(super) fn new(faults: Faults, now: Timestamp) -> Self {
        WearFaults { faults, born: now, has_rebooted: false, storm: (0, now), away_until: None }
    }

    /// A frame from the line.
    pub(super) fn received(&mut self, now: Timestamp, frame: &[u8]) -> Wear {
        let (count, last) = self.storm;
        let goes_on = now.since(last) < CLOSE;
        self.storm = (if goes_on { count.saturating_add(1) } else { 0 }, now);
        if let Some(until) = self.away_until {
            if now < until {
                return Wear::Away;
            }
            self.away_until = None;
            return Wear::Back;
        }
        let has = |fault| self.faults.has(fault);
        if has(Fault::Reboots) && frame.len() == REBOOT_AT && !self.has_rebooted {
            self.has_rebooted = true;
            self.away_until = Some(now + AWAY);
            return Wear::Away;
        }
        let is_deadly = has(Fault::LongIpv6Kills) && is_long_ipv6(frame)
            || has(Fault::ShortHeaderKills) && is_short_header(frame)
            || has(Fault::XmasKills) && is_nonsense(frame)
            || has(Fault::HighByteKills) && is_beyond_ascii(frame)
            || has(Fault::StormKills) && self.storm.0 >= STORM
            || has(Fault::Tires) && now.since(self.born) > LIFE;
        if is_deadly { Wear::Death } else { Wear::None }
    }
}

fn is_long_ipv6(frame: &[u8]) -> bool {
    let claimed = be16(frame, ethernet::HEADER + 4).map(|length| usize::from(length) + IPV6);
    be16(frame, 12) == Some(0x86dd) && claimed.is_some_and(|n| n + ethernet::HEADER > frame.len())
}

fn is_short_header(frame: &[u8]) -> bool {
    be16(frame, 12) == Some(0x0800) && frame.get(IP).is_some_and(|byte| byte & 15 < 5)
}

fn is_nonsense(frame: &[u8]) -> bool {
    const NONSENSE: u8 = flag::SYN | flag::FIN | flag::RST;
    Segment::of(frame).is_some_and(|segment| segment.flags & NONSENSE == NONSENSE)
}

/// Whether a segment for the web server holds a byte that is no ASCII.
fn is_beyond_ascii(frame: &[u8]) -> bool {
    let Some(segment) = Segment::of(frame).filter(|segment| segment.destination_port == 80) else {
        return false;
    };
    frame.get(segment.data..).is_some_and(|data| !data.is_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::samples;

    fn faults(fault: Fault) -> WearFaults {
        WearFaults::new(Faults::only(fault), Timestamp::default())
    }

    #[test]
    fn it_is_away_for_a_while_and_back_once() {
        let mut wear = faults(Fault::Reboots);
        let now = Timestamp::default();
        let frame = samples::echo_request();
        assert_eq!(wear.received(now, &frame), Wear::None);
        let fatal = vec![0; REBOOT_AT];
        assert_eq!(wear.received(now, &fatal), Wear::Away);
        assert_eq!(wear.received(now + AWAY / 2, &frame), Wear::Away);
        assert_eq!(wear.received(now + AWAY, &frame), Wear::Back);
        assert_eq!(wear.received(now + AWAY, &fatal), Wear::None);
    }

    #[test]
    fn a_storm_is_many_frames_close_to_each_other() {
        let frame = samples::echo_request();
        for (pause, expected) in [(1, Wear::Death), (30, Wear::None)] {
            let mut wear = faults(Fault::StormKills);
            let mut now = Timestamp::default();
            for _ in 0..STORM {
                now = now + Duration::from_millis(pause);
                wear.received(now, &frame);
            }
            assert_eq!(wear.received(now + Duration::from_millis(pause), &frame), expected);
        }
    }

    #[test]
    fn good_frames_kill_nothing() {
        for fault in
            [Fault::LongIpv6Kills, Fault::ShortHeaderKills, Fault::XmasKills, Fault::HighByteKills]
        {
            for frame in [samples::echo_request(), samples::syn(), samples::arp_request()] {
                assert_eq!(faults(fault).received(Timestamp::default(), &frame), Wear::None);
            }
        }
        let mut short = samples::echo_request();
        short[IP] = 0x44;
        let mut wear = faults(Fault::ShortHeaderKills);
        assert_eq!(wear.received(Timestamp::default(), &short), Wear::Death);
    }
}
