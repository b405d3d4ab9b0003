//! What comes of captures of the tunnel's connection, whole and with holes.

use super::*;
use crate::framing;
use crate::proto::samples;
use crate::record::{LinkType, Packet};
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;
/// The sequence numbers of the SYNs.
const HOST: u32 = u32::MAX - 5;
const DEVICE: u32 = 7000;

/// An IPv4 packet between 10.0.0.1 (port `peer`) and 10.0.0.2 (port 5556).
fn packet(
    time: u64,
    peer: u16,
    direction: Direction,
    (sequence, acknowledgment): (u32, u32),
    flags: u8,
    data: &[u8],
) -> Record {
    let (host, device) = ([10, 0, 0, 1], [10, 0, 0, 2]);
    let (source, destination, ports) = match direction {
        Direction::FromDevice => (device, host, [5556, peer]),
        _ => (host, device, [peer, 5556]),
    };
    let total = (40 + data.len()) as u16;
    let mut bytes = vec![0x45, 0];
    bytes.extend(total.to_be_bytes());
    bytes.extend([0, 0, 0, 0, 64, 6, 0, 0]);
    bytes.extend([source, destination].concat());
    bytes.extend(ports.map(u16::to_be_bytes).concat());
    bytes.extend([sequence.to_be_bytes(), acknowledgment.to_be_bytes()].concat());
    bytes.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    bytes.extend(data);
    let length = bytes.len() as u32;
    Record {
        time: Some(Span::at(Timestamp(time))),
        origin: Origin { tap: 0, connection: 0, direction: Direction::Unknown },
        offset: None,
        body: Body::Packet(Packet { link: LinkType::RAW, bytes: bytes.into(), length }),
    }
}

fn tunnel() -> Tunnel {
    Tunnel::new(5556, framing::ALL[0], 1514)
}

fn read(packets: &[Record]) -> (Vec<Record>, u64) {
    let mut tunnel = tunnel();
    let mut out = Vec::new();
    packets.iter().for_each(|packet| tunnel.take(packet, &mut out));
    tunnel.finish(true, &mut out);
    (out, tunnel.passed_over())
}

fn framed(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut stream = Vec::new();
    for frame in frames {
        framing::ALL[0].encode(frame, &mut stream).expect("it fits");
    }
    stream
}

/// A line each: connection, direction, offset, times in seconds, and what it is.
fn said(records: &[Record]) -> String {
    let mut lines = Vec::new();
    for record in records {
        let body = match &record.body {
            Body::Frame(frame) => format!("frame of {}", frame.len()),
            Body::FramingError(error) => error.describe(None).to_string(),
            Body::Gap { bytes, .. } => format!("gap of {bytes}"),
            Body::Link(change) => change.to_string(),
            other => format!("{other:?}"),
        };
        let time = record.time.map_or("-".to_owned(), |span| {
            format!("{}..{}", span.first.0 / SECOND, span.last.0 / SECOND)
        });
        let offset = record.offset.map_or("-".to_owned(), |offset| offset.to_string());
        let Origin { connection, direction, .. } = record.origin;
        lines.push(format!("{connection} {} {offset} {time} {body}", direction.arrow()));
    }
    lines.join("\n")
}

const TO: Direction = Direction::ToDevice;
const FROM: Direction = Direction::FromDevice;
const SYN: u8 = flag::SYN;
const ACK: u8 = flag::ACK;
const FIN: u8 = flag::FIN;

fn opening(peer: u16) -> Vec<Record> {
    vec![
        packet(SECOND, peer, TO, (HOST, 0), SYN, &[]),
        packet(SECOND, peer, FROM, (DEVICE, HOST.wrapping_add(1)), SYN | ACK, &[]),
        packet(SECOND, peer, TO, (HOST.wrapping_add(1), DEVICE + 1), ACK, &[]),
    ]
}

fn conversation() -> Vec<Record> {
    let request = framed(&[samples::echo_request(), samples::arp_request()]);
    let answer = framed(&[samples::datagram()]);
    let (host, device) = (HOST.wrapping_add(1), DEVICE + 1);
    let second = host.wrapping_add(60);
    let end = host.wrapping_add(request.len() as u32);
    let mut all = opening(4000);
    all.push(packet(2 * SECOND, 4000, TO, (host, device), ACK, &request[..60]));
    all.push(packet(3 * SECOND, 4000, FROM, (device, second), ACK, &answer));
    let device = device + answer.len() as u32;
    all.push(packet(4 * SECOND, 4000, TO, (second, device), ACK, &request[60..]));
    all.push(packet(5 * SECOND, 4000, FROM, (device, end), ACK | FIN, &[]));
    all.push(packet(6 * SECOND, 4000, TO, (end, device + 1), ACK | FIN, &[]));
    all.push(packet(6 * SECOND, 4000, FROM, (device + 1, end.wrapping_add(1)), ACK, &[]));
    all
}

#[test]
fn a_conversation_is_what_went_through_the_tunnel() {
    let mut packets = conversation();
    let other = samples::syn();
    packets.push(Record { body: Body::Frame(other.into()), ..packets[0].clone() });
    let (records, passed_over) = read(&packets);
    insta::assert_snapshot!(said(&records), @r"
    1 -- - 1..1 connected: tcp 10.0.0.1:4000 -> 10.0.0.2:5556
    1 <- 0 3..3 frame of 47
    1 -> 0 2..4 frame of 98
    1 -> 100 4..4 frame of 42
    1 <- - 5..5 lost: tcp 10.0.0.1:4000 -> 10.0.0.2:5556: closed by the device
    ");
    assert_eq!(passed_over, 1);
    let Body::Frame(frame) = &records[2].body else { panic!("{records:?}") };
    assert_eq!(frame, &samples::echo_request());
}

#[test]
fn packets_that_were_captured_twice_or_without_the_opening_change_little() {
    let packets = conversation();
    let twice: Vec<Record> = packets.iter().flat_map(|p| [p.clone(), p.clone()]).collect();
    assert_eq!(said(&read(&twice).0), said(&read(&packets).0));
    let (whole, late) = (read(&packets).0, read(&packets[3..]).0);
    assert_eq!(said(&late), said(&whole[1..]), "only the first line is missing");
}

#[test]
fn what_the_capture_lacks_is_a_gap_and_no_error_of_the_line() {
    let frames = vec![samples::echo_request(); 60];
    let stream = framed(&frames);
    let mut packets = opening(4000);
    for (n, part) in stream.chunks(150).enumerate() {
        let sequence = HOST.wrapping_add(1 + 150 * n as u32);
        let end = sequence.wrapping_add(part.len() as u32);
        if n != 2 {
            packets.push(packet(2 * SECOND, 4000, TO, (sequence, DEVICE + 1), ACK, part));
        }
        packets.push(packet(2 * SECOND, 4000, FROM, (DEVICE + 1, end), ACK, &[]));
    }
    let (records, _) = read(&packets);
    let frames = records.iter().filter(|r| matches!(r.body, Body::Frame(_))).count();
    assert!(frames >= 56, "{}", said(&records));
    let gap = records.iter().find(|r| matches!(r.body, Body::Gap { .. })).expect("a gap");
    assert_eq!((gap.offset, &gap.body), (Some(300), &Body::Gap { records: 0, bytes: 150 }));
    let mut at = 0;
    for record in records.iter().filter(|record| record.offset.is_some()) {
        assert_eq!(record.offset, Some(at), "{}", said(&records));
        at += match &record.body {
            Body::Frame(frame) => 2 + frame.len() as u64,
            Body::FramingError(error) => error.bytes.len() as u64,
            Body::Gap { bytes, .. } => *bytes,
            _ => 0,
        };
    }
    assert_eq!(at, stream.len() as u64, "every byte is accounted for");
}

#[test]
fn connections_are_counted_and_a_new_one_between_the_same_ends_is_another() {
    let mut packets = opening(4000);
    packets.extend(opening(4001));
    packets.push(packet(3 * SECOND, 4000, FROM, (DEVICE + 1, 0), flag::RST, &[]));
    packets.push(packet(4 * SECOND, 4000, TO, (5, 0), SYN, &[]));
    packets.push(packet(5 * SECOND, 4001, TO, (6, 0), SYN, &[]));
    insta::assert_snapshot!(said(&read(&packets).0), @r"
    1 -- - 1..1 connected: tcp 10.0.0.1:4000 -> 10.0.0.2:5556
    2 -- - 1..1 connected: tcp 10.0.0.1:4001 -> 10.0.0.2:5556
    1 <- - 3..3 lost: tcp 10.0.0.1:4000 -> 10.0.0.2:5556: reset by the device
    3 -- - 4..4 connected: tcp 10.0.0.1:4000 -> 10.0.0.2:5556
    2 -- - 1..1 lost: tcp 10.0.0.1:4001 -> 10.0.0.2:5556: another connection began in its place
    4 -- - 5..5 connected: tcp 10.0.0.1:4001 -> 10.0.0.2:5556
    ");
}

#[test]
fn there_is_a_limit_to_connections() {
    let mut tunnel = tunnel();
    let mut out = Vec::new();
    for peer in 1..=2000 {
        tunnel.take(&packet(SECOND, peer, TO, (1, 0), SYN, &[]), &mut out);
        assert!(tunnel.connections.len() <= MAX_CONNECTIONS);
    }
    let lost = |r: &&Record| matches!(&r.body, Body::Link(LinkChange::Lost(_)));
    assert_eq!(out.iter().filter(lost).count(), 2000 - MAX_CONNECTIONS);
}

proptest! {
    /// Segments cut anywhere, in another order, and some twice: the frames are the same.
    #[test]
    fn any_segmentation_gives_the_same_frames(
        cuts in prop::collection::vec(1usize..120, 1..30),
        order in Just((0..60usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let frames = [samples::echo_request(), samples::syn(), samples::arp_request()];
        let stream = framed(&frames);
        let mut packets = opening(4000);
        let mut at = 0;
        let mut parts = Vec::new();
        for cut in cuts.iter().cycle() {
            if at == stream.len() { break }
            let end = stream.len().min(at + cut);
            let sequence = (HOST.wrapping_add(1 + at as u32), DEVICE + 1);
            parts.push(packet(SECOND, 4000, TO, sequence, ACK, &stream[at..end]));
            at = end;
        }
        let twice: Vec<&Record> = order.iter().filter_map(|n| parts.get(n % parts.len().max(1))).collect();
        packets.extend(twice.into_iter().cloned());
        packets.extend(parts.clone());
        let got: Vec<Vec<u8>> = read(&packets).0.iter().filter_map(|record| match &record.body {
            Body::Frame(frame) => Some(frame.to_vec()),
            _ => None,
        }).collect();
        prop_assert_eq!(got, frames.to_vec());
    }

    #[test]
    fn any_segments_are_survived(
        segments in prop::collection::vec(
            (any::<bool>(), 0u32..300, 0u32..300, any::<u8>(), prop::collection::vec(any::<u8>(), 0..60)),
            0..60,
        ),
    ) {
        let packets: Vec<Record> = segments.iter().map(|(to, sequence, ack, flags, data)| {
            packet(SECOND, 4000, if *to { TO } else { FROM }, (*sequence, *ack), *flags, data)
        }).collect();
        read(&packets);
    }
}

/// Segments of the host's, one a second, and nothing from the device.
fn sent(parts: &[&[u8]]) -> Vec<Record> {
    let mut packets = opening(4000);
    let mut at = HOST.wrapping_add(1);
    for (n, part) in parts.iter().enumerate() {
        let time = SECOND * (2 + n as u64);
        packets.push(packet(time, 4000, TO, (at, DEVICE + 1), ACK, part));
        at = at.wrapping_add(part.len() as u32);
    }
    packets
}

#[test]
fn what_is_no_frame_at_the_end_of_the_capture_is_told() {
    let whole = framed(&[samples::echo_request()]);
    insta::assert_snapshot!(said(&read(&sent(&[&whole, &whole[..60]])).0[1..]), @r"
    1 -> 0 2..2 frame of 98
    1 -> 100 3..3 framing: frame of 98 bytes cut short; passed over 60 bytes, the stream ended
    ");
    insta::assert_snapshot!(said(&read(&sent(&[&whole, b"\0\0\0\0garbage"])).0[1..]), @r"
    1 -> 0 2..2 frame of 98
    1 -> 100 3..3 framing: length 0; passed over 11 bytes, the stream ended
    ");
    insta::assert_snapshot!(said(&read(&sent(&[&[0; 300]])).0[1..]), @"1 -> 0 2..2 framing: length 0; passed over 300 bytes, the stream ended");
    let mut tunnel = tunnel();
    let mut out = Vec::new();
    sent(&[&whole[..60]]).iter().for_each(|packet| tunnel.take(packet, &mut out));
    tunnel.finish(false, &mut out);
    let Some(Body::FramingError(error)) = out.last().map(|last| &last.body) else { panic!() };
    assert!(!error.is_new(), "we stopped reading: {error:?}");
}

#[test]
fn answers_come_behind_their_questions_although_a_segment_is_missing() {
    let (request, answer) = (framed(&[samples::echo_request()]), framed(&[samples::datagram()]));
    let mut packets = opening(4000);
    let mut at = (HOST.wrapping_add(1), DEVICE + 1);
    for second in 2..6 {
        packets.push(packet(second * SECOND, 4000, TO, at, ACK, &request));
        at.0 = at.0.wrapping_add(request.len() as u32);
        let time = second * SECOND + SECOND / 2;
        packets.push(packet(time, 4000, FROM, (at.1, at.0), ACK, &answer));
        at.1 += answer.len() as u32;
    }
    packets.remove(5); // the second question
    let (records, _) = read(&packets);
    insta::assert_snapshot!(said(&records[1..]), @r"
    1 -> 0 2..2 frame of 98
    1 <- 0 2..2 frame of 47
    1 -> 100 2..2 gap of 100
    1 <- 49 3..3 frame of 47
    1 -> 200 4..4 frame of 98
    1 <- 98 4..4 frame of 47
    1 -> 300 5..5 frame of 98
    1 <- 147 5..5 frame of 47
    ");
    // The gap has the time of what is in front of it.
    let frames = records.iter().filter(|record| matches!(record.body, Body::Frame(_)));
    let times: Vec<_> = frames.map(|record| record.time.map(|span| span.last)).collect();
    assert!(times.is_sorted(), "{times:?}");
}

#[test]
fn what_waits_behind_a_hole_waits_for_seconds_and_not_for_ever() {
    let mut tunnel = tunnel();
    let mut out = Vec::new();
    let request = framed(&[samples::echo_request()]);
    let answer = framed(&[samples::datagram()]);
    opening(4000).iter().for_each(|packet| tunnel.take(packet, &mut out));
    // Its first segment is missing, and nobody acknowledges it.
    let early = (HOST.wrapping_add(101), DEVICE + 1);
    tunnel.take(&packet(2 * SECOND, 4000, TO, early, ACK, &request), &mut out);
    out.clear();
    let mut device = DEVICE + 1;
    for second in 2..20 {
        let at = (device, HOST.wrapping_add(1));
        tunnel.take(&packet(second * SECOND, 4000, FROM, at, ACK, &answer), &mut out);
        device += answer.len() as u32;
        assert_eq!(out.is_empty(), second < 12, "after {second} s");
    }
}

#[test]
fn a_port_alone_is_no_tunnel() {
    let shows = |packets: &[Record]| {
        let mut trial = Trial::new(5556, framing::ALL[0], 1514);
        let at = packets.iter().position(|packet| trial.take(packet));
        (at, at.is_some() || trial.finish())
    };
    let (whole, http) = (framed(&[samples::echo_request()]), b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(shows(&sent(&[&whole[..20], &whole[20..], http])), (Some(4), true));
    assert_eq!(shows(&sent(&[http, http])), (None, false));
    assert_eq!(shows(&sent(&[&[0; 300]])), (None, false));
    assert!(shows(&sent(&[&whole[50..], &whole, &whole])).1, "joined in a frame");
    assert_eq!(shows(&opening(4000)), (None, false));
    let other = Trial::new(5557, framing::ALL[0], 1514).take(&sent(&[&whole])[3]);
    assert!(!other);
}
