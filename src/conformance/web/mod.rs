//! Well-formed HTTP: requests of an ordinary client to the device, over the judge's own line.
//!
//! Theory of operation. The judge has no TCP for streams of its own; whoever puts it together hands one in, a
//! [`Web`], which speaks from ports of its own ([`PORTS`]). A [`Trial`](super::trial::Trial) is its only way to the
//! line: whenever the trial waits for something, it sends the frames that the `Web` has, and hands over those
//! that come for its ports. So they pass the invariants and stand in the evidence like all others, a test may
//! ping while requests go on, and what a connection did is read from its frames ([`Wire`]) and not told by
//! who made it.

mod wire;

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::endpoint::Pending;
use crate::probe::Identity;
pub(super) use wire::Wires;
pub use wire::{Side, Wire};

/// The ports of ours that requests come from; no test uses them otherwise.
pub const PORTS: RangeInclusive<u16> = 60_000..=u16::MAX;
/// Bytes of a body that are kept; its length and hash count all of them.
pub const KEPT: usize = 64 * 1024;
/// What comes within so short a time of the body is one step of its progress.
const STEP: Duration = Duration::from_millis(10);

/// The ends of the connections that are to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The addresses.
    pub identity: Identity,
    /// The device's port.
    pub port: u16,
    /// The longest frame in bytes.
    pub max_frame: usize,
}

/// A request that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Header fields beyond `host` and `content-length`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// The maximum segment size that we announce, where it is not that of the line.
    pub mss: Option<u16>,
    /// The connection is left open for another request.
    pub keeps: bool,
    /// Our port of the connection to use, one that was kept.
    pub on: Option<u16>,
}

impl Request {
    /// One without a body.
    pub fn new(method: &str, target: impl Into<String>) -> Request {
        Request {
            method: method.to_owned(),
            target: target.into(),
            headers: Vec::new(),
            body: Bytes::new(),
            mss: None,
            keeps: false,
            on: None,
        }
    }

    /// A GET.
    pub fn get(target: impl Into<String>) -> Request {
        Request::new("GET", target)
    }

    /// A POST of `body`.
    pub fn post(target: impl Into<String>, body: impl Into<Bytes>) -> Request {
        Request { body: body.into(), ..Request::new("POST", target) }
    }

    /// The same with another header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Request {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with that maximum segment size.
    #[must_use]
    pub fn mss(self, mss: u16) -> Request {
        Request { mss: Some(mss), ..self }
    }

    /// The same, leaving its connection open.
    #[must_use]
    pub fn keep(self) -> Request {
        Request { keeps: true, ..self }
    }

    /// The same on the connection that was kept at that port of ours.
    #[must_use]
    pub fn on(self, port: u16) -> Request {
        Request { on: Some(port), ..self }
    }
}

/// What marks the end of a response (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delimiter {
    /// The end of its head: it has no body.
    Head,
    /// `content-length`.
    Length(u64),
    /// A last chunk.
    Chunked,
    /// The end of the connection.
    #[default]
    Close,
}

/// What became of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exchange {
    /// Our port of the connection; 0 before there is one.
    pub port: u16,
    /// The response's status, if its head came.
    pub status: Option<u16>,
    /// The minor version of HTTP/1 in the response.
    pub minor_version: u8,
    /// The response's header fields in their order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// What marks its end.
    pub delimiter: Delimiter,
    /// Bytes of the body.
    pub length: u64,
    /// The SHA-256 of the body, as far as it came.
    pub sha256: [u8; 32],
    /// The body, up to [`KEPT`] bytes.
    pub body: Vec<u8>,
    /// From the request to the head of the response.
    pub first_byte: Option<Duration>,
    /// From the request to the end of the response, or to when we gave up.
    pub total: Duration,
    /// When how many bytes of the body had come, since the request; a step covers 10 ms at least.
    pub progress: Vec<(Duration, u64)>,
    /// Why there is no whole response.
    pub failure: Option<String>,
    /// What the connection did, all requests on it together.
    pub wire: Wire,
}

impl Exchange {
    /// The value of a header field; its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Whether a whole response with that status has come. One that ends with its connection is whole
    /// only if that did not end by a reset.
    pub fn is_whole(&self, status: u16) -> bool {
        let is_cut = self.delimiter == Delimiter::Close && self.wire.is_reset;
        self.failure.is_none() && self.status == Some(status) && !is_cut
    }

    /// From the first SYN to its acceptance.
    pub fn connected(&self) -> Option<Duration> {
        Some(self.wire.accepted?.since(self.wire.opened))
    }

    /// More of the body has come.
    pub fn came(&mut self, bytes: &[u8], since_request: Duration) {
        self.length += bytes.len() as u64;
        let room = KEPT.saturating_sub(self.body.len());
        self.body.extend(bytes.iter().take(room));
        let previous = self.progress.len().checked_sub(2).and_then(|n| self.progress.get(n));
        let previous = previous.map_or(Duration::ZERO, |(time, _)| *time);
        match self.progress.last_mut() {
            Some(last) if since_request < previous + STEP => *last = (since_request, self.length),
            _ => self.progress.push((since_request, self.length)),
        }
    }

    /// In one line, for reports.
    pub fn said(&self) -> String {
        match (self.status, &self.failure) {
            (None, Some(why)) => why.clone(),
            (None, None) => "no response".to_owned(),
            (Some(status), None) => format!("status {status} and a body of {} bytes", self.length),
            (Some(status), Some(why)) => {
                format!("status {status}, {} bytes of a body, and then {why}", self.length)
            }
        }
    }
}

/// A request under way; let go of, it is broken off.
#[derive(Debug)]
pub struct Asking {
    exchange: Arc<Mutex<Exchange>>,
    began: Instant,
    /// Ends when there is nothing more to come.
    pub(super) task: JoinHandle<()>,
}

impl Asking {
    /// One whose `task` writes down in `exchange` what it knows.
    pub fn new(exchange: Arc<Mutex<Exchange>>, task: JoinHandle<()>) -> Asking {
        Asking { exchange, began: Instant::now(), task }
    }

    /// What is known by now.
    pub fn known(&self) -> MutexGuard<'_, Exchange> {
        self.exchange.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives it up for this reason; what is known.
    pub(super) fn give_up(&self, why: String) -> Exchange {
        let mut exchange = self.known();
        exchange.total = self.began.elapsed();
        exchange.failure.get_or_insert(why);
        exchange.clone()
    }

    /// Whether all is known.
    pub fn is_done(&self) -> bool {
        self.task.is_finished()
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A client of the device's web server. It sends nothing but segments of the connections of its requests.
pub trait Web {
    /// Begins a request.
    fn begin(&mut self, request: Request, ends: Ends) -> Asking;
    /// Takes a frame from the device, if it belongs to a connection at one of [`PORTS`].
    fn take(&mut self, frame: &Bytes) -> bool;
    /// The next frame that it wants to be sent; cancelling it loses none.
    fn next(&mut self) -> Pending<'_, Bytes>;
    /// Our ports of the connections that are open.
    fn open(&self) -> Vec<u16>;
    /// Lets go of the connections that were kept: they end in order.
    fn close(&mut self);
    /// Forgets every connection at once.
    fn clear(&mut self);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_kept_in_steps_and_the_body_in_bounds() {
        let mut exchange = Exchange::default();
        for ms in 0..100 {
            exchange.came(&[7; 1000], Duration::from_millis(ms));
        }
        assert_eq!((exchange.length, exchange.body.len()), (100_000, KEPT));
        assert_eq!(exchange.progress.last(), Some(&(Duration::from_millis(99), 100_000)));
        assert!((9..=12).contains(&exchange.progress.len()), "{:?}", exchange.progress);
    }

    #[test]
    fn a_response_that_ends_with_a_reset_is_whole_only_when_its_length_was_said() {
        let wire = Wire { is_reset: true, ..Wire::default() };
        let mut exchange = Exchange { status: Some(200), wire, ..Exchange::default() };
        assert!(!exchange.is_whole(200));
        exchange.delimiter = Delimiter::Length(0);
        assert!(exchange.is_whole(200) && !exchange.is_whole(404));
        exchange.failure = Some("it broke".to_owned());
        assert!(!exchange.is_whole(200));
    }
}
