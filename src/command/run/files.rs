//! The files of a run's evidence, which are this run's alone.
//!
//! All of them are made before anything is written to them, and only where no file is: whatever else is in
//! the folder, a user's own file or the evidence of another run, is neither written to nor removed. Where
//! one of the names is taken, all get the same number: `capture-2.pcapng`, `console-2.log`. A file is
//! removed only while it is still the one that was made.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::cli::terminal;
use crate::error::{Error, Result};

/// Numbers that are tried.
const MOST: u32 = 100_000;

/// A file that this run has made.
#[derive(Debug)]
pub struct OwnFile {
    /// Where it is.
    pub path: PathBuf,
    /// Device and number, by which the system knows it.
    identity: (u64, u64),
}

impl OwnFile {
    fn make(path: PathBuf) -> io::Result<OwnFile> {
        let about = OpenOptions::new().write(true).create_new(true).open(&path)?.metadata()?;
        Ok(OwnFile { path, identity: (about.dev(), about.ino()) })
    }

    /// Whether there is anything in it.
    pub fn has_bytes(&self) -> bool {
        self.about().is_some_and(|about| about.len() > 0)
    }

    /// Removes it, unless it is another file by now.
    pub fn remove(&self) {
        if self.about().is_none() {
            return;
        }
        if let Err(error) = fs::remove_file(&self.path) {
            terminal::tell(&format!("warning: cannot remove {}: {error}", self.path.display()));
        }
    }

    fn about(&self) -> Option<fs::Metadata> {
        let about = fs::symlink_metadata(&self.path).ok()?;
        ((about.dev(), about.ino()) == self.identity).then_some(about)
    }
}

/// Makes files of those `names` (stem and extension) in `folder`, with the first number for which none of
/// them is taken. Two runs that do so at once get different numbers.
pub fn make(folder: &Path, names: &[(&str, &str)]) -> Result<Vec<OwnFile>> {
    for number in 1..=MOST {
        let suffix = if number == 1 { String::new() } else { format!("-{number}") };
        let mut made = Vec::new();
        let failure = names.iter().find_map(|(stem, extension)| {
            let path = folder.join(format!("{stem}{suffix}.{extension}"));
            OwnFile::make(path).map(|file| made.push(file)).err()
        });
        let Some(error) = failure else { return Ok(made) };
        made.iter().for_each(OwnFile::remove);
        if error.kind() != ErrorKind::AlreadyExists {
            let text = format!("cannot write to the folder {}", folder.display());
            return Err(Error::environment(text).caused_by(error));
        }
    }
    let text = format!("the folder {} is full of evidence", folder.display());
    Err(Error::environment(text).with_help("name another with '--artifacts', or empty it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [(&str, &str); 2] = [("capture", "pcapng"), ("console", "log")];

    fn names(files: &[OwnFile]) -> Vec<String> {
        let name = |file: &OwnFile| file.path.file_name().map(|n| n.to_string_lossy().into_owned());
        files.iter().filter_map(name).collect()
    }

    #[test]
    fn names_that_are_taken_are_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let own = folder.path().join("console.log");
        fs::write(&own, "mine").expect("it is ours");
        let second = make(folder.path(), &NAMES).expect("there is room");
        assert_eq!(names(&second), ["capture-2.pcapng", "console-2.log"]);
        assert!(!folder.path().join("capture.pcapng").exists(), "all have the same number");
        let third = make(folder.path(), &NAMES).expect("there is room");
        assert_eq!(names(&third), ["capture-3.pcapng", "console-3.log"]);
        assert_eq!(fs::read_to_string(own).expect("it is there"), "mine");
        let error = make(&folder.path().join("none"), &NAMES).expect_err("no folder");
        assert!(error.chain().starts_with("cannot write to the folder "), "{}", error.chain());
    }

    #[test]
    fn only_what_was_made_is_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = make(folder.path(), &NAMES).expect("there is room");
        let [capture, console] = &files[..] else { panic!("two files") };
        fs::write(&capture.path, "x").expect("it is ours");
        assert!(capture.has_bytes() && !console.has_bytes());
        let other = folder.path().join("other");
        fs::write(&other, "another's").expect("it is ours");
        fs::rename(&other, &console.path).expect("it is ours");
        assert!(!console.has_bytes(), "it is not ours any more");
        files.iter().for_each(OwnFile::remove);
        assert!(!capture.path.exists() && console.path.exists());
    }
}
