//! Checksums that are wrong in the capture, though they were right on the wire.
//!
//! Where a network card fills in the checksums of TCP and UDP, a capture of its own machine has what the card was
//! given: the sum over the pseudo header alone, with the length or, for what the card cuts into segments, without.
//! That is filled in here. Any other wrong checksum may be what the capture is about, and stays.

use bytes::{Bytes, BytesMut};

use super::link;
use crate::checksum::Sum;
use crate::proto::be16;
use crate::record::LinkType;

/// What is the matter with a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It was left to a network card, and is filled in now.
    LeftToCard,
    /// It is wrong.
    Wrong,
}

/// A whole segment or datagram in a frame.
struct Message<'a> {
    bytes: &'a [u8],
    /// Where it begins.
    at: usize,
    protocol: u8,
    addresses: &'a [u8],
}

impl<'a> Message<'a> {
    /// The TCP segment or UDP datagram in a frame which begins as `link` says, if all of it is there.
    fn of(link: LinkType, frame: &'a [u8]) -> Option<Message<'a>> {
        let (kind, at) = link::locate(link, frame).ok()?;
        let (protocol, start, length, addresses) = match kind {
            link::IPV4 => {
                let is_plain = *frame.get(at)? == 0x45 && be16(frame, at + 6)? & 0x3fff == 0;
                let length = usize::from(be16(frame, at + 2)?).checked_sub(20);
                (*frame.get(at + 9)?, at + 20, length.filter(|_| is_plain)?, at + 12..at + 20)
            }
            link::IPV6 => {
                (*frame.get(at + 6)?, at + 40, be16(frame, at + 4)?.into(), at + 8..at + 40)
            }
            _ => return None,
        };
        let bytes = frame.get(start..start + length)?;
        let is_message = match protocol {
            6 => length >= 20,
            17 => length >= 8 && be16(bytes, 4).map(usize::from) == Some(length),
            _ => false,
        };
        let addresses = frame.get(addresses)?;
        is_message.then_some(Message { bytes, at: start, protocol, addresses })
    }

    /// The sum over the pseudo header, which says `length`.
    fn pseudo(&self, length: usize) -> Sum {
        let length = (length as u16).to_be_bytes();
        Sum::default().plus(self.addresses).plus(&[0, self.protocol]).plus(&length)
    }

    /// Where its checksum is.
    fn place(&self) -> usize {
        if self.protocol == 6 { 16 } else { 6 }
    }
}

/// The frame with a checksum that was left to a card filled in, and what was the matter.
pub(super) fn filled(link: LinkType, frame: &Bytes) -> (Bytes, Option<Fault>) {
    let Some(message) = Message::of(link, frame) else { return (frame.clone(), None) };
    let found = be16(message.bytes, message.place()).unwrap_or_default();
    let length = message.bytes.len();
    let is_none = message.protocol == 17 && found == 0;
    if is_none || message.pseudo(length).plus(message.bytes).finish() == 0 {
        return (frame.clone(), None);
    }
    if ![length, 0].iter().any(|length| found == !message.pseudo(*length).finish()) {
        return (frame.clone(), Some(Fault::Wrong));
    }
    let place = message.at + message.place();
    let mut new = BytesMut::from(&frame[..]);
    if let Some(field) = new.get_mut(place..place + 2) {
        field.fill(0);
    }
    let whole = new.get(message.at..message.at + length).unwrap_or_default();
    let sum = match message.pseudo(length).plus(whole).finish() {
        0 if message.protocol == 17 => 0xffff, // 0 would be none
        sum => sum,
    };
    if let Some(field) = new.get_mut(place..place + 2) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
    (new.freeze(), Some(Fault::LeftToCard))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::samples;

    const ETHERNET: LinkType = LinkType::ETHERNET;

    fn segment_over_six() -> Vec<u8> {
        let ends: Vec<u8> = (0..32).collect();
        let mut segment = samples::syn()[34..].to_vec();
        segment[16..18].fill(0);
        let sum = Sum::default().plus(&ends).plus(&[0, 6, 0, segment.len() as u8]).plus(&segment);
        segment[16..18].copy_from_slice(&sum.finish().to_be_bytes());
        let mut packet = vec![0x60, 0, 0, 0, 0, segment.len() as u8, 6, 64];
        packet.extend(ends);
        packet.extend(segment);
        packet
    }

    #[test]
    fn what_was_left_to_a_card_is_what_it_would_have_been() {
        let mut tagged = samples::syn();
        tagged.splice(12..12, [0x81, 0, 0, 5]);
        for (link, good, place) in [
            (ETHERNET, samples::syn(), 50),
            (ETHERNET, samples::datagram(), 40),
            (ETHERNET, tagged, 54),
            (LinkType::RAW, segment_over_six(), 56),
        ] {
            let good = Bytes::from(good);
            assert_eq!(filled(link, &good), (good.clone(), None));
            let message = Message::of(link, &good).expect("a message");
            for length in [message.bytes.len(), 0] {
                let mut left = good.to_vec();
                let partial = !message.pseudo(length).finish();
                left[place..place + 2].copy_from_slice(&partial.to_be_bytes());
                let left = filled(link, &Bytes::from(left));
                assert_eq!(left, (good.clone(), Some(Fault::LeftToCard)));
            }
            let mut wrong = good.to_vec();
            wrong[place] ^= 0x5a;
            let wrong = Bytes::from(wrong);
            assert_eq!(filled(link, &wrong), (wrong.clone(), Some(Fault::Wrong)));
        }
    }

    #[test]
    fn what_is_not_whole_and_what_has_none_is_left_alone_and_nothing_panics() {
        let mut none = samples::datagram();
        none[40..42].fill(0);
        let mut fragment = samples::datagram();
        fragment[20] = 0x20;
        let mut long = samples::datagram();
        long[17] += 1;
        for frame in [none, fragment, long, samples::arp_request(), samples::echo_request()] {
            let frame = Bytes::from(frame);
            assert_eq!(filled(ETHERNET, &frame), (frame.clone(), None));
        }
        for frame in [samples::syn(), samples::datagram()] {
            for at in 0..frame.len() {
                assert_eq!(filled(ETHERNET, &Bytes::copy_from_slice(&frame[..at])).1, None);
                let mut damaged = frame.clone();
                damaged[at] ^= 0xff;
                filled(ETHERNET, &Bytes::from(damaged));
            }
        }
    }
}
