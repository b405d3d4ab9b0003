//! When each frame is due: nanoseconds since the first one.
//!
//! Every time is computed from the beginning, never from the frame before, so that nothing adds up: a frame
//! that goes late makes no other frame late. Only what was held back on purpose ([`Schedule::shift`]) moves
//! everything behind it.

use std::time::Duration;

use crate::clock::Timestamp;

/// How fast frames go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// As they were recorded, so many times as fast.
    Recorded(f64),
    /// So many frames a second.
    Frames(f64),
    /// So many bits of frames a second.
    Bits(f64),
    /// As fast as they are taken.
    Top,
}

/// A clock that goes back by more was set; what goes back by less are neighbours that a capture has mixed up.
const SET_BACK: Duration = Duration::from_secs(1);

/// Says when frames are due.
#[derive(Clone, Debug)]
pub struct Schedule {
    speed: Speed,
    /// The longest gap of the recording, in nanoseconds.
    max_gap: Option<u64>,
    /// Frames and bytes so far.
    frames: u64,
    bytes: u64,
    /// Nanoseconds of the recording from the first frame to the last one, shortened gaps as they are now.
    recorded: u64,
    last: Option<Timestamp>,
    held: Duration,
    shortened: u64,
}

impl Schedule {
    /// One that begins with the first frame; what was recorded makes nobody wait longer than `max_gap`.
    pub fn new(speed: Speed, max_gap: Option<Duration>) -> Schedule {
        let factor = match speed {
            Speed::Recorded(factor) => factor,
            _ => 1.0,
        };
        let max_gap = max_gap.map(|most| (most.as_nanos() as f64 * factor) as u64);
        Schedule {
            speed,
            max_gap,
            frames: 0,
            bytes: 0,
            recorded: 0,
            last: None,
            held: Duration::ZERO,
            shortened: 0,
        }
    }

    /// When the next frame is due, which has `length` bytes and was seen at `at`; `None` when it may go at once.
    pub fn next(&mut self, at: Option<Timestamp>, length: usize) -> Option<Duration> {
        let due = match self.speed {
            Speed::Recorded(factor) => {
                self.advance(at);
                match factor {
                    1.0 => Some(self.recorded),
                    _ => Some((self.recorded as f64 / factor) as u64),
                }
            }
            Speed::Frames(rate) => Some((self.frames as f64 * 1e9 / rate) as u64),
            Speed::Bits(rate) => Some((self.bytes as f64 * 8e9 / rate) as u64),
            Speed::Top => None,
        };
        self.frames += 1;
        self.bytes = self.bytes.saturating_add(length as u64);
        due.map(|due| Duration::from_nanos(due).saturating_add(self.held))
    }

    /// Goes on in the recording. Times that go back a little, and frames without one, are as late as the frame
    /// before; where the clock was set back, its new time counts from there.
    fn advance(&mut self, at: Option<Timestamp>) {
        let Some(at) = at else { return };
        let gap = self.last.map_or(Duration::ZERO, |last| at.since(last));
        self.last = Some(match self.last {
            Some(last) if last.since(at) <= SET_BACK => last.max(at),
            _ => at,
        });
        let gap = u64::try_from(gap.as_nanos()).unwrap_or(u64::MAX);
        let gap = match self.max_gap {
            Some(most) if gap > most => {
                self.shortened += 1;
                most
            }
            _ => gap,
        };
        self.recorded = self.recorded.saturating_add(gap);
    }

    /// The recording begins again: its first frame goes right behind the last one.
    pub fn begin_again(&mut self) {
        self.last = None;
    }

    /// Everything behind is due so much later.
    pub fn shift(&mut self, by: Duration) {
        self.held = self.held.saturating_add(by);
    }

    /// How much later than planned everything is by now.
    pub fn shifted(&self) -> Duration {
        self.held
    }

    /// How many gaps were shortened.
    pub fn shortened(&self) -> u64 {
        self.shortened
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dues(speed: Speed, max_gap: Option<Duration>, times: &[u64]) -> Vec<Option<u64>> {
        let mut schedule = Schedule::new(speed, max_gap);
        let due = |at: &u64| schedule.next(Some(Timestamp(*at)), 125);
        times.iter().map(due).map(|due| due.map(|due| due.as_nanos() as u64)).collect()
    }

    #[test]
    fn every_speed_has_its_times() {
        let times = [5000, 6000, 9000, 9000];
        assert_eq!(
            dues(Speed::Recorded(1.0), None, &times),
            [Some(0), Some(1000), Some(4000), Some(4000)]
        );
        assert_eq!(
            dues(Speed::Recorded(2.0), None, &times),
            [Some(0), Some(500), Some(2000), Some(2000)]
        );
        let by_frames = dues(Speed::Frames(1000.0), None, &times);
        assert_eq!(by_frames, [Some(0), Some(1_000_000), Some(2_000_000), Some(3_000_000)]);
        let by_bits = dues(Speed::Bits(1e6), None, &times);
        assert_eq!(by_bits, [Some(0), Some(1_000_000), Some(2_000_000), Some(3_000_000)]);
        assert_eq!(dues(Speed::Top, None, &times), [None; 4]);
    }

    #[test]
    fn long_gaps_are_shortened_and_time_never_goes_back() {
        let most = Some(Duration::from_nanos(100));
        let times = [1000, 1050, 9000, 8000, 9010];
        let due = dues(Speed::Recorded(1.0), most, &times);
        assert_eq!(due, [Some(0), Some(50), Some(150), Some(150), Some(160)]);
    }

    #[test]
    fn a_gap_is_as_long_as_it_is_waited_for_at_any_speed() {
        let most = Some(Duration::from_nanos(100));
        let times = [0, 300, 1000];
        assert_eq!(dues(Speed::Recorded(4.0), most, &times), [Some(0), Some(75), Some(175)]);
        assert_eq!(dues(Speed::Recorded(0.5), most, &times), [Some(0), Some(100), Some(200)]);
    }

    #[test]
    fn a_clock_that_was_set_back_goes_on_from_there() {
        let second = 1_000_000_000;
        let times = [90 * second, 91 * second, 91 * second - 5, 3 * second, 4 * second, 4 * second];
        let due = dues(Speed::Recorded(1.0), None, &times);
        let seconds = |n: u64| Some(n * second);
        assert_eq!(due, [0, 1, 1, 1, 2, 2].map(seconds));
    }

    #[test]
    fn absurd_speeds_and_times_saturate() {
        let times = [0, u64::MAX, u64::MAX];
        let due = dues(Speed::Recorded(1e-6), Some(Duration::MAX), &times);
        assert_eq!(due, [Some(0), Some(u64::MAX), Some(u64::MAX)]);
        let due = dues(Speed::Recorded(1e9), None, &times);
        assert_eq!(due[2].map(|due| due / 1_000_000_000), Some(18));
    }

    #[test]
    fn rounding_does_not_add_up() {
        let mut schedule = Schedule::new(Speed::Frames(3.0), None);
        let mut last = None;
        for _ in 0..3_000_001 {
            last = schedule.next(None, 60);
        }
        let due = last.expect("a time").as_secs_f64();
        assert!((due - 1e6).abs() < 1e-6, "{due}");
    }

    #[test]
    fn what_was_held_back_moves_what_is_behind_and_a_round_begins_behind_the_last() {
        let mut schedule = Schedule::new(Speed::Recorded(1.0), None);
        assert_eq!(schedule.next(Some(Timestamp(10)), 1), Some(Duration::ZERO));
        schedule.shift(Duration::from_nanos(7));
        assert_eq!(schedule.next(Some(Timestamp(30)), 1), Some(Duration::from_nanos(27)));
        schedule.begin_again();
        assert_eq!(schedule.next(Some(Timestamp(10)), 1), Some(Duration::from_nanos(27)));
        assert_eq!(schedule.next(Some(Timestamp(11)), 1), Some(Duration::from_nanos(28)));
    }
}
