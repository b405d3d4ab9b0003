//! Where the sending ends: behind the last frame that is wanted, or in the middle.

use std::time::Duration;

use bytes::Bytes;

use super::Drive;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::replay::conversation::Side;
use crate::replay::expect::Judge;
use crate::replay::session::Session;
use crate::replay::source::What;

/// Frames behind the last one that is sent, among which its answers are looked for.
const BEHIND: u64 = 10_000;

/// The last frame that is sent, when there are not to be more.
#[derive(Clone, Copy)]
pub(in crate::command::replay) struct End {
    number: u64,
    at: Option<Timestamp>,
    /// Others of ours came behind it.
    is_past: bool,
}

impl Drive {
    /// Whether there was nothing left to send when the word to stop came.
    pub(super) fn is_at_end(&mut self) -> bool {
        let is_enough = self.is_enough();
        self.totals.unsure == 0 && (is_enough || self.source.is_at_end())
    }

    /// Whether as many are sent, or go next, as may be.
    pub(super) fn is_enough(&self) -> bool {
        self.plan.limit.is_some_and(|limit| self.going() >= limit)
    }

    /// What stands behind the last frame that is sent: its answers belong to it, others do not. Whether more may
    /// come.
    pub(super) fn behind(&mut self, number: u64, at: Option<Timestamp>, what: What) -> bool {
        let end = *self.end.get_or_insert(End { number, at, is_past: false });
        let time = end.at.zip(at).map_or(Duration::ZERO, |(end, at)| at.since(end));
        if number > end.number + BEHIND || time > self.plan.timeout {
            return false;
        }
        match what {
            What::Again => return false,
            What::Frame(Side::Ours, frame) => {
                self.end = Some(End { is_past: true, ..end });
                self.limits.pass(Side::Ours, &frame);
                self.judge.iter_mut().for_each(Judge::cut_short);
            }
            What::Frame(Side::Theirs, frame) if self.is_wanted(end, &frame) => {
                self.theirs(number, &frame, true);
            }
            What::Lacking(n) if !end.is_past => {
                self.judge.iter_mut().for_each(|judge| judge.lacks(n));
            }
            What::Part(frame) if self.is_wanted(end, &frame) => self.theirs(number, &frame, false),
            _ => {}
        }
        true
    }

    fn is_wanted(&mut self, end: End, frame: &Bytes) -> bool {
        !end.is_past || self.limits.answers_sent(frame)
    }

    /// Ends the connections that are open, which nobody goes on with.
    pub(super) async fn reset(&mut self) -> Result<()> {
        let resets = self.session.as_mut().map(Session::resets).unwrap_or_default();
        match resets.is_empty() || self.totals.unsure > 0 {
            true => Ok(()),
            false => self.probe.send_all(&resets).await,
        }
    }
}
