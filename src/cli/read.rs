//! Recorded files as a source of records for [`super::outputs`].

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::moment::Moment;
use super::outputs::{Ending, Outputs, Plan};
use super::sink::Report;
use super::terminal;
use crate::analysis::anonymize::Anonymizer;
use crate::capture::read::{Reader, Reading};
use crate::clock::Timestamp;
use crate::error::{Category, Error, Result};
use crate::record::{Body, Record};
use crate::stop::Stop;

/// What to read, and which part of it.
#[derive(Debug)]
pub struct Job {
    /// The file; `-` is stdin.
    pub path: PathBuf,
    /// How.
    pub reading: Reading,
    /// Only what is of this time or later.
    pub from: Option<Moment>,
    /// Only what is earlier than this.
    pub to: Option<Moment>,
    /// Replaces what must not be told to others.
    pub anonymizer: Option<Anonymizer>,
}

/// How reading ended.
#[derive(Debug)]
pub struct Done {
    /// What went through.
    pub report: Report,
    /// Whether something was wrong with the file.
    pub is_damaged: bool,
}

/// So many records between two looks at the clock and at what else there is.
const STRIDE: u64 = 4096;
/// How often progress is shown.
const PROGRESS: Duration = Duration::from_millis(250);

/// Reads a file to its end, or until told to stop.
pub fn run(job: Job, plan: Plan, stop: &Stop) -> Result<Done> {
    if let (Some(Moment::At(from)), Some(Moment::At(to))) = (job.from, job.to)
        && to <= from
    {
        return Err(Error::usage("'--to' is not later than '--from'"));
    }
    let mut reader = match Reader::open(&job.path, &job.reading) {
        Err(_) if stop.is_stopped() => {
            let text = "interrupted before anything was read";
            return Err(Error::new(Category::Interrupted, text));
        }
        reader => reader?,
    };
    terminal::tell(&format!("reading from {}, {}", reader.name(), reader.describe()));
    let is_followed = job.reading.follow;
    let progress = Progress::new(&job.path, plan.show.is_some() || is_followed);
    let mut work = Work {
        window: Window { from: job.from, to: job.to, first: None },
        anonymizer: job.anonymizer,
        outputs: Outputs::new(plan),
        progress,
        is_followed,
        is_damaged: false,
    };
    let result = work.read(&mut reader, stop);
    work.progress.clear();
    if !stop.is_stopped() {
        work.tell_damage(&mut reader); // where we stopped reading is no damage
    }
    if reader.passed_over() > 0 {
        let packets = terminal::count(reader.passed_over(), "packet");
        terminal::tell(&format!("{packets} of other connections passed over"));
    }
    if reader.is_tunnel_without_frames() && !stop.is_stopped() {
        terminal::tell(
            "no frame came out of these connections; '--inner never' shows their packets",
        );
    }
    let finished = work.outputs.finish(0);
    let report = Report::new(work.outputs, result.and(finished));
    Ok(Done { report, is_damaged: work.is_damaged })
}

struct Work {
    window: Window,
    anonymizer: Option<Anonymizer>,
    outputs: Outputs,
    progress: Progress,
    is_followed: bool,
    is_damaged: bool,
}

impl Work {
    fn read(&mut self, reader: &mut Reader, stop: &Stop) -> Result<(), Ending> {
        let mut n = 0u64;
        while let Some(record) = reader.read()? {
            n += 1;
            if n.is_multiple_of(STRIDE) && stop.is_stopped() {
                return Ok(());
            }
            if n.is_multiple_of(STRIDE) || self.is_followed {
                self.tell_damage(reader);
                self.progress.show(n);
            }
            if !self.window.holds(&record) {
                let is_frame = matches!(record.body, Body::Frame(_) | Body::Packet(_));
                self.outputs.totals.of_another_time += u64::from(is_frame);
                continue;
            }
            match &mut self.anonymizer {
                // What people remark may name what must not be told.
                Some(anonymizer) => {
                    self.outputs.take_instead(&record, &anonymizer.record(&record))?;
                }
                None => self.outputs.take(&record, reader.remark())?,
            }
            if self.outputs.is_complete() {
                return Ok(());
            }
            if self.is_followed {
                self.outputs.flush()?;
            }
        }
        Ok(())
    }

    fn tell_damage(&mut self, reader: &mut Reader) {
        for damage in reader.damage() {
            self.is_damaged = true;
            self.progress.clear();
            terminal::tell(&format!("{}: {damage}", reader.name()));
        }
    }
}

/// The part of a recording that is wanted. Records without a time are part of it.
struct Window {
    from: Option<Moment>,
    to: Option<Moment>,
    first: Option<Timestamp>,
}

impl Window {
    fn holds(&mut self, record: &Record) -> bool {
        if self.from.is_none() && self.to.is_none() {
            return true;
        }
        let Some(time) = record.time.map(|span| span.last) else { return true };
        let first = *self.first.get_or_insert(time);
        self.from.is_none_or(|from| time >= from.resolve(first))
            && self.to.is_none_or(|to| time < to.resolve(first))
    }
}

/// How far reading is, on a terminal, when nothing else is shown there.
struct Progress {
    name: Option<String>,
    shown: Instant,
}

impl Progress {
    fn new(path: &Path, is_quiet: bool) -> Self {
        let wanted = !is_quiet && std::io::stderr().is_terminal();
        let name = wanted.then(|| path.display().to_string());
        Progress { name, shown: Instant::now() }
    }

    fn show(&mut self, records: u64) {
        let Some(name) = &self.name else { return };
        if self.shown.elapsed() >= PROGRESS {
            terminal::overwrite(&format!("{name}: {records} records"));
            self.shown = Instant::now();
        }
    }

    fn clear(&mut self) {
        if self.name.is_some() {
            terminal::overwrite("");
        }
    }
}
