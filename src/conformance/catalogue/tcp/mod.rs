//! TCP, against the web server's port: connections that begin, live and end, and segments that belong to none.

mod closing;
mod load;
mod opening;
mod pages;
mod queued;
mod segments;
mod signals;
mod windows;

use super::super::model::Group;

/// The group.
pub static TCP: Group = Group {
    name: "tcp",
    title: "TCP",
    parts: &[
        opening::TESTS,
        segments::TESTS,
        signals::TESTS,
        windows::TESTS,
        closing::TESTS,
        load::TESTS,
        queued::TESTS,
    ],
};
