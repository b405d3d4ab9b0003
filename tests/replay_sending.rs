//! What `replay` sends, and how it leaves, seen from the other end of the line.

mod support;

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use support::replaying::*;
use support::{Process, lines_with, run, text, uarttool};
use uarttool::craft::layers::{Ipv4, Tcp};

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

/// A ping of identifier 7, or its answer.
fn echo(kind: u8, sequence: u8) -> Frame {
    let mut message = vec![kind, 0, 0, 0, 0, 7, 0, sequence];
    let sum = uarttool::checksum::internet(&message).to_be_bytes();
    message[2..4].copy_from_slice(&sum);
    if kind == 8 { to_device(1, &message) } else { from_device(1, &message) }
}

/// A device that answers pings and echoes datagrams.
fn answering() -> Far {
    Far::new(|frame| match (frame[23], frame[34]) {
        (1, 8) => vec![echo(0, frame[41])],
        (17, _) => vec![answered(7, &frame[42..])],
        _ => Vec::new(),
    })
}

#[test]
fn a_part_of_questions_that_overlap_has_its_own_answers() {
    let folder = Folder::new();
    let pings = [(0, echo(8, 1)), (1, echo(8, 2)), (2, echo(0, 1)), (3, echo(0, 2))];
    let pings = folder.write("pings.pcap", 1, &pings);
    let datagrams =
        [(0, asked(7, b"a")), (1, asked(7, b"b")), (2, answered(7, b"a")), (3, answered(7, b"b"))];
    let datagrams = folder.write("datagrams.pcap", 1, &datagrams);
    for capture in [pings, datagrams] {
        for (part, answers) in
            [(["-c", "1"], 1), (["--from-frame", "2"], 1), (["-c", "2"], 2), (["-l", "2"], 4)]
        {
            let output = replay(&capture, &answering(), &[&part[..], &["--expect"]].concat());
            let (stdout, _) = text(&output);
            assert_eq!(output.status.code(), Some(0), "{part:?}: {stdout}");
            assert!(stdout.contains(&format!("answers: {answers} as recorded")), "{stdout}");
        }
    }
}

#[test]
fn a_server_answers_from_the_port_of_today() {
    let folder = Folder::new();
    let (one, two) = (b"\0\x03\0\x01data", b"\0\x03\0\x02more");
    let packets = [
        (0, asked(69, b"\0\x01file\0octet\0")),
        (1, answered(5000, one)),
        (2, asked(5000, b"\0\x04\0\x01")),
        (3, answered(5000, two)),
        (4, asked(5000, b"\0\x04\0\x02")),
    ];
    let capture = folder.write("tftp.pcap", 1, &packets);
    let far = Far::new(|frame| match (&frame[36..38], frame[43], frame.get(45)) {
        ([0, 69], ..) => vec![answered(6123, one)],
        ([0x17, 0xeb], 4, Some(1)) => vec![answered(6123, two)],
        _ => Vec::new(),
    });
    let output = replay(&capture, &far, &["--expect", "--timeout", "500ms"]);
    let (stdout, _) = text(&output);
    assert_eq!(output.status.code(), Some(0), "{stdout}");
    assert_eq!(far.wait_for(3)[1..], [asked(6123, b"\0\x04\0\x01"), asked(6123, b"\0\x04\0\x02")]);
}

#[test]
fn what_is_said_of_silence_helps() {
    let folder = Folder::new();
    let mut tagged = echo(8, 1);
    tagged.splice(12..12, [0x81, 0, 0, 5]);
    let mut broadcast = asked(67, b"who am I?");
    broadcast[..6].fill(255);
    broadcast[30..34].fill(255);
    for (frame, part) in [(tagged, "has the tag of VLAN 5"), (broadcast, "")] {
        let capture = folder.write("silent.pcap", 1, &[(0, frame)]);
        let (stdout, _) = text(&replay(&capture, &Far::mute(), &[]));
        assert_eq!(stdout.contains("nothing came back"), !part.is_empty(), "{stdout}");
        assert!(stdout.contains(part), "{stdout}");
    }
    let packets = [(0, echo(8, 1)), (1, echo(0, 1)), (2, echo(8, 2)), (3, echo(0, 2))];
    let capture = folder.write("late.pcap", 1, &packets);
    let far = Far::new(|frame| {
        std::thread::sleep(Duration::from_millis(400));
        vec![echo(0, frame[41])]
    });
    let (stdout, _) = text(&replay(&capture, &far, &["--timeout", "300ms", "--expect"]));
    assert!(stdout.contains("; once they came late, behind '--timeout'\n"), "{stdout}");
}

#[test]
fn of_two_boards_in_one_capture_one_can_be_chosen() {
    let folder = Folder::new();
    let mut packets = Vec::new();
    let mut numbers = [[1000; 2]; 2];
    let mut say = |at: u32, board: usize, from_host: bool, flags: u8, data: &[u8]| {
        let (peer, side) = (50000 + board as u16, usize::from(!from_host));
        let (from, to) = if from_host { (peer, 5556) } else { (5556, peer) };
        let [seq, ack] = [numbers[board][side], numbers[board][1 - side]];
        let ends = Ipv4Addr::LOCALHOST;
        let segment = Tcp { seq, ack, flags, window: 4096, ..Tcp::new(from, to) };
        let packet = Ipv4::new(ends, ends, 6).packet(&segment.segment(ends, ends, data));
        numbers[board][side] += data.len() as u32 + u32::from(flags & SYN > 0);
        packets.push((at, ethernet(HOST_MAC, DEVICE_MAC, 0x0800, &packet)));
    };
    for board in 0..2 {
        say(board as u32, board, true, SYN, b"");
        say(board as u32, board, false, SYN | ACK, b"");
    }
    for n in 0..4 {
        let board = n % 2;
        let frame = echo(8, n as u8);
        let bytes = [&(frame.len() as u16).to_be_bytes()[..], &frame].concat();
        say(10 + n as u32, board, true, ACK, &bytes);
    }
    let capture = folder.write("boards.pcap", 1, &packets);
    let far = Far::mute();
    let (_, stderr) = text(&replay(&capture, &far, &["-t"]));
    assert!(
        stderr.contains("connections 1 and 2 of the capture were there at the same time"),
        "{stderr}"
    );
    assert_eq!(far.wait_for(4).len(), 4);
    let far = Far::mute();
    let (_, stderr) = text(&replay(&capture, &far, &["-t", "--connection", "2"]));
    assert!(!stderr.contains("at the same time"), "{stderr}");
    assert_eq!(far.wait_for(2), [echo(8, 1), echo(8, 3)]);
}
