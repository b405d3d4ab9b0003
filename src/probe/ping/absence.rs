//! A line that is away: unplugged, or its program started anew.
//!
//! Requests keep their schedule meanwhile, as everywhere on a network: those that would have left are lost, and
//! time out as any other. When the line is back, the next one leaves when it is due. A run that comes
//! to its end while the line is away has lost the line.

use tokio::time::Instant;

use super::{Outcome, Run};
use crate::clock::Timestamp;
use crate::endpoint::Connector;
use crate::error::{Category, Error, Result};
use crate::probe::Probe;
use crate::stop::Stop;

impl Run<'_> {
    /// Waits for the line that ended with `error`. True when it is back; false when told to stop, or when
    /// there is nothing left to do.
    pub(super) async fn wait_for(
        &mut self,
        connector: &dyn Connector,
        error: Error,
        probe: &mut Probe,
        stop: &mut Stop,
        tell: &mut impl FnMut(Outcome),
    ) -> Result<bool> {
        if error.category() != Category::Environment {
            return Err(error);
        }
        let gone = Instant::now();
        let how = probe.lose(&error).await;
        for record in probe.drain() {
            self.arrive(&record, probe, tell);
        }
        let mut connecting = connector.connect();
        loop {
            let now = Instant::now();
            self.expire(now, tell);
            if self.departure().is_some_and(|at| at <= now) {
                self.departed(Timestamp::default()); // nothing answers it
                continue;
            }
            let departure = self.departure();
            let Some(deadline) = self.next_deadline(departure) else {
                let text = format!("{} went away and did not come back: {how}", connector.name());
                return Err(Error::environment(text));
            };
            tokio::select! {
                biased;
                () = stop.wait() => return Ok(false),
                link = &mut connecting => {
                    probe.rejoin(link?);
                    tell(Outcome::Back { how, after: gone.elapsed() });
                    return Ok(true);
                }
                () = tokio::time::sleep_until(deadline) => {}
            }
        }
    }
}
