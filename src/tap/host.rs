//! The tap as the device's host: a [`Station`] of this process speaks on the line.
//!
//! Whole frames go both ways, so that what other processes send always fits in between. While one of
//! them has the line alone, the station's frames wait. Everything is published, as with every
//! tap; through another uarttool that holds the line, what we send comes back and is published then.

use std::cell::RefCell;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use super::leg::Leg;
use super::senders::Senders;
use super::{End, Tap};
use crate::bus::Bus;
use crate::endpoint::sharing::Sharing;
use crate::endpoint::{About, Connector, Link, Pending, Standing, Transmit};
use crate::error::{Error, Result};
use crate::record::{Body, Direction, Origin, Record, Span};
use crate::share::wire::Host;
use crate::stop::Stop;

/// After the word to stop, what is being sent has so long to go.
const DRAIN: Duration = Duration::from_millis(100);
/// How long to wait for a frame before sending, where nothing else tells whether we are served.
const LISTEN_FIRST: Duration = Duration::from_millis(300);

/// Who speaks on the line.
pub trait Station: Send + Sync {
    /// The line is there; through another process, that may have addresses of its own which are to
    /// be used.
    fn up(&self, host: Option<Host>);

    /// The line is gone.
    fn down(&self);

    /// Bytes came before any frame did, whatever they are.
    fn hear(&self, bytes: &Bytes);

    /// A frame came from the device.
    fn receive(&self, frame: &Bytes);

    /// Another process, which speaks through us, has sent a frame to the device.
    fn overhear(&self, frame: &Bytes);

    /// Waits for what is to be sent; appends it. Cancelling it loses nothing.
    fn next<'a>(&'a self, frames: &'a mut Vec<Bytes>) -> Pending<'a, ()>;
}

/// Lets `station` speak through `device`, until told to stop or until the line is gone; connects
/// again if the connector is persistent. `ready` is called once, when somebody can connect to us or
/// when we are connected.
pub async fn run(
    tap: &Tap,
    device: &dyn Connector,
    station: &dyn Station,
    bus: &RefCell<Bus>,
    sharing: &mut Sharing,
    mut stop: Stop,
    ready: impl FnOnce(),
) -> Result<End> {
    let mut ready = Some(ready);
    if device.prepare().await?
        && let Some(ready) = ready.take()
    {
        ready();
    }
    for connection in 1.. {
        let link = tokio::select! {
            biased;
            () = stop.wait() => return Ok(End::Stopped),
            link = device.connect() => link?,
        };
        sharing.up(&link.about);
        let record = tap.connected(&link.about, connection, Direction::Unknown);
        bus.borrow_mut().publish(&mut vec![record]);
        if let Some(ready) = ready.take() {
            ready();
        }
        station.up(link.about.shared.and_then(|shared| shared.host));
        let how = speak(tap, link, station, connection, bus, sharing, &mut stop).await;
        station.down();
        let Some(how) = how? else { return Ok(End::Stopped) };
        let record = tap.lost(device.name(), connection, Direction::Unknown, &how);
        bus.borrow_mut().publish(&mut vec![record]);
        if !device.is_persistent() {
            return Ok(End::Lost(how));
        }
    }
    Ok(End::Stopped)
}

/// One connection; `None` when told to stop, otherwise how it ended.
async fn speak(
    tap: &Tap,
    mut link: Link,
    station: &dyn Station,
    connection: u32,
    bus: &RefCell<Bus>,
    sharing: &mut Sharing,
    stop: &mut Stop,
) -> Result<Option<String>> {
    let origin = Origin { tap: 0, connection, direction: Direction::FromDevice };
    let mut leg = Leg::new(tap, bus, origin);
    leg.tell(sharing.ear());
    let heard = leg.hand_to(station);
    let is_echoed = link.rx.speak_in_records(&tap.clock, connection);
    let mut senders = Senders::new(tap, bus, sharing, connection).echoed(is_echoed);
    senders.overheard_by(station);
    let mut mouth = Mouth::new(tap, bus, &link.about, connection, heard, stop.clone());
    mouth.publishes &= !is_echoed;
    let ended = tokio::select! {
        biased;
        ended = leg.observe(&mut *link.rx) => Some(ended),
        error = mouth.serve(station, &mut senders, &mut *link.tx) => {
            error.map(|error| Ok(error.chain()))
        }
        () = async { stop.wait().await; tokio::time::sleep(DRAIN).await } => None,
    };
    match ended {
        Some(ended) => {
            leg.finish();
            senders.finish(ended.as_ref().ok().map(String::as_str));
            ended.map(Some)
        }
        None => {
            leg.stop();
            senders.finish(None);
            Ok(None)
        }
    }
}

/// What sends, on one connection.
struct Mouth<'a> {
    tap: &'a Tap,
    bus: &'a RefCell<Bus>,
    origin: Origin,
    /// Whether what we send does not come back to us.
    publishes: bool,
    /// Nothing is known about who is served: wait for a sign.
    is_unverified: bool,
    endpoint: String,
    heard: watch::Receiver<bool>,
    stop: Stop,
    frames: Vec<Bytes>,
    records: Vec<Record>,
}

impl<'a> Mouth<'a> {
    fn new(
        tap: &'a Tap,
        bus: &'a RefCell<Bus>,
        about: &About,
        connection: u32,
        heard: watch::Receiver<bool>,
        stop: Stop,
    ) -> Self {
        Mouth {
            tap,
            bus,
            origin: Origin { tap: 0, connection, direction: Direction::ToDevice },
            publishes: about.shared.is_none(),
            is_unverified: about.standing == Standing::Unverified,
            endpoint: about.endpoint.clone(),
            heard,
            stop,
            frames: Vec::new(),
            records: Vec::new(),
        }
    }

    /// Sends what the station and other processes have to send. `None` when told to stop; otherwise how
    /// the line showed that it is gone.
    async fn serve(
        &mut self,
        station: &dyn Station,
        senders: &mut Senders<'_>,
        tx: &mut dyn Transmit,
    ) -> Option<Error> {
        self.verify().await;
        let mut taken = senders.sharing.taken();
        let mut stop = self.stop.clone();
        loop {
            let is_free = taken.as_ref().is_none_or(|taken| !*taken.borrow());
            let has_frames = !self.frames.is_empty();
            let sent = if is_free && has_frames {
                self.send(tx).await
            } else {
                tokio::select! {
                    biased;
                    () = stop.wait() => return None,
                    () = senders.fetch() => senders.deliver(tx).await,
                    () = given_back(&mut taken), if !is_free => continue,
                    () = station.next(&mut self.frames), if !has_frames => continue,
                }
            };
            if let Err(error) = sent {
                return Some(error);
            }
        }
    }

    /// Where it cannot be told whether we are served, waits for a frame, then sends all the same.
    async fn verify(&mut self) {
        if !self.is_unverified {
            return;
        }
        let heard = self.heard.wait_for(|heard| *heard);
        if tokio::time::timeout(LISTEN_FIRST, heard).await.is_err() {
            self.tap.events.note(format!(
                "{}: nothing was heard yet, and it cannot be told from here whether we are served",
                self.endpoint
            ));
        }
    }

    async fn send(&mut self, tx: &mut dyn Transmit) -> Result<()> {
        self.frames.retain(|frame| !frame.is_empty());
        let sent = tx.send(&self.frames).await;
        if self.publishes && sent.is_ok() {
            let time = Some(Span::at(self.tap.clock.now()));
            let record = |frame| Record {
                time,
                origin: self.origin,
                offset: None,
                body: Body::Frame(frame),
            };
            self.records.extend(self.frames.drain(..).map(record));
            self.bus.borrow_mut().publish(&mut self.records);
        }
        self.frames.clear();
        sent
    }
}

/// Waits until nobody has the line alone.
async fn given_back(taken: &mut Option<watch::Receiver<bool>>) {
    if let Some(taken) = taken {
        let _ = taken.wait_for(|taken| !taken).await; // without a server it is free
    }
}
