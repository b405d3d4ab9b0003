//! Linux's own stack as the device, by IPv6: ping, segments, datagrams, and frames as text.

#![cfg(target_os = "linux")]

mod support;

use std::process::Command;

use support::{binary, text};

/// A network namespace in which a Linux with one TAP interface is the device.
struct Linux(String);

/// Its link-local address, of 02:00:00:00:00:02.
const ADDRESS: &str = "fe80::ff:fe00:2";

impl Linux {
    fn new(name: &str) -> Linux {
        let own = Linux(format!("uarttool-{}-{name}", std::process::id()));
        ip(&["netns", "add", &own.0]);
        // Its address is its own at once: nobody else is there who could have it.
        let at_once = "net.ipv6.conf.default.accept_dad=0";
        own.run("sysctl", &["-q", "-w", at_once]);
        own.run("ip", &["tuntap", "add", "dev", "six0", "mode", "tap"]);
        own.run("ip", &["link", "set", "six0", "address", "02:00:00:00:00:02"]);
        own.run("ip", &["addr", "add", "192.168.100.2/24", "dev", "six0"]);
        own.run("ip", &["link", "set", "six0", "up"]);
        own
    }

    fn run(&self, program: &str, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0, program]).args(arguments);
        let output = command.output().expect("iproute2 is there");
        let (out, err) = text(&output);
        (output.status.code(), out + &err)
    }

    fn uarttool(&self, arguments: &[&str]) -> (Option<i32>, String) {
        self.run(&binary(), &[arguments, &["-d", "tap:six0", "--no-attach"]].concat())
    }
}

impl Drop for Linux {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().expect("iproute2 is there");
    assert!(output.status.success(), "ip {arguments:?}: {}", text(&output).1);
}

#[test]
#[ignore = "needs root, /dev/net/tun, iproute2, procps: scripts/test"]
fn linux_is_pinged_by_ipv6() {
    let linux = Linux::new("ping");
    let (code, said) = linux.uarttool(&["ping", "-6", "-c", "3", "-i", "0.2"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("PING {ADDRESS} (02:00:00:00:00:02)")), "{said}");
    assert!(said.contains("3 packets transmitted, 3 received, 0% packet loss"), "{said}");
    let sizes = ["ping", ADDRESS, "--sweep", "0..1452/121", "-i", "10ms", "-t", "7"];
    let (code, said) = linux.uarttool(&sizes);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("13 packets transmitted, 13 received"), "{said}");
    let (code, said) = linux.uarttool(&["ping", "fe80::77", "-c", "1", "-W", "100ms"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("fe80::77 does not answer"), "{said}");
}

#[test]
#[ignore = "needs root, /dev/net/tun, iproute2, procps: scripts/test"]
fn ports_of_linux_answer_by_ipv6() {
    let linux = Linux::new("ports");
    let (code, said) = linux.uarttool(&["inject", "tcp", ADDRESS, "--port", "81"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("81/tcp closed: RST-ACK in "), "{said}");
    let (code, said) = linux.uarttool(&["inject", "udp", ADDRESS, "--port", "9", "--data", "x"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("9/udp refused: ") && said.contains("port"), "{said}");
}

#[test]
#[ignore = "needs root, /dev/net/tun, iproute2, procps: scripts/test"]
fn linux_answers_frames_that_are_written_as_text() {
    let linux = Linux::new("text");
    // The interface has a carrier only now: the first frame may be there before Linux answers on it.
    let twice = ["-c", "2", "-i", "300ms", "-W", "500ms"];
    let raw = |frame: &str| linux.uarttool(&[&["inject", "raw", frame], &twice[..]].concat());
    let (code, said) = raw("icmp/\"hello\"");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("<- IP 192.168.100.2 > 192.168.100.1: ICMP echo reply"), "{said}");
    for frame in [
        "ip6/icmp6/pattern(100)",
        "ip6/dstopt/icmp6/pattern(9)",
        "ip6/hbh(option.padn=0x0000)/icmp6",
        "ip6/fragment/icmp6",
    ] {
        let (code, said) = raw(frame);
        assert_eq!(code, Some(0), "{frame}: {said}");
        assert!(said.contains("<- ") && said.contains("echo reply"), "{frame}: {said}");
    }
    let (_, said) = raw("icmp6(type=135)");
    assert!(said.contains("neighbor advertisement"), "{said}");
}
