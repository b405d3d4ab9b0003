//! What was done, in numbers.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use crate::replay::lateness::Lateness;
use crate::replay::offload::Fault;
use crate::replay::session::Mark;
use crate::replay::source::Why;

/// A frame of the capture, counted from 1, in one of the rounds, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::command::replay) struct Place {
    pub(in crate::command::replay) number: u64,
    pub(in crate::command::replay) round: u64,
}

/// How many there are of each kind, and the first numbers.
pub(in crate::command::replay) type Counted<T> = BTreeMap<T, (u64, Vec<u64>)>;

/// What was done.
#[derive(Debug, Default)]
pub(in crate::command::replay) struct Totals {
    /// Frames that were sent.
    pub(in crate::command::replay) sent: u64,
    /// Their bytes.
    pub(in crate::command::replay) bytes: u64,
    /// Frames that came.
    pub(in crate::command::replay) heard: u64,
    /// Framing errors that came, and records that were lost on their way to us.
    pub(in crate::command::replay) errors: u64,
    pub(in crate::command::replay) lost: u64,
    /// How late frames with a time went.
    pub(in crate::command::replay) lateness: Lateness,
    /// What could not be sent: how much, and the first numbers.
    pub(in crate::command::replay) unfit: Counted<Why>,
    /// Frames with checksums with which something is the matter.
    pub(in crate::command::replay) faults: Counted<Fault>,
    /// How often and how long something was held back for answers.
    pub(in crate::command::replay) held: (u64, Duration),
    /// How many of these answers did not come.
    pub(in crate::command::replay) given_up: u64,
    /// And of those, how many came later.
    pub(in crate::command::replay) late: u64,
    /// The last frame that was sent.
    pub(in crate::command::replay) last: Place,
    /// Frames behind it that may have gone: the last write was cut short.
    pub(in crate::command::replay) unsure: usize,
    /// From the first frame to the last one.
    pub(in crate::command::replay) time: Duration,
    /// Frames without a time, at a speed that goes by times.
    pub(in crate::command::replay) timeless: u64,
    /// TCP segments that acknowledge numbers of the recording, which are not today's.
    pub(in crate::command::replay) untranslated: u64,
    /// Where the first of the TCP connections began that were open in the end, and how many were.
    pub(in crate::command::replay) open: Option<(Mark, usize)>,
    /// Everything was sent that was to be sent.
    pub(in crate::command::replay) is_complete: bool,
    /// And the last answers were waited for.
    pub(in crate::command::replay) is_settled: bool,
    /// The addresses to which the first frame went.
    pub(in crate::command::replay) first: Option<Bytes>,
}
