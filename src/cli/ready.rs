//! `--ready-fd N`: tells the program that started us when it may go on.

use std::fs::{File, OpenOptions};
use std::io::Write;

use crate::error::{Error, Result};

/// A file descriptor that was handed to us.
#[derive(Debug)]
pub struct Ready(Option<File>);

impl Ready {
    /// Opens descriptor `fd`, if one was named.
    pub fn open(fd: Option<u32>) -> Result<Ready> {
        let Some(fd) = fd else { return Ok(Ready(None)) };
        let file = OpenOptions::new().append(true).open(format!("/dev/fd/{fd}"));
        let file = file.map_err(|error| {
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
