//! Frames from typed parts. What is not given is automatic: lengths and checksums.
//!
//! Built with `pnet`'s packet builders; [`crate::proto`] reads them back in the tests.

pub mod fuzz;
pub mod layers;
pub mod text;

use std::net::Ipv4Addr;

use pnet::packet::Packet;
use pnet::packet::arp::{ArpHardwareTypes, ArpOperation, MutableArpPacket};
use pnet::packet::ethernet::{EtherType, EtherTypes, MutableEthernetPacket};
use pnet::packet::icmp::echo_request::MutableEchoRequestPacket;
use pnet::packet::icmp::{IcmpPacket, IcmpTypes};
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::packet::ipv4::MutableIpv4Packet;
use pnet::util::MacAddr;

use crate::proto::{arp, ethernet, icmp, ipv4};

/// Who sends a frame and who gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Source Ethernet address.
    pub source_mac: MacAddr,
    /// Destination Ethernet address.
    pub destination_mac: MacAddr,
    /// Source IPv4 address.
    pub source: Ipv4Addr,
    /// Destination IPv4 address.
    pub destination: Ipv4Addr,
}

/// An ICMP echo request (RFC 792) and the IPv4 fields that a sender of pings may choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EchoRequest<'a> {
    /// ICMP identifier.
    pub identifier: u16,
    /// ICMP sequence number.
    pub sequence: u16,
    /// IPv4 time to live.
    pub ttl: u8,
    /// IPv4 type of service.
    pub tos: u8,
    /// IPv4 identification.
    pub ip_id: u16,
    /// The data to be echoed.
    pub data: &'a [u8],
}

/// The longest data that an echo request can carry: an IPv4 packet has at most 65535 bytes.
pub const MAX_ECHO_DATA: usize = 65535 - ipv4::HEADER - icmp::HEADER;

impl EchoRequest<'_> {
    /// The frame, with DF set as ping does. At most [`MAX_ECHO_DATA`] bytes of data are taken.
    pub fn frame(&self, route: &Route) -> Vec<u8> {
        let data = &self.data[..self.data.len().min(MAX_ECHO_DATA)];
        let mut message = vec![0; icmp::HEADER + data.len()];
        if let Some(mut echo) = MutableEchoRequestPacket::new(&mut message) {
            echo.set_icmp_type(IcmpTypes::EchoRequest);
            echo.set_identifier(self.identifier);
            echo.set_sequence_number(self.sequence);
            echo.set_payload(data);
        }
        let checksum = IcmpPacket::new(&message).map(|m| pnet::packet::icmp::checksum(&m));
        message[2..4].copy_from_slice(&checksum.unwrap_or_default().to_be_bytes());
        self.datagram(route, &message)
    }

    fn datagram(&self, route: &Route, message: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; ipv4::HEADER + message.len()];
        let length = packet.len() as u16;
        if let Some(mut ip) = MutableIpv4Packet::new(&mut packet) {
            ip.set_version(4);
            ip.set_header_length(5);
            ip.set_total_length(length);
            ip.set_dscp(self.tos >> 2);
            ip.set_ecn(self.tos & 3);
            ip.set_identification(self.ip_id);
            ip.set_flags(pnet::packet::ipv4::Ipv4Flags::DontFragment);
            ip.set_ttl(self.ttl);
            ip.set_next_level_protocol(IpNextHeaderProtocols::Icmp);
            ip.set_source(route.source);
            ip.set_destination(route.destination);
            ip.set_payload(message);
            let checksum = pnet::packet::ipv4::checksum(&ip.to_immutable());
            ip.set_checksum(checksum);
        }
        framed(route.source_mac, route.destination_mac, EtherTypes::Ipv4, &packet)
    }
}

/// An ARP message for IPv4 over Ethernet (RFC 826) in a frame from its sender to `destination`.
pub fn arp(message: &arp::Message, destination: MacAddr) -> Vec<u8> {
    let mut packet = vec![0; arp::LENGTH];
    if let Some(mut out) = MutableArpPacket::new(&mut packet) {
        out.set_hardware_type(ArpHardwareTypes::Ethernet);
        out.set_protocol_type(EtherTypes::Ipv4);
        out.set_hw_addr_len(6);
        out.set_proto_addr_len(4);
        out.set_operation(ArpOperation::new(message.op));
        out.set_sender_hw_addr(message.sha.into());
        out.set_sender_proto_addr(message.spa);
        out.set_target_hw_addr(message.tha.into());
        out.set_target_proto_addr(message.tpa);
    }
    framed(message.sha.into(), destination, EtherTypes::Arp, &packet)
}

fn framed(source: MacAddr, destination: MacAddr, kind: EtherType, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; ethernet::HEADER + payload.len()];
    if let Some(mut out) = MutableEthernetPacket::new(&mut frame) {
        out.set_source(source);
        out.set_destination(destination);
        out.set_ethertype(kind);
        out.set_payload(payload);
    }
    debug_assert_eq!(
        pnet::packet::ethernet::EthernetPacket::new(&frame).map(|p| p.payload().len()),
        Some(payload.len())
    );
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::Dissector;
    use crate::proto::{Value, samples};
    use proptest::prelude::*;

    const ROUTE: Route = Route {
        source_mac: MacAddr(2, 0, 0, 0, 0, 1),
        destination_mac: MacAddr(2, 0, 0, 0, 0, 2),
        source: Ipv4Addr::new(192, 168, 100, 1),
        destination: Ipv4Addr::new(192, 168, 100, 2),
    };

    #[test]
    fn the_documented_echo_request_byte_by_byte() {
        let data: Vec<u8> = (0..56).collect();
        let echo =
            EchoRequest { identifier: 7, sequence: 1, ttl: 64, tos: 0, ip_id: 1, data: &data };
        assert_eq!(echo.frame(&ROUTE), samples::echo_request());
    }

    #[test]
    fn an_arp_request_byte_by_byte() {
        let message = arp::Message {
            op: arp::REQUEST,
            sha: [2, 0, 0, 0, 0, 2],
            spa: Ipv4Addr::new(192, 168, 100, 2),
            tha: [0; 6],
            tpa: Ipv4Addr::new(192, 168, 100, 1),
        };
        let frame = super::arp(&message, MacAddr::broadcast());
        assert_eq!(frame, samples::arp_request());
        assert_eq!(arp::Message::in_frame(&frame), Some(message));
    }

    proptest! {
        #[test]
        fn every_echo_request_decodes_to_what_was_asked(
            identifier: u16, sequence: u16, ttl: u8, tos: u8, ip_id: u16,
            data in prop::collection::vec(any::<u8>(), 0..1500),
        ) {
            let echo = EchoRequest { identifier, sequence, ttl, tos, ip_id, data: &data };
            let frame = echo.frame(&ROUTE);
            let mut dissector = Dissector::default();
            let stack = dissector.dissect(&frame);
            prop_assert!(stack.notes.iter().all(|note| !note.is_malformed()), "{:?}", stack.notes);
            let number = |protocol, name| stack.field(protocol, name);
            prop_assert_eq!(number(&icmp::ICMP, "identifier"), Some(Value::Number(identifier.into())));
            prop_assert_eq!(number(&icmp::ICMP, "sequence_number"), Some(Value::Number(sequence.into())));
            prop_assert_eq!(number(&ipv4::IPV4, "ttl"), Some(Value::Number(ttl.into())));
            prop_assert_eq!(number(&ipv4::IPV4, "tos"), Some(Value::Hex(tos.into())));
            prop_assert_eq!(number(&ipv4::IPV4, "identification"), Some(Value::Number(ip_id.into())));
            prop_assert_eq!(stack.payload(2), &data[..]);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests_support {
    //! Frames of any size for other tests.

    use super::*;

    /// An echo request whose frame is `length` bytes long.
    pub fn echo(length: usize) -> Vec<u8> {
        let mac = MacAddr(2, 0, 0, 0, 0, 1);
        let address = Ipv4Addr::new(192, 168, 100, 1);
        let route =
            Route { source_mac: mac, destination_mac: mac, source: address, destination: address };
        let data = vec![0x5a; length - ethernet::HEADER - ipv4::HEADER - icmp::HEADER];
        let echo =
            EchoRequest { identifier: 1, sequence: 1, ttl: 64, tos: 0, ip_id: 0, data: &data };
        echo.frame(&route)
    }
}
