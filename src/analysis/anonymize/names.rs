//! Addresses and what replaces them: the same one always by the same.
//!
//! Two IP addresses that share their first bits get replacements that share as many: each bit is
//! flipped or not by what is in front of it (the construction of Crypto-PAn, with SHA-256 under a
//! key). One digest decides a whole byte: a byte has 255 prefixes of less than eight bits, and a
//! digest has a bit for each of them.
//!
//! Networks and broadcasts stay such: a last byte of 0 or 255 stays, and no other becomes one. Where a flipped
//! byte would be one, its flips are done again, which is still a permutation of 1 to 254, but may part
//! two such hosts from their neighbours. An IPv6 prefix, whose interface identifier is zero, keeps it.
//!
//! What was computed lately is remembered, each address in the one place that its bits give: memory is
//! flat, and addresses made to collide cost no more than those that were never seen.

use std::net::{Ipv4Addr, Ipv6Addr};

use sha2::{Digest, Sha256};

/// So many addresses of each kind are remembered.
const SLOTS: usize = 2048;

/// The replacements under one key.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) key: [u8; 32],
    v4: Memory<Ipv4Addr>,
    v6: Memory<Ipv6Addr>,
    macs: Memory<[u8; 6]>,
}

/// What digests are about, so that none is used twice.
mod about {
    pub const MAC: u8 = 0;
    pub const SOLICITED: u8 = 1;
    pub const TOKEN: u8 = 2;
    pub const V4: u8 = 4;
    pub const V6: u8 = 6;
}

impl Names {
    pub(super) fn new(key: [u8; 32]) -> Self {
        Names { key, v4: Memory::new(), v6: Memory::new(), macs: Memory::new() }
    }

    /// What replaces an IPv4 address. Its first byte is kept, of a link-local one the first two; groups,
    /// broadcast, loopback and the unspecified one name nobody and stay.
    pub(super) fn v4(&mut self, address: Ipv4Addr) -> Ipv4Addr {
        let names_nobody = address.is_broadcast()
            || address.is_multicast()
            || address.is_loopback()
            || address.is_unspecified();
        if names_nobody {
            return address;
        }
        let key = &self.key;
        self.v4.get(address, u32::from(address).into(), || {
            let mut octets = address.octets();
            let is_edge = |octet| matches!(octet, 0 | 255);
            let kept = if address.is_link_local() { 2 } else { 1 };
            if !is_edge(octets[3]) {
                flip(key, about::V4, &mut octets, 3);
                while is_edge(octets[3]) {
                    flip(key, about::V4, &mut octets, 3);
                }
            }
            flip(key, about::V4, &mut octets[..3], kept);
            octets.into()
        })
    }

    /// What replaces an IPv6 address. Its first two bytes are kept, of a link-local one the first
    /// eight; groups, loopback and the unspecified one stay, but for the groups of those who have a certain
    /// address.
    pub(super) fn v6(&mut self, address: Ipv6Addr) -> Ipv6Addr {
        if let [0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c] = address.octets() {
            let [a, b, c] = self.solicited([a, b, c]);
            return [0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c].into();
        }
        if address.is_multicast() || address.is_loopback() || address.is_unspecified() {
            return address;
        }
        let key = &self.key;
        let bits = u128::from(address);
        self.v6.get(address, (bits ^ bits >> 64) as u64, || {
            let mut octets = address.octets();
            let kept = if address.is_unicast_link_local() { 8 } else { 2 };
            let flipped = if bits as u64 == 0 { &mut octets[..8] } else { &mut octets[..] };
            flip(key, about::V6, flipped, kept);
            octets.into()
        })
    }

    /// What replaces an Ethernet address: one that is locally administered. Groups stay.
    pub(super) fn mac(&mut self, mac: [u8; 6]) -> [u8; 6] {
        if let [0x33, 0x33, 0xff, a, b, c] = mac {
            let [a, b, c] = self.solicited([a, b, c]); // the group of who has such an address
            return [0x33, 0x33, 0xff, a, b, c];
        }
        if mac[0] & 1 == 1 || mac == [0; 6] {
            return mac; // a group's, or nobody's
        }
        let key = &self.key;
        let [a, b, c, d, e, f] = mac;
        self.macs.get(mac, u64::from_be_bytes([0, 0, a, b, c, d, e, f]), || {
            let [a, b, c, d, e, f, ..] = digest(key, about::MAC, 0, &mac);
            [a & !1 | 2, b, c, d, e, f]
        })
    }

    /// What replaces the bytes by which a question and its answer are known.
    pub(super) fn token(&self, token: &[u8]) -> [u8; 32] {
        digest(&self.key, about::TOKEN, 0, token)
    }

    /// The last bytes of a solicited-node group (RFC 4291 section 2.7.1), which are those of an address.
    fn solicited(&self, last: [u8; 3]) -> [u8; 3] {
        let [a, b, c, ..] = digest(&self.key, about::SOLICITED, 0, &last);
        [a, b, c]
    }
}

/// Replaces the bytes of an address, but for the first `kept`.
fn flip(key: &[u8; 32], family: u8, octets: &mut [u8], kept: usize) {
    for n in (kept..octets.len()).rev() {
        let (front, rest) = octets.split_at_mut(n);
        let Some(octet) = rest.first_mut() else { return };
        let digest = digest(key, family, n as u8, front);
        let flips = (0..8).fold(0, |flips, bit| {
            // The prefixes of a byte are numbered as the nodes of a tree: the empty one is 1.
            let node = 1usize << bit | usize::from(*octet) >> (8 - bit);
            flips << 1 | digest[node / 8] >> (node % 8) & 1
        });
        *octet ^= flips;
    }
}

fn digest(key: &[u8; 32], about: u8, n: u8, bytes: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(key).chain_update([about, n]).chain_update(bytes).finalize().into()
}

/// Addresses and their replacements, each in the place that its bits give.
#[derive(Debug)]
struct Memory<A>(Box<[Option<(A, A)>]>);

impl<A: Copy + PartialEq> Memory<A> {
    fn new() -> Self {
        Memory(vec![None; SLOTS].into_boxed_slice())
    }

    /// What replaces `address`, whose bits are `bits`: what is remembered, or what `make` makes.
    fn get(&mut self, address: A, bits: u64, make: impl FnOnce() -> A) -> A {
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15; // 2^64 by the golden ratio
        let slot = (bits.wrapping_mul(SPREAD) >> 32) as usize % SLOTS;
        match self.0.get_mut(slot) {
            Some(Some((known, new))) if *known == address => *new,
            Some(place) => {
                let new = make();
                *place = Some((address, new));
                new
            }
            None => make(),
        }
    }
}
