//! `uarttool inject`: send frames and see what comes back.

use clap::{Args, Subcommand};

use super::ping::{self, PingArgs};
use crate::cli::Verdict;
use crate::error::Result;

/// Send frames and see what comes back
#[derive(Args, Debug)]
pub struct InjectArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// ICMP echo requests; 'ping' is the short name
    Icmp(PingArgs),
}

/// Runs the command.
pub fn run(args: InjectArgs) -> Result<Verdict> {
    match args.what {
        What::Icmp(args) => ping::run(args),
    }
}
