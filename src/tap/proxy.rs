//! The tap between the tunnel and its client.
//!
//! We are the device's client and serve the real client ourselves, one at a time, as QEMU does.
//! Each direction is pumped on its own, so that one that is held up never holds up the other.
//! The device stays connected while clients come and go, and is listened to all the time; a new
//! client starts at a frame boundary even if it comes while the device is in mid-frame. What other
//! processes send through us goes in between the client's frames, never into one.

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
        let mut from_device = Leg::new(self.tap, self.bus, origin, true);
        from_device.tell(sharing.ear());
        let mut senders = Senders::new(self.tap, self.bus, sharing, self.connection);
        let session = loop {
            let client = next_client(self.listener, senders.pen(), senders.sharing.taken());
            let client = tokio::select! {
                biased;
                how = from_device.observe(&mut *device.rx) => break Session::DeviceLost(how?),
                error = senders.serve(&mut *device.tx) => break Session::DeviceLost(error.chain()),
                () = stop.wait() => break Session::Stopped,
                client = client => client?,
            };
            self.clients += 1;
            let record = self.tap.connected(&client.about, self.clients, Direction::ToDevice);
            publish(self.bus, record);
            let endpoint = client.about.endpoint.clone();
            let who = client.about.peer.clone().unwrap_or_else(|| "a client".to_owned());
            senders.sharing.set_busy(Some(format!("{who} is connected to the proxy")));
            let stay = self.stay(&mut from_device, &mut device, client, &mut senders, stop).await?;
            senders.sharing.set_busy(None);
            let how = match stay {
                Stay::Stopped => break Session::Stopped,
                Stay::DeviceLost(how) => break Session::DeviceLost(how),
                Stay::ClientLeft(how) => how,
            };
            publish(self.bus, self.tap.lost(&endpoint, self.clients, Direction::ToDevice, &how));
        };
        from_device.finish();
        senders.finish(match &session {
            Session::DeviceLost(how) => Some(how),
            Session::Stopped => None,
        });
        Ok(session)
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
        let mut to_device = Leg::new(self.tap, self.bus, origin, true);
        let skip = from_device.until_boundary().unwrap_or(0);
        let pen = senders.pen();
        let stay = {
            let mut down =
                std::pin::pin!(from_device.forward(&mut *device.rx, &mut *client.tx, skip));
            let mut up =
                std::pin::pin!(to_device.forward_with(&mut *client.rx, &mut *device.tx, senders));
            let mut down = std::pin::pin!(async {
                let ended = (&mut down).await;
                let _guard = pen.lock().await; // half of another's frame stays on nobody's account
                ended
            });
            let mut both = std::pin::pin!(async {
                tokio::select! {
                    biased;
                    ended = &mut down => Ok::<_, crate::error::Error>(match ended? {
                        Ended::Source(how) => Stay::DeviceLost(how),
                        Ended::Sink(error) => Stay::ClientLeft(error.chain()),
                    }),
                    ended = &mut up => Ok(match ended? {
                        Ended::Source(how) => Stay::ClientLeft(how),
                        Ended::Sink(error) => Stay::DeviceLost(error.chain()),
                    }),
                }
            });
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
        if let (Stay::ClientLeft(_), Some(1..) | None) = (&stay, to_device.until_boundary()) {
            self.tap.events.warn(
                "the client left in the middle of a frame: the device discards it after its read \
                 timeout (1 s in the known drivers), and what is sent before that is lost",
            );
            senders.hold_back(AT_REST);
        }
        to_device.finish();
        Ok(stay)
    }
}

/// The next client. It has to wait while somebody has the line alone, and until a frame that is
/// being sent is sent.
async fn next_client(
    listener: &dyn Connector,
    pen: Arc<Mutex<()>>,
    mut taken: Option<watch::Receiver<bool>>,
) -> Result<Link> {
    let client = listener.connect().await?;
    loop {
        if let Some(taken) = &mut taken {
            let _ = taken.wait_for(|taken| !taken).await; // without a server it is free
        }
        let _guard = pen.lock().await;
        if taken.as_ref().is_none_or(|taken| !*taken.borrow()) {
            return Ok(client);
        }
    }
}
