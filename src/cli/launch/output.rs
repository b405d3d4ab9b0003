//! What a program says: its last 64 KiB, and all of it in a file if wanted.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{PipeReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::cli::terminal;
use crate::error::{Error, Result};
use crate::escape;

/// How much is kept, in bytes.
const KEPT: usize = 64 * 1024;
/// How many lines tell why a program ended, and how long they are at most, in characters.
const LINES: usize = 3;
const WIDTH: usize = 200;
/// How long the last output may take when the program is gone; a process that could not be ended may
/// hold it open for good.
const LATE: Duration = Duration::from_millis(300);

/// Takes what a program says. It never makes the program wait, whatever else we do.
#[derive(Debug, Default)]
pub struct Output {
    kept: Arc<Mutex<VecDeque<u8>>>,
    log: Option<(PathBuf, File)>,
    end: Option<oneshot::Receiver<()>>,
}

impl Output {
    /// Creates the log, if one is wanted: an error of the environment when that cannot be.
    pub fn new(log: Option<&Path>) -> Result<Output> {
        let open = |path: &Path| {
            let file = OpenOptions::new().create(true).write(true).truncate(true).open(path);
            file.map(|file| (path.to_owned(), file)).map_err(|error| {
                let text = format!("cannot write the program's output to {}", path.display());
                Error::environment(text).caused_by(error)
            })
        };
        Ok(Output { log: log.map(open).transpose()?, ..Output::default() })
    }

    /// Takes all of `source`, on a thread of its own.
    pub fn collect(&mut self, mut source: PipeReader) {
        let (sender, end) = oneshot::channel();
        let kept = self.kept.clone();
        let mut log =
            self.log.as_ref().and_then(|(path, file)| Some((path.clone(), file.try_clone().ok()?)));
        self.end = Some(end);
        std::thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            while let Ok(n @ 1..) = source.read(&mut buffer) {
                keep(&mut kept.lock().unwrap_or_else(|e| e.into_inner()), &buffer[..n]);
                if let Some((path, file)) = &mut log
                    && let Err(error) = file.write_all(&buffer[..n])
                {
                    let path = path.display();
                    terminal::tell(&format!("warning: {path} is not complete: {error}"));
                    log = None;
                }
            }
            let _ = sender.send(()); // perhaps nobody asks
        });
    }

    /// Waits for the last of it, when the program has ended.
    pub async fn finish(&mut self) {
        if let Some(end) = &mut self.end
            && tokio::time::timeout(LATE, end).await.is_ok()
        {
            self.end = None;
        }
    }

    /// What is kept.
    pub fn text(&self) -> String {
        let kept = self.kept.lock().unwrap_or_else(|e| e.into_inner());
        let (front, back) = kept.as_slices();
        String::from_utf8_lossy(&[front, back].concat()).into_owned()
    }

    /// The last lines that say something, escaped, in one line; `None` if there are none.
    pub fn last_words(&self) -> Option<String> {
        last_words(&self.text())
    }
}

fn keep(kept: &mut VecDeque<u8>, bytes: &[u8]) {
    kept.extend(bytes);
    let excess = kept.len().saturating_sub(KEPT);
    kept.drain(..excess);
}

fn last_words(text: &str) -> Option<String> {
    let lines = text.lines().rev().map(str::trim).filter(|line| !line.is_empty());
    let mut last: Vec<_> = lines.take(LINES).map(shown).collect();
    last.reverse();
    (!last.is_empty()).then(|| last.join(" | "))
}

/// A line made safe to show, and not too long.
pub fn shown(line: &str) -> String {
    let short: String = line.chars().take(WIDTH).collect();
    let dots = if short.len() < line.len() { "..." } else { "" };
    format!("{}{dots}", escape::terminal(short.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_that_say_something_are_shown_on_one_line() {
        assert_eq!(last_words("a\nb\n\nc\r\nd\n \n").as_deref(), Some("b | c | d"));
        assert_eq!(last_words("\x1b[31mred").as_deref(), Some("\\x1b[31mred"));
        assert_eq!(last_words(&"x".repeat(300)).map(|line| line.len()), Some(203));
        assert_eq!(last_words("\n \n"), None);
    }

    #[test]
    fn only_the_last_64_kib_are_kept() {
        let mut kept = VecDeque::new();
        for n in 0..10_000 {
            keep(&mut kept, format!("{n:09}\n").as_bytes());
        }
        assert_eq!(kept.len(), KEPT);
        assert!(kept.make_contiguous().ends_with(b"000009999\n"));
    }

    #[tokio::test]
    async fn all_of_it_goes_into_the_log() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let mut output = Output::new(Some(&path)).expect("it can be written");
        for part in ["one\n", "two\n"] {
            let (reader, mut writer) = std::io::pipe().expect("a pipe");
            output.collect(reader);
            writer.write_all(part.as_bytes()).expect("it is read");
            drop(writer);
            output.finish().await;
        }
        assert_eq!(std::fs::read_to_string(&path).expect("it is there"), "one\ntwo\n");
        assert_eq!(output.text(), "one\ntwo\n");
        let error = Output::new(Some(&folder.path().join("no/log"))).expect_err("no such folder");
        assert!(error.chain().ends_with("/no/log: no such file or directory"));
    }
}
