//! Segments on a connection: what is taken, what is not, and what the sender is told.

use super::super::super::model::Owner::Stack;
use super::super::super::model::Severity::{May, Must};
use super::super::super::model::Tier::{Core, Extended};
use super::super::super::model::{Flow, Test};
use super::super::super::seen::Seen;
use super::super::super::trial::{ANSWER, Trial, said};
use super::super::row;
use crate::proto::tcp;

/// The tests.
#[rustfmt::skip]
pub(super) static TESTS: &[Test] = &[
    Test::script(row(("TCP-22", "tcp.data-acked"), (Must, Core, Stack), "RFC 9293 §3.8.6.3 (MUST-40)",
        "Data is acknowledged within half a second, however little it is."), r#"
send    tcp S  http seq=1000 win=4096 mss=full
expect  tcp SA ack=1001                      as sa
send    tcp A  seq=1001 ack=sa.end
send    tcp PA seq=1001 ack=sa.end data="GET"
expect  tcp A  seq=sa.end ack=1004           within 500ms
"#),
    Test::script(row(("TCP-23", "tcp.out-of-order"), (Must, Core, Stack), "RFC 9293 §3.8 (SHLD-31), §3.10.7.4; RFC 5681 §4.2",
        "A segment that comes too early brings an ACK at once; the stream is whole when what was missing has come."), r#"
send    tcp S  http seq=1000 win=4096 mss=full
expect  tcp SA ack=1001                      as sa
send    tcp A  seq=1001 ack=sa.end
send    tcp PA seq=1007 ack=sa.end data="HTTP/1.0\r\n\r\n"
ping                                                  # what comes at once has come before the reply
should expect tcp A seq=sa.end ack=1001      within 50ms
send    tcp A  seq=1001 ack=sa.end data="GET / "
wait    500ms                                         # an ACK may be late
send    tcp PA seq=1007 ack=sa.end data="HTTP/1.0\r\n\r\n"   # if it was not kept
expect  tcp    seq=sa.end data~"^HTTP/1\.[01] ([1-35]|40[1-9])"   # mixed up, it is a 400
never   tcp    seq!=sa.end data~"^HTTP/1"
should never tcp ack=1007..1018                       # it was kept
never   tcp R
"#),
    Test::script(row(("TCP-24", "tcp.duplicate-segment"), (Must, Core, Stack), "RFC 9293 §3.10.7.4 (first)",
        "A segment that comes again is acknowledged again, and its data counts once."), r#"
send    tcp S  http seq=1000 win=4096 mss=full
expect  tcp SA ack=1001                      as sa
send    tcp A  seq=1001 ack=sa.end
send    tcp PA seq=1001 ack=sa.end data="GET "
expect  tcp A  seq=sa.end ack=1005           within 500ms
wait    300ms
forget                                                # also what told of a window
send    tcp PA seq=1001 ack=sa.end data="GET "
expect  tcp A  seq=sa.end ack=1005           within 500ms
send    tcp PA seq=1005 ack=sa.end data="/ HTTP/1.0\r\n\r\n"
expect  tcp    seq=sa.end data~"^HTTP/1\.[01] ([1-35]|40[1-9])"   # taken twice, it is a 400
never   tcp R
"#),
    Test::script(row(("TCP-25", "tcp.overlap-segment"), (Must, Core, Stack), "RFC 9293 §3.10.7.4 (first, seventh)",
        "Of a segment that begins with old data only what is new is taken."), r#"
send    tcp S  http seq=1000 win=4096 mss=full
expect  tcp SA ack=1001                      as sa
send    tcp A  seq=1001 ack=sa.end
send    tcp PA seq=1001 ack=sa.end data="GET / HT"
expect  tcp A  ack=1009                      within 500ms
send    tcp PA seq=1005 ack=sa.end data="/ HTTP/1.0\r\n\r\n"
expect  tcp    seq=sa.end data~"^HTTP/1\.[01] ([1-35]|40[1-9])"   # taken whole, it is a 400
never   tcp    seq!=sa.end data~"^HTTP/1"
never   tcp R
"#),
    Test::script(row(("TCP-26", "tcp.beyond-window"), (Must, Core, Stack), "RFC 9293 §3.10.7.4 (first)",
        "Data beyond the window is not taken, and its sender is told what is expected."), r#"
send    tcp S  http seq=1000 win=4096 mss=full
expect  tcp SA ack=1001                      as sa
send    tcp A  seq=1001 ack=sa.end
send    tcp PA seq=1001+sa.win+5000 ack=sa.end data="beyond"
expect  tcp A  seq=sa.end ack=1001 len=0     within 500ms
send    tcp PA seq=1001 ack=sa.end data="GET / HTTP/1.0\r\n\r\n"
expect  tcp    seq=sa.end ack=1019 data~"^HTTP/1"
never   tcp R
"#),
    Test::script(row(("TCP-27", "tcp.no-ack-flag"), (Must, Core, Stack), "RFC 9293 §3.10.7.4 (fifth)",
        "A segment without ACK is discarded, its data with it."), r#"
send    tcp S  http seq=1000 win=4096 mss=full
expect  tcp SA ack=1001                      as sa
send    tcp A  seq=1001 ack=sa.end
send    tcp P  seq=1001 data="GET / HTTP/1.0\r\n\r\n"
wait    500ms                                         # an ACK may be late
silent  tcp    ack!=1001
silent  tcp    len>0
send    tcp PA seq=1001 ack=sa.end data="GET / HTTP/1.0\r\n\r\n"
expect  tcp    seq=sa.end data~"^HTTP/1"
"#),
    Test::script(row(("TCP-28", "tcp.ack-of-unsent"), (Must, Core, Stack), "RFC 9293 §3.10.7.4 (fifth); RFC 5961 §5.2",
        "An ACK of what was never sent is answered by an ACK, and the connection lives."), r#"
send    tcp S  http seq=1000 win=4096 mss=full
expect  tcp SA ack=1001                      as sa
send    tcp A  seq=1001 ack=sa.end
send    tcp A  seq=1001 ack=sa.end+100000
expect  tcp A  seq=sa.end ack=1001 len=0     within 500ms
send    tcp PA seq=1001 ack=sa.end data="GET / HTTP/1.0\r\n\r\n"
expect  tcp    seq=sa.end data~"^HTTP/1"
never   tcp R
"#),
    Test::script(row(("TCP-29", "tcp.ack-old"), (May, Extended, Stack), "RFC 9293 §3.10.7.4 (fifth); RFC 5961 §5.2",
        "An ACK of what was acknowledged long ago is ignored or answered, and the connection lives."), r#"
send    tcp S  http seq=1000 win=4096 mss=full
expect  tcp SA ack=1001                      as sa
send    tcp A  seq=1001 ack=sa.end
send    tcp A  seq=1001 ack=sa.end-5000
ping
send    tcp PA seq=1001 ack=sa.end data="GET / HTTP/1.0\r\n\r\n"
expect  tcp    seq=sa.end data~"^HTTP/1"
never   tcp R
"#),
    Test::new(row(("TCP-50", "tcp.one-byte-segments"), (Must, Core, Stack), "RFC 9293 §3.8",
        "A request in segments of one byte is one request."),
        |t| Box::pin(one_byte_segments(t))),
    Test::script(row(("TCP-51", "tcp.keepalive-answered"), (Must, Core, Stack), "RFC 9293 §3.8.4, §3.10.7.4 (first)",
        "A probe whether the connection lives, with a byte or without, is answered by an ACK."), r#"
send    tcp S  http seq=1000 win=4096 mss=full
expect  tcp SA ack=1001                      as sa
send    tcp A  seq=1001 ack=sa.end
send    tcp PA seq=1001 ack=sa.end data="GET"
expect  tcp A  seq=sa.end ack=1004           within 500ms
wait    300ms
forget
send    tcp A  seq=1003 ack=sa.end
expect  tcp A  seq=sa.end ack=1004 len=0     within 500ms
wait    300ms
forget
send    tcp A  seq=1003 ack=sa.end data="x"
expect  tcp A  seq=sa.end ack=1004 len=0     within 500ms
send    tcp PA seq=1004 ack=sa.end data=" / HTTP/1.0\r\n\r\n"
expect  tcp    seq=sa.end data~"^HTTP/1\.[01] ([1-35]|40[1-9])"   # with the byte, it is a 400
never   tcp R
"#),
    Test::script(row(("TCP-52", "tcp.urgent"), (Must, Extended, Stack), "RFC 9293 §3.8.5 (MUST-30, MUST-31)",
        "Urgent data, wherever its pointer shows, does no harm, and the request with it is answered."), r#"
send    tcp S  http seq=1000 win=4096 mss=full
expect  tcp SA ack=1001                      as sa
send    tcp UPA seq=1001 ack=sa.end urg=22 data="GET / HTTP/1.0\r\nX: urgent\r\n\r\n"   # some cut a byte out
expect  tcp    seq=sa.end data~"^HTTP/1"
send    tcp S  http via zero seq=1000 win=4096 mss=full
expect  tcp SA via zero ack=1001             as sb
send    tcp UPA via zero seq=1001 ack=sb.end urg=0 data="GET / HTTP/1.0\r\nX: urgent\r\n\r\n"
expect  tcp    via zero seq=sb.end data~"^HTTP/1"
send    tcp S  http via far seq=1000 win=4096 mss=full
expect  tcp SA via far ack=1001              as sc
send    tcp UPA via far seq=1001 ack=sc.end urg=0xffff data="GET / HTTP/1.0\r\nX: urgent\r\n\r\n"
expect  tcp    via far seq=sc.end data~"^HTTP/1"
"#),
];

/// What the device has acknowledged, as the place behind it in `request`; `first` is its first number.
fn acknowledged(seen: &[Seen], first: u32, request: &[u8]) -> usize {
    let places = seen.iter().filter_map(Seen::tcp).filter(|segment| segment.has(tcp::ACK));
    let places = places.map(|segment| segment.ack.wrapping_sub(first) as usize);
    places.filter(|place| *place <= request.len()).max().unwrap_or_default()
}

/// Sends a request byte by byte, from what is not acknowledged on again where nothing comes.
async fn one_byte_segments(t: &mut Trial) -> Flow {
    const REQUEST: &[u8] = b"GET / HTTP/1.0\r\n\r\n";
    const FIRST: u32 = 1001;
    const TRIES: u32 = 4;
    let port = t.rig.target.ports.http;
    let syn = t.segment(port).tcp(|tcp| {
        (tcp.seq, tcp.flags, tcp.options) = (FIRST - 1, tcp::SYN, vec![2, 4, 5, 0xb4]);
    });
    let is_open = |seen: &Seen| {
        syn.is_answered_by(seen) && seen.tcp().is_some_and(|tcp| tcp.has(tcp::SYN | tcp::ACK))
    };
    t.send(&syn.frame()).await?;
    t.wait_for(ANSWER, is_open).await?;
    let answer = t.take_seen().into_iter().find(is_open);
    t.survives().await?;
    t.must(answer.is_some(), "SYN and ACK for a SYN", "nothing of the kind came");
    let Some(theirs) = answer.as_ref().and_then(Seen::tcp).map(|tcp| tcp.end()) else {
        return Ok(());
    };
    let speaks = |seen: &Seen| {
        syn.is_answered_by(seen)
            && seen.tcp().is_some_and(|tcp| tcp.seq == theirs && !tcp.data.is_empty())
    };
    let mut seen = Vec::new();
    for _ in 0..TRIES {
        for (at, byte) in REQUEST.iter().enumerate().skip(acknowledged(&seen, FIRST, REQUEST)) {
            let segment = t.segment_from(syn.tcp.source, port).data(&[*byte]).tcp(|tcp| {
                (tcp.seq, tcp.ack) = (FIRST + at as u32, theirs);
                tcp.flags = tcp::PSH | tcp::ACK;
            });
            t.send(&segment.frame()).await?;
        }
        if t.wait_for(ANSWER, speaks).await? {
            break;
        }
        seen.extend(t.take_seen().into_iter().filter(|seen| syn.is_answered_by(seen)));
    }
    seen.extend(t.settle().await?.into_iter().filter(|seen| syn.is_answered_by(seen)));
    let response = seen.iter().find(|seen| speaks(seen));
    let came = response.map_or("nothing of the kind came".to_owned(), said);
    let data = response.and_then(Seen::tcp).map(|tcp| tcp.data).unwrap_or_default();
    let is_understood = data.starts_with(b"HTTP/1") && data.get(9..12) != Some(b"400");
    t.must(is_understood, "a status line that is no 400", came);
    let is_second = |seen: &Seen| {
        seen.tcp().is_some_and(|tcp| tcp.seq != theirs && tcp.data.starts_with(b"HTTP/1"))
    };
    t.none(&seen, "one response", is_second);
    Ok(())
}
