//! The frames of a run, one after the other.

use std::ops::RangeInclusive;

use super::with_data;
use crate::craft::fuzz;
use crate::craft::text::{Ends, Recipe};
use crate::probe::inject::raw::Shot;
use crate::probe::inject::wire::Wire;

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
    pub fn sweep(mut self, sizes: RangeInclusive<usize>, step: usize) -> Self {
        let grown = sizes
            .step_by(step)
            .flat_map(|size| self.recipes.iter().map(move |recipe| with_data(recipe, size)));
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

    /// The longest frame of a round, without damage.
    pub fn longest(&self) -> usize {
        let lengths = self
            .recipes
            .iter()
            .map(|recipe| recipe.frame(&self.ends, &mut fuzz::chance(self.seed, 0)).len());
        lengths.max().unwrap_or_default().min(self.wire.truncate.unwrap_or(usize::MAX))
    }

    /// Whether that holds for any of the frames.
    pub fn any(&self, holds: impl Fn(&[u8]) -> bool) -> bool {
        self.recipes.iter().any(|recipe| {
            holds(&self.wire.cut(recipe.frame(&self.ends, &mut fuzz::chance(self.seed, 0))))
        })
    }
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
