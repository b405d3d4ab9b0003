//! What the comparison with tshark is made of.

pub mod compare;
pub mod frames;
pub mod tables;
pub mod theirs;
