//! A private folder for the socket between the HTTP client and the network, which goes away with the command.
//!
//! A process that was killed leaves its folder behind; the next one of the same user takes it away when
//! nobody listens at its socket any more.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};

/// How the folders' names begin.
const PREFIX: &str = "uarttool-http-";
/// The socket in it.
const SOCKET: &str = "http";
/// A younger folder may belong to a process that does not listen yet.
const AGE: Duration = Duration::from_secs(60);
/// Names that are tried.
const ATTEMPTS: u32 = 64;

/// The folder.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// A new one in the temporary directory, that nobody else can look into.
    pub(super) fn new() -> Result<Folder> {
        let parent = std::env::temp_dir();
        sweep(&parent);
        Folder::new_in(&parent)
    }

    fn new_in(parent: &Path) -> Result<Folder> {
        let mut failure = None;
        for n in 0..ATTEMPTS {
            let path = parent.join(format!("{PREFIX}{}-{n}", std::process::id()));
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Folder(path)),
                Err(error) => failure = Some(error),
            }
        }
        let text = format!("cannot make a folder in {}", parent.display());
        let error = Error::environment(text).with_help("TMPDIR names another place for it");
        Err(match failure {
            Some(failure) => error.caused_by(failure),
            None => error,
        })
    }

    /// Where the socket is to be.
    pub(super) fn socket(&self) -> PathBuf {
        self.0.join(SOCKET)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0); // nobody is left to be told
    }
}

/// Removes what processes left in `parent` that were killed; what cannot be removed stays.
fn sweep(parent: &Path) {
    let own = rustix::process::getuid().as_raw();
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.metadata().is_ok_and(|about| about.is_dir() && about.uid() == own);
        if is_ours && is_left_behind(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn is_left_behind(folder: &Path) -> bool {
    let socket = folder.join(SOCKET);
    let changed = fs::symlink_metadata(&socket).and_then(|about| about.modified());
    let is_old = changed.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > AGE));
    is_old && UnixStream::connect(&socket).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;
    use std::time::SystemTime;

    #[test]
    fn it_is_private_and_goes_away_with_what_is_in_it() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = Folder::new_in(parent.path()).expect("a folder");
        let second = Folder::new_in(parent.path()).expect("another");
        assert_ne!(folder.0, second.0);
        assert_eq!(fs::metadata(&folder.0).expect("it is there").mode() & 0o777, 0o700);
        fs::write(folder.socket(), b"").expect("it can be written to");
        drop((folder, second));
        assert_eq!(fs::read_dir(parent.path()).expect("a folder").count(), 0);
    }

    #[test]
    fn what_a_killed_process_left_is_taken_away_and_nothing_else() {
        let parent = tempfile::tempdir().expect("a folder");
        let [alive, young, dead] = [0; 3].map(|_| {
            let folder = Folder::new_in(parent.path()).expect("a folder");
            let path = folder.0.clone();
            std::mem::forget(folder);
            path
        });
        let listener = UnixListener::bind(alive.join(SOCKET)).expect("a socket");
        drop(UnixListener::bind(young.join(SOCKET)).expect("a socket"));
        // A socket cannot be made older, a file can: nobody listens there either.
        let left = fs::File::create(dead.join(SOCKET)).expect("a file");
        left.set_modified(SystemTime::now() - 2 * AGE).expect("it is ours");
        sweep(parent.path());
        assert!(alive.exists() && young.exists() && !dead.exists());
        drop(listener);
    }
}
