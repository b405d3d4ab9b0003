//! Values behind qualifiers: numbers, ports, protocols; addresses are next door.
//!
//! Services and protocols may be named: out of the tables of `words`, not out of the machine's, so
//! that a filter means the same everywhere.

use super::addresses;
use super::cursor::Parser;
use super::error::{FilterError, near};
use super::expr::{Primitive, Transports};
use super::parse::{Qualifier, Result, What};
use super::token::Kind;
use super::words::{self, Key, Versions};

/// The value that is next, under `qualifier`.
pub(super) fn value(parser: &mut Parser<'_>, qualifier: Qualifier) -> Result<Primitive> {
    match qualifier.what {
        What::Host | What::Net => match qualifier.protocol.map(|known| known.key) {
            Some(Key::Link) if qualifier.what == What::Host => addresses::mac(parser, qualifier),
            _ => addresses::address(parser, qualifier),
        },
        What::Port => port(parser, qualifier),
        What::PortRange => port_range(parser, qualifier),
        What::Proto => protocol_number(parser, qualifier),
    }
}

/// Whether a word is a number, as far as its first glance tells.
pub(super) fn is_number(word: &str) -> bool {
    let hex = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X"));
    match hex {
        Some(digits) => !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit()),
        None => !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit()),
    }
}

/// A number in decimal, in hex behind `0x`, or in octal behind `0`.
fn number(word: &str) -> Result<u64, String> {
    let (digits, radix) = match word.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&word[2..], 16),
        [b'0', _, ..] => (&word[1..], 8),
        _ => (word, 10),
    };
    u64::from_str_radix(digits, radix).map_err(|_| match radix {
        8 if word.contains(['8', '9']) => format!("'{word}' begins with 0 but is not octal"),
        _ => format!("{word} is too large"),
    })
}

/// A number of 64 bits at the next token.
pub(super) fn wide_number(parser: &mut Parser<'_>, wanted: &str) -> Result<u64> {
    match parser.word().filter(|word| is_number(word)) {
        None => Err(parser.unexpected(wanted)),
        Some(word) => {
            let number = number(word).map_err(|message| parser.error(message))?;
            parser.skip(1);
            Ok(number)
        }
    }
}

/// A number of 32 bits at the next token.
pub(super) fn plain_number(parser: &mut Parser<'_>, wanted: &str) -> Result<u32> {
    let at = parser.start();
    let number = wide_number(parser, wanted)?;
    number.try_into().map_err(|_| FilterError::new(at, format!("{number} has more than 32 bits")))
}

/// The identifier behind `vlan`, if there is one.
pub(super) fn vlan_id(parser: &mut Parser<'_>) -> Result<Option<u16>> {
    if !parser.word().is_some_and(is_number) {
        return Ok(None);
    }
    let at = parser.start();
    match plain_number(parser, "a VLAN identifier")? {
        id @ 0..=4095 => Ok(Some(id as u16)),
        id => Err(FilterError::new(at, format!("VLAN {id} is out of range (0 to 4095)"))),
    }
}

/// The transports under which a port is looked for.
fn transports(parser: &Parser<'_>, qualifier: Qualifier) -> Result<Transports> {
    Ok(match qualifier.protocol.map(|known| known.name) {
        None => Transports::All,
        Some("tcp") => Transports::Tcp,
        Some("udp") => Transports::Udp,
        Some("sctp") => Transports::Sctp,
        Some(name) => {
            let message = format!("'{name}' has no ports; 'tcp', 'udp' and 'sctp' have");
            return Err(parser.error(message));
        }
    })
}

/// A port by number or by the name of its service.
fn service(text: &str) -> Result<(u16, Transports), String> {
    if is_number(text) {
        return match number(text)? {
            port @ 0..=0xffff => Ok((port as u16, Transports::All)),
            port => Err(format!("port {port} is out of range (0 to 65535)")),
        };
    }
    words::service(text).ok_or_else(|| {
        let names = words::SERVICES.iter().map(|(name, ..)| *name);
        match near(text, names) {
            Some(meant) => format!("unknown service '{text}'; did you mean '{meant}'?"),
            None => format!("'{text}' is neither a port nor a service known here"),
        }
    })
}

fn port_word<'a>(parser: &Parser<'a>) -> Result<&'a str> {
    match parser.peek(0) {
        Some(Kind::Word(text) | Kind::Name(text)) => Ok(text),
        _ => Err(parser.unexpected("a port")),
    }
}

/// Ports may be asked for under the qualifier's transports, if the service has them.
fn narrowed(asked: Transports, has: Transports, text: &str) -> Result<Transports, String> {
    let name = |transports| match transports {
        Transports::All => "every transport",
        Transports::Tcp => "TCP",
        Transports::Udp => "UDP",
        Transports::Sctp => "SCTP",
    };
    match (asked, has) {
        (Transports::All, has) => Ok(has),
        (asked, Transports::All) => Ok(asked),
        (asked, has) if asked == has => Ok(asked),
        (asked, has) => Err(format!("'{text}' is over {}, not {}", name(has), name(asked))),
    }
}

fn port(parser: &mut Parser<'_>, qualifier: Qualifier) -> Result<Primitive> {
    let asked = transports(parser, qualifier)?;
    let text = port_word(parser)?;
    let range = text.split_once('-').filter(|(a, b)| is_number(a) && is_number(b));
    if range.is_some() {
        return Err(parser.error(format!("'{text}' is a range; say 'portrange {text}'")));
    }
    let found = service(text).and_then(|(port, has)| Ok((port, narrowed(asked, has, text)?)));
    let (port, over) = found.map_err(|message| parser.error(message))?;
    parser.skip(1);
    Ok(Primitive::Port { over, side: qualifier.side, range: None, port })
}

fn port_range(parser: &mut Parser<'_>, qualifier: Qualifier) -> Result<Primitive> {
    let asked = transports(parser, qualifier)?;
    let text = port_word(parser)?;
    let whole = service(text).map(|end| (end, end));
    let ends = whole.or_else(|message| {
        let mut splits = text.match_indices('-').map(|(at, _)| (&text[..at], &text[at + 1..]));
        let known = splits.clone().find_map(|(a, b)| Some((service(a).ok()?, service(b).ok()?)));
        let first = splits.find(|(a, _)| is_number(a));
        let wrong = || match first {
            Some((a, b)) => service(a).err().or(service(b).err()).unwrap_or(message),
            None => message,
        };
        known.ok_or_else(wrong)
    });
    let (first, last) = ends.map_err(|message| parser.error(message))?;
    let has = if first.1 == last.1 { first.1 } else { Transports::All };
    let over = narrowed(asked, has, text).map_err(|message| parser.error(message))?;
    parser.skip(1);
    let (port, last) = (first.0.min(last.0), first.0.max(last.0));
    Ok(Primitive::Port { over, side: qualifier.side, range: Some(last), port })
}

fn protocol_number(parser: &mut Parser<'_>, qualifier: Qualifier) -> Result<Primitive> {
    let in_front = qualifier.protocol.map(|known| known.name);
    let versions = match in_front {
        None => Some(Versions::Both),
        Some("ip") => Some(Versions::Four),
        Some("ip6") => Some(Versions::Six),
        Some("ether" | "link") => None,
        Some(name) => return Err(parser.error(format!("there is no '{name} proto'"))),
    };
    let text = match parser.peek(0) {
        Some(Kind::Word(text) | Kind::Name(text)) => text,
        _ => return Err(parser.unexpected("a protocol")),
    };
    let named = match versions {
        Some(_) => words::ip_protocol(text),
        None => words::ether_type(text),
    };
    let number = match named {
        Some(number) => {
            parser.skip(1);
            number
        }
        None if is_number(text) => plain_number(parser, "a protocol")?,
        None => {
            let kind = if versions.is_some() { "an IP protocol" } else { "an EtherType" };
            let known = words::KNOWN.iter().map(|known| known.name);
            let hint = near(text, known).map(|meant| format!("; did you mean '{meant}'?"));
            let hint = hint.unwrap_or_default();
            return Err(parser.error(format!("'{text}' is not {kind} known here{hint}")));
        }
    };
    Ok(match versions {
        Some(versions) => Primitive::IpProto(versions, number),
        None => Primitive::EtherProto(number),
    })
}
