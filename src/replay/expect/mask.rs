//! A stream without what may differ in it: the values of ignored headers of HTTP/1, and where chunks of a body begin
//! (RFC 9112).
//!
//! Heads are found where lines begin with a status line or the stream does; bodies, of a length that the head
//! announces or in chunks, are passed over unread, so that nothing in them is taken for a head. Whether there is a body
//! depends on the question, too, which is not in this stream: an answer to HEAD announces one that does not come
//! (RFC 9110 section 9.3.2). So where a body would begin with a status line, that is the next head. Everything else
//! goes through as it is.

#[cfg(test)]
mod tests;

use super::ignore::Ignored;

/// What a head begins with.
const BEGINS: &[u8] = b"HTTP/1.";
/// A line of a head that is longer is none.
const LONGEST: usize = 16 * 1024;
/// What a chunk ends with.
const CHUNK_END: &[u8] = b"\r\n";
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
    /// In a chunk with so much left.
    Chunk(u64),
    /// Behind a chunk, where its line end comes.
    ChunkEnd,
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
    /// There was a head.
    is_http: bool,
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
        Mask { state, held: Vec::new(), head: Head::default(), is_http: false }
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
                State::Chunk(left) => self.pass(bytes, left, State::ChunkEnd, out),
                State::ChunkEnd => self.chunk_end(bytes, out),
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
            self.is_http = true;
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

    /// The line end of a chunk, which is left out; anything else in its place is not. Takes a byte.
    fn chunk_end(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> usize {
        self.held.extend(bytes.first());
        if self.held == CHUNK_END {
            self.held.clear();
            self.state = State::Size;
        } else if !CHUNK_END.starts_with(&self.held) {
            out.append(&mut self.held);
            self.state = State::Line;
        }
        1
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

    /// How long the next chunk is (RFC 9112 section 7.1). The same body in other chunks is the same; what is said
    /// besides, and that it is over, is not left out.
    fn size(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'));
        let length = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let is_bare = line.ends_with(CHUNK_END) && !line.contains(&b';');
        if !(is_bare && length.is_some_and(|length| length > 0)) {
            out.extend(line);
        }
        self.state = match length {
            Some(0) => {
                self.head = Head::default();
                State::Head
            }
            Some(length) => State::Chunk(length),
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

    /// So many bytes of the stream are missing here. Appends as much of what was not decided as is certain; whether
    /// what comes behind them can be told again.
    pub(super) fn skip(&mut self, n: u64, ignored: &Ignored, out: &mut Vec<u8>) -> bool {
        if let State::Begin(Content::Body(length)) = self.state {
            let held = std::mem::take(&mut self.held);
            out.extend(&held);
            self.state = State::Body(length.saturating_sub(held.len() as u64));
        }
        let is_line = matches!(self.state, State::Line | State::Begin(_)) && self.held.is_empty();
        let (state, is_known) = match self.state {
            State::Body(left) if n < left => (State::Body(left - n), true),
            State::Body(left) if n == left => (State::Begin(Content::Lines), true),
            State::Chunk(left) if n < left => (State::Chunk(left - n), true),
            // A body up to the end of the connection has no heads in it, nor has what is no HTTP.
            State::Line => (State::Line, true),
            State::Begin(Content::Lines) if is_line && !self.is_http => (State::Line, true),
            _ => (State::Line, false),
        };
        if matches!(self.state, State::Head) {
            let colon = self.held.iter().position(|byte| *byte == b':');
            let name = colon.and_then(|colon| self.held.get(..colon)).unwrap_or_default();
            if ignored.has_header(name) {
                self.held.truncate(name.len() + 1);
            }
        }
        out.append(&mut self.held);
        self.state = state;
        is_known
    }

    /// Whether there was a head.
    pub(super) fn is_http(&self) -> bool {
        self.is_http
    }

    /// Whether the stream may end here: it is in the middle of nothing.
    pub(super) fn is_between(&self) -> bool {
        match self.state {
            State::Begin(Content::Lines) | State::Line => self.held.is_empty(),
            State::Begin(_) => true, // an answer to HEAD
            _ => false,
        }
    }

    /// Nothing more comes: appends what was not decided.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
    }
}
