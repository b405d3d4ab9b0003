//! Does the other end serve us, or somebody else?
//!
//! QEMU's character device serves one client. A second one connects at once, hears nothing, and
//! what it sends is delivered to the guest when the first has left, even if the second is gone by
//! then. So nothing may be sent before it is known that the connection was accepted. The kernel
//! knows: until a server accepts, its end of the connection has no socket, hence inode 0, in
//! `/proc/net/tcp` and in the socket diagnostics for unix sockets.
//!
//! The server is given a second to accept; then the holder is looked up and named. Where the
//! other end is not on this machine, nothing can be told: [`Standing::Unverified`].

#[cfg(target_os = "linux")]
mod diag;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod tables;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::UnixStream;

use super::Standing;
use crate::error::{Error, Result};

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

/// Waits until the server at `peer` has accepted the connection from `local`.
pub(super) async fn tcp(
    endpoint: &str,
    local: SocketAddr,
    peer: SocketAddr,
) -> Result<(Standing, Option<String>)> {
    settle(endpoint, || tcp_accepted(local, peer), || tcp_holders(local, peer)).await
}

/// Waits until the server at `path` has accepted `stream`.
pub(super) async fn unix(
    endpoint: &str,
    path: &str,
    stream: &UnixStream,
) -> Result<(Standing, Option<String>)> {
    settle(endpoint, || unix_accepted(stream), || unix_holders(path, stream)).await
}

async fn settle(
    endpoint: &str,
    accepted: impl Fn() -> Accepted,
    holders: impl Fn() -> Vec<String>,
) -> Result<(Standing, Option<String>)> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match accepted() {
            Accepted::Yes(peer) => return Ok((Standing::Served, peer)),
            Accepted::Unknown => return Ok((Standing::Unverified, None)),
            Accepted::No if tokio::time::Instant::now() >= deadline => {
                return Err(held(endpoint, &holders()));
            }
            Accepted::No => tokio::time::sleep(LOOK).await,
        }
    }
}

fn held(endpoint: &str, holders: &[String]) -> Error {
    let by = match holders {
        [] => "another client".to_owned(),
        holders => holders.join(" and "),
    };
    Error::environment(format!("{endpoint} is held by {by}")).with_help(
        "it serves one client at a time, and nothing was sent; end that client, or put uarttool in \
         between: start 'uarttool sniff --proxy tcp-listen:127.0.0.1:5557' in its place and point \
         the client at port 5557",
    )
}

/// The error for a listener whose queue is full: it has more than one client too many.
pub(super) fn full_queue(endpoint: &str) -> Error {
    Error::environment(format!("{endpoint} is held by another client, and more are waiting"))
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
        row.is_listening && row.local.port() == port && (ip.is_unspecified() || ip.is_loopback())
    };
    Some(tables::tcp().iter().find(here).is_some())
}

/// Whether something listens on TCP port `port` of this machine's loopback; `None` where the system
/// does not tell.
#[cfg(not(target_os = "linux"))]
pub fn listening(_: u16) -> Option<bool> {
    None
}

#[cfg(target_os = "linux")]
fn tcp_accepted(local: SocketAddr, peer: SocketAddr) -> Accepted {
    let rows = tables::tcp();
    match rows.iter().find(|row| row.local == peer && row.remote == local) {
        None => Accepted::Unknown,
        Some(row) if row.inode == 0 => Accepted::No,
        Some(row) => Accepted::Yes(process::holding(row.inode)),
    }
}

#[cfg(target_os = "linux")]
fn tcp_holders(local: SocketAddr, peer: SocketAddr) -> Vec<String> {
    let rows = tables::tcp();
    let served = rows.iter().filter(|row| {
        row.local == peer && row.remote != local && row.inode != 0 && row.is_established
    });
    served
        .map(|row| {
            let client =
                rows.iter().find(|other| other.local == row.remote && other.remote == peer);
            let name = client.and_then(|client| process::holding(client.inode));
            name.unwrap_or_else(|| row.remote.to_string())
        })
        .collect()
}

#[cfg(target_os = "linux")]
fn unix_accepted(stream: &UnixStream) -> Accepted {
    use std::os::fd::AsFd;
    let Ok(own) = rustix::fs::fstat(stream.as_fd()) else { return Accepted::Unknown };
    let Ok(rows) = diag::unix_sockets() else { return Accepted::Unknown };
    match rows.iter().find(|row| u64::from(row.inode) == own.st_ino).map(|row| row.peer) {
        None => Accepted::Unknown,
        Some(None | Some(0)) => Accepted::No,
        Some(Some(peer)) => Accepted::Yes(process::holding(u64::from(peer))),
    }
}

#[cfg(target_os = "linux")]
fn unix_holders(path: &str, stream: &UnixStream) -> Vec<String> {
    use std::os::fd::AsFd;
    let own = rustix::fs::fstat(stream.as_fd()).map(|own| own.st_ino).unwrap_or_default();
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.into());
    let same = |name: &str| std::fs::canonicalize(name).unwrap_or_else(|_| name.into()) == path;
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
fn tcp_holders(_: SocketAddr, _: SocketAddr) -> Vec<String> {
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
