//! Lanes with many frames.
