//! One test's view of the line, and the verbs in which tests are written.
//!
//! The line is first in, first out. A test sends something and then a marked echo request, the
//! sentinel: when that is answered, whatever the device had to say before has come. So silence is
//! proved at once, and a missing answer costs no waiting either. A device whose sentinel stays
//! unanswered is given the time to get back into step, and asked again; one that never answers again
//! has not survived the stimulus, which is a failure: that it answered before was seen to.

mod checks;
mod connections;
mod load;
mod web;

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::measure::Measure;
use super::model::{Failure, Flow, Halt, Outcome, Severity, Test, Verdict};
use super::rig::{Capability, Rig, connect_within};
use super::seen::Seen;
use super::stimulus::{Datagram, ECHO_HEADERS, Echo};
use super::web::Wires;
use crate::clock::Timestamp;
use crate::craft::layers::{Checksum, Ethernet, Icmp, Ipv4, Udp};
use crate::probe::{Heard, Identity};
use crate::proto::{MacAddr, icmp};
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

    /// The address of that number in the host's network of 256.
    pub fn address(&self, last: u8) -> Ipv4Addr {
        let [a, b, c, _] = self.identity().host_ip.octets();
        Ipv4Addr::new(a, b, c, last)
    }

    /// A neighbour that nobody has seen yet.
    pub fn neighbour(&mut self) -> (Ipv4Addr, MacAddr) {
        let last = self.rig.numbers.neighbour();
        (self.address(last), MacAddr(2, 0, 0, 0, 1, last))
    }

    /// Ethernet from us to the device.
    pub fn eth(&self, kind: u16) -> Ethernet {
        let Identity { host_mac, device_mac, .. } = self.identity();
        Ethernet { destination: device_mac, source: host_mac, kind }
    }

    /// IPv4 from us to the device.
    pub fn ip(&mut self, protocol: u8) -> Ipv4 {
        let Identity { host_ip, device_ip, .. } = self.identity();
        Ipv4 { id: self.rig.numbers.ip_id(), ..Ipv4::new(host_ip, device_ip, protocol) }
    }

    /// An echo request of its own identifier and sequence number, with `size` bytes of data.
    pub fn echo(&mut self, size: usize) -> Echo {
        let (id, sequence) = self.rig.numbers.echo();
        let mut rest = [0; 4];
        rest[..2].copy_from_slice(&id.to_be_bytes());
        rest[2..].copy_from_slice(&sequence.to_be_bytes());
        let data = (0..size).map(|n| (n as u8).wrapping_add(sequence as u8)).collect();
        let icmp =
            Icmp { kind: icmp::ECHO_REQUEST, code: 0, checksum: Checksum::Right, rest, data };
        Echo { eth: self.eth(0x0800), ip: self.ip(1), icmp, padding: Vec::new() }
    }

    /// A datagram to a port, from a port of its own.
    pub fn datagram(&mut self, port: u16, data: &[u8]) -> Datagram {
        let udp = Udp::new(self.rig.numbers.port(), port);
        Datagram { eth: self.eth(0x0800), ip: self.ip(17), udp, data: data.to_vec() }
    }

    /// A datagram to a port on which nobody listens.
    pub fn datagram_to_nobody(&mut self) -> Datagram {
        self.datagram(self.rig.target.ports.closed_udp, b"is anybody there?")
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
