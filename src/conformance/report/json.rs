//! JSON lines for programs: one a test, one at the end; `"v":1` in each.

use serde_json::{Map, Value, json};

use super::super::event::{Finished, Standing, Summary};
use super::super::measure::Measure;
use super::super::model::Failure;

/// The report.
pub fn render(summary: &Summary) -> String {
    let mut lines: Vec<Value> = summary.finished.iter().map(test).collect();
    let count = |standing: fn(&Standing) -> bool| summary.count(|f| standing(&f.standing));
    lines.push(json!({
        "v": 1,
        "event": "summary",
        "duration": summary.duration.as_secs_f64(),
        "virtual_time": summary.is_virtual,
        "results": summary.finished.len(),
        "good": count(|s| *s == Standing::Good),
        "bad": count(|s| *s == Standing::Bad),
        "warned": count(|s| *s == Standing::Warned),
        "known": count(|s| matches!(s, Standing::Known(_))),
        "unexpected_pass": count(|s| matches!(s, Standing::UnexpectedPass(_))),
        "open": count(|s| *s == Standing::Open),
        "not_run": summary.not_run,
        "ended": summary.ended,
    }));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn test(finished: &Finished) -> Value {
    let about = &finished.about;
    let (standing, reason) = match &finished.standing {
        Standing::Good => ("good", None),
        Standing::Bad => ("bad", None),
        Standing::Warned => ("warned", None),
        Standing::Known(reason) => ("known", Some(reason)),
        Standing::UnexpectedPass(reason) => ("unexpected-pass", Some(reason)),
        Standing::Open => ("open", None),
    };
    json!({
        "v": 1,
        "event": "test",
        "id": about.id,
        "name": about.name,
        "group": about.group(),
        "severity": finished.outcome.severity.name(),
        "tier": about.tier.name(),
        "owner": about.owner.name(),
        "reference": about.reference,
        "requirement": about.requirement,
        "verdict": finished.outcome.verdict.name(),
        "standing": standing,
        "known": reason,
        "known_of": finished.habit.as_ref().map(|habit| {
            json!({ "stack": habit.stack, "profile": habit.profile, "reason": habit.reason })
        }),
        "reason": finished.outcome.reason,
        "duration": finished.duration.as_secs_f64(),
        "attempts": finished.attempts,
        "remarks": finished.outcome.remarks,
        "measures": finished.outcome.measures.iter().map(measure).collect::<Map<_, _>>(),
        "failures": finished.outcome.failures.iter().map(failure).collect::<Vec<_>>(),
        "evidence": finished.evidence,
    })
}

fn measure(measure: &Measure) -> (String, Value) {
    let value = json!({ "value": measure.rounded(), "unit": measure.unit.name() });
    (measure.name.to_owned(), value)
}

fn failure(failure: &Failure) -> Value {
    let fields = failure.fields.iter().map(|field| {
        json!({ "field": field.field, "expected": field.expected, "received": field.received })
    });
    json!({
        "severity": failure.severity.name(),
        "expected": failure.expected,
        "actual": failure.actual,
        "fields": fields.collect::<Vec<_>>(),
        "time": failure.frame.as_ref().map(|(time, _)| time.rfc3339()),
        "frame": failure.frame.as_ref().map(|(_, bytes)| hex(bytes)),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
