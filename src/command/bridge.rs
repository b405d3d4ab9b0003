//! `uarttool bridge`: the network that the device takes for the world.

use clap::Args;

use crate::capture::Source;
use crate::capture::series;
use crate::cli::args::{AddressArgs, TunnelArgs};
use crate::cli::network::{Network, NetworkArgs};
use crate::cli::outputs::Plan;
use crate::cli::recording::RecordingArgs;
use crate::cli::{self, Verdict, signals, sink, target, terminal};
use crate::error::Result;
use crate::gateway::Opened;
use crate::gateway::forward::{Listen, Protocol};
use crate::stop;

/// Give the device a network, without root
#[derive(Args, Debug)]
pub struct BridgeArgs {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    tunnel: TunnelArgs,
    #[command(flatten)]
    addresses: AddressArgs,
    #[command(flatten)]
    recording: RecordingArgs,
}

/// Runs the command.
pub fn run(args: BridgeArgs) -> Result<Verdict> {
    let config = target::config()?;
    let tunnel = target::tunnel(&args.tunnel, &config)?;
    if let Some(why) = &tunnel.why {
        terminal::tell(&format!("using {}: {why}", tunnel.spec.text));
    }
    let recording = args.recording.plan()?;
    let hold = args.network.hold.unwrap_or_default();
    let events = terminal::events();
    let network = Network::new(tunnel, &args.addresses, &config, hold, &events, "bridge")?;
    cli::block_on(serve(args, network, recording))
}

async fn serve(
    args: BridgeArgs,
    network: Network,
    recording: Option<series::Plan>,
) -> Result<Verdict> {
    let (stopper, stop) = stop::pair();
    signals::watch(stopper.clone())?;
    let opened = network.open(&args.network.forward).await?;
    for opened in &opened {
        terminal::tell(&format!("open     {}", said(opened)));
    }
    let options = &network.tunnel.spec.options;
    let plan = Plan {
        show: None,
        filter: None,
        capture: recording,
        is_live: true,
        is_unbuffered: args.recording.is_unbuffered,
        source: Source {
            name: network.tunnel.spec.text.clone(),
            description: "uarttool bridge".to_owned(),
            framing: options.framing,
            console: None,
        },
        count: None,
        clock: network.clock(),
    };
    let report = sink::start(plan, network.watch(), stopper);
    let end = network.run(stop, || {}).await;
    drop(network);
    let report = report.await;
    if let Ok(report) = report {
        terminal::tell(&report.totals.summary());
    }
    end?;
    Ok(Verdict::Done)
}

/// Where a forward is found.
fn said(opened: &Opened) -> String {
    match (&opened.forward.listen, opened.forward.protocol, opened.forward.port) {
        (Listen::Ip(address), Protocol::Tcp, 80) => format!("http://{address}/"),
        _ => opened.forward.to_string(),
    }
}
