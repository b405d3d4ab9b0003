//! What stands behind the names of fields: numbers, addresses, flags, patterns.

use std::time::Duration;

use super::super::fields::{Field, Kind};
use super::super::words::{Comparison, Word, bytes};
use super::super::{Address, Known, Matcher, Number, Setting, Term};
use super::{MESSAGES, Parser, REGEX_SIZE, Result, field};
use crate::craft::layers::Checksum;
use crate::dissect::filter::Filter;
use crate::endpoint::spec::parse_duration;
use crate::proto::{MacAddr, arp, tcp};

impl Parser {
    pub(super) fn setting(&self, field: &Field, value: Word<'_>) -> Result<Setting> {
        Ok(match field.kind {
            Kind::Number(bits) => Setting::Number(self.bounded(bits, value)?),
            Kind::Ip => Setting::Ip(ip(&value)?),
            Kind::Mac => Setting::Mac(mac(&value)?),
            Kind::Bytes => Setting::Bytes(bytes(value)?),
            Kind::Checksum => Setting::Checksum(match value.text {
                "bad" => Checksum::Wrong,
                "ok" => Checksum::Right,
                "zero" => Checksum::Exact(0),
                text => match integer(text).and_then(|sum| u16::try_from(sum).ok()) {
                    Some(sum) => Checksum::Exact(sum),
                    None => {
                        let text = format!("'{text}' is none of bad, ok, zero, or a number");
                        return Err(value.problem(text));
                    }
                },
            }),
        })
    }

    pub(super) fn matcher(
        &self,
        field: &Field,
        comparison: Comparison,
        value: Word<'_>,
    ) -> Result<Matcher> {
        use Comparison::{Equal, Like, Unequal};
        if comparison == Equal && value.text == "none" {
            return Ok(Matcher::Absent);
        }
        if comparison == Like && field.kind != Kind::Bytes {
            return Err(value.problem(format!("'~' is for bytes, and {} is none", field.name)));
        }
        let is_plain = matches!(comparison, Equal | Unequal | Like);
        if !is_plain && !matches!(field.kind, Kind::Number(_)) {
            return Err(value.problem(format!("{} can only be '=' or '!='", field.name)));
        }
        Ok(match field.kind {
            Kind::Number(bits) => match value.text.split_once("..") {
                Some((low, high)) if comparison == Equal => {
                    let at = value.text.len() - high.len();
                    let low = Word { text: low, ..value };
                    Matcher::Range(self.bounded(bits, low)?, self.bounded(bits, value.from(at))?)
                }
                _ => Matcher::Number(comparison, self.bounded(bits, value)?),
            },
            Kind::Ip => Matcher::Ip(comparison, ip(&value)?),
            Kind::Mac => Matcher::Mac(comparison, mac(&value)?),
            Kind::Bytes if comparison == Like => Matcher::Regex(regex_of(value)?),
            Kind::Bytes => Matcher::Bytes(comparison, bytes(value)?),
            Kind::Checksum => match value.text {
                "ok" => Matcher::IsRight(comparison == Equal),
                "bad" => Matcher::IsRight(comparison != Equal),
                text => {
                    return Err(value.problem(format!("'{text}' is neither ok nor bad")));
                }
            },
        })
    }

    /// A sum whose plain numbers fit into so many bits.
    pub(super) fn bounded(&self, bits: u32, value: Word<'_>) -> Result<Number> {
        let number = self.number(value)?;
        let is_large = |term: &Term| matches!(term, Term::Value(value) if value >> bits > 0);
        match number.iter().any(|(_, term)| is_large(term)) {
            true => Err(value.problem(format!("at most {} fits there", (1u64 << bits) - 1))),
            false => Ok(number),
        }
    }

    /// `sa.seq+1`, `0x1000`, `http`.
    pub(super) fn number(&self, value: Word<'_>) -> Result<Number> {
        let mut sum = Vec::new();
        let (mut rest, mut is_taken_away) = (value, false);
        loop {
            let is_sign = |(at, sign): &(usize, &str)| {
                // Names may hold '-', where a letter follows.
                let behind = rest.text[at + 1..].chars().next();
                *sign == "+" || !behind.is_some_and(|c| c.is_alphabetic())
            };
            let sign = rest.text.match_indices(['+', '-']).find(is_sign);
            let end = sign.map_or(rest.text.len(), |(at, _)| at);
            let term = Word { text: &rest.text[..end], ..rest };
            sum.push((is_taken_away, self.term(&term)?));
            match rest.text[end..].chars().next() {
                None => return Ok(sum),
                Some(sign) => is_taken_away = sign == '-',
            }
            rest = rest.from(end + 1);
        }
    }

    pub(super) fn term(&self, word: &Word<'_>) -> Result<Term> {
        if let Some(value) = integer(word.text) {
            return Ok(Term::Value(value));
        }
        Ok(match word.text {
            "http" => Term::Known(Known::Http),
            "closed" => Term::Known(Known::Closed),
            "echo" => Term::Known(Known::Echo),
            "max-frame" => Term::Known(Known::MaxFrame),
            "full" => Term::Known(Known::Full),
            "rf" => Term::Value(4),
            "df" => Term::Value(2),
            "mf" => Term::Value(1),
            text => {
                let Some((name, part)) = text.split_once('.') else {
                    let text = format!(
                        "'{text}' is no number, and none of http, closed, echo, max-frame, full"
                    );
                    return Err(word.problem(text));
                };
                let part = word.from(word.text.len() - part.len());
                let field = field(self.layer_of(word, name)?, &part)?;
                if field.get.is_none() || !matches!(field.kind, Kind::Number(_)) {
                    return Err(
                        part.problem(format!("'{}' is no number that can be read", part.text))
                    );
                }
                Term::Field(name.to_owned(), field)
            }
        })
    }
}

pub(super) fn flags(word: &Word<'_>) -> Result<u8> {
    if word.text == "-" {
        return Ok(0);
    }
    word.text.chars().try_fold(0, |flags, letter| {
        let flag = match letter {
            'F' => tcp::FIN,
            'S' => tcp::SYN,
            'R' => tcp::RST,
            'P' => tcp::PSH,
            'A' => tcp::ACK,
            'U' => tcp::URG,
            'E' => 0x40,
            'W' => 0x80,
            _ => {
                let text = format!("'{}' are no flags: letters of FSRPAUEW, or '-'", word.text);
                return Err(word.problem(text));
            }
        };
        Ok(flags | flag)
    })
}

pub(super) fn message(word: &Word<'_>) -> Result<(u8, Option<u8>)> {
    let found = MESSAGES.iter().find(|(name, ..)| *name == word.text);
    found.map(|(_, kind, code)| (*kind, *code)).ok_or_else(|| {
        let names: Vec<_> = MESSAGES.iter().map(|(name, ..)| *name).collect();
        let names = names.join(", ");
        word.problem(format!("'{}' is none of {names}; others are type=N code=N", word.text))
    })
}

pub(super) fn operation(word: &Word<'_>) -> Result<u16> {
    match word.text {
        "request" => Ok(arp::REQUEST),
        "reply" => Ok(arp::REPLY),
        text => {
            Err(word.problem(format!("'{text}' is neither request nor reply; others are op=N")))
        }
    }
}

pub(super) fn duration(word: &Word<'_>) -> Result<Duration> {
    /// A script that waits longer is a mistake.
    const LONGEST: Duration = Duration::from_secs(3600);
    let time = parse_duration(word.text).map_err(|text| word.problem(text))?;
    match time > LONGEST {
        true => Err(word.problem("more than an hour")),
        false => Ok(time),
    }
}

/// A number without a sign, decimal or hexadecimal.
pub(super) fn integer(text: &str) -> Option<u64> {
    let is_digit = |c: char| c.is_ascii_hexdigit();
    match text.strip_prefix("0x") {
        Some(digits) if digits.chars().all(is_digit) => u64::from_str_radix(digits, 16).ok(),
        Some(_) => None,
        None => text.parse().ok().filter(|_| text.starts_with(|c: char| c.is_ascii_digit())),
    }
    .filter(|value| *value <= u32::MAX.into())
}

pub(super) fn ip(word: &Word<'_>) -> Result<Address<std::net::Ipv4Addr>> {
    let net = |text: &str| text.strip_prefix("net.").and_then(|last| last.parse().ok());
    Ok(match word.text {
        "host" => Address::Host,
        "device" => Address::Device,
        text => match (text.parse(), net(text)) {
            (Ok(ip), _) => Address::Exact(ip),
            (Err(_), Some(last)) => Address::Net(last),
            (Err(_), None) => {
                let text = format!("'{text}' is no IPv4 address, and none of host, device, net.N");
                return Err(word.problem(text));
            }
        },
    })
}

pub(super) fn mac(word: &Word<'_>) -> Result<Address<MacAddr>> {
    Ok(match word.text {
        "host" => Address::Host,
        "device" => Address::Device,
        "broadcast" => Address::Exact(MacAddr::broadcast()),
        text => Address::Exact(text.parse().map_err(|_| {
            let text =
                format!("'{text}' is no Ethernet address, and none of host, device, broadcast");
            word.problem(text)
        })?),
    })
}

pub(super) fn text_of(word: &Word<'_>) -> Result<String> {
    String::from_utf8(bytes(*word)?).map_err(|_| word.problem("this is no text"))
}

pub(super) fn regex_of(word: Word<'_>) -> Result<regex::bytes::Regex> {
    let Some(text) = word.text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
        return Err(word.problem("a regular expression stands in quotes"));
    };
    let built = regex::bytes::RegexBuilder::new(text).unicode(false).size_limit(REGEX_SIZE).build();
    built.map_err(|error| {
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        word.problem(format!("bad regular expression: {last}"))
    })
}

pub(super) fn filter_of(word: &Word<'_>) -> Result<Filter> {
    Filter::parse(&text_of(word)?).map_err(|error| {
        let text = error.to_string();
        word.problem(format!("bad filter: {}", text.lines().next().unwrap_or_default()))
    })
}
