//! `uarttool run`: a user's own test against firmware, from its start to its end.

mod args;
mod attendant;
mod evidence;
mod files;
mod firmware;
mod places;
mod program;
mod session;
mod story;
mod waiting;

pub use args::RunArgs;

use crate::cli::launch::named;
use crate::cli::{self, Verdict, target, terminal};
use crate::error::{Error, Result};

/// Runs the command.
pub fn run(args: RunArgs) -> Result<Verdict> {
    if let Err((code, sentence)) = program::check(&args.command) {
        terminal::tell(&format!("uarttool: {sentence}"));
        return Ok(Verdict::Program(code));
    }
    let config = target::config()?.preset(args.tunnel.preset)?;
    let launch = args.launch.plan(named::has_device(&args.tunnel, &config))?;
    if launch.is_some() {
        named::refuse_sim(&args.tunnel)?;
    } else if args.restart_on_exit {
        return Err(Error::usage("'--restart-on-exit' starts firmware again, and none is started")
            .with_help("say how to start it: --launch CMD"));
    }
    if args.recording.is_stdout() {
        return Err(Error::usage("'-w -' is stdout, and that is the command's own")
            .with_help("give a name: -w out.pcapng"));
    }
    // Without a program the tunnel is known now, and a mistake is told before anything is done.
    let tunnel = match &launch {
        None => Some(target::tunnel(&args.tunnel, &config)?),
        Some(_) => None,
    };
    cli::block_on(session::run(args, config, launch, tunnel))
}
