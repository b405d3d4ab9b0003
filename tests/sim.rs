//! The reference device as users meet it: inside other commands, and on its own.

mod support;

use std::process::Command;

use support::{Process, lines_with, run, text, uarttool};

/// A running `sim` and the endpoint it listens at.
fn sim(args: &[&str]) -> (Process, String) {
    let listen = ["sim", "--listen", "tcp-listen:127.0.0.1:0"];
    let process = Process::start(uarttool().args(listen).args(args));
    let said = process.err.wait_for(0, "reference device, model");
    let address = said.split("listening on ").nth(1).and_then(|rest| rest.lines().next());
    (process, address.expect("an address").to_owned())
}

#[test]
fn ping_works_at_once() {
    let output = run(["ping", "-d", "sim", "-c", "3", "-i", "0.1"]);
    let (stdout, stderr) = text(&output);
    assert!(output.status.success(), "{stderr}");
    assert!(stdout.contains("3 packets transmitted, 3 received, 0% packet loss"), "{stdout}");
}

#[test]
fn the_limit_of_the_esp32_models_is_found_and_explained() {
    let sweep = ["--sweep", "1456..1461", "-i", "0.3", "-q"];
    let output = run([&["ping", "-d", "sim,model=esp32-new"], &sweep[..]].concat());
    let (stdout, _) = text(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout.contains("no reply to data sizes 1459-1461"), "{stdout}");
    assert!(stdout.contains("set its MTU to 1486"), "{stdout}");
}

#[test]
fn a_fault_by_name_or_id_makes_the_ping_fail() {
    for fault in ["icmp-twice", "F11"] {
        let endpoint = format!("sim,fault={fault}");
        let output = run(["ping", "-d", &endpoint, "-c", "3", "-i", "0.1"]);
        let (stdout, _) = text(&output);
        assert_eq!(output.status.code(), Some(1), "{stdout}");
        assert!(stdout.contains("(DUP!)") && stdout.contains("duplicates"), "{stdout}");
    }
    for bad in ["sim,fault=nonsense", "sim,model=nonsense", "sim,line-rate=3", "sim:5"] {
        let output = run(["ping", "-d", bad, "-c", "1"]);
        let (_, stderr) = text(&output);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains("bad endpoint"), "{stderr}");
    }
}

#[test]
fn on_its_own_it_serves_one_host_after_the_other_and_is_seen_through_a_proxy() {
    let (device, endpoint) = sim(&[]);
    let tap = Process::start(uarttool().args([
        "sniff",
        "-d",
        &endpoint,
        "--proxy",
        "tcp-listen:127.0.0.1:0",
    ]));
    let said = tap.err.wait_for(0, "connected to");
    let near = said.split("listening on ").nth(1).and_then(|rest| rest.lines().next());
    for _ in 0..2 {
        let output = run(["ping", "-d", near.expect("an address"), "-c", "5", "-i", "10ms"]);
        assert!(output.status.success(), "{}", text(&output).0);
    }
    assert!(tap.interrupt().success());
    assert_eq!(lines_with(&tap.stdout(), "ICMP echo reply").len(), 10, "{}", tap.stdout());
    assert!(tap.stderr().contains("0 framing errors, 0 dropped"), "{}", tap.stderr());
    assert!(device.interrupt().success());
}

#[test]
fn it_also_connects_to_a_host_that_listens() {
    let tap = Process::start(uarttool().args(["sniff", "-d", "tcp-listen:127.0.0.1:0", "-c", "1"]));
    let said = tap.err.wait_for(0, "listening on ");
    let address = said.split("listening on ").nth(1).and_then(|rest| rest.lines().next());
    let device = Process::start(uarttool().args(["sim", "--listen", address.expect("an address")]));
    assert!(tap.wait(support::SOON).success(), "the device announces itself: {}", tap.stderr());
    assert_eq!(device.wait(support::SOON).code(), Some(3), "and its host has gone");
    assert!(device.stderr().contains("went away"), "{}", device.stderr());
}

#[test]
fn its_console_is_an_endpoint_and_tells_of_bad_frames_and_of_its_death() {
    let console = tempfile::tempdir().expect("a folder");
    let socket = console.path().join("console.sock");
    let listen = format!("unix-listen:{}", socket.display());
    let (_device, endpoint) = sim(&["--console", &listen, "--fault", "zero-option-kills"]);
    let reader = format!("unix:{}", socket.display());
    let tap = Process::start(
        uarttool()
            .args(["sniff", "-d", &endpoint, "--proxy", "tcp-listen:127.0.0.1:0"])
            .args(["--console", &reader]),
    );
    tap.out.wait_for(0, ":: I (0) main: ready");
    let said = tap.err.wait_for(0, "listening on tcp:");
    let near = said.split("listening on tcp:").nth(1).and_then(|rest| rest.lines().next());
    let mut host = std::net::TcpStream::connect(near.expect("an address")).expect("the proxy");
    std::io::Write::write_all(&mut host, &[0xff, 0xff]).expect("it takes bytes");
    tap.out.wait_for(0, "netif_uart_tunnel: Invalid frame length");
    let mut kill =
        vec![0, 58, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 44, 0, 2, 0, 0];
    kill.extend([64, 6, 0x31, 0x76, 192, 168, 100, 1, 192, 168, 100, 2, 0x9c, 0x40, 0, 80]);
    kill.extend([0, 0, 3, 0xe8, 0, 0, 0, 0, 0x60, 2, 0x10, 0, 0, 0, 0, 0, 0x42, 0, 0, 0]);
    std::io::Write::write_all(&mut host, &kill).expect("it takes bytes");
    tap.out.wait_for(0, "!! panic: Guru Meditation Error");
    assert!(tap.interrupt().success());
    assert!(tap.stderr().contains("1 panic"), "{}", tap.stderr());
}

#[test]
fn faults_and_models_are_listed() {
    let output = run(["sim", "--list-faults"]);
    let (stdout, _) = text(&output);
    assert!(output.status.success());
    insta::assert_snapshot!(stdout);
}

#[test]
fn help_names_it() {
    let output = Command::new(support::binary()).args(["sim", "--help"]).output().expect("it runs");
    insta::assert_snapshot!(text(&output).0);
}
