//! Between SYN and connection: what a half-open connection does, and SYNs that must not open one.

use std::time::Duration;

use super::super::super::model::Owner::Stack;
use super::super::super::model::Severity::{Must, Should};
use super::super::super::model::Tier::{Core, Extended};
use super::super::super::model::{Flow, Test};
use super::super::super::seen::Seen;
use super::super::super::stimulus::Segment;
use super::super::super::trial::{ANSWER, Trial};
use super::super::row;
use crate::clock::Timestamp;
use crate::proto::tcp;

/// The tests.
#[rustfmt::skip]
pub(super) static TESTS: &[Test] = &[
    Test::script(row(("TCP-14", "tcp.syn-with-data"), (Must, Extended, Stack), "RFC 9293 §3.4, §3.10.7.2",
        "Data on a SYN is kept or passed over, and counts once when it is sent again."), r#"
send    tcp S  http seq=1000 win=4096 mss=full data="GET / HTTP/1.0\r\n"
expect  tcp SA ack=1001..1017                as sa
send    tcp A  seq=sa.ack ack=sa.end
send    tcp PA seq=1001 ack=sa.end data="GET / HTTP/1.0\r\n\r\n"
expect  tcp    seq=sa.end data~"^HTTP/1\.[01] ([1-35]|40[1-9])"   # doubled, it is a 400
never   tcp    seq!=sa.end data~"^HTTP/1"
"#),
    Test::new(row(("TCP-15", "tcp.synack-retransmit"), (Must, Core, Stack), "RFC 6298 §2, §5; RFC 9293 §3.8.1",
        "SYN and ACK that are not acknowledged are sent again, the same, after a second and then ever later."),
        |t| Box::pin(synack_retransmit(t))),
    Test::script(row(("TCP-16", "tcp.syn-duplicate"), (Should, Extended, Stack), "RFC 9293 §3.10.7.4; RFC 5961 §4.2",
        "A SYN that comes twice is answered twice, from the same sequence number, and the connection opens."), r#"
send    tcp S  http seq=1000 win=4096 mss=full
expect  tcp SA ack=1001                      as sa
send    tcp S  seq=1000 win=4096 mss=full
expect  tcp    seq=sa.seq..sa.end ack=1001   within 500ms
send    tcp PA seq=1001 ack=sa.end data="GET / HTTP/1.0\r\n\r\n"
expect  tcp    seq=sa.end data~"^HTTP/1"
never   tcp R
"#),
    Test::script(row(("TCP-17", "tcp.synrcvd-bad-ack"), (Must, Core, Stack), "RFC 9293 §3.10.7.4",
        "An ACK of what was never sent does not open a connection: it is reset, with the number that it asks for."), r#"
send    tcp S  http seq=1000 win=4096 mss=full
expect  tcp SA ack=1001                      as sa
send    tcp A  seq=1001 ack=sa.end+1000               as wrong
expect  tcp R  seq=wrong.ack
send    tcp R  seq=1001                               # the half-open connection may live on
"#),
    Test::script(row(("TCP-18", "tcp.synrcvd-rst"), (Must, Core, Stack), "RFC 9293 §3.10.7.4",
        "A reset ends a half-open connection: an ACK behind it finds none."), r#"
send    tcp S  http seq=1000 win=4096 mss=full
expect  tcp SA ack=1001                      as sa
send    tcp R  seq=1001
send    tcp A  seq=1001 ack=sa.end
expect  tcp R  seq=sa.end
"#),
    Test::script(row(("TCP-19", "tcp.syn-to-group"), (Must, Core, Stack), "RFC 9293 §3.9.2.3 (MUST-57)",
        "A SYN for many is discarded in silence."), "
send    tcp S  http seq=1000 mss=full ip.dst=net.255 eth.dst=broadcast
silent
send    tcp S  http via all seq=1000 mss=full ip.dst=255.255.255.255 eth.dst=broadcast
silent
send    tcp S  http via group seq=1000 mss=full ip.dst=224.0.0.1 eth.dst=01:00:5e:00:00:01
silent
"),
    Test::new(row(("TCP-20", "tcp.land"), (Must, Core, Stack), "CVE-1999-0016; RFC 9293 §3.9.2.3 (MUST-63), by analogy",
        "A SYN that claims to come from the port that it is for does no harm, and brings nothing onto the wire."),
        |t| Box::pin(land(t))),
    Test::new(row(("TCP-21", "tcp.isn-prediction"), (Should, Core, Stack), "RFC 9293 §3.4.1 (SHLD-1); RFC 6528 §3",
        "Initial sequence numbers cannot be told from those before."),
        |t| Box::pin(isn_prediction(t))),
];

/// A SYN for the web server.
fn syn(t: &mut Trial) -> Segment {
    let port = t.rig.target.ports.http;
    t.segment(port).tcp(|tcp| {
        (tcp.seq, tcp.flags, tcp.options) = (1000, tcp::SYN, vec![2, 4, 5, 0xb4]);
    })
}

/// Whether a segment is SYN and ACK for `syn`.
fn answers(syn: &Segment, seen: &Seen) -> bool {
    syn.is_answered_by(seen) && seen.tcp().is_some_and(|tcp| tcp.has(tcp::SYN | tcp::ACK))
}

/// A sequence number of a SYN, and when it came.
fn isn(seen: &Seen) -> (u32, Timestamp) {
    (seen.tcp().map(|tcp| tcp.seq).unwrap_or_default(), seen.time)
}

/// Waits for SYN and ACK for `syn`.
async fn next_answer(t: &mut Trial, syn: &Segment, patience: Duration) -> Flow<Option<Seen>> {
    t.wait_for(patience, |seen| answers(syn, seen)).await?;
    Ok(t.take_seen().into_iter().find(|seen| answers(syn, seen)))
}

async fn synack_retransmit(t: &mut Trial) -> Flow {
    /// More than the 3 s that RFC 6298 leaves, and than the ticks of a coarse clock.
    const FIRST: Duration = Duration::from_secs(8);
    let syn = syn(t);
    t.send(&syn.frame()).await?;
    let first = next_answer(t, &syn, ANSWER).await?;
    t.survives().await?;
    let came = first.is_some();
    t.must(came, "a SYN with ACK for a SYN", "none, while pings before and after were answered");
    let Some(first) = first else { return Ok(()) };
    let (number, mut before) = isn(&first);
    let mut pauses: Vec<Duration> = Vec::new();
    while pauses.len() < 2 {
        let patience = pauses.first().map_or(FIRST, |pause| *pause * 3 + FIRST / 4);
        let Some(again) = next_answer(t, &syn, patience).await? else { break };
        let (seq, now) = isn(&again);
        t.must(seq == number, "the same initial sequence number", format!("{number}, then {seq}"));
        pauses.push(Duration::from_nanos(now.0.saturating_sub(before.0)));
        before = now;
    }
    t.survives().await?;
    let came = format!("{} further ones came", pauses.len());
    t.must(pauses.len() == 2, "SYN and ACK again, and once more, while no ACK comes", came);
    let &[once, twice] = pauses.as_slice() else { return Ok(()) };
    let shown = format!("after {once:.1?} and another {twice:.1?}");
    t.remark(format!("SYN and ACK are sent again {shown}"));
    // Clocks that tick every half second come early or late by that.
    let is_first = (Duration::from_millis(500)..=Duration::from_millis(3600)).contains(&once);
    t.check(Should, is_first, "the first after 1 to 3 s (RFC 6298 §2.1, §5.7)", &shown);
    let backs_off = twice >= once.mul_f64(1.5);
    t.must(backs_off, "twice the time until the next (RFC 6298 §5.5)", &shown);
    Ok(())
}

async fn land(t: &mut Trial) -> Flow {
    let id = t.identity();
    let port = t.rig.target.ports.http;
    let syn = syn(t).ip(|ip| ip.source = id.device_ip).tcp(|tcp| tcp.source = port);
    let seen = t.exchange(&syn.frame()).await?;
    let asks = |seen: &Seen| seen.arp().is_some_and(|arp| arp.tpa == id.device_ip);
    let answers = |seen: &Seen| seen.tcp().is_some_and(|tcp| tcp.destination == port);
    // Who takes the SYN for one from a neighbour has to ask where that is.
    t.none_at(
        Should,
        &seen,
        "nothing comes of a SYN from the device's own address and port",
        |seen| asks(seen) || answers(seen),
    );
    let reset = syn.tcp(|tcp| (tcp.seq, tcp.flags) = (1001, tcp::RST));
    t.send(&reset.frame()).await?;
    t.forget_connection(port, port);
    let other = self::syn(t);
    t.send(&other.frame()).await?;
    let answer = next_answer(t, &other, ANSWER).await?;
    t.survives().await?;
    t.must(answer.is_some(), "the port still listens", "a SYN from the host was not answered");
    Ok(())
}

async fn isn_prediction(t: &mut Trial) -> Flow {
    const HANDSHAKES: usize = 8;
    /// What numbers spread over at least that mean nothing to who guesses.
    const SPREAD: u32 = 1 << 20;
    let mut numbers: Vec<u32> = Vec::new();
    for _ in 0..HANDSHAKES {
        let syn = syn(t);
        t.send(&syn.frame()).await?;
        let Some(answer) = next_answer(t, &syn, ANSWER).await? else { break };
        numbers.push(isn(&answer).0);
        t.close_connections().await?;
        t.survives().await?; // it is gone before the next comes
    }
    t.survives().await?;
    let came = format!("{} were", numbers.len());
    t.must(numbers.len() == HANDSHAKES, "eight SYNs, one after the other, are answered", came);
    let steps: Vec<_> = numbers.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    let shown = format!("the numbers are {numbers:?}");
    let is_constant = steps.windows(2).all(|pair| pair[0] == pair[1]);
    t.check(Should, !is_constant, "numbers that do not grow by the same step", &shown);
    let away = |number: &u32| {
        let ahead = number.wrapping_sub(numbers.first().copied().unwrap_or_default());
        ahead.min(ahead.wrapping_neg())
    };
    let spread = numbers.iter().map(away).max().unwrap_or_default();
    t.check(Should, spread > SPREAD, "numbers that lie further apart than 2^20", &shown);
    Ok(())
}
