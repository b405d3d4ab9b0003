//! The kernel's list of unix sockets with their peers: netlink socket diagnostics
//! (`sock_diag(7)`, `UNIX_DIAG`), which `/proc/net/unix` does not show.

use std::io;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};

/// One unix socket.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    /// 0 while the connection waits to be accepted.
    pub inode: u32,
    /// The inode of the socket it is connected to; 0 while that one waits to be accepted.
    pub peer: Option<u32>,
    /// The path it is bound to.
    pub name: Option<String>,
    /// Whether it listens.
    pub is_listening: bool,
}

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP: u16 = 0x300;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const AF_UNIX: u8 = 1;
/// Unix sockets use TCP's numbers for states.
const TCP_LISTEN: u8 = 10;
const UDIAG_SHOW_NAME: u32 = 1;
const UDIAG_SHOW_PEER: u32 = 4;
const UNIX_DIAG_NAME: u16 = 0;
const UNIX_DIAG_PEER: u16 = 2;
/// `struct nlmsghdr`.
const MESSAGE_HEADER: usize = 16;
/// `struct unix_diag_msg`: family, type, state, padding, inode, cookie.
const DIAG_HEADER: usize = 16;

/// All unix sockets of this network namespace.
pub(super) fn unix_sockets() -> io::Result<Vec<Row>> {
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )?;
    rustix::net::send(&socket, &request(), SendFlags::empty())?;
    let mut rows = Vec::new();
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let (n, _) = rustix::net::recv(&socket, &mut buffer[..], RecvFlags::empty())?;
        if n == 0 || !messages(&buffer[..n], &mut rows)? {
            return Ok(rows);
        }
    }
}

/// `struct nlmsghdr` and `struct unix_diag_req`, in the machine's byte order.
fn request() -> Vec<u8> {
    const LENGTH: u32 = 16 + 24;
    let mut out = Vec::with_capacity(LENGTH as usize);
    out.extend(LENGTH.to_ne_bytes());
    out.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    out.extend((NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    out.extend([0; 8]); // sequence number, port
    out.extend([AF_UNIX, 0, 0, 0]);
    out.extend(u32::MAX.to_ne_bytes()); // every state
    out.extend(0u32.to_ne_bytes()); // every inode
    out.extend((UDIAG_SHOW_NAME | UDIAG_SHOW_PEER).to_ne_bytes());
    out.extend([0xff; 8]); // no cookie
    out
}

/// Reads one datagram of messages; `false` after the last.
fn messages(mut bytes: &[u8], rows: &mut Vec<Row>) -> io::Result<bool> {
    while let Some(length) = ne32(bytes, 0).map(|n| n as usize) {
        let Some(message) = bytes.get(MESSAGE_HEADER..length) else { break };
        match ne16(bytes, 4) {
            Some(NLMSG_DONE) => return Ok(false),
            Some(NLMSG_ERROR) => {
                let errno = ne32(message, 0).unwrap_or_default() as i32;
                return Err(io::Error::from_raw_os_error(-errno));
            }
            _ => rows.extend(row(message)),
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(true)
}

fn row(message: &[u8]) -> Option<Row> {
    let is_listening = message.get(2) == Some(&TCP_LISTEN);
    let mut row = Row { inode: ne32(message, 4)?, is_listening, ..Row::default() };
    let mut attributes = message.get(DIAG_HEADER..)?;
    while let (Some(length), Some(kind)) = (ne16(attributes, 0), ne16(attributes, 2)) {
        let Some(value) = attributes.get(4..usize::from(length)) else { break };
        match kind {
            UNIX_DIAG_PEER => row.peer = ne32(value, 0),
            UNIX_DIAG_NAME => {
                let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
                row.name = Some(String::from_utf8_lossy(&value[..end]).into_owned());
            }
            _ => {}
        }
        let next = usize::from(length).next_multiple_of(4);
        attributes = attributes.get(next..).unwrap_or_default();
    }
    Some(row)
}

fn ne16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2).and_then(|b| b.try_into().ok()).map(u16::from_ne_bytes)
}

fn ne32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::os::unix::net::{UnixListener, UnixStream};

    fn inode(socket: impl AsFd) -> u32 {
        rustix::fs::fstat(socket).expect("it is open").st_ino as u32
    }

    fn row_of(inode: u32) -> Row {
        let rows = unix_sockets().expect("the kernel answers");
        rows.into_iter().find(|row| row.inode == inode).expect("the socket is listed")
    }

    #[test]
    fn the_kernel_tells_a_queued_connection_from_an_accepted_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s.sock");
        let listener = UnixListener::bind(&path).expect("a listener");
        let client = UnixStream::connect(&path).expect("a connection");
        assert_eq!(row_of(inode(&client)).peer.unwrap_or_default(), 0);
        assert!(row_of(inode(&listener)).is_listening && !row_of(inode(&client)).is_listening);
        let (server, _) = listener.accept().expect("it is waiting");
        assert_eq!(row_of(inode(&client)).peer, Some(inode(&server)));
        assert_eq!(row_of(inode(&server)).name.as_deref(), path.to_str());
    }
}
