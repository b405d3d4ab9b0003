//! What is wrong in a text that a person wrote, and where: for the languages of filters and frames.
//!
//! One sentence, the text with a caret under the place, and where it can be guessed what was meant.
//! The text came from a person, perhaps by way of a file, so that it is made safe for the screen; of a
//! long one only the surroundings of the place are shown.

use std::fmt;

use crate::escape;

/// A text that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where in the text, in bytes.
    pub position: usize,
    /// What is wrong, in one sentence without its full stop.
    pub message: String,
    text: String,
}

/// How much of a long text is shown on each side of the place, in bytes.
const SURROUNDINGS: usize = 48;

impl Mistake {
    /// Something wrong at byte `position`; the text is added by [`Mistake::within`].
    pub fn new(position: usize, message: impl Into<String>) -> Self {
        Mistake { position, message: message.into(), text: String::new() }
    }

    /// The mistake, with the text that it is in.
    #[must_use]
    pub fn within(mut self, text: &str) -> Self {
        self.position = floor(text, self.position);
        text.clone_into(&mut self.text);
        self
    }
}

/// The last boundary of a character at or in front of `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if self.text.trim().is_empty() {
            return Ok(());
        }
        let start = floor(&self.text, self.position.saturating_sub(SURROUNDINGS));
        let end = floor(&self.text, self.position.saturating_add(SURROUNDINGS));
        let shown =
            |part: Option<&str>| escape::terminal(part.unwrap_or_default().as_bytes()).to_string();
        let before = shown(self.text.get(start..self.position));
        let after = shown(self.text.get(self.position..end));
        let (head, tail) =
            (if start > 0 { "..." } else { "" }, if end < self.text.len() { "..." } else { "" });
        let column = head.len() + before.chars().count();
        write!(f, "\n  {head}{before}{after}{tail}\n  {:column$}^", "")
    }
}

impl std::error::Error for Mistake {}

/// The candidate that `word` was probably meant to be: few letters differ, or two changed places.
pub fn near<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > 40 {
        return None; // nobody's typing error
    }
    let allowed = match word.chars().count() {
        0..=2 => return None,
        3..=5 => 1,
        _ => 2,
    };
    let scored = candidates.into_iter().filter(|candidate| *candidate != word).map(|candidate| {
        let same_start = candidate.as_bytes().first() == word.as_bytes().first();
        (distance(word, candidate), !same_start, candidate)
    });
    let best = scored.min_by_key(|(distance, other_start, _)| (*distance, *other_start));
    best.filter(|(distance, ..)| *distance <= allowed).map(|(.., candidate)| candidate)
}

/// How many letters have to be changed, added, taken away or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let same = a[i - 1] == b[j - 1];
            let change = above[j - 1] + usize::from(!same);
            let mut least = change.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_swaps_as_one() {
        assert_eq!(distance("port", "port"), 0);
        assert_eq!(distance("ports", "port"), 1);
        assert_eq!(distance("prot", "port"), 1);
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn only_near_words_are_suggested() {
        assert_eq!(near("hots", ["host", "port"]), Some("host"));
        assert_eq!(near("zebra", ["host", "port"]), None);
        assert_eq!(near("ab", ["ah"]), None);
    }

    #[test]
    fn the_caret_stands_under_the_place_in_a_long_and_hostile_text() {
        let text = format!("{}\x1b[2Jhere{}", "ü".repeat(100), "x".repeat(100));
        let at = text.find("here").expect("it is there");
        let shown = Mistake::new(at, "no").within(&text).to_string();
        let mut lines = shown.lines().skip(1);
        let (line, caret) = (lines.next().expect("text"), lines.next().expect("caret"));
        let column = caret.chars().count() - 1;
        assert!(line.chars().skip(column).collect::<String>().starts_with("here"), "{shown}");
        assert!(!shown.contains('\x1b') && line.starts_with("  ...") && line.ends_with("..."));
    }
}
