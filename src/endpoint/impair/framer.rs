//! Bytes of a stream into a lane: frames as frames, and what is none as that.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::lane::{Lane, Load};
use super::link::Start;
use crate::endpoint::Options;
use crate::framing::Decoder;
use crate::record::{Body, Direction, Origin, Record, Span};

/// When the decoder is told that nothing came, so that it decides with what it has.
const QUIET: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(1050)];

/// Frames what comes and puts it into a lane, with the times at which it came.
pub(super) struct Framer {
    decoder: Box<dyn Decoder>,
    decoded: Vec<Record>,
    start: Start,
    /// When something came last.
    last: Instant,
    /// How many of [`QUIET`] have passed since.
    quiet: usize,
}

impl Framer {
    pub fn new(options: &Options, start: Start) -> Framer {
        let origin = Origin::new(Direction::Unknown);
        Framer {
            decoder: (options.framing.decoder)(origin, options.max_frame),
            decoded: Vec::new(),
            start,
            last: Instant::now(),
            quiet: QUIET.len(),
        }
    }

    /// These bytes came now.
    pub fn take(&mut self, bytes: &Bytes, lane: &mut Lane) {
        self.decoder.push(self.start.now(), bytes, &mut self.decoded);
        self.last = Instant::now();
        self.quiet = if self.decoder.is_empty() { QUIET.len() } else { 0 };
        self.put(lane);
    }

    /// Nothing comes any more.
    pub fn finish(&mut self, lane: &mut Lane) {
        self.decoder.finish(self.start.now(), &mut self.decoded);
        self.quiet = QUIET.len();
        self.put(lane);
    }

    /// When [`Framer::be_quiet`] has something to do.
    pub fn due(&self) -> Option<Instant> {
        QUIET.get(self.quiet).map(|after| self.last + *after)
    }

    /// If nothing has come for long enough, what is unclear is decided.
    pub fn be_quiet(&mut self, lane: &mut Lane) {
        if self.due().is_some_and(|at| at <= Instant::now()) {
            self.quiet += 1;
            self.decoder.idle(self.start.now(), &mut self.decoded);
            self.put(lane);
        }
    }

    fn put(&mut self, lane: &mut Lane) {
        for record in self.decoded.drain(..) {
            let span = record.time.unwrap_or(Span::at(self.start.now()));
            let lasted = span.last.since(span.first);
            match record.body {
                Body::Frame(frame) => lane.frame(span.last, frame, record.offset, lasted),
                Body::FramingError(error) => {
                    lane.other(span.last, Load::Error(error), record.offset, lasted);
                }
                _ => {} // decoders yield nothing else
            }
        }
    }
}
