//! The user's own command, run as if we were not there: it has our stdin, stdout and stderr.
//!
//! Where we have a terminal, the command is in our process group, as with `time` or `env`: Ctrl-C and
//! Ctrl-Z reach both of us by themselves, it can read, and the shell's job control is none of our
//! business. Without a terminal it has a group of its own, to which we pass signals on. In both cases the
//! guard ends it and all that came from it, when it ends, or when we do.

use std::ffi::OsString;
use std::fs::File;

use rustix::process::getpgrp;
use rustix::termios::tcgetpgrp;

use super::family::ADOPTS;
use super::guarded::Guarded;
use super::own_program;
use super::report::Status;
use crate::error::Result;

/// A command that runs. It, and all that came from it, ends with this value.
#[derive(Debug)]
pub struct UserCommand {
    guarded: Guarded,
    terminal: Option<File>,
}

impl UserCommand {
    /// Starts `program` with `environment` added to ours, and `without` taken away. Or the code that a shell would exit with when
    /// it cannot be started, 127 or 126, and why.
    pub async fn start(
        program: &[OsString],
        without: &[OsString],
        environment: &[(String, OsString)],
    ) -> Result<Result<UserCommand, (u8, String)>> {
        // Outside of the group the family is known only where orphans become the guard's.
        let terminal = File::open("/dev/tty").ok().filter(|_| ADOPTS);
        let group = terminal.as_ref().map(|_| getpgrp());
        let variables = (without, environment);
        let started = Guarded::start_command(&own_program()?, program, variables, group).await?;
        Ok(started.map(|guarded| UserCommand { guarded, terminal }))
    }

    /// Completes when it has ended, and nothing of it runs any more; `None` if its guard was killed.
    pub async fn exited(&mut self) -> Option<Status> {
        self.guarded.exited().await;
        self.guarded.status()
    }

    /// Passes a signal on to its process group.
    pub async fn pass(&mut self, signal: i32) {
        self.guarded.pass(signal).await;
    }

    /// Whether what the terminal sends to us it sends to the command, too.
    pub fn hears_the_terminal(&self) -> bool {
        self.terminal.as_ref().is_some_and(|terminal| tcgetpgrp(terminal) == Ok(getpgrp()))
    }
}
