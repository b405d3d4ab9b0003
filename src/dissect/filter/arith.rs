//! Comparisons of numbers: `tcp[tcpflags] & (tcp-syn|tcp-fin) != 0`.
//!
//! Operators bind as in tcpdump, which is as in C but for `&` and `|`, which bind tighter than
//! comparisons, and for `%` and `^`: these take everything to their right, and the operand to
//! their left alone (`len + 7 % 4 * 2` is `len + (7 % (4 * 2))`).

use super::cursor::Parser;
use super::expr::{Arith, Operator, Primitive, Relation};
use super::parse::Result;
use super::token::Kind;
use super::values;
use super::words::{self, Key, Versions};

/// How many operators one number may be made with.
const OPERATORS: usize = 128;
/// How many numbers may wait for an operator at once.
pub(super) const WAITING: usize = 32;

impl Parser<'_> {
    /// A comparison.
    pub(super) fn relation(&mut self) -> Result<Primitive> {
        let start = self.start();
        let mut budget = OPERATORS;
        let left = self.arith(0, &mut budget)?;
        let Some(relation) = self.sign().and_then(Relation::of) else {
            return Err(self.unexpected("a comparison ('=', '!=', '<', '<=', '>' or '>=')"));
        };
        self.skip(1);
        let right = self.arith(0, &mut budget)?;
        if waiting(&left).max(waiting(&right) + 1) > WAITING {
            let message = format!("this needs more than {WAITING} numbers at once");
            return Err(super::error::FilterError::new(start, message));
        }
        Ok(Primitive::Relation { left, relation, right })
    }

    /// A number whose operators bind at least as tightly as `least`.
    fn arith(&mut self, least: u8, budget: &mut usize) -> Result<Arith> {
        self.nested(|parser| {
            let mut left = parser.operand_of_arith(budget)?;
            while let Some((operator, binds)) = parser.sign().and_then(Operator::of) {
                if binds.is_some_and(|binds| binds < least) {
                    break;
                }
                *budget = budget.checked_sub(1).ok_or_else(|| {
                    parser.error(format!("at most {OPERATORS} operators make a number"))
                })?;
                parser.skip(1);
                let at = parser.start();
                let right = parser.arith(binds.map_or(0, |binds| binds + 1), budget)?;
                refuse_nonsense(operator, &right, at)?;
                left = Arith::Binary(operator, Box::new(left), Box::new(right));
            }
            Ok(left)
        })
    }

    fn operand_of_arith(&mut self, budget: &mut usize) -> Result<Arith> {
        match self.peek(0) {
            Some(Kind::Sign("-")) => {
                self.skip(1);
                Ok(Arith::Negate(Box::new(self.arith(u8::MAX, budget)?)))
            }
            Some(Kind::Sign("(")) => {
                self.skip(1);
                let inner = self.arith(0, budget)?;
                self.expect(")", "')' or an operator")?;
                Ok(inner)
            }
            Some(Kind::Word("len" | "length")) => {
                self.skip(1);
                Ok(Arith::Length)
            }
            Some(Kind::Word(word)) if words::known(word).is_some() => self.access(word, budget),
            Some(Kind::Word(word)) => {
                if let Some(number) = words::constant(word) {
                    self.skip(1);
                    return Ok(Arith::Number(number));
                }
                if !values::is_number(word) {
                    return Err(self.no_number(word));
                }
                values::plain_number(self, "a number").map(Arith::Number)
            }
            _ => Err(self.unexpected("a number")),
        }
    }

    fn no_number(&self, word: &str) -> super::error::FilterError {
        let spaces = "it is one word; put spaces around '-'";
        let names = words::CONSTANTS.iter().map(|(name, _)| *name);
        match super::error::near(word, names) {
            _ if word.split('-').all(values::is_number) => {
                self.error(format!("'{word}' is no number: {spaces}"))
            }
            Some(meant) => self.error(format!("unknown number '{word}'; did you mean '{meant}'?")),
            None => self.error(format!("'{word}' is no number")),
        }
    }

    /// Bytes of a header: `ip[2:2]`.
    fn access(&mut self, word: &str, budget: &mut usize) -> Result<Arith> {
        let known = words::known(word).filter(|known| match known.key {
            Key::Link => true,
            Key::EtherType(number) => number > 1500,
            Key::Ip(_, Versions::Six | Versions::Four) => true,
            Key::Ip(..) => !matches!(known.name, "ah" | "esp"),
        });
        let Some(known) = known else {
            return Err(self.error(format!("the bytes of '{word}' cannot be looked at")));
        };
        self.skip(1);
        self.expect("[", &format!("'[' behind '{word}'"))?;
        let index = Box::new(self.arith(0, budget)?);
        let mut size = 1;
        if self.sign() == Some(":") {
            self.skip(1);
            let at = self.start();
            size = match values::plain_number(self, "a size (1, 2 or 4)")? {
                1 => 1,
                2 => 2,
                4 => 4,
                _ => {
                    let message = "1, 2 or 4 bytes can be looked at";
                    return Err(super::error::FilterError::new(at, message));
                }
            };
        }
        self.expect("]", "':', an operator or ']'")?;
        Ok(Arith::Access { known, index, size })
    }
}

/// Complains about constants that make no sense to the right of an operator.
fn refuse_nonsense(operator: Operator, right: &Arith, at: usize) -> Result<()> {
    let message = match (operator, right) {
        (Operator::Divide | Operator::Remainder, Arith::Number(0)) => "this divides by 0",
        (Operator::Left | Operator::Right, Arith::Number(32..)) => {
            "numbers have 32 bits: at most 31 places can be shifted"
        }
        _ => return Ok(()),
    };
    Err(super::error::FilterError::new(at, message))
}

/// How many numbers are held at once while this one is made.
fn waiting(arith: &Arith) -> usize {
    match arith {
        Arith::Number(_) | Arith::Length => 1,
        Arith::Access { index: inner, .. } | Arith::Negate(inner) => waiting(inner),
        Arith::Binary(_, left, right) => waiting(left).max(waiting(right) + 1),
    }
}
