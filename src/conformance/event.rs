//! What a run tells while it runs: reports consume nothing else.

use std::path::PathBuf;
use std::time::Duration;

use super::model::{About, Outcome, Verdict};

/// How an outcome counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As it should be.
    Good,
    /// It fails the run.
    Bad,
    /// Something to look at that does not fail the run.
    Warned,
    /// A failure that the profile lists, with its reason.
    Known(String),
    /// The profile lists a failure, with its reason, and there was none.
    UnexpectedPass(String),
    /// Nothing can be said, and nothing had to be.
    Open,
}

/// A test that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Which.
    pub about: About,
    /// What became of it.
    pub outcome: Outcome,
    /// How it counts.
    pub standing: Standing,
    /// How long it took.
    pub duration: Duration,
    /// How often it was tried; more than once where it failed first and was tried again.
    pub attempts: u32,
    /// The capture of its frames.
    pub evidence: Option<PathBuf>,
    /// Why the recognised stack fails it, where that is known and no profile says so.
    pub habit: Option<Habit>,
}

/// A failure that a stack is known for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Habit {
    /// The stack's name.
    pub stack: &'static str,
    /// The profile that lists it.
    pub profile: String,
    /// Why it does so.
    pub reason: String,
}

impl Finished {
    /// Whether it failed and then passed.
    pub fn is_flaky(&self) -> bool {
        self.attempts > 1 && self.outcome.verdict == Verdict::Pass
    }
}

/// What is known before the first test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The endpoint.
    pub target: String,
    /// Tests that will run.
    pub tests: usize,
    /// Tests that were not selected.
    pub left_out: usize,
    /// The seed of order and chance.
    pub seed: u64,
    /// Whether the order is the catalogue's.
    pub is_fixed: bool,
    /// What was found out about the device, one sentence each.
    pub facts: Vec<String>,
    /// The profile of known deviations.
    pub profile: Option<String>,
}

/// Everything that a run came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Each test, in the order in which they ran; the invariants last.
    pub finished: Vec<Finished>,
    /// How long it took, as the line's clock has it.
    pub duration: Duration,
    /// Whether that clock was a virtual one.
    pub is_virtual: bool,
    /// Tests that did not run because the run ended early.
    pub not_run: usize,
    /// Why the run ended early.
    pub ended: Option<String>,
    /// The link is gone for good.
    pub is_lost: bool,
    /// The command that runs one test again, without its name.
    pub rerun: String,
}

impl Summary {
    /// How many tests ended so.
    pub fn count(&self, wanted: impl Fn(&Finished) -> bool) -> usize {
        self.finished.iter().filter(|finished| wanted(finished)).count()
    }
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The run begins.
    Started(Opening),
    /// A test begins: which, its number from 1, and of how many.
    Test(About, usize, usize),
    /// Something could not be done that changes no verdict.
    Warning(String),
    /// A test has failed and is tried again.
    Retry(About, Outcome, u32),
    /// A test has ended.
    Finished(Box<Finished>),
    /// The run has ended.
    Ended(Box<Summary>),
}
