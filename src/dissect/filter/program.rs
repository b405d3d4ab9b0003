//! Tests of bytes: as a tree, and as a program that runs without a stack.
//!
//! A program is a list of tests, each of which says where to go on when it holds and when it does
//! not. `build` makes it from the tree, `eval` runs it.

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
    pub fn given(&self, other: &Test, outcome: bool) -> Option<bool> {
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

/// A test as it is run: the frequent ones laid out so that an op takes half a cache line.
#[derive(Clone, Copy, Debug)]
pub(super) enum Run {
    /// A number out of the frame.
    Frame { at: u32, number: Number },
    /// A number behind the IPv4 header that begins at `header`.
    AboveIpv4 { header: u16, at: u16, number: Number },
    /// Any other: an index into [`Program::tests`].
    Test(u32),
}

/// The first bytes of a word of four, compared: what the mask leaves of the word with the value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number {
    pub mask: u32,
    pub value: u32,
    /// How many bytes of the word belong to the number.
    pub bytes: u8,
    pub is: Is,
}

impl Run {
    /// The test, which has that index.
    pub fn of(test: Test, index: u32) -> Run {
        let Test::Number { source, mask, is, value } = test else { return Run::Test(index) };
        let number = |size| {
            let (bytes, unused) = match size {
                Size::One => (1, 24),
                Size::Two => (2, 16),
                Size::Four => (4, 0),
            };
            let fits = value << unused >> unused == value;
            fits.then_some(Number { mask: mask << unused, value: value << unused, bytes, is })
        };
        let run = match source {
            Source::Frame { at, size } => number(size).map(|number| Run::Frame { at, number }),
            Source::AboveIpv4 { header, at, size } => match (header.try_into(), at.try_into()) {
                (Ok(header), Ok(at)) => {
                    number(size).map(|number| Run::AboveIpv4 { header, at, number })
                }
                _ => None,
            },
            Source::Length => None,
        };
        run.unwrap_or(Run::Test(index))
    }
}

/// A test and where to go on.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
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
    /// The test of every op, as it was before it was laid out.
    pub tests: Vec<Test>,
    /// The place to begin with.
    pub start: u32,
    /// What the tests refer to.
    pub tables: Tables,
}

impl Program {
    /// Whether it looks at dissected layers.
    pub fn needs_layers(&self) -> bool {
        let needs = |test: &Test| matches!(test, Test::Malformed | Test::Layer(_) | Test::Field(_));
        self.tests.iter().any(needs)
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
