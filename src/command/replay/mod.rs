//! `uarttool replay`: a capture is sent again, in its time, and the answers are compared.

mod args;
mod drive;
mod hints;
mod incomparable;
mod report;
mod who;

use std::io::Write;
use std::net::Ipv4Addr;
use std::time::Duration;

pub use args::ReplayArgs;
use drive::{Done, Drive, Plan};
use report::{Progress, Told};
use who::Who;

use crate::bus::Bus;
use crate::capture::{self, series};
use crate::cli::scribe::Scribe;
use crate::cli::sink::{self, Plan as SinkPlan};
use crate::cli::target::{self, Tunnel};
use crate::cli::{self, Verdict, connect, signals, terminal};
use crate::clock::Clock;
use crate::endpoint::sharing::Sharing;
use crate::endpoint::{Connector, Link, paced};
use crate::error::{Category, Error, Result};
use crate::event::Events;
use crate::probe::{Identity, Probe};
use crate::proto::{ethernet, ipv4_at};
use crate::record::LinkType;
use crate::replay::conversation::Side;
use crate::replay::expect::Judge;
use crate::replay::limits::Limits;
use crate::replay::link;
use crate::replay::metronome::Metronome;
use crate::replay::source::{self, Ends, Source, What};
use crate::stop;

/// How long nothing is looked at but what is waited for.
const FAR: Duration = Duration::from_millis(250);
/// Frames that go in one write at most, when they are late.
const TOGETHER: usize = 256;

/// Runs the command.
pub fn run(args: ReplayArgs) -> Result<Verdict> {
    let config = target::config()?;
    let tunnel = target::tunnel(&args.tunnel, &config)?;
    let identity = target::identity(&args.addresses.line(), &config)?;
    args.check()?;
    super::decode::refuse_the_same_file(&args.file, args.recording().as_ref())?;
    if let Some(why) = &tunnel.why {
        terminal::tell(&format!("using {}: {why}", tunnel.spec.text));
    }
    cli::block_on(replay(args, tunnel, identity))
}

async fn replay(args: ReplayArgs, tunnel: Tunnel, identity: Identity) -> Result<Verdict> {
    let (stopper, mut stop) = stop::pair();
    let interrupted = signals::watch(stopper.clone())?;
    let scribe = Scribe::start()?;
    let who = Who::new(&args, &tunnel.spec, &identity);
    let (mut source, what) = source::start(args.job(&tunnel.spec, &who, &stop))?;
    scribe.tell(&format!("replaying {what}"));
    who.told.iter().for_each(|told| scribe.tell(told));
    let mut bus = Bus::default();
    let clock = Clock::system();
    let recording = args.recording();
    let recording =
        recording.map(|plan| sink::start(sink_plan(plan, &tunnel, &clock), bus.watch(), stopper));
    // The connector has what the link stands on, such as a socket's name, and so lives as long.
    let (probe, _connector) = tokio::select! {
        biased;
        () = stop.wait() => {
            scribe.tell("interrupted before anything was sent");
            scribe.finish();
            return Ok(Verdict::Interrupted);
        }
        met = meet(&args, &tunnel, identity, &mut source, (&scribe, clock, bus)) => met?,
    };
    let is_paced = args.line_rate().or(tunnel.spec.options.line_rate).is_some();
    let mut drive = Drive {
        probe,
        source,
        schedule: args.schedule(),
        metronome: Metronome::fine(),
        session: args.session(),
        judge: args.judge(),
        plan: Plan {
            timeout: args.timeout(),
            together: if is_paced { 1 } else { TOGETHER },
            limit: args.limit(),
            name: args.file.display().to_string(),
        },
        stop,
        totals: drive::Totals::default(),
        limits: Limits::default(),
        end: None,
        start: None,
        batch: Vec::new(),
        batch_bytes: 0,
        asked: None,
        answer_time: Duration::ZERO,
        round: 0,
        has_told_gap: false,
        progress: Progress::new(&scribe, args.is_quiet()),
    };
    let ended = drive.run().await;
    drive.leave().await;
    let done = drive.done(); // and with the probe the bus is gone: the capture ends
    let written = match recording {
        Some(report) => report.await.ok(),
        None => None,
    };
    scribe.finish();
    let lacks = written.as_ref().map(|report| report::lacks(&report.totals)).unwrap_or_default();
    let error = ended.err().or(written.and_then(|report| report.error));
    conclude(&args, &done, interrupted.is_set(), (error, &who.ends, &lacks))
}

/// A host on the line with the addresses of whoever speaks in the recording: it is for them that the device asks.
async fn meet(
    args: &ReplayArgs,
    tunnel: &Tunnel,
    identity: Identity,
    source: &mut Source,
    (scribe, clock, bus): (&Scribe, Clock, Bus),
) -> Result<(Probe, Box<dyn Connector>)> {
    let teller = scribe.clone();
    let events = Events::new(move |event| teller.tell(&event.to_string()));
    let identity = speaker(source, identity).await?;
    let spec = &tunnel.spec;
    let mut sharing = Sharing::new(tunnel.folder.clone(), "replay", spec, &clock, &events).await;
    sharing.set_busy(Some(format!("replay (pid {}) is sending itself", std::process::id())));
    let connector = connect::open(spec, &events, tunnel.attach("replay"))?;
    connector.prepare().await?;
    let link = connector.connect().await?;
    let link = match args.line_rate() {
        Some(baud) => Link { tx: paced::paced(link.tx, baud, spec.options.framing), ..link },
        None => link,
    };
    let mut probe = Probe::new(link, &spec.options, identity, clock, events, bus).sharing(sharing);
    probe.fix_identity();
    Ok((probe, connector))
}

/// Reports, and says how it ended.
fn conclude(
    args: &ReplayArgs,
    done: &Done,
    is_interrupted: bool,
    (error, ends, lacks): (Option<Error>, &Ends, &str),
) -> Result<Verdict> {
    let Done { totals, judge, schedule, is_damaged } = done;
    let is_interrupted = is_interrupted && !totals.is_settled;
    let told = Told { args, totals, schedule, judge: judge.as_ref(), lacks };
    let is_cut_short = is_interrupted || error.is_some() && !totals.is_complete;
    let text = told.text(is_cut_short, ends);
    if std::io::stdout().write_all(text.as_bytes()).is_err() {
        return Ok(Verdict::Done); // nobody reads
    }
    match error {
        Some(error) => Err(error),
        None if is_interrupted => Ok(Verdict::Interrupted),
        None if totals.sent == 0 => Err(nothing_sent(args)),
        None if judge.as_ref().is_some_and(|judge| !judge.is_content()) => Ok(Verdict::Failed),
        None if judge.as_ref().is_some_and(|judge| !judge.has_compared()) => {
            let speakers = judge.as_ref().map(Judge::speakers).unwrap_or_default();
            Err(incomparable::error(speakers, ends, args.sends_to_device()))
        }
        None if *is_damaged => Err(Error::new(
            Category::InputFile,
            "the file is damaged; what could be read was replayed",
        )),
        None => Ok(Verdict::Done),
    }
}

fn nothing_sent(args: &ReplayArgs) -> Error {
    let text = format!("no frame of '{}' was sent", args.file.display());
    let direction = if args.sends_to_device() { "to the device" } else { "from the device" };
    let narrower = match args.narrower() {
        None => String::new(),
        Some(by) => format!(", as far as {by} lets them through"),
    };
    Error::new(Category::InputFile, text).with_help(format!(
        "what is sent are the frames {direction}{narrower}; 'uarttool decode' shows them all, '--only' says which \
         are meant, and where the capture does not know directions, '--device-ip' says who the device was",
    ))
}

/// The addresses of whoever speaks in the first frame that is sent.
async fn speaker(source: &mut Source, identity: Identity) -> Result<Identity> {
    let mut seen = Vec::new();
    let mut found = identity;
    while let Some(item) = source.next().await? {
        let frame = match &item.what {
            What::Frame(Side::Ours, frame) => Some(frame.clone()),
            _ => None,
        };
        seen.push(item);
        if let Some(frame) = frame {
            if let Some(mac) = ethernet::source(&frame) {
                let host_ip = sender(&frame).unwrap_or(identity.host_ip);
                found = Identity { host_ip, host_mac: mac.into(), ..identity };
            }
            break;
        }
        if seen.len() > 10_000 {
            break;
        }
    }
    seen.into_iter().rev().for_each(|item| source.put_back(item));
    Ok(found)
}

/// The IPv4 address of whoever has sent a frame, tagged ones too.
fn sender(frame: &[u8]) -> Option<Ipv4Addr> {
    let (kind, at) = link::locate(LinkType::ETHERNET, frame).ok()?;
    let ip = match kind {
        link::IPV4 => ipv4_at(frame, at + 12)?,
        link::ARP => ipv4_at(frame, at + 14)?,
        _ => return None,
    };
    (!ip.is_unspecified() && !ip.is_multicast()).then_some(ip)
}

fn sink_plan(capture: series::Plan, tunnel: &Tunnel, clock: &Clock) -> SinkPlan {
    SinkPlan {
        show: None,
        filter: None,
        capture: Some(capture),
        is_live: true,
        is_unbuffered: false,
        source: capture::Source {
            name: tunnel.spec.text.clone(),
            description: "uarttool replay".to_owned(),
            framing: tunnel.spec.options.framing,
            console: None,
        },
        count: None,
        clock: clock.clone(),
    }
}
