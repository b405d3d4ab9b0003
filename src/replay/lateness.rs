//! How late frames went: a histogram of nanoseconds that never grows.
//!
//! Each power of two is cut into eight parts, so that a percentile is right to an eighth, from one nanosecond to
//! centuries, in 4 KiB.

use std::time::Duration;

/// Parts of a power of two, as a power of two.
const BITS: u32 = 3;
const PARTS: usize = 1 << BITS;
/// Counters: one for each of the smallest numbers, then eight for each power of two.
const COUNTERS: usize = (64 - BITS as usize + 1) * PARTS;

/// Counts how late frames went.
#[derive(Clone, Debug)]
pub struct Lateness {
    counters: Vec<u64>,
    count: u64,
    most: Duration,
    last: Duration,
}

impl Default for Lateness {
    fn default() -> Self {
        let (most, last) = (Duration::ZERO, Duration::ZERO);
        Lateness { counters: vec![0; COUNTERS], count: 0, most, last }
    }
}

/// Which counter counts `nanos`.
fn counter(nanos: u64) -> usize {
    let octave = nanos.checked_ilog2().unwrap_or(0);
    match octave.checked_sub(BITS) {
        None => nanos as usize,
        Some(shift) => (shift as usize + 1) * PARTS + (nanos >> shift) as usize - PARTS,
    }
}

/// The largest number that counter `n` counts.
fn top(n: usize) -> u64 {
    match (n / PARTS).checked_sub(1) {
        None => n as u64,
        Some(shift) => {
            let lowest = ((n % PARTS + PARTS) as u64) << shift;
            lowest + ((1 << shift) - 1)
        }
    }
}

impl Lateness {
    /// Another frame went, so late.
    pub fn count(&mut self, late: Duration) {
        let nanos = u64::try_from(late.as_nanos()).unwrap_or(u64::MAX);
        if let Some(counter) = self.counters.get_mut(counter(nanos)) {
            *counter += 1;
        }
        self.count += 1;
        self.most = self.most.max(late);
        self.last = late;
    }

    /// How many frames were counted.
    pub fn frames(&self) -> u64 {
        self.count
    }

    /// The latest that any frame was.
    pub fn most(&self) -> Duration {
        self.most
    }

    /// How late the last one was: what has added up.
    pub fn last(&self) -> Duration {
        self.last
    }

    /// This share of the frames, from 0 to 1, was not later than that.
    pub fn percentile(&self, share: f64) -> Duration {
        let wanted = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (n, counted) in self.counters.iter().enumerate() {
            seen += counted;
            if seen >= wanted {
                return Duration::from_nanos(top(n)).min(self.most);
            }
        }
        self.most
    }

    /// How many frames were late by `from` at least, but by less than `to`.
    pub fn between(&self, from: Duration, to: Duration) -> u64 {
        let place = |time: Duration| counter(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        let range = place(from)..place(to).min(self.counters.len());
        self.counters.get(range).unwrap_or_default().iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_counter_that_is_right_to_an_eighth() {
        let mut numbers: Vec<u64> = (0..5000).collect();
        numbers.extend((0..64).flat_map(|bit| [1 << bit, (1u64 << bit).wrapping_sub(1)]));
        numbers.push(u64::MAX);
        for nanos in numbers {
            let n = counter(nanos);
            assert!(n < COUNTERS, "{nanos}");
            assert!(top(n) >= nanos && top(n) - nanos <= nanos / 8, "{nanos}: {}", top(n));
            assert!(n == 0 || top(n - 1) < nanos, "{nanos}");
        }
    }

    #[test]
    fn percentiles_of_a_thousand_frames() {
        let mut lateness = Lateness::default();
        (1..=1000).for_each(|n| lateness.count(Duration::from_micros(n)));
        let near = |share: f64, micros: f64| {
            let found = lateness.percentile(share).as_secs_f64() * 1e6;
            assert!((found / micros - 1.0).abs() <= 0.125, "{share}: {found}");
        };
        near(0.5, 500.0);
        near(0.99, 990.0);
        assert_eq!(lateness.percentile(1.0), Duration::from_millis(1));
        assert_eq!(
            (lateness.most(), lateness.last()),
            (Duration::from_millis(1), Duration::from_millis(1))
        );
        assert_eq!(lateness.frames(), 1000);
        let all = lateness.between(Duration::ZERO, Duration::from_secs(1));
        assert_eq!(all, 1000);
        assert_eq!(Lateness::default().percentile(0.5), Duration::ZERO);
    }
}
