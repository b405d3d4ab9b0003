//! `uarttool ping` and `uarttool inject icmp`: echo requests, with ping's report.

mod report;

use std::net::{IpAddr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::time::Duration;

use clap::{ArgAction, Args};
use report::Reporter;

use crate::bus::Bus;
use crate::capture::{Source, series};
use crate::cli::args::{AddressArgs, CaptureArgs, TunnelArgs};
use crate::cli::sink::{self, Plan as SinkPlan};
use crate::cli::target::{self, Tunnel};
use crate::cli::{self, Verdict, signals, terminal};
use crate::clock::Clock;
use crate::craft;
use crate::craft::text::link_local;
use crate::endpoint::sharing::Sharing;
use crate::endpoint::spec::parse_positive;
use crate::endpoint::{Options, Spec};
use crate::error::{Error, Result};
use crate::probe::ping::Plan;
use crate::probe::{Identity, Probe, ping};
use crate::proto::{ethernet, icmp, ipv4, ipv6};
use crate::stop;

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
    fn plan(&self, target: Option<Ipv6Addr>) -> Plan {
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
        let headers = ethernet::HEADER + ip + icmp::HEADER;
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
    let config = target::config()?.preset(args.tunnel.preset)?;
    let tunnel = target::tunnel(&args.tunnel, &config)?;
    let mut identity = target::identity_on(&tunnel.spec, &args.addresses, &config)?;
    if let Some(IpAddr::V4(address)) = args.address {
        identity.device_ip = address;
    }
    let plan = args.plan(args.target(&identity)?);
    args.check_size(&plan, &tunnel.spec.options)?;
    args.capture.check()?;
    if let Some(why) = &tunnel.why {
        terminal::tell(&format!("using {}: {why}", tunnel.spec.text));
    }
    cli::block_on(send(args, plan, tunnel, identity))
}

async fn send(args: PingArgs, plan: Plan, tunnel: Tunnel, identity: Identity) -> Result<Verdict> {
    let spec = &tunnel.spec;
    let (stopper, mut stop) = stop::pair();
    let interrupted = signals::watch(stopper.clone())?;
    if let Some(deadline) = args.deadline {
        let stopper = stopper.clone();
        tokio::spawn(async move {
            tokio::time::sleep(deadline).await;
            stopper.stop();
        });
    }
    let clock = Clock::system();
    let events = terminal::events_beside_lines();
    let mut sharing = Sharing::new(tunnel.folder.clone(), "ping", spec, &clock, &events).await;
    sharing.set_busy(Some(format!("ping (pid {}) is sending itself", std::process::id())));
    let connector = cli::connect::open(spec, &events, tunnel.attach("ping"))?;
    connector.prepare().await?;
    let link = tokio::select! {
        biased;
        () = stop.wait() => return not_there_in_time(spec, interrupted.is_set()),
        link = connector.connect() => link?,
    };
    let mut bus = Bus::default();
    let report = args.capture.pcap.clone().map(|target| {
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
                name: spec.text.clone(),
                description: "uarttool ping".to_owned(),
                framing: spec.options.framing,
                console: None,
            },
            count: None,
            clock: clock.clone(),
        };
        sink::start(plan, bus.watch(), stopper.clone())
    });
    let mut report_line = Reporter::new(&args, &plan, stopper);
    report_line.head(&identity, spec);
    let mut probe = Probe::new(link, &spec.options, identity, clock, events, bus).sharing(sharing);
    let again = Some(&*connector).filter(|connector| connector.is_persistent());
    let tell = |outcome| report_line.outcome(outcome);
    let (mut statistics, error) = ping::run_over(again, &mut probe, &plan, &mut stop, tell).await;
    probe.leave().await;
    drop(probe); // and with it the bus: the capture ends
    let capture = match report {
        Some(report) => report.await.ok().and_then(|report| report.error),
        None => None,
    };
    if interrupted.is_set() && statistics.received == 0 && statistics.lost() == 0 {
        return Ok(Verdict::Interrupted);
    }
    if !interrupted.is_set() && !report_line.is_abandoned {
        statistics.give_up_in_flight();
    }
    report_line.sum(&identity, &statistics);
    if report_line.is_abandoned {
        return Ok(Verdict::Done);
    }
    match error.or(capture).or(report_line.failure) {
        Some(error) => Err(error),
        None if statistics.is_clean() && statistics.received > 0 => Ok(Verdict::Done),
        None => Ok(Verdict::Failed),
    }
}

/// The word to stop came before there was a connection.
fn not_there_in_time(spec: &Spec, is_interrupted: bool) -> Result<Verdict> {
    match is_interrupted {
        true => Ok(Verdict::Interrupted),
        false => Err(Error::environment(format!("{} was not there in time", spec.text))),
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
