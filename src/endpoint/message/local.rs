//! The path of a socket of our own: one that the user named, or one in a private folder. What we have made goes
//! away with us.

use std::fs::{DirBuilder, FileType};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt};
use std::path::PathBuf;

use rustix::io::Errno;
use rustix::net::SocketAddrUnix;

use crate::endpoint::unix;
use crate::error::{Error, Result};

/// A path for a socket.
pub(super) struct Path {
    path: PathBuf,
    folder: Option<PathBuf>,
    is_made: bool,
}

impl Path {
    /// One that the user named.
    pub(super) fn named(path: &str) -> Path {
        Path { path: PathBuf::from(path), folder: None, is_made: false }
    }

    /// One in a folder that nobody else can enter.
    pub(super) fn private() -> Result<Path> {
        loop {
            let random = RandomState::new().build_hasher().finish();
            let folder = std::env::temp_dir().join(format!("uarttool-{random:016x}"));
            match DirBuilder::new().mode(0o700).create(&folder) {
                Ok(()) => {
                    let path = folder.join("frames.sock");
                    return Ok(Path { path, folder: Some(folder), is_made: false });
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => {
                    let text = format!("cannot make the folder {}", folder.display());
                    return Err(Error::environment(text)
                        .caused_by(error)
                        .with_help("name a socket of ours with 'local=PATH'"));
                }
            }
        }
    }

    pub(super) fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Removes a socket that nobody has any more.
    pub(super) fn clear(&self, is_dgram: bool, address: &SocketAddrUnix) -> Result<()> {
        let path = &self.path;
        let about = std::fs::symlink_metadata(path);
        if !about.is_ok_and(|about| FileType::is_socket(&about.file_type())) {
            return Ok(()); // binding says what is wrong
        }
        let is_stale = match is_dgram {
            true => super::is_there(address) == Err(Errno::CONNREFUSED),
            false => unix::is_stale(path.to_str().unwrap_or_default()),
        };
        if is_stale {
            std::fs::remove_file(path).map_err(|error| {
                let text = format!("cannot remove the old socket {}", path.display());
                Error::environment(text).caused_by(error)
            })?;
        }
        Ok(())
    }

    /// The same, with the socket there.
    pub(super) fn made(mut self) -> Path {
        self.is_made = true;
        self
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        if self.is_made {
            let _ = std::fs::remove_file(&self.path); // nothing to be done about a failure
        }
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir(folder);
        }
    }
}
