//! A capture that goes on in the next file when one is full or its time is over.
//!
//! The rules are tcpdump's: `-C` and `-G` begin a new file by size and by time; `-W` bounds their
//! number: with `-C` the oldest gives way, with `-G` alone the capture is complete after the last. The
//! time is a timer's, not the next frame's, so that an idle line gets its files, too. Names keep their
//! extension: `out.pcapng` goes on as `out-00001.pcapng`; a name with `%` is a pattern for the time at
//! which its file begins (as `strftime` has it), with a number where the name would come again.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{CaptureFile, Counts, Kind, Source, Target};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::record::{Body, LinkType, Packet, Record};

/// When to begin a new file, and how many there may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// After so many bytes.
    pub size: Option<u64>,
    /// After so much time.
    pub period: Option<Duration>,
    /// At most so many files.
    pub files: Option<u32>,
}

impl Rotation {
    /// Whether there is ever a second file.
    pub fn is_any(&self) -> bool {
        self.size.is_some() || self.period.is_some()
    }
}

/// What is to be written, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Where to and in which format.
    pub target: Target,
    /// When to begin a new file.
    pub rotation: Rotation,
    /// Bytes that are kept of each frame.
    pub snap_length: Option<usize>,
    /// A symbolic link that is to lead to the file that is being written, for who reads along.
    pub link: Option<PathBuf>,
}

/// A capture in one file or in several, one after the other.
#[derive(Debug)]
pub struct Series {
    plan: Plan,
    source: Source,
    file: Option<CaptureFile>,
    /// Files that are there, the oldest first.
    names: VecDeque<PathBuf>,
    begun: u32,
    ends_at: Option<Timestamp>,
    written: u64,
    left_out: u64,
    is_complete: bool,
}

impl Series {
    /// A capture of which nothing exists yet: files are opened late.
    pub fn new(plan: Plan, source: Source) -> Self {
        Series {
            plan,
            source,
            file: None,
            names: VecDeque::new(),
            begun: 0,
            ends_at: None,
            written: 0,
            left_out: 0,
            is_complete: false,
        }
    }

    /// Adds a record, at `now`.
    pub fn record(&mut self, record: &Record, remark: Option<&str>, now: Timestamp) -> Result<()> {
        self.turn(now)?;
        let is_frame = matches!(record.body, Body::Frame(_) | Body::Packet(_));
        let is_held = is_frame || self.plan.target.kind != Kind::Pcap;
        let most = self.plan.rotation.size.filter(|_| is_held);
        let is_full = |file: &CaptureFile| most.is_some_and(|most| file.size() >= most);
        if self.file.as_ref().is_some_and(is_full) {
            self.next_file(now)?;
        }
        self.open(now)?;
        let Some(file) = &mut self.file else { return Ok(()) };
        match self.plan.snap_length.and_then(|most| cut(record, most)) {
            Some(shorter) => file.record(&shorter, remark),
            None => file.record(record, remark),
        }
    }

    /// Begins the next file if the time of this one is over.
    pub fn turn(&mut self, now: Timestamp) -> Result<()> {
        while self.ends_at.is_some_and(|end| now >= end) && !self.is_complete {
            let end = self.ends_at.unwrap_or(now);
            self.next_file(end)?;
        }
        Ok(())
    }

    /// The format.
    pub fn kind(&self) -> Kind {
        self.plan.target.kind
    }

    /// When [`Series::turn`] has to be called again.
    pub fn ends_at(&self) -> Option<Timestamp> {
        self.ends_at
    }

    /// Whether as many files as were wanted are full.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Creates the file if there is none yet.
    pub fn open(&mut self, now: Timestamp) -> Result<()> {
        if self.file.is_some() || self.is_complete {
            return Ok(());
        }
        let target = Target { path: self.next_name(now), ..self.plan.target.clone() };
        self.file = Some(target.create(&self.source)?);
        self.begun += 1;
        self.ends_at = self.plan.rotation.period.map(|period| now + period);
        if let Some(path) = target.path {
            if let Some(link) = &self.plan.link {
                lead(link, &path)?;
            }
            self.names.retain(|name| *name != path);
            self.names.push_back(path);
        }
        self.remove_oldest();
        Ok(())
    }

    /// The files that are there, the oldest first.
    pub fn names(&self) -> impl Iterator<Item = &Path> {
        self.names.iter().map(PathBuf::as_path)
    }

    /// With `-C`, the oldest files give way.
    fn remove_oldest(&mut self) {
        let Rotation { size: Some(_), files: Some(most), .. } = self.plan.rotation else { return };
        while self.names.len() > most as usize {
            if let Some(oldest) = self.names.pop_front() {
                let _ = std::fs::remove_file(oldest); // somebody else may have taken it
            }
        }
    }

    fn next_file(&mut self, now: Timestamp) -> Result<()> {
        self.close(now, Counts::default())?;
        let rotation = self.plan.rotation;
        self.is_complete = rotation.size.is_none() && rotation.files == Some(self.begun);
        self.open(now)
    }

    fn next_name(&self, now: Timestamp) -> Option<PathBuf> {
        let path = self.plan.target.path.as_ref()?;
        if !self.plan.rotation.is_any() {
            return Some(path.clone());
        }
        let text = path.to_string_lossy();
        if !text.contains('%') {
            return Some(numbered(path, self.begun));
        }
        let moment = jiff::Timestamp::from_nanosecond(i128::from(now.0)).unwrap_or_default();
        let moment = moment.to_zoned(jiff::tz::TimeZone::system());
        let name = jiff::fmt::strtime::format(&*text, &moment).map(PathBuf::from);
        let name = name.unwrap_or_else(|_| path.clone()); // was checked when it was parsed
        let is_taken = self.names.contains(&name);
        Some(if is_taken { numbered(&name, self.begun) } else { name })
    }

    /// Writes what has collected.
    pub fn flush(&mut self) -> Result<()> {
        self.file.as_mut().map_or(Ok(()), CaptureFile::flush)
    }

    /// Writes the statistics and what is left; a capture of nothing is one, too.
    pub fn finish(&mut self, now: Timestamp, counts: Counts) -> Result<()> {
        self.open(now)?;
        self.close(now, counts)
    }

    fn close(&mut self, now: Timestamp, counts: Counts) -> Result<()> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        let done = file.finish(now, counts);
        self.written += file.written();
        self.left_out += file.left_out();
        done
    }

    /// How many records the format could not hold.
    pub fn left_out(&self) -> u64 {
        self.left_out + self.file.as_ref().map_or(0, CaptureFile::left_out)
    }

    /// How many records were written.
    pub fn written(&self) -> u64 {
        self.written + self.file.as_ref().map_or(0, CaptureFile::written)
    }

    /// Whether it goes to stdout.
    pub fn is_stdout(&self) -> bool {
        self.plan.target.path.is_none()
    }
}

/// Has `link` lead to `path`; there is no moment in which it leads nowhere.
fn lead(link: &Path, path: &Path) -> Result<()> {
    let cannot = |error| {
        Error::environment(format!("cannot make the link {}", link.display())).caused_by(error)
    };
    let mut next = link.as_os_str().to_owned();
    next.push(".next");
    let next = PathBuf::from(next);
    let target = std::path::absolute(path).map_err(cannot)?;
    let _ = std::fs::remove_file(&next); // of an attempt that failed
    std::os::unix::fs::symlink(target, &next).map_err(cannot)?;
    std::fs::rename(&next, link).map_err(cannot)
}

/// `out.pcapng` as `out-00001.pcapng`.
fn numbered(path: &Path, number: u32) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}-{number:05}.{extension}"))
}

/// The record with only `most` bytes of its frame, if it has more.
fn cut(record: &Record, most: usize) -> Option<Record> {
    let packet = match &record.body {
        Body::Frame(frame) => {
            Packet { link: LinkType::ETHERNET, bytes: frame.clone(), length: frame.len() as u32 }
        }
        Body::Packet(packet) => packet.clone(),
        _ => return None,
    };
    (packet.bytes.len() > most).then(|| {
        let body = Body::Packet(Packet { bytes: packet.bytes.slice(..most), ..packet });
        Record { body, ..record.clone() }
    })
}
