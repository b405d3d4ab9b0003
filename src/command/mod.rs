//! One file per command: its arguments and a short `run` that composes the floors below.

mod bridge;
mod conformance;
mod decode;
mod guard;
mod http;
mod inject;
mod ping;
mod ranges;
mod replay;
mod reset;
mod run;
mod sim;
mod sniff;

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::cli::Verdict;
use crate::error::Result;

/// The exit codes, for `--help` and the README.
pub const EXIT_STATUS: &str = "\
Exit status:
  0    done
  1    the thing tested failed: a lost ping, a failed test
  2    wrong usage, or a file that you wrote is wrong
  3    the tunnel or the environment is not there, or went away
  4    an input capture is unreadable
  70   our own fault
  130  interrupted before there was a result";

const ABOUT: &str = "\
A toolkit for networks that run over a serial line: Ethernet frames behind a 2-byte length, as \
ESP32 firmware in QEMU speaks them on its UART1.";

const EXAMPLES: &str = "\
Examples:
  uarttool sniff                       look at the line (QEMU on tcp:127.0.0.1:5556)
  uarttool sniff -w out.pcapng         and keep it for Wireshark
  uarttool decode out.pcapng           look at it again, or at any other capture
  uarttool ping -c 4                   is the device there?
  uarttool conformance                 does it do what it should?
  uarttool sniff --proxy tcp-listen:127.0.0.1:5557
                                       stand between QEMU and its client";

/// The command line.
#[derive(Parser, Debug)]
#[command(name = "uarttool", version, about = ABOUT, max_term_width = 100,
    after_help = format!("{EXAMPLES}\n\n{EXIT_STATUS}"))]
pub struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Sniff(Box<sniff::SniffArgs>),
    Decode(Box<decode::DecodeArgs>),
    Inject(inject::InjectArgs),
    Ping(ping::PingArgs),
    Http(Box<http::HttpArgs>),
    Replay(Box<replay::ReplayArgs>),
    Bridge(Box<bridge::BridgeArgs>),
    Run(Box<run::RunArgs>),
    Sim(sim::SimArgs),
    Conformance(Box<conformance::ConformanceArgs>),
    Reset(reset::ResetArgs),
    #[command(name = "launch-guard")]
    Guard(guard::GuardArgs),
}

impl CommandLine {
    /// Reads the process's own command line; a mistake in it is told, and ends the process.
    pub fn read() -> CommandLine {
        let matches = CommandLine::command().try_get_matches();
        let matches = matches.unwrap_or_else(|error| ranges::exit(&error));
        let line = CommandLine::from_arg_matches(&matches);
        let mut line = line.unwrap_or_else(|error| ranges::exit(&error));
        let has_device = |matches: &ArgMatches| matches.ids().any(|id| id.as_str() == "device");
        let own = matches.subcommand().map(|(_, matches)| matches).filter(|own| has_device(own));
        let source = own.and_then(|own| own.value_source("device"));
        let is_inherited = source == Some(ValueSource::EnvVariable);
        match &mut line.command {
            Command::Run(args) => args.tunnel.is_inherited = is_inherited,
            Command::Sniff(args) => args.tunnel.is_inherited = is_inherited,
            Command::Conformance(args) => args.tunnel.is_inherited = is_inherited,
            // For these it is the same.
            Command::Decode(_)
            | Command::Inject(_)
            | Command::Ping(_)
            | Command::Http(_)
            | Command::Replay(_)
            | Command::Bridge(_)
            | Command::Sim(_)
            | Command::Reset(_)
            | Command::Guard(_) => {}
        }
        line
    }

    /// Runs the command that was asked for.
    pub fn run(self) -> Result<Verdict> {
        match self.command {
            Command::Sniff(args) => sniff::run(*args),
            Command::Decode(args) => decode::run(*args),
            Command::Inject(args) => inject::run(args),
            Command::Ping(args) => ping::run(args),
            Command::Http(args) => http::run(*args),
            Command::Replay(args) => replay::run(*args),
            Command::Bridge(args) => bridge::run(*args),
            Command::Run(args) => run::run(*args),
            Command::Sim(args) => sim::run(args),
            Command::Conformance(args) => conformance::run(*args),
            Command::Reset(args) => reset::run(args),
            Command::Guard(args) => guard::run(args),
        }
    }
}
