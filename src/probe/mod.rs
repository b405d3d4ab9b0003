//! We as a host on the line: send, receive, and behave as a neighbour should.
//!
//! A [`Probe`] owns a link. It answers ARP requests for the host's address, since not every
//! firmware has a static entry; it shows everything that it sends and receives to watchers, for
//! captures; and it keeps the rule never to send while somebody else may be served. While it has the
//! line, it shares it with other processes; on a line that another process shares, what it sends
//! comes back like everything else and is shown then, with the time at which it went.

pub mod inject;
mod neighbour;
pub mod neighbours6;
pub mod ping;
mod receive;
mod rejoin;
mod send;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::Ipv4Addr;

use bytes::Bytes;
use tokio::time::Instant;

pub use self::receive::Heard;
use crate::bus::{Bus, Inbox};
use crate::clock::{Clock, Timestamp};
use crate::endpoint::sharing::{Deliverer, Sharing};
use crate::endpoint::{Link, Options, Standing};
use crate::event::Events;
use crate::framing::{Carries, Decoder, Framing, ip};
use crate::proto::MacAddr;
use crate::record::{Direction, Origin, Record};
use crate::share::wire::Host;

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

    /// How another process that holds the line puts frames on it, where it is not as we think.
    pub fn other_framing(&self) -> Option<&'static Framing> {
        let shared = self.link.about.shared?;
        shared.framing.filter(|framing| *framing != self.options.framing)
    }

    /// How frames are put on the line.
    pub fn framing(&self) -> &'static Framing {
        self.options.framing
    }
}

/// Has `link` tell what really goes over the line, if it can; whether what is sent comes back.
fn is_echoed(link: &mut Link, clock: &Clock, connection: u32) -> bool {
    link.rx.speak_in_records(clock, connection) || link.about.shared.is_some()
}

#[cfg(test)]
mod tests;
