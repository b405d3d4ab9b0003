//! The real firmware under `uarttool conformance --launch`: lwIP in QEMU, judged from outside. What it
//! does otherwise stands in a ledger; with `--strict` a change in either direction fails here.

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::processes::{is_there, kill, qemus_below};
use support::{Process, assert_wireshark_is_happy, tshark, uarttool};

/// How long all tests of a tier take, and a half more.
const LONG: Duration = Duration::from_secs(300);

fn repository(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).display().to_string()
}

/// The command that is the device.
fn launch(variant: &str) -> String {
    let script = repository("scripts/firmware-run");
    format!("'{script}' --variant {variant} --console unix:{{console}} --tunnel unix:{{tunnel}}")
}

/// A running judge of that variant of the firmware.
fn start(variant: &str, args: &[&str]) -> Process {
    let launch = launch(variant);
    let own = ["conformance", "--launch", &launch, "--wait", "60s"];
    Process::start(uarttool().args(own).args(args))
}

/// Exit code and stdout.
fn judge(variant: &str, args: &[&str]) -> (Option<i32>, String) {
    let judge = start(variant, args);
    let status = judge.wait(LONG);
    (status.code(), judge.stdout())
}

/// Whether the run has judged everything, and all that it found stands in the ledger.
fn assert_as_in_the_ledger(variant: &str, ledger: &str, args: &[&str]) {
    let profile = repository(ledger);
    // How fast it is depends on what else this machine does.
    let own = ["--strict", "--profile", &profile, "-E", "not group:performance"];
    let (code, stdout) = judge(variant, &[&own, args].concat());
    assert_eq!(code, Some(0), "{stdout}");
    for word in ["INCONCLUSIVE", "ERROR", "FLAKY", "take it off the list"] {
        assert!(!stdout.contains(word), "{word}: {stdout}");
    }
    // The ledger says which of the two kinds of devices it is.
    let skipped = stdout.lines().filter(|line| line.trim_start().starts_with("SKIP ["));
    let others: Vec<_> = skipped.filter(|line| !line.contains("] fragments.")).collect();
    assert!(others.is_empty(), "{others:?}: {stdout}");
    assert!(stdout.contains("known to deviate"), "{stdout}");
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn the_firmware_does_what_its_ledger_says() {
    assert_as_in_the_ledger("plain", "fixtures/firmware/ledger-plain.toml", &["--order", "1"]);
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn its_performance_is_what_the_line_lets_through_side_by_side() {
    let (code, stdout) = judge("plain", &["performance"]);
    assert_eq!(code, Some(0), "{stdout}");
    let measured = stdout.split("\nmeasured\n").nth(1).expect("what was measured");
    assert!(measured.contains("goodput") && measured.contains("rtt56-p50"), "{measured}");
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn in_another_order_it_does_the_same() {
    assert_as_in_the_ledger("plain", "fixtures/firmware/ledger-plain.toml", &["--order", "2"]);
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn with_the_options_of_esp_idf_it_does_what_that_ledger_says_in_every_tier_but_the_longest() {
    let ledger = "fixtures/firmware/ledger-esp-idf.toml";
    assert_as_in_the_ledger("esp-idf", ledger, &["--extended", "--order", "3"]);
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn without_a_ledger_its_author_is_told_what_is_wrong_and_shown_the_frames() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().to_str().expect("a plain path");
    let tests = ["link.max-frame", "ipv4.src-loopback", "link.boot-noise", "icmp.echo-basic"];
    let (code, stdout) = judge("plain", &[&tests[..], &["--artifacts", out]].concat());
    assert_eq!(code, Some(1), "{stdout}");
    assert!(stdout.contains("set the interface's MTU to 1486"), "{stdout}");
    for (name, result) in tests.iter().zip(["FAIL", "FAIL", "PASS", "PASS"]) {
        let is_it = |line: &&str| line.trim_start().starts_with(result) && line.ends_with(name);
        assert!(stdout.lines().any(|line| is_it(&line)), "{result} {name}: {stdout}");
    }
    let kept = folder.path().join("ipv4.src-loopback.pcapng");
    assert_wireshark_is_happy(&kept);
    let commented = tshark(&kept, &["-Y", "frame.comment", "-T", "fields", "-e", "ip.dst"]);
    assert_eq!(commented.trim(), "127.0.0.1", "the reply that should not be");
    let console = std::fs::read_to_string(folder.path().join("console.log")).expect("a log");
    // Its first lines may come before anybody listens.
    let boots = console.matches("main: ready").count();
    assert_eq!(boots, 2, "link.boot-noise has started it again: {console}");
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn when_qemu_dies_the_test_that_ran_fails_and_the_rest_is_judged() {
    let judge = start("plain", &["link", "--order", "fixed", "--max-frame", "1500"]);
    judge.out.wait_for(0, "PASS");
    for pid in qemus_below(judge.id()) {
        kill(pid);
    }
    let status = judge.wait(LONG);
    let stdout = judge.stdout();
    assert_eq!(status.code(), Some(1), "{stdout}");
    assert!(stdout.contains("ended with exit status 137 (as by SIGKILL)"), "{stdout}");
    let failed = stdout.lines().filter(|line| line.trim_start().starts_with("FAIL ["));
    assert_eq!(failed.count(), 1, "{stdout}");
    assert!(!stdout.contains("INCONCLUSIVE"), "{stdout}");
}

/// The firmware, whose console gets the command `crash` when the file GO is there.
const CRASHING: &str = r#"#!/bin/sh
inner=$(dirname "$UARTTOOL_CONSOLE")/inner.sock
'RUN' --console "unix:$inner" --tunnel "unix:$UARTTOOL_TUNNEL" &
while [ ! -S "$inner" ]; do sleep 0.05; done
say() { while [ ! -e 'GO' ]; do sleep 0.05; done; echo crash; sleep 600; }
say | socat - "UNIX-CONNECT:$inner" | socat -u - "UNIX-LISTEN:$UARTTOOL_CONSOLE"
"#;

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn a_crash_fails_the_test_that_ran_in_the_console_s_own_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let (script, go) = (folder.path().join("run.sh"), folder.path().join("go"));
    let text = CRASHING.replace("RUN", &repository("scripts/firmware-run"));
    let text = text.replace("GO", go.to_str().expect("a plain path"));
    std::fs::write(&script, text).expect("written");
    let tests = ["link.partial-body-timeout", "link.noise-then-silence", "icmp.echo-basic"];
    let mut command = uarttool();
    command.args(["conformance", "--wait", "60s", "--order", "fixed", "--launch-file"]);
    let judge = Process::start(command.arg(&script).args(tests));
    judge.out.wait_for(0, "PASS");
    std::fs::write(&go, "").expect("written");
    let status = judge.wait(LONG);
    let stdout = judge.stdout();
    assert_eq!(status.code(), Some(1), "{stdout}");
    assert!(stdout.contains("actual its console says: Guru Meditation Error"), "{stdout}");
    let failed = stdout.lines().filter(|line| line.trim_start().starts_with("FAIL ["));
    assert_eq!(failed.count(), 1, "{stdout}");
    let passes = stdout.lines().any(|line| line.contains("PASS") && line.contains("echo-basic"));
    assert!(passes, "it is judged again when it is back: {stdout}");
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn interrupted_or_killed_it_leaves_no_machine_behind() {
    for (signal, code) in [(Signal::INT, Some(130)), (Signal::KILL, None)] {
        let judge = start("plain", &["link", "--order", "fixed", "--max-frame", "1500"]);
        judge.out.wait_for(0, "Starting");
        let machines = qemus_below(judge.id());
        assert_eq!(machines.len(), 1, "a machine runs");
        judge.signal(signal);
        assert_eq!(judge.wait(Duration::from_secs(10)).code(), code);
        let started = Instant::now();
        while machines.iter().any(|pid| is_there(*pid)) {
            assert!(started.elapsed() < Duration::from_secs(5), "QEMU is left after {signal:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn the_launched_command_is_that_of_the_readme() {
    let readme = std::fs::read_to_string(repository("README.md")).expect("a README");
    let command = "--launch 'scripts/firmware-run --console unix:{console} --tunnel unix:{tunnel}'";
    assert!(readme.contains(command), "README.md shows another: {command}");
}
