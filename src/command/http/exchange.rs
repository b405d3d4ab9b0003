//! One request and its response, with the times of both.

use std::path::Path;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::header::LOCATION;
use hyper::{Response, StatusCode};
use reqwest::Url;
use sha2::{Digest, Sha256};

use super::body::{Body, Fate};
use super::client::{self, Client, Failure};
use super::redirect;
use super::request::Request;
use super::watch::{Patience, Progress, Watch};
use crate::analysis::stalls::Judgement;
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, Result};

/// Redirects that are followed.
const REDIRECTS: usize = 10;

/// The SHA-256 of a body.
pub(super) type Digest256 = [u8; 32];

/// What became of a request.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    /// When it began.
    pub(super) began: Timestamp,
    /// The response's status, if its head came.
    pub(super) status: Option<StatusCode>,
    /// Where the response came from, when that is not where the request went.
    pub(super) redirected: Option<Url>,
    /// Where it leads although nobody follows.
    pub(super) leads: Option<String>,
    /// The status in words, as the device has it.
    pub(super) reason: String,
    /// The head of the response, as it came.
    pub(super) head: Vec<u8>,
    /// Bytes of the body.
    pub(super) bytes: u64,
    /// From the beginning to the first byte of the response.
    pub(super) first_byte: Option<Duration>,
    /// From the beginning to the end.
    pub(super) total: Duration,
    /// Of the body, if it is whole.
    pub(super) digest: Option<Digest256>,
    /// Why there is no whole response.
    pub(super) failure: Option<String>,
    /// What the packets say.
    pub(super) judgement: Judgement,
}

impl Outcome {
    /// Whether there is a whole response that is no error.
    pub(super) fn is_ok(&self) -> bool {
        let is_good = |status: StatusCode| status.is_success() || status.is_redirection();
        self.failure.is_none() && self.status.is_some_and(is_good)
    }
}

/// Makes requests through a socket.
pub(super) struct Exchanger {
    client: Client,
    clock: Clock,
    patience: Patience,
}

impl Exchanger {
    /// One whose connections go through `socket`; with `keeps_alive` they are used again.
    pub(super) fn new(
        socket: &Path,
        clock: Clock,
        patience: Patience,
        keeps_alive: bool,
    ) -> Exchanger {
        let client = Client::new(socket.to_owned(), clock.clone(), keeps_alive);
        Exchanger { client, clock, patience }
    }

    /// Makes the request once; `body` takes what comes back. An error is one of our own.
    pub(super) async fn exchange(
        &mut self,
        request: &Request,
        watch: &mut Watch,
        body: &mut Body,
    ) -> Result<Outcome> {
        let mut outcome = Outcome { began: watch.begin(), ..Outcome::default() };
        let progress = Progress::default();
        self.client.heard.begin();
        let hope = watch.until_hopeless(self.patience, &progress);
        let end = tokio::select! {
            biased;
            end = self.fetch(request, &mut outcome, body, &progress) => end,
            why = hope => Err(Trouble::GaveUp(why)),
        };
        let now = match end {
            Ok(()) => progress.moved.get(), // what is written afterwards takes its own time
            Err(_) => self.clock.now(),
        };
        let first = self.client.heard.get().first;
        outcome.first_byte = first.map(|first| first.since(outcome.began));
        outcome.total = now.since(outcome.began);
        outcome.judgement = watch.judge(now);
        match end {
            Ok(()) => {}
            Err(Trouble::Own(error)) => return Err(error),
            Err(Trouble::GaveUp(why)) => outcome.failure = Some(why),
            Err(Trouble::Failed(failure)) => {
                let standing = outcome.judgement.standing;
                outcome.failure = Some(failure.said(standing, request.port()));
            }
        }
        Ok(outcome)
    }

    async fn fetch(
        &mut self,
        request: &Request,
        outcome: &mut Outcome,
        body: &mut Body,
        progress: &Progress,
    ) -> Result<(), Trouble> {
        let mut response = self.follow(request, outcome, progress).await?;
        body.begin(&outcome.head).await.map_err(Trouble::Own)?;
        let mut digest = Sha256::new();
        while let Some(frame) = response.body_mut().frame().await {
            let frame = frame.map_err(|error| Trouble::Failed(Failure::Http(error)))?;
            progress.moved.set(self.clock.now());
            let Some(chunk) = frame.data_ref() else { continue }; // trailers
            outcome.bytes += chunk.len() as u64;
            digest.update(chunk);
            progress.is_writing.set(true);
            let fate = body.write(chunk).await;
            progress.is_writing.set(false);
            if fate.map_err(Trouble::Own)? == Fate::Abandoned && !response.body().is_end_stream() {
                return Err(Trouble::GaveUp("whoever reads the body has left".to_owned()));
            }
        }
        progress.moved.set(self.clock.now());
        outcome.digest = Some(digest.finalize().into());
        body.finish().await.map_err(Trouble::Own)
    }

    /// Asks, and asks again where a response leads to the device: the last response.
    async fn follow(
        &mut self,
        request: &Request,
        outcome: &mut Outcome,
        progress: &Progress,
    ) -> Result<Response<Incoming>, Trouble> {
        let (mut url, mut asked) = (request.url.clone(), request.asked().map_err(Trouble::Own)?);
        let mut hops = 0;
        loop {
            let response = self.client.ask(&asked).await.map_err(Trouble::Failed)?;
            progress.moved.set(self.clock.now());
            outcome.note_head(&response, self.client.heard.get().head());
            let answer = (response.status(), response.headers());
            let Some(next) = redirect::next(request, (&url, &asked), answer) else {
                return Ok(response);
            };
            if hops == REDIRECTS {
                return Err(Trouble::Failed(Failure::Redirects(REDIRECTS)));
            }
            hops += 1;
            self.client.skip(response).await.map_err(Trouble::Failed)?;
            (url, asked) = next;
            outcome.redirected = Some(url.clone());
        }
    }
}

impl Outcome {
    fn note_head(&mut self, response: &Response<Incoming>, head: &[u8]) {
        let status = response.status();
        self.status = Some(status);
        self.reason = client::reason(head, status);
        self.head = head.to_vec();
        let leads = response.headers().get(LOCATION).filter(|_| status.is_redirection());
        self.leads = leads.map(|to| String::from_utf8_lossy(to.as_bytes()).into_owned());
    }
}

/// Why a request has no whole response.
enum Trouble {
    /// It would have taken too long, or nobody wants it.
    GaveUp(String),
    /// There was none.
    Failed(Failure),
    /// We could not write the body.
    Own(Error),
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::sync::{Arc, Mutex};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{UnixListener, UnixStream};

    use super::super::request::Typed;
    use crate::analysis::stalls::Standing;

    /// Serves requests on a connection: `/to/X` leads to X, `/say/X` says X after a head of its own, and
    /// what has no other answer is found.
    async fn serve(mut stream: UnixStream, heard: Arc<Mutex<Vec<String>>>) {
        let mut head = Vec::new();
        while let Ok(byte) = stream.read_u8().await {
            head.push(byte);
            if !head.ends_with(b"\r\n\r\n") {
                continue;
            }
            let request = String::from_utf8(std::mem::take(&mut head)).expect("text");
            let path = request.split(' ').nth(1).expect("a path").to_owned();
            heard.lock().expect("no panic").push(request);
            if path == "/slow" {
                stream.write_all(b"HTTP/1.1 200 OK\r\nX: ").await.expect("it is read");
                tokio::time::sleep(Duration::from_millis(400)).await;
                stream.write_all(b"1\r\ncontent-length: 0\r\n\r\n").await.expect("it is read");
                continue;
            }
            let (said, ends) = match (path.strip_prefix("/to/"), path.strip_prefix("/say/")) {
                (Some(to), _) => (format!("302 Found\r\nlocation: {to}\r\n"), false),
                (_, Some(more)) => (format!("200 OK\r\n{}", more.replace('_', "\r\n")), true),
                _ => ("200 OK\r\n".to_owned(), false),
            };
            let end = if ends { "" } else { "content-length: 0\r\n\r\n" };
            let answer = format!("HTTP/1.1 {said}{end}");
            stream.write_all(answer.as_bytes()).await.expect("it is read");
            if ends {
                return;
            }
        }
        heard.lock().expect("no panic").push("end".to_owned());
    }

    fn request(url: &str, headers: &[&str], data: Option<&str>) -> Request {
        let headers: Vec<_> = headers.iter().map(|line| (*line).to_owned()).collect();
        let typed = Typed { method: None, target: url, headers: &headers, data, is_head: false };
        Request::new(typed, Ipv4Addr::new(192, 168, 100, 2)).expect("a request")
    }

    /// What became of each of `requests`, and what was heard.
    async fn ask(requests: &[Request], keeps_alive: bool) -> (Vec<Outcome>, Vec<String>) {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("socket");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let shared = heard.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, shared.clone()));
            }
        });
        let whole = Some(Duration::from_secs(5));
        let patience = Patience { standing: Duration::from_secs(5), whole };
        let clock = Clock::system();
        let mut exchanger = Exchanger::new(&socket, clock.clone(), patience, keeps_alive);
        let mut outcomes = Vec::new();
        for request in requests {
            let mut outcome = Outcome { began: clock.now(), ..Outcome::default() };
            let (mut body, progress) = (Body::discard(), Progress::default());
            match exchanger.fetch(request, &mut outcome, &mut body, &progress).await {
                Ok(()) => {}
                Err(Trouble::Failed(failure)) => {
                    outcome.failure = Some(failure.said(Standing::Ended, 80));
                }
                Err(Trouble::GaveUp(why)) => outcome.failure = Some(why),
                Err(Trouble::Own(error)) => panic!("{}", error.chain()),
            }
            let first = exchanger.client.heard.get().first;
            outcome.first_byte = first.map(|first| first.since(outcome.began));
            outcomes.push(outcome);
            tokio::task::yield_now().await;
        }
        let heard = heard.lock().expect("no panic").clone();
        (outcomes, heard)
    }

    async fn ask_one(url: &str) -> Outcome {
        ask(&[request(url, &[], None)], false).await.0.remove(0)
    }

    #[tokio::test]
    async fn redirects_are_followed_on_the_same_device_only_and_not_for_ever() {
        for (url, status, at) in [
            ("http://a/to//b", 200, Some("http://a/b")),
            ("http://a/to/http://a/to/http://a:80/b", 200, Some("http://a/b")),
            ("http://a/to/http://192.168.100.2/b", 200, Some("http://192.168.100.2/b")),
            ("http://a/to/http://else/", 302, None),
            ("http://a/to/http://a:81/", 302, None),
            ("http://a/to/https://a/", 302, None),
            ("http://user:pw@a/b?x=\u{fc}#frag", 200, None),
        ] {
            let outcome = ask_one(url).await;
            assert_eq!(outcome.status.map(|status| status.as_u16()), Some(status), "{url}");
            assert_eq!(outcome.redirected.as_ref().map(Url::as_str), at, "{url}");
        }
        let turns = format!("http://a/{}end", "to/http://a/".repeat(10));
        assert!(ask_one(&turns).await.is_ok());
        let endless = format!("http://a/{}end", "to/http://a/".repeat(11));
        let failure = ask_one(&endless).await.failure;
        assert_eq!(failure.as_deref(), Some("more than 10 redirects"));
    }

    #[tokio::test]
    async fn the_host_is_named_and_connections_are_kept_only_when_that_is_wanted() {
        let requests = [(); 3].map(|()| request("http://esp.local:8080/x", &[], None));
        let (_, heard) = ask(&requests, true).await;
        assert_eq!(heard.len(), 3, "no connection has ended: {heard:?}");
        assert!(heard[0].contains("\r\nHost: esp.local:8080\r\n"), "{}", heard[0]);
        let (_, heard) = ask(&requests, false).await;
        assert!(heard.iter().any(|heard| heard == "end"), "{heard:?}");
    }

    #[tokio::test]
    async fn a_connection_that_has_ended_is_not_used_again() {
        let one = || request("http://a/say/content-length:0__", &[], None);
        let (outcomes, heard) = ask(&[one(), one(), one()], true).await;
        assert!(outcomes.iter().all(Outcome::is_ok), "{outcomes:?}");
        assert_eq!(heard.len(), 3, "{heard:?}");
    }

    #[tokio::test]
    async fn the_request_is_what_was_typed_and_nothing_else() {
        let headers = ["Accept:", "Host:", "User-Agent:", "X-B: 2", "x-a: 1"];
        let plain = "http://a/x?y#z";
        let (_, heard) = ask(
            &[
                request(plain, &headers, None),
                request(plain, &["accept: t", "host: other"], Some("")),
                request("http://user:pw@a/", &["Accept:", "User-Agent:"], None),
            ],
            false,
        )
        .await;
        let heard: Vec<_> = heard.iter().filter(|heard| *heard != "end").collect();
        assert_eq!(heard[0], "GET /x?y HTTP/1.1\r\nX-B: 2\r\nX-A: 1\r\n\r\n");
        let agent = concat!("uarttool/", env!("CARGO_PKG_VERSION"));
        let form = "Content-Type: application/x-www-form-urlencoded";
        assert_eq!(
            *heard[1],
            format!(
                "POST /x?y HTTP/1.1\r\nHost: other\r\nUser-Agent: {agent}\r\n{form}\r\n\
                 Content-Length: 0\r\nAccept: t\r\n\r\n"
            )
        );
        assert_eq!(
            heard[2],
            "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic dXNlcjpwdw==\r\n\r\n"
        );
    }

    #[tokio::test]
    async fn the_first_byte_is_the_first_and_not_the_whole_head() {
        let outcome = ask_one("http://a/slow").await;
        assert!(outcome.is_ok());
        assert!(outcome.first_byte.is_some_and(|first| first < Duration::from_millis(300)));
        assert_eq!(outcome.head, b"HTTP/1.1 200 OK\r\nX: 1\r\ncontent-length: 0\r\n\r\n");
    }

    #[tokio::test]
    async fn nonsense_and_an_early_end_are_told_apart() {
        let nonsense = "the device's response is no HTTP: ";
        let early = "the device closed the connection too early: ";
        for (said, wanted) in [
            ("content-length:1_content-length:2__x", nonsense),
            ("transfer-encoding:chunked__zz_", nonsense),
            ("b@d:1__", nonsense),
            ("content-length:", early),
            ("content-length:5__abc", early),
            ("transfer-encoding:chunked__5_ab", early),
        ] {
            let failure = ask_one(&format!("http://a/say/{said}")).await.failure;
            let failure = failure.unwrap_or_default();
            assert!(failure.starts_with(wanted), "{said}: {failure}");
        }
    }

    #[test]
    fn good_and_bad_statuses() {
        let with = |status: u16| Outcome {
            status: StatusCode::from_u16(status).ok(),
            ..Outcome::default()
        };
        assert!([200, 204, 302, 304].into_iter().all(|status| with(status).is_ok()));
        assert!(![404, 500, 101].into_iter().any(|status| with(status).is_ok()));
        assert!(!Outcome { failure: Some(String::new()), ..with(200) }.is_ok());
        assert!(!Outcome::default().is_ok());
    }
}
