//! Forwards that are open: their sockets, what they lead to, and how to open and close them while the gateway
//! runs.

use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, UdpSocket, UnixListener};
use tokio::task::AbortHandle;

use super::client::{self, Stream};
use super::flow::Outcome;
use super::forward::{Forward, Listen, Protocol};
use super::{Gateway, arrival, count, datagrams};
use crate::error::{Error, Result};

/// Pauses after a connection that could not be accepted.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// The forwards of a gateway; clones are the same ones.
#[derive(Clone)]
pub struct Forwards {
    pub(super) gateway: Gateway,
    open: Arc<Mutex<Vec<Entry>>>,
    is_quiet: bool,
}

struct Entry {
    opened: Opened,
    /// Ports that are listened at.
    sockets: Vec<Task>,
    /// A socket in the file system, to be removed.
    path: Option<PathBuf>,
}

/// Ends the task with itself.
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A forward that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Its number.
    pub number: u64,
    /// What it says, with the ports that were chosen.
    pub forward: Forward,
    /// Connections and clients so far.
    pub connections: u64,
}

static NUMBERS: AtomicU64 = AtomicU64::new(1);

impl Forwards {
    /// None yet.
    pub fn new(gateway: &Gateway) -> Forwards {
        Forwards { gateway: gateway.clone(), open: Arc::default(), is_quiet: false }
    }

    /// The same, without a word about connections that fail: whoever makes them tells that itself.
    pub fn quiet(mut self) -> Forwards {
        self.is_quiet = true;
        self
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a forward; what it became.
    pub async fn open(&self, forward: &Forward) -> Result<Opened> {
        if let Some(guest) = forward.guest {
            self.gateway.check_guest(guest)?;
        }
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let mut forward = forward.clone();
        let mut sockets = Vec::new();
        let mut path = None;
        match &mut forward.listen {
            Listen::Unix(at) => {
                let listener = unix_listener(at)?;
                path = Some(at.clone());
                sockets.push(self.serve_unix(number, listener, forward.port));
            }
            Listen::Ip(address) => {
                let span = forward.span.max(1);
                for n in 0..span {
                    let at = SocketAddr::new(address.ip(), address.port().saturating_add(n));
                    let lead = (forward.guest, forward.port.saturating_add(n));
                    let (task, bound) = match forward.protocol {
                        Protocol::Tcp => self.serve_tcp(number, at, lead).await?,
                        Protocol::Udp => self.serve_udp(number, at, lead).await?,
                    };
                    sockets.push(task);
                    if n == 0 {
                        *address = bound;
                    }
                }
            }
        }
        let opened = Opened { number, forward, connections: 0 };
        self.entries().push(Entry { opened: opened.clone(), sockets, path });
        Ok(opened)
    }

    /// Those that are open.
    pub fn list(&self) -> Vec<Opened> {
        self.entries().iter().map(|entry| entry.opened.clone()).collect()
    }

    /// Closes the forward of this number; whether there was one. Its connections go on.
    pub fn close(&self, number: u64) -> bool {
        let mut entries = self.entries();
        let Some(at) = entries.iter().position(|entry| entry.opened.number == number) else {
            return false;
        };
        let entry = entries.remove(at);
        drop(entries);
        drop(entry.sockets);
        self.gateway.state().udp.close(number);
        if let Some(path) = entry.path {
            let _ = std::fs::remove_file(path); // somebody may have done so
        }
        true
    }

    /// Closes all of them.
    pub fn close_all(&self) {
        for opened in self.list() {
            self.close(opened.number);
        }
    }

    pub(super) fn note_client(&self, number: u64) {
        let mut entries = self.entries();
        if let Some(entry) = entries.iter_mut().find(|entry| entry.opened.number == number) {
            entry.opened.connections += 1;
        }
    }

    async fn serve_tcp(
        &self,
        number: u64,
        address: SocketAddr,
        (guest, port): (Option<std::net::Ipv4Addr>, u16),
    ) -> Result<(Task, SocketAddr)> {
        let cannot = |error| cannot_listen(&address.to_string(), error);
        let listener = TcpListener::bind(address).await.map_err(cannot)?;
        let bound = listener.local_addr().map_err(cannot)?;
        let forwards = self.clone();
        let task = tokio::spawn(async move {
            loop {
                let stream = match listener.accept().await {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        forwards.gateway.cannot_accept(&error);
                        tokio::time::sleep(ACCEPT_AGAIN).await;
                        continue;
                    }
                };
                client::prepare(&stream);
                forwards.connect(number, stream, guest, port);
            }
        });
        Ok((Task(task.abort_handle()), bound))
    }

    fn serve_unix(&self, number: u64, listener: UnixListener, port: u16) -> Task {
        let forwards = self.clone();
        let task = tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => forwards.connect(number, stream, None, port),
                    Err(error) => {
                        forwards.gateway.cannot_accept(&error);
                        tokio::time::sleep(ACCEPT_AGAIN).await;
                    }
                }
            }
        });
        Task(task.abort_handle())
    }

    /// Connects `stream` with the device, in a task of its own.
    fn connect(
        &self,
        number: u64,
        stream: impl Stream + 'static,
        guest: Option<std::net::Ipv4Addr>,
        port: u16,
    ) {
        self.note_client(number);
        let (gateway, is_quiet) = (self.gateway.clone(), self.is_quiet);
        tokio::spawn(async move {
            let outcome = arrival::run(&gateway, stream, guest, port).await;
            let why = match outcome {
                Outcome::Done | Outcome::Reset => return,
                Outcome::Refused => "the device refuses the connection".to_owned(),
                Outcome::NoAnswer => "the device does not answer".to_owned(),
                Outcome::Lost => "the device has stopped to answer".to_owned(),
                Outcome::TooMany => format!("there are {} connections already", super::MOST_FLOWS),
            };
            count(&gateway.0.counters.failed, 1);
            if !is_quiet {
                gateway.0.events.warn(format!("port {port}: {why}"));
            }
        });
    }

    async fn serve_udp(
        &self,
        number: u64,
        address: SocketAddr,
        (guest, port): (Option<std::net::Ipv4Addr>, u16),
    ) -> Result<(Task, SocketAddr)> {
        let cannot = |error| cannot_listen(&address.to_string(), error);
        let socket = Arc::new(UdpSocket::bind(address).await.map_err(cannot)?);
        let bound = socket.local_addr().map_err(cannot)?;
        let forwards = self.clone();
        let task = tokio::spawn(async move {
            datagrams::serve(&forwards, number, socket, (guest, port)).await;
        });
        Ok((Task(task.abort_handle()), bound))
    }
}

/// Listens at `path`; what a process that ended left there makes way.
pub(super) fn unix_listener(path: &Path) -> Result<UnixListener> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|at| at.file_type().is_socket());
    // Only a refusal says that nobody is there: a socket of another kind lives, and does not fit.
    let is_left = |error: std::io::Error| error.kind() == std::io::ErrorKind::ConnectionRefused;
    if is_socket && std::os::unix::net::UnixStream::connect(path).is_err_and(is_left) {
        let _ = std::fs::remove_file(path); // binding tells if that did not help
    }
    UnixListener::bind(path).map_err(|error| cannot_listen_at(path, error))
}

/// The error of a socket in the file system.
pub(super) fn cannot_listen_at(path: &Path, error: std::io::Error) -> Error {
    use std::io::ErrorKind;
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|at| at.file_type().is_socket());
    let help = match error.kind() {
        ErrorKind::AddrInUse if is_socket => "another program has that socket; name another path",
        ErrorKind::AddrInUse => "a file that is no socket is there; name another path",
        ErrorKind::NotFound => "there is no such folder; make it, or name another path",
        ErrorKind::InvalidInput => "a socket's path has at most 107 bytes; name a shorter one",
        _ => "name a path in a folder of yours",
    };
    Error::environment(format!("cannot listen on {}", path.display()))
        .caused_by(error)
        .with_help(help)
}

pub(super) fn cannot_listen(at: &str, error: std::io::Error) -> Error {
    let help = match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            "somebody listens there; take another port, or 0 for one that is free"
        }
        std::io::ErrorKind::PermissionDenied => {
            "ports below 1024 need CAP_NET_BIND_SERVICE; take a higher one: '--forward 8080:80'"
        }
        _ => "give an address of this machine, or none for 127.0.0.1",
    };
    Error::environment(format!("cannot listen on {at}")).caused_by(error).with_help(help)
}
