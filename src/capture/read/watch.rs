//! What becomes of a file that is followed: it grows, is cut, written anew, replaced or deleted.
//!
//! As with `tail -F`, what counts is the name: when another file has it, reading goes on there. A file that
//! is shorter than what was read of it was begun anew. One that is as long or longer is compared with what was
//! read, at its beginning and just before the place where reading waits, whenever its length or the time of
//! its last change says that it was touched. So what cannot be noticed is a file that is written anew, to at
//! least its old length, with the same bytes in both places ([`PIECE`] each), or so soon that the time has not
//! moved.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// So many bytes are compared, at each of the two places.
const PIECE: usize = 256;

/// What there is to know about a followed file, behind the last byte that was read.
#[derive(Debug)]
pub(super) enum Look {
    /// It is as it was.
    Same,
    /// There is more to read.
    Grown,
    /// The same file was cut, or written anew.
    Rewritten,
    /// Another file has the name.
    Replaced(File),
    /// Nothing has the name any more; said once.
    Deleted,
}

/// Watches one file.
pub(super) struct Watch {
    /// `None` for stdin, which has no name.
    path: Option<PathBuf>,
    is_deleted: bool,
    /// How much was read when the pieces were taken, in bytes.
    at: u64,
    changed: (i64, i64),
    first: Piece,
    last: Piece,
}

/// A few bytes of a file.
#[derive(Clone, PartialEq, Eq)]
struct Piece {
    bytes: [u8; PIECE],
    length: usize,
}

impl Piece {
    const NONE: Piece = Piece { bytes: [0; PIECE], length: 0 };

    /// What there is at `offset`, up to `end`.
    fn read(file: &File, offset: u64, end: u64) -> io::Result<Piece> {
        let wanted = usize::try_from(end.saturating_sub(offset)).unwrap_or(PIECE).min(PIECE);
        let mut piece = Piece::NONE;
        while piece.length < wanted {
            let into = piece.bytes.get_mut(piece.length..wanted).unwrap_or_default();
            match file.read_at(into, offset + piece.length as u64) {
                Ok(0) => break,
                Ok(n) => piece.length += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(piece)
    }

    fn begins_with(&self, other: &Piece) -> bool {
        let bytes = self.bytes.get(..self.length).unwrap_or_default();
        bytes.starts_with(other.bytes.get(..other.length).unwrap_or_default())
    }
}

impl Watch {
    pub(super) fn new(path: Option<&Path>) -> Self {
        Watch {
            path: path.map(Path::to_path_buf),
            is_deleted: false,
            at: 0,
            changed: (0, 0),
            first: Piece::NONE,
            last: Piece::NONE,
        }
    }

    /// Looks at the file, of which `read` bytes were read.
    pub(super) fn look(&mut self, file: &File, read: u64) -> Look {
        let Ok(metadata) = file.metadata() else { return Look::Same };
        if metadata.len() < read || self.was_rewritten(file, &metadata, read) {
            *self = Watch::new(self.path.as_deref());
            return Look::Rewritten;
        }
        if metadata.len() > read {
            return Look::Grown;
        }
        self.look_at_the_name(&metadata)
    }

    /// Compares the pieces with those of before, if the file was touched or more was read of it.
    fn was_rewritten(&mut self, file: &File, metadata: &Metadata, read: u64) -> bool {
        let changed = (metadata.mtime(), metadata.mtime_nsec());
        if (self.at, self.changed) == (read, changed) {
            return false;
        }
        let first = Piece::read(file, 0, read);
        let before = Piece::read(file, self.at.saturating_sub(PIECE as u64), self.at);
        let last = Piece::read(file, read.saturating_sub(PIECE as u64), read);
        let (Ok(first), Ok(before), Ok(last)) = (first, before, last) else { return false };
        let is_other = !first.begins_with(&self.first) || before != self.last;
        (self.at, self.changed, self.first, self.last) = (read, changed, first, last);
        is_other
    }

    /// Whether the name is still this file's.
    fn look_at_the_name(&mut self, metadata: &Metadata) -> Look {
        let id = |metadata: &Metadata| (metadata.dev(), metadata.ino());
        let Some(path) = &self.path else { return Look::Same };
        match path.metadata() {
            Ok(named) if id(&named) == id(metadata) => self.is_deleted = false,
            Ok(named) if named.is_file() => {
                if let Ok(file) = File::open(path) {
                    *self = Watch::new(self.path.as_deref());
                    return Look::Replaced(file);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.is_deleted => {
                self.is_deleted = true;
                return Look::Deleted;
            }
            Ok(_) | Err(_) => {} // what may still become readable is waited for
        }
        Look::Same
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    /// A folder, a file in it, and what watches it.
    fn watched(text: &str) -> (tempfile::TempDir, PathBuf, File, Watch) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        fs::write(&path, text).expect("it is written");
        let file = File::open(&path).expect("it is there");
        let watch = Watch::new(Some(&path));
        (folder, path, file, watch)
    }

    #[test]
    fn a_file_grows_and_is_cut() {
        let (_folder, path, file, mut watch) = watched("one");
        assert!(matches!(watch.look(&file, 3), Look::Same));
        let mut end = fs::OpenOptions::new().append(true).open(&path).expect("it is there");
        end.write_all(b"two").expect("it is written");
        assert!(matches!(watch.look(&file, 3), Look::Grown));
        assert!(matches!(watch.look(&file, 6), Look::Same));
        end.set_len(5).expect("it can be cut");
        assert!(matches!(watch.look(&file, 6), Look::Rewritten));
    }

    #[test]
    fn what_is_written_in_its_place_is_noticed_at_any_length() {
        for (text, is_noticed) in [("two", true), ("two and more", true), ("one and more", false)] {
            let (_folder, path, file, mut watch) = watched("one");
            assert!(matches!(watch.look(&file, 3), Look::Same));
            std::thread::sleep(std::time::Duration::from_millis(20));
            fs::write(&path, text).expect("it is written");
            let look = watch.look(&file, 3);
            assert_eq!(matches!(look, Look::Rewritten), is_noticed, "{text}: {look:?}");
        }
    }

    #[test]
    fn the_name_is_what_counts() {
        let (folder, path, file, mut watch) = watched("one");
        assert!(matches!(watch.look(&file, 3), Look::Same));
        fs::rename(&path, folder.path().join("b")).expect("it is renamed");
        assert!(matches!(watch.look(&file, 3), Look::Deleted));
        assert!(matches!(watch.look(&file, 3), Look::Same), "said once");
        fs::write(&path, "one").expect("it is written");
        assert!(matches!(watch.look(&file, 3), Look::Replaced(_)));
    }
}
