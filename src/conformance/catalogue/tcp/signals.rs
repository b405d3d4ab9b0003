//! What the network says of a connection, and sequence numbers that wrap.

use super::super::super::model::Owner::Stack;
use super::super::super::model::Severity::{Must, Should};
use super::super::super::model::Tier::{Core, Extended};
use super::super::super::model::{Flow, Severity, Test};
use super::super::super::peer::{Peer, THINKING};
use super::super::super::seen::Seen;
use super::super::super::stimulus::icmp_frame;
use super::super::super::trial::Trial;
use super::super::row;
use super::pages::{ROOT, describe, long_page, longest, web, whole_response};
use crate::proto::icmp;

/// The tests.
#[rustfmt::skip]
pub(super) static TESTS: &[Test] = &[
    Test::new(row(("TCP-35", "tcp.icmp-vs-connection"), (Must, Core, Stack), "RFC 9293 §3.9.2.2 (MUST-55, MUST-56); RFC 6633 §5",
        "Errors that may pass, and a source quench, do not end a connection."),
        |t| Box::pin(icmp_vs_connection(t))),
    Test::new(row(("TCP-36", "tcp.frag-needed"), (Should, Extended, Stack), "RFC 1191 §6; RFC 9293 §3.9.2.2",
        "A path that needs smaller packets does not end a connection."),
        |t| Box::pin(frag_needed(t))).last(),
    Test::new(row(("TCP-49", "tcp.sequence-wrap"), (Must, Core, Stack), "RFC 9293 §3.4",
        "Sequence numbers go on with 0 behind the largest."),
        |t| Box::pin(sequence_wrap(t))),
];

/// An ICMP message for a packet of the device: type, code, the four bytes behind the checksum.
type Message = (u8, u8, [u8; 4]);

/// A window that no response fits into.
const SMALL: u16 = 64;
/// One that takes a segment of any size.
const LARGE: u16 = 1460;
const QUENCH: u8 = 4;
const TIME_EXCEEDED: u8 = 11;
const PARAMETER_PROBLEM: u8 = 12;

/// Sends a message that quotes `frame`, which came from the device.
async fn complain(t: &mut Trial, (kind, code, rest): Message, frame: &Seen) -> Flow {
    let quoted = frame.bytes.get(14..14 + 28).unwrap_or_default().to_vec();
    let (eth, ip) = (t.eth(0x0800), t.ip(1));
    t.send(&icmp_frame(eth, &ip, kind, code, rest, &quoted)).await
}

/// A connection on which a window full of data is under way and more is to come, and a frame that carries it.
async fn with_data_under_way(t: &mut Trial, window: u16, page: &str) -> Flow<(Peer, Option<Seen>)> {
    let mut peer = web(t).mss(Some(window)).window(window).mute().open(t).await?;
    peer.get(t, page).await?;
    let carried = |peer: &Peer| {
        peer.incoming.arrivals.iter().find(|arrival| arrival.length > 0).map(|a| a.frame.clone())
    };
    peer.wait(t, THINKING, |peer| carried(peer).is_some()).await?;
    let frame = carried(&peer);
    t.must(frame.is_some(), "the beginning of a response", "nothing came");
    Ok((peer, frame))
}

/// Acknowledges what has come, and has room for the rest.
async fn open_up(t: &mut Trial, peer: &mut Peer) -> Flow {
    peer.poll(t).await?;
    (peer.acknowledges, peer.window) = (true, 4096);
    peer.acknowledge_all(t).await
}

/// The rest of the response comes all the same.
async fn goes_on(t: &mut Trial, mut peer: Peer, severity: Severity, expected: &str) -> Flow<Peer> {
    open_up(t, &mut peer).await?;
    whole_response(t, &mut peer, severity, expected).await?;
    peer.abort(t).await?;
    Ok(peer)
}

async fn icmp_vs_connection(t: &mut Trial) -> Flow {
    const SOFT: [(Message, &str); 7] = [
        ((icmp::UNREACHABLE, 0, [0; 4]), "network unreachable"),
        ((icmp::UNREACHABLE, 1, [0; 4]), "host unreachable"),
        ((icmp::UNREACHABLE, 5, [0; 4]), "source route failed"),
        ((QUENCH, 0, [0; 4]), "source quench"),
        ((PARAMETER_PROBLEM, 0, [0; 4]), "parameter problem"),
        ((TIME_EXCEEDED, 0, [0; 4]), "time to live exceeded"),
        ((TIME_EXCEEDED, 1, [0; 4]), "fragment reassembly time exceeded"),
    ];
    const HARD: [(Message, &str); 2] = [
        ((icmp::UNREACHABLE, 2, [0; 4]), "protocol unreachable"),
        ((icmp::UNREACHABLE, 3, [0; 4]), "port unreachable"),
    ];
    for (message, name) in SOFT {
        let (peer, frame) = with_data_under_way(t, SMALL, ROOT).await?;
        let Some(frame) = frame else { continue };
        complain(t, message, &frame).await?;
        t.survives().await?;
        goes_on(t, peer, Must, &format!("a whole response after '{name}'")).await?;
    }
    for (message, name) in HARD {
        let (mut peer, frame) = with_data_under_way(t, SMALL, ROOT).await?;
        let Some(frame) = frame else { continue };
        complain(t, message, &frame).await?;
        t.survives().await?;
        open_up(t, &mut peer).await?;
        let reading = peer.response(t, true).await?;
        t.remark(format!("after '{name}': {}", describe(&reading, &peer)));
        peer.abort(t).await?;
    }
    Ok(())
}

async fn frag_needed(t: &mut Trial) -> Flow {
    const MTU: [u8; 4] = [0, 0, 2, 64]; // 576
    let page = long_page(t).await?;
    let (peer, frame) = with_data_under_way(t, LARGE, page).await?;
    let Some(frame) = frame else { return Ok(()) };
    complain(t, (icmp::UNREACHABLE, 4, MTU), &frame).await?;
    t.survives().await?;
    let before = peer.incoming.arrivals.len();
    let peer = goes_on(t, peer, Should, "a whole response after 'fragmentation needed'").await?;
    let later = peer.incoming.arrivals.iter().skip(before).map(|arrival| arrival.length);
    let (later, ever) = (later.max().unwrap_or(0), longest(&peer));
    t.remark(format!("segments of up to {ever} bytes, and of up to {later} after it"));
    Ok(())
}

async fn sequence_wrap(t: &mut Trial) -> Flow {
    for isn in [0xffff_fff0, 0xffff_ffff, 0x7fff_fff0] {
        let mut peer = web(t).isn(isn).open(t).await?;
        peer.get(t, ROOT).await?;
        let expected = format!("a whole response on a connection that began at {isn:#x}");
        whole_response(t, &mut peer, Must, &expected).await?;
        let acknowledged = peer.their_ack;
        let actual = format!("{acknowledged:#x} is acknowledged");
        let expected = format!("an ACK of {:#x}, where the request ends", peer.next);
        t.must(acknowledged == peer.next, expected, actual);
    }
    Ok(())
}
