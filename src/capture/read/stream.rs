//! A raw stream: the bytes of a line in one direction, as `socat -r` and QEMU's `logfile=` record them.
//! It has no times, and nobody knows which way it went.

use std::collections::VecDeque;

use super::damage::Log;
use super::input::{Have, Input, PATIENCE};
use super::{Seen, Step};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::framing::{Decoder, Framing};
use crate::record::{Direction, Origin, Record};

/// So many bytes are framed at a time, so that not too many records wait.
pub(super) const SLICE: usize = 64 * 1024;

/// A recorded stream.
pub(super) struct Stream {
    decoder: Box<dyn Decoder>,
    queue: VecDeque<Record>,
    scratch: Vec<Record>,
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
            is_idle: false,
            is_over: false,
        }
    }

    pub(super) fn next(&mut self, input: &mut Input, log: &mut Log) -> Result<Step> {
        loop {
            if let Some(mut record) = self.queue.pop_front() {
                record.time = None;
                return Ok(Step::Seen(Seen::from(record)));
            }
            if self.is_over {
                return Ok(Step::End);
            }
            let now = Timestamp::default();
            input.patience = (!self.is_idle).then_some(PATIENCE);
            match input.want(1, log)? {
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
                    match input.follows() {
                        true => self.decoder.stop(now, &mut self.scratch),
                        false => self.decoder.finish(now, &mut self.scratch),
                    }
                }
            }
            self.queue.extend(self.scratch.drain(..));
        }
    }
}
