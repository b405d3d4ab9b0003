//! What a user reads: help, and the sentence for everything that can go wrong.

mod support;

use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use support::{Process, SOON, run, text, uarttool};

/// Exit code, stdout and stderr in one text, with what differs from run to run made equal.
fn report(command: &mut Command) -> String {
    let process = Process::start(command);
    let status = process.wait(SOON);
    let text = format!(
        "exit code: {}\n--- stdout\n{}--- stderr\n{}",
        status.code().map_or("none".to_owned(), |code| code.to_string()),
        process.stdout(),
        process.stderr()
    );
    text.replace(&format!("(pid {})", std::process::id()), "(pid PID)")
}

fn report_of(args: &[&str]) -> String {
    report(uarttool().args(args))
}

/// A snapshot with ports, process ids and temporary folders made equal.
macro_rules! assert_report {
    ($report:expr) => {
        insta::with_settings!({ filters => vec![
            (r"127\.0\.0\.1:\d{4,5}", "127.0.0.1:PORT"),
            (r"\[::1\]:\d{4,5}", "[::1]:PORT"),
            (r"/tmp/\.tmp[A-Za-z0-9]+", "FOLDER"),
            (r"cli-[0-9a-f]{16}", "TEST"),
        ]}, { insta::assert_snapshot!($report); });
    };
}

/// A port on which nobody listens.
fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    listener.local_addr().expect("an address").port()
}

#[test]
fn help() {
    insta::assert_snapshot!("help", report_of(&["--help"]));
    insta::assert_snapshot!("help-sniff", report_of(&["sniff", "--help"]));
    insta::assert_snapshot!("help-ping", report_of(&["ping", "--help"]));
    insta::assert_snapshot!("help-http", report_of(&["http", "--help"]));
    insta::assert_snapshot!("help-inject", report_of(&["inject", "--help"]));
}

#[test]
fn a_refused_port() {
    let endpoint = format!("tcp:127.0.0.1:{}", closed_port());
    assert_report!(report_of(&["sniff", "-d", &endpoint]));
    assert_report!(report_of(&["ping", "-d", "unix:/nonexistent/uart1.sock"]));
}

#[test]
fn a_held_port_names_the_holder_and_nothing_is_sent() {
    // A listener that accepts one and never a second, as QEMU's character device.
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("an address");
    let holder = std::net::TcpStream::connect(address).expect("a connection");
    let (_served, _) = listener.accept().expect("it is waiting");
    let started = Instant::now();
    let report = report_of(&["ping", "-d", &format!("tcp:{address}"), "-c", "1"]);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert_report!(report);
    let (mut queued, _) = listener.accept().expect("it was waiting");
    let mut bytes = Vec::new();
    queued.read_to_end(&mut bytes).expect("it has left");
    assert_eq!(bytes, b"", "nothing was sent while queued");
    drop(holder);
}

#[test]
fn a_held_unix_socket_does_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("uart1.sock");
    let listener = UnixListener::bind(&path).expect("a listener");
    let _holder = std::os::unix::net::UnixStream::connect(&path).expect("a connection");
    let (_served, _) = listener.accept().expect("it is waiting");
    let report = report_of(&["sniff", "-d", &format!("unix:{}", path.display())]);
    assert_report!(report);
    let (mut queued, _) = listener.accept().expect("it was waiting");
    let mut bytes = Vec::new();
    queued.read_to_end(&mut bytes).expect("it has left");
    assert_eq!(bytes, b"");
}

#[test]
fn bad_endpoints() {
    assert_report!(report_of(&["sniff", "-d", "tpc:127.0.0.1:5556"]));
    assert_report!(report_of(&["ping", "-d", "tcp:127.0.0.1:5556,max-frame=9"]));
    assert_report!(report_of(&["sniff", "-d", "tcp:127.0.0.1:5556", "--proxy", "tcp:h:1"]));
    assert_report!(report_of(&["ping", "-d", "tap:sixteen-bytes-xx"]));
    assert_report!(report_of(&["ping", "-d", "sim,stack=tap:uart0,fault=rx-alias"]));
    assert_report!(report_of(&["sim", "--stack", "sim"]));
}

#[test]
fn bad_flags() {
    assert_report!(report_of(&["sniff", "-w", "5"]));
    assert_report!(report_of(&["ping", "-s", "1473", "-d", "tcp:127.0.0.1:1"]));
    assert_report!(report_of(&["ping", "--device-mac", "2:0"]));
    assert_report!(report_of(&["ping", "-i", "soon"]));
    assert_report!(report_of(&["sniff", "--ready-fd", "77", "-d", "tcp:127.0.0.1:1"]));
}

/// A firmware that is there and says nothing.
fn silent_device() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let endpoint = format!("tcp:{}", listener.local_addr().expect("an address"));
    let accepting = listener.try_clone().expect("a second handle");
    std::thread::spawn(move || {
        let _streams: Vec<_> = accepting.incoming().take(4).collect();
    });
    (listener, endpoint)
}

#[test]
fn a_capture_that_may_not_be_written() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("ours");
    let program = folder.path().join("uarttool");
    std::fs::copy(support::binary(), &program).expect("room for a copy");
    let locked = folder.path().join("locked");
    std::fs::create_dir(&locked).expect("a folder");
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o555)).expect("ours");
    let (_listener, endpoint) = silent_device();
    let mut command = Command::new(&program);
    command.args(["sniff", "-d", &endpoint, "-w"]).arg(locked.join("out.pcapng"));
    command.current_dir("/").env_remove("UARTTOOL_DEVICE");
    command.env("XDG_RUNTIME_DIR", folder.path()); // not the other user's: not used
    if rustix::process::geteuid().is_root() {
        command.uid(65534).gid(65534); // root may write anywhere
    }
    let report = report(&mut command);
    let report = lines_without(&report, "connected to");
    assert_report!(report);
    let missing = folder.path().join("no/such/out.pcap");
    let missing = missing.to_str().expect("UTF-8");
    let report = report_of(&["sniff", "-d", &endpoint, "-w", missing]);
    assert_report!(lines_without(&report, "connected to"));
}

fn lines_without(text: &str, part: &str) -> String {
    text.lines().filter(|line| !line.contains(part)).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_bad_configuration_is_named_and_a_good_one_is_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("uarttool.toml");
    std::fs::write(&file, "[target]\ndevise = \"tcp:127.0.0.1:1\"\n").expect("a file");
    assert_report!(report(uarttool().arg("sniff").current_dir(folder.path())));
    std::fs::write(&file, format!("[target]\ndevice = \"tcp:127.0.0.1:{}\"\n", closed_port()))
        .expect("a file");
    assert_report!(report(uarttool().arg("sniff").current_dir(folder.path())));
    // The environment comes first, and a flag before that.
    let environment = format!("tcp:[::1]:{}", closed_port());
    let mut command = uarttool();
    command.arg("sniff").current_dir(folder.path()).env("UARTTOOL_DEVICE", &environment);
    assert_report!(report(&mut command));
    command.args(["-d", "unix:flag.sock"]);
    assert_report!(report(&mut command));
}

#[test]
fn a_missing_recording_is_an_unreadable_input() {
    assert_report!(report_of(&["sniff", "-d", "file:/nonexistent/raw"]));
}

#[test]
fn a_recording_is_shown_without_times_and_ends_with_success() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("raw");
    let mut stream = vec![0xff, 0xff, 1, 2, 3];
    for n in 0..2 {
        stream.extend([0, 42, 255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 2, 8, 6]);
        stream.extend([0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 2, 192, 168, 100, 2]);
        stream.extend([0, 0, 0, 0, 0, 0, 192, 168, 100, n]);
    }
    stream.extend([0, 98, 1, 2]);
    std::fs::write(&path, stream).expect("a file");
    assert_report!(report_of(&["sniff", "-d", &format!("file:{}", path.display())]));
}

#[test]
fn a_long_recording_loses_nothing_however_slow_its_reader_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("raw");
    let mut frame = vec![0, 42, 255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 2, 8, 6];
    frame.extend([0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 2, 192, 168, 100, 2]);
    frame.extend([0, 0, 0, 0, 0, 0, 192, 168, 100, 9]);
    std::fs::write(&path, frame.repeat(60_000)).expect("a file");
    let script = "\"$0\" sniff -d \"$1\" | { sleep 0.5; wc -l; }";
    let output = Command::new("sh")
        .args(["-c", script, &support::binary(), &format!("file:{}", path.display())])
        .env("XDG_RUNTIME_DIR", support::runtime_folder())
        .output()
        .expect("a shell");
    let (stdout, stderr) = text(&output);
    assert_eq!(stdout.trim(), "60000", "{stderr}");
    assert!(stderr.contains("60000 frames (direction unknown)"), "{stderr}");
    assert!(stderr.contains("0 framing errors, 0 dropped"), "{stderr}");
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("raw");
    let mut frame = vec![0, 20, 255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 2, 0x88, 0xb5];
    frame.extend([0; 6]);
    std::fs::write(&path, frame.repeat(50_000)).expect("a file");
    let script = "{ \"$0\" sniff -d \"$1\"; echo \"exit code $?\" >&2; } | head -n 1";
    let output = Command::new("sh")
        .args(["-c", script, &support::binary(), &format!("file:{}", path.display())])
        .env("XDG_RUNTIME_DIR", support::runtime_folder())
        .output()
        .expect("a shell");
    let (stdout, stderr) = text(&output);
    assert_eq!(stdout.lines().count(), 1);
    assert!(stderr.ends_with("exit code 0\n"), "{stderr}");
    assert!(!stderr.contains("uarttool:"), "{stderr}");
}

#[test]
fn an_interruption_before_there_is_a_result_is_130() {
    let (_listener, endpoint) = silent_device();
    let ping = Process::start(uarttool().args(["ping", "-d", &endpoint, "-W", "30s"]));
    ping.out.wait_for(0, "PING 192.168.100.2");
    assert_eq!(ping.interrupt().code(), Some(130));
    let sniff = Process::start(uarttool().args(["sniff", "-d", &endpoint]));
    sniff.err.wait_for(0, "connected to");
    assert_eq!(sniff.interrupt().code(), Some(0), "a capture that was ended is a capture");
    assert!(sniff.stderr().contains("0 frames"), "{}", sniff.stderr());
}

#[test]
fn waiting_for_an_endpoint_says_so_once_and_finds_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("later.sock");
    let endpoint = format!("unix:{},reconnect=20ms", path.display());
    let sniff = Process::start(uarttool().args(["sniff", "-d", &endpoint]));
    sniff.err.wait_for(0, "waiting for unix:");
    std::thread::sleep(Duration::from_millis(200));
    let listener = UnixListener::bind(&path).expect("a listener");
    let _client = listener.accept().expect("it comes");
    sniff.err.wait_for(0, "connected to unix:");
    assert!(sniff.interrupt().success());
    assert_eq!(sniff.stderr().matches("waiting for").count(), 1, "{}", sniff.stderr());
}

#[test]
fn listeners_bind_to_loopback_and_a_stale_socket_is_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("own.sock");
    drop(UnixListener::bind(&path).expect("a listener")); // leaves its file behind
    assert!(Path::new(&path).exists());
    for endpoint in [format!("unix-listen:{}", path.display()), "tcp-listen::0".to_owned()] {
        let sniff = Process::start(uarttool().args(["sniff", "-d", &endpoint]));
        let said = sniff.err.wait_for(0, "listening on ");
        if endpoint.starts_with("tcp") {
            assert!(said.contains("listening on tcp:127.0.0.1:"), "{said}");
        }
        assert!(sniff.interrupt().success());
    }
    assert!(!path.exists(), "the socket goes away with its owner");
    let file = folder.path().join("file");
    std::fs::write(&file, "precious").expect("a file");
    let output = run(["sniff", "-d", &format!("unix-listen:{}", file.display())]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(std::fs::read_to_string(&file).expect("it is still there"), "precious");
}

#[test]
fn a_third_client_of_a_server_with_a_short_queue_is_told_as_soon() {
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::STREAM,
        None,
    )
    .expect("a socket");
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().expect("an address");
    rustix::net::bind(&socket, &any).expect("a port");
    rustix::net::listen(&socket, 1).expect("a listener"); // QEMU's backlog
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().expect("an address");
    let _holder = std::net::TcpStream::connect(address).expect("a connection");
    let (_served, _) = listener.accept().expect("it is waiting");
    for attempt in 1..=4 {
        let started = Instant::now();
        let report = report_of(&["ping", "-d", &format!("tcp:{address}"), "-c", "1"]);
        let took = started.elapsed();
        assert!(took < Duration::from_secs(2), "attempt {attempt} took {took:?}");
        assert!(report.contains("exit code: 3"), "{report}");
        assert!(report.contains("is held by cli-"), "attempt {attempt}: {report}");
    }
}

#[test]
fn who_waits_for_a_held_port_waits_in_its_queue_and_is_served_in_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("an address");
    let holder = std::net::TcpStream::connect(address).expect("a connection");
    let (served, _) = listener.accept().expect("it is waiting");
    let endpoint = format!("tcp:{address},reconnect=50ms");
    let sniff = Process::start(uarttool().args(["sniff", "-d", &endpoint]));
    sniff.err.wait_for(0, "waiting for tcp:");
    std::thread::sleep(Duration::from_millis(500));
    drop((holder, served));
    let (_now_served, _) = listener.accept().expect("it has waited");
    sniff.err.wait_for(0, "connected to tcp:");
    listener.set_nonblocking(true).expect("a socket");
    assert!(listener.accept().is_err(), "it has queued once only");
    assert!(sniff.interrupt().success());
    assert_eq!(sniff.stderr().matches("waiting for").count(), 1, "{}", sniff.stderr());
}

#[test]
fn a_full_disk_leaves_a_capture_that_opens_and_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let raw = folder.path().join("raw");
    let mut frame = vec![0, 60, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5];
    frame.resize(62, 7);
    std::fs::write(&raw, frame.repeat(40_000)).expect("a file");
    let capture = folder.path().join("full.pcap");
    // A file size limit of 1 MiB fails in the middle of a write, as a full disk does.
    let script = "trap '' XFSZ; ulimit -f 1024; exec \"$0\" sniff -qq -d \"$1\" -w \"$2\"";
    let output = Command::new("bash")
        .args(["-c", script, &support::binary(), &format!("file:{}", raw.display())])
        .arg(&capture)
        .output()
        .expect("a shell");
    let (_, stderr) = text(&output);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("cannot write to"), "{stderr}");
    let length = std::fs::metadata(&capture).expect("there is one").len();
    assert!(length > 900_000, "{length} bytes");
    assert_eq!((length - 24) % 76, 0, "whole packets of 16 + 60 bytes behind the header of 24");
}

#[test]
fn a_ping_that_nobody_answers_in_time_fails() {
    let (_listener, endpoint) = silent_device();
    let output = run(["ping", "-d", &endpoint, "-c", "1", "--deadline", "300ms"]);
    assert_eq!(output.status.code(), Some(1));
    let (stdout, _) = text(&output);
    assert!(stdout.contains("1 packets transmitted, 0 received, 100% packet loss"), "{stdout}");
}

#[test]
fn a_capture_goes_on_under_nohup() {
    let (_listener, endpoint) = silent_device();
    let script = "trap '' HUP; exec \"$0\" sniff -d \"$1\"";
    let sniff =
        Process::start(Command::new("sh").args(["-c", script, &support::binary(), &endpoint]));
    sniff.err.wait_for(0, "connected to");
    sniff.signal(rustix::process::Signal::HUP);
    std::thread::sleep(Duration::from_millis(200));
    assert!(sniff.interrupt().success(), "it was still there");
}

#[test]
fn a_second_listener_on_the_same_socket_leaves_the_first_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let endpoint = format!("unix-listen:{}", folder.path().join("own.sock").display());
    let first = Process::start(uarttool().args(["sniff", "-d", &endpoint]));
    first.err.wait_for(0, "listening on");
    let output = run(["sniff", "-d", &endpoint]);
    assert_eq!(output.status.code(), Some(3));
    std::thread::sleep(Duration::from_millis(100));
    assert!(!first.stderr().contains("connected"), "{}", first.stderr());
    assert!(first.interrupt().success());
}

#[test]
fn a_server_that_closes_at_once_is_not_called_held() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let endpoint = format!("tcp:{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let output = run(["ping", "-d", &endpoint, "-c", "1"]);
    let (_, stderr) = text(&output);
    assert_eq!(output.status.code(), Some(3));
    assert!(!stderr.contains("held") && stderr.contains("went away"), "{stderr}");
}

#[test]
fn a_report_that_cannot_be_written_is_an_error_and_one_that_nobody_reads_can_be_interrupted() {
    let output = Command::new("sh")
        .args(["-c", "\"$0\" ping -d sim -c 2 -i 10ms > /dev/full", &support::binary()])
        .output()
        .expect("a shell");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output).1);
    let mut stuck = uarttool();
    stuck.args(["ping", "-d", "sim", "-i", "200us"]);
    let (_reader, writer) = std::io::pipe().expect("a pipe");
    let mut child = stuck.stdout(writer).spawn().expect("it starts");
    std::thread::sleep(Duration::from_millis(1500)); // its pipe is full by now
    for _ in 0..2 {
        let pid = rustix::process::Pid::from_raw(child.id() as i32).expect("a process id");
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it is there");
        std::thread::sleep(Duration::from_millis(100));
    }
    let deadline = Instant::now() + SOON;
    while child.try_wait().expect("a child").is_none() {
        assert!(Instant::now() < deadline, "two signals do not end it");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_capture_of_nothing_is_a_capture() {
    let (_listener, endpoint) = silent_device();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("empty.pcap");
    let output = run([
        "sniff",
        "-d",
        &format!("unix:{}/not-there,reconnect=50ms", folder.path().display()),
        "--duration",
        "200ms",
        "-w",
        path.to_str().expect("UTF-8"),
    ]);
    assert!(output.status.success(), "{}", text(&output).1);
    assert_eq!(std::fs::metadata(&path).expect("there is one").len(), 24);
    drop(endpoint);
}

#[test]
fn a_server_that_lets_in_and_out_again_is_asked_at_the_stated_pace() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let endpoint = format!("tcp:{},reconnect=300ms", listener.local_addr().expect("an address"));
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let output = run(["sniff", "-d", &endpoint, "--duration", "1s"]);
    let (stdout, stderr) = text(&output);
    assert!(output.status.success(), "{stderr}");
    let attempts = stdout.matches("link lost").count();
    assert!((2..=5).contains(&attempts), "{attempts} connections in a second: {stdout}");
}
