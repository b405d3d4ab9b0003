//! bridge among others: what it tells and whom it does not wait for, who else is on the line, what it leaves
//! behind. The device is the test itself where that matters.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::{Process, SOON, run, runtime_folder, text, uarttool};
use uarttool::craft::layers::{Arp, Checksum, Ethernet, Icmp, Ipv4, Udp};
use uarttool::proto::MacAddr;

const US: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 1);
const DEVICE: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 2);
const OUR_MAC: MacAddr = MacAddr(2, 0, 0, 0, 0, 1);
const ITS_MAC: MacAddr = MacAddr(2, 0, 0, 0, 0, 2);
const FAST: &str = "sim,line-rate=0";

/// The device's end of a line.
struct Line(TcpStream);

impl Line {
    fn send(&mut self, frame: &[u8]) {
        let length = (frame.len() as u16).to_be_bytes();
        self.0.write_all(&[&length, frame].concat()).expect("the line is there");
    }

    /// Frames that come until none has come for so long.
    fn frames(&mut self, quiet: Duration) -> Vec<Vec<u8>> {
        self.0.set_read_timeout(Some(quiet)).expect("a timeout");
        let mut frames = Vec::new();
        let mut length = [0; 2];
        while self.0.read_exact(&mut length).is_ok() {
            let mut frame = vec![0; u16::from_be_bytes(length).into()];
            self.0.read_exact(&mut frame).expect("the rest of a frame");
            frames.push(frame);
        }
        frames
    }

    /// The first frame of this kind.
    fn wait_for(&mut self, is_it: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let started = Instant::now();
        loop {
            let found = self.frames(Duration::from_millis(50)).into_iter().find(|f| is_it(f));
            if let Some(frame) = found {
                return frame;
            }
            assert!(started.elapsed() < SOON, "it did not come");
        }
    }
}

fn arp(op: u16, spa: Ipv4Addr, tpa: Ipv4Addr) -> Vec<u8> {
    let message = Arp {
        hardware: 1,
        protocol: 0x0800,
        hardware_length: 6,
        protocol_length: 4,
        op,
        sha: ITS_MAC,
        spa,
        tha: OUR_MAC,
        tpa,
    };
    let destination = if op == 2 { OUR_MAC } else { MacAddr::broadcast() };
    Ethernet { destination, source: ITS_MAC, kind: 0x0806 }.frame(&message.message())
}

fn packet(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let packet = Ipv4::new(DEVICE, US, protocol).packet(payload);
    Ethernet { destination: OUR_MAC, source: ITS_MAC, kind: 0x0800 }.frame(&packet)
}

fn is_arp(frame: &[u8]) -> bool {
    frame[12..14] == [8, 6]
}

fn is(protocol: u8) -> impl Fn(&[u8]) -> bool {
    move |frame| frame[12..14] == [8, 0] && frame[23] == protocol
}

/// A line with nobody on it yet: where to connect, and who does.
fn line() -> (String, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    (format!("tcp:{}", listener.local_addr().expect("an address")), listener)
}

fn bridge(args: &[&str]) -> Process {
    Process::start(uarttool().arg("bridge").args(args))
}

fn ctl(args: &[&str]) -> (i32, String, String) {
    let output = run([&["bridge", "ctl"], args].concat());
    let (out, err) = text(&output);
    (output.status.code().unwrap_or(-1), out, err)
}

/// Waits until `bridge ctl list` answers.
fn wait_for_ctl() -> String {
    let started = Instant::now();
    loop {
        if let (0, list, _) = ctl(&["list"]) {
            return list;
        }
        assert!(started.elapsed() < SOON, "no bridge answers");
    }
}

/// A process that ends with the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill(); // it may have ended
        let _ = self.0.wait();
    }
}

#[test]
fn a_stderr_that_nobody_reads_holds_nothing_up() {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    writer.write_all(&vec![b'.'; 65536]).expect("as much as a pipe takes");
    let mut command = uarttool();
    command.args(["bridge", "-d", FAST, "--forward", "0:81"]).stderr(writer);
    let mut bridge = Ends(command.stdin(Stdio::null()).spawn().expect("it starts"));
    let list = wait_for_ctl();
    let port = list.split(':').nth(2).expect("a port");
    for _ in 0..300 {
        let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).expect("it listens");
        stream.set_read_timeout(Some(SOON)).expect("a timeout");
        stream.read(&mut [0]).expect_err("the device refuses, and that is told");
    }
    let (code, stats, _) = ctl(&["stats"]);
    assert_eq!(code, 0);
    assert!(stats.contains("failed             300"), "{stats}");
    let pid = rustix::process::Pid::from_child(&bridge.0);
    rustix::process::kill_process(pid, Signal::INT).expect("it runs");
    let started = Instant::now();
    while bridge.0.try_wait().expect("a child").is_none() {
        assert!(started.elapsed() < Duration::from_secs(5), "it waits for a reader");
        thread::sleep(Duration::from_millis(10));
    }
    drop(reader);
}

#[test]
fn beside_a_bridge_that_holds_the_line_another_answers_nothing_and_is_not_refused() {
    let (endpoint, listener) = line();
    let holder = bridge(&["-d", &endpoint]);
    let mut line = Line(listener.accept().expect("it connects").0);
    holder.err.wait_for(0, "device ");
    let second = bridge(&["-d", &endpoint, "--forward", "udp:0:7"]);
    second.err.wait_for(0, "which holds it");
    let said = second.err.wait_for(0, "open ");
    let port: String = said.split("127.0.0.1:").nth(1).expect("a port").chars().take(5).collect();
    line.send(&arp(1, DEVICE, DEVICE));
    second.err.wait_for(0, "learned ");
    let (kind, checksum) = (8, Checksum::Right);
    let echo = Icmp { kind, code: 0, checksum, rest: [0; 4], data: vec![1; 8] }.message();
    for (frame, protocol) in [
        (arp(1, DEVICE, US), 0),
        (packet(1, &echo), 1),
        (packet(17, &Udp::new(5, 6).datagram(DEVICE, US, b"nobody")), 1),
    ] {
        line.send(&frame);
        let answers = line.frames(Duration::from_millis(300));
        assert_eq!(answers.len(), 1, "{protocol}: {answers:02x?}");
    }
    let client = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    client.set_read_timeout(Some(SOON)).expect("a timeout");
    let port = port.trim_end_matches(|c: char| !c.is_ascii_digit()).to_owned();
    client.send_to(b"hello", format!("127.0.0.1:{port}")).expect("sent");
    let datagram = line.wait_for(is(17));
    let theirs = u16::from_be_bytes([datagram[34], datagram[35]]);
    line.send(&packet(17, &Udp::new(7, theirs).datagram(DEVICE, US, b"hello")));
    let n = client.recv(&mut [0; 9]).expect("the answer");
    assert_eq!(n, 5);
    let after = line.frames(Duration::from_millis(300));
    assert!(after.is_empty(), "it is refused: {after:02x?}");
}

#[test]
fn a_silent_device_is_asked_before_a_word_is_said_about_it() {
    let (endpoint, listener) = line();
    let well = bridge(&["-d", &endpoint]);
    let mut line = Line(listener.accept().expect("it connects").0);
    line.wait_for(is_arp);
    line.send(&arp(2, DEVICE, US));
    well.err.wait_for(0, "learned  192.168.100.2 02:00:00:00:00:02 (ARP, 1.");
    thread::sleep(Duration::from_millis(1500));
    assert!(!well.stderr().contains("silent"), "{}", well.stderr());

    let (endpoint, listener) = self::line();
    let silent = bridge(&["-d", &endpoint]);
    let _line = listener.accept().expect("it connects");
    silent.err.wait_for(0, "silent so far, and does not answer ARP");
}

#[test]
fn after_the_line_was_lost_the_device_is_looked_for_at_both_of_its_addresses() {
    let (endpoint, listener) = line();
    let bridge = bridge(&["-d", &endpoint]);
    let mut line = Line(listener.accept().expect("it connects").0);
    let other = Ipv4Addr::new(192, 168, 100, 7);
    line.send(&arp(1, other, other));
    bridge.err.wait_for(0, "learned  192.168.100.7");
    drop(line);
    let mut line = Line(listener.accept().expect("it connects again").0);
    line.wait_for(|frame| is_arp(frame) && frame[38..42] == DEVICE.octets());
    line.send(&arp(2, DEVICE, US));
    bridge.err.wait_for(0, "learned  192.168.100.2");
}

#[test]
fn a_bridge_is_found_wherever_else_its_control_socket_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).to_str().expect("a plain path").to_owned();
    let control = at("ctl.sock");
    let bridge = bridge(&["-d", FAST, "--forward", "0:80,0:7", "--control", &control]);
    let list = wait_for_ctl();
    assert_eq!(list.lines().count(), 2, "{list}");
    assert!(list.contains(":7  0 connections"), "{list}");
    bridge.err.wait_for(0, "the built-in device, model reference\n");

    // In front of ctl it says the same; and a path is one of the folder in which it was given.
    let mut command = uarttool();
    command.current_dir(folder.path());
    command.args(["bridge", "--control", "ctl.sock", "ctl", "forward", "unix:web.sock:80"]);
    let asked = Process::start(&mut command);
    assert_eq!(asked.wait(SOON).code(), Some(0), "{}", asked.stderr());
    assert!(fs::exists(at("web.sock")).expect("a folder"), "{}", asked.stdout());

    let datagrams = at("live.sock");
    let socket = UnixDatagram::bind(&datagrams).expect("a socket");
    let (code, _, error) = ctl(&["forward", &format!("unix:{datagrams}:80")]);
    assert_eq!(code, 3);
    assert!(error.contains("another program has that socket"), "{error}");
    UnixDatagram::unbound().expect("a socket").send_to(b"x", &datagrams).expect("it is there");
    assert_eq!(socket.recv(&mut [0]).expect("it lives"), 1);
}

#[test]
fn what_a_bridge_left_that_was_killed_goes_away() {
    let (endpoint, listener) = line();
    let killed = bridge(&["-d", &endpoint]);
    let _line = listener.accept().expect("it connects");
    wait_for_ctl();
    killed.err.wait_for(0, "we are its client");
    let (code, _, error) = ctl(&["forward", &endpoint["tcp:127.0.0.1:".len()..]]);
    assert_eq!(code, 3);
    assert!(error.contains("would listen where the device is"), "{error}");
    let left = || {
        let entries = fs::read_dir(runtime_folder().join("uarttool")).expect("a folder");
        entries.flatten().map(|entry| entry.file_name()).collect::<Vec<_>>()
    };
    assert_eq!(left().len(), 2, "{:?}", left());
    killed.signal(Signal::KILL);
    killed.wait(SOON);
    assert_eq!(left().len(), 2, "{:?}", left());
    let (code, _, error) = ctl(&["list"]);
    assert_eq!(code, 3);
    assert!(error.contains("no bridge runs here"), "{error}");
    assert!(left().is_empty(), "{:?}", left());
}

#[test]
fn without_descriptors_connections_wait_and_whoever_asks_is_answered() {
    let mut command = Command::new("sh");
    command.env("XDG_RUNTIME_DIR", runtime_folder()).current_dir(std::env::temp_dir());
    command.args(["-c", "ulimit -n 40; exec \"$0\" bridge -d sim --forward 0:7"]);
    let bridge = Process::start(command.arg(support::binary()));
    let list = wait_for_ctl();
    let port = list.split(':').nth(2).expect("a port");
    let connect = || TcpStream::connect(format!("127.0.0.1:{port}")).expect("it listens");
    let clients: Vec<TcpStream> = (0..60).map(|_| connect()).collect();
    bridge.err.wait_for(0, "connections have to wait");
    for _ in 0..2 {
        let (code, stats, error) = ctl(&["stats"]);
        assert_eq!(code, 0, "{error}");
        assert!(stats.contains("device ip"), "{stats}");
    }
    assert_eq!(bridge.stderr().matches("have to wait").count(), 1);
    drop(clients);
}

#[test]
fn what_cannot_be_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file").to_str().expect("a plain path").to_owned();
    fs::write(&file, "precious").expect("a file");
    for (args, code, wanted) in [
        (&["--control", "/nonexistent/x"][..], 3, "there is no such folder"),
        (&["--control", &file], 3, "a file that is no socket is there"),
        (&["-d", "tcp:127.0.0.1:5556", "--forward", "5556:80"], 2, "where the device is"),
        (&["-d", "sim,max-frame=53"], 2, "no network fits into frames of 53 bytes"),
        (&["--max-frame", "81"], 2, "give '--max-frame' 82 or more"),
        (&["--forward", "1:2", "ctl", "list"], 2, "'--forward' is nothing to it"),
        (&["--line-rate", "7"], 2, "line-rate '7'"),
    ] {
        let device = ["-d", FAST];
        let has_device = args.contains(&"-d") || args.contains(&"ctl");
        let device = if has_device { &[][..] } else { &device[..] };
        let output = run([&["bridge"], device, args].concat());
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", text(&output).1);
        assert!(text(&output).1.contains(wanted), "{args:?}: {}", text(&output).1);
    }
    assert_eq!(fs::read_to_string(&file).expect("it is there"), "precious");
}
