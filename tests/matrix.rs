//! The judge is judged: every seeded fault is found by a test on its list, every required test finds a
//! fault, every comparison can fail, and what is harmless changes nothing. In virtual time, on the
//! built-in device.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use support::judge::{plan, run};
use uarttool::checksum::Sum;
use uarttool::conformance::catalogue;
use uarttool::conformance::engine::Plan;
use uarttool::conformance::event::{Finished, Summary};
use uarttool::conformance::invariants;
use uarttool::conformance::ledger::Ledger;
use uarttool::conformance::model::{About, Flow, Owner, Severity, Test, Tier, Verdict};
use uarttool::conformance::rig::Capability;
use uarttool::conformance::seen::Seen;
use uarttool::conformance::trial::Trial;

fn by_id(id: &str) -> &'static Test {
    catalogue::by_name(id).unwrap_or_else(|| panic!("there is no {id}"))
}

/// Each fault, and the tests of which at least one has to find it.
const KILLERS: &[(&str, &[&str])] = &[
    ("zero-stops", &["LNK-01", "LNK-02"]),
    ("oversize-waits", &["LNK-03"]),
    ("partial-kept", &["LNK-07", "LNK-08"]),
    ("short-timeout", &["LNK-09", "LNK-10", "LNK-12"]),
    ("one-frame-per-read", &["LNK-11", "LNK-13"]),
    ("burst-lost", &["LNK-13"]),
    ("max-1500", &["LNK-06", "ICM-02"]),
    ("half-frame-survives", &["LNK-18"]),
    ("icmp-twice", &["INV-07", "ICM-01"]),
    ("arp-opcode", &["ARP-01", "ARP-02"]),
    ("arp-sender", &["ARP-01"]),
    ("static-overwritten", &["ARP-08", "ARP-09"]),
    ("short-arp-kills", &["ARP-07", "ROB-06"]),
    ("no-mac-filter", &["ETH-01"]),
    ("ip-checksum-unchecked", &["IP4-01"]),
    ("loopback-answered", &["IP4-13"]),
    ("echo-id-swapped", &["ICM-01", "ICM-02"]),
    ("icmp-checksum-unchecked", &["ICM-04"]),
    ("no-port-unreachable", &["ICM-09", "UDP-01"]),
    ("error-for-error", &["ICM-12"]),
    ("undersized-kills", &["LNK-16"]),
    ("deaf-after-reconnect", &["LNK-17"]),
    ("stall-tears", &["LNK-19", "INV-01"]),
    ("bad-lengths-stop", &["LNK-14", "LNK-04", "LNK-02", "ROB-03"]),
    ("boot-noise", &["LNK-20"]),
    ("tag-stripped", &["ETH-03"]),
    ("length-from-frame", &["ETH-04", "IP4-04"]),
    ("short-dropped", &["ETH-05"]),
    ("foreign-source", &["ETH-08", "INV-02"]),
    ("broadcast-taken", &["ETH-02"]),
    ("answers-sender", &["ETH-06"]),
    ("padded-arp-ignored", &["ARP-03"]),
    ("arp-for-anybody", &["ARP-04"]),
    ("arp-unverified", &["ARP-05"]),
    ("arp-any-opcode", &["ARP-06"]),
    ("learns-from-ip", &["ARP-11"]),
    ("arp-flood", &["ARP-12"]),
    ("probe-ignored", &["ARP-13"]),
    ("table-overflows", &["ARP-16"]),
    ("asks-for-host", &["ARP-10"]),
    ("version-ignored", &["IP4-02"]),
    ("header-length-ignored", &["IP4-03"]),
    ("options-dropped", &["IP4-05", "IP4-06"]),
    ("source-route-followed", &["IP4-07"]),
    ("bad-option-kills", &["IP4-08"]),
    ("ttl-counted", &["IP4-09"]),
    ("any-destination", &["IP4-11"]),
    ("loopback-destination", &["IP4-12"]),
    ("group-source", &["IP4-14"]),
    ("zero-source", &["IP4-15"]),
    ("df-dropped", &["IP4-16"]),
    ("no-gateway", &["IP4-18"]),
    ("constant-id", &["IP4-19"]),
    ("tos-lost", &["IP4-17"]),
    ("low-ttl", &["IP4-10", "INV-06"]),
    ("large-checksum-wrong", &["INV-03"]),
    ("large-sum-wrong", &["INV-04", "ICM-02"]),
    ("length-beyond-frame", &["INV-05"]),
    ("resend-changed", &["INV-08"]),
    ("arp-mirrored", &["ARP-05"]),
    ("ip-mirrored", &["IP4-03", "IP4-04"]),
    ("replies-elsewhere", &["INV-09"]),
    ("replies-to-all", &["INV-10"]),
    ("byte-changed", &["ICM-03"]),
    ("short-icmp-kills", &["ICM-05"]),
    ("any-type-answered", &["ICM-07", "ICM-17"]),
    ("errors-for-groups", &["ICM-11"]),
    ("errors-for-fragments", &["ICM-13"]),
    ("mask-answered", &["ICM-15"]),
    ("quote-rewritten", &["ICM-09"]),
    ("redirect-believed", &["ICM-16"]),
    // Fragments and UDP.
    ("first-fragment-whole", &["FRG-13", "FRG-07", "FRG-11"]),
    ("fragment-keyless", &["FRG-12"]),
    ("udp-checksum-unchecked", &["UDP-08", "UDP-02"]),
    ("reassembled-twice", &["FRG-01"]),
    ("fragments-in-order", &["FRG-02"]),
    ("four-fragments", &["FRG-03"]),
    ("one-datagram-at-a-time", &["FRG-04"]),
    ("duplicates-count", &["FRG-05"]),
    ("overlap-kills", &["FRG-06"]),
    ("fragment-rounded", &["FRG-07"]),
    ("offset-overflow-kills", &["FRG-08"]),
    ("empty-fragment-kills", &["FRG-08"]),
    ("fragments-kept", &["FRG-09"]),
    ("reassembly-fills", &["FRG-10"]),
    ("fragment-offset-wrong", &["FRG-11"]),
    ("short-udp-kills", &["UDP-03"]),
    ("port-zero-kills", &["UDP-04"]),
    ("zero-sum-dropped", &["UDP-07"]),
    ("empty-datagram-dropped", &["UDP-06"]),
    ("udp-length-ignored", &["UDP-09", "UDP-10"]),
    ("udp-group-source", &["UDP-05"]),
    // TCP, opening.
    ("rst-ack", &["TCP-04"]),
    ("closed-silent", &["TCP-04", "TCP-05", "TCP-07", "TCP-17"]),
    ("syn-ack-once", &["TCP-15", "TCP-16"]),
    ("tcp-checksum-unchecked", &["TCP-09"]),
    ("stray-rst", &["TCP-07"]),
    ("zero-option-kills", &["TCP-11"]),
    ("syn-ack-short", &["TCP-01"]),
    ("mss-huge", &["TCP-02"]),
    ("option-unoffered", &["TCP-03"]),
    ("reset-answered", &["TCP-06"]),
    ("unknown-option-stops", &["TCP-10"]),
    ("offset-ignored", &["TCP-12"]),
    ("reserved-refused", &["TCP-13"]),
    ("syn-data-doubled", &["TCP-14"]),
    ("half-open-stays", &["TCP-18"]),
    ("group-syn-taken", &["TCP-19"]),
    ("land-kills", &["TCP-20"]),
    ("isn-steps", &["TCP-21"]),
    ("mss-everywhere", &["TCP-02"]),
    // TCP, segments.
    ("any-rst-closes", &["TCP-31", "TCP-32"]),
    ("no-duplicate-ack", &["TCP-23", "TCP-24", "TCP-26", "TCP-33"]),
    ("no-ack-taken", &["TCP-27"]),
    ("small-ack-withheld", &["TCP-22"]),
    ("early-taken", &["TCP-23"]),
    ("overlap-whole", &["TCP-25"]),
    ("future-ack-closes", &["TCP-28"]),
    ("reset-ignored", &["TCP-30"]),
    ("nonsense-closes", &["TCP-34"]),
    ("byte-dropped", &["TCP-50"]),
    ("keepalive-ignored", &["TCP-51"]),
    ("urgent-kills", &["TCP-52"]),
    ("old-ack-closes", &["TCP-29"]),
    ("duplicate-taken", &["TCP-24"]),
    // TCP, closing.
    ("mss-ignored", &["TCP-37"]),
    ("data-once", &["TCP-41"]),
    ("no-backoff", &["TCP-41"]),
    ("no-time-wait", &["TCP-47"]),
    ("tail-lost", &["TCP-45"]),
    ("rx-alias", &["TCP-55"]),
    ("icmp-aborts", &["TCP-35"]),
    ("large-default-mss", &["TCP-38"]),
    ("window-ignored", &["TCP-39"]),
    ("never-probes", &["TCP-40"]),
    ("fin-unacknowledged", &["TCP-43", "TCP-46"]),
    ("half-close-aborts", &["TCP-44"]),
    ("sequence-unwrapped", &["TCP-49"]),
    ("half-open-forever", &["TCP-53"]),
    ("full-for-good", &["TCP-54"]),
    ("closes-by-reset", &["TCP-45"]),
    // HTTP.
    ("tail-lost", &["HTT-01"]),
    ("head-has-body", &["HTT-02"]),
    ("not-found-is-ok", &["HTT-03"]),
    ("leaks-sockets", &["ROB-08", "HTT-18"]),
    ("http10-kept", &["HTT-04"]),
    ("host-not-wanted", &["HTT-05"]),
    ("pipeline-lost", &["HTT-10"]),
    ("long-target-resets", &["HTT-12"]),
    ("body-lengths-ignored", &["HTT-13"]),
    ("blank-before-colon", &["HTT-14"]),
    ("leaves-root", &["HTT-15"]),
    ("one-client", &["HTT-16"]),
    ("stall-forgets", &["HTT-19"]),
    ("any-method", &["HTT-06"]),
    ("any-http-version", &["HTT-07"]),
    ("tls-kills", &["HTT-08"]),
    ("kept-and-deaf", &["HTT-09"]),
    ("long-head-silent", &["HTT-11"]),
    ("one-at-a-time", &["HTT-17"]),
    // Performance.
    ("slow", &["PRF-01", "PRF-05"]),
    ("loses-frames", &["PRF-02"]),
    ("hiccups", &["PRF-04"]),
    ("web-trickles", &["PRF-05", "PRF-06"]),
    ("sends-again", &["PRF-07"]),
    ("acks-late", &["PRF-08"]),
    ("pings-hush-web", &["PRF-09"]),
    ("web-starves-pings", &["PRF-10"]),
    ("web-tires", &["PRF-12"]),
    ("refuses-now-and-then", &["PRF-13"]),
    ("one-at-a-time", &["PRF-14"]),
    // Robustness.
    ("long-ipv6-kills", &["ROB-01"]),
    ("short-header-kills", &["ROB-02"]),
    ("xmas-kills", &["ROB-04"]),
    ("high-byte-kills", &["ROB-05"]),
    ("storm-kills", &["ROB-07"]),
    ("reboots", &["ICM-02", "ROB-09"]),
    ("tires", &["ROB-10"]),
];

/// The tests to run for a list of ids: those themselves, and for an invariant what makes frames.
fn tests_for(ids: &[&str]) -> Vec<&'static Test> {
    let mut tests: Vec<_> =
        ids.iter().filter(|id| !id.starts_with("INV")).map(|id| by_id(id)).collect();
    if ids.iter().any(|id| id.starts_with("INV")) {
        tests.extend(["ICM-01", "ICM-02", "ICM-03"].map(by_id));
    }
    if ids.contains(&"INV-08") {
        tests.push(&UNACKNOWLEDGED);
    }
    tests
}

/// What makes a device send TCP data again, for the rule on that; it has no verdict of its own.
static UNACKNOWLEDGED: Test = Test::new(
    About {
        id: "TCP-00",
        name: "tcp.unacknowledged",
        severity: Severity::Report,
        tier: Tier::Core,
        owner: Owner::Stack,
        reference: "RFC 9293 §3.8.1",
        requirement: "Data that is not acknowledged is sent again.",
    },
    |t| Box::pin(unacknowledged(t)),
);

async fn unacknowledged(t: &mut Trial) -> Flow {
    const CHARGEN: u16 = 19;
    const SYN: u8 = 2;
    const ACK: u8 = 16;
    let port = 50_019;
    send_segment(t, (port, CHARGEN), (1000, 0), SYN).await?;
    let is_from = |seen: &Seen| seen.tcp().is_some_and(|tcp| tcp.destination == port);
    t.wait_for(Duration::from_secs(1), is_from).await?;
    let seen = t.take_seen();
    let isn = seen.iter().filter_map(Seen::tcp).find(|tcp| tcp.destination == port);
    let isn = isn.expect("an answer to SYN").seq;
    send_segment(t, (port, CHARGEN), (1001, isn.wrapping_add(1)), ACK).await?;
    t.listen(Duration::from_secs(5)).await?;
    let seen = t.take_seen();
    let mut first = seen.iter().filter_map(Seen::tcp).filter(|tcp| tcp.data.len() > 1);
    let again = first.next().is_some_and(|one| first.any(|other| other.seq == one.seq));
    t.must(again, "data that is not acknowledged is sent again", "it is not");
    Ok(())
}

/// A TCP segment without options and data.
async fn send_segment(
    t: &mut Trial,
    (from, to): (u16, u16),
    (seq, ack): (u32, u32),
    flags: u8,
) -> Flow {
    let (eth, ip) = (t.eth(0x0800), t.ip(6));
    let mut segment = Vec::new();
    segment.extend([from, to].map(u16::to_be_bytes).concat());
    segment.extend([seq, ack].map(u32::to_be_bytes).concat());
    segment.extend([0x50, flags, 0x20, 0, 0, 0, 0, 0]);
    let sum = Sum::pseudo(ip.source, ip.destination, 6, segment.len()).plus(&segment).finish();
    segment[16..18].copy_from_slice(&sum.to_be_bytes());
    t.send(&eth.frame(&ip.packet(&segment))).await
}

fn failed(finished: &&Finished) -> bool {
    finished.outcome.verdict == Verdict::Fail
}

#[test]
fn every_fault_is_found_by_a_test_on_its_list_and_every_required_test_finds_one() {
    let mut survivors = Vec::new();
    let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut score: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    for (fault, ids) in KILLERS {
        let summary = run(&format!("sim,fault={fault}"), &plan(tests_for(ids)));
        let killers: Vec<_> =
            summary.finished.iter().filter(failed).filter(|f| ids.contains(&f.about.id)).collect();
        let group = ids[0].split('-').next().unwrap_or_default();
        let (killed, injected) = score.entry(group).or_default();
        *injected += 1;
        *killed += u32::from(!killers.is_empty());
        if killers.is_empty() {
            let seen: Vec<_> = summary
                .finished
                .iter()
                .map(|f| {
                    format!("{} {} {}", f.about.id, f.outcome.verdict.name(), f.outcome.summary())
                })
                .filter(|line| !line.starts_with("INV") || line.contains(" fail "))
                .collect();
            survivors.push(format!("{fault} survives {ids:?}: {seen:#?}"));
        }
        for killer in killers {
            found.entry(killer.about.id).or_default().insert(fault);
        }
    }
    for (group, (killed, injected)) in &score {
        println!("{group}: {killed} of {injected} faults found");
    }
    let required = catalogue::all().map(|test| &test.about).chain(&invariants::RULES);
    let (mut unproven, mut light) = (Vec::new(), Vec::new());
    for about in required.filter(|about| !found.contains_key(about.id)) {
        match about.severity {
            Severity::Must | Severity::Threshold => unproven.push(about.name),
            Severity::Should | Severity::May | Severity::Report => light.push(about.name),
        }
    }
    println!("shipped without a proof of their own: {}", light.join(", "));
    assert!(survivors.is_empty(), "{}", survivors.join("\n"));
    assert!(unproven.is_empty(), "required tests that no fault breaks: {unproven:?}");
}

/// The device on which a test has something to compare.
fn device_for(test: &Test) -> &'static str {
    match test.needs {
        Some(Capability::NoReassembly) => "sim,fault=no-reassembly",
        _ => "sim",
    }
}

#[test]
fn every_comparison_can_fail() {
    let mut silent = Vec::new();
    for test in catalogue::all() {
        let device = device_for(test);
        let good = run(device, &plan(vec![test]));
        let checks = good.finished[0].outcome.checks;
        assert!(checks > 0, "{test:?} compares nothing");
        for n in 0..checks {
            let flipped = Plan { flip: Some(n), ..plan(vec![test]) };
            let verdict = run(device, &flipped).finished[0].outcome.verdict;
            // A failure that is known, turned over, is none.
            let undone = good.finished[0].outcome.verdict == Verdict::Fail;
            if verdict != Verdict::Fail && !undone {
                silent.push(format!("{} comparison {n} of {checks}: {verdict:?}", test.about.name));
            }
        }
    }
    assert!(silent.is_empty(), "{}", silent.join("\n"));
}

/// Names and verdicts, in the catalogue's order.
fn verdicts(summary: &Summary) -> BTreeMap<&'static str, Verdict> {
    summary.finished.iter().map(|f| (f.about.name, f.outcome.verdict)).collect()
}

#[test]
fn what_is_declared_and_not_there_fails_the_tests_for_it() {
    let ledger = || Ledger::open("sim").unwrap_or_else(|error| panic!("{}", error.chain()));
    let tests = || ["FRG-01", "FRG-13"].map(by_id).to_vec();
    let declared = Plan { ledger: ledger(), ..plan(tests()) };
    let summary = run("sim,fault=no-reassembly", &declared);
    let verdict = |summary: &Summary, n: usize| summary.finished[n].outcome.verdict;
    assert_eq!((verdict(&summary, 0), verdict(&summary, 1)), (Verdict::Fail, Verdict::Pass));
    let why = &summary.finished[0].outcome.failures[0];
    assert_eq!(why.expected, "the device has 'reassembly', as the profile declares");
    let summary = run("sim,fault=no-reassembly", &plan(tests()));
    assert_eq!((verdict(&summary, 0), verdict(&summary, 1)), (Verdict::Skip, Verdict::Pass));
    let summary = run("sim", &declared);
    assert_eq!((verdict(&summary, 0), verdict(&summary, 1)), (Verdict::Pass, Verdict::Skip));
}

#[test]
fn a_reply_that_comes_twice_fails_no_test_that_wants_silence() {
    let wants_silence = ["ipv4.version", "arp.request-other-target", "icmp.echo-truncated"];
    let summary = run("sim,fault=icmp-twice", &plan(wants_silence.map(by_id).to_vec()));
    let failed: Vec<_> = summary.finished.iter().filter(failed).map(|f| f.about.name).collect();
    assert_eq!(failed, ["invariant.single-reply"]);
}

#[test]
fn harmless_variants_change_no_verdict() {
    let all: Vec<_> = catalogue::all().collect();
    let good = verdicts(&run("sim", &plan(all.clone())));
    // What is late is late: the times of frames that are delayed by chance are no sign of anything.
    let is_exempt =
        |variant: &str, name: &str| variant == "jittered" && name.starts_with("performance.");
    for variant in ["padded", "ttl-64", "dont-fragment", "jittered", "paced", "body-discard"] {
        let other = verdicts(&run(&format!("sim,fault={variant}"), &plan(all.clone())));
        let judged = |all: &BTreeMap<&'static str, Verdict>| -> Vec<_> {
            let counts = all.iter().filter(|(name, _)| !is_exempt(variant, name));
            counts.map(|(name, verdict)| (*name, *verdict)).collect()
        };
        assert_eq!(judged(&good), judged(&other), "{variant}");
    }
}

#[test]
fn the_order_changes_no_verdict_and_the_same_seed_repeats_the_run() {
    let shuffled = |seed| {
        let all: Vec<_> = catalogue::all().collect();
        let plan = Plan { is_fixed: false, seed, ..plan(all) };
        run("sim", &plan)
    };
    let first = shuffled(1);
    let again = shuffled(1);
    let history = |summary: &Summary| -> Vec<_> {
        summary.finished.iter().map(|f| (f.about.name, f.outcome.verdict, f.duration)).collect()
    };
    assert_eq!(history(&first), history(&again));
    for seed in 2..6 {
        assert_eq!(verdicts(&first), verdicts(&shuffled(seed)), "seed {seed}");
    }
}

#[test]
fn the_newer_driver_is_told_what_its_limit_means() {
    let summary = run("sim,model=esp32-new", &plan(vec![by_id("link.max-frame")]));
    let failure = summary.finished[0].outcome.summary();
    assert!(failure.contains("counts the 14 bytes of the Ethernet header"), "{failure}");
    assert!(failure.contains("MTU to 1486 (TCP MSS 1446)"), "{failure}");
}
