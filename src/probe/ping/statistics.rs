//! The sum of a run of pings.

use std::collections::BTreeMap;
use std::time::Duration;

/// The sum of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statistics {
    /// Requests sent.
    pub transmitted: u64,
    /// Requests that the line would not take.
    pub unsent: u64,
    /// Requests answered.
    pub received: u64,
    /// Further replies to the same request.
    pub duplicates: u64,
    /// Replies with other data than was sent.
    pub damaged: u64,
    /// ICMP errors.
    pub errors: u64,
    /// Requests without an answer that were still within their time when the run was ended.
    pub in_flight: u64,
    /// From the first request to the end.
    pub elapsed: Duration,
    /// Sizes of unanswered requests, and how many there were of each.
    pub unanswered: BTreeMap<usize, u64>,
    /// The largest answered size.
    pub largest_answered: Option<usize>,
    times: Times,
}

/// Sums of round-trip times, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Times {
    count: u64,
    min: f64,
    max: f64,
    sum: f64,
    squares: f64,
}

impl Statistics {
    /// Requests that were given time enough and have no answer.
    pub fn lost(&self) -> u64 {
        self.transmitted.saturating_sub(self.received + self.in_flight)
    }

    /// Time is up: what is still in flight counts as lost.
    pub fn give_up_in_flight(&mut self) {
        self.in_flight = 0;
    }

    /// Whether every request was answered, once and intact.
    pub fn is_clean(&self) -> bool {
        self.lost() == 0 && self.unsent == 0 && self.duplicates == 0 && self.damaged == 0
    }

    /// Round-trip times in milliseconds: minimum, average, maximum, mean deviation as ping
    /// computes it (the standard deviation).
    pub fn rtt(&self) -> Option<[f64; 4]> {
        let t = self.times;
        let n = t.count as f64;
        let average = t.sum / n;
        let deviation = (t.squares / n - average * average).max(0.0).sqrt();
        (t.count > 0).then(|| [t.min, average, t.max, deviation].map(|seconds| seconds * 1e3))
    }

    pub(super) fn add_time(&mut self, time: Duration) {
        let seconds = time.as_secs_f64();
        let t = &mut self.times;
        t.min = if t.count == 0 { seconds } else { t.min.min(seconds) };
        t.max = t.max.max(seconds);
        t.count += 1;
        t.sum += seconds;
        t.squares += seconds * seconds;
    }
}
