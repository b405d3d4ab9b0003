//! Lanes with many frames, in no time.

use proptest::prelude::*;

use super::lane::{HOLD, Load, Passed, ROOM};
use super::rules::Chance;
use super::*;
use crate::clock::Timestamp;
use crate::framing;
use crate::record::{Body, FramingError, Origin, Problem, Recovery};
use bytes::Bytes;
use std::time::Duration;

const MANY: usize = 100_000;
const MS: Duration = Duration::from_millis(1);

fn impairments(text: &str) -> Impairments {
    let mut impairments = Impairments::default();
    for option in text.split(',').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').expect("a value");
        assert!(Impairments::has(name), "{name}");
        impairments.set(name, value).expect(option);
    }
    impairments
}

fn lane_of(text: &str, seed: u64, direction: Direction) -> (Lane, Arc<Tally>) {
    let rules = impairments(text);
    let rules = match direction {
        Direction::ToDevice => rules.to_device,
        _ => rules.from_device,
    };
    let tally = Arc::new(Tally::default());
    let dice = Dice::new(rules, seed, direction, 0);
    (Lane::new(rules, dice, framing::ALL[0], tally.clone()), tally)
}

fn lane(text: &str) -> (Lane, Arc<Tally>) {
    lane_of(text, 1, Direction::ToDevice)
}

/// A frame that says which it is.
fn frame(n: usize) -> Bytes {
    let mut frame = vec![2; 12];
    frame.extend([0x88, 0xb5]);
    frame.extend((n as u32).to_be_bytes());
    frame.resize(60, 0);
    frame.into()
}

/// Which one it is.
fn number(passed: &Passed) -> usize {
    let Load::Frame(frame) = &passed.load else { panic!("no frame: {passed:?}") };
    u32::from_be_bytes(frame[14..18].try_into().expect("four bytes")) as usize
}

/// Everything that comes of `n` frames, one every `apart`, and when it was over.
fn run(lane: &mut Lane, n: usize, apart: Duration) -> Vec<Passed> {
    let mut out = Vec::new();
    let mut now = Timestamp(0);
    for i in 0..n {
        lane.frame(now, frame(i), None, Duration::ZERO);
        now = now + apart;
        out.extend(std::iter::from_fn(|| lane.next(now)));
    }
    while let Some(due) = lane.due() {
        out.extend(std::iter::from_fn(|| lane.next(due)));
    }
    assert!(lane.is_empty());
    out
}

fn arrived(out: &[Passed]) -> Vec<usize> {
    out.iter().filter(|passed| !passed.is_lost).map(number).collect()
}

/// Whether `hits` of `n` are within four standard deviations of `p`.
fn is_likely(hits: u64, n: usize, p: f64) -> bool {
    let (n, hits) = (n as f64, hits as f64);
    (hits - n * p).abs() <= 4.0 * (n * p * (1.0 - p)).sqrt()
}

#[test]
fn each_impairment_hits_as_often_as_it_should() {
    for (p, text) in [(0.01, "1%"), (0.2, "0.2"), (0.5, "50%")] {
        for name in ["drop", "dup", "corrupt", "truncate", "reorder"] {
            let (mut lane, tally) = lane(&format!("{name}={text}"));
            let out = run(&mut lane, MANY, MS);
            let hits = match name {
                "drop" => tally.dropped.get(),
                "dup" => tally.doubled.get(),
                "corrupt" => tally.corrupted.get(),
                "truncate" => tally.truncated.get(),
                // One that is held already makes the next go as it is.
                _ => tally.reordered.get(),
            };
            let p = if name == "reorder" { p / (1.0 + p) } else { p };
            assert!(is_likely(hits, MANY, p), "{name}={text}: {hits}");
            assert_eq!(tally.frames.get(), MANY as u64);
            let lost = out.iter().filter(|passed| passed.is_lost).count() as u64;
            assert_eq!(lost, if name == "drop" { hits } else { 0 });
        }
        let (mut lane, tally) = lane(&format!("stall={text}:1ms"));
        run(&mut lane, MANY, MS);
        assert!(is_likely(tally.stalls.get(), MANY, p), "{}", tally.stalls.get());
    }
}

#[test]
fn what_is_not_hit_is_not_touched_and_nothing_else_is_lost() {
    let (mut lane, tally) = lane("drop=3%");
    let out = run(&mut lane, MANY, MS);
    assert_eq!(out.len(), MANY);
    for (n, passed) in out.iter().enumerate() {
        assert_eq!(passed.load, Load::Frame(frame(n)), "in order, and as it was");
        assert_eq!(passed.what, if passed.is_lost { "dropped" } else { "" });
        assert_eq!(passed.at, Timestamp(n as u64 * 1_000_000), "at once");
    }
    assert_eq!(arrived(&out).len() as u64 + tally.dropped.get(), MANY as u64);
    let (mut lane, tally) = self::lane("drop=0%,delay=0ms,jitter=0,rate=0");
    assert_eq!(arrived(&run(&mut lane, MANY, MS)).len(), MANY);
    assert!(!lane.has_waiting() && tally.dropped.get() == 0);
    let (mut lane, _) = self::lane("drop=100%");
    assert!(arrived(&run(&mut lane, MANY, MS)).is_empty());
}

#[test]
fn a_seed_is_a_fate_whatever_the_times_and_whatever_else_is_done() {
    let lost = |text: &str, seed, direction, apart| -> Vec<usize> {
        let out = run(&mut lane_of(text, seed, direction).0, MANY, apart);
        out.iter().filter(|passed| passed.is_lost).map(number).collect()
    };
    let to = Direction::ToDevice;
    let first = lost("drop=5%", 7, to, MS);
    assert_eq!(first, lost("drop=5%", 7, to, Duration::ZERO));
    assert_eq!(first, lost("drop=5%,from-device.drop=90%", 7, to, 20 * MS));
    let others = "corrupt=20%:5,dup=9%,jitter=5ms,delay=9ms,reorder=3%,stall=1%:1ms,truncate=0";
    assert_eq!(first, {
        let mut lost = lost(&format!("drop=5%,{others}"), 7, to, MS);
        lost.sort_unstable(); // notes of lost frames wait for nothing
        lost
    });
    assert_ne!(first, lost("drop=5%", 8, to, MS));
    // The other direction has its own luck: both lose the same frame as often as chance has it.
    let other = lost("drop=5%", 7, Direction::FromDevice, MS);
    let both = first.iter().filter(|n| other.binary_search(n).is_ok()).count();
    assert!(is_likely(both as u64, MANY, 0.05 * 0.05), "{both}");
}

#[test]
fn the_fates_of_a_seed_stay_what_they_are() {
    let out = run(&mut lane("drop=20%").0, 50, MS);
    let lost: Vec<usize> = out.iter().filter(|p| p.is_lost).map(number).collect();
    insta::assert_snapshot!(format!("{lost:?}"), @"[1, 7, 12, 19, 23, 24, 25, 28, 29, 32, 38]");
}

#[test]
fn impairments_of_one_line_are_independent_of_each_other() {
    let (mut lane, _) = lane("corrupt=10%,dup=10%");
    let out = run(&mut lane, MANY, MS);
    let has = |passed: &&Passed, what: &str| passed.what.contains(what);
    let both = out.iter().filter(|p| has(p, "second time") && has(p, "corrupted")).count();
    assert!(is_likely(both as u64, MANY, 0.01), "{both}");
}

#[test]
fn as_many_bits_are_turned_as_were_asked_for_anywhere_in_the_frame() {
    for (text, bits) in [("corrupt=1", 1), ("corrupt=100%:8", 8), ("corrupt=100%:100000", 60 * 8)] {
        let (mut lane, _) = lane(text);
        let mut places = [0u32; 60];
        for (n, passed) in run(&mut lane, 10_000, MS).iter().enumerate() {
            let Load::Frame(got) = &passed.load else { panic!("a frame") };
            let sent = frame(n);
            let wrong = got.iter().zip(sent.iter()).map(|(a, b)| (a ^ b).count_ones());
            wrong.clone().zip(&mut places).for_each(|(wrong, place)| *place += wrong);
            assert_eq!((wrong.sum::<u32>(), got.len()), (bits, 60), "{text}");
        }
        let each = f64::from(bits) / 60.0;
        for place in places.iter().filter(|_| bits == 1) {
            assert!(is_likely(u64::from(*place), 10_000, each), "{places:?}");
        }
    }
    let (mut lane, _) = lane("corrupt=100%");
    lane.frame(Timestamp(0), Bytes::from_static(&[0]), None, Duration::ZERO);
    let passed = lane.next(Timestamp(0)).expect("it arrives");
    assert_eq!(
        passed.what,
        format!("corrupted bit {} of byte 0", {
            let Load::Frame(got) = &passed.load else { panic!("a frame") };
            got[0].trailing_zeros()
        })
    );
}

#[test]
fn truncated_frames_keep_the_stream_in_step() {
    let (mut lane, tally) = lane("truncate=30%,corrupt=10%:3");
    let mut line = Vec::new();
    let mut lengths = Vec::new();
    for passed in run(&mut lane, 5000, MS) {
        let Load::Frame(frame) = &passed.load else { panic!("a frame") };
        framing::ALL[0].encode(frame, &mut line).expect("it is shorter, but not empty");
        lengths.push(frame.len());
    }
    assert_eq!(tally.truncated.get(), lengths.iter().filter(|n| **n < 60).count() as u64);
    assert_eq!(*lengths.iter().min().expect("many"), 1);
    let mut records = Vec::new();
    let mut decoder = (framing::ALL[0].decoder)(Origin::new(Direction::ToDevice), 1514);
    decoder.push(Timestamp(0), &line.into(), &mut records);
    decoder.finish(Timestamp(0), &mut records);
    let decoded: Vec<usize> = records
        .iter()
        .map(|record| match &record.body {
            Body::Frame(frame) => frame.len(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(decoded, lengths);
}

#[test]
fn delays_are_spread_evenly_and_keep_the_order() {
    let (mut lane, _) = lane("delay=20ms,jitter=5ms");
    let out = run(&mut lane, MANY, 100 * MS);
    let late = |(n, passed): (usize, &Passed)| passed.at.0 as f64 / 1e6 - 100.0 * n as f64;
    let delays: Vec<f64> = out.iter().enumerate().map(late).collect();
    assert!(delays.iter().all(|ms| (15.0..=25.0).contains(ms)));
    let mean = delays.iter().sum::<f64>() / MANY as f64;
    let deviation = 10.0 / 12f64.sqrt(); // of an even distribution of that width
    assert!((mean - 20.0).abs() < 4.0 * deviation / (MANY as f64).sqrt(), "{mean}");
    assert!(delays.iter().filter(|ms| **ms < 17.5).count() > MANY / 5);
    // Frames that come closer together than they differ.
    let (mut lane, _) = self::lane("delay=20ms,jitter=20ms");
    let out = run(&mut lane, MANY, MS / 10);
    assert!(arrived(&out).is_sorted());
    assert!(out.windows(2).all(|pair| pair[0].at <= pair[1].at));
    let (mut lane, _) = self::lane("jitter=5ms");
    let out = run(&mut lane, MANY, 10 * MS);
    let most = out.iter().map(|passed| passed.at.0 % 10_000_000).max();
    assert!(most.is_some_and(|most| (4_990_000..=5_000_000).contains(&most)), "{most:?}");
}

#[test]
fn a_reordered_frame_goes_behind_the_next_or_by_itself_in_the_end() {
    let (mut lane, tally) = lane("reorder=20%");
    let out = run(&mut lane, MANY, MS);
    let order = arrived(&out);
    let mut expected: Vec<usize> = (0..MANY).collect();
    let mut n = 0;
    while n + 1 < MANY {
        if order[n] == n + 1 {
            expected.swap(n, n + 1);
            n += 1;
        }
        n += 1;
    }
    assert_eq!(order, expected, "neighbours have changed places, and that is all");
    let swapped = out.iter().filter(|passed| passed.what.contains("sent after the next")).count();
    assert_eq!(swapped as u64, tally.reordered.get());
    let (mut lane, tally) = self::lane("reorder=100%");
    lane.frame(Timestamp(0), frame(0), None, Duration::ZERO);
    assert_eq!(lane.due(), Some(Timestamp(0) + HOLD));
    assert_eq!(lane.next(Timestamp(5)), None);
    let alone = lane.next(Timestamp(0) + 2 * HOLD).expect("it waits no longer");
    assert_eq!((number(&alone), alone.at), (0, Timestamp(0) + HOLD));
    assert_eq!(tally.reordered.get(), 0);
}

#[test]
fn a_rate_is_kept_exactly_and_bounds_what_waits() {
    let (mut lane, _) = lane("rate=115200");
    let mut now = Timestamp(0);
    let mut last = now;
    for n in 0..MANY {
        while let Some(until) = lane.busy(now) {
            assert!(until > now);
            now = until;
            while let Some(passed) = lane.next(now) {
                last = passed.at;
            }
        }
        lane.frame(now, frame(n), None, Duration::ZERO);
    }
    while let Some(due) = lane.due() {
        last = lane.next(due).expect("it is due").at;
    }
    let seconds = (MANY * 62 * 10) as f64 / 115_200.0;
    assert!(
        (last.0 as f64 / 1e9 - seconds).abs() < 1e-3,
        "{} s, not {seconds}",
        last.0 as f64 / 1e9
    );
    let ahead = 4096.0 * 10.0 / 115_200.0;
    assert!(now.0 as f64 / 1e9 > seconds - ahead - 0.01, "whoever sends is held up");
}

#[test]
fn what_waits_is_bounded_and_what_is_too_much_is_lost_and_counted() {
    let (mut lane, tally) = lane("delay=10s");
    let n = 2 * ROOM / 60;
    let out = run(&mut lane, n, Duration::ZERO);
    let crowded_out = tally.crowded_out.get();
    assert_eq!(arrived(&out).len() as u64, n as u64 - crowded_out);
    assert_eq!(arrived(&out), (0..ROOM / 60).collect::<Vec<_>>());
    let rules = impairments("delay=10s").to_device;
    let sum = tally.sum(&rules);
    assert!(sum.contains(&format!("{crowded_out} dropped since too many were waiting")), "{sum}");
    // What is no frame cannot be lost: whoever brings it has to wait.
    let (mut lane, _) = self::lane("delay=10s");
    for _ in 0..17 {
        assert_eq!(lane.busy(Timestamp(0)), None);
        let raw = Load::Raw(Bytes::from(vec![0; 64 * 1024]));
        lane.other(Timestamp(0), raw, None, Duration::ZERO);
    }
    assert_eq!(lane.busy(Timestamp(0)), Some(Timestamp(10_000_000_000)));
}

#[test]
fn a_line_that_stalls_stands_still_for_everything_behind() {
    let (mut lane, tally) = lane("stall=10%:500ms");
    let out = run(&mut lane, 1000, MS);
    assert!(arrived(&out).is_sorted() && arrived(&out).len() == 1000);
    let stops = out.windows(2).filter(|pair| pair[1].at.since(pair[0].at) >= 499 * MS).count();
    assert!(stops as u64 >= tally.stalls.get() - 1, "{stops} of {}", tally.stalls.get());
    assert!(out.last().is_some_and(|last| last.at.since_epoch() >= 500 * MS * stops as u32));
}

#[test]
fn rules_are_read_and_said() {
    let said = |text: &str| impairments(text).to_string();
    assert_eq!(said("drop=1%,delay=20ms"), "both ways: drop 1%, delay 20ms");
    assert_eq!(
        said("to-device.drop=0.005,from-device.corrupt=2%:8,from-device.rate=9600"),
        "to the device: drop 0.5%; from it: corrupt 2% (8 bits), rate 9600"
    );
    assert_eq!(said("from-device.stall=1%:500ms"), "from the device: stall 1% for 500ms");
    assert!(impairments("seed=7,drop=0").is_nothing());
    for (name, value, part) in [
        ("drop", "5", "drop '5' is not a share of the frames such as 1% or 0.01"),
        ("dup", "101%", "dup '101%'"),
        ("corrupt", "-1%", "corrupt '-1%'"),
        ("corrupt", "1%:0", "corrupt '1%:0' does not end with a number of bits"),
        ("truncate", "NaN", "truncate 'NaN'"),
        ("reorder", "", "reorder ''"),
        ("delay", "soon", "delay 'soon' has no unit of time"),
        ("jitter", "2h", "jitter '7200s' is more than a minute"),
        ("rate", "fast", "rate 'fast' is not a rate in baud"),
        ("stall", "500ms", "stall '500ms' does not say how often"),
        ("stall", "1%:0", "stall '0' is no time at all"),
        ("seed", "x", "seed 'x' is not a number"),
    ] {
        let error = Impairments::default().set(name, value).expect_err(value);
        assert!(error.contains(part) && !error.contains("line-"), "{name}={value}: {error}");
    }
    for none in ["to-device.seed", "both.drop", "loss", "to-device."] {
        assert!(!Impairments::has(none), "{none}");
    }
    assert!(!Chance::default().is_hit(0.0));
}

fn garbage(bytes: Vec<u8>) -> Load {
    let problem = Problem::ZeroLength;
    Load::Error(FramingError { problem, bytes: bytes.into(), recovery: Recovery::Sure })
}

proptest! {
    #[test]
    fn what_is_no_frame_is_unchanged_and_keeps_its_place(
        pieces in prop::collection::vec((any::<bool>(), 0u64..20, 1usize..100), 1..60),
        text in prop::sample::select(vec![
            "drop=50%",
            "dup=50%,corrupt=50%,truncate=50%,reorder=50%",
            "delay=10ms,jitter=10ms,reorder=30%,drop=10%",
            "rate=9600,stall=10%:50ms,reorder=20%",
        ]),
        seed: u64,
    ) {
        let (mut lane, _) = lane_of(text, seed, Direction::FromDevice);
        let (mut now, mut others, mut out) = (Timestamp(0), Vec::new(), Vec::new());
        let mut frames_before = Vec::new();
        for (n, (is_frame, later, length)) in pieces.iter().enumerate() {
            now = now + MS * *later as u32;
            if *is_frame {
                lane.frame(now, frame(n), Some(n as u64), Duration::ZERO);
            } else {
                let load = garbage(vec![n as u8; *length]);
                lane.other(now, load.clone(), Some(n as u64), Duration::ZERO);
                others.push(load);
                frames_before.push(n as u64);
            }
            out.extend(std::iter::from_fn(|| lane.next(now)));
        }
        while let Some(due) = lane.due() {
            out.extend(std::iter::from_fn(|| lane.next(due)));
        }
        out.retain(|passed| !passed.is_lost);
        prop_assert!(out.windows(2).all(|pair| pair[0].at <= pair[1].at));
        let got: Vec<Load> =
            out.iter().filter(|p| !matches!(p.load, Load::Frame(_))).map(|p| p.load.clone()).collect();
        prop_assert_eq!(got, others);
        // Every frame is on the side of every other thing on which it was.
        for (i, passed) in out.iter().enumerate() {
            for later in &out[i + 1..] {
                if !matches!((&passed.load, &later.load), (Load::Frame(_), Load::Frame(_))) {
                    prop_assert!(passed.offset <= later.offset);
                }
            }
        }
    }
}
