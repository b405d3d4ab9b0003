//! From a byte stream to frames and back: one file per framing.
//!
//! A [`Decoder`] belongs to one direction of one connection. It has no socket, no clock and no
//! output of its own: bytes and times go in, [`Record`]s come out. However the stream is cut into
//! chunks, the bodies and offsets of the records are the same, and every byte of the stream is in
//! exactly one record. To add a framing, write its file and name it in [`ALL`].

mod len16be;
pub mod message;
mod plausible;
pub mod strict;

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::record::{Origin, Record};
pub use message::MESSAGES;

/// The largest frame that is accepted unless the user says otherwise, in bytes: an Ethernet
/// header of 14 and an IP packet of 1500.
pub const DEFAULT_MAX_FRAME: usize = 1514;

/// One way to put frames on a line.
#[derive(Debug)]
pub struct Framing {
    /// The name in `framing=`.
    pub name: &'static str,
    /// Who speaks it, for help texts.
    pub help: &'static str,
    /// The longest frame that it can carry, in bytes.
    pub longest: usize,
    /// A decoder for frames of up to so many bytes.
    pub decoder: fn(Origin, usize) -> Box<dyn Decoder>,
    /// Appends a frame as it goes on the line. Not called with an empty frame or one longer than
    /// `longest`; see [`Framing::encode`].
    append: fn(&[u8], &mut Vec<u8>),
}

impl PartialEq for Framing {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Framing {}

/// Every framing of a stream there is; [`MESSAGES`] has those of sockets that need none.
pub static ALL: &[&Framing] = &[&len16be::LEN16BE];

/// A frame that a framing cannot carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unframeable {
    /// A length of 0 wedges or desynchronises receivers, so it is never sent as a frame.
    #[error("a frame of 0 bytes cannot be sent: receivers take its header for an error")]
    Empty,
    /// The length does not fit into the header.
    #[error("a frame of {length} bytes does not fit: the framing carries at most {longest}")]
    TooLong {
        /// The length that was asked for.
        length: usize,
        /// The longest that can be carried.
        longest: usize,
    },
}

impl Framing {
    /// The framing with that name.
    pub fn by_name(name: &str) -> Option<&'static Framing> {
        ALL.iter().chain(MESSAGES).copied().find(|framing| framing.name == name)
    }

    /// Whether each frame is a message of a socket, so that no stream of bytes can carry it.
    pub fn is_message(&self) -> bool {
        MESSAGES.contains(&self)
    }

    /// Appends `frame` with its header to `out`.
    pub fn encode(&self, frame: &[u8], out: &mut Vec<u8>) -> Result<(), Unframeable> {
        match frame.len() {
            0 => Err(Unframeable::Empty),
            length if length > self.longest => {
                Err(Unframeable::TooLong { length, longest: self.longest })
            }
            _ => {
                (self.append)(frame, out);
                Ok(())
            }
        }
    }
}

/// Turns one direction of one connection into records.
pub trait Decoder: Send {
    /// Takes the bytes that arrived at `now` and appends the records that they complete.
    fn push(&mut self, now: Timestamp, bytes: &Bytes, out: &mut Vec<Record>);

    /// Says that nothing has arrived up to `now`: what was waiting for the bytes behind it is
    /// decided with what is there. May be called as often as one likes.
    fn idle(&mut self, now: Timestamp, out: &mut Vec<Record>);

    /// The stream has ended: everything that is left comes out.
    fn finish(&mut self, now: Timestamp, out: &mut Vec<Record>);

    /// We stop listening, although the stream goes on: what is left comes out, and is no error.
    fn stop(&mut self, now: Timestamp, out: &mut Vec<Record>);

    /// Whether every byte so far is in a record: the stream is between two frames.
    fn is_empty(&self) -> bool;

    /// How many bytes are missing until the next frame begins: 0 between frames, `None` when that
    /// cannot be told.
    fn until_boundary(&self) -> Option<usize>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_framed_is_refused() {
        let framing = Framing::by_name("len16be").expect("it is in the list");
        let mut out = Vec::new();
        assert_eq!(framing.encode(&[], &mut out), Err(Unframeable::Empty));
        let long = vec![0; 65536];
        let error = Unframeable::TooLong { length: 65536, longest: 65535 };
        assert_eq!(framing.encode(&long, &mut out), Err(error));
        assert!(out.is_empty());
        assert!(Framing::by_name("len17").is_none());
    }
}
