//! `uarttool inject` as its user sees it: against the built-in device, and every line of its document.

mod support;

use std::net::{Ipv4Addr, TcpListener};
use std::process::Output;
use std::time::Instant;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use support::{Process, SOON, text, uarttool};
use uarttool::craft::layers::{Arp, Checksum, Ethernet, Icmp, Ipv4, Tcp, Udp};
use uarttool::craft::text::{End, Ends, Recipe};
use uarttool::proto::MacAddr;

const HOST: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 1);
const DEVICE: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 2);
const HOST_MAC: MacAddr = MacAddr(2, 0, 0, 0, 0, 1);
const DEVICE_MAC: MacAddr = MacAddr(2, 0, 0, 0, 0, 2);

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output: Output =
        uarttool().arg("inject").args(arguments).output().expect("the program runs");
    let (out, err) = text(&output);
    (output.status.code(), out, err)
}

/// The commands that the document shows, each as its words.
fn documented() -> Vec<Vec<String>> {
    let document = std::fs::read_to_string("docs/inject.md").expect("it is there");
    let lines = document.lines().filter_map(|line| line.strip_prefix("uarttool inject "));
    lines.map(words).collect()
}

/// A line as a shell takes it apart, as far as the document needs that.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut is_quoted) = (Vec::new(), None::<String>, false);
    for c in line.chars() {
        match c {
            '\'' => {
                is_quoted = !is_quoted;
                word.get_or_insert_default();
            }
            ' ' if !is_quoted => words.extend(word.take()),
            '#' if !is_quoted && word.is_none() => break,
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[test]
fn every_raw_line_of_the_document_makes_frames() {
    let mut count = 0;
    for line in documented().iter().filter(|line| line[0] == "raw") {
        let mut arguments: Vec<&str> = line.iter().map(String::as_str).collect();
        arguments.extend(["--dry-run", "-d", "sim"]);
        let (code, out, err) = run(&arguments);
        assert_eq!(code, Some(0), "{line:?}: {err}");
        assert!(out.starts_with("-> "), "{line:?}: {out}");
        count += 1;
    }
    assert!(count > 90, "{count} lines");
}

#[test]
fn every_other_line_of_the_document_has_a_conversation() {
    for line in documented().iter().filter(|line| line[0] != "raw") {
        let mut arguments: Vec<&str> = line.iter().map(String::as_str).collect();
        if !line.iter().any(|word| word == "--timeout") {
            arguments.extend(["--timeout", "200ms"]);
        }
        arguments.extend(["-d", "sim"]);
        let (code, out, err) = run(&arguments);
        assert!(matches!(code, Some(0 | 1)), "{line:?}: {err}");
        assert!(!out.is_empty(), "{line:?}");
    }
}

fn frame(text: &str) -> Vec<u8> {
    let ends = Ends { host: End::new(HOST_MAC, HOST), device: End::new(DEVICE_MAC, DEVICE) };
    let nothing = |_: &str| Err(String::new());
    let recipe = Recipe::parse(text, &nothing).unwrap_or_else(|mistake| panic!("{mistake}"));
    recipe.frame(&ends, &mut ChaCha8Rng::seed_from_u64(0))
}

fn eth(kind: u16, payload: &[u8]) -> Vec<u8> {
    Ethernet { destination: DEVICE_MAC, source: HOST_MAC, kind }.frame(payload)
}

fn ip(protocol: u8) -> Ipv4 {
    Ipv4 { id: 1, ..Ipv4::new(HOST, DEVICE, protocol) }
}

fn echo() -> Vec<u8> {
    let rest = [0, 1, 0, 1];
    Icmp { kind: 8, code: 0, checksum: Checksum::Right, rest, data: Vec::new() }.message()
}

fn syn() -> Tcp {
    Tcp { seq: 1000, flags: 2, window: 65535, ..Tcp::new(40000, 80) }
}

/// What the judge sends, made of its own layers.
fn judges() -> Vec<(&'static str, Vec<u8>)> {
    let echo = echo();
    let with = |ip: Ipv4| eth(0x0800, &ip.packet(&echo));
    let arp = Arp {
        hardware: 1,
        protocol: 0x0800,
        hardware_length: 6,
        protocol_length: 4,
        op: 1,
        sha: HOST_MAC,
        spa: HOST,
        tha: MacAddr(0, 0, 0, 0, 0, 0),
        tpa: DEVICE,
    };
    let asked = |arp: Arp| {
        Ethernet { destination: MacAddr::broadcast(), source: HOST_MAC, kind: 0x0806 }
            .frame(&arp.message())
    };
    let datagram = |udp: Udp| eth(0x0800, &ip(17).packet(&udp.datagram(HOST, DEVICE, b"hello")));
    let segment = |tcp: Tcp| eth(0x0800, &ip(6).packet(&tcp.segment(HOST, DEVICE, b"")));
    let plain = Udp::new(40000, 7);
    vec![
        ("ip(checksum=wrong)/icmp", with(Ipv4 { checksum: Checksum::Wrong, ..ip(1) })),
        ("ip(version=6)/icmp", with(Ipv4 { version: 6, ..ip(1) })),
        ("ip(ihl=4)/icmp", with(Ipv4 { ihl: Some(4), ..ip(1) })),
        ("ip(ihl=15)/icmp", with(Ipv4 { ihl: Some(15), ..ip(1) })),
        ("ip(length=19)/icmp", with(Ipv4 { total_length: Some(19), ..ip(1) })),
        (
            "ip(option.nop,option.nop,option.nop,option.eol)/icmp",
            with(Ipv4 { options: vec![1, 1, 1, 0], ..ip(1) }),
        ),
        ("ip(options=0x0700)/icmp", with(Ipv4 { options: vec![7, 0], ..ip(1) })),
        ("ip(df)/icmp", with(Ipv4 { flags: 2, ..ip(1) })),
        ("ip(mf)/icmp", with(Ipv4 { flags: 1, ..ip(1) })),
        (
            "ip(offset=65512,proto=icmp)/zeros(9)",
            eth(0x0800, &Ipv4 { offset: 8189, ..ip(1) }.packet(&[0; 9])),
        ),
        ("arp", asked(arp)),
        ("arp(hrd=6)", asked(Arp { hardware: 6, ..arp })),
        ("arp(pln=16)", asked(Arp { protocol_length: 16, ..arp })),
        ("arp(op=1,spa=0.0.0.0)", asked(Arp { spa: Ipv4Addr::UNSPECIFIED, ..arp })),
        ("udp(port=7)/\"hello\"", datagram(plain)),
        ("udp(port=7,length=200)/\"hello\"", datagram(Udp { length: Some(200), ..plain })),
        ("udp(port=7,length=4)/\"hello\"", datagram(Udp { length: Some(4), ..plain })),
        (
            "udp(port=7,checksum=0)/\"hello\"",
            datagram(Udp { checksum: Checksum::Exact(0), ..plain }),
        ),
        (
            "udp(port=7,checksum=wrong)/\"hello\"",
            datagram(Udp { checksum: Checksum::Wrong, ..plain }),
        ),
        ("tcp", segment(syn())),
        ("tcp(data_offset=3)", segment(Tcp { data_offset: Some(3), ..syn() })),
        ("tcp(options=0x0200)", segment(Tcp { options: vec![2, 0], ..syn() })),
        ("tcp(reserved=15,flags=S)", segment(Tcp { reserved: 15, ..syn() })),
        (
            "tcp(option.253=0x00,option.mss=200)",
            segment(Tcp { options: vec![253, 3, 0, 2, 4, 0, 200], ..syn() }),
        ),
        ("tcp(flags=FSRPAU)", segment(Tcp { flags: 0x3f, ..syn() })),
    ]
}

#[test]
fn the_judge_s_own_stimuli_are_made_byte_by_byte() {
    for (text, theirs) in judges() {
        assert_eq!(frame(text), theirs, "{text}");
    }
}

#[test]
fn ports_are_told_open_and_closed() {
    let (code, out, err) = run(&["tcp", "--port", "79-81", "-d", "sim"]);
    assert_eq!(code, Some(0), "{err}");
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].starts_with("79/tcp closed: RST-ACK in "), "{out}");
    assert!(
        lines[1].starts_with("80/tcp open: SYN-ACK in ") && lines[1].contains(", MSS "),
        "{out}"
    );
    assert_eq!(lines[3], "3 ports asked: 1 open, 2 closed");
    let (code, out, _) =
        run(&["tcp", "--port", "80", "--bad-checksum=ip", "-W", "200ms", "-d", "sim"]);
    assert_eq!(code, Some(0), "the device lives: {out}");
    assert!(
        out.contains("80/tcp no answer within 200ms\nthe device still answers (ARP, "),
        "{out}"
    );
    let (code, out, _) = run(&["tcp", "--port", "80", "--flags", "R", "-W", "200ms", "-d", "sim"]);
    assert_eq!((code, out.trim_end()), (Some(1), "80/tcp no answer within 200ms"));
}

#[test]
fn a_half_open_connection_is_reset_exactly_unless_it_is_to_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    for (flag, resets) in [(None, 1), (Some("--no-reset"), 0)] {
        let file = folder.path().join("out.pcap");
        let name = file.to_str().expect("plain");
        let mut arguments = vec!["tcp", "--port", "80", "--seq", "7000", "-d", "sim", "-w", name];
        arguments.extend(flag);
        let (code, _, err) = run(&arguments);
        assert_eq!(code, Some(0), "{err}");
        let filter = "tcp.flags.rst and tcp.seq == 7001";
        let output = uarttool().args(["decode", name, filter]).output().expect("it runs");
        assert_eq!(text(&output).0.lines().count(), resets, "{flag:?}: {}", text(&output).0);
    }
}

#[test]
fn datagrams_have_replies_or_none() {
    let (code, out, err) = run(&["udp", "--port", "7", "--data", "hello", "-d", "sim"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("7/udp answers: 5 bytes, the same in "), "{out}");
    assert!(out.ends_with(": \"hello\"\n"), "{out}");
    let (code, out, _) = run(&["udp", "--port", "7", "--bad-checksum", "-W", "200ms", "-d", "sim"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("no answer within 200ms\nthe device still answers"), "{out}");
}

#[test]
fn arp_lists_who_answers() {
    let (code, out, err) = run(&["arp", "request", "-W", "200ms", "-d", "sim"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("192.168.100.2 is at 02:00:00:00:00:02 ("), "{out}");
    let arguments = ["arp", "probe", "192.168.100.9", "-i", "10ms", "-W", "100ms", "-d", "sim"];
    let (code, out, _) = run(&arguments);
    assert_eq!((code, out.trim_end()), (Some(1), "192.168.100.9 is free: nobody answered"));
    let arguments = ["arp", "probe", "-i", "10ms", "-W", "100ms", "-d", "sim"];
    let (code, out, _) = run(&arguments);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.ends_with("192.168.100.2 is taken\n"), "{out}");
}

#[test]
fn frames_of_a_capture_and_of_a_dump_are_sent_as_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("out.pcapng");
    let name = file.to_str().expect("plain");
    let (code, _, err) =
        run(&["raw", "icmp/\"once more\"", "-W", "100ms", "-d", "sim", "-w", name]);
    assert_eq!(code, Some(0), "{err}");
    let (code, out, err) = run(&["raw", name, "-W", "100ms", "-d", "sim"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("-> IP 192.168.100.1 > 192.168.100.2: ICMP echo request"), "{out}");
    assert!(out.contains("<- IP 192.168.100.2 > 192.168.100.1: ICMP echo reply"), "{out}");
    let (_, dump, _) = run(&["raw", "icmp", "--dry-run", "-x", "-d", "sim"]);
    let dump: Vec<&str> = dump.lines().skip(1).collect();
    let hex = folder.path().join("frame.txt");
    std::fs::write(&hex, dump.join("\n")).expect("it can be written");
    let (code, out, err) =
        run(&["raw", hex.to_str().expect("plain"), "--dry-run", "-x", "-d", "sim"]);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(out.lines().skip(1).collect::<Vec<_>>(), dump);
    let digits = folder.path().join("digits.txt");
    std::fs::write(&digits, "0200000000020200000000010806").expect("it can be written");
    let file = digits.to_str().expect("plain");
    let (code, out, err) = run(&["raw", file, "--format", "hex", "--dry-run", "-d", "sim"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("ethertype ARP (0x0806), length 0"), "{out}");
    let (code, _, err) = run(&["raw", name, "--frame", "99", "-d", "sim"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("has no frame 99"), "{err}");
}

#[test]
fn variants_by_chance_can_be_made_again() {
    let fuzz = ["raw", "udp(port=7)/\"x\"", "--fuzz", "30", "--seed", "7", "--dry-run", "-x"];
    let (_, all, err) = run(&[&fuzz[..], &["-d", "sim"]].concat());
    assert!(err.contains("seed 7"), "{err}");
    let one = ["raw", "udp(port=7)/\"x\"", "--variant", "12", "--seed", "7", "--dry-run", "-x"];
    let (_, out, _) = run(&[&one[..], &["-d", "sim"]].concat());
    assert!(out.contains("(variant 12: ") && all.contains(&out), "{out}");
    let live = ["raw", "udp(port=7)/\"x\"", "--fuzz", "30", "--seed", "7", "-q", "-d", "sim"];
    let (code, out, _) = run(&live);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("30 frames sent") && out.contains("the device still answers"), "{out}");
}

#[test]
fn a_device_that_does_not_survive_is_told() {
    let (code, out, _) = run(&[
        "raw",
        "icmp",
        "--bad-checksum",
        "-W",
        "100ms",
        "--device-ip",
        "192.168.100.77",
        "-d",
        "sim",
    ]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.ends_with("the device does not answer any more\n"), "{out}");
}

#[test]
fn a_reset_says_closed_to_a_plain_syn_alone_and_ports_are_counted_once() {
    let (code, out, err) = run(&["tcp", "--port", "80", "--flags", "SA", "-d", "sim"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("80/tcp answers: RST in "), "{out}");
    let (_, out, _) = run(&["tcp", "--port", "80,81", "-c", "3", "-d", "sim"]);
    let sum = "2 ports asked: 1 open, 1 closed; 6 of 6 segments answered\n";
    assert!(out.ends_with(sum), "{out}");
}

#[test]
fn what_the_device_says_of_itself_is_no_answer() {
    let (code, out, err) = run(&["arp", "request", "-W", "300ms", "-d", "sim"]);
    assert_eq!(code, Some(0), "{err}");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 2, "its announcement, and its answer: {out}");
    assert!(out.contains("also heard: 192.168.100.2 is at 02:00:00:00:00:02, announced"), "{out}");
    let (_, out, _) = run(&["raw", "icmp", "-W", "300ms", "-d", "sim"]);
    assert!(out.contains("(also heard)"), "{out}");
    assert!(out.ends_with("1 frame sent, 1 came back, 1 also heard\n"), "{out}");
}

#[test]
fn echo_requests_can_be_wrong_on_purpose_and_ping_stays_as_it_is() {
    let icmp =
        |more: &[&str]| run(&[&["icmp", "-c", "1", "-W", "300ms", "-d", "sim"][..], more].concat());
    let (code, out, err) = icmp(&[]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("1 received, 0% packet loss") && !out.contains("still answers"), "{out}");
    for wrong in [
        &["--bad-checksum"][..],
        &["--truncate", "30"],
        &["--length-prefix", "200"],
        &["--unframed"],
    ] {
        let (code, out, err) = icmp(wrong);
        assert_eq!(code, Some(0), "{wrong:?}: {out}{err}");
        assert!(out.contains("0 received, 100% packet loss"), "{wrong:?}: {out}");
        assert!(out.contains("\nthe device still answers (ARP, "), "{wrong:?}: {out}");
    }
    let (code, out, _) = icmp(&["--split", "7", "--split-delay", "2ms"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("1 received, 0% packet loss"), "{out}");
    let help = uarttool().args(["ping", "--help"]).output().expect("it runs");
    assert!(!text(&help).0.contains("--bad-checksum"));
}

#[test]
fn a_dry_run_checks_and_writes_what_a_run_would_and_is_quiet_when_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("dry.pcapng");
    let name = file.to_str().expect("plain");
    let dry = ["raw", "icmp/\"one\"", "icmp", "--dry-run", "-q", "-d", "sim", "-w", name];
    let (code, out, err) = run(&dry);
    assert_eq!((code, out.as_str()), (Some(0), "2 frames made, and none sent\n"), "{err}");
    let shown = uarttool().args(["decode", name]).output().expect("it runs");
    let shown = text(&shown).0;
    let is_request = |line: &&str| line.contains("-> ") && line.contains("echo request");
    assert_eq!(shown.lines().filter(is_request).count(), 2, "{shown}");
    let lies = ["raw", "icmp", "--length-prefix", "9", "--dry-run", "-q", "-d", "sim", "-w", name];
    assert_eq!(run(&lies).0, Some(0));
    let shown = uarttool().args(["decode", name]).output().expect("it runs");
    assert!(text(&shown).0.contains("!! "), "the bytes make what they make: {}", text(&shown).0);
    for (arguments, sentence) in [
        (&["icmp/zeros(1500)"][..], "the line carries 1514"),
        (&["arp", "--framing", "slip-ip"], "neither IPv4 nor IPv6"),
        (&["\"\""], "a frame of no bytes is never sent"),
        (&["icmp", "--length-prefix", "0", "--framing", "len32be"], "a length of 0 is not sent"),
        (&["icmp", "--split", "1", "--framing", "seqpacket"], "needs a stream of bytes"),
    ] {
        let (code, _, err) =
            run(&[&["raw", "--dry-run", "-d", "unix:/nowhere"], arguments].concat());
        assert_eq!(code, Some(2), "{arguments:?}: {err}");
        assert!(err.contains(sentence), "{arguments:?}: {err}");
    }
}

#[test]
fn a_flood_of_variants_has_an_end() {
    let flood = ["raw", "icmp", "--fuzz", "5", "--seed", "1", "--flood", "-q", "-d", "sim"];
    let (code, out, err) = run(&flood);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("5 frames sent"), "{out}");
}

#[test]
fn qemu_is_sent_nothing_that_it_never_recovers_from() {
    for (wrong, sentence) in [
        (&["--length-prefix", "0"][..], "a length of 0 is not sent in len32be"),
        (&["--length-prefix", "69633"], "QEMU disconnects beyond 69632"),
        (&["--length-prefix", "100"], "it ends within a frame"),
        (&["--unframed"], "QEMU disconnects beyond 69632"),
    ] {
        for kind in [&["raw", "icmp"][..], &["tcp", "--port", "80"], &["icmp", "-c", "1"]] {
            let line = ["-d", "exec:cat", "--framing", "len32be"];
            let (code, _, err) = run(&[kind, wrong, &line].concat());
            assert_eq!(code, Some(2), "{kind:?} {wrong:?}: {err}");
            assert!(err.contains(sentence), "{kind:?} {wrong:?}: {err}");
        }
    }
    let zeros = ["raw", "zeros(4)", "--unframed", "-d", "exec:cat", "--framing", "len32be"];
    assert_eq!(run(&zeros).0, Some(2));
}

#[test]
fn bytes_for_another_framing_than_the_holder_s_are_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("tcp:{}", listener.local_addr().expect("it has one"));
    let holder = format!("{endpoint},framing=len32be");
    let sniff = Process::start(uarttool().args(["sniff", "-d", &holder]));
    let _line = listener.accept().expect("it comes");
    sniff.err.wait_for(0, "connected to");
    let deadline = Instant::now() + SOON;
    let lie = ["raw", "\"\"", "--length-prefix", "0", "-W", "100ms", "-d", &endpoint];
    loop {
        let (code, _, err) = run(&lie);
        if err.contains("has it as len32be, and these bytes are len16be") {
            assert_eq!(code, Some(2), "{err}");
            break;
        }
        assert!(Instant::now() < deadline && code != Some(1), "{code:?}: {err}");
    }
    assert!(sniff.interrupt().success());
}

#[test]
fn misuse_is_refused_in_one_sentence() {
    for (arguments, sentence) in [
        (&["raw", "icmp", "--flood"][..], "'--flood' needs an end"),
        (&["raw", "icmp", "--length-prefix", "65536"], "does not fit into the 2 bytes of len16be"),
        (&["raw", "\"\""], "a frame of no bytes is never sent"),
        (&["raw", "arp", "--bad-checksum"], "the frame has no layer with a checksum"),
        (&["raw", "icmp", "--bad-checksum=tpc"], "did you mean 'tcp'?"),
        (&["raw", "ip(ttl=256)/icmp"], "'ttl' has 8 bits"),
        (&["raw", "icmp/zeros(1500)"], "the line carries 1514"),
        (&["raw", "gone.pcapng"], "there is no file 'gone.pcapng'"),
        (&["raw", "icmp", "--frame", "1"], "'--frame' chooses a frame of a file"),
        (
            &["raw", "udp(checksum=0)", "--bad-checksum"],
            "the checksum of udp is given, and goes out as it is: leave one of",
        ),
        (&["raw", "0x0200", "--bad-checksum"], "a frame that is given as bytes goes out as it is"),
        (&["raw", "0x0200", "--vlan", "5"], "does not begin with Ethernet addresses"),
        (&["raw", "ip(ttl=1,ttl=2)/icmp"], "'ttl' of ipv4 is given twice"),
        (&["raw", "ip/zeros(65535)", "--max-frame", "65535"], "ipv4 is too long"),
        (&["raw", "icmp", "--format", "hex"], "'--format' says what a file is"),
        (&["raw", "icmp", "--list"], "cannot be used with"),
        (&["arp", "probe", "--sender-ip", "10.0.0.1"], "'--sender-ip' is for 'request' alone"),
        (&["arp", "gratuitous", "--sender-ip", "10.0.0.1"], "an announcement names ADDRESS"),
        (&["arp", "request", "--bad-checksum"], "the frame has no layer with a checksum"),
        (&["tcp", "--port", "99999"], "is not a list of ports"),
        (&["tcp", "--port", "80", "--flags", "X"], "are not flags"),
        (&["udp", "--port", "7", "--data", "hex(0)"], "hex digits come in pairs"),
    ] {
        let (code, out, err) = run(&[arguments, &["-d", "sim"]].concat());
        assert_eq!(code, Some(2), "{arguments:?}: {out}{err}");
        assert!(err.contains(sentence), "{arguments:?}: {err}");
    }
}
