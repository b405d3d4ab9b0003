//! Whether the device lives: sentinels, and what brings it back when it does not answer.

use std::time::Duration;

use tokio::time::Instant;

use super::super::model::{Flow, Halt};
use super::super::rig::{Capability, connect_within};
use super::super::seen::Seen;
use super::{ANSWER, GRACE, LONGEST_BACKLOG, SENTINEL_DATA, SENTINELS, Trial};

impl Trial {
    /// One marked echo request: whether it was answered. Its reply is not kept.
    pub async fn ping(&mut self) -> Flow<bool> {
        self.ping_within(ANSWER).await
    }

    /// The same with another patience, on an idle line.
    pub async fn ping_within(&mut self, patience: Duration) -> Flow<bool> {
        let echo = self.echo(SENTINEL_DATA);
        self.sentinels.insert(echo.icmp.rest);
        self.send(&echo.frame()).await?;
        let deadline = Instant::now() + self.within(patience);
        let came = self.take_until(deadline, |seen| echo.is_answered_by(seen)).await?;
        if came {
            self.queued = 0;
        }
        Ok(came)
    }

    /// Whether the device answers now, or after it was given the time to get back into step.
    pub async fn is_alive(&mut self) -> Flow<bool> {
        let announced = self.rig.invariants.announcements;
        for attempt in 0..SENTINELS {
            match attempt {
                0 => {}
                1 => self.resync().await?,
                _ => self.back_into_step().await?,
            }
            if self.ping().await? {
                self.note_return(attempt > 0, announced);
                self.outages += u32::from(attempt > 0);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Notes whether a device that is back after an outage has booted: it announces its address then.
    /// One that does so now and then anyhow tells nothing by it.
    fn note_return(&mut self, was_away: bool, announced_before: u64) {
        let invariants = &mut self.rig.invariants;
        let has_announced = invariants.announcements > announced_before;
        if was_away && has_announced && !invariants.announces_at_times {
            self.seems_rebooted = true;
        }
        let idle = if was_away { announced_before } else { invariants.announcements };
        invariants.announces_at_times |= idle > invariants.announcements_at_boot;
    }

    /// Waits until everything that was sent is answered, as far as it will be: what came since the
    /// last time. A device that is silent from now on fails the test.
    pub async fn settle(&mut self) -> Flow<Vec<Seen>> {
        self.survives().await?;
        let longest = self.rig.pace.byte_time.saturating_mul(self.max_frame() as u32);
        self.listen(GRACE.mul_f64(self.rig.time_scale.max(1.0)) + longest.min(LONGEST_BACKLOG))
            .await?;
        Ok(self.take_seen())
    }

    /// The device answers a ping; one that does not has not survived.
    pub async fn survives(&mut self) -> Flow {
        let is_alive = self.is_alive().await?;
        let expected = "the device answers a ping afterwards";
        let actual = format!("{SENTINELS} pings, with silence between them, were not answered");
        if !self.must(is_alive, expected, actual) && !is_alive {
            self.has_died = true;
            return Err(Halt::Failed);
        }
        Ok(())
    }

    /// Sends a frame, and everything that comes of it.
    pub async fn exchange(&mut self, frame: &[u8]) -> Flow<Vec<Seen>> {
        self.send(frame).await?;
        self.settle().await
    }

    /// Leaves the line and meets it again.
    pub async fn reconnect(&mut self) -> Flow {
        self.meet(Duration::ZERO).await
    }

    /// Meets the line, which may come within `wait`. We leave it before: who serves one client serves
    /// the next when that is gone.
    async fn meet(&mut self, wait: Duration) -> Flow {
        self.rig.probe.cut();
        let link = connect_within(&*self.rig.connector, wait).await?;
        self.rig.probe.relink(link);
        self.rig.invariants.is_fresh = true;
        self.queued = 0;
        Ok(())
    }

    /// Leaves the line.
    pub async fn leave(&mut self) -> Flow {
        self.rig.probe.cut();
        Ok(())
    }

    /// Starts the device anew and meets it while it boots.
    pub async fn restart(&mut self) -> Flow {
        let Some(restart) = &mut self.rig.restart else {
            return Err(Halt::Skip("the device cannot be started anew".to_owned()));
        };
        self.rig.probe.cut();
        restart.restart().await?;
        self.meet(self.rig.boot_time).await // its line may be there only after a while
    }

    /// Brings a device back that does not answer: by waiting, by meeting it again, by starting it anew.
    /// Where that does not help, the error says what came of the last attempt.
    pub async fn bring_back(&mut self) -> Result<(), String> {
        let mut why = String::new();
        for step in 0..3 {
            let stepped = match step {
                0 => Ok(()),
                1 if self.rig.can(Capability::Reconnect) => self.reconnect().await,
                2 if self.rig.can(Capability::Restart) => self.restart().await,
                _ => continue,
            };
            let is_back = match stepped {
                Ok(()) => self.is_alive().await,
                Err(halt) => Err(halt),
            };
            match is_back {
                Ok(true) => {
                    self.take_seen();
                    return Ok(());
                }
                Ok(false) => "it does not answer".clone_into(&mut why),
                Err(Halt::Inconclusive(text) | Halt::Skip(text)) => why = text,
                Err(Halt::Error(error)) => why = error.chain(),
                Err(Halt::Failed) => {}
            }
        }
        Err(why)
    }
}
