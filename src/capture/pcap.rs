//! Classic pcap with nanosecond timestamps. It has one interface, no directions and no comments:
//! frames only.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use pcap_file::DataLink;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapTsResolution, PcapWriter};

use super::{Counts, Format};
use crate::clock::Timestamp;
use crate::record::{Body, Record};

/// The snap length in the header: longer than any frame.
const SNAPLEN: u32 = 262_144;

pub(super) struct Pcap {
    writer: Option<PcapWriter<Spool>>,
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
    pub(super) fn new(out: &mut Vec<u8>) -> Self {
        let header = PcapHeader {
            snaplen: SNAPLEN,
            datalink: DataLink::ETHERNET,
            ts_resolution: PcapTsResolution::NanoSecond,
            ..PcapHeader::default()
        };
        let spool = Spool::default();
        let writer = PcapWriter::with_header(spool.clone(), header).ok(); // a spool cannot fail
        spool.drain(out);
        Pcap { writer, spool }
    }
}

impl Format for Pcap {
    fn record(
        &mut self,
        record: &Record,
        _: Option<String>,
        out: &mut Vec<u8>,
    ) -> io::Result<bool> {
        let (Body::Frame(frame), Some(writer)) = (&record.body, &mut self.writer) else {
            return Ok(false);
        };
        let time = record.time.map_or(Timestamp::default(), |span| span.last);
        let packet = PcapPacket::new(time.since_epoch(), frame.len() as u32, &frame[..]);
        let packet = packet.map_err(io::Error::other)?;
        writer.write_packet(&packet).map_err(io::Error::other)?;
        self.spool.drain(out);
        Ok(true)
    }

    fn finish(&mut self, _: Timestamp, _: Counts, _: &mut Vec<u8>) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Direction, LinkChange, Origin, Span};
    use pcap_file::pcap::PcapReader;

    #[test]
    fn frames_keep_their_nanoseconds_and_everything_else_is_left_out() {
        let mut out = Vec::new();
        let mut format = Pcap::new(&mut out);
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

        let mut reader = PcapReader::new(&out[..]).expect("a header");
        let packet = reader.next_packet().expect("a packet").expect("a whole one");
        assert_eq!(packet.timestamp().as_nanos(), 1_700_000_000_123_456_789);
        assert_eq!(packet.data(), &[9; 60]);
        assert!(reader.next_packet().is_none());
    }
}
