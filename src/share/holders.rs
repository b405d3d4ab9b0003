//! Who holds which line.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::JoinSet;

use super::pipe::Incoming;
use super::places;
use super::wire::{FromHolder, Hello, Line, MAJOR, MAX_MESSAGE};
use crate::error::{Error, Result};

/// How long a holder may take to say hello. One that is stopped is passed over.
const PATIENCE: Duration = Duration::from_millis(500);

/// A holder that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its socket.
    pub path: PathBuf,
    /// What it said.
    pub hello: Hello,
}

/// `uarttool sniff (pid 4242)`.
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let command = crate::escape::terminal(self.hello.command.as_bytes());
        write!(f, "uarttool {command} (pid {})", self.hello.pid)
    }
}

impl Holder {
    /// Whether the line is there.
    pub fn is_up(&self) -> bool {
        self.hello.terms.as_ref().is_some_and(|terms| terms.line != Line::Waiting)
    }

    /// Whether it holds one of `identities`.
    pub fn holds(&self, identities: &[String]) -> bool {
        self.hello.identities.iter().any(|held| identities.contains(held))
    }

    /// When it began, for choosing among several.
    pub fn since(&self) -> u64 {
        self.hello.terms.as_ref().map_or(0, |terms| terms.since.0)
    }

    /// The error when its protocol is not ours.
    pub fn check_version(&self) -> Result<()> {
        if self.hello.major == MAJOR {
            return Ok(());
        }
        let held = self.hello.identities.first().map_or("a tunnel", String::as_str);
        let held = crate::escape::terminal(held.as_bytes());
        Err(Error::environment(format!(
            "{self} holds {held} and shares it by version {} of the protocol, this uarttool by \
             version {MAJOR}",
            self.hello.major
        ))
        .with_help("use the same uarttool for both, or end that one"))
    }
}

/// A conversation with a holder.
#[derive(Debug)]
pub struct Opened {
    /// Whose it is.
    pub holder: Holder,
    /// What it says.
    pub incoming: Incoming<OwnedReadHalf>,
    /// For what is said to it.
    pub writer: OwnedWriteHalf,
}

/// Connects to the holder at `path` and hears its hello. A socket of a dead one is removed.
pub async fn open(path: &Path) -> Option<Opened> {
    let hello = async {
        let stream = match UnixStream::connect(path).await {
            Ok(stream) => stream,
            Err(error) => {
                if error.kind() == ErrorKind::ConnectionRefused {
                    places::remove_stale(path);
                }
                return None;
            }
        };
        let (reader, writer) = stream.into_split();
        let mut incoming = Incoming::new(reader, MAX_MESSAGE);
        let message = incoming.next().await?;
        let Ok(Some(FromHolder::Hello(hello))) = FromHolder::decode(message) else { return None };
        Some(Opened { holder: Holder { path: path.to_owned(), hello }, incoming, writer })
    };
    tokio::time::timeout(PATIENCE, hello).await.ok().flatten()
}

/// Every holder in `folder` but ourselves; those whose line is there first, the oldest first.
pub async fn find(folder: &Path) -> Vec<Holder> {
    let mut asked = JoinSet::new();
    for (pid, path) in places::sockets(folder) {
        if pid != std::process::id() {
            asked.spawn(async move { open(&path).await.map(|opened| opened.holder) });
        }
    }
    // All at once: those that do not answer cost no more than one of them.
    let mut holders: Vec<_> = asked.join_all().await.into_iter().flatten().collect();
    holders.sort_by_key(|holder| (!holder.is_up(), holder.since()));
    holders
}
