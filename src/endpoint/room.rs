//! How much a slow peer may have in front of it: as much as it reads in [`DELAY`].
//!
//! Whoever has something urgent to say waits behind all of it, and on a line of 115200 baud 16 KB are one and a
//! half seconds. So we begin with one frame, watch how fast the peer reads while we wait for it, and
//! allow it more when it has read everything before we looked again. One that reads as much as may ever be queued
//! is looked at again and again for a moment before we rest: a rest is long for it.

use std::time::Duration;

use tokio::time::Instant;

use super::queue::{AGAIN, Gauge};

/// How long others may have to wait behind what is queued.
const DELAY: Duration = Duration::from_millis(20);
/// The rate is measured over at least so long.
const MEASURE: Duration = Duration::from_millis(3);
/// The least that may be queued, in bytes: the longest frame of an Ethernet line and its length.
const LEAST: usize = 1516;
/// For so long a fast peer is looked at without a rest.
const GLANCE: Duration = Duration::from_micros(300);

/// What the peer has before it.
pub(super) struct Queue {
    gauge: Gauge,
    bound: Bound,
    /// So much can be sent before it is looked at again.
    room: usize,
    /// All that was sent.
    sent: u64,
}

impl Queue {
    /// Never more than `most` bytes, as `gauge` shows them.
    pub(super) fn new(gauge: Gauge, most: usize) -> Queue {
        Queue { gauge, bound: Bound::new(most), room: 0, sent: 0 }
    }

    /// Waits until `n` bytes fit, or until nothing is left; `false` when it cannot be told any more.
    pub(super) async fn make_room(&mut self, n: usize) -> bool {
        let mut since = None;
        while self.room < n {
            let Some(unread) = self.gauge.unread() else { return false };
            let read = self.sent.saturating_sub(unread as u64);
            let now = Instant::now();
            match since {
                None if unread == 0 => self.bound.was_empty(read, now),
                None => since = Some((read, now)),
                Some(since) => self.bound.was_busy(since, read, now),
            }
            self.bound.last = Some((read, now));
            self.room = self.bound.bytes.saturating_sub(unread);
            if self.room >= n || unread == 0 {
                break;
            }
            match since {
                Some((_, begun)) if self.bound.is_fast() && now - begun < GLANCE => {
                    tokio::task::yield_now().await;
                }
                _ => tokio::time::sleep(AGAIN).await,
            }
        }
        self.room = self.room.saturating_sub(n);
        self.sent += n as u64;
        true
    }
}

/// How much may be queued.
struct Bound {
    most: usize,
    bytes: usize,
    /// What had been read in all when we looked last.
    last: Option<(u64, Instant)>,
}

impl Bound {
    fn new(most: usize) -> Bound {
        Bound { most, bytes: LEAST.min(most), last: None }
    }

    /// What the peer reads in [`DELAY`], if it has read `read - before` bytes from `since` to `now`.
    fn in_delay((before, since): (u64, Instant), read: u64, now: Instant) -> usize {
        let elapsed = now.duration_since(since).max(Duration::from_micros(1));
        let bytes = read.saturating_sub(before) as f64;
        (bytes * DELAY.as_secs_f64() / elapsed.as_secs_f64()) as usize
    }

    /// Everything was read when we came back: the peer is at least that fast, perhaps more.
    fn was_empty(&mut self, read: u64, now: Instant) {
        let Some(last) = self.last else { return };
        let perhaps = Bound::in_delay(last, read, now).saturating_mul(2).min(self.bytes * 2);
        self.bytes = self.bytes.max(perhaps).min(self.most);
    }

    /// Whether the peer reads as much as may ever be queued.
    fn is_fast(&self) -> bool {
        self.bytes >= self.most
    }

    /// We wait since `since`: the peer is that fast.
    fn was_busy(&mut self, since: (u64, Instant), read: u64, now: Instant) {
        if now.duration_since(since.1) >= MEASURE {
            let bytes = Bound::in_delay(since, read, now);
            self.bytes = bytes.max(LEAST).min(self.most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_slow_peer_gets_a_frame_and_a_fast_one_all() {
        let start = Instant::now();
        let mut bound = Bound::new(16_384);
        assert_eq!(bound.bytes, LEAST);
        for n in 0..10 {
            bound.last = Some((n * 1000, start + MS * n as u32));
            bound.was_empty((n + 1) * 1000, start + MS * (n as u32 + 1)); // 1 MB a second
        }
        assert_eq!(bound.bytes, 16_384);
        assert!(bound.is_fast());
        bound.was_busy((0, start), 500, start + 2 * MS); // too short to be sure
        assert_eq!(bound.bytes, 16_384);
        bound.was_busy((0, start), 1000, start + 5 * MS); // 200 kB a second
        assert_eq!(bound.bytes, 4000);
        bound.was_busy((0, start), 115, start + 10 * MS); // 115200 baud
        assert!(!bound.is_fast());
        assert_eq!(bound.bytes, LEAST);
        bound.last = Some((0, start));
        bound.was_empty(1000, start + 1000 * MS); // now and then a little
        assert_eq!(bound.bytes, LEAST);
        bound.was_busy((0, start), 0, start + 1000 * MS); // it stands still
        assert_eq!(bound.bytes, LEAST);
    }
}
