//! What the kernel tells about sockets: netlink socket diagnostics (`sock_diag(7)`), the little of it that
//! is needed here.
//!
//! A question is a netlink header and a request of the socket's family; an answer is one message or many,
//! each with a fixed part and, for unix sockets, attributes behind it. Everything is in the machine's byte
//! order.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};

/// Attributes of unix sockets: name, peer, lengths of queues.
pub(super) const UNIX_NAME: u16 = 0;
pub(super) const UNIX_PEER: u16 = 2;
pub(super) const UNIX_QUEUES: u16 = 4;
/// What to show of unix sockets: `UDIAG_SHOW_NAME` and its like.
pub(super) const SHOW_NAME: u32 = 1;
pub(super) const SHOW_PEER: u32 = 4;
pub(super) const SHOW_QUEUES: u32 = 16;

/// `SOCK_DIAG_BY_FAMILY`, as request and as answer.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST` and `NLM_F_DUMP`.
const REQUEST: u16 = 1;
const DUMP: u16 = 0x300;
/// `NLMSG_ERROR` and `NLMSG_DONE`.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// `struct unix_diag_msg`: family, type, state, padding, inode, cookie; attributes follow.
const UNIX_FIXED: usize = 16;
/// `IPPROTO_TCP`.
const TCP: u8 = 6;

/// A socket for questions.
pub(super) fn open() -> io::Result<OwnedFd> {
    let (family, kind) = (AddressFamily::NETLINK, SocketType::DGRAM);
    let protocol = Some(netlink::SOCK_DIAG);
    Ok(rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, protocol)?)
}

/// The question for the TCP socket at `local` that is connected to `remote`.
pub(super) fn about_tcp(local: SocketAddr, remote: SocketAddr) -> Vec<u8> {
    let family = if local.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let mut body = vec![family.as_raw() as u8, TCP, 0, 0];
    body.extend(u32::MAX.to_ne_bytes()); // in whatever state
    body.extend(local.port().to_be_bytes());
    body.extend(remote.port().to_be_bytes());
    for address in [local.ip(), remote.ip()] {
        let start = body.len();
        match address {
            IpAddr::V4(ip) => body.extend(ip.octets()),
            IpAddr::V6(ip) => body.extend(ip.octets()),
        }
        body.resize(start + 16, 0);
    }
    body.extend(0u32.to_ne_bytes()); // any interface
    body.extend([0xff; 8]); // any cookie
    question(REQUEST, &body)
}

/// The question for the unix socket with this inode; for all of them without one.
pub(super) fn about_unix(inode: Option<u32>, show: u32) -> Vec<u8> {
    let mut body = vec![AddressFamily::UNIX.as_raw() as u8, 0, 0, 0];
    body.extend(u32::MAX.to_ne_bytes()); // in whatever state
    body.extend(inode.unwrap_or_default().to_ne_bytes());
    body.extend(show.to_ne_bytes());
    body.extend([0xff; 8]); // any cookie
    question(if inode.is_some() { REQUEST } else { REQUEST | DUMP }, &body)
}

fn question(flags: u16, body: &[u8]) -> Vec<u8> {
    let mut question = ((HEADER + body.len()) as u32).to_ne_bytes().to_vec();
    question.extend(BY_FAMILY.to_ne_bytes());
    question.extend(flags.to_ne_bytes());
    question.extend([0; 8]); // sequence number and port
    question.extend(body);
    question
}

/// The answer to a question for one socket; `None` when it is not there.
pub(super) fn ask_one(socket: &OwnedFd, question: &[u8]) -> Option<Vec<u8>> {
    rustix::net::send(socket, question, SendFlags::empty()).ok()?;
    let mut answer = [0; 1024];
    let (n, _) = rustix::net::recv(socket, &mut answer[..], RecvFlags::DONTWAIT).ok()?;
    let mut found = None;
    messages(answer.get(..n)?, |message| found = Some(message.to_vec())).ok()?;
    found
}

/// Takes the answers to a question for many.
pub(super) fn ask_all(question: &[u8], mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let socket = open()?;
    rustix::net::send(&socket, question, SendFlags::empty())?;
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let (n, _) = rustix::net::recv(&socket, &mut buffer[..], RecvFlags::empty())?;
        if n == 0 || !messages(&buffer[..n], &mut take)? {
            return Ok(());
        }
    }
}

/// Reads one datagram of messages; `false` after the last of many.
fn messages(mut bytes: &[u8], mut take: impl FnMut(&[u8])) -> io::Result<bool> {
    while let Some(length) = ne32(bytes, 0).map(|n| n as usize) {
        let Some(message) = bytes.get(HEADER..length) else { break };
        match ne16(bytes, 4) {
            Some(DONE) => return Ok(false),
            Some(ERROR) => {
                let errno = ne32(message, 0).unwrap_or_default() as i32;
                return Err(io::Error::from_raw_os_error(errno.wrapping_neg()));
            }
            Some(BY_FAMILY) => take(message),
            _ => {}
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(true)
}

/// The attributes of a unix socket's message.
pub(super) fn attributes(message: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = message.get(UNIX_FIXED..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, kind) = (usize::from(ne16(rest, 0)?), ne16(rest, 2)?);
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The first number of the attribute `wanted` of a unix socket's message.
pub(super) fn attribute(message: &[u8], wanted: u16) -> Option<u32> {
    attributes(message).find(|(kind, _)| *kind == wanted).and_then(|(_, value)| ne32(value, 0))
}

fn ne16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_ne_bytes)
}

/// A number of 32 bits.
pub(super) fn ne32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_end_where_they_are_cut() {
        let mut message = vec![0; UNIX_FIXED];
        message.extend([6u16.to_ne_bytes(), UNIX_NAME.to_ne_bytes()].concat());
        message.extend(*b"ab\0\0"); // with its padding
        message.extend([8u16.to_ne_bytes(), UNIX_PEER.to_ne_bytes()].concat());
        message.extend(7u32.to_ne_bytes());
        let all: Vec<_> = attributes(&message).collect();
        assert_eq!(all, [(UNIX_NAME, &b"ab"[..]), (UNIX_PEER, &7u32.to_ne_bytes()[..])]);
        assert_eq!(attribute(&message, UNIX_PEER), Some(7));
        assert_eq!(attribute(&message, UNIX_QUEUES), None);
        for cut in 0..message.len() {
            assert_eq!(attribute(&message[..cut], UNIX_PEER), None, "{cut}");
        }
        message[UNIX_FIXED] = 0; // a length that would never get on
        assert_eq!(attributes(&message).count(), 0);
    }

    #[test]
    fn an_error_of_the_kernel_is_one_of_ours() {
        let mut bytes = 20u32.to_ne_bytes().to_vec();
        bytes.extend(ERROR.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend((-2i32).to_ne_bytes());
        let error = messages(&bytes, |_| panic!("no message")).expect_err("an error");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        for cut in 0..bytes.len() {
            assert!(messages(&bytes[..cut], |_| panic!("no message")).is_ok());
        }
    }
}
