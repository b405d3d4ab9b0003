//! The bytes of a line, as a tool beside the line would have recorded them: no times, no directions.
//! Frames get the framing's header again, and bytes that made no frame stand where they stood.

use std::io;

use super::{Counts, Format};
use crate::clock::Timestamp;
use crate::framing::Framing;
use crate::record::{Body, Record};

pub(super) struct Stream {
    pub(super) framing: &'static Framing,
}

impl Format for Stream {
    fn record(&mut self, record: &Record, _: Option<&str>, out: &mut Vec<u8>) -> io::Result<bool> {
        Ok(match &record.body {
            Body::Frame(frame) => self.framing.encode(frame, out).is_ok(),
            Body::FramingError(error) => {
                out.extend_from_slice(&error.bytes);
                true
            }
            _ => false,
        })
    }

    fn finish(&mut self, _: Timestamp, _: Counts, _: &mut Vec<u8>) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Direction, FramingError, LinkChange, Origin, Problem, Recovery};
    use bytes::Bytes;

    #[test]
    fn the_line_is_as_it_was() {
        let record = |body| Record {
            time: None,
            origin: Origin::new(Direction::FromDevice),
            offset: None,
            body,
        };
        let error = FramingError {
            problem: Problem::ZeroLength,
            bytes: Bytes::from_static(&[0, 0]),
            recovery: Recovery::Sure,
        };
        let mut format = Stream { framing: crate::framing::ALL[0] };
        let mut out = Vec::new();
        for (body, is_held) in [
            (Body::Frame(Bytes::from_static(&[9; 3])), true),
            (Body::FramingError(error), true),
            (Body::Link(LinkChange::Reset), false),
            (Body::Frame(Bytes::new()), false),
        ] {
            let held = format.record(&record(body), None, &mut out);
            assert_eq!(held.expect("a Vec takes everything"), is_held);
        }
        assert_eq!(out, [0, 3, 9, 9, 9, 0, 0]);
    }
}
