//! smoltcp for one connection: an interface, its only socket, and queues of packets around it.

use std::collections::VecDeque;
use std::net::Ipv4Addr;

use bytes::Bytes;
use smoltcp::iface::{Config, Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{ConnectError, Socket, SocketBuffer};
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use crate::clock::Timestamp;

/// Packets that are made in advance; then the stack waits until they have gone.
const ROOM: usize = 2;

/// A connection's stack.
pub(super) struct Stack {
    interface: Interface,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
    pub(super) queues: Queues,
}

/// Packets in and out.
pub(super) struct Queues {
    pub(super) incoming: VecDeque<Bytes>,
    pub(super) outgoing: VecDeque<Vec<u8>>,
    mtu: usize,
}

pub(super) struct Rx(Bytes);

impl RxToken for Rx {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

pub(super) struct Tx<'a>(&'a mut VecDeque<Vec<u8>>);

impl TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut packet = vec![0; length];
        let result = f(&mut packet);
        self.0.push_back(packet);
        result
    }
}

impl Device for Queues {
    type RxToken<'a> = Rx;
    type TxToken<'a> = Tx<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Rx, Tx<'_>)> {
        if self.outgoing.len() >= ROOM {
            return None;
        }
        let packet = self.incoming.pop_front()?;
        Some((Rx(packet), Tx(&mut self.outgoing)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Tx<'_>> {
        (self.outgoing.len() < ROOM).then_some(Tx(&mut self.outgoing))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        capabilities
    }
}

fn moment(now: Timestamp) -> Instant {
    Instant::from_micros((now.0 / 1000) as i64)
}

impl Stack {
    /// A stack at `ip` that can be `window` bytes ahead in each direction; `seed` decides its first
    /// sequence number.
    pub(super) fn new(now: Timestamp, ip: Ipv4Addr, mtu: usize, window: usize, seed: u64) -> Stack {
        let mut queues = Queues { incoming: VecDeque::new(), outgoing: VecDeque::new(), mtu };
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut queues, moment(now));
        interface.update_ip_addrs(|addresses| {
            let _ = addresses.push(IpCidr::new(IpAddress::Ipv4(ip), 0)); // everybody is on the line
        });
        let buffer = || SocketBuffer::new(vec![0; window]);
        let mut socket = Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(false);
        let mut sockets = SocketSet::new(Vec::new());
        let handle = sockets.add(socket);
        Stack { interface, sockets, handle, queues }
    }

    /// Begins to connect.
    pub(super) fn connect(
        &mut self,
        device: (Ipv4Addr, u16),
        port: u16,
    ) -> Result<(), ConnectError> {
        let socket = self.sockets.get_mut::<Socket<'_>>(self.handle);
        socket.connect(self.interface.context(), device, port)
    }

    /// The socket.
    pub(super) fn socket(&mut self) -> &mut Socket<'static> {
        self.sockets.get_mut(self.handle)
    }

    /// Works until nothing is left to do at `now`; whether the socket has changed.
    pub(super) fn poll(&mut self, now: Timestamp) -> bool {
        let result = self.interface.poll(moment(now), &mut self.queues, &mut self.sockets);
        result == PollResult::SocketStateChanged
    }

    /// How long until it has something to do by itself.
    pub(super) fn poll_delay(&mut self, now: Timestamp) -> Option<std::time::Duration> {
        let delay = self.interface.poll_delay(moment(now), &self.sockets)?;
        Some(std::time::Duration::from_micros(delay.total_micros()))
    }
}
