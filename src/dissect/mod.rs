//! From bytes to layers, and from layers to what a person reads.
//!
//! A [`Dissector`] keeps its lists from frame to frame, so that dissecting allocates nothing once
//! it is warm. Whatever the bytes are, there is a result: what cannot be decoded ends the walk
//! with a note that says layer, offset, needed and had.
//!
//! Of earlier frames a Dissector remembers only where a protocol goes on that left its port, so
//! that frames are to be given to it in their order, and those that nobody shows, too.

pub mod filter;
pub mod render;

use crate::proto::{Expected, Layer, Note, Stack, Walk, tcp};
use crate::record::LinkType;

/// Dissects one frame after the other.
#[derive(Debug, Default)]
pub struct Dissector {
    layers: Vec<Layer>,
    notes: Vec<Note>,
    expected: Expected,
}

impl Dissector {
    /// The layers of `frame`, an Ethernet frame without a check sequence.
    pub fn dissect<'a>(&'a mut self, frame: &'a [u8]) -> Stack<'a> {
        self.dissect_as(LinkType::ETHERNET, frame, frame.len())
    }

    /// The layers of `frame`, which begins as `link` says and was `length` bytes long on the line.
    pub fn dissect_as<'a>(
        &'a mut self,
        link: LinkType,
        frame: &'a [u8],
        length: usize,
    ) -> Stack<'a> {
        self.layers.clear();
        self.notes.clear();
        let (layers, notes) = (&mut self.layers, &mut self.notes);
        Walk::new(frame, length, layers, notes, &mut self.expected).through(link);
        let relation = tcp::Relation::default();
        Stack { link, frame, length, layers: &self.layers, notes: &self.notes, relation }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::examined::damaged;
    use crate::proto::samples::Over;
    use crate::proto::{NoteKind, Value, icmp, ipv4, samples, tcp};
    use proptest::prelude::*;

    fn names(stack: &Stack<'_>) -> Vec<&'static str> {
        stack.layers.iter().map(|layer| layer.protocol.name).collect()
    }

    #[test]
    fn layers_and_fields_of_good_frames() {
        let mut dissector = Dissector::default();
        let frame = samples::echo_request();
        let stack = dissector.dissect(&frame);
        assert_eq!(names(&stack), ["ethernet", "ipv4", "icmp"]);
        assert_eq!(stack.notes, []);
        assert_eq!(stack.field(&ipv4::IPV4, "ttl"), Some(Value::Number(64)));
        assert_eq!(stack.field(&ipv4::IPV4, "flags.df"), Some(Value::Flag(true)));
        assert_eq!(stack.field(&icmp::ICMP, "identifier"), Some(Value::Number(7)));
        assert_eq!(stack.payload(2).len(), 56);

        let frame = samples::syn();
        let stack = dissector.dissect(&frame);
        assert_eq!(names(&stack), ["ethernet", "ipv4", "tcp"]);
        assert_eq!(stack.notes, []);
        assert_eq!(stack.field(&tcp::TCP, "flags.syn"), Some(Value::Flag(true)));
        assert_eq!(stack.field(&tcp::TCP, "seq"), Some(Value::Number(1000)));

        let frame = samples::datagram();
        let stack = dissector.dissect(&frame);
        assert_eq!(names(&stack), ["ethernet", "ipv4", "udp"]);
        assert_eq!(stack.notes, []);
        assert_eq!(stack.payload(2), b"hello");
    }

    #[test]
    fn every_checksum_is_verified() {
        let mut dissector = Dissector::default();
        for (mut frame, at, protocol) in [
            (samples::echo_request(), 24, "ipv4"),
            (samples::echo_request(), 36, "icmp"),
            (samples::syn(), 50, "tcp"),
            (samples::datagram(), 40, "udp"),
        ] {
            let right = u16::from_be_bytes([frame[at], frame[at + 1]]);
            frame[at] ^= 0x10;
            let stack = dissector.dissect(&frame);
            let [note] = stack.notes else { panic!("one note, not {:?}", stack.notes) };
            let kind = NoteKind::Checksum { found: right ^ 0x1000, expected: right };
            assert_eq!((note.protocol, note.offset, note.kind), (protocol, at, kind));
            assert!(note.is_malformed());
        }
    }

    #[test]
    fn a_cut_header_says_layer_offset_needed_and_had() {
        let mut dissector = Dissector::default();
        let frame = &samples::syn()[..14 + 11];
        let stack = dissector.dissect(frame);
        assert_eq!(names(&stack), ["ethernet"]);
        let kind = NoteKind::Truncated { needed: 20, had: 11 };
        assert_eq!(stack.notes, [Note { protocol: "ipv4", offset: 14, kind }]);
    }

    /// A datagram between port 40000 of 192.168.100.2 and `port` of 192.168.100.1.
    fn datagram(is_back: bool, port: u16, payload: &[u8]) -> Vec<u8> {
        let over = if is_back { Over::Udp(port, 40_000) } else { Over::Udp(40_000, port) };
        let mut frame = samples::frame(over, payload);
        let source = if is_back { 1 } else { 2 };
        (frame[29], frame[33]) = (source, 3 - source); // their sum is the same
        frame
    }

    #[test]
    fn a_tftp_transfer_is_followed_to_the_port_of_the_server() {
        let read = datagram(false, 69, b"\0\x01firmware.bin\0octet\0");
        let transfer = [
            datagram(true, 2000, b"\0\x06tsize\x001234\0"),
            datagram(false, 2000, b"\0\x04\0\0"),
            datagram(true, 2000, b"\0\x03\0\x01abc"),
            datagram(false, 2000, b"\0\x05\0\x03disk full\0"),
        ];
        let others = [
            datagram(true, 2000, b"\0\x01firmware.bin\0octet\0"),
            datagram(true, 2000, b"\0\x03\0"),
            datagram(true, 2000, b"\0\x04\0\x01 "),
            datagram(true, 2000, b"\0\x05\0\x01no end"),
            datagram(true, 2000, b"\0\x06tsize\0"),
            datagram(true, 5683, b"\x60\0\0\x01"),
            samples::frame(Over::Udp(40_001, 2000), b"\0\x04\0\0"),
        ];
        let mut dissector = Dissector::default();
        let mut last = |frame: &[u8]| {
            let stack = dissector.dissect(frame);
            assert_eq!(stack.notes, []);
            names(&stack).last().copied()
        };
        for frame in &transfer {
            assert_eq!(last(frame), Some("udp"), "nobody has asked");
        }
        assert_eq!(last(&read), Some("tftp"));
        for frame in &transfer {
            assert_eq!(last(frame), Some("tftp"));
        }
        let shown = others.iter().map(|frame| last(frame).unwrap_or_default()).collect::<Vec<_>>();
        assert_eq!(shown, ["udp", "udp", "udp", "udp", "udp", "coap", "udp"]);
    }

    #[test]
    fn what_the_capture_cut_is_no_fault_of_the_frame_and_counts_in_its_length() {
        let mut dissector = Dissector::default();
        let syn = samples::syn();
        for kept in 14..syn.len() {
            let stack = dissector.dissect_as(LinkType::ETHERNET, &syn[..kept], syn.len() + 100);
            assert!(!stack.is_malformed(), "{kept}: {:?}", stack.notes);
            let mut line = crate::proto::line::Line::new(false);
            render::line::summary(&stack, &mut line);
            let text = String::from_utf8_lossy(line.as_bytes()).into_owned();
            if kept >= 54 {
                assert!(text.contains("length 100"), "{kept}: {text}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut dissector = Dissector::default();
            let stack = dissector.dissect(&bytes);
            let mut line = crate::proto::line::Line::new(false);
            render::line::summary(&stack, &mut line);
        }

        #[test]
        fn no_damage_to_a_good_frame_makes_it_panic(
            frame in damaged(&[
                samples::echo_request(), samples::syn(), samples::datagram(), samples::arp_request(),
            ]),
        ) {
            let mut dissector = Dissector::default();
            let stack = dissector.dissect(&frame);
            let mut line = crate::proto::line::Line::new(false);
            render::line::summary(&stack, &mut line);
            for (n, layer) in stack.layers.iter().enumerate() {
                stack.visit(n, &mut |item| {
                    assert!(layer.protocol.field(item.name).is_some(), "{}", item.name);
                });
                prop_assert!(layer.start <= layer.payload && layer.payload <= layer.end);
                prop_assert!(layer.end <= frame.len());
            }
        }
    }
}
