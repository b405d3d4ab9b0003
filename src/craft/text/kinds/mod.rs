//! Every kind of layer that can be made.

mod application;
mod control;
mod link;
mod network;
mod transport;

use super::kind::Kind;

/// All of them. To add one, write its table and name it here.
pub(super) static ALL: &[&Kind] = &[
    &link::ETHERNET,
    &link::VLAN,
    &link::LLC,
    &link::ARP,
    &network::IPV4,
    &network::IPV6,
    &network::HOP_BY_HOP,
    &network::ROUTING,
    &network::FRAGMENT,
    &network::DESTINATION,
    &network::AH,
    &control::ICMP,
    &control::ICMPV6,
    &control::IGMP,
    &transport::UDP,
    &transport::TCP,
    &application::DHCP,
    &application::DNS,
    &application::NTP,
];

/// The kind of that name, or of that short name.
pub(super) fn by_name(name: &str) -> Option<&'static Kind> {
    ALL.iter().copied().find(|kind| kind.name() == name || kind.aliases.contains(&name))
}

/// All names, for suggestions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().flat_map(|kind| std::iter::once(kind.name()).chain(kind.aliases.iter().copied()))
}
