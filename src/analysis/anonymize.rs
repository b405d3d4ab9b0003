//! Captures for other people's eyes: addresses and payloads replaced, everything else as it was.
//!
//! - IPv4, IPv6 and Ethernet addresses are replaced by others, the same one always by the same, and
//!   two IP addresses that share their first bits get replacements that share as many: a network stays
//!   a network (the construction of Crypto-PAn, with SHA-256 under a random key that is forgotten). The
//!   first byte of an IPv4 address is kept, and the first two of an IPv6 address. Groups, broadcast, loopback, link-local and unspecified addresses stay what they are, since they
//!   name nobody; of a link-local IPv6 address the interface part is replaced.
//! - Of TCP, UDP, ICMP and everything above, and of whatever is not understood, each byte of payload
//!   becomes [`FILLER`]. Lengths stay, so that sequence numbers still fit.
//! - Options that hold addresses or text become padding.
//! - Checksums that were right are right again; one that was wrong stays wrong by as much.
//! - Console lines lose their text, and framing errors their bytes.
//!
//! What protocols say in headers (ports, flags, windows, timings, lengths) remains.

mod checksums;
mod headers;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, Ipv6Addr};

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};

use crate::dissect::Dissector;
use crate::record::{Body, FramingError, LinkChange, LinkType, Packet, Record};

/// What payload is replaced by.
pub const FILLER: u8 = b'x';
/// Addresses whose replacements are remembered; others are computed again.
const MEMORY: usize = 64 * 1024;

/// Replaces what must not be told to others.
#[derive(Debug)]
pub struct Anonymizer {
    key: [u8; 32],
    v4: HashMap<Ipv4Addr, Ipv4Addr>,
    v6: HashMap<Ipv6Addr, Ipv6Addr>,
    macs: HashMap<[u8; 6], [u8; 6]>,
    dissector: Dissector,
}

impl Default for Anonymizer {
    fn default() -> Self {
        Anonymizer::new()
    }
}

impl Anonymizer {
    /// One with a random key.
    pub fn new() -> Self {
        let mut key = [0; 32];
        for part in key.chunks_mut(8) {
            // Each RandomState is keyed by the system's random numbers.
            let random = RandomState::new().hash_one(std::process::id()).to_be_bytes();
            part.copy_from_slice(&random);
        }
        Anonymizer::with_key(key)
    }

    /// One whose replacements depend on `key` alone.
    pub fn with_key(key: [u8; 32]) -> Self {
        Anonymizer {
            key,
            v4: HashMap::new(),
            v6: HashMap::new(),
            macs: HashMap::new(),
            dissector: Dissector::default(),
        }
    }

    /// The record as others may see it.
    pub fn record(&mut self, record: &Record) -> Record {
        let body = match &record.body {
            Body::Frame(bytes) => Body::Frame(self.frame(LinkType::ETHERNET, bytes, bytes.len())),
            Body::Packet(packet) => {
                let bytes = self.frame(packet.link, &packet.bytes, packet.length as usize);
                Body::Packet(Packet { bytes, ..packet.clone() })
            }
            Body::FramingError(error) => {
                let filler = vec![FILLER; error.bytes.len()];
                Body::FramingError(FramingError { bytes: Bytes::from(filler), ..error.clone() })
            }
            Body::Console(line) => Body::Console(Bytes::from(vec![FILLER; line.len()])),
            Body::Link(LinkChange::Connected(_)) => {
                Body::Link(LinkChange::Connected("anonymized".to_owned()))
            }
            Body::Link(LinkChange::Lost(_)) => {
                Body::Link(LinkChange::Lost("anonymized".to_owned()))
            }
            Body::Link(LinkChange::Reset) | Body::Gap { .. } => record.body.clone(),
        };
        Record { body, ..record.clone() }
    }

    fn frame(&mut self, link: LinkType, bytes: &[u8], length: usize) -> Bytes {
        let mut dissector = std::mem::take(&mut self.dissector);
        let stack = dissector.dissect_as(link, bytes, length);
        let mut out = BytesMut::zeroed(bytes.len());
        out.fill(FILLER);
        for layer in stack.layers {
            let (Some(old), Some(new)) =
                (bytes.get(layer.start..layer.payload), out.get_mut(layer.start..layer.payload))
            else {
                continue;
            };
            headers::rewrite(layer.protocol.name, old, new, self);
        }
        checksums::mend(&stack, &mut out);
        self.dissector = dissector;
        out.freeze()
    }

    fn v4(&mut self, address: Ipv4Addr) -> Ipv4Addr {
        let names_nobody = address.is_broadcast()
            || address.is_multicast()
            || address.is_loopback()
            || address.is_unspecified();
        if names_nobody {
            return address;
        }
        if let Some(known) = self.v4.get(&address) {
            return *known;
        }
        let bits = u32::from(address);
        let flips = (0..32).map(|n| self.flip(4, u128::from(bits) << 96, n));
        let flips = flips.fold(0u32, |all, flip| all << 1 | u32::from(flip));
        let kept = if address.is_link_local() { 16 } else { 8 };
        let new = Ipv4Addr::from(bits ^ flips & u32::MAX >> kept);
        if self.v4.len() < MEMORY {
            self.v4.insert(address, new);
        }
        new
    }

    fn v6(&mut self, address: Ipv6Addr) -> Ipv6Addr {
        if let [0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c] = address.octets() {
            let [a, b, c] = self.solicited([a, b, c]);
            let group = [0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c];
            return Ipv6Addr::from(group);
        }
        if address.is_multicast() || address.is_loopback() || address.is_unspecified() {
            return address;
        }
        if let Some(known) = self.v6.get(&address) {
            return *known;
        }
        let bits = u128::from(address);
        let flips = (0..128).map(|n| self.flip(6, bits, n));
        let flips = flips.fold(0u128, |all, flip| all << 1 | u128::from(flip));
        let kept = if address.is_unicast_link_local() { 64 } else { 16 };
        let new = Ipv6Addr::from(bits ^ flips & u128::MAX >> kept);
        if self.v6.len() < MEMORY {
            self.v6.insert(address, new);
        }
        new
    }

    /// The last bytes of a solicited-node group (RFC 4291 section 2.7.1), which are those of an address.
    fn solicited(&self, last: [u8; 3]) -> [u8; 3] {
        let digest = self.digest(&[1], &last);
        [digest[0], digest[1], digest[2]]
    }

    /// Whether bit number `n` changes, given those in front of it.
    fn flip(&self, family: u8, bits: u128, n: u32) -> bool {
        let prefix = if n == 0 { 0 } else { bits >> (128 - n) };
        let digest = self.digest(&[family, n as u8], &prefix.to_be_bytes());
        digest[0] & 1 == 1
    }

    fn mac(&mut self, mac: [u8; 6]) -> [u8; 6] {
        if let [0x33, 0x33, 0xff, a, b, c] = mac {
            let [a, b, c] = self.solicited([a, b, c]); // the group of who has such an address
            return [0x33, 0x33, 0xff, a, b, c];
        }
        if mac[0] & 1 == 1 || mac == [0; 6] {
            return mac; // a group's, or nobody's
        }
        if let Some(known) = self.macs.get(&mac) {
            return *known;
        }
        let digest = self.digest(&[0], &mac);
        let mut new: [u8; 6] = digest[..6].try_into().unwrap_or(mac);
        new[0] = new[0] & !1 | 2; // of one station, locally administered
        if self.macs.len() < MEMORY {
            self.macs.insert(mac, new);
        }
        new
    }

    fn digest(&self, what: &[u8], bytes: &[u8]) -> [u8; 32] {
        Sha256::new()
            .chain_update(self.key)
            .chain_update(what)
            .chain_update(bytes)
            .finalize()
            .into()
    }
}
