//! A recorded connection against devices that begin elsewhere, are slow, refuse, or open it themselves.

mod fresh;
mod leaving;

use std::net::Ipv4Addr;

use bytes::Bytes;

use super::*;
use crate::proto::{NoteKind, be16, be32};

const US: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 168, 100, 1), 40000);
const THEM: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 168, 100, 2), 80);
const ACK: u8 = tcp::ACK;
const SYN: u8 = tcp::SYN;

type Address = (Ipv4Addr, u16);

fn frame(
    (from, to): (Address, Address),
    flags: u8,
    seq: u32,
    ack: u32,
    rest: (&[u8], &[u8]),
) -> Bytes {
    let (options, data) = rest;
    let mut segment = Vec::new();
    segment.extend(from.1.to_be_bytes());
    segment.extend(to.1.to_be_bytes());
    segment.extend(seq.to_be_bytes());
    segment.extend(ack.to_be_bytes());
    segment.extend([(5 + options.len() as u8 / 4) << 4, flags, 16, 0, 0, 0, 0, 0]);
    segment.extend(options);
    segment.extend(data);
    let sum = crate::checksum::Sum::pseudo(from.0, to.0, 6, segment.len()).plus(&segment).finish();
    segment[16..18].copy_from_slice(&sum.to_be_bytes());
    let packet = crate::proto::samples::ipv4_between(from.0, to.0, 6, &segment);
    Bytes::from(crate::proto::samples::ethernet(0x0800, &packet))
}

fn ours(flags: u8, seq: u32, ack: u32, data: &[u8]) -> Bytes {
    frame((US, THEM), flags, seq, ack, (&[], data))
}

fn theirs(port: u16, flags: u8, seq: u32, ack: u32, data: &[u8]) -> Bytes {
    frame((THEM, (US.0, port)), flags, seq, ack, (&[], data))
}

/// Sequence number, acknowledgment, source and destination port; every checksum is right.
fn numbers(frame: &[u8]) -> (u32, u32, u16, u16) {
    let mut dissector = Dissector::default();
    let stack = dissector.dissect(frame);
    let is_sum = |note: &&crate::proto::Note| matches!(note.kind, NoteKind::Checksum { .. });
    assert_eq!(stack.notes.iter().find(is_sum), None);
    let header = stack.header(stack.find(&tcp::TCP).expect("a segment"));
    let word = |at| be32(header, at).expect("it is there");
    let port = |at| be16(header, at).expect("it is there");
    (word(4), word(8), port(0), port(2))
}

/// Our SYN and the recorded answer to it, which has 5000.
fn opened(first_port: Option<u16>) -> Session {
    let mut session = Session::new(first_port);
    let syn = ours(SYN, 100, 0, b"");
    assert_eq!(session.need(&syn), None);
    session.translate(&syn);
    session.recorded(&theirs(US.1, SYN | ACK, 5000, 101, b""));
    session
}

#[test]
fn acknowledgments_wait_for_what_they_acknowledge_and_speak_of_todays_numbers() {
    let mut session = opened(None);
    let third = ours(ACK, 101, 5001, b"GET");
    let need = session.need(&third).expect("the answer to the SYN");
    assert!(!session.is_met(&need));
    session.heard(&theirs(US.1, SYN | ACK, u32::MAX - 2, 101, b""));
    assert!(session.is_met(&need));
    assert_eq!(numbers(&session.translate(&third)), (101, u32::MAX - 1, 40000, 80));

    session.recorded(&theirs(US.1, ACK, 5001, 104, b"hello"));
    session.recorded(&theirs(US.1, ACK | tcp::FIN, 5006, 104, b""));
    let last = ours(ACK, 104, 5007, b"");
    let need = session.need(&last).expect("all of the answer");
    // The answer comes in other pieces and in another order.
    session.heard(&theirs(US.1, ACK, 1, 104, b"lo"));
    assert!(!session.is_met(&need) && session.is_waiting());
    session.heard(&theirs(US.1, ACK, u32::MAX - 1, 104, b"hel"));
    assert!(!session.is_met(&need));
    session.heard(&theirs(US.1, ACK | tcp::FIN, 3, 104, b""));
    assert!(session.is_met(&need) && !session.is_waiting());
    assert_eq!(numbers(&session.translate(&last)), (104, 4, 40000, 80));
}

#[test]
fn what_has_not_come_is_not_acknowledged_and_what_came_on_top_is() {
    let mut session = opened(None);
    session.heard(&theirs(US.1, SYN | ACK, 0, 101, b""));
    session.recorded(&theirs(US.1, ACK, 5001, 104, b"hello"));
    let last = ours(ACK, 104, 5006, b"");
    session.heard(&theirs(US.1, ACK, 1, 104, b"he"));
    let need = session.need(&last).expect("three more bytes");
    session.give_up(&need);
    assert!(session.is_met(&need) && session.need(&last).is_none());
    assert_eq!(numbers(&session.translate(&last)).1, 3);
    let earlier = ours(ACK, 104, 5005, b"");
    assert_eq!(numbers(&session.translate(&earlier)).1, 3, "not even a part of what has not come");
    session.heard(&theirs(US.1, ACK, 9, 104, b"behind a hole"));
    assert_eq!(numbers(&session.translate(&last)).1, 3);
    let mut session = opened(None);
    session.heard(&theirs(US.1, SYN | ACK, 0, 101, b""));
    session.recorded(&theirs(US.1, ACK, 5001, 104, b"hello"));
    session.heard(&theirs(US.1, ACK, 1, 104, b"he"));
    session.heard(&theirs(US.1, ACK, 3, 104, b"llo and more"));
    assert_eq!(numbers(&session.translate(&last)).1, 15);
    let before = ours(ACK, 104, 5003, b"");
    assert_eq!(numbers(&session.translate(&before)).1, 3);
}

#[test]
fn a_refusal_ends_the_waiting() {
    let mut session = opened(None);
    let third = ours(ACK, 101, 5001, b"");
    let need = session.need(&third).expect("the answer to the SYN");
    session.heard(&theirs(US.1, tcp::RST | ACK, 0, 101, b""));
    assert!(session.is_met(&need));
    assert_eq!(session.translate(&third), third);
}

#[test]
fn what_cannot_come_is_not_waited_for() {
    let mut session = opened(None);
    assert_eq!(session.need(&ours(tcp::RST | ACK, 101, 5001, b"")), None, "we end it in any case");
    session.heard(&theirs(US.1, SYN | ACK, 0, 101, b""));
    // The capture lacks what this acknowledges.
    assert_eq!(session.need(&ours(ACK, 101, 5100, b"")), None);
    session.recorded(&theirs(US.1, ACK, 5001, 101, b"hello"));
    let need = session.need(&ours(ACK, 101, 5006, b"")).expect("five bytes");
    assert!(session.is_waiting());
    session.give_up(&need);
    assert!(!session.is_waiting());
}

#[test]
fn errors_about_todays_ports_quote_the_recorded_ones() {
    let mut session = Session::new(Some(10));
    let sent = session.translate(&ours(SYN, 100, 0, b""));
    let message = [&[3, 3, 0, 0, 0, 0, 0, 0][..], &sent[14..42]].concat();
    let message = crate::proto::samples::summed(&message);
    let packet = crate::proto::samples::ipv4_between(THEM.0, US.0, 1, &message);
    let error = Bytes::from(crate::proto::samples::ethernet(0x0800, &packet));
    let quoted = 14 + 20 + 8 + 20;
    assert_eq!(be16(&error, quoted), Some(49162));
    let heard = session.heard(&error);
    assert_eq!((be16(&heard, quoted), be16(&heard, quoted + 2)), (Some(40000), Some(80)));
}

#[test]
fn a_round_knows_nothing_of_the_one_before() {
    let mut session = opened(Some(10));
    session.recorded(&theirs(US.1, ACK, 5001, 104, b"hello"));
    assert!(session.is_waiting());
    session.begin_again();
    assert!(!session.is_waiting());
    assert_eq!(session.need(&ours(ACK, 101, 5001, b"")), None);
    // But ports go on: the device remembers those of the round before.
    assert_eq!(numbers(&session.translate(&ours(SYN, 100, 0, b""))).2, 49163);
}

#[test]
fn blocks_and_timestamps_are_todays() {
    let mut session = opened(None);
    let echo = |value: u32, echo: u32| {
        let mut option = vec![1, 1, 8, 10];
        option.extend(value.to_be_bytes());
        option.extend(echo.to_be_bytes());
        option
    };
    let accepted = frame((THEM, US), SYN | ACK, 9000, 101, (&echo(777, 1), b""));
    session.heard(&accepted);
    let mut options = echo(2, 333);
    options.extend([1, 1, 5, 10, 0, 0, 0x13, 0x92, 0, 0, 0x13, 0x9c]); // 5010 to 5020
    let frame = frame((US, THEM), ACK, 101, 5001, (&options, b""));
    let translated = session.translate(&frame);
    numbers(&translated);
    assert_eq!(be32(&translated, 54 + 4), Some(2));
    assert_eq!(be32(&translated, 54 + 8), Some(777));
    assert_eq!(be32(&translated, 54 + 16), Some(9010));
    assert_eq!(be32(&translated, 54 + 20), Some(9020));
}

#[test]
fn ports_of_today_are_those_of_the_recording_for_whoever_compares() {
    let mut session = Session::new(Some(10));
    let syn = ours(SYN, 100, 0, b"");
    assert_eq!(numbers(&session.translate(&syn)).2, 49162);
    assert_eq!(numbers(&session.translate(&syn)).2, 49162, "the same SYN again");
    session.recorded(&theirs(US.1, SYN | ACK, 5000, 101, b""));
    let heard = session.heard(&theirs(49162, SYN | ACK, 70, 101, b""));
    assert_eq!(numbers(&heard), (70, 101, 80, 40000));
    let third = ours(ACK, 101, 5001, b"");
    assert_eq!(session.need(&third), None);
    assert_eq!(numbers(&session.translate(&third)), (101, 71, 49162, 80));
    let other = ours(SYN, 900, 0, b"");
    assert_eq!(numbers(&session.translate(&other)).2, 49163, "another connection");
}

#[test]
fn a_connection_that_they_open_has_their_port_of_today() {
    let accept = ours(SYN | ACK, 3000, 5001, b"");
    let recorded = frame((THEM, US), SYN, 5000, 0, (&[], b""));
    let today = frame(((THEM.0, 81), US), SYN, 900, 0, (&[], b""));
    for is_early in [false, true] {
        let mut session = Session::new(None);
        if is_early {
            session.heard(&today);
        }
        session.recorded(&recorded);
        assert_eq!(session.need(&accept).is_some(), !is_early);
        if !is_early {
            session.heard(&today);
        }
        assert_eq!(session.need(&accept), None);
        assert_eq!(numbers(&session.translate(&accept)), (3000, 901, 40000, 81), "{is_early}");
    }
}

#[test]
fn other_conversations_count_frames_and_arp_waits_for_nobody() {
    use crate::craft::{EchoRequest, Route};
    let echo = |sequence, is_reply: bool| {
        let mac = pnet::util::MacAddr(2, 0, 0, 0, 0, 1);
        let (source, destination) = if is_reply { (THEM.0, US.0) } else { (US.0, THEM.0) };
        let route = Route { source_mac: mac, destination_mac: mac, source, destination };
        let echo = EchoRequest { identifier: 7, sequence, ttl: 64, tos: 0, ip_id: 0, data: b"abc" };
        let mut frame = echo.frame(&route);
        if is_reply {
            frame[34] = 0;
        }
        Bytes::from(frame)
    };
    let mut session = Session::new(None);
    assert_eq!(session.need(&echo(1, false)), None);
    session.recorded(&echo(1, true));
    let need = session.need(&echo(2, false)).expect("the first reply");
    session.give_up(&need);
    session.recorded(&echo(2, true));
    assert_eq!(session.need(&echo(3, false)), None, "nobody is there");
    session.heard(&echo(2, true));
    assert_eq!(session.need(&echo(3, false)), None, "one was lost, and this one has come");
    session.recorded(&echo(3, true));
    assert!(session.need(&echo(4, false)).is_some());
    let asked = crate::proto::samples::arp_request();
    session.recorded(&asked);
    assert_eq!(session.need(&asked), None);
}

#[test]
fn memory_is_bounded() {
    let mut session = Session::new(None);
    for port in 0..u16::MAX {
        session.recorded(&theirs(port, SYN | ACK, 1, 1, b""));
        session.heard(&theirs(port, SYN, 1, 1, b""));
    }
    assert!(session.young.len() <= MEMORY && session.old.len() <= MEMORY);
    assert!(session.early.len() <= EARLY && session.aliases.len() <= MEMORY);
}
