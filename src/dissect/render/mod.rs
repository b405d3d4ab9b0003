//! One file per way to show a frame.

pub mod json;
pub mod line;
pub mod tree;
pub mod value;
