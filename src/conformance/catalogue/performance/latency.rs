//! Round trips on an idle line.

use std::time::Duration;

use super::super::super::measure::Unit::{Frames, MicrosecondsPerByte, Milliseconds, Seconds};
use super::super::super::model::Owner::Application;
use super::super::super::model::Severity::{Report, Threshold};
use super::super::super::model::Tier::{Core, Extended, Smoke};
use super::super::super::model::{Flow, Test};
use super::super::super::seen::Seen;
use super::super::super::stimulus::ECHO_HEADERS;
use super::super::super::trial::{ANSWER, Trial};
use super::super::row;
use super::pinger::Pinger;
use super::{AROUND_ECHO, Line, allowance, floor, ms, percentile};

/// The tests.
#[rustfmt::skip]
pub(super) static TESTS: &[Test] = &[
    Test::new(row(("PRF-01", "performance.ping-rtt"), (Threshold, Smoke, Application), "docs/line.md; RFC 2681",
        "Of 200 pings of 0 and 56 bytes, none is lost; half take at most 8 ms more than the line, and 95 % at most 20 ms."),
        |t| Box::pin(ping_rtt(t))),
    Test::new(row(("PRF-02", "performance.ping-loss"), (Threshold, Core, Application), "RFC 6673; RFC 5560",
        "Of 500 pings one behind the other, none is lost or answered twice, and replies come in order."),
        |t| Box::pin(ping_loss(t))),
    Test::new(row(("PRF-03", "performance.rtt-slope"), (Report, Core, Application), "docs/line.md",
        "Each direction takes the time a byte that the line's rate says, within a tenth."),
        |t| Box::pin(rtt_slope(t))),
    Test::new(row(("PRF-04", "performance.jitter"), (Threshold, Core, Application), "RFC 5481 §4.2",
        "Of 100 pings, 99 take at most two of the longest frames' times, and 8 ms, more than half of them."),
        |t| Box::pin(jitter(t))),
    Test::new(row(("PRF-11", "performance.burst-capacity"), (Report, Extended, Application), "RFC 2544 §26.4",
        "Four pings of 100 bytes back to back are answered; how many are is reported."),
        |t| Box::pin(burst_capacity(t))),
];

/// The data of a usual ping.
pub(super) const USUAL: usize = 56;
/// What half of the pings may take beyond the line's time, and what 95 % may.
pub(super) const HALF: Duration = Duration::from_millis(8);
const MOST: Duration = Duration::from_millis(20);

/// From one ping to the next: `base`, or so that the line is idle between them.
pub(super) fn interval(t: &Trial, base: Duration) -> Duration {
    base.max(2 * floor(t, t.capped(USUAL)))
}

/// None of the pings was lost.
pub(super) fn none_is_lost(t: &mut Trial, pinger: &Pinger, when: &str) {
    let (lost, count) = (pinger.lost(), pinger.count());
    let expected = format!("{count} pings are answered{when}");
    t.should_hold(lost == 0, expected, format!("{lost} were not"));
}

async fn ping_rtt(t: &mut Trial) -> Flow {
    const COUNT: usize = 200;
    let sizes = [0, t.capped(USUAL)];
    let mut pinger = Pinger::new(&sizes, interval(t, Duration::from_millis(50)));
    pinger.run(t, COUNT).await?;
    none_is_lost(t, &pinger, "");
    let names = [("rtt0-p50", "rtt0-p95"), ("rtt56-p50", "rtt56-p95")];
    for (size, (half_name, most_name)) in sizes.into_iter().zip(names) {
        let (times, least) = (pinger.times_of(size), floor(t, size));
        for (percent, name, more) in [(50, half_name, HALF), (95, most_name, MOST)] {
            let time = percentile(&times, percent);
            t.measure(name, ms(time), Milliseconds);
            let limit = least + allowance(t, more);
            let expected = format!(
                "{percent} % of the pings of {size} bytes within {:.1} ms, of which {:.1} ms are the line's",
                ms(limit),
                ms(least)
            );
            t.should_hold(time <= limit, expected, format!("within {:.1} ms", ms(time)));
        }
    }
    Ok(())
}

async fn ping_loss(t: &mut Trial) -> Flow {
    const COUNT: usize = 500;
    let size = t.capped(16);
    let mut pinger = Pinger::new(&[size], Duration::ZERO);
    while pinger.count() < COUNT {
        let number = pinger.send(t).await?;
        let is_it = |seen: &Seen| seen.icmp().is_some_and(|icmp| icmp.rest == number);
        t.wait_for(ANSWER, is_it).await?;
        pinger.collect(t);
    }
    pinger.end(t).await?;
    none_is_lost(t, &pinger, "");
    t.measure("lost", pinger.lost() as f64, Frames);
    t.measure("rtt16-p50", ms(percentile(&pinger.times(), 50)), Milliseconds);
    let doubled = pinger.doubled();
    t.should_hold(doubled == 0, "each is answered once", format!("{doubled} replies came again"));
    let overtaken = pinger.overtaken;
    let actual = format!("{overtaken} came behind a reply to a later ping");
    t.should_hold(overtaken == 0, "replies come in the order of the pings", actual);
    Ok(())
}

/// The time of a byte in each direction, in seconds, by least squares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Slopes {
    pub(super) out: f64,
    pub(super) back: f64,
}

/// An EtherType for experiments: nobody answers it (IEEE 802).
const IGNORED: u16 = 0x88b5;

/// Measures each direction by itself. A long ping and its reply take the time of both. A long frame that every device
/// ignores in front of a short ping takes that of one, whatever the stack would say to it.
pub(super) async fn slopes(t: &mut Trial, rounds: usize) -> Flow<Option<Slopes>> {
    const STEPS: usize = 8;
    let most = t.capped(1472);
    let (mut both, mut out) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        for step in 0..=STEPS {
            let size = most * step / STEPS;
            for is_out in [false, true] {
                let sample = sample(t, size, is_out).await?;
                let points = if is_out { &mut out } else { &mut both };
                points.extend(sample.map(|time| (size as f64, time.as_secs_f64())));
            }
        }
        t.settle().await?; // nothing of a round meets the next
        if both.is_empty() && round == 0 {
            return Ok(None);
        }
    }
    let (Some(both), Some(out)) = (slope(&both), slope(&out)) else { return Ok(None) };
    Ok(Some(Slopes { out, back: both - out }))
}

/// The round trip of a ping with so much data, or of one without any behind a frame of that length.
async fn sample(t: &mut Trial, size: usize, is_out: bool) -> Flow<Option<Duration>> {
    let mut began = None;
    if is_out {
        let frame = t.eth(IGNORED).frame(&vec![2; size + ECHO_HEADERS - 14]);
        began = Some(t.send_timed(&frame).await?);
    }
    let echo = t.echo(if is_out { 0 } else { size });
    let sent = t.send_timed(&echo.frame()).await?;
    t.wait_for(ANSWER, |seen| echo.is_answered_by(seen)).await?;
    let seen = t.take_seen();
    let reply = seen.iter().find(|seen| echo.is_answered_by(seen));
    if reply.is_some() {
        t.is_answered();
    }
    Ok(reply.map(|reply| reply.time.since(began.unwrap_or(sent))))
}

/// The slope of the line through these points, by least squares.
fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let n = points.len() as f64;
    let (sum_x, sum_y) = points.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
    let (mean_x, mean_y) = (sum_x / n, sum_y / n);
    let over: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let under: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    (under > 0.0).then(|| over / under)
}

/// A byte time below this is no pacing.
pub(super) const UNPACED: f64 = 0.5e-6;

async fn rtt_slope(t: &mut Trial) -> Flow {
    const ROUNDS: usize = 5;
    let found = slopes(t, ROUNDS).await?;
    let is_found = found.is_some();
    t.should_hold(is_found, "pings of all lengths are answered", "too few were to tell anything");
    let Some(found) = found else { return Ok(()) };
    let directions = [("to the device", "out", found.out), ("from the device", "back", found.back)];
    for (direction, name, slope) in directions {
        t.measure(name, (slope * 1e6).max(0.0), MicrosecondsPerByte); // less is the clock's noise
        if slope < UNPACED {
            t.remark(format!("{direction} the line is not paced"));
        } else {
            t.remark(format!(
                "{direction} a byte takes {:.1} us: {:.0} baud",
                slope * 1e6,
                10.0 / slope
            ));
        }
        if let Some(baud) = t.rig.target.line_rate {
            let wanted = 10.0 / f64::from(baud);
            let expected = format!("{:.1} us a byte {direction}, as at {baud} baud", wanted * 1e6);
            let is_so = (slope - wanted).abs() <= wanted / 10.0;
            t.should_hold(is_so, expected, format!("{:.1} us", slope * 1e6));
        }
    }
    Ok(())
}

async fn jitter(t: &mut Trial) -> Flow {
    const COUNT: usize = 100;
    let size = t.capped(USUAL);
    let mut pinger = Pinger::new(&[size], interval(t, Duration::from_millis(50)));
    pinger.run(t, COUNT).await?;
    let times = pinger.times();
    let spread = percentile(&times, 99).saturating_sub(percentile(&times, 50));
    t.measure("p99-p50", spread.as_secs_f64(), Seconds);
    let frame = Line::of(t).time(t.max_frame() + 2);
    let limit = 2 * frame + allowance(t, HALF);
    let expected = format!(
        "the slowest of 99 % of the pings takes at most {:.1} ms more than the median",
        ms(limit)
    );
    t.should_hold(spread <= limit && !times.is_empty(), expected, format!("{:.1} ms", ms(spread)));
    Ok(())
}

async fn burst_capacity(t: &mut Trial) -> Flow {
    const LEAST: usize = 4;
    const LONGEST: usize = 128;
    let size = t.capped(100 - ECHO_HEADERS);
    let (mut good, mut bad) = (0, LONGEST + 1);
    let mut next = LONGEST;
    while bad - good > 1 {
        let mut pinger = Pinger::new(&[size], Duration::ZERO);
        for _ in 0..next {
            pinger.send(t).await?;
        }
        pinger.end(t).await?;
        match pinger.lost() {
            0 => good = next,
            _ => bad = next,
        }
        next = good + (bad - good) / 2;
    }
    t.measure("burst", good as f64, Frames);
    let frames = size + AROUND_ECHO;
    let more = if good == LONGEST { "at least " } else { "" };
    t.remark(format!("{more}{good} frames of {frames} bytes back to back are answered"));
    let expected = format!("{LEAST} frames back to back are answered");
    t.should_hold(good >= LEAST, expected, format!("{good} are"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_is_that_of_the_points() {
        let points: Vec<_> = (0..9).map(|x| (f64::from(x), 3.0 + 2.0 * f64::from(x))).collect();
        assert!(slope(&points).is_some_and(|slope| (slope - 2.0).abs() < 1e-9));
        assert_eq!(slope(&points[..1]), None);
        assert_eq!(slope(&[]), None);
    }
}
