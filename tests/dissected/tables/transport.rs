//! UDP and TCP.

use super::How::Times;
use super::{Row, hex, left, row, same};

pub static UDP: &[Row] = &[
    same("src_port", "udp.srcport"),
    same("dst_port", "udp.dstport"),
    same("length", "udp.length"),
    same("checksum", "udp.checksum"),
];

const CONNECTION: &str = "is known only when whole connections are followed: `corpus.rs` shows it";

pub static TCP: &[Row] = &[
    same("src_port", "tcp.srcport"),
    same("dst_port", "tcp.dstport"),
    same("seq", "tcp.seq"),
    same("ack", "tcp.ack"),
    row("data_offset", "tcp.hdr_len", Times(4)),
    row(
        "flags",
        "tcp.flags",
        super::How::After(|flags| {
            let flags = u64::from_str_radix(flags.trim_start_matches("0x"), 16).unwrap_or(0);
            (flags & 0xff).to_string()
        }),
    ),
    row(
        "reserved",
        "tcp.flags",
        super::How::After(|flags| {
            let flags = u64::from_str_radix(flags.trim_start_matches("0x"), 16).unwrap_or(0);
            (flags >> 8).to_string()
        }),
    ),
    same("flags.cwr", "tcp.flags.cwr"),
    same("flags.ece", "tcp.flags.ece"),
    same("flags.urg", "tcp.flags.urg"),
    same("flags.ack", "tcp.flags.ack"),
    same("flags.psh", "tcp.flags.push"),
    same("flags.rst", "tcp.flags.reset"),
    same("flags.syn", "tcp.flags.syn"),
    same("flags.fin", "tcp.flags.fin"),
    same("window", "tcp.window_size_value"),
    same("checksum", "tcp.checksum"),
    same("urgent_pointer", "tcp.urgent_pointer"),
    same("option.kind", "tcp.option_kind"),
    same("option.mss", "tcp.options.mss_val"),
    same("option.wscale", "tcp.options.wscale.shift"),
    same("option.sack_left", "tcp.options.sack_le"),
    same("option.sack_right", "tcp.options.sack_re"),
    same("option.ts_val", "tcp.options.timestamp.tsval"),
    same("option.ts_ecr", "tcp.options.timestamp.tsecr"),
    left("option.user_timeout", "tshark splits off the unit, which is one bit of the number"),
    hex("option.cookie", "tcp.options.tfo.cookie"),
    left("relative_seq", CONNECTION),
    left("relative_ack", CONNECTION),
    left("mark", CONNECTION),
];
