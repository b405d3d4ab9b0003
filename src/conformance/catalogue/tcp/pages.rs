//! What TCP carries in these tests: pages of the web server.

use std::fmt::Write;
use std::time::Duration;

use super::super::super::model::{Flow, Severity};
use super::super::super::peer::response::{Framing, Reading, Response};
use super::super::super::peer::{Opening, Peer};
use super::super::super::trial::Trial;

/// A long page that devices made for tests have.
const LONG_PAGE: &str = "/blob/20000";
/// The page that every web server has.
pub(super) const ROOT: &str = "/";
/// How long an acknowledgment may be delayed (RFC 9293 section 3.8.6.3).
pub(super) const DELAYED: Duration = Duration::from_millis(500);

/// A connection to the web server, to be opened.
pub(super) fn web(t: &Trial) -> Opening {
    Opening::to(t.rig.target.ports.http)
}

/// The longest page that is known: [`LONG_PAGE`] if there is one, else [`ROOT`].
pub(super) async fn long_page(t: &mut Trial) -> Flow<&'static str> {
    let mut peer = web(t).mss(Some(536)).window(536).mute().open(t).await?;
    peer.get(t, LONG_PAGE).await?;
    let has_head = |peer: &Peer| !matches!(peer.reading(true), Reading::Partial);
    peer.wait(t, super::super::super::peer::THINKING, has_head).await?;
    let is_there = matches!(peer.reading(true), Reading::Response(Response { status: 200, .. }));
    peer.abort(t).await?;
    let page = if is_there { LONG_PAGE } else { ROOT };
    t.remark(format!("the page was {page}"));
    Ok(page)
}

/// The device sends a whole response on this connection; the response as far as it came.
pub(super) async fn whole_response(
    t: &mut Trial,
    peer: &mut Peer,
    severity: Severity,
    expected: &str,
) -> Flow<Option<Response>> {
    let reading = peer.response(t, true).await?;
    let is_whole = matches!(&reading, Reading::Response(response) if response.is_complete);
    let actual = describe(&reading, peer);
    t.check(severity, is_whole, expected, actual);
    Ok(match reading {
        Reading::Response(response) => Some(response),
        Reading::Partial | Reading::Bad(_) => None,
    })
}

/// A response, or what there is of one, in a sentence.
pub(super) fn describe(reading: &Reading, peer: &Peer) -> String {
    let came = peer.incoming.stream().len();
    let mut text = match reading {
        Reading::Response(response) => {
            let body = response.body.len();
            match (response.is_complete, response.framing) {
                (true, _) => format!("a whole response of status {}", response.status),
                (false, Framing::Length(length)) => {
                    format!("{body} of {length} bytes of the body came")
                }
                (false, _) => format!("{body} bytes of the body came, and not its end"),
            }
        }
        Reading::Partial if came == 0 => "nothing came".to_owned(),
        Reading::Partial => format!("{came} bytes came, and not the end of the response's head"),
        Reading::Bad(why) => format!("{came} bytes came that are no response: {why}"),
    };
    if peer.reset.is_some() {
        text.push_str(", then a reset");
    } else if peer.incoming.is_finished() {
        text.push_str(", then a FIN");
    }
    if let Some(at) = peer.incoming.changed_at {
        let _ = write!(text, "; byte {at} came again as another");
    }
    text
}

/// The longest segment that came, in bytes of data.
pub(super) fn longest(peer: &Peer) -> usize {
    peer.incoming.arrivals.iter().map(|arrival| arrival.length).max().unwrap_or(0)
}

/// No reset came on this connection.
pub(super) fn never_reset(t: &mut Trial, peer: &Peer, stimulus: &str) {
    let came: Vec<_> = peer.reset.iter().cloned().collect();
    t.none(&came, format!("no reset {stimulus}"), |_| true);
}
