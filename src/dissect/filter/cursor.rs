//! How far a text has been understood, and how its parser looks ahead and complains.

use super::error::FilterError;
use super::expr::{Connective, Operator, Relation};
use super::parse::Result;
use super::token::{Kind, Token, tokens};

/// How deep parentheses, negations and brackets may nest.
const DEEPEST: usize = 128;

/// A filter's text, and how far it has been understood.
pub(super) struct Parser<'a> {
    pub text: &'a str,
    tokens: Vec<Token<'a>>,
    /// For every opening parenthesis where its closing one is.
    closing: Vec<usize>,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    /// At the beginning of `text`, whose parentheses have to match.
    pub(super) fn new(text: &'a str) -> Result<Parser<'a>> {
        let mut parser =
            Parser { text, tokens: tokens(text), closing: Vec::new(), at: 0, depth: 0 };
        parser.match_parentheses()?;
        Ok(parser)
    }

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

    /// Whether the parenthesis here holds numbers: its closing one is followed by a sign.
    pub(super) fn holds_numbers(&self) -> bool {
        let behind = self.closing.get(self.at).map_or(0, |closing| closing + 1);
        self.tokens.get(behind).is_some_and(|token| is_arithmetic(token.kind))
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

    /// The connective that the token `ahead` of the next one is.
    pub(super) fn connective(&self, ahead: usize) -> Option<Connective> {
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

    /// Whether nothing is left.
    pub(super) fn is_done(&self) -> bool {
        self.at >= self.tokens.len()
    }

    /// Where the token `ahead` of the next one begins.
    pub(super) fn start_of(&self, ahead: usize) -> usize {
        self.tokens
            .get(self.at + ahead)
            .map_or(self.text.trim_end().len(), |token| token.span.start)
    }

    /// Where the next token begins, in bytes.
    pub(super) fn start(&self) -> usize {
        self.start_of(0)
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
pub(super) fn is_arithmetic(kind: Kind<'_>) -> bool {
    matches!(kind, Kind::Sign(sign) if Operator::of(sign).is_some() || Relation::of(sign).is_some())
}
