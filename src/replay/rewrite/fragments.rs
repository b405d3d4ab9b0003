//! Checksums of TCP that are in another fragment than the ports, or the addresses, that they reach over.
//!
//! Every fragment has the addresses, so whichever has the checksum shows by how much those have changed. Ports are
//! in the first one only, and by how much they have changed is remembered until the checksum comes. Fragments so
//! small are made on purpose; UDP's checksum is always in the first one.

use std::collections::VecDeque;

use crate::checksum::Sum;
use crate::proto::{Stack, be16, ipv4};
use crate::replay::mend;

/// Datagrams of which the checksum is still to come.
const REMEMBERED: usize = 64;
const TCP: u8 = 6;
const UDP: u8 = 17;
/// Where TCP's checksum is.
const CHECKSUM: usize = 16;

/// By how much ports have changed.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    /// Addresses and identification; what the sum over the ports was, and is.
    changed: VecDeque<([u8; 10], u16, u16)>,
}

/// A fragment of TCP.
struct Fragment {
    header: usize,
    payload: usize,
    end: usize,
    offset: usize,
    key: [u8; 10],
}

/// Whether layer `n` is the last one and carries the beginning of a segment without its checksum.
pub(super) fn has_bare_ports(stack: &Stack<'_>, n: usize) -> bool {
    let header = stack.header(n);
    let is_v4 = stack.layers.get(n).is_some_and(|layer| layer.protocol == &ipv4::IPV4);
    let is_first = ipv4::fragment(header).is_some_and(|part| part.offset == 0 && part.more);
    let has_ports = matches!(header.get(9), Some(&(TCP | UDP)));
    is_v4 && is_first && has_ports && stack.payload(n).len() >= 4
}

impl Fragment {
    /// The one in a frame, if it ends the layers: a segment whose header is whole is one.
    fn of(stack: &Stack<'_>) -> Option<Fragment> {
        let n = stack.layers.len().checked_sub(1)?;
        let layer = stack.layers.get(n).filter(|layer| layer.protocol == &ipv4::IPV4)?;
        let header = stack.header(n);
        let part = ipv4::fragment(header).filter(|part| part.more || part.offset > 0)?;
        let mut key = [0; 10];
        key[..8].copy_from_slice(header.get(12..20)?);
        key[8..].copy_from_slice(header.get(4..6)?);
        let (is_tcp, is_own) = (header.get(9) == Some(&TCP), !layer.is_quoted);
        (is_tcp && is_own).then_some(Fragment {
            header: layer.start,
            payload: layer.payload,
            end: layer.end,
            offset: part.offset,
            key,
        })
    }
}

impl Fragments {
    /// Mends what the layers do not have: `new` is the frame with other addresses and ports.
    pub(super) fn mend(&mut self, stack: &Stack<'_>, new: &mut [u8]) {
        let Some(fragment) = Fragment::of(stack) else { return };
        let Fragment { payload, offset, key, .. } = fragment;
        let sum = |bytes: &[u8], at: usize, length: usize| {
            Sum::default().plus(bytes.get(at..at + length).unwrap_or_default()).finish()
        };
        if offset == 0 {
            let ports = (sum(stack.frame, payload, 4), sum(new, payload, 4));
            if ports.0 != ports.1 {
                self.changed.retain(|(known, ..)| *known != key);
                self.changed.push_back((key, ports.0, ports.1));
                if self.changed.len() > REMEMBERED {
                    self.changed.pop_front();
                }
            }
        }
        let Some(place) = CHECKSUM.checked_sub(offset).map(|place| payload + place) else { return };
        if place + 2 > fragment.end {
            return;
        }
        let Some(found) = be16(stack.frame, place) else { return };
        let at = fragment.header + 12;
        let mut mended = mend::moved(found, sum(stack.frame, at, 8), sum(new, at, 8));
        if let Some(n) = self.changed.iter().position(|(known, ..)| *known == key)
            && let Some((_, before, after)) = self.changed.remove(n)
        {
            mended = mend::moved(mended, before, after);
        }
        if let Some(field) = new.get_mut(place..place + 2) {
            field.copy_from_slice(&mended.to_be_bytes());
        }
    }
}
