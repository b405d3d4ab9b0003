//! The end of a connection on this machine: what it is written to and read from, and whether anybody is
//! still there.
//!
//! A client that waits for the device, or whose bytes the device has no room for, is not read from; yet
//! it may go away meanwhile. So it is looked at now and then without reading: poll(2) tells a reset and an
//! end. An end can be half of one ("this was my request") or a whole one ("I have gone"), which TCP
//! does not tell apart; for a client on this machine the kernel does, since a socket that nobody has open
//! any more belongs to nobody. For one elsewhere keep-alive probes find out, which a forgotten
//! socket refuses after its FIN-WAIT-2 time.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::endpoint::queue;

/// A client that is silent for so long is asked whether it is there, and then so often again.
const PROBE: Duration = Duration::from_secs(15);
/// So many probes may stay without answer.
const PROBES: u32 = 4;

/// The other end has said all. Elsewhere than on Linux poll(2) does not tell.
#[cfg(target_os = "linux")]
const ENDED: PollFlags = PollFlags::RDHUP;
#[cfg(not(target_os = "linux"))]
const ENDED: PollFlags = PollFlags::empty();

/// Who is at the other end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Somebody, as far as can be told.
    Here,
    /// Nobody: it said all that it had to say, and listens no more.
    Gone,
    /// Nobody: it broke off.
    Broken,
}

/// What a connection leads to on this machine.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Sync {
    /// Makes its end a reset, as far as it has such a thing.
    fn reset(&self) {}

    /// Whether somebody is there, as far as can be told without reading.
    fn presence(&self) -> Presence {
        Presence::Here
    }
}

impl Stream for TcpStream {
    fn reset(&self) {
        // Without lingering the kernel resets; if that cannot be set, it is an end like any other.
        let _ = sockopt::set_socket_linger(self, Some(Duration::ZERO));
    }

    fn presence(&self) -> Presence {
        let flags = events(self);
        if flags.contains(PollFlags::ERR) {
            return Presence::Broken;
        }
        let has_owner = || match (self.local_addr(), self.peer_addr()) {
            (Ok(local), Ok(peer)) => has_owner(local, peer),
            _ => false, // it is not connected any more
        };
        if flags.intersects(ENDED) && !has_owner() { Presence::Gone } else { Presence::Here }
    }
}

impl Stream for UnixStream {
    fn presence(&self) -> Presence {
        let flags = events(self);
        if flags.contains(PollFlags::ERR) {
            Presence::Broken
        } else if flags.contains(PollFlags::HUP) {
            Presence::Gone
        } else {
            Presence::Here
        }
    }
}

impl Stream for tokio::io::DuplexStream {}

/// What has happened to a socket.
fn events(socket: &impl AsFd) -> PollFlags {
    let mut sockets = [PollFd::new(socket, ENDED)];
    match rustix::event::poll(&mut sockets, Some(&Timespec::default())) {
        Ok(n) if n > 0 => sockets[0].revents(),
        _ => PollFlags::empty(),
    }
}

/// Whether a process has the socket at `peer` open; of one elsewhere that is taken for granted.
fn has_owner(local: SocketAddr, peer: SocketAddr) -> bool {
    let canonical = |at: SocketAddr| SocketAddr::new(at.ip().to_canonical(), at.port());
    let (local, peer) = (canonical(local), canonical(peer));
    let is_here = peer.ip().is_loopback() || peer.ip() == local.ip();
    !is_here || queue::has_owner(local, peer).unwrap_or(true)
}

/// Prepares a connection that was accepted.
pub(super) fn prepare(stream: &TcpStream) {
    // What cannot be set costs latency, or lets a client that vanished stay for longer.
    let _ = stream.set_nodelay(true);
    let _ = sockopt::set_tcp_keepidle(stream, PROBE);
    let _ = sockopt::set_tcp_keepintvl(stream, PROBE);
    let _ = sockopt::set_tcp_keepcnt(stream, PROBES);
    let _ = sockopt::set_socket_keepalive(stream, true);
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    async fn pair(at: &str) -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind(at).await.expect("loopback");
        let address = listener.local_addr().expect("an address");
        let theirs = TcpStream::connect(address).await.expect("it listens");
        let (ours, _) = listener.accept().await.expect("a client");
        (ours, theirs)
    }

    #[tokio::test]
    async fn half_an_end_a_whole_one_and_a_reset_are_told_apart() {
        for at in ["127.0.0.1:0", "[::1]:0"] {
            let (ours, mut theirs) = pair(at).await;
            theirs.write_all(b"a request").await.expect("there is room");
            assert_eq!(ours.presence(), Presence::Here);
            theirs.shutdown().await.expect("half of it ends");
            assert_eq!(ours.presence(), Presence::Here);
            drop(theirs);
            assert_eq!(ours.presence(), Presence::Gone);

            let (ours, mut theirs) = pair(at).await;
            theirs.write_all(b"a request").await.expect("there is room");
            theirs.reset();
            drop(theirs);
            assert_eq!(ours.presence(), Presence::Broken);
        }
    }

    #[tokio::test]
    async fn so_they_are_on_a_unix_socket() {
        let (ours, mut theirs) = UnixStream::pair().expect("sockets");
        theirs.write_all(b"a request").await.expect("there is room");
        theirs.shutdown().await.expect("half of it ends");
        assert_eq!(ours.presence(), Presence::Here);
        drop(theirs);
        assert_eq!(ours.presence(), Presence::Gone);
    }
}
