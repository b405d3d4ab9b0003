//! What an impairment that the user asked for has done to a frame.

use std::fmt;

use bytes::Bytes;

/// A note on one frame: `drop=`, `corrupt=` and the like behind an endpoint do that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impaired {
    /// What was done, as a fragment: `corrupted bit 3 of byte 20, delayed 5.123 ms`.
    pub what: String,
    /// The frame, if it went no further. Otherwise it went on and is the next record.
    pub lost: Option<Bytes>,
}

/// The sentence that lines and capture comments show.
impl fmt::Display for Impaired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "impaired: {}", self.what)?;
        match &self.lost {
            Some(frame) if frame.len() == 1 => f.write_str(", 1 byte"),
            Some(frame) => write!(f, ", {} bytes", frame.len()),
            None => Ok(()),
        }
    }
}
