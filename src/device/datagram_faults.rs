//! Faults in how UDP datagrams are taken. They change frames on their way to the device, whose stack is
//! right.

use super::faults::{Fault, Faults};
use super::own_faults::Fate;
use super::packet::{self, IP};
use crate::checksum::Sum;
use crate::proto::be16;

/// Bytes of a UDP header.
const HEADER: usize = 8;
const UDP: u8 = 17;
const HOST: [u8; 4] = [192, 168, 100, 1];

/// A frame from the line, as a device with these faults sees it.
pub fn received(faults: Faults, frame: &mut [u8]) -> Fate {
    let Some(parts) = packet::parts(frame).filter(|parts| parts.protocol == UDP) else {
        return Fate::Taken;
    };
    if parts.offset > 0 || parts.more {
        return Fate::Taken;
    }
    let length = parts.end - parts.transport;
    if length < HEADER {
        return match faults.has(Fault::ShortUdpKills) {
            true => Fate::Death,
            false => Fate::Taken,
        };
    }
    let ports = [0, 2].map(|at| be16(frame, parts.transport + at));
    if faults.has(Fault::PortZeroKills) && ports.contains(&Some(0)) {
        return Fate::Death;
    }
    let has_no_sum = be16(frame, parts.transport + 6) == Some(0);
    if faults.has(Fault::ZeroSumDropped) && has_no_sum
        || faults.has(Fault::EmptyDatagramDropped) && length == HEADER
    {
        return Fate::Dropped;
    }
    if faults.has(Fault::UdpLengthIgnored) {
        let datagram = &mut frame[parts.transport..parts.end];
        datagram[4..6].copy_from_slice(&(length as u16).to_be_bytes());
        if !has_no_sum {
            datagram[6..8].fill(0);
            let start = Sum::pseudo(parts.source, parts.destination, UDP, length);
            let sum = start.plus(datagram).finish();
            datagram[6..8].copy_from_slice(&sum.to_be_bytes());
        }
    }
    let is_from_group = parts.source.is_multicast() || parts.source.octets()[3] == 255;
    if faults.has(Fault::UdpGroupSource) && is_from_group {
        frame[IP + 12..IP + 16].copy_from_slice(&HOST);
        packet::mend(frame);
    }
    Fate::Taken
}
