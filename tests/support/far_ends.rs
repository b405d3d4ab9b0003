//! Other programs at the far end of a line: Linux behind SLIP, QEMU's user network, daemons.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::namespace::Namespace;
use super::{Process, SOON};

/// Waits until somebody listens at `path`.
pub fn wait_for(path: &Path) {
    let deadline = Instant::now() + SOON;
    while !path.exists() {
        assert!(Instant::now() < deadline, "{} does not come", path.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A process that went into the background; it ends with the test.
pub struct Daemon(pub PathBuf);

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Ok(pid) = std::fs::read_to_string(&self.0) {
            let _ = Command::new("kill").arg(pid.trim()).status(); // perhaps it is gone
        }
    }
}

/// QEMU without a guest: its user network behind a socket.
pub struct Slirp {
    _qemu: Process,
    pub folder: tempfile::TempDir,
}

impl Slirp {
    pub fn start() -> Slirp {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("net");
        let stream = format!("stream,id=s,server=on,addr.type=unix,addr.path={}", path.display());
        let qemu = Process::start(Command::new("qemu-system-arm").args([
            "-M",
            "none",
            "-nodefaults",
            "-display",
            "none",
            "-netdev",
            "user,id=u",
            "-netdev",
            "hubport,id=h0,hubid=0,netdev=u",
            "-netdev",
            &stream,
            "-netdev",
            "hubport,id=h1,hubid=0,netdev=s",
        ]));
        wait_for(&path);
        Slirp { _qemu: qemu, folder }
    }

    pub fn endpoint(&self) -> String {
        format!("unix:{},framing=len32be", self.folder.path().join("net").display())
    }
}

/// Linux behind SLIP, as tunslip6 puts it there.
pub struct Slip {
    pub stack: Namespace,
    pub peer: Process,
    pub line: PathBuf,
}

impl Slip {
    /// `kind` is `ip` or `eth`; the stack has the addresses that end with `last`.
    pub fn start(folder: &Path, kind: &str, manner: &str, last: u8) -> Slip {
        let stack = Namespace::empty();
        let line = folder.join(format!("line{last}"));
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/slip_peer.py");
        let shown = line.display().to_string();
        let arguments = [script, &shown, "slip0", kind, manner];
        let peer = Process::start(&mut stack.command("python3", &arguments));
        peer.out.wait_for(0, "listening");
        let (four, six) = (format!("192.168.100.{last}/24"), format!("fd00::{last}/64"));
        stack.ip(&["addr", "add", &four, "dev", "slip0"]);
        stack.ip(&["addr", "add", &six, "dev", "slip0", "nodad"]);
        if kind == "eth" {
            stack.ip(&["link", "set", "slip0", "address", &format!("02:00:00:00:00:0{last}")]);
        }
        stack.ip(&["link", "set", "slip0", "up"]);
        Slip { stack, peer, line }
    }

    pub fn endpoint(&self, framing: &str) -> String {
        format!("unix:{},framing={framing}", self.line.display())
    }
}
