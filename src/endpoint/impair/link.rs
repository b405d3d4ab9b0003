//! A link whose two directions go through lanes.
//!
//! The sending half puts frames into its lane and sends what is out at once; what has to wait is sent by a
//! task of its own, which ends with the half: what is on its way then is lost, as in a cable that is pulled.
//! The receiving half frames what comes, since lanes carry frames, and waits for whatever is first: more of
//! it, something that comes out of its lane, or news of the other one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::framer::Framer;
use super::journal::{self, Journal};
use super::lane::{Lane, Load, Passed};
use crate::clock::{Clock, Timestamp};
use crate::endpoint::{Link, Options, Pending, Receive, Received, Transmit};
use crate::error::{Error, Result};
use crate::framing::Framing;
use crate::record::{Direction, Origin, Span};

/// Bytes that are handed on at once.
const BATCH: usize = 64 * 1024;

/// `link`, with these lanes in its way.
pub(super) fn impaired(link: Link, options: &Options, to: Lane, from: Lane) -> Link {
    let start = Start(Instant::now());
    let journal = Arc::new(Journal::default());
    let endpoint = link.about.endpoint.clone();
    // A device writes frames in pieces, as its UART takes them.
    let framer = options.impair.is_device_side.then(|| Mutex::new(Framer::new(options, start)));
    let way = Arc::new(Way {
        has_waiting: to.has_waiting(),
        framer,
        lane: Mutex::new(to),
        tx: tokio::sync::Mutex::new(link.tx),
        news: Notify::new(),
        journal: journal.clone(),
        failed: Mutex::default(),
        start,
        endpoint,
    });
    let is_late = way.has_waiting || way.framer.is_some();
    let carrier = is_late.then(|| tokio::spawn(carry(way.clone())));
    let rx = ImpairedReceiver {
        inner: link.rx,
        framer: Framer::new(options, start),
        lane: from,
        journal,
        options: options.clone(),
        reader: None,
        ended: None,
        start,
    };
    let tx = ImpairedSender { way, framing: options.framing, carrier };
    Link { rx: Box::new(rx), tx: Box::new(tx), about: link.about }
}

/// When the link began: its lanes count from there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start(Instant);

impl Start {
    pub fn now(self) -> Timestamp {
        Timestamp::default() + self.0.elapsed()
    }

    fn instant(self, at: Timestamp) -> Instant {
        self.0 + at.since_epoch()
    }
}

/// The way to the device.
struct Way {
    lane: Mutex<Lane>,
    has_waiting: bool,
    /// For senders that write bytes: finds their frames.
    framer: Option<Mutex<Framer>>,
    tx: tokio::sync::Mutex<Box<dyn Transmit>>,
    /// There is something new in the lane.
    news: Notify,
    journal: Arc<Journal>,
    /// Why what waited could not be sent.
    failed: Mutex<Option<Error>>,
    start: Start,
    endpoint: String,
}

impl Way {
    fn lane(&self) -> MutexGuard<'_, Lane> {
        self.lane.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn framer(&self) -> Option<MutexGuard<'_, Framer>> {
        Some(self.framer.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// When there is something to be done that nobody asks for.
    fn due(&self) -> Option<Instant> {
        let quiet = self.framer().and_then(|framer| framer.due());
        let due = self.lane().due().map(|at| self.start.instant(at));
        due.into_iter().chain(quiet).min()
    }

    /// Bytes that are sent as they are.
    fn put(&self, bytes: &[u8]) {
        let bytes = Bytes::copy_from_slice(bytes);
        match self.framer() {
            Some(mut framer) => framer.take(&bytes, &mut self.lane()),
            None => self.lane().other(self.start.now(), Load::Raw(bytes), None, Duration::ZERO),
        }
    }

    /// Sends what is out of the lane by now.
    async fn flush(&self) -> Result<()> {
        if let Some(mut framer) = self.framer() {
            framer.be_quiet(&mut self.lane());
        }
        let mut tx = self.tx.lock().await;
        loop {
            let out: Vec<Passed> = {
                let (mut lane, now) = (self.lane(), self.start.now());
                std::iter::from_fn(|| lane.next(now)).collect()
            };
            if out.is_empty() {
                return Ok(());
            }
            send(&mut **tx, &out).await?;
            self.journal.write(out);
        }
    }

    /// Waits until the lane takes more.
    async fn wait_for_room(&self) -> Result<()> {
        loop {
            if let Some(error) = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return Err(error);
            }
            let busy = self.lane().busy(self.start.now());
            match busy {
                None => return Ok(()),
                Some(until) => tokio::time::sleep_until(self.start.instant(until)).await,
            }
        }
    }

    fn cannot_send(&self, frame: &Bytes, framing: &Framing) -> Result<()> {
        let mut line = Vec::new();
        framing.encode(frame, &mut line).map_err(|error| {
            Error::usage(format!("cannot send to {}", self.endpoint)).caused_by(error)
        })
    }
}

/// Sends what came out of a lane: frames beside each other in one write.
async fn send(tx: &mut dyn Transmit, out: &[Passed]) -> Result<()> {
    let mut frames = Vec::new();
    for passed in out.iter().filter(|passed| !passed.is_lost) {
        match &passed.load {
            Load::Frame(frame) => frames.push(frame.clone()),
            other => {
                if !frames.is_empty() {
                    tx.send(&std::mem::take(&mut frames)).await?;
                }
                tx.send_raw(other.bytes()).await?;
            }
        }
    }
    match frames.is_empty() {
        true => Ok(()),
        false => tx.send(&frames).await,
    }
}

/// Sends what has waited, whenever something has.
async fn carry(way: Arc<Way>) {
    loop {
        let due = way.due();
        let news = way.news.notified();
        match due {
            None => news.await,
            Some(at) => tokio::select! {
                () = tokio::time::sleep_until(at) => {
                    if let Err(error) = way.flush().await {
                        *way.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                        return;
                    }
                }
                () = news => {}
            },
        }
    }
}

struct ImpairedSender {
    way: Arc<Way>,
    framing: &'static Framing,
    carrier: Option<JoinHandle<()>>,
}

impl Drop for ImpairedSender {
    fn drop(&mut self) {
        if let Some(carrier) = &self.carrier {
            carrier.abort();
        }
    }
}

impl ImpairedSender {
    /// What is out is sent; what is not will be.
    async fn go(&self) -> Result<()> {
        self.way.news.notify_one();
        self.way.flush().await
    }
}

impl Transmit for ImpairedSender {
    fn send<'a>(&'a mut self, frames: &'a [Bytes]) -> Pending<'a, Result<()>> {
        Box::pin(async move {
            for frame in frames {
                self.way.cannot_send(frame, self.framing)?;
                self.way.wait_for_room().await?;
                let now = self.way.start.now();
                self.way.lane().frame(now, frame.clone(), None, Duration::ZERO);
                if self.way.has_waiting {
                    self.go().await?; // or the line would stand still while we wait for room
                }
            }
            self.go().await
        })
    }

    fn send_raw<'a>(&'a mut self, bytes: &'a [u8]) -> Pending<'a, Result<()>> {
        Box::pin(async move {
            self.way.wait_for_room().await?;
            self.way.put(bytes);
            self.go().await
        })
    }

    /// Waits for what is on its way.
    fn close(&mut self) -> Pending<'_, Result<()>> {
        Box::pin(async move {
            loop {
                self.way.flush().await?;
                let due = self.way.due();
                match due {
                    None => break,
                    Some(at) => tokio::time::sleep_until(at).await,
                }
            }
            self.way.tx.lock().await.close().await
        })
    }
}

struct ImpairedReceiver {
    inner: Box<dyn Receive>,
    framer: Framer,
    lane: Lane,
    journal: Arc<Journal>,
    options: Options,
    /// Who wants records, in the times of which clock.
    reader: Option<(Clock, Origin)>,
    /// How the link ended.
    ended: Option<String>,
    start: Start,
}

impl ImpairedReceiver {
    fn take(&mut self, received: Received) {
        match received {
            Received::Bytes(bytes) => self.framer.take(&bytes, &mut self.lane),
            Received::Records(_) => {} // shared links are not impaired
            Received::End(how) => {
                self.framer.finish(&mut self.lane);
                self.ended = Some(how);
            }
        }
    }

    /// What has come out of the lane by now, or has gone the other way.
    fn come_out(&mut self) -> Option<Received> {
        let now = self.start.now();
        let (mut records, mut bytes) = (self.journal.read().unwrap_or_default(), Vec::new());
        let is_mixed = !records.is_empty();
        while bytes.len() < BATCH
            && records.len() < BATCH / 64
            && let Some(passed) = self.lane.next(now)
        {
            match &self.reader {
                Some((clock, origin)) => {
                    // So late are we; the clock's times are not the lane's.
                    let late = now.since(passed.at);
                    let time = earlier(clock.now(), late);
                    let span = Span { first: earlier(time, passed.lasted), last: time };
                    records.extend(journal::records(passed, *origin, span));
                }
                None => self.on_the_line(&passed, &mut bytes),
            }
        }
        if is_mixed {
            // In the order of their times; a note stays in front of its frame.
            records.sort_by_key(|record| record.time.map(|span| span.last));
        }
        match (records.is_empty(), bytes.is_empty()) {
            (false, _) => Some(Received::Records(records)),
            (true, false) => Some(Received::Bytes(bytes.into())),
            (true, true) => None,
        }
    }

    /// Appends it as it was on the line.
    fn on_the_line(&self, passed: &Passed, bytes: &mut Vec<u8>) {
        match &passed.load {
            _ if passed.is_lost => {}
            // It was on the line before, and is not longer now.
            Load::Frame(frame) => drop(self.options.framing.encode(frame, bytes)),
            other => bytes.extend_from_slice(other.bytes()),
        }
    }
}

fn earlier(time: Timestamp, by: Duration) -> Timestamp {
    Timestamp(time.0.saturating_sub(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
}

impl Receive for ImpairedReceiver {
    fn receive(&mut self) -> Pending<'_, Result<Received>> {
        Box::pin(async move {
            loop {
                if let Some(received) = self.come_out() {
                    return Ok(received);
                }
                if let (Some(how), true) = (&self.ended, self.lane.is_empty()) {
                    return Ok(Received::End(how.clone()));
                }
                let busy = self.lane.busy(self.start.now());
                let times = [self.lane.due(), busy].into_iter().flatten();
                let times = times.map(|at| self.start.instant(at));
                let due = times.chain(self.framer.due()).chain(self.journal.due()).min();
                let is_open = busy.is_none() && self.ended.is_none();
                tokio::select! {
                    biased;
                    () = self.journal.news() => {}
                    received = self.inner.receive(), if is_open => {
                        let received = received?;
                        self.take(received);
                    }
                    () = until(due) => self.framer.be_quiet(&mut self.lane),
                }
            }
        })
    }

    fn speak_in_records(&mut self, clock: &Clock, connection: u32) -> bool {
        let origin = Origin { tap: 0, connection, direction: Direction::FromDevice };
        self.reader = Some((clock.clone(), origin));
        self.journal.open(clock, connection, &self.options);
        true
    }
}

/// Waits until then; without a time, for ever.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
