//! What a device's console has said: its last lines, and all of it in a file if wanted.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use super::terminal;
use crate::escape;
use crate::record::{Body, Record};

/// How many lines are remembered.
const LAST: usize = 5;

/// The lines of a console. The file is made with the first of them.
#[derive(Debug, Default)]
pub struct ConsoleLog {
    last: VecDeque<String>,
    path: Option<PathBuf>,
    file: Option<File>,
}

impl ConsoleLog {
    /// No line yet; `path` is where they are kept.
    pub fn new(path: Option<PathBuf>) -> ConsoleLog {
        ConsoleLog { path, ..ConsoleLog::default() }
    }

    /// Takes a record; what is no console line is none of its business.
    pub fn take(&mut self, record: &Record) {
        let Body::Console(line) = &record.body else { return };
        let line = escape::terminal(line).to_string();
        let time = record.time.map(|span| span.last).unwrap_or_default();
        if let Err(error) = self.write(&format!("{} {line}\n", time.rfc3339())) {
            let path = self.path.take().unwrap_or_default(); // and no more of it
            terminal::tell(&format!("warning: cannot write {}: {error}", path.display()));
        }
        if self.last.len() >= LAST {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    /// The last lines, for people, the oldest first.
    pub fn last_lines(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.last.iter().map(String::as_str)
    }

    fn write(&mut self, text: &str) -> std::io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        if self.file.is_none() {
            self.file = Some(File::create(path)?);
        }
        self.file.as_mut().map_or(Ok(()), |file| file.write_all(text.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Direction, Origin};

    fn line(text: &'static [u8]) -> Record {
        let origin = Origin::new(Direction::FromDevice);
        Record { time: None, origin, offset: None, body: Body::Console(text.into()) }
    }

    #[test]
    fn the_last_five_lines_are_remembered_and_all_are_in_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("console.log");
        let mut log = ConsoleLog::new(Some(path.clone()));
        assert!(!path.exists() && log.last_lines().next().is_none());
        for text in [&b"one"[..], b"two", b"three", b"four", b"five", b"\x1b[31msix"] {
            log.take(&line(text));
        }
        let last: Vec<_> = log.last_lines().collect();
        assert_eq!(last, ["two", "three", "four", "five", "\\x1b[31msix"]);
        let text = std::fs::read_to_string(&path).expect("it is there");
        assert_eq!(text.lines().count(), 6);
        assert!(text.starts_with("1970-01-01T00:00:00") && text.contains("Z one\n"), "{text}");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_given_up_and_lines_are_remembered() {
        let mut log = ConsoleLog::new(Some("/nonexistent/console.log".into()));
        log.take(&line(b"one"));
        log.take(&line(b"two"));
        assert_eq!(log.last_lines().next_back(), Some("two"));
        assert_eq!(log.path, None);
    }
}
