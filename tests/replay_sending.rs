//! What `replay` sends, seen from the other end of the line: a small device that notes every frame.

mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pnet::util::MacAddr;
use support::{Process, SOON, lines_with, run, text, uarttool};
use tempfile::TempDir;
use uarttool::craft::layers::{Ethernet, Ipv4, Tcp};

type Frame = Vec<u8>;

const HOST: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 1);
const DEVICE: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 2);
const HOST_MAC: MacAddr = MacAddr(2, 0, 0, 0, 0, 1);
const DEVICE_MAC: MacAddr = MacAddr(2, 0, 0, 0, 0, 2);
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// A device that answers as it is told, and what it got.
struct Far {
    endpoint: String,
    got: Arc<Mutex<Vec<Frame>>>,
}

impl Far {
    fn new(mut answer: impl FnMut(&[u8]) -> Vec<Frame> + Send + 'static) -> Far {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let endpoint = format!("tcp:{}", listener.local_addr().expect("an address"));
        let got = Arc::new(Mutex::new(Vec::new()));
        let notes = got.clone();
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                while let Some(frame) = take(&mut stream) {
                    notes.lock().expect("no panic").push(frame.clone());
                    for frame in answer(&frame) {
                        let _ = stream.write_all(&(frame.len() as u16).to_be_bytes());
                        let _ = stream.write_all(&frame); // or it has gone
                    }
                }
            }
        });
        Far { endpoint, got }
    }

    /// One that never answers.
    fn mute() -> Far {
        Far::new(|_| Vec::new())
    }

    fn got(&self) -> Vec<Frame> {
        self.got.lock().expect("no panic").clone()
    }

    fn wait_for(&self, frames: usize) -> Vec<Frame> {
        let until = Instant::now() + SOON;
        while self.got().len() < frames && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.got()
    }
}

fn take(stream: &mut TcpStream) -> Option<Frame> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut frame = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut frame).ok()?;
    Some(frame)
}

/// A folder with captures.
struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("a path").to_owned()
    }

    /// Writes a pcap file: each packet so many milliseconds behind the first.
    fn write(&self, name: &str, link: u32, packets: &[(u32, Frame)]) -> String {
        let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend([0, 0, 4, 0]);
        bytes.extend(link.to_le_bytes());
        for (at, packet) in packets {
            let length = packet.len() as u32;
            for word in [1000 + at / 1000, at % 1000 * 1000, length, length] {
                bytes.extend(word.to_le_bytes());
            }
            bytes.extend(packet);
        }
        std::fs::write(self.path(name), bytes).expect("a file");
        self.text(name)
    }

    /// A capture of two requests to the built-in device.
    fn requests(&self) -> String {
        let path = self.text("http.pcapng");
        let output = run(["http", "-c", "2", "-i", "20ms", "/", "-d", "sim", "-w", &path]);
        assert!(output.status.success(), "{}", text(&output).1);
        path
    }
}

fn replay(capture: &str, far: &Far, more: &[&str]) -> Output {
    let fixed = ["replay", capture, "-d", &far.endpoint, "--no-attach"];
    run([&fixed[..], more].concat())
}

fn ethernet(from: MacAddr, to: MacAddr, kind: u16, payload: &[u8]) -> Frame {
    Ethernet { source: from, destination: to, kind }.frame(payload)
}

/// A packet from the host to the device.
fn to_device(protocol: u8, payload: &[u8]) -> Frame {
    let packet = Ipv4::new(HOST, DEVICE, protocol).packet(payload);
    ethernet(HOST_MAC, DEVICE_MAC, 0x0800, &packet)
}

fn from_device(protocol: u8, payload: &[u8]) -> Frame {
    let packet = Ipv4::new(DEVICE, HOST, protocol).packet(payload);
    ethernet(DEVICE_MAC, HOST_MAC, 0x0800, &packet)
}

fn ours(flags: u8, seq: u32, ack: u32, data: &[u8]) -> Frame {
    let segment = Tcp { seq, ack, flags, window: 4096, ..Tcp::new(40000, 80) };
    to_device(6, &segment.segment(HOST, DEVICE, data))
}

fn theirs(port: u16, flags: u8, seq: u32, ack: u32, data: &[u8]) -> Frame {
    let segment = Tcp { seq, ack, flags, window: 4096, ..Tcp::new(80, port) };
    from_device(6, &segment.segment(DEVICE, HOST, data))
}

fn word(frame: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(frame[at..at + 4].try_into().expect("four bytes"))
}

fn port(frame: &[u8]) -> u16 {
    u16::from_be_bytes([frame[34], frame[35]])
}

/// A device that accepts connections with number 7000.
fn accepting() -> Far {
    Far::new(|frame| match frame.get(47) {
        Some(&SYN) => vec![theirs(port(frame), SYN | ACK, 7000, word(frame, 38) + 1, b"")],
        _ => Vec::new(),
    })
}

#[test]
fn a_recorded_request_is_answered_at_every_speed() {
    let folder = Folder::new();
    let capture = folder.requests();
    for speed in
        [&["-x", "3"][..], &["-t"], &["-p", "400"], &["-M", "0.5"], &["--line-rate", "921600"]]
    {
        let path = folder.text("now.pcapng");
        let output = run([&["replay", &capture, "-d", "sim", "-w", &path], speed].concat());
        let (stdout, stderr) = text(&output);
        assert_eq!(output.status.code(), Some(0), "{speed:?}: {stdout}{stderr}");
        assert!(!stdout.contains("acknowledgment") && !stdout.contains("did not come"), "{stdout}");
        let (shown, _) = text(&run(["decode", &path, "from", "device"]));
        assert_eq!(lines_with(&shown, "HTTP: HTTP/1.1 200").len(), 2, "{speed:?}: {shown}");
    }
}

#[test]
fn numbers_that_are_not_todays_are_told() {
    let folder = Folder::new();
    let capture = folder.requests();
    let output = run(["replay", &capture, "-d", "sim", "-t", "--no-wait"]);
    let (stdout, _) = text(&output);
    assert!(stdout.contains("TCP segments sent with the recorded acknowledgment"), "{stdout}");
    assert!(stdout.contains("'--no-wait' does not listen"), "{stdout}");
    let began = Instant::now();
    let (stdout, _) = text(&replay(&capture, &Far::mute(), &["-t", "--timeout", "300ms"]));
    assert!(stdout.contains("no beginning of their connection was answered"), "{stdout}");
    assert!(began.elapsed() < Duration::from_secs(8));
    for (args, part) in [
        (["--no-wait", "--timeout", "1s"], "'--no-wait' cannot be used with '--timeout"),
        (["--no-wait", "--same-ports", "-t"], "'--no-wait' cannot be used with '--same-ports'"),
        (["-p", "100", "--max-gap=1s"], "cannot be used with"),
    ] {
        let output = replay(&capture, &Far::mute(), &args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(text(&output).1.contains(part), "{}", text(&output).1);
    }
}

#[test]
fn interrupted_in_a_connection_it_resets_that_and_goes_on_at_its_beginning() {
    let folder = Folder::new();
    let packets = [
        (0, to_device(253, b"something else")),
        (1, ours(SYN, 100, 0, b"")),
        (2, theirs(40000, SYN | ACK, 5000, 101, b"")),
        (3, ours(ACK, 101, 5001, b"GET / HTTP/1.0\r\n")),
        (60_000, ours(ACK, 117, 5001, b"\r\n")),
    ];
    let capture = folder.write("open.pcap", 1, &packets);
    let far = accepting();
    let args = ["replay", &capture, "-d", &far.endpoint, "--no-attach", "-c", "9", "-l", "0"];
    let process = Process::start(uarttool().args(args));
    assert_eq!(far.wait_for(3).len(), 3, "{}", process.stderr());
    assert_eq!(process.interrupt().code(), Some(130));
    let said = "interrupted behind frame 4 of the capture in round 1, in a TCP connection that began with \
                frame 2; go on with '--from-frame 2 -l 0 -c 8'";
    assert!(process.stdout().contains(said), "{}", process.stdout());
    let got = far.wait_for(4);
    assert_eq!((got.len(), got[2][47], word(&got[2], 42)), (4, ACK, 7001));
    assert_eq!((got[3][47], word(&got[3], 38), word(&got[3], 42)), (RST | ACK, 117, 7001));
    assert_eq!(port(&got[3]), port(&got[2]));
}

#[test]
fn a_connection_that_the_recording_leaves_open_is_reset_in_the_end() {
    let folder = Folder::new();
    let packets = [
        (1, ours(SYN, 100, 0, b"")),
        (2, theirs(40000, SYN | ACK, 5000, 101, b"")),
        (3, ours(ACK, 101, 5001, b"GET")),
    ];
    let capture = folder.write("open.pcap", 1, &packets);
    let far = accepting();
    let output = replay(&capture, &far, &["-l", "2"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output).1);
    let got = far.wait_for(6);
    let flags: Vec<u8> = got.iter().map(|frame| frame[47]).collect();
    assert_eq!(flags, [SYN, ACK, RST | ACK, SYN, ACK, RST | ACK]);
    assert!(text(&output).0.starts_with("sent 4 frames"), "{}", text(&output).0);
}

#[test]
fn behind_the_last_frame_there_is_nothing_to_go_on_with() {
    let folder = Folder::new();
    let packets = [(0, ours(SYN, 100, 0, b"")), (2, theirs(40000, SYN | ACK, 5000, 101, b""))];
    let capture = folder.write("last.pcap", 1, &packets);
    let far = Far::mute();
    let args = ["replay", &capture, "-d", &far.endpoint, "--no-attach", "--timeout", "60s"];
    let process = Process::start(uarttool().args(args));
    far.wait_for(1);
    assert_eq!(process.interrupt().code(), Some(130));
    let stdout = process.stdout();
    assert!(stdout.contains("interrupted while the last answers were waited for"), "{stdout}");
    assert!(!stdout.contains("--from-frame"), "{stdout}");
}
