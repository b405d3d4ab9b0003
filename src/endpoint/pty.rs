//! `pty`: a pair of pseudo terminals. We have one end; the other has a path under which any program opens it
//! as if it were a serial port.
//!
//! The pair is there as long as we are. A program that opens the other end is a connection, and its
//! closing it the end of that; the next one to open it is the next connection. The kernel shows on our end whether the
//! other is open (`POLLHUP`), but reports nobody opening it, so that we look now and then. Bytes that one
//! program did not read are not left for the next.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::pty::OpenptFlags;
use rustix::termios::{self, OptionalActions, QueueSelector};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::OnceCell;

use super::descriptor::Descriptor;
use super::spec::{Form, Spec};
use super::stream::{self, Acknowledge};
use super::{About, Connector, Link, Pending, Standing};
use crate::error::{Error, Result};
use crate::event::{Event, Events};

/// The form `pty`.
pub(super) static PTY: Form = Form {
    name: "pty",
    address: "",
    help: "a pseudo terminal for another program; link=PATH gives it a name",
    options: &["link"],
    takes_rest: false,
    settle: |options| {
        options.check_stream()?;
        match options.own("link") {
            Some("") => Err("no path behind 'link='".to_owned()),
            _ => Ok(()),
        }
    },
    identities: |_| Vec::new(), // each is another pair
    check: |address| match address {
        "" => Ok(()),
        _ => Err(format!(
            "'pty' makes a new pair and takes no address such as '{address}'; one that \
                          is there is serial:{address}"
        )),
    },
    open: |spec, events| Box::new(Pty { spec: spec.clone(), events, pair: OnceCell::new() }),
};

/// How often to look whether somebody has opened the other end.
const LOOK: Duration = Duration::from_millis(20);

struct Pty {
    spec: Spec,
    events: Events,
    pair: OnceCell<Pair>,
}

/// Our end, and where the other one is. The link goes away with it.
struct Pair {
    near: OwnedFd,
    far: PathBuf,
    link: Option<PathBuf>,
}

impl Drop for Pair {
    fn drop(&mut self) {
        if let Some(link) = &self.link
            && std::fs::read_link(link).is_ok_and(|target| target == self.far)
        {
            let _ = std::fs::remove_file(link); // nothing to be done about a failure
        }
    }
}

impl Pty {
    fn make(&self) -> Result<Pair> {
        let cannot = |error: io::Error| Error::environment("cannot make a pty").caused_by(error);
        let (near, far) = pair().map_err(cannot)?;
        let link = self.spec.options.own("link").map(PathBuf::from);
        if let Some(link) = &link {
            put_link(link, &far)?;
        }
        let pair = Pair { near, far, link };
        let shown = pair.link.as_ref().unwrap_or(&pair.far).display();
        self.events.tell(Event::Listening(format!("serial:{shown}")));
        Ok(pair)
    }
}

/// A pair in raw mode whose far end is closed.
fn pair() -> io::Result<(OwnedFd, PathBuf)> {
    let near = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    rustix::io::fcntl_setfd(&near, rustix::io::FdFlags::CLOEXEC)?;
    rustix::pty::grantpt(&near)?;
    rustix::pty::unlockpt(&near)?;
    let far = rustix::pty::ptsname(&near, Vec::new())?;
    let far = PathBuf::from(far.to_string_lossy().into_owned());
    // Until it was open once, the kernel does not say that it is closed.
    let opened = open(&far)?;
    let mut settings = termios::tcgetattr(&opened)?;
    settings.make_raw();
    termios::tcsetattr(&opened, OptionalActions::Now, &settings)?;
    Ok((near, far))
}

/// Opens the far end, which becomes nobody's terminal by that.
fn open(far: &Path) -> io::Result<std::fs::File> {
    let flags = (OFlags::NOCTTY | OFlags::NONBLOCK).bits() as i32;
    std::fs::File::options().read(true).write(true).custom_flags(flags).open(far)
}

/// Makes the link; one that led to a pty before is replaced, anything else is left alone.
fn put_link(link: &Path, far: &Path) -> Result<()> {
    let cannot = |error: io::Error| {
        Error::environment(format!("cannot make the link {}", link.display())).caused_by(error)
    };
    if std::fs::read_link(link).is_ok_and(|old| old.starts_with("/dev/pts")) {
        std::fs::remove_file(link).map_err(cannot)?;
    }
    std::os::unix::fs::symlink(far, link).map_err(|error| {
        let is_there = error.kind() == io::ErrorKind::AlreadyExists;
        let error = cannot(error);
        match is_there {
            true => error.with_help("something else is there: give another 'link='"),
            false => error,
        }
    })
}

/// Whether somebody has the other end open, or has left something for us.
fn is_open(near: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(near, PollFlags::IN)];
    let _ = poll(&mut fds, Some(&Timespec::default())); // an error looks like nobody
    let seen = fds[0].revents();
    seen.contains(PollFlags::IN) || !seen.contains(PollFlags::HUP)
}

/// Our end for reading: that the other is closed is the end of the stream, and no failure.
struct Near(Descriptor);

impl AsyncRead for Near {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.0).poll_read(context, buffer) {
            Poll::Ready(Err(error)) if Errno::from_io_error(&error) == Some(Errno::IO) => {
                Poll::Ready(Ok(()))
            }
            read => read,
        }
    }
}

impl Connector for Pty {
    fn name(&self) -> &str {
        &self.spec.text
    }

    fn prepare(&self) -> Pending<'_, Result<bool>> {
        Box::pin(
            async move { self.pair.get_or_try_init(|| async { self.make() }).await.map(|_| true) },
        )
    }

    fn connect(&self) -> Pending<'_, Result<Link>> {
        Box::pin(async move {
            let pair = self.pair.get_or_try_init(|| async { self.make() }).await?;
            // What was for the one before is not for the next.
            if let Ok(far) = open(&pair.far) {
                let _ = termios::tcflush(&far, QueueSelector::IFlush); // then it reads old bytes
            }
            while !is_open(&pair.near) {
                tokio::time::sleep(LOOK).await;
            }
            // The event loop believes for ever in an end that it has seen once: each connection needs a
            // descriptor that was never closed at the other end.
            let near = pair.near.try_clone().and_then(Descriptor::new);
            let near = near.map_err(|error| {
                Error::environment(format!("cannot use {}", self.spec.text)).caused_by(error)
            })?;
            let about = About {
                is_stream: true,
                endpoint: self.spec.text.clone(),
                peer: Some(pair.far.display().to_string()),
                standing: Standing::Served,
                is_live: true,
                has_left: false,
                shared: None,
            };
            let (reader, writer) = (Near(near.clone()), near);
            let framing = self.spec.options.framing;
            Ok(stream::link(reader, writer, Acknowledge::Never, framing, about))
        })
    }

    fn is_persistent(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Received;
    use std::io::{Read, Write};

    /// As a program opens it that waits for what it reads.
    fn opened(path: &Path) -> std::fs::File {
        let flags = OFlags::NOCTTY.bits() as i32;
        let mut options = std::fs::File::options();
        options.read(true).write(true).custom_flags(flags).open(path).expect("it is there")
    }

    async fn received(link: &mut Link) -> Received {
        let received = tokio::time::timeout(Duration::from_secs(5), link.rx.receive()).await;
        received.expect("soon").expect("no failure")
    }

    #[tokio::test]
    async fn every_program_that_opens_it_is_a_connection_and_starts_afresh() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("line");
        let spec = Spec::parse(&format!("pty,link={}", path.display())).expect("good");
        let pty = (PTY.open)(&spec, Events::ignore());
        assert!(pty.prepare().await.expect("a pty"));
        for round in 0u8..3 {
            let waiting = tokio::time::timeout(3 * LOOK, pty.connect()).await;
            assert!(waiting.is_err(), "nobody has opened it");
            let mut far = opened(&path);
            let mut link = pty.connect().await.expect("it is open");
            far.write_all(&[round, 13, 4, 0x7f]).expect("there is room");
            let Received::Bytes(bytes) = received(&mut link).await else { panic!("bytes") };
            assert_eq!(bytes[..], [round, 13, 4, 0x7f], "raw");
            link.tx.send_raw(&[round, 10, 3]).await.expect("there is room");
            let mut answer = [0; 3];
            far.read_exact(&mut answer).expect("it comes");
            assert_eq!(answer, [round, 10, 3]);
            link.tx.send_raw(b"never read").await.expect("there is room");
            drop(far);
            assert!(matches!(received(&mut link).await, Received::End(_)));
        }
        drop(pty);
        assert!(std::fs::symlink_metadata(&path).is_err(), "the link is gone");
    }

    #[test]
    fn only_a_link_to_a_pty_is_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let far = Path::new("/dev/pts/0");
        let old = folder.path().join("old");
        std::os::unix::fs::symlink("/dev/pts/99999", &old).expect("a link");
        put_link(&old, far).expect("replaced");
        assert_eq!(std::fs::read_link(&old).expect("a link"), far);
        let file = folder.path().join("file");
        std::fs::write(&file, "mine").expect("a file");
        let error = put_link(&file, far).expect_err("not ours");
        assert!(error.help().is_some_and(|help| help.contains("another 'link='")));
        assert_eq!(std::fs::read(&file).expect("still there"), b"mine");
    }
}
