//! JUnit XML, as CI systems read it: a suite a group, a case a test.
//!
//! Failures of weight are failures; known and light ones pass, and say so in their output;
//! inconclusive and skipped tests are skipped, with the reason; our own faults are errors.

use std::collections::BTreeMap;

use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use super::super::event::{Finished, Standing, Summary};
use super::super::model::{Failure, Verdict};

/// The report.
pub fn render(summary: &Summary) -> String {
    let mut report = Report::new("uarttool conformance");
    let mut suites: BTreeMap<&str, TestSuite> = BTreeMap::new();
    for finished in &summary.finished {
        let group = finished.about.group();
        let suite = suites.entry(group).or_insert_with(|| TestSuite::new(group));
        suite.add_test_case(case(finished));
    }
    if let Some(why) = &summary.ended {
        // Nobody should read a report of half a run as green.
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(format!("{} test(s) did not run: {why}", summary.not_run));
        let mut whole = TestCase::new("run.complete", status);
        whole.set_classname("uarttool.run");
        suites.entry("run").or_insert_with(|| TestSuite::new("run")).add_test_case(whole);
    }
    report.set_time(summary.duration);
    report.add_test_suites(suites.into_values());
    report.to_string().unwrap_or_default() // only names that are no XML could fail, and are none
}

fn case(finished: &Finished) -> TestCase {
    let mut case = TestCase::new(finished.about.name, status(finished));
    case.set_classname(format!("uarttool.{}", finished.about.group()));
    case.set_time(finished.duration);
    case.add_property(Property::new("id", finished.about.id));
    case.add_property(Property::new("reference", finished.about.reference));
    case.add_property(Property::new("severity", finished.outcome.severity.name()));
    for measure in &finished.outcome.measures {
        let value = format!("{} {}", measure.rounded(), measure.unit.name());
        case.add_property(Property::new(measure.name, value.as_str()));
    }
    let mut notes: Vec<String> = finished.outcome.remarks.clone();
    match &finished.standing {
        Standing::Known(reason) => notes.push(format!("known deviation: {reason}")),
        Standing::UnexpectedPass(reason) => {
            notes.push(format!("passed although the profile lists it: {reason}"));
        }
        Standing::Warned => notes.extend(finished.outcome.failures.iter().map(describe)),
        Standing::Good | Standing::Bad | Standing::Open => {}
    }
    if let Some(habit) = &finished.habit {
        notes.push(format!("known of {}: {}", habit.stack, habit.reason));
    }
    if finished.is_flaky() {
        notes.push(format!("passed at attempt {}", finished.attempts));
    }
    if !notes.is_empty() {
        case.set_system_out(notes.join("\n"));
    }
    case
}

fn status(finished: &Finished) -> TestCaseStatus {
    let outcome = &finished.outcome;
    let mut status = match (&finished.standing, outcome.verdict) {
        (Standing::Known(_) | Standing::Warned, _) | (_, Verdict::Pass) => {
            return TestCaseStatus::success();
        }
        (_, Verdict::Fail) => TestCaseStatus::non_success(NonSuccessKind::Failure),
        (_, Verdict::Error) => TestCaseStatus::non_success(NonSuccessKind::Error),
        (_, Verdict::Inconclusive | Verdict::Skip) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(format!("{}: {}", outcome.verdict.name(), outcome.summary()));
            return status;
        }
    };
    status.set_message(outcome.summary());
    let text: Vec<_> = outcome.failures.iter().map(describe).collect();
    status.set_description(format!("{}\n{}", finished.about.requirement, text.join("\n")));
    status
}

fn describe(failure: &Failure) -> String {
    let mut text = format!("expected: {}\nactual: {}", failure.expected, failure.actual);
    for field in &failure.fields {
        let line = format!(
            "\n  {}: expected {}, received {}",
            field.field, field.expected, field.received
        );
        text.push_str(&line);
    }
    text
}
