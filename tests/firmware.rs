//! uarttool against the real firmware in QEMU, as a user runs it.

mod support;

use std::io::Write;
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::firmware::{Firmware, Setup};
use support::{
    Process, assert_wireshark_is_happy, lines_with, run, text, tshark, tshark_count, uarttool,
};
use tempfile::TempDir;

/// A folder and a capture file in it.
fn capture(name: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    (folder, path)
}

/// `average`, in milliseconds, from ping's last line.
fn average_rtt(report: &str) -> f64 {
    let line = lines_with(report, "rtt min/avg/max/mdev")[0];
    let numbers = line.split('=').nth(1).expect("numbers behind the equals sign");
    numbers.split('/').nth(1).and_then(|n| n.trim().parse().ok()).expect("a number")
}

/// `uarttool ping -d ENDPOINT ARGS`: exit code and stdout.
fn ping(endpoint: &str, args: &[&str]) -> (i32, String) {
    let output = run([&["ping", "-d", endpoint], args].concat());
    let (stdout, stderr) = text(&output);
    let code = output.status.code().expect("it ended by itself");
    assert!(code <= 1, "{stderr}");
    (code, stdout)
}

/// A running `sniff` that is in place, and what it is to be asked for.
fn sniff(endpoint: &str, args: &[&str]) -> Process {
    let process = Process::start(uarttool().args(["sniff", "-d", endpoint]).args(args));
    process.err.wait_for(0, "connected to");
    process
}

/// A running proxy in front of `endpoint`, and the endpoint it offers.
fn proxy(endpoint: &str, args: &[&str]) -> (Process, String) {
    let listen = ["--proxy", "tcp-listen:127.0.0.1:0"];
    let process = sniff(endpoint, &[&listen[..], args].concat());
    let said = process.err.wait_for(0, "listening on ");
    let address = said.split("listening on ").nth(1).and_then(|rest| rest.lines().next());
    (process, address.expect("an address").to_owned())
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn pings_of_every_kind_of_size_are_answered_intact() {
    let firmware = Firmware::start();
    let (code, report) =
        ping(&firmware.endpoint, &["--sweep", "0..1458/27", "-i", "2ms", "-W", "5s"]);
    assert_eq!(code, 0, "{report}");
    assert!(report.contains("55 packets transmitted, 55 received, 0% packet loss"), "{report}");
    let (code, report) =
        ping(&firmware.endpoint, &["-c", "3", "-i", "0.01", "-s", "1458", "-p", "00ff7e"]);
    assert_eq!(code, 0, "{report}");
    assert!(!report.contains("wrong data"));
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn a_sweep_over_the_limit_finds_and_explains_it() {
    let firmware = Firmware::start();
    firmware.command("driver old"); // a new one would flush good frames with the bad
    firmware.command("policy discard");
    let sweep = ["--sweep", "1448..1472/2", "-i", "20ms", "-W", "2s"];
    let (code, report) = ping(&firmware.endpoint, &sweep);
    assert_eq!(code, 1);
    assert!(report.contains("no reply to data sizes 1460, 1462, 1464"), "{report}");
    assert!(report.contains("the largest frame that was answered has 1500 bytes"), "{report}");
    assert!(report.contains("set its MTU to 1486"), "{report}");
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn a_frame_that_is_too_long_is_dropped_and_flushes_what_follows_it() {
    let firmware = Firmware::start();
    let (folder, path) = capture("flush.pcapng");
    let (tap, near) = proxy(&firmware.endpoint, &["-qq", "-w", path.to_str().expect("UTF-8")]);
    let (code, _) = ping(&near, &["-c", "1", "-s", "1459", "-W", "50ms"]);
    assert_eq!(code, 1, "1501 bytes are over the limit of 1500");
    // The driver is deaf for 100 ms after it has flushed; then it is back in step.
    std::thread::sleep(Duration::from_millis(300));
    let (code, report) = ping(&near, &["-c", "2", "-i", "0.05"]);
    assert_eq!(code, 0, "{report}");
    assert!(firmware.log.text().contains("1501"), "{}", firmware.log.text());
    assert_eq!(firmware.counter("bad_length"), 1);
    assert!(firmware.counter("flushed") > 1000);
    assert!(tap.interrupt().success());
    assert_eq!(tshark_count(&path, "icmp.type == 8"), 3);
    assert_eq!(tshark_count(&path, "icmp.type == 0"), 2);
    assert_wireshark_is_happy(&path);
    drop(folder);
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn the_old_driver_skips_two_bytes_and_reads_on() {
    let firmware = Firmware::start();
    firmware.command("driver old");
    let mut line = TcpStream::connect(&firmware.endpoint[4..]).expect("the tunnel");
    line.write_all(&[0, 0]).expect("the tunnel takes bytes");
    drop(line);
    let (code, report) = ping(&firmware.endpoint, &["-c", "1"]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(firmware.counter("bad_length"), 1);
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn twenty_pings_of_1000_bytes_through_the_proxy_are_forty_frames_in_tshark() {
    let firmware = Firmware::start();
    let (folder, path) = capture("out.pcapng");
    let (tap, near) = proxy(&firmware.endpoint, &["--pcap", path.to_str().expect("UTF-8")]);
    let output = run(["inject", "icmp", "-d", &near, "-c", "20", "-s", "1000", "-i", "20ms"]);
    assert!(output.status.success());
    assert!(tap.interrupt().success());
    assert_eq!(tshark_count(&path, "icmp.type == 8 && frame.len == 1042"), 20);
    assert_eq!(tshark_count(&path, "icmp.type == 0 && frame.len == 1042"), 20);
    assert_wireshark_is_happy(&path);

    // Directions and interface names are what Wireshark shows, too.
    let fields = ["-T", "fields", "-e", "frame.interface_name", "-e", "icmp.type"];
    let directions = ["-e", "frame.packet_flags_direction"];
    let table = tshark(&path, &[&["-Y", "icmp"], &fields[..], &directions[..]].concat());
    for line in table.lines() {
        let columns: Vec<_> = line.split('\t').collect();
        let direction = if columns[1] == "8" { "0x00000002" } else { "0x00000001" };
        assert_eq!(columns, [firmware.endpoint.as_str(), columns[1], direction]);
    }
    // The lines say the same.
    let stdout = tap.stdout();
    assert_eq!(
        lines_with(&stdout, " -> IP 192.168.100.1 > 192.168.100.2: ICMP echo req").len(),
        20
    );
    let replies = lines_with(&stdout, " <- IP 192.168.100.2 > 192.168.100.1: ICMP echo reply");
    assert_eq!(replies.len(), 20);
    assert!(replies.iter().all(|line| line.ends_with(" ms)")), "{replies:?}");
    let summary = "40 frames (20 to the device, 20 from it), 40.7 KiB, 0 framing errors, 0 dropped";
    assert!(tap.stderr().contains(summary), "{}", tap.stderr());
    drop(folder);
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn a_thousand_pings_through_the_proxy_are_all_in_both_kinds_of_capture() {
    let firmware = Firmware::start();
    for name in ["thousand.pcapng", "thousand.pcap"] {
        let (folder, path) = capture(name);
        let (tap, near) = proxy(&firmware.endpoint, &["-qq", "-w", path.to_str().expect("UTF-8")]);
        let (code, report) = ping(&near, &["-c", "1000", "-i", "1ms", "-q", "-W", "10s"]);
        assert_eq!(code, 0, "{report}");
        assert!(tap.interrupt().success(), "{}", tap.stderr());
        assert_eq!(tshark_count(&path, "icmp.type == 8"), 1000);
        assert_eq!(tshark_count(&path, "icmp.type == 0"), 1000);
        assert!(tap.stderr().contains("2000 frames (1000 to the device, 1000 from it)"));
        assert!(tap.stderr().contains("0 framing errors, 0 dropped"), "{}", tap.stderr());
        assert_wireshark_is_happy(&path);
        drop(folder);
    }
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn a_reset_in_mid_capture_is_survived_and_the_boot_frame_is_seen() {
    let firmware = Firmware::start();
    let (folder, path) = capture("reset.pcapng");
    let (tap, near) = proxy(&firmware.endpoint, &["-w", path.to_str().expect("UTF-8")]);
    let traffic = Process::start(uarttool().args(["ping", "-d", &near, "-i", "5ms", "-s", "700"]));
    tap.out.wait_for(0, "seq 50,");
    let from = tap.out.len();
    firmware.reset();
    tap.out.wait_for(from, "ARP, Announcement 192.168.100.2");
    drop(traffic);
    // What was cut by the reset, and by the end of the traffic, is discarded within a second.
    std::thread::sleep(Duration::from_millis(1300));
    let (code, report) = ping(&near, &["-c", "2", "-i", "0.1"]);
    assert_eq!(code, 0, "{report}");
    assert!(tap.interrupt().success());
    assert!(tshark_count(&path, "arp.opcode == 1 && arp.src.proto_ipv4 == 192.168.100.2") >= 1);
    assert_wireshark_is_happy(&path);
    drop(folder);
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn a_killed_and_restarted_qemu_is_found_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("uart1.sock");
    let path = folder.path().join("lives.pcapng");
    let setup = Setup { unix: Some(socket.clone()), ..Setup::default() };
    let endpoint = format!("unix:{},reconnect=100ms", socket.display());

    let firmware = Firmware::start_with(&setup);
    let tap = sniff(&endpoint, &["-w", path.to_str().expect("UTF-8")]);
    firmware.command("garp");
    tap.out.wait_for(0, "ARP, Announcement 192.168.100.2");
    firmware.kill();
    tap.out.wait_for(0, "** link lost");
    tap.err.wait_for(0, "waiting for unix:");
    let from = tap.out.len();
    let firmware = Firmware::start_with(&setup);
    tap.out.wait_for(from, "** link connected");
    firmware.command("garp");
    tap.out.wait_for(from, "ARP, Announcement 192.168.100.2");
    assert!(tap.interrupt().success());
    assert!(tshark_count(&path, "arp") >= 2);
    let entries = ["-Y", "systemd_journal", "-T", "fields", "-e", "_ws.col.Info"];
    let entries = tshark(&path, &entries);
    assert_eq!(lines_with(&entries, "link: lost").len(), 1, "{entries}");
    assert_eq!(lines_with(&entries, "link: connected").len(), 2, "{entries}");
    assert_wireshark_is_happy(&path);
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn the_proxy_survives_a_restart_with_its_client_connecting_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("uart1.sock");
    let setup = Setup { unix: Some(socket.clone()), ..Setup::default() };
    let endpoint = format!("unix:{},reconnect=100ms", socket.display());
    let firmware = Firmware::start_with(&setup);
    let (tap, near) = proxy(&endpoint, &["-qq"]);
    assert_eq!(ping(&near, &["-c", "1"]).0, 0);
    firmware.kill();
    tap.err.wait_for(0, "waiting for unix:");
    let from = tap.err.len();
    let _firmware = Firmware::start_with(&setup);
    tap.err.wait_for(from, "connected to unix:");
    assert_eq!(ping(&near, &["-c", "1"]).0, 0);
    assert!(tap.interrupt().success());
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn without_reconnect_a_vanished_qemu_ends_the_capture_with_3_and_a_whole_file() {
    let firmware = Firmware::start();
    let (folder, path) = capture("gone.pcapng");
    let tap = sniff(&firmware.endpoint, &["-w", path.to_str().expect("UTF-8")]);
    firmware.command("garp");
    tap.out.wait_for(0, "ARP, Announcement");
    firmware.kill();
    assert_eq!(tap.wait(support::SOON).code(), Some(3));
    assert!(tap.stderr().contains("went away"), "{}", tap.stderr());
    assert_eq!(tshark_count(&path, "arp"), 1);
    drop(folder);
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn a_cut_frame_costs_what_follows_within_a_second_and_is_shown_as_cut() {
    let firmware = Firmware::start();
    let (folder, path) = capture("cut.pcapng");
    let (tap, near) = proxy(&firmware.endpoint, &["-w", path.to_str().expect("UTF-8")]);
    let mut client = TcpStream::connect(&near[4..]).expect("the proxy");
    let mut cut = vec![0, 98, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45];
    cut.extend([0; 13]);
    client.write_all(&cut).expect("the proxy takes bytes");
    tap.err.wait_for(0, "listening");
    std::thread::sleep(Duration::from_millis(50));
    drop(client);
    tap.err.wait_for(0, "the client left in the middle of a frame");
    tap.out.wait_for(0, "!! framing: frame of 98 bytes cut short at byte 0; passed over 30 bytes");

    // Whatever comes now is taken for the rest of the frame that was cut.
    let (code, _) = ping(&near, &["-c", "1", "-W", "200ms"]);
    assert_eq!(code, 1, "the device still waits for the rest");
    std::thread::sleep(Duration::from_millis(1300));
    let (code, report) = ping(&near, &["-c", "2", "-i", "0.05"]);
    assert_eq!(code, 0, "{report}");
    assert!(tap.interrupt().success());

    let errors = tshark(
        &path,
        &["-Y", "frame.interface_id == 1 && frame.len > 0", "-T", "fields", "-e", "frame.len"],
    );
    assert_eq!(errors.trim(), "30");
    assert!(tap.stderr().contains("1 framing error, 0 dropped"), "{}", tap.stderr());
    assert_wireshark_is_happy(&path);
    drop(folder);
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn a_frame_cut_by_silence_is_told_from_the_one_that_follows_on_the_same_connection() {
    let firmware = Firmware::start();
    let (tap, near) = proxy(&firmware.endpoint, &["-x"]);
    let mut client = TcpStream::connect(&near[4..]).expect("the proxy");
    let ping = [
        &[0u8, 42, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 28, 0, 1, 0, 0][..],
        &[64, 1, 0x31, 0x8c, 192, 168, 100, 1, 192, 168, 100, 2, 8, 0, 0xf7, 0xf5, 0, 9, 0, 1],
    ]
    .concat();
    client.write_all(&ping[..20]).expect("the proxy takes bytes");
    std::thread::sleep(Duration::from_millis(1300)); // the device discards after a second
    client.write_all(&ping).expect("the proxy takes bytes");
    tap.out.wait_for(0, "<- IP 192.168.100.2 > 192.168.100.1: ICMP echo reply, id 9, seq 1");
    let stdout = tap.stdout();
    let cut =
        "!! framing: frame of 42 bytes cut short at byte 0; passed over 20 bytes, back in step";
    assert_eq!(lines_with(&stdout, cut).len(), 1, "{stdout}");
    assert_eq!(lines_with(&stdout, "-> IP").len(), 1, "{stdout}");
    assert_eq!(firmware.counter("body_timeouts"), 1);
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn noise_from_the_device_is_shown_counted_kept_and_followed_by_good_frames() {
    let firmware = Firmware::start();
    let (folder, path) = capture("noise.pcapng");
    let tap = sniff(&firmware.endpoint, &["-w", path.to_str().expect("UTF-8")]);
    firmware.command("raw ffff00112233445566778899aabbccddeeff");
    firmware.command("garp");
    firmware.command("garp");
    tap.out.wait_for(0, "ARP, Announcement 192.168.100.2");
    std::thread::sleep(Duration::from_millis(300));
    assert!(tap.interrupt().success());
    let stdout = tap.stdout();
    assert_eq!(lines_with(&stdout, "ARP, Announcement").len(), 2, "{stdout}");
    let shown = "!! framing: length 65535 > 1514 at byte 0; passed over 18 bytes, back in step (";
    assert_eq!(lines_with(&stdout, shown).len(), 1, "{stdout}");
    let raw = ["-Y", "frame.interface_id == 1 && frame.len == 18", "-x"];
    assert!(tshark(&path, &raw).contains("ff ff 00 11 22 33 44 55 66 77 88 99 aa bb cc dd"));
    let statistics = ["-Y", "frame.interface_id == 1 && frame.comment contains \"framing\""];
    assert_eq!(tshark(&path, &statistics).lines().count(), 1);
    assert_wireshark_is_happy(&path);
    drop(folder);
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn a_line_that_loses_frames_fails_the_ping() {
    let firmware = Firmware::start();
    firmware.command("drop 4");
    let (code, report) = ping(&firmware.endpoint, &["-c", "12", "-i", "5ms", "-W", "400ms"]);
    assert_eq!(code, 1);
    assert!(report.contains("no reply to icmp_seq="), "{report}");
    assert!(report.contains("12 packets transmitted, 9 received, 25% packet loss"), "{report}");
    firmware.command("drop 0");
    firmware.command("mute on");
    let (code, report) = ping(&firmware.endpoint, &["-c", "2", "-i", "5ms", "-W", "100ms"]);
    assert_eq!(code, 1);
    assert!(report.contains("2 packets transmitted, 0 received, 100% packet loss"), "{report}");
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn without_nodelay_quickack_makes_the_difference_side_by_side() {
    let firmware = Firmware::start_with(&Setup { nodelay: false, ..Setup::default() });
    // The kernel delays acknowledgements on connections that look interactive: those on which we
    // send soon after we have received.
    let args = ["-c", "30", "-i", "30ms", "-q"];
    let (code, report) = ping(&firmware.endpoint, &args);
    assert_eq!(code, 0, "{report}");
    let with = average_rtt(&report);
    let (code, report) = ping(&format!("{},quickack=off", firmware.endpoint), &args);
    assert_eq!(code, 0, "{report}");
    let without = average_rtt(&report);
    assert!(without > 15.0, "the delayed acknowledgement shows: {without} ms");
    assert!(with < 8.0, "and is gone: {with} ms");
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn behind_another_client_it_says_who_within_two_seconds_and_sends_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let unix = Setup { unix: Some(folder.path().join("t.sock")), ..Setup::default() };
    for setup in [Setup::default(), unix] {
        let firmware = Firmware::start_with(&setup);
        let holder = sniff(&firmware.endpoint, &[]);
        let started = Instant::now();
        let output = run(["ping", "-d", &firmware.endpoint, "-c", "1", "--no-attach"]);
        let (stdout, stderr) = text(&output);
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
        assert_eq!(output.status.code(), Some(3), "{stdout}{stderr}");
        let who = format!("is held by uarttool (pid {})", holder.id());
        assert!(stderr.contains(&who), "{stderr}");
        holder.interrupt();
        drop(holder);
        assert_eq!(ping(&firmware.endpoint, &["-c", "1"]).0, 0);
        assert_eq!(firmware.counter("rx_frames"), 1, "the queued one sent nothing");
    }
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn a_thousand_frames_and_then_sigint_leave_none_behind() {
    let firmware = Firmware::start();
    let (folder, path) = capture("drain.pcap");
    let (tap, near) = proxy(&firmware.endpoint, &["-qq", "-w", path.to_str().expect("UTF-8")]);
    let (code, _) = ping(&near, &["-c", "500", "-i", "1ms", "-s", "16", "-q", "-W", "10s"]);
    assert_eq!(code, 0);
    assert!(tap.interrupt().success());
    assert_eq!(tshark_count(&path, "icmp"), 1000);
    drop(folder);
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn killed_while_it_writes_it_leaves_a_capture_that_opens_up_to_the_last_second() {
    let firmware = Firmware::start();
    let (folder, path) = capture("killed.pcapng");
    let (tap, near) = proxy(&firmware.endpoint, &["-w", path.to_str().expect("UTF-8")]);
    let traffic = Process::start(uarttool().args(["ping", "-d", &near, "-i", "2ms"]));
    tap.out.wait_for(0, "echo reply, id");
    let from = tap.out.len();
    std::thread::sleep(Duration::from_millis(500));
    let shown = tap.out.text()[from..].lines().count();
    tap.signal(Signal::KILL);
    tap.wait(support::SOON);
    traffic.wait(support::SOON);
    let kept = tshark_count(&path, "icmp");
    assert!(kept >= shown && shown > 20, "{kept} frames are in the file, {shown} were shown");
    drop(folder);
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn a_capture_into_a_pipe_is_read_along() {
    let firmware = Firmware::start();
    let script = "\"$0\" sniff -d \"$1\" -c 3 -w - | tshark -n -r - -Y arp";
    let reader = Process::start(
        std::process::Command::new("sh")
            .args(["-c", script, &support::binary(), &firmware.endpoint])
            .env("XDG_RUNTIME_DIR", support::runtime_folder())
            .env_remove("UARTTOOL_DEVICE"),
    );
    reader.err.wait_for(0, "connected to");
    for _ in 0..3 {
        firmware.command("garp");
    }
    assert!(reader.wait(support::SOON).success(), "{}", reader.stderr());
    assert_eq!(lines_with(&reader.stdout(), "ARP Announcement").len(), 3, "{}", reader.stdout());
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn count_duration_hex_and_ready_do_what_they_say() {
    let firmware = Firmware::start();
    let (folder, _) = capture("unused");
    let ready = folder.path().join("ready");
    let script = "exec \"$0\" sniff -d \"$1\" -c 2 -x --ready-fd 3 3>\"$2\"";
    let tap = Process::start(
        std::process::Command::new("sh")
            .args(["-c", script, &support::binary(), &firmware.endpoint])
            .arg(&ready)
            .env("XDG_RUNTIME_DIR", support::runtime_folder())
            .env_remove("UARTTOOL_DEVICE"),
    );
    let deadline = Instant::now() + support::SOON;
    while std::fs::read_to_string(&ready).unwrap_or_default() != "ready\n" {
        assert!(Instant::now() < deadline, "never ready: {}", tap.stderr());
        std::thread::sleep(Duration::from_millis(5));
    }
    for _ in 0..4 {
        firmware.command("garp");
    }
    assert!(tap.wait(support::SOON).success());
    let stdout = tap.stdout();
    assert_eq!(lines_with(&stdout, "ARP, Announcement").len(), 2, "{stdout}");
    assert!(stdout.contains("\t0x0000:  0001 0800 0604 0001 0200 0000 0002 c0a8"), "{stdout}");
    assert!(tap.stderr().contains("2 frames (0 to the device, 2 from it), 84 B"));

    let started = Instant::now();
    let output = run(["sniff", "-d", &firmware.endpoint, "--duration", "300ms"]);
    assert!(output.status.success());
    assert!((300..2000).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn a_client_that_comes_while_the_device_is_sending_starts_at_a_frame() {
    let firmware = Firmware::start();
    firmware.command("txbaud 115200");
    let (tap, near) = proxy(&firmware.endpoint, &["-qq"]);
    // Keep the line busy with large replies, so that the next client comes in mid-frame.
    for _ in 0..5 {
        let (_, report) = ping(&near, &["-c", "2", "-i", "1ms", "-s", "1400", "-W", "30ms"]);
        assert!(report.contains("2 packets transmitted"), "{report}");
        let (code, report) = ping(&near, &["-c", "1", "-W", "3s"]);
        assert_eq!(code, 0, "{report}");
        assert!(!report.contains("!! framing"), "{report}");
    }
    assert!(tap.interrupt().success());
    assert!(tap.stderr().contains("0 framing errors, 0 dropped"), "{}", tap.stderr());
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn a_ping_faster_than_the_line_neither_hangs_nor_costs_the_next_one_anything() {
    let folder = tempfile::tempdir().expect("a folder");
    let unix = Setup { unix: Some(folder.path().join("t.sock")), ..Setup::default() };
    for setup in [Setup::default(), unix] {
        let firmware = Firmware::start_with(&setup);
        let flood = ["-c", "150", "-i", "1ms", "-s", "1400", "-q", "--deadline", "500ms"];
        let started = Instant::now();
        let (_, report) = ping(&firmware.endpoint, &flood);
        assert!(started.elapsed() < Duration::from_secs(8), "{report}");
        assert!(report.contains("packets transmitted"), "{report}");
        let (code, report) = ping(&firmware.endpoint, &["-c", "3", "-i", "0.1", "-W", "10s"]);
        assert_eq!(code, 0, "{report}");
    }
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn the_console_stands_beside_the_line_and_a_crash_is_recognised() {
    let mut firmware = Firmware::start();
    let console = format!("tcp:{}", firmware.release_console());
    let (folder, path) = capture("console.pcapng");
    let tap =
        sniff(&firmware.endpoint, &["--console", &console, "-w", path.to_str().expect("UTF-8")]);
    tap.err.wait_for(0, "console at tcp:");
    // Nobody can type a command while we listen: a bad frame makes the device say something.
    drop(tap);
    let tap =
        sniff(&firmware.endpoint, &["--console", &console, "-w", path.to_str().expect("UTF-8")]);
    tap.err.wait_for(0, "console at tcp:");
    firmware.qmp("system_reset", serde_json::json!({}));
    tap.out.wait_for(0, "main: ready");
    tap.out.wait_for(0, "ARP, Announcement 192.168.100.2");
    assert!(tap.interrupt().success());
    let stdout = tap.stdout();
    assert_eq!(lines_with(&stdout, ":: I (").len(), lines_with(&stdout, " I (").len());
    assert!(tap.stderr().contains("console: "), "{}", tap.stderr());
    let lines = tshark(&path, &["-Y", "systemd_journal", "-T", "fields", "-e", "_ws.col.Info"]);
    assert!(lines.contains("main: ready"), "{lines}");
    assert_wireshark_is_happy(&path);

    // A crash, asked for through the console that is then handed over.
    firmware.attach_console();
    firmware.say("stall 400");
    firmware.log.wait_for(0, "stalled for 400 ms");
    firmware.say("crash");
    let console = format!("tcp:{}", firmware.release_console());
    let tap = sniff(&firmware.endpoint, &["--console", &console, "-q"]);
    tap.out.wait_for(0, "!! panic: Guru Meditation Error");
    tap.out.wait_for(0, "!! reboot: Rebooting...");
    tap.out.wait_for(0, "main: ready");
    assert!(tap.interrupt().success());
    assert!(tap.stderr().contains("1 panic"), "{}", tap.stderr());
    assert!(tap.stderr().contains("1 reboot"), "{}", tap.stderr());
    drop(folder);
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn two_hundred_pings_through_a_sniff_that_holds_the_line_are_all_in_both_captures() {
    let firmware = Firmware::start();
    let (folder, held) = capture("held.pcapng");
    let pinged = folder.path().join("pinged.pcapng");
    let holder = sniff(&firmware.endpoint, &["-qq", "-w", held.to_str().expect("UTF-8")]);
    let args = ["-c", "200", "-i", "5ms", "-q", "-W", "10s", "-w"];
    let pinged_text = pinged.to_str().expect("UTF-8");
    let output = run([&["ping", "-d", &firmware.endpoint], &args[..], &[pinged_text]].concat());
    let (report, stderr) = text(&output);
    assert!(output.status.success(), "{report}{stderr}");
    let said = format!("attached to uarttool sniff (pid {})", holder.id());
    assert!(stderr.contains(&said), "{stderr}");
    assert!(report.contains("200 packets transmitted, 200 received, 0% packet loss"), "{report}");
    assert!(holder.interrupt().success(), "{}", holder.stderr());
    assert!(holder.stderr().contains("400 frames (200 to the device, 200 from it)"));
    assert!(holder.stderr().contains("0 framing errors, 0 dropped"), "{}", holder.stderr());
    for path in [&held, &pinged] {
        assert_eq!(tshark_count(path, "icmp.type == 8"), 200);
        assert_eq!(tshark_count(path, "icmp.type == 0"), 200);
        assert_wireshark_is_happy(path);
    }
}

/// What a ping's report says beside times: the lines of replies and losses, and the statistics.
fn answers(report: &str) -> Vec<String> {
    let timeless = |line: &str| {
        let words = line.split_whitespace();
        let words = words.filter(|w| !w.starts_with("time") && *w != "ms" && !w.ends_with("ms"));
        words.collect::<Vec<_>>().join(" ")
    };
    let lines = report.lines().filter(|line| !line.starts_with("PING") && !line.starts_with("rtt"));
    lines.map(timeless).collect()
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn the_same_commands_give_the_same_answers_on_sim_on_qemu_and_through_another_process() {
    let firmware = Firmware::start();
    let behind = Firmware::start();
    let _holder = sniff(&behind.endpoint, &["-qq"]);
    let places = ["sim,model=esp32-new", &firmware.endpoint, &behind.endpoint];
    for args in [
        &["-c", "3", "-i", "0.3"][..],
        &["-c", "2", "-i", "0.3", "-s", "1000", "-p", "00ff"],
        &["-c", "2", "-i", "0.3", "-s", "0", "-t", "1"],
        &["--sweep", "1456..1460/2", "-i", "0.8", "-W", "700ms"],
    ] {
        let all = places.map(|place| answers(&ping(place, args).1));
        assert!(all[0].len() > 3, "{all:?}");
        assert_eq!(all[0], all[1], "sim and QEMU");
        assert_eq!(all[1], all[2], "directly and through another process");
    }
}

/// The hex of all frames that decode shows of a capture, in time order.
fn frames_of(path: &std::path::Path, args: &[&str]) -> Vec<String> {
    let file = path.to_str().expect("a plain path");
    let output =
        run([&["decode", file, "-xx", "-t"], args, &["icmp", "and", "not", "malformed"]].concat());
    let (stdout, stderr) = text(&output);
    assert!(output.status.success(), "{stderr}");
    let is_about_the_link = |line: &&str| line.starts_with("**");
    stdout.lines().filter(|line| !is_about_the_link(line)).map(str::to_owned).collect()
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn a_capture_of_the_tunnel_s_own_port_is_what_went_through_it() {
    let firmware = Firmware::start();
    let port = firmware.endpoint.rsplit(':').next().expect("a port");
    let (folder, outer) = capture("lo.pcap");
    let inner = folder.path().join("own.pcapng");
    let tcpdump = Process::start(
        std::process::Command::new("tcpdump")
            .args(["-i", "lo", "--immediate-mode", "-B", "65536", "-s", "2000", "-U", "-w"])
            .arg(&outer)
            .args(["tcp", "port", port]),
    );
    tcpdump.err.wait_for(0, "listening on lo");
    let own = inner.to_str().expect("a plain path");
    let (code, report) =
        ping(&firmware.endpoint, &["-c", "3", "-i", "0.05", "-s", "400", "-w", own]);
    assert_eq!(code, 0, "{report}");
    std::thread::sleep(Duration::from_millis(300));
    tcpdump.signal(Signal::INT);
    tcpdump.wait(Duration::from_secs(10));
    let without_delay = |lines: Vec<String>| -> Vec<String> {
        lines.iter().map(|line| line.split("  (").next().unwrap_or_default().to_owned()).collect()
    };
    let (through, sent) = (frames_of(&outer, &["--inner", port]), frames_of(&inner, &[]));
    let all = through.join("\n");
    assert_eq!(all.matches(": ICMP echo re").count(), 6, "{all}\n\n{}", sent.join("\n"));
    assert_eq!(without_delay(through), without_delay(sent));
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn what_the_device_says_is_filtered_and_told_as_json_with_its_console() {
    let firmware = Firmware::start();
    let sniffing =
        sniff(&firmware.endpoint, &["--json", "from", "device", "and", "ip.ttl", ">=", "64"]);
    let (code, _) = ping(&firmware.endpoint, &["-c", "2", "-i", "0.05"]);
    assert_eq!(code, 0);
    let begun = Instant::now();
    while sniffing.stdout().lines().count() < 2 && begun.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(sniffing.interrupt().success());
    let frames: Vec<serde_json::Value> =
        sniffing.stdout().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let frames: Vec<_> = frames.iter().filter(|value| value["type"] == "frame").collect();
    assert_eq!(frames.len(), 2, "{}", sniffing.stdout());
    for frame in frames {
        assert_eq!(frame["direction"], "from-device");
        assert_eq!(frame["icmp.type"], 0);
        assert_eq!(frame["malformed"], false);
        assert!(frame["delay"].as_f64().is_some_and(|delay| delay > 0.0 && delay < 1.0), "{frame}");
    }
}
