//! Who speaks in a capture, where that are two: the host and the device.
//!
//! A capture of somebody else's line, or an anonymized one, has other addresses. Where two ends talk to each other and
//! nobody else is there, it is plain who they are: our captures say which way a frame went, and elsewhere the host is
//! the one who asks, by opening connections, with pings, and at low ports.

use std::net::IpAddr;

use pnet::util::MacAddr;

use super::link;
use crate::capture::read::{Reader, Reading};
use crate::dissect::Dissector;
use crate::dissect::filter::{Filter, Seen};
use crate::error::Result;
use crate::proto::{be16, ipv4_at, tcp};
use crate::record::{Body, Direction, LinkType, Origin, Packet};

/// Connections that are told apart.
const CONNECTIONS: usize = 64;
/// Frames that are looked at.
const LOOKED_AT: usize = 20_000;

/// One end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party {
    /// Its address.
    pub ip: IpAddr,
    /// Its Ethernet address, where the capture has such.
    pub mac: Option<MacAddr>,
}

/// Both ends of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Who asks.
    pub host: Party,
    /// Who answers.
    pub device: Party,
}

/// Who speaks in a capture: the only two of each kind of address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cast {
    /// With IPv4.
    pub four: Option<Pair>,
    /// With IPv6.
    pub six: Option<Pair>,
    /// With link-local IPv6.
    pub local: Option<Pair>,
    /// The capture says which way frames went.
    pub knows_directions: bool,
    /// Connections of the tunnel that were there at the same time.
    pub beside: Vec<u32>,
}

/// Which connections were there at the same time.
#[derive(Debug, Default)]
struct Beside {
    seen: Vec<u32>,
    found: Vec<u32>,
}

impl Beside {
    /// A frame of a connection. When one is heard of again, those that began since then are beside it.
    fn note(&mut self, connection: u32) {
        let Some(n) = self.seen.iter().rposition(|seen| *seen == connection) else {
            if self.seen.len() < CONNECTIONS {
                self.seen.push(connection);
            }
            return;
        };
        if n + 1 < self.seen.len() {
            for other in &self.seen[n..] {
                if !self.found.contains(other) {
                    self.found.push(*other);
                }
            }
        }
    }
}

/// All who speak with addresses of one kind, as long as there are no more than two.
#[derive(Debug, Default)]
struct Talk {
    ends: Vec<Party>,
    /// Which of them have spoken.
    has_spoken: [bool; 2],
    /// How much more the first one asks than the second one.
    asks: i64,
    /// Which one is the host, if the capture says so.
    host: Option<usize>,
    is_crowded: bool,
}

impl Talk {
    fn end(&mut self, ip: IpAddr) -> Option<usize> {
        if let Some(n) = self.ends.iter().position(|end| end.ip == ip) {
            return Some(n);
        }
        self.is_crowded |= self.ends.len() == 2;
        if self.is_crowded {
            return None;
        }
        self.ends.push(Party { ip, mac: None });
        Some(self.ends.len() - 1)
    }

    fn note(&mut self, said: &Said) {
        let Some(source) = self.end(said.source) else { return };
        if let Some(destination) = said.destination {
            self.end(destination);
            self.has_spoken[source] = true;
        }
        let sign = if source == 0 { 1 } else { -1 };
        self.asks += sign * said.asks;
        self.ends[source].mac = self.ends[source].mac.or(said.mac);
        self.host = match said.direction {
            Direction::ToDevice => Some(source),
            Direction::FromDevice => Some(1 - source),
            Direction::Unknown => self.host,
        };
    }

    fn pair(&self) -> Option<Pair> {
        let [first, second] = self.ends[..].try_into().ok()?;
        let has_both = self.has_spoken == [true; 2] && !self.is_crowded;
        let host = self.host.unwrap_or(usize::from(self.asks < 0));
        has_both.then_some(match host {
            0 => Pair { host: first, device: second },
            _ => Pair { host: second, device: first },
        })
    }
}

/// What a frame says of its ends.
struct Said {
    source: IpAddr,
    /// To whom it goes, unless that is a group.
    destination: Option<IpAddr>,
    mac: Option<MacAddr>,
    direction: Direction,
    /// How much it is a question; less than nothing is an answer.
    asks: i64,
}

impl Said {
    fn of(link: LinkType, frame: &[u8], direction: Direction) -> Option<Said> {
        let (kind, at) = link::locate(link, frame).ok()?;
        let is_ethernet = link == LinkType::ETHERNET;
        let to_group = is_ethernet && frame.first().is_some_and(|octet| octet & 1 == 1);
        let (source, destination, protocol, behind) = match kind {
            link::IPV4 => {
                let header = usize::from(frame.get(at)? & 15) * 4;
                let ends = [ipv4_at(frame, at + 12)?, ipv4_at(frame, at + 16)?];
                (ends[0].into(), ends[1].into(), *frame.get(at + 9)?, at + header)
            }
            link::IPV6 => {
                let ends = [link::ipv6_at(frame, at + 8)?, link::ipv6_at(frame, at + 24)?];
                (ends[0].into(), ends[1].into(), *frame.get(at + 6)?, at + 40)
            }
            _ => return None,
        };
        let is_host = |ip: &IpAddr| !ip.is_multicast() && !ip.is_unspecified() && !ends_in_255(*ip);
        let mac = frame.get(6..12).filter(|_| is_ethernet);
        let mac = mac.and_then(|octets| octets.first_chunk::<6>()).map(|octets| (*octets).into());
        Some(Said {
            source: Some(source).filter(is_host)?,
            destination: Some(destination).filter(|ip| !to_group && is_host(ip)),
            mac,
            direction,
            asks: asks(protocol, frame.get(behind..).unwrap_or_default()),
        })
    }
}

fn ends_in_255(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(ip) if ip.octets()[3] == 255)
}

/// How much a packet's payload is a question.
fn asks(protocol: u8, payload: &[u8]) -> i64 {
    match (protocol, payload.first()) {
        (6, _) => match payload.get(13).map(|flags| flags & (tcp::SYN | tcp::ACK)) {
            Some(tcp::SYN) => 8,
            _ => 0,
        },
        (17, _) => match be16(payload, 0).zip(be16(payload, 2)) {
            Some((from, to)) if from != to => {
                if from > to {
                    1
                } else {
                    -1
                }
            }
            _ => 0,
        },
        (1, Some(8)) | (58, Some(128)) => 2,
        _ => 0,
    }
}

/// Reads the beginning of a capture.
pub fn of(
    path: &std::path::Path,
    reading: &Reading,
    (filter, connection): (Option<&Filter>, Option<u32>),
) -> Result<Cast> {
    let mut reader = Reader::open(path, reading)?;
    let mut dissector = Dissector::default();
    let [mut four, mut six, mut local] = [Talk::default(), Talk::default(), Talk::default()];
    let (mut beside, mut knows_directions) = (Beside::default(), false);
    for _ in 0..LOOKED_AT {
        let Some(record) = reader.read()? else { break };
        let Origin { direction, connection: number, .. } = record.origin;
        if connection.is_some_and(|wanted| wanted != number) {
            continue;
        }
        let (link, bytes) = match record.body {
            Body::Frame(bytes) => (LinkType::ETHERNET, bytes),
            Body::Packet(Packet { link, bytes, .. }) => (link, bytes),
            _ => continue,
        };
        let is_wanted = filter.is_none_or(|filter| {
            let seen = Seen { frame: &bytes, length: bytes.len(), direction, link };
            let stack = dissector.dissect_as(link, &bytes, bytes.len());
            filter.matches(&seen, || stack)
        });
        if is_wanted {
            beside.note(number);
            knows_directions |= direction != Direction::Unknown;
        }
        let Some(said) = Said::of(link, &bytes, direction).filter(|_| is_wanted) else { continue };
        match said.source {
            IpAddr::V4(_) => four.note(&said),
            IpAddr::V6(ip) if ip.is_unicast_link_local() => local.note(&said),
            IpAddr::V6(_) => six.note(&said),
        }
    }
    beside.found.sort_unstable();
    let beside = beside.found;
    Ok(Cast { four: four.pair(), six: six.pair(), local: local.pair(), knows_directions, beside })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::samples;

    /// The datagram of the device, or one of ours from `last`.
    fn said(last: Option<u8>, direction: Direction) -> Said {
        let mut frame = samples::datagram();
        if let Some(last) = last {
            frame[26..34].copy_from_slice(&[192, 168, 100, last, 192, 168, 100, 2]);
            frame[34..38].copy_from_slice(&[0x9c, 0x40, 0, 7]);
            frame[..12].copy_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, last]);
        }
        Said::of(LinkType::ETHERNET, &frame, direction).expect("it is one of IP")
    }

    fn pair(all: &[Said]) -> Option<Pair> {
        let mut talk = Talk::default();
        all.iter().for_each(|said| talk.note(said));
        talk.pair()
    }

    #[test]
    fn who_asks_is_the_host_unless_the_capture_knows_better() {
        let unknown = Direction::Unknown;
        let end = |n| Party { ip: [192, 168, 100, n].into(), mac: Some(MacAddr(2, 0, 0, 0, 0, n)) };
        let found = Pair { host: end(1), device: end(2) };
        assert_eq!(pair(&[said(Some(1), unknown), said(None, unknown)]), Some(found));
        assert_eq!(pair(&[said(None, unknown), said(Some(1), unknown)]), Some(found));
        let other = pair(&[said(None, Direction::ToDevice), said(Some(1), Direction::FromDevice)]);
        assert_eq!(other, Some(Pair { host: end(2), device: end(1) }));
    }

    #[test]
    fn who_is_alone_and_three_are_no_pair() {
        let unknown = Direction::Unknown;
        assert_eq!(pair(&[said(Some(1), unknown)]), None);
        let three = [said(Some(1), unknown), said(None, unknown), said(Some(3), unknown)];
        assert_eq!(pair(&three), None);
    }

    #[test]
    fn connections_that_alternate_are_beside_each_other() {
        let beside = |numbers: &[u32]| {
            let mut beside = Beside::default();
            numbers.iter().for_each(|number| beside.note(*number));
            beside.found
        };
        assert_eq!(beside(&[1, 1, 2, 2, 3]), [0; 0]);
        assert_eq!(beside(&[1, 2, 2, 3, 2]), [2, 3]);
        assert_eq!(beside(&[1, 2, 1, 2]), [1, 2]);
    }

    #[test]
    fn no_bytes_make_it_panic() {
        for frame in [samples::syn(), samples::datagram(), samples::arp_request()] {
            for at in 0..frame.len() {
                Said::of(LinkType::ETHERNET, &frame[..at], Direction::Unknown);
                let mut damaged = frame.clone();
                damaged[at] ^= 0xff;
                Said::of(LinkType::ETHERNET, &damaged, Direction::Unknown);
            }
        }
    }
}
