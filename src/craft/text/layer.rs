//! A layer that is being made: its fixed part, what is appended, and which fields were given.

use std::collections::BTreeSet;
use std::fmt;

use super::kind::{Kind, Slot, What};
use super::parse::{Data, Field, Given, Result};
use super::value::{self, Meaning};
use super::{appended, entries};
use crate::mistake::{Mistake, near};

/// A layer.
#[derive(Clone)]
pub(super) struct Layer {
    pub kind: &'static Kind,
    /// The fixed part.
    pub head: Vec<u8>,
    /// What is appended to it.
    pub tail: Vec<u8>,
    /// The names of fields that were given.
    pub given: BTreeSet<&'static str>,
    /// The names of fields of which anything was said, `auto` too.
    said: BTreeSet<&'static str>,
    /// What does not fit into its automatic field.
    pub excess: Option<Excess>,
    /// Whether its checksum is to be wrong.
    pub is_spoiled: bool,
    /// Behind everything that it contains, and counted by none of its fields.
    pub trailer: Option<Data>,
    /// The option that was appended last.
    pub last: Option<appended::Last>,
    /// How many entries there are in each section of a DNS message.
    pub entries: entries::Entries,
}

/// A length that its field cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Excess {
    layer: &'static str,
    field: &'static str,
    number: usize,
    most: u128,
}

impl fmt::Display for Excess {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Excess { layer, field, number, most } = self;
        write!(
            out,
            "{layer} is too long: its '{field}' would be {number} and holds at most {most}; \
             shorten it, or give '{field}' itself"
        )
    }
}

/// Fields that every layer has.
const EVERYWHERE: [&str; 1] = ["trailer"];

impl Layer {
    /// A layer in which everything is automatic.
    pub fn new(kind: &'static Kind) -> Self {
        Layer {
            kind,
            head: kind.template.to_vec(),
            tail: Vec::new(),
            given: BTreeSet::new(),
            said: BTreeSet::new(),
            excess: None,
            is_spoiled: false,
            trailer: None,
            last: None,
            entries: entries::Entries::default(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.kind.name()
    }

    /// Whether the user said so.
    pub fn has(&self, name: &str) -> bool {
        self.given.contains(name)
    }

    /// Sets a field as the user says.
    pub fn set(&mut self, field: &Field<'_>) -> Result<()> {
        if field.name == "trailer" {
            return self.set_trailer(field);
        }
        if let Some(slot) = self.kind.slot(field.name) {
            return self.set_slot(slot, field);
        }
        match appended::append(self, field)? {
            true => Ok(()),
            false => Err(self.unknown(field)),
        }
    }

    /// Notes that something is said of a field, which is done once.
    pub fn say(&mut self, name: &'static str, at: usize) -> Result<()> {
        match self.said.insert(name) {
            true => Ok(()),
            false => {
                let layer = self.name();
                Err(Mistake::new(at, format!("'{name}' of {layer} is given twice: leave one out")))
            }
        }
    }

    fn set_slot(&mut self, slot: &'static Slot, field: &Field<'_>) -> Result<()> {
        self.say(slot.name, field.at)?;
        match value::meaning(slot, field.value.as_ref(), field.at)? {
            Meaning::Automatic => return Ok(()),
            Meaning::Wrong => {
                self.is_spoiled = true;
                return Ok(());
            }
            Meaning::Number(number) => write(&mut self.head, slot, number),
            Meaning::Bytes(bytes) => {
                let place = slot.width / 8;
                if bytes.len() > place {
                    let at = field.value.as_ref().map_or(field.at, |value| value.at);
                    let message = format!("'{}' has room for {place} bytes", slot.name);
                    return Err(Mistake::new(at, message));
                }
                let start = slot.bit / 8;
                if let Some(out) = self.head.get_mut(start..start + bytes.len()) {
                    out.copy_from_slice(&bytes);
                }
            }
        }
        self.given.insert(slot.name);
        Ok(())
    }

    fn set_trailer(&mut self, field: &Field<'_>) -> Result<()> {
        self.say("trailer", field.at)?;
        let value = field.value.as_ref();
        self.trailer = Some(match value.map(|value| &value.what) {
            Some(Given::Data(data)) => data.clone(),
            Some(Given::Word(word)) => {
                Data::Bytes(value::bytes(word, value.map_or(field.at, |value| value.at))?)
            }
            None => return Err(Mistake::new(field.at, "'trailer' needs bytes: trailer=0x00")),
        });
        Ok(())
    }

    fn unknown(&self, field: &Field<'_>) -> Mistake {
        let slots = self.kind.slots.iter().flat_map(|slot| {
            std::iter::once(slot.name)
                .chain(slot.aliases.iter().copied())
                .chain(slot.name.rsplit('.').next().filter(|last| *last != slot.name))
        });
        let options = self.kind.options.iter().map(|choice| choice.name);
        let names =
            slots.chain(options).chain(entries::names(self.kind).iter().copied()).chain(EVERYWHERE);
        let hint = match near(field.name, names) {
            Some(meant) => format!("; did you mean '{meant}'?"),
            None => format!("; '--list {}' shows its fields", self.name()),
        };
        Mistake::new(field.at, format!("{} has no field '{}'{hint}", self.name(), field.name))
    }

    /// Sets a field that was not given.
    pub fn fill(&mut self, name: &str, number: impl Into<u128>) {
        if !self.has(name)
            && let Some(slot) = self.kind.slot(name)
        {
            write(&mut self.head, slot, number.into());
        }
    }

    /// Sets a length that was not given; one that is more than `most`, or than fits, is noted.
    pub fn fill_length(&mut self, name: &str, number: usize, most: Option<u128>) {
        let Some(slot) = self.kind.slot(name).filter(|_| !self.has(name)) else { return };
        let most = most.unwrap_or(slot.max());
        if number as u128 > most {
            let excess = Excess { layer: self.name(), field: slot.name, number, most };
            self.excess.get_or_insert(excess);
        }
        self.fill(name, number as u128);
    }

    /// Sets a checksum that was not given to `right`, or not quite.
    pub fn fill_checksum(&mut self, name: &str, right: u16) {
        // Not 0: for UDP that would be none at all.
        let value = if self.is_spoiled { (right ^ 0x5a5a).max(1) } else { right };
        self.fill(name, value);
    }

    /// Whether it may be called so.
    pub fn is_called(&self, name: &str) -> bool {
        let is_control = name == "icmp" && self.name() == "icmpv6";
        self.name() == name || self.kind.aliases.contains(&name) || is_control
    }

    /// What a field of fixed place holds.
    pub fn get(&self, name: &str) -> u128 {
        self.kind.slot(name).map_or(0, |slot| read(&self.head, slot))
    }

    /// The field that holds its checksum, if it has one.
    pub fn checksum(&self) -> Option<&'static Slot> {
        self.kind.slots.iter().find(|slot| slot.what == What::Checksum)
    }
}

/// Puts a number into its bits; bytes that are not there yet come to be.
pub(super) fn write(bytes: &mut Vec<u8>, slot: &Slot, number: u128) {
    let end = (slot.bit + slot.width).div_ceil(8);
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    for n in 0..slot.width {
        let at = slot.bit + slot.width - 1 - n;
        let mask = 0x80 >> (at % 8);
        if let Some(byte) = bytes.get_mut(at / 8) {
            let is_set = n < 128 && number >> n & 1 == 1;
            *byte = if is_set { *byte | mask } else { *byte & !mask };
        }
    }
}

/// Reads a number out of its bits.
fn read(bytes: &[u8], slot: &Slot) -> u128 {
    (slot.bit..slot.bit + slot.width).fold(0, |number, at| {
        let byte = bytes.get(at / 8).copied().unwrap_or_default();
        number << 1 | u128::from(byte >> (7 - at % 8) & 1)
    })
}
