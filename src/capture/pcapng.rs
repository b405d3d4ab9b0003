//! pcapng: the line as interface 0, with directions; counters at the end. Bytes that are no frame are
//! packets of an interface of their own, with a comment that says what they are; so are packets of each
//! other link type, out of other captures. These interfaces are described when they are first needed:
//! programs that take one link type only read what has only frames. What has no bytes, and lines of the
//! console, are entries of a journal ([`super::journal`]). What a packet block cannot say about a record is
//! in an option of our own ([`super::own`]), so that reading gives the same records again.
//!
//! Directions are the host's: what the device sent came in, what went to the device went out.

use std::borrow::Cow;
use std::io;

use bytes::Bytes;
use pcap_file::DataLink;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::custom::CustomBinaryOption;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption, InterfaceTsResolution,
};
use pcap_file::pcapng::blocks::interface_statistics::{
    InterfaceStatisticsBlock, InterfaceStatisticsOption,
};
use pcap_file::pcapng::blocks::opt_common::CommonOption;
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::pcapng::blocks::systemd_journal_export::SystemdJournalExportBlock;

use super::{Counts, Format, Source, journal, own};
use crate::clock::Timestamp;
use crate::record::{Body, Direction, FramingError, LinkType, Record};

/// The interface of frames.
const LINE: u32 = 0;
/// LINKTYPE_USER0: bytes that are no frame.
const USER0: u32 = 147;
/// A comment that is longer is cut: an option holds 64 KiB.
const MAX_COMMENT: usize = 60_000;
/// Nanoseconds.
const RESOLUTION: u8 = 9;

pub(super) struct Pcapng {
    writer: Option<PcapNgWriter<Vec<u8>>>,
    /// In the order of their descriptions.
    interfaces: Vec<Interface>,
    /// What the line is called, and the console.
    names: (String, String),
    /// What we say about a record besides the packet; kept for its memory.
    own: Vec<u8>,
}

/// An interface that is described.
struct Interface {
    of: What,
    /// How many packets it has.
    delivered: u64,
}

/// What an interface is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// Frames of the line.
    Line,
    /// What else was on it: framing errors.
    Errors,
    /// Packets of another link type.
    Other(LinkType),
}

impl Pcapng {
    pub(super) fn new(source: &Source, out: &mut Vec<u8>) -> Self {
        let program = concat!("uarttool ", env!("CARGO_PKG_VERSION"));
        let section = SectionHeaderBlock {
            options: vec![SectionHeaderOption::UserApplication(Cow::Borrowed(program))],
            ..SectionHeaderBlock::default()
        };
        // Writing to a Vec cannot fail, and nothing in these blocks is out of range.
        let mut writer = PcapNgWriter::with_section_header(Vec::new(), section).ok();
        if let Some(writer) = &mut writer {
            let line = interface(DataLink::ETHERNET, &source.name, &source.description);
            let _ = writer.write_pcapng_block(line);
            out.append(writer.get_mut());
        }
        let interfaces = vec![Interface { of: What::Line, delivered: 0 }];
        let console = source.console.clone().unwrap_or_else(|| format!("{} console", source.name));
        Pcapng { writer, interfaces, names: (source.name.clone(), console), own: Vec::new() }
    }

    /// The interface for `what`; it is described when it is first needed.
    fn interface_of(&mut self, what: What) -> io::Result<u32> {
        let known = self.interfaces.iter().position(|interface| interface.of == what);
        let n = match known {
            Some(n) => n,
            None => {
                let about = self.describe(what);
                if let Some(writer) = &mut self.writer {
                    writer.write_pcapng_block(about).map_err(io::Error::other)?;
                }
                self.interfaces.push(Interface { of: what, delivered: 0 });
                self.interfaces.len() - 1
            }
        };
        u32::try_from(n).map_err(io::Error::other)
    }

    fn describe(&self, what: What) -> InterfaceDescriptionBlock<'static> {
        let (line, _) = &self.names;
        match what {
            What::Line => interface(DataLink::ETHERNET, line, ""),
            What::Errors => {
                let name = format!("{line} errors");
                interface(DataLink::from(USER0), &name, "bytes that make no frame")
            }
            What::Other(link) => {
                let name = format!("link type {}", link.0);
                interface(DataLink::from(u32::from(link.0)), &name, "other packets")
            }
        }
    }

    fn packet(
        &mut self,
        what: What,
        record: &Record,
        (data, original_len): (&[u8], u32),
        remark: Option<&str>,
        out: &mut Vec<u8>,
    ) -> io::Result<bool> {
        let interface_id = self.interface_of(what)?;
        let Some(writer) = &mut self.writer else { return Ok(false) };
        let mut options = vec![EnhancedPacketOption::Flags(flags(record.origin.direction))];
        if let Some(comment) = comment(record, remark) {
            let comment = CommonOption::Comment(Cow::Owned(comment));
            options.push(EnhancedPacketOption::Common(comment));
        }
        self.own.clear();
        own::encode(record, &mut self.own);
        if !self.own.is_empty() {
            let value = Cow::Borrowed(&self.own[..]);
            let option = CustomBinaryOption { pen: own::ENTERPRISE, value };
            options.push(EnhancedPacketOption::Common(CommonOption::CustomBinaryCopiable(option)));
        }
        let block = EnhancedPacketBlock {
            interface_id,
            timestamp: record.time.map_or(Timestamp::default(), |span| span.last).since_epoch(),
            original_len,
            data: Cow::Borrowed(data),
            options,
        };
        writer.write_pcapng_block(block).map_err(io::Error::other)?;
        if let Some(interface) = self.interfaces.get_mut(interface_id as usize) {
            interface.delivered += 1;
        }
        out.append(writer.get_mut());
        Ok(true)
    }

    /// Writes what is no packet.
    fn entry(
        &mut self,
        record: &Record,
        remark: Option<&str>,
        out: &mut Vec<u8>,
    ) -> io::Result<bool> {
        let Some(writer) = &mut self.writer else { return Ok(false) };
        let (line, console) = &self.names;
        let is_console = matches!(record.body, Body::Console(_));
        self.own.clear();
        journal::encode(record, if is_console { console } else { line }, remark, &mut self.own);
        let journal_entry = Cow::Borrowed(&self.own[..]);
        let block = SystemdJournalExportBlock { journal_entry };
        writer.write_pcapng_block(block).map_err(io::Error::other)?;
        out.append(writer.get_mut());
        Ok(true)
    }
}

/// What people read beside the packet: our sentence, if it is no frame, and the remark below it.
fn comment(record: &Record, remark: Option<&str>) -> Option<String> {
    let comment = match (own::sentence(record), remark) {
        (Some(sentence), Some(remark)) => format!("{sentence}\n{remark}"),
        (sentence, remark) => sentence.or_else(|| remark.map(str::to_owned))?,
    };
    Some(match comment.len() > MAX_COMMENT {
        true => own::cut(&comment, MAX_COMMENT).to_owned(),
        false => comment,
    })
}

fn interface(
    linktype: DataLink,
    name: &str,
    description: &str,
) -> InterfaceDescriptionBlock<'static> {
    let mut options = vec![
        InterfaceDescriptionOption::IfName(Cow::Owned(name.to_owned())),
        InterfaceDescriptionOption::IfDescription(Cow::Owned(description.to_owned())),
    ];
    if let Ok(resolution) = InterfaceTsResolution::new(false, RESOLUTION) {
        options.push(InterfaceDescriptionOption::IfTsResol(resolution));
    }
    InterfaceDescriptionBlock { linktype, snaplen: 0, options }
}

/// `epb_flags`: bits 0 and 1 are the direction, 1 inbound and 2 outbound.
fn flags(direction: Direction) -> u32 {
    match direction {
        Direction::FromDevice => 1,
        Direction::ToDevice => 2,
        Direction::Unknown => 0,
    }
}

impl Format for Pcapng {
    fn record(
        &mut self,
        record: &Record,
        remark: Option<&str>,
        out: &mut Vec<u8>,
    ) -> io::Result<bool> {
        let whole = |data: &Bytes| u32::try_from(data.len()).map_err(io::Error::other);
        match &record.body {
            Body::Frame(frame) => {
                self.packet(What::Line, record, (frame, whole(frame)?), remark, out)
            }
            Body::Packet(packet) => {
                let what = match packet.link {
                    LinkType::ETHERNET => What::Line,
                    link => What::Other(link),
                };
                let length = packet.length.max(whole(&packet.bytes)?);
                self.packet(what, record, (&packet.bytes, length), remark, out)
            }
            Body::FramingError(FramingError { bytes, .. }) => {
                self.packet(What::Errors, record, (bytes, whole(bytes)?), remark, out)
            }
            Body::Gap { .. } | Body::Link(_) | Body::Console(_) | Body::Impaired(_) => {
                self.entry(record, remark, out)
            }
        }
    }

    fn finish(&mut self, now: Timestamp, counts: Counts, out: &mut Vec<u8>) -> io::Result<()> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let mut all = Vec::new();
        let delivered = self.interfaces.iter().map(|interface| interface.delivered);
        for (interface_id, delivered) in (0u32..).zip(delivered) {
            let dropped = if interface_id == LINE { counts.dropped } else { 0 };
            let mut options = vec![InterfaceStatisticsOption::IsbIfRecv(delivered + dropped)];
            if interface_id == LINE {
                options.push(InterfaceStatisticsOption::IsbIfDrop(dropped));
            }
            options.push(InterfaceStatisticsOption::IsbUsrDeliv(delivered));
            all.push((interface_id, options));
        }
        for (interface_id, options) in all {
            let timestamp = now.since_epoch();
            let block = InterfaceStatisticsBlock { interface_id, timestamp, options };
            writer.write_pcapng_block(block).map_err(io::Error::other)?;
        }
        out.append(writer.get_mut());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Origin, Problem, Recovery, Span};
    use pcap_file::pcapng::{Block, PcapNgReader};

    fn record(direction: Direction, time: u64, body: Body) -> Record {
        let time = Some(Span::at(Timestamp(time)));
        Record { time, origin: Origin::new(direction), offset: Some(3), body }
    }

    #[test]
    fn everything_that_goes_in_is_read_back() {
        let mut out = Vec::new();
        let source = Source {
            name: "tcp:h:1".to_owned(),
            description: "direct tap".to_owned(),
            framing: crate::framing::ALL[0],
            console: None,
        };
        let mut format = Pcapng::new(&source, &mut out);
        let frame = Bytes::from_static(&[9; 60]);
        let error = FramingError {
            problem: Problem::ZeroLength,
            bytes: Bytes::from_static(&[0, 0]),
            recovery: Recovery::Sure,
        };
        for record in [
            record(Direction::ToDevice, 1_700_000_000_123_456_789, Body::Frame(frame.clone())),
            record(Direction::FromDevice, 1_700_000_001_000_000_001, Body::FramingError(error)),
        ] {
            assert!(format.record(&record, None, &mut out).expect("a Vec takes everything"));
        }
        let counts = Counts { dropped: 3 };
        format.finish(Timestamp(1), counts, &mut out).expect("a Vec takes everything");

        let mut reader = PcapNgReader::new(&out[..]).expect("a section header");
        let mut packets = Vec::new();
        let mut statistics = Vec::new();
        while let Some(block) = reader.next_block() {
            match block.expect("a whole block").0.into_owned() {
                Block::EnhancedPacket(packet) => packets.push(packet),
                Block::InterfaceStatistics(block) => statistics.push(block),
                _ => {}
            }
        }
        assert_eq!(packets.len(), 2);
        assert_eq!(packets[0].data, &frame[..]);
        assert_eq!(packets[0].timestamp.as_nanos(), 1_700_000_000_123_456_789);
        let own = |value: &'static [u8]| {
            let option = CustomBinaryOption { pen: own::ENTERPRISE, value: value.into() };
            EnhancedPacketOption::Common(CommonOption::CustomBinaryCopiable(option))
        };
        let frame = own(b"uar\x01\x00\x24\0\0\0\0\0\0\0\x03");
        assert_eq!(packets[0].options, [EnhancedPacketOption::Flags(2), frame]);
        assert_eq!((packets[1].interface_id, &packets[1].data[..]), (1, &[0, 0][..]));
        let comment = "framing: length 0 at byte 3; passed over 2 bytes, back in step (sure)";
        let comment = EnhancedPacketOption::Common(CommonOption::Comment(comment.into()));
        assert_eq!(packets[1].options[..2], [EnhancedPacketOption::Flags(1), comment]);
        assert!(statistics[0].options.contains(&InterfaceStatisticsOption::IsbIfDrop(3)));
        assert!(statistics[0].options.contains(&InterfaceStatisticsOption::IsbIfRecv(4)));
    }
}
