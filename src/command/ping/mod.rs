//! `uarttool ping` and `uarttool inject icmp`: echo requests, with ping's report.

mod report;

use std::net::{IpAddr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::time::Duration;

use clap::{ArgAction, Args};
use report::Reporter;

use crate::cli::Verdict;
use crate::cli::args::{AddressArgs, CaptureArgs, TunnelArgs};
use crate::cli::conversation::{Out, Session, Turn};
use crate::craft;
use crate::craft::text::link_local;
use crate::endpoint::Options;
use crate::endpoint::spec::parse_positive;
use crate::error::{Error, Result};
use crate::probe::inject::Disguise;
use crate::probe::ping::Plan;
use crate::probe::{Identity, ping};
use crate::proto::{ethernet, icmp, ipv4, ipv6, vlan};

const EXAMPLES: &str = "\
Examples:
  uarttool ping -c 4
  uarttool ping -i 0.2 -s 1000 -c 20 -w ping.pcapng
  uarttool ping --sweep 1400..1472        which is the largest that is answered?
  uarttool ping -6                        by IPv6, whose neighbours are asked for first
  uarttool ping -d tcp:127.0.0.1:5557 -c 100 -i 10ms -q
  uarttool ping -d sim,drop=5%,delay=20ms,seed=7   over a line that is bad
  uarttool ping -d serial:/dev/ttyUSB0,baud=921600
  uarttool ping -d serial:/dev/ttyUSB0,reconnect=1s   goes on when the adapter is plugged in again

Exit status: 0 every request answered; 1 one was not, or not intact; 2 usage; 3 the tunnel is not
there or went away; 130 interrupted before there was a result.";

/// Send ICMP echo requests through the tunnel
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct PingArgs {
    /// The address to ping, IPv4 or IPv6 [default: the device's]
    #[arg(value_name = "ADDRESS")]
    address: Option<IpAddr>,
    /// Use IPv6: without ADDRESS, the link-local address of the device's Ethernet address
    #[arg(short = '6')]
    six: bool,
    /// Stop after N requests
    #[arg(short = 'c', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// From one request to the next: 1, 0.2, 10ms
    #[arg(short = 'i', long, value_name = "TIME", default_value = "1s", value_parser = parse_positive)]
    interval: Duration,
    /// Bytes of data in each request
    #[arg(short = 's', long, value_name = "BYTES", default_value = "56", value_parser = parse_size)]
    size: usize,
    /// One request of each size from A to B: 1..1472, or 0..1472/8 in steps of 8
    #[arg(long, value_name = "A..B", value_parser = parse_sweep, conflicts_with = "size")]
    sweep: Option<Sweep>,
    /// How long to wait for a reply
    #[arg(short = 'W', long, value_name = "TIME", default_value = "1s", value_parser = parse_positive)]
    timeout: Duration,
    /// Stop after this time, whatever was answered
    #[arg(long, value_name = "TIME", value_parser = parse_positive)]
    deadline: Option<Duration>,
    /// Fill the data with these bytes, in hex: ff, 00ff
    #[arg(short = 'p', long, value_name = "HEX", value_parser = parse_pattern)]
    pattern: Option<Pattern>,
    /// Time to live, or IPv6's hop limit
    #[arg(short = 't', long, value_name = "N", default_value_t = 64)]
    ttl: u8,
    /// Type of service, or IPv6's traffic class
    #[arg(short = 'Q', long, value_name = "N", default_value_t = 0, value_parser = parse_byte)]
    tos: u8,
    /// ICMP identifier [default: from the process id]
    #[arg(short = 'e', long, value_name = "N")]
    identifier: Option<u16>,
    /// Only the report at the end
    #[arg(short = 'q', long)]
    quiet: bool,
    /// Addresses are never resolved to names: accepted, as in ping
    #[arg(short = 'n', action = ArgAction::Count, hide = true)]
    numeric: u8,
    #[command(flatten)]
    tunnel: TunnelArgs,
    #[command(flatten)]
    addresses: AddressArgs,
    #[command(flatten)]
    capture: CaptureArgs,
}

/// The sizes of a sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sweep {
    sizes: RangeInclusive<usize>,
    step: usize,
}

impl Sweep {
    fn count(&self) -> u64 {
        ((self.sizes.end() - self.sizes.start()) / self.step + 1) as u64
    }
}

/// Bytes that fill the data.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern(Vec<u8>);

fn parse_sweep(text: &str) -> Result<Sweep, String> {
    let bad = || format!("'{text}' is not a range of sizes such as 1..1472 or 0..1472/8");
    let (range, step) = text.split_once('/').unwrap_or((text, "1"));
    let (from, to) = range.split_once("..").ok_or_else(bad)?;
    let to = to.strip_prefix('=').unwrap_or(to);
    let number = |part: &str| parse_size(part).map_err(|_| bad());
    let (from, to, step) = (number(from)?, number(to)?, number(step)?);
    if from > to || step == 0 {
        return Err(bad());
    }
    Ok(Sweep { sizes: from..=to, step })
}

/// Bytes of data: what fits into an IPv4 packet.
fn parse_size(text: &str) -> Result<usize, String> {
    let size = text.parse().ok().filter(|size| *size <= craft::MAX_ECHO_DATA);
    size.ok_or_else(|| {
        format!("'{text}' is not a number of bytes from 0 to {}", craft::MAX_ECHO_DATA)
    })
}

fn parse_pattern(text: &str) -> Result<Pattern, String> {
    let bad = || format!("'{text}' is not a pattern of hex digits in pairs such as ff or 00ff");
    let digits = text.as_bytes();
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return Err(bad());
    }
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok().filter(|_| !pair.starts_with('+'))
    };
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    bytes.map(Pattern).ok_or_else(bad)
}

fn parse_byte(text: &str) -> Result<u8, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u8::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| format!("'{text}' is not a number from 0 to 255"))
}

impl PingArgs {
    fn plan(&self, target: Option<Ipv6Addr>, disguise: Disguise) -> Plan {
        let sweep = self.sweep.clone().unwrap_or(Sweep { sizes: self.size..=self.size, step: 1 });
        let count = self.count.or_else(|| self.sweep.as_ref().map(Sweep::count));
        Plan {
            target,
            count,
            interval: self.interval,
            timeout: self.timeout,
            sizes: sweep.sizes,
            step: sweep.step,
            pattern: self.pattern.clone().map_or_else(Vec::new, |pattern| pattern.0),
            identifier: self.identifier.unwrap_or(std::process::id() as u16),
            ttl: self.ttl,
            tos: self.tos,
            disguise,
        }
    }

    /// Where IPv6 requests go.
    fn target(&self, identity: &Identity) -> Result<Option<Ipv6Addr>> {
        match self.address {
            Some(IpAddr::V6(address)) if address.is_unspecified() => {
                Err(Error::usage(format!("'{address}' is no address that could answer")))
            }
            Some(IpAddr::V6(address)) => Ok(Some(address)),
            Some(IpAddr::V4(address)) if self.six => {
                Err(Error::usage(format!("'{address}' is an IPv4 address, and '-6' asks for IPv6")))
            }
            _ => Ok(self.six.then(|| link_local(identity.device_mac))),
        }
    }

    /// A frame longer than the line carries is refused rather than swallowed by the device.
    fn check_size(&self, plan: &Plan, options: &Options) -> Result<()> {
        let size = *plan.sizes.end();
        let ip = if plan.target.is_some() { ipv6::HEADER } else { ipv4::HEADER };
        let tag = if plan.disguise.vlan.is_some() { vlan::HEADER } else { 0 };
        let headers = ethernet::HEADER + tag + ip + icmp::HEADER;
        let limit = options.max_frame.saturating_sub(headers);
        if size <= limit {
            return Ok(());
        }
        let flag = if self.sweep.is_some() { "--sweep" } else { "-s" };
        Err(Error::usage(format!(
            "'{flag}' asks for {size} bytes, a frame of {}; the line carries {}",
            size + headers,
            options.max_frame
        ))
        .with_help(format!(
            "give at most {limit}, or raise the limit with '--max-frame'; requests are not fragmented"
        )))
    }
}

/// Runs the command.
pub fn run(args: PingArgs) -> Result<Verdict> {
    run_in(&args, Disguise::default())
}

/// The same with requests that are wrong on purpose. Then it is the device's life that counts, and not the
/// replies.
pub(super) fn run_in(args: &PingArgs, disguise: Disguise) -> Result<Verdict> {
    let mut session = Session::new("ping", &args.tunnel, &args.addresses, &args.capture)?;
    if let Some(IpAddr::V4(address)) = args.address {
        session.identity.device_ip = address;
    }
    let plan = args.plan(args.target(&session.identity)?, disguise);
    let options = &session.tunnel.spec.options;
    args.check_size(&plan, options)?;
    plan.disguise.wire.check(options.framing, session.is_stream())?;
    session.deadline = args.deadline;
    let mut out = Out::new(&args.capture);
    let (identity, spec) = (session.identity, session.tunnel.spec.clone());
    let verdict = session.run(&mut out, async |turn| {
        plan.disguise.wire.check_on(turn.probe)?;
        args.reporter(&plan, turn.out).head(&identity, &spec);
        args.converse(&plan, &identity, turn).await
    })?;
    out.finish()?;
    Ok(verdict)
}

impl PingArgs {
    fn reporter<'a>(&self, plan: &'a Plan, out: &'a mut Out) -> Reporter<'a> {
        Reporter::new(plan, self.sweep.is_some(), self.quiet, out)
    }

    async fn converse(
        &self,
        plan: &Plan,
        identity: &Identity,
        turn: &mut Turn<'_>,
    ) -> Result<Verdict> {
        let is_interrupted = turn.interrupted();
        let mut reporter = self.reporter(plan, turn.out);
        let tell = |outcome| reporter.outcome(outcome);
        let again = turn.connector.filter(|_| plan.disguise == Disguise::default());
        let (mut statistics, error) =
            ping::run_over(again, turn.probe, plan, turn.stop, tell).await;
        if is_interrupted.is_set() && statistics.received == 0 && statistics.lost() == 0 {
            return Ok(Verdict::Interrupted);
        }
        if !is_interrupted.is_set() && !reporter.is_abandoned() {
            statistics.give_up_in_flight();
        }
        reporter.sum(identity, &statistics);
        if reporter.is_abandoned() {
            return Ok(Verdict::Done);
        }
        if let Some(error) = error {
            return Err(error);
        }
        if plan.disguise.is_malformed() && !turn.stop.is_stopped() {
            return turn.say_life(&plan.disguise.wire, plan.timeout).await;
        }
        let is_clean = statistics.is_clean() && statistics.received > 0;
        Ok(if is_clean { Verdict::Done } else { Verdict::Failed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sweeps_and_patterns() {
        assert_eq!(parse_sweep("1..1472"), Ok(Sweep { sizes: 1..=1472, step: 1 }));
        assert_eq!(parse_sweep("0..1472/8").map(|sweep| sweep.count()), Ok(185));
        for bad in ["", "5", "9..1", "1..x", "1..9/0"] {
            assert!(parse_sweep(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_pattern("00ff"), Ok(Pattern(vec![0, 255])));
        for bad in ["", "f", "zz", "+f", "ü"] {
            assert!(parse_pattern(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_byte("0x10"), Ok(16));
        assert!(parse_byte("256").is_err());
    }
}
