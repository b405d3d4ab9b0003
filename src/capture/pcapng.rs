//! pcapng: the line as interface 0, with directions; what is no frame as packets of interface 1,
//! raw bytes with a comment that says what they are; the device's console, if it was listened to, as
//! interface 2, a line a packet; counters at the end.
//!
//! Directions are the host's: what the device sent came in, what went to the device went out.

use std::borrow::Cow;
use std::io;

use pcap_file::DataLink;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption, InterfaceTsResolution,
};
use pcap_file::pcapng::blocks::interface_statistics::{
    InterfaceStatisticsBlock, InterfaceStatisticsOption,
};
use pcap_file::pcapng::blocks::opt_common::CommonOption;
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};

use super::{Counts, Format, Source};
use crate::clock::Timestamp;
use crate::record::{Body, Direction, Record};

/// The interface of frames.
const LINE: u32 = 0;
/// The interface of everything else: framing errors, gaps, link changes.
const ERRORS: u32 = 1;
/// The interface of console lines.
const CONSOLE: u32 = 2;
/// LINKTYPE_USER0: bytes that are no frame.
const USER0: u32 = 147;
/// LINKTYPE_USER1: text.
const USER1: u32 = 148;
/// Nanoseconds.
const RESOLUTION: u8 = 9;

pub(super) struct Pcapng {
    writer: Option<PcapNgWriter<Vec<u8>>>,
    delivered: [u64; 3],
    has_console: bool,
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
            let name = format!("{} errors", source.name);
            let errors = interface(DataLink::from(USER0), &name, "bytes that make no frame");
            let _ = writer.write_pcapng_block(line);
            let _ = writer.write_pcapng_block(errors);
            if let Some(console) = &source.console {
                let console = interface(DataLink::from(USER1), console, "the device's console");
                let _ = writer.write_pcapng_block(console);
            }
            out.append(writer.get_mut());
        }
        Pcapng { writer, delivered: [0; 3], has_console: source.console.is_some() }
    }

    fn packet(
        &mut self,
        interface_id: u32,
        record: &Record,
        data: &[u8],
        comment: Option<String>,
        out: &mut Vec<u8>,
    ) -> io::Result<bool> {
        let Some(writer) = &mut self.writer else { return Ok(false) };
        let mut options = vec![EnhancedPacketOption::Flags(flags(record.origin.direction))];
        if let Some(comment) = comment {
            let comment = CommonOption::Comment(Cow::Owned(comment));
            options.push(EnhancedPacketOption::Common(comment));
        }
        let block = EnhancedPacketBlock {
            interface_id,
            timestamp: record.time.map_or(Timestamp::default(), |span| span.last).since_epoch(),
            original_len: data.len() as u32,
            data: Cow::Borrowed(data),
            options,
        };
        writer.write_pcapng_block(block).map_err(io::Error::other)?;
        self.delivered[interface_id as usize] += 1;
        out.append(writer.get_mut());
        Ok(true)
    }
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
        remark: Option<String>,
        out: &mut Vec<u8>,
    ) -> io::Result<bool> {
        match &record.body {
            Body::Frame(frame) => self.packet(LINE, record, frame, remark, out),
            Body::Packet(_) => Ok(false),
            Body::FramingError(error) => {
                let mut comment = error.describe(record.offset).to_string();
                comment.extend(remark.map(|remark| format!("\n{remark}")));
                self.packet(ERRORS, record, &error.bytes, Some(comment), out)
            }
            Body::Gap { bytes, .. } => {
                let comment = format!("gap: {bytes} bytes were seen but not kept");
                let held = self.packet(ERRORS, record, &[], Some(comment), out);
                self.delivered[ERRORS as usize] -= 1; // nothing that was on the line
                held
            }
            Body::Link(change) => {
                self.packet(ERRORS, record, &[], Some(format!("link: {change}")), out)
            }
            Body::Console(line) => {
                let interface = if self.has_console { CONSOLE } else { ERRORS };
                let text = crate::escape::terminal(line);
                self.packet(interface, record, line, Some(format!("console: {text}")), out)
            }
        }
    }

    fn finish(&mut self, now: Timestamp, counts: Counts, out: &mut Vec<u8>) -> io::Result<()> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let line = [
            InterfaceStatisticsOption::IsbIfRecv(self.delivered[0] + counts.dropped),
            InterfaceStatisticsOption::IsbIfDrop(counts.dropped),
            InterfaceStatisticsOption::IsbUsrDeliv(self.delivered[0]),
        ];
        let errors = [
            InterfaceStatisticsOption::IsbIfRecv(self.delivered[1]),
            InterfaceStatisticsOption::IsbUsrDeliv(self.delivered[1]),
        ];
        let console = [
            InterfaceStatisticsOption::IsbIfRecv(self.delivered[2]),
            InterfaceStatisticsOption::IsbUsrDeliv(self.delivered[2]),
        ];
        let mut all = vec![(LINE, line.to_vec()), (ERRORS, errors.to_vec())];
        all.extend(self.has_console.then(|| (CONSOLE, console.to_vec())));
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
    use crate::record::{FramingError, Origin, Problem, Recovery, Span};
    use bytes::Bytes;
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
        assert_eq!(packets[0].options, [EnhancedPacketOption::Flags(2)]);
        assert_eq!((packets[1].interface_id, &packets[1].data[..]), (1, &[0, 0][..]));
        let comment = "framing: length 0 at byte 3; passed over 2 bytes, back in step (sure)";
        let comment = EnhancedPacketOption::Common(CommonOption::Comment(comment.into()));
        assert_eq!(packets[1].options, [EnhancedPacketOption::Flags(1), comment]);
        assert!(statistics[0].options.contains(&InterfaceStatisticsOption::IsbIfDrop(3)));
        assert!(statistics[0].options.contains(&InterfaceStatisticsOption::IsbIfRecv(4)));
    }
}
