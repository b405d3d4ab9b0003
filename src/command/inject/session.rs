//! What each of these commands does around its conversation: the line, the capture, the way out.

use std::time::Duration;

use super::out::Out;
use crate::bus::Bus;
use crate::capture::{Source, series};
use crate::cli::args::{AddressArgs, CaptureArgs, TunnelArgs};
use crate::cli::sink::{self, Plan as SinkPlan};
use crate::cli::target::{self, Tunnel};
use crate::cli::{self, Verdict, signals, terminal};
use crate::clock::Clock;
use crate::endpoint::sharing::Sharing;
use crate::error::{Error, Result};
use crate::probe::{Identity, Probe};
use crate::stop::{self, Stop, Stopper};

/// How long a conversation may take to come to its end when it is told to stop.
const GRACE: Duration = Duration::from_secs(2);

/// A line that is not open yet.
pub(super) struct Session<'a> {
    name: &'static str,
    pub tunnel: Tunnel,
    pub identity: Identity,
    capture: &'a CaptureArgs,
}

impl<'a> Session<'a> {
    /// The line that the user means, for the command `name`.
    pub fn new(
        name: &'static str,
        tunnel: &TunnelArgs,
        addresses: &AddressArgs,
        capture: &'a CaptureArgs,
    ) -> Result<Self> {
        let config = target::config()?.preset(tunnel.preset)?;
        let tunnel = target::tunnel(tunnel, &config)?;
        let identity = target::identity_on(&tunnel.spec, addresses, &config)?;
        capture.check()?;
        Ok(Session { name, tunnel, identity, capture })
    }

    /// Refuses frames that the line does not carry.
    pub fn check_length(&self, length: usize) -> Result<()> {
        let most = self.tunnel.spec.options.max_frame;
        if length <= most {
            return Ok(());
        }
        let text = format!("a frame of {length} bytes is asked for; the line carries {most}");
        Err(Error::usage(text).with_help("shorten it, or raise the limit with '--max-frame'"))
    }

    /// Opens the line, has the conversation, and leaves.
    pub fn run(
        self,
        out: &mut Out,
        talk: impl AsyncFnOnce(&mut Probe, &mut Stop, &mut Out) -> Result<Verdict>,
    ) -> Result<Verdict> {
        if let Some(why) = &self.tunnel.why {
            terminal::tell(&format!("using {}: {why}", self.tunnel.spec.text));
        }
        cli::block_on(self.talk(out, talk))
    }

    async fn talk(
        self,
        out: &mut Out,
        talk: impl AsyncFnOnce(&mut Probe, &mut Stop, &mut Out) -> Result<Verdict>,
    ) -> Result<Verdict> {
        let spec = &self.tunnel.spec;
        let (stopper, mut stop) = stop::pair();
        out.stops(&stopper);
        let interrupted = signals::watch(stopper.clone())?;
        let clock = Clock::system();
        let events = terminal::events_beside_lines();
        let folder = self.tunnel.folder.clone();
        let mut sharing = Sharing::new(folder, "inject", spec, &clock, &events).await;
        let pid = std::process::id();
        sharing.set_busy(Some(format!("inject (pid {pid}) is sending itself")));
        let connector = cli::connect::open(spec, &events, self.tunnel.attach("inject"))?;
        connector.prepare().await?;
        let link = tokio::select! {
            biased;
            () = stop.wait() => return match interrupted.is_set() {
                true => Ok(Verdict::Interrupted),
                false => Err(Error::environment(format!("{} was not there in time", spec.text))),
            },
            link = connector.connect() => link?,
        };
        let mut bus = Bus::default();
        let report = self.capture(&mut bus, &clock, stopper);
        let mut probe =
            Probe::new(link, &spec.options, self.identity, clock, events, bus).sharing(sharing);
        let mut patience = stop.clone();
        let verdict = tokio::select! {
            verdict = talk(&mut probe, &mut stop, out) => verdict,
            () = async { patience.wait().await; tokio::time::sleep(GRACE).await } => {
                terminal::tell("stopped in the middle of sending");
                Ok(Verdict::Interrupted)
            }
        };
        let _ = tokio::time::timeout(GRACE, probe.leave()).await; // a line that takes nothing is not waited for
        drop(probe); // and with it the bus: the capture ends
        let failure = match report {
            Some(report) => report.await.ok().and_then(|report| report.error),
            None => None,
        };
        match (verdict?, failure) {
            (_, Some(error)) => Err(error),
            (Verdict::Failed, None) if interrupted.is_set() => Ok(Verdict::Interrupted),
            (verdict, None) => Ok(verdict),
        }
    }

    /// Starts the capture that was asked for.
    fn capture(
        &self,
        bus: &mut Bus,
        clock: &Clock,
        stopper: Stopper,
    ) -> Option<tokio::sync::oneshot::Receiver<sink::Report>> {
        let target = self.capture.pcap.clone()?;
        let plan = SinkPlan {
            show: None,
            filter: None,
            capture: Some(series::Plan {
                target,
                rotation: series::Rotation::default(),
                snap_length: None,
                link: None,
            }),
            is_live: true,
            is_unbuffered: false,
            source: Source {
                name: self.tunnel.spec.text.clone(),
                description: format!("uarttool inject {}", self.name),
                framing: self.tunnel.spec.options.framing,
                console: None,
            },
            count: None,
            clock: clock.clone(),
        };
        Some(sink::start(plan, bus.watch(), stopper))
    }
}
