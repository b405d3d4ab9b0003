//! The parts of a replay put together on a line: frames in their time, answers to whoever waits for them.
//!
//! One frame after the other: it is due at its time, but not before the recorded answers that it needs have come;
//! what it has to wait for them longer than its time moves everything behind it. Frames that are late already
//! collect and go in one write. Whatever is waited for, what comes from the line is taken in.

mod edges;
mod listen;
#[cfg(test)]
mod tests;
mod totals;

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

pub(super) use self::edges::End;
pub(super) use self::totals::{Counted, Place, Totals};
use super::FAR;
use super::report::{self, Progress};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::probe::{Heard, Probe};
use crate::record::{Body, Record};
use crate::replay::conversation::Side;
use crate::replay::expect::Judge;
use crate::replay::limits::Limits;
use crate::replay::metronome::Metronome;
use crate::replay::schedule::Schedule;
use crate::replay::session::{self, Mark, Need, Session};
use crate::replay::source::{Item, Source, What};
use crate::stop::Stop;

/// Bytes that go in one write, about.
const TOGETHER_BYTES: usize = 128 * 1024;
/// How long a write may take after the word to stop, so that no frame is cut.
const GRACE: Duration = Duration::from_millis(500);
/// A wait that is so long is told: the clock of the recording may have been set.
const LONG: Duration = Duration::from_secs(60);
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

/// A frame that goes next.
pub(super) struct Ready {
    frame: Bytes,
    /// When it was due.
    due: Option<Instant>,
    place: Place,
}

/// How it ended.
pub(super) struct Done {
    pub(super) totals: Totals,
    pub(super) judge: Option<Judge>,
    pub(super) schedule: Schedule,
    /// Something was wrong with the file.
    pub(super) is_damaged: bool,
}

fn count<T: Ord>(counted: &mut Counted<T>, what: T, n: u64, number: u64, round: u64) {
    let (count, numbers) = counted.entry(what).or_default();
    *count += n;
    if numbers.len() < NUMBERS && round == 0 {
        numbers.push(number);
    }
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
    /// What was sent when only so many frames are.
    pub(super) limits: Limits,
    pub(super) end: Option<End>,
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
    /// That a gap is long was told.
    pub(super) has_told_gap: bool,
    pub(super) progress: Progress,
}

impl Drive {
    /// Sends everything, until told to stop.
    pub(super) async fn run(&mut self) -> Result<()> {
        while !self.stop.is_stopped() {
            let is_enough = self.is_enough();
            if is_enough && self.session.is_none() {
                break;
            }
            let Some(item) = self.next().await? else { break };
            let Item { number, at, what } = item;
            if is_enough {
                match self.behind(number, at, what) {
                    true => continue,
                    false => {
                        self.judge.iter_mut().for_each(Judge::cut_short);
                        break;
                    }
                }
            }
            match what {
                What::Frame(Side::Ours, frame) => self.ours(number, at, frame).await?,
                What::Frame(Side::Theirs, frame) => self.theirs(number, &frame, true),
                What::Part(frame) => self.theirs(number, &frame, false),
                What::Lacking(n) => self.judge.iter_mut().for_each(|judge| judge.lacks(n)),
                What::Checksum(fault) => {
                    count(&mut self.totals.faults, fault, 1, number, self.round)
                }
                What::Unfit(why, n) => count(&mut self.totals.unfit, why, n, number, self.round),
                What::Again => self.begin_again().await?,
            }
        }
        self.flush().await?;
        self.totals.is_complete = !self.stop.is_stopped() || self.is_at_end();
        self.totals.open = self.session.as_ref().and_then(Session::open);
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
        let mark = Mark { number, sent: self.going() };
        if let Some(session) = &mut self.session {
            session.mark(mark);
            session.recorded(frame);
        }
        match &mut self.judge {
            Some(judge) if is_whole => judge.recorded(number, frame),
            Some(judge) => judge.recorded_in_part(number, frame),
            None => {}
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
            self.tell_gap(number, due.saturating_duration_since(Instant::now()));
            self.wait_until(due).await?;
            if self.stop.is_stopped() {
                self.source.put_back(Item { number, at, what: What::Frame(Side::Ours, frame) });
                return Ok(());
            }
        }
        let due = self.wait_for_answers(&frame, due).await?;
        if self.stop.is_stopped() {
            self.source.put_back(Item { number, at, what: What::Frame(Side::Ours, frame) });
            return Ok(());
        }
        if self.plan.limit.is_some() && self.session.is_some() {
            self.limits.sent(&frame);
        }
        let mark = Mark { number, sent: self.going() };
        let frame = match &mut self.session {
            Some(session) => {
                session.mark(mark);
                session.translate(&frame)
            }
            None => {
                self.totals.untranslated += u64::from(session::acknowledges(&frame));
                frame
            }
        };
        let is_late = due.is_none_or(|due| due + Duration::from_micros(200) < Instant::now());
        self.batch_bytes += frame.len();
        let place = Place { number, round: self.round };
        self.batch.push(Ready { frame, due, place });
        let is_full = self.batch.len() >= self.plan.together || self.batch_bytes >= TOGETHER_BYTES;
        if is_full || !is_late { self.flush().await } else { Ok(()) }
    }

    /// Says once that a gap of the recording is a long one.
    fn tell_gap(&mut self, number: u64, gap: Duration) {
        if gap > LONG && self.schedule.is_recorded() && !self.has_told_gap {
            self.has_told_gap = true;
            let gap = report::clock(gap);
            self.progress.tell(&format!(
                "frame {number} goes in {gap}, as recorded; '--max-gap' shortens such gaps"
            ));
        }
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
        let frame = match &record.body {
            Body::Frame(frame) => frame,
            Body::FramingError(error) => return self.totals.errors += u64::from(error.is_new()),
            Body::Gap { records, .. } => return self.totals.lost += records,
            _ => return,
        };
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
            self.reset().await?;
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
        let _ = tokio::time::timeout(GRACE, self.reset()).await; // whoever is gone needs none
        self.probe.leave().await;
        let records = self.probe.drain();
        records.iter().for_each(|record| self.hear(record));
        self.judge.iter_mut().for_each(Judge::finish);
        self.totals.untranslated += self.session.as_ref().map_or(0, Session::untranslated);
        self.totals.late = self.session.as_ref().map_or(0, Session::late);
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
