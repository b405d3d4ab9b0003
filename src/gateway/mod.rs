//! The rootless host network: what a device on the line takes for its gateway, without any privilege.
//!
//! Theory of operation. A [`Gateway`] is the [`Station`] of a tap: frames come in through
//! [`Station::receive`] and go out through [`Station::next`]. It speaks ARP itself (`neighbour`), answers
//! pings of its own address, and knows who gets a TCP segment or a datagram by its addresses and ports.
//! Each TCP connection is a task with a small stack of its own (`flow`), so that the cost of a packet does
//! not depend on how many connections there are; it moves bytes between a socket of this machine and the
//! device, and when one of both is slow, the other waits. `forwards` open the sockets.
//!
//! What waits to be sent is bounded everywhere: answers of our own in a short queue that drops, and segments
//! in a lane with room for a few, which connections enter in turn.

mod answer;
mod arrival;
mod client;
mod company;
pub mod control;
mod datagrams;
mod dial;
mod door;
mod flow;
pub mod forward;
mod forwards;
mod fragments;
mod guests;
mod knock;
mod neighbour;
mod others;
mod pace;
mod patience;
mod resets;
mod stack;
#[cfg(test)]
mod tests;
mod throttle;
mod udp;

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::endpoint::Pending;
use crate::event::Events;
use crate::framing::Carries;
use crate::proto::MacAddr;
use crate::share::wire::Host;
use crate::tap::host::Station;
pub use client::Stream;
use company::Company;
use door::Doors;
pub use flow::Outcome;
pub use forwards::{Forwards, Opened};
use fragments::Fragments;
use guests::Guests;
pub use knock::Answer;
use neighbour::Neighbour;
use throttle::Throttle;

/// Answers of our own that wait to be sent; more are dropped.
const ANSWERS: usize = 64;
/// Segments of all connections that wait to be sent.
const LANE: usize = 4;
/// A line on which it takes longer to send them is slow.
const SLOW: Duration = Duration::from_millis(5);
/// Packets that wait for one connection; more are dropped, and sent again by the device.
const PACKETS: usize = 64;
/// The first of the ports that nobody has by name (RFC 6335 section 6).
pub const FIRST_PORT: u16 = 49152;
/// A connection that we have closed is remembered for so long, in case the device repeats its end.
const TIME_WAIT: Duration = Duration::from_secs(10);
/// So many of them.
const MOST_TIME_WAIT: usize = 4096;
/// So many words about the device at once, then one every so often: it can cause as many as it likes.
const DEVICE_NEWS: (u32, Duration) = (10, Duration::from_secs(10));
/// It is told so often that connections cannot be taken.
const ACCEPT_NEWS: Duration = Duration::from_secs(60);
/// Connections at once.
pub const MOST_FLOWS: usize = 4096;

/// Who is on the line, and how connections to it are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Our address.
    pub host_ip: Ipv4Addr,
    /// Our Ethernet address.
    pub host_mac: MacAddr,
    /// The device's address.
    pub device_ip: Ipv4Addr,
    /// Whether the user gave it; otherwise the one that the device shows is taken.
    pub is_device_ip_fixed: bool,
    /// The device's Ethernet address, if the user gave it; otherwise ARP finds it.
    pub device_mac: Option<MacAddr>,
    /// What the line carries: where that is IP alone nobody is asked for an Ethernet address.
    pub carries: Carries,
    /// The longest IP packet in bytes.
    pub mtu: usize,
    /// Bytes of a connection that may be on their way, in each direction.
    pub window: usize,
    /// How long a connection waits for a device that is not there yet.
    pub hold: Duration,
    /// The first port of connections that we make; all above it are ours as well.
    pub first_port: u16,
}

/// What a gateway has done.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections that were made to the device.
    pub connections: AtomicU64,
    /// Those that failed: refused, or no answer.
    pub failed: AtomicU64,
    /// Bytes to the device, as applications count.
    pub to_device: AtomicU64,
    /// Bytes from the device.
    pub from_device: AtomicU64,
    /// Datagrams in either direction.
    pub datagrams: AtomicU64,
    /// Frames that were not for us, or that we have no use for.
    pub ignored: AtomicU64,
    /// Frames that came faster than they could be taken.
    pub dropped: AtomicU64,
    /// Bytes that came before the first frame since the line came up.
    pub early: AtomicU64,
    /// Those of them that look like text.
    pub early_text: AtomicU64,
}

/// Adds to a counter.
fn count(counter: &AtomicU64, n: usize) {
    counter.fetch_add(n as u64, Ordering::Relaxed);
}

/// A gateway; clones are the same one.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

struct Inner {
    settings: Settings,
    clock: Clock,
    events: Events,
    counters: Counters,
    neighbour: Neighbour,
    device_news: Throttle,
    accept_news: Throttle,
    guests: Guests,
    doors: Doors,
    fragments: Mutex<Fragments>,
    state: Mutex<State>,
    company: Company,
    answers: mpsc::Sender<Bytes>,
    lane: mpsc::Sender<Bytes>,
    /// What [`Station::next`] takes from.
    outgoing: tokio::sync::Mutex<Outgoing>,
}

struct Outgoing {
    answers: mpsc::Receiver<Bytes>,
    lane: mpsc::Receiver<Bytes>,
    /// When frames were taken that are being sent.
    taken: Option<Instant>,
    /// Segments that are taken at once: few on a slow line, so that an answer comes in between.
    most: usize,
}

/// A connection, seen from the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    device: Ipv4Addr,
    device_port: u16,
    /// Our port.
    port: u16,
}

struct State {
    /// Our addresses, which are another process's when we speak through it.
    host: Host,
    /// That process is the host of this line and answers what is asked of it; we speak beside it.
    is_second: bool,
    /// Ports that processes use which speak through us.
    others: others::Others,
    /// What was said last that is wrong with the device.
    complaint: String,
    /// Each takes its packets; an empty one says that the line is there again.
    flows: HashMap<Key, mpsc::Sender<Bytes>>,
    /// Connections that are over, and until when they are remembered.
    over: VecDeque<(Key, Instant)>,
    udp: udp::Table,
    /// Pings that wait for their reply, by identifier and sequence number.
    echoes: HashMap<[u8; 4], oneshot::Sender<()>>,
    next_port: u16,
    newest: Option<u16>,
}

impl Gateway {
    /// A gateway that nobody has plugged in yet.
    pub fn new(settings: Settings, clock: Clock, events: Events) -> Gateway {
        let (answers, answers_out) = mpsc::channel(ANSWERS);
        let (lane, lane_out) = mpsc::channel(LANE);
        let host = Host { ip: settings.host_ip.octets(), mac: settings.host_mac.octets() };
        let first = settings.first_port;
        let span = u64::from(u16::MAX - first) + 1;
        let next_port = first + (clock.now().0 / 1000 % span) as u16;
        let state = State {
            host,
            is_second: false,
            others: others::Others::default(),
            complaint: String::new(),
            flows: HashMap::new(),
            over: VecDeque::new(),
            udp: udp::Table::starting(next_port),
            echoes: HashMap::new(),
            next_port,
            newest: None,
        };
        Gateway(Arc::new(Inner {
            neighbour: Neighbour::new(&settings),
            device_news: Throttle::new(DEVICE_NEWS.0, DEVICE_NEWS.1),
            accept_news: Throttle::new(1, ACCEPT_NEWS),
            guests: Guests::default(),
            doors: Doors::default(),
            fragments: Mutex::default(),
            settings,
            clock,
            events,
            counters: Counters::default(),
            state: Mutex::new(state),
            company: Company::default(),
            answers,
            lane,
            outgoing: tokio::sync::Mutex::new(Outgoing {
                answers: answers_out,
                lane: lane_out,
                taken: None,
                most: LANE,
            }),
        }))
    }

    /// What it has done.
    pub fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// Connections that are open.
    pub fn open_flows(&self) -> usize {
        self.state().flows.len()
    }

    /// Our port of the connection that was made last, be it open or not.
    pub fn newest_port(&self) -> Option<u16> {
        self.state().newest
    }

    /// The device's address, as given or learned.
    pub fn device_ip(&self) -> Ipv4Addr {
        self.0.neighbour.device_ip()
    }

    /// The device's Ethernet address, once it is known.
    pub fn device_mac(&self) -> Option<MacAddr> {
        self.0.neighbour.mac()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn host(&self) -> (Ipv4Addr, MacAddr) {
        let host = self.state().host;
        (host.ip.into(), MacAddr::from(host.mac))
    }

    /// Whether another process is the host of this line.
    fn is_second(&self) -> bool {
        self.state().is_second
    }

    /// Asks by ARP who the device is, unless that is known.
    pub fn ask(&self) {
        if self.device_mac().is_none() {
            self.ask_all();
        }
    }

    fn ask_all(&self) {
        if self.0.settings.mac_of_all().is_some() {
            return;
        }
        let (ip, mac) = self.host();
        for device in self.0.neighbour.candidates() {
            self.answer(neighbour::question(ip, mac, device));
        }
    }

    /// A connection of this machine could not be taken.
    fn cannot_accept(&self, error: &std::io::Error) {
        if self.0.accept_news.admit().is_some() {
            self.0.events.warn(format!(
                "connections have to wait: {error}; raise the limit of open files ('ulimit -n') or end some"
            ));
        }
    }

    /// Sends an answer of our own, unless too many wait.
    fn answer(&self, frame: Vec<u8>) {
        if self.0.answers.try_send(frame.into()).is_err() {
            count(&self.0.counters.dropped, 1);
        }
    }

    /// Opens a way for packets of a connection to the device's `port`: its key, and what comes in.
    fn enter(&self, device: Ipv4Addr, device_port: u16) -> Option<(Key, mpsc::Receiver<Bytes>)> {
        let mut state = self.state();
        if state.flows.len() >= MOST_FLOWS {
            return None;
        }
        let first = self.0.settings.first_port;
        for _ in first..=u16::MAX {
            let port = state.next_port;
            state.next_port = port.checked_add(1).unwrap_or(first);
            let key = Key { device, device_port, port };
            if !state.flows.contains_key(&key) && !state.is_over(&key) {
                let (sender, receiver) = mpsc::channel(PACKETS);
                state.flows.insert(key, sender);
                state.newest = Some(port);
                return Some((key, receiver));
            }
        }
        None
    }

    /// A connection is over; `waits` if the device may still repeat its end.
    fn leave(&self, key: &Key, waits: bool) {
        let mut state = self.state();
        state.flows.remove(key);
        if waits {
            if state.over.len() >= MOST_TIME_WAIT {
                state.over.pop_front();
            }
            state.over.push_back((*key, Instant::now() + TIME_WAIT));
        }
    }
}

impl State {
    /// Whether the connection ended a short while ago.
    fn is_over(&mut self, key: &Key) -> bool {
        let now = Instant::now();
        while self.over.front().is_some_and(|(_, until)| *until <= now) {
            self.over.pop_front();
        }
        self.over.iter().any(|(over, _)| over == key)
    }
}

impl Station for Gateway {
    fn up(&self, host: Option<Host>) {
        {
            let mut state = self.state();
            state.is_second = host.is_some();
            state.complaint.clear();
            state.host = host.unwrap_or(state.host);
        }
        self.0.neighbour.up();
        self.0.guests.up();
        for flow in self.state().flows.values() {
            let _ = flow.try_send(Bytes::new()); // or packets come, which tell as much
        }
        let counters = &self.0.counters;
        for counter in [&counters.early, &counters.early_text] {
            counter.store(0, Ordering::Relaxed);
        }
    }

    fn down(&self) {
        self.0.neighbour.down();
        self.0.guests.down();
    }

    fn hear(&self, bytes: &Bytes) {
        let is_text = |byte: &&u8| matches!(byte, b' '..=b'~' | b'\r' | b'\n' | 0x1b);
        count(&self.0.counters.early, bytes.len());
        count(&self.0.counters.early_text, bytes.iter().filter(is_text).count());
    }

    fn receive(&self, frame: &Bytes) {
        self.take(frame);
    }

    fn overhear(&self, frame: &Bytes) {
        self.0.company.note(self.0.clock.now());
        let (ip, _) = self.host();
        if let Some((protocol, port)) = answer::sent_from(frame, ip) {
            self.state().others.note(protocol, port);
        }
    }

    fn next<'a>(&'a self, frames: &'a mut Vec<Bytes>) -> Pending<'a, ()> {
        Box::pin(async move {
            let mut outgoing = self.0.outgoing.lock().await;
            let Outgoing { answers, lane, taken, most } = &mut *outgoing;
            if let Some(taken) = taken.take() {
                *most = if taken.elapsed() < SLOW { LANE } else { 1 };
            }
            poll_fn(|cx| match answers.poll_recv_many(cx, frames, ANSWERS) {
                Poll::Ready(n) if n > 0 => Poll::Ready(()),
                _ => lane.poll_recv_many(cx, frames, *most).map(|_| ()),
            })
            .await;
            *taken = Some(Instant::now());
        })
    }
}
