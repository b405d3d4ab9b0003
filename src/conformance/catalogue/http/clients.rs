//! Clients that are slow, or leave without a word.

use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::super::super::model::Owner::Application;
use super::super::super::model::Severity::{Must, Should};
use super::super::super::model::Tier::{Core, Extended};
use super::super::super::model::{Flow, Test};
use super::super::super::peer::{Attempt, Opening, Peer, THINKING};
use super::super::super::rig::Capability::Http;
use super::super::super::trial::Trial;
use super::super::super::web::Request;
use super::super::row;
use super::{Reaction, host, is_answered, longest_page};

/// How often a client leaves within a response.
const ABORTS: usize = 30;
/// From one byte of a slow client to the next.
const BYTE_EVERY: Duration = Duration::from_millis(200);
/// How long a slow client goes on.
const SLOW: Duration = Duration::from_secs(24);
/// How soon others are served beside it.
const AT_ONCE: Duration = Duration::from_secs(2);
/// The window of a reader that reads.
const OPEN: u16 = 4096;
/// How long a reader does not read.
const DEAF: Duration = Duration::from_secs(10);

/// The tests.
#[rustfmt::skip]
pub(super) static TESTS: &[Test] = &[
    Test::new(row(("HTT-17", "http.slow-client"), (Should, Extended, Application), "RFC 9112 §9.5; robustness",
        "A client that sends its request byte by byte keeps no other client waiting."),
        |t| Box::pin(slow_client(t))).needs(Http),
    Test::new(row(("HTT-18", "http.client-abort"), (Must, Core, Application), "RFC 9293 §3.10.7.4; robustness",
        "Clients that reset their connections within a response leave nothing behind."),
        |t| Box::pin(client_abort(t))).needs(Http),
    Test::new(row(("HTT-19", "http.slow-reader"), (Must, Extended, Application), "RFC 9293 §3.8.6.1; RFC 9112 §9.5",
        "A client that does not read for 10 s gets all of the response, unchanged, when it does."),
        |t| Box::pin(slow_reader(t))).needs(Http),
];

async fn slow_client(t: &mut Trial) -> Flow {
    let request = format!("GET / HTTP/1.1\r\nHost: {}\r\nX-Slow: {}", host(t), "z".repeat(200));
    let mut slow = Opening::to(t.rig.target.ports.http).open(t).await?;
    let started = Instant::now();
    let (mut sent, mut other) = (0, None);
    let is_over = |peer: &Peer| peer.reset.is_some() || peer.incoming.is_finished();
    for byte in request.as_bytes().chunks(1) {
        if is_over(&slow) || started.elapsed() >= SLOW {
            break;
        }
        slow.send_piece(t, byte).await?;
        slow.listen(t, BYTE_EVERY).await?;
        sent += 1;
        if sent == 5 {
            other = Some(t.ask(Request::get("/")).await?);
        }
    }
    if let Some(other) = other {
        let limit = t.within(AT_ONCE);
        let is_prompt = other.is_whole(200) && other.total <= limit;
        let expected = format!("GET / is answered within {limit:.1?} beside a slow client");
        let actual = format!("{}, after {:.1?}", other.said(), other.total);
        t.should_hold(is_prompt, expected, actual);
    }
    let elapsed = started.elapsed().as_secs_f64();
    t.remark(match is_over(&slow) {
        true => {
            let reading = slow.reading(true);
            let last = Reaction::of(reading, &slow).said();
            format!("the slow client was given up after {elapsed:.1} s: {last}")
        }
        false => format!("the slow client was not given up within {elapsed:.1} s"),
    });
    match slow.reset {
        Some(_) => Ok(()),
        None => slow.abort(t).await,
    }
}

/// One request whose client is gone when the first of the response has come; what went wrong.
async fn leave_early(t: &mut Trial, path: &str) -> Flow<Option<&'static str>> {
    let opening = Opening::to(t.rig.target.ports.http);
    let mut peer = match opening.attempt(t).await? {
        Attempt::Open(peer) => peer,
        Attempt::Refused(_) => return Ok(Some("the connection was refused")),
        Attempt::Silent => return Ok(Some("the connection was not accepted")),
    };
    peer.get(t, path).await?;
    let has_come = |peer: &Peer| !peer.incoming.stream().is_empty() || peer.reset.is_some();
    let came = peer.wait(t, THINKING, has_come).await?;
    if peer.reset.is_none() {
        peer.abort(t).await?;
    }
    Ok((!came).then_some("no response came"))
}

async fn client_abort(t: &mut Trial) -> Flow {
    let (path, alone) = longest_page(t).await?;
    is_answered(t, &alone, 200, &format!("GET {path}, before all"));
    let mut trouble = None;
    for n in 1..=ABORTS {
        if let Some(why) = leave_early(t, path).await? {
            trouble = Some(format!("{why}, number {n} of {ABORTS}"));
            break;
        }
    }
    let expected = format!("{ABORTS} clients are served that reset their connections one by one");
    t.must(trouble.is_none(), expected, trouble.unwrap_or_default());
    let after = t.ask(Request::get(path)).await?;
    if is_answered(t, &after, 200, &format!("GET {path} after them")) {
        let is_same = after.sha256 == alone.sha256 || path == "/";
        let actual = format!("{} bytes that differ", after.length);
        t.must(is_same, format!("the same body of {} bytes as before", alone.length), actual);
    }
    tell_count(t).await
}

/// Devices of ours tell how many connections they know.
async fn tell_count(t: &mut Trial) -> Flow {
    let status = t.ask(Request::get("/status")).await?;
    let text = String::from_utf8_lossy(&status.body).into_owned();
    for name in ["connections_open", "conns_open"] {
        let value = text.split(&format!("\"{name}\":")).nth(1);
        let digits = value.map(|rest| rest.chars().take_while(char::is_ascii_digit).collect());
        if let Some(count) = digits.filter(|digits: &String| !digits.is_empty()) {
            t.remark(format!("the device counts {count} open connection(s), with the one asking"));
        }
    }
    Ok(())
}

async fn slow_reader(t: &mut Trial) -> Flow {
    let (path, alone) = longest_page(t).await?;
    is_answered(t, &alone, 200, &format!("GET {path}, read at once"));
    // Closed from the beginning: a window that was promised is not taken back (RFC 9293 section 3.8.6).
    let mut peer = Opening::to(t.rig.target.ports.http).window(0).open(t).await?;
    peer.get(t, path).await?;
    peer.listen(t, DEAF).await?;
    let probes = peer.incoming.arrivals.iter().filter(|arrival| arrival.beyond > 0).count();
    t.remark(format!("{probes} segments came into a closed window within {DEAF:?}"));
    let is_given_up = peer.reset.is_some();
    let expected = format!("the connection lives on while its window is closed for {DEAF:?}");
    t.check(Should, !is_given_up, expected, "the server reset it: its own timeout?");
    if is_given_up {
        return Ok(());
    }
    peer.announce(t, OPEN).await?;
    let reaction = Reaction::of(peer.response(t, true).await?, &peer);
    let expected = format!("a whole response with status 200 to GET {path}");
    t.must(reaction.status() == Some(200), expected, reaction.said());
    if let Some(response) = reaction.response() {
        let digest: [u8; 32] = Sha256::digest(&response.body).into();
        let is_same = digest == alone.sha256 || path == "/";
        let actual = format!("{} bytes that differ", response.body.len());
        t.must(is_same, format!("the same body of {} bytes as at once", alone.length), actual);
    }
    super::part(t, peer).await
}
