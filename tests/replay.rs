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

/// A listener that keeps everything and answers nothing, and its endpoint.
fn keeper() -> (std::thread::JoinHandle<Vec<u8>>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let endpoint = format!("tcp:{}", listener.local_addr().expect("an address"));
    let taking = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut taken = Vec::new();
        stream.read_to_end(&mut taken).expect("until the end");
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
    let output = replay(&path, &["-qq", "-l", "3"]);
    let numbers = lines_with(&text(&output).0, "not sent: 3 frames, ").len();
    assert_eq!(numbers, 2, "{}", text(&output).0);
    assert!(text(&output).0.contains("(frame 2 ...)"), "{}", text(&output).0);
    let output = replay(&path, &["--from-frame", "2", "-q", "-c", "1"]);
    assert!(text(&output).0.starts_with("sent 1 frame, 60 B in "), "{}", text(&output).0);
    let mut cut = parts.concat();
    cut.truncate(cut.len() - 70);
    let output = replay(&write("cut.pcap", &[cut]), &["-qq"]);
    let (_, stderr) = text(&output);
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    assert!(stderr.contains("the file ends in the middle of a packet's header"), "{stderr}");
    assert!(stderr.contains("the file is damaged; what could be read was replayed"), "{stderr}");
    let path = write("radio.pcap", &[header(127), packet(0, &frame(60), 60)]);
    let output = replay(&path, &[]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output).1);
    assert!(text(&output).0.contains("of link type 127 (IEEE802_11_RADIO)"), "{}", text(&output).0);
    let (_, stderr) = text(&replay(&folder.path().join("none.pcap"), &[]));
    assert!(stderr.starts_with("uarttool: cannot open"), "{stderr}");
}

#[test]
fn interrupted_it_says_where_and_going_on_there_sends_the_rest() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("slow.pcap");
    let named = |n: u32| {
        let mut frame = frame(60);
        frame[14..18].copy_from_slice(&n.to_be_bytes());
        packet(n * 20_000, &frame, 60)
    };
    let parts: Vec<_> = std::iter::once(header(1)).chain((0..20).map(named)).collect();
    std::fs::write(&path, parts.concat()).expect("a file");
    let path = path.to_str().expect("a path");
    for (more, wait) in [
        (&["-l", "3"][..], 600),
        (&["-p", "20", "-c", "35", "-l", "5"], 700),
        (&["-x", "0.5", "--max-gap", "30ms", "-c", "18"], 200),
    ] {
        let (taking, endpoint) = keeper();
        let args = [&["replay", path, "-d", &endpoint], more].concat();
        let process = Process::start(uarttool().args(&args));
        process.err.wait_for(0, "replaying ");
        std::thread::sleep(Duration::from_millis(wait));
        assert_eq!(process.interrupt().code(), Some(130), "{more:?}: {}", process.stdout());
        let mut taken = taking.join().expect("it took them");
        let said = process.stdout();
        let last = u32::from_be_bytes(taken[taken.len() - 46..][..4].try_into().expect("four"));
        assert!(
            said.contains(&format!("interrupted behind frame {} of the capture", last + 1)),
            "{said}"
        );
        let options = said.split("go on with '").nth(1).and_then(|rest| rest.split('\'').next());
        let options = options.expect("options").split_whitespace();
        // What is not said again stays as it was.
        let mut again = vec!["replay", path, "-d"];
        let (rest, endpoint) = keeper();
        again.extend([endpoint.as_str(), "-x", "50"]);
        again.extend(options);
        let output = run(again);
        assert!(output.status.success(), "{}", text(&output).1);
        taken.extend(rest.join().expect("it took them"));
        let numbers = taken
            .chunks(62)
            .map(|chunk| u32::from_be_bytes(chunk[16..20].try_into().expect("four")));
        let rounds = (0..5).flat_map(|_| 0..20u32);
        let all = if more.contains(&"-c") {
            more.iter().skip_while(|arg| **arg != "-c").nth(1).and_then(|n| n.parse().ok())
        } else {
            Some(60)
        };
        assert!(numbers.eq(rounds.take(all.expect("a number"))), "{more:?}: {said}");
    }
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
fn a_long_gap_is_told_before_it_is_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("gap.pcap");
    let parts = [header(1), packet(0, &frame(60), 60), packet(4_000_000_000, &frame(60), 60)];
    std::fs::write(&path, parts.concat()).expect("a file");
    let args = ["replay", path.to_str().expect("a path"), "-d", "sim"];
    let process = Process::start(uarttool().args(args));
    process.err.wait_for(0, "frame 2 goes in 1:06:");
    assert_eq!(process.interrupt().code(), Some(130));
    assert!(process.stderr().contains("'--max-gap' shortens such gaps"), "{}", process.stderr());
    let output = run([&args[..], &["--max-gap", "10ms"]].concat());
    assert_eq!(output.status.code(), Some(0));
    assert!(!text(&output).1.contains("goes in"), "{}", text(&output).1);
}

#[test]
fn a_line_that_goes_away_in_the_middle_leaves_word_where_that_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("some.pcap");
    let packets = (0..20).map(|n| packet(n * 20_000, &frame(60), 60));
    let parts: Vec<_> = std::iter::once(header(1)).chain(packets).collect();
    std::fs::write(&path, parts.concat()).expect("a file");
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let endpoint = format!("tcp:{}", listener.local_addr().expect("an address"));
    let leaving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        stream.write_all(&[0xff; 300]).expect("it takes what is no frame");
        stream.read_exact(&mut [0; 5 * 62]).expect("five frames");
    });
    let output = run(["replay", path.to_str().expect("a path"), "-d", &endpoint, "-q"]);
    let (stdout, stderr) = text(&output);
    leaving.join().expect("no panic");
    assert_eq!(output.status.code(), Some(3), "{stdout}{stderr}");
    assert!(stderr.contains("went away: "), "{stderr}");
    assert!(stdout.contains("framing error came: bytes that make no frame"), "{stdout}");
    let sent: u64 =
        stdout.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number");
    let said = format!(
        "interrupted behind frame {sent} of the capture; go on with '--from-frame {}'",
        sent + 1
    );
    assert!((5..10).contains(&sent) && stdout.contains(&said), "{stdout}");
}

/// A capture in a pipe, of so many megabytes; it is written as it is read.
fn large(
    folder: &Path,
    megabytes: usize,
) -> (std::thread::JoinHandle<std::io::Result<()>>, PathBuf) {
    let pipe = folder.join("pipe");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, mode, 0).expect("a pipe");
    let target = pipe.clone();
    let writing = std::thread::spawn(move || {
        let mut file = File::create(target)?;
        std::thread::sleep(Duration::from_millis(300)); // whoever reads has begun to wonder what it is
        let piece: Vec<u8> = (0..1000).flat_map(|n| packet(n, &frame(984), 984)).collect();
        file.write_all(&header(1))?;
        (0..megabytes).try_for_each(|_| file.write_all(&piece))
    });
    (writing, pipe)
}

/// With 10000 in `UARTTOOL_MEGABYTES` it is 10 GB; what it needed is printed.
#[test]
fn a_capture_of_any_size_needs_the_same_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let megabytes = std::env::var("UARTTOOL_MEGABYTES").ok().and_then(|n| n.parse().ok());
    let megabytes: usize = megabytes.unwrap_or(200);
    let (writing, pipe) = large(folder.path(), megabytes);
    let (taking, endpoint) = hole();
    let path = pipe.to_str().expect("a path");
    let began = std::time::Instant::now();
    let process = Process::start(uarttool().args(["replay", path, "-t", "-d", &endpoint]));
    process.err.wait_for(0, "replaying ");
    let mut most = 0u64;
    while !writing.is_finished() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.id()));
        let status = status.unwrap_or_default();
        let peak = lines_with(&status, "VmHWM:")
            .first()
            .and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        most = most.max(peak.unwrap_or_default());
        std::thread::sleep(Duration::from_millis(20));
    }
    let took = began.elapsed();
    assert!(process.wait(SOON).success(), "{}", process.stderr());
    writing.join().expect("no panic").expect("all of it was written");
    println!("{megabytes} MB in {took:?}, {most} kB of memory at most");
    assert_eq!(taking.join().expect("it took them"), megabytes as u64 * 1000 * 986);
    assert!((1..60_000).contains(&most), "{most} kB");
}

#[test]
fn what_the_capture_of_a_replay_lacks_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let (writing, pipe) = large(folder.path(), 100);
    let (taking, endpoint) = hole();
    // A disk that is slow: whoever reads the capture begins late and takes little at a time.
    let written = folder.path().join("written.pcapng");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &written, kind, mode, 0).expect("a pipe");
    let slow = written.clone();
    let kept = std::thread::spawn(move || {
        let mut file = File::open(slow).expect("the pipe");
        std::thread::sleep(Duration::from_secs(2));
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).expect("until the end");
        let path = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(path.path(), bytes).expect("a file");
        path
    });
    let args = ["replay", pipe.to_str().expect("a path"), "-t", "-d", &endpoint, "-w"];
    let output = run([&args[..], &[written.to_str().expect("a path")]].concat());
    let (stdout, stderr) = text(&output);
    assert_eq!(output.status.code(), Some(0), "{stdout}{stderr}");
    writing.join().expect("no panic").expect("all of it was written");
    assert_eq!(taking.join().expect("it took them"), 100 * 1000 * 986);
    let kept = kept.join().expect("no panic");
    let shown = run(["decode", "-q", kept.path().to_str().expect("a path")]);
    let kept: u64 = text(&shown)
        .1
        .lines()
        .last()
        .and_then(|line| line.split_whitespace().next())
        .and_then(|n| n.parse().ok())
        .expect("frames");
    let missing = 100_000 - kept;
    assert!(missing > 0, "it was not slow enough");
    let said = format!("{missing} records missing in the capture that '-w' has written");
    assert!(stdout.contains(&said), "{kept} kept: {stdout}{stderr}");
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
        (vec!["-t", "--max-gap", "1s"], "cannot be used with"),
        (vec!["--from-frame", "0"], "0"),
        (vec!["--expect", "--no-wait"], "cannot be used with"),
        (
            vec!["--rewrite-ip", "10.0.0.1=10.0.0.2,10.0.0.1=10.0.0.3"],
            "'10.0.0.1' is to become two things",
        ),
    ] {
        let output = run([&["replay", "tests/corpus/ping.pcap", "-d", "sim"], &args[..]].concat());
        let (_, stderr) = text(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert!(stderr.contains(part), "{stderr}");
    }
}
