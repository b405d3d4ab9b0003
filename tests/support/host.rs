//! A host with a TCP/IP stack (smoltcp) on the tunnel, for trying the firmware's services.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::{tcp, udp};
use smoltcp::time::Instant as Moment;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr, IpEndpoint};

const DEVICE: IpAddress = IpAddress::v4(192, 168, 100, 2);

/// How long a conversation may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The tunnel as smoltcp's device: frames behind their length.
struct Line {
    stream: TcpStream,
    received: Vec<u8>,
    unsent: Vec<u8>,
}

impl Line {
    /// Moves bytes both ways without waiting.
    fn pump(&mut self) {
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => panic!("the tunnel was closed"),
                Ok(n) => self.received.extend_from_slice(&buffer[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("the tunnel: {error}"),
            }
        }
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(n) => drop(self.unsent.drain(..n)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("the tunnel: {error}"),
            }
        }
    }

    fn next_frame(&mut self) -> Option<Vec<u8>> {
        let header = self.received.get(..2)?;
        let length = usize::from(u16::from_be_bytes([header[0], header[1]]));
        assert!((14..=1514).contains(&length), "a frame of {length} bytes");
        let frame = self.received.get(2..2 + length)?.to_vec();
        self.received.drain(..2 + length);
        Some(frame)
    }
}

struct Rx(Vec<u8>);

impl RxToken for Rx {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

struct Tx<'a>(&'a mut Vec<u8>);

impl TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut frame = vec![0; length];
        let result = f(&mut frame);
        self.0.extend((length as u16).to_be_bytes());
        self.0.extend(frame);
        result
    }
}

impl Device for Line {
    type RxToken<'a> = Rx;
    type TxToken<'a> = Tx<'a>;

    fn receive(&mut self, _: Moment) -> Option<(Rx, Tx<'_>)> {
        let frame = self.next_frame()?;
        Some((Rx(frame), Tx(&mut self.unsent)))
    }

    fn transmit(&mut self, _: Moment) -> Option<Tx<'_>> {
        (self.unsent.len() < 64 * 1024).then_some(Tx(&mut self.unsent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1500; // the firmware's limit, Ethernet header included
        capabilities
    }
}

/// A host at 192.168.100.1.
pub struct Host {
    line: Line,
    interface: Interface,
    sockets: SocketSet<'static>,
    started: Instant,
    next_port: u16,
}

/// What a web server said.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Host {
    /// Connects to the tunnel at `endpoint`, `tcp:HOST:PORT`.
    pub fn connect(endpoint: &str) -> Host {
        let stream = TcpStream::connect(&endpoint["tcp:".len()..]).expect("the tunnel");
        stream.set_nonblocking(true).expect("a socket");
        stream.set_nodelay(true).expect("a socket");
        let mut line = Line { stream, received: Vec::new(), unsent: Vec::new() };
        let mut config = Config::new(EthernetAddress([2, 0, 0, 0, 0, 1]).into());
        config.random_seed = 7;
        let mut interface = Interface::new(config, &mut line, Moment::ZERO);
        interface.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(IpAddress::v4(192, 168, 100, 1), 24)).expect("room for one");
        });
        let sockets = SocketSet::new(Vec::new());
        Host { line, interface, sockets, started: Instant::now(), next_port: 49152 }
    }

    fn turn(&mut self) {
        self.line.pump();
        let now = Moment::from_micros(self.started.elapsed().as_micros() as i64);
        self.interface.poll(now, &mut self.line, &mut self.sockets);
        self.line.pump();
        std::thread::sleep(Duration::from_micros(200));
    }

    /// Sends `bytes` to a TCP port in pieces that `pause` lies between, says that it was all if
    /// `close`, and returns what came back until the other side closed.
    pub fn converse(
        &mut self,
        port: u16,
        pieces: &[&[u8]],
        pause: Duration,
        close: bool,
    ) -> Vec<u8> {
        let buffer = || tcp::SocketBuffer::new(vec![0; 64 * 1024]);
        let handle = self.sockets.add(tcp::Socket::new(buffer(), buffer()));
        let local = self.next_port;
        self.next_port += 1;
        let socket = self.sockets.get_mut::<tcp::Socket>(handle);
        socket.connect(self.interface.context(), (DEVICE, port), local).expect("a fresh socket");
        let pieces = pieces.iter().copied().filter(|piece| !piece.is_empty()).collect();
        let due = Instant::now();
        let mut conversation = Conversation { pieces, pause, close, due, got: Vec::new() };
        let deadline = Instant::now() + PATIENCE;
        while !conversation.go_on(self.sockets.get_mut::<tcp::Socket>(handle)) {
            assert!(Instant::now() < deadline, "{} bytes came back", conversation.got.len());
            self.turn();
        }
        self.finish(handle);
        conversation.got
    }

    /// Lets the last segments go.
    fn finish(&mut self, handle: SocketHandle) {
        self.sockets.get_mut::<tcp::Socket>(handle).close();
        for _ in 0..20 {
            self.turn();
        }
        self.sockets.get_mut::<tcp::Socket>(handle).abort();
        self.turn();
        self.sockets.remove(handle);
    }

    /// One request, one response.
    pub fn http(&mut self, head: &str, body: &[u8], pause: Duration) -> Response {
        let reply = self.converse(80, &[head.as_bytes(), body], pause, false);
        let end = reply.windows(4).position(|window| window == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no end of head in {} bytes", reply.len()));
        let head = String::from_utf8_lossy(&reply[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        Response { status: status.expect("a status"), body: reply[end + 4..].to_vec(), head }
    }

    pub fn get(&mut self, path: &str) -> Response {
        self.http(&format!("GET {path} HTTP/1.1\r\nHost: device\r\n\r\n"), b"", Duration::ZERO)
    }

    /// Uploads `body`, after a pause behind the head; the answer as JSON.
    pub fn upload(&mut self, body: &[u8], pause: Duration) -> (u16, serde_json::Value) {
        let head = format!(
            "POST /upload HTTP/1.1\r\nHost: device\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let response = self.http(&head, body, pause);
        (response.status, serde_json::from_slice(&response.body).unwrap_or_default())
    }

    /// One datagram there, and what comes back.
    pub fn datagram(&mut self, port: u16, bytes: &[u8]) -> Option<Vec<u8>> {
        let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 4], vec![0; 8192]);
        let mut socket = udp::Socket::new(buffer(), buffer());
        socket.bind(self.next_port).expect("a free port");
        self.next_port += 1;
        let to = IpEndpoint::new(DEVICE, port);
        socket.send_slice(bytes, to).expect("room for one");
        let handle = self.sockets.add(socket);
        let deadline = Instant::now() + Duration::from_secs(1);
        let mut answer = None;
        while answer.is_none() && Instant::now() < deadline {
            self.turn();
            let socket = self.sockets.get_mut::<udp::Socket>(handle);
            answer = socket.recv().ok().map(|(bytes, _)| bytes.to_vec());
        }
        self.sockets.remove(handle);
        answer
    }
}

struct Conversation<'a> {
    /// What is still to be sent; the front piece may have lost its beginning.
    pieces: VecDeque<&'a [u8]>,
    pause: Duration,
    /// Whether to say that this was all.
    close: bool,
    /// When the next piece may go.
    due: Instant,
    got: Vec<u8>,
}

impl Conversation<'_> {
    /// Whether it is over.
    fn go_on(&mut self, socket: &mut tcp::Socket<'_>) -> bool {
        while socket.can_recv() {
            let take = |bytes: &mut [u8]| (bytes.len(), bytes.to_vec());
            self.got.extend(socket.recv(take).expect("it can"));
        }
        while let (true, Some(piece)) = (socket.can_send(), self.pieces.front_mut()) {
            if self.due > Instant::now() {
                break;
            }
            let sent = socket.send_slice(piece).expect("it can");
            *piece = &piece[sent..];
            if piece.is_empty() {
                self.pieces.pop_front();
                self.due = Instant::now() + self.pause;
            }
        }
        if self.pieces.is_empty() && std::mem::take(&mut self.close) {
            socket.close();
        }
        let is_connecting = matches!(socket.state(), tcp::State::SynSent);
        !is_connecting && !socket.may_recv()
    }
}
