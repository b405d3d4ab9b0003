//! UDP and TCP.

use super::super::kind::{
    Kind, Selector, Slot, Style, What, bits, called, empty, field, flag, number, open, option, part,
};
use crate::proto::{tcp, udp};

pub(in super::super) static UDP: Kind = Kind {
    protocol: &udp::UDP,
    below: Some("ipv4"),
    template: &[0x9c, 0x40, 0, 9, 0, 0, 0, 0],
    slots: &[
        called(&["sport", "src"], number("src_port", 0, 2)),
        called(&["dport", "dst", "port"], number("dst_port", 2, 2)),
        number("length", 4, 2),
        field("checksum", 6, 2, What::Checksum),
    ],
    next: Some(("dst_port", Selector::Port)),
    ..Kind::BASE
};

pub(in super::super) static TCP: Kind = Kind {
    protocol: &tcp::TCP,
    below: Some("ipv4"),
    template: &[0x9c, 0x40, 0, 80, 0, 0, 3, 0xe8, 0, 0, 0, 0, 0x50, 0, 0xff, 0xff, 0, 0, 0, 0],
    slots: &[
        called(&["sport", "src"], number("src_port", 0, 2)),
        called(&["dport", "dst", "port"], number("dst_port", 2, 2)),
        number("seq", 4, 4),
        number("ack", 8, 4),
        called(&["offset"], bits("data_offset", 96, 4)),
        bits("reserved", 100, 4),
        Slot { name: "flags", aliases: &[], bit: 104, width: 8, what: What::Letters("FSRPAUEC") },
        flag("flags.cwr", 104),
        flag("flags.ece", 105),
        flag("flags.urg", 106),
        flag("flags.ack", 107),
        flag("flags.psh", 108),
        flag("flags.rst", 109),
        flag("flags.syn", 110),
        flag("flags.fin", 111),
        called(&["win"], number("window", 14, 2)),
        field("checksum", 16, 2, What::Checksum),
        called(&["urgent"], number("urgent_pointer", 18, 2)),
    ],
    options: &[
        empty("option.eol", 0),
        empty("option.nop", 1),
        option("option.mss", 2, 2, What::Number),
        option("option.wscale", 3, 1, What::Number),
        empty("option.sack_permitted", 4),
        part("option.sack_left", 5, 8, 0, 4, What::Number),
        part("option.sack_right", 5, 8, 4, 4, What::Number),
        part("option.ts_val", 8, 8, 0, 4, What::Number),
        part("option.ts_ecr", 8, 8, 4, 4, What::Number),
        option("option.user_timeout", 28, 2, What::Number),
        open("option.cookie", 34, What::Bytes),
    ],
    style: Style::Words,
    ..Kind::BASE
};
