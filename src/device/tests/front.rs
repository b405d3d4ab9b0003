//! The driver in front of another stack, whose link we hold here.

use bytes::Bytes;

use super::super::faults::Layer;
use super::*;
use crate::framing::strict::Strict;

/// The driver between the host's link and the stack's.
struct Between {
    host: Link,
    stack: Link,
    driver: tokio::task::JoinHandle<Result<String>>,
}

fn between(model: &str, faults: Faults) -> Between {
    let model = Model::by_name(model).expect("a model");
    between_with(Settings { model, faults, ..Settings::default() })
}

fn between_with(settings: Settings) -> Between {
    let (host, mut far) = memory::pair("host", "driver", crate::framing::ALL[0]);
    let (stack, near) = memory::pair("stack", "driver", crate::framing::ALL[0]);
    let mut front = Front::new(&settings, tokio_clock(), near).expect("it can be");
    let driver = tokio::spawn(async move { front.run(Some(&mut far)).await });
    Between { host, stack, driver }
}

/// The frames that come within `time`, and when.
async fn arrivals(link: &mut Link, time: Duration) -> Vec<(Duration, Bytes)> {
    let (started, mut strict, mut frames) = (Instant::now(), Strict::new(65535, None), Vec::new());
    while let Ok(received) = timeout_at(started + time, link.rx.receive()).await {
        let Ok(Received::Bytes(bytes)) = received else { break };
        strict.push(tokio_clock().now(), &bytes);
        frames.extend(strict.by_ref().map(|frame| (started.elapsed(), frame)));
    }
    frames
}

fn frame(length: usize) -> Bytes {
    (0..length).map(|n| n as u8).collect()
}

/// The time of so many bytes at 115200 baud.
fn line_time(bytes: usize) -> Duration {
    Duration::from_nanos(bytes as u64 * (10_000_000_000 / 115_200))
}

fn assert_close(time: Duration, wanted: Duration) {
    assert!(time >= wanted && time < wanted + 3 * MS, "{time:?} instead of {wanted:?}");
}

#[tokio::test(start_paused = true)]
async fn frames_pass_both_ways_and_take_their_time_at_115200_baud() {
    let mut line = between("esp32-new", Faults::none());
    line.host.tx.send(&[frame(98), frame(1500)]).await.expect("it is there");
    let up = arrivals(&mut line.stack, SECOND).await;
    assert_eq!(up.iter().map(|(_, frame)| frame.len()).collect::<Vec<_>>(), [98, 1500]);
    assert_eq!(up[1].1, frame(1500));
    assert_close(up[0].0, line_time(100));
    assert_close(up[1].0, line_time(100 + 1502));

    line.stack.tx.send(&[frame(60), frame(1500)]).await.expect("it is there");
    let down = arrivals(&mut line.host, SECOND).await;
    assert_eq!(down[1].1, frame(1500));
    assert_close(down[0].0, line_time(62));
    assert_close(down[1].0, line_time(62 + 1502));
}

#[tokio::test(start_paused = true)]
async fn a_frame_beyond_the_limit_is_handled_as_the_model_does() {
    // Behind the bad header comes a whole small frame, which only those hear that skip the header.
    let bad_then_good = [&[0xff, 0xff, 0, 20][..], &[7; 20]].concat();
    for (model, heard) in [("esp32-new", 0), ("esp32-old", 1), ("reference", 1)] {
        let mut line = between(model, Faults::none());
        line.host.tx.send_raw(&bad_then_good).await.expect("it takes them");
        assert_eq!(arrivals(&mut line.stack, SECOND).await.len(), heard, "{model}");
        line.host.tx.send_raw(&bad_then_good[2..]).await.expect("it takes them");
        assert_eq!(arrivals(&mut line.stack, SECOND).await.len(), 1, "{model} is back");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_stack_sends_beyond_the_limit_is_refused() {
    let mut line = between("esp32-new", Faults::none());
    line.stack.tx.send(&[frame(1514), frame(1500)]).await.expect("it is there");
    let down = arrivals(&mut line.host, SECOND).await;
    assert_eq!(down.iter().map(|(_, frame)| frame.len()).collect::<Vec<_>>(), [1500]);
}

#[tokio::test(start_paused = true)]
async fn half_a_frame_is_given_up_and_one_shorter_than_a_header_is_not_handed_on() {
    let mut line = between("reference", Faults::none());
    line.host.tx.send_raw(&[0, 100, 1, 2, 3]).await.expect("it takes them");
    tokio::time::sleep(SECOND + 100 * MS).await;
    line.host.tx.send(&[frame(13), frame(14)]).await.expect("it takes them");
    let up = arrivals(&mut line.stack, SECOND).await;
    assert_eq!(up.iter().map(|(_, frame)| frame.len()).collect::<Vec<_>>(), [14]);
}

#[tokio::test(start_paused = true)]
async fn a_full_transmit_buffer_holds_the_stack_back_and_loses_nothing() {
    let mut line = between("esp32-new", Faults::none());
    let sent = tokio::spawn(async move {
        let started = Instant::now();
        for _ in 0..40 {
            line.stack.tx.send(&[frame(1000)]).await.expect("it is there");
        }
        (started.elapsed(), line.stack)
    });
    let down = arrivals(&mut line.host, 10 * SECOND).await;
    assert_eq!(down.len(), 40);
    assert_close(down[39].0, line_time(40 * 1002));
    let (took, _stack) = sent.await.expect("no panic");
    // Two buffers and two pipes are less than half of it.
    assert!(took > line_time(20 * 1002), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_frame_of_the_stack_that_waits_for_room_stays_whole_however_slow_the_line_is() {
    let mut settings = Settings::default();
    settings.model.line_rate = Some(2400);
    let mut line = between_with(settings);
    tokio::spawn(async move {
        for _ in 0..12 {
            line.stack.tx.send(&[frame(1000)]).await.expect("it is there");
        }
        std::future::pending::<()>().await;
        drop(line.stack);
    });
    let down = arrivals(&mut line.host, 100 * SECOND).await;
    assert_eq!(down.len(), 12);
    assert!(down.iter().all(|(_, whole)| *whole == frame(1000)));
}

#[tokio::test(start_paused = true)]
async fn a_stack_that_reads_nothing_does_not_hold_up_the_line() {
    let mut line = between("reference", Faults::none());
    for _ in 0..2000 {
        line.host.tx.send(&[frame(60)]).await.expect("it takes them");
    }
    line.stack.tx.send(&[frame(42)]).await.expect("it is there");
    assert_eq!(arrivals(&mut line.host, SECOND).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn faults_of_the_line_work_and_others_are_refused() {
    let mut line = between("reference", Faults::only(Fault::ZeroStops));
    line.host.tx.send_raw(&[0, 0]).await.expect("it takes them");
    line.host.tx.send(&[frame(60)]).await.expect("it takes them");
    assert_eq!(arrivals(&mut line.stack, SECOND).await.len(), 0);
    for info in ALL {
        let settings = Settings { faults: Faults::only(info.fault), ..Settings::default() };
        let refused = Front::check(&settings, "tap:uart0").is_err();
        assert_eq!(refused, info.layer != Layer::Stream, "{}", info.name);
    }
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_its_host_and_its_stacks_end_is_an_error() {
    let line = between("reference", Faults::none());
    drop(line.host);
    assert!(line.driver.await.expect("no panic").is_ok());

    let line = between("reference", Faults::none());
    drop(line.stack);
    let error = line.driver.await.expect("no panic").expect_err("the stack is gone");
    assert_eq!(error.category(), crate::error::Category::Environment);
    assert!(error.chain().contains("the stack at stack went away"), "{}", error.chain());
}
