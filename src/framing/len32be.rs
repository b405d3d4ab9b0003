//! `len32be`: each frame behind its length, 4 bytes, the highest one first.
//!
//! QEMU disconnects at a length beyond 69632, and one length of 0 wedges its end for good, so that
//! neither is ever sent there. Up to that size is all that can be told apart from noise anyway: a decoder
//! takes longer ones for an error and holds no memory for them.

use super::prefix::{Be32, append};
use super::prefixed::Prefixed;
use super::{Carries, Framing};

/// What QEMU's `-netdev stream` and `socket` speak, passt and socket_vmnet.
pub(super) static LEN32BE: Framing = Framing {
    name: "len32be",
    help: "4-byte big-endian length (QEMU -netdev stream, passt, socket_vmnet)",
    longest: super::LONGEST_MAX_FRAME,
    header: Some(4),
    carries: Carries::Ethernet,
    decoder: |origin, max| Box::new(Prefixed::<Be32>::new(origin, max)),
    append: append::<Be32>,
};
