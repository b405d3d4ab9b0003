//! Tokens -> [`Expr`]: connectives, qualifiers, and which primitive begins where.
//!
//! The grammar is tcpdump's. Qualifiers that stood in front of one value hold for the values that
//! follow (`tcp dst port 80 or 443`), until a statement that has none: every operand says what
//! those behind it may leave out. Whether an opening parenthesis holds statements or numbers shows
//! behind its closing one: numbers go on with a sign. Nothing is tried twice, and the depth of
//! parentheses and negations is bounded, so that no text takes long or much of the stack.

use super::error::{FilterError, near};
use super::expr::{Arith, Connective, Expr, Operator, Primitive, Relation, Side};
use super::token::{Kind, Token, tokens};
use super::words::{self, Key, Known, Versions};
use super::{fields, values};
use crate::proto;
use crate::record::Direction;

/// Texts longer than this are refused, in bytes.
const LONGEST: usize = 64 * 1024;
/// How deep parentheses, negations and brackets may nest.
const DEEPEST: usize = 128;

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

/// A filter's text, and how far it has been understood.
pub(super) struct Parser<'a> {
    pub text: &'a str,
    tokens: Vec<Token<'a>>,
    /// For every opening parenthesis where its closing one is.
    closing: Vec<usize>,
    at: usize,
    depth: usize,
}

/// What `text` says.
pub(super) fn parse(text: &str) -> Result<Expr> {
    if text.len() > LONGEST {
        return Err(FilterError::new(0, format!("a filter has at most {LONGEST} bytes")));
    }
    let mut parser = Parser { text, tokens: tokens(text), closing: Vec::new(), at: 0, depth: 0 };
    parser.match_parentheses()?;
    if parser.tokens.is_empty() {
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
    /// Finds the closing partner of every parenthesis.
    fn match_parentheses(&mut self) -> Result<()> {
        let mut open = Vec::new();
        self.closing = vec![0; self.tokens.len()];
        for (n, token) in self.tokens.iter().enumerate() {
            match (token.kind, open.pop()) {
                (Kind::Sign("("), before) => open.extend(before.into_iter().chain([n])),
                (Kind::Sign(")"), Some(opening)) => self.closing[opening] = n,
                (Kind::Sign(")"), None) => {
                    let message = "this parenthesis closes none that is open";
                    return Err(FilterError::new(token.span.start, message));
                }
                (_, before) => open.extend(before),
            }
        }
        match open.pop() {
            None => Ok(()),
            Some(n) => {
                let message = "this parenthesis is not closed";
                Err(FilterError::new(self.tokens[n].span.start, message))
            }
        }
    }

    fn chain(&mut self, inherited: Option<Qualifier>) -> Result<(Expr, Option<Qualifier>)> {
        let (first, mut qualifier) = self.operand(inherited)?;
        let mut rest = Vec::new();
        while let Some(connective) = self.connective(0) {
            self.at += 1;
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
                parser.at += 1;
                let (inner, qualifier) = parser.operand(inherited)?;
                Ok((Expr::Not(Box::new(inner)), qualifier))
            }
            Some(Kind::Sign("(")) if !parser.holds_numbers() => {
                parser.at += 1;
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
                parser.at += 1;
                Ok(Expr::Not(Box::new(parser.qualified(qualifier)?)))
            }
            Some(Kind::Sign("(")) => {
                parser.at += 1;
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
                    self.at += ahead;
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
            parser.at += words;
            Ok(Some(Primitive::Direction(direction)))
        };
        match word {
            "from-device" => return towards(self, Direction::FromDevice, 1),
            "to-device" => return towards(self, Direction::ToDevice, 1),
            "from" | "to" => {
                self.at += 1;
                if self.word() != Some("device") {
                    return Err(self.unexpected(&format!("'device' behind '{word}'")));
                }
                let from = word == "from";
                let direction = if from { Direction::FromDevice } else { Direction::ToDevice };
                return towards(self, direction, 1);
            }
            "malformed" => {
                self.at += 1;
                return Ok(Some(Primitive::Malformed));
            }
            "vlan" => {
                self.at += 1;
                return Ok(Some(Primitive::Vlan(values::vlan_id(self)?)));
            }
            "less" | "greater" => {
                self.at += 1;
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
            self.at += 1;
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
            self.at += 1;
            side = Some(one);
            if self.connective(0).is_some() && self.peek(1) == Some(Kind::Word(other)) {
                let both = self.connective(0) == Some(Connective::And);
                side = Some(if both { Side::Both } else { Side::Either });
                self.at += 2;
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
        self.at += 1;
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
        self.at += usize::from(known.is_some()) + 1;
        Ok(primitive)
    }

    fn protocol(&mut self, known: &'static Known) -> Result<Primitive> {
        if known.key == Key::Link {
            self.at += 1;
            return Err(self.unexpected(&format!(
                "'host', 'src', 'dst', 'proto', 'broadcast' or 'multicast' behind '{}'",
                known.name
            )));
        }
        self.at += 1;
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
                let at = self.start_of(self.at + ahead);
                Err(FilterError::new(at, format!("'{name}' is not supported: {instead}")))
            }
            None => Ok(()),
        }
    }

    /// The error where a statement should begin and none does.
    fn no_statement(&self) -> FilterError {
        let Some(word) = self.word() else { return self.unexpected("a statement about the frame") };
        if values::is_number(word) || values::dotted(word).is_some() {
            let hint = "say what it is: 'host', 'net', 'port', ...";
            return self.error(format!("'{word}' stands by itself; {hint}"));
        }
        if self.at > 0 && matches!(word, "and" | "or") {
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

    /// Whether the parenthesis here holds numbers: its closing one is followed by a sign.
    pub(super) fn holds_numbers(&self) -> bool {
        let behind = self.closing.get(self.at).map_or(0, |closing| closing + 1);
        self.tokens.get(behind).is_some_and(|token| is_arithmetic(token.kind))
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

    /// Runs `inner` one level deeper.
    pub(super) fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= DEEPEST {
            let message = format!("this nests too deep; {DEEPEST} levels are possible");
            return Err(self.error(message));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// The token `ahead` of the next one.
    pub(super) fn peek(&self, ahead: usize) -> Option<Kind<'a>> {
        self.tokens.get(self.at + ahead).map(|token| token.kind)
    }

    /// The next token, if it is a word.
    pub(super) fn word(&self) -> Option<&'a str> {
        match self.peek(0) {
            Some(Kind::Word(word)) => Some(word),
            _ => None,
        }
    }

    /// The sign, if one is next.
    pub(super) fn sign(&self) -> Option<&'a str> {
        match self.peek(0) {
            Some(Kind::Sign(sign)) => Some(sign),
            _ => None,
        }
    }

    fn connective(&self, ahead: usize) -> Option<Connective> {
        match self.peek(ahead)? {
            Kind::Word("and") | Kind::Sign("&&") => Some(Connective::And),
            Kind::Word("or") | Kind::Sign("||") => Some(Connective::Or),
            _ => None,
        }
    }

    /// Passes over the next `count` tokens.
    pub(super) fn skip(&mut self, count: usize) {
        self.at += count;
    }

    /// Passes over everything in front of byte `end`.
    pub(super) fn skip_to(&mut self, end: usize) {
        while self.tokens.get(self.at).is_some_and(|token| token.span.start < end) {
            self.at += 1;
        }
    }

    fn is_done(&self) -> bool {
        self.at >= self.tokens.len()
    }

    /// Where token number `n` begins.
    fn start_of(&self, n: usize) -> usize {
        self.tokens.get(n).map_or(self.text.trim_end().len(), |token| token.span.start)
    }

    /// Where the next token begins, in bytes.
    pub(super) fn start(&self) -> usize {
        self.start_of(self.at)
    }

    /// Passes over `sign`.
    pub(super) fn expect(&mut self, sign: &str, wanted: &str) -> Result<()> {
        if self.sign() != Some(sign) {
            return Err(self.unexpected(wanted));
        }
        self.at += 1;
        Ok(())
    }

    /// An error at the next token.
    pub(super) fn error(&self, message: impl Into<String>) -> FilterError {
        FilterError::new(self.start(), message)
    }

    /// The error that `wanted` is not here.
    pub(super) fn unexpected(&self, wanted: &str) -> FilterError {
        let found = match self.peek(0) {
            None => return self.error(format!("the filter ends where {wanted} should follow")),
            Some(Kind::Stray(c @ ('"' | '\''))) => {
                return self.error(format!("this quotation mark ({c}) is not closed"));
            }
            Some(Kind::Stray(c)) => c.escape_debug().to_string(),
            Some(Kind::Quoted(text)) => format!("\"{}\"", text.escape_debug()),
            Some(Kind::Name(text) | Kind::Colons(text) | Kind::Sign(text) | Kind::Word(text)) => {
                text.escape_debug().to_string()
            }
        };
        self.error(format!("'{found}' where {wanted} should be"))
    }
}

/// Whether a token goes on with a number: an operator or a relation.
fn is_arithmetic(kind: Kind<'_>) -> bool {
    matches!(kind, Kind::Sign(sign) if Operator::of(sign).is_some() || Relation::of(sign).is_some())
}
