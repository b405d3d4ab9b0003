//! Whether a text has dumps in it at all.
//!
//! People hand in whatever a program has shown them: lines about frames without the frames, trees of
//! fields, prose. All of those have words and numbers that could be digits, so that a dump has to show more
//! than a line that can be read as one.

use jiff::tz::TimeZone;

use super::heading::{self, About};
use super::line::{self, Line};
use crate::capture::read::plausible::{ip_length, is_arp, is_ethernet};

/// Whether a text, or the beginning of one, has a dump in it. Few bytes are one only below a heading, and
/// digits without an offset only when they make a frame: prose and tables have numbers and words, too.
pub(in crate::capture::read) fn is_dump(text: &[u8]) -> bool {
    let mut row = Vec::new();
    let mut zone = Some(TimeZone::UTC);
    let mut is_below = false;
    let mut derived = None;
    text.split(|byte| *byte == b'\n').any(|line| match line::parse(line, &mut row) {
        Line::Row(offset) => {
            if let Some((length, seen)) =
                derived.as_mut().filter(|(_, n)| *n == 0 || offset.hex > 0)
            {
                *seen += row.len() as u64;
                return *seen > *length; // it is more than that, so a frame
            }
            derived = None;
            let is_first = std::mem::take(&mut is_below) && offset.hex == 0;
            is_first || (row.len() >= line::MIN_ROW && line::begins(offset, &row))
        }
        Line::Bare { is_solid: true } if row.len() == line::PLAIN_ROW => true,
        Line::Bare { .. } => {
            row.len() >= line::MIN_BARE
                && (is_ethernet(&row) || is_arp(&row) || ip_length(&row).is_some())
        }
        Line::Text => {
            let heading = heading::parse(line, &mut zone);
            derived = match heading.map(|heading| heading.about) {
                Some(About::Derived { length }) => Some((length, 0)),
                _ => None,
            };
            is_below = heading.is_some();
            false
        }
        Line::End(_) | Line::Repeat | Line::Blank => false,
    })
}

/// The first bytes of the first dump in a text that has no heading.
pub(in crate::capture::read) fn first_row(text: &[u8]) -> Vec<u8> {
    let mut row = Vec::new();
    let mut zone = Some(TimeZone::UTC);
    for line in text.split(|byte| *byte == b'\n') {
        match line::parse(line, &mut row) {
            Line::Row(offset) if offset.hex == 0 => return row,
            Line::Bare { .. } if row.len() >= line::MIN_BARE => return row,
            Line::Text if heading::parse(line, &mut zone).is_some() => break,
            _ => {}
        }
    }
    Vec::new()
}
