//! Connections that are open when we leave: where they began, and the resets that end them.
//!
//! A device has few connections to give away, and one whose peer is gone holds its own for minutes. So whoever leaves
//! in the middle resets them, with the number that is due (RFC 9293 section 3.10.7.4: another one is not believed).

use bytes::Bytes;

use super::connection::Leaving;
use super::glance;
use crate::checksum::Sum;
use crate::proto::tcp;

/// Bytes of an opening frame that are remembered: its headers.
const HEADERS: usize = 128;
/// Bytes of a header of each kind without options.
const IPV4: usize = 20;
const IPV6: usize = 40;
const TCP: usize = 20;

/// A frame of the capture, and how many had been sent before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// The frame, counted from 1.
    pub number: u64,
    /// Frames that had been sent.
    pub sent: u64,
}

/// The headers of a frame that opens a connection.
pub(super) fn headers(frame: &[u8]) -> Bytes {
    Bytes::copy_from_slice(frame.get(..HEADERS).unwrap_or(frame))
}

/// The frame that resets a connection which a frame with these headers has opened.
pub(super) fn reset(headers: &[u8], leaving: Leaving) -> Option<Bytes> {
    let (kind, at) = glance::packet(headers)?;
    let is_v4 = kind == 0x0800;
    if !is_v4 && headers.get(at + 6) != Some(&6) {
        return None; // there is more in front of the segment
    }
    let (length, addresses) = match is_v4 {
        true => (usize::from(headers.get(at)? & 15) * 4, at + 12..at + 20),
        false => (IPV6, at + 8..at + 40),
    };
    let segment = headers.get(at + length..at + length + 4)?; // the ports
    let mut reset = segment.to_vec();
    reset.extend(leaving.seq.to_be_bytes());
    reset.extend(leaving.ack.to_be_bytes());
    reset.extend([((TCP / 4) << 4) as u8, tcp::RST | tcp::ACK, 0, 0, 0, 0, 0, 0]);
    let sum = Sum::default().plus(headers.get(addresses)?).plus(&[0, 6, 0, TCP as u8]);
    let sum = sum.plus(&reset).finish().to_be_bytes();
    reset.get_mut(16..18)?.copy_from_slice(&sum);
    let mut frame = headers.get(..at + if is_v4 { IPV4 } else { IPV6 })?.to_vec();
    let packet = frame.get_mut(at..)?;
    if is_v4 {
        packet[0] = 0x45;
        packet[2..4].copy_from_slice(&((IPV4 + TCP) as u16).to_be_bytes());
        packet[10..12].fill(0);
        let sum = crate::checksum::internet(packet).to_be_bytes();
        packet[10..12].copy_from_slice(&sum);
    } else {
        packet[4..6].copy_from_slice(&(TCP as u16).to_be_bytes());
    }
    frame.extend(reset);
    Some(frame.into())
}
