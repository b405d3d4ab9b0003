//! `uarttool inject tcp`: segments to ports, and what the ports say.

use std::collections::BTreeMap;

use clap::Args;
use rand::RngExt;

use super::line::LineArgs;
use super::ports::{self, PortArgs, Tally};
use crate::cli::conversation::milliseconds;
use crate::cli::{Verdict, terminal};
use crate::craft::fuzz;
use crate::error::Result;
use crate::probe::inject::tcp::{Segment, Segments};
use crate::probe::inject::walk::{Answer, What};
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
    #[command(flatten)]
    ports: PortArgs,
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
    /// Leave half open what is half opened
    #[arg(long)]
    no_reset: bool,
    #[command(flatten)]
    line: LineArgs,
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

fn parse_number(text: &str) -> Result<u32, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| format!("'{text}' is not a number from 0 to 4294967295"))
}

/// Runs the command.
pub(super) fn run(args: &TcpArgs) -> Result<Verdict> {
    let session = args.line.session("inject tcp")?;
    let has_syn = args.flags & tcp::SYN != 0;
    let mss = args.mss.or(has_syn.then_some(1460));
    let options = if mss.is_some() { 4 } else { 0 };
    let seed = args.ports.seed();
    let segments = Segments {
        flags: args.flags,
        seq: args.seq.unwrap_or_else(|| fuzz::chance(seed, 1).random()),
        ack: args.ack,
        window: args.window,
        mss,
        data: args.ports.data(&session, seed, tcp::HEADER + options)?,
        resets: !args.no_reset,
    };
    let counts = Counts::new(args.flags);
    ports::ask(session, &args.ports, &args.line, &segments, counts)
}

/// What is known about a port, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Silent,
    Other,
    Reset,
    Closed,
    Open,
}

impl State {
    /// What the sum says of ports in this state.
    fn says(self) -> &'static str {
        match self {
            State::Silent => "without an answer",
            State::Other => "with another answer",
            State::Reset => "with a reset",
            State::Closed => "closed",
            State::Open => "open",
        }
    }
}

/// What happened to the ports, each of which may be asked more than once.
struct Counts {
    /// Whether the question is the one that opens a connection: any other one is reset by open ports, too.
    is_opening: bool,
    ports: BTreeMap<u16, State>,
    asked: u64,
    answered: u64,
}

impl Counts {
    fn new(flags: u8) -> Self {
        let is_opening = flags & !(ECE | CWR) == tcp::SYN; // RFC 3168 section 6.1.1: it may ask for ECN
        Counts { is_opening, ports: BTreeMap::new(), asked: 0, answered: 0 }
    }

    fn state(&self, flags: u8) -> State {
        match flags {
            flags if flags & (tcp::SYN | tcp::ACK) == tcp::SYN | tcp::ACK => State::Open,
            flags if flags & tcp::RST == 0 => State::Other,
            _ if self.is_opening => State::Closed,
            _ => State::Reset,
        }
    }
}

/// Flags of congestion notification (RFC 3168).
const ECE: u8 = 0x40;
const CWR: u8 = 0x80;

impl Tally<Segment> for Counts {
    fn add(&mut self, answer: &Answer<Segment>) -> bool {
        let state = match &answer.what {
            What::Said(segment) => self.state(segment.flags),
            What::Error(..) => State::Other,
            What::Nothing => State::Silent,
        };
        self.asked += 1;
        self.answered += u64::from(state != State::Silent);
        let best = self.ports.entry(answer.port).or_insert(state);
        *best = state.max(*best);
        match &answer.what {
            What::Said(segment) => {
                state == State::Closed && segment.odd.is_none() && !segment.is_damaged
            }
            What::Error(..) => false,
            What::Nothing => true,
        }
    }

    fn describe(&self, said: &Segment) -> String {
        say_segment(said, self.state(said.flags))
    }

    fn sum(&self, times: u64) -> String {
        let parts = [State::Open, State::Closed, State::Reset, State::Other, State::Silent];
        let parts: Vec<String> = parts
            .iter()
            .map(|state| (state, self.ports.values().filter(|found| *found == state).count()))
            .filter(|(_, count)| *count > 0)
            .map(|(state, count)| format!("{count} {}", state.says()))
            .collect();
        let ports = terminal::count(self.ports.len() as u64, "port");
        let sum = format!("{ports} asked: {}", parts.join(", "));
        match times {
            0 | 1 => sum,
            _ => format!("{sum}; {} of {} segments answered", self.answered, self.asked),
        }
    }
}

fn say_segment(segment: &Segment, state: State) -> String {
    let what = match state {
        State::Open => "open",
        State::Closed => "closed",
        State::Reset | State::Other | State::Silent => "answers",
    };
    let flags = say_flags(segment.flags);
    let mut text = format!("{what}: {flags} in {}", milliseconds(segment.after));
    if segment.flags & tcp::RST == 0 {
        text += &format!(", window {}", segment.window);
    }
    say_options(&segment.options, &mut text);
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

fn say_flags(flags: u8) -> String {
    let names = [
        (tcp::SYN, "SYN"),
        (tcp::FIN, "FIN"),
        (tcp::RST, "RST"),
        (tcp::PSH, "PSH"),
        (tcp::URG, "URG"),
        (tcp::ACK, "ACK"),
    ];
    let names: Vec<&str> =
        names.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect();
    if names.is_empty() { "no flags".to_owned() } else { names.join("-") }
}

fn say_options(options: &[(&str, u64)], text: &mut String) {
    for (name, value) in options {
        *text += &match *name {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

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

    fn came(port: u16, flags: u8) -> Answer<Segment> {
        let segment = Segment {
            after: Duration::from_micros(2300),
            flags,
            seq: 1,
            ack: 2,
            window: 5760,
            options: vec![("kind", 2), ("mss", 1446), ("kind", 4)],
            data: Vec::new(),
            is_damaged: false,
            odd: None,
        };
        Answer { port, what: What::Said(segment) }
    }

    fn said(asked: u8, came: &Answer<Segment>) -> String {
        match &came.what {
            What::Said(segment) => Counts::new(asked).describe(segment),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_segment_is_said_as_scanners_do() {
        assert_eq!(
            said(tcp::SYN, &came(80, 0x12)),
            "open: SYN-ACK in 2.30 ms, window 5760, MSS 1446, SACK permitted"
        );
    }

    #[test]
    fn a_reset_says_closed_to_a_plain_syn_alone() {
        for (asked, what) in [
            ("S", "closed"),
            ("SEC", "closed"),
            ("SA", "answers"),
            ("A", "answers"),
            ("SF", "answers"),
            ("FPU", "answers"),
            ("-", "answers"),
        ] {
            let text = said(parse_flags(asked).expect("good"), &came(80, 0x04));
            assert!(text.starts_with(&format!("{what}: RST in 2.30 ms")), "{asked}: {text}");
        }
    }

    #[test]
    fn ports_are_counted_once_however_often_they_are_asked() {
        let mut counts = Counts::new(tcp::SYN);
        for flags in [0x14, 0x12, 0x14] {
            counts.add(&came(80, flags));
            counts.add(&came(81, 0x14));
            counts.add(&Answer { port: 82, what: What::Nothing });
        }
        let sum = "3 ports asked: 1 open, 1 closed, 1 without an answer";
        assert_eq!(counts.sum(1), sum);
        assert_eq!(counts.sum(3), format!("{sum}; 6 of 9 segments answered"));
        let mut other = Counts::new(tcp::SYN | tcp::ACK);
        other.add(&came(80, 0x04));
        assert_eq!(other.sum(1), "1 port asked: 1 with a reset");
    }
}
