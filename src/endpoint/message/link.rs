//! The link over a socket of messages.

use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketAddrAny, SocketAddrUnix, recvfrom, send, sendto};

use super::super::descriptor::Descriptor;
use super::super::spec::Options;
use super::super::whole::{Losses, Outlet, PATIENCE, Writer};
use super::super::{About, Link, Pending, Receive, Received};
use super::LOOK;
use crate::error::{Error, Result};
use crate::event::Events;
use crate::framing::message::{LONGEST, dress};

/// Bytes after which what was read is handed on, although there may be more.
const BATCH: usize = 64 * 1024;

/// Where messages go.
#[derive(Clone)]
pub(super) enum Destination {
    /// To the other end of the connection.
    Connected,
    /// To an address.
    Address(SocketAddrUnix),
    /// To whoever has sent the last one; a sender without an address cannot be answered.
    Sender(Arc<Mutex<Option<SocketAddrUnix>>>),
}

impl Destination {
    /// To `sender`, until another sends something.
    pub(super) fn sender(sender: Option<SocketAddrUnix>) -> Destination {
        Destination::Sender(Arc::new(Mutex::new(sender)))
    }

    /// The address, where datagrams go to one.
    fn address(&self) -> Option<SocketAddrUnix> {
        match self {
            Destination::Connected => None,
            Destination::Address(address) => Some(address.clone()),
            Destination::Sender(sender) => {
                sender.lock().unwrap_or_else(PoisonError::into_inner).clone()
            }
        }
    }

    /// A message came from `sender`.
    fn heard(&self, sender: Option<SocketAddrAny>) {
        if let Destination::Sender(last) = self {
            *last.lock().unwrap_or_else(PoisonError::into_inner) = named(sender);
        }
    }

    fn is_connected(&self) -> bool {
        matches!(self, Destination::Connected)
    }
}

/// The address of a sender that has one.
fn named(sender: Option<SocketAddrAny>) -> Option<SocketAddrUnix> {
    let sender = sender.and_then(|sender| SocketAddrUnix::try_from(sender).ok());
    sender.filter(|sender| sender.path().is_some())
}

/// A socket of messages and who is at its other end.
pub(super) struct Messages {
    socket: Descriptor,
    to: Destination,
    /// A message that has come already.
    first: Option<Vec<u8>>,
}

/// The first datagram, and who has sent it.
pub(super) async fn first(socket: &Descriptor) -> io::Result<(Vec<u8>, Option<SocketAddrUnix>)> {
    let mut buffer = vec![0; LONGEST + 1];
    let (n, sender) = socket
        .reading(|fd| {
            let (n, _, sender) = recvfrom(fd, &mut buffer[..], RecvFlags::empty())?;
            Ok((n, sender))
        })
        .await?;
    buffer.truncate(n);
    Ok((buffer, named(sender)))
}

impl Messages {
    pub(super) fn new(socket: Descriptor, to: Destination, first: Option<Vec<u8>>) -> Messages {
        Messages { socket, to, first }
    }

    /// Who is at the other end.
    pub(super) fn peer(&self) -> Option<String> {
        if self.to.is_connected() {
            return None;
        }
        let Some(address) = self.to.address() else {
            return Some("a sender without an address".to_owned());
        };
        Some(crate::escape::terminal(address.path()?.to_bytes()).to_string())
    }

    /// The link.
    pub(super) fn link(self, about: About, options: &Options, events: &Events) -> Link {
        let endpoint = about.endpoint.clone();
        let rx = Reader {
            socket: self.socket.clone(),
            to: self.to.clone(),
            first: self.first,
            buffer: vec![0; LONGEST + 1],
            is_told: false,
            endpoint: endpoint.clone(),
            events: events.clone(),
        };
        let mouth = Mouth { socket: self.socket, to: self.to, endpoint: endpoint.clone() };
        let tx = Writer::new(mouth, endpoint, options.max_frame, events);
        Link { rx: Box::new(rx), tx: Box::new(tx), about }
    }
}

struct Reader {
    socket: Descriptor,
    to: Destination,
    first: Option<Vec<u8>>,
    buffer: Vec<u8>,
    /// Whether it was told that a message was cut.
    is_told: bool,
    endpoint: String,
    events: Events,
}

impl Reader {
    /// Appends one message to `batch`, as soon as there is one; `false` at the end of a connection.
    async fn one(&mut self, batch: &mut Vec<u8>) -> io::Result<bool> {
        let Reader { socket, buffer, .. } = self;
        let received = socket.reading(|fd| recvfrom(fd, &mut buffer[..], RecvFlags::TRUNC));
        let (_, n, sender) = received.await?;
        if n == 0 && self.to.is_connected() && has_left(&self.socket) {
            return Ok(false);
        }
        self.to.heard(sender);
        self.take(n, batch);
        Ok(true)
    }

    /// Appends what is there already.
    fn more(&mut self, batch: &mut Vec<u8>) {
        while batch.len() < BATCH {
            let flags = RecvFlags::TRUNC | RecvFlags::DONTWAIT;
            match recvfrom(self.socket.as_fd(), &mut self.buffer[..], flags) {
                // The end, which the next read sees again.
                Ok((_, 0, _)) if self.to.is_connected() && has_left(&self.socket) => return,
                Ok((_, n, sender)) => {
                    self.to.heard(sender);
                    self.take(n, batch);
                }
                Err(_) => return, // nothing, or what comes again
            }
        }
    }

    fn take(&mut self, n: usize, batch: &mut Vec<u8>) {
        let message = &self.buffer[..n.min(self.buffer.len())];
        dress(message, batch);
        if n > LONGEST && !std::mem::replace(&mut self.is_told, true) {
            self.events.warn(format!(
                "{}: a message of {n} bytes was cut to {LONGEST}: no frame is that long",
                self.endpoint
            ));
        }
    }

    /// Waits until the other end of datagrams is gone; for ever, where there is none to look at.
    async fn gone(to: &Destination) {
        loop {
            tokio::time::sleep(LOOK).await;
            let is_there = to.address().map_or(Ok(()), |address| super::is_there(&address));
            if let Err(Errno::CONNREFUSED | Errno::NOENT) = is_there {
                return;
            }
        }
    }
}

/// Whether the other end of a connection has closed, so that an empty read is the end.
fn has_left(socket: &Descriptor) -> bool {
    let mut fds = [PollFd::new(socket, PollFlags::RDHUP)];
    let _ = poll(&mut fds, Some(&Timespec::default()));
    fds[0].revents().intersects(PollFlags::RDHUP | PollFlags::HUP)
}

impl Receive for Reader {
    fn receive(&mut self) -> Pending<'_, Result<Received>> {
        Box::pin(async move {
            let mut batch = Vec::new();
            if let Some(first) = self.first.take() {
                dress(&first, &mut batch);
                return Ok(Received::Bytes(batch.into()));
            }
            let to = self.to.clone();
            let received = tokio::select! {
                biased;
                received = self.one(&mut batch) => received,
                () = Reader::gone(&to) => return Ok(Received::End("its socket is gone".to_owned())),
            };
            Ok(match received {
                Ok(false) => Received::End("closed by the other end".to_owned()),
                Ok(true) => {
                    self.more(&mut batch);
                    Received::Bytes(batch.into())
                }
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    Received::End("reset by the other end".to_owned())
                }
                Err(error) => Received::End(error.kind().to_string()),
            })
        })
    }
}

/// Where messages leave.
struct Mouth {
    socket: Descriptor,
    to: Destination,
    endpoint: String,
}

impl Outlet for Mouth {
    async fn write(&self, frame: &[u8], losses: &mut Losses) -> Result<()> {
        if frame.is_empty() {
            losses.dropped("an empty message looks like the end to some receivers", "");
            return Ok(());
        }
        let (is_connected, address) = (self.to.is_connected(), self.to.address());
        let sending = self.socket.writing(|fd| match &address {
            Some(address) => sendto(fd, frame, SendFlags::NOSIGNAL, address),
            None if is_connected => send(fd, frame, SendFlags::NOSIGNAL),
            None => Err(Errno::DESTADDRREQ),
        });
        let sent = tokio::time::timeout(PATIENCE, sending).await;
        let Err(error) = sent.unwrap_or_else(|_| Err(Errno::NOBUFS.into())) else { return Ok(()) };
        match Errno::from_io_error(&error) {
            Some(Errno::NOBUFS | Errno::NOMEM) => losses.dropped("the other end takes no more", ""),
            Some(Errno::MSGSIZE) => losses.dropped("a frame is too long for a message", ""),
            Some(Errno::DESTADDRREQ) => losses.dropped("the sender has no address of its own", ""),
            _ => {
                let text = format!("cannot send to {}", self.endpoint);
                return Err(Error::environment(text).caused_by(error));
            }
        }
        Ok(())
    }

    fn close(&self) {
        if self.to.is_connected() {
            // It may be closed already.
            let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Write);
        }
    }
}
