//! What `replay` is tested with: captures made of frames, and a small device that notes every frame it gets.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pnet::util::MacAddr;
use tempfile::TempDir;
use uarttool::craft::layers::{Ethernet, Ipv4, Tcp, Udp};

use super::{SOON, run, text};

/// An Ethernet frame.
pub type Frame = Vec<u8>;

/// The ends of the line.
pub const HOST: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 1);
pub const DEVICE: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 2);
pub const HOST_MAC: MacAddr = MacAddr(2, 0, 0, 0, 0, 1);
pub const DEVICE_MAC: MacAddr = MacAddr(2, 0, 0, 0, 0, 2);
/// TCP's flags.
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const ACK: u8 = 16;

/// A device that answers as it is told, and what it got.
pub struct Far {
    pub endpoint: String,
    got: Arc<Mutex<Vec<Frame>>>,
}

impl Far {
    pub fn new(mut answer: impl FnMut(&[u8]) -> Vec<Frame> + Send + 'static) -> Far {
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
    pub fn mute() -> Far {
        Far::new(|_| Vec::new())
    }

    pub fn got(&self) -> Vec<Frame> {
        self.got.lock().expect("no panic").clone()
    }

    pub fn wait_for(&self, frames: usize) -> Vec<Frame> {
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
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a folder"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("a path").to_owned()
    }

    /// Writes a pcap file: each packet so many milliseconds behind the first.
    pub fn write(&self, name: &str, link: u32, packets: &[(u32, Frame)]) -> String {
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
    pub fn requests(&self) -> String {
        let path = self.text("http.pcapng");
        let output = run(["http", "-c", "2", "-i", "20ms", "/", "-d", "sim", "-w", &path]);
        assert!(output.status.success(), "{}", text(&output).1);
        path
    }
}

/// Replays a capture at a device, with more arguments.
pub fn replay(capture: &str, far: &Far, more: &[&str]) -> Output {
    let fixed = ["replay", capture, "-d", &far.endpoint, "--no-attach"];
    run([&fixed[..], more].concat())
}

/// A frame with a packet in it.
pub fn ethernet(from: MacAddr, to: MacAddr, kind: u16, payload: &[u8]) -> Frame {
    Ethernet { source: from, destination: to, kind }.frame(payload)
}

/// A packet from the host to the device.
pub fn to_device(protocol: u8, payload: &[u8]) -> Frame {
    let packet = Ipv4::new(HOST, DEVICE, protocol).packet(payload);
    ethernet(HOST_MAC, DEVICE_MAC, 0x0800, &packet)
}

/// A packet from the device to the host.
pub fn from_device(protocol: u8, payload: &[u8]) -> Frame {
    let packet = Ipv4::new(DEVICE, HOST, protocol).packet(payload);
    ethernet(DEVICE_MAC, HOST_MAC, 0x0800, &packet)
}

/// A segment of the host.
pub fn ours(flags: u8, seq: u32, ack: u32, data: &[u8]) -> Frame {
    let segment = Tcp { seq, ack, flags, window: 4096, ..Tcp::new(40000, 80) };
    to_device(6, &segment.segment(HOST, DEVICE, data))
}

/// A segment of the device's port 80.
pub fn theirs(port: u16, flags: u8, seq: u32, ack: u32, data: &[u8]) -> Frame {
    let segment = Tcp { seq, ack, flags, window: 4096, ..Tcp::new(80, port) };
    from_device(6, &segment.segment(DEVICE, HOST, data))
}

/// Four bytes of a frame as a number.
pub fn word(frame: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(frame[at..at + 4].try_into().expect("four bytes"))
}

/// The source port of a frame.
pub fn port(frame: &[u8]) -> u16 {
    u16::from_be_bytes([frame[34], frame[35]])
}

/// A datagram of the host to the device's `port`.
pub fn asked(port: u16, data: &[u8]) -> Frame {
    to_device(17, &Udp::new(40000, port).datagram(HOST, DEVICE, data))
}

/// A datagram of the device from its `port`.
pub fn answered(port: u16, data: &[u8]) -> Frame {
    from_device(17, &Udp::new(port, 40000).datagram(DEVICE, HOST, data))
}
