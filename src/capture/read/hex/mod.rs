//! Hex dumps: ours, tcpdump's, hexdump's, xxd's, od's, tshark's, and digits that people have typed.
//!
//! Lines (`line.rs`) are collected to dumps. One ends where an offset starts again at 0, at the heading
//! of the next, at the offset alone with which hexdump ends, or with the file. A line of digits without
//! offset is a dump of its own, unless it is one of even lines, as `xxd -p` and ESP-IDF's log have them. In a
//! file that grows a blank line is an end, too, but silence is none: whoever writes may have come to the middle
//! of a frame.
//!
//! What a dump is its heading says (`heading.rs`), and otherwise its bytes: an Ethernet frame, a stream that
//! is framed as a recorded one, or an IP packet, since `tcpdump -x` leaves the Ethernet header away. A dump that
//! is too long for a frame is a stream, and is framed as it comes. What tshark has put together, unpacked or
//! decrypted is no frame. Everything else in the file is passed over.

mod find;
mod heading;
mod line;

use std::collections::VecDeque;

use bytes::Bytes;
use jiff::tz::TimeZone;

pub(super) use self::find::{first_row, is_dump};
use self::heading::{About, Heading};
use self::line::{Line, Offset};
use super::damage::Log;
use super::input::{Have, Input, PATIENCE};
use super::plausible::{ip_length, is_arp, is_ethernet, is_stream};
use super::stream::SLICE;
use super::{Seen, Step};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::framing::{Decoder, Framing};
use crate::proto::ethernet;
use crate::record::{Body, Direction, FramingError, LinkType, Origin, Packet, Record, Span};

/// A dump of more bytes is no frame.
const MAX_DUMP: usize = 256 * 1024;
/// Lines are no longer, in bytes: as many digits as a dump of that size has.
const MAX_LINE: usize = 2 * MAX_DUMP;
/// The star that stands for rows like the one before stands for so many bytes at most.
const MAX_REPEAT: u64 = 1024 * 1024;

/// A file of dumps.
pub(super) struct Hex {
    framing: &'static Framing,
    max_frame: usize,
    dump: Dump,
    heading: Option<Heading>,
    /// A dump of so many bytes at most that comes next is no frame.
    derived: Option<u64>,
    zone: Option<TimeZone>,
    /// The bytes of the line at hand.
    row: Vec<u8>,
    /// Bytes of the window in which no line ends.
    scanned: usize,
    /// In a line that is too long: where it began.
    too_long: Option<u64>,
    queue: VecDeque<Record>,
    /// How many dumps there were.
    dumps: u64,
    /// The file grows.
    grows: bool,
    is_idle: bool,
    is_over: bool,
}

/// The dump that is being collected.
#[derive(Default)]
struct Dump {
    kind: Kind,
    bytes: Vec<u8>,
    /// The last row, not in `bytes` yet.
    last: Vec<u8>,
    /// The offset of the next row.
    next: u64,
    /// A star stands in front of the next row.
    repeats: bool,
    /// It is too long for a frame: this has taken all that is not in `bytes`.
    stream: Option<Box<dyn Decoder>>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    None,
    /// Rows with offsets.
    Rows,
    /// Lines of digits, all of so many bytes; 0 if it is one that stands alone.
    Bare { width: usize },
}

impl Hex {
    pub(super) fn new(framing: &'static Framing, max_frame: usize) -> Self {
        Hex {
            framing,
            max_frame,
            dump: Dump::default(),
            heading: None,
            derived: None,
            zone: None,
            row: Vec::new(),
            scanned: 0,
            too_long: None,
            queue: VecDeque::new(),
            dumps: 0,
            grows: false,
            is_idle: false,
            is_over: false,
        }
    }

    /// How many dumps of frames, or of what else was on a line, there were so far.
    pub(super) fn dumps(&self) -> u64 {
        self.dumps
    }

    pub(super) fn next(&mut self, input: &mut Input, log: &mut Log) -> Result<Step> {
        self.grows = input.follows();
        loop {
            if let Some(record) = self.queue.pop_front() {
                return Ok(Step::Seen(Seen::from(record)));
            }
            if self.is_over {
                return Ok(Step::End);
            }
            input.patience = (!self.is_idle).then_some(PATIENCE);
            match input.want(self.scanned + 1)? {
                Have::Enough => {
                    self.is_idle = false;
                    self.scan(input, log);
                }
                Have::NotYet => {
                    self.is_idle = true;
                    if self.is_as_long_as_said() {
                        self.end_dump();
                    }
                }
                Have::End => {
                    self.is_over = true;
                    let rest = input.take(usize::MAX);
                    match input.has_ended() {
                        true => self.line(&rest, input.offset(), log),
                        false if self.is_cut(&rest) => self.leave_out(input),
                        false => {}
                    }
                    self.end_dump();
                }
            }
        }
    }

    /// Takes the next line off the window, if it ends in it.
    fn scan(&mut self, input: &mut Input, log: &mut Log) {
        let new = input.window().get(self.scanned..).unwrap_or_default();
        match new.iter().position(|byte| *byte == b'\n') {
            Some(n) => {
                let (at, length) = (input.offset(), self.scanned + n);
                let line = input.take(length);
                input.skip(1);
                self.scanned = 0;
                let begin = self.too_long.take().or((length > MAX_LINE).then_some(at));
                if let Some(begin) = begin {
                    let text = format!("a line of more than {MAX_LINE} characters");
                    log.add(begin, input.offset().saturating_sub(begin), text);
                } else {
                    self.line(&line, at, log);
                }
            }
            None if input.window().len() > MAX_LINE => {
                self.too_long.get_or_insert(input.offset());
                input.skip(usize::MAX);
                self.scanned = 0;
            }
            None => self.scanned = input.window().len(),
        }
    }

    /// Whether the dump has as many bytes as its heading says.
    fn is_as_long_as_said(&self) -> bool {
        let said = self.heading.map(|heading| heading.about);
        matches!(said, Some(About::Exactly { length, .. }) if length == self.dump.next)
            && self.dump.kind == Kind::Rows
    }

    /// Reading ends before the file does, with `rest` of a line: whether the dump is, or may be, not whole.
    fn is_cut(&mut self, rest: &[u8]) -> bool {
        if self.dump.kind == Kind::None || self.dump.stream.is_some() {
            return false;
        }
        self.dump.bytes.append(&mut self.dump.last);
        let bytes = &self.dump.bytes;
        let wanted = match self.heading.map(|heading| heading.about) {
            Some(About::Exactly { length, .. }) => usize::try_from(length).ok(),
            Some(About::Error { .. }) => None,
            None | Some(About::Frame | About::Derived { .. } | About::Other)
                if is_ethernet(bytes) =>
            {
                let packet = bytes.get(ethernet::HEADER..).and_then(ip_length);
                packet.map(|length| length.saturating_add(ethernet::HEADER))
            }
            None | Some(About::Frame | About::Derived { .. } | About::Other) => ip_length(bytes),
        };
        wanted.map_or(!rest.trim_ascii().is_empty(), |wanted| bytes.len() < wanted)
    }

    /// Forgets the dump, and says so.
    fn leave_out(&mut self, input: &Input) {
        input.tell("ends in the middle of a frame, for now: it is left out");
        self.dump = Dump::default();
        self.heading = None;
    }

    fn line(&mut self, line: &[u8], at: u64, log: &mut Log) {
        let mut row = std::mem::take(&mut self.row);
        let kind = match (line::parse(line, &mut row), self.dump.kind) {
            // The last line of `xxd -p` may look like an offset.
            (Line::End(_), Kind::Bare { .. }) => line::bare(line.trim_ascii(), &mut row),
            (kind, _) => kind,
        };
        match kind {
            Line::Row(offset) => self.take_row(offset, &row, at, log),
            Line::Bare { .. } => self.take_bare(&row),
            Line::Repeat => self.dump.repeats = self.dump.kind == Kind::Rows,
            Line::End(offset) => self.take_end(offset, at, log),
            Line::Blank => {
                if self.grows || matches!(self.dump.kind, Kind::Bare { .. }) {
                    self.end_dump();
                }
            }
            Line::Text => {
                if matches!(self.dump.kind, Kind::Bare { .. }) {
                    self.end_dump();
                }
                if let Some(heading) = heading::parse(line, &mut self.zone) {
                    self.end_dump();
                    match heading.about {
                        About::Derived { length } => self.derived = Some(length),
                        _ => (self.heading, self.derived) = (Some(heading), None),
                    }
                }
            }
        }
        self.row = row;
    }

    fn take_row(&mut self, offset: Offset, row: &[u8], at: u64, log: &mut Log) {
        let is_open = self.dump.kind == Kind::Rows;
        let next = self.dump.next;
        let is_next = offset.hex == next || offset.octal == Some(next);
        if is_open && is_next && next != 0 {
            self.dump.repeats = false;
        } else if is_open && self.dump.repeats && offset.hex > next {
            self.repeat(offset.hex - next, at, log);
        } else if line::begins(offset, row) {
            self.end_dump();
            self.dump.kind = Kind::Rows;
            self.dump.next = offset.hex;
        } else {
            return; // in the middle of nothing
        }
        self.append(row);
    }

    /// hexdump's last line: how many bytes there were. An odd one was written as half a word.
    fn take_end(&mut self, offset: Offset, at: u64, log: &mut Log) {
        if self.dump.kind != Kind::Rows {
            return;
        }
        let next = self.dump.next;
        if self.dump.repeats && offset.hex > next {
            self.repeat(offset.hex - next, at, log);
        }
        let is = |end: u64| offset.hex == end || offset.octal == Some(end);
        if next.checked_sub(1).is_some_and(is) {
            self.dump.last.pop();
        }
        if is(next) || next.checked_sub(1).is_some_and(is) || offset.hex == self.dump.next {
            self.end_dump();
        }
    }

    /// Rows like the last one, `n` bytes of them.
    fn repeat(&mut self, n: u64, at: u64, log: &mut Log) {
        self.dump.repeats = false;
        let row = self.dump.last.clone();
        let mut left = n.min(MAX_REPEAT);
        if left < n {
            let text = format!("a star that stands for {n} bytes, of which {left} are taken");
            log.add(at, 0, text);
        }
        while left > 0 && !row.is_empty() {
            let part = row.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            self.append(row.get(..part).unwrap_or_default());
            left -= part as u64;
        }
        self.dump.next = self.dump.next.saturating_add(n.saturating_sub(n.min(MAX_REPEAT)));
    }

    fn take_bare(&mut self, row: &[u8]) {
        if let Kind::Bare { width } = self.dump.kind
            && row.len() <= width
            && !self.is_whole(row)
        {
            self.append(row);
            if row.len() < width {
                self.end_dump();
            }
        } else if row.len() >= line::MIN_BARE {
            self.end_bare_frames(row.len());
            let width = if line::ROWS.contains(&row.len()) { row.len() } else { 0 };
            self.dump.kind = Kind::Bare { width };
            self.append(row);
            if width == 0 {
                self.end_dump();
            }
        }
    }

    /// Whether the lines so far have all of a frame, and the next one is none of its padding.
    fn is_whole(&mut self, next: &[u8]) -> bool {
        self.flush_last();
        let bytes = &self.dump.bytes;
        let packet = bytes.get(ethernet::HEADER..).unwrap_or_default();
        self.dump.stream.is_none()
            && is_ethernet(bytes)
            && ip_length(packet) == Some(packet.len())
            && next.iter().any(|byte| *byte != 0)
    }

    /// Lines that looked like the rows of a dump were frames of that length, if a line of `next` bytes that follows
    /// is longer.
    fn end_bare_frames(&mut self, next: usize) {
        let Kind::Bare { width } = self.dump.kind else { return self.end_dump() };
        let is_one = self.dump.stream.is_some() || self.is_whole(&[1]);
        if width == 0 || next <= width || is_one {
            return self.end_dump();
        }
        let all = std::mem::take(&mut self.dump.bytes);
        self.dump = Dump::default();
        for frame in all.chunks(width) {
            self.yield_dump(Bytes::copy_from_slice(frame));
        }
        self.heading = None;
    }

    /// Adds a row to the dump, behind the one that waited.
    fn append(&mut self, row: &[u8]) {
        self.flush_last();
        self.dump.last.extend_from_slice(row);
        self.dump.next = self.dump.next.saturating_add(row.len() as u64);
    }

    fn flush_last(&mut self) {
        let dump = &mut self.dump;
        dump.bytes.append(&mut dump.last);
        if self.derived.is_some_and(|length| length > MAX_DUMP as u64) {
            dump.bytes.clear();
        }
        let most = if dump.stream.is_some() { SLICE } else { MAX_DUMP };
        if dump.bytes.len() > most {
            self.frame_bytes();
        }
    }

    /// The dump is a stream: frames what there is of it.
    fn frame_bytes(&mut self) {
        self.dumps += 1;
        let origin = Origin::new(self.heading.map_or(Direction::Unknown, |h| h.direction));
        let decoder =
            self.dump.stream.get_or_insert_with(|| (self.framing.decoder)(origin, self.max_frame));
        let mut bytes = Bytes::from(std::mem::take(&mut self.dump.bytes));
        let mut records = Vec::new();
        while !bytes.is_empty() {
            let slice = bytes.split_to(SLICE.min(bytes.len()));
            decoder.push(Timestamp::default(), &slice, &mut records);
        }
        self.queue.extend(records.into_iter().map(|record| Record { time: None, ..record }));
    }

    /// The dump is complete.
    fn end_dump(&mut self) {
        if self.dump.kind == Kind::None {
            return;
        }
        self.dump.bytes.append(&mut self.dump.last);
        let length = self.dump.bytes.len() as u64;
        if self.derived.take().is_some_and(|derived| length <= derived) {
            self.dump = Dump::default();
            return; // the heading in front of it may be about the dump behind it
        }
        if self.dump.stream.is_some() {
            self.end_stream();
        } else {
            let bytes = Bytes::from(std::mem::take(&mut self.dump.bytes));
            self.yield_dump(bytes);
        }
        self.dump = Dump::default();
        self.heading = None;
    }

    fn end_stream(&mut self) {
        self.frame_bytes();
        let mut records = Vec::new();
        if let Some(mut decoder) = self.dump.stream.take() {
            decoder.finish(Timestamp::default(), &mut records);
        }
        self.queue.extend(records.into_iter().map(|record| Record { time: None, ..record }));
    }

    /// Hands out a whole dump as what it is.
    fn yield_dump(&mut self, bytes: Bytes) {
        let heading = self.heading;
        if bytes.is_empty() {
            return;
        }
        self.dumps += 1;
        let mut record = Record {
            time: heading.and_then(|heading| heading.time).map(Span::at),
            origin: Origin {
                tap: 0,
                connection: 0,
                direction: heading.map_or(Direction::Unknown, |heading| heading.direction),
            },
            offset: None,
            body: Body::Frame(Bytes::new()),
        };
        match heading.map(|heading| heading.about) {
            Some(About::Error { problem, offset, recovery }) => {
                record.offset = offset;
                record.body = Body::FramingError(FramingError { problem, bytes, recovery });
            }
            None | Some(About::Other)
                if !is_ethernet(&bytes)
                    && is_stream(self.framing, self.max_frame, &bytes, true) =>
            {
                self.dump.bytes = bytes.into();
                return self.end_as_stream();
            }
            Some(About::Exactly { link, length }) if length == bytes.len() as u64 => {
                record.body = exactly(link, bytes);
            }
            None
            | Some(About::Frame | About::Exactly { .. } | About::Derived { .. } | About::Other) => {
                record.body = frame(bytes);
            }
        }
        self.queue.push_back(record);
    }

    fn end_as_stream(&mut self) {
        self.frame_bytes();
        self.end_stream();
    }
}

/// A dump as what its heading says it is.
fn exactly(link: LinkType, bytes: Bytes) -> Body {
    match u32::try_from(bytes.len()) {
        Ok(length) if link != LinkType::ETHERNET => Body::Packet(Packet { link, bytes, length }),
        _ => Body::Frame(bytes),
    }
}

/// A dump as a frame, or as a packet without its Ethernet header.
fn frame(bytes: Bytes) -> Body {
    let kept = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let packet =
        |length: u32| Body::Packet(Packet { link: LinkType::RAW, bytes: bytes.clone(), length });
    if is_ethernet(&bytes) {
        return Body::Frame(bytes);
    }
    match ip_length(&bytes).and_then(|length| u32::try_from(length).ok()) {
        Some(length) => packet(length.max(kept)),
        None if is_arp(&bytes) => packet(kept),
        None => Body::Frame(bytes),
    }
}

#[cfg(test)]
mod tests;
