//! Impaired lines as users meet them.

mod support;

use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Process, lines_with, run, text, uarttool};

/// The requests that were answered, out of ping's report.
fn answered(stdout: &str) -> Vec<u32> {
    let number = |line: &str| line.split("icmp_seq=").nth(1)?.split(' ').next()?.parse().ok();
    stdout.lines().filter(|line| line.contains(" ttl=")).filter_map(number).collect()
}

#[test]
fn a_ping_loses_what_the_seed_says() {
    let ping = |endpoint: &str| {
        let output = run(["ping", "-d", endpoint, "-c", "50", "-i", "0.01", "-W", "0.5"]);
        let (stdout, stderr) = text(&output);
        assert_eq!(output.status.code(), Some(1), "{stdout}{stderr}");
        (answered(&stdout), stderr)
    };
    let (first, stderr) = ping("sim,to-device.drop=20%,seed=1");
    assert!(stderr.contains("impaired to the device: drop 20%; seed=1"), "{stderr}");
    let lost = 50 - first.len();
    assert!(
        stderr.contains(&format!("impaired to the device: 50 frames, {lost} dropped")),
        "{stderr}"
    );
    assert!(!stderr.contains("from the device"), "{stderr}");
    assert!((3..20).contains(&lost), "{lost}");
    let lost: Vec<u32> = (1..=50).filter(|n| !first.contains(n)).collect();
    insta::assert_snapshot!(format!("{lost:?}"), @"[2, 8, 13, 20, 24, 25, 26, 29, 30, 33, 39]");
    let (again, _) = ping("sim,to-device.drop=20%,seed=1,to-device.delay=5ms");
    assert_eq!(again, first, "a delay changes nothing about that");
    let (other, _) = ping("sim,to-device.drop=20%,seed=2");
    assert_ne!(other, first);
}

#[test]
fn conformance_gets_to_its_tests_over_a_line_that_loses_a_fifth() {
    for seed in [2, 6, 10, 13, 16] {
        let endpoint = format!("sim,drop=20%,seed={seed}");
        let (stdout, stderr) = text(&run(["conformance", "-d", &endpoint, "arp.request-unicast"]));
        assert!(stdout.contains("frames of up to 151"), "{seed}: {stdout}{stderr}");
        assert!(!stderr.contains("before the first test"), "{seed}: {stderr}");
    }
}

#[test]
fn without_a_seed_one_is_chosen_and_said() {
    let output = run(["ping", "-d", "sim,drop=100%", "-c", "1", "-W", "0.1"]);
    let (_, stderr) = text(&output);
    let said = lines_with(&stderr, "impaired both ways: drop 100%; seed=");
    let seed = said.first().and_then(|line| line.split("seed=").nth(1));
    assert!(seed.is_some_and(|seed| seed.parse::<u64>().is_ok()), "{stderr}");
}

#[test]
fn what_cannot_be_is_said_in_a_sentence() {
    for (endpoint, part) in [
        ("sim,drop=5", "drop '5' is not a share of the frames such as 1% or 0.01"),
        ("sim,to-device.delay=soon", "delay 'soon' has no unit of time"),
        ("tcp:h:1,stall=1s", "stall '1s' does not say how often"),
        ("unix:a,seed=x", "seed 'x' is not a number"),
        ("unix:a,drops=1%", "there is no option 'drops'"),
        ("file:a,drop=1%", "'drop=1%' impairs a line, and a recorded file is none"),
    ] {
        let output = run(["ping", "-d", endpoint, "-c", "1"]);
        let (_, stderr) = text(&output);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.starts_with("uarttool: bad endpoint") && stderr.contains(part), "{stderr}");
    }
    let proxy = ["--proxy", "tcp-listen:127.0.0.1:0,drop=1%"];
    let output = run([&["sniff", "-d", "sim"], &proxy[..]].concat());
    let (_, stderr) = text(&output);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("impair the line itself: '-d ENDPOINT,drop=1%'"), "{stderr}");
}

/// The built-in device behind a port, and its endpoint.
fn sim(options: &str) -> (Process, String) {
    let listen = format!("tcp-listen:127.0.0.1:0{options}");
    let process = Process::start(uarttool().args(["sim", "--listen", &listen]));
    let said = process.err.wait_for(0, "reference device, model");
    let address = said.split("listening on ").nth(1).and_then(|rest| rest.lines().next());
    (process, address.expect("an address").to_owned())
}

#[test]
fn a_proxy_impairs_what_its_client_sends_and_shows_what_went() {
    let (_device, endpoint) = sim("");
    let tap = Process::start(uarttool().args([
        "sniff",
        "-d",
        &format!("{endpoint},to-device.drop=30%,from-device.dup=100%,seed=5"),
        "--proxy",
        "tcp-listen:127.0.0.1:0",
    ]));
    let said = tap.err.wait_for(0, "connected to");
    let near = said.split("listening on ").nth(1).and_then(|rest| rest.lines().next());
    let near = near.expect("an address");
    let ping = ["-c", "20", "-i", "10ms", "-W", "0.5", "--no-attach"];
    let output = run([&["ping", "-d", near], &ping[..]].concat());
    let (stdout, stderr) = text(&output);
    let replies = answered(&stdout);
    assert!(tap.interrupt().success());
    let (shown, said) = (tap.stdout(), tap.stderr());
    let lost = lines_with(&shown, "!! impaired: dropped -> IP").len();
    assert!((1..20).contains(&lost), "{shown}");
    assert_eq!(replies.len(), 2 * (20 - lost), "{stdout}{stderr}");
    assert_eq!(lines_with(&shown, "ICMP echo reply").len(), 2 * (20 - lost), "{shown}");
    assert_eq!(lines_with(&shown, "(impaired: sent a second time)").len(), 20 - lost, "{shown}");
    assert_eq!(
        lines_with(&shown, " -> IP").len(),
        20,
        "the dropped ones are shown as such: {shown}"
    );
    assert!(said.contains(&format!("impaired to the device: 20 frames, {lost} dropped")), "{said}");
    assert!(said.contains(&format!("frames, {} doubled", 20 - lost)), "{said}");
    assert!(said.contains("0 framing errors, 0 dropped"), "{said}");
}

#[test]
fn the_line_of_a_device_of_ours_can_be_bad_and_others_cannot_impair_a_line_that_is_held() {
    let (device, endpoint) = sim(",from-device.drop=100%");
    let output = run(["ping", "-d", &endpoint, "-c", "3", "-i", "10ms", "-W", "0.2"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(device.interrupt().success());
    assert!(device.stderr().contains("impaired from the device: drop 100%"), "{}", device.stderr());
    assert!(
        device.stderr().contains("impaired from the device: 3 frames, 3 dropped")
            || device.stderr().contains("impaired from the device: 4 frames, 4 dropped"),
        "{}",
        device.stderr()
    );
    let (_device, endpoint) = sim("");
    let holder = Process::start(uarttool().args(["sniff", "-d", &endpoint]));
    holder.err.wait_for(0, "connected to");
    let impaired = format!("{endpoint},drop=1%");
    let output = run(["ping", "-d", &impaired, "-c", "1"]);
    let (_, stderr) = text(&output);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("holds the line") && stderr.contains("cannot impair"), "{stderr}");
}

#[test]
fn those_who_are_attached_share_the_impaired_line() {
    let (_device, endpoint) = sim("");
    let impaired = format!("{endpoint},to-device.drop=50%,seed=9");
    let holder = Process::start(uarttool().args(["sniff", "-d", &impaired]));
    holder.err.wait_for(0, "connected to");
    let watcher = Process::start(uarttool().args(["sniff", "-d", &endpoint, "--json"]));
    watcher.err.wait_for(0, "attached to");
    let output = run(["ping", "-d", &endpoint, "-c", "20", "-i", "10ms", "-W", "0.5"]);
    let replies = answered(&text(&output).0).len();
    assert!((1..20).contains(&replies), "{}", text(&output).0);
    assert!(watcher.interrupt().success() && holder.interrupt().success());
    for (shown, lost) in [
        (holder.stdout(), "!! impaired: dropped -> IP"),
        (watcher.stdout(), "\"type\":\"impaired\""),
    ] {
        assert_eq!(lines_with(&shown, lost).len(), 20 - replies, "{shown}");
    }
}

#[test]
fn conformance_fails_on_a_lossy_line_in_virtual_time() {
    let tests = ["conformance", "-d", "sim,drop=10%,seed=4", "icmp", "--order", "fixed"];
    let output = run(tests);
    let (stdout, stderr) = text(&output);
    assert_eq!(output.status.code(), Some(1), "{stdout}{stderr}");
    let failed = |stdout: &str| -> Vec<String> {
        lines_with(stdout, "FAIL [").into_iter().map(str::to_owned).collect()
    };
    let again = run(tests);
    assert!(!failed(&stdout).is_empty(), "{stdout}{stderr}");
    assert_eq!(failed(&stdout), failed(&text(&again).0), "the same seed, the same losses");
    let good = run(["conformance", "-d", "sim,drop=0%,delay=1ms", "icmp", "--order", "fixed"]);
    assert!(good.status.success(), "{}{}", text(&good).0, text(&good).1);
}

#[test]
fn what_was_read_back_is_what_was_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let capture = folder.path().join("out.pcapng");
    let capture = capture.to_str().expect("text");
    let endpoint = "sim,drop=20%,corrupt=20%,truncate=10%,seed=3";
    run(["ping", "-d", endpoint, "-c", "20", "-i", "10ms", "-W", "0.2", "-q", "-w", capture]);
    let output = run(["decode", capture, "--json"]);
    let (stdout, _) = text(&output);
    let records: Vec<Value> =
        stdout.lines().map(|line| serde_json::from_str(line).expect("json")).collect();
    let of = |kind: &str| records.iter().filter(|r| r["type"] == kind).cloned().collect::<Vec<_>>();
    let lost = of("impaired");
    assert!(!lost.is_empty(), "{stdout}");
    assert!(lost.iter().all(|r| r["summary"].as_str().is_some_and(|s| s.contains("dropped"))));
    let touched = of("frame").into_iter().filter(|r| r["comment"].is_string()).count();
    assert!(touched > 0, "{stdout}");
    let hidden = folder.path().join("hidden.pcapng");
    let hidden = hidden.to_str().expect("text");
    assert!(run(["decode", capture, "--anonymize", "-w", hidden, "-qq"]).status.success());
    let (stdout, _) = text(&run(["decode", hidden]));
    assert_eq!(lines_with(&stdout, "impaired: dropped").len(), lost.len(), "{stdout}");
    assert!(!stdout.contains("192.168.100"), "{stdout}");
}

#[test]
fn what_is_sent_is_paced_to_the_line_that_the_user_knows() {
    let (_device, endpoint) = sim("");
    let ping = |endpoint: &str| {
        let started = Instant::now();
        let output =
            run(["ping", "-d", endpoint, "-c", "4", "-i", "1ms", "-s", "500", "--no-attach"]);
        assert!(output.status.success(), "{}", text(&output).1);
        started.elapsed()
    };
    // Three frames of 542 bytes and their lengths go before the fourth, all but 5 ms of them.
    let line_time = Duration::from_secs_f64(3.0 * 544.0 * 10.0 / 9600.0) - Duration::from_millis(5);
    assert!(ping(&endpoint) < line_time);
    assert!(ping(&format!("{endpoint},line-rate=9600")) >= line_time);
}
