//! What the comparison with tcpdump is made of.

pub mod expressions;
pub mod frames;
