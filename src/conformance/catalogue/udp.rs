//! UDP: what comes back from ports that are served, and from those that are not.

use super::super::model::Group;

/// The group.
#[rustfmt::skip]
pub static UDP: Group = Group {
    name: "udp",
    title: "UDP",
    parts: &[],
};
