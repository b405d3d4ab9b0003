//! The parts of a replay put together on a line: frames in their time, answers to whoever waits for them.
//!
//! One frame after the other: it is due at its time, but not before the recorded answers that it needs have come;
//! what it has to wait for them longer than its time moves everything behind it. Frames that are late already
//! collect and go in one write. Whatever is waited for, what comes from the line is taken in.

mod listen;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::FAR;
use super::report::Progress;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::probe::{Heard, Probe};
use crate::record::{Body, Record};
use crate::replay::conversation::Side;
use crate::replay::expect::Judge;
use crate::replay::lateness::Lateness;
use crate::replay::metronome::Metronome;
use crate::replay::schedule::Schedule;
use crate::replay::session::{Need, Session};
use crate::replay::source::{Item, Source, What, Why};
use crate::stop::Stop;

/// Bytes that go in one write, about.
const TOGETHER_BYTES: usize = 128 * 1024;
/// How long a write may take after the word to stop, so that no frame is cut.
const GRACE: Duration = Duration::from_millis(500);
/// Numbers of frames of one kind that are told.
const NUMBERS: usize = 5;

/// What is to be done.
pub(super) struct Plan {
    /// How long to wait for an answer.
    pub(super) timeout: Duration,
    /// Frames that may go in one write.
    pub(super) together: usize,
    /// Frames that are sent at most.
    pub(super) limit: Option<u64>,
    /// The file's name.
    pub(super) name: String,
}

/// A frame of the capture, counted from 1, in one of the rounds, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) number: u64,
    pub(super) round: u64,
}

/// A frame that goes next.
pub(super) struct Ready {
    frame: Bytes,
    /// When it was due.
    due: Option<Instant>,
    place: Place,
}

/// What was done.
#[derive(Debug, Default)]
pub(super) struct Totals {
    /// Frames that were sent.
    pub(super) sent: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// Frames that came.
    pub(super) heard: u64,
    /// How late frames with a time went.
    pub(super) lateness: Lateness,
    /// What could not be sent: how much, and the first numbers.
    pub(super) unfit: BTreeMap<Why, (u64, Vec<u64>)>,
    /// How often and how long something was held back for answers.
    pub(super) held: (u64, Duration),
    /// How many of these answers did not come.
    pub(super) given_up: u64,
    /// The last frame that was sent.
    pub(super) last: Place,
    /// Frames behind it that may have gone: the last write was cut short.
    pub(super) unsure: usize,
    /// From the first frame to the last one.
    pub(super) time: Duration,
    /// Frames without a time, at a speed that goes by times.
    pub(super) timeless: u64,
    /// Everything was sent that was to be sent.
    pub(super) is_complete: bool,
    /// And the last answers were waited for.
    pub(super) is_settled: bool,
    /// The addresses to which the first frame went.
    pub(super) first: Option<Bytes>,
}

/// How it ended.
pub(super) struct Done {
    pub(super) totals: Totals,
    pub(super) judge: Option<Judge>,
    pub(super) schedule: Schedule,
    /// Something was wrong with the file.
    pub(super) is_damaged: bool,
}

/// A replay under way.
pub(super) struct Drive {
    pub(super) probe: Probe,
    pub(super) source: Source,
    pub(super) schedule: Schedule,
    pub(super) metronome: Metronome,
    pub(super) session: Option<Session>,
    pub(super) judge: Option<Judge>,
    pub(super) plan: Plan,
    pub(super) stop: Stop,
    pub(super) totals: Totals,
    /// When the first frame was due.
    pub(super) start: Option<Instant>,
    /// Frames that go next.
    pub(super) batch: Vec<Ready>,
    /// Their bytes.
    pub(super) batch_bytes: usize,
    /// When the last frame went, if nothing has come since, and the longest that took.
    pub(super) asked: Option<Instant>,
    pub(super) answer_time: Duration,
    /// The round.
    pub(super) round: u64,
    pub(super) progress: Progress,
}

impl Drive {
    /// Sends everything, until told to stop.
    pub(super) async fn run(&mut self) -> Result<()> {
        while !self.stop.is_stopped() {
            let is_enough = self.plan.limit.is_some_and(|limit| self.going() >= limit);
            if is_enough && self.session.is_none() {
                break;
            }
            let Some(item) = self.next().await? else { break };
            let Item { number, at, what } = item;
            // The answers behind the last frame belong to it.
            let is_answer =
                matches!(what, What::Frame(Side::Theirs, _) | What::Part(_) | What::Lacking(_));
            if is_enough && !is_answer {
                self.judge.iter_mut().for_each(Judge::cut_short);
                break;
            }
            match what {
                What::Frame(Side::Ours, frame) => self.ours(number, at, frame).await?,
                What::Frame(Side::Theirs, frame) => self.theirs(number, &frame, true),
                What::Part(frame) => self.theirs(number, &frame, false),
                What::Lacking(n) => self.judge.iter_mut().for_each(|judge| judge.lacks(n)),
                What::Unfit(why, n) => self.unfit(why, n, number),
                What::Again => self.begin_again().await?,
            }
        }
        self.flush().await?;
        self.totals.is_complete = !self.stop.is_stopped();
        self.settle().await?;
        self.listen().await;
        self.totals.is_settled = !self.stop.is_stopped();
        Ok(())
    }

    /// Frames that were sent, and those that go next.
    fn going(&self) -> u64 {
        self.totals.sent + self.batch.len() as u64
    }

    /// The next item; what waits to be sent goes first if that has to be waited for.
    async fn next(&mut self) -> Result<Option<Item>> {
        if let Some(item) = self.source.poll() {
            return Ok(Some(item));
        }
        self.flush().await?;
        loop {
            self.progress.show(&self.plan.name, self.source.share(), self.totals.sent);
            let Drive { probe, source, stop, .. } = self;
            let other = async {
                tokio::select! {
                    biased;
                    () = stop.wait() => Ok(None),
                    item = source.next() => item,
                }
            };
            match probe.receive_or(Instant::now() + FAR, other).await? {
                Heard::Record(record) => self.hear(&record),
                Heard::Other(item) => return item,
                Heard::Nothing => {}
            }
            self.tell_damage();
        }
    }

    /// A frame that the other side had sent.
    fn theirs(&mut self, number: u64, frame: &Bytes, is_whole: bool) {
        if let Some(session) = &mut self.session {
            session.recorded(frame);
        }
        match &mut self.judge {
            Some(judge) if is_whole => judge.recorded(number, frame),
            Some(judge) => judge.recorded_in_part(number, frame),
            None => {}
        }
    }

    fn unfit(&mut self, why: Why, n: u64, number: u64) {
        let (count, numbers) = self.totals.unfit.entry(why).or_default();
        *count += n;
        if numbers.len() < NUMBERS && self.round == 0 {
            numbers.push(number);
        }
    }

    /// A frame that is sent.
    async fn ours(&mut self, number: u64, at: Option<Timestamp>, frame: Bytes) -> Result<()> {
        self.judge.iter_mut().for_each(|judge| judge.asked(&frame));
        let due = self.schedule.next(at, frame.len());
        let start = *self.start.get_or_insert_with(Instant::now);
        let due = due.map(|due| start + due);
        self.totals.timeless += u64::from(at.is_none());
        if let Some(due) = due.filter(|due| *due > Instant::now()) {
            self.flush().await?;
            self.wait_until(due).await?;
            if self.stop.is_stopped() {
                return Ok(());
            }
        }
        let due = self.wait_for_answers(&frame, due).await?;
        if self.stop.is_stopped() {
            return Ok(());
        }
        let frame = match &mut self.session {
            Some(session) => session.translate(&frame),
            None => frame,
        };
        let is_late = due.is_none_or(|due| due + Duration::from_micros(200) < Instant::now());
        self.batch_bytes += frame.len();
        let place = Place { number, round: self.round };
        self.batch.push(Ready { frame, due, place });
        let is_full = self.batch.len() >= self.plan.together || self.batch_bytes >= TOGETHER_BYTES;
        if is_full || !is_late { self.flush().await } else { Ok(()) }
    }

    async fn wait_until(&mut self, due: Instant) -> Result<()> {
        loop {
            self.progress.show(&self.plan.name, self.source.share(), self.totals.sent);
            let Drive { probe, metronome, stop, .. } = self;
            let other = async {
                tokio::select! {
                    biased;
                    () = stop.wait() => {}
                    () = metronome.until(due) => {}
                }
            };
            match probe.receive_or(Instant::now() + FAR, other).await? {
                Heard::Record(record) => self.hear(&record),
                Heard::Other(()) => return Ok(()),
                Heard::Nothing => {}
            }
        }
    }

    /// Waits for what the frame needs; says when it is due now.
    async fn wait_for_answers(
        &mut self,
        frame: &Bytes,
        due: Option<Instant>,
    ) -> Result<Option<Instant>> {
        let Some(session) = &mut self.session else { return Ok(due) };
        let Some(need) = session.need(frame) else { return Ok(due) };
        self.flush().await?;
        let began = Instant::now();
        self.wait_for(need, began + self.plan.timeout).await?;
        let held = began.elapsed();
        self.totals.held.0 += 1;
        self.totals.held.1 += held;
        self.schedule.shift(held);
        Ok(due.map(|due| due + held))
    }

    async fn wait_for(&mut self, need: Need, deadline: Instant) -> Result<()> {
        loop {
            let Some(session) = &mut self.session else { return Ok(()) };
            if session.is_met(&need) || self.stop.is_stopped() {
                return Ok(());
            }
            let now = Instant::now();
            if now >= deadline {
                self.totals.given_up += 1;
                session.give_up(&need);
                return Ok(());
            }
            self.progress.show(&self.plan.name, self.source.share(), self.totals.sent);
            let Drive { probe, stop, .. } = self;
            if let Heard::Record(record) =
                probe.receive_or((now + FAR).min(deadline), stop.wait()).await?
            {
                self.hear(&record);
            }
        }
    }

    /// Sends what waits to be sent.
    async fn flush(&mut self) -> Result<()> {
        let Some(Ready { place, .. }) = self.batch.last() else { return Ok(()) };
        let place = *place;
        let now = Instant::now();
        let size = std::mem::take(&mut self.batch_bytes);
        let mut frames = Vec::with_capacity(self.batch.len());
        for Ready { frame, due, .. } in self.batch.drain(..) {
            if let Some(due) = due {
                self.totals.lateness.count(now.saturating_duration_since(due));
            }
            frames.push(frame);
        }
        let Drive { probe, stop, .. } = self;
        let stopped = async {
            stop.wait().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            biased;
            sent = probe.send_all(&frames) => sent?,
            () = stopped => {
                self.totals.unsure = frames.len(); // whoever is there does not read
                return Ok(());
            }
        }
        self.asked = Some(Instant::now());
        self.totals.sent += frames.len() as u64;
        self.totals.bytes += size as u64;
        self.totals.last = place;
        self.totals.time = self.start.map(|start| start.elapsed()).unwrap_or_default();
        if self.totals.first.is_none() {
            self.totals.first = frames.into_iter().next();
        }
        // What has come meanwhile; a look at the line costs no time, as a timer would.
        let look = std::future::ready(());
        if let Heard::Record(record) = self.probe.receive_or(Instant::now() + FAR, look).await? {
            self.hear(&record);
        }
        let records = self.probe.drain();
        records.iter().for_each(|record| self.hear(record));
        Ok(())
    }

    fn hear(&mut self, record: &Record) {
        let Body::Frame(frame) = &record.body else { return };
        self.totals.heard += 1;
        if let Some(asked) = self.asked.take() {
            self.answer_time = self.answer_time.max(asked.elapsed());
        }
        let frame = match &mut self.session {
            Some(session) => session.heard(frame),
            None => frame.clone(),
        };
        if let Some(judge) = &mut self.judge {
            judge.heard(&frame);
        }
    }

    /// The capture begins again, when the answers of this round have come.
    async fn begin_again(&mut self) -> Result<()> {
        if self.session.is_some() {
            self.flush().await?;
            self.settle().await?;
            let listened = self.listen().await;
            self.schedule.shift(listened);
        }
        self.schedule.begin_again();
        self.session.iter_mut().for_each(Session::begin_again);
        self.judge.iter_mut().for_each(Judge::begin_again);
        self.round += 1;
        Ok(())
    }

    /// Waits for the answers that have not come yet.
    async fn settle(&mut self) -> Result<()> {
        let deadline = Instant::now() + self.plan.timeout;
        let began = Instant::now();
        loop {
            let is_waiting = self.session.as_ref().is_some_and(Session::is_waiting)
                || self.judge.as_ref().is_some_and(Judge::is_waiting);
            if !is_waiting || self.stop.is_stopped() || Instant::now() >= deadline {
                break;
            }
            let Drive { probe, stop, .. } = self;
            let until = (Instant::now() + FAR).min(deadline);
            if let Heard::Record(record) = probe.receive_or(until, stop.wait()).await? {
                self.hear(&record);
            }
        }
        self.schedule.shift(began.elapsed());
        Ok(())
    }

    /// Leaves the line; what still comes is heard.
    pub(super) async fn leave(&mut self) {
        self.progress.clear();
        self.probe.leave().await;
        let records = self.probe.drain();
        records.iter().for_each(|record| self.hear(record));
        self.judge.iter_mut().for_each(Judge::finish);
        self.tell_damage();
    }

    fn tell_damage(&mut self) {
        for damage in self.source.damage() {
            self.progress.tell(&format!("{}: {damage}", self.plan.name));
        }
    }

    /// What is left when the line is left.
    pub(super) fn done(self) -> Done {
        let Drive { totals, judge, schedule, source, .. } = self;
        Done { totals, judge, schedule, is_damaged: source.is_damaged }
    }
}
