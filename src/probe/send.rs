//! Sending: what goes out is shown, and what comes meanwhile is kept.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::Probe;
use crate::clock::Timestamp;
use crate::endpoint::{Link, Received};
use crate::error::{Error, Result};
use crate::framing::{Carries, Unframeable, ip};
use crate::record::{Body, Direction, Record, Span};

/// How long to wait for a frame before sending, where nothing else tells whether we are served.
pub(super) const LISTEN_FIRST: Duration = Duration::from_millis(300);
/// Bytes that may come while we are sending, until we read no more.
const MAX_ARRIVED: usize = 4 * 1024 * 1024;

/// What is to be sent.
enum Load<'a> {
    Frames(&'a [Bytes]),
    Bytes(&'a [u8]),
}

impl Probe {
    /// Sends one frame; says when it went. Cancelled, it may leave half of it on the line.
    pub async fn send(&mut self, frame: Vec<u8>) -> Result<Timestamp> {
        self.wait_for_standing().await?;
        self.check_turn()?;
        self.put(frame).await
    }

    /// Sends frames, in as few writes as possible; meanwhile what comes is taken in. Cancelled, it may leave half
    /// a frame on the line.
    pub async fn send_all(&mut self, frames: &[Bytes]) -> Result<()> {
        self.wait_for_standing().await?;
        self.check_turn()?;
        let now = self.clock.now();
        self.transmit(Load::Frames(frames), Instant::now()).await?;
        let mut watchers = self.watchers.borrow_mut();
        watchers.publish(&mut Vec::new()); // lets in who has come
        if self.is_echoed || watchers.is_unwatched() {
            return Ok(());
        }
        let record = |frame: &Bytes| Record {
            time: Some(Span::at(now)),
            origin: self.origin(Direction::ToDevice),
            offset: None,
            body: Body::Frame(frame.clone()),
        };
        watchers.publish(&mut frames.iter().map(record).collect());
        Ok(())
    }

    /// While somebody has the line alone, we send nothing of our own.
    fn check_turn(&self) -> Result<()> {
        if self.sharing.is_taken() {
            return Err(Error::environment("another uarttool has the line alone")
                .with_help("try again when it has given it back"));
        }
        Ok(())
    }

    /// Sends bytes as they are; says when they began to go. What frames and errors they make is shown.
    /// Meanwhile what comes is taken in.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> Result<Timestamp> {
        self.send_raw_deaf(bytes, Duration::ZERO).await
    }

    /// The same, but for so long nothing is read, whatever comes; cut short by nothing.
    pub async fn send_raw_deaf(&mut self, bytes: &[u8], deaf: Duration) -> Result<Timestamp> {
        self.wait_for_standing().await?;
        self.check_turn()?;
        let now = self.clock.now();
        let until = Instant::now() + deaf;
        self.transmit(Load::Bytes(bytes), until).await?;
        if Instant::now() < until {
            tokio::time::sleep_until(until).await;
        }
        if !self.is_echoed {
            let mut records = Vec::new();
            self.echo.push(now, &Bytes::copy_from_slice(bytes), &mut records);
            self.watchers.borrow_mut().publish(&mut records);
        }
        Ok(self.link.tx.sent_at().unwrap_or(now))
    }

    /// Puts a frame on the line and shows it.
    pub(super) async fn put(&mut self, frame: Vec<u8>) -> Result<Timestamp> {
        if self.options.framing.carries == Carries::Ip && ip::packet(&frame).is_none() {
            return Err(Error::usage("cannot send").caused_by(Unframeable::NoIp));
        }
        let frame = Bytes::from(frame);
        let now = self.clock.now();
        self.transmit(Load::Frames(std::slice::from_ref(&frame)), Instant::now()).await?;
        if self.is_echoed {
            return Ok(self.link.tx.sent_at().unwrap_or(now)); // it comes back, and is shown then
        }
        let mut records = Vec::new();
        if !self.echo.is_empty() {
            self.echo.stop(now, &mut records); // a frame behind unfinished bytes stands by itself
        }
        records.push(Record {
            time: Some(Span::at(now)),
            origin: self.origin(Direction::ToDevice),
            offset: None,
            body: Body::Frame(frame),
        });
        self.watchers.borrow_mut().publish(&mut records);
        Ok(now)
    }

    /// Sends. From `deaf_until` on, what comes is taken in meanwhile: two sides that each wait until
    /// the other reads would wait for ever.
    async fn transmit(&mut self, load: Load<'_>, deaf_until: Instant) -> Result<()> {
        let Link { tx, rx, .. } = &mut self.link;
        let mut sending = match load {
            Load::Frames(frames) => tx.send(frames),
            Load::Bytes(bytes) => tx.send_raw(bytes),
        };
        loop {
            let is_deaf = Instant::now() < deaf_until;
            let has_room = self.arrived_bytes < MAX_ARRIVED && self.ended.is_none();
            let received = tokio::select! {
                biased;
                sent = &mut sending => return sent,
                () = tokio::time::sleep_until(deaf_until), if is_deaf => continue,
                received = rx.receive(), if has_room && !is_deaf => received?,
            };
            match received {
                Received::End(how) => self.ended = Some(how),
                Received::Bytes(bytes) => {
                    self.arrived_bytes += bytes.len();
                    self.arrived.push((self.clock.now(), bytes));
                }
                // Framed already; whoever did that bounds what waits.
                Received::Records(mut records) => self.decoded.append(&mut records),
            }
        }
    }

    /// Where the system cannot tell whether we are served, waits a little for a sign of it.
    async fn wait_for_standing(&mut self) -> Result<()> {
        if self.may_send {
            return Ok(());
        }
        let deadline = Instant::now() + LISTEN_FIRST;
        let heard = self.receive(deadline).await?;
        match heard {
            Some(record) => self.queue.push_front(record),
            None if self.may_send => {}
            None => self.events.note(format!(
                "cannot tell whether {} serves us or another client: sending unverified",
                self.link.about.endpoint
            )),
        }
        self.may_send = true;
        Ok(())
    }
}
