//! The driver on a line that notes when what was sent, in virtual time, whose timers tick in milliseconds.

use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

use super::*;
use crate::bus::Bus;
use crate::cli::scribe::Scribe;
use crate::clock::Clock;
use crate::endpoint::{About, Link, Options, Pending, Receive, Received, Standing, Transmit};
use crate::event::Events;
use crate::framing;
use crate::probe::Identity;
use crate::proto::samples;
use crate::replay::expect::ignore::Ignored;
use crate::replay::schedule::Speed;
use crate::replay::source::Why;
use crate::stop::{self, Stopper};

const MS: Duration = Duration::from_millis(1);

/// What came to the far end: when, and which frame.
type Sent = Arc<Mutex<Vec<(Duration, Bytes)>>>;
/// What the far end does with a frame: answers, each after a while.
type Device = Box<dyn FnMut(&Bytes) -> Vec<(Duration, Bytes)> + Send>;

struct Far {
    start: Instant,
    sent: Sent,
    /// How long a write takes, by how many frames there were before.
    slowness: fn(usize) -> Duration,
    device: Device,
    out: mpsc::UnboundedSender<Bytes>,
}

impl Transmit for Far {
    fn send<'a>(&'a mut self, frames: &'a [Bytes]) -> Pending<'a, Result<()>> {
        Box::pin(async move {
            let before = self.sent.lock().expect("no panic").len();
            for frame in frames {
                let now = self.start.elapsed();
                self.sent.lock().expect("no panic").push((now, frame.clone()));
                for (after, answer) in (self.device)(frame) {
                    let mut bytes = Vec::new();
                    framing::ALL[0].encode(&answer, &mut bytes).expect("it is of a legal size");
                    let out = self.out.clone();
                    tokio::spawn(async move {
                        tokio::time::sleep(after).await;
                        let _ = out.send(bytes.into());
                    });
                }
            }
            let slowness = (self.slowness)(before);
            if !slowness.is_zero() {
                tokio::time::sleep(slowness).await;
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

struct Near(mpsc::UnboundedReceiver<Bytes>);

impl Receive for Near {
    fn receive(&mut self) -> Pending<'_, Result<Received>> {
        Box::pin(async move {
            match self.0.recv().await {
                Some(bytes) => Ok(Received::Bytes(bytes)),
                None => std::future::pending().await,
            }
        })
    }
}

/// A replay of `items` and its far end.
struct Rig {
    drive: Drive,
    sent: Sent,
    stopper: Stopper,
}

impl Rig {
    fn new(items: Vec<Item>, schedule: Schedule) -> Rig {
        Rig::with(items, schedule, |_| Duration::ZERO, Box::new(|_| Vec::new()))
    }

    fn with(
        items: Vec<Item>,
        schedule: Schedule,
        slowness: fn(usize) -> Duration,
        device: Device,
    ) -> Rig {
        let (out, near) = mpsc::unbounded_channel();
        let (sent, start) = (Sent::default(), Instant::now());
        let far = Far { start, sent: sent.clone(), slowness, device, out };
        let about = About {
            is_stream: true,
            endpoint: "test:".to_owned(),
            peer: None,
            standing: Standing::Served,
            is_live: true,
            has_left: false,
            shared: None,
        };
        let link = Link { rx: Box::new(Near(near)), tx: Box::new(far), about };
        let clock = Clock::from_source(Timestamp(0), move || start.elapsed());
        let (options, identity) = (Options::default(), Identity::default());
        let events = Events::ignore();
        let (stopper, stop) = stop::pair();
        let scribe = Scribe::start().expect("there is a stderr");
        let drive = Drive {
            probe: Probe::new(link, &options, identity, clock, events, Bus::default()),
            source: Source::of(items),
            schedule,
            metronome: Metronome::coarse(),
            session: None,
            judge: None,
            plan: Plan {
                timeout: Duration::from_secs(2),
                together: 256,
                limit: None,
                name: "test.pcap".to_owned(),
            },
            stop,
            totals: Totals::default(),
            limits: Limits::default(),
            end: None,
            start: None,
            batch: Vec::new(),
            batch_bytes: 0,
            asked: None,
            answer_time: Duration::ZERO,
            round: 0,
            has_told_gap: false,
            progress: Progress::new(&scribe, true),
        };
        Rig { drive, sent, stopper }
    }

    async fn run(&mut self) {
        self.drive.run().await.expect("the line stays");
    }

    /// When each frame went, in milliseconds since the first.
    fn times(&self) -> Vec<u64> {
        let sent = self.sent.lock().expect("no panic");
        let first = sent.first().map(|(at, _)| *at).unwrap_or_default();
        sent.iter().map(|(at, _)| (*at - first).as_millis() as u64).collect()
    }

    /// The numbers of the frames that went, as `numbered` has written them.
    fn numbers(&self) -> Vec<u32> {
        let sent = self.sent.lock().expect("no panic");
        sent.iter()
            .map(|(_, frame)| u32::from_be_bytes([frame[14], frame[15], frame[16], frame[17]]))
            .collect()
    }
}

/// Frame `number` of the capture, which has it in it.
fn numbered(number: u32, length: usize) -> Bytes {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5];
    frame.extend(number.to_be_bytes());
    frame.resize(length, 0);
    frame.into()
}

fn item(number: u32, at: Duration, side: Side, frame: Bytes) -> Item {
    let at = Some(Timestamp(5_000_000_000) + at);
    Item { number: number.into(), at, what: What::Frame(side, frame) }
}

/// So many frames, `gap` apart.
fn frames(count: u32, gap: Duration) -> Vec<Item> {
    (0..count).map(|n| item(n + 1, gap * n, Side::Ours, numbered(n + 1, 125))).collect()
}

fn speed(speed: Speed) -> Schedule {
    Schedule::new(speed, None)
}

#[tokio::test(start_paused = true)]
async fn deadlines_are_absolute_and_nothing_adds_up() {
    let gap = Duration::from_micros(100);
    // Most writes take a while, longer than a gap, and sometimes the line stands still.
    let slowness = |before: usize| match before % 5000 {
        ..4900 => Duration::from_micros(250),
        _ => Duration::from_millis(30),
    };
    let mut rig = Rig::with(
        frames(20_000, gap),
        speed(Speed::Recorded(1.0)),
        slowness,
        Box::new(|_| Vec::new()),
    );
    rig.run().await;
    let sent = rig.sent.lock().expect("no panic");
    assert_eq!(sent.len(), 20_000);
    let first = sent[0].0;
    let late = sent.iter().enumerate().map(|(n, (at, _))| {
        let due = first + gap * n as u32;
        assert!(*at >= due, "frame {n} is early");
        *at - due
    });
    let late: Vec<Duration> = late.collect();
    // A timer and a write: what one has to wait for, the next ones do not.
    assert!(late.iter().max() <= Some(&(MS * 36)), "{:?}", late.iter().max());
    assert!(late[4500] <= MS * 4 && late[19_500] <= MS * 4, "{:?} {:?}", late[4500], late[19_500]);
    let lateness = &rig.drive.totals.lateness;
    assert_eq!(lateness.frames(), 20_000);
    assert_eq!(lateness.most(), late.iter().max().copied().expect("there are some"));
    assert_eq!(Some(&lateness.last()), late.last());
}

#[tokio::test(start_paused = true)]
async fn every_speed_sends_in_its_time() {
    let gap = Duration::from_millis(100);
    for (at, times) in [
        (Speed::Recorded(1.0), [0, 100, 200, 300]),
        (Speed::Recorded(2.0), [0, 50, 100, 150]),
        (Speed::Recorded(0.5), [0, 200, 400, 600]),
        (Speed::Frames(20.0), [0, 50, 100, 150]),
        (Speed::Bits(10_000.0), [0, 100, 200, 300]), // a thousand bits a frame
        (Speed::Top, [0; 4]),
    ] {
        let mut rig = Rig::new(frames(4, gap), speed(at));
        rig.run().await;
        assert_eq!(rig.times(), times, "{at:?}");
        assert_eq!(rig.numbers(), [1, 2, 3, 4]);
        assert_eq!(rig.drive.totals.lateness.frames(), if at == Speed::Top { 0 } else { 4 });
        assert_eq!(rig.drive.totals.bytes, 500);
        assert_eq!(rig.drive.totals.time.as_millis() as u64, times[3]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_paced_line_decides_at_top_speed() {
    let mut rig = Rig::new(frames(200, Duration::ZERO), speed(Speed::Top));
    rig.drive.plan.together = 1;
    let options = Options::default();
    let Rig { mut drive, sent, stopper } = rig;
    // 127 bytes of 10 bits a frame.
    drive.probe = {
        let (out, near) = mpsc::unbounded_channel();
        let far = Far {
            start: Instant::now(),
            sent: sent.clone(),
            slowness: |_| Duration::ZERO,
            device: Box::new(|_| Vec::new()),
            out,
        };
        let tx = crate::endpoint::paced::paced(Box::new(far), 115_200, options.framing);
        let about = crate::endpoint::memory::nowhere("test:").about;
        let link = Link { rx: Box::new(Near(near)), tx, about };
        let start = Instant::now();
        let clock = Clock::from_source(Timestamp(0), move || start.elapsed());
        Probe::new(link, &options, Identity::default(), clock, Events::ignore(), Bus::default())
    };
    let mut rig = Rig { drive, sent, stopper };
    rig.run().await;
    let took = rig.times()[199] as f64 / 1e3;
    let line = 199.0 * 127.0 * 10.0 / 115_200.0;
    assert!((line - 0.006..line + 0.002).contains(&took), "{took} s for {line} s");
}

#[tokio::test(start_paused = true)]
async fn long_gaps_are_shortened_and_counted() {
    let minute = Duration::from_secs(60);
    let mut rig = Rig::new(frames(4, minute), Schedule::new(Speed::Recorded(1.0), Some(MS * 250)));
    rig.run().await;
    assert_eq!(rig.times(), [0, 250, 500, 750]);
    assert_eq!(rig.drive.schedule.shortened(), 3);
}

/// A capture as often as that.
fn rounds(items: &[Item], rounds: usize) -> Vec<Item> {
    let again = Item { number: 0, at: None, what: What::Again };
    vec![items.to_vec(); rounds].join(&again)
}

#[tokio::test(start_paused = true)]
async fn rounds_follow_each_other_at_once() {
    let items = rounds(&frames(3, MS * 10), 3);
    let mut rig = Rig::new(items.clone(), speed(Speed::Recorded(1.0)));
    rig.run().await;
    assert_eq!(rig.times(), [0, 10, 20, 20, 30, 40, 40, 50, 60]);
    assert_eq!(rig.numbers(), [1, 2, 3, 1, 2, 3, 1, 2, 3]);
    assert_eq!(rig.drive.totals.last, Place { number: 3, round: 2 });
    let mut rig = Rig::new(items, speed(Speed::Frames(100.0)));
    rig.drive.plan.limit = Some(7);
    rig.run().await;
    assert_eq!(rig.times(), [0, 10, 20, 30, 40, 50, 60]);
    assert!(rig.drive.totals.is_complete && rig.drive.totals.is_settled);
}

#[tokio::test(start_paused = true)]
async fn interrupted_anywhere_it_is_known_where_and_the_rest_is_exactly_the_rest() {
    let items = rounds(&frames(7, MS * 10), 3);
    let all: Vec<u32> = (0..3).flat_map(|_| 1..=7).collect();
    for (at, stop_after) in [
        (Speed::Recorded(1.0), 5),
        (Speed::Recorded(1.0), 60),
        (Speed::Recorded(1.0), 65),
        (Speed::Recorded(0.5), 205),
        (Speed::Frames(100.0), 133),
        (Speed::Bits(100_000.0), 77),
        (Speed::Top, 25), // each write takes 10 ms
    ] {
        let slowness = |_| MS * 10;
        let slowness = if at == Speed::Top { slowness } else { |_| Duration::ZERO };
        let mut rig = Rig::with(items.clone(), speed(at), slowness, Box::new(|_| Vec::new()));
        rig.drive.plan.together = 1;
        let stopper = rig.stopper.clone();
        tokio::spawn(async move {
            tokio::time::sleep(MS * stop_after).await;
            stopper.stop();
        });
        rig.run().await;
        let Totals { last, is_complete, sent, .. } = &rig.drive.totals;
        let mut numbers = rig.numbers();
        assert!(!is_complete && *sent as usize == numbers.len() && numbers.len() < all.len());
        assert!(!numbers.is_empty(), "{at:?} {stop_after}");
        // The rest, as the source yields it: the first round from the next frame on.
        let is_left = |round: usize, number: u64| {
            round > last.round as usize || round == last.round as usize && number > last.number
        };
        let mut round = 0;
        let rest = items.iter().filter(|item| {
            round += usize::from(item.what == What::Again);
            item.what != What::Again && is_left(round, item.number)
        });
        let mut rig = Rig::new(rest.cloned().collect(), speed(at));
        rig.run().await;
        numbers.extend(rig.numbers());
        assert_eq!(numbers, all, "{at:?}, stopped after {stop_after} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_over_the_end_of_a_round_knows_its_last_frame() {
    // What is in the batch when the word comes goes, and the next round has not begun then.
    let mut rig = Rig::new(rounds(&frames(3, MS), 2)[..4].to_vec(), speed(Speed::Top));
    rig.run().await;
    assert_eq!(rig.drive.round, 1);
    assert_eq!(rig.drive.totals.last, Place { number: 3, round: 0 });
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_read_is_left_after_a_while_and_what_may_have_gone_is_said() {
    let mut rig = Rig::with(
        frames(1000, Duration::ZERO),
        speed(Speed::Top),
        |before| if before < 500 { MS } else { Duration::from_secs(1_000_000) },
        Box::new(|_| Vec::new()),
    );
    let stopper = rig.stopper.clone();
    tokio::spawn(async move {
        tokio::time::sleep(MS * 100).await;
        stopper.stop();
    });
    let start = Instant::now();
    rig.run().await;
    assert!(start.elapsed() < Duration::from_secs(1));
    let totals = &rig.drive.totals;
    assert_eq!((totals.sent, totals.last.number, totals.unsure), (512, 512, 256));
}

#[tokio::test(start_paused = true)]
async fn a_held_frame_moves_what_is_behind_it_and_is_not_late() {
    let datagram = Bytes::from(samples::datagram());
    let mut question = samples::datagram();
    for (at, other) in [(26, 30), (34, 36)] {
        let width = other - at;
        let (left, right) = (question[at..other].to_vec(), question[other..other + width].to_vec());
        question[at..other].copy_from_slice(&right);
        question[other..other + width].copy_from_slice(&left);
    }
    let question = Bytes::from(question);
    let mut items = Vec::new();
    for n in 0..4 {
        items.push(item(2 * n + 1, MS * 10 * n, Side::Ours, question.clone()));
        items.push(item(2 * n + 2, MS * 10 * n + MS, Side::Theirs, datagram.clone()));
    }
    let mut count = 0;
    let answer = datagram.clone();
    // The second answer is 35 ms late, the third never comes.
    let device = move |_: &Bytes| {
        count += 1;
        match count {
            2 => vec![(MS * 45, answer.clone())],
            3 => Vec::new(),
            _ => vec![(MS, answer.clone())],
        }
    };
    let mut rig =
        Rig::with(items, speed(Speed::Recorded(1.0)), |_| Duration::ZERO, Box::new(device));
    rig.drive.session = Some(Session::new(None));
    rig.drive.judge = Ignored::new(&[], &[]).ok().map(Judge::new);
    rig.drive.plan.timeout = MS * 500;
    rig.run().await;
    assert_eq!(rig.times(), [0, 10, 55, 565]);
    let totals = &rig.drive.totals;
    assert_eq!((totals.held.0, totals.given_up, totals.heard), (2, 1, 3));
    assert!(totals.lateness.most() <= MS, "{:?}", totals.lateness.most());
    assert_eq!(rig.drive.schedule.shifted().as_millis() / 10, 53 + 50); // and the end of it
    let mut judge = rig.drive.judge.take().expect("it is there");
    judge.finish();
    assert_eq!(judge.sum(), "answers: 3 as recorded, 1 missing");
}

#[tokio::test(start_paused = true)]
async fn a_limit_counts_frames_that_are_sent_and_the_answers_behind_the_last_belong_to_it() {
    let datagram = Bytes::from(samples::datagram());
    let mut items = frames(5, MS);
    for at in [4, 3, 2, 1] {
        items.insert(at, item(0, MS, Side::Theirs, datagram.clone()));
    }
    items.insert(2, Item { number: 9, at: None, what: What::Unfit(Why::TooLong, 1) });
    let mut rig = Rig::new(items, speed(Speed::Recorded(1.0)));
    rig.drive.session = Some(Session::new(None));
    rig.drive.judge = Ignored::new(&[], &[]).ok().map(Judge::new);
    rig.drive.plan.limit = Some(2);
    rig.drive.plan.timeout = MS;
    rig.run().await;
    assert_eq!(rig.numbers(), [1, 2]);
    assert_eq!(rig.drive.totals.unfit[&Why::TooLong], (1, vec![9]));
    let mut judge = rig.drive.judge.take().expect("it is there");
    judge.finish();
    assert_eq!(judge.sum(), "answers: 0 as recorded, 2 missing");
}

#[tokio::test(start_paused = true)]
async fn interrupted_at_the_very_end_everything_was_sent_and_nothing_is_sure() {
    let whole = echo(1, true);
    let part = Item { number: 3, at: None, what: What::Part(whole.slice(..44)) };
    let items =
        vec![item(1, MS, Side::Ours, echo(1, false)), item(2, MS, Side::Theirs, whole), part];
    for (stop_after, is_settled) in [(100, false), (1000, true)] {
        let mut rig = Rig::new(items.clone(), speed(Speed::Recorded(1.0)));
        rig.drive.session = Some(Session::new(None));
        rig.drive.judge = Ignored::new(&[], &[]).ok().map(Judge::new);
        rig.drive.plan.timeout = MS * 500;
        let stopper = rig.stopper.clone();
        tokio::spawn(async move {
            tokio::time::sleep(MS * stop_after).await;
            stopper.stop();
        });
        rig.run().await;
        let totals = &rig.drive.totals;
        assert_eq!((totals.is_complete, totals.is_settled), (true, is_settled));
        let mut judge = rig.drive.judge.take().expect("it is there");
        judge.heard(&echo(1, true));
        judge.heard(&echo(1, true));
        let sum = "answers: 1 as recorded, 1 compared in part";
        assert_eq!(judge.sum(), sum);
    }
}

#[tokio::test(start_paused = true)]
async fn years_between_frames_and_absurd_speeds_do_no_harm() {
    let year = Duration::from_secs(365 * 24 * 3600);
    for at in [1e-6, 1.0, 1e9] {
        let mut rig = Rig::new(frames(3, year * 100), speed(Speed::Recorded(at)));
        let stopper = rig.stopper.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(50)).await;
            stopper.stop();
        });
        rig.run().await;
        assert_eq!(rig.numbers().len(), if at > 1e6 { 3 } else { 1 }, "{at}");
        assert_eq!(rig.drive.has_told_gap, at < 1e6);
    }
}

/// An echo request of ours, or the reply to it.
fn echo(sequence: u16, is_reply: bool) -> Bytes {
    use crate::craft::{EchoRequest, Route};
    let mac = |n| pnet::util::MacAddr(2, 0, 0, 0, 0, n);
    let ip = |n| std::net::Ipv4Addr::new(192, 168, 100, n);
    let (us, them) = if is_reply { (2, 1) } else { (1, 2) };
    let route = Route {
        source_mac: mac(us),
        destination_mac: mac(them),
        source: ip(us),
        destination: ip(them),
    };
    let echo =
        EchoRequest { identifier: 7, sequence, ttl: 64, tos: 0, ip_id: sequence, data: b"abc" };
    let mut frame = echo.frame(&route);
    if is_reply {
        frame[34] = 0;
        let (sum, carry) = u16::from_be_bytes([frame[36], frame[37]]).overflowing_add(0x0800);
        frame[36..38].copy_from_slice(&(sum + u16::from(carry)).to_be_bytes());
    }
    frame.into()
}

/// What is found when four echoes of a recording meet a device that answers so.
async fn found(
    mut answer: impl FnMut(u16) -> Vec<(Duration, u16)> + Send + 'static,
) -> (String, Vec<u64>) {
    let mut items = Vec::new();
    for n in 0..4u16 {
        let (number, at) = (u32::from(n) * 2 + 1, MS * 10 * n.into());
        items.push(item(number, at, Side::Ours, echo(n + 1, false)));
        items.push(item(number + 1, at + MS, Side::Theirs, echo(n + 1, true)));
    }
    let mut asked = 0;
    let device = move |_: &Bytes| {
        asked += 1;
        let answers = answer(asked).into_iter();
        answers.map(|(after, sequence)| (after, echo(sequence, true))).collect()
    };
    let schedule = speed(Speed::Recorded(1.0));
    let mut rig = Rig::with(items, schedule, |_| Duration::ZERO, Box::new(device));
    rig.drive.session = Some(Session::new(None));
    rig.drive.judge = Ignored::new(&[], &[]).ok().map(Judge::new);
    rig.drive.plan.timeout = MS * 300;
    rig.run().await;
    rig.drive.leave().await;
    let times = rig.times();
    (rig.drive.judge.take().expect("it is there").sum(), times)
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_late_come_twice_or_in_another_order() {
    let (sum, times) = found(|n| vec![(MS, n)]).await;
    assert_eq!((sum.as_str(), times), ("answers: 4 as recorded", vec![0, 10, 20, 30]));
    // Late, but in time: everything moves.
    let (sum, times) = found(|n| vec![(MS * 200, n)]).await;
    assert_eq!((sum.as_str(), times), ("answers: 4 as recorded", vec![0, 200, 400, 600]));
    // Later than is waited for: the second goes anyway, and the answers still find their questions.
    let (sum, times) = found(|n| vec![(MS * 320, n)]).await;
    assert_eq!(sum, "answers: 4 as recorded");
    assert_eq!(times[..2], [0, 310]);
    let (sum, _) = found(|n| vec![(MS, n), (MS * 2, n)]).await;
    assert_eq!(sum, "answers: 4 as recorded, 4 not recorded");
    let (sum, times) = found(|n| match n {
        1 | 3 => vec![(MS * 40, n)],
        _ => vec![(MS, n), (MS, n - 1)],
    })
    .await;
    assert_eq!(sum, "answers: 4 as recorded, 2 not recorded");
    assert_eq!(times, [0, 40, 50, 60]); // frames are counted
    let (sum, times) = found(|_| Vec::new()).await;
    assert_eq!(
        (sum.as_str(), times),
        ("answers: 0 as recorded, 4 missing", vec![0, 310, 320, 330])
    );
}
