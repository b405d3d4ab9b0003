//! Tokens -> [`Expr`]: connectives, qualifiers, and which primitive begins where.
//!
//! The grammar is tcpdump's. Qualifiers that stood in front of one value hold for the values that
//! follow (`tcp dst port 80 or 443`), until a statement that has none: every operand says what
//! those behind it may leave out. Whether an opening parenthesis holds statements or numbers shows
//! behind its closing one: numbers go on with a sign. Nothing is tried twice, and the depth of
//! parentheses and negations is bounded, so that no text takes long or much of the stack.

use super::cursor::{Parser, is_arithmetic};
use super::error::{FilterError, near};
use super::expr::{Arith, Connective, Expr, Primitive, Relation, Side};
use super::token::Kind;
use super::words::{self, Key, Known, Versions};
use super::{addresses, fields, values};
use crate::proto;
use crate::record::Direction;

/// Texts longer than this are refused, in bytes.
const LONGEST: usize = 64 * 1024;

pub(super) type Result<T, E = FilterError> = std::result::Result<T, E>;

/// What a value may leave out because it was said before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Qualifier {
    /// The protocol in front.
    pub protocol: Option<&'static Known>,
    /// Source, destination.
    pub side: Side,
    /// What kind of thing the value is.
    pub what: What,
}

/// What kind of thing a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Host,
    Net,
    Port,
    PortRange,
    Proto,
}

/// What `text` says.
pub(super) fn parse(text: &str) -> Result<Expr> {
    if text.len() > LONGEST {
        return Err(FilterError::new(0, format!("a filter has at most {LONGEST} bytes")));
    }
    let mut parser = Parser::new(text)?;
    if parser.is_done() {
        return Ok(Expr::Primitive(Primitive::Everything));
    }
    let expr = parser.chain(None)?.0;
    match parser.word() {
        _ if parser.is_done() => Ok(expr),
        Some(word) => {
            let hint = near(word, ["and", "or"]).map_or_else(
                || "statements are connected by 'and' or 'or'".to_owned(),
                |meant| format!("did you mean '{meant}'?"),
            );
            Err(parser.error(format!("'{word}' does not belong here; {hint}")))
        }
        None => Err(parser.unexpected("'and' or 'or'")),
    }
}

impl<'a> Parser<'a> {
    fn chain(&mut self, inherited: Option<Qualifier>) -> Result<(Expr, Option<Qualifier>)> {
        let (first, mut qualifier) = self.operand(inherited)?;
        let mut rest = Vec::new();
        while let Some(connective) = self.connective(0) {
            self.skip(1);
            let (next, behind) = self.operand(qualifier)?;
            qualifier = behind;
            rest.push((connective, next));
        }
        let expr = if rest.is_empty() { first } else { Expr::Chain(Box::new(first), rest) };
        Ok((expr, qualifier))
    }

    /// One operand, and what those behind it inherit.
    fn operand(&mut self, inherited: Option<Qualifier>) -> Result<(Expr, Option<Qualifier>)> {
        self.nested(|parser| match parser.peek(0) {
            Some(Kind::Word("not") | Kind::Sign("!")) => {
                parser.skip(1);
                let (inner, qualifier) = parser.operand(inherited)?;
                Ok((Expr::Not(Box::new(inner)), qualifier))
            }
            Some(Kind::Sign("(")) if !parser.holds_numbers() => {
                parser.skip(1);
                let inner = parser.chain(inherited)?.0;
                parser.expect(")", "'and', 'or' or ')'")?;
                Ok((inner, inherited))
            }
            _ => parser.primitive(inherited),
        })
    }

    /// What stands behind qualifiers: a value, several in parentheses, or the opposite.
    fn qualified(&mut self, qualifier: Qualifier) -> Result<Expr> {
        self.nested(|parser| match parser.peek(0) {
            Some(Kind::Word("not") | Kind::Sign("!")) => {
                parser.skip(1);
                Ok(Expr::Not(Box::new(parser.qualified(qualifier)?)))
            }
            Some(Kind::Sign("(")) => {
                parser.skip(1);
                let inner = parser.chain(Some(qualifier))?.0;
                parser.expect(")", "'and', 'or' or ')'")?;
                Ok(inner)
            }
            _ => Ok(Expr::Primitive(values::value(parser, qualifier)?)),
        })
    }

    fn primitive(&mut self, inherited: Option<Qualifier>) -> Result<(Expr, Option<Qualifier>)> {
        let alone = |primitive| Ok((Expr::Primitive(primitive), None));
        if self.begins_relation() {
            return alone(self.relation()?);
        }
        let known = self.word().and_then(words::known);
        let ahead = usize::from(known.is_some());
        if let Some(Kind::Word(word)) = self.peek(ahead) {
            match word {
                "src" | "dst" | "host" | "net" | "port" | "portrange" | "proto" => {
                    self.skip(ahead);
                    let qualifier = self.qualifier(known)?;
                    return Ok((self.qualified(qualifier)?, Some(qualifier)));
                }
                "broadcast" | "multicast" => return alone(self.cast(known, word)?),
                _ => self.refuse_absent(ahead, word)?,
            }
        }
        if let Some(known) = known {
            return alone(self.protocol(known)?);
        }
        if let Some(primitive) = self.statement()? {
            return alone(primitive);
        }
        self.inheriting(inherited)
    }

    /// Statements that begin with a word of their own.
    fn statement(&mut self) -> Result<Option<Primitive>> {
        let Some(word) = self.word() else { return Ok(None) };
        let towards = |parser: &mut Self, direction, words| {
            parser.skip(words);
            Ok(Some(Primitive::Direction(direction)))
        };
        match word {
            "from-device" => return towards(self, Direction::FromDevice, 1),
            "to-device" => return towards(self, Direction::ToDevice, 1),
            "from" | "to" => {
                self.skip(1);
                if self.word() != Some("device") {
                    return Err(self.unexpected(&format!("'device' behind '{word}'")));
                }
                let from = word == "from";
                let direction = if from { Direction::FromDevice } else { Direction::ToDevice };
                return towards(self, direction, 1);
            }
            "malformed" => {
                self.skip(1);
                return Ok(Some(Primitive::Malformed));
            }
            "console" => {
                self.skip(1);
                return Ok(Some(Primitive::Console));
            }
            "vlan" => {
                self.skip(1);
                return Ok(Some(Primitive::Vlan(values::vlan_id(self)?)));
            }
            "less" | "greater" => {
                self.skip(1);
                let length = values::plain_number(self, &format!("a length behind '{word}'"))?;
                let relation = if word == "less" { Relation::AtMost } else { Relation::AtLeast };
                let (left, right) = (Arith::Length, Arith::Number(length));
                return Ok(Some(Primitive::Relation { left, relation, right }));
            }
            _ => {}
        }
        let test = fields::is_path(word).then(|| super::own::field_test(self)).transpose()?;
        Ok(test.map(Primitive::Field))
    }

    /// What is left: a value that inherits its qualifiers, a protocol of ours, or nonsense.
    fn inheriting(&mut self, inherited: Option<Qualifier>) -> Result<(Expr, Option<Qualifier>)> {
        let layer = self.word().and_then(|word| {
            let is_port = inherited.is_some_and(|q| matches!(q.what, What::Port | What::PortRange));
            let is_service = is_port && words::service(word).is_some();
            proto::ALL.iter().copied().find(|protocol| protocol.name == word && !is_service)
        });
        if let Some(protocol) = layer {
            self.skip(1);
            return Ok((Expr::Primitive(Primitive::Layer(protocol)), None));
        }
        let is_value =
            matches!(self.peek(0), Some(Kind::Word(_) | Kind::Name(_) | Kind::Colons(_)));
        match inherited {
            Some(qualifier) if is_value => {
                let value = values::value(self, qualifier)?;
                Ok((Expr::Primitive(value), inherited))
            }
            _ => Err(self.no_statement()),
        }
    }

    /// The qualifiers in front of a value: direction and kind; the protocol is known already.
    fn qualifier(&mut self, protocol: Option<&'static Known>) -> Result<Qualifier> {
        let mut side = None;
        if let Some(first @ ("src" | "dst")) = self.word() {
            let (one, other) = match first {
                "src" => (Side::Source, "dst"),
                _ => (Side::Destination, "src"),
            };
            self.skip(1);
            side = Some(one);
            if self.connective(0).is_some() && self.peek(1) == Some(Kind::Word(other)) {
                let both = self.connective(0) == Some(Connective::And);
                side = Some(if both { Side::Both } else { Side::Either });
                self.skip(2);
            }
        }
        let what = match self.word() {
            Some("host") => What::Host,
            Some("net") => What::Net,
            Some("port") => What::Port,
            Some("portrange") => What::PortRange,
            Some("proto") if side.is_none() => What::Proto,
            _ => {
                let side = side.unwrap_or(Side::Either);
                return Ok(Qualifier { protocol, side, what: What::Host });
            }
        };
        self.skip(1);
        Ok(Qualifier { protocol, side: side.unwrap_or(Side::Either), what })
    }

    fn cast(&mut self, known: Option<&'static Known>, word: &str) -> Result<Primitive> {
        let primitive = match (known.map(|known| (known.key, known.name)), word) {
            (None | Some((Key::Link, _)), "broadcast") => Primitive::Broadcast,
            (None | Some((Key::Link, _)), _) => Primitive::Multicast,
            (Some((_, "ip")), "broadcast") => Primitive::IpBroadcast,
            (Some((_, "ip")), _) => Primitive::IpMulticast(Versions::Four),
            (Some((_, "ip6")), "multicast") => Primitive::IpMulticast(Versions::Six),
            (Some((_, name)), _) => {
                return Err(self.error(format!("there is no '{name} {word}'")));
            }
        };
        self.skip(usize::from(known.is_some()) + 1);
        Ok(primitive)
    }

    fn protocol(&mut self, known: &'static Known) -> Result<Primitive> {
        if known.key == Key::Link {
            self.skip(1);
            return Err(self.unexpected(&format!(
                "'host', 'src', 'dst', 'proto', 'broadcast' or 'multicast' behind '{}'",
                known.name
            )));
        }
        self.skip(1);
        if let Some(word) = self.word() {
            self.suggest_qualifier(word)?;
        }
        Ok(Primitive::Is(known))
    }

    /// Complains about a word behind a protocol that is nearly a qualifier (`tcp prot 80`).
    fn suggest_qualifier(&self, word: &str) -> Result<()> {
        if self.connective(0).is_some() {
            return Ok(());
        }
        let qualifiers =
            ["host", "net", "port", "portrange", "proto", "src", "dst", "broadcast", "multicast"];
        match near(word, qualifiers) {
            Some(meant) => {
                Err(self.error(format!("unknown word '{word}'; did you mean '{meant}'?")))
            }
            None => Ok(()),
        }
    }

    /// Complains about words of tcpdump's that are not spoken here.
    fn refuse_absent(&self, ahead: usize, word: &str) -> Result<()> {
        match words::ABSENT.iter().find(|(name, _)| *name == word) {
            Some((name, instead)) => {
                let at = self.start_of(ahead);
                Err(FilterError::new(at, format!("'{name}' is not supported: {instead}")))
            }
            None => Ok(()),
        }
    }

    /// The error where a statement should begin and none does.
    fn no_statement(&self) -> FilterError {
        let Some(word) = self.word() else { return self.unexpected("a statement about the frame") };
        if values::is_number(word) || addresses::dotted(word).is_some() {
            let hint = "say what it is: 'host', 'net', 'port', ...";
            return self.error(format!("'{word}' stands by itself; {hint}"));
        }
        if matches!(word, "and" | "or") {
            return self.unexpected("a statement about the frame");
        }
        if let Some(message) = fields::unknown_protocol(word) {
            return self.error(message);
        }
        let known = words::KNOWN.iter().map(|known| known.name);
        let ours = proto::ALL.iter().map(|protocol| protocol.name);
        match near(word, words::KEYWORDS.iter().copied().chain(known).chain(ours)) {
            Some(meant) => self.error(format!("unknown word '{word}'; did you mean '{meant}'?")),
            None => self.error(format!("unknown word '{word}'")),
        }
    }

    /// Whether a comparison of numbers begins here.
    fn begins_relation(&self) -> bool {
        match self.peek(0) {
            Some(Kind::Sign("(")) => self.holds_numbers(),
            Some(Kind::Sign("-")) => true,
            Some(Kind::Word("len" | "length")) => true,
            Some(Kind::Word(word)) if words::known(word).is_some() => {
                self.peek(1) == Some(Kind::Sign("["))
            }
            Some(Kind::Word(word)) => {
                let number = values::is_number(word) || words::constant(word).is_some();
                number && self.peek(1).is_some_and(is_arithmetic)
            }
            _ => false,
        }
    }
}
