//! We as a neighbour: who asks for our addresses is answered, and the device's are learned.

use super::{Probe, neighbours6};
use crate::craft;
use crate::craft::text::End;
use crate::error::Result;
use crate::framing::Carries;
use crate::proto::{MacAddr, arp, be16, ethernet, ipv4_at};

impl Probe {
    /// The answer to a request for our own address (RFC 826).
    pub(super) fn arp_reply(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let asked = arp::Message::in_frame(frame)?;
        let host = &self.identity;
        let holder = self.link.about.shared.and_then(|shared| shared.host);
        if holder.is_some_and(|holder| holder.ip == host.host_ip.octets()) {
            return None; // the holder answers
        }
        if asked.op != arp::REQUEST || asked.tpa != host.host_ip || asked.spa == host.host_ip {
            return None;
        }
        let reply = arp::Message {
            op: arp::REPLY,
            sha: host.host_mac.octets(),
            spa: host.host_ip,
            tha: asked.sha,
            tpa: asked.spa,
        };
        Some(craft::arp(&reply, asked.sha.into()))
    }

    /// The answer to a solicitation for our own IPv6 address, if we have one.
    pub(super) fn advertisement(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let host = End::new(self.identity.host_mac, self.identity.host_ip);
        neighbours6::advertisement(frame, &host).filter(|_| self.speaks_ip6)
    }

    /// From now on we have the link-local address of our Ethernet address, and say so when asked.
    pub(crate) fn speak_ip6(&mut self) {
        self.speaks_ip6 = true;
    }

    /// The device is there.
    pub(crate) fn found_device(&mut self, mac: MacAddr) {
        self.identity.device_mac = mac;
    }

    /// Asks for the device's Ethernet address.
    pub async fn ask_for_device(&mut self) -> Result<()> {
        if self.options.framing.carries == Carries::Ip {
            return Ok(()); // nobody there has one
        }
        let request = arp::Message {
            op: arp::REQUEST,
            sha: self.identity.host_mac.octets(),
            spa: self.identity.host_ip,
            tha: [0; 6],
            tpa: self.identity.device_ip,
        };
        self.send(craft::arp(&request, MacAddr::broadcast())).await.map(|_| ())
    }

    /// Frames that carry the device's IPv4 address tell its Ethernet address.
    pub(super) fn learn(&mut self, frame: &[u8]) {
        let sender = match be16(frame, 12) {
            Some(0x0806) => arp::Message::in_frame(frame).map(|arp| (arp.spa, arp.sha)),
            Some(0x0800) => ipv4_at(frame, ethernet::HEADER + 12).zip(ethernet::source(frame)),
            _ => None,
        };
        let Some((ip, mac)) = sender.filter(|_| !self.is_fixed) else { return };
        let mac = MacAddr::from(mac);
        if ip == self.identity.device_ip && mac != self.identity.device_mac && !mac.is_multicast() {
            self.events.note(format!(
                "{ip} is at {mac}, not at {}: using {mac} from now on",
                self.identity.device_mac
            ));
            self.identity.device_mac = mac;
        }
    }
}
