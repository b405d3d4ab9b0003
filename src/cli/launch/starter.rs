//! The last step before the program: a process of ours that asks for the parent-death signal, which only a
//! process can do for itself, and becomes the program.
//!
//! So the program is killed by the system together with its guard, even where nobody else is left. The
//! signal is sent when the thread ends that started the process; the guard starts it on its first one. It
//! is not passed on to what the program starts, and is lost where that is a program with rights of its own
//! (set-user-ID).
//!
//! Our stdin is a socket: first the program's own stdin comes through it, then our silence, which is its
//! end, says that the program runs, and a number which error there was.

use std::ffi::OsString;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use super::descriptors::{receive, send};
use super::own_program;
use crate::cli::Verdict;
use crate::error::{Error, Result};

/// The error of a program that is a script without a `#!` line.
const NO_FORMAT: i32 = 8;

/// Starts `program` in the process group `group`, 0 for one of its own, with `stdin`; it ends with this
/// process, which has to start it on its first thread.
///
/// It fails as starting a process does.
pub fn start(program: &[OsString], stdin: OwnedFd, group: i32) -> io::Result<Child> {
    let own = own_program().map_err(|error| io::Error::other(error.chain()))?;
    let (mut ours, theirs) = UnixStream::pair()?;
    let mut command = Command::new(own);
    command.arg0("uarttool").args(["launch-guard", "--start-for"]);
    command.arg(std::process::id().to_string()).arg("--").args(program);
    let mut child = command.stdin(OwnedFd::from(theirs)).process_group(group).spawn()?;
    drop(command); // it holds the other end
    let mut answer = Vec::new();
    let answered = send(&ours, stdin.as_fd()).and_then(|()| ours.read_to_end(&mut answer));
    match (answered, <[u8; 4]>::try_from(answer)) {
        (Ok(0), _) => Ok(child),
        (_, Ok(code)) => {
            let _ = child.wait(); // it has ended
            Err(io::Error::from_raw_os_error(i32::from_be_bytes(code)))
        }
        (answered, Err(_)) => {
            let _ = child.kill();
            let _ = child.wait();
            Err(answered.err().unwrap_or_else(|| ErrorKind::InvalidData.into()))
        }
    }
}

/// Becomes `program`, if the process `parent` still waits for it. What comes back could not.
pub fn run(program: &[OsString], parent: i32) -> Result<Verdict> {
    ask_for_the_signal();
    let is_alone =
        rustix::process::getppid().is_none_or(|now| now.as_raw_nonzero().get() != parent);
    let gone = || Error::environment("the guard is gone");
    let stdin = receive(std::io::stdin().as_fd()).map_err(|error| gone().caused_by(error))?;
    if is_alone {
        return Err(gone());
    }
    // The end of this copy says that the program runs.
    let control = std::io::stdin().as_fd().try_clone_to_owned();
    let mut control = control.map(UnixStream::from).map_err(|error| gone().caused_by(error))?;
    let error = become_program(program, &stdin);
    let code = error.raw_os_error().unwrap_or_default();
    let _ = control.write_all(&code.to_be_bytes()); // perhaps nobody is there
    Ok(Verdict::Program(127))
}

fn become_program(program: &[OsString], stdin: &OwnedFd) -> io::Error {
    let Some((name, args)) = program.split_first() else { return ErrorKind::InvalidInput.into() };
    let replace = |command: &mut Command| match stdin.try_clone() {
        Ok(stdin) => command.args(args).stdin(stdin).exec(),
        Err(error) => error,
    };
    let error = replace(&mut Command::new(name));
    match error.raw_os_error() {
        Some(NO_FORMAT) => replace(Command::new("sh").arg(name)),
        _ => error,
    }
}

#[cfg(target_os = "linux")]
fn ask_for_the_signal() {
    use rustix::process::{Signal, set_parent_process_death_signal};
    let _ = set_parent_process_death_signal(Some(Signal::KILL)); // every Linux has it
}

#[cfg(not(target_os = "linux"))]
fn ask_for_the_signal() {}
