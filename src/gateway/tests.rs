//! Connections with devices and clients that behave in all manner of ways, in virtual time.

use std::io::Result;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::client::{Presence, Stream};
use super::flow::Outcome;
use super::{Gateway, Settings, arrival};
use crate::clock::{Clock, Timestamp};
use crate::craft;
use crate::craft::layers::{Ethernet, Ipv4, Tcp};
use crate::event::Events;
use crate::proto::tcp::{ACK, FIN, PSH, RST, SYN};
use crate::proto::{MacAddr, arp, be16, be32, ipv4_at};
use crate::tap::host::Station;

const OURS: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 1);
const DEVICE: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 2);
const OTHER: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 7);
const OUR_MAC: MacAddr = MacAddr(2, 0, 0, 0, 0, 1);
const HOLD: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);

/// A client; what is known of it can be set.
struct Client(DuplexStream, Arc<Mutex<Presence>>);

impl AsyncRead for Client {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, to)
    }
}

impl AsyncWrite for Client {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl Stream for Client {
    fn presence(&self) -> Presence {
        *self.1.lock().expect("no panic")
    }
}

/// A segment that we have sent.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sent {
    to: MacAddr,
    destination: Ipv4Addr,
    port: u16,
    seq: u32,
    ack: u32,
    flags: u8,
    data: Vec<u8>,
}

impl Sent {
    fn of(frame: &[u8]) -> Option<Sent> {
        let packet =
            frame.get(14..).filter(|p| p.get(9) == Some(&6) && be16(frame, 12) == Some(0x0800))?;
        let segment = packet.get(20..)?;
        Some(Sent {
            to: MacAddr::from(<[u8; 6]>::try_from(frame.get(..6)?).ok()?),
            destination: ipv4_at(packet, 16)?,
            port: be16(segment, 0)?,
            seq: be32(segment, 4)?,
            ack: be32(segment, 8)?,
            flags: segment[13],
            data: segment[usize::from(segment[12] >> 4) * 4..].to_vec(),
        })
    }
}

/// A gateway, and the device that the test plays.
struct Bench {
    gateway: Gateway,
    frames: Vec<Bytes>,
}

impl Bench {
    fn new() -> Bench {
        let settings = Settings {
            first_port: crate::gateway::FIRST_PORT,
            host_ip: OURS,
            host_mac: OUR_MAC,
            device_ip: DEVICE,
            is_device_ip_fixed: false,
            device_mac: None,
            carries: crate::framing::Carries::Ethernet,
            mtu: 1486,
            window: 32_768,
            hold: HOLD,
        };
        let started = Instant::now();
        let clock = Clock::from_source(Timestamp(1 << 40), move || started.elapsed());
        let gateway = Gateway::new(settings, clock, Events::ignore());
        gateway.up(None);
        Bench { gateway, frames: Vec::new() }
    }

    /// The same; the device has said who it is.
    fn with_device() -> Bench {
        let bench = Bench::new();
        bench.announce(DEVICE);
        bench
    }

    fn announce(&self, ip: Ipv4Addr) {
        let (sha, tha) = (mac_of(ip).octets(), OUR_MAC.octets());
        let reply = arp::Message { op: arp::REPLY, sha, spa: ip, tha, tpa: OURS };
        self.gateway.receive(&craft::arp(&reply, OUR_MAC).into());
    }

    /// A client connects to a port of a guest: its end, what can be known of it, and what came of it.
    fn client(
        &self,
        guest: Option<Ipv4Addr>,
    ) -> (DuplexStream, Arc<Mutex<Presence>>, JoinHandle<Outcome>) {
        let (near, far) = tokio::io::duplex(4096);
        let presence = Arc::new(Mutex::new(Presence::Here));
        let (gateway, client) = (self.gateway.clone(), Client(far, presence.clone()));
        let task = tokio::spawn(async move { arrival::run(&gateway, client, guest, 80).await });
        (near, presence, task)
    }

    /// The next segment that we send within this time; ARP is passed over.
    async fn next_within(&mut self, time: Duration) -> Option<Sent> {
        let next = async {
            loop {
                if self.frames.is_empty() {
                    self.gateway.next(&mut self.frames).await;
                }
                let frame = self.frames.remove(0);
                if let Some(sent) = Sent::of(&frame) {
                    return sent;
                }
            }
        };
        timeout(time, next).await.ok()
    }

    async fn next(&mut self) -> Sent {
        self.next_within(SECOND * 2).await.expect("a segment")
    }

    /// The device sends a segment.
    fn say(&self, to: u16, (seq, ack): (u32, u32), flags: u8, window: u16, data: &[u8]) {
        let tcp = Tcp { seq, ack, flags, window, ..Tcp::new(80, to) };
        let packet = Ipv4::new(DEVICE, OURS, 6).packet(&tcp.segment(DEVICE, OURS, data));
        let route = Ethernet { destination: OUR_MAC, source: mac_of(DEVICE), kind: 0x0800 };
        self.gateway.receive(&route.frame(&packet).into());
    }

    /// Accepts the connection whose SYN is next; our port and the sequence number of our first byte.
    async fn accept(&mut self, window: u16) -> (u16, u32) {
        let syn = self.next().await;
        assert_eq!(syn.flags, SYN);
        let first = syn.seq.wrapping_add(1);
        self.say(syn.port, (999, first), SYN | ACK, window, &[]);
        let ack = self.next().await;
        assert_eq!((ack.flags & !PSH, ack.seq, ack.ack), (ACK, first, 1000));
        (syn.port, first)
    }
}

fn mac_of(ip: Ipv4Addr) -> MacAddr {
    MacAddr::new(2, 0, 0, 0, 0, ip.octets()[3])
}

#[tokio::test(start_paused = true)]
async fn a_connection_on_which_nothing_happens_stays() {
    let mut bench = Bench::with_device();
    let (mut client, _, task) = bench.client(None);
    let (port, first) = bench.accept(5744).await;
    assert_eq!(bench.next_within(SECOND * 3600).await, None);
    bench.say(port, (1000, first), ACK | PSH, 5744, b"news");
    let mut news = [0; 4];
    client.read_exact(&mut news).await.expect("it stands");
    assert_eq!(bench.next().await.ack, 1004);
    assert_eq!(bench.next_within(SECOND * 3600).await, None);

    // But what is not acknowledged ends it.
    client.write_all(b"hello").await.expect("it stands");
    let asked = Instant::now();
    loop {
        let sent = bench.next_within(SECOND * 100).await.expect("a segment");
        if sent.flags & RST != 0 {
            break;
        }
        assert_eq!(sent.data, b"hello");
    }
    assert_eq!(asked.elapsed().as_secs(), 60);
    assert_eq!(task.await.expect("no panic"), Outcome::Lost);
}

#[tokio::test(start_paused = true)]
async fn who_gave_up_before_the_device_came_is_not_let_in() {
    for presence in [Presence::Gone, Presence::Broken] {
        let mut bench = Bench::new();
        let (mut client, known, task) = bench.client(None);
        let _other = bench.client(None);
        client.write_all(b"POST / HTTP/1.1\r\n\r\n").await.expect("there is room");
        assert_eq!(bench.next_within(SECOND * 3).await, None);
        *known.lock().expect("no panic") = presence;
        sleep(SECOND).await;
        assert_eq!(task.await.expect("no panic"), Outcome::Reset);
        bench.announce(DEVICE);
        let mut ports = [0; 2];
        for port in &mut ports {
            *port = bench.next().await.port;
        }
        assert_eq!(ports[0], ports[1], "only the other knocks");
    }
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_while_the_device_says_nothing_is_not_let_in() {
    let mut bench = Bench::with_device();
    let (_client, known, task) = bench.client(None);
    bench.next().await;
    *known.lock().expect("no panic") = Presence::Gone;
    while bench.next().await.flags & RST == 0 {}
    assert_eq!(task.await.expect("no panic"), Outcome::Reset);
}

#[tokio::test(start_paused = true)]
async fn a_reset_of_the_client_goes_through_a_window_that_is_closed() {
    let mut bench = Bench::with_device();
    let (mut client, known, task) = bench.client(None);
    let (port, first) = bench.accept(0).await;
    client.write_all(&[7; 3000]).await.expect("there is room");
    sleep(SECOND).await;
    *known.lock().expect("no panic") = Presence::Broken;
    let broken = Instant::now();
    loop {
        let sent = bench.next().await;
        if sent.flags & RST != 0 {
            break;
        }
        bench.say(port, (1000, first), ACK, 0, &[]); // the answer to a probe
    }
    assert!(broken.elapsed() <= SECOND, "{:?}", broken.elapsed());
    assert_eq!(task.await.expect("no panic"), Outcome::Reset);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_gone_is_not_waited_for_for_ever() {
    let mut bench = Bench::with_device();
    let (mut client, known, task) = bench.client(None);
    let (port, first) = bench.accept(5744).await;
    client.write_all(b"x").await.expect("there is room");
    client.shutdown().await.expect("half of it ends");
    let mut end = bench.next().await;
    while end.flags & FIN == 0 {
        end = bench.next().await;
    }
    bench.say(port, (1000, first.wrapping_add(2)), ACK, 5744, &[]);
    assert_eq!(bench.next_within(SECOND * 3600).await, None, "it may still want to hear");
    *known.lock().expect("no panic") = Presence::Gone;
    let gone = Instant::now();
    let sent = bench.next_within(SECOND * 100).await.expect("a segment");
    assert_ne!(sent.flags & RST, 0);
    assert_eq!(gone.elapsed().as_secs(), 60);
    assert_eq!(task.await.expect("no panic"), Outcome::Reset);
    assert_eq!(bench.gateway.open_flows(), 0);
}

#[tokio::test(start_paused = true)]
async fn few_knock_at_once_and_wait_as_long_as_the_device_answers_somebody() {
    let mut bench = Bench::with_device();
    let clients: Vec<_> = (0..12).map(|_| bench.client(None)).collect();
    let mut let_in = Vec::new();
    for _ in 0..12 {
        // It has room for another every 20 seconds.
        let deadline = Instant::now() + SECOND * 20;
        let mut knocking: Vec<(u16, u32)> = Vec::new();
        while let Some(sent) = bench.next_within(deadline - Instant::now()).await {
            assert_eq!(sent.flags, SYN);
            let door = (sent.port, sent.seq);
            if !knocking.contains(&door) {
                knocking.push(door);
            }
        }
        assert_eq!(knocking.len(), 4.min(12 - let_in.len()), "{knocking:?}");
        let (port, seq) = knocking[0];
        bench.say(port, (999, seq.wrapping_add(1)), SYN | ACK, 5744, &[]);
        let_in.push(port);
        while bench.next().await.flags & ACK == 0 {}
    }
    let_in.sort_unstable();
    let_in.dedup();
    assert_eq!(let_in.len(), 12);
    assert!(clients.iter().all(|(_, _, task)| !task.is_finished()));
}

#[tokio::test(start_paused = true)]
async fn a_device_that_answers_nobody_is_given_up_after_the_hold() {
    let bench = Bench::with_device();
    let started = Instant::now();
    let clients: Vec<_> = (0..12).map(|_| bench.client(None)).collect();
    let gateway = bench.gateway.clone();
    let sink = tokio::spawn(async move {
        loop {
            gateway.next(&mut Vec::new()).await;
        }
    });
    for (_stream, _, task) in clients {
        assert_eq!(task.await.expect("no panic"), Outcome::NoAnswer);
    }
    assert!(started.elapsed() < HOLD + SECOND * 2, "{:?}", started.elapsed());
    sink.abort();
}

#[tokio::test(start_paused = true)]
async fn another_guest_is_asked_for_by_its_own_address() {
    let mut bench = Bench::with_device();
    let _client = bench.client(Some(OTHER));
    bench.gateway.next(&mut bench.frames).await;
    let question = arp::Message::in_frame(&bench.frames.remove(0)).expect("ARP");
    assert_eq!((question.op, question.tpa), (arp::REQUEST, OTHER));
    bench.announce(OTHER);
    let syn = bench.next().await;
    assert_eq!((syn.flags, syn.destination, syn.to), (SYN, OTHER, mac_of(OTHER)));
    for bad in
        ["255.255.255.255", "0.0.0.0", "127.0.0.1", "224.0.0.1", "240.0.0.1", "192.168.100.1"]
    {
        assert!(bench.gateway.check_guest(bad.parse().expect("an address")).is_err(), "{bad}");
    }
    assert!(bench.gateway.check_guest(OTHER).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_stray_reset_is_asked_about_and_the_right_one_counts() {
    let mut bench = Bench::with_device();
    let (_client, _, task) = bench.client(None);
    let (port, first) = bench.accept(5744).await;
    bench.say(port, (1500, first), RST, 0, &[]);
    let challenge = bench.next().await;
    assert_eq!((challenge.flags, challenge.seq, challenge.ack), (ACK, first, 1000));
    assert!(!task.is_finished());
    bench.say(port, (1000, 0), RST, 0, &[]);
    assert_eq!(task.await.expect("no panic"), Outcome::Reset);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_has_forgotten_a_connection_is_found_out_when_the_line_is_back() {
    let mut bench = Bench::with_device();
    let (_client, _, task) = bench.client(None);
    let (port, first) = bench.accept(5744).await;
    for is_known in [true, false] {
        bench.gateway.down();
        assert_eq!(bench.next_within(SECOND * 3600).await, None);
        bench.gateway.up(None);
        bench.announce(DEVICE);
        let probe = bench.next_within(SECOND * 3).await.expect("a probe");
        assert_eq!((probe.flags & ACK, probe.seq.wrapping_add(1)), (ACK, first));
        match is_known {
            true => bench.say(port, (1000, first), ACK, 5744, &[]),
            false => bench.say(port, (1000, 0), RST, 0, &[]),
        }
    }
    assert_eq!(task.await.expect("no panic"), Outcome::Reset);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_may_send_no_more_is_answered_at_once() {
    let mut bench = Bench::with_device();
    let (_client, _, _task) = bench.client(None);
    let (port, first) = bench.accept(5744).await;
    let came = Instant::now();
    bench.say(port, (1000, first), ACK, 5744, &[7; 1440]);
    assert_eq!(bench.next().await.ack, 2440);
    assert!(came.elapsed() < Duration::from_millis(2), "{:?}", came.elapsed());
    let came = Instant::now();
    bench.say(port, (2440, first), ACK, 5744, &[7; 723]);
    assert_eq!(bench.next().await.ack, 3163);
    assert!(came.elapsed() >= Duration::from_millis(2), "{:?}", came.elapsed());
}
