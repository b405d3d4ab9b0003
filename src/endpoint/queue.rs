//! How many bytes the program at the other end of a local socket has not read yet.
//!
//! What was sent to a program on this machine lies in *its* receive queue: our own socket seems empty until
//! some hundred kilobytes wait there, which is minutes of a serial line. The kernel tells through
//! `NETLINK_SOCK_DIAG` (sock_diag(7)) how full any socket's queue is. One question costs some microseconds.

#[cfg(target_os = "linux")]
pub(super) use linux::Gauge;

/// Bytes that a slow peer may have in front of it.
pub const BOUND: usize = 16 * 1024;

/// How often a full queue is looked at again.
pub(super) const AGAIN: std::time::Duration = std::time::Duration::from_millis(1);

/// Whether a process has the socket open that is the other end of a TCP connection between `local` and
/// `peer`, both on this machine; `None` where the kernel does not tell, or does not know such a socket.
#[cfg(target_os = "linux")]
pub fn has_owner(local: std::net::SocketAddr, peer: std::net::SocketAddr) -> Option<bool> {
    linux::owner(local, peer).map(|inode| inode != 0)
}

/// Whether a process has the socket open that is the other end of a TCP connection.
#[cfg(not(target_os = "linux"))]
pub fn has_owner(_: std::net::SocketAddr, _: std::net::SocketAddr) -> Option<bool> {
    None
}

/// Where the kernel does not tell.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
pub(super) struct Gauge;

#[cfg(not(target_os = "linux"))]
impl Gauge {
    pub(super) fn tcp(_: std::net::SocketAddr, _: std::net::SocketAddr) -> Option<Gauge> {
        None
    }

    pub(super) fn unix(_: impl std::os::fd::AsFd) -> Option<Gauge> {
        None
    }

    pub(super) fn unread(&mut self) -> Option<usize> {
        None
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::net::SocketAddr;
    use std::os::fd::{AsFd, OwnedFd};

    use super::super::sock_diag::{
        self, SHOW_PEER, SHOW_QUEUES, UNIX_PEER, UNIX_QUEUES, about_tcp, about_unix, attribute,
    };

    /// Where `idiag_rqueue` is in a `struct inet_diag_msg`.
    const INET_UNREAD: usize = 56;
    /// Where `idiag_inode` is in it.
    const INET_INODE: usize = 68;

    /// Asks for one socket's queue.
    #[derive(Debug)]
    pub(in super::super) struct Gauge {
        socket: OwnedFd,
        question: Vec<u8>,
        is_unix: bool,
    }

    impl Gauge {
        /// For the other end of a TCP connection between `local` and `peer`; `None` when that is not on
        /// this machine.
        pub(in super::super) fn tcp(local: SocketAddr, peer: SocketAddr) -> Option<Gauge> {
            Gauge::new(about_tcp(peer, local), false)
        }

        /// For the other end of a unix socket.
        pub(in super::super) fn unix(socket: impl AsFd) -> Option<Gauge> {
            let ours = rustix::fs::fstat(socket).ok()?.st_ino;
            let asks = Gauge::new(about_unix(Some(ours.try_into().ok()?), SHOW_PEER), true)?;
            let peer = attribute(&asks.ask()?, UNIX_PEER)?;
            Gauge::new(about_unix(Some(peer), SHOW_QUEUES), true)
        }

        fn new(question: Vec<u8>, is_unix: bool) -> Option<Gauge> {
            let gauge = Gauge { socket: sock_diag::open().ok()?, question, is_unix };
            gauge.ask()?; // the kernel tells, and the socket is there
            Some(gauge)
        }

        fn ask(&self) -> Option<Vec<u8>> {
            sock_diag::ask_one(&self.socket, &self.question)
        }

        /// Bytes that the other end has not read; `None` when it is gone.
        pub(in super::super) fn unread(&mut self) -> Option<usize> {
            let answer = self.ask()?;
            let unread = match self.is_unix {
                true => attribute(&answer, UNIX_QUEUES)?,
                false => sock_diag::ne32(&answer, INET_UNREAD)?,
            };
            usize::try_from(unread).ok()
        }
    }

    /// The inode of the socket at the other end of a TCP connection, which is 0 when no process has it open.
    pub(super) fn owner(local: SocketAddr, peer: SocketAddr) -> Option<u32> {
        let socket = sock_diag::open().ok()?;
        let answer = sock_diag::ask_one(&socket, &about_tcp(peer, local))?;
        sock_diag::ne32(&answer, INET_INODE)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;

    #[test]
    fn what_a_local_peer_has_not_read_is_known() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let address = listener.local_addr().expect("an address");
        let mut ours = TcpStream::connect(address).expect("loopback");
        let (mut theirs, _) = listener.accept().expect("a connection");
        let gauge = Gauge::tcp(ours.local_addr().expect("an address"), address);
        let mut gauge = gauge.expect("the kernel tells");
        assert_eq!(gauge.unread(), Some(0));
        ours.write_all(&[0; 5000]).expect("there is room");
        assert_eq!(gauge.unread(), Some(5000));
        theirs.read_exact(&mut [0; 1200]).expect("it is there");
        assert_eq!(gauge.unread(), Some(3800));
    }

    #[test]
    fn so_it_is_of_a_unix_socket() {
        let (mut ours, mut theirs) = UnixStream::pair().expect("sockets");
        let mut gauge = Gauge::unix(&ours).expect("the kernel tells");
        ours.write_all(&[0; 5000]).expect("there is room");
        assert_eq!(gauge.unread(), Some(5000));
        theirs.read_exact(&mut [0; 5000]).expect("it is there");
        assert_eq!(gauge.unread(), Some(0));
    }

    #[test]
    fn nothing_is_known_of_who_is_not_here() {
        let at = |text: &str| text.parse().expect("an address");
        assert!(Gauge::tcp(at("192.0.2.1:4"), at("192.0.2.2:5")).is_none());
    }
}
