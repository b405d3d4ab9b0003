//! One direction of a tapped connection: its decoder, and the bytes that are on their way.

use std::cell::RefCell;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::Tap;
use crate::bus::Bus;
use crate::endpoint::{Receive, Received, Transmit};
use crate::error::{Error, Result};
use crate::framing::Decoder;
use crate::record::{Origin, Record};

/// When the decoder is told that nothing came: soon, so that the last frame behind an error is
/// shown, and after receivers have discarded what they had.
const QUIET: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(1050)];

pub(super) struct Leg<'a> {
    tap: &'a Tap,
    bus: &'a RefCell<Bus>,
    decoder: Box<dyn Decoder>,
    records: Vec<Record>,
    /// Bytes that are being passed on and are not framed yet.
    in_flight: Option<Bytes>,
    last: Instant,
    /// How many of [`QUIET`] have passed since `last`.
    quiet: usize,
    /// Whether arrival times mean anything.
    is_timed: bool,
}

/// How passing on ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The sender closed or vanished.
    Source(String),
    /// The receiver takes no more.
    Sink(Error),
}

impl<'a> Leg<'a> {
    pub(super) fn new(tap: &'a Tap, bus: &'a RefCell<Bus>, origin: Origin, is_timed: bool) -> Self {
        Leg {
            tap,
            bus,
            decoder: (tap.options.framing.decoder)(origin, tap.options.max_frame),
            records: Vec::new(),
            in_flight: None,
            last: Instant::now(),
            quiet: QUIET.len(),
            is_timed,
        }
    }

    /// Waits for bytes; meanwhile tells the decoder that none came.
    async fn receive(&mut self, rx: &mut dyn Receive) -> Result<Received> {
        loop {
            let next = QUIET.get(self.quiet).map(|after| self.last + *after);
            let received = match next {
                None => rx.receive().await,
                Some(deadline) => match tokio::time::timeout_at(deadline, rx.receive()).await {
                    Ok(received) => received,
                    Err(_) => {
                        self.quiet += 1;
                        self.decoder.idle(self.tap.clock.now(), &mut self.records);
                        self.publish();
                        continue;
                    }
                },
            };
            return received;
        }
    }

    /// Frames `bytes` and hands the records out.
    fn frame(&mut self, bytes: &Bytes) {
        self.decoder.push(self.tap.clock.now(), bytes, &mut self.records);
        self.last = Instant::now();
        self.quiet = if self.decoder.until_boundary() == Some(0) { QUIET.len() } else { 0 };
    }

    fn publish(&mut self) {
        if !self.is_timed {
            for record in &mut self.records {
                record.time = None;
            }
        }
        if !self.records.is_empty() {
            self.bus.borrow_mut().publish(&mut self.records);
        }
    }

    /// Only listens, until the sender is gone.
    pub(super) async fn observe(&mut self, rx: &mut dyn Receive) -> Result<String> {
        loop {
            if let Some(how) = self.observe_once(rx).await? {
                return Ok(how);
            }
        }
    }

    /// Listens until something comes; says how it ended if it did.
    pub(super) async fn observe_once(&mut self, rx: &mut dyn Receive) -> Result<Option<String>> {
        match self.receive(rx).await? {
            Received::End(how) => return Ok(Some(how)),
            Received::Bytes(bytes) => self.frame(&bytes),
        }
        if self.is_timed {
            self.publish();
        } else {
            self.publish_all().await;
        }
        Ok(None)
    }

    /// A recording waits for its watchers instead of losing anything.
    async fn publish_all(&mut self) {
        for record in &mut self.records {
            record.time = None;
        }
        let mut bus = std::mem::take(&mut *self.bus.borrow_mut());
        bus.publish_all(&mut self.records).await;
        *self.bus.borrow_mut() = bus;
    }

    /// Passes on everything but the first `skip` bytes, until either side is gone.
    pub(super) async fn forward(
        &mut self,
        rx: &mut dyn Receive,
        tx: &mut dyn Transmit,
        mut skip: usize,
    ) -> Result<Ended> {
        loop {
            let bytes = match self.receive(rx).await? {
                Received::End(how) => return Ok(Ended::Source(how)),
                Received::Bytes(bytes) => bytes,
            };
            let wanted = bytes.slice(skip.min(bytes.len())..);
            skip -= bytes.len() - wanted.len();
            // Kept here rather than on the stack: should we be cancelled while the other side
            // does not take it, it still was on the line.
            self.in_flight = Some(bytes);
            if !wanted.is_empty()
                && let Err(error) = tx.send_raw(&wanted).await
            {
                self.settle();
                return Ok(Ended::Sink(error));
            }
            self.settle();
        }
    }

    /// Frames what was being passed on.
    pub(super) fn settle(&mut self) {
        if let Some(bytes) = self.in_flight.take() {
            self.frame(&bytes);
            self.publish();
        }
    }

    /// The connection is over: everything that is left comes out.
    pub(super) fn finish(&mut self) {
        self.settle();
        self.decoder.finish(self.tap.clock.now(), &mut self.records);
        self.publish();
    }

    /// The same at the end of a recording.
    pub(super) async fn finish_all(&mut self) {
        self.settle();
        self.decoder.finish(self.tap.clock.now(), &mut self.records);
        self.publish_all().await;
    }

    /// Bytes until the next frame begins; `None` when that cannot be told.
    pub(super) fn until_boundary(&self) -> Option<usize> {
        self.decoder.until_boundary()
    }
}
