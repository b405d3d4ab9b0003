//! A connection that remembers how a response began: when its first byte came, and its head as it was sent.
//!
//! The HTTP library gives header lines with names in lower case and without order, and a status without
//! its words. What the device really said is heard here, on the way to the library.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

use crate::clock::{Clock, Timestamp};

/// Bytes of a head that are kept; the library takes no longer ones.
const MOST: usize = 512 * 1024;

/// What was heard since the last request.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// When the first byte came.
    pub(super) first: Option<Timestamp>,
    bytes: Vec<u8>,
    is_whole: bool,
}

impl Heard {
    /// Takes bytes that came at `now`, up to the end of the head.
    fn take(&mut self, bytes: &[u8], now: Timestamp) {
        if bytes.is_empty() {
            return;
        }
        self.first.get_or_insert(now);
        if self.is_whole || self.bytes.len() >= MOST {
            return;
        }
        self.bytes.extend_from_slice(bytes.get(..MOST - self.bytes.len()).unwrap_or(bytes));
        while let Some(end) = end_of_head(&self.bytes) {
            if !is_interim(&self.bytes) {
                self.bytes.truncate(end);
                self.is_whole = true;
                return;
            }
            self.bytes.drain(..end); // a 100 comes before the response
        }
    }

    /// The head as it came, with the empty line at its end; nothing as long as it is not whole.
    pub(super) fn head(&self) -> &[u8] {
        if self.is_whole { &self.bytes } else { &[] }
    }
}

/// Where the head ends: behind its empty line. Lines may end without CR, and empty ones may come first, as
/// RFC 9112 section 2.2 has it.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut has_lines = false;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        at += line.len();
        let is_empty = matches!(line, b"\n" | b"\r\n");
        if is_empty && has_lines {
            return Some(at);
        }
        has_lines |= !is_empty;
    }
    None
}

/// Whether a head is that of a response before the response (1xx), and no change of the protocol.
fn is_interim(head: &[u8]) -> bool {
    let status = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    status.len() >= 3 && status.starts_with(b"1") && !status.starts_with(b"101")
}

/// The connection.
#[derive(Debug)]
pub(super) struct Ear {
    stream: UnixStream,
    clock: Clock,
    heard: SharedHeard,
}

/// A [`Heard`] that the listener and the asker share.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedHeard(Arc<Mutex<Heard>>);

impl SharedHeard {
    /// What was heard until now.
    pub(super) fn get(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request begins.
    pub(super) fn begin(&self) {
        *self.get() = Heard::default();
    }
}

impl Ear {
    pub(super) fn new(stream: UnixStream, clock: Clock, heard: SharedHeard) -> Ear {
        Ear { stream, clock, heard }
    }
}

impl AsyncRead for Ear {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, into))?;
        let now = self.clock.now();
        self.heard.get().take(into.filled().get(before..).unwrap_or_default(), now);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Ear {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(pieces: &[&[u8]]) -> Heard {
        let mut heard = Heard::default();
        for (n, piece) in pieces.iter().enumerate() {
            heard.take(piece, Timestamp(n as u64));
        }
        heard
    }

    #[test]
    fn the_head_is_what_came_in_whatever_pieces() {
        let all = b"HTTP/1.1 500 Sensor Broken\r\nX-CamelCase: 1\r\n\r\nbody\r\n\r\n";
        let head = &all[..all.len() - 8];
        for at in 0..all.len() {
            let heard = heard(&[&all[..at], &all[at..]]);
            assert_eq!(heard.head(), head, "{at}");
            assert_eq!(heard.first, Some(Timestamp(u64::from(at == 0))));
        }
        assert_eq!(heard(&[&head[..head.len() - 1]]).head(), b"", "it is not whole");
        assert_eq!(heard(&[b""]).first, None);
    }

    #[test]
    fn what_comes_before_the_response_is_not_its_head() {
        let heard =
            heard(&[b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 ", b"Hints\r\n\r\nHTTP/1.0 "]);
        assert_eq!((heard.head(), heard.bytes.as_slice()), (&b""[..], &b"HTTP/1.0 "[..]));
        assert_eq!(
            super::tests::heard(&[b"\r\nHTTP/1.1 200 OK\n\nx"]).head(),
            b"\r\nHTTP/1.1 200 OK\n\n"
        );
    }

    #[test]
    fn a_head_without_an_end_is_not_kept_for_good() {
        let piece = vec![b'x'; 100_000];
        let heard = heard(&[&piece[..]; 8]);
        assert_eq!((heard.bytes.len(), heard.head()), (MOST, &b""[..]));
    }
}
