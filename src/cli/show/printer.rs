//! Records as text on stdout, in the form that the user asked for.

use std::io::{self, ErrorKind, Write};
use std::time::Duration;

use super::super::outputs::Ending;
use super::clock_face::ClockFace;
use super::{Form, Style, json, raw};
use crate::analysis::console;
use crate::clock::Timestamp;
use crate::dissect::render::{line, tree};
use crate::error::Error;
use crate::proto::dump::dump;
use crate::proto::line::{Line, Tint};
use crate::proto::{Stack, ethernet};
use crate::record::{Body, Direction, Impaired, LinkChange, Record, Recovery};

/// Output is written when so much has collected, even if more is waiting.
const BUFFER: usize = 64 * 1024;

/// What is known of a frame beside its bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::cli) struct Aside<'a> {
    /// How long the question waited that it answers.
    pub delay: Option<Duration>,
    /// What somebody has remarked on it.
    pub remark: Option<&'a str>,
}

/// Prints records.
pub(in crate::cli) struct Printer {
    style: Style,
    line: Line,
    /// For what is said twice: as a line, and as a member of an object.
    aside: Line,
    spool: Vec<u8>,
    clock_face: ClockFace,
    number: u64,
}

impl Printer {
    pub(in crate::cli) fn new(style: Style) -> Self {
        Printer {
            style,
            line: Line::new(style.brief).coloured(style.coloured),
            aside: Line::new(style.brief),
            spool: Vec::new(),
            clock_face: ClockFace::new(style.time),
            number: 0,
        }
    }

    /// A frame.
    pub(in crate::cli) fn frame(
        &mut self,
        record: &Record,
        stack: &Stack<'_>,
        aside: Aside<'_>,
    ) -> Result<(), Ending> {
        self.number += 1;
        match self.style.form {
            Form::Json => self.json_frame(record, stack, aside),
            Form::Raw => {
                self.start(record, record.origin.direction.arrow());
                let framing = self.style.framing;
                raw::frame(stack.frame, record.offset, framing, &mut self.spool, &mut self.line);
            }
            Form::Line | Form::Tree => self.text_frame(record, stack, aside),
        }
        self.flush_if_full()
    }

    /// What is no frame.
    pub(in crate::cli) fn other(
        &mut self,
        record: &Record,
        remark: Option<&str>,
    ) -> Result<(), Ending> {
        if let Body::FramingError(error) = &record.body
            && error.recovery == Recovery::Stopped
        {
            return Ok(());
        }
        self.number += 1;
        match self.style.form {
            Form::Json => {
                json::start(record, self.number, &mut self.line);
                json::other(record, &mut self.line);
                json::remark(remark, &mut self.line);
                self.line.text("}\n");
            }
            Form::Tree => {
                self.text_other(record);
                self.say_remark(remark);
            }
            Form::Line | Form::Raw => self.text_other(record),
        }
        self.flush_if_full()
    }

    /// A frame that went no further, on purpose.
    pub(in crate::cli) fn lost(
        &mut self,
        record: &Record,
        impaired: &Impaired,
        stack: &Stack<'_>,
    ) -> Result<(), Ending> {
        if self.style.form == Form::Json {
            return self.other(record, None);
        }
        self.number += 1;
        let line = self.start(record, "!!").tint(Tint::Wrong).text("impaired: ");
        line.escaped(impaired.what.as_bytes()).plain().text(" ");
        self.line.text(record.origin.direction.arrow()).text(" ");
        line::summary(stack, &mut self.line);
        self.line.text("\n");
        self.flush_if_full()
    }

    fn json_frame(&mut self, record: &Record, stack: &Stack<'_>, aside: Aside<'_>) {
        json::start(record, self.number, &mut self.line);
        self.aside.clear();
        line::summary(stack, &mut self.aside);
        json::frame(stack, self.aside.as_bytes(), &mut self.line);
        json::remark(aside.remark, &mut self.line);
        if let Some(delay) = aside.delay {
            let nanos = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
            self.line.text(",\"delay\":").dec(nanos / 1_000_000_000).text(".");
            self.line.dec_padded((nanos % 1_000_000_000) as u32, 9);
        }
        if self.style.dump.is_some() {
            json::bytes(stack.frame, &mut self.line);
        }
        self.line.text("}\n");
    }

    fn text_frame(&mut self, record: &Record, stack: &Stack<'_>, aside: Aside<'_>) {
        self.start(record, record.origin.direction.arrow());
        if self.style.ethernet {
            self.say_link(stack);
        }
        line::summary(stack, &mut self.line);
        if let Some(delay) = aside.delay {
            let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
            self.line.tint(Tint::Faint).text("  (").dec(micros / 1000).text(".");
            self.line.dec_padded((micros % 1000) as u32, 3).text(" ms)").plain();
        }
        // That it is late, its time says.
        let impaired = aside.remark.filter(|remark| remark.starts_with("impaired: "));
        if let Some(what) = impaired.filter(|remark| !remark.starts_with("impaired: delayed")) {
            self.line
                .text("  ")
                .tint(Tint::Wrong)
                .text("(")
                .escaped(what.as_bytes())
                .text(")")
                .plain();
        }
        self.line.text("\n");
        if self.style.form == Form::Tree {
            self.say_remark(aside.remark);
            tree::tree(stack, &mut self.line);
        }
        if let Some(dump) = self.style.dump {
            let link = stack.layers.first().map_or(0, |layer| layer.payload);
            let bytes = stack.frame.get(if dump.link { 0 } else { link }..).unwrap_or_default();
            self::dump(bytes, dump.layout, &mut self.line);
        }
    }

    /// What somebody has remarked on the record.
    fn say_remark(&mut self, remark: Option<&str>) {
        for remark in remark.into_iter().flat_map(str::lines) {
            self.line.text("  # ").escaped(remark.as_bytes()).text("\n");
        }
    }

    /// Who sends to whom on the link, as tcpdump says it.
    fn say_link(&mut self, stack: &Stack<'_>) {
        let Some((source, destination, kind)) = ethernet::header(stack) else { return };
        let line = self.line.mac(source).text(" > ").mac(destination);
        if kind >= ethernet::FIRST_ETHERTYPE {
            line.text(", ethertype ").text(ethernet::ethertype_name(kind).unwrap_or("Unknown"));
            line.text(" (0x").hex(kind, 4).text(")");
        } else {
            line.text(", 802.3");
        }
        line.text(", length ").dec(stack.length as u64).text(": ");
    }

    fn text_other(&mut self, record: &Record) {
        match &record.body {
            Body::Frame(_) | Body::Packet(_) => {}
            Body::FramingError(error) => {
                self.start(record, "!!");
                self.line.tint(Tint::Wrong).display(error.describe(record.offset)).plain();
                self.line.text("\n");
                if self.style.form == Form::Raw {
                    raw::passed_over(&error.bytes, record.offset, &mut self.line);
                } else if let Some(dump) = self.style.dump {
                    self::dump(&error.bytes, dump.layout, &mut self.line);
                }
            }
            Body::Gap { records, bytes } => {
                let line = self.start(record, "!!").tint(Tint::Wrong).text("gap: ").dec(*bytes);
                line.text(match records {
                    0 => " bytes are missing in the capture",
                    _ => " bytes were dropped, because this output was too slow",
                });
                line.plain().text("\n");
            }
            // The first connection is news of the start, told on stderr.
            Body::Link(LinkChange::Connected(_))
                if record.origin.connection <= 1
                    && record.origin.direction != Direction::ToDevice => {}
            Body::Link(change) => {
                let change = change.to_string();
                self.start(record, "**").text("link ").escaped(change.as_bytes()).text("\n");
            }
            Body::Impaired(impaired) => {
                let impaired = impaired.to_string();
                let line = self.start(record, "!!").tint(Tint::Wrong);
                line.escaped(impaired.as_bytes()).plain().text("\n");
            }
            Body::Console(text) => {
                let finding = console::judge(text);
                let line = self.start(record, if finding.is_some() { "!!" } else { "::" });
                if let Some(finding) = finding {
                    line.tint(Tint::Wrong).text(finding.name()).text(": ");
                }
                line.escaped(text).plain().text("\n");
            }
        }
    }

    fn start(&mut self, record: &Record, arrow: &str) -> &mut Line {
        let time: Option<Timestamp> = record.time.map(|span| span.last);
        self.line.tint(Tint::Faint);
        self.clock_face.show(time, &mut self.line);
        self.line.plain();
        let tint = match arrow {
            "->" => Some(Tint::ToDevice),
            "<-" => Some(Tint::FromDevice),
            "!!" => Some(Tint::Wrong),
            _ => None,
        };
        if let Some(tint) = tint {
            self.line.tint(tint);
        }
        self.line.text(arrow).plain().text(" ")
    }

    fn flush_if_full(&mut self) -> Result<(), Ending> {
        if self.line.as_bytes().len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    /// Writes what has collected.
    pub(in crate::cli) fn flush(&mut self) -> Result<(), Ending> {
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
