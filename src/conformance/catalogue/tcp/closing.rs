//! Data that flows under windows and losses, and how connections end.

use super::super::super::model::Test;

/// The tests.
#[rustfmt::skip]
pub(super) static TESTS: &[Test] = &[
];
