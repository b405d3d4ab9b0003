//! What a person reads of real captures: every line and every field, as it was looked at and found right.
//!
//! Each file under `tests/corpus` is decoded with everything that a screen knows (connections, replies);
//! its lines and its trees are snapshots. A new file is picked up by itself: `cargo insta review` shows
//! what there is to look at. Where the files come from says `tests/corpus/README.md`.

use std::fs;
use std::path::{Path, PathBuf};

use uarttool::analysis::flows::Flows;
use uarttool::analysis::replies::Replies;
use uarttool::capture::read::{Reader, Reading};
use uarttool::clock::Timestamp;
use uarttool::dissect::Dissector;
use uarttool::dissect::render::{line, tree};
use uarttool::proto::line::Line;
use uarttool::record::{Body, LinkType};

/// No capture is larger, or it is too large to be looked at.
const MOST_BYTES: u64 = 10_000;
/// Captures in which frames are wrong on purpose.
const MALFORMED: &[&str] = &[];

fn captures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let entries = fs::read_dir(folder).expect("there is a corpus");
    let paths = entries.map(|entry| entry.expect("it can be read").path());
    let is_capture = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "pcap" || extension == "pcapng")
    };
    let mut paths: Vec<PathBuf> = paths.filter(is_capture).collect();
    paths.sort();
    assert!(paths.len() >= 20, "{} captures", paths.len());
    paths
}

/// What is shown of a capture: its lines, its trees, and how many frames are malformed.
#[derive(Default)]
struct Shown {
    lines: String,
    trees: String,
    malformed: usize,
}

fn shown(path: &Path) -> Shown {
    let mut reader = Reader::open(path, &Reading::default()).expect("it is a capture");
    let (mut dissector, mut flows, mut replies) =
        (Dissector::default(), Flows::default(), Replies::default());
    let mut shown = Shown::default();
    while let Some(record) = reader.read().expect("it can be read") {
        let (link, bytes, length) = match &record.body {
            Body::Frame(frame) => (LinkType::ETHERNET, frame, frame.len()),
            Body::Packet(packet) => (packet.link, &packet.bytes, packet.length as usize),
            other => panic!("{}: {other:?}", path.display()),
        };
        let mut stack = dissector.dissect_as(link, bytes, length);
        stack.relation = flows.observe(&stack);
        let now = record.time.map_or(Timestamp::default(), |span| span.last);
        let is_answer = replies.observe(&stack, now).is_some();
        let mut text = Line::new(false);
        line::summary(&stack, &mut text);
        // How long it took is different each time that the capture is made.
        text.text(if is_answer { "  (answer)\n" } else { "\n" });
        shown.lines += &String::from_utf8_lossy(text.as_bytes());
        tree::tree(&stack, &mut text);
        shown.trees += &String::from_utf8_lossy(text.as_bytes());
        shown.malformed += usize::from(stack.is_malformed());
    }
    assert_eq!(reader.damage(), [], "{}", path.display());
    shown
}

#[test]
fn every_capture_reads_as_it_should() {
    for path in captures() {
        let name = path.file_name().expect("a file").to_string_lossy().replace('.', "-");
        let shown = shown(&path);
        insta::assert_snapshot!(format!("{name}-lines"), shown.lines);
        insta::assert_snapshot!(format!("{name}-tree"), shown.trees);
    }
}

#[test]
fn no_real_frame_is_called_malformed() {
    for path in captures() {
        let name = path.file_stem().expect("a file").to_string_lossy().into_owned();
        let is_wrong = MALFORMED.contains(&name.as_str());
        assert_eq!(shown(&path).malformed > 0, is_wrong, "{name}");
    }
}

#[test]
fn captures_are_small() {
    for path in captures() {
        let bytes = fs::metadata(&path).expect("it is there").len();
        assert!(bytes <= MOST_BYTES, "{}: {bytes} bytes", path.display());
        assert!(bytes > 24, "{} is empty", path.display());
    }
}
