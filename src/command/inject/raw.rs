//! `uarttool inject raw`: any frame at all.

mod report;
mod shots;

use std::ops::RangeInclusive;
use std::time::Duration;

use clap::Args;
use report::Reporter;
use shots::Shots;

use super::disguise::DisguiseArgs;
use super::out::Out;
use super::session::Session;
use super::{data, frames};
use crate::cli::args::{AddressArgs, CaptureArgs, TunnelArgs};
use crate::cli::{Verdict, terminal};
use crate::command::decode::FileFormat;
use crate::craft::text::{self, Recipe};
use crate::dissect::Dissector;
use crate::endpoint::spec::{parse_duration, parse_positive};
use crate::error::{Error, Result};
use crate::probe::inject::raw::{self, Plan};
use crate::probe::inject::sentinel::Life;
use crate::probe::inject::{self, Disguise, wire};

const EXAMPLES: &str = "\
Examples:
  uarttool inject raw 'eth/ip(ttl=1)/icmp/\"hello\"'        each field automatic or as given
  uarttool inject raw icmp                                outer layers are added
  uarttool inject raw 'ip(ihl=4)/icmp' 'ip(total_length=1000)/icmp'
                                                          frames that lie, one after the other
  uarttool inject raw 'ip6(hop_limit=1)/icmp6/pattern(100)'
  uarttool inject raw 'tcp(dst_port=80,flags=S,option.mss=1460,option.nop)'
  uarttool inject raw 0x0200000000020200000000010806...   bytes; '-' reads a hex dump from stdin
  uarttool inject raw out.pcapng --frame 7                a frame of a capture
  uarttool inject raw 'udp/\"x\"' --fuzz 1000 --seed 7      does it survive? Each variant again with
                                                          '--variant N'
  uarttool inject raw 'udp(trailer=0xff)' --dry-run -x    look, and send nothing
  uarttool inject raw --list tcp                          the fields of a layer

Exit status: 0 sent, and the device lives; 1 it does not answer any more after something malformed;
2 usage; 3 the tunnel is not there or went away; 4 a capture is unreadable.";

/// Send any frame: layers as text, hex, frames of a capture
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct RawArgs {
    /// Frames: layers such as 'ip(ttl=1)/icmp', hex behind 0x, text, a capture or hex dump, '-' for stdin
    #[arg(value_name = "FRAME", required_unless_present = "list")]
    frames: Vec<String>,
    /// Show the layers, or the fields of one, and send nothing
    #[arg(long, value_name = "LAYER", num_args = 0..=1, default_missing_value = "")]
    list: Option<String>,
    /// Show the frames and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Stop after N frames; those given are sent again and again
    #[arg(short = 'c', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Stop sending after this time
    #[arg(long, value_name = "TIME", value_parser = parse_positive)]
    duration: Option<Duration>,
    /// From one frame to the next: 1s, 0.2, 10ms [default: 10ms; 0 with --flood]
    #[arg(short = 'i', long, value_name = "TIME", value_parser = parse_duration)]
    interval: Option<Duration>,
    /// How long to listen behind the last frame, and for a sign of life
    #[arg(short = 'W', long, value_name = "TIME", default_value = "1s", value_parser = parse_positive)]
    timeout: Duration,
    /// As fast as the line takes them; needs -c or --duration
    #[arg(long, conflicts_with = "interval")]
    flood: bool,
    /// Only frame N of a file
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    frame: Option<u64>,
    /// What a file is, when it is not found out by itself: digits alone are hex
    #[arg(long, value_name = "FORMAT")]
    format: Option<FileFormat>,
    /// Append so many bytes of data, from A to B: 0..1472, or 0..1472/8 in steps of 8
    #[arg(long, value_name = "A..B", value_parser = parse_sweep)]
    sweep: Option<Sweep>,
    /// Send N damaged variants instead, asking after each whether the device lives
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "sweep")]
    fuzz: Option<u64>,
    /// Only variant N of the seed
    #[arg(long, value_name = "N", requires = "seed", conflicts_with_all = ["fuzz", "sweep"],
        value_parser = clap::value_parser!(u64).range(1..))]
    variant: Option<u64>,
    /// Where chance starts, for --fuzz and random(N) [default: another each time]
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// Show the bytes too; twice: and the characters
    #[arg(short = 'x', action = clap::ArgAction::Count)]
    hex: u8,
    /// Show every layer and field
    #[arg(long)]
    tree: bool,
    /// Only the sum at the end
    #[arg(short = 'q', long)]
    quiet: bool,
    #[command(flatten)]
    disguise: DisguiseArgs,
    #[command(flatten)]
    tunnel: TunnelArgs,
    #[command(flatten)]
    addresses: AddressArgs,
    #[command(flatten)]
    capture: CaptureArgs,
}

/// Sizes of data.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sweep {
    sizes: RangeInclusive<usize>,
    step: usize,
}

fn parse_sweep(text: &str) -> Result<Sweep, String> {
    let bad = || format!("'{text}' is not a range of sizes such as 0..1472 or 0..1472/8");
    let (range, step) = text.split_once('/').unwrap_or((text, "1"));
    let (from, to) = range.split_once("..").ok_or_else(bad)?;
    let number = |part: &str| part.parse().ok().filter(|n: &usize| *n <= 65_535).ok_or_else(bad);
    let (from, to, step) = (number(from)?, number(to)?, number(step)?);
    if from > to || step == 0 {
        return Err(bad());
    }
    Ok(Sweep { sizes: from..=to, step })
}

/// Runs the command.
pub(super) fn run(args: RawArgs) -> Result<Verdict> {
    let mut out = Out::new(&args.capture);
    if let Some(name) = &args.list {
        let name = Some(name.as_str()).filter(|name| !name.is_empty());
        let lines = text::describe(name).map_err(Error::usage)?;
        lines.iter().for_each(|line| out.say(line));
        out.finish()?;
        return Ok(Verdict::Done);
    }
    args.check()?;
    let disguise = args.disguise.disguise()?;
    let number = args.frame.map(|n| n as usize);
    let mut recipes =
        frames::understand(&args.frames, number, args.format.map(FileFormat::format))?;
    for recipe in &mut recipes {
        disguise.put_on(recipe)?;
    }
    let session = Session::new("raw", &args.tunnel, &args.addresses, &args.capture)?;
    let ends = inject::ends(&session.identity, None);
    let seed = args.seed.unwrap_or_else(data::new_seed);
    let mut shots = Shots::new(recipes, ends, seed).cut(disguise.wire);
    if let Some(sweep) = &args.sweep {
        shots = shots.sweep(sweep.sizes.clone(), sweep.step);
    }
    match (args.fuzz, args.variant) {
        (Some(count), _) => shots = shots.fuzz(1..=count),
        (None, Some(number)) => shots = shots.fuzz(number..=number),
        (None, None) => {}
    }
    if disguise.wire.length_prefix.is_none() && shots.any(<[u8]>::is_empty) {
        return Err(wire::no_bytes());
    }
    let is_endless = args.duration.is_some() && args.count.is_none();
    shots = shots.bounded(args.count, is_endless);
    if args.dry_run {
        let verdict = args.show(shots, &disguise, &session, &mut out)?;
        out.finish()?;
        return Ok(verdict);
    }
    if !disguise.wire.is_unframed {
        session.check_length(shots.longest())?;
    }
    disguise.wire.check(session.tunnel.spec.options.framing, true)?;
    let verdict = args.send(session, shots, disguise, seed, &mut out)?;
    out.finish()?;
    Ok(verdict)
}

impl RawArgs {
    fn check(&self) -> Result<()> {
        if self.flood && self.count.is_none() && self.duration.is_none() {
            return Err(Error::usage(
                "'--flood' needs an end: '-c N' frames, or '--duration TIME'",
            ));
        }
        if self.interval == Some(Duration::ZERO) && self.count.is_none() && self.duration.is_some()
        {
            return Err(Error::usage("'-i 0' is a flood: say so with '--flood'"));
        }
        Ok(())
    }

    /// Shows what would be sent.
    fn show(
        &self,
        mut shots: Shots,
        disguise: &Disguise,
        session: &Session<'_>,
        out: &mut Out,
    ) -> Result<Verdict> {
        if self.count.is_none() && self.duration.is_some() {
            return Err(Error::usage("'--dry-run' knows no time: bound it with '-c N'"));
        }
        let framing = session.tunnel.spec.options.framing;
        disguise.wire.check(framing, true)?;
        let mut reporter = Reporter::new(out, self.hex, self.tree, false, disguise, framing);
        for (frame, remark) in &mut shots {
            reporter.sent(&frame, remark.as_deref());
        }
        if shots.uses_chance() {
            terminal::tell(&format!("seed {}", shots.seed()));
        }
        Ok(Verdict::Done)
    }

    fn send(
        &self,
        session: Session<'_>,
        mut shots: Shots,
        disguise: Disguise,
        seed: u64,
        out: &mut Out,
    ) -> Result<Verdict> {
        let is_fuzz = self.fuzz.is_some() || self.variant.is_some();
        let is_malformed = is_fuzz || disguise.is_malformed() || shots.any(is_malformed);
        let plan = Plan {
            interval: match (self.interval, self.flood) {
                (Some(interval), _) => interval,
                (None, true) => Duration::ZERO,
                (None, false) => Duration::from_millis(10),
            },
            timeout: self.timeout,
            duration: self.duration,
            wire: disguise.wire,
            is_checked_each_time: is_fuzz,
            is_checked: is_malformed,
        };
        if shots.uses_chance() {
            terminal::tell(&format!("seed {seed}"));
        }
        let framing = session.tunnel.spec.options.framing;
        session.run(out, async |probe, stop, out| {
            // Where the device is may be learned meanwhile; these go where the user said.
            plan.wire.check(probe.framing(), probe.is_stream())?;
            let mut reporter =
                Reporter::new(out, self.hex, self.tree, self.quiet, &disguise, framing);
            let mut tell = |event: raw::Event<'_>| reporter.event(&event);
            let sending = raw::run(probe, &plan, &mut shots, stop, &mut tell);
            let most = plan.duration.map(|most| most + plan.timeout + STUCK);
            let sum = match most {
                Some(most) => tokio::time::timeout(most, sending).await.map_err(|_| stuck())??,
                None => sending.await?,
            };
            reporter.sum(&sum, self.timeout, is_fuzz.then_some(seed));
            Ok(match sum.life {
                Some(Life::Silent) => Verdict::Failed,
                _ if sum.sent == 0 => Verdict::Failed,
                _ => Verdict::Done,
            })
        })
    }
}

/// Beyond its time, a frame may take so long to go out.
const STUCK: Duration = Duration::from_secs(2);

fn stuck() -> Error {
    Error::environment("the line takes nothing any more: a frame could not be sent in its time")
}

/// Whether something is wrong with the frame, as far as anybody can see.
fn is_malformed(frame: &[u8]) -> bool {
    Dissector::default().dissect(frame).is_malformed()
}

/// A recipe with so many bytes of data at its end.
fn with_data(recipe: &Recipe, size: usize) -> Recipe {
    let mut recipe = recipe.clone();
    recipe.append((0..size).map(|n| n as u8).collect());
    recipe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sweeps() {
        assert_eq!(parse_sweep("0..1472/8"), Ok(Sweep { sizes: 0..=1472, step: 8 }));
        for bad in ["", "5", "9..1", "1..x", "1..9/0", "0..70000"] {
            assert!(parse_sweep(bad).is_err(), "{bad}");
        }
    }
}
