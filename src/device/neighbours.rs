//! Ethernet and ARP around a stack that speaks IPv4 only.
//!
//! The stack's own ARP knows no static entries and answers for whatever it is told; a tunnel's
//! device has one static entry, for the host, and filters addresses itself, since no hardware does
//! it. RFC 826; RFC 1122 sections 2.3.2 and 3.3.6; RFC 5227 section 2.5.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use super::counters::Counters;
use super::faults::{Fault, Faults};
use crate::clock::Timestamp;
use crate::craft;
use crate::proto::{MacAddr, arp, be16, ethernet, ipv4_at, mac_at};

/// Neighbours that are remembered at most.
const MEMORY: usize = 16;
/// At most one request in this time for the same address (RFC 1122 section 2.3.2.1).
const ASK_EVERY: Duration = Duration::from_secs(1);

/// The device's addresses and its neighbours.
#[derive(Debug)]
pub struct Neighbours {
    faults: Faults,
    own_mac: MacAddr,
    own_ip: Ipv4Addr,
    /// The host: a static entry, and the way out of the network.
    gateway_ip: Ipv4Addr,
    gateway_mac: MacAddr,
    known: HashMap<Ipv4Addr, MacAddr>,
    /// Who has asked for us, where that does harm.
    askers: HashSet<Ipv4Addr>,
    /// Who was asked for, when last, and the packet that waits for the answer.
    asked: HashMap<Ipv4Addr, (Timestamp, Vec<u8>)>,
}

/// What to do with a frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// Nothing.
    Ignored,
    /// It holds an IPv4 packet for the stack.
    Packet(Vec<u8>),
    /// It is answered, or lets waiting packets go: frames to send.
    Frames(Vec<Vec<u8>>),
    /// The device has died of it.
    Death,
}

impl Neighbours {
    /// The device of the tunnel: 192.168.100.2 at 02:00:00:00:00:02.
    pub fn new(faults: Faults) -> Self {
        Neighbours {
            faults,
            own_mac: MacAddr(2, 0, 0, 0, 0, 2),
            own_ip: Ipv4Addr::new(192, 168, 100, 2),
            gateway_ip: Ipv4Addr::new(192, 168, 100, 1),
            gateway_mac: MacAddr(2, 0, 0, 0, 0, 1),
            known: HashMap::new(),
            askers: HashSet::new(),
            asked: HashMap::new(),
        }
    }

    /// The device's IPv4 address.
    pub fn own_ip(&self) -> Ipv4Addr {
        self.own_ip
    }

    /// The frame by which the device announces itself (RFC 5227 section 2.3).
    pub fn announcement(&self) -> Vec<u8> {
        let message = arp::Message {
            op: arp::REQUEST,
            sha: self.own_mac.octets(),
            spa: self.own_ip,
            tha: [0; 6],
            tpa: self.own_ip,
        };
        craft::arp(&message, MacAddr::broadcast())
    }

    /// Looks at a frame from the line.
    pub fn receive(&mut self, frame: &[u8], counters: &mut Counters) -> Taken {
        let (Some(destination), Some(source)) = (mac_at(frame, 0), mac_at(frame, 6)) else {
            return Taken::Ignored;
        };
        let (destination, source) = (MacAddr::from(destination), MacAddr::from(source));
        let is_ours = destination == self.own_mac || self.faults.has(Fault::NoMacFilter);
        if !(is_ours || destination.is_multicast()) || source.is_multicast() {
            counters.filtered += 1;
            return Taken::Ignored;
        }
        match be16(frame, 12) {
            Some(0x0806) => self.receive_arp(frame, counters),
            Some(0x0800) => self.receive_ip(frame, destination, counters),
            _ => {
                counters.filtered += 1;
                Taken::Ignored
            }
        }
    }

    /// IPv4 that may come from where it says, to one of our addresses.
    fn receive_ip(&self, frame: &[u8], destination: MacAddr, counters: &mut Counters) -> Taken {
        let packet = &frame[ethernet::HEADER..];
        let (Some(source), Some(target)) = (ipv4_at(packet, 12), ipv4_at(packet, 16)) else {
            return Taken::Ignored;
        };
        let loopback = source.is_loopback() && !self.faults.has(Fault::LoopbackAnswered);
        let bad_source = loopback
            || source.is_multicast()
            || source.is_broadcast()
            || source.is_unspecified()
            || source == self.own_ip
            || source == Ipv4Addr::new(192, 168, 100, 255);
        // RFC 1122 section 3.3.6: a link-layer broadcast carries an IP broadcast.
        let bad_link = destination.is_multicast() && target == self.own_ip;
        if bad_source || bad_link || target.is_loopback() {
            counters.filtered += 1;
            return Taken::Ignored;
        }
        Taken::Packet(packet.to_vec())
    }

    fn receive_arp(&mut self, frame: &[u8], counters: &mut Counters) -> Taken {
        if frame.len() < ethernet::HEADER + arp::LENGTH {
            let kills = frame.len() <= ethernet::HEADER + 20;
            let dies = kills && self.faults.has(Fault::ShortArpKills);
            return if dies { Taken::Death } else { Taken::Ignored };
        }
        let Some(message) = arp::Message::in_frame(frame) else { return Taken::Ignored };
        let sender = MacAddr::from(message.sha);
        if sender.is_multicast() || !matches!(message.op, arp::REQUEST | arp::REPLY) {
            return Taken::Ignored;
        }
        let mut out = self.learn(message.spa, sender);
        let is_for_us = message.tpa == self.own_ip || self.faults.has(Fault::ArpForAnybody);
        if message.op == arp::REQUEST && is_for_us && message.spa != self.own_ip {
            counters.arp_replies += 1;
            if self.faults.has(Fault::TableOverflows) {
                self.askers.insert(message.spa);
            }
            out.push(self.reply(&message));
        }
        if self.askers.len() > 50 {
            self.gateway_mac = MacAddr(2, 0, 0, 0, 0, 0x78);
        }
        Taken::Frames(out)
    }

    fn reply(&self, asked: &arp::Message) -> Vec<u8> {
        let wrong = MacAddr(2, 0, 0, 0, 0, 0x77);
        let claimed = if self.faults.has(Fault::ArpSender) { wrong } else { self.own_mac };
        let message = arp::Message {
            op: if self.faults.has(Fault::ArpOpcode) { arp::REQUEST } else { arp::REPLY },
            sha: claimed.octets(),
            spa: asked.tpa,
            tha: asked.sha,
            tpa: asked.spa,
        };
        let mut frame = craft::arp(&message, asked.sha.into());
        frame[6..12].copy_from_slice(&self.own_mac.octets());
        frame
    }

    /// Remembers a neighbour that we know or have asked for; the frames that waited for it.
    fn learn(&mut self, ip: Ipv4Addr, mac: MacAddr) -> Vec<Vec<u8>> {
        if ip == self.gateway_ip {
            if self.faults.has(Fault::StaticOverwritten) {
                self.gateway_mac = mac;
            }
            return Vec::new();
        }
        let waiting = self.asked.remove(&ip);
        if waiting.is_some() || self.known.contains_key(&ip) {
            if self.known.len() >= MEMORY && !self.known.contains_key(&ip) {
                self.known.clear();
            }
            self.known.insert(ip, mac);
        }
        waiting.map(|(_, packet)| self.frame(mac, &packet)).into_iter().collect()
    }

    fn frame(&self, to: MacAddr, packet: &[u8]) -> Vec<u8> {
        let mut frame = Vec::with_capacity(ethernet::HEADER + packet.len());
        frame.extend(to.octets());
        frame.extend(self.own_mac.octets());
        frame.extend([0x08, 0x00]);
        frame.extend_from_slice(packet);
        frame
    }

    /// The frame for a packet of the stack: to its next hop, or a question for that.
    pub fn send(
        &mut self,
        now: Timestamp,
        packet: Vec<u8>,
        counters: &mut Counters,
    ) -> Option<Vec<u8>> {
        let target = ipv4_at(&packet, 16)?;
        let is_local = target.octets()[..3] == self.own_ip.octets()[..3];
        if target.is_broadcast() || target == Ipv4Addr::new(192, 168, 100, 255) {
            return Some(self.frame(MacAddr::broadcast(), &packet));
        }
        if target.is_multicast() {
            let [_, b, c, d] = target.octets();
            return Some(self.frame(MacAddr(1, 0, 0x5e, b & 0x7f, c, d), &packet));
        }
        let is_beyond = !is_local && !self.faults.has(Fault::NoGateway);
        if is_beyond || target == self.gateway_ip {
            return Some(self.frame(self.gateway_mac, &packet));
        }
        if let Some(mac) = self.known.get(&target) {
            return Some(self.frame(*mac, &packet));
        }
        self.ask(now, target, packet, counters)
    }

    fn ask(
        &mut self,
        now: Timestamp,
        target: Ipv4Addr,
        packet: Vec<u8>,
        counters: &mut Counters,
    ) -> Option<Vec<u8>> {
        if self.asked.len() >= MEMORY && !self.asked.contains_key(&target) {
            self.asked.clear();
        }
        if let Some((last, waiting)) = self.asked.get_mut(&target) {
            counters.unresolved += 1; // the packet that waited makes way for the newer one
            *waiting = packet;
            if now.since(*last) < ASK_EVERY && !self.faults.has(Fault::ArpFlood) {
                return None;
            }
            *last = now;
        } else {
            self.asked.insert(target, (now, packet));
        }
        counters.arp_requests += 1;
        Some(self.question(target))
    }

    fn question(&self, target: Ipv4Addr) -> Vec<u8> {
        let message = arp::Message {
            op: arp::REQUEST,
            sha: self.own_mac.octets(),
            spa: self.own_ip,
            tha: [0; 6],
            tpa: target,
        };
        craft::arp(&message, MacAddr::broadcast())
    }

    /// What a device asks that has no static entry.
    pub fn question_for_host(&self) -> Vec<u8> {
        self.question(self.gateway_ip)
    }

    /// Remembers where an IPv4 packet came from, which is not how it is done.
    pub fn teach(&mut self, frame: &[u8]) {
        if let (Some(ip), Some(mac)) = (ipv4_at(frame, 26), mac_at(frame, 6)) {
            if self.known.len() >= MEMORY {
                self.known.clear();
            }
            self.known.insert(ip, mac.into());
        }
    }
}
