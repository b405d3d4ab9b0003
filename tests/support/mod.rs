//! What integration tests share: our binary as a process, the firmware in QEMU, tshark.

#![allow(dead_code)] // each test binary uses its own part

pub mod cable;
#[cfg(target_os = "linux")]
pub mod far_ends;
pub mod firmware;
pub mod host;
pub mod judge;
#[cfg(target_os = "linux")]
pub mod namespace;
pub mod processes;
pub mod replaying;
pub mod running;

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long anything may take that should be quick.
pub const SOON: Duration = Duration::from_secs(20);

/// How long the rest of what a process has said is waited for when it has ended.
const REST: Duration = Duration::from_millis(500);

/// Our binary: the one built with the tests, or another that `UARTTOOL_BIN` names.
pub fn binary() -> String {
    std::env::var("UARTTOOL_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_uarttool").to_owned())
}

/// Our binary as a command.
pub fn uarttool() -> Command {
    let mut command = Command::new(binary());
    command.env_remove("UARTTOOL_DEVICE").env("TZ", "UTC").current_dir(std::env::temp_dir());
    command.env("XDG_RUNTIME_DIR", runtime_folder());
    command
}

/// A runtime folder of this test process alone, so that no uarttool of another attaches to ours.
/// Those of processes that are gone are removed.
pub fn runtime_folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let all = std::env::temp_dir().join("uarttool-tests");
        let _ = std::fs::create_dir_all(&all); // perhaps another was quicker
        for entry in std::fs::read_dir(&all).into_iter().flatten().flatten() {
            if !Path::new("/proc").join(entry.file_name()).exists() {
                let _ = std::fs::remove_dir_all(entry.path()); // perhaps another was quicker
            }
        }
        let own = all.join(std::process::id().to_string());
        std::fs::DirBuilder::new().mode(0o700).recursive(true).create(&own).expect("a folder");
        own
    })
}

/// Runs our binary to its end.
pub fn run<I: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = I>) -> Output {
    let process = Process::start(uarttool().args(args));
    let status = process.wait(Duration::from_secs(120));
    Output { status, stdout: process.stdout().into_bytes(), stderr: process.stderr().into_bytes() }
}

/// stdout and stderr of a finished run as text, for assertions and their messages.
pub fn text(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// Lines as they arrive, and a way to wait for one.
#[derive(Clone, Default)]
pub struct Lines(Arc<(Mutex<Arrived>, Condvar)>);

/// What has arrived, and whether that is all.
#[derive(Default)]
struct Arrived {
    bytes: Vec<u8>,
    is_all: bool,
}

impl Lines {
    /// Collects everything that `source` yields, on a thread of its own.
    pub fn collect(mut source: impl Read + Send + 'static) -> Lines {
        let lines = Lines::default();
        let shared = lines.clone();
        thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            let (text, arrived) = &*shared.0;
            while let Ok(n) = source.read(&mut buffer) {
                if n == 0 {
                    break;
                }
                text.lock().expect("no panic").bytes.extend_from_slice(&buffer[..n]);
                arrived.notify_all();
            }
            text.lock().expect("no panic").is_all = true;
            arrived.notify_all();
        });
        lines
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.0.lock().expect("no panic").bytes).into_owned()
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.0.0.lock().expect("no panic").bytes.clone()
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.0.0.lock().expect("no panic").bytes.len()
    }

    /// Waits until all is there, or for `at_most`: a process that was left behind may keep the other end.
    fn wait_for_all(&self, at_most: Duration) {
        let (text, arrived) = &*self.0;
        let guard = text.lock().expect("no panic");
        let waited = arrived.wait_timeout_while(guard, at_most, |arrived| !arrived.is_all);
        drop(waited.expect("no panic"));
    }

    /// Waits until what comes behind the first `from` bytes holds `wanted`; returns that part.
    pub fn wait_for(&self, from: usize, wanted: &str) -> String {
        let (text, arrived) = &*self.0;
        let deadline = Instant::now() + SOON;
        let mut guard = text.lock().expect("no panic");
        loop {
            let part =
                String::from_utf8_lossy(guard.bytes.get(from..).unwrap_or_default()).into_owned();
            if part.contains(wanted) {
                return part;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain for {wanted:?} in:\n{part}");
            guard = arrived.wait_timeout(guard, left).expect("no panic").0;
        }
    }
}

/// A process that ends with the test.
pub struct Process {
    child: Mutex<Child>,
    pub out: Lines,
    pub err: Lines,
}

impl Process {
    pub fn start(command: &mut Command) -> Process {
        let shown = format!("{command:?}");
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = child.spawn().unwrap_or_else(|error| panic!("{shown}: {error}"));
        let out = Lines::collect(child.stdout.take().expect("it is piped"));
        let err = Lines::collect(child.stderr.take().expect("it is piped"));
        Process { child: Mutex::new(child), out, err }
    }

    /// Everything on stdout so far; complete when the process has ended.
    pub fn stdout(&self) -> String {
        self.out.text()
    }

    pub fn stderr(&self) -> String {
        self.err.text()
    }

    pub fn id(&self) -> u32 {
        self.child.lock().expect("no panic").id()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.id() as i32).expect("a process id");
        kill_process(pid, signal).expect("the process is there");
    }

    /// SIGINT, and the end.
    pub fn interrupt(&self) -> ExitStatus {
        self.signal(Signal::INT);
        self.wait(SOON)
    }

    pub fn wait(&self, at_most: Duration) -> ExitStatus {
        let deadline = Instant::now() + at_most;
        loop {
            if let Some(status) = self.child.lock().expect("no panic").try_wait().expect("a child")
            {
                self.out.wait_for_all(REST);
                self.err.wait_for_all(REST);
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "still running after {at_most:?}; stdout:\n{}\nstderr:\n{}",
                self.stdout(),
                self.stderr()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(|e| e.into_inner());
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Runs tshark on a capture; fails if it cannot read it to its end.
pub fn tshark(capture: &Path, args: &[&str]) -> String {
    let output = Command::new("tshark")
        .args(["-n", "-r"])
        .arg(capture)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("tshark is there");
    let (stdout, stderr) = text(&output);
    assert!(output.status.success(), "tshark {}: {stderr}", capture.display());
    stdout
}

/// How many packets of a capture match a display filter.
pub fn tshark_count(capture: &Path, filter: &str) -> usize {
    tshark(capture, &["-Y", filter]).lines().count()
}

/// Fails if tshark finds a malformed packet or a wrong checksum.
pub fn assert_wireshark_is_happy(capture: &Path) {
    let checks = ["ip.check_checksum:TRUE", "tcp.check_checksum:TRUE", "udp.check_checksum:TRUE"];
    let options: Vec<&str> = checks.iter().flat_map(|check| ["-o", check]).collect();
    let filter = "_ws.malformed || ip.checksum.status == 0 || icmp.checksum.status == 0 \
                  || tcp.checksum.status == 0 || udp.checksum.status == 0";
    let bad = tshark(capture, &[&options[..], &["-Y", filter]].concat());
    assert!(bad.is_empty(), "tshark complains about {}:\n{bad}", capture.display());
}

/// The lines of `text` that hold `part`.
pub fn lines_with<'a>(text: &'a str, part: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.contains(part)).collect()
}

/// Reads a stream line by line without end-of-line characters.
pub fn read_line(reader: &mut BufReader<impl Read>) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).expect("a line");
    line.trim_end().to_owned()
}
