//! Running a program on a frame. Nothing here allocates, and every program ends.

use super::arith::WAITING;
use super::expr::Operator;
use super::program::{
    ACCEPT, Computed, Is, Number, Op, PLACES, Program, Run, Size, Source, Step, Test,
};
use super::{Seen, fields};
use crate::proto::{Note, Stack};

/// Where the layers of a frame come from, when somebody wants to know them.
pub(super) type Layers<'l, 's> = &'l mut dyn FnMut() -> Option<Stack<'s>>;

impl Program {
    /// The verdict on a frame.
    pub fn run(&self, seen: &Seen<'_>, layers: Layers<'_, '_>) -> bool {
        let mut place = self.start;
        while let Some(op) = self.at(place) {
            let verdict = match op.run {
                Run::Frame { at, number } => compared(seen.frame, at as usize, number),
                Run::AboveIpv4 { header, at, number } => {
                    let header = usize::from(header);
                    let length = seen.frame.get(header).map(|byte| usize::from(byte & 15) * 4);
                    length.and_then(|length| {
                        compared(seen.frame, header + length + usize::from(at), number)
                    })
                }
                Run::Test(n) => {
                    let test = self.tests.get(n as usize);
                    test.and_then(|test| self.holds(*test, seen, layers))
                }
            };
            place = match verdict {
                Some(true) => op.yes,
                Some(false) => op.no,
                None => op.beyond,
            };
        }
        place == ACCEPT
    }

    fn at(&self, place: u32) -> Option<&Op> {
        self.ops.get(place.checked_sub(PLACES)? as usize)
    }

    /// Whether a test holds; `None` if the frame is too short for it. Apart from [`Program::run`],
    /// which is the quicker the fewer registers it needs.
    #[inline(never)]
    fn holds(&self, test: Test, seen: &Seen<'_>, layers: Layers<'_, '_>) -> Option<bool> {
        match test {
            Test::Number { source, mask, is, value } => {
                let number = match source {
                    Source::Frame { at, size } => load(seen.frame, at, size)?,
                    Source::AboveIpv4 { header, at, size } => {
                        above_ipv4(seen.frame, header, at, size)?
                    }
                    Source::Length => length(seen),
                };
                Some(is.holds(number & mask, value))
            }
            Test::Constant(value) => Some(value),
            Test::Relation(n) => compute(self.tables.relations.get(n as usize)?, seen),
            Test::Direction(direction) => Some(seen.direction == direction),
            Test::Malformed => {
                Some(layers().is_some_and(|stack| stack.notes.iter().any(Note::is_malformed)))
            }
            Test::Layer(n) => {
                let protocol = self.tables.layers.get(n as usize)?;
                Some(layers().is_some_and(|stack| fields::has_layer(&stack, protocol)))
            }
            Test::Field(n) => {
                let test = self.tables.fields.get(n as usize)?;
                Some(layers().is_some_and(|stack| test.holds(&stack)))
            }
        }
    }
}

fn length(seen: &Seen<'_>) -> u32 {
    u32::try_from(seen.length).unwrap_or(u32::MAX)
}

/// Whether the number at `at` compares as it should.
#[inline]
fn compared(frame: &[u8], at: usize, number: Number) -> Option<bool> {
    let rest = frame.get(at..)?;
    let word = match rest.first_chunk() {
        Some(word) => u32::from_be_bytes(*word),
        None => last_word(rest, number.bytes)?,
    };
    let word = word & number.mask;
    Some(match number.is {
        Is::Equal => word == number.value,
        is => is.holds(word, number.value),
    })
}

/// The word of which these are the first bytes, if they are as many as needed.
#[cold]
fn last_word(rest: &[u8], bytes: u8) -> Option<u32> {
    let mut word = [0; 4];
    word.get_mut(..rest.len())?.copy_from_slice(rest);
    (rest.len() >= usize::from(bytes)).then_some(u32::from_be_bytes(word))
}

/// The number at `at`, most significant byte first.
#[inline]
fn load(frame: &[u8], at: u32, size: Size) -> Option<u32> {
    let bytes = frame.get(at as usize..)?;
    Some(match size {
        Size::One => u32::from(*bytes.first()?),
        Size::Two => u32::from(u16::from_be_bytes(*bytes.first_chunk()?)),
        Size::Four => u32::from_be_bytes(*bytes.first_chunk()?),
    })
}

/// The number `at` bytes behind the IPv4 header that begins at `header`.
#[inline]
fn above_ipv4(frame: &[u8], header: u32, at: u32, size: Size) -> Option<u32> {
    let length = u32::from(*frame.get(header as usize)? & 15) * 4;
    load(frame, header.checked_add(length.wrapping_add(at))?, size)
}

/// Whether a comparison of computed numbers holds; `None` if the frame is too short for it, or
/// something is divided by 0.
fn compute(computed: &Computed, seen: &Seen<'_>) -> Option<bool> {
    let mut waiting = [0u32; WAITING];
    let mut count = 0usize;
    for step in &computed.steps {
        let taken = match step {
            Step::Push(_) | Step::Length => 0,
            Step::Frame { .. } | Step::AboveIpv4 { .. } | Step::Negate => 1,
            Step::Combine(_) => 2,
        };
        let first = count.checked_sub(taken)?;
        let top = waiting.get(first).copied().unwrap_or_default();
        let number = match *step {
            Step::Push(number) => number,
            Step::Length => length(seen),
            Step::Frame { base, size } => load(seen.frame, base.checked_add(top)?, size)?,
            Step::AboveIpv4 { header, size } => above_ipv4(seen.frame, header, top, size)?,
            Step::Negate => top.wrapping_neg(),
            Step::Combine(operator) => combine(operator, top, *waiting.get(first + 1)?)?,
        };
        *waiting.get_mut(first)? = number;
        count = first + 1;
    }
    Some(computed.relation.holds(waiting[0].cmp(&waiting[1])))
}

fn combine(operator: Operator, a: u32, b: u32) -> Option<u32> {
    Some(match operator {
        Operator::Add => a.wrapping_add(b),
        Operator::Subtract => a.wrapping_sub(b),
        Operator::Multiply => a.wrapping_mul(b),
        Operator::Divide => a.checked_div(b)?,
        Operator::Remainder => a.checked_rem(b)?,
        Operator::And => a & b,
        Operator::Or => a | b,
        Operator::ExclusiveOr => a ^ b,
        Operator::Left => a.checked_shl(b).unwrap_or(0),
        Operator::Right => a.checked_shr(b).unwrap_or(0),
    })
}
