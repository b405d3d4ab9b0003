//! What the device serves: HTTP on 80, echo on 7, discard on 9, chargen on 19.
//!
//! Each port has sockets that listen; one that is connected becomes a conversation, and another
//! listens in its place as long as there are any left. Conversations move bytes between their socket
//! and whatever is behind it; they are polled like futures, so that the web server can wake them.

mod giving_up;

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::{self, State};
use smoltcp::socket::udp;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use super::counters::Counters;
use super::faults::{Fault, Faults};
use super::stack::Stack;
use super::web::{PATTERN, Web};
use super::web_faults::{Read, Reader, Turn};
use crate::clock::Timestamp;
use crate::proto::{ethernet, ipv4, tcp as tcp_header};

/// TCP ports, and how many connections each has at once, half-open ones included.
const PORTS: [(u16, usize); 4] = [(80, 7), (7, 4), (9, 4), (19, 4)];
/// Connections in TIME-WAIT at most; then the oldest makes way, as lwIP has it.
const TIME_WAIT: usize = 16;
/// UDP ports.
const UDP_ECHO: u16 = 7;
const UDP_DISCARD: u16 = 9;
const UDP_CHARGEN: u16 = 19;
/// Bytes that a conversation holds in each direction at most.
const HOLD: usize = 4096;
/// How long received data waits for its reader where the one receive buffer is handed on.
const ALIAS_DELAY: Duration = Duration::from_millis(30);
/// How much of a response is lost with its tail.
const TAIL: usize = 16;

/// All services.
pub struct Services {
    faults: Faults,
    web: Web,
    sockets: Vec<Socket>,
    datagrams: Vec<(u16, SocketHandle)>,
    /// HTTP sockets that are gone for good.
    leaked: usize,
    /// The only connection that the web server reads, where it is so.
    turn: Turn,
}

struct Socket {
    port: u16,
    handle: SocketHandle,
    conversation: Option<Conversation>,
    /// The state in which it waits for its peer, and since when.
    waits: Option<(State, Timestamp)>,
}

/// A connection and what is behind it.
struct Conversation {
    kind: Kind,
    /// Received data that nobody has read yet, and when it can be read.
    inbox: VecDeque<(Timestamp, Vec<u8>)>,
    /// Data to be sent.
    outbox: VecDeque<u8>,
    /// Nothing will be added to the outbox.
    is_done: bool,
}

enum Kind {
    Http { pipe: Option<DuplexStream>, is_shut: bool, reader: Reader },
    Echo,
    Discard,
    Chargen { at: usize },
}

impl Services {
    /// Opens every port.
    pub fn new(stack: &mut Stack, web: Web, faults: Faults) -> Self {
        let mut services = Services {
            faults,
            web,
            sockets: Vec::new(),
            datagrams: Vec::new(),
            leaked: 0,
            turn: Turn::default(),
        };
        services.listen(stack);
        for port in [UDP_ECHO, UDP_DISCARD, UDP_CHARGEN] {
            services.datagrams.push((port, stack.bind(port)));
        }
        services
    }

    /// Keeps as many sockets as there may be connections. One in TIME-WAIT serves nobody: another
    /// takes its place.
    fn listen(&mut self, stack: &mut Stack) {
        for (port, most) in PORTS {
            let mut taken = if port == 80 { self.leaked } else { 0 };
            let mut connected = 0;
            for socket in self.sockets.iter().filter(|socket| socket.port == port) {
                let state = stack.sockets.get::<tcp::Socket>(socket.handle).state();
                taken += usize::from(state != State::TimeWait);
                connected += usize::from(is_connected(state));
            }
            if port == 80 && connected >= most && self.faults.has(Fault::FullForGood) {
                self.leaked = most;
            }
            let most = if port == 80 && self.faults.has(Fault::OneClient) { 1 } else { most };
            for _ in taken..most {
                let handle = stack.listen(port);
                self.sockets.push(Socket { port, handle, conversation: None, waits: None });
            }
        }
    }

    /// Moves what can be moved; ready when something was.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        now: Timestamp,
        stack: &mut Stack,
        counters: &mut Counters,
    ) -> Poll<()> {
        let open = |socket: &&Socket| socket.conversation.is_some();
        counters.connections_open = self.sockets.iter().filter(open).count() as u64;
        self.web.update(counters);
        let mut moved = self.poll_datagrams(stack);
        self.turn.pass(self.sockets.iter().filter(|s| s.is_served()).map(|s| s.handle));
        for socket in &mut self.sockets {
            let tcp = stack.sockets.get_mut::<tcp::Socket>(socket.handle);
            if socket.conversation.is_none() && is_connected(tcp.state()) {
                counters.connections += 1;
                socket.conversation = Some(Conversation::new(socket.port, &self.web, self.faults));
                moved = true;
            }
            if let Some(conversation) = &mut socket.conversation {
                let is_one = conversation.is_http() && self.faults.has(Fault::OneAtATime);
                if is_one && !self.turn.is_of(socket.handle) {
                    continue;
                }
                moved |= conversation.poll(cx, now, tcp, self.faults);
            }
        }
        moved |= self.retire(stack);
        self.listen(stack);
        if moved { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Forgets sockets that are closed.
    fn retire(&mut self, stack: &mut Stack) -> bool {
        let before = self.sockets.len();
        let (faults, leaked) = (self.faults, &mut self.leaked);
        let state = |socket: &Socket| stack.sockets.get::<tcp::Socket>(socket.handle).state();
        let waiting = self.sockets.iter().filter(|socket| state(socket) == State::TimeWait).count();
        let kept = if faults.has(Fault::NoTimeWait) { 0 } else { TIME_WAIT };
        let mut surplus = waiting.saturating_sub(kept);
        self.sockets.retain(|socket| {
            let state = stack.sockets.get::<tcp::Socket>(socket.handle).state();
            let skips_wait = state == State::TimeWait && surplus > 0;
            surplus -= usize::from(skips_wait);
            if state != State::Closed && !skips_wait {
                return true;
            }
            let was_aborted = socket.conversation.as_ref().is_some_and(|c| !c.is_done);
            if socket.port == 80 && was_aborted && faults.has(Fault::LeaksSockets) {
                *leaked += 1;
            }
            stack.sockets.remove(socket.handle);
            false
        });
        self.sockets.len() != before
    }

    fn poll_datagrams(&mut self, stack: &mut Stack) -> bool {
        let mut moved = false;
        for (port, handle) in &self.datagrams {
            let socket = stack.sockets.get_mut::<udp::Socket>(*handle);
            while socket.can_send() {
                let Ok((bytes, from)) = socket.recv() else { break };
                let answer = match *port {
                    UDP_ECHO => bytes.to_vec(),
                    UDP_CHARGEN => PATTERN.repeat(8),
                    _ => continue,
                };
                let _ = socket.send_slice(&answer, from.endpoint); // if there is no room it is lost
                moved = true;
            }
        }
        moved
    }

    /// The next frame lands in the one receive buffer, where unread data still lies.
    pub fn overwrite(&mut self, now: Timestamp, frame: &[u8]) {
        let start = ethernet::HEADER + ipv4::HEADER + tcp_header::HEADER;
        let bytes = frame.get(start..).unwrap_or_default();
        for conversation in self.sockets.iter_mut().filter_map(|s| s.conversation.as_mut()) {
            for (_, unread) in conversation.inbox.iter_mut().filter(|(due, _)| *due > now) {
                let n = unread.len().min(bytes.len());
                unread[..n].copy_from_slice(&bytes[..n]);
            }
        }
    }

    /// When unread data can be read.
    pub fn deadline(&self, now: Timestamp) -> Option<Timestamp> {
        let conversations = self.sockets.iter().filter_map(|s| s.conversation.as_ref());
        conversations
            .flat_map(|c| c.inbox.front())
            .map(|(due, _)| *due)
            .chain(self.expiry())
            .filter(|due| *due > now)
            .min()
    }
}

impl Socket {
    /// Whether the web server has a request or a response on it.
    fn is_served(&self) -> bool {
        self.conversation.as_ref().is_some_and(|c| c.is_http() && !c.is_done)
    }
}

fn is_connected(state: State) -> bool {
    !matches!(state, State::Closed | State::Listen | State::SynReceived | State::SynSent)
}

impl Conversation {
    fn new(port: u16, web: &Web, faults: Faults) -> Self {
        let kind = match port {
            80 => {
                Kind::Http { pipe: Some(web.serve()), is_shut: false, reader: Reader::new(faults) }
            }
            7 => Kind::Echo,
            9 => Kind::Discard,
            _ => Kind::Chargen { at: 0 },
        };
        Conversation { kind, inbox: VecDeque::new(), outbox: VecDeque::new(), is_done: false }
    }

    fn is_http(&self) -> bool {
        matches!(self.kind, Kind::Http { .. })
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        now: Timestamp,
        socket: &mut tcp::Socket<'_>,
        faults: Faults,
    ) -> bool {
        let mut moved = self.take(now, socket, faults);
        moved |= self.work(cx, now, socket);
        if let Kind::Http { reader, .. } = &mut self.kind
            && reader.forgets(now, !self.outbox.is_empty(), socket.can_send())
        {
            self.outbox.drain(..TAIL.min(self.outbox.len()));
        }
        moved | self.give(socket, faults)
    }

    /// From the socket into the inbox.
    fn take(&mut self, now: Timestamp, socket: &mut tcp::Socket<'_>, faults: Faults) -> bool {
        if faults.has(Fault::HalfCloseAborts) && !socket.may_recv() {
            self.kind = Kind::Discard;
            self.outbox.clear();
        }
        let held: usize = self.inbox.iter().map(|(_, bytes)| bytes.len()).sum();
        if held >= HOLD || !socket.can_recv() {
            return false;
        }
        let delay = if faults.has(Fault::RxAlias) { ALIAS_DELAY } else { Duration::ZERO };
        let mut bytes = socket.recv(|bytes| (bytes.len(), bytes.to_vec())).unwrap_or_default();
        if let Kind::Http { pipe, reader, .. } = &mut self.kind {
            bytes = match reader.read(bytes) {
                Read::Bytes(bytes) => bytes,
                Read::End => {
                    (*pipe, self.is_done) = (None, true);
                    return true;
                }
            };
        }
        if !bytes.is_empty() {
            self.inbox.push_back((now + delay, bytes));
        }
        true
    }

    /// What the service does with the inbox and for the outbox.
    fn work(&mut self, cx: &mut Context<'_>, now: Timestamp, socket: &tcp::Socket<'_>) -> bool {
        let peer_is_done = !socket.may_recv() && self.inbox.is_empty();
        if !socket.is_open() {
            self.kind = Kind::Discard; // aborted: whatever was behind it goes away
            self.inbox.clear();
            return false;
        }
        match &mut self.kind {
            Kind::Http { .. } => self.work_http(cx, now, peer_is_done),
            Kind::Echo | Kind::Discard => {
                let mut moved = false;
                while self.outbox.len() < HOLD
                    && self.inbox.front().is_some_and(|(due, _)| *due <= now)
                {
                    let Some((_, bytes)) = self.inbox.pop_front() else { break };
                    if matches!(self.kind, Kind::Echo) {
                        self.outbox.extend(bytes);
                    }
                    moved = true;
                }
                self.is_done |= peer_is_done && self.inbox.is_empty();
                moved
            }
            Kind::Chargen { at } => {
                self.inbox.clear();
                self.is_done |= peer_is_done;
                let room = HOLD.saturating_sub(self.outbox.len());
                let text = PATTERN.iter().copied().cycle().skip(*at).take(room);
                self.outbox.extend(text);
                *at = (*at + room) % PATTERN.len();
                room > 0 && !self.is_done
            }
        }
    }

    fn work_http(&mut self, cx: &mut Context<'_>, now: Timestamp, peer_is_done: bool) -> bool {
        let Kind::Http { pipe, is_shut, .. } = &mut self.kind else { return false };
        let Some(stream) = pipe else { return false };
        let mut moved = false;
        while let Some((_, bytes)) = self.inbox.front_mut().filter(|(due, _)| *due <= now) {
            match Pin::new(&mut *stream).poll_write(cx, bytes) {
                Poll::Ready(Ok(n)) => drop(bytes.drain(..n)),
                Poll::Ready(Err(_)) => bytes.clear(), // the server reads no more
                Poll::Pending => break,
            }
            moved = true;
            if bytes.is_empty() {
                self.inbox.pop_front();
            }
        }
        if peer_is_done && self.inbox.is_empty() && !*is_shut {
            *is_shut = Pin::new(&mut *stream).poll_shutdown(cx).is_ready();
        }
        while self.outbox.len() < HOLD {
            let mut space = [0; 2048];
            let mut buffer = ReadBuf::new(&mut space);
            match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.outbox.extend(buffer.filled());
                    moved = true;
                }
                Poll::Ready(_) => {
                    *pipe = None;
                    self.is_done = true;
                    return true;
                }
                Poll::Pending => break,
            }
        }
        moved
    }

    /// From the outbox into the socket, and the end behind it.
    fn give(&mut self, socket: &mut tcp::Socket<'_>, faults: Faults) -> bool {
        let is_cut = faults.has(Fault::TailLost) && self.is_http();
        let kept = if is_cut { TAIL } else { 0 };
        let mut moved = false;
        while socket.can_send() && self.outbox.len() > kept {
            let (front, _) = self.outbox.as_slices();
            let most = front.len().min(self.outbox.len() - kept);
            let Ok(n @ 1..) = socket.send_slice(&front[..most]) else { break };
            self.outbox.drain(..n);
            moved = true;
        }
        if self.is_done && self.outbox.len() <= kept && socket.may_send() {
            self.outbox.clear();
            match faults.has(Fault::ClosesByReset) && matches!(self.kind, Kind::Http { .. }) {
                true => socket.abort(),
                false => socket.close(),
            }
            moved = true;
        }
        moved
    }
}
