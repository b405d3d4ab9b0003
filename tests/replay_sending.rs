//! What `replay` sends, and how it leaves, seen from the other end of the line.

mod support;

use std::time::{Duration, Instant};

use support::replaying::*;
use support::{Process, lines_with, run, text, uarttool};

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
