//! Parses, runs, prints the error chain and maps its category to an exit code. Nothing else
//! prints errors or exits.

use std::io::Write;
use std::process::ExitCode;

use uarttool::command::CommandLine;
use uarttool::error::Category;
use uarttool::escape;

fn main() -> ExitCode {
    // A panic is our own fault, and has printed what it was.
    let run = std::panic::catch_unwind(|| CommandLine::read().run());
    match run {
        Err(_) => ExitCode::from(Category::Internal.exit_code()),
        Ok(Ok(verdict)) => ExitCode::from(verdict.exit_code()),
        Ok(Err(error)) => {
            let mut text = format!("uarttool: {}\n", error.chain());
            if let Some(help) = error.help() {
                text.push_str(&format!("  {}\n", help.replace('\n', "\n  ")));
            }
            let _ = std::io::stderr().write_all(escape::lines(&text).as_bytes()); // nobody else to tell
            ExitCode::from(error.category().exit_code())
        }
    }
}
