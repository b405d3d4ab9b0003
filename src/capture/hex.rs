//! Hex text: a line with time and direction, and the bytes below it, as sniff and tcpdump show them. It
//! can be read again, by us and by `text2pcap`, and put into a bug report. The line says what the bytes
//! are and how many, so that nothing has to be guessed from them:
//!
//! ```text
//! 1700000000.123456789 -> Ethernet, length 98
//! 1700000000.123456789 <- IP, length 84
//! ```

use std::io;

use super::{Counts, Format};
use crate::clock::Timestamp;
use crate::proto::dump::{Layout, dump};
use crate::proto::line::Line;
use crate::record::{Body, LinkType, Packet, Record};

pub(super) struct Hex {
    line: Line,
}

impl Hex {
    pub(super) fn new() -> Self {
        Hex { line: Line::new(false) }
    }

    fn start(&mut self, record: &Record, mark: &str) {
        self.line.clear();
        if let Some(span) = record.time {
            self.line.dec(span.last.0 / 1_000_000_000).text(".");
            self.line.dec_padded((span.last.0 % 1_000_000_000) as u32, 9).text(" ");
        }
        self.line.text(mark).text(" ");
    }

    fn bytes(&mut self, record: &Record, what: &str, bytes: &[u8]) {
        self.start(record, record.origin.direction.arrow());
        self.line.text(what).text(", length ").dec(bytes.len() as u64).text("\n");
        dump(bytes, Layout::Hex, &mut self.line);
    }
}

impl Format for Hex {
    fn record(&mut self, record: &Record, _: Option<&str>, out: &mut Vec<u8>) -> io::Result<bool> {
        match &record.body {
            Body::Frame(frame) if frame.is_empty() => return Ok(false), // it would have no rows
            Body::Frame(frame) => self.bytes(record, "Ethernet", frame),
            Body::Packet(Packet { link, bytes, length })
                if matches!(*link, LinkType::RAW | LinkType::IPV4 | LinkType::IPV6)
                    && *length as usize == bytes.len()
                    && !bytes.is_empty() =>
            {
                self.bytes(record, "IP", bytes);
            }
            Body::Packet(_) => return Ok(false), // what it is could not be told again
            Body::FramingError(error) => {
                self.start(record, "!!");
                self.line.display(error.describe(record.offset)).text("\n");
                dump(&error.bytes, Layout::Hex, &mut self.line);
            }
            Body::Gap { records, bytes } => {
                self.start(record, "!!");
                self.line.text("gap: ").dec(*bytes).text(match records {
                    0 => " bytes are missing\n",
                    _ => " bytes were seen but not kept\n",
                });
            }
            Body::Link(change) => {
                self.start(record, "**");
                self.line.text("link ").escaped(change.to_string().as_bytes()).text("\n");
            }
            Body::Impaired(impaired) => {
                self.start(record, "!!");
                self.line.escaped(impaired.to_string().as_bytes()).text("\n");
            }
            Body::Console(text) => {
                self.start(record, "::");
                self.line.escaped(text).text("\n");
            }
        }
        out.extend_from_slice(self.line.as_bytes());
        Ok(true)
    }

    fn finish(&mut self, _: Timestamp, _: Counts, _: &mut Vec<u8>) -> io::Result<()> {
        Ok(())
    }
}
