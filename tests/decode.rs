//! What was recorded is shown, filtered, converted and made fit for other eyes.

mod support;

use std::fs;
use std::io::Read;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use support::{Process, run, text, uarttool};
use uarttool::capture::{Counts, Source, Target};
use uarttool::clock::Timestamp;
use uarttool::craft::{EchoRequest, Route};
use uarttool::framing;
use uarttool::proto::MacAddr;
use uarttool::record::{
    Body, Direction, FramingError, LinkChange, Origin, Problem, Record, Recovery, Span,
};

const START: u64 = 1_700_000_000_000_000_000;

fn record(millis: u64, direction: Direction, body: Body) -> Record {
    let time = Some(Span::at(Timestamp(START + millis * 1_000_000 + 123_456_789)));
    Record { time, origin: Origin::new(direction), offset: None, body }
}

fn echo(sequence: u16, is_reply: bool) -> Vec<u8> {
    let (host, device) = (Ipv4Addr::new(192, 168, 100, 1), Ipv4Addr::new(192, 168, 100, 2));
    let (a, b) = (MacAddr(2, 0, 0, 0, 0, 1), MacAddr(2, 0, 0, 0, 0, 2));
    let route = match is_reply {
        false => Route { source_mac: a, destination_mac: b, source: host, destination: device },
        true => Route { source_mac: b, destination_mac: a, source: device, destination: host },
    };
    let data = b"secret of the house, 32 bytes...";
    let echo = EchoRequest { identifier: 7, sequence, ttl: 64, tos: 0, ip_id: sequence, data };
    let mut frame = echo.frame(&route);
    if is_reply {
        frame[34] = 0;
        frame[36] += 8; // 8 less in the word that the checksum is over
    }
    frame
}

fn arp() -> Vec<u8> {
    let mut frame = vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 2, 8, 6];
    frame.extend([0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 2, 192, 168, 100, 2]);
    frame.extend([0, 0, 0, 0, 0, 0, 192, 168, 100, 1]);
    frame
}

fn http() -> Vec<u8> {
    let payload = b"GET /index.html HTTP/1.1\r\nHost: 192.168.100.2\r\n\r\n";
    let mut tcp =
        vec![0x9c, 0x40, 0, 80, 0, 0, 3, 232, 0, 0, 1, 244, 0x50, 0x18, 16, 0, 0, 0, 0, 0];
    tcp.extend(payload);
    let (a, b) = ([192, 168, 100, 1], [192, 168, 100, 2]);
    let sum = uarttool::checksum::Sum::pseudo(a.into(), b.into(), 6, tcp.len()).plus(&tcp).finish();
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0];
    frame.extend((20 + tcp.len() as u16).to_be_bytes());
    frame.extend([0, 9, 0x40, 0, 64, 6, 0, 0]);
    frame.extend(a);
    frame.extend(b);
    let sum = uarttool::checksum::internet(&frame[14..34]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame.extend(tcp);
    frame
}

/// An echo and its reply, an ARP request, a request for a page, bytes that make no frame, a line of the
/// console.
fn records() -> Vec<Record> {
    use Direction::{FromDevice, ToDevice};
    let frame = |bytes: Vec<u8>| Body::Frame(Bytes::from(bytes));
    let error = FramingError {
        problem: Problem::TooLong { length: 65535, limit: 1514 },
        bytes: Bytes::from_static(&[0xff, 0xff, 1, 2, 3]),
        recovery: Recovery::Sure,
    };
    vec![
        record(0, ToDevice, frame(echo(1, false))),
        record(3, FromDevice, frame(echo(1, true))),
        record(500, FromDevice, frame(arp())),
        record(1000, ToDevice, frame(http())),
        record(1500, FromDevice, Body::FramingError(error)),
        record(2000, FromDevice, Body::Console(Bytes::from_static(b"I (12) main: ready \x1b[0m"))),
    ]
}

fn write(path: &Path, records: &[Record]) {
    let target = Target::parse(path.to_str().expect("a plain path")).expect("a known extension");
    let source = Source {
        name: "tcp:127.0.0.1:5556".to_owned(),
        description: "a test".to_owned(),
        framing: framing::ALL[0],
        console: Some("tcp:127.0.0.1:5555".to_owned()),
    };
    let mut file = target.create(&source).expect("it can be created");
    records.iter().for_each(|record| file.record(record, None).expect("there is room"));
    file.finish(Timestamp(START), Counts::default()).expect("there is room");
}

/// A folder with `name` in it.
fn recorded(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    write(&path, &records());
    (folder, path)
}

/// What decode says with these arguments: exit code, stdout, stderr without the folder.
fn decode(path: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let file = path.to_str().expect("a plain path");
    let output = run([&["decode", file][..], args].concat());
    let (stdout, stderr) = text(&output);
    let folder = path.parent().expect("a folder").to_str().expect("a plain path");
    (output.status.code(), stdout, stderr.replace(&format!("{folder}/"), ""))
}

fn shown(path: &Path, args: &[&str]) -> String {
    let (code, stdout, stderr) = decode(path, args);
    assert_eq!(code, Some(0), "{args:?}: {stderr}");
    stdout
}

#[test]
fn every_form_of_output() {
    let (_folder, path) = recorded("a.pcapng");
    let mut all = String::new();
    for args in [
        &[][..],
        &["-q"],
        &["-qq"],
        &["-e", "-t"],
        &["-x", "-tt", "icmp"],
        &["-xx", "-ttt", "arp"],
        &["-X", "-tttt", "tcp"],
        &["-A", "-ttttt", "tcp"],
        &["--raw", "-t", "not", "icmp"],
        &["--tree", "-t", "http"],
        &["--json"],
        &["--json", "-x", "arp"],
        &["--color", "always", "-c", "1"],
    ] {
        let (code, stdout, stderr) = decode(&path, args);
        assert_eq!(code, Some(0), "{stderr}");
        all += &format!("$ decode {}\n{stdout}--- {stderr}\n", args.join(" "));
    }
    insta::assert_snapshot!(all.replace('\x1b', "ESC"));
}

#[test]
fn filters_choose_and_mistakes_are_explained() {
    let (_folder, path) = recorded("a.pcapng");
    let frames = |filter: &str| {
        let (code, stdout, stderr) = decode(&path, &["-t", filter]);
        assert_eq!(code, Some(0), "{stderr}");
        stdout.lines().filter(|line| line.starts_with("->") || line.starts_with("<-")).count()
    };
    for (filter, n) in [
        ("icmp", 2),
        ("from device", 2),
        ("to device and not icmp", 1),
        ("tcp port 80", 1),
        ("greater 80", 1),
        ("http", 1),
        ("tcp[13] & 8 != 0", 1),
        ("ip.ttl == 64 and tcp.flags.psh", 1),
        ("malformed", 0),
        ("", 4),
    ] {
        assert_eq!(frames(filter), n, "{filter}");
    }
    let (_, stdout, _) = decode(&path, &["not", "malformed"]);
    assert!(!stdout.contains("framing"), "{stdout}");
    let (code, stdout, stderr) = decode(&path, &["ip.tll", "<", "5"]);
    assert_eq!((code, &*stdout), (Some(2), ""));
    insta::assert_snapshot!(stderr);
}

#[test]
fn every_format_becomes_every_other() {
    let (folder, path) = recorded("a.pcapng");
    let wanted = shown(&path, &["-t", "-xx", "not malformed"]);
    let frames = |text: &str| -> Vec<String> {
        text.lines().filter(|line| line.starts_with('\t')).map(str::to_owned).collect()
    };
    assert_eq!(frames(&wanted).len(), 20);
    for first in ["pcap", "pcapng", "raw", "txt"] {
        let one = folder.path().join(format!("one.{first}"));
        shown(&path, &["-w", one.to_str().expect("a plain path")]);
        for second in ["pcap", "pcapng", "raw", "txt"] {
            let two = folder.path().join(format!("two.{second}"));
            shown(&one, &["-w", two.to_str().expect("a plain path")]);
            let text = shown(&two, &["-t", "-xx", "not malformed"]);
            assert_eq!(frames(&text), frames(&wanted), "{first} to {second}");
        }
    }
    // What the formats can hold is held: directions and times to the nanosecond, and all of it in pcapng.
    let again = folder.path().join("again.pcapng");
    shown(&path, &["-w", again.to_str().expect("a plain path")]);
    assert_eq!(shown(&again, &["--json"]), shown(&path, &["--json"]));
    let hex = folder.path().join("one.txt");
    let frames = |path| shown(path, &["-tttt", "icmp and not malformed", "-c", "2"]);
    assert_eq!(frames(&hex), frames(&path));
}

#[test]
fn a_capture_goes_through_pipes() {
    let (folder, path) = recorded("a.pcapng");
    let out = folder.path().join("out");
    let mut command = uarttool();
    command.args(["decode", "-", "-w", "-", "icmp"]);
    let file = fs::File::open(&path).expect("it is there");
    let sink = fs::File::create(&out).expect("there is room");
    let status = command.stdin(file).stdout(sink).stderr(Stdio::null()).status().expect("it runs");
    assert!(status.success());
    assert_eq!(shown(&out, &["-t", "-q"]).lines().count(), 4, "two frames, an error, a line");
}

#[test]
fn files_are_begun_by_size_and_by_time() {
    let (folder, path) = recorded("a.pcapng");
    let names = || -> Vec<String> {
        let entries = fs::read_dir(folder.path()).expect("it is there").flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<_> = names.filter(|name| name.starts_with("b")).collect();
        names.sort();
        names
    };
    let to = |name: &str| folder.path().join(name).to_str().expect("a plain path").to_owned();
    shown(&path, &["-w", &to("b.pcap"), "-C", "0.0002"]);
    assert_eq!(names(), ["b-00000.pcap", "b-00001.pcap"]);
    names().iter().for_each(|name| fs::remove_file(to(name)).expect("it is there"));

    shown(&path, &["-w", &to("b.pcap"), "-C", "0.00005", "-W", "2"]);
    assert_eq!(names(), ["b-00002.pcap", "b-00003.pcap"], "the oldest give way");
    let text = shown(Path::new(&to("b-00003.pcap")), &["-t"]);
    assert!(text.contains("GET /index.html"), "{text}");
    names().iter().for_each(|name| fs::remove_file(to(name)).expect("it is there"));

    shown(&path, &["-w", &to("b-%H%M%S.pcapng"), "-G", "1"]);
    assert_eq!(names(), ["b-221320.pcapng", "b-221321.pcapng", "b-221322.pcapng"]);
    names().iter().for_each(|name| fs::remove_file(to(name)).expect("it is there"));

    shown(&path, &["-w", &to("b.pcapng"), "-G", "1", "-W", "1"]);
    assert_eq!(names(), ["b-00000.pcapng"], "complete after one file");
    assert_eq!(shown(Path::new(&to(&names()[0])), &["-t"]).lines().count(), 3);

    for (args, sentence) in [
        (&["-W", "3"][..], "'-W' bounds the number of files"),
        (&["-G", "1", "-w", "-"], "need a file"),
        (&["-C", "x"], "'x' is no number"),
    ] {
        let place = to("c.pcapng");
        let with: &[&str] = if args.contains(&"-w") { &[] } else { &["-w", &place] };
        let (code, _, stderr) = decode(&path, &[with, args].concat());
        assert!(code == Some(2) && stderr.contains(sentence), "{stderr}");
    }
}

#[test]
fn a_snap_length_cuts_what_is_kept_and_says_so() {
    let (folder, path) = recorded("a.pcapng");
    for name in ["s.pcap", "s.pcapng"] {
        let cut = folder.path().join(name);
        shown(&path, &["-s", "40", "-w", cut.to_str().expect("a plain path"), "tcp"]);
        let text = shown(&cut, &["-t", "tcp and not malformed"]);
        assert!(text.contains("TCP, length 69 [|tcp]\n"), "{text}");
        let json = shown(&cut, &["--json"]);
        assert!(json.contains("\"length\":103,\"captured\":40"), "{json}");
    }
}

#[test]
fn a_part_of_a_recording_is_chosen_by_time() {
    let (_folder, path) = recorded("a.pcapng");
    let lines = |args: &[&str]| shown(&path, args).lines().count();
    assert_eq!(lines(&["--from", "+0.4s"]), 4);
    assert_eq!(lines(&["--to", "+0.4s"]), 2);
    assert_eq!(lines(&["--from", "22:13:20.5", "--to", "22:13:21.5"]), 2);
    assert_eq!(lines(&["--from", "2023-11-14T22:13:21Z"]), 3);
    assert_eq!(lines(&["--from", "1700000000.123456789", "--to", "1700000000.12345679"]), 1);
    let (code, _, stderr) = decode(&path, &["--from", "noon"]);
    assert!(code == Some(2) && stderr.contains("'noon' is no time"), "{stderr}");
}

#[test]
fn for_other_eyes_nothing_of_the_payload_is_left() {
    let (folder, path) = recorded("a.pcapng");
    let out = folder.path().join("out.pcapng");
    shown(&path, &["--anonymize", "-w", out.to_str().expect("a plain path")]);
    let bytes = fs::read(&out).expect("it is there");
    for secret in
        [&b"secret"[..], b"index.html", b"ready", &[192, 168, 100, 1], &[2, 0, 0, 0, 0, 2]]
    {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{secret:?}");
    }
    let text = shown(&out, &["-t"]);
    assert!(!text.contains("bad"), "checksums are mended: {text}");
    let addresses = |line: &str| -> Vec<String> {
        line.split([' ', ':', ','])
            .filter(|w| w.split('.').count() == 4)
            .map(str::to_owned)
            .collect()
    };
    let lines: Vec<&str> = text.lines().collect();
    let (asked, answered) = (addresses(lines[0]), addresses(lines[1]));
    assert_eq!(asked, answered.into_iter().rev().collect::<Vec<_>>(), "{text}");
    assert!(lines[1].ends_with("(3.000 ms)"), "the reply still answers: {text}");
}

#[test]
fn a_growing_file_is_followed_until_told_to_stop() {
    let (folder, path) = recorded("a.pcap");
    let bytes = fs::read(&path).expect("it is there");
    let growing = folder.path().join("growing.pcap");
    let mut file = fs::File::create(&growing).expect("there is room");
    file.write_all(&bytes[..120]).expect("there is room");
    let mut command = uarttool();
    command.args(["decode", "--follow-file", "-t"]).arg(&growing);
    let process = Process::start(&mut command);
    process.out.wait_for(0, "echo request");
    for piece in bytes[120..].chunks(7) {
        file.write_all(piece).expect("there is room");
        thread::sleep(Duration::from_millis(1));
    }
    process.out.wait_for(0, "GET /index.html");
    assert!(process.interrupt().success());
    assert!(process.stderr().contains("4 frames"), "{}", process.stderr());
}

#[test]
fn what_is_damaged_is_read_as_far_as_it_goes() {
    let (folder, path) = recorded("a.pcap");
    let mut bytes = fs::read(&path).expect("it is there");
    let cut = folder.path().join("cut.pcap");
    fs::write(&cut, &bytes[..bytes.len() - 10]).expect("there is room");
    let (code, stdout, stderr) = decode(&cut, &["-t"]);
    assert_eq!((code, stdout.lines().count()), (Some(4), 4), "{stderr}");
    assert!(stderr.contains("cut.pcap: ") && stderr.contains("byte 2"), "{stderr}");
    // The length of the second frame says what cannot be.
    bytes[24 + 16 + 74 + 11] = 0x7f;
    let bad = folder.path().join("bad.pcap");
    fs::write(&bad, &bytes).expect("there is room");
    let (code, stdout, stderr) = decode(&bad, &["-t"]);
    assert_eq!((code, stdout.lines().count()), (Some(4), 3), "{stdout}{stderr}");
    let nothing = folder.path().join("nothing");
    fs::write(&nothing, "this is no capture").expect("there is room");
    let (code, _, stderr) = decode(&nothing, &[]);
    assert_eq!(code, Some(4), "{stderr}");
    insta::assert_snapshot!(stderr);
    let (code, _, stderr) = decode(&folder.path().join("absent"), &[]);
    assert_eq!(code, Some(4), "{stderr}");
}

#[test]
fn sniff_reads_files_too_and_the_help_names_it_all() {
    let (_folder, path) = recorded("a.pcapng");
    let file = path.to_str().expect("a plain path");
    let output = run(["sniff", "-r", file, "-t", "icmp"]);
    let (stdout, _) = text(&output);
    assert_eq!(stdout, shown(&path, &["-t", "icmp"]));
    insta::assert_snapshot!("help-decode", text(&run(["decode", "--help"])).0);
}

/// What a terminal gets to see, with this in the environment.
fn on_a_terminal(path: &Path, environment: &[(&str, &str)]) -> String {
    let command = format!("{} decode -c 1 -t {}", support::binary(), path.display());
    let mut script = std::process::Command::new("script");
    script.args(["-qec", &command, "/dev/null"]).env_remove("NO_COLOR").env("TERM", "xterm");
    script.envs(environment.iter().copied()).stdin(Stdio::null());
    let output = script.output().expect("script is there");
    text(&output).0
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let (_folder, path) = recorded("a.pcapng");
    let arrow = "\x1b[1m\x1b[36m->\x1b[0m";
    assert!(on_a_terminal(&path, &[]).contains(arrow));
    assert!(on_a_terminal(&path, &[("NO_COLOR", "")]).contains(arrow), "empty is not set");
    for environment in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let shown = on_a_terminal(&path, &[environment]);
        assert!(shown.contains("-> IP"), "{environment:?}: {shown:?}");
    }
    assert!(!shown(&path, &[]).contains('\x1b'), "a pipe is no terminal");
}

#[test]
fn connections_are_followed_from_frame_to_frame() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.pcap");
    let twice = [0, 1].map(|n| record(n, Direction::ToDevice, Body::Frame(Bytes::from(http()))));
    write(&path, &twice);
    let text = shown(&path, &["-t"]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].contains("seq 1000:1049, ack 500,"), "{text}");
    assert!(lines[1].contains("seq 0:49, ack 1,"), "{text}");
    assert!(lines[1].ends_with("HTTP: GET /index.html HTTP/1.1 [retransmission]"), "{text}");
    assert!(shown(&path, &["--json"]).contains("\"tcp.mark\":\"retransmission\""));
}

#[test]
fn what_is_read_is_not_overwritten() {
    let (folder, path) = recorded("a.pcapng");
    let before = fs::read(&path).expect("it is there");
    let link = folder.path().join("link.pcapng");
    std::os::unix::fs::symlink(&path, &link).expect("a link");
    for out in [&path, &link] {
        let (code, _, stderr) = decode(&path, &["-w", out.to_str().expect("a plain path")]);
        assert!(code == Some(2) && stderr.contains("would be overwritten"), "{stderr}");
    }
    assert_eq!(fs::read(&path).expect("it is there"), before);
    let text = folder.path().join("a.txt");
    let (code, _, stderr) = decode(&path, &["-s", "40", "-w", text.to_str().expect("plain")]);
    assert!(code == Some(2) && stderr.contains("cannot hold cut frames"), "{stderr}");
    assert!(!text.exists());
}

#[test]
fn reading_without_end_can_be_interrupted() {
    for format in ["hex", "raw"] {
        let mut command = uarttool();
        command.args(["decode", "--format", format, "-qq", "/dev/zero"]);
        let process = Process::start(&mut command);
        thread::sleep(Duration::from_millis(300));
        let status = process.interrupt();
        assert!(matches!(status.code(), Some(0 | 130)), "{status}: {}", process.stderr());
        assert!(!process.stderr().contains("damaged"), "{}", process.stderr());
    }
}

#[test]
fn a_capture_of_frames_alone_is_read_by_who_takes_one_link_type() {
    let (folder, path) = recorded("a.pcapng");
    let out = folder.path().join("frames.pcapng");
    shown(&path, &["-w", out.to_str().expect("a plain path"), "icmp and not malformed", "-c", "2"]);
    let bytes = fs::read(&out).expect("it is there");
    let interfaces = bytes.windows(4).filter(|word| *word == [0, 0, 0, 1]).count();
    assert!(interfaces >= 1);
    assert!(!bytes.windows(6).any(|text| text == b"errors"), "only what is needed is described");
    let (_, _, stderr) = decode(&out, &["--from", "+1h"]);
    assert!(stderr.contains("2 of another time"), "{stderr}");
    let reversed = ["--from", "1700000002", "--to", "1700000001"];
    let (code, _, stderr) = decode(&out, &reversed);
    assert!(code == Some(2) && stderr.contains("not later"), "{stderr}");
}

#[test]
fn what_was_remarked_is_kept_and_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.pcapng");
    let target = Target::parse(path.to_str().expect("a plain path")).expect("a known extension");
    let source = Source {
        name: "a".to_owned(),
        description: String::new(),
        framing: framing::ALL[0],
        console: None,
    };
    let mut file = target.create(&source).expect("it can be created");
    let connected = Body::Link(LinkChange::Connected("tcp:h:1".to_owned()));
    let frame = Body::Frame(arp().into());
    for body in [connected, frame] {
        let record = record(0, Direction::FromDevice, body);
        file.record(&record, Some("lost by\nRoss \x1b[1m")).expect("there is room");
    }
    file.finish(Timestamp(START), Counts::default()).expect("there is room");

    let again = folder.path().join("b.pcapng");
    shown(&path, &["-w", again.to_str().expect("a plain path")]);
    let tree = shown(&again, &["--tree"]);
    assert_eq!(tree.matches("  # lost by\n  # Ross \\x1b[1m\n").count(), 2, "{tree}");
    let json = shown(&again, &["--json"]);
    assert_eq!(json.matches("\"comment\":\"lost by\\nRoss \\u001b[1m\"").count(), 2, "{json}");
    let json = shown(&again, &["--json", "--anonymize"]);
    assert!(json.contains("\"type\":\"link\"") && !json.contains("Ross"), "{json}");
}

#[test]
fn a_capture_that_cannot_be_written_to_its_end_says_what_it_has() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.pcap");
    let frame = record(0, Direction::ToDevice, Body::Frame(vec![7; 1000].into()));
    write(&path, &vec![frame; 1000]);
    // A pipe whose reader leaves after a while is as good as a disk that is full.
    let pipe = folder.path().join("pipe.pcapng");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
    assert!(made.success());
    let reader = thread::spawn({
        let pipe = pipe.clone();
        move || {
            let mut some = vec![0; 200_000];
            fs::File::open(pipe).and_then(|mut pipe| pipe.read_exact(&mut some)).expect("so much");
        }
    });
    let (code, _, stderr) = decode(&path, &["-w", pipe.to_str().expect("a plain path")]);
    reader.join().expect("it has read");
    assert_eq!(code, Some(3), "{stderr}");
    let (_, rest) = stderr.split_once("it has only the first ").expect("what there is");
    let count: u32 = rest.split(' ').next().and_then(|count| count.parse().ok()).expect("a number");
    assert!((180..1000).contains(&count), "{stderr}");
}

#[test]
fn a_filter_speaks_of_what_was_recorded_and_not_of_what_is_shown_to_others() {
    let (folder, path) = recorded("a.pcapng");
    let all = shown(&path, &["host 192.168.100.2 and icmp"]);
    let masked = shown(&path, &["--anonymize", "host 192.168.100.2 and icmp"]);
    assert!(all.lines().count() > 0 && all.contains("192.168.100.2"));
    assert_eq!(masked.lines().count(), all.lines().count());
    assert!(!masked.contains("192.168.100.2"), "{masked}");
    let out = folder.path().join("out.pcapng");
    let (_, _, stderr) =
        decode(&path, &["--anonymize", "-w", out.to_str().expect("plain"), "arp and not console"]);
    assert!(stderr.contains("passed over by the filter"), "{stderr}");
    let text = shown(&out, &[]);
    assert!(text.contains("ARP") && !text.contains("ICMP") && !text.contains("main: "), "{text}");
}

#[test]
fn console_lines_can_be_chosen_and_left_out() {
    let (_folder, path) = recorded("a.pcapng");
    assert!(shown(&path, &["icmp"]).contains("main: ready"));
    assert!(!shown(&path, &["icmp and not console"]).contains("main: ready"));
    let console = shown(&path, &["console"]);
    assert!(console.contains("main: ready") && !console.contains("ICMP"), "{console}");
}
