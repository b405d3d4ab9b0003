//! Faults beyond the first sample, each for a requirement that no other fault breaks. They change frames
//! on their way to the device and from it; what needs more sits where the device does it.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use super::answers::back;
use super::faults::{Fault, Faults};
use super::packet::{self, IP};
use crate::proto::{be16, be32, ipv4_at};

const BROADCAST: [u8; 6] = [0xff; 6];
const OWN_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
const OWN: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 2);
const HOST: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 1);

/// What becomes of a frame from the line.
#[derive(Debug, PartialEq, Eq)]
pub enum Fate {
    /// The device takes it, as it is now.
    Taken,
    /// The device does not.
    Dropped,
    /// The device sends this, and does not take the frame.
    Answered(Vec<u8>),
    /// The device dies of it.
    Death,
}

/// The state of these faults.
#[derive(Debug)]
pub struct OwnFaults {
    faults: Faults,
    /// A redirect has been believed.
    is_redirected: bool,
    /// Who sent the last packet from the host.
    last_sender: Option<[u8; 6]>,
    /// The highest sequence number of TCP data that was sent, by ports.
    sent_up_to: HashMap<[u8; 4], u32>,
}

impl OwnFaults {
    /// These faults, as far as `faults` has them.
    pub fn new(faults: Faults) -> Self {
        OwnFaults { faults, is_redirected: false, last_sender: None, sent_up_to: HashMap::new() }
    }

    fn has(&self, fault: Fault) -> bool {
        self.faults.has(fault)
    }

    /// A frame from the line.
    pub fn received(&mut self, frame: &mut Vec<u8>) -> Fate {
        if self.has(Fault::UndersizedKills) && frame.len() < 14 {
            return Fate::Death;
        }
        if self.has(Fault::ShortDropped) && frame.len() < 46 {
            return Fate::Dropped;
        }
        if self.has(Fault::TagStripped) && be16(frame, 12) == Some(0x8100) && frame.len() > 18 {
            frame.drain(12..16);
        }
        match be16(frame, 12) {
            Some(0x0806) if frame.len() >= 14 + 28 => self.received_arp(frame),
            Some(0x0800) if frame.len() >= IP + 20 => self.received_ip(frame),
            _ => Fate::Taken,
        }
    }

    fn received_arp(&self, frame: &mut [u8]) -> Fate {
        if self.has(Fault::PaddedArpIgnored) && frame.len() > 14 + 28 {
            return Fate::Dropped;
        }
        if self.has(Fault::ProbeIgnored) && frame[28..32] == [0; 4] {
            return Fate::Dropped;
        }
        if self.has(Fault::ArpMirrored) && frame[14..20] != [0, 1, 8, 0, 6, 4] {
            return mirrored_arp(frame);
        }
        if self.has(Fault::ArpUnverified) {
            frame[14..20].copy_from_slice(&[0, 1, 8, 0, 6, 4]);
        }
        if self.has(Fault::ArpAnyOpcode) && !matches!(be16(frame, 20), Some(1 | 2)) {
            frame[20..22].copy_from_slice(&[0, 1]);
        }
        Fate::Taken
    }

    fn received_ip(&mut self, frame: &mut [u8]) -> Fate {
        if self.has(Fault::IpMirrored) && has_bad_lengths(frame) {
            return mirrored_echo(frame);
        }
        self.mend_header(frame);
        let options = header_of(frame).get(20..).unwrap_or_default().to_vec();
        if self.has(Fault::BadOptionKills) && is_malformed(&options) {
            return Fate::Death;
        }
        if self.has(Fault::OptionsDropped) && !options.is_empty() {
            return Fate::Dropped;
        }
        if self.has(Fault::SourceRouteFollowed) && options.first() == Some(&131) {
            let mut onward = frame.to_vec();
            onward[..12].rotate_left(6);
            onward[IP + 8] -= 1;
            packet::mend_ip(&mut onward);
            return Fate::Answered(onward);
        }
        if self.has(Fault::TtlCounted) && frame[IP + 8] <= 1 {
            return Fate::Dropped;
        }
        if self.has(Fault::DfDropped) && frame[IP + 6] & 0x40 != 0 {
            return Fate::Dropped;
        }
        self.readdress(frame);
        match frame[IP + 9] {
            1 => self.received_icmp(frame),
            17 => self.received_udp(frame),
            _ => Fate::Taken,
        }
    }

    /// Makes good what a device that does not look takes for good.
    fn mend_header(&self, frame: &mut [u8]) {
        let first = frame[IP];
        if self.has(Fault::VersionIgnored) && first >> 4 != 4 {
            frame[IP] = 0x40 | first & 15;
            packet::mend_ip(frame);
        }
        if self.has(Fault::HeaderLengthIgnored) && first & 15 != 5 {
            frame[IP] = 0x45;
            packet::mend_ip(frame);
        }
        let real = (frame.len() - IP) as u16;
        if self.has(Fault::LengthFromFrame) && be16(frame, IP + 2) != Some(real) {
            frame[IP + 2..IP + 4].copy_from_slice(&real.to_be_bytes());
            packet::mend(frame);
        }
    }

    /// Takes packets that are not for this device, or cannot come from where they say.
    fn readdress(&mut self, frame: &mut [u8]) {
        let (Some(source), Some(target)) = (ipv4_at(frame, IP + 12), ipv4_at(frame, IP + 16))
        else {
            return;
        };
        let is_near = |ip: Ipv4Addr| ip.octets()[..3] == OWN.octets()[..3];
        let is_group = |ip: Ipv4Addr| ip.is_multicast() || ip.octets()[3] == 255;
        let other = is_near(target) && target != OWN && !is_group(target);
        if self.has(Fault::AnyDestination) && other
            || self.has(Fault::LoopbackDestination) && target.is_loopback()
        {
            put_address(frame, IP + 16, OWN);
        }
        if self.has(Fault::GroupSource) && is_group(source)
            || self.has(Fault::ZeroSource) && source.is_unspecified()
        {
            put_address(frame, IP + 12, HOST);
        }
        if self.has(Fault::BroadcastTaken) && frame[..6] == BROADCAST && target == OWN {
            frame[..6].copy_from_slice(&OWN_MAC);
        }
        if source == HOST {
            self.last_sender = frame[6..12].try_into().ok();
        }
    }

    fn received_icmp(&mut self, frame: &mut [u8]) -> Fate {
        let Some(parts) = packet::parts(frame) else { return Fate::Taken };
        if self.has(Fault::ShortIcmpKills) && parts.end - parts.transport < 8 {
            return Fate::Death;
        }
        let Some(kind) = frame.get(parts.transport).copied() else { return Fate::Taken };
        self.is_redirected |= self.has(Fault::RedirectBelieved) && kind == 5;
        if self.has(Fault::MaskAnswered) && kind == 17 {
            let mut reply = frame[parts.transport..parts.end].to_vec();
            reply[0] = 18;
            return Fate::Answered(back(frame, 1, &reply));
        }
        if self.has(Fault::AnyTypeAnswered) && kind != 8 {
            frame[parts.transport] = 8;
            packet::mend_transport(frame);
        }
        Fate::Taken
    }

    fn received_udp(&self, frame: &mut [u8]) -> Fate {
        let target = ipv4_at(frame, IP + 16);
        let is_group = frame[0] & 1 != 0 || target.is_some_and(|ip| ip.octets()[3] == 255);
        if self.has(Fault::ErrorsForGroups) && is_group {
            frame[..6].copy_from_slice(&OWN_MAC);
            put_address(frame, IP + 16, OWN);
            packet::mend_transport(frame);
        }
        if self.has(Fault::ErrorsForFragments)
            && be16(frame, IP + 6).is_some_and(|f| f & 0x1fff != 0)
        {
            frame[IP + 6..IP + 8].fill(0);
            packet::mend(frame);
        }
        Fate::Taken
    }

    /// A frame to the line.
    pub fn sent(&mut self, frame: &mut [u8]) {
        let Some(parts) = packet::parts(frame) else { return };
        if self.faults == Faults::none() || parts.end - parts.transport < 8 {
            return;
        }
        if let (true, Some(sender)) = (self.has(Fault::AnswersSender), self.last_sender)
            && parts.destination == HOST
        {
            frame[..6].copy_from_slice(&sender);
        }
        if self.is_redirected && parts.destination.octets()[..3] != OWN.octets()[..3] {
            frame[..6].copy_from_slice(&[2, 0, 0, 0, 1, 66]);
        }
        if self.has(Fault::ForeignSource) && parts.protocol == 1 {
            frame[11] = 0x55;
        }
        if self.has(Fault::ByteChanged) && parts.protocol == 1 && parts.end > parts.transport + 8 {
            for byte in &mut frame[parts.transport + 8..parts.end] {
                *byte = if *byte == 0x7e { 0x7d } else { *byte };
            }
            packet::mend_transport(frame);
        }
        if self.has(Fault::ResendChanged) && parts.protocol == 6 {
            self.change_resent(&mut frame[parts.transport..parts.end]);
            packet::mend_transport(frame);
        }
        if self.has(Fault::LowTtl) {
            frame[IP + 8] = 16;
        }
        if self.has(Fault::ConstantId) && !parts.more && parts.offset == 0 {
            frame[IP + 4..IP + 6].copy_from_slice(&[0, 7]);
        }
        if self.has(Fault::TosLost) {
            frame[IP + 1] = 0;
        }
        let is_one_in_eight = parts.protocol == 1 && frame[parts.transport + 7] & 7 == 0;
        if self.has(Fault::RepliesElsewhere) && is_one_in_eight {
            frame[IP + 16..IP + 20].copy_from_slice(&[10, 0, 0, 9]);
        }
        if self.has(Fault::RepliesToAll) && is_one_in_eight {
            frame[..6].copy_from_slice(&BROADCAST);
        }
        if self.has(Fault::FragmentOffsetWrong) && parts.offset > 0 {
            frame[IP + 7] = frame[IP + 7].wrapping_sub(1);
        }
        if self.has(Fault::LengthBeyondFrame) && frame.len() > 1000 {
            frame[IP + 2] += 1;
        }
        packet::mend_ip(frame);
        if self.has(Fault::LargeSumWrong) && frame.len() > 1000 && parts.protocol == 1 {
            frame[parts.transport + 2] ^= 1;
        }
        if self.has(Fault::LargeChecksumWrong) && frame.len() > 1000 {
            frame[IP + 10] ^= 1;
        }
    }
}

impl OwnFaults {
    /// Changes the first byte of data in a segment that was sent before.
    fn change_resent(&mut self, segment: &mut [u8]) {
        let header = segment.get(12).map_or(usize::MAX, |byte| usize::from(byte >> 4) * 4);
        let (Some(&ports), Some(seq)) = (segment.first_chunk(), be32(segment, 4)) else { return };
        let Some(data) = segment.get_mut(header..).filter(|data| !data.is_empty()) else { return };
        let end = seq.wrapping_add(data.len() as u32);
        if self.sent_up_to.len() > 1000 {
            self.sent_up_to.clear();
        }
        let known = self.sent_up_to.entry(ports).or_insert(seq);
        match (end.wrapping_sub(*known) as i32) > 0 {
            true => *known = end,
            false => data[0] ^= 1,
        }
    }
}

/// A question that is made its own answer, as it stands.
fn mirrored_arp(frame: &[u8]) -> Fate {
    let mut answer = frame.to_vec();
    answer[20..22].copy_from_slice(&[0, 2]);
    answer.copy_within(6..12, 0);
    answer[6..12].copy_from_slice(&OWN_MAC);
    answer.copy_within(22..32, 32);
    answer[22..28].copy_from_slice(&OWN_MAC);
    answer[28..32].copy_from_slice(&OWN.octets());
    Fate::Answered(answer)
}

fn has_bad_lengths(frame: &[u8]) -> bool {
    let header = usize::from(frame[IP] & 15) * 4;
    let total = be16(frame, IP + 2).map_or(0, usize::from);
    header < 20 || total < header + 8 || IP + total > frame.len()
}

/// An echo request that is made its own reply, as it stands.
fn mirrored_echo(frame: &[u8]) -> Fate {
    const ICMP: usize = IP + 20;
    if frame[IP + 9] != 1 || frame.get(ICMP) != Some(&8) {
        return Fate::Dropped;
    }
    let mut answer = frame.to_vec();
    answer.copy_within(6..12, 0);
    answer[6..12].copy_from_slice(&OWN_MAC);
    answer[IP + 12..IP + 20].rotate_left(4);
    answer[ICMP] = 0;
    Fate::Answered(answer)
}

fn header_of(frame: &[u8]) -> &[u8] {
    let length = usize::from(frame[IP] & 15) * 4;
    frame.get(IP..IP + length).unwrap_or_default()
}

fn put_address(frame: &mut [u8], at: usize, ip: Ipv4Addr) {
    frame[at..at + 4].copy_from_slice(&ip.octets());
    packet::mend_ip(frame);
}

/// Whether a list of options has a length that cannot be.
fn is_malformed(mut options: &[u8]) -> bool {
    while let Some(kind) = options.first() {
        let length = match kind {
            0 => return false,
            1 => 1,
            _ => options.get(1).copied().map_or(0, usize::from),
        };
        if length == 0 || length > options.len() {
            return true;
        }
        options = &options[length..];
    }
    false
}
