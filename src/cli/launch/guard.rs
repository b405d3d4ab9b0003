//! The guard: a process between us and the program that sees to it that the program does not outlive us.
//!
//! Its stdin is a socket (or a pipe) whose other end we hold. The system closes that end when we are
//! gone in whatever way, SIGKILL included; then, or when it gets SIGTERM, the guard ends the program and
//! all that came from it, removes the folder of sockets, and exits as the program did. There is no race
//! with a parent that ends early: its end is closed then. When the guard itself is killed, the program is
//! by its parent-death signal (`starter`), and the rest by the process above (`keeper`).
//!
//! The guard of firmware has a session of its own, so that the terminal's Ctrl-C reaches us alone and we
//! decide; that of a user's command stays in ours, since the command may want the terminal.
//!
//! Firmware that goes into the background has not ended: where the process that was started exits with
//! 0 and others are left, the last of them is waited for. Any other end of it is the end of them all, and
//! so is every end of a user's command.

use std::ffi::OsString;
use std::io::{BufRead, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::process::{Pid, Signal as Number};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::family::{self, Family};
use super::report::{Order, Report, Status};
use super::{descriptors, places};
use crate::cli::signals::{SIGHUP, is_ignored};
use crate::cli::{Verdict, block_on};
use crate::error::{Error, Result};

/// What a shell exits with when there is no such program, and when there is and it cannot be run.
pub const NOT_FOUND: u8 = 127;
/// See [`NOT_FOUND`].
pub const NOT_EXECUTABLE: u8 = 126;

/// What kind of program is guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It has nothing on stdin, and may go into the background.
    Firmware,
    /// A user's command: its stdin comes over the socket, and it joins the process group, if one is given.
    Command(Option<Pid>),
}

/// Runs `program` and guards it; `folder`, one of sockets that [`super::Launch`] made, is removed at the end.
///
/// The verdict is the program's exit status, or 128 and the number of the signal that ended it. It is
/// an error of the environment when the program cannot be started.
pub fn run(program: &[OsString], folder: Option<&Path>, role: Role) -> Result<Verdict> {
    let status = block_on(guard(program, role));
    if let Some(folder) = folder {
        places::remove(folder);
    }
    match (status, role) {
        (Ok(Ok(status)), _) => Ok(Verdict::Program(status.exit_code())),
        (Ok(Err((code, error))), role) => {
            report(&Report::Failed(code, error.chain()));
            match role {
                Role::Firmware => Err(error),
                Role::Command(_) => Ok(Verdict::Program(code)), // who started us tells it
            }
        }
        (Err(error), _) => {
            report(&Report::Failed(NOT_EXECUTABLE, error.chain()));
            Err(error)
        }
    }
}

/// How the program ended; or the exit code and the error of one that cannot be started.
type Guarded = Result<Status, (u8, Error)>;

async fn guard(program: &[OsString], role: Role) -> Result<Guarded> {
    let (stdin, group) = match role {
        Role::Firmware => {
            let _ = rustix::process::setsid(); // a shell with job control has made us leader of a group already
            (None, None)
        }
        Role::Command(group) => (Some(receive_stdin()?), group),
    };
    family::adopt();
    let cannot = |error| Error::environment("cannot listen for signals").caused_by(error);
    let mut child = signal(SignalKind::child()).map_err(cannot)?;
    let mut requests = Requests::listen().map_err(cannot)?;
    let mut orders = watch_stdin();
    let mut family = match Family::start(program, stdin, group) {
        Ok(family) => family,
        Err(error) => return Ok(Err(not_started(program, error))),
    };
    report(&Report::Started(family.leader.as_raw_nonzero().get()));
    loop {
        family.reap();
        let is_over = family.status.is_some_and(|s| s != Status::Exit(0) || role != Role::Firmware);
        if !family.is_alive || is_over {
            break;
        }
        tokio::select! {
            order = orders.recv() => match order {
                None => break, // nobody holds the other end any more
                Some(Order(number)) => match Number::from_named_raw(number) {
                    Some(Number::KILL) => {
                        family.signal(Number::KILL);
                        break;
                    }
                    // A message, which means something to the program and nothing to its children.
                    Some(number @ (Number::USR1 | Number::USR2)) => family.signal_leader(number),
                    Some(number) => family.signal(number),
                    None => {}
                }
            },
            () = requests.end() => break,
            _ = child.recv() => {}
        }
    }
    let left = family.end(&mut child, told_to_kill(&mut orders)).await;
    if !left.is_empty() {
        report(&Report::Left(left.iter().map(|pid| pid.as_raw_nonzero().get()).collect()));
    }
    let status = family.status.unwrap_or(Status::Signal(9)); // of another user, and left running
    report(&Report::Ended(status));
    Ok(Ok(status))
}

fn not_started(program: &[OsString], error: std::io::Error) -> (u8, Error) {
    let name = program.first().map(|name| name.to_string_lossy()).unwrap_or_default();
    let code = if error.kind() == ErrorKind::NotFound { NOT_FOUND } else { NOT_EXECUTABLE };
    (code, Error::environment(format!("cannot start '{name}'")).caused_by(error))
}

/// Completes when it is told to kill, and never when it is not.
async fn told_to_kill(orders: &mut mpsc::UnboundedReceiver<Order>) {
    while let Some(order) = orders.recv().await {
        if order == Order(Number::KILL.as_raw()) {
            return;
        }
    }
    std::future::pending().await
}

/// The signals that ask for the end.
pub(super) struct Requests {
    term: Signal,
    int: Signal,
    hup: Option<Signal>,
}

impl Requests {
    pub(super) fn listen() -> std::io::Result<Requests> {
        let hup = match is_ignored(SIGHUP) {
            true => None, // and remains so in the program
            false => Some(signal(SignalKind::hangup())?),
        };
        let (term, int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Requests { term, int, hup })
    }

    /// Completes when one of them comes.
    pub(super) async fn end(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
            Some(_) = async { self.hup.as_mut()?.recv().await } => {}
        }
    }
}

/// The program's stdin, which is the first thing that is sent to us.
fn receive_stdin() -> Result<OwnedFd> {
    descriptors::receive(std::io::stdin().as_fd())
        .map_err(|error| Error::environment("the command's stdin did not come").caused_by(error))
}

/// What is told us over stdin; closed when nobody holds the other end any more.
fn watch_stdin() -> mpsc::UnboundedReceiver<Order> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let mut line = Vec::new();
        let mut stdin = std::io::stdin().lock();
        while stdin.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let text = std::str::from_utf8(&line).unwrap_or_default();
            if let Some(order) = Order::parse(text.trim_end()) {
                let _ = sender.send(order); // the guard may have ended meanwhile
            }
            line.clear();
        }
    });
    receiver
}

/// Tells who started us, if stdin is a socket.
fn report(report: &Report) {
    use rustix::net::{SendFlags, send};
    let line = format!("{report}\n");
    let _ = send(std::io::stdin(), line.as_bytes(), SendFlags::empty()); // perhaps nobody is there
}
