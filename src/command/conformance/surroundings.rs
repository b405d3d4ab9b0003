//! What stands around a run: the way to the device, the way to start it anew, its console.

use std::cell::RefCell;
use std::sync::Arc;

use super::RunArgs;
use crate::bus::{Bus, Inbox};
use crate::cli::connect::{self, Sim};
use crate::cli::target::Tunnel;
use crate::cli::tokio_clock;
use crate::conformance::rig::Restart;
use crate::endpoint::{Connector, Options, Pending, Spec};
use crate::error::{Error, Result};
use crate::event::Events;
use crate::tap::{Tap, console as tap_console};

/// A connector, and how to start what it connects to anew, where that can be.
type Way = (Box<dyn Connector>, Option<Box<dyn Restart>>);

/// The way to the device.
pub fn connector(tunnel: &Tunnel, args: &RunArgs, events: &Events) -> Result<Way> {
    if let Some(sim) = connect::sim(&tunnel.spec, events)? {
        return Ok((Box::new(sim.clone()), Some(Box::new(SimSwitch(sim)))));
    }
    let attach = tunnel
        .attach("conformance")
        .map(|attach| crate::endpoint::Attach { alone: true, ..attach });
    let connector = connect::open(&tunnel.spec, events, attach)?;
    let restart = args
        .restart_cmd
        .clone()
        .map(|command| -> Box<dyn Restart> { Box::new(RestartCommand { command }) });
    Ok((connector, restart))
}

/// The built-in device's switch.
struct SimSwitch(Arc<Sim>);

impl Restart for SimSwitch {
    fn restart(&mut self) -> Pending<'_, Result<()>> {
        self.0.switch_off();
        Box::pin(async { Ok(()) })
    }

    fn name(&self) -> &str {
        "its switch"
    }
}

/// `--restart-cmd`.
struct RestartCommand {
    command: String,
}

impl Restart for RestartCommand {
    fn restart(&mut self) -> Pending<'_, Result<()>> {
        Box::pin(async move {
            let what = format!("'--restart-cmd {}'", self.command);
            let mut command = tokio::process::Command::new("sh");
            command.arg("-c").arg(&self.command).stdin(std::process::Stdio::null());
            let status = command.kill_on_drop(true).status().await;
            let status = status.map_err(|error| {
                Error::environment(format!("cannot run {what}")).caused_by(error)
            })?;
            match status.success() {
                true => Ok(()),
                false => Err(Error::environment(format!("{what} has failed: {status}"))),
            }
        })
    }

    fn name(&self) -> &str {
        "--restart-cmd"
    }
}

/// The device's console, if it is listened to.
pub struct Console {
    tap: Tap,
    connector: Box<dyn Connector>,
    bus: RefCell<Bus>,
}

impl Console {
    /// The console at `endpoint`, and the lines that it will say.
    pub fn new(endpoint: &str, events: &Events) -> Result<(Console, Inbox)> {
        let connector = Spec::parse(endpoint)?.open(events, None);
        let mut bus = Bus::default();
        let inbox = bus.watch();
        let tap = Tap { clock: tokio_clock(), events: events.clone(), options: Options::default() };
        Ok((Console { tap, connector, bus: RefCell::new(bus) }, inbox))
    }

    /// Listens for ever; a console that is not there is told of, and that is all.
    pub async fn listen(console: Option<&Console>) {
        if let Some(console) = console
            && let Err(error) =
                tap_console::run(&console.tap, &*console.connector, &console.bus).await
        {
            console.tap.events.warn(error.chain());
        }
        std::future::pending().await
    }
}
