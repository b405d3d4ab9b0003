//! Telling what a device or a client can cause as often as it likes: a few times at once, then seldom.
//!
//! What is not told is counted, and the next word that is says how much was left out.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Lets a few through at once, and then one now and then.
#[derive(Debug)]
pub(super) struct Throttle {
    burst: u32,
    every: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Told since the last pause.
    told: u32,
    last: Option<Instant>,
    left_out: u64,
}

impl Throttle {
    /// `burst` at once, then one every so often; a pause of that length makes room for another.
    pub(super) fn new(burst: u32, every: Duration) -> Throttle {
        Throttle { burst, every, state: Mutex::default() }
    }

    /// Whether to tell; if so, how many were left out since the last time.
    pub(super) fn admit(&self) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(last) = state.last {
            let rested = now.duration_since(last).as_nanos() / self.every.as_nanos().max(1);
            if rested > 0 {
                let rested = u32::try_from(rested).unwrap_or(u32::MAX);
                state.told = state.told.saturating_sub(rested);
                state.last = Some(now);
            }
        } else {
            state.last = Some(now);
        }
        if state.told >= self.burst {
            state.left_out = state.left_out.saturating_add(1);
            return None;
        }
        state.told += 1;
        Some(std::mem::take(&mut state.left_out))
    }
}

/// `text`, and how many like it were left out before.
pub(super) fn with_left_out(text: String, left_out: u64) -> String {
    match left_out {
        0 => text,
        n => format!("{text} (and {n} more like this before, not shown)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_few_at_once_then_one_now_and_then_and_what_was_left_out_is_counted() {
        let throttle = Throttle::new(3, Duration::from_secs(10));
        let told = (0..1000).filter(|_| throttle.admit().is_some()).count();
        assert_eq!(told, 3);
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!((throttle.admit(), throttle.admit()), (Some(997), None));
        tokio::time::sleep(Duration::from_secs(1000)).await;
        let told = (0..1000).filter(|_| throttle.admit().is_some()).count();
        assert_eq!(told, 3);
        assert_eq!(with_left_out("a".to_owned(), 0), "a");
        assert!(with_left_out("a".to_owned(), 7).contains("7 more"));
    }
}
