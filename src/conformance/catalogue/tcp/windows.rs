//! Data under the receiver's limits, and data that is lost: segment sizes, windows, retransmission.

use std::time::Duration;

use super::super::super::model::Owner::Stack;
use super::super::super::model::Severity::{Must, Should};
use super::super::super::model::Tier::{Core, Extended, Smoke};
use super::super::super::model::{Flow, Halt, Test};
use super::super::super::peer::{Arrival, Peer, THINKING};
use super::super::super::trial::Trial;
use super::super::row;
use super::pages::{ROOT, long_page, longest, web, whole_response};

/// The tests.
#[rustfmt::skip]
pub(super) static TESTS: &[Test] = &[
    Test::new(row(("TCP-37", "tcp.mss-honoured"), (Must, Smoke, Stack), "RFC 9293 §3.7.1 (MUST-16)",
        "No segment is larger than the MSS that the peer has named."),
        |t| Box::pin(mss_honoured(t))),
    Test::new(row(("TCP-38", "tcp.mss-default"), (Must, Core, Stack), "RFC 9293 §3.7.1 (MUST-15)",
        "To a peer that names no MSS, no segment carries more than 536 bytes."),
        |t| Box::pin(mss_default(t))),
    Test::new(row(("TCP-39", "tcp.window-honoured"), (Must, Core, Stack), "RFC 9293 §3.8.6",
        "No more than the window is sent before it is acknowledged, and more as soon as the window grows."),
        |t| Box::pin(window_honoured(t))),
    Test::new(row(("TCP-40", "tcp.zero-window-probe"), (Must, Core, Stack), "RFC 9293 §3.8.6.1 (MUST-36)",
        "A window of 0 is probed until it opens, by a byte rather than more."),
        |t| Box::pin(zero_window_probe(t))),
    Test::new(row(("TCP-41", "tcp.retransmit"), (Must, Core, Stack), "RFC 6298 §5; RFC 9293 §3.8.1",
        "Data that is not acknowledged is sent again, unchanged, after intervals that grow."),
        |t| Box::pin(retransmit(t))),
    Test::new(row(("TCP-42", "tcp.fast-retransmit"), (Should, Extended, Stack), "RFC 5681 §3.2",
        "Three duplicate acknowledgments bring the missing segment before its timer does."),
        |t| Box::pin(fast_retransmit(t))),
];

async fn mss_honoured(t: &mut Trial) -> Flow {
    segments_up_to(t, Some(200), 200, "to a peer whose MSS is 200").await
}

async fn mss_default(t: &mut Trial) -> Flow {
    segments_up_to(t, None, 536, "to a peer that has named no MSS").await
}

/// A page of more than one segment comes in segments of at most `most` bytes.
async fn segments_up_to(t: &mut Trial, mss: Option<u16>, most: usize, to: &str) -> Flow {
    let page = long_page(t).await?;
    let mut peer = web(t).mss(mss).open(t).await?;
    peer.get(t, page).await?;
    whole_response(t, &mut peer, Must, &format!("a whole response {to}")).await?;
    let longest = longest(&peer);
    let expected = format!("no segment with more than {most} bytes {to}");
    let is_kept = t.should_hold(longest <= most, expected, format!("one with {longest} bytes"));
    if is_kept && peer.incoming.stream().len() <= most {
        return Err(Halt::Skip(format!("needs a page of more than {most} bytes")));
    }
    Ok(())
}

async fn window_honoured(t: &mut Trial) -> Flow {
    const SMALL: u16 = 100;
    const LARGE: u16 = 8000;
    let page = long_page(t).await?;
    let mut peer = web(t).window(SMALL).mute().open(t).await?;
    peer.get(t, page).await?;
    let is_full = |peer: &Peer| peer.incoming.stream().len() >= usize::from(SMALL);
    peer.wait(t, THINKING, is_full).await?;
    t.survives().await?;
    peer.poll(t).await?;
    let came = peer.incoming.stream().len();
    t.remark(format!("{came} bytes came into a window of {SMALL}"));
    within_window(t, &peer, SMALL);
    peer.acknowledges = true;
    peer.acknowledged = peer.incoming.expected();
    peer.announce(t, LARGE).await?;
    let expected = format!("the rest of the page when the window is {LARGE}");
    whole_response(t, &mut peer, Must, &expected).await?;
    within_window(t, &peer, LARGE);
    Ok(())
}

/// Nothing came that the window has no room for.
fn within_window(t: &mut Trial, peer: &Peer, window: u16) {
    let beyond = peer.incoming.arrivals.iter().filter(|arrival| arrival.beyond > 0);
    let frames: Vec<_> = beyond.map(|arrival| arrival.frame.clone()).collect();
    t.none(&frames, format!("nothing beyond a window of {window}"), |_| true);
}

/// When a zero window is opened at the latest.
const OPENED: Duration = Duration::from_secs(6);
/// How long the first probe may take: some stacks begin at 5 s.
const FIRST_PROBE: Duration = Duration::from_secs(10);

async fn zero_window_probe(t: &mut Trial) -> Flow {
    let mut peer = web(t).window(0).open(t).await?;
    let started = tokio::time::Instant::now();
    peer.get(t, ROOT).await?;
    peer.wait(t, FIRST_PROBE, |peer| probes(peer).next().is_some()).await?;
    let waited = started.elapsed();
    let seen = probes(&peer).count();
    t.must(seen > 0, "a probe of the window of 0", format!("none within {waited:.1?}"));
    t.remark(format!("the first probe came within {waited:.1?}"));
    peer.listen(t, OPENED.saturating_sub(waited)).await?;
    // "At least one octet" (RFC 9293 section 3.8.6.1): more is no violation by the letter.
    let ahead = peer.incoming.arrivals.iter().map(Arrival::end).max().unwrap_or(0);
    let actual = format!("{ahead} bytes of the stream came before it was opened");
    t.check(Should, ahead <= 1, "no more than a byte in a window of 0", actual);
    peer.announce(t, 4096).await?;
    whole_response(t, &mut peer, Must, "the page when the window is open").await?;
    Ok(())
}

/// Segments that ask what the window is: with data, or in front of what is expected.
fn probes(peer: &Peer) -> impl Iterator<Item = &Arrival> {
    peer.incoming.arrivals.iter().filter(|arrival| arrival.length > 0 || arrival.at < 0)
}

/// How long a timer may be that has not backed off often.
const PATIENCE: Duration = Duration::from_secs(30);

async fn retransmit(t: &mut Trial) -> Flow {
    let mut peer = web(t).mute().open(t).await?;
    peer.get(t, ROOT).await?;
    for wanted in 1..=3 {
        let patience = if wanted == 1 { THINKING } else { PATIENCE };
        let has_come = |peer: &Peer| first_segments(peer).count() >= wanted || peer.reset.is_some();
        peer.wait(t, patience, has_come).await?;
    }
    let times: Vec<_> = first_segments(&peer).map(|arrival| arrival.time).collect();
    let actual = format!("the first segment came {} times", times.len());
    t.must(times.len() >= 3, "a response that is not acknowledged comes again and again", actual);
    let intervals: Vec<_> = times.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    if let [first, second, ..] = intervals[..] {
        // Timers may tick in half seconds.
        let is_growing = second >= first.mul_f64(1.5);
        let actual = format!("it came again after {first:.2?}, and again after {second:.2?}");
        t.remark(actual.clone());
        t.should_hold(is_growing, "each interval is twice the last", actual);
    }
    let changed = peer.incoming.changed_at;
    let actual = changed.map_or(String::new(), |at| format!("byte {at} is another"));
    t.must(changed.is_none(), "what comes again is what came before", actual);
    peer.acknowledges = true;
    peer.acknowledge_all(t).await?;
    whole_response(t, &mut peer, Must, "a whole response when it is acknowledged").await?;
    Ok(())
}

/// Every time that the first byte of the stream came.
fn first_segments(peer: &Peer) -> impl Iterator<Item = &Arrival> {
    peer.incoming.arrivals.iter().filter(|arrival| arrival.length > 0 && arrival.at <= 0)
}

/// Bytes after which a segment is lost: the congestion window has grown by then.
const GROWN: usize = 4000;

async fn fast_retransmit(t: &mut Trial) -> Flow {
    let page = long_page(t).await?;
    let mut peer = web(t).mss(Some(536)).window(8000).open(t).await?;
    peer.get(t, page).await?;
    peer.wait(t, THINKING, |peer| peer.incoming.stream().len() >= GROWN).await?;
    peer.acknowledges = false;
    // Whatever comes from here on is taken for lost, as far as the first segment is concerned.
    let lost = peer.incoming.offset(peer.acknowledged);
    let copies = |peer: &Peer| {
        let there =
            |arrival: &&Arrival| arrival.length > 0 && arrival.at <= lost && arrival.end() > lost;
        peer.incoming.arrivals.iter().filter(there).count()
    };
    let behind = |peer: &Peer| {
        let fresh = peer.incoming.arrivals.iter().filter(|arrival| arrival.at > lost);
        fresh.count()
    };
    peer.wait(t, THINKING, |peer| behind(peer) >= 3).await?;
    if behind(&peer) < 3 {
        let why = "needs four segments in flight: a longer page, or a larger congestion window";
        return Err(Halt::Skip(why.to_owned()));
    }
    let before = copies(&peer);
    for _ in 0..behind(&peer).min(6) {
        peer.acknowledge(t).await?;
    }
    t.survives().await?;
    peer.listen(t, Duration::from_millis(60)).await?;
    let again = copies(&peer) > before;
    let actual = "three duplicate acknowledgments and a ping went, and it did not come";
    t.should_hold(again, "the segment that is missing comes at once", actual);
    peer.acknowledges = true;
    peer.acknowledge_all(t).await?;
    whole_response(t, &mut peer, Must, "a whole response after the loss").await?;
    Ok(())
}
