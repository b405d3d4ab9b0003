//! Classic pcap, with microseconds or nanoseconds, in either byte order, and the variant of old Linux
//! systems whose record headers are eight bytes longer.
//!
//! The format has no sync marks: a record's header says how long it is, and the next begins behind. A
//! header that cannot be means that this chain is broken. It may have been the length before it that was
//! wrong, so that the search begins inside the record before, and ends where two plausible headers
//! follow one another, or one whose record ends with the file.
//!
//! Some writers let the fraction of a time grow beyond a second. Where all the rest of the header is as it should
//! be, and that of the next one, such a record is kept, and what is too much is carried over to the seconds.

use bytes::Bytes;

use super::damage::Log;
use super::input::{Have, Input};
use super::{Seen, Step};
use crate::capture::own::Plain;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::record::{Direction, LinkType};

/// The bytes of the file header.
pub(super) const HEADER: usize = 24;
/// No frame is longer, in bytes: libpcap's limit for nearly all link types.
pub(super) const MAX_CAPTURED: u32 = 262_144;
/// A frame that a search finds was no longer than this, in bytes.
const MAX_LENGTH: u32 = 4 * MAX_CAPTURED;
/// Nor is it further from the one before than this, in seconds.
const MAX_JUMP: u32 = 366 * 24 * 3600;
/// What is said of a time that carries over.
const EXCESS: &str = "a time of which the fraction is more than a second";

/// What the first four bytes of a file say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Magic {
    is_big_endian: bool,
    /// Nanoseconds in a unit of the fraction: 1 or 1000.
    unit: u32,
    /// The bytes of a record header.
    record: usize,
}

impl Magic {
    pub(super) fn of(bytes: &[u8]) -> Option<Magic> {
        let magic = *bytes.first_chunk::<4>()?;
        let known = |number, is_big_endian| {
            let (unit, record) = match number {
                0xa1b2_c3d4 => (1000, 16),
                0xa1b2_3c4d => (1, 16),
                0xa1b2_cd34 => (1000, 24),
                _ => return None,
            };
            Some(Magic { is_big_endian, unit, record })
        };
        known(u32::from_be_bytes(magic), true).or_else(|| known(u32::from_le_bytes(magic), false))
    }

    fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let number = bytes.get(at..).and_then(|bytes| bytes.first_chunk()).copied();
        let number = number.unwrap_or_default();
        if self.is_big_endian { u32::from_be_bytes(number) } else { u32::from_le_bytes(number) }
    }

    fn header(self, bytes: &[u8]) -> RecordHeader {
        RecordHeader {
            seconds: self.u32(bytes, 0),
            fraction: self.u32(bytes, 4),
            captured: self.u32(bytes, 8),
            length: self.u32(bytes, 12),
        }
    }
}

/// The header of one record.
#[derive(Clone, Copy, Debug)]
struct RecordHeader {
    seconds: u32,
    fraction: u32,
    captured: u32,
    length: u32,
}

impl RecordHeader {
    /// Whether the lengths agree, and the time is near to another.
    fn is_near(self, seconds: Option<u32>) -> bool {
        (self.captured..=MAX_LENGTH).contains(&self.length)
            && seconds.is_none_or(|known| self.seconds.abs_diff(known) < MAX_JUMP)
    }
}

/// A file of this format, behind its header.
#[derive(Debug)]
pub(super) struct Pcap {
    magic: Magic,
    link: LinkType,
    /// Longer frames cannot be, in bytes.
    most: u32,
    /// When the last good record was, in seconds.
    seconds: Option<u32>,
    /// How many records had a fraction of more than a second.
    carried: u64,
    /// Bytes of the record that was just handed out; they stay in the window until the next one is
    /// asked for.
    done: usize,
}

impl Pcap {
    /// Reads the file header; `None` when the file is shorter.
    pub(super) fn begin(input: &mut Input) -> Result<Option<Pcap>> {
        let patience = input.patience.take();
        let have = input.want(HEADER);
        input.patience = patience;
        let magic = Magic::of(input.window());
        let (Have::Enough, Some(magic)) = (have?, magic) else { return Ok(None) };
        let header = input.take(HEADER);
        let snaplen = magic.u32(&header, 16);
        // Some programs keep more than they announce; by far more is nonsense.
        let most = match snaplen {
            0 => MAX_CAPTURED,
            n => n.saturating_mul(2).saturating_add(2048).min(MAX_CAPTURED),
        };
        let link = LinkType(magic.u32(&header, 20) as u16); // above it: the length of the FCS
        Ok(Some(Pcap { magic, link, most, seconds: None, carried: 0, done: 0 }))
    }

    /// As in "pcap, nanoseconds, Ethernet".
    pub(super) fn describe(&self) -> String {
        let unit = if self.magic.unit == 1 { "nanoseconds" } else { "microseconds" };
        format!("pcap, {unit}, {}", super::link_name(self.link))
    }

    #[inline]
    pub(super) fn next(&mut self, input: &mut Input, log: &mut Log) -> Result<Step> {
        let step = self.step(input, log)?;
        if matches!(step, Step::End) && self.carried > 1 {
            let text =
                format!("{} times in all had a fraction of more than a second", self.carried);
            log.add(input.offset(), 0, text);
            self.carried = 0;
        }
        Ok(step)
    }

    #[inline]
    fn step(&mut self, input: &mut Input, log: &mut Log) -> Result<Step> {
        loop {
            let start = self.done;
            match input.want(start + self.magic.record)? {
                Have::Enough => {}
                Have::NotYet => return Ok(Step::NotYet),
                Have::End => return Ok(self.end(input, log)),
            }
            let header = self.magic.header(input.window().get(start..).unwrap_or_default());
            if let Some(problem) = self.problem(header) {
                if !self.search(input, log, problem)? {
                    return Ok(Step::End);
                }
                continue;
            }
            let size = self.magic.record + header.captured as usize;
            match input.want(start + size)? {
                Have::Enough => {}
                Have::NotYet => return Ok(Step::NotYet),
                Have::End => {
                    // It may be the length that is wrong, and good records may be in what it covers.
                    if self.good_inside(input, start + 1)? {
                        let problem = format!(
                            "a packet of {} bytes that reaches beyond the end of the file",
                            header.captured
                        );
                        self.search(input, log, problem)?;
                        continue;
                    }
                    if self.has_excess(header) {
                        self.search(input, log, EXCESS.to_owned())?; // nothing bears it out
                        continue;
                    }
                    return Ok(self.cut(input, log, header));
                }
            }
            if self.is_odd(header) {
                match self.is_confirmed(input, header, start + size)? {
                    Have::Enough => {}
                    Have::NotYet => return Ok(Step::NotYet),
                    Have::End => {
                        let problem = match self.has_excess(header) {
                            true => EXCESS,
                            false => "a header that nothing like it follows",
                        };
                        self.search(input, log, problem.to_owned())?;
                        continue;
                    }
                }
            }
            input.skip(start);
            if self.has_excess(header) {
                self.carry(input, log);
            }
            self.done = size;
            self.seconds = Some(header.seconds);
            let bytes = input.window().slice(self.magic.record..size);
            return Ok(Step::Seen(self.seen(header, bytes)));
        }
    }

    #[inline]
    fn seen(&self, header: RecordHeader, bytes: Bytes) -> Seen {
        let nanos = u64::from(header.fraction).saturating_mul(self.magic.unit.into());
        let time = u64::from(header.seconds).saturating_mul(1_000_000_000).saturating_add(nanos);
        let plain = Plain {
            time: Some(Timestamp(time)).filter(|time| time.0 != 0),
            direction: Direction::Unknown,
            link: self.link,
            bytes,
            length: header.length,
        };
        Seen::from(plain.record())
    }

    /// Why a header cannot be one.
    #[inline]
    fn problem(&self, header: RecordHeader) -> Option<String> {
        if header.captured > self.most {
            return Some(format!("a packet of {} bytes", header.captured));
        }
        let is_wrong = self.has_excess(header) && !header.is_near(self.seconds);
        is_wrong.then(|| EXCESS.to_owned())
    }

    /// Whether the fraction of a time is a second or more.
    #[inline]
    fn has_excess(&self, header: RecordHeader) -> bool {
        u64::from(header.fraction) * u64::from(self.magic.unit) >= 1_000_000_000
    }

    /// Counts such a time; the first is told where it is, the number of all at the end.
    fn carry(&mut self, input: &Input, log: &mut Log) {
        if self.carried == 0 {
            log.add(input.offset(), 0, format!("{EXCESS}: it is carried over"));
        }
        self.carried = self.carried.saturating_add(1);
    }

    /// Whether a header could be by chance what it seems: it is believed when another follows.
    #[inline]
    fn is_odd(&self, header: RecordHeader) -> bool {
        let is_far = self.seconds.is_some_and(|s| header.seconds.abs_diff(s) >= MAX_JUMP);
        let is_sound = (header.captured..=MAX_LENGTH).contains(&header.length);
        is_far || !is_sound || self.has_excess(header)
    }

    /// Whether a header `at` bytes into the window bears an odd one in front of it out, or the file ends
    /// there; [`Have::End`] is no.
    fn is_confirmed(&self, input: &mut Input, odd: RecordHeader, at: usize) -> Result<Have> {
        let have = input.want(at + self.magic.record)?;
        if have == Have::NotYet || (have == Have::End && input.window().len() == at) {
            return Ok(if have == Have::NotYet { have } else { Have::Enough });
        }
        let next = self.magic.header(input.window().get(at..).unwrap_or_default());
        let is_near = |seconds: u32| next.seconds.abs_diff(seconds) < MAX_JUMP;
        let is_alike = is_near(odd.seconds)
            || self.seconds.is_some_and(is_near)
            || (next.captured..=MAX_LENGTH).contains(&next.length);
        let is_strict = self.has_excess(odd) || self.has_excess(next);
        let is_alike = is_alike && (!is_strict || next.is_near(Some(odd.seconds)));
        let is_good = have == Have::Enough && next.captured <= self.most && is_alike;
        Ok(if is_good { Have::Enough } else { Have::End })
    }

    /// Whether a search believes this header.
    fn is_plausible(&self, bytes: &[u8]) -> bool {
        let header = self.magic.header(bytes);
        let near = self.seconds.is_none_or(|s| header.seconds.abs_diff(s) < MAX_JUMP);
        near && (1..=self.most).contains(&header.captured)
            && (header.captured..=MAX_LENGTH).contains(&header.length)
            && !self.has_excess(header)
    }

    /// Whether a record begins `at` bytes into the window, another behind it, or the end of the file;
    /// `None` when the file ends before its header does.
    fn begins(&self, input: &mut Input, at: usize) -> Result<Option<bool>> {
        let size = self.magic.record;
        if input.want(at + size)? != Have::Enough {
            return Ok(None);
        }
        let header = |input: &Input, at: usize| {
            let bytes = input.window().get(at..at + size);
            bytes.filter(|bytes| self.is_plausible(bytes)).map(|bytes| self.magic.header(bytes))
        };
        let Some(first) = header(input, at) else { return Ok(Some(false)) };
        let behind = at + size + first.captured as usize;
        if input.want(behind + size)? == Have::Enough {
            return Ok(Some(header(input, behind).is_some()));
        }
        Ok(Some(input.window().len() == behind))
    }

    /// Whether a record begins in the window behind so many bytes. The input has ended.
    fn good_inside(&self, input: &mut Input, from: usize) -> Result<bool> {
        for at in from..input.window().len() {
            match self.begins(input, at)? {
                None => return Ok(false),
                Some(true) => return Ok(true),
                Some(false) => {}
            }
        }
        Ok(false)
    }

    /// The header behind the last record is none: goes on where the next two are, and tells what was
    /// passed over. `false` when there are none.
    fn search(&mut self, input: &mut Input, log: &mut Log, problem: String) -> Result<bool> {
        let patience = input.patience.take(); // what was begun is finished
        let broke = input.offset() + self.done as u64;
        let mut at = (self.magic.record + 1).min(self.done + 1);
        let found = loop {
            match self.begins(input, at) {
                Err(error) => break Err(error),
                Ok(None) => break Ok(false),
                Ok(Some(true)) => break Ok(true),
                Ok(Some(false)) => at += 1,
            }
            if at > 2 * MAX_CAPTURED as usize {
                input.skip(at);
                at = 0;
            }
        };
        input.patience = patience;
        let found = found?;
        let at = if found { at } else { input.window().len() };
        input.skip(at);
        self.done = 0;
        log.add(broke, input.offset().saturating_sub(broke), problem);
        Ok(found)
    }

    /// The file ends where a header should be.
    fn end(&mut self, input: &mut Input, log: &mut Log) -> Step {
        input.skip(self.done);
        self.done = 0;
        let rest = input.window().len();
        if rest > 0 && !input.follows() {
            let whole = self.magic.record;
            let text = format!(
                "the file ends in the middle of a packet's header: {rest} of {whole} bytes are there"
            );
            log.add(input.offset(), rest as u64, text);
            input.skip(rest);
        }
        Step::End
    }

    /// The file ends inside a record: what there is of it.
    fn cut(&mut self, input: &mut Input, log: &mut Log, header: RecordHeader) -> Step {
        input.skip(self.done);
        self.done = 0;
        if input.follows() {
            return Step::End; // somebody is still writing it
        }
        let offset = input.offset();
        input.skip(self.magic.record);
        let rest = input.window().len();
        let bytes = input.take(rest);
        let whole = header.captured;
        let text =
            format!("the file ends in the middle of a packet: {rest} of {whole} bytes are there");
        log.add(offset, 0, text);
        let length = header.length.max(whole);
        Step::Seen(self.seen(RecordHeader { length, ..header }, bytes))
    }
}
