//! What is appended to a layer: options, addresses, entries.
//!
//! Options stand in the order in which they are given. An option that holds several values, such as
//! TCP's timestamps, is begun by the first of them, and the others go into the same one; a value that
//! it has already begins another. `option.7=hex` is an option of any code with any data, and
//! `options=hex` are bytes that need be no options at all.

use super::entries;
use super::kind::{Choice, Slot, Style, What, field};
use super::layer::{Layer, write};
use super::parse::{Field, Given, Result, Value};
use super::value::{self, Meaning};
use crate::mistake::Mistake;

/// The option that was appended last: its code, where its data is, and which values it has.
#[derive(Clone, Debug)]
pub(super) struct Last {
    code: u8,
    start: usize,
    has: Vec<&'static str>,
}

/// Bytes of options and entries that a layer may have; more would fit into no frame.
const MOST: usize = 60_000;

/// Appends what `field` says; whether there is such a thing here.
pub(super) fn append(layer: &mut Layer, given: &Field<'_>) -> Result<bool> {
    if layer.tail.len() > MOST {
        return Err(Mistake::new(given.at, "this is more than fits into any frame"));
    }
    if layer.kind.style == Style::None {
        return Ok(false);
    }
    if layer.kind.style == Style::Dns {
        return entries::append(layer, given);
    }
    if given.name == "options" && layer.kind.style != Style::Plain {
        let bytes = bytes_of(given)?;
        layer.say("options", given.at)?;
        layer.tail.extend(bytes);
        layer.given.insert("options");
        layer.last = None;
        return Ok(true);
    }
    let options = layer.kind.options;
    let called = |choice: &&Choice| {
        choice.name == given.name || choice.name.strip_prefix("option.") == Some(given.name)
    };
    if let Some(choice) = options.iter().find(called) {
        return append_choice(layer, choice, given).map(|()| true);
    }
    match given.name.strip_prefix("option.") {
        Some("kind" | "type" | "code") => {
            let slot = field("option", 0, 1, What::Number);
            match value::meaning(&slot, given.value.as_ref(), given.at)? {
                Meaning::Number(code) => put(layer, code as u8, &[]),
                _ => return Err(Mistake::new(given.at, "the code of an option is a number")),
            }
            Ok(true)
        }
        Some(code) => match code.parse::<u8>() {
            Ok(code) => {
                let data = if given.value.is_some() { bytes_of(given)? } else { Vec::new() };
                put_checked(layer, code, &data, given.at)?;
                Ok(true)
            }
            Err(_) => Ok(false),
        },
        None => Ok(false),
    }
}

/// The bytes that a field is given.
pub(super) fn bytes_of(given: &Field<'_>) -> Result<Vec<u8>> {
    let slot = Slot { name: "", aliases: &[], bit: 0, width: 0, what: What::Bytes };
    match &given.value {
        Some(Value { what: Given::Word(word), at }) => value::bytes(word, *at),
        value => match value::meaning(&slot, value.as_ref(), given.at) {
            Ok(Meaning::Bytes(bytes)) => Ok(bytes),
            _ => Err(Mistake::new(given.at, format!("'{}' needs bytes: 0x0102", given.name))),
        },
    }
}

fn append_choice(layer: &mut Layer, choice: &'static Choice, given: &Field<'_>) -> Result<()> {
    let meaning = match (choice.size, &given.value) {
        (Some(0), None) => Meaning::Bytes(Vec::new()),
        (Some(0), Some(value)) => {
            return Err(Mistake::new(value.at, format!("'{}' has no value", choice.name)));
        }
        (_, value) => value::meaning(&choice.slot, value.as_ref(), given.at)?,
    };
    match (choice.size, meaning) {
        (_, Meaning::Automatic | Meaning::Wrong) => {}
        (_, Meaning::Bytes(bytes)) => put_checked(layer, choice.code, &bytes, given.at)?,
        (size, Meaning::Number(number)) => {
            let is_another =
                |last: &Last| last.code != choice.code || last.has.contains(&choice.name);
            if layer.last.as_ref().is_none_or(is_another) || layer.kind.style == Style::Plain {
                put(layer, choice.code, &vec![0; size.unwrap_or_default()]);
            }
            let Some(last) = &mut layer.last else { return Ok(()) };
            last.has.push(choice.name);
            let slot = Slot { bit: choice.slot.bit + last.start * 8, ..choice.slot };
            write(&mut layer.tail, &slot, number);
        }
    }
    layer.given.insert(choice.name);
    Ok(())
}

fn put_checked(layer: &mut Layer, code: u8, data: &[u8], at: usize) -> Result<()> {
    let longest = match layer.kind.style {
        Style::Discovery => 255 * 8 - 2,
        Style::Words => 253,
        Style::Plain => MOST,
        _ => 255,
    };
    if data.len() > longest {
        return Err(Mistake::new(at, format!("an option has at most {longest} bytes of data")));
    }
    put(layer, code, data);
    Ok(())
}

/// Appends an option.
pub(super) fn put(layer: &mut Layer, code: u8, data: &[u8]) {
    let style = layer.kind.style;
    let tail = &mut layer.tail;
    match style {
        Style::Plain => {}
        _ if style.is_single(code) && data.is_empty() => tail.push(code),
        Style::Words => tail.extend([code, data.len() as u8 + 2]),
        Style::Discovery => tail.extend([code, (data.len() + 2).div_ceil(8) as u8]),
        _ => tail.extend([code, data.len() as u8]),
    }
    let start = tail.len();
    tail.extend_from_slice(data);
    if style == Style::Discovery {
        tail.resize(tail.len().next_multiple_of(8), 0);
    }
    layer.last = Some(Last { code, start, has: Vec::new() });
}
