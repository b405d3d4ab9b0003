//! The tap between the tunnel and its client.
//!
//! We are the device's client and serve the real client ourselves, one at a time, as QEMU does.
//! Each direction is pumped on its own, so that one that is held up never holds up the other.
//! The device stays connected while clients come and go, and is listened to all the time; a client
//! that comes while the device is in mid-frame is sent whole frames until the line is between two,
//! and every byte as it comes from then on. What other processes send through us
//! goes in between the client's frames, never into one. A client that closes its sending side has left, as for
//! QEMU. One that waited behind another and has left again is not served: what it sent is stale.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};

use super::leg::{AT_REST, Ended, Leg};
use super::senders::Senders;
use super::{End, Tap};
use crate::bus::Bus;
use crate::endpoint::sharing::Sharing;
use crate::endpoint::{Connector, Link};
use crate::error::Result;
use crate::record::{Direction, Origin, Record};
use crate::stop::Stop;

/// After the word to stop, both directions go on for so long, so that nothing is left half done.
const DRAIN: Duration = Duration::from_millis(50);
/// A client that takes no more may have sent something before it left: so long that is passed on.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Pauses after a client that could not be accepted.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// What one device connection ended with.
enum Session {
    Stopped,
    DeviceLost(String),
}

/// What one client's stay ended with.
enum Stay {
    Stopped,
    ClientLeft(String),
    DeviceLost(String),
}

/// Stands between `device` and whoever connects to `listener`, until told to stop or until the
/// device is gone for good. `ready` is called once, when clients can be served.
pub async fn run(
    tap: &Tap,
    device: &dyn Connector,
    listener: &dyn Connector,
    bus: &RefCell<Bus>,
    sharing: &mut Sharing,
    mut stop: Stop,
    ready: impl FnOnce(),
) -> Result<End> {
    let mut ready = Some(ready);
    listener.prepare().await?;
    let mut device_is_waited_for = device.prepare().await?;
    let mut clients = 0;
    for connection in 1.. {
        if std::mem::take(&mut device_is_waited_for)
            && let Some(ready) = ready.take()
        {
            ready();
        }
        let link = tokio::select! {
            biased;
            () = stop.wait() => return Ok(End::Stopped),
            link = device.connect() => link?,
        };
        sharing.up(&link.about);
        let record = tap.connected(&link.about, connection, Direction::FromDevice);
        publish(bus, record);
        if let Some(ready) = ready.take() {
            ready();
        }
        let mut proxy = Proxy { tap, listener, bus, connection, clients };
        let session = proxy.serve(link, sharing, &mut stop).await?;
        clients = proxy.clients;
        let how = match session {
            Session::Stopped => return Ok(End::Stopped),
            Session::DeviceLost(how) => how,
        };
        let record = tap.lost(device.name(), connection, Direction::FromDevice, &how);
        publish(bus, record);
        if !device.is_persistent() {
            return Ok(End::Lost(how));
        }
    }
    Ok(End::Stopped)
}

fn publish(bus: &RefCell<Bus>, record: Record) {
    bus.borrow_mut().publish(&mut vec![record]);
}

struct Proxy<'a> {
    tap: &'a Tap,
    listener: &'a dyn Connector,
    bus: &'a RefCell<Bus>,
    /// Number of the device's connection.
    connection: u32,
    /// Clients so far.
    clients: u32,
}

impl<'a> Proxy<'a> {
    /// Serves one client after the other as long as the device is there.
    async fn serve(
        &mut self,
        mut device: Link,
        sharing: &mut Sharing,
        stop: &mut Stop,
    ) -> Result<Session> {
        let direction = Direction::FromDevice;
        let origin = Origin { tap: 0, connection: self.connection, direction };
        let mut from_device = Leg::new(self.tap, self.bus, origin);
        from_device.tell(sharing.ear());
        let is_echoed = device.rx.speak_in_records(&self.tap.clock, self.connection);
        let mut senders =
            Senders::new(self.tap, self.bus, sharing, self.connection).echoed(is_echoed);
        let session = loop {
            let client = self.next_client(senders.pen(), senders.sharing.taken());
            let client = tokio::select! {
                biased;
                how = from_device.observe(&mut *device.rx) => break Session::DeviceLost(how?),
                error = senders.serve(&mut *device.tx) => break Session::DeviceLost(error.chain()),
                () = stop.wait() => break Session::Stopped,
                client = client => client,
            };
            self.clients += 1;
            let record = self.tap.connected(&client.about, self.clients, Direction::ToDevice);
            publish(self.bus, record);
            let endpoint = client.about.endpoint.clone();
            let who = client.about.peer.clone().unwrap_or_else(|| "a client".to_owned());
            senders.sharing.set_busy(Some(format!("{who} is connected to the proxy")));
            let stay = self.stay(&mut from_device, &mut device, client, &mut senders, stop).await?;
            senders.sharing.set_busy(None);
            let how = match &stay {
                Stay::Stopped => break Session::Stopped,
                Stay::DeviceLost(_) => "the device is gone",
                Stay::ClientLeft(how) => how,
            };
            publish(self.bus, self.tap.lost(&endpoint, self.clients, Direction::ToDevice, how));
            if let Stay::DeviceLost(how) = stay {
                break Session::DeviceLost(how);
            }
        };
        match session {
            Session::Stopped => from_device.stop(),
            Session::DeviceLost(_) => from_device.finish(),
        }
        senders.finish(match &session {
            Session::DeviceLost(how) => Some(how),
            Session::Stopped => None,
        });
        Ok(session)
    }

    /// The next client. It has to wait while somebody has the line alone, and until a frame that is
    /// being sent is sent.
    async fn next_client(
        &self,
        pen: Arc<Mutex<()>>,
        mut taken: Option<watch::Receiver<bool>>,
    ) -> Link {
        let client = self.accept().await;
        loop {
            if let Some(taken) = &mut taken {
                let _ = taken.wait_for(|taken| !taken).await; // without a server it is free
            }
            let _guard = pen.lock().await;
            if taken.as_ref().is_none_or(|taken| !*taken.borrow()) {
                return client;
            }
        }
    }

    /// The next client. One that cannot be accepted is no reason to give up the line.
    async fn accept(&self) -> Link {
        loop {
            match self.listener.connect().await {
                Ok(client) if client.about.has_left && self.clients > 0 => {
                    self.tap.events.warn(
                        "a client that waited behind another has left again: what it sent was stale \
                         and is dropped",
                    );
                    continue;
                }
                Ok(client) => return client,
                Err(error) => self.tap.events.warn(error.chain()),
            }
            tokio::time::sleep(ACCEPT_AGAIN).await;
        }
    }

    /// One client, from its first byte to its last.
    async fn stay(
        &self,
        from_device: &mut Leg<'a>,
        device: &mut Link,
        mut client: Link,
        senders: &mut Senders<'_>,
        stop: &mut Stop,
    ) -> Result<Stay> {
        let origin = Origin { tap: 0, connection: self.clients, direction: Direction::ToDevice };
        let mut to_device = Leg::new(self.tap, self.bus, origin).by_frames(senders.is_echoed());
        let joining = from_device.joining();
        let pen = senders.pen();
        let stay = {
            let down = from_device.forward(&mut *device.rx, &mut *client.tx, joining);
            let up = to_device.forward_with(&mut *client.rx, &mut *device.tx, senders);
            let down = async {
                let ended = down.await;
                let _guard = pen.lock().await; // half of another's frame stays on nobody's account
                ended
            };
            let mut both = std::pin::pin!(both_ways(down, up));
            let stay = tokio::select! {
                biased;
                stay = &mut both => Some(stay?),
                () = stop.wait() => None,
            };
            match stay {
                Some(stay) => stay,
                None => {
                    let _ = tokio::time::timeout(DRAIN, both).await; // whichever ends first
                    Stay::Stopped
                }
            }
        };
        from_device.settle();
        to_device.settle();
        match stay {
            Stay::Stopped => to_device.stop(),
            Stay::ClientLeft(_) | Stay::DeviceLost(_) => {
                if matches!(stay, Stay::ClientLeft(_)) && !to_device.is_between_frames() {
                    self.tap.events.warn(
                        "the client left in the middle of a frame: the device discards it after \
                         its read timeout (1 s in the known drivers), and what is sent before \
                         that is lost",
                    );
                    senders.hold_back(AT_REST);
                }
                to_device.finish();
            }
        }
        Ok(stay)
    }
}

/// Pumps both directions until one side is gone.
async fn both_ways(
    down: impl Future<Output = Result<Ended>>,
    up: impl Future<Output = Result<Ended>>,
) -> Result<Stay> {
    let (mut down, mut up) = (std::pin::pin!(down), std::pin::pin!(up));
    let error = tokio::select! {
        biased;
        ended = &mut down => match ended? {
            Ended::Source(how) => return Ok(Stay::DeviceLost(how)),
            Ended::Sink(error) => error,
        },
        ended = &mut up => return Ok(match ended? {
            Ended::Source(how) => Stay::ClientLeft(how),
            Ended::Sink(error) => Stay::DeviceLost(error.chain()),
        }),
    };
    match tokio::time::timeout(LAST_WORDS, up).await {
        Ok(Ok(Ended::Sink(error))) => Ok(Stay::DeviceLost(error.chain())),
        _ => Ok(Stay::ClientLeft(error.chain())),
    }
}
