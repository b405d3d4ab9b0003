//! Streams as they are compared.

use super::*;
use proptest::prelude::*;

const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\nDate: today\r\nContent-Length: 15\r\nX: y\r\n\r\n\
    HTTP/1\nDate: x\nHTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\ndate:  now\r\n\r\nHTTP/1.0 200 OK\r\n\
    Transfer-Encoding: gzip, Chunked\r\n\r\n2;a=b\r\nHT\r\n1B\r\nDate: x\nHTTP/1.1 9\r\nDate: y\r\n0\r\nDate: z\r\n\r\n\
    HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 No\r\nDate: x\r\n\r\n";

fn masked(pieces: &[&[u8]]) -> String {
    let ignored = Ignored::new(&[], &[]).expect("the table");
    let (mut mask, mut out) = (Mask::default(), Vec::new());
    pieces.iter().for_each(|piece| mask.push(piece, &ignored, &mut out));
    mask.finish(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

#[test]
fn values_of_ignored_headers_are_masked_in_heads_only() {
    insta::assert_snapshot!(masked(&[STREAM]).replace('\r', ""), @r"
    HTTP/1.1 200 OK
    Date: (ignored)
    Content-Length: 15
    X: y

    HTTP/1
    Date: x
    HTTP/1.1 304 Not Modified
    Content-Length: 9
    date: (ignored)

    HTTP/1.0 200 OK
    Transfer-Encoding: gzip, Chunked

    2;a=b
    HTDate: x
    HTTP/1.1 9
    Date: y0
    Date: (ignored)

    HTTP/1.1 100 Continue

    HTTP/1.1 404 No
    Date: (ignored)

    ");
}

#[test]
fn answers_to_head_announce_a_body_that_does_not_come() {
    for announced in ["Content-Length: 500", "Transfer-Encoding: chunked"] {
        let head = format!("HTTP/1.1 200 OK\r\n{announced}\r\nDate: today\r\n\r\n");
        let all = format!("{head}{head}");
        let wanted = all.replace("today", "(ignored)");
        assert_eq!(masked(&[all.as_bytes()]), wanted);
        // What only looks like another head is the body.
        let body = format!("{head}HTTP/2 x\nDate: x\r\n");
        assert_eq!(masked(&[body.as_bytes()]), body.replacen("today", "(ignored)", 1));
    }
}

#[test]
fn a_head_may_follow_a_body_at_once() {
    let next = "HTTP/1.1 200 OK\r\nDate: today\r\nContent-Length: 1\r\n\r\nX";
    let all = format!("{next}{next}{next}");
    assert_eq!(masked(&[all.as_bytes()]), all.replace("today", "(ignored)"));
}

#[test]
fn what_announces_nonsense_goes_through() {
    for nonsense in ["Content-Length: -1", "Transfer-Encoding: chunked"] {
        let text = format!("HTTP/1.1 200 OK\r\n{nonsense}\r\n\r\n+5\r\nDate: x\r\n");
        assert_eq!(masked(&[text.as_bytes()]), text);
    }
    let huge = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nHTTP/1.1 1\r\nDate: x\r\n";
    assert_eq!(masked(&[huge.as_bytes()]), huge.replace("ffffffffffffffff\r\n", ""));
    let long = format!("HTTP/1.1 {}\r\nDate: x\r\n", "x".repeat(LONGEST));
    assert_eq!(masked(&[long.as_bytes()]), long);
}

#[test]
fn the_same_body_in_other_chunks_is_the_same_and_another_end_is_not() {
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".as_slice();
    let of = |body: &[u8]| masked(&[head, body]);
    let one = of(b"a\r\nhellohello\r\n0\r\n\r\nrest");
    assert_eq!(one, of(b"5\r\nhello\r\n05\r\nhello\r\n0\r\n\r\nrest"));
    assert!(one.ends_with("\r\n\r\nhellohello0\r\n\r\nrest"), "{one}");
    assert_ne!(one, of(b"a\r\nhellohello\r\n"));
    assert_ne!(one, of(b"a\r\nhellohello\r\r\n0\r\n\r\nrest"));
    assert_ne!(one, of(b"a\r\nhellohelloo\r\n0\r\n\r\nrest"));
    assert_ne!(one, of(b"a\r\nhellohello\r\n00\n\r\nrest"));
}

#[test]
fn what_is_missing_in_a_body_is_passed_over_and_elsewhere_nothing_is_known() {
    let ignored = Ignored::new(&[], &[]).expect("the table");
    let skip = |before: &str, n: u64| {
        let (mut mask, mut out) = (Mask::default(), Vec::new());
        mask.push(before.as_bytes(), &ignored, &mut out);
        let is_known = mask.skip(n, &ignored, &mut out);
        mask.push(b"xy\nHTTP/1.1 200 OK\r\nDate: x\r\n", &ignored, &mut out);
        let out = String::from_utf8_lossy(&out).into_owned();
        (is_known, out.contains("(ignored)"), out.lines().next_back().map(str::to_owned))
    };
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n";
    let known = |is_head| {
        (true, is_head, Some(if is_head { "Date: (ignored)" } else { "Date: x" }.to_owned()))
    };
    assert_eq!(skip(head, 5), known(true));
    assert_eq!(skip(&format!("{head}abc"), 2), known(true));
    assert_eq!(skip(&format!("{head}abc"), 5), known(true));
    assert!(!skip(&format!("{head}abc"), 6).0);
    assert_eq!(skip("no HTTP", 600), known(true));
    assert!(!skip("HTTP/1.1 200 OK\r\nDate: to", 8).0);
    let (mut mask, mut out) = (Mask::default(), Vec::new());
    mask.push(b"HTTP/1.1 200 OK\r\nDate: to", &ignored, &mut out);
    mask.skip(8, &ignored, &mut out);
    assert_eq!(out, b"HTTP/1.1 200 OK\r\nDate:");
}

proptest! {
    #[test]
    fn however_it_is_cut(at in 0..STREAM.len(), more in 0..STREAM.len()) {
        let (first, rest) = STREAM.split_at(at);
        let (second, third) = rest.split_at(more.min(rest.len()));
        prop_assert_eq!(masked(&[first, second, third]), masked(&[STREAM]));
    }

    #[test]
    fn what_is_no_http_is_as_it_was(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let ignored = Ignored::new(&[], &[]).expect("the table");
        let (mut mask, mut out) = (Mask::default(), Vec::new());
        mask.push(&bytes, &ignored, &mut out);
        mask.finish(&mut out);
        prop_assert_eq!(out, bytes);
    }
}
