//! Which framing a stream has, by its first bytes.
//!
//! Each framing decodes them, and what came out is weighed: frames of which the network header agrees with
//! the length speak for it, everything else against it. What stands cut at the end says nothing.

use bytes::Bytes;

use super::{ALL, Framing, len16be, len16le, len32be, slip};
use crate::clock::Timestamp;
use crate::record::{Body, Direction, Origin, Record};

use super::plausible::{Verdict, judge_frame};

/// The framings that can be told by their bytes. Where two do equally well the first is meant.
static CANDIDATES: &[&Framing] =
    &[&len16be::LEN16BE, &len32be::LEN32BE, &len16le::LEN16LE, &slip::SLIP_ETH, &slip::SLIP_IP];

/// As many bytes as one error costs: what is right has none, but for the piece that was joined in.
const ERROR: usize = 16;

/// How well a framing fits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Fit {
    /// Bytes in frames that are what they say.
    good: usize,
    /// Bytes elsewhere.
    bad: usize,
    errors: usize,
}

impl Fit {
    fn of(framing: &Framing, max: usize, bytes: &Bytes) -> Fit {
        let mut decoder = (framing.decoder)(Origin::new(Direction::Unknown), max);
        let mut records = Vec::new();
        decoder.push(Timestamp::default(), bytes, &mut records);
        decoder.stop(Timestamp::default(), &mut records);
        let mut fit = Fit::default();
        records.iter().for_each(|record| fit.add(record));
        fit
    }

    fn add(&mut self, record: &Record) {
        match &record.body {
            Body::Frame(frame) => match judge_frame(frame, frame.len()) {
                Verdict::Strong(_) => self.good += frame.len(),
                _ => self.bad += frame.len(),
            },
            Body::FramingError(error) if error.is_new() => {
                self.errors += 1;
                // Behind the marks of another framing, or in front of the first frame.
                self.bad += if record.offset == Some(0) { 0 } else { error.bytes.len() };
            }
            _ => {}
        }
    }

    fn score(self) -> Option<usize> {
        (self.good > self.bad).then(|| self.good.checked_sub(self.bad + ERROR * self.errors))?
    }
}

/// What `bytes`, the first of a line, say of its framing, which is thought to be `framing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guess {
    /// Nothing yet.
    Nothing,
    /// It is right.
    Right,
    /// It is this one rather.
    Rather(&'static Framing),
}

/// Whether the first `bytes` of a line look like `framing`, with frames of up to `max` bytes.
pub fn guess(framing: &Framing, max: usize, bytes: &Bytes) -> Guess {
    let own = Fit::of(framing, max, bytes);
    if own.good > 0 && own.bad == 0 && own.errors == 0 {
        return Guess::Right;
    }
    let others = CANDIDATES.iter().filter(|other| **other != framing);
    let best = others
        .filter_map(|other| Fit::of(other, max, bytes).score().map(|score| (score, *other)))
        .reduce(|best, other| if other.0 > best.0 { other } else { best });
    match (best, own.score()) {
        (None, None) => Guess::Nothing,
        (Some((score, other)), own) if own.is_none_or(|own| own < score) => Guess::Rather(other),
        (_, Some(_)) => Guess::Right,
        (Some(_), None) => Guess::Nothing,
    }
}

/// Which framing a recorded stream has, if one fits it well.
pub fn framing_of(max: usize, bytes: &Bytes) -> Option<&'static Framing> {
    match guess(ALL[0], max, bytes) {
        Guess::Nothing => None,
        Guess::Right => Some(ALL[0]),
        Guess::Rather(other) => Some(other),
    }
}

/// Whether the line of which these are the first `bytes` carries Ethernet or IP in SLIP.
pub fn slip(bytes: &[u8]) -> Option<&'static Framing> {
    slip::which(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::samples::{echo, scraps};

    fn stream(framing: &Framing, frames: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for n in 0..frames {
            framing.encode(&echo(60 + n * 7, n as u8), &mut out).expect("it fits");
        }
        out
    }

    #[test]
    fn each_framing_is_known_by_its_bytes_whatever_was_asked_for() {
        for real in CANDIDATES {
            for asked in CANDIDATES {
                for frames in 1..6 {
                    let bytes = Bytes::from(stream(real, frames));
                    let expected = if real == asked { Guess::Right } else { Guess::Rather(real) };
                    let name = (real.name, asked.name, frames);
                    assert_eq!(guess(asked, 1514, &bytes), expected, "{name:?}");
                }
            }
        }
    }

    #[test]
    fn so_it_is_when_the_line_is_joined_in_the_middle_and_ends_there() {
        for real in CANDIDATES {
            let bytes = stream(real, 8);
            for start in 1..80 {
                let bytes = Bytes::copy_from_slice(&bytes[start..bytes.len() - start]);
                assert_eq!(framing_of(1514, &bytes), Some(*real), "from byte {start}");
            }
        }
    }

    #[test]
    fn noise_and_text_look_like_nothing() {
        for bytes in scraps() {
            assert_eq!(framing_of(1514, &bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn slip_is_told_apart() {
        for (framing, name) in [(&slip::SLIP_ETH, "slip-eth"), (&slip::SLIP_IP, "slip-ip")] {
            let bytes = stream(framing, 2);
            assert_eq!(slip(&bytes).map(|found| found.name), Some(name));
            assert_eq!(slip(&bytes[..bytes.len() / 2 - 10]), None, "no END yet");
        }
        assert_eq!(slip(b"\xc0hello, world\xc0"), None);
    }
}
