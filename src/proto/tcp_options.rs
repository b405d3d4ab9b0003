//! The options of a TCP header (RFC 9293 section 3.1 and IANA's registry of option kinds).

use super::line::Line;
use super::{Item, Value, be16, be32};

/// The options: place and bytes of each, kind and length included, as far as they can be read.
pub fn each(options: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let kind = *options.get(at)?;
        let length = if kind <= 1 { 1 } else { usize::from(*options.get(at + 1)?) };
        if length == 0 || (length == 1 && kind > 1) {
            return None;
        }
        let option = (at, options.get(at..at + length)?);
        at = if kind == 0 { options.len() } else { at + length };
        Some(option)
    })
}

/// Where the first option begins that cannot be read, if there is one.
pub(super) fn broken_at(options: &[u8]) -> Option<usize> {
    let mut end = 0;
    for (at, option) in each(options) {
        if option[0] == 0 {
            return None;
        }
        end = at + option.len();
    }
    (end < options.len()).then_some(end)
}

/// Visits the options; `start` is their place in the header.
pub(super) fn list(options: &[u8], start: usize, visit: &mut dyn FnMut(Item<'_>)) {
    for (at, option) in each(options) {
        let (at, length) = (start + at, option.len());
        let kind = Value::Number(option[0].into());
        visit(Item::new("option.kind", kind, at, length).meaning(name(option[0])));
        let mut number = |name, value: Option<u32>, offset, length| {
            if let Some(value) = value {
                visit(Item::new(name, Value::Number(value.into()), at + offset, length));
            }
        };
        match (option[0], length) {
            (2, 4) => number("option.mss", be16(option, 2).map(u32::from), 2, 2),
            (3, 3) => number("option.wscale", Some(option[2].into()), 2, 1),
            (5, 10..) if length % 8 == 2 => {
                for place in (2..length).step_by(8) {
                    number("option.sack_left", be32(option, place), place, 4);
                    number("option.sack_right", be32(option, place + 4), place + 4, 4);
                }
            }
            (8, 10) => {
                number("option.ts_val", be32(option, 2), 2, 4);
                number("option.ts_ecr", be32(option, 6), 6, 4);
            }
            (28, 4) => number("option.user_timeout", be16(option, 2).map(u32::from), 2, 2),
            (34, _) => {
                let cookie = Value::Bytes(option.get(2..).unwrap_or_default());
                visit(Item::new("option.cookie", cookie, at + 2, length - 2));
            }
            _ => {}
        }
    }
}

fn name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        0 => "end of options",
        1 => "no operation",
        2 => "maximum segment size",
        3 => "window scale",
        4 => "selective acknowledgment permitted",
        5 => "selective acknowledgment",
        8 => "timestamps",
        19 => "MD5 signature",
        28 => "user timeout",
        29 => "authentication",
        30 => "multipath TCP",
        34 => "fast open cookie",
        _ => return None,
    })
}

/// Says the options; what they acknowledge is relative to `ack_base`.
pub(super) fn say(options: &[u8], ack_base: u32, line: &mut Line) {
    line.text(", options [");
    let mut is_first = true;
    for (_, option) in each(options) {
        if !std::mem::take(&mut is_first) {
            line.text(",");
        }
        say_one(option, ack_base, line);
    }
    if let Some(at) = broken_at(options) {
        line.text(if is_first { "bad option " } else { ",bad option " });
        line.dec(options[at]);
    }
    line.text("]");
}

fn say_one(option: &[u8], ack_base: u32, line: &mut Line) {
    match (option[0], option.len()) {
        (0, _) => line.text("eol"),
        (1, _) => line.text("nop"),
        (2, 4) => line.text("mss ").dec(be16(option, 2).unwrap_or_default()),
        (3, 3) => line.text("wscale ").dec(option[2]),
        (4, 2) => line.text("sackOK"),
        (5, length @ 10..) if length % 8 == 2 => {
            line.text("sack ").dec((length / 8) as u64);
            for pair in option[2..].chunks_exact(8) {
                let relative = |at| be32(pair, at).unwrap_or_default().wrapping_sub(ack_base);
                line.text(" {").dec(relative(0)).text(":").dec(relative(4)).text("}");
            }
            line
        }
        (8, 10) => {
            line.text("TS val ").dec(be32(option, 2).unwrap_or_default());
            line.text(" ecr ").dec(be32(option, 6).unwrap_or_default())
        }
        (19, 18) => line.text("md5"),
        (28, 4) => line.text("uto 0x").hex(be16(option, 2).unwrap_or_default(), 4),
        (29, _) => line.text("tcp-ao"),
        (30, _) => line.text("mptcp"),
        (34, 2) => line.text("tfo cookiereq"),
        (34, _) => line.text("tfo cookie"),
        (kind, length) => line.text("kind ").dec(kind).text(" len ").dec(length as u64),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(options: &[u8]) -> String {
        let mut line = Line::new(false);
        say(options, 1000, &mut line);
        String::from_utf8_lossy(line.as_bytes()).into_owned()
    }

    #[test]
    fn common_options_are_said_as_tcpdump_says_them() {
        let options = [2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 1, 3, 3, 7];
        assert_eq!(said(&options), ", options [mss 1460,sackOK,TS val 9 ecr 0,nop,wscale 7]");
        let sack = [1, 1, 5, 10, 0, 0, 3, 233, 0, 0, 4, 76];
        assert_eq!(said(&sack), ", options [nop,nop,sack 1 {1:100}]");
        assert_eq!(said(&[1, 0, 9, 9]), ", options [nop,eol]");
    }

    #[test]
    fn an_option_that_cannot_be_read_ends_the_list() {
        for (options, at, text) in [
            (&[1, 9, 0, 0][..], 1, ", options [nop,bad option 9]"),
            (&[2, 4, 5, 180, 8, 10, 0, 0], 4, ", options [mss 1460,bad option 8]"),
            (&[5, 1], 0, ", options [bad option 5]"),
            (&[3], 0, ", options [bad option 3]"),
        ] {
            assert_eq!(broken_at(options), Some(at));
            assert_eq!(said(options), text);
        }
        assert_eq!(broken_at(&[1, 0, 2]), None, "behind the end there is only padding");
    }
}
