//! The network, the requests and the capture, from beginning to end.

use std::io::Write;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::HttpArgs;
use super::body::Body;
use super::exchange::{Exchanger, Outcome};
use super::folder::Folder;
use super::report::Reporter;
use super::request::Request;
use super::watch::Watch;
use crate::capture::{Source, series};
use crate::cli::network::Network;
use crate::cli::sink::{self, Plan, Report};
use crate::cli::{Verdict, signals};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::gateway::forward::{Forward, Listen, Protocol};
use crate::stop::{self, Stop, Stopper};
use crate::tap::End;

/// From one request to the next.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long the device has to answer the end of the last connection.
const FAREWELL: Duration = Duration::from_millis(500);
/// How often to look whether it has.
const GLANCE: Duration = Duration::from_millis(5);

/// Makes the requests.
pub(super) async fn run(
    args: HttpArgs,
    network: Network,
    request: Request,
    body: Body,
    out: Box<dyn Write>,
) -> Result<Verdict> {
    let (stopper, stop) = stop::pair();
    let interrupted = signals::watch(stopper.clone())?;
    let folder = Folder::new()?;
    let forward = Forward {
        protocol: Protocol::Tcp,
        listen: Listen::Unix(folder.socket()),
        guest: None,
        port: request.port(),
        span: 1,
    };
    network.open(&[forward]).await?;
    let capture = record(&args, &network, stopper.clone());
    let (clock, spec) = (network.clock(), network.tunnel.spec.text.clone());
    let exchanger = Exchanger::new(&folder.socket(), clock, args.patience(), args.keep_alive);
    let mut session = Session {
        args: &args,
        request: &request,
        watch: Watch::new(&network, args.stall, args.keep_alive),
        reporter: Reporter::new(args.manner(), out),
        body,
        under_way: None,
    };
    let (end, own) = session.on(&network, exchanger, stop, &stopper).await;
    let Session { mut reporter, body, .. } = session;
    drop(network); // and with it the bus: the capture ends
    let capture = match capture {
        Some(report) => report.await.ok().and_then(|report| report.error),
        None => None,
    };
    reporter.finish(&request);
    if reporter.is_abandoned || body.is_abandoned {
        return Ok(verdict(&reporter, interrupted.is_set())); // quietly, and it is what it is
    }
    match own.err().or(reporter.failure.take()).or(capture).or(gone(end, &spec)) {
        Some(error) => Err(error),
        None => Ok(verdict(&reporter, interrupted.is_set())),
    }
}

/// How it ended when nothing was wrong around us.
fn verdict(reporter: &Reporter, is_interrupted: bool) -> Verdict {
    let sums = reporter.sums();
    match (sums.requests, sums.requests == sums.ok) {
        (0, _) if is_interrupted => Verdict::Interrupted,
        (0, _) | (_, false) => Verdict::Failed,
        (_, true) => Verdict::Done,
    }
}

/// The error of a line that ended by itself.
fn gone(end: Result<End>, spec: &str) -> Option<Error> {
    match end {
        Err(error) => Some(error),
        Ok(End::Stopped) => None,
        Ok(End::Finished) => Some(Error::environment(format!("{spec} came to its end"))),
        Ok(End::Lost(how)) => {
            let error = Error::environment(format!("{spec} went away: {how}"));
            let help = "to go on when it comes back, add ',reconnect=1s' to the endpoint";
            Some(error.with_help(help))
        }
    }
}

/// Starts the capture, if one is wanted.
fn record(
    args: &HttpArgs,
    network: &Network,
    stopper: Stopper,
) -> Option<oneshot::Receiver<Report>> {
    let target = args.capture.pcap.clone()?;
    let (rotation, snap_length) = (series::Rotation::default(), None);
    let spec = &network.tunnel.spec;
    let plan = Plan {
        show: None,
        filter: None,
        capture: Some(series::Plan { target, rotation, snap_length, link: None }),
        is_live: true,
        is_unbuffered: false,
        source: Source {
            name: spec.text.clone(),
            description: "uarttool http".to_owned(),
            framing: spec.options.framing,
            console: None,
        },
        count: None,
        clock: network.clock(),
    };
    Some(sink::start(plan, network.watch(), stopper))
}

/// Lets connections end in order: a device has few of them.
async fn farewell(network: &Network) {
    let deadline = Instant::now() + FAREWELL;
    while network.gateway.open_flows() > 0 && Instant::now() < deadline {
        tokio::time::sleep(GLANCE).await;
    }
}

/// Requests, one after the other.
struct Session<'a> {
    args: &'a HttpArgs,
    request: &'a Request,
    watch: Watch,
    reporter: Reporter,
    body: Body,
    /// When the one that is under way began.
    under_way: Option<Timestamp>,
}

impl Session<'_> {
    /// Makes all of them while `network` is on the line: how the line ended, and what went wrong here.
    async fn on(
        &mut self,
        network: &Network,
        exchanger: Exchanger,
        stop: Stop,
        stopper: &Stopper,
    ) -> (Result<End>, Result<()>) {
        let line = network.run(stop, || {});
        tokio::pin!(line);
        let own = tokio::select! {
            biased;
            end = &mut line => {
                self.break_off(matches!(end, Ok(End::Stopped)));
                return (end, Ok(()));
            }
            own = self.requests(exchanger) => own, // its connections end with it
        };
        let goodbye = self.watch.during(farewell(network));
        tokio::select! {
            biased;
            end = &mut line => (end, own),
            () = goodbye => {
                stopper.stop();
                (line.await, own)
            }
        }
    }

    async fn requests(&mut self, mut exchanger: Exchanger) -> Result<()> {
        self.watch.until_up().await;
        let interval = self.args.interval.unwrap_or(INTERVAL);
        let mut next = Instant::now();
        let mut left = self.args.times();
        loop {
            self.under_way = Some(self.watch.now());
            let (watch, body) = (&mut self.watch, &mut self.body);
            let outcome = exchanger.exchange(self.request, watch, body).await?;
            self.under_way = None;
            self.reporter.outcome(self.request, &outcome);
            left = left.map(|left| left - 1);
            if left == Some(0) || self.reporter.has_failed() || self.body.is_abandoned {
                return Ok(());
            }
            next = (next + interval).max(Instant::now());
            self.watch.during(tokio::time::sleep_until(next)).await;
        }
    }

    /// The line is gone, or we are to stop, and the request ends that is under way.
    fn break_off(&mut self, is_wanted: bool) {
        let Some(began) = self.under_way else { return };
        let now = self.watch.now();
        let why = if is_wanted { "interrupted" } else { "the tunnel went away" };
        let outcome = Outcome {
            began,
            total: now.since(began),
            failure: Some(why.to_owned()),
            judgement: self.watch.judge(now),
            ..Outcome::default()
        };
        match is_wanted {
            true => self.reporter.broken_off(self.request, &outcome),
            false => self.reporter.outcome(self.request, &outcome),
        }
    }
}
