//! One layer while it is rewritten: the bytes as they were, and the new ones beside them, which are zero
//! until somebody says what is to be there. What nobody speaks of is gone.
//!
//! Places are in bytes from the start of the layer; what lies beyond its end is left out, so that
//! rewriting needs not know whether all of a header is there.

use std::ops::Range;

use super::TEXT;
use super::names::Names;
use crate::proto::read::ipv6_at;
use crate::proto::{be16, ipv4_at, mac_at};

/// A layer, from its first byte to the end of its payload.
pub(super) struct Sheet<'a> {
    pub(super) old: &'a [u8],
    pub(super) new: &'a mut [u8],
    /// The bytes of its header that are there.
    pub(super) header: usize,
    pub(super) names: &'a mut Names,
}

impl Sheet<'_> {
    /// The part of the layer in `range`, as a sheet of its own.
    pub(super) fn part(&mut self, range: Range<usize>) -> Sheet<'_> {
        let range = self.inside(range);
        Sheet {
            old: &self.old[range.clone()],
            header: range.len(),
            new: &mut self.new[range],
            names: self.names,
        }
    }

    fn inside(&self, range: Range<usize>) -> Range<usize> {
        let end = range.end.min(self.old.len());
        range.start.min(end)..end
    }

    /// These bytes stay.
    pub(super) fn keep(&mut self, range: Range<usize>) {
        let range = self.inside(range);
        self.new[range.clone()].copy_from_slice(&self.old[range]);
    }

    /// These bytes become filler for text.
    pub(super) fn text(&mut self, range: Range<usize>) {
        let range = self.inside(range);
        self.new[range].fill(TEXT);
    }

    /// Of these bytes those stay that `stays` accepts; the others become filler for text.
    pub(super) fn text_but(&mut self, range: Range<usize>, stays: impl Fn(u8) -> bool) {
        let range = self.inside(range);
        for (new, old) in self.new[range.clone()].iter_mut().zip(&self.old[range]) {
            *new = if stays(*old) { *old } else { TEXT };
        }
    }

    /// The Ethernet address at `at` is replaced.
    pub(super) fn mac(&mut self, at: usize) {
        if let Some(mac) = mac_at(self.old, at) {
            self.new[at..at + 6].copy_from_slice(&self.names.mac(mac));
        }
    }

    /// The IPv4 address at `at` is replaced.
    pub(super) fn v4(&mut self, at: usize) {
        if let Some(address) = ipv4_at(self.old, at) {
            self.new[at..at + 4].copy_from_slice(&self.names.v4(address).octets());
        }
    }

    /// The IPv6 address at `at` is replaced.
    pub(super) fn v6(&mut self, at: usize) {
        if let Some(address) = ipv6_at(self.old, at) {
            self.new[at..at + 16].copy_from_slice(&self.names.v6(address).octets());
        }
    }

    /// The byte at `at`, as it was.
    pub(super) fn byte(&self, at: usize) -> Option<u8> {
        self.old.get(at).copied()
    }

    /// The number of 16 bits at `at`, as it was.
    pub(super) fn word(&self, at: usize) -> Option<u16> {
        be16(self.old, at)
    }
}
