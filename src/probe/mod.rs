//! We as a host on the line: send, receive, and behave as a neighbour should.
//!
//! A [`Probe`] owns a link. It answers ARP requests for the host's address, since not every
//! firmware has a static entry; it shows everything that it sends and receives to watchers, for
//! captures; and it keeps the rule never to send while somebody else may be served. While it has the
//! line, it shares it with other processes; on a line that another process shares, what it sends
//! comes back like everything else and is shown then, with the time at which it went.

pub mod inject;
pub mod neighbours6;
pub mod ping;
mod rejoin;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::bus::{Bus, Inbox};
use crate::clock::{Clock, Timestamp};
use crate::craft;
use crate::craft::text::End;
use crate::endpoint::sharing::{Deliverer, Sharing};
use crate::endpoint::{Link, Options, Received, Standing};
use crate::error::{Error, Result};
use crate::event::Events;
use crate::framing::{Carries, Decoder, Framing, Unframeable, ip};
use crate::proto::{MacAddr, arp, be16, ethernet, ipv4_at};
use crate::record::{Body, Direction, Origin, Record, Span};
use crate::share::server::Outgoing;
use crate::share::wire::Host;

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

impl Identity {
    /// The same on a line that carries that: where it has no Ethernet addresses, those that stand for
    /// them.
    #[must_use]
    pub fn on(self, carries: Carries) -> Identity {
        match carries {
            Carries::Ethernet => self,
            Carries::Ip => {
                Identity { host_mac: ip::HOST.into(), device_mac: ip::DEVICE.into(), ..self }
            }
        }
    }
}

/// A host on the line.
pub struct Probe {
    link: Link,
    decoder: Box<dyn Decoder>,
    /// Makes records of what is sent as bytes.
    echo: Box<dyn Decoder>,
    options: Options,
    connection: u32,
    is_fixed: bool,
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
    holds_answers: bool,
    speaks_ip6: bool,
    sharing: Sharing,
    deliverer: Deliverer,
    /// What we send comes back when it has gone, and is shown then.
    is_echoed: bool,
}

/// What is to be sent.
enum Load<'a> {
    Frames(&'a [Bytes]),
    Bytes(&'a [u8]),
}

/// What ended a wait for the device.
#[derive(Debug)]
pub enum Heard<T> {
    /// A record has come.
    Record(Record),
    /// What else was waited for.
    Other(T),
    /// Nothing until the deadline.
    Nothing,
}

/// What came first while we waited.
enum Came {
    Received(Received),
    Outgoing(Outgoing),
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
        let mut link = link;
        let is_echoed = is_echoed(&mut link, &clock, origin.connection);
        let decoder =
            |direction| (options.framing.decoder)(Origin::new(direction), options.max_frame);
        Probe {
            decoder: decoder(Direction::FromDevice),
            echo: decoder(Direction::ToDevice),
            options: options.clone(),
            connection: 1,
            is_fixed: false,
            decoded: Vec::new(),
            queue: VecDeque::new(),
            identity: identity.on(options.framing.carries),
            events,
            watchers: RefCell::new(watchers),
            may_send: link.about.standing == Standing::Served,
            last_arrival: None,
            arrived: Vec::new(),
            arrived_bytes: 0,
            ended: None,
            answers: VecDeque::new(),
            holds_answers: false,
            speaks_ip6: false,
            sharing: Sharing::none(),
            deliverer: Deliverer::new(origin.connection, options, &clock),
            is_echoed,
            clock,
            link,
        }
    }

    /// Shares the line as long as the probe has it.
    #[must_use]
    pub fn sharing(mut self, mut sharing: Sharing) -> Self {
        let identity = &self.identity;
        sharing.set_host(Host { ip: identity.host_ip.octets(), mac: identity.host_mac.octets() });
        sharing.up(&self.link.about);
        self.sharing = sharing;
        self
    }

    /// The addresses, as given or as learned since.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Sends one frame; says when it went. Cancelled, it may leave half of it on the line.
    pub async fn send(&mut self, frame: Vec<u8>) -> Result<Timestamp> {
        self.wait_for_standing().await?;
        self.check_turn()?;
        self.put(frame).await
    }

    /// Sends frames, in as few writes as possible; meanwhile what comes is taken in. Cancelled, it may leave half
    /// a frame on the line.
    pub async fn send_all(&mut self, frames: &[Bytes]) -> Result<()> {
        self.wait_for_standing().await?;
        self.check_turn()?;
        let now = self.clock.now();
        self.transmit(Load::Frames(frames), Instant::now()).await?;
        let mut watchers = self.watchers.borrow_mut();
        watchers.publish(&mut Vec::new()); // lets in who has come
        if self.is_echoed || watchers.is_unwatched() {
            return Ok(());
        }
        let record = |frame: &Bytes| Record {
            time: Some(Span::at(now)),
            origin: self.origin(Direction::ToDevice),
            offset: None,
            body: Body::Frame(frame.clone()),
        };
        watchers.publish(&mut frames.iter().map(record).collect());
        Ok(())
    }

    /// While somebody has the line alone, we send nothing of our own.
    fn check_turn(&self) -> Result<()> {
        if self.sharing.is_taken() {
            return Err(Error::environment("another uarttool has the line alone")
                .with_help("try again when it has given it back"));
        }
        Ok(())
    }

    /// Sends bytes as they are; says when they began to go. What frames and errors they make is shown.
    /// Meanwhile what comes is taken in.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> Result<Timestamp> {
        self.send_raw_deaf(bytes, Duration::ZERO).await
    }

    /// The same, but for so long nothing is read, whatever comes; cut short by nothing.
    pub async fn send_raw_deaf(&mut self, bytes: &[u8], deaf: Duration) -> Result<Timestamp> {
        self.wait_for_standing().await?;
        self.check_turn()?;
        let now = self.clock.now();
        let until = Instant::now() + deaf;
        self.transmit(Load::Bytes(bytes), until).await?;
        if Instant::now() < until {
            tokio::time::sleep_until(until).await;
        }
        if !self.is_echoed {
            let mut records = Vec::new();
            self.echo.push(now, &Bytes::copy_from_slice(bytes), &mut records);
            self.watchers.borrow_mut().publish(&mut records);
        }
        Ok(self.link.tx.sent_at().unwrap_or(now))
    }

    /// Puts a frame on the line and shows it.
    async fn put(&mut self, frame: Vec<u8>) -> Result<Timestamp> {
        if self.options.framing.carries == Carries::Ip && ip::packet(&frame).is_none() {
            return Err(Error::usage("cannot send").caused_by(Unframeable::NoIp));
        }
        let frame = Bytes::from(frame);
        let now = self.clock.now();
        self.transmit(Load::Frames(std::slice::from_ref(&frame)), Instant::now()).await?;
        if self.is_echoed {
            return Ok(self.link.tx.sent_at().unwrap_or(now)); // it comes back, and is shown then
        }
        let mut records = Vec::new();
        if !self.echo.is_empty() {
            self.echo.stop(now, &mut records); // a frame behind unfinished bytes stands by itself
        }
        records.push(Record {
            time: Some(Span::at(now)),
            origin: self.origin(Direction::ToDevice),
            offset: None,
            body: Body::Frame(frame),
        });
        self.watchers.borrow_mut().publish(&mut records);
        Ok(now)
    }

    /// Sends. From `deaf_until` on, what comes is taken in meanwhile: two sides that each wait until
    /// the other reads would wait for ever.
    async fn transmit(&mut self, load: Load<'_>, deaf_until: Instant) -> Result<()> {
        let Link { tx, rx, .. } = &mut self.link;
        let mut sending = match load {
            Load::Frames(frames) => tx.send(frames),
            Load::Bytes(bytes) => tx.send_raw(bytes),
        };
        loop {
            let is_deaf = Instant::now() < deaf_until;
            let has_room = self.arrived_bytes < MAX_ARRIVED && self.ended.is_none();
            let received = tokio::select! {
                biased;
                sent = &mut sending => return sent,
                () = tokio::time::sleep_until(deaf_until), if is_deaf => continue,
                received = rx.receive(), if has_room && !is_deaf => received?,
            };
            match received {
                Received::End(how) => self.ended = Some(how),
                Received::Bytes(bytes) => {
                    self.arrived_bytes += bytes.len();
                    self.arrived.push((self.clock.now(), bytes));
                }
                // Framed already; whoever did that bounds what waits.
                Received::Records(mut records) => self.decoded.append(&mut records),
            }
        }
    }

    fn origin(&self, direction: Direction) -> Origin {
        Origin { connection: self.connection, ..Origin::new(direction) }
    }

    /// Goes on with another link to the same device. What had come is shown; half a frame ends.
    pub fn relink(&mut self, link: Link) {
        let now = self.clock.now();
        self.take_arrived();
        self.decoder.stop(now, &mut self.decoded);
        let mut sent = Vec::new();
        self.echo.stop(now, &mut sent);
        self.watchers.borrow_mut().publish(&mut sent);
        self.sort();
        self.queue.clear();
        self.answers.clear();
        self.connection += 1;
        let decoder = |origin| (self.options.framing.decoder)(origin, self.options.max_frame);
        self.decoder = decoder(self.origin(Direction::FromDevice));
        self.echo = decoder(self.origin(Direction::ToDevice));
        (self.ended, self.last_arrival) = (None, None);
        self.may_send = link.about.standing == Standing::Served;
        self.link = link;
        self.is_echoed = is_echoed(&mut self.link, &self.clock, self.connection);
    }

    /// Keeps the addresses as they are from now on, whatever the line shows.
    pub fn fix_identity(&mut self) {
        self.is_fixed = true;
    }

    /// Whether the line goes through another process, which holds it.
    pub fn is_shared(&self) -> bool {
        self.link.about.shared.is_some()
    }

    /// Keeps what is owed to questions by ARP back, so that it does not land within bytes that were
    /// sent raw, or sends it.
    pub fn hold_answers(&mut self, hold: bool) {
        self.holds_answers = hold;
    }

    /// Whether the line is a stream of bytes, in which frames have to be found.
    pub fn is_stream(&self) -> bool {
        self.link.about.is_stream
    }

    /// Lets go of the link at once, in mid-frame if need be; [`Probe::relink`] brings the next.
    pub fn cut(&mut self) {
        self.take_arrived();
        self.link = crate::endpoint::memory::nowhere(&self.link.about.endpoint);
        self.is_echoed = false;
        self.ended = Some("we have left it".to_owned());
    }

    /// Whether the link has ended, and how.
    pub fn ended(&self) -> Option<&str> {
        self.ended.as_deref()
    }

    /// Another watcher, from the next record on.
    pub fn watch(&self) -> Inbox {
        self.watchers.borrow_mut().watch()
    }

    /// The next record from the device, or `None` when there is none until `deadline`. Cancelling
    /// it loses no record.
    pub async fn receive(&mut self, deadline: Instant) -> Result<Option<Record>> {
        match self.receive_or(deadline, std::future::pending::<Infallible>()).await? {
            Heard::Record(record) => Ok(Some(record)),
            Heard::Other(never) => match never {},
            Heard::Nothing => Ok(None),
        }
    }

    /// The same, unless `other` is done first. What is being sent meanwhile, an answer by ARP, is never cut
    /// short by that.
    pub async fn receive_or<T>(
        &mut self,
        deadline: Instant,
        other: impl Future<Output = T>,
    ) -> Result<Heard<T>> {
        tokio::pin!(other);
        loop {
            self.take_arrived();
            while !self.holds_answers
                && let Some(answer) = self.answers.pop_front()
            {
                if !self.sharing.is_taken() {
                    self.put(answer).await?;
                }
            }
            if let Some(record) = self.queue.pop_front() {
                return Ok(Heard::Record(record));
            }
            if !self.arrived.is_empty() || !self.decoded.is_empty() {
                continue;
            }
            if let Some(how) = &self.ended {
                self.sharing.down(how);
                return Err(self.gone(how));
            }
            let quiet = self.last_arrival.map_or(deadline, |last| (last + QUIET).min(deadline));
            let waited = tokio::select! {
                biased;
                waited = tokio::time::timeout_at(quiet, self.wait()) => waited,
                other = &mut other => return Ok(Heard::Other(other)),
            };
            match waited {
                Ok(came) => self.come(came?).await?,
                Err(_) if self.last_arrival.is_some() && quiet < deadline => {
                    self.last_arrival = None;
                    self.decoder.idle(self.clock.now(), &mut self.decoded);
                    self.deliverer.idle(&mut self.decoded);
                    self.sort();
                }
                Err(_) => return Ok(Heard::Nothing),
            }
        }
    }

    /// Something from the link, or something that another process wants to be sent.
    async fn wait(&mut self) -> Result<Came> {
        tokio::select! {
            received = self.link.rx.receive() => received.map(Came::Received),
            outgoing = self.sharing.next(&self.watchers) => Ok(Came::Outgoing(outgoing)),
        }
    }

    async fn come(&mut self, came: Came) -> Result<()> {
        match came {
            Came::Received(Received::End(how)) => {
                self.ended = Some(how);
                self.decoder.finish(self.clock.now(), &mut self.decoded);
                self.sort();
            }
            Came::Received(Received::Bytes(bytes)) => self.take(self.clock.now(), &bytes),
            Came::Received(Received::Records(mut records)) => {
                self.decoded.append(&mut records);
                self.sort();
            }
            Came::Outgoing(outgoing) => self.deliver(outgoing).await?,
        }
        Ok(())
    }

    /// Sends what another process wants to be sent.
    async fn deliver(&mut self, outgoing: Outgoing) -> Result<()> {
        let mut records = Vec::new();
        let delivered = self.deliverer.deliver(outgoing, &mut *self.link.tx, &mut records).await;
        self.last_arrival = Some(Instant::now());
        if !self.is_echoed {
            self.watchers.borrow_mut().publish(&mut records);
        }
        delivered
    }

    /// Takes in what came while we were sending.
    fn take_arrived(&mut self) {
        for (time, bytes) in std::mem::take(&mut self.arrived) {
            self.take(time, &bytes);
        }
        self.arrived_bytes = 0;
        if !self.decoded.is_empty() {
            self.sort();
        }
    }

    /// Leaves the line as it should be left: says that nothing more will be sent, and hears out the
    /// answers to what was. A connection that is closed with unread bytes is reset, and the reset
    /// cuts what is still on its way to the device, in the middle of a frame.
    pub async fn leave(&mut self) {
        if self.link.about.shared.is_some() {
            return; // the line stays its holder's
        }
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
                Ok(Ok(Received::Records(mut records))) if Instant::now() < end => {
                    self.decoded.append(&mut records);
                    self.sort();
                }
                _ => return, // silence, or the end
            }
        }
    }

    /// Every record that has come already.
    pub fn drain(&mut self) -> Vec<Record> {
        self.take_arrived();
        self.queue.drain(..).collect()
    }

    fn take(&mut self, time: Timestamp, bytes: &Bytes) {
        self.last_arrival = Some(Instant::now());
        self.decoder.push(time, bytes, &mut self.decoded);
        self.sort();
    }

    fn gone(&self, how: &str) -> Error {
        let error = Error::environment(format!("{} went away: {how}", self.link.about.endpoint));
        match self.options.reconnect {
            Some(_) => error.with_help(
                "'reconnect=' waits for the line at the start; what was going on when it went away is \
                 not gone on with: start it again",
            ),
            None => error,
        }
    }

    /// Shows what was decoded, learns from it, notes whom to answer, and queues it.
    fn sort(&mut self) {
        self.watchers.borrow_mut().publish(&mut self.decoded.clone());
        for record in std::mem::take(&mut self.decoded) {
            let is_note = matches!(record.body, Body::Impaired(_));
            if record.origin.direction == Direction::ToDevice || is_note {
                continue; // shown, and that is all
            }
            if let Body::Frame(frame) = &record.body {
                if let Some(ear) = self.sharing.ear() {
                    ear.heard();
                }
                self.may_send = true; // the device speaks to us: it is us whom it serves
                self.learn(frame);
                if self.answers.len() < MAX_ANSWERS {
                    self.answers.extend(self.arp_reply(frame));
                    self.answers.extend(self.advertisement(frame));
                }
            }
            self.queue.push_back(record);
        }
    }

    /// The answer to a request for our own address (RFC 826).
    fn arp_reply(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let asked = arp::Message::in_frame(frame)?;
        let host = &self.identity;
        let holder = self.link.about.shared.and_then(|shared| shared.host);
        if holder.is_some_and(|holder| holder.ip == host.host_ip.octets()) {
            return None; // the holder answers
        }
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

    /// The answer to a solicitation for our own IPv6 address, if we have one.
    fn advertisement(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let host = End::new(self.identity.host_mac, self.identity.host_ip);
        neighbours6::advertisement(frame, &host).filter(|_| self.speaks_ip6)
    }

    /// From now on we have the link-local address of our Ethernet address, and say so when asked.
    pub(crate) fn speak_ip6(&mut self) {
        self.speaks_ip6 = true;
    }

    /// The device is there.
    pub(crate) fn found_device(&mut self, mac: MacAddr) {
        self.identity.device_mac = mac;
    }

    /// How another process that holds the line puts frames on it, where it is not as we think.
    pub fn other_framing(&self) -> Option<&'static Framing> {
        let shared = self.link.about.shared?;
        shared.framing.filter(|framing| *framing != self.options.framing)
    }

    /// How frames are put on the line.
    pub fn framing(&self) -> &'static Framing {
        self.options.framing
    }

    /// Asks for the device's Ethernet address.
    pub async fn ask_for_device(&mut self) -> Result<()> {
        if self.options.framing.carries == Carries::Ip {
            return Ok(()); // nobody there has one
        }
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
        let Some((ip, mac)) = sender.filter(|_| !self.is_fixed) else { return };
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

/// Has `link` tell what really goes over the line, if it can; whether what is sent comes back.
fn is_echoed(link: &mut Link, clock: &Clock, connection: u32) -> bool {
    link.rx.speak_in_records(clock, connection) || link.about.shared.is_some()
}

#[cfg(test)]
mod tests;
