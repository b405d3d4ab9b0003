//! One thing seen on a line: the unit that every tap, file and sink exchanges.
//!
//! A record never loses bytes. What could not be framed travels as a [`FramingError`] that owns
//! the bytes it is about, and what a tap had to leave out travels as a [`Body::Gap`] that says
//! how much it was.

mod impaired;
mod link_type;

use bytes::Bytes;
use std::fmt;

use crate::clock::Timestamp;
pub use impaired::Impaired;
pub use link_type::LinkType;

/// Which way a record went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the host to the device (`->`).
    ToDevice,
    /// From the device to the host (`<-`).
    FromDevice,
    /// The source cannot tell (`--`).
    Unknown,
}

impl Direction {
    /// The arrow that a person sees in front of a frame.
    pub const fn arrow(self) -> &'static str {
        match self {
            Direction::ToDevice => "->",
            Direction::FromDevice => "<-",
            Direction::Unknown => "--",
        }
    }
}

/// Where a record was seen: which tap, which connection of that tap, which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The tap, when a command has several; the first is 0.
    pub tap: u16,
    /// The connection on that tap, counted from 1; 0 where there is no connection.
    pub connection: u32,
    /// The direction.
    pub direction: Direction,
}

impl Origin {
    /// Tap 0, connection 1, in `direction`.
    pub const fn new(direction: Direction) -> Self {
        Origin { tap: 0, connection: 1, direction }
    }
}

/// When the first and the last byte of a record were seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Arrival of the first byte.
    pub first: Timestamp,
    /// Arrival of the last byte: the time that captures and lines show.
    pub last: Timestamp,
}

impl Span {
    /// A moment: first and last byte at once.
    pub const fn at(time: Timestamp) -> Self {
        Span { first: time, last: time }
    }
}

/// One thing seen on a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When; hex files and raw logs have no times.
    pub time: Option<Span>,
    /// Where and which way.
    pub origin: Origin,
    /// Bytes of the raw stream in front of this record, headers included; `None` where the
    /// record did not come from a stream.
    pub offset: Option<u64>,
    /// What.
    pub body: Body,
}

/// What a record is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A whole frame, without the line's own header.
    Frame(Bytes),
    /// A frame that is not whole or no Ethernet frame: out of somebody's capture file.
    Packet(Packet),
    /// Bytes that do not make a frame.
    FramingError(FramingError),
    /// What was on the line, but is missing here: it was dropped on its way to us.
    Gap {
        /// How many records; 0 when a capture that was read lacks the bytes, and nobody knows what they were.
        records: u64,
        /// How many bytes they carried.
        bytes: u64,
    },
    /// The link itself changed.
    Link(LinkChange),
    /// A line of the device's console, without its line end, as the device wrote it.
    Console(Bytes),
    /// What we have done to a frame on purpose.
    Impaired(Impaired),
}

/// A frame as a capture file may have it: of any link type, or cut to a snap length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// What the bytes begin with.
    pub link: LinkType,
    /// What was kept of it.
    pub bytes: Bytes,
    /// How long it was, in bytes: never less than what was kept.
    pub length: u32,
}

/// What happened to a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkChange {
    /// A connection was made; the text says with whom.
    Connected(String),
    /// The other side closed or vanished; the text says how it showed.
    Lost(String),
    /// The device behind the link was reset.
    Reset,
}

impl fmt::Display for LinkChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkChange::Connected(with) => write!(f, "connected: {with}"),
            LinkChange::Lost(how) => write!(f, "lost: {how}"),
            LinkChange::Reset => f.write_str("device reset"),
        }
    }
}

/// Bytes of the line that do not make a frame, and what became of the search for the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FramingError {
    /// What was wrong.
    pub problem: Problem,
    /// The bytes that were passed over, the bad header included: nothing seen is thrown away.
    pub bytes: Bytes,
    /// What came after them.
    pub recovery: Recovery,
}

/// Why bytes do not make a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// A header announced a frame of no bytes.
    ZeroLength,
    /// A header announced more bytes than the line's limit.
    TooLong {
        /// The length in the header, in bytes.
        length: u32,
        /// The limit, in bytes.
        limit: u32,
    },
    /// A frame began and did not go on: the line fell silent, closed, or something else began.
    Cut {
        /// The length in the header, in bytes; `None` when not even the header was whole.
        length: Option<u32>,
    },
    /// The header was in range, but what it announced was no frame, and one begins inside it.
    OutOfStep {
        /// The length in the supposed header, in bytes.
        length: u32,
    },
    /// Bytes that continue an error reported before.
    Continued,
    /// An escape in front of a byte that it does not escape.
    WrongEscape {
        /// The byte.
        byte: u8,
    },
    /// Between two marks stands what is no frame.
    NoFrame,
    /// A frame began, and its mark at the end is missing.
    NoEnd,
}

/// How the search for the next frame ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// A frame follows, and another plausible header behind it.
    Sure,
    /// A plausible frame follows, but nothing behind it confirms that yet.
    Likely,
    /// Still out of step: more passed-over bytes follow in another record.
    Searching,
    /// The stream ended before a frame was found.
    Ended,
    /// We stopped listening in the middle; nothing is wrong with the line.
    Stopped,
}

impl Problem {
    /// As numbers, for files and messages: which one, and what belongs to it.
    pub const fn to_numbers(self) -> (u8, [u32; 2]) {
        match self {
            Problem::ZeroLength => (0, [0, 0]),
            Problem::TooLong { length, limit } => (1, [length, limit]),
            Problem::Cut { length: None } => (2, [0, 0]),
            Problem::Cut { length: Some(length) } => (3, [length, 0]),
            Problem::OutOfStep { length } => (4, [length, 0]),
            Problem::Continued => (5, [0, 0]),
            Problem::WrongEscape { byte } => (6, [byte as u32, 0]),
            Problem::NoFrame => (7, [0, 0]),
            Problem::NoEnd => (8, [0, 0]),
        }
    }

    /// What [`Problem::to_numbers`] has made numbers of; `None` for any others.
    pub const fn from_numbers(which: u8, [length, limit]: [u32; 2]) -> Option<Problem> {
        Some(match which {
            0 => Problem::ZeroLength,
            1 => Problem::TooLong { length, limit },
            2 => Problem::Cut { length: None },
            3 => Problem::Cut { length: Some(length) },
            4 => Problem::OutOfStep { length },
            5 => Problem::Continued,
            6 if length < 256 => Problem::WrongEscape { byte: length as u8 },
            7 => Problem::NoFrame,
            8 => Problem::NoEnd,
            _ => return None,
        })
    }
}

impl Recovery {
    /// As a number, for files and messages.
    pub const fn to_number(self) -> u8 {
        match self {
            Recovery::Sure => 0,
            Recovery::Likely => 1,
            Recovery::Searching => 2,
            Recovery::Ended => 3,
            Recovery::Stopped => 4,
        }
    }

    /// What [`Recovery::to_number`] has made a number of; `None` for any other.
    pub const fn from_number(number: u8) -> Option<Recovery> {
        Some(match number {
            0 => Recovery::Sure,
            1 => Recovery::Likely,
            2 => Recovery::Searching,
            3 => Recovery::Ended,
            4 => Recovery::Stopped,
            _ => return None,
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::ZeroLength => f.write_str("length 0"),
            Problem::TooLong { length, limit } => write!(f, "length {length} > {limit}"),
            Problem::Cut { length: Some(length) } => write!(f, "frame of {length} bytes cut short"),
            Problem::Cut { length: None } => f.write_str("header cut short"),
            Problem::OutOfStep { length } => {
                write!(f, "length {length}, but a frame begins inside it")
            }
            Problem::Continued => f.write_str("still out of step"),
            Problem::WrongEscape { byte } => write!(f, "wrong escape db {byte:02x}"),
            Problem::NoFrame => f.write_str("no frame between two ENDs"),
            Problem::NoEnd => f.write_str("no END behind a frame"),
        }
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Recovery::Sure => "back in step (sure)",
            Recovery::Likely => "back in step (likely)",
            Recovery::Searching => "still searching",
            Recovery::Ended => "the stream ended",
            Recovery::Stopped => "we stopped listening",
        })
    }
}

impl FramingError {
    /// Whether it tells of something new that is wrong with the line: not the rest of an error that
    /// was told before, and not the piece of a frame in which we stopped listening.
    pub fn is_new(&self) -> bool {
        self.problem != Problem::Continued && self.recovery != Recovery::Stopped
    }

    /// The sentence that lines and capture comments show; `offset` is the record's.
    pub fn describe(&self, offset: Option<u64>) -> impl fmt::Display + '_ {
        struct Sentence<'a>(&'a FramingError, Option<u64>);
        impl fmt::Display for Sentence<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let Sentence(error, offset) = self;
                write!(f, "framing: {}", error.problem)?;
                if let Some(offset) = offset {
                    write!(f, " at byte {offset}")?;
                }
                let n = error.bytes.len();
                let s = if n == 1 { "" } else { "s" };
                write!(f, "; passed over {n} byte{s}, {}", error.recovery)
            }
        }
        Sentence(self, offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_framing_error_reads_as_one_sentence() {
        let error = FramingError {
            problem: Problem::TooLong { length: 65535, limit: 1514 },
            bytes: Bytes::from_static(&[0xff; 37]),
            recovery: Recovery::Sure,
        };
        assert_eq!(
            error.describe(Some(10432)).to_string(),
            "framing: length 65535 > 1514 at byte 10432; passed over 37 bytes, back in step (sure)"
        );
        let error = FramingError {
            problem: Problem::Cut { length: None },
            bytes: Bytes::from_static(&[0]),
            recovery: Recovery::Ended,
        };
        assert_eq!(
            error.describe(None).to_string(),
            "framing: header cut short; passed over 1 byte, the stream ended"
        );
    }
}
