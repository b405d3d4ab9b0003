//! What was done, in numbers; of every connection to the same endpoint.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::rules::Rules;

/// Counts one direction.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Frames that came.
    pub frames: Count,
    /// Frames that were dropped by chance.
    pub dropped: Count,
    /// Frames that found no room to wait.
    pub crowded_out: Count,
    /// Frames that went twice.
    pub doubled: Count,
    /// Frames with bits turned.
    pub corrupted: Count,
    /// Frames that were cut.
    pub truncated: Count,
    /// Frames that went after the next.
    pub reordered: Count,
    /// How often the line stood still.
    pub stalls: Count,
    /// Frames that arrived, copies included.
    pub arrived: Count,
    /// Nanoseconds that those have waited.
    waited: AtomicU64,
}

/// One number.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    /// One more.
    pub fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Tally {
    /// A frame has arrived that was so late.
    pub fn arrive(&self, late: Duration) {
        self.arrived.up();
        let nanos = u64::try_from(late.as_nanos()).unwrap_or(u64::MAX);
        self.waited.fetch_add(nanos, Ordering::Relaxed);
    }

    /// The sum, as far as `rules` have to do with it.
    pub fn sum(&self, rules: &Rules) -> String {
        let frames = self.frames.get();
        let mut text = format!("{frames} frame{}", if frames == 1 { "" } else { "s" });
        for (is_asked, count, what) in [
            (!rules.drop.is_never(), &self.dropped, "dropped"),
            (!rules.dup.is_never(), &self.doubled, "doubled"),
            (!rules.corrupt.is_never(), &self.corrupted, "corrupted"),
            (!rules.truncate.is_never(), &self.truncated, "truncated"),
            (!rules.reorder.is_never(), &self.reordered, "reordered"),
            (false, &self.crowded_out, "dropped since too many were waiting"),
        ] {
            if is_asked || count.get() > 0 {
                text += &format!(", {} {what}", count.get());
            }
        }
        if !rules.stall.is_never() {
            let stalls = self.stalls.get();
            text += &format!(", {stalls} stall{}", if stalls == 1 { "" } else { "s" });
        }
        let arrived = self.arrived.get();
        if rules.has_waiting() && arrived > 0 {
            let mean = self.waited.load(Ordering::Relaxed) as f64 / arrived as f64 / 1e6;
            text += &format!(", delayed {mean:.1} ms on average");
        }
        text
    }
}
