//! One test's view of the line, and the verbs in which tests are written.
//!
//! The line is first in, first out. A test sends something and then a marked echo request, the
//! sentinel: when that is answered, whatever the device had to say before has come. So silence is
//! proved at once, and a missing answer costs no waiting either. A device whose sentinel stays
//! unanswered is given the time to get back into step, and asked again; one that never answers again
//! has not survived the stimulus, which is a failure: that it answered before was seen to.

mod checks;
mod connections;
mod drafts;
mod life;
mod load;
mod web;

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::measure::Measure;
use super::model::{Failure, Flow, Halt, Outcome, Severity, Test, Verdict};
use super::rig::{Capability, Rig};
use super::seen::Seen;
use super::stimulus::ECHO_HEADERS;
use super::web::Wires;
use crate::clock::Timestamp;
use crate::probe::{Heard, Identity};
use crate::proto::icmp;
use crate::record::{Body, FramingError, Record};
pub use checks::{compare, is_reaction, said};
use connections::Connections;
pub use load::Passed;

/// How long an answer may take on an idle line.
pub const ANSWER: Duration = Duration::from_secs(1);
/// Silence in which every driver gives up half a frame: its timeout of a second and a margin.
pub const RESYNC: Duration = Duration::from_millis(1300);
/// How long stragglers are waited for behind a sentinel's reply.
const GRACE: Duration = Duration::from_millis(40);
/// Sentinels until a device counts as dead.
const SENTINELS: usize = 3;
/// Bytes of a sentinel's data.
const SENTINEL_DATA: usize = 16;
/// More than this is not waited for, however slow the line seems.
const LONGEST_BACKLOG: Duration = Duration::from_secs(600);
/// Frames that a test keeps at most.
const MOST_FRAMES: usize = 20_000;

/// A running test.
pub struct Trial {
    /// What outlives it.
    pub rig: Rig,
    seen: Vec<Seen>,
    /// What came and was no frame.
    pub framing_errors: Vec<FramingError>,
    failures: Vec<Failure>,
    remarks: Vec<String>,
    measures: Vec<Measure>,
    severity: Severity,
    checks: u32,
    flip: Option<u32>,
    /// Bytes sent since the device was last known to have answered everything.
    queued: usize,
    /// Identifiers and sequence numbers of sentinels: their replies, late or doubled, are no test's.
    sentinels: HashSet<[u8; 4]>,
    /// The device was away and came back as one that boots.
    pub seems_rebooted: bool,
    /// The device did not survive.
    has_died: bool,
    /// How often it was away, and came back.
    pub outages: u32,
    connections: Connections,
    /// Identifications of the test's own fragments.
    fragmented: HashSet<u16>,
    wires: Wires,
    /// What was sent last may have ended within a frame: nothing of our own goes between.
    is_mid_frame: bool,
    passed: Passed,
    /// When the last frame of the test's own went.
    last_sent: Timestamp,
}

/// What ended a wait.
pub(super) enum Step<T> {
    /// Something came: a frame that is a test's, or something else.
    Came(Option<Seen>),
    /// What else was waited for.
    Other(T),
    /// Nothing until the deadline.
    Nothing,
}

impl Trial {
    /// A trial of `test`; the comparison number `flip` is turned into its opposite.
    pub fn new(rig: Rig, test: &Test, flip: Option<u32>) -> Self {
        Trial::of(rig, test.about.severity, flip)
    }

    /// A trial that is no test: preparations, whose checks nobody reads.
    pub fn of(rig: Rig, severity: Severity, flip: Option<u32>) -> Self {
        Trial {
            rig,
            seen: Vec::new(),
            framing_errors: Vec::new(),
            failures: Vec::new(),
            remarks: Vec::new(),
            measures: Vec::new(),
            severity,
            checks: 0,
            flip,
            queued: 0,
            sentinels: HashSet::new(),
            seems_rebooted: false,
            has_died: false,
            outages: 0,
            connections: Connections::default(),
            fragmented: HashSet::new(),
            wires: Wires::default(),
            is_mid_frame: false,
            passed: Passed::default(),
            last_sent: Timestamp::default(),
        }
    }

    /// The end: what became of it, given how the function ended, and the rig for the next.
    pub fn end(mut self, flow: Flow) -> (Outcome, Rig) {
        self.failures.sort_by_key(|failure| failure.severity);
        let failed = self.failures.first().map(|failure| failure.severity);
        let without = |verdict, why| Outcome::without(verdict, self.severity, why);
        let mut outcome = match (flow, failed) {
            (Err(Halt::Error(error)), _) => without(Verdict::Error, error.chain()),
            (_, Some(severity)) => Outcome {
                failures: self.failures,
                is_fatal: self.has_died,
                ..Outcome::new(Verdict::Fail, severity)
            },
            (Err(Halt::Inconclusive(why)), None) => without(Verdict::Inconclusive, why),
            (Err(Halt::Skip(why)), None) => without(Verdict::Skip, why),
            (Err(Halt::Failed), None) => {
                without(Verdict::Error, "it ended as failed without a failure".to_owned())
            }
            (Ok(()), None) => Outcome::new(Verdict::Pass, self.severity),
        };
        outcome.remarks = self.remarks;
        outcome.measures = self.measures;
        outcome.checks = self.checks;
        (outcome, self.rig)
    }

    /// Runs another test within this one: what became of it, which is none of this one's.
    pub async fn aside(&mut self, test: &Test) -> Flow<Outcome> {
        let own = (
            std::mem::take(&mut self.failures),
            std::mem::take(&mut self.remarks),
            std::mem::take(&mut self.measures),
            std::mem::replace(&mut self.severity, test.about.severity),
            std::mem::replace(&mut self.checks, 0),
            self.flip.take(),
        );
        // What the device says of an earlier test's fragments is none of this one's.
        self.fragmented.clear();
        let flow = Box::pin(test.run(self)).await;
        if self.rig.probe.ended().is_none() {
            self.close_connections().await?;
        }
        let is_failed = !self.failures.is_empty();
        let (severity, why) = (self.severity, String::new());
        (self.failures, self.remarks, self.measures, self.severity, self.checks, self.flip) = own;
        self.survives().await?;
        self.take_seen();
        self.fragmented.clear();
        Ok(match flow {
            Err(Halt::Error(error)) => return Err(Halt::Error(error)),
            _ if is_failed => Outcome::without(Verdict::Fail, severity, why),
            Err(Halt::Inconclusive(why)) => Outcome::without(Verdict::Inconclusive, severity, why),
            Err(Halt::Skip(why)) => Outcome::without(Verdict::Skip, severity, why),
            Err(Halt::Failed) | Ok(()) => Outcome::new(Verdict::Pass, severity),
        })
    }

    /// The addresses of both ends.
    pub fn identity(&self) -> Identity {
        self.rig.target.identity
    }

    /// The largest frame that the device answers, in bytes.
    pub fn max_frame(&self) -> usize {
        self.rig.capabilities.max_frame
    }

    /// As much echo data as fits into the largest frame, or `size`.
    pub fn capped(&self, size: usize) -> usize {
        size.min(self.max_frame().saturating_sub(ECHO_HEADERS))
    }

    /// How many checks have failed so far.
    pub fn failure_count(&self) -> usize {
        self.failures.len()
    }

    /// Sends a frame.
    pub async fn send(&mut self, frame: &[u8]) -> Flow {
        self.hold(false);
        self.queued += frame.len() + 2;
        self.rig.invariants.sent(frame);
        let bytes = Bytes::copy_from_slice(frame);
        self.passed.sent(&bytes);
        let sent = Seen { time: Timestamp::default(), bytes };
        self.connections.sent(&sent);
        if let (true, Some(ip)) = (sent.is_fragment(), sent.ip()) {
            self.fragmented.insert(ip.id);
            self.rig.fragmented.insert(ip.id);
        }
        self.last_sent = self.rig.probe.send(frame.to_vec()).await?;
        Ok(())
    }

    /// Sends bytes as they are. They may end within a frame: until the next frame is sent, questions
    /// of the device by ARP wait for their answers.
    pub async fn raw(&mut self, bytes: &[u8]) -> Flow {
        self.hold(true);
        self.queued += bytes.len();
        self.rig.probe.send_raw(bytes).await?;
        Ok(())
    }

    /// Keeps what is not the test's own off the line, or no longer.
    fn hold(&mut self, hold: bool) {
        self.is_mid_frame = hold;
        self.rig.probe.hold_answers(hold);
    }

    /// Sends bytes, and reads nothing for `deaf`, whatever comes.
    pub async fn raw_without_reading(&mut self, bytes: &[u8], deaf: Duration) -> Flow {
        self.queued += bytes.len();
        self.rig.probe.send_raw_deaf(bytes, deaf).await?;
        Ok(())
    }

    /// How long the bytes that were sent, and their answers, keep the line busy.
    pub fn backlog(&self) -> Duration {
        let others = if self.has_web_traffic() { web::AHEAD } else { 0 };
        let bytes = (self.queued + others) as u32;
        let time = self.rig.pace.byte_time.saturating_mul(bytes).saturating_mul(2);
        time.min(LONGEST_BACKLOG)
    }

    /// A deadline that knows the line: `base`, the time of what is queued, and the user's scale.
    pub fn within(&self, base: Duration) -> Duration {
        (base + self.backlog()).mul_f64(self.rig.time_scale)
    }

    /// Takes what comes until `done` says so, or the deadline; whether it said so.
    async fn take_until(&mut self, deadline: Instant, done: impl Fn(&Seen) -> bool) -> Flow<bool> {
        loop {
            match self.step(deadline, std::future::pending::<()>()).await? {
                Step::Came(Some(seen)) if done(&seen) => return Ok(true),
                Step::Came(_) | Step::Other(()) => {}
                Step::Nothing => return Ok(false),
            }
            if Instant::now() >= deadline {
                return Ok(false); // a line that never falls silent does not stop time
            }
        }
    }

    /// Waits for one thing: something that comes, or `other`. Meanwhile requests that are under way go on.
    async fn step<T>(
        &mut self,
        deadline: Instant,
        other: impl Future<Output = T>,
    ) -> Flow<Step<T>> {
        let Rig { probe, web, .. } = &mut self.rig;
        let web = web.as_mut().filter(|_| !self.is_mid_frame);
        let outgoing = async {
            match web {
                Some(web) => web.next().await,
                None => std::future::pending().await,
            }
        };
        let either = async {
            tokio::select! {
                biased;
                other = other => Ok(other),
                frame = outgoing => Err(frame),
            }
        };
        match probe.receive_or(deadline, either).await? {
            Heard::Record(record) => Ok(Step::Came(self.note(record))),
            Heard::Other(Ok(other)) => Ok(Step::Other(other)),
            Heard::Other(Err(frame)) => {
                self.send_for_web(frame).await?;
                Ok(Step::Came(None))
            }
            Heard::Nothing => Ok(Step::Nothing),
        }
    }

    /// Notes what has come; the frame, if it is one and no request's.
    fn note(&mut self, record: Record) -> Option<Seen> {
        match record.body {
            Body::Frame(bytes) => {
                let time = record.time.map(|span| span.last).unwrap_or_default();
                self.passed.received(&bytes);
                let seen = Seen { time, bytes };
                self.rig.invariants.received(&seen);
                if self.rig.web.as_mut().is_some_and(|web| web.take(&seen.bytes)) {
                    self.wires.received(&seen);
                    return None;
                }
                self.connections.received(&seen);
                let is_kept = !self.is_sentinels(&seen) && !self.is_late(&seen);
                if self.seen.len() < MOST_FRAMES && is_kept {
                    self.seen.push(seen.clone());
                }
                Some(seen)
            }
            Body::FramingError(error) => {
                self.rig.invariants.framing_error(&error);
                if self.framing_errors.len() < MOST_FRAMES {
                    self.framing_errors.push(error);
                }
                None
            }
            Body::Packet(_)
            | Body::Gap { .. }
            | Body::Link(_)
            | Body::Console(_)
            | Body::Impaired(_) => None,
        }
    }

    fn is_sentinels(&self, seen: &Seen) -> bool {
        let reply = seen.icmp().filter(|icmp| icmp.kind == icmp::ECHO_REPLY);
        reply.is_some_and(|reply| self.sentinels.contains(&reply.rest))
    }

    /// Whether a frame says that fragments of an earlier test are given up.
    fn is_late(&self, seen: &Seen) -> bool {
        let (own, all) = (&self.fragmented, &self.rig.fragmented);
        seen.given_up().is_some_and(|id| all.contains(&id) && !own.contains(&id))
    }

    /// Listens for exactly so long.
    pub async fn listen(&mut self, time: Duration) -> Flow {
        let deadline = Instant::now() + time;
        self.take_until(deadline, |_| false).await.map(|_| ())
    }

    /// Listens until something comes, for at most so long.
    pub async fn listen_for_one(&mut self, time: Duration) -> Flow<bool> {
        self.take_until(Instant::now() + time, |_| true).await
    }

    /// The weight of the test.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// Listens until a frame is as `wanted`, for at most `base` on an idle line.
    pub async fn wait_for(&mut self, base: Duration, wanted: impl Fn(&Seen) -> bool) -> Flow<bool> {
        if self.seen.iter().any(&wanted) {
            return Ok(true);
        }
        let deadline = Instant::now() + self.within(base);
        self.take_until(deadline, wanted).await
    }

    /// Keeps silent until every driver has given up what it had of a frame.
    pub async fn resync(&mut self) -> Flow {
        self.listen(RESYNC.mul_f64(self.rig.time_scale.max(1.0)) + self.backlog()).await
    }

    /// Brings a receiver back that trusts every length and has no timeout for half a header: silence,
    /// bytes that complete it and announce a frame of 514 bytes, and the silence that ends that.
    pub async fn back_into_step(&mut self) -> Flow {
        self.resync().await?;
        if self.rig.can(Capability::RawBytes) {
            self.raw(&[0x02; 3]).await?;
            self.resync().await?;
        }
        Ok(())
    }

    /// What has come and was not taken yet.
    pub fn seen(&self) -> &[Seen] {
        &self.seen
    }

    /// What has come since this was last asked.
    pub fn take_seen(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.seen)
    }
}
