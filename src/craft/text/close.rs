//! Lengths and checksums, from inside to outside.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Part;
use super::appended::put;
use super::kind::Style;
use super::layer::{Excess, Layer};
use crate::checksum::{self, Sum};

/// The addresses over which checksums of the layers inside go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pseudo {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

impl Pseudo {
    fn sum(self, protocol: u8, length: usize) -> Sum {
        match self {
            Pseudo::V4(source, destination) => Sum::pseudo(source, destination, protocol, length),
            Pseudo::V6(source, destination) => {
                Sum::pseudo_v6(source, destination, protocol, length)
            }
        }
    }
}

/// The addresses around part `n`: those of the nearest IP layer outside of it, the end of a route that
/// leads on being the destination (RFC 8200 section 8.1, and for IPv4 RFC 791 section 3.1).
pub(super) fn pseudo(parts: &[Part], n: usize) -> Option<Pseudo> {
    let mut routed = None;
    for part in parts.get(..n)?.iter().rev() {
        let Part::Layer(layer) = part else { continue };
        match layer.name() {
            "ipv6_routing" if layer.get("segments_left") > 0 || !layer.has("segments_left") => {
                let kind = layer.get("routing_type");
                let last = match kind {
                    4 => layer.tail.get(..16), // in reverse (RFC 8754 section 2)
                    _ => layer.tail.len().checked_sub(16).and_then(|at| layer.tail.get(at..)),
                };
                routed = last.and_then(|last| <[u8; 16]>::try_from(last).ok()).map(Ipv6Addr::from);
            }
            "ipv6" => {
                let destination = routed.unwrap_or(Ipv6Addr::from(layer.get("dst")));
                return Some(Pseudo::V6(Ipv6Addr::from(layer.get("src")), destination));
            }
            "ipv4" => {
                let address = |name| Ipv4Addr::from(layer.get(name) as u32);
                let end = source_route(&layer.tail).unwrap_or(address("dst"));
                return Some(Pseudo::V4(address("src"), end));
            }
            _ => {}
        }
    }
    None
}

/// The end of a source route that has not been reached.
fn source_route(options: &[u8]) -> Option<Ipv4Addr> {
    let mut rest = options;
    loop {
        match rest {
            [0 | 1, behind @ ..] => rest = behind,
            [131 | 137, length, pointer, ..] => {
                let option = rest.get(..usize::from(*length))?;
                let last = option.len().checked_sub(4).filter(|at| *at >= 3)?;
                let is_open = usize::from(*pointer) < option.len();
                let octets: [u8; 4] = option.get(last..)?.try_into().ok()?;
                return is_open.then(|| octets.into());
            }
            [_, length, ..] if *length >= 2 => rest = rest.get(usize::from(*length)..)?,
            _ => return None,
        }
    }
}

/// The whole layer around `payload`, and what does not fit into its fields.
pub(super) fn close(
    mut layer: Layer,
    payload: Vec<u8>,
    pseudo: Option<Pseudo>,
) -> (Vec<u8>, Option<Excess>) {
    end_options(&mut layer);
    fill_lengths(&mut layer, payload.len());
    fill_checksum(&mut layer, &payload, pseudo);
    let mut bytes = layer.head;
    bytes.extend(layer.tail);
    bytes.extend(payload);
    (bytes, layer.excess)
}

/// Lengths and counts, with so many bytes inside.
fn fill_lengths(layer: &mut Layer, payload: usize) {
    let header = layer.head.len() + layer.tail.len();
    let eights = (header / 8).saturating_sub(1);
    match layer.name() {
        "ipv4" => {
            layer.fill_length("ihl", header / 4, None);
            layer.fill_length("total_length", header + payload, None);
        }
        "ipv6" => layer.fill_length("payload_length", layer.tail.len() + payload, None),
        "ipv6_hop_by_hop" | "ipv6_destination" => layer.fill_length("hdr_ext_len", eights, None),
        "ipv6_routing" => {
            layer.fill_length("hdr_ext_len", eights, None);
            layer.fill("segments_left", (layer.tail.len() / 16) as u8);
            if layer.get("routing_type") == 4 {
                layer.fill("last_entry", (layer.tail.len() / 16).saturating_sub(1) as u8);
            }
        }
        "ah" => layer.fill_length("payload_len", (header / 4).saturating_sub(2), None),
        "udp" => layer.fill_length("length", header + payload, None),
        "tcp" => layer.fill_length("data_offset", header / 4, None),
        "dns" => {
            for (name, count) in
                ["qdcount", "ancount", "nscount", "arcount"].into_iter().zip(layer.entries.counts)
            {
                layer.fill(name, count);
            }
        }
        _ => {}
    }
}

/// Fills options up, and ends them, as their style wants it.
fn end_options(layer: &mut Layer) {
    let size = layer.head.len() + layer.tail.len();
    match layer.kind.style {
        Style::Words => layer.tail.resize(layer.tail.len().next_multiple_of(4), 0),
        Style::Ipv6 => {
            let missing = size.next_multiple_of(8) - size;
            match missing {
                0 => {}
                1 => put(layer, 0, &[]),
                n => put(layer, 1, &[0; 8][..n - 2]),
            }
        }
        Style::Dhcp => {
            if layer.tail.is_empty() {
                put(layer, 53, &[1]);
            }
            if !layer.has("option.end") && !layer.has("options") {
                put(layer, 255, &[]);
            }
        }
        Style::None | Style::Discovery | Style::Plain | Style::Dns => {}
    }
}

fn fill_checksum(layer: &mut Layer, payload: &[u8], pseudo: Option<Pseudo>) {
    let Some(name) = layer.checksum().map(|slot| slot.name) else { return };
    if layer.has(name) {
        return;
    }
    let length = layer.head.len() + layer.tail.len() + payload.len();
    let over = |sum: Sum| sum.plus(&joined(layer, payload)).finish();
    let right = match (layer.name(), pseudo) {
        ("ipv4", _) => {
            let all = joined(layer, payload);
            let covered = usize::from(layer.get("ihl") as u8) * 4;
            checksum::internet(all.get(..covered).unwrap_or(&all))
        }
        ("udp", Some(pseudo)) => {
            // The length that the header claims is what the receiver takes.
            match over(pseudo.sum(17, layer.get("length") as usize)) {
                0 => 0xffff, // 0 says that there is none
                sum => sum,
            }
        }
        ("tcp", Some(pseudo)) => over(pseudo.sum(6, length)),
        ("icmpv6", Some(pseudo)) => over(pseudo.sum(58, length)),
        _ => checksum::internet(&joined(layer, payload)),
    };
    layer.fill_checksum(name, right);
}

fn joined(layer: &Layer, payload: &[u8]) -> Vec<u8> {
    [&layer.head[..], &layer.tail, payload].concat()
}
