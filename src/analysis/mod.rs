//! What a stream of records says beyond the single record.

pub mod anonymize;
pub mod console;
pub mod flows;
pub mod replies;
pub mod stalls;
