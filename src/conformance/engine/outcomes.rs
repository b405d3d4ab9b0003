//! What a test came to that did not just run to its end.

use super::super::invariants::Violation;
use super::super::model::{About, Failure, Outcome, Severity, Verdict};
use super::super::rig::Capability;

/// What a rule for every frame came to.
pub(super) fn rule_outcome(about: &About, violation: Option<&Violation>, checked: u64) -> Outcome {
    let severity = about.severity;
    match violation {
        None if checked == 0 => Outcome::without(Verdict::Inconclusive, severity, "no frame came"),
        None => Outcome {
            remarks: vec![format!("{checked} frames")],
            checks: 1,
            ..Outcome::new(Verdict::Pass, severity)
        },
        Some(violation) => {
            let Violation { actual, during, count, frame } = violation;
            let failure = Failure {
                severity,
                expected: about.requirement.to_owned(),
                actual: format!("{actual} (during {during}; {count} time(s) of {checked} frames)"),
                fields: Vec::new(),
                frame: frame.clone(),
            };
            Outcome { failures: vec![failure], checks: 1, ..Outcome::new(Verdict::Fail, severity) }
        }
    }
}

/// A test that cannot be run since the device lacks what it is said to have.
pub(super) fn lacking(missing: Capability) -> Outcome {
    let expected = format!("the device has '{}', as the profile declares", missing.name());
    let actual = format!("it was not found before the first test: {}", missing.missing());
    let (severity, fields, frame) = (Severity::Must, Vec::new(), None);
    let failure = Failure { severity, expected, actual, fields, frame };
    Outcome { failures: vec![failure], ..Outcome::new(Verdict::Fail, severity) }
}

/// What a test came to that failed before: a retry that gives no verdict does not undo the failure.
pub(super) fn after_retries(failed: Outcome, last: Outcome) -> Outcome {
    match last.verdict {
        Verdict::Pass => {
            let mut passed = last;
            passed.remarks.push(format!("it failed before: {}", failed.summary()));
            passed
        }
        Verdict::Fail => last,
        Verdict::Inconclusive | Verdict::Error | Verdict::Skip => failed,
    }
}

/// A device that has crashed or started again during a test has not passed it.
pub(super) fn note_reboot(outcome: &mut Outcome, actual: Option<String>) {
    let Some(actual) = actual else { return };
    outcome.verdict = Verdict::Fail;
    outcome.severity = Severity::Must;
    outcome.is_fatal = true;
    let expected = "the device goes on running".to_owned();
    let (severity, fields, frame) = (Severity::Must, Vec::new(), None);
    outcome.failures.insert(0, Failure { severity, expected, actual, fields, frame });
}
