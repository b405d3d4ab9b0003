//! `uarttool run` in a place of its own, in which one sees what is left of it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{Process, SOON, binary, uarttool};

/// A folder for everything temporary, so that one sees what is left of it.
pub struct Place(pub TempDir);

impl Place {
    pub fn new() -> Place {
        Place(tempfile::tempdir().expect("a folder"))
    }

    /// `uarttool run ARGS`.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = uarttool();
        command.arg("run").args(args).env("TMPDIR", self.0.path());
        command.env("MARK", self.0.path()).env("UARTTOOL", binary());
        command
    }

    pub fn start(&self, args: &[&str]) -> Process {
        Process::start(&mut self.command(args))
    }

    /// Exit code, stdout and stderr.
    pub fn run(&self, args: &[&str]) -> (i32, String, String) {
        let process = self.start(args);
        let status = process.wait(SOON);
        let code = status.code().expect("it ends by itself");
        (code, process.stdout(), process.stderr())
    }

    /// The names of what is there.
    pub fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).expect("it is there").flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    /// The folder of what is kept.
    pub fn kept(&self) -> PathBuf {
        let left = self.left();
        assert!(left.len() == 1 && left[0].starts_with("uarttool-run-"), "{left:?}");
        self.0.path().join(&left[0])
    }

    /// The processes that come from our run: they have its temporary folder in their environment.
    pub fn processes(&self) -> Vec<i32> {
        let mark = format!("MARK={}", self.0.path().display());
        let pids = fs::read_dir("/proc").expect("it is there").flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let has_mark = |pid: &i32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            String::from_utf8_lossy(&environment).contains(&mark)
        };
        pids.filter(has_mark).collect()
    }

    /// Waits for the process with these arguments: a shell that is about to become it may lose a signal.
    pub fn wait_until_runs(&self, arguments: &[&str]) {
        let wanted: Vec<u8> =
            arguments.iter().flat_map(|a| [a.as_bytes(), b"\0"].concat()).collect();
        let deadline = Instant::now() + Duration::from_secs(8);
        let runs =
            |pid: &i32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|is| is == wanted);
        while !self.processes().iter().any(runs) {
            assert!(Instant::now() < deadline, "{arguments:?} does not run");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn wait_until_nothing_runs(&self) {
        let deadline = Instant::now() + Duration::from_secs(8);
        while !self.processes().is_empty() {
            assert!(Instant::now() < deadline, "left: {:?}", self.processes());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The built-in device as firmware of its own, with a console.
pub fn firmware(more: &str) -> String {
    format!(
        "'{}' sim --listen unix-listen:{{tunnel}} --console unix-listen:{{console}} {more}",
        binary()
    )
}

/// The built-in device, with a forward.
pub const SIM: [&str; 4] = ["-d", "sim", "--forward", "0:80"];

/// Arguments, then a script for COMMAND.
pub fn with<'a>(first: &[&'a str], script: &'a str) -> Vec<&'a str> {
    [first, &["--", "sh", "-c", script]].concat()
}
