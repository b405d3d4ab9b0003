use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::proto::{samples, tcp};
use crate::record::{FramingError, Origin, Problem, Recovery, Span};

const SYN: u8 = tcp::SYN;
const ACK: u8 = tcp::ACK;
const RST: u8 = tcp::RST;
const FIN: u8 = tcp::FIN;
const PORT: Option<u16> = Some(50000);

/// A segment between our port 50000 and the device's 80.
fn segment(is_ours: bool, seq: u32, ack: u32, flags: u8, window: u16, length: usize) -> Vec<u8> {
    let (a, b) = ([192, 168, 100, 1], [192, 168, 100, 2]);
    let (from, to) = if is_ours { (a, b) } else { (b, a) };
    let (source, destination) = if is_ours { (50000u16, 80u16) } else { (80, 50000) };
    let mut segment = Vec::new();
    segment.extend(source.to_be_bytes());
    segment.extend(destination.to_be_bytes());
    segment.extend(seq.to_be_bytes());
    segment.extend(ack.to_be_bytes());
    segment.extend([0x50, flags]);
    segment.extend(window.to_be_bytes());
    segment.extend([0; 4]);
    segment.extend(vec![b'x'; length]);
    let sum = crate::checksum::Sum::pseudo(from.into(), to.into(), 6, segment.len());
    let sum = sum.plus(&segment).finish();
    segment[16..18].copy_from_slice(&sum.to_be_bytes());
    samples::ethernet(0x0800, &samples::ipv4_between(from.into(), to.into(), 6, &segment))
}

fn at(ms: u64) -> Timestamp {
    Timestamp(ms * 1_000_000)
}

fn record(ms: u64, direction: Direction, body: Body) -> Record {
    Record { time: Some(Span::at(at(ms))), origin: Origin::new(direction), offset: None, body }
}

/// A request that began at 0, with a limit of a second.
struct Written(Stalls);

impl Written {
    fn new() -> Written {
        let mut stalls = Stalls::new(Duration::from_secs(1));
        stalls.begin(at(0));
        Written(stalls)
    }

    /// A handshake, and a request of 79 bytes that the device has acknowledged, by 4 ms.
    fn asked() -> Written {
        Written::new()
            .ours(1, 999, 0, SYN, 0)
            .device(2, u32::MAX, 1000, SYN | ACK, 500, 0)
            .ours(2, 1000, 0, ACK, 0)
            .ours(3, 1000, 0, ACK, 79)
            .device(4, 0, 1079, ACK, 500, 0)
    }

    fn ours(self, ms: u64, seq: u32, ack: u32, flags: u8, length: usize) -> Written {
        self.frame(ms, true, segment(true, seq, ack, flags, 900, length))
    }

    fn device(self, ms: u64, seq: u32, ack: u32, flags: u8, window: u16, length: usize) -> Written {
        self.frame(ms, false, segment(false, seq, ack, flags, window, length))
    }

    fn frame(self, ms: u64, is_ours: bool, frame: Vec<u8>) -> Written {
        let direction = if is_ours { Direction::ToDevice } else { Direction::FromDevice };
        self.other(ms, direction, Body::Frame(frame.into()))
    }

    fn other(mut self, ms: u64, direction: Direction, body: Body) -> Written {
        self.0.observe(&record(ms, direction, body));
        self
    }

    /// What is said of a request that ends at `ms`.
    fn said(&self, ms: u64) -> String {
        let judgement = self.0.judge(PORT, at(ms));
        let stall = judgement.stall.map_or("no stall".to_owned(), |stall| stall.to_string());
        format!("{stall} ({:?})", judgement.standing)
    }
}

#[test]
fn a_response_that_stops_is_told_by_our_last_acknowledgment() {
    let written = Written::asked()
        .device(5, 0, 1079, ACK, 500, 1460)
        .ours(6, 1079, 1460, ACK, 0)
        .device(7, 1460, 1079, ACK, 500, 1460)
        .ours(8, 1079, 2920, ACK, 0);
    assert_eq!(written.said(1007), "no stall (Open)", "the limit is not reached");
    assert_eq!(written.said(3028), "stalled 3.02 s: device sent nothing after our ACK 2921 (Open)");
    let written = written.device(2500, 2920, 1079, ACK | FIN, 500, 100);
    assert_eq!(
        written.said(2510),
        "stalled 2.49 s: device sent nothing after our ACK 2921 (Ended)"
    );
}

#[test]
fn a_request_that_is_taken_and_not_answered() {
    let written = Written::asked();
    assert_eq!(
        written.said(2004),
        "stalled 2.00 s: device took the request (ACK 80) and sent nothing (Open)"
    );
}

#[test]
fn a_syn_without_an_answer_and_one_that_is_refused() {
    let asked = |n: u64| (0..n).fold(Written::new(), |w, n| w.ours(n * 1000, 999, 0, SYN, 0));
    assert_eq!(asked(3).said(3500), "stalled 3.50 s: no answer to our SYN, sent 3 times (Asked)");
    let refused = asked(1).device(1, 0, 1000, RST | ACK, 0, 0);
    assert_eq!(refused.said(2), "no stall (Refused)");
    let late = asked(2).device(1500, 0, 1000, RST | ACK, 0, 0);
    assert_eq!(late.said(9000), "stalled 1.50 s: no answer to our SYN, sent 2 times (Refused)");
}

#[test]
fn a_segment_that_is_not_acknowledged_is_named() {
    let written = Written::asked()
        .ours(5, 1079, 0, ACK, 1440)
        .ours(6, 2519, 0, ACK, 1000)
        .ours(305, 1079, 0, ACK, 1440)
        .ours(905, 1079, 0, ACK, 1440);
    assert_eq!(
        written.said(2004),
        "stalled 2.00 s: our segment 80:1520 was sent 3 times and not acknowledged (Open)"
    );
    let written = written.device(2100, 0, 2519, ACK, 500, 0);
    assert_eq!(
        written.said(4500),
        "stalled 2.40 s: our segment 1520:2520 was sent once and not acknowledged (Open)"
    );
}

#[test]
fn a_window_that_is_shut_explains_more_than_the_probe_that_finds_it_so() {
    let written = Written::asked()
        .ours(5, 1079, 0, ACK, 500)
        .device(6, 0, 1579, ACK, 0, 0)
        .ours(200, 1579, 0, ACK, 1)
        .device(201, 0, 1579, ACK, 0, 0);
    let shut = "device closed its window (win 0) after its ACK 580";
    assert_eq!(written.said(1206), format!("stalled 1.20 s: {shut} (Open)"));
    let written = written.device(1300, 0, 1579, ACK, 500, 0);
    assert_eq!(written.said(2000), format!("stalled 1.29 s: {shut} (Open)"), "opening is progress");
}

#[test]
fn a_hole_in_the_response_is_named_until_it_is_filled() {
    let written = Written::asked()
        .device(5, 0, 1079, ACK, 500, 1000)
        .ours(6, 1079, 1000, ACK, 0)
        .device(7, 2000, 1079, ACK, 500, 1000)
        .ours(8, 1079, 1000, ACK, 0);
    let missing = "device's bytes 1001:2001 were lost, and not sent again in this time";
    assert_eq!(written.said(1507), format!("stalled 1.50 s: {missing} (Open)"));
    let written = written.device(1607, 1000, 1079, ACK, 500, 1000).ours(1608, 1079, 3000, ACK, 0);
    assert_eq!(written.said(3708), "stalled 2.10 s: device sent nothing after our ACK 3001 (Open)");
}

#[test]
fn our_own_closed_window_and_a_reset() {
    let shut = segment(true, 1079, 1000, ACK, 0, 0);
    let written = Written::asked().device(5, 0, 1079, ACK, 500, 1000).frame(6, true, shut);
    let slow = "our own window was closed: whoever reads the body is slow";
    assert_eq!(written.said(1006), format!("stalled 1.00 s: {slow} (Open)"));
    let written = Written::asked().device(1200, 0, 1079, RST, 0, 0);
    let taken = "device took the request (ACK 80) and sent nothing";
    assert_eq!(written.said(9000), format!("stalled 1.20 s: {taken} (Reset)"));
}

#[test]
fn without_a_connection_the_line_and_arp_tell() {
    assert_eq!(Written::new().said(999), "no stall (Unknown)");
    assert_eq!(Written::new().said(1000), "stalled 1.00 s: nothing was on the line (Unknown)");
    let ask = |w: Written, ms| w.frame(ms, true, samples::arp_request());
    let asked = ask(ask(Written::new(), 1), 501);
    assert_eq!(
        asked.said(1000),
        "stalled 1.00 s: no answer to our ARP request, sent 2 times (Unknown)"
    );
    let then_connected = asked.ours(1500, 999, 0, SYN, 0);
    assert_eq!(
        then_connected.said(1600),
        "stalled 1.50 s: no answer to our ARP request, sent 2 times (Asked)"
    );
    let link = |change| Body::Link(change);
    let lost =
        Written::asked().other(5, Direction::Unknown, link(LinkChange::Lost("closed".to_owned())));
    let said = "stalled 2.00 s: nothing was on the line: it was lost (closed) (Open)";
    assert_eq!(lost.said(2004), said);
    let back = lost.other(6, Direction::Unknown, link(LinkChange::Connected(String::new())));
    assert!(back.said(2004).contains("device took the request"), "{}", back.said(2004));
}

#[test]
fn errors_of_the_line_are_told_beside_the_reason_and_bad_frames_move_nothing() {
    let error = FramingError {
        problem: Problem::ZeroLength,
        bytes: Bytes::from_static(&[0, 0]),
        recovery: Recovery::Sure,
    };
    let written = Written::asked().other(5, Direction::FromDevice, Body::FramingError(error));
    assert!(written.said(1500).contains("sent nothing; 1 framing error ("));
    let mut bad = segment(false, 0, 1079, ACK, 500, 1000);
    bad[60] ^= 1;
    let written = (1..3).fold(written, |written, n| written.frame(n * 500, false, bad.clone()));
    let said = written.said(1500);
    assert!(said.contains("1.50 s") && said.contains("; 2 frames with a bad checksum"), "{said}");
}

#[test]
fn another_request_on_the_same_connection_begins_anew() {
    let mut written =
        Written::asked().device(5, 0, 1079, ACK | FIN, 500, 100).ours(5, 1079, 101, ACK, 0);
    written.0.begin(at(60_000));
    assert_eq!(written.said(60_999), "no stall (Ended)", "time between requests is no stall");
    let written = written.ours(60_001, 77, 0, SYN, 0);
    assert_eq!(written.said(60_100), "no stall (Asked)", "the port is used again");
}

#[test]
fn the_last_packets_are_shown_with_their_times() {
    let judgement = Written::asked().0.judge(PORT, at(10));
    insta::assert_snapshot!(judgement.packets.join("\n"), @r#"
    0.001000 -> IP 192.168.100.1.50000 > 192.168.100.2.80: Flags [S], seq 999, win 900, length 0
    0.002000 <- IP 192.168.100.2.80 > 192.168.100.1.50000: Flags [S.], seq 4294967295, ack 1000, win 500, length 0
    0.002000 -> IP 192.168.100.1.50000 > 192.168.100.2.80: Flags [.], ack 1, win 900, length 0
    0.003000 -> IP 192.168.100.1.50000 > 192.168.100.2.80: Flags [.], seq 1:80, ack 1, win 900, length 79
    0.004000 <- IP 192.168.100.2.80 > 192.168.100.1.50000: Flags [.], ack 80, win 500, length 0
    "#);
}

#[test]
fn memory_is_bounded_and_the_youngest_are_kept() {
    let mut stalls = Stalls::new(Duration::from_secs(1));
    for n in 0..3 * MEMORY as u16 {
        let mut frame = segment(true, 5, 0, SYN, 900, 0);
        frame[34..36].copy_from_slice(&(n + 1).to_be_bytes());
        stalls.observe(&record(n.into(), Direction::ToDevice, Body::Frame(frame.into())));
    }
    assert_eq!(stalls.connections.len(), MEMORY);
    assert!(stalls.find(Some(3 * MEMORY as u16)).is_some() && stalls.find(Some(1)).is_none());
}

proptest! {
    #[test]
    fn no_segments_make_it_panic(
        segments in proptest::collection::vec(
            (any::<bool>(), any::<u32>(), any::<u32>(), any::<u8>(), any::<u16>(), 0usize..40, 0u64..3000),
            0..60,
        )
    ) {
        let mut now = 0;
        let mut written = Written::new();
        for (is_ours, seq, ack, flags, window, length, pause) in segments {
            now += pause;
            written = written.frame(now, is_ours, segment(is_ours, seq, ack, flags, window, length));
            written.said(now + 5000);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(frame in proptest::collection::vec(any::<u8>(), 0..100)) {
        Written::asked().frame(9, false, frame.clone()).frame(10, true, frame).said(5000);
    }
}
