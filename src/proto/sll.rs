//! Linux's cooked captures (the tcpdump group's descriptions of LINKTYPE_LINUX_SLL and
//! LINKTYPE_LINUX_SLL2): a made-up header in place of the device's own, which is what capturing on
//! "any" interface gives. Both versions say which way the packet went, on what kind of device, and
//! end or begin with an EtherType; the second names the interface, too.

use super::ethernet;
use super::line::Line;
use super::{Item, Key, Next, Protocol, Stack, Value, Walk, be16, be32, field, listed, mac_at};
use crate::record::LinkType;

/// The bytes of a header of the first version.
pub const HEADER: usize = 16;
/// The bytes of a header of the second version.
pub const HEADER2: usize = 20;
/// The bytes that both have for an address; of longer ones, the first are kept.
const ADDRESS: usize = 8;

/// The first version.
pub static SLL: Protocol = Protocol {
    name: "sll",
    title: "Linux cooked capture",
    keys: &[Key::Link(LinkType::LINUX_SLL)],
    fields: &[
        field!("packet_type", 0, 2, names packet_type_name),
        field!("arphrd_type", 2, 2, names device_name),
        field!("address_length", 4, 2),
        field!("protocol", 14, hex16, names protocol_name),
        listed!("address", Mac),
        listed!("address_bytes", Bytes),
    ],
    dissect: |walk| dissect(walk, &SLL, HEADER, 14, 2),
    summary,
    list: |stack, n, visit| {
        let header = stack.header(n);
        list(header, 6, be16(header, 4), visit);
    },
    ..Protocol::BASE
};

/// The second version.
pub static SLL2: Protocol = Protocol {
    name: "sll2",
    title: "Linux cooked capture v2",
    keys: &[Key::Link(LinkType::LINUX_SLL2)],
    fields: &[
        field!("protocol", 0, hex16, names protocol_name),
        field!("interface_index", 4, 4),
        field!("arphrd_type", 8, 2, names device_name),
        field!("packet_type", 10, 1, names packet_type_name),
        field!("address_length", 11, 1),
        listed!("address", Mac),
        listed!("address_bytes", Bytes),
    ],
    dissect: |walk| dissect(walk, &SLL2, HEADER2, 0, 8),
    summary: summary2,
    list: |stack, n, visit| {
        let header = stack.header(n);
        list(header, 12, header.get(11).map(|length| u16::from(*length)), visit);
    },
    ..Protocol::BASE
};

/// The header is `header` bytes long, its EtherType is at `protocol_at`, the kind of device at
/// `device_at`.
fn dissect(
    walk: &mut Walk<'_>,
    protocol: &'static Protocol,
    header: usize,
    protocol_at: usize,
    device_at: usize,
) -> Next {
    if !walk.has(protocol, header) {
        return Next::Payload;
    }
    let bytes = walk.rest();
    let kind = be16(bytes, protocol_at).unwrap_or_default();
    let device = be16(bytes, device_at).unwrap_or_default();
    walk.push(protocol, header, usize::MAX);
    match (device, kind) {
        (770 | 803 | 824, _) => Next::Payload, // frame relay, radiotap and netlink have no EtherType
        (_, 4) => Next::Length,
        _ => Next::EtherType(kind),
    }
}

/// Visits the address of the sender, which is `length` bytes long, at `at`.
fn list(header: &[u8], at: usize, length: Option<u16>, visit: &mut dyn FnMut(Item<'_>)) {
    let kept = usize::from(length.unwrap_or_default()).min(ADDRESS);
    match (kept, mac_at(header, at), header.get(at..at + kept)) {
        (6, Some(mac), _) => visit(Item::new("address", Value::Mac(mac), at, 6)),
        (1.., _, Some(bytes)) => {
            visit(Item::new("address_bytes", Value::Bytes(bytes), at, kept));
        }
        _ => {}
    }
}

fn summary(stack: &Stack<'_>, n: usize, line: &mut Line) {
    let header = stack.header(n);
    if !stack.summarise(n + 1, line) {
        let kind = be16(header, 0).unwrap_or_default();
        say_unknown(kind, be16(header, 14).unwrap_or_default(), stack.payload_length(n), line);
    }
}

fn summary2(stack: &Stack<'_>, n: usize, line: &mut Line) {
    let header = stack.header(n);
    let (Some(index), Some(&kind)) = (be32(header, 4), header.get(10)) else { return };
    line.text("if").dec(index).text(" ");
    if stack.layers.get(n + 1).is_some() {
        line.text(short_name(kind.into())).text(" ");
        stack.summarise(n + 1, line);
    } else {
        let protocol = be16(header, 0).unwrap_or_default();
        say_unknown(kind.into(), protocol, stack.payload_length(n), line);
    }
}

fn say_unknown(kind: u16, protocol: u16, length: usize, line: &mut Line) {
    line.text(short_name(kind)).text(" ");
    match protocol_name(protocol.into()).filter(|_| protocol < ethernet::FIRST_ETHERTYPE) {
        Some(name) => line.text(name).text(", length ").dec(length as u64),
        None if protocol < ethernet::FIRST_ETHERTYPE => {
            line.text("protocol 0x").hex(protocol, 4).text(", length ").dec(length as u64)
        }
        None => {
            ethernet::say_type(protocol, length, line);
            line
        }
    };
}

/// tcpdump's name for a way that a packet went.
fn short_name(packet_type: u16) -> &'static str {
    match packet_type {
        0 => "In",
        1 => "B",
        2 => "M",
        3 => "P",
        4 => "Out",
        _ => "?",
    }
}

fn packet_type_name(packet_type: u64) -> Option<&'static str> {
    Some(match packet_type {
        0 => "to us",
        1 => "broadcast",
        2 => "multicast",
        3 => "to another host",
        4 => "from us",
        _ => return None,
    })
}

/// The name of a kind of device (Linux's ARPHRD_ numbers).
fn device_name(kind: u64) -> Option<&'static str> {
    Some(match kind {
        1 => "Ethernet",
        32 => "InfiniBand",
        256 => "SLIP",
        280 => "CAN",
        512 => "PPP",
        768 => "IPIP tunnel",
        769 => "IPv6 tunnel",
        772 => "loopback",
        776 => "SIT tunnel",
        778 => "GRE tunnel",
        801..=803 => "802.11",
        804 => "802.15.4",
        823 => "GRE over IPv6",
        824 => "netlink",
        0xfffe => "none",
        _ => return None,
    })
}

/// An EtherType, or one of the numbers below them that Linux uses for frames without one.
fn protocol_name(protocol: u64) -> Option<&'static str> {
    Some(match protocol {
        1 => "802.3 without LLC",
        4 => "802.2 LLC",
        0x0c => "CAN",
        0x0d => "CAN FD",
        0xf5 => "IEEE 802.15.4",
        _ => return ethernet::ethertype_meaning(protocol).filter(|_| protocol >= 0x600),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::examined::{self, fields_as, line_as};
    use crate::proto::samples;
    use proptest::prelude::*;

    /// An incoming datagram, in either version.
    fn received() -> [(LinkType, Vec<u8>); 2] {
        let packet = &samples::datagram()[14..];
        let first = [0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0];
        let second = [8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0];
        [
            (LinkType::LINUX_SLL, [&first[..], packet].concat()),
            (LinkType::LINUX_SLL2, [&second[..], packet].concat()),
        ]
    }

    #[test]
    fn packets_are_said_with_what_the_capture_knows() {
        let said = |(link, frame): &(LinkType, Vec<u8>)| line_as(*link, frame, false);
        let mut frames = received().to_vec();
        let first = |kind: u8, protocol: [u8; 2], rest: &[u8]| {
            let head = [0, kind, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, protocol[0], protocol[1]];
            (LinkType::LINUX_SLL, [&head[..], rest].concat())
        };
        frames.push(first(4, [0x88, 0x8e], &[0; 10]));
        frames.push(first(2, [0, 4], &[0xf0, 0xf0, 3, 1]));
        frames.push(first(0, [0, 1], &[0xff, 0xff, 1]));
        frames.push(first(9, [0, 0], &[]));
        let unknown = [0x88, 0x8e, 0, 0, 0, 0, 0, 2, 0, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2];
        frames.push((LinkType::LINUX_SLL2, unknown.to_vec()));
        frames.push((LinkType::LINUX_SLL2, unknown[..19].to_vec()));
        frames.push((LinkType::LINUX_SLL, vec![0; 15]));
        insta::assert_snapshot!(frames.iter().map(said).collect::<Vec<_>>().join("\n"), @r"
        IP 192.168.100.2.7 > 192.168.100.1.40000: UDP, length 5
        if2 In IP 192.168.100.2.7 > 192.168.100.1.40000: UDP, length 5
        Out ethertype EAPOL (0x888e), length 10
        LLC, dsap NetBeui (0xf0) Individual, ssap NetBeui (0xf0) Command, ctrl 0x03: Unnumbered, ui, Flags [Command], length 4
        In 802.3 without LLC, length 3
        ? protocol 0x0000, length 0
        if2 Out ethertype EAPOL (0x888e), length 2
        payload [0: truncated: sll2 needs 20 bytes, had 19]
        payload [0: truncated: sll needs 16 bytes, had 15]
        ");
    }

    #[test]
    fn fields_of_both_versions() {
        let [(first, frame), (second, frame2)] = received();
        insta::assert_snapshot!(fields_as(first, &SLL, &frame), @r"
        packet_type = 0 (to us) @0+2
        arphrd_type = 1 (Ethernet) @2+2
        address_length = 6 @4+2
        protocol = 0x800 (IPv4) @14+2
        address = 02:00:00:00:00:01 @6+6
        ");
        insta::assert_snapshot!(fields_as(second, &SLL2, &frame2), @r"
        protocol = 0x800 (IPv4) @0+2
        interface_index = 2 @4+4
        arphrd_type = 1 (Ethernet) @8+2
        packet_type = 0 (to us) @10+1
        address_length = 6 @11+1
        address = 02:00:00:00:00:01 @12+6
        ");
        let mut short = frame;
        short[5] = 3;
        let fields = fields_as(first, &SLL, &short);
        assert!(fields.ends_with("address_bytes = bytes 020000 @6+3\n"), "{fields}");
    }

    #[test]
    fn no_damage_breaks_a_promise() {
        for (link, frame) in received() {
            examined::check_damaged(link, &[frame]);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_break_a_promise(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            examined::check(LinkType::LINUX_SLL, &bytes);
            examined::check(LinkType::LINUX_SLL2, &bytes);
        }
    }
}
