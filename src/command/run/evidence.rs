//! What is kept about a run when it fails: the capture, and what console and firmware have said.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::args::{Keep, RunArgs};
use super::files::{self, OwnFile};
use crate::bus::Inbox;
use crate::capture::series::{Plan, Rotation};
use crate::capture::{Kind, Target};
use crate::cli::console_log::ConsoleLog;
use crate::cli::launch::{self, RUN_PREFIX};
use crate::cli::terminal;
use crate::conformance::artifacts;
use crate::error::{Category, Error, Result};
use crate::record::{Body, Direction, LinkChange};

/// Where things are written, and what becomes of them.
pub struct Evidence {
    /// A folder of ours alone.
    pub private: PathBuf,
    keep: Keep,
    /// The capture.
    pub plan: Plan,
    /// What leads to the file that is being written, absolute.
    pub pcap: PathBuf,
    /// The capture, unless the user named it: then it is none of our business.
    capture: Option<OwnFile>,
    console: OwnFile,
    launch: OwnFile,
}

impl Evidence {
    /// Makes the folders and the files.
    pub fn prepare(args: &RunArgs) -> Result<Evidence> {
        let named = args.recording.plan()?;
        let private = launch::private_folder(RUN_PREFIX)?;
        let private = fs::canonicalize(&private).unwrap_or(private);
        Evidence::within(&private, named, args).inspect_err(|_| launch::remove(&private))
    }

    fn within(private: &Path, named: Option<Plan>, args: &RunArgs) -> Result<Evidence> {
        let folder = match &args.artifacts {
            Some(folder) => {
                artifacts::make_folder(folder)?;
                std::path::absolute(folder).unwrap_or_else(|_| folder.clone())
            }
            None => private.to_owned(),
        };
        let logs = [("console", "log"), ("launch", "log"), ("capture", "pcapng")];
        let n = if named.is_some() { 2 } else { 3 };
        let mut made = files::make(&folder, &logs[..n])?.into_iter();
        let (Some(console), Some(launch)) = (made.next(), made.next()) else {
            return Err(Error::new(Category::Internal, "there are no files for the evidence"));
        };
        let capture = made.next();
        let plan = named.unwrap_or_else(|| Plan {
            target: Target { path: capture.as_ref().map(|f| f.path.clone()), kind: Kind::Pcapng },
            rotation: Rotation::default(),
            snap_length: None,
            link: None,
        });
        let (plan, pcap) = with_link(plan, private);
        let (private, keep) = (private.to_owned(), args.keep);
        Ok(Evidence { private, keep, plan, pcap, capture, console, launch })
    }

    /// Where the console's lines go.
    pub fn console_log(&self) -> &Path {
        &self.console.path
    }

    /// Where all goes that the firmware's program says.
    pub fn launch_log(&self) -> &Path {
        &self.launch.path
    }

    /// Keeps what is there, and says where; or removes it. `captures` are the files of the capture.
    pub fn conclude(self, has_failed: bool, captures: &[PathBuf]) {
        let is_kept = match self.keep {
            Keep::Always => true,
            Keep::Failure => has_failed,
            Keep::Never => false,
        };
        let mut kept: Vec<PathBuf> = Vec::new();
        if self.capture.is_none() && has_failed {
            kept.extend(captures.iter().map(|path| std::path::absolute(path).unwrap_or_default()));
        }
        for file in self.capture.iter().chain([&self.console, &self.launch]) {
            match is_kept && file.has_bytes() {
                true => kept.push(file.path.clone()),
                false => file.remove(),
            }
        }
        for (n, path) in kept.iter().enumerate() {
            let title = if n == 0 { "kept" } else { "" };
            terminal::tell(&format!("{title:<8} {}", path.display()));
        }
        if !kept.iter().any(|path| path.starts_with(&self.private)) {
            launch::remove(&self.private);
        }
    }
}

/// A capture of several files gets a link to the one that is being written; what leads there is returned.
fn with_link(plan: Plan, private: &Path) -> (Plan, PathBuf) {
    let path = plan.target.path.clone().unwrap_or_default();
    if !plan.rotation.is_any() {
        let path = std::path::absolute(&path).unwrap_or(path);
        return (plan, path);
    }
    let extension = path.extension().unwrap_or_default();
    let link = private.join("capture").with_extension(extension);
    (Plan { link: Some(link.clone()), ..plan }, link)
}

/// What was seen on the line and on the console so far.
#[derive(Debug, Default)]
pub struct Seen {
    /// Whether the line was there.
    pub was_up: bool,
    /// Frames from the device.
    pub frames: u64,
    /// Framing errors.
    pub errors: u64,
    /// The console.
    pub console: ConsoleLog,
}

/// A [`Seen`] that is kept up to date.
#[derive(Clone, Debug)]
pub struct Witness(Arc<Mutex<Seen>>);

impl Witness {
    /// Sees what comes out of `inbox`, inside a tokio runtime; the console's lines are kept at `log`.
    pub fn start(mut inbox: Inbox, log: PathBuf) -> Witness {
        let seen = Seen { console: ConsoleLog::new(Some(log)), ..Seen::default() };
        let witness = Witness(Arc::new(Mutex::new(seen)));
        let own = witness.clone();
        tokio::spawn(async move {
            while let Some(record) = inbox.next().await {
                let mut seen = own.seen();
                match &record.body {
                    Body::Frame(_) if record.origin.direction == Direction::FromDevice => {
                        seen.frames += 1;
                    }
                    Body::FramingError(_) => seen.errors += 1,
                    Body::Link(LinkChange::Connected(_)) => seen.was_up = true,
                    Body::Console(_) => seen.console.take(&record),
                    Body::Frame(_)
                    | Body::Packet(_)
                    | Body::Gap { .. }
                    | Body::Link(_)
                    | Body::Impaired(_) => {}
                }
            }
        });
        witness
    }

    /// What was seen until now.
    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
