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

#[cfg(target_os = "linux")]
mod linux {
    use std::net::{IpAddr, SocketAddr};
    use std::os::fd::{AsFd, OwnedFd};

    use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};

    /// `SOCK_DIAG_BY_FAMILY`, as request and as answer.
    const BY_FAMILY: u16 = 20;
    /// `NLM_F_REQUEST`.
    const REQUEST: u16 = 1;
    /// A netlink header.
    const HEADER: usize = 16;
    /// `IPPROTO_TCP`.
    const TCP: u8 = 6;
    /// Where `idiag_rqueue` is in a `struct inet_diag_msg`.
    const INET_UNREAD: usize = 56;
    /// Where `idiag_inode` is in it.
    const INET_INODE: usize = 68;
    /// The length of a `struct unix_diag_msg`; attributes follow.
    const UNIX_MESSAGE: usize = 16;
    /// `UDIAG_SHOW_PEER` and `UDIAG_SHOW_RQLEN`.
    const SHOW_PEER: u32 = 4;
    const SHOW_QUEUES: u32 = 16;
    /// `UNIX_DIAG_PEER` and `UNIX_DIAG_RQLEN`.
    const PEER: u16 = 2;
    const QUEUES: u16 = 4;

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
            Gauge::new(about_tcp(local, peer), false)
        }

        /// For the other end of a unix socket.
        pub(in super::super) fn unix(socket: impl AsFd) -> Option<Gauge> {
            let ours = rustix::fs::fstat(socket).ok()?.st_ino;
            let asks = Gauge::new(about_unix(ours.try_into().ok()?, SHOW_PEER), true)?;
            let peer = attribute(&asks.ask()?, PEER)?;
            Gauge::new(about_unix(peer, SHOW_QUEUES), true)
        }

        fn new(body: Vec<u8>, is_unix: bool) -> Option<Gauge> {
            let gauge = Gauge::unasked(body, is_unix)?;
            gauge.ask()?; // the kernel tells, and the socket is there
            Some(gauge)
        }

        fn unasked(body: Vec<u8>, is_unix: bool) -> Option<Gauge> {
            let mut question = ((HEADER + body.len()) as u32).to_ne_bytes().to_vec();
            question.extend(BY_FAMILY.to_ne_bytes());
            question.extend(REQUEST.to_ne_bytes());
            question.extend([0; 8]); // sequence number and port
            question.extend(body);
            let kind = (AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC);
            let protocol = Some(netlink::SOCK_DIAG);
            let socket = rustix::net::socket_with(kind.0, kind.1, kind.2, protocol).ok()?;
            Some(Gauge { socket, question, is_unix })
        }

        /// What the kernel says, without the header.
        fn ask(&self) -> Option<Vec<u8>> {
            rustix::net::send(&self.socket, &self.question, SendFlags::empty()).ok()?;
            let mut answer = [0; 1024];
            let (n, _) =
                rustix::net::recv(&self.socket, &mut answer[..], RecvFlags::DONTWAIT).ok()?;
            let answer = answer.get(..n)?;
            let kind = answer.get(4..)?.first_chunk()?;
            (u16::from_ne_bytes(*kind) == BY_FAMILY).then(|| answer.get(HEADER..))?.map(Vec::from)
        }

        /// Bytes that the other end has not read; `None` when it is gone.
        pub(in super::super) fn unread(&mut self) -> Option<usize> {
            let answer = self.ask()?;
            let unread = match self.is_unix {
                true => attribute(&answer, QUEUES)?,
                false => u32::from_ne_bytes(*answer.get(INET_UNREAD..)?.first_chunk()?),
            };
            usize::try_from(unread).ok()
        }
    }

    /// The inode of the socket at the other end of a TCP connection, which is 0 when no process has it open.
    pub(super) fn owner(local: SocketAddr, peer: SocketAddr) -> Option<u32> {
        let answer = Gauge::unasked(about_tcp(local, peer), false)?.ask()?;
        Some(u32::from_ne_bytes(*answer.get(INET_INODE..)?.first_chunk()?))
    }

    /// A `struct inet_diag_req_v2` for the socket at `peer` that is connected to `local`.
    fn about_tcp(local: SocketAddr, peer: SocketAddr) -> Vec<u8> {
        let mut body = vec![family(peer.ip()), TCP, 0, 0];
        body.extend(u32::MAX.to_ne_bytes()); // in whatever state
        body.extend(peer.port().to_be_bytes());
        body.extend(local.port().to_be_bytes());
        for address in [peer.ip(), local.ip()] {
            let start = body.len();
            match address {
                IpAddr::V4(ip) => body.extend(ip.octets()),
                IpAddr::V6(ip) => body.extend(ip.octets()),
            }
            body.resize(start + 16, 0);
        }
        body.extend(0u32.to_ne_bytes()); // any interface
        body.extend([0xff; 8]); // any cookie
        body
    }

    fn family(ip: IpAddr) -> u8 {
        let family = if ip.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        family.as_raw() as u8
    }

    /// A `struct unix_diag_req`.
    fn about_unix(inode: u32, show: u32) -> Vec<u8> {
        let mut body = vec![AddressFamily::UNIX.as_raw() as u8, 0, 0, 0];
        body.extend(u32::MAX.to_ne_bytes());
        body.extend(inode.to_ne_bytes());
        body.extend(show.to_ne_bytes());
        body.extend([0xff; 8]);
        body
    }

    /// The first number of an attribute of a `struct unix_diag_msg`.
    fn attribute(message: &[u8], wanted: u16) -> Option<u32> {
        let mut rest = message.get(UNIX_MESSAGE..)?;
        loop {
            let (length, kind) = (rest.get(..2)?, rest.get(2..4)?);
            let length = usize::from(u16::from_ne_bytes(*length.first_chunk()?));
            if u16::from_ne_bytes(*kind.first_chunk()?) == wanted {
                return Some(u32::from_ne_bytes(*rest.get(4..)?.first_chunk()?));
            }
            rest = rest.get(length.max(4).next_multiple_of(4)..)?;
        }
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
