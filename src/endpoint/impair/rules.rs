//! What the user asks for: `drop=1%,to-device.delay=20ms,seed=7`.

use std::fmt;
use std::time::Duration;

use crate::endpoint::spec::{parse_duration, parse_line_rate, parse_positive};

/// Every impairment by its name, with an example, for error texts and help.
pub const NAMES: [(&str, &str); 9] = [
    ("drop", "1%"),
    ("dup", "1%"),
    ("corrupt", "1%"),
    ("truncate", "1%"),
    ("reorder", "1%"),
    ("delay", "20ms"),
    ("jitter", "5ms"),
    ("rate", "115200"),
    ("stall", "1%:500ms"),
];

/// In front of an impairment: only what goes to the device.
const TO_DEVICE: &str = "to-device";
/// Only what comes from it.
const FROM_DEVICE: &str = "from-device";
/// Bits that one frame has turned at most: as many as the longest has.
const MAX_BITS: usize = 65_535 * 8;
/// A minute: a line that is later than that is gone.
const LONGEST: Duration = Duration::from_secs(60);

/// What is done to both directions of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Impairments {
    /// To what goes to the device.
    pub to_device: Rules,
    /// To what comes from it.
    pub from_device: Rules,
    /// What decides chance; without one, it is chosen.
    pub seed: Option<u64>,
    /// We are the device: what we send comes from it.
    pub is_device_side: bool,
}

/// What is done to one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rules {
    /// The frame does not arrive.
    pub drop: Chance,
    /// It arrives twice.
    pub dup: Chance,
    /// Bits of it are turned.
    pub corrupt: Chance,
    /// So many bits, 0 meaning 1.
    pub bits: usize,
    /// Its end is missing.
    pub truncate: Chance,
    /// It goes after the next one.
    pub reorder: Chance,
    /// It goes so much later.
    pub delay: Duration,
    /// By chance, up to so much more or less.
    pub jitter: Duration,
    /// The line has so many baud, with 10 bits for a byte.
    pub rate: Option<u32>,
    /// The line stands still in front of it.
    pub stall: Chance,
    /// For so long.
    pub stall_for: Duration,
}

/// A probability from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Chance(f64);

impl Chance {
    /// Whether a number from 0 to 1, without 1 itself, is a hit.
    pub fn is_hit(self, number: f64) -> bool {
        number < self.0
    }

    /// Whether it never is.
    pub fn is_never(self) -> bool {
        self.0 <= 0.0
    }

    /// `1%` or `0.01`.
    fn parse(name: &str, text: &str) -> Result<Chance, String> {
        let (number, scale) = match text.strip_suffix('%') {
            Some(number) => (number, 100.0),
            None => (text, 1.0),
        };
        let share = number.parse::<f64>().ok().map(|number| number / scale);
        let chance = share.filter(|share| (0.0..=1.0).contains(share)).map(Chance);
        chance.ok_or_else(|| {
            format!("{name} '{text}' is not a share of the frames such as 1% or 0.01")
        })
    }
}

impl fmt::Display for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = format!("{:.6}", self.0 * 100.0);
        write!(f, "{}%", percent.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl Impairments {
    /// Whether nothing is done.
    pub fn is_nothing(&self) -> bool {
        self.to_device.is_nothing() && self.from_device.is_nothing()
    }

    /// Whether `option` is one of ours.
    pub fn has(option: &str) -> bool {
        option == "seed" || NAMES.iter().any(|(name, _)| *name == split(option).1)
    }

    /// Sets the option `name`, of which [`Impairments::has`] has said that it is ours.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let (direction, rule) = split(name);
        if rule == "seed" {
            let seed = value.parse().map_err(|_| format!("seed '{value}' is not a number"))?;
            self.seed = Some(seed);
            return Ok(());
        }
        if direction != Some(FROM_DEVICE) {
            self.to_device.set(rule, value)?;
        }
        if direction != Some(TO_DEVICE) {
            self.from_device.set(rule, value)?;
        }
        Ok(())
    }
}

/// The direction in front of an option, if it has one, and the rest.
fn split(option: &str) -> (Option<&str>, &str) {
    match option.split_once('.') {
        Some((direction @ (TO_DEVICE | FROM_DEVICE), rule)) if rule != "seed" => {
            (Some(direction), rule)
        }
        _ => (None, option),
    }
}

impl Rules {
    /// Whether nothing is done.
    pub fn is_nothing(&self) -> bool {
        *self == Rules { bits: self.bits, stall_for: self.stall_for, ..Rules::default() }
    }

    /// Whether frames may have to wait.
    pub fn has_waiting(&self) -> bool {
        !self.delay.is_zero()
            || !self.jitter.is_zero()
            || self.rate.is_some()
            || !self.reorder.is_never()
            || !self.stall.is_never()
    }

    fn set(&mut self, rule: &str, value: &str) -> Result<(), String> {
        match rule {
            "drop" => self.drop = Chance::parse(rule, value)?,
            "dup" => self.dup = Chance::parse(rule, value)?,
            "corrupt" => {
                let (chance, bits) = value.split_once(':').unwrap_or((value, "1"));
                self.corrupt = Chance::parse(rule, chance)?;
                self.bits = parse_bits(value, bits)?;
            }
            "truncate" => self.truncate = Chance::parse(rule, value)?,
            "reorder" => self.reorder = Chance::parse(rule, value)?,
            "delay" => self.delay = bounded(rule, parse_duration(value))?,
            "jitter" => self.jitter = bounded(rule, parse_duration(value))?,
            "rate" => {
                let rate = parse_line_rate(value).map_err(|what| what.replacen("line-", "", 1))?;
                self.rate = Some(rate).filter(|rate| *rate > 0);
            }
            "stall" => {
                let Some((chance, time)) = value.split_once(':') else {
                    return Err(format!(
                        "stall '{value}' does not say how often and how long, as 1%:500ms does"
                    ));
                };
                self.stall = Chance::parse(rule, chance)?;
                self.stall_for = bounded(rule, parse_positive(time))?;
            }
            _ => return Err(format!("there is no impairment '{rule}'")),
        }
        Ok(())
    }
}

fn parse_bits(value: &str, bits: &str) -> Result<usize, String> {
    let number = bits.parse().ok().filter(|bits| (1..=MAX_BITS).contains(bits));
    number
        .ok_or_else(|| format!("corrupt '{value}' does not end with a number of bits as 1%:8 does"))
}

fn bounded(rule: &str, time: Result<Duration, String>) -> Result<Duration, String> {
    match time {
        Ok(time) if time > LONGEST => Err(format!("{rule} '{time:?}' is more than a minute")),
        Ok(time) => Ok(time),
        Err(what) => Err(format!("{rule} {what}")),
    }
}

/// What is not nothing, one after the other.
impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chance =
            |name: &str, chance: Chance| (!chance.is_never()).then(|| format!("{name} {chance}"));
        let time =
            |name: &str, time: Duration| (!time.is_zero()).then(|| format!("{name} {time:?}"));
        let bits = if self.bits > 1 { format!(" ({} bits)", self.bits) } else { String::new() };
        let parts = [
            chance("drop", self.drop),
            chance("dup", self.dup),
            chance("corrupt", self.corrupt).map(|text| text + &bits),
            chance("truncate", self.truncate),
            chance("reorder", self.reorder),
            time("delay", self.delay),
            time("jitter", self.jitter),
            self.rate.map(|rate| format!("rate {rate}")),
            chance("stall", self.stall).map(|text| format!("{text} for {:?}", self.stall_for)),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(&parts.join(", "))
    }
}

impl fmt::Display for Impairments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (to, from) = (&self.to_device, &self.from_device);
        match (to.is_nothing(), from.is_nothing()) {
            _ if to == from => write!(f, "both ways: {to}"),
            (false, true) => write!(f, "to the device: {to}"),
            (true, _) => write!(f, "from the device: {from}"),
            (false, false) => write!(f, "to the device: {to}; from it: {from}"),
        }
    }
}
