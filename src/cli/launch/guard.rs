//! The guard: a process between us and the program that sees to it that the program does not outlive us.
//!
//! Its stdin is a socket (or a pipe) whose other end we hold. The system closes that end when we are
//! gone in whatever way, SIGKILL included; then, or when it gets SIGTERM, the guard ends the program and
//! all that came from it, removes the folder of sockets, and exits as the program did. There is no race
//! with a parent that ends early: its end is closed then. (The parent-death signal of Linux would add
//! nothing but trouble: it is sent when the *thread* that started the guard ends.)
//!
//! The guard has a session of its own, so that the terminal's Ctrl-C reaches us alone and we decide.
//!
//! A program that goes into the background has not ended: where the process that was started exits with
//! 0 and others are left, the last of them is waited for. Any other end of it is the end of them all.

use std::ffi::OsString;
use std::io::Read;
use std::path::Path;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::family::{self, Family};
use super::places;
use super::report::{Report, Status};
use crate::cli::{Verdict, block_on};
use crate::error::{Error, Result};

/// Runs `program` and guards it; `folder`, one of sockets that [`super::Launch`] made, is removed at the end.
///
/// The verdict is the program's exit status, or 128 and the number of the signal that ended it. It is
/// an error of the environment when the program cannot be started.
pub fn run(program: &[OsString], folder: Option<&Path>) -> Result<Verdict> {
    let status = block_on(guard(program));
    if let Some(folder) = folder {
        places::remove(folder);
    }
    if let Err(error) = &status {
        report(&Report::Failed(error.chain()));
    }
    Ok(Verdict::Program(status?.exit_code()))
}

async fn guard(program: &[OsString]) -> Result<Status> {
    let _ = rustix::process::setsid(); // a shell with job control has made us leader of a group already
    family::adopt();
    let cannot = |error| Error::environment("cannot listen for signals").caused_by(error);
    let mut child = signal(SignalKind::child()).map_err(cannot)?;
    let mut requests = Requests::listen().map_err(cannot)?;
    let mut abandoned = watch_stdin();
    let mut family = Family::start(program).map_err(|error| {
        let name = program.first().map(|name| name.to_string_lossy()).unwrap_or_default();
        Error::environment(format!("cannot start '{name}'")).caused_by(error)
    })?;
    report(&Report::Started(family.leader.as_raw_nonzero().get()));
    loop {
        family.reap();
        let has_failed = family.status.is_some_and(|status| status != Status::Exit(0));
        if !family.is_alive || has_failed {
            break;
        }
        tokio::select! {
            _ = &mut abandoned => break,
            () = requests.end() => break,
            _ = child.recv() => {}
        }
    }
    let left = family.end(&mut child).await;
    if !left.is_empty() {
        report(&Report::Left(left.iter().map(|pid| pid.as_raw_nonzero().get()).collect()));
    }
    let status = family.status.unwrap_or(Status::Signal(9)); // of another user, and left running
    report(&Report::Ended(status));
    Ok(status)
}

/// The signals that ask for the end.
struct Requests {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Requests {
    fn listen() -> std::io::Result<Requests> {
        Ok(Requests {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
        })
    }

    /// Completes when one of them comes.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
            _ = self.hup.recv() => {}
        }
    }
}

/// Completes when nobody holds the other end of our stdin any more.
fn watch_stdin() -> oneshot::Receiver<()> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin();
        while stdin.read(&mut [0; 64]).is_ok_and(|n| n > 0) {} // nothing is said, only the end
        let _ = sender.send(()); // the guard may have ended meanwhile
    });
    receiver
}

/// Tells who started us, if stdin is a socket.
fn report(report: &Report) {
    use rustix::net::{SendFlags, send};
    let line = format!("{report}\n");
    let _ = send(std::io::stdin(), line.as_bytes(), SendFlags::empty()); // perhaps nobody is there
}
