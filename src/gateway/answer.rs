//! What to do with a frame of the device: whose it is, and what we answer ourselves.
//!
//! We answer what was asked of us and nothing else: ARP for our address, pings of it (RFC 1122 section
//! 3.2.2.6), a reset for a connection that nobody takes (RFC 9293 section 3.5.2), port unreachable for a
//! datagram that nobody wants (RFC 1122 section 4.1.3.1), both only where the packet was sent to us alone, is
//! sound, and comes from an address that a host can have (section 3.2.2). Other processes speak on this line
//! under the same address: a segment in the middle of a connection that is not ours is left alone, and so is
//! what comes to a port that one of them has sent from; and where we are attached ourselves, whoever holds the line
//! answers, and we only take what is for our connections.

use std::net::Ipv4Addr;

use bytes::Bytes;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{TcpControl, TcpPacket, TcpRepr, TcpSeqNumber};

use super::fragments::Joined;
use super::neighbour::{self, News, Shown};
use super::throttle::with_left_out;
use super::{Gateway, Key, count, datagrams};
use crate::checksum::{self, Sum};
use crate::craft::layers::{Ethernet, Icmp, Ipv4};
use crate::proto::{MacAddr, arp, be16, be32, ethernet, icmp, ipv4, ipv4_at, tcp, udp};

const IPV4: u16 = 0x0800;
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const FIN: u8 = 1;
const SYN: u8 = 2;
const ACK: u8 = 16;

/// The parts of an IPv4 packet.
struct Packet<'a> {
    source: Ipv4Addr,
    destination: Ipv4Addr,
    protocol: u8,
    /// All of it, without what follows it in the frame.
    whole: &'a [u8],
    /// Behind its header.
    payload: &'a [u8],
    /// The frame was for everybody.
    is_broadcast: bool,
}

impl<'a> Packet<'a> {
    /// The packet in a frame, if it is sound and no fragment.
    fn of(frame: &'a [u8]) -> Option<Packet<'a>> {
        let bytes = frame.get(ethernet::HEADER..)?;
        let first = *bytes.first()?;
        let header = usize::from(first & 15) * 4;
        let total = usize::from(be16(bytes, 2)?);
        let is_sound = first >> 4 == 4 && header >= ipv4::HEADER && total >= header;
        is_sound.then_some(())?;
        let whole = bytes.get(..total)?;
        (checksum::internet(whole.get(..header)?) == 0).then_some(())?;
        (be16(whole, 6)? & 0x3fff == 0).then_some(())?;
        Some(Packet {
            source: ipv4_at(whole, 12)?,
            destination: ipv4_at(whole, 16)?,
            protocol: *whole.get(9)?,
            payload: whole.get(header..)?,
            whole,
            is_broadcast: frame.first()? & 1 != 0,
        })
    }

    /// Whether the checksum of its segment or datagram is right; one of a datagram may be left out
    /// (RFC 768).
    fn is_sound(&self) -> bool {
        let length = match (self.protocol, be16(self.payload, 4), be16(self.payload, 6)) {
            (UDP, Some(_), Some(0)) => return true,
            (UDP, Some(length), Some(_)) => usize::from(length),
            (UDP, _, _) => return false,
            _ => self.payload.len(),
        };
        let Some(covered) = self.payload.get(..length) else { return false };
        let pseudo = Sum::pseudo(self.source, self.destination, self.protocol, length);
        pseudo.plus(covered).finish() == 0
    }

    /// Whether whoever sent it may be told that nobody wants it (RFC 1122 sections 3.2.2 and 4.2.3.10).
    fn may_be_refused(&self) -> bool {
        !self.is_broadcast && self.is_sound()
    }
}

/// The port that a frame of another process under our address was sent from, and its protocol.
pub(super) fn sent_from(frame: &[u8], ip: Ipv4Addr) -> Option<(u8, u16)> {
    (be16(frame, 12)? == IPV4).then_some(())?;
    let packet = Packet::of(frame).filter(|packet| packet.source == ip)?;
    matches!(packet.protocol, TCP | UDP).then_some(())?;
    Some((packet.protocol, be16(packet.payload, 0)?))
}

impl Gateway {
    /// Takes a frame of the device.
    pub(super) fn take(&self, frame: &Bytes) {
        let (ip, mac) = self.host();
        let is_for_us = frame.get(..6).is_some_and(|to| to == mac.octets() || to == [0xff; 6]);
        let is_taken = is_for_us
            && match be16(frame, 12) {
                Some(IPV4) => match self.join(frame, ip) {
                    Joined::Not => self.take_packet(frame, (ip, mac)).is_some(),
                    Joined::Whole(frame) => self.take_packet(&frame, (ip, mac)).is_some(),
                    Joined::Kept => true,
                },
                _ => self.take_arp(frame, (ip, mac)).is_some(),
            };
        if !is_taken {
            count(&self.0.counters.ignored, 1);
        }
    }

    fn take_arp(&self, frame: &[u8], (ip, mac): (Ipv4Addr, MacAddr)) -> Option<()> {
        let message = arp::Message::in_frame(frame)?;
        let sender = MacAddr::from(message.sha);
        self.0.guests.learn(message.spa, sender);
        let is_announcement = message.spa == message.tpa;
        if message.spa == ip {
            if sender != mac {
                self.warn_of_device(format!(
                    "the device says that {ip} is its address, which is ours: give it another, or us with \
                     '--host-ip'"
                ));
            }
        } else if is_announcement {
            self.learn(message.spa, sender, Shown::Announcement);
        } else if message.tpa == ip && sender != mac {
            self.learn(message.spa, sender, Shown::Word);
        }
        let asks = message.op == arp::REQUEST && message.tpa == ip && !is_announcement;
        if asks && neighbour::is_station(sender) && !self.is_second() {
            self.answer(neighbour::reply(&message, mac));
        }
        Some(())
    }

    /// The device has shown an address.
    fn learn(&self, ip: Ipv4Addr, mac: MacAddr, shown: Shown) {
        let known = self.device_ip();
        let age = self.0.neighbour.age();
        let how = || {
            let seconds = age.as_secs_f64();
            match shown {
                Shown::Packet => format!("(its packets, {seconds:.1} s)"),
                Shown::Word => format!("(ARP, {seconds:.1} s)"),
                Shown::Announcement => format!("(gratuitous ARP, {seconds:.1} s)"),
            }
        };
        match self.0.neighbour.learn(ip, mac, shown) {
            News::Nothing => {}
            News::Mac(mac) => self.note_of_device(format!("learned  {ip} {mac} {}", how())),
            News::Ip(ip) => self.note_of_device(format!(
                "learned  {ip} {mac} {}: used from now on, in place of {known}",
                how()
            )),
            News::OtherIp(ip) => self.warn_of_device(format!(
                "the device says that it is {ip}, and '--device-ip' says {known}"
            )),
            News::OtherMac(mac) => self.warn_of_device(format!(
                "the device says that it is {mac}, and '--device-mac' says otherwise"
            )),
            News::Outside(ip) => self.warn_of_device(format!(
                "the device says that it is {ip}, which is not in the network of {}: '--device-ip {ip}' \
                 takes it all the same",
                self.host().0
            )),
        }
    }

    /// Tells about the device, which can cause this as often as it likes.
    fn note_of_device(&self, text: String) {
        if let Some(left_out) = self.0.device_news.admit() {
            self.0.events.note(with_left_out(text, left_out));
        }
    }

    /// The same about what is wrong, which is not told twice in a row.
    fn warn_of_device(&self, text: String) {
        let mut state = self.state();
        if state.complaint == text {
            return;
        }
        state.complaint.clone_from(&text);
        drop(state);
        if let Some(left_out) = self.0.device_news.admit() {
            self.0.events.warn(with_left_out(text, left_out));
        }
    }

    fn take_packet(&self, frame: &Bytes, (ip, mac): (Ipv4Addr, MacAddr)) -> Option<()> {
        let packet = Packet::of(frame)?;
        let source_mac = MacAddr::from(ethernet::source(frame)?);
        let is_from_a_host = neighbour::is_station(source_mac)
            && source_mac != mac
            && neighbour::is_host(packet.source)
            && packet.source != ip;
        is_from_a_host.then_some(())?;
        if packet.source == self.device_ip() {
            self.learn(packet.source, source_mac, Shown::Packet);
        }
        (packet.destination == ip).then_some(())?;
        let route = Ethernet { destination: source_mac, source: mac, kind: IPV4 };
        if packet.protocol != TCP {
            self.0.company.note(self.0.clock.now());
        }
        match packet.protocol {
            TCP => self.take_segment(frame, &packet, &route),
            UDP => self.take_datagram(&packet, &route),
            ICMP => self.take_message(&packet, &route),
            _ => None,
        }
    }

    fn take_segment(&self, frame: &Bytes, packet: &Packet<'_>, route: &Ethernet) -> Option<()> {
        let segment = packet.payload;
        let key =
            Key { device: packet.source, device_port: be16(segment, 0)?, port: be16(segment, 2)? };
        let flags = *segment.get(13)?;
        let mut state = self.state();
        if let Some(flow) = state.flows.get(&key) {
            let bytes = frame.slice_ref(packet.whole);
            if flow.try_send(bytes).is_err() {
                count(&self.0.counters.dropped, 1);
            }
            return Some(());
        }
        let is_over = flags & FIN != 0 && state.is_over(&key);
        let is_ours = !state.is_second && !state.others.have(TCP, key.port);
        drop(state);
        let is_refused = flags & (SYN | ACK) == SYN && is_ours;
        if (is_over || is_refused) && packet.may_be_refused() {
            let answer = answer_to(packet, is_over)?;
            self.answer(route.frame(&reply_to(packet, TCP).packet(&answer)));
            return Some(());
        }
        None
    }

    fn take_datagram(&self, packet: &Packet<'_>, route: &Ethernet) -> Option<()> {
        let (source, port) = (be16(packet.payload, 0)?, be16(packet.payload, 2)?);
        let length = usize::from(be16(packet.payload, 4)?);
        let data = packet.payload.get(udp::HEADER..length)?;
        datagrams::is_sound(packet.source, packet.destination, packet.payload).then_some(())?;
        let mut state = self.state();
        if state.udp.deliver((packet.source, source), port, data) {
            count(&self.0.counters.datagrams, 1);
            return Some(());
        }
        let is_ours = !state.is_second && !state.others.have(UDP, port);
        drop(state);
        (is_ours && packet.may_be_refused()).then_some(())?;
        let quoted = packet.whole.get(..packet.whole.len().min(ipv4::HEADER + 8))?.to_vec();
        self.reply_with(packet, route, (icmp::UNREACHABLE, 3, [0; 4]), quoted);
        None
    }

    fn take_message(&self, packet: &Packet<'_>, route: &Ethernet) -> Option<()> {
        let message = packet.payload;
        let is_sound = checksum::internet(message) == 0;
        if is_sound && message.first() == Some(&icmp::ECHO_REPLY) {
            return self.replied(*message.get(4..)?.first_chunk()?).then_some(());
        }
        let is_request = message.first() == Some(&icmp::ECHO_REQUEST) && !self.is_second();
        let data = message.get(icmp::HEADER..).filter(|_| is_request && is_sound)?.to_vec();
        let rest = *message.get(4..)?.first_chunk()?;
        self.reply_with(packet, route, (icmp::ECHO_REPLY, 0, rest), data);
        Some(())
    }

    fn reply_with(
        &self,
        packet: &Packet<'_>,
        route: &Ethernet,
        (kind, code, rest): (u8, u8, [u8; 4]),
        data: Vec<u8>,
    ) {
        let checksum = crate::craft::layers::Checksum::Right;
        let message = Icmp { kind, code, checksum, rest, data }.message();
        self.answer(route.frame(&reply_to(packet, ICMP).packet(&message)));
    }
}

/// The header of a packet that goes back.
fn reply_to(packet: &Packet<'_>, protocol: u8) -> Ipv4 {
    Ipv4::new(packet.destination, packet.source, protocol)
}

/// The segment that says that nobody is there (RFC 9293 section 3.5.2), or that an end has been heard
/// before (section 3.6).
fn answer_to(packet: &Packet<'_>, is_over: bool) -> Option<Vec<u8>> {
    let segment = packet.payload;
    let header = usize::from(segment.get(12)? >> 4) * 4;
    let data = segment.len().checked_sub(header.max(tcp::HEADER))?;
    let behind = TcpSeqNumber(be32(segment, 4)? as i32) + data + 1; // SYN or FIN counts as one
    let seen = TcpSeqNumber(be32(segment, 8)? as i32);
    let repr = TcpRepr {
        src_port: be16(segment, 2)?,
        dst_port: be16(segment, 0)?,
        control: if is_over { TcpControl::None } else { TcpControl::Rst },
        seq_number: if is_over { seen } else { TcpSeqNumber(0) },
        ack_number: Some(behind),
        window_len: 0,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    let mut answer = vec![0; repr.buffer_len()];
    let (from, to) = (packet.destination.into(), packet.source.into());
    let mut out = TcpPacket::new_unchecked(&mut answer);
    repr.emit(&mut out, &from, &to, &ChecksumCapabilities::default());
    Some(answer)
}

#[cfg(test)]
mod tests;
