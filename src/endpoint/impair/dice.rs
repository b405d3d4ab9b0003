//! Which frame meets which fate.
//!
//! Each impairment has a stream of random numbers of its own, apart for each direction and connection, and
//! takes one number for every frame, whatever becomes of that frame otherwise. So another impairment beside it,
//! or other times, change nothing; and how many frames the other direction has, neither.

use std::time::Duration;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::rules::{Chance, Rules};
use crate::record::Direction;

/// What becomes of one frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fate {
    /// It does not arrive. The rest of its fate is the one that it would have had.
    pub drop: bool,
    /// It arrives twice.
    pub dup: bool,
    /// So many bytes of it are left.
    pub truncate: Option<usize>,
    /// These bits of what is left are turned, in ascending order, all different.
    pub corrupt: Vec<usize>,
    /// It goes after the next.
    pub reorder: bool,
    /// It is so late.
    pub delay: Duration,
    /// The line stands still in front of it.
    pub stall: bool,
}

/// The numbers of the streams; they are part of what a seed means and stay as they are.
mod stream {
    pub const DROP: u64 = 0;
    pub const DUP: u64 = 1;
    pub const CORRUPT: u64 = 2;
    pub const WHICH_BITS: u64 = 3;
    pub const TRUNCATE: u64 = 4;
    pub const WHERE: u64 = 5;
    pub const REORDER: u64 = 6;
    pub const JITTER: u64 = 7;
    pub const STALL: u64 = 8;
    /// How many there are.
    pub const ALL: usize = 9;
}

/// Decides the fates of the frames of one direction.
#[derive(Debug)]
pub(super) struct Dice {
    rules: Rules,
    streams: [ChaCha8Rng; stream::ALL],
}

impl Dice {
    /// Dice for connection `number`, counted from 0.
    pub fn new(rules: Rules, seed: u64, direction: Direction, number: u64) -> Dice {
        let direction = u64::from(direction == Direction::FromDevice);
        let base = (number.wrapping_mul(2) + direction).wrapping_mul(64);
        let streams = std::array::from_fn(|which| {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            random.set_stream(base.wrapping_add(which as u64));
            random
        });
        Dice { rules, streams }
    }

    /// The fate of the next frame, which has `length` bytes.
    pub fn roll(&mut self, length: usize) -> Fate {
        let rules = self.rules;
        let truncate = self.hit(stream::TRUNCATE, rules.truncate) && length > 1;
        let truncate = truncate.then(|| self.below(stream::WHERE, length - 1) + 1);
        let bits = truncate.unwrap_or(length) * 8;
        let corrupt = match self.hit(stream::CORRUPT, rules.corrupt) {
            true => self.bits(rules.bits.max(1), bits),
            false => Vec::new(),
        };
        Fate {
            drop: self.hit(stream::DROP, rules.drop),
            dup: self.hit(stream::DUP, rules.dup),
            truncate,
            corrupt,
            reorder: self.hit(stream::REORDER, rules.reorder),
            delay: self.delay(),
            stall: self.hit(stream::STALL, rules.stall),
        }
    }

    /// From 0 to 1, without 1 itself: the upper 53 bits, which a float holds exactly.
    fn share(&mut self, which: u64) -> f64 {
        let number = self.streams.get_mut(which as usize).map_or(0, Rng::next_u64);
        (number >> 11) as f64 / (1u64 << 53) as f64
    }

    fn hit(&mut self, which: u64, chance: Chance) -> bool {
        let share = self.share(which);
        chance.is_hit(share)
    }

    /// A number below `end`, which is at least 1.
    fn below(&mut self, which: u64, end: usize) -> usize {
        let stream = self.streams.get_mut(which as usize);
        stream.map_or(0, |stream| stream.random_range(0..end.max(1)))
    }

    /// `n` different places below `end`, or all that there are.
    fn bits(&mut self, n: usize, end: usize) -> Vec<usize> {
        if n >= end {
            return (0..end).collect();
        }
        // Robert Floyd's way: as many numbers as places, none of them twice.
        let mut places = std::collections::BTreeSet::new();
        for last in end - n..end {
            let place = self.below(stream::WHICH_BITS, last + 1);
            if !places.insert(place) {
                places.insert(last);
            }
        }
        places.into_iter().collect()
    }

    /// Evenly from `delay - jitter`, but not less than nothing, to `delay + jitter`.
    fn delay(&mut self) -> Duration {
        let share = self.share(stream::JITTER);
        let Rules { delay, jitter, .. } = self.rules;
        let least = delay.saturating_sub(jitter);
        least + (delay + jitter - least).mul_f64(share)
    }
}
