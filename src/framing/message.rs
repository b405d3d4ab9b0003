//! `dgram` and `seqpacket`: sockets whose messages are frames, one each, without a header.
//!
//! Nothing can get out of step there. The floors above move streams, so that a link to such a socket
//! dresses each message as a stream does a frame: behind its length, 2 bytes, big endian. That dressing
//! is our own and always right, hence a decoder that never searches: a message of no bytes, or of more
//! than the limit, is one error record that owns exactly that message, and the next one is a frame again.

use bytes::{Buf, Bytes, BytesMut};

use super::{Carries, Decoder, Framing};
use crate::clock::Timestamp;
use crate::record::{Body, FramingError, Origin, Problem, Record, Recovery, Span};

/// Every framing whose frames are messages.
pub static MESSAGES: &[&Framing] = &[&DGRAM, &SEQPACKET];

/// Datagrams of a unix socket.
pub static DGRAM: Framing = Framing {
    name: "dgram",
    help: "unix datagrams, one frame each (QEMU -netdev dgram, vfkit)",
    longest: LONGEST,
    header: Some(0), // the dressing is not on the line
    carries: Carries::Ethernet,
    decoder: |origin, max| Box::new(Messages::new(origin, max)),
    append: dress,
};

/// Messages of a unix socket that has connections.
pub static SEQPACKET: Framing = Framing {
    name: "seqpacket",
    help: "unix seqpacket messages, one frame each",
    longest: LONGEST,
    header: Some(0), // the dressing is not on the line
    carries: Carries::Ethernet,
    decoder: |origin, max| Box::new(Messages::new(origin, max)),
    append: dress,
};

/// The longest message that the dressing can announce, in bytes.
pub const LONGEST: usize = 65535;
/// The bytes of the dressing.
const HEADER: usize = 2;

/// Appends `message` behind its length; of a longer one than [`LONGEST`] only so much.
pub fn dress(message: &[u8], out: &mut Vec<u8>) {
    let length = message.len().min(LONGEST);
    out.extend_from_slice(&(length as u16).to_be_bytes());
    out.extend_from_slice(&message[..length]);
}

struct Messages {
    origin: Origin,
    max: usize,
    /// The beginning of a message.
    pending: BytesMut,
    since: Timestamp,
}

impl Messages {
    fn new(origin: Origin, max: usize) -> Self {
        Messages { origin, max, pending: BytesMut::new(), since: Timestamp::default() }
    }

    /// The length that `pending` announces.
    fn announced(&self) -> Option<usize> {
        let header = self.pending.first_chunk::<HEADER>()?;
        Some(usize::from(u16::from_be_bytes(*header)))
    }

    fn record(&self, now: Timestamp, body: Body) -> Record {
        let time = Some(Span { first: self.since, last: now });
        Record { time, origin: self.origin, offset: None, body }
    }

    /// What a whole message is.
    fn judge(&self, mut message: Bytes) -> Body {
        let length = message.len() - HEADER;
        let error = |problem, bytes| {
            Body::FramingError(FramingError { problem, bytes, recovery: Recovery::Sure })
        };
        match length {
            0 => error(Problem::ZeroLength, message),
            _ if length > self.max => {
                let (length, limit) = (length as u32, self.max.try_into().unwrap_or(u32::MAX));
                error(Problem::TooLong { length, limit }, message)
            }
            _ => {
                message.advance(HEADER);
                Body::Frame(message)
            }
        }
    }

    fn end(&mut self, now: Timestamp, recovery: Recovery, out: &mut Vec<Record>) {
        if self.pending.is_empty() {
            return;
        }
        let length = self.announced().map(|length| length as u32);
        let bytes = self.pending.split().freeze();
        let error = FramingError { problem: Problem::Cut { length }, bytes, recovery };
        out.push(self.record(now, Body::FramingError(error)));
    }
}

impl Decoder for Messages {
    fn push(&mut self, now: Timestamp, bytes: &Bytes, out: &mut Vec<Record>) {
        if self.pending.is_empty() {
            self.since = now;
        }
        self.pending.extend_from_slice(bytes);
        while let Some(length) = self.announced() {
            if self.pending.len() < HEADER + length {
                return;
            }
            let message = self.pending.split_to(HEADER + length).freeze();
            out.push(self.record(now, self.judge(message)));
            self.since = now;
        }
    }

    fn idle(&mut self, _: Timestamp, _: &mut Vec<Record>) {}

    fn finish(&mut self, now: Timestamp, out: &mut Vec<Record>) {
        self.end(now, Recovery::Ended, out);
    }

    fn stop(&mut self, now: Timestamp, out: &mut Vec<Record>) {
        self.end(now, Recovery::Stopped, out);
    }

    fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    fn until_boundary(&self) -> Option<usize> {
        match (self.pending.len(), self.announced()) {
            (0, _) => Some(0),
            (have, Some(length)) => Some(HEADER + length - have),
            (_, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::Direction;

    fn bodies(chunks: &[&[u8]], max: usize) -> Vec<Body> {
        let mut decoder = (DGRAM.decoder)(Origin::new(Direction::FromDevice), max);
        let mut out = Vec::new();
        for chunk in chunks {
            decoder.push(Timestamp(5), &Bytes::copy_from_slice(chunk), &mut out);
        }
        decoder.finish(Timestamp(6), &mut out);
        out.into_iter().map(|record| record.body).collect()
    }

    fn frame(bytes: &'static [u8]) -> Body {
        Body::Frame(Bytes::from_static(bytes))
    }

    fn error(problem: Problem, bytes: &'static [u8], recovery: Recovery) -> Body {
        let bytes = Bytes::from_static(bytes);
        Body::FramingError(FramingError { problem, bytes, recovery })
    }

    #[test]
    fn an_odd_message_is_one_error_and_the_next_is_a_frame() {
        let mut stream = Vec::new();
        for message in [&b"one"[..], b"", b"too long", b"two"] {
            dress(message, &mut stream);
        }
        let too_long = Problem::TooLong { length: 8, limit: 5 };
        let wanted = [
            frame(b"one"),
            error(Problem::ZeroLength, b"\0\0", Recovery::Sure),
            error(too_long, b"\0\x08too long", Recovery::Sure),
            frame(b"two"),
        ];
        assert_eq!(bodies(&[&stream], 5), wanted);
        assert_eq!(bodies(&[&stream[..5]], 5), wanted[..1], "nothing is left");
        let cut = error(Problem::Cut { length: None }, b"\0", Recovery::Ended);
        assert_eq!(bodies(&[&stream[5..6]], 5), [cut]);
    }

    #[test]
    fn a_message_longer_than_can_be_said_is_cut() {
        let mut stream = Vec::new();
        dress(&[7; 70_000], &mut stream);
        assert_eq!((stream.len(), &stream[..3]), (65537, &[0xff, 0xff, 7][..]));
    }

    proptest! {
        #[test]
        fn any_split_of_any_bytes_gives_the_same(
            bytes in prop::collection::vec(prop_oneof![3 => 0u8..6, 1 => any::<u8>()], 0..400),
            cut in 1usize..50,
        ) {
            let pieces: Vec<_> = bytes.chunks(cut).collect();
            prop_assert_eq!(bodies(&pieces, 600), bodies(&[&bytes], 600));
        }
    }
}
