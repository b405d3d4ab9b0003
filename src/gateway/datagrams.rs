//! Datagrams of our clients on their way to the device.
//!
//! Nothing tells how many of them the device takes, and whoever sends does not wait. So they are queued here
//! rather than on the line, where others would have to wait behind them: each waits for its turn in the
//! lane, and one that has waited for [`AGE`] is dropped, since its sender has asked again by then. Without a device
//! it is the same, so that nothing old comes out when one appears.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Forwards, Gateway, count};
use crate::checksum::Sum;
use crate::craft::layers::{Ethernet, Ipv4, Udp};
use crate::proto::be16;

/// The longest datagram.
const LONGEST: usize = 65_507;
/// Datagrams that wait; more are dropped.
const QUEUE: usize = 64;
/// How long one waits at most.
const AGE: Duration = Duration::from_secs(1);

/// A datagram, who sent it, and when it came.
type Waiting = (SocketAddr, Vec<u8>, Instant);

/// Leads what comes to `socket` to the device, for ever.
pub(super) async fn serve(
    forwards: &Forwards,
    number: u64,
    socket: Arc<UdpSocket>,
    lead: (Option<Ipv4Addr>, u16),
) {
    let (queue, mut waiting) = mpsc::channel(QUEUE);
    let receive = receive(&forwards.gateway, &socket, queue);
    let send = async {
        let mut identification = 0u16;
        while let Some(datagram) = waiting.recv().await {
            identification = identification.wrapping_add(1);
            forwards.send(number, &socket, lead, datagram, identification).await;
        }
    };
    tokio::join!(receive, send);
}

async fn receive(gateway: &Gateway, socket: &UdpSocket, queue: mpsc::Sender<Waiting>) {
    let mut room = vec![0; LONGEST];
    loop {
        // What the client does not take comes back as an error, which concerns nobody here.
        let Ok((n, client)) = socket.recv_from(&mut room).await else { continue };
        let Some(data) = room.get(..n) else { continue };
        if queue.try_send((client, data.to_vec(), Instant::now())).is_err() {
            count(&gateway.0.counters.dropped, 1);
        }
    }
}

impl Forwards {
    /// Sends a datagram under the port that its client has on the line, unless it has waited for too long.
    async fn send(
        &self,
        number: u64,
        socket: &Arc<UdpSocket>,
        (guest, port): (Option<Ipv4Addr>, u16),
        (client, data, came): Waiting,
        identification: u16,
    ) {
        let gateway = &self.gateway;
        let sending = async {
            gateway.resolve(guest).await;
            let device = (guest.unwrap_or_else(|| gateway.device_ip()), port);
            let (ours, is_new) = {
                let mut state = gateway.state();
                let before = state.udp.len();
                let ours = state.udp.port((number, client), socket, device);
                (ours, state.udp.len() > before)
            };
            if is_new {
                self.note_client(number);
            }
            gateway.send_datagram(ours, device, &data, identification).await;
        };
        if tokio::time::timeout_at(came + AGE, sending).await.is_err() {
            count(&gateway.0.counters.dropped, 1);
        }
    }
}

impl Gateway {
    /// Sends a datagram, in fragments where it has to be (RFC 791 section 3.2).
    async fn send_datagram(
        &self,
        port: u16,
        device: (Ipv4Addr, u16),
        data: &[u8],
        identification: u16,
    ) {
        let Some(destination) = self.mac_of(device.0) else { return };
        let (ip, source) = self.host();
        let datagram = Udp::new(port, device.1).datagram(ip, device.0, data);
        let route = Ethernet { destination, source, kind: 0x0800 };
        let most = (self.0.settings.mtu.saturating_sub(20) / 8 * 8).max(8);
        let pieces = datagram.len().div_ceil(most);
        for (n, piece) in datagram.chunks(most).enumerate() {
            let mut header = Ipv4::new(ip, device.0, 17);
            header.id = identification;
            header.flags = u8::from(n + 1 < pieces);
            header.offset = (n * most / 8) as u16;
            if self.0.lane.send(route.frame(&header.packet(piece)).into()).await.is_err() {
                return;
            }
        }
        count(&self.0.counters.datagrams, 1);
    }
}

/// Whether the checksum of a datagram is right, or was left out (RFC 768).
pub(super) fn is_sound(source: Ipv4Addr, destination: Ipv4Addr, datagram: &[u8]) -> bool {
    let Some(length @ 8..) = be16(datagram, 4).map(usize::from) else { return false };
    let Some(datagram) = datagram.get(..length) else { return false };
    let sum = Sum::pseudo(source, destination, 17, length).plus(datagram).finish();
    sum == 0 || be16(datagram, 6) == Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::craft::layers::Checksum;

    #[test]
    fn a_checksum_is_right_wrong_or_left_out() {
        let (device, ours) = (Ipv4Addr::new(192, 168, 100, 2), Ipv4Addr::new(192, 168, 100, 1));
        let datagram = |checksum| Udp { checksum, ..Udp::new(7, 8) }.datagram(device, ours, b"odd");
        assert!(is_sound(device, ours, &datagram(Checksum::Right)));
        assert!(is_sound(device, ours, &datagram(Checksum::Exact(0))));
        assert!(!is_sound(device, ours, &datagram(Checksum::Wrong)));
        let mut padded = datagram(Checksum::Right);
        padded.extend([1; 9]);
        assert!(is_sound(device, ours, &padded));
        for n in 0..11 {
            assert!(!is_sound(device, ours, &datagram(Checksum::Right)[..n]));
        }
        let mut short = datagram(Checksum::Exact(0));
        short[5] = 7;
        assert!(!is_sound(device, ours, &short));
    }
}
