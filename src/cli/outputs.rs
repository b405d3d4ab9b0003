//! Where records end up: text on stdout, a capture, and the sums of both. No thread, no waiting: whoever
//! has records hands them in, be it a tap's queue ([`super::sink`]) or a file.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::show::{Aside, Printer, Style};
use super::terminal;
use crate::analysis::console::{self, Finding};
use crate::analysis::flows::Flows;
use crate::analysis::replies::Replies;
use crate::capture::series::{self, Series};
use crate::capture::{Counts, Kind, Source};
use crate::clock::{Clock, Timestamp};
use crate::dissect::Dissector;
use crate::dissect::filter::{Filter, Other, Seen};
use crate::error::{Error, Result};
use crate::framing::DEFAULT_MAX_FRAME;
use crate::record::{Body, Direction, Impaired, LinkType, Record};

/// What is to be done with records.
#[derive(Debug)]
pub struct Plan {
    /// Show them; how.
    pub show: Option<Style>,
    /// Only these frames.
    pub filter: Option<Filter>,
    /// Write a capture.
    pub capture: Option<series::Plan>,
    /// The records are of now: time passes for the capture also when nothing comes.
    pub is_live: bool,
    /// Write each record to the capture at once.
    pub is_unbuffered: bool,
    /// What the capture says about its source.
    pub source: Source,
    /// Stop after so many frames.
    pub count: Option<u64>,
    /// The time.
    pub clock: Clock,
}

/// What went through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Frames to the device.
    pub to_device: u64,
    /// Frames from the device.
    pub from_device: u64,
    /// Frames of unknown direction.
    pub unknown: u64,
    /// Bytes of all frames, as long as they were on the line.
    pub bytes: u64,
    /// Framing errors.
    pub errors: u64,
    /// Frames that the filter passed over.
    pub passed_over: u64,
    /// Frames that are not of the time that was asked for.
    pub of_another_time: u64,
    /// Records that were dropped because we were too slow.
    pub dropped: u64,
    /// Records that the capture's format cannot hold.
    pub left_out: u64,
    /// Those of them that are frames.
    pub frames_left_out: u64,
    /// Records that are in the capture, if there is one.
    pub kept: Option<u64>,
    /// Those of them that are framing errors.
    pub errors_left_out: u64,
    /// Frames in a raw stream that are longer than whoever reads it expects.
    pub long_frames: u64,
    /// The longest frame of a raw stream, in bytes.
    pub longest: usize,
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

    /// What a capture has that could not be written to its end.
    pub fn kept_summary(&self) -> Option<String> {
        let kept = match self.kept? {
            0 => return None,
            1 => "only the first record".to_owned(),
            n => format!("only the first {n} records"),
        };
        Some(format!("the capture is not whole: it has {kept}"))
    }

    /// What the capture's format could not hold, or not so that it comes back by itself, if it matters.
    pub fn left_out_summary(&self) -> Option<String> {
        let sentences = [self.not_held(), self.too_long()];
        sentences.into_iter().flatten().reduce(|first, second| format!("{first}\n{second}"))
    }

    fn too_long(&self) -> Option<String> {
        let (frames, longest) = (terminal::count(self.long_frames, "frame"), self.longest);
        (self.long_frames > 0).then(|| {
            format!(
                "{frames} of more than {DEFAULT_MAX_FRAME} bytes in the raw stream: read it with \
                 '--max-frame {longest}'"
            )
        })
    }

    fn not_held(&self) -> Option<String> {
        if self.frames_left_out > 0 {
            let frames = terminal::count(self.frames_left_out, "frame");
            return Some(format!(
                "{frames} not in the capture, whose format cannot hold them; use .pcapng"
            ));
        }
        (self.errors_left_out > 0).then(|| {
            let errors = terminal::count(self.errors_left_out, "framing error");
            format!("{errors} not in the capture: classic pcap holds only frames; use .pcapng")
        })
    }

    /// All frames that passed the filter.
    pub fn frames(&self) -> u64 {
        self.to_device + self.from_device + self.unknown
    }

    /// The sentence at the end.
    pub fn summary(&self) -> String {
        let known = format!("{} to the device, {} from it", self.to_device, self.from_device);
        let directions = match self.unknown {
            0 => format!("({known})"),
            n if n == self.frames() => "(direction unknown)".to_owned(),
            n => format!("({known}, {n} unknown)"),
        };
        let mut others = match self.passed_over {
            0 => String::new(),
            n => format!(", {n} passed over by the filter"),
        };
        if self.of_another_time > 0 {
            others += &format!(", {} of another time", self.of_another_time);
        }
        format!(
            "{} {directions}, {}{others}, {}, {} dropped",
            terminal::count(self.frames(), "frame"),
            terminal::bytes(self.bytes),
            terminal::count(self.errors, "framing error"),
            self.dropped
        )
    }
}

/// Why output ends before its source.
pub(super) enum Ending {
    Failed(Error),
    /// Nobody reads it any more.
    Abandoned,
}

impl From<Error> for Ending {
    fn from(error: Error) -> Self {
        Ending::Failed(error)
    }
}

/// Everything that is done with records.
pub(super) struct Outputs {
    plan: Plan,
    capture: Option<Series>,
    printer: Option<Printer>,
    dissector: Dissector,
    replies: Replies,
    flows: Flows,
    /// A note on the record that comes next.
    note: Option<Record>,
    pub(super) totals: Totals,
}

impl Outputs {
    pub(super) fn new(mut plan: Plan) -> Self {
        let capture = plan.capture.take().map(|capture| Series::new(capture, plan.source.clone()));
        let printer = plan.show.map(Printer::new);
        Outputs {
            plan,
            capture,
            printer,
            dissector: Dissector::default(),
            replies: Replies::default(),
            flows: Flows::default(),
            note: None,
            totals: Totals::default(),
        }
    }

    /// Takes one record, and what somebody has remarked on it.
    pub(super) fn take(&mut self, record: &Record, remark: Option<&str>) -> Result<(), Ending> {
        let note = match self.note.take() {
            Some(note) if is_about(&note, record) => Some(said(&note)),
            Some(note) => {
                self.take_one(&note, None)?; // its frame was dropped on the way to us
                None
            }
            None => None,
        };
        if matches!(record.body, Body::Impaired(Impaired { lost: None, .. })) && remark.is_none() {
            self.note = Some(record.clone());
            return Ok(());
        }
        let both = note.map(|note| match remark {
            Some(remark) => format!("{note}\n{remark}"),
            None => note,
        });
        self.take_one(record, both.as_deref().or(remark))
    }

    fn take_one(&mut self, record: &Record, remark: Option<&str>) -> Result<(), Ending> {
        let now = match self.plan.is_live {
            true => self.plan.clock.now(),
            false => record.time.map_or(Timestamp::default(), |span| span.last),
        };
        if let Some(capture) = &mut self.capture {
            capture.turn(now)?;
            if capture.is_complete() {
                return Ok(()); // it came after the last file's time
            }
        }
        let passes = match &record.body {
            Body::Frame(bytes) => {
                let about = (LinkType::ETHERNET, bytes.len());
                self.frame(record, bytes, about, remark)?
            }
            Body::Packet(packet) => {
                let about = (packet.link, packet.length as usize);
                self.frame(record, &packet.bytes, about, remark)?
            }
            _ => self.other(record, remark)?,
        };
        if passes { self.keep(record, remark, now) } else { Ok(()) }
    }

    /// Takes one record in place of `original`, about which the filter speaks.
    pub(super) fn take_instead(
        &mut self,
        original: &Record,
        record: &Record,
    ) -> Result<(), Ending> {
        if !self.is_wanted(original) {
            self.totals.passed_over += u64::from(kind_of(&original.body).is_none());
            return Ok(());
        }
        let filter = self.plan.filter.take();
        let taken = self.take(record, None);
        self.plan.filter = filter;
        taken
    }

    /// Whether the filter takes it.
    fn is_wanted(&mut self, record: &Record) -> bool {
        let Some(filter) = &self.plan.filter else { return true };
        let direction = record.origin.direction;
        let (link, frame, length) = match &record.body {
            Body::Frame(frame) => (LinkType::ETHERNET, frame, frame.len()),
            Body::Packet(packet) => (packet.link, &packet.bytes, packet.length as usize),
            Body::Impaired(Impaired { lost: Some(frame), .. }) => {
                (LinkType::ETHERNET, frame, frame.len())
            }
            body => return kind_of(body).is_none_or(|what| filter.passes_other(what, direction)),
        };
        let seen = Seen { frame, length, direction, link };
        filter.matches(&seen, || self.dissector.dissect_as(link, frame, length))
    }

    /// Adds a record to the capture.
    fn keep(
        &mut self,
        record: &Record,
        remark: Option<&str>,
        now: Timestamp,
    ) -> Result<(), Ending> {
        let Some(capture) = &mut self.capture else { return Ok(()) };
        let is_stdout = capture.is_stdout();
        let before = capture.left_out();
        let done = capture.record(record, remark, now);
        let left_out = capture.left_out() - before;
        if matches!(record.body, Body::Frame(_) | Body::Packet(_)) {
            self.totals.frames_left_out += left_out;
        }
        if matches!(&record.body, Body::FramingError(error) if error.is_new()) {
            self.totals.errors_left_out += left_out;
        }
        if let (Kind::Stream, Body::Frame(frame), 0) = (capture.kind(), &record.body, left_out) {
            self.totals.longest = self.totals.longest.max(frame.len());
            self.totals.long_frames += u64::from(frame.len() > DEFAULT_MAX_FRAME);
        }
        let done = done.and_then(|()| match self.plan.is_unbuffered {
            true => capture.flush(),
            false => Ok(()),
        });
        done.or_else(abandoned_if(is_stdout))
    }

    /// Judges a frame and shows it; whether it passes the filter.
    fn frame(
        &mut self,
        record: &Record,
        bytes: &[u8],
        (link, length): (LinkType, usize),
        remark: Option<&str>,
    ) -> Result<bool, Ending> {
        let direction = record.origin.direction;
        let seen = Seen { frame: bytes, length, direction, link };
        let filter = self.plan.filter.as_ref();
        let Some(printer) = &mut self.printer else {
            // What a filter finds must not depend on which frames it looked into: each is dissected or none.
            let dissector = &mut self.dissector;
            let passes = filter.is_none_or(|filter| match filter.needs_layers() {
                true => {
                    let stack = dissector.dissect_as(link, bytes, length);
                    filter.matches(&seen, || stack)
                }
                false => filter.matches(&seen, || dissector.dissect_as(link, bytes, length)),
            });
            self.count(direction, length, passes);
            return Ok(passes);
        };
        let mut stack = self.dissector.dissect_as(link, bytes, length);
        stack.relation = self.flows.observe(&stack);
        let time = record.time.map(|span| span.last);
        let delay = time.and_then(|time| self.replies.observe(&stack, time));
        let passes = filter.is_none_or(|filter| filter.matches(&seen, || stack));
        if passes {
            printer.frame(record, &stack, Aside { delay, remark })?;
        }
        self.count(direction, length, passes);
        Ok(passes)
    }

    fn count(&mut self, direction: Direction, length: usize, passes: bool) {
        if !passes {
            self.totals.passed_over += 1;
            return;
        }
        self.totals.bytes += length as u64;
        match direction {
            Direction::ToDevice => self.totals.to_device += 1,
            Direction::FromDevice => self.totals.from_device += 1,
            Direction::Unknown => self.totals.unknown += 1,
        }
    }

    /// Judges and shows what is no frame; whether it passes the filter.
    fn other(&mut self, record: &Record, remark: Option<&str>) -> Result<bool, Ending> {
        if let Body::Impaired(impaired @ Impaired { lost: Some(frame), .. }) = &record.body {
            let passes = self.is_wanted(record);
            if let (true, Some(printer)) = (passes, &mut self.printer) {
                let stack = self.dissector.dissect_as(LinkType::ETHERNET, frame, frame.len());
                printer.lost(record, impaired, &stack)?;
            }
            return Ok(passes);
        }
        let Some(what) = kind_of(&record.body) else { return Ok(true) };
        let filter = self.plan.filter.as_ref();
        let passes = filter.is_none_or(|f| f.passes_other(what, record.origin.direction));
        match &record.body {
            Body::FramingError(error) if error.is_new() => self.totals.errors += 1,
            Body::Console(line) => {
                self.totals.console_lines += 1;
                if let Some(finding) = console::judge(line) {
                    *self.totals.findings.entry(finding).or_default() += 1;
                }
            }
            _ => {}
        }
        if let (true, Some(printer)) = (passes, &mut self.printer) {
            printer.other(record, remark)?;
        }
        Ok(passes)
    }

    /// Whether as many frames were seen, or files written, as were wanted.
    pub(super) fn is_complete(&self) -> bool {
        self.plan.count.is_some_and(|count| self.totals.frames() >= count)
            || self.capture.as_ref().is_some_and(Series::is_complete)
    }

    /// The files of the capture, the oldest first.
    pub(super) fn captures(&self) -> Vec<PathBuf> {
        self.capture.iter().flat_map(Series::names).map(Path::to_owned).collect()
    }

    /// Whether somebody sees output as it is written.
    pub(super) fn is_read_along(&self) -> bool {
        self.printer.is_some()
            || self.plan.is_unbuffered
            || self.capture.as_ref().is_some_and(Series::is_stdout)
    }

    /// How long [`Outputs::turn`] can wait.
    pub(super) fn turns_in(&self) -> Option<Duration> {
        let end = self.capture.as_ref().filter(|_| self.plan.is_live)?.ends_at()?;
        Some(end.since(self.plan.clock.now()))
    }

    /// Begins the capture's next file if its time has come.
    pub(super) fn turn(&mut self) -> Result<(), Ending> {
        match &mut self.capture {
            Some(capture) => Ok(capture.turn(self.plan.clock.now())?),
            None => Ok(()),
        }
    }

    /// Writes what has collected.
    pub(super) fn flush(&mut self) -> Result<(), Ending> {
        if let Some(capture) = &mut self.capture {
            let is_stdout = capture.is_stdout();
            capture.flush().or_else(abandoned_if(is_stdout))?;
        }
        self.printer.as_mut().map_or(Ok(()), Printer::flush)
    }

    /// Writes what comes last.
    pub(super) fn finish(&mut self, dropped: u64) -> Result<(), Ending> {
        self.totals.dropped = dropped;
        if let Some(note) = self.note.take() {
            self.take_one(&note, None)?;
        }
        if let Some(capture) = &mut self.capture {
            let is_stdout = capture.is_stdout();
            let done = capture.finish(self.plan.clock.now(), Counts { dropped });
            self.totals.left_out = capture.left_out();
            self.totals.kept = Some(capture.written());
            done.or_else(abandoned_if(is_stdout))?;
        }
        self.printer.as_mut().map_or(Ok(()), Printer::flush)
    }
}

/// Whether `note` speaks of the frame in `record`.
fn is_about(note: &Record, record: &Record) -> bool {
    note.origin == record.origin && matches!(record.body, Body::Frame(_))
}

/// What a note says.
fn said(note: &Record) -> String {
    match &note.body {
        Body::Impaired(impaired) => impaired.to_string(),
        _ => String::new(),
    }
}

/// What it is if it is no frame; frames are judged by their bytes.
fn kind_of(body: &Body) -> Option<Other> {
    match body {
        Body::FramingError(_) => Some(Other::FramingError),
        Body::Gap { .. } => Some(Other::Gap),
        // A note without its frame is news of the line.
        Body::Link(_) | Body::Impaired(_) => Some(Other::Link),
        Body::Console(_) => Some(Other::Console),
        Body::Frame(_) | Body::Packet(_) => None,
    }
}

/// A capture on stdout whose reader has left is no failure.
fn abandoned_if(is_stdout: bool) -> impl FnOnce(Error) -> Result<(), Ending> {
    move |error| {
        let source = std::error::Error::source(&error).and_then(|e| e.downcast_ref::<io::Error>());
        match source.map(io::Error::kind) {
            Some(ErrorKind::BrokenPipe) if is_stdout => Err(Ending::Abandoned),
            _ => Err(Ending::Failed(error)),
        }
    }
}
