//! Requests that are wrong, or larger than a small server wants them.

use super::super::super::model::Owner::Application;
use super::super::super::model::Severity::{Must, Should};
use super::super::super::model::Tier::{Core, Extended};
use super::super::super::model::{Flow, Test};
use super::super::super::peer::response::Reading;
use super::super::super::rig::Capability::Http;
use super::super::super::trial::{ANSWER, Trial};
use super::super::row;
use super::{NOWHERE, Reaction, head, host, part, send, still_serves};

/// The tests.
#[rustfmt::skip]
pub(super) static TESTS: &[Test] = &[
    Test::new(row(("HTT-05", "http.no-host"), (Must, Extended, Application), "RFC 9112 §3.2",
        "A request of HTTP/1.1 without a Host field, or with two, is answered by 400."),
        |t| Box::pin(no_host(t))).needs(Http),
    Test::new(row(("HTT-06", "http.unknown-method"), (Should, Core, Application), "RFC 9110 §9.1, §15.5.6",
        "A method that nobody knows is answered by 501, or by 405 and what is allowed."),
        |t| Box::pin(unknown_method(t))).needs(Http),
    Test::new(row(("HTT-07", "http.version"), (Should, Extended, Application), "RFC 9110 §15.6.6, §2.5",
        "A major version of HTTP that the server does not speak is refused by 505, or by 400."),
        |t| Box::pin(version(t))).needs(Http),
    Test::new(row(("HTT-08", "http.garbage"), (Should, Core, Application), "RFC 9112 §3, §2.2",
        "What is no HTTP is answered by 400 or by the end of the connection, and harms nobody."),
        |t| Box::pin(garbage(t))).needs(Http),
    Test::new(row(("HTT-11", "http.header-3k"), (Should, Core, Application), "RFC 6585 §5; RFC 9110 §5.4",
        "A head of 3000 bytes, or with 100 fields, is served or refused by 431 or 400."),
        |t| Box::pin(header_3k(t))).needs(Http),
    Test::new(row(("HTT-12", "http.uri-1500"), (Must, Core, Application), "RFC 9112 §3; RFC 9110 §15.5.15",
        "A target that is longer than the server takes is refused by 414, and otherwise looked up."),
        |t| Box::pin(uri_1500(t))).needs(Http),
    Test::new(row(("HTT-13", "http.body-framing"), (Must, Extended, Application), "RFC 9112 §6.3, §7.1, §6.1",
        "Lengths that make no sense are answered by 400 and the end, and no body is read as a request."),
        |t| Box::pin(body_framing(t))).needs(Http),
    Test::new(row(("HTT-14", "http.syntax"), (Must, Extended, Application), "RFC 9112 §5.1, §3, §2.2",
        "White space before the colon of a field is answered by 400."),
        |t| Box::pin(syntax(t))).needs(Http),
];

async fn no_host(t: &mut Trial) -> Flow {
    let host = host(t);
    let twice = format!("GET / HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n\r\n");
    for (request, what) in [
        ("GET / HTTP/1.1\r\nAccept: */*\r\n\r\n", "a request without a Host field"),
        (&twice, "a request with two Host fields"),
    ] {
        let (peer, reaction) = send(t, request.as_bytes()).await?;
        t.must(reaction.status() == Some(400), format!("400 to {what}"), reaction.said());
        part(t, peer).await?;
    }
    Ok(())
}

async fn unknown_method(t: &mut Trial) -> Flow {
    let request = head(t, "BREW / HTTP/1.1") + "\r\n";
    let (peer, reaction) = send(t, request.as_bytes()).await?;
    let is_refused = matches!(reaction.status(), Some(501 | 405));
    t.should_hold(is_refused, "501 or 405 to the method BREW", reaction.said());
    let allowed = reaction.response().and_then(|response| response.header("allow"));
    let is_said = reaction.status() != Some(405) || allowed.is_some();
    t.should_hold(is_said, "405 says in an Allow field what is allowed", "there is none");
    t.remark(format!("BREW is answered by {}", reaction.said()));
    part(t, peer).await
}

async fn version(t: &mut Trial) -> Flow {
    let request = head(t, "GET / HTTP/2.0") + "\r\n";
    let (peer, reaction) = send(t, request.as_bytes()).await?;
    let is_refused = matches!(reaction.status(), Some(505 | 400));
    t.should_hold(is_refused, "505 or 400 to GET / HTTP/2.0", reaction.said());
    part(t, peer).await
}

/// The beginning of a TLS connection (RFC 8446 section 4.1.2), as a browser sends it to the wrong port.
const CLIENT_HELLO: &[u8] = b"\x16\x03\x01\x00\x35\x01\x00\x00\x31\x03\x03\
    0123456789abcdef0123456789abcdef\x00\x00\x02\x13\x01\x01\x00\x00\x06\x00\x2b\x00\x02\x03\x04";

async fn garbage(t: &mut Trial) -> Flow {
    let binary: Vec<u8> = (0..=255).rev().collect();
    for (bytes, what) in
        [(CLIENT_HELLO, "the hello of a TLS client"), (&binary, "256 bytes of everything")]
    {
        let (mut peer, mut reaction) = send(t, bytes).await?;
        if matches!(reaction, Reaction::Silence) {
            // It may wait for the rest of a line; there will be none.
            peer.finish(t).await?;
            let reading = peer.response(t, true).await?;
            reaction = Reaction::of(reading, &peer);
        }
        let is_refused = match &reaction {
            Reaction::Response(response) => (400..600).contains(&response.status),
            Reaction::Closed | Reaction::Reset => true,
            Reaction::Other(_) | Reaction::Silence => false,
        };
        let expected = format!("400 or the end of the connection after {what}");
        t.should_hold(is_refused, expected, reaction.said());
        if !peer.incoming.is_finished() && peer.reset.is_none() {
            peer.abort(t).await?;
        }
        t.survives().await?;
        still_serves(t, what).await?;
    }
    Ok(())
}

async fn header_3k(t: &mut Trial) -> Flow {
    let begin = head(t, "GET / HTTP/1.1");
    let long = format!("{begin}X-Long: {}\r\n\r\n", "x".repeat(3000));
    let fields: String = (0..100).map(|n| format!("X-Field-{n}: {n}\r\n")).collect();
    let many = format!("{begin}{fields}\r\n");
    for (request, what) in [(long, "a field of 3000 bytes"), (many, "100 fields")] {
        let (peer, reaction) = send(t, request.as_bytes()).await?;
        let is_handled = matches!(reaction.status(), Some(431 | 400 | 200));
        let expected = format!("431, 400 or 200 to a request with {what}");
        t.should_hold(is_handled, expected, reaction.said());
        t.remark(format!("{what}: {}", reaction.said()));
        part(t, peer).await?;
        still_serves(t, what).await?;
    }
    Ok(())
}

async fn uri_1500(t: &mut Trial) -> Flow {
    let line = format!("GET /{} HTTP/1.1", "a".repeat(1499));
    let request = head(t, &line) + "\r\n";
    let (peer, reaction) = send(t, request.as_bytes()).await?;
    let is_handled = matches!(reaction.status(), Some(414 | 404 | 200..=399));
    let expected = "414 to a target of 1500 bytes, or what there is, which is 404";
    t.must(is_handled, expected, reaction.said());
    t.remark(format!("a target of 1500 bytes: {}", reaction.said()));
    part(t, peer).await?;
    still_serves(t, "a target of 1500 bytes").await
}

/// Sends a request with a body that holds another; the reaction to the first, whether there was one to the
/// second, and whether the connection has ended.
async fn smuggle(t: &mut Trial, request: &str) -> Flow<(Reaction, bool, bool)> {
    let (mut peer, reaction) = send(t, request.as_bytes()).await?;
    peer.wait_for_end(t, ANSWER).await?;
    let is_served = matches!(peer.reading(true), Reading::Response(_));
    let has_ended = peer.incoming.is_finished() || peer.reset.is_some();
    part(t, peer).await?;
    Ok((reaction, is_served, has_ended))
}

async fn body_framing(t: &mut Trial) -> Flow {
    let host = host(t);
    let inner = format!("GET {NOWHERE} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let length = inner.len();
    let begin = format!("POST /upload HTTP/1.1\r\nHost: {host}\r\n");
    let negative = format!("{begin}Content-Length: -1\r\n\r\n{inner}");
    let two = format!("{begin}Content-Length: 5\r\nContent-Length: {length}\r\n\r\n{inner}");
    for (request, what) in [(negative, "a length of -1"), (two, "two different lengths")] {
        let (reaction, is_served, has_ended) = smuggle(t, &request).await?;
        t.must(reaction.status() == Some(400), format!("400 to {what}"), reaction.said());
        t.must(has_ended, format!("the connection ends after {what}"), "it is still open");
        t.must(!is_served, format!("no request is read from behind {what}"), "one was answered");
    }
    let chunk = format!("{length:x}\r\n{inner}\r\n0\r\n\r\n");
    let (reaction, is_served, _) =
        smuggle(t, &format!("{begin}Transfer-Encoding: chunked\r\n\r\n{chunk}")).await?;
    let is_handled = matches!(reaction.status(), Some(200..=499 | 501));
    let expected = "a POST in chunks is taken, or refused by 411, 501 or what fits";
    t.must(is_handled, expected, reaction.said());
    t.must(!is_served, "no request is read from a body in chunks", "one was answered");
    t.remark(format!("a POST in chunks: {}", reaction.said()));
    Ok(())
}

async fn syntax(t: &mut Trial) -> Flow {
    let host = host(t);
    let spaced = format!("GET / HTTP/1.1\r\nHost : {host}\r\nConnection: close\r\n\r\n");
    let (peer, reaction) = send(t, spaced.as_bytes()).await?;
    t.must(reaction.status() == Some(400), "400 to 'Host : ...'", reaction.said());
    part(t, peer).await?;
    let fields = format!("Host: {host}\r\nConnection: close\r\n\r\n");
    let double = format!("GET  /  HTTP/1.1\r\n{fields}");
    let bare = format!("GET / HTTP/1.1\nHost: {host}\nConnection: close\n\n");
    // Of the first a server should say that it is wrong, but may read it; the second it may take.
    for (request, what) in
        [(double, "two blanks in the request line"), (bare, "lines that end by LF")]
    {
        let (mut peer, mut reaction) = send(t, request.as_bytes()).await?;
        if matches!(reaction, Reaction::Silence) {
            peer.finish(t).await?;
            let reading = peer.response(t, true).await?;
            reaction = Reaction::of(reading, &peer);
        }
        let is_handled = match &reaction {
            Reaction::Response(response) => matches!(response.status, 200..=499),
            Reaction::Closed | Reaction::Reset => true,
            Reaction::Other(_) | Reaction::Silence => false,
        };
        let expected = format!("400, a response or the end of the connection to {what}");
        t.check(Should, is_handled, expected, reaction.said());
        t.remark(format!("{what}: {}", reaction.said()));
        if !peer.incoming.is_finished() && peer.reset.is_none() {
            peer.abort(t).await?;
        }
    }
    Ok(())
}
