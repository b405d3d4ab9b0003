//! The entries of a DNS message (RFC 1035 section 4.1): questions and records.
//!
//! A `name` begins an entry of its section: type A, class IN, and for a record a time to live of a
//! minute and no data. What is said of the section after that goes into this entry. The counts of the
//! header are automatic.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::appended::bytes_of;
use super::kind::{Kind, Slot, Style, What, field};
use super::layer::{Layer, write};
use super::parse::{Field, Given, Result, Value};
use super::value::{self, Meaning};
use crate::mistake::Mistake;

/// How many entries there are, and where the last one's fixed part is.
#[derive(Clone, Debug, Default)]
pub(super) struct Entries {
    pub counts: [u16; 4],
    last: Option<(usize, usize)>,
}

const SECTIONS: [&str; 4] = ["question", "answer", "authority", "additional"];

const NAMES: [&str; 18] = [
    "question.name",
    "question.type",
    "question.class",
    "answer.name",
    "answer.type",
    "answer.class",
    "answer.ttl",
    "answer.data",
    "authority.name",
    "authority.type",
    "authority.class",
    "authority.ttl",
    "authority.data",
    "additional.name",
    "additional.type",
    "additional.class",
    "additional.ttl",
    "additional.data",
];

const TYPES: What = What::Named(&[
    ("A", 1),
    ("NS", 2),
    ("CNAME", 5),
    ("SOA", 6),
    ("PTR", 12),
    ("MX", 15),
    ("TXT", 16),
    ("AAAA", 28),
    ("SRV", 33),
    ("ANY", 255),
]);

/// The names of fields of entries, if such messages have them.
pub(super) fn names(kind: &Kind) -> &'static [&'static str] {
    if kind.style == Style::Dns { &NAMES } else { &[] }
}

impl Entries {
    fn fixed(&self, section: usize, at: usize) -> Result<usize> {
        match self.last {
            Some((last, fixed)) if last == section => Ok(fixed),
            _ => {
                let name = SECTIONS[section];
                Err(Mistake::new(at, format!("'{name}.name' comes first: it begins the entry")))
            }
        }
    }
}

/// Appends what `given` says of an entry; whether there is such a field.
pub(super) fn append(layer: &mut Layer, given: &Field<'_>) -> Result<bool> {
    let Some((section, name)) = given.name.split_once('.') else { return Ok(false) };
    let Some(section) = SECTIONS.iter().position(|known| *known == section) else {
        return Ok(false);
    };
    match name {
        "name" => begin(layer, section, given)?,
        "type" => patch(layer, section, given, field("type", 0, 2, TYPES))?,
        "class" => {
            let classes = What::Named(&[("IN", 1), ("CH", 3), ("ANY", 255)]);
            patch(layer, section, given, field("class", 2, 2, classes))?;
        }
        "ttl" if section > 0 => {
            patch(layer, section, given, field("ttl", 4, 4, What::Number))?;
        }
        "data" if section > 0 => put_data(layer, section, given)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn begin(layer: &mut Layer, section: usize, given: &Field<'_>) -> Result<()> {
    let name = match &given.value {
        Some(Value { what: Given::Word(word), at }) => encoded(word, *at)?,
        Some(_) => bytes_of(given)?, // a name in no form that a name has
        None => return Err(Mistake::new(given.at, "a name is expected: example.org")),
    };
    layer.tail.extend(name);
    layer.entries.last = Some((section, layer.tail.len()));
    let count = &mut layer.entries.counts[section];
    *count = count.saturating_add(1);
    layer.tail.extend([0, 1, 0, 1]);
    if section > 0 {
        layer.tail.extend([0, 0, 0, 60, 0, 0]);
    }
    Ok(())
}

/// The labels of a name.
fn encoded(name: &str, at: usize) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        if label.len() > 63 {
            return Err(Mistake::new(at, "a label of a name has at most 63 characters"));
        }
        out.push(label.len() as u8);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    Ok(out)
}

fn patch(layer: &mut Layer, section: usize, given: &Field<'_>, slot: Slot) -> Result<()> {
    let fixed = layer.entries.fixed(section, given.at)?;
    if let Meaning::Number(number) = value::meaning(&slot, given.value.as_ref(), given.at)? {
        write(&mut layer.tail, &Slot { bit: slot.bit + fixed * 8, ..slot }, number);
    }
    Ok(())
}

/// Addresses, bytes, or a name.
fn put_data(layer: &mut Layer, section: usize, given: &Field<'_>) -> Result<()> {
    let fixed = layer.entries.fixed(section, given.at)?;
    let data = match &given.value {
        Some(Value { what: Given::Word(word), at }) => match () {
            () if word.starts_with("0x") => value::bytes(word, *at)?,
            () => match (word.parse::<Ipv4Addr>(), word.parse::<Ipv6Addr>()) {
                (Ok(ip), _) => ip.octets().to_vec(),
                (_, Ok(ip)) => ip.octets().to_vec(),
                _ => encoded(word, *at)?,
            },
        },
        _ => bytes_of(given)?,
    };
    let length = field("rdlength", fixed + 8, 2, What::Number);
    layer.tail.truncate(fixed + 10); // data that is said again replaces what was
    layer.tail.extend_from_slice(&data);
    write(&mut layer.tail, &length, data.len() as u128);
    Ok(())
}
