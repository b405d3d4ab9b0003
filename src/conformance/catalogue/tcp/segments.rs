//! Segments on a connection: what is taken, what is not, and what the sender is told.

use super::super::super::model::Test;

/// The tests.
#[rustfmt::skip]
pub(super) static TESTS: &[Test] = &[
];
