//! The Internet checksum (RFC 1071), eight bytes at a time.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A one's-complement sum in progress. Parts of odd length may only come last.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum(u64);

impl Sum {
    /// The pseudo header of TCP and UDP over IPv4 (RFC 9293 section 3.1).
    pub fn pseudo(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, length: usize) -> Self {
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        Sum::default()
            .plus(&source.octets())
            .plus(&destination.octets())
            .plus(&[0, protocol])
            .plus(&length.to_be_bytes())
    }

    /// The pseudo header of TCP, UDP and ICMPv6 over IPv6 (RFC 8200 section 8.1).
    pub fn pseudo_v6(source: Ipv6Addr, destination: Ipv6Addr, protocol: u8, length: usize) -> Self {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        Sum::default()
            .plus(&source.octets())
            .plus(&destination.octets())
            .plus(&length.to_be_bytes())
            .plus(&[0, 0, 0, protocol])
    }

    /// Adds bytes. The sum does not depend on the machine's byte order (RFC 1071 section 2(B)), so
    /// that they are read as they come.
    #[must_use]
    pub fn plus(mut self, bytes: &[u8]) -> Self {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            let word = u64::from_ne_bytes(chunk.try_into().unwrap_or_default());
            self.carry(word);
        }
        let rest = chunks.remainder();
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.carry(u64::from_ne_bytes(last));
        }
        self
    }

    fn carry(&mut self, word: u64) {
        let (sum, overflow) = self.0.overflowing_add(word);
        self.0 = sum + u64::from(overflow);
    }

    /// The checksum over what was added: what the field must hold if it was zero in the bytes,
    /// and 0 if the right checksum was in them.
    pub fn finish(self) -> u16 {
        let mut sum = self.0;
        while sum >> 16 != 0 {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !u16::from_be(sum as u16)
    }
}

/// The checksum over `bytes`; see [`Sum::finish`].
pub fn internet(bytes: &[u8]) -> u16 {
    Sum::default().plus(bytes).finish()
}

/// Given what a checksum over bytes with a field in them came to, the value that the field
/// should have had instead of `found`; `None` when it was right.
pub fn correction(computed: u16, found: u16) -> Option<u16> {
    if computed == 0 {
        return None;
    }
    // The sum without the field is ~computed - found in one's complement; its complement is due.
    let sum = u32::from(computed) + u32::from(found);
    Some(((sum & 0xffff) + (sum >> 16)) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_rfc_1071() {
        assert_eq!(internet(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    }

    proptest! {
        #[test]
        fn it_agrees_with_pnet(bytes in prop::collection::vec(any::<u8>(), 2..200)) {
            let mut zeroed = bytes.clone();
            zeroed[..2].fill(0);
            prop_assert_eq!(internet(&zeroed), pnet::util::checksum(&zeroed, 0));
        }

        #[test]
        fn a_correction_makes_the_checksum_right(
            mut bytes in prop::collection::vec(any::<u8>(), 20..60),
        ) {
            let found = u16::from_be_bytes([bytes[10], bytes[11]]);
            match correction(internet(&bytes), found) {
                None => prop_assert_eq!(internet(&bytes), 0),
                Some(right) => {
                    bytes[10..12].copy_from_slice(&right.to_be_bytes());
                    prop_assert_eq!(internet(&bytes), 0);
                }
            }
        }
    }
}
