//! Several requests on one connection, and several connections at once.

use super::super::super::model::Owner::Application;
use super::super::super::model::Severity::{Must, Should};
use super::super::super::model::Tier::{Core, Extended};
use super::super::super::model::{Flow, Test};
use super::super::super::peer::response::Reading;
use super::super::super::peer::{Opening, Peer, THINKING};
use super::super::super::rig::Capability::{Http, KeepAlive};
use super::super::super::trial::Trial;
use super::super::super::web::Request;
use super::super::row;
use super::{NOWHERE, Reaction, host, is_answered, longest_page, part};

/// Connections at once.
const AT_ONCE: usize = 4;

/// The tests.
#[rustfmt::skip]
pub(super) static TESTS: &[Test] = &[
    Test::new(row(("HTT-09", "http.keep-alive"), (Should, Core, Application), "RFC 9112 §9.3, §9.6",
        "A connection serves a second request, or the first response says that it ends and it does."),
        |t| Box::pin(keep_alive(t))).needs(Http),
    Test::new(row(("HTT-10", "http.pipelining"), (Must, Extended, Application), "RFC 9112 §9.3.2, §9.6",
        "Requests that come together are answered in their order, as far as the connection lives."),
        |t| Box::pin(pipelining(t))).needs(Http),
    Test::new(row(("HTT-16", "http.concurrent"), (Must, Core, Application), "docs/line.md; robustness",
        "Four clients at once are all served."),
        |t| Box::pin(concurrent(t))).needs(Http),
];

/// Requests without a word on the connection, one behind the other.
fn requests(t: &Trial, paths: &[&str]) -> String {
    let host = host(t);
    paths.iter().map(|path| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")).collect()
}

/// Says how a connection ended, or that it did not.
fn end_of(peer: &Peer) -> &'static str {
    match (&peer.reset, peer.incoming.is_finished()) {
        (_, true) => "the connection was closed",
        (Some(_), false) => "the connection was reset",
        (None, false) => "the connection is still open",
    }
}

async fn keep_alive(t: &mut Trial) -> Flow {
    let mut peer = Opening::to(t.rig.target.ports.http).open(t).await?;
    let request = requests(t, &["/"]);
    peer.send(t, request.as_bytes()).await?;
    let first = Reaction::of(peer.response(t, true).await?, &peer);
    let expected = "a whole response with status 200 to the first request";
    t.should_hold(first.status() == Some(200), expected, first.said());
    let Some(response) = first.response().filter(|response| response.is_complete) else {
        return Ok(());
    };
    let is_declared = t.rig.target.declared.contains(&KeepAlive);
    if response.closes() && !is_declared {
        let is_closed = peer.wait_for_end(t, THINKING).await?;
        let expected = "the connection is closed, as the first response says";
        t.should_hold(is_closed, expected, end_of(&peer));
        t.remark("its connections serve one request each");
        return part(t, peer).await;
    }
    peer.send(t, request.as_bytes()).await?;
    let second = Reaction::of(peer.response(t, true).await?, &peer);
    // What the device is said to have is not left to it.
    let (severity, expected) = match is_declared {
        true => (Must, "a second response: the profile declares 'keep-alive'"),
        false => {
            (Should, "a second response, since the first did not say that the connection ends")
        }
    };
    t.check(severity, second.status() == Some(200), expected, second.said());
    part(t, peer).await
}

async fn pipelining(t: &mut Trial) -> Flow {
    let paths = ["/", NOWHERE, "/"];
    let mut wanted = Vec::new();
    for path in paths {
        wanted.push(t.ask(Request::get(path)).await?.status.unwrap_or_default());
    }
    if wanted[0] == wanted[1] {
        t.remark(format!("{} has the same status as /: their order does not show", paths[1]));
    }
    let mut peer = Opening::to(t.rig.target.ports.http).open(t).await?;
    let all = requests(t, &paths);
    peer.send(t, all.as_bytes()).await?; // in one segment, unless frames are very small
    let (mut got, mut closes, mut torn) = (Vec::new(), false, None);
    while got.len() < paths.len() && !closes && torn.is_none() {
        match peer.response(t, true).await? {
            Reading::Response(response) if response.is_complete => {
                closes = response.closes();
                got.push(response.status);
            }
            Reading::Partial if peer.incoming.stream().len() == peer.taken => break,
            other => torn = Some(Reaction::of(other, &peer).said()),
        }
    }
    if got.len() < paths.len() {
        peer.wait_for_end(t, THINKING).await?;
    }
    t.remark(format!("{} of {} are answered on one connection", got.len(), paths.len()));
    let in_order = torn.is_none() && !got.is_empty() && wanted.starts_with(&got);
    let actual = torn.unwrap_or_else(|| format!("{got:?}"));
    t.must(in_order, format!("whole responses in the order of the requests: {wanted:?}"), actual);
    let has_ended = got.len() == paths.len() || peer.incoming.is_finished() || peer.reset.is_some();
    let expected = "all three are answered, or the connection ends";
    t.must(has_ended, expected, format!("{} are, and it is still open", got.len()));
    let is_clean = got.len() == paths.len() || peer.incoming.is_finished();
    let expected = "a connection that ends early is closed, not reset";
    t.check(Should, is_clean, expected, end_of(&peer));
    part(t, peer).await
}

async fn concurrent(t: &mut Trial) -> Flow {
    let (path, alone) = longest_page(t).await?;
    let exchanges = t.ask_all((0..AT_ONCE).map(|_| Request::get(path))).await?;
    for (n, exchange) in exchanges.iter().enumerate() {
        let what = format!("GET {path} as number {} of {AT_ONCE} at once", n + 1);
        if !is_answered(t, exchange, 200, &what) {
            continue;
        }
        // A page that changes may change in length as well; ours do not.
        let is_same = exchange.sha256 == alone.sha256 || path == "/";
        let actual = format!("{} bytes that differ", exchange.length);
        t.must(is_same, format!("the same body as alone, of {} bytes", alone.length), actual);
    }
    let slowest = exchanges.iter().map(|exchange| exchange.total).max().unwrap_or_default();
    t.remark(format!(
        "{AT_ONCE} at once took {:.3} s, one alone {:.3} s",
        slowest.as_secs_f64(),
        alone.total.as_secs_f64()
    ));
    Ok(())
}
