//! What is to be sent: texts of layers, hex, files.
//!
//! What begins with a layer's name or with `0x` is a text of the language; `-` and what names a file
//! is read as `decode` reads it, capture or hex dump, and its frames are taken as they are. Of a capture
//! that tells directions, those to the device are.

use std::path::Path;

use super::data;
use crate::capture::read::{Format, Inner, Reader, Reading};
use crate::craft::text::Recipe;
use crate::error::{Error, Result};
use crate::record::{Body, Direction};

/// Frames that are taken of one file.
const MOST: usize = 100_000;

/// The frames that these words mean; `number` is the one of a file's that is wanted, from 1, and `format` what
/// files are, where that is not found out by itself.
pub(super) fn understand(
    words: &[String],
    number: Option<usize>,
    format: Option<Format>,
) -> Result<Vec<Recipe>> {
    let mut all = Vec::new();
    let mut has_file = false;
    for word in words {
        let parsed = Recipe::parse(word, &data::read);
        let path = Path::new(word);
        match parsed {
            _ if word == "-" || is_file(path) => {
                has_file = true;
                all.extend(of_file(path, number, format)?);
            }
            Ok(recipe) => all.push(recipe),
            Err(mistake) => {
                let looks_like_path = word.contains('.') && !word.contains(['(', '"', '=']);
                return Err(match looks_like_path {
                    true => Error::usage(format!("there is no file '{word}', and no such layer"))
                        .with_help("'--list' shows the layers; a frame is written as eth/ip/udp"),
                    false => Error::usage(format!("bad frame: {mistake}")),
                });
            }
        }
    }
    if number.is_some() && !has_file {
        return Err(Error::usage("'--frame' chooses a frame of a file, and none is given"));
    }
    if format.is_some() && !has_file {
        return Err(Error::usage("'--format' says what a file is, and none is given")
            .with_help("bytes in the command line are written with 0x in front: 0x0200"));
    }
    Ok(all)
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| !found.is_dir())
}

fn of_file(path: &Path, number: Option<usize>, format: Option<Format>) -> Result<Vec<Recipe>> {
    let reading = Reading { format, inner: Inner::Never, ..Reading::default() };
    let mut reader = Reader::open(path, &reading)?;
    let (mut frames, mut seen, mut left_out) = (Vec::new(), 0, 0);
    while let Some(record) = reader.read()? {
        let Body::Frame(frame) = record.body else { continue };
        seen += 1;
        let is_wanted = match number {
            Some(number) => number == seen,
            None => record.origin.direction != Direction::FromDevice,
        };
        if !is_wanted || frame.is_empty() {
            left_out += 1;
            continue;
        }
        frames.push(Recipe::of_bytes(frame.to_vec()));
        if number.is_some() || frames.len() >= MOST {
            break;
        }
    }
    if !frames.is_empty() {
        return Ok(frames);
    }
    let name = path.display();
    Err(match number {
        Some(number) => Error::usage(format!("'{name}' has no frame {number}: it has {seen}")),
        None if left_out > 0 => Error::usage(format!("'{name}' has frames from the device only"))
            .with_help("choose one with '--frame N' to send it all the same"),
        None => Error::usage(format!("'{name}' has no frames")),
    })
}
