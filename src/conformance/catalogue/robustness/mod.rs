//! Robustness: chance, storms, time, and what is known to have killed others.
//!
//! What chance decides comes from the run's seed alone, so that a failure can be repeated; the evidence of
//! one holds every frame. Most of these leave something behind in a device, and come last.

mod endurance;
mod fuzz;
mod known;
mod storms;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::super::model::Group;
use super::super::trial::Trial;

/// The group.
pub static ROBUSTNESS: Group = Group {
    name: "robustness",
    title: "Robustness",
    parts: &[fuzz::TESTS, known::TESTS, storms::TESTS, endurance::TESTS],
};

/// The chance of a test, which has a number of its own.
fn chance(t: &mut Trial, number: u64) -> ChaCha8Rng {
    let seed = t.rig.seed;
    t.remark(format!("seed {seed}"));
    ChaCha8Rng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9).wrapping_add(number))
}
