//! Getting a port, alone, and saying well why it cannot be had.
//!
//! Two programs at one port share its bytes at random. Locks are advisory and everybody has another
//! one, so three things are done: whoever has the device open already is looked for in `/proc` and named;
//! the file is locked as pyserial's and others lock it; and `TIOCEXCL` keeps later ones out. The maker of a pty
//! has both ends open, and is no other.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::fs::{FlockOperation, OFlags};
use rustix::termios::{self, ControlModes, OptionalActions};
use serial2_tokio::{FlowControl, SerialPort};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Settings;
use super::lines::{self, Lines};
use crate::error::{Error, Result};

/// A port that is ours.
pub struct Port {
    port: SerialPort,
    _claim: Claim,
}

/// The right to a device, given back when it goes.
pub struct Claim {
    path: String,
    file: File,
    is_exclusive: bool,
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.is_exclusive {
            let _ = termios::ioctl_tiocnxcl(&self.file); // it may be gone
        }
    }
}

/// Makes sure that nobody else has the device at `path`. Blocks for some milliseconds.
pub fn claim(path: &str) -> Result<Claim> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let mut options = File::options();
    let opened = options.read(true).write(true).custom_flags(flags as i32).open(path);
    let file = opened.map_err(|error| cannot_open(path, error))?;
    if !termios::isatty(&file) {
        return Err(cannot_open(path, io::Error::from(rustix::io::Errno::NOTTY)));
    }
    let whole = std::fs::canonicalize(path).unwrap_or_else(|_| PathBuf::from(path));
    if let Some(holder) = holder(&whole) {
        return Err(held(path, Some(&holder)));
    }
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => Err(held(path, None)),
        _ => Ok(Claim { path: path.to_owned(), file, is_exclusive: false }),
    }
}

impl Port {
    /// Opens what was claimed. Must be called inside the event loop.
    pub fn open(mut claim: Claim, settings: &Settings) -> Result<Port> {
        let cannot = |error| cannot_open(&claim.path, error);
        let port = SerialPort::open(&claim.path, |mut port: serial2_tokio::Settings| {
            port.set_raw();
            port.set_baud_rate(settings.baud)?;
            if settings.has_flow_control {
                port.set_flow_control(FlowControl::RtsCts);
            }
            Ok(port)
        });
        let port = port.map_err(|error| match error.kind() {
            ErrorKind::Other | ErrorKind::InvalidInput => refused(&claim.path, settings, error),
            _ => cannot(error),
        })?;
        leave_lines_alone(&claim.file).map_err(cannot)?;
        // What is set on a pty would outlive us: its end is not ours.
        let is_exclusive = !is_pty(Path::new(&claim.path));
        claim.is_exclusive = is_exclusive && termios::ioctl_tiocexcl(&claim.file).is_ok();
        let port = Port { port, _claim: claim };
        for step in lines::after_opening(settings.dtr, settings.rts) {
            let moved = match step {
                lines::Step::Dtr(is_on) => port.set_dtr(is_on),
                lines::Step::Rts(is_on) => port.set_rts(is_on),
                lines::Step::Wait(_) => Ok(()),
            };
            moved.map_err(|error| no_lines(&port._claim.path, error))?;
        }
        // What came before we listened is the end of something.
        let _ = port.port.discard_input_buffer();
        Ok(port)
    }
}

/// Neither closing the port nor a carrier that is missing does anything.
fn leave_lines_alone(file: &File) -> io::Result<()> {
    let mut settings = termios::tcgetattr(file)?;
    settings.control_modes.remove(ControlModes::HUPCL);
    settings.control_modes.insert(ControlModes::CLOCAL | ControlModes::CREAD);
    Ok(termios::tcsetattr(file, OptionalActions::Now, &settings)?)
}

impl Lines for Port {
    fn set_dtr(&self, is_on: bool) -> io::Result<()> {
        self.port.set_dtr(is_on)
    }

    fn set_rts(&self, is_on: bool) -> io::Result<()> {
        self.port.set_rts(is_on)
    }
}

impl AsyncRead for Port {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.port).poll_read(context, buffer)
    }
}

impl AsyncWrite for Port {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.port).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// A line has no end that could be told.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn is_pty(path: &Path) -> bool {
    let whole = std::fs::canonicalize(path);
    whole.as_deref().unwrap_or(path).starts_with("/dev/pts")
}

/// Who else has the device open: `name (pid N)`.
#[cfg(target_os = "linux")]
fn holder(whole: &Path) -> Option<String> {
    use super::super::held::process;
    let own = std::process::id() as i32;
    let masters = ["/dev/ptmx", "/dev/pts/ptmx"].map(Path::new);
    let has_master = |pid: &i32| masters.iter().any(|master| process::has_open(*pid, master));
    let is_maker = |pid: &i32| is_pty(whole) && has_master(pid);
    let pids = process::opening(whole).into_iter();
    pids.filter(|pid| *pid != own && !is_maker(pid)).find_map(process::name_of)
}

#[cfg(not(target_os = "linux"))]
fn holder(_: &Path) -> Option<String> {
    None
}

fn held(path: &str, holder: Option<&str>) -> Error {
    let who = holder.unwrap_or("another program, which has locked it");
    Error::environment(format!("serial:{path} is held by {who}"))
        .with_help("two programs at one port share its bytes at random; end that one first")
}

fn refused(path: &str, settings: &Settings, error: io::Error) -> Error {
    Error::environment(format!("cannot set serial:{path} to {} baud", settings.baud))
        .caused_by(error)
        .with_help("the adapter or its driver does not do that; give another 'baud='")
}

/// The error for a port whose lines cannot be moved.
pub fn no_lines(path: &str, error: io::Error) -> Error {
    Error::environment(format!("cannot move DTR and RTS of serial:{path}"))
        .caused_by(error)
        .with_help("a pty has no such lines, nor have some adapters; leave 'dtr=' and 'rts=' out")
}

/// The same, where they are to reset a board.
pub fn no_reset(path: &str, error: io::Error) -> Error {
    no_lines(path, error).with_help(
        "a pty has no such lines, nor have some adapters; name the port of the board's own USB socket",
    )
}

/// The error for a device that cannot be opened.
fn cannot_open(path: &str, error: io::Error) -> Error {
    use rustix::io::Errno;
    let help = match Errno::from_io_error(&error) {
        Some(Errno::NOENT | Errno::NODEV | Errno::NXIO) => no_such_device(&present()),
        Some(Errno::ACCESS | Errno::PERM) => not_allowed(path),
        Some(Errno::BUSY) => return held(path, Some("another program, which keeps it to itself")),
        Some(Errno::NOTTY | Errno::INVAL) => {
            "it is no serial port; serial ports are /dev/ttyUSB0, /dev/ttyACM0 and the like"
                .to_owned()
        }
        _ => return Error::environment(format!("cannot open serial:{path}")).caused_by(error),
    };
    Error::environment(format!("cannot open serial:{path}")).caused_by(error).with_help(help)
}

fn no_such_device(present: &[String]) -> String {
    match present {
        [] => "this machine has no serial port at all: is the adapter plugged in, and its driver loaded? \
               To wait for it, add ',reconnect=1s'"
            .to_owned(),
        all => format!("there are {}; to wait for another, add ',reconnect=1s'", all.join(", ")),
    }
}

/// Ports that are there, by the names that stay the same where they have such.
fn present() -> Vec<String> {
    let by_id = std::fs::read_dir("/dev/serial/by-id").into_iter().flatten().flatten();
    let mut all: Vec<PathBuf> = by_id.map(|entry| entry.path()).collect();
    let named: Vec<_> = all.iter().filter_map(|path| std::fs::canonicalize(path).ok()).collect();
    let others = SerialPort::available_ports().unwrap_or_default();
    all.extend(others.into_iter().filter(|port| !named.contains(port)));
    all.sort();
    all.iter().map(|path| format!("serial:{}", path.display())).collect()
}

fn not_allowed(path: &str) -> String {
    let group = std::fs::metadata(path).ok().and_then(|about| group_name(about.gid()));
    let group = group.filter(|name| name != "root").unwrap_or_else(|| "dialout".to_owned());
    format!(
        "serial ports belong to the group {group}: 'sudo usermod -aG {group} $USER', and log in again"
    )
}

/// The name of a group, as `/etc/group` has it.
fn group_name(gid: u32) -> Option<String> {
    let groups = std::fs::read_to_string("/etc/group").ok()?;
    let mut groups = groups.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let found = groups.find(|parts| parts.get(2).is_some_and(|id| *id == gid.to_string()))?;
    found.first().map(|name| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Category;

    #[test]
    fn each_reason_why_it_cannot_be_opened_comes_with_the_way_out() {
        use rustix::io::Errno;
        for (errno, text, way_out) in [
            (Errno::NOENT, "no such file", "',reconnect=1s'"),
            (Errno::ACCESS, "permission denied", "sudo usermod -aG dialout $USER"),
            (Errno::NOTTY, "inappropriate ioctl", "no serial port"),
            (Errno::BUSY, "is held by another program", "end that one"),
        ] {
            let error = cannot_open("/dev/ttyUSB7", errno.into());
            assert_eq!(error.category(), Category::Environment);
            assert!(error.chain().contains("serial:/dev/ttyUSB7"), "{}", error.chain());
            assert!(error.chain().contains(text), "{}", error.chain());
            assert!(error.help().is_some_and(|help| help.contains(way_out)), "{errno}");
        }
        let there = no_such_device(&["serial:/dev/ttyACM0".to_owned()]);
        assert!(there.starts_with("there are serial:/dev/ttyACM0;"), "{there}");
    }

    #[test]
    fn groups_have_names() {
        assert_eq!(group_name(0).as_deref(), Some("root"));
        assert_eq!(group_name(u32::MAX - 7), None);
    }
}
