//! Captures that are sent again, as users do it.

mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use support::{Process, SOON, lines_with, run, text, uarttool};
use tempfile::TempDir;

/// A folder with a capture of some pings and one of two HTTP requests in it, both of the built-in device.
struct Recorded {
    folder: TempDir,
    device: Process,
    endpoint: String,
}

impl Recorded {
    fn new() -> Recorded {
        let folder = tempfile::tempdir().expect("a folder");
        let (device, endpoint) = sim("");
        let recorded = Recorded { folder, device, endpoint };
        let ping = ["ping", "-c", "5", "-i", "20ms", "-e", "7", "-q"];
        recorded.record(&ping, "ping.pcapng");
        recorded.record(&["http", "-c", "2", "-i", "50ms", "/"], "http.pcapng");
        recorded
    }

    fn record(&self, args: &[&str], name: &str) {
        let path = self.path(name);
        let more = ["-d", &self.endpoint, "-w", path.to_str().expect("a path")];
        let output = run([args, &more[..]].concat());
        assert!(output.status.success(), "{}", text(&output).1);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replays a capture at an endpoint.
    fn replay(&self, name: &str, endpoint: &str, more: &[&str]) -> Output {
        let path = self.path(name);
        run([&["replay", path.to_str().expect("a path"), "-d", endpoint], more].concat())
    }
}

/// The built-in device behind a port, and its endpoint.
fn sim(options: &str) -> (Process, String) {
    let listen = format!("tcp-listen:127.0.0.1:0{options}");
    let process = Process::start(uarttool().args(["sim", "--listen", &listen]));
    let said = process.err.wait_for(0, "reference device, model");
    let address = said.split("listening on ").nth(1).and_then(|rest| rest.lines().next());
    (process, address.expect("an address").to_owned())
}

/// A listener that takes everything and answers nothing, and its endpoint; how many bytes it took.
fn hole() -> (std::thread::JoinHandle<u64>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let endpoint = format!("tcp:{}", listener.local_addr().expect("an address"));
    let taking = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let (mut buffer, mut taken) = (vec![0; 1 << 20], 0);
        while let Ok(n @ 1..) = stream.read(&mut buffer) {
            taken += n as u64;
        }
        taken
    });
    (taking, endpoint)
}

/// A pcap file's header, for Ethernet or another link type.
fn header(link: u32) -> Vec<u8> {
    let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0];
    bytes.extend(link.to_le_bytes());
    bytes
}

/// A packet in it.
fn packet(micros: u32, bytes: &[u8], length: usize) -> Vec<u8> {
    let mut record = Vec::new();
    for word in [1000 + micros / 1_000_000, micros % 1_000_000, bytes.len() as u32, length as u32] {
        record.extend(word.to_le_bytes());
    }
    record.extend(bytes);
    record
}

/// An Ethernet frame of so many bytes from the host to the device.
fn frame(length: usize) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5];
    frame.resize(length, 7);
    frame
}

#[test]
fn the_same_device_answers_as_recorded_and_again_at_once() {
    let recorded = Recorded::new();
    for _ in 0..2 {
        let output = recorded.replay("http.pcapng", &recorded.endpoint, &["--expect"]);
        let (stdout, stderr) = text(&output);
        assert_eq!(output.status.code(), Some(0), "{stdout}{stderr}");
        assert!(stdout.contains("2 connections as recorded, "), "{stdout}");
        assert!(stdout.starts_with("sent 1"), "{stdout}");
        assert!(stdout.contains(" s; lateness p50 "), "{stdout}");
    }
    // Another device of the same kind has other numbers.
    let output = recorded.replay("http.pcapng", "sim", &["--expect", "-x", "2"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output).0);
    let output = recorded.replay("ping.pcapng", "sim", &["--expect", "-qq"]);
    insta::assert_snapshot!(text(&output).0, @"answers: 5 as recorded, 1 not compared (of its own accord)");
    assert_eq!(output.status.code(), Some(0));
    assert!(recorded.device.interrupt().success());
}

#[test]
fn a_device_that_answers_otherwise_fails_with_a_diff() {
    let recorded = Recorded::new();
    let differs = |name: &str, endpoint: &str, more: &[&str]| {
        let output = recorded.replay(name, endpoint, &[&["--expect", "-qq"], more].concat());
        assert_eq!(output.status.code(), Some(1), "{}{}", text(&output).0, text(&output).1);
        text(&output).0
    };
    let one = ["-c", "1"];
    insta::assert_snapshot!(differs("ping.pcapng", "sim,fault=low-ttl", &one), @r"
    frame 2: the answer differs, ICMP 192.168.100.1 > 192.168.100.2
        expected  ipv4.ttl  255
        actual    ipv4.ttl  16
    answers: 0 as recorded, 1 not compared (of its own accord), 1 different
    ");
    insta::assert_snapshot!(differs("ping.pcapng", "sim,fault=echo-id-swapped", &one), @r"
    frame 2: this answer did not come: IP 192.168.100.2 > 192.168.100.1: ICMP echo reply, id 7, seq 1, length 64
    an answer came that was not recorded: IP 192.168.100.2 > 192.168.100.1: ICMP echo reply, id 1792, seq 1, length 64
    answers: 0 as recorded, 1 not compared (of its own accord), 1 missing, 1 not recorded
    ");
    let opens = differs("http.pcapng", "sim,fault=mss-huge", &[]);
    assert_eq!(lines_with(&opens, "192.168.100.2.80 opens in another way").len(), 2, "{opens}");
    let fields = "    expected  tcp.option.mss  1460\n    actual    tcp.option.mss  9000\n";
    assert_eq!(opens.matches(fields).count(), 2, "{opens}");
    assert!(opens.ends_with("2 different in TCP\n"), "{opens}");
    let ignored = ["--expect", "--ignore", "ip.ttl"];
    let output = recorded.replay("ping.pcapng", "sim,fault=low-ttl", &ignored);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output).0);
}

#[test]
fn nobody_answers() {
    let recorded = Recorded::new();
    let (taking, endpoint) = hole();
    let quick = ["--expect", "--timeout", "0.2", "-q"];
    let output = recorded.replay("ping.pcapng", &endpoint, &quick);
    let (stdout, stderr) = text(&output);
    assert_eq!(output.status.code(), Some(1), "{stdout}{stderr}");
    assert_eq!(lines_with(&stdout, "this answer did not come").len(), 5, "{stdout}");
    assert!(stdout.contains("once they did not come"), "{stdout}");
    assert!(stdout.ends_with("answers: 0 as recorded, 5 missing\n"), "{stdout}");
    assert_eq!(taking.join().expect("it took them"), 5 * 100);
}

#[test]
fn what_cannot_be_sent_is_counted_and_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, parts: &[Vec<u8>]| {
        let path = folder.path().join(name);
        std::fs::write(&path, parts.concat()).expect("a file");
        path
    };
    let parts = [
        header(1),
        packet(0, &frame(60), 60),
        packet(1, &frame(2000), 2000),
        packet(2, &frame(60), 90),
        packet(3, &frame(60), 60),
    ];
    let path = write("some.pcap", &parts);
    let replay = |path: &Path, more: &[&str]| {
        run([&["replay", path.to_str().expect("a path"), "-d", "sim"], more].concat())
    };
    let output = replay(&path, &["-qq"]);
    insta::assert_snapshot!(text(&output).0, @r"
    not sent: 1 frame, longer than the line carries: '--max-frame' raises the limit (frame 2)
    not sent: 1 frame, of which the capture kept only the beginning (frame 3)
    ");
    assert_eq!(output.status.code(), Some(0));
    let output = replay(&path, &["--from-frame", "2", "-q", "-c", "1"]);
    assert!(text(&output).0.starts_with("sent 1 frame, 60 B in "), "{}", text(&output).0);
    let path = write("radio.pcap", &[header(127), packet(0, &frame(60), 60)]);
    let output = replay(&path, &[]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output).1);
    assert!(text(&output).0.contains("of link type 127 (IEEE802_11_RADIO)"), "{}", text(&output).0);
    let (_, stderr) = text(&replay(&folder.path().join("none.pcap"), &[]));
    assert!(stderr.starts_with("uarttool: cannot open"), "{stderr}");
}

#[test]
fn interrupted_it_says_where_and_how_to_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("slow.pcap");
    let packets = (0..100).map(|n| packet(n * 100_000, &frame(60), 60));
    let parts: Vec<_> = std::iter::once(header(1)).chain(packets).collect();
    std::fs::write(&path, parts.concat()).expect("a file");
    let (taking, endpoint) = hole();
    let path = path.to_str().expect("a path");
    let process = Process::start(uarttool().args(["replay", path, "-d", &endpoint]));
    process.err.wait_for(0, "replaying ");
    std::thread::sleep(Duration::from_millis(350));
    assert_eq!(process.interrupt().code(), Some(130));
    let sent = taking.join().expect("it took them") / 62;
    let said = format!(
        "interrupted behind frame {sent} of the capture; go on with '--from-frame {}'",
        sent + 1
    );
    assert!(process.stdout().contains(&said), "{}", process.stdout());
    assert!((1..50).contains(&sent), "{sent}");
}

#[test]
fn anonymized_captures_replay_as_well() {
    let recorded = Recorded::new();
    let anonymous = recorded.path("anonymous.pcapng");
    let path = |name: &str| recorded.path(name).to_str().expect("a path").to_owned();
    let output =
        run(["decode", &path("ping.pcapng"), "--anonymize", "-w", &path("anonymous.pcapng")]);
    assert!(output.status.success(), "{}", text(&output).1);
    let shown =
        text(&run(["decode", "-e", anonymous.to_str().expect("a path"), "-c", "1", "icmp"])).0;
    let words: Vec<&str> = shown.split_whitespace().collect();
    let after = |n: usize| {
        let mut arrows = words.iter().enumerate().filter(|(_, word)| **word == ">");
        let at = arrows.nth(n).expect("an arrow").0;
        (words[at - 1].to_owned(), words[at + 1].trim_end_matches([',', ':']).to_owned())
    };
    let ((our_mac, mac), (our_ip, ip)) = (after(0), after(1));
    let ips = format!("{ip}=192.168.100.2,{our_ip}=192.168.100.1");
    let macs = format!("{mac}=02:00:00:00:00:02,{our_mac}=02:00:00:00:00:01");
    let rewrite = ["--expect", "--rewrite-ip", &ips, "--rewrite-mac", &macs];
    let output = recorded.replay("anonymous.pcapng", "sim", &rewrite);
    let (stdout, stderr) = text(&output);
    assert_eq!(output.status.code(), Some(0), "{shown}{stdout}{stderr}");
    assert!(stdout.contains("answers: 5 as recorded"), "{stdout}");
}

#[test]
fn a_capture_of_any_size_needs_the_same_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = folder.path().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .expect("a pipe");
    let megabytes = 200;
    let target = pipe.clone();
    let writing = std::thread::spawn(move || {
        let mut file = File::create(target).expect("the pipe");
        std::thread::sleep(Duration::from_millis(300)); // whoever reads has begun to wonder what it is
        let mut piece = Vec::new();
        (0..1000).for_each(|n| piece.extend(packet(n, &frame(984), 984)));
        let mut all = vec![header(1)];
        all.resize(megabytes + 1, piece);
        all.iter().try_for_each(|bytes| file.write_all(bytes))
    });
    let (taking, endpoint) = hole();
    let path = pipe.to_str().expect("a path");
    let process = Process::start(uarttool().args(["replay", path, "-t", "-d", &endpoint]));
    process.err.wait_for(0, "replaying ");
    let mut most = 0;
    let status = format!("/proc/{}/status", process.id());
    while !writing.is_finished() {
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        let line = lines_with(&status, "VmRSS:").first().map(|line| (*line).to_owned());
        let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        most = most.max(kilobytes.unwrap_or(0u64));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(process.wait(SOON).success(), "{}", process.stderr());
    writing.join().expect("it wrote").expect("all of it");
    assert_eq!(taking.join().expect("it took them"), megabytes as u64 * 1000 * 986);
    assert!((1..60_000).contains(&most), "{most} kB");
}

#[test]
fn mistakes_are_said_in_a_sentence() {
    for (args, part) in [
        (vec!["-x", "0"], "'0' is not a number from 0.000001"),
        (vec!["-t", "-p", "5"], "cannot be used with"),
        (vec!["--rewrite-ip", "1.2.3.4"], "'1.2.3.4' is not a pair of IP addresses of one version"),
        (vec!["--rewrite-port", "80=x"], "'80=x' is not a pair of ports such as 80=8080"),
        (vec!["--expect", "--ignore", "ipv4.tll"], "there is no field 'ipv4.tll' to compare"),
        (vec!["--expect", "--compare", "ipv4.ttl"], "'ipv4.ttl' is compared in any case"),
        (vec!["--expect", "-l", "0"], "'--expect' has no result when '-l 0' never ends"),
        (vec!["tcp prt 80"], "tcp prt 80"),
    ] {
        let output = run([&["replay", "tests/corpus/ping.pcap", "-d", "sim"], &args[..]].concat());
        let (_, stderr) = text(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert!(stderr.contains(part), "{stderr}");
    }
}
