//! Where records end up: lines on stdout, a capture, and the sums of both.
//!
//! A sink has a thread of its own and a bounded queue in front of it, so that a slow terminal or
//! disk never delays the line. Output is written whenever the queue is empty, so that a line
//! appears as soon as its frame does, and in large pieces when there is much.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use super::printer::{Printer, Style};
use super::terminal;
use crate::analysis::console::{self, Finding};
use crate::bus::{Inbox, Meter};
use crate::capture::{CaptureFile, Counts, Source, Target};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::record::{Body, Direction, Record};
use crate::stop::Stopper;

/// After it has written, the sink lets so much time pass before it looks again. Waking it for each
/// frame would cost the line more than passing the frame on: so much a person never notices.
const PAUSE_LINES: Duration = Duration::from_millis(1);
/// The same when only a file is written.
const PAUSE_FILE: Duration = Duration::from_millis(10);

/// What a sink is to do.
#[derive(Debug)]
pub struct Plan {
    /// Print lines; how.
    pub lines: Option<Style>,
    /// Write a capture.
    pub capture: Option<Target>,
    /// What the capture says about its source.
    pub source: Source,
    /// Stop after so many frames.
    pub count: Option<u64>,
    /// The time.
    pub clock: Clock,
}

/// What went through a sink.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Frames to the device.
    pub to_device: u64,
    /// Frames from the device.
    pub from_device: u64,
    /// Frames of unknown direction.
    pub unknown: u64,
    /// Bytes of all frames.
    pub bytes: u64,
    /// Framing errors.
    pub errors: u64,
    /// Records that were dropped because the sink was too slow.
    pub dropped: u64,
    /// Records that the capture's format cannot hold.
    pub left_out: u64,
    /// Lines of the device's console.
    pub console_lines: u64,
    /// What they told.
    pub findings: BTreeMap<Finding, u64>,
}

impl Totals {
    /// What the console told, if it was listened to and said anything.
    pub fn console_summary(&self) -> Option<String> {
        let lines = terminal::count(self.console_lines, "line");
        let findings: String = self
            .findings
            .iter()
            .map(|(finding, n)| {
                format!(", {n} {}{}", finding.name(), if *n == 1 { "" } else { "s" })
            })
            .collect();
        (self.console_lines > 0).then(|| format!("console: {lines}{findings}"))
    }

    /// All frames.
    pub fn frames(&self) -> u64 {
        self.to_device + self.from_device + self.unknown
    }

    /// The sentence at the end.
    pub fn summary(&self) -> String {
        let directions = match self.unknown {
            0 => format!("({} to the device, {} from it)", self.to_device, self.from_device),
            _ => "(direction unknown)".to_owned(),
        };
        format!(
            "{} {directions}, {}, {}, {} dropped",
            terminal::count(self.frames(), "frame"),
            terminal::bytes(self.bytes),
            terminal::count(self.errors, "framing error"),
            self.dropped
        )
    }
}

/// How a sink ended.
#[derive(Debug)]
pub struct Report {
    /// What went through.
    pub totals: Totals,
    /// What went wrong, if something did.
    pub error: Option<Error>,
    /// Nobody reads our output any more.
    pub is_abandoned: bool,
    /// As many frames were seen as were wanted.
    pub is_complete: bool,
}

/// Starts a sink on `inbox`; it ends with the tap, and tells `stopper` when it is done earlier.
pub fn start(plan: Plan, inbox: Inbox, stopper: Stopper) -> oneshot::Receiver<Report> {
    let (sender, report) = oneshot::channel();
    thread::spawn(move || {
        let mut sink = Sink::new(plan, inbox);
        let result = sink.run(&stopper);
        let _ = sender.send(sink.report(result)); // nobody waits if the command has failed
    });
    report
}

/// Why a sink ends before its tap.
pub(super) enum Ending {
    Failed(Error),
    Abandoned,
}

impl From<Error> for Ending {
    fn from(error: Error) -> Self {
        Ending::Failed(error)
    }
}

struct Sink {
    plan: Plan,
    inbox: Inbox,
    meter: Arc<Meter>,
    capture: Option<CaptureFile>,
    printer: Option<Printer>,
    totals: Totals,
}

impl Sink {
    fn new(plan: Plan, inbox: Inbox) -> Self {
        let meter = inbox.meter();
        let printer = plan.lines.map(Printer::new);
        Sink { plan, inbox, meter, capture: None, printer, totals: Totals::default() }
    }

    /// Takes records until the tap ends or enough were seen; the rest is taken and forgotten, so
    /// that it does not count as dropped.
    fn run(&mut self, stopper: &Stopper) -> Result<(), Ending> {
        let result = self.take_records();
        stopper.stop();
        if result.is_ok() {
            while self.inbox.wait().is_some() {}
        }
        if result.is_err() && self.capture.is_none() {
            return result; // it could not be created
        }
        let finished = self.finish();
        result.and(finished)
    }

    fn take_records(&mut self) -> Result<(), Ending> {
        while let Some(record) = self.inbox.wait() {
            let mut next = Some(record);
            while let Some(record) = next {
                self.take(&record)?;
                if self.plan.count.is_some_and(|count| self.totals.frames() >= count) {
                    return Ok(());
                }
                next = self.inbox.poll();
            }
            self.flush()?;
            thread::sleep(self.pause());
        }
        Ok(())
    }

    fn pause(&self) -> Duration {
        let is_read_along = self.printer.is_some()
            || self.plan.capture.as_ref().is_some_and(|target| target.path.is_none());
        if is_read_along { PAUSE_LINES } else { PAUSE_FILE }
    }

    fn take(&mut self, record: &Record) -> Result<(), Ending> {
        self.count(record);
        if let (None, Some(target)) = (&self.capture, &self.plan.capture) {
            self.capture = Some(target.create(&self.plan.source)?);
        }
        if let Some(capture) = &mut self.capture {
            capture.record(record).or_else(abandoned_if_stdout(capture.name()))?;
        }
        if let Some(printer) = &mut self.printer {
            printer.print(record)?;
        }
        Ok(())
    }

    fn count(&mut self, record: &Record) {
        match (&record.body, record.origin.direction) {
            (Body::Frame(frame), direction) => {
                self.totals.bytes += frame.len() as u64;
                match direction {
                    Direction::ToDevice => self.totals.to_device += 1,
                    Direction::FromDevice => self.totals.from_device += 1,
                    Direction::Unknown => self.totals.unknown += 1,
                }
            }
            (Body::FramingError(error), _) if error.is_new() => self.totals.errors += 1,
            (Body::Console(line), _) => {
                self.totals.console_lines += 1;
                if let Some(finding) = console::judge(line) {
                    *self.totals.findings.entry(finding).or_default() += 1;
                }
            }
            _ => {}
        }
    }

    fn flush(&mut self) -> Result<(), Ending> {
        if let Some(capture) = &mut self.capture {
            capture.flush().or_else(abandoned_if_stdout(capture.name()))?;
        }
        self.printer.as_mut().map_or(Ok(()), Printer::flush)
    }

    fn finish(&mut self) -> Result<(), Ending> {
        if let (None, Some(target)) = (&self.capture, &self.plan.capture) {
            self.capture = Some(target.create(&self.plan.source)?); // an empty one is one, too
        }
        if let Some(capture) = &mut self.capture {
            let counts = Counts { dropped: self.meter.dropped() };
            let done = capture.finish(self.plan.clock.now(), counts);
            done.or_else(abandoned_if_stdout(capture.name()))?;
        }
        self.printer.as_mut().map_or(Ok(()), Printer::flush)
    }

    fn report(mut self, result: Result<(), Ending>) -> Report {
        self.totals.dropped = self.meter.dropped();
        self.totals.left_out = self.capture.as_ref().map_or(0, CaptureFile::left_out);
        let (error, is_abandoned) = match result {
            Ok(()) => (None, false),
            Err(Ending::Abandoned) => (None, true),
            Err(Ending::Failed(error)) => (Some(error), false),
        };
        let is_complete = self.plan.count.is_some_and(|count| self.totals.frames() >= count);
        Report { totals: self.totals, error, is_abandoned, is_complete }
    }
}

/// A capture on stdout whose reader has left is no failure.
fn abandoned_if_stdout(name: &str) -> impl FnOnce(Error) -> Result<(), Ending> {
    let is_stdout = name == "stdout";
    move |error| {
        let source = std::error::Error::source(&error).and_then(|e| e.downcast_ref::<io::Error>());
        match source.map(io::Error::kind) {
            Some(ErrorKind::BrokenPipe) if is_stdout => Err(Ending::Abandoned),
            _ => Err(Ending::Failed(error)),
        }
    }
}
