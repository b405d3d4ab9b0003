//! What a command does around its conversation with the device: the line, the capture, the way out.
//!
//! A [`Session`] knows the line and who is at its ends before it is open, so that what cannot be sent is
//! refused first. [`Session::run`] opens it, has the conversation, leaves the line as it should be left and
//! ends the capture. What is said goes to [`Out`].

mod life;
mod out;

use std::time::Duration;

pub use life::life_text;
pub use out::{Out, milliseconds};
use tokio::sync::oneshot;

use super::args::{AddressArgs, CaptureArgs, TunnelArgs};
use super::signals::Interrupted;
use super::sink::{self, Plan as SinkPlan};
use super::target::{self, Tunnel};
use super::{Verdict, connect, signals, terminal};
use crate::bus::Bus;
use crate::capture::{Source, series};
use crate::clock::Clock;
use crate::endpoint::Connector;
use crate::endpoint::sharing::Sharing;
use crate::error::{Error, Result};
use crate::event::Events;
use crate::probe::{Identity, Probe};
use crate::record::Record;
use crate::stop::{self, Stop, Stopper};

/// How long a conversation may take to come to its end when it is told to stop.
const GRACE: Duration = Duration::from_secs(2);

/// A line that is not open yet.
pub struct Session<'a> {
    title: &'static str,
    /// Where the line is.
    pub tunnel: Tunnel,
    /// Who is at its ends.
    pub identity: Identity,
    /// When it is over, whatever has been said until then.
    pub deadline: Option<Duration>,
    capture: &'a CaptureArgs,
}

/// What a conversation has.
pub struct Turn<'a> {
    /// We, on the line.
    pub probe: &'a mut Probe,
    /// The word to stop.
    pub stop: &'a mut Stop,
    /// Where lines go.
    pub out: &'a mut Out,
    /// What makes the line anew, if it is meant to come back.
    pub connector: Option<&'a dyn Connector>,
    interrupted: Interrupted,
}

impl Turn<'_> {
    /// Tells whether it is the user who wants it to stop.
    pub fn interrupted(&self) -> Interrupted {
        self.interrupted.clone()
    }
}

/// How a capture ends, if there is one.
type Report = Option<oneshot::Receiver<sink::Report>>;

impl<'a> Session<'a> {
    /// The line that the user means. The first word of `title` is the command.
    pub fn new(
        title: &'static str,
        tunnel: &TunnelArgs,
        addresses: &AddressArgs,
        capture: &'a CaptureArgs,
    ) -> Result<Self> {
        let config = target::config()?.preset(tunnel.preset)?;
        let tunnel = target::tunnel(tunnel, &config)?;
        let identity = target::identity_on(&tunnel.spec, addresses, &config)?;
        capture.check()?;
        Ok(Session { title, tunnel, identity, deadline: None, capture })
    }

    /// Whether the line is a stream of bytes, as far as can be told before it is open.
    pub fn is_stream(&self) -> bool {
        let spec = &self.tunnel.spec;
        spec.form.name != "tap" && !spec.options.framing.is_message()
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
        talk: impl AsyncFnOnce(&mut Turn<'_>) -> Result<Verdict>,
    ) -> Result<Verdict> {
        if let Some(why) = &self.tunnel.why {
            terminal::tell(&format!("using {}: {why}", self.tunnel.spec.text));
        }
        super::block_on(self.talk(out, talk))
    }

    async fn talk(
        self,
        out: &mut Out,
        talk: impl AsyncFnOnce(&mut Turn<'_>) -> Result<Verdict>,
    ) -> Result<Verdict> {
        let (stopper, mut stop) = stop::pair();
        out.stops(&stopper);
        let interrupted = signals::watch(stopper.clone())?;
        self.watch_deadline(&stopper);
        let (clock, events) = (Clock::system(), terminal::events_beside_lines());
        let sharing = self.sharing(&clock, &events).await;
        let spec = &self.tunnel.spec;
        // It has what the link stands on, such as a socket's name, and so lives as long.
        let connector = connect::open(spec, &events, self.tunnel.attach(self.command()))?;
        connector.prepare().await?;
        let link = tokio::select! {
            biased;
            () = stop.wait() => return self.not_there_in_time(&interrupted),
            link = connector.connect() => link?,
        };
        let mut bus = Bus::default();
        let report = self.capture(&mut bus, &clock, stopper);
        let mut probe =
            Probe::new(link, &spec.options, self.identity, clock, events, bus).sharing(sharing);
        let mut patience = stop.clone();
        let again = Some(&*connector).filter(|connector| connector.is_persistent());
        let mut turn =
            Turn { probe: &mut probe, stop: &mut stop, out, connector: again, interrupted };
        let verdict = tokio::select! {
            verdict = talk(&mut turn) => verdict,
            () = async { patience.wait().await; tokio::time::sleep(GRACE).await } => {
                terminal::tell("stopped in the middle of sending");
                Ok(Verdict::Interrupted)
            }
        };
        probe.leave().await;
        drop(probe); // and with it the bus: the capture ends
        let failure = ended(report).await;
        let verdict = verdict?;
        failure.map_or(Ok(verdict), Err)
    }

    fn watch_deadline(&self, stopper: &Stopper) {
        let Some(deadline) = self.deadline else { return };
        let stopper = stopper.clone();
        tokio::spawn(async move {
            tokio::time::sleep(deadline).await;
            stopper.stop();
        });
    }

    /// What others know us by.
    fn command(&self) -> &'static str {
        self.title.split(' ').next().unwrap_or_default()
    }

    /// What shares the line with others.
    async fn sharing(&self, clock: &Clock, events: &Events) -> Sharing {
        let (command, folder) = (self.command(), self.tunnel.folder.clone());
        let mut sharing = Sharing::new(folder, command, &self.tunnel.spec, clock, events).await;
        let pid = std::process::id();
        sharing.set_busy(Some(format!("{command} (pid {pid}) is sending itself")));
        sharing
    }

    /// The word to stop came before there was a connection.
    fn not_there_in_time(&self, interrupted: &Interrupted) -> Result<Verdict> {
        match interrupted.is_set() {
            true => Ok(Verdict::Interrupted),
            false => {
                let text = format!("{} was not there in time", self.tunnel.spec.text);
                Err(Error::environment(text))
            }
        }
    }

    /// Writes records to the capture that was asked for; no line is opened.
    pub fn write(&self, records: &[Record]) -> Result<()> {
        super::block_on(async {
            let (stopper, _) = stop::pair();
            let mut bus = Bus::default();
            let report = self.capture(&mut bus, &Clock::system(), stopper);
            for record in records {
                bus.publish_patiently(record).await;
            }
            drop(bus);
            ended(report).await.map_or(Ok(()), Err)
        })
    }

    /// Starts the capture that was asked for.
    fn capture(&self, bus: &mut Bus, clock: &Clock, stopper: Stopper) -> Report {
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
                description: format!("uarttool {}", self.title),
                framing: self.tunnel.spec.options.framing,
                console: None,
            },
            count: None,
            clock: clock.clone(),
        };
        Some(sink::start(plan, bus.watch(), stopper))
    }
}

/// What went wrong with the capture.
async fn ended(report: Report) -> Option<Error> {
    report?.await.ok()?.error
}
