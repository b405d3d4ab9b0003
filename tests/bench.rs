//! `scripts/bench`: that it measures, not what.

#![cfg(target_os = "linux")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use support::{Process, binary};

/// The program that makes the input, which cargo builds along with the tests.
fn traffic() -> PathBuf {
    let built =
        Path::new(env!("CARGO_BIN_EXE_uarttool")).with_file_name("examples").join("traffic");
    if !built.exists() {
        let arguments = ["build", "--quiet", "--locked", "--example", "traffic"];
        let mut cargo = Command::new(env!("CARGO"));
        let status = cargo.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).status();
        assert!(status.expect("cargo").success());
    }
    built
}

/// Runs a row once, in short: its part of the JSON, and all that was said.
fn row(name: &str) -> (Value, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let json = folder.path().join("bench.json");
    let mut bench = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/bench"));
    bench.args([name, "--quick", "--rounds", "1", "--json"]).arg(&json);
    bench.env("UARTTOOL", binary()).env("UARTTOOL_TRAFFIC", traffic());
    let process = Process::start(&mut bench);
    let status = process.wait(Duration::from_secs(180));
    let said = process.stdout() + &process.stderr();
    assert!(status.success(), "{said}");
    let text = std::fs::read(&json).expect("the JSON file");
    let document: Value = serde_json::from_slice(&text).expect("JSON");
    assert_eq!(document["rows"][0]["row"], name, "{said}");
    (document["rows"][0].clone(), said)
}

#[test]
#[ignore = "needs root, tcpreplay: scripts/test"]
fn a_replay_is_measured() {
    let (row, said) = row("replay");
    let figures = row["figures"].as_array().expect("figures");
    let keys: Vec<_> =
        figures.iter().map(|figure| figure["figure"].as_str().expect("a key")).collect();
    let timed = ["gap_p50", "gap_p99", "drift", "processor"];
    let timed = |gap| timed.map(|key| format!("{key}_{gap}"));
    assert_eq!(keys, [&timed("1ms")[..], &timed("100us"), &["top_speed".to_owned()]].concat());
    for figure in figures {
        let programs = ["uarttool", "tcpreplay", "nano"];
        let fast = figure["figure"] == "top_speed";
        for program in &programs[..if fast { 2 } else { 3 }] {
            let values = figure["contenders"][program]["values"].as_array().expect("values");
            assert_eq!(values.len(), 1, "{figure}");
            assert!(values[0].is_number(), "{figure}");
        }
        assert!(figure["ratios"]["tcpreplay"].is_number(), "{figure}");
        let title = figure["title"].as_str().expect("a title");
        assert!(said.lines().any(|line| line.starts_with(title)), "{title} in {said}");
    }
    let with_goals = figures.iter().filter(|figure| figure["goal"]["met"].is_boolean()).count();
    assert_eq!(with_goals, 5, "{said}");
    assert!(said.contains("medians of 1 by turns"), "{said}");
    assert!(row["versions"]["tcpreplay"].as_str().expect("a version").starts_with("tcpreplay 4"));
}

#[test]
fn a_row_that_is_not_there_is_named() {
    let mut bench = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/bench"));
    let Ok(output) = bench.arg("replayed").output() else { return };
    if output.status.code() == Some(3) {
        return; // without python3
    }
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("there is no row 'replayed'") && said.contains("replay"), "{said}");
}
