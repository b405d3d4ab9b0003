//! What goes on beside downloads, and many connections.

use std::time::Duration;

use tokio::time::Instant;

use super::super::super::measure::Unit::{BytesPerSecond, Milliseconds, PerSecond, Percent, Ratio};
use super::super::super::model::Owner::Application;
use super::super::super::model::Severity::{Report, Threshold};
use super::super::super::model::Tier::{Core, Extended};
use super::super::super::model::{Flow, Halt, Test};
use super::super::super::peer::{Attempt, Opening, Peer};
use super::super::super::rig::Capability::Http;
use super::super::super::trial::Trial;
use super::super::super::web::{Exchange, Request};
use super::super::row;
use super::goodput::{rate, weight};
use super::latency::{HALF, USUAL, interval, none_is_lost};
use super::pages::{Load, Page};
use super::pinger::Pinger;
use super::{Line, allowance, floor, ms, percent, percentile};

/// The tests.
#[rustfmt::skip]
pub(super) static TESTS: &[Test] = &[
    Test::new(row(("PRF-09", "performance.bidirectional"), (Threshold, Extended, Application), "RFC 6349; RFC 2544 §26",
        "Beside pings, downloads bring 70 % of what they bring alone, and no ping is lost."),
        |t| Box::pin(bidirectional(t))).needs(Http),
    Test::new(row(("PRF-10", "performance.latency-under-load"), (Threshold, Core, Application), "RFC 6349 §4.3; RFC 7567",
        "Beside a download, pings take no more time than the data that may be in front of them."),
        |t| Box::pin(latency_under_load(t))).needs(Http),
    Test::new(row(("PRF-13", "performance.connection-rate"), (Threshold, Extended, Application), "RFC 3511 §5.3",
        "For 10 s, pages are served one behind the other, each on a connection of its own."),
        |t| Box::pin(connection_rate(t))).needs(Http),
    Test::new(row(("PRF-14", "performance.fairness"), (Threshold, Extended, Application), "RFC 5166 §2.3",
        "Of parallel downloads, each gets about the same part of the line, and all come to their end."),
        |t| Box::pin(fairness(t))).needs(Http),
];

/// How long a page lasts, and how long downloads find their pace.
const PAGE: Duration = Duration::from_secs(4);
const OMITTED: Duration = Duration::from_secs(1);

async fn bidirectional(t: &mut Trial) -> Flow {
    const PART: Duration = Duration::from_secs(5);
    const EVERY: Duration = Duration::from_millis(50);
    const LEAST: f64 = 0.7;
    let page = Page::lasting(t, PAGE).await?;
    let mut load = Load::new(page.clone());
    load.run(t, None, Instant::now() + OMITTED).await?;
    let (from, bytes) = (Instant::now(), load.bytes());
    load.run(t, None, from + PART).await?;
    let alone = rate(load.bytes() - bytes, from.elapsed());
    let size = t.capped(100);
    // On a slow line the pings take a quarter of it at most.
    let mut pinger = Pinger::new(&[size], EVERY.max(2 * floor(t, size)));
    let (from, bytes) = (Instant::now(), load.bytes());
    load.run(t, Some(&mut pinger), from + PART).await?;
    let beside = rate(load.bytes() - bytes, from.elapsed());
    load.stop(t).await?;
    pinger.end(t).await?;
    t.measure("goodput-alone", alone, BytesPerSecond);
    t.measure("goodput-beside-pings", beside, BytesPerSecond);
    let expected = format!("70 % of the {:.2} KB/s without pings", alone / 1e3);
    let is_so = alone > 0.0 && beside >= alone * LEAST;
    t.check(weight(&page), is_so, expected, format!("{:.2} KB/s", beside / 1e3));
    none_is_lost(t, &pinger, " beside a download");
    Ok(())
}

async fn latency_under_load(t: &mut Trial) -> Flow {
    const COUNT: usize = 40;
    const TIME: Duration = Duration::from_secs(6);
    let page = Page::lasting(t, PAGE).await?;
    let size = t.capped(USUAL);
    let every = interval(t, Duration::from_millis(50));
    t.settle().await?;
    let mut idle = Pinger::new(&[size], every);
    idle.run(t, COUNT).await?;
    let mut load = Load::new(page);
    load.run(t, None, Instant::now() + OMITTED).await?;
    let mut busy = Pinger::new(&[size], every);
    let (from, passed) = (Instant::now(), t.passed());
    load.run(t, Some(&mut busy), from + TIME).await?;
    let on_line = rate(t.passed().back - passed.back, from.elapsed());
    let window = usize::from(load.stop(t).await?.window);
    busy.end(t).await?;
    let at = |pinger: &Pinger, percent| percentile(&pinger.times(), percent);
    let (idle_most, busy_most) = (at(&idle, 95), at(&busy, 95));
    t.measure("rtt-idle-p95", ms(idle_most), Milliseconds);
    t.measure("rtt-loaded-p95", ms(busy_most), Milliseconds);
    let (before, with) = (ms(at(&idle, 50)), ms(at(&busy, 50)));
    t.measure("buffer-delay", percent(with - before, before).max(0.0), Percent);
    let line = Line::of(t);
    let slowest = if line.is_known { line } else { Line { rate: on_line.max(line.rate), ..line } };
    // The device may have as much on its way as we let it.
    let limit = idle_most + slowest.time(window + t.max_frame() + 2) + allowance(t, HALF);
    let expected = format!(
        "95 % of the pings beside a download within {:.1} ms: {:.1} ms as without it, and {window} bytes in front of them",
        ms(limit),
        ms(idle_most)
    );
    let is_so = !busy.times().is_empty() && busy_most <= limit;
    t.should_hold(is_so, expected, format!("within {:.1} ms", ms(busy_most)));
    none_is_lost(t, &busy, " beside a download");
    Ok(())
}

async fn connection_rate(t: &mut Trial) -> Flow {
    const TIME: Duration = Duration::from_secs(10);
    /// Ports of ours must not come round while the device remembers them.
    const MOST: usize = 300;
    let began = Instant::now();
    let mut first_bytes = Vec::new();
    let mut trouble = None;
    while began.elapsed() < TIME && first_bytes.len() < MOST && trouble.is_none() {
        let exchange = t.ask(Request::get("/")).await?;
        match exchange.first_byte.filter(|_| exchange.is_whole(200)) {
            Some(time) => first_bytes.push(time),
            None => trouble = Some(exchange.said()),
        }
        t.take_seen();
    }
    let served = first_bytes.len();
    t.measure("connections", rate(served as u64, began.elapsed()), PerSecond);
    t.measure("first-byte-p95", ms(percentile(&first_bytes, 95)), Milliseconds);
    let expected = "GET / is answered by 200 on each connection, one behind the other";
    let actual = format!("number {}: {}", served + 1, trouble.as_deref().unwrap_or_default());
    t.should_hold(trouble.is_none(), expected, actual);
    Ok(())
}

/// How many connections the web server accepts at once, up to `most`.
async fn capacity(t: &mut Trial, most: usize) -> Flow<usize> {
    let port = t.rig.target.ports.http;
    let mut peers: Vec<Peer> = Vec::new();
    while peers.len() < most
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

/// Jain's index of fairness: 1 where all are alike, 1/n where one has everything.
fn jain(rates: &[f64]) -> f64 {
    let (sum, squares) = rates.iter().fold((0.0, 0.0), |(a, b), rate| (a + rate, b + rate * rate));
    if squares > 0.0 { sum * sum / (rates.len() as f64 * squares) } else { 0.0 }
}

/// Bytes of a body that had come at a time since the request.
fn had_come(exchange: &Exchange, time: Duration) -> f64 {
    let until = exchange.progress.iter().take_while(|(at, _)| *at <= time);
    until.last().map_or(0.0, |(_, bytes)| *bytes as f64)
}

async fn fairness(t: &mut Trial) -> Flow {
    const PARALLEL: usize = 4;
    const LEAST: f64 = 0.8;
    /// What is over sooner tells who was first, and nothing of the line's parts.
    const TELLING: Duration = Duration::from_millis(500);
    let page = Page::lasting(t, Duration::from_secs(1)).await?;
    let parallel = capacity(t, PARALLEL).await?;
    if parallel < 2 {
        return Err(Halt::Skip("its web server has one connection at a time".to_owned()));
    }
    let requests = vec![Request::get(page.path.clone()); parallel];
    let exchanges = t.ask_all(requests).await?;
    let broken = exchanges.iter().find(|exchange| !exchange.is_whole(200));
    let actual = broken.map(Exchange::said).unwrap_or_default();
    let expected = format!("{parallel} downloads of {} at once come to their end", page.path);
    t.should_hold(broken.is_none(), expected, actual);
    // Short pages come in a segment or two: the times that they take tell more than who is first.
    let first = exchanges.iter().map(|exchange| exchange.total).min().unwrap_or_default();
    let part = |exchange: &Exchange| match page.is_long() {
        true => had_come(exchange, first),
        false => rate(exchange.length, exchange.total),
    };
    let parts: Vec<_> = exchanges.iter().map(part).collect();
    let index = jain(&parts);
    t.measure("jain-index", index, Ratio);
    let shown: Vec<_> = exchanges.iter().map(|e| format!("{:.2}", e.total.as_secs_f64())).collect();
    t.remark(format!("seconds that each took: {}", shown.join(", ")));
    let expected = format!("an index of fairness of {LEAST} at least among {parallel} downloads");
    let weight = if first < TELLING { Report } else { weight(&page) };
    t.check(weight, index >= LEAST, expected, format!("{index:.2}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_tells_equal_parts_from_one_for_all() {
        assert_eq!(jain(&[5.0; 4]), 1.0);
        assert_eq!(jain(&[5.0, 0.0, 0.0, 0.0]), 0.25);
        assert_eq!(jain(&[]), 0.0);
    }

    #[test]
    fn progress_is_read_at_a_time() {
        let mut exchange = Exchange::default();
        for n in 1..=5 {
            exchange.came(&[0; 100], Duration::from_secs(n));
        }
        assert_eq!(had_come(&exchange, Duration::from_secs(3)), 300.0);
        assert_eq!(had_come(&exchange, Duration::from_millis(1)), 0.0);
    }
}
