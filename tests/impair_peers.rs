//! Captures of impaired lines, as Wireshark shows them.

mod support;

use support::{lines_with, run, text};

#[test]
#[ignore = "needs tshark: scripts/test"]
fn tshark_shows_the_comments() {
    let folder = tempfile::tempdir().expect("a folder");
    let capture = folder.path().join("out.pcapng");
    let capture = capture.to_str().expect("text");
    let endpoint = "sim,drop=20%,corrupt=20%,delay=5ms,seed=3";
    run(["ping", "-d", endpoint, "-c", "20", "-i", "10ms", "-W", "0.2", "-q", "-w", capture]);
    let fields = ["-T", "fields", "-e", "_ws.col.Info", "-e", "frame.comment"];
    let output = std::process::Command::new("tshark").args(["-r", capture]).args(fields).output();
    let (stdout, stderr) = text(&output.expect("tshark"));
    assert!(!lines_with(&stdout, "impaired: dropped, 98 bytes").is_empty(), "{stdout}{stderr}");
    assert!(!lines_with(&stdout, "impaired: corrupted bit ").is_empty(), "{stdout}{stderr}");
    assert!(!lines_with(&stdout, "impaired: delayed 5.000 ms").is_empty(), "{stdout}{stderr}");
    assert!(!stdout.contains("Malformed"), "{stdout}");
}
