//! HTTP: the device's web server, with good requests and with bad ones.

use super::super::model::Group;

/// The group.
#[rustfmt::skip]
pub static HTTP: Group = Group {
    name: "http",
    title: "HTTP",
    parts: &[],
};
