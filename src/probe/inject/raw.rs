//! Frames as they are, and everything that comes back.
//!
//! What is sent and received is told frame by frame. Frames leave at absolute times, and after the last
//! one as long is listened as the plan says. Where a frame was malformed, a sentinel shows at the end
//! that the device lives; with `is_checked_each_time` behind every frame, so that the one that it did not
//! survive is known.

use std::time::Duration;

use tokio::time::Instant;

use super::sentinel::{self, Life};
use super::wire::Wire;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::probe::Probe;
use crate::record::Record;
use crate::stop::Stop;

/// How frames are sent.
#[derive(Clone, Debug)]
pub struct Plan {
    /// From one frame to the next.
    pub interval: Duration,
    /// How long to listen behind the last, and for a sentinel's answer.
    pub timeout: Duration,
    /// No frame leaves after so long.
    pub duration: Option<Duration>,
    /// How they go out on the line.
    pub wire: Wire,
    /// A sentinel behind every frame.
    pub is_checked_each_time: bool,
    /// A sentinel at the end.
    pub is_checked: bool,
}

/// What happens.
#[derive(Debug)]
pub enum Event<'a> {
    /// A frame has gone out: its number from 1, its bytes, what is remarkable about it.
    Sent(u64, &'a [u8], Option<&'a str>),
    /// A record has come, so long after the last frame began to go.
    Came(&'a Record, Duration),
}

/// A frame and what is remarkable about it.
pub type Shot = (Vec<u8>, Option<String>);

/// The sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Frames sent.
    pub sent: u64,
    /// Records that came, those of sentinels not counted.
    pub came: u64,
    /// What the last sentinel said.
    pub life: Option<Life>,
}

/// Sends every frame that `shots` yields, while there is one and nobody says stop.
pub async fn run(
    probe: &mut Probe,
    plan: &Plan,
    shots: &mut dyn Iterator<Item = Shot>,
    stop: &mut Stop,
    tell: &mut impl FnMut(Event<'_>),
) -> Result<Sum> {
    probe.speak_ip6(); // whoever answers by IPv6 asks for us first
    let mut sum = Sum::default();
    let start = Instant::now();
    let mut next = start;
    let mut sent_at = Timestamp::default();
    let is_over = |at: Instant| plan.duration.is_some_and(|most| at.duration_since(start) >= most);
    while !stop.is_stopped() && !is_over(next) {
        let Some((frame, remark)) = shots.next() else { break };
        let at = |error: Error| match &remark {
            Some(remark) => error.with_help(format!("that was at {remark}")),
            None => error,
        };
        sent_at = plan.wire.send(probe, &frame).await.map_err(at)?;
        sum.sent += 1;
        tell(Event::Sent(sum.sent, &frame, remark.as_deref()));
        if plan.is_checked_each_time {
            let life = check(probe, plan, sent_at, &mut sum.came, tell).await;
            sum.life = Some(life.map_err(at)?);
            if sum.life == Some(Life::Silent) {
                return Ok(sum);
            }
        }
        next = (next + plan.interval).max(Instant::now());
        if plan.interval > Duration::ZERO && !is_over(next) {
            sum.came += listen(probe, next, sent_at, stop, tell).await?;
        } else {
            sum.came += listen(probe, Instant::now(), sent_at, stop, tell).await?;
        }
    }
    if !plan.is_checked_each_time {
        sum.came += listen(probe, Instant::now() + plan.timeout, sent_at, stop, tell).await?;
    }
    if plan.is_checked && !plan.is_checked_each_time && !stop.is_stopped() {
        sum.life = Some(check(probe, plan, sent_at, &mut sum.came, tell).await?);
    }
    Ok(sum)
}

async fn check(
    probe: &mut Probe,
    plan: &Plan,
    sent_at: Timestamp,
    came: &mut u64,
    tell: &mut impl FnMut(Event<'_>),
) -> Result<Life> {
    sentinel::ask(probe, &plan.wire, plan.timeout, &mut |record| {
        *came += 1;
        tell(Event::Came(record, super::since(record, sent_at)));
    })
    .await
}

/// Tells what comes until `deadline`; how much it was.
async fn listen(
    probe: &mut Probe,
    deadline: Instant,
    sent_at: Timestamp,
    stop: &mut Stop,
    tell: &mut impl FnMut(Event<'_>),
) -> Result<u64> {
    let mut came = 0;
    loop {
        let record = tokio::select! {
            biased;
            () = stop.wait() => return Ok(came),
            record = probe.receive(deadline) => record?,
        };
        let Some(record) = record else { return Ok(came) };
        came += 1;
        tell(Event::Came(&record, super::since(&record, sent_at)));
        if Instant::now() >= deadline && came > 1000 {
            return Ok(came); // a line that is never silent does not stop time
        }
    }
}
