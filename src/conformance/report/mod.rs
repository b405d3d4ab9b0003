//! Reports: one file a format, made of events alone.

pub mod json;
pub mod junit;
pub mod text;
