//! The probe and its pings against a simulated other end, in virtual time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;

use super::inject::Disguise;
use super::ping::{Damage, Outcome, Plan, Statistics};
use super::send::LISTEN_FIRST;
use super::*;
use crate::craft;
use crate::endpoint::{About, Pending, Receive, Received, Transmit};
use crate::error::{Error, Result};
use crate::proto::arp;
use crate::stop;

/// What the other end does with a frame: frames to send back, each after a while.
pub(super) type Device = Box<dyn FnMut(&[u8]) -> Vec<(Duration, Vec<u8>)> + Send>;

struct Near(mpsc::UnboundedReceiver<(Instant, Bytes)>);

impl Receive for Near {
    fn receive(&mut self) -> Pending<'_, Result<Received>> {
        Box::pin(async move {
            match self.0.recv().await {
                Some((_, bytes)) => Ok(Received::Bytes(bytes)),
                None => std::future::pending().await,
            }
        })
    }
}

struct Far {
    device: Device,
    out: mpsc::UnboundedSender<(Instant, Bytes)>,
    seen: Seen,
}

impl Transmit for Far {
    fn send<'a>(&'a mut self, frames: &'a [Bytes]) -> Pending<'a, Result<()>> {
        Box::pin(async move {
            for frame in frames {
                self.seen.lock().expect("no panic").push(frame.to_vec());
                for (after, answer) in (self.device)(frame) {
                    let mut bytes = Vec::new();
                    let framing = crate::framing::ALL[0];
                    framing.encode(&answer, &mut bytes).expect("the answer is of a legal size");
                    let (out, at) = (self.out.clone(), Instant::now() + after);
                    tokio::spawn(async move {
                        tokio::time::sleep_until(at).await;
                        let _ = out.send((at, bytes.into()));
                    });
                }
            }
            Ok(())
        })
    }

    fn send_raw<'a>(&'a mut self, _: &'a [u8]) -> Pending<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn close(&mut self) -> Pending<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }
}

pub(super) type Seen = Arc<Mutex<Vec<Vec<u8>>>>;

pub(super) fn probe(standing: Standing, device: Device) -> (Probe, Seen) {
    let (out, near) = mpsc::unbounded_channel();
    let seen = Seen::default();
    let about = About {
        is_stream: true,
        endpoint: "test:".to_owned(),
        peer: None,
        standing,
        is_live: true,
        has_left: false,
        shared: None,
    };
    let far = Far { device, out, seen: seen.clone() };
    let link = Link { rx: Box::new(Near(near)), tx: Box::new(far), about };
    let started = Instant::now();
    let clock = Clock::from_source(Timestamp(0), move || started.elapsed());
    let options = Options::default();
    let identity = Identity::default();
    (Probe::new(link, &options, identity, clock, Events::ignore(), Bus::default()), seen)
}

#[tokio::test(start_paused = true)]
async fn on_a_line_of_ip_nobody_is_asked_by_arp_and_what_is_no_ip_is_refused() {
    let slip = crate::framing::SLIP_IP.name;
    let options = Options {
        framing: crate::framing::Framing::by_name(slip).expect("it is in the list"),
        ..Options::default()
    };
    let (near, mut far) = crate::endpoint::memory::pair("near", "far", options.framing);
    let mac = MacAddr(2, 0, 0, 0, 0, 9);
    let identity = Identity { host_mac: mac, device_mac: mac, ..Identity::default() };
    let (clock, events) = (Clock::system(), Events::ignore());
    let mut probe = Probe::new(near, &options, identity, clock, events, Bus::default());
    assert_eq!(probe.identity().host_mac, MacAddr::from(ip::HOST), "others have no meaning there");
    probe.ask_for_device().await.expect("nothing is sent");
    let frame = craft::arp(
        &arp::Message {
            op: arp::REQUEST,
            sha: [2; 6],
            spa: [1; 4].into(),
            tha: [0; 6],
            tpa: [2; 4].into(),
        },
        MacAddr::broadcast(),
    );
    let refused = probe.send(frame).await.expect_err("it is no IP");
    assert!(refused.chain().contains("neither IPv4 nor IPv6"), "{}", refused.chain());
    let heard = tokio::time::timeout(Duration::from_secs(2), far.rx.receive()).await;
    assert!(heard.is_err(), "{heard:?}");
}

/// The reply that a well-behaved device gives to an echo request.
fn echoed(request: &[u8]) -> Vec<u8> {
    let mut reply = request.to_vec();
    reply[..6].copy_from_slice(&request[6..12]);
    reply[6..12].copy_from_slice(&request[..6]);
    reply[26..30].copy_from_slice(&request[30..34]);
    reply[30..34].copy_from_slice(&request[26..30]);
    reply[34] = 0;
    let checksum = u16::from_be_bytes([reply[36], reply[37]]);
    let (sum, carry) = checksum.overflowing_add(0x0800);
    reply[36..38].copy_from_slice(&(sum + u16::from(carry)).to_be_bytes());
    reply
}

fn is_echo(frame: &[u8]) -> bool {
    frame.get(23) == Some(&1) && frame.get(34) == Some(&8)
}

fn sequence(frame: &[u8]) -> u16 {
    u16::from_be_bytes([frame[40], frame[41]])
}

fn plan(count: u64) -> Plan {
    Plan {
        target: None,
        count: Some(count),
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        sizes: 56..=56,
        step: 1,
        pattern: Vec::new(),
        identifier: 7,
        ttl: 64,
        tos: 0,
        disguise: Disguise::default(),
    }
}

async fn ping(plan: &Plan, device: Device) -> (Statistics, Vec<Outcome>, Seen) {
    let (mut probe, seen) = probe(Standing::Served, device);
    let mut outcomes = Vec::new();
    let (_stopper, mut stop) = stop::pair();
    let (statistics, error) =
        super::ping::run(&mut probe, plan, &mut stop, |o| outcomes.push(o)).await;
    assert!(error.is_none(), "the link stays up");
    (statistics, outcomes, seen)
}

const FAST: Duration = Duration::from_millis(3);

#[tokio::test(start_paused = true)]
async fn every_reply_is_matched_and_timed_and_requests_keep_their_schedule() {
    let started = Instant::now();
    let (statistics, outcomes, _) =
        ping(&plan(4), Box::new(|frame| vec![(FAST * sequence(frame).into(), echoed(frame))]))
            .await;
    assert_eq!((statistics.transmitted, statistics.received), (4, 4));
    assert!(statistics.is_clean());
    let times: Vec<_> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Reply(reply) => reply.time,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(times, [FAST, FAST * 2, FAST * 3, FAST * 4]);
    let [min, average, max, _] = statistics.rtt().expect("there are times");
    assert_eq!([min, average, max].map(|ms| (ms * 1e6).round()), [3e6, 7.5e6, 12e6]);
    assert_eq!(started.elapsed(), Duration::from_secs(3) + FAST * 4);
}

#[tokio::test(start_paused = true)]
async fn silence_is_a_loss_a_second_reply_a_duplicate_and_a_changed_byte_damage() {
    let (statistics, outcomes, _) = ping(
        &plan(3),
        Box::new(|frame| match (is_echo(frame), sequence(frame)) {
            (true, 2) => vec![(FAST, echoed(frame)), (FAST * 2, echoed(frame))],
            (true, 3) => {
                let mut reply = echoed(frame);
                reply[42 + 10] ^= 1; // and the checksum with it
                reply[36..38].copy_from_slice(&[0, 0]);
                let sum = crate::checksum::internet(&reply[34..]);
                reply[36..38].copy_from_slice(&sum.to_be_bytes());
                vec![(FAST, reply)]
            }
            _ => vec![],
        }),
    )
    .await;
    assert_eq!((statistics.received, statistics.lost()), (2, 1));
    assert_eq!((statistics.duplicates, statistics.damaged), (1, 1));
    assert!(!statistics.is_clean());
    assert!(outcomes.contains(&Outcome::Timeout { number: 1, size: 56 }));
    assert!(outcomes.iter().any(|o| matches!(o, Outcome::Duplicate(reply) if reply.number == 2)));
    let damage = Damage::Byte { at: 10, sent: 10, got: 11 };
    assert!(
        outcomes.iter().any(|o| matches!(o, Outcome::Reply(r) if r.damage == Some(damage))),
        "{outcomes:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_late_reply_is_told_as_missing_first_and_counts_all_the_same() {
    let late = Duration::from_millis(1500);
    let (statistics, outcomes, _) = ping(
        &plan(3),
        Box::new(move |frame| {
            if is_echo(frame) && sequence(frame) == 1 {
                vec![(late, echoed(frame))]
            } else if is_echo(frame) {
                vec![(FAST, echoed(frame))]
            } else {
                vec![]
            }
        }),
    )
    .await;
    assert_eq!((statistics.received, statistics.lost()), (3, 0));
    assert_eq!(outcomes[0], Outcome::Timeout { number: 1, size: 56 });
    assert!(outcomes.iter().any(|o| matches!(o, Outcome::Reply(r) if r.time == late)));
}

#[tokio::test(start_paused = true)]
async fn a_reply_with_a_bad_checksum_counts_as_none() {
    let (statistics, outcomes, _) = ping(
        &plan(1),
        Box::new(|frame| {
            if !is_echo(frame) {
                return vec![];
            }
            let mut reply = echoed(frame);
            reply[36] ^= 0x55;
            vec![(FAST, reply)]
        }),
    )
    .await;
    assert_eq!((statistics.received, statistics.lost()), (0, 1));
    assert_eq!(outcomes[0], Outcome::BadChecksum { number: 1 });
}

#[tokio::test(start_paused = true)]
async fn a_sweep_says_which_sizes_were_not_answered() {
    let plan = Plan { sizes: 1450..=1472, interval: FAST * 10, ..plan(23) };
    let (statistics, _, _) = ping(
        &plan,
        Box::new(|frame| if frame.len() <= 1500 { vec![(FAST, echoed(frame))] } else { vec![] }),
    )
    .await;
    assert!(statistics.unanswered.keys().copied().eq(1459..=1472), "{statistics:?}");
    assert_eq!(statistics.largest_answered, Some(1458));
}

#[tokio::test(start_paused = true)]
async fn a_device_elsewhere_is_found_by_asking_and_then_addressed_there() {
    let elsewhere = [2, 0, 0, 0, 0, 0x99];
    let (statistics, _, seen) = ping(
        &plan(3),
        Box::new(move |frame| {
            if let Some(arp) = arp::Message::in_frame(frame) {
                let reply = arp::Message {
                    op: arp::REPLY,
                    sha: elsewhere,
                    spa: arp.tpa,
                    tha: arp.sha,
                    tpa: arp.spa,
                };
                return vec![(FAST, craft::arp(&reply, arp.sha.into()))];
            }
            if frame[..6] == elsewhere { vec![(FAST, echoed(frame))] } else { vec![] }
        }),
    )
    .await;
    assert_eq!((statistics.received, statistics.lost()), (1, 2), "found after the first second");
    let seen = seen.lock().expect("no panic");
    assert_eq!(seen.iter().filter(|frame| arp::Message::in_frame(frame).is_some()).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_the_host_is_answered() {
    let (statistics, _, seen) = ping(
        &plan(1),
        Box::new(|frame| {
            let ask = arp::Message {
                op: arp::REQUEST,
                sha: [2, 0, 0, 0, 0, 2],
                spa: Ipv4Addr::new(192, 168, 100, 2),
                tha: [0; 6],
                tpa: Ipv4Addr::new(192, 168, 100, 1),
            };
            match is_echo(frame) {
                true => {
                    vec![(FAST, craft::arp(&ask, MacAddr::broadcast())), (FAST * 2, echoed(frame))]
                }
                false => vec![],
            }
        }),
    )
    .await;
    assert!(statistics.is_clean());
    let seen = seen.lock().expect("no panic");
    let answer = seen.iter().find_map(|frame| arp::Message::in_frame(frame)).expect("an answer");
    assert_eq!((answer.op, answer.sha), (arp::REPLY, [2, 0, 0, 0, 0, 1]));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_held_back_is_sent_when_it_may() {
    let device = Box::new(|_: &[u8]| {
        let ask = arp::Message {
            op: arp::REQUEST,
            sha: [2, 0, 0, 0, 0, 2],
            spa: Identity::default().device_ip,
            tha: [0; 6],
            tpa: Identity::default().host_ip,
        };
        vec![(FAST, craft::arp(&ask, MacAddr::broadcast()))]
    });
    let (mut probe, seen) = probe(Standing::Served, device);
    probe.send(vec![0; 60]).await.expect("sent");
    probe.hold_answers(true);
    let soon = || Instant::now() + Duration::from_millis(50);
    assert!(probe.receive(soon()).await.expect("it is there").is_some(), "the question");
    assert!(probe.receive(soon()).await.expect("it is there").is_none());
    assert_eq!(seen.lock().expect("no panic").len(), 1, "no answer yet");
    probe.hold_answers(false);
    let _ = probe.receive(soon()).await;
    let answer = seen.lock().expect("no panic")[1].clone();
    assert_eq!(arp::Message::in_frame(&answer).map(|message| message.op), Some(arp::REPLY));
}

#[tokio::test(start_paused = true)]
async fn where_it_cannot_be_told_whether_we_are_served_nothing_is_sent_for_300_ms() {
    let (mut probe, seen) = probe(Standing::Unverified, Box::new(|_| vec![]));
    let started = Instant::now();
    probe.send(vec![1; 60]).await.expect("it is sent in the end");
    assert_eq!(started.elapsed(), LISTEN_FIRST);
    assert_eq!(seen.lock().expect("no panic").len(), 1);
    let (mut probe, seen) = self::probe(Standing::Unverified, Box::new(|_| vec![]));
    let soon = tokio::time::timeout(LISTEN_FIRST - FAST, probe.send(vec![1; 60])).await;
    assert!(soon.is_err() && seen.lock().expect("no panic").is_empty(), "nothing before that");
}

#[tokio::test(start_paused = true)]
async fn a_line_that_takes_a_second_for_each_request_is_waited_for_and_heard_meanwhile() {
    // Each send takes a second, the interval is a millisecond, and there are replies all the time.
    let (mut probe, _) = probe(Standing::Served, Box::new(|frame| vec![(FAST, echoed(frame))]));
    probe.link.tx = Box::new(Slow(std::mem::replace(&mut probe.link.tx, Box::new(Nowhere))));
    let plan = Plan { interval: Duration::from_millis(1), count: None, ..plan(1) };
    let (stopper, mut stop) = stop::pair();
    let started = Instant::now();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(5500)).await;
        stopper.stop();
    });
    let (statistics, _) = super::ping::run(&mut probe, &plan, &mut stop, |_| {}).await;
    assert_eq!(started.elapsed(), Duration::from_secs(6), "the frame that has begun is finished");
    assert_eq!((statistics.transmitted, statistics.received), (6, 5));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_the_line_does_not_take_is_reported_and_no_success() {
    let (mut probe, _) = probe(Standing::Served, Box::new(|_| vec![]));
    probe.link.tx = Box::new(Stuck);
    let (stopper, mut stop) = stop::pair();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(2)).await;
        stopper.stop();
    });
    let started = Instant::now();
    let (statistics, _) = super::ping::run(&mut probe, &plan(3), &mut stop, |_| {}).await;
    assert_eq!((statistics.transmitted, statistics.unsent), (0, 1));
    assert!(!statistics.is_clean());
    assert!(started.elapsed() < Duration::from_secs(3), "it ends all the same");
}

/// A line that takes nothing.
struct Stuck;

impl Transmit for Stuck {
    fn send<'a>(&'a mut self, _: &'a [Bytes]) -> Pending<'a, Result<()>> {
        Box::pin(std::future::pending())
    }
    fn send_raw<'a>(&'a mut self, _: &'a [u8]) -> Pending<'a, Result<()>> {
        Box::pin(std::future::pending())
    }
    fn close(&mut self) -> Pending<'_, Result<()>> {
        Box::pin(std::future::pending())
    }
}

/// A line on which every frame takes a second.
struct Slow(Box<dyn Transmit>);
struct Nowhere;

impl Transmit for Slow {
    fn send<'a>(&'a mut self, frames: &'a [Bytes]) -> Pending<'a, Result<()>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.0.send(frames).await
        })
    }
    fn send_raw<'a>(&'a mut self, bytes: &'a [u8]) -> Pending<'a, Result<()>> {
        self.0.send_raw(bytes)
    }
    fn close(&mut self) -> Pending<'_, Result<()>> {
        self.0.close()
    }
}

impl Transmit for Nowhere {
    fn send<'a>(&'a mut self, _: &'a [Bytes]) -> Pending<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }
    fn send_raw<'a>(&'a mut self, _: &'a [u8]) -> Pending<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }
    fn close(&mut self) -> Pending<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_is_not_the_last_word_and_a_reply_to_somebody_else_is_none() {
    let unreachable = |frame: &[u8]| {
        let mut error = echoed(frame);
        error.truncate(34);
        error.extend([3, 1, 0, 0, 0, 0, 0, 0]);
        error.extend_from_slice(&frame[14..42]);
        let length = (error.len() - 14) as u16;
        error[16..18].copy_from_slice(&length.to_be_bytes());
        error
    };
    let (statistics, outcomes, _) = ping(
        &plan(2),
        Box::new(move |frame| match (is_echo(frame), sequence(frame)) {
            (true, 1) => vec![(FAST, unreachable(frame)), (FAST * 30, echoed(frame))],
            (true, 2) => {
                let mut elsewhere = echoed(frame);
                elsewhere[5] = 0x77;
                vec![(FAST, elsewhere)]
            }
            _ => vec![],
        }),
    )
    .await;
    assert!(outcomes.iter().any(|o| matches!(o, Outcome::Error { number: 1, .. })), "{outcomes:?}");
    assert!(outcomes.iter().any(|o| matches!(o, Outcome::Reply(reply) if reply.number == 1)));
    assert!(outcomes.iter().any(|o| matches!(o, Outcome::Misdirected { number: 2, .. })));
    assert_eq!((statistics.received, statistics.lost(), statistics.errors), (1, 1, 1));
}

#[tokio::test]
async fn while_another_has_the_line_alone_nothing_is_sent_and_no_arp_answered() {
    use crate::endpoint::{Attached, Spec};
    let ask = arp::Message {
        op: arp::REQUEST,
        sha: [2, 0, 0, 0, 0, 2],
        spa: Ipv4Addr::new(192, 168, 100, 2),
        tha: [0; 6],
        tpa: Ipv4Addr::new(192, 168, 100, 1),
    };
    // Whatever it is sent, the device asks who the host is.
    let device: Device =
        Box::new(move |_| vec![(Duration::ZERO, craft::arp(&ask, MacAddr::broadcast()))]);
    let (probe, seen) = probe(Standing::Served, device);
    let folder = tempfile::tempdir().expect("a folder");
    let spec = Spec::parse("tcp:127.0.0.1:1").expect("good");
    let (own, clock) = (Some(folder.path().to_owned()), Clock::system());
    let sharing = Sharing::new(own, "bridge", &spec, &clock, &Events::ignore()).await;
    let mut probe = probe.sharing(sharing);
    let (_, path) = crate::share::places::sockets(folder.path()).remove(0);
    let (done, mut is_done) = tokio::sync::oneshot::channel();
    let other = tokio::spawn(async move {
        let alone = Attached::to(&path, "test").await?.alone().await?;
        let mut link = alone.into_link("x");
        link.tx.send(&[Bytes::from_static(&[1; 60])]).await?;
        done.send(link).map_err(|_| Error::environment("nobody waits"))
    });
    let mut asked = 0;
    let link = loop {
        let soon = Instant::now() + Duration::from_millis(20);
        asked += usize::from(probe.receive(soon).await.expect("it is up").is_some());
        if let (Ok(link), 1..) = (is_done.try_recv(), asked) {
            break link;
        }
    };
    other.await.expect("no panic").expect("it was alone");
    assert_eq!(seen.lock().expect("no panic").len(), 1, "the other's frame and no answer");
    let error = probe.send(vec![1; 60]).await.expect_err("the other has the line");
    assert!(error.chain().contains("has the line alone"), "{}", error.chain());
    drop(link);
    while probe.sharing.is_taken() {
        probe.receive(Instant::now() + Duration::from_millis(20)).await.expect("it is up");
    }
    probe.send(vec![1; 60]).await.expect("it is everybody's again");
    probe.receive(Instant::now() + Duration::from_secs(1)).await.expect("it is up");
    assert_eq!(seen.lock().expect("no panic").len(), 3, "the frame and the answer");
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_something_else_ends_loses_no_record() {
    let answer = Box::new(|_: &[u8]| vec![(Duration::from_millis(20), vec![7; 60])]);
    let (mut probe, _) = probe(Standing::Served, answer);
    probe.send(vec![1; 60]).await.expect("sent");
    let deadline = Instant::now() + Duration::from_secs(1);
    let soon = tokio::time::sleep(Duration::from_millis(10));
    let heard = probe.receive_or(deadline, soon).await.expect("a link");
    assert!(matches!(heard, Heard::Other(())), "{heard:?}");
    let heard = probe.receive_or(deadline, std::future::pending::<()>()).await.expect("a link");
    assert!(matches!(heard, Heard::Record(_)), "{heard:?}");
    let heard = probe.receive_or(deadline, std::future::pending::<()>()).await.expect("a link");
    assert!(matches!(heard, Heard::Nothing), "{heard:?}");
}
