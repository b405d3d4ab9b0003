//! `uarttool inject tcp`: segments to ports, and what the ports say.

use std::net::IpAddr;
use std::time::Duration;

use clap::Args;
use rand::RngExt;

use super::disguise::DisguiseArgs;
use super::out::{Out, milliseconds};
use super::ports::Ports;
use super::session::Session;
use super::{data, ports};
use crate::cli::Verdict;
use crate::cli::args::{AddressArgs, CaptureArgs, TunnelArgs};
use crate::cli::terminal;
use crate::craft::fuzz;
use crate::endpoint::spec::parse_positive;
use crate::error::Result;
use crate::escape;
use crate::probe::Probe;
use crate::probe::inject::tcp::{Answer, Plan, Segment, What};
use crate::probe::inject::wire::Wire;
use crate::probe::inject::{self, sentinel};
use crate::proto::tcp;

const EXAMPLES: &str = "\
Examples:
  uarttool inject tcp --port 80                  a SYN: is the port open?
  uarttool inject tcp --port 1-1024 -i 5ms       which ports are?
  uarttool inject tcp --port 80 --flags FPU      what does it say to nonsense?
  uarttool inject tcp --port 80 --flags PA --seq 1000 --ack 2000 --data '\"GET / HTTP/1.0\\r\\n\\r\\n\"'
  uarttool inject tcp --port 80 --bad-checksum   nothing may come back

A connection that is half opened by this is reset, unless '--no-reset'.

Exit status: 0 something came back, or after something malformed the device lives; 1 it does not, or
nothing came; 2 usage; 3 the tunnel is not there or went away.";

/// Send TCP segments to ports and show what comes back
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct TcpArgs {
    /// The address to send to, IPv4 or IPv6 [default: the device's]
    #[arg(value_name = "ADDRESS")]
    address: Option<IpAddr>,
    /// The ports: 80, 22,80, 1-1024
    #[arg(short = 'p', long, visible_alias = "ports", value_name = "PORTS", value_parser = ports::parse)]
    port: Ports,
    /// The flags by their letters: S, SA, FPU; '-' is none
    #[arg(long, value_name = "FLAGS", default_value = "S", value_parser = parse_flags,
        allow_hyphen_values = true)]
    flags: u8,
    /// Sequence number [default: by chance]
    #[arg(long, value_name = "N", value_parser = parse_number)]
    seq: Option<u32>,
    /// Acknowledgment number
    #[arg(long, value_name = "N", default_value = "0", value_parser = parse_number)]
    ack: u32,
    /// Window
    #[arg(long, value_name = "N", default_value_t = 65535)]
    window: u16,
    /// MSS option [default: 1460 with SYN, none otherwise]
    #[arg(long, value_name = "N")]
    mss: Option<u16>,
    /// Data: text, or 0x.., hex(..), file(PATH), pattern(N), random(N)
    #[arg(long, value_name = "DATA")]
    data: Option<String>,
    /// Where chance starts, for random(N) [default: another each time]
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// Source port [default: another one for each segment]
    #[arg(long, value_name = "PORT")]
    sport: Option<u16>,
    /// Ask every port N times
    #[arg(short = 'c', long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// From one segment to the next: 1s, 0.2, 10ms
    #[arg(short = 'i', long, value_name = "TIME", default_value = "10ms", value_parser = parse_positive)]
    interval: Duration,
    /// How long to wait for an answer
    #[arg(short = 'W', long, value_name = "TIME", default_value = "1s", value_parser = parse_positive)]
    timeout: Duration,
    /// Leave half open what is half opened
    #[arg(long)]
    no_reset: bool,
    #[command(flatten)]
    disguise: DisguiseArgs,
    #[command(flatten)]
    tunnel: TunnelArgs,
    #[command(flatten)]
    addresses: AddressArgs,
    #[command(flatten)]
    capture: CaptureArgs,
}

fn parse_flags(text: &str) -> Result<u8, String> {
    let bits = text.chars().filter(|c| *c != '-').try_fold(0, |bits, c| {
        let bit = "FSRPAUEC".find(c.to_ascii_uppercase())?;
        Some(bits | 1 << bit)
    });
    let is_number = text.starts_with("0x") || text.bytes().all(|byte| byte.is_ascii_digit());
    let bits =
        if is_number { parse_number(text).ok().and_then(|n| n.try_into().ok()) } else { bits };
    bits.ok_or_else(|| {
        format!("'{text}' are not flags: letters out of F S R P A U E C, '-', or a number to 255")
    })
}

pub(super) fn parse_number(text: &str) -> Result<u32, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| format!("'{text}' is not a number from 0 to 4294967295"))
}

/// How many lines about ports that say nothing interesting are shown.
const MOST_DULL: usize = 16;

/// What happened to the ports.
#[derive(Default)]
struct Counts {
    open: u64,
    closed: u64,
    other: u64,
    silent: u64,
}

/// Runs the command.
pub(super) fn run(args: TcpArgs) -> Result<Verdict> {
    let session = Session::new("tcp", &args.tunnel, &args.addresses, &args.capture)?;
    let ends = inject::ends(&session.identity, args.address);
    let seed = args.seed.unwrap_or_else(data::new_seed);
    let bytes =
        args.data.as_deref().map_or(Ok(Vec::new()), |text| data::parse(text, &ends, seed))?;
    let has_syn = args.flags & tcp::SYN != 0;
    let ip = if args.address.is_some_and(|address| address.is_ipv6()) { 40 } else { 20 };
    let options = if has_syn || args.mss.is_some() { 4 } else { 0 };
    session.check_length(14 + ip + 20 + options + bytes.len())?;
    let plan = Plan {
        target: args.address,
        ports: args.port.0.clone(),
        source_port: args.sport,
        flags: args.flags,
        seq: args.seq.unwrap_or_else(|| fuzz::chance(seed, 1).random()),
        ack: args.ack,
        window: args.window,
        mss: args.mss.or(has_syn.then_some(1460)),
        data: bytes,
        count: args.count,
        interval: args.interval,
        timeout: args.timeout,
        resets: !args.no_reset,
        disguise: args.disguise.disguise()?,
    };
    let mut out = Out::new(&args.capture);
    let verdict = session.run(&mut out, async |probe, stop, out| {
        plan.disguise.wire.check(probe.framing(), probe.is_stream())?;
        let mut counts = Counts::default();
        let is_long = plan.ports.len() * plan.count as usize > MOST_DULL;
        let came = inject::tcp::run(probe, &plan, stop, &mut |answer| {
            let is_dull = counts.add(&answer);
            if !(is_dull && is_long) {
                out.say(&describe(&answer, plan.timeout));
            }
        })
        .await?;
        if plan.ports.len() as u64 * plan.count > 1 {
            out.say(&counts.sum());
        }
        if plan.disguise.is_malformed() && !stop.is_stopped() {
            return say_life(probe, &plan.disguise.wire, plan.timeout, out).await;
        }
        Ok(if came > 0 { Verdict::Done } else { Verdict::Failed })
    })?;
    out.finish()?;
    Ok(verdict)
}

/// Asks whether the device lives, and says so.
pub(super) async fn say_life(
    probe: &mut Probe,
    wire: &Wire,
    patience: Duration,
    out: &mut Out,
) -> Result<Verdict> {
    let life = sentinel::ask(probe, wire, patience, &mut |_| {}).await?;
    out.say(&life_text(life));
    Ok(match life {
        sentinel::Life::Answers(_) => Verdict::Done,
        sentinel::Life::Silent => Verdict::Failed,
    })
}

/// What a sentinel found.
pub(super) fn life_text(life: sentinel::Life) -> String {
    match life {
        sentinel::Life::Answers(after) => {
            format!("the device still answers (ARP, {})", milliseconds(after))
        }
        sentinel::Life::Silent => "the device does not answer any more".to_owned(),
    }
}

impl Counts {
    /// Counts an answer; whether there is nothing interesting about it.
    fn add(&mut self, answer: &Answer) -> bool {
        match &answer.what {
            What::Segment(segment) if segment.flags & 0x12 == 0x12 => self.open += 1,
            What::Segment(segment) if segment.flags & tcp::RST != 0 => {
                self.closed += 1;
                return segment.odd.is_none() && !segment.is_damaged;
            }
            What::Segment(_) | What::Error(..) => self.other += 1,
            What::Nothing => {
                self.silent += 1;
                return true;
            }
        }
        false
    }

    fn sum(&self) -> String {
        let all = self.open + self.closed + self.other + self.silent;
        let parts = [
            (self.open, "open"),
            (self.closed, "closed"),
            (self.other, "with another answer"),
            (self.silent, "without an answer"),
        ];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        format!("{} asked: {}", terminal::count(all, "port"), parts.join(", "))
    }
}

fn describe(answer: &Answer, timeout: Duration) -> String {
    let port = format!("{}/tcp", answer.port);
    match &answer.what {
        What::Segment(segment) => format!("{port} {}", say_segment(segment)),
        What::Error(from, text, after) => {
            let text = escape::lines(text);
            format!("{port} refused: {text}, from {from} in {}", milliseconds(*after))
        }
        What::Nothing => format!("{port} no answer within {timeout:?}"),
    }
}

fn say_segment(segment: &Segment) -> String {
    let names = [
        (tcp::SYN, "SYN"),
        (tcp::FIN, "FIN"),
        (tcp::RST, "RST"),
        (tcp::PSH, "PSH"),
        (tcp::URG, "URG"),
        (tcp::ACK, "ACK"),
    ];
    let flags: Vec<&str> =
        names.iter().filter(|(bit, _)| segment.flags & bit != 0).map(|(_, name)| *name).collect();
    let flags = if flags.is_empty() { "no flags".to_owned() } else { flags.join("-") };
    let what = match segment.flags {
        flags if flags & 0x12 == 0x12 => "open",
        flags if flags & tcp::RST != 0 => "closed",
        _ => "answers",
    };
    let mut text = format!("{what}: {flags} in {}", milliseconds(segment.after));
    if segment.flags & tcp::RST == 0 {
        text += &format!(", window {}", segment.window);
    }
    for (name, value) in &segment.options {
        text += &match *name {
            "kind" => match value {
                4 => ", SACK permitted".to_owned(),
                0..=3 | 8 => continue, // what they hold is said
                kind => format!(", option {kind}"),
            },
            "mss" => format!(", MSS {value}"),
            "wscale" => format!(", window scale {value}"),
            "ts_val" => ", timestamps".to_owned(),
            "ts_ecr" => continue,
            name => format!(", {name} {value}"),
        };
    }
    if !segment.data.is_empty() {
        text += &format!(", {} of data", terminal::count(segment.data.len() as u64, "byte"));
    }
    if segment.is_damaged {
        text += ", with a bad checksum";
    }
    if let Some(odd) = &segment.odd {
        text += &format!("; {odd}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_by_letters_and_numbers() {
        assert_eq!(parse_flags("S"), Ok(2));
        assert_eq!(parse_flags("saFPUecr"), Ok(255));
        assert_eq!(parse_flags("-"), Ok(0));
        assert_eq!(parse_flags("0x12"), Ok(18));
        for bad in ["x", "256", "0x1ff", ""] {
            assert!(parse_flags(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_segment_is_said_as_scanners_do() {
        let segment = Segment {
            after: Duration::from_micros(2300),
            flags: 0x12,
            seq: 1,
            ack: 2,
            window: 5760,
            options: vec![("kind", 2), ("mss", 1446), ("kind", 4)],
            data: Vec::new(),
            is_damaged: false,
            odd: None,
        };
        let answer = Answer { port: 80, what: What::Segment(segment) };
        assert_eq!(
            describe(&answer, Duration::from_secs(1)),
            "80/tcp open: SYN-ACK in 2.30 ms, window 5760, MSS 1446, SACK permitted"
        );
    }
}
