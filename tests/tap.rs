//! Linux itself as the peer, through TAP interfaces in network namespaces of our own: real clients
//! against our device, and our host against the kernel's stack.

#![cfg(target_os = "linux")]

mod support;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};

use support::namespace::Namespace;
use support::{Process, SOON, binary, text, uarttool};

const HOST_MAC: &str = "02:00:00:00:00:01";
const DEVICE_MAC: &str = "02:00:00:00:00:02";

/// Our device as the neighbour of a Linux that is the host.
fn device_beside_linux(arguments: &[&str]) -> (Namespace, Process) {
    let host = Namespace::new("sim0", "192.168.100.1", HOST_MAC);
    let listen = ["sim", "--listen", "tap:sim0"];
    let device = Process::start(&mut host.command(&binary(), &[&listen, arguments].concat()));
    device.err.wait_for(0, "connected to tap:sim0");
    (host, device)
}

/// A Linux that is the device.
fn linux_as_device() -> Namespace {
    Namespace::new("lin0", "192.168.100.2", DEVICE_MAC)
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
#[ignore = "needs root, /dev/net/tun, iproute2, curl: scripts/test"]
fn curl_is_served_by_the_reference_device_byte_for_byte() {
    let (host, device) = device_beside_linux(&[]);
    let page = host.curl(&["http://192.168.100.2/"]);
    assert!(String::from_utf8_lossy(&page).contains("<h1>The reference device</h1>"));

    let status = host.curl(&["http://192.168.100.2/status"]);
    let status: Value = serde_json::from_slice(&status).expect("JSON");
    assert_eq!(status["model"], "reference");
    assert_eq!(status["counters"]["http_requests"], 1);

    let pattern = b"uarttool reference device 0123456789 abcdefghijklmnopqrstuvwxyz\n";
    let expected: Vec<u8> = pattern.iter().copied().cycle().take(100_000).collect();
    let blob = host.curl(&["http://192.168.100.2/blob/100000"]);
    assert_eq!((blob.len(), sha256(&blob)), (100_000, sha256(&expected)));

    let body: Vec<u8> =
        (0..200_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("body");
    std::fs::write(&file, &body).expect("it can be written");
    let data = format!("@{}", file.display());
    let answer = host.curl(&["--data-binary", &data, "http://192.168.100.2/upload"]);
    let answer: Value = serde_json::from_slice(&answer).expect("JSON");
    assert_eq!(answer["received"], 200_000);
    assert_eq!(answer["sha256"], Value::String(sha256(&body)));
    assert!(device.interrupt().success(), "{}", device.stderr());
}

#[test]
#[ignore = "needs root, /dev/net/tun, iproute2, curl: scripts/test"]
fn curl_is_served_on_one_connection_on_six_at_once_and_on_twenty_that_we_close() {
    let (host, _device) = device_beside_linux(&[]);
    let urls: Vec<String> =
        (1..=6).map(|n| format!("http://192.168.100.2/blob/{}", n * 3000)).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let connects = ["-w", "%{num_connects} "];
    let one_after_the_other = host.curl(&[&connects[..], &urls].concat());
    let tail = String::from_utf8_lossy(&one_after_the_other).into_owned();
    assert_eq!(one_after_the_other.len(), 63_000 + 6 * 2, "six bodies, six counts");
    assert!(tail.ends_with("0 "), "the connection is kept");
    let at_once = host.curl(&[&["-Z", "--parallel-immediate"], &urls[..]].concat());
    assert_eq!(at_once.len(), 63_000);
    let page = ["http://192.168.100.2/"; 20];
    let closed_by_us = host.curl(&[&["-H", "Connection: close"], &page[..]].concat());
    assert_eq!(String::from_utf8_lossy(&closed_by_us).matches("reference device").count(), 20);
}

#[test]
#[ignore = "needs root, /dev/net/tun, iproute2, iputils-ping: scripts/test"]
fn linux_pings_the_reference_device() {
    let (host, _device) = device_beside_linux(&["--model", "esp32-new"]);
    let output = host.run("ping", &["-c", "3", "-i", "0.2", "-W", "2", "192.168.100.2"]);
    let (stdout, stderr) = text(&output);
    assert!(
        stdout.contains("3 packets transmitted, 3 received, 0% packet loss"),
        "{stdout}{stderr}"
    );
}

#[test]
#[ignore = "needs root, /dev/net/tun, iproute2: scripts/test"]
fn we_ping_linux() {
    let device = linux_as_device();
    let output = device.run(&binary(), &["ping", "-d", "tap:lin0", "-c", "3", "-i", "0.2"]);
    let (stdout, stderr) = text(&output);
    assert!(output.status.success(), "{stdout}{stderr}");
    assert!(stdout.contains("3 packets transmitted, 3 received, 0% packet loss"), "{stdout}");
}

#[test]
#[ignore = "needs root, /dev/net/tun, iproute2: scripts/test"]
fn we_ping_linux_behind_the_driver_of_a_model_with_its_rate_and_its_limit() {
    let device = linux_as_device();
    let ping = |arguments: &[&str]| {
        let endpoint = ["ping", "-d", "sim,stack=tap:lin0,model=esp32-new", "-i", "0.2"];
        let output = device.run(&binary(), &[&endpoint, arguments].concat());
        let (stdout, stderr) = text(&output);
        (output.status.code(), format!("{stdout}{stderr}"))
    };
    let (code, said) = ping(&["-c", "2", "-s", "56"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("2 packets transmitted, 2 received"), "{said}");
    // Two frames of 98 bytes and their headers take 17.4 ms at 115200 baud.
    let fastest = said.split("mdev = ").nth(1).and_then(|rest| rest.split('/').next());
    let fastest: f64 = fastest.and_then(|ms| ms.parse().ok()).expect("a time");
    assert!(fastest >= 17.3, "{said}");

    let (code, said) = ping(&["-c", "1", "-s", "1458"]);
    assert_eq!(code, Some(0), "1500 bytes with the Ethernet header: {said}");
    let (code, said) = ping(&["-c", "1", "-s", "1472"]);
    assert_eq!(code, Some(1), "1514 bytes: {said}");
    assert!(said.contains("1 packets transmitted, 0 received"), "{said}");
}

#[test]
#[ignore = "needs root, /dev/net/tun, iproute2: scripts/test"]
fn an_interface_that_another_holds_or_that_is_none_or_that_goes_away_is_said_so() {
    let (host, device) = device_beside_linux(&[]);
    for (endpoint, sentence) in
        [("tap:sim0", "another program holds the interface"), ("tap:lo", "it is no TAP interface")]
    {
        let output = host.run(&binary(), &["ping", "-d", endpoint, "-c", "1"]);
        assert_eq!(output.status.code(), Some(3), "{}", text(&output).1);
        assert!(text(&output).1.contains(sentence), "{}", text(&output).1);
    }
    host.ip(&["link", "del", "sim0"]);
    assert_eq!(device.wait(SOON).code(), Some(3));
    assert!(device.stderr().contains("the interface sim0 is gone"), "{}", device.stderr());
}

#[test]
#[ignore = "needs root, /dev/net/tun, iproute2: scripts/test"]
fn an_interface_that_is_down_loses_frames_and_is_told_once() {
    let host = linux_as_device();
    let device =
        Process::start(&mut host.command(&binary(), &["ping", "-d", "tap:lin0", "-i", "0.1"]));
    device.out.wait_for(0, "icmp_seq=2");
    host.ip(&["link", "set", "lin0", "down"]);
    device
        .err
        .wait_for(0, "not sent to tap:lin0: the interface is down: 'sudo ip link set lin0 up'");
    std::thread::sleep(Duration::from_millis(500));
    host.ip(&["link", "set", "lin0", "up"]);
    let seen = device.out.len();
    device.out.wait_for(seen, "64 bytes");
    assert_eq!(device.stderr().matches("the interface is down").count(), 1, "{}", device.stderr());
}

#[test]
#[ignore = "needs root, /dev/net/tun, iproute2: scripts/test"]
fn an_interface_that_is_not_there_is_made_and_up_while_it_is_held() {
    let place = linux_as_device();
    let device = Process::start(&mut place.command(&binary(), &["sim", "--listen", "tap:new0"]));
    device.err.wait_for(0, "connected to tap:new0");
    let shown = || Command::new("ip").args(["-n", place.name(), "link", "show", "new0"]).output();
    let shown_now = shown().expect("iproute2 is there");
    assert!(text(&shown_now).0.contains(",UP"), "{}", text(&shown_now).0);
    assert!(device.interrupt().success());
    assert!(!shown().expect("iproute2 is there").status.success(), "it was ours alone");
}

/// Exit code, stdout and stderr of a command beside the Linux that plays the device.
fn beside_gold_linux(script: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(script);
    command.envs(uarttool().get_envs().filter_map(|(name, value)| Some((name, value?))));
    let process = Process::start(command.arg("--").args(arguments));
    let status = process.wait(Duration::from_secs(600));
    (status.code(), process.stdout(), process.stderr())
}

/// The judge's verdicts on Linux have to be those of the ledger: with `--strict`, a change in either
/// direction fails.
fn judge_linux(endpoint: &str, chosen: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/gold-linux");
    let ledger = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/gold-linux/ledger.toml");
    // How fast it is depends on what else this machine does.
    let judge = [&binary(), "conformance", "-d", endpoint, "--strict", "--profile", ledger];
    let judge = [&judge[..], &["-E", "not group:performance"]].concat();
    let (code, said, errors) =
        beside_gold_linux(&script, &[&judge[..], &["--extended", "--order", "1"], chosen].concat());
    assert_eq!(code, Some(0), "{said}{errors}");
    for word in ["INCONCLUSIVE", "ERROR", "FLAKY", "take it off the list"] {
        assert!(!said.contains(word), "{word}: {said}");
    }
    said
}

#[test]
#[ignore = "needs root, /dev/net/tun, iproute2, python3: scripts/test"]
fn linux_behind_a_uart_does_what_its_ledger_says() {
    // The stack's own rules are judged below, where no slow line is between.
    let said = judge_linux("sim,stack=tap:uart0", &["link", "ethernet", "tcp"]);
    let skipped = said.lines().filter(|line| line.trim_start().starts_with("SKIP ["));
    let skipped: Vec<_> = skipped.collect();
    let is_opposite = |line: &&str| line.contains("] fragments.reassembly-off:");
    assert!(skipped.iter().all(is_opposite), "all else can be judged: {skipped:?}");
}

#[test]
#[ignore = "needs root, /dev/net/tun, iproute2, python3: scripts/test"]
fn linux_without_a_uart_does_the_same_but_for_the_line() {
    let said = judge_linux("tap:uart0", &[]);
    let skipped = said.lines().filter(|line| line.trim_start().starts_with("SKIP ["));
    let is_opposite = |line: &&str| line.contains("] fragments.reassembly-off:");
    let skipped: Vec<_> = skipped.filter(|line| !is_opposite(line)).collect();
    assert!(
        skipped
            .iter()
            .all(|line| line.contains("a stream of bytes") || line.contains("link.boot-noise")),
        "{skipped:?}"
    );
}

#[test]
#[ignore = "needs root, /dev/net/tun, iproute2, curl, python3: scripts/test"]
fn gold_linux_answers_the_command_passes_its_status_on_and_leaves_nothing() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/gold-linux");
    let run = |arguments: &[&str]| beside_gold_linux(&script, arguments);
    let (code, said, errors) =
        run(&[&binary(), "ping", "-d", "sim,stack=tap:uart0", "-c", "3", "-i", "0.1"]);
    assert_eq!(code, Some(0), "{said}{errors}");
    assert!(said.contains("3 packets transmitted, 3 received"), "{said}");
    let services = "set -e; curl -sS --fail http://192.168.100.2/blob/70000 | wc -c; \
                    head -c 99 /dev/zero | curl -sS --data-binary @- http://192.168.100.2/upload; \
                    exec 3<>/dev/tcp/192.168.100.2/7; echo echoed >&3; head -n 1 <&3; exit 7";
    let (code, said, errors) = run(&["bash", "-c", services]);
    assert_eq!(code, Some(7), "{said}{errors}");
    assert!(said.contains("70000\n") && said.contains("echoed"), "{said}");
    assert!(said.contains(&sha256(&[0; 99])), "{said}");
    let (code, _, errors) = run(&["/nonexistent"]);
    assert_eq!(code, Some(127), "{errors}");
}
