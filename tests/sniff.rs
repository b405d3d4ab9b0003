//! sniff on a live line: filters, files that are begun by a timer, what is dropped.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use support::{Process, SOON, run, text, uarttool};

/// The reference device as a process of its own, and its endpoint.
fn device() -> (Process, String) {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        listener.local_addr().expect("an address").port()
    };
    let endpoint = format!("127.0.0.1:{port}");
    let mut command = uarttool();
    let process =
        Process::start(command.args(["sim", "--listen", &format!("tcp-listen:{endpoint}")]));
    process.err.wait_for(0, "listening");
    (process, format!("tcp:{endpoint}"))
}

/// A sniff that holds the line, and is in place.
fn sniff(endpoint: &str, args: &[&str]) -> Process {
    let mut command = uarttool();
    command.args(["sniff", "-d", endpoint]).args(args);
    let process = Process::start(&mut command);
    process.err.wait_for(0, "connected");
    process
}

fn ping(endpoint: &str, count: &str) {
    let output = run(["ping", "-d", endpoint, "-c", count, "-i", "50ms"]);
    assert!(output.status.success(), "{}", text(&output).1);
}

#[test]
fn a_filter_chooses_from_what_both_sides_send() {
    let (_device, endpoint) = device();
    let sniffing = sniff(
        &endpoint,
        &["from", "device", "and", "icmp[icmptype]", "==", "icmp-echoreply", "-c", "3"],
    );
    ping(&endpoint, "3");
    assert!(sniffing.wait(SOON).success());
    let lines = sniffing.stdout();
    assert_eq!(
        lines.lines().filter(|line| line.contains("<- IP") && line.contains("echo reply")).count(),
        3,
        "{lines}"
    );
    assert!(!lines.contains("echo request"), "{lines}");
    assert!(sniffing.stderr().contains(" passed over by the filter"), "{}", sniffing.stderr());
}

#[test]
fn a_bad_filter_is_told_before_anything_is_opened() {
    let output = run(["sniff", "-d", "tcp:127.0.0.1:1", "hots", "192.168.100.2"]);
    let (_, stderr) = text(&output);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("did you mean 'host'"), "{stderr}");
}

#[test]
fn on_an_idle_line_files_are_begun_by_the_timer() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_device, endpoint) = device();
    let out = folder.path().join("out.pcapng");
    let out = out.to_str().expect("a plain path");
    let begun = std::time::Instant::now();
    let sniffing = sniff(&endpoint, &["-w", out, "-G", "1", "-W", "3", "-q"]);
    assert!(sniffing.wait(SOON).success(), "complete after three files");
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(2900) && took < Duration::from_secs(8), "{took:?}");
    let mut names: Vec<_> = fs::read_dir(folder.path()).expect("it is there").flatten().collect();
    names.sort_by_key(fs::DirEntry::file_name);
    let names: Vec<_> =
        names.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(names, ["out-00000.pcapng", "out-00001.pcapng", "out-00002.pcapng"]);
    for name in names {
        let file = folder.path().join(name);
        let output = run(["decode", file.to_str().expect("a plain path")]);
        assert!(output.status.success(), "each is a whole capture");
    }
}

#[test]
fn nothing_is_lost_between_two_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_device, endpoint) = device();
    let out = folder.path().join("out.pcap");
    let sniffing = sniff(
        &endpoint,
        &["-w", out.to_str().expect("a plain path"), "-C", "0.001", "-qq", "icmp"],
    );
    ping(&endpoint, "20");
    assert!(sniffing.interrupt().success());
    let frames = |path: &Path| {
        let output = run(["decode", "-t", path.to_str().expect("a plain path")]);
        text(&output).0.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let files: Vec<_> = fs::read_dir(folder.path()).expect("it is there").flatten().collect();
    let mut all: Vec<String> = files.iter().flat_map(|entry| frames(&entry.path())).collect();
    assert!(files.len() >= 4, "{files:?}");
    assert_eq!(all.len(), 40);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 40, "each once");
}

#[test]
fn every_frame_is_in_the_file_at_once_with_u() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_device, endpoint) = device();
    let out = folder.path().join("out.pcap");
    let sniffing = sniff(&endpoint, &["-w", out.to_str().expect("a plain path"), "-U", "-qq"]);
    ping(&endpoint, "2");
    thread::sleep(Duration::from_millis(100));
    let output = run(["decode", out.to_str().expect("a plain path"), "icmp"]);
    assert_eq!(text(&output).0.lines().count(), 4, "while sniff still runs");
    drop(sniffing);
}

#[test]
fn json_lines_come_as_frames_do() {
    let (_device, endpoint) = device();
    let sniffing = sniff(&endpoint, &["--json", "icmp"]);
    ping(&endpoint, "1");
    sniffing.out.wait_for(0, "\"delay\":0.");
    assert!(sniffing.interrupt().success());
    for line in sniffing.stdout().lines() {
        let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(value["v"], 1);
    }
}

#[test]
fn what_was_dropped_because_nobody_read_makes_it_fail_if_wanted() {
    for (flag, code) in [(&["--fail-on-drop"][..], 1), (&[], 0)] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let endpoint = format!("tcp:{}", listener.local_addr().expect("an address"));
        let mut command = uarttool();
        command.args(["sniff", "-d", &endpoint, "--no-attach"]).args(flag);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let (mut line, _) = listener.accept().expect("it connects");
        let frame =
            [&[0, 60][..], &[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5], &[7; 46]].concat();
        let burst = frame.repeat(1000);
        for _ in 0..60 {
            line.write_all(&burst).expect("it reads"); // and nobody reads its output
        }
        thread::sleep(Duration::from_millis(500));
        let pid = rustix::process::Pid::from_raw(child.id() as i32).expect("a process id");
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
        let mut out = child.stdout.take().expect("it is piped");
        let reader = thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        let mut said = String::new();
        child.stderr.take().expect("it is piped").read_to_string(&mut said).expect("text");
        let status = child.wait().expect("it ends");
        reader.join().expect("no panic").expect("it reads");
        let dropped = said.rsplit(", ").next().unwrap_or_default();
        assert!(dropped.ends_with(" dropped\n") && dropped != "0 dropped\n", "{said}");
        assert_eq!(status.code(), Some(code), "{said}");
        drop(line);
    }
}

#[test]
fn ready_is_said_to_a_socket_as_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("empty.pcap");
    fs::write(&path, b"\x4d\x3c\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\x04\0\x01\0\0\0")
        .expect("written");
    let (mut ours, theirs) = std::os::unix::net::UnixStream::pair().expect("sockets");
    let mut command = uarttool();
    command.args(["sniff", "-qq", "--ready-fd", "0", "-r"]).arg(&path);
    let output = command.stdin(std::os::fd::OwnedFd::from(theirs)).output().expect("it runs");
    assert!(output.status.success(), "{}", text(&output).1);
    let mut said = [0; 6];
    ours.read_exact(&mut said).expect("it said something");
    assert_eq!(&said, b"ready\n");
}

#[test]
fn a_file_is_no_line() {
    let output = run(["sniff", "-r", "a.pcap", "-d", "sim"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).1.contains("'-r' reads a file and '-d' a line"), "{output:?}");
}

#[test]
fn the_kind_of_tap_can_be_chosen() {
    let (_device, endpoint) = device();
    let output = run(["sniff", "-d", &endpoint, "--tap", "attach", "-c", "1"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output).1.contains("no uarttool holds tcp:"), "{}", text(&output).1);

    let holder = sniff(&endpoint, &["-qq", "--tap", "direct"]);
    let mut command = uarttool();
    let watcher =
        Process::start(command.args(["sniff", "-d", &endpoint, "--tap", "attach", "-c", "2"]));
    watcher.err.wait_for(0, "attached to");
    ping(&endpoint, "1");
    assert!(watcher.wait(SOON).success());
    let output = run(["sniff", "-d", &endpoint, "--tap", "direct", "-c", "1"]);
    assert_eq!(output.status.code(), Some(3), "it is held: {}", text(&output).1);
    drop(holder);

    for (args, wanted) in [
        (vec!["--tap", "proxy"], "needs to know where to listen"),
        (vec!["--tap", "direct", "--proxy", "tcp-listen::0"], "is another tap than"),
        (vec!["--tap", "attach", "--no-attach"], "'--no-attach' forbids"),
        (vec!["--tap", "psychic"], "invalid value 'psychic'"),
    ] {
        let output = run([&["sniff", "-d", &endpoint][..], &args].concat());
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(text(&output).1.contains(wanted), "{args:?}: {}", text(&output).1);
    }
}
