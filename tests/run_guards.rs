//! `uarttool run`: signals that are for the command, and guards that are killed.

#![cfg(target_os = "linux")] // processes are looked for in /proc

mod support;

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use support::SOON;
use support::running::{Place, SIM, firmware, with};

/// A command that goes on in the background, in sessions of its own.
const FAMILY: &str =
    "setsid sleep 1000 & (setsid sh -c 'sleep 1001 & sleep 1002' &); echo up; sleep 1003";

/// The command lines of what comes from our run, with their process ids.
fn lines(place: &Place) -> Vec<(i32, String)> {
    let line = |pid: i32| {
        let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        (pid, String::from_utf8_lossy(&bytes).replace('\0', " "))
    };
    place.processes().into_iter().map(line).collect()
}

/// The keepers, or the guards below them.
fn guards(place: &Place, inner: bool) -> Vec<i32> {
    let all = lines(place).into_iter().filter(|(_, line)| line.contains(" launch-guard "));
    all.filter(|(_, line)| line.contains(" --inner ") == inner).map(|(pid, _)| pid).collect()
}

fn kill(pids: &[i32]) {
    for pid in pids {
        kill_process(Pid::from_raw(*pid).expect("a process id"), Signal::KILL).expect("it is ours");
    }
}

fn wait_for(what: impl Fn() -> bool, failure: impl Fn() -> String) {
    let deadline = Instant::now() + Duration::from_secs(8);
    while !what() {
        assert!(Instant::now() < deadline, "{}", failure());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn messages_reach_the_command_and_are_not_its_end() {
    for (signal, name) in [(Signal::USR1, "USR1"), (Signal::USR2, "USR2")] {
        let place = Place::new();
        // What the shell starts does not know the signal, and must not get it.
        let script = format!("trap 'echo got' {name}; echo up; while sleep 0.05; do :; done");
        let run = place.start(&with(&SIM, &script));
        run.out.wait_for(0, "up\n");
        for n in 1..=5 {
            run.signal(signal);
            wait_for(|| run.stdout().matches("got\n").count() == n, || run.stdout());
        }
        run.signal(Signal::TERM);
        assert_eq!(run.wait(SOON).code(), Some(143), "{name}: {}", run.stderr());
        assert_eq!(place.processes(), Vec::<i32>::new());
    }
}

#[test]
fn sigquit_is_passed_on() {
    let place = Place::new();
    let run = place.start(&with(&SIM, FAMILY));
    run.out.wait_for(0, "up\n");
    run.signal(Signal::QUIT);
    assert_eq!(run.wait(SOON).code(), Some(128 + 3), "{}", run.stderr());
    assert_eq!(place.processes(), Vec::<i32>::new());
    assert!(run.stderr().contains("kept     "), "{}", run.stderr());
}

#[test]
fn a_message_before_the_command_runs_is_nobody_s() {
    let place = Place::new();
    let args = ["--forward", "0:81", "--wait", "2500ms", "--launch", &firmware("")];
    let run = place.start(&[&args, &["--", "true"][..]].concat());
    run.err.wait_for(0, "connected to");
    (0..20).for_each(|_| run.signal(Signal::USR1));
    assert_eq!(run.wait(SOON).code(), Some(3), "{}", run.stderr());
}

/// A run with firmware and a family, which is up.
fn family(place: &Place) -> support::Process {
    let run = place.start(&with(&["--forward", "0:80", "--launch", &firmware("")], FAMILY));
    run.out.wait_for(0, "up\n");
    run
}

#[test]
fn guards_that_are_killed_leave_nothing() {
    for inner in [true, false] {
        let place = Place::new();
        let run = family(&place);
        let guards = guards(&place, inner);
        assert_eq!(guards.len(), 2, "{:?}", lines(&place));
        kill(&guards);
        if !inner {
            run.signal(Signal::TERM); // the guards are there, and nothing has changed
        }
        let code = run.wait(SOON).code();
        assert!(code.is_some_and(|code| code != 0), "{}", run.stderr());
        wait_for(|| place.processes().is_empty(), || format!("left: {:?}", lines(&place)));
        assert!(!inner || run.stderr().contains("guard"), "it is said: {}", run.stderr());
    }
}

#[test]
fn all_guards_killed_what_they_leave_comes_to_us() {
    let place = Place::new();
    let run = family(&place);
    kill(&[guards(&place, false), guards(&place, true)].concat());
    assert!(run.wait(SOON).code().is_some_and(|code| code != 0), "{}", run.stderr());
    assert_eq!(place.processes(), Vec::<i32>::new(), "{:?}", lines(&place));
}

#[test]
fn killed_together_with_its_children_it_leaves_nothing() {
    for inner in [true, false] {
        let place = Place::new();
        let run = family(&place);
        let guards = guards(&place, inner);
        run.signal(Signal::KILL);
        kill(&guards);
        run.wait(SOON);
        wait_for(|| place.processes().is_empty(), || format!("left: {:?}", lines(&place)));
        let left = place.left();
        assert!(left.len() == 1 && left[0].starts_with("uarttool-run-"), "the evidence: {left:?}");
    }
}

#[test]
fn the_program_itself_does_not_outlive_anybody() {
    let place = Place::new();
    let args = ["--keep", "never", "-d", "sim", "--", "sleep", "1004"];
    let run = place.start(&args);
    let sleeps = || lines(&place).iter().any(|(_, line)| line == "sleep 1004 ");
    wait_for(sleeps, || run.stderr());
    // All of us at once: stopped, nobody can do anything about the others' end.
    let all = [guards(&place, false), guards(&place, true)].concat();
    run.signal(Signal::STOP);
    for pid in &all {
        let pid = Pid::from_raw(*pid).expect("a process id");
        kill_process(pid, Signal::STOP).expect("it is ours");
    }
    run.signal(Signal::KILL);
    kill(&all);
    run.wait(SOON);
    wait_for(|| place.processes().is_empty(), || format!("left: {:?}", lines(&place)));
}
