//! Sending where frames go whole, one by one: interfaces and sockets of messages.
//!
//! Frames go as they are; bytes that are sent raw are put together to frames first, as a driver does it. What the
//! other side does not take is dropped, as on any network, and each reason for that is told once.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;

use super::{Pending, Transmit};
use crate::clock::Clock;
use crate::error::Result;
use crate::event::Events;
use crate::framing::strict::Strict;

/// How long a frame may take that comes in pieces, as devices have it.
const IN_TIME: Duration = Duration::from_secs(1);
/// How long a full receiver may hold us up before a frame is dropped.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// Takes frames one by one.
pub(super) trait Outlet: Send {
    /// Sends one frame; what is not sent and no end of the line is told to `losses`.
    fn write(&self, frame: &[u8], losses: &mut Losses) -> impl Future<Output = Result<()>> + Send;

    /// Says that nothing more will be sent.
    fn close(&self) {}
}

/// Why frames were dropped, each reason told once.
pub(super) struct Losses {
    to: String,
    events: Events,
    told: BTreeSet<&'static str>,
}

impl Losses {
    /// A frame is lost; `way_out` stands behind the reason.
    pub(super) fn dropped(&mut self, why: &'static str, way_out: &str) {
        if self.told.insert(why) {
            self.events.warn(format!("not sent to {}: {why}{way_out}", self.to));
        }
    }
}

/// The sending half over an outlet.
pub(super) struct Writer<O> {
    outlet: O,
    /// Bytes that came without being frames yet.
    raw: Strict,
    clock: Clock,
    losses: Losses,
}

impl<O: Outlet> Writer<O> {
    /// Sends to `to` through `outlet` frames of up to `max_frame` bytes.
    pub(super) fn new(outlet: O, to: String, max_frame: usize, events: &Events) -> Writer<O> {
        let losses = Losses { to, events: events.clone(), told: BTreeSet::new() };
        Writer {
            outlet,
            raw: Strict::new(max_frame, Some(IN_TIME)),
            clock: Clock::system(),
            losses,
        }
    }
}

impl<O: Outlet + Sync> Transmit for Writer<O> {
    fn send<'a>(&'a mut self, frames: &'a [Bytes]) -> Pending<'a, Result<()>> {
        Box::pin(async move {
            for frame in frames {
                self.outlet.write(frame, &mut self.losses).await?;
            }
            Ok(())
        })
    }

    fn send_raw<'a>(&'a mut self, bytes: &'a [u8]) -> Pending<'a, Result<()>> {
        Box::pin(async move {
            self.raw.push(self.clock.now(), bytes);
            for frame in self.raw.by_ref() {
                self.outlet.write(&frame, &mut self.losses).await?;
            }
            Ok(())
        })
    }

    fn close(&mut self) -> Pending<'_, Result<()>> {
        self.outlet.close();
        Box::pin(async { Ok(()) })
    }
}
