//! HTTP/1 responses, read tolerantly out of a stream that is still growing (RFC 9112).

/// Bytes of a head at most.
const MOST_HEAD: usize = 64 * 1024;

/// How the end of a body is known (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none: the answer to HEAD, 1xx, 204 or 304.
    Nothing,
    /// Content-Length says so many bytes.
    Length(usize),
    /// It comes in chunks.
    Chunked,
    /// It ends with the connection.
    UntilClose,
}

/// A response, as far as it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// What stands before the status: `HTTP/1.1`.
    pub version: String,
    /// The status.
    pub status: u16,
    /// Names and values, as they were written.
    pub headers: Vec<(String, String)>,
    /// How the end of the body is known.
    pub framing: Framing,
    /// The body, as far as it has come.
    pub body: Vec<u8>,
    /// Whether nothing is missing.
    pub is_complete: bool,
    /// Bytes of the stream that it takes.
    pub used: usize,
}

impl Response {
    /// The value of the first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Whether a header that lists words has this one.
    pub fn has_word(&self, name: &str, word: &str) -> bool {
        let of_name = self.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        of_name
            .flat_map(|(_, value)| value.split(','))
            .any(|own| own.trim().eq_ignore_ascii_case(word))
    }

    /// Whether the connection ends behind it (RFC 9112 section 9.3).
    pub fn closes(&self) -> bool {
        let lives_on = self.version == "HTTP/1.1" || self.has_word("connection", "keep-alive");
        self.framing == Framing::UntilClose || self.has_word("connection", "close") || !lives_on
    }
}

/// What a stream begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// A response may begin there; its head has not come yet.
    Partial,
    /// A response; [`Response::is_complete`] says whether more has to come.
    Response(Response),
    /// That is none, for this reason.
    Bad(String),
}

/// Reads the response that begins the stream. `is_closed`: nothing more will come. `has_body`: the
/// request was not HEAD.
pub fn read(stream: &[u8], is_closed: bool, has_body: bool) -> Reading {
    let Some(head_length) = end_of_head(stream) else {
        return match starts_well(stream) {
            false => Reading::Bad("it does not begin with a status line".to_owned()),
            true if stream.len() > MOST_HEAD => Reading::Bad("its head has no end".to_owned()),
            true => Reading::Partial,
        };
    };
    let head = String::from_utf8_lossy(&stream[..head_length]);
    let mut lines = head.lines();
    let Some((version, status)) = lines.next().and_then(status_line) else {
        return Reading::Bad("it does not begin with a status line".to_owned());
    };
    let headers: Vec<_> = lines.filter_map(header_line).collect();
    let mut response = Response {
        version,
        status,
        headers,
        framing: Framing::Nothing,
        body: Vec::new(),
        is_complete: true,
        used: head_length,
    };
    let bodyless = !has_body || matches!(status, 100..=199 | 204 | 304);
    if !bodyless {
        response.framing = match framing(&response) {
            Ok(framing) => framing,
            Err(why) => return Reading::Bad(why),
        };
        if let Err(why) = take_body(&mut response, &stream[head_length..], is_closed) {
            return Reading::Bad(why);
        }
    }
    Reading::Response(response)
}

fn starts_well(stream: &[u8]) -> bool {
    let n = stream.len().min(5);
    stream[..n].eq_ignore_ascii_case(&b"HTTP/"[..n])
}

/// Where the head ends, its empty line included. Bare LF ends a line as well (RFC 9112 section 2.2).
fn end_of_head(stream: &[u8]) -> Option<usize> {
    let within = &stream[..stream.len().min(MOST_HEAD)];
    let mut begin = 0;
    for (at, _) in within.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
        if at > 0 && matches!(&within[begin..at], b"" | b"\r") {
            return Some(at + 1);
        }
        begin = at + 1;
    }
    None
}

fn status_line(line: &str) -> Option<(String, u16)> {
    let (version, rest) = line.split_once(' ')?;
    let status = rest.get(..3)?.parse().ok()?;
    let is_version = version.len() >= 5 && version[..5].eq_ignore_ascii_case("HTTP/");
    is_version.then(|| (version.to_owned(), status))
}

fn header_line(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    Some((name.trim().to_owned(), value.trim().to_owned()))
}

fn framing(response: &Response) -> Result<Framing, String> {
    if response.has_word("transfer-encoding", "chunked") {
        return Ok(Framing::Chunked);
    }
    match response.header("content-length") {
        None => Ok(Framing::UntilClose),
        Some(text) => match text.parse() {
            Ok(length) => Ok(Framing::Length(length)),
            Err(_) => Err(format!("its Content-Length is '{text}'")),
        },
    }
}

fn take_body(response: &mut Response, rest: &[u8], is_closed: bool) -> Result<(), String> {
    match response.framing {
        Framing::Nothing => {}
        Framing::Length(length) => {
            let body = &rest[..rest.len().min(length)];
            response.is_complete = body.len() == length;
            response.used += body.len();
            response.body = body.to_vec();
        }
        Framing::UntilClose => {
            response.is_complete = is_closed;
            response.used += rest.len();
            response.body = rest.to_vec();
        }
        Framing::Chunked => {
            response.is_complete = false;
            let used = take_chunks(response, rest)?;
            response.used += used;
        }
    }
    Ok(())
}

/// Takes chunks (RFC 9112 section 7.1); the bytes that they take.
fn take_chunks(response: &mut Response, rest: &[u8]) -> Result<usize, String> {
    let mut at = 0;
    loop {
        let Some(line) = line_at(rest, at) else { return Ok(at) };
        let text = String::from_utf8_lossy(line).into_owned();
        let size = text.split(';').next().unwrap_or_default().trim();
        let Ok(size) = usize::from_str_radix(size, 16) else {
            return Err(format!("a chunk's size is '{size}'"));
        };
        let data = at + line.len() + 1;
        if size == 0 {
            return Ok(match end_of_trailers(rest, data) {
                Some(end) => {
                    response.is_complete = true;
                    end
                }
                None => at,
            });
        }
        let end = data.saturating_add(size);
        let (Some(chunk), Some(_)) = (rest.get(data..end), line_at(rest, end)) else {
            response
                .body
                .extend_from_slice(rest.get(data..).map_or(&[], |r| &r[..r.len().min(size)]));
            return Ok(rest.len());
        };
        response.body.extend_from_slice(chunk);
        at = end + line_at(rest, end).map_or(0, <[u8]>::len) + 1;
    }
}

/// The line that begins at `at`, without its LF, if that has come.
fn line_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let rest = bytes.get(at..)?;
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    Some(&rest[..end])
}

fn end_of_trailers(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let line = line_at(bytes, at)?;
        at += line.len() + 1;
        if matches!(line, b"" | b"\r") {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn response(stream: &[u8], is_closed: bool, has_body: bool) -> Response {
        match read(stream, is_closed, has_body) {
            Reading::Response(response) => response,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_length_says_where_the_body_ends() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhelloHTTP/1.1 404";
        let whole = response(text, false, true);
        assert_eq!((whole.status, &whole.body[..], whole.is_complete), (200, &b"hello"[..], true));
        assert_eq!((whole.header("x"), &text[whole.used..]), (Some("y"), &b"HTTP/1.1 404"[..]));
        assert!(!whole.closes());
        let cut = response(&text[..47], true, true);
        assert_eq!((&cut.body[..], cut.is_complete), (&b"hel"[..], false));
        assert_eq!(read(&text[..30], false, true), Reading::Partial);
        let head = response(text, false, false);
        assert_eq!((head.framing, head.body.len()), (Framing::Nothing, 0));
    }

    #[test]
    fn without_a_length_the_end_of_the_connection_does() {
        let text = b"HTTP/1.0 200 OK\n\nhello";
        assert!(!response(text, false, true).is_complete);
        let whole = response(text, true, true);
        assert_eq!(
            (&whole.body[..], whole.is_complete, whole.closes()),
            (&b"hello"[..], true, true)
        );
    }

    #[test]
    fn chunks_are_put_together() {
        let text =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nhell\r\n1\r\no\r\n0\r\nT: r\r\n\r\nmore";
        let whole = response(text, false, true);
        assert_eq!((&whole.body[..], whole.is_complete), (&b"hello"[..], true));
        assert_eq!(&text[whole.used..], b"more");
        let cut = response(&text[..56], false, true);
        assert_eq!((&cut.body[..], cut.is_complete), (&b"he"[..], false));
    }

    #[test]
    fn what_is_no_response_is_told() {
        for text in [&b"<html>"[..], b"HTTP/1.1 abc\r\n\r\n", b"SSH-2.0\r\n\r\n"] {
            assert!(matches!(read(text, false, true), Reading::Bad(_)), "{text:?}");
        }
        let bad = b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n";
        assert_eq!(read(bad, false, true), Reading::Bad("its Content-Length is '-1'".to_owned()));
        assert_eq!(read(b"HT", false, true), Reading::Partial);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            head in "(HTTP/1\\.1 200 OK\r\n)?(Content-Length: [0-9]{0,25}\r\n)?(Transfer-Encoding: chunked\r\n)?\r\n",
            rest in "[0-9a-fx;\r\n]{0,60}",
            flags in any::<(bool, bool)>(),
        ) {
            let text = [head, rest].concat();
            for end in 0..=text.len() {
                let _ = read(&text.as_bytes()[..end], flags.0, flags.1);
            }
        }
    }
}
