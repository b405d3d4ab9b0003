//! What was found: how many of each, and the differences as they are told.

use std::fmt::Write;

use bytes::Bytes;

use super::fields::{self, Change};
use super::hidden;
use super::ignore::Ignored;
use super::pairs::{Half, Whose};
use super::stream::{Comparison, Fault};
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
    /// Connections and other answers that were compared as far as they were recorded, and the bytes that were not.
    connections_in_part: u64,
    in_part: u64,
    lost: u64,
    /// Recorded answers of which too little is there, or nothing; and those of them that today's may belong to.
    unknown: u64,
    unclaimed: u64,
    /// What came, or was recorded, of the other side's own accord.
    own: u64,
    /// Connections that came to their end because there were too many.
    given_up: u64,
    /// What is worth knowing, and no difference.
    remarks: Vec<(Option<u64>, String)>,
}

impl Verdict {
    /// Compares an answer with the recorded one, which is frame `number`, or the beginning of it.
    pub(super) fn compare(
        &mut self,
        dissector: &mut Dissector,
        ignored: &Ignored,
        conversation: &Conversation,
        (number, is_part): (u64, bool),
        [expected, actual]: [&Bytes; 2],
    ) {
        let actual = &hidden::covered(dissector, ignored, expected, actual);
        let mut changes = Vec::new();
        if expected != actual {
            changes = fields::differences(dissector, ignored, expected, actual, is_part);
        }
        if !changes.is_empty() {
            self.different += 1;
            return self.tell(Some(number), format!("the answer differs, {conversation}"), changes);
        }
        if is_part {
            self.in_part += 1;
            let missing = fields::length_on_line(expected).saturating_sub(expected.len());
            let what =
                format!("{conversation} was compared in part: {missing} bytes were not recorded");
            self.remark(Some(number), what);
        } else {
            self.same += 1;
        }
    }

    /// So many recorded answers are not there, or not enough of them.
    pub(super) fn lack(&mut self, n: u64) {
        self.unknown += n;
        self.unclaimed += n;
    }

    /// What comes of its own accord is not compared.
    pub(super) fn own(&mut self) {
        self.own += 1;
    }

    /// So many connections come to their end before it.
    pub(super) fn give_up(&mut self, connections: u64) {
        self.given_up += connections;
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
        if self.unclaimed > 0 {
            self.unclaimed -= 1; // the recording has lost such a one
            return;
        }
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

    /// A connection has come to its end.
    pub(super) fn close(&mut self, conversation: &Conversation, comparison: &mut Comparison) {
        let number = comparison.begin();
        if let Some(remark) = comparison.remark() {
            self.remark(number, format!("{conversation} {remark}"));
        }
        self.bytes += comparison.equal();
        let (missing, unread) = comparison.lacks();
        let is_same = !comparison.is_different();
        if missing == 0 {
            self.connections += u64::from(is_same);
            return;
        }
        self.lost += missing;
        if !comparison.has_compared() {
            self.unknown += u64::from(is_same);
            let what =
                format!("{conversation} was not compared: {missing} bytes were not recorded");
            return self.remark(number, what);
        }
        self.connections_in_part += u64::from(is_same);
        let unread = match unread {
            0 => String::new(),
            n => format!(", and {n} behind them not compared"),
        };
        self.remark(
            number,
            format!(
                "{conversation} was compared in part: {missing} bytes were not recorded{unread}"
            ),
        );
    }

    fn remark(&mut self, number: Option<u64>, what: String) {
        if self.remarks.len() < TOLD {
            self.remarks.push((number, what));
        }
    }

    fn tell(&mut self, number: Option<u64>, what: String, changes: Vec<Change>) {
        if self.differences.len() < TOLD {
            self.differences.push(Difference { number, what, changes });
        }
    }

    /// In the order of the capture; what it does not have comes last.
    pub(super) fn sort(&mut self) {
        self.differences.sort_by_key(|difference| difference.number.unwrap_or(u64::MAX));
        self.remarks.sort_by_key(|(number, _)| number.unwrap_or(u64::MAX));
    }

    /// How many differences there are.
    fn all(&self) -> u64 {
        self.different + self.missing + self.extra + self.faulty
    }

    /// Whether there is none.
    pub(super) fn is_content(&self) -> bool {
        self.all() == 0
    }

    /// Whether anything recorded was compared, or missed.
    pub(super) fn has_compared(&self) -> bool {
        let compared = self.same + self.connections + self.in_part + self.connections_in_part;
        compared + self.different + self.faulty + self.missing > 0
    }

    /// What was not compared, and what else is worth knowing.
    pub(super) fn remarks(&self) -> String {
        let mut text = String::new();
        for (number, what) in &self.remarks {
            let frame = number.map(|number| format!("frame {number}: ")).unwrap_or_default();
            let _ = writeln!(text, "{frame}{what}");
        }
        text
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
        if self.connections_in_part > 0 {
            let n = self.connections_in_part;
            let s = if n == 1 { "" } else { "s" };
            let lost = self.lost;
            parts.push(format!(
                "{n} connection{s} compared in part ({lost} bytes were not recorded)"
            ));
        }
        for (n, what) in [
            (self.in_part, "compared in part"),
            (self.unknown, "not compared (cut or missing in the capture)"),
            (self.own, "not compared (of its own accord)"),
            (self.different, "different"),
            (self.faulty, "different in TCP"),
            (self.missing, "missing"),
            (self.extra, "not recorded"),
            (self.given_up, "judged before their end (too many connections at a time)"),
        ] {
            if n > 0 {
                parts.push(format!("{n} {what}"));
            }
        }
        format!("answers: {}", parts.join(", "))
    }
}
