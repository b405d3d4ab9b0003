//! The taps between simulated ends, in virtual time.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep};

use super::*;
use crate::bus::{Bus, Inbox};
use crate::clock::Timestamp;
use crate::endpoint::sharing::Sharing;
use crate::endpoint::{Connector, Link, Pending, Receive, Received, Standing, Transmit};
use crate::error::{Error, Result};
use crate::proto::samples;
use crate::record::Recovery;
use crate::stop;

/// One end of a simulated connection: what it sends, and what it was sent.
#[derive(Clone)]
struct End {
    to_us: mpsc::UnboundedSender<Received>,
    got: Arc<Mutex<Vec<u8>>>,
    /// How many writes it takes.
    takes: Arc<Semaphore>,
}

struct Rx(mpsc::UnboundedReceiver<Received>);
struct Tx(End);

impl Receive for Rx {
    fn receive(&mut self) -> Pending<'_, Result<Received>> {
        Box::pin(async { Ok(self.0.recv().await.unwrap_or(Received::End("gone".to_owned()))) })
    }
}

impl Transmit for Tx {
    fn send<'a>(&'a mut self, frames: &'a [Bytes]) -> Pending<'a, Result<()>> {
        let bytes: Vec<u8> = frames.iter().flat_map(|frame| framed(frame)).collect();
        Box::pin(async move { self.send_raw(&bytes).await })
    }

    fn send_raw<'a>(&'a mut self, bytes: &'a [u8]) -> Pending<'a, Result<()>> {
        Box::pin(async move {
            match self.0.takes.acquire().await {
                Ok(permit) => permit.forget(),
                Err(_) => return Err(Error::environment("broken pipe")),
            }
            self.0.got.lock().expect("no panic").extend_from_slice(bytes);
            Ok(())
        })
    }

    fn close(&mut self) -> Pending<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }
}

impl End {
    fn new() -> (End, Link) {
        let (to_us, received) = mpsc::unbounded_channel();
        let end = End { to_us, got: Arc::default(), takes: Arc::new(Semaphore::new(1000)) };
        let about = About {
            is_stream: true,
            endpoint: "test:".to_owned(),
            peer: None,
            standing: Standing::Served,
            is_live: true,
            has_left: false,
            shared: None,
        };
        let link = Link { rx: Box::new(Rx(received)), tx: Box::new(Tx(end.clone())), about };
        (end, link)
    }

    fn says(&self, bytes: &[u8]) {
        self.to_us.send(Received::Bytes(Bytes::copy_from_slice(bytes))).expect("it is listened to");
    }

    fn leaves(&self) {
        self.to_us.send(Received::End("left".to_owned())).expect("it is listened to");
    }

    fn got(&self) -> Vec<u8> {
        self.got.lock().expect("no panic").clone()
    }
}

/// Hands out prepared links, or failures, each after a while; then none.
struct Links(Mutex<VecDeque<(Duration, Result<Link>)>>);

fn links(links: impl IntoIterator<Item = (u64, Result<Link>)>) -> Links {
    let links = links.into_iter().map(|(ms, link)| (Duration::from_millis(ms), link));
    Links(Mutex::new(links.collect()))
}

impl Connector for Links {
    fn name(&self) -> &str {
        "test:"
    }

    fn connect(&self) -> Pending<'_, Result<Link>> {
        Box::pin(async {
            let wait = self.0.lock().expect("no panic").front().map(|(wait, _)| *wait);
            match wait {
                Some(wait) => sleep(wait).await,
                None => std::future::pending().await,
            }
            self.0.lock().expect("no panic").pop_front().expect("it was there").1
        })
    }
}

fn framed(frame: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    crate::framing::ALL[0].encode(frame, &mut out).expect("a legal size");
    out
}

fn tap(events: Events) -> Tap {
    let started = Instant::now();
    let clock = Clock::from_source(Timestamp(0), move || started.elapsed());
    Tap { clock, events, options: Options::default() }
}

/// Everything that was published, without the news of links.
fn records(inbox: &mut Inbox) -> Vec<Record> {
    let all = std::iter::from_fn(|| inbox.poll());
    all.filter(|record| !matches!(record.body, Body::Link(_))).collect()
}

const MS: Duration = Duration::from_millis(1);

/// Runs a direct tap on `device` while `script` runs; what was published.
async fn directly(link: Link, script: impl Future<Output = ()>) -> Vec<Record> {
    let bus = RefCell::new(Bus::default());
    let mut inbox = bus.borrow_mut().watch();
    let (stopper, stop) = stop::pair();
    let mut sharing = Sharing::none();
    let connector = links([(0, Ok(link))]);
    let tap = tap(Events::ignore());
    let run = direct::run(&tap, &connector, &bus, &mut sharing, stop, || {});
    let (end, ()) = tokio::join!(run, async {
        script.await;
        stopper.stop();
    });
    end.expect("nothing fails");
    records(&mut inbox)
}

/// Runs a proxy between `device` and `clients` while `script` runs; what was published.
async fn between(
    device: Link,
    clients: Links,
    events: Events,
    script: impl Future<Output = ()>,
) -> Vec<Record> {
    let bus = RefCell::new(Bus::default());
    let mut inbox = bus.borrow_mut().watch();
    let (stopper, stop) = stop::pair();
    let mut sharing = Sharing::none();
    let device = links([(0, Ok(device))]);
    let tap = tap(events);
    let run = proxy::run(&tap, &device, &clients, &bus, &mut sharing, stop, || {});
    let (end, ()) = tokio::join!(run, async {
        script.await;
        stopper.stop();
    });
    end.expect("nothing fails");
    records(&mut inbox)
}

#[tokio::test(start_paused = true)]
async fn an_odd_frame_that_could_be_the_start_of_another_is_shown_soon() {
    let mut odd = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5];
    odd.resize(58, 9);
    odd.extend([0x00, 0x40]);
    let (device, link) = End::new();
    let seen = directly(link, async {
        device.says(&framed(&odd));
        sleep(150 * MS).await;
        device.says(&[0]); // if it were still held back, this would be the reason for its release
        sleep(5 * MS).await;
    })
    .await;
    assert_eq!(seen[0].body, Body::Frame(Bytes::from(odd)));
    assert_eq!(seen[0].time.map(|span| span.last), Some(Timestamp(0)));
}

#[tokio::test(start_paused = true)]
async fn stopping_in_mid_frame_is_no_error_of_the_line() {
    let (device, link) = End::new();
    let seen = directly(link, async {
        device.says(&framed(&samples::echo_request())[..50]);
        sleep(20 * MS).await;
    })
    .await;
    let [Record { body: Body::FramingError(error), .. }] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!((error.recovery, error.is_new()), (Recovery::Stopped, false));
    assert_eq!(error.bytes.len(), 50);
}

#[tokio::test(start_paused = true)]
async fn what_has_arrived_when_it_is_told_to_stop_is_still_read() {
    let (device, link) = End::new();
    let frame = framed(&samples::echo_request());
    let seen = directly(link, async {
        for _ in 0..1000 {
            device.says(&frame);
        }
    })
    .await;
    assert_eq!(seen.len(), 1000);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_joins_after_a_cut_frame_gets_every_frame_from_then_on() {
    let frame = framed(&samples::echo_request());
    let long = framed(&crate::craft::tests_support::echo(700));
    for cut in [1, 2, 30, 200, 600] {
        let (device, link) = End::new();
        let (client, near) = End::new();
        let clients = links([(5000, Ok(near))]);
        between(link, clients, Events::ignore(), async {
            sleep(MS).await;
            device.says(&long[..cut]);
            sleep(6000 * MS).await; // the client has come meanwhile
            for _ in 0..3 {
                device.says(&frame);
                sleep(200 * MS).await;
            }
        })
        .await;
        assert_eq!(client.got(), frame.repeat(3), "the device stopped after {cut} bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_joins_in_mid_frame_gets_that_frame_whole() {
    let long = framed(&crate::craft::tests_support::echo(700));
    for at in [1, 2, 350, 701] {
        let (device, link) = End::new();
        let (client, near) = End::new();
        let clients = links([(10, Ok(near))]);
        between(link, clients, Events::ignore(), async {
            sleep(MS).await;
            device.says(&long[..at]);
            sleep(20 * MS).await;
            device.says(&long[at..]);
            device.says(&long[..300]); // and from here on every byte as it comes
            sleep(MS).await;
        })
        .await;
        assert_eq!(client.got(), [&long[..], &long[..300]].concat(), "joined at {at}");
    }
}

#[tokio::test(start_paused = true)]
async fn both_directions_are_passed_on_byte_by_byte_and_seen_once() {
    let (device, link) = End::new();
    let (client, near) = End::new();
    let (up, down) = (framed(&samples::echo_request()), framed(&samples::datagram()));
    let seen = between(link, links([(0, Ok(near))]), Events::ignore(), async {
        sleep(MS).await;
        for (a, b) in up.iter().zip(down.iter().cycle()) {
            client.says(&[*a]);
            device.says(&[*b]);
        }
        sleep(300 * MS).await;
    })
    .await;
    assert_eq!(device.got(), up);
    assert_eq!(client.got(), down.repeat(3)[..up.len()]);
    let to_device: Vec<_> =
        seen.iter().filter(|r| r.origin.direction == Direction::ToDevice).collect();
    assert_eq!(to_device.len(), 1, "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_holds_up_neither_the_other_direction_nor_the_times() {
    let (device, link) = End::new();
    let (client, near) = End::new();
    client.takes.forget_permits(1000);
    let (up, down) = (framed(&samples::echo_request()), framed(&samples::datagram()));
    let seen = between(link, links([(0, Ok(near))]), Events::ignore(), async {
        sleep(MS).await;
        device.says(&down);
        sleep(10 * MS).await;
        client.says(&up);
        sleep(10_000 * MS).await;
        assert_eq!(device.got(), up, "the other direction goes on");
        client.takes.add_permits(5);
        sleep(MS).await;
    })
    .await;
    assert_eq!(client.got(), down);
    let held = seen.iter().find(|r| r.origin.direction == Direction::FromDevice);
    let time = held.and_then(|record| record.time).expect("it was seen").last;
    assert_eq!(time, Timestamp(1_000_000), "when it arrived, not when it was taken");
}

#[tokio::test(start_paused = true)]
async fn what_a_client_sent_before_it_left_reaches_the_device() {
    let (device, link) = End::new();
    let (client, near) = End::new();
    let (up, down) = (framed(&samples::echo_request()), framed(&samples::datagram()));
    device.takes.forget_permits(1000);
    between(link, links([(0, Ok(near))]), Events::ignore(), async {
        sleep(MS).await;
        client.says(&up);
        client.says(&up);
        client.leaves();
        client.takes.close(); // and takes no more
        sleep(MS).await;
        device.says(&down);
        sleep(100 * MS).await;
        device.takes.add_permits(10);
        sleep(100 * MS).await;
    })
    .await;
    assert_eq!(device.got(), up.repeat(2));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_cannot_be_accepted_costs_the_line_nothing() {
    let (device, link) = End::new();
    let (client, near) = End::new();
    let clients = links([(1, Err(Error::environment("too many open files"))), (0, Ok(near))]);
    let warnings = Arc::new(Mutex::new(Vec::new()));
    let told = warnings.clone();
    let events = Events::new(move |event| {
        if let Event::Warning(text) = event {
            told.lock().expect("no panic").push(text);
        }
    });
    let frame = framed(&samples::datagram());
    let seen = between(link, clients, events, async {
        device.says(&frame);
        sleep(200 * MS).await;
        device.says(&frame);
        sleep(MS).await;
    })
    .await;
    assert_eq!(seen.len(), 2);
    assert_eq!(client.got(), frame);
    assert_eq!(*warnings.lock().expect("no panic"), ["too many open files"]);
}
