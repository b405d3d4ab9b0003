//! IPv4 frames as the device's fault layer sees and changes them.

use std::net::Ipv4Addr;

use crate::checksum::{self, Sum};
use crate::proto::{be16, be32, ethernet, ipv4_at};

/// Where the parts of an IPv4 frame are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// IP protocol number.
    pub protocol: u8,
    /// Source address.
    pub source: Ipv4Addr,
    /// Destination address.
    pub destination: Ipv4Addr,
    /// Where the transport header begins in the frame.
    pub transport: usize,
    /// Where the packet ends in the frame.
    pub end: usize,
    /// Whether more fragments follow.
    pub more: bool,
    /// The fragment's offset in bytes.
    pub offset: usize,
    /// IPv4 identification.
    pub id: u16,
}

/// Where the IPv4 header begins in a frame.
pub const IP: usize = ethernet::HEADER;

/// The parts of an IPv4 frame; `None` when it is none, or cut short.
pub fn parts(frame: &[u8]) -> Option<Parts> {
    if be16(frame, 12)? != 0x0800 {
        return None;
    }
    let header = usize::from(frame.get(IP)? & 15) * 4;
    let end = IP + usize::from(be16(frame, IP + 2)?);
    let flags = be16(frame, IP + 6)?;
    let transport = IP + header;
    let is_sound = header >= 20 && transport <= end && end <= frame.len();
    is_sound.then_some(Parts {
        protocol: *frame.get(IP + 9)?,
        source: ipv4_at(frame, IP + 12)?,
        destination: ipv4_at(frame, IP + 16)?,
        transport,
        end,
        more: flags & 0x2000 != 0,
        offset: usize::from(flags & 0x1fff) * 8,
        id: be16(frame, IP + 4)?,
    })
}

/// Makes the IPv4 header checksum right.
pub fn mend_ip(frame: &mut [u8]) {
    let Some(header) = frame.get(IP).map(|byte| usize::from(byte & 15) * 4) else { return };
    if header < 20 || frame.len() < IP + header {
        return;
    }
    frame[IP + 10..IP + 12].fill(0);
    let sum = checksum::internet(&frame[IP..IP + header]);
    frame[IP + 10..IP + 12].copy_from_slice(&sum.to_be_bytes());
}

/// Makes the transport checksum right, where there is one.
pub fn mend_transport(frame: &mut [u8]) {
    let Some(p) = parts(frame) else { return };
    let (at, start) = match p.protocol {
        1 => (2, Sum::default()),
        6 => (16, Sum::pseudo(p.source, p.destination, 6, p.end - p.transport)),
        17 => (6, Sum::pseudo(p.source, p.destination, 17, p.end - p.transport)),
        _ => return,
    };
    let Some(segment) = frame.get_mut(p.transport..p.end).filter(|s| s.len() >= at + 2) else {
        return;
    };
    segment[at..at + 2].fill(0);
    let sum = start.plus(segment).finish();
    segment[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

/// Makes every checksum right.
pub fn mend(frame: &mut [u8]) {
    mend_ip(frame);
    mend_transport(frame);
}

/// A TCP segment in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The frame's parts.
    pub ip: Parts,
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// The flags.
    pub flags: u8,
    /// Where the data begins in the frame.
    pub data: usize,
}

/// The flags of TCP.
pub mod flag {
    /// No more data from the sender.
    pub const FIN: u8 = 1;
    /// Synchronize sequence numbers.
    pub const SYN: u8 = 2;
    /// Reset the connection.
    pub const RST: u8 = 4;
    /// The acknowledgement number is valid.
    pub const ACK: u8 = 16;
}

impl Segment {
    /// The segment in a frame, if it holds a whole one.
    pub fn of(frame: &[u8]) -> Option<Segment> {
        let ip = parts(frame).filter(|p| p.protocol == 6 && p.offset == 0 && !p.more)?;
        let tcp = frame.get(ip.transport..ip.end)?;
        let data = ip.transport + usize::from(tcp.get(12)? >> 4) * 4;
        (data >= ip.transport + 20 && data <= ip.end).then_some(Segment {
            ip,
            source_port: be16(tcp, 0)?,
            destination_port: be16(tcp, 2)?,
            seq: be32(tcp, 4)?,
            ack: be32(tcp, 8)?,
            flags: *tcp.get(13)?,
            data,
        })
    }

    /// Bytes of data.
    pub fn length(&self) -> usize {
        self.ip.end - self.data
    }

    /// Whether all of these flags are set.
    pub fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// The options, as (kind, position in the frame, length); an option of length 0 or 1 that may
    /// not have it ends the list with that length.
    pub fn options<'a>(&self, frame: &'a [u8]) -> impl Iterator<Item = (u8, usize, usize)> + 'a {
        let (mut at, end) = (self.ip.transport + 20, self.data);
        std::iter::from_fn(move || {
            let kind = *frame.get(at).filter(|_| at < end)?;
            let length = match kind {
                0 | 1 => 1,
                _ => frame.get(at + 1).filter(|_| at + 1 < end).map_or(0, |n| usize::from(*n)),
            };
            let item = (kind, at, length);
            at = if kind == 0 || length == 0 { end } else { at + length };
            Some(item)
        })
    }
}

/// Both ends of a connection, seen from the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// The peer's address.
    pub peer: Ipv4Addr,
    /// The peer's port.
    pub peer_port: u16,
    /// The device's port.
    pub port: u16,
}

impl Flow {
    /// The flow of a segment that came in.
    pub fn of_received(segment: &Segment) -> Flow {
        Flow {
            peer: segment.ip.source,
            peer_port: segment.source_port,
            port: segment.destination_port,
        }
    }

    /// The flow of a segment that goes out.
    pub fn of_sent(segment: &Segment) -> Flow {
        Flow {
            peer: segment.ip.destination,
            peer_port: segment.destination_port,
            port: segment.source_port,
        }
    }
}

/// Whether sequence number `a` is behind `b` (RFC 9293 section 3.4).
pub fn is_after(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) > 0
}
