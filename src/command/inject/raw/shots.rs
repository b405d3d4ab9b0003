//! The frames of a run, one after the other.

use std::ops::RangeInclusive;

use crate::craft::fuzz;
use crate::craft::text::{Ends, Recipe};
use crate::error::{Error, Result};
use crate::probe::inject::raw::Shot;
use crate::probe::inject::wire::Wire;

/// Sizes of data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sweep {
    sizes: RangeInclusive<usize>,
    step: usize,
}

pub(super) fn parse_sweep(text: &str) -> Result<Sweep, String> {
    let bad = || format!("'{text}' is not a range of sizes such as 0..1472 or 0..1472/8");
    let (range, step) = text.split_once('/').unwrap_or((text, "1"));
    let (from, to) = range.split_once("..").ok_or_else(bad)?;
    let number = |part: &str| part.parse().ok().filter(|n: &usize| *n <= 65_535).ok_or_else(bad);
    let (from, to, step) = (number(from)?, number(to)?, number(step)?);
    if from > to || step == 0 {
        return Err(bad());
    }
    Ok(Sweep { sizes: from..=to, step })
}

/// Yields frames: those given, their sizes or their variants, as often as wanted.
pub(super) struct Shots {
    recipes: Vec<Recipe>,
    ends: Ends,
    seed: u64,
    variants: Option<RangeInclusive<u64>>,
    wire: Wire,
    /// Frames that there are until they begin anew.
    round: u64,
    /// Frames that are yielded; `None` is no end.
    most: Option<u64>,
    next: u64,
}

impl Shots {
    /// Each once.
    pub fn new(recipes: Vec<Recipe>, ends: Ends, seed: u64) -> Self {
        let round = recipes.len() as u64;
        let wire = Wire::default();
        Shots { recipes, ends, seed, variants: None, wire, round, most: Some(round), next: 0 }
    }

    /// Cut, as that says.
    pub fn cut(self, wire: Wire) -> Self {
        Shots { wire, ..self }
    }

    /// Each with data of these sizes.
    pub fn sweep(mut self, sweep: &Sweep) -> Self {
        let sizes = sweep.sizes.clone().step_by(sweep.step);
        let grown =
            sizes.flat_map(|size| self.recipes.iter().map(move |recipe| with_data(recipe, size)));
        self.recipes = grown.collect();
        self.round = self.recipes.len() as u64;
        Shots { most: Some(self.round), ..self }
    }

    /// These variants of them.
    pub fn fuzz(self, variants: RangeInclusive<u64>) -> Self {
        let round = variants.end() - variants.start() + 1;
        Shots { variants: Some(variants), round, most: Some(round), ..self }
    }

    /// So many, or without an end.
    pub fn bounded(self, count: Option<u64>, is_endless: bool) -> Self {
        let most = if is_endless { None } else { count.or(self.most) };
        Shots { most, ..self }
    }

    /// Where chance starts.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether chance has a say.
    pub fn uses_chance(&self) -> bool {
        self.variants.is_some() || self.recipes.iter().any(Recipe::uses_chance)
    }

    /// Looks at each frame of a round as it goes out, but without damage.
    pub fn each(&self, mut look: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        for recipe in &self.recipes {
            let frame = recipe
                .checked_frame(&self.ends, &mut fuzz::chance(self.seed, 0))
                .map_err(|why| Error::usage(format!("bad frame: {why}")))?;
            look(&self.wire.cut(frame))?;
        }
        Ok(())
    }
}

/// A recipe with so many bytes of data at its end.
fn with_data(recipe: &Recipe, size: usize) -> Recipe {
    let mut recipe = recipe.clone();
    recipe.append((0..size).map(|n| n as u8).collect());
    recipe
}

impl Iterator for Shots {
    type Item = Shot;

    fn next(&mut self) -> Option<Shot> {
        if self.most.is_some_and(|most| self.next >= most) || self.recipes.is_empty() {
            return None;
        }
        let number = self.next % self.round.max(1);
        self.next += 1;
        let recipe = &self.recipes[(number % self.recipes.len() as u64) as usize];
        let (frame, remark) = match &self.variants {
            Some(variants) => {
                let number = variants.start() + number;
                let recipe = &self.recipes[((number - 1) % self.recipes.len() as u64) as usize];
                let (frame, what) = fuzz::variant(recipe, &self.ends, self.seed, number);
                (frame, Some(format!("variant {number}: {what}")))
            }
            None => (recipe.frame(&self.ends, &mut fuzz::chance(self.seed, self.next)), None),
        };
        Some((self.wire.cut(frame), remark))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sweeps() {
        assert_eq!(parse_sweep("0..1472/8"), Ok(Sweep { sizes: 0..=1472, step: 8 }));
        for bad in ["", "5", "9..1", "1..x", "1..9/0", "0..70000"] {
            assert!(parse_sweep(bad).is_err(), "{bad}");
        }
    }
}
