//! What a test is, and what becomes of it.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;

use super::measure::Measure;
use super::rig::Capability;
use super::script::Script;
use super::trial::Trial;
use crate::clock::Timestamp;
use crate::error::{Category, Error};

/// How much a requirement weighs; the heaviest comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// An absolute requirement: fails the run.
    Must,
    /// A number that has to be reached: fails the run.
    Threshold,
    /// A recommendation: a warning, a failure under `--strict`.
    Should,
    /// Left to the device: never fails.
    May,
    /// A value that is reported: never fails.
    Report,
}

impl Severity {
    /// Every severity.
    pub const ALL: [Severity; 5] =
        [Severity::Must, Severity::Threshold, Severity::Should, Severity::May, Severity::Report];

    /// Its name in filters and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Must => "must",
            Severity::Threshold => "threshold",
            Severity::Should => "should",
            Severity::May => "may",
            Severity::Report => "report",
        }
    }

    /// Whether a failure of this weight fails the run.
    pub fn decides(self, strict: bool) -> bool {
        match self {
            Severity::Must | Severity::Threshold => true,
            Severity::Should => strict,
            Severity::May | Severity::Report => false,
        }
    }
}

/// When a test is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Always.
    Smoke,
    /// Always but with `--smoke`.
    Core,
    /// With `--extended`.
    Extended,
    /// With `--long`.
    Long,
}

impl Tier {
    /// Every tier.
    pub const ALL: [Tier; 4] = [Tier::Smoke, Tier::Core, Tier::Extended, Tier::Long];

    /// Its name in filters and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Tier::Smoke => "smoke",
            Tier::Core => "core",
            Tier::Extended => "extended",
            Tier::Long => "long",
        }
    }
}

/// Whose code a test is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// The firmware's driver: the line, Ethernet, the static neighbour.
    Driver,
    /// The firmware's application.
    Application,
    /// The IP stack.
    Stack,
}

impl Owner {
    /// Every owner.
    pub const ALL: [Owner; 3] = [Owner::Driver, Owner::Application, Owner::Stack];

    /// Its name in filters and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Owner::Driver => "driver",
            Owner::Application => "application",
            Owner::Stack => "stack",
        }
    }

    /// What people are told.
    pub const fn title(self) -> &'static str {
        match self {
            Owner::Driver => "your driver",
            Owner::Application => "your application",
            Owner::Stack => "the IP stack",
        }
    }
}

/// A group of tests.
#[derive(Debug)]
pub struct Group {
    /// Its name, the first part of its tests' names.
    pub name: &'static str,
    /// What it is about.
    pub title: &'static str,
    /// Its tests, a part a file.
    pub parts: &'static [&'static [Test]],
}

impl Group {
    /// Its tests, in order.
    pub fn tests(&self) -> impl Iterator<Item = &'static Test> + use<> {
        self.parts.iter().copied().flatten()
    }
}

/// What a test function returns: nothing, or why it could not go on.
pub type Flow<T = ()> = Result<T, Halt>;

/// A running test.
pub type Running<'a> = Pin<Box<dyn Future<Output = Flow> + 'a>>;

/// Why a test ends early.
#[derive(Debug)]
pub enum Halt {
    /// A check has failed, and nothing behind it would mean anything.
    Failed,
    /// Its precondition could not be reached, or the device or the link was gone.
    Inconclusive(String),
    /// The device or the surroundings lack what it needs.
    Skip(String),
    /// Our own fault, or the system's.
    Error(crate::error::Error),
}

impl From<crate::error::Error> for Halt {
    /// A link that is gone is nobody's failure; anything else is ours.
    fn from(error: crate::error::Error) -> Self {
        match error.category() {
            crate::error::Category::Environment => Halt::Inconclusive(error.chain()),
            _ => Halt::Error(error),
        }
    }
}

/// What is known about a test without running it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// Its id, never used again for another test: `LNK-01`.
    pub id: &'static str,
    /// Its public name: `link.len-zero`.
    pub name: &'static str,
    /// The weight of its main requirement.
    pub severity: Severity,
    /// When it is run.
    pub tier: Tier,
    /// Whose code it is about.
    pub owner: Owner,
    /// Where the requirement stands.
    pub reference: &'static str,
    /// The requirement, in one sentence.
    pub requirement: &'static str,
}

impl About {
    /// The group's name.
    pub fn group(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(group, _)| group)
    }
}

/// A test's function.
pub type Run = fn(&mut Trial) -> Running<'_>;

/// What a test does.
#[derive(Clone, Copy)]
pub enum Body {
    /// A function.
    Function(Run),
    /// A packet script.
    Script(&'static str),
}

/// One test.
#[derive(Clone, Copy)]
pub struct Test {
    /// What is known about it.
    pub about: About,
    /// What the device or the surroundings must have for it.
    pub needs: Option<Capability>,
    /// It leaves something behind in the device: such tests come last.
    pub is_last: bool,
    /// What it does.
    pub body: Body,
}

impl Test {
    /// A test that needs nothing and leaves nothing behind.
    pub const fn new(about: About, run: Run) -> Self {
        Test { about, needs: None, is_last: false, body: Body::Function(run) }
    }

    /// The same as a packet script.
    pub const fn script(about: About, text: &'static str) -> Self {
        Test { about, needs: None, is_last: false, body: Body::Script(text) }
    }

    /// Runs it.
    pub async fn run(&self, trial: &mut Trial) -> Flow {
        match self.body {
            Body::Function(run) => run(trial).await,
            Body::Script(text) => {
                // Lines are counted from the first that says something, as the script is shown.
                let script = Script::parse(text.trim_start_matches('\n')).map_err(|problem| {
                    let text = format!("the script of {}: {problem}", self.about.name);
                    Halt::Error(Error::new(Category::Internal, text))
                })?;
                script.run(trial).await
            }
        }
    }

    /// The same, for devices and surroundings that have `capability`.
    #[must_use]
    pub const fn needs(self, capability: Capability) -> Self {
        Test { needs: Some(capability), ..self }
    }

    /// The same, as one that leaves something behind in the device.
    #[must_use]
    pub const fn last(self) -> Self {
        Test { is_last: true, ..self }
    }
}

impl std::fmt::Debug for Test {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Test({})", self.about.name)
    }
}

/// The verdicts of ISO/IEC 9646, and skip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// What was required was seen.
    Pass,
    /// A violation was seen.
    Fail,
    /// The device or the link was not in a state in which it could be judged.
    Inconclusive,
    /// Our own fault.
    Error,
    /// What it needs is not there.
    Skip,
}

impl Verdict {
    /// Its name in ledgers and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Inconclusive => "inconclusive",
            Verdict::Error => "error",
            Verdict::Skip => "skip",
        }
    }
}

/// A field whose value was not the expected one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The field's name: `icmp.id`.
    pub field: &'static str,
    /// What it should have been.
    pub expected: String,
    /// What it was.
    pub received: String,
}

/// One thing that was not as required.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How much it weighs.
    pub severity: Severity,
    /// What was expected.
    pub expected: String,
    /// What was seen instead.
    pub actual: String,
    /// The fields that differ, where a frame was compared.
    pub fields: Vec<Mismatch>,
    /// The frame that shows it, and when it came.
    pub frame: Option<(Timestamp, Bytes)>,
}

/// What became of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// The weight of the worst failure, or the test's own.
    pub severity: Severity,
    /// Everything that was not as required, the worst first.
    pub failures: Vec<Failure>,
    /// Why there is no verdict of pass or fail.
    pub reason: Option<String>,
    /// Values and observations worth telling.
    pub remarks: Vec<String>,
    /// Values that were measured.
    pub measures: Vec<Measure>,
    /// How many comparisons were made.
    pub checks: u32,
    /// The device has crashed, started anew, or does not answer any more.
    pub is_fatal: bool,
}

impl Outcome {
    /// Nothing but a verdict.
    pub fn new(verdict: Verdict, severity: Severity) -> Self {
        Outcome {
            verdict,
            severity,
            failures: Vec::new(),
            reason: None,
            remarks: Vec::new(),
            measures: Vec::new(),
            checks: 0,
            is_fatal: false,
        }
    }

    /// Neither passed nor failed.
    pub fn without(verdict: Verdict, severity: Severity, reason: impl Into<String>) -> Self {
        Outcome { reason: Some(reason.into()), ..Outcome::new(verdict, severity) }
    }

    /// The one line that says why.
    pub fn summary(&self) -> String {
        match (self.failures.first(), &self.reason) {
            (Some(failure), _) => failure.actual.clone(),
            (None, Some(reason)) => reason.clone(),
            (None, None) => String::new(),
        }
    }
}
