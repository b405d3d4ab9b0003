//! What is mended around the stack on packets: what it loses of a packet while it answers it.
//!
//! smoltcp answers with a type of service of 0, where an echo reply keeps the request's (RFC 1349
//! section 5.1), and quotes in ICMP errors a header that it has written anew, where it has to be
//! the one received, unchanged (RFC 1122 section 3.2.2). Both are put back from the packets last received.

use std::collections::VecDeque;

use super::counters::Counters;
use crate::checksum::{self, Sum};
use crate::proto::{be16, icmp, ipv4_at};

/// Packets that are remembered.
const MEMORY: usize = 32;
/// Bytes of each: the longest header and the 8 bytes behind it that an error quotes at least.
const KEPT: usize = 60 + 8;
/// Bytes of an ICMP error's own header.
const ERROR_HEADER: usize = 8;

/// The packets last received.
#[derive(Debug, Default)]
pub struct Mends {
    recent: VecDeque<Vec<u8>>,
}

fn header(packet: &[u8]) -> usize {
    packet.first().map_or(0, |first| usize::from(first & 15) * 4)
}

impl Mends {
    /// A packet goes to the stack.
    pub fn received(&mut self, packet: &[u8], counters: &mut Counters) {
        let kind = packet.get(header(packet)).copied();
        match packet.get(9) {
            Some(1) if kind == Some(icmp::ECHO_REQUEST) => counters.echo_requests += 1,
            Some(17) => counters.udp_received += 1,
            _ => {}
        }
        counters.bad_checksums += u64::from(!has_right_checksums(packet));
        self.recent.push_front(packet[..packet.len().min(KEPT)].to_vec());
        self.recent.truncate(MEMORY);
    }

    /// A packet comes from the stack.
    pub fn sent(&mut self, mut packet: Vec<u8>, counters: &mut Counters) -> Vec<u8> {
        let at = header(&packet);
        let is_whole = be16(&packet, 6).is_some_and(|flags| flags & 0x3fff == 0);
        match (packet.get(9), packet.get(at)) {
            (Some(1), Some(&icmp::ECHO_REPLY)) => {
                counters.echo_replies += 1;
                if let (true, Some(tos)) = (is_whole, self.type_of_service(&packet)) {
                    packet[1] = tos;
                    mend_header(&mut packet);
                }
            }
            (Some(1), Some(&icmp::UNREACHABLE)) => {
                counters.icmp_errors += 1;
                self.quote(&mut packet);
            }
            (Some(17), _) => counters.udp_sent += 1,
            _ => {}
        }
        packet
    }

    /// The type of service of the request for this reply.
    fn type_of_service(&self, reply: &[u8]) -> Option<u8> {
        let key =
            |packet: &[u8]| packet.get(header(packet) + 4..header(packet) + 8).map(<[u8]>::to_vec);
        let request = self.recent.iter().find(|request| {
            request.get(9) == Some(&1)
                && request.get(header(request)) == Some(&icmp::ECHO_REQUEST)
                && ipv4_at(request, 12) == ipv4_at(reply, 16)
                && key(request) == key(reply)
        });
        request.and_then(|request| request.get(1).copied())
    }

    /// Puts the header as it was received into the error's quotation.
    fn quote(&self, error: &mut Vec<u8>) {
        let at = header(error) + ERROR_HEADER;
        let Some(quoted) = error.get(at..).filter(|quoted| quoted.len() >= header(quoted).max(20))
        else {
            return;
        };
        let inner = quoted[header(quoted)..].to_vec();
        let begins = |packet: &[u8], inner: &[u8]| {
            let data = packet.get(header(packet)..).unwrap_or_default();
            let n = data.len().min(inner.len()).min(8);
            data[..n] == inner[..n]
        };
        let original = self.recent.iter().find(|packet| {
            packet.get(12..20) == quoted.get(12..20)
                && packet.get(9) == quoted.get(9)
                && begins(packet, &inner)
        });
        let Some(original) = original else { return };
        error.truncate(at);
        error.extend_from_slice(&original[..header(original).min(original.len())]);
        error.extend_from_slice(&inner);
        let length = error.len() as u16;
        error[2..4].copy_from_slice(&length.to_be_bytes());
        mend_header(error);
        let message = header(error);
        error[message + 2..message + 4].fill(0);
        let sum = checksum::internet(&error[message..]);
        error[message + 2..message + 4].copy_from_slice(&sum.to_be_bytes());
    }
}

fn mend_header(packet: &mut [u8]) {
    let end = header(packet);
    packet[10..12].fill(0);
    let sum = checksum::internet(&packet[..end]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// Whether the checksums are right, as far as they can be told of a single packet.
fn has_right_checksums(packet: &[u8]) -> bool {
    let start = header(packet);
    let end = be16(packet, 2).map_or(0, usize::from);
    let (Some(head), Some(body)) = (packet.get(..start), packet.get(start..end)) else {
        return true; // cut short, not wrong
    };
    if head.len() < 20 || checksum::internet(head) != 0 {
        return false;
    }
    let is_fragment = be16(packet, 6).is_some_and(|flags| flags & 0x3fff != 0);
    let (Some(source), Some(target)) = (ipv4_at(packet, 12), ipv4_at(packet, 16)) else {
        return true;
    };
    match packet[9] {
        _ if is_fragment => true,
        1 => checksum::internet(body) == 0,
        17 if be16(body, 6) == Some(0) => true,
        protocol @ (6 | 17) => {
            Sum::pseudo(source, target, protocol, body.len()).plus(body).finish() == 0
        }
        _ => true,
    }
}
