//! TCP, against the web server's port: connections that begin, live and end, and segments that belong to none.
//!
//! Most of these tests are scripts. They say what every good device does: one with other windows, with
//! acknowledgments that are late by up to half a second, with a page in several segments. That a
//! connection lives is shown by a request on it: a status line comes. Where the stream itself is in
//! question the status must be one that a server gives to a request that it has understood: 400 says
//! that bytes were lost, doubled or mixed.

mod closing;
mod half_open;
mod load;
mod opening;
mod pages;
mod queued;
mod resets;
mod segments;
mod signals;
mod windows;

pub(super) use queued::difference;

use super::super::model::Group;

/// The group.
pub static TCP: Group = Group {
    name: "tcp",
    title: "TCP",
    parts: &[
        opening::TESTS,
        half_open::TESTS,
        segments::TESTS,
        resets::TESTS,
        signals::TESTS,
        windows::TESTS,
        closing::TESTS,
        load::TESTS,
        queued::TESTS,
    ],
};
