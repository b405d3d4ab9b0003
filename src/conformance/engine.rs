//! Runs tests: one after the other, each from a device that answers, and says what became of them.

mod outcomes;
mod plan;

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use self::outcomes::{after_retries, lacking, note_reboot, rule_outcome};
pub use self::plan::Plan;
use super::catalogue;
use super::event::{Event, Finished, Opening, Standing, Summary};
use super::model::{About, Failure, Flow, Halt, Outcome, Severity, Test, Verdict};
use super::rig::{Capability, Rig};
use super::trial::Trial;
use crate::analysis::console::{self, Finding};
use crate::bus::Inbox;
use crate::record::{Body, Record};
use crate::stop::Stop;

/// How long a test may take on an idle line; none is meant to.
const LONGEST: Duration = Duration::from_secs(3600);

/// What the run is told of, and what it watches beside the line.
pub struct Surroundings<'a> {
    /// The word to stop.
    pub stop: &'a mut Stop,
    /// Where events go.
    pub tell: &'a mut dyn FnMut(Event),
    /// Lines of the device's console, if it is listened to.
    pub console: Option<Inbox>,
    /// How the program that is the device has ended, if we have started one and it has.
    pub program: Option<watch::Receiver<Option<String>>>,
}

/// A run under way.
struct Engine<'a> {
    plan: &'a Plan,
    around: Surroundings<'a>,
    summary: Summary,
    started: Instant,
    /// What the console has said during the test.
    console: Vec<Record>,
}

/// Runs the plan's tests on a rig that was explored; `facts` is what was found out.
pub async fn run<'a>(
    mut rig: Rig,
    plan: &'a Plan,
    mut facts: Vec<String>,
    around: Surroundings<'a>,
) -> Summary {
    let order = plan.order();
    let summary =
        Summary { is_virtual: plan.is_virtual, rerun: plan.rerun.clone(), ..Summary::default() };
    let mut engine = Engine { plan, around, summary, started: Instant::now(), console: Vec::new() };
    if let Some(incident) = engine.incident(false).await {
        facts.push(format!("before the first test {incident}"));
    }
    (engine.around.tell)(Event::Started(Opening {
        target: plan.target.clone(),
        tests: order.len(),
        left_out: plan.left_out,
        seed: plan.seed,
        is_fixed: plan.is_fixed,
        facts,
        profile: Some(plan.ledger.name.clone()).filter(|name| !name.is_empty()),
    }));
    let mut lost = rig.died_of.take().map(|(test, why)| engine.died_early(test, &why));
    for (at, test) in order.iter().enumerate() {
        if engine.ended_by().is_some() || lost.is_some() {
            break;
        }
        (engine.around.tell)(Event::Test(test.about, at + 1, order.len()));
        (rig, lost) = engine.one(rig, test).await;
    }
    // The test of an early death may be one that was not chosen.
    let is_ours = |f: &&Finished| order.iter().any(|test| test.about == f.about);
    engine.summary.not_run = order.len() - engine.summary.finished.iter().filter(is_ours).count();
    if engine.summary.not_run > 0 {
        engine.summary.ended = lost.or(engine.ended_by().map(str::to_owned));
    }
    engine.close(&rig);
    engine.summary
}

impl Engine<'_> {
    /// Why to end before the last test, if there is a reason.
    fn ended_by(&self) -> Option<&'static str> {
        let failed = self.summary.finished.iter().any(|f| f.standing == Standing::Bad);
        match () {
            () if self.around.stop.is_stopped() => Some("interrupted"),
            () if failed && self.plan.fail_fast => Some("a test has failed ('--fail-fast')"),
            () => None,
        }
    }

    /// A device that did not survive the preparations has failed the test of what they do.
    fn died_early(&mut self, test: &str, why: &str) -> String {
        if let Some(test) = catalogue::by_name(test) {
            let about = test.about;
            let mut outcome = Outcome::without(Verdict::Fail, Severity::Must, why);
            outcome.is_fatal = true;
            outcome.failures.push(Failure {
                severity: Severity::Must,
                expected: about.requirement.to_owned(),
                actual: "the device has not answered any more since the preparations tried that"
                    .to_owned(),
                fields: Vec::new(),
                frame: None,
            });
            self.finish(about, outcome, Duration::ZERO, 1, None);
        }
        format!("the device does not answer any more since {test}: {why}")
    }

    /// One test, with its retries; and why there can be no further ones, if so.
    async fn one(&mut self, mut rig: Rig, test: &'static Test) -> (Rig, Option<String>) {
        let about = test.about;
        if let Some(missing) = test.needs.filter(|capability| !rig.can(*capability)) {
            let outcome = match rig.target.declared.contains(&missing) {
                true => lacking(missing),
                false => Outcome::without(Verdict::Skip, about.severity, missing.missing()),
            };
            self.finish(about, outcome, Duration::ZERO, 1, None);
            return (rig, None);
        }
        let started = Instant::now();
        let mut before: Option<Outcome> = None;
        let mut evidence = None;
        for attempt in 1.. {
            drain(&mut rig.log);
            self.console.clear();
            rig.invariants.during = about.name.to_owned();
            let outcome;
            (outcome, rig) = self.attempt(rig, test).await;
            if self.around.stop.is_stopped() && outcome.verdict == Verdict::Inconclusive {
                break; // it did not end by itself: it has not run
            }
            evidence = self.keep(&mut rig, &about, &outcome).or(evidence);
            let verdict = outcome.verdict;
            let mut lost = None;
            if !matches!(verdict, Verdict::Pass | Verdict::Skip) {
                (rig, lost) = self.recover(rig, test).await;
            }
            let is_last = attempt > self.plan.retries || lost.is_some();
            if verdict == Verdict::Fail && !is_last && !self.around.stop.is_stopped() {
                (self.around.tell)(Event::Retry(about, outcome.clone(), attempt));
                before = Some(outcome);
                continue;
            }
            let outcome = match before {
                Some(failed) => after_retries(failed, outcome),
                None => outcome,
            };
            rig.verdicts.insert(about.name, outcome.verdict);
            self.finish(about, outcome, started.elapsed(), attempt, evidence);
            return (rig, lost);
        }
        (rig, None)
    }

    /// Keeps the frames of a test that has failed.
    fn keep(&mut self, rig: &mut Rig, about: &About, outcome: &Outcome) -> Option<PathBuf> {
        let mut records = drain(&mut rig.log);
        records.append(&mut self.console);
        let artifacts = self.plan.artifacts.as_ref()?;
        if !matches!(outcome.verdict, Verdict::Fail | Verdict::Inconclusive) {
            return None;
        }
        records.sort_by_key(|record| record.time.map(|span| span.last));
        let rerun = format!("{} {}", self.plan.rerun, about.name);
        match artifacts.keep(about, outcome, &records, &rerun) {
            Ok(path) => Some(path),
            Err(error) => {
                (self.around.tell)(Event::Warning(error.chain()));
                None
            }
        }
    }

    async fn attempt(&mut self, rig: Rig, test: &'static Test) -> (Outcome, Rig) {
        let limit = LONGEST.mul_f64(rig.time_scale);
        let mut trial = Trial::new(rig, test, self.plan.flip);
        let flow: Flow = tokio::select! {
            flow = perform(&mut trial, test) => flow,
            () = self.around.stop.wait() => Err(Halt::Inconclusive("interrupted".to_owned())),
            () = tokio::time::sleep(limit) => {
                let text = format!("it has not ended within {limit:?}");
                Err(Halt::Error(crate::error::Error::new(crate::error::Category::Internal, text)))
            }
        };
        let seems_rebooted = trial.seems_rebooted;
        let is_cut = trial.rig.probe.ended().is_some();
        let (mut outcome, mut rig) = trial.end(flow);
        let incident = self.incident(is_cut).await;
        if test.needs != Some(Capability::Restart) {
            // Who listens to its console need not guess.
            let came_back = (seems_rebooted && self.around.console.is_none()).then(|| {
                "it did not answer for a while and then announced its address, as at boot"
                    .to_owned()
            });
            let reboot = incident.or(came_back);
            if reboot.is_some() {
                rig.reboots.push(test.about.name);
            }
            note_reboot(&mut outcome, reboot);
        }
        if let Some(baseline) = &self.plan.baseline {
            baseline.judge(&test.about, &mut outcome);
        }
        (outcome, rig)
    }

    /// What has happened beside the line since this was last asked: the program has ended, or the
    /// console tells of a crash.
    async fn incident(&mut self, is_cut: bool) -> Option<String> {
        /// A line that is cut may be the first that we hear of the program's end.
        const NEWS: Duration = Duration::from_millis(500);
        let mut lines = Vec::new();
        if let Some(console) = &mut self.around.console {
            lines = drain(console);
        }
        let said = lines.iter().find_map(crash).map(|line| format!("its console says: {line}"));
        self.console.append(&mut lines);
        let Some(program) = &mut self.around.program else { return said };
        if is_cut && !program.has_changed().unwrap_or(false) {
            let _ = tokio::time::timeout(NEWS, program.changed()).await; // it may run on
            program.mark_changed();
        }
        let is_news = program.has_changed().unwrap_or(false);
        let sentence = program.borrow_and_update().clone().filter(|_| is_news);
        sentence.or(said)
    }

    fn finish(
        &mut self,
        about: About,
        outcome: Outcome,
        duration: Duration,
        attempts: u32,
        evidence: Option<PathBuf>,
    ) {
        let standing = self.plan.standing(&about, &outcome);
        let habit = match standing {
            Standing::Bad | Standing::Warned => self.plan.habit(&about, &outcome),
            _ => None,
        };
        let finished = Finished { about, outcome, standing, duration, attempts, evidence, habit };
        self.summary.finished.push(finished.clone());
        (self.around.tell)(Event::Finished(Box::new(finished)));
    }

    /// Brings a device back that was left in doubt; or why that cannot be.
    async fn recover(&mut self, rig: Rig, after: &Test) -> (Rig, Option<String>) {
        if self.around.stop.is_stopped() {
            return (rig, None);
        }
        let mut trial = Trial::of(rig, Severity::Report, None);
        let ended = trial.rig.probe.ended().map(str::to_owned);
        let brought_back = tokio::select! {
            () = self.around.stop.wait() => Ok(()), // nothing comes after it
            brought_back = trial.bring_back() => brought_back,
        };
        let (_, rig) = trial.end(Ok(()));
        let Err(why) = brought_back else {
            self.incident(false).await; // what it says of its return is no test's
            return (rig, None);
        };
        self.summary.is_lost = ended.is_some();
        let name = after.about.name;
        let why = match ended {
            Some(how) => format!("the line is gone since {name}: {how}"),
            None => format!("the device does not answer any more since {name}: {why}"),
        };
        (rig, Some(why))
    }

    /// The invariants as results of their own, and the end.
    fn close(&mut self, rig: &Rig) {
        let checked = rig.invariants.checked;
        for (about, violation) in rig.invariants.violations() {
            let outcome = rule_outcome(about, violation, checked);
            let mut evidence = None;
            if let (Verdict::Fail, Some(artifacts)) = (outcome.verdict, &self.plan.artifacts) {
                evidence = artifacts.keep(about, &outcome, &[], &self.plan.rerun).ok();
            }
            self.finish(*about, outcome, Duration::ZERO, 1, evidence);
        }
        self.summary.duration = self.started.elapsed();
        (self.around.tell)(Event::Ended(Box::new(self.summary.clone())));
    }
}

/// A test, from a device that answers to one that has answered everything.
async fn perform(trial: &mut Trial, test: &Test) -> Flow {
    trial.forget_requests(); // of a test that was cut short
    if !trial.is_alive().await? {
        let why = "the device did not answer a ping before the test".to_owned();
        return Err(Halt::Inconclusive(why));
    }
    trial.take_seen();
    trial.seems_rebooted = false; // what was before is no matter of this test
    let flow = test.run(trial).await;
    if trial.rig.probe.ended().is_none() {
        trial.close_connections().await?;
    }
    flow?;
    trial.survives().await // and what is still on its way is this test's
}

/// Everything that has been seen since the last time.
fn drain(log: &mut Inbox) -> Vec<Record> {
    std::iter::from_fn(|| log.poll()).collect()
}

/// A console line that tells of a crash.
fn crash(record: &Record) -> Option<String> {
    let Body::Console(line) = &record.body else { return None };
    let is_crash = matches!(
        console::judge(line),
        Some(
            Finding::Panic
                | Finding::Abort
                | Finding::Watchdog
                | Finding::Brownout
                | Finding::Reboot
        )
    );
    is_crash.then(|| crate::escape::terminal(line).to_string())
}
