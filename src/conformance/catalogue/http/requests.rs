//! Requests as they should be, one at a time.

use std::collections::BTreeSet;

use super::super::super::model::Owner::Application;
use super::super::super::model::Severity::{Must, Should};
use super::super::super::model::Tier::{Core, Smoke};
use super::super::super::model::{Flow, Test};
use super::super::super::peer::THINKING;
use super::super::super::peer::response::Response;
use super::super::super::rig::Capability::Http;
use super::super::super::trial::{ANSWER, Trial};
use super::super::super::web::Request;
use super::super::row;
use super::{NOWHERE, head, is_answered, part, send, send_asking};

/// The tests.
#[rustfmt::skip]
pub(super) static TESTS: &[Test] = &[
    Test::new(row(("HTT-01", "http.get-root"), (Must, Smoke, Application), "RFC 9112 §6.3; RFC 9110 §9.3.1",
        "GET / is answered by 200 and a body that is as long as is said, whatever the segments' size."),
        |t| Box::pin(get_root(t))).needs(Http),
    Test::new(row(("HTT-02", "http.head"), (Must, Core, Application), "RFC 9110 §9.1, §9.3.2, §8.6",
        "HEAD is answered as GET would be, and without a body."),
        |t| Box::pin(head_request(t))).needs(Http),
    Test::new(row(("HTT-03", "http.not-found"), (Must, Smoke, Application), "RFC 9110 §15.5.5",
        "A page that is not there is answered by 404."),
        |t| Box::pin(not_found(t))).needs(Http),
    Test::new(row(("HTT-04", "http.http10"), (Must, Core, Application), "RFC 9112 §9.3, §6.1",
        "A request of HTTP/1.0 is answered in a way that it understands, and the connection closed."),
        |t| Box::pin(http10(t))).needs(Http),
    Test::new(row(("HTT-15", "http.traversal"), (Must, Core, Application), "RFC 9110 §17.3",
        "A path that leads out of the root is refused."),
        |t| Box::pin(traversal(t))).needs(Http),
];

async fn get_root(t: &mut Trial) -> Flow {
    let page = t.ask(Request::get("/")).await?;
    is_answered(t, &page, 200, "GET /");
    let small = t.ask(Request::get("/").mss(200)).await?;
    is_answered(t, &small, 200, "GET / in segments of 200 bytes");
    t.remark(format!(
        "{} bytes in {} segments, and in {} of at most 200 bytes",
        page.length, page.wire.theirs.segments, small.wire.theirs.segments
    ));
    if page.sha256 != small.sha256 {
        let again = t.ask(Request::get("/")).await?;
        if again.sha256 != page.sha256 {
            t.remark("the page is another each time: its bodies cannot be compared");
            return Ok(());
        }
    }
    let expected = "the same body in segments of either size";
    let actual = format!("{} bytes and {} bytes that differ", page.length, small.length);
    t.must(page.sha256 == small.sha256, expected, actual);
    Ok(())
}

/// Fields that a response to HEAD may leave away, or that say nothing of the page (RFC 9110 section 9.3.2).
const OWN_FIELDS: [&str; 5] =
    ["content-length", "transfer-encoding", "date", "connection", "keep-alive"];

fn fields(response: &Response) -> BTreeSet<String> {
    let names = response.headers.iter().map(|(name, _)| name.to_ascii_lowercase());
    names.filter(|name| !OWN_FIELDS.contains(&name.as_str())).collect()
}

async fn head_request(t: &mut Trial) -> Flow {
    let request = head(t, "GET / HTTP/1.1") + "\r\n";
    let (peer, get) = send(t, request.as_bytes()).await?;
    part(t, peer).await?;
    let request = head(t, "HEAD / HTTP/1.1") + "\r\n";
    let (mut peer, reaction) = send_asking(t, request.as_bytes(), false).await?;
    peer.wait_for_end(t, ANSWER).await?; // a body would come now
    let extra = peer.incoming.stream().len().saturating_sub(peer.taken);
    part(t, peer).await?;
    let same = reaction.status().is_some() && reaction.status() == get.status();
    let expected = format!("HEAD / is answered as GET /, which is by {}", get.said());
    t.must(same, expected, reaction.said());
    t.must(extra == 0, "nothing behind the head of the response to HEAD", format!("{extra} bytes"));
    let (Some(get), Some(head)) = (get.response(), reaction.response()) else { return Ok(()) };
    let length = |response: &Response| response.header("content-length").map(str::to_owned);
    if let (Some(wanted), Some(said)) = (length(get), length(head)) {
        let expected = format!("content-length as in the response to GET: {wanted}");
        t.must(wanted == said, expected, format!("content-length: {said}"));
    }
    let missing: Vec<_> = fields(get).difference(&fields(head)).cloned().collect();
    let actual = format!("without {}", missing.join(", "));
    t.check(Should, missing.is_empty(), "the same header fields as to GET", actual);
    Ok(())
}

async fn not_found(t: &mut Trial) -> Flow {
    let exchange = t.ask(Request::get(NOWHERE)).await?;
    is_answered(t, &exchange, 404, &format!("GET {NOWHERE}"));
    Ok(())
}

async fn http10(t: &mut Trial) -> Flow {
    let (mut peer, reaction) = send(t, b"GET / HTTP/1.0\r\n\r\n").await?;
    let expected = "a whole response with status 200 to GET / HTTP/1.0, without a Host field";
    t.must(reaction.status() == Some(200), expected, reaction.said());
    let coding = reaction.response().and_then(|response| response.header("transfer-encoding"));
    t.must(
        coding.is_none(),
        "no transfer coding, which HTTP/1.0 does not know",
        format!("transfer-encoding: {}", coding.unwrap_or_default()),
    );
    let is_closed = peer.wait_for_end(t, THINKING).await?;
    let actual = match peer.reset {
        Some(_) => "the connection was reset".to_owned(),
        None => format!("the connection is still open after {THINKING:?}"),
    };
    t.must(is_closed, "the connection is closed behind the response", actual);
    part(t, peer).await
}

/// Paths out of the root; servers read `%2e` as a dot.
const OUTSIDE: [&str; 3] =
    ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc%2fpasswd"];

async fn traversal(t: &mut Trial) -> Flow {
    for path in OUTSIDE {
        let exchange = t.ask(Request::get(path)).await?;
        let is_refused = exchange.status.is_some_and(|status| (300..500).contains(&status));
        let expected = format!("GET {path} is refused: 404 or 400");
        t.must(is_refused && exchange.failure.is_none(), expected, exchange.said());
        let has_leaked = exchange.body.windows(5).any(|bytes| bytes == b"root:");
        t.must(!has_leaked, "no file from outside", "a list of users came");
    }
    Ok(())
}
