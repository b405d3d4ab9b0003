//! `uarttool decode`: what sniff shows of a line, of a file.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::analysis::anonymize::Anonymizer;
use crate::capture::read::{Format, Inner, Reading};
use crate::capture::{Source, series};
use crate::cli::moment::{self, Moment};
use crate::cli::outputs::Plan;
use crate::cli::read::{self, Done, Job};
use crate::cli::recording::RecordingArgs;
use crate::cli::show::{self, ShowArgs};
use crate::cli::{Verdict, signals, terminal};
use crate::clock::Clock;
use crate::endpoint::spec;
use crate::error::{Category, Error, Result};
use crate::framing::{self, Framing};
use crate::stop;

const EXAMPLES: &str = "\
Examples:
  uarttool decode out.pcapng
  uarttool decode out.pcapng tcp port 80 and not malformed
  uarttool decode --tree -c 1 out.pcapng 'tcp.flags.syn'
  uarttool decode --json out.pcapng | jq 'select(.malformed)'
  uarttool decode lo.pcap                 captured with tcpdump -i lo port 5556: the frames inside
  uarttool decode uart1.log -w uart1.pcapng   QEMU's logfile= becomes a capture
  uarttool decode --from 10:00:00 --to 10:05:00 --anonymize out.pcapng -w for-others.pcapng

Reads pcap, pcapng, raw streams of the line (socat -r, QEMU's logfile=), hex dumps (ours, tcpdump's,
hexdump -C, xxd, tshark -x), and captures of the tunnel's own TCP connection. What is damaged is
read as far as it goes. With -w, lines are shown only if -x, -e, --tree or the like ask for them.

Exit status: 0 done; 2 usage; 3 the output cannot be written; 4 the file cannot be read, or not all.";

/// Look at what was recorded, of whatever format, and convert it
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct DecodeArgs {
    /// The file; '-' is stdin
    file: PathBuf,
    /// Only these frames: tcpdump's language ('icmp', 'host 192.168.100.2', 'tcp port 80', 'greater 1000'),
    /// 'from device', 'to device', 'malformed', 'http', 'dns', fields ('ip.ttl < 5', 'tcp.flags.syn')
    #[arg(value_name = "FILTER")]
    filter: Vec<String>,
    /// Stop after N frames
    #[arg(short = 'c', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Only what was seen at TIME or later: 10:00:00, 2026-11-21T10:00:00, seconds since 1970, +10s
    /// after the first record
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    from: Option<Moment>,
    /// Only what was seen before TIME
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    to: Option<Moment>,
    /// Replace addresses and payloads, consistently, and mend checksums and lengths
    #[arg(long)]
    anonymize: bool,
    /// Keep reading as the file grows, until Ctrl-C, and go on with the new one when it is replaced or
    /// written anew
    #[arg(long)]
    follow_file: bool,
    /// What the file is, when it is not found out by itself
    #[arg(long, value_name = "FORMAT")]
    format: Option<FileFormat>,
    /// Whether the file is a capture of the tunnel's own TCP connection: auto (yes, if it has frames on
    /// port 5556), never, or the tunnel's port
    #[arg(long, value_name = "PORT", default_value = "auto", value_parser = parse_inner)]
    inner: Inner,
    /// How frames are put on the line, in a raw stream: len16be, len32be, len16le,
    /// slip-eth, slip-ip, or slip, which finds out which of the two it is [default: len16be]
    #[arg(long, value_name = "NAME", value_parser = spec::parse_framing)]
    framing: Option<&'static Framing>,
    /// The largest frame in bytes, with its Ethernet header, in a raw stream
    #[arg(long, value_name = "BYTES", value_parser = spec::parse_max_frame)]
    max_frame: Option<usize>,
    #[command(flatten)]
    show: ShowArgs,
    #[command(flatten)]
    recording: RecordingArgs,
}

/// What a file can be said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FileFormat {
    Pcap,
    Pcapng,
    // The bytes of the line.
    Raw,
    Hex,
}

impl FileFormat {
    pub(super) fn format(self) -> Format {
        match self {
            FileFormat::Pcap => Format::Pcap,
            FileFormat::Pcapng => Format::Pcapng,
            FileFormat::Raw => Format::Stream,
            FileFormat::Hex => Format::Hex,
        }
    }
}

pub(super) fn parse_inner(text: &str) -> Result<Inner, String> {
    match text {
        "auto" => Ok(Inner::Auto),
        "never" => Ok(Inner::Never),
        port => match port.parse() {
            Ok(port) if port > 0 => Ok(Inner::Port(port)),
            _ => Err(format!("'{text}' is neither a port nor 'auto' or 'never'")),
        },
    }
}

/// Runs the command.
pub fn run(args: DecodeArgs) -> Result<Verdict> {
    let framing = args.framing.unwrap_or(framing::ALL[0]);
    let style = args.show.style(framing)?;
    let recording = args.recording.plan()?;
    let shows = !args.recording.is_stdout() && (recording.is_none() || args.show.asks_for_output());
    let plan = Plan {
        show: style.filter(|_| shows),
        filter: show::filter(&args.filter)?,
        capture: recording,
        is_live: false,
        is_unbuffered: args.recording.is_unbuffered,
        source: Source {
            name: match args.anonymize {
                true => "anonymized".to_owned(),
                false => args.file.display().to_string(),
            },
            description: "uarttool decode".to_owned(),
            framing,
            console: None,
        },
        count: args.count,
        clock: Clock::system(),
    };
    refuse_the_same_file(&args.file, plan.capture.as_ref())?;
    let (stopper, stop) = stop::pair();
    signals::watch(stopper)?;
    let job = Job {
        path: args.file,
        reading: Reading {
            format: args.format.map(FileFormat::format),
            follow: args.follow_file,
            framing,
            max_frame: args.max_frame.unwrap_or(framing::DEFAULT_MAX_FRAME),
            inner: args.inner,
            stop: Some(stop.clone()),
            tell: Some(terminal::tell),
        },
        from: args.from,
        to: args.to,
        anonymizer: args.anonymize.then(Anonymizer::new),
    };
    conclude(read::run(job, plan, &stop)?)
}

/// A capture that is written to where it is read from would be lost.
pub(super) fn refuse_the_same_file(input: &Path, capture: Option<&series::Plan>) -> Result<()> {
    let output = capture.and_then(|plan| plan.target.path.as_deref());
    let (Some(output), Ok(read)) = (output, input.metadata()) else { return Ok(()) };
    let is_same = output.metadata().is_ok_and(|written| {
        (written.dev(), written.ino()) == (read.dev(), read.ino()) && read.is_file()
    });
    match is_same {
        true => {
            Err(Error::usage(format!("'{}' is read and would be overwritten", input.display()))
                .with_help("give another name with '-w'"))
        }
        false => Ok(()),
    }
}

/// Says the sum, then what went wrong.
pub(super) fn conclude(done: Done) -> Result<Verdict> {
    let report = done.report;
    if report.is_abandoned {
        return Ok(Verdict::Done);
    }
    terminal::tell(&report.totals.summary());
    if let Some(left_out) = report.totals.left_out_summary() {
        terminal::tell(&left_out);
    }
    match report.error {
        Some(error) => {
            report.totals.kept_summary().as_deref().map(terminal::tell);
            Err(error)
        }
        None if done.is_damaged => {
            Err(Error::new(Category::InputFile, "the file is damaged; what could be read was read"))
        }
        None => Ok(Verdict::Done),
    }
}
