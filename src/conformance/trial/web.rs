//! Requests of an ordinary client, made while the trial goes on with whatever else it does.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::{LONGEST_BACKLOG, Step, Trial};
use crate::clock::Timestamp;
use crate::conformance::model::{Flow, Halt};
use crate::conformance::seen::Seen;
use crate::conformance::web::{Asking, Ends, Exchange, Request};
use crate::craft::layers::Tcp;
use crate::error::{Category, Error};
use crate::proto::tcp;

/// How long a response may stand still: a segment may be lost, and the next one as well.
const STILL: Duration = Duration::from_secs(10);
/// How long connections may take to end in order.
const ENDING: Duration = Duration::from_secs(1);
/// How often to look at what shows in no frame.
pub(super) const GLANCE: Duration = Duration::from_millis(5);
/// Bytes that connections may have on their way, in both directions together.
pub(super) const AHEAD: usize = 8192;

impl Trial {
    /// Begins a request at the web server's port. It goes on whenever the trial waits for something.
    pub fn begin(&mut self, request: Request) -> Flow<Asking> {
        let port = self.rig.target.ports.http;
        self.begin_at(port, request)
    }

    /// The same at another port.
    pub fn begin_at(&mut self, port: u16, request: Request) -> Flow<Asking> {
        let ends = Ends { identity: self.identity(), port, max_frame: self.max_frame() };
        let Some(web) = &mut self.rig.web else {
            let text = "the judge was put together without a web client";
            return Err(Halt::Error(Error::new(Category::Internal, text)));
        };
        Ok(web.begin(request, ends))
    }

    /// Makes a request, and waits for all of its response.
    pub async fn ask(&mut self, request: Request) -> Flow<Exchange> {
        let asking = self.begin(request)?;
        self.finish(asking).await
    }

    /// Makes requests at once, each on a connection of its own, and waits for all of their responses.
    pub async fn ask_all(
        &mut self,
        requests: impl IntoIterator<Item = Request>,
    ) -> Flow<Vec<Exchange>> {
        let asked: Flow<Vec<_>> = requests.into_iter().map(|request| self.begin(request)).collect();
        let mut exchanges = Vec::new();
        for asking in asked? {
            exchanges.push(self.finish(asking).await?);
        }
        Ok(exchanges)
    }

    /// Waits for all of a response; one that stands still for too long is given up.
    pub async fn finish(&mut self, asking: Asking) -> Flow<Exchange> {
        self.finish_until(asking, None).await
    }

    /// The same, and what has not come at `end` is given up.
    pub async fn finish_until(
        &mut self,
        mut asking: Asking,
        end: Option<Instant>,
    ) -> Flow<Exchange> {
        let mut before = None;
        let mut moved = Instant::now();
        loop {
            let known = self.mark(&asking);
            if before.replace(known) != Some(known) {
                moved = Instant::now();
            }
            let patience =
                (moved + self.unhurried(STILL)).min(end.unwrap_or(moved + LONGEST_BACKLOG));
            let step = self.step(patience, &mut asking.task).await?;
            let is_late = Instant::now() >= patience && !asking.is_done();
            if matches!(step, Step::Other(_)) || asking.is_done() || is_late {
                let mut exchange = match is_late {
                    false => asking.known().clone(),
                    true if end == Some(patience) => asking.give_up("it took too long".to_owned()),
                    true => asking.give_up(format!("nothing more came within {STILL:?}")),
                };
                exchange.wire = self.wires.at(exchange.port).copied().unwrap_or_default();
                return Ok(exchange);
            }
        }
    }

    /// What changes as long as a request moves.
    fn mark(&self, asking: &Asking) -> (u16, u64, u64, u64) {
        let port = asking.known().port;
        let wire = self.wires.at(port).copied().unwrap_or_default();
        let steps = u64::from(wire.accepted.is_some()) + u64::from(wire.theirs.has_ended);
        (port, wire.ours.bytes, wire.theirs.bytes, steps)
    }

    /// A deadline for what stands still behind other traffic on this line.
    fn unhurried(&self, base: Duration) -> Duration {
        let ahead = self.rig.pace.byte_time.saturating_mul(AHEAD as u32);
        (base + ahead).mul_f64(self.rig.time_scale)
    }

    /// Whether requests have connections that are open.
    pub(super) fn has_web_traffic(&self) -> bool {
        self.rig.web.as_ref().is_some_and(|web| !web.open().is_empty())
    }

    /// Sends a frame of a request's connection.
    pub(super) async fn send_for_web(&mut self, frame: Bytes) -> Flow {
        self.rig.invariants.sent(&frame);
        self.passed.sent(&frame);
        let seen = Seen { time: Timestamp::default(), bytes: frame.clone() };
        let time = self.rig.probe.send(frame.into()).await?;
        self.wires.sent(time, &seen);
        Ok(())
    }

    /// Forgets the connections of requests at once; the device is not told.
    pub fn forget_requests(&mut self) {
        if let Some(web) = &mut self.rig.web {
            web.clear();
        }
    }

    /// Ends the connections of requests: in order as far as the device lets them, by a reset otherwise.
    pub(super) async fn close_web(&mut self) -> Flow {
        let Some(web) = &mut self.rig.web else { return Ok(()) };
        web.close();
        let end = Instant::now() + self.unhurried(ENDING);
        let mut was_still = false; // the last frames of a connection go when it is over
        while (self.has_web_traffic() || !was_still) && Instant::now() < end {
            let glance = (Instant::now() + GLANCE).min(end);
            let step = self.step(glance, std::future::pending::<()>()).await?;
            was_still = matches!(step, Step::Nothing);
        }
        // Those that were broken off may be over for their client, and still be open for the device.
        let left = self.wires.open();
        self.forget_requests();
        for ours in left {
            let wire = self.wires.at(ours).copied().unwrap_or_default();
            // What went last may not have been acknowledged yet: the device waits for what is behind one
            // of the two, and passes over the other.
            let mut numbers = vec![wire.acknowledged, wire.ours.end()];
            numbers.dedup();
            for seq in numbers.into_iter().flatten() {
                let mut reset = self.segment_from(ours, wire.port);
                reset.tcp = Tcp { seq, flags: tcp::RST, window: 0, ..reset.tcp };
                self.send(&reset.frame()).await?;
            }
        }
        Ok(())
    }
}
