//! Tests of bytes: as a tree, and as a program that runs without a stack.
//!
//! A program is a list of tests, each of which says where to go on when it holds and when it does
//! not. It is made from the tree from back to front, so that every test knows its successors, and
//! they stand in front of it: running always goes down and ends. Where the successor's outcome
//! follows from what is known by then (an EtherType that is IPv4's is not ARP's), the successor is
//! skipped.
//!
//! A test may look behind the end of the frame. In a filter of tcpdump's words this rejects the
//! frame, as there. In a filter with words of ours it makes the statement unknown: neither it nor
//! its opposite holds, and whether the frame passes is left to the other statements.

use super::expr::{Arith, Operator, Relation};
use super::own::FieldTest;
use crate::proto::Protocol;
use crate::record::Direction;

/// How many bytes a load takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    One,
    Two,
    Four,
}

/// Where a number comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Bytes at an offset from the start of the frame.
    Frame { at: u32, size: Size },
    /// Bytes at an offset from the end of the IPv4 header that begins at `header`.
    AboveIpv4 { header: u32, at: u32, size: Size },
    /// The length of the frame on the line.
    Length,
}

/// How a number is compared with a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Is {
    Equal,
    Above,
    AtLeast,
}

/// One test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    /// Always or never.
    Constant(bool),
    /// A number out of the frame, some bits of it, compared with a constant.
    Number { source: Source, mask: u32, is: Is, value: u32 },
    /// Two computed numbers compared: an index into [`Tables::relations`].
    Relation(u32),
    /// The way the frame went.
    Direction(Direction),
    /// Something is wrong with the frame.
    Malformed,
    /// An index into [`Tables::layers`].
    Layer(u32),
    /// An index into [`Tables::fields`].
    Field(u32),
}

impl Test {
    const fn number(at: u32, size: Size, mask: u32, is: Is, value: u32) -> Test {
        Test::Number { source: Source::Frame { at, size }, mask, is, value }
    }

    /// The number at `at` is `value`.
    pub const fn equal(at: u32, size: Size, value: u32) -> Test {
        Test::number(at, size, u32::MAX, Is::Equal, value)
    }

    /// Those bits of the number at `at` are `value`.
    pub const fn masked(at: u32, size: Size, mask: u32, value: u32) -> Test {
        Test::number(at, size, mask, Is::Equal, value)
    }

    /// The number at `at` is greater than `value`.
    pub const fn above(at: u32, size: Size, value: u32) -> Test {
        Test::number(at, size, u32::MAX, Is::Above, value)
    }

    /// The number at `at` is `value` or greater.
    pub const fn at_least(at: u32, size: Size, value: u32) -> Test {
        Test::number(at, size, u32::MAX, Is::AtLeast, value)
    }

    /// What this test says when `other` turned out as `outcome` just before.
    fn given(&self, other: &Test, outcome: bool) -> Option<bool> {
        if self == other {
            return Some(outcome);
        }
        match (*self, *other) {
            (
                Test::Number { source, mask, is, value },
                Test::Number { source: same, mask: same_mask, is: Is::Equal, value: known },
            ) if source == same && mask == same_mask => {
                if outcome {
                    Some(is.holds(known, value))
                } else {
                    (is == Is::Equal && value == known).then_some(false)
                }
            }
            _ => None,
        }
    }
}

impl Is {
    /// Whether `number` compares so with `value`.
    pub const fn holds(self, number: u32, value: u32) -> bool {
        match self {
            Is::Equal => number == value,
            Is::Above => number > value,
            Is::AtLeast => number >= value,
        }
    }
}

/// Tests, connected.
#[derive(Clone, Debug)]
pub(super) enum Tree {
    Test(Test),
    Not(Box<Tree>),
    All(Vec<Tree>),
    Any(Vec<Tree>),
    /// From left to right; true: and, false: or.
    Chain(Box<Tree>, Vec<(bool, Tree)>),
}

impl From<Test> for Tree {
    fn from(test: Test) -> Tree {
        Tree::Test(test)
    }
}

impl Tree {
    /// Never.
    pub const FALSE: Tree = Tree::constant(false);

    /// Always or never.
    pub const fn constant(value: bool) -> Tree {
        Tree::Test(Test::Constant(value))
    }

    /// The opposite.
    pub fn not(tree: Tree) -> Tree {
        Tree::Not(Box::new(tree))
    }

    /// Both, `self` first.
    pub fn and(self, other: Tree) -> Tree {
        Tree::All(vec![self, other])
    }
}

/// A step of a computation; numbers wait on a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Puts a constant.
    Push(u32),
    /// Puts the length of the frame on the line.
    Length,
    /// Takes an offset from `base`, puts what is there.
    Frame { base: u32, size: Size },
    /// Takes an offset from the end of the IPv4 header at `header`, puts what is there.
    AboveIpv4 { header: u32, size: Size },
    /// Replaces a number by its complement.
    Negate,
    /// Takes two numbers, puts one.
    Combine(Operator),
}

/// Two computations and how their results are compared.
#[derive(Clone, Debug)]
pub(super) struct Computed {
    /// The steps that leave two numbers, the left one below.
    pub steps: Box<[Step]>,
    /// How they are compared.
    pub relation: Relation,
}

/// What tests refer to.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    /// Comparisons of computed numbers.
    pub relations: Vec<Computed>,
    /// Protocols whose layers are asked for.
    pub layers: Vec<&'static Protocol>,
    /// Questions about fields.
    pub fields: Vec<FieldTest>,
}

/// A test as it is run.
#[derive(Clone, Copy, Debug)]
pub(super) enum Run {
    /// A number out of the frame as the first bytes of a word of four: what the mask leaves of it
    /// is compared.
    Word { at: u32, bytes: u32, mask: u32, is: Is, value: u32 },
    /// Any other.
    Test(Test),
}

impl Run {
    fn of(test: Test) -> Run {
        let Test::Number { source: Source::Frame { at, size }, mask, is, value } = test else {
            return Run::Test(test);
        };
        let (bytes, unused) = match size {
            Size::One => (1, 24),
            Size::Two => (2, 16),
            Size::Four => (4, 0),
        };
        match value << unused >> unused == value {
            true => Run::Word { at, bytes, mask: mask << unused, is, value: value << unused },
            false => Run::Test(test), // more than the bytes can be
        }
    }
}

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

/// A test and where to go on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Op {
    pub run: Run,
    pub yes: u32,
    pub no: u32,
    /// Where to go on when the frame is too short for the test.
    pub beyond: u32,
}

/// The place where a frame is rejected.
pub(super) const REJECT: u32 = 0;
/// The place where a frame is accepted.
pub(super) const ACCEPT: u32 = 1;
/// The number of places that are no tests.
pub(super) const PLACES: u32 = 2;
/// How many tests a program may have.
pub(super) const MOST: usize = 1 << 16;

/// A list of tests that ends with a verdict.
#[derive(Clone, Debug)]
pub(super) struct Program {
    /// The tests; test number n is at place n + [`PLACES`].
    pub ops: Vec<Op>,
    /// The place to begin with.
    pub start: u32,
    /// What the tests refer to.
    pub tables: Tables,
}

impl Program {
    /// The program of a tree; `None` if it would be too long. `lenient`: a test that looks behind
    /// the end of the frame does not reject it.
    pub fn new(tree: &Tree, tables: Tables, lenient: bool) -> Option<Program> {
        let mut builder = Builder::default();
        let opposite = lenient.then_some(false);
        let whole = Place { yes: ACCEPT, no: REJECT, opposite, known: None };
        let start = builder.place(tree, whole)?;
        Some(Program { ops: builder.ops, start, tables })
    }

    /// Whether it looks at dissected layers.
    pub fn needs_layers(&self) -> bool {
        self.ops.iter().any(|op| {
            matches!(op.run, Run::Test(Test::Malformed | Test::Layer(_) | Test::Field(_)))
        })
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
        self.ops.push(Op { run: Run::of(test), yes, no, beyond });
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

/// The steps that compute a number.
pub(super) fn steps(arith: &Arith, access: &dyn Fn(&Arith) -> Option<Step>, out: &mut Vec<Step>) {
    match arith {
        Arith::Number(number) => out.push(Step::Push(*number)),
        Arith::Length => out.push(Step::Length),
        Arith::Access { index, .. } => {
            steps(index, access, out);
            out.extend(access(arith));
        }
        Arith::Negate(inner) => {
            steps(inner, access, out);
            out.push(Step::Negate);
        }
        Arith::Binary(operator, left, right) => {
            steps(left, access, out);
            steps(right, access, out);
            out.push(Step::Combine(*operator));
        }
    }
}
