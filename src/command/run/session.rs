//! The run itself: firmware, line and forwards, the wait, COMMAND, and the end of all of them.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::args::RunArgs;
use super::evidence::{Evidence, Witness};
use super::firmware::Firmware;
use super::story::Story;
use super::{places, waiting};
use crate::capture::Source;
use crate::cli::args::TunnelArgs;
use crate::cli::config::Config;
use crate::cli::launch::{Launch, Status, UserCommand};
use crate::cli::network::Network;
use crate::cli::outputs::Plan;
use crate::cli::signals::{SIGINT, SIGTERM};
use crate::cli::target::{self, Tunnel};
use crate::cli::{Verdict, signals, sink, terminal};
use crate::error::{Category, Error, Result};
use crate::event::{Event, Events};
use crate::gateway::Opened;
use crate::stop;
use crate::tap::End;

/// How long COMMAND has after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);
/// How often to look for a line whose firmware we start.
const AGAIN: Duration = Duration::from_millis(50);
/// Three Ctrl-C within this time mean that COMMAND is to be killed.
const INSISTENCE: Duration = Duration::from_secs(2);
/// The number of SIGKILL.
const SIGKILL: i32 = 9;

/// Does all of it, and says at the end what is kept.
pub async fn run(
    args: RunArgs,
    config: Config,
    launch: Option<Launch>,
    tunnel: Option<Tunnel>,
) -> Result<Verdict> {
    let signals = signals::arrivals()?;
    let evidence = Evidence::prepare(&args)?;
    let mut story = Story::new(&args.command);
    let run = Run { args: &args, config: &config, evidence: &evidence, signals };
    let result = run.with_firmware(launch, tunnel, &mut story).await;
    let is_good = result.as_ref().is_ok_and(|verdict| verdict.exit_code() == 0);
    let is_nothing = matches!(result, Ok(Verdict::Interrupted)); // before COMMAND began
    if !is_good && !is_nothing {
        story.tell();
    }
    evidence.conclude(!is_good && !is_nothing);
    result
}

struct Run<'a> {
    args: &'a RunArgs,
    config: &'a Config,
    evidence: &'a Evidence,
    signals: mpsc::Receiver<i32>,
}

impl Run<'_> {
    /// Starts the firmware, if there is any, and ends it, whatever happened.
    async fn with_firmware(
        mut self,
        launch: Option<Launch>,
        tunnel: Option<Tunnel>,
        story: &mut Story,
    ) -> Result<Verdict> {
        let launched = match launch {
            Some(launch) => Some(launch.log_to(self.evidence.launch_log()).start().await?),
            None => None,
        };
        let mut firmware = Firmware::new(launched, self.args.restart_on_exit);
        let result = self.on_line(&mut firmware, tunnel, story).await;
        story.firmware(&firmware);
        if let Err(error) = firmware.end().await {
            let help = error.help().map(|help| format!("; {help}")).unwrap_or_default();
            terminal::tell(&format!("warning: {}{help}", error.chain()));
        }
        result
    }

    /// Brings the line up, and takes it down.
    async fn on_line(
        &mut self,
        firmware: &mut Firmware,
        tunnel: Option<Tunnel>,
        story: &mut Story,
    ) -> Result<Verdict> {
        let is_launched = firmware.launched.is_some();
        let (tunnel, console) = self.endpoints(firmware, tunnel)?;
        let events = self.events(is_launched);
        let hold = self.args.network.hold.unwrap_or_default();
        let (addresses, config) = (&self.args.addresses, self.config);
        let mut network = Network::new(tunnel, addresses, config, hold, &events, "run")?;
        let device = device(&mut network, self.evidence).await;
        let opened = network.open(&self.args.network.forward).await?;
        self.tell_where(&opened);
        let witness = Witness::start(network.watch(), self.evidence.console_log());
        let report = sink::start(self.plan(&network, &console), network.watch(), stop::pair().0);
        let console = match &console {
            Some(text) => Some(self.console(&network, text, is_launched)?),
            None => None,
        };
        let (stopper, stop) = stop::pair();
        let (gone, line) = oneshot::channel();
        let serving = async {
            let _ = gone.send(network.run(stop, || {}).await); // it may be over
        };
        let attended = async {
            let variables = places::environment(&opened, &self.evidence.pcap, device);
            let attendant =
                Attendant { run: self, network: &network, firmware, line, witness: &witness };
            let result = attendant.attend(&opened, &variables, story).await;
            stopper.stop();
            result
        };
        let listening = async {
            if let Some((console, events)) = &console {
                match network.listen(&**console, events.clone()).await {}
            }
            std::future::pending::<()>().await
        };
        let result = tokio::select! {
            (result, ()) = async { tokio::join!(attended, serving) } => result,
            () = listening => Err(Error::new(Category::Internal, "the console has an end")),
        };
        drop(network);
        if let Ok(report) = report.await {
            if let Some(error) = &report.error {
                terminal::tell(&format!("warning: {}", error.chain()));
            }
            story.line(&report.totals);
        }
        story.console(&witness.seen());
        result
    }

    /// Where tunnel and console are.
    fn endpoints(
        &self,
        firmware: &Firmware,
        tunnel: Option<Tunnel>,
    ) -> Result<(Tunnel, Option<String>)> {
        let mut console = self.args.console.clone();
        let mut tunnel = match (tunnel, &firmware.launched) {
            (None, Some(launched)) => {
                let device;
                (device, console) = launched.endpoints(self.args.tunnel.device.clone(), console);
                let args = TunnelArgs { device, ..self.args.tunnel.clone() };
                let mut tunnel = find(&args, self.config)?;
                tunnel.spec.options.reconnect.get_or_insert(AGAIN);
                tunnel
            }
            (Some(tunnel), _) => tunnel,
            (None, None) => find(&self.args.tunnel, self.config)?,
        };
        if let Some(why) = tunnel.why.take().filter(|_| !self.args.quiet) {
            terminal::tell(&format!("using {}: {why}", tunnel.spec.text));
        }
        Ok((tunnel, console))
    }

    /// What is told while it runs.
    fn events(&self, is_launched: bool) -> Events {
        let (all, is_quiet) = (terminal::events(), self.args.quiet);
        Events::new(move |event| match event {
            Event::Warning(_) => all.tell(event),
            Event::Waiting { .. } if is_launched => {} // it comes with the program
            _ if is_quiet => {}
            event => all.tell(event),
        })
    }

    fn tell_where(&self, opened: &[Opened]) {
        for opened in opened.iter().filter(|_| !self.args.quiet) {
            terminal::tell(&format!("open     {}", places::shown(opened)));
        }
    }

    fn plan(&self, network: &Network, console: &Option<String>) -> Plan {
        Plan {
            show: None,
            filter: None,
            capture: Some(self.evidence.plan.clone()),
            is_live: true,
            is_unbuffered: self.args.recording.is_unbuffered,
            source: Source {
                name: network.tunnel.spec.text.clone(),
                description: "uarttool run".to_owned(),
                framing: network.tunnel.spec.options.framing,
                console: console.clone(),
            },
            count: None,
            clock: network.clock(),
        }
    }

    /// The console, and who hears of it.
    fn console(
        &self,
        network: &Network,
        text: &str,
        is_launched: bool,
    ) -> Result<(Box<dyn crate::endpoint::Connector>, Events)> {
        let mut spec = network.tunnel.console(text)?;
        let events = match is_launched {
            true => Events::ignore(), // it comes and goes with the program
            false => self.events(false),
        };
        if is_launched {
            spec.options.reconnect.get_or_insert(Duration::from_millis(10));
        }
        Ok((spec.open(&events, None), events))
    }
}

/// The tunnel, from inside of the event loop: looking for who holds it has a loop of its own.
fn find(args: &TunnelArgs, config: &Config) -> Result<Tunnel> {
    std::thread::scope(|scope| scope.spawn(|| target::tunnel(args, config)).join())
        .unwrap_or_else(|_| Err(Error::new(Category::Internal, "cannot look for the tunnel")))
}

/// An endpoint by which another uarttool, wherever it is started, attaches to our line.
async fn device(network: &mut Network, evidence: &Evidence) -> String {
    let spec = &network.tunnel.spec;
    let options =
        format!(",framing={},max-frame={}", spec.options.framing.name, spec.options.max_frame);
    let known = spec.identities().await.into_iter().next();
    let name = known.unwrap_or_else(|| {
        let name = format!("unix:{}", evidence.private.join("line.sock").display());
        network.add_name(name.clone());
        name
    });
    name + &options
}

/// Who waits for the device and for COMMAND.
struct Attendant<'a, 'b> {
    run: &'a mut Run<'b>,
    network: &'a Network,
    firmware: &'a mut Firmware,
    /// How the line ended, if it does.
    line: oneshot::Receiver<Result<End>>,
    witness: &'a Witness,
}

impl Attendant<'_, '_> {
    async fn attend(
        mut self,
        opened: &[Opened],
        variables: &[(String, std::ffi::OsString)],
        story: &mut Story,
    ) -> Result<Verdict> {
        let began = Instant::now();
        let args = self.run.args;
        let (wait, is_quiet) = (args.launch.wait, args.quiet);
        let answered = waiting::until_it_answers(&self.network.gateway, opened, wait, is_quiet);
        tokio::select! {
            biased;
            Some(_) = self.run.signals.recv() => return Ok(Verdict::Interrupted),
            ended = &mut self.line => return Err(lost(ended)),
            answered = answered => answered.map_err(|error| self.explained(error))?,
            sentence = self.firmware.gone() => {
                return Err(Error::environment(sentence)
                    .with_help("run it by itself to see all that it says"));
            }
        }
        if !is_quiet {
            let seconds = began.elapsed().as_secs_f64();
            terminal::tell(&format!("answers  after {seconds:.1} s"));
        }
        match UserCommand::start(&args.command, variables).await? {
            Ok(command) => self.watch(command, story).await,
            Err((code, why)) => {
                terminal::tell(&format!("uarttool: {why}"));
                Ok(Verdict::Program(code))
            }
        }
    }

    /// Waits for the end of COMMAND; brings it about when the firmware or the line ends for good.
    async fn watch(mut self, mut command: UserCommand, story: &mut Story) -> Result<Verdict> {
        let mut kill_at: Option<Instant> = None;
        let mut cut = None;
        let (mut is_told, mut pressed) = (false, Vec::new());
        let status = loop {
            let due = kill_at.unwrap_or_else(|| Instant::now() + GRACE);
            tokio::select! {
                biased;
                status = command.exited() => break status,
                Some(number) = self.run.signals.recv() => {
                    match number {
                        // It has it already, and may well go on; who insists is obeyed.
                        SIGINT if command.hears_the_terminal() => {
                            pressed.retain(|when: &Instant| when.elapsed() < INSISTENCE);
                            pressed.push(Instant::now());
                            if pressed.len() >= 3 {
                                command.pass(SIGKILL).await;
                            }
                        }
                        _ if std::mem::replace(&mut is_told, true) => command.pass(SIGKILL).await,
                        SIGINT => command.pass(SIGINT).await,
                        number => {
                            command.pass(number).await;
                            kill_at = Some(Instant::now() + GRACE);
                        }
                    }
                }
                sentence = self.firmware.gone(), if cut.is_none() => {
                    story.firmware_ended(sentence);
                    terminal::tell("the firmware has ended: ending the command");
                    cut = Some(Ok(Verdict::Failed));
                    command.pass(SIGTERM).await;
                    kill_at = Some(Instant::now() + GRACE);
                }
                ended = &mut self.line, if cut.is_none() => {
                    cut = Some(Err(lost(ended)));
                    command.pass(SIGTERM).await;
                    kill_at = Some(Instant::now() + GRACE);
                }
                () = tokio::time::sleep_until(due), if kill_at.is_some() => {
                    command.pass(SIGKILL).await;
                    kill_at = None;
                }
            }
        };
        let status = status.unwrap_or(Status::Signal(SIGKILL)); // together with its guard
        story.command(status, cut.is_some());
        cut.unwrap_or(Ok(Verdict::Program(status.exit_code())))
    }

    /// An error of waiting, with what is known about the line and the console.
    fn explained(&self, error: Error) -> Error {
        let seen = self.witness.seen();
        let line = match (seen.was_up, seen.frames, seen.errors) {
            (false, ..) => format!("there was no connection to {}", self.network.tunnel.spec.text),
            (true, 0, 0) => "nothing was heard on the line".to_owned(),
            (true, frames, errors) => format!(
                "on the line {} and {} were heard from it",
                terminal::count(frames, "frame"),
                terminal::count(errors, "framing error")
            ),
        };
        let output = self.firmware.output();
        let last = seen.console.last_lines().next_back().map(str::to_owned).or_else(|| {
            let last = output.lines().rfind(|line| !line.trim().is_empty())?;
            Some(crate::escape::terminal(last.as_bytes()).to_string())
        });
        let console = match last {
            Some(last) => format!("the console's last line is: {last}"),
            None => "the console has said nothing, or is not listened to".to_owned(),
        };
        error.with_help(format!("{line}\n{console}\ngive it more time with '--wait 2m'"))
    }
}

/// The line ended although nobody wanted it to.
fn lost(ended: Result<Result<End>, oneshot::error::RecvError>) -> Error {
    match ended {
        Ok(Err(error)) => error,
        Ok(Ok(End::Lost(how))) => Error::environment(format!("the line is gone: {how}")),
        Ok(Ok(End::Stopped | End::Finished)) | Err(_) => Error::environment("the line is gone"),
    }
}
