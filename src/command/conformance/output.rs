//! Where the results go: lines on stdout, a progress line on the terminal, reports into files.

use std::cell::Cell;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use super::args::OutputArgs;
use crate::cli::Verdict;
use crate::conformance::event::{Event, Summary};
use crate::conformance::model::Test;
use crate::conformance::report::text::{self, Style, Text};
use crate::conformance::report::{json, junit};
use crate::error::{Error, Result};

/// A report for programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportTarget {
    format: Format,
    /// `None` is stdout.
    path: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Junit,
    Json,
}

impl ReportTarget {
    /// `junit=FILE`, `json=FILE`; `-` is stdout.
    pub fn parse(text: &str) -> Result<ReportTarget, String> {
        let (format, path) = text.split_once('=').unwrap_or((text, ""));
        let format = match format {
            "junit" => Format::Junit,
            "json" => Format::Json,
            _ => return Err(format!("there is no report '{format}'; there are junit, json")),
        };
        match path {
            "" => Err(format!("'{text}' names no file; write {text}=FILE, or - for stdout")),
            "-" => Ok(ReportTarget { format, path: None }),
            path => Ok(ReportTarget { format, path: Some(path.into()) }),
        }
    }

    /// Whether the file can be created, as far as that can be told without touching it.
    fn check(&self) -> Result<()> {
        let folder = self.path.as_ref().and_then(|path| path.parent());
        match folder.filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
            None => Ok(()),
            Some(folder) => {
                let path = self.path.as_deref().map(|path| path.display().to_string());
                let text = format!("cannot create {}: no such folder", path.unwrap_or_default());
                let help = format!("make it first: mkdir -p {}", folder.display());
                Err(Error::environment(text).with_help(help))
            }
        }
    }

    /// Writes the report: a whole one beside the file first, so that nobody reads half of it.
    fn write(&self, summary: &Summary) -> Result<()> {
        let content = match self.format {
            Format::Junit => junit::render(summary),
            Format::Json => json::render(summary),
        };
        let Some(path) = &self.path else {
            let _ = std::io::stdout().write_all(content.as_bytes()); // a reader that left wants no more
            return Ok(());
        };
        let mut beside = path.clone().into_os_string();
        beside.push(".part");
        let written =
            std::fs::write(&beside, content).and_then(|()| std::fs::rename(&beside, path));
        written.map_err(|error| {
            Error::environment(format!("cannot write {}", path.display())).caused_by(error)
        })
    }
}

/// Everything that the run writes to.
pub struct Output {
    text: Text,
    reports: Vec<ReportTarget>,
    /// Lines for people go to stderr where stdout belongs to a report.
    to_stderr: bool,
    has_progress: bool,
    is_progress_shown: Cell<bool>,
}

impl Output {
    /// Looks whether everything can be written before anything is run.
    pub fn open(args: &OutputArgs) -> Result<Output> {
        args.report.iter().try_for_each(ReportTarget::check)?;
        let to_stderr = args.report.iter().any(|report| report.path.is_none());
        let is_terminal = match to_stderr {
            true => std::io::stderr().is_terminal(),
            false => std::io::stdout().is_terminal(),
        };
        let wants_color = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let style = Style { color: is_terminal && wants_color, quiet: args.quiet };
        Ok(Output {
            text: Text::new(style),
            reports: args.report.clone(),
            to_stderr,
            has_progress: std::io::stderr().is_terminal(),
            is_progress_shown: Cell::new(false),
        })
    }

    /// Shows an event.
    pub fn event(&self, event: &Event) {
        let text = self.text.event(event);
        if !text.is_empty() {
            self.clear_progress();
            self.write(&text);
        }
        if let Some(line) = text::progress(event).filter(|_| self.has_progress) {
            let _ = write!(std::io::stderr(), "\r\u{1b}[2K     running {line}");
            self.is_progress_shown.set(true);
        }
    }

    /// Shows what is being done before the first test.
    pub fn preparing(&self, what: &str) {
        if self.has_progress {
            let _ = write!(std::io::stderr(), "\r\u{1b}[2K     {what}");
            self.is_progress_shown.set(true);
        }
    }

    fn write(&self, text: &str) {
        // A reader that left wants no more.
        let _ = match self.to_stderr {
            true => std::io::stderr().write_all(text.as_bytes()),
            false => std::io::stdout().write_all(text.as_bytes()),
        };
    }

    /// Takes the progress line away.
    pub fn clear_progress(&self) {
        if self.is_progress_shown.replace(false) {
            let _ = write!(std::io::stderr(), "\r\u{1b}[2K");
        }
    }

    /// Writes the reports.
    pub fn end(&self, summary: &Summary) -> Result<()> {
        self.clear_progress();
        self.reports.iter().try_for_each(|report| report.write(summary))
    }
}

/// Lists tests.
pub fn list(tests: &[&'static Test]) -> Verdict {
    let mut text = String::new();
    for test in tests {
        let about = &test.about;
        text.push_str(&format!(
            "{:<7} {:<33} {:<9} {:<8} {:<6} {}\n",
            about.id,
            about.name,
            about.severity.name(),
            about.tier.name(),
            about.owner.name(),
            about.requirement
        ));
    }
    let _ = std::io::stdout().write_all(text.as_bytes());
    Verdict::Done
}
