//! Time as the line sees it.
//!
//! A [`Timestamp`] is nanoseconds since the epoch, but it never jumps: the wall clock is read
//! once, when the [`Clock`] is made, and from then on only a monotonic source advances it. The
//! source is a parameter, so that protocol logic and tests can bring a time of their own.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970-01-01 00:00:00 UTC. Holds dates up to the year 2554.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The time since the epoch.
    pub fn since_epoch(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// As RFC 3339 has it, in UTC: `2026-11-21T03:04:05.123456789Z`.
    pub fn rfc3339(self) -> String {
        let time = jiff::Timestamp::from_nanosecond(i128::from(self.0));
        time.map_or(String::new(), |time| time.to_string()) // never: the range is within jiff's
    }

    /// How long after `earlier` this is; zero when it is not.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Timestamp;
    fn add(self, by: Duration) -> Timestamp {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        Timestamp(self.0.saturating_add(nanos))
    }
}

/// A source of [`Timestamp`]s; clones share the same source.
#[derive(Clone)]
pub struct Clock {
    start: Timestamp,
    elapsed: Arc<dyn Fn() -> Duration + Send + Sync>,
}

impl Clock {
    /// The system's wall clock, read now, carried on by the monotonic clock.
    pub fn system() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let anchor = Instant::now();
        Clock::from_source(Timestamp::default() + wall, move || anchor.elapsed())
    }

    /// A clock that shows `start` plus whatever `elapsed` says, which must never go back.
    pub fn from_source(
        start: Timestamp,
        elapsed: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Self {
        Clock { start, elapsed: Arc::new(elapsed) }
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.start + (self.elapsed)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("start", &self.start).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn a_clock_shows_its_start_plus_what_its_source_says() {
        let ticks = Arc::new(AtomicU64::new(0));
        let source = ticks.clone();
        let clock = Clock::from_source(Timestamp(1_000), move || {
            Duration::from_nanos(source.load(Ordering::Relaxed))
        });
        assert_eq!(clock.now(), Timestamp(1_000));
        ticks.store(500, Ordering::Relaxed);
        assert_eq!(clock.clone().now(), Timestamp(1_500));
        assert_eq!(clock.now().since(Timestamp(1_200)), Duration::from_nanos(300));
        assert_eq!(Timestamp(5).since(Timestamp(9)), Duration::ZERO);
    }

    #[test]
    fn the_system_clock_starts_at_the_wall_clock_and_never_goes_back() {
        let clock = Clock::system();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let first = clock.now();
        assert!(first.since_epoch().abs_diff(wall) < Duration::from_secs(5));
        assert!(clock.now() >= first);
    }
}
