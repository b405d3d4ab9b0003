//! A look at a frame that costs nothing: whether it is worth taking apart at all.

use crate::proto::{be16, tcp};

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// The EtherType behind the tags, and where its packet begins.
pub(super) fn packet(frame: &[u8]) -> Option<(u16, usize)> {
    let (mut kind, mut at) = (be16(frame, 12)?, 14);
    while matches!(kind, 0x8100 | 0x88a8) {
        (kind, at) = (be16(frame, at + 2)?, at + 4);
    }
    Some((kind, at))
}

/// Whether a frame may have a TCP segment in it; IPv6 may hide it behind other headers.
pub(super) fn may_be_tcp(frame: &[u8]) -> bool {
    match packet(frame) {
        Some((IPV4, at)) => frame.get(at + 9) == Some(&TCP),
        Some((IPV6, at)) => frame.get(at + 6).is_some_and(|next| !matches!(*next, UDP | ICMPV6)),
        _ => false,
    }
}

/// Whether a frame has a TCP segment in it that acknowledges something.
pub fn acknowledges(frame: &[u8]) -> bool {
    let segment = match packet(frame) {
        Some((IPV4, at)) if may_be_tcp(frame) && be16(frame, at + 6).is_some_and(is_first) => {
            at + usize::from(frame[at] & 15) * 4
        }
        Some((IPV6, at)) if frame.get(at + 6) == Some(&TCP) => at + 40,
        _ => return false,
    };
    frame.get(segment + 13).is_some_and(|flags| flags & tcp::ACK != 0)
}

/// Whether a fragment, or a packet that is none, has the beginning.
fn is_first(fragment: u16) -> bool {
    fragment & 0x1fff == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::samples;

    #[test]
    fn segments_are_seen_behind_tags_too_and_nothing_panics() {
        let mut segment = samples::syn();
        assert!(may_be_tcp(&segment) && !acknowledges(&segment));
        segment[47] |= tcp::ACK;
        assert!(acknowledges(&segment));
        segment.splice(12..12, [0x81, 0, 0, 5]);
        assert!(acknowledges(&segment));
        for kept in 0..segment.len() {
            assert_eq!(acknowledges(&segment[..kept]), kept > 51);
        }
        assert!(!may_be_tcp(&samples::datagram()) && !acknowledges(&samples::datagram()));
        assert!(!may_be_tcp(&samples::arp_request()));
        let mut six = vec![0; 74];
        six[12..14].copy_from_slice(&[0x86, 0xdd]);
        (six[20], six[67]) = (TCP, tcp::ACK);
        assert!(acknowledges(&six));
        six[20] = 0; // hop by hop
        assert!(may_be_tcp(&six) && !acknowledges(&six));
    }
}
