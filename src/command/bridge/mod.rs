//! `uarttool bridge`: the network that the device takes for the world.

mod ctl;
mod news;

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};

use crate::capture::{Source, series};
use crate::cli::args::{AddressArgs, TunnelArgs};
use crate::cli::network::{Network, NetworkArgs};
use crate::cli::outputs::Plan;
use crate::cli::ready::Ready;
use crate::cli::recording::RecordingArgs;
use crate::cli::sink::Report;
use crate::cli::{self, Verdict, signals, sink, target, terminal};
use crate::error::{Error, Result};
use crate::gateway::Opened;
use crate::gateway::control::Control;
use crate::gateway::forward::{Listen, Protocol};
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
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct BridgeArgs {
    #[command(subcommand)]
    command: Option<Command>,
    /// What the device is given; 'user' is the network that needs no privileges
    #[arg(long, alias = "host", value_name = "NET", default_value = "user", value_parser = parse_net)]
    net: Net,
    #[command(flatten)]
    network: NetworkArgs,
    /// Where to listen for 'bridge ctl' [default: a private place, where it is found]
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
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
    if let Some(Command::Ctl(args)) = &args.command {
        return ctl::run(args);
    }
    let Net::User = args.net;
    let config = target::config()?;
    let tunnel = target::tunnel(&args.tunnel, &config)?;
    let recording = args.recording.plan()?;
    let ready = Ready::open(args.ready_fd)?;
    if let Some(why) = &tunnel.why {
        terminal::tell(&format!("using {}: {why}", tunnel.spec.text));
    }
    let hold = args.network.hold.unwrap_or_default();
    let is_living = Arc::default();
    let events = news::events(&is_living);
    let network = Network::new(tunnel, &args.addresses, &config, hold, &events, "bridge")?;
    cli::block_on(async {
        let watcher = news::Watcher::new(network.watch(), &network.gateway, &is_living);
        serve(args, network, recording, ready, watcher).await
    })
}

async fn serve(
    args: BridgeArgs,
    network: Network,
    recording: Option<series::Plan>,
    mut ready: Ready,
    watcher: news::Watcher,
) -> Result<Verdict> {
    let (stopper, stop) = stop::pair();
    signals::watch(stopper.clone())?;
    for opened in network.open(&args.network.forward).await? {
        terminal::tell(&format!("open     {}", said(&opened)));
    }
    let path = args.control.clone().map_or_else(ctl::default_path, Ok)?;
    let control = Control::serve(&path, &network.gateway, &network.forwards)?;
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
    drop((network, control)); // the sink ends when it has taken everything
    let report = report.await.map_err(|_| {
        Error::new(crate::error::Category::Internal, "the output thread ended without a report")
    })?;
    conclude(end, report)
}

fn conclude(end: Result<End>, report: Report) -> Result<Verdict> {
    terminal::tell(&report.totals.summary());
    if let Some(error) = report.error {
        report.totals.kept_summary().as_deref().map(terminal::tell);
        return Err(error);
    }
    match end? {
        End::Stopped | End::Finished => Ok(Verdict::Done),
        End::Lost(how) => Err(Error::environment(format!("the device went away: {how}"))),
    }
}

/// Where a forward is found.
fn said(opened: &Opened) -> String {
    let forward = &opened.forward;
    match (&forward.listen, forward.protocol, forward.port, forward.span) {
        (Listen::Ip(address), Protocol::Tcp, 80, 1) => format!("http://{address}/"),
        _ => forward.to_string(),
    }
}
