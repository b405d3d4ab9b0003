//! The keeper: the process above the guard that sees to it that nothing outlives a guard that is killed.
//!
//! ```text
//! us ──> keeper ──> guard ──> program ──> ...
//! ```
//!
//! The keeper passes on what asks for the end, and waits. It is a child sub-reaper as the guard is, so that whatever a killed
//! guard leaves becomes its child, and is ended; a guard that ends in order leaves nothing. Our end of the
//! guard's stdin is read by the guard alone, so that a keeper that is killed is missed by nobody. Where
//! both are killed, what is left comes to us, if we live, and the program itself gets the parent-death
//! signal in any case (`starter`). Only who kills all three at once can leave processes behind, those that
//! the program has started.

use std::ffi::OsString;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};
use tokio::signal::unix::{SignalKind, signal};

use super::family::{self, GRACE, LAST};
use super::guard::{Requests, Role};
use super::{own_program, places};
use crate::cli::{Verdict, block_on};
use crate::error::{Error, Result};

/// How often what is left is looked at.
const AGAIN: Duration = Duration::from_millis(20);

/// Starts the guard with the arguments `args` and our stdin, stdout and stderr, waits for its end, and ends
/// what it has left, if it was killed; `folder` is removed then, too.
pub fn run(args: &[OsString], folder: Option<&Path>, role: Role) -> Result<Verdict> {
    if role == Role::Firmware {
        let _ = rustix::process::setsid(); // see the guard
    }
    family::adopt();
    let status = block_on(keep(args))?;
    if let Some(code) = status.code() {
        return Ok(Verdict::Program(code as u8));
    }
    end_all(family::children);
    if let Some(folder) = folder {
        places::remove(folder);
    }
    Ok(Verdict::Program(128_u8.saturating_add(status.signal().unwrap_or_default() as u8)))
}

/// Starts the guard, passes requests for the end on to it, and waits for it.
async fn keep(args: &[OsString]) -> Result<ExitStatus> {
    let cannot = |error| Error::environment("cannot start the guard").caused_by(error);
    let mut ended = signal(SignalKind::child()).map_err(cannot)?;
    let mut requests = Requests::listen().map_err(cannot)?;
    let mut command = Command::new(own_program()?);
    command.arg0("uarttool").arg("launch-guard").args(args);
    let mut guard = command.spawn().map_err(cannot)?;
    loop {
        if let Some(status) = guard.try_wait().map_err(cannot)? {
            return Ok(status);
        }
        tokio::select! {
            _ = ended.recv() => {}
            () = requests.end() => {
                if let Some(pid) = Pid::from_raw(guard.id() as i32) {
                    let _ = kill_process(pid, Signal::TERM); // it may have ended
                }
            }
        }
    }
}

/// Ends all that `left` names, again and again, since what they have started comes to us with their end:
/// SIGTERM, and SIGKILL after [`GRACE`].
fn end_all(left: impl Fn() -> Vec<Pid>) {
    let began = Instant::now();
    let mut told = Vec::new();
    loop {
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
        let left = left();
        if left.is_empty() || began.elapsed() > GRACE + LAST {
            return;
        }
        for pid in left {
            if began.elapsed() >= GRACE {
                let _ = kill_process(pid, Signal::KILL); // it may be gone, or another user's
            } else if !told.contains(&pid) {
                let _ = kill_process(pid, Signal::TERM);
                told.push(pid);
            }
        }
        sleep(AGAIN);
    }
}
