//! Servers that answer from a fresh port.

use super::*;
use crate::craft::layers::{Ipv4, Udp};

fn datagram((from, to): (Address, Address), data: &[u8]) -> Bytes {
    let datagram = Udp::new(from.1, to.1).datagram(from.0, to.0, data);
    let packet = Ipv4::new(from.0, to.0, 17).packet(&datagram);
    Bytes::from(crate::proto::samples::ethernet(0x0800, &packet))
}

fn at(port: u16) -> Address {
    (THEM.0, port)
}

/// Source and destination port, of a frame whose checksums are right.
fn ports(frame: &[u8]) -> (u16, u16) {
    assert!(!Dissector::default().dissect(frame).is_malformed());
    (be16(frame, 34).expect("a port"), be16(frame, 36).expect("a port"))
}

#[test]
fn what_goes_on_goes_to_the_port_of_today_and_is_compared_with_the_recorded_one() {
    for (today, is_early) in [(7001, false), (7001, true), (5000, false), (5000, true)] {
        let mut session = Session::new(None);
        let question = datagram((US, at(69)), b"a file, please");
        assert_eq!(session.need(&question), None);
        assert_eq!(session.translate(&question), question);
        let data = |port| datagram((at(port), US), b"data");
        let acknowledged = |port| datagram((US, at(port)), b"thanks");
        if is_early {
            session.heard(&data(today));
        }
        session.recorded(&data(5000));
        let need = session.need(&acknowledged(5000));
        assert_eq!(need.is_some(), !is_early, "{today}");
        if !is_early {
            assert_eq!(ports(&session.heard(&data(today))), (5000, US.1));
            assert!(session.need(&acknowledged(5000)).is_none());
        }
        assert_eq!(ports(&session.translate(&acknowledged(5000))), (US.1, today));
        assert_eq!(ports(&session.heard(&data(today))), (5000, US.1));
        assert!(!session.is_waiting());
    }
}

#[test]
fn a_port_that_was_asked_itself_is_not_fresh() {
    let mut session = Session::new(None);
    for port in [69, 70] {
        session.need(&datagram((US, at(port)), b"hello"));
    }
    session.recorded(&datagram((at(70), US), b"good day"));
    let other = datagram((at(69), US), b"hello");
    assert_eq!(session.heard(&other), other);
    assert!(session.is_waiting());
}

#[test]
fn what_comes_late_is_counted() {
    let mut session = Session::new(None);
    let question = datagram((US, at(7)), b"hello");
    session.need(&question);
    session.recorded(&datagram((at(7), US), b"hello"));
    let need = session.need(&question).expect("an answer");
    session.give_up(&need);
    assert_eq!(session.late(), 0);
    session.heard(&datagram((at(7), US), b"hello"));
    assert_eq!(session.late(), 1);
}
