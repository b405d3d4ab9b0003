//! `uarttool bridge`: the network that the device takes for the world.

mod ctl;
mod news;
mod qemu;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::capture::{Source, series};
use crate::cli::args::{AddressArgs, TunnelArgs};
use crate::cli::connect;
use crate::cli::network::{self, Network, NetworkArgs};
use crate::cli::outputs::Plan;
use crate::cli::ready::Ready;
use crate::cli::recording::RecordingArgs;
use crate::cli::scribe::Scribe;
use crate::cli::sink::Report;
use crate::cli::{self, Verdict, signals, sink, target};
use crate::endpoint::spec::parse_line_rate;
use crate::error::{Error, Result};
use crate::gateway::control::Control;
use crate::stop;
use crate::tap::End;

const EXAMPLES: &str = "\
Examples:
  uarttool bridge --forward 8080:80            then: curl http://127.0.0.1:8080/
  uarttool bridge --forward 0:80 --forward udp:5683:5683
  uarttool bridge -d unix:build/esp32-uart1.sock --forward 8080:80 -w out.pcapng
  uarttool bridge --forward '*:8080:80'        for other machines, too
  uarttool bridge ctl list                     what the one that runs has open
  uarttool bridge ctl forward 8081:81          and one more

Needs no privileges and no /dev/net/tun. While it runs, 'uarttool ping', 'sniff' and 'http' go through
it. Connections wait for a device that is not up yet, and QEMU may be restarted at any time.

Exit status: 0 done, also after Ctrl-C; 2 usage; 3 a port or the capture cannot be opened.";

/// Give the device a network, without root
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct BridgeArgs {
    #[command(subcommand)]
    command: Option<Command>,
    /// What the device is given; 'user' is the network that needs no privileges
    #[arg(long, alias = "host", value_name = "NET", default_value = "user", value_parser = parse_net)]
    net: Net,
    #[command(flatten)]
    network: NetworkArgs,
    /// Where else to listen for 'bridge ctl', beside the private place where it is found; with ctl, the
    /// bridge to ask
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
    /// The line's rate, as line-rate= behind the endpoint: the living line shows how much of it is used
    #[arg(long, value_name = "BAUD", value_parser = parse_line_rate)]
    line_rate: Option<u32>,
    /// Write 'ready' to this file descriptor when the forwards are open
    #[arg(long, value_name = "N")]
    ready_fd: Option<u32>,
    #[command(flatten)]
    tunnel: TunnelArgs,
    #[command(flatten)]
    addresses: AddressArgs,
    #[command(flatten)]
    recording: RecordingArgs,
}

#[derive(Subcommand, Debug)]
enum Command {
    Ctl(ctl::CtlArgs),
}

/// What the device is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Net {
    User,
}

fn parse_net(text: &str) -> Result<Net, String> {
    match text {
        "user" => Ok(Net::User),
        _ => {
            Err(format!("there is no network '{text}'; there is 'user', which needs no privileges"))
        }
    }
}

/// Runs the command.
pub fn run(args: BridgeArgs) -> Result<Verdict> {
    if let Some(Command::Ctl(ctl)) = &args.command {
        args.check_that_it_only_asks()?;
        return ctl::run(ctl, args.control.as_deref());
    }
    let scribe = Scribe::start()?;
    let result = bridge(args, &scribe);
    scribe.finish();
    result
}

impl BridgeArgs {
    /// What is said to a bridge that is to begin says nothing to one that runs.
    fn check_that_it_only_asks(&self) -> Result<()> {
        let given = [
            ("--forward", self.network.forwards().next().is_some()),
            ("--pcap", self.recording.plan()?.is_some()),
            ("--ready-fd", self.ready_fd.is_some()),
            ("--line-rate", self.line_rate.is_some()),
        ];
        match given.iter().find(|(_, is_given)| *is_given) {
            None => Ok(()),
            Some((name, _)) => Err(Error::usage(format!(
                "'ctl' asks a bridge that runs: '{name}' is nothing to it"
            ))
            .with_help("a forward is added by 'bridge ctl forward 8080:80'")),
        }
    }
}

fn bridge(args: BridgeArgs, scribe: &Scribe) -> Result<Verdict> {
    let Net::User = args.net;
    let config = target::config()?.preset(args.tunnel.preset)?;
    let mut tunnel = target::tunnel(&args.tunnel, &config)?;
    if let Some(rate) = args.line_rate {
        tunnel.spec.options.line_rate = Some(rate).filter(|rate| *rate > 0);
    }
    let rate = connect::line_rate(&tunnel.spec)?;
    let recording = args.recording.plan()?;
    let ready = Ready::open(args.ready_fd)?;
    if let Some(why) = &tunnel.why {
        scribe.tell(&format!("using {}: {why}", tunnel.spec.text));
    }
    allow_many_files();
    let hold = args.network.hold.unwrap_or_default();
    let events = news::events(scribe, &tunnel.spec);
    let network = Network::new(tunnel, &args.addresses, &config, hold, &events, "bridge")?;
    cli::block_on(async {
        let spec = &network.tunnel.spec;
        let watcher = news::Watcher::new(network.watch(), &network.gateway, scribe, spec, rate);
        serve(args, network, recording, ready, watcher, scribe).await
    })
}

/// Each connection is a file: as many as we may have. What cannot be changed stays.
fn allow_many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// The sockets at which a bridge is asked: where it is found, and where the user wants one.
async fn controls(path: Option<&Path>, network: &Network) -> Result<Vec<Control>> {
    let (gateway, forwards) = (&network.gateway, &network.forwards);
    let objection = network.objection().await;
    let found =
        ctl::default_path().and_then(|at| Control::serve(&at, gateway, forwards, objection));
    let Some(path) = path else { return Ok(vec![found?]) };
    let named = Control::serve(path, gateway, forwards, network.objection().await)?;
    Ok([named].into_iter().chain(found).collect())
}

async fn serve(
    args: BridgeArgs,
    network: Network,
    recording: Option<series::Plan>,
    mut ready: Ready,
    watcher: news::Watcher,
    scribe: &Scribe,
) -> Result<Verdict> {
    let (stopper, stop) = stop::pair();
    signals::watch(stopper.clone())?;
    for opened in network.open(args.network.forwards()).await? {
        scribe.tell(&format!("open     {}", network::shown(&opened)));
    }
    let controls = controls(args.control.as_deref(), &network).await?;
    let plan = Plan {
        show: None,
        filter: None,
        capture: recording,
        is_live: true,
        is_unbuffered: args.recording.is_unbuffered,
        source: Source {
            name: network.tunnel.spec.text.clone(),
            description: "uarttool bridge".to_owned(),
            framing: network.tunnel.spec.options.framing,
            console: None,
        },
        count: None,
        clock: network.clock(),
    };
    let report = sink::start(plan, network.watch(), stopper);
    ready.tell();
    let watching = tokio::spawn(watcher.run());
    let end = network.run(stop, || {}).await;
    watching.abort();
    drop((network, controls)); // the sink ends when it has taken everything
    let report = report.await.map_err(|_| {
        Error::new(crate::error::Category::Internal, "the output thread ended without a report")
    })?;
    conclude(end, report, scribe)
}

fn conclude(end: Result<End>, report: Report, scribe: &Scribe) -> Result<Verdict> {
    scribe.tell(&report.totals.summary());
    if let Some(error) = report.error {
        if let Some(kept) = report.totals.kept_summary() {
            scribe.tell(&kept);
        }
        return Err(error);
    }
    match end? {
        End::Stopped | End::Finished => Ok(Verdict::Done),
        End::Lost(how) => Err(Error::environment(format!("the device went away: {how}"))),
    }
}
