//! One file per way to show a frame.

pub mod hex;
pub mod line;
