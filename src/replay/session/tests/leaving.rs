//! Connections that are open when we leave.

use super::*;

const FIN: u8 = tcp::FIN;
const RST: u8 = tcp::RST;

fn mark(number: u64) -> Mark {
    Mark { number, sent: number }
}

/// A session with a connection from `port` that frame `number` opened, and that the device has accepted with 900.
fn begun(session: &mut Session, port: u16, number: u64) {
    let us = (US.0, port);
    session.mark(mark(number));
    session.translate(&frame((us, THEM), SYN, 100, 0, (&[], b"")));
    session.recorded(&frame((THEM, us), SYN | ACK, 5000, 101, (&[], b"")));
    session.heard(&frame((THEM, us), SYN | ACK, 900, 101, (&[], b"")));
}

#[test]
fn what_is_open_is_reset_with_the_numbers_that_are_due() {
    let mut session = Session::new(None);
    begun(&mut session, US.1, 7);
    session.mark(mark(9));
    session.translate(&ours(ACK, 101, 5001, b"GET"));
    session.heard(&theirs(US.1, ACK, 901, 104, b"hello"));
    assert_eq!(session.open(), Some((mark(7), 1)));
    let resets = session.resets();
    assert_eq!(resets.len(), 1);
    assert_eq!(numbers(&resets[0]), (104, 906, 40000, 80));
    assert_eq!(resets[0][47], RST | ACK);
    assert_eq!((session.open(), session.resets().len()), (None, 0), "once is enough");
}

#[test]
fn the_first_of_several_tells_where_to_go_on() {
    let mut session = Session::new(None);
    begun(&mut session, 40001, 3);
    begun(&mut session, 40002, 5);
    begun(&mut session, 40003, 8);
    session.heard(&frame((THEM, (US.0, 40001)), RST, 901, 0, (&[], b"")));
    assert_eq!(session.open(), Some((mark(5), 2)));
    assert_eq!(session.resets().len(), 2);
}

#[test]
fn a_connection_is_over_when_both_have_ended_it_and_we_have_said_so() {
    for (is_reset, rest) in [(true, 0), (false, 1), (false, 2), (false, 3)] {
        let mut session = Session::new(None);
        begun(&mut session, US.1, 1);
        if is_reset {
            session.translate(&ours(RST, 101, 0, b""));
            assert_eq!(session.open(), None);
            continue;
        }
        session.recorded(&theirs(US.1, ACK | FIN, 5001, 102, b""));
        if rest > 0 {
            session.translate(&ours(ACK | FIN, 101, 5001, b""));
        }
        if rest > 1 {
            session.heard(&theirs(US.1, ACK | FIN, 901, 102, b""));
        }
        if rest > 2 {
            session.translate(&ours(ACK, 102, 5002, b""));
        }
        assert_eq!(session.open().is_none(), rest == 3, "{rest}");
        if rest < 3 {
            let reset = &session.resets()[0];
            assert_eq!(numbers(reset).0, 102);
        }
    }
}

#[test]
fn who_never_answered_has_nothing_to_forget() {
    let mut session = Session::new(None);
    session.mark(mark(4));
    session.translate(&ours(SYN, 100, 0, b""));
    session.recorded(&theirs(US.1, SYN | ACK, 5000, 101, b""));
    assert_eq!(session.open(), Some((mark(4), 1)), "the answer may be on its way");
    assert_eq!(session.resets(), Vec::<Bytes>::new());
    let need = session.need(&ours(ACK, 101, 5001, b"")).expect("the answer");
    session.give_up(&need);
    assert_eq!(session.open(), None);
}

#[test]
fn a_connection_that_they_open_is_reset_at_their_port_of_today() {
    let mut session = Session::new(None);
    session.mark(mark(2));
    session.recorded(&frame((THEM, US), SYN, 5000, 0, (&[], b"")));
    session.heard(&frame(((THEM.0, 81), US), SYN, 900, 0, (&[], b"")));
    assert_eq!(session.open(), None, "we have not said a word");
    session.translate(&ours(SYN | ACK, 3000, 5001, b""));
    assert_eq!(session.open(), Some((mark(2), 1)));
    assert_eq!(numbers(&session.resets()[0]), (3001, 901, 40000, 81));
}

#[test]
fn whoever_is_mute_is_not_waited_for_in_each_conversation() {
    let mut session = Session::new(None);
    for n in 0..MUTE as u16 {
        let us = (US.0, 40001 + n);
        session.translate(&frame((us, THEM), SYN, 100, 0, (&[], b"")));
        session.recorded(&frame((THEM, us), SYN | ACK, 5000, 101, (&[], b"")));
        let third = frame((us, THEM), ACK, 101, 5001, (&[], b""));
        let need = session.need(&third).expect("an answer");
        session.give_up(&need);
    }
    let syn = ours(SYN, 900, 0, b"");
    let third = ours(ACK, 901, 7001, b"");
    session.translate(&syn);
    session.recorded(&theirs(US.1, SYN | ACK, 7000, 901, b""));
    assert!(session.need(&third).is_none() && !session.is_waiting());
    session.translate(&third);
    assert_eq!(session.untranslated(), 1);
    session.heard(&Bytes::from(crate::proto::samples::arp_request()));
    assert!(session.need(&third).is_some() && session.is_waiting(), "somebody is there");
}

#[test]
fn at_a_speed_of_ones_own_tcp_alone_waits() {
    let mut session = Session::new(None).for_tcp();
    let answer = Bytes::from(crate::proto::samples::datagram());
    session.recorded(&answer);
    assert!(!session.is_waiting());
    session.translate(&ours(SYN, 100, 0, b""));
    session.recorded(&theirs(US.1, SYN | ACK, 5000, 101, b""));
    assert!(session.need(&ours(ACK, 101, 5001, b"")).is_some() && session.is_waiting());
}
