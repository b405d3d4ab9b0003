//! What is told about a run that has failed: who ended first, and the last that was seen.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use super::evidence::Seen;
use super::firmware::Firmware;
use crate::analysis::console::{self, Finding};
use crate::cli::launch::Status;
use crate::cli::outputs::Totals;
use crate::cli::terminal;
use crate::escape;

/// How many lines of firmware without a console are shown.
const LINES: usize = 5;
/// How much of COMMAND is shown, in characters.
const WIDTH: usize = 80;

/// What is known, for the end.
#[derive(Debug, Default)]
pub struct Story {
    /// The files of the capture.
    pub captures: Vec<PathBuf>,
    shown: String,
    command: Option<String>,
    firmware: Option<String>,
    /// What was waited for when the run was interrupted.
    awaited: Option<String>,
    line: Option<String>,
    console: Option<String>,
    last: Vec<String>,
}

impl Story {
    /// The story of `command`.
    pub fn new(command: &[OsString]) -> Story {
        let words: Vec<_> = command.iter().map(|word| word.to_string_lossy()).collect();
        let text = words.join(" ");
        let short: String = text.chars().take(WIDTH).collect();
        let dots = if short.len() < text.len() { "..." } else { "" };
        let shown = format!("`{}{dots}`", escape::terminal(short.as_bytes()));
        Story { shown, ..Story::default() }
    }

    /// How COMMAND ended; `was_cut` if we ended it.
    pub fn command(&mut self, status: Status, was_cut: bool) {
        let why = if was_cut { " for that" } else { "" };
        self.command = Some(format!("{} {status}{why}", self.shown));
    }

    /// What went over the line.
    pub fn line(&mut self, totals: &Totals) {
        self.line = Some(totals.summary());
        self.console = totals.console_summary();
    }

    /// What the console has said last.
    pub fn console(&mut self, seen: &Seen) {
        self.last = seen.console.last_lines().map(str::to_owned).collect();
    }

    /// The run was interrupted before the device answered.
    pub fn interrupted(&mut self, awaited: &str) {
        self.awaited = Some(format!("while it was waited for the device: {awaited}"));
    }

    /// How the firmware's program ended, if it did so before COMMAND.
    pub fn firmware_ended(&mut self, sentence: String) {
        self.firmware = Some(sentence);
    }

    /// What the firmware's program has said, where there was no console.
    pub fn firmware(&mut self, firmware: &Firmware) {
        if self.console.is_some() {
            return;
        }
        let output = firmware.output();
        let lines = || output.lines().map(str::trim_end).filter(|line| !line.is_empty());
        let n = lines().count();
        if n == 0 {
            return;
        }
        let last = lines().skip(n.saturating_sub(LINES));
        self.last = last.map(|line| escape::terminal(line.as_bytes()).to_string()).collect();
        let mut findings: BTreeMap<Finding, u64> = BTreeMap::new();
        for finding in lines().filter_map(|line| console::judge(line.as_bytes())) {
            *findings.entry(finding).or_default() += 1;
        }
        let totals = Totals { console_lines: n as u64, findings, ..Totals::default() };
        self.console = totals.console_summary();
    }

    /// Tells it; what came first stands first.
    pub fn tell(&self) {
        for (title, text) in [
            ("firmware", &self.firmware),
            ("failed", &self.command),
            ("stopped", &self.awaited),
            ("line", &self.line),
            ("console", &self.console.as_ref().map(|text| text.replacen("console: ", "", 1))),
        ] {
            if let Some(text) = text {
                terminal::tell(&format!("{title:<8} {text}"));
            }
        }
        for line in &self.last {
            terminal::tell(&format!("         | {line}"));
        }
    }
}
