//! Requests through the tunnel: against the built-in device, alone and beside other uarttools.

mod support;

use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use support::{Process, SOON, lines_with, run, text, uarttool};

/// What blobs are made of.
const PATTERN: &str = "uarttool reference device 0123456789 abcdefghijklmnopqrstuvwxyz\n";

/// The bytes of `/blob/N`.
fn blob(n: usize) -> Vec<u8> {
    PATTERN.bytes().cycle().take(n).collect()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `uarttool http -d DEVICE ARGS`.
fn http(device: &str, args: &[&str]) -> Output {
    run([&["http", "-d", device], args].concat())
}

/// A running `sim` and the endpoint it listens at.
fn sim(args: &[&str]) -> (Process, String) {
    let listen = ["sim", "--listen", "tcp-listen:127.0.0.1:0"];
    let process = Process::start(uarttool().args(listen).args(args));
    let said = process.err.wait_for(0, "reference device, model");
    let address = said.split("listening on ").nth(1).and_then(|rest| rest.lines().next());
    (process, address.expect("an address").to_owned())
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it ended by itself")
}

/// The JSON objects on stdout.
fn objects(output: &Output) -> Vec<serde_json::Value> {
    let (stdout, _) = text(output);
    stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn a_single_request_gives_the_body_as_curl_does() {
    let output = http("sim", &["/status"]);
    let (stdout, stderr) = text(&output);
    assert_eq!(code(&output), 0, "{stderr}");
    let status: serde_json::Value = serde_json::from_str(&stdout).expect("JSON and nothing else");
    assert_eq!(status["device"], "uarttool reference device");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with(&format!("#1 200 OK {} bytes, first byte ", stdout.len())));
    let digest = sha256(&output.stdout);
    assert!(stderr.contains(&format!(", sha256 {}..", &digest[..16])), "{stderr}");
    let quiet = http("sim", &["/blob/5000", "-q"]);
    assert_eq!((quiet.stdout, text(&http("sim", &["/", "-q"])).1), (blob(5000), String::new()));
}

#[test]
fn bodies_and_heads_go_where_they_are_wanted() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("body");
    let output = http("sim", &["-o", &file.to_string_lossy(), "/blob/3000"]);
    let (stdout, stderr) = text(&output);
    assert_eq!((code(&output), stderr.as_str()), (0, ""));
    assert!(stdout.starts_with("#1 200 OK 3000 bytes"), "{stdout}");
    assert_eq!(std::fs::read(&file).expect("a body"), blob(3000));
    let (stdout, stderr) = text(&http("sim", &["-I", "/blob/7"]));
    assert!(stdout.starts_with("HTTP/1.1 200 OK\r\n"), "{stdout}");
    assert!(
        stdout.to_lowercase().contains("content-length: 7\r\n") && stdout.ends_with("\r\n\r\n"),
        "{stdout}"
    );
    assert!(stderr.starts_with("#1 200 OK 0 bytes"), "{stderr}");
}

#[test]
fn twenty_requests_have_their_lines_and_sums() {
    let output = http("sim", &["-c", "20", "-i", "10ms", "/blob/300"]);
    let (stdout, stderr) = text(&output);
    assert_eq!(code(&output), 0, "{stderr}");
    assert_eq!(lines_with(&stdout, " 200 OK 300 bytes, first byte ").len(), 20, "{stdout}");
    assert_eq!(lines_with(&stdout, &sha256(&blob(300))[..16]).len(), 20, "{stdout}");
    let sums = stdout.split("--- GET http://192.168.100.2/blob/300 ---\n").nth(1).expect("sums");
    assert!(sums.starts_with("20 requests, 20 ok, 0 failed\nfirst byte min/p50/p90/p99/max = "));
    assert!(sums.ends_with(" ms\nbody hashes: 1\n"), "{sums}");
    assert!(!stdout.contains("changed"), "{stdout}");
    let (stdout, _) = text(&http("sim", &["-c", "2", "-i", "10ms", "-q", "/blob/300"]));
    assert!(!stdout.contains('#') && stdout.contains("2 requests, 2 ok"), "{stdout}");
}

#[test]
fn a_body_that_changes_is_pointed_out() {
    let (stdout, _) = text(&http("sim", &["-c", "2", "-i", "10ms", "/status"]));
    assert_eq!(lines_with(&stdout, ", changed since #1").len(), 1, "{stdout}");
    assert!(stdout.ends_with("body hashes: 2\n"), "{stdout}");
}

#[test]
fn a_connection_is_kept_when_that_is_wanted() {
    for (flags, wanted) in
        [(&[][..], "\"connections\":3,"), (&["--keep-alive"], "\"connections\":1,")]
    {
        let folder = tempfile::tempdir().expect("a folder");
        let capture = folder.path().join("c.pcapng");
        let capture = capture.to_string_lossy();
        let args = ["-c", "3", "-i", "50ms", "-w", &capture, "/status"];
        let output = http("sim", &[&args, flags].concat());
        assert_eq!(code(&output), 0, "{}", text(&output).1);
        let (shown, _) = text(&run(["decode", &capture, "-A"]));
        assert!(shown.contains(wanted), "{wanted} in {shown}");
    }
}

#[test]
fn what_is_sent_arrives() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("data");
    std::fs::write(&file, blob(20_000)).expect("a file");
    for (data, bytes) in
        [(format!("@{}", file.display()), blob(20_000)), ("a=1&b".to_owned(), b"a=1&b".to_vec())]
    {
        let output = http("sim", &["/upload", "--data", &data]);
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(answer["received"], bytes.len());
        assert_eq!(answer["sha256"], sha256(&bytes));
    }
    let put = http("sim", &["PUT", "/upload", "--data", "x"]);
    assert!(text(&put).1.starts_with("#1 405 Method Not Allowed"), "{}", text(&put).1);
    assert_eq!(code(&put), 1);
}

#[test]
fn what_is_not_good_ends_with_1() {
    let output = http("sim", &["/nothing"]);
    let (stdout, stderr) = text(&output);
    assert_eq!((code(&output), stdout.as_str()), (1, "there is no such page\n"));
    assert!(stderr.starts_with("#1 404 Not Found 22 bytes"), "{stderr}");
    let output = http("sim", &[":81/"]);
    let (_, stderr) = text(&output);
    assert_eq!(code(&output), 1);
    assert!(stderr.starts_with("#1 failed after "), "{stderr}");
    assert!(stderr.ends_with(": the device refuses connections to port 81\n"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[test]
fn objects_for_programs_tell_the_same() {
    let output = http("sim", &["--json", "-c", "2", "-i", "10ms", "/nothing"]);
    let objects = objects(&output);
    assert_eq!((objects.len(), code(&output)), (2, 1));
    let second = &objects[1];
    assert_eq!(
        (&second["v"], &second["type"], &second["number"]),
        (&1.into(), &"request".into(), &2.into())
    );
    assert_eq!(
        (&second["status"], &second["ok"], &second["bytes"]),
        (&404.into(), &false.into(), &22.into())
    );
    assert_eq!(second["sha256"], sha256(b"there is no such page\n"));
    assert!(second["total_ms"].as_f64() >= second["first_byte_ms"].as_f64());
    assert!(second["error"].is_null() && second["stall_reason"].is_null());
}

#[test]
fn nobody_who_answers_is_a_timeout_with_its_reason() {
    let began = Instant::now();
    let args = ["--timeout", "1500ms", "--json", ":81/"];
    let output = http("sim,fault=closed-silent", &args);
    assert!(began.elapsed() < Duration::from_secs(10));
    let object = &objects(&output)[0];
    assert_eq!((code(&output), &object["error"]), (1, &"timed out: nothing moved for 1.5s".into()));
    let reason = object["stall_reason"].as_str().unwrap_or_default();
    assert!(reason.starts_with("no answer to our SYN, sent "), "{reason}");
    let output = http("sim", &["-m", "700ms", "--timeout", "5s", "/blob/10000000", "-q"]);
    let (_, stderr) = text(&output);
    assert_eq!(code(&output), 1);
    assert!(stderr.contains(" bytes, then failed after "), "{stderr}");
    assert!(stderr.ends_with("timed out after 700ms\n"), "{stderr}");
}

#[test]
fn bytes_that_are_lost_and_not_sent_again_are_named() {
    let device = "sim,fault=loses-frames,fault=data-once";
    let args = ["-c", "1", "--stall", "300ms", "--timeout", "1s", "-v", "/blob/300000"];
    let output = http(device, &args);
    let (stdout, stderr) = text(&output);
    assert_eq!(code(&output), 1, "{stdout}{stderr}");
    let stall = lines_with(&stdout, "#1 stalled 1.");
    assert_eq!(stall.len(), 1, "{stdout}");
    let named = stall[0].contains(" were lost, and not sent again")
        || stall[0].contains("sent nothing after our ACK");
    assert!(named, "{stdout}");
    assert!(stdout.contains("-> IP 192.168.100.1."), "the last packets: {stdout}");
    assert!(stdout.contains("1 failed, 1 stalled (longest 1."), "{stdout}");
}

#[test]
fn a_proxy_in_the_environment_is_not_asked() {
    let mut command = uarttool();
    command.args(["http", "-d", "sim", "/blob/10"]);
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        command.env(name, "http://127.0.0.1:1");
    }
    let process = Process::start(&mut command);
    assert!(process.wait(SOON).success(), "{}", process.stderr());
    assert_eq!(process.out.bytes(), blob(10));
}

#[test]
fn a_tunnel_that_is_not_there_and_wrong_usage() {
    let output = http("tcp:127.0.0.1:1", &["/"]);
    assert_eq!(code(&output), 3, "{}", text(&output).1);
    for (args, wanted) in [
        (&["https://192.168.100.2/"][..], "wants TLS, which uarttool does not speak"),
        (&["-X", "PUT", "GET", "/"], "the method is given twice"),
        (&["-c", "2", "-o", "x", "/"], "cannot be used with"),
        (&["-w", "-", "-o", "-", "/"], "cannot both be stdout"),
        (&["--data", "@/nowhere/at/all", "/"], "cannot read '/nowhere/at/all'"),
        (&["-H", "nonsense", "/"], "is no header line"),
        (&["-o", "/nowhere/at/all", "/"], "cannot write '/nowhere/at/all'"),
    ] {
        let output = http("sim", args);
        let (_, stderr) = text(&output);
        assert_eq!(code(&output), 2, "{stderr}");
        assert!(stderr.contains(wanted), "{stderr}");
    }
}

#[test]
fn it_goes_through_whoever_holds_the_line() {
    let (_device, endpoint) = sim(&[]);
    for holder in ["bridge", "sniff"] {
        let holding = Process::start(uarttool().args([holder, "-d", &endpoint]));
        holding.err.wait_for(0, if holder == "bridge" { "device " } else { "connected to" });
        let output = http(&endpoint, &["-c", "5", "-i", "10ms", "-v", "/blob/5000"]);
        let (stdout, stderr) = text(&output);
        assert_eq!(code(&output), 0, "{holder}: {stdout}{stderr}");
        assert!(stderr.contains(&format!("attached to uarttool {holder} (")), "{stderr}");
        assert!(stdout.contains("5 requests, 5 ok"), "{stdout}");
        assert_eq!(lines_with(&stdout, &sha256(&blob(5000))).len(), 5, "{stdout}");
        assert!(holding.interrupt().success(), "{}", holding.stderr());
    }
}

#[test]
fn a_capture_has_both_directions() {
    let folder = tempfile::tempdir().expect("a folder");
    let capture = folder.path().join("http.pcapng");
    let capture = capture.to_string_lossy();
    let output = http("sim", &["-w", &capture, "/blob/10"]);
    assert_eq!(code(&output), 0, "{}", text(&output).1);
    let (shown, _) = text(&run(["decode", &capture]));
    assert!(shown.contains("-> IP 192.168.100.1.") && shown.contains("<- IP 192.168.100.2.80"));
    let ends = lines_with(&shown, "Flags [F.]").len();
    assert!(ends >= 2, "the connection ends in order: {shown}");
}

#[test]
fn a_file_is_left_alone_until_there_is_a_response() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("body");
    std::fs::write(&file, "precious").expect("there is room");
    let name = file.to_string_lossy();
    for (device, code_wanted, path) in [("tcp:127.0.0.1:1", 3, "/"), ("sim", 1, ":81/")] {
        let output = http(device, &["-o", &name, path]);
        assert_eq!(code(&output), code_wanted, "{}", text(&output).1);
        assert_eq!(std::fs::read(&file).expect("it is there"), b"precious", "{device}");
    }
    assert_eq!(code(&http("sim", &["-o", &name, "/blob/5"])), 0);
    assert_eq!(std::fs::read(&file).expect("it is there"), blob(5));
}

/// What a shell says of `script`, in which `$0` is our binary.
fn shell(script: &str) -> Output {
    let mut command = std::process::Command::new("bash");
    command.env("XDG_RUNTIME_DIR", support::runtime_folder()).env_remove("UARTTOOL_DEVICE");
    command.args(["-c", script, &support::binary()]).output().expect("bash is there")
}

#[test]
fn a_body_that_nobody_reads_is_no_whole_one() {
    let read = r#""$0" http -d sim /blob/3000000 | head -c 5; exit ${PIPESTATUS[0]}"#;
    let output = shell(read);
    let (stdout, stderr) = text(&output);
    assert_eq!((code(&output), stdout.as_str()), (1, &PATTERN[..5]), "{stderr}");
    assert!(!stderr.contains("sha256"), "{stderr}");
    assert!(stderr.ends_with(": whoever reads the body has left\n"), "{stderr}");
    let lines = r#""$0" http -d sim -c 100 -i 10ms /nope 2>&1 | head -2; exit ${PIPESTATUS[0]}"#;
    let output = shell(lines);
    let (stdout, _) = text(&output);
    assert_eq!((code(&output), stdout.lines().count()), (1, 2), "{stdout}");
    let good = r#""$0" http -d sim -c 100 -i 10ms / 2>/dev/null | head -2; exit ${PIPESTATUS[0]}"#;
    assert_eq!(code(&shell(good)), 0);
}

/// The names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    entries
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn an_interruption_tells_what_there_is_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let start = |device: &str, args: &[&str]| {
        let mut command = uarttool();
        command.args(["http", "-d", device]).args(args).env("TMPDIR", folder.path());
        Process::start(&mut command)
    };
    let many = start("sim", &["-i", "100ms", "/blob/10"]);
    many.out.wait_for(0, "#3 200 OK");
    let inside = names(folder.path());
    assert!(inside.len() == 1 && inside[0].starts_with("uarttool-http-"), "{inside:?}");
    assert_eq!(many.interrupt().code(), Some(0));
    assert!(many.stdout().contains(" ok, 0 failed\n"), "{}", many.stdout());
    let silent = start("sim,fault=closed-silent", &["-v", "--stall", "100ms", ":81/"]);
    silent.err.wait_for(0, "learned");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(silent.interrupt().code(), Some(130), "{}", silent.stderr());
    let stderr = silent.stderr();
    assert!(
        stderr.contains("#1 failed after ") && stderr.contains(" ms: interrupted\n"),
        "{stderr}"
    );
    assert!(lines_with(&stderr, "#1 stalled 0.").len() == 1, "{stderr}");
    assert!(stderr.contains("no answer to our SYN"), "{stderr}");
    let measured = start("sim,fault=closed-silent", &["-c", "3", "--stall", "100ms", ":81/"]);
    measured.err.wait_for(0, "learned");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(measured.interrupt().code(), Some(130), "{}", measured.stderr());
    let stdout = measured.stdout();
    assert!(stdout.contains("0 requests, 0 ok, 0 failed, 1 broken off\n"), "{stdout}");
    let refused = start("sim", &[":81/"]);
    assert_eq!(refused.wait(SOON).code(), Some(1));
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn a_line_that_goes_away_is_told_and_ends_with_3() {
    let (device, endpoint) = sim(&[]);
    let process =
        Process::start(uarttool().args(["http", "-d", &endpoint, "-c", "2", "/blob/10000000"]));
    process.err.wait_for(0, "learned");
    std::thread::sleep(Duration::from_millis(200));
    assert!(device.interrupt().success());
    assert_eq!(process.wait(SOON).code(), Some(3), "{}", process.stderr());
    assert!(process.stdout().contains(": the tunnel went away\n"), "{}", process.stdout());
    assert!(process.stdout().contains("1 request, 0 ok, 1 failed"), "{}", process.stdout());
    assert!(process.stderr().contains("went away: "), "{}", process.stderr());
}
