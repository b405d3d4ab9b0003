//! `uarttool launch-guard`: what uarttool puts between itself and a program that it starts.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use rustix::process::Pid;

use crate::cli::Verdict;
use crate::cli::launch::guard::{self, Role};
use crate::cli::launch::{keeper, starter};
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
    /// Be the guard itself, rather than its keeper
    #[arg(long)]
    inner: bool,
    /// Become the program, for the guard with this process id
    #[arg(long, value_name = "PROCESS", conflicts_with_all = ["remove", "command", "inner"])]
    start_for: Option<i32>,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

/// Runs the command.
pub fn run(args: GuardArgs) -> Result<Verdict> {
    if let Some(parent) = args.start_for {
        return starter::run(&args.program, parent);
    }
    let role = match args.command {
        true => Role::Command(args.group.and_then(Pid::from_raw)),
        false => Role::Firmware,
    };
    match args.inner {
        true => guard::run(&args.program, args.remove.as_deref(), role),
        false => keeper::run(&args.guard(), args.remove.as_deref(), role),
    }
}

impl GuardArgs {
    /// The same, for the guard itself.
    fn guard(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec!["--inner".into()];
        if let Some(folder) = &self.remove {
            args.extend(["--remove".into(), folder.into()]);
        }
        if self.command {
            args.push("--command".into());
        }
        if let Some(group) = self.group {
            args.extend(["--group".into(), group.to_string().into()]);
        }
        args.push("--".into());
        args.extend(self.program.iter().cloned());
        args
    }
}
