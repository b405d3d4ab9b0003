//! Addresses and networks of Ethernet, IPv4 and IPv6.
//!
//! IPv4 addresses may be cut short as in tcpdump: `net 10` and `net 192.168` are networks, and so is
//! `host 192.168`. Names of hosts are not resolved: a filter means the same whether the network is
//! there or not.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::cursor::Parser;
use super::error::{FilterError, near};
use super::expr::Primitive;
use super::parse::{Qualifier, Result, What};
use super::token::Kind;
use super::values::{is_number, plain_number};
use super::words::{self, Known};

/// One to four numbers between dots: the address they begin, and how many there are.
pub(super) fn dotted(word: &str) -> Option<(u32, u32)> {
    let mut parts = 0;
    let mut address = 0u32;
    for part in word.split('.') {
        let decimal = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let byte: u8 = part.parse().ok().filter(|_| decimal)?;
        parts += 1;
        if parts > 4 {
            return None;
        }
        address = address << 8 | u32::from(byte);
    }
    Some((address << (32 - 8 * parts), parts))
}

/// An Ethernet address in any of the usual spellings: `02:00:..`, `02-00-..`, `0200.0000.0001`,
/// twelve digits.
pub(super) fn mac_address(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0; 6];
    let byte = |part: &str| {
        let right = !part.is_empty() && part.bytes().all(|b| b.is_ascii_hexdigit());
        u8::from_str_radix(part, 16).ok().filter(|_| right)
    };
    for separator in [':', '-', '.'] {
        if text.split(separator).count() == 6 {
            for (to, part) in mac.iter_mut().zip(text.split(separator)) {
                *to = byte(part)?;
            }
            return Some(mac);
        }
    }
    let digits: String = match text.split('.').collect::<Vec<_>>()[..] {
        [a, b, c] if [a, b, c].iter().all(|part| part.len() == 4) => [a, b, c].concat(),
        [digits] => digits.to_owned(),
        _ => return None,
    };
    if digits.len() != 12 {
        return None;
    }
    for (to, at) in mac.iter_mut().zip((0..).step_by(2)) {
        *to = byte(digits.get(at..at + 2)?)?;
    }
    Some(mac)
}

/// The Ethernet address that is next.
pub(super) fn mac(parser: &mut Parser<'_>, qualifier: Qualifier) -> Result<Primitive> {
    let wanted = "an Ethernet address";
    let text = match parser.peek(0) {
        Some(Kind::Word(text) | Kind::Colons(text) | Kind::Name(text)) => text,
        _ => return Err(parser.unexpected(wanted)),
    };
    let Some(address) = mac_address(text) else {
        return Err(parser.error(format!("'{text}' is no Ethernet address")));
    };
    parser.skip(1);
    Ok(Primitive::Mac { side: qualifier.side, address })
}

/// The IPv4 or IPv6 address or network that is next.
pub(super) fn address(parser: &mut Parser<'_>, qualifier: Qualifier) -> Result<Primitive> {
    let word = if qualifier.what == What::Net { "net" } else { "host" };
    if let Some(Known { name, .. }) = qualifier.protocol
        && !matches!(*name, "ip" | "ip6" | "arp" | "rarp")
    {
        let hint = format!("say '{name} and {word} ...'");
        return Err(parser.error(format!("'{name}' has no '{word}'; {hint}")));
    }
    match parser.peek(0) {
        Some(Kind::Colons(text)) => address6(parser, qualifier, text),
        Some(Kind::Word(text)) if is_number(text) || dotted(text).is_some() => {
            address4(parser, qualifier, text)
        }
        Some(Kind::Word(text) | Kind::Name(text)) => Err(no_address(parser, text)),
        _ => Err(parser.unexpected(&format!("an address behind '{word}'"))),
    }
}

/// The error about a word that should have been an address.
fn no_address(parser: &Parser<'_>, text: &str) -> FilterError {
    if mac_address(text).is_some() {
        return parser.error(format!("'{text}' is an Ethernet address; say 'ether host {text}'"));
    }
    if text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return parser.error(format!("'{text}' is no IPv4 address"));
    }
    match near(text, words::KEYWORDS.iter().copied()) {
        Some(meant) if !text.contains('.') => {
            parser.error(format!("'{text}' is no address; did you mean '{meant}'?"))
        }
        _ => parser.error(format!("'{text}' is no address, and names are not resolved")),
    }
}

fn address4(parser: &mut Parser<'_>, qualifier: Qualifier, text: &str) -> Result<Primitive> {
    let within = qualifier.protocol;
    if within.is_some_and(|known| known.name == "ip6") {
        return Err(parser.error(format!("'{text}' is no IPv6 address")));
    }
    let at = parser.start();
    let (address, parts) = match dotted(text).filter(|(_, parts)| *parts > 1) {
        Some(whole) => whole,
        None => (plain_number(parser, "an address")?, 0),
    };
    parser.skip(usize::from(parts > 0));
    let is_net = qualifier.what == What::Net;
    let mask = match (parser.sign(), parser.word()) {
        (Some("/"), _) if is_net && parts > 0 => {
            parser.skip(1);
            prefix(parser, 32)?.map_or(0, |bits| u32::MAX << (32 - bits))
        }
        (Some("/"), _) if parts > 0 => {
            return Err(parser.error("'host' takes a single address; say 'net'"));
        }
        (_, Some("mask")) if is_net && parts > 0 => {
            parser.skip(1);
            written_mask(parser)?
        }
        _ if parts > 0 => u32::MAX << (32 - 8 * parts),
        _ if is_net => return Ok(promoted(within, qualifier, address)),
        _ => u32::MAX,
    };
    if address & !mask != 0 {
        let proper = Ipv4Addr::from(address & mask);
        let message = format!("bits behind the network's are set; did you mean {proper}?");
        return Err(FilterError::new(at, message));
    }
    let (address, mask) = (address.into(), mask.into());
    Ok(Primitive::Net4 { within, side: qualifier.side, address, mask })
}

/// A network written as one number: its bytes are the first ones of the address.
fn promoted(within: Option<&'static Known>, qualifier: Qualifier, number: u32) -> Primitive {
    let shift = if number == 0 { 0 } else { number.leading_zeros() / 8 * 8 };
    let (address, mask) = ((number << shift).into(), (u32::MAX << shift).into());
    Primitive::Net4 { within, side: qualifier.side, address, mask }
}

/// The length of a prefix; `None` for 0.
fn prefix(parser: &mut Parser<'_>, most: u32) -> Result<Option<u32>> {
    let at = parser.start();
    match plain_number(parser, "the length of the prefix")? {
        0 => Ok(None),
        bits if bits <= most => Ok(Some(bits)),
        bits => Err(FilterError::new(at, format!("a prefix has at most {most} bits, not {bits}"))),
    }
}

fn written_mask(parser: &mut Parser<'_>) -> Result<u32> {
    match parser.word().and_then(dotted) {
        Some((mask, 2..)) => {
            parser.skip(1);
            Ok(mask)
        }
        _ => Err(parser.unexpected("a network mask such as 255.255.255.0")),
    }
}

fn address6(parser: &mut Parser<'_>, qualifier: Qualifier, text: &str) -> Result<Primitive> {
    if let Some(known) = qualifier.protocol.filter(|known| known.name != "ip6") {
        let message = format!("'{}' has no IPv6 addresses; say 'ip6'", known.name);
        return Err(parser.error(message));
    }
    let Ok(address) = text.parse::<Ipv6Addr>() else {
        if mac_address(text).is_some() {
            let hint = format!("say 'ether host {text}'");
            return Err(parser.error(format!("'{text}' is an Ethernet address; {hint}")));
        }
        return Err(parser.error(format!("'{text}' is no IPv6 address")));
    };
    let at = parser.start();
    parser.skip(1);
    let mut bits = 128;
    if parser.sign() == Some("/") {
        if qualifier.what == What::Host {
            return Err(parser.error("'host' takes a single address; say 'net'"));
        }
        parser.skip(1);
        bits = prefix(parser, 128)?.unwrap_or(0);
    }
    let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
    if u128::from(address) & !mask != 0 {
        let proper = Ipv6Addr::from(u128::from(address) & mask);
        let message = format!("bits behind the network's are set; did you mean {proper}?");
        return Err(FilterError::new(at, message));
    }
    Ok(Primitive::Net6 { side: qualifier.side, address, bits: bits as u8 })
}
