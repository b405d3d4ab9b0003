//! Classic pcap with nanosecond timestamps. It has one link type, no directions and no comments: frames
//! only, and only those of the link type that the first one has.
//!
//! The header names the link type, so that it is written when the first frame comes.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use pcap_file::DataLink;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapTsResolution, PcapWriter};

use super::{Counts, Format};
use crate::clock::Timestamp;
use crate::record::{Body, LinkType, Record};

/// The snap length in the header: longer than any frame.
const SNAPLEN: u32 = 262_144;
/// Seconds are a number of 32 bits: the format ends in the year 2106.
const TOO_LATE: Timestamp = Timestamp((1 << 32) * 1_000_000_000);

#[derive(Default)]
pub(super) struct Pcap {
    /// The link type in the header and what writes behind it, once there is a header.
    begun: Option<(LinkType, PcapWriter<Spool>)>,
    spool: Spool,
}

/// The writer owns its sink and does not hand it out, so that the bytes are fetched from a second
/// handle.
#[derive(Clone, Default)]
struct Spool(Arc<Mutex<Vec<u8>>>);

impl Spool {
    fn drain(&self, out: &mut Vec<u8>) {
        out.append(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Pcap {
    /// What writes packets of `link`; `None` when the file has another link type.
    fn writer(&mut self, link: LinkType) -> io::Result<Option<&mut PcapWriter<Spool>>> {
        if self.begun.is_none() {
            let header = PcapHeader {
                snaplen: SNAPLEN,
                datalink: DataLink::from(u32::from(link.0)),
                ts_resolution: PcapTsResolution::NanoSecond,
                ..PcapHeader::default()
            };
            let writer = PcapWriter::with_header(self.spool.clone(), header);
            self.begun = Some((link, writer.map_err(io::Error::other)?));
        }
        let begun = self.begun.as_mut().filter(|(header, _)| *header == link);
        Ok(begun.map(|(_, writer)| writer))
    }
}

impl Format for Pcap {
    fn record(&mut self, record: &Record, _: Option<&str>, out: &mut Vec<u8>) -> io::Result<bool> {
        let (link, bytes, length) = match &record.body {
            Body::Frame(frame) => (LinkType::ETHERNET, frame, frame.len()),
            Body::Packet(packet) => (packet.link, &packet.bytes, packet.length as usize),
            Body::FramingError(_)
            | Body::Gap { .. }
            | Body::Link(_)
            | Body::Console(_)
            | Body::Impaired(_) => {
                return Ok(false);
            }
        };
        let time = record.time.map_or(Timestamp::default(), |span| span.last);
        let has_place = bytes.len() <= SNAPLEN as usize && time < TOO_LATE;
        let Ok(length) = u32::try_from(length.max(bytes.len())) else { return Ok(false) };
        let Some(writer) = self.writer(link)?.filter(|_| has_place) else { return Ok(false) };
        let packet = PcapPacket::new(time.since_epoch(), length, &bytes[..]);
        let packet = packet.map_err(io::Error::other)?;
        writer.write_packet(&packet).map_err(io::Error::other)?;
        self.spool.drain(out);
        Ok(true)
    }

    fn finish(&mut self, _: Timestamp, _: Counts, out: &mut Vec<u8>) -> io::Result<()> {
        if self.begun.is_none() {
            self.writer(LinkType::ETHERNET)?; // an empty capture is one, too
        }
        self.spool.drain(out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Direction, LinkChange, Origin, Packet, Span};
    use pcap_file::pcap::PcapReader;

    #[test]
    fn frames_keep_their_nanoseconds_and_everything_else_is_left_out() {
        let mut out = Vec::new();
        let mut format = Pcap::default();
        let record = |body| Record {
            time: Some(Span::at(Timestamp(1_700_000_000_123_456_789))),
            origin: Origin::new(Direction::FromDevice),
            offset: None,
            body,
        };
        let frame = record(Body::Frame(bytes::Bytes::from_static(&[9; 60])));
        assert!(format.record(&frame, None, &mut out).expect("a Vec takes everything"));
        let link = record(Body::Link(LinkChange::Reset));
        assert!(!format.record(&link, None, &mut out).expect("a Vec takes everything"));

        let other = Packet {
            link: LinkType::RAW,
            bytes: bytes::Bytes::from_static(&[0x45; 20]),
            length: 20,
        };
        let other = record(Body::Packet(other));
        assert!(!format.record(&other, None, &mut out).expect("a Vec takes everything"));
        let cut = Packet {
            link: LinkType::ETHERNET,
            bytes: bytes::Bytes::from_static(&[8; 20]),
            length: 60,
        };
        let cut = record(Body::Packet(cut));
        assert!(format.record(&cut, None, &mut out).expect("a Vec takes everything"));

        let mut reader = PcapReader::new(&out[..]).expect("a header");
        let packet = reader.next_packet().expect("a packet").expect("a whole one");
        assert_eq!(packet.timestamp().as_nanos(), 1_700_000_000_123_456_789);
        assert_eq!(packet.data(), &[9; 60]);
        let packet = reader.next_packet().expect("a packet").expect("a whole one");
        assert_eq!((packet.data().len(), packet.orig_len()), (20, 60));
        assert!(reader.next_packet().is_none());
    }

    #[test]
    fn the_first_packet_decides_the_link_type_and_an_empty_capture_is_of_ethernet() {
        let link = |out: &[u8]| PcapReader::new(out).expect("a header").header().datalink;
        let mut out = Vec::new();
        let mut format = Pcap::default();
        let packet = Packet {
            link: LinkType::RAW,
            bytes: bytes::Bytes::from_static(&[0x45; 20]),
            length: 20,
        };
        let record = Record {
            time: None,
            origin: Origin::new(Direction::Unknown),
            offset: None,
            body: Body::Packet(packet),
        };
        assert!(format.record(&record, None, &mut out).expect("a Vec takes everything"));
        assert_eq!(link(&out), DataLink::from(101));
        let mut out = Vec::new();
        let (now, counts) = (Timestamp::default(), Counts::default());
        Pcap::default().finish(now, counts, &mut out).expect("a Vec takes everything");
        assert_eq!(link(&out), DataLink::ETHERNET);
    }
}
