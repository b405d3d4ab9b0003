//! The arguments of `uarttool replay`.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::who::{self, RewriteArgs, Who, WhoArgs};
use crate::capture::read::{Inner, Reading};
use crate::capture::series;
use crate::cli::args::{CaptureArgs, TunnelArgs};
use crate::cli::{show, terminal};
use crate::command::decode::{self, FileFormat};
use crate::dissect::filter::Filter;
use crate::endpoint::Spec;
use crate::endpoint::spec::{parse_line_rate, parse_positive};
use crate::error::{Error, Result};
use crate::record::Direction;
use crate::replay::expect::{Judge, ignore::Ignored};
use crate::replay::schedule::{Schedule, Speed};
use crate::replay::session::{Mark, Session};
use crate::replay::source::Job;
use crate::stop::Stop;
use clap::{Args, ValueEnum};

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
answers in front of it; at other speeds, TCP does. TCP's numbers are those of today (docs/replay.md).

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
    pub(super) rewrite: RewriteArgs,
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
    /// Of a capture of the tunnel's TCP connections, send only the one of this number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) connection: Option<u32>,
    #[command(flatten)]
    pub(super) tunnel: TunnelArgs,
    #[command(flatten)]
    pub(super) addresses: WhoArgs,
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
    /// The capture is anonymized: what it has as zeros or x is not compared; captures that
    /// 'uarttool decode --anonymize' has written as pcapng say so themselves
    #[arg(long)]
    anonymized: bool,
    /// How long to wait for a recorded answer
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = parse_positive)]
    timeout: Duration,
    /// Wait for no answer: frames go by their time alone, as they were recorded, and with TCP's recorded
    /// numbers
    #[arg(long, conflicts_with_all = ["expect", "timeout", "same_ports"])]
    no_wait: bool,
    /// Keep the recorded ports of TCP connections that we open, although the device may remember them
    #[arg(long)]
    same_ports: bool,
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

impl ReplayArgs {
    /// What can be wrong before anything is begun.
    pub(super) fn check(&self) -> Result<()> {
        show::filter(&self.filter)?;
        self.capture.check()?;
        if self.loops != 1 && !self.is_file() {
            return Err(Error::usage(
                "'-l' reads the capture again, and stdin and pipes can be read once",
            )
            .with_help("name a file"));
        }
        self.rewrite.check()?;
        self.addresses.check()?;
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
    pub(super) fn job(&self, spec: &Spec, who: &Who, stop: &Stop) -> Job {
        Job {
            path: self.file.clone(),
            reading: Reading {
                stop: Some(stop.clone()),
                tell: Some(terminal::tell),
                ..self.reading(spec)
            },
            filter: self.filter(),
            sent: match self.only {
                Only::ToDevice => Direction::ToDevice,
                Only::FromDevice => Direction::FromDevice,
            },
            with_answers: self.is_waiting(),
            from_frame: self.from_frame,
            rounds: if self.loops == 0 { u64::MAX } else { self.loops },
            ends: who.ends,
            connection: self.connection,
            rules: self.rewrite.rules(),
            found: who.rules.clone(),
            max_frame: spec.options.max_frame.min(spec.options.framing.longest),
            carries: spec.options.framing.carries,
        }
    }

    /// How the capture is read.
    pub(super) fn reading(&self, spec: &Spec) -> Reading {
        Reading {
            format: self.format.map(FileFormat::format),
            follow: false,
            framing: spec.options.framing,
            max_frame: spec.options.max_frame,
            inner: self.inner,
            stop: None,
            tell: None,
        }
    }

    /// Whether the capture can be read more than once.
    pub(super) fn is_file(&self) -> bool {
        match std::fs::metadata(&self.file) {
            Ok(file) => file.is_file(),
            Err(_) => self.file.as_os_str() != "-",
        }
    }

    pub(super) fn filter(&self) -> Option<Filter> {
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
        !self.answers.no_wait
    }

    /// What waits for what, and TCP's numbers. At a speed of one's own, TCP alone waits: without that it would have
    /// no numbers.
    pub(super) fn session(&self) -> Option<Session> {
        let session = self.is_waiting().then(|| Session::new(self.first_port()))?;
        let is_recorded = matches!(self.speed(), Speed::Recorded(_));
        Some(if self.answers.expect || is_recorded { session } else { session.for_tcp() })
    }

    /// Today's first port for our connections: another one with each second.
    fn first_port(&self) -> Option<u16> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Sixteen ports a second: they come again after a quarter of an hour, when nobody remembers them.
        (!self.answers.same_ports).then_some((now.as_millis() / 62) as u16)
    }

    /// Whether the capture is anonymized.
    pub(super) fn is_anonymized(&self) -> bool {
        self.answers.anonymized || who::says_anonymized(&self.file)
    }

    /// Who compares the answers.
    pub(super) fn judge(&self) -> Option<Judge> {
        let ignored = self.ignored().ok().filter(|_| self.answers.expect)?;
        Some(Judge::new(ignored.of_anonymized(self.is_anonymized())))
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

    /// The options with which another replay goes on from there.
    pub(super) fn rest(&self, from: Mark, round: u64) -> String {
        let mut options = format!("--from-frame {}", from.number);
        match self.loops {
            0 => options += " -l 0",
            1 => {}
            loops => options += &format!(" -l {}", loops.saturating_sub(round)),
        }
        if let Some(count) = self.count {
            options += &format!(" -c {}", count.saturating_sub(from.sent));
        }
        options
    }

    /// What lets only some frames through, if anything does.
    pub(super) fn narrower(&self) -> Option<String> {
        let all = [
            (!self.filter.is_empty(), "the filter"),
            (self.from_frame > 1, "'--from-frame'"),
            (self.connection.is_some(), "'--connection'"),
        ];
        let given: Vec<&str> = all.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
        (!given.is_empty()).then(|| given.join(" and "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors() {
        for bad in ["0", "-1", "nan", "inf", "x", ""] {
            assert!(factor(bad).is_err(), "{bad}");
        }
        assert_eq!(factor("0.5"), Ok(0.5));
    }
}
