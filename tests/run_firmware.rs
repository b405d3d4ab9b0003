//! The real firmware under `uarttool run`: a user's test in QEMU, without any rights.

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::processes::{is_there, kill, qemus_below};
use support::{Process, binary, tshark_count, uarttool};

/// How long a boot and a test take at most.
const LONG: Duration = Duration::from_secs(120);

/// The command that is the device.
fn launch() -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/firmware-run");
    format!("'{}' --console unix:{{console}} --tunnel unix:{{tunnel}}", script.display())
}

/// A running `uarttool run`, with a script as COMMAND.
fn start(args: &[&str], script: &str) -> Process {
    let launch = launch();
    let own = ["run", "--wait", "60s", "--forward", "0:80", "--launch", &launch];
    let mut command = uarttool();
    command.args(own).args(args).args(["--", "sh", "-c", script]).env("UARTTOOL", binary());
    command.env("TMPDIR", support::runtime_folder()); // what a killed one leaves goes away with it
    Process::start(&mut command)
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn curl_and_ping_reach_the_firmware_and_the_capture_has_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let pcap = folder.path().join("run.pcapng");
    let script = r#"curl -sf "$UARTTOOL_URL/" >/dev/null && "$UARTTOOL" ping -q -c 3 -i 0.1"#;
    let run = start(&["-w", pcap.to_str().expect("a plain path")], script);
    let status = run.wait(LONG);
    assert_eq!(status.code(), Some(0), "{}{}", run.stdout(), run.stderr());
    assert!(run.stdout().contains("3 received, 0% packet loss"), "{}", run.stdout());
    assert_eq!(tshark_count(&pcap, "icmp.type == 0"), 3);
    assert!(tshark_count(&pcap, "http.response.code == 200") >= 1);
    support::assert_wireshark_is_happy(&pcap);
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn nobody_without_a_network_device_or_a_home_can_do_it() {
    let folder = tempfile::Builder::new()
        .permissions(std::fs::Permissions::from_mode(0o755))
        .tempdir()
        .expect("a folder");
    let elf = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/firmware-build");
    let built = Command::new(elf).args(["--variant", "plain"]).output().expect("it runs");
    let built = String::from_utf8_lossy(&built.stdout).trim().to_owned();
    let (program, kernel) = (folder.path().join("uarttool"), folder.path().join("firmware.elf"));
    std::fs::copy(binary(), &program).expect("there is room");
    std::fs::copy(built, &kernel).expect("there is room");
    // The repository, with the script, may be where nobody cannot read.
    let qemu = format!(
        "qemu-system-arm -M xilinx-zynq-a9 -display none -monitor none -nic none -kernel '{}' \
         -serial unix:{{console}},server=on,wait=off -serial unix:{{tunnel}},server=on,wait=off",
        kernel.display()
    );
    let script = r#"ip link set lo up; exec setpriv --reuid=65534 --regid=65534 --clear-groups \
        "$0" run --wait 60s --forward 0:80 --launch "$1" -- sh -c 'id -un; curl -sf "$UARTTOOL_URL/"'"#;
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", script]).arg(&program).arg(&qemu).current_dir("/");
    command.env_remove("XDG_RUNTIME_DIR").env_remove("TMPDIR").env("HOME", "/nonexistent");
    let run = Process::start(&mut command);
    let status = run.wait(LONG);
    assert_eq!(status.code(), Some(0), "{}{}", run.stdout(), run.stderr());
    assert!(run.stdout().starts_with("nobody\n"), "{}", run.stdout());
}

/// The files that tell people how to run the example project.
const TOLD: [&str; 4] = [
    "fixtures/example-ci/github-actions.yml",
    "fixtures/example-ci/gitlab-ci.yml",
    "fixtures/example-ci/README.md",
    "README.md",
];

/// A file of the repository.
fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What a file says behind each `start` of a command, to the end of the line.
fn commands(path: &str, start: &str) -> Vec<String> {
    let text = read(path);
    let commands = text.lines().filter_map(|line| {
        let line = line.trim().trim_start_matches("- ").trim_start_matches("run: ");
        line.starts_with(start).then(|| line.to_owned())
    });
    commands.collect()
}

/// The repository with a copy of the example project, which may be written to.
fn example() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let (root, project) =
        (Path::new(env!("CARGO_MANIFEST_DIR")), folder.path().join("fixtures/example-ci"));
    std::fs::create_dir(folder.path().join("fixtures")).expect("there is room");
    std::os::unix::fs::symlink(root.join("scripts"), folder.path().join("scripts")).expect("room");
    let original = root.join("fixtures/example-ci");
    let copied = Command::new("cp").arg("-r").args([&original, &project]).status();
    assert!(copied.expect("coreutils are there").success());
    (folder, project)
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn the_example_project_passes_its_own_tests_as_everybody_is_told_to_run_them() {
    let (_folder, project) = example();
    let mut seen: Vec<String> = Vec::new();
    for command in TOLD.iter().flat_map(|path| commands(path, "uarttool run --forward")) {
        if !command.contains("pytest") || seen.contains(&command) {
            continue;
        }
        // "uarttool" is the one under test.
        let script = format!("uarttool() {{ \"$UARTTOOL\" \"$@\"; }}; {command}");
        let mut shell = Command::new("sh");
        shell.current_dir(&project).args(["-c", &script]).env_remove("UARTTOOL_DEVICE");
        shell.env("XDG_RUNTIME_DIR", support::runtime_folder()).env("UARTTOOL", binary());
        shell.env("PYTHONDONTWRITEBYTECODE", "1");
        let run = Process::start(&mut shell);
        let status = run.wait(LONG);
        assert_eq!(status.code(), Some(0), "{command}: {}{}", run.stdout(), run.stderr());
        assert!(run.stdout().contains("5 passed"), "{command}: {}", run.stdout());
        seen.push(command);
    }
    assert_eq!(seen.len(), 2, "with and without --artifacts: {seen:?}");
}

#[test]
fn the_jobs_of_the_example_project_install_what_it_needs() {
    let mut needed = vec!["qemu-system-arm".to_owned(), "python3-pytest".to_owned()];
    for part in read("scripts/firmware-build").split("packages+=(").skip(1) {
        needed.extend(part.split(')').next().map(str::to_owned));
    }
    assert!(needed.len() >= 5, "{needed:?}");
    for path in TOLD.iter().filter(|path| !path.contains("example-ci/README")) {
        let jobs = commands(path, "apt-get update");
        assert!(!jobs.is_empty(), "{path}");
        for job in jobs {
            let words: Vec<_> = job.split(' ').collect();
            for package in &needed {
                assert!(words.contains(&package.as_str()), "{path}: {package} in {job}");
            }
        }
    }
    // The README shows the files as they are.
    for path in &TOLD[..2] {
        assert!(read("README.md").contains(&read(path)), "{path}");
    }
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn a_failed_test_shows_the_console() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().to_str().expect("a plain path");
    let run = start(&["--artifacts", out], "exit 9");
    assert_eq!(run.wait(LONG).code(), Some(9), "{}", run.stderr());
    assert!(run.stderr().contains("| "), "its last lines: {}", run.stderr());
    let console = std::fs::read_to_string(folder.path().join("console.log")).expect("it is kept");
    assert!(console.contains("main: ready"), "{console}");
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn a_killed_machine_ends_the_command_or_is_started_again() {
    let kill_it = |run: &Process| {
        run.out.wait_for(0, "up\n");
        let machines = qemus_below(run.id());
        assert_eq!(machines.len(), 1, "a machine runs");
        kill(machines[0]);
    };
    let run = start(&["--keep", "never"], "echo up; sleep 100");
    kill_it(&run);
    assert_eq!(run.wait(LONG).code(), Some(1), "{}", run.stderr());
    assert!(run.stderr().contains("(as by SIGKILL)"), "{}", run.stderr());
    let again = "echo up; sleep 2; curl -sf --max-time 50 \"$UARTTOOL_URL/\" >/dev/null";
    let run = start(&["--restart-on-exit"], again);
    kill_it(&run);
    assert_eq!(run.wait(LONG).code(), Some(0), "{}", run.stderr());
    assert!(run.stderr().contains("starting it again"), "{}", run.stderr());
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn killed_it_leaves_no_machine_behind() {
    let run = start(&["--keep", "never"], "echo up; sleep 1000");
    run.out.wait_for(0, "up\n");
    let machines = qemus_below(run.id());
    assert_eq!(machines.len(), 1, "a machine runs");
    run.signal(Signal::KILL);
    run.wait(LONG);
    let started = Instant::now();
    while machines.iter().any(|pid| is_there(*pid)) {
        assert!(started.elapsed() < Duration::from_secs(5), "QEMU is left");
        std::thread::sleep(Duration::from_millis(20));
    }
}
