//! Conversations against a simulated other end, in virtual time.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::*;
use crate::endpoint::{Received, Standing};
use crate::probe::ping;
use crate::probe::tests::{Device, Seen, probe};
use crate::proto::{ethernet, tcp as segments};
use crate::record::{Body, Direction, Origin};
use crate::stop;

const SOON: Duration = Duration::from_millis(2);

fn connect(device: Device) -> (Probe, Seen) {
    probe(Standing::Served, device)
}

/// What we make of a text.
pub(super) fn ours(text: &str) -> Vec<u8> {
    frame(text, &ends(&Identity::default(), None), &Disguise::default()).expect("good")
}

/// What the device makes of a text: its own addresses are the host's there.
pub(super) fn theirs(text: &str) -> Vec<u8> {
    let ours = ends(&Identity::default(), None);
    let turned = Ends { host: ours.device, device: ours.host };
    frame(text, &turned, &Disguise::default()).expect("good")
}

/// The answer to a question for the device's address, if it is one.
fn arp_answer(frame: &[u8]) -> Option<Vec<u8>> {
    let asked = crate::proto::arp::Message::in_frame(frame)?;
    let is_for_us = asked.op == 1 && asked.tpa == Identity::default().device_ip;
    is_for_us.then(|| theirs("eth(dst=02:00:00:00:00:01)/arp(op=reply)"))
}

fn after(answer: Option<Vec<u8>>) -> Vec<(Duration, Vec<u8>)> {
    answer.into_iter().map(|answer| (SOON, answer)).collect()
}

fn plan(ports: Vec<u16>) -> walk::Plan {
    walk::Plan {
        target: None,
        ports,
        source_port: Some(5000),
        count: 1,
        interval: Duration::from_millis(1),
        timeout: Duration::from_secs(1),
        disguise: Disguise::default(),
    }
}

fn syn() -> tcp::Segments {
    tcp::Segments {
        flags: 2,
        seq: 1000,
        ack: 0,
        window: 65535,
        mss: Some(1460),
        data: Vec::new(),
        resets: true,
    }
}

/// A device that has one open port, one closed one, one behind a wall, one that lies, and no other.
fn ports(frame: &[u8]) -> Vec<(Duration, Vec<u8>)> {
    let is_syn = frame.get(47) == Some(&2);
    let port = be16(frame, 36).unwrap_or_default();
    let quoted: String = frame[14..42].iter().map(|byte| format!("{byte:02x}")).collect();
    let text = match port {
        _ if !is_syn => return Vec::new(),
        80 => "tcp(src_port=80,dst_port=5000,seq=77,ack=1001,flags=SA,option.mss=1446)".to_owned(),
        81 => "tcp(src_port=81,dst_port=5000,seq=0,ack=1001,flags=RA)".to_owned(),
        82 => format!("icmp(type=3,code=13)/0x{quoted}"),
        83 => "tcp(src_port=83,dst_port=5000,seq=77,ack=5555,flags=SA)".to_owned(),
        _ => return Vec::new(),
    };
    after(Some(theirs(&text)))
}

#[tokio::test(start_paused = true)]
async fn ports_are_open_closed_walled_odd_or_silent_and_the_open_ones_are_reset() {
    let (mut probe, seen) = connect(Box::new(ports));
    let plan = plan(vec![80, 81, 82, 83, 84]);
    let (_stopper, mut stop) = stop::pair();
    let mut answers = Vec::new();
    let came =
        walk::run(&mut probe, &syn(), &plan, &mut stop, &mut |answer| answers.push(answer)).await;
    assert_eq!(came.expect("the line is there"), 4);
    answers.sort_by_key(|answer| answer.port);
    let segment = |n: usize| match &answers[n].what {
        walk::What::Said(segment) => segment.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!((segment(0).flags, segment(0).after, segment(0).odd), (0x12, SOON, None));
    assert!(segment(0).options.contains(&("mss", 1446)));
    assert_eq!((segment(1).flags, segment(1).odd), (0x14, None));
    assert!(
        matches!(&answers[2].what, walk::What::Error(from, ..) if from.to_string() == "192.168.100.2")
    );
    assert!(segment(3).odd.is_some_and(|odd| odd.contains("5555")));
    assert_eq!(answers[4].what, walk::What::Nothing);
    let resets: Vec<(u16, u32)> = seen
        .lock()
        .expect("no panic")
        .iter()
        .filter(|frame| frame[47] == segments::RST)
        .map(|frame| {
            (be16(frame, 36).expect("a port"), crate::proto::be32(frame, 38).expect("seq"))
        })
        .collect();
    assert_eq!(resets, [(80, 1001), (83, 5555)], "each with the number that is waited for");
}

#[tokio::test(start_paused = true)]
async fn ports_are_asked_at_the_interval_and_nobody_waits_for_those_that_have_answered() {
    let (mut probe, seen) = connect(Box::new(ports));
    let interval = Duration::from_secs(2);
    let thrice = walk::Plan { count: 3, interval, ..plan(vec![81]) };
    let (_stopper, mut stop) = stop::pair();
    let start = tokio::time::Instant::now();
    let came = walk::run(&mut probe, &syn(), &thrice, &mut stop, &mut |_| {}).await;
    assert_eq!(came.expect("the line is there"), 3);
    assert_eq!(start.elapsed(), interval * 2 + SOON);
    let quick = walk::Plan { interval: SOON / 2, ..plan(vec![80, 81]) };
    let start = tokio::time::Instant::now();
    let came = walk::run(&mut probe, &syn(), &quick, &mut stop, &mut |_| {}).await;
    assert_eq!(came.expect("the line is there"), 2);
    assert!(start.elapsed() < SOON * 3, "{:?}", start.elapsed());
    // A second segment from the same port, before the first has been answered: each is counted.
    let mut told = 0;
    let same = walk::Plan { count: 3, interval: SOON, ..plan(vec![84]) };
    let came = walk::run(&mut probe, &syn(), &same, &mut stop, &mut |_| told += 1).await;
    assert_eq!((came.expect("the line is there"), told), (0, 3));
    assert!(seen.lock().expect("no panic").len() >= 8);
}

#[tokio::test(start_paused = true)]
async fn datagrams_are_answered_refused_or_lost() {
    let device = |frame: &[u8]| {
        let quoted: String = frame[14..42].iter().map(|byte| format!("{byte:02x}")).collect();
        match be16(frame, 36) {
            Some(7) => after(Some(theirs("udp(src_port=7,dst_port=5000)/\"back\""))),
            Some(8) => after(Some(theirs("udp(src_port=8,dst_port=5001)/\"not ours\""))),
            Some(9) => after(Some(theirs(&format!("icmp(type=3,code=3)/0x{quoted}")))),
            _ => Vec::new(),
        }
    };
    let (mut probe, _) = connect(Box::new(device));
    let plan = plan(vec![7, 8, 9]);
    let there = udp::Datagrams { data: b"there".to_vec() };
    let (_stopper, mut stop) = stop::pair();
    let mut answers = Vec::new();
    let came =
        walk::run(&mut probe, &there, &plan, &mut stop, &mut |answer| answers.push(answer)).await;
    assert_eq!(came.expect("the line is there"), 2);
    answers.sort_by_key(|answer| answer.port);
    assert!(
        matches!(&answers[0].what, walk::What::Said(reply) if reply.data == b"back" && reply.after == SOON)
    );
    assert_eq!(answers[1].what, walk::What::Nothing);
    assert!(
        matches!(&answers[2].what, walk::What::Error(_, text, _) if text.contains("unreachable"))
    );
}

#[tokio::test(start_paused = true)]
async fn two_that_claim_an_address_are_both_told() {
    let reply = |mac: &str| theirs(&format!("eth(src={mac})/arp(op=2,sha={mac})"));
    let device = move |frame: &[u8]| match ethernet::source(frame) {
        Some([2, 0, 0, 0, 0, 1]) => {
            vec![(SOON, reply("02:00:00:00:00:02")), (SOON * 2, reply("02:00:00:00:00:66"))]
        }
        _ => Vec::new(),
    };
    let (mut probe, _) = connect(Box::new(device));
    probe.fix_identity();
    let (found, claims) = asked(&mut probe, arp::Kind::Request).await;
    assert_eq!((found.all.len(), found.answered.len()), (2, 2));
    assert_eq!(claims.iter().map(|claim| claim.is_second).collect::<Vec<_>>(), [false, true]);
    assert_eq!(claims[1].mac, MacAddr(2, 0, 0, 0, 0, 0x66));
}

/// Sends a message of ARP about the device's address; what came of it.
async fn asked(probe: &mut Probe, kind: arp::Kind) -> (arp::Claimants, Vec<arp::Claim>) {
    let ours = Identity::default();
    let plan = arp::Plan {
        kind,
        address: ours.device_ip,
        sender_ip: ours.host_ip,
        sender_mac: MacAddr(2, 0, 0, 0, 0, 1),
        count: 1,
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        disguise: Disguise::default(),
    };
    let (_stopper, mut stop) = stop::pair();
    let mut claims = Vec::new();
    let found = arp::run(probe, &plan, &mut stop, &mut |claim| claims.push(claim)).await;
    (found.expect("the line is there"), claims)
}

#[tokio::test(start_paused = true)]
async fn what_a_device_says_of_itself_answers_no_request_but_uses_the_address() {
    use arp::How;
    let announcement = "eth(dst=broadcast)/arp(spa=192.168.100.2,tpa=192.168.100.2)";
    let question = "arp(tpa=192.168.100.9)";
    for (text, how, kind, is_answer) in [
        (announcement, How::Announcement, arp::Kind::Request, false),
        (announcement, How::Announcement, arp::Kind::Probe, true),
        (announcement, How::Announcement, arp::Kind::Gratuitous, true),
        (question, How::Question, arp::Kind::Request, false),
        (question, How::Question, arp::Kind::Probe, true),
        (question, How::Question, arp::Kind::Gratuitous, false),
        ("arp(op=2,tha=02:00:00:00:00:77)", How::OtherReply, arp::Kind::Request, false),
        ("arp(op=2)", How::Reply, arp::Kind::Request, true),
    ] {
        let (mut probe, _) = connect(Box::new(move |_| after(Some(theirs(text)))));
        let (found, claims) = asked(&mut probe, kind).await;
        assert_eq!((claims[0].how, claims[0].is_answer), (how, is_answer), "{text} {kind:?}");
        assert_eq!((found.all.len(), found.answered.len()), (1, is_answer.into()), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_on_its_way_objects_to_no_claim() {
    let announcement = theirs("arp(spa=192.168.100.2,tpa=192.168.100.2)");
    let (mut probe, _) = connect(Box::new(move |frame| match frame.len() {
        20 => after(Some(announcement.clone())),
        _ => Vec::new(),
    }));
    probe.send(vec![9; 20]).await.expect("it starts"); // and announces itself
    let (found, claims) = asked(&mut probe, arp::Kind::Gratuitous).await;
    assert_eq!((claims.len(), found.all.len(), found.answered.len()), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn the_frame_that_a_device_does_not_survive_is_the_last() {
    let mut is_dead = false;
    let device = move |frame: &[u8]| {
        is_dead |= frame == [3; 20];
        after(arp_answer(frame).filter(|_| !is_dead))
    };
    let (mut probe, _) = connect(Box::new(device));
    let plan = raw::Plan {
        interval: Duration::from_millis(1),
        timeout: Duration::from_millis(100),
        duration: None,
        wire: wire::Wire::default(),
        is_checked_each_time: true,
        is_checked: true,
        leaves_out: false,
    };
    let mut shots = (1..=9u8).map(|n| (vec![n; 20], Some(format!("variant {n}"))));
    let (_stopper, mut stop) = stop::pair();
    let mut last = None;
    let sum = raw::run(&mut probe, &plan, &mut shots, &mut stop, &mut |event| {
        if let raw::Event::Sent(n, _, remark) = event {
            last = Some((n, remark.map(str::to_owned)));
        }
    })
    .await
    .expect("the line is there");
    assert_eq!((sum.sent, sum.life), (3, Some(sentinel::Life::Silent)));
    assert_eq!(last, Some((3, Some("variant 3".to_owned()))));
}

#[tokio::test(start_paused = true)]
async fn an_ipv6_target_is_asked_for_and_pinged() {
    let device = |frame: &[u8]| {
        let is_ip6 = be16(frame, 12) == Some(0x86dd);
        let text = match frame.get(54).filter(|_| is_ip6) {
            Some(135) => "icmp6(type=136,flags.solicited=1,flags.override=1)".to_owned(),
            Some(128) => {
                let data: String = frame[62..].iter().map(|byte| format!("{byte:02x}")).collect();
                let number = be16(frame, 60).expect("a number");
                format!("ip6(hop_limit=9)/icmp6(type=129,id=7,seq={number})/0x{data}")
            }
            _ => return Vec::new(),
        };
        after(Some(theirs(&text)))
    };
    let (mut probe, seen) = connect(Box::new(device));
    let target = ends(&Identity::default(), None).device.ip6;
    let plan = ping::Plan {
        target: Some(target),
        count: Some(3),
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        sizes: 56..=56,
        step: 1,
        pattern: Vec::new(),
        identifier: 7,
        ttl: 64,
        tos: 0,
        disguise: Disguise::default(),
    };
    let (_stopper, mut stop) = stop::pair();
    let mut replies = Vec::new();
    let (statistics, error) =
        ping::run(&mut probe, &plan, &mut stop, |outcome| replies.push(outcome)).await;
    assert!(error.is_none() && statistics.is_clean(), "{statistics:?} {replies:?}");
    assert_eq!(statistics.received, 3);
    assert!(
        matches!(&replies[0], ping::Outcome::Reply(reply) if reply.ttl == 9 && reply.length == 64)
    );
    assert_eq!(seen.lock().expect("no panic")[0][..2], [0x33, 0x33], "first a solicitation");
}

#[tokio::test(start_paused = true)]
async fn an_ipv6_target_that_is_not_there_is_said_so() {
    let (mut probe, seen) = connect(Box::new(|_| Vec::new()));
    let target = Some(IpAddr::V6("fe80::77".parse().expect("good")));
    let error = resolve(&mut probe, target, SOON).await.expect_err("nobody is there").to_string();
    assert!(error.contains("fe80::77 does not answer"), "{error}");
    assert_eq!(seen.lock().expect("no panic").len(), 3);
    let device = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    assert!(resolve(&mut probe, device, SOON).await.is_ok(), "IPv4 is not asked for");
}

/// A probe on a line of IP packets, and a device there that answers pings after so many frames.
fn slip(deaf_to: usize) -> Probe {
    let framing = crate::framing::Framing::by_name("slip-ip").expect("it is in the list");
    let options = crate::endpoint::Options { framing, ..Default::default() };
    let (near, mut far) = crate::endpoint::memory::pair("near", "far", framing);
    tokio::spawn(async move {
        let mut decoder = (framing.decoder)(Origin::new(Direction::ToDevice), 1514);
        let mut seen = 0;
        while let Ok(Received::Bytes(bytes)) = far.rx.receive().await {
            let mut records = Vec::new();
            decoder.push(Timestamp::default(), &bytes, &mut records);
            for record in records {
                let Body::Frame(frame) = record.body else { continue };
                seen += 1;
                if seen > deaf_to
                    && let Some(answer) = pong(&frame)
                {
                    let _ = far.tx.send(&[answer.into()]).await;
                }
            }
        }
    });
    let identity = Identity::default();
    let (clock, events) = (crate::clock::Clock::system(), crate::event::Events::ignore());
    Probe::new(near, &options, identity, clock, events, crate::bus::Bus::default())
}

/// The reply to an echo request.
fn pong(frame: &[u8]) -> Option<Vec<u8>> {
    let is_request = frame.get(23) == Some(&1) && frame.get(34) == Some(&8);
    let digits = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (id, seq) = (be16(frame, 38)?, be16(frame, 40)?);
    let text = format!("icmp(type=0,id={id},seq={seq})/0x{}", digits(frame.get(42..)?));
    is_request.then(|| theirs(&text))
}

#[tokio::test(start_paused = true)]
async fn on_a_line_of_ip_the_sentinel_pings() {
    let ask = async |deaf_to| {
        let patience = Duration::from_millis(100);
        let wire = wire::Wire::default();
        sentinel::ask(&mut slip(deaf_to), &wire, patience, &mut |_| {}).await
    };
    for deaf_to in [0, 2] {
        let life = ask(deaf_to).await.expect("the line is there");
        assert!(
            matches!(life, sentinel::Life::Answers(sentinel::Question::Echo, _)),
            "{deaf_to}: {life:?}"
        );
    }
    assert_eq!(ask(3).await.expect("the line is there"), sentinel::Life::Silent);
}

#[tokio::test(start_paused = true)]
async fn variants_that_a_line_of_ip_does_not_carry_are_left_out_and_counted() {
    let mut probe = slip(0);
    let plan = raw::Plan {
        interval: Duration::ZERO,
        timeout: Duration::from_millis(100),
        duration: None,
        wire: wire::Wire::default(),
        is_checked_each_time: true,
        is_checked: true,
        leaves_out: true,
    };
    let frames = [ours("icmp"), ours("arp"), vec![7; 5], ours("icmp")[..14].to_vec(), ours("udp")];
    let mut shots = frames.into_iter().map(|frame| (frame, None));
    let (_stopper, mut stop) = stop::pair();
    let sum = raw::run(&mut probe, &plan, &mut shots, &mut stop, &mut |_| {}).await;
    let sum = sum.expect("nothing is refused");
    assert_eq!((sum.sent, sum.left_out, sum.came), (2, 3, 1), "{sum:?}");
    let strict = raw::Plan { leaves_out: false, ..plan };
    let mut shots = [(ours("arp"), None)].into_iter();
    let refused = raw::run(&mut probe, &strict, &mut shots, &mut stop, &mut |_| {}).await;
    assert!(refused.is_err(), "what the user names is not left out in silence");
}

#[tokio::test(start_paused = true)]
async fn what_came_of_itself_is_counted_by_itself() {
    let device = |frame: &[u8]| {
        let announcement = theirs("arp(spa=192.168.100.2,tpa=192.168.100.2)");
        let mut answers = after(Some(announcement));
        answers.extend(after(pong(frame)));
        answers
    };
    let (mut probe, _) = connect(Box::new(device));
    let plan = raw::Plan {
        interval: Duration::ZERO,
        timeout: Duration::from_millis(100),
        duration: None,
        wire: wire::Wire::default(),
        is_checked_each_time: false,
        is_checked: false,
        leaves_out: false,
    };
    let mut shots = [(ours("icmp"), None)].into_iter();
    let (_stopper, mut stop) = stop::pair();
    let sum = raw::run(&mut probe, &plan, &mut shots, &mut stop, &mut |_| {}).await;
    let sum = sum.expect("the line is there");
    assert_eq!((sum.sent, sum.came, sum.also_heard), (1, 1, 1), "{sum:?}");
}
