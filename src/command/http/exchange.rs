//! One request and its response, with the times of both.

use std::path::Path;
use std::time::Duration;

use reqwest::header::{HeaderMap, LOCATION};
use reqwest::redirect::{Action, Attempt, Policy};
use reqwest::{Client, Response, StatusCode, Url};
use sha2::{Digest, Sha256};

use super::body::{Body, Fate};
use super::request::Request;
use super::watch::{Patience, Progress, Watch};
use crate::analysis::stalls::{Judgement, Standing};
use crate::clock::{Clock, Timestamp};
use crate::error::{Category, Error, Result};

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
    /// The header lines of the response.
    pub(super) headers: HeaderMap,
    /// Bytes of the body.
    pub(super) bytes: u64,
    /// From the beginning to the head of the response.
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
    ) -> Result<Exchanger> {
        let client = client(socket, keeps_alive).map_err(|error| {
            Error::new(Category::Internal, "cannot make an HTTP client").caused_by(error)
        })?;
        Ok(Exchanger { client, clock, patience })
    }

    /// Makes the request once; `body` takes what comes back. An error is one of our own.
    pub(super) async fn exchange(
        &self,
        request: &Request,
        watch: &mut Watch,
        body: &mut Body,
    ) -> Result<Outcome> {
        let mut outcome = Outcome { began: watch.begin(), ..Outcome::default() };
        let progress = Progress::default();
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
        outcome.total = now.since(outcome.began);
        outcome.judgement = watch.judge(now);
        match end {
            Ok(()) => {}
            Err(Trouble::Own(error)) => return Err(error),
            Err(Trouble::GaveUp(why)) => outcome.failure = Some(why),
            Err(Trouble::Client(error)) => {
                outcome.failure = Some(said(&error, outcome.judgement.standing, request.port()));
            }
        }
        Ok(outcome)
    }

    async fn fetch(
        &self,
        request: &Request,
        outcome: &mut Outcome,
        body: &mut Body,
        progress: &Progress,
    ) -> Result<(), Trouble> {
        let mut asking = self.client.request(request.method.clone(), request.url.clone());
        asking = asking.headers(request.headers.clone());
        if let Some(data) = &request.body {
            asking = asking.body(data.clone());
        }
        let mut response = asking.send().await.map_err(Trouble::Client)?;
        let now = self.clock.now();
        progress.moved.set(now);
        outcome.first_byte = Some(now.since(outcome.began));
        outcome.note_head(request, &response);
        body.begin(&response).await.map_err(Trouble::Own)?;
        let mut digest = Sha256::new();
        while let Some(chunk) = response.chunk().await.map_err(Trouble::Client)? {
            progress.moved.set(self.clock.now());
            outcome.bytes += chunk.len() as u64;
            digest.update(&chunk);
            progress.is_writing.set(true);
            let fate = body.write(&chunk).await;
            progress.is_writing.set(false);
            if fate.map_err(Trouble::Own)? == Fate::Abandoned {
                break;
            }
        }
        progress.moved.set(self.clock.now());
        outcome.digest = Some(digest.finalize().into());
        body.finish().await.map_err(Trouble::Own)
    }
}

impl Outcome {
    fn note_head(&mut self, request: &Request, response: &Response) {
        self.status = Some(response.status());
        self.headers = response.headers().clone();
        self.redirected = Some(response.url().clone()).filter(|url| *url != request.url);
        let leads = response.headers().get(LOCATION).filter(|_| response.status().is_redirection());
        self.leads = leads.map(|to| String::from_utf8_lossy(to.as_bytes()).into_owned());
    }
}

fn client(socket: &Path, keeps_alive: bool) -> reqwest::Result<Client> {
    Client::builder()
        .unix_socket(socket)
        .no_proxy()
        .http1_only()
        .referer(false)
        .retry(reqwest::retry::never())
        .redirect(Policy::custom(follow))
        .pool_max_idle_per_host(usize::from(keeps_alive))
        .build()
}

/// Why a request has no whole response.
enum Trouble {
    /// It would have taken too long.
    GaveUp(String),
    /// The HTTP client says so.
    Client(reqwest::Error),
    /// We could not write the body.
    Own(Error),
}

/// Follows to where the device itself is meant, under its name and port of the first request.
fn follow(attempt: Attempt<'_>) -> Action {
    let first = attempt.previous().first();
    let place = |url: &Url| {
        (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port_or_known_default())
    };
    if first.is_none_or(|first| place(first) != place(attempt.url())) {
        return attempt.stop();
    }
    match attempt.previous().len() > REDIRECTS {
        true => attempt.error(format!("more than {REDIRECTS} redirects")),
        false => attempt.follow(),
    }
}

/// What a person is told of an error of the client, given what the packets showed.
fn said(error: &reqwest::Error, standing: Standing, port: u16) -> String {
    match standing {
        Standing::Refused => return format!("the device refuses connections to port {port}"),
        Standing::Reset => return "the device reset the connection".to_owned(),
        Standing::Asked | Standing::Unknown => return "the device did not answer".to_owned(),
        Standing::Open | Standing::Ended => {}
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    let is_early = standing == Standing::Ended && !error.is_redirect();
    match is_early && (error.is_request() || error.is_body() || error.is_decode()) {
        true => format!("the device closed the connection too early: {cause}"),
        false => cause.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{UnixListener, UnixStream};

    /// Serves requests on a connection: `/to/X` leads to X, and what has no other answer is found.
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
            let answer = match path.strip_prefix("/to/") {
                Some(to) => format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\n"),
                None => "HTTP/1.1 200 OK\r\n".to_owned(),
            };
            let answer = answer + "content-length: 0\r\n\r\n";
            stream.write_all(answer.as_bytes()).await.expect("it is read");
        }
        heard.lock().expect("no panic").push("end".to_owned());
    }

    /// What comes back for each of `urls`, and what was heard.
    async fn ask(urls: &[&str], keeps_alive: bool) -> (Vec<String>, Vec<String>) {
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
        let client = client(&socket, keeps_alive).expect("a client");
        let mut said = Vec::new();
        for url in urls {
            said.push(match client.get(*url).send().await {
                Ok(response) => format!("{} {}", response.status().as_u16(), response.url()),
                Err(error) => super::said(&error, Standing::Open, 80),
            });
            tokio::task::yield_now().await;
        }
        let heard = heard.lock().expect("no panic").clone();
        (said, heard)
    }

    #[tokio::test]
    async fn redirects_are_followed_on_the_same_device_only_and_not_for_ever() {
        let urls = [
            "http://a/to//b",
            "http://a/to/http://a/to/http://a:80/b",
            "http://a/to/http://else/",
            "http://a/to/http://a:81/",
            "http://a/to/https://a/",
        ];
        let (said, _) = ask(&urls, false).await;
        let wanted = ["200 http://a/b", "200 http://a/b", "302", "302", "302"];
        for (said, wanted) in said.iter().zip(wanted) {
            assert!(said.starts_with(wanted), "{said}");
        }
        let turns = format!("http://a/{}end", "to/http://a/".repeat(10));
        let endless = format!("http://a/{}end", "to/http://a/".repeat(11));
        let (said, _) = ask(&[&turns, &endless], false).await;
        assert_eq!(said, ["200 http://a/end", "more than 10 redirects"]);
    }

    #[tokio::test]
    async fn the_host_is_named_and_connections_are_kept_only_when_that_is_wanted() {
        let urls = ["http://esp.local:8080/x"; 3];
        let (_, heard) = ask(&urls, true).await;
        assert_eq!(heard.len(), 3, "no connection has ended: {heard:?}");
        assert!(heard[0].contains("\r\nhost: esp.local:8080\r\n"), "{}", heard[0]);
        let (_, heard) = ask(&urls, false).await;
        assert!(heard.iter().any(|heard| heard == "end"), "{heard:?}");
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
