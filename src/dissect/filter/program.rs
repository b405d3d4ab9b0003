//! Tests of bytes: as a tree, and as a program that runs without a stack.
//!
//! A program is a list of tests, each of which says where to go on when it holds and when it does
//! not. It is made from the tree from back to front, so that every test knows its successors, and
//! they stand in front of it: running always goes down and ends. Where the successor's outcome
//! follows from the test itself (an EtherType that is IPv4's is not ARP's), the successor is
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

/// A test and where to go on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Op {
    pub test: Test,
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
        let mut program = Program { ops: Vec::new(), start: REJECT, tables };
        program.start = program.place(tree, ACCEPT, REJECT, lenient.then_some(false))?;
        program.ops.shrink_to_fit();
        Some(program)
    }

    /// Appends a tree that goes on at `yes` or `no`; returns where it begins. `opposite`: whether
    /// the verdict depends on the tree's opposite; `None` where too short a frame is rejected.
    fn place(&mut self, tree: &Tree, yes: u32, no: u32, opposite: Option<bool>) -> Option<u32> {
        match tree {
            Tree::Test(test) => self.test(*test, yes, no, opposite),
            Tree::Not(inner) => self.place(inner, no, yes, opposite.map(|opposite| !opposite)),
            Tree::All(parts) => {
                parts.iter().rev().try_fold(yes, |yes, part| self.place(part, yes, no, opposite))
            }
            Tree::Any(parts) => {
                parts.iter().rev().try_fold(no, |no, part| self.place(part, yes, no, opposite))
            }
            Tree::Chain(first, rest) => {
                let (mut yes_here, mut no_here) = (yes, no);
                for (and, part) in rest.iter().rev() {
                    let begin = self.place(part, yes_here, no_here, opposite)?;
                    if *and {
                        yes_here = begin;
                    } else {
                        no_here = begin;
                    }
                }
                self.place(first, yes_here, no_here, opposite)
            }
        }
    }

    fn test(&mut self, test: Test, yes: u32, no: u32, opposite: Option<bool>) -> Option<u32> {
        if let Test::Constant(value) = test {
            return Some(if value { yes } else { no });
        }
        let beyond = opposite.map_or(REJECT, |opposite| if opposite { yes } else { no });
        let (yes, no) = (self.follow(&test, true, yes), self.follow(&test, false, no));
        if self.ops.len() >= MOST {
            return None;
        }
        let place = self.ops.len() as u32 + PLACES;
        self.ops.push(Op { test, yes, no, beyond });
        Some(place)
    }

    /// Where to go on when `test` turned out as `outcome` and `place` would be next.
    fn follow(&self, test: &Test, outcome: bool, mut place: u32) -> u32 {
        while let Some(op) = place.checked_sub(PLACES).and_then(|n| self.ops.get(n as usize)) {
            match op.test.given(test, outcome) {
                Some(true) => place = op.yes,
                Some(false) => place = op.no,
                None => break,
            }
        }
        place
    }

    /// Whether it looks at dissected layers.
    pub fn needs_layers(&self) -> bool {
        let needs = |op: &Op| matches!(op.test, Test::Malformed | Test::Layer(_) | Test::Field(_));
        self.ops.iter().any(needs)
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
