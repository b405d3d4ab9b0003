//! `uarttool run`: its files are its own, however many run at once, and whatever else is in the folder.

#![cfg(target_os = "linux")] // processes are looked for in /proc

mod support;

use std::fs;
use std::path::Path;

use support::running::{Place, SIM, firmware, with};
use support::{SOON, assert_wireshark_is_happy, lines_with, run};

/// The names in a folder, in order.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    let mut names: Vec<_> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_user_s_own_files_are_left_alone() {
    let place = Place::new();
    let folder = tempfile::tempdir().expect("a folder");
    let own = folder.path().to_str().expect("a plain path");
    let all = ["capture.pcapng", "console.log", "launch.log"];
    all.iter().for_each(|name| fs::write(folder.path().join(name), "mine").expect("it is ours"));
    let args = [&SIM[..], &["-q", "--artifacts", own]].concat();
    let (code, stdout, stderr) = place.run(&with(&args, "echo $UARTTOOL_PCAP"));
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert_eq!(Path::new(stdout.trim()), folder.path().join("capture-2.pcapng"));
    assert_eq!(names(folder.path()), all);
    let (code, _, stderr) = place.run(&with(&args, "exit 1"));
    assert_eq!(code, 1);
    assert!(stderr.contains(&format!("kept     {own}/capture-2.pcapng\n")), "{stderr}");
    for name in all {
        assert_eq!(fs::read_to_string(folder.path().join(name)).expect("it is there"), "mine");
    }
}

#[test]
fn runs_at_once_share_a_folder_and_nothing_in_it() {
    let place = Place::new();
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().to_str().expect("a plain path");
    let args = [&SIM[..], &["--artifacts", out]].concat();
    // All are there before the first ends.
    let script =
        |code: u32| format!("echo up; until [ -e \"$MARK/go\" ]; do sleep 0.05; done; exit {code}");
    let codes = [0, 1, 0, 1];
    let runs = codes.map(|code| place.start(&with(&args, &script(code))));
    for run in &runs {
        run.out.wait_for(0, "up\n");
    }
    fs::write(place.0.path().join("go"), "").expect("it is ours");
    let mut kept = Vec::new();
    for (run, code) in runs.iter().zip(codes) {
        assert_eq!(run.wait(SOON).code(), Some(code as i32), "{}", run.stderr());
        let stderr = run.stderr();
        let line = stderr.lines().find_map(|line| line.strip_prefix("kept     "));
        assert_eq!(line.is_some(), code != 0, "{stderr}");
        kept.extend(line.map(str::to_owned));
    }
    kept.sort();
    kept.dedup();
    assert_eq!(kept.len(), 2, "each has its own: {kept:?}");
    assert_eq!(names(folder.path()).len(), 2, "those that pass take away their own");
    for path in &kept {
        assert_wireshark_is_happy(Path::new(path));
    }
}

#[test]
fn the_variable_leads_to_the_file_that_is_being_written() {
    let place = Place::new();
    let launch = firmware("");
    for (rotation, n) in [(&["-C", "0.02"][..], 2), (&["-G", "1"], 2)] {
        let folder = tempfile::tempdir().expect("a folder");
        let pcap = folder.path().join("rot.pcapng");
        let own = ["--forward", "0:80", "--launch", &launch, "-w", pcap.to_str().expect("plain")];
        let script = r#"
            readlink "$UARTTOOL_PCAP" && "$UARTTOOL" decode "$UARTTOOL_PCAP" >/dev/null || exit 9
            for i in 1 2 3; do curl -sf $UARTTOOL_URL/blob/20000 >/dev/null || exit 8; sleep 0.5; done
            readlink "$UARTTOOL_PCAP" && test -s "$UARTTOOL_PCAP" || exit 7
            exit 1"#;
        let (code, stdout, stderr) = place.run(&with(&[&own, rotation].concat(), script));
        assert_eq!(code, 1, "{stdout}{stderr}");
        let seen: Vec<_> = stdout.lines().collect();
        assert!(seen.len() == 2 && seen[0] != seen[1], "{rotation:?}: {stdout}");
        assert!(seen[0].ends_with("/rot-00000.pcapng"), "{stdout}");
        let kept = lines_with(&stderr, "/rot-0");
        assert!(kept.len() >= n && kept[0].starts_with("kept     /"), "{stderr}");
        assert_eq!(kept.len(), names(folder.path()).len(), "{stderr}");
        assert!(run(["decode", seen[1]]).status.success(), "{stdout}");
    }
}

#[test]
fn a_run_in_a_run_knows_its_own_device_only() {
    let place = Place::new();
    let inner = r#""$UARTTOOL" run -q -d sim --forward 0:7 --keep never -- \
        sh -c 'env | grep ^UARTTOOL_ | cut -d= -f1 | sort'"#;
    let (code, stdout, stderr) = place.run(&with(&SIM, inner));
    assert_eq!(code, 0, "{stderr}");
    let ours = |line: &&str| !matches!(*line, "UARTTOOL_GUARD" | "UARTTOOL_CACHE");
    let lines: Vec<_> = stdout.lines().filter(ours).collect();
    assert_eq!(lines, ["UARTTOOL_DEVICE", "UARTTOOL_PCAP", "UARTTOOL_PORT_7", "UARTTOOL_URL"]);
    let udp = r#""$UARTTOOL" run -q -d sim --keep never -- sh -c 'echo "<$UARTTOOL_URL>"'"#;
    assert_eq!(place.run(&with(&SIM, udp)).1, "<>\n");
}

#[test]
fn the_program_that_is_started_comes_before_the_environment() {
    let place = Place::new();
    let launch = firmware("");
    let args = with(&["--forward", "0:80", "--launch", &launch], "curl -sf $UARTTOOL_URL");
    for device in ["sim", "tcp:127.0.0.1:1"] {
        let process = support::Process::start(place.command(&args).env("UARTTOOL_DEVICE", device));
        let code = process.wait(SOON).code();
        let stderr = process.stderr();
        assert_eq!(code, Some(0), "{device}: {stderr}");
        let wanted = format!("tunnel.sock: '--launch' comes before UARTTOOL_DEVICE={device}\n");
        assert_eq!(lines_with(&stderr, "using ").len(), 1, "{stderr}");
        assert!(stderr.contains(&wanted), "{stderr}");
    }
    // A flag comes before the program, also where the environment says the same.
    let args = ["--wait", "300ms", "--keep", "never", "-d", "tcp:127.0.0.1:1", "--launch", &launch];
    let mut command = place.command(&[&args, &["--", "true"][..]].concat());
    let process = support::Process::start(command.env("UARTTOOL_DEVICE", "tcp:127.0.0.1:1"));
    assert_eq!(process.wait(SOON).code(), Some(3), "{}", process.stderr());
    assert!(process.stderr().contains("no connection to tcp:127.0.0.1:1"), "{}", process.stderr());
}
