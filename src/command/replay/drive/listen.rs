//! Listening at the end: for answers that should not come, which nobody waits for.

use std::time::Duration;

use tokio::time::Instant;

use super::Drive;
use crate::command::replay::FAR;
use crate::probe::Heard;

/// How long the end is listened to at least, with answers that are compared.
const LISTENING: Duration = Duration::from_millis(200);

impl Drive {
    /// Listens for what should not come, for longer than any answer has taken; for how long. A line that goes away
    /// meanwhile has nothing more to say.
    pub(super) async fn listen(&mut self) -> Duration {
        let began = Instant::now();
        let deadline = began + (self.answer_time * 2).max(LISTENING).min(self.plan.timeout);
        while self.judge.is_some() && Instant::now() < deadline && !self.stop.is_stopped() {
            let Drive { probe, stop, .. } = self;
            let until = (Instant::now() + FAR).min(deadline);
            match probe.receive_or(until, stop.wait()).await {
                Ok(Heard::Record(record)) => self.hear(&record),
                Ok(_) => {}
                Err(_) => break,
            }
        }
        began.elapsed()
    }
}
