//! What attached processes send through a tap: when it may go, and the records of it.

use std::cell::RefCell;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Tap;
use super::host::Station;
use crate::bus::Bus;
use crate::endpoint::Transmit;
use crate::endpoint::sharing::{Deliverer, Sharing};
use crate::error::{Error, Result};
use crate::record::{Body, Record};
use crate::share::server::Outgoing;

/// Raw bytes behind which nothing came for so long are shown as what they are.
const QUIET: Duration = Duration::from_millis(100);
/// Nobody waits longer than this for a client that is in mid-frame.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// Those who send through the tap, on one connection.
pub(super) struct Senders<'a> {
    bus: &'a RefCell<Bus>,
    pub(super) sharing: &'a mut Sharing,
    deliverer: Deliverer,
    /// What may not go yet, and since when it waits. The others wait behind it.
    waiting: Option<(Outgoing, Instant)>,
    records: Vec<Record>,
    /// When raw bytes are to be decided.
    due: Option<Instant>,
    /// The device is in the middle of a frame that was cut, and discards it until then.
    not_before: Option<Instant>,
    /// Who wants to know what is sent.
    station: Option<&'a dyn Station>,
    /// Held during a write: whoever wants to cancel waits for it, or half a frame is on the line.
    pen: std::sync::Arc<Mutex<()>>,
    /// What is sent comes back when it has gone, and is published then.
    is_echoed: bool,
}

impl<'a> Senders<'a> {
    pub(super) fn new(
        tap: &Tap,
        bus: &'a RefCell<Bus>,
        sharing: &'a mut Sharing,
        connection: u32,
    ) -> Self {
        Senders {
            bus,
            sharing,
            deliverer: Deliverer::new(connection, &tap.options, &tap.clock),
            waiting: None,
            records: Vec::new(),
            due: None,
            not_before: None,
            station: None,
            pen: std::sync::Arc::default(),
            is_echoed: false,
        }
    }

    /// What is sent comes back, or does not.
    pub(super) fn echoed(mut self, is_echoed: bool) -> Self {
        self.is_echoed = is_echoed;
        self
    }

    /// Whether what is sent comes back.
    pub(super) fn is_echoed(&self) -> bool {
        self.is_echoed
    }

    /// Has `station` hear what is sent.
    pub(super) fn overheard_by(&mut self, station: &'a dyn Station) {
        self.station = Some(station);
    }

    /// What is held during a write.
    pub(super) fn pen(&self) -> std::sync::Arc<Mutex<()>> {
        self.pen.clone()
    }

    /// Since when somebody waits.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        self.waiting.as_ref().map(|(_, since)| *since)
    }

    /// Waits until somebody wants to send. Cancelling it loses nothing.
    pub(super) async fn fetch(&mut self) {
        while self.waiting.is_none() {
            let due = self.due;
            let quiet = async move {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                outgoing = self.sharing.next(self.bus) => {
                    self.waiting = Some((outgoing, Instant::now()));
                }
                () = quiet => {
                    self.due = None;
                    self.deliverer.idle(&mut self.records);
                    self.publish();
                }
            }
        }
    }

    /// Sends what waits; an error means that the line is gone.
    pub(super) async fn deliver(&mut self, tx: &mut dyn Transmit) -> Result<()> {
        let pen = self.pen.clone();
        let _guard = pen.lock().await;
        let Some((outgoing, _)) = self.waiting.take() else { return Ok(()) };
        let delivered = self.deliverer.deliver(outgoing, tx, &mut self.records).await;
        self.publish();
        self.due = Some(Instant::now() + QUIET);
        delivered
    }

    /// Whatever comes now would be taken for the rest of a frame that was cut: waits `for_so_long`.
    pub(super) fn hold_back(&mut self, for_so_long: Duration) {
        self.not_before = Some(Instant::now() + for_so_long);
    }

    /// Refuses what waits.
    pub(super) fn refuse(&mut self, why: &str) {
        if let Some((outgoing, _)) = self.waiting.take() {
            outgoing.refuse(why);
        }
    }

    /// Sends whatever comes until the line is gone; the error says how that showed.
    pub(super) async fn serve(&mut self, tx: &mut dyn Transmit) -> Error {
        loop {
            self.fetch().await;
            if let Some(until) = self.not_before {
                tokio::time::sleep_until(until).await;
                self.not_before = None;
            }
            if let Err(error) = self.deliver(tx).await {
                return error;
            }
        }
    }

    fn publish(&mut self) {
        if let Some(station) = self.station {
            for record in &self.records {
                if let Body::Frame(frame) = &record.body {
                    station.overhear(frame);
                }
            }
        }
        if self.is_echoed {
            self.records.clear();
        } else if !self.records.is_empty() {
            self.bus.borrow_mut().publish(&mut self.records);
        }
    }

    /// The connection is over; how it showed, if it was lost.
    pub(super) fn finish(&mut self, lost: Option<&str>) {
        self.deliverer.finish(&mut self.records);
        self.publish();
        self.waiting = None; // refused
        if let Some(how) = lost {
            self.sharing.down(how);
        }
    }
}
