//! Does the other end serve us, or somebody else?
//!
//! QEMU's character device serves one client. A second one connects at once, hears nothing, and
//! what it sends is delivered to the guest when the first has left, even if the second is gone by
//! then. So nothing may be sent before it is known that the connection was accepted. The kernel
//! knows: until a server accepts, its end of the connection has no socket, hence inode 0, in
//! `/proc/net/tcp` and in the socket diagnostics for unix sockets.
//!
//! The server is given a second to accept; then the holder is looked up and named. Who wants to wait
//! (`reconnect=`) waits in the queue rather than leaving and coming again, since each connection that
//! leaves would stay behind in the server's short queue. Where the other end is not on this machine,
//! nothing can be told: [`Standing::Unverified`].

#[cfg(target_os = "linux")]
mod diag;
#[cfg(target_os = "linux")]
pub(super) mod process;
#[cfg(target_os = "linux")]
mod tables;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::UnixStream;

use super::Standing;
use crate::error::{Error, Result};
use crate::event::{Event, Events};

/// How long a server may take to accept before it counts as busy with somebody else.
const PATIENCE: Duration = Duration::from_secs(1);
/// Pauses between looks at the kernel's tables.
const LOOK: Duration = Duration::from_millis(10);

/// What the kernel says about the other end of a connection.
enum Accepted {
    /// A process has it.
    Yes(Option<String>),
    /// It waits in the listener's queue.
    No,
    /// The other end is not in our tables.
    Unknown,
}

/// Who waits, and for how long.
pub(super) struct Waiting<'a> {
    /// The endpoint as the user wrote it.
    pub endpoint: &'a str,
    /// Whether to wait for as long as it takes, and how often the user was told to look.
    pub again: Option<Duration>,
    /// Where to tell it.
    pub events: &'a Events,
}

/// Waits until the server at `peer` has accepted the connection from `local`.
pub(super) async fn tcp(
    waiting: &Waiting<'_>,
    local: SocketAddr,
    peer: SocketAddr,
) -> Result<(Standing, Option<String>)> {
    let (local, peer) = (canonical(local), canonical(peer));
    settle(waiting, || tcp_accepted(local, peer), || tcp_holders(Some(local), peer)).await
}

/// The error for a listener on this machine that does not even queue us.
pub(super) fn tcp_full(endpoint: &str, peer: SocketAddr) -> Option<Error> {
    let holders = tcp_holders(None, canonical(peer));
    (!holders.is_empty()).then(|| held(endpoint, &holders))
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Waits until the server at `path` has accepted `stream`.
pub(super) async fn unix(
    waiting: &Waiting<'_>,
    path: &str,
    stream: &UnixStream,
) -> Result<(Standing, Option<String>)> {
    settle(waiting, || unix_accepted(stream), || unix_holders(path, stream)).await
}

async fn settle(
    waiting: &Waiting<'_>,
    accepted: impl Fn() -> Accepted,
    holders: impl Fn() -> Vec<String>,
) -> Result<(Standing, Option<String>)> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut told = false;
    loop {
        match accepted() {
            Accepted::Yes(peer) => return Ok((Standing::Served, peer)),
            Accepted::Unknown => return Ok((Standing::Unverified, None)),
            Accepted::No if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(LOOK).await;
            }
            Accepted::No => {
                let error = held(waiting.endpoint, &holders());
                let Some(again_in) = waiting.again else { return Err(error) };
                if !std::mem::replace(&mut told, true) {
                    let (endpoint, why) = (waiting.endpoint.to_owned(), error.chain());
                    waiting.events.tell(Event::Waiting { endpoint, why, again_in });
                }
                tokio::time::sleep(again_in.min(PATIENCE)).await;
            }
        }
    }
}

fn held(endpoint: &str, holders: &[String]) -> Error {
    let text = match holders {
        [] => format!("{endpoint} has not accepted us: it serves another client, or is stopped"),
        holders => format!("{endpoint} is held by {}", holders.join(" and ")),
    };
    Error::environment(text).with_help(
        "it serves one client at a time, and nothing was sent; end that client, or put uarttool in \
         between: start 'uarttool sniff --proxy tcp-listen:127.0.0.1:5557' in its place and point \
         the client at port 5557",
    )
}

/// The error for a listener whose queue is full: it has more than one client too many.
pub(super) fn full_queue(endpoint: &str) -> Error {
    Error::environment(format!("{endpoint} takes nobody in: its queue of clients is full"))
        .with_help("it serves one client at a time, and nothing was sent; end the others first")
}

/// The process at the other end of a unix socket that we accepted.
pub(super) fn unix_peer(stream: &UnixStream) -> Option<String> {
    let pid = stream.peer_cred().ok()?.pid()?;
    #[cfg(target_os = "linux")]
    return process::name_of(pid);
    #[cfg(not(target_os = "linux"))]
    return Some(format!("pid {pid}"));
}

/// Whether something listens on TCP port `port` of this machine's loopback; `None` where the system
/// does not tell.
#[cfg(target_os = "linux")]
pub fn listening(port: u16) -> Option<bool> {
    let here = |row: &&tables::Row| {
        let ip = row.local.ip();
        let is_here = ip.is_unspecified() || ip == std::net::Ipv4Addr::LOCALHOST;
        row.is_listening && row.local.port() == port && is_here
    };
    Some(tables::tcp().iter().find(here).is_some())
}

/// Whether something listens on TCP port `port` of this machine's loopback; `None` where the system
/// does not tell.
#[cfg(not(target_os = "linux"))]
pub fn listening(_: u16) -> Option<bool> {
    None
}

/// The process that listens at `tunnel`, on this machine; `None` where the system does not tell.
#[cfg(target_os = "linux")]
pub fn serving(tunnel: &super::Spec) -> Option<u32> {
    use std::net::ToSocketAddrs;
    let inode = match tunnel.form.name {
        "tcp" => {
            let addresses: Vec<_> = tunnel.address.to_socket_addrs().ok()?.map(canonical).collect();
            let same = |local: SocketAddr, at: &SocketAddr| {
                local.port() == at.port() && (local.ip() == at.ip() || local.ip().is_unspecified())
            };
            let rows = tables::tcp();
            let serves = |row: &&tables::Row| {
                row.is_listening && addresses.iter().any(|at| same(canonical(row.local), at))
            };
            rows.iter().find(serves)?.inode
        }
        "unix" => unix_at(&tunnel.address).ok()??.inode.into(),
        _ => return None,
    };
    process::having(inode).and_then(|pid| pid.try_into().ok())
}

/// The process that listens at `tunnel`; `None` where the system does not tell.
#[cfg(not(target_os = "linux"))]
pub fn serving(_: &super::Spec) -> Option<u32> {
    None
}

#[cfg(target_os = "linux")]
fn tcp_accepted(local: SocketAddr, peer: SocketAddr) -> Accepted {
    let rows = tables::tcp();
    match rows.iter().find(|row| row.local == peer && row.remote == local) {
        None => Accepted::Unknown,
        Some(row) if row.inode == 0 && row.is_established => Accepted::No,
        Some(row) if row.inode == 0 => Accepted::Unknown, // accepted and closed already
        Some(row) => Accepted::Yes(process::holding(row.inode)),
    }
}

#[cfg(target_os = "linux")]
fn tcp_holders(local: Option<SocketAddr>, peer: SocketAddr) -> Vec<String> {
    let rows = tables::tcp();
    let same = |address: SocketAddr| {
        let loopback = address.ip().is_loopback() && peer.ip().is_loopback();
        address.port() == peer.port() && (address.ip() == peer.ip() || loopback)
    };
    let served = rows.iter().filter(|row| {
        same(row.local) && Some(row.remote) != local && row.inode != 0 && row.is_established
    });
    served
        .map(|row| {
            let client =
                rows.iter().find(|other| other.local == row.remote && other.remote == row.local);
            let name = client.and_then(|client| process::holding(client.inode));
            name.unwrap_or_else(|| row.remote.to_string())
        })
        .collect()
}

#[cfg(target_os = "linux")]
fn unix_accepted(stream: &UnixStream) -> Accepted {
    if super::has_left(stream) {
        return Accepted::Unknown; // the listener has died, and reading will tell
    }
    use std::os::fd::AsFd;
    let Ok(own) = rustix::fs::fstat(stream.as_fd()) else { return Accepted::Unknown };
    let Ok(rows) = diag::unix_sockets() else { return Accepted::Unknown };
    match rows.iter().find(|row| u64::from(row.inode) == own.st_ino).map(|row| row.peer) {
        None => Accepted::Unknown,
        Some(None | Some(0)) => Accepted::No,
        Some(Some(peer)) => Accepted::Yes(process::holding(u64::from(peer))),
    }
}

/// Whether a socket that was bound as `name` is the one at `path`. A relative name belongs to a folder
/// that is not known: the last part decides.
#[cfg(target_os = "linux")]
fn is_same_socket(name: &str, path: &str) -> bool {
    use std::path::Path;
    let (name, path) = (Path::new(name), Path::new(path));
    if name.is_relative() {
        return name.file_name() == path.file_name();
    }
    let whole = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    whole(name) == whole(path)
}

/// The types of unix sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A stream.
    Stream,
    /// Datagrams.
    Datagram,
    /// Messages over a connection.
    Seqpacket,
    /// The system does not tell.
    Unknown,
}

impl Kind {
    /// How to name an endpoint with such a socket, to who took it for one of another type.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Kind::Stream => {
                "it is a socket of a stream: leave 'framing=' away, or name a stream's framing"
            }
            Kind::Datagram => {
                "it is a socket of messages (datagrams): add ',framing=dgram', and ',local=PATH' if its \
                 owner sends to a path that it knows"
            }
            Kind::Seqpacket => "it is a socket of messages: add ',framing=seqpacket'",
            Kind::Unknown => {
                "the socket there is of another type: framing= is dgram or seqpacket for messages, and \
                 another for a stream"
            }
        }
    }
}

/// The socket that belongs to `path`: one that listens, or takes datagrams.
#[cfg(target_os = "linux")]
fn unix_at(path: &str) -> std::io::Result<Option<diag::Row>> {
    let same = |name: &str| is_same_socket(name, path);
    let has_it = |row: &diag::Row| row.is_listening || row.kind == Kind::Datagram;
    let mut rows = diag::unix_sockets()?.into_iter();
    Ok(rows.find(|row| has_it(row) && row.name.as_deref().is_some_and(same)))
}

/// Whether somebody listens on the unix socket at `path`, or takes datagrams there; `None` where the
/// system does not tell.
#[cfg(target_os = "linux")]
pub(super) fn unix_bound(path: &str) -> Option<bool> {
    unix_at(path).ok().map(|row| row.is_some())
}

/// Who that is.
#[cfg(target_os = "linux")]
pub(super) fn unix_owner(path: &str) -> Option<String> {
    process::holding(unix_at(path).ok()??.inode.into())
}

/// Of which type the socket at `path` is.
#[cfg(target_os = "linux")]
pub(super) fn unix_kind(path: &str) -> Kind {
    unix_at(path).ok().flatten().map_or(Kind::Unknown, |row| row.kind)
}

/// Whether somebody listens on the unix socket at `path`, or takes datagrams there; `None` where the
/// system does not tell.
#[cfg(not(target_os = "linux"))]
pub(super) fn unix_bound(_: &str) -> Option<bool> {
    None
}

/// Who that is.
#[cfg(not(target_os = "linux"))]
pub(super) fn unix_owner(_: &str) -> Option<String> {
    None
}

/// Of which type the socket at `path` is.
#[cfg(not(target_os = "linux"))]
pub(super) fn unix_kind(_: &str) -> Kind {
    Kind::Unknown
}

#[cfg(target_os = "linux")]
fn unix_holders(path: &str, stream: &UnixStream) -> Vec<String> {
    use std::os::fd::AsFd;
    let own = rustix::fs::fstat(stream.as_fd()).map(|own| own.st_ino).unwrap_or_default();
    let same = |name: &str| is_same_socket(name, path);
    let rows = diag::unix_sockets().unwrap_or_default();
    let served = rows.iter().filter(|row| row.name.as_deref().is_some_and(same) && row.inode != 0);
    served
        .filter_map(|row| row.peer.filter(|&peer| peer != 0 && u64::from(peer) != own))
        .map(|peer| {
            process::holding(u64::from(peer)).unwrap_or_else(|| "another client".to_owned())
        })
        .collect()
}

#[cfg(not(target_os = "linux"))]
fn tcp_accepted(_: SocketAddr, _: SocketAddr) -> Accepted {
    Accepted::Unknown
}

#[cfg(not(target_os = "linux"))]
fn tcp_holders(_: Option<SocketAddr>, _: SocketAddr) -> Vec<String> {
    Vec::new()
}

#[cfg(not(target_os = "linux"))]
fn unix_accepted(_: &UnixStream) -> Accepted {
    Accepted::Unknown
}

#[cfg(not(target_os = "linux"))]
fn unix_holders(_: &str, _: &UnixStream) -> Vec<String> {
    Vec::new()
}
