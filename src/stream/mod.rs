//! TCP reassembly: the segments of one direction of a connection become its stream again.
//!
//! An [`Assembly`] sees segments as a bystander does: from somewhere in the middle on, out of order,
//! twice, or not at all, because the one who captured was too slow. It hands out [`Piece`]s in the order
//! of the stream, each byte once; where bytes will not come any more it says how many are missing.

mod assembly;

pub use assembly::{Assembly, Piece};
