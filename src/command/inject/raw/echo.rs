//! What a line would show of the frames that are not sent: for the capture of a dry run.

use bytes::Bytes;

use crate::clock::{Clock, Timestamp};
use crate::endpoint::Options;
use crate::error::Result;
use crate::framing::{Decoder, Framing};
use crate::probe::inject::wire::Wire;
use crate::record::{Body, Direction, Origin, Record, Span};

/// From one frame to the next in nanoseconds, since nothing is sent at any time.
const APART: u64 = 1_000_000;

/// Makes records of frames.
pub(super) struct Echo {
    decoder: Box<dyn Decoder>,
    framing: &'static Framing,
    now: Timestamp,
    is_wanted: bool,
    records: Vec<Record>,
}

impl Echo {
    /// For a line with these options; nothing is kept that is not wanted.
    pub fn new(options: &Options, is_wanted: bool) -> Echo {
        let origin = Origin::new(Direction::ToDevice);
        let decoder = (options.framing.decoder)(origin, options.max_frame);
        let now = Clock::system().now();
        Echo { decoder, framing: options.framing, now, is_wanted, records: Vec::new() }
    }

    /// A frame that would go out so.
    pub fn frame(&mut self, wire: &Wire, frame: &[u8]) -> Result<()> {
        if !self.is_wanted {
            return Ok(());
        }
        self.now = Timestamp(self.now.0.saturating_add(APART));
        match wire.on_the_line(self.framing, frame)? {
            Some(bytes) => self.decoder.push(self.now, &Bytes::from(bytes), &mut self.records),
            None => self.records.push(Record {
                time: Some(Span::at(self.now)),
                origin: Origin::new(Direction::ToDevice),
                offset: None,
                body: Body::Frame(Bytes::copy_from_slice(frame)),
            }),
        }
        Ok(())
    }

    /// All of them.
    pub fn finish(mut self) -> Vec<Record> {
        self.decoder.stop(self.now, &mut self.records);
        self.records
    }
}
