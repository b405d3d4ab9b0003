//! The filter language: tcpdump's everyday language, and words of ours.
//!
//! What tcpdump understands means here what it means there, bit for bit (pcap-filter(7); the
//! exceptions are listed in [`Filter::parse`]). Besides there are `from device`, `to device`,
//! `malformed`, the names of dissected protocols (`dns`, `http`), and questions about their fields
//! (`ip.ttl < 5`, `tcp.flags.syn`, `arp.op == 2`). Nothing of it needs quoting in a shell in
//! everyday use.
//!
//! Text becomes tokens (`token`), an expression (`parse`, which `values`, `addresses`, `arith` and
//! `own` help), for every kind of link a tree of tests (`compile`, `link`), and a program (`build`)
//! that `eval` runs without allocating. `words` has the tables, `fields` the ties to the dissected
//! layers.

mod addresses;
mod arith;
mod build;
mod compile;
mod cursor;
mod error;
mod eval;
mod expr;
mod fields;
mod link;
mod own;
mod parse;
mod program;
mod show;
#[cfg(test)]
mod tests;
mod token;
mod values;
mod words;

use std::fmt;

pub use error::FilterError;

use crate::proto::Stack;
use crate::record::{Direction, LinkType};
use expr::{Connective, Expr, Primitive};
use link::Link;
use program::Program;

/// A filter, compiled. `Display` shows what was understood.
#[derive(Clone, Debug)]
pub struct Filter {
    expr: Expr,
    programs: Vec<Program>,
    needs_layers: bool,
}

/// A frame as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen<'a> {
    /// The bytes that were kept, from the link's header on.
    pub frame: &'a [u8],
    /// How long it was on the line, in bytes.
    pub length: usize,
    /// The way it went.
    pub direction: Direction,
    /// What the bytes begin with.
    pub link: LinkType,
}

/// What is no frame and yet passes a filter or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Other {
    /// Bytes that make no frame.
    FramingError,
    /// What was lost on its way to us.
    Gap,
    /// The link itself changed.
    Link,
    /// A line of the device's console.
    Console,
}

impl Filter {
    /// Understands `text`; the empty one accepts everything.
    ///
    /// It differs from tcpdump's language in that names of hosts are not resolved, names of
    /// services are a table of its own, protocols need no backslash behind `proto`, and
    /// `protochain`, `gateway`, `mpls`, `pppoes`, `geneve`, `inbound` and `outbound` as well as
    /// everything about ATM, wireless LAN and SS7 are not spoken. A frame that is too short for a
    /// comparison is rejected, as there; in a filter with words of ours, it is undecided in that
    /// statement alone.
    ///
    /// # Errors
    ///
    /// Texts that are not understood, longer than 64 KiB, nested deeper than 128 levels, or that
    /// make more than 65536 tests.
    pub fn parse(text: &str) -> Result<Filter, FilterError> {
        let expr = parse::parse(text).map_err(|error| error.within(text))?;
        let lenient = has_own_words(&expr);
        let programs = Link::ALL.iter().map(|link| {
            let (tree, tables) = compile::compile(&expr, *link);
            Program::new(&tree, tables, lenient)
        });
        let programs: Option<Vec<Program>> = programs.collect();
        let Some(programs) = programs else {
            let message = format!("this makes more than {} tests", program::MOST);
            return Err(FilterError::new(0, message).within(text));
        };
        let needs_layers = programs.iter().any(Program::needs_layers);
        Ok(Filter { expr, programs, needs_layers })
    }

    /// Whether it looks at dissected layers at all: if not, frames that are not shown need not be
    /// dissected.
    pub fn needs_layers(&self) -> bool {
        self.needs_layers
    }

    /// The verdict on a frame. `layers` dissects it, and is called at most once, and only if the
    /// verdict depends on that; who has dissected it already hands in `|| stack`.
    ///
    /// A frame of unknown direction is neither `from device` nor `to device`.
    pub fn matches<'s>(&self, seen: &Seen<'_>, layers: impl FnOnce() -> Stack<'s>) -> bool {
        let Some(program) = self.programs.get(Link::of(seen.link) as usize) else { return false };
        let mut layers = Some(layers);
        let mut stack = None;
        program.run(seen, &mut || {
            if let Some(layers) = layers.take() {
                stack = Some(layers());
            }
            stack
        })
    }

    /// The verdict on what is no frame. `malformed` is true of framing errors and of nothing else, `console`
    /// of lines of the console,
    /// `from device` and `to device` speak of everything whose direction is known, and every other
    /// statement is undecided: what the filter does not exclude passes.
    pub fn passes_other(&self, what: Other, direction: Direction) -> bool {
        other(&self.expr, what, direction) != Some(false)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.expr)
    }
}

fn has_own_words(expr: &Expr) -> bool {
    match expr {
        Expr::Primitive(primitive) => matches!(
            primitive,
            Primitive::Direction(_)
                | Primitive::Malformed
                | Primitive::Console
                | Primitive::Layer(_)
                | Primitive::Field(_)
        ),
        Expr::Not(inner) => has_own_words(inner),
        Expr::Chain(first, rest) => {
            has_own_words(first) || rest.iter().any(|(_, next)| has_own_words(next))
        }
    }
}

/// Kleene's logic: `None` is undecided.
fn other(expr: &Expr, what: Other, direction: Direction) -> Option<bool> {
    match expr {
        Expr::Primitive(Primitive::Everything) => Some(true),
        Expr::Primitive(Primitive::Malformed) => Some(what == Other::FramingError),
        Expr::Primitive(Primitive::Console) => Some(what == Other::Console),
        Expr::Primitive(Primitive::Direction(wanted)) => {
            (direction != Direction::Unknown).then_some(direction == *wanted)
        }
        Expr::Primitive(_) => None,
        Expr::Not(inner) => other(inner, what, direction).map(|verdict| !verdict),
        Expr::Chain(first, rest) => {
            rest.iter().fold(other(first, what, direction), |before, (connective, next)| {
                let decisive = *connective == Connective::Or;
                match (before, other(next, what, direction)) {
                    (Some(a), _) | (_, Some(a)) if a == decisive => Some(decisive),
                    (Some(_), Some(_)) => Some(!decisive),
                    _ => None,
                }
            })
        }
    }
}
