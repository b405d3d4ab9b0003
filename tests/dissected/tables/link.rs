//! What stands in front of the network's headers.

use super::How::{After, Levelled, Number, Numbers};
use super::{Row, hex, row, same};

pub static ETHERNET: &[Row] =
    &[hex("dst", "eth.dst"), hex("src", "eth.src"), row("type", "eth.type eth.len", Number)];

const TWO: &str = "tshark has two protocols for tags, whose fields are sorted to be compared";

pub static VLAN: &[Row] = &[
    row("pcp", "vlan.priority ieee8021ad.priority", Numbers).whole(TWO),
    row("dei", "vlan.dei ieee8021ad.dei", Numbers).whole(TWO),
    row("vid", "vlan.id ieee8021ad.id", Numbers).whole(TWO),
    // For a provider's tag tshark has no field of the type.
    row("type", "vlan.etype vlan.len", Levelled(without_providers)).whole(TWO),
];

/// If theirs are all among ours, they are all there are.
fn without_providers(ours: &mut Vec<String>, theirs: &mut Vec<String>) {
    let count = |side: &[String], kind: &String| side.iter().filter(|own| *own == kind).count();
    if theirs.iter().all(|kind| count(theirs, kind) <= count(ours, kind)) {
        *ours = theirs.clone();
    }
}

pub static LLC: &[Row] = &[
    same("dsap", "llc.dsap"),
    same("ssap", "llc.ssap"),
    same("oui", "llc.oui"),
    row("pid", "llc.type llc.pid llc.cisco_pid llc.iana_pid", Number),
    same("control", "llc.control"),
];

pub static STP: &[Row] = &[
    same("protocol_identifier", "stp.protocol"),
    same("version", "stp.version"),
    same("type", "stp.type"),
    same("flags", "stp.flags"),
    same("flags.topology_change", "stp.flags.tc"),
    same("flags.topology_change_ack", "stp.flags.tcack"),
    same("root_priority", "stp.root.prio"),
    hex("root_mac", "stp.root.hw"),
    same("root_path_cost", "stp.root.cost"),
    same("bridge_priority", "stp.bridge.prio"),
    hex("bridge_mac", "stp.bridge.hw"),
    same("port", "stp.port"),
    row("message_age", "stp.msg_age", After(seconds)),
    row("max_age", "stp.max_age", After(seconds)),
    row("hello_time", "stp.hello", After(seconds)),
    row("forward_delay", "stp.forward", After(seconds)),
    same("version_1_length", "stp.version_1_length"),
];

/// Ours leaves out the fraction of a second.
fn seconds(text: &str) -> String {
    text.split('.').next().unwrap_or_default().to_owned()
}

pub static SLL: &[Row] = &[
    same("packet_type", "sll.pkttype"),
    same("arphrd_type", "sll.hatype"),
    same("address_length", "sll.halen"),
    same("protocol", "sll.etype sll.ltype sll.gretype"),
    hex("address", "sll.src.eth"),
    hex("address_bytes", "sll.src.other"),
];

pub static SLL2: &[Row] = &[
    same("packet_type", "sll.pkttype"),
    same("arphrd_type", "sll.hatype"),
    same("address_length", "sll.halen"),
    same("interface_index", "sll.ifindex"),
    same("protocol", "sll.etype sll.ltype sll.gretype"),
    hex("address", "sll.src.eth"),
    hex("address_bytes", "sll.src.other"),
];

pub static NULL: &[Row] =
    &[same("family", "null.family").whole("tshark guesses the byte order otherwise")];
