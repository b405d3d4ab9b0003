//! Answers as recorded, others, none, and too many.

use std::net::Ipv4Addr;

use super::pairs::WAITING;
use super::verdict::TOLD;
use super::*;
use crate::proto::samples;

const HOST: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 1);
const DEVICE: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 2);
const ACK: u8 = tcp::ACK;

fn judge() -> Judge {
    Judge::new(Ignored::new(&[], &[]).expect("the table"))
}

/// A segment of the device's to a port of ours.
fn segment(port: u16, flags: u8, seq: u32, data: &[u8]) -> Bytes {
    let mut segment = vec![0, 80];
    segment.extend(port.to_be_bytes());
    segment.extend(seq.to_be_bytes());
    segment.extend([0, 0, 0, 9, 0x50, flags, 16, 0, 0, 0, 0, 0]);
    segment.extend(data);
    let sum = crate::checksum::Sum::pseudo(DEVICE, HOST, 6, segment.len());
    let sum = sum.plus(&segment).finish();
    segment[16..18].copy_from_slice(&sum.to_be_bytes());
    Bytes::from(samples::ethernet(0x0800, &samples::ipv4(6, &segment)))
}

/// A connection that says `data` in pieces and is closed.
fn connection(first: u32, pieces: &[&[u8]]) -> Vec<Bytes> {
    let mut frames = vec![segment(40000, tcp::SYN | ACK, first, b"")];
    let mut seq = first.wrapping_add(1);
    for piece in pieces {
        frames.push(segment(40000, ACK, seq, piece));
        seq = seq.wrapping_add(piece.len() as u32);
    }
    frames.push(segment(40000, ACK | tcp::FIN, seq, b""));
    frames
}

/// What is told of these, with the sum.
fn told(recorded: &[Bytes], heard: &[Bytes]) -> String {
    let mut judge = judge();
    for (n, frame) in recorded.iter().enumerate() {
        judge.recorded(n as u64 + 1, frame);
    }
    heard.iter().for_each(|frame| judge.heard(frame));
    judge.finish();
    let told = format!("{}{}", judge.differences(), judge.sum());
    assert_eq!(judge.is_content(), judge.differences().is_empty(), "{told}");
    // The other way round, nothing else comes out.
    let mut reversed = self::judge();
    heard.iter().for_each(|frame| reversed.heard(frame));
    for (n, frame) in recorded.iter().enumerate() {
        reversed.recorded(n as u64 + 1, frame);
    }
    reversed.finish();
    assert_eq!(format!("{}{}", reversed.differences(), reversed.sum()), told);
    told
}

#[test]
fn segments_numbers_and_dates_are_no_difference() {
    let recorded = connection(5, &[b"HTTP/1.1 200 OK\r\nDate: then\r\n\r\nhello"]);
    let mut heard = connection(
        u32::MAX - 3,
        &[b"HTTP/1.1 200", b" OK\r\nDate: much later\r\n", b"\r\nhe", b"llo"],
    );
    heard.swap(2, 3);
    heard.push(heard[5].clone());
    heard.push(heard[1].clone());
    insta::assert_snapshot!(told(&recorded, &heard), @"answers: 1 connection as recorded, 41 bytes");
}

#[test]
fn another_answer_is_shown_line_by_line() {
    let head = b"HTTP/1.1 200 OK\r\nServer: a\r\n".as_slice();
    let recorded = connection(5, &[head, b"Content-Length: 5\r\n\r\nhello"]);
    let other = connection(7, &[head, b"Content-Length: 7\r\n\r\ngoodbye"]);
    insta::assert_snapshot!(told(&recorded, &other), @r"
    frame 3: TCP 192.168.100.1.40000 > 192.168.100.2.80 differs behind 44 equal bytes
        expected  Content-Length: 5
        actual    Content-Length: 7
    answers: 0 as recorded, 1 different in TCP
    ");
    let less = connection(7, &[head, b"Content-"]);
    insta::assert_snapshot!(told(&recorded, &less), @r"
    frame 3: TCP 192.168.100.1.40000 > 192.168.100.2.80 ends after 36 of 54 bytes
    answers: 0 as recorded, 1 different in TCP
    ");
    let more = connection(7, &[head, b"Content-Length: 5\r\n\r\nhello, world"]);
    insta::assert_snapshot!(told(&recorded, &more), @r"
    frame 3: TCP 192.168.100.1.40000 > 192.168.100.2.80 has 7 bytes more than the 54 recorded ones
    answers: 0 as recorded, 1 different in TCP
    ");
    insta::assert_snapshot!(told(&recorded, &[]), @r"
    frame 1: TCP 192.168.100.1.40000 > 192.168.100.2.80 is not answered today
    answers: 0 as recorded, 1 different in TCP
    ");
    insta::assert_snapshot!(told(&[], &recorded), @r"
    an answer came that was not recorded: TCP 192.168.100.1.40000 > 192.168.100.2.80
    answers: 0 as recorded, 1 not recorded
    ");
    let refused = [segment(40000, tcp::RST | ACK, 0, b"")];
    insta::assert_snapshot!(told(&recorded, &refused), @r"
    frame 1: TCP 192.168.100.1.40000 > 192.168.100.2.80 is refused today
    answers: 0 as recorded, 1 different in TCP
    ");
    let mut reset = recorded.clone();
    reset.pop();
    reset.push(segment(40000, tcp::RST, 50, b""));
    insta::assert_snapshot!(told(&recorded, &reset), @r"
    frame 4: TCP 192.168.100.1.40000 > 192.168.100.2.80 ends in another way
        expected  the end  closed
        actual    the end  reset
    answers: 0 as recorded, 1 different in TCP
    ");
}

#[test]
fn ports_that_are_used_again_have_one_connection_behind_the_other() {
    let recorded = [connection(5, &[b"one"]), connection(900, &[b"two"])].concat();
    let heard = [connection(7, &[b"one"]), connection(800, &[b"two"])].concat();
    insta::assert_snapshot!(told(&recorded, &heard), @"answers: 2 connections as recorded, 6 bytes");
}

#[test]
fn a_segment_with_a_wrong_checksum_is_no_part_of_the_stream() {
    let recorded = connection(5, &[b"one"]);
    let mut heard = connection(7, &[b"one"]);
    let mut broken = heard[1].to_vec();
    if let Some(last) = broken.last_mut() {
        *last = b'X';
    }
    heard.insert(1, broken.into());
    let told = told(&recorded, &heard);
    assert!(told.ends_with("answers: 1 connection as recorded, 3 bytes, 1 not recorded"), "{told}");
}

#[test]
fn answers_to_the_same_question_belong_together() {
    use crate::craft::{EchoRequest, Route};
    let reply = |sequence: u16, ttl: u8| {
        let mac = pnet::util::MacAddr(2, 0, 0, 0, 0, 1);
        let route =
            Route { source_mac: mac, destination_mac: mac, source: DEVICE, destination: HOST };
        let echo =
            EchoRequest { identifier: 7, sequence, ttl, tos: 0, ip_id: sequence, data: b"abc" };
        let mut frame = echo.frame(&route);
        frame[34] = 0;
        let sum = u16::from_be_bytes([frame[36], frame[37]]);
        let (sum, carry) = sum.overflowing_add(0x0800);
        frame[36..38].copy_from_slice(&(sum + u16::from(carry)).to_be_bytes());
        Bytes::from(frame)
    };
    let recorded = [reply(1, 255), reply(2, 255), reply(3, 255)];
    let heard = [reply(3, 255), reply(1, 64), reply(9, 255)];
    insta::assert_snapshot!(told(&recorded, &heard), @r"
    frame 1: the answer differs, ICMP 192.168.100.1 > 192.168.100.2
        expected  ipv4.ttl  255
        actual    ipv4.ttl  64
    frame 2: this answer did not come: IP 192.168.100.2 > 192.168.100.1: ICMP echo reply, id 7, seq 2, length 11
    an answer came that was not recorded: IP 192.168.100.2 > 192.168.100.1: ICMP echo reply, id 7, seq 9, length 11
    answers: 1 as recorded, 1 different, 1 missing, 1 not recorded
    ");
}

#[test]
fn what_comes_of_its_own_accord_is_not_compared() {
    let question = Bytes::from(samples::arp_request());
    let told = [told(&[question.clone(), question.clone()], &[]), told(&[], &[question])];
    insta::assert_snapshot!(told.join("\n"), @r"
    answers: 0 as recorded, 2 not compared (of its own accord)
    answers: 0 as recorded, 1 not compared (of its own accord)
    ");
}

#[test]
fn memory_is_bounded() {
    let mut judge = judge();
    let frame = Bytes::from(samples::datagram());
    for n in 0..WAITING as u64 + 500 {
        judge.recorded(n, &frame);
    }
    judge.finish();
    let told = judge.differences();
    assert!(told.ends_with(&format!("... and {} more\n", WAITING + 500 - TOLD)), "{told}");
    assert_eq!(judge.sum(), format!("answers: 0 as recorded, {} missing", WAITING + 500));
}

#[test]
fn of_many_connections_the_oldest_are_judged_as_they_are() {
    let mut judge = judge();
    let data = vec![b'x'; 4000];
    let open = |port: u16| segment(port, tcp::SYN | ACK, 5, b"");
    let say = |port: u16| segment(port, ACK, 6, &data);
    for port in 0..9_000 {
        judge.recorded(u64::from(port), &open(port));
        judge.recorded(u64::from(port), &say(port));
        assert!(port % 500 > 0 || judge.connections.is_bounded());
    }
    // The newest still finds what comes today, and the oldest is no new connection.
    judge.heard(&open(8_999));
    judge.heard(&say(8_999));
    judge.heard(&say(7));
    judge.finish();
    assert_eq!(
        judge.sum(),
        "answers: 1 connection as recorded, 4000 bytes, 8999 different in TCP, \
         6147 judged before their end (too many connections at a time)"
    );
}

#[test]
fn what_the_capture_has_in_part_is_compared_as_far_as_it_goes() {
    let datagram = Bytes::from(samples::datagram());
    let said = connection(5, &[b"hello, world", b"and more"]);
    let told = |text: &[u8], is_late: bool| {
        let mut judge = judge();
        let heard = |judge: &mut Judge| {
            judge.heard(&datagram);
            connection(9, &[text]).iter().for_each(|frame| judge.heard(frame));
        };
        if is_late {
            heard(&mut judge);
        }
        judge.recorded_in_part(1, &datagram.slice(..44));
        judge.recorded(2, &said[0]);
        judge.recorded_in_part(3, &said[1].slice(..59));
        judge.recorded(4, &said[2]);
        judge.recorded(5, &said[3]);
        if !is_late {
            assert!(judge.is_waiting());
            heard(&mut judge);
        }
        judge.finish();
        format!("{}{}{}", judge.differences(), judge.remarks(), judge.sum())
    };
    let good = told(b"hello, worldand more", false);
    assert_eq!(good, told(b"hello, worldand more", true));
    insta::assert_snapshot!(good, @r"
    frame 1: UDP 192.168.100.1.40000 > 192.168.100.2.7 was compared in part: 3 bytes were not recorded
    frame 2: TCP 192.168.100.1.40000 > 192.168.100.2.80 was compared in part: 7 bytes were not recorded
    answers: 0 as recorded, 1 connection compared in part (7 bytes were not recorded), 1 compared in part
    ");
    for (text, line) in [
        (b"hello, WORLDand mare", "differs behind 10 equal bytes\n    expected  and more\n"),
        (b"hellO, worldand more", "differs behind 4 equal bytes\n    expected  hello\n"),
    ] {
        assert!(told(text, true).contains(line), "{}", told(text, true));
    }
    let mut judge = self::judge();
    judge.recorded_in_part(1, &datagram.slice(..44));
    judge.finish();
    assert!(judge.differences().starts_with("frame 1: this answer did not come: "));
}

#[test]
fn what_the_capture_lacks_may_be_what_comes() {
    let datagram = Bytes::from(samples::datagram());
    let mut judge = judge();
    judge.lacks(2);
    judge.heard(&datagram);
    judge.finish();
    assert!(judge.is_content() && !judge.has_compared());
    let sum = "answers: 0 as recorded, 2 not compared (cut or missing in the capture)";
    assert_eq!(judge.sum(), sum);
    judge.heard(&datagram);
    judge.heard(&datagram);
    judge.finish();
    assert!(!judge.is_content(), "only two were lost");
}

/// A frame of ours in the connection of [`connection`].
fn ours(flags: u8, seq: u32, ack: u32) -> Bytes {
    let mut frame = segment(40000, flags, seq, b"").to_vec();
    let (host, device) = (HOST.octets(), DEVICE.octets());
    frame[26..30].copy_from_slice(&host);
    frame[30..34].copy_from_slice(&device);
    frame[34..38].copy_from_slice(&[0x9c, 0x40, 0, 80]);
    frame[42..46].copy_from_slice(&ack.to_be_bytes());
    frame.into()
}

#[test]
fn a_lost_end_of_the_stream_is_known_by_what_we_have_acknowledged() {
    let (recorded, today) = (connection(5, &[b"one", b"two"]), connection(9, &[b"one", b"two"]));
    let told = |today: &[Bytes], ack: u32| {
        let mut judge = judge();
        recorded[..2].iter().for_each(|frame| judge.recorded(2, frame));
        judge.asked(&ours(ACK, 9, ack));
        today.iter().for_each(|frame| judge.heard(frame));
        judge.finish();
        format!("{}{}", judge.differences(), judge.sum())
    };
    let part = "answers: 0 as recorded, 1 connection compared in part (3 bytes were not recorded)";
    assert_eq!(told(&today[..3], 12), part);
    assert!(told(&today[..2], 12).contains("ends after 3 of 6 bytes"), "{}", told(&today[..2], 12));
    assert!(told(&today[..3], 9).contains("has 3 bytes more than the 3 recorded ones"));
}

#[test]
fn a_port_that_is_used_again_begins_anew_and_a_reset_there_refuses() {
    let mut judge = judge();
    for frame in connection(5, &[b"one"]) {
        judge.recorded(2, &frame);
        judge.heard(&frame);
    }
    judge.asked(&ours(ACK | tcp::FIN, 8, 10));
    let again = connection(900, &[b"two"]);
    judge.asked(&ours(tcp::SYN, 70, 0));
    judge.heard(&segment(40000, tcp::RST | ACK, 0, b""));
    again.iter().for_each(|frame| judge.recorded(9, frame));
    judge.finish();
    insta::assert_snapshot!(format!("{}{}", judge.differences(), judge.sum()), @r"
    frame 9: TCP 192.168.100.1.40000 > 192.168.100.2.80 is refused today
    answers: 1 connection as recorded, 3 bytes, 1 different in TCP
    ");
}
