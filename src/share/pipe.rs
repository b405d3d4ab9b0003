//! Messages from a socket.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::wire;

/// Reads messages. Its memory grows with what has arrived, not with what a length announces.
#[derive(Debug)]
pub struct Incoming<R> {
    reader: R,
    buffer: BytesMut,
    limit: usize,
}

impl<R: AsyncRead + Unpin> Incoming<R> {
    /// Reads from `reader` messages of up to `limit` bytes.
    pub fn new(reader: R, limit: usize) -> Self {
        Incoming { reader, buffer: BytesMut::new(), limit }
    }

    /// The next message, without its length; `None` when the other end is gone or talks nonsense.
    /// Cancelling it loses nothing.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            match wire::split(&mut self.buffer, self.limit) {
                Ok(Some(message)) => return Some(message),
                Ok(None) => {}
                Err(_) => return None,
            }
            self.buffer.reserve(16 * 1024);
            match self.reader.read_buf(&mut self.buffer).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return None,
            }
        }
    }
}
