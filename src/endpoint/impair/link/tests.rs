//! Impaired links in virtual time.

use super::super::rules::Impairments;
use super::super::*;
use super::*;
use crate::endpoint::memory;
use crate::framing;
use crate::record::{Body, Impaired};

const MS: Duration = Duration::from_millis(1);

/// An impaired link and the other end of its line.
async fn line(options: &str) -> (Link, Link) {
    struct Once(Mutex<Option<Link>>);
    impl Connector for Once {
        fn name(&self) -> &str {
            "test:"
        }

        fn connect(&self) -> Pending<'_, Result<Link>> {
            Box::pin(async { Ok(self.0.lock().expect("no panic").take().expect("once")) })
        }
    }
    let spec = Spec::parse(&format!("unix:a,{options}")).expect(options);
    let (near, far) = memory::pair("test:", "far", framing::ALL[0]);
    let near = spec.impaired(Box::new(Once(Mutex::new(Some(near)))), &Events::ignore());
    (near.connect().await.expect("it is there"), far)
}

/// A frame that no decoder has a doubt about: an echo request, which says which it is.
fn frame(n: u8, length: usize) -> Bytes {
    crate::craft::tests_support::echo(length + usize::from(n)).into()
}

fn on_the_line(frames: &[Bytes]) -> Vec<u8> {
    let mut line = Vec::new();
    frames.iter().for_each(|frame| framing::ALL[0].encode(frame, &mut line).expect("it fits"));
    line
}

/// What arrives within `patience`, and when the last of it did.
async fn arrived(link: &mut Link, patience: Duration) -> (Vec<u8>, Instant) {
    let (deadline, mut last) = (Instant::now() + patience, Instant::now());
    let mut all = Vec::new();
    while let Ok(received) = tokio::time::timeout_at(deadline, link.rx.receive()).await {
        match received.expect("nothing fails") {
            Received::Bytes(bytes) => all.extend(bytes),
            Received::Records(records) => panic!("nobody asked for {records:?}"),
            Received::End(_) => break,
        }
        last = Instant::now();
    }
    (all, last)
}

#[tokio::test(start_paused = true)]
async fn frames_are_lost_and_raw_bytes_never() {
    let (mut near, mut far) = line("drop=100%").await;
    near.tx.send(&[frame(1, 60), frame(2, 60)]).await.expect("it goes, or so it seems");
    near.tx.send_raw(&on_the_line(&[frame(3, 60)])[..20]).await.expect("it goes");
    near.tx.send(&[frame(4, 60)]).await.expect("it goes, or so it seems");
    near.tx.send_raw(&on_the_line(&[frame(3, 60)])[20..]).await.expect("it goes");
    let (got, _) = arrived(&mut far, 10 * MS).await;
    assert_eq!(got, on_the_line(&[frame(3, 60)]), "sent raw, even a frame is none");
    let error = near.tx.send(&[Bytes::new()]).await.expect_err("that is no frame");
    assert!(
        error.chain().contains("cannot send to test:: a frame of 0 bytes"),
        "{}",
        error.chain()
    );
}

#[tokio::test(start_paused = true)]
async fn framing_errors_survive_among_frames_that_do_not() {
    let mut garbage = vec![0, 0];
    garbage.extend([0xff; 30]);
    let (mut near, mut far) = line("from-device.drop=100%,to-device.corrupt=100%").await;
    far.tx.send(&[frame(1, 60)]).await.expect("it goes");
    far.tx.send_raw(&garbage).await.expect("it goes");
    far.tx.send(&[frame(2, 60), frame(3, 60)]).await.expect("it goes");
    far.tx.send_raw(&[0, 60, 1, 2]).await.expect("half a frame");
    drop(far);
    let (got, _) = arrived(&mut near, 5000 * MS).await;
    garbage.extend([0, 60, 1, 2]);
    assert_eq!(got, garbage);
}

#[tokio::test(start_paused = true)]
async fn records_say_what_went_and_what_did_not() {
    let (mut near, mut far) = line("to-device.drop=50%,from-device.corrupt=100%,seed=3").await;
    let started = Instant::now();
    let clock = Clock::from_source(Timestamp(0), move || started.elapsed());
    assert!(near.rx.speak_in_records(&clock, 4));
    let frames: Vec<Bytes> = (0..20).map(|n| frame(n, 60)).collect();
    near.tx.send(&frames).await.expect("it goes");
    near.tx.send_raw(&[0, 0, 9]).await.expect("it goes");
    near.tx.send(&frames[..1]).await.expect("it goes");
    near.tx.send(&frames[..1]).await.expect("it goes");
    tokio::time::sleep(5 * MS).await;
    far.tx.send(&frames[..1]).await.expect("it goes");
    let (mut went, mut lost, mut came) = (Vec::new(), Vec::new(), Vec::new());
    let mut error_at = None;
    let mut note = None;
    let deadline = Instant::now() + 500 * MS;
    while let Ok(received) = tokio::time::timeout_at(deadline, near.rx.receive()).await {
        let Ok(Received::Records(records)) = received else { panic!("{received:?}") };
        for record in records {
            assert_eq!(record.origin.connection, 4);
            match (record.body, record.origin.direction) {
                (Body::Frame(frame), Direction::ToDevice) => went.push(frame),
                (Body::Impaired(Impaired { what, lost: Some(frame) }), Direction::ToDevice) => {
                    assert_eq!(what, "dropped");
                    lost.push(frame);
                }
                (Body::FramingError(error), Direction::ToDevice) => {
                    assert_eq!(error_at.replace(went.len()), None);
                    assert_eq!(error.bytes, [0, 0, 9][..]);
                }
                (Body::Impaired(Impaired { what, lost: None }), Direction::FromDevice) => {
                    note = Some(what);
                }
                (Body::Frame(frame), Direction::FromDevice) => {
                    assert_eq!(record.time.map(|span| span.last), Some(Timestamp(5_000_000)));
                    came.push((note.take(), frame));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    let (got, _) = arrived(&mut far, MS).await;
    let (before, after) = went.split_at(error_at.expect("it was told"));
    let all = [on_the_line(before), vec![0, 0, 9], on_the_line(after)].concat();
    assert_eq!(got, all, "what is told has arrived");
    assert!(!lost.is_empty() && went.len() + lost.len() == 22, "{} lost", lost.len());
    let [(Some(what), came)] = &came[..] else { panic!("{came:?}") };
    assert!(what.starts_with("corrupted bit ") && *came != frames[0], "{what}");
}

#[tokio::test(start_paused = true)]
async fn a_rate_holds_in_both_directions_within_two_percent() {
    for baud in [115_200, 921_600] {
        let (mut near, mut far) = line(&format!("rate={baud}")).await;
        let (up, down) = (vec![frame(0, 98); 200], vec![frame(0, 98); 200]);
        let started = Instant::now();
        let line_time = Duration::from_secs_f64(200.0 * 100.0 * 10.0 / f64::from(baud));
        let within = |at: Instant| {
            let took = at.duration_since(started).as_secs_f64() / line_time.as_secs_f64();
            assert!((0.98..1.02).contains(&took), "{took} of the time at {baud}");
        };
        let both = async {
            let sending = async {
                for frame in &up {
                    near.tx.send(std::slice::from_ref(frame)).await.expect("it goes");
                }
                near.tx.close().await.expect("what waits goes first");
            };
            let mut rx = Link { rx: near.rx, ..memory::nowhere("test:") };
            let ((), (got, at)) = tokio::join!(sending, arrived(&mut rx, 2 * line_time));
            assert_eq!(got, on_the_line(&down));
            within(at);
        };
        let other = async {
            let mut rx = Link { rx: far.rx, ..memory::nowhere("test:") };
            let (sent, (got, at)) =
                tokio::join!(far.tx.send(&down), arrived(&mut rx, 2 * line_time));
            sent.expect("it goes");
            assert_eq!(got, on_the_line(&up));
            within(at);
        };
        tokio::join!(both, other);
    }
}

#[tokio::test(start_paused = true)]
async fn late_frames_are_sent_though_nobody_sends_more() {
    let (mut near, mut far) = line("delay=300ms").await;
    let started = Instant::now();
    near.tx.send(&[frame(1, 60)]).await.expect("it goes");
    assert_eq!(started.elapsed(), Duration::ZERO, "nobody waits for it");
    let (got, at) = arrived(&mut far, 1000 * MS).await;
    assert_eq!((got, at - started), (on_the_line(&[frame(1, 60)]), 300 * MS));
    far.tx.send(&[frame(2, 60)]).await.expect("it goes");
    let sent = Instant::now();
    let (got, at) = arrived(&mut near, 1000 * MS).await;
    assert_eq!((got, at - sent), (on_the_line(&[frame(2, 60)]), 300 * MS));
    near.tx.send(&[frame(3, 60)]).await.expect("it goes");
    near.tx.close().await.expect("behind what waits");
    let (got, _) = arrived(&mut far, MS).await;
    assert_eq!(got, on_the_line(&[frame(3, 60)]));
}

#[tokio::test(start_paused = true)]
async fn what_is_on_its_way_when_the_line_ends_still_arrives() {
    let (mut near, mut far) = line("delay=300ms").await;
    far.tx.send(&[frame(2, 60)]).await.expect("it goes");
    tokio::task::yield_now().await;
    drop(far);
    let (got, _) = arrived(&mut near, 1000 * MS).await;
    assert_eq!(got, on_the_line(&[frame(2, 60)]));
    assert!(matches!(near.rx.receive().await, Ok(Received::End(_))));
}

#[tokio::test(start_paused = true)]
async fn each_connection_has_its_own_luck() {
    let lost = |number| {
        let rules = Impairments::default();
        let mut rules = Impairments { seed: Some(1), ..rules };
        rules.set("drop", "50%").expect("good");
        let mut dice = Dice::new(rules.to_device, 1, Direction::ToDevice, number);
        (0..64).map(|_| dice.roll(60).drop).collect::<Vec<_>>()
    };
    assert_eq!(lost(1), lost(1));
    assert_ne!(lost(0), lost(1));
}
