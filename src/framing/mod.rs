//! From a byte stream to frames and back: one file per framing.
//!
//! A [`Decoder`] belongs to one direction of one connection. It has no socket, no clock and no
//! output of its own: bytes and times go in, [`Record`]s come out. However the stream is cut into
//! chunks, the bodies and offsets of the records are the same, and every byte of the stream is in
//! exactly one record, but for what stands between the frames of a framing with marks and says nothing. To add a framing, write its file and name it in [`ALL`].

mod arrivals;
mod guess;
pub mod ip;
mod len16be;
mod len16le;
mod len32be;
pub mod message;
mod plausible;
mod prefix;
mod prefixed;
#[cfg(test)]
mod samples;
mod slip;
pub mod strict;

use std::time::Duration;

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::record::{Origin, Record};
pub use guess::{Guess, framing_of, guess, slip as slip_of};
pub use message::MESSAGES;
pub use slip::{SLIP_ETH, SLIP_IP};

/// The largest frame that is accepted unless the user says otherwise, in bytes: an Ethernet
/// header of 14 and an IP packet of 1500.
pub const DEFAULT_MAX_FRAME: usize = 1514;
/// The largest limit that can be asked for: QEMU disconnects whoever announces more.
pub const LONGEST_MAX_FRAME: usize = 69632;

/// Silence in mid-frame after which the known receivers discard what they have.
const STALL: Duration = Duration::from_secs(1);

/// What a line carries between its marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    /// Ethernet frames.
    Ethernet,
    /// IPv4 and IPv6 packets alone; see [`ip`].
    Ip,
}

/// One way to put frames on a line.
#[derive(Debug)]
pub struct Framing {
    /// The name in `framing=`.
    pub name: &'static str,
    /// Who speaks it, for help texts.
    pub help: &'static str,
    /// The longest frame that it can carry, in bytes.
    pub longest: usize,
    /// The bytes of the header in front of each frame, which stands as it is behind that; `None` where
    /// frames are written otherwise.
    pub header: Option<usize>,
    /// What it carries.
    pub carries: Carries,
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
pub static ALL: &[&Framing] = &[
    &len16be::LEN16BE,
    &len32be::LEN32BE,
    &len16le::LEN16LE,
    &slip::SLIP_ETH,
    &slip::SLIP_IP,
    &slip::SLIP,
];

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
    /// A length of 0 is never recovered from.
    #[error("a length of 0 is not sent in len32be: QEMU receives nothing more behind it, ever")]
    Wedges,
    /// A length at which the receiver goes away.
    #[error("a length of {0} is not sent in len32be: QEMU disconnects beyond {LONGEST_MAX_FRAME}")]
    Disconnects(usize),
    /// The rest of the frame never comes, and nobody gives it up.
    #[error(
        "it ends within a frame, and in len32be whatever follows would be taken for the rest: QEMU \
         would never be in step again"
    )]
    Cut,
    /// The line carries IP packets alone.
    #[error("a line of IP packets carries no such frame: it is neither IPv4 nor IPv6")]
    NoIp,
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

    /// Whether it is one of two and not said which: bytes can be read, but not told from the frames.
    pub fn is_open(&self) -> bool {
        *self == slip::SLIP
    }

    /// Refuses to put a header of that length in front of whatever follows, where the known receivers
    /// never recover from it.
    pub fn check_announced(&self, length: usize) -> Result<(), Unframeable> {
        match length {
            0 if *self == len32be::LEN32BE => Err(Unframeable::Wedges),
            length if *self == len32be::LEN32BE && length > self.longest => {
                Err(Unframeable::Disconnects(length))
            }
            _ => Ok(()),
        }
    }

    /// Refuses bytes that a receiver in step reads such a header out of, or half a frame that it never gives
    /// up, where the known receivers never recover from it.
    pub fn check_bytes(&self, bytes: &[u8]) -> Result<(), Unframeable> {
        let mut rest = bytes;
        while *self == len32be::LEN32BE && !rest.is_empty() {
            let (length, behind) = rest.split_first_chunk().ok_or(Unframeable::Cut)?;
            let length = u32::from_be_bytes(*length) as usize;
            self.check_announced(length)?;
            rest = behind.get(length..).ok_or(Unframeable::Cut)?;
        }
        Ok(())
    }

    /// Appends `frame` to `out` as it goes on the line.
    pub fn encode(&self, frame: &[u8], out: &mut Vec<u8>) -> Result<(), Unframeable> {
        let carried = match self.carries {
            Carries::Ethernet => frame,
            Carries::Ip if frame.is_empty() => frame,
            Carries::Ip => ip::packet(frame).ok_or(Unframeable::NoIp)?,
        };
        match carried.len() {
            0 => Err(Unframeable::Empty),
            length if length > self.longest => {
                Err(Unframeable::TooLong { length, longest: self.longest })
            }
            _ => {
                (self.append)(carried, out);
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
    fn a_line_of_ip_carries_nothing_else_and_qemu_gets_no_length_of_zero() {
        let framing = |name| Framing::by_name(name).expect("it is in the list");
        let (mut arp, mut out) = (vec![2; 42], Vec::new());
        arp[12..14].copy_from_slice(&[8, 6]);
        assert_eq!(framing("slip-ip").encode(&arp, &mut out), Err(Unframeable::NoIp));
        assert_eq!(framing("slip-ip").encode(&[], &mut out), Err(Unframeable::Empty));
        arp[12..14].copy_from_slice(&[8, 0]);
        assert_eq!(framing("slip-ip").encode(&arp[..14], &mut out), Err(Unframeable::Empty));
        assert!(out.is_empty());
        assert_eq!(framing("len32be").check_announced(0), Err(Unframeable::Wedges));
        assert_eq!(framing("len32be").check_announced(1), Ok(()));
        let more = Err(Unframeable::Disconnects(69633));
        assert_eq!(framing("len32be").check_announced(69633), more);
        assert_eq!(framing("len16be").check_announced(0), Ok(()));
        let whole = Framing { longest: 60, ..*framing("len32be") };
        assert!(
            whole.encode(&[0; 61], &mut out).is_err() && whole.encode(&[0; 60], &mut out).is_ok()
        );
    }

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
