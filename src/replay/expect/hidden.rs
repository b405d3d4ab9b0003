//! What an anonymized recording hides: payloads are zeros, and text is x, as long as what was there.
//!
//! Today's answer has something in these places that cannot be compared. It gets what the recording has there, and
//! its checksums are moved by as much, so that one that is wrong stays wrong.

use bytes::{Bytes, BytesMut};

use super::ignore::Ignored;
use crate::analysis::anonymize::TEXT;
use crate::dissect::Dissector;
use crate::proto::Stack;
use crate::replay::mend;

/// Bytes of a message of ICMP in front of its payload.
const ICMP: usize = 8;

/// Today's answer with what the recorded one hides.
pub(super) fn covered(
    dissector: &mut Dissector,
    ignored: &Ignored,
    recorded: &Bytes,
    today: &Bytes,
) -> Bytes {
    if !ignored.is_anonymized() || recorded.len() != today.len() {
        return today.clone();
    }
    let stack = dissector.dissect(today);
    let Some(start) = payload(&stack) else { return today.clone() };
    let mut new = BytesMut::from(&today[..]);
    for (place, recorded) in new.iter_mut().zip(recorded).skip(start) {
        if matches!(*recorded, 0 | TEXT) {
            *place = *recorded;
        }
    }
    mend::mend(&stack, &mut new);
    new.freeze()
}

/// Whether a byte of a recorded stream is that of today, as far as it is not hidden.
pub(super) fn is_same(recorded: u8, today: u8, is_anonymized: bool) -> bool {
    recorded == today || is_anonymized && matches!(recorded, 0 | TEXT)
}

/// Where begins what a datagram, or an echo, carries.
fn payload(stack: &Stack<'_>) -> Option<usize> {
    stack.layers.iter().find_map(|layer| match layer.protocol.name {
        "udp" => Some(layer.payload),
        "icmp" | "icmpv6" => Some(layer.start + ICMP),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::samples;

    #[test]
    fn hidden_bytes_are_no_difference_and_others_are() {
        let anonymized = |text: &[u8; 5]| {
            let mut frame = samples::datagram();
            frame[42..47].copy_from_slice(text);
            frame[40..42].fill(0);
            let sum = crate::checksum::Sum::default().plus(&frame[26..34]).plus(&[0, 17, 0, 13]);
            let sum = sum.plus(&frame[34..]).finish().to_be_bytes();
            frame[40..42].copy_from_slice(&sum);
            Bytes::from(frame)
        };
        let today = anonymized(b"hello");
        let ignored = Ignored::new(&[], &[]).expect("the table");
        let mut dissector = Dissector::default();
        for (recorded, is_same) in [(b"xx\0xx", true), (b"hexxx", true), (b"Hexxx", false)] {
            let recorded = anonymized(recorded);
            let plain = covered(&mut dissector, &ignored, &recorded, &today);
            assert_eq!(plain, today);
            let hiding = ignored.clone().of_anonymized(true);
            let found = covered(&mut dissector, &hiding, &recorded, &today);
            assert_eq!(found == recorded, is_same);
            let mut wrong = today.to_vec();
            wrong[40] ^= 0x20;
            let wrong = covered(&mut dissector, &hiding, &recorded, &Bytes::from(wrong));
            assert_ne!(wrong, recorded, "a wrong checksum stays wrong");
        }
    }
}
