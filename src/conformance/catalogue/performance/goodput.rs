//! How much passes: downloads, an upload, and what the line and the connection make of them.

use std::time::Duration;

use tokio::time::Instant;

use super::super::super::measure::Unit::{BytesPerSecond, Percent, Ratio, Seconds};
use super::super::super::model::Owner::Application;
use super::super::super::model::Severity::{Report, Threshold};
use super::super::super::model::Tier::{Core, Extended, Long, Smoke};
use super::super::super::model::{Flow, Halt, Severity, Test};
use super::super::super::peer::response::Reading;
use super::super::super::peer::{Attempt, Opening};
use super::super::super::rig::Capability::Http;
use super::super::super::trial::Trial;
use super::super::super::web::Request;
use super::super::row;
use super::super::tcp::difference;
use super::latency::{UNPACED, slopes};
use super::pages::{Load, Page, Tally};
use super::{Line, percent};

/// The tests.
#[rustfmt::skip]
pub(super) static TESTS: &[Test] = &[
    Test::new(row(("PRF-05", "performance.goodput-get"), (Threshold, Smoke, Application), "docs/line.md; RFC 6349 §3.3",
        "Downloads bring 8 KB/s, on slower lines 70 % of the line, and no more than the line carries."),
        |t| Box::pin(goodput_get(t))).needs(Http),
    Test::new(row(("PRF-06", "performance.line-utilisation"), (Threshold, Core, Application), "docs/line.md",
        "Downloads use 70 % of the line at least, and not more than there is."),
        |t| Box::pin(line_utilisation(t))).needs(Http),
    Test::new(row(("PRF-07", "performance.tcp-efficiency"), (Threshold, Core, Application), "RFC 6349 §4.1, §4.2",
        "Of a download, at most 1 % of the bytes come again, and it takes at most 1.4 times the time that it has to."),
        |t| Box::pin(tcp_efficiency(t))).needs(Http),
    Test::new(row(("PRF-08", "performance.upload"), (Threshold, Extended, Application), "RFC 6349",
        "An upload uses 70 % of the line, and every byte arrives as it was."),
        |t| Box::pin(upload(t))).needs(Http),
    Test::new(row(("PRF-12", "performance.sustained"), (Threshold, Long, Application), "RFC 2544 §26.1",
        "The last of four quarters of a minute of downloads brings 90 % of the first, and nothing stands still for 2 s."),
        |t| Box::pin(sustained(t))).needs(Http),
];

/// The beginning that does not count, and the time behind it that does.
const OMITTED: Duration = Duration::from_secs(2);
const COUNTED: Duration = Duration::from_secs(8);
/// The least goodput of the documented line, in bytes a second.
const LEAST: f64 = 8000.0;
/// The least use of a line.
const USE: f64 = 0.7;
/// The least part of what fits through in segments of this size.
const PART: f64 = 0.75;

/// A stretch of downloads.
#[derive(Clone, Debug)]
pub(super) struct Stretch {
    pub(super) page: Page,
    /// Bytes of bodies a second.
    pub(super) goodput: f64,
    /// Bytes of all frames from the device a second.
    pub(super) on_line: f64,
    pub(super) tally: Tally,
}

/// How much came of something within a time, a second.
pub(super) fn rate(bytes: u64, time: Duration) -> f64 {
    bytes as f64 / time.as_secs_f64().max(1e-3)
}

/// Ten seconds of downloads.
async fn downloads(t: &mut Trial) -> Flow<Stretch> {
    let page = Page::lasting(t, Duration::from_secs(4)).await?;
    let mut load = Load::new(page.clone());
    load.run(t, None, Instant::now() + OMITTED).await?;
    let (from, bytes, passed) = (Instant::now(), load.bytes(), t.passed());
    load.run(t, None, from + COUNTED).await?;
    let time = from.elapsed();
    let (bytes, back) = (load.bytes() - bytes, t.passed().back - passed.back);
    let tally = load.stop(t).await?;
    if let Some(why) = &tally.why {
        let failed = tally.failed;
        t.remark(format!("{failed} download(s) of {} failed, the first: {why}", page.path));
    }
    let (goodput, on_line) = (rate(bytes, time), rate(back, time));
    Ok(Stretch { page, goodput, on_line, tally })
}

/// The weight of a limit of throughput: short pages cannot fill a line.
pub(super) fn weight(page: &Page) -> Severity {
    if page.is_long() { Threshold } else { Report }
}

/// What passes is not more than the line can carry: a failure where a rate was declared and the line is paced; a
/// warning elsewhere, since a rate that was measured holds the time that the device takes for a byte as well.
async fn not_more_than_the_line(t: &mut Trial, on_line: f64, percents: f64) -> Flow {
    let line = Line::of(t);
    let is_within = on_line <= line.rate * percents / 100.0;
    let baud = line.rate * 10.0;
    let actual = format!("{:.2} KB/s, {:.0} % of it", on_line / 1e3, percent(on_line, line.rate));
    let mut is_paced = false;
    if !is_within && t.rig.target.line_rate.is_some() {
        is_paced = slopes(t, 2).await?.is_some_and(|slopes| slopes.back >= UNPACED);
    }
    if is_within || is_paced {
        let expected = format!("not more than the {:.2} KB/s of the line", line.rate / 1e3);
        t.should_hold(is_within, expected, format!("{actual}: is its rate another?"));
    } else {
        let why = if line.is_known { "faster than pings are" } else { "not paced" };
        t.remark(format!("warning: the line is {why}: {actual} at {baud:.0} baud"));
    }
    Ok(())
}

async fn goodput_get(t: &mut Trial) -> Flow {
    let Stretch { page, goodput, on_line, tally } = downloads(t).await?;
    t.measure("goodput", goodput, BytesPerSecond);
    t.measure("longest-stall", tally.stall.as_secs_f64(), Seconds);
    let line = Line::of(t);
    let limit = LEAST.min(USE * line.rate).min(PART * line.ideal(tally.largest));
    let expected = format!("at least {:.2} KB/s of GET {}", limit / 1e3, page.path);
    let actual = format!("{:.2} KB/s", goodput / 1e3);
    t.check(weight(&page), goodput >= limit, expected, actual);
    not_more_than_the_line(t, on_line, 101.0).await
}

async fn line_utilisation(t: &mut Trial) -> Flow {
    let Stretch { page, on_line, .. } = downloads(t).await?;
    let line = Line::of(t);
    let used = percent(on_line, line.rate);
    t.measure("line-use", used, Percent);
    t.measure("on-line", on_line, BytesPerSecond);
    let expected = format!("downloads use at least 70 % of {:.2} KB/s", line.rate / 1e3);
    t.check(weight(&page), used >= USE * 100.0, expected, format!("{used:.1} %"));
    not_more_than_the_line(t, on_line, 102.0).await
}

async fn tcp_efficiency(t: &mut Trial) -> Flow {
    const MOST_AGAIN: f64 = 1.0;
    const MOST_TIME: f64 = 1.4;
    let Stretch { page, goodput, tally, .. } = downloads(t).await?;
    let again = percent(tally.again as f64, (tally.data + tally.again) as f64);
    t.measure("retransmitted", again, Percent);
    let expected = "at most 1 % of the bytes of data are sent again";
    let actual = format!("{again:.2} %: {} of {}", tally.again, tally.data + tally.again);
    t.should_hold(again <= MOST_AGAIN && tally.data > 0, expected, actual);
    let line = Line::of(t);
    let ratio = line.ideal(tally.largest) / goodput.max(1.0);
    t.measure("transfer-time-ratio", ratio, Ratio);
    if line.is_known {
        let expected = format!(
            "downloads take at most 1.4 times the time that {:.2} KB/s take",
            line.ideal(tally.largest) / 1e3
        );
        let actual = format!("{ratio:.2} times, at {:.2} KB/s", goodput / 1e3);
        t.check(weight(&page), ratio <= MOST_TIME, expected, actual);
    } else {
        t.remark("the line is not paced: the ratio is that to the documented line".to_owned());
    }
    Ok(())
}

/// Bytes of an upload where nothing paces the line.
const UPLOAD: f64 = 1e6;

/// Within the device's own window, whole: whoever sends less at a time waits for acknowledgments that may be late.
async fn upload(t: &mut Trial) -> Flow {
    const TIME: Duration = Duration::from_secs(10);
    let line = Line::of(t);
    let length = if line.is_known { (line.rate * TIME.as_secs_f64()).min(UPLOAD) } else { UPLOAD };
    let body: Vec<u8> = (0..length as u32).map(|n| (n ^ n >> 8 ^ n >> 16) as u8).collect();
    let sample = t.ask(Request::post("/upload", &b"123456789"[..])).await?;
    if !sample.is_whole(200) || difference(&sample.body, b"123456789").is_some() {
        return upload_to_echo(t, &body).await;
    }
    let (head, length) = (upload_head(t, body.len()), body.len());
    let mut peer = Opening::to(t.rig.target.ports.http).open(t).await?;
    let (began, passed) = (Instant::now(), t.passed());
    peer.write(t, head.as_bytes()).await?;
    peer.write(t, &body).await?; // the device has acknowledged all of it then, or says why not
    let (time, out) = (began.elapsed(), t.passed().out - passed.out);
    let problem = match peer.response(t, true).await? {
        Reading::Response(response) if response.status == 200 => difference(&response.body, &body),
        Reading::Response(response) => Some(format!("status {}", response.status)),
        Reading::Bad(why) => Some(why),
        Reading::Partial => Some("no whole response came".to_owned()),
    };
    let expected = format!("POST /upload says that the {length} bytes came as they were");
    t.should_hold(problem.is_none(), expected, problem.unwrap_or_default());
    if peer.reset.is_none() {
        peer.abort(t).await?;
    }
    judge_upload(t, length, out, time);
    Ok(())
}

/// The head of an upload of so many bytes.
fn upload_head(t: &Trial, length: usize) -> String {
    let host = t.identity().device_ip;
    let fields = format!("Host: {host}\r\nConnection: close\r\nContent-Length: {length}");
    format!("POST /upload HTTP/1.1\r\n{fields}\r\n\r\n")
}

/// The throughput of what was sent.
fn judge_upload(t: &mut Trial, length: usize, out: u64, time: Duration) {
    t.measure("goodput-up", rate(length as u64, time), BytesPerSecond);
    let line = Line::of(t);
    let used = percent(rate(out, time), line.rate);
    t.measure("line-use-up", used, Percent);
    let expected = format!("an upload uses at least 70 % of {:.2} KB/s", line.rate / 1e3);
    t.should_hold(used >= USE * 100.0, expected, format!("{used:.1} %"));
}

/// The same where there is nothing but an echo service, which sends all of it back meanwhile.
async fn upload_to_echo(t: &mut Trial, body: &[u8]) -> Flow {
    const PIECE: usize = 4096;
    const LAST: Duration = Duration::from_secs(10);
    let port = t.rig.target.ports.echo;
    let Attempt::Open(mut peer) = Opening::to(port).attempt(t).await? else {
        return Err(Halt::Skip(format!(
            "needs a web server with POST /upload, or a TCP echo service at port {port}"
        )));
    };
    t.remark(format!("there is no /upload: the test sends to the echo service at port {port}"));
    let (began, passed) = (Instant::now(), t.passed());
    let mut is_sent = true;
    for piece in body.chunks(PIECE) {
        is_sent &= is_sent && peer.write(t, piece).await?;
    }
    let (time, out) = (began.elapsed(), t.passed().out - passed.out);
    let length = body.len();
    peer.wait(t, LAST, |peer| peer.incoming.stream().len() >= length).await?;
    let echoed = peer.incoming.stream();
    let same = echoed.iter().zip(body).take_while(|(a, b)| a == b).count();
    let actual = format!("{same} bytes came back as they were, of {} in all", echoed.len());
    let is_whole = is_sent && same == length;
    t.should_hold(is_whole, format!("the {length} bytes come back as they were"), actual);
    peer.abort(t).await?;
    judge_upload(t, length, out, time);
    Ok(())
}

async fn sustained(t: &mut Trial) -> Flow {
    const QUARTER: Duration = Duration::from_secs(15);
    const STILL: Duration = Duration::from_secs(2);
    let page = Page::lasting(t, Duration::from_secs(4)).await?;
    let mut load = Load::new(page.clone());
    let mut quarters = Vec::new();
    for _ in 0..4 {
        let (from, bytes) = (Instant::now(), load.bytes());
        let is_early = load.run(t, None, from + QUARTER).await?;
        quarters.push(rate(load.bytes() - bytes, from.elapsed()));
        if is_early {
            break; // a line without any pace: what came is enough
        }
    }
    let tally = load.stop(t).await?;
    let shown: Vec<_> = quarters.iter().map(|rate| format!("{:.2}", rate / 1e3)).collect();
    let shown = shown.join(", ");
    t.remark(format!("KB/s in each quarter: {shown}; {} page(s) failed", tally.failed));
    let (first, last) = (quarters.first(), quarters.last());
    let (Some(&first), Some(&last)) = (first, last) else { return Ok(()) };
    t.measure("first-quarter", first, BytesPerSecond);
    t.measure("last-quarter", last, BytesPerSecond);
    t.measure("longest-stall", tally.stall.as_secs_f64(), Seconds);
    let expected = format!("the last quarter brings 90 % of the first's {:.2} KB/s", first / 1e3);
    let is_steady = first > 0.0 && (quarters.len() < 4 || last >= first * 0.9);
    // Without a pace it is the machine's load that decides.
    let weight = if Line::of(t).is_known { weight(&page) } else { Report };
    t.check(weight, is_steady, expected, format!("{:.2} KB/s", last / 1e3));
    let actual = format!("nothing came for {:.1} s", tally.stall.as_secs_f64());
    t.should_hold(tally.stall <= STILL, "nothing stands still for more than 2 s", actual);
    Ok(())
}
