//! What people read: a line a test while it runs, then what has to be looked at, sorted by whose code
//! it is.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use super::super::event::{Event, Finished, Habit, Opening, Standing, Summary};
use super::super::model::{Failure, Owner, Severity, Verdict};
use crate::escape;

/// How it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// With colours.
    pub color: bool,
    /// Only what did not go well.
    pub quiet: bool,
}

#[derive(Clone, Copy)]
enum Color {
    Red,
    Green,
    Yellow,
    Cyan,
}

/// Turns events into text.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    style: Style,
}

impl Text {
    /// A reporter.
    pub fn new(style: Style) -> Self {
        Text { style }
    }

    /// What there is to say of `event`; nothing for most.
    pub fn event(&self, event: &Event) -> String {
        match event {
            Event::Started(opening) => self.opening(opening),
            Event::Test(..) => String::new(),
            Event::Warning(text) => {
                format!("{} {text}\n", self.paint(Color::Yellow, "warning:", 12))
            }
            Event::Retry(about, outcome, attempt) => {
                let head = self.paint(Color::Yellow, "TRY ", 12);
                format!("{head} {attempt} [         ] {}: {}\n", about.name, outcome.summary())
            }
            Event::Finished(finished) => self.finished(finished),
            Event::Ended(summary) => self.ended(summary),
        }
    }

    fn paint(&self, color: Color, word: &str, width: usize) -> String {
        let code = match color {
            Color::Red => 31,
            Color::Green => 32,
            Color::Yellow => 33,
            Color::Cyan => 36,
        };
        match self.style.color {
            true => format!("\u{1b}[1;{code}m{word:>width$}\u{1b}[0m"),
            false => format!("{word:>width$}"),
        }
    }

    fn opening(&self, opening: &Opening) -> String {
        let order = match opening.is_fixed {
            true => "in the catalogue's order".to_owned(),
            false => format!("shuffled, seed {}", opening.seed),
        };
        let left_out = match opening.left_out {
            0 => String::new(),
            n => format!("; {n} not selected"),
        };
        let head = self.paint(Color::Green, "Starting", 12);
        let s = if opening.tests == 1 { "" } else { "s" };
        let mut text = format!(
            "{head} {} test{s} against {} ({order}{left_out})\n",
            opening.tests, opening.target
        );
        for fact in opening.facts.iter().filter(|_| !self.style.quiet) {
            let _ = writeln!(text, "{:>12} {fact}", "");
        }
        if let Some(profile) = &opening.profile {
            let _ = writeln!(text, "{:>12} known deviations: profile '{profile}'", "");
        }
        text
    }

    fn finished(&self, finished: &Finished) -> String {
        let (word, color) = word(finished);
        let is_quiet =
            matches!(finished.standing, Standing::Good | Standing::Known(_) | Standing::Open);
        if self.style.quiet && is_quiet {
            return String::new();
        }
        let head = self.paint(color, word, 12);
        let mut text = format!("{head} [{}] {}", seconds(finished.duration), finished.about.name);
        if let Some(reason) = &finished.outcome.reason {
            let _ = write!(text, ": {reason}");
        }
        text.push('\n');
        text
    }

    fn ended(&self, summary: &Summary) -> String {
        let mut text = String::from("------------\n");
        let clock = if summary.is_virtual { ", virtual time" } else { "" };
        let ok = summary.count(|f| f.standing == Standing::Bad) == 0 && summary.ended.is_none();
        let head = self.paint(if ok { Color::Green } else { Color::Red }, "Summary", 12);
        let duration = seconds(summary.duration);
        let _ = writeln!(text, "{head} [{duration}{clock}] {}", tally(summary));
        if let Some(why) = &summary.ended {
            let _ = writeln!(text, "{:>12} {} test(s) did not run: {why}", "", summary.not_run);
        }
        for owner in Owner::ALL {
            self.owner(&mut text, summary, owner);
        }
        self.unexpected(&mut text, summary);
        if !self.style.quiet {
            measured(&mut text, summary);
        }
        text
    }

    /// Everything of one owner that has to be looked at.
    fn owner(&self, text: &mut String, summary: &Summary, owner: Owner) {
        let of_owner: Vec<_> = summary.finished.iter().filter(|f| f.about.owner == owner).collect();
        let looked_at = |f: &&&Finished| {
            let is_news = matches!(f.standing, Standing::Bad | Standing::Warned);
            is_news
                || f.is_flaky()
                || (f.outcome.verdict == Verdict::Inconclusive && !self.style.quiet)
        };
        let mut shown: Vec<_> = of_owner.iter().filter(looked_at).collect();
        shown.sort_by_key(|f| f.habit.is_some()); // what is new comes first
        let known: Vec<_> =
            of_owner.iter().filter(|f| matches!(f.standing, Standing::Known(_))).collect();
        let is_warning =
            |f: &&&Finished| f.outcome.remarks.iter().any(|r| r.starts_with("warning: "));
        let has_warnings = of_owner.iter().any(|f| is_warning(&f));
        if shown.is_empty() && !has_warnings && (known.is_empty() || self.style.quiet) {
            return;
        }
        let bad = of_owner.iter().filter(|f| f.standing == Standing::Bad).count();
        let warned = of_owner.iter().filter(|f| f.standing == Standing::Warned).count();
        let failed =
            |f: &&&Finished| f.standing == Standing::Bad && f.outcome.verdict == Verdict::Fail;
        let failed = of_owner.iter().filter(failed).count();
        let _ = write!(text, "\n{}: {failed} of {} failed", owner.title(), of_owner.len());
        if bad > failed {
            let _ = write!(text, ", {} without a verdict", bad - failed);
        }
        if warned > 0 {
            let _ = write!(text, ", {warned} to look at");
        }
        let mut habits = of_owner.iter().filter_map(|f| f.habit.as_ref());
        if let Some(Habit { stack, .. }) = habits.next() {
            let _ = write!(text, " ({} of them known of {stack})", habits.count() + 1);
        }
        text.push('\n');
        for finished in shown {
            self.explain(text, finished, &summary.rerun);
        }
        for finished in of_owner.iter().filter(|f| f.outcome.verdict == Verdict::Pass) {
            for remark in &finished.outcome.remarks {
                if let Some(warning) = remark.strip_prefix("warning: ") {
                    let head = self.paint(Color::Yellow, "NOTE", 12);
                    let _ = writeln!(text, "{head} {}: {warning}", finished.about.name);
                }
            }
        }
        for finished in known {
            if let Standing::Known(reason) = &finished.standing {
                let head = self.paint(Color::Cyan, "KNOWN", 12);
                let _ = writeln!(text, "{head} {}: {reason}", finished.about.name);
            }
        }
    }

    fn explain(&self, text: &mut String, finished: &Finished, rerun: &str) {
        let about = &finished.about;
        let (word, color) = word(finished);
        let head = self.paint(color, word, 12);
        let severity = finished.outcome.severity.name();
        let _ =
            writeln!(text, "{head} {} ({}, {severity}; {})", about.name, about.id, about.reference);
        let _ = writeln!(text, "{:>12} {}", "", about.requirement);
        for failure in finished.outcome.failures.iter().take(MOST_FAILURES) {
            explain_failure(text, failure);
        }
        let more = finished.outcome.failures.len().saturating_sub(MOST_FAILURES);
        if more > 0 {
            let _ = writeln!(text, "{:>12} and {more} more", "");
        }
        if let Some(reason) = &finished.outcome.reason {
            let _ = writeln!(text, "{:>12} {reason}", "because");
        }
        for remark in &finished.outcome.remarks {
            let _ = writeln!(text, "{:>12} {remark}", "seen");
        }
        if let Some(Habit { stack, profile, reason }) = &finished.habit {
            let _ = writeln!(text, "{:>12} of {stack} (--profile {profile}): {reason}", "known");
        }
        if let Some(path) = &finished.evidence {
            let _ = writeln!(text, "{:>12} {}", "frames", path.display());
        }
        if about.group() != "invariant" {
            let _ = writeln!(text, "{:>12} {rerun} {}", "again", about.name);
        }
    }

    /// Deviations that are listed and were not seen.
    fn unexpected(&self, text: &mut String, summary: &Summary) {
        let passed = summary.finished.iter().filter_map(|f| match &f.standing {
            Standing::UnexpectedPass(reason) => Some((f.about.name, reason)),
            _ => None,
        });
        for (at, (name, reason)) in passed.enumerate() {
            if at == 0 {
                text.push_str("\npassed although the profile lists it: take it off the list\n");
            }
            let head = self.paint(Color::Yellow, "PASS", 12);
            let _ = writeln!(text, "{head} {name}: {reason}");
        }
    }
}

/// Every value that was measured, aligned.
fn measured(text: &mut String, summary: &Summary) {
    let rows: Vec<_> = summary
        .finished
        .iter()
        .flat_map(|f| f.outcome.measures.iter().map(|m| (f.about.name, m.name, m.said())))
        .collect();
    let Some(test_width) = rows.iter().map(|(test, ..)| test.len()).max() else { return };
    let name_width = rows.iter().map(|(_, name, _)| name.len()).max().unwrap_or_default();
    let value_width = rows.iter().map(|(.., value)| value.len()).max().unwrap_or_default();
    text.push_str("\nmeasured\n");
    let mut before = "";
    for (test, name, value) in rows {
        let shown = if test == before { "" } else { test };
        let _ = writeln!(
            text,
            "{:>12} {shown:<test_width$}  {name:<name_width$}  {value:>value_width$}",
            ""
        );
        before = test;
    }
}

/// Failures that are shown of one test.
const MOST_FAILURES: usize = 4;

fn explain_failure(text: &mut String, failure: &Failure) {
    let _ = writeln!(text, "{:>12} {}", "expected", failure.expected);
    let _ = writeln!(text, "{:>12} {}", "actual", escape::terminal(failure.actual.as_bytes()));
    for field in &failure.fields {
        let _ = writeln!(
            text,
            "{:>12} {}: expected {}, received {}",
            "", field.field, field.expected, field.received
        );
    }
    if let Some((_, frame)) = &failure.frame {
        let line = crate::dissect::render::line::one_line(frame);
        if line != failure.actual {
            let _ = writeln!(text, "{:>12} {line}", "frame");
        }
    }
}

fn word(finished: &Finished) -> (&'static str, Color) {
    match (&finished.standing, finished.outcome.verdict) {
        (Standing::Known(_), _) => ("KNOWN", Color::Cyan),
        (Standing::Warned, _) => match finished.outcome.severity {
            Severity::Should => ("WARN", Color::Yellow),
            _ => ("NOTE", Color::Yellow),
        },
        (_, Verdict::Pass) if finished.is_flaky() => ("FLAKY", Color::Yellow),
        (_, Verdict::Pass) => ("PASS", Color::Green),
        (_, Verdict::Fail) => ("FAIL", Color::Red),
        (_, Verdict::Inconclusive) => ("INCONCLUSIVE", Color::Yellow),
        (_, Verdict::Error) => ("ERROR", Color::Red),
        (_, Verdict::Skip) => ("SKIP", Color::Yellow),
    }
}

/// `59 tests run: 57 passed (1 flaky), 1 failed, 1 skipped`.
fn tally(summary: &Summary) -> String {
    let mut counts: BTreeMap<usize, (&str, usize)> = BTreeMap::new();
    for finished in &summary.finished {
        let (order, what) = match (&finished.standing, finished.outcome.verdict) {
            (Standing::Known(_), _) => (2, "known to deviate"),
            (Standing::Warned, _) => (3, "to look at"),
            (_, Verdict::Pass) => (1, "passed"),
            (_, Verdict::Fail) => (4, "failed"),
            (_, Verdict::Inconclusive) => (5, "inconclusive"),
            (_, Verdict::Error) => (6, "in error"),
            (_, Verdict::Skip) => (7, "skipped"),
        };
        counts.entry(order).or_insert((what, 0)).1 += 1;
    }
    let flaky = match summary.count(Finished::is_flaky) {
        0 => String::new(),
        n => format!(" ({n} flaky)"),
    };
    let parts: Vec<_> = counts
        .into_values()
        .map(|(what, n)| {
            format!("{n} {what}{}", if what == "passed" { flaky.as_str() } else { "" })
        })
        .collect();
    let run = summary.finished.len();
    let s = if run == 1 { "" } else { "s" };
    format!(
        "{run} result{s}: {}",
        if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
    )
}

/// `   0.012s`.
fn seconds(duration: Duration) -> String {
    format!("{:>8.3}s", duration.as_secs_f64())
}

/// What a progress line says while a test runs.
pub fn progress(event: &Event) -> Option<String> {
    match event {
        Event::Test(about, at, total) => Some(format!("{at}/{total} {}", about.name)),
        _ => None,
    }
}
