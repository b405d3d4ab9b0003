//! Requests to the real firmware in QEMU.

mod support;

use std::time::Duration;

use serde_json::json;
use support::firmware::Firmware;
use support::{Process, SOON, lines_with, run, text, uarttool};

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn requests_are_answered_and_measured() {
    let firmware = Firmware::start();
    let http = |args: &[&str]| run([&["http", "-d", &firmware.endpoint], args].concat());
    let output = http(&["-c", "20", "-i", "10ms", "/blob/3000"]);
    let (stdout, stderr) = text(&output);
    assert!(output.status.success(), "{stdout}{stderr}");
    assert!(stdout.contains("20 requests, 20 ok, 0 failed\n"), "{stdout}");
    assert!(stdout.ends_with("body hashes: 1\n"), "{stdout}");
    let data = "x".repeat(5000);
    let output = http(&["/upload", "--data", &data]);
    assert!(output.status.success(), "{}", text(&output).1);
    assert!(text(&output).0.contains("5000"), "{}", text(&output).0);
    let (stdout, stderr) = text(&http(&["-I", "/"]));
    assert!(stdout.starts_with("HTTP/1.1 200 OK\r\n"), "{stdout}{stderr}");
    let output = http(&["/nothing"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output).1);
    assert!(text(&output).1.starts_with("#1 404 Not Found"), "{}", text(&output).1);
    let output = http(&[":81/"]);
    assert!(text(&output).1.contains("the device refuses connections to port 81"));
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn a_device_that_stands_still_is_told_from_one_that_is_slow() {
    let firmware = Firmware::start();
    let many = ["-c", "30", "-i", "100ms", "--stall", "1s", "/blob/3000"];
    let process = Process::start(uarttool().args(["http", "-d", &firmware.endpoint]).args(many));
    process.out.wait_for(0, "#3 200 OK");
    firmware.qmp("stop", json!({}));
    std::thread::sleep(Duration::from_millis(2500));
    firmware.qmp("cont", json!({}));
    assert!(process.wait(SOON).success(), "{}{}", process.stdout(), process.stderr());
    let report = process.stdout();
    assert_eq!(lines_with(&report, " stalled ").len(), 2, "a line and the sum: {report}");
    let stall = lines_with(&report, " stalled ")[0];
    let reasons = ["no answer to our SYN", "and not acknowledged", "sent nothing"];
    assert!(reasons.iter().any(|reason| stall.contains(reason)), "{stall}");
    assert!(report.contains("30 requests, 30 ok, 0 failed, 1 stalled (longest "), "{report}");
}
