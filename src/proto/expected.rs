//! Ends that are expected to speak a certain protocol although no port says so.
//!
//! Some protocols go on elsewhere than they began: a TFTP server answers from a port of its own (RFC
//! 1350 section 4). A protocol that sees such a beginning has the asker's end remembered
//! ([`super::Walk::expect`]); datagrams to or from that end which no port explains are then offered to
//! the protocol. As with ports this is a guess, and it may decline.
//!
//! The table is small, and a new end takes the place of the oldest: nothing is allocated, and a flood of
//! requests makes others forgotten, no more.

use std::net::IpAddr;

use super::Protocol;

/// Ends that are remembered.
const MEMORY: usize = 32;

/// Remembers ends; the oldest is forgotten first.
#[derive(Debug, Default)]
pub struct Expected {
    ends: [Option<End>; MEMORY],
    next: usize,
}

/// An address and a port, and what is spoken there.
#[derive(Clone, Copy, Debug, PartialEq)]
struct End {
    port: u16,
    address: IpAddr,
    protocol: &'static Protocol,
}

impl Expected {
    /// Remembers that `protocol` is spoken with `port` of `address`.
    pub(super) fn remember(&mut self, address: IpAddr, port: u16, protocol: &'static Protocol) {
        let end = Some(End { port, address, protocol });
        if self.ends.contains(&end) {
            return;
        }
        if let Some(place) = self.ends.get_mut(self.next) {
            *place = end;
        }
        self.next = (self.next + 1) % MEMORY;
    }

    /// Whether nothing is remembered.
    pub(super) fn is_empty(&self) -> bool {
        self.ends[0].is_none() // places are taken in their order
    }

    /// What is spoken with `port` of `address`.
    pub(super) fn find(&self, address: IpAddr, port: u16) -> Option<&'static Protocol> {
        let mut ends = self.ends.iter().flatten();
        ends.find(|end| end.port == port && end.address == address).map(|end| end.protocol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::tftp::TFTP;

    #[test]
    fn the_oldest_end_is_forgotten_first_and_none_is_kept_twice() {
        let address = IpAddr::from([192, 168, 100, 2]);
        let mut expected = Expected::default();
        assert!(expected.is_empty());
        for port in 0..MEMORY as u16 {
            expected.remember(address, port, &TFTP);
            expected.remember(address, 0, &TFTP);
        }
        assert_eq!(expected.find(address, 0), Some(&TFTP));
        expected.remember(address, 1000, &TFTP);
        assert_eq!(expected.find(address, 0), None);
        assert_eq!(expected.find(address, 1), Some(&TFTP));
        assert_eq!(expected.find(address, 1000), Some(&TFTP));
        assert_eq!(expected.find(IpAddr::from([192, 168, 100, 1]), 1), None);
        assert!(!expected.is_empty());
    }
}
