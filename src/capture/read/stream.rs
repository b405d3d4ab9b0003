//! A raw stream: the bytes of a line in one direction, as `socat -r` and QEMU's `logfile=` record them.
//! It has no times, and nobody knows which way it went.

use std::collections::VecDeque;

use super::input::{Have, Input, PATIENCE};
use super::{Seen, Step};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::framing::{Decoder, Framing};
use crate::record::{Body, Direction, Origin, Record};

/// So many bytes are framed at a time, so that not too many records wait.
pub(super) const SLICE: usize = 64 * 1024;

/// A recorded stream.
pub(super) struct Stream {
    decoder: Box<dyn Decoder>,
    queue: VecDeque<Record>,
    scratch: Vec<Record>,
    frames: u64,
    /// Nothing has come for a while, and the decoder knows.
    is_idle: bool,
    is_over: bool,
}

impl Stream {
    pub(super) fn new(framing: &Framing, max_frame: usize) -> Self {
        Stream {
            decoder: (framing.decoder)(Origin::new(Direction::Unknown), max_frame),
            queue: VecDeque::new(),
            scratch: Vec::new(),
            frames: 0,
            is_idle: false,
            is_over: false,
        }
    }

    /// How many frames there were so far.
    pub(super) fn frames(&self) -> u64 {
        self.frames
    }

    pub(super) fn next(&mut self, input: &mut Input) -> Result<Step> {
        loop {
            if let Some(mut record) = self.queue.pop_front() {
                record.time = None;
                self.frames += u64::from(matches!(record.body, Body::Frame(_)));
                return Ok(Step::Seen(Seen::from(record)));
            }
            if self.is_over {
                return Ok(Step::End);
            }
            let now = Timestamp::default();
            input.patience = (!self.is_idle).then_some(PATIENCE);
            match input.want(1)? {
                Have::Enough => {
                    self.is_idle = false;
                    self.decoder.push(now, &input.take(SLICE), &mut self.scratch);
                }
                Have::NotYet => {
                    self.is_idle = true;
                    self.decoder.idle(now, &mut self.scratch);
                }
                Have::End => {
                    self.is_over = true;
                    match input.has_ended() {
                        true => self.decoder.finish(now, &mut self.scratch),
                        false => self.decoder.stop(now, &mut self.scratch),
                    }
                }
            }
            self.queue.extend(self.scratch.drain(..));
        }
    }
}
