//! The run itself: firmware, line and forwards, and the end of all of them; `attendant` is what goes on in
//! between.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::args::RunArgs;
use super::attendant::Attendant;
use super::evidence::{Evidence, Witness};
use super::firmware::Firmware;
use super::places;
use super::story::Story;
use crate::capture::Source;
use crate::cli::args::TunnelArgs;
use crate::cli::config::Config;
use crate::cli::launch::{Launch, Launched, named};
use crate::cli::network::{self, Network};
use crate::cli::outputs::Plan;
use crate::cli::target::{self, Tunnel};
use crate::cli::{Verdict, signals, sink, terminal};
use crate::error::{Category, Error, Result};
use crate::event::{Event, Events};
use crate::gateway::Opened;
use crate::stop;

/// How often to look for a line whose firmware we start.
const AGAIN: Duration = Duration::from_millis(50);

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
    if !is_good {
        story.tell();
    }
    evidence.conclude(!is_good, &story.captures);
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
        let opened = network.open(self.args.network.forwards()).await?;
        self.tell_where(&opened);
        let witness = Witness::start(network.watch(), self.evidence.console_log().to_owned());
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
            let attendant = Attendant {
                args: self.args,
                signals: &mut self.signals,
                network: &network,
                firmware,
                line,
                witness: &witness,
            };
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
            story.captures = report.captures;
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
                (device, console) = launched.endpoints(&self.args.tunnel, console);
                self.tell_what_is_passed_over(launched);
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

    fn tell_what_is_passed_over(&self, launched: &Launched) {
        let Some(text) = launched.device.as_ref().filter(|_| !self.args.quiet) else { return };
        if let Some(sentence) = named::passed_over(text, &self.args.tunnel, self.config) {
            terminal::tell(&sentence);
        }
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
            terminal::tell(&format!("open     {}", network::shown(opened)));
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
