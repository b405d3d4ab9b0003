//! More connections than the device can have.

use std::time::Duration;

use tokio::time::Instant;

use super::super::super::model::Owner::Stack;
use super::super::super::model::Severity::{Must, Should};
use super::super::super::model::Tier::{Core, Extended};
use super::super::super::model::{Flow, Test};
use super::super::super::peer::Attempt;
use super::super::super::peer::response::{Reading, Response};
use super::super::super::trial::{Trial, said};
use super::super::row;
use super::pages::{ROOT, web, whole_response};

/// The tests.
#[rustfmt::skip]
pub(super) static TESTS: &[Test] = &[
    Test::new(row(("TCP-53", "tcp.syn-flood"), (Must, Extended, Stack), "RFC 4987 §3",
        "Sixty connections that are never completed do not keep the device from serving for long."),
        |t| Box::pin(syn_flood(t))).last(),
    Test::new(row(("TCP-54", "tcp.max-connections"), (Must, Core, Stack), "RFC 9293 §3.5.3, §3.10.7.1; robustness",
        "Who has as many connections as it can have refuses more, and serves again when they are gone."),
        |t| Box::pin(max_connections(t))),
];

/// Connections that are never completed.
const FLOOD: usize = 60;
/// A new attempt so often.
const EVERY: Duration = Duration::from_millis(1500);
/// Half-open connections have to be gone by then: a peer tries for three minutes (RFC 9293 section 3.8.3).
const RECOVERED: Duration = Duration::from_secs(200);

async fn syn_flood(t: &mut Trial) -> Flow {
    for _ in 0..FLOOD {
        let syn = web(t).syn(t);
        t.send(&syn.frame()).await?;
    }
    t.survives().await?;
    let started = Instant::now();
    let mut attempts = 0u32;
    let mut is_served = false;
    while !is_served && started.elapsed() < RECOVERED {
        let began = Instant::now();
        attempts += 1;
        is_served = is_served_once(t).await?;
        t.survives().await?;
        if !is_served {
            t.listen(EVERY.saturating_sub(began.elapsed())).await?;
        }
    }
    let waited = started.elapsed();
    let actual = match is_served {
        true => format!("served at attempt number {attempts}, {waited:.1?} after the flood"),
        false => format!("none of {attempts} attempts in {waited:.1?} was served"),
    };
    t.remark(actual.clone());
    let expected = "a page after the flood, when half-open connections are given up";
    t.must(is_served, expected, &actual);
    let is_at_once = is_served && attempts == 1;
    t.check(Should, is_at_once, "a page at once, in spite of the flood", actual);
    Ok(())
}

/// Whether one SYN is enough to be served.
async fn is_served_once(t: &mut Trial) -> Flow<bool> {
    let Attempt::Open(mut peer) = web(t).once().attempt(t).await? else { return Ok(false) };
    peer.get(t, ROOT).await?;
    let reading = peer.response(t, true).await?;
    peer.abort(t).await?;
    Ok(matches!(reading, Reading::Response(Response { is_complete: true, .. })))
}

/// Connections that are tried at most.
const MOST: usize = 24;
/// How soon it serves again.
const SOON: Duration = Duration::from_secs(1);

async fn max_connections(t: &mut Trial) -> Flow {
    let mut open = Vec::new();
    let mut refusal = None;
    while open.len() < MOST && refusal.is_none() {
        match web(t).once().attempt(t).await? {
            Attempt::Open(peer) => open.push(peer),
            Attempt::Refused(seen) => refusal = Some(said(&seen)),
            Attempt::Silent => refusal = Some("silence".to_owned()),
        }
    }
    let count = open.len();
    t.remark(match &refusal {
        Some(how) => format!("{count} connections at once; the next brought {how}"),
        None => format!("{count} connections at once, and more were not tried"),
    });
    t.must(count > 0, "a connection at least", "the first was refused");
    t.survives().await?;
    for mut peer in open {
        peer.abort(t).await?;
    }
    let end = Instant::now() + t.within(SOON);
    let mut attempt = web(t).once().attempt(t).await?;
    while !matches!(attempt, Attempt::Open(_)) && Instant::now() < end {
        t.listen(SOON / 10).await?;
        attempt = web(t).once().attempt(t).await?;
    }
    let is_open = matches!(attempt, Attempt::Open(_));
    let expected = format!("a connection within {SOON:?} when all others are gone");
    t.must(is_open, expected, format!("none after {count} connections were reset"));
    if let Attempt::Open(mut peer) = attempt {
        peer.get(t, ROOT).await?;
        whole_response(t, &mut peer, Must, "a page when all others are gone").await?;
    }
    Ok(())
}
