//! Data as the user gives it: text, or bytes in the language of frames.

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Read;

use crate::cli::terminal;
use crate::craft::text::Ends;
use crate::craft::{fuzz, text};
use crate::error::{Error, Result};

/// The largest file that is read for a frame.
const MOST: u64 = 65_535;

/// What a file holds.
pub(super) fn read(path: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MOST + 1).read_to_end(&mut bytes));
    match read {
        Err(error) => Err(error.to_string()),
        Ok(n) if n as u64 > MOST => {
            Err(format!("it holds more than {MOST} bytes, which no frame does"))
        }
        Ok(_) => Ok(bytes),
    }
}

/// A seed that nobody gave: short enough to be typed again.
pub(super) fn new_seed() -> u64 {
    RandomState::new().build_hasher().finish() % 100_000
}

/// Text as it is, or what `0x..`, `hex(..)`, `file(..)`, `pattern(N)`, `random(N)` or a text in quotation marks
/// make.
pub(super) fn parse(given: &str, ends: &Ends, seed: u64) -> Result<Vec<u8>> {
    let starts = ["0x", "hex(", "file(", "pattern(", "random(", "\"", "'"];
    if !starts.iter().any(|start| given.starts_with(start)) {
        return Ok(given.as_bytes().to_vec());
    }
    let recipe = text::Recipe::parse(given, &read)
        .map_err(|mistake| Error::usage(format!("bad '--data': {mistake}")))?;
    if recipe.has_layers() {
        return Err(Error::usage(format!("bad '--data': '{given}' is a layer, no data")));
    }
    if recipe.uses_chance() {
        terminal::tell(&format!("seed {seed}"));
    }
    Ok(recipe.frame(ends, &mut fuzz::chance(seed, 0)))
}
