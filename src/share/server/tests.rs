//! A server, and clients that speak to its socket.

use super::*;
use crate::bus::{MAX_BYTES, MAX_RECORDS};
use crate::record::{Body, Direction, LinkChange, Origin, Record};
use crate::share::holders;
use crate::share::pipe::Incoming;
use crate::share::wire::{MAX_MESSAGE, ToHolder};
use std::rc::Rc;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::LocalSet;

const SOON: Duration = Duration::from_secs(10);

fn announcement() -> Announcement {
    let terms = Terms {
        endpoint: "tcp:h:1".to_owned(),
        since: Timestamp(5),
        line: Line::Waiting,
        framing: "len16be".to_owned(),
        max_frame: 1514,
        host: None,
    };
    Announcement { command: "sniff".to_owned(), identities: vec!["tcp:h:1".to_owned()], terms }
}

/// A server on a line that keeps what is sent; `run` is done while it serves.
fn with_server<F: Future<Output = ()>>(run: impl FnOnce(World) -> F) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = Server::open(folder.path(), announcement()).expect("room for a socket");
    server.up(true);
    let world = World {
        path: server.path().expect("it listens").to_owned(),
        bus: Rc::default(),
        sent: Rc::default(),
        server: Rc::new(tokio::sync::Mutex::new(server)),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let local = LocalSet::new();
    runtime.expect("a runtime").block_on(local.run_until(async {
        tokio::task::spawn_local(line(world.clone()));
        tokio::time::timeout(3 * SOON, run(world)).await.expect("it is done in time");
    }));
}

#[derive(Clone)]
struct World {
    path: std::path::PathBuf,
    bus: Rc<RefCell<Bus>>,
    sent: Rc<RefCell<Vec<What>>>,
    server: Rc<tokio::sync::Mutex<Server>>,
}

/// The thread of the line: takes what is to be sent, in turns so that a test gets at the server.
async fn line(world: World) {
    let turn = Duration::from_millis(1);
    loop {
        let mut server = world.server.lock().await;
        if let Ok(outgoing) = tokio::time::timeout(turn, server.next(&world.bus)).await {
            world.sent.borrow_mut().push(outgoing.what.clone());
            outgoing.sent(Timestamp(7));
        }
        drop(server);
        tokio::task::yield_now().await;
    }
}

struct Peer {
    incoming: Incoming<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Peer {
    async fn connect(world: &World) -> Peer {
        let opened = holders::open(&world.path).await.expect("it says hello");
        Peer { incoming: opened.incoming, writer: opened.writer }
    }

    async fn attached(world: &World) -> Peer {
        let mut peer = Peer::connect(world).await;
        peer.say(&attach(MAJOR)).await;
        assert_eq!(peer.hear().await, Some(FromHolder::Welcome));
        peer
    }

    async fn say(&mut self, message: &ToHolder) {
        let mut out = Vec::new();
        message.encode(&mut out);
        self.writer.write_all(&out).await.expect("it listens");
    }

    async fn hear(&mut self) -> Option<FromHolder> {
        let message = tokio::time::timeout(SOON, self.incoming.next()).await.expect("in time")?;
        FromHolder::decode(message).expect("it makes sense")
    }

    async fn ask(&mut self, message: &ToHolder) -> FromHolder {
        self.say(message).await;
        self.hear().await.expect("an answer")
    }
}

fn attach(major: u16) -> ToHolder {
    ToHolder::Attach { major, minor: 0, pid: 77, command: "test".to_owned() }
}

fn frames() -> ToHolder {
    ToHolder::Frames(vec![Bytes::from_static(&[1; 60]), Bytes::from_static(&[2; 60])])
}

fn record(n: u64, body: Body) -> Record {
    Record { time: None, origin: Origin::new(Direction::FromDevice), offset: Some(n), body }
}

fn why(answer: &FromHolder) -> &str {
    match answer {
        FromHolder::Refused(why) => why,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn what_is_sent_reaches_the_line_and_what_is_seen_reaches_everybody() {
    with_server(|world| async move {
        let (mut a, mut b) = (Peer::attached(&world).await, Peer::attached(&world).await);
        assert_eq!(a.ask(&frames()).await, FromHolder::Sent(Timestamp(7)));
        assert_eq!(
            b.ask(&ToHolder::Raw(Bytes::from_static(&[0]))).await,
            FromHolder::Sent(Timestamp(7))
        );
        assert_eq!(world.sent.borrow().len(), 2);
        let seen = record(3, Body::Frame(Bytes::from_static(&[9; 60])));
        let link = record(4, Body::Link(LinkChange::Reset));
        world.bus.borrow_mut().publish(&mut vec![link, seen.clone()]);
        for peer in [&mut a, &mut b] {
            assert_eq!(peer.hear().await, Some(FromHolder::Records(vec![seen.clone()])));
        }
    });
}

#[test]
fn one_has_the_line_alone_until_it_gives_it_back_or_is_gone() {
    with_server(|world| async move {
        let (mut a, mut b) = (Peer::attached(&world).await, Peer::attached(&world).await);
        assert_eq!(a.ask(&ToHolder::TakeAlone).await, FromHolder::Granted);
        assert!(world.server.lock().await.is_taken());
        let refused = b.ask(&frames()).await;
        assert!(why(&refused).starts_with("uarttool test (pid 77) has the line alone"));
        assert!(why(&b.ask(&ToHolder::TakeAlone).await).contains("has the line alone"));
        assert_eq!(b.ask(&ToHolder::GiveBack).await, FromHolder::Granted, "not its own to give");
        assert!(world.server.lock().await.is_taken());
        assert_eq!(a.ask(&frames()).await, FromHolder::Sent(Timestamp(7)));
        assert_eq!(a.ask(&ToHolder::GiveBack).await, FromHolder::Granted);
        assert_eq!(b.ask(&ToHolder::TakeAlone).await, FromHolder::Granted);
        drop(b); // as when its process dies
        let freed = world.server.lock().await.taken();
        let mut freed = freed;
        freed.wait_for(|taken| !taken).await.expect("the server is there");
        assert_eq!(a.ask(&frames()).await, FromHolder::Sent(Timestamp(7)));
    });
}

#[test]
fn a_busy_line_is_nobodys_alone() {
    with_server(|world| async move {
        let mut a = Peer::attached(&world).await;
        world.server.lock().await.set_busy(Some("a client is there".to_owned()));
        assert_eq!(why(&a.ask(&ToHolder::TakeAlone).await), "a client is there");
        assert_eq!(a.ask(&frames()).await, FromHolder::Sent(Timestamp(7)));
    });
}

#[test]
fn when_the_line_is_lost_everybody_gets_the_rest_and_hears_how() {
    with_server(|world| async move {
        let mut a = Peer::attached(&world).await;
        let last = record(3, Body::Frame(Bytes::from_static(&[9; 60])));
        world.bus.borrow_mut().publish(&mut vec![last.clone()]);
        world.server.lock().await.down("closed by the other end");
        assert_eq!(a.hear().await, Some(FromHolder::Records(vec![last])));
        assert_eq!(a.hear().await, Some(FromHolder::End("closed by the other end".to_owned())));
        assert_eq!(a.hear().await, None);
        let hello = holders::open(&world.path).await.expect("it says hello").holder;
        assert!(!hello.is_up());
    });
}

#[test]
fn what_was_asked_of_a_lost_line_is_not_sent_on_the_next() {
    with_server(|world| async move {
        let mut a = Peer::attached(&world).await;
        let mut server = world.server.lock().await; // the line is not asked any more
        a.say(&frames()).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.down("gone");
        server.up(true);
        drop(server);
        assert!(matches!(a.hear().await, Some(FromHolder::Refused(_) | FromHolder::End(_))));
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(*world.sent.borrow(), []);
    });
}

#[test]
fn the_end_of_the_holder_is_told_and_its_socket_is_gone() {
    with_server(|world| async move {
        let mut a = Peer::attached(&world).await;
        let place = world.path.clone();
        let World { server, .. } = world;
        let server = std::mem::replace(
            &mut *server.lock().await,
            Server::open(place.parent().expect("a folder"), announcement()).expect("room"),
        );
        let started = std::time::Instant::now();
        drop(server);
        assert!(started.elapsed() < FAREWELL, "{:?}", started.elapsed());
        let said = format!("uarttool sniff (pid {}) ended", std::process::id());
        assert_eq!(a.hear().await, Some(FromHolder::End(said)));
        assert!(!place.exists());
    });
}

#[test]
fn a_stuck_client_loses_records_and_learns_how_many_and_nobody_else_notices() {
    with_server(|world| async move {
        let mut stuck = Peer::attached(&world).await;
        let mut keen = Peer::attached(&world).await;
        let total = MAX_RECORDS + MAX_BYTES / 1000 + 10_000;
        let mut got = 0;
        for n in 0..total {
            let body = Body::Frame(Bytes::from(vec![0; 1000]));
            world.bus.borrow_mut().publish(&mut vec![record(n as u64, body)]);
            while n - got > 500 {
                got += count(&keen.hear().await).0;
            }
        }
        while got < total {
            let (frames, dropped) = count(&keen.hear().await);
            assert_eq!(dropped, 0);
            got += frames;
        }
        world.server.lock().await.down("done");
        let (mut received, mut dropped) = (0, 0);
        while let Some(message) = stuck.hear().await {
            let (frames, gap) = count(&Some(message));
            (received, dropped) = (received + frames, dropped + gap);
        }
        assert!(dropped > 0);
        assert_eq!(received + dropped, total);
    });
}

/// Frames, and records dropped, in a message.
fn count(message: &Option<FromHolder>) -> (usize, usize) {
    let Some(FromHolder::Records(records)) = message else { return (0, 0) };
    records.iter().fold((0, 0), |(frames, dropped), record| match record.body {
        Body::Gap { records, .. } => (frames, dropped + records as usize),
        _ => (frames + 1, dropped),
    })
}

#[test]
fn another_version_is_refused_in_one_sentence() {
    with_server(|world| async move {
        let mut peer = Peer::connect(&world).await;
        let answer = peer.ask(&attach(MAJOR + 1)).await;
        assert!(why(&answer).contains("version 1 of the protocol, and you speak version 2"));
        assert_eq!(peer.hear().await, None);
    });
}

#[test]
fn nonsense_and_too_many_clients_are_turned_away_and_the_others_are_served() {
    with_server(|world| async move {
        let mut good = Peer::attached(&world).await;
        for nonsense in [&[0xff; 64][..], &[0, 0, 0, 1, 99], &[0, 0, 0, 0], b"GET / HTTP/1.1\r\n"] {
            let mut peer = Peer::connect(&world).await;
            peer.writer.write_all(nonsense).await.expect("it listens");
            while peer.hear().await.is_some() {}
        }
        let mut silent = Vec::new();
        for _ in 1..MAX_SESSIONS {
            silent.push(UnixStream::connect(&world.path).await.expect("it listens"));
        }
        let mut late = Peer::connect(&world).await;
        assert!(why(&late.ask(&attach(MAJOR)).await).contains("which is the most"));
        assert_eq!(good.ask(&frames()).await, FromHolder::Sent(Timestamp(7)));
        let long = ToHolder::Raw(Bytes::from(vec![0; MAX_MESSAGE]));
        let mut out = Vec::new();
        long.encode(&mut out);
        let _ = good.writer.write_all(&out).await; // it hangs up in the middle
        while good.hear().await.is_some() {}
        assert_eq!(world.sent.borrow().len(), 1);
    });
}
