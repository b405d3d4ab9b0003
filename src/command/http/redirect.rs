//! Where a response leads to, and whether that is the device.
//!
//! The connection always leads to the device's port that was asked first. So a redirect is followed where it
//! names the same port, and the host by the name that was asked first or by the device's address; of any
//! other name it is not known whose it is. Methods change as browsers and curl change them (RFC 9110 section
//! 15.4): a 303, and a 301 or 302 after a POST, are followed by GET.

use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, LOCATION, TRANSFER_ENCODING};
use hyper::{Method, StatusCode};
use reqwest::Url;

use super::client::Asked;
use super::request::{Request, host, uri};

/// What is asked next, after `asked` at `url` was answered so; `None` where nothing is followed.
pub(super) fn next(
    first: &Request,
    (url, asked): (&Url, &Asked),
    (status, headers): (StatusCode, &HeaderMap),
) -> Option<(Url, Asked)> {
    let is_redirect = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = headers.get(LOCATION).filter(|_| is_redirect)?;
    let next = url.join(std::str::from_utf8(location.as_bytes()).ok()?).ok()?;
    if !is_device(first, &next) {
        return None;
    }
    let mut asked = Asked { uri: uri(&next)?, ..asked.clone() };
    let becomes_get = match status.as_u16() {
        301 | 302 => asked.method == Method::POST,
        303 => asked.method != Method::GET && asked.method != Method::HEAD,
        _ => false,
    };
    if becomes_get {
        asked.method = Method::GET;
        asked.body = bytes::Bytes::new();
        asked.without(&[CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING]);
    }
    if first.names_host {
        asked.headers.insert(HOST, host(&next));
    }
    Some((next, asked))
}

fn is_device(first: &Request, next: &Url) -> bool {
    let device = first.device.to_string();
    let is_its_name =
        next.host_str().is_some_and(|name| Some(name) == first.url.host_str() || name == device);
    next.scheme() == "http"
        && next.port_or_known_default() == first.url.port_or_known_default()
        && is_its_name
}

#[cfg(test)]
mod tests {
    use super::super::request::Typed;
    use super::*;

    fn followed(method: &str, status: u16, location: &str) -> Option<String> {
        let typed = Typed {
            method: Some(method),
            target: "http://esp.local:8080/a/b?c",
            headers: &[],
            data: (method == "POST").then_some("x"),
            is_head: false,
        };
        let first = Request::new(typed, "192.168.100.2".parse().expect("an address"));
        let first = first.expect("a request");
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, location.parse().expect("a value"));
        let status = StatusCode::from_u16(status).expect("a status");
        let asked = first.asked().expect("it can be sent");
        let (url, asked) = next(&first, (&first.url, &asked), (status, &headers))?;
        let names: Vec<_> = asked.headers.keys().map(|name| name.as_str()).collect();
        let host = asked.headers.get(HOST).and_then(|value| value.to_str().ok());
        assert_eq!(names.contains(&"content-type"), !asked.body.is_empty(), "{names:?}");
        Some(format!("{} {} of {} at {url}", asked.method, asked.uri, host.unwrap_or_default()))
    }

    #[test]
    fn redirects_are_followed_on_the_device_only() {
        for (location, wanted) in [
            ("d", "GET /a/d of esp.local:8080 at http://esp.local:8080/a/d"),
            ("/d?e#f", "GET /d?e of esp.local:8080 at http://esp.local:8080/d?e#f"),
            ("//esp.local:8080/", "GET / of esp.local:8080 at http://esp.local:8080/"),
            (
                "http://192.168.100.2:8080/x",
                "GET /x of 192.168.100.2:8080 at http://192.168.100.2:8080/x",
            ),
        ] {
            assert_eq!(followed("GET", 302, location).as_deref(), Some(wanted));
        }
        for other in ["http://esp.local/", "https://esp.local:8080/", "http://x:8080/", "http://"] {
            assert_eq!(followed("GET", 302, other), None, "{other}");
        }
        assert_eq!(followed("GET", 304, "/d"), None);
    }

    #[test]
    fn methods_change_as_with_browsers() {
        for (method, status, wanted) in [
            ("POST", 301, "GET"),
            ("POST", 302, "GET"),
            ("POST", 303, "GET"),
            ("POST", 307, "POST"),
            ("POST", 308, "POST"),
            ("PUT", 302, "PUT"),
            ("PUT", 303, "GET"),
            ("HEAD", 303, "HEAD"),
        ] {
            let said = followed(method, status, "/d").expect("it is followed");
            assert_eq!(said.split(' ').next(), Some(wanted), "{method} {status}");
        }
    }
}
