//! The link over any byte stream: a reader, a writer, and what has to be done around each read.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::queue::Gauge;
use super::room::Queue;
use super::{About, Link, Pending, Receive, Received, Transmit};
use crate::error::{Category, Error, Result};
use crate::framing::{Framing, Unframeable};

/// Room for one read. A read takes what is there, so that a small frame is not delayed; buffers
/// are shared by the reads that fit into them.
const READ: usize = 64 * 1024;
/// A buffer with less room than this is replaced rather than filled.
const LEAST: usize = 4 * 1024;

/// When the peer is to be told at once that its bytes have arrived, so that it sends the next; see
/// `tcp.rs`. It is done when the next read begins: what came has been passed on by then and did not
/// have to wait.
pub(super) enum Acknowledge<R> {
    /// The system does it in its own time.
    Never,
    /// After every read.
    Always(fn(&R)),
    /// After every read, from the first one on that brings less than a frame: the peer writes frames
    /// in pieces and may be holding back the next.
    Pieces(fn(&R)),
}

/// The shortest frame with its header, in bytes: two of length and an Ethernet header.
const SHORTEST: usize = 16;

/// Makes a link of the two halves of a stream.
pub(super) fn link<R, W>(
    reader: R,
    writer: W,
    acknowledge: Acknowledge<R>,
    framing: &'static Framing,
    about: About,
) -> Link
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let endpoint = about.endpoint.clone();
    let rx = Reader {
        reader,
        acknowledge,
        is_due: false,
        buffer: BytesMut::new(),
        endpoint: endpoint.clone(),
        is_live: about.is_live,
    };
    let tx = Writer { writer, framing, buffer: Vec::new(), endpoint, queue: None };
    Link { rx: Box::new(rx), tx: Box::new(tx), about }
}

struct Reader<R> {
    reader: R,
    acknowledge: Acknowledge<R>,
    is_due: bool,
    buffer: BytesMut,
    endpoint: String,
    is_live: bool,
}

impl<R: AsyncRead + Unpin + Send> Receive for Reader<R> {
    fn receive(&mut self) -> Pending<'_, Result<Received>> {
        Box::pin(async move {
            if self.buffer.capacity() < LEAST {
                self.buffer = BytesMut::with_capacity(READ);
            }
            if let (true, Acknowledge::Always(at_once)) =
                (std::mem::take(&mut self.is_due), &self.acknowledge)
            {
                at_once(&self.reader);
            }
            match self.reader.read_buf(&mut self.buffer).await {
                Ok(0) => Ok(Received::End("closed by the other end".to_owned())),
                Ok(n) => {
                    if let (Acknowledge::Pieces(at_once), ..SHORTEST) = (&self.acknowledge, n) {
                        self.acknowledge = Acknowledge::Always(*at_once);
                    }
                    self.is_due = true;
                    Ok(Received::Bytes(self.buffer.split().freeze()))
                }
                Err(error) if self.is_live => Ok(Received::End(said(&error))),
                Err(error) => {
                    let text = format!("cannot read {}", self.endpoint);
                    Err(Error::new(Category::InputFile, text).caused_by(error))
                }
            }
        })
    }
}

/// The same; never more than `bound` bytes are in front of the peer unread, as `gauge` shows them.
pub(super) fn bounded_link<R, W>(
    (reader, writer): (R, W),
    acknowledge: Acknowledge<R>,
    framing: &'static Framing,
    about: About,
    (gauge, bound): (Gauge, usize),
) -> Link
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let endpoint = about.endpoint.clone();
    let queue = Some(Queue::new(gauge, bound));
    let tx = Writer { writer, framing, buffer: Vec::new(), endpoint, queue };
    let nobody = tokio::io::sink();
    let link = link(reader, nobody, acknowledge, framing, about);
    Link { tx: Box::new(tx), ..link }
}

struct Writer<W> {
    writer: W,
    framing: &'static Framing,
    buffer: Vec<u8>,
    endpoint: String,
    queue: Option<Queue>,
}

impl<W: AsyncWrite + Unpin + Send> Transmit for Writer<W> {
    fn send<'a>(&'a mut self, frames: &'a [Bytes]) -> Pending<'a, Result<()>> {
        Box::pin(async move {
            self.buffer.clear();
            for frame in frames {
                match self.framing.encode(frame, &mut self.buffer) {
                    Ok(()) | Err(Unframeable::NoIp) => {} // what the line does not know is not missed there
                    Err(error) => return Err(Error::usage("cannot send").caused_by(error)),
                }
            }
            if let Some(queue) = &mut self.queue
                && !queue.make_room(self.buffer.len()).await
            {
                self.queue = None;
            }
            let sent = self.writer.write_all(&self.buffer).await;
            sent.map_err(|error| cannot_send(&self.endpoint, error))
        })
    }

    fn send_raw<'a>(&'a mut self, bytes: &'a [u8]) -> Pending<'a, Result<()>> {
        Box::pin(async move {
            let sent = self.writer.write_all(bytes).await;
            sent.map_err(|error| cannot_send(&self.endpoint, error))
        })
    }

    fn close(&mut self) -> Pending<'_, Result<()>> {
        Box::pin(async move {
            let closed = self.writer.shutdown().await;
            closed.map_err(|error| cannot_send(&self.endpoint, error))
        })
    }
}

fn cannot_send(endpoint: &str, error: io::Error) -> Error {
    Error::environment(format!("cannot send to {endpoint}")).caused_by(error)
}

fn said(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionReset => "reset by the other end".to_owned(),
        kind => kind.to_string(),
    }
}

/// The half of a link through which nothing can go.
pub(super) struct ReadOnly(pub &'static str);

impl Transmit for ReadOnly {
    fn send<'a>(&'a mut self, _: &'a [Bytes]) -> Pending<'a, Result<()>> {
        Box::pin(async { Err(Error::usage(self.0)) })
    }

    fn send_raw<'a>(&'a mut self, _: &'a [u8]) -> Pending<'a, Result<()>> {
        Box::pin(async { Err(Error::usage(self.0)) })
    }

    fn close(&mut self) -> Pending<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }
}
