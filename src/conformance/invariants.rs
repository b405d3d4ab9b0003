//! What holds for every frame that the device sends in a whole run, whichever test it is for.
//!
//! Some faults show nowhere else: a wrong checksum on large frames only, a reply that comes twice, a
//! retransmission with other bytes.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::Ipv4Addr;

use super::model::{About, Owner, Severity, Tier};
use super::seen::Seen;
use super::trial::{is_reaction, said};
use crate::checksum;
use crate::clock::Timestamp;
use crate::probe::Identity;
use crate::proto::{MacAddr, arp, be16, icmp, ipv4_at, mac_at};
use crate::record::FramingError;
use bytes::Bytes;

const IGMP: u8 = 2;
/// The least TTL of a packet that is meant to get anywhere.
const LEAST_TTL: u8 = 32;
/// Echo requests and TCP bytes that are remembered.
const MEMORY: usize = 100_000;

/// A stretch of a TCP stream from the device.
#[derive(Debug)]
struct Stretch {
    /// Our address and port, and the device's port.
    flow: (Ipv4Addr, u16, u16),
    seq: u32,
    bytes: Bytes,
}

impl Stretch {
    /// The sequence number of the first byte that is another in `data`, which begins at `seq`.
    fn difference(&self, seq: u32, data: &[u8]) -> Option<u32> {
        let ahead = seq.wrapping_sub(self.seq).cast_signed();
        let skipped = ahead.unsigned_abs() as usize;
        let (own, other) = if ahead < 0 { (0, skipped) } else { (skipped, 0) };
        let (own, other_data) = (self.bytes.get(own..)?, data.get(other..)?);
        let at = own.iter().zip(other_data).position(|(a, b)| a != b)?;
        Some(seq.wrapping_add((other + at) as u32))
    }
}

/// One invariant: a test that runs itself.
const fn rule(
    id: &'static str,
    name: &'static str,
    severity: Severity,
    reference: &'static str,
    requirement: &'static str,
) -> About {
    let (tier, owner) = (Tier::Smoke, Owner::Stack);
    About { id, name, severity, tier, owner, reference, requirement }
}

/// The same about what is the driver's.
const fn of_driver(rule: About) -> About {
    About { owner: Owner::Driver, ..rule }
}

/// Every invariant.
#[rustfmt::skip]
pub static RULES: [About; 10] = [
    of_driver(rule("INV-01", "invariant.frame-length", Severity::Must, "docs/line.md#framing",
        "The stream holds only whole frames, from an Ethernet header to the limit in length.")),
    of_driver(rule("INV-02", "invariant.source-mac", Severity::Must, "IEEE 802.3; docs/line.md#addresses",
        "Every frame carries the device's own source address.")),
    rule("INV-03", "invariant.ip-checksum", Severity::Must, "RFC 791 §3.1",
        "Every IPv4 header has the right checksum."),
    rule("INV-04", "invariant.transport-checksum", Severity::Must,
        "RFC 792; RFC 768; RFC 9293 §3.1",
        "Every ICMP, UDP and TCP checksum is right."),
    rule("INV-05", "invariant.ip-length", Severity::Must, "RFC 791 §3.1; RFC 894",
        "Every IPv4 header makes sense, and its packet ends within the frame."),
    rule("INV-06", "invariant.ttl", Severity::Should, "RFC 1122 §3.2.1.7",
        "Every packet for one host or all can travel: its time to live is 32 or more."),
    rule("INV-07", "invariant.single-reply", Severity::Must, "RFC 1122 §3.2.2.6",
        "No echo request is answered more often than it was sent."),
    rule("INV-08", "invariant.stable-data", Severity::Must, "RFC 9293 §3.8",
        "What TCP sends again is what it sent before."),
    rule("INV-09", "invariant.known-destination", Severity::Must, "RFC 1122 §3.2.1.3",
        "No packet goes to an address that nobody on the line has used."),
    rule("INV-10", "invariant.quiet-broadcast", Severity::Must, "RFC 1122 §3.3.6",
        "Nothing goes to all stations but what has to: ARP requests, DHCP, what groups are for."),
];

/// What was found of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What was seen.
    pub actual: String,
    /// The first frame that shows it, if one does.
    pub frame: Option<(Timestamp, Bytes)>,
    /// The test that ran.
    pub during: String,
    /// How often.
    pub count: u64,
}

/// Checks every frame.
#[derive(Debug)]
pub struct Invariants {
    /// The addresses of both ends.
    pub identity: Identity,
    max_frame: usize,
    used: HashSet<Ipv4Addr>,
    /// Those under which we have spoken from a group's address, to see what comes of it.
    claimed: HashSet<Ipv4Addr>,
    /// Echo requests that were sent, and replies that came.
    echoes: HashMap<[u8; 4], (u32, u32)>,
    /// What came of TCP streams last, the oldest first, and how many bytes that is.
    data: VecDeque<Stretch>,
    remembered: usize,
    violations: [Option<Violation>; 10],
    /// Frames that were checked.
    pub checked: u64,
    /// The connection is new: nothing has come over it yet.
    pub is_fresh: bool,
    /// How often the device has announced its address.
    pub announcements: u64,
    /// How often it had when it was first there.
    pub announcements_at_boot: u64,
    /// It announces its address without having been away.
    pub announces_at_times: bool,
    /// How often the device has asked for the host's Ethernet address.
    pub asked_for_host: u64,
    /// The test that runs.
    pub during: String,
}

impl Invariants {
    /// Nothing seen yet.
    pub fn new(identity: Identity, max_frame: usize) -> Self {
        Invariants {
            identity,
            max_frame,
            used: HashSet::from([identity.host_ip]),
            claimed: HashSet::new(),
            echoes: HashMap::new(),
            data: VecDeque::new(),
            remembered: 0,
            violations: Default::default(),
            checked: 0,
            is_fresh: true,
            announcements: 0,
            announcements_at_boot: 0,
            announces_at_times: false,
            asked_for_host: 0,
            during: String::new(),
        }
    }

    /// What was found, rule by rule.
    pub fn violations(&self) -> impl Iterator<Item = (&'static About, Option<&Violation>)> {
        RULES.iter().zip(self.violations.iter().map(Option::as_ref))
    }

    /// Forgets what was found; what is known of the line stays.
    pub fn forgive(&mut self) {
        self.violations = Default::default();
        self.checked = 0;
        self.announcements_at_boot = self.announcements;
    }

    fn violated(&mut self, rule: usize, seen: Option<&Seen>, actual: impl FnOnce() -> String) {
        match &mut self.violations[rule - 1] {
            Some(violation) => violation.count += 1,
            none => {
                *none = Some(Violation {
                    actual: actual(),
                    frame: seen.map(|seen| (seen.time, seen.bytes.clone())),
                    during: self.during.clone(),
                    count: 1,
                });
            }
        }
    }

    /// A frame is being sent: whom the device may answer.
    pub fn sent(&mut self, frame: &[u8]) {
        let source = match be16(frame, 12) {
            Some(0x0806) => ipv4_at(frame, 28),
            Some(0x0800) => ipv4_at(frame, 26),
            _ => None,
        };
        self.used.extend(source);
        let is_group_mac = be16(frame, 12) == Some(0x0806)
            && mac_at(frame, 22).map(MacAddr::from).is_some_and(|mac| mac.is_multicast());
        let is_group = |ip: &Ipv4Addr| is_group_mac || ip.is_multicast() || is_to_all(*ip);
        self.claimed.extend(source.filter(is_group));
        let seen = Seen { time: Timestamp::default(), bytes: Bytes::copy_from_slice(frame) };
        if let Some(echo) = seen.icmp().filter(|icmp| icmp.kind == icmp::ECHO_REQUEST) {
            if self.echoes.len() > MEMORY {
                self.echoes.clear();
            }
            self.echoes.entry(echo.rest).or_default().0 += 1;
        }
    }

    /// Something came that is no frame.
    pub fn framing_error(&mut self, error: &FramingError) {
        // Who connects while the device sends gets the end of a frame; that is not its fault.
        if error.is_new() && !std::mem::replace(&mut self.is_fresh, false) {
            self.violated(1, None, || error.describe(None).to_string());
        }
    }

    /// A frame has come.
    pub fn received(&mut self, seen: &Seen) {
        self.checked += 1;
        self.is_fresh = false;
        let (length, max) = (seen.bytes.len(), self.max_frame);
        if !(14..=max).contains(&length) {
            self.violated(1, Some(seen), || format!("a frame of {length} bytes"));
        }
        if seen.source() != Some(self.identity.device_mac) {
            let source = seen.source().map_or("none".to_owned(), |mac| mac.to_string());
            self.violated(2, Some(seen), || format!("a frame from {source}: {}", said(seen)));
        }
        if seen.kind() == Some(0x0800) {
            self.received_ip(seen);
        }
        if let Some(message) = seen.arp() {
            let asks = message.op == arp::REQUEST && message.tpa == self.identity.host_ip;
            self.announcements += u64::from(message.spa == message.tpa);
            self.asked_for_host += u64::from(asks);
        }
        self.check_broadcast(seen);
    }

    fn received_ip(&mut self, seen: &Seen) {
        let Some(ip) = seen.ip() else {
            self.violated(5, Some(seen), || said(seen));
            return;
        };
        if checksum::internet(ip.header) != 0 {
            self.violated(3, Some(seen), || said(seen));
        }
        if seen.transport_checksum() == Some(false) {
            self.violated(4, Some(seen), || said(seen));
        }
        let is_group = ip.destination.is_multicast() || ip.destination.is_broadcast();
        // Packets for groups travel no further than they are meant to (RFC 1112 section 6.1).
        if ip.ttl < LEAST_TTL && !ip.destination.is_multicast() && ip.protocol != IGMP {
            self.violated(6, Some(seen), || format!("TTL {}: {}", ip.ttl, said(seen)));
        }
        let is_ours = is_group || self.used.contains(&ip.destination) || is_to_all(ip.destination);
        // What it wants of the world by itself, it sends to its gateway.
        let is_errand = matches!(ip.protocol, 6 | 17)
            && !is_reaction(seen)
            && seen.destination() == Some(self.identity.host_mac);
        if !is_ours && !is_errand {
            self.violated(9, Some(seen), || {
                format!("nobody is {}: {}", ip.destination, said(seen))
            });
        }
        self.check_reply(seen);
        self.check_data(seen);
    }

    fn check_reply(&mut self, seen: &Seen) {
        let Some(reply) = seen.icmp().filter(|icmp| icmp.kind == icmp::ECHO_REPLY) else { return };
        let Some((sent, came)) = self.echoes.get_mut(&reply.rest) else { return };
        *came += 1;
        if *came > *sent {
            let (sent, came) = (*sent, *came);
            self.violated(7, Some(seen), || {
                format!("reply number {came} to a request sent {sent} time(s): {}", said(seen))
            });
        }
    }

    fn check_data(&mut self, seen: &Seen) {
        let (Some(ip), Some(tcp)) = (seen.ip(), seen.tcp()) else { return };
        const SYN: u8 = 2;
        let flow = (ip.destination, tcp.destination, tcp.source);
        if tcp.flags & SYN != 0 {
            self.data.retain(|old| old.flow != flow);
            self.remembered = self.data.iter().map(|old| old.bytes.len()).sum();
            return;
        }
        if tcp.data.is_empty() {
            return;
        }
        let before = self.data.iter().filter(|old| old.flow == flow);
        let changed = before.filter_map(|old| old.difference(tcp.seq, tcp.data)).next();
        self.remembered += tcp.data.len();
        self.data.push_back(Stretch { flow, seq: tcp.seq, bytes: seen.bytes.slice_ref(tcp.data) });
        while self.remembered > MEMORY
            && let Some(oldest) = self.data.pop_front()
        {
            self.remembered -= oldest.bytes.len();
        }
        if let Some(seq) = changed {
            self.violated(8, Some(seen), || format!("another byte at {seq}: {}", said(seen)));
        }
    }

    fn check_broadcast(&mut self, seen: &Seen) {
        if !seen.destination().is_some_and(|mac| mac.is_multicast()) {
            return;
        }
        let to = seen.arp().map(|arp| arp.tpa).or(seen.ip().map(|ip| ip.destination));
        if to.is_some_and(|to| self.claimed.contains(&to)) {
            return; // whether it should believe that is asked by tests (ARP-15, IP4-14)
        }
        let is_explained = match (seen.arp(), seen.ip()) {
            (Some(_), _) => true, // whether replies may is asked by tests (ARP-01, ARP-15)
            // TCP and ICMP are for one; UDP and the rest may be for all.
            (None, Some(ip)) => !matches!(ip.protocol, 1 | 6),
            (None, None) => seen.kind() != Some(0x0800),
        };
        if !is_explained {
            self.violated(10, Some(seen), || said(seen));
        }
    }
}

/// Whether an address is that of everybody: on this network, of 256 addresses, or at all.
fn is_to_all(ip: Ipv4Addr) -> bool {
    ip.octets()[3] == 255
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::craft::layers::{Checksum, Ethernet, Icmp, Ipv4};

    const ID: Identity = Identity {
        host_ip: Ipv4Addr::new(192, 168, 100, 1),
        host_mac: MacAddr(2, 0, 0, 0, 0, 1),
        device_ip: Ipv4Addr::new(192, 168, 100, 2),
        device_mac: MacAddr(2, 0, 0, 0, 0, 2),
    };

    fn reply(change: impl FnOnce(&mut Ethernet, &mut Ipv4, &mut Icmp)) -> Seen {
        let mut eth = Ethernet { destination: ID.host_mac, source: ID.device_mac, kind: 0x0800 };
        let mut ip = Ipv4::new(ID.device_ip, ID.host_ip, 1);
        let checksum = Checksum::Right;
        let mut icmp = Icmp { kind: 0, code: 0, checksum, rest: [0, 1, 0, 1], data: vec![7; 20] };
        change(&mut eth, &mut ip, &mut icmp);
        let bytes = eth.frame(&ip.packet(&icmp.message())).into();
        Seen { time: Timestamp(1), bytes }
    }

    fn segment(seq: u32, data: &[u8]) -> Seen {
        let mut tcp = vec![0, 80, 0x9c, 0x40];
        tcp.extend(seq.to_be_bytes());
        tcp.extend([0, 0, 0, 0, 0x50, 0x10, 0x10, 0, 0, 0, 0, 0]);
        tcp.extend_from_slice(data);
        let sum = checksum::Sum::pseudo(ID.device_ip, ID.host_ip, 6, tcp.len()).plus(&tcp).finish();
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
        let eth = Ethernet { destination: ID.host_mac, source: ID.device_mac, kind: 0x0800 };
        let bytes = eth.frame(&Ipv4::new(ID.device_ip, ID.host_ip, 6).packet(&tcp)).into();
        Seen { time: Timestamp(1), bytes }
    }

    fn broken(frames: &[Seen]) -> Vec<&'static str> {
        let mut invariants = Invariants::new(ID, 1514);
        let request = reply(|eth, ip, icmp| {
            std::mem::swap(&mut eth.destination, &mut eth.source);
            std::mem::swap(&mut ip.source, &mut ip.destination);
            icmp.kind = 8;
        });
        invariants.sent(&request.bytes);
        frames.iter().for_each(|frame| invariants.received(frame));
        let found = invariants.violations().filter(|(_, violation)| violation.is_some());
        found.map(|(rule, _)| rule.id).collect()
    }

    #[test]
    fn a_good_reply_breaks_nothing() {
        assert_eq!(broken(&[reply(|_, _, _| {})]), Vec::<&str>::new());
    }

    #[test]
    fn each_rule_is_broken_by_its_own_fault() {
        let long = reply(|_, _, icmp| icmp.data = vec![1; 1473]);
        assert_eq!(broken(&[long]), ["INV-01"]);
        assert_eq!(
            broken(&[reply(|eth, _, _| eth.source = MacAddr(2, 0, 0, 0, 0, 9))]),
            ["INV-02"]
        );
        assert_eq!(broken(&[reply(|_, ip, _| ip.checksum = Checksum::Wrong)]), ["INV-03"]);
        assert_eq!(broken(&[reply(|_, _, icmp| icmp.checksum = Checksum::Wrong)]), ["INV-04"]);
        assert_eq!(broken(&[reply(|_, ip, _| ip.total_length = Some(900))]), ["INV-05"]);
        assert_eq!(broken(&[reply(|_, ip, _| ip.ttl = 31)]), ["INV-06"]);
        assert_eq!(broken(&[reply(|_, _, _| {}), reply(|_, _, _| {})]), ["INV-07"]);
        assert_eq!(broken(&[segment(9, b"abc"), segment(10, b"xc")]), ["INV-08"]);
        assert_eq!(broken(&[segment(9, b"abc"), segment(10, b"bcd")]), Vec::<&str>::new());
        let elsewhere = reply(|_, ip, _| ip.destination = Ipv4Addr::new(10, 0, 0, 9));
        assert_eq!(broken(&[elsewhere]), ["INV-09"]);
        let to_all = reply(|eth, _, _| eth.destination = MacAddr::broadcast());
        assert_eq!(broken(&[to_all]), ["INV-10"]);
    }
}
