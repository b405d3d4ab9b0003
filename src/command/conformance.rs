//! `uarttool conformance`: the judge.

mod output;
mod surroundings;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::bus::Bus;
use crate::capture::Source;
use crate::cli::args::{AddressArgs, TunnelArgs};
use crate::cli::target::{self, Tunnel};
use crate::cli::{self, Verdict, signals, terminal};
use crate::conformance::artifacts::Artifacts;
use crate::conformance::engine::{self, Plan, Surroundings};
use crate::conformance::event::{Standing, Summary};
use crate::conformance::ledger::Ledger;
use crate::conformance::model::{self, Tier};
use crate::conformance::rig::{Rig, Target};
use crate::conformance::select::{Filter, Selection};
use crate::conformance::{catalogue, explore};
use crate::endpoint::memory;
use crate::endpoint::spec::parse_positive;
use crate::error::{Category, Error, Result};
use crate::probe::{Identity, Probe};
use crate::stop;
use output::{Output, ReportTarget};
use surroundings::Console;

const EXAMPLES: &str = "\
Examples:
  uarttool conformance -d sim                        the built-in device, in virtual time
  uarttool conformance                               the device at tcp:127.0.0.1:5556
  uarttool conformance link arp --smoke
  uarttool conformance -E 'owner:driver and not tier:extended' --report junit=junit.xml
  uarttool conformance link.max-frame --artifacts out
  uarttool conformance --list

A test passes, fails, or is inconclusive where the device could not be judged. Requirements ('must')
fail the run; recommendations ('should') are shown, and fail it with '--strict'.

Exit status: 0 nothing required failed; 1 something did, or was inconclusive; 2 usage; 3 the tunnel is
not there or went away; 70 a test ended in an error of our own; 130 interrupted.";

/// Judge a device through the tunnel: link, Ethernet, ARP, IPv4, ICMP
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ConformanceArgs {
    /// Groups, test names or ids [default: all]
    #[arg(value_name = "GROUP|TEST", value_parser = Filter::parse)]
    names: Vec<Filter>,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    tunnel: TunnelArgs,
    #[command(flatten)]
    addresses: AddressArgs,
}

/// Which tests.
#[derive(Args, Debug)]
#[command(next_help_heading = "Selection")]
struct SelectionArgs {
    /// Words joined by and, or, not, parentheses: a group, an id, a name, group:, tier:, severity:,
    /// owner:, ref:, name:
    #[arg(short = 'E', long = "filter", value_name = "FILTER", value_parser = Filter::parse)]
    filter: Vec<Filter>,
    /// Only the shortest tier
    #[arg(long, conflicts_with_all = ["extended", "long"])]
    smoke: bool,
    /// The extended tier as well
    #[arg(long)]
    extended: bool,
    /// The extended tier and those that take minutes
    #[arg(long)]
    long: bool,
    /// Share number M of N, from 1: 1/4
    #[arg(long, value_name = "M/N", value_parser = parse_shard)]
    shard: Option<(usize, usize)>,
    /// List the tests that would run, and run none
    #[arg(long)]
    list: bool,
}

/// How to run them.
#[derive(Args, Debug)]
#[command(next_help_heading = "Run")]
struct RunArgs {
    /// 'fixed' for the catalogue's order, or the seed of the shuffle
    #[arg(long, value_name = "fixed|SEED", value_parser = parse_order)]
    order: Option<Order>,
    /// Recommendations ('should') count as requirements
    #[arg(long)]
    strict: bool,
    /// Required tests may be inconclusive
    #[arg(long)]
    allow_inconclusive: bool,
    /// Try a test that fails N times more; one that passes then is flaky
    #[arg(long, value_name = "N", default_value_t = 0)]
    retries: u32,
    /// End at the first failure
    #[arg(long)]
    fail_fast: bool,
    /// Multiply every deadline, for slow machines
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = parse_scale)]
    time_scale: f64,
    /// The line's rate in baud; measured otherwise
    #[arg(long, value_name = "BAUD", value_parser = cli::connect::parse_line_rate)]
    line_rate: Option<u32>,
    /// Deviations that are known: sim, lwip, linux, or a file
    #[arg(long, value_name = "NAME|FILE")]
    profile: Option<String>,
    /// Start the device anew with this command, for the tests that need it
    #[arg(long, value_name = "CMD")]
    restart_cmd: Option<String>,
    /// How long to wait for the device's first answer
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_positive)]
    wait: Duration,
    /// The device's console, beside the line: a crash or a reboot fails the test that ran
    #[arg(long, value_name = "ENDPOINT")]
    console: Option<String>,
}

/// What comes of it.
#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
struct OutputArgs {
    /// Only what did not go well
    #[arg(short, long)]
    quiet: bool,
    /// Also a report for programs: junit=FILE, json=FILE; '-' is stdout
    #[arg(long, value_name = "FORMAT=FILE", value_parser = ReportTarget::parse)]
    report: Vec<ReportTarget>,
    /// A capture of each failed test, into this folder
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
}

/// The order of the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
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
    fn selection(&self) -> Selection {
        let args = &self.selection;
        let tier = match (args.smoke, args.extended, args.long) {
            (true, ..) => Tier::Smoke,
            (_, _, true) => Tier::Long,
            (_, true, _) => Tier::Extended,
            _ => Tier::Core,
        };
        Selection {
            names: self.names.clone(),
            filters: args.filter.clone(),
            tier: Some(tier),
            shard: args.shard,
        }
    }

    /// The ledger: the one that was named, or that of the built-in device as it comes.
    fn ledger(&self, is_sim: bool) -> Result<Ledger> {
        match (&self.run.profile, is_sim) {
            (Some(name), _) => Ledger::open(name),
            (None, true) => Ledger::open("sim"),
            (None, false) => Ok(Ledger::default()),
        }
    }
}

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
    let tunnel = target::tunnel(&args.tunnel, &config)?;
    let identity = target::identity(&args.addresses, &config);
    let is_max_declared = args.tunnel.max_frame.is_some()
        || config.target.max_frame.is_some()
        || tunnel.spec.text.contains("max-frame=");
    if let Some(why) = &tunnel.why {
        terminal::tell(&format!("using {}: {why}", tunnel.spec.text));
    }
    let is_sim = tunnel.spec.form.name == memory::SIM.name;
    // Another stack behind the built-in driver has its own time.
    let is_virtual = is_sim && !tunnel.spec.options.own.iter().any(|(name, _)| name == "stack");
    let target = Target {
        identity,
        max_frame: tunnel.spec.options.max_frame,
        is_max_declared,
        line_rate: args.run.line_rate.filter(|rate| *rate > 0),
    };
    let ledger = args.ledger(is_virtual)?;
    let job = Job { args, tests, tunnel, target, ledger, is_virtual };
    match is_virtual {
        true => cli::block_on_virtual(job.run()),
        false => cli::block_on(job.run()),
    }
}

/// Everything that was decided before anything is opened.
struct Job {
    args: ConformanceArgs,
    tests: Vec<&'static model::Test>,
    tunnel: Tunnel,
    target: Target,
    ledger: Ledger,
    is_virtual: bool,
}

impl Job {
    async fn run(self) -> Result<Verdict> {
        let (stopper, mut stop) = stop::pair();
        let interrupted = signals::watch(stopper)?;
        let output = Output::open(&self.args.output)?;
        let plan = self.plan()?;
        let console = self.args.run.console.as_deref();
        let console = console.map(|text| Console::new(text, &terminal::events())).transpose()?;
        let (console, lines) = console.unzip();
        let waiting = stop.clone();
        let judge = async {
            let (rig, facts) = self.prepare(plan.seed).await?;
            let tell = &mut |event| output.event(&event);
            let around = Surroundings { stop: &mut stop, tell, console: lines };
            engine::run(rig, &plan, facts, around).await
        };
        let judged = tokio::select! {
            biased;
            judged = judge => judged?,
            () = Console::listen(console.as_ref()) => return Ok(Verdict::Interrupted), // never
            () = interrupted_early(waiting) => return Ok(Verdict::Interrupted),
        };
        output.end(&judged)?;
        if interrupted.is_set() {
            return Ok(Verdict::Interrupted);
        }
        verdict(&judged, self.args.run.strict)
    }

    fn plan(&self) -> Result<Plan> {
        let run = &self.args.run;
        let seed = match run.order {
            Some(Order::Seed(seed)) => seed,
            Some(Order::Fixed) => 1,
            None => RandomState::new().build_hasher().finish() % 100_000,
        };
        let source = Source {
            name: self.tunnel.spec.text.clone(),
            description: "uarttool conformance".to_owned(),
            console: None,
        };
        let artifacts = self.args.output.artifacts.as_deref();
        let clock = cli::tokio_clock();
        Ok(Plan {
            tests: self.tests.clone(),
            left_out: catalogue::all().count() - self.tests.len(),
            is_fixed: run.order == Some(Order::Fixed),
            seed,
            strict: run.strict,
            allow_inconclusive: run.allow_inconclusive,
            retries: run.retries,
            fail_fast: run.fail_fast,
            ledger: self.ledger.clone(),
            artifacts: artifacts.map(|folder| Artifacts::new(folder, source, clock)).transpose()?,
            target: self.tunnel.spec.text.clone(),
            rerun: self.rerun(seed),
            flip: None,
            is_virtual: self.is_virtual,
        })
    }

    /// The command that runs one test of this run again, but for its name.
    fn rerun(&self, seed: u64) -> String {
        let mut text = String::from("uarttool conformance");
        let quoted = |word: &str| match word.contains([' ', '\'', '"', '$', '*', '(', ';', '&']) {
            true => format!("'{}'", word.replace('\'', r"'\''")),
            false => word.to_owned(),
        };
        text.push_str(&format!(" -d {}", quoted(&self.tunnel.spec.text)));
        if let Some(max_frame) = self.args.tunnel.max_frame {
            text.push_str(&format!(" --max-frame {max_frame}"));
        }
        let identity = Identity::default();
        let given = &self.target.identity;
        for (flag, value, default) in [
            ("--host-ip", given.host_ip.to_string(), identity.host_ip.to_string()),
            ("--host-mac", given.host_mac.to_string(), identity.host_mac.to_string()),
            ("--device-ip", given.device_ip.to_string(), identity.device_ip.to_string()),
        ] {
            if value != default {
                text.push_str(&format!(" {flag} {value}"));
            }
        }
        text.push_str(&format!(" --order {seed}"));
        text
    }

    /// Connects and finds out what has to be known.
    async fn prepare(&self, seed: u64) -> Result<(Rig, Vec<String>)> {
        let events = terminal::events();
        let (connector, restart) = surroundings::connector(&self.tunnel, &self.args.run, &events)?;
        connector.prepare().await?;
        let link = connector.connect().await?;
        let clock = cli::tokio_clock();
        let options = &self.tunnel.spec.options;
        let target = self.target.clone();
        let probe = Probe::new(link, options, target.identity, clock, events, Bus::default());
        let scale = self.args.run.time_scale;
        let mut rig = Rig::new(probe, connector, restart, target, scale, seed);
        rig.is_thorough = self.args.selection.extended || self.args.selection.long;
        let (rig, facts) = explore::explore(rig, self.args.run.wait).await?;
        Ok((rig, facts))
    }
}

/// The word to stop before there is anything to report.
async fn interrupted_early(mut stop: stop::Stop) {
    stop.wait().await;
    // The engine hears the same word and ends by itself; this is for whatever comes before it.
    tokio::time::sleep(Duration::from_secs(2)).await;
}

/// What the run came to, as an exit code.
fn verdict(summary: &Summary, strict: bool) -> Result<Verdict> {
    let errors = summary.count(|f| f.outcome.verdict == model::Verdict::Error);
    if summary.is_lost {
        let why = "the line was lost during the run";
        return Err(Error::environment(why).with_help("look at the first test that did not pass"));
    }
    if errors > 0 {
        let text = format!("{errors} test(s) ended in an error of our own");
        return Err(Error::new(Category::Internal, text));
    }
    let bad = summary.count(|f| f.standing == Standing::Bad);
    let unexpected = summary.count(|f| matches!(f.standing, Standing::UnexpectedPass(_)));
    match bad > 0 || strict && unexpected > 0 {
        true => Ok(Verdict::Failed),
        false => Ok(Verdict::Done),
    }
}
