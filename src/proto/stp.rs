//! The spanning tree protocol's messages (IEEE 802.1D clause 9, RSTP and MSTP: 802.1Q clause 14).
//!
//! Nothing but LLC carries them; a frame of this line that holds one tells that a switch is in the way.
//! Of MSTP only what it shares with RSTP is read.

use super::line::Line;
use super::{Next, NoteKind, Protocol, Stack, Value, Walk, be16, field, mac_at};

/// The bytes of a configuration message.
const CONFIGURATION: usize = 35;
/// The bytes of the part that all messages have.
const HEADER: usize = 4;

/// A bridge protocol data unit.
pub static STP: Protocol = Protocol {
    name: "stp",
    title: "Spanning tree",
    fields: &[
        field!("protocol_identifier", 0, 2),
        field!("version", 2, 1, names version_name),
        field!("type", 3, hex8, names type_name),
        field!("flags", 4, hex8),
        field!("flags.topology_change", 4, bit 0x01),
        field!("flags.topology_change_ack", 4, bit 0x80),
        field!("root_priority", 5, 2),
        field!("root_mac", 7, mac),
        field!("root_path_cost", 13, 4),
        field!("bridge_priority", 17, 2),
        field!("bridge_mac", 19, mac),
        field!("port", 25, hex16),
        field!("message_age", 27, 2, Number, |h| seconds(h, 27)),
        field!("max_age", 29, 2, Number, |h| seconds(h, 29)),
        field!("hello_time", 31, 2, Number, |h| seconds(h, 31)),
        field!("forward_delay", 33, 2, Number, |h| seconds(h, 33)),
        field!("version_1_length", 35, 1),
    ],
    dissect,
    summary,
    ..Protocol::BASE
};

/// A time in whole seconds; the message counts 1/256 s.
fn seconds(header: &[u8], at: usize) -> Option<Value<'_>> {
    be16(header, at).map(|time| Value::Number(u64::from(time >> 8)))
}

fn dissect(walk: &mut Walk<'_>) -> Next {
    if !walk.has(&STP, HEADER) {
        return Next::Payload;
    }
    let bytes = walk.rest();
    let identifier = be16(bytes, 0).unwrap_or_default();
    if identifier != 0 {
        let value = identifier.into();
        walk.note(&STP, 0, NoteKind::Invalid { field: "protocol_identifier", value });
        return Next::Payload;
    }
    let length = match bytes[3] {
        0 => CONFIGURATION,
        2 => CONFIGURATION + 1,
        0x80 => HEADER,
        kind => {
            walk.note(&STP, 3, NoteKind::Invalid { field: "type", value: kind.into() });
            HEADER
        }
    };
    walk.has(&STP, length);
    walk.push(&STP, length, usize::MAX);
    Next::Payload
}

fn summary(stack: &Stack<'_>, n: usize, line: &mut Line) {
    let header = stack.header(n);
    let &[_, _, version, kind, ..] = header else { return };
    line.text("STP ").text(standard(version)).text(", ");
    line.text(type_name(kind.into()).unwrap_or("unknown message"));
    if kind == 0x80 {
        return;
    }
    let flags = header.get(4).copied().unwrap_or_default();
    if !line.is_brief() {
        say_flags(flags, line);
    }
    if let (Some(priority), Some(mac), Some(port)) =
        (be16(header, 17), mac_at(header, 19), be16(header, 25))
    {
        line.text(", bridge-id ").hex(priority, 4).text(".").mac(mac).text(".").hex(port, 4);
    }
    line.text(", length ").dec((header.len() + stack.payload_length(n)) as u64);
}

fn say_flags(flags: u8, line: &mut Line) {
    const NAMES: [(u8, &str); 6] = [
        (0x01, "Topology change"),
        (0x02, "Proposal"),
        (0x10, "Learn"),
        (0x20, "Forward"),
        (0x40, "Agreement"),
        (0x80, "Topology change ACK"),
    ];
    line.text(", Flags [");
    let mut is_first = true;
    for (_, name) in NAMES.iter().filter(|(bit, _)| flags & bit != 0) {
        line.text(if std::mem::take(&mut is_first) { "" } else { ", " }).text(name);
    }
    line.text(if is_first { "none]" } else { "]" });
}

/// The standard that a version belongs to.
fn standard(version: u8) -> &'static str {
    match version {
        0 => "802.1d",
        2 => "802.1w",
        3 => "802.1s",
        4 => "802.1aq",
        _ => "of unknown version",
    }
}

fn version_name(version: u64) -> Option<&'static str> {
    Some(match version {
        0 => "STP",
        2 => "RSTP",
        3 => "MSTP",
        4 => "SPT",
        _ => return None,
    })
}

fn type_name(kind: u64) -> Option<&'static str> {
    Some(match kind {
        0 => "Config",
        2 => "Rapid STP",
        0x80 => "Topology Change",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::examined::{self, fields_of};
    use crate::proto::samples::ieee_802_3;
    use crate::record::LinkType;
    use proptest::prelude::*;

    /// A configuration message of a bridge that is not the root.
    fn configuration() -> Vec<u8> {
        ieee_802_3(&[
            0x42, 0x42, 3, 0, 0, 0, 0, 0, 0x80, 1, 2, 0, 0, 0, 0, 1, 0, 0, 0, 4, 0x80, 2, 2, 0, 0,
            0, 0, 2, 0x80, 4, 1, 0, 20, 0, 2, 0, 15, 0,
        ])
    }

    #[test]
    fn messages_are_said_as_tcpdump_says_them() {
        let mut rapid = configuration();
        rapid[13] = 39;
        rapid[19..22].copy_from_slice(&[2, 2, 0x3c]);
        rapid.push(0);
        let frames = [
            configuration(),
            rapid,
            ieee_802_3(&[0x42, 0x42, 3, 0, 0, 0, 0x80]),
            ieee_802_3(&[0x42, 0x42, 3, 0, 0, 0, 0, 0, 0x80]),
            ieee_802_3(&[0x42, 0x42, 3, 0, 7, 0, 0]),
            ieee_802_3(&[0x42, 0x42, 3, 0, 0]),
            ieee_802_3(&[0x42, 0x42, 3, 0, 0, 9, 7]),
        ];
        insta::assert_snapshot!(examined::lines(&frames), @r"
        STP 802.1d, Config, Flags [none], bridge-id 8002.02:00:00:00:00:02.8004, length 35
        STP 802.1w, Rapid STP, Flags [Learn, Forward], bridge-id 8002.02:00:00:00:00:02.8004, length 36
        STP 802.1d, Topology Change
        STP 802.1d, Config, Flags [none], length 6 [17: truncated: stp needs 35 bytes, had 6]
        02:00:00:00:00:02 > 02:00:00:00:00:01, LLC, dsap STP (0x42) Individual, ssap STP (0x42) Command, ctrl 0x03: Unnumbered, ui, Flags [Command], length 7 [17: bad stp protocol_identifier 7]
        02:00:00:00:00:02 > 02:00:00:00:00:01, LLC, dsap STP (0x42) Individual, ssap STP (0x42) Command, ctrl 0x03: Unnumbered, ui, Flags [Command], length 5 [17: truncated: stp needs 4 bytes, had 2]
        STP of unknown version, unknown message, Flags [none], length 4 [20: bad stp type 7]
        ");
    }

    #[test]
    fn fields_of_a_configuration_message() {
        insta::assert_snapshot!(fields_of(&STP, &configuration()), @r"
        protocol_identifier = 0 @0+2
        version = 0 (STP) @2+1
        type = 0x0 (Config) @3+1
        flags = 0x0 @4+1
        flags.topology_change = false @4+1
        flags.topology_change_ack = false @4+1
        root_priority = 32769 @5+2
        root_mac = 02:00:00:00:00:01 @7+6
        root_path_cost = 4 @13+4
        bridge_priority = 32770 @17+2
        bridge_mac = 02:00:00:00:00:02 @19+6
        port = 0x8004 @25+2
        message_age = 1 @27+2
        max_age = 20 @29+2
        hello_time = 2 @31+2
        forward_delay = 15 @33+2
        ");
    }

    #[test]
    fn no_damage_breaks_a_promise() {
        let frames = [configuration()];
        examined::check_damaged(LinkType::ETHERNET, &frames);
    }

    proptest! {
        #[test]
        fn no_bytes_break_a_promise(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let frame = ieee_802_3(&[&[0x42, 0x42, 3, 0, 0], &bytes[..]].concat());
            examined::check(LinkType::ETHERNET, &frame);
        }
    }
}
