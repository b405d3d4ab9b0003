//! Puts IPv4 fragments together, in front of the stack.
//!
//! smoltcp does that too, but rounds no length, never says that it has given a datagram up, lets eight
//! incomplete ones keep every other out, and completes what overlaps. Here (RFC 791 section 3.2, RFC
//! 1122 section 3.3.2) a datagram is known by its addresses, protocol and identification; it is given up
//! 60 s after its first part, with Time Exceeded if its beginning has come; where there is no room for
//! another, the oldest makes way; one whose parts overlap is dropped, as RFC 5722 has it for IPv6.
//!
//! Faults of reassembly sit here as well.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::time::Duration;

use super::answers::TTL;
use super::faults::{Fault, Faults};
use crate::checksum;
use crate::clock::Timestamp;
use crate::craft::layers::{Checksum, Icmp, Ipv4};
use crate::proto::{be16, ipv4_at};

/// How long the parts of a datagram are kept.
const PATIENCE: Duration = Duration::from_secs(60);
/// Incomplete datagrams at once.
const ROOM: usize = 8;
/// The largest datagram, with its header.
const LARGEST: usize = 65_535;
/// Time Exceeded, and its code for fragments.
const TIME_EXCEEDED: (u8, u8) = (11, 1);

/// What tells datagrams apart: source, destination, protocol, identification.
type Key = (Ipv4Addr, Ipv4Addr, u8, u16);

/// What becomes of a packet.
#[derive(Debug, PartialEq, Eq)]
pub enum Joined {
    /// A whole packet, so many times.
    Whole(Vec<u8>, usize),
    /// It is kept, or dropped.
    Nothing,
    /// The device dies of it.
    Death,
}

/// A fragment whose header makes sense.
struct Fragment<'a> {
    key: Key,
    header: &'a [u8],
    offset: usize,
    is_last: bool,
    payload: &'a [u8],
}

/// A datagram of which something is missing.
#[derive(Debug)]
struct Incomplete {
    key: Key,
    since: Timestamp,
    /// The header of its first fragment.
    header: Option<Vec<u8>>,
    parts: BTreeMap<usize, Vec<u8>>,
    /// Its length without a header, once the last fragment has come.
    total: Option<usize>,
    /// Bytes that came, repeated ones too.
    bytes: usize,
}

/// Every datagram of which something is missing, the oldest first.
#[derive(Debug)]
pub struct Reassembly {
    faults: Faults,
    incomplete: VecDeque<Incomplete>,
}

impl Fragment<'_> {
    /// The fragment in a packet; `None` when it is a whole packet.
    fn of(packet: &[u8]) -> Option<Fragment<'_>> {
        let flags = be16(packet, 6)?;
        let (offset, more) = (usize::from(flags & 0x1fff) * 8, flags & 0x2000 != 0);
        if offset == 0 && !more {
            return None;
        }
        let length = usize::from(packet.first()? & 15) * 4;
        Some(Fragment {
            key: (ipv4_at(packet, 12)?, ipv4_at(packet, 16)?, *packet.get(9)?, be16(packet, 4)?),
            header: packet.get(..length).unwrap_or_default(),
            offset,
            is_last: !more,
            payload: packet.get(length..usize::from(be16(packet, 2)?)).unwrap_or_default(),
        })
    }

    fn end(&self) -> usize {
        self.offset + self.payload.len()
    }

    /// Whether its header is right, and its bytes fit into a datagram.
    fn is_sound(&self) -> bool {
        let header = self.header;
        header.len() >= 20
            && header.first().is_some_and(|first| first >> 4 == 4)
            && checksum::internet(header) == 0
            && !self.payload.is_empty()
            && self.end() + header.len() <= LARGEST
    }
}

impl Incomplete {
    fn new(now: Timestamp, key: Key) -> Self {
        let (header, parts) = (None, BTreeMap::new());
        Incomplete { key, since: now, header, parts, total: None, bytes: 0 }
    }

    /// Whether some bytes of a fragment are there already; one that is there as it is does not count.
    fn overlaps(&self, fragment: &Fragment<'_>) -> bool {
        let (start, end) = (fragment.offset, fragment.end());
        self.parts.range(..end).any(|(at, part)| at + part.len() > start) && !self.has(fragment)
    }

    fn has(&self, fragment: &Fragment<'_>) -> bool {
        self.parts.get(&fragment.offset).is_some_and(|part| part == fragment.payload)
    }

    /// Whether the end that a fragment is, or lies beyond, is another than the one known.
    fn contradicts(&self, fragment: &Fragment<'_>) -> bool {
        let (end, known) = (fragment.end(), self.total);
        let reach = self.parts.last_key_value().map_or(0, |(at, part)| at + part.len());
        match fragment.is_last {
            true => known.is_some_and(|total| total != end) || reach > end,
            false => known.is_some_and(|total| end > total),
        }
    }

    fn add(&mut self, fragment: &Fragment<'_>) {
        self.bytes += fragment.payload.len();
        self.parts.insert(fragment.offset, fragment.payload.to_vec());
        if fragment.offset == 0 {
            self.header = Some(fragment.header.to_vec());
        }
        if fragment.is_last {
            self.total = Some(fragment.end());
        }
    }

    /// The whole packet, once nothing is missing.
    fn whole(&self) -> Option<Vec<u8>> {
        let (header, total) = (self.header.as_ref()?, self.total?);
        let held: usize = self.parts.values().map(Vec::len).sum();
        if held != total {
            return None;
        }
        let mut packet = header.clone();
        packet.extend(self.parts.values().flatten());
        let length = u16::try_from(packet.len()).ok()?;
        packet[2..4].copy_from_slice(&length.to_be_bytes());
        packet[6..8].fill(0);
        packet[10..12].fill(0);
        let sum = checksum::internet(&packet[..header.len()]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        Some(packet)
    }

    /// What its sender is told when it is given up, if its beginning has come.
    fn given_up(&self) -> Option<Vec<u8>> {
        let (source, destination, ..) = self.key;
        let header = self.header.as_ref()?;
        let first = self.parts.get(&0)?;
        let (kind, code) = TIME_EXCEEDED;
        let data = [header, first.get(..8).unwrap_or(first)].concat();
        let icmp = Icmp { kind, code, checksum: Checksum::Right, rest: [0; 4], data };
        let ip = Ipv4 { ttl: TTL, ..Ipv4::new(destination, source, 1) };
        Some(ip.packet(&icmp.message()))
    }
}

impl Reassembly {
    /// Nothing is incomplete yet.
    pub fn new(faults: Faults) -> Self {
        Reassembly { faults, incomplete: VecDeque::new() }
    }

    /// A packet for the stack has come.
    pub fn take(&mut self, now: Timestamp, packet: Vec<u8>) -> Joined {
        let Some(mut fragment) = Fragment::of(&packet) else { return Joined::Whole(packet, 1) };
        let dies = self.faults.has(Fault::OffsetOverflowKills) && fragment.end() > LARGEST
            || self.faults.has(Fault::EmptyFragmentKills) && fragment.payload.is_empty();
        if dies {
            return Joined::Death;
        }
        let mut rounded = fragment.payload.to_vec();
        if !fragment.is_last && !rounded.len().is_multiple_of(8) {
            if !self.faults.has(Fault::FragmentRounded) {
                return Joined::Nothing;
            }
            rounded.resize(rounded.len().next_multiple_of(8), 0);
            fragment.payload = &rounded;
        }
        if self.faults.has(Fault::NoReassembly) || !fragment.is_sound() {
            return Joined::Nothing;
        }
        self.add(now, &fragment)
    }

    fn add(&mut self, now: Timestamp, fragment: &Fragment<'_>) -> Joined {
        let known = self.incomplete.iter().position(|one| one.key == fragment.key);
        if self.faults.has(Fault::OneDatagramAtATime) && known.is_none() {
            self.incomplete.clear();
        }
        let Some(at) = known.or_else(|| self.make_room(now, fragment.key)) else {
            return Joined::Nothing;
        };
        let Some(one) = self.incomplete.get_mut(at) else { return Joined::Nothing };
        let overlaps = one.overlaps(fragment);
        if overlaps && self.faults.has(Fault::OverlapKills) {
            return Joined::Death;
        }
        if overlaps || one.contradicts(fragment) {
            self.incomplete.remove(at);
            return Joined::Nothing;
        }
        let is_late = one.parts.last_key_value().is_some_and(|(last, _)| *last > fragment.offset);
        if is_late && self.faults.has(Fault::FragmentsInOrder)
            || one.parts.len() >= 4 && self.faults.has(Fault::FourFragments)
            || one.has(fragment) && !self.faults.has(Fault::DuplicatesCount)
        {
            return Joined::Nothing;
        }
        one.add(fragment);
        let is_miscounted =
            self.faults.has(Fault::DuplicatesCount) && one.total.is_some_and(|n| n != one.bytes);
        let Some(whole) = one.whole().filter(|_| !is_miscounted) else { return Joined::Nothing };
        self.incomplete.remove(at);
        Joined::Whole(whole, if self.faults.has(Fault::ReassembledTwice) { 2 } else { 1 })
    }

    /// A place for another datagram; the oldest makes way.
    fn make_room(&mut self, now: Timestamp, key: Key) -> Option<usize> {
        if self.incomplete.len() >= ROOM {
            if self.faults.has(Fault::ReassemblyFills) {
                return None;
            }
            self.incomplete.pop_front();
        }
        self.incomplete.push_back(Incomplete::new(now, key));
        Some(self.incomplete.len() - 1)
    }

    /// What is to be sent for datagrams that are given up by `now`.
    pub fn expire(&mut self, now: Timestamp) -> Vec<Vec<u8>> {
        let mut told = Vec::new();
        while self.deadline().is_some_and(|due| due <= now) {
            told.extend(self.incomplete.pop_front().and_then(|one| one.given_up()));
        }
        told
    }

    /// When the next one is given up.
    pub fn deadline(&self) -> Option<Timestamp> {
        let oldest = self.incomplete.front().filter(|_| !self.faults.has(Fault::FragmentsKept));
        oldest.map(|one| one.since + PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOST: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 1);
    const OWN: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 2);

    fn part(id: u16, offset: u16, more: bool, payload: &[u8]) -> Vec<u8> {
        let ip = Ipv4 { id, offset: offset / 8, flags: more.into(), ..Ipv4::new(HOST, OWN, 1) };
        ip.packet(payload)
    }

    fn joined(parts: &[Vec<u8>]) -> Option<Vec<u8>> {
        let mut reassembly = Reassembly::new(Faults::none());
        let taken = parts.iter().map(|part| reassembly.take(Timestamp(0), part.clone()));
        let whole: Vec<_> = taken
            .filter_map(|joined| match joined {
                Joined::Whole(packet, 1) => Some(packet),
                _ => None,
            })
            .collect();
        assert!(whole.len() < 2);
        whole.first().map(|packet| packet[20..].to_vec())
    }

    #[test]
    fn parts_in_any_order_and_twice_make_a_packet() {
        let parts =
            [part(1, 0, true, &[1; 16]), part(1, 16, true, &[2; 8]), part(1, 24, false, &[3])];
        let whole = [vec![1; 16], vec![2; 8], vec![3]].concat();
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]] {
            assert_eq!(joined(&order.map(|n| parts[n].clone())), Some(whole.clone()), "{order:?}");
        }
        assert_eq!(joined(&[0, 0, 1, 1, 2].map(|n| parts[n].clone())), Some(whole));
        assert_eq!(joined(&parts[..2]), None);
    }

    #[test]
    fn what_overlaps_contradicts_or_has_odd_lengths_is_dropped() {
        let (first, last) = (part(1, 0, true, &[1; 16]), part(1, 16, false, &[2; 4]));
        for odd in [
            part(1, 8, true, &[9; 8]),
            part(1, 0, true, &[9; 8]),
            part(1, 24, true, &[9; 8]),
            part(1, 16, false, &[9; 8]),
        ] {
            assert_eq!(joined(&[last.clone(), odd.clone(), first.clone()]), None, "{odd:02x?}");
        }
        assert_eq!(joined(&[part(1, 0, true, &[1; 15]), last.clone()]), None);
        let mut other = last.clone();
        other[9] = 17;
        assert_eq!(joined(&[first.clone(), other]), None);
        assert_eq!(joined(&[first, part(2, 16, false, &[2; 4])]), None);
    }

    #[test]
    fn the_oldest_makes_way_and_the_rest_is_given_up_in_time() {
        let mut reassembly = Reassembly::new(Faults::none());
        for id in 0..20 {
            reassembly.take(Timestamp(0), part(id, 0, true, &[1; 16]));
        }
        reassembly.take(Timestamp(1), part(99, 16, true, &[1; 16]));
        assert_eq!(reassembly.incomplete.len(), ROOM);
        assert_eq!(
            reassembly.expire(Timestamp(0) + Duration::from_secs(59)),
            Vec::<Vec<u8>>::new()
        );
        let told = reassembly.expire(Timestamp(1) + PATIENCE);
        assert_eq!(told.len(), ROOM - 1, "not for the one without its beginning");
        assert_eq!((told[0][20], told[0][21], told[0].len()), (11, 1, 20 + 8 + 28));
        assert_eq!(reassembly.deadline(), None);
    }

    proptest! {
        #[test]
        fn nothing_panics_or_is_kept_for_ever(
            packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..40),
        ) {
            let mut reassembly = Reassembly::new(Faults::none());
            for (n, mut packet) in packets.into_iter().enumerate() {
                if packet.len() > 20 && n % 2 == 0 {
                    let payload = packet.split_off(20);
                    packet = part(7, u16::from(packet[6]) * 8, packet[0] & 1 != 0, &payload);
                }
                reassembly.take(Timestamp(n as u64), packet);
                prop_assert!(reassembly.incomplete.len() <= ROOM);
            }
            reassembly.expire(Timestamp(u64::MAX / 2));
            prop_assert!(reassembly.incomplete.is_empty());
        }
    }
}
