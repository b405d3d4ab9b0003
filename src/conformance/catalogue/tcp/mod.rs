//! TCP, against the web server's port: connections that begin, live and end, and segments that belong to none.

mod closing;
mod opening;
mod segments;

use super::super::model::Group;

/// The group.
pub static TCP: Group =
    Group { name: "tcp", title: "TCP", parts: &[opening::TESTS, segments::TESTS, closing::TESTS] };
