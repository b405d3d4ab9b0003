//! TCP (RFC 9293 section 3.1; options: RFC 7323, RFC 2018, RFC 5482, RFC 6824, RFC 7413).

use super::line::Line;
use super::{
    Item, Key, Next, NoteKind, Protocol, Stack, Value, Walk, be16, be32, field, listed, tcp_options,
};
use crate::checksum;

/// The bytes of a header without options.
pub const HEADER: usize = 20;
/// The FIN bit of the flags byte.
pub const FIN: u8 = 0x01;
/// The SYN bit.
pub const SYN: u8 = 0x02;
/// The RST bit.
pub const RST: u8 = 0x04;
/// The PSH bit.
pub const PSH: u8 = 0x08;
/// The ACK bit.
pub const ACK: u8 = 0x10;
/// The URG bit.
pub const URG: u8 = 0x20;

/// TCP.
pub static TCP: Protocol = Protocol {
    name: "tcp",
    title: "TCP",
    keys: &[Key::IpProtocol(6)],
    fields: &[
        field!("src_port", 0, 2),
        field!("dst_port", 2, 2),
        field!("seq", 4, 4),
        field!("ack", 8, 4),
        field!("data_offset", 12, 1, Number, |h| h
            .get(12)
            .map(|b| Value::Number(u64::from(b >> 4)))),
        field!("reserved", 12, 1, Number, |h| h.get(12).map(|b| Value::Number(u64::from(b & 15)))),
        field!("flags", 13, hex8),
        field!("flags.cwr", 13, bit 0x80),
        field!("flags.ece", 13, bit 0x40),
        field!("flags.urg", 13, bit 0x20),
        field!("flags.ack", 13, bit 0x10),
        field!("flags.psh", 13, bit 0x08),
        field!("flags.rst", 13, bit 0x04),
        field!("flags.syn", 13, bit 0x02),
        field!("flags.fin", 13, bit 0x01),
        field!("window", 14, 2),
        field!("checksum", 16, hex16),
        field!("urgent_pointer", 18, 2),
        listed!("option.kind", Number, many),
        listed!("option.mss", Number, many),
        listed!("option.wscale", Number, many),
        listed!("option.sack_left", Number, many),
        listed!("option.sack_right", Number, many),
        listed!("option.ts_val", Number, many),
        listed!("option.ts_ecr", Number, many),
        listed!("option.user_timeout", Number, many),
        listed!("option.cookie", Bytes, many),
        listed!("relative_seq", Number),
        listed!("relative_ack", Number),
        listed!("mark", Text),
    ],
    dissect,
    summary,
    list,
    ..Protocol::BASE
};

/// What is known of the connection that a segment belongs to, from the segments before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relation {
    /// What sequence numbers are shown relative to; `None` where they are shown as they are: in the
    /// first segments of a connection.
    pub bases: Option<(u32, u32)>,
    /// What is remarkable about the segment.
    pub mark: Option<Mark>,
}

/// What is remarkable about a segment, given those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// All of it was sent before.
    Retransmission,
    /// It fills a hole that was left shortly before.
    OutOfOrder,
    /// Something before it was not seen.
    PreviousNotSeen,
    /// The number of times that the same acknowledgment was repeated.
    DuplicateAck(u32),
    /// A byte that was acknowledged, or none, to provoke an answer (RFC 9293 section 3.8.4).
    KeepAlive,
    /// The answer to that.
    KeepAliveAck,
    /// The window is shut.
    ZeroWindow,
    /// One byte beyond a window that is shut.
    ZeroWindowProbe,
    /// The window was shut or full, and opens.
    WindowUpdate,
    /// The segment fills the window to its end.
    WindowFull,
    /// A new connection between ports that had one.
    PortsReused,
}

impl Mark {
    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Mark::Retransmission => "retransmission",
            Mark::OutOfOrder => "out of order",
            Mark::PreviousNotSeen => "previous segment not seen",
            Mark::DuplicateAck(_) => "dup ack",
            Mark::KeepAlive => "keep-alive",
            Mark::KeepAliveAck => "keep-alive ack",
            Mark::ZeroWindow => "zero window",
            Mark::ZeroWindowProbe => "zero window probe",
            Mark::WindowUpdate => "window update",
            Mark::WindowFull => "window full",
            Mark::PortsReused => "ports reused",
        }
    }
}

fn dissect(walk: &mut Walk<'_>) -> Next {
    if !walk.has(&TCP, HEADER) {
        return Next::Payload;
    }
    let bytes = walk.rest();
    let header = usize::from(bytes[12] >> 4) * 4;
    if header < HEADER {
        let kind = NoteKind::Invalid { field: "data_offset", value: (header / 4) as u64 };
        walk.note(&TCP, 12, kind);
        walk.push(&TCP, HEADER, HEADER);
        return Next::Payload;
    }
    let has_header = walk.has(&TCP, header);
    if let Some(sum) = walk.pseudo_header(6, bytes.len()) {
        let found = be16(bytes, 16).unwrap_or_default();
        if let Some(expected) = checksum::correction(sum.plus(bytes).finish(), found) {
            walk.note(&TCP, 16, NoteKind::Checksum { found, expected });
        }
    }
    if header > HEADER && has_header {
        let options = bytes.get(HEADER..header).unwrap_or_default();
        if let Some(at) = tcp_options::broken_at(options) {
            walk.note(&TCP, HEADER + at, NoteKind::Wrong("option cannot be read"));
        }
    }
    let is_empty = bytes.len() <= header;
    walk.push(&TCP, header, usize::MAX);
    match (be16(bytes, 0), be16(bytes, 2)) {
        (Some(source), Some(destination)) if !is_empty => Next::Tcp { source, destination },
        _ => Next::Payload,
    }
}

fn list(stack: &Stack<'_>, n: usize, visit: &mut dyn FnMut(Item<'_>)) {
    let header = stack.header(n);
    tcp_options::list(header.get(HEADER..).unwrap_or_default(), HEADER, visit);
    if stack.layers.get(n).is_some_and(|layer| layer.is_quoted) {
        return;
    }
    if let (Some((seq_base, ack_base)), Some(seq), Some(ack)) =
        (stack.relation.bases, be32(header, 4), be32(header, 8))
    {
        let relative = |n: u32, base: u32| Value::Number(n.wrapping_sub(base).into());
        visit(Item::new("relative_seq", relative(seq, seq_base), 4, 4));
        visit(Item::new("relative_ack", relative(ack, ack_base), 8, 4));
    }
    if let Some(mark) = stack.relation.mark {
        visit(Item::new("mark", Value::Text(mark.name().as_bytes()), 4, 4));
    }
}

fn summary(stack: &Stack<'_>, n: usize, line: &mut Line) {
    let (header, length) = (stack.header(n), stack.payload_length(n));
    let (Some(seq), Some(ack), Some(&flags)) = (be32(header, 4), be32(header, 8), header.get(13))
    else {
        return;
    };
    if line.is_brief() {
        line.text("tcp ").dec(length as u64);
        return;
    }
    let (seq_base, ack_base) = stack.relation.bases.unwrap_or_default();
    line.text("Flags [");
    say_flags(flags, line);
    line.text("]");
    let seq = seq.wrapping_sub(seq_base);
    if length > 0 || flags & (FIN | SYN | RST) != 0 {
        line.text(", seq ").dec(seq);
    }
    if length > 0 {
        line.text(":").dec(seq.wrapping_add(length as u32));
    }
    if flags & ACK != 0 {
        line.text(", ack ").dec(ack.wrapping_sub(ack_base));
    }
    line.text(", win ").dec(be16(header, 14).unwrap_or_default());
    if flags & URG != 0 {
        line.text(", urg ").dec(be16(header, 18).unwrap_or_default());
    }
    if header.len() > HEADER {
        tcp_options::say(&header[HEADER..], ack_base, line);
    }
    line.text(", length ").dec(length as u64);
    if stack.layers.get(n + 1).is_some() {
        line.text(": ");
        stack.summarise(n + 1, line);
    }
    if let Some(mark) = stack.relation.mark {
        line.text(" [").text(mark.name());
        if let Mark::DuplicateAck(count) = mark {
            line.text(" ").dec(count);
        }
        line.text("]");
    }
}

/// Says the letters that tcpdump uses: `S.` is SYN and ACK.
fn say_flags(flags: u8, line: &mut Line) {
    const LETTERS: [(u8, &str); 8] = [
        (FIN, "F"),
        (SYN, "S"),
        (RST, "R"),
        (PSH, "P"),
        (ACK, "."),
        (URG, "U"),
        (0x40, "E"),
        (0x80, "W"),
    ];
    if flags == 0 {
        line.text("none");
    }
    for (bit, letter) in LETTERS {
        if flags & bit != 0 {
            line.text(letter);
        }
    }
}
