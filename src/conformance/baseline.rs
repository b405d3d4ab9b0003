//! Values of an earlier run, and what has become worse since.
//!
//! A baseline is a JSON report of such a run. Only values whose unit says what is better are compared; others,
//! tests without values and values that only one of the runs has change nothing. A value that is worse is a
//! failure of its test, of the weight of a threshold: the device may still be good, but it was better.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;

use super::measure::{Measure, Unit};
use super::model::{About, Failure, Outcome, Severity, Verdict};
use crate::error::{Error, Result};

/// What is left of a throughput that is as good as before.
const LEAST_THROUGHPUT: f64 = 0.90;
/// What a latency may have become that is as good as before: so many times what it was, or more by so
/// many milliseconds.
const MOST_LATENCY: f64 = 1.25;
const MOST_LATER: f64 = 2.0;

/// The values of an earlier run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Baseline {
    /// The file.
    name: String,
    /// Value and unit by the names of test and value.
    values: HashMap<(String, String), (f64, String)>,
}

impl Baseline {
    /// Reads a JSON report.
    pub fn open(path: &Path) -> Result<Baseline> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::usage(format!("cannot read the baseline {name}")).caused_by(error)
        })?;
        Baseline::parse(&name, &text)
    }

    fn parse(name: &str, text: &str) -> Result<Baseline> {
        let bad = |what: String| {
            Error::usage(format!("bad baseline {name}: {what}")).with_help(
                "a baseline is the report of an earlier run: 'uarttool conformance performance --report json=FILE'",
            )
        };
        let mut values = HashMap::new();
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let line: Value = serde_json::from_str(line)
                .map_err(|_| bad(format!("line {} is no JSON", at + 1)))?;
            if line["v"] != 1 || !line["event"].is_string() {
                return Err(bad(format!("line {} is none of a JSON report", at + 1)));
            }
            let test = line["name"].as_str().unwrap_or_default();
            for (measure, entry) in line["measures"].as_object().into_iter().flatten() {
                let (value, unit) = (entry["value"].as_f64(), entry["unit"].as_str());
                let (Some(value), Some(unit)) = (value, unit) else {
                    return Err(bad(format!("line {}: '{measure}' has no value", at + 1)));
                };
                let key = (test.to_owned(), measure.clone());
                values.insert(key, (value, unit.to_owned()));
            }
        }
        if values.is_empty() {
            return Err(bad("nothing was measured in that run".to_owned()));
        }
        Ok(Baseline { name: name.to_owned(), values })
    }

    /// Adds to an outcome what has become worse.
    pub fn judge(&self, about: &About, outcome: &mut Outcome) {
        if !matches!(outcome.verdict, Verdict::Pass | Verdict::Fail) {
            return;
        }
        let worse = outcome.measures.iter().filter_map(|measure| self.compare(about, measure));
        let worse: Vec<_> = worse.collect();
        if worse.is_empty() {
            return;
        }
        outcome.failures.extend(worse);
        outcome.failures.sort_by_key(|failure| failure.severity);
        outcome.verdict = Verdict::Fail;
        if let Some(worst) = outcome.failures.first() {
            outcome.severity = worst.severity;
        }
    }

    fn compare(&self, about: &About, measure: &Measure) -> Option<Failure> {
        let key = (about.name.to_owned(), measure.name.to_owned());
        let (stored, unit) = self.values.get(&key)?;
        if unit != measure.unit.name() {
            return None;
        }
        let (stored, now) = (*stored, measure.value);
        let (is_worse, limit) = match measure.unit {
            Unit::BytesPerSecond | Unit::PerSecond => {
                let least = stored * LEAST_THROUGHPUT;
                (now < least, format!("at least {}", measure.unit.said(least)))
            }
            Unit::Milliseconds => {
                let most = (stored * MOST_LATENCY).max(stored + MOST_LATER);
                (now > most, format!("at most {}", measure.unit.said(most)))
            }
            Unit::Seconds
            | Unit::MicrosecondsPerByte
            | Unit::Percent
            | Unit::Ratio
            | Unit::Frames => return None,
        };
        let stored = measure.unit.said(stored);
        let (name, file) = (measure.name, &self.name);
        is_worse.then(|| Failure {
            severity: Severity::Threshold,
            expected: format!("{name}: {limit}, since it was {stored} in {file}"),
            actual: format!("{name} is {}, and was {stored}", measure.said()),
            fields: Vec::new(),
            frame: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::model::{Owner, Tier};

    const ABOUT: About = About {
        id: "PRF-05",
        name: "performance.goodput-get",
        severity: Severity::Threshold,
        tier: Tier::Smoke,
        owner: Owner::Application,
        reference: "",
        requirement: "",
    };

    fn stored(measures: &str) -> Result<Baseline> {
        let line = r#"{"v":1,"event":"test","name":"performance.goodput-get","measures":"#;
        Baseline::parse(
            "old.json",
            &format!("{line}{measures}}}\n{{\"v\":1,\"event\":\"summary\"}}\n"),
        )
    }

    fn failures(unit: Unit, before: f64, now: f64) -> usize {
        let entry = format!(r#"{{"x":{{"value":{before},"unit":"{}"}}}}"#, unit.name());
        let baseline = stored(&entry).expect("a report");
        let mut outcome = Outcome::new(Verdict::Pass, Severity::Threshold);
        outcome.measures = vec![Measure::new("x", now, unit)];
        baseline.judge(&ABOUT, &mut outcome);
        assert_eq!(outcome.verdict == Verdict::Fail, !outcome.failures.is_empty());
        outcome.failures.len()
    }

    #[test]
    fn throughput_may_be_a_tenth_lower() {
        let failures = |now| failures(Unit::BytesPerSecond, 10_000.0, now);
        assert_eq!([9001.0, 8999.0, 99_999.0].map(failures), [0, 1, 0]);
    }

    #[test]
    fn latency_may_be_a_quarter_higher_or_two_milliseconds() {
        assert_eq!([4.9, 5.1].map(|now| failures(Unit::Milliseconds, 3.0, now)), [0, 1]);
        assert_eq!([124.0, 126.0].map(|now| failures(Unit::Milliseconds, 100.0, now)), [0, 1]);
        assert_eq!(failures(Unit::Percent, 99.0, 1.0), 0, "no unit of which more is better");
    }

    #[test]
    fn the_stored_value_is_named() {
        let baseline = stored(r#"{"goodput":{"value":11000.0,"unit":"B/s"}}"#).expect("a report");
        let mut outcome = Outcome::new(Verdict::Pass, Severity::Report);
        outcome.measures = vec![Measure::new("goodput", 5000.0, Unit::BytesPerSecond)];
        baseline.judge(&ABOUT, &mut outcome);
        assert_eq!(outcome.severity, Severity::Threshold);
        let failure = &outcome.failures[0];
        assert_eq!(failure.actual, "goodput is 5.00 KB/s, and was 11.00 KB/s");
        let expected = "goodput: at least 9.90 KB/s, since it was 11.00 KB/s in old.json";
        assert_eq!(failure.expected, expected);
    }

    #[test]
    fn what_is_no_report_is_refused() {
        for text in ["", "hello", "{}", "[1]", r#"{"v":2,"event":"test"}"#, r#"{"v":1}"#] {
            let error = Baseline::parse("x", text).expect_err(text).chain();
            assert!(error.starts_with("bad baseline x: "), "{error}");
        }
        assert!(stored(r#"{"goodput":{"value":"fast"}}"#).is_err());
        assert!(stored("{}").is_err(), "nothing was measured");
    }
}
