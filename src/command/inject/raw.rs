//! `uarttool inject raw`: any frame at all.

mod echo;
mod report;
mod shots;

use std::time::Duration;

use clap::Args;
use echo::Echo;
use report::{Looks, Reporter};
use shots::{Shots, Sweep, parse_sweep};

use super::line::{self, LineArgs};
use super::{data, frames};
use crate::cli::conversation::{Out, Session};
use crate::cli::{Verdict, terminal};
use crate::command::decode::FileFormat;
use crate::craft::text;
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
    #[arg(long, value_name = "LAYER", num_args = 0..=1, default_missing_value = "",
        conflicts_with = "frames")]
    list: Option<String>,
    /// Show the frames, and write them with -w, but send nothing
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
    /// As fast as the line takes them; needs an end: -c, --duration, --fuzz or --sweep
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
    line: LineArgs,
}

/// Runs the command.
pub(super) fn run(args: &RawArgs) -> Result<Verdict> {
    let mut out = args.line.out();
    if let Some(name) = &args.list {
        list(name, &mut out)?;
        out.finish()?;
        return Ok(Verdict::Done);
    }
    args.check()?;
    let disguise = args.line.disguise();
    let number = args.frame.map(|n| n as usize);
    let mut recipes =
        frames::understand(&args.frames, number, args.format.map(FileFormat::format))?;
    for recipe in &mut recipes {
        disguise.put_on(recipe)?;
    }
    let session = args.line.session("inject raw")?;
    let ends = inject::ends(&session.identity, None);
    let shots = args.shots(Shots::new(recipes, ends, args.seed.unwrap_or_else(data::new_seed)));
    let shots = shots.cut(disguise.wire);
    args.check_shots(&shots, &session, &disguise)?;
    let verdict = match args.dry_run {
        true => args.show(shots, &disguise, &session, &mut out)?,
        false => args.send(session, shots, &disguise, &mut out)?,
    };
    out.finish()?;
    Ok(verdict)
}

/// Shows the layers, or the fields of one.
fn list(name: &str, out: &mut Out) -> Result<()> {
    let name = Some(name).filter(|name| !name.is_empty());
    let lines = text::describe(name).map_err(Error::usage)?;
    lines.iter().for_each(|line| out.say(line));
    Ok(())
}

impl RawArgs {
    fn check(&self) -> Result<()> {
        let has_end = self.count.is_some()
            || self.duration.is_some()
            || self.sweep.is_some()
            || self.is_fuzz();
        if self.flood && !has_end {
            return Err(Error::usage(
                "'--flood' needs an end: '-c N' frames, or '--duration TIME'",
            ));
        }
        if self.interval == Some(Duration::ZERO) && self.count.is_none() && self.duration.is_some()
        {
            return Err(Error::usage("'-i 0' is a flood: say so with '--flood'"));
        }
        if self.dry_run && self.count.is_none() && self.duration.is_some() {
            return Err(Error::usage("'--dry-run' knows no time: bound it with '-c N'"));
        }
        Ok(())
    }

    /// Whether chance damages the frames.
    fn is_fuzz(&self) -> bool {
        self.fuzz.is_some() || self.variant.is_some()
    }

    /// The frames, in their sizes or variants, and as often as they are wanted.
    fn shots(&self, mut shots: Shots) -> Shots {
        if let Some(sweep) = &self.sweep {
            shots = shots.sweep(sweep);
        }
        match (self.fuzz, self.variant) {
            (Some(count), _) => shots = shots.fuzz(1..=count),
            (None, Some(number)) => shots = shots.fuzz(number..=number),
            (None, None) => {}
        }
        let is_endless = self.duration.is_some() && self.count.is_none();
        shots.bounded(self.count, is_endless)
    }

    /// Refuses what cannot be made, and what the line does not carry. Of damaged frames those are left out
    /// that it does not.
    fn check_shots(&self, shots: &Shots, session: &Session<'_>, disguise: &Disguise) -> Result<()> {
        let framing = session.tunnel.spec.options.framing;
        let wire = &disguise.wire;
        wire.check(framing, session.is_stream())?;
        shots.each(|frame| {
            if frame.is_empty() && wire.length_prefix.is_none() {
                return Err(wire::no_bytes());
            }
            if !wire.is_unframed {
                session.check_length(frame.len())?;
            }
            if !self.is_fuzz() {
                wire.check_carried(framing, frame)?;
            }
            wire.check_frame(framing, frame)
        })
    }

    /// Shows what would be sent.
    fn show(
        &self,
        mut shots: Shots,
        disguise: &Disguise,
        session: &Session<'_>,
        out: &mut Out,
    ) -> Result<Verdict> {
        let options = &session.tunnel.spec.options;
        let mut echo = Echo::new(options, self.line.has_capture());
        let mut reporter = Reporter::new(out, self.looks(), disguise, options.framing);
        let mut count = 0;
        for (frame, remark) in &mut shots {
            count += 1;
            reporter.sent(&frame, remark.as_deref());
            echo.frame(&disguise.wire, &frame)?;
        }
        reporter.would_send(count);
        if shots.uses_chance() {
            terminal::tell(&format!("seed {}", shots.seed()));
        }
        session.write(&echo.finish())?;
        Ok(Verdict::Done)
    }

    /// How frames are shown.
    fn looks(&self) -> Looks {
        Looks { hex: self.hex, is_tree: self.tree, is_quiet: self.quiet }
    }

    fn plan(&self, shots: &Shots, disguise: &Disguise) -> Result<Plan> {
        let is_fuzz = self.is_fuzz();
        let mut is_checked = is_fuzz || disguise.is_malformed();
        if !is_checked {
            let mut dissector = Dissector::default();
            shots.each(|frame| {
                is_checked |= dissector.dissect(frame).is_malformed();
                Ok(())
            })?;
        }
        Ok(Plan {
            interval: match (self.interval, self.flood) {
                (Some(interval), _) => interval,
                (None, true) => Duration::ZERO,
                (None, false) => Duration::from_millis(10),
            },
            timeout: self.timeout,
            duration: self.duration,
            wire: disguise.wire,
            is_checked_each_time: is_fuzz,
            is_checked,
            leaves_out: is_fuzz,
        })
    }

    fn send(
        &self,
        session: Session<'_>,
        mut shots: Shots,
        disguise: &Disguise,
        out: &mut Out,
    ) -> Result<Verdict> {
        let plan = self.plan(&shots, disguise)?;
        let seed = shots.seed();
        if shots.uses_chance() {
            terminal::tell(&format!("seed {seed}"));
        }
        let framing = session.tunnel.spec.options.framing;
        session.run(out, async |turn| {
            // Where the device is may be learned meanwhile; these go where the user said.
            plan.wire.check_on(turn.probe)?;
            let mut reporter = Reporter::new(turn.out, self.looks(), disguise, framing);
            let mut tell = |event: raw::Event<'_>| reporter.event(&event);
            let sending = raw::run(turn.probe, &plan, &mut shots, turn.stop, &mut tell);
            let most = plan.duration.map(|most| most + plan.timeout + STUCK);
            let sum = match most {
                Some(most) => tokio::time::timeout(most, sending).await.map_err(|_| stuck())??,
                None => sending.await?,
            };
            reporter.sum(&sum, self.timeout, self.is_fuzz().then_some(seed));
            let is_failed = sum.life == Some(Life::Silent) || sum.sent == 0;
            let verdict = if is_failed { Verdict::Failed } else { Verdict::Done };
            Ok(line::unless_interrupted(verdict, turn))
        })
    }
}

/// Beyond its time, a frame may take so long to go out.
const STUCK: Duration = Duration::from_secs(2);

fn stuck() -> Error {
    Error::environment("the line takes nothing any more: a frame could not be sent in its time")
}
