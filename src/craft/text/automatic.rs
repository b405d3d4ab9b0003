//! What is not said: addresses and the kind of what follows from outside to inside, then lengths and
//! checksums from inside to outside.
//!
//! The packet that an ICMP error quotes went the other way, so that its automatic addresses are swapped.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Part;
use super::kind::Selector;
use super::layer::Layer;
use crate::craft::Route;
use crate::proto::MacAddr;

/// The addresses of both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Ours.
    pub host: End,
    /// The device's.
    pub device: End,
}

/// The addresses of one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Its Ethernet address.
    pub mac: MacAddr,
    /// Its IPv4 address.
    pub ip: Ipv4Addr,
    /// Its IPv6 address.
    pub ip6: Ipv6Addr,
}

impl End {
    /// An end whose IPv6 address is the link-local one of its Ethernet address (RFC 4291 appendix A).
    pub fn new(mac: MacAddr, ip: Ipv4Addr) -> Self {
        End { mac, ip, ip6: link_local(mac) }
    }
}

impl From<&Route> for Ends {
    fn from(route: &Route) -> Self {
        Ends {
            host: End::new(route.source_mac, route.source),
            device: End::new(route.destination_mac, route.destination),
        }
    }
}

/// The link-local address that is made of an Ethernet address.
pub fn link_local(mac: MacAddr) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.octets().map(u16::from);
    Ipv6Addr::new(0xfe80, 0, 0, 0, (a ^ 2) << 8 | b, c << 8 | 0xff, 0xfe00 | d, e << 8 | f)
}

/// The group that hears solicitations for an address (RFC 4291 section 2.7.1).
pub fn solicited_node(ip: Ipv6Addr) -> Ipv6Addr {
    let [.., last_but_one, last] = ip.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | last_but_one & 0xff, last)
}

/// The Ethernet address for packets to an IPv4 address, or to an IPv6 group.
fn mac_of(v4: Option<Ipv4Addr>, v6: Option<Ipv6Addr>, otherwise: MacAddr) -> MacAddr {
    if let Some(ip) = v4 {
        let [_, b, c, d] = ip.octets();
        return match ip {
            _ if ip.is_broadcast() => MacAddr::broadcast(),
            _ if ip.is_multicast() => MacAddr(1, 0, 0x5e, b & 0x7f, c, d),
            _ => otherwise,
        };
    }
    match v6.filter(Ipv6Addr::is_multicast).map(|ip| ip.octets()) {
        Some([.., a, b, c, d]) => MacAddr(0x33, 0x33, a, b, c, d),
        None => otherwise,
    }
}

fn number(mac: MacAddr) -> u128 {
    mac.octets().iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
}

/// Fills in what follows from the ends and from what stands further inside.
pub(super) fn settle(parts: &mut [Part], ends: &Ends) {
    let mut is_quoted = false;
    for n in 0..parts.len() {
        let rest = parts.get_mut(n..).unwrap_or_default();
        let Some((Part::Layer(layer), inside)) = rest.split_first_mut() else { continue };
        let (from, to) =
            if is_quoted { (&ends.device, &ends.host) } else { (&ends.host, &ends.device) };
        match layer.name() {
            "icmp" | "icmpv6" => is_quoted = true,
            "ipv4" => {
                layer.fill("src", u32::from(from.ip));
                layer.fill("dst", u32::from(to.ip));
            }
            "ipv6" => settle_ipv6(layer, inside, from, to),
            "arp" => settle_arp(layer, from, to),
            "dhcp" => layer.fill("chaddr", number(from.mac)),
            _ => {}
        }
        settle_control(layer, from, to);
        settle_next(layer, inside);
    }
    settle_ethernet(parts, ends);
}

fn layers(parts: &[Part]) -> impl Iterator<Item = &Layer> {
    parts.iter().filter_map(|part| match part {
        Part::Layer(layer) => Some(&**layer),
        Part::Data(_) => None,
    })
}

fn settle_ipv6(layer: &mut Layer, inside: &[Part], from: &End, to: &End) {
    let control = layers(inside).find(|layer| layer.name() == "icmpv6");
    let destination = match control.map(|control| (control, control.get("type"))) {
        Some((control, 135)) if control.has("target_address") => {
            solicited_node(Ipv6Addr::from(control.get("target_address")))
        }
        Some((_, 135)) => solicited_node(to.ip6),
        Some((_, 133)) => Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2),
        _ => to.ip6,
    };
    layer.fill("src", from.ip6);
    layer.fill("dst", destination);
    if control.is_some_and(|control| (133..=137).contains(&control.get("type"))) {
        layer.fill("hop_limit", 255u8); // others are not accepted (RFC 4861 section 6.1)
    }
}

fn settle_arp(layer: &mut Layer, from: &End, to: &End) {
    let is_request = layer.get("op") == 1;
    layer.fill("sha", number(from.mac));
    layer.fill("spa", u32::from(from.ip));
    layer.fill("tha", if is_request { 0 } else { number(to.mac) });
    layer.fill("tpa", u32::from(to.ip));
}

/// What messages of ICMP need beside their type.
fn settle_control(layer: &mut Layer, from: &End, to: &End) {
    let kind = layer.get("type");
    let size = match (layer.name(), kind) {
        ("icmp", 13 | 14) => 20,
        ("icmp", 17 | 18) => 12,
        ("icmpv6", 134) => 16,
        ("icmpv6", 135 | 136 | 130..=132) => 24,
        ("icmpv6", 137) => 40,
        _ => 0,
    };
    if layer.head.len() < size {
        layer.head.resize(size, 0);
    }
    match (layer.name(), kind) {
        ("icmp", 0 | 8) | ("icmpv6", 128 | 129) => {
            layer.fill("identifier", 1u8);
            layer.fill("sequence_number", 1u8);
        }
        ("icmpv6", 135) => layer.fill("target_address", to.ip6),
        ("icmpv6", 136) => layer.fill("target_address", from.ip6),
        _ => {}
    }
    let says_nothing = layer.tail.is_empty() && !layer.has("options");
    if layer.name() == "icmpv6" && matches!(kind, 133 | 135 | 136) && says_nothing {
        let code = if kind == 136 { 2 } else { 1 };
        super::appended::put(layer, code, &from.mac.octets());
    }
}

/// Says what follows.
fn settle_next(layer: &mut Layer, inside: &[Part]) {
    let next = match inside.first() {
        Some(Part::Layer(next)) => Some(next.kind),
        Some(Part::Data(_)) | None => None,
    };
    if layer.name() == "llc" {
        return settle_llc(layer, next.and_then(|next| next.key(Selector::EtherType)));
    }
    if layer.name() == "udp" {
        let ports = match next.map(|next| (next.name(), next.key(Selector::Port))) {
            Some(("dhcp", _)) => Some((68, 67)),
            Some((_, Some(port))) => Some((0x9c40, port)),
            _ => None,
        };
        if let Some((source, destination)) = ports {
            layer.fill("src_port", source as u128);
            layer.fill("dst_port", destination);
        }
        return;
    }
    if layer.name() == "tcp" {
        layer.fill_flags(inside.is_empty());
        return;
    }
    let Some((name, selector)) = layer.kind.next else { return };
    let known = next.and_then(|next| next.key(selector)).map(u128::from);
    let unknown = match (selector, inside.is_empty()) {
        (Selector::EtherType, _) => 0x88b5, // for experiments (IEEE 802 section 9.2.3)
        (_, true) if layer.name().starts_with("ipv6") => 59, // nothing
        _ => 253,                           // for experiments (RFC 3692)
    };
    layer.fill(name, known.unwrap_or(unknown));
}

/// SNAP where something asks for it.
fn settle_llc(layer: &mut Layer, next: Option<u64>) {
    let is_snap = layer.has("oui") || layer.has("pid") || next.is_some();
    if is_snap {
        layer.fill("dsap", 0xaau8);
        layer.fill("ssap", 0xaau8);
        layer.fill("oui", 0u8);
        layer.fill("pid", next.unwrap_or(0x88b5));
    }
}

impl Layer {
    /// A segment opens a connection, unless it says something or carries something.
    fn fill_flags(&mut self, is_empty: bool) {
        if self.given.iter().any(|name| name.starts_with("flags")) {
            return;
        }
        let flags: u8 = match (is_empty, self.has("ack")) {
            (true, false) => 0x02,
            (true, true) => 0x10,
            (false, _) => 0x18,
        };
        self.fill("flags", flags);
    }
}

/// The frame's own addresses, which follow from those further inside; also of a frame within a frame.
fn settle_ethernet(parts: &mut [Part], ends: &Ends) {
    for n in 0..parts.len() {
        let rest = parts.get_mut(n..).unwrap_or_default();
        let Some((Part::Layer(ethernet), inside)) = rest.split_first_mut() else { continue };
        if ethernet.name() != "ethernet" {
            continue;
        }
        let inner = layers(inside).find(|layer| matches!(layer.name(), "arp" | "ipv4" | "ipv6"));
        let otherwise = ends.device.mac;
        let destination = match inner.map(|inner| (inner.name(), inner)) {
            Some(("arp", arp)) if arp.get("op") == 1 => MacAddr::broadcast(),
            Some(("ipv4", ip)) => {
                mac_of(Some(Ipv4Addr::from(ip.get("dst") as u32)), None, otherwise)
            }
            Some(("ipv6", ip)) => mac_of(None, Some(Ipv6Addr::from(ip.get("dst"))), otherwise),
            _ => otherwise,
        };
        ethernet.fill("dst", number(destination));
        ethernet.fill("src", number(ends.host.mac));
    }
}
