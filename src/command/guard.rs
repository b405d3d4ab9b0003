//! `uarttool launch-guard`: what uarttool puts between itself and a program that it starts.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use crate::cli::Verdict;
use crate::cli::launch::guard;
use crate::error::Result;

/// Run a program and end all of it when stdin is closed; used by '--launch'
#[derive(Args, Debug)]
#[command(hide = true)]
pub struct GuardArgs {
    /// Remove this folder of sockets at the end
    #[arg(long, value_name = "FOLDER")]
    remove: Option<PathBuf>,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

/// Runs the command.
pub fn run(args: GuardArgs) -> Result<Verdict> {
    guard::run(&args.program, args.remove.as_deref())
}
