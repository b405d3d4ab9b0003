//! The filter language beside tcpdump: the same expressions on the same frames, bit for bit.
//!
//! A hundred thousand frames are made from a seed: every protocol that a filter can ask for, with
//! options, fragments, extension headers and tags, frames of 802.3, junk, and all of it cut off
//! anywhere. They are written once; then tcpdump reads them through each expression, and the
//! frames that it keeps have to be those that ours keeps. A frame's number is its timestamp.
//!
//! tcpdump's optimiser leaves out looking at bytes that do not decide, so that a frame that is too
//! short for them passes with it and not without. Ours does what the expression says, as tcpdump
//! does with `-O`; where every frame is long enough, the optimised one has to agree as well. (Not
//! so with the expressions composed by chance: it forgets divisions by 0, and now and then more.)

mod filters;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::{fs, thread};

use filters::expressions::{composed, is_about_packets, written};
use filters::frames::{Frame, frames, pcap, relinked};
use uarttool::dissect::Dissector;
use uarttool::dissect::filter::{Filter, Seen};
use uarttool::record::{Direction, LinkType};

/// How many frames there are.
const FRAMES: usize = 100_000;
/// How many expressions are composed by chance.
const COMPOSED: usize = 300;

/// The numbers of the frames that tcpdump keeps, or what it says about the expression.
fn theirs(path: &Path, expression: &str, optimised: bool) -> Result<Vec<usize>, String> {
    let mut command = Command::new("tcpdump");
    command.arg("-r").arg(path).args(["-w", "-"]);
    if !optimised {
        command.arg("-O");
    }
    let output = command.arg("--").arg(expression).output().expect("tcpdump is there");
    if !output.status.success() {
        if output.stderr.ends_with(b"rejects all packets\n") {
            return Ok(Vec::new());
        }
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let (mut numbers, mut at) = (Vec::new(), 24);
    let word = |at: usize| {
        let bytes = output.stdout.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
    };
    while let (Some(seconds), Some(micros), Some(kept)) = (word(at), word(at + 4), word(at + 8)) {
        numbers.push(seconds * 1_000_000 + micros);
        at += 16 + kept;
    }
    Ok(numbers)
}

fn ours(frames: &[Frame], link: LinkType, expression: &str) -> Result<Vec<usize>, String> {
    let filter = Filter::parse(expression).map_err(|error| error.to_string())?;
    let again = Filter::parse(&filter.to_string()).map_err(|error| error.to_string())?;
    let mut dissector = Dissector::default();
    let kept = frames.iter().enumerate().filter(|(n, frame)| {
        let bytes = &frame.bytes[..];
        let seen = Seen { frame: bytes, length: frame.length, direction: Direction::Unknown, link };
        // What a filter shows of itself has to mean the same.
        let filter = if n % 2 == 0 { &filter } else { &again };
        filter.matches(&seen, || dissector.dissect(bytes))
    });
    Ok(kept.map(|(n, _)| n).collect())
}

/// What differs, one line a frame; the first few of them.
fn difference(expression: &str, frames: &[Frame], theirs: &[usize], ours: &[usize]) -> String {
    let only = |a: &[usize], b: &[usize]| -> Vec<usize> {
        a.iter().copied().filter(|n| b.binary_search(n).is_err()).collect()
    };
    let mut text = format!("'{expression}':");
    for (who, numbers) in [("tcpdump", only(theirs, ours)), ("uarttool", only(ours, theirs))] {
        text += &format!("\n  {} frames match for {who} alone", numbers.len());
        for n in numbers.iter().take(2) {
            let hex: String = frames[*n].bytes.iter().map(|b| format!("{b:02x}")).collect();
            text += &format!("\n    {n} ({} bytes on the line): {hex}", frames[*n].length);
        }
    }
    text
}

/// A file of frames that is there as long as this is.
struct Corpus {
    frames: Vec<Frame>,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Corpus {
    fn new(frames: Vec<Frame>, link: LinkType) -> Corpus {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("frames.pcap");
        fs::write(&path, pcap(&frames, link)).expect("it is written");
        Corpus { frames, path, _folder: folder }
    }
}

/// Compares all `expressions`, on two threads; returns what differs and how many frames matched.
fn compare(
    corpus: Corpus,
    link: LinkType,
    expressions: Vec<String>,
    optimised: bool,
) -> (Vec<String>, usize) {
    let (corpus, expressions) = (Arc::new(corpus), Arc::new(expressions));
    let next = Arc::new(AtomicUsize::new(0));
    let found = Arc::new(Mutex::new((Vec::new(), 0)));
    let workers = (0..2).map(|_| {
        let (corpus, expressions) = (corpus.clone(), expressions.clone());
        let (next, found) = (next.clone(), found.clone());
        thread::spawn(move || {
            while let Some(text) = expressions.get(next.fetch_add(1, Ordering::Relaxed)) {
                let theirs = theirs(&corpus.path, text, optimised);
                let ours = ours(&corpus.frames, link, text);
                let mut found = found.lock().expect("no panic");
                match (theirs, ours) {
                    (Ok(theirs), Ok(ours)) => {
                        found.1 +=
                            usize::from(!ours.is_empty() && ours.len() < corpus.frames.len());
                        if theirs != ours {
                            found.0.push(difference(text, &corpus.frames, &theirs, &ours));
                        }
                    }
                    (theirs, ours) => found.0.push(format!(
                        "'{text}': tcpdump {:?}, uarttool {:?}",
                        theirs.err(),
                        ours.err()
                    )),
                }
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.join().expect("no panic");
    }
    let mut found = found.lock().expect("no panic");
    std::mem::take(&mut *found)
}

fn expressions() -> Vec<String> {
    let mut expressions: Vec<String> = written().iter().map(|text| text.to_string()).collect();
    expressions.extend(composed(7, COMPOSED));
    expressions
}

/// Fails if anything differs, or if too few expressions tell frames apart.
fn assert_same((differences, telling): (Vec<String>, usize), all: usize) {
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n"));
    assert!(telling * 10 >= all * 7, "{telling} of {all} expressions tell frames apart");
}

#[test]
#[ignore = "needs tcpdump: scripts/test"]
fn the_same_frames_match_as_in_tcpdump() {
    let expressions = expressions();
    let all = expressions.len();
    assert!(all >= 500);
    let corpus = Corpus::new(frames(1, FRAMES), LinkType::ETHERNET);
    assert_same(compare(corpus, LinkType::ETHERNET, expressions, false), all);
}

#[test]
#[ignore = "needs tcpdump: scripts/test"]
fn whole_frames_match_as_with_tcpdumps_optimiser() {
    let mut frames = frames(2, 5_000);
    for frame in &mut frames {
        frame.bytes.resize(frame.bytes.len().max(1400), 0);
        frame.length = frame.bytes.len();
    }
    let expressions: Vec<String> = written().iter().map(|text| text.to_string()).collect();
    let all = expressions.len();
    let corpus = Corpus::new(frames, LinkType::ETHERNET);
    assert_same(compare(corpus, LinkType::ETHERNET, expressions, true), all);
}

#[test]
#[ignore = "needs tcpdump: scripts/test"]
fn packets_match_on_other_links_as_in_tcpdump() {
    for link in [
        LinkType::RAW,
        LinkType::IPV4,
        LinkType::IPV6,
        LinkType::NULL,
        LinkType::LOOP,
        LinkType::LINUX_SLL,
        LinkType::LINUX_SLL2,
    ] {
        let expressions: Vec<String> =
            expressions().into_iter().filter(|text| is_about_packets(text)).step_by(2).collect();
        let corpus = Corpus::new(relinked(frames(3, 5_000), link), link);
        let (differences, _) = compare(corpus, link, expressions, false);
        assert!(differences.is_empty(), "{link:?}: {}", differences.join("\n"));
    }
}
