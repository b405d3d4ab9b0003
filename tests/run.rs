//! `uarttool run`: what COMMAND gets, how it ends, what is kept, and that nothing is left behind.

#![cfg(target_os = "linux")] // processes are looked for in /proc

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::running::{Place, SIM, firmware, with};
use support::{SOON, assert_wireshark_is_happy, binary, lines_with, text};

#[test]
fn a_command_meets_the_device_and_its_success_is_ours() {
    let place = Place::new();
    let (code, stdout, stderr) = place.run(&with(&SIM, "curl -sf $UARTTOOL_URL"));
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("The reference device"), "{stdout}");
    assert!(lines_with(&stderr, "open     http://127.0.0.1:").len() == 1, "{stderr}");
    assert_eq!(place.left(), Vec::<String>::new(), "evidence of a success is removed");
    let (code, stdout, stderr) =
        place.run(&[&["-q"], &SIM[..], &["--", "echo", "a b", "$HOME"]].concat());
    assert_eq!(
        (code, stdout.as_str(), stderr.as_str()),
        (0, "a b $HOME\n", ""),
        "no shell, no noise"
    );
}

#[test]
fn the_variables_lead_to_every_port_and_to_the_line() {
    let place = Place::new();
    let script = r#"
        test "$UARTTOOL_URL" = "http://127.0.0.1:$UARTTOOL_PORT_80" || exit 11
        test "$(printf hello | socat -t2 - TCP:127.0.0.1:$UARTTOOL_PORT_7)" = hello || exit 12
        test "$(printf hello | socat -t2 - UDP:127.0.0.1:$UARTTOOL_UDP_PORT_7)" = hello || exit 13
        cd / && "$UARTTOOL" ping -c 2 -i 0.05 || exit 14
        sleep 0.2; "$UARTTOOL" decode "$UARTTOOL_PCAP" icmp | grep -c 'ICMP echo'
    "#;
    let forwards = ["-d", "sim", "--forward", "0:7", "--forward", "udp:0:7", "--forward", "0:80"];
    let (code, stdout, stderr) = place.run(&with(&forwards, script));
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert!(stdout.contains("2 received, 0% packet loss"), "{stdout}");
    assert!(stdout.ends_with("\n4\n"), "the capture is there while it runs: {stdout}");
    assert!(stderr.contains("which holds sim"), "another uarttool attaches: {stderr}");
}

#[test]
fn without_forwards_a_ping_is_waited_for() {
    let place = Place::new();
    let args = ["-d", "sim", "--keep", "always", "--", "sh", "-c", "env | grep -c UARTTOOL_PORT"];
    let (code, stdout, _) = place.run(&args);
    assert_eq!((code, stdout.as_str()), (1, "0\n"));
    let path = place.kept().join("capture.pcapng");
    let output = support::run(["decode", path.to_str().expect("a plain path"), "icmp"]);
    assert_eq!(text(&output).0.lines().count(), 2, "{}", text(&output).0);
}

#[test]
fn it_exits_as_the_command_does() {
    let place = Place::new();
    for (command, wanted) in [
        (&["true"][..], 0),
        (&["sh", "-c", "exit 77"], 77),
        (&["sh", "-c", "kill -SEGV $$"], 128 + 11),
        (&["sh", "-c", "kill -TERM $$"], 128 + 15),
        (&["no-such-program"], 127),
        (&["/etc/passwd"], 126),
    ] {
        let (code, _, stderr) =
            place.run(&[&["-q", "--keep", "never"], &SIM[..], &["--"], command].concat());
        assert_eq!(code, wanted, "{command:?}: {stderr}");
        if (126..=127).contains(&wanted) {
            assert!(
                stderr.starts_with(&format!("uarttool: cannot run '{}': ", command[0])),
                "{stderr}"
            );
            assert_eq!(stderr.lines().count(), 1, "{stderr}");
        }
    }
    assert_eq!(place.left(), Vec::<String>::new());
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_started() {
    let place = Place::new();
    let launch = firmware("");
    for (args, sentence) in [
        (
            &["-d", "sim", "--launch", launch.as_str()][..],
            "'--launch' starts a device, and '-d sim'",
        ),
        (&["-d", "sim", "--restart-on-exit"], "starts firmware again, and none is started"),
        (&["-d", "sim", "-w", "-"], "'-w -' is stdout"),
        (&["--launch", "qemu"], "'--launch' does not say where the tunnel is"),
        (&["-d", "sim", "--forward", "x:80"], "'x' is not a port"),
    ] {
        let (code, _, stderr) = place.run(&[args, &["--", "true"]].concat());
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains(sentence), "{stderr}");
    }
    assert_eq!(place.run(&["-d", "sim"]).0, 2, "a command is needed");
    assert_eq!(place.left(), Vec::<String>::new());
}

#[test]
fn evidence_is_kept_when_it_is_wanted() {
    for (keep, script, is_kept) in [
        ("failure", "exit 1", true),
        ("failure", "exit 0", false),
        ("always", "exit 0", true),
        ("never", "exit 1", false),
    ] {
        let place = Place::new();
        let launch = firmware("");
        let args = ["--keep", keep, "--forward", "0:80", "--launch", &launch];
        let (_, _, stderr) = place.run(&with(&args, script));
        if !is_kept {
            assert_eq!(place.left(), Vec::<String>::new(), "{keep} {script}");
            assert!(!stderr.contains("kept "), "{stderr}");
            continue;
        }
        let kept = place.kept();
        let mode = fs::metadata(&kept).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        for name in ["capture.pcapng", "console.log", "launch.log"] {
            let path = kept.join(name);
            assert!(stderr.contains(path.to_str().expect("a plain path")), "{name}: {stderr}");
            assert!(fs::metadata(&path).is_ok_and(|m| m.len() > 0), "{name}");
        }
        assert_wireshark_is_happy(&kept.join("capture.pcapng"));
        let console = fs::read_to_string(kept.join("console.log")).expect("it is there");
        assert!(console.contains("main: ready"), "{console}");
    }
}

#[test]
fn a_failure_is_told_with_the_line_and_the_console_s_last_words() {
    let place = Place::new();
    let launch = firmware("");
    let args = ["--forward", "0:80", "--launch", &launch];
    let (code, _, stderr) = place.run(&with(&args, "curl -sf $UARTTOOL_URL/nothing"));
    assert_eq!(code, 22, "{stderr}");
    let wanted = "failed   `sh -c curl -sf $UARTTOOL_URL/nothing` ended with exit status 22\n";
    assert!(stderr.contains(wanted), "{stderr}");
    assert!(stderr.contains(" 0 framing errors, 0 dropped\nconsole  2 lines\n"), "{stderr}");
    assert!(stderr.contains("| I (0) main: ready\nkept     /"), "{stderr}");
}

#[test]
fn the_user_names_the_capture_or_the_folder() {
    let place = Place::new();
    let folder = tempfile::tempdir().expect("a folder");
    let (pcap, out) = (folder.path().join("own.pcap"), folder.path().join("out"));
    let (pcap_text, out_text) = (pcap.to_str().expect("plain"), out.to_str().expect("plain"));
    let args = [&SIM[..], &["-w", pcap_text]].concat();
    let (code, stdout, _) = place.run(&with(&args, "echo $UARTTOOL_PCAP"));
    assert_eq!((code, stdout.trim()), (0, pcap_text));
    assert!(pcap.exists(), "a capture that has a name stays");
    let args = [&SIM[..], &["--artifacts", out_text]].concat();
    let (_, stdout, stderr) = place.run(&with(&args, "echo $UARTTOOL_PCAP; exit 1"));
    assert_eq!(Path::new(stdout.trim()), out.join("capture.pcapng"));
    assert!(out.join("capture.pcapng").exists(), "{stderr}");
    let (code, _, _) = place.run(&with(&args, "exit 0"));
    assert_eq!(code, 0);
    assert_eq!(fs::read_dir(&out).expect("it stays").count(), 1, "what failed before is kept");
    assert_eq!(place.left(), Vec::<String>::new());
}

#[test]
fn firmware_that_ends_ends_the_command() {
    let place = Place::new();
    let launch = firmware("--duration 1s");
    let begun = Instant::now();
    let args = ["--forward", "0:80", "--launch", &launch];
    let (code, _, stderr) =
        place.run(&with(&args, "trap '' TERM; setsid sleep 1000 & echo; sleep 1001"));
    assert_eq!(code, 1, "{stderr}");
    assert!(begun.elapsed() > Duration::from_secs(5), "SIGKILL comes 5 s after SIGTERM");
    let (firmware, failed) = (stderr.find("\nfirmware `"), stderr.find("\nfailed   `sh -c trap"));
    assert!(firmware.is_some() && firmware < failed, "what came first is told first: {stderr}");
    assert!(stderr.contains("ended with exit status 0: "), "{stderr}");
    assert!(stderr.contains("was ended by SIGKILL for that"), "{stderr}");
    place.wait_until_nothing_runs();
    // It succeeds when it has ended well before.
    let (code, _, stderr) = place.run(&with(&args, "curl -sf $UARTTOOL_URL >/dev/null"));
    assert_eq!(code, 0, "{stderr}");
}

#[test]
fn firmware_is_started_again_if_that_is_wanted_and_forwards_stay() {
    let place = Place::new();
    let launch = firmware("--duration 1s");
    let args = ["--restart-on-exit", "--forward", "0:80", "--launch", &launch];
    let script =
        "for i in 1 2 3 4 5 6; do curl -sf $UARTTOOL_URL >/dev/null || exit 1; sleep 0.5; done";
    let (code, _, stderr) = place.run(&with(&args, script));
    assert_eq!(code, 0, "{stderr}");
    assert!(lines_with(&stderr, "starting it again").len() >= 2, "{stderr}");
    // Not for ever.
    let args = ["--restart-on-exit", "--forward", "0:80", "--launch", "exit 5; : {tunnel}"];
    let (code, _, stderr) = place.run(&with(&args, "true"));
    assert_eq!(code, 3, "{stderr}");
    assert!(
        stderr.contains("ended with exit status 5 and said nothing (5 times in a row)"),
        "{stderr}"
    );
}

#[test]
fn a_device_that_does_not_answer_is_explained() {
    let place = Place::new();
    let launch = firmware("");
    let wait = ["--wait", "2500ms", "--keep", "never"];
    let refuses = ["--forward", "0:81", "--launch", &launch];
    let silent = ["--forward", "0:80", "--launch", "echo booting; sleep 1000; : {tunnel}"];
    let ended = ["--forward", "0:80", "--launch", "echo no such machine; exit 1; : {tunnel}"];
    let nobody = ["-d", "sim", "--device-ip", "192.168.100.9"];
    for (args, sentences) in [
        (
            &refuses[..],
            &["port 81 of 192.168.100.2 refuses connections", "were heard from it", "main: ready"]
                [..],
        ),
        (
            &silent,
            &[
                "nobody answers ARP requests for 192.168.100.2",
                "no connection to unix:",
                "line is: booting",
            ],
        ),
        (&ended, &["ended with exit status 1: no such machine"]),
        (&nobody, &["nobody answers ARP requests for 192.168.100.9"]),
    ] {
        let (code, _, stderr) = place.run(&[&wait, args, &["--", "true"]].concat());
        assert_eq!(code, 3, "{stderr}");
        let sentences = sentences.iter().filter(|sentence| !stderr.contains(**sentence));
        assert_eq!(sentences.collect::<Vec<_>>(), Vec::<&&str>::new(), "{stderr}");
        let is_told = args == ended || stderr.contains("\nwaiting  ");
        assert!(is_told, "what is waited for is said after 2 s: {stderr}");
    }
    place.wait_until_nothing_runs();
    assert_eq!(place.left(), Vec::<String>::new());
}

/// A command that goes on in the background, in sessions of its own.
const FAMILY: &str =
    "setsid sleep 1000 & (setsid sh -c 'sleep 1001 & sleep 1002' &); echo up; sleep 1003";

#[test]
fn a_signal_is_passed_on_and_nothing_is_left() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let place = Place::new();
        let launch = firmware("");
        let run = place.start(&with(&["--forward", "0:80", "--launch", &launch], FAMILY));
        run.out.wait_for(0, "up\n");
        place.wait_until_runs(&["sleep", "1003"]);
        run.signal(signal);
        assert_eq!(run.wait(SOON).code(), Some(code), "{}", run.stderr());
        assert_eq!(place.processes(), Vec::<i32>::new(), "{signal:?}");
    }
}

#[test]
fn the_second_signal_kills() {
    let place = Place::new();
    let script = "trap 'echo no' INT; echo up; while :; do sleep 0.1; done";
    let run = place.start(&with(&SIM, script));
    run.out.wait_for(0, "up\n");
    run.signal(Signal::INT);
    run.out.wait_for(0, "no\n");
    run.signal(Signal::INT);
    assert_eq!(run.wait(SOON).code(), Some(128 + 9), "{}", run.stderr());
    assert_eq!(place.processes(), Vec::<i32>::new());
}

#[test]
fn before_the_command_runs_a_signal_is_130() {
    let place = Place::new();
    let run = place.start(&["--forward", "0:81", "--launch", &firmware(""), "--", "true"]);
    run.err.wait_for(0, "connected to");
    assert_eq!(run.interrupt().code(), Some(130));
    assert_eq!(place.processes(), Vec::<i32>::new());
    let stderr = run.stderr();
    assert!(stderr.contains("stopped  while it was waited for the device: port 81 of"), "{stderr}");
    assert!(place.kept().join("launch.log").exists(), "{stderr}");
}

#[test]
fn killed_it_leaves_neither_command_nor_firmware() {
    let place = Place::new();
    let launch = firmware("");
    let run = place.start(&with(&["--forward", "0:80", "--launch", &launch], FAMILY));
    run.out.wait_for(0, "up\n");
    assert!(place.processes().len() >= 9, "{:?}", place.processes());
    run.signal(Signal::KILL);
    run.wait(SOON);
    place.wait_until_nothing_runs();
}

#[test]
fn what_the_command_leaves_behind_ends_with_it() {
    let place = Place::new();
    let (code, stdout, _) = place.run(&with(&SIM, "setsid sleep 1000 & sleep 1001 & echo done"));
    assert_eq!((code, stdout.as_str()), (0, "done\n"));
    assert_eq!(place.processes(), Vec::<i32>::new());
}

/// `script` gives a run a terminal, on which `typed` is typed; no shell of its own is left to hear Ctrl-C.
fn on_a_terminal(place: &Place, script: &str, typed: &str) -> Output {
    let quoted = format!("exec '{}' run -q -d sim --keep never -- sh -c '{script}'", binary());
    let mut command = Command::new("sh");
    command.env("XDG_RUNTIME_DIR", support::runtime_folder()).env("TMPDIR", place.0.path());
    command.args(["-c", r#"(eval "$1") | script -qec "$2" /dev/null"#, "sh", typed, &quoted]);
    command.output().expect("script is there")
}

#[test]
fn on_a_terminal_the_command_can_be_typed_to() {
    let place = Place::new();
    let script = r#"test -t 0 && read line && echo "got <$line>"; exit 5"#;
    let output = on_a_terminal(&place, script, "sleep 0.5; echo hello; sleep 1");
    let (stdout, _) = text(&output);
    assert!(stdout.contains("got <hello>"), "{stdout}");
    assert_eq!(output.status.code(), Some(5), "{stdout}");
}

#[test]
fn on_a_terminal_ctrl_c_comes_once_and_the_command_decides() {
    let place = Place::new();
    let typed = r#"while [ ! -e "$TMPDIR/ready" ]; do sleep 0.05; done; printf '\003'; sleep 3"#;
    let script = r#"trap "echo hit" INT; touch "$TMPDIR/ready"
                    for i in 1 2 3 4 5 6; do sleep 0.3; done; echo on; exit 6"#;
    let output = on_a_terminal(&place, script, typed);
    let (stdout, _) = text(&output);
    assert_eq!(stdout.matches("hit\r\n").count(), 1, "{stdout}");
    assert!(stdout.contains("on\r\n"), "{stdout}");
    assert_eq!(output.status.code(), Some(6), "{stdout}");
    fs::remove_file(place.0.path().join("ready")).expect("it was ready");
    let output = on_a_terminal(&place, r#"touch "$TMPDIR/ready"; sleep 100"#, typed);
    assert_eq!(output.status.code(), Some(130), "{}", text(&output).0);
}

#[test]
fn eight_at_once_do_not_collide() {
    let place = Place::new();
    let launch = firmware("");
    let args = ["-q", "--forward", "0:80", "--forward", "udp:0:7", "--launch", &launch];
    let script = r#"
        for i in 1 2 3; do curl -sf $UARTTOOL_URL >/dev/null || exit 11; done
        "$UARTTOOL" ping -q -c 2 -i 0.05 || exit 12
        echo $UARTTOOL_PORT_80 $UARTTOOL_PCAP $UARTTOOL_DEVICE
    "#;
    let runs: Vec<_> = (0..8).map(|_| place.start(&with(&args, script))).collect();
    let mut places = Vec::new();
    for run in &runs {
        let status = run.wait(Duration::from_secs(60));
        assert_eq!(status.code(), Some(0), "{}{}", run.stdout(), run.stderr());
        let stdout = run.stdout();
        let last = stdout.lines().last().expect("a line").to_owned();
        places.extend(last.split(' ').map(str::to_owned));
    }
    places.sort();
    places.dedup();
    assert_eq!(places.len(), 24, "each has its own port, capture and line: {places:?}");
    assert_eq!((place.processes(), place.left()), (Vec::new(), Vec::new()));
}

#[test]
fn nobody_can_run_it_without_a_home_or_a_runtime_folder() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root can become nobody");
        return;
    }
    let folder = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir()
        .expect("a folder");
    let program = folder.path().join("uarttool");
    fs::copy(binary(), &program).expect("there is room");
    let script = r#"ip link set lo up; exec setpriv --reuid=65534 --regid=65534 --clear-groups \
        "$0" run -q -d sim --forward 0:80 -- sh -c 'curl -sf $UARTTOOL_URL && "$0" ping -c 1' "$0""#;
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "sh", "-c"]);
    command.arg(format!("mount -t tmpfs none /dev/net 2>/dev/null; {script}")).arg(&program);
    command.env_remove("XDG_RUNTIME_DIR").env_remove("TMPDIR").env("HOME", "/nonexistent");
    let (stdout, stderr) = text(&command.current_dir("/").output().expect("util-linux is there"));
    assert!(stdout.contains("The reference device"), "{stdout}{stderr}");
    assert!(stdout.contains("1 received, 0% packet loss"), "{stdout}{stderr}");
}
