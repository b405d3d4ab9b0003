//! The lines of a message's head (RFC 9112 sections 2 to 5), and the sizes of chunks behind it (7.1).
//!
//! Lines end with a line feed; a carriage return in front of it belongs to the end. Readers take what
//! is there, line by line, and copy nothing; whether the blank line was reached they remember.

/// The parts of a start line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start<'a> {
    /// Method, target and, unless it is cut or left out, version.
    Request(&'a [u8], &'a [u8], Option<&'a [u8]>),
    /// Version, status and reason.
    Status(&'a [u8], u16, &'a [u8]),
}

/// The line that begins at `at` without its end, and where the next one begins; `None` if it has no end.
pub(crate) fn line_at(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let rest = bytes.get(at..)?;
    let length = rest.iter().position(|byte| *byte == b'\n')?;
    let line = rest.get(..length)?;
    Some((line.strip_suffix(b"\r").unwrap_or(line), at + length + 1))
}

/// A start line, whole or cut.
pub(crate) fn start_line(line: &[u8]) -> Option<Start<'_>> {
    let space = line.iter().position(|byte| *byte == b' ')?;
    let (first, rest) = (&line[..space], &line[space + 1..]);
    if is_version(first) {
        let digits = rest.get(..3).filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
        let status = digits.iter().fold(0, |n, digit| n * 10 + u16::from(digit - b'0'));
        return match rest.get(3) {
            None => Some(Start::Status(first, status, &[])),
            Some(b' ') => Some(Start::Status(first, status, &rest[4..])),
            Some(_) => None,
        };
    }
    if first.is_empty() || !first.iter().all(|byte| is_token(*byte)) {
        return None;
    }
    let last = rest.iter().rposition(|byte| *byte == b' ');
    let split = last.map(|last| (&rest[..last], &rest[last + 1..]));
    match split.filter(|(_, version)| is_version(version)) {
        Some((target, version)) => Some(Start::Request(first, target, Some(version))),
        None => Some(Start::Request(first, rest, None)),
    }
}

pub(crate) fn is_version(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"HTTP/").unwrap_or_default();
    matches!(digits, [major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit())
}

/// A character of a method or of a header's name (RFC 9110 section 5.6.2).
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A line of a head behind the start line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header<'a> {
    /// Where it begins.
    pub(crate) at: usize,
    /// Without its end.
    pub(crate) line: &'a [u8],
}

impl<'a> Header<'a> {
    /// Name and value; `None` if there is no colon.
    pub(crate) fn parts(&self) -> Option<(&'a [u8], &'a [u8])> {
        let colon = self.line.iter().position(|byte| *byte == b':')?;
        Some((&self.line[..colon], self.line[colon + 1..].trim_ascii()))
    }

    /// What is against the protocol (RFC 9112 sections 5.1, 5.2 and 6.2).
    pub(crate) fn fault(&self) -> Option<&'static str> {
        if matches!(self.line, [b' ' | b'\t', ..]) {
            return Some("header is folded");
        }
        let Some((name, value)) = self.parts() else { return Some("header without a colon") };
        if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
            return Some("header's name is not a word");
        }
        let is_length = name.eq_ignore_ascii_case(b"content-length");
        (is_length && number(value).is_none()).then_some("content length is not a number")
    }

    pub(crate) fn is_chunked(&self) -> bool {
        self.parts().is_some_and(|(name, value)| {
            name.eq_ignore_ascii_case(b"transfer-encoding")
                && value.rsplit(|byte| *byte == b',').next().is_some_and(is_chunked)
        })
    }
}

fn is_chunked(coding: &[u8]) -> bool {
    coding.trim_ascii().eq_ignore_ascii_case(b"chunked")
}

/// A decimal number.
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}

/// Reads the lines of a head behind its start line.
#[derive(Clone, Debug)]
pub(crate) struct Head<'a> {
    pub(crate) bytes: &'a [u8],
    /// Where the next line begins; in the end, where the body begins or the bytes end.
    pub(crate) at: usize,
    is_started: bool,
    is_ended: bool,
    is_whole: bool,
}

impl<'a> Head<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Head { bytes, at: 0, is_started: false, is_ended: false, is_whole: false }
    }

    /// Whether the blank line was there.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }
}

impl<'a> Iterator for Head<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        loop {
            if self.is_ended {
                return None;
            }
            let Some((line, next)) = line_at(self.bytes, self.at) else {
                (self.is_ended, self.at) = (true, self.bytes.len());
                return None;
            };
            let at = std::mem::replace(&mut self.at, next);
            if !std::mem::replace(&mut self.is_started, true) {
                continue;
            }
            if line.is_empty() {
                (self.is_ended, self.is_whole) = (true, true);
                return None;
            }
            return Some(Header { at, line });
        }
    }
}

/// Reads the sizes of chunks (RFC 9112 section 7.1): place, number of digits, and size.
#[derive(Clone, Debug)]
pub(crate) struct Chunks<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
    pub(crate) broken_at: Option<usize>,
}

impl Iterator for Chunks<'_> {
    type Item = (usize, usize, u64);

    fn next(&mut self) -> Option<(usize, usize, u64)> {
        let (line, next) = line_at(self.bytes, self.at)?;
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let text = std::str::from_utf8(&line[..digits]).ok()?;
        let at = self.at;
        let is_size = matches!(line.get(digits), None | Some(b';' | b' ' | b'\t'));
        let Some(size) = u64::from_str_radix(text, 16).ok().filter(|_| is_size) else {
            (self.broken_at, self.at) = (Some(at), self.bytes.len());
            return None;
        };
        // The last chunk is followed by trailers; any other by its data and the end of a line.
        let skip = usize::try_from(size).ok().filter(|size| *size > 0);
        let behind = skip.and_then(|size| next.checked_add(size)?.checked_add(2));
        self.at = behind.map_or(self.bytes.len(), |at| at.min(self.bytes.len()));
        Some((at, digits, size))
    }
}
