//! Which protocols a key selects: tables made once from what each protocol declares.

use std::sync::LazyLock;

use super::{ALL, Key, Next, Protocol};
use crate::record::LinkType;

/// Protocols by key.
struct Tables {
    links: Vec<(LinkType, &'static Protocol)>,
    ether_types: Vec<(u16, &'static Protocol)>,
    lengths: Vec<&'static Protocol>,
    ip: Vec<Option<&'static Protocol>>,
    udp: Ports,
    tcp: Ports,
    tcp_contents: Vec<(Accepts, &'static Protocol)>,
}

/// Whether a protocol recognises its bytes.
type Accepts = fn(&[u8]) -> bool;

/// Protocols by port, sorted.
type Ports = Vec<(u16, &'static Protocol)>;

static TABLES: LazyLock<Tables> = LazyLock::new(|| Tables::new(ALL));

impl Tables {
    fn new(all: &[&'static Protocol]) -> Tables {
        let mut tables = Tables {
            links: Vec::new(),
            ether_types: Vec::new(),
            lengths: Vec::new(),
            ip: vec![None; 256],
            udp: Vec::new(),
            tcp: Vec::new(),
            tcp_contents: Vec::new(),
        };
        for protocol in all {
            for key in protocol.keys {
                tables.enter(*key, protocol);
            }
        }
        tables.udp.sort_by_key(|entry| entry.0);
        tables.tcp.sort_by_key(|entry| entry.0);
        tables
    }

    fn enter(&mut self, key: Key, protocol: &'static Protocol) {
        match key {
            Key::Link(link) => self.links.push((link, protocol)),
            Key::EtherType(kind) => self.ether_types.push((kind, protocol)),
            Key::Length => self.lengths.push(protocol),
            Key::IpProtocol(number) => {
                self.ip[usize::from(number)].get_or_insert(protocol);
            }
            Key::UdpPort(port) => self.udp.push((port, protocol)),
            Key::TcpPort(port) => self.tcp.push((port, protocol)),
            Key::TcpContent(accepts) => self.tcp_contents.push((accepts, protocol)),
        }
    }
}

/// Whether frames of that link type are dissected.
pub(super) fn is_known(link: LinkType) -> bool {
    TABLES.links.iter().any(|entry| entry.0 == link)
}

/// Hands the protocols that may come next to `attempt`, the likeliest first, until it says that one was
/// taken. `rest` is the bytes that the protocol would be of.
pub(super) fn candidates(
    next: Next,
    rest: &[u8],
    mut attempt: impl FnMut(&'static Protocol) -> bool,
) {
    let tables = &*TABLES;
    match next {
        Next::Link(link) => first(&tables.links, &link, attempt),
        Next::EtherType(kind) => first(&tables.ether_types, &kind, attempt),
        Next::Length => {
            let _ = tables.lengths.iter().any(|protocol| attempt(protocol));
        }
        Next::IpProtocol(number) => {
            if let Some(protocol) = tables.ip[usize::from(number)] {
                attempt(protocol);
            }
        }
        Next::Udp { source, destination } => {
            by_port(&tables.udp, source, destination, &mut attempt);
        }
        Next::Tcp { source, destination } => {
            if !by_port(&tables.tcp, source, destination, &mut attempt) {
                let accepting = tables.tcp_contents.iter().filter(|(accepts, _)| accepts(rest));
                let _ = accepting.map(|entry| entry.1).any(attempt);
            }
        }
        Next::Payload => {}
    }
}

fn first<K: PartialEq>(
    entries: &[(K, &'static Protocol)],
    key: &K,
    mut attempt: impl FnMut(&'static Protocol) -> bool,
) {
    if let Some((_, protocol)) = entries.iter().find(|entry| entry.0 == *key) {
        attempt(protocol);
    }
}

/// The lower port is the likelier one to be a service's.
fn by_port(
    ports: &Ports,
    source: u16,
    destination: u16,
    attempt: &mut impl FnMut(&'static Protocol) -> bool,
) -> bool {
    let (low, high) = (source.min(destination), source.max(destination));
    let highest = ports.last().map_or(0, |entry| entry.0);
    [Some(low), (high != low).then_some(high)].into_iter().flatten().any(|port| {
        if port > highest {
            return false;
        }
        let from = ports.partition_point(|entry| entry.0 < port);
        let of_port = ports[from..].iter().take_while(|entry| entry.0 == port);
        of_port.map(|entry| entry.1).any(&mut *attempt)
    })
}
