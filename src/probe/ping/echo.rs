//! Echo messages of both versions of IP: the request, and what a frame says about one.

use std::net::{IpAddr, Ipv6Addr};

use super::Plan;
use crate::craft::text::link_local;
use crate::craft::{EchoRequest, Route};
use crate::error::Result;
use crate::probe::inject::Disguise;
use crate::probe::{Identity, inject};
use crate::proto::{MacAddr, NoteKind, Stack, be16, icmp, icmpv6, ipv4, ipv6, mac_at};

/// A request with these numbers and data.
pub(super) fn request(
    plan: &Plan,
    identity: &Identity,
    sequence: u16,
    data: &[u8],
) -> Result<Vec<u8>> {
    if plan.target.is_some() || plan.disguise != Disguise::default() {
        return by_text(plan, identity, sequence, data);
    }
    let route = Route {
        source_mac: identity.host_mac,
        destination_mac: identity.device_mac,
        source: identity.host_ip,
        destination: identity.device_ip,
    };
    let echo = EchoRequest {
        identifier: plan.identifier,
        sequence,
        ttl: plan.ttl,
        tos: plan.tos,
        ip_id: sequence,
        data,
    };
    Ok(echo.frame(&route))
}

/// The same by way of the language of frames, which knows IPv6 and what is wrong on purpose.
fn by_text(plan: &Plan, identity: &Identity, sequence: u16, data: &[u8]) -> Result<Vec<u8>> {
    let Plan { ttl, tos, identifier, .. } = plan;
    let numbers = format!("identifier={identifier},sequence_number={sequence}");
    let text = match plan.target {
        Some(_) => {
            format!("ip6(hop_limit={ttl},traffic_class={tos})/icmp6(type=128,{numbers})")
        }
        None => format!("ip(ttl={ttl},tos={tos},id={sequence},df)/icmp(type=8,{numbers})"),
    };
    let ends = inject::ends(identity, plan.target.map(IpAddr::V6));
    let frame = inject::frame_with(&text, data, &ends, &plan.disguise)?;
    Ok(plan.disguise.wire.cut(frame))
}

/// A message that is about one of our requests.
pub(in crate::probe) struct Message<'a> {
    /// Whether it is a reply; an error otherwise.
    pub is_reply: bool,
    /// Who sent it.
    pub from: IpAddr,
    /// Our request's identifier and sequence number.
    pub identifier: u16,
    pub sequence: u16,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// Bytes of the message.
    pub length: usize,
    /// The data that came back.
    pub data: &'a [u8],
    /// The layer of the message.
    pub at: usize,
}

/// The message in a frame, if it is a reply, or an error that quotes a request.
pub(in crate::probe) fn message<'a>(stack: &Stack<'a>) -> Option<Message<'a>> {
    let network = stack.layers.get(1)?.protocol;
    let (at, is_v6) = match network {
        known if known == &ipv4::IPV4 => (2, false),
        known if known == &ipv6::IPV6 => {
            let at = stack.layers.iter().position(|layer| layer.protocol == &icmpv6::ICMPV6)?;
            (at, true)
        }
        _ => return None,
    };
    let layer = stack.layers.get(at)?;
    let (ip, header, data) = (stack.header(1), stack.header(at), stack.payload(at));
    let kind = *header.first()?;
    let (from, _, _) = inject::carried(stack)?;
    let ttl = *ip.get(if is_v6 { 7 } else { 8 })?;
    let length = header.len() + data.len();
    let whole = |is_reply, numbers: &[u8]| {
        let (identifier, sequence) = (be16(numbers, 4)?, be16(numbers, 6)?);
        Some(Message { is_reply, from, identifier, sequence, ttl, length, data, at })
    };
    match (is_v6, kind) {
        (false, _) if layer.protocol != &icmp::ICMP => None,
        (false, icmp::ECHO_REPLY) | (true, icmpv6::ECHO_REPLY) => whole(true, header),
        (false, icmp::UNREACHABLE | 4 | 5 | 11 | 12) => {
            let inner = data.get(usize::from(data.first()? & 15) * 4..)?;
            let is_echo = data.get(9) == Some(&1) && inner.first() == Some(&icmp::ECHO_REQUEST);
            whole(false, inner).filter(|_| is_echo)
        }
        (true, 1..=4) => {
            let inner = data.get(ipv6::HEADER..)?;
            let is_echo = data.get(6) == Some(&58) && inner.first() == Some(&icmpv6::ECHO_REQUEST);
            whole(false, inner).filter(|_| is_echo)
        }
        _ => None,
    }
}

/// What is wrong with the addresses of a reply.
pub(super) fn misdirection(
    stack: &Stack<'_>,
    identity: &Identity,
    target: Option<Ipv6Addr>,
) -> Option<String> {
    let (from, to, _) = inject::carried(stack)?;
    let mac = MacAddr::from(mac_at(stack.header(0), 0)?);
    let (asked, ours) = match target {
        Some(target) => (IpAddr::V6(target), IpAddr::V6(link_local(identity.host_mac))),
        None => (IpAddr::V4(identity.device_ip), IpAddr::V4(identity.host_ip)),
    };
    let is_group = target.is_some_and(|target| target.is_multicast()); // any of them may answer
    if from != asked && !is_group {
        return Some(format!("comes from {from}"));
    }
    if to != ours {
        return Some(format!("goes to {to}, not to {ours}"));
    }
    let is_ours = mac == identity.host_mac || mac.is_broadcast();
    (!is_ours).then(|| format!("goes to {mac}, not to {}", identity.host_mac))
}

/// Whether a checksum is wrong.
pub(super) fn is_damaged(stack: &Stack<'_>) -> bool {
    stack.notes.iter().any(|note| matches!(note.kind, NoteKind::Checksum { .. }))
}
