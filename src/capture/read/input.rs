//! The bytes of a file, in order, in large pieces that frames can share.
//!
//! The [`Input`] reads [`CHUNK`] bytes at a time and shows what it has as its window; a format takes
//! frames off the front, and each is a reference to the chunk. When a frame reaches beyond the
//! chunk, what is there of it is copied to the front of the next one. A chunk whose frames are all
//! gone is used again, so that memory stays flat and warm.
//!
//! Nothing seeks: a pipe does as well as a file. A file that grows is asked again every [`POLL`], and a pipe
//! is waited for as long; in between the word to stop is heard. A reader that would rather decide with
//! what there is says how long it has patience, and is told [`Have::NotYet`]. When another file has taken the
//! place of a followed one (`watch.rs`), the input ends, and [`Input::begin_anew`] goes on with the new one.

mod source;

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, Timespec};

use self::source::{Source, open};
use super::watch::{Look, Watch};
use crate::error::{Category, Error, Result};
use crate::stop::Stop;

/// So much is read at a time, in bytes.
const CHUNK: usize = 1024 * 1024;
/// How often a file that may grow is looked at, and the word to stop listened for.
const POLL: Duration = Duration::from_millis(50);
/// How long a reader waits before it decides with what there is.
pub(super) const PATIENCE: Duration = Duration::from_millis(200);

/// Whether there are as many bytes as were wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Have {
    /// They are in the window.
    Enough,
    /// The input ends before.
    End,
    /// Patience ended before.
    NotYet,
}

/// The bytes that come next.
pub(super) struct Input {
    name: String,
    source: Source,
    /// The end of the file is not the end.
    follow: bool,
    stop: Option<Stop>,
    /// The chunk that `window` is a part of; kept so that its memory can be used again.
    chunk: Bytes,
    window: Bytes,
    /// Where the window begins in the file.
    offset: u64,
    is_over: bool,
    /// What happens to the file that is followed.
    watch: Watch,
    /// What takes the place of this file.
    next: Option<Next>,
    /// Who is told what happens to the file, as it happens.
    pub(super) tell: Option<fn(&str)>,
    /// How long a reader waits for more; `None` is as long as it takes.
    pub(super) patience: Option<Duration>,
}

/// What comes when a followed file is no longer what it was.
enum Next {
    /// The same file, from its beginning.
    Same,
    /// Another file of that name.
    Other(File),
}

impl Input {
    /// Opens a file; `-` is stdin. An error is of [`Category::InputFile`].
    pub(super) fn open(path: &Path, follow: bool, stop: Option<Stop>) -> Result<Input> {
        let name = match path.as_os_str() == "-" {
            true => "stdin".to_owned(),
            false => path.display().to_string(),
        };
        let opened = match path.as_os_str() == "-" {
            true => rustix::io::dup(rustix::stdio::stdin()).map(File::from).map_err(Into::into),
            false => open(path),
        };
        let cannot = |error: io::Error| {
            Error::new(Category::InputFile, format!("cannot open '{name}'")).caused_by(error)
        };
        let file = opened.map_err(cannot)?;
        let kind = file.metadata().map_err(cannot)?.file_type();
        if kind.is_dir() {
            return Err(Error::new(Category::InputFile, format!("'{name}' is a folder")));
        }
        let source = if kind.is_file() { Source::File(file) } else { Source::Pipe(file) };
        let mut input = Input::new(name, source, follow, stop);
        input.watch = Watch::new(Some(path).filter(|path| path.as_os_str() != "-"));
        Ok(input)
    }

    fn new(name: String, source: Source, follow: bool, stop: Option<Stop>) -> Input {
        Input {
            name,
            source,
            follow,
            stop,
            chunk: Bytes::new(),
            window: Bytes::new(),
            offset: 0,
            is_over: false,
            watch: Watch::new(None),
            next: None,
            tell: None,
            patience: None,
        }
    }

    #[cfg(test)]
    pub(super) fn from_reader(reader: impl io::Read + Send + 'static) -> Input {
        Input::new("test".to_owned(), Source::Other(Box::new(reader)), false, None)
    }

    /// How messages name it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What is there and was not taken yet.
    pub(super) fn window(&self) -> &Bytes {
        &self.window
    }

    /// Where the window begins, in bytes from the start of the file.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether the end of the file may still move.
    pub(super) fn follows(&self) -> bool {
        self.follow
    }

    /// Whether the input has ended by itself: nobody said stop, and nothing takes its place.
    pub(super) fn has_ended(&self) -> bool {
        self.is_over && !self.grows() && !self.is_stopped()
    }

    /// Whether it is time to stop.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(Stop::is_stopped)
    }

    /// Whether something takes the place of this file: see [`Input::begin_anew`].
    pub(super) fn is_succeeded(&self) -> bool {
        self.next.is_some()
    }

    /// Goes on with what takes the place of this file, if anything does; what is in the window is forgotten.
    pub(super) fn begin_anew(&mut self) -> Result<bool> {
        match self.next.take() {
            None => return Ok(false),
            Some(Next::Other(file)) => self.source = Source::File(file),
            Some(Next::Same) => self.source.rewind().map_err(|error| self.cannot_read(error))?,
        }
        (self.chunk, self.window) = (Bytes::new(), Bytes::new());
        self.offset = 0;
        self.is_over = false;
        Ok(true)
    }

    /// Says something about the input, at once.
    pub(super) fn tell(&self, what: &str) {
        if let Some(tell) = self.tell {
            tell(&format!("{} {what}", self.name));
        }
    }

    fn cannot_read(&self, error: io::Error) -> Error {
        Error::new(Category::InputFile, format!("cannot read '{}'", self.name)).caused_by(error)
    }

    /// Whether at least `n` bytes are in the window, after reading what it takes.
    #[inline]
    pub(super) fn want(&mut self, n: usize) -> Result<Have> {
        if self.window.len() >= n {
            return Ok(Have::Enough);
        }
        self.fetch(n)
    }

    fn fetch(&mut self, n: usize) -> Result<Have> {
        while self.window.len() < n {
            if self.is_over {
                return Ok(Have::End);
            }
            if !self.wait()? {
                return Ok(if self.is_over { Have::End } else { Have::NotYet });
            }
            if self.refill(n)? == 0 {
                self.is_over = !self.grows();
                if !self.is_over && !self.pause() {
                    return Ok(if self.is_over { Have::End } else { Have::NotYet });
                }
            }
        }
        Ok(Have::Enough)
    }

    /// Takes the first `n` bytes of the window, or all there are.
    #[inline]
    pub(super) fn take(&mut self, n: usize) -> Bytes {
        let n = n.min(self.window.len());
        self.offset += n as u64;
        self.window.split_to(n)
    }

    /// Forgets the first `n` bytes of the window, or all there are.
    #[inline]
    pub(super) fn skip(&mut self, n: usize) {
        let n = n.min(self.window.len());
        self.offset += n as u64;
        bytes::Buf::advance(&mut self.window, n);
    }

    /// Reads once, into a chunk that has room for a window of `n` bytes; how many bytes came.
    fn refill(&mut self, n: usize) -> Result<usize> {
        let mut chunk = self.empty_chunk(n);
        let before = chunk.len();
        let read = self.source.read(&mut chunk);
        self.chunk = Bytes::from(chunk);
        self.window = self.chunk.clone();
        read.map_err(|error| self.cannot_read(error))?;
        Ok(self.window.len() - before)
    }

    /// A chunk that begins with the window: the same memory when nobody else refers to it.
    fn empty_chunk(&mut self, n: usize) -> Vec<u8> {
        let from = self.chunk.len() - self.window.len(); // the window is its end
        let kept = self.window.len();
        let room = n.max(kept.saturating_add(CHUNK / 2)).max(CHUNK);
        self.window = Bytes::new();
        let old = std::mem::take(&mut self.chunk);
        match old.try_into_mut() {
            Ok(own) => {
                let mut chunk = Vec::from(own);
                chunk.drain(..from.min(chunk.len()));
                chunk.reserve_exact(room.saturating_sub(chunk.len()));
                chunk
            }
            Err(shared) => {
                let mut chunk = Vec::with_capacity(room);
                chunk.extend_from_slice(shared.get(from..).unwrap_or_default());
                chunk
            }
        }
    }

    /// Waits until there is something to read; `false` when patience or the input ended before.
    fn wait(&mut self) -> Result<bool> {
        if self.has_to_stop() {
            return Ok(false);
        }
        let Source::Pipe(pipe) = &self.source else { return Ok(true) };
        let started = Instant::now();
        loop {
            let mut fds = [PollFd::new(pipe, PollFlags::IN)];
            let poll = Timespec::try_from(POLL).unwrap_or_default();
            match rustix::event::poll(&mut fds, Some(&poll)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(true),
                Err(error) => return Err(self.cannot_read(error.into())),
            }
            if self.is_stopped() {
                self.is_over = true;
                return Ok(false);
            }
            if self.patience.is_some_and(|patience| started.elapsed() >= patience) {
                return Ok(false);
            }
        }
    }

    fn has_to_stop(&mut self) -> bool {
        self.is_over |= self.is_stopped();
        self.is_over
    }

    /// Whether there may be more behind the end of the file.
    fn grows(&self) -> bool {
        self.follow && matches!(self.source, Source::File(_))
    }

    /// At the end of a file that may grow: waits until it has; `false` when patience or the input
    /// ended before.
    fn pause(&mut self) -> bool {
        let started = Instant::now();
        loop {
            if self.has_to_stop() {
                return false;
            }
            let so_far = self.read_so_far();
            let Source::File(file) = &self.source else { return true };
            self.next = match self.watch.look(file, so_far) {
                Look::Grown => return true,
                Look::Same => None,
                Look::Deleted => {
                    self.tell("was deleted: waiting for a new one");
                    None
                }
                Look::Rewritten => {
                    self.tell("was written anew: reading it from its beginning");
                    Some(Next::Same)
                }
                Look::Replaced(file) => {
                    self.tell("was replaced: reading the new one");
                    Some(Next::Other(file))
                }
            };
            if self.next.is_some() {
                self.is_over = true;
                return false;
            }
            if self.patience.is_some_and(|patience| started.elapsed() >= patience) {
                return false;
            }
            std::thread::sleep(POLL);
        }
    }

    fn read_so_far(&self) -> u64 {
        self.offset + self.window.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// Reads at most so many bytes at a time.
    struct Pieces(io::Cursor<Vec<u8>>, usize);

    impl Read for Pieces {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(into.len());
            self.0.read(&mut into[..n])
        }
    }

    #[test]
    fn every_byte_is_taken_once_whatever_the_pieces() {
        let all: Vec<u8> = (0..3_000_000u32).map(|n| ((n * 7) >> 3) as u8).collect();
        for piece in [1000, 4096, 1 << 20, 5 << 20] {
            let mut input = Input::from_reader(Pieces(io::Cursor::new(all.clone()), piece));
            let mut taken = Vec::new();
            let mut kept = Vec::new();
            while input.want(1499).expect("it can be read") == Have::Enough {
                assert_eq!(input.offset(), taken.len() as u64);
                let frame = input.take(1499);
                taken.extend_from_slice(&frame);
                if taken.len() % 7 == 0 {
                    kept.push((taken.len(), frame)); // holds its chunk
                }
            }
            taken.extend_from_slice(&input.take(usize::MAX));
            assert!(taken == all, "in pieces of {piece}");
            assert!(kept.iter().all(|(end, frame)| frame == &all[end - 1499..*end]));
        }
    }

    #[test]
    fn memory_is_used_again() {
        let mut input = Input::from_reader(io::Cursor::new(vec![7; 10 << 20]));
        let mut places = std::collections::BTreeSet::new();
        while input.want(60_000).expect("it can be read") == Have::Enough {
            places.insert(input.chunk.as_ptr());
            drop(input.take(60_000));
        }
        assert_eq!(places.len(), 1);
    }

    #[test]
    fn what_cannot_be_opened_says_so() {
        let error = |path: &str| match Input::open(Path::new(path), false, None) {
            Ok(_) => panic!("{path} was opened"),
            Err(error) => (error.category(), error.chain()),
        };
        let missing = "cannot open '/no/such/file': no such file or directory".to_owned();
        assert_eq!(error("/no/such/file"), (Category::InputFile, missing));
        assert_eq!(error("/"), (Category::InputFile, "'/' is a folder".to_owned()));
    }

    #[test]
    fn a_file_that_grows_is_followed_and_one_that_is_cut_begins_anew() {
        use std::io::Write;
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(b"one").expect("it is written");
        let mut input = Input::open(file.path(), true, None).expect("it is there");
        input.patience = Some(Duration::ZERO);
        assert_eq!(input.want(4).expect("it can be read"), Have::NotYet);
        file.write_all(b"two").expect("it is written");
        assert_eq!(input.want(6).expect("it can be read"), Have::Enough);
        assert_eq!(input.take(6), "onetwo");
        file.as_file().set_len(2).expect("it can be cut");
        assert_eq!(input.want(1).expect("it can be read"), Have::End);
        assert!(input.is_succeeded() && !input.has_ended());
        assert!(input.begin_anew().expect("it can be read"));
        assert_eq!(input.want(3).expect("it can be read"), Have::NotYet);
        assert_eq!(input.take(6), "on");
    }

    #[test]
    fn the_word_to_stop_ends_the_wait() {
        let (stopper, stop) = crate::stop::pair();
        let file = tempfile::NamedTempFile::new().expect("a file");
        let mut input = Input::open(file.path(), true, Some(stop)).expect("it is there");
        let wait = std::thread::spawn(move || input.want(1));
        stopper.stop();
        assert_eq!(wait.join().expect("no panic").expect("no error"), Have::End);
    }
}
