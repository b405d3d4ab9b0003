//! A frame and what becomes of it: the rules, applied in a place.

use std::net::{IpAddr, Ipv6Addr};

use super::Rules;
use crate::craft::text::solicited_node;
use crate::proto::{be16, ipv4_at};
use crate::replay::link::ipv6_at;

/// A frame and what becomes of it.
pub(super) struct Sheet<'a> {
    pub(super) rules: &'a Rules,
    pub(super) old: &'a [u8],
    pub(super) new: &'a mut [u8],
}

impl Sheet<'_> {
    pub(super) fn byte(&self, at: usize) -> Option<u8> {
        self.old.get(at).copied()
    }

    /// The Ethernet address there, that of the group of a rewritten IPv6 address too (RFC 2464 section 7).
    pub(super) fn mac(&mut self, at: usize) {
        let Some(found) = self.old.get(at..at + 6) else { return };
        let rule = self.rules.macs.iter().find(|(old, _)| found == &old.octets()[..]);
        if let Some((_, new)) = rule {
            return self.write(at, &new.octets());
        }
        if let [0x33, 0x33, low @ ..] = found {
            let is_it = |old: &Ipv6Addr| solicited_node(*old).octets()[12..] == *low;
            let rule = self.sixes().find(|(old, _)| is_it(old));
            if let Some((_, new)) = rule {
                self.write(at + 2, &solicited_node(new).octets()[12..]);
            }
        }
    }

    pub(super) fn v4(&mut self, at: usize) {
        let Some(found) = ipv4_at(self.old, at) else { return };
        let rule = self.rules.ips.iter().find(|(old, _)| *old == IpAddr::from(found));
        if let Some((_, IpAddr::V4(new))) = rule {
            self.write(at, &new.octets());
        }
    }

    /// The IPv6 address there, or the group that listens for solicitations of it.
    pub(super) fn v6(&mut self, at: usize) {
        let Some(found) = ipv6_at(self.old, at) else { return };
        let new = self.sixes().find_map(|(old, new)| match found {
            _ if found == old => Some(new),
            _ if found == solicited_node(old) => Some(solicited_node(new)),
            _ => None,
        });
        if let Some(new) = new {
            self.write(at, &new.octets());
        }
    }

    /// The rules for IPv6 addresses.
    fn sixes(&self) -> impl Iterator<Item = (Ipv6Addr, Ipv6Addr)> {
        self.rules.ips.iter().filter_map(|rule| match rule {
            (IpAddr::V6(old), IpAddr::V6(new)) => Some((*old, *new)),
            _ => None,
        })
    }

    pub(super) fn port(&mut self, at: usize) {
        let found = be16(self.old, at);
        let rule = self.rules.ports.iter().find(|(old, _)| Some(*old) == found);
        if let Some((_, new)) = rule {
            self.write(at, &new.to_be_bytes());
        }
    }

    fn write(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.new.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }
}
