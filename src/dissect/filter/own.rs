//! What fields say: `ip.ttl < 5`, `tcp.flags.syn`, `ip.src == 192.168.0.0/16`.
//!
//! A field that occurs several times matches when one of them does, and so does a name that
//! stands for several fields (`tcp.port`). That holds for `!=` too: whoever means that no address
//! is this one says `not ip.addr == ...`.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::ControlFlow;

use super::cursor::Parser;
use super::error::FilterError;
use super::expr::Relation;
use super::fields::{self, Shape, Target};
use super::parse::Result;
use super::show::Mac;
use super::token::Kind;
use super::{addresses, values};
use crate::proto::{Stack, Value};

/// A question about a field.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FieldTest {
    /// The name as it was written.
    path: String,
    /// The fields that it stands for.
    targets: Vec<Target>,
    /// The question.
    check: Check,
}

/// What is asked about a field.
#[derive(Clone, Debug, PartialEq)]
enum Check {
    /// It is there; a flag is set.
    Set,
    /// How it relates to a value.
    Compares(Relation, Literal),
    /// It has this text in it.
    Contains(String),
}

/// A value in a filter.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    /// A number; a flag is 0 or 1.
    Number(u64),
    /// An Ethernet address.
    Mac([u8; 6]),
    /// An IPv4 network: the bits behind its prefix are 0.
    Net4(Ipv4Addr, u8),
    /// An IPv6 network: the bits behind its prefix are 0.
    Net6(Ipv6Addr, u8),
    /// A text.
    Text(String),
}

impl FieldTest {
    /// The answer for a frame.
    pub fn holds(&self, stack: &Stack<'_>) -> bool {
        let mut visit = |value: Value<'_>| {
            let found = match &self.check {
                Check::Set => fields::is_set(value),
                Check::Compares(relation, literal) => fields::compares(value, *relation, literal),
                Check::Contains(part) => fields::contains(value, part),
            };
            if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        self.targets.iter().any(|target| fields::for_each(stack, target, &mut visit).is_break())
    }
}

/// The question about a field whose name is next.
pub(super) fn field_test(parser: &mut Parser<'_>) -> Result<FieldTest> {
    let path = parser.word().unwrap_or_default().to_owned();
    let targets = fields::resolve(&path).map_err(|message| parser.error(message))?;
    let shape = targets.first().map(Target::shape);
    parser.skip(1);
    let check = if let Some(relation) = parser.sign().and_then(Relation::of) {
        let at = parser.start();
        parser.skip(1);
        let literal = literal(parser, &path, shape)?;
        let ordered = matches!(literal, Literal::Number(_)) && shape != Some(Shape::Flag);
        if !ordered && !matches!(relation, Relation::Equal | Relation::Unequal) {
            let message = format!("'{path}' has no order; '==' and '!=' compare it");
            return Err(FilterError::new(at, message));
        }
        Check::Compares(relation, literal)
    } else if parser.word() == Some("contains") {
        if !matches!(shape, None | Some(Shape::Text)) {
            return Err(parser.error(format!("'{path}' is no text that could contain another")));
        }
        parser.skip(1);
        Check::Contains(text(parser, &path)?)
    } else {
        Check::Set
    };
    Ok(FieldTest { path, targets, check })
}

fn literal(parser: &mut Parser<'_>, path: &str, shape: Option<Shape>) -> Result<Literal> {
    let Some(shape) = shape else { return guessed(parser, path) };
    match shape {
        Shape::Number => {
            let wanted = format!("a number ('{path}' is one)");
            values::wide_number(parser, &wanted).map(Literal::Number)
        }
        Shape::Flag => flag(parser, path),
        Shape::Mac => match parser.peek(0) {
            Some(Kind::Word(text) | Kind::Colons(text)) => {
                let Some(mac) = addresses::mac_address(text) else {
                    return Err(parser.error(format!("'{text}' is no Ethernet address")));
                };
                parser.skip(1);
                Ok(Literal::Mac(mac))
            }
            _ => Err(parser.unexpected("an Ethernet address")),
        },
        Shape::Ipv4 | Shape::Ipv6 => network(parser, shape),
        Shape::Text => text(parser, path).map(Literal::Text),
    }
}

fn flag(parser: &mut Parser<'_>, path: &str) -> Result<Literal> {
    let number = match parser.word() {
        Some("true" | "1") => 1,
        Some("false" | "0") => 0,
        _ => return Err(parser.unexpected(&format!("0 or 1 ('{path}' is a flag)"))),
    };
    parser.skip(1);
    Ok(Literal::Number(number))
}

/// An address, perhaps with a prefix length.
fn network(parser: &mut Parser<'_>, shape: Shape) -> Result<Literal> {
    let (wanted, width) =
        if shape == Shape::Ipv4 { ("an IPv4 address", 32) } else { ("an IPv6 address", 128) };
    let (Some(Kind::Word(text) | Kind::Colons(text)), at) = (parser.peek(0), parser.start()) else {
        return Err(parser.unexpected(wanted));
    };
    let address = if shape == Shape::Ipv4 {
        text.parse::<Ipv4Addr>().map(|address| u128::from(u32::from(address)) << 96).ok()
    } else {
        text.parse::<Ipv6Addr>().map(u128::from).ok()
    };
    let Some(address) = address else { return Err(parser.unexpected(wanted)) };
    parser.skip(1);
    let mut bits = width;
    if parser.sign() == Some("/") {
        parser.skip(1);
        let at = parser.start();
        bits = values::plain_number(parser, "the length of the prefix")?;
        if bits > width {
            let message = format!("a prefix has at most {width} bits, not {bits}");
            return Err(FilterError::new(at, message));
        }
    }
    if address & u128::MAX.checked_shr(bits).unwrap_or(0) & u128::MAX << (128 - width) != 0 {
        return Err(FilterError::new(at, "bits behind the network's are set"));
    }
    Ok(match shape {
        Shape::Ipv4 => Literal::Net4(Ipv4Addr::from((address >> 96) as u32), bits as u8),
        _ => Literal::Net6(address.into(), bits as u8),
    })
}

/// A value for a field that does not tell what it holds.
fn guessed(parser: &mut Parser<'_>, path: &str) -> Result<Literal> {
    let shape = match parser.peek(0) {
        Some(Kind::Colons(text)) if addresses::mac_address(text).is_some() => Shape::Mac,
        Some(Kind::Colons(_)) => Shape::Ipv6,
        Some(Kind::Word(text)) if text.parse::<Ipv4Addr>().is_ok() => Shape::Ipv4,
        Some(Kind::Word(text)) if values::is_number(text) => Shape::Number,
        _ => Shape::Text,
    };
    literal(parser, path, Some(shape))
}

/// A text: in quotation marks, or else up to the next blank or parenthesis.
fn text(parser: &mut Parser<'_>, path: &str) -> Result<String> {
    if let Some(Kind::Quoted(text)) = parser.peek(0) {
        parser.skip(1);
        return Ok(text.to_owned());
    }
    let rest = parser.text.get(parser.start()..).unwrap_or_default();
    let ends = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"' | '\'');
    let text = rest.get(..rest.find(ends).unwrap_or(rest.len())).unwrap_or_default();
    if text.is_empty() {
        return Err(parser.unexpected(&format!("a text for '{path}'")));
    }
    parser.skip_to(parser.start() + text.len());
    Ok(text.to_owned())
}

impl fmt::Display for FieldTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        match &self.check {
            Check::Set => Ok(()),
            Check::Compares(relation, literal) => write!(f, " {relation} {literal}"),
            Check::Contains(text) => write!(f, " contains {}", Quoted(text)),
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Number(number) => write!(f, "{number}"),
            Literal::Mac(mac) => write!(f, "{}", Mac(*mac)),
            Literal::Net4(address, bits) => write!(f, "{address}/{bits}"),
            Literal::Net6(address, bits) => write!(f, "{address}/{bits}"),
            Literal::Text(text) => write!(f, "{}", Quoted(text)),
        }
    }
}

/// A text in the quotation marks that it does not contain.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.0.contains('"') { '\'' } else { '"' };
        write!(f, "{mark}{}{mark}", self.0)
    }
}
