//! `uarttool conformance`: the judge.

mod args;
mod job;
mod output;
mod started;
mod suites;
mod surroundings;

use args::Action;
pub use args::ConformanceArgs;

use crate::cli::launch::named;
use crate::cli::target;
use crate::cli::{self, Verdict, signals, terminal};
use crate::error::{Error, Result};
use crate::stop;
use job::Job;

/// Runs the command.
pub fn run(args: ConformanceArgs) -> Result<Verdict> {
    match &args.action {
        Some(Action::Show { names }) => return suites::show(names),
        Some(Action::Check { files }) => return suites::check(files),
        None => {}
    }
    let suites = suites::Suites::open(&args)?;
    let tests = args.selection(suites.tests.clone())?.tests();
    if args.selection.list {
        return output::list(&tests);
    }
    if tests.is_empty() {
        if args.selection.shard.is_some() {
            terminal::tell("there are more shares than tests: nothing to do for this one");
            return Ok(Verdict::Done);
        }
        return Err(Error::usage("no test is all that you ask for at once").with_help(
            "names, '-E' and the tier have to agree; 'uarttool conformance --list --long' shows all tests",
        ));
    }
    let config = suites.over(target::config()?).preset(args.tunnel.preset)?;
    if let Some(launch) = args.launch.plan(named::has_device(&args.tunnel, &config))? {
        named::refuse_sim(&args.tunnel)?;
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
