//! What was found: how many of each, and the differences as they are told.

use std::fmt::Write;

use bytes::Bytes;

use super::fields::{self, Change};
use super::ignore::Ignored;
use super::pairs::{Half, Whose};
use super::stream::Fault;
use crate::dissect::Dissector;
use crate::replay::conversation::Conversation;

/// Differences that are told one by one.
pub(super) const TOLD: usize = 50;

/// Something that is not as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Difference {
    /// The frame of the capture, if it is about one.
    number: Option<u64>,
    what: String,
    changes: Vec<Change>,
}

/// All that was found so far.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    differences: Vec<Difference>,
    same: u64,
    different: u64,
    missing: u64,
    extra: u64,
    connections: u64,
    bytes: u64,
    faulty: u64,
    unknown: u64,
}

impl Verdict {
    /// Compares an answer with the recorded one, which is frame `number`.
    pub(super) fn compare(
        &mut self,
        dissector: &mut Dissector,
        ignored: &Ignored,
        conversation: &Conversation,
        number: u64,
        [expected, actual]: [&Bytes; 2],
    ) {
        let mut changes = Vec::new();
        if expected != actual {
            let expected = fields::of(dissector, expected, ignored);
            changes = fields::diff(&expected, &fields::of(dissector, actual, ignored));
        }
        if changes.is_empty() {
            self.same += 1;
            return;
        }
        self.different += 1;
        self.tell(Some(number), format!("the answer differs, {conversation}"), changes);
    }

    /// An answer came of whose recording there is only the beginning.
    pub(super) fn cannot_tell(&mut self) {
        self.unknown += 1;
    }

    /// An answer without its other half.
    pub(super) fn alone(&mut self, dissector: &mut Dissector, whose: Whose, half: &Half) {
        let said = fields::summary(dissector, &half.frame);
        match whose {
            Whose::Recorded => {
                self.missing += 1;
                let what = format!("this answer did not come: {said}");
                self.tell(Some(half.number), what, Vec::new());
            }
            Whose::Heard => self.extra(&said),
        }
    }

    /// Something came that was not recorded.
    pub(super) fn extra(&mut self, what: &impl std::fmt::Display) {
        self.extra += 1;
        self.tell(None, format!("an answer came that was not recorded: {what}"), Vec::new());
    }

    /// What is wrong with a connection.
    pub(super) fn blame(&mut self, conversation: Conversation, faults: Vec<Fault>) {
        for Fault { number, what, changes } in faults {
            self.faulty += 1;
            self.tell(number, format!("{conversation} {what}"), changes);
        }
    }

    /// A connection was as it was recorded, or as much of it as was the same.
    pub(super) fn close(&mut self, is_same: bool, bytes: u64) {
        self.connections += u64::from(is_same);
        self.bytes += bytes;
    }

    fn tell(&mut self, number: Option<u64>, what: String, changes: Vec<Change>) {
        if self.differences.len() < TOLD {
            self.differences.push(Difference { number, what, changes });
        }
    }

    /// In the order of the capture; what it does not have comes last.
    pub(super) fn sort(&mut self) {
        self.differences.sort_by_key(|difference| difference.number.unwrap_or(u64::MAX));
    }

    /// How many differences there are.
    fn all(&self) -> u64 {
        self.different + self.missing + self.extra + self.faulty
    }

    /// Whether there is none.
    pub(super) fn is_content(&self) -> bool {
        self.all() == 0
    }

    /// The differences, each with its fields.
    pub(super) fn differences(&self) -> String {
        let mut text = String::new();
        for Difference { number, what, changes } in &self.differences {
            match number {
                Some(number) => writeln!(text, "frame {number}: {what}"),
                None => writeln!(text, "{what}"),
            }
            .unwrap_or_default();
            for Change { name, expected, actual } in changes {
                let name = if name.is_empty() { String::new() } else { format!("{name}  ") };
                let _ = writeln!(text, "    expected  {name}{expected}");
                let _ = writeln!(text, "    actual    {name}{actual}");
            }
        }
        let more = self.all().saturating_sub(self.differences.len() as u64);
        if more > 0 {
            let _ = writeln!(text, "... and {more} more");
        }
        text
    }

    /// How many answers there were, of each kind.
    pub(super) fn sum(&self) -> String {
        let Verdict { same, connections, bytes, .. } = self;
        let mut parts = Vec::new();
        if *same > 0 || *connections == 0 {
            parts.push(format!("{same} as recorded"));
        }
        if *connections > 0 {
            let s = if *connections == 1 { "" } else { "s" };
            parts.push(format!("{connections} connection{s} as recorded, {bytes} bytes"));
        }
        for (n, what) in [
            (self.different, "different"),
            (self.faulty, "different in TCP"),
            (self.missing, "missing"),
            (self.extra, "not recorded"),
            (self.unknown, "not compared, of which the capture kept only the beginning"),
        ] {
            if n > 0 {
                parts.push(format!("{n} {what}"));
            }
        }
        format!("answers: {}", parts.join(", "))
    }
}
