//! What IPv6's hop-by-hop and destination options hold (RFC 8200 section 4.2): type, length and value, but
//! for the single byte of padding. The upper bits of a type tell what a node shall do that does not
//! know it.

use std::net::Ipv6Addr;

use super::read::ipv6_at;
use super::{Field, Item, Stack, Value, be16, be32, field, ip, listed};

/// The fields of a header that holds options.
pub(super) const FIELDS: &[Field] = &[
    field!("next_header", 0, 1, names ip::protocol_meaning),
    field!("hdr_ext_len", 1, 1),
    listed!("option.type", Number, many),
    listed!("option.router_alert", Number, many),
    listed!("option.jumbo_payload_length", Number, many),
    listed!("option.tunnel_encapsulation_limit", Number, many),
    listed!("option.home_address", Ipv6, many),
    listed!("option.data", Bytes, many),
];

/// The options of a header: place and bytes of each, as far as they can be read.
pub fn each(header: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 2;
    std::iter::from_fn(move || {
        let length = match *header.get(at)? {
            0 => 1,
            _ => 2 + usize::from(*header.get(at + 1)?),
        };
        let option = (at, header.get(at..at + length)?);
        at += length;
        Some(option)
    })
}

/// The length that a jumbo payload option gives, if these hop-by-hop options have one (RFC 2675).
pub(crate) fn jumbo_length(bytes: &[u8]) -> Option<usize> {
    let header = bytes.get(..8 + 8 * usize::from(*bytes.get(1)?))?;
    let (_, option) = each(header).find(|(_, option)| option.starts_with(&[0xc2, 4]))?;
    usize::try_from(be32(option, 2)?).ok()
}

/// Visits the options of layer `n`.
pub(super) fn list(stack: &Stack<'_>, n: usize, visit: &mut dyn FnMut(Item<'_>)) {
    for (at, option) in each(stack.header(n)) {
        let (kind, value_at) = (option[0], at + 2);
        let number = Value::Number(kind.into());
        visit(Item::new("option.type", number, at, option.len()).meaning(option_name(kind)));
        match (kind, option.len()) {
            (0 | 1, _) | (_, 0..=2) => {}
            (5, 4) => {
                let alert = u64::from(be16(option, 2).unwrap_or_default());
                let item = Item::new("option.router_alert", Value::Number(alert), value_at, 2);
                visit(item.meaning(alert_name(alert)));
            }
            (4, 3) => {
                let limit = Value::Number(option[2].into());
                visit(Item::new("option.tunnel_encapsulation_limit", limit, value_at, 1));
            }
            (0xc2, 6) => {
                let length = Value::Number(be32(option, 2).unwrap_or_default().into());
                visit(Item::new("option.jumbo_payload_length", length, value_at, 4));
            }
            (0xc9, 18) => {
                let home = ipv6_at(option, 2).unwrap_or(Ipv6Addr::UNSPECIFIED);
                visit(Item::new("option.home_address", Value::Ipv6(home), value_at, 16));
            }
            (_, length) => {
                visit(Item::new("option.data", Value::Bytes(&option[2..]), value_at, length - 2));
            }
        }
    }
}

/// The name of an option (IANA's registry of destination options and hop-by-hop options); of an unknown
/// one, what its upper two bits ask of who does not know it (RFC 8200 section 4.2).
fn option_name(kind: u8) -> &'static str {
    match kind {
        0x00 => "Pad1",
        0x01 => "PadN",
        0x04 => "tunnel encapsulation limit",
        0x05 => "router alert",
        0x07 => "CALIPSO",
        0x08 => "SMF_DPD",
        0x0f => "PDM",
        0x23 | 0x63 => "RPL",
        0x26 => "quick start",
        0x30 => "minimum path MTU",
        0x31 => "IOAM",
        0x6d => "MPL",
        0x8a => "endpoint identification",
        0x8b => "ILNP nonce",
        0x8c => "line identification",
        0xc2 => "jumbo payload",
        0xc9 => "home address",
        0xee => "IP_DFF",
        _ => match kind >> 6 {
            0 => "unknown, to be skipped",
            1 => "unknown, packet to be discarded",
            2 => "unknown, packet to be discarded, with an ICMP error",
            _ => "unknown, packet to be discarded, with an ICMP error unless multicast",
        },
    }
}

/// The name of a router alert's value (IANA's registry; RFC 2711).
fn alert_name(value: u64) -> Option<&'static str> {
    Some(match value {
        0 => "MLD",
        1 => "RSVP",
        2 => "active networks",
        _ => return None,
    })
}
