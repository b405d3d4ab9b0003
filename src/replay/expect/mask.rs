//! A stream without what may differ in it: the values of ignored headers of HTTP/1 (RFC 9112).
//!
//! Heads are found where lines begin with a status line or the stream does; bodies, of a length that the head
//! announces or in chunks, are passed over unread, so that nothing in them is taken for a head. Whether there is a body
//! depends on the question, too, which is not in this stream: an answer to HEAD announces one that does not come
//! (RFC 9110 section 9.3.2). So where a body would begin with a status line, that is the next head. Everything else
//! goes through as it is.

use super::ignore::Ignored;

/// What a head begins with.
const BEGINS: &[u8] = b"HTTP/1.";
/// A line of a head that is longer is none.
const LONGEST: usize = 16 * 1024;
/// What stands for a value that is not compared.
const INSTEAD: &[u8] = b" (ignored)\r\n";

#[derive(Clone, Copy, Debug)]
enum State {
    /// What is there may begin a head; if it does not, it is this.
    Begin(Content),
    /// In a line that is of no head.
    Line,
    /// In a head, or in the trailers of a body, which look the same.
    Head,
    /// In a body with so much left.
    Body(u64),
    /// In the line that says how long the next chunk is.
    Size,
    /// In a chunk with so much left, its line end included.
    Chunk(u64),
}

/// What is expected where a head may begin.
#[derive(Clone, Copy, Debug)]
enum Content {
    /// Nothing that is known.
    Lines,
    /// A body of so many bytes.
    Body(u64),
    /// A body in chunks.
    Chunks,
}

/// Masks one stream.
#[derive(Clone, Debug)]
pub(super) struct Mask {
    state: State,
    /// What is not decided yet.
    held: Vec<u8>,
    /// What the head has said of itself.
    head: Head,
}

/// What matters of a head.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    length: Option<u64>,
    is_chunked: bool,
    /// Its status has no body (RFC 9112 section 6.3).
    is_bodyless: bool,
}

impl Head {
    fn content(self) -> Content {
        match self {
            Head { is_bodyless: true, .. } => Content::Lines,
            Head { is_chunked: true, .. } => Content::Chunks,
            Head { length: Some(length @ 1..), .. } => Content::Body(length),
            Head { .. } => Content::Lines,
        }
    }
}

impl Default for Mask {
    fn default() -> Self {
        let state = State::Begin(Content::Lines);
        Mask { state, held: Vec::new(), head: Head::default() }
    }
}

impl Mask {
    /// Takes the next bytes of the stream and appends what they are to be compared as.
    pub(super) fn push(&mut self, mut bytes: &[u8], ignored: &Ignored, out: &mut Vec<u8>) {
        while !bytes.is_empty() {
            let taken = match self.state {
                State::Begin(content) => self.begin(bytes, content, ignored, out),
                State::Line => {
                    let end = bytes.iter().position(|byte| *byte == b'\n');
                    let taken = end.map_or(bytes.len(), |end| end + 1);
                    out.extend(&bytes[..taken]);
                    self.state = match end {
                        Some(_) => State::Begin(Content::Lines),
                        None => State::Line,
                    };
                    taken
                }
                State::Body(left) => self.pass(bytes, left, State::Begin(Content::Lines), out),
                State::Chunk(left) => self.pass(bytes, left, State::Size, out),
                State::Head | State::Size => self.line(bytes, ignored, out),
            };
            bytes = bytes.get(taken..).unwrap_or_default();
        }
    }

    /// Where a head may begin: takes a byte.
    fn begin(
        &mut self,
        bytes: &[u8],
        content: Content,
        ignored: &Ignored,
        out: &mut Vec<u8>,
    ) -> usize {
        self.held.extend(bytes.first());
        if !BEGINS.starts_with(&self.held) {
            self.state = match content {
                Content::Lines => State::Line,
                Content::Body(length) => State::Body(length),
                Content::Chunks => State::Size,
            };
            // No more than seven bytes, and each state takes one at least: this ends.
            let held = std::mem::take(&mut self.held);
            self.push(&held, ignored, out);
        } else if self.held.len() == BEGINS.len() {
            (self.state, self.head) = (State::Head, Head::default());
        }
        1
    }

    /// What goes through unread.
    fn pass(&mut self, bytes: &[u8], left: u64, then: State, out: &mut Vec<u8>) -> usize {
        let taken = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        out.extend(&bytes[..taken]);
        self.state = match (self.state, left - taken as u64) {
            (_, 0) => then,
            (State::Body(_), left) => State::Body(left),
            (_, left) => State::Chunk(left),
        };
        taken
    }

    /// In a line that has to be whole to be understood.
    fn line(&mut self, bytes: &[u8], ignored: &Ignored, out: &mut Vec<u8>) -> usize {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let room = LONGEST.saturating_sub(self.held.len()) + 1;
        let taken = end.map_or(bytes.len(), |end| end + 1).min(room);
        self.held.extend(&bytes[..taken]);
        if self.held.ends_with(b"\n") {
            let line = std::mem::take(&mut self.held);
            match self.state {
                State::Size => self.size(&line, out),
                _ => self.header(&line, ignored, out),
            }
        } else if self.held.len() > LONGEST {
            out.append(&mut self.held);
            self.state = State::Line;
        }
        taken
    }

    /// How long the next chunk is (RFC 9112 section 7.1).
    fn size(&mut self, line: &[u8], out: &mut Vec<u8>) {
        out.extend(line);
        let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'));
        self.state = match digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()) {
            Some(0) => {
                self.head = Head::default();
                State::Head
            }
            Some(length) => State::Chunk(length.saturating_add(2)),
            None => State::Begin(Content::Lines),
        };
    }

    /// A line of a head.
    fn header(&mut self, line: &[u8], ignored: &Ignored, out: &mut Vec<u8>) {
        let text = line.trim_ascii_end();
        if text.is_empty() {
            out.extend(line);
            self.state = State::Begin(self.head.content());
            return;
        }
        if text.starts_with(BEGINS) {
            let status = text.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
            self.head.is_bodyless = matches!(status, [b'1', _, _] | b"204" | b"304");
        }
        let colon = text.iter().position(|byte| *byte == b':');
        let Some((name, value)) = colon.and_then(|colon| text.split_at_checked(colon)) else {
            return out.extend(line);
        };
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
            self.head.length = length;
        }
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.head.is_chunked |= value.to_ascii_lowercase().ends_with(b"chunked");
        }
        if ignored.has_header(name) {
            out.extend(name);
            out.push(b':');
            out.extend(INSTEAD);
        } else {
            out.extend(line);
        }
    }

    /// Nothing more comes: appends what was not decided.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\nDate: today\r\nContent-Length: 15\r\nX: y\r\n\r\n\
        HTTP/1\nDate: x\nHTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\ndate:  now\r\n\r\nHTTP/1.0 200 OK\r\n\
        Transfer-Encoding: gzip, Chunked\r\n\r\n2;a=b\r\nHT\r\n1B\r\nDate: x\nHTTP/1.1 9\r\nDate: y\r\n0\r\nDate: z\r\n\r\n\
        HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 No\r\nDate: x\r\n\r\n";

    fn masked(pieces: &[&[u8]]) -> String {
        let ignored = Ignored::new(&[], &[]).expect("the table");
        let (mut mask, mut out) = (Mask::default(), Vec::new());
        pieces.iter().for_each(|piece| mask.push(piece, &ignored, &mut out));
        mask.finish(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn values_of_ignored_headers_are_masked_in_heads_only() {
        insta::assert_snapshot!(masked(&[STREAM]).replace('\r', ""), @r"
        HTTP/1.1 200 OK
        Date: (ignored)
        Content-Length: 15
        X: y

        HTTP/1
        Date: x
        HTTP/1.1 304 Not Modified
        Content-Length: 9
        date: (ignored)

        HTTP/1.0 200 OK
        Transfer-Encoding: gzip, Chunked

        2;a=b
        HT
        1B
        Date: x
        HTTP/1.1 9
        Date: y
        0
        Date: (ignored)

        HTTP/1.1 100 Continue

        HTTP/1.1 404 No
        Date: (ignored)

        ");
    }

    #[test]
    fn answers_to_head_announce_a_body_that_does_not_come() {
        for announced in ["Content-Length: 500", "Transfer-Encoding: chunked"] {
            let head = format!("HTTP/1.1 200 OK\r\n{announced}\r\nDate: today\r\n\r\n");
            let all = format!("{head}{head}");
            let wanted = all.replace("today", "(ignored)");
            assert_eq!(masked(&[all.as_bytes()]), wanted);
            // What only looks like another head is the body.
            let body = format!("{head}HTTP/2 x\nDate: x\r\n");
            assert_eq!(masked(&[body.as_bytes()]), body.replacen("today", "(ignored)", 1));
        }
    }

    #[test]
    fn what_announces_nonsense_goes_through() {
        for nonsense in ["Content-Length: -1", "Transfer-Encoding: chunked"] {
            let text = format!("HTTP/1.1 200 OK\r\n{nonsense}\r\n\r\n+5\r\nDate: x\r\n");
            assert_eq!(masked(&[text.as_bytes()]), text);
        }
        let huge = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nHTTP/1.1 1\r\nDate: x\r\n";
        assert_eq!(masked(&[huge.as_bytes()]), huge);
        let long = format!("HTTP/1.1 {}\r\nDate: x\r\n", "x".repeat(LONGEST));
        assert_eq!(masked(&[long.as_bytes()]), long);
    }

    proptest! {
        #[test]
        fn however_it_is_cut(at in 0..STREAM.len(), more in 0..STREAM.len()) {
            let (first, rest) = STREAM.split_at(at);
            let (second, third) = rest.split_at(more.min(rest.len()));
            prop_assert_eq!(masked(&[first, second, third]), masked(&[STREAM]));
        }

        #[test]
        fn what_is_no_http_is_as_it_was(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let ignored = Ignored::new(&[], &[]).expect("the table");
            let (mut mask, mut out) = (Mask::default(), Vec::new());
            mask.push(&bytes, &ignored, &mut out);
            mask.finish(&mut out);
            prop_assert_eq!(out, bytes);
        }
    }
}
