//! Before there is a connection: listeners, ports where nobody listens, and what a SYN says and is told.

use super::super::super::model::Owner::Stack;
use super::super::super::model::Severity::{May, Must, Should};
use super::super::super::model::Tier::{Core, Extended, Smoke};
use super::super::super::model::{Flow, Test};
use super::super::super::seen::Seen;
use super::super::super::stimulus::Segment;
use super::super::super::trial::{ANSWER, Trial, is_reaction, said};
use super::super::row;
use crate::proto::{tcp, tcp_options};

/// The tests.
#[rustfmt::skip]
pub(super) static TESTS: &[Test] = &[
    Test::script(row(("TCP-01", "tcp.handshake"), (Must, Smoke, Stack), "RFC 9293 §3.5",
        "A SYN is answered by SYN and ACK of its number, and what follows is a connection that serves."), r#"
send    tcp S  http seq=1000 win=4096 mss=full
expect  tcp SA ack=1001                      as sa
send    tcp A  seq=1001 ack=sa.end
send    tcp PA seq=1001 ack=sa.end data="GET / HTTP/1.0\r\n\r\n"
expect  tcp    seq=sa.end data~"^HTTP/1"
never   tcp R
"#),
    Test::script(row(("TCP-02", "tcp.mss-advertised"), (Must, Smoke, Stack), "RFC 9293 §3.2 (MUST-65), §3.7.1 (SHLD-5, MUST-67)",
        "The largest segment that is taken is named in SYN and ACK, one that fits a packet here, and nowhere else."), r#"
send    tcp S  http seq=1000 win=4096 mss=full
should expect tcp SA ack=1001 mss>0          as sa    # without it, 536 is meant
send    tcp PA seq=1001 ack=sa.end data="GET / HTTP/1.0\r\n\r\n"
expect  tcp    seq=sa.end data~"^HTTP/1"
send    tcp FA seq=1019 ack=sa.end
expect  tcp    ack=1020
should never tcp SA mss>full
never   tcp A  mss>=0
never   tcp F  mss>=0
never   tcp R  mss>=0
"#),
    Test::new(row(("TCP-03", "tcp.options-only-if-offered"), (Must, Core, Stack), "RFC 7323 §2.2, §3.2; RFC 2018 §2, §4",
        "A SYN is answered with no options but those that it offers, and the MSS."),
        |t| Box::pin(options_only_if_offered(t))),
    Test::script(row(("TCP-04", "tcp.closed-port-syn"), (Must, Smoke, Stack), "RFC 9293 §3.10.7.1",
        "A SYN for a port where nobody listens is reset, with an ACK of all that it holds."), r#"
send    tcp S  closed seq=1000 mss=full
expect  tcp RA seq=0 ack=1001
send    tcp S  closed via data seq=1000 data="data"
expect  tcp RA via data seq=0 ack=1005
"#),
    Test::script(row(("TCP-05", "tcp.closed-port-ack"), (Must, Core, Stack), "RFC 9293 §3.10.7.1",
        "An ACK for a port where nobody listens is reset, with the sequence number that it asks for."), r#"
send    tcp A  closed seq=1000 ack=70000
expect  tcp R  seq=70000
send    tcp FPA closed via end seq=1000 ack=80000 data="data"
expect  tcp R  via end seq=80000
"#),
    Test::script(row(("TCP-06", "tcp.closed-port-rst"), (Must, Core, Stack), "RFC 9293 §3.10.7.1",
        "A reset for a port where nobody listens is discarded in silence."), "
send    tcp R  closed seq=1000
silent
send    tcp RA closed via acked seq=1000 ack=70000
silent
"),
    Test::script(row(("TCP-07", "tcp.listen-stray"), (Must, Core, Stack), "RFC 9293 §3.10.7.2",
        "A listener resets what acknowledges something, and discards what is no SYN in silence."), r#"
send    tcp A  http seq=1000 ack=70000
expect  tcp R  seq=70000
send    tcp SA http via syn seq=1000 ack=80000 mss=full
expect  tcp R  via syn seq=80000
send    tcp F  http via fin seq=1000
silent
send    tcp -  http via none seq=1000
silent
send    tcp P  http via data seq=1000 data="data"
silent
send    tcp SR http via both seq=1000
silent
"#),
    Test::new(row(("TCP-08", "tcp.listen-syn-fin"), (May, Extended, Stack), "RFC 9293 §3.10.7.2",
        "A SYN with FIN is taken for a SYN, refused or ignored, and does no harm."),
        |t| Box::pin(listen_syn_fin(t))),
    Test::script(row(("TCP-09", "tcp.checksum-bad"), (Must, Smoke, Stack), "RFC 9293 §3.1 (MUST-3)",
        "A segment whose checksum is wrong is discarded in silence: no connection, no data."), r#"
send    tcp S  http seq=1000 mss=full cksum=bad
silent
send    tcp S  seq=1000 mss=full
expect  tcp SA ack=1001                      as sa
send    tcp A  seq=1001 ack=sa.end
send    tcp PA seq=1001 ack=sa.end data="GET / HTTP/1.0\r\n\r\n" cksum=bad
wait    500ms                                         # an ACK may be late
silent  tcp
send    tcp PA seq=1001 ack=sa.end data="GET / HTTP/1.0\r\n\r\n"
expect  tcp    seq=sa.end data~"^HTTP/1"
"#),
    Test::script(row(("TCP-10", "tcp.option-unknown"), (Must, Core, Stack), "RFC 9293 §3.1 (MUST-6)",
        "An unknown option is passed over, and those behind it count."), r#"
send    tcp S  http seq=1000 win=4096 opt=fd06beef0000 mss=128
expect  tcp SA ack=1001                      as sa
send    tcp PA seq=1001 ack=sa.end opt=fd04beef data="GET / HTTP/1.0\r\n\r\n"
expect  tcp    seq=sa.end data~"^HTTP/1"
never   tcp    len>128
"#),
    Test::script(row(("TCP-11", "tcp.option-illegal-length"), (Must, Core, Stack), "RFC 9293 §3.1 (MUST-7)",
        "An option whose length cannot be, zero or beyond the header, does no harm."), r#"
send    tcp S  http seq=1000 opt=fd00beef0204ffff     # ignored, answered or refused
ping
send    tcp R  seq=1001                               # and gone, if it was answered
send    tcp S  http via long seq=1000 opt=01fd28be
ping
send    tcp R  via long seq=1001
send    tcp S  http via short seq=1000 opt=01010102
ping
send    tcp R  via short seq=1001
send    tcp S  http via mss seq=1000 opt=02020000
ping
send    tcp R  via mss seq=1001
send    tcp S  http via sound seq=1000 mss=full
expect  tcp SA via sound ack=1001            as sa
send    tcp PA via sound seq=1001 ack=sa.end opt=08000101 data="GET"
ping
send    tcp R  via sound seq=1001
send    tcp R  via sound seq=1004
send    tcp S  http via next seq=1000 mss=full
expect  tcp SA via next ack=1001             as last
send    tcp PA via next seq=1001 ack=last.end data="GET / HTTP/1.0\r\n\r\n"
expect  tcp    via next seq=last.end data~"^HTTP/1"
"#),
    Test::script(row(("TCP-12", "tcp.data-offset-bad"), (Must, Core, Stack), "docs/line.md#receivers R5; RFC 9293 §3.1",
        "A segment whose header would be shorter than 20 bytes, or longer than the segment, is discarded in silence."), "
send    tcp S  http seq=1000 off=3
silent
send    tcp S  http via long seq=1000 off=15
silent
"),
    Test::script(row(("TCP-13", "tcp.reserved-and-ecn"), (Must, Extended, Stack), "RFC 9293 §3.1; RFC 3168 §6.1.1",
        "Reserved bits are passed over and sent as zero, and only who speaks ECN answers an offer of it."), r#"
send    tcp S  http seq=1000 res=14 mss=full          # the fourth bit is AccECN's
expect  tcp SA ack=1001 res=0                as sa
send    tcp PA seq=1001 ack=sa.end res=14 data="GET / HTTP/1.0\r\n\r\n"
expect  tcp    seq=sa.end data~"^HTTP/1"
never   tcp    res>0
never   tcp SA flags&0xc0                             # ECN was not offered
send    tcp SEW http via ecn seq=1000 mss=full
expect  tcp SA via ecn ack=1001              as offer
never   tcp SA via ecn flags&0x80                     # a mirror, and no answer
send    tcp PA via ecn seq=1001 ack=offer.end data="GET / HTTP/1.0\r\n\r\n"
expect  tcp    via ecn seq=offer.end data~"^HTTP/1"
"#),
];

/// Kinds of options.
const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;

/// The kinds of the options in a segment, without those that only fill it.
fn kinds(seen: &Seen) -> Vec<u8> {
    let Some(segment) = seen.tcp() else { return Vec::new() };
    let kinds = tcp_options::each(segment.options).filter_map(|(_, option)| option.first());
    kinds.copied().filter(|kind| *kind > 1).collect()
}

/// Opens a connection with these options: the SYN, and the answer to it.
async fn open(t: &mut Trial, options: &[u8]) -> Flow<Option<(Segment, Seen)>> {
    let port = t.rig.target.ports.http;
    let syn = t.segment(port).tcp(|tcp| {
        (tcp.seq, tcp.flags, tcp.options) = (1000, tcp::SYN, options.to_vec());
    });
    t.send(&syn.frame()).await?;
    let is_answer = |seen: &Seen| {
        syn.is_answered_by(seen)
            && seen.tcp().is_some_and(|tcp| tcp.has(tcp::SYN | tcp::ACK) && tcp.ack == 1001)
    };
    t.wait_for(ANSWER, is_answer).await?;
    let found = t.take_seen().into_iter().find(is_answer);
    let came = found.as_ref().map_or("nothing of the kind came".to_owned(), said);
    t.survives().await?;
    t.must(found.is_some(), "a SYN with the right ACK for a SYN", came);
    Ok(found.map(|answer| (syn, answer)))
}

/// Whether no segment has options of these kinds.
fn without(t: &mut Trial, seen: &[Seen], expected: &str, unwanted: impl Fn(u8) -> bool) {
    t.none(seen, expected, |seen| kinds(seen).into_iter().any(&unwanted));
}

async fn options_only_if_offered(t: &mut Trial) -> Flow {
    let Some((syn, answer)) = open(t, &[MSS, 4, 5, 0xb4]).await? else { return Ok(()) };
    let is_extra = |kind: u8| !matches!(kind, MSS | SACK_PERMITTED);
    without(t, std::slice::from_ref(&answer), "no option that was not offered", is_extra);
    let permits = kinds(&answer).contains(&SACK_PERMITTED);
    let expected = "no permission for SACK that was not asked for";
    t.check(Should, !permits, expected, said(&answer));
    // Data with a hole in front of it asks for SACK, where that was agreed on.
    let ack = answer.tcp().map(|tcp| tcp.end()).unwrap_or_default();
    let ahead = syn.tcp(|tcp| {
        (tcp.seq, tcp.ack, tcp.flags, tcp.options) = (1011, ack, tcp::ACK, Vec::new());
    });
    let ahead = ahead.data(b"later");
    t.send(&ahead.frame()).await?;
    let seen = t.settle().await?;
    let came: Vec<_> = seen.into_iter().filter(|seen| ahead.is_answered_by(seen)).collect();
    let is_unagreed = |kind: u8| matches!(kind, WINDOW_SCALE | SACK | TIMESTAMPS);
    without(t, &came, "no SACK, timestamp or scale that was not agreed on", is_unagreed);

    let mut offered = vec![MSS, 4, 5, 0xb4, SACK_PERMITTED, 2, TIMESTAMPS, 10];
    offered.extend([0, 0, 0, 7, 0, 0, 0, 0, 1, WINDOW_SCALE, 3, 2]);
    let Some((_, answer)) = open(t, &offered).await? else { return Ok(()) };
    let is_new = |kind: u8| !matches!(kind, MSS | WINDOW_SCALE | SACK_PERMITTED | TIMESTAMPS);
    without(t, std::slice::from_ref(&answer), "no option that was not offered", is_new);
    let spoken: Vec<_> = kinds(&answer).into_iter().map(name).collect();
    t.remark(format!("it speaks {}", spoken.join(", ")));
    Ok(())
}

/// An option for people.
fn name(kind: u8) -> String {
    match kind {
        MSS => "MSS".to_owned(),
        WINDOW_SCALE => "window scaling".to_owned(),
        SACK_PERMITTED => "SACK".to_owned(),
        TIMESTAMPS => "timestamps".to_owned(),
        other => format!("option {other}"),
    }
}

async fn listen_syn_fin(t: &mut Trial) -> Flow {
    let port = t.rig.target.ports.http;
    let syn = t.segment(port).tcp(|tcp| {
        (tcp.seq, tcp.flags) = (1000, tcp::SYN | tcp::FIN);
    });
    let seen = t.exchange(&syn.frame()).await?;
    let came: Vec<_> = seen.into_iter().filter(|seen| syn.is_answered_by(seen)).collect();
    let is_taken = |seen: &Seen| {
        seen.tcp()
            .is_some_and(|tcp| tcp.has(tcp::SYN | tcp::ACK) && (1001..=1002).contains(&tcp.ack))
    };
    let is_refused = |seen: &Seen| seen.tcp().is_some_and(|tcp| tcp.has(tcp::RST));
    t.remark(match () {
        () if came.iter().any(is_taken) => "it is taken for a SYN",
        () if came.iter().any(is_refused) => "it is refused",
        () => "it is ignored",
    });
    let expected = "SYN and ACK of what was sent, a reset, or nothing";
    t.none(&came, expected, |seen| is_reaction(seen) && !is_taken(seen) && !is_refused(seen));
    Ok(())
}
