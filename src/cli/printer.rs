//! Records as lines on stdout.

use std::io::{self, ErrorKind, Write};

use jiff::Timestamp as Moment;
use jiff::tz::TimeZone;

use super::sink::Ending;
use crate::analysis::console;
use crate::analysis::replies::Replies;
use crate::clock::Timestamp;
use crate::dissect::Dissector;
use crate::dissect::render::{hex, line};
use crate::error::Error;
use crate::proto::ethernet;
use crate::proto::line::Line;
use crate::record::{Body, Direction, LinkChange, Record, Recovery};

/// Output is written when so much has collected, even if more is waiting.
const BUFFER: usize = 64 * 1024;

/// What to show of a frame besides its line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dump {
    /// Its bytes in hex.
    pub hex: bool,
    /// And the Ethernet header's.
    pub link: bool,
    /// And the characters beside them.
    pub characters: bool,
}

impl Dump {
    fn layout(self) -> hex::Layout {
        match self.characters {
            true => hex::Layout::HexAndCharacters,
            false => hex::Layout::Hex,
        }
    }
}

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Leave out what is rarely looked at.
    pub brief: bool,
    /// Bytes below the line.
    pub dump: Dump,
}

/// Prints records.
pub(super) struct Printer {
    style: Style,
    line: Line,
    dissector: Dissector,
    replies: Replies,
    clock_face: ClockFace,
}

impl Printer {
    pub(super) fn new(style: Style) -> Self {
        Printer {
            style,
            line: Line::new(style.brief),
            dissector: Dissector::default(),
            replies: Replies::default(),
            clock_face: ClockFace::default(),
        }
    }

    pub(super) fn print(&mut self, record: &Record) -> Result<(), Ending> {
        let time = record.time.map(|span| span.last);
        match &record.body {
            Body::Frame(frame) => self.frame(frame, record.origin.direction, time),
            Body::Packet(packet) => self.frame(&packet.bytes, record.origin.direction, time),
            Body::FramingError(error) if error.recovery == Recovery::Stopped => {}
            Body::FramingError(error) => {
                self.start(time, "!!").display(error.describe(record.offset)).text("\n");
                if self.style.dump.hex {
                    hex::dump(&error.bytes, self.style.dump.layout(), &mut self.line);
                }
            }
            Body::Gap { bytes, .. } => {
                let line = self.start(time, "!!").text("gap: ").dec(*bytes);
                line.text(" bytes were dropped, because this output was too slow\n");
            }
            // The first connection is news of the start, told on stderr.
            Body::Link(LinkChange::Connected(_))
                if record.origin.connection <= 1
                    && record.origin.direction != Direction::ToDevice => {}
            Body::Link(change) => {
                let change = change.to_string();
                let change = crate::escape::terminal(change.as_bytes());
                self.start(time, "**").text("link ").display(change).text("\n");
            }
            Body::Console(text) => {
                let finding = console::judge(text);
                let line = self.start(time, if finding.is_some() { "!!" } else { "::" });
                if let Some(finding) = finding {
                    line.text(finding.name()).text(": ");
                }
                line.display(crate::escape::terminal(text)).text("\n");
            }
        }
        if self.line.as_bytes().len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn start(&mut self, time: Option<Timestamp>, arrow: &str) -> &mut Line {
        self.clock_face.show(time, &mut self.line);
        self.line.text(arrow).text(" ")
    }

    fn frame(&mut self, frame: &[u8], direction: Direction, time: Option<Timestamp>) {
        self.start(time, direction.arrow());
        let stack = self.dissector.dissect(frame);
        line::summary(&stack, &mut self.line);
        if let Some(delay) = time.and_then(|time| self.replies.observe(&stack, time)) {
            let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
            self.line.text("  (").dec(micros / 1000).text(".");
            self.line.dec_padded((micros % 1000) as u32, 3).text(" ms)");
        }
        self.line.text("\n");
        let dump = self.style.dump;
        if dump.hex {
            let from = if dump.link { 0 } else { ethernet::HEADER };
            let bytes = frame.get(from..).unwrap_or_default();
            hex::dump(bytes, dump.layout(), &mut self.line);
        }
    }

    pub(super) fn flush(&mut self) -> Result<(), Ending> {
        if self.line.as_bytes().is_empty() {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        let done = stdout.write_all(self.line.as_bytes()).and_then(|()| stdout.flush());
        self.line.clear();
        done.map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => Ending::Abandoned,
            _ => Ending::Failed(Error::environment("cannot write to stdout").caused_by(error)),
        })
    }
}

/// The time of day in the user's zone; the zone is asked once a second of the line's time.
#[derive(Default)]
struct ClockFace {
    second: Option<u64>,
    shown: String,
    zone: Option<TimeZone>,
}

impl ClockFace {
    fn show(&mut self, time: Option<Timestamp>, line: &mut Line) {
        let Some(time) = time else { return };
        let second = time.0 / 1_000_000_000;
        if self.second != Some(second) {
            self.second = Some(second);
            let zone = self.zone.get_or_insert_with(TimeZone::system).clone();
            let moment = Moment::from_second(second as i64).unwrap_or_default();
            self.shown = moment.to_zoned(zone).strftime("%H:%M:%S").to_string();
        }
        let micros = (time.0 % 1_000_000_000 / 1000) as u32;
        line.text(&self.shown).text(".").dec_padded(micros, 6).text(" ");
    }
}
