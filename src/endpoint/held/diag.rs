//! The kernel's list of unix sockets with their peers: netlink socket diagnostics
//! (`sock_diag(7)`, `UNIX_DIAG`), which `/proc/net/unix` does not show.

use std::io;

use super::Kind;
use crate::endpoint::sock_diag::{
    self, SHOW_NAME, SHOW_PEER, UNIX_NAME, UNIX_PEER, about_unix, attributes, ne32,
};

/// Unix sockets use TCP's numbers for states.
const LISTEN: u8 = 10;

/// One unix socket.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// 0 while the connection waits to be accepted.
    pub inode: u32,
    /// The inode of the socket it is connected to; 0 while that one waits to be accepted.
    pub peer: Option<u32>,
    /// The path it is bound to.
    pub name: Option<String>,
    /// Whether it listens.
    pub is_listening: bool,
    /// Its type.
    pub kind: Kind,
}

/// All unix sockets of this network namespace.
pub(super) fn unix_sockets() -> io::Result<Vec<Row>> {
    let mut rows = Vec::new();
    let question = about_unix(None, SHOW_NAME | SHOW_PEER);
    sock_diag::ask_all(&question, |message| rows.extend(row(message)))?;
    Ok(rows)
}

fn row(message: &[u8]) -> Option<Row> {
    let is_listening = message.get(2) == Some(&LISTEN);
    let kind = match message.get(1) {
        Some(1) => Kind::Stream,
        Some(2) => Kind::Datagram,
        Some(5) => Kind::Seqpacket,
        _ => Kind::Unknown,
    };
    let mut row = Row { inode: ne32(message, 4)?, peer: None, name: None, is_listening, kind };
    for (kind, value) in attributes(message) {
        match kind {
            UNIX_PEER => row.peer = ne32(value, 0),
            UNIX_NAME => {
                let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
                row.name = Some(String::from_utf8_lossy(&value[..end]).into_owned());
            }
            _ => {}
        }
    }
    Some(row)
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
