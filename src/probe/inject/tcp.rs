//! Segments to ports, and what each port says: a probe in the manner of a port scan.
//!
//! A SYN-ACK (open), a reset (closed), an error by ICMP, another segment, or nothing. A connection that has
//! been half opened is reset, the reset having the sequence number that the device waits for (RFC 9293
//! section 3.10.7.4).

use std::net::IpAddr;
use std::time::Duration;

use super::walk::{self, Asks};
use crate::proto::{NoteKind, Stack, Value, be16, be32, tcp};

/// What to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segments {
    /// The flags.
    pub flags: u8,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment number.
    pub ack: u32,
    /// Window.
    pub window: u16,
    /// An MSS option.
    pub mss: Option<u16>,
    /// Data.
    pub data: Vec<u8>,
    /// Whether what is half open is reset.
    pub resets: bool,
}

/// A segment that came back.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// After how long.
    pub after: Duration,
    /// Its flags.
    pub flags: u8,
    /// Its sequence number.
    pub seq: u32,
    /// What it acknowledges.
    pub ack: u32,
    /// Its window.
    pub window: u16,
    /// Options by name, with their values.
    pub options: Vec<(&'static str, u64)>,
    /// Bytes of data.
    pub data: Vec<u8>,
    /// Whether its checksum is wrong.
    pub is_damaged: bool,
    /// What is wrong with the numbers, if something is.
    pub odd: Option<String>,
}

impl Asks for Segments {
    type Said = Segment;
    const NAME: &'static str = "tcp";
    const NUMBER: u8 = 6;

    fn question(&self, own: u16, port: u16) -> String {
        let Segments { flags, seq, ack, window, .. } = self;
        let mss = self.mss.map(|mss| format!(",option.mss={mss}")).unwrap_or_default();
        let numbers = format!("seq={seq},ack={ack},flags={flags},window={window}{mss}");
        format!("tcp(src_port={own},dst_port={port},{numbers}){}", walk::data(&self.data))
    }

    fn answer(
        &self,
        stack: &Stack<'_>,
        at: usize,
        _from: IpAddr,
        after: Duration,
    ) -> Option<Segment> {
        let header = stack.header(at);
        let mut options = Vec::new();
        stack.visit(at, &mut |item| {
            if let (Some(name), Value::Number(value)) =
                (item.name.strip_prefix("option."), item.value)
            {
                options.push((name, value));
            }
        });
        let (flags, ack) = (*header.get(13)?, be32(header, 8)?);
        Some(Segment {
            after,
            flags,
            seq: be32(header, 4)?,
            ack,
            window: be16(header, 14)?,
            options,
            data: stack.payload(at).to_vec(),
            is_damaged: stack
                .notes
                .iter()
                .any(|note| matches!(note.kind, NoteKind::Checksum { .. })),
            odd: self.oddity(flags, ack),
        })
    }

    fn parting(&self, said: &Segment, own: u16, port: u16) -> Option<String> {
        let is_half_open = said.flags & (tcp::SYN | tcp::ACK) == tcp::SYN | tcp::ACK;
        let seq = said.ack;
        (self.resets && is_half_open)
            .then(|| format!("tcp(src_port={own},dst_port={port},seq={seq},flags=R,window=0)"))
    }
}

impl Segments {
    /// What is wrong with an answer's acknowledgment number.
    fn oddity(&self, flags: u8, ack: u32) -> Option<String> {
        let syn = u32::from(self.flags & tcp::SYN != 0);
        let most = u32::from(self.flags & tcp::FIN != 0) + self.data.len() as u32;
        let least = self.seq.wrapping_add(syn);
        let is_new = flags & tcp::ACK != 0 && self.flags & tcp::ACK == 0;
        (is_new && ack.wrapping_sub(least) > most)
            .then(|| format!("it acknowledges {ack}, where {least} was due"))
    }
}
