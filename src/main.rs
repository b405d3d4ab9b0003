//! Parses, runs, prints the error chain and maps its category to an exit code. Nothing else
//! prints errors or exits.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use uarttool::command::CommandLine;

fn main() -> ExitCode {
    match CommandLine::parse().run() {
        Ok(verdict) => ExitCode::from(verdict.exit_code()),
        Err(error) => {
            let mut stderr = std::io::stderr();
            let _ = writeln!(stderr, "uarttool: {}", error.chain()); // nobody else to tell
            if let Some(help) = error.help() {
                let _ = writeln!(stderr, "  {}", help.replace('\n', "\n  "));
            }
            ExitCode::from(error.category().exit_code())
        }
    }
}
