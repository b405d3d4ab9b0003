//! The tap as the tunnel's only client: it listens, and sends nothing but what other processes send
//! through it.

use std::cell::RefCell;
use std::time::Duration;

use tokio::time::Instant;

use super::leg::Leg;
use super::senders::Senders;
use super::{End, Tap, recording};
use crate::bus::Bus;
use crate::endpoint::sharing::Sharing;
use crate::endpoint::{Connector, Link};
use crate::error::Result;
use crate::record::{Direction, Origin};
use crate::stop::Stop;

/// After the word to stop, what has arrived already is read, and the rest of a frame that has begun is
/// waited for so long.
const DRAIN: Duration = Duration::from_millis(30);
/// And no longer than this in all.
const DRAIN_AT_MOST: Duration = Duration::from_millis(500);

/// Listens until told to stop or until the line is gone; if the connector is persistent, connects
/// again. `ready` is called once: when others can connect to us, or when we are connected.
pub async fn run(
    tap: &Tap,
    connector: &dyn Connector,
    bus: &RefCell<Bus>,
    sharing: &mut Sharing,
    mut stop: Stop,
    ready: impl FnOnce(),
) -> Result<End> {
    let mut ready = Some(ready);
    if connector.prepare().await?
        && let Some(ready) = ready.take()
    {
        ready();
    }
    for connection in 1.. {
        let link = tokio::select! {
            biased;
            () = stop.wait() => return Ok(End::Stopped),
            link = connector.connect() => link?,
        };
        sharing.up(&link.about);
        let record = tap.connected(&link.about, connection, Direction::Unknown);
        if link.about.is_live {
            bus.borrow_mut().publish(&mut vec![record]);
        }
        if let Some(ready) = ready.take() {
            ready();
        }
        if !link.about.is_live {
            let is_whole = recording::read(tap, link, bus, &mut stop).await?;
            return Ok(if is_whole { End::Finished } else { End::Stopped });
        }
        let Some(how) = listen(tap, link, connection, bus, sharing, &mut stop).await? else {
            return Ok(End::Stopped);
        };
        let record = tap.lost(connector.name(), connection, Direction::Unknown, &how);
        bus.borrow_mut().publish(&mut vec![record]);
        if !connector.is_persistent() {
            return Ok(End::Lost(how));
        }
    }
    Ok(End::Stopped)
}

/// One connection; `None` when told to stop, otherwise how it ended.
async fn listen(
    tap: &Tap,
    mut link: Link,
    connection: u32,
    bus: &RefCell<Bus>,
    sharing: &mut Sharing,
    stop: &mut Stop,
) -> Result<Option<String>> {
    let origin = Origin { tap: 0, connection, direction: Direction::FromDevice };
    let mut leg = Leg::new(tap, bus, origin);
    leg.tell(sharing.ear());
    let is_echoed = link.rx.speak_in_records(&tap.clock, connection);
    let mut senders = Senders::new(tap, bus, sharing, connection).echoed(is_echoed);
    let mut refused = None;
    let mut ended = tokio::select! {
        ended = leg.observe(&mut *link.rx) => Some(ended),
        error = senders.serve(&mut *link.tx) => Some(Ok(refused.insert(error).chain())),
        () = stop.wait() => None,
    };
    if refused.is_some()
        && let Ok(how) = tokio::time::timeout(DRAIN_AT_MOST, leg.observe(&mut *link.rx)).await
    {
        ended = Some(how); // the line is gone, and what came before that was read
    }
    match ended {
        Some(ended) => {
            leg.finish();
            senders.finish(ended.as_ref().ok().map(String::as_str));
            ended.map(Some)
        }
        None => {
            drain(&mut leg, &mut link).await;
            leg.stop();
            senders.finish(None);
            Ok(None)
        }
    }
}

/// Reads what is there already, and the frame that has begun, for a while.
async fn drain(leg: &mut Leg<'_>, link: &mut Link) {
    let deadline = Instant::now() + DRAIN_AT_MOST;
    loop {
        let wait = if leg.is_between_frames() { Duration::ZERO } else { DRAIN };
        let quiet = (Instant::now() + wait).min(deadline);
        match tokio::time::timeout_at(quiet, leg.observe_once(&mut *link.rx)).await {
            Ok(Ok(None)) if Instant::now() < deadline => {}
            _ => return, // silence, the end, or time is up
        }
    }
}
