//! How connections end, and what is left of them.

use std::time::Duration;

use super::super::super::model::Owner::Stack;
use super::super::super::model::Severity::{May, Must, Should};
use super::super::super::model::Tier::{Core, Extended, Smoke};
use super::super::super::model::{Flow, Halt, Test};
use super::super::super::peer::{Opening, Peer, THINKING};
use super::super::super::seen::{Seen, TcpView};
use super::super::super::trial::{ANSWER, Trial, said};
use super::super::row;
use super::pages::{DELAYED, ROOT, never_reset, web, whole_response};
use crate::proto::tcp;

/// The tests.
#[rustfmt::skip]
pub(super) static TESTS: &[Test] = &[
    Test::new(row(("TCP-43", "tcp.fin-from-peer"), (Must, Core, Stack), "RFC 9293 §3.6, §3.8.6.3",
        "The end of the peer's data is acknowledged within half a second."),
        |t| Box::pin(fin_from_peer(t))),
    Test::new(row(("TCP-44", "tcp.half-close"), (Must, Core, Stack), "RFC 9293 §3.6.1, §3.10.7.4",
        "A request that comes with the end of the peer's data is taken and served before the device ends as well."),
        |t| Box::pin(half_close(t))),
    Test::new(row(("TCP-45", "tcp.graceful-close"), (Must, Smoke, Stack), "RFC 9293 §3.6",
        "An exchange ends by FINs that are acknowledged, with nothing lost and no reset."),
        |t| Box::pin(graceful_close(t))),
    Test::new(row(("TCP-46", "tcp.simultaneous-close"), (Must, Extended, Stack), "RFC 9293 §3.6, §3.10.7.4",
        "A FIN that crosses the device's own is acknowledged."),
        |t| Box::pin(simultaneous_close(t))),
    Test::new(row(("TCP-47", "tcp.time-wait-fin"), (Must, Core, Stack), "RFC 9293 §3.6.1 (MUST-13), §3.10.7.4",
        "Who has closed first stays in TIME-WAIT, and acknowledges a FIN that comes again."),
        |t| Box::pin(time_wait_fin(t))),
    Test::new(row(("TCP-48", "tcp.port-pair-reuse"), (May, Extended, Stack), "RFC 9293 §3.6.1 (MAY-2); RFC 6191",
        "A new connection between the same ports is taken in TIME-WAIT, or after a reset of the old one."),
        |t| Box::pin(port_pair_reuse(t))),
];

/// Our FIN is acknowledged in time.
async fn fin_is_acknowledged(t: &mut Trial, peer: &mut Peer, which: &str) -> Flow {
    let wanted = peer.next;
    peer.wait(t, DELAYED, |peer| peer.their_ack == wanted || peer.reset.is_some()).await?;
    let is_acknowledged = peer.their_ack == wanted;
    let actual = match &peer.reset {
        Some(reset) => said(reset),
        None => format!("{} is acknowledged, not {wanted}", peer.their_ack),
    };
    t.must(is_acknowledged, format!("an ACK of {which} within {DELAYED:?}"), actual);
    Ok(())
}

async fn fin_from_peer(t: &mut Trial) -> Flow {
    let mut peer = web(t).open(t).await?;
    let started = tokio::time::Instant::now();
    peer.finish(t).await?;
    fin_is_acknowledged(t, &mut peer, "a FIN on an idle connection").await?;
    let ends = peer.wait_for_end(t, THINKING).await?;
    let waited = started.elapsed();
    t.remark(match (ends, &peer.reset) {
        (true, _) => format!("its own FIN came within {waited:.1?}"),
        (false, Some(_)) => format!("a reset came within {waited:.1?}"),
        (false, None) => format!("its own FIN did not come within {waited:.1?}"),
    });
    t.survives().await
}

async fn half_close(t: &mut Trial) -> Flow {
    let mut peer = web(t).open(t).await?;
    let host = t.identity().device_ip;
    let mut request = format!("GET {ROOT} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    if request.len() > peer.mss(t) {
        request = format!("GET {ROOT} HTTP/1.0\r\n\r\n"); // it has to be one segment
    }
    peer.finish_with(t, request.as_bytes()).await?;
    fin_is_acknowledged(t, &mut peer, "a request and a FIN in one segment").await?;
    // To go on sending is permitted, and what a web server's application makes of it is its own.
    let expected = "a whole response to a request with a FIN in the same segment";
    whole_response(t, &mut peer, Should, expected).await?;
    let ends = peer.wait_for_end(t, THINKING).await?;
    let has_ended = ends || peer.reset.is_some();
    t.must(has_ended, "the device ends as well when its peer has", "nothing came");
    let came: Vec<_> = peer.reset.iter().cloned().collect();
    t.none_at(Should, &came, "a FIN behind the response, and no reset", |_| true);
    Ok(())
}

/// A page, and the device's FIN if it closes: it was asked to.
async fn exchange(t: &mut Trial, peer: &mut Peer) -> Flow<bool> {
    peer.get(t, ROOT).await?;
    whole_response(t, peer, Must, "a whole response").await?;
    peer.wait_for_end(t, THINKING).await
}

async fn graceful_close(t: &mut Trial) -> Flow {
    let mut peer = web(t).open(t).await?;
    let closes = exchange(t, &mut peer).await?;
    if !closes {
        t.remark("it leaves it to the peer to close, although asked to");
    }
    peer.finish(t).await?;
    fin_is_acknowledged(t, &mut peer, "our FIN").await?;
    let ends = peer.wait_for_end(t, THINKING).await?;
    t.must(ends, "a FIN of the device's own", "none came");
    t.survives().await?;
    peer.poll(t).await?;
    never_reset(t, &peer, "in an exchange that ends in order");
    Ok(())
}

/// Why a test that needs the device to close first cannot be had.
fn never_closes() -> Halt {
    Halt::Skip("needs a web server that closes when it is asked to".to_owned())
}

async fn simultaneous_close(t: &mut Trial) -> Flow {
    let mut peer = web(t).open(t).await?;
    peer.holds_fin = true;
    if !exchange(t, &mut peer).await? {
        return Err(never_closes());
    }
    peer.finish(t).await?;
    fin_is_acknowledged(t, &mut peer, "a FIN that has crossed the device's").await?;
    peer.holds_fin = false;
    peer.acknowledge_all(t).await?;
    t.survives().await?;
    peer.poll(t).await?;
    never_reset(t, &peer, "when both ends close at once");
    Ok(())
}

/// A connection that the device has closed first, up to our FIN and its ACK.
async fn closed_by_device(t: &mut Trial) -> Flow<Peer> {
    let mut peer = web(t).open(t).await?;
    if !exchange(t, &mut peer).await? {
        return Err(never_closes());
    }
    peer.finish(t).await?;
    fin_is_acknowledged(t, &mut peer, "our FIN").await?;
    Ok(peer)
}

async fn time_wait_fin(t: &mut Trial) -> Flow {
    let mut peer = closed_by_device(t).await?;
    t.survives().await?;
    peer.poll(t).await?;
    let before = peer.incoming.arrivals.len();
    let again = peer.segment(t, tcp::FIN).tcp(|tcp| tcp.seq = tcp.seq.wrapping_sub(1));
    t.send(&again.frame()).await?;
    peer.wait(t, DELAYED, |peer| answers(peer, before) > 0 || peer.reset.is_some()).await?;
    let count = answers(&peer, before);
    let actual = peer.reset.as_ref().map_or("nothing came".to_owned(), said);
    t.must(count > 0, format!("an ACK of a FIN that comes again, within {DELAYED:?}"), actual);
    Ok(())
}

/// Segments that acknowledge everything, from number `before` on.
fn answers(peer: &Peer, before: usize) -> usize {
    let new = peer.incoming.arrivals.get(before..).unwrap_or_default();
    new.iter().filter(|arrival| arrival.has(tcp::ACK) && arrival.ack == peer.next).count()
}

async fn port_pair_reuse(t: &mut Trial) -> Flow {
    const PAUSE: Duration = Duration::from_secs(1);
    let old = closed_by_device(t).await?;
    let opening = web(t).from(old.ours).isn(old.next.wrapping_add(100_000));
    let mut said_first = None;
    let mut opened_after = None;
    for attempt in 1..=3 {
        let answer = ask_again(t, &opening).await?;
        said_first = said_first.or(Some(answer.as_ref().map_or("nothing".to_owned(), said)));
        if answer.and_then(|seen| seen.tcp().map(|tcp| tcp.has(tcp::SYN))) == Some(true) {
            opened_after = Some(attempt);
            break;
        }
        t.listen(PAUSE).await?;
    }
    t.remark(match opened_after {
        Some(attempt) => format!("open at SYN number {attempt}"),
        None => "not open after three SYNs".to_owned(),
    });
    let first = said_first.unwrap_or_default();
    let expected = "SYN and ACK, at once or after the reset of the old connection";
    t.should_hold(opened_after.is_some(), expected, format!("the first answer was {first}"));
    t.survives().await?;
    let mut other = web(t).open(t).await?;
    exchange(t, &mut other).await.map(|_| ())
}

/// A SYN between ports that were just used: the answer. What acknowledges something else is answered by
/// a reset, as by any host that wants to connect (RFC 9293 section 3.5).
async fn ask_again(t: &mut Trial, opening: &Opening) -> Flow<Option<Seen>> {
    let syn = opening.syn(t);
    let wanted = syn.tcp.seq.wrapping_add(1);
    t.send(&syn.frame()).await?;
    t.wait_for(ANSWER, |seen| syn.is_answered_by(seen)).await?;
    let came = t.take_segments(syn.tcp.source, syn.tcp.destination);
    let is_open = |tcp: &TcpView<'_>| tcp.has(tcp::SYN | tcp::ACK) && tcp.ack == wanted;
    let answer = came.iter().rev().find(|seen| seen.tcp().is_some_and(|tcp| is_open(&tcp)));
    let answer = answer.or(came.first());
    if let Some(view) = answer.and_then(Seen::tcp).filter(|view| view.ack != wanted) {
        let reset = t.segment_from(syn.tcp.source, syn.tcp.destination);
        let reset = reset.tcp(|tcp| (tcp.seq, tcp.flags) = (view.ack, tcp::RST));
        t.send(&reset.frame()).await?;
    }
    Ok(answer.cloned())
}
