//! What `uarttool conformance` can be told.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::output::ReportTarget;
use crate::cli::args::{AddressArgs, TunnelArgs};
use crate::cli::launch::LaunchArgs;
use crate::conformance::ledger::Ledger;
use crate::conformance::model::{Test, Tier};
use crate::conformance::rig::Ports;
use crate::conformance::select::{Filter, Selection};
use crate::error::{Error, Result};

const EXAMPLES: &str = "\
Examples:
  uarttool conformance -d sim                        the built-in device, in virtual time
  uarttool conformance                               the device at tcp:127.0.0.1:5556
  uarttool conformance link arp --smoke
  uarttool conformance -E 'owner:driver and not tier:extended' --report junit=junit.xml
  uarttool conformance link.max-frame --artifacts out
  uarttool conformance --launch './qemu.sh unix:{tunnel} unix:{console}'
  uarttool conformance --list
  uarttool conformance show tcp.rst-in-window > mine.toml && uarttool conformance ./mine.toml

A test passes, fails, or is inconclusive where the device could not be judged. Requirements
('must') fail the run; recommendations ('should') are shown, and fail it with '--strict'.

Exit status: 0 nothing required failed; 1 something did, or was inconclusive; 2 usage; 3 the
tunnel is not there or went away; 70 a test ended in an error of our own; 130 interrupted.";

/// Judge a device through the tunnel: from the line to HTTP
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct ConformanceArgs {
    #[command(subcommand)]
    pub(super) action: Option<Action>,
    /// Groups, test names or ids [default: all], and suite files with tests of your own: ./mine.toml
    #[arg(value_name = "GROUP|TEST|FILE.toml")]
    pub(super) names: Vec<String>,
    #[command(flatten)]
    pub(super) selection: SelectionArgs,
    #[command(flatten)]
    pub(super) run: RunArgs,
    #[command(flatten)]
    pub(super) launch: LaunchArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    pub(in crate::command) tunnel: TunnelArgs,
    #[command(flatten)]
    pub(super) addresses: AddressArgs,
}

/// What else can be done than judging.
#[derive(Subcommand, Clone, Debug)]
pub(super) enum Action {
    /// Print tests as a suite file, to be read, changed and run
    Show {
        /// Tests, ids or groups
        #[arg(value_name = "TEST", required = true)]
        names: Vec<String>,
    },
    /// Say whether suite files are good, and run nothing
    Check {
        /// Suite files
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
}

/// Which tests.
#[derive(Args, Debug)]
#[command(next_help_heading = "Selection")]
pub(super) struct SelectionArgs {
    /// Words joined by and, or, not, parentheses: a group, an id, a name, group:, tier:, severity:,
    /// owner:, ref:, name:
    #[arg(short = 'E', long = "filter", value_name = "FILTER")]
    pub(super) filter: Vec<String>,
    /// Only the shortest tier
    #[arg(long, conflicts_with_all = ["extended", "long"])]
    pub(super) smoke: bool,
    /// The extended tier as well
    #[arg(long)]
    pub(super) extended: bool,
    /// The extended tier and those that take minutes
    #[arg(long)]
    pub(super) long: bool,
    /// Share number M of N, from 1: 1/4
    #[arg(long, value_name = "M/N", value_parser = parse_shard)]
    pub(super) shard: Option<(usize, usize)>,
    /// List the tests that would run, and run none
    #[arg(long)]
    pub(super) list: bool,
}

/// How to run them.
#[derive(Args, Debug)]
#[command(next_help_heading = "Run")]
pub(super) struct RunArgs {
    /// 'fixed' for the catalogue's order, or the seed of the shuffle
    #[arg(long, value_name = "fixed|SEED", value_parser = parse_order)]
    pub(super) order: Option<Order>,
    /// Recommendations ('should') count as requirements
    #[arg(long)]
    pub(super) strict: bool,
    /// Required tests may be inconclusive
    #[arg(long)]
    pub(super) allow_inconclusive: bool,
    /// Try a test that fails N times more; one that passes then is flaky
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) retries: u32,
    /// End at the first failure
    #[arg(long)]
    pub(super) fail_fast: bool,
    /// Multiply every deadline, for slow machines
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = parse_scale)]
    pub(super) time_scale: f64,
    /// The line's rate in baud; measured otherwise
    #[arg(long, value_name = "BAUD", value_parser = crate::endpoint::spec::parse_line_rate)]
    pub(super) line_rate: Option<u32>,
    /// The port of the device's web server [default: 80]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) http_port: Option<u16>,
    /// The port where the device sends back what comes, by UDP and TCP [default: 7]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) echo_port: Option<u16>,
    /// A port where nobody listens, by UDP and TCP [default: TCP 81, UDP 40009]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) closed_port: Option<u16>,
    /// Deviations that are known: sim, lwip, esp-idf, linux, smoltcp, or a file (README, "Profiles"); may be
    /// given several times
    #[arg(long, value_name = "NAME|FILE")]
    pub(super) profile: Vec<String>,
    /// Start the device anew with this command, for the tests that need it
    #[arg(long, value_name = "CMD", conflicts_with_all = ["launch", "launch_file"])]
    pub(super) restart_cmd: Option<String>,
    /// The device's console, beside the line: a crash or a reboot fails the test that ran
    #[arg(long, value_name = "ENDPOINT")]
    pub(super) console: Option<String>,
}

/// What comes of it.
#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputArgs {
    /// Only what did not go well
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// Also a report for programs: junit=FILE, json=FILE; '-' is stdout
    #[arg(long, value_name = "FORMAT=FILE", value_parser = ReportTarget::parse)]
    pub(super) report: Vec<ReportTarget>,
    /// A capture of each failed test, into this folder, and what the console and the program behind
    /// '--launch' have said
    #[arg(long, value_name = "DIR")]
    pub(super) artifacts: Option<PathBuf>,
    /// The JSON report of an earlier run: throughput that is a tenth lower now and latency that is a
    /// quarter higher fail
    #[arg(long, value_name = "FILE")]
    pub(super) baseline: Option<PathBuf>,
}

/// The order of the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Fixed,
    Seed(u64),
}

fn parse_order(text: &str) -> Result<Order, String> {
    match text {
        "fixed" => Ok(Order::Fixed),
        seed => seed
            .parse()
            .map(Order::Seed)
            .map_err(|_| format!("'{text}' is neither 'fixed' nor a seed, which is a number")),
    }
}

fn parse_shard(text: &str) -> Result<(usize, usize), String> {
    let parts = text.split_once('/').and_then(|(m, n)| Some((m.parse().ok()?, n.parse().ok()?)));
    parts
        .filter(|(m, n)| (1..=*n).contains(m))
        .ok_or_else(|| format!("'{text}' is not a share such as 1/4"))
}

fn parse_scale(text: &str) -> Result<f64, String> {
    let scale = text.parse().ok().filter(|scale| (0.1..=1000.0).contains(scale));
    scale.ok_or_else(|| format!("'{text}' is not a factor from 0.1 to 1000"))
}

impl ConformanceArgs {
    /// The suite files among the names.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        let files = self.names.iter().filter(|name| is_file(name));
        files.map(Path::new)
    }

    /// The tests that are meant, `extra` being those of the suite files.
    pub(super) fn selection(&self, extra: Vec<&'static Test>) -> Result<Selection> {
        let parse = |text: &String| Filter::parse_with(text, &extra).map_err(Error::usage);
        let names = self.names.iter().filter(|name| !is_file(name));
        let names = names.map(parse).collect::<Result<_>>()?;
        let parse = |text: &String| {
            let filter = Filter::parse_with(text, &extra);
            filter.map_err(|what| Error::usage(format!("bad filter '{text}': {what}")))
        };
        let filters = self.selection.filter.iter().map(parse).collect::<Result<_>>()?;
        let args = &self.selection;
        let tier = match (args.smoke, args.extended, args.long) {
            (true, ..) => Tier::Smoke,
            (_, _, true) => Tier::Long,
            (_, true, _) => Tier::Extended,
            _ => Tier::Core,
        };
        Ok(Selection { names, filters, extra, tier: Some(tier), shard: args.shard })
    }

    /// The ports that tests speak to.
    pub(super) fn ports(&self) -> Ports {
        let (run, usual) = (&self.run, Ports::default());
        Ports {
            http: run.http_port.unwrap_or(usual.http),
            closed_tcp: run.closed_port.unwrap_or(usual.closed_tcp),
            closed_udp: run.closed_port.unwrap_or(usual.closed_udp),
            echo: run.echo_port.unwrap_or(usual.echo),
        }
    }

    /// The ledger: those that were named, or that of the built-in device as it comes.
    pub(super) fn ledger(&self, is_sim: bool) -> Result<Ledger> {
        let named = self.run.profile.iter().map(String::as_str);
        let built_in = (is_sim && self.run.profile.is_empty()).then_some("sim");
        named
            .chain(built_in)
            .map(Ledger::open)
            .try_fold(Ledger::default(), |all, next| Ok(all.and(next?)))
    }

    /// The command that judges the same device again, but for tests and order; `device` is where it is
    /// when it is not started.
    pub(super) fn again(&self, device: Option<&str>) -> String {
        let (addresses, run, launch) = (&self.addresses, &self.run, &self.launch);
        let framing = self.tunnel.framing.map(|framing| framing.name.to_owned());
        let script = launch.launch_file.as_ref().map(|path| path.display().to_string());
        let baseline = self.output.baseline.as_ref().map(|path| path.display().to_string());
        let text = |value: &dyn ToString| value.to_string();
        let flags = [
            ("--launch", launch.launch.clone()),
            ("--launch-file", script),
            ("-d", device.map(str::to_owned)),
            ("--framing", framing),
            ("--max-frame", self.tunnel.max_frame.as_ref().map(|n| text(n))),
            ("--host-ip", addresses.host_ip.as_ref().map(|n| text(n))),
            ("--host-mac", addresses.host_mac.as_ref().map(|n| text(n))),
            ("--device-ip", addresses.device_ip.as_ref().map(|n| text(n))),
            ("--device-mac", addresses.device_mac.as_ref().map(|n| text(n))),
            ("--line-rate", run.line_rate.as_ref().map(|n| text(n))),
            ("--http-port", run.http_port.as_ref().map(|n| text(n))),
            ("--echo-port", run.echo_port.as_ref().map(|n| text(n))),
            ("--closed-port", run.closed_port.as_ref().map(|n| text(n))),
            ("--time-scale", Some(run.time_scale).filter(|n| *n != 1.0).map(|n| text(&n))),
            ("--restart-cmd", run.restart_cmd.clone()),
            ("--console", run.console.clone()),
            ("--baseline", baseline),
        ];
        let profiles = run.profile.iter().map(|profile| ("--profile", Some(profile.clone())));
        let given = flags.into_iter().chain(profiles);
        let given = given.filter_map(|(flag, value)| Some((flag, value?)));
        let mut command = String::from("uarttool conformance");
        for file in self.files() {
            command.push_str(&format!(" {}", quoted(&file.display().to_string())));
        }
        for (flag, value) in given {
            command.push_str(&format!(" {flag} {}", quoted(&value)));
        }
        if self.selection.extended || self.selection.long {
            command.push_str(" --extended"); // some tests have a longer form
        }
        if run.strict {
            command.push_str(" --strict");
        }
        command
    }
}

/// Whether a name is that of a suite file: a path, or what ends like one.
fn is_file(name: &str) -> bool {
    name.contains('/') || name.ends_with(".toml")
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.,:/=@%+".contains(c);
    match word.chars().all(is_plain) && !word.is_empty() {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}
