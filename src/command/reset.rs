//! `uarttool reset`: starts the device anew: a board by DTR and RTS of its serial port, a guest by QEMU's
//! monitor protocol (QMP).

mod find;
mod qmp;

use std::time::Duration;

use clap::Args;

use crate::cli::args::TunnelArgs;
use crate::cli::{self, Verdict, target, terminal};
use crate::endpoint::Spec;
use crate::endpoint::serial::lines::{self, Step};
use crate::endpoint::serial::{self, Port, Settings};
use crate::endpoint::spec::parse_positive;
use crate::error::{Error, Result};

const EXAMPLES: &str = "\
What is done:
  serial:  DTR off, RTS on, 100 ms, RTS off: in the usual circuit of ESP boards RTS pulls EN low.
           With --bootloader DTR then pulls IO0 low while EN rises: the chip waits for a download.
           Boards without that circuit are not reset; nothing tells that from here.
  QMP:     system_reset, to a QEMU that was started with '-qmp unix:PATH,server=on,wait=off'.
           Without --qmp it is the -qmp of the QEMU that has the tunnel, where /proc shows that.

Examples:
  uarttool reset -d serial:/dev/ttyUSB0
  uarttool reset -d serial:/dev/ttyUSB0 --bootloader
  uarttool reset --qmp unix:build/qmp.sock
  uarttool reset -d tcp:127.0.0.1:5556           QEMU's monitor is found by its command line

Exit status: 0 it was reset; 2 usage; 3 the port or QEMU is not there, or would not.";

/// Reset the board or the guest
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ResetArgs {
    /// Start the chip's own loader instead of the program in its flash
    #[arg(long, conflicts_with = "qmp")]
    bootloader: bool,
    /// Where QEMU's monitor listens for QMP: unix:PATH or tcp:HOST:PORT
    #[arg(long, value_name = "ENDPOINT", value_parser = qmp::parse)]
    qmp: Option<Spec>,
    /// How long QEMU may take to answer
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_positive)]
    timeout: Duration,
    #[command(flatten)]
    tunnel: TunnelArgs,
}

/// Runs the command.
pub fn run(args: ResetArgs) -> Result<Verdict> {
    if let Some(monitor) = &args.qmp {
        return cli::block_on(guest(monitor, args.timeout));
    }
    let config = target::config()?.preset(args.tunnel.preset)?;
    let tunnel = target::tunnel(&args.tunnel, &config)?;
    if let Some(why) = &tunnel.why {
        terminal::tell(&format!("using {}: {why}", tunnel.spec.text));
    }
    let spec = &tunnel.spec;
    if spec.form.name == "serial" {
        return cli::block_on(board(spec, args.bootloader));
    }
    if args.bootloader {
        return Err(Error::usage(format!(
            "'--bootloader' is for boards, and {} is none",
            spec.text
        ))
        .with_help("name the board's port: -d serial:/dev/ttyUSB0"));
    }
    if matches!(spec.form.name, "sim" | "file") {
        return Err(Error::usage(format!("there is nothing to reset at {}", spec.text)).with_help(
            "name a board's port, or where QEMU is: -d serial:/dev/ttyUSB0, --qmp unix:PATH",
        ));
    }
    let monitor = find::monitor(spec)?;
    cli::block_on(guest(&monitor, args.timeout))
}

async fn board(spec: &Spec, is_bootloader: bool) -> Result<Verdict> {
    let settings = Settings::of(&spec.options).map_err(Error::usage)?;
    let port = Port::open(serial::claim(&spec.address)?, &settings)?;
    let steps = if is_bootloader { lines::BOOTLOADER } else { lines::RESET };
    lines::play(&port, steps).await.map_err(|error| serial::no_reset(&spec.address, error))?;
    let done: Vec<_> = steps.iter().map(Step::to_string).collect();
    let what = if is_bootloader { "reset into its loader" } else { "reset" };
    terminal::tell(&format!("serial:{} {what}: {}", spec.address, done.join(", ")));
    Ok(Verdict::Done)
}

async fn guest(monitor: &Spec, timeout: Duration) -> Result<Verdict> {
    let late = || {
        Error::environment(format!("{} did not answer within {timeout:?}", monitor.text)).with_help(
            "QMP serves one client at a time: is another connected? And is it QMP ('-qmp'), not \
             QEMU's console for people ('-monitor')?",
        )
    };
    let reset = tokio::time::timeout(timeout, qmp::reset(monitor));
    let version = reset.await.map_err(|_| late())??;
    terminal::tell(&format!("the guest of {version} at {} reset: system_reset", monitor.text));
    Ok(Verdict::Done)
}
