use super::*;
use crate::analysis::stalls::{Errors, Judgement, Reason, Stall, Standing};
use hyper::StatusCode;
use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::rc::Rc;

#[derive(Clone, Default)]
struct Paper(Rc<RefCell<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn answered(status: u16, first: u64, total: u64, digest: u8) -> Outcome {
    Outcome {
        status: StatusCode::from_u16(status).ok(),
        reason: if status == 404 { "Not here" } else { "Yes" }.to_owned(),
        head: b"HTTP/1.1 200 Yes\r\nX-CamelCase: 1\r\n\r\n".to_vec(),
        bytes: 1234,
        first_byte: Some(ms(first)),
        total: ms(total),
        digest: Some([digest; 32]),
        ..Outcome::default()
    }
}

fn stalled() -> Outcome {
    let reason = Reason::Silent { ack: 5841 };
    let stall = Stall { length: ms(3020), reason, errors: Errors::default() };
    let packets = vec!["0.006000 -> IP".to_owned()];
    Outcome {
        digest: None,
        failure: Some("timed out: nothing moved for 3s".to_owned()),
        judgement: Judgement { stall: Some(stall), standing: Standing::Open, packets },
        ..answered(200, 5, 3026, 0)
    }
}

fn request() -> Request {
    let typed = super::super::request::Typed {
        method: None,
        target: "/x",
        headers: &[],
        data: None,
        is_head: false,
    };
    Request::new(typed, Ipv4Addr::new(192, 168, 100, 2)).expect("good")
}

fn report(manner: Manner, outcomes: &[Outcome]) -> String {
    let paper = Paper::default();
    let mut reporter = Reporter::new(manner, Box::new(paper.clone()));
    let request = request();
    for outcome in outcomes {
        reporter.outcome(&request, outcome);
    }
    reporter.finish(&request);
    String::from_utf8(paper.0.borrow().clone()).expect("text")
}

#[test]
fn lines_and_sums() {
    let leads = Outcome { leads: Some("http://else\x1b/".to_owned()), ..answered(302, 1, 1, 1) };
    let refused = Outcome {
        total: ms(2),
        failure: Some("the device refuses connections to port 80".to_owned()),
        ..Outcome::default()
    };
    let outcomes = [answered(200, 5, 8, 1), answered(404, 50, 80, 2), leads, stalled(), refused];
    let manner = Manner { has_sums: true, ..Manner::default() };
    insta::assert_snapshot!(report(manner, &outcomes), @r#"
    #1 200 Yes 1234 bytes, first byte 5.00 ms, total 8.00 ms, sha256 0101010101010101..
    #2 404 Not here 1234 bytes, first byte 50.0 ms, total 80.0 ms, sha256 0202020202020202.., changed since #1
    #3 302 Yes 1234 bytes, first byte 1.00 ms, total 1.00 ms, sha256 0101010101010101.., changed since #2, leads to http://else\x1b/, which is not followed
    #4 200 Yes 1234 bytes, then failed after 3026 ms: timed out: nothing moved for 3s
    #4 stalled 3.02 s: device sent nothing after our ACK 5841
    #5 failed after 2.00 ms: the device refuses connections to port 80

    --- GET http://192.168.100.2/x ---
    5 requests, 2 ok, 3 failed, 1 stalled (longest 3.02 s)
    first byte min/p50/p90/p99/max = 1.00/5.00/50.0/50.0/50.0 ms (of 3 responses that came whole)
    total min/p50/p90/p99/max = 1.00/8.00/80.0/80.0/80.0 ms (of 3 responses that came whole)
    body hashes: 2
    "#);
    let manner = Manner { is_quiet: true, ..manner };
    let sums = report(manner, &outcomes);
    assert!(sums.lines().count() == 6 && !sums.contains('#'), "{sums}");
}

#[test]
fn a_verbose_line_has_the_packets_of_what_went_wrong() {
    let manner = Manner { is_verbose: true, ..Manner::default() };
    insta::assert_snapshot!(report(manner, &[answered(200, 5, 8, 1), stalled()]), @r#"
    #1 200 Yes 1234 bytes, first byte 5.00 ms, total 8.00 ms, sha256 0101010101010101010101010101010101010101010101010101010101010101
    < HTTP/1.1 200 Yes
    < X-CamelCase: 1
    #2 200 Yes 1234 bytes, then failed after 3026 ms: timed out: nothing moved for 3s
    #2 stalled 3.02 s: device sent nothing after our ACK 5841
    < HTTP/1.1 200 Yes
    < X-CamelCase: 1
      0.006000 -> IP
    "#);
}

#[test]
fn objects_for_programs() {
    let manner = Manner { is_json: true, has_sums: true, ..Manner::default() };
    insta::assert_snapshot!(report(manner, &[answered(200, 5, 8, 1), stalled()]), @r#"
    {"bytes":1234,"changed_since":null,"error":null,"first_byte_ms":5.0,"from":null,"location":null,"method":"GET","number":1,"ok":true,"sha256":"0101010101010101010101010101010101010101010101010101010101010101","stall_reason":null,"stalled_ms":null,"status":200,"time":"1970-01-01T00:00:00Z","total_ms":8.0,"type":"request","url":"http://192.168.100.2/x","v":1}
    {"bytes":1234,"changed_since":null,"error":"timed out: nothing moved for 3s","first_byte_ms":5.0,"from":null,"location":null,"method":"GET","number":2,"ok":false,"sha256":null,"stall_reason":"device sent nothing after our ACK 5841","stalled_ms":3020.0,"status":200,"time":"1970-01-01T00:00:00Z","total_ms":3026.0,"type":"request","url":"http://192.168.100.2/x","v":1}
    "#);
}

#[test]
fn a_request_that_was_under_way_counts_neither_way() {
    let paper = Paper::default();
    let manner = Manner { has_sums: true, ..Manner::default() };
    let mut reporter = Reporter::new(manner, Box::new(paper.clone()));
    let request = request();
    reporter.outcome(&request, &answered(200, 5, 8, 1));
    let failure = Some("interrupted".to_owned());
    reporter.broken_off(&request, &Outcome { failure, total: ms(70), ..Outcome::default() });
    reporter.finish(&request);
    let text = String::from_utf8(paper.0.borrow().clone()).expect("text");
    assert!(text.contains("#2 failed after 70.0 ms: interrupted\n"), "{text}");
    assert!(text.contains("\n1 request, 1 ok, 0 failed, 1 broken off\n"), "{text}");
}

#[test]
fn shares_are_of_the_nearest_rank() {
    assert_eq!(shares(&[]), None);
    assert_eq!(shares(&[ms(7)]), Some([ms(7); 5]));
    let hundred: Vec<Duration> = (1..=100).map(ms).collect();
    assert_eq!(shares(&hundred), Some([1, 50, 90, 99, 100].map(ms)));
    let two = [ms(1), ms(2)];
    assert_eq!(shares(&two), Some([1, 1, 2, 2, 2].map(ms)));
}
