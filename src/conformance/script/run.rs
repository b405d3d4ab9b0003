//! The steps of a script, on a running test.

mod drafting;
mod matching;

use std::collections::HashMap;
use std::time::Duration;

use super::fields::Field;
use super::{Action, Packet, Pattern, Script, Step};
use crate::clock::Timestamp;
use crate::conformance::model::{Flow, Halt, Severity};
use crate::conformance::rig::Capability;
use crate::conformance::seen::Seen;
use crate::conformance::trial::{Trial, is_reaction};

/// Bytes of the headers in front of a segment's data.
const SEGMENT_HEADERS: u64 = 54;

/// Two ends that speak with each other.
#[derive(Clone, Copy, Debug, Default)]
struct Conversation {
    ours: u16,
    /// Known once something was sent.
    theirs: Option<u16>,
    /// The identifier and sequence number of the last echo request.
    echo: Option<[u8; 4]>,
}

/// A frame that came, and whether a step has taken it.
struct Came {
    frame: Seen,
    is_taken: bool,
}

struct Run<'a> {
    trial: &'a mut Trial,
    names: HashMap<&'a str, Seen>,
    conversations: HashMap<&'a str, Conversation>,
    came: Vec<Came>,
    /// How many frames had come when something was sent last.
    last_sent: usize,
}

/// Why a step could not do its part.
enum Stop {
    /// It refers to a packet that has not come.
    Unnamed,
    Halt(Halt),
}

impl From<Halt> for Stop {
    fn from(halt: Halt) -> Stop {
        Stop::Halt(halt)
    }
}

impl Script {
    /// Runs every step; a required one that is not met ends it.
    pub async fn run(&self, trial: &mut Trial) -> Flow {
        let needs_bytes = |step: &Step| match &step.action {
            Action::Stream(_) => true,
            Action::Send(packet) => packet.settings.iter().any(|(f, _)| f.name == "any.prefix"),
            _ => false,
        };
        if self.steps.iter().any(needs_bytes) && !trial.rig.can(Capability::RawBytes) {
            return Err(Halt::Skip(Capability::RawBytes.missing().to_owned()));
        }
        let mut run = Run {
            trial,
            names: HashMap::new(),
            conversations: HashMap::new(),
            came: Vec::new(),
            last_sent: 0,
        };
        let mut flow = Ok(());
        for step in &self.steps {
            match run.step(step).await {
                Ok(()) => {}
                // The step that should have brought it has failed already, at its own weight.
                Err(Stop::Unnamed) => break,
                Err(Stop::Halt(halt)) => {
                    flow = Err(halt);
                    break;
                }
            }
        }
        run.close(&self.steps, flow).await
    }
}

impl<'a> Run<'a> {
    async fn step(&mut self, step: &'a Step) -> Result<(), Stop> {
        match &step.action {
            Action::Send(packet) => self.send(packet).await,
            Action::Expect { pattern, within } => self.expect(step, pattern, *within).await,
            Action::Silent(pattern) => self.silent(step, pattern.as_ref()).await,
            Action::Never(_) => Ok(()), // looked at in the end
            Action::Stream(bytes) => {
                self.last_sent = self.came.len();
                Ok(self.trial.raw(bytes).await?)
            }
            Action::Wait(time) => {
                let time = time.mul_f64(self.trial.rig.time_scale);
                self.trial.listen(time).await?;
                self.take();
                Ok(())
            }
            Action::Ping => {
                self.trial.survives().await?;
                self.take();
                Ok(())
            }
            Action::Forget => {
                self.take();
                self.came.iter_mut().for_each(|came| came.is_taken = true);
                Ok(())
            }
        }
    }

    /// Everything that has come is ours to look at.
    fn take(&mut self) {
        let came = self.trial.take_seen();
        self.came.extend(came.into_iter().map(|frame| Came { frame, is_taken: false }));
    }

    fn conversation(&mut self, via: &'a str) -> &mut Conversation {
        let numbers = &mut self.trial.rig.numbers;
        self.conversations
            .entry(via)
            .or_insert_with(|| Conversation { ours: numbers.port(), ..Conversation::default() })
    }

    async fn send(&mut self, packet: &'a Packet) -> Result<(), Stop> {
        self.take();
        let draft = self.draft(packet)?;
        let frame = draft.frame();
        if let Some(name) = &packet.name {
            let seen = Seen { time: Timestamp::default(), bytes: frame.clone().into() };
            self.names.insert(name, seen);
        }
        self.last_sent = self.came.len();
        match draft.prefix {
            None => self.trial.send(&frame).await?,
            Some(prefix) => {
                let bytes = [&prefix.to_be_bytes()[..], &frame].concat();
                self.trial.raw(&bytes).await?;
            }
        }
        Ok(())
    }

    async fn expect(
        &mut self,
        step: &'a Step,
        pattern: &'a Pattern,
        within: Duration,
    ) -> Result<(), Stop> {
        self.check_names(pattern)?;
        let mut found = self.find(pattern);
        if found.is_none() {
            self.take();
            found = self.find(pattern);
        }
        let deadline = tokio::time::Instant::now() + self.trial.within(within);
        while found.is_none() && tokio::time::Instant::now() < deadline {
            let left = deadline - tokio::time::Instant::now();
            self.trial.listen_for_one(left).await?;
            self.take();
            found = self.find(pattern);
        }
        let severity = step.severity.unwrap_or(self.trial.severity());
        let is_met = match found {
            Some(_) => self.trial.check(severity, true, expectation(step), "it came"),
            None => self.missed(step, pattern, severity).await?,
        };
        if let Some(came) = found.and_then(|at| self.came.get_mut(at)) {
            came.is_taken = true;
            if let Some(name) = &pattern.name {
                self.names.insert(name, came.frame.clone());
            }
        }
        match is_met || severity > Severity::Threshold {
            true => Ok(()),
            false => Err(Stop::Halt(Halt::Failed)),
        }
    }

    /// What was expected has not come: a failure, if the device is there to be judged.
    async fn missed(
        &mut self,
        step: &Step,
        pattern: &Pattern,
        severity: Severity,
    ) -> Result<bool, Stop> {
        self.trial.survives().await?;
        self.take();
        let expected = expectation(step);
        let near = self.nearest(pattern);
        Ok(match near {
            Some((at, fields)) if !fields.is_empty() => {
                let frame = self.came[at].frame.clone();
                self.trial.check_frame(severity, &frame, expected, fields)
            }
            Some((at, _)) => {
                let said = crate::conformance::trial::said(&self.came[at].frame);
                self.trial.check(severity, false, expected, format!("it came too late: {said}"))
            }
            None => self.trial.check(severity, false, expected, "nothing of the kind came"),
        })
    }

    async fn silent(&mut self, step: &'a Step, pattern: Option<&'a Pattern>) -> Result<(), Stop> {
        if let Some(pattern) = pattern {
            self.check_names(pattern)?;
        }
        self.take();
        let since = self.last_sent;
        let after = self.trial.settle().await?;
        self.came.extend(after.into_iter().map(|frame| Came { frame, is_taken: false }));
        let unwanted = |came: &&Came| match pattern {
            _ if came.is_taken => false,
            None => is_reaction(&came.frame),
            Some(pattern) => self.matches(pattern, &came.frame),
        };
        let since_then = self.came.get(since..).unwrap_or_default();
        let found: Vec<_> =
            since_then.iter().find(unwanted).map(|came| came.frame.clone()).into_iter().collect();
        let severity = step.severity.unwrap_or(self.trial.severity());
        let is_met = self.trial.none_at(severity, &found, expectation(step), |_| true);
        match is_met || severity > Severity::Threshold {
            true => Ok(()),
            false => Err(Stop::Halt(Halt::Failed)),
        }
    }

    /// What must never have come, has not.
    async fn close(mut self, steps: &'a [Step], flow: Flow) -> Flow {
        let never = |step: &'a Step| match &step.action {
            Action::Never(pattern) => Some((step, pattern)),
            _ => None,
        };
        if !steps.iter().any(|step| never(step).is_some()) {
            return flow;
        }
        if flow.is_ok() {
            let after = self.trial.settle().await?;
            self.came.extend(after.into_iter().map(|frame| Came { frame, is_taken: false }));
        }
        for (step, pattern) in steps.iter().filter_map(never) {
            if self.check_names(pattern).is_err() {
                continue; // it speaks of a packet that has not come, which has failed already
            }
            let came = self.came.iter().find(|came| self.matches(pattern, &came.frame));
            let found: Vec<_> = came.map(|came| came.frame.clone()).into_iter().collect();
            let severity = step.severity.unwrap_or(self.trial.severity());
            self.trial.none_at(severity, &found, expectation(step), |_| true);
        }
        flow
    }
}

impl Field {
    /// The bits of a number there.
    fn bits(&self) -> u32 {
        match self.kind {
            super::fields::Kind::Number(bits) => bits,
            _ => 32,
        }
    }
}

/// A step, for reports.
fn expectation(step: &Step) -> String {
    format!("line {}: {}", step.line, step.text)
}

/// The IPv4 header and the 8 bytes behind it that errors quote (RFC 792).
fn quotation(seen: &Seen) -> Vec<u8> {
    let Some(ip) = seen.ip() else { return Vec::new() };
    let eight = ip.payload.get(..8.min(ip.payload.len())).unwrap_or_default();
    [ip.header, eight].concat()
}
