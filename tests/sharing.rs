//! One line, several uarttools: the holder and those attached to it, with a device in this process.

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::{Process, SOON, lines_with, text};
use tempfile::TempDir;

/// The reply that a well-behaved device gives to an echo request.
fn echoed(request: &[u8]) -> Vec<u8> {
    let mut reply = request.to_vec();
    reply[..6].copy_from_slice(&request[6..12]);
    reply[6..12].copy_from_slice(&request[..6]);
    reply[26..30].copy_from_slice(&request[30..34]);
    reply[30..34].copy_from_slice(&request[26..30]);
    reply[34] = 0;
    let checksum = u16::from_be_bytes([reply[36], reply[37]]);
    let (sum, carry) = checksum.overflowing_add(0x0800);
    reply[36..38].copy_from_slice(&(sum + u16::from(carry)).to_be_bytes());
    reply
}

/// A device that serves one client, answers echo requests, and keeps what it was sent.
struct Device {
    endpoint: String,
    port: u16,
    received: Arc<Mutex<Vec<Vec<u8>>>>,
    client: Arc<Mutex<Option<TcpStream>>>,
}

impl Device {
    fn start() -> Device {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let port = listener.local_addr().expect("an address").port();
        let received = Arc::default();
        let client: Arc<Mutex<Option<TcpStream>>> = Arc::default();
        let (frames, current) = (Arc::clone(&received), client.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.expect("a connection");
                stream.set_nodelay(true).expect("a TCP socket");
                let second = stream.try_clone().expect("a second handle");
                *current.lock().expect("no panic") = Some(second);
                answer(stream, &frames);
            }
        });
        Device { endpoint: format!("tcp:127.0.0.1:{port}"), port, received, client }
    }

    fn echo_requests(&self) -> usize {
        let frames = self.received.lock().expect("no panic");
        frames.iter().filter(|frame| frame.get(34) == Some(&8)).count()
    }

    /// Puts bytes on the line.
    fn send(&self, bytes: &[u8]) {
        let client = self.client.lock().expect("no panic");
        client.as_ref().expect("a client").write_all(bytes).expect("it is sent");
    }

    /// Ends the connection, as a device that is switched off.
    fn hang_up(&self) {
        let client = self.client.lock().expect("no panic").take().expect("a client");
        client.shutdown(std::net::Shutdown::Both).expect("it was up");
    }
}

/// Serves one client until it leaves.
fn answer(mut stream: TcpStream, frames: &Mutex<Vec<Vec<u8>>>) {
    let mut header = [0; 2];
    while stream.read_exact(&mut header).is_ok() {
        let mut frame = vec![0; u16::from_be_bytes(header).into()];
        if stream.read_exact(&mut frame).is_err() {
            return;
        }
        if frame.get(12..14) == Some(&[8, 0]) && frame.get(34) == Some(&8) {
            let reply = echoed(&frame);
            let mut bytes = (reply.len() as u16).to_be_bytes().to_vec();
            bytes.extend(reply);
            if stream.write_all(&bytes).is_err() {
                return;
            }
        }
        frames.lock().expect("no panic").push(frame);
    }
}

/// A runtime folder and the uarttools that share it.
struct World {
    runtime: TempDir,
}

impl World {
    fn new() -> World {
        World { runtime: tempfile::tempdir().expect("a folder") }
    }

    fn uarttool(&self, args: &[&str]) -> Command {
        let mut command = support::uarttool();
        command.args(args).env("XDG_RUNTIME_DIR", self.runtime.path());
        command.current_dir(self.runtime.path());
        command
    }

    fn start(&self, args: &[&str]) -> Process {
        Process::start(&mut self.uarttool(args))
    }

    fn sockets(&self) -> PathBuf {
        self.runtime.path().join("uarttool")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.runtime.path().join(name)
    }

    /// A sniff that holds the line of `device`.
    fn holder(&self, endpoint: &str, args: &[&str]) -> Process {
        let process = self.start(&[&["sniff", "-d", endpoint], args].concat());
        process.err.wait_for(0, "connected to");
        process
    }

    /// A sniff that is attached.
    fn watcher(&self, endpoint: &str, args: &[&str]) -> Process {
        let process = self.start(&[&["sniff", "-d", endpoint], args].concat());
        process.err.wait_for(0, "attached to");
        process
    }

    /// Runs a ping to its end: exit code, stdout, stderr.
    fn ping(&self, args: &[&str]) -> (i32, String, String) {
        let ping = self.start(&[&["ping"], args].concat());
        let code = ping.wait(Duration::from_secs(60)).code().expect("it ended by itself");
        (code, ping.stdout(), ping.stderr())
    }
}

/// The frames of a pcapng file that we have written: direction flags and bytes, in order.
fn frames_of(path: &Path) -> Vec<(u32, Vec<u8>)> {
    use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
    use pcap_file::pcapng::{Block, PcapNgReader};
    let file = std::fs::File::open(path).expect("a capture");
    let mut reader = PcapNgReader::new(file).expect("a pcapng file");
    let mut frames = Vec::new();
    while let Some(block) = reader.next_block() {
        let (Block::EnhancedPacket(packet), _) = block.expect("a whole block") else { continue };
        let flags = packet.options.iter().find_map(|option| match option {
            EnhancedPacketOption::Flags(flags) => Some(*flags),
            _ => None,
        });
        if packet.interface_id == 0 {
            frames.push((flags.unwrap_or_default(), packet.data.to_vec()));
        }
    }
    frames
}

/// (to the device, from it).
fn directions(frames: &[(u32, Vec<u8>)]) -> (usize, usize) {
    let count = |wanted| frames.iter().filter(|(flags, _)| *flags == wanted).count();
    (count(2), count(1))
}

#[test]
fn a_ping_through_a_sniff_loses_nothing_and_all_captures_are_the_same() {
    let (world, device) = (World::new(), Device::start());
    let [held, watched, pinged] = ["held", "watched", "pinged"].map(|name| {
        let path = world.file(&format!("{name}.pcapng"));
        path.to_str().expect("UTF-8").to_owned()
    });
    let holder = world.holder(&device.endpoint, &["-qq", "-w", &held]);
    let watcher = world.watcher(&device.endpoint, &["-qq", "-w", &watched]);
    let said = format!(
        "attached to uarttool sniff (pid {}), which holds {}\n",
        holder.id(),
        device.endpoint
    );
    assert_eq!(watcher.err.wait_for(0, "\n"), said);
    let args = ["-d", &device.endpoint, "-c", "1000", "-i", "1ms", "-q", "-w", &pinged];
    let (code, report, stderr) = world.ping(&args);
    assert_eq!(code, 0, "{report}{stderr}");
    assert_eq!(stderr, said);
    assert!(report.contains("1000 packets transmitted, 1000 received, 0% packet loss"), "{report}");
    thread::sleep(Duration::from_millis(100));
    assert!(watcher.interrupt().success(), "{}", watcher.stderr());
    assert!(holder.interrupt().success(), "{}", holder.stderr());
    let summary = "2000 frames (1000 to the device, 1000 from it)";
    for process in [&holder, &watcher] {
        assert!(process.stderr().contains(summary), "{}", process.stderr());
        assert!(process.stderr().contains("0 framing errors, 0 dropped"), "{}", process.stderr());
    }
    let frames = frames_of(Path::new(&held));
    assert_eq!(directions(&frames), (1000, 1000));
    assert!(frames == frames_of(Path::new(&watched)), "holder and watcher saw the same");
    assert!(frames == frames_of(Path::new(&pinged)), "so did the sender");
    assert_eq!(device.echo_requests(), 1000);
}
