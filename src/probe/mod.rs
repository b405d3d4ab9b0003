//! We as a host on the line: send, receive, and behave as a neighbour should.
//!
//! A [`Probe`] owns a link. It answers ARP requests for the host's address, since not every
//! firmware has a static entry; it shows everything that it sends and receives to watchers, for
//! captures; and it keeps the rule never to send while somebody else may be served.

pub mod ping;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::bus::Bus;
use crate::clock::{Clock, Timestamp};
use crate::craft;
use crate::endpoint::{Link, Options, Received, Standing};
use crate::error::{Error, Result};
use crate::event::Events;
use crate::framing::Decoder;
use crate::proto::{MacAddr, arp, be16, ethernet, ipv4_at};
use crate::record::{Body, Direction, Origin, Record, Span};

/// How long to wait for a frame before sending, where nothing else tells whether we are served.
const LISTEN_FIRST: Duration = Duration::from_millis(300);
/// Silence after which the decoder decides with what it has.
const QUIET: Duration = Duration::from_millis(100);
/// Bytes that may come while we are sending, until we read no more.
const MAX_ARRIVED: usize = 4 * 1024 * 1024;
/// Silence after which nothing more is to be expected when we leave.
const LEAVE: Duration = Duration::from_millis(50);
/// And how long we stay in any case.
const LEAVE_AT_MOST: Duration = Duration::from_secs(5);
/// Answers that we owe at most.
const MAX_ANSWERS: usize = 64;

/// The addresses of both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Our IPv4 address.
    pub host_ip: Ipv4Addr,
    /// Our Ethernet address.
    pub host_mac: MacAddr,
    /// The device's IPv4 address.
    pub device_ip: Ipv4Addr,
    /// The device's Ethernet address.
    pub device_mac: MacAddr,
}

impl Default for Identity {
    /// The addresses of the ESP32 tunnel.
    fn default() -> Self {
        Identity {
            host_ip: Ipv4Addr::new(192, 168, 100, 1),
            host_mac: MacAddr(2, 0, 0, 0, 0, 1),
            device_ip: Ipv4Addr::new(192, 168, 100, 2),
            device_mac: MacAddr(2, 0, 0, 0, 0, 2),
        }
    }
}

/// A host on the line.
pub struct Probe {
    link: Link,
    decoder: Box<dyn Decoder>,
    decoded: Vec<Record>,
    queue: VecDeque<Record>,
    identity: Identity,
    clock: Clock,
    events: Events,
    watchers: RefCell<Bus>,
    may_send: bool,
    last_arrival: Option<Instant>,
    /// Bytes that came while we were sending, and when.
    arrived: Vec<(Timestamp, Bytes)>,
    arrived_bytes: usize,
    /// How the link ended, once everything in front of that has been taken.
    ended: Option<String>,
    /// Frames that we owe somebody.
    answers: VecDeque<Vec<u8>>,
}

impl Probe {
    /// A host with `identity` on `link`.
    pub fn new(
        link: Link,
        options: &Options,
        identity: Identity,
        clock: Clock,
        events: Events,
        watchers: Bus,
    ) -> Self {
        let origin = Origin::new(Direction::FromDevice);
        Probe {
            decoder: (options.framing.decoder)(origin, options.max_frame),
            decoded: Vec::new(),
            queue: VecDeque::new(),
            identity,
            clock,
            events,
            watchers: RefCell::new(watchers),
            may_send: link.about.standing == Standing::Served,
            last_arrival: None,
            arrived: Vec::new(),
            arrived_bytes: 0,
            ended: None,
            answers: VecDeque::new(),
            link,
        }
    }

    /// The addresses, as given or as learned since.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Sends one frame; says when it went. Cancelled, it may leave half of it on the line.
    pub async fn send(&mut self, frame: Vec<u8>) -> Result<Timestamp> {
        self.wait_for_standing().await?;
        self.put(frame).await
    }

    /// Sends bytes as they are.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> Result<Timestamp> {
        self.wait_for_standing().await?;
        let now = self.clock.now();
        self.link.tx.send_raw(bytes).await?;
        Ok(now)
    }

    /// Puts a frame on the line. Meanwhile what comes is taken in: two sides that each wait until
    /// the other reads would wait for ever.
    async fn put(&mut self, frame: Vec<u8>) -> Result<Timestamp> {
        let frame = Bytes::from(frame);
        let now = self.clock.now();
        let Link { tx, rx, .. } = &mut self.link;
        let mut sending = tx.send(std::slice::from_ref(&frame));
        loop {
            let has_room = self.arrived_bytes < MAX_ARRIVED && self.ended.is_none();
            let received = tokio::select! {
                biased;
                sent = &mut sending => break sent?,
                received = rx.receive(), if has_room => received?,
            };
            match received {
                Received::End(how) => self.ended = Some(how),
                Received::Bytes(bytes) => {
                    self.arrived_bytes += bytes.len();
                    self.arrived.push((self.clock.now(), bytes));
                }
            }
        }
        drop(sending);
        let record = Record {
            time: Some(Span::at(now)),
            origin: Origin::new(Direction::ToDevice),
            offset: None,
            body: Body::Frame(frame),
        };
        self.watchers.borrow_mut().publish(&mut vec![record]);
        Ok(now)
    }

    /// The next record from the device, or `None` when there is none until `deadline`. Cancelling
    /// it loses no record.
    pub async fn receive(&mut self, deadline: Instant) -> Result<Option<Record>> {
        loop {
            for (time, bytes) in std::mem::take(&mut self.arrived) {
                self.take(time, &bytes);
            }
            self.arrived_bytes = 0;
            while let Some(answer) = self.answers.pop_front() {
                self.put(answer).await?;
            }
            if let Some(record) = self.queue.pop_front() {
                return Ok(Some(record));
            }
            if !self.arrived.is_empty() {
                continue;
            }
            if let Some(how) = &self.ended {
                return Err(self.gone(how));
            }
            let quiet = self.last_arrival.map_or(deadline, |last| (last + QUIET).min(deadline));
            match tokio::time::timeout_at(quiet, self.link.rx.receive()).await {
                Ok(received) => match received? {
                    Received::End(how) => {
                        self.ended = Some(how);
                        self.decoder.finish(self.clock.now(), &mut self.decoded);
                        self.sort();
                    }
                    Received::Bytes(bytes) => self.take(self.clock.now(), &bytes),
                },
                Err(_) if self.last_arrival.is_some() && quiet < deadline => {
                    self.last_arrival = None;
                    self.decoder.idle(self.clock.now(), &mut self.decoded);
                    self.sort();
                }
                Err(_) => return Ok(None),
            }
        }
    }

    /// Leaves the line as it should be left: says that nothing more will be sent, and hears out the
    /// answers to what was. A connection that is closed with unread bytes is reset, and the reset
    /// cuts what is still on its way to the device, in the middle of a frame.
    pub async fn leave(&mut self) {
        let end = Instant::now() + LEAVE_AT_MOST;
        let _ = tokio::time::timeout(LEAVE, self.link.tx.close()).await; // we go in any case
        loop {
            let quiet = (Instant::now() + LEAVE).min(end);
            match tokio::time::timeout_at(quiet, self.link.rx.receive()).await {
                Ok(Ok(Received::Bytes(bytes))) if Instant::now() < end => {
                    self.take(self.clock.now(), &bytes);
                }
                Ok(Ok(Received::Bytes(_))) => {
                    self.events.warn(
                        "the device is still busy with what was sent: it may be cut in mid-frame now, \
                         and what is sent to it within its read timeout (1 s) may be lost",
                    );
                    return;
                }
                _ => return, // silence, or the end
            }
        }
    }

    /// Every record that has come already.
    pub fn drain(&mut self) -> Vec<Record> {
        for (time, bytes) in std::mem::take(&mut self.arrived) {
            self.take(time, &bytes);
        }
        self.queue.drain(..).collect()
    }

    fn take(&mut self, time: Timestamp, bytes: &Bytes) {
        self.last_arrival = Some(Instant::now());
        self.decoder.push(time, bytes, &mut self.decoded);
        self.sort();
    }

    fn gone(&self, how: &str) -> Error {
        Error::environment(format!("{} went away: {how}", self.link.about.endpoint))
    }

    /// Shows what was decoded, learns from it, notes whom to answer, and queues it.
    fn sort(&mut self) {
        self.watchers.borrow_mut().publish(&mut self.decoded.clone());
        for record in std::mem::take(&mut self.decoded) {
            if let Body::Frame(frame) = &record.body {
                self.may_send = true; // the device speaks to us: it is us whom it serves
                self.learn(frame);
                if self.answers.len() < MAX_ANSWERS {
                    self.answers.extend(self.arp_reply(frame));
                }
            }
            self.queue.push_back(record);
        }
    }

    /// The answer to a request for our own address (RFC 826).
    fn arp_reply(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let asked = arp::Message::in_frame(frame)?;
        let host = &self.identity;
        if asked.op != arp::REQUEST || asked.tpa != host.host_ip || asked.spa == host.host_ip {
            return None;
        }
        let reply = arp::Message {
            op: arp::REPLY,
            sha: host.host_mac.octets(),
            spa: host.host_ip,
            tha: asked.sha,
            tpa: asked.spa,
        };
        Some(craft::arp(&reply, asked.sha.into()))
    }

    /// Asks for the device's Ethernet address.
    pub async fn ask_for_device(&mut self) -> Result<()> {
        let request = arp::Message {
            op: arp::REQUEST,
            sha: self.identity.host_mac.octets(),
            spa: self.identity.host_ip,
            tha: [0; 6],
            tpa: self.identity.device_ip,
        };
        self.send(craft::arp(&request, MacAddr::broadcast())).await.map(|_| ())
    }

    /// Frames that carry the device's IPv4 address tell its Ethernet address.
    fn learn(&mut self, frame: &[u8]) {
        let sender = match be16(frame, 12) {
            Some(0x0806) => arp::Message::in_frame(frame).map(|arp| (arp.spa, arp.sha)),
            Some(0x0800) => ipv4_at(frame, ethernet::HEADER + 12).zip(ethernet::source(frame)),
            _ => None,
        };
        let Some((ip, mac)) = sender else { return };
        let mac = MacAddr::from(mac);
        if ip == self.identity.device_ip && mac != self.identity.device_mac && !mac.is_multicast() {
            self.events.note(format!(
                "{ip} is at {mac}, not at {}: using {mac} from now on",
                self.identity.device_mac
            ));
            self.identity.device_mac = mac;
        }
    }

    /// Where the system cannot tell whether we are served, waits a little for a sign of it.
    async fn wait_for_standing(&mut self) -> Result<()> {
        if self.may_send {
            return Ok(());
        }
        let deadline = Instant::now() + LISTEN_FIRST;
        let heard = self.receive(deadline).await?;
        match heard {
            Some(record) => self.queue.push_front(record),
            None if self.may_send => {}
            None => self.events.note(format!(
                "cannot tell whether {} serves us or another client: sending unverified",
                self.link.about.endpoint
            )),
        }
        self.may_send = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
