//! Waiting for a moment, to some microseconds.
//!
//! The event loop's own timers tick in milliseconds. So a timer of the system is set to shortly before the moment
//! (Linux's timerfd, which the event loop watches like a socket), and the rest is spun away: first giving the
//! event loop its turns, so that what arrives is still taken in, and for the last part not even that. In virtual
//! time, and where there is no such timer, the loop's own timers have to do.

use std::time::Duration;

use tokio::time::Instant;

/// So long before its moment a wait ends to be awake.
const SPIN: Duration = Duration::from_micros(100);
/// In so much of that, nothing else is looked at.
const STARE: Duration = Duration::from_micros(10);

/// Waits for moments.
#[derive(Debug)]
pub struct Metronome {
    timer: Option<timer::Timer>,
}

impl Metronome {
    /// One in real time. Must be made inside the event loop.
    pub fn fine() -> Metronome {
        Metronome { timer: timer::Timer::new() }
    }

    /// One that needs no real time to pass.
    pub fn coarse() -> Metronome {
        Metronome { timer: None }
    }

    /// Waits until `moment`. Cancelling it does no harm.
    pub async fn until(&mut self, moment: Instant) {
        let Some(timer) = &mut self.timer else {
            return tokio::time::sleep_until(moment).await;
        };
        loop {
            let left = moment.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            if left > SPIN {
                if !timer.sleep(left - SPIN).await {
                    tokio::time::sleep(left - SPIN).await;
                }
            } else if left > STARE {
                tokio::task::yield_now().await;
            } else {
                std::hint::spin_loop();
            }
        }
    }
}

#[cfg(target_os = "linux")]
mod timer {
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    /// A timer of the system.
    #[derive(Debug)]
    pub(super) struct Timer(AsyncFd<OwnedFd>);

    impl Timer {
        /// `None` where the system has none to give.
        // The replacement is unsafe for descriptors that somebody else may close; this one is ours alone.
        #[allow(deprecated)]
        pub(super) fn new() -> Option<Timer> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags).ok()?;
            AsyncFd::with_interest(timer, Interest::READABLE).ok().map(Timer)
        }

        /// Waits so long; false when that could not be done.
        pub(super) async fn sleep(&mut self, time: Duration) -> bool {
            let value = Timespec {
                tv_sec: time.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: time.subsec_nanos().max(1).into(),
            };
            let never = Timespec { tv_sec: 0, tv_nsec: 0 };
            let wanted = Itimerspec { it_interval: never, it_value: value };
            if timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &wanted).is_err() {
                return false;
            }
            loop {
                let Ok(mut ready) = self.0.readable().await else { return false };
                // What an earlier wait has left behind is no end of this one.
                let read = ready.try_io(|timer| {
                    let mut expirations = [0; 8];
                    Ok(rustix::io::read(timer.get_ref(), &mut expirations)?)
                });
                match read {
                    Ok(read) => return read.is_ok(),
                    Err(_) => continue,
                }
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod timer {
    use std::time::Duration;

    /// The event loop's timers, and the rest spun away.
    #[derive(Debug)]
    pub(super) struct Timer;

    impl Timer {
        pub(super) fn new() -> Option<Timer> {
            Some(Timer)
        }

        pub(super) async fn sleep(&mut self, time: Duration) -> bool {
            match time.checked_sub(Duration::from_millis(2)) {
                Some(time) => tokio::time::sleep(time).await,
                None => tokio::task::yield_now().await,
            }
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_never_too_early_and_rarely_late() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let late = runtime.expect("an event loop").block_on(async {
            let mut metronome = Metronome::fine();
            let start = Instant::now();
            let mut late = Vec::new();
            for n in 1..=100 {
                let moment = start + n * Duration::from_micros(500);
                metronome.until(moment).await;
                assert!(Instant::now() >= moment);
                late.push(moment.elapsed());
            }
            late
        });
        let mut late = late;
        late.sort();
        // A quarter of them at least, however busy the machine is; alone it is some microseconds.
        assert!(late[25] < Duration::from_millis(1), "{late:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn in_virtual_time_nothing_is_spun() {
        let moment = Instant::now() + Duration::from_secs(3600);
        Metronome::coarse().until(moment).await;
        assert!(Instant::now() >= moment);
    }
}
