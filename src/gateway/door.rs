//! A port of the device, and the connections that want in.
//!
//! A small device has few control blocks and a short backlog, and says nothing to a SYN that it has no
//! room for. Left to itself every connection would send its SYN at once, lose most of them, and wait twice as
//! long after each, long after the device has room again. So only [`TURNS`] of them knock at the same time, in the
//! order in which they came, and one knocks again as soon as another connection has left. The device is
//! given up when it has answered nobody at this port for the time that connections are held, not when one of
//! many has waited for so long.

use std::collections::HashMap;
use std::future::Future;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::Context;
use std::time::Duration;

use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::Gateway;
use crate::clock::Timestamp;

/// Connections that knock at once: fewer than the backlog of esp_http_server, which is 5.
const TURNS: usize = 4;
/// Who knocks in vain does so again after this time, then after twice as long, and so on.
const AGAIN: Duration = Duration::from_millis(250);
/// But never later than this: just before the stack would do so by itself.
const AT_LATEST: Duration = Duration::from_millis(950);
/// Who has a turn knocks for so long at least.
const LEAST: Duration = Duration::from_secs(1);
/// Doors that are remembered before those that nobody uses are forgotten.
const MANY: usize = 64;

/// The doors of all devices.
#[derive(Default)]
pub(super) struct Doors(Mutex<HashMap<(Ipv4Addr, u16), Weak<Door>>>);

/// One of them.
pub(super) struct Door {
    turns: Arc<Semaphore>,
    room: Arc<Notify>,
    /// When the device said something to anybody here.
    answered: AtomicU64,
}

impl Doors {
    /// That of the device's `port`.
    pub(super) fn at(&self, device: Ipv4Addr, port: u16) -> Arc<Door> {
        let mut doors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(door) = doors.get(&(device, port)).and_then(Weak::upgrade) {
            return door;
        }
        if doors.len() >= MANY {
            doors.retain(|_, door| door.strong_count() > 0);
        }
        let door = Arc::new(Door {
            turns: Arc::new(Semaphore::new(TURNS)),
            room: Arc::default(),
            answered: AtomicU64::new(0),
        });
        doors.insert((device, port), Arc::downgrade(&door));
        door
    }
}

impl Door {
    /// The device has said something.
    pub(super) fn answer(&self, now: Timestamp) {
        self.answered.fetch_max(now.0, Ordering::Relaxed);
    }

    /// A connection has left, and another may find room.
    pub(super) fn make_room(&self) {
        self.room.notify_one();
    }

    /// Until when somebody waits who came at `since`.
    fn deadline(&self, since: Timestamp, hold: Duration) -> Timestamp {
        since.max(Timestamp(self.answered.load(Ordering::Relaxed))) + hold
    }

    /// Waits for a turn; `None` if the device answers nobody.
    pub(super) async fn turn(
        self: &Arc<Door>,
        gateway: &Gateway,
        since: Timestamp,
        hold: Duration,
    ) -> Option<Turn> {
        let clock = &gateway.0.clock;
        let mut permit = std::pin::pin!(self.turns.clone().acquire_owned());
        loop {
            let left = self.deadline(since, hold).since(clock.now());
            let permit = tokio::time::timeout(left, &mut permit).await;
            let now = clock.now();
            if now >= self.deadline(since, hold) {
                return None;
            }
            if let Ok(permit) = permit {
                return Some(Turn::new(self, permit.ok()?, (since, hold), now));
            }
        }
    }
}

/// A connection's turn to knock.
pub(super) struct Turn {
    door: Arc<Door>,
    _permit: OwnedSemaphorePermit,
    room: Pin<Box<OwnedNotified>>,
    since: Timestamp,
    hold: Duration,
    began: Timestamp,
    /// When to knock again, and how long to wait then.
    again: (Timestamp, Duration),
}

impl Turn {
    fn new(
        door: &Arc<Door>,
        permit: OwnedSemaphorePermit,
        (since, hold): (Timestamp, Duration),
        now: Timestamp,
    ) -> Turn {
        Turn {
            door: door.clone(),
            _permit: permit,
            room: Box::pin(door.room.clone().notified_owned()),
            since,
            hold,
            began: now,
            again: (now + AGAIN, AGAIN),
        }
    }

    /// Where it knocks.
    pub(super) fn door(&self) -> Arc<Door> {
        self.door.clone()
    }

    /// Whether to knock again now.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, now: Timestamp) -> bool {
        let has_room = self.room.as_mut().poll(cx).is_ready();
        if has_room {
            self.room = Box::pin(self.door.room.clone().notified_owned());
            let _ = self.room.as_mut().poll(cx); // to be woken; a second sign is as good as one
        }
        let (due, pause) = self.again;
        let is_due = has_room || now >= due;
        if is_due {
            let pause = (pause * 2).min(AT_LATEST);
            self.again = (now + pause, pause);
        }
        is_due
    }

    /// When there is something to do next.
    pub(super) fn due(&self) -> Timestamp {
        self.again.0.min(self.deadline())
    }

    /// When to give up.
    pub(super) fn deadline(&self) -> Timestamp {
        self.door.deadline(self.since, self.hold).max(self.began + LEAST)
    }
}
