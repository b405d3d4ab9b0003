//! The arguments of `uarttool replay`.

use std::fmt::Display;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use pnet::util::MacAddr;

use super::drive::Totals;
use crate::capture::read::{Inner, Reading};
use crate::capture::series;
use crate::cli::args::{self, AddressArgs, CaptureArgs, TunnelArgs};
use crate::cli::{show, terminal};
use crate::command::decode::{self, FileFormat};
use crate::dissect::filter::Filter;
use crate::endpoint::Spec;
use crate::endpoint::spec::{parse_line_rate, parse_positive};
use crate::error::{Error, Result};
use crate::record::Direction;
use crate::replay::expect::{Judge, ignore::Ignored};
use crate::replay::rewrite::Rules;
use crate::replay::schedule::{Schedule, Speed};
use crate::replay::source::{Ends, Job};
use crate::stop::Stop;

const EXAMPLES: &str = "\
Examples:
  uarttool replay out.pcapng                  to the device again, with the recorded gaps
  uarttool replay out.pcapng --expect         and compare what it answers
  uarttool replay out.pcapng -d sim -x 10     ten times as fast, to the built-in device
  uarttool replay out.pcapng tcp port 80 and not malformed
  uarttool replay big.pcapng -t -l 10         as fast as it goes, ten times
  uarttool replay big.pcapng --from-frame 513 goes on where another one was interrupted
  uarttool replay out.pcapng --no-wait        nothing but the recorded times, whatever comes back
  uarttool replay lan.pcap --rewrite-ip 10.0.0.5=192.168.100.2 --rewrite-mac 00:11:22:33:44:55=02:00:00:00:00:02
  uarttool replay out.pcapng --expect --ignore ipv4.ttl,http.server -w what-happened.pcapng

Reads what 'uarttool decode' reads. With the recorded gaps, and with --expect, a frame waits for the recorded
answers in front of it, and TCP's numbers are those of today (docs/replay.md).

Exit status: 0 everything was sent, and with --expect answered as recorded; 1 it was not; 2 usage;
3 the tunnel is not there or went away; 4 the file cannot be read, nothing in it can be sent, or with
--expect nothing compared; 130 interrupted: it is said where.";

/// Send again what was captured, in its time, and compare the answers
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ReplayArgs {
    /// The capture; '-' is stdin
    pub(super) file: PathBuf,
    /// Only these frames, of both directions: as in 'uarttool decode'
    #[arg(value_name = "FILTER")]
    filter: Vec<String>,
    #[command(flatten)]
    speed: SpeedArgs,
    /// Send the frames that had gone to the device, or those that it had sent; where the capture does not know
    /// directions, the addresses tell: what the device's addresses have sent is from it, the rest to it
    #[arg(long, value_name = "WHICH", default_value = "to-device")]
    only: Only,
    /// Begin with frame N of the capture; with '-l', later rounds begin with the first
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    from_frame: u64,
    /// Stop after N frames were sent
    #[arg(short = 'c', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Send the capture so many times; 0 is for ever
    #[arg(short = 'l', long, value_name = "LOOPS", default_value_t = 1)]
    loops: u64,
    #[command(flatten)]
    answers: AnswerArgs,
    #[command(flatten)]
    rewrite: RewriteArgs,
    /// Only the summary; twice: only what is wrong
    #[arg(short = 'q', long, action = clap::ArgAction::Count)]
    quiet: u8,
    /// What the file is, when it is not found out by itself
    #[arg(long, value_name = "FORMAT")]
    format: Option<FileFormat>,
    /// Whether the file is a capture of the tunnel's own TCP connection: auto (yes, if it has frames on
    /// port 5556), never, or the tunnel's port
    #[arg(long, value_name = "PORT", default_value = "auto", value_parser = decode::parse_inner)]
    inner: Inner,
    #[command(flatten)]
    pub(super) tunnel: TunnelArgs,
    #[command(flatten)]
    pub(super) addresses: AddressArgs,
    #[command(flatten)]
    capture: CaptureArgs,
}

/// How fast.
#[derive(Args, Debug)]
#[command(next_help_heading = "Speed")]
struct SpeedArgs {
    /// So many times as fast as it was recorded: 2, 0.5
    #[arg(short = 'x', long, value_name = "SPEED", default_value = "1", value_parser = factor,
        conflicts_with_all = ["pps", "mbps", "line_rate", "topspeed"])]
    speed: f64,
    /// So many frames a second
    #[arg(short = 'p', long, value_name = "PPS", value_parser = factor,
        conflicts_with_all = ["mbps", "line_rate", "topspeed"])]
    pps: Option<f64>,
    /// So many megabits of frames a second
    #[arg(short = 'M', long, value_name = "MBPS", value_parser = factor,
        conflicts_with_all = ["line_rate", "topspeed"])]
    mbps: Option<f64>,
    /// As fast as a line of BAUD carries it
    #[arg(long, value_name = "BAUD", value_parser = parse_line_rate, conflicts_with = "topspeed")]
    line_rate: Option<u32>,
    /// As fast as it goes
    #[arg(short = 't', long)]
    topspeed: bool,
    /// Wait no longer than this between two frames, whatever was recorded
    #[arg(long, value_name = "TIME", value_parser = parse_positive,
        conflicts_with_all = ["pps", "mbps", "line_rate", "topspeed"])]
    max_gap: Option<Duration>,
}

/// What comes back.
#[derive(Args, Debug)]
#[command(next_help_heading = "Answers")]
struct AnswerArgs {
    /// Compare what the device answers with what it had answered
    #[arg(long)]
    expect: bool,
    /// Do not compare these fields either, named as in filters and in 'decode --tree': ipv4.ttl,
    /// tcp.option.mss, http.server
    #[arg(long, value_name = "FIELD,...", value_delimiter = ',', requires = "expect")]
    ignore: Vec<String>,
    /// Do compare these fields, which are ignored otherwise (docs/replay.md lists them)
    #[arg(long, value_name = "FIELD,...", value_delimiter = ',', requires = "expect")]
    compare: Vec<String>,
    /// How long to wait for a recorded answer
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = parse_positive)]
    timeout: Duration,
    /// Wait for no answer: frames go by their time alone, as they were recorded
    #[arg(long, conflicts_with = "expect")]
    no_wait: bool,
    /// Keep the recorded ports of TCP connections that we open, although the device may remember them
    #[arg(long)]
    same_ports: bool,
}

/// What is changed.
#[derive(Args, Debug)]
#[command(next_help_heading = "Rewriting, of both directions of the capture")]
struct RewriteArgs {
    /// Replace an Ethernet address, also in ARP and neighbour discovery; may be repeated
    #[arg(long, value_name = "OLD=NEW", value_parser = macs, value_delimiter = ',')]
    rewrite_mac: Vec<(MacAddr, MacAddr)>,
    /// Replace an IPv4 or IPv6 address, also in ARP and in what ICMP quotes; may be repeated
    #[arg(long, value_name = "OLD=NEW", value_parser = ips, value_delimiter = ',')]
    rewrite_ip: Vec<(IpAddr, IpAddr)>,
    /// Replace a port of TCP and UDP; may be repeated
    #[arg(long, value_name = "OLD=NEW", value_parser = ports, value_delimiter = ',')]
    rewrite_port: Vec<(u16, u16)>,
}

/// Which frames are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Only {
    ToDevice,
    FromDevice,
}

fn factor(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok();
    number.filter(|number| (1e-6..=1e9).contains(number)).ok_or_else(|| {
        format!("'{text}' is not a number from 0.000001 to 1000000000 such as 2 or 0.5")
    })
}

fn pair<T>(text: &str, what: &str, parse: impl Fn(&str) -> Option<T>) -> Result<(T, T), String> {
    let parts = text.split_once('=');
    let pair = parts.and_then(|(old, new)| parse(old).zip(parse(new)));
    pair.ok_or_else(|| format!("'{text}' is not a pair of {what}"))
}

fn macs(text: &str) -> Result<(MacAddr, MacAddr), String> {
    let what = "Ethernet addresses such as 00:11:22:33:44:55=02:00:00:00:00:02";
    pair(text, what, |mac| args::parse_mac(mac).ok())
}

fn ips(text: &str) -> Result<(IpAddr, IpAddr), String> {
    let what = "IP addresses of one version such as 10.0.0.5=192.168.100.2";
    let (old, new) = pair(text, what, |ip| ip.parse::<IpAddr>().ok())?;
    match old.is_ipv4() == new.is_ipv4() {
        true => Ok((old, new)),
        false => Err(format!("'{text}' is not a pair of {what}")),
    }
}

fn ports(text: &str) -> Result<(u16, u16), String> {
    pair(text, "ports such as 80=8080", |port| port.parse().ok())
}

impl RewriteArgs {
    /// Whether two rules contradict each other.
    fn check(&self) -> Result<()> {
        let RewriteArgs { rewrite_mac, rewrite_ip, rewrite_port } = self;
        let twice =
            twice(rewrite_mac).or_else(|| twice(rewrite_ip)).or_else(|| twice(rewrite_port));
        match twice {
            None => Ok(()),
            Some(old) => Err(Error::usage(format!("'{old}' is to become two things"))
                .with_help("each address and port may stand once in front of '='")),
        }
    }
}

/// What stands in front in two different pairs.
fn twice<T: PartialEq + Display>(pairs: &[(T, T)]) -> Option<String> {
    let mut rest = pairs;
    while let Some(((old, new), others)) = rest.split_first() {
        if others.iter().any(|(other, becomes)| other == old && becomes != new) {
            return Some(old.to_string());
        }
        rest = others;
    }
    None
}

impl ReplayArgs {
    /// What can be wrong before anything is begun.
    pub(super) fn check(&self) -> Result<()> {
        show::filter(&self.filter)?;
        self.capture.check()?;
        let can_be_read_again = match std::fs::metadata(&self.file) {
            Ok(file) => file.is_file(),
            Err(_) => self.file.as_os_str() != "-",
        };
        if self.loops != 1 && !can_be_read_again {
            return Err(Error::usage(
                "'-l' reads the capture again, and stdin and pipes can be read once",
            )
            .with_help("name a file"));
        }
        self.rewrite.check()?;
        if self.loops == 0 && self.answers.expect {
            return Err(Error::usage("'--expect' has no result when '-l 0' never ends"));
        }
        self.ignored().map(|_| ())
    }

    fn ignored(&self) -> Result<Ignored> {
        Ignored::new(&self.answers.ignore, &self.answers.compare)
    }

    pub(super) fn sends_to_device(&self) -> bool {
        self.only == Only::ToDevice
    }

    /// Where what happens is written.
    pub(super) fn recording(&self) -> Option<series::Plan> {
        self.capture.pcap.clone().map(|target| series::Plan {
            target,
            rotation: series::Rotation::default(),
            snap_length: None,
            link: None,
        })
    }

    /// What is read.
    pub(super) fn job(&self, spec: &Spec, ends: Ends, stop: &Stop) -> Job {
        Job {
            path: self.file.clone(),
            reading: Reading {
                format: self.format.map(FileFormat::format),
                follow: false,
                framing: spec.options.framing,
                max_frame: spec.options.max_frame,
                inner: self.inner,
                stop: Some(stop.clone()),
                tell: Some(terminal::tell),
            },
            filter: self.filter(),
            sent: match self.only {
                Only::ToDevice => Direction::ToDevice,
                Only::FromDevice => Direction::FromDevice,
            },
            with_answers: self.is_waiting(),
            from_frame: self.from_frame,
            rounds: if self.loops == 0 { u64::MAX } else { self.loops },
            ends,
            rules: Rules {
                macs: self.rewrite.rewrite_mac.clone(),
                ips: self.rewrite.rewrite_ip.clone(),
                ports: self.rewrite.rewrite_port.clone(),
            },
            max_frame: spec.options.max_frame.min(spec.options.framing.longest),
            carries: spec.options.framing.carries,
        }
    }

    fn filter(&self) -> Option<Filter> {
        show::filter(&self.filter).ok().flatten() // checked before
    }

    pub(super) fn speed(&self) -> Speed {
        match &self.speed {
            SpeedArgs { pps: Some(rate), .. } => Speed::Frames(*rate),
            SpeedArgs { mbps: Some(rate), .. } => Speed::Bits(*rate * 1e6),
            SpeedArgs { topspeed: true, .. } | SpeedArgs { line_rate: Some(_), .. } => Speed::Top,
            SpeedArgs { speed, .. } => Speed::Recorded(*speed),
        }
    }

    pub(super) fn schedule(&self) -> Schedule {
        Schedule::new(self.speed(), self.speed.max_gap)
    }

    /// The rate of a line as fast as which frames go.
    pub(super) fn line_rate(&self) -> Option<u32> {
        self.speed.line_rate
    }

    /// Whether frames wait for answers.
    pub(super) fn is_waiting(&self) -> bool {
        let is_recorded = matches!(self.speed(), Speed::Recorded(_));
        self.answers.expect || is_recorded && !self.answers.no_wait
    }

    /// Today's first port for our connections: another one with each second.
    pub(super) fn first_port(&self) -> Option<u16> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Sixteen ports a second: they come again after a quarter of an hour, when nobody remembers them.
        (!self.answers.same_ports).then_some((now.as_millis() / 62) as u16)
    }

    /// Who compares the answers.
    pub(super) fn judge(&self) -> Option<Judge> {
        let ignored = self.ignored().ok().filter(|_| self.answers.expect)?;
        Some(Judge::new(ignored))
    }

    pub(super) fn timeout(&self) -> Duration {
        self.answers.timeout
    }

    /// How many frames are sent at most.
    pub(super) fn limit(&self) -> Option<u64> {
        self.count
    }

    /// Whether nothing is told before the end.
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet > 0
    }

    /// Whether nothing is told but what is wrong.
    pub(super) fn is_silent(&self) -> bool {
        self.quiet > 1
    }

    pub(super) fn is_looped(&self) -> bool {
        self.loops != 1
    }

    /// The options with which another replay goes on where this one stopped.
    pub(super) fn rest(&self, totals: &Totals) -> String {
        let mut options = format!("--from-frame {}", totals.last.number + 1);
        if self.loops > 1 {
            options += &format!(" -l {}", self.loops.saturating_sub(totals.last.round));
        }
        if let Some(count) = self.count {
            options += &format!(" -c {}", count.saturating_sub(totals.sent));
        }
        options
    }

    /// What lets only some frames through, if anything does.
    pub(super) fn narrower(&self) -> Option<&'static str> {
        match (self.filter.is_empty(), self.from_frame) {
            (true, ..=1) => None,
            (true, _) => Some("'--from-frame'"),
            (false, ..=1) => Some("the filter"),
            (false, _) => Some("the filter and '--from-frame'"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_and_factors() {
        assert_eq!(ports("80=8080"), Ok((80, 8080)));
        assert!(ips("10.0.0.5=::1").is_err_and(|text| text.contains("of one version")));
        assert!(macs("02:00:00:00:00:02").is_err_and(|text| text.contains("not a pair")));
        for bad in ["0", "-1", "nan", "inf", "x", ""] {
            assert!(factor(bad).is_err(), "{bad}");
        }
        assert_eq!(factor("0.5"), Ok(0.5));
    }
}
