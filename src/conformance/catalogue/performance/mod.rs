//! Latency and throughput, and what load does to either.
//!
//! Every limit knows the line. Where it is paced, a round trip takes at least the time of its bytes (`floor`), and no
//! download is faster than its segments fit through ([`Line`]). Where nothing paces it, as in QEMU, the rate that was
//! declared counts, or that of the documented line. Values are reported whether a limit holds or not; those of
//! throughput leave out the beginning, in which the connection finds its pace.
//!
//! Pages come from `/blob/N` where the device has that, in the length that fits the line. Other devices give what they
//! have at `/`, again and again: where that is short, it is connections that are measured and not the line, and the
//! limits of throughput are only reported.

mod goodput;
mod latency;
mod load;
mod pages;
mod pinger;

use std::time::Duration;

use super::super::model::Group;
use super::super::trial::Trial;

/// The group.
pub static PERFORMANCE: Group = Group {
    name: "performance",
    title: "Latency and throughput",
    parts: &[latency::TESTS, goodput::TESTS, load::TESTS],
};

/// Bytes a second of the documented line: 115200 baud (docs/line.md).
const DOCUMENTED: f64 = 11_520.0;
/// A time of a byte below this is that of a machine and not of a line: 1 Mbaud. Faster lines are to be declared.
const LEAST_BYTE_TIME: Duration = Duration::from_micros(10);
/// Bytes of a segment around its data, with the length in front of the frame: TCP, IPv4, Ethernet, length.
const AROUND: u64 = 56;
/// Bytes of an echo request around its data, with the length in front of the frame.
const AROUND_ECHO: usize = 44;

/// What the line can carry in one direction.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Line {
    /// Bytes a second.
    rate: f64,
    /// Whether that was measured, or declared; the documented line's otherwise.
    is_known: bool,
}

impl Line {
    fn of(t: &Trial) -> Line {
        let byte_time = t.rig.pace.byte_time;
        match t.rig.target.line_rate {
            Some(baud) => Line { rate: f64::from(baud) / 10.0, is_known: true },
            None if byte_time < LEAST_BYTE_TIME => Line { rate: DOCUMENTED, is_known: false },
            None => Line { rate: 1.0 / byte_time.as_secs_f64(), is_known: true },
        }
    }

    /// Bytes of data a second, at most, in segments of so many bytes.
    fn ideal(&self, segment: u64) -> f64 {
        let segment = segment.max(1) as f64;
        self.rate * segment / (segment + AROUND as f64)
    }

    /// The time of so many bytes.
    fn time(&self, bytes: usize) -> Duration {
        Duration::from_secs_f64(bytes as f64 / self.rate)
    }
}

/// The time that an echo request with so much data and its reply take on the line.
fn floor(t: &Trial, size: usize) -> Duration {
    t.rig.pace.byte_time.saturating_mul(2 * (size + AROUND_ECHO) as u32)
}

/// The time that so many percent of the values do not exceed.
fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// In milliseconds.
fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// An allowance of the machine's and the device's time, as the user scales it.
fn allowance(t: &Trial, time: Duration) -> Duration {
    time.mul_f64(t.rig.time_scale.max(1.0))
}

/// How much in a hundred.
fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole * 100.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let times: Vec<_> = (1..=100).rev().map(Duration::from_millis).collect();
        let at = |p| percentile(&times, p).as_millis();
        assert_eq!([50, 95, 99, 100].map(at), [50, 95, 99, 100]);
        assert_eq!(percentile(&times[..1], 50), Duration::from_millis(100));
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }

    #[test]
    fn headers_take_their_part_of_the_line() {
        let line = Line { rate: DOCUMENTED, is_known: true };
        assert_eq!(line.ideal(1440).round(), 11089.0);
        assert_eq!(line.ideal(0).round(), 202.0);
        assert_eq!(line.time(1152), Duration::from_millis(100));
    }
}
