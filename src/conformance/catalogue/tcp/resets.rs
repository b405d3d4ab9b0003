//! Segments that might end a connection: which do, and which must not.

use super::super::super::model::Owner::Stack;
use super::super::super::model::Severity::{Must, Should};
use super::super::super::model::Test;
use super::super::super::model::Tier::{Core, Extended, Smoke};
use super::super::row;

/// The tests.
#[rustfmt::skip]
pub(super) static TESTS: &[Test] = &[
    Test::script(row(("TCP-30", "tcp.rst-exact"), (Must, Smoke, Stack), "RFC 9293 §3.5.3, §3.10.7.4",
        "A reset with the sequence number that is expected next closes the connection."), "
send    tcp S  http seq=1000 mss=full
expect  tcp SA ack=1001                      as sa
send    tcp A  seq=1001 ack=sa.end
send    tcp R  seq=1001
send    tcp A  seq=1001 ack=sa.end
expect  tcp R  seq=sa.end
"),
    Test::script(row(("TCP-31", "tcp.rst-in-window"), (Should, Core, Stack), "RFC 5961 §3.2; RFC 9293 §3.10.7.4 (second)",
        "A reset elsewhere in the window is answered by an ACK, and the connection lives."), r#"
send    tcp S  http seq=1000 win=4096 mss=full
expect  tcp SA ack=1001                      as sa
send    tcp A  seq=1001 ack=sa.end
send    tcp R  seq=1101
expect  tcp A  seq=sa.end ack=1001 len=0     within 500ms
send    tcp PA seq=1001 ack=sa.end data="GET / HTTP/1.0\r\n\r\n"
expect  tcp    seq=sa.end data~"^HTTP/1"
never   tcp R
"#),
    Test::script(row(("TCP-32", "tcp.rst-outside"), (Must, Core, Stack), "RFC 9293 §3.5.3, §3.10.7.4 (second); RFC 5961 §3.2",
        "A reset outside the window is discarded in silence, and the connection lives."), r#"
send    tcp S  http seq=1000 win=4096 mss=full
expect  tcp SA ack=1001                      as sa
send    tcp A  seq=1001 ack=sa.end
send    tcp R  seq=201001
silent  tcp
send    tcp R  seq=1000                               # just before it
silent  tcp
send    tcp PA seq=1001 ack=sa.end data="GET / HTTP/1.0\r\n\r\n"
expect  tcp    seq=sa.end data~"^HTTP/1"
never   tcp R
"#),
    Test::script(row(("TCP-33", "tcp.syn-in-established"), (Must, Core, Stack), "RFC 9293 §3.10.7.4 (fourth); RFC 5961 §4.2",
        "A SYN on a connection is answered by an ACK of what is expected, and the connection lives."), r#"
send    tcp S  http seq=1000 win=4096 mss=full
expect  tcp SA ack=1001                      as sa
send    tcp A  seq=1001 ack=sa.end
send    tcp S  seq=901 mss=full                       # outside the window
expect  tcp A  seq=sa.end ack=1001 len=0     within 500ms
send    tcp PA seq=1001 ack=sa.end data="GET / HTTP/1.0\r\n\r\n"
expect  tcp    seq=sa.end data~"^HTTP/1"
never   tcp R
send    tcp S  http via in seq=1000 win=4096 mss=full
expect  tcp SA via in ack=1001               as sb
send    tcp A  via in seq=1001 ack=sb.end
send    tcp S  via in seq=1001 mss=full               # inside: RFC 793 resets, RFC 5961 does not
should expect tcp A via in seq=sb.end ack=1001 len=0 within 500ms
send    tcp PA via in seq=1001 ack=sb.end data="GET / HTTP/1.0\r\n\r\n"
should expect tcp via in seq=sb.end data~"^HTTP/1"
should never tcp R via in
"#),
    Test::script(row(("TCP-34", "tcp.flags-nonsense"), (Must, Extended, Stack), "RFC 9293 §3.10.7.4 (first, second)",
        "A segment with every flag set, outside the window, does not end a connection."), r#"
send    tcp S  http seq=1000 win=4096 mss=full
expect  tcp SA ack=1001                      as sa
send    tcp A  seq=1001 ack=sa.end
send    tcp FSRPAU seq=201001 ack=sa.end urg=1 data="x"
ping
send    tcp FSPAU seq=201001 ack=sa.end urg=1 data="x"
ping
send    tcp PA seq=1001 ack=sa.end data="GET / HTTP/1.0\r\n\r\n"
expect  tcp    seq=sa.end data~"^HTTP/1"
never   tcp R
"#),
];
