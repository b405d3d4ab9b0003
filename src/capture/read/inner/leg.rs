//! One direction of a connection: segments to a stream, the stream to records.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::framing::{Decoder, Framing};
use crate::record::{Body, Origin, Record, Span};
use crate::stream::{Assembly, Piece};

/// After so much silence a tap tells its decoder, and so does a capture.
const QUIET: Duration = Duration::from_millis(1050);

/// How streams are framed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frames {
    pub framing: &'static Framing,
    pub max_frame: usize,
}

/// How a direction has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The stream is over.
    Over,
    /// We stop reading, or the capture lacks what comes next.
    Unknown,
}

/// One direction.
pub(super) struct Leg {
    frames: Frames,
    origin: Origin,
    pub assembly: Assembly,
    decoder: Box<dyn Decoder>,
    /// The offset in the stream at which this decoder has begun.
    base: u64,
    /// The offset of the next byte.
    offset: u64,
    last: Timestamp,
    /// The decoder knows that nothing has come for a while.
    is_idle: bool,
    /// What the assembly yields; empty between calls.
    pieces: Vec<Piece>,
}

impl Leg {
    pub(super) fn new(frames: Frames, origin: Origin) -> Self {
        Leg {
            frames,
            origin,
            assembly: Assembly::default(),
            decoder: (frames.framing.decoder)(origin, frames.max_frame),
            base: 0,
            offset: 0,
            last: Timestamp::default(),
            is_idle: false,
            pieces: Vec::new(),
        }
    }

    /// Lets `step` use the assembly, and frames what comes of it. Whether the stream is over now.
    pub(super) fn advance(
        &mut self,
        step: impl FnOnce(&mut Assembly, &mut Vec<Piece>),
        out: &mut Vec<Record>,
    ) -> bool {
        let mut pieces = std::mem::take(&mut self.pieces);
        step(&mut self.assembly, &mut pieces);
        let mut is_over = false;
        // What a packet brings that fills a hole comes on the line with what stands behind the hole.
        let mut filled = Timestamp::default();
        for piece in pieces.drain(..) {
            match piece {
                Piece::Data(time, bytes) => {
                    let time = time.max(filled);
                    filled = time;
                    self.idle(time, out);
                    let start = out.len();
                    self.is_idle = false;
                    self.last = time;
                    self.offset = self.offset.saturating_add(bytes.len() as u64);
                    self.decoder.push(time, &bytes, out);
                    self.rebase(start, out);
                }
                Piece::Lost(bytes) => {
                    filled = Timestamp::default();
                    self.gap(bytes, out);
                }
                Piece::End => {
                    self.finish(Ending::Over, out);
                    is_over = true;
                }
            }
        }
        self.pieces = pieces;
        is_over
    }

    /// Nothing has come up to `time`: what the decoder has is decided if that was long.
    pub(super) fn idle(&mut self, time: Timestamp, out: &mut Vec<Record>) {
        if time.since(self.last) >= QUIET && !self.decoder.is_empty() {
            let start = out.len();
            self.decoder.idle(time, out);
            self.rebase(start, out);
            self.is_idle = true;
        }
    }

    /// Whether bytes have come that are in no record yet, although no byte of it may be missing: they stand behind
    /// a hole, or the decoder wants to see more.
    pub(super) fn is_behind(&self) -> bool {
        self.assembly.has_hole() || (!self.is_idle && self.decoder.until_boundary().is_none())
    }

    /// Hands out what the decoder still has.
    pub(super) fn finish(&mut self, ending: Ending, out: &mut Vec<Record>) {
        let start = out.len();
        match ending {
            Ending::Over => self.decoder.finish(self.last, out),
            Ending::Unknown => self.decoder.stop(self.last, out),
        }
        self.rebase(start, out);
    }

    /// So many bytes of the stream are not in the capture: what the decoder has is no error of the line, and
    /// a new one begins behind them.
    fn gap(&mut self, bytes: u64, out: &mut Vec<Record>) {
        self.finish(Ending::Unknown, out);
        out.push(Record {
            time: Some(Span::at(self.last)),
            origin: self.origin,
            offset: Some(self.offset),
            body: Body::Gap { records: 0, bytes },
        });
        self.offset = self.offset.saturating_add(bytes);
        self.base = self.offset;
        self.decoder = (self.frames.framing.decoder)(self.origin, self.frames.max_frame);
    }

    /// The decoder counts from where it has begun.
    fn rebase(&self, start: usize, out: &mut [Record]) {
        for record in out.iter_mut().skip(start) {
            record.offset = record.offset.map(|offset| offset.saturating_add(self.base));
        }
    }
}
