//! Where the bytes of an input come from.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::fs::OFlags;

pub(super) enum Source {
    /// A regular file.
    File(File),
    /// A pipe, a socket, a terminal.
    Pipe(File),
    /// Anything else that can be read.
    #[allow(dead_code)] // for tests: pieces of any size
    Other(Box<dyn Read + Send>),
}

/// Opens a file to be read. A named pipe that nobody writes to yet is no reason to wait here, where the word
/// to stop is not heard.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    if cfg!(target_os = "linux") && path.metadata().is_ok_and(|found| found.file_type().is_fifo()) {
        options.custom_flags(OFlags::NONBLOCK.bits() as i32);
        let pipe = options.open(path)?;
        let flags = rustix::fs::fcntl_getfl(&pipe)?;
        rustix::fs::fcntl_setfl(&pipe, flags.difference(OFlags::NONBLOCK))?;
        return Ok(pipe);
    }
    options.open(path)
}

impl Source {
    /// Reads once into the spare room of `into`.
    pub(super) fn read(&mut self, into: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Source::File(file) | Source::Pipe(file) => loop {
                match rustix::io::read(&*file, spare_capacity(into)) {
                    Err(rustix::io::Errno::INTR) => {}
                    done => return done.map(drop).map_err(Into::into),
                }
            },
            Source::Other(reader) => {
                let before = into.len();
                into.resize(into.capacity(), 0);
                let n = reader.read(into.get_mut(before..).unwrap_or_default());
                into.truncate(before + n.as_ref().map_or(0, |n| *n));
                n.map(drop)
            }
        }
    }

    /// Goes back to the beginning of a file.
    pub(super) fn rewind(&mut self) -> io::Result<()> {
        match self {
            Source::File(file) => file.rewind(),
            Source::Pipe(_) | Source::Other(_) => Ok(()),
        }
    }
}
