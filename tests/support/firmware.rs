//! The real firmware in a real QEMU, on free ports, driven by QMP and by its console.

use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Lines, Process, SOON, read_line};

/// How to start it.
#[derive(Clone, Debug)]
pub struct Setup {
    pub variant: &'static str,
    /// QEMU's `nodelay` on the tunnel.
    pub nodelay: bool,
    /// A unix socket for the tunnel instead of a TCP port.
    pub unix: Option<PathBuf>,
    /// More arguments for QEMU.
    pub more: Vec<String>,
}

impl Default for Setup {
    fn default() -> Self {
        Setup { variant: "plain", nodelay: true, unix: None, more: Vec::new() }
    }
}

/// A running device.
pub struct Firmware {
    qemu: Process,
    qmp: Mutex<(BufReader<UnixStream>, UnixStream)>,
    /// The tunnel as an endpoint.
    pub endpoint: String,
    console: Mutex<TcpStream>,
    /// Everything the console has said.
    pub log: Lines,
    _folder: TempDir,
}

/// The ELF; built once, or found in the cache.
fn elf(variant: &'static str) -> PathBuf {
    static BUILT: OnceLock<Mutex<Vec<(&'static str, PathBuf)>>> = OnceLock::new();
    let mut built = BUILT.get_or_init(Mutex::default).lock().expect("no panic");
    if let Some((_, path)) = built.iter().find(|(name, _)| *name == variant) {
        return path.clone();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/firmware-build");
    let output = Command::new(&script)
        .args(["--variant", variant])
        .stdin(Stdio::null())
        .output()
        .expect("scripts/firmware-build runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the firmware cannot be built; run scripts/test: {error}");
    let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    built.push((variant, path.clone()));
    path
}

impl Firmware {
    /// Boots the plain variant and waits until it is ready.
    pub fn start() -> Firmware {
        Firmware::start_with(&Setup::default())
    }

    pub fn start_with(setup: &Setup) -> Firmware {
        let firmware = Firmware::power_on(setup);
        firmware.log.wait_for(0, "main: ready");
        firmware
    }

    /// Starts the machine and does not wait for the firmware.
    pub fn power_on(setup: &Setup) -> Firmware {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("qmp.sock");
        let nodelay = if setup.nodelay { ",nodelay=on" } else { "" };
        let tunnel = match &setup.unix {
            Some(path) => format!("unix:{},server=on,wait=off", path.display()),
            None => format!("tcp:127.0.0.1:0,server=on,wait=off{nodelay}"),
        };
        let qemu = Process::start(
            Command::new("qemu-system-arm")
                .args(["-M", "xilinx-zynq-a9", "-display", "none", "-monitor", "none"])
                .args(["-nic", "none", "-S", "-kernel"])
                .arg(elf(setup.variant))
                .args(["-serial", "tcp:127.0.0.1:0,server=on,wait=off,nodelay=on"])
                .args(["-serial", &tunnel])
                .args(&setup.more)
                .arg("-qmp")
                .arg(format!("unix:{},server=on,wait=off", socket.display())),
        );
        let qmp = connect_qmp(&socket, &qemu);
        let mut firmware = Firmware {
            qemu,
            qmp: Mutex::new(qmp),
            endpoint: String::new(),
            console: Mutex::new(loopback_pair()),
            log: Lines::default(),
            _folder: folder,
        };
        read_line(&mut firmware.qmp.lock().expect("no panic").0); // the greeting
        firmware.qmp("qmp_capabilities", json!({}));
        let console = TcpStream::connect(firmware.address("serial0")).expect("the console");
        firmware.log = Lines::collect(console.try_clone().expect("a second handle"));
        firmware.console = Mutex::new(console);
        firmware.endpoint = match &setup.unix {
            Some(path) => format!("unix:{}", path.display()),
            None => format!("tcp:{}", firmware.address("serial1")),
        };
        firmware.qmp("cont", json!({}));
        firmware
    }

    /// Runs a QMP command and returns its answer.
    pub fn qmp(&self, command: &str, arguments: Value) -> Value {
        let mut qmp = self.qmp.lock().expect("no panic");
        let request = json!({"execute": command, "arguments": arguments});
        writeln!(qmp.1, "{request}").expect("QMP is there");
        loop {
            let answer: Value = serde_json::from_str(&read_line(&mut qmp.0)).expect("QMP is JSON");
            if let Some(result) = answer.get("return") {
                return result.clone();
            }
            assert!(answer.get("error").is_none(), "{command}: {answer}");
        }
    }

    /// Where QEMU listens for a serial line: `HOST:PORT`.
    fn address(&self, label: &str) -> String {
        let devices = self.qmp("query-chardev", json!({}));
        let device = devices.as_array().into_iter().flatten().find(|d| d["label"] == label);
        let name = device.and_then(|d| d["filename"].as_str()).expect("the device is listed");
        let address = name.split("tcp:").nth(1).and_then(|rest| rest.split([',', ' ']).next());
        address.unwrap_or_else(|| panic!("no address in {name}")).to_owned()
    }

    /// Gives the console up, for somebody else to listen; its address.
    pub fn release_console(&mut self) -> String {
        let address = self.address("serial0");
        let console = self.console.lock().expect("no panic");
        let _ = console.shutdown(std::net::Shutdown::Both);
        address
    }

    /// Listens to the console again.
    pub fn attach_console(&mut self) {
        let console = TcpStream::connect(self.address("serial0")).expect("the console");
        self.log = Lines::collect(console.try_clone().expect("a second handle"));
        self.console = Mutex::new(console);
    }

    /// Sends a console command and waits for its answer; returns what it said in front of `ok`.
    pub fn command(&self, command: &str) -> String {
        let from = self.log.len();
        self.say(command);
        let deadline = Instant::now() + SOON;
        loop {
            let answer = self.log.wait_for(from, "\n");
            assert!(!answer.contains("error:"), "{command}: {answer}");
            if answer.lines().any(|line| line.trim() == "ok") {
                return answer;
            }
            assert!(Instant::now() < deadline, "{command}: no answer but {answer:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Sends a console command.
    pub fn say(&self, command: &str) {
        let mut console = self.console.lock().expect("no panic");
        writeln!(console, "{command}").expect("the console is there");
    }

    /// One of the firmware's counters.
    pub fn counter(&self, name: &str) -> u64 {
        let answer = self.command("stats");
        let key = format!("{name}=");
        let value = answer.split_whitespace().find_map(|word| word.strip_prefix(&key));
        value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name}: {answer}"))
    }

    /// Resets the machine and waits until the firmware is ready again.
    pub fn reset(&self) {
        let from = self.log.len();
        self.qmp("system_reset", json!({}));
        self.log.wait_for(from, "main: ready");
    }

    /// Kills QEMU as a crash would.
    pub fn kill(self) {
        self.qemu.signal(rustix::process::Signal::KILL);
        self.qemu.wait(SOON);
    }
}

fn connect_qmp(socket: &Path, qemu: &Process) -> (BufReader<UnixStream>, UnixStream) {
    let deadline = Instant::now() + SOON;
    loop {
        match UnixStream::connect(socket) {
            Ok(stream) => {
                let writer = stream.try_clone().expect("a second handle");
                return (BufReader::new(stream), writer);
            }
            Err(error) => {
                let said = qemu.stderr();
                assert!(Instant::now() < deadline, "QEMU does not start: {error}; {said}");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// A stream that stands in until the console is connected.
fn loopback_pair() -> TcpStream {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
    TcpStream::connect(listener.local_addr().expect("an address")).expect("loopback")
}
