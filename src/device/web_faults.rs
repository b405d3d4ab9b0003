//! Faults of the web server that show in what it reads: they change a request on its way to a good one.

use std::time::Duration;

use smoltcp::iface::SocketHandle;

use super::faults::{Fault, Faults};
use super::packet::IP;
use crate::clock::Timestamp;
use crate::proto::be16;

/// Where the data of a TCP segment without options begins in a frame, counted from its IPv4 header.
const SEGMENT_DATA: usize = 40;
/// The longest request line, and the longest head, of those that have a limit.
const LONGEST_LINE: usize = 1024;
const LONGEST_HEAD: usize = 2048;
/// How long a response waits for its reader and loses nothing.
const STALL: Duration = Duration::from_secs(5);
/// What ends a head.
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// What becomes of bytes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// The server reads these.
    Bytes(Vec<u8>),
    /// The connection ends.
    End,
}

/// The state of these faults on one connection.
#[derive(Debug)]
pub(super) struct Reader {
    faults: Faults,
    /// Bytes of a head that is not whole, where it has to be.
    held: Vec<u8>,
    has_begun: bool,
    /// Nothing is read any more.
    is_deaf: bool,
    /// Since when a response waits for its reader.
    waits_since: Option<Timestamp>,
}

impl Reader {
    /// On a new connection.
    pub(super) fn new(faults: Faults) -> Reader {
        Reader { faults, held: Vec::new(), has_begun: false, is_deaf: false, waits_since: None }
    }

    fn has(&self, fault: Fault) -> bool {
        self.faults.has(fault)
    }

    /// Bytes have come.
    pub(super) fn read(&mut self, bytes: Vec<u8>) -> Read {
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        if self.is_deaf {
            return Read::Bytes(Vec::new());
        }
        let mut bytes = bytes;
        if self.has(Fault::LongHeadSilent) {
            self.held.append(&mut bytes);
            if self.held.len() > LONGEST_HEAD {
                (self.is_deaf, self.held) = (true, Vec::new());
            }
            if find(&self.held, END_OF_HEAD).is_none() {
                return Read::Bytes(Vec::new());
            }
            bytes = std::mem::take(&mut self.held);
        }
        if is_first && self.has(Fault::LongTargetResets) {
            let line = find(&bytes, b"\r\n").unwrap_or(bytes.len());
            if line > LONGEST_LINE {
                return Read::End;
            }
        }
        if is_first {
            self.change(&mut bytes);
        }
        let is_get = bytes.starts_with(b"GET ");
        self.is_deaf =
            self.has(Fault::KeptAndDeaf) && is_get && find(&bytes, END_OF_HEAD).is_some();
        Read::Bytes(bytes)
    }

    /// Whether a response that has waited for its reader for too long loses a part now.
    pub(super) fn forgets(&mut self, now: Timestamp, has_more: bool, can_send: bool) -> bool {
        let since = self.waits_since;
        let is_stuck = has_more && !can_send;
        self.waits_since = is_stuck.then(|| since.unwrap_or(now));
        let is_over = can_send && since.is_some_and(|since| now.since(since) >= STALL);
        is_over && self.has(Fault::StallForgets)
    }

    /// Changes the first bytes of a connection.
    fn change(&self, bytes: &mut Vec<u8>) {
        for (fault, from, to) in [
            (Fault::HeadHasBody, "HEAD ", "GET "),
            (Fault::AnyMethod, "BREW ", "GET "),
            (Fault::AnyHttpVersion, " HTTP/2.0\r\n", " HTTP/1.1\r\n"),
            (Fault::Http10Kept, " HTTP/1.0\r\n", " HTTP/1.1\r\nHost: device\r\n"),
            (Fault::BlankBeforeColon, " :", ":"),
        ] {
            if let Some(at) = find(bytes, from.as_bytes()).filter(|_| self.has(fault)) {
                bytes.splice(at..at + from.len(), to.bytes());
            }
        }
        if self.has(Fault::PipelineLost)
            && bytes.starts_with(b"GET ")
            && let Some(end) = find(bytes, END_OF_HEAD)
        {
            bytes.truncate(end + END_OF_HEAD.len());
        }
        while self.has(Fault::BodyLengthsIgnored)
            && let Some(field) = length_field(bytes)
        {
            bytes.drain(field);
        }
    }
}

/// Whose turn it is where one connection is read at a time: that of the first one.
#[derive(Debug, Default)]
pub(super) struct Turn(Option<SocketHandle>);

impl Turn {
    /// Those that are being served; one that no longer is has had its turn.
    pub(super) fn pass(&mut self, mut served: impl Iterator<Item = SocketHandle>) {
        self.0 = self.0.filter(|turn| served.any(|handle| handle == *turn));
    }

    /// Whether it is that one's turn.
    pub(super) fn is_of(&mut self, handle: SocketHandle) -> bool {
        *self.0.get_or_insert(handle) == handle
    }
}

/// The first header field that says how long the body is, with its line end.
fn length_field(bytes: &[u8]) -> Option<std::ops::Range<usize>> {
    let names = ["\r\nContent-Length:", "\r\nTransfer-Encoding:"];
    let at = names.iter().find_map(|name| find(bytes, name.as_bytes()))?;
    let line = bytes.get(at + 2..)?;
    Some(at..at + 2 + find(line, b"\r\n")?)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// Whether a frame from the line kills the device.
pub(super) fn kills(faults: Faults, frame: &[u8]) -> bool {
    faults.has(Fault::TlsKills)
        && be16(frame, 12) == Some(0x0800)
        && frame.get(IP + 9) == Some(&6)
        && frame.get(IP + SEGMENT_DATA..IP + SEGMENT_DATA + 2) == Some(&[0x16, 3])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fault: Fault, bytes: &[u8]) -> Read {
        Reader::new(Faults::only(fault)).read(bytes.to_vec())
    }

    fn text(read: Read) -> String {
        match read {
            Read::Bytes(bytes) => String::from_utf8(bytes).expect("text"),
            Read::End => "the end".to_owned(),
        }
    }

    #[test]
    fn each_fault_changes_what_it_is_about() {
        let post = "POST / HTTP/1.1\r\nContent-Length: 5\r\nHost : a\r\nTransfer-Encoding: chunked\r\n\r\nabc";
        for (fault, from, to) in [
            (Fault::HeadHasBody, "HEAD / HTTP/1.1\r\n", "GET / HTTP/1.1\r\n"),
            (Fault::AnyMethod, "BREW / HTTP/1.1\r\n", "GET / HTTP/1.1\r\n"),
            (Fault::AnyHttpVersion, "GET / HTTP/2.0\r\n", "GET / HTTP/1.1\r\n"),
            (Fault::Http10Kept, "GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nHost: device\r\n\r\n"),
            (Fault::PipelineLost, "GET / \r\n\r\nGET / \r\n\r\n", "GET / \r\n\r\n"),
            (Fault::BodyLengthsIgnored, post, "POST / HTTP/1.1\r\nHost : a\r\n\r\nabc"),
            (Fault::BlankBeforeColon, "GET / HTTP/1.1\r\nHost : a", "GET / HTTP/1.1\r\nHost: a"),
            (Fault::NotFoundIsOk, post, post),
        ] {
            assert_eq!(text(read(fault, from.as_bytes())), to, "{fault:?}");
        }
        let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(1100));
        assert_eq!(read(Fault::LongTargetResets, long.as_bytes()), Read::End);
        assert_eq!(text(read(Fault::LongTargetResets, post.as_bytes())), post);
    }

    #[test]
    fn a_deaf_server_has_heard_one_request_and_a_silent_one_waits_for_the_whole_head() {
        let mut deaf = Reader::new(Faults::only(Fault::KeptAndDeaf));
        let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
        assert_eq!(deaf.read(request.clone()), Read::Bytes(request.clone()));
        assert_eq!(deaf.read(request.clone()), Read::Bytes(Vec::new()));
        let mut silent = Reader::new(Faults::only(Fault::LongHeadSilent));
        assert_eq!(silent.read(request[..20].to_vec()), Read::Bytes(Vec::new()));
        assert_eq!(silent.read(request[20..].to_vec()), Read::Bytes(request));
        assert_eq!(silent.read(vec![b'x'; 3000]), Read::Bytes(Vec::new()));
        assert_eq!(silent.read(END_OF_HEAD.to_vec()), Read::Bytes(Vec::new()));
    }
}
