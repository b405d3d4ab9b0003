//! Captures of other lines, sent again: who is who in them, and what becomes of their addresses and checksums.

mod support;

use std::net::{Ipv4Addr, Ipv6Addr};

use pnet::util::MacAddr;
use support::replaying::*;
use support::{run, text};
use uarttool::checksum::Sum;
use uarttool::craft::layers::{Ipv4, Udp};

const OTHER_HOST: (Ipv4Addr, MacAddr) = (Ipv4Addr::new(10, 0, 0, 1), MacAddr(0, 1, 2, 3, 4, 1));
const OTHER_DEVICE: (Ipv4Addr, MacAddr) = (Ipv4Addr::new(10, 0, 0, 2), MacAddr(0, 1, 2, 3, 4, 2));

/// A datagram between two of another line.
fn elsewhere(from: (Ipv4Addr, MacAddr), to: (Ipv4Addr, MacAddr), ports: (u16, u16)) -> Frame {
    let datagram = Udp::new(ports.0, ports.1).datagram(from.0, to.0, b"hello");
    ethernet(from.1, to.1, 0x0800, &Ipv4::new(from.0, to.0, 17).packet(&datagram))
}

/// An IPv6 packet with an echo message.
fn six(from: &str, to: &str, kind: u8) -> Vec<u8> {
    let [from, to] = [from, to].map(|ip| ip.parse::<Ipv6Addr>().expect("an address"));
    let mut message = vec![kind, 0, 0, 0, 0, 7, 0, 1];
    let sum = Sum::pseudo_v6(from, to, 58, 8).plus(&message).finish().to_be_bytes();
    message[2..4].copy_from_slice(&sum);
    let mut packet = vec![0x60, 0, 0, 0, 0, 8, 58, 64];
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend(message);
    packet
}

#[test]
fn of_ipv6_packets_without_a_header_only_the_hosts_are_sent() {
    let folder = Folder::new();
    let packets = [(0, six("fd00::1", "fd00::2", 128)), (9, six("fd00::2", "fd00::1", 129))];
    let capture = folder.write("six.pcap", 101, &packets);
    let far = Far::mute();
    let output = replay(&capture, &far, &["--timeout", "100ms"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output).1);
    let got = far.wait_for(1);
    assert_eq!((got.len(), got[0][..12].to_vec()), (1, vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]));
    assert_eq!(got[0][54], 128);
}

#[test]
fn an_ipv6_address_says_who_the_device_was() {
    let folder = Folder::new();
    let packets = [
        (0, six("fd00::7", "fd00::2", 128)),
        (1, six("fd00::2", "fd00::7", 128)),
        (2, six("fd00::1", "fd00::2", 128)),
    ];
    let capture = folder.write("six.pcap", 101, &packets);
    let far = Far::mute();
    let more = ["--device-ip", "fd00::2", "--device-ip", "192.168.100.9", "--timeout", "100ms"];
    let output = replay(&capture, &far, &more);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output).1);
    assert_eq!(far.wait_for(2).len(), 2);
    let twice = ["--device-ip", "fd00::2", "--device-ip", "fd00::3"];
    let output = replay(&capture, &far, &twice);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).1.contains("'--device-ip' is given twice"), "{}", text(&output).1);
}

#[test]
fn the_only_two_ends_of_another_line_are_those_of_this_one() {
    let folder = Folder::new();
    let packets = [
        (0, elsewhere(OTHER_HOST, OTHER_DEVICE, (40000, 7))),
        (5, elsewhere(OTHER_DEVICE, OTHER_HOST, (7, 40000))),
    ];
    let capture = folder.write("other.pcap", 1, &packets);
    let far = Far::new(|_| vec![answered(7, b"hello")]);
    let output = replay(&capture, &far, &["--expect", "--ignore", "ipv4.ttl"]);
    let (stdout, stderr) = text(&output);
    assert_eq!(output.status.code(), Some(0), "{stdout}{stderr}");
    assert!(
        stderr.contains("10.0.0.1 is taken for the host and sent as 192.168.100.1"),
        "{stderr}"
    );
    assert_eq!(far.got(), [asked(7, b"hello")]);

    let far = Far::mute();
    replay(&capture, &far, &["--keep-addresses", "--no-wait", "--device-ip", "10.0.0.2"]);
    assert_eq!(far.wait_for(1), [packets[0].1.clone()]);
    // A filter is about the addresses of the capture.
    let far = Far::mute();
    replay(&capture, &far, &["--timeout", "100ms", "host", "10.0.0.2", "and", "udp"]);
    assert_eq!(far.wait_for(1), [asked(7, b"hello")]);
}

#[test]
fn three_ends_are_sent_as_they_are() {
    let folder = Folder::new();
    let third = (Ipv4Addr::new(10, 0, 0, 3), MacAddr(0, 1, 2, 3, 4, 3));
    let packets = [
        (0, elsewhere(OTHER_HOST, OTHER_DEVICE, (40000, 7))),
        (1, elsewhere(OTHER_DEVICE, OTHER_HOST, (7, 40000))),
        (2, elsewhere(third, OTHER_DEVICE, (40000, 7))),
    ];
    let capture = folder.write("three.pcap", 1, &packets);
    let far = Far::mute();
    let (_, stderr) = text(&replay(&capture, &far, &["--no-wait"]));
    assert!(!stderr.contains("taken for"), "{stderr}");
    assert_eq!(far.wait_for(3).len(), 3);
    assert_eq!(far.got()[2], packets[2].1);
}

#[test]
fn checksums_that_a_card_would_have_filled_in_are_and_others_stay() {
    let folder = Folder::new();
    let good = asked(7, b"hello");
    let mut left = good.clone();
    let partial = !Sum::pseudo(HOST, DEVICE, 17, 13).finish();
    left[40..42].copy_from_slice(&partial.to_be_bytes());
    let mut wrong = good.clone();
    wrong[40] ^= 0x11;
    let capture = folder.write("left.pcap", 1, &[(0, left), (1, wrong.clone()), (2, good.clone())]);
    let far = Far::mute();
    let (stdout, _) = text(&replay(&capture, &far, &[]));
    assert_eq!(far.wait_for(3), [good.clone(), wrong, good]);
    assert!(stdout.contains("1 checksum left to a network card filled in (frame 1)"), "{stdout}");
    assert!(
        stdout.contains("1 frame sent with a wrong checksum, as recorded (frame 2)"),
        "{stdout}"
    );
}

#[test]
fn an_anonymized_capture_needs_no_rewriting() {
    let folder = Folder::new();
    let [ping, hidden] = ["ping.pcapng", "hidden.pcapng"].map(|name| folder.text(name));
    let echo = ["ping", "-c", "3", "-i", "20ms", "-e", "7", "-q", "-d", "sim", "-w", &ping];
    assert!(run(echo).status.success());
    assert!(run(["decode", &ping, "--anonymize", "-w", &hidden]).status.success());
    let output = run(["replay", &hidden, "-d", "sim", "--expect"]);
    let (stdout, stderr) = text(&output);
    assert_eq!(output.status.code(), Some(0), "{stdout}{stderr}");
    assert!(stdout.contains("answers: 3 as recorded"), "{stdout}");
    assert!(stderr.contains("is taken for the host"), "{stderr}");
}

#[test]
fn an_anonymized_request_is_answered_as_recorded_where_that_can_be_told() {
    let folder = Folder::new();
    let [said, hidden] = ["said.pcapng", "hidden.pcapng"].map(|name| folder.text(name));
    assert!(run(["http", "/", "-d", "sim", "-w", &said]).status.success());
    assert!(run(["decode", &said, "--anonymize", "-w", &hidden]).status.success());
    let output = run(["replay", &hidden, "-d", "sim", "--expect"]);
    let (stdout, stderr) = text(&output);
    assert_eq!(output.status.code(), Some(0), "{stdout}{stderr}");
    assert!(stdout.contains("1 connection as recorded"), "{stdout}");
    let output = run(["replay", &hidden, "-d", "sim,fault=mss-huge", "--expect"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output).0);
}

#[test]
fn a_capture_of_this_line_with_other_addresses_is_sent_as_it_is() {
    let folder = Folder::new();
    let captured = folder.text("own.pcapng");
    let ends = ["--host-ip", "10.0.0.1", "--device-ip", "10.0.0.2"];
    let far = Far::new(|frame| {
        // It answers any ping, from whoever it was meant for.
        let mut answer = frame.to_vec();
        if frame[23] != 1 {
            return Vec::new();
        }
        for (at, other, width) in [(0, 6, 6), (26, 30, 4)] {
            answer[at..at + width].copy_from_slice(&frame[other..other + width]);
            answer[other..other + width].copy_from_slice(&frame[at..at + width]);
        }
        answer[34] = 0;
        answer[36..38].fill(0);
        let sum = uarttool::checksum::internet(&answer[34..]).to_be_bytes();
        answer[36..38].copy_from_slice(&sum);
        vec![answer]
    });
    let ping = ["ping", "-c", "1", "-e", "7", "--device-mac", "02:00:00:00:00:02"];
    let more = ["-d", &far.endpoint, "--no-attach", "-w", &captured];
    run([&ping[..], &ends, &more].concat());
    let before = far.got();
    assert!(!before.is_empty());
    let (_, stderr) = text(&replay(&captured, &far, &["--timeout", "200ms"]));
    assert!(!stderr.contains("is taken for"), "{stderr}");
    let pings = |frames: &[Frame]| frames.iter().filter(|frame| frame[23] == 1).count();
    let after = far.got();
    assert_eq!(pings(&after), 2 * pings(&before));
    assert!(
        after.iter().filter(|frame| frame[23] == 1).all(|frame| frame[30..34] == [10, 0, 0, 2])
    );
}

#[test]
fn what_an_anonymized_capture_hides_is_not_compared() {
    let folder = Folder::new();
    let packets = [(0, asked(9000, b"how warm?")), (1, answered(9000, b"21 degrees"))];
    folder.write("said.pcap", 1, &packets);
    let [said, hidden] = ["said.pcap", "hidden.pcapng"].map(|name| folder.text(name));
    assert!(run(["decode", &said, "--anonymize", "-w", &hidden]).status.success());
    let far = || Far::new(|_| vec![answered(9000, b"19 degrees")]);
    assert_eq!(replay(&said, &far(), &["--expect"]).status.code(), Some(1));
    let output = replay(&hidden, &far(), &["--expect"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output).0);
    let longer = Far::new(|_| vec![answered(9000, b"119 degrees")]);
    assert_eq!(replay(&hidden, &longer, &["--expect"]).status.code(), Some(1));
}
