//! What measurements need beside verdicts: values for the report, exact times, bytes on the line.

use bytes::Bytes;
use tokio::time::Instant;

use super::Trial;
use super::web::GLANCE;
use crate::clock::Timestamp;
use crate::conformance::measure::{Measure, Unit};
use crate::conformance::model::Flow;
use crate::conformance::web::Asking;

/// Bytes of a frame's length on the line.
const FRAMING: u64 = 2;

/// Bytes that have passed on the line during a test, with the lengths of frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// From us to the device.
    pub out: u64,
    /// From the device to us.
    pub back: u64,
}

impl Passed {
    pub(super) fn sent(&mut self, frame: &Bytes) {
        self.out += frame.len() as u64 + FRAMING;
    }

    pub(super) fn received(&mut self, frame: &Bytes) {
        self.back += frame.len() as u64 + FRAMING;
    }
}

impl Trial {
    /// A value for the report, which the test may pass or fail by, or not.
    pub fn measure(&mut self, name: &'static str, value: f64, unit: Unit) {
        self.measures.push(Measure::new(name, value, unit));
    }

    /// What has passed on the line since the test began.
    pub fn passed(&self) -> Passed {
        self.passed
    }

    /// Everything that was sent has been answered: nothing of it keeps the line busy any more.
    pub fn is_answered(&mut self) {
        self.queued = 0;
    }

    /// Lets a request go on until `end`, or until there is nothing more to come: whether it is so.
    pub async fn watch(&mut self, asking: &Asking, end: Instant) -> Flow<bool> {
        loop {
            if asking.is_done() {
                return Ok(true);
            }
            let now = Instant::now();
            if now >= end {
                return Ok(false);
            }
            let glance = (now + GLANCE).min(end);
            self.step(glance, std::future::pending::<()>()).await?;
        }
    }

    /// Sends a frame; says when it went.
    pub async fn send_timed(&mut self, frame: &[u8]) -> Flow<Timestamp> {
        self.send(frame).await?;
        Ok(self.last_sent)
    }
}
