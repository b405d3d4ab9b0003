//! HTTP: the device's web server, with good requests and with bad ones.
//!
//! Good requests are an ordinary client's ([`Request`]); where every segment or every byte matters, the test
//! has a connection of its own in its hands ([`Peer`]).

mod clients;
mod connections;
mod malformed;
mod requests;

use super::super::model::{Flow, Group, Severity};
use super::super::peer::response::{Reading, Response};
use super::super::peer::{Opening, Peer};
use super::super::trial::{ANSWER, Trial};
use super::super::web::{Exchange, Request};
use Severity::Must;

/// The group.
pub static HTTP: Group = Group {
    name: "http",
    title: "HTTP",
    parts: &[requests::TESTS, connections::TESTS, malformed::TESTS, clients::TESTS],
};

/// A page that no device has.
const NOWHERE: &str = "/nope";
/// A page that some devices have, of that many bytes.
const BLOB: (&str, u64) = ("/blob/20000", 20_000);

/// What a server made of what was sent to it.
#[derive(Debug)]
enum Reaction {
    /// A response, be it whole or not.
    Response(Response),
    /// Something else.
    Other(String),
    /// The end of the connection.
    Closed,
    /// A reset.
    Reset,
    /// Nothing.
    Silence,
}

impl Reaction {
    fn of(reading: Reading, peer: &Peer) -> Reaction {
        match reading {
            Reading::Response(response) => Reaction::Response(response),
            Reading::Bad(why) => Reaction::Other(why),
            Reading::Partial if peer.incoming.stream().len() > peer.taken => {
                Reaction::Other("its head is not whole".to_owned())
            }
            Reading::Partial if peer.reset.is_some() => Reaction::Reset,
            Reading::Partial if peer.incoming.is_finished() => Reaction::Closed,
            Reading::Partial => Reaction::Silence,
        }
    }

    /// The status, if it is a whole response.
    fn status(&self) -> Option<u16> {
        self.response().filter(|response| response.is_complete).map(|response| response.status)
    }

    fn response(&self) -> Option<&Response> {
        match self {
            Reaction::Response(response) => Some(response),
            _ => None,
        }
    }

    /// In a few words, for reports.
    fn said(&self) -> String {
        match self {
            Reaction::Response(response) if response.is_complete => {
                format!("status {}", response.status)
            }
            Reaction::Response(response) => format!(
                "status {}, and {} bytes of a body that is not whole",
                response.status,
                response.body.len()
            ),
            Reaction::Other(why) => format!("what came is no response: {why}"),
            Reaction::Closed => "the connection was closed without a response".to_owned(),
            Reaction::Reset => "the connection was reset".to_owned(),
            Reaction::Silence => "nothing came".to_owned(),
        }
    }
}

/// The value of the Host field.
fn host(t: &Trial) -> String {
    match t.rig.target.ports.http {
        80 => t.identity().device_ip.to_string(),
        port => format!("{}:{port}", t.identity().device_ip),
    }
}

/// A request line and the fields that every request needs, without the empty line.
fn head(t: &Trial, line: &str) -> String {
    format!("{line}\r\nHost: {}\r\nConnection: close\r\n", host(t))
}

/// Sends bytes on a connection of their own; what came of it.
async fn send(t: &mut Trial, bytes: &[u8]) -> Flow<(Peer, Reaction)> {
    send_asking(t, bytes, true).await
}

/// The same; `has_body`: the request was not HEAD.
async fn send_asking(t: &mut Trial, bytes: &[u8], has_body: bool) -> Flow<(Peer, Reaction)> {
    let mut peer = Opening::to(t.rig.target.ports.http).open(t).await?;
    peer.write(t, bytes).await?; // a server may answer and close before it has read all
    let reading = peer.response(t, has_body).await?;
    let reaction = Reaction::of(reading, &peer);
    Ok((peer, reaction))
}

/// Ends a connection in order, or by a reset where the device does not end its side: servers have few.
async fn part(t: &mut Trial, mut peer: Peer) -> Flow {
    if peer.reset.is_some() {
        return Ok(());
    }
    peer.finish(t).await?;
    if !peer.wait_for_end(t, ANSWER).await? && peer.reset.is_none() {
        peer.abort(t).await?;
    }
    Ok(())
}

/// A request of an ordinary client is answered by a whole response with that status.
fn is_answered(t: &mut Trial, exchange: &Exchange, status: u16, what: &str) -> bool {
    let is_whole = exchange.is_whole(status);
    let cut = if exchange.wire.is_reset { ", and a reset" } else { "" };
    let actual = format!("{}{cut}", exchange.said());
    t.check(Must, is_whole, format!("a whole response with status {status} to {what}"), actual)
}

/// The server serves as before.
async fn still_serves(t: &mut Trial, after: &str) -> Flow {
    let exchange = t.ask(Request::get("/")).await?;
    is_answered(t, &exchange, 200, &format!("GET / after {after}"));
    Ok(())
}

/// The longest page that we know of, as it came.
async fn longest_page(t: &mut Trial) -> Flow<(&'static str, Exchange)> {
    let (path, length) = BLOB;
    let blob = t.ask(Request::get(path)).await?;
    if blob.is_whole(200) && blob.length == length {
        return Ok((path, blob));
    }
    let page = t.ask(Request::get("/")).await?;
    t.remark(format!("there is no {path}: the test uses / with its {} bytes", page.length));
    Ok(("/", page))
}
