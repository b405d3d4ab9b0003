//! Time: what is lost a little at a time, what starts anew without being asked, and an hour of everything.

use std::time::Duration;

use rand::RngExt;
use tokio::time::Instant;

use super::super::super::model::Owner::{Application, Stack};
use super::super::super::model::Severity::Must;
use super::super::super::model::Tier::{Core, Long, Smoke};
use super::super::super::model::{Flow, Halt, Outcome, Test};
use super::super::super::peer::response::Reading;
use super::super::super::peer::{Attempt, Opening, Peer};
use super::super::super::trial::Trial;
use super::super::{all, row};
use super::chance;
use crate::proto::tcp;

/// The tests.
#[rustfmt::skip]
pub(super) static TESTS: &[Test] = &[
    Test::new(row(("ROB-08", "robustness.leak"), (Must, Long, Application), "RFC 9293 §3.6; RFC 4987 §3",
        "After 600 connections that were closed, abandoned or aborted, as many can be made as before, as fast."),
        |t| Box::pin(leak(t))).last(),
    Test::new(row(("ROB-09", "robustness.reboot-watch"), (Must, Smoke, Stack), "docs/line.md#receivers R5",
        "In the whole run the device has not started anew unless it was asked to."),
        |t| Box::pin(reboot_watch(t))).last(),
    Test::new(row(("ROB-10", "robustness.soak"), (Must, Long, Application), "RFC 2544 §26",
        "Pings, pages and tests of all kinds go on for six minutes without a failure."),
        |t| Box::pin(soak(t))).last(),
];

/// Connections that are tried at once at most.
const MOST: usize = 24;

/// How many connections the web server accepts at once.
async fn capacity(t: &mut Trial) -> Flow<usize> {
    let port = t.rig.target.ports.http;
    let mut peers: Vec<Peer> = Vec::new();
    while peers.len() < MOST
        && let Attempt::Open(peer) = Opening::to(port).once().attempt(t).await?
    {
        peers.push(*peer);
    }
    for peer in &mut peers {
        peer.abort(t).await?;
    }
    t.settle().await?;
    Ok(peers.len())
}

/// The median round-trip time of ten pings.
async fn median(t: &mut Trial) -> Flow<Duration> {
    let mut times = Vec::new();
    for _ in 0..10 {
        let started = Instant::now();
        if t.ping().await? {
            times.push(started.elapsed());
        }
    }
    times.sort();
    Ok(times.get(times.len() / 2).copied().unwrap_or_default())
}

/// Gets the page; whether it came whole.
async fn get(t: &mut Trial) -> Flow<bool> {
    let port = t.rig.target.ports.http;
    let Attempt::Open(mut peer) = Opening::to(port).attempt(t).await? else { return Ok(false) };
    peer.get(t, "/").await?;
    let reading = peer.response(t, true).await?;
    peer.abort(t).await?;
    Ok(matches!(reading, Reading::Response(response) if response.is_complete))
}

async fn leak(t: &mut Trial) -> Flow {
    const EACH: usize = 200;
    /// Half-open connections are given up by then (RFC 9293 leaves the time to the host).
    const FORGOTTEN: Duration = Duration::from_secs(80);
    let port = t.rig.target.ports.http;
    let (before, pace) = (capacity(t).await?, median(t).await?);
    if before == 0 {
        return Err(Halt::Inconclusive(format!("port {port} accepts no connection")));
    }
    let mut refused = 0;
    for _ in 0..EACH {
        match Opening::to(port).attempt(t).await? {
            Attempt::Open(mut peer) => {
                peer.finish(t).await?;
                peer.wait_for_end(t, Duration::from_secs(1)).await?;
                peer.abort(t).await?;
            }
            Attempt::Refused(_) | Attempt::Silent => refused += 1,
        }
        if let Attempt::Open(mut peer) = Opening::to(port).attempt(t).await? {
            peer.get(t, "/").await?;
            // What was sent is not acknowledged yet, and the reset comes behind it.
            let reset = peer.segment(t, 0).tcp(|tcp| tcp.flags = tcp::RST);
            t.send(&reset.frame()).await?;
            t.forget_connection(peer.ours, port);
        } else {
            refused += 1;
        }
    }
    for _ in 0..EACH {
        let syn = t.segment(port).tcp(|tcp| (tcp.flags, tcp.seq) = (tcp::SYN, 1));
        t.send(&syn.frame()).await?;
        t.forget_connection(syn.tcp.source, port);
    }
    t.settle().await?;
    t.listen(FORGOTTEN.mul_f64(t.rig.time_scale.max(1.0))).await?;
    let (after, now) = (capacity(t).await?, median(t).await?);
    t.remark(format!("{before} connections before, {after} after; {refused} refused meanwhile"));
    t.remark(format!("median round trip {pace:.1?} before, {now:.1?} after"));
    let expected = format!("{before} connections at once, as before");
    t.must(after * 10 >= before * 9, expected, format!("{after}"));
    /// Less than this is the machine's, not the device's.
    const NOTHING: Duration = Duration::from_millis(5);
    let expected = format!("a median round trip of {pace:.1?}, as before, or a tenth more");
    t.must(now <= pace + pace / 10 + NOTHING, expected, format!("{now:.1?}"));
    let is_served = get(t).await?;
    t.must(is_served, "the page is served", "it is not");
    Ok(())
}

async fn reboot_watch(t: &mut Trial) -> Flow {
    let reboots = t.rig.reboots.clone();
    let actual = match reboots.as_slice() {
        [] => "it has not".to_owned(),
        some => format!("it has during {}", some.join(", ")),
    };
    t.must(reboots.is_empty(), "the device has not started anew by itself", actual);
    Ok(())
}

async fn soak(t: &mut Trial) -> Flow {
    const TIME: Duration = Duration::from_secs(360);
    const ROUND: Duration = Duration::from_secs(10);
    const ROUNDS_A_TEST: u32 = 6;
    let mut random = chance(t, 10);
    let serves = get(t).await?;
    // Those that leave something behind would spoil what comes after them.
    let tests: Vec<_> = all()
        .filter(|test| test.about.tier <= Core && !test.is_last && test.about.severity == Must)
        .filter(|test| test.needs.is_none_or(|capability| t.rig.can(capability)))
        .collect();
    let ended = Instant::now() + TIME;
    let (mut round, mut pings) = (0, 0);
    while Instant::now() < ended {
        let next = Instant::now() + ROUND;
        pings += u32::from(t.ping().await?);
        round += 1;
        if serves {
            let is_served = get(t).await?;
            let minute = round * ROUND.as_secs() as u32;
            t.must(is_served, "the page is served", format!("not after {minute} s"));
        }
        if round % ROUNDS_A_TEST == 0 && !tests.is_empty() {
            let test = tests[random.random_range(0..tests.len())];
            again(t, test).await?;
        }
        t.listen(next.saturating_duration_since(Instant::now())).await?;
        t.take_seen();
    }
    t.remark(format!("{round} rounds, {pings} pings answered"));
    t.must(pings == round, format!("{round} pings are answered"), format!("{pings} were"));
    Ok(())
}

/// One of the other tests, whose failures are this one's unless it fails by itself as well.
async fn again(t: &mut Trial, test: &'static Test) -> Flow {
    let outcome: Outcome = t.aside(test).await?;
    t.remark(format!("{}: {}", test.about.name, outcome.verdict.name()));
    let known = t.rig.verdicts.get(test.about.name).copied();
    let expected = format!("{} comes to what it came to before", test.about.name);
    t.must(known.is_none_or(|known| known == outcome.verdict), expected, outcome.verdict.name());
    Ok(())
}
