//! What is sent and what comes back, a line each, as sniff says it.

use std::time::Duration;

use crate::cli::conversation::{Out, life_text, milliseconds};
use crate::cli::terminal;
use crate::dissect::Dissector;
use crate::dissect::render::{line, tree};
use crate::framing::Framing;
use crate::probe::inject::Disguise;
use crate::probe::inject::raw::{Event, Sum};
use crate::probe::inject::sentinel::Life;
use crate::proto::dump::{Layout, dump};
use crate::proto::line::Line;
use crate::record::Body;

/// How frames are shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looks {
    /// The bytes, too; twice: and the characters.
    pub hex: u8,
    /// Every layer and field.
    pub is_tree: bool,
    /// Not at all.
    pub is_quiet: bool,
}

pub(super) struct Reporter<'a> {
    out: &'a mut Out,
    looks: Looks,
    disguise: &'a Disguise,
    framing: &'static Framing,
    dissector: Dissector,
    /// The last variant of a run by chance.
    last: Option<String>,
}

impl<'a> Reporter<'a> {
    pub fn new(
        out: &'a mut Out,
        looks: Looks,
        disguise: &'a Disguise,
        framing: &'static Framing,
    ) -> Self {
        Reporter { out, looks, disguise, framing, dissector: Dissector::default(), last: None }
    }

    pub fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Sent(_, frame, remark) => {
                self.last = remark.map(str::to_owned);
                self.sent(frame, *remark);
            }
            Event::Came(record, after, is_answer) if !self.looks.is_quiet => match &record.body {
                Body::Frame(frame) => {
                    let remark = match is_answer {
                        true => format!("({})", milliseconds(*after)),
                        false => "(also heard)".to_owned(),
                    };
                    self.frame("<- ", frame, Some(&remark));
                }
                Body::FramingError(error) => {
                    self.out.say(&format!("!! framing: {}", error.describe(record.offset)));
                }
                _ => {}
            },
            Event::Came(..) => {}
        }
    }

    /// A frame that goes out, or would.
    pub fn sent(&mut self, frame: &[u8], remark: Option<&str>) {
        if self.looks.is_quiet {
            return;
        }
        let wire = &self.disguise.wire;
        let header = wire.header(self.framing, frame).unwrap_or_default();
        let digits: Vec<String> = header.iter().map(|byte| format!("{byte:02x}")).collect();
        let digits = digits.join(" ");
        if wire.is_unframed {
            let bytes = terminal::count(frame.len() as u64, "byte");
            return self.bytes(&format!("-> {bytes} without a header"), frame);
        }
        if frame.is_empty() {
            return self.out.say(&format!("-> the line's header {digits} and no frame"));
        }
        let remark = remark.map(|remark| format!("({remark})"));
        self.frame("-> ", frame, remark.as_deref());
        if !digits.is_empty() {
            self.out.say(&format!("   the line's header is {digits}"));
        }
    }

    /// Bytes that are no frame.
    fn bytes(&mut self, what: &str, bytes: &[u8]) {
        let mut text = Line::new(false);
        text.text(what);
        self.dump(bytes, &mut text);
        self.out.say(String::from_utf8_lossy(text.as_bytes()).trim_end_matches('\n'));
    }

    fn dump(&self, bytes: &[u8], text: &mut Line) {
        if self.looks.hex == 0 {
            return;
        }
        if !text.as_bytes().ends_with(b"\n") {
            text.text("\n");
        }
        let layout = if self.looks.hex > 1 { Layout::HexAndCharacters } else { Layout::Hex };
        dump(bytes, layout, text);
    }

    fn frame(&mut self, arrow: &str, frame: &[u8], remark: Option<&str>) {
        let mut text = Line::new(false);
        text.text(arrow);
        let stack = self.dissector.dissect(frame);
        line::summary(&stack, &mut text);
        if let Some(remark) = remark {
            text.text("  ").text(remark);
        }
        if self.looks.is_tree {
            text.text("\n");
            tree::tree(&stack, &mut text);
        }
        self.dump(frame, &mut text);
        self.out.say(String::from_utf8_lossy(text.as_bytes()).trim_end_matches('\n'));
    }

    /// How many frames a dry run has made, where nothing else says so.
    pub fn would_send(&mut self, count: u64) {
        if self.looks.is_quiet {
            let made = terminal::count(count, "frame");
            self.out.say(&format!("{made} made, and none sent"));
        }
    }

    /// What became of it all.
    pub fn sum(&mut self, sum: &Sum, timeout: Duration, seed: Option<u64>) {
        let sent = terminal::count(sum.sent, "frame");
        let mut parts = vec![format!("{sent} sent")];
        parts.push(match sum.came {
            0 if sum.life.is_some() => "nothing came back".to_owned(),
            0 => format!("nothing came back within {timeout:?}"),
            came => format!("{came} came back"),
        });
        if sum.also_heard > 0 {
            parts.push(format!("{} also heard", sum.also_heard));
        }
        if sum.errors > 0 {
            parts.push(terminal::count(sum.errors, "framing error"));
        }
        let mut text = parts.join(", ");
        if sum.left_out > 0 {
            let frames = terminal::count(sum.left_out, "frame");
            text +=
                &format!("; {frames} left out, for a line of IP packets carries no such frames");
        }
        self.out.say(&text);
        let Some(life) = sum.life else { return };
        self.out.say(&life_text(life));
        if let (Life::Silent, Some(seed), Some(last)) = (life, seed, &self.last) {
            let number = last.split(':').next().unwrap_or_default().replace("variant ", "");
            self.out.say(&format!("the last was {last}"));
            self.out
                .say(&format!("again: the same frames with '--seed {seed} --variant {number}'"));
        }
    }
}
