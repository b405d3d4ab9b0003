//! Robustness: chance, storms, time, and what is known to have killed others.

use super::super::model::Group;

/// The group.
#[rustfmt::skip]
pub static ROBUSTNESS: Group = Group {
    name: "robustness",
    title: "Robustness",
    parts: &[],
};
