//! `unix:PATH` and `unix-listen:PATH`.

use std::io::ErrorKind;
use std::path::Path;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::OnceCell;

#[cfg(target_os = "linux")]
use super::message;
use super::queue::Gauge;
use super::spec::{Form, Spec};
use super::stream::{self, Acknowledge};
use super::{About, Connector, Link, Pending, Standing, held, hint};
use crate::error::{Error, Result};
use crate::event::{Event, Events};

/// The form `unix:`.
pub(super) static UNIX: Form = Form {
    name: "unix",
    address: "PATH",
    help: "QEMU's '-serial unix:PATH,server=on'; with framing=dgram, local=PATH is ours",
    options: &["local"],
    takes_rest: false,
    settle: |options| message::settle(options, true),
    identities: |path| identity("unix", path),
    check,
    open: |spec, events| match spec.options.framing.is_message() {
        true => Box::new(message::Unix::new(spec, events, false)),
        false => Box::new(Unix { spec: spec.clone(), events }),
    },
};

/// The form `unix-listen:`.
pub(super) static UNIX_LISTEN: Form = Form {
    name: "unix-listen",
    address: "PATH",
    help: "waiting for a connection on a socket of our own",
    options: &[],
    takes_rest: false,
    settle: |options| message::settle(options, false),
    identities: |path| identity("unix-listen", path),
    check,
    open: |spec, events| match spec.options.framing.is_message() {
        true => Box::new(message::Unix::new(spec, events, true)),
        false => Box::new(Listen { spec: spec.clone(), events, listener: OnceCell::new() }),
    },
};

/// Sockets of messages are done on Linux alone: elsewhere they are no streams that we could speak.
#[cfg(not(target_os = "linux"))]
mod message {
    use super::{Events, Spec};
    use crate::endpoint::Options;

    pub(super) fn settle(options: &mut Options, _: bool) -> Result<(), String> {
        match options.framing.is_message() || options.own("local").is_some() {
            true => Err("sockets whose messages are frames need Linux".to_owned()),
            false => Ok(()),
        }
    }

    /// Nobody gets this far.
    pub(super) struct Unix;

    impl Unix {
        pub(super) fn new(spec: &Spec, events: Events, is_listener: bool) -> super::Unix {
            let _ = is_listener;
            super::Unix { spec: spec.clone(), events }
        }
    }
}

fn check(path: &str) -> Result<(), String> {
    match path.len() {
        0 => Err("no path behind the colon".to_owned()),
        1..108 => Ok(()),
        n => Err(format!("the path is {n} bytes long; a socket's path has at most 107")),
    }
}

/// The absolute path without links, behind `form`. The socket itself need not be there yet.
fn identity(form: &str, path: &str) -> Vec<String> {
    let path = Path::new(path);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let whole = std::fs::canonicalize(path).ok().or_else(|| {
        let folder = std::fs::canonicalize(folder.unwrap_or(Path::new("."))).ok()?;
        Some(folder.join(path.file_name()?))
    });
    whole.iter().filter_map(|path| path.to_str()).map(|path| format!("{form}:{path}")).collect()
}

struct Unix {
    spec: Spec,
    events: Events,
}

impl Connector for Unix {
    fn name(&self) -> &str {
        &self.spec.text
    }

    fn connect(&self) -> Pending<'_, Result<Link>> {
        Box::pin(async move {
            let path = &self.spec.address;
            let stream = match UnixStream::connect(path).await {
                Ok(stream) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Err(held::full_queue(&self.spec.text));
                }
                Err(error) => return Err(cannot_connect(&self.spec, error)),
            };
            let waiting = held::Waiting {
                endpoint: &self.spec.text,
                again: self.spec.options.reconnect,
                events: &self.events,
            };
            let (standing, peer) = held::unix(&waiting, path, &stream).await?;
            Ok(link(&self.spec, stream, standing, peer))
        })
    }
}

fn cannot_connect(spec: &Spec, error: std::io::Error) -> Error {
    let path = &spec.address;
    let (kind, is_other_type) = (error.kind(), is_other_type(&error));
    let error = Error::environment(format!("cannot connect to unix:{path}")).caused_by(error);
    match kind {
        ErrorKind::NotFound => {
            error.with_help(format!("there is no such socket: {}", hint::start(spec)))
        }
        ErrorKind::ConnectionRefused => error.with_help(refused(path)),
        _ if is_other_type => error.with_help(held::unix_kind(path).advice()),
        _ => error,
    }
}

/// What a path is that is there and refuses.
pub(super) fn refused(path: &str) -> String {
    hint::no_socket(path).unwrap_or_else(|| {
        "the socket is there, but the program that made it is gone; start it again".to_owned()
    })
}

/// Whether the socket there is of another type than the one that was to be connected.
fn is_other_type(error: &std::io::Error) -> bool {
    rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::PROTOTYPE)
}

struct Listen {
    spec: Spec,
    events: Events,
    listener: OnceCell<Bound>,
}

/// A listening socket whose file goes away with it.
struct Bound {
    listener: UnixListener,
    path: String,
}

impl Drop for Bound {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path); // nothing to be done about a failure
    }
}

impl Listen {
    /// Binds; a socket that nobody has any more is replaced, anything else is not.
    async fn bind(&self) -> Result<Bound> {
        let path = &self.spec.address;
        let cannot = |error: std::io::Error| {
            let help = not_bound(path, error.kind());
            let error =
                Error::environment(format!("cannot listen on unix:{path}")).caused_by(error);
            match help {
                Some(help) => error.with_help(help),
                None => error,
            }
        };
        let listener = match UnixListener::bind(path) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && is_stale(path) => {
                std::fs::remove_file(path).map_err(cannot)?;
                UnixListener::bind(path)
            }
            other => other,
        };
        let listener = listener.map_err(cannot)?;
        self.events.tell(Event::Listening(format!("unix:{path}")));
        Ok(Bound { listener, path: path.clone() })
    }
}

/// Whether `path` is a socket that nobody has any more. Connecting would tell, too, but a
/// listener would take it for a client.
pub(super) fn is_stale(path: &str) -> bool {
    is_socket(path) && held::unix_bound(path) == Some(false)
}

/// Why a socket of ours cannot be made at `path`, and what to do.
pub(super) fn not_bound(path: &str, why: ErrorKind) -> Option<String> {
    match why {
        ErrorKind::AddrInUse if is_socket(path) => Some(match held::unix_owner(path) {
            Some(owner) => format!("the socket is that of {owner}: end it, or name another path"),
            None => "another program has that socket: end it, or name another path".to_owned(),
        }),
        ErrorKind::AddrInUse => {
            Some("there is something else at that path: name another".to_owned())
        }
        ErrorKind::NotFound => Some("its folder is not there".to_owned()),
        _ => None,
    }
}

fn is_socket(path: &str) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::symlink_metadata(Path::new(path))
        .and_then(
            |metadata| if metadata.is_symlink() { std::fs::metadata(path) } else { Ok(metadata) },
        )
        .is_ok_and(|metadata| metadata.file_type().is_socket())
}

impl Connector for Listen {
    fn name(&self) -> &str {
        &self.spec.text
    }

    fn prepare(&self) -> Pending<'_, Result<bool>> {
        Box::pin(async move { self.listener.get_or_try_init(|| self.bind()).await.map(|_| true) })
    }

    fn connect(&self) -> Pending<'_, Result<Link>> {
        Box::pin(async move {
            let bound = self.listener.get_or_try_init(|| self.bind()).await?;
            let (stream, _) = bound.listener.accept().await.map_err(|error| {
                Error::environment(format!("cannot accept on {}", self.spec.text)).caused_by(error)
            })?;
            let peer = held::unix_peer(&stream);
            Ok(link(&self.spec, stream, Standing::Served, peer))
        })
    }
}

fn link(spec: &Spec, stream: UnixStream, standing: Standing, peer: Option<String>) -> Link {
    let about = About {
        is_stream: true,
        endpoint: spec.text.clone(),
        peer,
        standing,
        is_live: true,
        has_left: super::has_left(&stream),
        shared: None,
    };
    let gauge = spec.options.queue.and_then(|bound| Some((Gauge::unix(&stream)?, bound)));
    let (reader, writer) = stream.into_split();
    let framing = spec.options.framing;
    match gauge {
        Some(queue) => {
            let both = (reader, writer);
            stream::bounded_link(both, Acknowledge::Never, framing, about, queue)
        }
        None => stream::link(reader, writer, Acknowledge::Never, framing, about),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_the_same_however_it_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let real = std::fs::canonicalize(folder.path()).expect("it is there");
        std::fs::create_dir(real.join("a")).expect("a folder");
        std::os::unix::fs::symlink(real.join("a"), real.join("link")).expect("a link");
        let wanted = vec![format!("unix:{}/a/uart1.sock", real.display())];
        for way in ["a/uart1.sock", "a/../a/uart1.sock", "link/uart1.sock", "./a//uart1.sock"] {
            let path = real.join(way);
            assert_eq!(identity("unix", path.to_str().expect("UTF-8")), wanted, "{way}");
        }
        assert!(identity("unix", "bare.sock")[0].ends_with("/bare.sock"));
        assert!(identity("unix", "bare.sock")[0].starts_with("unix:/"));
    }
}
