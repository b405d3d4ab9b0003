//! The judge's web client: hyper over the gateway's TCP, laid on the judge's own line.
//!
//! Of the gateway only its connections are used: it gets nothing but segments for our ports, and so answers
//! nothing that is not theirs. Between client and connection is a pipe in memory, not a socket. That keeps virtual
//! time exact, since a socket would need the system to say when it is ready; and there is no pool, no name
//! service and no thread behind it that would have to be waited for.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Response, Version};
use hyper_util::rt::TokioIo;
use sha2::{Digest, Sha256};
use tokio::io::DuplexStream;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Instant;

use crate::clock::{Clock, Timestamp};
use crate::conformance::web::{Asking, Delimiter, Ends, Exchange, PORTS, Request, Web};
use crate::endpoint::Pending;
use crate::event::Events;
use crate::gateway::{Gateway, Outcome, Settings};
use crate::proto::{be16, ethernet, tcp};
use crate::tap::host::Station;

/// Bytes between client and connection.
const PIPE: usize = 16 * 1024;
/// Bytes of a connection that may be on their way.
const WINDOW: usize = 32 * 1024;
/// How long a device may take to accept.
const ACCEPT: Duration = Duration::from_secs(60);
/// Bytes of the headers of a segment without options.
const HEADERS: usize = 40;
/// The smallest packet that every host takes (RFC 791 section 3.1).
const LEAST_PACKET: usize = 68;

/// Connections that were kept, by our port.
type Kept = Arc<Mutex<HashMap<u16, SendRequest<Full<Bytes>>>>>;

/// The judge's web client.
pub struct Forwarded {
    clock: Clock,
    gateway: Option<(Ends, Gateway)>,
    frames: VecDeque<Bytes>,
    batch: Vec<Bytes>,
    kept: Kept,
    flows: HashMap<u16, AbortHandle>,
}

impl Forwarded {
    /// One whose ports and sequence numbers `seed` decides, if there is one; otherwise the time does.
    pub fn new(seed: Option<u64>) -> Forwarded {
        let anchor = Instant::now();
        let clock = match seed {
            None => super::tokio_clock(),
            Some(seed) => {
                let start = Timestamp((seed % 1_000_000) * 1_000_000);
                Clock::from_source(start, move || anchor.elapsed())
            }
        };
        Forwarded {
            clock,
            gateway: None,
            frames: VecDeque::new(),
            batch: Vec::new(),
            kept: Kept::default(),
            flows: HashMap::new(),
        }
    }

    /// The gateway between these ends.
    fn gateway(&mut self, ends: Ends) -> Gateway {
        let same =
            |known: &Ends| (known.identity, known.max_frame) == (ends.identity, ends.max_frame);
        if let Some((_, gateway)) = self.gateway.as_ref().filter(|(known, _)| same(known)) {
            return gateway.clone();
        }
        let settings = Settings {
            host_ip: ends.identity.host_ip,
            host_mac: ends.identity.host_mac,
            device_ip: ends.identity.device_ip,
            is_device_ip_fixed: true,
            device_mac: Some(ends.identity.device_mac),
            carries: crate::framing::Carries::Ethernet,
            mtu: ends.max_frame.saturating_sub(ethernet::HEADER).max(LEAST_PACKET),
            window: WINDOW,
            hold: ACCEPT,
            first_port: *PORTS.start(),
        };
        let gateway = Gateway::new(settings, self.clock.clone(), Events::ignore());
        gateway.up(None);
        self.gateway = Some((ends, gateway.clone()));
        gateway
    }

    /// A connection that is being made: our port, our end of the pipe, and how it will have ended.
    fn dial(&mut self, request: &Request, ends: Ends) -> Option<Dialled> {
        let gateway = self.gateway(ends);
        let whole = ends.max_frame.saturating_sub(ethernet::HEADER);
        let mtu = request.mss.map_or(whole, |mss| whole.min(usize::from(mss) + HEADERS));
        let (near, far) = tokio::io::duplex(PIPE);
        let (port, carrying) = gateway.dial(far, ends.port, mtu.max(LEAST_PACKET))?;
        let carrying = tokio::spawn(carrying);
        self.flows.retain(|_, flow| !flow.is_finished());
        self.flows.insert(port, carrying.abort_handle());
        Some((port, near, carrying))
    }
}

type Dialled = (u16, DuplexStream, JoinHandle<Outcome>);

impl Web for Forwarded {
    fn begin(&mut self, request: Request, ends: Ends) -> Asking {
        let exchange = Arc::<Mutex<Exchange>>::default();
        let kept = self.kept.clone();
        let written = Written { exchange: exchange.clone(), began: Instant::now() };
        let task = match request.on {
            Some(port) => {
                let sender = lock(&kept).remove(&port);
                lock(&exchange).port = port;
                tokio::spawn(async move {
                    match sender {
                        Some(sender) => drop(written.fetch(sender, request, ends, &kept).await),
                        None => written.failed("there is no such connection any more".to_owned()),
                    }
                })
            }
            None => match self.dial(&request, ends) {
                Some((port, near, carrying)) => {
                    lock(&exchange).port = port;
                    tokio::spawn(written.on_new(near, carrying, request, ends, kept))
                }
                None => tokio::spawn(async move {
                    written.failed("there are too many connections".to_owned());
                }),
            },
        };
        Asking::new(exchange, task)
    }

    fn take(&mut self, frame: &Bytes) -> bool {
        let Some((_, gateway)) = self.gateway.as_ref().filter(|_| is_ours(frame)) else {
            return false;
        };
        gateway.receive(frame);
        true
    }

    fn next(&mut self) -> Pending<'_, Bytes> {
        Box::pin(async move {
            loop {
                if let Some(frame) = self.frames.pop_front() {
                    return frame;
                }
                let Some((_, gateway)) = &self.gateway else { return std::future::pending().await };
                gateway.next(&mut self.batch).await;
                self.frames.extend(self.batch.drain(..));
            }
        })
    }

    fn open(&self) -> Vec<u16> {
        let open = self.flows.iter().filter(|(_, flow)| !flow.is_finished());
        let mut ports: Vec<_> = open.map(|(port, _)| *port).collect();
        ports.sort_unstable();
        ports
    }

    fn close(&mut self) {
        lock(&self.kept).clear();
    }

    fn clear(&mut self) {
        self.close();
        self.flows.drain().for_each(|(_, flow)| flow.abort());
        self.frames.clear();
        self.batch.clear();
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a frame is a segment for one of our ports, and does not want to open a connection there.
fn is_ours(frame: &[u8]) -> bool {
    let Some(packet) = frame.get(ethernet::HEADER..) else { return false };
    let header = packet.first().map_or(0, |first| usize::from(first & 15) * 4);
    let port = be16(packet, header + 2);
    let flags = packet.get(header + 13).copied().unwrap_or_default();
    be16(frame, 12) == Some(0x0800)
        && packet.get(9) == Some(&6)
        && port.is_some_and(|port| PORTS.contains(&port))
        && flags & (tcp::SYN | tcp::ACK) != tcp::SYN
}

/// Where what becomes of a request is written down.
struct Written {
    exchange: Arc<Mutex<Exchange>>,
    began: Instant,
}

impl Written {
    fn failed(&self, why: String) {
        let mut exchange = lock(&self.exchange);
        exchange.total = self.began.elapsed();
        exchange.failure.get_or_insert(why);
    }

    /// Makes the request on a connection that is being made.
    async fn on_new(
        self,
        near: DuplexStream,
        carrying: JoinHandle<Outcome>,
        request: Request,
        ends: Ends,
        kept: Kept,
    ) {
        let (sender, connection) = match http1::handshake(TokioIo::new(near)).await {
            Ok(made) => made,
            Err(error) => return self.failed(error.to_string()),
        };
        let mut connection = tokio::spawn(connection); // lives on with a kept connection
        let outcome = self.fetch(sender, request, ends, &kept).await;
        if outcome.is_err() {
            // Its own words tell less than what became of the connection.
            connection.abort();
            let _ = (&mut connection).await;
            let why = match tokio::time::timeout(Duration::from_millis(1), carrying).await {
                Ok(Ok(Outcome::Refused)) => "the device refused the connection",
                Ok(Ok(Outcome::NoAnswer)) => "the device did not answer",
                Ok(Ok(Outcome::Reset)) => "the device reset the connection",
                _ => return,
            };
            lock(&self.exchange).failure = Some(why.to_owned());
        }
    }

    /// Makes the request; what came stands in the exchange in any case.
    async fn fetch(
        &self,
        mut sender: SendRequest<Full<Bytes>>,
        request: Request,
        ends: Ends,
        kept: &Kept,
    ) -> Result<(), ()> {
        let (keeps, is_head) = (request.keeps, request.method == "HEAD");
        let Ok(request) = request_of(request, ends) else {
            self.failed("that is no request".to_owned());
            return Err(());
        };
        let fetched = async {
            let response = sender.send_request(request).await?;
            self.head(&response, is_head);
            self.body(response.into_body()).await
        };
        match fetched.await {
            Ok(()) => {
                lock(&self.exchange).total = self.began.elapsed();
                if keeps && sender.ready().await.is_ok() {
                    let port = lock(&self.exchange).port;
                    lock(kept).insert(port, sender);
                }
                Ok(())
            }
            Err(error) => {
                self.failed(said(&error));
                Err(())
            }
        }
    }

    fn head(&self, response: &Response<Incoming>, is_head: bool) {
        let mut exchange = lock(&self.exchange);
        let status = response.status().as_u16();
        exchange.first_byte = Some(self.began.elapsed());
        exchange.status = Some(status);
        exchange.minor_version = u8::from(response.version() == Version::HTTP_11);
        let fields = response.headers().iter();
        exchange.headers = fields
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                (name.as_str().to_owned(), value)
            })
            .collect();
        let is_chunked = exchange.header("transfer-encoding").is_some();
        let length = exchange.header("content-length").and_then(|length| length.parse().ok());
        exchange.delimiter = match length {
            _ if is_head || matches!(status, 204 | 304) => Delimiter::Head,
            _ if is_chunked => Delimiter::Chunked,
            Some(length) => Delimiter::Length(length),
            None => Delimiter::Close,
        };
    }

    async fn body(&self, mut body: Incoming) -> Result<(), hyper::Error> {
        let mut digest = Sha256::new();
        lock(&self.exchange).sha256 = digest.clone().finalize().into();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            digest.update(&data);
            let mut exchange = lock(&self.exchange);
            exchange.came(&data, self.began.elapsed());
        }
        lock(&self.exchange).sha256 = digest.finalize().into();
        Ok(())
    }
}

/// The request as hyper has it.
fn request_of(
    request: Request,
    ends: Ends,
) -> Result<hyper::Request<Full<Bytes>>, hyper::http::Error> {
    let host = match ends.port {
        80 => ends.identity.device_ip.to_string(),
        port => format!("{}:{port}", ends.identity.device_ip),
    };
    let mut made = hyper::Request::builder()
        .method(request.method.as_str())
        .uri(request.target.as_str())
        .header("host", host);
    for (name, value) in &request.headers {
        made = made.header(name, value);
    }
    made.body(Full::new(request.body))
}

/// What the client's error says, in our words.
fn said(error: &hyper::Error) -> String {
    match () {
        () if error.is_incomplete_message() => {
            "the device closed the connection before the response was whole".to_owned()
        }
        () if error.is_parse() => "what came is no HTTP response".to_owned(),
        () => {
            let mut cause: &dyn std::error::Error = error;
            while let Some(below) = cause.source() {
                cause = below;
            }
            cause.to_string()
        }
    }
}

#[cfg(test)]
mod tests;
