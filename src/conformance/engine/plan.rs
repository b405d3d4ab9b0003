//! How a run goes: which tests, in which order, and what counts.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::super::artifacts::Artifacts;
use super::super::baseline::Baseline;
use super::super::event::{Habit, Standing};
use super::super::ledger::Ledger;
use super::super::model::{About, Outcome, Test, Verdict};
use super::super::stack;

/// How to run.
#[derive(Default)]
pub struct Plan {
    /// The tests, in the catalogue's order.
    pub tests: Vec<&'static Test>,
    /// Tests that were not selected.
    pub left_out: usize,
    /// Keep that order.
    pub is_fixed: bool,
    /// The seed of order and chance.
    pub seed: u64,
    /// Recommendations count as requirements.
    pub strict: bool,
    /// Required tests may be inconclusive.
    pub allow_inconclusive: bool,
    /// How often a test that fails is tried again.
    pub retries: u32,
    /// End at the first failure.
    pub fail_fast: bool,
    /// Known deviations.
    pub ledger: Ledger,
    /// Values of an earlier run.
    pub baseline: Option<Baseline>,
    /// What the recognised stack is known for.
    pub habits: Option<stack::Known>,
    /// Where evidence goes.
    pub artifacts: Option<Artifacts>,
    /// The endpoint, for people.
    pub target: String,
    /// The command that runs one test again, without its name.
    pub rerun: String,
    /// Turn comparison number `.0` of each test into its opposite: the self-test.
    pub flip: Option<u32>,
    /// Whether the clock is virtual.
    pub is_virtual: bool,
}

impl Plan {
    /// The tests in the order in which they run: shuffled, those that leave something behind last.
    pub(super) fn order(&self) -> Vec<&'static Test> {
        let mut tests = self.tests.clone();
        if !self.is_fixed {
            let mut random = ChaCha8Rng::seed_from_u64(self.seed);
            tests.shuffle(&mut random);
            tests.sort_by_key(|test| test.is_last);
        }
        tests
    }

    /// Why the recognised stack fails a test so, if that is known.
    pub(super) fn habit(&self, about: &About, outcome: &Outcome) -> Option<Habit> {
        let known = self.habits.as_ref().filter(|_| outcome.verdict == Verdict::Fail)?;
        let (profile, reason) = known.reason(about.name, outcome)?;
        let stack = known.stack.name;
        Some(Habit { stack, profile: profile.to_owned(), reason: reason.to_owned() })
    }

    /// How an outcome counts.
    pub fn standing(&self, about: &About, outcome: &Outcome) -> Standing {
        let known = self.ledger.reason(about.name).map(str::to_owned);
        let is_covered = self.ledger.covers(about.name, outcome);
        match (outcome.verdict, known) {
            (Verdict::Fail, Some(reason)) if is_covered => Standing::Known(reason),
            (Verdict::Pass, Some(reason)) => Standing::UnexpectedPass(reason),
            (Verdict::Pass, None) => Standing::Good,
            (Verdict::Skip, _) => Standing::Open,
            (Verdict::Error, _) => Standing::Bad,
            (Verdict::Fail, _) => match outcome.severity.decides(self.strict) {
                true => Standing::Bad,
                false => Standing::Warned,
            },
            (Verdict::Inconclusive, _) => {
                match about.severity.decides(self.strict) && !self.allow_inconclusive {
                    true => Standing::Bad,
                    false => Standing::Open,
                }
            }
        }
    }
}
