//! `uarttool launch-guard`: what uarttool puts between itself and a program that it starts.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use rustix::process::Pid;

use crate::cli::Verdict;
use crate::cli::launch::guard::{self, Role};
use crate::error::Result;

/// Run a program and end all of it when stdin is closed; used by '--launch'
#[derive(Args, Debug)]
#[command(hide = true)]
pub struct GuardArgs {
    /// Remove this folder of sockets at the end
    #[arg(long, value_name = "FOLDER")]
    remove: Option<PathBuf>,
    /// The program is a user's command, which gets the stdin that is sent to us
    #[arg(long)]
    command: bool,
    /// The process group that the user's command joins
    #[arg(long, value_name = "NUMBER", requires = "command",
        value_parser = clap::value_parser!(i32).range(1..))]
    group: Option<i32>,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

/// Runs the command.
pub fn run(args: GuardArgs) -> Result<Verdict> {
    let role = match args.command {
        true => Role::Command(args.group.and_then(Pid::from_raw)),
        false => Role::Firmware,
    };
    guard::run(&args.program, args.remove.as_deref(), role)
}
