//! Values of fields as text.

use crate::proto::line::Line;
use crate::proto::{Item, Value};

/// Bytes of a value that are shown at most, where people read it.
const MOST: usize = 64;

/// Says the value of a field, and what it means.
pub fn say(item: &Item<'_>, line: &mut Line) {
    match item.value {
        Value::Number(number) => line.dec(number),
        Value::Hex(number) => {
            let width = (item.at.1 * 2).clamp(2, 16) as u32;
            line.text("0x").hex(number, width)
        }
        Value::Flag(flag) => line.text(if flag { "yes" } else { "no" }),
        Value::Mac(mac) => line.mac(mac),
        Value::Ipv4(address) => line.ipv4(address),
        Value::Ipv6(address) => line.ipv6(address),
        Value::Text(text) => line.escaped(text),
        Value::Domain(name) => line.display(name),
        Value::Record(data) => line.display(data),
        Value::Bytes(bytes) => say_bytes(bytes, line),
    };
    if let Some(meaning) = item.meaning {
        line.tint(crate::proto::line::Tint::Faint).text(" (").text(meaning).text(")").plain();
    }
}

fn say_bytes<'l>(bytes: &[u8], line: &'l mut Line) -> &'l mut Line {
    for byte in bytes.iter().take(MOST) {
        line.hex(*byte, 2);
    }
    if bytes.len() > MOST {
        line.text("... (").dec(bytes.len() as u64).text(" bytes)");
    }
    line
}
