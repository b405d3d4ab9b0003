//! Before there is a connection: listeners, handshakes, ports where nobody listens.

use super::super::super::model::Test;

/// The tests.
#[rustfmt::skip]
pub(super) static TESTS: &[Test] = &[
];
