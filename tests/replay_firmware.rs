//! Conversations with the real firmware in QEMU, recorded and sent again.

mod support;

use std::path::Path;

use support::firmware::{Firmware, Setup};
use support::{run, text};

/// Records what a command says to the firmware.
fn record(firmware: &Firmware, args: &[&str], path: &Path) {
    let more = ["-d", &firmware.endpoint, "-w", path.to_str().expect("a path")];
    let output = run([args, &more[..]].concat());
    assert!(output.status.success(), "{}", text(&output).1);
}

/// Replays it; the exit code and the report.
fn replay(firmware: &Firmware, path: &Path) -> (Option<i32>, String) {
    let path = path.to_str().expect("a path");
    let output = run(["replay", path, "-d", &firmware.endpoint, "--expect", "-q"]);
    (output.status.code(), text(&output).0)
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn the_same_firmware_answers_as_recorded() {
    let folder = tempfile::tempdir().expect("a folder");
    let (page, blob, ping) = (
        folder.path().join("a.pcapng"),
        folder.path().join("b.pcapng"),
        folder.path().join("c.pcapng"),
    );
    let firmware = Firmware::start();
    record(&firmware, &["http", "-c", "2", "-i", "100ms", "/"], &page);
    record(&firmware, &["http", "/blob/30000"], &blob);
    record(&firmware, &["ping", "-c", "5", "-i", "20ms"], &ping);
    // At once, while the device remembers the connections.
    let (code, report) = replay(&firmware, &page);
    assert_eq!(code, Some(0), "{report}");
    assert!(report.contains("2 connections as recorded, "), "{report}");
    drop(firmware);
    let firmware = Firmware::start();
    for path in [&page, &blob, &ping] {
        let (code, report) = replay(&firmware, path);
        assert_eq!(code, Some(0), "{report}");
    }
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn another_firmware_answers_otherwise_and_it_is_said_where() {
    let folder = tempfile::tempdir().expect("a folder");
    let status = folder.path().join("status.pcapng");
    let firmware = Firmware::start();
    record(&firmware, &["http", "/status"], &status);
    drop(firmware);
    let firmware = Firmware::start_with(&Setup { variant: "esp-idf", ..Setup::default() });
    let (code, report) = replay(&firmware, &status);
    assert_eq!(code, Some(1), "{report}");
    assert!(report.contains("192.168.100.2.80 differs behind "), "{report}");
    let lines: Vec<&str> = report.lines().collect();
    let at = lines.iter().position(|line| line.starts_with("    expected  ")).expect("a diff");
    assert!(lines[at + 1].starts_with("    actual    "), "{report}");
    assert!(report.contains("2 different in TCP"), "{report}");
}
