//! `uarttool conformance` as users meet it: on the built-in device, what it prints, what it writes,
//! how it ends.

mod support;

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use support::{Process, run, text, uarttool};
use uarttool::conformance::catalogue;

/// `uarttool conformance ARGS`: exit code and stdout.
fn judge(args: &[&str]) -> (i32, String) {
    let output = run([&["conformance"], args].concat());
    let (stdout, stderr) = text(&output);
    let code = output.status.code().unwrap_or_else(|| panic!("{:?}: {stderr}", output.status));
    (code, stdout)
}

/// What is for devices that put no fragments together, as others are not.
const OPPOSITE: &str = "SKIP fragments.reassembly-off";

/// The lines of failures in a report, as `word name`.
fn bad_lines(stdout: &str) -> Vec<String> {
    let progress = stdout.split("------------").next().unwrap_or_default();
    let bad = ["FAIL", "WARN", "NOTE", "INCONCLUSIVE", "ERROR", "SKIP", "KNOWN", "FLAKY"];
    let lines = progress.lines().filter_map(|line| {
        let (word, name) = line.split_once('[')?;
        let name = name.split_once("] ")?.1.split(':').next()?;
        bad.contains(&word.trim()).then(|| format!("{} {name}", word.trim()))
    });
    lines.filter(|line| line != OPPOSITE).collect()
}

/// What the built-in device's stack cannot, in the catalogue's order.
const KNOWN: [&str; 2] = ["KNOWN ipv4.option-record-route", "KNOWN ipv4.option-source-route"];

#[test]
fn the_built_in_device_passes_within_seconds() {
    let started = Instant::now();
    let (code, stdout) = judge(&["-d", "sim", "--order", "1"]);
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    assert_eq!((code, bad_lines(&stdout)), (0, vec![]), "{stdout}");
    assert!(stdout.contains("virtual time] 152 results: 151 passed, 1 skipped"), "{stdout}");
    assert_eq!(stdout, judge(&["-d", "sim", "--order", "1"]).1, "the same seed, the same run");
}

#[test]
fn every_tier_of_it_passes_but_for_what_its_stack_cannot() {
    let (code, stdout) = judge(&["-d", "sim", "--long", "--strict", "--order", "fixed"]);
    assert_eq!((code, bad_lines(&stdout)), (0, KNOWN.map(str::to_owned).to_vec()), "{stdout}");
    let first = stdout.lines().find(|line| line.contains("PASS")).expect("a result");
    assert!(first.ends_with("link.len-zero"), "not the catalogue's order: {first}");
}

#[test]
fn the_author_of_the_newer_driver_is_told_what_to_do() {
    let newer = "sim,model=esp32-new";
    let (code, stdout) = judge(&["-d", newer, "--order", "1"]);
    assert_eq!((code, bad_lines(&stdout)), (1, vec!["FAIL link.max-frame".to_owned()]));
    assert!(
        stdout.contains("limit of 1500 counts the 14 bytes of the Ethernet header"),
        "{stdout}"
    );
    assert!(stdout.contains("set the interface's MTU to 1486 (TCP MSS 1446)"), "{stdout}");
    assert!(
        stdout.contains(&format!("conformance -d {newer} --order 1 link.max-frame")),
        "{stdout}"
    );
    let (code, stdout) = judge(&["-d", newer, "--max-frame", "1500"]);
    assert_eq!((code, bad_lines(&stdout)), (0, vec![]), "a limit that is declared is none to fail");
    assert!(stdout.contains("NOTE link.max-frame: "), "{stdout}");
}

#[test]
fn a_limit_that_is_declared_too_low_is_refused() {
    let output = run(["conformance", "-d", "sim", "--max-frame", "1000"]);
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output).1;
    assert!(stderr.contains("answers a frame of 1002 bytes, beyond the declared 1000"), "{stderr}");
}

#[test]
fn a_device_with_small_frames_can_be_judged() {
    for limit in ["100", "200", "576"] {
        let (code, stdout) =
            judge(&["-d", &format!("sim,max-frame={limit}"), "--extended", "--order", "fixed"]);
        assert_eq!(
            (code, bad_lines(&stdout)),
            (0, KNOWN.map(str::to_owned).to_vec()),
            "{limit}: {stdout}"
        );
    }
}

#[test]
fn a_fault_is_named_by_its_effect() {
    for (fault, test, effect) in [
        ("icmp-checksum-unchecked", "icmp.echo-checksum-bad", "ICMP echo reply"),
        ("zero-stops", "link.len-zero", "were not answered"),
        ("echo-id-swapped", "icmp.echo-basic", "icmp.id is "),
        ("arp-sender", "arp.request-broadcast", "arp.sha is "),
        ("tos-lost", "ipv4.tos-echoed", "ip.dscp is 0, not 46"),
    ] {
        let (code, stdout) =
            judge(&["-d", &format!("sim,fault={fault}"), "--order", "1", "--strict", "--extended"]);
        assert_eq!(code, 1, "{fault}: {stdout}");
        let told = stdout.split("------------").nth(1).unwrap_or_default();
        let part =
            told.split(&format!("FAIL {test} (")).nth(1).unwrap_or_else(|| panic!("{stdout}"));
        let part = part.split("again uarttool").next().unwrap_or_default();
        assert!(part.contains(effect), "{fault}: {part}");
    }
}

#[test]
fn tests_are_listed_and_chosen() {
    let lines = |args: &[&str]| {
        let (code, stdout) = judge(&[&["--list"], args].concat());
        assert_eq!(code, 0);
        stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines(&["--long"]).len(), catalogue::all().count());
    assert_eq!(lines(&[]).len(), 142);
    assert!(lines(&["arp", "--smoke"]).iter().all(|line| line.contains(" arp.")));
    assert_eq!(lines(&["LNK-01", "icmp.echo-basic"]).len(), 2);
    let musts = lines(&["-E", "group:ipv4 and severity:must"]);
    assert!(!musts.is_empty() && musts.iter().all(|line| line.contains(" must ")), "{musts:?}");
    let shards: Vec<_> =
        ["1/3", "2/3", "3/3"].iter().flat_map(|n| lines(&["--shard", n])).collect();
    assert_eq!(shards.len(), 142);
    let (code, stdout) = judge(&["-d", "sim", "icmp.echo-basic", "-q"]);
    assert_eq!((code, bad_lines(&stdout)), (0, vec![]));
    assert!(!stdout.contains("icmp.echo-basic") && stdout.contains("11 results: 11 passed"));
}

#[test]
fn a_profile_turns_failures_into_known_ones_and_tells_of_those_that_pass() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mine.toml");
    let row = |test: &str| format!("[[deviation]]\ntest = \"{test}\"\nreason = \"we know\"\n");
    let write = |tests: &[&str]| {
        let rows: String = tests.iter().map(|test| row(test)).collect();
        std::fs::write(&path, format!("ledger = 1\nabout = \"mine\"\n{rows}")).expect("written");
    };
    let mine = path.to_str().expect("a plain path");
    let device = ["-d", "sim,fault=no-mac-filter", "ethernet", "--profile", mine, "--order", "1"];
    write(&["ethernet.dst-other-unicast"]);
    let (code, stdout) = judge(&[&device[..], &["--strict"]].concat());
    assert_eq!(
        (code, bad_lines(&stdout)),
        (0, vec!["KNOWN ethernet.dst-other-unicast".to_owned()])
    );
    assert!(stdout.contains("we know"), "{stdout}");
    write(&["ethernet.dst-other-unicast", "ethernet.unpadded-short"]);
    let (code, stdout) = judge(&device);
    assert_eq!(code, 0, "reported, no more: {stdout}");
    assert!(stdout.contains("take it off the list"), "{stdout}");
    assert_eq!(judge(&[&device[..], &["--strict"]].concat()).0, 1);
}

#[test]
fn ports_can_be_named_and_what_a_profile_declares_has_to_be_there() {
    let discard =
        ["-d", "sim", "udp", "--echo-port", "9", "--closed-port", "40010", "--order", "1"];
    let (code, stdout) = judge(&discard);
    assert_eq!(code, 1, "{stdout}");
    for part in [
        "UDP port 9 does not send back what comes",
        "expected the device has 'udp-echo', as the profile declares",
        "--echo-port 9 --closed-port 40010 --order 1 udp.echo-roundtrip",
    ] {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mine.toml");
    std::fs::write(&path, "ledger = 1\nabout = \"mine\"\n").expect("written");
    let mine = path.to_str().expect("a plain path");
    let (code, stdout) = judge(&[&discard[..], &["--profile", mine]].concat());
    assert_eq!(code, 0, "{stdout}");
    let why = "SKIP [   0.000s] udp.checksum-zero: needs a UDP echo service; name its port with";
    assert!(stdout.contains(why), "{stdout}");
}

#[test]
fn reports_for_programs_say_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let (junit, json) = (folder.path().join("j.xml"), folder.path().join("r.json"));
    let (junit_flag, json_flag) =
        (format!("junit={}", junit.display()), format!("json={}", json.display()));
    let faulty = ["-d", "sim,fault=icmp-checksum-unchecked", "icmp", "--order", "3"];
    let (code, _) =
        judge(&[&faulty[..], &["--report", &junit_flag, "--report", &json_flag]].concat());
    assert_eq!(code, 1);
    let read = |path: &Path| std::fs::read_to_string(path).expect("a report");
    let lines: Vec<Value> =
        read(&json).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(lines.iter().all(|line| line["v"] == 1), "{lines:?}");
    let tests: Vec<_> = lines.iter().filter(|line| line["event"] == "test").collect();
    let failed: Vec<_> = tests.iter().filter(|line| line["verdict"] == "fail").collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!(failed[0]["name"], "icmp.echo-checksum-bad");
    assert!(failed[0]["failures"][0]["frame"].as_str().is_some_and(|hex| hex.len() > 80));
    let xml = read(&junit);
    assert_eq!(xml.matches("<testcase ").count(), tests.len(), "{xml}");
    assert_eq!(xml.matches("<failure").count(), 1);
    let case = xml.split("<testcase ").find(|case| case.contains("<failure")).expect("it is there");
    assert!(case.contains("name=\"icmp.echo-checksum-bad\" classname=\"uarttool.icmp\""), "{case}");
    assert!(case.contains("<property name=\"id\" value=\"ICM-04\""), "{case}");
    let output = run([&["conformance"], &faulty[..], &["--report", "json=-"]].concat());
    let (stdout, stderr) = text(&output);
    assert!(stdout.lines().all(|line| line.starts_with('{')), "{stdout}");
    assert!(stderr.contains("FAIL icmp.echo-checksum-bad"), "people read on stderr: {stderr}");
}

/// `python3` checks that a document is well-formed, and counts elements: a parser that is not ours.
#[test]
fn a_junit_report_is_well_formed_whatever_the_device_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("j.xml");
    judge(&[
        "-d",
        "sim,fault=length-beyond-frame",
        "--report",
        &format!("junit={}", path.display()),
    ]);
    let script = "import sys, xml.etree.ElementTree as e; r = e.parse(sys.argv[1]).getroot(); \
                  print(r.tag, len(r.findall('testsuite')), len(r.findall('.//testcase')))";
    let output = Command::new("python3").args(["-c", script]).arg(&path).output();
    let Ok(output) = output else { return eprintln!("skipped: python3 is not here") };
    assert_eq!(text(&output).0.trim(), "testsuites 12 152", "{}", text(&output).1);
}

#[test]
fn the_evidence_of_each_failed_test_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out/deep");
    let out_text = out.to_str().expect("a plain path");
    let (code, stdout) =
        judge(&["-d", "sim,fault=any-destination", "ipv4", "--artifacts", out_text]);
    assert_eq!(code, 1);
    let kept = out.join("ipv4.dst-not-mine.pcapng");
    assert!(stdout.contains(&format!("frames {}", kept.display())), "{stdout}");
    let bytes = std::fs::read(&kept).expect("a capture");
    assert!(String::from_utf8_lossy(&bytes).contains("IP4-11 ipv4.dst-not-mine: "));
    let files = std::fs::read_dir(&out).expect("the folder").count();
    assert_eq!(files, stdout.matches("  frames /").count(), "nothing of what has passed");
}

fn errors(args: &[&str]) -> String {
    let output = run([&["conformance"], args].concat());
    let (stdout, stderr) = text(&output);
    let code = output.status.code().expect("it ended by itself");
    format!("$ conformance {}\nexit code: {code}\n{stdout}{stderr}\n", args.join(" "))
}

#[test]
fn what_is_wrong_with_the_command_line_is_said_in_a_sentence() {
    let all: String = [
        &["lnik"][..],
        &["-E", "tier:slow"],
        &["-E", "arp and"],
        &["--shard", "5/4"],
        &["--order", "random"],
        &["--profile", "lwpi"],
        &["--report", "pdf=x"],
        &["--report", "junit=/nonexistent/j.xml", "-d", "sim"],
        &["--time-scale", "0"],
        &["--smoke", "--long"],
        &["link", "-E", "group:arp"],
        &["--launch", "qemu-system-xtensa"],
        &["--launch-file", "/nonexistent/run.sh"],
        &["--launch", "q {tunnel}", "-d", "tpc:x"],
        &["--launch", "q {tunnel}", "--restart-cmd", "x"],
        &["-d", "sim,model=esp33"],
        &["-d", "tcp:127.0.0.1:5556", "--console", "tcp:127.0.0.1:5556,reconnect=1s"],
    ]
    .iter()
    .map(|args| errors(args))
    .collect();
    insta::assert_snapshot!(all);
}

#[test]
fn help_names_it_all() {
    let (code, stdout) = judge(&["--help"]);
    assert_eq!(code, 0);
    insta::assert_snapshot!(stdout);
}

#[test]
fn a_tunnel_that_is_not_there_or_answers_nothing_ends_with_3() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let endpoint = format!("tcp:{}", listener.local_addr().expect("an address"));
    let started = Instant::now();
    let output = run(["conformance", "-d", &endpoint, "--wait", "1s", "icmp"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    drop(listener);
    let output = run(["conformance", "-d", &endpoint, "icmp"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output).1.contains("connection refused"), "{}", text(&output).1);
}

/// A running `sim` in real time, and the endpoint it listens at.
fn sim() -> (Process, String) {
    let listen = ["sim", "--listen", "tcp-listen:127.0.0.1:0"];
    let process = Process::start(uarttool().args(listen));
    let said = process.err.wait_for(0, "reference device, model");
    let address = said.split("listening on ").nth(1).and_then(|rest| rest.lines().next());
    (process, address.expect("an address").to_owned())
}

#[test]
fn over_a_socket_in_real_time_it_gives_the_same_verdicts() {
    let (_device, endpoint) = sim();
    let groups = ["ethernet", "arp", "ipv4", "icmp", "--order", "5"];
    let (code, stdout) = judge(&[&["-d", &endpoint], &groups[..]].concat());
    assert_eq!((code, bad_lines(&stdout)), (0, vec![]), "{stdout}");
    let names = |stdout: &str| -> Vec<_> {
        stdout.lines().filter_map(|line| Some(line.split_once("] ")?.1.to_owned())).collect()
    };
    let (_, virtual_run) = judge(&[&["-d", "sim"], &groups[..]].concat());
    assert_eq!(names(&stdout), names(&virtual_run));
}

#[test]
fn run_after_run_the_same_device_gives_the_same_verdicts() {
    let (_device, endpoint) = sim();
    for run in 1..4 {
        let (code, stdout) = judge(&["-d", &endpoint, "arp", "--order", "1"]);
        assert_eq!((code, bad_lines(&stdout)), (0, vec![]), "run {run}: {stdout}");
    }
}

#[test]
fn endless_garbage_is_given_up_in_time_and_called_by_its_name() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let endpoint = format!("tcp:{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        let garbage: Vec<u8> =
            (0..60_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            while stream.write_all(&garbage).is_ok() {}
        }
    });
    let started = Instant::now();
    let output = run(["conformance", "-d", &endpoint, "--wait", "1s", "icmp"]);
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output).1.contains("holds no frames"), "{}", text(&output).1);
}

#[test]
fn a_report_goes_where_a_link_leads_and_into_a_pipe_and_a_full_disk_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let (target, link) = (folder.path().join("target.xml"), folder.path().join("link.xml"));
    std::fs::write(&target, "old").expect("written");
    std::os::unix::fs::symlink(&target, &link).expect("a link");
    let one = ["-d", "sim", "icmp.echo-basic", "-q"];
    let to = |path: &Path| format!("junit={}", path.display());
    assert_eq!(judge(&[&one[..], &["--report", &to(&link)]].concat()).0, 0);
    assert!(link.is_symlink());
    assert!(std::fs::read_to_string(&target).expect("it is there").starts_with("<?xml"));
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("coreutils").success());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::read_to_string(pipe).expect("readable")
    });
    assert_eq!(judge(&[&one[..], &["--report", &to(&pipe)]].concat()).0, 0);
    assert!(reader.join().expect("no panic").starts_with("<?xml"));
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a device");
    let mut command = uarttool();
    let judge = command.arg("conformance").args(one).args(["--report", "json=-"]).stdout(full);
    let output = judge.stderr(std::process::Stdio::piped()).output().expect("it runs");
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output).1.contains("cannot write the results: no space left"), "{output:?}");
}

#[test]
fn interrupted_it_says_what_did_not_run_and_ends_with_130() {
    let (_device, endpoint) = sim();
    let args = ["conformance", "-d", &endpoint, "link", "--extended", "--order", "fixed"];
    let judge = Process::start(uarttool().args(args));
    judge.out.wait_for(0, "PASS");
    judge.signal(Signal::INT);
    let status = judge.wait(Duration::from_secs(10));
    assert_eq!(status.code(), Some(130));
    let stdout = judge.stdout();
    assert!(stdout.contains("test(s) did not run: interrupted"), "{stdout}");
}

#[test]
fn a_line_that_is_lost_for_good_ends_with_3_and_names_the_test() {
    let (device, endpoint) = sim();
    let args = ["conformance", "-d", &endpoint, "link", "--extended", "--order", "fixed"];
    let judge = Process::start(uarttool().args(args));
    judge.out.wait_for(0, "PASS");
    drop(device); // its process ends with it
    let status = judge.wait(Duration::from_secs(60));
    let output = Output { status, stdout: judge.stdout().into(), stderr: judge.stderr().into() };
    let (stdout, stderr) = text(&output);
    assert_eq!(status.code(), Some(3), "{stdout}{stderr}");
    assert!(stdout.contains("went away"), "{stdout}");
    assert!(stderr.contains("the line was lost during the run"), "{stderr}");
}

/// A device that is a program: our own, behind the sockets that it is told.
const DEVICE: &str = "'BIN' sim --listen unix-listen:{tunnel}";

#[test]
fn a_program_is_launched_judged_restarted_and_ended() {
    let launch = DEVICE.replace("BIN", &support::binary());
    let folder = tempfile::tempdir().expect("a folder");
    let artifacts = folder.path().to_str().expect("a plain path");
    let args = ["--launch", &launch, "icmp", "link.boot-noise", "--artifacts", artifacts];
    let (code, stdout) = judge(&args);
    assert_eq!((code, bad_lines(&stdout)), (0, vec![]), "{stdout}");
    assert!(stdout.contains("PASS") && stdout.contains("link.boot-noise"), "it was restarted");
    let log = std::fs::read_to_string(folder.path().join("launch.log")).expect("a log");
    assert!(log.contains("reference device"), "{log}");
}

#[test]
fn a_launched_program_that_ends_is_named_with_its_last_words() {
    let (code, launch) = (3, "echo no such machine >&2; exit 9 # {tunnel}");
    let output = run(["conformance", "--launch", launch, "icmp"]);
    assert_eq!(output.status.code(), Some(code));
    let stderr = text(&output).1;
    assert!(stderr.contains("ended with exit status 9: no such machine"), "{stderr}");
    let mut script = tempfile::NamedTempFile::new().expect("a file");
    writeln!(script, "echo $UARTTOOL_TUNNEL; exit 8").expect("written");
    let path = script.path().to_str().expect("a plain path");
    let output = run(["conformance", "--launch-file", path, "icmp"]);
    assert!(text(&output).1.contains("ended with exit status 8"), "{}", text(&output).1);
}

/// A folder with a suite file, and its path.
fn suite(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mine.toml");
    std::fs::write(&path, text).expect("written");
    (folder, path.display().to_string())
}

#[test]
fn a_test_that_is_shown_runs_unchanged_from_a_file() {
    let (code, shown) = judge(&["show", "tcp.rst-outside"]);
    assert_eq!(code, 0);
    assert!(shown.contains("\nsend    tcp R  seq=201001\n"), "{shown}");
    let (_folder, path) = suite(&shown);
    let (code, stdout) = judge(&["-d", "sim", &path]);
    assert_eq!((code, bad_lines(&stdout)), (0, vec![]), "{stdout}");
    assert!(stdout.contains("Starting 1 test against sim"), "{stdout}");
    let (code, stdout) = judge(&["-d", "sim,fault=any-rst-closes", "--order", "3", &path]);
    assert_eq!((code, bad_lines(&stdout)), (1, vec!["FAIL tcp.rst-outside".to_owned()]));
    let told = stdout.split_once("FAIL tcp.rst-outside (mine.toml:3, must").expect("a report").1;
    assert!(told.contains("expected line 9: expect tcp seq=sa.end"), "{told}");
    assert!(told.contains("conformance "), "{told}");
    let again = format!(
        "again uarttool conformance {path} -d sim,fault=any-rst-closes --order 3 tcp.rst-outside"
    );
    assert!(told.contains(&again), "{told}");
    let output = run(["conformance", "check", &path]);
    assert_eq!(text(&output), (String::new(), format!("{path}: 1 test, all good\n")));
}

#[test]
fn a_suite_has_its_own_target_and_stands_beside_the_built_in_tests() {
    let one = "suite = 1\n[target]\ndevice = \"sim,fault=echo-id-swapped,max-frame=600\"\nline-rate = 921600\n\
               [[test]]\nid = \"same-id\"\npackets = '''\nsend icmp echo id=0x1234\n\
               expect icmp echo-reply icmp.id=0x1234 within 200ms\n'''\n\
               [[test]]\nid = \"closed\"\nseverity = \"should\"\npackets = '''\nsend udp closed data=\"x\" as it\n\
               expect icmp unreachable code=3 quote=it\n'''\n";
    let (_folder, path) = suite(one);
    let (code, stdout) = judge(&[&path, "--order", "fixed"]);
    assert_eq!((code, bad_lines(&stdout)), (1, vec!["FAIL mine.same-id".to_owned()]), "{stdout}");
    assert!(stdout.contains("not 4660"), "{stdout}");
    assert!(stdout.contains("frames of up to 600 bytes"), "{stdout}");
    let count =
        |args: &[&str]| judge(&[&["--list", path.as_str()], args].concat()).1.lines().count();
    assert_eq!((count(&[]), count(&["mine.closed"]), count(&["LNK-01"])), (2, 1, 3));
    assert_eq!((count(&["-E", "severity:should"]), count(&["-E", "group:mine"])), (1, 2));
    let (code, stdout) = judge(&["-d", "sim", &path, "mine.closed"]);
    assert_eq!((code, bad_lines(&stdout)), (0, vec![]), "the flag comes before the file: {stdout}");
}

#[test]
fn what_is_wrong_with_a_suite_ends_it_with_2() {
    for (text, expected) in [
        (
            "suite = 1\n[[test]]\nid = \"a\"\npackets = '''\nping\nexpect tpc S\n'''\n",
            ": line 6, column 8: 'tpc' is no message",
        ),
        ("suite = 1\n[target]\ndevise = \"x\"\n", ": line 3: unknown field `devise`"),
        (
            "suite = 1\n[target]\nmax-frame = 7\n[[test]]\nid=\"a\"\npackets=\"ping\"\n",
            "max-frame '7'",
        ),
    ] {
        let (_folder, path) = suite(text);
        for args in [vec!["conformance", "-d", "sim", &path], vec!["conformance", "check", &path]] {
            let output = run(args);
            let stderr = self::text(&output).1;
            assert_eq!(output.status.code(), Some(2), "{stderr}");
            assert!(stderr.starts_with(&format!("uarttool: bad suite {path}: ")), "{stderr}");
            assert!(stderr.contains(expected), "{stderr}");
        }
    }
    let output = run(["conformance", "-d", "sim", "./nowhere.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output).1.contains("cannot read the suite ./nowhere.toml: no such file"),
        "{:?}",
        text(&output).1
    );
    let output = run(["conformance", "show", "tcpp"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).1.contains("there is no test, id or group 'tcpp'; did you mean 'tcp'?"));
}

#[test]
fn what_was_measured_is_reported_and_compared_with_an_earlier_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("before.json");
    let (json, before) = (format!("json={}", path.display()), path.display().to_string());
    let ask = ["performance.goodput-get", "performance.ping-rtt", "--order", "1"];
    let (code, stdout) = judge(&[&["-d", "sim"], &ask[..], &["--report", &json]].concat());
    assert_eq!(code, 0, "{stdout}");
    let measured = stdout.split("\nmeasured\n").nth(1).expect("a section of its own");
    assert!(measured.contains("performance.goodput-get") && measured.contains(" KB/s"), "{stdout}");
    let report = std::fs::read_to_string(&path).expect("a report");
    let lines = report.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let goodput = lines.map(|line| line["measures"]["goodput"].clone()).find(Value::is_object);
    let goodput = goodput.expect("a value");
    assert!(goodput["value"].as_f64().is_some_and(|value| value > 50_000.0), "{goodput}");
    assert_eq!(goodput["unit"], "B/s");
    let baseline = ["--baseline", before.as_str()];
    assert_eq!(judge(&[&["-d", "sim"], &ask[..], &baseline].concat()).0, 0, "as before");
    let (code, stdout) = judge(&[&["-d", "sim,line-rate=460800"], &ask[..], &baseline].concat());
    assert_eq!(code, 1, "{stdout}");
    let half = "actual goodput is 4";
    assert!(stdout.contains(half) && stdout.contains("KB/s, and was 8"), "{stdout}");
    assert!(stdout.contains(&format!("KB/s in {before}")), "{stdout}");
    for (name, text) in [("empty.json", ""), ("other.json", "{\"hello\":1}\n")] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        let other = path.to_str().expect("a plain path");
        let output = run(["conformance", "-d", "sim", "--baseline", other]);
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(text_of(&output).contains(&format!("bad baseline {other}: ")), "{name}");
    }
}

/// What a command has said on stderr.
fn text_of(output: &Output) -> String {
    text(output).1
}
