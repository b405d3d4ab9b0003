//! Sending what was asked for, and telling what comes back.
//!
//! One conversation per kind: [`walk`] asks ports by [`tcp`] and [`udp`], [`arp`] asks neighbours, [`raw`]
//! sends frames as they are and tells everything that comes. After anything malformed comes a [`sentinel`], a
//! question that every device answers: whatever the device had to say before has come when that is
//! answered, and a device that does not answer it has not survived.

pub mod arp;
mod provoked;
pub mod raw;
pub mod sentinel;
pub mod tcp;
#[cfg(test)]
mod tests;
pub mod udp;
pub mod walk;
pub mod wire;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::{Identity, Probe};
use crate::clock::Timestamp;
use crate::craft::text::{End, Ends, Recipe};
use crate::error::{Error, Result};
use crate::proto::{MacAddr, Stack, be16, icmp, icmpv6, ipv4, ipv4_at, ipv6};
use crate::record::Record;

/// The ends as they are known now; packets go to `target`.
pub fn ends(identity: &Identity, target: Option<IpAddr>) -> Ends {
    let mut ends = Ends {
        host: End::new(identity.host_mac, identity.host_ip),
        device: End::new(identity.device_mac, identity.device_ip),
    };
    match target {
        Some(IpAddr::V4(ip)) => ends.device.ip = ip,
        Some(IpAddr::V6(ip)) => ends.device.ip6 = ip,
        None => {}
    }
    ends
}

/// What is done to every frame of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disguise {
    /// A layer whose checksum is wrong; an empty name is the innermost.
    pub bad_checksum: Option<String>,
    /// A VLAN to tag it with.
    pub vlan: Option<u16>,
    /// How it goes out on the line.
    pub wire: wire::Wire,
}

impl Disguise {
    /// The recipe in disguise.
    pub fn put_on(&self, recipe: &mut Recipe) -> Result<()> {
        if let Some(name) = &self.bad_checksum {
            let name = Some(name.as_str()).filter(|name| !name.is_empty());
            recipe
                .spoil_checksum(name)
                .map_err(|why| Error::usage(format!("'--bad-checksum' cannot be had: {why}")))?;
        }
        if let Some(vid) = self.vlan {
            recipe
                .tag(vid)
                .map_err(|why| Error::usage(format!("'--vlan' cannot be had: {why}")))?;
        }
        Ok(())
    }

    /// Whether what goes out is malformed on purpose.
    pub fn is_malformed(&self) -> bool {
        self.bad_checksum.is_some() || self.wire.is_malformed()
    }
}

/// A frame of this text between the ends; chance is not asked.
fn frame(text: &str, ends: &Ends, disguise: &Disguise) -> Result<Vec<u8>> {
    frame_with(text, &[], ends, disguise)
}

/// The same with data behind it.
pub(super) fn frame_with(
    text: &str,
    data: &[u8],
    ends: &Ends,
    disguise: &Disguise,
) -> Result<Vec<u8>> {
    let nothing = |_: &str| Err("it is not asked for".to_owned());
    let mut recipe =
        Recipe::parse(text, &nothing).map_err(|mistake| Error::usage(mistake.to_string()))?;
    recipe.append(data.to_vec());
    disguise.put_on(&mut recipe)?;
    recipe
        .checked_frame(ends, &mut ChaCha8Rng::seed_from_u64(0))
        .map_err(|why| Error::usage(format!("cannot send it: {why}")))
}

/// The IP layer of that address, as text.
fn ip_layer(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "ip" } else { "ip6" }
}

/// How long after `sent` the record was there.
fn since(record: &Record, sent: Timestamp) -> Duration {
    record.time.map_or(Duration::ZERO, |span| span.last.since(sent))
}

/// The addresses of a packet and its protocol above IP, with the index of that layer.
pub(super) fn carried(stack: &Stack<'_>) -> Option<(IpAddr, IpAddr, usize)> {
    let at = stack
        .layers
        .iter()
        .position(|layer| layer.protocol == &ipv4::IPV4 || layer.protocol == &ipv6::IPV6)?;
    let header = stack.header(at);
    let (from, to) = match stack.layers.get(at)?.protocol == &ipv4::IPV4 {
        true => (IpAddr::V4(ipv4_at(header, 12)?), IpAddr::V4(ipv4_at(header, 16)?)),
        false => {
            let address = |at: usize| {
                let octets: [u8; 16] = header.get(at..at + 16)?.try_into().ok()?;
                Some(IpAddr::V6(Ipv6Addr::from(octets)))
            };
            (address(8)?, address(24)?)
        }
    };
    Some((from, to, at + 1))
}

/// An error by ICMP that quotes a packet of ours of that protocol: who sent it, what it says, and the
/// ports that it quotes, ours first.
fn quoted_ports(stack: &Stack<'_>, protocol: u8) -> Option<(IpAddr, String, [u16; 2])> {
    let (from, _, at) = carried(stack)?;
    let layer = stack.layers.get(at)?;
    let (kind, quoted) = (*stack.header(at).first()?, stack.payload(at));
    let inner = match layer.protocol {
        known if known == &icmp::ICMP && matches!(kind, 3 | 4 | 5 | 11 | 12) => {
            let header = usize::from(quoted.first()? & 15) * 4;
            quoted.get(header..).filter(|_| quoted.get(9) == Some(&protocol))?
        }
        known if known == &icmpv6::ICMPV6 && (1..=4).contains(&kind) => {
            quoted.get(ipv6::HEADER..).filter(|_| quoted.get(6) == Some(&protocol))?
        }
        _ => return None,
    };
    let mut line = crate::proto::line::Line::new(true);
    stack.summarise(at, &mut line);
    let text = String::from_utf8_lossy(line.as_bytes()).into_owned();
    Some((from, text, [be16(inner, 0)?, be16(inner, 2)?]))
}

/// Finds out where an IPv6 target is, as a host has to before it sends (RFC 4861 section 7.2).
pub(super) async fn resolve(
    probe: &mut Probe,
    target: Option<IpAddr>,
    timeout: Duration,
) -> Result<MacAddr> {
    match target {
        Some(IpAddr::V6(address)) => super::neighbours6::resolve(probe, address, timeout).await,
        _ => Ok(probe.identity().device_mac),
    }
}

/// An address of the device that nothing else is said of.
pub fn target_of(identity: &Identity, target: Option<IpAddr>) -> IpAddr {
    target.unwrap_or(IpAddr::V4(identity.device_ip))
}

/// Whether it is an address that several may answer from.
fn is_group(address: IpAddr) -> bool {
    address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST)
}
