//! One direction of a live connection: its decoder, and the bytes that are on their way.

mod by_frames;

use std::cell::RefCell;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Tap;
use super::host::Station;
use super::senders::{PATIENCE, Senders};
use crate::bus::Bus;
use crate::clock::Timestamp;
use crate::endpoint::{Receive, Received, Transmit};
use crate::error::{Category, Error, Result};
use crate::framing::Decoder;
use crate::record::{Body, Direction, Origin, Record};
use crate::share::server::Ear;

/// When the decoder is told that nothing came: soon, so that the last frame behind an error is
/// shown, and after receivers have discarded what they had.
const QUIET: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(1050)];

/// After so much silence in mid-frame others may send: receivers have discarded what they had.
pub(super) const AT_REST: Duration = Duration::from_millis(1100);
/// Why others may not.
const MID_FRAME: &str = "the proxy's client has been in the middle of a frame all the time";

/// A client that yields records cannot be passed on as bytes.
fn not_a_stream() -> Error {
    Error::new(Category::Internal, "the proxy was attached to another uarttool")
}

pub(super) struct Leg<'a> {
    tap: &'a Tap,
    bus: &'a RefCell<Bus>,
    decoder: Box<dyn Decoder>,
    records: Vec<Record>,
    /// Bytes that are being passed on and are not framed yet, and when they arrived.
    in_flight: Option<(Timestamp, Bytes)>,
    last: Instant,
    /// How many of [`QUIET`] have passed since `last`.
    quiet: usize,
    /// Who wants to know that the first frame has come.
    ear: Option<Ear>,
    /// Who takes the frames, and a sign that there was one.
    station: Option<(&'a dyn Station, watch::Sender<bool>)>,
    /// Whole frames are passed on, and what goes comes back from the line.
    by_frames: bool,
}

/// How passing on ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The sender closed or vanished.
    Source(String),
    /// The receiver takes no more.
    Sink(Error),
}

/// What a receiver that joins is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joining {
    /// Every byte as it comes.
    Bytes,
    /// Whole frames, until the line is between two of them; every byte from then on.
    WholeFrames,
}

impl<'a> Leg<'a> {
    pub(super) fn new(tap: &'a Tap, bus: &'a RefCell<Bus>, origin: Origin) -> Self {
        Leg {
            tap,
            bus,
            decoder: (tap.options.framing.decoder)(origin, tap.options.max_frame),
            records: Vec::new(),
            in_flight: None,
            last: Instant::now(),
            quiet: QUIET.len(),
            ear: None,
            station: None,
            by_frames: false,
        }
    }

    /// Passes on whole frames; the line itself tells what became of them, and nothing is published here.
    pub(super) fn by_frames(mut self, by_frames: bool) -> Self {
        self.by_frames = by_frames;
        self
    }

    /// Hands what the device sends to `station`; what comes back turns true with the first frame.
    pub(super) fn hand_to(&mut self, station: &'a dyn Station) -> watch::Receiver<bool> {
        let (sender, receiver) = watch::channel(false);
        self.station = Some((station, sender));
        receiver
    }

    /// Tells `ear` when the first frame has come.
    pub(super) fn tell(&mut self, ear: Option<Ear>) {
        self.ear = ear;
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
                        if self.by_frames && !self.records.is_empty() {
                            return Ok(Received::Records(std::mem::take(&mut self.records)));
                        }
                        self.publish();
                        continue;
                    }
                },
            };
            return received;
        }
    }

    /// Frames `bytes`, which arrived at `time`.
    fn frame(&mut self, time: Timestamp, bytes: &Bytes) {
        self.decoder.push(time, bytes, &mut self.records);
        self.last = Instant::now();
        self.quiet = if self.decoder.is_empty() { QUIET.len() } else { 0 };
    }

    fn publish(&mut self) {
        if self.by_frames {
            self.records.clear();
        }
        let is_frame = |record: &Record| {
            let is_ours = record.origin.direction == Direction::ToDevice;
            !is_ours && matches!(record.body, Body::Frame(_))
        };
        if self.records.iter().any(is_frame)
            && let Some(ear) = self.ear.take()
        {
            ear.heard();
        }
        if let Some((station, heard)) = &self.station {
            for record in &self.records {
                if let (Body::Frame(frame), Direction::FromDevice) =
                    (&record.body, record.origin.direction)
                {
                    heard.send_if_modified(|heard| !std::mem::replace(heard, true));
                    station.receive(frame);
                }
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
            Received::Bytes(bytes) => {
                if let Some((station, _)) =
                    self.station.as_ref().filter(|(_, heard)| !*heard.borrow())
                {
                    station.hear(&bytes);
                }
                self.frame(self.tap.clock.now(), &bytes);
            }
            // What the holder has framed; it comes as the holder timed it.
            Received::Records(mut records) => self.records.append(&mut records),
        }
        self.publish();
        Ok(None)
    }

    /// What a receiver that joins now has to be sent.
    pub(super) fn joining(&self) -> Joining {
        if self.decoder.is_empty() { Joining::Bytes } else { Joining::WholeFrames }
    }

    /// Passes everything on, until either side is gone.
    pub(super) async fn forward(
        &mut self,
        rx: &mut dyn Receive,
        tx: &mut dyn Transmit,
        mut joining: Joining,
    ) -> Result<Ended> {
        loop {
            let bytes = match self.receive(rx).await? {
                Received::End(how) => return Ok(Ended::Source(how)),
                Received::Bytes(bytes) => bytes,
                Received::Records(mut records) => {
                    let bytes = self.on_the_line(&records);
                    self.records.append(&mut records);
                    let sent = tx.send_raw(&bytes).await;
                    self.publish();
                    match sent {
                        Ok(()) => continue,
                        Err(error) => return Ok(Ended::Sink(error)),
                    }
                }
            };
            let sent = match joining {
                Joining::Bytes => {
                    // Kept here rather than on the stack: should we be cancelled while the other
                    // side does not take it, it still was on the line.
                    self.in_flight = Some((self.tap.clock.now(), bytes.clone()));
                    let sent = tx.send_raw(&bytes).await;
                    self.settle();
                    sent
                }
                Joining::WholeFrames => {
                    self.frame(self.tap.clock.now(), &bytes);
                    let frames = frames(&self.records);
                    joining = self.joining();
                    self.publish();
                    tx.send(&frames).await
                }
            };
            if let Err(error) = sent {
                return Ok(Ended::Sink(error));
            }
        }
    }

    /// As [`Leg::forward`]; whenever the sender is between two frames, `senders` may send as well.
    pub(super) async fn forward_with(
        &mut self,
        rx: &mut dyn Receive,
        tx: &mut dyn Transmit,
        senders: &mut Senders<'_>,
    ) -> Result<Ended> {
        if self.by_frames {
            return self.forward_frames(rx, tx, senders).await;
        }
        loop {
            let since = senders.waiting_since();
            if since.is_some() && self.is_at_rest() {
                if let Err(error) = senders.deliver(tx).await {
                    return Ok(Ended::Sink(error));
                }
                continue;
            }
            let at_rest = self.last + AT_REST;
            let until = since.map_or(at_rest, |since| at_rest.min(since + PATIENCE));
            let received = tokio::select! {
                received = self.receive(rx) => received?,
                () = senders.fetch(), if since.is_none() => continue,
                () = tokio::time::sleep_until(until), if since.is_some() => {
                    if !self.is_at_rest() {
                        senders.refuse(MID_FRAME);
                    }
                    continue;
                }
            };
            match received {
                Received::End(how) => return Ok(Ended::Source(how)),
                Received::Records(_) => return Err(not_a_stream()),
                Received::Bytes(bytes) => {
                    if let Err(error) = self.pass(bytes, tx, senders).await {
                        return Ok(Ended::Sink(error));
                    }
                }
            }
        }
    }

    /// Passes `bytes` on; if somebody waits for it, stops at the next boundary inside them.
    async fn pass(
        &mut self,
        mut bytes: Bytes,
        tx: &mut dyn Transmit,
        senders: &mut Senders<'_>,
    ) -> Result<()> {
        let now = self.tap.clock.now();
        while !bytes.is_empty() {
            let boundary = match senders.waiting_since() {
                Some(_) => self.decoder.until_boundary().filter(|n| *n < bytes.len()),
                None => None,
            };
            let piece = bytes.split_to(boundary.unwrap_or(bytes.len()));
            if !piece.is_empty() {
                self.in_flight = Some((now, piece.clone()));
                let sent = tx.send_raw(&piece).await;
                self.settle();
                sent?;
            }
            if boundary.is_some() {
                senders.deliver(tx).await?;
            }
        }
        Ok(())
    }

    /// Whether nothing is on its way: between two frames, or so long after the last byte that the
    /// device has discarded what it had.
    fn is_at_rest(&self) -> bool {
        self.decoder.is_empty() || self.last.elapsed() >= AT_REST
    }

    /// Frames what was being passed on.
    pub(super) fn settle(&mut self) {
        if let Some((time, bytes)) = self.in_flight.take() {
            self.frame(time, &bytes);
            self.publish();
        }
    }

    /// Whether the line is between two frames.
    pub(super) fn is_between_frames(&self) -> bool {
        self.by_frames || (self.in_flight.is_none() && self.decoder.is_empty())
    }

    /// The connection is over: everything that is left comes out.
    pub(super) fn finish(&mut self) {
        self.settle();
        self.decoder.finish(self.tap.clock.now(), &mut self.records);
        self.publish();
    }

    /// The connection goes on without us.
    pub(super) fn stop(&mut self) {
        self.settle();
        self.decoder.stop(self.tap.clock.now(), &mut self.records);
        self.publish();
    }
}

fn frames(records: &[Record]) -> Vec<Bytes> {
    let frame = |record: &Record| match &record.body {
        Body::Frame(frame) if !frame.is_empty() => Some(frame.clone()),
        _ => None,
    };
    records.iter().filter_map(frame).collect()
}
