//! The IPv4 stack: smoltcp, given packets and times, with nothing but queues around it.

use std::collections::VecDeque;
use std::net::Ipv4Addr;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::{Socket, tcp, udp};
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use super::packet::Flow;
use crate::clock::Timestamp;

/// The smallest MTU of IPv4 (RFC 791 section 3.2).
const LEAST_MTU: usize = 68;
/// Bytes of a TCP socket's buffers: four segments of an Ethernet MTU.
const TCP_BUFFER: usize = 5840;

/// smoltcp between two queues of packets.
pub struct Stack {
    interface: Interface,
    /// Its sockets; services open and use them.
    pub sockets: SocketSet<'static>,
    queues: Queues,
}

/// Packets in and out.
struct Queues {
    incoming: VecDeque<Vec<u8>>,
    outgoing: VecDeque<Vec<u8>>,
    has_room: bool,
    mtu: usize,
}

struct Rx(Vec<u8>);

impl RxToken for Rx {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

struct Tx<'a>(&'a mut VecDeque<Vec<u8>>);

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
        if !self.has_room {
            return None;
        }
        let packet = self.incoming.pop_front()?;
        Some((Rx(packet), Tx(&mut self.outgoing)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Tx<'_>> {
        (self.has_room && self.outgoing.len() < 4).then_some(Tx(&mut self.outgoing))
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
    /// A stack at `ip`/24 with `gateway`, for packets of up to `mtu` bytes; `seed` decides its initial
    /// sequence numbers.
    pub fn new(now: Timestamp, ip: Ipv4Addr, gateway: Ipv4Addr, mtu: usize, seed: u64) -> Self {
        let (incoming, outgoing) = (VecDeque::new(), VecDeque::new());
        let mtu = mtu.max(LEAST_MTU);
        let mut queues = Queues { incoming, outgoing, has_room: true, mtu };
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut queues, moment(now));
        interface.update_ip_addrs(|addresses| {
            let _ = addresses.push(IpCidr::new(IpAddress::Ipv4(ip), 24)); // there is room for one
        });
        let _ = interface.routes_mut().add_default_ipv4_route(gateway);
        Stack { interface, sockets: SocketSet::new(Vec::new()), queues }
    }

    /// Hands in a packet.
    pub fn receive(&mut self, packet: Vec<u8>) {
        self.queues.incoming.push_back(packet);
    }

    /// Works until nothing is left to do at `now`; `has_room` says whether packets can leave.
    pub fn poll(&mut self, now: Timestamp, has_room: bool) -> Vec<Vec<u8>> {
        self.queues.has_room = has_room;
        self.interface.poll(moment(now), &mut self.queues, &mut self.sockets);
        self.queues.outgoing.drain(..).collect()
    }

    /// When it has something to do by itself.
    pub fn poll_at(&mut self, now: Timestamp) -> Option<Timestamp> {
        let at = self.interface.poll_at(moment(now), &self.sockets)?;
        Some(Timestamp(u64::try_from(at.total_micros()).unwrap_or(0) * 1000).max(now))
    }

    /// The connection of a TCP socket, if it has one.
    pub fn flow(socket: &tcp::Socket<'_>) -> Option<Flow> {
        let (local, remote) = (socket.local_endpoint()?, socket.remote_endpoint()?);
        let IpAddress::Ipv4(peer) = remote.addr;
        Some(Flow { peer, peer_port: remote.port, port: local.port })
    }

    /// Whether there is such a connection, in any state from SYN-RECEIVED to TIME-WAIT.
    pub fn has_connection(&self, flow: &Flow) -> bool {
        self.sockets.iter().any(|(_, socket)| match socket {
            Socket::Tcp(socket) => {
                socket.state() != tcp::State::Closed && Self::flow(socket) == Some(*flow)
            }
            Socket::Udp(_) => false,
        })
    }

    /// A TCP socket that listens on `port`.
    pub fn listen(&mut self, port: u16) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; TCP_BUFFER]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        let _ = socket.listen(port); // a fresh socket can always listen
        self.sockets.add(socket)
    }

    /// A UDP socket on `port`.
    pub fn bind(&mut self, port: u16) -> SocketHandle {
        let buffer =
            || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 8], vec![0; 16 * 1024]);
        let mut socket = udp::Socket::new(buffer(), buffer());
        let _ = socket.bind(port); // the port is not 0
        self.sockets.add(socket)
    }
}
