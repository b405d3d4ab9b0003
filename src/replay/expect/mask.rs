//! A stream without what may differ in it: the values of ignored headers of HTTP/1 (RFC 9112).
//!
//! Heads are found where lines begin with a status line or the stream does; the length that a head announces is passed over
//! unread, so that nothing in a body is taken for a head. Everything else goes through as it is.

use super::ignore::Ignored;

/// What a head begins with.
const BEGINS: &[u8] = b"HTTP/1.";
/// A line of a head that is longer is none.
const LONGEST: usize = 16 * 1024;
/// What stands for a value that is not compared.
const INSTEAD: &[u8] = b" (ignored)\r\n";

#[derive(Clone, Debug, Default)]
enum State {
    /// A line begins: what is there may begin a head.
    #[default]
    Begin,
    /// In a line that is of no head.
    Line,
    /// In a head.
    Head,
    /// In a body with so much left.
    Body(u64),
}

/// Masks one stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Mask {
    state: State,
    /// What is not decided yet.
    held: Vec<u8>,
    length: Option<u64>,
}

impl Mask {
    /// Takes the next bytes of the stream and appends what they are to be compared as.
    pub(super) fn push(&mut self, mut bytes: &[u8], ignored: &Ignored, out: &mut Vec<u8>) {
        while let Some((&byte, rest)) = bytes.split_first() {
            match self.state {
                State::Body(left) => {
                    let n = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    out.extend(&bytes[..n]);
                    bytes = &bytes[n..];
                    let left = left - n as u64;
                    self.state = if left == 0 { State::Begin } else { State::Body(left) };
                }
                State::Line => {
                    let end = bytes.iter().position(|byte| *byte == b'\n');
                    let n = end.map_or(bytes.len(), |end| end + 1);
                    out.extend(&bytes[..n]);
                    bytes = &bytes[n..];
                    self.state = if end.is_some() { State::Begin } else { State::Line };
                }
                State::Begin => {
                    self.held.push(byte);
                    bytes = rest;
                    if !BEGINS.starts_with(&self.held) {
                        out.append(&mut self.held);
                        self.state = if byte == b'\n' { State::Begin } else { State::Line };
                    } else if self.held.len() == BEGINS.len() {
                        (self.state, self.length) = (State::Head, None);
                    }
                }
                State::Head => {
                    self.held.push(byte);
                    bytes = rest;
                    if byte == b'\n' {
                        self.line(ignored, out);
                    } else if self.held.len() > LONGEST {
                        out.append(&mut self.held);
                        self.state = State::Line;
                    }
                }
            }
        }
    }

    /// A line of a head is whole.
    fn line(&mut self, ignored: &Ignored, out: &mut Vec<u8>) {
        let line = std::mem::take(&mut self.held);
        let text = line.trim_ascii_end();
        if text.is_empty() {
            out.extend(&line);
            self.state = match self.length {
                Some(1..) => State::Body(self.length.unwrap_or_default()),
                _ => State::Begin,
            };
            return;
        }
        let colon = text.iter().position(|byte| *byte == b':');
        let Some((name, value)) = colon.and_then(|colon| text.split_at_checked(colon)) else {
            return out.extend(&line);
        };
        if name.eq_ignore_ascii_case(b"content-length") {
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            self.length = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
        }
        if ignored.has_header(name) {
            out.extend(name);
            out.push(b':');
            out.extend(INSTEAD);
        } else {
            out.extend(&line);
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

    const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\nDate: today\r\nContent-Length: 14\r\nX: y\r\n\r\n\
        HTTP/1.1\nDate:HTTP/1.1 304 Not Modified\r\ndate:  now\r\n\r\nHTTP/1.0 200 OK\r\n\
        Transfer-Encoding: chunked\r\n\r\n5\r\nDate:\r\n0\r\n\r\nHTTP/1.1 404 No\r\nDate: x\r\n\r\n";

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
        Content-Length: 14
        X: y

        HTTP/1.1
        Date:HTTP/1.1 304 Not Modified
        date: (ignored)

        HTTP/1.0 200 OK
        Transfer-Encoding: chunked

        5
        Date:
        0

        HTTP/1.1 404 No
        Date: (ignored)

        ");
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
