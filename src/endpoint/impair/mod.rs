//! A line that is worse than it is: frames are lost, doubled, damaged or late, as the user asked for.
//!
//! `drop=1%`, `delay=20ms` and the like behind an endpoint wrap its connector; each link that it
//! makes is a link again, with a `Lane` for each direction. A lane is pure: frames and times go in,
//! frames and notes of what was done come out. What is no frame passes unchanged and in order, so that
//! an impairment never puts a stream out of step. Chance comes from `Dice`, seeded: the same
//! frames meet the same fates, whatever the timing.
//!
//! Whoever wants records ([`super::Receive::speak_in_records`]) gets them for both directions, as the line
//! carried them, with [`crate::record::Impaired`] beside what was touched. docs/impairments.md has the exact meanings.

mod dice;
mod framer;
mod journal;
mod lane;
mod link;
pub mod rules;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{Connector, Link, Pending, Spec};
use crate::error::{Error, Result};
use crate::event::Events;
use crate::record::Direction;
use dice::Dice;
use lane::Lane;
use rules::Impairments;
use tally::Tally;

/// `connector`, impaired as `spec` says.
pub(super) fn around(
    spec: &Spec,
    connector: Box<dyn Connector>,
    events: &Events,
) -> Box<dyn Connector> {
    let rules = *spec.options.impair;
    if rules.is_nothing() {
        return connector;
    }
    Box::new(Impaired {
        inner: connector,
        spec: spec.clone(),
        rules,
        seed: rules.seed.unwrap_or_else(|| RandomState::new().hash_one(0) % 100_000),
        events: events.clone(),
        connections: AtomicU64::new(0),
        is_told: AtomicBool::new(false),
        to_device: Arc::default(),
        from_device: Arc::default(),
    })
}

/// A connector whose links are impaired.
struct Impaired {
    inner: Box<dyn Connector>,
    spec: Spec,
    rules: Impairments,
    seed: u64,
    events: Events,
    connections: AtomicU64,
    is_told: AtomicBool,
    to_device: Arc<Tally>,
    from_device: Arc<Tally>,
}

impl Impaired {
    /// The lane for one direction of connection `number`, counted from 0.
    fn lane(&self, direction: Direction, number: u64) -> Lane {
        let (rules, tally) = match direction {
            Direction::ToDevice => (self.rules.to_device, &self.to_device),
            _ => (self.rules.from_device, &self.from_device),
        };
        let dice = Dice::new(rules, self.seed, direction, number);
        Lane::new(rules, dice, self.spec.options.framing, tally.clone())
    }

    /// Says once what is done, and how to have the same again.
    fn announce(&self) {
        if !self.is_told.swap(true, Ordering::Relaxed) {
            self.events.note(format!("impaired {}; seed={}", self.rules, self.seed));
        }
    }
}

impl Connector for Impaired {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn prepare(&self) -> Pending<'_, Result<bool>> {
        self.inner.prepare()
    }

    fn connect(&self) -> Pending<'_, Result<Link>> {
        Box::pin(async move {
            let link = self.inner.connect().await?;
            if link.about.shared.is_some() {
                let holder = link.about.peer.as_deref().unwrap_or("another uarttool");
                let text = format!("cannot impair {}: {holder} holds the line", self.name());
                return Err(Error::usage(text).with_help(
                    "give the impairments to the command that holds it: those who attach get what \
                     that one sees",
                ));
            }
            self.announce();
            let number = self.connections.fetch_add(1, Ordering::Relaxed);
            let (sent, received) = match self.rules.is_device_side {
                false => (Direction::ToDevice, Direction::FromDevice),
                true => (Direction::FromDevice, Direction::ToDevice),
            };
            let (sent, received) = (self.lane(sent, number), self.lane(received, number));
            Ok(link::impaired(link, &self.spec.options, sent, received))
        })
    }

    fn is_persistent(&self) -> bool {
        self.inner.is_persistent()
    }
}

/// At the end it is said what was done.
impl Drop for Impaired {
    fn drop(&mut self) {
        if !self.is_told.load(Ordering::Relaxed) {
            return; // there never was a link
        }
        let directions = [
            ("to the device", &self.rules.to_device, &self.to_device),
            ("from the device", &self.rules.from_device, &self.from_device),
        ];
        for (direction, rules, tally) in directions {
            if !rules.is_nothing() {
                self.events.note(format!("impaired {direction}: {}", tally.sum(rules)));
            }
        }
    }
}
