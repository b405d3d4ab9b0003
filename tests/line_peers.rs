//! Lines whose other ends are other people's: QEMU's network and monitor, VDE's switch, socat.

#![cfg(target_os = "linux")]

mod support;

use std::process::{Child, Command, Stdio};

use support::firmware::{Firmware, Setup};
use support::{Process, SOON, binary, uarttool};
use tempfile::TempDir;

/// `uarttool ping ARGUMENTS`: exit code, stdout and stderr.
fn ping(arguments: &[&str]) -> (i32, String, String) {
    let process = Process::start(uarttool().arg("ping").args(arguments));
    let code = process.wait(3 * SOON).code().expect("it ended by itself");
    (code, process.stdout(), process.stderr())
}

fn wait_for_file(path: &std::path::Path) {
    let deadline = std::time::Instant::now() + SOON;
    while !path.exists() {
        assert!(std::time::Instant::now() < deadline, "{} does not come", path.display());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// A VDE switch; it ends when its stdin does.
struct Switch {
    program: Child,
    folder: TempDir,
}

impl Switch {
    fn start() -> Switch {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("vde_switch");
        command.arg("-s").arg(folder.path().join("ctl")).stdin(Stdio::piped());
        let program = command.stdout(Stdio::null()).spawn().expect("vde2 is there");
        wait_for_file(&folder.path().join("ctl/ctl"));
        Switch { program, folder }
    }

    fn control(&self) -> String {
        self.folder.path().join("ctl").display().to_string()
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

#[test]
#[ignore = "needs qemu-system-arm: scripts/test"]
fn qemus_user_network_answers_over_datagrams() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (theirs, ours) = (at("qemu.sock"), at("own.sock"));
    let dgram = format!(
        "dgram,id=s,local.type=unix,local.path={theirs},remote.type=unix,remote.path={ours}"
    );
    let _qemu = Process::start(
        Command::new("qemu-system-arm")
            .args(["-M", "none", "-nodefaults", "-display", "none", "-monitor", "none"])
            .args(["-netdev", "user,id=u", "-netdev", "hubport,id=h0,hubid=0,netdev=u"])
            .args(["-netdev", &dgram, "-netdev", "hubport,id=h1,hubid=0,netdev=s"]),
    );
    wait_for_file(folder.path().join("qemu.sock").as_path());
    // We are the guest: libslirp is 10.0.2.2 and answers for itself.
    let endpoint = format!("unix:{theirs},local={ours},framing=dgram");
    let guest = ["--host-ip", "10.0.2.15", "--device-ip", "10.0.2.2"];
    let macs = ["--host-mac", "52:54:00:12:34:56", "--device-mac", "52:55:0a:00:02:02"];
    let often = ["-d", &endpoint, "-c", "5", "-i", "50ms", "-W", "5s"];
    let (code, report, error) = ping(&[&often[..], &guest, &macs].concat());
    assert_eq!(code, 0, "{report}{error}");
    assert!(report.contains("5 packets transmitted, 5 received, 0% packet loss"), "{report}");
}

#[test]
#[ignore = "needs qemu-system-arm: scripts/test"]
fn the_monitor_of_a_guest_is_found_behind_each_kind_of_network_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (line, ours, monitor) = (at("line.sock"), at("own.sock"), at("qmp.sock"));
    let dgram =
        format!("dgram,id=s,local.type=unix,local.path={line},remote.type=unix,remote.path={ours}");
    let stream = format!("stream,id=s,server=on,addr.type=unix,addr.path={line}");
    let mon = format!("socket,id=m,path={monitor},server=on,wait=off");
    for (network, endpoint) in [
        (&dgram, format!("unix:{line},local={ours},framing=dgram")),
        (&stream, format!("unix:{line},framing=len32be")),
    ] {
        let qemu = Process::start(
            Command::new("qemu-system-arm")
                .args(["-M", "none", "-nodefaults", "-display", "none", "-netdev", network])
                .args(["-chardev", &mon, "-mon", "chardev=m,mode=control"]),
        );
        wait_for_file(folder.path().join("qmp.sock").as_path());
        wait_for_file(folder.path().join("line.sock").as_path());
        let reset = Process::start(uarttool().args(["reset", "-d", &endpoint]));
        assert!(reset.wait(SOON).success(), "{endpoint}: {}", reset.stderr());
        assert!(reset.stderr().contains("reset: system_reset"), "{}", reset.stderr());
        drop(qemu);
        for name in ["qmp.sock", "line.sock"] {
            let _ = std::fs::remove_file(at(name)); // QEMU may have
        }
    }
}

#[test]
#[ignore = "needs vde2: scripts/test"]
fn a_vde_switch_joins_two_of_us() {
    let switch = Switch::start();
    let control = switch.control();
    let plug = format!("exec:vde_plug {control}");
    let device = Process::start(uarttool().args(["sim", "--listen", &plug]));
    device.err.wait_for(0, "connected to exec:vde_plug");
    // The program runs; its plug may not be in the switch yet.
    let is_there = || ping(&["-d", &plug, "-c", "1", "-W", "1s"]).0 == 0;
    assert!((0..20).any(|_| is_there()), "{}", device.stderr());
    let (code, report, error) = ping(&["-d", &plug, "-c", "5", "-i", "50ms", "-W", "5s"]);
    assert_eq!(code, 0, "{report}{error}");
    assert!(report.contains("5 packets transmitted, 5 received, 0% packet loss"), "{report}");
    assert!(device.interrupt().success(), "{}", device.stderr());
}

#[test]
#[ignore = "needs root, /dev/net/tun, iproute2, vde2: scripts/test"]
fn linux_behind_a_vde_switch_reaches_the_device() {
    let name = format!("uarttool-vde-{}", std::process::id());
    let ip = |arguments: &[&str]| {
        let output = Command::new("ip").args(arguments).output().expect("iproute2 is there");
        assert!(output.status.success(), "ip {arguments:?}: {output:?}");
    };
    ip(&["netns", "add", &name]);
    let folder = tempfile::tempdir().expect("a folder");
    let control = folder.path().join("ctl").display().to_string();
    let inside = ["netns", "exec", &name];
    let mut switch = Command::new("ip")
        .args(inside)
        .args(["vde_switch", "-s", &control, "-tap", "vde0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("iproute2 is there");
    wait_for_file(&folder.path().join("ctl/ctl"));
    // The device knows its host by this address, as the firmware that it stands for.
    ip(&["-n", &name, "link", "set", "vde0", "address", "02:00:00:00:00:01"]);
    ip(&["-n", &name, "addr", "add", "192.168.100.1/24", "dev", "vde0"]);
    ip(&["-n", &name, "link", "set", "vde0", "up"]);
    let plug = format!("exec:vde_plug {control}");
    let device = Process::start(uarttool().args(["sim", "--listen", &plug]));
    device.err.wait_for(0, "connected to exec:vde_plug");
    let curl = ["curl", "-sS", "--fail", "-m", "30", "http://192.168.100.2/blob/100000"];
    let page = Command::new("ip").args(inside).args(curl).output().expect("curl is there");
    let _ = switch.kill();
    let _ = switch.wait();
    ip(&["netns", "del", &name]);
    assert_eq!(page.stdout.len(), 100_000, "{}", String::from_utf8_lossy(&page.stderr));
}

#[test]
#[ignore = "needs vde2: scripts/test"]
fn dpipe_joins_a_device_and_a_switch() {
    let switch = Switch::start();
    let control = switch.control();
    let program = binary();
    let pipe = [&program, "sim", "--listen", "stdio", "=", "vde_plug", &control];
    let pipe = Process::start(Command::new("dpipe").args(pipe));
    pipe.err.wait_for(0, "connected to stdio");
    let plug = format!("exec:vde_plug {control}");
    let (code, report, error) = ping(&["-d", &plug, "-c", "3", "-i", "50ms", "-W", "5s"]);
    assert_eq!(code, 0, "{report}{error}");
}

#[test]
#[ignore = "needs socat: scripts/test"]
fn a_pty_of_socat_is_a_serial_port() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let ends = ["a", "b"].map(|name| format!("pty,raw,echo=0,link={}", at(name)));
    let _socat = Process::start(Command::new("socat").args(&ends));
    wait_for_file(folder.path().join("b").as_path());
    let listen = format!("serial:{}", at("a"));
    let device = Process::start(uarttool().args(["sim", "--listen", &listen]));
    device.err.wait_for(0, "connected to");
    let (code, report, error) =
        ping(&["-d", &format!("serial:{}", at("b")), "-c", "3", "-i", "50ms"]);
    assert_eq!(code, 0, "{report}{error}");
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn a_guest_is_reset_by_its_monitor_named_or_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let monitor = folder.path().join("qmp.sock");
    let more = ["-qmp".to_owned(), format!("unix:{},server=on,wait=off", monitor.display())];
    let setup = Setup { more: more.to_vec(), ..Setup::default() };
    let firmware = Firmware::start_with(&setup);
    let named = format!("unix:{}", monitor.display());
    for way in [["--qmp", &named], ["-d", &firmware.endpoint]] {
        let before = firmware.log.len();
        let process = Process::start(uarttool().arg("reset").args(way));
        let status = process.wait(SOON);
        let said = process.stderr();
        assert!(status.success(), "{way:?}: {said}");
        assert!(said.contains("the guest of QEMU ") && said.contains("system_reset"), "{said}");
        firmware.log.wait_for(before, "main: ready");
    }
}
