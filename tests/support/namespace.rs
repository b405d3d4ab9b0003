//! Network namespaces of our own, with Linux's stack in them.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{Process, text, uarttool};

/// A network namespace with one TAP interface; both are gone with it.
pub struct Namespace(String);

impl Namespace {
    /// `tap` has the address `ip`/24 and `mac`. It is down until somebody holds its other end.
    pub fn new(tap: &str, ip: &str, mac: &str) -> Namespace {
        let own = Namespace::empty();
        let address = format!("{ip}/24");
        for arguments in [
            &["tuntap", "add", "dev", tap, "mode", "tap"][..],
            &["link", "set", tap, "address", mac],
            &["addr", "add", &address, "dev", tap],
            &["link", "set", tap, "up"],
        ] {
            own.ip(arguments);
        }
        own
    }

    /// Has nothing but `lo`.
    pub fn empty() -> Namespace {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        remove_stale();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let own = Namespace(format!("uarttool-{}-{number}", std::process::id()));
        ip_command(&["netns", "add", &own.0]);
        own.ip(&["link", "set", "lo", "up"]);
        own
    }

    /// As `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Runs `ip` in here.
    pub fn ip(&self, arguments: &[&str]) {
        ip_command(&[&["-n", &self.0], arguments].concat());
    }

    /// `program` as a command in here, with the surroundings that our own has in every test.
    pub fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0, program]).args(arguments);
        for (name, value) in uarttool().get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// Runs a program in here to its end.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let process = Process::start(&mut self.command(program, arguments));
        let status = process.wait(Duration::from_secs(60));
        let (stdout, stderr) = (process.out.bytes(), process.err.bytes());
        Output { status, stdout, stderr }
    }

    /// What curl gets within 30 s.
    pub fn curl(&self, arguments: &[&str]) -> Vec<u8> {
        let output = self.run("curl", &[&["-sS", "--fail", "-m", "30"], arguments].concat());
        assert!(output.status.success(), "curl {arguments:?}: {}", text(&output).1);
        output.stdout
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

/// Removes what tests left behind that were killed.
fn remove_stale() {
    for entry in std::fs::read_dir("/run/netns").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix("uarttool-").and_then(|rest| rest.split('-').next());
        if let Some(pid) = owner.filter(|pid| pid.parse::<u32>().is_ok())
            && !Path::new("/proc").join(pid).exists()
        {
            let _ = Command::new("ip").args(["netns", "del", &name]).output();
        }
    }
}

fn ip_command(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().expect("iproute2 is there");
    assert!(output.status.success(), "ip {arguments:?}: {}", text(&output).1);
}
