//! What tests send, with everything right that they do not change.

use std::net::Ipv4Addr;

use super::super::stimulus::{Datagram, Echo};
use super::Trial;
use crate::craft::layers::{Checksum, Ethernet, Icmp, Ipv4, Udp};
use crate::probe::Identity;
use crate::proto::{MacAddr, icmp};

impl Trial {
    /// The address of that number in the host's network of 256.
    pub fn address(&self, last: u8) -> Ipv4Addr {
        let [a, b, c, _] = self.identity().host_ip.octets();
        Ipv4Addr::new(a, b, c, last)
    }

    /// A neighbour that nobody has seen yet.
    pub fn neighbour(&mut self) -> (Ipv4Addr, MacAddr) {
        let last = self.rig.numbers.neighbour();
        (self.address(last), MacAddr(2, 0, 0, 0, 1, last))
    }

    /// Ethernet from us to the device.
    pub fn eth(&self, kind: u16) -> Ethernet {
        let Identity { host_mac, device_mac, .. } = self.identity();
        Ethernet { destination: device_mac, source: host_mac, kind }
    }

    /// IPv4 from us to the device.
    pub fn ip(&mut self, protocol: u8) -> Ipv4 {
        let Identity { host_ip, device_ip, .. } = self.identity();
        Ipv4 { id: self.rig.numbers.ip_id(), ..Ipv4::new(host_ip, device_ip, protocol) }
    }

    /// An echo request of its own identifier and sequence number, with `size` bytes of data.
    pub fn echo(&mut self, size: usize) -> Echo {
        let (id, sequence) = self.rig.numbers.echo();
        let mut rest = [0; 4];
        rest[..2].copy_from_slice(&id.to_be_bytes());
        rest[2..].copy_from_slice(&sequence.to_be_bytes());
        let data = (0..size).map(|n| (n as u8).wrapping_add(sequence as u8)).collect();
        let icmp =
            Icmp { kind: icmp::ECHO_REQUEST, code: 0, checksum: Checksum::Right, rest, data };
        Echo { eth: self.eth(0x0800), ip: self.ip(1), icmp, padding: Vec::new() }
    }

    /// A datagram to a port, from a port of its own.
    pub fn datagram(&mut self, port: u16, data: &[u8]) -> Datagram {
        let udp = Udp::new(self.rig.numbers.port(), port);
        Datagram { eth: self.eth(0x0800), ip: self.ip(17), udp, data: data.to_vec() }
    }

    /// A datagram to a port on which nobody listens.
    pub fn datagram_to_nobody(&mut self) -> Datagram {
        self.datagram(self.rig.target.ports.closed_udp, b"is anybody there?")
    }
}
