//! The firmware itself: every service and every switch does what the other tests rely on.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use support::firmware::{Firmware, Setup};
use support::host::Host;

const NO_PAUSE: Duration = Duration::ZERO;

/// `n` bytes that repeat only after a long time.
fn noise(n: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1du64;
    (0..n)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}

/// CRC-32 of IEEE 802.3, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}

fn plain_and_esp_idf() -> [Firmware; 2] {
    ["plain", "esp-idf"].map(|variant| Firmware::start_with(&Setup { variant, ..Setup::default() }))
}

/// A raw client of the tunnel.
struct Line(TcpStream);

impl Line {
    fn connect(firmware: &Firmware) -> Line {
        let stream = TcpStream::connect(&firmware.endpoint[4..]).expect("the tunnel");
        stream.set_nodelay(true).expect("a socket");
        Line(stream)
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("the tunnel takes bytes");
    }

    /// How many bytes come within `time`.
    fn count(&mut self, time: Duration) -> usize {
        let deadline = Instant::now() + time;
        let mut got = 0;
        let mut buffer = [0; 4096];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return got;
            }
            self.0.set_read_timeout(Some(left)).expect("a time");
            got += self.0.read(&mut buffer).unwrap_or(0);
        }
    }

    /// Whether a ping is answered within `time`.
    fn ping(&mut self, time: Duration) -> bool {
        self.write(&echo_request(56));
        self.count(time) >= 100
    }
}

const SHORT: Duration = Duration::from_millis(150);

/// An echo request with so many bytes of data, behind its length.
fn echo_request(data: usize) -> Vec<u8> {
    let sum = |bytes: &[u8]| {
        let words =
            bytes.chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(*w.get(1).unwrap_or(&0)));
        let sum: u32 = words.sum();
        !((sum & 0xffff) + (sum >> 16)) as u16
    };
    let mut icmp = vec![8, 0, 0, 0, 0, 9, 0, 1];
    icmp.resize(8 + data, 0x20);
    let check = sum(&icmp);
    icmp[2..4].copy_from_slice(&check.to_be_bytes());
    let mut ip = vec![0x45, 0, 0, 0, 0, 1, 0, 0, 64, 1, 0, 0, 192, 168, 100, 1, 192, 168, 100, 2];
    ip[2..4].copy_from_slice(&(28 + data as u16).to_be_bytes());
    let check = sum(&ip);
    ip[10..12].copy_from_slice(&check.to_be_bytes());
    let mut out = (42 + data as u16).to_be_bytes().to_vec();
    out.extend([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0]);
    out.extend(ip);
    out.extend(icmp);
    out
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn web_pages_status_and_blobs() {
    for firmware in plain_and_esp_idf() {
        let mut host = Host::connect(&firmware.endpoint);
        let page = host.get("/");
        assert_eq!(page.status, 200, "{}", page.head);
        assert!(page.body.starts_with(b"<!doctype html>"), "{page:?}");
        let status = host.get("/status");
        let json: serde_json::Value = serde_json::from_slice(&status.body).expect("JSON");
        assert!(json["rx_frames"].as_u64().is_some_and(|n| n > 0), "{json}");
        assert_eq!(json["settings"]["max-frame"], 1500, "{json}");
        let blob = host.get("/blob/100000");
        assert_eq!(blob.body.len(), 100_000);
        assert!(blob.body.chunks(64).all(|line| blob.body.starts_with(line)));
        assert_eq!(host.get("/nope").status, 404);
        assert_eq!(host.http("BREW / HTTP/1.1\r\nHost: d\r\n\r\n", b"", NO_PAUSE).status, 501);
    }
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn uploads_are_counted_and_summed() {
    for firmware in plain_and_esp_idf() {
        let mut host = Host::connect(&firmware.endpoint);
        for n in [0, 1, 1440, 200_000] {
            let body = noise(n);
            let (status, json) = host.upload(&body, NO_PAUSE);
            assert_eq!(status, 200);
            assert_eq!(json["received"], n, "{json}");
            assert_eq!(json["crc32"], format!("{:08x}", crc32(&body)), "{json}");
            let sum = body.iter().fold(0u32, |sum, byte| sum.wrapping_add(u32::from(*byte)));
            assert_eq!(json["sum"], sum, "{json}");
        }
    }
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn a_reused_receive_buffer_corrupts_what_is_queued() {
    let firmware = Firmware::start();
    let mut host = Host::connect(&firmware.endpoint);
    let body = noise(4000);
    let right = serde_json::json!(format!("{:08x}", crc32(&body)));
    firmware.command("app-delay 30");
    let pause = Duration::from_millis(250);
    let (_, json) = host.upload(&body, pause);
    assert_eq!(json["crc32"], right, "without the fault");
    firmware.command("rx-alias on");
    let (_, json) = host.upload(&body, pause);
    assert_ne!(json["crc32"], right, "with it");
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn echo_discard_and_chargen() {
    let firmware = Firmware::start();
    let mut host = Host::connect(&firmware.endpoint);
    let sent = noise(60_000);
    assert!(host.converse(7, &[&sent], NO_PAUSE, true) == sent, "TCP echo is byte-exact");
    assert_eq!(host.converse(9, &[&sent[..5000]], NO_PAUSE, true), b"", "discard says nothing");
    assert_eq!(host.datagram(7, b"hello").as_deref(), Some(&b"hello"[..]));
    assert_eq!(host.datagram(9, b"hello"), None);
    assert_eq!(host.datagram(19, b"?").map(|bytes| bytes.len()), Some(512));
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn both_drivers_and_their_timeouts() {
    let firmware = Firmware::start();
    let mut line = Line::connect(&firmware);
    assert!(line.ping(SHORT));
    // The new driver flushes and is deaf for 100 ms; the old one skips the two bytes.
    line.write(&[0xff, 0xff]);
    assert!(!line.ping(SHORT), "flushed with the bad header");
    assert!(line.ping(SHORT));
    firmware.command("driver old");
    line.write(&[0xff, 0xff]);
    assert!(line.ping(SHORT));
    firmware.command("policy discard");
    line.write(&[0x06, 0x00]);
    assert!(!line.ping(SHORT), "taken for the body of the bad frame");
    std::thread::sleep(Duration::from_millis(1300));
    assert!(line.ping(SHORT));
    firmware.command("driver new");
    // A header byte alone is forgotten after 100 ms, half a body after a second.
    line.write(&[0]);
    std::thread::sleep(SHORT);
    assert!(line.ping(SHORT));
    assert_eq!(firmware.counter("header_timeouts"), 1);
    line.write(&echo_request(56)[..40]);
    std::thread::sleep(Duration::from_millis(1200));
    assert!(line.ping(SHORT));
    assert_eq!(firmware.counter("body_timeouts"), 1 + 1, "one of them by the policy above");
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn frames_too_short_or_too_long_are_dropped_and_counted() {
    let firmware = Firmware::start();
    let mut line = Line::connect(&firmware);
    for n in [1usize, 13] {
        let mut frame = (n as u16).to_be_bytes().to_vec();
        frame.resize(2 + n, 0x55);
        line.write(&frame);
    }
    assert!(line.ping(SHORT));
    assert_eq!(firmware.counter("short_frames"), 2);
    firmware.command("max-frame 600");
    line.write(&echo_request(558));
    assert_eq!(line.count(SHORT), 602);
    line.write(&echo_request(559));
    assert_eq!(line.count(SHORT * 2), 0);
    assert!(line.ping(SHORT));
    firmware.command("max-frame 1514");
    line.write(&echo_request(1472));
    assert_eq!(line.count(SHORT), 1516);
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn losing_stalling_muting_and_pacing() {
    let firmware = Firmware::start();
    let mut line = Line::connect(&firmware);
    firmware.command("drop 2");
    assert_ne!(line.ping(SHORT), line.ping(SHORT), "every second frame is lost");
    firmware.command("drop 0");
    firmware.command("txdrop 1");
    assert!(!line.ping(SHORT));
    firmware.command("txdrop 0");
    firmware.command("mute on");
    assert!(!line.ping(SHORT));
    firmware.command("mute off");
    firmware.say("stall 500");
    firmware.log.wait_for(0, "stalled for 500 ms");
    assert!(!line.ping(SHORT), "nothing is served");
    assert_eq!(line.count(Duration::from_millis(600)), 100, "and nothing lost");
    firmware.command("txbaud 115200");
    let started = Instant::now();
    line.write(&echo_request(1400));
    let mut reply = [0; 1444];
    line.0.set_read_timeout(Some(Duration::from_secs(5))).expect("a time");
    line.0.read_exact(&mut reply).expect("the reply");
    let paced = started.elapsed().as_millis();
    assert!((100..400).contains(&paced), "1444 bytes at 115200 baud took {paced} ms");
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn a_burst_overruns_the_ring_only_when_told_to() {
    let firmware = Firmware::start();
    let mut line = Line::connect(&firmware);
    let burst = echo_request(400).repeat(20);
    firmware.say("stall 300");
    firmware.log.wait_for(0, "stalled for 300 ms");
    line.write(&burst);
    assert_eq!(line.count(Duration::from_millis(1500)), burst.len(), "held back, nothing lost");
    firmware.command("overrun drop");
    firmware.say("stall 300");
    std::thread::sleep(Duration::from_millis(20));
    line.write(&burst);
    assert!(line.count(Duration::from_millis(1500)) < burst.len());
    assert!(firmware.counter("overruns") > 0);
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn crash_and_reboot_come_back() {
    let firmware = Firmware::start();
    firmware.command("max-frame 700");
    for (command, sign) in [("crash", "Guru Meditation Error"), ("reboot", "Rebooting...")] {
        let from = firmware.log.len();
        firmware.say(command);
        firmware.log.wait_for(from, sign);
        firmware.log.wait_for(from, "main: ready");
        assert!(firmware.command("show").contains("max-frame=1500"), "settings are the defaults");
    }
    assert!(Line::connect(&firmware).ping(SHORT));
}
