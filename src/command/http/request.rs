//! What is asked for: method, address, header lines, body, out of what the user typed.

use std::io::Read;
use std::net::Ipv4Addr;

use bytes::Bytes;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue,
    USER_AGENT,
};
use hyper::{Method, Uri};
use reqwest::Url;

use super::client::Asked;
use super::credentials;

use crate::error::{Error, Result};

/// Who says that it asks, unless the user says another.
const AGENT: &str = concat!("uarttool/", env!("CARGO_PKG_VERSION"));
/// What curl calls a body that it is not told about.
const FORM: &str = "application/x-www-form-urlencoded";

/// One request, made as often as is wanted.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    /// In the order in which they are sent.
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
    /// The Host line follows the URL.
    pub(super) names_host: bool,
    /// Where the device is.
    pub(super) device: Ipv4Addr,
}

/// What the user typed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Typed<'a> {
    /// `GET`, if it was said.
    pub(super) method: Option<&'a str>,
    /// A URL, or a path on the device.
    pub(super) target: &'a str,
    pub(super) headers: &'a [String],
    /// Text, `@FILE` or `@-`.
    pub(super) data: Option<&'a str>,
    pub(super) is_head: bool,
}

impl Request {
    /// The request for a device that is at `device`.
    pub(super) fn new(typed: Typed<'_>, device: Ipv4Addr) -> Result<Request> {
        let url = url(typed.target, device)?;
        let method = match (typed.method, typed.is_head, typed.data) {
            (Some(name), _, _) => method(name)?,
            (None, true, _) => Method::HEAD,
            (None, false, Some(_)) => Method::POST,
            (None, false, None) => Method::GET,
        };
        let given = typed.headers.iter().map(|line| header(line)).collect::<Result<Vec<_>>>()?;
        let body = typed.data.map(data).transpose()?;
        let is_empty = body.as_ref().is_some_and(Bytes::is_empty);
        let fixed = HeaderValue::from_static;
        let own = [
            (HOST, Some(host(&url))),
            (USER_AGENT, Some(fixed(AGENT))),
            (ACCEPT, Some(fixed("*/*"))),
            (AUTHORIZATION, credentials::basic(&url)),
            (CONTENT_TYPE, body.as_ref().map(|_| fixed(FORM))),
            (CONTENT_LENGTH, is_empty.then(|| fixed("0"))), // of others it is known without us
        ];
        let is_given = |name: &HeaderName| given.iter().any(|(other, _)| other == name);
        let names_host = !is_given(&HOST);
        let mut headers = HeaderMap::new();
        // A Host line is the first, whoever wrote it; those of the user replace ours, not each other.
        let (hosts, others): (Vec<_>, Vec<_>) =
            given.iter().cloned().partition(|(name, _)| *name == HOST);
        let own = own.into_iter().filter(|(name, _)| !is_given(name));
        for (name, value) in hosts.into_iter().chain(own).chain(others) {
            if let Some(value) = value {
                headers.append(name, value);
            }
        }
        let request = Request { method, url, headers, body, names_host, device };
        request.asked()?; // what cannot be sent is known now
        Ok(request)
    }

    /// The request as it is sent.
    pub(super) fn asked(&self) -> Result<Asked> {
        let uri = uri(&self.url).ok_or_else(|| {
            Error::usage(format!("'{}' cannot be asked for", self.url))
                .with_help("write characters that are unusual in a URL as %41")
        })?;
        let (method, headers) = (self.method.clone(), self.headers.clone());
        Ok(Asked { method, uri, headers, body: self.body.clone().unwrap_or_default() })
    }

    /// The device's port.
    pub(super) fn port(&self) -> u16 {
        self.url.port().unwrap_or(80)
    }
}

/// Path and query of a URL, as they are sent.
pub(super) fn uri(url: &Url) -> Option<Uri> {
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}{query}", url.path()).parse().ok()
}

/// The Host line for a URL.
pub(super) fn host(url: &Url) -> HeaderValue {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let text = format!("{}{port}", url.host_str().unwrap_or_default());
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

fn method(name: &str) -> Result<Method> {
    let method = Method::from_bytes(name.as_bytes()).ok().filter(|_| !name.contains(['/', ':']));
    method.ok_or_else(|| {
        Error::usage(format!("'{name}' is not a method such as GET, POST or DELETE"))
            .with_help("the order is: uarttool http METHOD URL")
    })
}

/// The URL that `target` means.
fn url(target: &str, device: Ipv4Addr) -> Result<Url> {
    let whole = match target {
        _ if target.starts_with('/') => format!("http://{device}{target}"),
        _ if target.starts_with(':') => format!("http://{device}{target}"),
        _ if target.contains("://") => target.to_owned(),
        _ => format!("http://{target}"),
    };
    let bad = |why: String| {
        Error::usage(format!("'{target}' is no URL: {why}"))
            .with_help("give a path on the device such as /status, or http://HOST[:PORT]/PATH")
    };
    let url = Url::parse(&whole).map_err(|error| bad(error.to_string()))?;
    match url.scheme() {
        "http" if url.port() == Some(0) => Err(bad("there is no port 0".to_owned())),
        "http" => Ok(url),
        "https" => Err(Error::usage(format!(
            "'{target}' wants TLS, which uarttool does not speak: only http:// works here"
        ))
        .with_help("for https open a port with 'uarttool bridge --forward 8443:443' and use curl")),
        scheme => Err(bad(format!("'{scheme}' is not http"))),
    }
}

/// A header line; without a value it takes the line away that would be sent otherwise.
fn header(line: &str) -> Result<(HeaderName, Option<HeaderValue>)> {
    let bad = || {
        Error::usage(format!("'{line}' is no header line"))
            .with_help("the form is 'Name: value', and 'Name:' sends none of that name")
    };
    let (name, value) = line.split_once(':').ok_or_else(bad)?;
    let name = name.trim().parse().map_err(|_| bad())?;
    let value = match value.trim() {
        "" => None,
        value => Some(HeaderValue::from_bytes(value.as_bytes()).map_err(|_| bad())?),
    };
    Ok((name, value))
}

/// The body that `--data` names.
fn data(text: &str) -> Result<Bytes> {
    let Some(path) = text.strip_prefix('@') else {
        return Ok(Bytes::copy_from_slice(text.as_bytes()));
    };
    let read = match path {
        "-" => {
            let mut bytes = Vec::new();
            std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
        }
        path => std::fs::read(path),
    };
    let bytes = read.map_err(|error| {
        let what = if path == "-" { "stdin" } else { path };
        Error::usage(format!("cannot read '{what}' for '--data'")).caused_by(error)
    })?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 2);

    fn typed(target: &str) -> Typed<'_> {
        Typed { method: None, target, headers: &[], data: None, is_head: false }
    }

    fn said(typed: Typed<'_>) -> String {
        match Request::new(typed, DEVICE) {
            Ok(request) => format!("{} {} at {}", request.method, request.url, request.port()),
            Err(error) => error.chain(),
        }
    }

    #[test]
    fn paths_and_urls_lead_to_the_device() {
        for (target, wanted) in [
            ("/", "GET http://192.168.100.2/ at 80"),
            ("/a b?c=1", "GET http://192.168.100.2/a%20b?c=1 at 80"),
            (":8080/x", "GET http://192.168.100.2:8080/x at 8080"),
            ("http://esp.local:81/x", "GET http://esp.local:81/x at 81"),
            ("esp.local/x", "GET http://esp.local/x at 80"),
            ("HTTP://esp.local", "GET http://esp.local/ at 80"),
        ] {
            assert_eq!(said(typed(target)), wanted);
        }
        for (target, wanted) in [
            ("https://esp.local/", "wants TLS, which uarttool does not speak"),
            ("ftp://esp.local/", "'ftp' is not http"),
            ("http://esp.local:99999/", "invalid port number"),
            (":0/", "there is no port 0"),
            ("", "empty host"),
        ] {
            assert!(said(typed(target)).contains(wanted), "{target}: {}", said(typed(target)));
        }
    }

    #[test]
    fn the_method_follows_from_the_rest_as_with_curl() {
        let plain = typed("/");
        assert!(said(Typed { is_head: true, ..plain }).starts_with("HEAD "));
        assert!(said(Typed { data: Some("x"), ..plain }).starts_with("POST "));
        assert!(said(Typed { data: Some("x"), method: Some("PUT"), ..plain }).starts_with("PUT "));
        for bad in ["", "GE T", "/path", "http://x"] {
            assert!(said(Typed { method: Some(bad), ..plain }).contains("is not a method"));
        }
    }

    #[test]
    fn header_lines_replace_ours_and_can_take_them_away() {
        let lines = ["X-A: 1", "x-a:2", "User-Agent: me", "accept:"].map(str::to_owned);
        let request = Request::new(Typed { headers: &lines, data: Some(""), ..typed("/") }, DEVICE);
        let headers = request.expect("good").headers;
        assert_eq!(headers.get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(headers["user-agent"], "me");
        assert_eq!(headers["content-type"], FORM);
        assert!(!headers.contains_key("accept"));
        let names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["host", "content-type", "content-length", "x-a", "user-agent"]);
        for bad in ["", "no colon", ": x", "a b: x", "a: \n"] {
            assert_eq!(header(bad).is_err(), bad != "a: \n", "{bad:?}");
        }
    }

    #[test]
    fn a_body_is_text_or_a_file() {
        assert_eq!(data("a=1").expect("text"), "a=1");
        let error = data("@/nowhere/at/all").expect_err("there is none");
        assert!(error.chain().starts_with("cannot read '/nowhere/at/all' for '--data': no such"));
    }
}
