//! [`Tree`] -> [`Program`], from back to front.
//!
//! Every test knows its successors, since they stand in front of it: running always goes down and
//! ends. Where the successor's outcome follows from what is known by then (an EtherType that is
//! IPv4's is not ARP's), the successor is skipped.
//!
//! A test may look behind the end of the frame. In a filter of tcpdump's words this rejects the
//! frame, as there. In a filter with words of ours it makes the statement unknown: neither it nor
//! its opposite holds, and whether the frame passes is left to the other statements.

use super::program::{ACCEPT, MOST, Op, PLACES, Program, REJECT, Run, Tables, Test, Tree};

/// What is known to hold where a tree stands, innermost first.
#[derive(Clone, Copy)]
struct Known<'a> {
    test: &'a Test,
    outer: Option<&'a Known<'a>>,
}

/// Where a tree stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// Where to go on when it holds.
    yes: u32,
    /// Where to go on when it does not.
    no: u32,
    /// Whether the verdict depends on its opposite; `None` where too short a frame is rejected.
    opposite: Option<bool>,
    known: Option<&'a Known<'a>>,
}

impl Program {
    /// The program of a tree; `None` if it would be too long. `lenient`: a test that looks behind
    /// the end of the frame does not reject it.
    pub fn new(tree: &Tree, tables: Tables, lenient: bool) -> Option<Program> {
        let mut builder = Builder::default();
        let opposite = lenient.then_some(false);
        let whole = Place { yes: ACCEPT, no: REJECT, opposite, known: None };
        let start = builder.place(tree, whole)?;
        Some(Program { ops: builder.ops, tests: builder.tests, start, tables })
    }
}

/// A program under construction.
#[derive(Default)]
struct Builder {
    ops: Vec<Op>,
    /// The test of every op.
    tests: Vec<Test>,
}

impl Builder {
    /// Appends a tree; returns where it begins, `None` if the program gets too long.
    fn place(&mut self, tree: &Tree, place: Place<'_>) -> Option<u32> {
        match tree {
            Tree::Test(test) => self.test(*test, place),
            Tree::Not(inner) => {
                let (yes, no) = (place.no, place.yes);
                let opposite = place.opposite.map(|opposite| !opposite);
                self.place(inner, Place { yes, no, opposite, ..place })
            }
            Tree::All(parts) => match &parts[..] {
                [Tree::Test(test), rest @ ..] => {
                    let known = Known { test, outer: place.known };
                    let rest = self.all(rest, Place { known: Some(&known), ..place })?;
                    self.test(*test, Place { yes: rest, ..place })
                }
                parts => self.all(parts, place),
            },
            Tree::Any(parts) => parts
                .iter()
                .rev()
                .try_fold(place.no, |no, part| self.place(part, Place { no, ..place })),
            Tree::Chain(first, rest) => {
                let mut here = place;
                for (and, part) in rest.iter().rev() {
                    let begin = self.place(part, here)?;
                    *(if *and { &mut here.yes } else { &mut here.no }) = begin;
                }
                self.place(first, here)
            }
        }
    }

    fn all(&mut self, parts: &[Tree], place: Place<'_>) -> Option<u32> {
        let mut parts = parts.iter().rev();
        parts.try_fold(place.yes, |yes, part| self.place(part, Place { yes, ..place }))
    }

    fn test(&mut self, test: Test, place: Place<'_>) -> Option<u32> {
        if let Test::Constant(value) = test {
            return Some(if value { place.yes } else { place.no });
        }
        let opposite = |opposite| if opposite { place.yes } else { place.no };
        let beyond = place.opposite.map_or(REJECT, opposite);
        let (yes, no) = (self.follow(&test, true, place), self.follow(&test, false, place));
        if self.ops.len() >= MOST {
            return None;
        }
        self.ops.push(Op { run: Run::of(test, self.tests.len() as u32), yes, no, beyond });
        self.tests.push(test);
        Some(self.ops.len() as u32 - 1 + PLACES)
    }

    /// Where to go on when `test` turned out as `outcome`.
    fn follow(&self, test: &Test, outcome: bool, from: Place<'_>) -> u32 {
        let mut place = if outcome { from.yes } else { from.no };
        let number = |place: u32| place.checked_sub(PLACES).map(|n| n as usize);
        while let Some((next, op)) =
            number(place).and_then(|n| Some((self.tests.get(n)?, self.ops.get(n)?)))
        {
            let mut known = std::iter::successors(from.known, |known| known.outer);
            let verdict = next
                .given(test, outcome)
                .or_else(|| known.find_map(|known| next.given(known.test, true)));
            match verdict {
                Some(true) => place = op.yes,
                Some(false) => place = op.no,
                None => break,
            }
        }
        place
    }
}
