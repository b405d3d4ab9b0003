//! `framing=dgram` and `framing=seqpacket` on `unix:` and `unix-listen:`: a message of the socket is a frame.
//!
//! Messages are dressed as a stream for the floors above, each behind its length (`framing::message`).
//! Seqpacket sockets have connections like streams. Datagram sockets have none: each side has a path
//! of its own to which the other sends, ours being `local=` or one in a private folder; the other end counts
//! as gone when nobody has its path any more. Whoever listens speaks with the one whose message came last.

mod link;
mod local;

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
};

use super::descriptor::Descriptor;
use super::spec::{Options, Spec};
use super::{About, Connector, Link, Pending, Standing, held, hint};
use crate::error::{Error, Result};
use crate::event::{Event, Events};
use crate::framing::message::DGRAM;
use link::{Destination, Messages};
use local::Path;
use tokio::sync::OnceCell;

/// Checks the options of `unix:` (which has `local=`) and `unix-listen:`.
pub(super) fn settle(options: &mut Options, has_local: bool) -> Result<(), String> {
    match options.own("local") {
        None => Ok(()),
        Some("") => Err("no path behind 'local='".to_owned()),
        Some(path) if path.len() > LONGEST_PATH => {
            Err(format!("the path behind 'local=' is {} bytes long, not 1 to 107", path.len()))
        }
        Some(_) if has_local && is_dgram(options) => Ok(()),
        Some(_) => Err("local= is for datagrams: add framing=dgram".to_owned()),
    }
}

/// The longest path of a socket, in bytes.
const LONGEST_PATH: usize = 107;
/// Connections that may wait for us.
const BACKLOG: i32 = 4;
/// How often to look whether the other end of datagrams is still there.
const LOOK: Duration = Duration::from_millis(500);

fn is_dgram(options: &Options) -> bool {
    *options.framing == DGRAM
}

fn socket(options: &Options) -> rustix::io::Result<OwnedFd> {
    let kind = if is_dgram(options) { SocketType::DGRAM } else { SocketType::SEQPACKET };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, kind, flags, None)
}

/// Whether a datagram socket has that address. Nothing is sent.
fn is_there(address: &SocketAddrUnix) -> rustix::io::Result<()> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
    connect(&socket, address)
}

/// A message connector.
pub(super) struct Unix {
    spec: Spec,
    events: Events,
    is_listener: bool,
    bound: OnceCell<Bound>,
}

/// A socket that others can find, and its path, which goes with it.
struct Bound {
    socket: Descriptor,
    #[expect(dead_code, reason = "goes away with it")]
    path: Path,
}

impl Unix {
    pub(super) fn new(spec: &Spec, events: Events, is_listener: bool) -> Unix {
        Unix { spec: spec.clone(), events, is_listener, bound: OnceCell::new() }
    }

    fn address(&self) -> Result<SocketAddrUnix> {
        SocketAddrUnix::new(self.spec.address.as_str()).map_err(|error| self.cannot("use", error))
    }

    /// A socket at `path`.
    fn bind(&self, path: Path) -> Result<Bound> {
        let socket = self.socket()?;
        let address =
            SocketAddrUnix::new(path.path()).map_err(|error| self.cannot("listen on", error))?;
        path.clear(is_dgram(&self.spec.options), &address)?;
        bind(&socket, &address).map_err(|error| {
            let shown = path.path().display().to_string();
            let error = std::io::Error::from(error);
            let help = super::unix::not_bound(&shown, error.kind());
            let error =
                Error::environment(format!("cannot make the socket {shown}")).caused_by(error);
            match help {
                Some(help) => error.with_help(help),
                None => error,
            }
        })?;
        let socket = self.described(socket)?;
        Ok(Bound { socket, path: path.made() })
    }

    fn socket(&self) -> Result<OwnedFd> {
        socket(&self.spec.options).map_err(|error| self.cannot("make a socket for", error))
    }

    fn described(&self, socket: OwnedFd) -> Result<Descriptor> {
        Descriptor::new(socket).map_err(|error| {
            Error::environment(format!("cannot use {}", self.spec.text)).caused_by(error)
        })
    }

    async fn listen(&self) -> Result<&Bound> {
        let listen_there = || async {
            let bound = self.bind(Path::named(&self.spec.address))?;
            if !is_dgram(&self.spec.options) {
                listen(&bound.socket, BACKLOG).map_err(|error| self.cannot("listen on", error))?;
            }
            self.events.tell(Event::Listening(format!("unix:{}", self.spec.address)));
            Ok(bound)
        };
        self.bound.get_or_try_init(listen_there).await
    }

    /// Our own end of datagrams.
    async fn own(&self) -> Result<&Bound> {
        let bind = || async {
            self.bind(match self.spec.options.own("local") {
                Some(path) => Path::named(path),
                None => Path::private()?,
            })
        };
        self.bound.get_or_try_init(bind).await
    }

    async fn accept(&self) -> Result<Link> {
        let bound = self.listen().await?;
        if is_dgram(&self.spec.options) {
            let (first, sender) = link::first(&bound.socket)
                .await
                .map_err(|error| self.failed("receive on", error))?;
            let to = Destination::sender(sender);
            return Ok(self.link(Messages::new(bound.socket.clone(), to, Some(first))));
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let accepted = bound.socket.reading(|fd| rustix::net::accept_with(fd, flags)).await;
        let socket = accepted.map_err(|error| self.failed("accept on", error))?;
        Ok(self.link(Messages::new(self.described(socket)?, Destination::Connected, None)))
    }

    async fn go(&self) -> Result<Link> {
        let address = self.address()?;
        if is_dgram(&self.spec.options) {
            is_there(&address).map_err(|error| self.cannot("connect to", error))?;
            let own = self.own().await?;
            let to = Destination::Address(address);
            return Ok(self.link(Messages::new(own.socket.clone(), to, None)));
        }
        let socket = self.socket()?;
        connect(&socket, &address).map_err(|error| self.cannot("connect to", error))?;
        Ok(self.link(Messages::new(self.described(socket)?, Destination::Connected, None)))
    }

    fn link(&self, messages: Messages) -> Link {
        let about = About {
            is_stream: false,
            endpoint: self.spec.text.clone(),
            peer: messages.peer(),
            standing: Standing::Served,
            is_live: true,
            has_left: false,
            shared: None,
        };
        messages.link(about, &self.spec.options, &self.events)
    }

    fn cannot(&self, what: &str, error: Errno) -> Error {
        let help = match error {
            Errno::NOENT => format!("there is no such socket: {}", hint::start(&self.spec)),
            Errno::CONNREFUSED => super::unix::refused(&self.spec.address),
            Errno::PROTOTYPE => held::unix_kind(&self.spec.address).advice().to_owned(),
            Errno::AGAIN => "it serves another client, and its queue is full".to_owned(),
            _ => return self.failed(what, error.into()),
        };
        self.failed(what, error.into()).with_help(help)
    }

    fn failed(&self, what: &str, error: std::io::Error) -> Error {
        let place = format!("unix:{}", self.spec.address);
        Error::environment(format!("cannot {what} {place}")).caused_by(error)
    }
}

impl Connector for Unix {
    fn name(&self) -> &str {
        &self.spec.text
    }

    fn prepare(&self) -> Pending<'_, Result<bool>> {
        Box::pin(async move {
            match (self.is_listener, is_dgram(&self.spec.options)) {
                (true, _) => self.listen().await.map(|_| true),
                // A peer that sends first has to find us.
                (false, true) => self.own().await.map(|_| false),
                (false, false) => Ok(false),
            }
        })
    }

    fn connect(&self) -> Pending<'_, Result<Link>> {
        Box::pin(
            async move { if self.is_listener { self.accept().await } else { self.go().await } },
        )
    }
}

#[cfg(test)]
mod tests;
