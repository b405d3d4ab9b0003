//! Where IPv6 neighbours are (RFC 4861 section 7.2): asking for an address, and answering for ours.

use std::net::Ipv6Addr;
use std::time::Duration;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tokio::time::Instant;

use super::Probe;
use crate::craft::text::{End, Ends, Recipe, link_local, solicited_node};
use crate::error::{Error, Result};
use crate::framing::Carries;
use crate::proto::{MacAddr, be16, ethernet, ipv6, mac_at};
use crate::record::Body;

/// Types of messages.
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// Solicitations until nobody is there (RFC 4861 section 10, MAX_MULTICAST_SOLICIT).
const TRIES: u32 = 3;

/// A message of neighbour discovery in a frame: its type, its sender, whom it is about.
struct Message<'a> {
    kind: u8,
    source: Ipv6Addr,
    target: Ipv6Addr,
    sender: MacAddr,
    options: &'a [u8],
}

fn address(bytes: &[u8], at: usize) -> Option<Ipv6Addr> {
    <[u8; 16]>::try_from(bytes.get(at..at.checked_add(16)?)?).ok().map(Ipv6Addr::from)
}

impl<'a> Message<'a> {
    fn in_frame(frame: &'a [u8]) -> Option<Self> {
        let packet = frame.get(ethernet::HEADER..).filter(|_| be16(frame, 12) == Some(0x86dd))?;
        let message = packet.get(ipv6::HEADER..)?;
        // Hop limit 255: it comes from the line itself (section 7.1).
        let is_near = packet.get(6) == Some(&58) && packet.get(7) == Some(&255);
        let kind = *message
            .first()
            .filter(|kind| is_near && matches!(**kind, SOLICITATION | ADVERTISEMENT))?;
        Some(Message {
            kind,
            source: address(packet, 8)?,
            target: address(message, 8)?,
            sender: MacAddr::from(ethernet::source(frame)?),
            options: message.get(24..)?,
        })
    }

    /// The Ethernet address in the option of that type, or the frame's sender.
    fn link_layer(&self, kind: u8) -> MacAddr {
        let mut rest = self.options;
        while let [code, length, ..] = rest
            && *length > 0
        {
            if *code == kind
                && let Some(mac) = mac_at(rest, 2)
            {
                return MacAddr::from(mac);
            }
            rest = rest.get(usize::from(*length) * 8..).unwrap_or_default();
        }
        self.sender
    }
}

/// The advertisement that answers a solicitation for the address of `host`, if `frame` is one.
pub(super) fn advertisement(frame: &[u8], host: &End) -> Option<Vec<u8>> {
    let asked = Message::in_frame(frame)?;
    if asked.kind != SOLICITATION || asked.target != host.ip6 {
        return None;
    }
    let is_probe = asked.source.is_unspecified(); // somebody wants the address for itself
    let to = if is_probe { Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1) } else { asked.source };
    let text = format!(
        "ip6(dst={to})/icmp6(type=136,flags.solicited={},flags.override=1)",
        u8::from(!is_probe)
    );
    let mut device = *host;
    device.mac = asked.link_layer(1);
    made(&text, &Ends { host: *host, device })
}

fn made(text: &str, ends: &Ends) -> Option<Vec<u8>> {
    let nothing = |_: &str| Err(String::new());
    let recipe = Recipe::parse(text, &nothing).ok()?;
    Some(recipe.frame(ends, &mut ChaCha8Rng::seed_from_u64(0)))
}

/// Asks where `target` is, and keeps it as the device's Ethernet address.
pub async fn resolve(probe: &mut Probe, target: Ipv6Addr, timeout: Duration) -> Result<MacAddr> {
    if probe.framing().carries == Carries::Ip {
        return Ok(probe.identity().device_mac); // nobody there has one
    }
    probe.speak_ip6();
    if target.is_multicast() {
        let [.., a, b, c, d] = target.octets();
        return Ok(MacAddr(0x33, 0x33, a, b, c, d));
    }
    let host = End::new(probe.identity().host_mac, probe.identity().host_ip);
    let ends = Ends { host, device: End { ip6: target, ..host } };
    let question = format!("ip6(dst={})/icmp6(type=135,target={target})", solicited_node(target));
    for _ in 0..TRIES {
        let Some(frame) = made(&question, &ends) else { break };
        probe.send(frame).await?;
        let deadline = Instant::now() + timeout;
        while let Some(record) = probe.receive(deadline).await? {
            if let Body::Frame(frame) = &record.body
                && let Some(said) = Message::in_frame(frame)
                && said.kind == ADVERTISEMENT
                && said.target == target
            {
                let mac = said.link_layer(2);
                probe.found_device(mac);
                return Ok(mac);
            }
            if Instant::now() >= deadline {
                break;
            }
        }
    }
    let own = link_local(host.mac);
    Err(Error::failed(format!("{target} does not answer: nobody advertises it to {own}"))
        .with_help(
            "a link-local address is made of the Ethernet address: look at 'uarttool sniff icmp6'",
        ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::render::line::one_line;
    use std::net::Ipv4Addr;

    #[test]
    fn a_solicitation_for_us_is_answered_and_no_other() {
        let us = End::new(MacAddr(2, 0, 0, 0, 0, 1), Ipv4Addr::new(192, 168, 100, 1));
        let them = End::new(MacAddr(2, 0, 0, 0, 0, 2), Ipv4Addr::new(192, 168, 100, 2));
        let ends = Ends { host: them, device: us };
        let asked = made("icmp6(type=135)", &ends).expect("good");
        let answer = advertisement(&asked, &us).expect("it is for us");
        assert_eq!(answer[..6], them.mac.octets());
        let line = one_line(&answer);
        assert!(line.contains("neighbor advertisement"), "{line}");
        assert!(!line.contains("bad"), "{line}");
        assert_eq!(advertisement(&asked, &them), None);
        for cut in 0..asked.len() {
            let _ = advertisement(&asked[..cut], &us);
        }
        let mut far = asked;
        far[21] = 254;
        assert_eq!(advertisement(&far, &us), None, "it has been forwarded");
    }
}
