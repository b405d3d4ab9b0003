//! What it costs to see a frame: to dissect it, to say it in each form, to filter it, to write it.
//!
//! `cargo bench --bench seeing`; each figure is for 1000 mixed frames (see `traffic`), 530 KB.

#[path = "traffic/mod.rs"]
mod traffic;

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use uarttool::analysis::flows::Flows;
use uarttool::capture::read::{Reader, Reading};
use uarttool::capture::{Source, Target};
use uarttool::clock::Timestamp;
use uarttool::dissect::Dissector;
use uarttool::dissect::filter::{Filter, Seen};
use uarttool::dissect::render::{json, line, tree};
use uarttool::proto::dump::{Layout, dump};
use uarttool::proto::line::Line;
use uarttool::record::{Body, Direction, LinkType, Origin, Record, Span};

const FRAMES: usize = 1000;

fn frames() -> Vec<Bytes> {
    let mut traffic = traffic::Traffic::new(1);
    let mut frame = Vec::new();
    let next = |_| {
        traffic.next(&mut frame);
        Bytes::copy_from_slice(&frame)
    };
    (0..FRAMES).map(next).collect()
}

fn rendering(c: &mut Criterion) {
    let frames = frames();
    let mut group = c.benchmark_group("frames");
    group.throughput(Throughput::Elements(FRAMES as u64));
    let (mut dissector, mut flows, mut text) =
        (Dissector::default(), Flows::default(), Line::new(false));
    group.bench_function("dissect", |b| {
        b.iter(|| {
            frames.iter().for_each(|frame| {
                black_box(dissector.dissect(frame));
            })
        });
    });
    group.bench_function("line", |b| {
        b.iter(|| {
            text.clear();
            for frame in &frames {
                let mut stack = dissector.dissect(frame);
                stack.relation = flows.observe(&stack);
                line::summary(&stack, &mut text);
            }
        });
    });
    group.bench_function("tree", |b| {
        b.iter(|| {
            text.clear();
            frames.iter().for_each(|frame| tree::tree(&dissector.dissect(frame), &mut text));
        });
    });
    group.bench_function("json", |b| {
        b.iter(|| {
            text.clear();
            frames.iter().for_each(|frame| json::members(&dissector.dissect(frame), &mut text));
        });
    });
    group.bench_function("hex", |b| {
        b.iter(|| {
            text.clear();
            frames.iter().for_each(|frame| dump(frame, Layout::Hex, &mut text));
        });
    });
    group.finish();
}

fn filtering(c: &mut Criterion) {
    let frames = frames();
    let mut group = c.benchmark_group("filter");
    group.throughput(Throughput::Elements(FRAMES as u64));
    let mut dissector = Dissector::default();
    for text in ["icmp", "tcp port 80", "host 192.168.100.2 and not arp", "ip.ttl < 5"] {
        let filter = Filter::parse(text).expect("it is a filter");
        group.bench_function(text, |b| {
            b.iter(|| {
                let passes = |frame: &&Bytes| {
                    let (direction, link) = (Direction::Unknown, LinkType::ETHERNET);
                    let seen = Seen { frame, length: frame.len(), direction, link };
                    filter.matches(&seen, || dissector.dissect(frame))
                };
                frames.iter().filter(passes).count()
            });
        });
    }
    group.finish();
}

fn files(c: &mut Criterion) {
    let frames = frames();
    let folder = tempfile::tempdir().expect("a folder");
    let mut group = c.benchmark_group("files");
    group.throughput(Throughput::Elements(FRAMES as u64));
    let source = Source {
        name: "bench".to_owned(),
        description: "bench".to_owned(),
        framing: uarttool::framing::ALL[0],
        console: None,
    };
    for extension in ["pcap", "pcapng", "raw"] {
        let path = folder.path().join(format!("a.{extension}"));
        let target = Target::parse(path.to_str().expect("a plain path")).expect("it is known");
        let write = || {
            let mut file = target.create(&source).expect("there is room");
            for (n, frame) in frames.iter().enumerate() {
                let record = Record {
                    time: Some(Span::at(Timestamp(1_700_000_000_000_000_000 + n as u64 * 1000))),
                    origin: Origin::new(Direction::FromDevice),
                    offset: None,
                    body: Body::Frame(frame.clone()),
                };
                file.record(&record, None).expect("there is room");
            }
            file.flush().expect("there is room");
        };
        group.bench_function(format!("write {extension}"), |b| b.iter(write));
        write();
        group.bench_function(format!("read {extension}"), |b| {
            b.iter(|| {
                let mut reader = Reader::open(&path, &Reading::default()).expect("it is there");
                let mut n = 0;
                while reader.read().expect("it can be read").is_some() {
                    n += 1;
                }
                assert!(n >= FRAMES);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, rendering, filtering, files);
criterion_main!(benches);
