//! What stands around a run: the way to the device, the way to start it anew, its console.

use std::cell::RefCell;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::args::ConformanceArgs;
use crate::bus::{Bus, Inbox};
use crate::cli::connect::{self, Sim};
use crate::cli::console_log::ConsoleLog;
use crate::cli::target::Tunnel;
use crate::cli::{terminal, tokio_clock};
use crate::conformance::rig::Restart;
use crate::endpoint::{Connector, Options, Pending, Spec};
use crate::error::{Error, Result};
use crate::event::Events;
use crate::tap::{Tap, console as tap_console};

/// How often the console's lines are collected: its queue holds more than it says in that time.
const COLLECT: Duration = Duration::from_millis(100);

/// A connector, and how to start what it connects to anew, where that can be.
type Way = (Box<dyn Connector>, Option<Box<dyn Restart>>);

/// The way to the device.
pub fn connector(tunnel: &Tunnel, args: &ConformanceArgs, events: &Events) -> Result<Way> {
    let patience = args.launch.wait;
    if let Some(sim) = connect::sim(&tunnel.spec, events)? {
        let connector = tunnel.spec.impaired(Box::new(sim.clone()), events);
        return Ok((connector, Some(Box::new(SimSwitch(sim)))));
    }
    let attach = tunnel
        .attach("conformance")
        .map(|attach| crate::endpoint::Attach { alone: true, ..attach });
    let connector = connect::open(&tunnel.spec, events, attach)?;
    let restart = args
        .run
        .restart_cmd
        .clone()
        .map(|command| -> Box<dyn Restart> { Box::new(RestartCommand { command, patience }) });
    Ok((connector, restart))
}

/// The built-in device's switch.
struct SimSwitch(Arc<Sim>);

impl Restart for SimSwitch {
    fn restart(&mut self) -> Pending<'_, Result<()>> {
        self.0.switch_off();
        Box::pin(async { Ok(()) })
    }
}

/// `--restart-cmd`.
struct RestartCommand {
    command: String,
    /// How long it may run.
    patience: Duration,
}

impl Restart for RestartCommand {
    fn restart(&mut self) -> Pending<'_, Result<()>> {
        Box::pin(async move {
            let what = format!("'--restart-cmd {}'", self.command);
            let mut command = tokio::process::Command::new("sh");
            command.arg("-c").arg(&self.command).stdin(std::process::Stdio::null());
            let status = tokio::time::timeout(self.patience, command.kill_on_drop(true).status());
            let status = status.await.map_err(|_| {
                let patience = self.patience;
                Error::environment(format!("{what} runs on after {patience:?}: it has to return"))
            })?;
            let status = status.map_err(|error| {
                Error::environment(format!("cannot run {what}")).caused_by(error)
            })?;
            match status.success() {
                true => Ok(()),
                false => Err(Error::environment(format!("{what} has failed: {status}"))),
            }
        })
    }
}

/// The console that `args` name, and what it will say.
pub fn console(
    args: &ConformanceArgs,
    tunnel: &Tunnel,
    is_started: bool,
) -> Result<Option<(Console, Inbox)>> {
    let Some(text) = &args.run.console else { return Ok(None) };
    let mut spec = tunnel.console(text)?;
    let events = match is_started {
        true => Events::ignore(), // it comes and goes with the program
        false => terminal::events(),
    };
    if is_started {
        spec.options.reconnect.get_or_insert(Duration::from_millis(10));
    }
    let log = args.output.artifacts.as_ref().map(|folder| folder.join("console.log"));
    Ok(Some(Console::new(&spec, events, log)))
}

/// The device's console, if it is listened to.
pub struct Console {
    tap: Tap,
    connector: Box<dyn Connector>,
    bus: RefCell<Bus>,
    said: RefCell<Said>,
}

/// What a console has said.
struct Said {
    inbox: Inbox,
    log: ConsoleLog,
}

impl Console {
    /// The console at `spec`, and the lines that it will say; `log` is where they are kept.
    fn new(spec: &Spec, events: Events, log: Option<PathBuf>) -> (Console, Inbox) {
        let connector = spec.open(&events, None);
        let mut bus = Bus::default();
        let (lines, inbox) = (bus.watch(), bus.watch());
        let tap = Tap { clock: tokio_clock(), events, options: Options::default() };
        let said = RefCell::new(Said { inbox, log: ConsoleLog::new(log) });
        (Console { tap, connector, bus: RefCell::new(bus), said }, lines)
    }

    /// Listens for ever; a console that is not there is told of, and that is all.
    pub async fn listen(console: Option<&Console>) -> Infallible {
        if let Some(console) = console {
            let listening = tap_console::run(&console.tap, &*console.connector, &console.bus);
            let collecting = async {
                loop {
                    tokio::time::sleep(COLLECT).await;
                    console.said.borrow_mut().collect();
                }
            };
            tokio::select! {
                Err(error) = listening => console.tap.events.warn(error.chain()),
                () = collecting => {}
            }
        }
        std::future::pending().await
    }

    /// What was said last, for people.
    pub fn last_line(&self) -> Option<String> {
        let mut said = self.said.borrow_mut();
        said.collect();
        said.log.last_lines().next_back().map(str::to_owned)
    }

    /// Writes what was said until now, where it is kept.
    pub fn keep(&self) {
        self.said.borrow_mut().collect();
    }
}

impl Said {
    /// Takes what has come: the last line is remembered, all are written.
    fn collect(&mut self) {
        while let Some(record) = self.inbox.poll() {
            self.log.take(&record);
        }
    }
}
