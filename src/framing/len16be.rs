//! `len16be`: each frame behind its length, 2 bytes, the higher one first.

use super::prefix::{Be16, append};
use super::prefixed::Prefixed;
use super::{Carries, Framing};

/// The framing of the ESP32 tunnel; VDE streams are byte-identical.
pub(super) static LEN16BE: Framing = Framing {
    name: "len16be",
    help: "2-byte big-endian length (ESP32 tunnel, VDE)",
    longest: 65535,
    header: Some(2),
    carries: Carries::Ethernet,
    decoder: |origin, max| Box::new(Prefixed::<Be16>::new(origin, max)),
    append: append::<Be16>,
};
