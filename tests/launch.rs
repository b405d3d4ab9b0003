//! Programs that we start, and that nothing of them is left, whatever ends us.

#![cfg(target_os = "linux")] // processes are looked for in /proc

mod support;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use rustix::process::{Pid, Signal, kill_process};
use support::{SOON, binary, lines_with};
use uarttool::cli::launch::{Launch, LaunchArgs, Launched};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    launch: LaunchArgs,
}

/// A program behind `--launch` or `--launch-file`, guarded by our binary.
fn plan(flag: &str, value: &str) -> Launch {
    let line = Line::try_parse_from(["uarttool", flag, value]).unwrap_or_else(|e| panic!("{e}"));
    line.launch.plan(true).expect("it can be").expect("it is given").guarded_by(binary())
}

async fn launch(command: &str) -> Launched {
    plan("--launch", command).start().await.expect("it starts")
}

/// The socket's path, which every process that comes from the program has in its environment.
fn tunnel(launched: &Launched) -> String {
    launched.fill("{tunnel}")
}

fn folder(launched: &Launched) -> PathBuf {
    Path::new(&tunnel(launched)).parent().expect("a folder").to_owned()
}

const NONE: [i32; 0] = [];

/// The processes whose environment or arguments hold `marker`.
fn having(marker: &str) -> Vec<i32> {
    let pids = fs::read_dir("/proc").expect("it is there").flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let holds = |pid: &i32| {
        *pid != std::process::id() as i32
            && ["environ", "cmdline"].iter().any(|name| {
                let bytes = fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
                String::from_utf8_lossy(&bytes).contains(marker)
            })
    };
    pids.filter(holds).collect()
}

/// The processes with `marker`, as soon as there are `n` of them.
fn wait_for(n: usize, marker: &str) -> Vec<i32> {
    let deadline = Instant::now() + SOON;
    loop {
        let found = having(marker);
        if found.len() >= n {
            return found;
        }
        assert!(Instant::now() < deadline, "only {} processes, not {n}", found.len());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn wait_until(what: &str, at_most: Duration, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + at_most;
    while !holds() {
        assert!(Instant::now() < deadline, "after {at_most:?} still not {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Not even a zombie.
fn is_gone(pid: &i32) -> bool {
    !Path::new("/proc").join(pid.to_string()).exists()
}

/// The process's session; 0 if that was begun outside of our process namespace, as in a container.
fn session(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, behind_name) = stat.rsplit_once(')')?;
    behind_name.split_whitespace().nth(3)?.parse().ok()
}

/// The guard, rather than its keeper.
fn guard_among(pids: &[i32]) -> i32 {
    let is_guard = |pid: &&i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains("\0--inner\0")
    };
    *pids.iter().find(is_guard).expect("it runs")
}

/// The process whose first argument is `name`.
fn named(name: &str, pids: &[i32]) -> i32 {
    let is_named = |pid: &&i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).next() == Some(name.as_bytes())
    };
    *pids.iter().find(is_named).expect("it runs")
}

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).expect("a process id"), signal).expect("it runs");
}

/// Children in the background, in sessions of their own, and without a parent: with the guard, its
/// keeper and the shell these are 8 processes.
const FAMILY: &str = "sleep 1000 & setsid sh -c 'sleep 1001 & exec sleep 1002' & \
                      (setsid sh -c 'sleep 1003 & sleep 1004 &' &); wait; sleep 1005";
const MEMBERS: usize = 8;

/// `uarttool launch-guard` on its own, its stdin a pipe, with a marker in its environment.
fn guard(marker: &str, program: &[&str]) -> Child {
    let mut command = Command::new(binary());
    command.args(["launch-guard", "--"]).args(program).env("UARTTOOL_TEST_ID", marker);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().expect("our binary")
}

fn marker(test: &str) -> String {
    format!("{test}-{}", std::process::id())
}

#[tokio::test]
async fn nothing_is_left_after_the_end() {
    let launched = launch(FAMILY).await;
    let (folder, marker) = (folder(&launched), tunnel(&launched));
    let pids = wait_for(MEMBERS, &marker);
    let begun = Instant::now();
    launched.end().await.expect("all of it ends");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(having(&marker), NONE);
    assert!(pids.iter().all(is_gone), "zombies");
    assert!(!folder.exists());
}

#[tokio::test]
async fn nothing_is_left_when_it_is_dropped() {
    let launched = launch(FAMILY).await;
    let (folder, marker) = (folder(&launched), tunnel(&launched));
    let pids = wait_for(MEMBERS, &marker);
    drop(launched);
    assert!(pids.iter().all(is_gone));
    assert!(!folder.exists());
}

#[test]
fn a_guard_ends_the_program_when_its_stdin_is_closed_or_it_is_told_to() {
    for way in [None, Some(Signal::TERM), Some(Signal::HUP), Some(Signal::INT)] {
        let marker = marker(&format!("{way:?}"));
        let mut guard = guard(&marker, &["sh", "-c", FAMILY]);
        let pids = wait_for(MEMBERS, &marker);
        let stdin = guard.stdin.take();
        match way {
            None => drop(stdin),
            Some(way) => signal(guard.id() as i32, way),
        }
        let status = guard.wait().expect("a child");
        assert_eq!(status.code(), Some(128 + 15), "{way:?}");
        assert!(pids.iter().all(is_gone), "{way:?}");
    }
}

#[test]
fn a_guard_exits_as_the_program_did() {
    for (program, code) in [
        (&["sh", "-c", "exit 7"][..], 7),
        (&["true"], 0),
        (&["sh", "-c", "kill -SEGV $$"], 128 + 11),
        (&["sh", "-c", "sleep 1000 & exit 1"], 1),
        (&["/nonexistent/qemu"], 3),
    ] {
        let mut guard = guard("exits", program);
        let stdin = guard.stdin.take();
        let output = guard.wait_with_output().expect("a child");
        assert_eq!(output.status.code(), Some(code), "{program:?}");
        drop(stdin);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let wanted = "uarttool: cannot start '/nonexistent/qemu': no such file or directory\n";
        assert_eq!(stderr, if code == 3 { wanted } else { "" });
    }
}

/// What the next test starts as a process of its own; by itself it does nothing.
#[test]
fn a_parent_that_ends_in_a_bad_way() {
    let Ok(way) = std::env::var("UARTTOOL_TEST_WAY") else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let launched = launch(FAMILY).await;
        wait_for(MEMBERS, &tunnel(&launched));
        println!("folder={}=", folder(&launched).display());
        match way.as_str() {
            "panic" => panic!("as asked"),
            "exit" => std::process::exit(130), // as a second Ctrl-C does
            _ => tokio::time::sleep(Duration::from_secs(1000)).await,
        }
    });
}

#[test]
fn nothing_is_left_after_a_kill_an_exit_or_a_panic_of_ours() {
    for (way, end) in [
        ("kill", Some(Signal::KILL)),
        ("term", Some(Signal::TERM)),
        ("int", Some(Signal::INT)),
        ("exit", None),
        ("panic", None),
    ] {
        let mut parent = Command::new(std::env::current_exe().expect("a test binary"));
        parent.args(["--exact", "a_parent_that_ends_in_a_bad_way", "--nocapture"]);
        parent.env("UARTTOOL_TEST_WAY", way).stdin(Stdio::null());
        let parent = support::Process::start(&mut parent);
        let text = parent.out.wait_for(0, "=\n");
        let folder = text.split('=').nth(1).expect("a folder").to_owned();
        if let Some(end) = end {
            parent.signal(end);
        }
        let status = parent.wait(SOON);
        assert_eq!(status.signal(), end.map(Signal::as_raw), "{way}: {status}");
        wait_until("all gone", Duration::from_secs(4), || having(&folder).is_empty());
        wait_until("removed", Duration::from_secs(1), || !Path::new(&folder).exists());
    }
}

#[tokio::test]
async fn a_program_that_ends_by_itself_is_reported_with_its_last_words() {
    for (command, sentence) in [
        (
            "echo starting; echo 'q: could not open x' >&2; exit 1",
            "ended with exit status 1: starting | q: could not open x",
        ),
        ("exit 0", "ended with exit status 0 and said nothing"),
        ("kill -SEGV $$", "was ended by SIGSEGV and said nothing"),
        ("sleep 1000 & printf '\\033[2J'; exit 3", "ended with exit status 3: \\x1b[2J"),
    ] {
        let mut launched = launch(command).await;
        let (folder, marker) = (folder(&launched), tunnel(&launched));
        let exited = tokio::time::timeout(SOON, launched.exited()).await.expect("it ends");
        let shown = command.replace('\\', "\\\\");
        assert_eq!(exited, format!("`{shown}` {sentence}"));
        assert_eq!(launched.exited().await, exited);
        assert_eq!(having(&marker), NONE);
        launched.end().await.expect("it has ended");
        assert!(!folder.exists());
    }
    let mut launched = launch("/nonexistent/qemu {tunnel}").await;
    let exited = launched.exited().await;
    assert!(exited.contains("exit status 127: sh: "), "{exited}");
    assert!(exited.ends_with("/nonexistent/qemu: not found"), "{exited}");
}

#[tokio::test]
async fn a_program_that_goes_into_the_background_runs_on() {
    let mut launched = launch("setsid sh -c 'sleep 0.5; echo bye' & exit 0").await;
    let begun = Instant::now();
    let sentence = launched.exited().await;
    assert!(begun.elapsed() > Duration::from_millis(400), "{:?}", begun.elapsed());
    assert!(sentence.ends_with("ended with exit status 0: bye"), "{sentence}");
    let launched = launch("(setsid sleep 1000 &) ; exit 0").await;
    let marker = tunnel(&launched);
    wait_until("in the background", SOON, || having(&marker).len() == 3);
    launched.end().await.expect("all of it ends");
    assert_eq!(having(&marker), NONE);
}

#[tokio::test]
async fn a_program_that_ignores_sigterm_is_killed_after_two_seconds() {
    let launched =
        launch("trap '' TERM; echo deaf; setsid sleep 1000 & sleep 1001; sleep 1002").await;
    wait_until("deaf", SOON, || launched.output().contains("deaf"));
    let marker = tunnel(&launched);
    let pids = wait_for(5, &marker);
    let begun = Instant::now();
    launched.end().await.expect("all of it ends");
    let took = begun.elapsed().as_secs_f64();
    assert!((2.0..3.0).contains(&took), "{took}");
    assert!(pids.iter().all(is_gone));
}

#[tokio::test]
async fn a_program_has_the_time_to_end_well() {
    let log = tempfile::NamedTempFile::new().expect("a file");
    let text = "trap 'sleep 0.5; echo saved; exit 0' TERM; echo up; while :; do sleep 0.05; done";
    let launched = plan("--launch", text).log_to(log.path()).start().await.expect("it starts");
    wait_until("up", SOON, || launched.output() == "up\n");
    launched.end().await.expect("all of it ends");
    let log = fs::read_to_string(log.path()).expect("it is there");
    assert_eq!(lines_with(&log, "saved").len(), 1, "{log}");
}

#[tokio::test]
async fn what_a_killed_guard_leaves_is_ended_too() {
    let mut launched = launch("sleep 1000 & sleep 1001; sleep 1002").await;
    let marker = tunnel(&launched);
    let pids = wait_for(5, &marker);
    signal(guard_among(&pids), Signal::KILL);
    let sentence = launched.exited().await;
    assert!(sentence.contains("was ended together with its guard"), "{sentence}");
    wait_until("gone", SOON, || having(&marker).is_empty());
}

#[tokio::test]
async fn the_terminal_s_interrupt_does_not_reach_the_program() {
    let launched = launch("sleep 1000").await;
    let ours = session(std::process::id() as i32).expect("we run");
    for pid in wait_for(3, &tunnel(&launched)) {
        wait_until("in another session", SOON, || session(pid).is_some_and(|its| its != ours));
    }
    launched.end().await.expect("all of it ends");
}

#[tokio::test]
async fn the_sockets_are_in_a_private_folder_and_two_programs_do_not_collide() {
    let text = "echo {tunnel} {console} {port}; echo $UARTTOOL_TUNNEL $UARTTOOL_CONSOLE \
                $UARTTOOL_PORT; sleep 1000";
    let (one, two) = tokio::join!(launch(text), launch(text));
    for launched in [&one, &two] {
        let mode = fs::metadata(folder(launched)).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let line = launched.fill("{tunnel} {console} {port}\n");
        wait_until("told", SOON, || launched.output() == line.repeat(2));
        assert_eq!(launched.device, Some(launched.fill("unix:{tunnel}")));
        assert_eq!(launched.console, Some(launched.fill("unix:{console}")));
    }
    for value in ["{tunnel}", "{console}", "{port}"] {
        assert_ne!(one.fill(value), two.fill(value));
    }
    one.end().await.expect("it ends");
    assert_eq!(having(&tunnel(&two)).len(), 4);
    two.end().await.expect("it ends");
}

#[tokio::test]
async fn a_restart_has_the_same_sockets_and_nothing_stale() {
    let text = "ls {tunnel} 2>&1; touch {tunnel}; echo at {tunnel} {port}; sleep 1000";
    let mut launched = launch(text).await;
    let marker = tunnel(&launched);
    let line = launched.fill("at {tunnel} {port}\n");
    wait_until("up", SOON, || launched.output().matches(&line).count() == 1);
    let before = wait_for(4, &marker);
    launched.restart().await.expect("it starts again");
    assert!(before.iter().all(is_gone));
    wait_until("up again", SOON, || launched.output().matches(&line).count() == 2);
    assert_eq!(lines_with(&launched.output(), "No such file").len(), 2, "{}", launched.output());
    // Also when it has ended by itself.
    signal(named("sleep", &wait_for(4, &marker)), Signal::KILL);
    let sentence = launched.exited().await;
    assert!(sentence.contains("137 (as by SIGKILL)"), "{sentence}");
    launched.restart().await.expect("it starts again");
    wait_until("up again", SOON, || launched.output().matches(&line).count() == 3);
    launched.end().await.expect("it ends");
    assert_eq!(having(&marker), NONE);
}

#[tokio::test]
async fn a_script_is_run_as_its_first_line_says_or_with_sh() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("start.sh");
    for (first, mode) in [("#!/bin/bash", 0o755), ("# no such line", 0o755), ("# any", 0o644)] {
        let text =
            format!("{first}\necho {{port}} $UARTTOOL_PORT ${{BASH_VERSION:+bash}}\nexit 4\n");
        let mut file = fs::File::create(&path).expect("a file");
        file.write_all(text.as_bytes()).expect("there is room");
        drop(file);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
        let launch = plan("--launch-file", path.to_str().expect("a plain path"));
        let mut launched = launch.start().await.expect("it starts");
        let bash = if mode == 0o755 && first.starts_with("#!") { " bash" } else { "" };
        let port = launched.fill("{port}");
        let wanted =
            format!("`{}` ended with exit status 4: {{port}} {port}{bash}", path.display());
        assert_eq!(launched.exited().await, wanted);
        assert_eq!(launched.device, Some(format!("tcp:127.0.0.1:{port}")));
    }
    fs::write(&path, "#!/nonexistent/shell\n").expect("it is ours");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let launch = plan("--launch-file", path.to_str().expect("a plain path"));
    let error = launch.start().await.expect_err("there is no such shell");
    let wanted = format!("cannot start '{}': no such file or directory", path.display());
    assert_eq!((error.chain(), error.category().exit_code()), (wanted, 3));
}

#[tokio::test]
async fn waiting_for_the_device_ends_with_the_program_or_the_time() {
    let never = std::future::pending::<()>;
    let mut launched = launch("echo oops; exit 2").await;
    let error = launched.until(SOON, never()).await.expect_err("it has ended");
    assert_eq!(error.chain(), "`echo oops; exit 2` ended with exit status 2: oops");
    let mut launched = launch("echo booting; sleep 1000").await;
    wait_until("booting", SOON, || launched.output() == "booting\n");
    let error = launched.until(Duration::from_millis(50), never()).await.expect_err("no time");
    let wanted =
        "`echo booting; sleep 1000` runs but is not ready after 50ms; its last words: booting";
    assert_eq!((error.chain().as_str(), error.category().exit_code()), (wanted, 3));
    assert_eq!(launched.until(SOON, async { 1 }).await.expect("it is there"), 1);
}
