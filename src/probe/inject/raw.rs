//! Frames as they are, and everything that comes back.
//!
//! What is sent and received is told frame by frame. Frames leave at absolute times, and after the last
//! one as long is listened as the plan says. Where a frame was malformed, a sentinel shows at the end
//! that the device lives; with `is_checked_each_time` behind every frame, so that the one that it did not
//! survive is known.

use std::time::Duration;

use tokio::time::Instant;

use super::provoked::Provoked;
use super::sentinel::{self, Life};
use super::wire::Wire;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::probe::Probe;
use crate::record::{Body, Record};
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
    /// Frames that the line does not carry are left out, and not refused.
    pub leaves_out: bool,
}

/// What happens.
#[derive(Debug)]
pub enum Event<'a> {
    /// A frame has gone out: its number from 1, its bytes, what is remarkable about it.
    Sent(u64, &'a [u8], Option<&'a str>),
    /// A record has come, so long after the last frame began to go; whether it seems to be an answer.
    Came(&'a Record, Duration, bool),
}

/// A frame and what is remarkable about it.
pub type Shot = (Vec<u8>, Option<String>);

/// The sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Frames sent.
    pub sent: u64,
    /// Frames that the line does not carry.
    pub left_out: u64,
    /// Frames that came back, the answers to sentinels not counted.
    pub came: u64,
    /// Frames that the device sent of itself.
    pub also_heard: u64,
    /// Bytes that came and were no frames: how often.
    pub errors: u64,
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
    let mut run = Run {
        plan,
        sum: Sum::default(),
        sent_at: Timestamp::default(),
        provoked: Provoked::default(),
        tell,
    };
    let start = Instant::now();
    let mut next = start;
    let is_over = |at: Instant| plan.duration.is_some_and(|most| at.duration_since(start) >= most);
    while !stop.is_stopped() && !is_over(next) {
        let Some((frame, remark)) = shots.next() else { break };
        let sent = run.shoot(probe, &frame, remark.as_deref()).await;
        let sent = sent.map_err(|error| match &remark {
            Some(remark) => error.with_help(format!("that was at {remark}")),
            None => error,
        })?;
        if run.sum.life == Some(Life::Silent) {
            return Ok(run.sum);
        }
        if !sent {
            continue;
        }
        next = (next + plan.interval).max(Instant::now());
        let is_waiting = plan.interval > Duration::ZERO && !is_over(next);
        run.listen(probe, if is_waiting { next } else { Instant::now() }, stop).await?;
    }
    if !plan.is_checked_each_time {
        run.listen(probe, Instant::now() + plan.timeout, stop).await?;
        if plan.is_checked && !stop.is_stopped() {
            run.check(probe).await?;
        }
    }
    Ok(run.sum)
}

struct Run<'a, T> {
    plan: &'a Plan,
    sum: Sum,
    /// When the last frame began to go.
    sent_at: Timestamp,
    provoked: Provoked,
    tell: &'a mut T,
}

impl<T: FnMut(Event<'_>)> Run<'_, T> {
    /// Sends a frame, if the line carries such frames, and asks behind it whether the device lives, if that
    /// is wanted each time.
    async fn shoot(
        &mut self,
        probe: &mut Probe,
        frame: &[u8],
        remark: Option<&str>,
    ) -> Result<bool> {
        let wire = self.plan.wire;
        if self.plan.leaves_out && wire.check_carried(probe.framing(), frame).is_err() {
            self.sum.left_out += 1;
            return Ok(false);
        }
        self.sent_at = wire.send(probe, frame).await?;
        self.sum.sent += 1;
        self.provoked.sent(frame, self.sent_at);
        (self.tell)(Event::Sent(self.sum.sent, frame, remark));
        if self.plan.is_checked_each_time {
            self.check(probe).await?;
        }
        Ok(true)
    }

    async fn check(&mut self, probe: &mut Probe) -> Result<()> {
        let (wire, patience) = (self.plan.wire, self.plan.timeout);
        let life = sentinel::ask(probe, &wire, patience, &mut |record| self.take(record)).await?;
        self.sum.life = Some(life);
        Ok(())
    }

    /// Counts a record, and tells it.
    fn take(&mut self, record: &Record) {
        let time = record.time.map_or(self.sent_at, |span| span.last);
        let mut is_answer = false;
        match &record.body {
            Body::Frame(frame) => {
                is_answer = self.provoked.is_answer(frame, time);
                self.sum.came += u64::from(is_answer);
                self.sum.also_heard += u64::from(!is_answer);
            }
            Body::FramingError(_) => self.sum.errors += 1,
            _ => {}
        }
        (self.tell)(Event::Came(record, super::since(record, self.sent_at), is_answer));
    }

    /// Takes what comes until `deadline`.
    async fn listen(
        &mut self,
        probe: &mut Probe,
        deadline: Instant,
        stop: &mut Stop,
    ) -> Result<()> {
        let mut came = 0;
        loop {
            let record = tokio::select! {
                biased;
                () = stop.wait() => return Ok(()),
                record = probe.receive(deadline) => record?,
            };
            let Some(record) = record else { return Ok(()) };
            came += 1;
            self.take(&record);
            if Instant::now() >= deadline && came > 1000 {
                return Ok(()); // a line that is never silent does not stop time
            }
        }
    }
}
