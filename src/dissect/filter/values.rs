//! Values behind qualifiers: addresses, networks, ports, protocol numbers.
//!
//! Numbers of addresses may be cut short as in tcpdump: `net 10` and `net 192.168` are networks,
//! and so is `host 192.168`. Names of hosts are not resolved: a filter means the same whether the
//! network is there or not.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::error::{FilterError, near};
use super::expr::{Primitive, Transports};
use super::parse::{Parser, Qualifier, Result, What};
use super::token::Kind;
use super::words::{self, Key, Versions};

/// The value that is next, under `qualifier`.
pub(super) fn value(parser: &mut Parser<'_>, qualifier: Qualifier) -> Result<Primitive> {
    match qualifier.what {
        What::Host | What::Net => match qualifier.protocol.map(|known| known.key) {
            Some(Key::Link) if qualifier.what == What::Host => mac(parser, qualifier),
            _ => address(parser, qualifier),
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

fn mac(parser: &mut Parser<'_>, qualifier: Qualifier) -> Result<Primitive> {
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

/// An IPv4 or IPv6 address or network.
fn address(parser: &mut Parser<'_>, qualifier: Qualifier) -> Result<Primitive> {
    let word = if qualifier.what == What::Net { "net" } else { "host" };
    if let Some(known) = qualifier.protocol {
        if !matches!(known.name, "ip" | "ip6" | "arp" | "rarp") {
            let hint = format!("say '{} and {word} ...'", known.name);
            return Err(parser.error(format!("'{}' has no '{word}'; {hint}", known.name)));
        }
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
fn promoted(within: Option<&'static words::Known>, qualifier: Qualifier, number: u32) -> Primitive {
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
