//! Whether somebody on the line is in a hurry: pings, and whatever else comes beside the data of connections.
//!
//! A bulk transfer alone may keep two long segments on their way; beside such company it keeps a third of
//! that there (`pace`).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Timestamp;

/// Company is gone when nothing is heard of it for so long: pings come once a second.
const PATIENCE: Duration = Duration::from_secs(3);

/// When company was last seen, in nanoseconds since the epoch; 0 is never.
#[derive(Debug, Default)]
pub(super) struct Company(AtomicU64);

impl Company {
    /// Something came or went that is not of a connection of ours.
    pub(super) fn note(&self, now: Timestamp) {
        self.0.fetch_max(now.0, Ordering::Relaxed);
    }

    /// Whether there is any.
    pub(super) fn is_here(&self, now: Timestamp) -> bool {
        let last = self.0.load(Ordering::Relaxed);
        last > 0 && now.since(Timestamp(last)) < PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn company_is_here_for_a_while() {
        let company = Company::default();
        let at = |seconds: u64| Timestamp(seconds * 1_000_000_000);
        assert!(!company.is_here(at(1)));
        company.note(at(5));
        company.note(at(4));
        assert!(company.is_here(at(7)) && !company.is_here(at(8)));
    }
}
