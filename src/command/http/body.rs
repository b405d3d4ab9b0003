//! Where the body of a response goes: nowhere, to a file, to stdout, or onto a screen.
//!
//! Writing waits for whoever reads, and so does the device then, by its window; the line itself goes on.
//! On a screen only text is shown, line by line, and nothing in it can act on the terminal.

use std::io::{ErrorKind, IsTerminal};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::cli::terminal;
use crate::error::{Error, Result};
use crate::escape;

/// Bytes of a line that has no end yet.
const LINE: usize = 64 * 1024;

/// Whether anybody takes the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It was taken.
    Taken,
    /// Nobody reads any more.
    Abandoned,
}

/// Takes bodies.
pub(super) struct Body {
    out: Option<Box<dyn AsyncWrite + Unpin>>,
    /// The file that is made when a response begins.
    file: Option<PathBuf>,
    name: String,
    /// The head is written, too.
    has_head: bool,
    screen: Option<Screen>,
    pub(super) is_abandoned: bool,
}

/// Text on its way to a screen.
#[derive(Debug, Default)]
struct Screen {
    /// The line that has no end yet.
    rest: Vec<u8>,
    /// It was no text.
    is_binary: bool,
}

impl Body {
    fn new(out: Option<Box<dyn AsyncWrite + Unpin>>, name: String) -> Body {
        Body { out, file: None, name, has_head: false, screen: None, is_abandoned: false }
    }

    /// Forgets bodies.
    pub(super) fn discard() -> Body {
        Body::new(None, String::new())
    }

    /// Writes to stdout; `is_careful` if a screen is to be shown text only.
    pub(super) fn stdout(is_careful: bool) -> Body {
        let mut body = Body::new(Some(Box::new(tokio::io::stdout())), "stdout".to_owned());
        let is_screen = is_careful && std::io::stdout().is_terminal();
        body.screen = is_screen.then(Screen::default);
        body
    }

    /// Writes to a file, which is left alone until a response begins.
    pub(super) fn file(path: &Path) -> Result<Body> {
        check(path).map_err(|error| {
            Error::usage(format!("cannot write '{}'", path.display())).caused_by(error)
        })?;
        let body = Body::new(None, path.display().to_string());
        Ok(Body { file: Some(path.to_owned()), ..body })
    }

    /// The same, with the head of each response in front of its body.
    pub(super) fn with_head(mut self) -> Body {
        self.has_head = true;
        self
    }

    /// A response begins; `head` is how.
    pub(super) async fn begin(&mut self, head: &[u8]) -> Result<()> {
        if let Some(path) = self.file.take() {
            let file = tokio::fs::File::create(&path).await.map_err(|error| {
                Error::environment(format!("cannot write '{}'", path.display())).caused_by(error)
            })?;
            self.out = Some(Box::new(file));
        }
        match self.has_head {
            true => self.write(head).await.map(|_| ()),
            false => Ok(()),
        }
    }

    /// A piece of the body.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<Fate> {
        match &mut self.screen {
            None => self.put(bytes).await,
            Some(screen) => {
                let text = screen.lines(bytes);
                self.put(text.as_bytes()).await
            }
        }
    }

    /// A response is whole.
    pub(super) async fn finish(&mut self) -> Result<()> {
        if let Some(screen) = &mut self.screen {
            let mut text = screen.rest();
            if !text.is_empty() {
                text.push('\n'); // what is said next begins on a line of its own
            }
            self.put(text.as_bytes()).await?;
        }
        if self.screen.as_ref().is_some_and(|screen| screen.is_binary) {
            terminal::tell("the body is no text and is not shown; '-o FILE' keeps it");
        }
        let Some(out) = self.out.as_mut().filter(|_| !self.is_abandoned) else { return Ok(()) };
        let flushed = out.flush().await;
        self.judge(flushed).map(|_| ())
    }

    async fn put(&mut self, bytes: &[u8]) -> Result<Fate> {
        if self.is_abandoned {
            return Ok(Fate::Abandoned);
        }
        let Some(out) = &mut self.out else { return Ok(Fate::Taken) };
        let written = out.write_all(bytes).await;
        self.judge(written)
    }

    fn judge(&mut self, written: std::io::Result<()>) -> Result<Fate> {
        match written {
            Ok(()) => Ok(Fate::Taken),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.is_abandoned = true;
                Ok(Fate::Abandoned)
            }
            Err(error) => {
                let text = format!("cannot write the body to {}", self.name);
                Err(Error::environment(text).caused_by(error))
            }
        }
    }
}

/// Whether a file can be written, without touching it.
fn check(path: &Path) -> std::io::Result<()> {
    if path.exists() {
        return match path.is_dir() {
            true => Err(ErrorKind::IsADirectory.into()),
            false => Ok(access(path, Access::WRITE_OK)?),
        };
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    Ok(access(folder.unwrap_or(Path::new(".")), Access::WRITE_OK | Access::EXEC_OK)?)
}

impl Screen {
    /// The lines that are whole with these bytes, as they can be shown.
    fn lines(&mut self, bytes: &[u8]) -> String {
        self.rest.extend_from_slice(bytes);
        let end = self.rest.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1);
        let end = end.or((self.rest.len() > LINE).then_some(self.rest.len()));
        let whole: Vec<u8> = self.rest.drain(..end.unwrap_or(0)).collect();
        self.shown(&whole)
    }

    /// What has no end.
    fn rest(&mut self) -> String {
        let rest = std::mem::take(&mut self.rest);
        self.shown(&rest)
    }

    fn shown(&mut self, bytes: &[u8]) -> String {
        self.is_binary |= bytes.contains(&0);
        if self.is_binary {
            return String::new();
        }
        let mut text = String::new();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (line, end) = match line.strip_suffix(b"\n") {
                Some(line) => (line.strip_suffix(b"\r").unwrap_or(line), "\n"),
                None => (line, ""),
            };
            for (n, part) in line.split(|byte| *byte == b'\t').enumerate() {
                text.push_str(if n > 0 { "\t" } else { "" });
                let safe = escape::terminal(part).to_string();
                text.push_str(&safe.replace("\\\\", "\\"));
            }
            text.push_str(end);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pieces: &[&[u8]]) -> (String, bool) {
        let mut screen = Screen::default();
        let mut text: String = pieces.iter().map(|piece| screen.lines(piece)).collect();
        text += &screen.rest();
        (text, screen.is_binary)
    }

    #[test]
    fn text_is_shown_as_it_is_and_cannot_act_on_the_terminal() {
        let pieces: [&[u8]; 4] = [b"a\tb\r\n\xc3", b"\xbc\\ \x1b[2J", b"\n", b"end"];
        assert_eq!(shown(&pieces), ("a\tb\nü\\ \\x1b[2J\nend".to_owned(), false));
    }

    #[test]
    fn what_is_no_text_is_not_shown() {
        let (text, is_binary) = shown(&[b"text\n", b"\x00\x01\n", b"more"]);
        assert_eq!((text.as_str(), is_binary), ("text\n", true));
    }

    #[test]
    fn a_line_without_an_end_is_not_kept_for_good() {
        let mut screen = Screen::default();
        assert_eq!(screen.lines(&vec![b'x'; LINE + 1]).len(), LINE + 1);
        assert!(screen.rest.is_empty());
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let error = Body::file(Path::new("/nowhere/at/all")).map(|_| ()).expect_err("no folder");
        assert!(error.chain().starts_with("cannot write '/nowhere/at/all': no such file"));
        assert!(Body::file(Path::new("/")).is_err(), "a folder");
    }

    #[tokio::test]
    async fn a_file_is_left_alone_until_a_response_begins() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out");
        let mut body = Body::file(&path).expect("there is room");
        assert!(!path.exists());
        std::fs::write(&path, "old").expect("there is room");
        drop(Body::file(&path).expect("it is ours"));
        assert_eq!(std::fs::read(&path).expect("it is there"), b"old");
        body.begin(b"").await.expect("it is ours");
        body.write(b"new").await.expect("it is ours");
        body.finish().await.expect("it is ours");
        assert_eq!(std::fs::read(&path).expect("it is there"), b"new");
    }
}
