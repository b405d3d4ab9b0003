//! What commands share: arguments, configuration, terminal, the sinks of records.

pub mod args;
pub mod config;
pub mod connect;
pub mod console_log;
pub mod conversation;
pub mod launch;
pub mod moment;
pub mod network;
pub mod outputs;
pub mod preset;
pub mod read;
pub mod ready;
pub mod recording;
pub mod scribe;
pub mod show;
pub mod signals;
pub mod sink;
pub mod target;
pub mod terminal;
pub mod web;

use crate::clock::{Clock, Timestamp};
use crate::error::{Error, Result};

/// How a command ended when nothing went wrong on our side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Done: exit code 0.
    Done,
    /// The thing tested failed, and the report said how: exit code 1.
    Failed,
    /// Interrupted before there was a result: exit code 130.
    Interrupted,
    /// A program ran and ended so: its exit code.
    Program(u8),
}

impl Verdict {
    /// The process exit code.
    pub const fn exit_code(self) -> u8 {
        match self {
            Verdict::Done => 0,
            Verdict::Failed => 1,
            Verdict::Interrupted => 130,
            Verdict::Program(code) => code,
        }
    }
}

/// Runs a command's future on this thread. One thread is enough for a line, and the shortest way
/// from a socket to another.
pub fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime
        .map_err(|error| Error::environment("cannot start the event loop").caused_by(error))?;
    let result = runtime.block_on(future);
    runtime.shutdown_background();
    result
}

/// Runs a command's future in virtual time: whenever nothing is left to do, the clock jumps to the next
/// deadline. For what happens inside this process alone; the outside would seem to stand still.
pub fn block_on_virtual<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build();
    let runtime = runtime
        .map_err(|error| Error::environment("cannot start the event loop").caused_by(error))?;
    let result = runtime.block_on(future);
    runtime.shutdown_background();
    result
}

/// A clock that starts at the wall clock and goes on with the event loop's time, which is virtual
/// where that is paused.
pub fn tokio_clock() -> Clock {
    let start = Clock::system().now();
    let anchor = tokio::time::Instant::now();
    Clock::from_source(Timestamp(start.0), move || anchor.elapsed())
}
