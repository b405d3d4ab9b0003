//! Requests over connections through the socket, as they are given: nothing is added but the length of a
//! body, and nothing is followed.

use std::io::ErrorKind::{self, InvalidData, InvalidInput, UnexpectedEof};
use std::path::PathBuf;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::ear::{Ear, SharedHeard};
use crate::analysis::stalls::Standing;
use crate::clock::Clock;

/// Bytes of an unwanted body that are taken so that its connection can be used again.
const UNWANTED: usize = 64 * 1024;

/// What is asked on the wire.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    /// Path and query.
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap<HeaderValue>,
    pub(super) body: Bytes,
}

impl Asked {
    /// The same without these header lines; the order of the others stays.
    pub(super) fn without(&mut self, names: &[HeaderName]) {
        let all = std::mem::take(&mut self.headers);
        let kept = all.iter().filter(|(name, _)| !names.contains(name));
        for (name, value) in kept {
            self.headers.append(name, value.clone());
        }
    }
}

/// Makes connections and keeps one, if that is wanted.
pub(super) struct Client {
    socket: PathBuf,
    clock: Clock,
    keeps_alive: bool,
    kept: Option<SendRequest<Full<Bytes>>>,
    /// What was heard on the connection.
    pub(super) heard: SharedHeard,
}

impl Client {
    /// One whose connections go through `socket`.
    pub(super) fn new(socket: PathBuf, clock: Clock, keeps_alive: bool) -> Client {
        Client { socket, clock, keeps_alive, kept: None, heard: SharedHeard::default() }
    }

    /// Sends a request, and waits for the head of its response.
    pub(super) async fn ask(&mut self, asked: &Asked) -> Result<Response<Incoming>, Failure> {
        let mut request = hyper::Request::new(Full::new(asked.body.clone()));
        *request.method_mut() = asked.method.clone();
        *request.uri_mut() = asked.uri.clone();
        *request.headers_mut() = asked.headers.clone();
        if let Some(mut sender) = self.kept.take() {
            self.heard.begin();
            let answer = match sender.ready().await {
                Ok(()) => sender.try_send_request(request).await,
                Err(_) => return self.ask_anew(request).await, // it has ended meanwhile
            };
            match answer {
                Ok(response) => return Ok(self.keep(sender, response)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(Failure::Http(error.into_error())),
                },
            }
        }
        self.ask_anew(request).await
    }

    async fn ask_anew(
        &mut self,
        request: hyper::Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Failure> {
        self.heard = SharedHeard::default();
        let stream = UnixStream::connect(&self.socket).await.map_err(Failure::Socket)?;
        let ear = Ear::new(stream, self.clock.clone(), self.heard.clone());
        let mut builder = Builder::new();
        builder.title_case_headers(true);
        let (mut sender, connection) =
            builder.handshake(TokioIo::new(ear)).await.map_err(Failure::Http)?;
        tokio::spawn(connection); // what goes wrong with it is told to who asks
        let response = sender.send_request(request).await.map_err(Failure::Http)?;
        Ok(self.keep(sender, response))
    }

    fn keep(
        &mut self,
        sender: SendRequest<Full<Bytes>>,
        response: Response<Incoming>,
    ) -> Response<Incoming> {
        self.kept = Some(sender).filter(|_| self.keeps_alive);
        response
    }

    /// Does without the body of a response; its connection is used again if the body is short.
    pub(super) async fn skip(&mut self, mut response: Response<Incoming>) -> Result<(), Failure> {
        let mut taken = 0;
        while self.kept.is_some() {
            match response.body_mut().frame().await {
                None => return Ok(()),
                Some(frame) => {
                    let frame = frame.map_err(Failure::Http)?;
                    taken += frame.data_ref().map_or(0, Bytes::len);
                }
            }
            if taken > UNWANTED {
                self.kept = None;
            }
        }
        Ok(())
    }
}

/// The status in words, as the device has it: what follows the number in the first line of a head.
pub(super) fn reason(head: &[u8], status: StatusCode) -> String {
    let line = head.split(|byte| *byte == b'\n').find(|line| line.len() > 1);
    let words = line.and_then(|line| line.splitn(3, |byte| *byte == b' ').nth(2));
    match words {
        Some(words) => String::from_utf8_lossy(words).trim().to_owned(),
        None if head.is_empty() => status.canonical_reason().unwrap_or_default().to_owned(),
        None => String::new(),
    }
}

/// Why there is no whole response.
#[derive(Debug)]
pub(super) enum Failure {
    /// Our own socket.
    Socket(std::io::Error),
    /// What came, or that nothing more did.
    Http(hyper::Error),
    /// Too many redirects.
    Redirects(usize),
}

impl Failure {
    /// What a person is told of it, given what the packets showed.
    pub(super) fn said(&self, standing: Standing, port: u16) -> String {
        let error = match self {
            Failure::Http(error) => error,
            Failure::Redirects(most) => return format!("more than {most} redirects"),
            Failure::Socket(error) => return format!("no connection to our own network: {error}"),
        };
        let cause = last_cause(error);
        if error.is_parse() || is_io(error, &[InvalidData, InvalidInput]) {
            return format!("the device's response is no HTTP: {cause}");
        }
        match standing {
            Standing::Refused => return format!("the device refuses connections to port {port}"),
            Standing::Reset => return "the device reset the connection".to_owned(),
            Standing::Asked | Standing::Unknown => return "the device did not answer".to_owned(),
            Standing::Open | Standing::Ended => {}
        }
        match error.is_incomplete_message() || is_io(error, &[UnexpectedEof]) {
            true => format!("the device closed the connection too early: {cause}"),
            false => cause,
        }
    }
}

fn last_cause(error: &hyper::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    cause.to_string()
}

/// Whether below the error is one of input and output of these kinds.
fn is_io(error: &hyper::Error, kinds: &[ErrorKind]) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && kinds.contains(&io.kind())
        {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_keeps_its_words() {
        for (head, wanted) in [
            (&b"HTTP/1.1 500 Sensor Broken\r\nA: b c\r\n\r\n"[..], "Sensor Broken"),
            (b"\r\nHTTP/1.1 500 X\n\n", "X"),
            (b"HTTP/1.1 500\r\nA: b c\r\n\r\n", ""),
            (b"HTTP/1.1 500 \r\n\r\n", ""),
            (b"", "Internal Server Error"),
        ] {
            assert_eq!(reason(head, StatusCode::INTERNAL_SERVER_ERROR), wanted);
        }
    }
}
