//! Files of what was seen: writing those that other tools open, and reading ([`read`]) ours and theirs.
//!
//! A format turns records into bytes, whole blocks at a time; [`CaptureFile`] puts them into a
//! file or a pipe. A block is never split over two writes, so that a process that is killed leaves
//! a file that opens up to the last flush.

mod hex;
mod journal;
mod own;
mod pcap;
mod pcapng;
pub mod read;
pub mod series;
mod stream;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::clock::Timestamp;
use crate::error::{Category, Error, Result};
use crate::framing::Framing;
use crate::record::Record;

/// How many bytes collect before they are written without being asked.
const SPOOL: usize = 64 * 1024;

/// What a capture says about the line it was taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The endpoint; becomes the name of the interface.
    pub name: String,
    /// How it was tapped; becomes the description of the interface.
    pub description: String,
    /// How frames are put on the line.
    pub framing: &'static Framing,
    /// The endpoint of the device's console, if it is listened to; becomes an interface of its own.
    pub console: Option<String>,
}

/// What a tap counted, for the statistics at the end of a capture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records that it had to drop because we were too slow.
    pub dropped: u64,
}

/// Turns records into the bytes of a capture.
trait Format: Send {
    /// Appends `record`, with a remark where the format holds remarks. Returns whether the format can
    /// hold the record.
    fn record(
        &mut self,
        record: &Record,
        remark: Option<&str>,
        out: &mut Vec<u8>,
    ) -> io::Result<bool>;
    /// Appends what comes last.
    fn finish(&mut self, now: Timestamp, counts: Counts, out: &mut Vec<u8>) -> io::Result<()>;
}

/// The formats, by the extension that selects them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Classic pcap with nanoseconds: frames of one link type only, that of the first.
    Pcap,
    /// pcapng: directions, framing errors, link changes, statistics.
    Pcapng,
    /// The bytes of the line.
    Stream,
    /// Hex text.
    Hex,
}

/// Where a capture goes and in which format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The file; `None` is stdout.
    pub path: Option<PathBuf>,
    /// The format.
    pub kind: Kind,
}

impl Target {
    /// `-` is stdout, as pcapng; otherwise the name's extension says what it is: `.pcap`, `.pcapng`, `.raw`
    /// (the bytes of the line) or `.txt` (hex text).
    pub fn parse(text: &str) -> Result<Target, String> {
        if text == "-" {
            return Ok(Target { path: None, kind: Kind::Pcapng });
        }
        let path = PathBuf::from(text);
        let kind = match path.extension().and_then(|extension| extension.to_str()) {
            Some("pcap") => Kind::Pcap,
            Some("pcapng") => Kind::Pcapng,
            Some("raw") => Kind::Stream,
            Some("txt") => Kind::Hex,
            _ => {
                return Err(format!(
                    "'{text}' is no name of a capture: it must end with .pcapng, .pcap, .raw (the bytes of \
                     the line) or .txt (hex), or be '-' for stdout"
                ));
            }
        };
        Ok(Target { path: Some(path), kind })
    }

    /// How messages name it.
    pub fn display(&self) -> String {
        self.path.as_deref().map_or("stdout".to_owned(), |path| path.display().to_string())
    }

    /// Whether it can be created, as far as that can be told without touching it: what is there is
    /// replaced only when there is something to write.
    pub fn check(&self) -> Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        match folder {
            Some(folder) if !folder.is_dir() => {
                Err(Error::environment(format!("cannot create {}: no such folder", path.display()))
                    .with_help(format!("make it first: mkdir -p {}", folder.display())))
            }
            _ => Ok(()),
        }
    }

    /// Opens it, and writes what comes first. An existing file is replaced.
    pub fn create(&self, source: &Source) -> Result<CaptureFile> {
        if matches!(self.kind, Kind::Stream) && source.framing.is_open() {
            let text = format!("'{}' is to have the bytes of the line", self.display());
            return Err(Error::usage(text + ", and 'framing=slip' leaves open how they are")
                .with_help("say which it is: slip-eth or slip-ip"));
        }
        let sink = match &self.path {
            None => stdout()?,
            Some(path) => open(path)?,
        };
        let mut spool = Vec::with_capacity(2 * SPOOL);
        let format: Box<dyn Format> = match self.kind {
            Kind::Pcap => Box::new(pcap::Pcap::default()),
            Kind::Pcapng => Box::new(pcapng::Pcapng::new(source, &mut spool)),
            Kind::Stream => Box::new(stream::Stream { framing: source.framing }),
            Kind::Hex => Box::new(hex::Hex::new()),
        };
        let mut file = CaptureFile {
            name: self.display(),
            format,
            sink,
            spool,
            good: 0,
            is_broken: false,
            written: 0,
            spooled: 0,
            left_out: 0,
        };
        file.flush()?; // whoever reads along sees at once that there is a capture
        Ok(file)
    }
}

/// stdout without the buffer of the standard library, which would cut blocks at line ends.
fn stdout() -> Result<File> {
    let copy = rustix::io::dup(rustix::stdio::stdout());
    copy.map(File::from).map_err(|error| {
        Error::environment("cannot write to stdout").caused_by(io::Error::from(error))
    })
}

fn open(path: &Path) -> Result<File> {
    File::create(path).map_err(|error| {
        let denied = error.kind() == io::ErrorKind::PermissionDenied;
        let wrapped =
            Error::environment(format!("cannot create {}", path.display())).caused_by(error);
        match denied {
            true => wrapped.with_help("choose another file with '-w', or another folder"),
            false => wrapped,
        }
    })
}

/// A capture that is being written.
pub struct CaptureFile {
    name: String,
    format: Box<dyn Format>,
    sink: File,
    spool: Vec<u8>,
    /// Bytes in the file, all of them whole blocks.
    good: u64,
    /// A write has failed; nothing more is written.
    is_broken: bool,
    /// Records that have reached the file.
    written: u64,
    /// Those that have not.
    spooled: u64,
    left_out: u64,
}

impl std::fmt::Debug for CaptureFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CaptureFile").field("name", &self.name).finish_non_exhaustive()
    }
}

impl CaptureFile {
    /// Adds a record, with a remark where the format holds remarks. It reaches the file with the next
    /// [`CaptureFile::flush`] at the latest.
    pub fn record(&mut self, record: &Record, remark: Option<&str>) -> Result<()> {
        if self.is_broken {
            return Ok(());
        }
        let held = self.format.record(record, remark, &mut self.spool);
        match held.map_err(|error| cannot_write(&self.name, error))? {
            true => self.spooled += 1,
            false => self.left_out += 1,
        }
        if self.spool.len() >= SPOOL { self.flush() } else { Ok(()) }
    }

    /// Writes what has collected. When that fails, what was written of it is taken back, so that
    /// the file still opens, and nothing more is written.
    pub fn flush(&mut self) -> Result<()> {
        if self.spool.is_empty() || self.is_broken {
            return Ok(());
        }
        let done = self.sink.write_all(&self.spool);
        match &done {
            Ok(()) => {
                self.good += self.spool.len() as u64;
                self.written += self.spooled;
            }
            Err(_) => {
                self.is_broken = true;
                let _ = self.sink.set_len(self.good); // a pipe has no length to be set
            }
        }
        self.spooled = 0;
        self.spool.clear();
        done.map_err(|error| cannot_write(&self.name, error))
    }

    /// Writes the statistics and what is left.
    pub fn finish(&mut self, now: Timestamp, counts: Counts) -> Result<()> {
        let done = self.format.finish(now, counts, &mut self.spool);
        done.map_err(|error| cannot_write(&self.name, error))?;
        self.flush()
    }

    /// How many bytes it has, those included that have not reached the file.
    pub fn size(&self) -> u64 {
        self.good + self.spool.len() as u64
    }

    /// How many records are in the capture, those included that have not reached the file.
    pub fn written(&self) -> u64 {
        self.written + self.spooled
    }

    /// How many records the format could not hold.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// How messages name it.
    pub fn name(&self) -> &str {
        &self.name
    }
}

fn cannot_write(name: &str, error: io::Error) -> Error {
    let category = match error.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => Category::Internal,
        _ => Category::Environment,
    };
    Error::new(category, format!("cannot write to {name}")).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_selects_the_format() {
        let kind = |text| Target::parse(text).map(|target| target.kind);
        assert_eq!(kind("a/b.pcap"), Ok(Kind::Pcap));
        assert_eq!(kind("b.pcapng"), Ok(Kind::Pcapng));
        assert_eq!(kind("b.raw"), Ok(Kind::Stream));
        assert_eq!(kind("b.txt"), Ok(Kind::Hex));
        assert_eq!(kind("-"), Ok(Kind::Pcapng));
        assert!(kind("5").is_err_and(|error| error.starts_with("'5' is no name of a capture")));
    }
}
