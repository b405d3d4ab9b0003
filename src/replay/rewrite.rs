//! Other addresses and ports than recorded: in every layer that names them, ARP, neighbour discovery and the
//! packets that error messages quote included. Checksums are mended; lengths stay, since nothing grows.
//!
//! What a protocol says of addresses is in a file of its own, beside that which knows the rules (`sheet`).
//! A checksum in another fragment than what it is about is mended when that one comes (`fragments`).

mod dhcp;
mod fragments;
mod options;
mod sheet;
mod six;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use bytes::{Bytes, BytesMut};
use pnet::util::MacAddr;

use self::fragments::Fragments;
use self::sheet::Sheet;
use super::mend;
use crate::dissect::Dissector;
use crate::proto::{Stack, ip, tcp, udp};
use crate::record::LinkType;

/// What becomes what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Ethernet addresses.
    pub macs: Vec<(MacAddr, MacAddr)>,
    /// IP addresses; both of a pair are of the same version.
    pub ips: Vec<(IpAddr, IpAddr)>,
    /// Ports of TCP and UDP.
    pub ports: Vec<(u16, u16)>,
}

impl Rules {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.macs.is_empty() && self.ips.is_empty() && self.ports.is_empty()
    }
}

/// Rewrites one frame after the other.
#[derive(Debug, Default)]
pub struct Rewriter {
    rules: Rules,
    dissector: Dissector,
    fragments: Fragments,
}

impl Rewriter {
    /// One for these rules.
    pub fn new(rules: Rules) -> Rewriter {
        Rewriter { rules, ..Rewriter::default() }
    }

    /// The frame, which begins as `link` says and was `length` bytes long, as it is to be.
    pub fn frame(&mut self, link: LinkType, frame: &Bytes, length: usize) -> Bytes {
        if self.rules.is_empty() {
            return frame.clone();
        }
        let stack = self.dissector.dissect_as(link, frame, length);
        let mut new = BytesMut::from(&frame[..]);
        let mut sheet = Sheet { rules: &self.rules, old: frame, new: &mut new };
        for n in 0..stack.layers.len() {
            layer(&mut sheet, &stack, n);
        }
        mend::mend(&stack, &mut new);
        self.fragments.mend(&stack, &mut new);
        new.freeze()
    }
}

/// What layer `n` names.
fn layer(sheet: &mut Sheet<'_>, stack: &Stack<'_>, n: usize) {
    let Some(layer) = stack.layers.get(n) else { return };
    let at = layer.start;
    match layer.protocol.name {
        "ethernet" => [at, at + 6].into_iter().for_each(|at| sheet.mac(at)),
        "sll" => sheet.mac(at + 6),
        "sll2" => sheet.mac(at + 12),
        "arp" if sheet.old.get(at + 4..at + 6) == Some(&[6, 4]) => {
            [at + 8, at + 18].into_iter().for_each(|at| sheet.mac(at));
            [at + 14, at + 24].into_iter().for_each(|at| sheet.v4(at));
        }
        "ipv4" => {
            [at + 12, at + 16].into_iter().for_each(|at| sheet.v4(at));
            options::rewrite(sheet, at, layer.payload);
        }
        "ipv6" => [at + 8, at + 24].into_iter().for_each(|at| sheet.v6(at)),
        "ipv6_routing" => six::route(sheet, at, layer.payload),
        "icmp" if sheet.byte(at) == Some(5) => sheet.v4(at + 4), // a redirect names a router
        "icmpv6" => six::message(sheet, at, layer.end),
        "dhcp" => dhcp::rewrite(sheet, at, layer.end),
        "tcp" | "udp" => [at, at + 2].into_iter().for_each(|at| sheet.port(at)),
        _ => {}
    }
    let has_ports = layer.protocol != &tcp::TCP && layer.protocol != &udp::UDP;
    if n + 1 == stack.layers.len() && has_ports {
        let quoted = ip::quoted(stack, n).is_some_and(|quoted| quoted.ports.is_some());
        if quoted || fragments::has_bare_ports(stack, n) {
            let at = layer.payload; // eight bytes of a TCP segment
            [at, at + 2].into_iter().for_each(|at| sheet.port(at));
        }
    }
}
