//! The judge's own TCP, in virtual time, against the built-in device.

mod support;

use std::time::Duration;

use support::judge::{plan, run};
use uarttool::conformance::model::{About, Flow, Owner, Severity, Test, Tier};
use uarttool::conformance::peer::response::{Framing, Reading, Response};
use uarttool::conformance::peer::{Attempt, Opening, Peer, THINKING};
use uarttool::conformance::trial::Trial;
use uarttool::proto::tcp;

const ECHO: u16 = 7;
const WEB: u16 = 80;

const fn test(run: uarttool::conformance::model::Run) -> Test {
    let about = About {
        id: "TST-01",
        name: "test.peer",
        severity: Severity::Must,
        tier: Tier::Core,
        owner: Owner::Stack,
        reference: "tests/peer.rs",
        requirement: "It is as it is.",
    };
    Test::new(about, run)
}

/// Runs it on a good device, where every assertion holds.
fn passes_on(endpoint: &str, test: &'static Test) {
    let summary = run(endpoint, &plan(vec![test]));
    let outcome = &summary.finished[0].outcome;
    assert_eq!(outcome.summary(), "", "{outcome:?}");
    let broken: Vec<_> =
        summary.finished.iter().filter(|finished| !finished.outcome.failures.is_empty()).collect();
    assert!(broken.is_empty(), "{broken:?}");
}

fn response(reading: Reading) -> Response {
    match reading {
        Reading::Response(response) => response,
        other => panic!("{other:?}"),
    }
}

static SIDE_BY_SIDE: Test = test(|t| Box::pin(side_by_side(t)));

async fn side_by_side(t: &mut Trial) -> Flow {
    let mut one = Opening::to(WEB).mss(Some(100)).open(t).await?;
    let mut other = Opening::to(WEB).open(t).await?;
    one.get(t, "/blob/3000").await?;
    other.get(t, "/").await?;
    let page = response(other.response(t, true).await?);
    assert!(t.ping().await?);
    let blob = response(one.response(t, true).await?);
    assert_eq!((page.status, blob.status, blob.body.len()), (200, 200, 3000));
    assert!(page.is_complete && blob.is_complete);
    assert_eq!(blob.framing, Framing::Length(3000));
    assert!(one.incoming.arrivals.iter().all(|arrival| arrival.length <= 100));
    assert!(one.wait_for_end(t, THINKING).await?);
    one.finish(t).await?;
    assert!(one.is_acknowledged(t).await?);
    Ok(())
}

#[test]
fn two_connections_do_not_take_each_others_segments() {
    passes_on("sim", &SIDE_BY_SIDE);
}

static IN_TURN: Test = test(|t| Box::pin(in_turn(t)));

async fn in_turn(t: &mut Trial) -> Flow {
    let mut peer = Opening::to(WEB).open(t).await?;
    let request = |method: &str, path: &str| format!("{method} {path} HTTP/1.1\r\nHost: d\r\n\r\n");
    peer.send(t, request("HEAD", "/blob/10").as_bytes()).await?;
    let head = response(peer.response(t, false).await?);
    assert_eq!((head.header("Content-Length"), head.body.len()), (Some("10"), 0));
    let both = [request("GET", "/blob/10"), request("GET", "/nope")].concat();
    peer.send(t, both.as_bytes()).await?;
    let first = response(peer.response(t, true).await?);
    let second = response(peer.response(t, true).await?);
    assert_eq!((first.body.len(), second.status, second.closes()), (10, 404, false));
    Ok(())
}

#[test]
fn responses_on_one_connection_are_read_one_after_the_other() {
    passes_on("sim", &IN_TURN);
}

static WRITTEN: Test = test(|t| Box::pin(written(t)));

async fn written(t: &mut Trial) -> Flow {
    let text: Vec<u8> = (0..60_000u32).map(|n| (n / 7) as u8).collect();
    let mut peer = Opening::to(ECHO).open(t).await?;
    peer.their_window = 60_000; // far more than it has: most of it is lost at first
    assert!(peer.write(t, &text).await?);
    let has_all = |peer: &Peer| peer.incoming.stream().len() >= text.len();
    assert!(peer.wait(t, THINKING, has_all).await?);
    assert!(peer.incoming.stream() == text);
    Ok(())
}

#[test]
fn data_is_written_within_the_window_and_again_where_it_is_lost() {
    passes_on("sim", &WRITTEN);
    passes_on("sim,fault=loses-frames", &WRITTEN);
}

static BY_HAND: Test = test(|t| Box::pin(by_hand(t)));

async fn by_hand(t: &mut Trial) -> Flow {
    let mut peer = Opening::to(ECHO).mute().open(t).await?;
    peer.send_ahead(t, 3, b"def").await?;
    peer.listen(t, Duration::from_millis(50)).await?;
    assert_eq!(peer.incoming.stream(), b"");
    peer.send_piece(t, b"abc").await?;
    peer.skip(3);
    assert!(peer.is_acknowledged(t).await?);
    peer.wait(t, THINKING, |peer| peer.incoming.stream() == b"abcdef").await?;
    let again = |peer: &Peer| peer.incoming.arrivals.iter().any(|arrival| arrival.is_again());
    assert!(peer.wait(t, THINKING, again).await?, "nothing was acknowledged");
    let segment = peer.segment(t, tcp::FIN);
    assert_eq!((segment.tcp.seq, segment.tcp.ack), (peer.next, peer.acknowledged));
    peer.abort(t).await?;
    let mut gone = Opening::to(81).once();
    assert!(matches!(gone.attempt(t).await?, Attempt::Refused(_)));
    gone = gone.from(peer.ours).isn(7);
    assert_eq!((gone.syn(t).tcp.source, gone.syn(t).tcp.seq), (peer.ours, 7));
    Ok(())
}

#[test]
fn segments_go_out_of_order_and_unacknowledged_ones_come_again() {
    passes_on("sim", &BY_HAND);
}
