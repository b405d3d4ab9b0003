//! Fragments of IPv4 packets: put together right, or left alone.

use super::super::model::Group;

/// The group.
#[rustfmt::skip]
pub static FRAGMENTS: Group = Group {
    name: "fragments",
    title: "IPv4 fragments",
    parts: &[],
};
