//! What is wrong with a filter, and where.

pub(super) use crate::mistake::near;

/// A filter that cannot be understood.
pub type FilterError = crate::mistake::Mistake;
