//! The control packets of an MQTT stream, one after the other (MQTT 3.1.1 and 5.0, section 2).
//!
//! A packet is a type, flags, a length of one to four bytes, and so many bytes. What may stand in each
//! is narrow enough to tell the beginning of a packet from the middle of one.

use super::be16;

/// The types of packets that have a meaning beyond their name here.
pub(crate) mod kind {
    pub const CONNECT: u8 = 1;
    pub const CONNACK: u8 = 2;
    pub const PUBLISH: u8 = 3;
    pub const PUBACK: u8 = 4;
    pub const PUBREC: u8 = 5;
    pub const PUBREL: u8 = 6;
    pub const PUBCOMP: u8 = 7;
    pub const SUBSCRIBE: u8 = 8;
    pub const SUBACK: u8 = 9;
    pub const UNSUBSCRIBE: u8 = 10;
    pub const UNSUBACK: u8 = 11;
    pub const PINGREQ: u8 = 12;
    pub const PINGRESP: u8 = 13;
    pub const DISCONNECT: u8 = 14;
    pub const AUTH: u8 = 15;
}

/// A control packet, or the part of it that is in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet<'a> {
    /// Where it begins in the segment.
    pub(crate) at: usize,
    /// Its type.
    pub(crate) kind: u8,
    /// The four bits behind the type.
    pub(crate) flags: u8,
    /// How many bytes follow the length.
    pub(crate) remaining: usize,
    /// Where they begin in the segment.
    pub(crate) start: usize,
    /// Those of them that are there.
    pub(crate) body: &'a [u8],
}

/// The packets of a segment that begins with one, as far as they look like packets.
#[derive(Clone, Debug)]
pub(crate) struct Packets<'a> {
    bytes: &'a [u8],
    at: usize,
    broken_at: Option<usize>,
}

impl<'a> Packets<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Packets { bytes, at: 0, broken_at: None }
    }

    /// Where something stands that is no packet.
    pub(crate) fn broken_at(&self) -> Option<usize> {
        self.broken_at
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Packet<'a>;

    fn next(&mut self) -> Option<Packet<'a>> {
        let rest = self.bytes.get(self.at..).filter(|rest| !rest.is_empty())?;
        let at = self.at;
        self.at = self.bytes.len();
        match packet(rest) {
            Read::Packet(packet) if is_plausible(&packet) => {
                let end = at + packet.start + packet.remaining;
                self.at = end.min(self.bytes.len());
                Some(Packet { at, start: at + packet.start, ..packet })
            }
            Read::Cut => None,
            _ => {
                self.broken_at = Some(at);
                None
            }
        }
    }
}

/// What the beginning of some bytes is.
enum Read<'a> {
    Packet(Packet<'a>),
    /// The length goes on in the next segment.
    Cut,
    /// A length of more than four bytes.
    Wrong,
}

fn packet(bytes: &[u8]) -> Read<'_> {
    let Some(&first) = bytes.first() else { return Read::Cut };
    match variable(bytes, 1) {
        Variable::Number(remaining, start) => {
            let rest = bytes.get(start..).unwrap_or_default();
            let body = rest.get(..remaining).unwrap_or(rest);
            Read::Packet(Packet {
                at: 0,
                kind: first >> 4,
                flags: first & 15,
                remaining,
                start,
                body,
            })
        }
        Variable::Cut => Read::Cut,
        Variable::Wrong => Read::Wrong,
    }
}

/// A number of variable length, if it is one.
enum Variable {
    /// The number, and where it ends.
    Number(usize, usize),
    /// It goes on behind the bytes.
    Cut,
    /// It has more than four bytes.
    Wrong,
}

/// The number at `at`, seven bits a byte, the least first (section 2.2.3; 5.0: section 1.5.5).
fn variable(bytes: &[u8], at: usize) -> Variable {
    let mut number = 0;
    for n in 0..4 {
        let Some(&byte) = bytes.get(at + n) else { return Variable::Cut };
        number |= usize::from(byte & 0x7f) << (7 * n);
        if byte & 0x80 == 0 {
            return Variable::Number(number, at + n + 1);
        }
    }
    Variable::Wrong
}

/// Where properties end that begin at `at` with their length (5.0 section 2.2.2).
pub(crate) fn behind_properties(body: &[u8], at: usize) -> Option<usize> {
    match variable(body, at) {
        Variable::Number(length, start) => {
            start.checked_add(length).filter(|end| *end <= body.len())
        }
        Variable::Cut | Variable::Wrong => None,
    }
}

/// The text or binary data at `at`, behind its length of two bytes, and where it ends.
pub(crate) fn string_at(body: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let start = at.checked_add(2)?;
    let end = start + usize::from(be16(body, at)?);
    Some((body.get(start..end)?, end))
}

/// Whether a packet can be what its first byte says; what is cut is judged as far as it is there.
fn is_plausible(packet: &Packet<'_>) -> bool {
    use kind::*;
    let Packet { kind, flags, remaining, body, .. } = *packet;
    let reserved = if matches!(kind, PUBREL | SUBSCRIBE | UNSUBSCRIBE) { 2 } else { 0 };
    if kind != PUBLISH && flags != reserved {
        return false;
    }
    match kind {
        CONNECT => {
            let names: [&[u8]; 2] = [b"\0\x04MQTT", b"\0\x06MQIsdp"];
            let is_name = |name: &&[u8]| {
                let there = name.len().min(body.len());
                there > 0 && body[..there] == name[..there]
            };
            remaining >= 12 && names.iter().any(is_name)
        }
        CONNACK => remaining >= 2 && body.first().is_none_or(|flags| *flags <= 1),
        PUBLISH => is_plausible_publish(packet),
        PUBACK..=PUBCOMP => (2..1 << 16).contains(&remaining),
        SUBSCRIBE => is_topic(packet, 3),
        UNSUBSCRIBE => is_topic(packet, 2),
        SUBACK | UNSUBACK => (2..1 << 16).contains(&remaining),
        PINGREQ | PINGRESP => remaining == 0,
        DISCONNECT | AUTH => {
            remaining == 0
                || body.first().is_none_or(|reason| *reason == 0 || *reason == 4 || *reason >= 0x18)
        }
        _ => false,
    }
}

/// Its topic fits, and is text without wildcards; in 5.0 an alias may stand for it.
fn is_plausible_publish(packet: &Packet<'_>) -> bool {
    let id = if packet.flags & 6 == 0 { 0 } else { 2 };
    let Some(length) = be16(packet.body, 0).map(usize::from) else {
        return packet.remaining >= 2 + id && packet.body.len() < 2;
    };
    let topic = packet.body.get(2..).unwrap_or_default();
    let topic = topic.get(..length).unwrap_or(topic);
    let is_odd = |byte: &u8| matches!(byte, 0..=0x1f | b'#' | b'+' | 0x7f);
    packet.flags & 6 != 6
        && packet.remaining >= 2 + length + id
        && (length > 0 || packet.remaining > 2 + id)
        && !topic.iter().any(is_odd)
}

/// Its first filter fits; in 5.0 properties stand in front of it.
fn is_topic(packet: &Packet<'_>, least: usize) -> bool {
    let is_cut = packet.body.len() < packet.remaining;
    packet.remaining >= 2 + least && (is_cut || filters_at(packet).is_some())
}

/// Where the filters of a whole SUBSCRIBE or UNSUBSCRIBE begin in its body: those of 3.1.1 right behind
/// the packet's id, those of 5.0 behind properties. Which it is shows in that they must end with the body.
pub(crate) fn filters_at(packet: &Packet<'_>) -> Option<usize> {
    let (body, options) = (packet.body, usize::from(packet.kind == kind::SUBSCRIBE));
    let is_filled = |start: usize| {
        let mut at = start;
        while let Some((_, end)) = string_at(body, at) {
            at = end + options;
        }
        start < body.len() && at == body.len()
    };
    [Some(2), behind_properties(body, 2)].into_iter().flatten().find(|start| is_filled(*start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_one_to_four_bytes() {
        for (bytes, expected) in [
            (&[0xc0, 0][..], Some(0)),
            (&[0x30, 0x7f], Some(127)),
            (&[0x30, 0x80, 1], Some(128)),
            (&[0x30, 0xff, 0xff, 0xff, 0x7f], Some(268_435_455)),
            (&[0x30, 0x80], None),
            (&[0x30, 0xff, 0xff, 0xff, 0xff, 1], None),
        ] {
            let found = match packet(bytes) {
                Read::Packet(packet) => Some(packet.remaining),
                Read::Cut | Read::Wrong => None,
            };
            assert_eq!(found, expected, "{bytes:?}");
        }
    }

    #[test]
    fn the_middle_of_a_packet_is_no_packet() {
        let mut packets = Packets::new(b"temperature 22.5, humidity 40");
        assert_eq!(packets.next(), None);
        assert_eq!(packets.broken_at(), Some(0));
        let mut packets = Packets::new(b"\xc0\x00\xd0\x00\xff");
        assert_eq!(packets.by_ref().count(), 2);
        assert_eq!(packets.broken_at(), None, "the length of the third is not there yet");
    }
}
