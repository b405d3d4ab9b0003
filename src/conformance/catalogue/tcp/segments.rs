//! Segments on a connection: what is taken, what is not, and what the sender is told.

use super::super::super::model::Owner::Stack;
use super::super::super::model::Severity::Must;
use super::super::super::model::Test;
use super::super::super::model::Tier::{Core, Smoke};
use super::super::row;

/// The tests.
#[rustfmt::skip]
pub(super) static TESTS: &[Test] = &[
    Test::script(row(("TCP-30", "tcp.rst-exact"), (Must, Smoke, Stack), "RFC 9293 §3.5.3, §3.10.7.4",
        "A reset with the sequence number that is expected next closes the connection."), "
send    tcp S  http seq=1000 mss=1460
expect  tcp SA ack=1001                      as sa
send    tcp A  seq=1001 ack=sa.end
send    tcp R  seq=1001
send    tcp A  seq=1001 ack=sa.end
expect  tcp R  seq=sa.end
"),
    Test::script(row(("TCP-31", "tcp.rst-in-window"), (Must, Core, Stack), "RFC 5961 §3.2; RFC 9293 §3.5.3",
        "A reset elsewhere in the window is answered by an ACK, and the connection lives."), r#"
send    tcp S  http seq=1000 win=4096 mss=1460
expect  tcp SA ack=1001                      as sa
send    tcp A  seq=1001 ack=sa.end
send    tcp R  seq=1101
expect  tcp A  seq=sa.end ack=1001 len=0     within 500ms
send    tcp PA seq=1001 ack=sa.end data="GET / HTTP/1.0\r\n\r\n"
expect  tcp    len>0
never   tcp R
"#),
];
