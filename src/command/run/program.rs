//! Whether the user's command can be run at all: known before a machine is booted for it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use crate::cli::launch::guard::{NOT_EXECUTABLE, NOT_FOUND};
use crate::escape;

/// What a shell would exit with, and a sentence, when there is no such program or it cannot be run.
pub fn check(command: &[OsString]) -> Result<(), (u8, String)> {
    let Some(name) = command.first() else { return Ok(()) }; // clap wants one
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    let places: Vec<PathBuf> = match Path::new(name).components().count() {
        1 if !name.to_string_lossy().contains('/') => {
            std::env::split_paths(&path).map(|folder| folder.join(name)).collect()
        }
        _ => vec![name.into()],
    };
    let shown = escape::terminal(name.as_encoded_bytes()).to_string();
    let there: Vec<_> = places.into_iter().filter(|place| place.exists()).collect();
    let can_be_run = |place: &&PathBuf| !place.is_dir() && access(*place, Access::EXEC_OK).is_ok();
    match (there.first(), there.iter().find(can_be_run)) {
        (_, Some(_)) => Ok(()),
        (Some(place), None) if place.is_dir() => {
            Err((NOT_EXECUTABLE, format!("cannot run '{shown}': it is a folder")))
        }
        (Some(_), None) => {
            Err((NOT_EXECUTABLE, format!("cannot run '{shown}': it is not executable")))
        }
        (None, None) => Err((NOT_FOUND, format!("cannot run '{shown}': there is no such program"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(name: &str) -> Result<(), u8> {
        check(&[name.into()]).map_err(|(code, _)| code)
    }

    #[test]
    fn programs_are_found_as_a_shell_finds_them() {
        assert_eq!(code("sh"), Ok(()));
        assert_eq!(code("/bin/sh"), Ok(()));
        assert_eq!(code("no-such-program"), Err(127));
        assert_eq!(code("/nonexistent/program"), Err(127));
        assert_eq!(code("./sh"), Err(127));
        assert_eq!(code(""), Err(127));
        assert_eq!(code("/etc/passwd"), Err(126));
        assert_eq!(code("/etc"), Err(126));
    }
}
