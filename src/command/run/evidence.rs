//! What is kept about a run when it fails: the capture, and what console and firmware have said.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::args::{Keep, RunArgs};
use crate::bus::Inbox;
use crate::capture::series::{Plan, Rotation};
use crate::capture::{Kind, Target};
use crate::cli::console_log::ConsoleLog;
use crate::cli::launch::{self, RUN_PREFIX};
use crate::cli::terminal;
use crate::conformance::artifacts;
use crate::error::Result;
use crate::record::{Body, Direction, LinkChange};

/// Where things are written, and what becomes of them.
pub struct Evidence {
    /// A folder of ours alone.
    pub private: PathBuf,
    /// Where the files are: there, or where the user wants them.
    folder: PathBuf,
    keep: Keep,
    /// The capture.
    pub plan: Plan,
    /// Its path, absolute.
    pub pcap: PathBuf,
    /// Whether the user named it: then it is none of our business.
    is_named: bool,
}

impl Evidence {
    /// Makes the folders.
    pub fn prepare(args: &RunArgs) -> Result<Evidence> {
        let named = args.recording.plan()?;
        let private = launch::private_folder(RUN_PREFIX)?;
        let private = fs::canonicalize(&private).unwrap_or(private);
        let folder = match &args.artifacts {
            Some(folder) => {
                if let Err(error) = artifacts::make_folder(folder) {
                    launch::remove(&private);
                    return Err(error);
                }
                std::path::absolute(folder).unwrap_or_else(|_| folder.clone())
            }
            None => private.clone(),
        };
        let is_named = named.is_some();
        let plan = named.unwrap_or_else(|| Plan {
            target: Target { path: Some(folder.join("capture.pcapng")), kind: Kind::Pcapng },
            rotation: Rotation::default(),
            snap_length: None,
        });
        let path = plan.target.path.clone().unwrap_or_default();
        let pcap = std::path::absolute(&path).unwrap_or(path);
        let evidence = Evidence { private, folder, keep: args.keep, plan, pcap, is_named };
        evidence.own_files().iter().for_each(|path| remove_file(path)); // of a run before
        Ok(evidence)
    }

    /// Where the console's lines go.
    pub fn console_log(&self) -> PathBuf {
        self.folder.join("console.log")
    }

    /// Where all goes that the firmware's program says.
    pub fn launch_log(&self) -> PathBuf {
        self.folder.join("launch.log")
    }

    fn own_files(&self) -> Vec<PathBuf> {
        let logs = [self.console_log(), self.launch_log()];
        (!self.is_named).then(|| self.pcap.clone()).into_iter().chain(logs).collect()
    }

    /// Keeps what is there, and says where; or removes it.
    pub fn conclude(self, has_failed: bool) {
        let is_kept = match self.keep {
            Keep::Always => true,
            Keep::Failure => has_failed,
            Keep::Never => false,
        };
        let has_bytes = |path: &PathBuf| fs::metadata(path).is_ok_and(|m| m.len() > 0);
        let mut kept = Vec::new();
        for path in self.own_files() {
            match is_kept && has_bytes(&path) {
                true => kept.push(path),
                false => remove_file(&path),
            }
        }
        if self.is_named && has_failed && self.pcap.exists() {
            kept.insert(0, self.pcap.clone());
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

fn remove_file(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            terminal::tell(&format!("warning: cannot remove {}: {error}", path.display()));
        }
        _ => {}
    }
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
                    Body::Frame(_) | Body::Packet(_) | Body::Gap { .. } | Body::Link(_) => {}
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
