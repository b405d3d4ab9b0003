//! `--ready-fd N`: tells the program that started us when it may go on.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};

use rustix::process::{self, PidfdFlags, PidfdGetfdFlags};

use crate::error::{Error, Result};

/// A file descriptor that was handed to us.
#[derive(Debug)]
pub struct Ready(Option<File>);

impl Ready {
    /// Opens descriptor `fd`, if one was named.
    pub fn open(fd: Option<u32>) -> Result<Ready> {
        let Some(fd) = fd else { return Ok(Ready(None)) };
        let file = OpenOptions::new().append(true).open(format!("/dev/fd/{fd}"));
        let file = file.or_else(|error| duplicate(fd).map_err(|_| error)).map_err(|error| {
            Error::usage(format!("cannot write to file descriptor {fd}"))
                .caused_by(error)
                .with_help(format!("'--ready-fd {fd}' wants it open: run '... {fd}>ready.txt'"))
        })?;
        Ok(Ready(Some(file)))
    }

    /// Writes `ready` and a line end.
    pub fn tell(&mut self) {
        if let Some(mut file) = self.0.take() {
            let _ = file.write_all(b"ready\n"); // if nobody listens any more, nobody waits
        }
    }
}

/// A socket cannot be opened again by its name, but the kernel copies the descriptors of a process
/// whose descriptor one has.
fn duplicate(fd: u32) -> io::Result<File> {
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    let process = process::pidfd_open(process::getpid(), PidfdFlags::empty())?;
    let copy = process::pidfd_getfd(process, fd, PidfdGetfdFlags::empty())?;
    Ok(File::from(copy))
}
