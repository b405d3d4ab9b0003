//! A serial cable: two ptys whose near ends are in our hands, so that we can disturb what goes through it
//! and pull it out.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{self, OptionalActions};

/// One of the cable's ends as a port has it.
pub struct Port {
    near: File,
    /// Where the port is.
    pub path: PathBuf,
}

impl Port {
    pub fn new() -> Port {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let near = openpt(flags).expect("a pty");
        grantpt(&near).expect("it is ours");
        unlockpt(&near).expect("it is ours");
        // A serial port does not echo what nobody has read yet.
        let mut settings = termios::tcgetattr(&near).expect("it is a terminal");
        settings.make_raw();
        termios::tcsetattr(&near, OptionalActions::Now, &settings).expect("it is ours");
        let path = ptsname(&near, Vec::new()).expect("it has a name");
        fcntl_setfl(&near, OFlags::RDWR | OFlags::NONBLOCK).expect("it is open");
        Port { near: near.into(), path: PathBuf::from(path.to_str().expect("a plain name")) }
    }

    /// As an endpoint.
    pub fn endpoint(&self) -> String {
        format!("serial:{}", self.path.display())
    }

    fn second(&self) -> File {
        self.near.try_clone().expect("a second handle")
    }

    /// What the program at the port reads next.
    pub fn say(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match (&self.near).write(bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => pause(),
                Err(error) => panic!("{}: {error}", self.path.display()),
            }
        }
    }

    /// Waits until the program at the port has said something.
    pub fn hear_something(&self) {
        let deadline = std::time::Instant::now() + super::SOON;
        while !matches!((&self.near).read(&mut [0; 4096]), Ok(1..)) {
            assert!(std::time::Instant::now() < deadline, "{} is silent", self.path.display());
            pause();
        }
    }

    /// Makes `link` lead here, as udev does with `/dev/serial/by-id`.
    pub fn plug(&self, link: &Path) {
        let _ = std::fs::remove_file(link); // perhaps there is none
        std::os::unix::fs::symlink(&self.path, link).expect("a link");
    }
}

/// Two ports and the wire between them.
pub struct Cable {
    pub host: Port,
    pub board: Port,
    is_cut: Arc<AtomicBool>,
    wires: Vec<JoinHandle<()>>,
}

impl Cable {
    pub fn new() -> Cable {
        let (host, board) = (Port::new(), Port::new());
        let is_cut = Arc::<AtomicBool>::default();
        let ways = [(host.second(), board.second()), (board.second(), host.second())];
        let wires = ways.map(|(from, to)| {
            let is_cut = is_cut.clone();
            std::thread::spawn(move || carry(from, to, &is_cut))
        });
        Cable { host, board, is_cut, wires: wires.into() }
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.is_cut.store(true, Ordering::Relaxed);
        for wire in self.wires.drain(..) {
            let _ = wire.join();
        }
    }
}

fn carry(mut from: File, mut to: File, is_cut: &AtomicBool) {
    let mut buffer = [0; 4096];
    while !is_cut.load(Ordering::Relaxed) {
        let Ok(n) = from.read(&mut buffer) else {
            pause(); // nothing, or nobody
            continue;
        };
        let mut rest = &buffer[..n];
        while !rest.is_empty() && !is_cut.load(Ordering::Relaxed) {
            match to.write(rest) {
                Ok(n) => rest = &rest[n..],
                Err(_) => pause(),
            }
        }
    }
}

fn pause() {
    std::thread::sleep(Duration::from_millis(1));
}
