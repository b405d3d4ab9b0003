//! `uarttool conformance`: the judge.

mod args;
mod job;
mod output;
mod started;
mod surroundings;

pub use args::ConformanceArgs;

use crate::cli::target;
use crate::cli::{self, Verdict, signals};
use crate::error::{Error, Result};
use crate::stop;
use job::Job;

/// Runs the command.
pub fn run(args: ConformanceArgs) -> Result<Verdict> {
    let tests = args.selection().tests();
    if args.selection.list {
        return Ok(output::list(&tests));
    }
    if tests.is_empty() {
        return Err(Error::usage("no test is as you ask")
            .with_help("'uarttool conformance --list --long' shows all of them"));
    }
    let config = target::config()?;
    let has_device = args.tunnel.device.is_some() || config.target.device.is_some();
    if let Some(launch) = args.launch.plan(has_device)? {
        return cli::block_on(started::run(args, tests, config, launch));
    }
    let job = Job::new(args, tests, &config, None)?;
    let is_virtual = job.is_virtual;
    let judged = async {
        let (stopper, stop) = stop::pair();
        let interrupted = signals::watch(stopper)?;
        job.run(stop, &interrupted, None).await
    };
    match is_virtual {
        true => cli::block_on_virtual(judged),
        false => cli::block_on(judged),
    }
}
