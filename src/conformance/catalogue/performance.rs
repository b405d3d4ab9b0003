//! Latency and throughput, and what load does to either.

use super::super::model::Group;

/// The group.
#[rustfmt::skip]
pub static PERFORMANCE: Group = Group {
    name: "performance",
    title: "Latency and throughput",
    parts: &[],
};
