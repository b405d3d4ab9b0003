use super::draft::Layer;
use super::{Action, Matcher, Script, Term};
use crate::conformance::model::Severity;
use proptest::prelude::*;

fn problem(text: &str) -> String {
    Script::parse(text).expect_err(text).to_string()
}

#[test]
fn the_example_of_the_documentation_makes_sense() {
    let script = Script::parse(
        r#"
        # A reset inside the window is not believed.
        send    tcp S  80 seq=1000 win=4096 mss=1460
        expect  tcp SA ack=1001 mss=536..1460        within 1s   as sa
        send    tcp A  80 seq=1001 ack=sa.seq+1
        send    tcp R  80 seq=1101
        expect  tcp A  seq=sa.seq+1 ack=1001 len=0   within 500ms
        send    tcp PA 80 seq=1001 ack=sa.seq+1 data="GET / HTTP/1.0\r\n\r\n"
        should expect  tcp    len>0                  within 1s
        never   tcp R
        send    icmp echo id=7 cksum=bad
        silent  icmp echo-reply id=7
        stream  0000 "x"
        wait    300ms
        ping
        forget
        "#,
    )
    .expect("good");
    assert_eq!(script.steps.len(), 14);
    let Action::Expect { pattern, within } = &script.steps[1].action else { panic!() };
    assert_eq!((pattern.layer, within.as_millis()), (Layer::Tcp, 1000));
    assert_eq!((pattern.flags, pattern.name.as_deref()), (Some((0x12, 0x05)), Some("sa")));
    let Matcher::Range(low, _) = &pattern.tests[1].1 else { panic!() };
    assert_eq!(low[..], [(false, Term::Value(536))]);
    let step = &script.steps[6];
    assert_eq!((step.severity, step.line), (Some(Severity::Should), 9));
    assert_eq!(step.text, "should expect tcp len>0 within 1s");
}

#[test]
fn a_sum_may_begin_with_a_name_that_holds_a_dash() {
    let script = Script::parse("expect tcp mss=max-frame-54+1").expect("good");
    let Action::Expect { pattern, .. } = &script.steps[0].action else { panic!() };
    let Matcher::Number(_, sum) = &pattern.tests[0].1 else { panic!() };
    let known = Term::Known(super::Known::MaxFrame);
    assert_eq!(sum[..], [(false, known), (true, Term::Value(54)), (false, Term::Value(1))]);
    let script = Script::parse("expect tcp mss<=full").expect("good");
    let Action::Expect { pattern, .. } = &script.steps[0].action else { panic!() };
    let Matcher::Number(_, sum) = &pattern.tests[0].1 else { panic!() };
    assert_eq!(sum[..], [(false, Term::Known(super::Known::Full))]);
}

#[test]
fn mistakes_are_named_with_line_and_column() {
    for (text, expected) in [
        (
            "ping\n  sned tcp S",
            "line 2, column 3: 'sned' is none of send, expect, silent, never, stream, wait, ping or forget",
        ),
        ("send", "line 1, column 1: a message has to follow: eth, arp, ip, icmp, udp, tcp"),
        (
            "send tpc S",
            "line 1, column 6: 'tpc' is no message; there are eth, arp, ip, icmp, udp, tcp",
        ),
        ("send tcp SX 80", "line 1, column 10: 'SX' are no flags: letters of FSRPAUEW, or '-'"),
        ("send tcp S 80 sec=1", "line 1, column 15: tcp has no field 'sec'; did you mean 'seq'?"),
        ("send tcp S 80 win=65536", "line 1, column 19: at most 65535 fits there"),
        ("send tcp S 80 seq>1", "line 1, column 15: what is sent is set with '='"),
        ("send tcp S 80 end=1", "line 1, column 15: 'tcp.end' can be expected, but not set"),
        ("expect tcp raw=00", "line 1, column 12: 'any.raw' can be set, but not expected"),
        (
            "expect tcp S 80",
            "line 1, column 14: '80' does not belong here: tcp takes flags such as SA and a port, then fields such as seq=1",
        ),
        (
            "expect tcp ack=sa.seq",
            "line 1, column 16: no line before this one names a packet 'sa' ('as sa')",
        ),
        (
            "expect tcp S as sa\nexpect tcp A ack=sa.data",
            "line 2, column 21: 'data' is no number that can be read",
        ),
        ("expect tcp S as sa\nexpect tcp A as sa", "line 2, column 17: 'sa' is taken already"),
        ("expect tcp as", "line 1, column 12: a name has to follow"),
        (
            "expect tcp within 3x",
            "line 1, column 19: '3x' has no unit of time that is known: ns, us, ms, s, m, h",
        ),
        ("expect tcp data~\"(\"", "line 1, column 17: bad regular expression: unclosed group"),
        ("expect tcp where=\"tcp and and\"", "line 1, column 18: bad filter: "),
        (
            "expect ip ip.src=1.2.3",
            "line 1, column 18: '1.2.3' is no IPv4 address, and none of host, device, net.N",
        ),
        ("expect ip ip.src<device", "line 1, column 18: ip.src can only be '=' or '!='"),
        (
            "silent tcp within 1s",
            "line 1, column 1: 'silent' has neither 'within' nor 'as': nothing comes",
        ),
        ("must send tcp S", "line 1, column 6: 'send' compares nothing that could weigh"),
        ("send icmp ehco", "line 1, column 11: 'ehco' is none of echo, echo-reply, unreachable"),
        ("ping now", "line 1, column 6: nothing may follow 'ping'"),
        ("forget it", "line 1, column 8: nothing may follow 'forget'"),
        ("wait", "line 1, column 1: something has to follow 'wait'"),
        ("send tcp S", "line 1, column 1: nothing is expected"),
    ] {
        let found = problem(text);
        assert!(found.starts_with(expected), "{text}\n{found}");
    }
}

proptest! {
    #[test]
    fn nothing_panics(
        words in proptest::collection::vec(
            prop_oneof![
                Just("send"), Just("expect"), Just("silent"), Just("never"), Just("tcp"), Just("udp"),
                Just("icmp"), Just("SA"), Just("echo"), Just("80"), Just("as"), Just("sa"), Just("via"),
                Just("within"), Just("1s"), Just("seq=sa.seq+1"), Just("seq=1-"), Just("len=1..2"),
                Just("len=..") , Just("data=\"a\"*3"), Just("data~\"[\""), Just("\n"), Just("ip.src=net.300"),
                Just("quote=sa"), Just("cksum=bad"), Just("where=\"tcp\""), Just("a=="), Just("ö=1"),
            ],
            0..30,
        ),
        any in ".{0,60}",
    ) {
        let _ = Script::parse(&words.join(" "));
        let _ = Script::parse(&any);
    }
}
