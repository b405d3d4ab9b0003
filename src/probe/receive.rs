//! Receiving: what comes is decoded, shown, learned from and queued; leaving as one should.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::Probe;
use crate::clock::Timestamp;
use crate::endpoint::Received;
use crate::error::{Error, Result};
use crate::record::{Body, Direction, Record};
use crate::share::server::Outgoing;

/// Silence after which the decoder decides with what it has.
const QUIET: Duration = Duration::from_millis(100);
/// Silence after which nothing more is to be expected when we leave.
const LEAVE: Duration = Duration::from_millis(50);
/// And how long we stay in any case.
const LEAVE_AT_MOST: Duration = Duration::from_secs(5);
/// Answers that we owe at most.
const MAX_ANSWERS: usize = 64;

/// What ended a wait for the device.
#[derive(Debug)]
pub enum Heard<T> {
    /// A record has come.
    Record(Record),
    /// What else was waited for.
    Other(T),
    /// Nothing until the deadline.
    Nothing,
}

/// What came first while we waited.
enum Came {
    Received(Received),
    Outgoing(Outgoing),
}

impl Probe {
    /// The next record from the device, or `None` when there is none until `deadline`. Cancelling
    /// it loses no record.
    pub async fn receive(&mut self, deadline: Instant) -> Result<Option<Record>> {
        match self.receive_or(deadline, std::future::pending::<Infallible>()).await? {
            Heard::Record(record) => Ok(Some(record)),
            Heard::Other(never) => match never {},
            Heard::Nothing => Ok(None),
        }
    }

    /// The same, unless `other` is done first. What is being sent meanwhile, an answer by ARP, is never cut
    /// short by that.
    pub async fn receive_or<T>(
        &mut self,
        deadline: Instant,
        other: impl Future<Output = T>,
    ) -> Result<Heard<T>> {
        tokio::pin!(other);
        loop {
            self.take_arrived();
            while !self.holds_answers
                && let Some(answer) = self.answers.pop_front()
            {
                if !self.sharing.is_taken() {
                    self.put(answer).await?;
                }
            }
            if let Some(record) = self.queue.pop_front() {
                return Ok(Heard::Record(record));
            }
            if !self.arrived.is_empty() || !self.decoded.is_empty() {
                continue;
            }
            if let Some(how) = &self.ended {
                self.sharing.down(how);
                return Err(self.gone(how));
            }
            let quiet = self.last_arrival.map_or(deadline, |last| (last + QUIET).min(deadline));
            let waited = tokio::select! {
                biased;
                waited = tokio::time::timeout_at(quiet, self.wait()) => waited,
                other = &mut other => return Ok(Heard::Other(other)),
            };
            match waited {
                Ok(came) => self.come(came?).await?,
                Err(_) if self.last_arrival.is_some() && quiet < deadline => {
                    self.last_arrival = None;
                    self.decoder.idle(self.clock.now(), &mut self.decoded);
                    self.deliverer.idle(&mut self.decoded);
                    self.sort();
                }
                Err(_) => return Ok(Heard::Nothing),
            }
        }
    }

    /// Something from the link, or something that another process wants to be sent.
    async fn wait(&mut self) -> Result<Came> {
        tokio::select! {
            received = self.link.rx.receive() => received.map(Came::Received),
            outgoing = self.sharing.next(&self.watchers) => Ok(Came::Outgoing(outgoing)),
        }
    }

    async fn come(&mut self, came: Came) -> Result<()> {
        match came {
            Came::Received(Received::End(how)) => {
                self.ended = Some(how);
                self.decoder.finish(self.clock.now(), &mut self.decoded);
                self.sort();
            }
            Came::Received(Received::Bytes(bytes)) => self.take(self.clock.now(), &bytes),
            Came::Received(Received::Records(mut records)) => {
                self.decoded.append(&mut records);
                self.sort();
            }
            Came::Outgoing(outgoing) => self.deliver(outgoing).await?,
        }
        Ok(())
    }

    /// Sends what another process wants to be sent.
    async fn deliver(&mut self, outgoing: Outgoing) -> Result<()> {
        let mut records = Vec::new();
        let delivered = self.deliverer.deliver(outgoing, &mut *self.link.tx, &mut records).await;
        self.last_arrival = Some(Instant::now());
        if !self.is_echoed {
            self.watchers.borrow_mut().publish(&mut records);
        }
        delivered
    }

    /// Takes in what came while we were sending.
    pub(super) fn take_arrived(&mut self) {
        for (time, bytes) in std::mem::take(&mut self.arrived) {
            self.take(time, &bytes);
        }
        self.arrived_bytes = 0;
        if !self.decoded.is_empty() {
            self.sort();
        }
    }

    /// Leaves the line as it should be left: says that nothing more will be sent, and hears out the
    /// answers to what was. A connection that is closed with unread bytes is reset, and the reset
    /// cuts what is still on its way to the device, in the middle of a frame.
    pub async fn leave(&mut self) {
        if self.link.about.shared.is_some() {
            return; // the line stays its holder's
        }
        let end = Instant::now() + LEAVE_AT_MOST;
        let _ = tokio::time::timeout(LEAVE, self.link.tx.close()).await; // we go in any case
        loop {
            let quiet = (Instant::now() + LEAVE).min(end);
            match tokio::time::timeout_at(quiet, self.link.rx.receive()).await {
                Ok(Ok(Received::Bytes(bytes))) if Instant::now() < end => {
                    self.take(self.clock.now(), &bytes);
                }
                Ok(Ok(Received::Bytes(_))) => {
                    self.events.warn(
                        "the device is still busy with what was sent: it may be cut in mid-frame now, \
                         and what is sent to it within its read timeout (1 s) may be lost",
                    );
                    return;
                }
                Ok(Ok(Received::Records(mut records))) if Instant::now() < end => {
                    self.decoded.append(&mut records);
                    self.sort();
                }
                _ => return, // silence, or the end
            }
        }
    }

    /// Every record that has come already.
    pub fn drain(&mut self) -> Vec<Record> {
        self.take_arrived();
        self.queue.drain(..).collect()
    }

    pub(super) fn take(&mut self, time: Timestamp, bytes: &Bytes) {
        self.last_arrival = Some(Instant::now());
        self.decoder.push(time, bytes, &mut self.decoded);
        self.sort();
    }

    pub(super) fn gone(&self, how: &str) -> Error {
        let error = Error::environment(format!("{} went away: {how}", self.link.about.endpoint));
        match self.options.reconnect {
            Some(_) => error.with_help(
                "'reconnect=' waits for the line at the start; what was going on when it went away is \
                 not gone on with: start it again",
            ),
            None => error,
        }
    }

    /// Shows what was decoded, learns from it, notes whom to answer, and queues it.
    pub(super) fn sort(&mut self) {
        self.watchers.borrow_mut().publish(&mut self.decoded.clone());
        for record in std::mem::take(&mut self.decoded) {
            let is_note = matches!(record.body, Body::Impaired(_));
            if record.origin.direction == Direction::ToDevice || is_note {
                continue; // shown, and that is all
            }
            if let Body::Frame(frame) = &record.body {
                if let Some(ear) = self.sharing.ear() {
                    ear.heard();
                }
                self.may_send = true; // the device speaks to us: it is us whom it serves
                self.learn(frame);
                if self.answers.len() < MAX_ANSWERS {
                    self.answers.extend(self.arp_reply(frame));
                    self.answers.extend(self.advertisement(frame));
                }
            }
            self.queue.push_back(record);
        }
    }
}
