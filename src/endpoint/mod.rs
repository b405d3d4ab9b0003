//! Where a tunnel is, and how to get there.
//!
//! Endpoint text parses into a [`Spec`]; a spec opens as a [`Connector`]; a connector connects,
//! again and again if need be, and yields a [`Link`]; a link splits into a sending and a receiving
//! half. What changes traffic wraps a link and is a link; [`reconnect`] wraps a connector and is
//! one. To add a transport, write its file and name it in [`spec::FORMS`].

mod attach;
mod descriptor;
mod exec;
mod file;
mod held;
mod hint;
pub mod impair;
mod look;
pub mod memory;
#[cfg(target_os = "linux")]
mod message;
pub mod paced;
mod pty;
pub mod queue;
pub mod reconnect;
mod room;
pub mod serial;
pub mod sharing;
#[cfg(target_os = "linux")]
mod sock_diag;
pub mod spec;
pub mod stdio;
mod stream;
mod tap;
mod tcp;
mod unix;
#[cfg(target_os = "linux")]
mod whole;

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;

use crate::clock::{Clock, Timestamp};
use crate::error::Result;
use crate::event::Events;
use crate::framing::Framing;
use crate::record::Record;
use crate::share::wire::Host;
pub use attach::{Attach, Attached, Exclusive};
pub use held::{listening, serving};
pub use spec::{Options, Spec};

/// A future that a trait object returns.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Something that can be connected to.
pub trait Connector: Send + Sync {
    /// The endpoint as the user wrote it.
    fn name(&self) -> &str;

    /// Makes ready what can be before anybody connects, such as a listening socket; says whether
    /// others can now connect to us. Called before the first [`Connector::connect`].
    fn prepare(&self) -> Pending<'_, Result<bool>> {
        Box::pin(async { Ok(false) })
    }

    /// Connects. May be called again when the link is gone.
    fn connect(&self) -> Pending<'_, Result<Link>>;

    /// Whether it makes sense to connect again after a link was lost.
    fn is_persistent(&self) -> bool {
        false
    }
}

/// A connection to a tunnel.
pub struct Link {
    /// The receiving half.
    pub rx: Box<dyn Receive>,
    /// The sending half.
    pub tx: Box<dyn Transmit>,
    /// What is known about it.
    pub about: About,
}

/// What is known about a connection.
#[derive(Clone, Debug)]
pub struct About {
    /// The endpoint as the user wrote it.
    pub endpoint: String,
    /// Who is at the other end, as far as the system can tell.
    pub peer: Option<String>,
    /// Whether the other end is known to serve us.
    pub standing: Standing,
    /// Whether it is a stream of bytes; a link that carries frames whole has no framing to go wrong.
    pub is_stream: bool,
    /// Whether the arrival of bytes says when they were on the line; a file does not.
    pub is_live: bool,
    /// Whether a client had closed its side already when it was accepted.
    pub has_left: bool,
    /// When the link goes through another uarttool that holds the line.
    pub shared: Option<Shared>,
}

/// What is particular about a link through another uarttool: it yields [`Received::Records`], of
/// both directions, and what is sent through it comes back as records like everybody else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shared {
    /// The addresses under which the holder speaks and answers, if it does.
    pub host: Option<Host>,
    /// How frames are put on the line, if it says so in words that we know.
    pub framing: Option<&'static Framing>,
}

/// Whether the peer of a socket has closed its side.
#[cfg(target_os = "linux")]
fn has_left(socket: impl std::os::fd::AsFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds = [PollFd::new(&socket, PollFlags::RDHUP)];
    poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

#[cfg(not(target_os = "linux"))]
fn has_left(_: impl std::os::fd::AsFd) -> bool {
    false
}

/// Whether the other end serves us, or may have put us into a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The other end has accepted the connection.
    Served,
    /// It cannot be told from here: whoever wants to send should wait for a frame first.
    Unverified,
}

/// What a receiving half yields.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// Bytes of a stream, in whatever pieces they came.
    Bytes(Bytes),
    /// What another uarttool, which holds the line, has seen there: framed, timed and directed.
    Records(Vec<Record>),
    /// The other end has closed or vanished; the text says how it showed.
    End(String),
}

/// The receiving half of a link.
pub trait Receive: Send {
    /// Waits for something to arrive. Cancelling it loses nothing.
    fn receive(&mut self) -> Pending<'_, Result<Received>>;

    /// Asks for records in place of bytes, of both directions, in the times of `clock` and as of
    /// `connection`. True if they will come: what is sent then comes back when it has gone, and is to be
    /// shown then. Links that carry what they are given as it is speak in bytes.
    fn speak_in_records(&mut self, _clock: &Clock, _connection: u32) -> bool {
        false
    }
}

/// The sending half of a link.
pub trait Transmit: Send {
    /// Sends whole frames, each in one piece with its header, all of them in as few writes as
    /// possible. Cancelling it may leave half a frame on the line.
    fn send<'a>(&'a mut self, frames: &'a [Bytes]) -> Pending<'a, Result<()>>;

    /// Sends bytes as they are. An error on links that are no streams.
    fn send_raw<'a>(&'a mut self, bytes: &'a [u8]) -> Pending<'a, Result<()>>;

    /// When the last thing went that was sent, where the other end of the link tells that.
    fn sent_at(&self) -> Option<Timestamp> {
        None
    }

    /// Says that nothing more will be sent.
    fn close(&mut self) -> Pending<'_, Result<()>>;
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("about", &self.about).finish_non_exhaustive()
    }
}

impl Spec {
    /// The connector for this endpoint, with reconnecting around it when the user asked for that.
    /// With `attach` it goes through the uarttool that holds the line, if there is one.
    pub fn open(&self, events: &Events, attach: Option<Attach>) -> Box<dyn Connector> {
        let connector = (self.form.open)(self, events.clone());
        let connector = Box::new(look::Look::new(connector, &self.options, events));
        let connector = match attach {
            Some(attach) => attach.or(self, connector, events.clone()),
            None => connector,
        };
        self.persistent(connector, events)
    }

    /// `connector`, paced and impaired as the user asked for.
    pub fn impaired(&self, connector: Box<dyn Connector>, events: &Events) -> Box<dyn Connector> {
        let options = &self.options;
        // A form with a line of its own has its rate, too.
        let rate = options.line_rate.filter(|_| !self.form.options.contains(&"line-rate"));
        let connector = match rate {
            Some(baud) => paced::around(connector, baud, options.framing),
            None => connector,
        };
        impair::around(self, connector, events)
    }

    /// The same, with reconnecting around it when the user asked for that.
    pub fn persistent(&self, connector: Box<dyn Connector>, events: &Events) -> Box<dyn Connector> {
        let connector = self.impaired(connector, events);
        match self.options.reconnect {
            Some(every) => Box::new(reconnect::Reconnect::new(connector, every, events.clone())),
            None => connector,
        }
    }
}
