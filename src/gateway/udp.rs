//! Datagrams of forwards: each client of ours has a port on the line, as with any address translation.
//!
//! Section 4.3 of RFC 4787 wants such a binding to last two minutes at least after its last datagram.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::Instant;

/// How long a client is remembered that says nothing.
const PATIENCE: Duration = Duration::from_secs(120);
/// Clients at once; the one that was silent the longest makes way.
const MOST: usize = 1024;
/// Ports on the line: below those of connections that the device may make.
const FIRST_PORT: u16 = 32768;

/// Which client has which port.
#[derive(Default)]
pub(super) struct Table {
    by_port: HashMap<u16, Binding>,
    by_client: HashMap<(u64, SocketAddr), u16>,
    next: u16,
}

struct Binding {
    /// The forward.
    forward: u64,
    client: SocketAddr,
    socket: Arc<UdpSocket>,
    device: (Ipv4Addr, u16),
    last: Instant,
}

impl Table {
    /// None yet; the first port depends on `next`, since other gateways may be on the line.
    pub(super) fn starting(next: u16) -> Table {
        Table { next, ..Table::default() }
    }

    /// The port on the line for `client` of `forward`, whose socket is `socket`, to `device`.
    pub(super) fn port(
        &mut self,
        (forward, client): (u64, SocketAddr),
        socket: &Arc<UdpSocket>,
        device: (Ipv4Addr, u16),
    ) -> u16 {
        let now = Instant::now();
        if let Some(port) = self.by_client.get(&(forward, client))
            && let Some(binding) = self.by_port.get_mut(port)
        {
            (binding.last, binding.device) = (now, device);
            return *port;
        }
        self.make_room(now);
        let span = u16::MAX / 4;
        let port = loop {
            let port = FIRST_PORT + self.next % span;
            self.next = self.next.wrapping_add(1);
            if !self.by_port.contains_key(&port) {
                break port;
            }
        };
        let socket = socket.clone();
        self.by_port.insert(port, Binding { forward, client, socket, device, last: now });
        self.by_client.insert((forward, client), port);
        port
    }

    fn make_room(&mut self, now: Instant) {
        if self.by_port.len() < MOST {
            return;
        }
        let is_stale = |binding: &Binding| now.duration_since(binding.last) > PATIENCE;
        let stale: Vec<u16> =
            self.by_port.iter().filter(|(_, b)| is_stale(b)).map(|(port, _)| *port).collect();
        let oldest = self.by_port.iter().min_by_key(|(_, binding)| binding.last);
        let oldest = oldest.map(|(port, _)| *port).filter(|_| stale.is_empty());
        for port in stale.into_iter().chain(oldest) {
            self.remove(port);
        }
    }

    fn remove(&mut self, port: u16) {
        if let Some(binding) = self.by_port.remove(&port) {
            self.by_client.remove(&(binding.forward, binding.client));
        }
    }

    /// The forward is closed: its clients have no port any more.
    pub(super) fn close(&mut self, forward: u64) {
        self.by_port.retain(|_, binding| binding.forward != forward);
        self.by_client.retain(|(of, _), _| *of != forward);
    }

    /// Hands data from `device` to the client that has `port`; whether there is one. A client that does
    /// not take it loses it, as with every datagram.
    pub(super) fn deliver(&mut self, device: (Ipv4Addr, u16), port: u16, data: &[u8]) -> bool {
        let Some(binding) = self.by_port.get_mut(&port).filter(|b| b.device == device) else {
            return false;
        };
        binding.last = Instant::now();
        let _ = binding.socket.try_send_to(data, binding.client);
        true
    }

    /// Clients that have a port.
    pub(super) fn len(&self) -> usize {
        self.by_port.len()
    }
}
