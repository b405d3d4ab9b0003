//! What a word means to a field.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::kind::{Slot, What};
use super::parse::{self, Data, Given, Result, Value};
use crate::mistake::{Mistake, near};
use crate::proto::MacAddr;

/// What a field becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// What it is when nothing is said.
    Automatic,
    /// A number, an address, bits.
    Number(u128),
    /// The right checksum with some bits turned over.
    Wrong,
    /// As many bytes as there are.
    Bytes(Vec<u8>),
}

/// What `value` means to `slot`; a field without a value is a flag that is set.
pub(super) fn meaning(slot: &Slot, value: Option<&Value<'_>>, at: usize) -> Result<Meaning> {
    let Some(value) = value else {
        return match slot.what {
            What::Flag => Ok(Meaning::Number(1)),
            _ => Err(Mistake::new(at, format!("'{}' needs a value: {0}=...", slot.name))),
        };
    };
    match &value.what {
        Given::Word("auto") => Ok(Meaning::Automatic),
        Given::Word(word) => of_word(slot, word, value.at),
        Given::Data(Data::Bytes(bytes)) => of_bytes(slot, bytes, value.at),
        Given::Data(_) => Err(Mistake::new(
            value.at,
            "a field takes no bytes of a file or of chance; 'trailer' and data between layers do",
        )),
    }
}

fn of_bytes(slot: &Slot, bytes: &[u8], at: usize) -> Result<Meaning> {
    match slot.what {
        What::Text | What::Bytes => Ok(Meaning::Bytes(bytes.to_vec())),
        _ if bytes.len() * 8 == slot.width => {
            let number = bytes.iter().fold(0, |number, byte| number << 8 | u128::from(*byte));
            Ok(Meaning::Number(number))
        }
        _ => Err(Mistake::new(at, format!("'{}' is {}, no text", slot.name, says(slot)))),
    }
}

fn of_word(slot: &Slot, word: &str, at: usize) -> Result<Meaning> {
    let number = match slot.what {
        What::Text => return Ok(Meaning::Bytes(word.as_bytes().to_vec())),
        What::Bytes => return bytes(word, at).map(Meaning::Bytes),
        What::Checksum if word == "wrong" => return Ok(Meaning::Wrong),
        What::Mac => {
            let mac: Option<MacAddr> = match word {
                "broadcast" => Some(MacAddr::broadcast()),
                _ => word.parse().ok(),
            };
            mac.map(|mac| mac.octets().iter().fold(0, |n, byte| n << 8 | u128::from(*byte)))
        }
        What::Ipv4 => word.parse::<Ipv4Addr>().ok().map(|ip| u32::from(ip).into()),
        What::Ipv6 => word.parse::<Ipv6Addr>().ok().map(u128::from),
        What::Flag => match word {
            "true" | "yes" | "on" => Some(1),
            "false" | "no" | "off" => Some(0),
            _ => plain(word),
        },
        What::Letters(letters) => flags(letters, word).or_else(|| plain(word)),
        What::Named(names) => {
            let named = names.iter().find(|(name, _)| *name == word).map(|(_, n)| u128::from(*n));
            named.or_else(|| plain(word))
        }
        What::Units(unit) => return units(slot, unit, word, at),
        What::Number | What::Checksum => plain(word),
    };
    match number {
        Some(number) if number <= slot.max() => Ok(Meaning::Number(number)),
        Some(_) => Err(Mistake::new(
            at,
            format!("'{}' has {} bits: at most {}", slot.name, slot.width, slot.max()),
        )),
        None => Err(not_a_value(slot, word, at)),
    }
}

fn not_a_value(slot: &Slot, word: &str, at: usize) -> Mistake {
    let hint = match slot.what {
        What::Named(names) => near(word, names.iter().map(|(name, _)| *name))
            .map(|meant| format!("; did you mean '{meant}'?")),
        _ => None,
    };
    let hint = hint.unwrap_or_default();
    Mistake::new(at, format!("'{}' is {}, not '{word}'{hint}", slot.name, says(slot)))
}

/// A number of which the frame holds only a part.
fn units(slot: &Slot, unit: u64, word: &str, at: usize) -> Result<Meaning> {
    let unit = u128::from(unit);
    match plain(word) {
        Some(number) if number % unit == 0 && number / unit <= slot.max() => {
            Ok(Meaning::Number(number / unit))
        }
        _ => Err(Mistake::new(
            at,
            format!(
                "'{}' is a number of bytes up to {}, in steps of {unit}, not '{word}'",
                slot.name,
                slot.max() * unit
            ),
        )),
    }
}

/// Decimal, or hex behind `0x`.
pub(super) fn plain(word: &str) -> Option<u128> {
    let is_signed = word.starts_with('+') || word.starts_with("0x+");
    let number = match word.strip_prefix("0x") {
        Some(hex) => u128::from_str_radix(hex, 16),
        None => word.parse(),
    };
    number.ok().filter(|_| !is_signed)
}

/// Hex digits, with `0x` in front or without.
pub(super) fn bytes(word: &str, at: usize) -> Result<Vec<u8>> {
    let digits = word.strip_prefix("0x").unwrap_or(word);
    parse::hex(digits, at + word.len() - digits.len())
}

/// Bits by their letters; `-` and `.` are none of them.
pub(super) fn flags(letters: &str, word: &str) -> Option<u128> {
    word.chars().filter(|c| !"-.".contains(*c)).try_fold(0, |bits, c| {
        let bit = letters.find(c.to_ascii_uppercase())?;
        Some(bits | 1 << bit)
    })
}

/// What the values of a field are, for error messages and the list of fields.
pub(super) fn says(slot: &Slot) -> String {
    match slot.what {
        What::Number => format!("a number up to {}", slot.max()),
        What::Named(names) => {
            let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
            format!("a number up to {} or {}", slot.max(), names.join(", "))
        }
        What::Units(unit) => format!("a number of bytes in steps of {unit}"),
        What::Flag => "a flag, 0 or 1".to_owned(),
        What::Letters(letters) => format!("letters out of {letters}, or a number"),
        What::Mac => "an Ethernet address such as 02:00:00:00:00:02".to_owned(),
        What::Ipv4 => "an IPv4 address".to_owned(),
        What::Ipv6 => "an IPv6 address".to_owned(),
        What::Checksum => "a number up to 65535, or 'wrong'".to_owned(),
        What::Text => "text".to_owned(),
        What::Bytes => "hex bytes or text in quotation marks".to_owned(),
    }
}
