//! Damage that chance does, the same each time for the same seed.
//!
//! Variant `n` of a seed depends on both and on nothing else, so that the one that mattered can be made
//! again. Half of the variants of a frame of layers have other values in some fields, with lengths and
//! checksums to fit, so that they get past the first check; the other half, and all of those of plain
//! bytes, have bytes changed, repeated, put in or taken away.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::text::{Ends, Recipe};

/// Bytes that receivers trip over.
const INTERESTING: [u8; 6] = [0x00, 0xff, 0x7f, 0x80, 0x01, 0x45];

/// The chance of variant `number` of `seed`.
pub fn chance(seed: u64, number: u64) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(number);
    random
}

/// Variant `number` of `seed` of a frame, and what was done to it.
pub fn variant(recipe: &Recipe, ends: &Ends, seed: u64, number: u64) -> (Vec<u8>, String) {
    let mut random = chance(seed, number);
    let mut done = Vec::new();
    let mut recipe = recipe.clone();
    let by_fields = recipe.has_layers() && random.random_range(0..2) == 0;
    if by_fields {
        for _ in 0..random.random_range(1..=3) {
            done.extend(recipe.mutate(&mut random));
        }
    }
    let mut frame = recipe.frame(ends, &mut random);
    if !by_fields || done.is_empty() {
        for _ in 0..random.random_range(1..=4) {
            done.push(damage(&mut frame, &mut random));
        }
    }
    if frame.is_empty() {
        frame.push(0); // a frame of no bytes is never sent
    }
    (frame, done.join(", "))
}

fn damage(frame: &mut Vec<u8>, random: &mut ChaCha8Rng) -> String {
    if frame.is_empty() {
        frame.push(random.random());
        return "a byte put in at 0".to_owned();
    }
    let at = random.random_range(0..frame.len());
    let count = random.random_range(1..=8).min(frame.len() - at);
    match random.random_range(0..6) {
        0 => {
            frame[at] ^= 1 << random.random_range(0..8);
            format!("a bit turned at {at}")
        }
        1 => {
            frame[at] = INTERESTING[random.random_range(0..INTERESTING.len())];
            format!("byte {at} = 0x{:02x}", frame[at])
        }
        2 => {
            for byte in &mut frame[at..at + count] {
                *byte = random.random();
            }
            format!("{} at {at}", counted(count, "other byte"))
        }
        3 => {
            frame.truncate(at.max(1));
            format!("cut to {}", counted(frame.len(), "byte"))
        }
        4 => {
            frame.drain(at..at + count);
            format!("{} taken away at {at}", counted(count, "byte"))
        }
        _ => {
            let again = frame[at..at + count].to_vec();
            frame.splice(at..at, again);
            format!("{} repeated at {at}", counted(count, "byte"))
        }
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::craft::text::End;
    use pnet::util::MacAddr;
    use std::net::Ipv4Addr;

    #[test]
    fn a_variant_is_the_same_each_time_and_no_two_are() {
        let ends = Ends {
            host: End::new(MacAddr(2, 0, 0, 0, 0, 1), Ipv4Addr::new(192, 168, 100, 1)),
            device: End::new(MacAddr(2, 0, 0, 0, 0, 2), Ipv4Addr::new(192, 168, 100, 2)),
        };
        let nothing = |_: &str| Err(String::new());
        let recipe = Recipe::parse("tcp(option.mss=9)/pattern(40)", &nothing).expect("good");
        let bytes = Recipe::of_bytes(vec![0x55; 60]);
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..500 {
            for recipe in [&recipe, &bytes] {
                let (frame, what) = variant(recipe, &ends, 7, number);
                assert_eq!((frame.clone(), what.clone()), variant(recipe, &ends, 7, number));
                assert!(!frame.is_empty() && !what.is_empty(), "{number}");
                seen.insert(frame);
            }
        }
        assert!(seen.len() > 800, "{} different frames of 1000", seen.len());
        let other = variant(&recipe, &ends, 8, 0);
        assert_ne!(other, variant(&recipe, &ends, 7, 0));
    }
}
