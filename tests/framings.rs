//! The other framings as users meet them: what is shown of a recorded line, and real peers that speak them.

#![cfg(target_os = "linux")]

mod support;

use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream;
use std::process::{Command, Output, Stdio};

use support::far_ends::{Daemon, Slip, Slirp, wait_for};
use support::namespace::Namespace;
use support::{Process, SOON, text, uarttool};
use uarttool::craft::{EchoRequest, Route};
use uarttool::framing::{Framing, ip};

const HOST_IP: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 1);
const DEVICE_IP: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 2);

/// An echo request with eight bytes of data.
fn echo(sequence: u16) -> Vec<u8> {
    let route = Route {
        source_mac: ip::HOST.into(),
        destination_mac: ip::DEVICE.into(),
        source: HOST_IP,
        destination: DEVICE_IP,
    };
    let data = [0xc0, 1, 2, 3, 4, 5, 6, 0xdb];
    EchoRequest { identifier: 7, sequence, ttl: 64, tos: 0, ip_id: 0, data: &data }.frame(&route)
}

/// `count` requests as they are on a line.
fn stream(framing: &str, count: u16) -> Vec<u8> {
    let framing = Framing::by_name(framing).expect("it is in the list");
    let mut out = Vec::new();
    for sequence in 1..=count {
        framing.encode(&echo(sequence), &mut out).expect("it fits");
    }
    out
}

/// Runs our binary to its end, with all of its output.
fn run<I: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = I>) -> Output {
    uarttool().args(arguments).stdin(Stdio::null()).output().expect("it runs")
}

/// A file with those bytes, in a folder that goes with the test.
fn recorded(bytes: &[u8]) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("line.raw");
    std::fs::write(&path, bytes).expect("it can be written");
    let text = path.display().to_string();
    (folder, text)
}

const ALL: [&str; 5] = ["len16be", "len32be", "len16le", "slip-eth", "slip-ip"];

#[test]
fn a_recorded_line_of_any_framing_is_shown() {
    for framing in ALL {
        let (_folder, path) = recorded(&stream(framing, 3));
        let ways = [framing].into_iter().chain(framing.starts_with("slip").then_some("slip"));
        for asked in ways {
            let device = format!("file:{path},framing={asked}");
            for arguments in [
                &["sniff", "-d", &device][..],
                &["decode", "--framing", asked, &path],
                &["decode", "--framing", asked, "--format", "raw", &path],
            ] {
                let output = run(arguments);
                let (stdout, stderr) = text(&output);
                assert!(output.status.success(), "{arguments:?}: {stderr}");
                let shown = "ICMP echo request, id 7, seq 3, length 16";
                assert!(stdout.contains(shown), "{arguments:?}: {stdout}{stderr}");
                assert!(!stdout.contains("!!") && !stderr.contains("warning"), "{stdout}{stderr}");
                let told = stderr.contains(&format!("the line speaks {framing}"));
                assert_eq!(told, asked == "slip" && arguments[0] == "sniff", "{stderr}");
            }
        }
    }
}

#[test]
fn a_wrong_framing_is_told_and_the_right_one_named_once() {
    for framing in ALL {
        let (_folder, path) = recorded(&stream(framing, 40));
        for asked in ALL.into_iter().filter(|asked| *asked != framing) {
            let output = run(["sniff", "-d", &format!("file:{path},framing={asked}")]);
            let (_, stderr) = text(&output);
            let told = format!(
                "warning: these bytes look like {framing}, not like {asked}: try framing={framing}\n"
            );
            assert_eq!(stderr.matches(&told).count(), 1, "{framing} as {asked}: {stderr}");
        }
        if framing != "len16be" && framing != "len32be" {
            let output = run(["decode", &path]);
            let (_, stderr) = text(&output);
            assert_eq!(output.status.code(), Some(4), "{stderr}");
            let told = format!("it seems to be a raw stream in {framing}, not in len16be");
            assert!(stderr.contains(&told), "{stderr}");
        }
    }
}

#[test]
fn raw_shows_the_bytes_of_the_line() {
    let bytes = stream("slip-ip", 2);
    let (_folder, path) = recorded(&bytes);
    let output = run(["sniff", "--raw", "-d", &format!("file:{path},framing=slip-ip")]);
    let (stdout, _) = text(&output);
    let mut shown = Vec::new();
    for row in stdout.lines().filter(|line| line.starts_with("    ")) {
        let hex = &row[14..14 + 47];
        shown.extend(hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).expect("hex")));
    }
    assert_eq!(shown, bytes[1..], "{stdout}");
    assert!(stdout.contains("[slip-ip] "), "{stdout}");
}

#[test]
fn what_does_not_go_together_is_refused_in_a_sentence() {
    let (_folder, line) = recorded(&stream("slip-ip", 2));
    let open = format!("file:{line},framing=slip");
    for (arguments, told) in [
        (&["sniff", "--raw", "-d", &open][..], "'framing=slip' leaves open how they are"),
        (&["sniff", "-w", "x.raw", "-d", &open], "'framing=slip' leaves open how they are"),
        (&["ping", "-d", "sim,framing=slip-ip"], "the built-in device speaks len16be, not slip-ip"),
        (
            &["ping", "-d", "unix:/nowhere,framing=slip-ip", "--device-mac", "02:00:00:00:00:09"],
            "'--device-mac' says nothing on a line of slip-ip",
        ),
        (
            &["conformance", "-d", "unix:/nowhere,framing=len32be"],
            "conformance judges lines of len16be, not of len32be",
        ),
        (
            &["sniff", "-d", "tap:none,framing=slip-eth"],
            "an interface carries frames whole, not in slip-eth",
        ),
        (
            &["sniff", "-d", "unix:/nowhere,max-frame=69632"],
            "max-frame 69632 is more than len16be can carry: at most 65535",
        ),
        (
            &["sniff", "-d", "unix:/nowhere,framing=slop"],
            "there is no framing 'slop'; there are len16be, len32be, len16le, slip-eth, slip-ip, slip",
        ),
    ] {
        let output = run(arguments);
        let (_, stderr) = text(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(told), "{arguments:?}: {stderr}");
    }
}

/// Fails unless ping says that all three were answered.
fn assert_pings(arguments: &[&str]) -> String {
    let output = run([&["ping", "-c", "3", "-i", "0.2"], arguments].concat());
    let (stdout, stderr) = text(&output);
    assert!(
        stdout.contains("3 packets transmitted, 3 received, 0% packet loss"),
        "{arguments:?}: {stdout}{stderr}"
    );
    stdout + &stderr
}

#[test]
#[ignore = "needs root, /dev/net/tun, iproute2, vde2, socat: scripts/test"]
fn linux_behind_a_vde_switch_is_pinged() {
    let folder = tempfile::tempdir().expect("a folder");
    let (control, line) = (folder.path().join("ctl"), folder.path().join("line"));
    let device = Namespace::new("vde0", "192.168.100.2", "02:00:00:00:00:02");
    let shown = control.display().to_string();
    let mut command = device.command("vde_switch", &["-s", &shown, "-t", "vde0", "-d"]);
    let pid_file = folder.path().join("pid");
    assert!(command.arg("-p").arg(&pid_file).status().expect("vde2 is there").success());
    wait_for(&pid_file);
    let _switch = Daemon(pid_file);
    wait_for(&control.join("ctl"));
    let _plug = Process::start(
        Command::new("socat")
            .args([format!("UNIX-LISTEN:{}", line.display()), format!("EXEC:vde_plug {shown}")]),
    );
    wait_for(&line);
    assert_pings(&["-d", &format!("unix:{}", line.display()), "-s", "1400"]);
}

const GUEST: [&str; 4] = ["--host-ip", "10.0.2.15", "--device-ip", "10.0.2.2"];

#[test]
#[ignore = "needs qemu-system-arm: scripts/test"]
fn qemus_user_network_is_pinged() {
    let slirp = Slirp::start();
    let endpoint = slirp.endpoint();
    assert_pings(&[&["-d", &endpoint][..], &GUEST].concat());
    // Its answers are those of a network: the largest that it takes is a full frame.
    assert_pings(&[&["-d", &endpoint, "-s", "1472"][..], &GUEST].concat());
}

#[test]
#[ignore = "needs qemu-system-arm: scripts/test"]
fn a_lease_of_qemus_dhcp_server_is_seen() {
    let slirp = Slirp::start();
    let listen = slirp.folder.path().join("proxy");
    let proxy = format!("unix-listen:{}", listen.display());
    let sniff = Process::start(uarttool().args([
        "sniff",
        "-l",
        "-d",
        &slirp.endpoint(),
        "--proxy",
        &proxy,
    ]));
    wait_for(&listen);
    let mut client = UnixStream::connect(&listen).expect("it listens");
    client.write_all(&len32be(&discover())).expect("it reads");
    client.set_read_timeout(Some(SOON)).expect("a socket");
    let mut length = [0; 4];
    client.read_exact(&mut length).expect("an offer");
    let mut offer = vec![0; u32::from_be_bytes(length) as usize];
    client.read_exact(&mut offer).expect("an offer");
    assert_eq!(offer[14 + 20 + 8], 2, "a reply of a server");
    assert_eq!(offer[14 + 20 + 8 + 16..][..4], [10, 0, 2, 15]);
    sniff.out.wait_for(0, "DHCP Offer 10.0.2.15");
    sniff.interrupt();
    let shown = sniff.stdout();
    assert!(!shown.contains("!!") && shown.contains("DHCP Discover"), "{shown}");
}

fn len32be(frame: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let framing = Framing::by_name("len32be").expect("it is in the list");
    framing.encode(frame, &mut out).expect("it fits");
    out
}

/// A DHCP discover (RFC 2131) in a frame.
fn discover() -> Vec<u8> {
    let mut message = vec![0; 236];
    message[..4].copy_from_slice(&[1, 1, 6, 0]);
    message[4..8].copy_from_slice(&[1, 2, 3, 4]);
    message[28..34].copy_from_slice(&ip::HOST);
    message.extend([99, 130, 83, 99, 53, 1, 1, 255]);
    let mut udp = vec![0, 68, 0, 67];
    udp.extend((message.len() as u16 + 8).to_be_bytes());
    udp.extend([0, 0]);
    udp.extend(message);
    let mut packet = vec![0x45, 0];
    packet.extend((udp.len() as u16 + 20).to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255]);
    let sum = uarttool::checksum::internet(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(udp);
    let mut frame = vec![0xff; 6];
    frame.extend(ip::HOST);
    frame.extend([8, 0]);
    frame.extend(packet);
    frame
}

#[test]
#[ignore = "needs root, /dev/net/tun, iproute2, python3: scripts/test"]
fn linux_behind_slip_is_pinged() {
    let folder = tempfile::tempdir().expect("a folder");
    let kinds = [("ip", "quiet"), ("ip", "chatty"), ("eth", "quiet"), ("eth", "chatty")];
    for (n, (kind, manner)) in kinds.into_iter().enumerate() {
        let inner = folder.path().join(n.to_string());
        std::fs::create_dir(&inner).expect("a folder");
        let slip = Slip::start(&inner, kind, manner, 2);
        let framing = format!("slip-{kind}");
        let told = assert_pings(&["-d", &slip.endpoint(&framing)]);
        assert!(!told.contains("look like"), "{told}");
        let told = assert_pings(&["-d", &slip.endpoint("slip")]);
        assert!(told.contains(&format!("the line speaks {framing}")), "{told}");
        assert_pings(&["-d", &slip.endpoint(&framing), "-s", "1472"]);
        assert_pings(&["-d", &slip.endpoint(&framing), "fd00::2"]);
        // Nothing but IP went onto a line of IP.
        let refused = slip.peer.stdout().lines().filter(|line| line.contains("refused")).count();
        let most = if kind == "ip" { 3 } else { 0 };
        assert!(refused <= most, "{}", slip.peer.stdout());
    }
}

#[test]
#[ignore = "needs root, /dev/net/tun, iproute2, python3, curl: scripts/test"]
fn pages_come_through_slip() {
    let folder = tempfile::tempdir().expect("a folder");
    for (kind, last) in [("ip", 2), ("eth", 3)] {
        let slip = Slip::start(folder.path(), kind, "chatty", last);
        let page = vec![0xc0; 20_000];
        std::fs::write(folder.path().join("page"), &page).expect("it can be written");
        let address = format!("192.168.100.{last}");
        let serve = ["-u", "-m", "http.server", "80", "--bind", &address, "--directory"];
        let folder = folder.path().display().to_string();
        let server =
            Process::start(&mut slip.stack.command("python3", &[&serve[..], &[&folder]].concat()));
        server.out.wait_for(0, "Serving HTTP");
        let endpoint = slip.endpoint(&format!("slip-{kind}"));
        let output = run(["http", "-d", &endpoint, "--device-ip", &address, "/page"]);
        let (_, stderr) = text(&output);
        assert!(output.status.success(), "{stderr}");
        assert!(stderr.contains("200 OK 20000 bytes"), "{stderr}");

        let arguments = ["bridge", "-d", &endpoint, "--device-ip", &address, "--forward", "0:80"];
        let bridge = Process::start(uarttool().args(arguments));
        let told = bridge.err.wait_for(0, "http://127.0.0.1:");
        let at = told.find("http://").expect("it is there");
        let url = told[at..].split_whitespace().next().expect("a word");
        let got = Command::new("curl").args(["-sS", "-m", "20", &format!("{url}page")]).output();
        let got = got.expect("curl is there");
        assert_eq!(got.stdout, page, "{}", bridge.stderr());
        assert!(bridge.interrupt().success(), "{}", bridge.stderr());
    }
}

#[test]
#[ignore = "needs root, /dev/net/tun, iproute2, python3, socat, iputils-ping: scripts/test"]
fn two_linuxes_ping_each_other_by_ipv6_through_slip() {
    for kind in ["ip", "eth"] {
        let folder = tempfile::tempdir().expect("a folder");
        let device = Slip::start(folder.path(), kind, "quiet", 2);
        let host = Slip::start(folder.path(), kind, "chatty", 1);
        let listen = folder.path().join("proxy");
        let endpoint = device.endpoint(&format!("slip-{kind}"));
        let proxy = format!("unix-listen:{}", listen.display());
        let sniff =
            Process::start(uarttool().args(["sniff", "-l", "-d", &endpoint, "--proxy", &proxy]));
        wait_for(&listen);
        let _cable = Process::start(Command::new("socat").args([
            format!("UNIX-CONNECT:{}", listen.display()),
            format!("UNIX-CONNECT:{}", host.line.display()),
        ]));
        sniff.err.wait_for(0, "connected to");
        for address in ["fd00::2", "192.168.100.2"] {
            let output = host.stack.run("ping", &["-c", "3", "-i", "0.2", "-W", "5", address]);
            let (stdout, stderr) = text(&output);
            assert!(
                stdout.contains("3 packets transmitted, 3 received, 0% packet loss"),
                "{kind} {address}: {stdout}{stderr}{}{}",
                sniff.stdout(),
                sniff.stderr()
            );
        }
        sniff.interrupt();
        let shown = sniff.stdout();
        assert!(shown.contains("IP6 fd00::1 > fd00::2: ICMP6, echo request"), "{shown}");
        assert!(shown.contains("IP6 fd00::2 > fd00::1: ICMP6, echo reply"), "{shown}");
        assert!(shown.contains("no frame between two ENDs"), "the log lines are shown: {shown}");
        assert!(!shown.contains("wrong escape"), "{shown}");
    }
}

#[test]
#[ignore = "needs root, /dev/net/tun, iproute2, python3: scripts/test"]
fn what_is_seen_on_a_line_of_ip_is_a_capture_of_frames() {
    let folder = tempfile::tempdir().expect("a folder");
    let slip = Slip::start(folder.path(), "ip", "quiet", 2);
    let capture = folder.path().join("out.pcapng").display().to_string();
    assert_pings(&["-d", &slip.endpoint("slip-ip"), "-w", &capture]);
    let (stdout, stderr) = text(&run(["decode", "-e", &capture]));
    let request = "02:00:00:00:00:01 > 02:00:00:00:00:02, ethertype IPv4 (0x0800), length 98";
    assert!(stdout.contains(request), "{stdout}{stderr}");
}
