//! What dissecting a frame yields: its layers, and notes about what is wrong or worth knowing.

use super::line::Line;
use super::{Item, Protocol, Value, tcp};

/// One layer of a frame: a protocol and where it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layer {
    /// The protocol.
    pub protocol: &'static Protocol,
    /// Where its header begins in the frame.
    pub start: usize,
    /// Where its header ends and its payload begins.
    pub payload: usize,
    /// How many bytes of its header are not there.
    pub missing: usize,
    /// Where its payload ends; bytes behind that are padding of the layer below.
    pub end: usize,
    /// Whether it belongs to a packet that an error message quotes.
    pub is_quoted: bool,
}

/// Something about a layer that a reader should know; [`Note::is_malformed`] tells whether the frame
/// is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// The name of the protocol concerned.
    pub protocol: &'static str,
    /// Where in the frame, in bytes.
    pub offset: usize,
    /// What.
    pub kind: NoteKind,
}

/// What a [`Note`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// A header or what it announces is longer than what is there.
    Truncated {
        /// Bytes needed.
        needed: usize,
        /// Bytes there.
        had: usize,
    },
    /// The same, because the capture kept only the beginning of the frame.
    CutByCapture {
        /// Bytes needed.
        needed: usize,
        /// Bytes there.
        had: usize,
    },
    /// A checksum is wrong.
    Checksum {
        /// The checksum in the packet.
        found: u16,
        /// The checksum that it should carry.
        expected: u16,
    },
    /// A field has a value that it cannot have.
    Invalid {
        /// The field's name.
        field: &'static str,
        /// The value.
        value: u64,
    },
    /// Something else that is against the protocol, in a few words.
    Wrong(&'static str),
    /// So many bytes follow the packet, more than padding to 60 bytes explains.
    Trailing(usize),
    /// So many bytes of padding follow the packet.
    Padding(usize),
}

impl Note {
    /// Whether the frame is malformed because of this.
    pub fn is_malformed(&self) -> bool {
        !matches!(
            self.kind,
            NoteKind::Padding(_) | NoteKind::Trailing(_) | NoteKind::CutByCapture { .. }
        )
    }
}

/// The layers of one frame, ready to be said, shown or filtered.
#[derive(Clone, Copy, Debug)]
pub struct Stack<'a> {
    /// The whole frame, or what the capture kept of it.
    pub frame: &'a [u8],
    /// Its length on the line, in bytes.
    pub length: usize,
    /// Its layers, outermost first.
    pub layers: &'a [Layer],
    /// What is to be noted about them.
    pub notes: &'a [Note],
    /// What is known of the TCP connection that the frame belongs to.
    pub relation: tcp::Relation,
}

impl<'a> Stack<'a> {
    /// The header bytes of layer `n`.
    pub fn header(&self, n: usize) -> &'a [u8] {
        let Some(layer) = self.layers.get(n) else { return &[] };
        self.frame.get(layer.start..layer.payload).unwrap_or_default()
    }

    /// The payload bytes of layer `n`.
    pub fn payload(&self, n: usize) -> &'a [u8] {
        let Some(layer) = self.layers.get(n) else { return &[] };
        self.frame.get(layer.payload..layer.end).unwrap_or_default()
    }

    /// How many bytes of payload layer `n` had on the line: more than are there, where the capture cut
    /// the frame.
    pub fn payload_length(&self, n: usize) -> usize {
        let missing = self.length.saturating_sub(self.frame.len());
        let is_cut = self.layers.get(n).is_some_and(|layer| layer.end == self.frame.len());
        let had = self.payload(n).len();
        match self.layers.get(n) {
            Some(layer) if is_cut => (had + missing).saturating_sub(layer.missing),
            _ => had,
        }
    }

    /// Says layer `n`; false if there is none.
    pub fn summarise(&self, n: usize, line: &mut Line) -> bool {
        match self.layers.get(n) {
            Some(layer) => {
                (layer.protocol.summary)(self, n, line);
                true
            }
            None => false,
        }
    }

    /// The number of the first layer of `protocol` that is not part of a quoted packet.
    pub fn find(&self, protocol: &Protocol) -> Option<usize> {
        self.layers.iter().position(|layer| layer.protocol == protocol && !layer.is_quoted)
    }

    /// The value of the field `name`, which has a fixed place, in the first layer of `protocol`.
    pub fn field(&self, protocol: &Protocol, name: &str) -> Option<Value<'a>> {
        let n = self.find(protocol)?;
        (protocol.field(name)?.get?)(self.header(n))
    }

    /// Visits all fields of layer `n` in the order of [`Protocol::fields`], those of fixed place first.
    pub fn visit(&self, n: usize, visit: &mut dyn FnMut(Item<'_>)) {
        let Some(layer) = self.layers.get(n) else { return };
        let header = self.header(n);
        for field in layer.protocol.fields {
            let Some(value) = field.get.and_then(|get| get(header)) else { continue };
            let meaning = match value {
                Value::Number(number) | Value::Hex(number) => (field.meaning)(header, number),
                _ => None,
            };
            visit(Item { name: field.name, value, at: field.at, meaning });
        }
        (layer.protocol.list)(self, n, visit);
    }

    /// Whether anything is not as it should be.
    pub fn is_malformed(&self) -> bool {
        self.notes.iter().any(Note::is_malformed)
    }
}

#[cfg(test)]
pub(crate) mod shown {
    //! What tests want to see of a frame: its line, its fields, and that no promise is broken.

    use crate::dissect::{Dissector, render};
    use crate::proto::line::Line;
    use crate::proto::{Note, NoteKind, Protocol, Value};
    use crate::record::LinkType;

    /// The line that a person reads, in the long form or the brief one.
    pub fn line_as(link: LinkType, frame: &[u8], is_brief: bool) -> String {
        let mut dissector = Dissector::default();
        let mut line = Line::new(is_brief);
        render::line::summary(&dissector.dissect_as(link, frame, frame.len()), &mut line);
        String::from_utf8_lossy(line.as_bytes()).into_owned()
    }

    /// The lines of several Ethernet frames.
    pub fn lines<F: AsRef<[u8]>>(frames: &[F]) -> String {
        let line = |frame: &F| line_as(LinkType::ETHERNET, frame.as_ref(), false);
        frames.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// Names and values of all fields of all layers of `protocol`, one a line.
    pub fn fields_as(link: LinkType, protocol: &Protocol, frame: &[u8]) -> String {
        let mut dissector = Dissector::default();
        let stack = dissector.dissect_as(link, frame, frame.len());
        let mut out = Vec::new();
        for (n, layer) in stack.layers.iter().enumerate() {
            if layer.protocol != protocol {
                continue;
            }
            stack.visit(n, &mut |item| {
                let value = match item.value {
                    Value::Number(number) => number.to_string(),
                    Value::Hex(number) => format!("0x{number:x}"),
                    Value::Flag(flag) => flag.to_string(),
                    Value::Mac(mac) => super::super::MacAddr::from(mac).to_string(),
                    Value::Ipv4(address) => address.to_string(),
                    Value::Ipv6(address) => address.to_string(),
                    Value::Text(text) => crate::escape::terminal(text).to_string(),
                    Value::Domain(name) => name.to_string(),
                    Value::Record(data) => data.to_string(),
                    Value::Bytes(bytes) => {
                        bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
                    }
                };
                let meaning = item.meaning.map_or(String::new(), |means| format!(" ({means})"));
                out.push(format!("{}: {value}{meaning}", item.name));
            });
        }
        out.join("\n")
    }

    /// The same for an Ethernet frame.
    pub fn fields(protocol: &Protocol, frame: &[u8]) -> String {
        fields_as(LinkType::ETHERNET, protocol, frame)
    }

    /// Asserts what every protocol promises, whatever the bytes are: declared fields of the declared
    /// kind, in places inside their layer, as many as the bytes can explain; text that is safe.
    pub fn check(link: LinkType, frame: &[u8]) {
        for missing in [0, 100] {
            check_cut(link, frame, missing);
        }
        for is_brief in [false, true] {
            let line = line_as(link, frame, is_brief);
            assert!(line.chars().all(|c| !c.is_control()), "{line:?}");
            assert!(line.len() <= 2000 + 20 * frame.len(), "{} bytes of line", line.len());
        }
    }

    /// The same for a frame of which the capture left out the last bytes.
    fn check_cut(link: LinkType, frame: &[u8], missing: usize) {
        let mut dissector = Dissector::default();
        let stack = dissector.dissect_as(link, frame, frame.len() + missing);
        for (n, layer) in stack.layers.iter().enumerate() {
            assert!(layer.start <= layer.payload && layer.payload <= layer.end);
            assert!(layer.end <= frame.len());
            let mut seen = Vec::new();
            stack.visit(n, &mut |item| {
                let name = (layer.protocol.name, item.name);
                let field = layer.protocol.field(item.name).unwrap_or_else(|| panic!("{name:?}"));
                assert_eq!(field.kind, item.value.kind(), "{name:?}");
                assert!(field.is_many || !seen.contains(&item.name), "{name:?} again");
                let end = item.at.0 + item.at.1;
                assert!(end <= layer.end - layer.start, "{name:?} at {:?}", item.at);
                seen.push(item.name);
            });
            let most = layer.protocol.fields.len() + 4 * (layer.end - layer.start);
            assert!(seen.len() <= most, "{} fields of {}", seen.len(), layer.protocol.name);
        }
        let is_blamed = |note: &Note| matches!(note.kind, NoteKind::Truncated { .. });
        assert!(missing == 0 || !stack.notes.iter().any(is_blamed), "cut by the capture");
        for (n, layer) in stack.layers.iter().enumerate() {
            let _ = (layer.protocol.exchange)(&stack, n);
        }
    }

    /// `frame` with some bytes replaced and its end cut off.
    pub fn damaged(
        frame: &[u8],
        damage: &[(proptest::sample::Index, u8)],
        cut: proptest::sample::Index,
    ) -> Vec<u8> {
        let mut frame = frame.to_vec();
        for (at, byte) in damage {
            let at = at.index(frame.len().max(1));
            frame.get_mut(at).into_iter().for_each(|place| *place = *byte);
        }
        frame.truncate(cut.index(frame.len() * 2 + 1)); // most are left whole
        frame
    }

    /// An Ethernet frame of that type.
    pub fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
        let addresses = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        [&addresses[..], &kind.to_be_bytes(), payload].concat()
    }

    /// An 802.3 frame with the right length field.
    pub fn ieee_802_3(payload: &[u8]) -> Vec<u8> {
        ethernet(payload.len() as u16, payload)
    }

    /// A datagram from 192.168.100.2 to 192.168.100.1.
    pub fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
        let total = (20 + payload.len() as u16).to_be_bytes();
        let mut header = [0x45, 0, total[0], total[1], 0, 1, 0, 0, 64, protocol, 0, 0].to_vec();
        header.extend([192, 168, 100, 2, 192, 168, 100, 1]);
        let checksum = crate::checksum::internet(&header).to_be_bytes();
        header[10..12].copy_from_slice(&checksum);
        [&header[..], payload].concat()
    }

    /// A packet from fe80::2 to fe80::1 with hop limit 255.
    pub fn ipv6(next_header: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u16).to_be_bytes();
        let mut packet = vec![0x60, 0, 0, 0, length[0], length[1], next_header, 255];
        for last in [2, 1] {
            packet.extend([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
        }
        packet.extend(payload);
        packet
    }

    /// `message` with the right Internet checksum at byte 2.
    pub fn summed(message: &[u8]) -> Vec<u8> {
        let mut message = message.to_vec();
        message[2..4].fill(0);
        let checksum = crate::checksum::internet(&message).to_be_bytes();
        message[2..4].copy_from_slice(&checksum);
        message
    }
}
