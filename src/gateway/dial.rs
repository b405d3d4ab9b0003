//! Connections that somebody in this process makes, without a socket and without a forward.

use std::time::Duration;

use super::client::Stream;
use super::flow::{self, Outcome};
use super::{Gateway, Key};

/// Gives the connection's place back if it never came to be.
struct Place {
    gateway: Gateway,
    key: Key,
    is_used: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_used {
            self.gateway.leave(&self.key, false);
        }
    }
}

impl Gateway {
    /// Leads `stream` to the device's `port` in packets of at most `mtu` bytes: our port, and the future that
    /// moves the bytes until both sides are done. The line has to be up and the device's Ethernet address to be
    /// known. `None` when there are too many connections.
    pub fn dial<S: Stream>(
        &self,
        stream: S,
        port: u16,
        mtu: usize,
    ) -> Option<(u16, impl Future<Output = Outcome> + Send + use<S>)> {
        let (key, packets) = self.enter(self.device_ip(), port)?;
        let place = Place { gateway: self.clone(), key, is_used: false };
        let hold = self.0.settings.hold.max(Duration::from_secs(1));
        let mut stream = stream;
        let carrying = async move {
            let mut place = place; // all of it, so that it is given back wherever this ends
            let gateway = place.gateway.clone();
            let since = gateway.0.clock.now();
            let door = gateway.0.doors.at(key.device, port);
            let Some(turn) = door.turn(&gateway, since, hold).await else {
                stream.reset();
                return Outcome::NoAnswer;
            };
            place.is_used = true; // the flow gives it back from now on
            drop(place);
            let outcome = flow::run(&gateway, &mut stream, key, packets, turn, mtu).await;
            if outcome != Outcome::Done {
                stream.reset();
            }
            outcome
        };
        Some((key.port, carrying))
    }
}
