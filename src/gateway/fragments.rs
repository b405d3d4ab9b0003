//! Putting fragments of the device together (RFC 791 section 3.2, RFC 815).
//!
//! A datagram is longer than what the device sends in one packet only now and then, so that little is kept: some
//! datagrams for a short time, the oldest of which makes way. One whose fragments overlap is given up, since
//! no honest sender makes such (RFC 1858 section 3); the same fragment twice does no harm.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;

use super::Gateway;
use crate::checksum;
use crate::clock::Timestamp;
use crate::proto::{be16, ethernet, ipv4, ipv4_at};

/// Datagrams that wait for their fragments at once.
const MOST: usize = 16;
/// How long one waits (RFC 1122 section 3.3.2 has at least 60 s for hosts that are far away).
const PATIENCE: Duration = Duration::from_secs(15);
/// The longest packet.
const LONGEST: usize = 65_535;
/// "More fragments", and the offset.
const MORE: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;

/// Who sent it to whom, its protocol, and its identification.
type Key = (Ipv4Addr, Ipv4Addr, u8, u16);

/// What came of a packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Joined {
    /// It is no fragment.
    Not,
    /// It waits for the others, or is of no use.
    Kept,
    /// With it, this frame is whole.
    Whole(Bytes),
}

/// Datagrams that are not whole yet.
#[derive(Debug, Default)]
pub(super) struct Fragments(VecDeque<Partial>);

#[derive(Debug)]
struct Partial {
    key: Key,
    since: Timestamp,
    /// Ethernet and IP header of the first fragment, once it is there.
    header: Vec<u8>,
    data: Vec<u8>,
    /// What is there of it: where each fragment starts and ends.
    there: BTreeMap<usize, usize>,
    /// How long it is, once the last fragment is there.
    length: Option<usize>,
}

/// Whether the IPv4 packet in a frame is only a part.
fn is_fragment(frame: &[u8]) -> bool {
    be16(frame, ethernet::HEADER + 6).is_some_and(|field| field & (MORE | OFFSET) != 0)
}

/// One fragment.
struct Fragment<'a> {
    key: Key,
    header: &'a [u8],
    data: &'a [u8],
    start: usize,
    is_last: bool,
}

impl<'a> Fragment<'a> {
    /// That in a frame, if it is sound.
    fn of(frame: &'a [u8]) -> Option<Fragment<'a>> {
        let packet = frame.get(ethernet::HEADER..)?;
        let ihl = usize::from(packet.first()? & 15) * 4;
        let total = usize::from(be16(packet, 2)?);
        let data = packet.get(ihl..total)?;
        let header = packet.get(..ihl.max(ipv4::HEADER))?;
        let field = be16(packet, 6)?;
        let (start, is_last) = (usize::from(field & OFFSET) * 8, field & MORE == 0);
        let is_sound = checksum::internet(header) == 0
            && ihl >= ipv4::HEADER
            && !data.is_empty()
            && (is_last || data.len().is_multiple_of(8))
            && start + data.len() + ihl <= LONGEST;
        let (source, destination) = (ipv4_at(packet, 12)?, ipv4_at(packet, 16)?);
        let key = (source, destination, *packet.get(9)?, be16(packet, 4)?);
        let header = frame.get(..ethernet::HEADER + ihl)?;
        is_sound.then_some(Fragment { key, header, data, start, is_last })
    }
}

impl Gateway {
    /// Takes the IPv4 packet in a frame that is for `ours`.
    pub(super) fn join(&self, frame: &[u8], ours: Ipv4Addr) -> Joined {
        if !is_fragment(frame) {
            return Joined::Not;
        }
        let mut fragments = self.0.fragments.lock().unwrap_or_else(PoisonError::into_inner);
        fragments.take(frame, ours, self.0.clock.now())
    }
}

impl Fragments {
    /// Takes the IPv4 packet in a frame that is for `ours`.
    pub(super) fn take(&mut self, frame: &[u8], ours: Ipv4Addr, now: Timestamp) -> Joined {
        if !is_fragment(frame) {
            return Joined::Not;
        }
        self.0.retain(|partial| now.since(partial.since) < PATIENCE);
        let Some(fragment) = Fragment::of(frame).filter(|fragment| fragment.key.1 == ours) else {
            return Joined::Kept;
        };
        let at = self.0.iter().position(|partial| partial.key == fragment.key);
        let mut partial =
            at.and_then(|at| self.0.remove(at)).unwrap_or_else(|| Partial::new(fragment.key, now));
        if partial.add(&fragment).is_none() {
            return Joined::Kept; // it is given up
        }
        if let Some(whole) = partial.whole() {
            return Joined::Whole(whole);
        }
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        let at = self.0.partition_point(|other| other.since <= partial.since);
        self.0.insert(at, partial);
        Joined::Kept
    }
}

impl Partial {
    fn new(key: Key, since: Timestamp) -> Partial {
        let (header, data, there) = Default::default();
        Partial { key, since, header, data, there, length: None }
    }

    /// Adds a fragment; `None` if it contradicts the others.
    fn add(&mut self, fragment: &Fragment<'_>) -> Option<()> {
        let (start, end) = (fragment.start, fragment.start + fragment.data.len());
        if self.there.get(&start) == Some(&end) {
            return Some(()); // once more
        }
        let is_behind = self.there.range(..start).next_back().is_none_or(|(_, e)| *e <= start);
        let is_before = self.there.range(start..).next().is_none_or(|(s, _)| end <= *s);
        let last = self.there.last_key_value().map_or(0, |(_, end)| *end);
        let fits = match (self.length, fragment.is_last) {
            (Some(length), is_last) => end <= length && !is_last,
            (None, is_last) => !is_last || end >= last,
        };
        (is_behind && is_before && fits).then_some(())?;
        if fragment.is_last {
            self.length = Some(end);
        }
        if start == 0 {
            self.header = fragment.header.to_vec();
        }
        self.data.resize(self.data.len().max(end), 0);
        self.data.get_mut(start..end)?.copy_from_slice(fragment.data);
        self.there.insert(start, end);
        Some(())
    }

    /// The frame, if all of it is there.
    fn whole(&self) -> Option<Bytes> {
        let there: usize = self.there.iter().map(|(start, end)| end - start).sum();
        (self.length == Some(there)).then_some(())?;
        let mut frame = self.header.clone();
        let ip = frame.get_mut(ethernet::HEADER..)?;
        let total = u16::try_from(ip.len() + self.data.len()).ok()?;
        ip.get_mut(2..4)?.copy_from_slice(&total.to_be_bytes());
        ip.get_mut(6..8)?.fill(0);
        ip.get_mut(10..12)?.fill(0);
        let sum = checksum::internet(ip);
        ip.get_mut(10..12)?.copy_from_slice(&sum.to_be_bytes());
        frame.extend(&self.data);
        Some(frame.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::craft::layers::{Ethernet, Ipv4};
    use crate::proto::MacAddr;
    use proptest::prelude::*;

    const OURS: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 1);
    const DEVICE: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 2);
    const T0: Timestamp = Timestamp(0);

    fn frame(id: u16, start: usize, data: &[u8], more: bool) -> Vec<u8> {
        let mut ip = Ipv4::new(DEVICE, OURS, 17);
        (ip.id, ip.offset, ip.flags) = (id, (start / 8) as u16, u8::from(more));
        let mac = MacAddr::default();
        Ethernet { destination: mac, source: mac, kind: 0x0800 }.frame(&ip.packet(data))
    }

    fn data(n: usize) -> Vec<u8> {
        (0..n).map(|n| (n / 8) as u8).collect()
    }

    /// What comes of these fragments of 8 bytes but for the last: start and whether more follow.
    fn joined(pieces: &[(usize, usize, bool)]) -> Joined {
        let mut fragments = Fragments::default();
        let mut last = Joined::Kept;
        for (start, end, more) in pieces {
            last = fragments.take(&frame(1, *start, &data(100)[*start..*end], *more), OURS, T0);
        }
        last
    }

    #[test]
    fn fragments_become_what_they_were_in_any_order() {
        let wanted = Joined::Whole(frame(1, 0, &data(21), false).into());
        assert_eq!(joined(&[(0, 8, true), (8, 16, true), (16, 21, false)]), wanted);
        assert_eq!(joined(&[(16, 21, false), (8, 16, true), (8, 16, true), (0, 8, true)]), wanted);
        assert_eq!(joined(&[(8, 21, false), (0, 8, true)]), wanted);
        assert_eq!(joined(&[(0, 8, true), (16, 21, false)]), Joined::Kept);
        assert_eq!(joined(&[(0, 21, false)]), Joined::Not);
    }

    #[test]
    fn what_contradicts_itself_is_given_up() {
        // Were it not, each would have as many bytes as it should, and a hole among them.
        for pieces in [
            [(0, 16, true), (8, 16, true), (24, 32, false)],
            [(8, 16, true), (0, 16, true), (24, 32, false)],
            [(0, 8, true), (32, 40, true), (16, 24, false)],
            [(16, 24, false), (0, 8, true), (32, 40, true)],
            [(16, 24, false), (8, 16, false), (0, 8, true)],
            [(0, 7, true), (8, 16, true), (16, 24, false)],
        ] {
            assert_eq!(joined(&pieces), Joined::Kept, "{pieces:?}");
        }
    }

    #[test]
    fn little_is_kept_and_not_for_long() {
        let mut fragments = Fragments::default();
        for id in 0..100 {
            fragments.take(&frame(id, 0, &data(8), true), OURS, T0);
        }
        assert_eq!(fragments.0.len(), MOST);
        assert_eq!(fragments.take(&frame(9, 8, &data(8), false), OURS, T0), Joined::Kept);
        let late = T0 + PATIENCE;
        assert_eq!(fragments.take(&frame(99, 8, &data(8), false), OURS, late), Joined::Kept);
        assert_eq!(fragments.0.len(), 1);
        let elsewhere = Ipv4Addr::new(192, 168, 100, 7);
        fragments.take(&frame(1, 0, &data(8), true), elsewhere, late);
        assert_eq!(fragments.0.len(), 1);
    }

    proptest! {
        #[test]
        fn any_split_in_any_order_is_the_same(
            cuts in proptest::collection::btree_set(1usize..100, 0..10),
            length in 801usize..1000,
            seed: u64,
        ) {
            let bytes = data(length);
            let ends = cuts.iter().map(|cut| cut * 8).chain([length]);
            let starts = std::iter::once(0).chain(cuts.iter().map(|cut| cut * 8));
            let mut pieces: Vec<(usize, usize)> = starts.zip(ends).collect();
            pieces.sort_by_key(|(start, _)| (*start as u64 ^ seed).wrapping_mul(seed | 1));
            let mut fragments = Fragments::default();
            let mut last = Joined::Kept;
            for (start, end) in &pieces {
                let piece = frame(1, *start, &bytes[*start..*end], *end < length);
                last = fragments.take(&piece, OURS, T0);
            }
            let wanted = frame(1, 0, &bytes, false);
            let wanted = if pieces.len() == 1 { Joined::Not } else { Joined::Whole(wanted.into()) };
            prop_assert_eq!(last, wanted);
        }

        #[test]
        fn nothing_panics(frames: Vec<Vec<u8>>, spoiled in 0usize..60, value: u8) {
            let mut fragments = Fragments::default();
            let mut whole = frame(1, 8, &data(24), true);
            whole[spoiled.min(57)] = value;
            for frame in frames.iter().chain([&whole]) {
                fragments.take(frame, OURS, T0);
            }
        }
    }
}
