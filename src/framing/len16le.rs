//! `len16le`: each frame behind its length, 2 bytes, the lower one first.

use super::prefix::{Le16, append};
use super::prefixed::Prefixed;
use super::{Carries, Framing};

/// What virtual machine networks speak on standard input and output.
pub(super) static LEN16LE: Framing = Framing {
    name: "len16le",
    help: "2-byte little-endian length (gvproxy's stdio, VPNKit behind its handshake)",
    longest: 65535,
    header: Some(2),
    carries: Carries::Ethernet,
    decoder: |origin, max| Box::new(Prefixed::<Le16>::new(origin, max)),
    append: append::<Le16>,
};
