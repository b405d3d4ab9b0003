//! Where the results go: lines on stdout, a progress line on the terminal, reports into files.

use std::cell::{Cell, RefCell};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use super::args::OutputArgs;
use crate::cli::{Verdict, terminal};
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
        let (name, path) = text.split_once('=').unwrap_or((text, ""));
        let format = match name {
            "junit" => Format::Junit,
            "json" => Format::Json,
            _ => return Err(format!("there is no report '{name}'; there are junit, json")),
        };
        match path {
            "" => Err(format!("'{text}' names no file; write {name}=FILE, or - for stdout")),
            "-" => Ok(ReportTarget { format, path: None }),
            path => Ok(ReportTarget { format, path: Some(path.into()) }),
        }
    }

    /// Whether the file can be created, as far as that can be told without touching it.
    fn check(&self) -> Result<()> {
        let folder = self.path.as_ref().and_then(|path| path.parent());
        match folder.filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
            None if self.path.as_ref().is_some_and(|path| path.is_dir()) => {
                let path = self.path.as_deref().map(|path| path.display().to_string());
                let text = format!("cannot write {}: it is a folder", path.unwrap_or_default());
                Err(Error::environment(text).with_help("name a file in it"))
            }
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
            return written_out(std::io::stdout().write_all(content.as_bytes()));
        };
        write_file(path, content.as_bytes()).map_err(|error| {
            Error::environment(format!("cannot write {}", path.display())).caused_by(error)
        })
    }
}

/// Writes a file as a whole, or, where there is a pipe or a device, into that.
fn write_file(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let is_replaceable = std::fs::metadata(path).map_or(true, |metadata| metadata.is_file());
    if !is_replaceable {
        return std::fs::OpenOptions::new().write(true).open(path)?.write_all(content);
    }
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned()); // what a link leads to
    let mut beside = path.clone().into_os_string();
    beside.push(".part");
    std::fs::write(&beside, content).and_then(|()| std::fs::rename(&beside, &path))
}

/// What became of writing to a standard stream: a reader that left wants no more, and that is all.
pub(super) fn written_out(result: std::io::Result<()>) -> Result<()> {
    match result {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::environment("cannot write the results").caused_by(error))
        }
        _ => Ok(()),
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
    /// Why results could not be written.
    failed: RefCell<Option<Error>>,
}

impl Output {
    /// Looks whether everything can be written before anything is run.
    pub fn open(args: &OutputArgs) -> Result<Output> {
        args.report.iter().try_for_each(ReportTarget::check)?;
        for (at, report) in args.report.iter().enumerate() {
            if args.report[..at].iter().any(|other| other.path == report.path) {
                let name =
                    report.path.as_deref().map_or("stdout".to_owned(), |p| p.display().to_string());
                return Err(Error::usage(format!("two reports go to {name}"))
                    .with_help("give each a file of its own"));
            }
        }
        let to_stderr = args.report.iter().any(|report| report.path.is_none());
        let is_terminal = match to_stderr {
            true => std::io::stderr().is_terminal(),
            false => std::io::stdout().is_terminal(),
        };
        let wants_color = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let is_dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        let style = Style { color: is_terminal && wants_color && !is_dumb, quiet: args.quiet };
        Ok(Output {
            text: Text::new(style),
            reports: args.report.clone(),
            to_stderr,
            has_progress: std::io::stderr().is_terminal() && !is_dumb,
            failed: RefCell::new(None),
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
            self.show_progress(&format!("running {line}"));
        }
    }

    /// Shows what is being done before the first test.
    pub fn preparing(&self, what: &str) {
        if self.has_progress {
            self.show_progress(what);
        }
    }

    /// A line that the next one replaces: it must not wrap.
    fn show_progress(&self, what: &str) {
        let width = terminal::width().saturating_sub(1);
        let line: String = format!("     {what}").chars().take(width).collect();
        let _ = write!(std::io::stderr(), "\r\u{1b}[2K{line}");
        self.is_progress_shown.set(true);
    }

    fn write(&self, text: &str) {
        let result = match self.to_stderr {
            true => std::io::stderr().write_all(text.as_bytes()),
            false => std::io::stdout().write_all(text.as_bytes()),
        };
        if let Err(error) = written_out(result) {
            self.failed.borrow_mut().get_or_insert(error);
        }
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
        let written: Vec<_> = self.reports.iter().map(|report| report.write(summary)).collect();
        let all = self.failed.take().map_or(Ok(()), Err);
        written.into_iter().fold(all, Result::and) // each has been tried
    }
}

/// Lists tests.
pub fn list(tests: &[&'static Test]) -> Result<Verdict> {
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
    written_out(std::io::stdout().write_all(text.as_bytes()))?;
    Ok(Verdict::Done)
}
